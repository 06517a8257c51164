//! How long a document is used: fresh, then stale, then not any more.
//!
//! Invariants: a document decides only until it has been fresh and then `max_stale` old; whatever its
//! provider says of `max-age` (RFC 9111 section 5.2.2.1) stays within bounds; and a fetch time in
//! the future counts as now.

use std::time::Duration;

use super::jitter;
use super::times::Times;
use crate::time::Millis;

/// Bounds of a `max-age` that is honoured.
const MAX_AGE_BOUNDS: (Duration, Duration) =
    (Duration::from_secs(10), Duration::from_secs(24 * 60 * 60));

/// The times of one document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    fetched_at: Millis,
    refresh_at: Millis,
    stale_at: Millis,
}

impl Freshness {
    /// Of a document that was fetched at `fetched_at`, by this worker or another.
    pub fn new(
        times: &Times,
        max_age: Option<Duration>,
        fetched_at: Millis,
        now: Millis,
        random: u64,
    ) -> Self {
        let fetched_at = fetched_at.min(now);
        let fresh_for = match max_age.filter(|_| times.respect_cache_control) {
            Some(max_age) => max_age.clamp(MAX_AGE_BOUNDS.0, MAX_AGE_BOUNDS.1),
            None => times.cache_duration,
        };
        // Ahead of expiry by a tenth, and by up to a tenth more, so that neither
        // workers nor processes come at once.
        let tenth = fresh_for / 10;
        let refresh_after = fresh_for
            .saturating_sub(tenth)
            .saturating_sub(jitter(tenth, random));
        Self {
            fetched_at,
            refresh_at: fetched_at.after(refresh_after),
            stale_at: fetched_at.after(fresh_for.saturating_add(times.max_stale)),
        }
    }

    /// Whether the document may decide.
    pub fn is_usable(self, now: Millis) -> bool {
        now < self.stale_at
    }

    /// Whether the next document should be fetched, as far as time says: also where the clock went back.
    pub fn is_due(self, now: Millis) -> bool {
        !(self.fetched_at..self.refresh_at).contains(&now)
    }

    /// The time since the fetch; zero for one in the future.
    pub fn age(self, now: Millis) -> Duration {
        now.since(self.fetched_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1000;

    fn times(respect_cache_control: bool) -> Times {
        Times {
            cache_duration: Duration::from_secs(600),
            max_stale: Duration::from_secs(60),
            early_cooldown: Duration::from_secs(30),
            respect_cache_control,
            back_off_base: Duration::from_secs(1),
            back_off_max: Duration::from_secs(1),
            retries: 0,
            first_fetch_within: Duration::ZERO,
        }
    }

    #[test]
    fn fresh_then_stale_then_over() {
        // (max-age, whether it counts) -> (due, over), in seconds after the fetch
        for (max_age, respected, due, over) in [
            (None, true, 540, 660),
            (Some(100), false, 540, 660),
            (Some(100), true, 90, 160),
            (Some(0), true, 9, 70),
            (Some(u64::MAX), true, 77_760, 86_460),
        ] {
            let max_age = max_age.map(Duration::from_secs);
            let fetched = Millis(1_000_000);
            let freshness = Freshness::new(&times(respected), max_age, fetched, fetched, 0);
            let at = |seconds: u64| Millis(fetched.0 + seconds * SECOND);
            assert!(!freshness.is_due(Millis(at(due).0 - 1)), "{max_age:?}");
            assert!(freshness.is_due(at(due)), "{max_age:?}");
            assert!(freshness.is_usable(Millis(at(over).0 - 1)), "{max_age:?}");
            assert!(!freshness.is_usable(at(over)), "{max_age:?}");
            assert!(
                freshness.is_due(Millis(fetched.0 - 1)),
                "the clock went back"
            );
        }
    }

    #[test]
    fn a_fetch_in_the_future_counts_as_now() {
        let (now, future) = (Millis(1_000_000), Millis(u64::MAX));
        let freshness = Freshness::new(&times(false), None, future, now, 0);
        assert_eq!(freshness, Freshness::new(&times(false), None, now, now, 0));
        assert_eq!(freshness.age(Millis(1_002_000)), Duration::from_secs(2));
    }

    #[test]
    fn workers_do_not_come_at_once() {
        let now = Millis(1_000_000);
        let at = |seconds: u64| Millis(now.0 + seconds * SECOND);
        for random in [0, 1, 59_999, 60_000, u64::MAX] {
            let freshness = Freshness::new(&times(false), None, now, now, random);
            assert!(
                !freshness.is_due(at(480)) && freshness.is_due(at(540)),
                "{random}"
            );
        }
    }
}
