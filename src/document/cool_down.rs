//! How often requests may cause a fetch ahead of schedule, for a newer document.
//!
//! Invariants: in any span of time there are at most [`BURST`] such fetches, and one more for each
//! cool-down that passes; and a shared time that no fetch can have caused is ignored.

use std::time::Duration;

use crate::time::{CLOCKS_APART, Millis};

/// How many such fetches may follow each other without a wait. One stranger alone does not use them
/// up.
pub(super) const BURST: u32 = 2;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CoolDown {
    /// When the cool-downs of all these fetches end, one after the other.
    pub(super) paid_until: Option<Millis>,
}

impl CoolDown {
    /// How long no such fetch may begin; zero if one may at `now`.
    pub fn remaining(&self, now: Millis, cooldown: Duration) -> Duration {
        let burst = cooldown.saturating_mul(BURST);
        let next = self.at(now, cooldown).after(cooldown);
        next.since(now.after(burst))
    }

    /// Notes such a fetch.
    pub fn pay(&mut self, now: Millis, cooldown: Duration) {
        self.paid_until = Some(self.at(now, cooldown).after(cooldown));
    }

    /// The end of the cool-downs so far; `now` where they are over.
    fn at(&self, now: Millis, cooldown: Duration) -> Millis {
        let latest = now
            .after(cooldown.saturating_mul(BURST))
            .after(CLOCKS_APART);
        match self.paid_until {
            Some(until) if until <= latest => until.max(now),
            _ => now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COOLDOWN: Duration = Duration::from_secs(30);

    #[test]
    fn a_burst_and_then_one_for_each_cool_down() {
        let mut cool_down = CoolDown::default();
        let mut began = Vec::new();
        for millis in (0..200_000).step_by(10) {
            let now = Millis(1_000_000 + millis);
            if cool_down.remaining(now, COOLDOWN).is_zero() {
                cool_down.pay(now, COOLDOWN);
                began.push(millis);
            }
        }
        assert_eq!(
            began,
            [0, 10, 30_000, 60_000, 90_000, 120_000, 150_000, 180_000]
        );
        // A request that comes rarely may always cause one.
        let mut cool_down = CoolDown::default();
        for at in 0..20 {
            let now = Millis(1_000_000 + at * 30_000);
            assert!(cool_down.remaining(now, COOLDOWN).is_zero());
            cool_down.pay(now, COOLDOWN);
        }
    }

    #[test]
    fn the_rest_of_a_cool_down_is_told_and_an_implausible_one_is_ignored() {
        let paid = |until: u64| CoolDown {
            paid_until: Some(Millis(until)),
        };
        for (until, now, remaining) in [
            (1_060_000, 1_000_000, 30_000),
            (1_060_000, 1_029_999, 1),
            (1_060_000, 1_030_000, 0),
            // By another worker's clock, which is a little ahead.
            (1_060_500, 1_000_000, 30_500),
            // The clock went back, or another filter wrote the bytes.
            (1_061_001, 1_000_000, 0),
            (u64::MAX, 1_000_000, 0),
            (0, 1_000_000, 0),
        ] {
            assert_eq!(
                paid(until).remaining(Millis(now), COOLDOWN),
                Duration::from_millis(remaining),
                "paid until {until} at {now}"
            );
        }
        assert!(
            CoolDown::default()
                .remaining(Millis(u64::MAX), Duration::MAX)
                .is_zero()
        );
    }
}
