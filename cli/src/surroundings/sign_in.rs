//! Warnings about what is around the filter where people sign in: variables, room for cookies, other
//! filters, and routes.

use bearer_gate::config::{SessionStore, SignIn};

use super::Gate;
use super::kinds::OAUTH2;
use crate::document::Node;
use crate::finding::{Finding, Kind};
use crate::plugin::Plugin;
use crate::view::{Chain, HttpFilter, Part, contains};

/// What Envoy takes of request headers by default, in KiB.
const DEFAULT_HEADERS_KIB: usize = 60;
/// What a browser sends besides cookies of the filter's, in bytes: a guess that is rarely too low.
const OTHER_HEADERS: usize = 8 * 1024;
/// Room for the cookie of a session that is in the shared store.
const TICKET: usize = 4096;

/// The variables that the host of the filter hands to it.
pub(crate) struct Handed<'d> {
    /// Those of Envoy's process.
    pub of_host: Vec<&'d str>,
    /// Those whose values stand in the file.
    pub written: Vec<&'d str>,
    /// How the first kind is written.
    pub how: &'static str,
}

/// By `vm_config` of a plugin in Envoy.
pub(crate) fn handed_by_envoy(plugin: &Node) -> Handed<'_> {
    let variables = plugin.at(&["vm_config", "environment_variables"]);
    let of_host = variables.map_or(&[][..], |node| node.items_of("host_env_keys"));
    let written = variables.and_then(|node| node.get("key_values"));
    let written = written.map_or(&[][..], Node::entries);
    Handed {
        of_host: of_host.iter().filter_map(Node::text).collect(),
        written: written.iter().map(|entry| entry.name.as_str()).collect(),
        how: "vm_config.environment_variables.host_env_keys",
    }
}

/// By a `WasmPlugin`, or a `TrafficExtension`.
pub(crate) fn handed_by_istio(resource: &Node) -> Handed<'_> {
    let (variables, how) = match resource.at(&["spec", "wasm"]) {
        Some(wasm) => (
            wasm.get("vm_config"),
            "spec.wasm.vmConfig.env, with valueFrom: HOST",
        ),
        None => (
            resource.at(&["spec", "vm_config"]),
            "spec.vmConfig.env, with valueFrom: HOST",
        ),
    };
    let variables = variables.map_or(&[][..], |node| node.items_of("env"));
    let names = |of_host: bool| {
        let wanted = variables
            .iter()
            .filter(move |variable| (variable.text_at(&["value_from"]) == Some("HOST")) == of_host);
        wanted
            .filter_map(|variable| variable.text_at(&["name"]))
            .collect()
    };
    Handed {
        of_host: names(true),
        written: names(false),
        how,
    }
}

/// By an entry of `spec.wasm` of an `EnvoyExtensionPolicy`.
pub(crate) fn handed_by_gateway(wasm: &Node) -> Handed<'_> {
    let variables = wasm.get("env");
    let of_host = variables.map_or(&[][..], |node| node.items_of("host_keys"));
    Handed {
        of_host: of_host.iter().filter_map(Node::text).collect(),
        written: Vec::new(),
        how: "env.hostKeys",
    }
}

/// Variables of the configuration that the filter does not get: it refuses the configuration then.
pub(crate) fn look_at_variables(
    plugin: &Plugin<'_>,
    handed: &Handed<'_>,
    findings: &mut Vec<Finding>,
) {
    for (name, path) in plugin.tree().map_or_else(Vec::new, variables) {
        let (how, spot) = (handed.how, plugin.spot(&path));
        if handed.written.contains(&name) {
            findings.push(Finding::warning(
                Kind::SecretInFile,
                spot,
                &path,
                format!("the value of {name} stands in the file, and in Envoy's dump of it: put the name into {how}"),
            ));
        } else if !handed.of_host.contains(&name) {
            findings.push(Finding::error(
                Kind::Variable,
                spot,
                &path,
                format!("{name} does not reach the filter, which then refuses the configuration: put it into {how}"),
            ));
        }
    }
}

/// Variables of the configuration that are not set where the tool runs.
pub(crate) fn look_at_values(plugin: &Plugin<'_>, findings: &mut Vec<Finding>) {
    for (name, path) in plugin.tree().map_or_else(Vec::new, variables) {
        if std::env::var_os(name).is_none() {
            findings.push(Finding::error(
                Kind::Variable,
                plugin.spot(&path),
                &path,
                format!("{name} is not set here: Envoy started here refuses the configuration"),
            ));
        }
    }
}

/// The variables that a configuration names, each with its path.
fn variables(tree: &Node) -> Vec<(&str, String)> {
    let mut found = Vec::new();
    if let Some(sign_in) = tree.get("sign_in") {
        find_variables(sign_in, "sign_in", &mut found);
    }
    found
}

/// The provider's calls have a body, which Envoy hands to a filter that waits only where it is told
/// to.
pub(crate) fn look_at_bodies(tree: &Node, plugin: Part<'_>, findings: &mut Vec<Finding>) {
    const ALLOW: &str = "allow_on_headers_stop_iteration";
    let schemes = tree
        .at(&["sign_in", "schemes"])
        .map_or(&[][..], Node::entries);
    let mut paths = schemes
        .iter()
        .filter_map(|scheme| scheme.node.text_at(&["backchannel_logout_path"]));
    let Some(path) = paths.next() else {
        return;
    };
    if !plugin.node.get(ALLOW).is_some_and(Node::is_true) {
        findings.push(Finding::error(
            Kind::BodyNotHanded,
            plugin.spot_of(ALLOW),
            ALLOW,
            format!("is not true, and {path} needs the body of a request: it would never be answered. Write {ALLOW}: true beside vm_config"),
        ));
    }
}

fn find_variables<'d>(node: &'d Node, path: &str, found: &mut Vec<(&'d str, String)>) {
    if let Some(name) = node.text_at(&["environment_variable"]) {
        found.push((name, format!("{path}.environment_variable")));
    }
    for entry in node.entries() {
        find_variables(&entry.node, &format!("{path}.{}", entry.name), found);
    }
    for (index, item) in node.items().iter().enumerate() {
        find_variables(item, &format!("{path}[{index}]"), found);
    }
}

/// What the HTTP connection manager does beside the filter.
pub(super) fn look_at_chain(chain: &Chain<'_>, gate: Gate<'_, '_>, findings: &mut Vec<Finding>) {
    let Some(sign_in) = gate.config.and_then(|config| config.sign_in.as_ref()) else {
        return;
    };
    let manager = chain.manager;
    look_at_room(manager, sign_in, findings);
    look_at_ports(manager, sign_in, findings);
    look_at_filters(chain, gate, findings);
    look_at_responses(manager, findings);
    let elsewhere = chain.routes.iter();
    for routes in elsewhere.filter(|routes| !contains(manager.node, routes.node)) {
        look_at_responses(*routes, findings);
    }
    look_at_routes(chain, gate, sign_in, findings);
}

fn look_at_room(manager: Part<'_>, sign_in: &SignIn, findings: &mut Vec<Finding>) {
    let written = manager.node.get("max_request_headers_kb");
    let kib = written.and_then(|node| node.to_json().trim_matches('"').parse().ok());
    let kib: usize = kib.unwrap_or(DEFAULT_HEADERS_KIB);
    let cookies: usize = sign_in
        .schemes
        .iter()
        .map(|scheme| match scheme.session.store {
            SessionStore::Cookie => scheme.cookie.max_bytes,
            SessionStore::Shared => TICKET,
        })
        .sum();
    let needed = cookies.saturating_add(OTHER_HEADERS).div_ceil(1024);
    if needed > kib {
        findings.push(Finding::warning(
            Kind::HeaderRoom,
            manager.spot_of("max_request_headers_kb"),
            "max_request_headers_kb",
            format!("is {kib}, and sessions may have {cookies} bytes of cookies beside other headers: Envoy answers 431 then. Write {needed}, or less cookie.max_bytes"),
        ));
    }
}

/// A site with a port that Envoy takes off the host is never the request's.
fn look_at_ports(manager: Part<'_>, sign_in: &SignIn, findings: &mut Vec<Finding>) {
    let Some(strips) = manager
        .get("strip_any_host_port")
        .filter(|strips| strips.node.is_true())
    else {
        return;
    };
    let has_port = |origin: &str| {
        let end = origin.rsplit(':').next().unwrap_or_default();
        end.parse::<u16>().is_ok()
    };
    let sites = sign_in.sites.single();
    let mut with_port = sites
        .iter()
        .map(|site| site.origin())
        .filter(|site| has_port(site));
    if let Some(site) = with_port.next() {
        findings.push(Finding::warning(
            Kind::SitePort,
            strips.spot(),
            "strip_any_host_port",
            format!("is true, and {site} is in allowed_redirect_domains: no request has that port any more, so nobody can sign in there"),
        ));
    }
}

fn look_at_filters(chain: &Chain<'_>, gate: Gate<'_, '_>, findings: &mut Vec<Finding>) {
    let filters = &chain.filters;
    let is_own = |filter: &HttpFilter<'_>| filter.plugin == Some(gate.at);
    let Some(own) = filters.iter().position(is_own) else {
        return;
    };
    for (at, filter) in filters.iter().enumerate() {
        let is_one = |kind| filter.message(kind).is_some();
        let text = if is_one(OAUTH2) && at < own {
            "oauth2 stands before the filter, and sends everybody to sign in with it: take it out, `bearer-gate migrate` reads it"
        } else if is_one(OAUTH2) {
            "oauth2 stands behind the filter: people sign in twice. Take it out, `bearer-gate migrate` reads it"
        } else {
            continue;
        };
        findings.push(Finding::warning(
            Kind::OtherAuthentication,
            filter.entry.spot(),
            &format!("http_filters[{at}]"),
            text,
        ));
    }
}

/// Whatever takes `Set-Cookie` out of responses takes the sessions.
fn look_at_responses(part: Part<'_>, findings: &mut Vec<Finding>) {
    let is_ours = |part: &Part<'_>| {
        let name = part.node.text();
        name.is_some_and(|name| name.eq_ignore_ascii_case("set-cookie"))
    };
    let removed = part.items_of("response_headers_to_remove");
    let mutations = part.items_of("response_mutations");
    let mutated = mutations.filter_map(|mutation| mutation.get("remove"));
    for header in removed.chain(mutated).filter(is_ours) {
        findings.push(Finding::warning(
            Kind::SetCookieRemoved,
            header.spot(),
            "response_headers_to_remove",
            "takes Set-Cookie out of responses, those of the filter too: nobody can sign in. Let it be",
        ));
    }
    part.each_below(&mut |below| look_at_responses(below, findings));
}

/// A route that turns the filter off, for a path that the filter answers.
fn look_at_routes(
    chain: &Chain<'_>,
    gate: Gate<'_, '_>,
    sign_in: &SignIn,
    findings: &mut Vec<Finding>,
) {
    let Some(own) = chain.ours(gate.at).next() else {
        return;
    };
    let is_off = |part: Part<'_>| {
        let off = part.at(&["typed_per_filter_config", own.name, "disabled"]);
        off.is_some_and(|off| off.node.is_true())
    };
    let hosts = chain.routes.iter();
    for host in hosts.flat_map(|routes| routes.items_of("virtual_hosts")) {
        for path in sign_in.own_paths() {
            let mut routes = host.items_of("routes");
            let Some(route) = routes.find(|route| takes(route.node, path)) else {
                continue;
            };
            if is_off(route) || is_off(host) {
                findings.push(Finding::warning(
                    Kind::OwnPathOff,
                    route.spot(),
                    "typed_per_filter_config",
                    format!("turns the filter off for {path}, which the filter answers: give that path a route of its own, before this one"),
                ));
            }
        }
    }
}

fn takes(route: &Node, path: &str) -> bool {
    let text = |kind| route.text_at(&["match", kind]);
    text("prefix").is_some_and(|prefix| path.starts_with(prefix))
        || text("path") == Some(path)
        || text("path_separated_prefix").is_some_and(|start| {
            let rest = path.strip_prefix(start);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
}
