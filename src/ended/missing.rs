//! What has ended here and was not found elsewhere.

use super::mark::Mark;
use super::shard::Shard;
use super::{Ending, Entry, PROVEN};

/// What has ended here and was not found elsewhere.
#[derive(Debug)]
pub struct Missing {
    /// By their numbers. They have what is left.
    shards: Vec<Shard>,
}

impl Missing {
    pub(super) fn new(shards: Vec<Shard>) -> Self {
        Self { shards }
    }

    /// Leaves out what was found. A later time than that is still missing.
    pub fn leave_out(&mut self, found: &Ending) {
        for Entry {
            place, mark, until, ..
        } in found.entries()
        {
            if let Some(shard) = self.shards.get_mut(place) {
                shard.leave_out(&mark, until);
            }
        }
    }

    /// Whether nothing is missing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shards.iter().all(Shard::is_empty)
    }

    /// Whether something of this is missing.
    #[must_use]
    pub fn has_any(&self, ending: &Ending) -> bool {
        ending.entries().any(|entry| {
            let shard = self.shards.get(entry.place);
            shard.is_some_and(|shard| shard.has(&entry.mark))
        })
    }

    /// At most so many marks that were proven, and so many that were only claimed.
    #[must_use]
    pub fn start(&self, most: usize) -> Ending {
        let (proven, claimed) = self.shards.split_at(PROVEN.min(self.shards.len()));
        Ending {
            claims: first(claimed, most),
            ..Ending::proven(first(proven, most))
        }
    }
}

#[inline(never)] // for two callers
fn first(shards: &[Shard], most: usize) -> Vec<(Mark, u64)> {
    let entries = shards.iter().flat_map(Shard::entries);
    entries.take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::super::shard::WhenFull;
    use super::super::{SHARDS, claimed_at, proven_at};
    use super::*;

    fn mark(number: u64) -> Mark {
        Mark::of_sid("https://idp.example/", &number.to_string())
    }

    #[test]
    fn what_was_found_is_missing_no_more() {
        let mut shards = vec![Shard::EMPTY; SHARDS];
        for number in 1..=9 {
            let mark = mark(number);
            for place in [proven_at(&mark), claimed_at(&mark)] {
                shards[place]
                    .put(mark, 100 + number, WhenFull::Floor)
                    .unwrap();
            }
        }
        let mut missing = Missing::new(shards);
        let ended = |number: u64, until: u64| Ending::proven(vec![(mark(number), until)]);
        let claimed = |number: u64, until: u64| Ending::claimed(mark(number), until, 0);
        // An earlier time is not enough, and a claim is not what is proven.
        for (found, left) in [
            (ended(1, 100), (9, 9)),
            (claimed(1, 101), (9, 8)),
            (ended(1, 101), (8, 8)),
            (ended(2, 500), (7, 8)),
            (ended(77, 500), (7, 8)),
        ] {
            missing.leave_out(&found);
            let count = missing.start(99).count();
            assert_eq!((count.proven, count.claims), left, "{found:?}");
        }
        assert!(!missing.has_any(&ended(2, 1)) && missing.has_any(&ended(3, 1)));
        let some = missing.start(3).count();
        assert_eq!((some.proven, some.claims), (3, 3));
        let all = missing.start(99);
        missing.leave_out(&all);
        assert!(missing.is_empty());
        assert!(!missing.has_any(&all));
    }
}
