//! Makes pieces of a configuration that stand on the line of what they come from.

use crate::document::{Entry, Node, Yaml};

/// A value on the line of `at`.
pub(super) fn value(at: &Node, yaml: Yaml) -> Node {
    Node {
        line: at.line,
        column: at.column,
        yaml,
    }
}

pub(super) fn text(at: &Node, text: &str) -> Node {
    value(at, Yaml::Text(text.to_owned()))
}

pub(super) fn yes(at: &Node) -> Node {
    value(at, Yaml::Bool(true))
}

pub(super) fn list(at: &Node, items: Vec<Node>) -> Node {
    value(at, Yaml::List(items))
}

/// An object with these members, each on its own line.
pub(super) fn object<'n>(at: &Node, members: impl IntoIterator<Item = (&'n str, Node)>) -> Node {
    let entries = members.into_iter().map(|(name, node)| Entry {
        name: name.to_owned(),
        line: node.line,
        column: node.column,
        node,
        note: None,
    });
    value(at, Yaml::Map(entries.collect()))
}

/// Puts a member at the end, in place of one of the same name.
pub(super) fn set(object: &mut Node, name: &str, node: Node) {
    object.remove(name);
    if let Yaml::Map(entries) = &mut object.yaml {
        entries.push(Entry {
            name: name.to_owned(),
            line: node.line,
            column: node.column,
            node,
            note: None,
        });
    }
}

/// Adds to the list that is the member of this name, which may be a new one.
pub(super) fn push(object: &mut Node, name: &str, item: Node) {
    if let Some(Yaml::List(items)) = object.get_mut(name).map(|node| &mut node.yaml) {
        items.push(item);
        return;
    }
    let items = list(&item, vec![item.clone()]);
    set(object, name, items);
}

/// Writes something above the member of this name.
pub(super) fn note(object: &mut Node, name: &str, note: &str) {
    if let Yaml::Map(entries) = &mut object.yaml
        && let Some(entry) = entries.iter_mut().find(|entry| entry.name == name)
    {
        entry.note = Some(note.to_owned());
    }
}
