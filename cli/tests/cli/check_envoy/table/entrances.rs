//! Listeners without the filter, whose requests reach what it guards by something else than a route or a
//! TCP proxy to the guarded cluster.

use super::{OTHER, Proof, Row, STATIC, WARNING};

/// A connection manager that does this with its requests.
macro_rules! manager {
    ($route:literal) => {
        other_manager!(; $route)
    };
}

/// A proxy that routes requests by itself.
macro_rules! generic {
    ($cluster:literal) => {
        other_listener!(
            r#"    - name: generic
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.filters.network.generic_proxy.v3.GenericProxy
        stat_prefix: generic
        codec_config: {name: http1, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.generic_proxy.codecs.http1.v3.Http1CodecConfig}}
        filters: [{name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.generic_proxy.router.v3.Router}}]
        route_config:
          name: generic
          virtual_hosts:
          - name: all
            hosts: ["*"]
            routes:
              on_no_match:
                action:
                  name: to
                  typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.generic_proxy.action.v3.RouteAction, cluster: "#,
            $cluster,
            "}"
        )
    };
}

/// A cluster that is made of others.
macro_rules! made_of {
    ($kind:literal, $members:literal) => {
        concat!(
            "- name: all\n  lb_policy: CLUSTER_PROVIDED\n  cluster_type: {name: envoy.clusters.",
            $kind,
            r#", typed_config: {"@type": type.googleapis.com/envoy.extensions.clusters."#,
            $kind,
            ".v3.ClusterConfig, clusters: ",
            $members,
            "}}"
        )
    };
}

/// A cluster by EDS.
macro_rules! by_eds {
    ($name:literal, $service:literal) => {
        concat!(
            "- name: ",
            $name,
            "\n  type: EDS\n  eds_cluster_config: {service_name: ",
            $service,
            ", eds_config: {ads: {}}}"
        )
    };
}

const TO_ONE_BY_EDS: &str = "- match: {prefix: /eds}\n  route: {cluster: one}";

const BY_SNI: &str = other_listener!(
    r#"    - name: sni
      typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.sni_cluster.v3.SniCluster}
"#,
    tcp_proxy!("static")
);

/// Filter state that is set for each connection.
macro_rules! with_state {
    ($key:literal) => {
        other_listener!(
            r#"    - name: state
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.filters.network.set_filter_state.v3.Config
        on_new_connection: [{object_key: "#,
            $key,
            r#", factory_key: envoy.string, format_string: {text_format_source: {inline_string: api}}}]
"#,
            tcp_proxy!("static")
        )
    };
}

/// Lua that answers with what this cluster answers.
macro_rules! with_lua {
    ($cluster:literal) => {
        other_manager!(
            r#"        - name: lua
          typed_config:
            "@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua
            default_source_code: {inline_string: "function envoy_on_request(h) h:respond(h:httpCall('"#,
            $cluster,
            "', {}, '', 1000)) end\"}\n";
            "direct_response: {status: 200}"
        )
    };
}

/// Nobody listens at the first address.
const SECOND_ADDRESS: &str = "- name: second\n  type: STATIC\n  load_assignment: {cluster_name: second, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: '::1', port_value: 1}}, additional_addresses: [{address: {socket_address: {address: 127.0.0.1, port_value: 8080}}}]}}]}]}";

pub(super) const INTERNAL: &str = r#"bootstrap_extensions: [{name: internal, typed_config: {"@type": type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener}}]"#;

/// A listener within Envoy that leads to this cluster.
macro_rules! inner {
    ($cluster:literal) => {
        inner_listener!(tcp_proxy!($cluster))
    };
}

pub(super) const TO_INNER: &str = "- name: inner\n  type: STATIC\n  load_assignment: {cluster_name: inner, endpoints: [{lb_endpoints: [{endpoint: {address: {envoy_internal_address: {server_listener_name: inner}}}}]}]}";

const API_TO_INNER: &str = "- match: {prefix: /api}\n  route: {cluster: inner}";

const PASSES: Option<Proof> = Some(Proof::Passes(OTHER));

pub(super) const ROWS: &[Row] = &[
    Row {
        kind: "unguarded-chain",
        bad: &[
            ("listener", other_listener!(tcp_proxy!("all"))),
            ("cluster", made_of!("aggregate", "[api, static]")),
            ("cluster", STATIC),
        ],
        at: "TcpProxy",
        good: &[
            ("listener", other_listener!(tcp_proxy!("all"))),
            ("cluster", made_of!("aggregate", "[static]")),
            ("cluster", STATIC),
        ],
        proof: PASSES,
    },
    Row {
        kind: "unguarded-chain",
        bad: &[
            ("listener", manager!("route: {cluster: all}")),
            ("cluster", made_of!("aggregate", "[api]")),
        ],
        at: "HttpConnectionManager",
        good: &[("listener", manager!("direct_response: {status: 200}"))],
        proof: PASSES,
    },
    // the members of a composite are not texts
    Row {
        kind: "unguarded-chain",
        bad: &[
            ("listener", manager!("route: {cluster: all}")),
            ("cluster", made_of!("composite", "[{name: api}]")),
        ],
        at: "HttpConnectionManager",
        good: &[("listener", manager!("direct_response: {status: 200}"))],
        proof: PASSES,
    },
    // what is no request comes to nobody there
    Row {
        kind: "other-chain",
        bad: &[
            ("listener", other_listener!(tcp_proxy!("all"))),
            ("cluster", made_of!("composite", "[{name: api}]")),
        ],
        at: "TcpProxy",
        good: &[
            ("listener", other_listener!(tcp_proxy!("all"))),
            ("cluster", made_of!("composite", "[{name: static}]")),
            ("cluster", STATIC),
        ],
        proof: WARNING,
    },
    // a second address of the same host
    Row {
        kind: "unguarded-chain",
        bad: &[
            ("listener", manager!("route: {cluster: second}")),
            ("cluster", SECOND_ADDRESS),
        ],
        at: "HttpConnectionManager",
        good: &[("listener", manager!("direct_response: {status: 200}"))],
        proof: PASSES,
    },
    // no file has the endpoints
    Row {
        kind: "unguarded-chain",
        bad: &[
            ("first", TO_ONE_BY_EDS),
            ("listener", manager!("route: {cluster: other}")),
            ("cluster", by_eds!("one", "orders")),
            ("cluster", by_eds!("other", "orders")),
        ],
        at: "HttpConnectionManager",
        good: &[
            ("first", TO_ONE_BY_EDS),
            ("listener", other_listener!(tcp_proxy!("other"))),
            ("cluster", by_eds!("one", "orders")),
            ("cluster", by_eds!("other", "users")),
        ],
        proof: Some(Proof::Unseen),
    },
    // the copy is sent behind the answer
    Row {
        kind: "unguarded-chain",
        bad: &[
            (
                "listener",
                manager!("route: {cluster: static, request_mirror_policies: [{cluster: api}]}"),
            ),
            ("cluster", STATIC),
        ],
        at: "HttpConnectionManager",
        good: &[("listener", manager!("direct_response: {status: 200}"))],
        proof: PASSES,
    },
    // what the filter guards stands behind a listener within Envoy
    Row {
        kind: "unguarded-chain",
        bad: &[
            ("top", INTERNAL),
            ("first", API_TO_INNER),
            ("listener", inner!("api")),
            ("listener", manager!("route: {cluster: inner}")),
            ("cluster", TO_INNER),
        ],
        at: "HttpConnectionManager",
        good: &[
            ("top", INTERNAL),
            ("first", API_TO_INNER),
            ("listener", inner!("api")),
            ("listener", manager!("direct_response: {status: 200}")),
            ("cluster", TO_INNER),
        ],
        proof: PASSES,
    },
    // nobody is at that cluster
    Row {
        kind: "unguarded-chain",
        bad: &[
            ("top", INTERNAL),
            ("first", API_TO_INNER),
            ("listener", inner!("static")),
            ("listener", other_listener!(tcp_proxy!("static"))),
            ("cluster", TO_INNER),
            ("cluster", STATIC),
        ],
        at: "TcpProxy",
        good: &[
            ("top", INTERNAL),
            ("first", API_TO_INNER),
            ("listener", inner!("api")),
            ("listener", other_listener!(tcp_proxy!("static"))),
            ("cluster", TO_INNER),
            ("cluster", STATIC),
        ],
        proof: Some(Proof::Unseen),
    },
    Row {
        kind: "unguarded-chain",
        bad: &[("listener", generic!("api"))],
        at: "RouteAction",
        good: &[("listener", generic!("static")), ("cluster", STATIC)],
        proof: PASSES,
    },
    Row {
        kind: "other-chain",
        bad: &[("listener", with_lua!("api"))],
        at: "lua.v3",
        good: &[("listener", with_lua!("another"))],
        proof: WARNING,
    },
    Row {
        kind: "other-chain",
        bad: &[("listener", BY_SNI), ("cluster", STATIC)],
        at: "SniCluster",
        good: &[
            ("listener", other_listener!(tcp_proxy!("static"))),
            ("cluster", STATIC),
        ],
        proof: WARNING,
    },
    Row {
        kind: "other-chain",
        bad: &[
            ("listener", with_state!("envoy.tcp_proxy.cluster")),
            ("cluster", STATIC),
        ],
        at: "set_filter_state",
        good: &[("listener", with_state!("another")), ("cluster", STATIC)],
        proof: WARNING,
    },
];
