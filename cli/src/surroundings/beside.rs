//! Other ways to the upstream: listeners and filter chains without the filter.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::chosen;
use super::kinds::{AGGREGATE, COMPOSITE, LUA, SET_FILTER_STATE, SNI_CLUSTER, SNI_FORWARD_PROXY};
use super::kubernetes::has_text;
use super::lua;
use crate::document::Node;
use crate::finding::{Finding, Kind};
use crate::plugin::message;
use crate::view::{Chain, Group, Part, Route, each_message};

/// Pages of the admin interface that tell how Envoy does, and change nothing.
const PAGES: [&str; 8] = [
    "/ready",
    "/stats",
    "/stats/prometheus",
    "/server_info",
    "/clusters",
    "/listeners",
    "/memory",
    "/hot_restart_version",
];

/// What a `tcp_proxy` takes its cluster from, where it is set.
const CLUSTER_OF_CONNECTION: &str = "envoy.tcp_proxy.cluster";

pub(super) fn look_at(group: &Group<'_>, findings: &mut Vec<Finding>) {
    let guarded: Vec<&Chain<'_>> = group
        .chains
        .iter()
        .filter(|chain| chain.is_guarded())
        .collect();
    if guarded.is_empty() {
        return;
    }
    let mut upstreams = BTreeSet::new();
    for cluster in guarded
        .iter()
        .flat_map(|chain| destinations(chain))
        .flatten()
    {
        upstreams.extend(names(group, cluster, Sent::Requests));
    }
    follow(group, &mut upstreams);
    let entrances: BTreeSet<String> = guarded
        .iter()
        .flat_map(|chain| addresses(chain.listener))
        .collect();
    let way = Way {
        group,
        upstreams,
        entrances,
    };
    for chain in &group.chains {
        way.look_at_admin(chain, findings);
        let is_open = !chain.is_guarded() && !chain.has_other_filters();
        if is_open && !is_within(chain.listener, &way.upstreams) {
            way.look_at_chain(chain, findings);
        }
    }
    let listeners = group.listeners.iter();
    for listener in listeners.filter(|listener| !is_within(**listener, &way.upstreams)) {
        way.look_at_others(*listener, findings);
        look_at_choice(*listener, findings);
    }
}

/// Adds what these upstreams lead to that are listeners of the same Envoy, and tells which listeners those are.
/// Who leads to one of them from elsewhere is told of there.
fn follow<'d>(group: &Group<'d>, upstreams: &mut BTreeSet<String>) -> Vec<Part<'d>> {
    let mut passed: Vec<Part<'d>> = Vec::new();
    loop {
        let is_known = |listener: &Part<'_>| {
            let mut passed = passed.iter();
            passed.any(|known| std::ptr::eq(known.node, listener.node))
        };
        let mut reached = group
            .listeners
            .iter()
            .filter(|listener| is_reached(**listener, upstreams));
        let Some(listener) = reached.find(|listener| !is_known(listener)).copied() else {
            return passed;
        };
        passed.push(listener);
        let mut found = Vec::new();
        add_clusters(listener, &mut found);
        let requests = |cluster: &&str| names(group, cluster, Sent::Requests);
        upstreams.extend(found.iter().flat_map(requests));
    }
}

/// The listeners of the same Envoy that requests of a chain come to behind it, one behind the other.
pub(super) fn listeners_behind<'d>(group: &Group<'d>, chain: &Chain<'d>) -> Vec<Part<'d>> {
    let clusters = destinations(chain).into_iter().flatten();
    let mut upstreams = clusters
        .flat_map(|cluster| names(group, cluster, Sent::Requests))
        .collect();
    follow(group, &mut upstreams)
}

/// Whether nothing leads to a listener but clusters of this Envoy, and guarded chains do.
fn is_within(listener: Part<'_>, upstreams: &BTreeSet<String>) -> bool {
    listener.get("internal_listener").is_some() && is_reached(listener, upstreams)
}

fn is_reached(listener: Part<'_>, upstreams: &BTreeSet<String>) -> bool {
    let addresses = addresses(listener);
    addresses.iter().any(|name| upstreams.contains(name))
}

/// The clusters that a part of a listener names itself.
fn named_by(part: Part<'_>) -> impl Iterator<Item = &str> {
    let weighted = part.get("weighted_clusters").into_iter();
    let weighted = weighted.flat_map(|weighted| weighted.items_of("clusters"));
    let named = weighted.filter_map(|part| part.node.text_at(&["name"]));
    part.node.text_at(&["cluster"]).into_iter().chain(named)
}

/// Adds each cluster that is named at any depth.
fn add_clusters<'d>(part: Part<'d>, found: &mut Vec<&'d str>) {
    found.extend(named_by(part));
    part.each_below(&mut |below| add_clusters(below, found));
}

struct Way<'g, 'd> {
    group: &'g Group<'d>,
    /// The clusters that the filter guards, and their addresses.
    upstreams: BTreeSet<String>,
    /// The addresses of listeners that have the filter.
    entrances: BTreeSet<String>,
}

/// What is sent to a cluster. One that is made of others by the attempts of a request has no host for a
/// connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sent {
    Requests,
    Connections,
}

/// Where a cluster leads, as far as the filter is concerned.
#[derive(PartialEq, Eq)]
enum Leads {
    /// To an upstream that it guards.
    Around,
    /// To a listener that has it.
    Through,
    Elsewhere,
}

impl Way<'_, '_> {
    fn leads(&self, cluster: &str, sent: Sent) -> Leads {
        let names = names(self.group, cluster, sent);
        if names.iter().any(|name| self.upstreams.contains(name)) {
            Leads::Around
        } else if names.iter().any(|name| self.entrances.contains(name)) {
            Leads::Through
        } else {
            Leads::Elsewhere
        }
    }

    fn look_at_chain(&self, chain: &Chain<'_>, findings: &mut Vec<Finding>) {
        let spot = chain.manager.spot();
        let clusters = destinations(chain);
        let mut named = clusters.iter().copied().flatten().chain(mirrors(chain));
        if let Some(cluster) = named.find(|name| self.leads(name, Sent::Requests) == Leads::Around)
        {
            findings.push(self.bypass(chain.manager, cluster));
        } else if let Some(chosen) = chosen::in_chain(self.group, chain) {
            findings.push(chosen);
        } else if clusters.contains(&None) || chain.has_other_routes {
            findings.push(
                Finding::warning(
                    Kind::OtherChain,
                    spot,
                    "http_filters",
                    "this chain does not have the filter, and its routes may lead to what the filter guards: the cluster is not in the files",
                )
                .write("the filter here too, or routes to clusters by their names"),
            );
        } else if let Some((lua, cluster)) = self.called(chain) {
            findings.push(
                Finding::warning(
                    Kind::OtherChain,
                    lua.spot(),
                    "http_filters",
                    format!("this chain does not have the filter, and Lua in it names cluster {cluster}, which the filter guards elsewhere: it may call it for everybody"),
                )
                .write("the filter before it"),
            );
        } else if let Some(cluster) = self.unguarded(chain) {
            findings.push(
                Finding::warning(
                    Kind::OtherChain,
                    spot,
                    "http_filters",
                    format!("this chain does not have the filter, and leads to cluster {cluster}: whatever is there must not ask for tokens"),
                )
                .write("the filter here too, if that is meant for those with a token"),
            );
        }
    }

    /// Lua that names a guarded cluster, which it may call.
    fn called<'d>(&self, chain: &Chain<'d>) -> Option<(Part<'d>, &str)> {
        let filters = chain.filters.iter();
        let mut sources = filters.filter_map(|filter| filter.message(LUA));
        sources.find_map(|source| {
            let known = self.upstreams.iter();
            let mut known = known.filter_map(|name| name.strip_prefix("cluster "));
            let named = known.find(|name| lua::names(source, name))?;
            Some((source, named))
        })
    }

    /// A cluster that is neither guarded nor Envoy's own pages.
    fn unguarded<'d>(&self, chain: &Chain<'d>) -> Option<&'d str> {
        let clusters = destinations(chain).into_iter().flatten();
        let mut others = clusters.filter(|cluster| !self.is_admin(cluster));
        others.find(|cluster| self.leads(cluster, Sent::Requests) == Leads::Elsewhere)
    }

    /// Routes to the admin interface, but for those of single pages that only tell.
    fn look_at_admin(&self, chain: &Chain<'_>, findings: &mut Vec<Finding>) {
        for route in chain.all_routes() {
            let clusters = route.clusters();
            if page_of(&route).is_some_and(|page| PAGES.contains(&page))
                || !clusters
                    .iter()
                    .flatten()
                    .any(|cluster| self.is_admin(cluster))
            {
                continue;
            }
            findings.push(leads_to_admin(route.part, "routes"));
        }
    }

    fn is_admin(&self, cluster: &str) -> bool {
        let admin = self
            .group
            .bootstrap
            .and_then(|part| part.at(&["admin", "address"]));
        let admin = admin.map_or_else(Vec::new, |address| address_of(address.node));
        let names = names(self.group, cluster, Sent::Requests);
        admin.iter().any(|address| names.contains(address))
    }

    /// Whatever of a listener leads to a cluster and is no connection manager, as a TCP proxy.
    fn look_at_others(&self, part: Part<'_>, findings: &mut Vec<Finding>) {
        if part.get("http_filters").is_some() {
            return;
        }
        if named_by(part).any(|cluster| self.is_admin(cluster)) {
            findings.push(leads_to_admin(part, "filter_chains.filters"));
        }
        let around = |sent: Sent| {
            let mut clusters = named_by(part);
            clusters.find(|name| self.leads(name, sent) == Leads::Around)
        };
        if let Some(cluster) = around(Sent::Connections) {
            findings.push(
                Finding::error(
                    Kind::UnguardedChain,
                    part.spot(),
                    "filter_chains.filters",
                    format!("this leads to cluster {cluster}, which the filter guards elsewhere, and is no connection manager: whoever reaches this listener needs no token"),
                )
                .write("a connection manager with the filter in its place, or no way to that cluster"),
            );
        } else if let Some(cluster) = around(Sent::Requests) {
            findings.push(
                Finding::warning(
                    Kind::OtherChain,
                    part.spot(),
                    "filter_chains.filters",
                    format!("this leads to cluster {cluster}, a composite of what the filter guards elsewhere: Envoy 1.40 finds no host in it for what is no HTTP request, and another version may"),
                )
                .write("a connection manager with the filter in its place, or no way to that cluster"),
            );
        }
        part.each_below(&mut |below| self.look_at_others(below, findings));
    }

    fn bypass(&self, part: Part<'_>, cluster: &str) -> Finding {
        Finding::error(
            Kind::UnguardedChain,
            part.spot(),
            "http_filters",
            format!("this chain does not have the filter, and leads to cluster {cluster}, which the filter guards elsewhere: whoever reaches this listener needs no token"),
        )
        .write("the filter in this chain too, or no way to that cluster")
    }
}

/// The path that a route to one path alone sends on, where the file says it.
fn page_of<'d>(route: &Route<'d>) -> Option<&'d str> {
    let came = route.part.node.text_at(&["match", "path"])?;
    let action = route.part.get("route")?.node;
    let others = ["regex_rewrite", "path_rewrite_policy", "path_rewrite"];
    if others.iter().any(|field| action.get(field).is_some()) {
        return None;
    }
    let rewritten = action.text_at(&["prefix_rewrite"]);
    Some(rewritten.filter(|path| !path.is_empty()).unwrap_or(came))
}

fn leads_to_admin(part: Part<'_>, path: &str) -> Finding {
    Finding::warning(
        Kind::AdminOpen,
        part.spot(),
        path,
        "leads to Envoy's admin interface: whoever gets here reads the configuration, and can stop Envoy",
    )
    .write("a route with match: {path: /stats/prometheus}, and the method GET alone")
}

/// What lets something else than the configuration choose the cluster of a TCP proxy.
fn look_at_choice(listener: Part<'_>, findings: &mut Vec<Finding>) {
    let mut warn = |part: Part<'_>| {
        findings.push(
            Finding::warning(
                Kind::OtherChain,
                part.spot(),
                "filter_chains.filters",
                "chooses the cluster of a TCP proxy for each connection, which may be one that the filter guards",
            )
            .write("a TCP proxy with a cluster, or weighted_clusters, by their names"),
        );
    };
    for kind in [SNI_CLUSTER, SNI_FORWARD_PROXY] {
        each_message(listener, kind, &mut warn);
    }
    each_message(listener, SET_FILTER_STATE, &mut |part| {
        if has_text(part, "object_key", CLUSTER_OF_CONNECTION) {
            warn(part);
        }
    });
}

/// The clusters that get a copy of a chain's requests.
fn mirrors<'d>(chain: &Chain<'d>) -> Vec<&'d str> {
    let routes = chain.all_routes().into_iter();
    let levels = routes.flat_map(|route| {
        let action = route.part.get("route").into_iter();
        action.chain([route.host, route.config])
    });
    let policies = levels.flat_map(|level| level.items_of("request_mirror_policies"));
    policies
        .filter_map(|policy| policy.node.text_at(&["cluster"]))
        .collect()
}

/// The clusters that a chain routes to; `None` for one that is not known.
pub(super) fn destinations<'d>(chain: &Chain<'d>) -> Vec<Option<&'d str>> {
    let routes = chain.all_routes();
    let forwarding = routes.iter().filter(|route| route.forwards());
    forwarding.flat_map(|route| route.clusters()).collect()
}

/// A cluster by its name and its addresses, and those of the clusters that it is made of.
fn names(group: &Group<'_>, cluster: &str, sent: Sent) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    add_names(group, cluster, sent, &mut names);
    names
}

fn add_names(group: &Group<'_>, name: &str, sent: Sent, names: &mut BTreeSet<String>) {
    if !names.insert(format!("cluster {name}")) {
        return;
    }
    let Some(cluster) = group.cluster(name) else {
        return;
    };
    for place in all_endpoints(group, cluster) {
        names.extend(address_of(place.node));
    }
    if let Some(eds) = cluster.get("eds_cluster_config") {
        let service = eds.node.text_at(&["service_name"]).unwrap_or(name);
        names.insert(format!("service {service}"));
    }
    for member in members(cluster, sent) {
        add_names(group, member, sent, names);
    }
}

/// Whether requests to two clusters may reach one upstream.
pub(super) fn meet(group: &Group<'_>, one: &str, other: &str) -> bool {
    let others = names(group, other, Sent::Requests);
    !names(group, one, Sent::Requests).is_disjoint(&others)
}

/// The clusters of a chain whose requests come to a listener of the same Envoy.
pub(super) fn leading_to<'d>(
    group: &Group<'d>,
    chain: &Chain<'d>,
    listener: Part<'d>,
) -> Vec<&'d str> {
    let addresses = addresses(listener);
    let clusters = destinations(chain).into_iter().flatten();
    clusters
        .filter(|cluster| {
            let names = names(group, cluster, Sent::Requests);
            addresses.iter().any(|address| names.contains(address))
        })
        .collect()
}

/// The clusters that an aggregate or a composite is made of.
fn members(cluster: Part<'_>, sent: Sent) -> Vec<&str> {
    let config = cluster.at(&["cluster_type", "typed_config"]);
    let one = |kind: &str| config.and_then(|config| message(config.node, kind));
    let by_attempts = || one(COMPOSITE).filter(|_| sent == Sent::Requests);
    let made = one(AGGREGATE).or_else(by_attempts);
    let items = made
        .map_or(&[][..], |made| made.items_of("clusters"))
        .iter();
    items
        .filter_map(|item| item.text().or_else(|| item.text_at(&["name"])))
        .collect()
}

/// The addresses of the endpoints that a cluster has in its own place.
pub(super) fn endpoints(cluster: Part<'_>) -> Vec<Part<'_>> {
    let assignment = cluster.get("load_assignment").into_iter();
    assignment.flat_map(addresses_in).collect()
}

/// The addresses of a cluster's endpoints, those that come by EDS too.
pub(super) fn all_endpoints<'d>(group: &Group<'d>, cluster: Part<'d>) -> Vec<Part<'d>> {
    let assignments = group.assignments_of(cluster);
    assignments.flat_map(addresses_in).collect()
}

fn addresses_in(assignment: Part<'_>) -> Vec<Part<'_>> {
    let localities = assignment.items_of("endpoints");
    let places = localities.flat_map(|locality| locality.items_of("lb_endpoints"));
    let endpoints = places.filter_map(|place| place.get("endpoint"));
    endpoints
        .flat_map(|endpoint| {
            let more = endpoint.items_of("additional_addresses");
            [endpoint].into_iter().chain(more)
        })
        .filter_map(|part| part.get("address"))
        .collect()
}

/// The addresses at which a listener is reached from the same host.
fn addresses(listener: Part<'_>) -> Vec<String> {
    let name = listener.node.text_at(&["name"]).unwrap_or_default();
    let more = listener.items_of("additional_addresses");
    let parts = [listener].into_iter().chain(more);
    let found = parts.filter_map(|part| part.get("address"));
    [format!("listener {name}")]
        .into_iter()
        .chain(found.flat_map(|address| address_of(address.node)))
        .collect()
}

/// An address as a text. Every address of this host is `here`.
pub(super) fn address_of(address: &Node) -> Vec<String> {
    if let Some(socket) = address.get("socket_address") {
        let host = socket.text_at(&["address"]).unwrap_or_default();
        let port = socket
            .get("port_value")
            .map(Node::to_json)
            .unwrap_or_default();
        // an IPv6 address may be one of IPv4
        let host = match host.parse().map(|ip: IpAddr| ip.to_canonical()) {
            Ok(ip) if ip.is_loopback() || ip.is_unspecified() => "here".to_owned(),
            Ok(ip) => ip.to_string(),
            Err(_) if is_localhost(host) => "here".to_owned(),
            Err(_) => host.to_owned(),
        };
        return vec![format!("{host}:{port}")];
    }
    let pipe = address
        .text_at(&["pipe", "path"])
        .map(|path| format!("pipe {path}"));
    let internal = address.text_at(&["envoy_internal_address", "server_listener_name"]);
    pipe.into_iter()
        .chain(internal.map(|name| format!("listener {name}")))
        .collect()
}

/// Whether a name is of this host wherever it is asked for (RFC 6761). Envoy finds nothing by one with a dot at
/// its end.
pub(super) fn is_localhost(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::address_of;
    use crate::document::parse;

    #[test]
    fn one_address_has_one_text() {
        for (address, text) in [
            ("127.0.0.1", "here:80"),
            ("127.1.2.3", "here:80"),
            ("'::1'", "here:80"),
            ("0.0.0.0", "here:80"),
            ("'::'", "here:80"),
            ("'::ffff:127.0.0.1'", "here:80"),
            ("localhost", "here:80"),
            ("LocalHost", "here:80"),
            ("api.localhost", "here:80"),
            ("notlocalhost", "notlocalhost:80"),
            ("'::ffff:10.0.0.1'", "10.0.0.1:80"),
            ("'fd00:0::1'", "fd00::1:80"),
            ("127.example", "127.example:80"),
        ] {
            let written = format!("{{socket_address: {{address: {address}, port_value: 80}}}}");
            let node = parse(&written, None).unwrap().remove(0);
            assert_eq!(address_of(&node), [text], "{address}");
        }
    }
}
