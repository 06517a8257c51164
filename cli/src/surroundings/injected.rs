//! Tokens that Envoy itself gives to requests before the filter looks for them: whoever asks has one.

use bearer_gate::config::Config;
use bearer_gate::http::credentials::Place;

use super::Gate;
use super::kinds::{CREDENTIAL_INJECTOR, EARLY_HEADER_MUTATION, HEADER_MUTATION};
use crate::finding::{Finding, Kind};
use crate::plugin::message;
use crate::view::{Chain, Part, each_message};

pub(super) fn look_at(chain: &Chain<'_>, gate: Gate<'_, '_>, findings: &mut Vec<Finding>) {
    let Some(config) = gate.config else { return };
    for extension in chain.manager.items_of("early_header_mutation_extensions") {
        look_at_early(extension, config, findings);
    }
    let filters = chain.filters.iter();
    let earlier = filters.take_while(|filter| filter.plugin != Some(gate.at));
    for settings in earlier.filter_map(|filter| filter.config) {
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

/// The header that an injector says it sets.
pub(super) fn injected_header(injector: Part<'_>) -> Option<Part<'_>> {
    injector.at(&["credential", "typed_config", "header"])
}

fn look_at_mutations<'d>(
    mutations: impl Iterator<Item = Part<'d>>,
    config: &Config,
    findings: &mut Vec<Finding>,
) {
    for key in mutations.filter_map(|mutation| mutation.at(&["append", "header", "key"])) {
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
