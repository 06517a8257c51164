//! `EnvoyFilter`: patches of what Istio makes, after it has put the plugin there.

use bearer_gate::config::Config;

use super::super::kubernetes::{
    SELECTED, labels, may_be_neighbours, name, namespace, of_kind, spec, targets,
};
use super::super::patches::{look_at_earlier, look_at_value, taken_out};
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
    let is_own = |name: &str| name.contains("wasmplugin/") && name.ends_with(&own_name);
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
        Some("HTTP_FILTER") => look_at_filter(patch, is_own, findings),
        Some("NETWORK_FILTER") if operation == Some("REPLACE") && !brings_ours => {
            findings.push(taken_out(
                patch,
                Level::Error,
                PATH,
                "replaces the connection manager, with all its filters: nobody asks for tokens",
            ));
        }
        Some("LISTENER" | "FILTER_CHAIN") if operation == Some("ADD") && !brings_ours => {
            findings.push(
                Finding::warning(
                    Kind::OtherChain,
                    patch.spot(),
                    PATH,
                    "adds a way in that does not have the filter: whatever it leads to must not ask for tokens",
                )
                .write("the filter there too, or no such patch"),
            );
        }
        _ => {}
    }
}

/// A patch of the list of HTTP filters. Without a `subFilter` it is for all of them, or their first.
fn look_at_filter(patch: Part<'_>, is_own: &dyn Fn(&str) -> bool, findings: &mut Vec<Finding>) {
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
        (Some("INSERT_FIRST"), Some(value)) => look_at_earlier(value, findings),
        (Some("INSERT_BEFORE"), Some(value)) if is_ours => look_at_earlier(value, findings),
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
    }
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
