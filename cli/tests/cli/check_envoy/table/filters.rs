//! Ways past the filter: what is before it, beside it or behind it, and what turns it off.

use super::{
    CLAIM_HEADER, CORS, ERROR, EXT_AUTHZ, EXT_PROC, EXT_PROC_WITHOUT_PATH, JWT_AUTHN, OTHER, PLAIN,
    Proof, Request, Row, STATIC, WARNING,
};

const WEBSOCKET: Request = Request {
    headers: &[
        ("upgrade", "websocket"),
        ("connection", "upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ],
    ..PLAIN
};

const OFF: &str = r#"typed_per_filter_config: {gate: {"@type": type.googleapis.com/envoy.config.route.v3.FilterConfig, disabled: true}}"#;

const OFF_BY_TEXT: &str = r#"typed_per_filter_config: {gate: {"@type": type.googleapis.com/envoy.config.route.v3.FilterConfig, disabled: 'True'}}"#;

/// One object where a list is due, and again in it.
const ONE_UPGRADE: &str = r#"upgrade_configs: {upgrade_type: websocket, filters: {name: r, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}}"#;

const ON: &str = r#"typed_per_filter_config: {gate: {"@type": type.googleapis.com/envoy.config.route.v3.FilterConfig, config: {}}}"#;

const OF_ANOTHER: &str = r#"typed_per_filter_config: {cors: {"@type": type.googleapis.com/envoy.config.route.v3.FilterConfig, disabled: true}}"#;

const ROUTER_FIRST: &str = r#"- name: first
  typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}"#;

const LUA: &str = r#"- name: lua
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua
    default_source_code: {inline_string: "function envoy_on_request(handle) end"}"#;

const CACHE: &str = r#"- name: cache
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.cache.v3.CacheConfig
    typed_config: {"@type": type.googleapis.com/envoy.extensions.http.cache.simple_http_cache.v3.SimpleHttpCacheConfig}"#;

const CACHE_V2: &str = r#"- name: cache
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.cache_v2.v3.CacheV2Config
    typed_config: {"@type": type.googleapis.com/envoy.extensions.http.cache_v2.simple_http_cache.v3.SimpleHttpCacheV2Config}"#;

const RATE_LIMIT: &str = r#"- name: ratelimit
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.ratelimit.v3.RateLimit
    domain: api
    rate_limit_service: {transport_api_version: V3, grpc_service: {envoy_grpc: {cluster_name: api}}}"#;

const RBAC_BY_HEADER: &str = r#"- name: rbac
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
    rules: {action: ALLOW, policies: {users: {permissions: [{any: true}], principals: [{header: {name: x-user, string_match: {exact: alice}}}]}}}"#;

const RBAC_BY_ADDRESS: &str = r#"- name: rbac
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
    rules: {action: ALLOW, policies: {users: {permissions: [{header: {name: ":path", string_match: {prefix: /}}}], principals: [{remote_ip: {address_prefix: 127.0.0.0, prefix_len: 8}}]}}}"#;

const JWT_AUTHN_FORWARDING: &str = r#"- name: jwt_authn
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication
    providers: {idp: {issuer: x, forward: true, local_jwks: {inline_string: '{"keys": []}'}}}"#;

const TO_METADATA: &str = r#"- name: to_metadata
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.header_to_metadata.v3.Config
    request_rules:
    - header: X-User
      on_header_present: {metadata_namespace: users, key: user, type: STRING}"#;

/// A listener without the filter, that does this with its requests.
macro_rules! listener {
    ($route:literal) => {
        other_listener!(connection_manager!("other"; ""; ""; $route))
    };
}

const LISTENER_TO_API: &str = listener!(r#"{match: {prefix: /}, route: {cluster: api}}"#);

const LISTENER_TO_ALIAS: &str = listener!(r#"{match: {prefix: /}, route: {cluster: alias}}"#);

const LISTENER_TO_STATIC: &str = listener!(
    r#"{match: {prefix: /}, route: {weighted_clusters: {clusters: [{name: static, weight: 1}]}}}"#
);

const LISTENER_TO_HEADER: &str =
    listener!(r#"{match: {prefix: /}, route: {cluster_header: x-cluster}}"#);

const LISTENER_OF_ITS_OWN: &str =
    listener!(r#"{match: {prefix: /}, direct_response: {status: 200}}"#);

const LISTENER_TO_FRONT: &str = listener!(r#"{match: {prefix: /}, route: {cluster: front}}"#);

/// The same upstream, its port as a text.
const LISTENER_TO_TEXT: &str = listener!(r#"{match: {prefix: /}, route: {cluster: text}}"#);

const TEXT: &str = cluster!("text", "'8080'");

/// Lists within lists are one list to Envoy.
const LISTS: &str = listener!(r#"[[{match: {prefix: /}, route: {cluster: api}}]]"#);

const TCP_TO_API: &str = other_listener!(tcp_proxy!("api"));

const TCP_TO_STATIC: &str = other_listener!(tcp_proxy!("static"));

const ALIAS: &str = cluster!("alias", "8080");

const ADMIN: &str = cluster!("admin", "9901");

const ADMIN_HERE: &str =
    "admin: {address: {socket_address: {address: 127.0.0.1, port_value: 9901}}}";

const FRONT: &str = cluster!("front", "10000");

const MATCHED: &str = r#"- name: matched
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.common.matching.v3.ExtensionWithMatcher
    xds_matcher:
      matcher_list:
        matchers:
        - predicate:
            single_predicate:
              input: {name: header, typed_config: {"@type": type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput, header_name: x-skip}}
              value_match: {exact: "1"}
          on_match: {action: {name: skip, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.common.matcher.action.v3.SkipFilter}}}
    extension_config:
      name: gate
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
        config:
          name: bearer-gate
          vm_config: {vm_id: bearer-gate, runtime: envoy.wasm.runtime.v8, code: {local: {filename: /opt/bearer-gate/plugin.wasm}}}
          failure_policy: FAIL_RELOAD
          configuration: {"@type": type.googleapis.com/google.protobuf.StringValue, value: '{"rules": []}'}"#;

const SECOND: &str = r#"- name: second
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
    config:
      name: bearer-gate
      vm_config: {vm_id: bearer-gate, runtime: envoy.wasm.runtime.v8, code: {local: {filename: /opt/bearer-gate/plugin.wasm}}}
      failure_policy: FAIL_RELOAD
      configuration: {"@type": type.googleapis.com/google.protobuf.StringValue, value: '{"rules": []}'}"#;

pub(super) const ROWS: &[Row] = &[
    Row {
        kind: "upgrade-without-filter",
        bad: &[(
            "manager",
            "upgrade_configs:\n- upgrade_type: websocket\n  filters:\n  - name: envoy.filters.http.router\n    typed_config: {\"@type\": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}",
        )],
        at: "- name: envoy.filters.http.router",
        good: &[("manager", "upgrade_configs: [{upgrade_type: websocket}]")],
        proof: Some(Proof::Passes(WEBSOCKET)),
    },
    Row {
        kind: "upgrade-without-filter",
        bad: &[
            (
                "manager",
                "upgrade_configs: [{upgrade_type: websocket, enabled: false, filters: [{name: r, typed_config: {\"@type\": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]}]",
            ),
            ("action", "upgrade_configs: [{upgrade_type: WebSocket}]"),
        ],
        at: "enabled: false, filters",
        good: &[(
            "manager",
            "upgrade_configs: [{upgrade_type: websocket, enabled: false, filters: [{name: r, typed_config: {\"@type\": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]}]",
        )],
        proof: Some(Proof::Passes(WEBSOCKET)),
    },
    Row {
        kind: "filter-disabled",
        bad: &[("own", "disabled: true")],
        at: "disabled: true",
        good: &[("own", "disabled: false")],
        proof: ERROR,
    },
    Row {
        kind: "filter-disabled",
        bad: &[
            ("own", "disabled: true"),
            (
                "first",
                "- match: {prefix: /admin}\n  route: {cluster: api}\n  typed_per_filter_config: {gate: {\"@type\": type.googleapis.com/envoy.config.route.v3.FilterConfig, config: {}}}",
            ),
        ],
        at: "disabled: true",
        good: &[("own", "disabled: true"), ("host", ON)],
        proof: ERROR,
    },
    Row {
        kind: "route-without-filter",
        bad: &[("route", OFF)],
        at: "disabled: true",
        good: &[("route", OF_ANOTHER)],
        proof: ERROR,
    },
    Row {
        kind: "route-without-filter",
        bad: &[("host", OFF)],
        at: "disabled: true",
        good: &[("host", OFF), ("route", ON)],
        proof: ERROR,
    },
    Row {
        kind: "route-without-filter",
        bad: &[("routes", OFF)],
        at: "disabled: true",
        good: &[("routes", OFF), ("host", ON)],
        proof: ERROR,
    },
    Row {
        kind: "route-without-filter",
        bad: &[(
            "first",
            "- match: {prefix: /api/orders}\n  route: {cluster: api}\n  typed_per_filter_config: {gate: {\"@type\": type.googleapis.com/envoy.config.route.v3.FilterConfig, disabled: true}}",
        )],
        at: "disabled: true",
        good: &[(
            "first",
            "- match: {prefix: /api/orders}\n  direct_response: {status: 204}\n  typed_per_filter_config: {gate: {\"@type\": type.googleapis.com/envoy.config.route.v3.FilterConfig, disabled: true}}",
        )],
        proof: ERROR,
    },
    Row {
        kind: "route-without-filter",
        bad: &[(
            "first",
            "- match: {prefix: /api/orders}\n  route:\n    weighted_clusters:\n      clusters:\n      - name: api\n        weight: 1\n        typed_per_filter_config: {gate: {\"@type\": type.googleapis.com/envoy.config.route.v3.FilterConfig, disabled: true}}",
        )],
        at: "disabled: true",
        good: &[(
            "first",
            "- match: {prefix: /api/orders}\n  route:\n    weighted_clusters:\n      clusters:\n      - name: api\n        weight: 1\n        typed_per_filter_config: {cors: {\"@type\": type.googleapis.com/envoy.config.route.v3.FilterConfig, disabled: true}}",
        )],
        proof: ERROR,
    },
    Row {
        kind: "filter-matched",
        bad: &[("instead", MATCHED)],
        at: "- name: matched",
        good: &[("instead", SECOND)],
        proof: Some(Proof::Passes(Request {
            headers: &[("x-skip", "1")],
            ..PLAIN
        })),
    },
    Row {
        kind: "filter-twice",
        bad: &[("after", SECOND)],
        at: "- name: second",
        good: &[],
        proof: WARNING,
    },
    Row {
        kind: "filter-optional",
        bad: &[("own", "is_optional: true")],
        at: "is_optional: true",
        good: &[("own", "is_optional: false")],
        proof: WARNING,
    },
    Row {
        kind: "filter-after-router",
        bad: &[("before", ROUTER_FIRST)],
        at: "- name: first",
        good: &[("before", CORS)],
        proof: Some(Proof::Refused),
    },
    Row {
        kind: "filter-order",
        bad: &[("before", LUA)],
        at: "- name: lua",
        good: &[("after", LUA)],
        proof: WARNING,
    },
    Row {
        kind: "filter-order",
        bad: &[("before", CACHE)],
        at: "- name: cache",
        good: &[("before", CORS)],
        proof: ERROR,
    },
    Row {
        kind: "filter-order",
        bad: &[("before", CACHE_V2)],
        at: "- name: cache",
        good: &[],
        proof: ERROR,
    },
    Row {
        kind: "filter-order",
        bad: &[("after", CACHE)],
        at: "- name: cache",
        good: &[],
        proof: WARNING,
    },
    Row {
        kind: "filter-order",
        bad: &[("after", CORS)],
        at: "- name: cors",
        good: &[("before", CORS)],
        proof: WARNING,
    },
    Row {
        kind: "filter-order",
        bad: &[("before", EXT_AUTHZ)],
        at: "- name: ext_authz",
        good: &[("after", EXT_AUTHZ)],
        proof: WARNING,
    },
    Row {
        kind: "filter-order",
        bad: &[("before", EXT_PROC)],
        at: "- name: ext_proc",
        good: &[("after", EXT_PROC_WITHOUT_PATH)],
        proof: WARNING,
    },
    Row {
        kind: "filter-order",
        bad: &[("before", RATE_LIMIT)],
        at: "- name: ratelimit",
        good: &[("after", RATE_LIMIT)],
        proof: WARNING,
    },
    Row {
        kind: "filter-order",
        bad: &[("before", RBAC_BY_HEADER)],
        at: "- name: rbac",
        good: &[("before", RBAC_BY_ADDRESS), ("after", RBAC_BY_HEADER)],
        proof: WARNING,
    },
    Row {
        kind: "jwt-authn-beside",
        bad: &[("before", JWT_AUTHN)],
        at: "- name: jwt_authn",
        good: &[("before", JWT_AUTHN_FORWARDING)],
        proof: WARNING,
    },
    Row {
        kind: "jwt-authn-beside",
        bad: &[("after", JWT_AUTHN)],
        at: "- name: jwt_authn",
        good: &[],
        proof: WARNING,
    },
    Row {
        kind: "unguarded-chain",
        bad: &[("listener", LISTENER_TO_API)],
        at: "HttpConnectionManager",
        good: &[("listener", LISTENER_OF_ITS_OWN)],
        proof: Some(Proof::Passes(OTHER)),
    },
    Row {
        kind: "unguarded-chain",
        bad: &[("listener", LISTENER_TO_ALIAS), ("cluster", ALIAS)],
        at: "HttpConnectionManager",
        good: &[("listener", LISTENER_TO_FRONT), ("cluster", FRONT)],
        proof: Some(Proof::Passes(OTHER)),
    },
    Row {
        kind: "unguarded-chain",
        bad: &[("listener", TCP_TO_API)],
        at: "TcpProxy",
        good: &[("listener", TCP_TO_STATIC), ("cluster", STATIC)],
        proof: Some(Proof::Passes(OTHER)),
    },
    Row {
        kind: "other-chain",
        bad: &[("listener", LISTENER_TO_STATIC), ("cluster", STATIC)],
        at: "HttpConnectionManager",
        good: &[("listener", LISTENER_TO_FRONT), ("cluster", FRONT)],
        proof: WARNING,
    },
    Row {
        kind: "other-chain",
        bad: &[("listener", LISTENER_TO_HEADER)],
        at: "HttpConnectionManager",
        good: &[("listener", LISTENER_OF_ITS_OWN)],
        proof: WARNING,
    },
    Row {
        kind: "admin-open",
        bad: &[(
            "top",
            "admin: {address: {socket_address: {address: 10.1.2.3, port_value: 9901}}}",
        )],
        at: "10.1.2.3",
        good: &[(
            "top",
            "admin: {address: {socket_address: {address: '::1', port_value: 9901}}}",
        )],
        proof: WARNING,
    },
    Row {
        kind: "admin-open",
        bad: &[(
            "top",
            "admin: {address: {socket_address: {address: 0.0.0.0, port_value: 9901}}}",
        )],
        at: "0.0.0.0",
        good: &[(
            "top",
            "admin: {address: {socket_address: {address: 127.0.0.1, port_value: 9901}}}",
        )],
        proof: WARNING,
    },
    Row {
        kind: "filter-order",
        bad: &[("before", TO_METADATA), ("provider", CLAIM_HEADER)],
        at: "header: X-User",
        good: &[("after", TO_METADATA), ("provider", CLAIM_HEADER)],
        proof: WARNING,
    },
    Row {
        kind: "unguarded-chain",
        bad: &[("listener", LISTENER_TO_TEXT), ("cluster", TEXT)],
        at: "HttpConnectionManager",
        good: &[("listener", LISTENER_OF_ITS_OWN), ("cluster", TEXT)],
        proof: Some(Proof::Passes(OTHER)),
    },
    Row {
        kind: "unguarded-chain",
        bad: &[("listener", LISTS)],
        at: "HttpConnectionManager",
        good: &[],
        proof: Some(Proof::Passes(OTHER)),
    },
    Row {
        kind: "path-rewritten",
        bad: &[
            ("rules", "- match: {path_separated_prefix: /open}"),
            (
                "first",
                "- match: {prefix: /open/v1}\n  route: {cluster: api, prefix_rewrite: /api}",
            ),
        ],
        at: "prefix_rewrite: /api",
        good: &[
            ("rules", "- match: {path_separated_prefix: /open}"),
            (
                "first",
                "- match: {prefix: /open/v1}\n  route: {cluster: api, prefix_rewrite: /open/v2}",
            ),
        ],
        proof: WARNING,
    },
    // what is below the rewritten path
    Row {
        kind: "path-rewritten",
        bad: &[
            ("rules", "- match: {path_separated_prefix: /open}"),
            (
                "first",
                "- match: {prefix: /open/}\n  route: {cluster: api, prefix_rewrite: /}",
            ),
        ],
        at: "prefix_rewrite: /",
        good: &[(
            "first",
            "- match: {prefix: /v1/}\n  route: {cluster: api, prefix_rewrite: /}",
        )],
        proof: WARNING,
    },
    Row {
        kind: "path-rewritten",
        bad: &[
            ("rules", "- match: {path_separated_prefix: /open}"),
            (
                "action",
                "regex_rewrite: {pattern: {regex: '^/[^/]*(/.*)'}, substitution: '\\1'}",
            ),
        ],
        at: "regex_rewrite",
        good: &[
            ("rules", "- match: {path_separated_prefix: /open}"),
            (
                "action",
                "regex_rewrite: {pattern: {regex: /v1}, substitution: /v2}",
            ),
        ],
        proof: WARNING,
    },
    Row {
        kind: "path-rewritten",
        bad: &[
            ("rules", "- match: {path_separated_prefix: /v1}"),
            (
                "action",
                "regex_rewrite: {pattern: {regex: '^/v[0-9]+'}, substitution: ''}",
            ),
        ],
        at: "regex_rewrite",
        good: &[
            ("rules", "- match: {path_separated_prefix: /v1}"),
            (
                "action",
                "regex_rewrite: {pattern: {regex: '^/v[0-9]+/(.+)'}, substitution: '/open/\\1'}",
            ),
        ],
        proof: WARNING,
    },
    // what begins with a group, of a path that stays among the open ones
    Row {
        kind: "path-rewritten",
        bad: &[
            ("rules", "- match: {path_separated_prefix: /open}"),
            (
                "action",
                "regex_rewrite: {pattern: {regex: '^/open/(.*)$'}, substitution: '/\\1'}",
            ),
        ],
        at: "regex_rewrite",
        good: &[
            ("rules", "- match: {path_separated_prefix: /open}"),
            (
                "action",
                "regex_rewrite: {pattern: {regex: '^(/open)/v1(/.*)$'}, substitution: '\\1\\2'}",
            ),
        ],
        proof: WARNING,
    },
    // the whole of what an expression matched
    Row {
        kind: "path-rewritten",
        bad: &[
            ("rules", "- match: {path_separated_prefix: /open}"),
            (
                "first",
                "- match: {safe_regex: {regex: '/open/[0-9]+'}}\n  route: {cluster: api, prefix_rewrite: /api}",
            ),
        ],
        at: "prefix_rewrite",
        good: &[
            ("rules", "- match: {path_separated_prefix: /open}"),
            (
                "first",
                "- match: {safe_regex: {regex: '/open/[0-9]+'}}\n  route: {cluster: api, prefix_rewrite: /open}",
            ),
        ],
        proof: WARNING,
    },
    Row {
        kind: "path-rewritten",
        bad: &[
            ("rules", "- match: {path_separated_prefix: /open}"),
            ("action", "path_rewrite: '%REQ(x-who)%'"),
        ],
        at: "path_rewrite",
        good: &[("action", "path_rewrite: '%REQ(x-who)%'")],
        proof: WARNING,
    },
    Row {
        kind: "path-rewritten",
        bad: &[
            ("rules", "- match: {path_separated_prefix: /open}"),
            (
                "action",
                r#"path_rewrite_policy: {name: p, typed_config: {"@type": type.googleapis.com/envoy.extensions.path.rewrite.uri_template.v3.UriTemplateRewriteConfig, path_template_rewrite: "/api/{rest}"}}"#,
            ),
        ],
        at: "path_rewrite_policy",
        good: &[
            ("rules", "- match: {path_separated_prefix: /open}"),
            (
                "action",
                r#"path_rewrite_policy: {name: p, typed_config: {"@type": type.googleapis.com/envoy.extensions.path.rewrite.uri_template.v3.UriTemplateRewriteConfig, path_template_rewrite: "/open/{rest}"}}"#,
            ),
        ],
        proof: WARNING,
    },
    Row {
        kind: "upgrade-without-filter",
        bad: &[("manager", ONE_UPGRADE)],
        at: "filters:",
        good: &[("manager", "upgrade_configs: {upgrade_type: websocket}")],
        proof: Some(Proof::Passes(WEBSOCKET)),
    },
    Row {
        kind: "filter-disabled",
        bad: &[("own", "disabled: 'yes'")],
        at: "disabled: 'yes'",
        good: &[("own", "disabled: 'F'")],
        proof: ERROR,
    },
    Row {
        kind: "route-without-filter",
        bad: &[("route", OFF_BY_TEXT)],
        at: "disabled: 'True'",
        good: &[("route", OF_ANOTHER)],
        proof: ERROR,
    },
    Row {
        kind: "admin-open",
        bad: &[
            ("top", ADMIN_HERE),
            (
                "first",
                "- match: {prefix: /admin}\n  route: {cluster: admin}",
            ),
            ("cluster", ADMIN),
        ],
        at: "match: {prefix: /admin}",
        good: &[
            ("top", ADMIN_HERE),
            (
                "first",
                "- match: {path: /ready}\n  route: {cluster: admin}",
            ),
            ("cluster", ADMIN),
        ],
        proof: WARNING,
    },
];
