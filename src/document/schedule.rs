//! When a worker looks at shared data, and when it makes a call for a source.
//!
//! Invariants: within a back-off only a request makes a call, and only where the back-off lets
//! requests do that; and a first fetch that no request waits for begins at a moment of chance.

use std::time::Duration;

use super::back_off::BackOff;
use super::times::Times;
use super::{Now, jitter};
use crate::time::Millis;

/// How often a worker looks at shared data when nothing waits for it.
const POLL: Duration = Duration::from_secs(1);
/// How many times longer the back-off may grow while the last document still serves, and up to what.
const PATIENCE: u32 = 10;
const PATIENT: Duration = Duration::from_secs(30);

/// What a call is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It is due.
    Schedule,
    /// A request wants the document before it is.
    Request,
}

/// What one worker has planned, and what its requests want.
#[derive(Debug, Default)]
pub struct Schedule {
    /// A request wants a newer document, ahead of schedule.
    pub early_wanted: bool,
    /// A request came in a back-off and wants a fetch.
    pub asked: bool,
    /// When the first fetch begins, if no request wants one sooner.
    first_at: Option<Millis>,
    /// When shared data was last looked at.
    polled_at: Option<Millis>,
}

impl Schedule {
    /// Whether it is time to look at shared data, though nothing waits for it.
    pub fn is_poll_due(&self, now: Millis) -> bool {
        self.polled_at
            .is_none_or(|at| now < at || now.since(at) >= POLL)
    }

    /// Shared data was looked at.
    pub fn polled(&mut self, now: Millis) {
        self.polled_at = Some(now);
    }

    /// Looks again at the next tick: another worker was faster.
    pub fn poll_soon(&mut self) {
        self.polled_at = None;
    }

    /// No request wants anything any more.
    pub fn settle(&mut self) {
        self.early_wanted = false;
        self.asked = false;
    }

    /// Whether the first fetch of the process may begin though no request waits: at a moment of
    /// chance, so that many processes that start together do not call together.
    pub fn is_first_due(&mut self, within: Duration, now: &Now<'_>) -> bool {
        let chance = now.at.after(jitter(within, now.random));
        now.at >= *self.first_at.get_or_insert(chance)
    }

    /// Whose turn it is to make a call, if anybody's.
    pub fn turn(&self, back_off: &BackOff, longest: Duration, now: Millis) -> Option<Turn> {
        if back_off.remaining(now, longest).is_zero() {
            Some(Turn::Schedule)
        } else if self.asked && back_off.asked_remaining(now) == Some(Duration::ZERO) {
            Some(Turn::Request)
        } else {
            None
        }
    }
}

/// The longest back-off. Without a usable document every request suffers, so tries are more frequent.
pub fn longest_back_off(times: &Times, is_usable: bool) -> Duration {
    let longest = times.back_off_max.max(times.back_off_base);
    if is_usable {
        let patient = longest.saturating_mul(PATIENCE);
        patient.min(PATIENT).max(longest)
    } else {
        longest
    }
}
