//! Tokens that Envoy itself gives to requests before the filter looks for them: whoever asks has one.

use bearer_gate::config::Config;
use bearer_gate::http::credentials::Place;

use super::Gate;
use super::beside::leading_to;
use super::headers::injected_header;
use super::kinds::{
    CREDENTIAL_INJECTOR, EARLY_HEADER_MUTATION, HEADER_MUTATION, HEADER_MUTATION_OF_ROUTE,
};
use crate::finding::{Finding, Kind};
use crate::plugin::message;
use crate::view::{Chain, Group, HttpFilter, Part, Route, each_message, filters_of_calls};

pub(super) fn look_at(chain: &Chain<'_>, gate: Gate<'_, '_>, findings: &mut Vec<Finding>) {
    let Some(config) = gate.config else { return };
    for extension in chain.manager.items_of("early_header_mutation_extensions") {
        look_at_early(extension, config, findings);
    }
    let filters = chain.filters.iter();
    let earlier = filters.take_while(|filter| filter.plugin != Some(gate.at));
    let earlier: Vec<&HttpFilter<'_>> = earlier.collect();
    look_at_filters(chain, &earlier, config, findings);
}

/// Chains without the filter, whose requests come to a listener that has it.
pub(super) fn look_at_fronts(
    group: &Group<'_>,
    chain: &Chain<'_>,
    gate: Gate<'_, '_>,
    findings: &mut Vec<Finding>,
) {
    let Some(config) = gate.config else { return };
    for front in group.chains.iter().filter(|front| !front.is_guarded()) {
        let clusters = leading_to(group, front, chain.listener);
        if clusters.is_empty() {
            continue;
        }
        let mut found = Vec::new();
        for extension in front.manager.items_of("early_header_mutation_extensions") {
            look_at_early(extension, config, &mut found);
        }
        let filters: Vec<&HttpFilter<'_>> = front.filters.iter().collect();
        look_at_filters(front, &filters, config, &mut found);
        let is_there = |route: &Route<'_>| {
            let mut named = route.clusters().into_iter().flatten();
            named.any(|name| clusters.contains(&name))
        };
        for route in front.all_routes().iter().filter(|route| is_there(route)) {
            for level in route.levels() {
                let options = level.items_of("request_headers_to_add");
                let keys = options.filter_map(|option| option.at(&["header", "key"]));
                look_at_keys(keys, config, &mut found);
            }
        }
        look_at_upstream_filters(front.filters_of_router(), config, &mut found);
        for cluster in clusters.iter().filter_map(|name| group.cluster(name)) {
            look_at_upstream_filters(filters_of_calls(cluster).into_iter(), config, &mut found);
        }
        // once for all listeners that have the filter
        found.retain(|new| !findings.contains(new));
        findings.append(&mut found);
    }
}

/// These filters of a chain, with what its routes say of them.
fn look_at_filters(
    chain: &Chain<'_>,
    filters: &[&HttpFilter<'_>],
    config: &Config,
    findings: &mut Vec<Finding>,
) {
    for settings in filters.iter().filter_map(|filter| filter.config) {
        look_at_filter(settings, config, findings);
    }
    let mutating = filters
        .iter()
        .filter(|filter| filter.message(HEADER_MUTATION).is_some());
    for filter in mutating {
        for route in chain.all_routes() {
            let said = route.levels().filter_map(|level| {
                let of_filter = level.get("typed_per_filter_config")?.get(filter.name)?;
                let own = message(of_filter.node, HEADER_MUTATION_OF_ROUTE)?;
                of_filter.with(own).get("mutations")
            });
            let mut found = Vec::new();
            for mutations in said {
                look_at_mutations(mutations.items_of("request_mutations"), config, &mut found);
            }
            // once for all routes of a virtual host
            found.retain(|new| !findings.contains(new));
            findings.append(&mut found);
        }
    }
}

fn look_at_upstream_filters<'d>(
    filters: impl Iterator<Item = Part<'d>>,
    config: &Config,
    findings: &mut Vec<Finding>,
) {
    for settings in filters.filter_map(|filter| filter.get("typed_config")) {
        look_at_filter(settings, config, findings);
    }
}

/// What sets headers before all filters.
pub(super) fn look_at_early(part: Part<'_>, config: &Config, findings: &mut Vec<Finding>) {
    each_message(part, EARLY_HEADER_MUTATION, &mut |settings| {
        look_at_mutations(settings.items_of("mutations"), config, findings);
    });
}

/// The configuration of a filter before this one.
pub(super) fn look_at_filter(filter: Part<'_>, config: &Config, findings: &mut Vec<Finding>) {
    let one = |kind: &str| message(filter.node, kind).map(|node| filter.with(node));
    if let Some(mutations) = one(HEADER_MUTATION).and_then(|settings| settings.get("mutations")) {
        look_at_mutations(mutations.items_of("request_mutations"), config, findings);
    }
    if let Some(injector) = one(CREDENTIAL_INJECTOR) {
        let named = injected_header(injector);
        let name = named.and_then(|header| header.node.text());
        let part = named.unwrap_or(injector);
        findings.extend(given(part, name.unwrap_or("authorization"), config));
    }
}

fn look_at_mutations<'d>(
    mutations: impl Iterator<Item = Part<'d>>,
    config: &Config,
    findings: &mut Vec<Finding>,
) {
    let keys = mutations.filter_map(|mutation| mutation.at(&["append", "header", "key"]));
    look_at_keys(keys, config, findings);
}

/// The names of headers that are set.
fn look_at_keys<'d>(
    keys: impl Iterator<Item = Part<'d>>,
    config: &Config,
    findings: &mut Vec<Finding>,
) {
    for key in keys {
        let name = key.node.text().unwrap_or_default();
        findings.extend(given(key, name, config));
    }
}

/// A header that is given to every request, if the filter looks for tokens there.
pub(super) fn given(part: Part<'_>, header: &str, config: &Config) -> Option<Finding> {
    let is_cookie = header.eq_ignore_ascii_case("cookie");
    let is_it = |place: &Place| match place {
        Place::Header { name, .. } => name.eq_ignore_ascii_case(header),
        Place::Basic { .. } => header.eq_ignore_ascii_case("authorization"),
        Place::Cookie(_) | Place::Chunks(_) => is_cookie,
        Place::Parameter(_) | Place::Subprotocol { .. } => false,
    };
    let mut places = config
        .providers
        .iter()
        .flat_map(|provider| &provider.places);
    let has_sessions = config.sign_in.is_some() && is_cookie;
    (has_sessions || places.any(is_it)).then(|| {
        Finding::warning(
            Kind::FilterOrder,
            part.spot(),
            "http_filters",
            format!("gives every request {header} before the filter looks for a token there: with a good one in it, everybody gets in"),
        )
        .write("the filter before it; what the upstream asks for is given behind the filter")
    })
}
