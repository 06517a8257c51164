//! How long no call is made after failures in a row: first what `Retry-After` (RFC 9110 section
//! 10.2.3) and 429 (RFC 6585 section 4) ask for, then a wait of our own.
//!
//! Invariants:
//! - what the provider asks for holds for requests too, for [`LONGEST_RETRY_AFTER`] at most;
//! - the wait grows with the time that the outage has lasted, so that a short outage ends soon and
//!   a long one costs few calls;
//! - requests shorten only [`MOST_ASKED`] waits of an outage;
//! - a failure in the future is ignored.

use std::time::Duration;

use crate::host::Reply;
use crate::record::{Reader, Writer};
use crate::time::millis;
use crate::time::{CLOCKS_APART, Millis};

/// The longest `Retry-After` that is honoured.
pub const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(5 * 60);
/// The same in milliseconds. So are the times that follow.
const LONGEST_TOLD: u64 = 5 * 60 * 1000;
/// How many calls of an outage requests may cause before their time.
const MOST_ASKED: u64 = 8;
/// The time from a failure to the call that a request may cause.
const ASKED_AFTER: u64 = 1500;
/// The first wait after a 429.
const TOO_MANY_BASE: u64 = 2000;
/// The longest wait, in times of what the outage has lasted.
const GROWTH: u64 = 2;
/// The same after a 429, and how many times longer the longest wait of the configuration is then.
const TOO_MANY_GROWTH: u64 = 3;
const TOO_MANY_LONGEST: u64 = 2;

/// What a failed response says of the next try.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Refusal {
    /// 429: the provider gets too many calls.
    pub too_many: bool,
    /// `Retry-After`.
    pub retry_after: Option<Duration>,
}

impl Reply {
    /// What it says of the next try: `Retry-After` counts with 429 and 503.
    pub fn refusal(&self) -> Refusal {
        match *self {
            Self::Response {
                status: status @ (429 | 503),
                retry_after,
                ..
            } => Refusal {
                too_many: status == 429,
                retry_after,
            },
            _ => Refusal::default(),
        }
    }
}

/// The waits that the configuration allows.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The wait after the first failure.
    pub base: Duration,
    /// The longest wait, except for one that a provider asks for.
    pub longest: Duration,
}

/// Calls that failed since the last good one, and what follows from them. Times are in
/// milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BackOff {
    /// Calls that failed since the last good one.
    pub failures: u32,
    /// How many calls requests have caused since then.
    asked: u64,
    /// When the first call failed.
    since: Millis,
    /// When the last one failed.
    at: Millis,
    /// What the provider asked for, from then on.
    told: u64,
    /// Our own wait, after that.
    wait: u64,
    /// When a request may cause a call, counted from the failure.
    asked_after: u64,
}

impl BackOff {
    /// After one more failure.
    pub fn failed(&self, refusal: Refusal, bounds: Bounds, now: Millis, random: u64) -> Self {
        let since = if self.failures == 0 || self.since > now {
            now
        } else {
            self.since
        };
        let outage = now.0.saturating_sub(since.0);
        let told = refusal.retry_after.map_or(0, millis).min(LONGEST_TOLD);
        let longest = millis(bounds.longest);
        let (grown, longest) = if refusal.too_many {
            (
                outage.saturating_mul(TOO_MANY_GROWTH).max(TOO_MANY_BASE),
                longest.saturating_mul(TOO_MANY_LONGEST),
            )
        } else {
            (outage.saturating_mul(GROWTH), longest)
        };
        // Many clients are told the same time: the longer it is, the wider they are spread.
        let most = grown.max(millis(bounds.base)).max(told).min(longest);
        Self {
            failures: self.failures.saturating_add(1),
            // A provider that gets too many calls is not called before its time.
            asked: if refusal.too_many {
                MOST_ASKED
            } else {
                self.asked
            },
            since,
            at: now,
            told,
            wait: spread(most, random),
            asked_after: told + spread(ASKED_AFTER.max(told / 4), random.rotate_left(32)),
        }
    }

    /// How long no call is made on schedule; zero if one may be made at `now`. Our own wait counts
    /// only up to what `longest` allows.
    pub fn remaining(&self, now: Millis, longest: Duration) -> Duration {
        let longest = millis(longest).saturating_mul(TOO_MANY_LONGEST);
        self.until(
            self.told
                .min(LONGEST_TOLD)
                .saturating_add(self.wait.min(longest)),
            now,
        )
    }

    /// How long no request may cause a call; `None` where the next call is the scheduled one.
    pub fn asked_remaining(&self, now: Millis) -> Option<Duration> {
        (self.asked < MOST_ASKED).then(|| self.until(self.asked_after.min(2 * LONGEST_TOLD), now))
    }

    /// How long a wait the provider asked for.
    pub fn told(&self) -> Duration {
        Duration::from_millis(self.told.min(LONGEST_TOLD))
    }

    /// A request causes a call ahead of schedule.
    pub fn ask(&mut self) {
        self.asked = self.asked.saturating_add(1);
    }

    fn until(&self, wait: u64, now: Millis) -> Duration {
        if self.failures == 0 || self.at > now.after(CLOCKS_APART) {
            return Duration::ZERO;
        }
        Millis(self.at.0.saturating_add(wait)).since(now)
    }

    pub(super) fn encode(&self, record: Writer) -> Writer {
        [
            self.failures.into(),
            self.asked,
            self.since.0,
            self.at.0,
            self.told,
            self.wait,
            self.asked_after,
        ]
        .into_iter()
        .fold(record, Writer::number)
    }

    pub(super) fn decode(record: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            failures: record.number()?.try_into().ok()?,
            asked: record.number()?,
            since: Millis(record.number()?),
            at: Millis(record.number()?),
            told: record.number()?,
            wait: record.number()?,
            asked_after: record.number()?,
        })
    }
}

/// Between a half of `most` and all of it.
fn spread(most: u64, random: u64) -> u64 {
    most - random.checked_rem(most / 2).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        base: Duration::from_millis(200),
        longest: Duration::from_secs(30),
    };
    const START: Millis = Millis(10_000_000);
    const DOWN: Refusal = Refusal {
        too_many: false,
        retry_after: None,
    };

    fn told(status: u16, seconds: u64) -> Refusal {
        Refusal {
            too_many: status == 429,
            retry_after: Some(Duration::from_secs(seconds)),
        }
    }

    /// The state after failures in a row, each at the first moment that the one before allows.
    fn after(failures: u32, refusal: Refusal, random: u64) -> (BackOff, Millis) {
        let (mut back_off, mut now) = (BackOff::default(), START);
        for _ in 0..failures {
            now = now.after(back_off.remaining(now, BOUNDS.longest));
            back_off = back_off.failed(refusal, BOUNDS, now, random);
        }
        (back_off, now)
    }

    #[test]
    fn the_wait_grows_with_the_outage() {
        // (failures, refusal, the shortest wait, the longest), in milliseconds
        for (failures, refusal, least, most) in [
            (1, DOWN, 100, 200),
            (2, DOWN, 100, 400),
            (40, DOWN, 15_000, 30_000),
            (1, told(503, 0), 100, 200),
            (1, told(503, 10), 15_000, 20_000),
            (1, told(503, 299), 314_000, 329_000),
            (1, told(503, 86_400), 315_000, 330_000),
            (1, told(503, u64::MAX), 315_000, 330_000),
            (1, told(429, 1), 2_000, 3_000),
            (
                1,
                Refusal {
                    too_many: true,
                    retry_after: None,
                },
                1_000,
                2_000,
            ),
            (
                40,
                Refusal {
                    too_many: true,
                    retry_after: None,
                },
                30_000,
                60_000,
            ),
        ] {
            for random in [0, 1, 77_777, u64::MAX / 3, u64::MAX] {
                let (back_off, now) = after(failures, refusal, random);
                let wait = back_off.remaining(now, BOUNDS.longest);
                let expected = Duration::from_millis(least)..=Duration::from_millis(most);
                assert!(expected.contains(&wait), "{failures} {refusal:?}: {wait:?}");
                assert_eq!(back_off.failures, failures);
            }
        }
    }

    #[test]
    fn a_short_outage_is_waited_for_twice_as_long_as_it_lasted_at_most() {
        for random in 0..1000 {
            let (mut back_off, mut now) = (BackOff::default(), START);
            while now.since(START) < Duration::from_secs(60) {
                back_off = back_off.failed(DOWN, BOUNDS, now, random * 7919);
                let wait = back_off.remaining(now, BOUNDS.longest);
                assert!(wait <= (now.since(START) * GROWTH as u32).max(BOUNDS.base));
                now = now.after(wait);
            }
            assert!(back_off.failures <= 14, "{} calls", back_off.failures);
        }
    }

    #[test]
    fn requests_ask_sooner_within_a_budget_and_never_before_they_may() {
        let (mut back_off, now) = after(40, DOWN, 5);
        for _ in 0..MOST_ASKED {
            let wait = back_off.asked_remaining(now).expect("some are left");
            assert!((750..=1500).contains(&wait.as_millis()), "{wait:?}");
            back_off.ask();
        }
        assert_eq!(back_off.asked_remaining(now), None);

        let (back_off, now) = after(1, told(503, 60), 5);
        let asked = back_off.asked_remaining(now).expect("within the budget");
        assert!(asked >= Duration::from_secs(60), "{asked:?}");
        let (back_off, now) = after(1, told(429, 60), 5);
        assert_eq!(back_off.asked_remaining(now), None, "calls are too many");
    }

    #[test]
    fn nothing_implausible_stops_calls() {
        let (back_off, now) = after(1, told(503, 60), 5);
        // The clock went back by an hour.
        let earlier = Millis(START.0 - 3_600_000);
        assert_eq!(back_off.remaining(earlier, BOUNDS.longest), Duration::ZERO);
        assert_eq!(back_off.asked_remaining(earlier), Some(Duration::ZERO));
        // Numbers that another filter wrote.
        let strange = BackOff {
            failures: u32::MAX,
            asked: 0,
            since: Millis(u64::MAX),
            at: now,
            told: u64::MAX,
            wait: u64::MAX,
            asked_after: u64::MAX,
        };
        let longest = LONGEST_RETRY_AFTER + BOUNDS.longest * TOO_MANY_LONGEST as u32;
        assert!(strange.remaining(now, BOUNDS.longest) <= longest);
        let next = strange.failed(DOWN, BOUNDS, now, 5);
        assert!(next.remaining(now, BOUNDS.longest) <= BOUNDS.longest);
        // A shorter configuration does not sit out a longer one's wait.
        let (back_off, now) = after(40, DOWN, 5);
        let short = Duration::from_secs(1);
        assert!(back_off.remaining(now, short) <= short * TOO_MANY_LONGEST as u32);
    }
}
