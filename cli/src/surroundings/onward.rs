//! Listeners of the same Envoy that requests come to behind the filter, by a route to Envoy itself or by an
//! internal listener. The filter has looked at a request by then, so what is done with it there is as if it were
//! behind the filter in one chain.

use super::beside::{leading_to, listeners_behind};
use super::filters::forwards;
use super::{Gate, headers, lua, rewrites};
use crate::finding::{Finding, Kind};
use crate::view::{Chain, Group, Part};

pub(super) fn look_at(
    group: &Group<'_>,
    chain: &Chain<'_>,
    gate: Gate<'_, '_>,
    findings: &mut Vec<Finding>,
) {
    let listeners = listeners_behind(group, chain);
    let is_behind = |next: &&Chain<'_>| {
        let mut listeners = listeners.iter();
        listeners.any(|listener| std::ptr::eq(listener.node, next.listener.node))
    };
    let mut found = Vec::new();
    for next in group.chains.iter().filter(is_behind) {
        if next.is_guarded() {
            found.extend(again(group, chain, next, gate));
            continue;
        }
        headers::look_at(next, gate, &mut found);
        headers::look_at_upstreams(group, next, gate, &mut found);
        lua::look_at(next, gate, &mut found);
        lua::look_at_upstreams(group, next, gate, &mut found);
        rewrites::look_at(next, gate.config, &mut found);
    }
    // once for all chains
    found.retain(|new| !findings.contains(new));
    findings.append(&mut found);
}

/// A chain that has the filter, behind one that has it. The first one takes the token away, unless it forwards it.
fn again(
    group: &Group<'_>,
    chain: &Chain<'_>,
    next: &Chain<'_>,
    gate: Gate<'_, '_>,
) -> Option<Finding> {
    let is_round = std::ptr::eq(chain.listener.node, next.listener.node);
    if !is_round && gate.config.is_some_and(forwards) {
        return None;
    }
    let clusters = leading_to(group, chain, next.listener);
    let leads = |part: Part<'_>| {
        let mut names = clusters.iter();
        names.any(|name| part.node.text_at(&["cluster"]) == Some(name))
    };
    let routes = chain.all_routes().into_iter();
    let mut actions = routes.filter_map(|route| route.part.get("route"));
    let part = actions
        .find(|action| leads(*action))
        .unwrap_or(chain.manager);
    let name = next.listener.node.text_at(&["name"]).unwrap_or_default();
    let (text, instead) = match is_round {
        true => (
            "leads to the listener that it is in: a request goes round, and never comes to an upstream".to_owned(),
            "a cluster with the address of the upstream",
        ),
        false => (
            format!("leads to listener {name} of this Envoy, which has the filter too: a token has to please both, and the first one takes Authorization away"),
            "a cluster with the address of the upstream; or forward: true in the providers of the first",
        ),
    };
    Some(Finding::warning(Kind::FilterTwice, part.spot(), "routes", text).write(instead))
}
