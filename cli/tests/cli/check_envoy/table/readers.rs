//! Who reads what the filter tells, or sets what it sets.

use super::{CLAIM_HEADER, PLAIN, Proof, Request, Row, WARNING};

/// A DENY of one user, who has a good token.
const DENY_BY_METADATA: &str = r#"- name: rbac
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
    rules:
      action: DENY
      policies:
        mallory:
          permissions: [{any: true}]
          principals:
          - metadata: {filter: envoy.filters.http.jwt_authn, path: [{key: jwt}, {key: sub}], value: {string_match: {exact: mallory}}}"#;

const DENY_BY_STATE: &str = r#"- name: rbac
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
    rules:
      action: DENY
      policies:
        mallory:
          permissions: [{any: true}]
          principals: [{filter_state: {key: wasm.bearer_gate.subject, string_match: {exact: mallory}}}]"#;

const DENY_BY_STRUCT: &str = r#"- name: rbac
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
    rules:
      action: DENY
      policies:
        mallory:
          permissions: [{any: true}]
          principals: [{filter_state: {key: wasm.jwt, string_match: {exact: mallory}}}]"#;

const DENY_BY_SHORT_NAME: &str = r#"- name: rbac
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
    rules:
      action: DENY
      policies:
        mallory:
          permissions: [{any: true}]
          principals: [{filter_state: {key: bearer_gate.subject, string_match: {exact: mallory}}}]"#;

/// The same of a route.
const EMPTY_RBAC: &str = r#"- name: rbac
  typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC}"#;

const DENY_OF_ROUTE_BY_METADATA: &str = r#"typed_per_filter_config:
  rbac:
    "@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBACPerRoute
    rbac:
      rules:
        action: DENY
        policies:
          mallory:
            permissions: [{any: true}]
            principals:
            - metadata: {filter: envoy.filters.http.jwt_authn, path: [{key: jwt}, {key: sub}], value: {string_match: {exact: mallory}}}"#;

const DENY_OF_ROUTE_BY_STATE: &str = r#"typed_per_filter_config:
  rbac:
    "@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBACPerRoute
    rbac:
      rules:
        action: DENY
        policies:
          mallory:
            permissions: [{any: true}]
            principals: [{filter_state: {key: wasm.bearer_gate.subject, string_match: {exact: mallory}}}]"#;

/// Lua that reads metadata.
macro_rules! lua {
    ($namespace:literal) => {
        concat!(
            r#"- name: lua
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua
    default_source_code:
      inline_string: |
        function envoy_on_request(handle)
          handle:streamInfo():dynamicMetadata():get(""#,
            $namespace,
            r#"")
        end"#
        )
    };
}

/// `ext_authz` that is told metadata.
macro_rules! ext_authz {
    ($namespace:literal) => {
        concat!(
            r#"- name: ext_authz
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz
    grpc_service: {envoy_grpc: {cluster_name: api}}
    metadata_context_namespaces: ["#,
            $namespace,
            "]"
        )
    };
}

/// Limits by metadata.
macro_rules! rate_limits {
    ($namespace:literal) => {
        concat!(
            "rate_limits: [{actions: [{metadata: {descriptor_key: user, metadata_key: {key: ",
            $namespace,
            ", path: [{key: sub}]}}}]}]"
        )
    };
}

/// A rule without `requires`.
const OPEN_RULE: &str = "- match: {path: /open}";

const OPEN: Request = Request {
    path: "/open",
    ..PLAIN
};

const MAP: &str = "route_metadata: bearer_gate\nrequirement_map: {users: {provider_name: idp}}";

/// A route with a weighted cluster that says this.
macro_rules! weighted {
    ($says:literal) => {
        concat!(
            "- match: {path: /open}\n  route:\n    weighted_clusters:\n      clusters:\n      - name: api\n        weight: 1\n        ",
            $says
        )
    };
}

const MUTATION: &str = r#"- name: mutation
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation
    mutations:
      request_mutations:
      - append: {header: {key: X-User, value: nobody}, append_action: OVERWRITE_IF_EXISTS_OR_ADD}"#;

const MUTATION_OF_ROUTE: &str = r#"typed_per_filter_config:
  mutation:
    "@type": type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutationPerRoute
    mutations:
      request_mutations:
      - append: {header: {key: X-User, value: nobody}}"#;

/// What a route, or what is above it, says that it requires.
const REQUIRED: &str = "metadata: {filter_metadata: {bearer_gate: {requirement_name: users}}}";

/// A route with weighted clusters that says it itself.
const REQUIRED_BESIDE_CLUSTERS: &[(&str, &str)] = &[
    ("first", weighted!("request_headers_to_remove: [x]")),
    (
        "first",
        "  metadata: {filter_metadata: {bearer_gate: {requirement_name: users}}}",
    ),
    ("config", MAP),
    ("rules", OPEN_RULE),
];

/// The cluster of the upstream again, with a filter of its own that sets this header.
macro_rules! api_that_sets {
    ($header:literal) => {
        filters_of_calls!(
            r#"    - name: mutation
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation
        mutations:
          request_mutations:
          - append: {header: {key: "#,
            $header,
            r#", value: "%REQ(x-who)%"}, append_action: OVERWRITE_IF_EXISTS_OR_ADD}"#
        )
    };
}

const API_THAT_SETS: &str = api_that_sets!("X-User");

const API_THAT_SETS_ANOTHER: &str = api_that_sets!("X-Users");

const ROUTER_THAT_SETS: &str = r#"- name: router
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
    upstream_http_filters:
    - name: mutation
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation
        mutations: {request_mutations: [{append: {header: {key: X-User, value: nobody}}}]}
    - name: codec
      typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec}"#;

const SUBJECT: &str = "filter_state: [subject]";

const MALLORY: Request = Request {
    subject: Some("mallory"),
    ..PLAIN
};

const ACCESS_LOG_OF_METADATA: &str = r#"access_log:
- name: log
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog
    log_format: {json_format: {user: "%DYNAMIC_METADATA(envoy.filters.http.jwt_authn:jwt:sub)%"}}"#;

const ACCESS_LOG_OF_STATE: &str = r#"access_log:
- name: log
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog
    log_format: {json_format: {user: "%FILTER_STATE(wasm.bearer_gate.subject:PLAIN)%"}}"#;

/// An access log of this.
macro_rules! log {
    ($text:literal) => {
        concat!(
            r#"access_log:
- name: log
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog
    log_format: {text_format_source: {inline_string: ""#,
            $text,
            r#""}}"#
        )
    };
}

/// What records each request for Envoy's admin interface.
const TAP: &str = r#"- name: tap
  typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.tap.v3.Tap, common_config: {admin_config: {config_id: a}}}"#;

/// A transport socket that records what goes through it.
const TAP_OF_CONNECTIONS: &str = r#"transport_socket: {name: tap, typed_config: {"@type": type.googleapis.com/envoy.extensions.transport_sockets.tap.v3.Tap, common_config: {admin_config: {config_id: a}}, transport_socket: {name: plain, typed_config: {"@type": type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer}}}}"#;

pub(super) const ROWS: &[Row] = &[
    Row {
        kind: "credential-logged",
        bad: &[("before", TAP)],
        at: "http.tap.v3.Tap",
        good: &[("after", TAP)],
        proof: WARNING,
    },
    Row {
        kind: "credential-logged",
        bad: &[("chain", TAP_OF_CONNECTIONS)],
        at: "transport_sockets.tap.v3.Tap",
        good: &[("api", TAP_OF_CONNECTIONS)],
        proof: WARNING,
    },
    Row {
        kind: "metadata-unset",
        bad: &[("after", DENY_BY_METADATA)],
        at: "envoy.filters.http.jwt_authn",
        good: &[("after", DENY_BY_STATE), ("config", SUBJECT)],
        proof: Some(Proof::Passes(MALLORY)),
    },
    Row {
        kind: "metadata-unset",
        bad: &[("manager", ACCESS_LOG_OF_METADATA)],
        at: "DYNAMIC_METADATA",
        good: &[("manager", ACCESS_LOG_OF_STATE), ("config", SUBJECT)],
        proof: WARNING,
    },
    Row {
        kind: "requirement-unread",
        bad: &[("route", REQUIRED), ("rules", OPEN_RULE)],
        at: "requirement_name: users",
        good: &[("route", REQUIRED), ("config", MAP), ("rules", OPEN_RULE)],
        proof: Some(Proof::Passes(OPEN)),
    },
    Row {
        kind: "requirement-unread",
        bad: &[
            (
                "route",
                "metadata: {filter_metadata: {bearer-gate: {requirement_name: users}}}",
            ),
            ("config", MAP),
            ("rules", OPEN_RULE),
        ],
        at: "requirement_name: users",
        good: &[
            (
                "route",
                "metadata: {filter_metadata: {other: {name: x}, bearer_gate: {requirement_name: users}}}",
            ),
            ("config", MAP),
            ("rules", OPEN_RULE),
        ],
        proof: Some(Proof::Passes(OPEN)),
    },
    Row {
        kind: "requirement-unread",
        bad: &[
            (
                "route",
                "typed_per_filter_config: {envoy.filters.http.jwt_authn: {\"@type\": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.PerRouteConfig, requirement_name: users}}",
            ),
            ("rules", OPEN_RULE),
        ],
        at: "requirement_name: users",
        good: &[("route", REQUIRED), ("config", MAP), ("rules", OPEN_RULE)],
        proof: Some(Proof::Passes(OPEN)),
    },
    // of what is above the route
    Row {
        kind: "requirement-unread",
        bad: &[("host", REQUIRED), ("config", MAP), ("rules", OPEN_RULE)],
        at: "requirement_name: users",
        good: &[
            ("host", REQUIRED),
            ("route", REQUIRED),
            ("config", MAP),
            ("rules", OPEN_RULE),
        ],
        proof: Some(Proof::Passes(OPEN)),
    },
    // of its clusters
    Row {
        kind: "requirement-unread",
        bad: &[
            (
                "first",
                weighted!(
                    "metadata_match: {filter_metadata: {bearer_gate: {requirement_name: users}}}"
                ),
            ),
            ("config", MAP),
            ("rules", OPEN_RULE),
        ],
        at: "requirement_name: users",
        good: REQUIRED_BESIDE_CLUSTERS,
        proof: Some(Proof::Passes(OPEN)),
    },
    Row {
        kind: "requirement-unread",
        bad: &[
            (
                "first",
                weighted!(
                    "typed_per_filter_config: {jwt_authn: {\"@type\": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.PerRouteConfig, requirement_name: users}}"
                ),
            ),
            ("rules", OPEN_RULE),
        ],
        at: "requirement_name: users",
        good: REQUIRED_BESIDE_CLUSTERS,
        proof: Some(Proof::Passes(OPEN)),
    },
    Row {
        kind: "requirement-unknown",
        bad: &[
            (
                "route",
                "metadata: {filter_metadata: {bearer_gate: {requirement_name: user}}}",
            ),
            ("config", MAP),
        ],
        at: "requirement_name: user}",
        good: &[("route", REQUIRED), ("config", MAP)],
        proof: WARNING,
    },
    Row {
        kind: "state-unset",
        bad: &[("after", DENY_BY_STATE)],
        at: "wasm.bearer_gate.subject",
        good: &[("after", DENY_BY_STATE), ("config", SUBJECT)],
        proof: Some(Proof::Passes(MALLORY)),
    },
    Row {
        kind: "state-unset",
        bad: &[
            ("after", DENY_BY_STRUCT),
            ("provider", "payload_in_metadata: jwt"),
        ],
        at: "key: wasm.jwt",
        good: &[("after", DENY_BY_STATE), ("config", SUBJECT)],
        proof: Some(Proof::Passes(MALLORY)),
    },
    Row {
        kind: "state-unset",
        bad: &[("after", DENY_BY_SHORT_NAME), ("config", SUBJECT)],
        at: "key: bearer_gate.subject",
        good: &[("after", DENY_BY_STATE), ("config", SUBJECT)],
        proof: Some(Proof::Passes(MALLORY)),
    },
    Row {
        kind: "state-unset",
        bad: &[
            ("manager", ACCESS_LOG_OF_STATE),
            ("config", "filter_state: [reason]"),
        ],
        at: "wasm.bearer_gate.subject",
        good: &[
            ("manager", ACCESS_LOG_OF_STATE),
            ("config", "filter_state: [reason, subject]"),
        ],
        proof: WARNING,
    },
    Row {
        kind: "state-unset",
        bad: &[("manager", log!("%CEL(filter_state['wasm.jwt'].azp)%"))],
        at: "wasm.jwt",
        good: &[
            ("manager", log!("%CEL(filter_state['wasm.jwt'].azp)%")),
            ("after", another!("another", "/opt/another.wasm")),
        ],
        proof: WARNING,
    },
    Row {
        kind: "credential-logged",
        bad: &[("manager", log!("%REQ(Authorization)%"))],
        at: "REQ(Authorization)",
        good: &[("manager", log!("%REQ(X-Authorization)% %REQ(COOKIE)%"))],
        proof: WARNING,
    },
    Row {
        kind: "credential-logged",
        bad: &[(
            "manager",
            "tracing: {custom_tags: [{tag: token, request_header: {name: authorization}}]}",
        )],
        at: "name: authorization",
        good: &[(
            "manager",
            "tracing: {custom_tags: [{tag: id, request_header: {name: x-request-id}}]}",
        )],
        proof: WARNING,
    },
    Row {
        kind: "claim-header-set",
        bad: &[("after", MUTATION), ("provider", CLAIM_HEADER)],
        at: "key: X-User",
        good: &[("before", MUTATION), ("provider", CLAIM_HEADER)],
        proof: WARNING,
    },
    Row {
        kind: "claim-header-set",
        bad: &[("route", MUTATION_OF_ROUTE), ("provider", CLAIM_HEADER)],
        at: "key: X-User",
        good: &[("route", MUTATION_OF_ROUTE)],
        proof: WARNING,
    },
    Row {
        kind: "claim-header-set",
        bad: &[("api", API_THAT_SETS), ("provider", CLAIM_HEADER)],
        at: "key: X-User",
        good: &[("api", API_THAT_SETS_ANOTHER), ("provider", CLAIM_HEADER)],
        proof: WARNING,
    },
    Row {
        kind: "claim-header-set",
        bad: &[("after", ROUTER_THAT_SETS), ("provider", CLAIM_HEADER)],
        at: "key: X-User",
        good: &[("after", ROUTER_THAT_SETS)],
        proof: WARNING,
    },
    Row {
        kind: "claim-header-set",
        bad: &[
            (
                "route",
                "request_headers_to_add: [{header: {key: X-User, value: '%REQ(x-name)%'}}]",
            ),
            ("provider", CLAIM_HEADER),
        ],
        at: "X-User",
        good: &[
            (
                "route",
                "request_headers_to_add: [{header: {key: x-users, value: '%REQ(x-name)%'}}]",
            ),
            ("provider", CLAIM_HEADER),
        ],
        proof: WARNING,
    },
    Row {
        kind: "metadata-unset",
        bad: &[("after", EMPTY_RBAC), ("route", DENY_OF_ROUTE_BY_METADATA)],
        at: "envoy.filters.http.jwt_authn",
        good: &[
            ("after", EMPTY_RBAC),
            ("route", DENY_OF_ROUTE_BY_STATE),
            ("config", SUBJECT),
        ],
        proof: Some(Proof::Passes(MALLORY)),
    },
    Row {
        kind: "metadata-unset",
        bad: &[("after", lua!("envoy.filters.http.jwt_authn"))],
        at: "envoy.filters.http.jwt_authn",
        good: &[("after", lua!("envoy.filters.http.ext_authz"))],
        proof: WARNING,
    },
    Row {
        kind: "metadata-unset",
        bad: &[("after", ext_authz!("envoy.filters.http.jwt_authn"))],
        at: "envoy.filters.http.jwt_authn",
        good: &[("after", ext_authz!("envoy.filters.http.header_to_metadata"))],
        proof: WARNING,
    },
    Row {
        kind: "metadata-unset",
        bad: &[("action", rate_limits!("envoy.filters.http.jwt_authn"))],
        at: "envoy.filters.http.jwt_authn",
        good: &[(
            "action",
            rate_limits!("envoy.filters.http.header_to_metadata"),
        )],
        proof: WARNING,
    },
    Row {
        kind: "metadata-unset",
        bad: &[(
            "host",
            "request_headers_to_add: [{header: {key: x-sub, value: '%DYNAMIC_METADATA(envoy.filters.http.jwt_authn:jwt:sub)%'}}]",
        )],
        at: "envoy.filters.http.jwt_authn",
        good: &[
            (
                "host",
                "request_headers_to_add: [{header: {key: x-sub, value: '%FILTER_STATE(wasm.bearer_gate.subject:PLAIN)%'}}]",
            ),
            ("config", SUBJECT),
        ],
        proof: WARNING,
    },
];
