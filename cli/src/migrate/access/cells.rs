//! Divides requests into cells in which every entry is for all requests or for none.
//!
//! Of each part of a request there is a family of sets: everything, and what the entries name, and
//! what these have in common. A set knows which of the named ones it lies in. Those that lie in more
//! come first, so the first set that has a value lies in all that have it.

use std::collections::BTreeSet;

use super::glob::{Glob, meet};
use super::{Access, Entry, Outcome, RequestTest};

/// The most sets of a family, and the most cells.
const MOST: usize = 600;

/// A part of the request. Their order is that in which rules are sorted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) enum Dimension {
    Host,
    Path,
    Method,
    Header(String),
}

/// A set of values, `None` for every value and for none at all.
type Set = Option<Glob>;

struct Member {
    set: Set,
    /// Which of the named sets it lies in.
    inside: BTreeSet<usize>,
}

struct Family {
    of: Dimension,
    /// What the entries name.
    named: Vec<Glob>,
    /// Those that lie in more of the named ones first.
    members: Vec<Member>,
}

/// Requests that are decided alike.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    /// Of each part the values, one of which it has; empty for any.
    pub parts: Vec<(Dimension, Vec<Glob>)>,
    pub outcome: Outcome,
    /// The first of the entries that are for it and look at tokens, or else the first.
    pub entry: Option<usize>,
}

impl Family {
    fn new(of: Dimension, entries: &[Entry]) -> Option<Self> {
        let tests = entries.iter().flat_map(|entry| &entry.request);
        let named: BTreeSet<Glob> = tests
            .filter(|test| test.of == of)
            .flat_map(|test| test.values.iter().cloned())
            .collect();
        let named: Vec<Glob> = named.into_iter().collect();
        let mut members = vec![Member {
            set: None,
            inside: BTreeSet::new(),
        }];
        for (at, glob) in named.iter().enumerate() {
            let mut added: Vec<Member> = Vec::new();
            for member in &mut members {
                let common = match &member.set {
                    None => BTreeSet::from([glob.clone()]),
                    Some(set) => meet(set, glob)?,
                };
                let mut inside = member.inside.clone();
                inside.insert(at);
                for set in common {
                    if member.set.as_ref() == Some(&set) {
                        member.inside.insert(at);
                        continue;
                    }
                    added.push(Member {
                        set: Some(set),
                        inside: inside.clone(),
                    });
                }
            }
            for member in added {
                match members.iter_mut().find(|known| known.set == member.set) {
                    Some(known) => known.inside.extend(member.inside),
                    None => members.push(member),
                }
            }
            if members.len() > MOST {
                return None;
            }
        }
        members.sort_by_key(|member| usize::MAX - member.inside.len());
        Some(Self { of, named, members })
    }

    fn passes(&self, member: &Member, test: &RequestTest) -> bool {
        let is_inside = |value: &Glob| {
            let at = self.named.iter().position(|named| named == value);
            at.is_some_and(|at| member.inside.contains(&at))
        };
        test.values.iter().any(is_inside) != test.negated
    }
}

/// The cells, of which the first one that has a request decides. `None` if there are too many.
pub(super) fn cells(access: &Access) -> Option<Vec<Cell>> {
    let tests = access.entries.iter().flat_map(|entry| &entry.request);
    let mut dimensions: BTreeSet<Dimension> = tests.map(|test| test.of.clone()).collect();
    dimensions.insert(Dimension::Path);
    let families: Vec<Family> = dimensions
        .into_iter()
        .map(|of| Family::new(of, &access.entries))
        .collect::<Option<_>>()?;
    let sizes = families.iter().map(|family| family.members.len());
    if sizes.fold(1, usize::saturating_mul) > MOST {
        return None;
    }
    // Every order of the parts is right: what counts is that the rules are few.
    let orders = (0..families.len()).map(|first| {
        let mut order: Vec<&Family> = families.iter().collect();
        order.swap(0, first);
        ordered(access, &order)
    });
    orders.min_by_key(Vec::len)
}

/// The cells by these parts in this order.
fn ordered(access: &Access, families: &[&Family]) -> Vec<Cell> {
    let mut combined: Vec<Vec<&Member>> = vec![Vec::new()];
    for family in families {
        let longer = combined.iter().flat_map(|members| {
            family.members.iter().map(|member| {
                let mut members = members.clone();
                members.push(member);
                members
            })
        });
        combined = longer.collect();
    }
    let cells = combined
        .iter()
        .map(|members| cell(access, families, members));
    merged(pruned(cells.collect()))
}

fn cell(access: &Access, families: &[&Family], members: &[&Member]) -> Cell {
    let passes = |test: &RequestTest| {
        let mut both = families.iter().zip(members);
        both.any(|(family, member)| family.of == test.of && family.passes(member, test))
    };
    let fitting: Vec<usize> = (0..access.entries.len())
        .filter(|at| {
            let entry = access.entries.get(*at);
            entry.is_some_and(|entry| entry.request.iter().all(passes))
        })
        .collect();
    let entries: Vec<&Entry> = fitting
        .iter()
        .filter_map(|at| access.entries.get(*at))
        .collect();
    let of_tokens = fitting.iter().zip(&entries);
    let mut of_tokens = of_tokens.filter(|(_, entry)| !entry.token.is_empty());
    let entry = of_tokens.next().map(|(at, _)| *at);
    let parts = families.iter().zip(members).map(|(family, member)| {
        let values = member.set.iter().cloned().collect();
        (family.of.clone(), values)
    });
    Cell {
        parts: parts.collect(),
        outcome: access.outcome(&entries),
        entry: entry.or_else(|| fitting.first().copied()),
    }
}

impl Cell {
    fn is_apart(&self, other: &Self) -> bool {
        let mut both = self.parts.iter().zip(&other.parts);
        both.any(|((_, ours), (_, theirs))| {
            !ours.is_empty()
                && !theirs.is_empty()
                && ours
                    .iter()
                    .all(|one| theirs.iter().all(|other| one.is_apart(other)))
        })
    }

    fn is_within(&self, other: &Self) -> bool {
        let mut both = self.parts.iter().zip(&other.parts);
        both.all(|((_, ours), (_, theirs))| {
            let is_within = |one: &Glob| theirs.iter().any(|other| one.is_within(other));
            theirs.is_empty() || !ours.is_empty() && ours.iter().all(is_within)
        })
    }
}

/// Without the cells whose requests get the same from a later one. What no cell has is denied.
fn pruned(cells: Vec<Cell>) -> Vec<Cell> {
    let mut kept: Vec<Cell> = Vec::new();
    for cell in cells.into_iter().rev() {
        // `kept` has the last one first.
        let next = kept.iter().rev().find(|later| !later.is_apart(&cell));
        let is_needless = match next {
            Some(next) => next.outcome == cell.outcome && cell.is_within(next),
            None => cell.outcome == Outcome::Nobody,
        };
        if !is_needless {
            kept.push(cell);
        }
    }
    kept.reverse();
    kept
}

/// With one cell for those that differ in their methods or hosts alone.
fn merged(cells: Vec<Cell>) -> Vec<Cell> {
    let mut kept: Vec<Cell> = Vec::new();
    for cell in cells {
        let into = (0..kept.len()).rev().find_map(|at| {
            let (earlier, rest) = kept.get(at..)?.split_first()?;
            let part = differing(earlier, &cell)?;
            let passes = |other: &Cell| other.outcome == cell.outcome || other.is_apart(&cell);
            rest.iter().all(passes).then_some((at, part))
        });
        let place = into.and_then(|(at, part)| kept.get_mut(at)?.parts.get_mut(part));
        match (place, into) {
            (Some((_, values)), Some((_, part))) => {
                let more = cell.parts.into_iter().nth(part);
                values.extend(more.into_iter().flat_map(|(_, values)| values));
            }
            _ => kept.push(cell),
        }
    }
    kept
}

/// The one part in which two cells differ that are decided alike, if it can have several values.
fn differing(one: &Cell, other: &Cell) -> Option<usize> {
    if one.outcome != other.outcome {
        return None;
    }
    let both = one.parts.iter().zip(&other.parts).enumerate();
    let mut parts = both.filter(|(_, (ours, theirs))| ours != theirs);
    let (at, ((of, ours), (_, theirs))) = parts.next()?;
    let is_list =
        |values: &[Glob]| !values.is_empty() && values.iter().all(|value| of.lists(value));
    (parts.next().is_none() && is_list(ours) && is_list(theirs)).then_some(at)
}
