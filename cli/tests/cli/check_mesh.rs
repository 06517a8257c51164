//! `check` of resources of Istio and Envoy Gateway: each finding in a minimal file, and its good twin.
//!
//! No control plane runs here: what they make of a field is from their APIs and their source.

#[macro_use]
mod macros;

mod added;
mod credentials;
mod extensions;
mod gateway;
mod istio;
mod istio_clusters;
mod istio_neighbours;
mod neighbours;
mod patches;
mod pods;
mod routes;
mod services;
mod waypoints;
mod ways;

use serde_json::Value;

use super::{Files, root, run};

/// A finding, and what is as it should be.
struct Row {
    kind: &'static str,
    level: &'static str,
    /// What makes of the good file the one with the finding, and with nothing else.
    bad: Change,
    /// A part of the line where it is found.
    at: &'static str,
    /// A part of the reason, or of what to write.
    says: &'static str,
    /// Another change, with which nothing is found.
    good: Change,
}

/// Texts and what stands for them. In the place of an empty text it is added at the end.
type Change = &'static [(&'static str, &'static str)];

const ERROR: &str = "error";
const WARNING: &str = "warning";

fn with(good: &str, change: Change) -> String {
    change.iter().fold(good.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        match from.is_empty() {
            true => format!("{text}---\n{to}"),
            false => text.replacen(from, to, 1),
        }
    })
}

/// What is found, and the exit code.
fn findings(text: &str) -> (i32, Vec<Value>) {
    let files = Files::in_a_directory();
    let ran = run(&["check", "--json", &files.with("mesh.yaml", text)]);
    let report = ran.json();
    (ran.code, report[0]["findings"].as_array().unwrap().clone())
}

fn compare(good: &str, table: &[Row]) {
    assert_eq!(findings(good), (0, vec![]));
    let mut wrong = Vec::new();
    for row in table {
        let text = with(good, row.bad);
        let (code, found) = findings(&text);
        let is_it = |found: &Value| {
            let line = usize::try_from(found["line"].as_u64().unwrap()).unwrap();
            let line = text.lines().nth(line - 1).unwrap_or_default();
            let words = format!("{} {} {}", found["path"], found["text"], found["instead"]);
            found["kind"] == row.kind
                && found["severity"] == row.level
                && !found["instead"].as_str().unwrap().is_empty()
                && line.contains(row.at)
                && words.contains(row.says)
        };
        let is_error = row.level == ERROR;
        if code != i32::from(is_error) || found.len() != 1 || !found.iter().all(is_it) {
            let (kind, bad) = (row.kind, row.bad);
            wrong.push(format!("{kind} of {bad:?}: {code} {found:#?}"));
        }
        let twin = findings(&with(good, row.good));
        if twin != (0, vec![]) {
            let (kind, good) = (row.kind, row.good);
            wrong.push(format!("twin of {kind}, {good:?}: {twin:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_deployed_is_good_with_and_without_its_neighbours() {
    let table: [&[&str]; 4] = [
        &["deploy/istio/wasm-plugin.yaml"],
        &[
            "deploy/istio/wasm-plugin.yaml",
            "deploy/istio/issuer.yaml",
            "deploy/istio/kustomization.yaml",
        ],
        &["deploy/envoy-gateway/extension-policy.yaml"],
        &[
            "deploy/envoy-gateway/extension-policy.yaml",
            "deploy/envoy-gateway/issuer.yaml",
            "deploy/envoy-gateway/kustomization.yaml",
        ],
    ];
    for files in table {
        let arguments: Vec<&str> = ["check", "--strict"].iter().chain(files).copied().collect();
        let ran = run(&arguments);
        assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
        assert!(ran.out.contains("configurations: 1"), "{}", ran.out);
    }
}

#[test]
fn what_stands_in_one_file_is_found_by_another() {
    let shipped = |name: &str| std::fs::read_to_string(root().join("deploy").join(name)).unwrap();
    let files = Files::in_a_directory();
    for (plugin, neighbour, from, to, kind) in [
        (
            "istio/wasm-plugin.yaml",
            "istio/issuer.yaml",
            "mode: SIMPLE",
            "mode: DISABLE",
            "cluster-without-tls",
        ),
        (
            "envoy-gateway/extension-policy.yaml",
            "envoy-gateway/issuer.yaml",
            "name: issuer\n        type",
            "name: idp\n        type",
            "cluster-missing",
        ),
    ] {
        let changed = shipped(neighbour).replacen(from, to, 1);
        assert_ne!(changed, shipped(neighbour));
        let paths = [
            files.with("plugin.yaml", &shipped(plugin)),
            files.with("neighbour.yaml", &changed),
        ];
        let ran = run(&["check", "--json", &paths[0], &paths[1]]);
        assert_eq!(ran.code, 1, "{}", ran.out);
        assert!(ran.out.contains(kind), "{}", ran.out);
    }
}

#[test]
fn a_plugin_without_a_configuration_is_no_file_without_one() {
    for text in [
        "apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\nmetadata: {name: bearer-gate}\nspec: {url: 'oci://r.example/a:1'}\n",
        "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: EnvoyExtensionPolicy\nspec: {wasm: [{name: bearer-gate}]}\n",
    ] {
        let (code, found) = findings(text);
        assert_eq!(code, 1, "{found:?}");
        let mut kinds = found.iter().map(|finding| &finding["kind"]);
        assert!(kinds.any(|kind| kind == "configuration"), "{found:?}");
    }
    let files = Files::in_a_directory();
    let other = files.with(
        "other.yaml",
        "apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\nmetadata: {name: other}\nspec: {url: 'oci://r.example/a:1'}\n",
    );
    assert_eq!(run(&["check", &other]).code, 2);
}
