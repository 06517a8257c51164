//! What the workers tell each other about a source: who fetches, how it went,
//! when the next try may start.
//!
//! Invariants: a change is a compare-and-swap on what was read, so that of two
//! workers that want the lease one gets it; and nothing that is read is trusted
//! further than it is plausible, so that a lease whose holder died, or whose
//! bytes are not ours, ends.

use std::time::Duration;

use super::Millis;
use super::record::{Reader, Writer};
use crate::host::{SharedStore, Version};

/// How far the clocks of two workers may be apart: they start from the same wall
/// clock and differ by less than a millisecond and its rounding, unless that is
/// set while one of them starts.
const CLOCKS_APART: Duration = Duration::from_secs(1);
/// Increased whenever the meaning of a field changes.
const FORMAT: u64 = 2;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coordination {
    source: String,
    /// Which snapshot is shared; 0 before the first.
    pub generation: u64,
    /// Tries that have ended, well or badly, each with its retries.
    pub rounds: u64,
    /// Calls that failed since the last good one.
    pub failures: u32,
    /// How the last of them failed, so that the log tells it once.
    pub last_failure: String,
    /// No call starts before: the back-off.
    pub not_before: Millis,
    /// When an unknown kid last caused a fetch.
    pub forced_at: Option<Millis>,
    pub lease: Option<Lease>,
}

/// The right to fetch, given to one worker for a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    pub holder: u64,
    pub until: Millis,
}

impl Coordination {
    pub fn new(source: &str) -> Self {
        Coordination {
            source: source.to_owned(),
            ..Coordination::default()
        }
    }

    /// What is shared under `key` for `source`, or a fresh start if there is
    /// nothing or nothing valid, with the version to write against.
    pub fn read(store: &dyn SharedStore, key: &str, source: &str) -> (Self, Version) {
        let Some((bytes, version)) = store.read(key) else {
            return (Coordination::new(source), Version::ABSENT);
        };
        let coordination =
            Coordination::decode(&bytes, source).unwrap_or_else(|| Coordination::new(source));
        (coordination, version)
    }

    /// Replaces what was read with `version`; false if somebody was faster.
    pub fn write(&self, store: &dyn SharedStore, key: &str, version: Version) -> bool {
        store.write(key, &self.encode(), version)
    }

    fn encode(&self) -> Vec<u8> {
        Writer::default()
            .number(FORMAT)
            .text(&self.source)
            .number(self.generation)
            .number(self.rounds)
            .number(self.failures.into())
            .text(&self.last_failure)
            .number(self.not_before.0)
            .optional(self.forced_at.map(|at| at.0))
            .optional(self.lease.map(|lease| lease.holder))
            .optional(self.lease.map(|lease| lease.until.0))
            .finish()
    }

    fn decode(bytes: &[u8], source: &str) -> Option<Self> {
        let mut record = Reader(bytes);
        if record.number()? != FORMAT || record.text()? != source {
            return None;
        }
        let coordination = Coordination {
            source: source.to_owned(),
            generation: record.number()?,
            rounds: record.number()?,
            failures: record.number()?.try_into().ok()?,
            last_failure: record.text()?.to_owned(),
            not_before: Millis(record.number()?),
            forced_at: record.optional()?.map(Millis),
            lease: match (record.optional()?, record.optional()?) {
                (Some(holder), Some(until)) => Some(Lease {
                    holder,
                    until: Millis(until),
                }),
                (None, None) => None,
                _ => return None,
            },
        };
        record.finish()?;
        Some(coordination)
    }

    /// The lease, if it binds at `now`. One that ends later than any lease of
    /// the length `longest` could is not believed.
    pub fn lease_at(&self, now: Millis, longest: Duration) -> Option<Lease> {
        self.lease
            .filter(|lease| is_plausible(lease.until, now, longest))
    }

    /// Whether the back-off forbids a call at `now`. One that is longer than
    /// `longest` is not believed.
    pub fn backs_off_at(&self, now: Millis, longest: Duration) -> bool {
        is_plausible(self.not_before, now, longest)
    }

    /// Whether an unknown kid may cause a fetch at `now`, when no lease binds.
    ///
    /// A lease that is there all the same is one whose holder died: every fetch
    /// that ends, well or badly, takes its lease away. What it was forced for has
    /// not been fetched, so it does not count for the cool-down.
    pub fn may_force_at(&self, now: Millis, cooldown: Duration) -> bool {
        if self.lease.is_some() {
            return true;
        }
        match self.forced_at {
            Some(at) => at > now.after(CLOCKS_APART) || now.since(at) >= cooldown,
            None => true,
        }
    }
}

/// Whether `until` is ahead, and not further than something that lasts `longest`
/// and that another worker began by its own clock.
fn is_plausible(until: Millis, now: Millis, longest: Duration) -> bool {
    until > now && until <= now.after(longest.saturating_add(CLOCKS_APART))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_source_is_read_back() {
        let bare = Coordination::new("s");
        let full = Coordination {
            source: "s".into(),
            generation: 1,
            rounds: u64::MAX,
            failures: 3,
            last_failure: "a \"text\"\n".into(),
            not_before: Millis(4),
            forced_at: Some(Millis(5)),
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
            // The clock went back, or the bytes are somebody else's.
            (5000, 3899, false),
            (u64::MAX, 950, false),
        ] {
            let lease = with_lease(until).lease_at(Millis(now), longest);
            assert_eq!(lease.is_some(), binds, "until {until} at {now}");
        }
    }

    #[test]
    fn the_cool_down_of_unknown_kids() {
        let cooldown = Duration::from_millis(100);
        let forced_at = |at: Option<u64>| Coordination {
            forced_at: at.map(Millis),
            ..Coordination::new("s")
        };
        for (at, now, may) in [
            (None, 0, true),
            (Some(1000), 1000, false),
            (Some(1000), 1099, false),
            (Some(1000), 1100, true),
            (Some(5000), 4999, false), // by another worker's clock
            (Some(5000), 4000, false),
            (Some(5000), 3999, true), // a time to come is not believed
        ] {
            assert_eq!(forced_at(at).may_force_at(Millis(now), cooldown), may);
        }
    }
}
