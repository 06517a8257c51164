//! Writes cells as rules.

use std::collections::BTreeSet;

use super::super::tree;
use super::cells::{Cell, Dimension, cells};
use super::demand::{Clause, Form, Formula, Test};
use super::glob::{Glob, Shape};
use super::{Access, Outcome};
use crate::document::{Node, Yaml};

/// The policy by which a token has a subject, in `policies`.
const SUBJECT: &str = "has-subject";
const MANY: &str = "are too many to say what they come to: write the rules by hand";
const ALTERNATIVES: &str = "come, with other rules for the same requests, to one claim or another: authorize asks for all of its claims";
const PARTS: &str =
    "test a claim by a part of its text, or for being there: authorize compares claims as a whole";
const LIST: &str =
    "forbid words of a claim that is a list in a text: authorize compares claims as a whole";
const FORM: &str =
    "tell a text from a list with the same text in it: a test takes both, so say it by rules";
const SAME_ISSUER: &str = "tell apart providers that have one issuer";

/// What becomes of entries.
#[derive(Default)]
pub(in super::super) struct Policy {
    pub rules: Vec<Node>,
    /// For `policies`.
    pub policies: Vec<(&'static str, Node)>,
    /// Providers that ask for a subject too: of which provider, its own name, and `subjects`.
    pub variants: Vec<(String, String, Node)>,
    /// What could not be said: the number of an entry, and why.
    pub unsaid: Vec<(usize, &'static str)>,
}

/// What a rule asks of a token.
#[derive(Default)]
struct Asked {
    claims: Vec<Node>,
    all_scopes: Vec<String>,
    any_scope: Vec<String>,
    has_subject: bool,
    /// For all providers, or for some.
    subjects: Option<BTreeSet<Glob>>,
}

struct Writer<'a> {
    access: &'a Access,
    /// The claim whose text is a list of words.
    delimited: Option<&'a str>,
    policy: Policy,
}

/// The rules for entries. `delimited` is the claim that `scopes` are looked for in.
pub(in super::super) fn write(access: &Access, at: &Node, delimited: Option<&str>) -> Policy {
    let mut writer = Writer {
        access,
        delimited,
        policy: Policy::default(),
    };
    match cells(access) {
        Some(cells) => {
            for cell in cells {
                writer.rule(&cell, at);
            }
        }
        None => writer.policy.unsaid.push((0, MANY)),
    }
    writer.policy
}

/// What stands above a rule for nobody.
pub(in super::super) const NOBODY: &str = "Nobody may.";

/// A token that there is not: every token of the providers has an issuer.
pub(in super::super) fn nobody(at: &Node) -> Node {
    let never = tree::value(at, Yaml::Bool(false));
    let path = tree::list(at, vec![tree::text(at, "iss")]);
    let test = tree::object(at, [("path", path), ("exists", never)]);
    tree::object(at, [("claims", tree::list(at, vec![test]))])
}

/// Whether it is that.
pub(in super::super) fn asks_nobody(authorize: &Node) -> bool {
    authorize.to_json() == nobody(authorize).to_json()
}

impl Dimension {
    /// Whether a list of values in `match` can have it.
    pub(super) fn lists(&self, value: &Glob) -> bool {
        match (self, value.shape()) {
            (Self::Method | Self::Host, Shape::Exact(_)) => true,
            (Self::Host, Shape::Suffix(text)) => text.starts_with('.'),
            _ => false,
        }
    }
}

fn regex(at: &Node, regex: &str) -> Node {
    tree::object(at, [("regex", tree::text(at, regex))])
}

fn texts<'t>(at: &Node, texts: impl IntoIterator<Item = &'t String>) -> Node {
    tree::list(
        at,
        texts.into_iter().map(|text| tree::text(at, text)).collect(),
    )
}

/// A test of a text, as `subjects` has it.
fn text_matcher(at: &Node, values: &BTreeSet<Glob>) -> Node {
    let (field, node) = match values.iter().next().map(Glob::shape) {
        Some(Shape::Exact(text)) if values.len() == 1 => ("exact", tree::text(at, &text)),
        Some(Shape::Prefix(text)) if values.len() == 1 => ("prefix", tree::text(at, &text)),
        Some(Shape::Suffix(text)) if values.len() == 1 => ("suffix", tree::text(at, &text)),
        _ => {
            let all: Vec<String> = values.iter().map(Glob::regex).collect();
            ("safe_regex", regex(at, &all.join("|")))
        }
    };
    tree::object(at, [(field, node)])
}

impl Writer<'_> {
    fn rule(&mut self, cell: &Cell, at: &Node) {
        let entry = cell.entry.and_then(|entry| self.access.entries.get(entry));
        let at = Node {
            line: entry.map_or(at.line, |entry| entry.line),
            ..tree::object(at, [])
        };
        let mut rule = tree::object(&at, [("match", self.matcher(cell, &at))]);
        let said = match &cell.outcome {
            Outcome::Nobody => {
                self.nobody(&mut rule, NOBODY);
                Ok(())
            }
            Outcome::Anybody => {
                let missing = ("allow_missing", tree::object(&at, []));
                let missing = tree::object(&at, [missing]);
                let names = self.names();
                let requires = required(&at, &names, Some(missing));
                tree::set(&mut rule, "requires", requires);
                // Without a provider nobody looks at tokens.
                if names.is_empty() {
                    rule.remove("requires");
                }
                Ok(())
            }
            Outcome::Tokens(formulas) => self.tokens(&mut rule, formulas),
            Outcome::Unsaid(why) => Err(*why),
        };
        if let Err(why) = said {
            let unsaid = (cell.entry.unwrap_or_default(), why);
            if !self.policy.unsaid.contains(&unsaid) {
                self.policy.unsaid.push(unsaid);
            }
            // What is left open is refused as a whole, and denies even without the line that says so.
            rule.remove("requires");
            rule.remove("authorize");
            self.nobody(&mut rule, "This is open.");
        }
        self.policy.rules.push(rule);
    }

    fn names(&self) -> Vec<String> {
        let providers = self.access.providers.iter();
        providers.map(|provider| provider.name.clone()).collect()
    }

    /// Without a provider of tokens it is left to who asks for a session.
    fn nobody(&self, rule: &mut Node, note: &str) {
        let names = self.names();
        let authorize = nobody(rule);
        if !names.is_empty() {
            tree::set(rule, "requires", required(&authorize, &names, None));
        }
        tree::set(rule, "authorize", authorize);
        tree::note(rule, "match", note);
    }

    fn matcher(&mut self, cell: &Cell, at: &Node) -> Node {
        let everything = || ("prefix", tree::text(at, "/"));
        let mut path = everything();
        let mut methods = None;
        let mut hosts = None;
        let mut headers = Vec::new();
        for (of, values) in &cell.parts {
            let Some(value) = values.first() else {
                continue;
            };
            let listed: Vec<String> = values
                .iter()
                .filter_map(|value| match value.shape() {
                    Shape::Exact(text) => Some(text),
                    Shape::Suffix(text) => Some(format!("*{text}")),
                    _ => None,
                })
                .collect();
            match of {
                Dimension::Path => path = path_matcher(at, value),
                Dimension::Method => methods = Some(texts(at, &listed)),
                Dimension::Host => match of.lists(value) {
                    true => hosts = Some(texts(at, &listed)),
                    false => headers.push(header(at, ":authority", value)),
                },
                Dimension::Header(name) => {
                    headers.push(header(at, name, value));
                }
            }
        }
        let mut matcher = tree::object(at, [path]);
        for (field, node) in [("methods", methods), ("hosts", hosts)] {
            if let Some(node) = node {
                tree::set(&mut matcher, field, node);
            }
        }
        if !headers.is_empty() {
            tree::set(&mut matcher, "headers", tree::list(at, headers));
        }
        matcher
    }

    fn tokens(&mut self, rule: &mut Node, formulas: &[Formula]) -> Result<(), &'static str> {
        let at = tree::object(rule, []);
        let (common, subjects) = common(formulas)?;
        let mut asked = Asked::default();
        for clause in &common {
            self.clause(&at, clause, &mut asked)?;
        }
        let mut issuers: Vec<&str> = Vec::new();
        let mut names = Vec::new();
        let each = self.access.providers.iter().zip(formulas).zip(subjects);
        for ((provider, formula), of_it) in each {
            let is_good = *formula != Formula::Never;
            if is_good && !issuers.contains(&provider.issuer.as_str()) {
                issuers.push(&provider.issuer);
            }
            let subjects = match (of_it, &asked.subjects) {
                (Some(_), Some(_)) => return Err(PARTS),
                (Some(of_it), None) => Some(of_it),
                (None, of_all) => of_all.clone(),
            };
            names.push(match subjects {
                Some(subjects) if is_good => variant(
                    &mut self.policy.variants,
                    &provider.name,
                    text_matcher(&at, &subjects),
                ),
                _ => provider.name.clone(),
            });
        }
        let mut others = self.access.providers.iter().zip(formulas);
        let is_other = |issuer: &str| !issuers.contains(&issuer);
        if others
            .any(|(provider, formula)| *formula == Formula::Never && !is_other(&provider.issuer))
        {
            return Err(SAME_ISSUER);
        }
        if self
            .access
            .providers
            .iter()
            .any(|provider| is_other(&provider.issuer))
        {
            let issuers: Vec<String> = issuers.iter().map(|issuer| (*issuer).to_owned()).collect();
            let path = tree::list(&at, vec![tree::text(&at, "iss")]);
            let any = texts(&at, &issuers);
            asked
                .claims
                .insert(0, tree::object(&at, [("path", path), ("any", any)]));
        }
        tree::set(rule, "requires", required(&at, &names, None));
        if let Some(authorize) = self.authorize(&at, asked) {
            tree::set(rule, "authorize", authorize);
        }
        Ok(())
    }

    fn authorize(&mut self, at: &Node, asked: Asked) -> Option<Node> {
        let mut authorize = tree::object(at, []);
        let mut scopes = tree::object(at, []);
        for (field, names) in [("all", asked.all_scopes), ("any", asked.any_scope)] {
            if !names.is_empty() {
                tree::set(&mut scopes, field, texts(at, &names));
            }
        }
        if !scopes.entries().is_empty() {
            tree::set(&mut authorize, "scopes", scopes);
        }
        if asked.has_subject {
            let name = tree::text(at, SUBJECT);
            tree::set(&mut authorize, "policies", tree::list(at, vec![name]));
            if self.policy.policies.is_empty() {
                self.policy.policies.push((SUBJECT, has_subject(at)));
            }
        }
        if !asked.claims.is_empty() {
            tree::set(&mut authorize, "claims", tree::list(at, asked.claims));
        }
        (!authorize.entries().is_empty()).then_some(authorize)
    }

    fn clause(&self, at: &Node, clause: &Clause, asked: &mut Asked) -> Result<(), &'static str> {
        let mut tests = clause.iter();
        let (Some(test), None) = (tests.next(), tests.next()) else {
            return Err(ALTERNATIVES);
        };
        let Test {
            path,
            values,
            form,
            negated,
        } = test;
        if is_subject(path) {
            let is_there = values.len() == 1 && values.contains(&Glob::not_empty());
            match (is_there, test.texts()) {
                (true, _) if !negated => {
                    asked.has_subject = true;
                    return Ok(());
                }
                (_, None) if !negated && asked.subjects.is_none() => {
                    asked.subjects = Some(values.clone());
                    return Ok(());
                }
                _ => {}
            }
        }
        let words = test.texts().ok_or(PARTS)?;
        let is_delimited =
            matches!((path.as_slice(), self.delimited), ([name], Some(claim)) if name == claim);
        if is_delimited {
            if *negated {
                return Err(LIST);
            }
            match words.as_slice() {
                [_] => asked.all_scopes.extend(words),
                _ if asked.any_scope.is_empty() => asked.any_scope = words,
                _ => return Err(ALTERNATIVES),
            }
            return Ok(());
        }
        let tests: Vec<(&'static str, Node)> = match (form, negated, words.as_slice()) {
            (Form::Either, false, _) => vec![("any", texts(at, &words))],
            (Form::Either, true, _) => {
                vec![("not", tree::object(at, [("any", texts(at, &words))]))]
            }
            (Form::Text, false, [word]) => vec![("equals", tree::text(at, word))],
            (Form::Text, true, _) | (Form::List, false, _) => {
                let not =
                    |word: &String| ("not", tree::object(at, [("equals", tree::text(at, word))]));
                let any = (!negated).then(|| ("any", texts(at, &words)));
                any.into_iter().chain(words.iter().map(not)).collect()
            }
            (Form::Text, false, _) | (Form::List, true, _) => return Err(FORM),
        };
        for test in tests {
            let members = [("path", texts(at, path)), test];
            asked.claims.push(tree::object(at, members));
        }
        Ok(())
    }
}

fn is_subject(path: &[String]) -> bool {
    matches!(path, [name] if name == "sub")
}

fn has_subject(at: &Node) -> Node {
    let path = || ("path", tree::list(at, vec![tree::text(at, "sub")]));
    let empty = tree::object(at, [("equals", tree::text(at, ""))]);
    let tests = vec![
        tree::object(at, [path(), ("exists", tree::yes(at))]),
        tree::object(at, [path(), ("not", empty)]),
    ];
    tree::object(at, [("claims", tree::list(at, tests))])
}

/// What each good formula has, and the subjects that each asks for besides.
type Common = (Vec<Clause>, Vec<Option<BTreeSet<Glob>>>);

fn common(formulas: &[Formula]) -> Result<Common, &'static str> {
    let clauses = |formula: &Formula| match formula {
        Formula::All(clauses) => Some(clauses.clone()),
        Formula::Never => None,
    };
    let good: Vec<BTreeSet<Clause>> = formulas.iter().filter_map(clauses).collect();
    let first = good.first().cloned().unwrap_or_default();
    let in_all = |clause: &Clause| good.iter().all(|clauses| clauses.contains(clause));
    let common: Vec<Clause> = first.into_iter().filter(in_all).collect();
    let mut subjects = Vec::new();
    for formula in formulas {
        let own = clauses(formula).unwrap_or_default();
        let mut rest = own.iter().filter(|clause| !common.contains(clause));
        let of_it = match (rest.next(), rest.next()) {
            (None, _) => None,
            (Some(clause), None) => {
                let mut tests = clause.iter();
                match (tests.next(), tests.next()) {
                    (Some(test), None) if is_subject(&test.path) && !test.negated => {
                        Some(test.values.clone())
                    }
                    _ => return Err(ALTERNATIVES),
                }
            }
            _ => return Err(ALTERNATIVES),
        };
        subjects.push(of_it);
    }
    Ok((common, subjects))
}

/// The provider that asks for these subjects too, by its name.
fn variant(known: &mut Vec<(String, String, Node)>, of: &str, subjects: Node) -> String {
    let json = subjects.to_json();
    let same = known
        .iter()
        .find(|(base, _, other)| base == of && other.to_json() == json);
    if let Some((_, name, _)) = same {
        return name.clone();
    }
    let number = known.iter().filter(|(base, ..)| base == of).count() + 1;
    let name = format!("{of}.subjects-{number}");
    known.push((of.to_owned(), name.clone(), subjects));
    name
}

/// A token of one of the providers, or something else.
fn required(at: &Node, names: &[String], or: Option<Node>) -> Node {
    let one = |name: &String| tree::object(at, [("provider_name", tree::text(at, name))]);
    let mut members: Vec<Node> = names.iter().map(one).collect();
    members.extend(or);
    match <[Node; 1]>::try_from(members) {
        Ok([only]) => only,
        Err(members) => {
            let members = tree::object(at, [("requirements", tree::list(at, members))]);
            tree::object(at, [("requires_any", members)])
        }
    }
}

fn path_matcher(at: &Node, value: &Glob) -> (&'static str, Node) {
    match value.shape() {
        Shape::Exact(text) => ("path", tree::text(at, &text)),
        Shape::Prefix(text) => ("prefix", tree::text(at, &text)),
        Shape::Everything => ("prefix", tree::text(at, "/")),
        Shape::Suffix(_) | Shape::Regex(_) => ("safe_regex", regex(at, &value.regex())),
    }
}

fn header(at: &Node, name: &str, value: &Glob) -> Node {
    let test = match value.shape() {
        Shape::Exact(text) => ("exact_match", tree::text(at, &text)),
        Shape::Prefix(text) => ("prefix_match", tree::text(at, &text)),
        Shape::Suffix(text) => ("suffix_match", tree::text(at, &text)),
        Shape::Everything => ("present_match", tree::yes(at)),
        Shape::Regex(text) => ("safe_regex_match", regex(at, &text)),
    };
    tree::object(at, [("name", tree::text(at, name)), test])
}
