//! The steps of a decision, for a listener.

use super::unsatisfied::Unsatisfied;
use crate::config::{Otherwise, OwnPath, Provider, Scheme, SchemeId};
use crate::desk::signer::Event as SignerEvent;
use crate::http::ambiguous::Ambiguous;
use crate::http::credentials::{Extracted, Place};
use crate::http::path::UnsafePath;
use crate::jose::event::Event as TokenEvent;
use crate::policy::Event as PolicyEvent;
use crate::sign_in::{Event as SignInEvent, Visit};
use crate::trace::Trace;

/// A step of a decision, in the order in which they happen. Steps about rules are
/// [`crate::policy::Event`], about a token [`crate::jose::event::Event`], about the search for its
/// key [`crate::desk::signer::Event`], about a browser that comes back [`crate::sign_in::Event`].
#[derive(Clone, Copy)]
pub enum Event<'e> {
    /// The path in the form that rules are compared with, or why it has none.
    Path(Result<&'e str, UnsafePath>),
    /// The path has escaped slashes.
    EscapedSlashes {
        /// With them as they stand, and with slashes in their place.
        readings: &'e [String; 2],
        /// Whether one rule is for both, and takes such paths.
        decided: bool,
    },
    /// There is no path, and the route names a requirement.
    NoPath,
    /// The part of the request that Envoy chose the route by and read in another way than rules do.
    OtherRoute(Ambiguous),
    /// A CORS preflight passes.
    Preflight,
    /// The route names a requirement, which may be unknown.
    Named {
        /// The name as the route has it, not always UTF-8.
        name: &'e [u8],
        /// Whether the configuration has a requirement of this name.
        is_known: bool,
    },
    /// A place for tokens was looked at.
    Place {
        /// Where it was.
        place: &'e Place,
        /// The tokens there, or why there are none.
        found: &'e Extracted<'e>,
    },
    /// So many different tokens must have a part in the requirement.
    Tokens(u32),
    /// One of so many requirements must be satisfied: those that come next, up to `EndOfAny`.
    Any(usize),
    /// So many of them were not looked at, since an earlier one satisfies everything.
    NotAsked(usize),
    /// The requirements of `Any` end. The value says what happens if none of them was satisfied.
    EndOfAny(Otherwise),
    /// Each of so many requirements must be satisfied: those that come next.
    All(usize),
    /// A token of this provider is asked for.
    Demand(&'e Provider),
    /// A session of this scheme is asked for, and there is one that counts, or not.
    Session {
        /// The scheme.
        id: SchemeId,
        /// Why no session counts.
        outcome: Result<(), Unsatisfied>,
        /// The visit, which has the outcome of its cookies. `None` where nobody can sign in.
        visit: Option<&'e Visit<'e>>,
    },
    /// A path of the filter's own was answered.
    Visited {
        /// The scheme of the path.
        id: SchemeId,
        /// The visit.
        visit: &'e Visit<'e>,
    },
    /// The path is one of the filter's own paths.
    OwnPath {
        /// The scheme of the path.
        scheme: &'e Scheme,
        /// Which of its paths it is.
        path: OwnPath,
    },
    /// The token that is there for the demand.
    Token(&'e [u8]),
    /// The provider found it good for another demand.
    FoundGoodBefore,
    /// The provider verified it for another request.
    Cached,
    /// The provider's keys did not verify it for another demand.
    FoundBadBefore,
    /// The demand is satisfied, or why it is not.
    Demanded(Result<(), Unsatisfied>),
    /// So many tokens are taken, or why the requirement is not satisfied.
    Satisfied(Result<usize, Unsatisfied>),
    /// Whether one of the tokens allows what the rule is about.
    Authorized(bool),
}

/// Hears every step of a decision.
pub trait Listener:
    for<'e> Trace<Event<'e>>
    + for<'e> Trace<PolicyEvent<'e>>
    + for<'e> Trace<TokenEvent<'e>>
    + for<'e> Trace<SignerEvent<'e>>
    + for<'e> Trace<SignInEvent<'e>>
{
}

impl<T> Listener for T where
    T: for<'e> Trace<Event<'e>>
        + for<'e> Trace<PolicyEvent<'e>>
        + for<'e> Trace<TokenEvent<'e>>
        + for<'e> Trace<SignerEvent<'e>>
        + for<'e> Trace<SignInEvent<'e>>
{
}
