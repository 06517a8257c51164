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
const TLS: &str = "tls: {mode: SIMPLE, sni: idp.example, subjectAltNames: [idp.example]}";
const HOSTS: &str = "hosts: [idp.example]";
const HOST: &str = "host: idp.example\n";

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

#[test]
fn clusters_of_a_provider() {
    compare(
        GOOD,
        &[
            Row {
                kind: "cluster-missing",
                level: ERROR,
                bad: &[(CLUSTER, "outbound|443|idp.example")],
                at: "http_uri",
                says: CLUSTER,
                good: &[],
            },
            Row {
                kind: "cluster-missing",
                level: ERROR,
                bad: &[(CLUSTER, "inbound|443||idp.example")],
                at: "http_uri",
                says: CLUSTER,
                good: &[],
            },
            Row {
                kind: "cluster-missing",
                level: WARNING,
                bad: &[(CLUSTER, "idp")],
                at: "http_uri",
                says: CLUSTER,
                good: &[
                    (CLUSTER, "idp"),
                    (
                        "",
                        "apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nspec: {configPatches: [{applyTo: CLUSTER, patch: {operation: ADD, value: {name: idp, transport_socket: {name: other, typed_config: {'@type': other}}}}}]}\n",
                    ),
                ],
            },
            Row {
                kind: "cluster-missing",
                level: ERROR,
                bad: &[(HOSTS, "hosts: [idp.exmaple]")],
                at: "http_uri",
                says: "hosts: [idp.example]",
                good: &[(HOSTS, "hosts: [other.example, idp.example]")],
            },
            Row {
                kind: "cluster-missing",
                level: ERROR,
                bad: &[("number: 443", "number: 8443")],
                at: "http_uri",
                says: "number: 443",
                good: &[],
            },
            Row {
                kind: "cluster-missing",
                level: ERROR,
                bad: &[(CLUSTER, "outbound|443|blue|idp.example")],
                at: "http_uri",
                says: "the subset blue",
                good: &[
                    (CLUSTER, "outbound|443|blue|idp.example"),
                    (HOST, "host: idp.example\n  subsets: [{name: blue}]\n"),
                ],
            },
            Row {
                kind: "cluster-missing",
                level: ERROR,
                bad: &[
                    ("https://idp.example/jwks", "https://keycloak/jwks"),
                    (HOST, "host: '*'\n"),
                    (TLS, "tls: {mode: SIMPLE}"),
                    (CLUSTER, "outbound|443||keycloak"),
                ],
                at: "http_uri",
                says: "keycloak.NAMESPACE.svc.cluster.local",
                good: &[
                    ("https://idp.example/jwks", "https://keycloak/jwks"),
                    (HOST, "host: '*'\n"),
                    (TLS, "tls: {mode: SIMPLE}"),
                    (CLUSTER, "outbound|443||keycloak.auth.svc.cluster.local"),
                ],
            },
            Row {
                kind: "cluster-host",
                level: WARNING,
                bad: &[
                    ("https://idp.example/jwks", "https://idp2.example/jwks"),
                    (
                        "subjectAltNames: [idp.example]",
                        "subjectAltNames: [idp2.example]",
                    ),
                    ("sni: idp.example", "sni: idp2.example"),
                ],
                at: "http_uri",
                says: "outbound|443||idp2.example",
                good: &[],
            },
            Row {
                kind: "cluster-host",
                level: ERROR,
                bad: &[("resolution: DNS", "resolution: NONE")],
                at: "NONE",
                says: "resolution: DNS",
                good: &[("resolution: DNS", "resolution: STATIC")],
            },
            Row {
                kind: "cluster-port",
                level: WARNING,
                bad: &[
                    (CLUSTER, "outbound|80||idp.example"),
                    ("number: 443", "number: 80"),
                ],
                at: "http_uri",
                says: "another port than 443",
                good: &[
                    (CLUSTER, "outbound|80||idp.example"),
                    ("number: 443", "number: 80, targetPort: 443"),
                ],
            },
            Row {
                kind: "cluster-without-tls",
                level: ERROR,
                bad: &[(HOST, "host: other.example\n")],
                at: "networking.istio.io",
                says: "mode: SIMPLE",
                good: &[(HOST, "host: '*.example'\n")],
            },
            Row {
                kind: "cluster-without-tls",
                level: ERROR,
                bad: &[(TLS, "tls: {mode: DISABLE}")],
                at: "DISABLE",
                says: "in the clear",
                good: &[(TLS, "tls: {mode: SIMPLE}")],
            },
            Row {
                kind: "cluster-without-tls",
                level: ERROR,
                bad: &[(TLS, "tls: {sni: idp.example}")],
                at: "tls:",
                says: "mode is DISABLE",
                good: &[],
            },
            Row {
                kind: "cluster-without-tls",
                level: ERROR,
                bad: &[(TLS, "tls: {mode: ISTIO_MUTUAL}")],
                at: "ISTIO_MUTUAL",
                says: "mode: SIMPLE",
                good: &[(
                    TLS,
                    "tls: {mode: MUTUAL, clientCertificate: /c, privateKey: /k, sni: idp.example, subjectAltNames: [idp.example]}",
                )],
            },
            // the settings of a port are in the place of the others
            Row {
                kind: "cluster-without-tls",
                level: ERROR,
                bad: &[(
                    TLS,
                    "tls: {mode: SIMPLE}\n    portLevelSettings: [{port: {number: 443}}]",
                )],
                at: "networking.istio.io",
                says: "in the clear",
                good: &[(
                    TLS,
                    "portLevelSettings: [{port: {number: 443}, tls: {mode: SIMPLE}}]",
                )],
            },
            Row {
                kind: "certificate-unverified",
                level: ERROR,
                bad: &[(TLS, "tls: {mode: SIMPLE, insecureSkipVerify: true}")],
                at: "insecureSkipVerify",
                says: "anybody's",
                good: &[(TLS, "tls: {mode: SIMPLE, insecureSkipVerify: false}")],
            },
            Row {
                kind: "certificate-name",
                level: WARNING,
                bad: &[(TLS, "tls: {mode: SIMPLE, sni: idp.example}")],
                at: "tls:",
                says: "no subjectAltNames",
                good: &[
                    (TLS, "tls: {mode: SIMPLE, sni: idp.example}"),
                    (
                        HOSTS,
                        "hosts: [idp.example]\n  subjectAltNames: [idp.example]",
                    ),
                ],
            },
            Row {
                kind: "certificate-name",
                level: WARNING,
                bad: &[(TLS, "tls: {mode: SIMPLE, subjectAltNames: [idp2.example]}")],
                at: "tls:",
                says: "another one is believed",
                good: &[(
                    TLS,
                    "tls: {mode: SIMPLE, subjectAltNames: [idp2.example, idp.example]}",
                )],
            },
            Row {
                kind: "certificate-name",
                level: WARNING,
                bad: &[(
                    TLS,
                    "tls: {mode: SIMPLE, sni: idp2.example, subjectAltNames: [idp.example]}",
                )],
                at: "tls:",
                says: "sni is idp2.example",
                good: &[],
            },
        ],
    );
}

#[test]
fn policies_that_read_what_nobody_tells() {
    compare(
        GOOD,
        &[
            Row {
                kind: "metadata-unset",
                level: ERROR,
                bad: &[(
                    "",
                    "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: users, namespace: edge}\nspec: {action: DENY, rules: [{when: [{key: 'request.auth.claims[groups]', values: [bad]}]}]}\n",
                )],
                at: "DENY",
                says: "denies nobody",
                good: &[(
                    "",
                    "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: users, namespace: other}\nspec: {action: DENY, rules: [{when: [{key: 'request.auth.claims[groups]', values: [bad]}]}]}\n",
                )],
            },
            Row {
                kind: "metadata-unset",
                level: ERROR,
                bad: &[(
                    "",
                    "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: users}\nspec: {action: DENY, rules: [{from: [{source: {requestPrincipals: ['x/*']}}]}]}\n",
                )],
                at: "DENY",
                says: "migrate",
                good: &[(
                    "",
                    "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: users}\nspec: {selector: {matchLabels: {istio: egressgateway}}, action: DENY, rules: [{from: [{source: {requestPrincipals: ['x/*']}}]}]}\n",
                )],
            },
            Row {
                kind: "metadata-unset",
                level: ERROR,
                bad: &[(
                    "",
                    "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: users}\nspec: {rules: [{from: [{source: {notRequestPrincipals: ['*']}}]}]}\n",
                )],
                at: "notRequestPrincipals",
                says: "allows everybody",
                good: &[(
                    "",
                    "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: users}\nspec: {rules: [{from: [{source: {notPrincipals: ['*']}}]}]}\n",
                )],
            },
            Row {
                kind: "metadata-unset",
                level: WARNING,
                bad: &[(
                    "",
                    "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: users, namespace: istio-system}\nspec: {action: ALLOW, rules: [{from: [{source: {requestPrincipals: ['*']}}]}]}\n",
                )],
                at: "ALLOW",
                says: "turned away",
                good: &[(
                    "",
                    "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: users, namespace: istio-system}\nspec: {action: ALLOW, rules: [{to: [{operation: {methods: [GET]}}]}]}\n",
                )],
            },
            // sources are alternatives: one that is nobody's is a hole beside the other
            Row {
                kind: "metadata-unset",
                level: ERROR,
                bad: &[(
                    "",
                    "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: users}\nspec: {action: DENY, rules: [{from: [{source: {namespaces: [b]}}, {source: {requestPrincipals: [a]}}]}]}\n",
                )],
                at: "DENY",
                says: "denies nobody",
                good: &[(
                    "",
                    "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: users}\nspec: {action: DENY, rules: [{from: [{source: {namespaces: [b]}}, {source: {namespaces: [a]}}]}]}\n",
                )],
            },
            Row {
                kind: "metadata-unset",
                level: ERROR,
                bad: &[(
                    "",
                    "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: users}\nspec: {rules: [{from: [{source: {requestPrincipals: [a]}}, {source: {notRequestPrincipals: [b]}}]}]}\n",
                )],
                at: "rules",
                says: "allows everybody",
                good: &[(
                    "",
                    "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: users}\nspec: {rules: [{from: [{source: {namespaces: [a]}}, {source: {notNamespaces: [b]}}]}]}\n",
                )],
            },
            Row {
                kind: "metadata-unset",
                level: WARNING,
                bad: &[(
                    "",
                    "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: users}\nspec: {rules: [{from: [{source: {notRequestPrincipals: [b]}}], when: [{key: request.auth.audiences, values: [a]}]}]}\n",
                )],
                at: "rules",
                says: "turned away",
                good: &[(
                    "",
                    "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: users}\nspec: {rules: [{from: [{source: {notPrincipals: [b]}}], when: [{key: source.ip, values: [a]}]}]}\n",
                )],
            },
            Row {
                kind: "metadata-unset",
                level: WARNING,
                bad: &[(
                    "",
                    "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: users}\nspec: {action: DENY, rules: [{from: [{source: {notRequestPrincipals: ['*']}}]}]}\n",
                )],
                at: "DENY",
                says: "turned away",
                good: &[(
                    "",
                    "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: users}\nspec: {action: AUDIT, rules: [{from: [{source: {notRequestPrincipals: ['*']}}]}]}\n",
                )],
            },
            Row {
                kind: "metadata-unset",
                level: ERROR,
                bad: &[(
                    "",
                    "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: users}\nspec: {action: CUSTOM, provider: {name: p}, rules: [{from: [{source: {requestPrincipals: ['*']}}]}]}\n",
                )],
                at: "CUSTOM",
                says: "asks about nobody",
                good: &[(
                    "",
                    "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: users}\nspec: {action: CUSTOM, provider: {name: p}, rules: [{to: [{operation: {paths: [/a]}}]}]}\n",
                )],
            },
            Row {
                kind: "metadata-unset",
                level: WARNING,
                bad: &[(
                    "",
                    "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: api}\nspec: {http: [{match: [{headers: {'@request.auth.claims.group': {exact: a}}}]}]}\n",
                )],
                at: "@request",
                says: "claim_to_headers",
                good: &[(
                    "",
                    "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: api}\nspec: {http: [{match: [{headers: {x-group: {exact: a}}}]}]}\n",
                )],
            },
            // With a RequestAuthentication it is there: and that is one finding, not two.
            Row {
                kind: "jwt-authn-beside",
                level: WARNING,
                bad: &[
                    (
                        "",
                        "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {name: jwt}\nspec: {selector: {matchLabels: {istio: ingressgateway}}}\n",
                    ),
                    (
                        "",
                        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: users}\nspec: {action: DENY, rules: [{from: [{source: {requestPrincipals: ['x/*']}}]}]}\n",
                    ),
                ],
                at: "security.istio.io",
                says: "migrate",
                good: &[(
                    "",
                    "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {name: jwt}\nspec: {selector: {matchLabels: {istio: egressgateway}}}\n",
                )],
            },
            Row {
                kind: "vm-id-shared",
                level: WARNING,
                bad: &[(
                    "",
                    "apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\nmetadata: {name: other}\nspec: {url: 'oci://r.example/other:1'}\n",
                )],
                at: "extensions.istio.io",
                says: "WasmPlugin other",
                good: &[(
                    "",
                    "apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\nmetadata: {name: other}\nspec: {url: 'oci://r.example/other:1', selector: {matchLabels: {istio: egressgateway}}}\n",
                )],
            },
        ],
    );
}

/// An Istio `Gateway` with one server, and a `VirtualService`.
macro_rules! gateway {
    ($selector:literal, $server:literal, $routes:literal) => {
        &[(
            "",
            concat!(
                "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: gw, namespace: edge}\nspec: {selector: {istio: ",
                $selector,
                "}, servers: [{hosts: ['*'], ",
                $server,
                "}]}\n---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: vs, namespace: edge}\nspec:\n  gateways: [gw]\n",
                $routes,
                "---\napiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: own, namespace: edge}\nspec: {selector: {istio: ingressgateway}}\n"
            ),
        )]
    };
}

#[test]
fn routes_of_the_same_gateway() {
    const CLAIM: super::Change = &[(
        "audiences: [a]",
        "audiences: [a]\n        claim_to_headers: [{header_name: x-user, claim_name: sub}]",
    )];
    let good = super::with(GOOD, CLAIM);
    compare(
        &good,
        &[
            Row {
                kind: "other-chain",
                level: WARNING,
                bad: gateway!(
                    "ingressgateway",
                    "port: {number: 9000, name: tcp, protocol: TCP}",
                    "  tcp: [{route: [{destination: {host: db}}]}]\n"
                ),
                at: "host: db",
                says: "port 9000",
                good: gateway!(
                    "other",
                    "port: {number: 9000, name: tcp, protocol: TCP}",
                    "  tcp: [{route: [{destination: {host: db}}]}]\n"
                ),
            },
            Row {
                kind: "unguarded-chain",
                level: ERROR,
                bad: gateway!(
                    "ingressgateway",
                    "port: {number: 443, name: tls, protocol: HTTPS}, tls: {mode: PASSTHROUGH}",
                    "  http: [{route: [{destination: {host: api}}]}]\n  tls: [{route: [{destination: {host: api}}]}]\n"
                ),
                at: "  tls:",
                says: "protocol: HTTPS",
                good: gateway!(
                    "ingressgateway",
                    "port: {number: 443, name: tls, protocol: HTTPS}, tls: {mode: SIMPLE}",
                    "  http: [{route: [{destination: {host: api}}]}]\n"
                ),
            },
            Row {
                kind: "claim-header-set",
                level: WARNING,
                bad: gateway!(
                    "ingressgateway",
                    "port: {number: 80, name: http, protocol: HTTP}",
                    "  http: [{headers: {request: {set: {X-User: a}}}, route: [{destination: {host: api}}]}]\n"
                ),
                at: "X-User",
                says: "another header",
                good: gateway!(
                    "ingressgateway",
                    "port: {number: 80, name: http, protocol: HTTP}",
                    "  http: [{headers: {request: {remove: [x-user]}, response: {set: {x-user: a}}}, route: [{destination: {host: api}}]}]\n"
                ),
            },
            // what others delegate to
            Row {
                kind: "claim-header-set",
                level: WARNING,
                bad: &[(
                    "",
                    "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: part, namespace: edge}\nspec:\n  http: [{headers: {request: {set: {x-user: a}}}, route: [{destination: {host: api}}]}]\n",
                )],
                at: "x-user",
                says: "another header",
                good: &[(
                    "",
                    "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: part, namespace: edge}\nspec:\n  hosts: [api]\n  http: [{headers: {request: {set: {x-user: a}}}, route: [{destination: {host: api}}]}]\n",
                )],
            },
            Row {
                kind: "claim-header-set",
                level: WARNING,
                bad: gateway!(
                    "ingressgateway",
                    "port: {number: 80, name: http, protocol: HTTP}",
                    "  http: [{route: [{destination: {host: api}, headers: {request: {add: {x-user: a}}}}]}]\n"
                ),
                at: "x-user",
                says: "another header",
                good: gateway!(
                    "other",
                    "port: {number: 80, name: http, protocol: HTTP}",
                    "  http: [{route: [{destination: {host: api}, headers: {request: {add: {x-user: a}}}}]}]\n"
                ),
            },
        ],
    );
}
