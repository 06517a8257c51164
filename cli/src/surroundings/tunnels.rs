//! Routes that end a tunnel: what comes in the body is handed on as it is, and the requests in it come to no
//! filter.

use bearer_gate::config::Config;
use bearer_gate::matcher::PathMatcher;

use super::Gate;
use super::beside::meet;
use super::chosen::open_at;
use super::rewrites::may_matter;
use crate::finding::{Finding, Kind, Level};
use crate::view::{Chain, Group, Part, Route};

const CLIENT: &str = "the client";

pub(super) fn look_at(
    group: &Group<'_>,
    chain: &Chain<'_>,
    gate: Gate<'_, '_>,
    findings: &mut Vec<Finding>,
) {
    let Some(config) = gate.config else { return };
    let routes = chain.all_routes();
    for (at, route) in routes.iter().enumerate() {
        let Some(tunnel) = tunnel(route) else {
            continue;
        };
        let matched = route.part.get("match").unwrap_or(route.part);
        let is_connect = matched.get("connect_matcher").is_some();
        // without a rule for it the filter refuses CONNECT, which has no path
        let comes = match is_connect {
            true => has_rule_for_connect(config),
            false => takes_post(tunnel),
        };
        let others = routes.iter().enumerate().filter(|(other, _)| *other != at);
        let mut others = others.map(|(_, other)| other);
        if !comes || !others.any(|other| is_guarded_there(group, route, other)) {
            continue;
        }
        let finding = match open_at(matched, config) {
            Some(open) => told(tunnel, Level::Error, CLIENT, &format!("; {open}")),
            None if is_connect || may_matter(config) => told(
                tunnel,
                Level::Warning,
                CLIENT,
                "; whoever has a token for this route sends any request there, whatever rules ask for it",
            ),
            None => continue,
        };
        // once for all chains
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    }
}

/// The entry of `upgrade_configs` by which a route ends a tunnel.
fn tunnel<'d>(route: &Route<'d>) -> Option<Part<'d>> {
    let action = route.part.get("route")?;
    let mut upgrades = action.items_of("upgrade_configs");
    upgrades.find(|upgrade| is_tunnel(*upgrade))
}

fn has_rule_for_connect(config: &Config) -> bool {
    let mut rules = config.rules.all().iter();
    rules.any(|rule| rule.matcher.path == PathMatcher::Connect)
}

/// Whether a route without a tunnel leads to the same upstream, or to one that is not known.
fn is_guarded_there(group: &Group<'_>, route: &Route<'_>, other: &Route<'_>) -> bool {
    if !other.forwards() || tunnel(other).is_some() {
        return false;
    }
    let own = route.clusters();
    let others = other.clusters();
    own.contains(&None)
        || others.contains(&None)
        || own.iter().flatten().any(|own| {
            let mut others = others.iter().flatten();
            others.any(|other| meet(group, own, other))
        })
}

/// Whether an entry of `upgrade_configs` ends a tunnel.
pub(super) fn is_tunnel(upgrade: Part<'_>) -> bool {
    let is_off = |node: &crate::document::Node| node.is_false();
    let kind = upgrade.node.text_at(&["upgrade_type"]).unwrap_or_default();
    kind.eq_ignore_ascii_case("CONNECT")
        && upgrade.get("connect_config").is_some()
        && !upgrade.node.get("enabled").is_some_and(is_off)
}

/// Whether it takes `POST` for `CONNECT`.
pub(super) fn takes_post(upgrade: Part<'_>) -> bool {
    let post = upgrade.at(&["connect_config", "allow_post"]);
    post.is_some_and(|post| post.node.is_true())
}

/// A tunnel: for whom it is, and why that matters.
pub(super) fn told(tunnel: Part<'_>, level: Level, who: &str, why: &str) -> Finding {
    let finding = Finding::error(
        Kind::RequestsTunnelled,
        tunnel.spot_of("connect_config"),
        "upgrade_configs.connect_config",
        format!(
            "hands on what comes in the body as it is, so {who} writes requests for the upstream that no filter reads{why}"
        ),
    );
    Finding { level, ..finding }
        .write("no connect_config on a route to an upstream that the filter guards")
}
