//! `check` of what gives every request a credential.

use super::gateway::GOOD;
use super::{Row, WARNING, compare, gateway, istio};

/// A route with a filter that gives its requests a credential, in this header.
macro_rules! injection {
    ($header:literal) => {
        (
            "",
            concat!(
                "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: injecting, namespace: edge}\nspec:\n  parentRefs: [{name: eg}]\n  rules: [{filters: [{type: ExtensionRef, extensionRef: {kind: HTTPRouteFilter, name: f}}], backendRefs: [{name: api}]}]\n---\napiVersion: gateway.envoyproxy.io/v1alpha1\nkind: HTTPRouteFilter\nmetadata: {name: f, namespace: edge}\nspec: {credentialInjection: {",
                $header,
                "credential: {valueRef: {name: token}}}}\n"
            ),
        )
    };
}

/// Headers that a `ClientTrafficPolicy` sets before all filters.
macro_rules! early {
    ($headers:literal) => {
        &[(
            "",
            concat!(
                "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: ClientTrafficPolicy\nspec: {targetRefs: [{kind: Gateway, name: eg}], headers: {earlyRequestHeaders: ",
                $headers,
                "}}\n"
            ),
        )]
    };
}

#[test]
fn what_gives_everybody_a_token() {
    const FIRST: (&str, &str) = (
        "  bootstrap:\n",
        "  filterOrder: [{name: envoy.filters.http.credential_injector, before: envoy.filters.http.wasm}]\n  bootstrap:\n",
    );
    compare(
        GOOD,
        &[
            Row {
                kind: "filter-order",
                level: WARNING,
                bad: &[injection!(""), FIRST],
                at: "credentialInjection",
                says: "gives every request authorization",
                good: &[injection!("")],
            },
            Row {
                kind: "filter-order",
                level: WARNING,
                bad: &[injection!("header: Authorization, "), FIRST],
                at: "credentialInjection",
                says: "everybody gets in",
                good: &[injection!("header: X-Key, "), FIRST],
            },
            Row {
                kind: "filter-order",
                level: WARNING,
                bad: early!("{set: [{name: Authorization, value: Bearer a}]}"),
                at: "Authorization",
                says: "gives every request Authorization",
                good: early!("{set: [{name: X-Other, value: a}], remove: [Authorization]}"),
            },
            Row {
                kind: "filter-order",
                level: WARNING,
                bad: early!("{addIfAbsent: [{name: authorization, value: Bearer a}]}"),
                at: "authorization",
                says: "everybody gets in",
                good: &[],
            },
        ],
    );
    const CLAIM: super::Change = &[(
        "audiences: [a]",
        "audiences: [a]\n          claim_to_headers: [{header_name: x-key, claim_name: sub}]",
    )];
    compare(
        &super::with(GOOD, CLAIM),
        &[Row {
            kind: "claim-header-set",
            level: WARNING,
            bad: &[injection!("header: X-Key, ")],
            at: "X-Key",
            says: "another header",
            good: &[injection!("header: X-Other, ")],
        }],
    );
}

/// What gives every request this header, as the value of a patch.
macro_rules! gives {
    (injector $operation:literal, $header:literal) => {
        filter!(
            "HTTP_FILTER",
            "{context: GATEWAY}",
            concat!(
                "{operation: ", $operation, ", value: {name: injector, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.credential_injector.v3.CredentialInjector, credential: {name: generic, typed_config: {'@type': type.googleapis.com/envoy.extensions.http.injected_credentials.generic.v3.Generic, header: ", $header, "}}}}}"
            )
        )
    };
    (early $header:literal) => {
        filter!(
            "NETWORK_FILTER",
            "{context: GATEWAY}",
            concat!(
                "{operation: MERGE, value: {typed_config: {early_header_mutation_extensions: [{name: early, typed_config: {'@type': type.googleapis.com/envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation, mutations: [{append: {header: {key: ", $header, ", value: Bearer a}}}]}}]}}}"
            )
        )
    };
}

#[test]
fn a_patch_that_gives_everybody_a_token() {
    let row = |bad: super::Change, good: super::Change| Row {
        kind: "filter-order",
        level: WARNING,
        bad,
        at: "Authorization",
        says: "everybody gets in",
        good,
    };
    compare(
        istio::GOOD,
        &[
            row(
                gives!(injector "INSERT_FIRST", "Authorization"),
                gives!(injector "INSERT_FIRST", "X-Key"),
            ),
            row(gives!(early "Authorization"), gives!(early "X-Key")),
        ],
    );
    compare(
        gateway::GOOD,
        &[row(
            policy!(
                "eg",
                "listener.v3.Listener",
                "{op: add, path: /default_filter_chain/filters/0/typed_config/http_filters/0, value: {name: setter, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation, mutations: {request_mutations: [{append: {header: {key: Authorization}}}]}}}}"
            ),
            policy!(
                "eg",
                "listener.v3.Listener",
                "{op: add, path: /default_filter_chain/filters/0/typed_config/http_filters/0, value: {name: setter, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation, mutations: {request_mutations: [{append: {header: {key: X-Key}}}]}}}}"
            ),
        )],
    );
}
