//! Headers that something of Envoy's sets: tokens before the filter, and what the filter tells, or has decided
//! by, behind it.

use super::{CLAIM_HEADER, Row, WARNING};

/// Lua that does this with a request.
macro_rules! lua {
    ($call:literal) => {
        concat!(
            "- name: lua\n  typed_config:\n    \"@type\": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua\n    default_source_code:\n      inline_string: |\n        function envoy_on_request(handle)\n          handle:headers()",
            $call,
            "\n        end"
        )
    };
}

const LUA: &str = lua!(":get('x')");

const LUA_OF_A_ROUTE: &str = r#"typed_per_filter_config:
  lua:
    "@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.LuaPerRoute
    source_code: {inline_string: "function envoy_on_request(h) h:headers():add('X-User', 'root') end"}"#;

const LUA_OF_A_WEIGHTED_CLUSTER: &str = r#"- match: {prefix: /api/orders}
  route:
    weighted_clusters:
      clusters:
      - name: api
        weight: 1
        typed_per_filter_config:
          lua:
            "@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.LuaPerRoute
            source_code: {inline_string: "function envoy_on_request(h) h:headers():add('X-User', 'root') end"}"#;

/// What gives every request this header.
macro_rules! injector {
    ($header:literal) => {
        concat!(
            r#"- name: injector
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.credential_injector.v3.CredentialInjector
    credential:
      name: generic
      typed_config: {"@type": type.googleapis.com/envoy.extensions.http.injected_credentials.generic.v3.Generic, credential: {name: secret}"#,
            $header,
            "}"
        )
    };
}

/// Envoy's own filter that sets this header.
macro_rules! setter {
    ($header:literal) => {
        concat!(
            r#"- name: setter
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation
    mutations: {request_mutations: [{append: {header: {key: "#,
            $header,
            ", value: Bearer a}}}]}"
        )
    };
}

/// What a route has that filter set.
macro_rules! of_route {
    ($header:literal) => {
        concat!(
            "typed_per_filter_config: {setter: {\"@type\": type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutationPerRoute, mutations: {request_mutations: [{append: {header: {key: ",
            $header,
            ", value: Bearer a}}}]}}}"
        )
    };
}

/// Filters of calls to a cluster, of which the first is Lua that does this.
macro_rules! in_cluster {
    ($call:literal) => {
        filters_of_calls!(
            r#"    - name: lua
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua
        default_source_code: {inline_string: "function envoy_on_request(h) h:headers()"#,
            $call,
            " end\"}"
        )
    };
}

/// What sets this header before all filters.
macro_rules! early {
    ($header:literal) => {
        concat!(
            r#"early_header_mutation_extensions:
- name: early
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation
    mutations: [{append: {header: {key: "#,
            $header,
            ", value: Bearer a}}}]"
        )
    };
}

pub(super) const ROWS: &[Row] = &[
    Row {
        kind: "filter-order",
        bad: &[("before", injector!(""))],
        at: "CredentialInjector",
        good: &[("after", injector!(""))],
        proof: WARNING,
    },
    Row {
        kind: "filter-order",
        bad: &[("before", injector!(", header: Authorization"))],
        at: "Authorization",
        good: &[("before", injector!(", header: x-api-key"))],
        proof: WARNING,
    },
    Row {
        kind: "filter-order",
        bad: &[("before", setter!("Authorization"))],
        at: "Authorization",
        good: &[("before", setter!("x-other"))],
        proof: WARNING,
    },
    Row {
        kind: "filter-order",
        bad: &[
            ("manager", early!("x-token")),
            ("provider", "from_headers: [{name: x-token}]"),
        ],
        at: "x-token",
        good: &[("manager", early!("x-token"))],
        proof: WARNING,
    },
    Row {
        kind: "filter-order",
        bad: &[
            ("before", setter!("Cookie")),
            ("provider", "from_cookies: [jwt]"),
        ],
        at: "Cookie",
        good: &[
            ("after", setter!("Cookie")),
            ("provider", "from_cookies: [jwt]"),
        ],
        proof: WARNING,
    },
    Row {
        kind: "claim-header-set",
        bad: &[
            ("after", injector!(", header: X-User")),
            ("provider", CLAIM_HEADER),
        ],
        at: "X-User",
        good: &[
            ("after", injector!(", header: X-Key")),
            ("provider", CLAIM_HEADER),
        ],
        proof: WARNING,
    },
    Row {
        kind: "claim-header-set",
        bad: &[
            ("after", lua!(":replace('X-User', 'root')")),
            ("provider", CLAIM_HEADER),
        ],
        at: "envoy_on_request",
        good: &[
            ("after", lua!(":replace('X-Other', 'root')")),
            ("provider", CLAIM_HEADER),
        ],
        proof: WARNING,
    },
    Row {
        kind: "claim-header-set",
        bad: &[
            ("after", LUA),
            ("host", LUA_OF_A_ROUTE),
            ("provider", CLAIM_HEADER),
        ],
        at: "source_code",
        good: &[("after", LUA), ("host", LUA_OF_A_ROUTE)],
        proof: WARNING,
    },
    Row {
        kind: "claim-header-set",
        bad: &[
            ("after", LUA),
            ("first", LUA_OF_A_WEIGHTED_CLUSTER),
            ("provider", CLAIM_HEADER),
        ],
        at: "source_code",
        good: &[("after", LUA), ("first", LUA_OF_A_WEIGHTED_CLUSTER)],
        proof: WARNING,
    },
    Row {
        kind: "path-rewritten",
        bad: &[("after", lua!(":replace(\":path\", \"/api\")"))],
        at: "envoy_on_request",
        good: &[("after", lua!(":get(\":path\")"))],
        proof: WARNING,
    },
    // a name that no file says
    Row {
        kind: "claim-header-set",
        bad: &[
            (
                "after",
                lua!(":replace('x-' .. handle:headers():get('x'), 'root')"),
            ),
            ("provider", CLAIM_HEADER),
        ],
        at: "envoy_on_request",
        good: &[(
            "after",
            lua!(":replace('x-' .. handle:headers():get('x'), 'root')"),
        )],
        proof: WARNING,
    },
    Row {
        kind: "path-rewritten",
        bad: &[
            ("after", lua!(":replace(handle:headers():get('x'), '/api')")),
            ("rules", "- match: {path_separated_prefix: /open}"),
        ],
        at: "envoy_on_request",
        good: &[
            ("after", lua!(":replace('x', '/api')")),
            ("rules", "- match: {path_separated_prefix: /open}"),
        ],
        proof: WARNING,
    },
    // what a route has a filter before this one do
    Row {
        kind: "filter-order",
        bad: &[
            ("before", setter!("x-other")),
            ("host", of_route!("Authorization")),
        ],
        at: "key: Authorization",
        good: &[
            ("after", setter!("x-other")),
            ("host", of_route!("Authorization")),
        ],
        proof: WARNING,
    },
    Row {
        kind: "path-rewritten",
        bad: &[("api", in_cluster!(":replace(':path', '/api')"))],
        at: "envoy_on_request",
        good: &[("api", in_cluster!(":get(':path')"))],
        proof: WARNING,
    },
    Row {
        kind: "claim-header-set",
        bad: &[
            ("provider", CLAIM_HEADER),
            ("api", in_cluster!(":add('x-user', 'root')")),
        ],
        at: "envoy_on_request",
        good: &[
            ("provider", CLAIM_HEADER),
            ("api", in_cluster!(":add('x-mail', 'root')")),
        ],
        proof: WARNING,
    },
];
