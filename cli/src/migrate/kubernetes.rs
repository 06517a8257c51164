//! Policies of Istio and of Envoy Gateway, in files of Kubernetes resources.
//!
//! Invariant: a kind that is not read is named.

use super::oidc::Oidc;
use super::{Change, ChangeKind, tree, wrapper};
use crate::document::{Node, Yaml};

/// Kinds that say who may do what.
const READ: [(&str, &str); 3] = [
    ("RequestAuthentication", "security.istio.io/"),
    ("AuthorizationPolicy", "security.istio.io/"),
    ("SecurityPolicy", "gateway.envoyproxy.io/"),
];
/// What jwt_authn tells other filters, and what Istio's routes read of it.
const TOLD: [&str; 2] = ["@request.auth.claims", "envoy.filters.http.jwt_authn"];

/// A resource that is read.
pub(super) struct Resource {
    pub kind: &'static str,
    pub name: String,
    /// Empty where it is not written.
    pub namespace: String,
    pub node: Node,
}

/// What is in the files.
#[derive(Default)]
pub(super) struct Resources {
    pub read: Vec<Resource>,
    /// What is not read, and what is told of that.
    pub others: Vec<Node>,
    pub changes: Vec<Change>,
}

/// The resources of the files; `None` if none of them is one that is read.
pub(super) fn read(documents: &[Node]) -> Option<Resources> {
    let mut resources = Resources::default();
    for document in documents {
        resources.document(document);
    }
    (!resources.read.is_empty()).then_some(resources)
}

impl Resources {
    fn document(&mut self, document: &Node) {
        let kind = document.text_at(&["kind"]).unwrap_or_default();
        if kind == "List" {
            for item in document.items_of("items") {
                self.document(item);
            }
            return;
        }
        let text = |name| document.text_at(&["metadata", name]).unwrap_or_default();
        let api = document.text_at(&["api_version"]).unwrap_or_default();
        let mut known = READ.iter();
        if let Some((kind, _)) = known.find(|(known, of)| *known == kind && api.starts_with(of)) {
            self.read.push(Resource {
                kind,
                name: text("name").to_owned(),
                namespace: text("namespace").to_owned(),
                node: document.clone(),
            });
            return;
        }
        self.others.push(document.clone());
        let mut readers = Vec::new();
        find_readers(document, &mut readers);
        for line in &readers {
            self.changes.push(Change {
                line: *line,
                path: kind.to_owned(),
                text: "reads claims of what jwt_authn tells, of which there is nothing now: see to it by hand".to_owned(),
                kind: ChangeKind::Open,
            });
        }
        if readers.is_empty() {
            let what = if kind.is_empty() { "a document" } else { kind };
            self.changes.push(Change {
                line: document.line,
                path: what.to_owned(),
                text: "is not read here".to_owned(),
                kind: ChangeKind::LeftOut,
            });
        }
    }
}

fn find_readers(node: &Node, lines: &mut Vec<usize>) {
    let is_told = |text: &str| TOLD.iter().any(|told| text.contains(told));
    if node.text().is_some_and(is_told) {
        lines.push(node.line);
    }
    for entry in node.entries() {
        if is_told(&entry.name) {
            lines.push(entry.line);
        }
        find_readers(&entry.node, lines);
    }
    for item in node.items() {
        find_readers(item, lines);
    }
}

/// A configuration, the resource that it goes into, and what changes.
pub(super) struct Converted {
    pub node: Node,
    /// People who sign in, who are not in it yet.
    pub oidc: Option<Oidc>,
    /// The resource, without the configuration.
    pub resource: Node,
    pub changes: Vec<Change>,
    pub always: Vec<&'static str>,
    pub from: &'static str,
}

/// The resource with the configuration in its place.
pub(super) fn filled(resource: &Node, config: &Node) -> Node {
    let mut filled = resource.clone();
    let Some(spec) = filled.get_mut("spec") else {
        return filled;
    };
    match spec.get_mut("wasm").map(|node| &mut node.yaml) {
        Some(Yaml::List(filters)) => {
            let names = wrapper::variables(config);
            for filter in filters {
                if !names.is_empty() {
                    let keys = names.iter().map(|name| tree::text(config, name));
                    let keys = tree::list(config, keys.collect());
                    tree::set(filter, "env", tree::object(config, [("hostKeys", keys)]));
                }
                tree::set(filter, "config", config.clone());
            }
        }
        _ => tree::set(spec, "pluginConfig", config.clone()),
    }
    filled
}
