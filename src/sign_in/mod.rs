//! Signing in with an OpenID provider (OpenID Connect Core 1.0 section 3.1): the filter's own
//! paths, what is sent to the provider, what its answers must say, and what people see.
//!
//! Invariants: every answer here comes from a fixed text, the configuration, or a URL that was
//! vetted. No answer may be stored on the way.

mod attempt;
pub mod authorize;
mod backchannel;
mod begin;
mod callback;
mod context;
pub mod drawn_key;
mod entry;
mod event;
mod frontchannel;
pub mod id_token;
mod leave;
mod logout_token;
mod obstacle;
pub mod page;
mod problem;
pub mod pushed;
mod query;
mod refresh;
pub mod session_json;
mod sessions;
pub mod sign_out;
mod store_call;
pub mod token_call;
pub mod token_reply;
mod verified;
mod visit;

#[cfg(test)]
mod fixtures;

use crate::config::{OwnPath, Scheme, SchemeId};
use crate::desk::Need;
use crate::desk::question::Question;
use crate::ended::Ending;
use crate::http::response::{Rejection, Response};
use crate::http::retry_after::whole_seconds;
use crate::trace::Trace;

pub use context::{Entropy, People, Steady};
pub use event::Event;
pub use problem::Problem;
pub use sessions::{Opened, Sessions};
pub use store_call::SHARED_STORE;
pub use visit::{NoUse, NotYet, Renewal, Visit};

use attempt::Attempt;
use authorize::Aim;
use obstacle::Obstacle;
use query::parameter;

/// What happens to a request that the filter answers itself.
#[derive(Debug)]
pub enum Step {
    /// Answered like this.
    Answer(Answer),
    /// Rejected like any other request.
    Reject(Rejection<'static>),
    /// A fact is missing.
    Await(Need),
}

/// An answer, and what it means.
#[derive(Debug)]
pub struct Answer {
    /// What the answer is, for the log.
    pub what: &'static str,
    /// What it means for a sign-in.
    pub outcome: Outcome,
    /// The response that is sent in place of the upstream's.
    pub response: Response,
}

/// What an answer means for a sign-in, for the metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A browser is sent to a provider.
    Begun,
    /// There is a new session. The one whose place it takes is over, once this is done.
    Completed(Option<Box<Replaced>>),
    /// There is no session.
    Failed(Problem),
    /// Somebody says that a session has ended, and is not believed.
    LogoutRefused,
    /// There is no session any more, once this is done.
    SignedOut(Box<SignOut>),
    /// None of these.
    Other,
}

/// Who says that a session has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The person, here.
    Person,
    /// The provider, with a token.
    BackChannel,
    /// A page of the provider's, by a browser.
    FrontChannel,
}

/// A session whose place another one takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaced {
    /// It is over before the browser has the new one.
    pub ending: Ending,
    /// What is asked afterwards. Nobody waits for the answers.
    pub errands: Vec<Question>,
}

/// What is done before anybody is told that a session is over, and what is done after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignOut {
    /// Who says so.
    pub by: By,
    /// Whose sessions end; `None` where there was no session.
    pub ending: Option<Ending>,
    /// What the provider and the store are asked afterwards. Nobody waits for the answers.
    pub errands: Vec<Question>,
}

impl Outcome {
    /// What is done before anybody is told of it, and what is asked afterwards.
    #[must_use]
    pub fn deeds(&self) -> (Option<&Ending>, &[Question]) {
        match self {
            Self::Completed(Some(replaced)) => (Some(&replaced.ending), &replaced.errands),
            Self::SignedOut(sign_out) => (sign_out.ending.as_ref(), &sign_out.errands),
            Self::Completed(None)
            | Self::Begun
            | Self::Failed(_)
            | Self::LogoutRefused
            | Self::Other => (None, &[]),
        }
    }
}

/// Answers a request for one of the filter's own paths.
#[must_use]
pub fn answer(
    visit: &Visit<'_>,
    id: SchemeId,
    path: OwnPath,
    trace: &impl for<'e> Trace<Event<'e>>,
) -> Step {
    let answer = match path {
        OwnPath::SignIn => link(visit, id, Aim::SignIn),
        OwnPath::SignUp => link(visit, id, Aim::SignUp),
        OwnPath::Callback => callback::callback(visit, id, trace),
        OwnPath::SignOut => leave::leave(visit, id),
        OwnPath::Session => session(visit, id),
        OwnPath::BackchannelLogout => backchannel::logout(visit, id),
        OwnPath::FrontchannelLogout => frontchannel::logout(visit, id),
    };
    conclude(visit, id, Some(path), answer)
}

/// Sends somebody without a session to a provider. A person who asked for a page comes back to it.
/// Where there are several schemes, the person chooses one.
#[must_use]
pub fn begin(visit: &Visit<'_>, ids: &[SchemeId]) -> Option<Step> {
    let (first, others) = ids.split_first()?;
    let return_to = visit.request.path().unwrap_or_default();
    if others.is_empty() {
        let begun = match goes_round(visit, *first) {
            true => Err(Problem::TooManyRestarts.into()),
            false => begin::begin(visit, *first, Aim::SignIn, return_to),
        };
        return Some(conclude(visit, *first, None, begun));
    }
    let return_to = begin::vetted(visit, return_to);
    let schemes = ids.iter().map(|id| visit.scheme(*id));
    let links = schemes.filter_map(|scheme| {
        // Every scheme that people choose has a path to sign in at.
        let path = scheme.path(OwnPath::SignIn)?;
        Some((scheme.display_name.as_str(), begin::link(path, return_to)))
    });
    let links: Vec<(&str, String)> = links.collect();
    let choices = links.iter().map(|(name, path)| page::Choice { name, path });
    let mut response = page::chooser(&choices.collect::<Vec<_>>());
    add_cookies(&mut response, visit.deletions());
    Some(Step::Answer(Answer {
        what: "the page to choose a provider",
        outcome: Outcome::Other,
        response,
    }))
}

/// Whether the browser has just signed in a few times, and has no session all the same: it does not
/// keep the session, or sends it twice. Without a page the provider and we would send it to each
/// other for ever.
fn goes_round(visit: &Visit<'_>, id: SchemeId) -> bool {
    let scheme = visit.scheme(id);
    let browser = visit.browser(scheme);
    browser.is_some_and(|browser| browser.goes_round(&scheme.name, visit.now()))
}

/// A link that begins a sign-in or a sign-up.
fn link(visit: &Visit<'_>, id: SchemeId, aim: Aim) -> Result<Answer, Obstacle> {
    if !matches!(visit.request.method(), Ok(b"GET" | b"HEAD")) {
        return Err(Problem::Malformed.into());
    }
    let return_to = parameter(visit.request, "return_to")?;
    begin::begin(visit, id, aim, return_to.as_deref().unwrap_or(b"/"))
}

/// What a session says, for scripts.
fn session(visit: &Visit<'_>, id: SchemeId) -> Result<Answer, Obstacle> {
    let session = visit.session(id)?;
    let mut response = match &session {
        Some(opened) => session_json::signed_in(&visit.scheme(id).name, opened.session()),
        None => {
            let challenge = format!("Bearer realm=\"{}\"", visit.config.responses.realm);
            session_json::signed_out(visit.scheme(id).path(OwnPath::SignIn), &challenge)
        }
    };
    add_cookies(&mut response, visit.deletions());
    for renewal in visit.renewals() {
        add_cookies(&mut response, renewal.lines);
    }
    Ok(Answer {
        what: "a session as JSON",
        outcome: Outcome::Other,
        response,
    })
}

fn conclude(
    visit: &Visit<'_>,
    id: SchemeId,
    path: Option<OwnPath>,
    answer: Result<Answer, Obstacle>,
) -> Step {
    match answer {
        Ok(answer) => Step::Answer(answer),
        Err(Obstacle::Await(need)) => Step::Await(need),
        Err(Obstacle::Reject(rejection)) => Step::Reject(rejection),
        Err(Obstacle::Problem(problem)) => {
            let attempt = Attempt::that_failed(visit, id, path, problem);
            let mut response = failed(visit.scheme(id), problem, &attempt);
            add_cookies(&mut response, visit.deletions());
            Step::Answer(Answer {
                what: "a sign-in that fails",
                outcome: Outcome::Failed(problem),
                response,
            })
        }
    }
}

/// The response to a failed sign-in: a page of the filter's own, or one of the application.
fn failed(scheme: &Scheme, problem: Problem, attempt: &Attempt) -> Response {
    let mut response = match &scheme.error_redirect_path {
        // Where the host is not ours, none of its paths is ours.
        Some(path) if problem.retry_after().is_none() && problem != Problem::UnknownHost => {
            see_other(&format!("{path}?error={}", problem.name()), Vec::new())
        }
        _ => page::failure(&page::FailedSignIn {
            trouble: problem.trouble(),
            told: attempt.told.as_deref(),
            again: Some(&attempt.again),
        }),
    };
    if let Some(wait) = problem.retry_after() {
        let seconds = whole_seconds(wait).to_string();
        response.headers.push(("retry-after", seconds));
    }
    response
}

/// A redirect after which a browser asks by GET (RFC 9110 section 15.4.4). So the browser does not
/// send a form again, nor a password in it.
fn see_other(url: &str, set_cookies: Vec<String>) -> Response {
    let headers = [
        ("location", url),
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
    ];
    let mut response = Response::new(303, &headers, String::new());
    add_cookies(&mut response, set_cookies);
    response
}

fn add_cookies(response: &mut Response, set_cookies: Vec<String>) {
    let lines = set_cookies.into_iter().map(|line| ("set-cookie", line));
    response.headers.extend(lines);
}
