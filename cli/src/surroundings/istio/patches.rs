//! `EnvoyFilter`: patches of what Istio makes, after it has put the plugin there.

use bearer_gate::config::Config;

use super::super::kubernetes::{
    SELECTED, labels, may_be_neighbours, name, namespace, of_kind, spec, targets,
};
use super::super::patches::{brings_chains, look_at_earlier, look_at_value, taken_out, way_in};
use super::super::providers;
use super::{Workload, workload};
use crate::finding::{Finding, Kind, Level, Note};
use crate::plugin::{Plugin, names_us};
use crate::view::{Group, Part, View};

const PATH: &str = "spec.configPatches";
/// Where a resource has the labels of its workloads.
const WORKLOADS: &[&str] = &["spec", "workload_selector", "labels"];

/// Looks at the patches that may be for the workloads of a plugin.
pub(super) fn look_at(
    view: &View<'_>,
    resource: Part<'_>,
    config: Option<&Config>,
    findings: &mut Vec<Finding>,
) {
    let workload = workload(view, resource);
    let own_name = format!(".{}", name(resource));
    // extenstions.istio.io/wasmplugin/NAMESPACE.NAME, spelt so in Istio
    let kinds = ["wasmplugin/", "trafficextension/"];
    let is_own =
        |name: &str| kinds.iter().any(|kind| name.contains(kind)) && name.ends_with(&own_name);
    for filter in of_kind(view, "EnvoyFilter").filter(|it| may_patch(*it, resource)) {
        for patch in spec(filter).items_of("config_patches") {
            let context = patch.node.text_at(&["match", "context"]);
            let is_for_it = match context {
                Some("GATEWAY") => workload != Workload::Pod,
                Some("SIDECAR_INBOUND") => workload != Workload::Gateway,
                Some("SIDECAR_OUTBOUND") => false,
                _ => true,
            };
            if is_for_it {
                look_at_patch(patch, &is_own, config, findings);
            }
        }
    }
}

fn may_patch(filter: Part<'_>, resource: Part<'_>) -> bool {
    let is_near = may_be_neighbours(filter, resource) || namespace(filter) == Some(super::ROOT);
    let own = labels(resource, SELECTED);
    let differs = |(name, value): &(&str, &str)| {
        let mut own = own.iter();
        own.any(|(other, another)| other == name && another != value)
    };
    let (one, other) = (targets(filter), targets(resource));
    let is_same = one.is_empty()
        || other.is_empty()
        || one
            .iter()
            .any(|target| other.iter().any(|own| own.is(target)));
    is_near && is_same && !labels(filter, WORKLOADS).iter().any(differs)
}

fn look_at_patch(
    patch: Part<'_>,
    is_own: &dyn Fn(&str) -> bool,
    config: Option<&Config>,
    findings: &mut Vec<Finding>,
) {
    let value = patch.at(&["patch", "value"]);
    if let Some(value) = value {
        look_at_value(value, is_own, config, findings);
    }
    let operation = patch.node.text_at(&["patch", "operation"]);
    let brings_ours = value.is_some_and(|value| names_us(value.node));
    match patch.node.text_at(&["apply_to"]) {
        Some("HTTP_FILTER") => look_at_filter(patch, is_own, config, findings),
        Some("NETWORK_FILTER") if operation == Some("REPLACE") && !brings_ours => {
            findings.push(taken_out(
                patch,
                Level::Error,
                PATH,
                "replaces the connection manager, with all its filters: nobody asks for tokens",
            ));
        }
        Some("LISTENER" | "FILTER_CHAIN") if operation == Some("ADD") && !brings_ours => {
            findings.push(way_in(patch, PATH));
        }
        Some("LISTENER" | "BOOTSTRAP") if value.is_some_and(brings_chains) => {
            findings.push(way_in(patch, PATH));
        }
        _ => {}
    }
}

/// A patch of the list of HTTP filters. Without a `subFilter` it is for all of them, or their first.
fn look_at_filter(
    patch: Part<'_>,
    is_own: &dyn Fn(&str) -> bool,
    config: Option<&Config>,
    findings: &mut Vec<Finding>,
) {
    let sub_filter = [
        "match",
        "listener",
        "filter_chain",
        "filter",
        "sub_filter",
        "name",
    ];
    let matched = patch.node.text_at(&sub_filter);
    let is_ours = matched.is_none_or(is_own);
    let value = patch.at(&["patch", "value"]);
    match (patch.node.text_at(&["patch", "operation"]), value) {
        (Some("REMOVE"), _) if is_ours => findings.push(taken_out(
            patch,
            Level::Error,
            PATH,
            "removes the filter: requests reach the upstream without a token",
        )),
        (Some("REPLACE"), Some(value)) if is_ours && !names_us(value.node) => {
            findings.push(taken_out(
                patch,
                Level::Error,
                PATH,
                "puts another filter in the place of the filter: nobody asks for tokens",
            ));
        }
        (Some("MERGE"), Some(value)) if is_ours => {
            if let Some(off) = value.get("disabled").filter(|off| off.node.is_true()) {
                findings.push(taken_out(
                    off,
                    Level::Error,
                    PATH,
                    "turns the filter off: requests reach the upstream without a token",
                ));
            }
        }
        (Some("INSERT_FIRST"), Some(value)) => look_at_earlier(value, config, findings),
        (Some("INSERT_BEFORE"), Some(value)) if is_ours => look_at_earlier(value, config, findings),
        _ => {}
    }
}

/// The TLS of clusters that patches add, as in Envoy's own file.
pub(super) fn look_at_clusters(
    view: &View<'_>,
    plugin: &Plugin<'_>,
    config: &Config,
    findings: &mut Vec<Finding>,
) {
    for filter in of_kind(view, "EnvoyFilter") {
        let patches = spec(filter).items_of("config_patches");
        let added = patches.filter(|patch| {
            let text = |names: &[&str]| patch.node.text_at(names);
            text(&["apply_to"]) == Some("CLUSTER") && text(&["patch", "operation"]) == Some("ADD")
        });
        let clusters = added.filter_map(|patch| patch.at(&["patch", "value"]));
        let group = Group::of_clusters(filter, clusters.collect());
        let mut found = Vec::new();
        providers::look_at(&group, plugin, config, &mut found);
        // A cluster may be in another place.
        found.retain(|finding| finding.kind != Kind::ClusterMissing);
        findings.extend(found);
        look_at_merged(filter, config, findings);
    }
}

/// Patches of clusters that Istio makes, which take TLS of a provider's cluster away, or what verifies it.
fn look_at_merged(filter: Part<'_>, config: &Config, findings: &mut Vec<Finding>) {
    let calls = providers::calls(config);
    for patch in spec(filter).items_of("config_patches") {
        let text = |names: &[&str]| patch.node.text_at(names);
        if text(&["apply_to"]) != Some("CLUSTER") || text(&["patch", "operation"]) != Some("MERGE")
        {
            continue;
        }
        let is_it = |call: &&providers::Calls<'_>| is_patched(patch, call.cluster);
        let (Some(call), Some(value)) = (calls.iter().find(is_it), patch.at(&["patch", "value"]))
        else {
            continue;
        };
        let (name, at_risk) = (call.cluster, call.at_risk());
        if let Some(part) = providers::tls::accepts_untrusted(value) {
            findings.push(
                Finding::error(
                    Kind::CertificateUnverified,
                    part.spot(),
                    PATH,
                    format!("is ACCEPT_UNTRUSTED in cluster {name}: who is in between brings keys of their own, and {at_risk} are anybody's"),
                )
                .write("no trust_chain_verification"),
            );
        }
        if call.needs_tls && providers::tls::takes_tls_away(value) {
            findings.push(
                Finding::error(
                    Kind::ClusterWithoutTls,
                    value.spot_of("transport_socket"),
                    PATH,
                    format!("takes TLS of cluster {name} away, and the address is https: {at_risk} come in the clear, or not at all"),
                )
                .write("no such patch, and TLS by a DestinationRule"),
            );
        }
    }
}

/// Whether a patch is for a cluster.
fn is_patched(patch: Part<'_>, cluster: &str) -> bool {
    let Some(matched) = patch.at(&["match", "cluster"]) else {
        return true;
    };
    let parts: Vec<&str> = cluster.split('|').collect();
    let (port, subset, host) = match parts.as_slice() {
        [_, port, subset, host] => (*port, *subset, *host),
        _ => ("", "", cluster),
    };
    let port_number = matched.get("port_number");
    let port_number = port_number.map(|number| number.node.to_json());
    let is = |name: &str, own: &str| {
        let wanted = matched.node.text_at(&[name]);
        wanted.is_none_or(|wanted| wanted == own)
    };
    is("name", cluster)
        && is("service", host)
        && is("subset", subset)
        && port_number.is_none_or(|number| number == port)
}

/// What of the patches is not looked at.
pub(crate) fn notes(view: &View<'_>, notes: &mut Vec<Note>) {
    for filter in of_kind(view, "EnvoyFilter") {
        let is_read = |patch: &Part<'_>| {
            let operation = patch.node.text_at(&["patch", "operation"]);
            match patch.node.text_at(&["apply_to"]) {
                Some("HTTP_FILTER" | "NETWORK_FILTER") => true,
                Some("ROUTE_CONFIGURATION" | "VIRTUAL_HOST" | "HTTP_ROUTE") => true,
                Some("CLUSTER") => operation == Some("ADD"),
                _ => false,
            }
        };
        let patches = spec(filter).items_of("config_patches");
        for patch in patches.filter(|patch| !is_read(patch)) {
            let what = patch.node.text_at(&["apply_to"]).unwrap_or("nothing");
            notes.push(Note {
                spot: patch.spot(),
                text: format!("of this patch of {what} only what turns the filter or the safety of paths off is looked at"),
            });
        }
    }
}
