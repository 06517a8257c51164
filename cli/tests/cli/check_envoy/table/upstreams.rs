//! Routes on which a header of the client chooses the upstream.

use super::{OTHER, PLAIN, Proof, Request, Row, STATIC, WARNING};

/// A cluster for whatever host a request names.
const ANY: &str = r#"- name: any
  lb_policy: CLUSTER_PROVIDED
  cluster_type:
    name: envoy.clusters.dynamic_forward_proxy
    typed_config: {"@type": type.googleapis.com/envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig, dns_cache_config: {name: any, dns_lookup_family: V4_ONLY}}"#;

const FORWARD: &str = r#"- name: forward
  typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig, dns_cache_config: {name: any, dns_lookup_family: V4_ONLY}}"#;

const OPEN: &str = "- match: {path_separated_prefix: /open}";

/// A route of a path to the cluster `any`, with this beside it.
macro_rules! to_any {
    ($path:literal, $more:expr) => {
        concat!(
            "- match: {prefix: ",
            $path,
            "}\n  route: {cluster: any}\n",
            $more
        )
    };
}

/// What the route says of the host.
macro_rules! of_host {
    ($rewrite:literal) => {
        concat!(
            r#"  typed_per_filter_config: {forward: {"@type": type.googleapis.com/envoy.extensions.filters.http.dynamic_forward_proxy.v3.PerRouteConfig, "#,
            $rewrite,
            "}}"
        )
    };
}

/// A cluster for whatever address a request names.
const BY_ADDRESS: &str = "- name: any\n  type: ORIGINAL_DST\n  lb_policy: CLUSTER_PROVIDED\n  original_dst_lb_config: {use_http_header: true}";

const BY_CONNECTION: &str = "- name: any\n  type: ORIGINAL_DST\n  lb_policy: CLUSTER_PROVIDED";

const MADE_OF_ANY: &str = r#"- name: all
  lb_policy: CLUSTER_PROVIDED
  cluster_type: {name: envoy.clusters.aggregate, typed_config: {"@type": type.googleapis.com/envoy.extensions.clusters.aggregate.v3.ClusterConfig, clusters: [any]}}"#;

/// A listener without the filter, with this virtual host.
macro_rules! listener {
    ($host:literal) => {
        other_manager!(
            r#"        - {name: forward, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig, dns_cache_config: {name: any, dns_lookup_family: V4_ONLY}}}
"#;
            $host
        )
    };
}

/// What takes this header off each request before it has a route.
macro_rules! without {
    ($header:literal) => {
        concat!(
            "early_header_mutation_extensions:\n- name: early\n  typed_config: {\"@type\": type.googleapis.com/envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation, mutations: [{remove: ",
            $header,
            "}]}"
        )
    };
}

const HERE: Request = Request {
    host: "127.0.0.1:8080",
    path: "/open",
    ..PLAIN
};

pub(super) const ROWS: &[Row] = &[
    Row {
        kind: "upstream-chosen",
        bad: &[
            ("rules", OPEN),
            ("before", FORWARD),
            ("first", to_any!("/open", "")),
            ("cluster", ANY),
        ],
        at: "route: {cluster: any}",
        good: &[
            ("rules", OPEN),
            ("before", FORWARD),
            (
                "first",
                to_any!("/open", of_host!("host_rewrite_literal: '127.0.0.1:9'")),
            ),
            ("cluster", ANY),
        ],
        proof: Some(Proof::Passes(HERE)),
    },
    Row {
        kind: "upstream-chosen",
        bad: &[
            ("rules", OPEN),
            ("before", FORWARD),
            (
                "first",
                to_any!("/open", of_host!("host_rewrite_header: x-where")),
            ),
            ("cluster", ANY),
        ],
        at: "route: {cluster: any}",
        good: &[
            ("rules", OPEN),
            ("before", FORWARD),
            (
                "first",
                "- match: {prefix: /open}\n  route: {cluster: any, host_rewrite_literal: '127.0.0.1:9'}",
            ),
            ("cluster", ANY),
        ],
        proof: Some(Proof::Passes(Request {
            headers: &[("x-where", "127.0.0.1:8080")],
            path: "/open",
            ..PLAIN
        })),
    },
    Row {
        kind: "upstream-chosen",
        bad: &[
            ("rules", OPEN),
            ("first", to_any!("/open", "")),
            ("cluster", BY_ADDRESS),
        ],
        at: "route: {cluster: any}",
        good: &[
            ("rules", OPEN),
            (
                "first",
                to_any!(
                    "/open",
                    "  request_headers_to_remove: [X-Envoy-Original-Dst-Host]"
                ),
            ),
            ("cluster", BY_ADDRESS),
        ],
        proof: Some(Proof::Passes(Request {
            headers: &[("x-envoy-original-dst-host", "127.0.0.1:8080")],
            path: "/open",
            ..PLAIN
        })),
    },
    // below a path that a rule opens. A cluster that is made of such a one has no host
    Row {
        kind: "upstream-chosen",
        bad: &[
            ("rules", OPEN),
            ("before", FORWARD),
            (
                "first",
                "- match: {prefix: /}\n  route: {weighted_clusters: {clusters: [{name: any, weight: 1}]}}",
            ),
            ("cluster", ANY),
        ],
        at: "weighted_clusters",
        good: &[
            ("rules", OPEN),
            ("before", FORWARD),
            ("first", "- match: {prefix: /}\n  route: {cluster: all}"),
            ("cluster", MADE_OF_ANY),
            ("cluster", ANY),
        ],
        proof: Some(Proof::Passes(HERE)),
    },
    Row {
        kind: "upstream-chosen",
        bad: &[
            ("listener", listener!("route: {cluster: any}")),
            ("cluster", ANY),
        ],
        at: "route: {cluster: any}",
        good: &[
            ("listener", listener!("direct_response: {status: 200}")),
            ("cluster", ANY),
        ],
        proof: Some(Proof::Passes(Request {
            host: "127.0.0.1:8080",
            ..OTHER
        })),
    },
    Row {
        kind: "upstream-chosen",
        bad: &[
            ("before", FORWARD),
            ("first", to_any!("/api", "")),
            ("cluster", ANY),
        ],
        at: "route: {cluster: any}",
        good: &[("first", to_any!("/api", "")), ("cluster", BY_CONNECTION)],
        proof: WARNING,
    },
    // nobody answers a CONNECT there
    Row {
        kind: "upstream-chosen",
        bad: &[
            ("rules", "- match: {connect_matcher: {}}"),
            ("manager", "upgrade_configs: [{upgrade_type: CONNECT}]"),
            ("before", FORWARD),
            (
                "first",
                "- match: {connect_matcher: {}}\n  route: {cluster: any, upgrade_configs: [{upgrade_type: CONNECT, connect_config: {}}]}",
            ),
            ("cluster", ANY),
        ],
        at: "cluster: any",
        good: &[
            ("rules", "- match: {connect_matcher: {}}"),
            ("manager", "upgrade_configs: [{upgrade_type: CONNECT}]"),
            (
                "first",
                "- match: {connect_matcher: {}}\n  route: {cluster: static, upgrade_configs: [{upgrade_type: CONNECT, connect_config: {}}]}",
            ),
            ("cluster", STATIC),
        ],
        proof: Some(Proof::Unseen),
    },
    Row {
        kind: "upstream-chosen",
        bad: &[
            ("rules", OPEN),
            (
                "first",
                "- match: {prefix: /open}\n  route: {cluster_header: x-cluster}",
            ),
        ],
        at: "cluster_header",
        good: &[
            ("rules", OPEN),
            ("manager", without!("x-cluster")),
            (
                "first",
                "- match: {prefix: /open}\n  route: {cluster_header: x-cluster}",
            ),
        ],
        proof: WARNING,
    },
    Row {
        kind: "upstream-chosen",
        bad: &[
            ("rules", OPEN),
            (
                "first",
                "- match: {prefix: /open}\n  route: {cluster_header: x-cluster}\n  request_headers_to_remove: [x-cluster]",
            ),
        ],
        at: "cluster_header",
        good: &[(
            "first",
            "- match: {prefix: /api}\n  route: {cluster_header: x-cluster}",
        )],
        proof: WARNING,
    },
];
