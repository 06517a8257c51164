//! Waypoints: proxies of Istio's ambient mode, to which the mesh sends only what is said to go there.

use super::super::attached::{Backend, backends, is_of_parent, parents};
use super::super::kubernetes::{
    SELECTED, Target, at_target, labels, may_be_at, may_be_neighbours, name, namespace, of_kind,
    routes, targets, title,
};
use super::{GATEWAY_NAMES, plugins};
use crate::finding::{Finding, Kind, Note};
use crate::plugin::names_us;
use crate::view::{Part, View};

/// The class of a `Gateway` that is a waypoint.
pub(super) const CLASS: &str = "istio-waypoint";
/// What says that requests to a service go to a waypoint, and to which.
const USE: &str = "istio.io/use-waypoint";
/// What says that those of Istio's gateways do too.
const OF_GATEWAYS: &str = "istio.io/ingress-use-waypoint";
/// What a waypoint is for.
const FOR: &str = "istio.io/waypoint-for";

fn is_waypoint(gateway: Part<'_>) -> bool {
    gateway.node.text_at(&["spec", "gateway_class_name"]) == Some(CLASS)
}

/// Whether a `Gateway` of this name is a waypoint.
pub(super) fn is_one(view: &View<'_>, named: &str) -> bool {
    of_kind(view, "Gateway").any(|gateway| name(gateway) == named && is_waypoint(gateway))
}

/// Whether what a plugin is attached to is a waypoint, or what is behind one.
fn is_target(view: &View<'_>, target: &Target<'_>) -> bool {
    match target.kind {
        "Gateway" => is_one(view, target.name),
        "GatewayClass" => target.name == CLASS,
        kind => ["Service", "ServiceEntry"].contains(&kind),
    }
}

pub(super) fn look_at(view: &View<'_>, plugins: &[Part<'_>], findings: &mut Vec<Finding>) {
    for plugin in plugins {
        look_at_selector(view, *plugin, findings);
        for target in targets(*plugin) {
            let of_its_place = |kind: &'static str| {
                of_kind(view, kind).filter(|resource| {
                    name(*resource) == target.name && may_be_neighbours(*resource, *plugin)
                })
            };
            match target.kind {
                "Gateway" => of_its_place("Gateway")
                    .filter(|gateway| is_waypoint(*gateway))
                    .for_each(|gateway| look_at_waypoint(view, gateway, target, findings)),
                "Service" => of_its_place("Service")
                    .for_each(|service| look_at_service(view, service, target, findings)),
                _ => {}
            }
        }
    }
    let guarded = of_kind(view, "Service").filter(|service| is_guarded(view, *service, plugins));
    for service in guarded {
        look_at_gateways(view, service, plugins, findings);
    }
}

/// Istio takes no selector for a waypoint.
fn look_at_selector(view: &View<'_>, plugin: Part<'_>, findings: &mut Vec<Finding>) {
    let selected = labels(plugin, SELECTED);
    let mut of_gateway = selected
        .iter()
        .filter(|(label, _)| GATEWAY_NAMES.contains(label));
    let Some((_, waypoint)) = of_gateway.find(|(_, named)| is_one(view, named)) else {
        return;
    };
    findings.push(
        Finding::error(
            Kind::RequestsLeftOut,
            plugin.at(SELECTED).unwrap_or(plugin).spot(),
            "spec.selector",
            format!("is for the pods of {waypoint}, which is a waypoint: Istio takes targetRefs alone for these, and the filter is nowhere"),
        )
        .write(format!(
            "targetRefs: [{{group: gateway.networking.k8s.io, kind: Gateway, name: {waypoint}}}]"
        )),
    );
}

/// What a resource says by a label, or its namespace where it says nothing. `None` where neither does, or its
/// namespace is in no file.
fn said<'d>(view: &View<'d>, resource: Part<'d>, label: &str) -> Option<&'d str> {
    let own = |part: Part<'d>| {
        let labels = labels(part, &["metadata", "labels"]);
        let found = labels.iter().find(|(name, _)| *name == label);
        found.map(|(_, value)| *value)
    };
    own(resource).or_else(|| own(namespace_of(view, resource)?))
}

fn namespace_of<'d>(view: &View<'d>, resource: Part<'d>) -> Option<Part<'d>> {
    let place = namespace(resource)?;
    of_kind(view, "Namespace").find(|namespace| name(*namespace) == place)
}

/// A waypoint to which nothing goes.
fn look_at_waypoint(
    view: &View<'_>,
    waypoint: Part<'_>,
    target: Target<'_>,
    findings: &mut Vec<Finding>,
) {
    let mut tell = |text: String, instead: &str| {
        findings.push(at_target(target, text).write(instead));
    };
    let own = labels(waypoint, &["metadata", "labels"]);
    let kinds = own.iter().find(|(label, _)| *label == FOR);
    if let Some((_, kinds @ ("none" | "workload"))) = kinds {
        tell(
            format!("has {FOR}: {kinds}: requests to services do not come to the filter"),
            "istio.io/waypoint-for: all in the labels of the Gateway, or service",
        );
        return;
    }
    // others may be in no file
    let Some(of_all) = namespace_of(view, waypoint) else {
        return;
    };
    let kinds = ["Service", "ServiceEntry"].iter();
    let mut users = kinds.flat_map(|kind| of_kind(view, kind));
    let uses = |resource: Part<'_>| said(view, resource, USE) == Some(name(waypoint));
    if !uses(of_all) && !users.any(uses) {
        tell(
            format!(
                "nothing in the files has {USE}: {}, so no request goes to that waypoint",
                name(waypoint)
            ),
            "istio.io/use-waypoint with its name in the labels of the Service, or of the Namespace",
        );
    }
}

/// A service whose requests go to no waypoint.
fn look_at_service(
    view: &View<'_>,
    service: Part<'_>,
    target: Target<'_>,
    findings: &mut Vec<Finding>,
) {
    let goes_nowhere = match said(view, service, USE) {
        Some(waypoint) => waypoint == "none",
        None => namespace_of(view, service).is_some(),
    };
    if goes_nowhere {
        let text = format!(
            "neither {} nor its namespace says by {USE} to which waypoint its requests go: the filter is nowhere",
            title(service)
        );
        findings.push(
            at_target(target, text)
            .write("istio.io/use-waypoint, with the name of a Gateway of class istio-waypoint, in the labels of the Service"),
        );
    }
}

/// Whether a waypoint that has the filter is before a service.
fn is_guarded(view: &View<'_>, service: Part<'_>, plugins: &[Part<'_>]) -> bool {
    let waypoint = said(view, service, USE).filter(|waypoint| *waypoint != "none");
    let mut near = plugins
        .iter()
        .filter(|plugin| may_be_neighbours(service, **plugin));
    near.any(|plugin| {
        targets(*plugin).iter().any(|target| match target.kind {
            "Service" => target.name == name(service),
            "Gateway" => is_one(view, target.name) && waypoint == Some(target.name),
            _ => false,
        })
    })
}

/// Gateways send requests to a service past its waypoint, unless the service says otherwise.
fn look_at_gateways(
    view: &View<'_>,
    service: Part<'_>,
    plugins: &[Part<'_>],
    findings: &mut Vec<Finding>,
) {
    if said(view, service, OF_GATEWAYS) == Some("true") {
        return;
    }
    let is_it = |backend: &Backend<'_>| {
        backend.kind == "Service"
            && backend.name == name(service)
            && may_be_at(backend.place, namespace(service))
    };
    for route in routes(view).filter(|route| backends(*route).iter().any(is_it)) {
        for parent in parents(view, route) {
            let has_filter = plugins
                .iter()
                .any(|plugin| is_of_parent(view, &parent, *plugin));
            if has_filter || is_one(view, parent.name) {
                continue;
            }
            findings.push(
                Finding::error(
                    Kind::UnguardedChain,
                    parent.part.spot(),
                    "spec.parentRefs",
                    format!(
                        "{} leads from Gateway {} to {} past its waypoint, which has the filter: whoever reaches that Gateway needs no token",
                        title(route),
                        parent.name,
                        title(service)
                    ),
                )
                .write("istio.io/ingress-use-waypoint: \"true\" in the labels of the Service; or the filter in that Gateway too"),
            );
        }
    }
}

/// What comes to a waypoint, and what does not.
pub(crate) fn notes(view: &View<'_>, notes: &mut Vec<Note>) {
    for plugin in plugins(view).filter(|plugin| names_us(plugin.node)) {
        let targets = targets(plugin);
        let Some(target) = targets.iter().find(|target| is_target(view, target)) else {
            continue;
        };
        notes.push(Note {
            spot: target.part.spot(),
            text: format!("the filter is in a waypoint, and sees what the mesh sends to a service that has {USE}. It does not see what goes to a pod's own address, what a gateway sends without {OF_GATEWAYS}, nor what comes from outside the mesh: an AuthorizationPolicy on the pods that lets in the waypoint's account alone closes these ways"),
        });
    }
}
