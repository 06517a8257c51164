//! What every request with a session reads of the list: which shards have changed.
//!
//! Invariant: two states of a shard have different versions, even if shared data was lost in
//! between.

use super::SHARDS;
use crate::record::{Reader, Writer};

/// Increased whenever the meaning of a field changes.
const FORMAT: u64 = 1;

/// Tells a state of a shard from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    era: u64,
    changes: u64,
}

/// The states of all shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Heads {
    /// Random. It is another one whenever the list begins anew.
    era: u64,
    /// Every session that began here until then is over. In Unix seconds; 0 for none.
    pub(super) lost: u64,
    /// How often each shard was changed in this era.
    changes: [u64; SHARDS],
}

impl Heads {
    /// A new list. `lost`: see [`Heads::lost`]. `random` must not have been used before.
    #[must_use]
    pub(super) fn new(random: u64, lost: u64) -> Self {
        Self {
            era: random,
            lost,
            changes: [0; SHARDS],
        }
    }

    /// The state of a shard; `None` where it has never been written in this era.
    #[must_use]
    pub(super) fn state(&self, shard: usize) -> Option<State> {
        let changes = *self.changes.get(shard)?;
        (changes > 0).then_some(State {
            era: self.era,
            changes,
        })
    }

    /// Notes that a shard has changed.
    pub(super) fn note(&mut self, shard: usize) {
        if let Some(changes) = self.changes.get_mut(shard) {
            *changes = changes.wrapping_add(1).max(1);
        }
    }

    /// The octets to share.
    #[must_use]
    pub(super) fn encode(&self) -> Vec<u8> {
        let head = Writer::default()
            .number(FORMAT)
            .number(self.era)
            .number(self.lost);
        self.changes
            .iter()
            .copied()
            .fold(head, Writer::number)
            .finish()
    }

    /// Reads what was shared. `None` where it has another form.
    #[must_use]
    pub(super) fn decode(octets: &[u8]) -> Option<Self> {
        let mut record = Reader(octets);
        if record.number()? != FORMAT {
            return None;
        }
        let mut heads = Self::new(record.number()?, record.number()?);
        for changes in &mut heads.changes {
            *changes = record.number()?;
        }
        record.finish()?;
        Some(heads)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_another_state() {
        let mut heads = Heads::new(7, 0);
        assert_eq!(heads.state(0), None);
        heads.note(0);
        let first = heads.state(0);
        assert!(first.is_some() && heads.state(1).is_none());
        heads.note(0);
        assert_ne!(heads.state(0), first);
        let mut later = Heads::new(8, 0);
        later.note(0);
        assert_ne!(later.state(0), first);
        assert_eq!(heads.state(SHARDS), None);
        heads.note(SHARDS);
    }

    #[test]
    fn heads_are_read_whole_or_not_at_all() {
        let mut heads = Heads::new(u64::MAX, 5);
        heads.note(SHARDS - 1);
        let octets = heads.encode();
        assert_eq!(Heads::decode(&octets), Some(heads));
        for length in 0..octets.len() {
            assert_eq!(Heads::decode(&octets[..length]), None, "{length} octets");
        }
        assert_eq!(Heads::decode(&[&octets[..], b"x"].concat()), None);
        let mut newer = octets;
        newer[0] = 2;
        assert_eq!(Heads::decode(&newer), None);
    }
}
