//! A map from names to values that is small in code.

/// Values by their names, each name once; for some hundred values that are rarely inserted.
///
/// It is a sorted list, because a tree for each type of value is ten times the code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named<T>(Vec<(String, T)>);

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Named<T> {
    /// Inserts a value, in place of the one that has this name, if there is one.
    pub fn insert(&mut self, name: &str, value: T) {
        match self.position(name) {
            Ok(at) => {
                if let Some((_, old)) = self.0.get_mut(at) {
                    *old = value;
                }
            }
            Err(at) => self.0.insert(at, (name.to_owned(), value)),
        }
    }

    /// Changes the value of this name; if there is none, the default is inserted first.
    pub fn change(&mut self, name: &str, change: impl FnOnce(&mut T))
    where
        T: Default,
    {
        let at = self.position(name).unwrap_or_else(|at| {
            self.0.insert(at, (name.to_owned(), T::default()));
            at
        });
        if let Some((_, value)) = self.0.get_mut(at) {
            change(value);
        }
    }

    /// The value of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&T> {
        let at = self.position(name).ok()?;
        self.0.get(at).map(|(_, value)| value)
    }

    /// Whether no name has a value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// In the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Names and values, in the order of the names.
    #[must_use]
    pub fn into_entries(self) -> Vec<(String, T)> {
        self.0
    }

    /// The names, in their order.
    #[must_use]
    pub fn into_names(self) -> Vec<String> {
        self.0.into_iter().map(|(name, _)| name).collect()
    }

    fn position(&self, name: &str) -> Result<usize, usize> {
        self.0
            .binary_search_by(|(known, _)| known.as_str().cmp(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_put_in() {
        let mut named = Named::default();
        assert!(named.is_empty());
        assert_eq!(named.get("a"), None);
        for (name, value) in [("b", 1), ("", 2), ("c", 3), ("a", 4), ("b", 5)] {
            named.insert(name, value);
        }
        let all: Vec<(&str, i32)> = named.iter().map(|(name, value)| (name, *value)).collect();
        assert_eq!(all, [("", 2), ("a", 4), ("b", 5), ("c", 3)]);
        assert_eq!(named.get("b"), Some(&5));
        assert_eq!(named.get("bb"), None);
        for name in ["b", "d"] {
            named.change(name, |value| *value += 1);
        }
        assert_eq!((named.get("b"), named.get("d")), (Some(&6), Some(&1)));
        assert_eq!(named.into_names(), ["", "a", "b", "c", "d"]);
    }
}
