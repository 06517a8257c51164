//! How many requests wait, over all workers: each worker's part of the gauge, in shared data.
//!
//! Invariants:
//! - a part is in shared data for as long as it is in the gauge, and both change by the same
//!   number, so that any worker can take out the part of a worker that is gone;
//! - a living worker beats, by its own clock and no other;
//! - bytes in shared data that are not ours are overwritten.

use std::time::Duration;

use crate::host::{self, SharedStore};
use crate::record::{Reader, Writer};
use crate::time::Millis;

const KEY: &str = "bearer-gate waiting";
/// Increased whenever the meaning of a field changes.
const FORMAT: u64 = 1;
/// How often a worker looks at the others' parts, and shows that it lives.
const BEAT: Duration = Duration::from_secs(1);
/// A worker is gone if it has not beaten for this time.
const GONE: Duration = Duration::from_secs(5);
/// The most parts: one for each worker on which requests wait, and for a while of workers that are
/// gone.
const MOST_PARTS: usize = 1024;
/// How often a change is tried again when another worker was faster.
const TRIES: u32 = 4;

/// What one worker has added to the gauge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    worker: u64,
    waiting: u64,
    /// Another number at each beat.
    beat: u64,
}

/// The worker has no part in shared data, and should have none.
struct NothingToShare;

/// The parts, as one worker sees them.
#[derive(Debug)]
pub(super) struct Tally {
    worker: u64,
    told: u64,
    beat: u64,
    looked_at: Option<Millis>,
    /// Others' parts, and since when they are as they are.
    watched: Vec<(Part, Millis)>,
}

impl Tally {
    /// `worker`: random bits that no other worker has.
    pub(super) fn new(worker: u64) -> Self {
        Self {
            worker,
            told: 0,
            beat: 0,
            looked_at: None,
            watched: Vec::new(),
        }
    }

    /// Shares how many requests wait here and takes out the parts of workers that are gone. Returns
    /// by how much the gauge changes.
    pub(super) fn tell(&mut self, waiting: usize, now: Millis, store: &dyn SharedStore) -> i64 {
        let waiting = waiting as u64;
        let is_due = self
            .looked_at
            .is_none_or(|at| now < at || now.since(at) >= BEAT);
        if waiting == self.told && !is_due {
            return 0;
        }
        let changed = host::replace(store, KEY, TRIES, |bytes| {
            let parts = bytes.map_or(Some(Vec::new()), |bytes| decode(&bytes));
            // If another filter overwrote it, this worker's part is still in the gauge.
            let lost = parts.is_none();
            let mut parts = parts.unwrap_or_default();
            let own = parts.iter().position(|part| part.worker == self.worker);
            let own = own.map(|at| parts.swap_remove(at).waiting);
            let before = own.unwrap_or(if lost { self.told } else { 0 });
            let gone = self.take_gone(&mut parts, now);
            if waiting > 0 && parts.len() < MOST_PARTS {
                parts.push(Part {
                    worker: self.worker,
                    waiting,
                    beat: self.beat.wrapping_add(1),
                });
            } else if own.is_none() && gone == 0 && !lost {
                return Err(NothingToShare);
            }
            let after = if parts.last().is_some_and(|part| part.worker == self.worker) {
                waiting
            } else {
                0
            };
            let change = signed(after) - signed(before) - signed(gone);
            Ok((encode(&parts), change))
        });
        let change = match changed {
            // The next tick tries again.
            Ok(None) => return 0,
            Ok(Some(change)) => {
                self.beat = self.beat.wrapping_add(1);
                change
            }
            Err(NothingToShare) => 0,
        };
        self.told = waiting;
        self.looked_at = Some(now);
        change
    }

    /// Removes the parts of workers that are gone. Returns how many requests were in them.
    fn take_gone(&mut self, parts: &mut Vec<Part>, now: Millis) -> u64 {
        let watched = std::mem::take(&mut self.watched);
        let mut gone: u64 = 0;
        parts.retain(|part| {
            let since = watched
                .iter()
                .find(|(known, _)| known == part)
                .map_or(now, |(_, since)| *since);
            let is_gone = now.since(since) >= GONE;
            if is_gone {
                gone = gone.saturating_add(part.waiting);
            }
            // A part that is gone is still watched, since the write may fail.
            self.watched.push((*part, since));
            !is_gone
        });
        gone
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(0)
}

fn encode(parts: &[Part]) -> Vec<u8> {
    let record = Writer::default().number(FORMAT);
    parts
        .iter()
        .fold(record, |record, part| {
            record
                .number(part.worker)
                .number(part.waiting)
                .number(part.beat)
        })
        .finish()
}

fn decode(bytes: &[u8]) -> Option<Vec<Part>> {
    let mut record = Reader(bytes);
    if record.number()? != FORMAT {
        return None;
    }
    let mut parts = Vec::new();
    while !record.0.is_empty() && parts.len() < MOST_PARTS {
        parts.push(Part {
            worker: record.number()?,
            waiting: record.number()?,
            beat: record.number()?,
        });
    }
    record.finish()?;
    Some(parts)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::host::Version;

    /// One value, as the host keeps it.
    #[derive(Default)]
    struct Store(RefCell<(Vec<u8>, u32, u32)>);

    impl SharedStore for Store {
        fn read(&self, _: &str) -> Option<(Vec<u8>, Version)> {
            let (value, version, _) = self.0.borrow().clone();
            (version > 0).then_some((value, Version(version)))
        }

        fn write(&self, _: &str, value: &[u8], expected: Version) -> bool {
            let mut stored = self.0.borrow_mut();
            if stored.2 > 0 {
                stored.2 -= 1;
                return false;
            }
            if stored.1 > 0 && stored.1 != expected.0 {
                return false;
            }
            *stored = (value.to_vec(), stored.1 + 1, 0);
            true
        }
    }

    #[test]
    fn the_gauge_is_the_sum_of_the_parts() {
        let (store, mut one, mut two) = (Store::default(), Tally::new(1), Tally::new(2));
        let mut gauge = 0;
        for (now, first, second, sum) in [
            (0, 0, 0, 0),
            (10, 3, 0, 3),
            (20, 3, 5, 8),
            (30, 0, 5, 5),
            (40, 7, 6, 13),
            (50, 0, 0, 0),
        ] {
            gauge += one.tell(first, Millis(now), &store);
            gauge += two.tell(second, Millis(now), &store);
            assert_eq!(gauge, sum, "at {now}");
        }
        assert_eq!(
            decode(&store.read(KEY).unwrap().0),
            Some(Vec::new()),
            "nothing is left"
        );
    }

    #[test]
    fn what_a_worker_that_is_gone_had_told_is_taken_out_once() {
        // The worker that takes its place, or any other, by whatever clock.
        for clock in [0, 3_600_000_000] {
            let (store, mut dead) = (Store::default(), Tally::new(1));
            let mut gauge = dead.tell(500, Millis(1_000_000), &store);
            assert_eq!(gauge, 500);
            let (mut next, mut other) = (Tally::new(2), Tally::new(3));
            for millis in (0..10_000).step_by(200) {
                gauge += next.tell(7, Millis(clock + millis), &store);
                gauge += other.tell(2, Millis(clock + 5000 + millis), &store);
                let expected = if millis < 5000 { 509 } else { 9 };
                if millis != 5000 {
                    assert_eq!(gauge, expected, "after {millis} ms");
                }
            }
        }
    }

    #[test]
    fn a_worker_that_was_thought_gone_comes_back() {
        let (store, mut slow, mut other) = (Store::default(), Tally::new(1), Tally::new(2));
        let mut gauge = slow.tell(5, Millis(0), &store);
        for millis in (0..8000).step_by(1000) {
            gauge += other.tell(1, Millis(millis), &store);
        }
        assert_eq!(gauge, 1);
        gauge += slow.tell(5, Millis(8000), &store);
        assert_eq!(gauge, 6);
        gauge += slow.tell(0, Millis(8010), &store);
        assert_eq!(gauge, 1);
    }

    #[test]
    fn a_lost_race_and_foreign_bytes_leave_the_gauge_right() {
        let (store, mut one) = (Store::default(), Tally::new(1));
        store.0.borrow_mut().2 = 2;
        assert_eq!(one.tell(4, Millis(0), &store), 4, "tried again");
        store.0.borrow_mut().2 = 100;
        assert_eq!(one.tell(6, Millis(10), &store), 0, "not this time");
        store.0.borrow_mut().2 = 0;
        assert_eq!(one.tell(6, Millis(20), &store), 2);
        store.0.borrow_mut().0 = b"garbage".to_vec();
        assert_eq!(one.tell(1, Millis(30), &store), -5);
        assert_eq!(one.tell(0, Millis(40), &store), -1);
    }
}
