//! A document that is fetched for all workers of the process: how long it is used, who fetches it and
//! when, and how the workers share it. What is in it is the business of whoever fetches it.
//!
//! Invariant: no clock, no socket, no randomness of its own. Time, random bits and shared data come
//! in as a [`Now`].

pub mod back_off;
mod cool_down;
pub mod coordination;
pub mod finding;
pub mod freshness;
pub mod lease;
pub mod schedule;
pub mod snapshot;

use std::time::Duration;

use crate::host::SharedStore;
use crate::time::{Millis, millis};

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
