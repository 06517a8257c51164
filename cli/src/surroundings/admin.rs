//! Envoy's admin interface, by which anybody who reaches it can read and stop it.

use std::net::IpAddr;

use crate::finding::{Finding, Kind};
use crate::view::Group;

pub(super) fn look_at(group: &Group<'_>, findings: &mut Vec<Finding>) {
    let admin = group.bootstrap.and_then(|part| part.get("admin"));
    let address = admin.and_then(|admin| admin.at(&["address", "socket_address", "address"]));
    let Some(address) = address else { return };
    let ip = address
        .node
        .text()
        .and_then(|text| text.parse::<IpAddr>().ok());
    if let Some(ip) = ip.filter(|ip| !ip.to_canonical().is_loopback()) {
        let whose = match ip.is_unspecified() {
            true => "is every address of this host",
            false => "is an address that other hosts may reach",
        };
        findings.push(
            Finding::warning(
                Kind::AdminOpen,
                address.spot(),
                "admin.address",
                format!("{whose}: whoever reaches it reads the configuration, and can stop Envoy"),
            )
            .write("address: 127.0.0.1, and a listener for the page that Prometheus reads, as in deploy/envoy/envoy.yaml"),
        );
    }
}
