//! What reads of a token that nobody writes any more, or not yet: policies, logs and tags that look
//! at jwt_authn's metadata, or at filter state of ours that is not enabled. And what logs keep of it.

use bearer_gate::config::{Config, Fact};
use bearer_gate::http::credentials::Place;

use super::kinds::{JWT_AUTHN, RBAC, RBAC_OF_ROUTE};
use super::{Gate, filters};
use crate::document::Node;
use crate::finding::{Finding, Kind, Spot};
use crate::plugin::{WASM, message};
use crate::view::{Chain, Part, contains};

/// The namespace of jwt_authn's metadata, and its name in most configurations.
const NAMESPACE: &str = "envoy.filters.http.jwt_authn";
/// What Envoy puts before the names of filter state of plugins.
const STATE: &str = "wasm.";

pub(super) fn look_at(chain: &Chain<'_>, gate: Gate<'_, '_>, findings: &mut Vec<Finding>) {
    let has_jwt_authn = filters::has_filter(chain, JWT_AUTHN);
    let set_by_others = |name: &str| {
        let mut others = chain
            .filters
            .iter()
            .filter(|filter| filter.plugin != Some(gate.at));
        !name.starts_with(Fact::PREFIX) && others.any(|filter| filter.message(WASM).is_some())
    };
    let has_cookies = gate.config.is_some_and(has_tokens_in_cookies);
    let mut found = |part: Part<'_>, reader: Reader| {
        let Some(text) = part.node.text() else { return };
        if !has_jwt_authn && text.contains(NAMESPACE) {
            findings.push(of_metadata(part, reader));
        }
        for name in states(text) {
            let is_set = gate.config.is_none_or(|config| sets(config, name));
            if !is_set && !set_by_others(name) {
                findings.push(of_state(part, reader, name));
            }
        }
        if reader == Reader::Log
            && let Some(header) = credential(text, has_cookies)
        {
            findings.push(of_credential(part, header));
        }
    };
    let manager = chain.manager;
    let of_routes = chain.routes.iter().copied();
    let of_routes = of_routes.filter(|routes| !contains(manager.node, routes.node));
    let of_xds = chain.filters.iter().filter_map(|filter| filter.config);
    let of_xds = of_xds.filter(|config| !contains(manager.node, config.node));
    let parts: Vec<Part<'_>> = of_routes.chain(of_xds).chain([manager]).collect();
    for part in &parts {
        each_text(*part, gate.settings, Reader::Other, &mut found);
    }
    if let Some(log) = chain.listener.get("access_log") {
        each_text(log, gate.settings, Reader::Log, &mut found);
    }
    if let Some(config) = gate.config {
        for part in parts {
            each_matcher(part, &mut |matcher| {
                findings.extend(of_matcher(matcher, config));
            });
        }
    }
}

/// What a log that another resource describes keeps.
pub(super) fn look_at_log(part: Part<'_>, config: &Config, findings: &mut Vec<Finding>) {
    let text = part.node.text().unwrap_or_default();
    if let Some(header) = credential(text, has_tokens_in_cookies(config)) {
        let finding = of_credential(part, header);
        // once for all policies
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    }
    part.each_below(&mut |below| look_at_log(below, config, findings));
}

/// Calls with each matcher that compares filter state.
fn each_matcher<'d>(part: Part<'d>, found: &mut dyn FnMut(Part<'d>)) {
    if let Some(matcher) = part.get("filter_state")
        && matcher.get("key").is_some()
    {
        found(matcher);
    }
    part.each_below(&mut |below| each_matcher(below, found));
}

/// A matcher that never matches: a struct is no string, and without `wasm.` there is nothing.
fn of_matcher(matcher: Part<'_>, config: &Config) -> Option<Finding> {
    let key = matcher.node.text_at(&["key"])?;
    let never = |why: String, instead: &str| {
        let text = format!("{why}: nothing ever matches, and a DENY never bites");
        let spot = matcher.spot_of("key");
        Some(Finding::error(Kind::StateUnset, spot, "filter_state", text).write(instead))
    };
    match key.strip_prefix(STATE) {
        Some(name) if structs(config).any(|known| known == name) => never(
            format!("compares {key} with a string, and it is a struct"),
            "a rule of the filter's: authorize: {claims: [...]}, or a CEL condition that allows",
        ),
        None if key.starts_with(Fact::PREFIX) || structs(config).any(|known| known == key) => {
            never(
                format!("compares {key}, and Envoy calls that {STATE}{key}"),
                &format!("key: {STATE}{key}"),
            )
        }
        _ => None,
    }
}

/// The names of the structs that a configuration writes.
fn structs(config: &Config) -> impl Iterator<Item = &str> {
    config.providers.iter().flat_map(|provider| {
        let outputs = &provider.outputs;
        let all = [
            &outputs.payload_state,
            &outputs.header_state,
            &outputs.failure_state,
        ];
        all.into_iter().flatten().map(String::as_str)
    })
}

/// What is done with what is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reader {
    /// It decides whether a request passes.
    Policy,
    /// It is kept: an access log or a trace.
    Log,
    Other,
}

/// Calls with each text that is read of a request: neither with a filter's name nor with what is in
/// the configuration of ours.
fn each_text<'d>(
    part: Part<'d>,
    own: &Node,
    reader: Reader,
    found: &mut dyn FnMut(Part<'d>, Reader),
) {
    if std::ptr::eq(part.node, own) {
        return;
    }
    let is_policy = [RBAC, RBAC_OF_ROUTE]
        .iter()
        .any(|kind| message(part.node, kind).is_some());
    let reader = if is_policy { Reader::Policy } else { reader };
    if part.node.text().is_some() {
        found(part, reader);
    }
    let is_filter = part.get("typed_config").is_some() || part.get("config_discovery").is_some();
    for entry in part.node.entries() {
        let is_log = matches!(entry.name.as_str(), "access_log" | "accessLog" | "tracing");
        let reader = if is_log { Reader::Log } else { reader };
        if !(is_filter && entry.name == "name") {
            each_text(part.with(&entry.node), own, reader, found);
        }
    }
    for item in part.node.items() {
        each_text(part.with(item), own, reader, found);
    }
}

/// Where a word stands in a text, which may have several lines.
fn spot_of(part: Part<'_>, word: &str) -> Spot {
    let text = part.node.text().unwrap_or_default();
    let before = text.find(word).and_then(|at| text.get(..at));
    let lines = before.unwrap_or_default().matches('\n').count();
    let spot = part.spot();
    Spot {
        line: spot.line + lines,
        ..spot
    }
}

fn of_metadata(part: Part<'_>, reader: Reader) -> Finding {
    let (kind, spot) = (Kind::MetadataUnset, spot_of(part, NAMESPACE));
    match reader {
        Reader::Policy => Finding::error(
            kind,
            spot,
            "rbac",
            "a policy looks at the metadata of jwt_authn, which is not in this chain: they are always empty, and a DENY no longer bites",
        )
        .write("a rule of the filter's in its place: authorize: {claims: [{path: [groups], not: {any: [contractor]}}]}, see envoy/recipes/rbac.yaml for what RBAC can read"),
        Reader::Log | Reader::Other => Finding::warning(
            kind,
            spot,
            "",
            "looks at the metadata of jwt_authn, which is not in this chain: they are always empty",
        )
        .write("filter state in its place: payload_in_metadata: jwt in the provider, and wasm.jwt here"),
    }
}

/// The names of filter state in a text, without the `wasm.` that Envoy puts before them.
fn states(text: &str) -> impl Iterator<Item = &str> {
    let is_of_name = |c: char| c.is_alphanumeric() || "_-./".contains(c);
    text.match_indices(STATE).filter_map(move |(at, _)| {
        let is_begin = !text.get(..at)?.ends_with(is_of_name);
        let rest = text.get(at + STATE.len()..)?;
        let end = rest.find(|c| !is_of_name(c)).unwrap_or(rest.len());
        rest.get(..end).filter(|name| is_begin && !name.is_empty())
    })
}

/// Whether a configuration writes this filter state.
fn sets(config: &Config, name: &str) -> bool {
    // a selector may follow the name of a struct
    let is_it = |known: &str| {
        let rest = name.strip_prefix(known);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    config.facts.iter().any(|fact| fact.state() == name) || structs(config).any(is_it)
}

fn of_state(part: Part<'_>, reader: Reader, name: &str) -> Finding {
    let kind = Kind::StateUnset;
    let spot = spot_of(part, &format!("{STATE}{name}"));
    let finding = match reader {
        Reader::Policy => Finding::error(
            kind,
            spot,
            "rbac",
            format!(
                "a policy looks at {STATE}{name}, which the filter does not write: it is always empty, and a DENY never bites"
            ),
        ),
        Reader::Log | Reader::Other => Finding::warning(
            kind,
            spot,
            "",
            format!("looks at {STATE}{name}, which the filter does not write: it is always empty"),
        ),
    };
    match name.strip_prefix(Fact::PREFIX) {
        Some(fact) => finding.write(format!(
            "filter_state: [{fact}] in the filter's configuration"
        )),
        None => finding.write(format!("payload_in_metadata: {name} in the provider")),
    }
}

fn has_tokens_in_cookies(config: &Config) -> bool {
    let mut places = config
        .providers
        .iter()
        .flat_map(|provider| &provider.places);
    config.sign_in.is_some()
        || places.any(|place| matches!(place, Place::Cookie(_) | Place::Chunks(_)))
}

/// The header with credentials that a text of a log names.
fn credential(text: &str, has_cookies: bool) -> Option<&'static str> {
    let text = text.to_ascii_lowercase();
    let names = |header: &str| {
        text == header
            || text.match_indices(header).any(|(at, _)| {
                let before = text.get(..at).unwrap_or_default();
                before.ends_with("req(")
                    || before.ends_with("req_without_query(")
                    || before.ends_with('?')
                    || before.ends_with("request.headers['")
                    || before.ends_with("request.headers[\"")
            })
    };
    let mut headers = ["authorization", "cookie"].into_iter();
    headers.find(|header| names(header) && (*header != "cookie" || has_cookies))
}

fn of_credential(part: Part<'_>, header: &str) -> Finding {
    Finding::warning(
        Kind::CredentialLogged,
        part.spot(),
        "access_log",
        format!("keeps the header {header}: whoever reads the log has the tokens of others"),
    )
    .write("%FILTER_STATE(wasm.bearer_gate.subject:PLAIN)% with filter_state: [subject]")
}

#[cfg(test)]
mod tests {
    use super::{credential, states};

    #[test]
    fn names_of_filter_state_in_a_text() {
        let table: [(&str, &[&str]); 9] = [
            (
                "%FILTER_STATE(wasm.bearer_gate.reason:PLAIN)%",
                &["bearer_gate.reason"],
            ),
            ("%CEL(filter_state['wasm.jwt'].azp)%", &["jwt"]),
            ("wasm.jwt", &["jwt"]),
            (
                "%CEL(filter_state[\"wasm.a\"] == filter_state['wasm.b'])%",
                &["a", "b"],
            ),
            ("envoy.wasm.runtime.v8", &[]),
            ("/opt/wasm.module", &[]),
            ("plugin_wasm.x", &[]),
            ("wasm.", &[]),
            (
                "handle:streamInfo():filterState():get(\"wasm.jwt\")",
                &["jwt"],
            ),
        ];
        for (text, expected) in table {
            assert_eq!(states(text).collect::<Vec<_>>(), expected, "{text}");
        }
    }

    #[test]
    fn headers_with_credentials() {
        let table = [
            ("%REQ(AUTHORIZATION)%", true, Some("authorization")),
            (
                "%REQ(x-token?Authorization):20%",
                true,
                Some("authorization"),
            ),
            ("authorization", true, Some("authorization")),
            (
                "%CEL(request.headers['authorization'])%",
                true,
                Some("authorization"),
            ),
            ("%REQ(COOKIE)%", true, Some("cookie")),
            ("%REQ(COOKIE)%", false, None),
            ("%REQ(X-AUTHORIZATION-RESULT)%", true, None),
            ("authorization failed", true, None),
        ];
        for (text, has_cookies, expected) in table {
            assert_eq!(credential(text, has_cookies), expected, "{text}");
        }
    }
}
