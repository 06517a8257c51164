//! Ports that there are not.

use super::{Proof, Row};

const REFUSED: Option<Proof> = Some(Proof::Refused);

/// A listener at this port.
macro_rules! listener {
    ($port:literal) => {
        concat!(at_port!("other", $port), "  filter_chains: [{}]")
    };
}

/// One that has this port too.
macro_rules! with_second {
    ($port:literal) => {
        concat!(
            listener!("10001"),
            "\n  additional_addresses: [{address: {socket_address: {address: 127.0.0.1, port_value: ",
            $port,
            "}}}]"
        )
    };
}

macro_rules! admin {
    ($port:literal) => {
        concat!(
            "admin: {address: {socket_address: {address: 127.0.0.1, port_value: ",
            $port,
            "}}}"
        )
    };
}

/// Names a port of a listener again, so that the real Envoy gets all of them as they are.
const NAMED: &str = cluster!("named", "10000");

pub(super) const ROWS: &[Row] = &[
    Row {
        kind: "port-invalid",
        bad: &[("listener", listener!("81370")), ("cluster", NAMED)],
        at: "81370",
        good: &[("listener", listener!("65535")), ("cluster", NAMED)],
        proof: REFUSED,
    },
    Row {
        kind: "port-invalid",
        bad: &[("listener", with_second!("'65536'"))],
        at: "65536",
        good: &[("listener", with_second!("'65535'"))],
        proof: REFUSED,
    },
    Row {
        kind: "port-invalid",
        bad: &[("cluster", cluster!("static", "http"))],
        at: "port_value: http",
        good: &[
            ("cluster", cluster!("static", "'0x1F91'")),
            (
                "api",
                "metadata: {filter_metadata: {a: {port_value: http}}}",
            ),
        ],
        proof: REFUSED,
    },
    Row {
        kind: "port-invalid",
        bad: &[("cluster", cluster!("static", ""))],
        at: "port_value: ",
        good: &[("cluster", cluster!("static", "8e3"))],
        proof: REFUSED,
    },
    // the test gives each real Envoy an admin interface of its own
    Row {
        kind: "port-invalid",
        bad: &[("top", admin!("9901.5"))],
        at: "9901.5",
        good: &[("top", admin!("9901.0"))],
        proof: Some(Proof::Unseen),
    },
];
