//! What the workers tell each other about a source: who fetches, how it went,
//! when the next try may start.
//!
//! Invariants: a change is a compare-and-swap on what was read, so that of two
//! workers that want the lease one gets it; and nothing that is read is trusted
//! further than it is plausible, so that a lease whose holder died, or whose
//! bytes are not ours, ends.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Millis;
use crate::host::{SharedStore, Version};

/// How far the clocks of two workers may be apart: they start from the same wall
/// clock and differ by less than a millisecond and its rounding, unless that is
/// set while one of them starts.
const CLOCKS_APART: Duration = Duration::from_secs(1);
/// Increased whenever the meaning of a field changes.
const FORMAT: u32 = 1;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coordination {
    format: u32,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lease {
    pub holder: u64,
    pub until: Millis,
}

impl Coordination {
    pub fn new(source: &str) -> Self {
        Coordination {
            format: FORMAT,
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
        let coordination = serde_json::from_slice(&bytes)
            .ok()
            .filter(|read: &Coordination| read.format == FORMAT && read.source == source)
            .unwrap_or_else(|| Coordination::new(source));
        (coordination, version)
    }

    /// Replaces what was read with `version`; false if somebody was faster.
    pub fn write(&self, store: &dyn SharedStore, key: &str, version: Version) -> bool {
        serde_json::to_vec(self).is_ok_and(|bytes| store.write(key, &bytes, version))
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
