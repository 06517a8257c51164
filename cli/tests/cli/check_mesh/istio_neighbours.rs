//! `check` of what is beside a `WasmPlugin` of Istio: policies that read what nobody tells, and routes.

use super::istio::GOOD;
use super::{ERROR, Row, WARNING, compare};

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
