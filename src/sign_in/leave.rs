//! Somebody signs out (OpenID Connect RP-Initiated Logout 1.0 section 2).
//!
//! Invariants: a page of another site cannot sign anybody out without a question to the person. The
//! cookies are deleted whatever the provider's metadata say, and also where there are no metadata.
//! A copy of the cookies is over before anybody is told so.

use std::rc::Rc;

use super::obstacle::Obstacle;
use super::sessions::Opened;
use super::sign_out;
use super::token_call::{self, Place, TokenKind};
use super::visit::{NotYet, Visit};
use super::{Answer, By, Outcome, SignOut, add_cookies, page, see_other};
use crate::config::{OwnPath, Scheme, SchemeId};
use crate::desk::question::Question;
use crate::ended::Ending;
use crate::http::response::Response;
use crate::session::browser;
use crate::session::life::Session;

pub(super) fn leave(visit: &Visit<'_>, id: SchemeId) -> Result<Answer, Obstacle> {
    let scheme = visit.scheme(id);
    let session = visit.present(id);
    let page = |response: Response| {
        let mut response = response;
        add_cookies(&mut response, visit.deletions());
        Ok(Answer {
            what: "a page about a sign-out",
            outcome: Outcome::Other,
            response,
        })
    };
    if browser::is_navigation(visit.request) && session.is_none() {
        return page(page::signed_out(scheme.path(OwnPath::SignIn)));
    }
    if let Err(cross_site) = browser::vet_sign_out(visit.request, &visit.sign_in.sites) {
        return match scheme.path(OwnPath::SignOut) {
            Some(path) if browser::is_navigation(visit.request) => {
                page(page::confirm_sign_out(path))
            }
            _ => Err(cross_site.into()),
        };
    }
    let configured = scheme.endpoints.end_session.as_ref();
    let endpoint = visit.context().endpoint(scheme, configured, |metadata| {
        metadata.end_session_endpoint.as_ref()
    });
    let endpoint = match endpoint {
        Err(wait @ Obstacle::Await(_)) => return Err(wait),
        // The metadata cannot be had now. The cookies are deleted all the same.
        Err(_) => None,
        Ok(endpoint) => endpoint,
    };
    let whole = match &session {
        Some(ticket) => whole(visit, id, ticket)?,
        None => None,
    };
    let mut errands = Vec::new();
    if let Some(opened) = &whole {
        errands.extend(revocation(visit, scheme, opened.session())?);
    }
    if let Some(opened) = &session {
        errands.extend(visit.removal(id, opened.session()));
    }
    let landing = &scheme.post_logout_redirect_path;
    let url = match (&endpoint, visit.site()) {
        (Some(endpoint), Ok(site)) => {
            let landing = format!("{}{landing}", site.origin());
            let tokens = whole
                .as_ref()
                .and_then(|open| open.session().tokens.as_ref());
            let id_token = tokens.and_then(|tokens| tokens.id.as_deref());
            sign_out::url(endpoint, scheme, id_token, &landing, None)
        }
        _ => landing.clone(),
    };
    let mut set = scheme.session_cookie.delete(visit.request);
    if let Some(browser) = visit.browser(scheme) {
        set.extend(visit.note(scheme, &browser.signed_out())?);
    }
    let sign_out = SignOut {
        by: By::Person,
        ending: session.as_ref().map(|open| Ending::of(open.known())),
        errands,
    };
    Ok(Answer {
        what: "a sign-out",
        outcome: Outcome::SignedOut(Box::new(sign_out)),
        response: see_other(&url, set),
    })
}

/// The session with its tokens, where they are to be had: it ends also where the shared store does not
/// answer.
fn whole(
    visit: &Visit<'_>,
    id: SchemeId,
    ticket: &Rc<Opened>,
) -> Result<Option<Rc<Opened>>, Obstacle> {
    match visit.whole(id, ticket) {
        Ok(whole) => Ok(whole),
        Err(wait @ NotYet::Await(_)) => Err(wait.into()),
        Err(_) => {
            let name = &visit.scheme(id).name;
            log::warn!(
                "scheme {name}: a token is not revoked, for the shared store does not answer"
            );
            Ok(None)
        }
    }
}

/// How the tokens of a session are revoked (RFC 7009), where it keeps one and the provider can be
/// asked. The refresh token is revoked with everything that came from it, or else the access token.
fn revocation(
    visit: &Visit<'_>,
    scheme: &Scheme,
    session: &Session,
) -> Result<Option<Question>, Obstacle> {
    let Some(tokens) = &session.tokens else {
        return Ok(None);
    };
    let is_alive = tokens.access_expires.is_none_or(|end| visit.now() < end);
    let access = tokens.access.as_deref().filter(|_| is_alive);
    let refresh = tokens.refresh.as_deref();
    let refresh = refresh.map(|token| (token, TokenKind::Refresh));
    let Some((token, kind)) = refresh.or(access.map(|token| (token, TokenKind::Access))) else {
        return Ok(None);
    };
    let configured = scheme.endpoints.revocation.as_ref();
    let uri = configured.and_then(|upstream| upstream.uri.as_ref());
    let uri = visit.context().endpoint(scheme, uri, |metadata| {
        metadata.revocation_endpoint.as_ref()
    });
    let uri = match uri {
        Err(wait @ Obstacle::Await(_)) => return Err(wait),
        Err(_) => {
            log::warn!(
                "scheme {}: a token is not revoked, for the provider's metadata are not to be had",
                scheme.name
            );
            None
        }
        Ok(uri) => uri,
    };
    let upstream = configured.unwrap_or(&scheme.endpoints.token);
    Ok(uri.map(|uri| {
        let place = Place {
            uri: &uri,
            upstream,
        };
        token_call::revoke(scheme, place, token, kind)
    }))
}
