//! What a file of Envoy says twice, or where Envoy does not read it.

use crate::document::{Node, STRUCT, snake_case, type_of};
use crate::finding::{Finding, Kind, Spot};
use crate::plugin::{File, Plugin, Sort};

/// Fields whose members have names of their own, which are no two spellings of one field.
const MAPS: [&str; 7] = [
    "policies",
    "providers",
    "requirement_map",
    "typed_config_per_route",
    "typed_extension_protocol_options",
    "typed_filter_metadata",
    "typed_per_filter_config",
];

/// Looks at each file of Envoy.
pub(crate) fn look_at(files: &[File], plugins: &[Plugin<'_>], findings: &mut Vec<Finding>) {
    for (at, file) in files.iter().enumerate() {
        let is_of_envoy =
            |document: &&Node| matches!(Sort::of(document), Sort::Bootstrap | Sort::Resources);
        for document in file.documents.iter().filter(is_of_envoy) {
            let mut look = Look {
                file: at,
                plugins,
                findings: &mut *findings,
            };
            look.at(document, Names::Fields);
        }
        let mut documents = file.documents.iter();
        if documents.clone().any(is_read_by_envoy) {
            documents.next();
            for document in documents {
                let spot = Spot {
                    file: at,
                    line: document.line,
                    column: document.column,
                };
                findings.push(
                    Finding::error(
                        Kind::DocumentUnread,
                        spot,
                        "",
                        "is another document of the file: Envoy runs the first one only, whatever is here",
                    )
                    .write("one document, or another file"),
                );
            }
        }
    }
}

/// Whether a document is one of a file that Envoy itself reads: with which it starts, or by xDS.
fn is_read_by_envoy(document: &Node) -> bool {
    match Sort::of(document) {
        Sort::Bootstrap => true,
        Sort::Resources => document.get("resources").is_some(),
        Sort::Kubernetes | Sort::Alone | Sort::Other => false,
    }
}

/// What the names of members are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Names {
    /// Fields, with two spellings.
    Fields,
    /// The author's own, and fields below.
    OfMap,
    /// The author's own at each depth, as of a Struct.
    Free,
}

struct Look<'a, 'd> {
    file: usize,
    plugins: &'a [Plugin<'d>],
    findings: &'a mut Vec<Finding>,
}

impl Look<'_, '_> {
    fn at(&mut self, node: &Node, names: Names) {
        // the filter itself refuses what it is given twice
        let is_ours =
            |plugin: &Plugin<'_>| plugin.tree().is_some_and(|tree| std::ptr::eq(tree, node));
        if self.plugins.iter().any(is_ours) {
            return;
        }
        for (index, entry) in node.entries().iter().enumerate() {
            let mut earlier = node.entries().iter().take(index);
            let is_same = |other: &str| other == entry.name;
            let is_spelled_so = |other: &str| {
                names == Names::Fields && snake_case(other) == snake_case(&entry.name)
            };
            if let Some(other) =
                earlier.rfind(|other| is_same(&other.name) || is_spelled_so(&other.name))
            {
                let line = other.line;
                let text = match is_same(&other.name) {
                    true => format!(
                        "is given twice, in line {line} too: Envoy takes the last one, and says nothing"
                    ),
                    false => format!(
                        "is given twice, in line {line} as {}: nobody knows which one Envoy takes",
                        other.name
                    ),
                };
                let spot = Spot {
                    file: self.file,
                    line: entry.line,
                    column: entry.column,
                };
                self.findings.push(
                    Finding::error(Kind::FieldTwice, spot, &entry.name, text)
                        .write(format!("{} once", entry.name)),
                );
            }
            let below = match names {
                Names::Free => Names::Free,
                _ if type_of(node) == Some(STRUCT) => Names::Free,
                Names::Fields if snake_case(&entry.name) == "filter_metadata" => Names::Free,
                Names::Fields if MAPS.contains(&snake_case(&entry.name).as_str()) => Names::OfMap,
                _ => Names::Fields,
            };
            self.at(&entry.node, below);
        }
        for item in node.items() {
            self.at(item, names);
        }
    }
}
