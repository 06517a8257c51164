//! Writes a tree as YAML, with each note above its member.

use std::fmt::Write;

use crate::document::{Node, Yaml};
use crate::output::quoted;

/// The width of comments.
const WIDTH: usize = 96;

/// A document in block style.
pub(crate) fn write(node: &Node) -> String {
    let mut yaml = String::new();
    block(node, 0, &mut yaml);
    yaml
}

/// A note as comment lines.
pub(crate) fn comment(note: &str, indent: usize, yaml: &mut String) {
    let mut line = String::new();
    for word in note.split_whitespace() {
        if !line.is_empty() && indent + 3 + line.len() + word.len() > WIDTH {
            put(indent, &format!("# {line}\n"), yaml);
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    put(indent, &format!("# {line}\n"), yaml);
}

fn put(indent: usize, text: &str, yaml: &mut String) {
    // writing to a String does not fail
    let _ = write!(yaml, "{:indent$}{text}", "");
}

fn block(node: &Node, indent: usize, yaml: &mut String) {
    match &node.yaml {
        Yaml::Map(entries) => {
            for entry in entries {
                if let Some(note) = &entry.note {
                    comment(note, indent, yaml);
                }
                put(indent, &format!("{}:", text(&entry.name)), yaml);
                member(&entry.node, indent, yaml);
            }
        }
        Yaml::List(items) => {
            for item in items {
                let mut inner = String::new();
                if is_block(item) {
                    block(item, indent + 2, &mut inner);
                    // the first line that is no comment begins the item
                    let mut begun = false;
                    for line in inner.lines() {
                        let bare = line.trim_start();
                        if begun || bare.starts_with('#') {
                            let _ = writeln!(yaml, "{line}");
                        } else {
                            put(indent, &format!("- {bare}\n"), yaml);
                            begun = true;
                        }
                    }
                } else {
                    put(indent, &format!("- {}\n", scalar(item)), yaml);
                }
            }
        }
        _ => put(indent, &format!("{}\n", scalar(node)), yaml),
    }
}

fn member(node: &Node, indent: usize, yaml: &mut String) {
    if is_block(node) {
        yaml.push('\n');
        let deeper = if matches!(node.yaml, Yaml::List(_)) {
            indent
        } else {
            indent + 2
        };
        block(node, deeper, yaml);
    } else {
        let _ = writeln!(yaml, " {}", scalar(node));
    }
}

fn is_block(node: &Node) -> bool {
    match &node.yaml {
        Yaml::Map(entries) => !entries.is_empty(),
        Yaml::List(items) => !items.is_empty(),
        _ => false,
    }
}

fn scalar(node: &Node) -> String {
    match &node.yaml {
        Yaml::Null => "null".to_owned(),
        Yaml::Bool(value) => value.to_string(),
        Yaml::Number(number) => number.to_string(),
        Yaml::Text(text) => self::text(text),
        Yaml::List(_) => "[]".to_owned(),
        Yaml::Map(_) => "{}".to_owned(),
    }
}

/// Plain if every reader takes it for this text, otherwise quoted as in JSON.
fn text(text: &str) -> String {
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        || (text.starts_with(|c: char| c.is_ascii_digit()) && text.ends_with('s'));
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/_.-:".contains(c);
    let is_word = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"]
        .contains(&text.to_ascii_lowercase().as_str());
    if starts_well && text.chars().all(is_plain) && !text.ends_with(':') && !is_word {
        text.to_owned()
    } else {
        quoted(text)
    }
}

#[cfg(test)]
mod tests {
    use crate::document::{Scalars, parse};

    #[test]
    fn what_is_written_is_read_as_the_same() {
        for text in [
            "a: {b: [1, {c: d, e: [x]}, [], {}], f: null}",
            "[a, 'on', '5', '', 'a: b', 'a #b', \"x\\ny\", ':', '- a', 5s, 'a:', é, '1.5', \"\\u202e\\u009b\\U000e0041\"]",
            "{'on': 1, '': 2, 'a b': [[1, 2], [3]]}",
        ] {
            let node = &parse(text, Some(Scalars::Envoy)).unwrap()[0];
            let written = super::write(node);
            let read = &parse(&written, Some(Scalars::Envoy)).unwrap()[0];
            assert_eq!(read.to_json(), node.to_json(), "{written}");
        }
    }
}
