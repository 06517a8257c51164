//! Sets of texts: one text, all that begin or end with one, templates, and what two of them have in
//! common.
//!
//! Invariant: [`meet`] is exact. What it returns is all that both sets have, and nothing else.

use std::collections::BTreeSet;

/// The most steps in which two sets are intersected.
const MOST_STEPS: usize = 20_000;
/// ASCII characters that no operator of Envoy's URI templates takes; newer Envoys do take the asterisk.
const ODD: &str = "*\"<>[]^`{|}\\ #?";

/// Which characters an operator takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) struct Class {
    /// Also a slash.
    pub slash: bool,
    /// Also those of [`ODD`].
    pub odd: bool,
}

impl Class {
    pub(in super::super) const ALL: Self = Self {
        slash: true,
        odd: true,
    };

    fn has(self, c: char) -> bool {
        (self.slash || c != '/') && (self.odd || !ODD.contains(c))
    }

    fn and(self, other: Self) -> Self {
        Self {
            slash: self.slash && other.slash,
            odd: self.odd && other.odd,
        }
    }

    fn is_within(self, other: Self) -> bool {
        self.and(other) == self
    }

    /// As a regular expression.
    fn regex(self) -> String {
        match (self.slash, self.odd) {
            (true, true) => ".".to_owned(),
            (false, true) => "[^/]".to_owned(),
            (slash, false) => {
                let slash = if slash { "" } else { "/" };
                format!("[^{slash}*\"<>\\[\\]\\^`{{|}}\\\\ #?]")
            }
        }
    }
}

/// A piece of a text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Piece {
    Char(char),
    One(Class),
    Any(Class),
}

/// A set of texts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) struct Glob(Vec<Piece>);

/// What a set is, for it to be written down.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) enum Shape {
    Exact(String),
    Prefix(String),
    Suffix(String),
    Everything,
    Regex(String),
}

impl Glob {
    pub(in super::super) fn exact(text: &str) -> Self {
        Self(text.chars().map(Piece::Char).collect())
    }

    pub(in super::super) fn prefix(text: &str) -> Self {
        Self::exact(text).then(Class::ALL, 0)
    }

    pub(in super::super) fn suffix(text: &str) -> Self {
        Self::everything().then_text(text)
    }

    pub(in super::super) fn everything() -> Self {
        Self(vec![Piece::Any(Class::ALL)])
    }

    /// Every text but the empty one.
    pub(in super::super) fn not_empty() -> Self {
        Self(Vec::new()).then(Class::ALL, 1)
    }

    pub(in super::super) fn then_text(mut self, text: &str) -> Self {
        self.0.extend(text.chars().map(Piece::Char));
        self
    }

    /// Followed by as many characters of a class as one likes, `least` (0 or 1) at least.
    pub(in super::super) fn then(mut self, class: Class, least: usize) -> Self {
        if least > 0 {
            self.0.push(Piece::One(class));
        }
        self.0.push(Piece::Any(class));
        self
    }

    /// Whether it has this text.
    pub(in super::super) fn has(&self, text: &str) -> bool {
        meet(self, &Self::exact(text)).is_some_and(|common| !common.is_empty())
    }

    /// Whether all that it has is in the other one. May miss that it is so.
    pub(in super::super) fn is_within(&self, other: &Self) -> bool {
        self == other || meet(self, other).is_some_and(|common| common.contains(self))
    }

    /// Whether they have nothing in common.
    pub(in super::super) fn is_apart(&self, other: &Self) -> bool {
        meet(self, other).is_some_and(|common| common.is_empty())
    }

    fn text(pieces: &[Piece]) -> Option<String> {
        let char = |piece: &Piece| match piece {
            Piece::Char(c) => Some(*c),
            Piece::One(_) | Piece::Any(_) => None,
        };
        pieces.iter().map(char).collect()
    }

    pub(in super::super) fn shape(&self) -> Shape {
        const ALL: Piece = Piece::Any(Class::ALL);
        if let Some(text) = Self::text(&self.0) {
            return Shape::Exact(text);
        }
        match self.0.as_slice() {
            [ALL] => return Shape::Everything,
            [start @ .., ALL] => {
                if let Some(text) = Self::text(start) {
                    return Shape::Prefix(text);
                }
            }
            [ALL, end @ ..] => {
                if let Some(text) = Self::text(end) {
                    return Shape::Suffix(text);
                }
            }
            _ => {}
        }
        Shape::Regex(self.regex())
    }

    /// As a regular expression for a whole text.
    pub(in super::super) fn regex(&self) -> String {
        let mut regex = String::new();
        let mut pieces = self.0.iter().peekable();
        while let Some(piece) = pieces.next() {
            match piece {
                Piece::Char(c) => {
                    if c.is_ascii_punctuation() && !"/-_:,;=!@%&~'\"<>`#".contains(*c) {
                        regex.push('\\');
                    }
                    regex.push(*c);
                }
                Piece::One(class) => {
                    regex.push_str(&class.regex());
                    if pieces.next_if_eq(&&Piece::Any(*class)).is_some() {
                        regex.push('+');
                    }
                }
                Piece::Any(class) => {
                    regex.push_str(&class.regex());
                    regex.push('*');
                }
            }
        }
        regex
    }
}

/// What two sets have in common, as sets; `None` where that takes too long.
pub(in super::super) fn meet(one: &Glob, other: &Glob) -> Option<BTreeSet<Glob>> {
    let mut steps = MOST_STEPS;
    let met = walk(&one.0, &other.0, &mut steps)?;
    let globs = met.into_iter().map(|mut reversed| {
        reversed.reverse();
        Glob(reversed)
    });
    Some(globs.collect())
}

/// Each set with its pieces reversed.
fn walk(one: &[Piece], other: &[Piece], steps: &mut usize) -> Option<BTreeSet<Vec<Piece>>> {
    *steps = steps.checked_sub(1)?;
    let (first, rest) = match one.split_first() {
        Some(split) => split,
        None => {
            let is_empty = other.iter().all(|piece| matches!(piece, Piece::Any(_)));
            return Some(is_empty.then(Vec::new).into_iter().collect());
        }
    };
    let Some((second, others)) = other.split_first() else {
        return walk(other, one, steps);
    };
    Some(match (first, second) {
        (Piece::Any(class), Piece::Any(with)) => {
            let mut met = walk(one, others, steps)?;
            met.extend(walk(rest, other, steps)?);
            let any = Piece::Any(class.and(*with));
            met.into_iter().map(|tail| before(&any, tail)).collect()
        }
        (Piece::Any(class), single) => {
            let mut met = walk(rest, other, steps)?;
            if let Some(common) = both(&Piece::One(*class), single) {
                let tails = walk(one, others, steps)?;
                met.extend(tails.into_iter().map(|tail| before(&common, tail)));
            }
            met
        }
        (_, Piece::Any(_)) => walk(other, one, steps)?,
        (single, with) => match both(single, with) {
            Some(common) => {
                let tails = walk(rest, others, steps)?;
                tails
                    .into_iter()
                    .map(|tail| before(&common, tail))
                    .collect()
            }
            None => BTreeSet::new(),
        },
    })
}

/// Puts a piece before a tail, which is reversed. Of two operators that follow one another and that
/// take as many characters as one likes, the wider one does for both.
fn before(piece: &Piece, mut tail: Vec<Piece>) -> Vec<Piece> {
    match (piece, tail.last_mut()) {
        (Piece::Any(class), Some(Piece::Any(next))) if class.is_within(*next) => {}
        (Piece::Any(class), Some(Piece::Any(next))) if next.is_within(*class) => *next = *class,
        _ => tail.push(piece.clone()),
    }
    tail
}

/// What two pieces of one character have in common.
fn both(one: &Piece, other: &Piece) -> Option<Piece> {
    match (one, other) {
        (Piece::Char(a), Piece::Char(b)) => (a == b).then_some(Piece::Char(*a)),
        (Piece::Char(c), Piece::One(class)) | (Piece::One(class), Piece::Char(c)) => {
            class.has(*c).then_some(Piece::Char(*c))
        }
        (Piece::One(class), Piece::One(with)) => Some(Piece::One(class.and(*with))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: Class = Class {
        slash: false,
        odd: true,
    };
    const NARROW: Class = Class {
        slash: false,
        odd: false,
    };

    fn met(one: &Glob, other: &Glob) -> String {
        let common = meet(one, other).unwrap();
        assert_eq!(common, meet(other, one).unwrap());
        let texts: Vec<String> = common.iter().map(Glob::regex).collect();
        texts.join(" or ")
    }

    #[test]
    fn what_two_sets_have_in_common() {
        let item = |class| Glob::exact("/a/").then(class, 1).then_text("/b");
        let table = [
            (Glob::prefix("/a"), Glob::prefix("/ab"), "/ab.*"),
            (Glob::prefix("/a"), Glob::prefix("/b"), ""),
            (Glob::prefix("/a"), Glob::exact("/ab"), "/ab"),
            (Glob::suffix("b"), Glob::suffix("ab"), ".*ab"),
            (Glob::suffix("b"), Glob::suffix("a"), ""),
            (Glob::prefix("/ab"), Glob::suffix("bc"), "/abc or /ab.*bc"),
            (Glob::everything(), Glob::suffix(".x"), ".*\\.x"),
            (Glob::not_empty(), Glob::everything(), ".+"),
            (Glob::exact(""), Glob::not_empty(), ""),
            (item(SEGMENT), Glob::exact("/a/x/b"), "/a/x/b"),
            (item(SEGMENT), Glob::exact("/a//b"), ""),
            (item(SEGMENT), Glob::exact("/a/x/y/b"), ""),
            (item(SEGMENT), Glob::exact("/a/*/b"), "/a/\\*/b"),
            (item(NARROW), Glob::exact("/a/*/b"), ""),
            (item(NARROW), Glob::exact("/a/é/b"), "/a/é/b"),
            (item(SEGMENT), Glob::prefix("/a/x/"), "/a/x/b"),
            (item(SEGMENT), Glob::prefix("/a/x"), "/a/x[^/]*/b"),
            (item(SEGMENT), Glob::prefix("/b"), ""),
        ];
        for (one, other, expected) in table {
            assert_eq!(met(&one, &other), expected, "{one:?} {other:?}");
        }
        assert!(item(NARROW).is_within(&item(SEGMENT)));
        assert!(!item(SEGMENT).is_within(&item(NARROW)));
    }

    /// Against each text of a few characters.
    #[test]
    fn the_meet_is_exact() {
        let mut texts = vec![String::new()];
        for length in 0..5 {
            let longer = texts.iter().filter(|text| text.len() == length);
            let longer: Vec<String> = longer
                .flat_map(|text| ["a", "b", "/", "*"].map(|c| format!("{text}{c}")))
                .collect();
            texts.extend(longer);
        }
        let wide = Class::ALL;
        let globs = [
            Glob::exact("ab"),
            Glob::exact("").then(NARROW, 0).then_text("b"),
            Glob::prefix("a"),
            Glob::prefix("ab"),
            Glob::suffix("ba"),
            Glob::suffix("a"),
            Glob::exact("a").then(SEGMENT, 1).then_text("a"),
            Glob::exact("a")
                .then(NARROW, 1)
                .then_text("/")
                .then(wide, 0),
            Glob::suffix("a").then(wide, 0).then_text("b"),
            Glob::not_empty(),
        ];
        let regex = |glob: &Glob| {
            let whole = format!("^(?:{})$", glob.regex());
            regex_lite::Regex::new(&whole).unwrap()
        };
        for one in &globs {
            for other in &globs {
                let (first, second) = (regex(one), regex(other));
                let common = meet(one, other).unwrap();
                let common: Vec<_> = common.iter().map(regex).collect();
                for text in &texts {
                    let takes = first.is_match(text);
                    let expected = takes && second.is_match(text);
                    let found = common.iter().any(|common| common.is_match(text));
                    assert_eq!(found, expected, "{one:?} {other:?} {text}");
                    assert_eq!(one.has(text), takes, "{one:?} {text}");
                }
            }
        }
    }
}
