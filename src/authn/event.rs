//! What is told of a request while it is decided.

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

/// What is told of a request, in the order in which it is decided. Of its rule tells
/// [`crate::policy::Event`], of a token [`crate::jose::event::Event`], of the search for its key
/// [`crate::desk::signer::Event`], of a browser that comes back [`crate::sign_in::Event`].
#[derive(Clone, Copy)]
pub enum Event<'e> {
    /// The path in the form that rules are compared with, or why it has none.
    Path(Result<&'e str, UnsafePath>),
    /// There is none, and the route asks for something.
    NoPath,
    /// What Envoy has chosen the route by and did not read as rules do.
    OtherRoute(Ambiguous),
    /// A CORS preflight passes.
    Preflight,
    /// The route asks for what has this name, which may be unknown.
    Named {
        /// The name as the route has it, not always UTF-8.
        name: &'e [u8],
        /// Whether the configuration has a requirement of this name.
        is_known: bool,
    },
    /// A place where a token may be was looked at.
    Place {
        /// Where it was.
        place: &'e Place,
        /// The tokens there, or why there are none.
        found: &'e Extracted<'e>,
    },
    /// So many different tokens have to have a part in the requirement.
    Tokens(u32),
    /// One of so many requirements is to be satisfied: those that come next, up to `EndOfAny`.
    Any(usize),
    /// So many of them were not asked, for one before them leaves nothing to ask for.
    NotAsked(usize),
    /// The requirements of `Any` end, and this happens where none of them was satisfied.
    EndOfAny(Otherwise),
    /// Each of so many requirements is to be satisfied: those that come next.
    All(usize),
    /// A token of this provider is asked for.
    Demand(&'e Provider),
    /// A session by this scheme is asked for: whether there is one that counts.
    Session {
        /// The scheme.
        id: SchemeId,
        /// Why there is none, or none that counts.
        outcome: Result<(), Unsatisfied>,
        /// The request's, which tells what its cookies came to. None where nobody can sign in.
        visit: Option<&'e Visit<'e>>,
    },
    /// A path of the filter's own was answered.
    Visited {
        /// Whose path it is.
        id: SchemeId,
        /// The request's.
        visit: &'e Visit<'e>,
    },
    /// The path is one of the filter's own.
    OwnPath {
        /// Whose path it is.
        scheme: &'e Scheme,
        /// Which one.
        path: OwnPath,
    },
    /// Its token.
    Token(&'e [u8]),
    /// The provider found it good for another demand.
    FoundGoodBefore,
    /// The provider verified it for another request.
    Cached,
    /// The provider's keys did not verify it for another demand.
    FoundBadBefore,
    /// The token does for the demand, or why there is none that does.
    Demanded(Result<(), Unsatisfied>),
    /// So many tokens are taken, or why the requirement is not satisfied.
    Satisfied(Result<usize, Unsatisfied>),
    /// Whether one of the tokens allows what the rule is about.
    Authorized(bool),
}

/// Somebody who listens to all that a decision tells.
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
