//! A browser is sent to a provider (RFC 6749 section 4.1.1, OpenID Connect Core 1.0 section
//! 3.1.2.1).
//!
//! Invariant: a browser comes back to a URL of a listed site, and never to one of the filter's own
//! paths.

use super::authorize::{self, Aim};
use super::obstacle::Obstacle;
use super::problem::Problem;
use super::pushed;
use super::token_call::{self, Place};
use super::visit::Visit;
use super::{Answer, Outcome, see_other};
use crate::config::{Scheme, SchemeId};
use crate::desk::Need;
use crate::document::finding::Finding;
use crate::http::uri::Uri;
use crate::session::flow::{Browser, Flow, Sent};

/// Begins a sign-in for somebody who wants to see `return_to`.
pub(super) fn begin(
    visit: &Visit<'_>,
    id: SchemeId,
    aim: Aim,
    return_to: &[u8],
) -> Result<Answer, Obstacle> {
    let scheme = visit.scheme(id);
    let (origin, home) = origins(visit, scheme)?;
    let return_to = vetted(visit, return_to);
    // The page is at another host of the cookies' domain than the callback.
    let return_to = if return_to.starts_with('/') && origin != home {
        format!("{origin}{return_to}")
    } else {
        return_to.to_owned()
    };
    let (browser, cookies) = browser(visit, scheme)?;
    let keyring = visit.people.sessions.keyring();
    let flow_id = visit.random()?;
    let flow = Flow::begin(
        keyring,
        &scheme.scope,
        &return_to,
        &browser,
        flow_id,
        visit.now(),
    );
    let flow = match visit.present(id) {
        Some(open) => flow.for_another(open.session().started),
        None => flow,
    };
    send(visit, id, aim, &flow, (&browser, cookies))
}

/// Begins a flow again that did not come back in the way it was sent.
pub(super) fn again(visit: &Visit<'_>, id: SchemeId, flow: &Flow) -> Result<Answer, Obstacle> {
    let scheme = visit.scheme(id);
    origins(visit, scheme)?;
    let (browser, cookies) = browser(visit, scheme)?;
    let keyring = visit.people.sessions.keyring();
    let flow = flow.again(keyring, &browser, visit.random()?, visit.now());
    let flow = flow.ok_or(Problem::TooManyRestarts)?;
    send(visit, id, Aim::SignIn, &flow, (&browser, cookies))
}

/// A link to a path that begins a sign-in, or a sign-up, and comes back to this page.
pub(super) fn link(path: &str, return_to: &str) -> String {
    let start = path.len().saturating_add(1);
    form_urlencoded::Serializer::for_suffix(format!("{path}?"), start)
        .append_pair("return_to", return_to)
        .finish()
}

/// The URL that a browser may be sent back to: this one if it is allowed, or else the root.
pub(super) fn vetted<'u>(visit: &Visit<'_>, url: &'u [u8]) -> &'u str {
    let own = visit.sign_in.own_paths();
    visit.sign_in.sites.return_to(url, &own).unwrap_or("/")
}

/// The origins of the request and of the callback. The cookies of a sign-in are set at the first
/// and needed at the second.
fn origins(visit: &Visit<'_>, scheme: &Scheme) -> Result<(String, String), Problem> {
    let origin = visit.site()?.origin();
    let home = visit.redirect_uri(scheme)?;
    let home = Uri::parse(&home).map_err(|_| Problem::UnknownHost)?;
    let home = format!("{}://{}", home.scheme.name(), home.authority);
    if home != origin && scheme.cookie.domain.is_none() {
        return Err(Problem::UnknownHost);
    }
    Ok((origin, home))
}

/// The value that tells this browser from others, and the cookies that set it where it is missing.
fn browser(visit: &Visit<'_>, scheme: &Scheme) -> Result<(Browser, Vec<String>), Obstacle> {
    if let Some(browser) = visit.browser(scheme) {
        return Ok((browser, Vec::new()));
    }
    let browser = Browser::new(visit.people.steady("browser")?);
    let set = visit.note(scheme, &browser)?;
    Ok((browser, set))
}

fn send(
    visit: &Visit<'_>,
    id: SchemeId,
    aim: Aim,
    flow: &Flow,
    (browser, cookies): (&Browser, Vec<String>),
) -> Result<Answer, Obstacle> {
    let scheme = visit.scheme(id);
    let configured = scheme.endpoints.authorization.as_ref();
    let endpoint = visit
        .context()
        .needed_endpoint(scheme, configured, |metadata| {
            metadata.authorization_endpoint.as_ref()
        })?;
    let keyring = visit.people.sessions.keyring();
    let sent = flow.send(keyring, browser, visit.random()?);
    let sent = sent.ok_or(Problem::State)?;
    let redirect_uri = visit.redirect_uri(scheme)?;
    let request = (aim, redirect_uri.as_str(), &sent);
    let url = match push(visit, scheme, request)? {
        Some(request_uri) => authorize::url_of_pushed(&endpoint, scheme, &request_uri),
        None => authorize::url(&endpoint, scheme, aim, &redirect_uri, &sent),
    };
    // Cookies that are no session stay until one takes their place: another tab may be faster.
    Ok(Answer {
        what: "the way to a provider",
        outcome: Outcome::Begun,
        response: see_other(&url, cookies),
    })
}

/// Tells the provider of the request before the browser comes (RFC 9126), where the configuration or
/// the provider wants that. It is the `request_uri` that the browser brings there.
///
/// A decision that is made anew seals another `state`, which is not used. The provider has the one
/// of the decision that asked.
fn push(
    visit: &Visit<'_>,
    scheme: &Scheme,
    request: (Aim, &str, &Sent),
) -> Result<Option<String>, Obstacle> {
    let context = visit.context();
    let configured = scheme.endpoints.pushed_authorization.as_ref();
    if configured.is_none() {
        // Other providers have no metadata, so there is nothing to wait for.
        let is_discovered = visit.config.providers[scheme.provider].keys.is_discovered();
        if !is_discovered || !context.metadata(scheme)?.requires_pushed_requests {
            return Ok(None);
        }
    }
    let uri = configured.and_then(|upstream| upstream.uri.as_ref());
    let uri = &context.needed_endpoint(scheme, uri, |metadata| {
        metadata.pushed_authorization_request_endpoint.as_ref()
    })?;
    let upstream = configured.unwrap_or(&scheme.endpoints.token);
    let flow = visit.people.steady("push")?;
    let question = token_call::push(scheme, Place { uri, upstream }, &flow, request);
    match visit.basis.facts.answer(&question) {
        Finding::Pending => Err(Obstacle::Await(Need::Answer(Box::new(question)))),
        Finding::Unavailable { retry_after } => Err(Problem::Unavailable(retry_after).into()),
        Finding::Ready(Err(_)) => Err(Problem::Push.into()),
        Finding::Ready(Ok(answer)) => pushed::request_uri(&answer).map(Some).map_err(|error| {
            log::warn!("scheme {}: a pushed request: {error}", scheme.name);
            Problem::by_push(error).into()
        }),
    }
}
