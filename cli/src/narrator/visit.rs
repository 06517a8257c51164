//! Words for sessions and sign-ins.
//!
//! Invariant: no token, no claim's value and no secret stands in them, but whose session it is.

use bearer_gate::session::cookie::Torn;
use bearer_gate::session::flow::{Flow, LIFE, MAX_RESTARTS, Mismatch, StateError};
use bearer_gate::session::life::NoSession;
use bearer_gate::sign_in::{NoUse, Opened};

use super::words::distance_in_words;

/// Why cookies are no session, as what follows "the cookies".
pub(super) fn no_use_in_words(why: NoUse) -> &'static str {
    match why {
        NoUse::Torn(torn) => match torn {
            Torn::Duplicate => {
                "are there twice, and nothing is chosen among them: another program, another path or an old cookie added one"
            }
            Torn::Missing => {
                "lack a chunk (NAME.0, NAME.1 and so on): the browser dropped one, or the line was cut"
            }
            Torn::Surplus => "have a chunk too many: old ones and new ones are mixed",
            Torn::TooLarge => "are larger than cookie.max_bytes",
            Torn::Malformed => "do not begin with the number of their chunks",
        },
        NoUse::Host => "are of one host, and the request has none with a single meaning (--host)",
        NoUse::Ended => "are of a session that was ended",
        NoUse::Lost => "are the ticket of a session that the shared store does not have",
        NoUse::Session(why) => match why {
            NoSession::Malformed => {
                "are not base64url: they were altered on their way, or put in quotes"
            }
            NoSession::UnknownKey => "were sealed with a key that is not among cookie_keys",
            NoSession::Broken => "do not open: altered, or sealed for another scheme or host",
            NoSession::Format => "open, and are of another version of the filter",
            NoSession::Tenant => "open, and are of a tenant that is not in the provider's tenants",
            NoSession::Idle => {
                "open, and the session is over: nothing was heard of it for idle_timeout"
            }
            NoSession::Expired => {
                "open, and the session is over: it has reached max_duration, or without idle_timeout the end of its ID token"
            }
            NoSession::Times => {
                "open, and the session begins or was seen in the future: a clock is wrong"
            }
        },
    }
}

/// What a session says, each on its line. `entry` is the key of the shared store that has its claims and
/// tokens, where that has them.
pub(super) fn session_in_words(opened: &Opened, entry: Option<&str>, now: f64) -> Vec<String> {
    let session = opened.session();
    let at = |time: u64| distance_in_words(time as f64 - now);
    let mut lines = vec![
        match &session.issuer {
            Some(issuer) => format!("sub is {} of {issuer}", session.subject),
            None => format!("sub is {}", session.subject),
        },
        format!(
            "signed in {}, last seen {}, ends {} if nothing is heard of it, and {} at the latest",
            at(session.started),
            at(session.seen),
            at(session.ends()),
            at(session.expires)
        ),
    ];
    if let Some(time) = session.auth_time {
        lines.push(format!("proved who they are {}", at(time)));
    }
    if session.sid.is_some() {
        lines.push("has the provider's sid".to_owned());
    }
    match entry {
        Some(entry) => lines.push(format!(
            "its claims and tokens are in the shared store, under {entry}, and explain does not ask it"
        )),
        None => lines.extend([claims_in_words(opened), tokens_in_words(opened, now)]),
    }
    if opened.is_due(u64::try_from(now as i64).unwrap_or_default()) {
        lines.push("is sealed anew with the answer to this request".to_owned());
    }
    lines
}

fn claims_in_words(opened: &Opened) -> String {
    let claims = opened.claims().all().to_value();
    let names = claims.as_object().into_iter().flatten();
    let names: Vec<&str> = names.map(|(name, _)| name.as_str()).collect();
    match names.is_empty() {
        true => "keeps no claims".to_owned(),
        false => format!("keeps the claims {}", names.join(", ")),
    }
}

fn tokens_in_words(opened: &Opened, now: f64) -> String {
    let tokens = opened.session().tokens.as_ref();
    let mut kept = Vec::new();
    if tokens.is_some_and(|tokens| tokens.id.is_some()) {
        kept.push("the ID token".to_owned());
    }
    if let Some(tokens) = tokens.filter(|tokens| tokens.access.is_some()) {
        let ends = tokens
            .access_expires
            .map(|time| format!(", which ends {}", distance_in_words(time as f64 - now)));
        kept.push(format!("the access token{}", ends.unwrap_or_default()));
    }
    if tokens.is_some_and(|tokens| tokens.refresh.is_some()) {
        kept.push("the refresh token".to_owned());
    }
    match kept.is_empty() {
        true => "keeps no tokens".to_owned(),
        false => format!("keeps {}", kept.join(", ")),
    }
}

/// The `state` of a callback.
pub(super) fn state_in_words(state: Result<&Flow, StateError>, now: f64) -> String {
    match state {
        Ok(flow) => {
            let begun = distance_in_words(flow.begun() as f64 - now);
            format!("state is ours: a sign-in that began {begun}, for {}", flow.return_to())
        }
        Err(StateError::Malformed) => "state is not ours: it is no base64url, or too long".to_owned(),
        Err(StateError::UnknownKey) => "state was sealed with a key that is not among cookie_keys: it was removed, or another gateway began this".to_owned(),
        Err(StateError::Broken) => "state does not open: altered, of another scheme, or never ours".to_owned(),
    }
}

/// Whether the browser may go on.
pub(super) fn flow_in_words(flow: Result<(), Mismatch>) -> String {
    let minutes = LIFE / 60;
    let again = format!("the sign-in begins again, {MAX_RESTARTS} times at most");
    match flow {
        Ok(()) => "this browser began it, and lately".to_owned(),
        Err(Mismatch::Expired) => format!("it began more than {minutes} minutes ago: {again}"),
        Err(Mismatch::Future) => format!("it begins in the future, so a clock is wrong: {again}"),
        Err(Mismatch::NoBrowser) => format!(
            "the request has no cookie bg_browser, by which the browser that began it is known: {again}"
        ),
        Err(Mismatch::OtherBrowser) => format!("another browser began it: {again}"),
        Err(Mismatch::UnknownKey) => format!("its key is not there any more: {again}"),
    }
}
