//! A sign-in that failed. The page that says so has a link to try again.
//!
//! Invariant: a link leads only to a URL that was vetted. A provider's words are shown only to the
//! browser that began the flow.

use super::begin;
use super::problem::Problem;
use super::query::parameter;
use super::visit::Visit;
use crate::config::{OwnPath, SchemeId};
use crate::http::request::Request;
use crate::session::flow::Flow;

/// A sign-in, or a request that would have begun one.
pub(super) struct Attempt {
    /// Where it can be tried again.
    pub again: String,
    /// What the provider says of it (`error_description`, RFC 6749 section 4.1.2.1).
    pub told: Option<String>,
}

impl Attempt {
    /// Reads from a request what was tried. `path` is the filter's own path that was asked for. It
    /// is `None` where a rule asks for a session.
    pub(super) fn that_failed(
        visit: &Visit<'_>,
        id: SchemeId,
        path: Option<OwnPath>,
        problem: Problem,
    ) -> Self {
        let scheme = visit.scheme(id);
        let return_to = return_to(visit, id, path);
        let begins = match path {
            Some(OwnPath::SignUp) => OwnPath::SignUp,
            _ => OwnPath::SignIn,
        };
        let told = match problem {
            // Only the browser that began the flow gets it. That was checked before.
            Problem::Provider(_) => description(visit.request),
            _ => None,
        };
        Self {
            again: match scheme.path(begins) {
                Some(begins) => begin::link(begins, &return_to),
                // A page that asks for a session begins the sign-in itself.
                None => return_to,
            },
            told,
        }
    }
}

/// What the provider says, in words: a `+` between them is a space (RFC 6749 appendix B).
fn description(request: &Request) -> Option<String> {
    const NAME: &str = "error_description";
    parameter(request, NAME).ok().flatten()?;
    let query = request.path()?.splitn(2, |byte| *byte == b'?').nth(1)?;
    let mut all = form_urlencoded::parse(query);
    let (_, words) = all.find(|(name, _)| name == NAME)?;
    Some(words.into_owned())
}

/// The page that the person wants to see.
fn return_to(visit: &Visit<'_>, id: SchemeId, path: Option<OwnPath>) -> String {
    let one = |name| parameter(visit.request, name).ok().flatten();
    let wanted = match path {
        None => visit.request.path().map(<[u8]>::to_vec),
        Some(OwnPath::SignIn | OwnPath::SignUp) => {
            one("return_to").map(std::borrow::Cow::into_owned)
        }
        Some(OwnPath::Callback) => one("state").and_then(|state| {
            let keyring = visit.people.sessions.keyring();
            let flow = Flow::open(keyring, &visit.scheme(id).scope, &state).ok()?;
            Some(flow.return_to().as_bytes().to_vec())
        }),
        Some(_) => None,
    };
    begin::vetted(visit, wanted.as_deref().unwrap_or(b"/")).to_owned()
}
