//! YAML and JSON as a tree that knows its lines.
//!
//! Invariant: a scalar means here what it means to the program that will read the file. Envoy reads
//! YAML by its own rules (yaml-cpp, `MessageUtil::loadFromYaml`): `on` is true, `1.5` and whole numbers beyond
//! 32 bits are strings. Kubernetes and JSON know numbers.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};
use serde_json::{Number, Value};

/// Deeper documents are refused: trees are walked by recursion, and no configuration is so deep.
const DEEPEST: usize = 100;
/// The largest size of a file with its aliases written out, in nodes and in bytes of their texts:
/// aliases can make a small file large.
const MOST_NODES: usize = 200_000;
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// Who reads the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scalars {
    Envoy,
    Json,
}

/// A value and where it stands, counted from 1.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub line: usize,
    pub column: usize,
    pub yaml: Yaml,
}

#[derive(Clone, Debug)]
pub(crate) enum Yaml {
    Null,
    Bool(bool),
    Number(Number),
    /// On the line where the text begins, not where its `|` is.
    Text(String),
    List(Vec<Node>),
    /// In the order written. A name that is given twice occurs twice.
    Map(Vec<Entry>),
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub name: String,
    pub line: usize,
    pub column: usize,
    pub node: Node,
    /// The comment to write above it.
    pub note: Option<String>,
}

/// What is wrong with a file, and where.
#[derive(Clone, Debug)]
pub(crate) struct Unreadable {
    pub line: usize,
    pub column: usize,
    pub problem: String,
}

/// The documents of a file; empty ones are left out.
///
/// # Errors
/// The first place where it is not YAML, nor JSON.
pub(crate) fn parse(text: &str, scalars: Option<Scalars>) -> Result<Vec<Node>, Unreadable> {
    let scalars = scalars.unwrap_or_else(|| Scalars::of_text(text));
    let mut builder = NodeBuilder {
        scalars,
        open: Vec::new(),
        anchors: BTreeMap::new(),
        documents: Vec::new(),
        nodes: 0,
        bytes: 0,
    };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| Unreadable {
            line: error.marker().line(),
            column: error.marker().col() + 1,
            problem: error.info().to_owned(),
        })?;
        builder.take(event, span)?;
    }
    builder
        .documents
        .retain(|node| !matches!(node.yaml, Yaml::Null));
    Ok(builder.documents)
}

impl Scalars {
    /// The reader of a text, by its content: JSON and Kubernetes read scalars in one way, Envoy in another.
    fn of_text(text: &str) -> Self {
        let is_json = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
        let of_kubernetes = text.lines().any(|line| line.starts_with("apiVersion:"));
        if is_json || of_kubernetes {
            Self::Json
        } else {
            Self::Envoy
        }
    }
}

struct NodeBuilder {
    scalars: Scalars,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    documents: Vec<Node>,
    nodes: usize,
    bytes: usize,
}

struct Open {
    node: Node,
    anchor: usize,
    name: Option<(String, Span)>,
    /// Whether the tag `!ignore` tells Envoy to ignore the member.
    is_ignored: bool,
}

/// Aliases may be the whole of a document.
const TOO_LARGE: &str = "the document is too large";

impl NodeBuilder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Unreadable> {
        let problem = |problem: &str| Unreadable {
            line: span.start.line(),
            column: span.start.col() + 1,
            problem: problem.to_owned(),
        };
        let node = |yaml| Node {
            line: span.start.line(),
            column: span.start.col() + 1,
            yaml,
        };
        let length = match &event {
            Event::Scalar(text, ..) => text.len(),
            _ => 0,
        };
        if !self.has_room(1, length) {
            return Err(problem(TOO_LARGE));
        }
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_envoy = self.scalars == Scalars::Envoy;
                let has_tag = |wanted: &str| is_tag(tag.as_deref(), wanted);
                let text = text.into_owned();
                let yaml = match self.open.last_mut().filter(|open| open.waits_for_name()) {
                    Some(open) => {
                        open.is_ignored = is_envoy && has_tag("!ignore");
                        Yaml::Text(text)
                    }
                    None if has_tag("!") => Yaml::Text(text),
                    None => self.scalar(text, style),
                };
                self.add(node(yaml), anchor, span)
            }
            Event::SequenceStart(anchor, _) => {
                self.enter(node(Yaml::List(Vec::new())), anchor, &problem)
            }
            Event::MappingStart(anchor, _) => {
                self.enter(node(Yaml::Map(Vec::new())), anchor, &problem)
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(open) => self.add(open.node, open.anchor, span),
                None => Ok(()),
            },
            Event::Alias(anchor) => {
                let known = self.anchors.get(&anchor);
                let (nodes, bytes) = known
                    .ok_or_else(|| problem("an alias without an anchor"))?
                    .size();
                if !self.has_room(nodes, bytes) {
                    return Err(problem(TOO_LARGE));
                }
                match self.anchors.get(&anchor).cloned() {
                    Some(known) => self.add(known, 0, span),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    fn enter(
        &mut self,
        node: Node,
        anchor: usize,
        problem: &dyn Fn(&str) -> Unreadable,
    ) -> Result<(), Unreadable> {
        if self.open.last().is_some_and(Open::waits_for_name) {
            return Err(problem("a name has to be a text"));
        }
        if self.open.len() >= DEEPEST {
            return Err(problem("the document is too deep"));
        }
        self.open.push(Open {
            node,
            anchor,
            name: None,
            is_ignored: false,
        });
        Ok(())
    }

    /// Takes this much of what a document may be.
    fn has_room(&mut self, nodes: usize, bytes: usize) -> bool {
        self.nodes = self.nodes.saturating_add(nodes);
        self.bytes = self.bytes.saturating_add(bytes);
        self.nodes <= MOST_NODES && self.bytes <= MOST_BYTES
    }

    fn add(&mut self, node: Node, anchor: usize, span: Span) -> Result<(), Unreadable> {
        if anchor > 0 {
            // Nested anchors are each stored in full.
            let (nodes, bytes) = node.size();
            if !self.has_room(nodes, bytes) {
                return Err(Unreadable {
                    line: node.line,
                    column: node.column,
                    problem: TOO_LARGE.to_owned(),
                });
            }
            self.anchors.insert(anchor, node.clone());
        }
        let Some(open) = self.open.last_mut() else {
            self.documents.push(node);
            return Ok(());
        };
        match &mut open.node.yaml {
            Yaml::List(items) => items.push(node),
            Yaml::Map(entries) => match open.name.take() {
                Some(_) if open.is_ignored => {}
                Some((name, at)) => entries.push(Entry {
                    name,
                    line: at.start.line(),
                    column: at.start.col() + 1,
                    node,
                    note: None,
                }),
                None => match node.yaml {
                    Yaml::Text(text) => open.name = Some((text, span)),
                    _ => {
                        return Err(Unreadable {
                            line: node.line,
                            column: node.column,
                            problem: "a name must be a text".to_owned(),
                        });
                    }
                },
            },
            _ => {}
        }
        Ok(())
    }

    fn scalar(&self, text: String, style: ScalarStyle) -> Yaml {
        if style != ScalarStyle::Plain {
            return Yaml::Text(text);
        }
        match text.as_str() {
            "" | "~" | "null" | "Null" | "NULL" => return Yaml::Null,
            _ => {}
        }
        if let Some(value) = boolean(&text) {
            return Yaml::Bool(value);
        }
        let number = match self.scalars {
            Scalars::Envoy => return number_of_yaml_cpp(text),
            Scalars::Json => serde_json::from_str::<Number>(&text).ok(),
        };
        number.map_or(Yaml::Text(text), Yaml::Number)
    }
}

/// A whole number of 64 bits, as C++ reads one from a stream: decimal, octal after `0`, or
/// hexadecimal after `0x`. Envoy makes a number of more than 32 bits a text.
fn number_of_yaml_cpp(text: String) -> Yaml {
    let (is_negative, digits) = match text.strip_prefix(['-', '+']) {
        Some(digits) => (text.starts_with('-'), digits),
        None => (false, text.as_str()),
    };
    let hexadecimal = digits.strip_prefix("0x").or(digits.strip_prefix("0X"));
    let (radix, digits) = match (hexadecimal, digits.strip_prefix('0')) {
        (Some(digits), _) => (16, digits),
        (None, Some(digits)) if !digits.is_empty() => (8, digits),
        (None, _) => (10, digits),
    };
    // a second sign would be read too
    let is_number = digits.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let number = i64::from_str_radix(digits, radix)
        .ok()
        .filter(|_| is_number);
    match number.map(|number| if is_negative { -number } else { number }) {
        Some(number) => match i32::try_from(number) {
            Ok(number) => Yaml::Number(number.into()),
            Err(_) => Yaml::Text(number.to_string()),
        },
        None => Yaml::Text(text),
    }
}

/// YAML 1.1, as yaml-cpp and Kubernetes have it: one case, or the first letter in upper case.
fn boolean(text: &str) -> Option<bool> {
    let lower = text.to_ascii_lowercase();
    let rest_is_lower = text.get(1..) == lower.get(1..);
    if !rest_is_lower && text != text.to_ascii_uppercase() {
        return None;
    }
    match lower.as_str() {
        "y" | "yes" | "true" | "on" => Some(true),
        "n" | "no" | "false" | "off" => Some(false),
        _ => None,
    }
}

/// A text where protobuf's JSON wants true or false: what `absl::SimpleAtob` takes. Envoy refuses
/// other texts, and numbers.
fn truth_of_text(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "1" => Some(true),
        "false" | "f" | "no" | "n" | "0" => Some(false),
        _ => None,
    }
}

fn is_tag(tag: Option<&Tag>, wanted: &str) -> bool {
    tag.is_some_and(|tag| format!("{}{}", tag.handle, tag.suffix) == wanted)
}

impl Open {
    fn waits_for_name(&self) -> bool {
        matches!(self.node.yaml, Yaml::Map(_)) && self.name.is_none()
    }
}

impl Node {
    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.yaml {
            Yaml::Map(entries) => entries,
            _ => &[],
        }
    }

    pub(crate) fn items(&self) -> &[Self] {
        match &self.yaml {
            Yaml::List(items) => items,
            _ => &[],
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match &self.yaml {
            Yaml::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether Envoy takes it for true, which may be written as a text.
    pub(crate) fn is_true(&self) -> bool {
        self.truth() == Some(true)
    }

    /// As [`Node::is_true`].
    pub(crate) fn is_false(&self) -> bool {
        self.truth() == Some(false)
    }

    fn truth(&self) -> Option<bool> {
        match &self.yaml {
            Yaml::Bool(value) => Some(*value),
            Yaml::Text(text) => truth_of_text(text),
            _ => None,
        }
    }

    /// The member of this name, which may be written in lowerCamelCase. Of several the last counts, as in
    /// Envoy.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        self.entry(name).map(|entry| &entry.node)
    }

    pub(crate) fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries()
            .iter()
            .rfind(|entry| entry.name == name || snake_case(&entry.name) == name)
    }

    /// The items of the list that is the member of this name. One value in the place of a list is a
    /// list of one, as in Envoy. Empty if there is no such member.
    pub(crate) fn items_of(&self, name: &str) -> &[Self] {
        match self.get(name) {
            Some(node) => match &node.yaml {
                Yaml::List(items) => items,
                Yaml::Null => &[],
                _ => std::slice::from_ref(node),
            },
            None => &[],
        }
    }

    /// The member at the end of these names.
    pub(crate) fn at(&self, names: &[&str]) -> Option<&Self> {
        names.iter().try_fold(self, |node, name| node.get(name))
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Self> {
        match &mut self.yaml {
            Yaml::Map(entries) => entries
                .iter_mut()
                .rfind(|entry| entry.name == name || snake_case(&entry.name) == name)
                .map(|entry| &mut entry.node),
            _ => None,
        }
    }

    /// Adds a member, with what is to be written above it.
    pub(crate) fn add(&mut self, name: &str, yaml: Yaml, note: &str) {
        let (line, column) = (self.line, self.column);
        if let Yaml::Map(entries) = &mut self.yaml {
            entries.push(Entry {
                name: name.to_owned(),
                line,
                column,
                node: Self { line, column, yaml },
                note: Some(note.to_owned()),
            });
        }
    }

    /// As [`Node::add`], above all members.
    pub(crate) fn add_first(&mut self, name: &str, yaml: Yaml, note: &str) {
        self.add(name, yaml, note);
        if let Yaml::Map(entries) = &mut self.yaml {
            entries.rotate_right(1);
        }
    }

    /// Removes a member.
    pub(crate) fn remove(&mut self, name: &str) {
        if let Yaml::Map(entries) = &mut self.yaml {
            entries.retain(|entry| entry.name != name && snake_case(&entry.name) != name);
        }
    }

    /// Removes the field at a path. Whether there is one.
    pub(crate) fn remove_at(&mut self, path: &str) -> bool {
        let path = path.strip_prefix('.').unwrap_or(path);
        if let Some((index, rest)) = path.strip_prefix('[').and_then(|p| p.split_once(']')) {
            if let (Ok(index), Yaml::List(items)) = (index.parse::<usize>(), &mut self.yaml)
                && let Some(item) = items.get_mut(index)
            {
                return item.remove_at(rest);
            }
            return false;
        }
        let Yaml::Map(entries) = &mut self.yaml else {
            return false;
        };
        let fitting = entries.iter().enumerate().filter_map(|(at, entry)| {
            let rest = [entry.name.clone(), snake_case(&entry.name)]
                .iter()
                .find_map(|name| path.strip_prefix(name.as_str()))?;
            (rest.is_empty() || rest.starts_with(['.', '['])).then_some((at, rest.to_owned()))
        });
        let Some((at, rest)) = fitting.min_by_key(|(_, rest)| rest.len()) else {
            return false;
        };
        if rest.is_empty() {
            entries.remove(at);
            return true;
        }
        let entry = entries.get_mut(at);
        entry.is_some_and(|entry| entry.node.remove_at(&rest))
    }

    /// The text of the member at the end of these names.
    pub(crate) fn text_at(&self, names: &[&str]) -> Option<&str> {
        self.at(names)?.text()
    }

    /// How many nodes it has, and how many bytes of text.
    fn size(&self) -> (usize, usize) {
        let own = match &self.yaml {
            Yaml::Text(text) => text.len(),
            Yaml::Map(entries) => entries.iter().map(|entry| entry.name.len()).sum(),
            _ => 0,
        };
        let items = self.items().iter().map(Self::size);
        let members = self.entries().iter().map(|entry| entry.node.size());
        items
            .chain(members)
            .fold((1, own), |(nodes, bytes), (n, b)| {
                (nodes.saturating_add(n), bytes.saturating_add(b))
            })
    }

    /// As JSON text, members in the order written, those given twice included.
    pub(crate) fn to_json(&self) -> String {
        let mut json = String::new();
        self.write_json(&mut json);
        json
    }

    fn write_json(&self, json: &mut String) {
        match &self.yaml {
            Yaml::Null => json.push_str("null"),
            Yaml::Bool(value) => json.push_str(if *value { "true" } else { "false" }),
            Yaml::Number(number) => json.push_str(&number.to_string()),
            Yaml::Text(text) => json.push_str(&Value::from(text.as_str()).to_string()),
            Yaml::List(items) => {
                json.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        json.push(',');
                    }
                    item.write_json(json);
                }
                json.push(']');
            }
            Yaml::Map(entries) => {
                json.push('{');
                for (index, entry) in entries.iter().enumerate() {
                    if index > 0 {
                        json.push(',');
                    }
                    json.push_str(&Value::from(entry.name.as_str()).to_string());
                    json.push(':');
                    entry.node.write_json(json);
                }
                json.push('}');
            }
        }
    }

    /// Line and column of a field by its path as errors name it (`rules[0].match`), or of what is
    /// nearest above it.
    pub(crate) fn locate(&self, path: &str) -> (usize, usize) {
        self.find(path, (self.line, self.column))
    }

    fn find(&self, path: &str, here: (usize, usize)) -> (usize, usize) {
        let path = path.strip_prefix('.').unwrap_or(path);
        if path.is_empty() {
            return here;
        }
        if let Some((index, rest)) = path.strip_prefix('[').and_then(|p| p.split_once(']')) {
            let item = index.parse().ok().and_then(|i: usize| self.items().get(i));
            return item.map_or(here, |item| item.find(rest, (item.line, item.column)));
        }
        // Names may contain dots, so the longest that fits counts. Of two equal names the second counts.
        let fitting = self.entries().iter().filter_map(|entry| {
            let rest = [entry.name.clone(), snake_case(&entry.name)]
                .iter()
                .find_map(|name| path.strip_prefix(name.as_str()))?;
            let whole = rest.is_empty() || rest.starts_with(['.', '[']);
            whole.then_some((entry, rest))
        });
        fitting
            .min_by_key(|(entry, rest)| (rest.len(), usize::MAX - entry.line))
            .map_or(here, |(entry, rest)| {
                entry.node.find(rest, (entry.line, entry.column))
            })
    }
}

/// The message whose fields are whatever somebody writes.
pub(crate) const STRUCT: &str = "google.protobuf.Struct";

/// The message's name in `@type`.
pub(crate) fn type_of(node: &Node) -> Option<&str> {
    node.text_at(&["@type"])?.rsplit('/').next()
}

/// `cacheDuration` as `cache_duration`.
pub(crate) fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str, scalars: Scalars) -> String {
        parse(text, Some(scalars)).unwrap()[0].to_json()
    }

    #[test]
    fn scalars_mean_what_their_reader_takes_them_for() {
        let table = [
            ("a", "\"a\"", "\"a\""),
            ("'5'", "\"5\"", "\"5\""),
            ("5", "5", "5"),
            ("-5", "-5", "-5"),
            ("1.5", "\"1.5\"", "1.5"),
            ("3000000000", "\"3000000000\"", "3000000000"),
            ("010", "8", "\"010\""),
            ("09", "\"09\"", "\"09\""),
            ("+5", "5", "\"+5\""),
            ("-0x1F", "-31", "\"-0x1F\""),
            ("0x+5", "\"0x+5\"", "\"0x+5\""),
            ("0xffffffff", "\"4294967295\"", "\"0xffffffff\""),
            ("1_000", "\"1_000\"", "\"1_000\""),
            ("! 5", "\"5\"", "\"5\""),
            ("!!str 5", "5", "5"),
            ("true", "true", "true"),
            ("On", "true", "true"),
            ("NO", "false", "false"),
            ("oN", "\"oN\"", "\"oN\""),
            ("'on'", "\"on\"", "\"on\""),
            ("~", "null", "null"),
            ("600s", "\"600s\"", "\"600s\""),
        ];
        for (text, envoy, json) in table {
            let text = format!("[{text}]");
            assert_eq!(one(&text, Scalars::Envoy), format!("[{envoy}]"), "{text}");
            assert_eq!(one(&text, Scalars::Json), format!("[{json}]"), "{text}");
        }
    }

    #[test]
    fn what_envoy_ignores_is_not_there() {
        let text = "{a: 1, !ignore b: &b {x: 2}, c: !ignore 3, d: *b}";
        assert_eq!(one(text, Scalars::Envoy), r#"{"a":1,"c":3,"d":{"x":2}}"#);
    }

    #[test]
    fn what_is_written_in_another_way_means_what_it_means_to_envoy() {
        let node = &parse(
            "{a: 'TRUE', b: 'y', c: '0', d: 1, e: 'on', f: {x: 1}, g: [1, 2], h: null, i: '*', j: 1, j: 2}",
            Some(Scalars::Envoy),
        )
        .unwrap()[0];
        let truths = ["a", "b", "c", "d", "e"].map(|name| node.get(name).unwrap().truth());
        assert_eq!(truths, [Some(true), Some(true), Some(false), None, None]);
        let lengths = ["f", "g", "h", "i", "k"].map(|name| node.items_of(name).len());
        assert_eq!(lengths, [1, 2, 0, 1, 0]);
        assert_eq!(node.get("j").unwrap().to_json(), "2");
    }

    #[test]
    fn a_field_is_found_by_its_path() {
        let text = "providers:\n  a.b:\n    remoteJwks:\n      httpUri: {uri: x}\nrules:\n- match: 1\n- match:\n    prefix: /\n  match: 2\n";
        let node = &parse(text, None).unwrap()[0];
        let table = [
            ("", (1, 1)),
            ("providers", (1, 1)),
            ("providers.a.b", (2, 3)),
            ("providers.a.b.remote_jwks.http_uri.uri", (4, 17)),
            ("providers.a.b.issuer", (2, 3)),
            ("rules[0].match", (6, 3)),
            ("rules[1].match", (9, 3)),
            ("rules[7].match", (5, 1)),
            ("unknown", (1, 1)),
        ];
        for (path, expected) in table {
            assert_eq!(node.locate(path), expected, "{path}");
        }
    }

    #[test]
    fn what_would_not_end_is_refused() {
        let deep = "[".repeat(10_000);
        let bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n".to_owned()
            + &('b'..='i')
                .fold((String::new(), 'a'), |(text, last), name| {
                    let list = format!("*{last},").repeat(10);
                    (format!("{text}{name}: &{name} [{list}]\n"), name)
                })
                .0;
        let long = format!(
            "a: &a {}\nb: [{}]\n",
            "x".repeat(500_000),
            "*a,".repeat(8_000)
        );
        let nested = format!(
            "{}{}{}",
            "[&a ".repeat(90),
            "x".repeat(500_000),
            "]".repeat(90)
        );
        for text in [
            deep.as_str(),
            &bomb,
            &long,
            &nested.replacen("&a", "&b", 1),
            "a: *b",
            "? [a]\n: b",
            "a: [",
            "\t- x: ]",
        ] {
            assert!(parse(text, None).is_err(), "{:.40}", text);
        }
    }
}
