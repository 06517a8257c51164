//! What the OpenID provider remembers, in memory.

use std::collections::VecDeque;

use rand::random;

use crate::token::base64url;

/// The most that is remembered of each kind; the oldest goes first.
const MOST: usize = 1000;

/// Values under keys, oldest first, at most [`MOST`].
#[derive(Debug)]
pub(super) struct Bounded<V>(VecDeque<(String, V)>);

impl<V> Default for Bounded<V> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<V> Bounded<V> {
    pub(super) fn insert(&mut self, key: &str, value: V) {
        self.remove(key);
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back((key.to_owned(), value));
    }

    /// Under a random key, which is returned.
    pub(super) fn add(&mut self, value: V) -> String {
        let key = secret();
        self.insert(&key, value);
        key
    }

    pub(super) fn get(&self, key: &str) -> Option<&V> {
        let (_, value) = self.0.iter().find(|(known, _)| known == key)?;
        Some(value)
    }

    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut V> {
        let (_, value) = self.0.iter_mut().find(|(known, _)| known == key)?;
        Some(value)
    }

    pub(super) fn remove(&mut self, key: &str) -> Option<V> {
        let at = self.0.iter().position(|(known, _)| known == key)?;
        self.0.remove(at).map(|(_, value)| value)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut V)> {
        let all = self.0.iter_mut();
        all.map(|(key, value)| (key.as_str(), value))
    }

    /// Takes out all that `wanted` holds for.
    pub(super) fn take(&mut self, mut wanted: impl FnMut(&V) -> bool) -> Vec<V> {
        let (taken, kept) = std::mem::take(&mut self.0)
            .into_iter()
            .partition(|(_, value)| wanted(value));
        self.0 = kept;
        let taken: VecDeque<(String, V)> = taken;
        taken.into_iter().map(|(_, value)| value).collect()
    }
}

/// 192 random bits.
pub(super) fn secret() -> String {
    base64url(random::<[u8; 24]>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten() {
        let mut store = Bounded::default();
        for number in 0..=MOST {
            store.insert(&number.to_string(), number);
        }
        assert_eq!(store.get("0"), None);
        assert_eq!(store.get("1"), Some(&1));
        store.insert("1", 7);
        assert_eq!((store.0.len(), store.remove("1")), (MOST, Some(7)));
        assert_eq!(store.take(|number| *number < 4), [2, 3]);
    }
}
