//! Reads a message as Envoy reads it: the JSON of protobuf, with the liberties that its parser in
//! C++ takes. `"true"` is true, `"5"` is 5, one value is a list of one, `null` is nothing.
//!
//! Invariant: what comes out means to the filter what the text means to Envoy. What is not read
//! with certainty is a problem, also where Envoy would read it.

use crate::document::{Entry, Node, Yaml};

use super::message::{FieldKind, Message};

/// Something of a message that was not read.
pub(super) struct Problem {
    pub line: usize,
    pub path: String,
    pub text: String,
}

const GIVEN_TWICE: &str =
    "is given twice, in one spelling or in two: Envoy takes one of them, or both";

/// A message as the filter takes it, with names in lower_snake_case, and what was not read.
///
/// What is not read is left as written. Fields that the filter does not have are left out.
pub(super) fn read(node: &Node, message: &Message) -> (Node, Vec<Problem>) {
    let mut reader = Reader::default();
    let yaml = reader.message(node, message, "");
    let (line, column) = (node.line, node.column);
    (Node { line, column, yaml }, reader.0)
}

#[derive(Default)]
struct Reader(Vec<Problem>);

impl Reader {
    fn problem(&mut self, node: &Node, path: &str, text: impl Into<String>) {
        self.0.push(Problem {
            line: node.line,
            path: path.to_owned(),
            text: text.into(),
        });
    }

    /// What stands in local keys may be a secret, so no message shows it.
    fn unknown_field(&mut self, entry: &Entry, path: &str) {
        let node = name_of(entry);
        if path.ends_with(".local_jwks") {
            let text = "has a field that Envoy does not have, which is left out";
            self.problem(&node, path, text);
        } else {
            let text = "is no field of the filter, and is left out";
            self.problem(&node, &below(path, &entry.name), text);
        }
    }

    fn message(&mut self, node: &Node, message: &Message, path: &str) -> Yaml {
        let Yaml::Map(written) = &node.yaml else {
            self.problem(node, path, "is not an object");
            return node.yaml.clone();
        };
        let mut read: Vec<Entry> = Vec::new();
        for entry in written {
            let name = entry.name.as_str();
            let is_field = |field: &str| name == field || name == camel_case(field);
            let Some((field, kind)) = message.0.iter().find(|(field, _)| is_field(field)) else {
                // of the message as a whole
                if name != "@type" || !path.is_empty() {
                    self.unknown_field(entry, path);
                }
                continue;
            };
            let path = below(path, field);
            if read.iter().any(|other| other.name == *field) {
                self.problem(&name_of(entry), &path, GIVEN_TWICE);
                continue;
            }
            if let Some(yaml) = self.value(&entry.node, kind, &path) {
                read.push(Entry {
                    name: (*field).to_owned(),
                    node: Node {
                        yaml,
                        ..at(&entry.node)
                    },
                    note: None,
                    ..*entry
                });
            }
        }
        Yaml::Map(read)
    }

    /// `None` where it is as if the field was left out.
    fn value(&mut self, node: &Node, kind: &FieldKind, path: &str) -> Option<Yaml> {
        if matches!(node.yaml, Yaml::Null) {
            return None;
        }
        let expected = match kind {
            FieldKind::Message(message) => return Some(self.message(node, message, path)),
            FieldKind::List(kind) => return self.list(node, kind, path),
            FieldKind::Map(message) => return self.map(node, message, path),
            FieldKind::Needless => return None,
            FieldKind::Unread => {
                let is_nothing = matches!(&node.yaml, Yaml::List(items) if items.is_empty());
                return (!is_nothing).then(|| node.yaml.clone());
            }
            FieldKind::Text if node.text() == Some("") => return None,
            FieldKind::Text | FieldKind::Choice => match &node.yaml {
                Yaml::Text(text) => return Some(Yaml::Text(text.clone())),
                _ => "a text (put it in quotes)",
            },
            FieldKind::Bool => match boolean(node) {
                Some(value) => return Some(Yaml::Bool(value)),
                None => "true or false",
            },
            FieldKind::Whole => match integer(node).and_then(|number| u32::try_from(number).ok()) {
                Some(number) => return Some(Yaml::Number(number.into())),
                None => "a whole number from 0, in digits",
            },
            FieldKind::Signed => match integer(node) {
                // A Struct has doubles only.
                Some(number) => {
                    return Some(match i32::try_from(number) {
                        Ok(number) => Yaml::Number(number.into()),
                        Err(_) => Yaml::Text(number.to_string()),
                    });
                }
                None => "a whole number, in digits",
            },
            FieldKind::Duration => match duration(node) {
                Some(text) => return Some(Yaml::Text(text)),
                None => "a duration such as \"5s\" or \"1.5s\"",
            },
        };
        self.problem(node, path, format!("is not {expected}"));
        Some(node.yaml.clone())
    }

    /// Lists within lists are one list to Envoy, and what is no list is a list of one.
    fn list(&mut self, node: &Node, kind: &FieldKind, path: &str) -> Option<Yaml> {
        let mut read = Vec::new();
        let mut left = vec![node];
        while let Some(item) = left.pop() {
            if let Yaml::List(items) = &item.yaml {
                left.extend(items.iter().rev());
                continue;
            }
            let path = format!("{path}[{}]", read.len());
            let yaml = self.value(item, kind, &path).unwrap_or_else(|| {
                self.problem(item, &path, "is null: Envoy takes it for an empty value");
                Yaml::Null
            });
            read.push(Node { yaml, ..at(item) });
        }
        (!read.is_empty()).then_some(Yaml::List(read))
    }

    fn map(&mut self, node: &Node, message: &Message, path: &str) -> Option<Yaml> {
        let Yaml::Map(written) = &node.yaml else {
            self.problem(node, path, "is not an object of named entries");
            return Some(node.yaml.clone());
        };
        let mut read: Vec<Entry> = Vec::new();
        for entry in written {
            let path = below(path, &entry.name);
            if read.iter().any(|other| other.name == entry.name) {
                self.problem(&name_of(entry), &path, GIVEN_TWICE);
                continue;
            }
            let yaml = if matches!(entry.node.yaml, Yaml::Null) {
                self.problem(
                    &name_of(entry),
                    &path,
                    "is null: Envoy takes it for an empty value",
                );
                Yaml::Null
            } else {
                self.message(&entry.node, message, &path)
            };
            read.push(Entry {
                name: entry.name.clone(),
                node: Node {
                    yaml,
                    ..at(&entry.node)
                },
                note: None,
                ..*entry
            });
        }
        (!read.is_empty()).then_some(Yaml::Map(read))
    }
}

fn at(node: &Node) -> Node {
    Node {
        line: node.line,
        column: node.column,
        yaml: Yaml::Null,
    }
}

fn name_of(entry: &Entry) -> Node {
    Node {
        line: entry.line,
        column: entry.column,
        yaml: Yaml::Null,
    }
}

fn below(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    }
}

/// A name in lower_snake_case as protobuf's JSON has it.
pub(super) fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |camel, word| {
        let (head, tail) = word.split_at_checked(1).unwrap_or((word, ""));
        camel + &head.to_ascii_uppercase() + tail
    })
}

/// A text is read as Abseil's `SimpleAtob` does.
fn boolean(node: &Node) -> Option<bool> {
    match &node.yaml {
        Yaml::Bool(value) => Some(*value),
        Yaml::Text(text) => match text.to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "1" => Some(true),
            "false" | "f" | "no" | "n" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// A whole number in a spelling that no reader takes for octal, and `5.0` for 5.
fn integer(node: &Node) -> Option<i64> {
    match &node.yaml {
        Yaml::Number(number) => number.as_i64().or_else(|| {
            let double = number.as_f64()?;
            let is_exact = double.fract() == 0.0 && double.abs() <= 9_007_199_254_740_992.0;
            is_exact.then_some(double as i64)
        }),
        Yaml::Text(text) => {
            let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
            let is_zero = !fraction.is_empty() && fraction.bytes().all(|digit| digit == b'0');
            let number = whole.parse().ok()?;
            let is_plain = i64::to_string(&number) == whole;
            (is_zero && is_plain).then_some(number)
        }
        _ => None,
    }
}

/// From its text or the fields of the message; the shortest text of it.
fn duration(node: &Node) -> Option<String> {
    let (seconds, nanos) = match &node.yaml {
        Yaml::Text(text) => {
            let number = text.strip_suffix('s')?;
            let (seconds, fraction) = number.split_once('.').unwrap_or((number, "0"));
            let digits =
                |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            if !digits(seconds) || !digits(fraction) || fraction.len() > 9 {
                return None;
            }
            (seconds.parse::<u64>().ok()?, format!("{fraction:0<9}"))
        }
        Yaml::Map(entries) => {
            let (mut seconds, mut nanos) = (None, None);
            for entry in entries {
                let part = match entry.name.as_str() {
                    "seconds" => &mut seconds,
                    "nanos" => &mut nanos,
                    _ => return None,
                };
                let number = u64::try_from(integer(&entry.node)?).ok()?;
                if part.replace(number).is_some() {
                    return None;
                }
            }
            let nanos = nanos.unwrap_or_default();
            if nanos >= 1_000_000_000 {
                return None;
            }
            (seconds.unwrap_or_default(), format!("{nanos:09}"))
        }
        _ => return None,
    };
    Some(match nanos.trim_end_matches('0') {
        "" => format!("{seconds}s"),
        fraction => format!("{seconds}.{fraction}s"),
    })
}
