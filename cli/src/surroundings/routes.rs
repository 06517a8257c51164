//! What routes say of the filter: that it is off, or what is required.

use bearer_gate::config::{Config, nearest};

use super::kinds::JWT_AUTHN;
use super::{Gate, filters};
use crate::finding::{Finding, Kind};
use crate::view::{Chain, Group, HttpFilter, Part, Route};

const PER_FILTER: &str = "typed_per_filter_config";

pub(super) fn look_at(chain: &Chain<'_>, gate: Gate<'_, '_>, findings: &mut Vec<Finding>) {
    let routes = chain.all_routes();
    for own in chain.ours(gate.at) {
        look_at_switches(chain, own, &routes, findings);
    }
    let has_jwt_authn = filters::has_filter(chain, JWT_AUTHN);
    for route in &routes {
        if let Some(config) = gate.config {
            let before = findings.len();
            look_at_requirement(route.part, config, findings);
            look_at_other_metadata(*route, config, findings);
            // once for all routes of a virtual host
            let mut new = findings.split_off(before);
            new.retain(|new| !findings.contains(new));
            findings.append(&mut new);
        }
        if !has_jwt_authn {
            look_at_old_requirement(*route, findings);
        }
    }
}

/// Routes to clusters that are nowhere, where all are in the files.
pub(super) fn look_at_clusters(group: &Group<'_>, chain: &Chain<'_>, findings: &mut Vec<Finding>) {
    if !group.has_all_clusters() {
        return;
    }
    for route in chain.all_routes() {
        for name in route.clusters().into_iter().flatten() {
            if group.cluster(name).is_some() {
                continue;
            }
            let known = group.clusters.iter();
            let mut known = known.filter_map(|cluster| cluster.node.text_at(&["name"]));
            let instead = match nearest(name, &mut known) {
                Some(near) => format!("cluster: {near}"),
                None => format!("a cluster with name: {name}"),
            };
            let action = route.part.get("route").unwrap_or(route.part);
            findings.push(
                Finding::error(
                    Kind::ClusterMissing,
                    action.spot_of("cluster"),
                    "route.cluster",
                    format!("there is no cluster {name}: Envoy refuses the routes, or answers 503"),
                )
                .write(instead),
            );
        }
    }
}

/// What turns the filter on or off.
#[derive(Clone, Copy)]
struct Switch<'d> {
    is_on: bool,
    part: Part<'d>,
}

/// What a route, a virtual host or a route configuration says of a filter.
fn switch<'d>(part: Part<'d>, filter: &HttpFilter<'_>) -> Option<Switch<'d>> {
    let of_filter = part.get(PER_FILTER)?.get(filter.name)?;
    let off = of_filter.get("disabled");
    Some(Switch {
        is_on: !off.is_some_and(|off| off.node.is_true()),
        part: off.unwrap_or(of_filter),
    })
}

/// What counts for a route: the nearest.
fn switch_of<'d>(route: &Route<'d>, filter: &HttpFilter<'_>) -> Option<Switch<'d>> {
    let levels = [route.part, route.host, route.config];
    levels.into_iter().find_map(|part| switch(part, filter))
}

/// Requests of a route reach the upstream where the filter is off for it.
fn look_at_switches(
    chain: &Chain<'_>,
    own: &HttpFilter<'_>,
    routes: &[Route<'_>],
    findings: &mut Vec<Finding>,
) {
    let disabled = own.entry.get("disabled");
    let disabled = disabled.filter(|off| off.node.is_true());
    let mut is_off_for_some = routes.is_empty() || chain.has_other_routes;
    for route in routes.iter().filter(|route| route.forwards()) {
        match switch_of(route, own) {
            Some(switch) if !switch.is_on => findings.push(turned_off(switch.part, own)),
            Some(_) => {}
            None => is_off_for_some = true,
        }
        let weighted = route.part.at(&["route", "weighted_clusters"]);
        for cluster in weighted.into_iter().flat_map(|it| it.items_of("clusters")) {
            if let Some(switch) = switch(cluster, own).filter(|switch| !switch.is_on) {
                findings.push(turned_off(switch.part, own));
            }
        }
    }
    if let Some(off) = disabled.filter(|_| is_off_for_some) {
        findings.push(
            Finding::error(
                Kind::FilterDisabled,
                off.spot(),
                "http_filters.disabled",
                "is true: the filter is off for every route that does not turn it on, and requests reach the upstream without a token, with whatever claim headers a client made up",
            )
            .write("disabled: false, and a rule without requires for what is public"),
        );
    }
}

fn turned_off(part: Part<'_>, own: &HttpFilter<'_>) -> Finding {
    let path = format!("{PER_FILTER}.{}", own.name);
    Finding::error(
        Kind::RouteWithoutFilter,
        part.spot(),
        &path,
        "turns the filter off: requests reach the upstream without a token, with whatever claim headers a client made up",
    )
    .write("nothing here, and a rule without requires for this path: it removes a client's claim headers")
}

/// A route that asks for more, or for something that is not there.
fn look_at_requirement(route: Part<'_>, config: &Config, findings: &mut Vec<Finding>) {
    let Some(metadata) = route.at(&["metadata", "filter_metadata"]) else {
        return;
    };
    let wanted = config.of_routes.as_ref();
    for entry in metadata.node.entries() {
        let namespace = metadata.with(&entry.node);
        let Some(name) = namespace.get("requirement_name") else {
            continue;
        };
        let path = format!("metadata.filter_metadata.{}.requirement_name", entry.name);
        let text = name.node.text().unwrap_or_default();
        match wanted {
            Some(of_routes) if of_routes.namespace == entry.name => {
                if of_routes.named(text.as_bytes()).is_none() {
                    findings.push(
                        Finding::warning(
                            Kind::RequirementUnknown,
                            name.spot(),
                            &path,
                            format!("requirement_map has no {text}: each request of this route is 403"),
                        )
                        .write("a name of requirement_map"),
                    );
                }
            }
            _ => findings.push(
                Finding::error(
                    Kind::RequirementUnread,
                    name.spot(),
                    &path,
                    format!("the filter does not look at it: the rules decide, and not what this route asks for as {text}"),
                )
                .write(match wanted {
                    Some(of_routes) => format!("filter_metadata: {{{}: ...}}, the namespace in route_metadata", of_routes.namespace),
                    None => format!("route_metadata: {} in the filter's configuration", entry.name),
                }),
            ),
        }
    }
}

/// Where Envoy takes metadata too, and the filter does not get them: the route's are all that it is told.
fn look_at_other_metadata(route: Route<'_>, config: &Config, findings: &mut Vec<Finding>) {
    let wanted = config.of_routes.as_ref();
    let mut names = wanted
        .into_iter()
        .map(|of_routes| of_routes.namespace.as_str());
    let own = |namespace: &str| {
        let names = ["metadata", "filter_metadata", namespace, "requirement_name"];
        route.part.at(&names).is_some()
    };
    // the route says it itself
    if names.any(own) {
        return;
    }
    let levels = [route.host, route.config];
    let levels = levels.iter().filter_map(|level| level.get("metadata"));
    let action = route.part.get("route");
    let weighted = action.and_then(|action| action.get("weighted_clusters"));
    let clusters = weighted.into_iter().flat_map(|it| it.items_of("clusters"));
    let matched = action.into_iter().chain(clusters);
    let matched = matched.filter_map(|part| part.get("metadata_match"));
    for metadata in levels.chain(matched) {
        let Some(metadata) = metadata.get("filter_metadata") else {
            continue;
        };
        for entry in metadata.node.entries() {
            let Some(name) = metadata.with(&entry.node).get("requirement_name") else {
                continue;
            };
            let text = name.node.text().unwrap_or_default();
            let namespace = wanted.map_or(entry.name.as_str(), |of_routes| &of_routes.namespace);
            findings.push(
                Finding::error(
                    Kind::RequirementUnread,
                    name.spot(),
                    &format!("filter_metadata.{}.requirement_name", entry.name),
                    format!("the filter gets the metadata of routes alone, and not these, of what is above a route or of its clusters: nobody asks for {text}, and the rules decide"),
                )
                .write(format!(
                    "metadata: {{filter_metadata: {{{namespace}: {{requirement_name: {text}}}}}}} in each route, and route_metadata: {namespace} in the filter's configuration"
                )),
            );
        }
    }
}

/// What a route asked of jwt_authn, which is not there any more.
fn look_at_old_requirement(route: Route<'_>, findings: &mut Vec<Finding>) {
    for level in route.levels() {
        let of_filters = level.get(PER_FILTER);
        let of_filters = of_filters.map_or(&[][..], |part| part.node.entries());
        for entry in of_filters {
            let of_filter = level.with(&entry.node);
            let Some(name) = of_filter.get("requirement_name") else {
                continue;
            };
            let text = name.node.text().unwrap_or_default();
            findings.push(
                Finding::error(
                    Kind::RequirementUnread,
                    name.spot(),
                    &format!("{PER_FILTER}.{}.requirement_name", entry.name),
                    format!("jwt_authn is not in this chain, so nobody asks for {text} here: the rules decide"),
                )
                .write(format!(
                    "metadata: {{filter_metadata: {{bearer_gate: {{requirement_name: {text}}}}}}}, and route_metadata: bearer_gate in the filter's configuration"
                )),
            );
        }
    }
}
