//! Routes of the Gateway API on a Gateway that has the filter: headers that they set, paths that they
//! rewrite, and connections that are forwarded without reading requests.

use bearer_gate::config::Config;

use super::kubernetes::{
    ROOT, SELECTED, all_targets, labels, may_be_at, may_be_neighbours, name, namespace, of_kind,
    routes, runs_plugins, spec, title,
};
use super::rewrites::{Form, Matched, Rewrite};
use super::{chosen, headers};
use crate::finding::{Finding, Kind};
use crate::view::{Part, View};

/// Labels of the pods that Istio makes for a Gateway, with its name.
pub(super) const GATEWAY_NAMES: [&str; 2] = [
    "gateway.networking.k8s.io/gateway-name",
    "istio.io/gateway-name",
];
/// Listeners that are added to a Gateway, by two names of their kind.
const LISTENER_SETS: [&str; 2] = ["ListenerSet", "XListenerSet"];
/// Where a Gateway has the labels of its pods.
const INFRASTRUCTURE: &[&str] = &["spec", "infrastructure", "labels"];

/// Looks at the routes that a policy, or a plugin, is for.
pub(super) fn look_at(
    view: &View<'_>,
    policy: Part<'_>,
    config: Option<&Config>,
    findings: &mut Vec<Finding>,
) {
    let is_it = |route: &Part<'_>| is_of(view, *route, policy);
    let of = |kind: &'static str| of_kind(view, kind).filter(is_it);
    let read: Vec<Part<'_>> = routes(view).filter(is_it).collect();
    if let Some(config) = config {
        for route in &read {
            look_at_headers(*route, config, findings);
            look_at_paths(view, *route, config, findings);
            chosen::look_at_route(view, *route, config, findings);
        }
    }
    let guarded: Vec<Backend<'_>> = read.iter().flat_map(|route| backends(*route)).collect();
    for route in of("TCPRoute").chain(of("TLSRoute")).chain(of("UDPRoute")) {
        let backends = backends(route);
        let is_guarded = |backend: &&Backend<'_>| guarded.iter().any(|other| other.is(backend));
        let found = match (backends.iter().find(is_guarded), backends.first()) {
            (Some(backend), _) => Finding::error(
                Kind::UnguardedChain,
                backend.part.spot(),
                "spec.rules.backendRefs",
                format!(
                    "{} forwards connections of the Gateway to {}, which the filter guards elsewhere: no request there comes to the filter",
                    title(route),
                    backend.name
                ),
            ),
            (None, Some(backend)) => Finding::warning(
                Kind::OtherChain,
                backend.part.spot(),
                "spec.rules.backendRefs",
                format!(
                    "{} forwards connections of the Gateway to {}: no request there comes to the filter",
                    title(route),
                    backend.name
                ),
            ),
            (None, None) => continue,
        };
        findings.push(found.write("an HTTPRoute, or a Gateway of its own"));
    }
}

pub(super) struct Backend<'d> {
    part: Part<'d>,
    pub kind: &'d str,
    pub name: &'d str,
    pub place: Option<&'d str>,
}

impl Backend<'_> {
    pub(super) fn is(&self, other: &Backend<'_>) -> bool {
        may_be_at(self.place, other.place) && (self.kind, self.name) == (other.kind, other.name)
    }
}

pub(super) fn backends(route: Part<'_>) -> Vec<Backend<'_>> {
    let rules = spec(route).items_of("rules");
    let backends = rules.flat_map(|rule| rule.items_of("backend_refs"));
    backends
        .map(|part| {
            let text = |name: &str| part.node.text_at(&[name]);
            Backend {
                part,
                kind: text("kind").unwrap_or("Service"),
                name: text("name").unwrap_or_default(),
                place: text("namespace").or(namespace(route)),
            }
        })
        .collect()
}

/// The filters of a route's rules, and of their backends.
pub(super) fn filters(route: Part<'_>) -> Vec<Part<'_>> {
    let rules = spec(route).items_of("rules");
    let levels = rules.flat_map(|rule| [rule].into_iter().chain(rule.items_of("backend_refs")));
    levels.flat_map(|level| level.items_of("filters")).collect()
}

fn look_at_headers(route: Part<'_>, config: &Config, findings: &mut Vec<Finding>) {
    let filters = filters(route).into_iter();
    for modifier in filters.filter_map(|filter| filter.get("request_header_modifier")) {
        for header in ["set", "add"].iter().flat_map(|how| modifier.items_of(how)) {
            let Some(name) = header.get("name") else {
                continue;
            };
            let text = name.node.text().unwrap_or_default();
            findings.extend(headers::set_at(name, text, "requestHeaderModifier", config));
        }
    }
}

/// Paths that a route rewrites by itself, or by a filter of Envoy Gateway's own.
fn look_at_paths(view: &View<'_>, route: Part<'_>, config: &Config, findings: &mut Vec<Finding>) {
    for rule in spec(route).items_of("rules") {
        let matched = Matched::of_rule(rule);
        let levels = [rule].into_iter().chain(rule.items_of("backend_refs"));
        for filter in levels.flat_map(|level| level.items_of("filters")) {
            let named = filter.node.text_at(&["extension_ref", "name"]);
            let of_gateway = of_kind(view, "HTTPRouteFilter")
                .filter(|other| named == Some(name(*other)) && may_be_neighbours(route, *other));
            let own = [filter].into_iter().chain(of_gateway.map(spec));
            for rewrite in own.filter_map(rewrite_of) {
                for matched in &matched {
                    rewrite.look_at(matched, config, findings);
                }
            }
        }
    }
}

fn rewrite_of(filter: Part<'_>) -> Option<Rewrite<'_>> {
    let part = filter.at(&["url_rewrite", "path"])?;
    let text = |names: &[&str]| part.node.text_at(names);
    let regex = || {
        let pattern = text(&["replace_regex_match", "pattern"])?;
        let by = text(&["replace_regex_match", "substitution"]);
        Some(Form::each(pattern, by.unwrap_or_default()))
    };
    let whole = text(&["replace_full_path"]).map(Form::Whole);
    let form = whole
        .or_else(|| text(&["replace_prefix_match"]).map(Form::Prefix))
        .or_else(regex)?;
    Some(Rewrite {
        part,
        path: "urlRewrite.path",
        form,
    })
}

/// Whether a route is one that a policy, or a plugin, is for: itself, or by its Gateway.
pub(super) fn is_of(view: &View<'_>, route: Part<'_>, policy: Part<'_>) -> bool {
    let mut parents = parents(view, route).into_iter();
    is_named(view, route, policy) || parents.any(|parent| is_of_parent(view, &parent, policy))
}

/// Whether a policy is for this route itself.
pub(super) fn is_named(view: &View<'_>, route: Part<'_>, policy: Part<'_>) -> bool {
    let kind = route.node.text_at(&["kind"]);
    let targets = all_targets(view, policy);
    let mut same = targets.iter().filter(|target| kind == Some(target.kind));
    same.any(|target| name(route) == target.name && may_be_neighbours(route, policy))
}

/// Whether a policy, or a plugin, is for a Gateway.
pub(super) fn is_of_parent(view: &View<'_>, parent: &Parent<'_>, policy: Part<'_>) -> bool {
    let Parent {
        name,
        place,
        listeners,
        ..
    } = *parent;
    let targets = all_targets(view, policy);
    if targets.is_empty() && runs_plugins(policy) {
        let is_near = namespace(policy) == Some(ROOT) || may_be_at(place, namespace(policy));
        return is_near && has_pods(view, name, place, &labels(policy, SELECTED));
    }
    targets.iter().any(|target| match target.kind {
        "Gateway" => may_be_at(place, namespace(policy)) && name == target.name,
        kind if LISTENER_SETS.contains(&kind) => listeners == Some(target.name),
        // of Istio, in its own namespace
        "GatewayClass" => gateways(view, name, place).any(|gateway| {
            gateway.node.text_at(&["spec", "gateway_class_name"]) == Some(target.name)
        }),
        _ => false,
    })
}

/// A Gateway that a route names, by itself or by listeners that are added to it.
pub(super) struct Parent<'d> {
    pub part: Part<'d>,
    pub name: &'d str,
    place: Option<&'d str>,
    /// The `ListenerSet`.
    listeners: Option<&'d str>,
}

pub(super) fn parents<'d>(view: &View<'d>, route: Part<'d>) -> Vec<Parent<'d>> {
    let parents = spec(route).items_of("parent_refs");
    parents
        .filter_map(|part| {
            let text = |name: &str| part.node.text_at(&[name]);
            let named = text("name")?;
            let place = text("namespace").or(namespace(route));
            match text("kind").unwrap_or("Gateway") {
                "Gateway" => Some(Parent {
                    part,
                    name: named,
                    place,
                    listeners: None,
                }),
                kind => {
                    let sets = LISTENER_SETS.iter().filter(|known| **known == kind);
                    let mut sets = sets.flat_map(|kind| of_kind(view, kind));
                    let set =
                        sets.find(|set| name(*set) == named && may_be_at(namespace(*set), place))?;
                    let of_set = spec(set).get("parent_ref")?.node;
                    Some(Parent {
                        part,
                        name: of_set.text_at(&["name"])?,
                        place: of_set.text_at(&["namespace"]).or(namespace(set)),
                        listeners: Some(named),
                    })
                }
            }
        })
        .collect()
}

/// The Gateways of this name in the files.
fn gateways<'a, 'd>(
    view: &'a View<'d>,
    named: &'a str,
    place: Option<&'a str>,
) -> impl Iterator<Item = Part<'d>> + use<'a, 'd> {
    of_kind(view, "Gateway")
        .filter(move |gateway| name(*gateway) == named && may_be_at(namespace(*gateway), place))
}

/// Whether a plugin with this selector is in the pods of a Gateway. Istio makes them with the Gateway's
/// name, and with labels that the Gateway has for them; or the Gateway names the service of others.
fn has_pods(
    view: &View<'_>,
    gateway: &str,
    place: Option<&str>,
    selector: &[(&str, &str)],
) -> bool {
    let found: Vec<Part<'_>> = gateways(view, gateway, place).collect();
    let is_own = |label: &(&str, &str)| {
        let mut given = found.iter();
        GATEWAY_NAMES.contains(&label.0) && label.1 == gateway
            || given.any(|given| labels(*given, INFRASTRUCTURE).contains(label))
    };
    let services = found
        .iter()
        .flat_map(|gateway| spec(*gateway).items_of("addresses"));
    let mut services =
        services.filter_map(|address| address.node.text_at(&["value"])?.split('.').next());
    let is_service = |service: &str| {
        let mut values = selector.iter().map(|(_, value)| *value);
        values.any(|value| service.ends_with(value))
    };
    selector.iter().all(is_own) || services.any(is_service)
}
