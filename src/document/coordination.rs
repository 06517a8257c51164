//! What the workers tell each other about a source: which worker fetches, how fetches ended, and
//! when the next one may begin.
//!
//! Invariants: a change is a compare-and-swap on what was read, so that of two workers that want
//! the lease only one gets it; and implausible values are ignored, so that a lease ends whose
//! holder died or whose bytes are not ours.

use std::time::Duration;

use super::back_off::BackOff;
use super::cool_down::CoolDown;
use crate::host::{SharedStore, Version};
use crate::record::{Reader, Writer};
use crate::time::{CLOCKS_APART, Millis};

/// Increased whenever the meaning of a field changes.
const FORMAT: u64 = 3;

/// What the workers have told each other of a source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coordination {
    source: String,
    /// Which snapshot is shared; 0 before the first.
    pub generation: u64,
    /// Tries that have ended, well or badly, each with its retries.
    pub rounds: u64,
    /// Fetches that have begun: each has its number.
    pub begun: u64,
    /// Calls that failed since the last good one, and how long no call is made for that reason.
    pub back_off: BackOff,
    /// How the last of them failed, so that the log reports it once.
    pub last_failure: String,
    /// How many fetches may still begin ahead of schedule.
    pub cool_down: CoolDown,
    /// The worker that fetches, if any.
    pub lease: Option<Lease>,
}

/// The right to fetch, given to one worker for a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The worker, by its random bits.
    pub holder: u64,
    /// When the lease ends.
    pub until: Millis,
}

impl Coordination {
    /// The state before any worker has told anything.
    pub fn new(source: &str) -> Self {
        Self {
            source: source.to_owned(),
            ..Self::default()
        }
    }

    /// What is shared under `key` for `source`, with the version to write against. Where nothing
    /// valid is shared, a fresh start.
    pub fn read(store: &dyn SharedStore, key: &str, source: &str) -> (Self, Version) {
        let Some((bytes, version)) = store.read(key) else {
            return (Self::new(source), Version::ABSENT);
        };
        let coordination = Self::decode(&bytes, source).unwrap_or_else(|| Self::new(source));
        (coordination, version)
    }

    /// Replaces what was read with `version`; false if another worker was faster.
    pub fn write(&self, store: &dyn SharedStore, key: &str, version: Version) -> bool {
        store.write(key, &self.encode(), version)
    }

    fn encode(&self) -> Vec<u8> {
        let record = Writer::default()
            .number(FORMAT)
            .text(&self.source)
            .number(self.generation)
            .number(self.rounds)
            .number(self.begun)
            .text(&self.last_failure)
            .optional(self.cool_down.paid_until.map(|at| at.0))
            .optional(self.lease.map(|lease| lease.holder))
            .optional(self.lease.map(|lease| lease.until.0));
        self.back_off.encode(record).finish()
    }

    fn decode(bytes: &[u8], source: &str) -> Option<Self> {
        let mut record = Reader(bytes);
        if record.number()? != FORMAT || record.text()? != source {
            return None;
        }
        let coordination = Self {
            source: source.to_owned(),
            generation: record.number()?,
            rounds: record.number()?,
            begun: record.number()?,
            last_failure: record.text()?.to_owned(),
            cool_down: CoolDown {
                paid_until: record.optional()?.map(Millis),
            },
            lease: match (record.optional()?, record.optional()?) {
                (Some(holder), Some(until)) => Some(Lease {
                    holder,
                    until: Millis(until),
                }),
                (None, None) => None,
                _ => return None,
            },
            back_off: BackOff::decode(&mut record)?,
        };
        record.finish()?;
        Some(coordination)
    }

    /// The lease, if it binds at `now`. A lease that ends later than one of the length `longest`
    /// could is ignored.
    pub fn lease_at(&self, now: Millis, longest: Duration) -> Option<Lease> {
        self.lease
            .filter(|lease| is_plausible(lease.until, now, longest))
    }

    /// How long no fetch may begin ahead of schedule; zero if one may at `now`. To be asked where
    /// no lease binds.
    ///
    /// If there is a lease that does not bind, its holder died: every fetch that ends, well or badly,
    /// removes its lease. That fetch brought nothing, so it does not count for the cool-down.
    pub fn cools_down_for(&self, now: Millis, cooldown: Duration) -> Duration {
        if self.lease.is_some() {
            return Duration::ZERO;
        }
        self.cool_down.remaining(now, cooldown)
    }

    /// Notes a fetch ahead of schedule.
    pub fn force(&mut self, now: Millis, cooldown: Duration) {
        if self.lease.is_none() {
            self.cool_down.pay(now, cooldown);
        }
    }
}

/// Whether `until` is in the future, but not further away than `longest` by another worker's clock.
fn is_plausible(until: Millis, now: Millis, longest: Duration) -> bool {
    until > now && until <= now.after(longest.saturating_add(CLOCKS_APART))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::back_off::{Bounds, Refusal};

    #[test]
    fn only_its_own_source_is_read_back() {
        let bare = Coordination::new("s");
        let full = Coordination {
            source: "s".into(),
            generation: 1,
            rounds: u64::MAX,
            begun: 2,
            back_off: BackOff::default().failed(
                Refusal {
                    too_many: true,
                    retry_after: Some(Duration::from_secs(9)),
                },
                Bounds {
                    base: Duration::from_millis(200),
                    longest: Duration::from_secs(1),
                },
                Millis(4),
                3,
            ),
            last_failure: "a \"text\"\n".into(),
            cool_down: CoolDown {
                paid_until: Some(Millis(5)),
            },
            lease: Some(Lease {
                holder: 6,
                until: Millis(7),
            }),
        };
        for written in [bare, full] {
            let bytes = written.encode();
            assert_eq!(Coordination::decode(&bytes, "s"), Some(written));
            assert_eq!(Coordination::decode(&bytes, "t"), None);
            for len in 0..bytes.len() {
                assert_eq!(
                    Coordination::decode(&bytes[..len], "s"),
                    None,
                    "{len} octets"
                );
            }
            let mut newer = bytes.clone();
            newer[0] += 1;
            assert_eq!(Coordination::decode(&newer, "s"), None);
        }
        // What an earlier version wrote.
        let json = br#"{"format":1,"source":"s","generation":1,"rounds":1,"failures":0}"#;
        assert_eq!(Coordination::decode(json, "s"), None);
    }

    #[test]
    fn a_lease_binds_until_it_ends_and_never_implausibly_long() {
        let longest = Duration::from_millis(100);
        let with_lease = |until| Coordination {
            lease: Some(Lease {
                holder: 1,
                until: Millis(until),
            }),
            ..Coordination::new("s")
        };
        // (until, now) -> binds
        for (until, now, binds) in [
            (1000, 950, true),
            (1000, 999, true),
            (1000, 1000, false),
            (1000, 2000, false),
            // Another worker's clock is a little ahead.
            (5000, 4899, true),
            (5000, 3900, true),
            // The clock went back, or another filter wrote the bytes.
            (5000, 3899, false),
            (u64::MAX, 950, false),
        ] {
            let lease = with_lease(until).lease_at(Millis(now), longest);
            assert_eq!(lease.is_some(), binds, "until {until} at {now}");
        }
    }
}
