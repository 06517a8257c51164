//! The life of a provider's keys, from the identity provider to a decision.
//!
//! Tick: a fetch is due, one worker takes the lease and calls, the answer
//! becomes a [`Snapshot`](snapshot::Snapshot) in shared data, every worker
//! installs it and decides the requests that wait for it.
//!
//! Architecture invariant: no clock, no socket, no randomness of its own. Time
//! and random bits are arguments, shared data is the [`SharedStore`] trait, and
//! a call to be made is a value that the caller sends.
//!
//! [`SharedStore`]: crate::host::SharedStore

pub mod back_off;
mod cool_down;
pub mod coordination;
pub mod discovery;
pub mod event;
pub mod fetch;
pub mod lifecycle;
mod record;
pub mod shown;
pub mod snapshot;
pub mod tally;
pub mod waiting;

use std::time::Duration;

/// The largest document that is read: a JWK Set or provider metadata, in bytes.
/// The largest JWK Sets in use have some tens of keys and stay below 64 KiB.
pub const MAX_DOCUMENT: usize = crate::jose::jwks::MAX_DOCUMENT_LEN;

/// A point in time in milliseconds of the process's monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Millis(pub u64);

impl Millis {
    /// `self + duration`, at most the end of time.
    pub fn after(self, duration: Duration) -> Millis {
        Millis(self.0.saturating_add(millis(duration)))
    }

    /// How long ago `earlier` was; zero if it is yet to come.
    pub fn since(self, earlier: Millis) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// Maps random bits to a duration below `bound`.
fn jitter(bound: Duration, random: u64) -> Duration {
    Duration::from_millis(random.checked_rem(millis(bound)).unwrap_or(0))
}

/// A duration in milliseconds; at most the largest number.
#[inline(never)]
fn millis(duration: Duration) -> u64 {
    duration
        .as_secs()
        .saturating_mul(1000)
        .saturating_add(duration.subsec_millis().into())
}
