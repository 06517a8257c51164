//! A provider tells that sessions have ended (OpenID Connect Back-Channel Logout 1.0 sections 2.5 to
//! 2.8).
//!
//! Invariants: a session ends only by a token that one of the provider's keys signed and that says
//! so. The provider is told that the session has ended only after every worker knows it.

use std::borrow::Cow;

use super::logout_token::LogoutToken;
use super::obstacle::Obstacle;
use super::session_json::quoted;
use super::visit::Visit;
use super::{Answer, By, Outcome, SignOut};
use crate::config::SchemeId;
use crate::desk::Need;
use crate::desk::signer::Unverified;
use crate::http::request::{Body, Request};
use crate::http::response::{Rejection, Response};

/// The longest body that is read, in octets: a token of the longest kind, and some room.
const LONGEST_BODY: usize = 32 * 1024;

const WHAT: &str = "a provider that tells of a sign-out";
const FORM: &[u8] = b"application/x-www-form-urlencoded";

pub(super) fn logout(visit: &Visit<'_>, id: SchemeId) -> Result<Answer, Obstacle> {
    let scheme = visit.scheme(id);
    let refuse = |status, why: &str| {
        log::warn!(
            "scheme {}: a back-channel logout is refused: {why}",
            scheme.name
        );
        Ok(Answer {
            what: WHAT,
            outcome: Outcome::LogoutRefused,
            response: refused(status, why),
        })
    };
    if visit.request.method() != Ok(b"POST") || !is_form(visit.request) {
        return refuse(400, "it is no POST of a form");
    }
    let body = match visit.request.body() {
        None => return Err(Obstacle::Await(Need::Body(LONGEST_BODY))),
        Some(Body::TooLarge) => return refuse(413, "it is too large"),
        Some(Body::Whole(body)) => body,
    };
    let Some(token) = the_token(body) else {
        return refuse(400, "it has no logout_token, or several");
    };
    let verified = match visit.verify(scheme.provider, &scheme.logout_token, &token) {
        Ok(verified) => verified,
        Err(Unverified::Refused(error)) => return refuse(400, error.description()),
        Err(Unverified::AwaitKeys) => return Err(Obstacle::Await(Need::Keys(scheme.provider))),
        Err(Unverified::Unavailable(wait)) => {
            return Err(Obstacle::Reject(Rejection::keys_unavailable(wait)));
        }
    };
    let told = match LogoutToken::read(&verified, visit.now()) {
        Ok(told) => told,
        Err(why) => return refuse(400, &why.to_string()),
    };
    if visit.basis.facts.knows_token(&told.token) {
        return refuse(400, "the logout token was used before");
    }
    Ok(Answer {
        what: WHAT,
        outcome: Outcome::SignedOut(Box::new(SignOut {
            by: By::BackChannel,
            ending: Some(told.ending),
            errands: Vec::new(),
        })),
        response: Response::new(200, &[("cache-control", "no-store")], String::new()),
    })
}

/// Whether the request says that its body is a form, and nothing else.
fn is_form(request: &Request) -> bool {
    let mut types = request.values("content-type");
    let (first, second) = (types.next(), types.next());
    let media_type = first.and_then(|value| value.split(|byte| *byte == b';').next());
    second.is_none()
        && media_type.is_some_and(|found| found.trim_ascii().eq_ignore_ascii_case(FORM))
}

fn the_token(body: &[u8]) -> Option<Vec<u8>> {
    let mut tokens = form_urlencoded::parse(body).filter(|(name, _)| name == "logout_token");
    match (tokens.next(), tokens.next()) {
        (Some((_, token)), None) => Some(Cow::into_owned(token).into_bytes()),
        _ => None,
    }
}

/// The response to a refused logout token (section 2.8).
fn refused(status: u32, why: &str) -> Response {
    let why = quoted(why);
    let headers = [
        ("content-type", "application/json"),
        ("cache-control", "no-store"),
    ];
    let body = format!("{{\"error\":\"invalid_request\",\"error_description\":{why}}}");
    Response::new(status, &headers, body)
}
