//! Everything in a configuration that the filter refuses. The filter's own reader finds it, one field
//! after the other.
//!
//! Invariant: what is looked for next is looked for in a copy; nothing is taken out of the
//! configuration itself except fields on which nothing depends.

use bearer_gate::config::Config;

use crate::document::{Node, Scalars, Yaml, parse};

/// How the filter says that a field is jwt_authn's alone.
const UNSUPPORTED: &str = "not supported";
/// The most refusals that are reported of one configuration.
const MOST: usize = 200;
/// Fields that change no decision: they are about how often keys are fetched, which route is taken
/// afterwards, and the names of counters.
const NEEDLESS: [&str; 6] = [
    "stat_prefix",
    "retry_on",
    "retry_priority",
    "retry_host_predicate",
    "host_selection_retry_max_attempts",
    "clear_route_cache",
];

pub(super) struct Refusal {
    pub path: String,
    pub problem: String,
    /// Whether the field can be left out.
    pub is_needless: bool,
}

/// What the filter refuses of it.
pub(super) fn find(node: &Node) -> Vec<Refusal> {
    let mut scratch = node.clone();
    let mut refusals: Vec<Refusal> = Vec::new();
    for _ in 0..MOST {
        let Err(error) = Config::parse(scratch.to_json().as_bytes()) else {
            break;
        };
        let path = error.path().to_owned();
        let last = path.rsplit('.').next().unwrap_or_default();
        let is_unsupported = error.problem().starts_with(UNSUPPORTED);
        // What a field leaves behind that was taken out is no refusal of its own.
        let is_echo = refusals.iter().any(|known| known.path.starts_with(&path));
        if !is_echo {
            refusals.push(Refusal {
                problem: error.problem().to_owned(),
                is_needless: is_unsupported && NEEDLESS.contains(&last),
                path: path.clone(),
            });
        }
        if is_unsupported {
            scratch.remove_at(&path);
        } else if !neutralize(&mut scratch, &path) {
            break;
        }
    }
    refusals
}

/// Puts something harmless where a problem is, so that the rest can be looked at.
fn neutralize(scratch: &mut Node, path: &str) -> bool {
    const PROVIDER: &str = "{any_issuer: true, any_audience: true, remote_jwks: {http_uri: {uri: 'https://x.invalid/', cluster: x, timeout: 5s}}}";
    let (member, harmless) = match path.split(['.', '[']).next() {
        Some("providers") => ("providers", PROVIDER),
        Some("requirement_map") => ("requirement_map", "{allow_missing: {}}"),
        Some("rules") => ("rules", "{match: {prefix: /}}"),
        Some(other) if scratch.get(other).is_some() => {
            scratch.remove(other);
            return true;
        }
        _ => return false,
    };
    let Some(Ok(harmless)) = parse(harmless, Some(Scalars::Envoy))
        .map(|mut d| d.pop())
        .transpose()
    else {
        return false;
    };
    let Some(parent) = scratch.get_mut(member) else {
        return false;
    };
    let rest = path.strip_prefix(member).unwrap_or_default();
    let place = match &mut parent.yaml {
        Yaml::List(items) => {
            let index = rest
                .strip_prefix('[')
                .and_then(|rest| rest.split(']').next());
            index.and_then(|index| items.get_mut(index.parse::<usize>().ok()?))
        }
        Yaml::Map(entries) => {
            let rest = rest.strip_prefix('.').unwrap_or_default();
            let is_it = |name: &str| {
                let after = rest.strip_prefix(name);
                after.is_some_and(|after| after.is_empty() || after.starts_with(['.', '[']))
            };
            let fitting = entries.iter_mut().filter(|entry| is_it(&entry.name));
            let longest = fitting.max_by_key(|entry| entry.name.len());
            longest.map(|entry| &mut entry.node)
        }
        _ => None,
    };
    match place {
        Some(place) => *place = harmless,
        None => scratch.remove(member),
    }
    true
}
