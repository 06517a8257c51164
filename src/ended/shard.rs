//! A part of a list in shared data: marks, each with a time. What has the mark and was issued until
//! then is over.
//!
//! Invariants: a shard has at most [`MOST`] entries. A full shard forgets nothing that it must
//! keep: what it drops ends more sessions of the same person, or the floor ends it.

use super::mark::Mark;
use crate::record::{Reader, Writer};

/// The most entries of a shard: 24 octets each.
pub const MOST: usize = 512;
/// Whoever has so many entries in a full shard makes room for others.
pub const MANY: usize = 8;
/// Increased whenever the meaning of a field changes.
const FORMAT: u64 = 2;

/// What happens when a full shard must take one more entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// Of the person with the most sessions that ended, the earlier half goes, and all of this
    /// person's sessions that were issued until then are over. Where nobody has [`MANY`], the entry
    /// with the earliest time goes, and everything that was issued until then is over.
    Floor,
    /// Only entries with an earlier time than this go.
    Refuse {
        /// In Unix seconds.
        before: u64,
    },
    /// The entry with the earliest time goes.
    Forget,
}

/// The shard is full, and no entry may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    mark: Mark,
    /// What has the mark and was issued until then is over, in Unix seconds.
    until: u64,
}

/// Entries by their marks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shard {
    /// Everything in the shard that was issued until then is over; 0 for nothing.
    floor: u64,
    entries: Vec<Entry>,
}

impl Shard {
    /// Without entries and floor.
    pub const EMPTY: Self = Self {
        floor: 0,
        entries: Vec::new(),
    };

    /// Everything that was issued until then is over, in Unix seconds; 0 for nothing.
    pub(super) fn floor(&self) -> u64 {
        self.floor
    }

    fn place(&self, mark: &Mark) -> Result<usize, usize> {
        let by = |entry: &Entry| entry.mark.cmp(mark);
        self.entries.binary_search_by(by)
    }

    fn entry(&self, mark: &Mark) -> Option<&Entry> {
        let at = self.place(mark).ok()?;
        self.entries.get(at)
    }

    /// Whether what has the mark and was issued at `issued` is over.
    #[must_use]
    pub fn ends(&self, mark: &Mark, issued: u64) -> bool {
        let until = self.entry(mark).map_or(0, |entry| entry.until);
        issued <= until.max(self.floor)
    }

    /// Whether the mark has an entry of its own.
    #[must_use]
    pub fn has(&self, mark: &Mark) -> bool {
        self.entry(mark).is_some()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Forgets what the mark has, unless its time is later, in Unix seconds.
    pub(super) fn leave_out(&mut self, mark: &Mark, until: u64) {
        if let Ok(at) = self.place(mark) {
            let is_over = |entry: &Entry| entry.until <= until;
            if self.entries.get(at).is_some_and(is_over) {
                self.entries.remove(at);
            }
        }
    }

    /// Forgets what is no later than this, in Unix seconds.
    pub(super) fn leave_out_until(&mut self, time: u64) {
        self.entries.retain(|entry| entry.until > time);
    }

    /// Whether it is one session of a person all of whose sessions until then are over. So what made
    /// room for others takes none when it is told again.
    fn is_among_all(&self, mark: &Mark, until: u64) -> bool {
        let all = mark.is_of_one().then(|| mark.all_of_the_person());
        let all = all.and_then(|all| self.entry(&all));
        all.is_some_and(|all| until <= all.until)
    }

    /// Each mark with its time, in Unix seconds.
    pub(super) fn entries(&self) -> impl Iterator<Item = (Mark, u64)> {
        let entries = self.entries.iter();
        entries.map(|entry| (entry.mark, entry.until))
    }

    /// Ends what has the mark and was issued no later than `until`.
    ///
    /// # Errors
    /// Where there is no room and no entry may go.
    pub fn put(&mut self, mark: Mark, until: u64, when_full: WhenFull) -> Result<(), Full> {
        // 0 is no real time: a clock that shows it does not work.
        let until = until.max(1);
        if until <= self.floor || self.is_among_all(&mark, until) {
            return Ok(());
        }
        if let Ok(at) = self.place(&mark) {
            if let Some(entry) = self.entries.get_mut(at) {
                entry.until = entry.until.max(until);
            }
            return Ok(());
        }
        if self.entries.len() >= MOST {
            self.make_room(when_full)?;
            // The floor may have risen to this time.
            if until <= self.floor {
                return Ok(());
            }
        }
        let (Ok(at) | Err(at)) = self.place(&mark);
        self.entries.insert(at, Entry { mark, until });
        Ok(())
    }

    fn make_room(&mut self, when_full: WhenFull) -> Result<(), Full> {
        if let WhenFull::Refuse { before } = when_full {
            self.entries.retain(|entry| entry.until >= before);
            return if self.entries.len() < MOST {
                Ok(())
            } else {
                Err(Full)
            };
        }
        if when_full == WhenFull::Floor && self.merge().is_some() {
            return Ok(());
        }
        let times = self.entries.iter().map(|entry| entry.until);
        let earliest = times.min().unwrap_or(0);
        if when_full == WhenFull::Floor {
            self.floor = self.floor.max(earliest);
        }
        self.entries.retain(|entry| entry.until > earliest);
        Ok(())
    }

    /// Puts one entry in place of the earlier sessions of whoever has the most: all of this
    /// person's that were issued until then are over. `None` where nobody has many.
    fn merge(&mut self) -> Option<()> {
        // Marks are in order, so those of a person are one after the other.
        let people = self.entries.chunk_by(|a, b| a.mark.is_beside(&b.mark));
        let most = people.max_by_key(|sessions| sessions.len())?;
        if most.len() < MANY {
            return None;
        }
        let one = most.first()?.mark;
        let mut times: Vec<u64> = most.iter().map(|entry| entry.until).collect();
        times.sort_unstable();
        let until = *times.get(times.len() / 2)?;
        self.entries
            .retain(|entry| entry.until > until || !entry.mark.is_beside(&one));
        // More than one went, so there is room.
        let all = one.all_of_the_person();
        self.put(all, until, WhenFull::Floor).ok()
    }

    /// The octets to share.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let record = Writer::default()
            .number(FORMAT)
            .number(self.floor)
            .number(self.entries.len() as u64);
        let entries = self.entries.iter();
        let record = entries.fold(record, |record, entry| {
            entry.mark.write(entry.until, record)
        });
        record.finish()
    }

    /// Reads what was shared. `None` where it is not a shard.
    #[must_use]
    pub fn decode(octets: &[u8]) -> Option<Self> {
        let mut record = Reader(octets);
        if record.number()? != FORMAT {
            return None;
        }
        let mut shard = Self {
            floor: record.number()?,
            entries: Vec::new(),
        };
        let count = usize::try_from(record.number()?).ok()?;
        if count > MOST {
            return None;
        }
        for _ in 0..count {
            let (mark, until) = Mark::read(&mut record)?;
            if shard.entries.last().is_some_and(|last| last.mark >= mark) {
                return None;
            }
            shard.entries.push(Entry { mark, until });
        }
        record.finish()?;
        Some(shard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(number: usize) -> Mark {
        Mark::of_sid("https://idp.example/", &number.to_string())
    }

    /// A session of a person.
    fn own(name: &str, number: usize) -> Mark {
        Mark::of_session("https://idp.example/", name, &number.to_le_bytes())
    }

    fn all(name: &str) -> Mark {
        let [all, _] = Mark::of_subject("https://idp.example/", name);
        all
    }

    fn full() -> Shard {
        let mut shard = Shard::default();
        for number in 0..MOST {
            let until = 1000 + number as u64;
            shard.put(mark(number), until, WhenFull::Floor).unwrap();
        }
        shard
    }

    #[test]
    fn what_was_issued_until_then_is_over_and_nothing_else() {
        let mut shard = Shard::default();
        assert!(!shard.ends(&mark(1), 1));
        shard.put(mark(1), 500, WhenFull::Floor).unwrap();
        for (issued, over) in [(0, true), (499, true), (500, true), (501, false)] {
            assert_eq!(shard.ends(&mark(1), issued), over, "{issued}");
            assert_eq!(shard.ends(&mark(2), issued), issued == 0);
        }
        // An earlier time takes nothing back.
        shard.put(mark(1), 400, WhenFull::Floor).unwrap();
        assert!(shard.ends(&mark(1), 500));
        shard.put(mark(1), 600, WhenFull::Floor).unwrap();
        assert!(shard.ends(&mark(1), 600));
    }

    #[test]
    fn a_full_shard_ends_more_and_never_less() {
        let mut shard = full();
        shard.put(mark(MOST), 2000, WhenFull::Floor).unwrap();
        assert_eq!(shard.entries.len(), MOST);
        assert_eq!(shard.floor, 1000);
        // The entry that went is still over, and so is everything that was issued no later.
        assert!(!shard.has(&mark(0)) && shard.ends(&mark(0), 1000));
        assert!(shard.ends(&mark(MOST + 1), 1000) && !shard.ends(&mark(MOST + 1), 1001));
        // What is below the floor needs no entry.
        shard.put(mark(MOST + 2), 1000, WhenFull::Floor).unwrap();
        assert!(!shard.has(&mark(MOST + 2)) && shard.ends(&mark(MOST + 2), 1000));
        // Entries of the same time go together.
        let mut same = Shard::default();
        for number in 0..=MOST {
            same.put(mark(number), 7, WhenFull::Floor).unwrap();
        }
        assert_eq!((same.floor, same.entries.len()), (7, 0));
        assert!(same.ends(&mark(MOST), 7) && !same.ends(&mark(MOST), 8));
    }

    #[test]
    fn whoever_has_many_entries_makes_room_for_the_others() {
        let floor = WhenFull::Floor;
        let mut shard = Shard::default();
        let others = MOST - MANY;
        for number in 0..others {
            shard
                .put(own(&format!("u-{number}"), 0), 10, floor)
                .unwrap();
        }
        for number in 0..MANY {
            let until = 1000 + number as u64;
            shard.put(own("kim", number), until, floor).unwrap();
        }
        assert!(!shard.ends(&all("kim"), 1));
        // Five become one.
        shard.put(own("lee", 0), 5000, floor).unwrap();
        assert_eq!((shard.entries.len(), shard.floor), (MOST - 3, 0));
        assert!(shard.ends(&all("kim"), 1004) && !shard.ends(&all("kim"), 1005));
        for number in 0..MANY {
            assert_eq!(shard.has(&own("kim", number)), number > 4, "{number}");
        }
        for number in 0..others {
            let name = format!("u-{number}");
            assert!(shard.has(&own(&name, 0)) && !shard.ends(&all(&name), 1));
        }
        // Nobody has many any more: everybody pays.
        for number in 0..MANY - 1 {
            assert_eq!(shard.floor, if number < 4 { 0 } else { 10 });
            shard.put(own("sam", number), 5000, floor).unwrap();
        }
        assert_eq!(shard.floor, 10);
    }

    /// An entry ends its session for good, and what is of a provider ends nothing of a person.
    #[test]
    fn no_entry_is_forgotten_whoever_has_how_many() {
        let floor = WhenFull::Floor;
        for (people, is_over_for_others) in [(1, false), (5, false), (40, false), (2000, true)] {
            let mut shard = Shard::default();
            let entry = |number: usize| {
                // Some sign out more often, and times are in no order.
                let name = format!("u-{}", number * number % 7919 % people);
                let until = 1000 + (number * 7919 % 3001) as u64;
                (own(&name, number), all(&name), until)
            };
            for number in 0..3000 {
                let (own, all, until) = entry(number);
                if number % 3 == 0 {
                    shard.put(mark(number % 300), until, floor).unwrap();
                }
                shard.put(own, until, floor).unwrap();
                assert!(shard.ends(&own, until) || shard.ends(&all, until));
                assert!(shard.entries.len() <= MOST);
            }
            for number in 0..3000 {
                let (own, all, until) = entry(number);
                assert!(shard.ends(&own, until) || shard.ends(&all, until));
            }
            for number in 0..100 {
                assert!(shard.ends(&mark(number * 3), 1));
            }
            assert_eq!(shard.floor > 0, is_over_for_others, "{people}");
            assert_eq!(shard.ends(&own("nobody", 1), 1), is_over_for_others);
        }
    }

    /// Another Envoy tells again what has made room.
    #[test]
    fn what_is_told_again_ends_nothing_more() {
        let floor = WhenFull::Floor;
        let mut shard = Shard::default();
        let told: Vec<(Mark, u64)> = (0..MOST + 40)
            .map(|number| {
                (
                    own(&format!("u-{}", number % 50), number),
                    1000 + number as u64,
                )
            })
            .collect();
        for (mark, until) in &told {
            shard.put(*mark, *until, floor).unwrap();
        }
        let before = shard.clone();
        for _ in 0..3 {
            for (mark, until) in &told {
                shard.put(*mark, *until, floor).unwrap();
            }
        }
        assert_eq!(shard, before);
        assert_eq!(shard.floor, 0);
    }

    #[test]
    fn a_full_shard_refuses_or_forgets() {
        let mut shard = full();
        let refuse = |before| WhenFull::Refuse { before };
        assert_eq!(shard.put(mark(MOST), 2000, refuse(1000)), Err(Full));
        assert_eq!(shard, full());
        assert_eq!(shard.put(mark(MOST), 2000, refuse(1001)), Ok(()));
        assert!(!shard.has(&mark(0)) && shard.has(&mark(1)) && shard.has(&mark(MOST)));
        assert_eq!(shard.floor, 0);
        shard
            .put(mark(MOST + 1), 2000, WhenFull::Forget)
            .expect("it always has room");
        assert!(!shard.has(&mark(1)) && shard.has(&mark(2)));
        assert_eq!(shard.floor, 0);
    }

    #[test]
    fn a_shard_is_read_whole_or_not_at_all() {
        let mut shard = Shard::default();
        for number in 0..3 {
            shard.put(mark(number), 5, WhenFull::Floor).unwrap();
        }
        for shard in [Shard::default(), shard, full()] {
            let octets = shard.encode();
            assert_eq!(Shard::decode(&octets), Some(shard));
            for length in 0..octets.len() {
                assert_eq!(Shard::decode(&octets[..length]), None, "{length} octets");
            }
            let mut newer = octets.clone();
            newer[0] = 3;
            assert_eq!(Shard::decode(&newer), None);
            assert_eq!(Shard::decode(&[&octets[..], b"x"].concat()), None);
        }
        let of = |count: u64, marks: &[u8]| {
            let head = Writer::default().number(FORMAT).number(0).number(count);
            let entry = |record: Writer, mark: &u8| record.octets(&[*mark; 16]).number(1);
            Shard::decode(&marks.iter().fold(head, entry).finish()).is_some()
        };
        for (count, marks, good) in [
            (2, &[1, 2][..], true),
            (2, &[2, 1], false),
            (2, &[1, 1], false),
            (1, &[1, 2], false),
            (3, &[1, 2], false),
            (u64::MAX, &[1, 2], false),
        ] {
            assert_eq!(of(count, marks), good, "{count} {marks:?}");
        }
    }
}
