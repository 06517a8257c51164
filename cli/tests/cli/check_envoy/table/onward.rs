//! Listeners of the same Envoy behind the filter: within Envoy, or at an address of its own; and listeners that
//! Envoy does not have beside each other.

use super::entrances::{INTERNAL, TO_INNER};
use super::{CLAIM_HEADER, OTHER, Proof, Row, STATIC, WARNING};

/// A listener within Envoy, with a route to the upstream.
macro_rules! inner {
    ($route:literal) => {
        inner_listener!(connection_manager!("inner"; ""; ""; $route))
    };
}

/// A listener within Envoy, in which Lua does this with the headers of requests.
macro_rules! inner_lua {
    ($call:literal) => {
        inner_listener!(connection_manager!(
            "inner";
            "";
            concat!(
                r#"        - name: lua
          typed_config:
            "@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua
            default_source_code: {inline_string: "function envoy_on_request(h) h:headers()"#,
                $call,
                " end\"}\n"
            );
            "{match: {prefix: /}, route: {cluster: api}}"
        ))
    };
}

/// A route of this beginning to the listener within Envoy.
const ALL_TO_INNER: &str = "- match: {prefix: /}\n  route: {cluster: inner}";
const OPEN: &str = "- match: {path_separated_prefix: /open}";

/// Another listener that has the filter.
macro_rules! guarded {
    ($route:literal) => {
        other_listener!(connection_manager!(
            "other";
            "        normalize_path: true
        merge_slashes: true
        strip_trailing_host_dot: true
        strip_any_host_port: true
        path_with_escaped_slashes_action: REJECT_REQUEST
        common_http_protocol_options: {headers_with_underscores_action: REJECT_REQUEST}
        request_timeout: 30s
";
            r#"        - name: gate
          typed_config:
            "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
            config:
              name: bearer-gate
              vm_config: {vm_id: bearer-gate, runtime: envoy.wasm.runtime.v8, code: {local: {filename: /opt/bearer-gate/plugin.wasm}}}
              failure_policy: FAIL_RELOAD
              configuration:
                "@type": type.googleapis.com/google.protobuf.Struct
                value:
                  providers:
                    idp:
                      issuer: https://idp.example.com/
                      audiences: [https://api.example.com]
                      local_jwks: {inline_string: '{"keys": [{"kty": "EC", "crv": "P-256", "kid": "k", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}'}
                  rules: [{match: {path_separated_prefix: /api}, requires: {provider_name: idp}}]
"#;
            concat!("{match: {prefix: /}, ", $route, "}")
        ))
    };
}

/// A cluster that leads to an address of this Envoy's own.
pub(crate) const OWN: &str = cluster!("own", "10001");
/// The upstream by a port that no other cluster has, with these filters of calls.
macro_rules! behind {
    ($($filters:expr),*) => {
        concat!(cluster!("behind", "8088"), $($filters),*)
    };
}

/// Lua in calls to an upstream, which sets this header.
macro_rules! lua_of_calls {
    ($header:literal) => {
        filter_of_calls!(concat!(
            r#"      - name: lua
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua
          default_source_code: {inline_string: "function envoy_on_request(h) h:headers():replace('"#,
            $header,
            "', 'root') end\"}"
        ))
    };
}

const BEHIND: &str = behind!();
const INNER_TO_BEHIND: &str = inner!("{match: {prefix: /}, route: {cluster: behind}}");
const ROUND: &str = cluster!("round", "10000");
const ROUND_BY_NAME: &str = "- name: round\n  type: STRICT_DNS\n  load_assignment: {cluster_name: round, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: LocalHost, port_value: 10000}}}}]}]}";
/// To the second address of a listener.
const SECOND: &str = cluster!("own", "10002");
const AT_TWO_PORTS: &str = concat!(
    guarded!("route: {cluster: api}"),
    "\n  additional_addresses: [{address: {socket_address: {address: 127.0.0.1, port_value: 10002}}}]"
);
/// A listener that has the filter, which leads to the upstream.
pub(crate) const GUARDED: &str = guarded!("route: {cluster: api}");
pub(crate) const API_TO_OWN: &str = "- match: {prefix: /api}\n  route: {cluster: own}";
const API_TO_ROUND: &str = "- match: {prefix: /api}\n  route: {cluster: round}";
const API_TO_STATIC: &str = "- match: {prefix: /api}\n  route: {cluster: static}";

const ADMIN: &str = "admin: {address: {socket_address: {address: 127.0.0.1, port_value: 9901}}}";
const TO_ADMIN: &str = cluster!("admin", "9901");

pub(super) const ROWS: &[Row] = &[
    Row {
        kind: "path-rewritten",
        bad: &[
            ("top", INTERNAL),
            ("rules", OPEN),
            ("first", ALL_TO_INNER),
            (
                "listener",
                inner!("{match: {prefix: /open/}, route: {cluster: api, prefix_rewrite: /}}"),
            ),
            ("cluster", TO_INNER),
        ],
        at: "prefix_rewrite",
        good: &[
            ("top", INTERNAL),
            ("rules", OPEN),
            ("first", ALL_TO_INNER),
            (
                "listener",
                inner!("{match: {prefix: /v1/}, route: {cluster: api, prefix_rewrite: /}}"),
            ),
            ("cluster", TO_INNER),
        ],
        proof: WARNING,
    },
    Row {
        kind: "claim-header-set",
        bad: &[
            ("top", INTERNAL),
            ("provider", CLAIM_HEADER),
            ("first", ALL_TO_INNER),
            (
                "listener",
                inner!(
                    "{match: {prefix: /}, route: {cluster: api}, request_headers_to_add: [{header: {key: x-user, value: root}}]}"
                ),
            ),
            ("cluster", TO_INNER),
        ],
        at: "x-user",
        good: &[
            ("top", INTERNAL),
            ("provider", CLAIM_HEADER),
            ("first", ALL_TO_INNER),
            (
                "listener",
                inner!(
                    "{match: {prefix: /}, route: {cluster: api}, request_headers_to_add: [{header: {key: x-other, value: root}}]}"
                ),
            ),
            ("cluster", TO_INNER),
        ],
        proof: WARNING,
    },
    Row {
        kind: "claim-header-set",
        bad: &[
            ("top", INTERNAL),
            ("provider", CLAIM_HEADER),
            ("first", ALL_TO_INNER),
            ("listener", inner_lua!(":replace('x-user', 'root')")),
            ("cluster", TO_INNER),
        ],
        at: "x-user",
        good: &[
            ("top", INTERNAL),
            ("provider", CLAIM_HEADER),
            ("first", ALL_TO_INNER),
            ("listener", inner_lua!(":replace('x-other', 'root')")),
            ("cluster", TO_INNER),
        ],
        proof: WARNING,
    },
    // filters of calls from there
    Row {
        kind: "claim-header-set",
        bad: &[
            ("top", INTERNAL),
            ("provider", CLAIM_HEADER),
            ("first", ALL_TO_INNER),
            ("listener", INNER_TO_BEHIND),
            ("cluster", TO_INNER),
            ("cluster", behind!(setting_of_calls!("x-user"))),
        ],
        at: "x-user",
        good: &[
            ("top", INTERNAL),
            ("provider", CLAIM_HEADER),
            ("first", ALL_TO_INNER),
            ("listener", INNER_TO_BEHIND),
            ("cluster", TO_INNER),
            ("cluster", behind!(setting_of_calls!("x-other"))),
        ],
        proof: WARNING,
    },
    Row {
        kind: "claim-header-set",
        bad: &[
            ("top", INTERNAL),
            ("provider", CLAIM_HEADER),
            ("first", ALL_TO_INNER),
            ("listener", INNER_TO_BEHIND),
            ("cluster", TO_INNER),
            ("cluster", behind!(lua_of_calls!("x-user"))),
        ],
        at: "x-user",
        good: &[
            ("top", INTERNAL),
            ("provider", CLAIM_HEADER),
            ("first", ALL_TO_INNER),
            ("listener", INNER_TO_BEHIND),
            ("cluster", TO_INNER),
            ("cluster", behind!(lua_of_calls!("x-other"))),
        ],
        proof: WARNING,
    },
    // the listener behind the filter has an address at which others reach it
    Row {
        kind: "unguarded-chain",
        bad: &[
            ("first", API_TO_OWN),
            ("listener", other_manager!(; "route: {cluster: behind}")),
            ("cluster", OWN),
            ("cluster", BEHIND),
        ],
        at: "HttpConnectionManager",
        good: &[
            ("first", API_TO_OWN),
            (
                "listener",
                other_manager!(; "direct_response: {status: 200}"),
            ),
            ("cluster", OWN),
        ],
        proof: Some(Proof::Passes(OTHER)),
    },
    Row {
        kind: "filter-twice",
        bad: &[
            ("first", API_TO_OWN),
            ("listener", GUARDED),
            ("cluster", OWN),
        ],
        at: "cluster: own",
        good: &[
            ("first", API_TO_STATIC),
            ("listener", GUARDED),
            ("cluster", STATIC),
        ],
        proof: WARNING,
    },
    Row {
        kind: "filter-twice",
        bad: &[("first", API_TO_ROUND), ("cluster", ROUND)],
        at: "cluster: round",
        good: &[("first", API_TO_STATIC), ("cluster", STATIC)],
        proof: WARNING,
    },
    Row {
        kind: "filter-twice",
        bad: &[("first", API_TO_ROUND), ("cluster", ROUND_BY_NAME)],
        at: "cluster: round",
        good: &[("first", API_TO_STATIC), ("cluster", STATIC)],
        proof: WARNING,
    },
    Row {
        kind: "filter-twice",
        bad: &[
            ("first", API_TO_OWN),
            ("listener", AT_TWO_PORTS),
            ("cluster", SECOND),
        ],
        at: "cluster: own",
        good: &[
            ("first", API_TO_STATIC),
            ("listener", AT_TWO_PORTS),
            ("cluster", STATIC),
        ],
        proof: WARNING,
    },
    Row {
        kind: "admin-open",
        bad: &[
            ("top", ADMIN),
            ("listener", other_listener!(tcp_proxy!("admin"))),
            ("cluster", TO_ADMIN),
        ],
        at: "TcpProxy",
        good: &[
            ("top", ADMIN),
            (
                "listener",
                other_manager!(; "direct_response: {status: 200}"),
            ),
            ("cluster", TO_ADMIN),
        ],
        proof: WARNING,
    },
    // a page that does something
    Row {
        kind: "admin-open",
        bad: &[
            ("top", ADMIN),
            (
                "first",
                "- match: {path: /stop}\n  route: {cluster: admin, prefix_rewrite: /quitquitquit}",
            ),
            ("cluster", TO_ADMIN),
        ],
        at: "path: /stop",
        good: &[
            ("top", ADMIN),
            (
                "first",
                "- match: {path: /metrics}\n  route: {cluster: admin, prefix_rewrite: /stats/prometheus}",
            ),
            ("cluster", TO_ADMIN),
        ],
        proof: WARNING,
    },
    Row {
        kind: "listener-twice",
        bad: &[(
            "listener",
            "- name: other\n  address: {socket_address: {address: 127.0.0.1, port_value: 10000}}\n  filter_chains: [{}]",
        )],
        at: "port_value: 10000",
        good: &[(
            "listener",
            "- name: other\n  address: {socket_address: {address: 127.0.0.1, port_value: 10001}}\n  filter_chains: [{}]",
        )],
        proof: Some(Proof::Refused),
    },
    Row {
        kind: "listener-twice",
        bad: &[(
            "listener",
            "- name: other\n  address: {socket_address: {address: 127.0.0.1, port_value: 10001}}\n  additional_addresses: [{address: {socket_address: {address: 127.0.0.1, port_value: 10000}}}]\n  enable_reuse_port: false\n  filter_chains: [{}]",
        )],
        at: "port_value: 10000",
        good: &[(
            "listener",
            "- name: other\n  address: {socket_address: {protocol: UDP, address: 127.0.0.1, port_value: 10000}}",
        )],
        proof: Some(Proof::Refused),
    },
    Row {
        kind: "listener-twice",
        bad: &[(
            "listener",
            "- name: web\n  address: {socket_address: {address: 127.0.0.1, port_value: 10001}}\n  filter_chains: [{}]",
        )],
        at: "name: web",
        good: &[(
            "listener",
            "- address: {socket_address: {address: 127.0.0.1, port_value: 0}}\n  filter_chains: [{}]\n- address: {socket_address: {address: 127.0.0.1, port_value: 0}}\n  filter_chains: [{}]",
        )],
        proof: WARNING,
    },
    Row {
        kind: "cors-origin",
        bad: &[
            ("before", super::CORS),
            ("host", cors!("https://app.example.com/")),
        ],
        at: "https://app.example.com/",
        good: &[
            ("before", super::CORS),
            ("host", cors!("https://app.example.com")),
        ],
        proof: WARNING,
    },
];
