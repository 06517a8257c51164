//! Listeners without the filter, whose requests come to one that has it, with a token of the gateway's own.

use super::{Row, WARNING};

/// A connection manager with these filters, which sends requests to a listener that has the filter.
macro_rules! front {
    ($filters:literal, $route:literal) => {
        other_manager!($filters; "route: {cluster: front}, ", $route)
    };
}

/// A cluster that leads to the listener that has the filter.
macro_rules! cluster {
    ($($more:tt)*) => {
        concat!(
            "- name: front\n  type: STATIC\n  load_assignment: {cluster_name: front, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 10000}}}}]}]}",
            $($more)*
        )
    };
}

/// Filters of calls to the cluster, of which the first sets this header.
macro_rules! setting {
    ($header:literal) => {
        cluster!(setting_of_calls!($header))
    };
}

const PLAIN: &str = cluster!("");

pub(super) const ROWS: &[Row] = &[
    Row {
        kind: "filter-order",
        bad: &[
            (
                "listener",
                front!(
                    "",
                    "request_headers_to_add: [{header: {key: Authorization, value: Bearer a}}]"
                ),
            ),
            ("cluster", PLAIN),
        ],
        at: "key: Authorization",
        good: &[
            (
                "listener",
                front!(
                    "",
                    "request_headers_to_add: [{header: {key: x-front, value: a}}]"
                ),
            ),
            ("cluster", PLAIN),
        ],
        proof: WARNING,
    },
    Row {
        kind: "filter-order",
        bad: &[
            ("listener", front!("", "metadata: {}")),
            ("cluster", setting!("authorization")),
        ],
        at: "key: authorization",
        good: &[
            ("listener", front!("", "metadata: {}")),
            ("cluster", setting!("x-front")),
        ],
        proof: WARNING,
    },
    Row {
        kind: "filter-order",
        bad: &[
            (
                "listener",
                front!(
                    r#"        - name: injector
          typed_config:
            "@type": type.googleapis.com/envoy.extensions.filters.http.credential_injector.v3.CredentialInjector
            credential: {name: generic, typed_config: {"@type": type.googleapis.com/envoy.extensions.http.injected_credentials.generic.v3.Generic, credential: {name: secret}}}
"#,
                    "metadata: {}"
                ),
            ),
            ("cluster", PLAIN),
        ],
        at: "CredentialInjector",
        good: &[("listener", front!("", "metadata: {}")), ("cluster", PLAIN)],
        proof: WARNING,
    },
];
