//! `check` of a `WasmPlugin` and what is around it.

use super::{ERROR, Row, WARNING, compare, findings};

pub(super) const GOOD: &str = "\
apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata: {name: bearer-gate, namespace: edge}
spec:
  selector: {matchLabels: {istio: ingressgateway}}
  url: oci://r.example/bearer-gate:0.1.0
  phase: AUTHN
  failStrategy: FAIL_RELOAD
  pluginConfig:
    providers:
      idp:
        issuer: https://idp.example
        audiences: [a]
        remote_jwks:
          http_uri: {uri: 'https://idp.example/jwks', cluster: 'outbound|443||idp.example', timeout: 5s}
    rules: [{match: {prefix: /}, requires: {provider_name: idp}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: idp}
spec:
  hosts: [idp.example]
  resolution: DNS
  ports:
  - {number: 443, name: http, protocol: HTTP}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: idp}
spec:
  host: idp.example
  trafficPolicy:
    tls: {mode: SIMPLE, sni: idp.example, subjectAltNames: [idp.example]}
";

const FAIL: &str = "failStrategy: FAIL_RELOAD";
const URL: &str = "oci://r.example/bearer-gate:0.1.0";
const SELECTOR: &str = "  selector: {matchLabels: {istio: ingressgateway}}\n";
pub(super) const CLUSTER: &str = "outbound|443||idp.example";

#[test]
fn what_a_plugin_says() {
    compare(
        GOOD,
        &[
            Row {
                kind: "failure-policy",
                level: ERROR,
                bad: &[(FAIL, "failStrategy: FAIL_OPEN")],
                at: "FAIL_OPEN",
                says: "everybody gets in",
                good: &[],
            },
            Row {
                kind: "failure-policy",
                level: WARNING,
                bad: &[(FAIL, "failStrategy: FAIL_CLOSE")],
                at: "FAIL_CLOSE",
                says: "since 1.27",
                good: &[],
            },
            Row {
                kind: "failure-policy",
                level: WARNING,
                bad: &[("  failStrategy: FAIL_RELOAD\n", "")],
                at: "selector",
                says: "FAIL_RELOAD",
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
                kind: "module-unverified",
                level: ERROR,
                bad: &[(URL, "http://files.example/bearer-gate.wasm")],
                at: "http://",
                says: "in the clear",
                good: &[(
                    URL,
                    "http://files.example/bearer-gate.wasm\n  sha256: 5e2b1ab4ff0c3a0b4d1c1d6b5a4b4a5b4d1c1d6b5a4b4a5b4d1c1d6b5a4b4a5b",
                )],
            },
            Row {
                kind: "module-unverified",
                level: WARNING,
                bad: &[(URL, "https://files.example/bearer-gate.wasm")],
                at: "https://",
                says: "sha256sum",
                good: &[(URL, "file:///opt/bearer-gate.wasm")],
            },
            Row {
                kind: "module-unverified",
                level: WARNING,
                bad: &[(URL, "oci://r.example/bearer-gate:latest")],
                at: "latest",
                says: "@sha256:",
                good: &[(URL, "oci://r.example/bearer-gate:latest@sha256:5e2b1ab4")],
            },
            Row {
                kind: "module-unverified",
                level: WARNING,
                bad: &[(URL, "r.example:5000/bearer-gate")],
                at: "r.example:5000",
                says: "the next push",
                good: &[(URL, "r.example:5000/bearer-gate:0.1.0")],
            },
            Row {
                kind: "plugin-type",
                level: ERROR,
                bad: &[(FAIL, "failStrategy: FAIL_RELOAD\n  type: NETWORK")],
                at: "NETWORK",
                says: "type: HTTP",
                good: &[(FAIL, "failStrategy: FAIL_RELOAD\n  type: HTTP")],
            },
            Row {
                kind: "every-workload",
                level: WARNING,
                bad: &[(SELECTOR, "")],
                at: "url",
                says: "of the namespace",
                good: &[(
                    SELECTOR,
                    "  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge}]\n",
                )],
            },
            Row {
                kind: "every-workload",
                level: WARNING,
                bad: &[
                    (SELECTOR, "  selector: {matchLabels: {}}\n"),
                    ("namespace: edge", "namespace: istio-system"),
                ],
                at: "selector",
                says: "of the mesh",
                good: &[("namespace: edge", "namespace: istio-system")],
            },
            Row {
                kind: "requests-left-out",
                level: WARNING,
                bad: &[
                    (
                        SELECTOR,
                        "  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edges}]\n",
                    ),
                    (
                        "",
                        "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: edge}\n",
                    ),
                ],
                at: "edges",
                says: "name: edge",
                good: &[
                    (
                        SELECTOR,
                        "  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge}]\n",
                    ),
                    (
                        "",
                        "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: edge}\n",
                    ),
                ],
            },
            Row {
                kind: "unknown-field",
                level: ERROR,
                bad: &[("pluginConfig", "plugin_config")],
                at: "plugin_config",
                says: "\"pluginConfig\"",
                good: &[],
            },
            Row {
                kind: "unknown-field",
                level: ERROR,
                bad: &[("pluginConfig", "pluginconfig")],
                at: "pluginconfig",
                says: "\"pluginConfig\"",
                good: &[],
            },
            Row {
                kind: "unknown-field",
                level: ERROR,
                bad: &[(
                    FAIL,
                    "failStrategy: FAIL_RELOAD\n  match: [{modus: SERVER}]",
                )],
                at: "modus",
                says: "spec.match.modus",
                good: &[],
            },
        ],
    );
}

/// What hands tokens on may have Istio's own authentication behind itself.
#[test]
fn request_authentication_behind_a_plugin_that_forwards() {
    let behind = "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {name: jwt}\nspec: {selector: {matchLabels: {istio: ingressgateway}}}\n";
    let kinds = |audiences: &str| {
        let text = format!("{GOOD}---\n{behind}").replace("audiences: [a]", audiences);
        let found = findings(&text).1;
        let kinds = found
            .iter()
            .map(|found| found["kind"].as_str().unwrap().to_owned());
        kinds.collect::<Vec<String>>()
    };
    assert_eq!(kinds("audiences: [a]"), ["jwt-authn-beside"]);
    let forwarding = "audiences: [a]\n        forward: true";
    assert_eq!(kinds(forwarding), ["risky-choice"]);
}

#[test]
fn requests_that_a_plugin_does_not_see() {
    const MATCH: &str = "phase: AUTHN";
    const POD: (&str, &str) = ("{istio: ingressgateway}", "{app: api}");
    compare(
        GOOD,
        &[
            // Istio counts a gateway's requests as a client's
            Row {
                kind: "requests-left-out",
                level: ERROR,
                bad: &[(MATCH, "phase: AUTHN\n  match: [{mode: SERVER}]")],
                at: "SERVER",
                says: "counts the requests of a gateway as CLIENT",
                good: &[(MATCH, "phase: AUTHN\n  match: [{mode: CLIENT}]")],
            },
            Row {
                kind: "requests-left-out",
                level: ERROR,
                bad: &[POD, (MATCH, "phase: AUTHN\n  match: [{mode: CLIENT}]")],
                at: "CLIENT",
                says: "come in to a pod",
                good: &[POD, (MATCH, "phase: AUTHN\n  match: [{mode: SERVER}]")],
            },
            // a pod that is a gateway by the labels of one
            Row {
                kind: "requests-left-out",
                level: ERROR,
                bad: &[
                    POD,
                    (MATCH, "phase: AUTHN\n  match: [{mode: SERVER}]"),
                    (
                        "",
                        "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: g}\nspec: {selector: {app: api}}\n",
                    ),
                ],
                at: "SERVER",
                says: "of a gateway",
                good: &[
                    POD,
                    (MATCH, "phase: AUTHN\n  match: [{mode: CLIENT}]"),
                    (
                        "",
                        "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: g}\nspec: {selector: {app: api}}\n",
                    ),
                ],
            },
            Row {
                kind: "requests-left-out",
                level: WARNING,
                bad: &[(MATCH, "phase: AUTHN\n  match: [{ports: [{number: 8443}]}]")],
                at: "8443",
                says: "every other port",
                good: &[(
                    MATCH,
                    "phase: AUTHN\n  match: [{ports: [{number: 8443}]}, {mode: CLIENT}]",
                )],
            },
            // a waypoint takes what comes in
            Row {
                kind: "requests-left-out",
                level: ERROR,
                bad: &[
                    (
                        SELECTOR,
                        "  targetRefs: [{kind: Service, group: '', name: api}]\n",
                    ),
                    (MATCH, "phase: AUTHN\n  match: [{mode: CLIENT}]"),
                ],
                at: "CLIENT",
                says: "come in",
                good: &[
                    (
                        SELECTOR,
                        "  targetRefs: [{kind: Gateway, group: gateway.networking.k8s.io, name: edge}]\n",
                    ),
                    (MATCH, "phase: AUTHN\n  match: [{mode: CLIENT}]"),
                ],
            },
        ],
    );
}
