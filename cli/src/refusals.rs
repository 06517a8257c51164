//! All that the filter would refuse in a configuration, one mistake after the other: the filter itself stops at the
//! first.
//!
//! What is refused is taken out of a copy, which is read again. The copy is for nothing else: a configuration of
//! which anything was refused is none.
//!
//! Invariant: what only the copy has, for something was taken out of it, is not told.

use bearer_gate::config::ConfigError;

use crate::document::{Node, Scalars, Yaml, parse, snake_case};
use crate::plugin::Plugin;

/// More are left for the next time.
const MOST: usize = 10;
/// How often a copy is read, with what is not told.
const MOST_READ: usize = 60;

/// How problems begin that a value has by itself, whatever is beside it.
const OF_ITSELF: [&str; 12] = [
    "unknown field",
    "unknown variant",
    "unknown reason",
    "given twice",
    "invalid type",
    "invalid value",
    "must be ",
    "must not be null",
    "must not end",
    "must not have",
    "never matches",
    "is not ",
];
/// Objects whose members others name.
const NAMED: [&[&str]; 4] = [
    &["providers"],
    &["policies"],
    &["requirement_map"],
    &["sign_in", "schemes"],
];
/// Of these each member is looked at by itself.
const APART: [&str; 3] = ["providers", "policies", "requirement_map"];

/// The refusals of a configuration that has this one, with it as the first.
pub(crate) fn all(
    plugin: &Plugin<'_>,
    tree: Option<&Node>,
    first: ConfigError,
) -> Vec<ConfigError> {
    let Some(tree) = tree else {
        return vec![first];
    };
    let mut copy = Copy {
        whole: tree,
        rest: tree.clone(),
        taken: Vec::new(),
    };
    let mut told = vec![first.clone()];
    let mut refused = first;
    for _ in 0..MOST_READ {
        if !copy.take_out(refused.path()) {
            break;
        }
        refused = match plugin.parse_another(&copy.rest) {
            Ok(_) => break,
            Err(refused) => refused,
        };
        if copy.is_of_its_own(&refused) && !told.contains(&refused) {
            told.push(refused.clone());
        }
        if told.len() == MOST {
            break;
        }
    }
    told
}

struct Copy<'d> {
    whole: &'d Node,
    rest: Node,
    /// The paths of what is not in the rest.
    taken: Vec<String>,
}

impl Copy<'_> {
    /// Takes out the field of this path, or the nearest thing above it that is there. Items stay in their places.
    fn take_out(&mut self, path: &str) -> bool {
        let mut path = path;
        loop {
            if path.is_empty() {
                return false;
            }
            if is_rule(path) {
                if self.replace_rule(path) {
                    self.taken.push(path.to_owned());
                    return true;
                }
            } else if !path.ends_with(']') && self.rest.remove_at(path) {
                self.taken.push(path.to_owned());
                return true;
            }
            path = above(path);
        }
    }

    /// Puts a rule in the place of another, so that the others are found where they were.
    fn replace_rule(&mut self, path: &str) -> bool {
        let any = parse("{match: {path: /}}", Some(Scalars::Json));
        let any = any.ok().and_then(|documents| documents.into_iter().next());
        let index = path.trim_start_matches("rules[").trim_end_matches(']');
        let rules = self.rest.get_mut("rules");
        let items = rules.and_then(|rules| match &mut rules.yaml {
            Yaml::List(items) => Some(items),
            _ => None,
        });
        let rule = items.and_then(|items| items.get_mut(index.parse::<usize>().ok()?));
        match (rule, any) {
            (Some(rule), Some(any)) if !self.taken.iter().any(|taken| taken == path) => {
                rule.yaml = any.yaml;
                true
            }
            _ => false,
        }
    }

    /// Whether something would be refused if nothing had been taken out.
    fn is_of_its_own(&self, refused: &ConfigError) -> bool {
        let (path, problem) = (refused.path(), refused.problem());
        let mut taken = self.taken.iter();
        if taken.any(|taken| is_within(taken, path) || is_within(path, taken)) {
            return false;
        }
        if OF_ITSELF.iter().any(|begin| problem.starts_with(begin)) {
            return true;
        }
        let part = self.part(path);
        let is_apart = part.starts_with("rules[") || part.contains('.');
        let matters = |taken: &String| match is_apart {
            true => self.part(taken) == part,
            false => !taken.starts_with("rules["),
        };
        let mut taken = self.taken.iter();
        let may_be_lost = problem.starts_with("unknown ") && self.has_lost_names();
        !may_be_lost && !taken.any(matters)
    }

    /// The part of a configuration that a field is in: what is right or wrong of one hardly is so by another.
    fn part<'p>(&self, path: &'p str) -> &'p str {
        if let Some(end) = path.find(']').filter(|_| path.starts_with("rules[")) {
            return path.get(..=end).unwrap_or(path);
        }
        let top = path.split(['.', '[']).next().unwrap_or(path);
        let member = path.get(top.len() + 1..).unwrap_or_default();
        let names = self.whole.get(top).map_or(&[][..], Node::entries).iter();
        let fitting = names.filter(|entry| is_within(member, &entry.name));
        let longest = fitting.map(|entry| entry.name.len()).max();
        let is_apart = APART.contains(&snake_case(top).as_str());
        match longest.filter(|_| is_apart) {
            Some(length) => path.get(..=top.len() + length).unwrap_or(path),
            None => top,
        }
    }

    /// Whether something that others may name is not in the rest: itself, or the object that it was to be in.
    fn has_lost_names(&self) -> bool {
        let count = |tree: &Node, path: &[&str]| tree.at(path).map_or(0, |it| it.entries().len());
        let mut named = NAMED.iter();
        let is_object = |taken: &String| {
            let name = taken.strip_prefix("sign_in.").unwrap_or(taken);
            !name.contains(['.', '['])
        };
        named.any(|path| count(self.whole, path) != count(&self.rest, path))
            || self.taken.iter().any(is_object)
    }
}

/// Whether a path is that of a rule as a whole.
fn is_rule(path: &str) -> bool {
    path.strip_prefix("rules[")
        .and_then(|rest| rest.find(']').map(|end| end + 1 == rest.len()))
        == Some(true)
}

/// Whether a path is this one, or below it.
fn is_within(path: &str, above: &str) -> bool {
    let rest = path.strip_prefix(above);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

fn above(path: &str) -> &str {
    let end = path.rfind(['.', '[']).unwrap_or_default();
    path.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::document::Entry;
    use crate::plugin::{File, Sort, plugins_of};

    fn told(tree: &Node) -> Vec<String> {
        let plugins = plugins_of(tree);
        let plugin = &plugins[0];
        match plugin.parse() {
            Ok(_) => Vec::new(),
            Err(first) => all(plugin, plugin.tree(), first)
                .iter()
                .map(ToString::to_string)
                .collect(),
        }
    }

    /// Good configurations with many fields.
    fn good() -> Vec<Node> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let files = [
            "envoy/envoy-sign-in.yaml",
            "fuzz/corpus/config/seed-camel.json",
            "fuzz/corpus/config/seed-full.json",
            "fuzz/corpus/config/seed-places.json",
            "fuzz/corpus/config/seed-tree.json",
        ];
        let trees = files.iter().map(|path| {
            let file = File::read_all(&root.join(path)).unwrap().swap_remove(0);
            let plugins = file.plugins();
            assert!(plugins[0].parse().is_ok(), "{path}");
            plugins[0].tree().unwrap().clone()
        });
        trees.collect()
    }

    /// Calls with each way to get something wrong in a part of a tree, once for each.
    fn each_mistake(node: &Node, names_are_fields: bool, found: &mut dyn FnMut(Node)) {
        for yaml in [
            Yaml::Null,
            Yaml::Number(5.into()),
            Yaml::Text("?/".to_owned()),
            Yaml::List(Vec::new()),
            Yaml::Map(Vec::new()),
        ] {
            let mut wrong = node.clone();
            wrong.yaml = yaml;
            found(wrong);
        }
        for (at, entry) in node.entries().iter().enumerate() {
            let mut with = |change: &dyn Fn(&mut Vec<Entry>)| {
                let mut wrong = node.clone();
                if let Yaml::Map(entries) = &mut wrong.yaml {
                    change(entries);
                }
                found(wrong);
            };
            if names_are_fields {
                with(&|entries| {
                    entries.remove(at);
                });
                with(&|entries| entries[at].name.push_str("_x"));
                with(&|entries| entries.push(entries[at].clone()));
            }
            let has_names = ["providers", "policies", "requirement_map", "schemes"];
            let below_are_fields = !has_names.contains(&entry.name.as_str());
            each_mistake(&entry.node, below_are_fields, &mut |below| {
                with(&|entries| entries[at].node = below.clone());
            });
        }
        for (at, item) in node.items().iter().enumerate() {
            each_mistake(item, true, &mut |below| {
                let mut wrong = node.clone();
                if let Yaml::List(items) = &mut wrong.yaml {
                    items[at] = below;
                }
                found(wrong);
            });
        }
    }

    /// What was taken out makes no mistake of what is good.
    #[test]
    fn one_mistake_is_told_once() {
        let mut refused = 0;
        for tree in good() {
            each_mistake(&tree, true, &mut |wrong| {
                if Sort::of(&wrong) != Sort::Alone {
                    return;
                }
                let told = told(&wrong);
                refused += told.len();
                // who names what there is not is told of each time
                let is_named = |it: &&String| it.contains(": unknown ") && !it.contains(" field");
                let is_one_of_names = told.iter().take(1).any(|it| is_named(&it));
                let others = told.iter().skip(1);
                let others = others.filter(|it| !(is_one_of_names && is_named(it)));
                assert_eq!(others.count(), 0, "{told:#?} {}", wrong.to_json());
            });
        }
        assert!(refused > 1000, "{refused}");
    }
}
