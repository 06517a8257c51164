//! Routes of the Gateway API on a Gateway that has the filter: headers that they set, paths that they
//! rewrite, and connections that are forwarded without reading requests.

use bearer_gate::config::Config;

use super::headers;
use super::kubernetes::{may_be_neighbours, name, namespace, of_kind, spec, targets, title};
use super::rewrites::{Form, Matched, Rewrite};
use crate::finding::{Finding, Kind};
use crate::view::{Part, View};

/// Looks at the routes that a policy, or a plugin, is for.
pub(super) fn look_at(
    view: &View<'_>,
    policy: Part<'_>,
    config: Option<&Config>,
    findings: &mut Vec<Finding>,
) {
    let of = |kind: &'static str| of_kind(view, kind).filter(|route| is_of(*route, policy));
    let read: Vec<Part<'_>> = of("HTTPRoute").chain(of("GRPCRoute")).collect();
    if let Some(config) = config {
        for route in &read {
            look_at_headers(*route, config, findings);
            look_at_paths(view, *route, config, findings);
        }
    }
    let guarded: Vec<Backend<'_>> = read.iter().flat_map(|route| backends(*route)).collect();
    for route in of("TCPRoute").chain(of("TLSRoute")) {
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

/// Whether a route names a Gateway as one of its parents.
fn is_on(route: Part<'_>, gateway: &str, near: Part<'_>) -> bool {
    let mut parents = spec(route).items_of("parent_refs");
    parents.any(|parent| {
        let place = parent.node.text_at(&["namespace"]);
        let is_near = match place {
            Some(place) => namespace(near).is_none_or(|own| own == place),
            None => may_be_neighbours(route, near),
        };
        let kind = parent.node.text_at(&["kind"]);
        is_near
            && kind.is_none_or(|kind| kind == "Gateway")
            && parent.node.text_at(&["name"]) == Some(gateway)
    })
}

struct Backend<'d> {
    part: Part<'d>,
    kind: &'d str,
    name: &'d str,
    place: Option<&'d str>,
}

impl Backend<'_> {
    fn is(&self, other: &Backend<'_>) -> bool {
        let is_place = self.place.is_none() || other.place.is_none() || self.place == other.place;
        is_place && (self.kind, self.name) == (other.kind, other.name)
    }
}

fn backends(route: Part<'_>) -> Vec<Backend<'_>> {
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

fn look_at_headers(route: Part<'_>, config: &Config, findings: &mut Vec<Finding>) {
    for rule in spec(route).items_of("rules") {
        let levels = [rule].into_iter().chain(rule.items_of("backend_refs"));
        for filter in levels.flat_map(|level| level.items_of("filters")) {
            let Some(modifier) = filter.get("request_header_modifier") else {
                continue;
            };
            for header in ["set", "add"].iter().flat_map(|how| modifier.items_of(how)) {
                let Some(name) = header.get("name") else {
                    continue;
                };
                let text = name.node.text().unwrap_or_default();
                findings.extend(headers::set_at(name, text, "requestHeaderModifier", config));
            }
        }
    }
}

/// Paths that a route rewrites by itself, or by a filter of Envoy Gateway's own.
fn look_at_paths(view: &View<'_>, route: Part<'_>, config: &Config, findings: &mut Vec<Finding>) {
    for rule in spec(route).items_of("rules") {
        let mut matched: Vec<Matched<'_>> = rule.items_of("matches").map(matched_by).collect();
        if matched.is_empty() {
            matched.push(Matched::Segments("/"));
        }
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

fn matched_by(matched: Part<'_>) -> Matched<'_> {
    let text = |name: &str| matched.node.text_at(&["path", name]);
    let value = text("value").unwrap_or("/");
    match text("type") {
        Some("Exact") => Matched::Exact(value),
        Some("RegularExpression") => Matched::regex(value),
        // the end of a prefix is the end of a segment
        _ => Matched::Segments(value.strip_suffix('/').unwrap_or(value)),
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
fn is_of(route: Part<'_>, policy: Part<'_>) -> bool {
    let kind = route.node.text_at(&["kind"]);
    targets(policy)
        .iter()
        .any(|target| match target.kind == "Gateway" {
            true => is_on(route, target.name, policy),
            false => {
                kind == Some(target.kind)
                    && name(route) == target.name
                    && may_be_neighbours(route, policy)
            }
        })
}
