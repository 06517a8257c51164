//! The life of a document that is fetched for all workers of the process: which call comes next, who
//! makes it and when, how the workers share what it brought, and how long they use it. A kind of
//! document is a [`source::Source`]; what is in it is the business of that alone.
//!
//! Tick: a fetch is due, one worker takes the lease and calls, the answer becomes a
//! [`snapshot::Snapshot`] in shared data, every worker installs it and decides the requests that wait
//! for it.
//!
//! Architecture invariant: no clock, no socket, no randomness of its own. Time, random bits and
//! shared data come in as a [`Now`], and a call to be made is a value that the caller sends.

pub mod back_off;
mod cool_down;
pub mod coordination;
pub mod event;
pub mod fetch;
pub mod finding;
pub mod freshness;
pub mod lease;
pub mod lifecycle;
pub mod schedule;
pub mod snapshot;
pub mod source;
pub mod times;

use std::time::Duration;

use crate::host::SharedStore;
use crate::time::{Millis, millis};

/// The largest document that is read, in octets. Shared data holds it in memory.
pub const MAX_DOCUMENT: usize = 256 * 1024;

/// What a step is made with, besides what it is about.
pub struct Now<'a> {
    /// The clock that all workers share.
    pub at: Millis,
    /// Uniformly distributed bits, new for each step.
    pub random: u64,
    /// The data that all workers share.
    pub store: &'a dyn SharedStore,
}

/// Maps random bits to a duration below `bound`.
fn jitter(bound: Duration, random: u64) -> Duration {
    Duration::from_millis(random.checked_rem(millis(bound)).unwrap_or(0))
}
