//! Routes on which the client chooses the upstream, by a header of its request: Envoy is a proxy to
//! whatever it can reach.

use bearer_gate::config::Config;

use super::Gate;
use super::kinds::{
    DYNAMIC_CLUSTER, DYNAMIC_HOST_OF_ROUTE, EARLY_HEADER_MUTATION, EXT_AUTHZ, EXT_PROC,
    HEADER_MUTATION, LUA,
};
use super::kubernetes::{may_be_at, name, namespace, of_kind, spec};
use super::rewrites::Matched;
use crate::document::Node;
use crate::finding::{Finding, Kind, Level};
use crate::plugin::{WASM, message};
use crate::risks::rules::opens_connect;
use crate::view::{Chain, Group, HttpFilter, Part, Route, View, each_message};

/// The header that chooses an address, unless the cluster names another.
const ADDRESS: &str = "x-envoy-original-dst-host";
const HOSTS: &str = "host names in domains of the virtual host, or host_rewrite_literal for the filter envoy.filters.http.dynamic_forward_proxy in typed_per_filter_config";

const NEEDS_A_TOKEN: &str = "whoever has a token gets there";

/// By what a client chooses.
enum By<'d> {
    /// A host, in this header.
    Host(&'d str),
    /// An address, in this header.
    Address(&'d str),
    /// A cluster of the configuration, in this header.
    Cluster(&'d str),
}

/// What a client can choose on a route, and where that is written.
struct Choice<'d> {
    part: Part<'d>,
    by: By<'d>,
}

pub(super) fn look_at(
    group: &Group<'_>,
    chain: &Chain<'_>,
    gate: Gate<'_, '_>,
    findings: &mut Vec<Finding>,
) {
    let Some(config) = gate.config else { return };
    for route in chain.all_routes() {
        let Some(choice) = choice(group, chain, &route) else {
            continue;
        };
        let matched = route.part.get("match").unwrap_or(route.part);
        let open = open_at(matched, config);
        let finding = match (open, &choice.by) {
            (Some(open), By::Cluster(_)) => choice.finding(Level::Warning, &open),
            // who has a token is let through to any of the clusters by the rules
            (None, By::Cluster(_)) => continue,
            (Some(open), _) => choice.finding(Level::Error, &open),
            (None, _) => choice.finding(Level::Warning, NEEDS_A_TOKEN),
        };
        // once for all chains
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    }
}

/// A choice in a chain that does not have the filter.
pub(super) fn in_chain(group: &Group<'_>, chain: &Chain<'_>) -> Option<Finding> {
    let routes = chain.all_routes();
    let mut choices = routes
        .iter()
        .filter_map(|route| choice(group, chain, route));
    let choice = choices.find(|choice| !matches!(choice.by, By::Cluster(_)))?;
    let why = "this chain does not have the filter, so nobody needs a token to get to what the filter guards elsewhere";
    Some(choice.finding(Level::Error, why))
}

/// A route of the Gateway API to a `Backend` of Envoy Gateway that is a dynamic forward proxy.
pub(super) fn look_at_route(
    view: &View<'_>,
    route: Part<'_>,
    config: &Config,
    findings: &mut Vec<Finding>,
) {
    if !spec(route).node.items_of("hostnames").is_empty() {
        return;
    }
    let is_any = |part: &Part<'_>| {
        let text = |name: &str| part.node.text_at(&[name]);
        let place = text("namespace").or(namespace(route));
        text("kind") == Some("Backend")
            && of_kind(view, "Backend").any(|backend| {
                may_be_at(namespace(backend), place)
                    && text("name") == Some(name(backend))
                    && spec(backend).node.text_at(&["type"]) == Some("DynamicResolver")
            })
    };
    for rule in spec(route).items_of("rules") {
        let mut filters = rule.items_of("filters");
        if filters.any(|filter| filter.at(&["url_rewrite", "hostname"]).is_some()) {
            continue;
        }
        for part in rule.items_of("backend_refs").filter(is_any) {
            let choice = Choice {
                part,
                by: By::Host("Host"),
            };
            let matched = Matched::of_rule(rule);
            let open = matched.iter().find_map(|matched| matched.open(config));
            let finding = match open.map(why) {
                Some(open) => choice.finding(Level::Error, &open),
                None => choice.finding(Level::Warning, NEEDS_A_TOKEN),
            };
            findings.push(finding.write("hostnames in the route, or a Backend with endpoints"));
        }
    }
}

/// Why nobody needs a token on a route, if that is so.
pub(super) fn open_at(matched: Part<'_>, config: &Config) -> Option<String> {
    Some(why(match matched.get("connect_matcher") {
        Some(_) => ("CONNECT".to_owned(), opens_connect(config)?),
        None => Matched::of(matched).open(config)?,
    }))
}

fn why((what, by): (String, Option<usize>)) -> String {
    match by {
        Some(at) => format!("rules[{at}] lets {what} through without a token"),
        None => format!("{what} is let through without a token, for no rule is for it"),
    }
}

fn choice<'d>(group: &Group<'d>, chain: &Chain<'d>, route: &Route<'d>) -> Option<Choice<'d>> {
    let action = route.part.get("route")?;
    if let Some(header) = action.get("cluster_header") {
        let name = header.node.text()?;
        // routes take headers away once a cluster is found
        let is_set = is_set_early(chain, name) || sets_by_itself(chain);
        return (!is_set).then_some(Choice {
            part: header,
            by: By::Cluster(name),
        });
    }
    let names = route.clusters();
    let mut by = names.into_iter().flatten().filter_map(|name| {
        let by = of_cluster(group, name, route)?;
        let (By::Host(header) | By::Address(header) | By::Cluster(header)) = &by;
        let is_host = header.eq_ignore_ascii_case("host");
        let is_set = || is_set_early(chain, header) || is_set(chain, route, header);
        (is_host || !is_set()).then_some(by)
    });
    by.next().map(|by| Choice { part: action, by })
}

/// What a request chooses of a cluster.
fn of_cluster<'d>(group: &Group<'d>, name: &str, route: &Route<'d>) -> Option<By<'d>> {
    let cluster = group.cluster(name)?;
    let config = cluster.at(&["cluster_type", "typed_config"]);
    if config.is_some_and(|config| message(config.node, DYNAMIC_CLUSTER).is_some()) {
        return host_of(route).map(By::Host);
    }
    let of_kind = cluster.get("type").is_some_and(|kind| {
        let text = kind.node.text().unwrap_or_default();
        text.eq_ignore_ascii_case("ORIGINAL_DST") || kind.node.to_json() == "4"
    });
    let settings = cluster.node.get("original_dst_lb_config");
    if let Some(settings) = settings.filter(|_| of_kind)
        && settings.get("use_http_header").is_some_and(Node::is_true)
    {
        let named = settings.text_at(&["http_header_name"]);
        let named = named.filter(|name| !name.is_empty());
        return Some(By::Address(named.unwrap_or(ADDRESS)));
    }
    // one that is made of such a cluster has no host to send a request to
    None
}

/// The header by which a client chooses the host of a dynamic forward proxy; `None` where the
/// configuration does, or says among which hosts.
fn host_of<'d>(route: &Route<'d>) -> Option<&'d str> {
    let levels = [route.part, route.host, route.config];
    let mut of_filter = levels.iter().filter_map(|level| {
        let of_filters = level.get("typed_per_filter_config")?;
        let mut entries = of_filters.node.entries().iter();
        entries.find_map(|entry| message(&entry.node, DYNAMIC_HOST_OF_ROUTE))
    });
    let written = of_filter.next();
    let action = route.part.node.get("route");
    for rewritten in [written, action].into_iter().flatten() {
        if rewritten.get("host_rewrite_literal").is_some() {
            return None;
        }
        if let Some(header) = rewritten.text_at(&["host_rewrite_header"]) {
            return Some(header);
        }
    }
    let mut domains = route.host.node.items_of("domains").iter();
    domains
        .any(|domain| domain.text() == Some("*"))
        .then_some("Host")
}

/// Whether this is the name of the header.
fn names(node: &Node, header: &str) -> bool {
    node.text()
        .is_some_and(|name| name.eq_ignore_ascii_case(header))
}

/// Whether an option of headers puts its own value in the place of a client's.
fn overwrites(option: &Node, header: &str) -> bool {
    let action = option.text_at(&["append_action"]).unwrap_or_default();
    let is_it = option.at(&["header", "key"]);
    is_it.is_some_and(|key| names(key, header))
        && (action.starts_with("OVERWRITE") || option.get("append").is_some_and(Node::is_false))
}

/// Whether one of these mutations takes a client's value of a header away.
fn change(mutations: &[Node], header: &str) -> bool {
    mutations.iter().any(|mutation| {
        let (removed, added) = (mutation.get("remove"), mutation.get("append"));
        removed.is_some_and(|name| names(name, header))
            || added.is_some_and(|option| overwrites(option, header))
    })
}

/// Whether Envoy takes a client's value of a header away before it finds a route.
fn is_set_early(chain: &Chain<'_>, header: &str) -> bool {
    let mut is_set = false;
    for extension in chain.manager.items_of("early_header_mutation_extensions") {
        each_message(extension, EARLY_HEADER_MUTATION, &mut |settings| {
            is_set |= change(settings.node.items_of("mutations"), header);
        });
    }
    is_set
}

/// Whether the route, or a filter, takes a client's value of a header away.
fn is_set(chain: &Chain<'_>, route: &Route<'_>, header: &str) -> bool {
    let levels = [route.part, route.host, route.config];
    let by_levels = levels.iter().any(|level| {
        let removed = level.node.items_of("request_headers_to_remove");
        let added = level.node.items_of("request_headers_to_add");
        removed.iter().any(|name| names(name, header))
            || added.iter().any(|option| overwrites(option, header))
    });
    let by_filters = chain.filters.iter().any(|filter| {
        let mutations = filter.message(HEADER_MUTATION);
        let mutations = mutations.and_then(|filter| filter.node.get("mutations"));
        mutations.is_some_and(|all| change(all.items_of("request_mutations"), header))
    });
    by_levels || by_filters
}

/// Whether a filter is in the chain that may set any header.
fn sets_by_itself(chain: &Chain<'_>) -> bool {
    let may = |filter: &HttpFilter<'_>| {
        let is_other_plugin = filter.plugin.is_none() && filter.message(WASM).is_some();
        let mut kinds = [LUA, EXT_AUTHZ, EXT_PROC].iter();
        is_other_plugin || kinds.any(|kind| filter.message(kind).is_some())
    };
    chain.filters.iter().any(may)
}

impl Choice<'_> {
    fn finding(&self, level: Level, why: &str) -> Finding {
        let (what, instead) = match self.by {
            By::Host(header) => (format!("the host that the header {header} names"), HOSTS),
            By::Address(header) => (
                format!("the address that the header {header} names"),
                "a cluster with addresses of its own, or request_headers_to_remove with that header",
            ),
            By::Cluster(header) => (
                format!("the cluster that the header {header} names"),
                "cluster, with a name; or early_header_mutation_extensions that take that header off what clients send",
            ),
        };
        let finding = Finding::error(
            Kind::UpstreamChosen,
            self.part.spot(),
            "route",
            format!(
                "sends requests to {what}, so the client chooses among all that Envoy can reach; {why}"
            ),
        );
        Finding { level, ..finding }.write(instead)
    }
}
