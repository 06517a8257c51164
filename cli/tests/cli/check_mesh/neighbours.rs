//! `check` of what is on the same Gateway of Envoy Gateway as the filter: routes, and other policies.

use super::gateway::{GOOD, TARGET};
use super::{ERROR, Row, WARNING, compare};

/// A route of the Gateway API with one parent, and its rules.
macro_rules! route {
    ($kind:literal, $parent:literal, $rules:literal) => {
        &[(
            "",
            concat!(
                "apiVersion: gateway.networking.k8s.io/v1\nkind: ",
                $kind,
                "\nmetadata: {name: route, namespace: edge}\nspec:\n  parentRefs: [{name: ",
                $parent,
                "}]\n  rules: [",
                $rules,
                "]\n"
            ),
        )]
    };
}

#[test]
fn routes_on_the_same_gateway() {
    compare(
        GOOD,
        &[
            Row {
                kind: "unguarded-chain",
                level: ERROR,
                bad: route!("TCPRoute", "eg", "{backendRefs: [{name: api, port: 80}]}"),
                at: "name: api",
                says: "an HTTPRoute",
                good: route!(
                    "TCPRoute",
                    "other",
                    "{backendRefs: [{name: api, port: 80}]}"
                ),
            },
            Row {
                kind: "other-chain",
                level: WARNING,
                bad: route!("TLSRoute", "eg", "{backendRefs: [{name: db, port: 80}]}"),
                at: "name: db",
                says: "a Gateway of its own",
                good: route!("UDPRoute", "other", "{backendRefs: [{name: db, port: 80}]}"),
            },
            Row {
                kind: "unguarded-chain",
                level: ERROR,
                bad: route!("UDPRoute", "eg", "{backendRefs: [{name: api, port: 80}]}"),
                at: "name: api",
                says: "UDPRoute route forwards",
                good: route!(
                    "UDPRoute",
                    "other",
                    "{backendRefs: [{name: api, port: 80}]}"
                ),
            },
        ],
    );
    const CLAIM: super::Change = &[(
        "audiences: [a]",
        "audiences: [a]\n          claim_to_headers: [{header_name: x-user, claim_name: sub}]",
    )];
    let good = super::with(GOOD, CLAIM);
    compare(
        &good,
        &[
            Row {
                kind: "claim-header-set",
                level: WARNING,
                bad: route!(
                    "HTTPRoute",
                    "eg",
                    "{filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: X-User, value: a}]}}]}"
                ),
                at: "X-User",
                says: "another header",
                good: route!(
                    "HTTPRoute",
                    "other",
                    "{filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: X-User, value: a}]}}]}"
                ),
            },
            Row {
                kind: "claim-header-set",
                level: WARNING,
                bad: route!(
                    "GRPCRoute",
                    "eg",
                    "{backendRefs: [{name: api, filters: [{requestHeaderModifier: {add: [{name: x-user, value: a}]}}]}]}"
                ),
                at: "x-user",
                says: "another header",
                good: route!(
                    "HTTPRoute",
                    "eg",
                    "{filters: [{requestHeaderModifier: {remove: [x-user], set: [{name: x-users, value: a}]}}]}"
                ),
            },
        ],
    );
}

/// A Gateway with labels, and a policy for what has labels.
macro_rules! selected {
    ($selector:literal) => {
        &[
            (
                "targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: eg}]",
                concat!("targetSelectors: [{kind: Gateway, ", $selector, "}]"),
            ),
            (
                "",
                "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: eg, namespace: edge, labels: {tier: web, team: a}}\n",
            ),
        ]
    };
}

#[test]
fn a_policy_for_what_has_labels() {
    let row = |bad: super::Change, good: super::Change| Row {
        kind: "requests-left-out",
        level: WARNING,
        bad,
        at: "targetSelectors",
        says: "no Gateway in the files has these labels",
        good,
    };
    compare(
        GOOD,
        &[
            row(
                selected!("matchLabels: {tier: wbe}"),
                selected!("matchLabels: {tier: web}"),
            ),
            row(
                selected!("matchExpressions: [{key: team, operator: In, values: [b]}]"),
                selected!("matchExpressions: [{key: team, operator: In, values: [b, a]}]"),
            ),
            row(
                selected!("matchExpressions: [{key: team, operator: NotIn, values: [a]}]"),
                selected!("matchExpressions: [{key: team, operator: NotIn, values: [b]}]"),
            ),
            row(
                selected!(
                    "matchLabels: {tier: web}, matchExpressions: [{key: x, operator: Exists}]"
                ),
                selected!(
                    "matchLabels: {tier: web}, matchExpressions: [{key: x, operator: DoesNotExist}]"
                ),
            ),
        ],
    );
    // what is on it is told as of one by its name
    compare(
        &super::with(GOOD, selected!("matchLabels: {tier: web}")),
        &[Row {
            kind: "unguarded-chain",
            level: ERROR,
            bad: route!("TCPRoute", "eg", "{backendRefs: [{name: api, port: 80}]}"),
            at: "name: api",
            says: "an HTTPRoute",
            good: route!(
                "TCPRoute",
                "other",
                "{backendRefs: [{name: api, port: 80}]}"
            ),
        }],
    );
}

/// Listeners that are added to this Gateway, and a route by them, of this kind.
macro_rules! listeners {
    ($gateway:literal, $kind:literal, $backend:literal) => {
        (
            "",
            concat!(
                "apiVersion: gateway.networking.k8s.io/v1\nkind: ListenerSet\nmetadata: {name: more, namespace: edge}\nspec: {parentRef: {name: ",
                $gateway,
                "}, listeners: []}\n---\napiVersion: gateway.networking.k8s.io/v1\nkind: ",
                $kind,
                "\nmetadata: {name: route, namespace: edge}\nspec:\n  parentRefs: [{kind: ListenerSet, name: more}]\n  rules: [{backendRefs: [{name: ",
                $backend,
                "}]}]\n"
            ),
        )
    };
}

const LESS: &str = "apiVersion: gateway.networking.k8s.io/v1\nkind: ListenerSet\nmetadata: {name: less, namespace: edge}\nspec: {parentRef: {name: internal}, listeners: []}\n";
const AND_LESS: &str = "{group: gateway.networking.k8s.io, kind: Gateway, name: eg}, {group: gateway.networking.k8s.io, kind: ListenerSet, name: less}";
const AND_MORE: &str = "{group: gateway.networking.k8s.io, kind: Gateway, name: eg}, {group: gateway.networking.k8s.io, kind: ListenerSet, name: more}";

#[test]
fn routes_by_listeners_that_are_added() {
    compare(
        GOOD,
        &[
            Row {
                kind: "unguarded-chain",
                level: ERROR,
                bad: &[listeners!("internal", "HTTPRoute", "api")],
                at: "kind: ListenerSet, name: more",
                says: "Gateway internal, which does not have the filter",
                good: &[listeners!("eg", "HTTPRoute", "api")],
            },
            Row {
                kind: "unguarded-chain",
                level: ERROR,
                bad: &[listeners!("eg", "TCPRoute", "api")],
                at: "backendRefs",
                says: "TCPRoute route",
                good: &[listeners!("other", "TCPRoute", "api")],
            },
            // a policy for the listeners themselves
            Row {
                kind: "unguarded-chain",
                level: ERROR,
                bad: &[
                    (TARGET, AND_LESS),
                    listeners!("internal", "HTTPRoute", "api"),
                    ("", LESS),
                ],
                at: "kind: ListenerSet, name: more",
                says: "Gateway internal, which does not have the filter",
                good: &[
                    (TARGET, AND_MORE),
                    listeners!("internal", "HTTPRoute", "api"),
                ],
            },
        ],
    );
}

#[test]
fn other_policies_on_the_same_gateway() {
    compare(
        GOOD,
        &[
            Row {
                kind: "credential-logged",
                level: WARNING,
                bad: &[(
                    "spec:\n  bootstrap:",
                    "spec:\n  telemetry: {accessLog: {settings: [{format: {type: JSON, json: {who: '%REQ(AUTHORIZATION)%'}}}]}}\n  bootstrap:",
                )],
                at: "AUTHORIZATION",
                says: "whoever reads the log",
                good: &[(
                    "spec:\n  bootstrap:",
                    "spec:\n  telemetry: {accessLog: {settings: [{format: {type: JSON, json: {who: '%REQ(X-REQUEST-ID)%'}}}]}}\n  bootstrap:",
                )],
            },
            // by its labels
            Row {
                kind: "route-without-filter",
                level: ERROR,
                bad: &[
                    (
                        "metadata: {name: api, namespace: edge}",
                        "metadata: {name: api, namespace: edge, labels: {team: orders}}",
                    ),
                    (
                        "",
                        "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: EnvoyExtensionPolicy\nmetadata: {name: other}\nspec: {targetSelectors: [{kind: HTTPRoute, matchLabels: {team: orders}}], lua: []}\n",
                    ),
                ],
                at: "targetSelectors",
                says: "attached to HTTPRoute api itself",
                good: &[(
                    "",
                    "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: EnvoyExtensionPolicy\nmetadata: {name: other}\nspec: {targetSelectors: [{kind: HTTPRoute, matchLabels: {team: orders}}], lua: []}\n",
                )],
            },
            // a Gateway that the policy is not for
            Row {
                kind: "unguarded-chain",
                level: ERROR,
                bad: &[(
                    "parentRefs: [{name: eg}]",
                    "parentRefs: [{name: eg}, {name: internal}]",
                )],
                at: "name: internal",
                says: "Gateway internal, which does not have the filter, to api",
                good: &[
                    (
                        "parentRefs: [{name: eg}]",
                        "parentRefs: [{name: eg}, {name: internal}]",
                    ),
                    (
                        TARGET,
                        "{group: gateway.networking.k8s.io, kind: Gateway, name: eg}, {kind: Gateway, name: internal}",
                    ),
                ],
            },
            Row {
                kind: "unguarded-chain",
                level: ERROR,
                bad: &[(
                    "",
                    "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: again, namespace: edge}\nspec:\n  parentRefs: [{name: internal}]\n  rules: [{backendRefs: [{name: api, port: 80}]}]\n",
                )],
                at: "name: internal",
                says: "HTTPRoute again",
                good: &[(
                    "",
                    "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: again, namespace: edge}\nspec:\n  parentRefs: [{name: internal}]\n  rules: [{backendRefs: [{name: users, port: 80}]}]\n",
                )],
            },
            // what is attached to a route counts there in the place of what the Gateway has
            Row {
                kind: "route-without-filter",
                level: ERROR,
                bad: &[(
                    "",
                    "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: EnvoyExtensionPolicy\nmetadata: {name: other}\nspec: {targetRefs: [{kind: HTTPRoute, name: api}], lua: []}\n",
                )],
                at: "HTTPRoute",
                says: "mergeType",
                good: &[(
                    "",
                    "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: EnvoyExtensionPolicy\nmetadata: {name: other}\nspec: {targetRefs: [{kind: HTTPRoute, name: api}], mergeType: StrategicMerge, lua: []}\n",
                )],
            },
            Row {
                kind: "route-without-filter",
                level: ERROR,
                bad: &[(
                    "",
                    "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: EnvoyExtensionPolicy\nmetadata: {name: other}\nspec: {targetRefs: [{kind: HTTPRoute, name: api}], mergeType: StrategicMerge, wasm: [{name: other}]}\n",
                )],
                at: "HTTPRoute",
                says: "every request passes",
                good: &[(
                    "",
                    "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: EnvoyExtensionPolicy\nmetadata: {name: other}\nspec: {targetRefs: [{kind: HTTPRoute, name: idp}], wasm: [{name: other}]}\n",
                )],
            },
            Row {
                kind: "route-without-filter",
                level: WARNING,
                bad: &[(
                    "",
                    "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: EnvoyExtensionPolicy\nmetadata: {name: other}\nspec: {targetRef: {kind: GRPCRoute, name: unknown}, lua: []}\n",
                )],
                at: "GRPCRoute",
                says: "if GRPCRoute unknown is a part",
                good: &[(
                    "",
                    "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: EnvoyExtensionPolicy\nmetadata: {name: other, namespace: other}\nspec: {targetRef: {kind: GRPCRoute, name: unknown}, lua: []}\n",
                )],
            },
            Row {
                kind: "route-without-filter",
                level: ERROR,
                bad: &[(
                    "",
                    "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: EnvoyExtensionPolicy\nmetadata: {name: other}\nspec: {targetRefs: [{kind: Gateway, name: eg, sectionName: https}], lua: []}\n",
                )],
                at: "https",
                says: "in the place of",
                good: &[(
                    "",
                    "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: EnvoyExtensionPolicy\nmetadata: {name: other}\nspec: {targetRefs: [{kind: Gateway, name: other, sectionName: https}], lua: []}\n",
                )],
            },
            Row {
                kind: "route-without-filter",
                level: WARNING,
                bad: &[(
                    "",
                    "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: EnvoyExtensionPolicy\nmetadata: {name: other}\nspec: {targetRefs: [{kind: Gateway, name: eg}], lua: []}\n",
                )],
                at: "name: eg",
                says: "only the older one counts",
                good: &[(
                    "",
                    "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: EnvoyExtensionPolicy\nmetadata: {name: other}\nspec: {targetRefs: [{kind: Gateway, name: other}], lua: []}\n",
                )],
            },
            Row {
                kind: "jwt-authn-beside",
                level: WARNING,
                bad: &[(
                    "",
                    "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: SecurityPolicy\nmetadata: {name: jwt}\nspec: {targetRefs: [{kind: HTTPRoute, name: api}], jwt: {providers: []}}\n",
                )],
                at: "jwt",
                says: "migrate",
                good: &[(
                    "",
                    "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: SecurityPolicy\nmetadata: {name: jwt}\nspec: {targetRefs: [{kind: HTTPRoute, name: idp}], jwt: {providers: []}}\n",
                )],
            },
            Row {
                kind: "other-authentication",
                level: WARNING,
                bad: &[(
                    "",
                    "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: SecurityPolicy\nmetadata: {name: people}\nspec: {targetRefs: [{kind: Gateway, name: eg}], oidc: {}}\n",
                )],
                at: "oidc",
                says: "signs people in",
                good: &[(
                    "",
                    "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: SecurityPolicy\nmetadata: {name: people}\nspec: {targetRefs: [{kind: Gateway, name: eg}], cors: {}}\n",
                )],
            },
            // ours on a route, the other on its Gateway
            Row {
                kind: "other-authentication",
                level: WARNING,
                bad: &[
                    (TARGET, "{kind: HTTPRoute, name: api}"),
                    (
                        "",
                        "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: SecurityPolicy\nmetadata: {name: keys}\nspec: {targetRefs: [{kind: Gateway, name: eg}], apiKeyAuth: {}}\n",
                    ),
                ],
                at: "apiKeyAuth",
                says: "API key",
                good: &[
                    (TARGET, "{kind: HTTPRoute, name: api}"),
                    (
                        "",
                        "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: SecurityPolicy\nmetadata: {name: keys}\nspec: {targetRefs: [{kind: Gateway, name: other}], apiKeyAuth: {}}\n",
                    ),
                ],
            },
            Row {
                kind: "filter-order",
                level: WARNING,
                bad: &[(
                    "",
                    "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: SecurityPolicy\nmetadata: {name: asks}\nspec: {targetRefs: [{kind: Gateway, name: eg}], extAuth: {}}\n",
                )],
                at: "extAuth",
                says: "forged",
                good: &[
                    (
                        "",
                        "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: SecurityPolicy\nmetadata: {name: asks}\nspec: {targetRefs: [{kind: Gateway, name: eg}], extAuth: {}}\n",
                    ),
                    (
                        "  bootstrap:\n",
                        "  filterOrder: [{name: envoy.filters.http.wasm, before: envoy.filters.http.ext_authz}]\n  bootstrap:\n",
                    ),
                ],
            },
            // before the filter, though it has been moved
            Row {
                kind: "filter-order",
                level: WARNING,
                bad: &[
                    (
                        "",
                        "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: SecurityPolicy\nmetadata: {name: asks}\nspec: {targetRefs: [{kind: Gateway, name: eg}], extAuth: {}}\n",
                    ),
                    (
                        "  bootstrap:\n",
                        "  filterOrder: [{name: envoy.filters.http.ext_authz, before: envoy.filters.http.wasm}, {name: envoy.filters.http.ratelimit, after: envoy.filters.http.ratelimit}, {name: unknown, before: envoy.filters.http.lua}]\n  bootstrap:\n",
                    ),
                ],
                at: "extAuth",
                says: "forged",
                good: &[
                    (
                        "",
                        "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: SecurityPolicy\nmetadata: {name: asks}\nspec: {targetRefs: [{kind: Gateway, name: eg}], extAuth: {}}\n",
                    ),
                    (
                        "  bootstrap:\n",
                        "  filterOrder: [{name: envoy.filters.http.ext_authz, before: envoy.filters.http.rbac}]\n  bootstrap:\n",
                    ),
                ],
            },
            Row {
                kind: "path-normalization",
                level: WARNING,
                bad: &[(
                    "",
                    "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: ClientTrafficPolicy\nspec: {targetRefs: [{kind: Gateway, name: eg}], path: {disableMergeSlashes: true}}\n",
                )],
                at: "disableMergeSlashes",
                says: "another way",
                good: &[(
                    "",
                    "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: ClientTrafficPolicy\nspec: {targetRefs: [{kind: Gateway, name: other}], path: {disableMergeSlashes: true}}\n",
                )],
            },
            Row {
                kind: "escaped-slashes",
                level: WARNING,
                bad: &[(
                    "",
                    "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: ClientTrafficPolicy\nspec: {targetRefs: [{kind: Gateway, name: eg}], path: {escapedSlashesAction: KeepUnchanged}}\n",
                )],
                at: "KeepUnchanged",
                says: "RejectRequest",
                good: &[(
                    "",
                    "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: ClientTrafficPolicy\nspec: {targetRefs: [{kind: Gateway, name: eg}], path: {escapedSlashesAction: UnescapeAndRedirect}}\n",
                )],
            },
            Row {
                kind: "escaped-slashes",
                level: WARNING,
                bad: &[(
                    "",
                    "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: ClientTrafficPolicy\nspec: {targetRefs: [{kind: Gateway, name: eg}], path: {escapedSlashesAction: UnescapeAndForward}}\n",
                )],
                at: "UnescapeAndForward",
                says: "RejectRequest",
                good: &[(
                    "",
                    "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: ClientTrafficPolicy\nspec: {targetRefs: [{kind: Gateway, name: eg}], path: {escapedSlashesAction: RejectRequest}}\n",
                )],
            },
            Row {
                kind: "underscores",
                level: WARNING,
                bad: &[(
                    "",
                    "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: ClientTrafficPolicy\nspec: {targetRefs: [{kind: Gateway, name: eg}], headers: {withUnderscoresAction: Allow}}\n",
                )],
                at: "Allow",
                says: "X_User",
                good: &[(
                    "",
                    "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: ClientTrafficPolicy\nspec: {targetRefs: [{kind: Gateway, name: eg}], headers: {withUnderscoresAction: DropHeader}}\n",
                )],
            },
            Row {
                kind: "request-timeout",
                level: WARNING,
                bad: &[(
                    "",
                    "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: ClientTrafficPolicy\nspec: {targetRefs: [{kind: Gateway, name: eg}], timeout: {http: {requestReceivedTimeout: 3s}}}\n",
                )],
                at: "requestReceivedTimeout: 3s",
                says: "requestReceivedTimeout: 13s",
                good: &[(
                    "",
                    "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: ClientTrafficPolicy\nspec: {targetRefs: [{kind: Gateway, name: eg}], timeout: {http: {requestReceivedTimeout: 1m}}}\n",
                )],
            },
        ],
    );
}
