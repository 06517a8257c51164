//! `check` of ways in that patches add: filter chains, listeners of the bootstrap, and tunnels.

use super::{Row, WARNING, compare, gateway, istio};
use crate::{Files, run};

/// A chain of a TCP proxy.
macro_rules! chain {
    () => {
        "{filters: [{name: tcp, typed_config: {cluster: api}}]}"
    };
}

/// A route that ends a tunnel, or not.
macro_rules! tunnel {
    ($allow:literal) => {
        concat!(
            "[{upgrade_type: CONNECT, connect_config: {allow_post: ",
            $allow,
            "}}]"
        )
    };
}

/// What is merged into a resource of Istio's.
macro_rules! merged {
    ($($value:tt)+) => {
        concat!("{operation: MERGE, value: ", $($value)+, "}")
    };
}

/// Another patch of the bootstrap.
macro_rules! bootstrap {
    ($path:literal, $value:literal) => {
        &[(
            "    - op: add\n",
            concat!(
                "    - {op: add, path: ",
                $path,
                ", value: {name: other, ",
                $value,
                "}}\n    - op: add\n"
            ),
        )]
    };
}

#[test]
fn what_an_envoy_filter_adds() {
    compare(
        istio::GOOD,
        &[
            Row {
                kind: "other-chain",
                level: WARNING,
                bad: filter!(
                    "LISTENER",
                    "{context: GATEWAY}",
                    merged!("{default_filter_chain: ", chain!(), "}")
                ),
                at: "applyTo",
                says: "adds a way in",
                good: filter!(
                    "LISTENER",
                    "{context: GATEWAY}",
                    merged!("{per_connection_buffer_limit_bytes: 1}")
                ),
            },
            Row {
                kind: "other-chain",
                level: WARNING,
                bad: filter!(
                    "BOOTSTRAP",
                    "{context: GATEWAY}",
                    merged!(
                        "{static_resources: {listeners: [{name: a, filter_chains: [",
                        chain!(),
                        "]}]}}"
                    )
                ),
                at: "applyTo",
                says: "adds a way in",
                good: filter!(
                    "BOOTSTRAP",
                    "{context: GATEWAY}",
                    merged!("{stats_config: {}}")
                ),
            },
            Row {
                kind: "requests-tunnelled",
                level: WARNING,
                bad: filter!(
                    "HTTP_ROUTE",
                    "{context: GATEWAY}",
                    merged!("{route: {upgrade_configs: ", tunnel!("true"), "}}")
                ),
                at: "allow_post",
                says: "no filter reads",
                good: filter!(
                    "HTTP_ROUTE",
                    "{context: GATEWAY}",
                    merged!("{route: {upgrade_configs: ", tunnel!("false"), "}}")
                ),
            },
        ],
    );
}

#[test]
fn what_an_envoy_patch_policy_adds() {
    compare(
        gateway::GOOD,
        &[
            Row {
                kind: "other-chain",
                level: WARNING,
                bad: policy!(
                    "eg",
                    "listener.v3.Listener",
                    "{op: replace, path: /default_filter_chain, value: {filters: [{name: tcp, typed_config: {cluster: api}}]}}"
                ),
                at: "default_filter_chain",
                says: "adds a way in",
                good: policy!(
                    "eg",
                    "listener.v3.Listener",
                    "{op: replace, path: /default_filter_chain/name, value: first}"
                ),
            },
            Row {
                kind: "other-chain",
                level: WARNING,
                bad: policy!(
                    "eg",
                    "listener.v3.Listener",
                    "{op: replace, path: /default_filter_chain/filters, value: [{name: tcp, typed_config: {cluster: api}}]}"
                ),
                at: "filters",
                says: "adds a way in",
                good: policy!(
                    "eg",
                    "listener.v3.Listener",
                    "{op: add, path: /default_filter_chain/filters/0, value: {name: envoy.filters.network.rbac, typed_config: {stat_prefix: a}}}"
                ),
            },
            // a whole listener
            Row {
                kind: "other-chain",
                level: WARNING,
                bad: policy!(
                    "eg",
                    "listener.v3.Listener",
                    "{op: add, path: '', value: {name: a, filter_chains: [{filters: [{name: tcp, typed_config: {cluster: api}}]}]}}"
                ),
                at: "filter_chains",
                says: "adds a way in",
                good: policy!(
                    "other",
                    "listener.v3.Listener",
                    "{op: add, path: '', value: {name: a, filter_chains: [{filters: [{name: tcp, typed_config: {cluster: api}}]}]}}"
                ),
            },
            Row {
                kind: "requests-tunnelled",
                level: WARNING,
                bad: policy!(
                    "eg",
                    "route.v3.RouteConfiguration",
                    "{op: add, path: /virtual_hosts/0/routes/0/route/upgrade_configs, value: [{upgrade_type: CONNECT, connect_config: {allow_post: true}}]}"
                ),
                at: "allow_post",
                says: "no filter reads",
                good: policy!(
                    "eg",
                    "route.v3.RouteConfiguration",
                    "{op: add, path: /virtual_hosts/0/routes/0/route/upgrade_configs, value: [{upgrade_type: websocket}]}"
                ),
            },
            Row {
                kind: "other-chain",
                level: WARNING,
                bad: bootstrap!(
                    "/static_resources/listeners/-",
                    "filter_chains: [{filters: [{name: tcp, typed_config: {cluster: api}}]}]"
                ),
                at: "listeners",
                says: "adds a way in",
                good: bootstrap!("/static_resources/secrets/-", "generic_secret: {}"),
            },
        ],
    );
}

#[test]
fn a_bootstrap_as_a_text_is_noted() {
    let files = Files::in_a_directory();
    let noted = |bootstrap: &str| {
        let proxy = format!(
            "---\napiVersion: gateway.envoyproxy.io/v1alpha1\nkind: EnvoyProxy\nmetadata: {{name: a}}\nspec: {{bootstrap: {bootstrap}}}\n"
        );
        let file = files.with("mesh.yaml", &format!("{}{proxy}", gateway::GOOD));
        let ran = run(&["check", "--strict", &file]);
        assert_eq!(ran.code, 0, "{}", ran.out);
        ran.out.contains("a bootstrap as a text is not read")
    };
    assert!(noted("{type: Merge, value: 'static_resources: {}'}"));
    assert!(!noted("{type: JSONPatch, jsonPatches: []}"));
}
