//! Envoy's admin interface, by which anybody who reaches it can read and stop it.

use crate::finding::{Finding, Kind};
use crate::view::Group;

pub(super) fn look_at(group: &Group<'_>, findings: &mut Vec<Finding>) {
    let admin = group.bootstrap.and_then(|part| part.get("admin"));
    let address = admin.and_then(|admin| admin.at(&["address", "socket_address", "address"]));
    let Some(address) = address else { return };
    if matches!(address.node.text(), Some("0.0.0.0" | "::" | "::0")) {
        findings.push(
            Finding::warning(
                Kind::AdminOpen,
                address.spot(),
                "admin.address",
                "is every address of this host: whoever reaches it reads the configuration, and can stop Envoy",
            )
            .write("address: 127.0.0.1, and a listener for the page that Prometheus reads, as in deploy/envoy/envoy.yaml"),
        );
    }
}
