//! `check` of routes behind the filter: paths that they rewrite, and by which ways they are the plugin's.

use super::{Change, ERROR, Row, WARNING, compare, gateway, istio};

const RULES: &str = "rules: [{match: {prefix: /}";
/// A rule for everybody before the others.
const OPEN: &str = "rules: [{match: {path_separated_prefix: /open}}, {match: {prefix: /}";

/// An Istio `Gateway` of the plugin's workloads, and a `VirtualService` with these routes.
macro_rules! service {
    ($http:literal) => {
        &[
            (RULES, OPEN),
            (
                "",
                concat!(
                    "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: vs, namespace: edge}\nspec:\n  gateways: [gw]\n  http: [{",
                    $http,
                    ", route: [{destination: {host: api}}]}]\n"
                ),
            ),
        ]
    };
}

#[test]
fn what_a_virtual_service_rewrites() {
    let row = |bad: Change, at: &'static str, good: Change| Row {
        kind: "path-rewritten",
        level: WARNING,
        bad,
        at,
        says: "behind the filter",
        good,
    };
    compare(
        istio::GOOD,
        &[
            row(
                service!("match: [{uri: {prefix: /open/}}], rewrite: {uri: /}"),
                "rewrite",
                service!("match: [{uri: {prefix: /v1/}}], rewrite: {uri: /}"),
            ),
            row(
                service!(
                    "match: [{uri: {exact: /v1}}, {uri: {exact: /open}}], rewrite: {uri: /api}"
                ),
                "rewrite",
                service!("match: [{uri: {exact: /v1}}], rewrite: {uri: /api}"),
            ),
            row(
                service!("match: [{uri: {regex: '/open/v[0-9]'}}], rewrite: {uri: /api}"),
                "rewrite",
                service!("match: [{uri: {regex: '/open/v[0-9]'}}], rewrite: {uri: /open/v}"),
            ),
            row(
                service!("rewrite: {uriRegexRewrite: {match: '^/open/(.*)', rewrite: '/\\1'}}"),
                "rewrite",
                service!(
                    "rewrite: {uriRegexRewrite: {match: '^/open/v1/(.*)', rewrite: '/open/\\1'}}"
                ),
            ),
        ],
    );
}

/// A `HTTPRoute` of a Gateway with such a rule.
macro_rules! route {
    ($rule:literal) => {
        &[
            (RULES, OPEN),
            (
                "",
                concat!(
                    "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: rewriting}\nspec:\n  parentRefs: [{name: eg}]\n  rules:\n  - ",
                    $rule,
                    "\n"
                ),
            ),
        ]
    };
}

#[test]
fn what_a_route_of_the_gateway_api_rewrites() {
    let row = |bad: Change, at: &'static str, good: Change| Row {
        kind: "path-rewritten",
        level: WARNING,
        bad,
        at,
        says: "behind the filter",
        good,
    };
    compare(
        gateway::GOOD,
        &[
            row(
                route!(
                    "{matches: [{path: {value: /open}}], filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}]}"
                ),
                "urlRewrite",
                route!(
                    "{matches: [{path: {value: /v1}}], filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}]}"
                ),
            ),
            row(
                route!(
                    "{matches: [{path: {type: Exact, value: /open}}], backendRefs: [{name: api, filters: [{urlRewrite: {path: {type: ReplaceFullPath, replaceFullPath: /api}}}]}]}"
                ),
                "urlRewrite",
                route!(
                    "{matches: [{path: {type: Exact, value: /open}}], backendRefs: [{name: api, filters: [{urlRewrite: {path: {type: ReplaceFullPath, replaceFullPath: /open/v2}}}]}]}"
                ),
            ),
            row(
                route!(
                    "{filters: [{type: ExtensionRef, extensionRef: {kind: HTTPRouteFilter, name: f}}]}\n---\napiVersion: gateway.envoyproxy.io/v1alpha1\nkind: HTTPRouteFilter\nmetadata: {name: f}\nspec: {urlRewrite: {path: {type: ReplaceRegexMatch, replaceRegexMatch: {pattern: '^/open/(.*)', substitution: '/\\1'}}}}"
                ),
                "urlRewrite",
                route!(
                    "{filters: [{type: ExtensionRef, extensionRef: {kind: HTTPRouteFilter, name: g}}]}\n---\napiVersion: gateway.envoyproxy.io/v1alpha1\nkind: HTTPRouteFilter\nmetadata: {name: f}\nspec: {urlRewrite: {path: {type: ReplaceRegexMatch, replaceRegexMatch: {pattern: '^/open/(.*)', substitution: '/\\1'}}}}"
                ),
            ),
        ],
    );
}

/// A route to a backend for whatever host a request names.
macro_rules! to_any {
    ($hosts:literal, $kind:literal) => {
        (
            "",
            concat!(
                "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: egress, namespace: edge}\nspec:\n  parentRefs: [{name: eg}]\n  ",
                $hosts,
                "\n  rules: [{matches: [{path: {value: /open}}], backendRefs: [{group: gateway.envoyproxy.io, kind: Backend, name: any}]}]\n---\napiVersion: gateway.envoyproxy.io/v1alpha1\nkind: Backend\nmetadata: {name: any, namespace: edge}\nspec: ",
                $kind,
                "\n"
            ),
        )
    };
}

#[test]
fn a_route_to_whatever_host_a_request_names() {
    compare(
        gateway::GOOD,
        &[
            Row {
                kind: "upstream-chosen",
                level: ERROR,
                bad: &[(RULES, OPEN), to_any!("", "{type: DynamicResolver}")],
                at: "kind: Backend, name: any",
                says: "rules[0] lets /open through without a token",
                good: &[
                    (RULES, OPEN),
                    to_any!("hostnames: [a.example]", "{type: DynamicResolver}"),
                ],
            },
            Row {
                kind: "upstream-chosen",
                level: WARNING,
                bad: &[to_any!("", "{type: DynamicResolver}")],
                at: "kind: Backend, name: any",
                says: "hostnames in the route",
                good: &[to_any!("", "{type: Endpoints}")],
            },
        ],
    );
}

/// A plugin with this in the place of its selector, a Gateway of the Gateway API, and routes to one
/// service, of which one forwards connections.
macro_rules! attached {
    ($selector:literal, $gateway:literal) => {
        &[
            ("selector: {matchLabels: {istio: ingressgateway}}", $selector),
            (
                "",
                concat!(
                    "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: eg, namespace: edge}\nspec: {gatewayClassName: istio",
                    $gateway,
                    ", listeners: []}\n---\n",
                    "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: api, namespace: edge}\nspec: {parentRefs: [{name: eg}], rules: [{backendRefs: [{name: api}]}]}\n---\n",
                    "apiVersion: gateway.networking.k8s.io/v1\nkind: TCPRoute\nmetadata: {name: tcp, namespace: edge}\nspec: {parentRefs: [{name: eg}], rules: [{backendRefs: [{name: api}]}]}\n"
                ),
            ),
        ]
    };
}

#[test]
fn a_plugin_is_in_the_pods_of_a_gateway() {
    let row = |bad: Change, good: Change| Row {
        kind: "unguarded-chain",
        level: ERROR,
        bad,
        at: "backendRefs",
        says: "TCPRoute tcp",
        good,
    };
    compare(
        istio::GOOD,
        &[
            row(
                attached!(
                    "selector: {matchLabels: {gateway.networking.k8s.io/gateway-name: eg}}",
                    ""
                ),
                attached!(
                    "selector: {matchLabels: {gateway.networking.k8s.io/gateway-name: other}}",
                    ""
                ),
            ),
            row(
                attached!(
                    "selector: {matchLabels: {tier: edge}}",
                    ", infrastructure: {labels: {tier: edge}}"
                ),
                attached!(
                    "selector: {matchLabels: {tier: edge}}",
                    ", infrastructure: {labels: {tier: other}}"
                ),
            ),
            row(
                attached!(
                    "selector: {matchLabels: {istio: ingressgateway}}",
                    ", addresses: [{type: Hostname, value: istio-ingressgateway.edge.svc.cluster.local}]"
                ),
                attached!("selector: {matchLabels: {istio: ingressgateway}}", ""),
            ),
            row(
                attached!(
                    "targetRefs: [{group: gateway.networking.k8s.io, kind: GatewayClass, name: istio}]",
                    ""
                ),
                attached!(
                    "targetRefs: [{group: gateway.networking.k8s.io, kind: GatewayClass, name: istio-waypoint}]",
                    ""
                ),
            ),
        ],
    );
}

/// A plugin of a Gateway of this class, for requests that go out.
macro_rules! of_class {
    ($class:literal) => {
        &[
            (
                "selector: {matchLabels: {istio: ingressgateway}}",
                "targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: wp}]\n  match: [{mode: CLIENT}]",
            ),
            (
                "",
                concat!(
                    "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: wp}\nspec: {gatewayClassName: ",
                    $class,
                    "}\n"
                ),
            ),
        ]
    };
}

#[test]
fn requests_come_in_to_a_waypoint() {
    compare(
        istio::GOOD,
        &[Row {
            kind: "requests-left-out",
            level: ERROR,
            bad: of_class!("istio-waypoint"),
            at: "mode: CLIENT",
            says: "takes CLIENT only",
            good: of_class!("istio"),
        }],
    );
}

/// An origin as no browser sends it, in a route and in a patch.
#[test]
fn what_no_page_is_answered_by() {
    compare(
        istio::GOOD,
        &[
            Row {
                kind: "cors-origin",
                level: WARNING,
                bad: service!("corsPolicy: {allowOrigins: [{exact: 'https://a.example/'}]}"),
                at: "corsPolicy",
                says: "exact: https://a.example",
                good: service!("corsPolicy: {allowOrigins: [{exact: 'https://a.example'}]}"),
            },
            Row {
                kind: "cors-origin",
                level: WARNING,
                bad: filter!(
                    "VIRTUAL_HOST",
                    "{context: GATEWAY}",
                    "{operation: MERGE, value: {typed_per_filter_config: {cors: {allow_origin_string_match: [{exact: 'https://a.example/'}]}}}}"
                ),
                at: "MERGE",
                says: "ends with a slash",
                good: filter!(
                    "VIRTUAL_HOST",
                    "{context: GATEWAY}",
                    "{operation: MERGE, value: {typed_per_filter_config: {cors: {allow_origin_string_match: [{exact: 'https://a.example'}]}}}}"
                ),
            },
        ],
    );
}
