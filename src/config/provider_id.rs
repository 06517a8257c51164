//! Providers by their ids, and whatever there is of each provider.
//!
//! Invariant: a [`ProviderId`] is made by the configuration that has the provider, and by nothing
//! else; so a look-up by it finds something.

use std::ops::{Index, IndexMut};
use std::slice;

/// A provider of a [`Config`](super::Config), for that configuration and what was made from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProviderId(usize);

impl ProviderId {
    /// Its place in the configuration, as written.
    #[must_use]
    pub fn index(self) -> usize {
        self.0
    }
}

/// A value for each provider of a configuration, in the order written.
#[derive(Clone, Debug)]
pub struct PerProvider<T>(Vec<T>);

impl<T> PerProvider<T> {
    pub(super) fn new(values: Vec<T>) -> Self {
        PerProvider(values)
    }

    /// As many as in a test's own configuration.
    #[cfg(test)]
    pub(crate) fn of_test(values: Vec<T>) -> Self {
        PerProvider(values)
    }

    /// Something else for each of the same providers.
    pub fn map<'s, U>(&'s self, value: impl FnMut(&'s T) -> U) -> PerProvider<U> {
        PerProvider(self.0.iter().map(value).collect())
    }

    pub fn iter(&self) -> slice::Iter<'_, T> {
        self.0.iter()
    }

    pub fn ids(&self) -> impl Iterator<Item = ProviderId> + use<T> {
        (0..self.0.len()).map(ProviderId)
    }

    pub fn entries(&self) -> impl Iterator<Item = (ProviderId, &T)> {
        self.ids().zip(self.iter())
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'s, T> IntoIterator for &'s PerProvider<T> {
    type Item = &'s T;
    type IntoIter = slice::Iter<'s, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'s, T> IntoIterator for &'s mut PerProvider<T> {
    type Item = &'s mut T;
    type IntoIter = slice::IterMut<'s, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter_mut()
    }
}

impl<T> Index<ProviderId> for PerProvider<T> {
    type Output = T;

    #[expect(
        clippy::indexing_slicing,
        reason = "an id is its own configuration's: with another's, nothing right could be found"
    )]
    fn index(&self, id: ProviderId) -> &T {
        &self.0[id.0]
    }
}

impl<T> IndexMut<ProviderId> for PerProvider<T> {
    #[expect(clippy::indexing_slicing, reason = "as above")]
    fn index_mut(&mut self, id: ProviderId) -> &mut T {
        &mut self.0[id.0]
    }
}
