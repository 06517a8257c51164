//! Other ways to the upstream: listeners and filter chains without the filter.

use std::collections::BTreeSet;

use super::kinds::TCP_PROXY;
use crate::document::Node;
use crate::finding::{Finding, Kind};
use crate::view::{Chain, Group, Part, each_message};

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
        upstreams.extend(names(group, cluster));
    }
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
        if !chain.is_guarded() && !chain.has_other_filters() {
            way.look_at_chain(chain, findings);
        }
    }
    for listener in &group.listeners {
        each_message(*listener, TCP_PROXY, &mut |proxy| {
            way.look_at_proxy(proxy, findings);
        });
    }
}

struct Way<'g, 'd> {
    group: &'g Group<'d>,
    /// The clusters that the filter guards, and their addresses.
    upstreams: BTreeSet<String>,
    /// The addresses of listeners that have the filter.
    entrances: BTreeSet<String>,
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
    fn leads(&self, cluster: &str) -> Leads {
        let names = names(self.group, cluster);
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
        let named = || clusters.iter().flatten();
        if let Some(cluster) = named().find(|name| self.leads(name) == Leads::Around) {
            findings.push(self.bypass(chain.manager, cluster));
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

    /// A cluster that is neither guarded nor Envoy's own pages.
    fn unguarded<'d>(&self, chain: &Chain<'d>) -> Option<&'d str> {
        let clusters = destinations(chain).into_iter().flatten();
        let mut others = clusters.filter(|cluster| !self.is_admin(cluster));
        others.find(|cluster| self.leads(cluster) == Leads::Elsewhere)
    }

    /// Routes to the admin interface, but for those of single pages.
    fn look_at_admin(&self, chain: &Chain<'_>, findings: &mut Vec<Finding>) {
        for route in chain.all_routes() {
            let is_one_page = route.part.at(&["match", "path"]).is_some();
            let clusters = route.clusters();
            if is_one_page
                || !clusters
                    .iter()
                    .flatten()
                    .any(|cluster| self.is_admin(cluster))
            {
                continue;
            }
            findings.push(
                Finding::warning(
                    Kind::AdminOpen,
                    route.part.spot(),
                    "routes",
                    "leads to Envoy's admin interface: whoever gets here reads the configuration, and can stop Envoy",
                )
                .write("match: {path: /stats/prometheus}, and the method GET alone"),
            );
        }
    }

    fn is_admin(&self, cluster: &str) -> bool {
        let admin = self
            .group
            .bootstrap
            .and_then(|part| part.at(&["admin", "address"]));
        let admin = admin.map_or_else(Vec::new, |address| address_of(address.node));
        let names = names(self.group, cluster);
        admin.iter().any(|address| names.contains(address))
    }

    fn look_at_proxy(&self, proxy: Part<'_>, findings: &mut Vec<Finding>) {
        let weighted = proxy.get("weighted_clusters").into_iter();
        let weighted = weighted.flat_map(|weighted| weighted.items_of("clusters"));
        let named = weighted.filter_map(|part| part.node.text_at(&["name"]));
        let one = proxy.node.text_at(&["cluster"]);
        let mut clusters = one.into_iter().chain(named);
        if let Some(cluster) = clusters.find(|name| self.leads(name) == Leads::Around) {
            findings.push(
                Finding::error(
                    Kind::UnguardedChain,
                    proxy.spot(),
                    "filter_chains.filters",
                    format!("this TCP proxy leads to cluster {cluster}, which the filter guards elsewhere, and reads no HTTP: whoever reaches this listener needs no token"),
                )
                .write("a connection manager with the filter in its place, or no way to that cluster"),
            );
        }
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

/// The clusters that a chain routes to; `None` for one that is not known.
fn destinations<'d>(chain: &Chain<'d>) -> Vec<Option<&'d str>> {
    let routes = chain.all_routes();
    let forwarding = routes.iter().filter(|route| route.forwards());
    forwarding.flat_map(|route| route.clusters()).collect()
}

/// A cluster by its name and its addresses.
fn names(group: &Group<'_>, cluster: &str) -> Vec<String> {
    let mut names = vec![format!("cluster {cluster}")];
    if let Some(cluster) = group.cluster(cluster) {
        for place in endpoints(cluster) {
            names.extend(address_of(place.node));
        }
    }
    names
}

/// The addresses of a cluster's endpoints.
pub(super) fn endpoints(cluster: Part<'_>) -> Vec<Part<'_>> {
    let assignment = cluster.get("load_assignment").into_iter();
    let localities = assignment.flat_map(|assignment| assignment.items_of("endpoints"));
    let places = localities.flat_map(|locality| locality.items_of("lb_endpoints"));
    places
        .filter_map(|place| place.at(&["endpoint", "address"]))
        .collect()
}

/// The addresses at which a listener is reached from the same host.
fn addresses(listener: Part<'_>) -> Vec<String> {
    let name = listener.node.text_at(&["name"]).unwrap_or_default();
    let mut addresses = vec![format!("listener {name}")];
    if let Some(address) = listener.get("address") {
        addresses.extend(address_of(address.node));
    }
    addresses
}

/// An address as a text. Every address of this host is `here`.
fn address_of(address: &Node) -> Vec<String> {
    if let Some(socket) = address.get("socket_address") {
        let host = socket.text_at(&["address"]).unwrap_or_default();
        let port = socket
            .get("port_value")
            .map(Node::to_json)
            .unwrap_or_default();
        let host = match host {
            "0.0.0.0" | "::" | "::1" | "localhost" => "here",
            host if host.starts_with("127.") => "here",
            host => host,
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
