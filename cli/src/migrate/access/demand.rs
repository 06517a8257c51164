//! What is asked of a token: a conjunction of clauses, each a disjunction of tests of claims.
//!
//! Invariant: every operation is exact. What `authorize` cannot say is found when it is to be
//! written down, not before.

use std::collections::BTreeSet;

use super::glob::{Glob, Shape};

/// The most clauses of a formula.
const MOST_CLAUSES: usize = 64;

/// What a claim has to be, for its texts to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) enum Form {
    /// A text, or a list, which passes if one of its items does.
    Either,
    Text,
    List,
}

/// A test of a claim.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) struct Test {
    /// Names of members from the top.
    pub path: Vec<String>,
    /// The texts of which it has to be one.
    pub values: BTreeSet<Glob>,
    pub form: Form,
    /// Whether it must be none of them; so is a claim that is not there.
    pub negated: bool,
}

impl Test {
    pub(in super::super) fn not(&self) -> Self {
        Self {
            negated: !self.negated,
            ..self.clone()
        }
    }

    /// Whether whatever passes this one passes the other one. May miss that it is so.
    fn implies(&self, other: &Self) -> bool {
        self.path == other.path
            && self.form == other.form
            && match (self.negated, other.negated) {
                (false, false) => all_within(&self.values, &other.values),
                (true, true) => all_within(&other.values, &self.values),
                _ => false,
            }
    }

    /// The values, where all are texts.
    pub(in super::super) fn texts(&self) -> Option<Vec<String>> {
        let text = |glob: &Glob| match glob.shape() {
            Shape::Exact(text) => Some(text),
            _ => None,
        };
        self.values.iter().map(text).collect()
    }
}

fn all_within(some: &BTreeSet<Glob>, others: &BTreeSet<Glob>) -> bool {
    some.iter()
        .all(|one| others.iter().any(|other| one.is_within(other)))
}

/// Tests, one of which has to be passed.
pub(in super::super) type Clause = BTreeSet<Test>;

/// What is asked of a token.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) enum Formula {
    /// No token is good enough.
    Never,
    /// Each of these; none asks for nothing.
    All(BTreeSet<Clause>),
}

impl Formula {
    pub(in super::super) fn always() -> Self {
        Self::All(BTreeSet::new())
    }

    fn of(clauses: impl IntoIterator<Item = Clause>) -> Option<Self> {
        let mut kept: BTreeSet<Clause> = BTreeSet::new();
        for clause in clauses {
            let Some(clause) = joined(clause) else {
                continue;
            };
            if clause.is_empty() {
                return Some(Self::Never);
            }
            if kept.iter().any(|other| implies(other, &clause)) {
                continue;
            }
            kept.retain(|other| !implies(&clause, other));
            kept.insert(clause);
            if kept.len() > MOST_CLAUSES {
                return None;
            }
        }
        Some(Self::All(kept))
    }

    /// All of these tests.
    pub(in super::super) fn tests(tests: &[Test]) -> Option<Self> {
        Self::of(tests.iter().map(|test| BTreeSet::from([test.clone()])))
    }

    /// This one, or all of the tests. `None` where it becomes too long.
    pub(in super::super) fn or(self, tests: &[Test]) -> Option<Self> {
        match self {
            Self::Never => Self::tests(tests),
            Self::All(clauses) => Self::of(tests.iter().flat_map(|test| {
                clauses.iter().map(|clause| {
                    let mut clause = clause.clone();
                    clause.insert(test.clone());
                    clause
                })
            })),
        }
    }

    /// This one, but not where all of the tests are passed.
    pub(in super::super) fn and_not(self, tests: &[Test]) -> Option<Self> {
        match self {
            Self::Never => Some(Self::Never),
            Self::All(clauses) => {
                let not = tests.iter().map(Test::not).collect();
                Self::of(clauses.into_iter().chain([not]))
            }
        }
    }
}

/// The tests of a clause, those of one claim joined; `None` where everything passes.
fn joined(clause: Clause) -> Option<Clause> {
    let mut joined: Vec<Test> = Vec::new();
    for test in clause {
        // A test that can never be passed adds nothing, and one that always is makes all the rest vain.
        if test.values.is_empty() {
            if test.negated {
                return None;
            }
            continue;
        }
        let same = joined.iter_mut().find(|other| {
            other.path == test.path && other.form == test.form && !other.negated && !test.negated
        });
        match same {
            Some(other) => other.values.extend(test.values),
            None => joined.push(test),
        }
    }
    let is_vain = |test: &Test| joined.iter().any(|other| test.not().implies(other));
    if joined.iter().any(|test| test.negated && is_vain(test)) {
        return None;
    }
    let is_needless = |at: usize, test: &Test| {
        joined.iter().enumerate().any(|(other_at, other)| {
            at != other_at && test.implies(other) && (!other.implies(test) || other_at < at)
        })
    };
    let kept = joined
        .iter()
        .enumerate()
        .filter(|(at, test)| !is_needless(*at, test));
    Some(kept.map(|(_, test)| test.clone()).collect())
}

/// Whether whatever passes one clause passes the other one.
fn implies(clause: &Clause, other: &Clause) -> bool {
    clause
        .iter()
        .all(|test| other.iter().any(|of_other| test.implies(of_other)))
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use super::*;

    fn test(path: &str, values: &[&str], negated: bool) -> Test {
        Test {
            path: vec![path.to_owned()],
            values: values.iter().map(|value| Glob::exact(value)).collect(),
            form: Form::Either,
            negated,
        }
    }

    fn said(formula: &Formula) -> String {
        let Formula::All(clauses) = formula else {
            return "never".to_owned();
        };
        let clause = |clause: &Clause| {
            let test = |test: &Test| {
                let texts = test.texts().unwrap().join(",");
                let is = if test.negated { "!=" } else { "=" };
                format!("{}{is}{texts}", test.path.join("."))
            };
            let tests: Vec<String> = clause.iter().map(test).collect();
            tests.join(" or ")
        };
        let clauses: Vec<String> = clauses.iter().map(clause).collect();
        clauses.join(" and ")
    }

    #[test]
    fn formulas() {
        let never = || Formula::Never;
        let (a, ab, b) = (
            test("g", &["a"], false),
            test("g", &["a", "b"], false),
            test("g", &["b"], false),
        );
        let h = test("h", &["x"], false);
        let table = [
            (never().or(&[]), ""),
            (never().or(&[a.clone(), h.clone()]), "g=a and h=x"),
            (never().or(from_ref(&a)).unwrap().or(from_ref(&b)), "g=a,b"),
            (never().or(from_ref(&a)).unwrap().or(&[]), ""),
            (
                never()
                    .or(&[a.clone(), h.clone()])
                    .unwrap()
                    .or(&[b.clone(), h.clone()]),
                "g=a,b and h=x",
            ),
            (
                never().or(from_ref(&a)).unwrap().or(from_ref(&h)),
                "g=a or h=x",
            ),
            (
                never()
                    .or(from_ref(&ab))
                    .unwrap()
                    .or(&[a.clone(), h.clone()]),
                "g=a,b",
            ),
            (Formula::always().and_not(&[]), "never"),
            (Formula::always().and_not(from_ref(&a)), "g!=a"),
            (
                Formula::always().and_not(&[a.clone(), h.clone()]),
                "g!=a or h!=x",
            ),
            (
                Formula::always()
                    .and_not(from_ref(&ab))
                    .unwrap()
                    .and_not(from_ref(&a)),
                "g!=a,b",
            ),
            (Formula::always().and_not(&[a.not()]), "g=a"),
            (
                Formula::always()
                    .and_not(from_ref(&a))
                    .unwrap()
                    .or(from_ref(&ab)),
                "",
            ),
            (never().or(&[test("g", &[], false)]), "never"),
            (never().or(&[test("g", &[], true)]), ""),
            (never().and_not(from_ref(&a)), "never"),
        ];
        for (formula, expected) in table {
            assert_eq!(said(&formula.unwrap()), expected);
        }
    }
}
