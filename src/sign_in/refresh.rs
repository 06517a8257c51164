//! A session is refreshed before its tokens end (RFC 6749 section 6, OpenID Connect Core 1.0
//! section 12, RFC 9700 section 4.14).
//!
//! Invariants:
//! - the result of a refresh depends only on the session and the provider's answer, so every
//!   request with the earlier session gets the same new session;
//! - a session whose tokens have ended counts only after the provider has confirmed it. It is over
//!   where the provider refuses its refresh token. While its tokens are good it goes on then;
//! - a session that an answer of the provider makes another person's is over at once;
//! - a refresh is asked for by a request that waits for it, because the response must bring the new
//!   session to the browser: the old one has a refresh token that is used up. A request that does
//!   not wait asks for none.

use std::rc::Rc;
use std::time::Duration;

use super::context::Context;
use super::id_token::{self, IdToken};
use super::obstacle::Obstacle;
use super::problem::Problem;
use super::token_call::{self, Place, Spending};
use super::token_reply::{self, Refreshed, Refusal, TokenError};
use super::verified::verified;
use crate::config::Scheme;
use crate::desk::Need;
use crate::document::finding::Finding;
use crate::session::life::{Refreshing, Session, Standing};

/// The wait before the next try where the last one brought nothing that can be used.
const AGAIN_AFTER: Duration = Duration::from_secs(10);

/// How long ago an answer may have come whose tokens have ended since, or ended at once, in seconds.
/// The requests that waited for it are decided in this time.
const JUST_NOW: u64 = 2;

/// How many refreshes are followed from an old session to its newest one. Answers are kept for ten
/// minutes, so there are more only where tokens live for less than a minute.
const MOST_STEPS: usize = 16;

/// Whether a request waits for a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// It waits.
    Waits,
    /// It waits only where the session does not count without a refresh.
    OnlyIfItMust,
}

/// What happens to a session that a request relies on.
pub(super) enum Outcome {
    /// The session counts as it is.
    Stays,
    /// This session replaces it.
    Renewed(Box<Session>),
    /// The session is over.
    Over,
    /// A fact is missing.
    Await(Need),
    /// The session may be good, but nobody can say so now.
    Unavailable(Duration),
}

/// Refreshes a session that is alive, if a refresh is due. It is refreshed again if the tokens have
/// ended since.
pub(super) fn refresh(
    context: &Context<'_>,
    scheme: &Scheme,
    session: &Session,
    patience: Patience,
) -> Outcome {
    let is_good = match session.standing(context.unix_seconds()) {
        Standing::Good => return Outcome::Stays,
        Standing::Due => true,
        Standing::Over => false,
    };
    let without = |otherwise| if is_good { Outcome::Stays } else { otherwise };
    match newest(context, scheme, session) {
        Ok(renewed) => Outcome::Renewed(Box::new(renewed)),
        Err(Obstacle::Await(_)) if is_good && patience == Patience::OnlyIfItMust => Outcome::Stays,
        Err(Obstacle::Await(need)) => Outcome::Await(need),
        Err(Obstacle::Problem(Problem::IdToken)) => Outcome::Over,
        // Another Envoy may have used the token, so the browser may have a newer session by now.
        Err(Obstacle::Problem(Problem::Tokens(TokenError::Refused(refusal))))
            if !matches!(refusal, Refusal::InvalidClient | Refusal::Other) =>
        {
            without(Outcome::Over)
        }
        Err(Obstacle::Problem(Problem::Unavailable(wait))) => without(Outcome::Unavailable(wait)),
        Err(_) => without(Outcome::Unavailable(AGAIN_AFTER)),
    }
}

/// The session that counts in place of this one. Whoever comes with a session of several refreshes
/// ago is led from each to the next.
fn newest(context: &Context<'_>, scheme: &Scheme, session: &Session) -> Result<Session, Obstacle> {
    let now = context.unix_seconds();
    let (mut at, mut newest) = renewed(context, scheme, session)?;
    for _ in 1..MOST_STEPS {
        if newest.standing(now) != Standing::Over || now <= at.saturating_add(JUST_NOW) {
            return Ok(newest);
        }
        (at, newest) = renewed(context, scheme, &newest)?;
    }
    Err(Problem::Tokens(TokenError::Refused(Refusal::InvalidGrant)).into())
}

/// The session with the tokens for its refresh token, and the time when they came, in Unix seconds.
fn renewed(
    context: &Context<'_>,
    scheme: &Scheme,
    session: &Session,
) -> Result<(u64, Session), Obstacle> {
    let (answered_at, tokens) = ask(context, scheme, session)?;
    let verified = match &tokens.id_token {
        Some(text) => Some(verified(
            context,
            scheme,
            text.as_bytes(),
            answered_at as f64,
        )?),
        None => None,
    };
    let token = tokens.id_token.as_deref().zip(verified.as_ref());
    let token = token.map(|(text, verified)| IdToken { text, verified });
    let times = (answered_at, context.unix_seconds());
    let renewed = id_token::refresh(session.clone(), scheme, token, &tokens.grant, times);
    let renewed = renewed.map_err(|why| {
        log::warn!("scheme {}: {why}", scheme.name);
        Problem::IdToken
    })?;
    Ok((answered_at, renewed))
}

/// The tokens for a session's refresh token, and the time when they came, in Unix seconds.
fn ask(
    context: &Context<'_>,
    scheme: &Scheme,
    session: &Session,
) -> Result<(u64, Refreshed), Obstacle> {
    let refused = Problem::Tokens(TokenError::Refused(Refusal::InvalidGrant));
    let tokens = session.tokens.as_ref();
    let token = tokens.and_then(|tokens| tokens.refresh.as_deref());
    let token = token.filter(|_| scheme.use_refresh_token);
    let Some((refresh_token, Refreshing { number, .. })) = token.zip(session.refreshing) else {
        // The configuration no longer uses it.
        return Err(refused.into());
    };
    let upstream = &scheme.endpoints.token;
    let uri = &context.needed_endpoint(scheme, upstream.uri.as_ref(), |metadata| {
        metadata.token_endpoint.as_ref()
    })?;
    let spending = Spending {
        session: session.id,
        number,
        refresh_token,
    };
    let keyring = context.people.sessions.keyring();
    let question = token_call::refresh(scheme, Place { uri, upstream }, spending, keyring);
    let answer = match context.basis.facts.answer(&question) {
        Finding::Pending => return Err(Obstacle::Await(Need::Answer(Box::new(question)))),
        Finding::Unavailable { retry_after } => {
            return Err(Problem::Unavailable(retry_after).into());
        }
        // Nobody knows whether the provider took the token.
        Finding::Ready(Err(_)) => return Err(Problem::Unavailable(AGAIN_AFTER).into()),
        Finding::Ready(Ok(answer)) => Rc::clone(&answer),
    };
    let tokens = token_reply::refreshed(&answer).map_err(|error| {
        log::warn!("scheme {}: no refresh: {error}", scheme.name);
        Problem::Tokens(error)
    })?;
    Ok((answer.at, tokens))
}
