//! Finds the first matcher that matches, without asking each.
//!
//! Paths that are compared as text stand in one sorted list. All that are prefixes of a request's
//! path lie on one chain: the greatest text that is not above the path, then the longest text
//! that is a prefix of that, and so on. So a request costs one binary search and the few texts on
//! its chain, however many rules there are. What is not compared as text (regular expressions,
//! CONNECT) is asked in turn.

use super::request::{Comparison, PathMatcher, RequestMatcher};
use crate::http::ambiguous::Ambiguous;
use crate::http::request::Request;
use crate::named::Named;

/// The matchers of a list, by their paths.
#[derive(Clone, Debug, Default)]
pub struct PathIndex {
    by_case: Texts,
    ignoring_case: Texts,
    /// Positions in the list of those that are not compared as text.
    others: Vec<usize>,
}

#[derive(Clone, Debug, Default)]
struct Texts {
    /// Sorted by their text.
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    text: String,
    /// The entry with the longest text that is a proper prefix of this one's.
    parent: Option<usize>,
    /// Positions in the list of those that compare with this text, ascending.
    matchers: Vec<usize>,
}

impl PathIndex {
    /// The index of `matchers`.
    #[must_use]
    pub fn new<'m>(matchers: impl IntoIterator<Item = &'m RequestMatcher>) -> Self {
        let (mut by_case, mut ignoring_case) = (Named::default(), Named::default());
        let mut others = Vec::new();
        for (position, matcher) in matchers.into_iter().enumerate() {
            let texts: &mut Named<Vec<usize>> = if matcher.ignore_case {
                &mut ignoring_case
            } else {
                &mut by_case
            };
            match &matcher.path {
                PathMatcher::Prefix(text)
                | PathMatcher::Exact(text)
                | PathMatcher::Segments(text) => {
                    texts.change(text, |positions| positions.push(position));
                }
                PathMatcher::Regex(_) | PathMatcher::Connect => others.push(position),
            }
        }
        Self {
            by_case: Texts::new(by_case),
            ignoring_case: Texts::new(ignoring_case),
            others,
        }
    }

    /// The position of the first of `matchers`, which the index was made of, that matches.
    /// `compared` hears of each that is looked at.
    ///
    /// # Errors
    /// What is ambiguous about the request, where that decides whether an earlier one matches.
    pub fn first<'m>(
        &self,
        matcher: impl Fn(usize) -> Option<&'m RequestMatcher>,
        path: Option<&str>,
        request: &Request,
        compared: impl Fn(usize, Result<Comparison, Ambiguous>),
    ) -> Result<Option<usize>, Ambiguous> {
        // An ambiguous one ends the search, as one that matches does.
        let mut first: Option<(usize, Result<(), Ambiguous>)> = None;
        let mut consider = |positions: &[usize]| {
            for &position in positions {
                // ascending: none of the rest comes before what was found
                if first.is_some_and(|(found, _)| found < position) {
                    return;
                }
                let Some(matcher) = matcher(position) else {
                    continue;
                };
                let outcome = matcher.compare(path, request);
                compared(position, outcome);
                match outcome {
                    Ok(Comparison::OtherPath | Comparison::OtherCondition) => {}
                    Ok(Comparison::Same) => {
                        first = Some((position, Ok(())));
                        return;
                    }
                    Err(ambiguous) => {
                        first = Some((position, Err(ambiguous)));
                        return;
                    }
                }
            }
        };
        if let Some(path) = path {
            self.by_case.prefixes_of(path, &mut consider);
            if !self.ignoring_case.entries.is_empty() {
                let lower = path.to_ascii_lowercase();
                self.ignoring_case.prefixes_of(&lower, &mut consider);
            }
        }
        consider(&self.others);
        first
            .map(|(position, clear)| clear.map(|()| position))
            .transpose()
    }
}

impl Texts {
    fn new(texts: Named<Vec<usize>>) -> Self {
        let texts = texts.into_entries();
        let mut entries: Vec<Entry> = Vec::with_capacity(texts.len());
        for (text, matchers) in texts {
            // The chain of the text before this one has every prefix of this one.
            let mut parent = entries.len().checked_sub(1);
            while let Some(above) = parent.and_then(|at| entries.get(at)) {
                if text.starts_with(&above.text) {
                    break;
                }
                parent = above.parent;
            }
            entries.push(Entry {
                text,
                parent,
                matchers,
            });
        }
        Self { entries }
    }

    /// Hands out the matchers of every text that is a prefix of `path`.
    fn prefixes_of(&self, path: &str, mut found: impl FnMut(&[usize])) {
        let above = self
            .entries
            .partition_point(|entry| entry.text.as_str() <= path);
        let mut at = above.checked_sub(1);
        while let Some(entry) = at.and_then(|at| self.entries.get(at)) {
            if path.starts_with(&entry.text) {
                found(&entry.matchers);
            }
            at = entry.parent;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::request::{Condition, HostMatcher};
    use super::*;
    use crate::text::Pattern;

    /// Its host is one that no rule can be sure of.
    fn get(path: &str) -> Request {
        Request::new(vec![
            (":method".into(), b"GET".to_vec()),
            (":path".into(), path.as_bytes().to_vec()),
            (":authority".into(), b"a,b".to_vec()),
        ])
    }

    type Found = Result<Option<usize>, Ambiguous>;

    fn in_turn(matchers: &[RequestMatcher], path: &str) -> Found {
        let request = get(path);
        for (position, matcher) in matchers.iter().enumerate() {
            if matcher.matches(Some(path), &request)? {
                return Ok(Some(position));
            }
        }
        Ok(None)
    }

    fn indexed(matchers: &[RequestMatcher], path: &str) -> Found {
        let index = PathIndex::new(matchers);
        index.first(|at| matchers.get(at), Some(path), &get(path), |_, _| {})
    }

    fn any_matcher() -> impl Strategy<Value = RequestMatcher> {
        let text = "(/[abA]{0,3}){1,3}";
        let path = prop_oneof![
            4 => text.prop_map(PathMatcher::Prefix),
            3 => text.prop_map(PathMatcher::Exact),
            2 => text.prop_map(PathMatcher::Segments),
            1 => Just(PathMatcher::Regex(Pattern::parse("/a+/.*").unwrap())),
            1 => Just(PathMatcher::Connect),
        ];
        (path, any::<bool>(), 0..6_u8).prop_map(|(path, ignore_case, condition)| {
            let lower = |text: String| {
                if ignore_case {
                    text.to_ascii_lowercase()
                } else {
                    text
                }
            };
            RequestMatcher {
                path: match path {
                    PathMatcher::Prefix(text) => PathMatcher::Prefix(lower(text)),
                    PathMatcher::Exact(text) => PathMatcher::Exact(lower(text)),
                    PathMatcher::Segments(text) => PathMatcher::Segments(lower(text)),
                    other => other,
                },
                ignore_case,
                conditions: match condition {
                    0 => vec![Condition::Methods(vec!["POST".to_owned()])],
                    1 => vec![Condition::Methods(vec!["GET".to_owned()])],
                    2 => vec![Condition::Hosts(vec![HostMatcher::Exact("a".to_owned())])],
                    _ => Vec::new(),
                },
            }
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 2000,
            failure_persistence: None,
            rng_seed: proptest::test_runner::RngSeed::Fixed(7),
            ..ProptestConfig::default()
        })]

        #[test]
        fn it_finds_what_asking_each_in_turn_finds(
            matchers in proptest::collection::vec(any_matcher(), 0..12),
            paths in proptest::collection::vec("(/[abA]{0,3}){1,4}", 1..8),
        ) {
            for path in paths {
                prop_assert_eq!(indexed(&matchers, &path), in_turn(&matchers, &path), "{}", path);
            }
        }
    }
}
