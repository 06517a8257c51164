//! Ways to satisfy a requirement: which tokens a way uses, and which way decides a request.

use std::collections::BTreeSet;

use crate::bench::{Seen, Told};
use crate::token::Token;

/// A token that satisfies a provider.
#[derive(Clone)]
pub(super) struct TokenUse {
    pub provider: usize,
    /// As it stands in the request.
    pub text: String,
    pub token: Option<Token>,
    /// What jwt_authn gave the upstream, and later filters.
    pub seen: Option<Seen>,
    pub told: Option<Told>,
}

#[derive(Clone, PartialEq)]
pub(super) enum Refused {
    Missing,
    UnknownIssuer(String),
    Invalid(String),
    Several,
}

impl Refused {
    pub(super) fn weight(&self) -> u8 {
        match self {
            Self::Missing => 0,
            Self::UnknownIssuer(_) => 1,
            Self::Invalid(_) => 2,
            Self::Several => 3,
        }
    }
}

/// A way to satisfy a requirement, or why it fails.
#[derive(Clone, Default)]
pub(super) struct Way {
    pub uses: Vec<TokenUse>,
    /// The tokens that have a part in it.
    pub covers: BTreeSet<String>,
    pub tolerates: bool,
    pub failure: Option<Refused>,
}

impl Way {
    pub(super) fn failed(failure: Refused, covers: BTreeSet<String>) -> Self {
        Self {
            covers,
            failure: Some(failure),
            ..Self::default()
        }
    }

    pub(super) fn weight(&self) -> Option<u8> {
        self.failure.as_ref().map(Refused::weight)
    }

    pub(super) fn and(&self, other: &Self) -> Self {
        let mut both = self.clone();
        both.uses.extend(other.uses.iter().cloned());
        both.covers.extend(other.covers.iter().cloned());
        both.tolerates |= other.tolerates;
        both.failure = both.failure.or_else(|| other.failure.clone());
        both
    }

    /// Whether this one is good where the other is about no more tokens.
    pub(super) fn dominates(&self, other: &Self) -> bool {
        self.failure.is_none()
            && self.covers.is_superset(&other.covers)
            && (self.tolerates || !other.tolerates)
    }
}

/// Removes ways that cannot decide: those beside a good way about the same tokens, and those beside a
/// more specific failure about them.
pub(super) fn settled(ways: Vec<Way>) -> Vec<Way> {
    let mut settled: Vec<Way> = Vec::new();
    for way in ways {
        if settled.iter().any(|known| known.dominates(&way)) {
            continue;
        }
        settled.retain(|known| !way.dominates(known));
        let alike = settled
            .iter_mut()
            .find(|known| (&known.covers, known.tolerates) == (&way.covers, way.tolerates));
        match alike {
            Some(known) if known.weight() <= way.weight() => *known = way,
            Some(_) => {}
            None => settled.push(way),
        }
    }
    settled
}

/// The tokens used by the way that accounts for every token and verifies most of them.
pub(super) fn best(ways: Vec<Way>, carried: &BTreeSet<String>) -> Result<Vec<TokenUse>, Refused> {
    let unverified = |way: &Way| carried.difference(&way.covers).count();
    let accounting = ways
        .into_iter()
        .filter(|way| way.tolerates || unverified(way) == 0);
    let (good, failed): (Vec<Way>, Vec<Way>) = accounting.partition(|way| way.failure.is_none());
    if let Some(way) = good.into_iter().min_by_key(unverified) {
        let mut uses: Vec<TokenUse> = Vec::new();
        for used in way.uses {
            let is_same =
                |known: &TokenUse| (known.provider, &known.text) == (used.provider, &used.text);
            if !uses.iter().any(is_same) {
                uses.push(used);
            }
        }
        return Ok(uses);
    }
    let weightiest = failed.into_iter().max_by_key(Way::weight);
    Err(weightiest
        .and_then(|way| way.failure)
        .unwrap_or(Refused::Several))
}

pub(super) fn lenient(mut ways: Vec<Way>, any_failure: bool, missing: bool) -> Vec<Way> {
    if ways.iter().any(|way| way.failure.is_none()) {
        return ways;
    }
    let weightiest = ways.iter().max_by_key(|way| way.weight());
    let failure = weightiest.and_then(|way| way.failure.clone());
    match failure.unwrap_or(Refused::Missing) {
        Refused::Missing if missing && !any_failure => ways.push(Way::default()),
        Refused::Missing | Refused::UnknownIssuer(_) | Refused::Invalid(_) if any_failure => {
            ways.push(Way {
                tolerates: true,
                ..Way::default()
            });
        }
        _ => {}
    }
    ways
}
