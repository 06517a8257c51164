//! Lua behind the filter that sets what the filter has decided by, or tells. Its source is not run: what
//! counts is a call with the name of a header in quotes, or with a name that is computed.

use bearer_gate::config::Config;

use super::Gate;
use super::headers;
use super::kinds::{LUA, LUA_OF_ROUTE};
use super::rewrites::may_matter;
use crate::finding::{Finding, Kind};
use crate::plugin::message;
use crate::view::{Chain, Group, Part};

/// The function that Envoy calls with answers.
const ON_RESPONSE: &str = "envoy_on_response";
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
    let behind = chain.behind(gate.at);
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
        look_at_sources(settings, gate.config, findings);
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
            look_at_sources(settings.with(lua), gate.config, findings);
        }
    }
}

fn look_at_sources(settings: Part<'_>, config: Option<&Config>, findings: &mut Vec<Finding>) {
    for sources in SOURCES.iter().filter_map(|name| settings.get(name)) {
        look_at_source(sources, config, findings);
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

/// Looks at a source, or at all that are in this part, of Lua behind the filter.
pub(super) fn look_at_source(part: Part<'_>, config: Option<&Config>, findings: &mut Vec<Finding>) {
    for name in part.node.text().map(set_in).unwrap_or_default() {
        let finding = match (name.as_deref(), config) {
            (Some(":path"), _) => Some(
                Finding::warning(
                    Kind::PathRewritten,
                    part.spot(),
                    "default_source_code",
                    "Lua writes another path behind the filter, which has looked at the one that came: another rule may be for it, which asks for more",
                )
                .write("the filter behind it; or a rule for the path that clients send, which asks for as much"),
            ),
            (Some(name), Some(config)) => headers::set_at(part, name, "default_source_code", config),
            (None, Some(config)) => set_by_a_computed_name(part, config),
            _ => None,
        };
        // once for all routes, and all calls
        findings.extend(finding.filter(|finding| !findings.contains(finding)));
    }
    part.each_below(&mut |below| look_at_source(below, config, findings));
}

/// A header that is set by a name which is not in quotes: it may be one that the filter sets, or the path.
fn set_by_a_computed_name(part: Part<'_>, config: &Config) -> Option<Finding> {
    let (kind, what) = match (config.reserved_headers.is_empty(), may_matter(config)) {
        (false, _) => (
            Kind::ClaimHeaderSet,
            "it may be one in which the filter tells of the token",
        ),
        (true, true) => (
            Kind::PathRewritten,
            "it may be :path, of which the filter has looked at the one that came",
        ),
        (true, false) => return None,
    };
    Some(
        Finding::warning(
            kind,
            part.spot(),
            "default_source_code",
            format!("Lua behind the filter sets a header whose name it computes, which no file says: {what}"),
        )
        .write("the name in quotes, as replace(\"x-region\", ...); of several, one call for each"),
    )
}

/// Whether a filter's source has this name in quotes.
pub(super) fn names(part: Part<'_>, name: &str) -> bool {
    let quoted = ['"', '\''].map(|quote| format!("{quote}{name}{quote}"));
    let text = part.node.text().unwrap_or_default();
    let mut found = quoted.iter().any(|quoted| text.contains(quoted));
    part.each_below(&mut |below| found = found || names(below, name));
    found
}

/// The headers that a source sets on requests, by their names; `None` for a name that is computed. What is done
/// with answers is left out, as far as it is in that function.
fn set_in(source: &str) -> Vec<Option<String>> {
    let pieces = source.split("function");
    let is_of_answers = |piece: &&str| piece.trim_start().starts_with(ON_RESPONSE);
    pieces
        .filter(|piece| !is_of_answers(piece))
        .flat_map(set_in_piece)
        .collect()
}

fn set_in_piece(source: &str) -> Vec<Option<String>> {
    let mut names = Vec::new();
    for setter in SETTERS {
        for call in source.split(&format!(":{setter}")).skip(1) {
            if let Some(arguments) = call.trim_start().strip_prefix('(') {
                names.push(name_in(arguments.trim_start()).map(str::to_ascii_lowercase));
            }
        }
    }
    names
}

/// The first argument of a call, where it is a text by itself.
fn name_in(arguments: &str) -> Option<&str> {
    let quote = arguments.chars().next()?;
    let rest = arguments.strip_prefix(quote)?;
    let (name, rest) = rest.split_once(quote)?;
    let is_name = |name: &str| !name.contains(['\\', '\n']);
    let ends = rest.trim_start().starts_with(',');
    (['"', '\''].contains(&quote) && ends && is_name(name)).then_some(name)
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
            function envoy_on_response(answer)
              answer:headers():replace("x-answer", "a")
              answer:headers():add(name, "a")
            end
        "#;
        let named = |name: &str| Some(name.to_owned());
        assert_eq!(set_in(source), [named("x-roles"), named("x-user"), None]);
    }

    #[test]
    fn a_name_that_is_not_in_quotes_by_itself_is_computed() {
        let table = [
            (r#"h:add("x-user", v)"#, Some("x-user")),
            (r#"h:add ( 'X-User' , v)"#, Some("x-user")),
            (r#"h:add("x-" .. n, v)"#, None),
            ("h:add(n, v)", None),
            ("h:add([[x-user]], v)", None),
            (r#"h:add("x-\117ser", v)"#, None),
            (r#"h:add("x-user".."", v)"#, None),
            (r#"h:add(("x-user"), v)"#, None),
            (r#"h:add("x-user"#, None),
        ];
        for (source, name) in table {
            assert_eq!(set_in(source), [name.map(str::to_owned)], "{source}");
        }
        assert!(set_in("h:addCopy('x', v) h.add(n, v)").is_empty());
    }
}
