//! The chains of HTTP filters: which of them is ours, and what they route to.

use super::{Group, Part, contains, each_message};
use crate::document::{Node, type_of};
use crate::plugin::{Container, Plugin, message};

/// Filters of calls to upstreams are in a list of the same name.
const OF_UPSTREAMS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
pub(crate) const ROUTER: &str = "envoy.extensions.filters.http.router.v3.Router";
const ROUTE: &str = "envoy.config.route.v3.Route";
const ROUTE_LIST: &str = "envoy.config.route.v3.RouteList";

/// An HTTP connection manager.
pub(crate) struct Chain<'d> {
    /// The listener, or the document where there is none.
    pub listener: Part<'d>,
    pub manager: Part<'d>,
    /// In the order in which requests pass them.
    pub filters: Vec<HttpFilter<'d>>,
    /// The upgrades that have filters of their own.
    pub upgrades: Vec<Upgrade<'d>>,
    /// The route configurations that are in the files.
    pub routes: Vec<Part<'d>>,
    /// Whether there may be others.
    pub has_other_routes: bool,
}

/// An upgrade that has filters of its own, as of WebSockets.
pub(crate) struct Upgrade<'d> {
    /// The entry of `upgrade_configs`.
    pub entry: Part<'d>,
    pub filters: Vec<HttpFilter<'d>>,
}

/// A route.
#[derive(Clone, Copy)]
pub(crate) struct Route<'d> {
    pub part: Part<'d>,
    pub host: Part<'d>,
    /// `RouteConfiguration`.
    pub config: Part<'d>,
}

impl<'d> Route<'d> {
    /// The route, and all that may say something of its requests: what it is in, and its weighted clusters.
    pub(crate) fn levels(&self) -> impl Iterator<Item = Part<'d>> + use<'d> {
        let weighted = self.part.at(&["route", "weighted_clusters"]).into_iter();
        let weighted = weighted.flat_map(|weighted| weighted.items_of("clusters"));
        [self.part, self.host, self.config]
            .into_iter()
            .chain(weighted)
    }

    /// Whether its requests reach an upstream.
    pub(crate) fn forwards(&self) -> bool {
        let answers = ["redirect", "direct_response"];
        answers.iter().all(|name| self.part.get(name).is_none())
    }

    /// The clusters that its requests may reach: `None` for one that a request or a plugin names.
    pub(crate) fn clusters(&self) -> Vec<Option<&'d str>> {
        let Some(action) = self.part.get("route") else {
            return Vec::new();
        };
        let name = |part: Part<'d>| part.node.text_at(&["name"]);
        let weighted = action.get("weighted_clusters").into_iter();
        let weighted = weighted.flat_map(|weighted| weighted.items_of("clusters"));
        let one = action.node.text_at(&["cluster"]).into_iter().map(Some);
        let mut clusters: Vec<Option<&str>> = one.chain(weighted.map(name)).collect();
        if clusters.is_empty() {
            clusters.push(None);
        }
        clusters
    }
}

/// An entry of a list of HTTP filters.
pub(crate) struct HttpFilter<'d> {
    pub entry: Part<'d>,
    /// What routes call it by.
    pub name: &'d str,
    /// Its configuration; another part of the files where it comes by ECDS.
    pub config: Option<Part<'d>>,
    /// The configuration of ours that is in it, by its place among all.
    pub plugin: Option<usize>,
}

impl<'d> Chain<'d> {
    /// The filters of its router, which calls to all upstreams pass.
    pub(crate) fn filters_of_router(&self) -> impl Iterator<Item = Part<'d>> {
        let filters = self.filters.iter();
        let routers = filters.filter_map(|filter| filter.message(ROUTER));
        routers.flat_map(|router| router.items_of("upstream_http_filters"))
    }

    /// The entries of `http_filters` that have this configuration of ours.
    pub(crate) fn ours(&self, plugin: usize) -> impl Iterator<Item = &HttpFilter<'d>> {
        let filters = self.filters.iter();
        filters.filter(move |filter| filter.plugin == Some(plugin))
    }

    /// The filters that its requests come to with this configuration of ours behind them: all of them, where it is
    /// in another chain before this one.
    pub(crate) fn behind(&self, plugin: usize) -> impl Iterator<Item = &HttpFilter<'d>> {
        let is_elsewhere = !self.has(plugin);
        let filters = self.filters.iter();
        filters.skip_while(move |filter| !is_elsewhere && filter.plugin != Some(plugin))
    }

    /// All its routes, each with its virtual host and its route configuration.
    pub(crate) fn all_routes(&self) -> Vec<Route<'d>> {
        let mut found = Vec::new();
        for config in &self.routes {
            for host in config.items_of("virtual_hosts") {
                let mut add = |part: Part<'d>| {
                    found.push(Route {
                        part,
                        host,
                        config: *config,
                    });
                };
                host.items_of("routes").for_each(&mut add);
                if let Some(matcher) = host.get("matcher") {
                    each_message(matcher, ROUTE, &mut add);
                    each_message(matcher, ROUTE_LIST, &mut |list| {
                        list.items_of("routes").for_each(&mut add);
                    });
                }
            }
        }
        found
    }

    /// Whether the filter is in it.
    pub(crate) fn is_guarded(&self) -> bool {
        self.filters.iter().any(|filter| filter.plugin.is_some())
    }

    /// Whether one of its filters is in none of the files.
    pub(crate) fn has_other_filters(&self) -> bool {
        self.filters
            .iter()
            .any(|filter| filter.config.is_none() && filter.comes_by_xds())
    }

    /// Whether a configuration of ours is in it.
    pub(crate) fn has(&self, plugin: usize) -> bool {
        self.ours(plugin).next().is_some()
    }
}

impl<'d> HttpFilter<'d> {
    fn new(entry: Part<'d>, group: &Group<'d>, plugins: &[Plugin<'d>]) -> Self {
        let name = entry.node.text_at(&["name"]).unwrap_or_default();
        let config = match entry.get("config_discovery") {
            Some(discovery) => group
                .extension_named(name)
                .or_else(|| discovery.get("default_config")),
            None => entry.get("typed_config"),
        };
        let is_in = |at: &&usize| match plugins.get(**at).map(|plugin| plugin.container) {
            Some(Container::Envoy { plugin, .. }) => {
                config.is_some_and(|config| contains(config.node, plugin))
            }
            _ => false,
        };
        Self {
            entry,
            name,
            config,
            plugin: group.plugins.iter().find(is_in).copied(),
        }
    }

    fn comes_by_xds(&self) -> bool {
        self.entry.get("config_discovery").is_some()
    }

    /// Its configuration, if it is of this type.
    pub(crate) fn message(&self, kind: &str) -> Option<Part<'d>> {
        let config = self.config?;
        message(config.node, kind).map(|node| config.with(node))
    }
}

/// Finds the connection managers of a listener.
pub(super) fn find<'d>(
    listener: Part<'d>,
    group: &Group<'d>,
    plugins: &[Plugin<'d>],
    chains: &mut Vec<Chain<'d>>,
) {
    find_below(listener, &mut |manager| {
        let filters = |part: Part<'d>, name: &str| {
            let entries = part.items_of(name);
            let filters = entries.map(|entry| HttpFilter::new(entry, group, plugins));
            filters.collect::<Vec<_>>()
        };
        let upgrades = manager.items_of("upgrade_configs").map(|entry| Upgrade {
            entry,
            filters: filters(entry, "filters"),
        });
        let (routes, has_other_routes) = routes(manager, group);
        chains.push(Chain {
            listener,
            manager,
            filters: filters(manager, "http_filters"),
            upgrades: upgrades
                .filter(|upgrade| !upgrade.filters.is_empty())
                .collect(),
            routes,
            has_other_routes,
        });
    });
}

/// The filters that calls to a cluster pass, behind those of the chain and of its router.
pub(crate) fn filters_of_calls(cluster: Part<'_>) -> Vec<Part<'_>> {
    let mut filters = Vec::new();
    if let Some(options) = cluster.get("typed_extension_protocol_options") {
        each_message(options, OF_UPSTREAMS, &mut |options| {
            filters.extend(options.items_of("http_filters"));
        });
    }
    filters
}

fn find_below<'d>(part: Part<'d>, found: &mut dyn FnMut(Part<'d>)) {
    let is_manager =
        |node: &Node| node.get("http_filters").is_some() && type_of(node) != Some(OF_UPSTREAMS);
    if is_manager(part.node) {
        found(part);
        return;
    }
    part.each_below(&mut |below| find_below(below, found));
}

/// The route configurations of a connection manager, and whether it has others that are not in the
/// files.
fn routes<'d>(manager: Part<'d>, group: &Group<'d>) -> (Vec<Part<'d>>, bool) {
    if let Some(routes) = manager.get("route_config") {
        return (vec![routes], routes.get("vhds").is_some());
    }
    let named = |name: Option<&str>| name.and_then(|name| group.routes_named(name));
    if let Some(rds) = manager.get("rds") {
        let found = named(rds.node.text_at(&["route_config_name"]));
        return (found.into_iter().collect(), found.is_none());
    }
    let Some(scoped) = manager.get("scoped_routes") else {
        return (Vec::new(), false);
    };
    let list = scoped.get("scoped_route_configurations_list");
    let scopes: Vec<Part<'d>> = list.map_or_else(Vec::new, |list| {
        list.items_of("scoped_route_configurations").collect()
    });
    let of_scope = |scope: &Part<'d>| {
        let here = scope.get("route_configuration");
        here.or_else(|| named(scope.node.text_at(&["route_configuration_name"])))
    };
    let found: Vec<Part<'d>> = scopes.iter().filter_map(of_scope).collect();
    let has_other = found.len() < scopes.len() || scopes.is_empty();
    (found, has_other)
}
