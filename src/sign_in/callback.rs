//! A browser comes back from a provider (RFC 6749 section 4.1.2, RFC 9207, OpenID Connect Core 1.0
//! section 3.1.3).
//!
//! Invariants:
//! - only the browser that began the flow can redeem a code, and only for the issuer that the flow
//!   asked;
//! - a session is made only from an ID token whose signature and claims are verified;
//! - the session whose place it takes is over before the browser has the new one. A browser that
//!   loses the answer and asks again has no session by then, and gets the same new one, or begins
//!   again. Other tabs that sign in at the same time get sessions of their own.

use super::begin;
use super::event::Event;
use super::id_token::{self, IdToken};
use super::obstacle::Obstacle;
use super::problem::Problem;
use super::query::parameter;
use super::sessions::{Opened, known};
use super::token_call::{self, Place};
use super::token_reply::{self, Exchanged, Refusal, TokenError};
use super::verified::verified;
use super::visit::Visit;
use super::{Answer, Outcome, Replaced, see_other};
use crate::bytes;
use crate::config::{Scheme, SchemeId};
use crate::desk::Need;
use crate::document::finding::Finding;
use crate::ended::Ending;
use crate::session::browser;
use crate::session::flow::{Flow, Redeeming};
use crate::session::life::{Session, Standing};
use crate::trace::Trace;

pub(super) fn callback(
    visit: &Visit<'_>,
    id: SchemeId,
    trace: &impl for<'e> Trace<Event<'e>>,
) -> Result<Answer, Obstacle> {
    if browser::is_prefetch(visit.request) {
        return Err(Problem::Prefetch.into());
    }
    if visit.request.method() != Ok(b"GET") {
        return Err(Problem::Malformed.into());
    }
    let scheme = visit.scheme(id);
    let one = |name| parameter(visit.request, name);
    let (code, state) = (one("code")?, one("state")?);
    let (issuer, error) = (one("iss")?, one("error")?);
    let state = state.ok_or(Problem::Malformed)?;
    let keyring = visit.people.sessions.keyring();
    let flow = Flow::open(keyring, &scheme.scope, &state);
    trace.note(|| Event::State(flow.as_ref().map_err(|why| *why)));
    let flow = flow.map_err(|_| Problem::State)?;
    vet_issuer(visit, scheme, issuer.as_deref())?;
    let session = visit.present(id);
    // The same page was loaded again, or another tab was faster. Whether a session whose tokens have
    // ended counts is not known here.
    let is_done = |session: &Session| {
        session.standing(visit.now()) != Standing::Over && flow.is_needless(session.started)
    };
    if session.as_ref().is_some_and(|open| is_done(open.session())) {
        return Ok(back(&flow));
    }
    let browser = visit.browser(scheme);
    let redeeming = flow.redeem(keyring, browser.as_ref(), visit.now());
    trace.note(|| Event::Flow(redeeming.as_ref().map(|_| ()).map_err(|why| *why)));
    let Ok(redeeming) = redeeming else {
        // Where the tokens of a session have ended, its page would only begin anew, without a count.
        let is_over = |open: &Opened| open.session().standing(visit.now()) == Standing::Over;
        return match session {
            Some(open) if !is_over(&open) => Ok(back(&flow)),
            _ => begin::again(visit, id, &flow),
        };
    };
    if let Some(error) = error {
        return Err(Problem::by_provider(&error).into());
    }
    let code = code
        .as_deref()
        .and_then(|code| std::str::from_utf8(code).ok());
    let code = code
        .filter(|code| !code.is_empty())
        .ok_or(Problem::Malformed)?;
    let session_id = session_id(&redeeming, code);
    // This code has made the session, within the second in which its flow began.
    if session
        .as_ref()
        .is_some_and(|open| open.session().id == session_id)
    {
        return Ok(back(&flow));
    }
    let replaced = session;
    let exchanged = match exchange(visit, scheme, code, &redeeming)? {
        Ok(exchanged) => exchanged,
        // The code was used before, or its answer was lost. The provider may give another code, and
        // knows who it is for: an older session may be somebody else's.
        Err(TokenError::Refused(Refusal::InvalidGrant)) => {
            return begin::again(visit, id, &flow);
        }
        Err(error) => return Err(Problem::Tokens(error).into()),
    };
    let token = exchanged.id_token.as_bytes();
    let verified = verified(&visit.context(), scheme, token, visit.basis.now)?;
    // Of a provider with several tenants, both are the same one's.
    let of_token = verified.claims().issuer().map(str::as_bytes);
    if issuer.is_some() && issuer.as_deref() != of_token {
        return Err(Problem::Issuer.into());
    }
    let token = IdToken {
        text: &exchanged.id_token,
        verified: &verified,
    };
    let session = id_token::begin(
        scheme,
        token,
        &exchanged.grant,
        &redeeming.nonce,
        session_id,
        visit.now(),
    );
    let session = session.map_err(|why| {
        log::warn!("scheme {}: {why}", scheme.name);
        Problem::IdToken
    })?;
    let provider = &visit.config.providers[scheme.provider];
    let known = known(&session, provider);
    // A person who has signed out meanwhile, here or at the provider, must be asked there.
    if visit.basis.facts.is_over(&known) {
        return begin::again(visit, id, &flow);
    }
    if scheme.use_refresh_token && session.refreshing.is_none() {
        log::info!("scheme {}: the provider gave no refresh token", scheme.name);
    }
    let replaced = replaced.filter(|open| !open.known().is_same(&known));
    let replaced = replaced.map(|open| {
        Box::new(Replaced {
            ending: Ending::of(open.known()),
            errands: visit.removal(id, open.session()).into_iter().collect(),
        })
    });
    visit.keep(id, &session)?;
    let mut set = visit.put(id, session)?.lines;
    if let Some(browser) = browser {
        let browser = browser.signed_in(&scheme.name, visit.now());
        set.extend(visit.note(scheme, &browser)?);
    }
    Ok(Answer {
        what: "a new session",
        outcome: Outcome::Completed(replaced),
        response: see_other(flow.return_to(), set),
    })
}

/// What tells the session from others: the same for each request that brings the code, since the
/// provider's answer is kept for a while. Whoever signs out and loads the callback again has signed
/// out. Nobody can guess it: the verifier is in no URL.
fn session_id(redeeming: &Redeeming, code: &str) -> [u8; 16] {
    let verifier = redeeming.code_verifier.as_bytes();
    bytes::half_digest(&[b"session id", verifier, code.as_bytes()])
}

fn back(flow: &Flow) -> Answer {
    Answer {
        what: "the page of a session",
        outcome: Outcome::Other,
        response: see_other(flow.return_to(), Vec::new()),
    }
}

/// Checks that the answer comes from the issuer that was asked (RFC 9207 section 2.4).
fn vet_issuer(visit: &Visit<'_>, scheme: &Scheme, found: Option<&[u8]>) -> Result<(), Obstacle> {
    let expected = &scheme.id_token.issuer;
    let is_right = match found.map(std::str::from_utf8) {
        Some(found) => found.is_ok_and(|issuer| expected.allows(issuer)),
        None => !visit.context().metadata(scheme)?.has_iss_parameter,
    };
    if is_right {
        Ok(())
    } else {
        Err(Problem::Issuer.into())
    }
}

/// Redeems a code. A second request for the same code gets the answer of the first.
fn exchange(
    visit: &Visit<'_>,
    scheme: &Scheme,
    code: &str,
    redeeming: &Redeeming,
) -> Result<Result<Exchanged, TokenError>, Obstacle> {
    let upstream = &scheme.endpoints.token;
    let uri = &visit
        .context()
        .needed_endpoint(scheme, upstream.uri.as_ref(), |metadata| {
            metadata.token_endpoint.as_ref()
        })?;
    let redirect_uri = visit.redirect_uri(scheme)?;
    let question = token_call::exchange(
        scheme,
        Place { uri, upstream },
        code,
        &redirect_uri,
        &redeeming.code_verifier,
    );
    match visit.basis.facts.answer(&question) {
        Finding::Pending => Err(Obstacle::Await(Need::Answer(Box::new(question)))),
        Finding::Unavailable { retry_after } => Err(Problem::Unavailable(retry_after).into()),
        // Nobody knows whether the provider took the code.
        Finding::Ready(Err(_)) => Ok(Err(TokenError::Refused(Refusal::InvalidGrant))),
        Finding::Ready(Ok(answer)) => {
            let exchanged = token_reply::exchanged(&answer);
            if let Err(error) = &exchanged {
                log::warn!("scheme {}: {error}", scheme.name);
            }
            Ok(exchanged)
        }
    }
}
