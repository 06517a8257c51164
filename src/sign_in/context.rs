//! What a decision about a visit needs, and what it learns about a provider.

use std::cell::OnceCell;
use std::rc::Rc;
use std::time::Duration;

use super::obstacle::Obstacle;
use super::problem::Problem;
use super::sessions::Sessions;
use crate::bytes::half_digest;
use crate::config::Scheme;
use crate::desk::{Basis, Metadata, Need};
use crate::document::finding::Finding;
use crate::host::NoEntropy;
use crate::http::uri::Uri;
use crate::time::whole_seconds;

/// The wait where the provider's metadata lack an endpoint. Newer metadata may have it.
const WITHOUT_ENDPOINT: Duration = Duration::from_secs(60);

/// Fills octets with randomness that nobody can guess; see [`crate::host::Host::entropy`].
pub type Entropy<'e> = &'e dyn Fn(&mut [u8]) -> Result<(), NoEntropy>;

/// Randomness that stays the same while a request is decided anew: what a provider was asked in the
/// request's name, and what it answered, must fit together.
#[derive(Debug, Default)]
pub struct Steady(OnceCell<[u8; 32]>);

/// What a worker has for people who sign in.
#[derive(Clone, Copy)]
pub struct People<'m> {
    /// The sessions, and the keys that seal them.
    pub sessions: &'m Sessions,
    /// The source of randomness for what is sealed or begun.
    pub entropy: Entropy<'m>,
    /// The randomness of the request.
    pub steady: &'m Steady,
}

/// What a decision about a visit needs.
#[derive(Clone, Copy)]
pub(super) struct Context<'m> {
    /// What every decision rests on.
    pub basis: Basis<'m>,
    /// The sessions and the randomness of the worker.
    pub people: People<'m>,
}

impl People<'_> {
    /// Sixteen octets that nobody can guess, for one purpose. They are the same in each decision
    /// about the request.
    pub(super) fn steady(&self, purpose: &'static str) -> Result<[u8; 16], NoEntropy> {
        let drawn = match self.steady.0.get() {
            Some(drawn) => drawn,
            None => {
                let mut octets = [0; 32];
                (self.entropy)(&mut octets)?;
                self.steady.0.get_or_init(|| octets)
            }
        };
        Ok(half_digest(&[purpose.as_bytes(), drawn]))
    }
}

impl Context<'_> {
    /// In whole Unix seconds.
    pub(super) fn unix_seconds(&self) -> u64 {
        whole_seconds(self.basis.now)
    }

    /// An endpoint of a scheme's provider: the configured one, or else the one in the provider's
    /// metadata. `None` where neither has it.
    pub(super) fn endpoint(
        &self,
        scheme: &Scheme,
        configured: Option<&Uri>,
        in_metadata: fn(&Metadata) -> Option<&Uri>,
    ) -> Result<Option<Uri>, Obstacle> {
        match configured {
            Some(uri) => Ok(Some(uri.clone())),
            None => {
                let metadata = self.metadata(scheme)?;
                Ok(in_metadata(&metadata).cloned())
            }
        }
    }

    /// The same for an endpoint that a sign-in needs. Newer metadata may have it.
    pub(super) fn needed_endpoint(
        &self,
        scheme: &Scheme,
        configured: Option<&Uri>,
        in_metadata: fn(&Metadata) -> Option<&Uri>,
    ) -> Result<Uri, Obstacle> {
        let endpoint = self.endpoint(scheme, configured, in_metadata)?;
        endpoint.ok_or(Problem::Unavailable(WITHOUT_ENDPOINT).into())
    }

    /// The metadata of a scheme's provider.
    pub(super) fn metadata(&self, scheme: &Scheme) -> Result<Rc<Metadata>, Obstacle> {
        match self.basis.facts.metadata(scheme.provider) {
            Finding::Ready(metadata) => Ok(metadata),
            Finding::Pending => Err(Obstacle::Await(Need::Keys(scheme.provider))),
            Finding::Unavailable { retry_after } => Err(Problem::Unavailable(retry_after).into()),
        }
    }
}
