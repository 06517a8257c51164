//! Policies of access as rules: entries of which the first one that fits decides, over requests and
//! tokens, become rules of which the first one for a request decides.
//!
//! Requests are divided into cells, each by a host, a path, a method and headers. What a cell asks of
//! tokens is one formula, over all entries that are for its requests.
//!
//! Invariant: a rule admits what the entries admit. Where `authorize` cannot say that, its rule admits
//! nobody, and that is told.

mod cells;
mod demand;
mod glob;
mod write;

use std::collections::BTreeSet;

use super::{Change, ChangeKind, tree};
use crate::document::{Entry as Member, Node, Yaml};
pub(super) use cells::Dimension;
pub(super) use demand::Form;
use demand::{Formula, Test};
pub(super) use glob::{Class, Glob};
use write::write;
pub(super) use write::{NOBODY, asks_nobody};

/// Something that decides about requests and tokens that fit.
pub(super) struct Entry {
    /// All of which a request has to pass.
    pub request: Vec<RequestTest>,
    /// All of which a token has to pass.
    pub token: Vec<TokenTest>,
    pub admits: bool,
    /// Where it is written.
    pub line: usize,
    pub path: String,
}

/// A test of a part of the request.
#[derive(Clone)]
pub(super) struct RequestTest {
    pub of: Dimension,
    /// The part has to be one of these.
    pub values: Vec<Glob>,
    pub negated: bool,
}

/// A test of the token. A request without a token passes it only if it is negated.
#[derive(Clone)]
pub(super) struct TokenTest {
    /// Names of members from the top.
    pub path: Vec<String>,
    /// The claim has to be one of these, each for tokens of these issuers.
    pub values: Vec<(Glob, Glob)>,
    pub form: Form,
    pub negated: bool,
}

/// Where tokens come from.
pub(super) struct Provider {
    pub name: String,
    pub issuer: String,
}

/// All of it.
pub(super) struct Access {
    pub entries: Vec<Entry>,
    /// What happens to what no entry fits.
    pub otherwise: bool,
    pub providers: Vec<Provider>,
    /// Whether a request without a token gets as far as the entries.
    pub token_may_be_missing: bool,
}

/// Claims whose text is a list of words.
pub(super) struct Words<'w> {
    /// The claim that entries test for all of them.
    pub tested: &'w str,
    pub claims: &'w [&'w str],
}

impl Access {
    /// Whether an entry tests this claim.
    pub(super) fn tests(&self, claim: &str) -> bool {
        let mut tests = self.entries.iter().flat_map(|entry| &entry.token);
        tests.any(|test| matches!(test.path.as_slice(), [name] if name == claim))
    }

    /// The configuration: these providers, by their names, and rules for the entries. What cannot be
    /// said is open, where `path` is that of all entries.
    pub(super) fn configuration(
        &self,
        mut providers: Node,
        words: Option<&Words<'_>>,
        at: &Node,
        path: &str,
        changes: &mut Vec<Change>,
    ) -> Node {
        if let Some(words) = words
            && let Yaml::Map(members) = &mut providers.yaml
        {
            for Member { node, .. } in members {
                let claims = words.claims.iter().map(|claim| tree::text(node, claim));
                let claims = tree::list(node, claims.collect());
                tree::set(node, "scope_claims", claims);
            }
        }
        let written = write(self, at, words.map(|words| words.tested));
        for (entry, why) in &written.unsaid {
            let entry = self.entries.get(*entry);
            changes.push(Change {
                line: entry.map_or(at.line, |entry| entry.line),
                path: entry.map_or_else(|| path.to_owned(), |entry| entry.path.clone()),
                text: (*why).to_owned(),
                kind: ChangeKind::Open,
            });
        }
        for (base, name, subjects) in &written.variants {
            if let Some(provider) = providers.get(base) {
                let mut variant = provider.clone();
                tree::set(&mut variant, "subjects", subjects.clone());
                tree::set(&mut providers, name, variant);
            }
        }
        let mut whole = tree::object(at, [("providers", providers)]);
        if !written.policies.is_empty() {
            tree::set(&mut whole, "policies", tree::object(at, written.policies));
        }
        tree::set(&mut whole, "rules", tree::list(at, written.rules));
        whole
    }
}

/// What happens to the requests of a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Nobody,
    /// Also without a token.
    Anybody,
    /// Those with a token of a provider that passes its formula, in the order of the providers.
    Tokens(Vec<Formula>),
    /// What nobody can say here.
    Unsaid(&'static str),
}

const TOO_LONG: &str = "are too many to say what they come to";
const ANONYMOUS: &str = "admit requests without a token, and ask something of a token that is there: a rule of this filter asks for both or for neither";

impl TokenTest {
    /// The test for tokens of a provider; `Err` where all of them pass or none does.
    fn of(&self, provider: &Provider) -> Result<Test, bool> {
        let of_issuer = self
            .values
            .iter()
            .filter(|(issuer, _)| issuer.has(&provider.issuer));
        let values: BTreeSet<Glob> = of_issuer.map(|(_, value)| value.clone()).collect();
        if matches!(self.path.as_slice(), [name] if name == "iss") {
            let is_one = values.iter().any(|value| value.has(&provider.issuer));
            return Err(is_one != self.negated);
        }
        Ok(Test {
            path: self.path.clone(),
            values,
            form: self.form,
            negated: self.negated,
        })
    }
}

impl Entry {
    /// The tests of a provider's tokens; `None` where none of them passes.
    fn tests(&self, provider: &Provider) -> Option<Vec<Test>> {
        let mut tests = Vec::new();
        for test in &self.token {
            match test.of(provider) {
                Ok(test) => tests.push(test),
                Err(true) => {}
                Err(false) => return None,
            }
        }
        Some(tests)
    }
}

impl Access {
    /// What happens to requests that these entries are for, in their order.
    fn outcome(&self, entries: &[&Entry]) -> Outcome {
        let first = entries
            .iter()
            .find(|entry| entry.token.iter().all(|test| test.negated));
        let without =
            self.token_may_be_missing && first.map_or(self.otherwise, |entry| entry.admits);
        let formulas = self
            .providers
            .iter()
            .map(|provider| self.formula(entries, provider));
        let Some(formulas) = formulas.collect::<Option<Vec<Formula>>>() else {
            return Outcome::Unsaid(TOO_LONG);
        };
        let all = |wanted: &Formula| formulas.iter().all(|formula| formula == wanted);
        match without {
            true if all(&Formula::always()) => Outcome::Anybody,
            true => Outcome::Unsaid(ANONYMOUS),
            false if all(&Formula::Never) => Outcome::Nobody,
            false => Outcome::Tokens(formulas),
        }
    }

    /// What is asked of a provider's tokens; `None` where that is too long.
    fn formula(&self, entries: &[&Entry], provider: &Provider) -> Option<Formula> {
        let mut formula = match self.otherwise {
            true => Formula::always(),
            false => Formula::Never,
        };
        for entry in entries.iter().rev() {
            if let Some(tests) = entry.tests(provider) {
                formula = match entry.admits {
                    true => formula.or(&tests)?,
                    false => formula.and_not(&tests)?,
                };
            }
        }
        Some(formula)
    }
}
