//! Whether one of a provider's keys signed a token: one of the keys that are there, or of newer
//! keys that come at once.
//!
//! Invariant: there is only one way to find the key of a token, for every kind of token.

use std::rc::Rc;
use std::time::Duration;

use super::facts::Basis;
use crate::config::ProviderId;
use crate::jose::event::Event as TokenEvent;
use crate::jose::jwks::{KeySet, Selection};
use crate::jose::jwt::{JwtError, Validated, Verified};
use crate::jose::verifier::Verifier;
use crate::jwks::keys::{Keys, UnknownKid};
use crate::trace::Trace;

/// How often a newer set can be found while one token is verified.
const MOST_RESELECTIONS: u32 = 3;

/// A step of the search for a token's key. Keys that are tried are steps of
/// [`crate::jose::event::Event`].
#[derive(Clone, Copy)]
pub enum Event<'e> {
    /// The provider's keys as they are.
    Keys {
        /// The provider.
        provider: ProviderId,
        /// Ready, pending or unavailable.
        keys: &'e Keys,
    },
    /// The keys that are for the token.
    Selected {
        /// All of the provider's keys.
        from: &'e KeySet,
        /// Those of them that may verify it (RFC 7515 section 6).
        keys: &'e Selection<'e>,
    },
}

/// Why a token is not verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unverified {
    /// No key of the provider signed it.
    Refused(JwtError),
    /// The provider's keys must be fetched first.
    AwaitKeys,
    /// The keys cannot be had now, and the next try is this far away.
    Unavailable(Duration),
}

/// Verifies a token of a provider. `keys` are those that the decision began with. The set that has
/// the token's key is returned with it.
///
/// # Errors
/// [`Unverified`].
pub fn verify<'t, T>(
    validated: &Validated<'t>,
    (provider, mut keys): (ProviderId, Keys),
    basis: &Basis<'_>,
    trace: &T,
) -> Result<(Rc<KeySet>, Verified<'t>), Unverified>
where
    T: for<'e> Trace<Event<'e>> + for<'e> Trace<TokenEvent<'e>>,
{
    let mut newest = JwtError::NoKey;
    for _ in 0..MOST_RESELECTIONS {
        trace.note(|| Event::Keys {
            provider,
            keys: &keys,
        });
        let set = match keys {
            Keys::Ready(set) => set,
            Keys::Pending => return Err(Unverified::AwaitKeys),
            Keys::Unavailable { retry_after } => return Err(Unverified::Unavailable(retry_after)),
        };
        let error = match by_set(validated, &set, basis.verifier, trace) {
            Ok(verified) => {
                let kid = validated.untrusted_header().kid.as_deref();
                basis.facts.used(provider, kid);
                return Ok((set, verified));
            }
            Err(Unsigned::Certainly(error)) => return Err(Unverified::Refused(error)),
            Err(Unsigned::ByThisSet(error)) => error,
        };
        let kid = validated.untrusted_header().kid.as_deref();
        match basis.facts.unknown_kid(provider, kid) {
            UnknownKid::Reselect => newest = error,
            UnknownKid::Wait => return Err(Unverified::AwaitKeys),
            UnknownKid::NoSuchKey => return Err(Unverified::Refused(error)),
            UnknownKid::Unavailable { retry_after } => {
                return Err(Unverified::Unavailable(retry_after));
            }
        }
        keys = basis.facts.keys(provider);
    }
    Err(Unverified::Refused(newest))
}

/// Why no key of a set signed a token.
enum Unsigned {
    Certainly(JwtError),
    /// A newer set may have the key. If this one is as new as can be, this is why the token is
    /// refused.
    ByThisSet(JwtError),
}

fn by_set<'t, T>(
    validated: &Validated<'t>,
    keys: &KeySet,
    verifier: &dyn Verifier,
    trace: &T,
) -> Result<Verified<'t>, Unsigned>
where
    T: for<'e> Trace<Event<'e>> + for<'e> Trace<TokenEvent<'e>>,
{
    let header = validated.untrusted_header();
    let selection = keys.candidates(header);
    trace.note(|| Event::Selected {
        from: keys,
        keys: &selection,
    });
    let candidates = match selection {
        Selection::Keys(candidates) => candidates,
        Selection::UnknownKid => return Err(Unsigned::ByThisSet(JwtError::NoKey)),
        Selection::NoMatch => return Err(Unsigned::Certainly(JwtError::NoKey)),
    };
    let verified = validated.verify_with(&candidates, verifier, trace);
    verified.map_err(|error| match error {
        // No key was named, or none has that name and those without one were tried, or are another
        // issuer's.
        JwtError::Signature | JwtError::NoKey if !keys.has_key_named_by(header) => {
            Unsigned::ByThisSet(error)
        }
        _ => Unsigned::Certainly(error),
    })
}
