//! Lua behind the filter that sets what the filter has decided by, or tells. Its source is not run: what
//! counts is a call with the name of a header in quotes.

use super::Gate;
use super::headers;
use super::kinds::{LUA, LUA_OF_ROUTE};
use crate::finding::{Finding, Kind};
use crate::plugin::message;
use crate::view::{Chain, Group, Part};

/// The methods of headers that set one.
const SETTERS: [&str; 2] = ["add", "replace"];
/// Where sources are.
const SOURCES: [&str; 4] = [
    "inline_code",
    "default_source_code",
    "source_codes",
    "source_code",
];

pub(super) fn look_at(chain: &Chain<'_>, gate: Gate<'_, '_>, findings: &mut Vec<Finding>) {
    let is_ours = |filter: &&crate::view::HttpFilter<'_>| filter.plugin != Some(gate.at);
    let behind = chain.filters.iter().skip_while(is_ours);
    let filters: Vec<Part<'_>> = behind.filter_map(|filter| filter.message(LUA)).collect();
    if filters.is_empty() {
        return;
    }
    let routes = chain.all_routes().into_iter();
    let levels = routes.flat_map(|route| route.levels());
    let of_filters = levels.filter_map(|level| level.get("typed_per_filter_config"));
    let of_routes = of_filters.flat_map(|part| {
        let entries = part.node.entries().iter();
        entries.filter_map(move |entry| Some(part.with(message(&entry.node, LUA_OF_ROUTE)?)))
    });
    for settings in filters.into_iter().chain(of_routes) {
        look_at_sources(settings, gate, findings);
    }
}

/// Lua that calls to upstreams pass: of the router, or of their clusters.
pub(super) fn look_at_upstreams(
    group: &Group<'_>,
    chain: &Chain<'_>,
    gate: Gate<'_, '_>,
    findings: &mut Vec<Finding>,
) {
    let filters = chain.filters_of_router();
    let filters = filters.chain(headers::of_clusters(group, chain));
    for settings in filters.filter_map(|filter| filter.get("typed_config")) {
        if let Some(lua) = message(settings.node, LUA) {
            look_at_sources(settings.with(lua), gate, findings);
        }
    }
}

fn look_at_sources(settings: Part<'_>, gate: Gate<'_, '_>, findings: &mut Vec<Finding>) {
    for sources in SOURCES.iter().filter_map(|name| settings.get(name)) {
        look_at_source(sources, gate, findings);
    }
}

/// Whether a filter has its source, or one of its sources, in a file.
pub(super) fn is_elsewhere(settings: Part<'_>) -> bool {
    let mut sources = SOURCES.iter().filter_map(|name| settings.get(name));
    sources.any(has_file)
}

fn has_file(part: Part<'_>) -> bool {
    let mut found = part.get("filename").is_some();
    part.each_below(&mut |below| found = found || has_file(below));
    found
}

fn look_at_source(part: Part<'_>, gate: Gate<'_, '_>, findings: &mut Vec<Finding>) {
    for name in part.node.text().map(set_in).unwrap_or_default() {
        let finding = match (name.as_str(), gate.config) {
            (":path", _) => Some(
                Finding::warning(
                    Kind::PathRewritten,
                    part.spot(),
                    "default_source_code",
                    "Lua writes another path behind the filter, which has looked at the one that came: another rule may be for it, which asks for more",
                )
                .write("the filter behind it; or a rule for the path that clients send, which asks for as much"),
            ),
            (_, Some(config)) => headers::set_at(part, &name, "default_source_code", config),
            _ => None,
        };
        // once for all routes, and all calls
        findings.extend(finding.filter(|finding| !findings.contains(finding)));
    }
    part.each_below(&mut |below| look_at_source(below, gate, findings));
}

/// Whether a filter's source has this name in quotes.
pub(super) fn names(part: Part<'_>, name: &str) -> bool {
    let quoted = ['"', '\''].map(|quote| format!("{quote}{name}{quote}"));
    let text = part.node.text().unwrap_or_default();
    let mut found = quoted.iter().any(|quoted| text.contains(quoted));
    part.each_below(&mut |below| found = found || names(below, name));
    found
}

/// The headers that a source sets by their names.
fn set_in(source: &str) -> Vec<String> {
    let mut names = Vec::new();
    for setter in SETTERS {
        for call in source.split(&format!(":{setter}")).skip(1) {
            let Some(arguments) = call.trim_start().strip_prefix('(') else {
                continue;
            };
            let arguments = arguments.trim_start();
            let Some(quote) = arguments
                .chars()
                .next()
                .filter(|it| ['"', '\''].contains(it))
            else {
                continue;
            };
            let rest = arguments.strip_prefix(quote).unwrap_or_default();
            if let Some((name, _)) = rest.split_once(quote) {
                names.push(name.to_ascii_lowercase());
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_found_by_their_names_in_quotes() {
        let source = r#"
            handle:headers():replace("X-User", "a")
            handle:headers():add( 'x-roles' , "b")
            handle:headers():replace(name, "c")
            handle:headers():remove("x-name")
            handle:headers():get("x-mail")
            handle:headers():addCopy("x-copy")
            h:replace(":path
        "#;
        assert_eq!(set_in(source), ["x-roles", "x-user"]);
    }
}
