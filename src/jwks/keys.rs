//! What a decision learns of a provider's fetched keys, and what happens to a token whose `kid`
//! none of the keys has.
//!
//! Invariant: a token is refused for its `kid` only by a set whose fetch began after its request
//! came; where each key is asked for by its kid, by an answer for this kid that is younger than a
//! cool-down, or because no key can have this kid.

use std::rc::Rc;
use std::time::Duration;

use super::metadata::Metadata;
use super::remote_keys::RemoteKeys;
use crate::document::Now;
use crate::document::finding::Finding;
use crate::document::lifecycle::{Early, Lifecycle, Seen};
use crate::document::source::Source as _;
use crate::jose::jwks::KeySet;
use crate::time::Millis;

/// The keys to decide with. They are pending until the first fetch has ended.
pub type Keys = Finding<Rc<KeySet>>;

/// What to do with a token whose `kid` none of the keys has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownKid {
    /// A newer set was there: select a key again.
    Reselect,
    /// A fetch is on its way: wait for it.
    Wait,
    /// The provider has no such key.
    NoSuchKey,
    /// The set could not be renewed, or may not be renewed yet. Whether there is such a key is
    /// unknown.
    Unavailable {
        /// How long to wait before the next try.
        retry_after: Duration,
    },
}

impl Lifecycle<RemoteKeys> {
    /// The keys to decide with at `now`.
    pub fn keys(&self, now: Millis) -> Keys {
        match (self.value(now), self.source().by_kid()) {
            (Finding::Ready(published), _) => Finding::Ready(Rc::clone(&published.keys)),
            // Nothing can be fetched before a token names a kid.
            (_, Some(by_kid)) => Finding::Ready(Rc::clone(by_kid.none())),
            (nothing, None) => nothing.map(|published| Rc::clone(&published.keys)),
        }
    }

    /// What the metadata say that came with the keys. Where no metadata lead to the keys, they say
    /// nothing, at once.
    pub fn metadata(&self, now: Millis) -> Finding<Rc<Metadata>> {
        if !self.source().is_discovered() {
            return Finding::Ready(Rc::default());
        }
        self.value(now)
            .map(|published| Rc::clone(&published.metadata))
    }

    /// Says what to do with a token whose `kid` none of the keys has, and asks for a fetch where
    /// the cool-down allows one. `came`: what its request saw when it came, if that was not just
    /// now.
    pub fn unknown_kid(
        &mut self,
        kid: Option<&str>,
        came: Option<Seen>,
        now: &Now<'_>,
    ) -> UnknownKid {
        if self.look(now) {
            return UnknownKid::Reselect;
        }
        let is_known = match self.source().by_kid() {
            Some(_) => {
                self.is_absent(kid, came, now.at) || !self.source_mut().want(kid, now.random)
            }
            None => came.is_some_and(|came| self.is_newer_than(came)),
        };
        if is_known {
            return UnknownKid::NoSuchKey;
        }
        match self.ask_early(now) {
            Early::Pending => UnknownKid::Wait,
            Early::Unavailable { retry_after } => UnknownKid::Unavailable { retry_after },
        }
    }

    /// Whether the provider has said that there is no key of this kid: since the request came, or
    /// within a cool-down.
    fn is_absent(&self, kid: Option<&str>, came: Option<Seen>, now: Millis) -> bool {
        let Finding::Ready(published) = self.value(now) else {
            return false;
        };
        let lately = self.source().times().early_cooldown;
        let counts = self.age(now).is_some_and(|age| age < lately)
            || came.is_some_and(|came| self.is_newer_than(came));
        let mut absent = published.notes.split(' ');
        counts && absent.any(|known| Some(known) == kid)
    }
}
