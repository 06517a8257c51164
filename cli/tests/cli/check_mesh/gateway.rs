//! `check` of an `EnvoyExtensionPolicy` and what is around it.

use super::{ERROR, Row, WARNING, compare};

pub(super) const GOOD: &str = "\
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: EnvoyExtensionPolicy
metadata: {name: bearer-gate, namespace: edge}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: eg}]
  wasm:
  - name: bearer-gate
    code: {type: Image, image: {url: 'r.example/bearer-gate:0.1.0'}}
    config:
      providers:
        idp:
          issuer: https://idp.example
          audiences: [a]
          remote_jwks: {http_uri: {uri: 'https://idp.example/jwks', cluster: issuer, timeout: 5s}}
      rules: [{match: {prefix: /}, requires: {provider_name: idp}}]
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: EnvoyProxy
metadata: {name: edge}
spec:
  bootstrap:
    type: JSONPatch
    jsonPatches:
    - op: add
      path: /static_resources/clusters/-
      value:
        name: issuer
        load_assignment: {endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: idp.example, port_value: 443}}}}]}]}
        transport_socket:
          typed_config:
            '@type': type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
            sni: idp.example
            common_tls_context: {validation_context: {trusted_ca: {filename: /ca}, match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: idp.example}}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: api, namespace: edge}
spec:
  parentRefs: [{name: eg}]
  rules: [{backendRefs: [{name: api, port: 80}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: idp, namespace: edge}
spec:
  parentRefs: [{name: other}]
  rules: [{backendRefs: [{group: gateway.envoyproxy.io, kind: Backend, name: idp}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: idp}
spec:
  targetRefs: [{group: gateway.envoyproxy.io, kind: Backend, name: idp}]
  validation: {hostname: idp.example, wellKnownCACertificates: System}
";

const IMAGE: &str = "{type: Image, image: {url: 'r.example/bearer-gate:0.1.0'}}";
const NAME: &str = "  - name: bearer-gate\n";
pub(super) const CLUSTER: &str = "cluster: issuer";
const OF_ROUTE: (&str, &str) = (CLUSTER, "cluster: httproute/edge/idp/rule/0");
pub(super) const TARGET: &str = "{group: gateway.networking.k8s.io, kind: Gateway, name: eg}";

#[test]
fn what_a_policy_says() {
    compare(
        GOOD,
        &[
            Row {
                kind: "failure-policy",
                level: ERROR,
                bad: &[(NAME, "  - name: bearer-gate\n    failOpen: true\n")],
                at: "failOpen",
                says: "everybody gets in",
                good: &[(NAME, "  - name: bearer-gate\n    failOpen: false\n")],
            },
            Row {
                kind: "module-unverified",
                level: ERROR,
                bad: &[(
                    IMAGE,
                    "{type: HTTP, http: {url: 'http://files.example/bearer-gate.wasm'}}",
                )],
                at: "http:",
                says: "in the clear",
                good: &[(
                    IMAGE,
                    "{type: HTTP, http: {url: 'http://files.example/bearer-gate.wasm', sha256: 5e2b1ab4}}",
                )],
            },
            Row {
                kind: "module-unverified",
                level: WARNING,
                bad: &[(
                    IMAGE,
                    "{type: HTTP, http: {url: 'https://files.example/bearer-gate.wasm'}}",
                )],
                at: "https:",
                says: "sha256",
                good: &[(
                    IMAGE,
                    "{type: HTTP, http: {url: 'https://files.example/bearer-gate.wasm', sha256: 5e2b1ab4}}",
                )],
            },
            Row {
                kind: "module-unverified",
                level: WARNING,
                bad: &[(":0.1.0'", ":latest'")],
                at: "latest",
                says: "the next push",
                good: &[(":0.1.0'", ":latest', sha256: 5e2b1ab4")],
            },
            Row {
                kind: "unknown-field",
                level: ERROR,
                bad: &[(NAME, "  - name: bearer-gate\n    failopen: false\n")],
                at: "failopen",
                says: "\"failOpen\"",
                good: &[],
            },
            Row {
                kind: "unknown-field",
                level: ERROR,
                bad: &[("    config:\n", "    pluginConfig:\n")],
                at: "pluginConfig",
                says: "one of name, rootID, config",
                good: &[],
            },
            // Envoy Gateway makes a name, and a vm_id, of the policy's
            Row {
                kind: "filter-order",
                level: WARNING,
                bad: &[(
                    NAME,
                    "  - {name: first, code: {type: Image, image: {url: 'r.example/first:1'}}}\n  - name: bearer-gate\n",
                )],
                at: "name: first",
                says: "bearer-gate first",
                good: &[(NAME, "  - rootID: bearer-gate\n")],
            },
            Row {
                kind: "filter-order",
                level: WARNING,
                bad: &[(
                    "  wasm:\n",
                    "  lua: [{type: Inline, inline: ''}]\n  wasm:\n",
                )],
                at: "lua",
                says: "filterOrder",
                good: &[
                    (
                        "  wasm:\n",
                        "  lua: [{type: Inline, inline: ''}]\n  wasm:\n",
                    ),
                    (
                        "  bootstrap:\n",
                        "  filterOrder: [{name: envoy.filters.http.wasm, before: envoy.filters.http.lua}]\n  bootstrap:\n",
                    ),
                ],
            },
            Row {
                kind: "filter-order",
                level: WARNING,
                bad: &[("  wasm:\n", "  extProc: [{backendRefs: []}]\n  wasm:\n")],
                at: "extProc",
                says: "filterOrder",
                good: &[
                    ("  wasm:\n", "  extProc: [{backendRefs: []}]\n  wasm:\n"),
                    (
                        "  bootstrap:\n",
                        "  filterOrder: [{name: envoy.filters.http.ext_proc, after: envoy.filters.http.wasm}]\n  bootstrap:\n",
                    ),
                ],
            },
            Row {
                kind: "filter-order",
                level: WARNING,
                bad: &[(
                    "  bootstrap:\n",
                    "  filterOrder: [{name: envoy.filters.http.rbac, before: envoy.filters.http.wasm}]\n  bootstrap:\n",
                )],
                at: "filterOrder",
                says: "EnvoyProxy edge",
                good: &[(
                    "  bootstrap:\n",
                    "  filterOrder: [{name: envoy.filters.http.rbac, after: envoy.filters.http.wasm}]\n  bootstrap:\n",
                )],
            },
            Row {
                kind: "requests-left-out",
                level: WARNING,
                bad: &[(
                    "",
                    "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: ge}\n",
                )],
                at: "name: eg",
                says: "the filter is nowhere",
                good: &[(
                    "",
                    "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: eg}\n",
                )],
            },
            Row {
                kind: "requests-left-out",
                level: WARNING,
                bad: &[(
                    TARGET,
                    "{group: gateway.networking.k8s.io, kind: Gateway, name: eg, sectionName: https}",
                )],
                at: "sectionName",
                says: "https of Gateway eg only",
                good: &[
                    (
                        TARGET,
                        "{group: gateway.networking.k8s.io, kind: Gateway, name: eg, sectionName: https}",
                    ),
                    (
                        "",
                        "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: eg}\nspec: {listeners: [{name: https}]}\n",
                    ),
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
                bad: &[(CLUSTER, "cluster: isuer")],
                at: "http_uri",
                says: "cluster: issuer",
                good: &[
                    (CLUSTER, "cluster: other"),
                    (
                        "",
                        "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: EnvoyPatchPolicy\nspec: {jsonPatches: [{operation: {op: add, path: '', value: {name: other}}}]}\n",
                    ),
                ],
            },
            Row {
                kind: "cluster-missing",
                level: ERROR,
                bad: &[(CLUSTER, "cluster: httproute/edge/idp")],
                at: "http_uri",
                says: "httproute/NAMESPACE/NAME/rule/0",
                good: &[OF_ROUTE],
            },
            Row {
                kind: "cluster-missing",
                level: ERROR,
                bad: &[(CLUSTER, "cluster: httproute/edge/ipd/rule/0")],
                at: "http_uri",
                says: "no HTTPRoute ipd",
                good: &[OF_ROUTE],
            },
            Row {
                kind: "cluster-missing",
                level: ERROR,
                bad: &[(CLUSTER, "cluster: httproute/edge/idp/rule/1")],
                at: "http_uri",
                says: "no rule 1",
                good: &[OF_ROUTE],
            },
            // the TLS of a cluster in the bootstrap is looked at as in Envoy's own file
            Row {
                kind: "cluster-without-tls",
                level: ERROR,
                bad: &[("        transport_socket:\n", "        transport:\n")],
                at: "name: issuer",
                says: "no TLS",
                good: &[],
            },
            Row {
                kind: "cluster-without-tls",
                level: ERROR,
                bad: &[OF_ROUTE, ("kind: BackendTLSPolicy", "kind: Other")],
                at: "backendRefs",
                says: "wellKnownCACertificates: System",
                good: &[
                    OF_ROUTE,
                    ("kind: BackendTLSPolicy", "kind: Other"),
                    (
                        "",
                        "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: Backend\nmetadata: {name: idp}\nspec: {tls: {wellKnownCACertificates: System}}\n",
                    ),
                ],
            },
            Row {
                kind: "certificate-unverified",
                level: ERROR,
                bad: &[
                    OF_ROUTE,
                    (
                        "",
                        "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: Backend\nmetadata: {name: idp}\nspec: {tls: {insecureSkipVerify: true}}\n",
                    ),
                ],
                at: "insecureSkipVerify",
                says: "BackendTLSPolicy",
                good: &[
                    OF_ROUTE,
                    (
                        "",
                        "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: Backend\nmetadata: {name: idp}\nspec: {tls: {insecureSkipVerify: false}}\n",
                    ),
                ],
            },
            Row {
                kind: "certificate-name",
                level: WARNING,
                bad: &[
                    OF_ROUTE,
                    ("hostname: idp.example", "hostname: other.example"),
                ],
                at: "hostname",
                says: "hostname: idp.example",
                good: &[OF_ROUTE],
            },
        ],
    );
}
