//! The life of a provider's keys, from the identity provider to a decision.
//!
//! Tick: a fetch is due, one worker takes the lease and calls, the answer
//! becomes a [`Snapshot`](snapshot::Snapshot) in shared data, every worker
//! installs it and decides the requests that wait for it.
//!
//! Architecture invariant: no clock, no socket, no randomness of its own. Time,
//! random bits and shared data come in as a [`Now`], and a call to be made is a
//! value that the caller sends.

pub mod back_off;
mod cool_down;
pub mod coordination;
pub mod discovery;
pub mod event;
pub mod fetch;
mod freshness;
mod lease;
pub mod lifecycle;
mod schedule;
pub mod sequence;
pub mod shown;
pub mod snapshot;
pub mod tally;
pub mod waiting;

use std::time::Duration;

use crate::host::SharedStore;
use crate::time::{Millis, millis};

/// The largest document that is read: a JWK Set or provider metadata, in bytes.
/// The largest JWK Sets in use have some tens of keys and stay below 64 KiB.
pub const MAX_DOCUMENT: usize = crate::jose::jwks::MAX_DOCUMENT_LEN;

/// How far the clocks of two workers may be apart: they start from the same wall
/// clock and differ by less than a millisecond and its rounding, unless that is
/// set while one of them starts.
const CLOCKS_APART: Duration = Duration::from_secs(1);

/// What a step is made with, besides what it is about.
pub struct Now<'a> {
    pub at: Millis,
    /// Uniformly distributed bits, new for each step.
    pub random: u64,
    pub store: &'a dyn SharedStore,
}

/// Maps random bits to a duration below `bound`.
fn jitter(bound: Duration, random: u64) -> Duration {
    Duration::from_millis(random.checked_rem(millis(bound)).unwrap_or(0))
}
