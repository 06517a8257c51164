//! What a document is: Envoy's, a resource of Kubernetes, the plugin's configuration, or something else.

use bearer_gate::config::nearest;

use crate::document::{Node, snake_case, type_of};

/// The filter that runs plugins.
pub(crate) const WASM: &str = "envoy.extensions.filters.http.wasm.v3.Wasm";

/// All top-level fields of a configuration.
const FIELDS: [&str; 17] = [
    "providers",
    "rules",
    "requirement_map",
    "policies",
    "bypass_cors_preflight",
    "route_metadata",
    "unmatched",
    "realm",
    "max_waiting",
    "errors",
    "strip_failure_response",
    "protected_resource",
    "filter_state",
    "sign_in",
    "shared_store",
    "filter_state_rules",
    "stat_prefix",
];

/// What a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    /// An Envoy's.
    Bootstrap,
    /// What xDS brings to Envoy, or a fragment of Envoy's configuration.
    Resources,
    Kubernetes,
    /// The plugin's configuration by itself.
    Alone,
    /// Nothing of these, as a file of Docker Compose.
    Other,
}

impl Sort {
    pub(crate) fn of(document: &Node) -> Self {
        let has = |names: &[&str]| names.iter().any(|name| document.get(name).is_some());
        if has(&["static_resources", "dynamic_resources", "admin"]) {
            Self::Bootstrap
        } else if has(&["kind"]) {
            Self::Kubernetes
        } else if has(&["@type", "resources"]) || is_fragment(document) {
            Self::Resources
        } else if is_of_others(document) {
            Self::Other
        } else {
            Self::Alone
        }
    }
}

/// Whether a document is clearly not the plugin's configuration: it has members, and none of their
/// names is a field of it or nearly one.
fn is_of_others(document: &Node) -> bool {
    let is_ours = |name: &str| nearest(&snake_case(name), &mut FIELDS.iter().copied()).is_some();
    let entries = document.entries();
    !entries.is_empty() && !entries.iter().any(|entry| is_ours(&entry.name))
}

/// Whether a document without a type is a fragment of Envoy's.
fn is_fragment(node: &Node) -> bool {
    let names = ["http_filters", "filter_chains", "virtual_hosts"];
    names.iter().any(|name| node.get(name).is_some())
        || message(node, WASM).is_some()
        || node.entries().iter().any(|entry| is_fragment(&entry.node))
        || node.items().iter().any(is_fragment)
}

/// The fields of a message of this type, packed as itself or as a TypedStruct.
pub(crate) fn message<'d>(node: &'d Node, name: &str) -> Option<&'d Node> {
    if type_of(node) == Some(name) {
        return Some(node);
    }
    let url = node.text_at(&["type_url"])?;
    let is_named = url.rsplit('/').next() == Some(name);
    node.get("value").filter(|_| is_named)
}

#[cfg(test)]
mod tests {
    use super::{FIELDS, Sort};
    use crate::document::parse;

    #[test]
    fn the_fields_are_those_of_the_schema() {
        let schema = bearer_gate::config::schema();
        let schema = serde_json::to_value(schema).unwrap();
        let known = schema["properties"].as_object().unwrap();
        for name in known.keys() {
            assert!(FIELDS.contains(&name.as_str()), "{name}");
        }
    }

    #[test]
    fn what_a_document_is() {
        for (text, sort) in [
            ("services: {a: {image: b}}\nvolumes: {}", Sort::Other),
            ("name: demo\nservices: {}", Sort::Other),
            ("on: push\njobs: {}", Sort::Other),
            ("global: {scrape_interval: 5s}", Sort::Other),
            ("rules: []", Sort::Alone),
            ("rule: []", Sort::Alone),
            ("provider: {}", Sort::Alone),
            ("signIn: {}", Sort::Alone),
            ("services: {}\nrules: []", Sort::Alone),
            ("{}", Sort::Alone),
            ("[]", Sort::Alone),
            ("kind: Service", Sort::Kubernetes),
            ("static_resources: {}", Sort::Bootstrap),
        ] {
            assert_eq!(Sort::of(&parse(text, None).unwrap()[0]), sort, "{text}");
        }
    }
}
