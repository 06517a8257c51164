//! The rules of `authorization` as entries.

use bearer_gate::http::path::normalize;

use super::super::access::{Dimension, Entry, Form, Glob, Provider, RequestTest, TokenTest};
use super::super::{Change, ChangeKind};
use super::SCOPES;
use crate::document::Node;

pub(super) struct Reader<'r> {
    pub providers: &'r [Provider],
    /// Headers that RBAC sees otherwise than they came, or that have a token.
    pub own_headers: Vec<String>,
    pub entries: Vec<Entry>,
    pub changes: Vec<Change>,
}

impl Reader<'_> {
    fn open(&mut self, node: &Node, path: &str, text: &str) {
        self.changes.push(Change {
            line: node.line,
            path: path.to_owned(),
            text: text.to_owned(),
            kind: ChangeKind::Open,
        });
    }

    pub(super) fn rule(&mut self, rule: &Node, path: &str) {
        let before = self.changes.len();
        let (mut request, mut token) = (Vec::new(), Vec::new());
        let admits = match rule.text_at(&["action"]) {
            Some("Allow") => true,
            Some("Deny") => false,
            _ => {
                self.open(rule, &format!("{path}.action"), "is neither Allow nor Deny");
                false
            }
        };
        let principal = rule.get("principal");
        if principal.is_none_or(|principal| principal.entries().is_empty()) {
            self.open(rule, &format!("{path}.principal"), "is missing or empty");
        }
        if let Some(cel) = rule.get("cel") {
            self.open(
                cel,
                &format!("{path}.cel"),
                "is an expression: say it by rules",
            );
        }
        for entry in principal.map_or(&[][..], Node::entries) {
            let path = format!("{path}.principal.{}", entry.name);
            match entry.name.as_str() {
                "jwt" => self.token(&entry.node, &path, &mut token),
                "headers" => self.headers(&entry.node, &path, &mut request),
                _ => {
                    let text = "is about the client's address, which this filter does not look at: keep a SecurityPolicy for it";
                    self.open(&entry.node, &path, text);
                }
            }
        }
        if let Some(operation) = rule.get("operation") {
            self.operation(operation, &format!("{path}.operation"), &mut request);
        }
        // What is open makes an entry that allows vanish, and one that denies wider.
        if admits && self.changes.len() > before {
            return;
        }
        self.entries.push(Entry {
            request,
            token,
            admits,
            line: rule.line,
            path: path.to_owned(),
        });
    }

    /// The texts of a list, none of which is empty; none where that is open.
    fn texts(&mut self, list: &[Node], at: &Node, path: &str) -> Vec<String> {
        let text = |node: &Node| {
            node.text()
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
        };
        let texts: Option<Vec<String>> = list.iter().map(text).collect();
        match texts {
            Some(texts) if !texts.is_empty() => texts,
            _ => {
                self.open(at, path, "has no value, or an empty one");
                Vec::new()
            }
        }
    }

    fn token(&mut self, jwt: &Node, path: &str, token: &mut Vec<TokenTest>) {
        let name = jwt.text_at(&["provider"]).unwrap_or_default();
        let Some(provider) = self.providers.iter().find(|provider| provider.name == name) else {
            self.open(
                jwt,
                &format!("{path}.provider"),
                "is no provider of this policy",
            );
            return;
        };
        let issuer = Glob::exact(&provider.issuer);
        if self.providers.len() > 1 {
            token.push(TokenTest {
                path: vec!["iss".to_owned()],
                values: vec![(Glob::everything(), issuer.clone())],
                form: Form::Either,
                negated: false,
            });
        }
        // A value of another provider's tokens does not count.
        let mut add = |path: Vec<String>, values: &[String], form: Form| {
            let values = values
                .iter()
                .map(|value| (issuer.clone(), Glob::exact(value)));
            token.push(TokenTest {
                path,
                values: values.collect(),
                form,
                negated: false,
            });
        };
        let (claims, scopes) = (jwt.items_of("claims"), jwt.items_of("scopes"));
        if claims.is_empty() && scopes.is_empty() {
            self.open(jwt, path, "has neither claims nor scopes");
        }
        for scope in scopes {
            for scope in self.texts(
                std::slice::from_ref(scope),
                scope,
                &format!("{path}.scopes"),
            ) {
                add(vec!["scope".to_owned()], &[scope], Form::Either);
            }
        }
        for (index, claim) in claims.iter().enumerate() {
            let path = format!("{path}.claims[{index}]");
            let name = claim.text_at(&["name"]).unwrap_or_default();
            let names: Vec<String> = name.split('.').map(str::to_owned).collect();
            if SCOPES.contains(&name) {
                self.open(claim, &path, "is a list of words by then: say it by scopes");
                continue;
            }
            if names.iter().any(String::is_empty) {
                self.open(claim, &path, "names no claim that is certain");
                continue;
            }
            let form = match claim.text_at(&["value_type"]) {
                // A subject is a text in every token.
                _ if name == "sub" => Form::Either,
                None | Some("String") => Form::Text,
                Some("StringArray") => Form::List,
                Some(_) => {
                    self.open(
                        claim,
                        &format!("{path}.valueType"),
                        "is no type that is known here",
                    );
                    continue;
                }
            };
            let is_list_of_subjects =
                name == "sub" && claim.text_at(&["value_type"]) == Some("StringArray");
            if is_list_of_subjects {
                self.open(claim, &path, "is no list in any token");
                continue;
            }
            let values = self.texts(claim.items_of("values"), claim, &path);
            if !values.is_empty() {
                add(names, &values, form);
            }
        }
    }

    fn headers(&mut self, headers: &Node, path: &str, request: &mut Vec<RequestTest>) {
        for (index, header) in headers.items().iter().enumerate() {
            let path = format!("{path}[{index}]");
            let name = header
                .text_at(&["name"])
                .unwrap_or_default()
                .to_ascii_lowercase();
            if name.is_empty()
                || name.starts_with(':')
                || name == "host"
                || self.own_headers.contains(&name)
            {
                self.open(header, &path, "is no header that is looked at as it came");
                continue;
            }
            let values = self.texts(header.items_of("values"), header, &path);
            if !values.is_empty() {
                request.push(RequestTest {
                    of: Dimension::Header(name),
                    values: values.iter().map(|value| Glob::exact(value)).collect(),
                    negated: false,
                });
            }
        }
    }

    fn operation(&mut self, operation: &Node, path: &str, request: &mut Vec<RequestTest>) {
        if operation.entries().is_empty() {
            self.open(operation, path, "is empty");
        }
        if let Some(methods) = operation.get("methods") {
            let path = format!("{path}.methods");
            let names = self.texts(methods.items(), methods, &path);
            let is_method = |name: &String| name.bytes().all(|byte| byte.is_ascii_uppercase());
            if !names.iter().all(is_method) {
                self.open(methods, &path, "has what is no method in upper case");
            } else if !names.is_empty() {
                request.push(RequestTest {
                    of: Dimension::Method,
                    values: names.iter().map(|name| Glob::exact(name)).collect(),
                    negated: false,
                });
            }
        }
        let Some(written) = operation.get("path") else {
            return;
        };
        let path = format!("{path}.path");
        let value = written.text_at(&["value"]).unwrap_or("/");
        let negated = written.get("invert").is_some_and(Node::is_true);
        let is_normal = normalize(value.as_bytes()).is_ok_and(|normal| normal == value);
        let values = match written.text_at(&["type"]).unwrap_or("PathPrefix") {
            "Exact" if is_normal => vec![Glob::exact(value)],
            "PathPrefix" if value == "/" => vec![Glob::prefix("/")],
            "PathPrefix" if is_normal => {
                let start = value.strip_suffix('/').unwrap_or(value);
                vec![Glob::exact(start), Glob::prefix(&format!("{start}/"))]
            }
            "RegularExpression" => {
                let text = "is an expression over the path and its query: say it by a path";
                self.open(written, &path, text);
                return;
            }
            _ => {
                let text =
                    "is no path in normal form, so it could be got around: see docs/requests.md";
                self.open(written, &path, text);
                return;
            }
        };
        request.push(RequestTest {
            of: Dimension::Path,
            values,
            negated,
        });
    }
}
