//! Configurations of Envoy and of the plugin that are texts in a `ConfigMap`, each as a file of its own.

use crate::document::{Node, Unreadable, Yaml};
use crate::forms;
use crate::sort::Sort;

/// The texts in the `ConfigMap`s of a file, with what is in them. `text` is the file's.
///
/// # Errors
/// One that is clearly Envoy's is not YAML, nor JSON.
pub(crate) fn texts(documents: &[Node], text: &str) -> Result<Vec<(Entry, Vec<Node>)>, Unreadable> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for document in documents {
        look(document, &lines, &mut found)?;
    }
    Ok(found)
}

fn look(
    document: &Node,
    lines: &[&str],
    found: &mut Vec<(Entry, Vec<Node>)>,
) -> Result<(), Unreadable> {
    if document.text_at(&["kind"]) == Some("List") {
        let mut items = document.items_of("items").iter();
        return items.try_for_each(|item| look(item, lines, found));
    }
    if document.text_at(&["kind"]) != Some("ConfigMap") {
        return Ok(());
    }
    let map = document.text_at(&["metadata", "name"]).unwrap_or_default();
    for entry in document.get("data").map_or(&[][..], Node::entries) {
        let Some(text) = entry.node.text() else {
            continue;
        };
        let place = Place::of(&entry.node, text, lines);
        match forms::read(text) {
            Ok(mut own) if own.iter().any(is_ours) => {
                own.iter_mut().for_each(|node| place.shift(node));
                let key = entry.name.clone();
                let map = map.to_owned();
                found.push((Entry { map, key }, own));
            }
            Err(error) if is_named_so(&entry.name) && text.contains("static_resources") => {
                let (line, column) = place.of_text(error.line, error.column);
                return Err(Unreadable {
                    line,
                    column,
                    problem: format!("{}: {}", entry.name, error.problem),
                });
            }
            Ok(_) | Err(_) => {}
        }
    }
    Ok(())
}

/// Whether a text is said to be YAML or JSON, and no document about it.
fn is_named_so(key: &str) -> bool {
    let ends = [".yaml", ".yml", ".json"];
    ends.iter().any(|end| key.ends_with(end))
}

/// Which entry of which `ConfigMap` a file is.
pub(crate) struct Entry {
    pub map: String,
    pub key: String,
}

/// Whether a document is Envoy's or the plugin's. Many other programs have `admin`, `rules` or
/// `providers` too.
fn is_ours(document: &Node) -> bool {
    let has = |name: &str| document.get(name).is_some();
    match Sort::of(document) {
        Sort::Bootstrap => has("static_resources") || has("dynamic_resources"),
        Sort::Resources => true,
        Sort::Alone => {
            let providers = document.get("providers").map_or(&[][..], Node::entries);
            !providers.is_empty() && (has("rules") || has("requirement_map"))
        }
        Sort::Kubernetes | Sort::Other => false,
    }
}

/// Where a text is in a file.
enum Place {
    /// Its lines are lines of the file, after so many others and so many columns.
    Lines(usize, usize),
    /// It is written in another way, at this line and column.
    At(usize, usize),
}

impl Place {
    fn of(node: &Node, text: &str, lines: &[&str]) -> Self {
        let above = node.line.saturating_sub(1);
        let indent = |line: &str| line.len() - line.trim_start().len();
        let first = text.lines().find(|line| !line.trim().is_empty());
        let in_file = lines.iter().skip(above);
        let first_in_file = in_file.clone().find(|line| !line.trim().is_empty());
        let before = match (first, first_in_file) {
            (Some(first), Some(in_file)) => indent(in_file).saturating_sub(indent(first)),
            _ => 0,
        };
        let is_same = text
            .lines()
            .zip(in_file.map(Some).chain(std::iter::repeat(None)))
            .all(|(line, in_file)| {
                let bare = in_file.map(|line| line.get(before..).unwrap_or_default());
                bare.is_some_and(|bare| bare.trim_end() == line.trim_end())
            });
        match is_same {
            true => Self::Lines(above, before),
            false => Self::At(node.line, node.column),
        }
    }

    fn of_text(&self, line: usize, column: usize) -> (usize, usize) {
        match *self {
            Self::Lines(above, before) => (line + above, column + before),
            Self::At(line, column) => (line, column),
        }
    }

    fn shift(&self, node: &mut Node) {
        (node.line, node.column) = self.of_text(node.line, node.column);
        match &mut node.yaml {
            Yaml::Map(entries) => {
                for entry in entries {
                    (entry.line, entry.column) = self.of_text(entry.line, entry.column);
                    self.shift(&mut entry.node);
                }
            }
            Yaml::List(items) => items.iter_mut().for_each(|item| self.shift(item)),
            _ => {}
        }
    }
}
