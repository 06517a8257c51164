//! What the new configuration goes into: Envoy's filter, around it.

use super::tree;
use crate::document::{Node, Yaml};

/// The filter as an entry of `http_filters`, with the configuration in its place.
pub(super) fn filter(config: &Node) -> Node {
    let at = tree::object(config, []);
    let text = |text: &str| tree::text(&at, text);
    let object = |members: Vec<(&str, Node)>| tree::object(&at, members);
    let typed = |name: &str| text(&format!("type.googleapis.com/{name}"));
    let file = object(vec![("filename", text("/etc/envoy/bearer_gate.wasm"))]);
    let mut vm = object(vec![
        ("vm_id", text("bearer-gate")),
        ("runtime", text("envoy.wasm.runtime.v8")),
        ("code", object(vec![("local", file)])),
    ]);
    let names = variables(config);
    if !names.is_empty() {
        let keys = names.iter().map(|name| text(name)).collect();
        let keys = object(vec![("host_env_keys", tree::list(&at, keys))]);
        tree::set(&mut vm, "environment_variables", keys);
    }
    tree::note(&mut vm, "code", "Where the module is.");
    let interval = object(vec![("base_interval", text("0.05s"))]);
    let plugin = object(vec![
        ("name", text("bearer-gate")),
        ("vm_config", vm),
        ("failure_policy", text("FAIL_RELOAD")),
        ("reload_config", object(vec![("backoff", interval)])),
        (
            "configuration",
            object(vec![
                ("@type", typed("google.protobuf.Struct")),
                ("value", config.clone()),
            ]),
        ),
    ]);
    let wasm = object(vec![
        ("@type", typed("envoy.extensions.filters.http.wasm.v3.Wasm")),
        ("config", plugin),
    ]);
    let filter = object(vec![
        ("name", text("envoy.filters.http.wasm")),
        ("typed_config", wasm),
    ]);
    tree::list(&at, vec![filter])
}

/// The environment variables that a configuration names, each once.
pub(super) fn variables(config: &Node) -> Vec<String> {
    let mut names = Vec::new();
    collect(config, &mut names);
    names.sort();
    names.dedup();
    names
}

fn collect(node: &Node, names: &mut Vec<String>) {
    for entry in node.entries() {
        match (&entry.node.yaml, entry.name.as_str()) {
            (Yaml::Text(name), "environment_variable") => names.push(name.clone()),
            _ => collect(&entry.node, names),
        }
    }
    for item in node.items() {
        collect(item, names);
    }
}
