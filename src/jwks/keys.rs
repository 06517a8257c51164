//! What a decision learns of a provider's fetched keys, and what happens to a token whose `kid`
//! none of the keys has.
//!
//! Invariant: a token is refused for its `kid` only by a set whose fetch began after its request
//! came.

use std::rc::Rc;
use std::time::Duration;

use super::metadata::Metadata;
use super::remote_keys::RemoteKeys;
use crate::document::Now;
use crate::document::finding::Finding;
use crate::document::lifecycle::{Early, Lifecycle, Seen};
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
    /// The set is the answer to a fetch that began after the request came: there is no such key.
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
        self.value(now).map(|published| Rc::clone(&published.keys))
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
    pub fn unknown_kid(&mut self, came: Option<Seen>, now: &Now<'_>) -> UnknownKid {
        if self.look(now) {
            return UnknownKid::Reselect;
        }
        if came.is_some_and(|came| self.is_newer_than(came)) {
            return UnknownKid::NoSuchKey;
        }
        match self.ask_early(now) {
            Early::Pending => UnknownKid::Wait,
            Early::Unavailable { retry_after } => UnknownKid::Unavailable { retry_after },
        }
    }
}
