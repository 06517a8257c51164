//! `check` of patches of Envoy's configuration: `EnvoyFilter` of Istio, `EnvoyPatchPolicy` of Envoy
//! Gateway.

use super::{ERROR, Row, WARNING, compare, findings, gateway, istio};
use crate::{Files, run};

#[test]
fn what_an_envoy_filter_does() {
    compare(
        istio::GOOD,
        &[
            Row {
                kind: "credential-logged",
                level: WARNING,
                bad: filter!(
                    "NETWORK_FILTER",
                    "{context: GATEWAY}",
                    "{operation: MERGE, value: {typed_config: {access_log: [{typed_config: {log_format: {text_format_source: {inline_string: '%REQ(AUTHORIZATION)%'}}}}]}}}"
                ),
                at: "AUTHORIZATION",
                says: "whoever reads the log",
                good: filter!(
                    "NETWORK_FILTER",
                    "{context: GATEWAY}",
                    "{operation: MERGE, value: {typed_config: {access_log: [{typed_config: {log_format: {text_format_source: {inline_string: '%RESPONSE_CODE%'}}}}]}}}"
                ),
            },
            Row {
                kind: "filter-disabled",
                level: ERROR,
                bad: filter!(
                    "HTTP_FILTER",
                    "{context: GATEWAY, listener: {filterChain: {filter: {subFilter: {name: extenstions.istio.io/wasmplugin/edge.bearer-gate}}}}}",
                    "{operation: REMOVE}"
                ),
                at: "applyTo",
                says: "removes the filter",
                good: filter!(
                    "HTTP_FILTER",
                    "{context: GATEWAY, listener: {filterChain: {filter: {subFilter: {name: envoy.filters.http.cors}}}}}",
                    "{operation: REMOVE}"
                ),
            },
            // of all filters
            Row {
                kind: "filter-disabled",
                level: ERROR,
                bad: filter!("HTTP_FILTER", "{context: GATEWAY}", "{operation: REMOVE}"),
                at: "applyTo",
                says: "removes the filter",
                good: filter!(
                    "HTTP_FILTER",
                    "{context: SIDECAR_INBOUND}",
                    "{operation: REMOVE}"
                ),
            },
            Row {
                kind: "filter-disabled",
                level: ERROR,
                bad: filter!(
                    "HTTP_FILTER",
                    "{listener: {filterChain: {filter: {subFilter: {name: extenstions.istio.io/wasmplugin/edge.bearer-gate}}}}}",
                    "{operation: MERGE, value: {disabled: true}}"
                ),
                at: "disabled",
                says: "turns the filter off",
                good: filter!(
                    "HTTP_FILTER",
                    "{listener: {filterChain: {filter: {subFilter: {name: extenstions.istio.io/wasmplugin/edge.other}}}}}",
                    "{operation: MERGE, value: {disabled: true}}"
                ),
            },
            Row {
                kind: "filter-disabled",
                level: ERROR,
                bad: filter!(
                    "NETWORK_FILTER",
                    "{context: GATEWAY}",
                    "{operation: REPLACE, value: {name: tcp}}"
                ),
                at: "applyTo",
                says: "nobody asks for tokens",
                good: filter!(
                    "NETWORK_FILTER",
                    "{context: GATEWAY}",
                    "{operation: MERGE, value: {typed_config: {merge_slashes: true}}}"
                ),
            },
            Row {
                kind: "request-timeout",
                level: WARNING,
                bad: filter!(
                    "NETWORK_FILTER",
                    "{context: GATEWAY}",
                    "{operation: MERGE, value: {typed_config: {request_timeout: 3s}}}"
                ),
                at: "request_timeout: 3s",
                says: "a request may wait",
                good: filter!(
                    "NETWORK_FILTER",
                    "{context: GATEWAY}",
                    "{operation: MERGE, value: {typed_config: {request_timeout: 30s}}}"
                ),
            },
            Row {
                kind: "failure-policy",
                level: ERROR,
                bad: filter!(
                    "EXTENSION_CONFIG",
                    "{context: GATEWAY}",
                    "{operation: MERGE, value: {typed_config: {config: {failure_policy: FAIL_OPEN}}}}"
                ),
                at: "FAIL_OPEN",
                says: "everybody gets in",
                good: filter!(
                    "EXTENSION_CONFIG",
                    "{context: GATEWAY}",
                    "{operation: MERGE, value: {typed_config: {config: {failure_policy: FAIL_RELOAD}}}}"
                ),
            },
            Row {
                kind: "filter-order",
                level: WARNING,
                bad: filter!(
                    "HTTP_FILTER",
                    "{context: GATEWAY}",
                    "{operation: INSERT_FIRST, value: {name: lua, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua}}}"
                ),
                at: "name: lua",
                says: "Lua is put before",
                good: filter!(
                    "HTTP_FILTER",
                    "{context: GATEWAY}",
                    "{operation: INSERT_FIRST, value: {name: cors, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors}}}"
                ),
            },
            Row {
                kind: "filter-order",
                level: WARNING,
                bad: filter!(
                    "HTTP_FILTER",
                    "{context: GATEWAY}",
                    "{operation: INSERT_BEFORE, value: {name: lua, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua}}}"
                ),
                at: "name: lua",
                says: "INSERT_BEFORE the router",
                good: filter!(
                    "HTTP_FILTER",
                    "{context: GATEWAY, listener: {filterChain: {filter: {subFilter: {name: envoy.filters.http.router}}}}}",
                    "{operation: INSERT_BEFORE, value: {name: lua, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua}}}"
                ),
            },
            Row {
                kind: "upgrade-without-filter",
                level: ERROR,
                bad: filter!(
                    "NETWORK_FILTER",
                    "{context: GATEWAY}",
                    "{operation: MERGE, value: {typed_config: {upgrade_configs: [{upgrade_type: websocket, filters: [{name: envoy.filters.http.router}]}]}}}"
                ),
                at: "upgrade_configs",
                says: "websocket",
                good: filter!(
                    "NETWORK_FILTER",
                    "{context: GATEWAY}",
                    "{operation: MERGE, value: {typed_config: {upgrade_configs: [{upgrade_type: websocket}]}}}"
                ),
            },
            Row {
                kind: "path-normalization",
                level: WARNING,
                bad: filter!(
                    "NETWORK_FILTER",
                    "{context: GATEWAY}",
                    "{operation: MERGE, value: {typed_config: {normalizePath: false}}}"
                ),
                at: "normalizePath",
                says: "another way",
                good: filter!(
                    "NETWORK_FILTER",
                    "{context: GATEWAY}",
                    "{operation: MERGE, value: {typed_config: {normalizePath: true}}}"
                ),
            },
            Row {
                kind: "route-without-filter",
                level: ERROR,
                bad: filter!(
                    "HTTP_ROUTE",
                    "{context: GATEWAY}",
                    "{operation: MERGE, value: {typed_per_filter_config: {extenstions.istio.io/wasmplugin/edge.bearer-gate: {disabled: true}}}}"
                ),
                at: "disabled: true",
                says: "without a token",
                good: filter!(
                    "HTTP_ROUTE",
                    "{context: GATEWAY}",
                    "{operation: MERGE, value: {typed_per_filter_config: {envoy.filters.http.fault: {disabled: true}}}}"
                ),
            },
            Row {
                kind: "other-chain",
                level: WARNING,
                bad: filter!(
                    "LISTENER",
                    "{context: GATEWAY}",
                    "{operation: ADD, value: {name: other}}"
                ),
                at: "applyTo: LISTENER",
                says: "a way in",
                good: &[],
            },
            Row {
                kind: "certificate-unverified",
                level: ERROR,
                bad: filter!(
                    "CLUSTER",
                    "{context: GATEWAY, cluster: {service: idp.example, portNumber: 443}}",
                    "{operation: MERGE, value: {transport_socket: {name: tls, typed_config: {'@type': type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext, common_tls_context: {validation_context: {trust_chain_verification: ACCEPT_UNTRUSTED}}}}}}"
                ),
                at: "ACCEPT_UNTRUSTED",
                says: "anybody's",
                good: filter!(
                    "CLUSTER",
                    "{context: GATEWAY, cluster: {service: other.example}}",
                    "{operation: MERGE, value: {transport_socket: {name: tls, typed_config: {'@type': type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext, common_tls_context: {validation_context: {trust_chain_verification: ACCEPT_UNTRUSTED}}}}}}"
                ),
            },
            Row {
                kind: "cluster-without-tls",
                level: ERROR,
                bad: filter!(
                    "CLUSTER",
                    "{context: GATEWAY}",
                    "{operation: MERGE, value: {transport_socket: {name: raw, typed_config: {'@type': type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer}}}}"
                ),
                at: "RawBuffer",
                says: "takes TLS",
                good: filter!(
                    "CLUSTER",
                    "{context: GATEWAY, cluster: {name: 'outbound|443||other.example'}}",
                    "{operation: MERGE, value: {transport_socket: {name: raw, typed_config: {'@type': type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer}}}}"
                ),
            },
            Row {
                kind: "filter-order",
                level: ERROR,
                bad: filter!(
                    "HTTP_FILTER",
                    "{context: GATEWAY}",
                    "{operation: INSERT_FIRST, value: {name: cache, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.cache.v3.CacheConfig}}}"
                ),
                at: "name: cache",
                says: "past the filter",
                good: filter!(
                    "HTTP_FILTER",
                    "{context: GATEWAY}",
                    "{operation: INSERT_FIRST, value: {name: cors, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors}}}"
                ),
            },
            // the TLS of a cluster that a patch adds is looked at as in Envoy's own file
            Row {
                kind: "certificate-unverified",
                level: ERROR,
                bad: &[
                    (istio::CLUSTER, "idp"),
                    (
                        "",
                        "apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nspec: {configPatches: [{applyTo: CLUSTER, patch: {operation: ADD, value: {name: idp, transport_socket: {typed_config: {'@type': type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext, sni: idp.example}}}}}]}\n",
                    ),
                ],
                at: "name: idp",
                says: "any certificate",
                good: &[
                    (istio::CLUSTER, "idp"),
                    (
                        "",
                        "apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nspec: {configPatches: [{applyTo: CLUSTER, patch: {operation: ADD, value: {name: idp, transport_socket: {typed_config: {'@type': type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext, sni: idp.example, auto_sni_san_validation: true, common_tls_context: {validation_context: {trusted_ca: {filename: /ca}}}}}}}}]}\n",
                    ),
                ],
            },
        ],
    );
}

#[test]
fn what_an_envoy_patch_policy_does() {
    compare(
        gateway::GOOD,
        &[
            // routes turn the filter on
            Row {
                kind: "route-without-filter",
                level: ERROR,
                bad: policy!(
                    "eg",
                    "route.v3.RouteConfiguration",
                    "{op: remove, path: /virtual_hosts/0/routes/0/typed_per_filter_config}"
                ),
                at: "remove",
                says: "turns the filter on",
                good: policy!(
                    "eg",
                    "route.v3.RouteConfiguration",
                    "{op: remove, path: /virtual_hosts/0/routes/0/typed_per_filter_config/envoy.filters.http.cors}"
                ),
            },
            Row {
                kind: "route-without-filter",
                level: ERROR,
                bad: policy!(
                    "eg",
                    "route.v3.RouteConfiguration",
                    "{op: remove, path: /virtual_hosts/0/routes/0/typed_per_filter_config/envoy.filters.http.wasm~1envoyextensionpolicy~1edge~1bearer-gate~1wasm~10}"
                ),
                at: "remove",
                says: "without a token",
                good: policy!(
                    "other",
                    "route.v3.RouteConfiguration",
                    "{op: remove, path: /virtual_hosts/0/routes/0/typed_per_filter_config}"
                ),
            },
            Row {
                kind: "other-chain",
                level: WARNING,
                bad: policy!(
                    "eg",
                    "listener.v3.Listener",
                    "{op: add, path: /filter_chains/0, value: {filters: []}}"
                ),
                at: "filter_chains",
                says: "adds a way in",
                good: policy!(
                    "eg",
                    "listener.v3.Listener",
                    "{op: add, path: /filter_chains/0/name, value: first}"
                ),
            },
            Row {
                kind: "filter-disabled",
                level: WARNING,
                bad: policy!(
                    "eg",
                    "listener.v3.Listener",
                    "{op: remove, path: /default_filter_chain/filters/0/typed_config/http_filters/0}"
                ),
                at: "op: remove",
                says: "may be this one",
                good: policy!(
                    "other",
                    "listener.v3.Listener",
                    "{op: remove, path: /default_filter_chain/filters/0/typed_config/http_filters/0}"
                ),
            },
            Row {
                kind: "filter-disabled",
                level: ERROR,
                bad: policy!(
                    "eg",
                    "listener.v3.Listener",
                    "{op: remove, jsonPath: \"..http_filters[?(@.name=='envoy.filters.http.wasm/envoyextensionpolicy/edge/bearer-gate/wasm/0')]\"}"
                ),
                at: "op: remove",
                says: "may be this one",
                good: policy!(
                    "eg",
                    "listener.v3.Listener",
                    "{op: remove, jsonPath: \"..http_filters[?(@.name=='envoy.filters.http.cors')]\"}"
                ),
            },
            Row {
                kind: "filter-disabled",
                level: WARNING,
                bad: policy!(
                    "eg",
                    "listener.v3.Listener",
                    "{op: add, path: /default_filter_chain/filters/0/typed_config/http_filters/0/disabled, value: true}"
                ),
                at: "op: add",
                says: "turns a filter off",
                good: policy!(
                    "eg",
                    "listener.v3.Listener",
                    "{op: add, path: /default_filter_chain/filters/0/typed_config/http_filters/0/disabled, value: false}"
                ),
            },
            Row {
                kind: "filter-order",
                level: WARNING,
                bad: policy!(
                    "eg",
                    "listener.v3.Listener",
                    "{op: add, path: /default_filter_chain/filters/0/typed_config/http_filters/0, value: {name: lua, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua}}}"
                ),
                at: "name: lua",
                says: "Lua",
                good: policy!(
                    "eg",
                    "listener.v3.Listener",
                    "{op: add, path: /default_filter_chain/filters/0/typed_config/http_filters/0, value: {name: cors, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors}}}"
                ),
            },
            Row {
                kind: "upgrade-without-filter",
                level: ERROR,
                bad: policy!(
                    "eg",
                    "listener.v3.Listener",
                    "{op: add, path: /default_filter_chain/filters/0/typed_config/upgrade_configs, value: [{upgrade_type: websocket, filters: [{name: envoy.filters.http.router}]}]}"
                ),
                at: "upgrade_configs",
                says: "websocket",
                good: policy!(
                    "eg",
                    "listener.v3.Listener",
                    "{op: add, path: /default_filter_chain/filters/0/typed_config/upgrade_configs, value: [{upgrade_type: websocket}]}"
                ),
            },
            Row {
                kind: "path-normalization",
                level: WARNING,
                bad: policy!(
                    "eg",
                    "listener.v3.Listener",
                    "{op: replace, path: /default_filter_chain/filters/0/typed_config/normalize_path, value: false}"
                ),
                at: "normalize_path",
                says: "another way",
                good: policy!(
                    "eg",
                    "listener.v3.Listener",
                    "{op: add, path: /default_filter_chain/filters/0/typed_config/strip_trailing_host_dot, value: true}"
                ),
            },
            Row {
                kind: "route-without-filter",
                level: ERROR,
                bad: policy!(
                    "eg",
                    "route.v3.RouteConfiguration",
                    "{op: add, path: /virtual_hosts/0/typed_per_filter_config, value: {envoy.filters.http.wasm/envoyextensionpolicy/edge/bearer-gate/wasm/0: {disabled: true}}}"
                ),
                at: "disabled: true",
                says: "without a token",
                good: policy!(
                    "eg",
                    "route.v3.RouteConfiguration",
                    "{op: add, path: /virtual_hosts/0/typed_per_filter_config, value: {envoy.filters.http.fault: {disabled: true}}}"
                ),
            },
            Row {
                kind: "route-without-filter",
                level: ERROR,
                bad: policy!(
                    "eg",
                    "route.v3.RouteConfiguration",
                    "{op: add, path: /virtual_hosts/0/typed_per_filter_config/envoy.filters.http.wasm~1envoyextensionpolicy~1edge~1bearer-gate~1wasm~10, value: {disabled: true}}"
                ),
                at: "disabled: true",
                says: "without a token",
                good: &[],
            },
        ],
    );
}

/// What of a patch is not looked at is no finding.
#[test]
fn what_is_not_looked_at_is_said() {
    let not_read: &[(&str, &str)] = filter!(
        "BOOTSTRAP",
        "{context: GATEWAY}",
        "{operation: MERGE, value: {stats_config: {}}}"
    );
    let read: &[(&str, &str)] = filter!(
        "NETWORK_FILTER",
        "{context: GATEWAY}",
        "{operation: MERGE, value: {typed_config: {merge_slashes: true}}}"
    );
    for (patch, is_told) in [(not_read, true), (read, false)] {
        let text = format!("{}---\n{}", istio::GOOD, patch[0].1);
        assert_eq!(findings(&text), (0, vec![]));
        let files = Files::in_a_directory();
        let file = files.with("mesh.yaml", &text);
        let ran = run(&["check", "--strict", &file]);
        assert_eq!(ran.code, 0, "{}", ran.out);
        let note = "note: of this patch of BOOTSTRAP only";
        assert_eq!(ran.out.contains(note), is_told, "{}", ran.out);
        let report = run(&["check", "--json", &file]).json();
        assert_eq!(
            report[0]["notes"].as_array().unwrap().len(),
            usize::from(is_told)
        );
        let report = run(&["check", "--format", "sarif", &file]).json();
        let told = &report["runs"][0]["invocations"][0]["toolExecutionNotifications"];
        assert_eq!(told.as_array().unwrap().len(), usize::from(is_told));
    }
}

/// What a `Kustomization` makes of the other files is in none of them.
#[test]
fn what_kustomize_changes_is_not_looked_at() {
    let table = [
        ("resources: [plugin.yaml]", None),
        (
            "patches: [{path: open.yaml}]",
            Some("note: patches are not"),
        ),
        ("helmCharts: [{name: a}]", Some("note: helmCharts are not")),
    ];
    for (field, told) in table {
        let text = format!(
            "{}---\napiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n{field}\n",
            istio::GOOD
        );
        let files = Files::in_a_directory();
        let ran = run(&["check", "--strict", &files.with("mesh.yaml", &text)]);
        assert_eq!(ran.code, 0, "{}", ran.out);
        assert_eq!(ran.out.contains("note: "), told.is_some(), "{}", ran.out);
        assert!(
            told.is_none_or(|told| ran.out.contains(told)),
            "{}",
            ran.out
        );
    }
}
