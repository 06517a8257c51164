//! Routes that hand on, unread, what has requests in it.

use super::{PLAIN, Proof, Request, Row, Tunnel, WARNING};

/// A route that ends a tunnel.
macro_rules! tunnel {
    ($matched:literal, $config:literal) => {
        concat!(
            "- match: ",
            $matched,
            "\n  route: {cluster: api, upgrade_configs: [{upgrade_type: CONNECT, connect_config: ",
            $config,
            "}]}"
        )
    };
}

const BY_POST: &str = tunnel!("{path: /tunnel}", "{allow_post: true}");
const BY_CONNECT: &str = tunnel!("{connect_matcher: {}}", "{}");
const CONNECTS: &str = "upgrade_configs: [{upgrade_type: CONNECT}]";

pub(super) const ROWS: &[Row] = &[
    Row {
        kind: "requests-tunnelled",
        bad: &[
            ("rules", "- match: {path_separated_prefix: /tunnel}"),
            ("first", BY_POST),
        ],
        at: "allow_post",
        good: &[
            (
                "rules",
                "- match: {path_separated_prefix: /tunnel}\n  requires: {provider_name: idp}",
            ),
            ("first", BY_POST),
        ],
        proof: Some(Proof::Passes(Request {
            path: "/tunnel",
            within: Some(Tunnel::Post),
            ..PLAIN
        })),
    },
    // without a rule for it the filter refuses what has no path
    Row {
        kind: "requests-tunnelled",
        bad: &[
            ("rules", "- match: {connect_matcher: {}}"),
            ("manager", CONNECTS),
            ("first", BY_CONNECT),
        ],
        at: "connect_config",
        good: &[("manager", CONNECTS), ("first", BY_CONNECT)],
        proof: Some(Proof::Passes(Request {
            within: Some(Tunnel::Connect),
            ..PLAIN
        })),
    },
    // who may do less elsewhere
    Row {
        kind: "requests-tunnelled",
        bad: &[
            (
                "rules",
                "- match: {path_separated_prefix: /tunnel}\n  requires: {provider_name: idp}\n- match: {path_separated_prefix: /open}",
            ),
            ("first", BY_POST),
        ],
        at: "allow_post",
        good: &[
            (
                "rules",
                "- match: {path_separated_prefix: /tunnel}\n  requires: {provider_name: idp}\n- match: {path_separated_prefix: /open}",
            ),
            ("first", tunnel!("{path: /tunnel}", "{}")),
        ],
        proof: WARNING,
    },
];
