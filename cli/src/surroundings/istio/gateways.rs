//! `Gateway`s of Istio whose workloads have no plugin of ours, beside those that have one.

use super::super::kubernetes::{SELECTED, labels, namespace, of_kind, spec, targets, title};
use super::super::services::{self as other_ways, Guarded};
use super::ways::{gateways, hosts, may_be_of};
use super::{Workload, workload};
use crate::finding::{Finding, Kind};
use crate::view::{Part, View};

/// Looks at what leads past the gateways that have the filter. A plugin beside the upstream guards
/// whatever comes to it.
pub(super) fn look_at(view: &View<'_>, plugins: &[Part<'_>], findings: &mut Vec<Finding>) {
    let is_of_gateway = |plugin: &Part<'_>| {
        targets(*plugin).is_empty() && workload(view, *plugin) == Workload::Gateway
    };
    if plugins.is_empty() || !plugins.iter().all(is_of_gateway) {
        return;
    }
    let is_guarded = |gateway: Part<'_>| plugins.iter().any(|plugin| may_be_of(gateway, *plugin));
    let services = || of_kind(view, "VirtualService");
    let guarded: Vec<(Option<&str>, &str)> = services()
        .filter(|service| {
            let gateways = gateways(view, *service);
            gateways
                .iter()
                .flatten()
                .any(|gateway| is_guarded(*gateway))
        })
        .flat_map(|service| {
            let hosts = hosts(service, "http").into_iter();
            hosts.map(move |(_, host)| (namespace(service), host))
        })
        .collect();
    let in_cluster = guarded.iter();
    let in_cluster = in_cluster.filter_map(|(place, host)| Guarded::of_host(host, *place));
    // its own class is served by the gateway that has the plugin
    let in_cluster: Vec<Guarded<'_>> = in_cluster.collect();
    other_ways::look_at(view, &in_cluster, Some("istio"), findings);
    let guarded: Vec<&str> = guarded.iter().map(|(_, host)| *host).collect();
    for service in services() {
        let Some(gateway) = gateways(view, service)
            .into_iter()
            .flatten()
            .find(|gateway| !is_guarded(*gateway))
        else {
            continue;
        };
        let mut ways = ["http", "tcp", "tls"]
            .iter()
            .flat_map(|list| hosts(service, list));
        if let Some((_, host)) = ways.find(|(_, host)| guarded.contains(host)) {
            findings.push(
                Finding::error(
                    Kind::UnguardedChain,
                    spec(service).spot_of("gateways"),
                    "spec.gateways",
                    format!(
                        "{} leads from {}, whose workloads do not have the filter, to {host}, which the filter guards elsewhere: whoever reaches that gateway needs no token",
                        title(service),
                        title(gateway)
                    ),
                )
                .write("a WasmPlugin for those workloads too, or no such gateway here"),
            );
        }
    }
    for gateway in of_kind(view, "Gateway").filter(|gateway| is_guarded(*gateway)) {
        look_at_servers(gateway, findings);
    }
    for plugin in plugins {
        look_at_selector(view, *plugin, findings);
    }
}

/// Servers that forward connections to whatever of the mesh their clients name, without a `VirtualService`.
fn look_at_servers(gateway: Part<'_>, findings: &mut Vec<Finding>) {
    for mode in spec(gateway)
        .items_of("servers")
        .filter_map(|server| server.at(&["tls", "mode"]))
        .filter(|mode| mode.node.text() == Some("AUTO_PASSTHROUGH"))
    {
        findings.push(
            Finding::warning(
                Kind::OtherChain,
                mode.spot(),
                "spec.servers.tls.mode",
                "is AUTO_PASSTHROUGH: connections go to the service that the client names, and no request there comes to the filter",
            )
            .write("a gateway of its own for that, which other clusters of the mesh alone reach"),
        );
    }
}

/// A plugin for a gateway that no `Gateway` in the files has.
fn look_at_selector(view: &View<'_>, plugin: Part<'_>, findings: &mut Vec<Finding>) {
    let known: Vec<Part<'_>> = of_kind(view, "Gateway")
        .filter(|gateway| !labels(*gateway, &["spec", "selector"]).is_empty())
        .collect();
    if known.is_empty() || known.iter().any(|gateway| may_be_of(*gateway, plugin)) {
        return;
    }
    let selector = plugin.at(SELECTED).unwrap_or(plugin);
    findings.push(
        Finding::warning(
            Kind::RequestsLeftOut,
            selector.spot(),
            "spec.selector",
            "is for workloads of no Gateway in the files, which have others: if these are all, no request comes to the filter",
        )
        .write("the labels in spec.selector of the Gateway"),
    );
}
