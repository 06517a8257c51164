//! Headers in which the filter tells of the token: who sets them behind it, and who reads them before
//! it has removed a client's.

use bearer_gate::config::Config;

use super::Gate;
use super::kinds::{
    CREDENTIAL_INJECTOR, HEADER_MUTATION, HEADER_MUTATION_OF_ROUTE, HEADER_TO_METADATA,
};
use crate::finding::{Finding, Kind};
use crate::plugin::message;
use crate::view::{Chain, Group, Part, filters_of_calls};

/// The header that an injector says it sets.
pub(super) fn injected_header(injector: Part<'_>) -> Option<Part<'_>> {
    injector.at(&["credential", "typed_config", "header"])
}

pub(super) fn look_at(chain: &Chain<'_>, gate: Gate<'_, '_>, findings: &mut Vec<Finding>) {
    let Some(config) = gate.config else { return };
    let mut is_behind = !chain.has(gate.at);
    for filter in &chain.filters {
        is_behind |= filter.plugin == Some(gate.at);
        if let Some(mutation) = filter.message(HEADER_MUTATION)
            && is_behind
        {
            look_at_mutations(mutation, config, findings);
        }
        if let Some(injector) = filter.message(CREDENTIAL_INJECTOR)
            && is_behind
        {
            findings.extend(injected(injector, config));
        }
        if let Some(reader) = filter.message(HEADER_TO_METADATA)
            && !is_behind
        {
            look_at_reader(reader, config, findings);
        }
    }
    look_at_filters(chain.filters_of_router(), config, findings);
    for route in chain.all_routes() {
        for level in route.levels() {
            look_at_level(level, config, findings);
        }
    }
}

/// The filters that calls to the upstreams of a chain pass, behind all others.
pub(super) fn look_at_upstreams(
    group: &Group<'_>,
    chain: &Chain<'_>,
    gate: Gate<'_, '_>,
    findings: &mut Vec<Finding>,
) {
    let Some(config) = gate.config else { return };
    let mut found = Vec::new();
    look_at_filters(of_clusters(group, chain).into_iter(), config, &mut found);
    // once for all chains
    found.retain(|new| !findings.contains(new));
    findings.append(&mut found);
}

/// The filters in the clusters that a chain routes to.
pub(super) fn of_clusters<'d>(group: &Group<'d>, chain: &Chain<'d>) -> Vec<Part<'d>> {
    let routes = chain.all_routes();
    let named: Vec<Option<&str>> = routes.iter().flat_map(|route| route.clusters()).collect();
    let is_any = chain.has_other_routes || named.contains(&None);
    let is_it = |cluster: &&Part<'_>| is_any || named.contains(&cluster.node.text_at(&["name"]));
    let clusters = group.clusters.iter().filter(is_it);
    clusters
        .flat_map(|cluster| filters_of_calls(*cluster))
        .collect()
}

fn look_at_filters<'d>(
    filters: impl Iterator<Item = Part<'d>>,
    config: &Config,
    findings: &mut Vec<Finding>,
) {
    for settings in filters.filter_map(|filter| filter.get("typed_config")) {
        if let Some(mutation) = message(settings.node, HEADER_MUTATION) {
            look_at_mutations(settings.with(mutation), config, findings);
        }
    }
}

/// What a route, a virtual host, a route configuration or a weighted cluster adds.
pub(super) fn look_at_level(level: Part<'_>, config: &Config, findings: &mut Vec<Finding>) {
    for option in level.items_of("request_headers_to_add") {
        findings.extend(set(option, "request_headers_to_add", config));
    }
    let of_filters = level.get("typed_per_filter_config").into_iter();
    for of_filter in of_filters.flat_map(|part| {
        let entries = part.node.entries().iter();
        entries.map(move |entry| part.with(&entry.node))
    }) {
        if let Some(mutation) = message(of_filter.node, HEADER_MUTATION_OF_ROUTE) {
            look_at_mutations(of_filter.with(mutation), config, findings);
        }
    }
}

/// A filter of Envoy's own that sets headers.
pub(super) fn look_at_mutations(mutation: Part<'_>, config: &Config, findings: &mut Vec<Finding>) {
    let mutations = mutation.get("mutations");
    for one in mutations
        .into_iter()
        .flat_map(|all| all.items_of("request_mutations"))
    {
        let added = one.get("append");
        findings.extend(added.and_then(|option| set(option, "request_mutations", config)));
    }
}

/// A credential that Envoy puts where the filter tells of the token.
pub(super) fn injected(injector: Part<'_>, config: &Config) -> Option<Finding> {
    let header = injected_header(injector)?;
    set_at(header, header.node.text()?, "credential", config)
}

/// A header that only the filter may set.
fn set(option: Part<'_>, path: &str, config: &Config) -> Option<Finding> {
    let key = option.at(&["header", "key"])?;
    set_at(key, key.node.text().unwrap_or_default(), path, config)
}

/// As [`set`], of a header that is set here.
pub(super) fn set_at(key: Part<'_>, name: &str, path: &str, config: &Config) -> Option<Finding> {
    let name = name.to_ascii_lowercase();
    config.is_reserved(&name).then(|| {
        Finding::warning(
            Kind::ClaimHeaderSet,
            key.spot(),
            path,
            format!("sets {name}, in which the filter tells of the token: the upstream gets another value beside it, or in its place"),
        )
        .write("another header")
    })
}

/// A filter that hands headers on as metadata, before the filter has removed what a client made up.
fn look_at_reader(reader: Part<'_>, config: &Config, findings: &mut Vec<Finding>) {
    for rule in reader.items_of("request_rules") {
        let Some(header) = rule.get("header") else {
            continue;
        };
        let name = header.node.text().unwrap_or_default().to_ascii_lowercase();
        if config.is_reserved(&name) {
            findings.push(
                Finding::warning(
                    Kind::FilterOrder,
                    header.spot(),
                    "request_rules",
                    format!("header_to_metadata reads {name} before the filter has removed what a client made up"),
                )
                .write("the filter before it"),
            );
        }
    }
}
