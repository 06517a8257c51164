//! What records requests as they are: taps of HTTP and of connections.

use bearer_gate::config::Config;

use super::Gate;
use super::kinds::{TAP, TAP_OF_CONNECTIONS};
use super::providers;
use crate::finding::{Finding, Kind};
use crate::plugin::message;
use crate::view::{Chain, Group, Part, each_message};

pub(super) fn look_at(
    group: &Group<'_>,
    chain: &Chain<'_>,
    gate: Gate<'_, '_>,
    findings: &mut Vec<Finding>,
) {
    let Some(config) = gate.config else { return };
    let mut found = Vec::new();
    let mut is_behind = false;
    for filter in &chain.filters {
        is_behind |= filter.plugin == Some(gate.at);
        if let Some(tap) = filter.message(TAP)
            && (!is_behind || keeps_credentials(config))
        {
            found.push(records(tap, "requests with their tokens"));
        }
    }
    each_message(chain.listener, TAP_OF_CONNECTIONS, &mut |tap| {
        found.push(records(tap, "requests with their tokens"));
    });
    let calls = providers::calls(config);
    for cluster in &group.clusters {
        let name = cluster.node.text_at(&["name"]);
        let is_provider =
            config.sign_in.is_some() && calls.iter().any(|call| name == Some(call.cluster));
        let routes = chain.all_routes();
        let mut routed = routes.iter().flat_map(|route| route.clusters());
        if is_provider || keeps_credentials(config) && routed.any(|routed| routed == name) {
            each_message(*cluster, TAP_OF_CONNECTIONS, &mut |tap| {
                found.push(records(tap, "calls with tokens or the client's secret"));
            });
        }
    }
    // once for all chains
    found.retain(|new| !findings.contains(new));
    findings.append(&mut found);
}

/// A tap in what a patch writes.
pub(super) fn look_at_value(value: Part<'_>, findings: &mut Vec<Finding>) {
    let mut kinds = [TAP, TAP_OF_CONNECTIONS].iter();
    if kinds.any(|kind| message(value.node, kind).is_some()) {
        findings.push(records(value, "requests with their tokens"));
    }
}

/// Whether tokens or sessions are in requests behind the filter, or in its responses.
fn keeps_credentials(config: &Config) -> bool {
    config.sign_in.is_some() || config.providers.iter().any(|provider| provider.forward)
}

fn records(tap: Part<'_>, what: &str) -> Finding {
    Finding::warning(
        Kind::CredentialLogged,
        tap.spot(),
        "tap",
        format!("records {what}, into files or for whoever asks Envoy's admin interface"),
    )
    .write("no tap, or one for HTTP behind the filter, where tokens have been taken away")
}
