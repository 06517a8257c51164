//! A page of the provider makes a browser tell that a session has ended (OpenID Connect
//! Front-Channel Logout 1.0 section 2).
//!
//! Invariants: nobody signs what is told here, so it is only a claim, except about the session whose own
//! cookie comes with it. A claim ends only what has its `sid`, and takes no room from what was proven.
//! Whoever comes with ever new sessions of their own makes room with their older ones, as by signing out.

use super::obstacle::Obstacle;
use super::problem::Problem;
use super::query::parameter;
use super::visit::Visit;
use super::{Answer, By, Outcome, SignOut, add_cookies, page};
use crate::config::SchemeId;
use crate::ended::{Ending, Mark};
use crate::session::CLOCK_SKEW;
use crate::session::browser;

pub(super) fn logout(visit: &Visit<'_>, id: SchemeId) -> Result<Answer, Obstacle> {
    let scheme = visit.scheme(id);
    if browser::is_prefetch(visit.request) {
        return Err(Problem::Prefetch.into());
    }
    let (told_issuer, sid) = (
        parameter(visit.request, "iss")?,
        parameter(visit.request, "sid")?,
    );
    let sid = sid.as_deref().and_then(|sid| std::str::from_utf8(sid).ok());
    let sid = sid.filter(|sid| !sid.is_empty());
    let issuer = told_issuer
        .as_deref()
        .and_then(|iss| std::str::from_utf8(iss).ok());
    let issuer = issuer.filter(|issuer| scheme.id_token.issuer.allows(issuer));
    let (Ok(b"GET"), Some(issuer), Some(sid)) = (visit.request.method(), issuer, sid) else {
        return Ok(Answer {
            what: "a front-channel logout that is refused",
            outcome: Outcome::LogoutRefused,
            response: page::empty(400),
        });
    };
    let own = visit.present(id);
    let mark = Mark::of_sid(issuer, sid);
    let own = own.filter(|open| open.known().has(&mark));
    // The provider's clock, by which a session has its time, may be ahead by as much as its tokens'.
    let ahead = CLOCK_SKEW.max(scheme.id_token.clock_skew_seconds);
    let until = visit.now().saturating_add(ahead);
    let mut response = page::empty(200);
    let mut ending = Ending::default();
    let mut errands = Vec::new();
    if let Some(open) = own {
        add_cookies(&mut response, scheme.session_cookie.delete(visit.request));
        ending = Ending::of(open.known());
        errands.extend(visit.removal(id, open.session()));
    }
    let earliest = visit.now().saturating_sub(visit.sign_in.longest_session());
    Ok(Answer {
        what: "a front-channel logout",
        outcome: Outcome::SignedOut(Box::new(SignOut {
            by: By::FrontChannel,
            ending: Some(ending.and_claimed(mark, until, earliest)),
            errands,
        })),
        response,
    })
}
