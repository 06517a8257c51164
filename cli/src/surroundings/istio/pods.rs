//! Pods and `Sidecar`s of Istio: requests to a workload that do not come to its proxy, or not as requests.

use super::super::kubernetes::{
    SELECTED, labels, may_be_neighbours, name, namespace, of_kind, spec, targets, title,
};
use crate::finding::{Finding, Kind, Level, Spot};
use crate::view::{Part, View};

/// What makes pods of a template.
const MAKERS: [&str; 4] = ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"];
const INJECT: &str = "sidecar.istio.io/inject";
/// Ports that do not come to the proxy, and those that alone come.
const EXCLUDED: &str = "traffic.sidecar.istio.io/excludeInboundPorts";
const INCLUDED: &str = "traffic.sidecar.istio.io/includeInboundPorts";
/// Protocols in which Istio reads requests.
const READ: [&str; 4] = ["HTTP", "HTTP2", "GRPC", "GRPC-WEB"];

pub(super) fn look_at(view: &View<'_>, plugin: Part<'_>, findings: &mut Vec<Finding>) {
    let selected = labels(plugin, SELECTED);
    if selected.is_empty() || !targets(plugin).is_empty() {
        return;
    }
    let makers = MAKERS.iter().flat_map(|kind| of_kind(view, kind));
    let templates = makers.filter_map(|maker| Some((maker, spec(maker).get("template")?)));
    let pods = of_kind(view, "Pod").map(|pod| (pod, pod));
    for (resource, pod) in templates.chain(pods) {
        let own = labels(pod, &["metadata", "labels"]);
        let is_it = selected.iter().all(|label| own.contains(label));
        if is_it && may_be_neighbours(resource, plugin) {
            look_at_pod(resource, pod, findings);
        }
    }
    for sidecar in of_kind(view, "Sidecar").filter(|it| may_be_neighbours(*it, plugin)) {
        let own = labels(sidecar, &["spec", "workload_selector", "labels"]);
        if own.iter().all(|label| selected.contains(label)) {
            look_at_sidecar(sidecar, findings);
        }
    }
}

/// A value as a text, also where it is written as another.
fn written_as(part: Part<'_>) -> String {
    let text = part.node.text().map(str::to_owned);
    text.unwrap_or_else(|| part.node.to_json())
}

fn look_at_pod(resource: Part<'_>, pod: Part<'_>, findings: &mut Vec<Finding>) {
    let said = |names: &[&str]| {
        let written = pod.at(names);
        written.map(|part| (part.spot(), written_as(part)))
    };
    let title = title(resource);
    let mut tell = |spot: Spot, level: Level, path: &str, text: String, instead: &str| {
        let finding = Finding::error(Kind::RequestsLeftOut, spot, path, text);
        findings.push(Finding { level, ..finding }.write(instead));
    };
    for place in ["labels", "annotations"] {
        if let Some((spot, value)) = said(&["metadata", place, INJECT])
            && value == "false"
        {
            tell(
                spot,
                Level::Error,
                INJECT,
                format!("is false in {title}: its pods have no proxy, so the filter is not there"),
                "\"true\", or a filter in the gateway before it",
            );
        }
    }
    if let Some((spot, ports)) = said(&["metadata", "annotations", EXCLUDED])
        && !ports.trim().is_empty()
    {
        tell(
            spot,
            Level::Warning,
            EXCLUDED,
            format!(
                "has {ports} in {title}: requests to these ports come to the pod, and not to the filter"
            ),
            "ports alone that nobody needs a token for, such as one of metrics",
        );
    }
    if let Some((spot, ports)) = said(&["metadata", "annotations", INCLUDED])
        && ports.trim() != "*"
    {
        tell(
            spot,
            Level::Warning,
            INCLUDED,
            format!(
                "is not * in {title}: requests to every other port come to the pod, and not to the filter"
            ),
            "\"*\", or no such annotation",
        );
    }
}

/// A port whose connections the proxy forwards unread.
fn look_at_sidecar(sidecar: Part<'_>, findings: &mut Vec<Finding>) {
    for ingress in spec(sidecar).items_of("ingress") {
        let Some(protocol) = ingress.at(&["port", "protocol"]) else {
            continue;
        };
        let text = protocol.node.text().unwrap_or_default();
        if READ.iter().any(|known| known.eq_ignore_ascii_case(text)) {
            continue;
        }
        let place = namespace(sidecar).unwrap_or("its namespace");
        findings.push(
            Finding::warning(
                Kind::RequestsLeftOut,
                protocol.spot(),
                "spec.ingress.port.protocol",
                format!("is {text} in Sidecar {} of {place}: connections to that port are forwarded unread, and no request in them comes to the filter", name(sidecar)),
            )
            .write("HTTP, where requests come in"),
        );
    }
}
