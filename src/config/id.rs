//! What a configuration has by names of its own, by ids, and whatever there is of each.
//!
//! Invariant: an [`Id`] is made by the configuration that has what it names, and by nothing else;
//! so a look-up by it finds something. Ids of one kind are none of another kind.

use std::marker::PhantomData;
use std::ops::{Index, IndexMut};
use std::slice;

/// A provider of a [`Config`](super::Config), for that configuration and what was made from it.
pub type ProviderId = Id<Providers>;
/// A value for each provider of a configuration, in the order written.
pub type PerProvider<T> = PerId<Providers, T>;

/// The kind of ids that name providers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Providers {}

/// One of a kind, by its place in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Id<Kind>(usize, PhantomData<Kind>);

impl<Kind> Id<Kind> {
    fn new(place: usize) -> Self {
        Self(place, PhantomData)
    }

    /// Its place in the configuration, as written.
    #[must_use]
    pub fn index(self) -> usize {
        self.0
    }
}

/// A value for each of a kind, in the order written.
#[derive(Clone, Debug)]
pub struct PerId<Kind, T>(Vec<T>, PhantomData<Kind>);

impl<Kind, T> PerId<Kind, T> {
    pub(super) fn new(values: Vec<T>) -> Self {
        Self(values, PhantomData)
    }

    /// As many as in a test's own configuration.
    #[cfg(test)]
    pub(crate) fn of_test(values: Vec<T>) -> Self {
        Self::new(values)
    }

    /// Something else for each of the same.
    pub fn map<'s, U>(&'s self, value: impl FnMut(&'s T) -> U) -> PerId<Kind, U> {
        PerId(self.0.iter().map(value).collect(), PhantomData)
    }

    pub fn iter(&self) -> slice::Iter<'_, T> {
        self.0.iter()
    }

    pub fn ids(&self) -> impl Iterator<Item = Id<Kind>> + use<Kind, T> {
        (0..self.0.len()).map(Id::new)
    }

    pub fn entries(&self) -> impl Iterator<Item = (Id<Kind>, &T)> {
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

impl<'s, Kind, T> IntoIterator for &'s PerId<Kind, T> {
    type Item = &'s T;
    type IntoIter = slice::Iter<'s, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'s, Kind, T> IntoIterator for &'s mut PerId<Kind, T> {
    type Item = &'s mut T;
    type IntoIter = slice::IterMut<'s, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter_mut()
    }
}

impl<Kind, T> Index<Id<Kind>> for PerId<Kind, T> {
    type Output = T;

    #[expect(
        clippy::indexing_slicing,
        reason = "an id is its own configuration's: with another's, nothing right could be found"
    )]
    fn index(&self, id: Id<Kind>) -> &T {
        &self.0[id.0]
    }
}

impl<Kind, T> IndexMut<Id<Kind>> for PerId<Kind, T> {
    #[expect(clippy::indexing_slicing, reason = "as above")]
    fn index_mut(&mut self, id: Id<Kind>) -> &mut T {
        &mut self.0[id.0]
    }
}
