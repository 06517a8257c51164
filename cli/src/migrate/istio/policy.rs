//! The rules of an AuthorizationPolicy as entries.
//!
//! Invariant: a condition that is not carried over makes a rule that allows vanish, and a rule that
//! denies wider. It is open in both cases.

use bearer_gate::http::path::normalize;

use super::super::access::{Class, Dimension, Entry, Form, Glob, RequestTest, TokenTest};
use super::super::{Change, ChangeKind};
use crate::document::Node;

/// Conditions about the connection, which the filter does not see.
const OF_THE_CONNECTION: [&str; 14] = [
    "principals",
    "not_principals",
    "namespaces",
    "not_namespaces",
    "ip_blocks",
    "not_ip_blocks",
    "remote_ip_blocks",
    "not_remote_ip_blocks",
    "service_accounts",
    "not_service_accounts",
    "trust_domains",
    "not_trust_domains",
    "ports",
    "not_ports",
];
const CONNECTION: &str = "is about the connection (addresses, ports, mutual TLS), which this filter does not look at: keep it in an AuthorizationPolicy without conditions on tokens";

/// A policy on its way.
pub(super) struct Reader<'r> {
    pub admits: bool,
    /// Headers that jwt_authn takes out or sets before the rules are looked at.
    pub own_headers: &'r [String],
    pub entries: Vec<Entry>,
    pub changes: Vec<Change>,
    pub looks_at_hosts: Option<(usize, String)>,
}

/// What is known of a condition.
enum Read {
    /// It holds of all requests that these tests pass.
    Tests(Vec<RequestTest>, Vec<TokenTest>),
    /// It never holds.
    Never,
    /// It is open.
    Open,
}

impl Reader<'_> {
    fn open(&mut self, node: &Node, path: &str, text: impl Into<String>) {
        self.changes.push(Change {
            line: node.line,
            path: path.to_owned(),
            text: text.into(),
            kind: ChangeKind::Open,
        });
    }

    /// The rules of a policy's `spec`, which stands at `path`.
    pub(super) fn policy(&mut self, spec: &Node, path: &str) {
        for (index, rule) in spec.items_of("rules").iter().enumerate() {
            let path = format!("{path}.rules[{index}]");
            let any = [Node {
                yaml: crate::document::Yaml::Map(Vec::new()),
                ..rule.clone()
            }];
            let whens = rule.items_of("when").iter().enumerate();
            let whens: Vec<Read> = whens
                .map(|(at, when)| self.when(when, &format!("{path}.when[{at}]")))
                .collect();
            let list = |name| {
                let items = rule.items_of(name);
                if items.is_empty() { &any[..] } else { items }
            };
            let mut tos = Vec::new();
            for (at, to) in list("to").iter().enumerate() {
                let path = format!("{path}.to[{at}].operation");
                tos.push(self.conditions(to, "operation", rule.get("to").is_some(), &path));
            }
            for (at, from) in list("from").iter().enumerate() {
                let path_of = format!("{path}.from[{at}].source");
                let from = self.conditions(from, "source", rule.get("from").is_some(), &path_of);
                for to in &tos {
                    let all = whens.iter().chain([&from, to]);
                    self.entry(all, rule, &path);
                }
            }
        }
    }

    fn entry<'c>(&mut self, conditions: impl Iterator<Item = &'c Read>, rule: &Node, path: &str) {
        let (mut request, mut token) = (Vec::new(), Vec::new());
        for condition in conditions {
            match condition {
                Read::Tests(of_request, of_token) => {
                    request.extend(of_request.iter().cloned());
                    token.extend(of_token.iter().cloned());
                }
                Read::Never => return,
                Read::Open if self.admits => return,
                Read::Open => {}
            }
        }
        self.entries.push(Entry {
            request,
            token,
            admits: self.admits,
            line: rule.line,
            path: path.to_owned(),
        });
    }

    /// The conditions of a source or an operation.
    fn conditions(&mut self, item: &Node, name: &str, is_given: bool, path: &str) -> Read {
        let Some(node) = item.get(name) else {
            if is_given {
                self.open(item, path, "is required");
                return Read::Open;
            }
            return Read::Tests(Vec::new(), Vec::new());
        };
        if node.entries().is_empty() {
            self.open(node, path, "is empty");
            return Read::Open;
        }
        let mut read = Read::Tests(Vec::new(), Vec::new());
        for entry in node.entries() {
            let path = format!("{path}.{}", entry.name);
            let (field, negated) = match entry.name.strip_prefix("not_") {
                Some(field) => (field, true),
                None => (entry.name.as_str(), false),
            };
            let one = if OF_THE_CONNECTION.contains(&entry.name.as_str()) {
                self.open(&entry.node, &path, CONNECTION);
                Read::Open
            } else {
                self.values(field, &entry.node, negated, &path)
            };
            read = both(read, one, self.admits);
        }
        read
    }

    fn when(&mut self, when: &Node, path: &str) -> Read {
        let key = when.text_at(&["key"]).unwrap_or_default().to_owned();
        let mut read = Read::Tests(Vec::new(), Vec::new());
        let mut is_given = false;
        for (name, negated) in [("values", false), ("not_values", true)] {
            let Some(values) = when.get(name) else {
                continue;
            };
            is_given = true;
            let path = format!("{path}.{name}");
            let one = self.values(&key, values, negated, &path);
            read = both(read, one, self.admits);
        }
        if !is_given {
            self.open(when, path, "has no values");
            return Read::Open;
        }
        read
    }

    /// A test of a part of the request or the token by its values.
    fn values(&mut self, key: &str, values: &Node, negated: bool, path: &str) -> Read {
        let mut texts: Vec<(&str, &Node)> = Vec::new();
        for value in values.items() {
            match value.text() {
                Some("") | None => {
                    self.open(value, path, "has an empty value");
                    return Read::Open;
                }
                Some(text) => texts.push((text, value)),
            }
        }
        let brackets = |prefix: &str| {
            key.strip_prefix(prefix)
                .filter(|rest| rest.starts_with('['))
        };
        let claim = |name: &str| self.claim(vec![name.to_owned()], &texts, negated);
        match key {
            "request_principals" | "request.auth.principal" => {
                self.principals(&texts, negated, path)
            }
            "request.auth.audiences" => claim("aud"),
            "request.auth.presenter" => claim("azp"),
            "hosts" => self.hosts(&texts, negated, path),
            "paths" => self.paths(&texts, negated, path),
            "methods" => self.methods(&texts, negated, path),
            _ => {
                if let Some(rest) = brackets("request.auth.claims") {
                    return match names_in_brackets(rest) {
                        Some(names) => self.claim(names, &texts, negated),
                        None => {
                            self.open(
                                values,
                                path,
                                format!("{key} names no claim that is certain"),
                            );
                            Read::Open
                        }
                    };
                }
                if let Some(rest) = brackets("request.headers") {
                    return self.headers(rest, &texts, values, negated, path);
                }
                let text = match key.split('.').next() {
                    Some("source" | "remote" | "destination" | "connection") => {
                        CONNECTION.to_owned()
                    }
                    _ => format!("{key} has no counterpart"),
                };
                self.open(values, path, text);
                Read::Open
            }
        }
    }

    fn claim(&self, path: Vec<String>, texts: &[(&str, &Node)], negated: bool) -> Read {
        let values = texts
            .iter()
            .map(|(text, _)| (Glob::everything(), matcher(text)))
            .collect();
        let test = TokenTest {
            path,
            values,
            form: Form::Either,
            negated,
        };
        Read::Tests(Vec::new(), vec![test])
    }

    fn principals(&mut self, texts: &[(&str, &Node)], negated: bool, path: &str) -> Read {
        let mut values = Vec::new();
        for (text, node) in texts {
            match principal(text) {
                Some(value) => values.push(value),
                None => {
                    let text =
                        "has neither a subject nor *, so it is for tokens whose sub is empty";
                    self.open(node, path, text);
                    return Read::Open;
                }
            }
        }
        let test = TokenTest {
            path: vec!["sub".to_owned()],
            values,
            form: Form::Either,
            negated,
        };
        Read::Tests(Vec::new(), vec![test])
    }

    fn request(&self, of: Dimension, values: Vec<Glob>, negated: bool) -> Read {
        let values = RequestTest {
            of,
            values,
            negated,
        };
        Read::Tests(vec![values], Vec::new())
    }

    /// What a test comes to that every request passes.
    fn everything(negated: bool) -> Read {
        match negated {
            true => Read::Never,
            false => Read::Tests(Vec::new(), Vec::new()),
        }
    }

    fn methods(&mut self, texts: &[(&str, &Node)], negated: bool, path: &str) -> Read {
        let mut values = Vec::new();
        for (text, node) in texts {
            if *text == "*" {
                return Self::everything(negated);
            }
            let is_name = |c: char| c.is_ascii_uppercase() || c == '-';
            if !text.chars().all(is_name) {
                self.open(node, path, "is no method in upper case: name each method");
                return Read::Open;
            }
            values.push(Glob::exact(text));
        }
        self.request(Dimension::Method, values, negated)
    }

    fn hosts(&mut self, texts: &[(&str, &Node)], negated: bool, path: &str) -> Read {
        let lower = |(text, _): &(&str, &Node)| text.to_ascii_lowercase();
        let all: Vec<String> = texts.iter().map(lower).collect();
        let mut values = Vec::new();
        for ((text, node), lower) in texts.iter().zip(&all) {
            if *text == "*" {
                return Self::everything(negated);
            }
            // `a.example:*` beside `a.example` is that host with any port, as it is here.
            if let Some(host) = lower.strip_suffix(":*") {
                if lower.starts_with('*') || !all.iter().any(|other| other == host) {
                    self.open(
                        node,
                        path,
                        "is a host with some ports and not others: hosts are compared without port",
                    );
                    return Read::Open;
                }
                continue;
            }
            if lower.contains(':') {
                self.open(
                    node,
                    path,
                    "is a host with its port: hosts are compared without port",
                );
                return Read::Open;
            }
            values.push(matcher(lower));
        }
        if let Some((_, node)) = texts.first() {
            self.looks_at_hosts
                .get_or_insert((node.line, path.to_owned()));
        }
        self.request(Dimension::Host, values, negated)
    }

    fn paths(&mut self, texts: &[(&str, &Node)], negated: bool, path: &str) -> Read {
        let mut values = Vec::new();
        for (text, node) in texts {
            let is_template = text.contains("{*}") || text.contains("{**}");
            let part = match text.strip_prefix('*').or(text.strip_suffix('*')) {
                _ if *text == "*" => return Self::everything(negated),
                _ if is_template => text.replace("{**}", "x").replace("{*}", "x"),
                // What it ends or begins with stands in a path like this.
                Some(part) if text.starts_with('*') => format!("/x{part}"),
                Some(part) => part.to_owned(),
                None => (*text).to_owned(),
            };
            if part == "/" && text.ends_with('*') {
                return Self::everything(negated);
            }
            let is_normal = normalize(part.as_bytes()).is_ok_and(|normal| normal == part);
            if !is_normal {
                self.open(node, path, "is no path in normal form, or part of one, so it could be got around: see docs/requests.md");
                return Read::Open;
            }
            // Wider where it keeps requests out than where it lets them in.
            let lets_in = self.admits != negated;
            match is_template.then(|| template(text, lets_in)) {
                None => values.push(matcher(text)),
                Some(Some(glob)) => values.push(glob),
                Some(None) => {
                    let text = "is no template that is certain: {*} and {**} stand for whole segments, nothing else does";
                    self.open(node, path, text);
                    return Read::Open;
                }
            }
        }
        self.request(Dimension::Path, values, negated)
    }

    fn headers(
        &mut self,
        rest: &str,
        texts: &[(&str, &Node)],
        values: &Node,
        negated: bool,
        path: &str,
    ) -> Read {
        let name = rest
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        let name = name.unwrap_or_default().to_ascii_lowercase();
        if name.is_empty() || name.contains(['[', ']']) {
            self.open(values, path, "names no header that is certain");
            return Read::Open;
        }
        if name.starts_with(':') || name == "host" {
            let text = "is about the method, the host or the path: say it in `to`, with hosts, methods or paths";
            self.open(values, path, text);
            return Read::Open;
        }
        if self.own_headers.contains(&name) {
            let text = format!(
                "{name} has a token in it, or a claim, when this is looked at: test the claim itself"
            );
            self.open(values, path, text);
            return Read::Open;
        }
        let globs = texts.iter().map(|(text, _)| match *text {
            "*" => Glob::everything(),
            text => matcher(text),
        });
        self.request(Dimension::Header(name), globs.collect(), negated)
    }
}

/// Two conditions that have to hold together.
fn both(one: Read, other: Read, admits: bool) -> Read {
    match (one, other) {
        (Read::Never, _) | (_, Read::Never) => Read::Never,
        (Read::Open, _) | (_, Read::Open) if admits => Read::Open,
        (Read::Open, read) | (read, Read::Open) => read,
        (Read::Tests(mut request, mut token), Read::Tests(more, of_token)) => {
            request.extend(more);
            token.extend(of_token);
            Read::Tests(request, token)
        }
    }
}

/// A text as Istio reads one: `*` at the start counts before `*` at the end, and nowhere else.
fn matcher(text: &str) -> Glob {
    if text == "*" {
        return Glob::not_empty();
    }
    match (text.strip_prefix('*'), text.strip_suffix('*')) {
        (Some(end), _) => Glob::suffix(end),
        (None, Some(start)) => Glob::prefix(start),
        (None, None) => Glob::exact(text),
    }
}

/// Issuer and subject of a principal; `None` where only an empty subject would do.
fn principal(text: &str) -> Option<(Glob, Glob)> {
    let any = Glob::not_empty;
    if text == "*" {
        return Some((any(), any()));
    }
    let split = text.rsplit_once('/');
    if let Some(rest) = text.strip_prefix('*') {
        return Some(match split {
            Some(("*", subject)) => (any(), Glob::exact(subject)),
            Some((issuer, subject)) => (
                Glob::suffix(issuer.strip_prefix('*').unwrap_or(issuer)),
                Glob::exact(subject),
            ),
            None => (any(), Glob::suffix(rest)),
        })
        .filter(|_| !text.ends_with('/'));
    }
    if let Some(start) = text.strip_suffix('*') {
        return Some(match split {
            Some((issuer, "*")) => (Glob::exact(issuer), any()),
            Some((issuer, subject)) => (
                Glob::exact(issuer),
                Glob::prefix(subject.strip_suffix('*').unwrap_or(subject)),
            ),
            None => (Glob::prefix(start), any()),
        });
    }
    let (issuer, subject) = split?;
    (!subject.is_empty()).then(|| (Glob::exact(issuer), Glob::exact(subject)))
}

/// `[a][b]`, or one name in brackets.
fn names_in_brackets(text: &str) -> Option<Vec<String>> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    let names: Vec<String> = inner.split("][").map(str::to_owned).collect();
    let is_name = |name: &String| !name.is_empty() && !name.contains(['[', ']']);
    names.iter().all(is_name).then_some(names)
}

/// A path with operators. Where it lets requests in, they take no more than Envoy's do.
fn template(text: &str, lets_in: bool) -> Option<Glob> {
    let mut glob = Glob::exact("");
    let mut is_over = false;
    let segments = text.strip_prefix('/')?.split('/');
    for segment in segments {
        glob = glob.then_text("/");
        let slash = segment == "{**}";
        let class = Class {
            slash,
            odd: !lets_in,
        };
        match segment {
            "{*}" | "{**}" if is_over => return None,
            "{*}" => glob = glob.then(class, 1),
            "{**}" => {
                is_over = true;
                glob = glob.then(class, 0);
            }
            "" => return None,
            literal if literal.contains(['{', '}', '*']) => return None,
            literal => glob = glob.then_text(literal),
        }
    }
    Some(glob)
}
