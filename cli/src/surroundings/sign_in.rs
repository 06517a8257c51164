//! Warnings about what is around the filter where people sign in: variables, room for cookies, other
//! filters, and routes.

use bearer_gate::config::{Config, SignIn};

use super::warning;
use crate::document::Node;
use crate::finding::Finding;
use crate::plugin::message;

const OAUTH2: &str = "envoy.extensions.filters.http.oauth2.v3.OAuth2";
const JWT_AUTHN: &str = "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication";
/// What Envoy takes of request headers by default, in KiB.
const DEFAULT_HEADERS_KIB: usize = 60;
/// What a browser sends besides cookies of the filter's, in bytes: a guess that is rarely too low.
const OTHER_HEADERS: usize = 8 * 1024;

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

/// By a `WasmPlugin`.
pub(crate) fn handed_by_istio(resource: &Node) -> Handed<'_> {
    let variables = resource.at(&["spec", "vm_config"]);
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
        how: "spec.vmConfig.env, with valueFrom: HOST",
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
    tree: &Node,
    handed: &Handed<'_>,
    locate: &dyn Fn(&str) -> (usize, usize),
    findings: &mut Vec<Finding>,
) {
    for (name, path) in variables(tree) {
        let how = handed.how;
        let is_written = handed.written.contains(&name);
        let text = if is_written {
            format!(
                "the value of {name} stands in the file, and in Envoy's dump of it: put the name into {how}"
            )
        } else if handed.of_host.contains(&name) {
            continue;
        } else {
            format!(
                "{name} does not reach the filter, which then refuses the configuration: put it into {how}"
            )
        };
        let (line, column) = locate(&path);
        findings.push(Finding {
            line,
            column,
            is_error: !is_written,
            path,
            text,
        });
    }
}

/// Variables of the configuration that are not set where the tool runs.
pub(crate) fn look_at_values(
    tree: &Node,
    locate: &dyn Fn(&str) -> (usize, usize),
    findings: &mut Vec<Finding>,
) {
    for (name, path) in variables(tree) {
        if std::env::var_os(name).is_some() {
            continue;
        }
        let (line, column) = locate(&path);
        findings.push(Finding {
            line,
            column,
            is_error: true,
            path,
            text: format!("{name} is not set here: Envoy started here refuses the configuration"),
        });
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
pub(crate) fn look_at_bodies(tree: &Node, plugin: &Node, findings: &mut Vec<Finding>) {
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
    if !plugin.get(ALLOW).is_some_and(Node::is_true) {
        findings.push(Finding {
            is_error: true,
            ..warning(
                plugin.get(ALLOW).unwrap_or(plugin),
                ALLOW,
                format!("is not true, and {path} needs the body of a request: it would never be answered. Write {ALLOW}: true beside vm_config"),
            )
        });
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
pub(super) fn look_at_manager(
    manager: &Node,
    plugin: &Node,
    config: &Config,
    findings: &mut Vec<Finding>,
) {
    let Some(sign_in) = &config.sign_in else {
        return;
    };
    look_at_room(manager, sign_in, findings);
    look_at_ports(manager, sign_in, findings);
    look_at_filters(manager, plugin, findings);
    look_at_responses(manager, findings);
    look_at_routes(manager, plugin, sign_in, findings);
}

fn look_at_room(manager: &Node, sign_in: &SignIn, findings: &mut Vec<Finding>) {
    let written = manager.get("max_request_headers_kb");
    let kib = written.and_then(|node| node.to_json().trim_matches('"').parse().ok());
    let kib: usize = kib.unwrap_or(DEFAULT_HEADERS_KIB);
    let cookies: usize = sign_in
        .schemes
        .iter()
        .map(|scheme| scheme.cookie.max_bytes)
        .sum();
    let needed = cookies.saturating_add(OTHER_HEADERS).div_ceil(1024);
    if needed > kib {
        findings.push(warning(
            written.unwrap_or(manager),
            "max_request_headers_kb",
            format!("is {kib}, and sessions may have {cookies} bytes of cookies beside other headers: Envoy answers 431 then. Write {needed}, or less cookie.max_bytes"),
        ));
    }
}

/// A site with a port that Envoy takes off the host is never the request's.
fn look_at_ports(manager: &Node, sign_in: &SignIn, findings: &mut Vec<Finding>) {
    let Some(strips) = manager
        .get("strip_any_host_port")
        .filter(|node| node.is_true())
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
        findings.push(warning(
            strips,
            "strip_any_host_port",
            format!("is true, and {site} is in allowed_redirect_domains: no request has that port any more, so nobody can sign in there"),
        ));
    }
}

/// The entry of `http_filters` that the plugin is in, by its place.
fn place_of(plugin: &Node, filters: &[Node]) -> Option<usize> {
    fn has(node: &Node, plugin: &Node) -> bool {
        std::ptr::eq(node, plugin)
            || node.entries().iter().any(|entry| has(&entry.node, plugin))
            || node.items().iter().any(|item| has(item, plugin))
    }
    filters.iter().position(|filter| has(filter, plugin))
}

fn look_at_filters(manager: &Node, plugin: &Node, findings: &mut Vec<Finding>) {
    let filters = manager.items_of("http_filters");
    let Some(own) = place_of(plugin, filters) else {
        return;
    };
    for (at, filter) in filters.iter().enumerate() {
        let config = filter.get("typed_config");
        let is_one = |kind| config.is_some_and(|config| message(config, kind).is_some());
        let text = if is_one(OAUTH2) && at < own {
            "oauth2 stands before the filter, and sends everybody to sign in with it: take it out, `bearer-gate migrate` reads it"
        } else if is_one(OAUTH2) {
            "oauth2 stands behind the filter: people sign in twice. Take it out, `bearer-gate migrate` reads it"
        } else if is_one(JWT_AUTHN) && at < own {
            "jwt_authn stands before the filter, and asks for tokens that a browser with a session does not have: take it out, `bearer-gate migrate` reads it"
        } else {
            continue;
        };
        findings.push(warning(filter, &format!("http_filters[{at}]"), text));
    }
}

/// Whatever takes `Set-Cookie` out of responses takes the sessions.
fn look_at_responses(node: &Node, findings: &mut Vec<Finding>) {
    let is_ours = |node: &&Node| {
        node.text()
            .is_some_and(|name| name.eq_ignore_ascii_case("set-cookie"))
    };
    let removed = node.items_of("response_headers_to_remove").iter();
    let mutations = node.items_of("response_mutations").iter();
    let mutated = mutations.filter_map(|mutation| mutation.get("remove"));
    for header in removed.chain(mutated).filter(is_ours) {
        findings.push(warning(
            header,
            "response_headers_to_remove",
            "takes Set-Cookie out of responses, those of the filter too: nobody can sign in. Let it be",
        ));
    }
    for entry in node.entries() {
        look_at_responses(&entry.node, findings);
    }
    for item in node.items() {
        look_at_responses(item, findings);
    }
}

/// A route that turns the filter off, for a path that the filter answers.
fn look_at_routes(manager: &Node, plugin: &Node, sign_in: &SignIn, findings: &mut Vec<Finding>) {
    let filters = manager.items_of("http_filters");
    let own = place_of(plugin, filters).and_then(|at| filters.get(at));
    let Some(name) = own.and_then(|own| own.text_at(&["name"])) else {
        return;
    };
    let is_off = |node: &Node| {
        let config = node.at(&["typed_per_filter_config", name]);
        config
            .and_then(|config| config.get("disabled"))
            .is_some_and(Node::is_true)
    };
    let hosts = manager.at(&["route_config", "virtual_hosts"]);
    for host in hosts.map_or(&[][..], Node::items) {
        for path in sign_in.own_paths() {
            let mut routes = host.items_of("routes").iter();
            let Some(route) = routes.find(|route| takes(route, path)) else {
                continue;
            };
            if is_off(route) || is_off(host) {
                findings.push(warning(
                    route,
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
