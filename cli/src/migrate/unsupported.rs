//! Everything in a configuration that the filter refuses. The filter's own reader finds it, one field
//! after the other.
//!
//! Invariant: what is looked for next is looked for in a copy; nothing is taken out of the
//! configuration itself except fields on which nothing depends.

use bearer_gate::config::Config;

use super::tree;
use crate::document::{Node, Scalars, Yaml, parse};
use crate::plugin::stand_in;

/// How the filter says that a field is jwt_authn's alone.
const UNSUPPORTED: &str = "not supported";
/// The most refusals that are reported of one configuration.
const MOST: usize = 200;
/// Fields without which the filter lets no more through: they are about how often keys are fetched,
/// which route is taken afterwards, and the names of counters.
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
        // Whether variables are set where Envoy runs nobody knows here.
        let environment = |variable: &str| Some(stand_in(Some(&scratch), variable));
        let Err(error) = Config::parse_in(scratch.to_json().as_bytes(), &environment) else {
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
    // Schemes need no endpoints of their own beside it.
    const PROVIDER: &str = "{issuer: 'https://x.invalid/', any_audience: true, openid_discovery: {cluster: x, timeout: 5s}}";
    let (member, harmless) = match path.split(['.', '[']).next() {
        Some("providers") => ("providers", PROVIDER),
        Some("requirement_map") => ("requirement_map", "{allow_missing: {}}"),
        Some("rules") => ("rules", "{match: {prefix: /}}"),
        Some("sign_in") => return neutralize_sign_in(scratch, path),
        Some(other) if scratch.get(other).is_some() => {
            scratch.remove(other);
            return true;
        }
        _ => return false,
    };
    let Some(harmless) = read(harmless) else {
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

fn read(harmless: &str) -> Option<Node> {
    parse(harmless, Some(Scalars::Envoy)).ok()?.pop()
}

/// The scheme's provider and name stay, for rules refer to it.
fn neutralize_sign_in(scratch: &mut Node, path: &str) -> bool {
    const DOMAINS: &str = "allowed_redirect_domains";
    const SCHEME: &str = "{credentials: {client_id: x}, auth_type: NONE, authorization_endpoint: 'https://x.invalid/', token_endpoint: {uri: 'https://x.invalid/', cluster: x, timeout: 5s}, callback_path: /x}";
    let Some(sign_in) = scratch.get_mut("sign_in") else {
        return false;
    };
    if path.starts_with("sign_in.cookie_keys") {
        sign_in.remove("cookie_keys");
        return true;
    }
    if path.starts_with("sign_in.allowed_redirect_domains") {
        let Some(domains) = read("[x.invalid]") else {
            return false;
        };
        tree::set(sign_in, DOMAINS, domains);
        return true;
    }
    let Some(Yaml::Map(schemes)) = sign_in.get_mut("schemes").map(|node| &mut node.yaml) else {
        return false;
    };
    let mut is_changed = false;
    for entry in schemes {
        let is_it = path.starts_with(&format!("sign_in.schemes.{}", entry.name));
        let is_harmless = entry.node.get("callback_path").and_then(Node::text) == Some("/x");
        if is_it
            && !is_harmless
            && let Some(mut harmless) = read(SCHEME)
        {
            if let Some(provider) = entry.node.get("provider_name") {
                tree::set(&mut harmless, "provider_name", provider.clone());
            }
            entry.node = harmless;
            is_changed = true;
        }
    }
    is_changed
}
