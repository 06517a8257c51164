//! What is wrong with a configuration, and where.
//!
//! Invariant: every refusal names the exact field by its path from the top (`rules[0].match`),
//! one that is unknown included. Only an unknown name where a secret may stand, as in `local_jwks`,
//! is left out of the path, for it may be the secret.

use std::fmt;

use crate::named::Named;

pub(in crate::config) const GIVEN_TWICE: &str = "given twice";
pub(in crate::config) const MUST_NOT_BE_EMPTY: &str = "must not be empty";
pub(in crate::config) const REQUIRED: &str = "required";

/// The first problem of a configuration, displayed as `path: problem`.
///
/// On the heap, for it is passed up through everything that reads a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(Box<Parts>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Parts {
    path: String,
    problem: String,
}

impl ConfigError {
    /// A problem of the field at `path`, which is seen from what is being read.
    #[cold]
    #[inline(never)]
    pub(in crate::config) fn new(path: &str, problem: &str) -> Self {
        Self(Box::new(Parts {
            path: path.to_owned(),
            problem: problem.to_owned(),
        }))
    }

    /// A problem of what is being read as a whole.
    #[cold]
    #[inline(never)]
    pub(in crate::config) fn here(problem: &str) -> Self {
        Self::new("", problem)
    }

    /// The field, from the top; empty where it is the document as a whole.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// What is wrong with it, in words for the operator.
    #[must_use]
    pub fn problem(&self) -> &str {
        &self.0.problem
    }

    /// A name that an object has twice, in one spelling or in two.
    pub(in crate::config) fn given_twice(name: &str) -> Self {
        Self::new(name, GIVEN_TWICE)
    }

    /// The same problem, seen from the list that has it at this `index`.
    #[cold]
    #[inline(never)]
    pub(in crate::config) fn within_item(self, index: usize) -> Self {
        self.within(&format!("[{index}]"))
    }

    /// The same problem, seen from the value that has this `member`.
    #[cold]
    #[inline(never)]
    pub(in crate::config) fn within(mut self, member: &str) -> Self {
        self.0.path = match self.path() {
            "" => member.to_owned(),
            index if index.starts_with('[') => format!("{member}{index}"),
            below => format!("{member}.{below}"),
        };
        self
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = match self.path() {
            "" => "configuration",
            path => path,
        };
        write_line(f, path)?;
        f.write_str(": ")?;
        write_line(f, self.problem())
    }
}

impl std::error::Error for ConfigError {}

/// Names and values of the configuration stay on the log's one line.
fn write_line(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    text.chars().try_for_each(|c| {
        if c.is_control() {
            write!(f, "{}", c.escape_default())
        } else {
            write!(f, "{c}")
        }
    })
}

/// Says where a problem is, on its way up.
pub(in crate::config) trait At {
    /// In the field of this name.
    fn at(self, field: &str) -> Self;
    /// In this item of the list that is read.
    fn at_item(self, index: usize) -> Self;
}

impl<T> At for Result<T, ConfigError> {
    fn at(self, field: &str) -> Self {
        self.map_err(|error| error.within(field))
    }

    fn at_item(self, index: usize) -> Self {
        self.map_err(|error| error.within_item(index))
    }
}

/// `written` names no `kind` there is; `names` are those that there are.
#[cold]
pub(in crate::config) fn unknown(
    kind: &str,
    written: &str,
    names: &mut dyn Iterator<Item = &str>,
) -> ConfigError {
    ConfigError::here(&match nearest(written, names) {
        Some(near) => format!("unknown {kind}, did you mean {near}?"),
        None => format!("unknown {kind}"),
    })
}

/// What `written` names.
///
/// # Errors
/// Where there is nothing of that name, with what it may have stood for.
pub(in crate::config) fn resolve<'n, T>(
    named: &'n Named<T>,
    kind: &str,
    written: &str,
) -> Result<&'n T, ConfigError> {
    let names = &mut named.iter().map(|(name, _)| name);
    named
        .get(written)
        .ok_or_else(|| unknown(kind, written, names))
}

/// The name that `written` most likely stands for, if any is near.
pub fn nearest<'n>(written: &str, names: &mut dyn Iterator<Item = &'n str>) -> Option<&'n str> {
    let most = (written.chars().count() / 3).max(1);
    names
        .map(|name| (edit_distance(written, name), name))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Levenshtein's distance: the insertions, deletions and replacements between two words.
fn edit_distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let mut columns = row.iter_mut();
        if let Some(first) = columns.next() {
            *first = left;
        }
        for (above, b) in columns.zip(to.chars()) {
            let replaced = diagonal + usize::from(a != b);
            diagonal = *above;
            left = replaced.min(left + 1).min(diagonal + 1);
            *above = left;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_edit_distance() {
        let table = [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("issuer", "issuer", 0),
            ("isuer", "issuer", 1),
            ("issuers", "issuer", 1),
            ("audeinces", "audiences", 2),
            ("kitten", "sitting", 3),
        ];
        for (from, to, expected) in table {
            assert_eq!(edit_distance(from, to), expected, "{from} {to}");
        }
    }

    #[test]
    fn suggests_only_what_is_near() {
        let names = ["issuer", "audiences", "forward"];
        let nearest =
            |written, names: &[&'static str]| nearest(written, &mut names.iter().copied());
        assert_eq!(nearest("isuer", &names), Some("issuer"));
        assert_eq!(nearest("Audience", &names), Some("audiences"));
        assert_eq!(nearest("jwks", &names), None);
        assert_eq!(nearest("x", &["y", "xy"]), Some("y"));
        assert_eq!(nearest("issuer", &[]), None);
    }

    #[test]
    fn stays_on_one_line() {
        let error = ConfigError::new("providers.a\nb", "no\r\u{0}");
        assert_eq!(error.to_string(), "providers.a\\nb: no\\r\\u{0}");
        assert_eq!(
            ConfigError::new("", "empty").to_string(),
            "configuration: empty"
        );
    }
}
