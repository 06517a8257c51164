//! Entries that all workers of the process share. Each entry ends after a time.
//!
//! Shared data cannot be deleted, so the entries are in a fixed number of shared values, the
//! drawers. The name of an entry says which drawer it is in.
//!
//! Invariants:
//! - an entry is found by its whole name, so no two are mixed up. Names in the same drawer share
//!   its room and nothing else;
//! - a drawer is bounded in octets, with the room that its entries have kept free;
//! - an entry has its room for as long as it says. After that it makes way for others where its
//!   drawer is full;
//! - an entry ends. It goes when its drawer is changed, or tidied by whoever put it there. One that
//!   ends later than any can is not believed, because shared data is open
//!   to every filter with the same `vm_id`. A secret in an entry must be sealed.

use std::time::Duration;

use crate::host::{self, SharedStore};
use crate::record::{Reader, Writer};
use crate::time::{CLOCKS_APART, Millis};

/// Increased whenever the meaning of a field changes.
const FORMAT: u64 = 2;
/// How often a change is tried again when another worker was faster.
const TRIES: u32 = 16;
/// What an entry takes in addition to its content, in octets: its name, two times and two lengths.
const OVERHEAD: usize = 32 + 4 * 8;

/// What tells an entry from all others: a hash, such as SHA-256, of what it is about.
pub type Name = [u8; 32];

/// A kind of entries.
#[derive(Debug)]
pub struct Shelf {
    /// Tells its shared values from others.
    pub name: &'static str,
    /// The most shared values that there can be.
    pub drawers: u16,
    /// The most that a drawer takes, in octets.
    pub most_octets: usize,
    /// No entry is kept for longer.
    pub longest: Duration,
}

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When it ends, by the clock that all workers share.
    pub until: Millis,
    /// Until then it stays, however full its drawer is.
    pub stays_until: Millis,
    /// The octets that its drawer keeps free for it: as many as its content may have later.
    pub room: usize,
    /// If it has more octets than `room`, `room` does not count.
    pub content: Vec<u8>,
}

/// Why an entry was not put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotPut {
    /// The entry that is there must stay.
    Stays,
    /// Its drawer has no room for it now.
    Full,
    /// Shared data refuses the write, or other workers were always faster.
    Refused,
}

/// What is in a drawer.
type Drawer = Vec<(Name, Entry)>;

impl Entry {
    fn octets(&self) -> usize {
        OVERHEAD.saturating_add(self.content.len().max(self.room))
    }
}

impl Shelf {
    /// What is shared under this name at `now`.
    pub fn find(&self, name: &Name, store: &dyn SharedStore, now: Millis) -> Option<Entry> {
        let shared = store.read(&self.key(self.drawer(name)));
        let mut entries = self.open(shared.map(|(octets, _)| octets), now).into_iter();
        let (_, entry) = entries.find(|(known, _)| known == name)?;
        Some(entry)
    }

    /// Puts an entry. It replaces the one of the same name, if there is one. `may` gets that one,
    /// or `None`, and says whether the new one may be put.
    ///
    /// # Errors
    /// [`NotPut`].
    pub fn put(
        &self,
        name: &Name,
        entry: &Entry,
        may: impl Fn(Option<&Entry>) -> bool,
        store: &dyn SharedStore,
        now: Millis,
    ) -> Result<(), NotPut> {
        self.change(name, Some(entry), may, store, now)
    }

    /// Removes an entry. `may` says whether it may go.
    ///
    /// # Errors
    /// [`NotPut`].
    pub fn remove(
        &self,
        name: &Name,
        may: impl Fn(Option<&Entry>) -> bool,
        store: &dyn SharedStore,
        now: Millis,
    ) -> Result<(), NotPut> {
        self.change(name, None, may, store, now)
    }

    /// The number of the drawer that an entry of this name is in.
    pub fn drawer(&self, name: &Name) -> u16 {
        let [first, second, ..] = *name;
        let number = u16::from_le_bytes([first, second]);
        number.checked_rem(self.drawers).unwrap_or_default()
    }

    /// Takes everything that has ended out of a drawer. Returns when something in it ends next. Where
    /// nothing has ended, nothing is written.
    ///
    /// # Errors
    /// [`NotPut::Refused`].
    pub fn tidy(
        &self,
        drawer: u16,
        store: &dyn SharedStore,
        now: Millis,
    ) -> Result<Option<Millis>, NotPut> {
        let tidied = host::replace(store, &self.key(drawer), TRIES, |octets| {
            let before = octets.clone().unwrap_or_default();
            let left = self.open(octets, now);
            let next = left.iter().map(|(_, entry)| entry.until).min();
            match encode(&left) {
                after if after == before || before.is_empty() => Err(next),
                after => Ok((after, next)),
            }
        });
        match tidied {
            Ok(Some(next)) | Err(next) => Ok(next),
            Ok(None) => Err(NotPut::Refused),
        }
    }

    fn change(
        &self,
        name: &Name,
        entry: Option<&Entry>,
        may: impl Fn(Option<&Entry>) -> bool,
        store: &dyn SharedStore,
        now: Millis,
    ) -> Result<(), NotPut> {
        let key = self.key(self.drawer(name));
        let changed = host::replace(store, &key, TRIES, |octets| {
            let mut drawer = self.open(octets, now);
            let at = drawer.iter().position(|(known, _)| known == name);
            let known = at.map(|at| drawer.swap_remove(at).1);
            if !may(known.as_ref()) {
                return Err(NotPut::Stays);
            }
            drawer.extend(entry.map(|entry| (*name, entry.clone())));
            if entry.is_some() && !self.make_room(&mut drawer, now) {
                return Err(NotPut::Full);
            }
            Ok((encode(&drawer), ()))
        });
        changed?.ok_or(NotPut::Refused)
    }

    /// Takes entries out that need not stay, those that end first before others, until the drawer is
    /// within its bound. False where that is not enough.
    fn make_room(&self, drawer: &mut Drawer, now: Millis) -> bool {
        loop {
            let octets = drawer.iter().map(|(_, entry)| entry.octets());
            if octets.fold(0, usize::saturating_add) <= self.most_octets {
                return true;
            }
            let entries = drawer.iter().enumerate();
            let free = entries.filter(|(_, (_, entry))| entry.stays_until <= now);
            let Some((at, _)) = free.min_by_key(|(_, (_, entry))| entry.until) else {
                return false;
            };
            drawer.swap_remove(at);
        }
    }

    fn key(&self, drawer: u16) -> String {
        format!("bearer-gate {} {drawer}", self.name)
    }

    /// What is in a drawer, without entries that have ended.
    fn open(&self, octets: Option<Vec<u8>>, now: Millis) -> Drawer {
        let drawer = octets.and_then(|octets| decode(&octets));
        let mut drawer = drawer.unwrap_or_default();
        let latest = now.after(self.longest.saturating_add(CLOCKS_APART));
        drawer.retain(|(_, entry)| entry.until > now && entry.until <= latest);
        drawer
    }
}

fn encode(drawer: &Drawer) -> Vec<u8> {
    let record = Writer::default().number(FORMAT);
    let entry = |record: Writer, (name, entry): &(Name, Entry)| {
        record
            .octets(name)
            .number(entry.until.0)
            .number(entry.stays_until.0)
            .number(entry.room as u64)
            .bytes(&entry.content)
    };
    drawer.iter().fold(record, entry).finish()
}

fn decode(octets: &[u8]) -> Option<Drawer> {
    let mut record = Reader(octets);
    if record.number()? != FORMAT {
        return None;
    }
    let mut drawer = Vec::new();
    while !record.0.is_empty() {
        let name = record.octets()?;
        let entry = Entry {
            until: Millis(record.number()?),
            stays_until: Millis(record.number()?),
            room: usize::try_from(record.number()?).ok()?,
            content: record.bytes()?.to_vec(),
        };
        drawer.push((name, entry));
    }
    Some(drawer)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    use super::*;
    use crate::host::Version;

    const SHELF: Shelf = Shelf {
        name: "test",
        drawers: 4,
        most_octets: 1000,
        longest: Duration::from_secs(60),
    };
    const NOW: Millis = Millis(1_000_000);

    #[derive(Default)]
    struct Store(RefCell<BTreeMap<String, (Vec<u8>, u32)>>);

    impl SharedStore for Store {
        fn read(&self, key: &str) -> Option<(Vec<u8>, Version)> {
            let (value, version) = self.0.borrow().get(key)?.clone();
            Some((value, Version(version)))
        }

        fn write(&self, key: &str, value: &[u8], expected: Version) -> bool {
            let mut values = self.0.borrow_mut();
            let known = values.get(key).map(|(_, version)| *version);
            if known.is_some_and(|version| version != expected.0) {
                return false;
            }
            let next = known.unwrap_or(0) + 1;
            values.insert(key.to_owned(), (value.to_vec(), next));
            true
        }
    }

    fn name(number: u8) -> Name {
        [number; 32]
    }

    fn entry(seconds: u64, content: &[u8]) -> Entry {
        let until = NOW.after(Duration::from_secs(seconds));
        Entry {
            until,
            stays_until: until,
            room: 0,
            content: content.to_vec(),
        }
    }

    fn put(store: &Store, at: u8, entry: &Entry) -> Result<(), NotPut> {
        SHELF.put(&name(at), entry, |_| true, store, NOW)
    }

    #[test]
    fn what_is_put_is_found_by_its_name_until_it_ends() {
        let store = Store::default();
        // 1 and 5 share a drawer.
        for at in [1, 2, 5] {
            put(&store, at, &entry(u64::from(at), &[at])).unwrap();
        }
        for (at, after, expected) in [
            (1, 0, true),
            (1, 999, true),
            (1, 1000, false),
            (2, 1000, true),
            (5, 4999, true),
            (5, 5000, false),
            (9, 0, false),
        ] {
            let now = NOW.after(Duration::from_millis(after));
            let found = SHELF.find(&name(at), &store, now);
            let content = found.map(|entry| entry.content);
            assert_eq!(content, expected.then(|| vec![at]), "{at} after {after}");
        }
        assert_eq!(store.0.borrow().len(), 2);
        SHELF.remove(&name(1), |_| true, &store, NOW).unwrap();
        assert_eq!(SHELF.find(&name(1), &store, NOW), None);
        assert!(SHELF.find(&name(5), &store, NOW).is_some());
    }

    #[test]
    fn what_is_there_stays_unless_it_makes_way() {
        let store = Store::default();
        let is_free = |known: Option<&Entry>| known.is_none();
        let (first, second) = (entry(5, b"first"), entry(9, b"second"));
        let put = |entry, now| SHELF.put(&name(1), entry, is_free, &store, now);
        assert_eq!(put(&first, NOW), Ok(()));
        assert_eq!(put(&second, NOW), Err(NotPut::Stays));
        assert_eq!(SHELF.find(&name(1), &store, NOW).as_ref(), Some(&first));
        let later = NOW.after(Duration::from_secs(5));
        assert_eq!(put(&second, later), Ok(()));
        let is_mine = |known: Option<&Entry>| known.is_some_and(|known| known.content == b"mine");
        let removed = SHELF.remove(&name(1), is_mine, &store, later);
        assert_eq!(removed, Err(NotPut::Stays));
        assert_eq!(SHELF.find(&name(1), &store, later), Some(second));
    }

    #[test]
    fn a_drawer_is_bounded_with_the_room_that_is_kept_free() {
        let store = Store::default();
        let with_room = Entry {
            room: 800,
            ..entry(5, b"x")
        };
        put(&store, 1, &with_room).unwrap();
        assert_eq!(put(&store, 5, &entry(5, &[0; 100])), Err(NotPut::Full));
        put(&store, 5, &entry(5, &[0; 60])).unwrap();
        // Another drawer, and the room itself.
        put(&store, 2, &entry(5, &[0; 900])).unwrap();
        put(&store, 1, &entry(5, &[0; 800])).unwrap();
        assert_eq!(put(&store, 1, &entry(5, &[0; 900])), Err(NotPut::Full));
        // An entry that has ended takes no room.
        let later = NOW.after(Duration::from_secs(5));
        let large = entry(10, &[0; 900]);
        SHELF
            .put(&name(1), &large, |_| true, &store, later)
            .unwrap();
        // A drawer that strangers have filled can always be made smaller.
        let full = encode(&vec![(name(1), entry(5, &[0; 2000]))]);
        let key = SHELF.key(SHELF.drawer(&name(1)));
        store.0.borrow_mut().insert(key, (full, 99));
        SHELF.remove(&name(5), |_| true, &store, NOW).unwrap();
    }

    #[test]
    fn what_need_not_stay_makes_way_and_what_ends_first_before_others() {
        let store = Store::default();
        let second = Duration::from_secs(1);
        // All of them share a drawer.
        for (at, ends) in [(1, 9), (5, 7), (9, 8)] {
            let kept = Entry {
                stays_until: NOW.after(second),
                ..entry(ends, &[at; 200])
            };
            put(&store, at, &kept).unwrap();
        }
        let large = entry(9, &[0; 400]);
        assert_eq!(put(&store, 13, &large), Err(NotPut::Full), "they stay");
        let later = NOW.after(second);
        SHELF
            .put(&name(13), &large, |_| true, &store, later)
            .unwrap();
        for (at, expected) in [(1, true), (5, false), (9, true), (13, true)] {
            let found = SHELF.find(&name(at), &store, later);
            assert_eq!(found.is_some(), expected, "{at}");
        }
        // What finds no room removes nothing.
        let larger = entry(9, &[0; 800]);
        let full = SHELF.put(&name(17), &larger, |_| true, &store, later);
        assert_eq!(full, Err(NotPut::Full));
        assert!(SHELF.find(&name(1), &store, later).is_some());
    }

    #[test]
    fn what_has_ended_is_taken_out() {
        let store = Store::default();
        let octets = |at| store.0.borrow().get(&SHELF.key(at)).unwrap().0.clone();
        for (at, ends) in [(1, 3), (5, 7), (9, 5), (2, 1)] {
            put(&store, at, &entry(ends, b"a secret")).unwrap();
        }
        let after = |seconds| NOW.after(Duration::from_secs(seconds));
        let version = || store.0.borrow().get(&SHELF.key(1)).unwrap().1;
        for (now, next, writes) in [
            (0, Some(3), false),
            (3, Some(5), true),
            (4, Some(5), false),
            (5, Some(7), true),
            (7, None, true),
            (8, None, false),
        ] {
            let before = version();
            let left = SHELF.tidy(SHELF.drawer(&name(1)), &store, after(now));
            assert_eq!(left, Ok(next.map(after)), "after {now} s");
            assert_eq!(version() != before, writes, "after {now} s");
        }
        assert_eq!(octets(1), encode(&Vec::new()));
        assert_ne!(octets(2), encode(&Vec::new()), "another drawer");
    }

    #[test]
    fn what_is_not_ours_is_not_believed() {
        for value in [
            b"".to_vec(),
            b"garbage".to_vec(),
            encode(&vec![(name(1), entry(62, b"for ever"))]),
            [encode(&vec![(name(1), entry(5, b"x"))]), b"y".to_vec()].concat(),
            vec![0xff; 4096],
        ] {
            let store = Store::default();
            let key = SHELF.key(SHELF.drawer(&name(1)));
            store.0.borrow_mut().insert(key, (value, 7));
            assert_eq!(SHELF.find(&name(1), &store, NOW), None);
            put(&store, 1, &entry(5, b"ours")).unwrap();
            let found = SHELF.find(&name(1), &store, NOW).unwrap();
            assert_eq!(found.content, b"ours");
        }
    }

    #[test]
    fn a_change_that_another_worker_came_before_is_made_on_what_it_left() {
        struct Contended(Store, RefCell<u32>);
        impl SharedStore for Contended {
            fn read(&self, key: &str) -> Option<(Vec<u8>, Version)> {
                self.0.read(key)
            }
            fn write(&self, key: &str, value: &[u8], expected: Version) -> bool {
                let left = *self.1.borrow();
                if left > 0 {
                    *self.1.borrow_mut() -= 1;
                    put(&self.0, 5, &entry(5, b"theirs")).unwrap();
                }
                self.0.write(key, value, expected)
            }
        }
        let store = Contended(Store::default(), RefCell::new(3));
        let ours = entry(5, b"ours");
        SHELF.put(&name(1), &ours, |_| true, &store, NOW).unwrap();
        for (at, expected) in [(1, &b"ours"[..]), (5, b"theirs")] {
            let found = SHELF.find(&name(at), &store, NOW).unwrap();
            assert_eq!(found.content, expected);
        }
        *store.1.borrow_mut() = u32::MAX;
        let beaten = SHELF.put(&name(1), &ours, |_| true, &store, NOW);
        assert_eq!(beaten, Err(NotPut::Refused));
    }
}
