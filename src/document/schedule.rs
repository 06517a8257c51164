//! When a worker looks at shared data, and when it makes a call for a source.
//!
//! Invariants: during a back-off only a request causes a call, and only where the back-off allows
//! that; and a first fetch that no request waits for begins at a random moment.

use std::time::Duration;

use super::back_off::BackOff;
use super::times::Times;
use super::{Now, jitter};
use crate::time::Millis;

/// How often a worker looks at shared data while no request waits.
const POLL: Duration = Duration::from_secs(1);
/// While the last document still serves, the back-off may grow so many times longer, up to
/// `PATIENT`.
const PATIENCE: u32 = 10;
const PATIENT: Duration = Duration::from_secs(30);

/// What causes a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// The schedule.
    Schedule,
    /// A request that wants the document sooner.
    Request,
}

/// What one worker plans, and what its requests want.
#[derive(Debug, Default)]
pub struct Schedule {
    /// A request wants a newer document, ahead of schedule.
    pub early_wanted: bool,
    /// A request came during a back-off and wants a fetch.
    pub asked: bool,
    /// When the first fetch begins, unless a request wants it sooner.
    first_at: Option<Millis>,
    /// When shared data was last looked at.
    polled_at: Option<Millis>,
}

impl Schedule {
    /// Whether it is time to look at shared data although no request waits.
    pub fn is_poll_due(&self, now: Millis) -> bool {
        self.polled_at
            .is_none_or(|at| now < at || now.since(at) >= POLL)
    }

    /// Notes that shared data was looked at.
    pub fn polled(&mut self, now: Millis) {
        self.polled_at = Some(now);
    }

    /// Has shared data looked at again at the next tick, since another worker was faster.
    pub fn poll_soon(&mut self) {
        self.polled_at = None;
    }

    /// Forgets what requests wanted.
    pub fn settle(&mut self) {
        self.early_wanted = false;
        self.asked = false;
    }

    /// Whether the first fetch of the process may begin although no request waits. It begins at a
    /// random moment, so that many processes that start together do not call together.
    pub fn is_first_due(&mut self, within: Duration, now: &Now<'_>) -> bool {
        let chance = now.at.after(jitter(within, now.random));
        now.at >= *self.first_at.get_or_insert(chance)
    }

    /// What causes a call now, if anything does.
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

/// The longest back-off. It is shorter without a usable document, since every request suffers then.
pub fn longest_back_off(times: &Times, is_usable: bool) -> Duration {
    let longest = times.back_off_max.max(times.back_off_base);
    if is_usable {
        let patient = longest.saturating_mul(PATIENCE);
        patient.min(PATIENT).max(longest)
    } else {
        longest
    }
}
