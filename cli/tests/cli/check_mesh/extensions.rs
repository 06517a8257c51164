//! `check` of a `TrafficExtension`, which runs plugins in the place of a `WasmPlugin`, or Lua beside one.

use super::{ERROR, Row, WARNING, compare, istio};
use crate::{Files, run};

/// The filter of [`istio::GOOD`], in a `TrafficExtension`.
fn good() -> String {
    let text = istio::GOOD.replace("kind: WasmPlugin", "kind: TrafficExtension");
    let (head, rest) = text.split_once("  url:").unwrap();
    let (plugin, others) = rest.split_once("---\n").unwrap();
    let plugin = format!("  url:{plugin}");
    let (phase, wasm): (Vec<&str>, Vec<&str>) =
        plugin.lines().partition(|line| line.starts_with("  phase"));
    let wasm: Vec<String> = wasm.iter().map(|line| format!("  {line}")).collect();
    format!(
        "{head}{}\n  wasm:\n{}\n---\n{others}",
        phase.join("\n"),
        wasm.join("\n")
    )
}

const FAIL: &str = "failStrategy: FAIL_RELOAD";
const CLAIMS: (&str, &str) = (
    "audiences: [a]",
    "audiences: [a]\n        claim_to_headers: [{header_name: x-user, claim_name: sub}]",
);

#[test]
fn what_an_extension_says() {
    compare(
        &good(),
        &[
            Row {
                kind: "failure-policy",
                level: ERROR,
                bad: &[(FAIL, "failStrategy: FAIL_OPEN")],
                at: "FAIL_OPEN",
                says: "spec.wasm.failStrategy",
                good: &[],
            },
            Row {
                kind: "unknown-field",
                level: ERROR,
                bad: &[("  wasm:\n", "  wasm:\n    plugin_name: gate\n")],
                at: "plugin_name",
                says: "pluginName",
                good: &[("  wasm:\n", "  wasm:\n    pluginName: gate\n")],
            },
            Row {
                kind: "unknown-field",
                level: ERROR,
                bad: &[("  wasm:\n", "  failStrategy: FAIL_RELOAD\n  wasm:\n")],
                at: "failStrategy",
                says: "is no field there",
                good: &[],
            },
            Row {
                kind: "module-unverified",
                level: WARNING,
                bad: &[("bearer-gate:0.1.0", "bearer-gate:latest")],
                at: "latest",
                says: "spec.wasm.url",
                good: &[],
            },
            Row {
                kind: "phase",
                level: WARNING,
                bad: &[("phase: AUTHN", "phase: STATS")],
                at: "STATS",
                says: "phase: AUTHN",
                good: &[],
            },
            Row {
                kind: "cluster-without-tls",
                level: ERROR,
                bad: &[("mode: SIMPLE", "mode: DISABLE")],
                at: "DISABLE",
                says: "tls",
                good: &[],
            },
        ],
    );
}

/// An extension that is Lua, with this phase and this call on a request's headers.
macro_rules! lua {
    ($phase:literal, $call:literal) => {
        (
            "",
            concat!(
                "apiVersion: extensions.istio.io/v1alpha1\nkind: TrafficExtension\nmetadata: {name: script, namespace: edge}\nspec:\n  selector: {matchLabels: {istio: ingressgateway}}\n  ",
                $phase,
                "\n  lua:\n    inlineCode: |\n      function envoy_on_request(handle)\n        handle:headers()",
                $call,
                "\n      end\n"
            ),
        )
    };
}

#[test]
fn lua_beside_the_filter() {
    compare(
        istio::GOOD,
        &[
            Row {
                kind: "filter-order",
                level: WARNING,
                bad: &[lua!("phase: AUTHN", ":get('x')")],
                at: "inlineCode",
                says: "may run before the filter",
                good: &[lua!("phase: AUTHZ", ":get('x')")],
            },
            Row {
                kind: "filter-order",
                level: WARNING,
                bad: &[lua!("phase: AUTHN\n  priority: 5", ":get('x')")],
                at: "inlineCode",
                says: "priority",
                good: &[lua!("phase: AUTHN\n  priority: -1", ":get('x')")],
            },
            Row {
                kind: "claim-header-set",
                level: WARNING,
                bad: &[CLAIMS, lua!("phase: AUTHZ", ":replace('x-user', 'root')")],
                at: "envoy_on_request",
                says: "x-user",
                good: &[CLAIMS, lua!("phase: AUTHZ", ":replace('x-other', 'root')")],
            },
            Row {
                kind: "claim-header-set",
                level: WARNING,
                bad: &[CLAIMS, lua!("phase: STATS", ":add(name, 'root')")],
                at: "envoy_on_request",
                says: "computes",
                good: &[lua!("phase: STATS", ":add(name, 'root')")],
            },
        ],
    );
}

/// Another plugin shares the filter's data, whichever resource runs it.
#[test]
fn another_plugin_by_an_extension() {
    compare(
        istio::GOOD,
        &[Row {
            kind: "vm-id-shared",
            level: WARNING,
            bad: &[(
                "",
                "apiVersion: extensions.istio.io/v1alpha1\nkind: TrafficExtension\nmetadata: {name: other, namespace: edge}\nspec:\n  selector: {matchLabels: {istio: ingressgateway}}\n  wasm: {url: 'oci://r.example/other:1'}\n",
            )],
            at: "apiVersion",
            says: "TrafficExtension other",
            good: &[(
                "",
                "apiVersion: extensions.istio.io/v1alpha1\nkind: TrafficExtension\nmetadata: {name: other, namespace: edge}\nspec:\n  selector: {matchLabels: {istio: egressgateway}}\n  wasm: {url: 'oci://r.example/other:1'}\n",
            )],
        }],
    );
}

/// `explain` decides by it as by a `WasmPlugin`.
#[test]
fn a_request_is_explained_by_an_extension() {
    let files = Files::in_a_directory();
    let file = files.with("extension.yaml", &good());
    let ran = run(&["explain", "--config", &file, "--path", "/x"]);
    assert!(ran.out.contains("401"), "{}{}", ran.out, ran.err);
}
