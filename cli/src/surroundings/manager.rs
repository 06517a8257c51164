//! What Envoy's HTTP connection manager must do before the rules read a request.

use bearer_gate::config::Config;
use bearer_gate::matcher::Condition;

use super::providers::longest_wait;
use crate::document::{Node, Yaml};
use crate::finding::{Finding, Kind, Spot};
use crate::view::{Chain, Part};

const REQUEST_TIMEOUT: &str = "request_timeout";

pub(super) fn look_at(chain: &Chain<'_>, config: Option<&Config>, findings: &mut Vec<Finding>) {
    look_at_forms(chain, config, findings);
    if let Some(config) = config {
        look_at_hosts(chain, config, findings);
    }
}

fn look_at_forms(chain: &Chain<'_>, config: Option<&Config>, findings: &mut Vec<Finding>) {
    let manager = chain.manager.node;
    let mut warn = |kind: Kind, name: &str, text: &str, instead: &str| {
        let spot = chain.manager.spot_of(name);
        findings.push(Finding::warning(kind, spot, name, text).write(instead));
    };
    for name in ["normalize_path", "merge_slashes"] {
        if !manager.get(name).is_some_and(Node::is_true) {
            warn(
                Kind::PathNormalization,
                name,
                "is not true: the upstream may read a path in another way than the rules do",
                &format!("{name}: true"),
            );
        }
    }
    let action = manager.text_at(&["path_with_escaped_slashes_action"]);
    let keeps = !matches!(
        action,
        Some("REJECT_REQUEST" | "UNESCAPE_AND_REDIRECT" | "UNESCAPE_AND_FORWARD")
    );
    let mut rules = config.into_iter().flat_map(|config| config.rules.all());
    if rules.any(|rule| rule.escaped_slashes) {
        if !keeps {
            warn(
                Kind::EscapedSlashes,
                "path_with_escaped_slashes_action",
                "is not KEEP_UNCHANGED: a rule has escaped_slashes, and no escaped slash reaches it",
                "path_with_escaped_slashes_action: KEEP_UNCHANGED",
            );
        }
    } else if keeps {
        warn(
            Kind::EscapedSlashes,
            "path_with_escaped_slashes_action",
            "is not REJECT_REQUEST: escaped slashes reach the filter, which answers 400",
            "path_with_escaped_slashes_action: REJECT_REQUEST",
        );
    } else if action == Some("UNESCAPE_AND_FORWARD") {
        warn(
            Kind::EscapedSlashes,
            "path_with_escaped_slashes_action",
            "is UNESCAPE_AND_FORWARD: what stands before Envoy has seen another path than the rules and the upstream do",
            "path_with_escaped_slashes_action: REJECT_REQUEST",
        );
    }
    let underscores = manager.text_at(&[
        "common_http_protocol_options",
        "headers_with_underscores_action",
    ]);
    if !matches!(underscores, Some("REJECT_REQUEST" | "DROP_HEADER")) {
        warn(
            Kind::Underscores,
            "common_http_protocol_options",
            "headers_with_underscores_action is not REJECT_REQUEST: many upstreams read X_User as X-User",
            "common_http_protocol_options: {headers_with_underscores_action: REJECT_REQUEST}",
        );
    }
    look_at_timeout(chain, config, findings);
}

fn look_at_timeout(chain: &Chain<'_>, config: Option<&Config>, findings: &mut Vec<Finding>) {
    let written = chain.manager.get(REQUEST_TIMEOUT);
    let found = match written.filter(|part| is_set(*part)) {
        Some(part) => timeout(part, config),
        None => warning(chain.manager.spot_of(REQUEST_TIMEOUT), 0.0, config),
    };
    findings.extend(found);
}

fn is_set(part: Part<'_>) -> bool {
    !matches!(part.node.yaml, Yaml::Null)
}

/// What is wrong with a `request_timeout`, wherever it is written.
pub(super) fn timeout(part: Part<'_>, config: Option<&Config>) -> Option<Finding> {
    if !is_set(part) {
        return None;
    }
    if let Some(seconds) = seconds(part.node) {
        return warning(part.spot(), seconds, config);
    }
    let text = "is no duration, which is a text of a number and s: Envoy refuses the file";
    let finding = Finding::error(Kind::RequestTimeout, part.spot(), REQUEST_TIMEOUT, text);
    Some(finding.write(format!("{REQUEST_TIMEOUT}: {}s", usual(config))))
}

fn warning(spot: Spot, seconds: f64, config: Option<&Config>) -> Option<Finding> {
    let (text, least) = too_short(seconds, config)?;
    let finding = Finding::warning(Kind::RequestTimeout, spot, REQUEST_TIMEOUT, text);
    Some(finding.write(format!("{REQUEST_TIMEOUT}: {least}s")))
}

/// What is wrong with the time in which a request must have come whole, in seconds, and the least that is right.
///
/// A request that waits when a VM crashes is ended by nothing else.
pub(super) fn too_short(seconds: f64, config: Option<&Config>) -> Option<(String, f64)> {
    let needed = needed(config);
    if seconds == 0.0 {
        let text = "is missing: a request that waits in a VM that crashes never ends";
        Some((text.to_owned(), usual(config)))
    } else if seconds < needed {
        let text = format!(
            "is {seconds} s, and a request may wait {needed} s for a provider: Envoy answers 408 before that"
        );
        Some((text, needed + 1.0))
    } else {
        None
    }
}

/// What to write where nothing else is asked for, in seconds.
fn usual(config: Option<&Config>) -> f64 {
    30.0_f64.max(needed(config) + 1.0)
}

/// For how many seconds a request may wait.
fn needed(config: Option<&Config>) -> f64 {
    let wait = config.map(longest_wait).unwrap_or_default();
    wait.as_secs_f64().ceil()
}

/// A duration, as Envoy reads it: a text as protobuf's JSON has it, or its two numbers.
fn seconds(node: &Node) -> Option<f64> {
    let Some(text) = node.text() else {
        let number = |name: &str| match node.get(name) {
            Some(number) => number.to_json().trim_matches('"').parse::<f64>().ok(),
            None => Some(0.0),
        };
        let is_message = !node.entries().is_empty();
        return is_message.then(|| Some(number("seconds")? + number("nanos")? / 1e9))?;
    };
    let number = text.strip_suffix('s')?;
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_short = |text: &str, most: usize| (1..=most).contains(&text.len());
    let is_duration =
        is_short(whole, 12) && is_short(part, 9) && are_digits(whole) && are_digits(part);
    number.parse().ok().filter(|_| is_duration)
}

/// If hosts decide, Envoy's routes and the upstream must read them as the rules do.
fn look_at_hosts(chain: &Chain<'_>, config: &Config, findings: &mut Vec<Finding>) {
    let mut warn = |name: &str, text: &str| {
        let spot = chain.manager.spot_of(name);
        let finding = Finding::warning(Kind::HostForm, spot, name, text);
        findings.push(finding.write(format!("{name}: true")));
    };
    let looks_at_host = |condition: &Condition| match condition {
        Condition::Hosts(_) => true,
        Condition::Header(header) => header.name == ":authority",
        Condition::Methods(_) | Condition::Parameter(_) => false,
    };
    let mut rules = config.rules.all().iter();
    let of_rules = rules.any(|rule| rule.matcher.conditions.iter().any(looks_at_host));
    let of_routes = config.of_routes.is_some();
    let is_true = |name: &str| chain.manager.node.get(name).is_some_and(Node::is_true);
    if (of_rules || of_routes) && !is_true("strip_trailing_host_dot") {
        warn(
            "strip_trailing_host_dot",
            "is not true, and hosts decide: a.example. is a.example to the rules, and may be another host to Envoy's routes and to the upstream",
        );
    }
    if of_routes && !is_true("strip_matching_host_port") && !is_true("strip_any_host_port") {
        warn(
            "strip_any_host_port",
            "is not true, and routes decide by their metadata: a host with a port may get another route's requirement, or none",
        );
    }
    if of_routes {
        look_at_header_routes(chain, findings);
    }
}

/// If routes decide by their metadata, Envoy must not choose a route by the value of a header.
fn look_at_header_routes(chain: &Chain<'_>, findings: &mut Vec<Finding>) {
    let hosts = chain.routes.iter();
    let hosts = hosts.flat_map(|routes| routes.items_of("virtual_hosts"));
    for route in hosts.flat_map(|host| host.items_of("routes")) {
        let matched = route.get("match").unwrap_or(route);
        let by_value = matched.items_of("headers").find(|header| {
            // White space does not change whether a header is there.
            header.get("present_match").is_none()
        });
        if let Some(header) = by_value {
            findings.push(
                Finding::warning(
                    Kind::HeaderRoute,
                    header.spot(),
                    "route_config",
                    "a header's value chooses the route, and routes decide by their metadata: Envoy compares it with the white space around it, which upstreams take off, so a client can get another route's requirement, or none",
                )
                .write("present_match: true, or a path, a method or a host"),
            );
        }
    }
}
