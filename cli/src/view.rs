//! The files that are given, seen as the configurations that they are together.
//!
//! A bootstrap of Envoy and the resources that xDS brings to it are one configuration ([`Group`]),
//! in however many files they are. A file of resources belongs to the one bootstrap that is given; of
//! several bootstraps, to those that name its file, or one of its resources, and of these to those in
//! its own folder. Where there is no bootstrap, or none that wants them, resources are a configuration by themselves.
//!
//! Invariant: two bootstraps are never one configuration.

mod chain;

pub(crate) use chain::{Chain, HttpFilter, ROUTER, Route, filters_of_calls};

use crate::document::{Node, type_of};
use crate::finding::Spot;
use crate::plugin::{Container, File, Plugin, Sort, WASM, base_name, message};

const LISTENER: &str = "envoy.config.listener.v3.Listener";
const ROUTES: &str = "envoy.config.route.v3.RouteConfiguration";
const CLUSTER: &str = "envoy.config.cluster.v3.Cluster";
const ENDPOINTS: &str = "envoy.config.endpoint.v3.ClusterLoadAssignment";
const EXTENSION: &str = "envoy.config.core.v3.TypedExtensionConfig";
const RESOURCE: &str = "envoy.service.discovery.v3.Resource";

/// A part of one of the files.
#[derive(Clone, Copy)]
pub(crate) struct Part<'d> {
    pub file: usize,
    pub node: &'d Node,
}

impl<'d> Part<'d> {
    /// Another part of the same file.
    pub(crate) fn with(self, node: &'d Node) -> Self {
        Self { node, ..self }
    }

    pub(crate) fn get(self, name: &str) -> Option<Self> {
        self.node.get(name).map(|node| self.with(node))
    }

    pub(crate) fn at(self, names: &[&str]) -> Option<Self> {
        self.node.at(names).map(|node| self.with(node))
    }

    /// The items of the list that is the member of this name.
    pub(crate) fn items_of(self, name: &str) -> impl Iterator<Item = Self> {
        let items = self.node.items_of(name).iter();
        items.map(move |node| self.with(node))
    }

    /// Calls with each member and item, but not with what is in those.
    pub(crate) fn each_below(self, found: &mut dyn FnMut(Self)) {
        let members = self.node.entries().iter().map(|entry| &entry.node);
        for node in members.chain(self.node.items()) {
            found(self.with(node));
        }
    }

    pub(crate) fn spot(self) -> Spot {
        Spot {
            file: self.file,
            line: self.node.line,
            column: self.node.column,
        }
    }

    /// The member of this name, or where it would be.
    pub(crate) fn spot_of(self, name: &str) -> Spot {
        self.get(name).unwrap_or(self).spot()
    }
}

/// All that is in the files.
pub(crate) struct View<'d> {
    /// The configurations of ours.
    pub plugins: Vec<Plugin<'d>>,
    /// Configurations of Envoy.
    pub groups: Vec<Group<'d>>,
    /// Resources of Kubernetes, those of lists too.
    pub kubernetes: Vec<Part<'d>>,
    /// The names of the files, without folders.
    pub names: Vec<&'d str>,
}

/// One configuration of Envoy.
#[derive(Default)]
pub(crate) struct Group<'d> {
    pub bootstrap: Option<Part<'d>>,
    pub chains: Vec<Chain<'d>>,
    pub clusters: Vec<Part<'d>>,
    /// Its configurations of ours, by their places in [`View::plugins`].
    pub plugins: Vec<usize>,
    /// Their `PluginConfig`s.
    pub settings: Vec<&'d Node>,
    pub listeners: Vec<Part<'d>>,
    /// Route configurations that listeners name.
    routes: Vec<Part<'d>>,
    /// What filters name (ECDS).
    extensions: Vec<Part<'d>>,
    /// The endpoints that clusters name (EDS).
    assignments: Vec<Part<'d>>,
    /// The documents that it is in.
    documents: Vec<Part<'d>>,
}

impl<'d> View<'d> {
    pub(crate) fn new(files: &'d [File]) -> Self {
        let mut plugins = Vec::new();
        let mut groups: Vec<Group<'_>> = Vec::new();
        let mut loose: Vec<Vec<Part<'_>>> = Vec::new();
        let mut kubernetes = Vec::new();
        for (index, file) in files.iter().enumerate() {
            for mut plugin in file.plugins() {
                plugin.file = index;
                plugins.push(plugin);
            }
            let mut resources = Vec::new();
            for node in &file.documents {
                let part = Part { file: index, node };
                match Sort::of(node) {
                    Sort::Bootstrap => groups.push(Group::of_bootstrap(part)),
                    Sort::Resources => resources.push(part),
                    Sort::Kubernetes => add_kubernetes(part, &mut kubernetes),
                    Sort::Alone | Sort::Other => {}
                }
            }
            loose.push(resources);
        }
        join(files, loose, &mut groups);
        for group in &mut groups {
            group.finish(&plugins);
        }
        Self {
            plugins,
            groups,
            kubernetes,
            names: files.iter().map(File::base_name).collect(),
        }
    }

    /// Whether one Envoy may have both of these configurations of ours.
    pub(crate) fn are_together(&self, one: usize, other: usize) -> bool {
        let file = |at: usize| self.plugins.get(at).map(|plugin| plugin.file);
        let mut groups = self.groups.iter();
        groups.any(|group| group.plugins.contains(&one) && group.plugins.contains(&other))
            || (file(one) == file(other) && !self.is_of_envoy(one))
    }

    fn is_of_envoy(&self, at: usize) -> bool {
        let mut groups = self.groups.iter();
        groups.any(|group| group.plugins.contains(&at))
    }
}

/// Gives each file of resources to the configurations that it is a part of.
fn join<'d>(files: &[File], loose: Vec<Vec<Part<'d>>>, groups: &mut Vec<Group<'d>>) {
    let mut by_themselves = Group::default();
    for (file, resources) in files.iter().zip(loose) {
        if resources.is_empty() {
            continue;
        }
        let wanting = wanting(files, file, &resources, groups);
        if wanting.is_empty() {
            resources.iter().for_each(|part| by_themselves.add(*part));
        }
        for at in wanting {
            if let Some(group) = groups.get_mut(at) {
                resources.iter().for_each(|part| group.add(*part));
            }
        }
    }
    if !by_themselves.documents.is_empty() {
        groups.push(by_themselves);
    }
}

/// The bootstraps that a file of resources belongs to, by their places: the only one, or those that
/// name the file or one of its resources. Of these, those in its own folder, if there are such.
fn wanting(
    files: &[File],
    file: &File,
    resources: &[Part<'_>],
    groups: &[Group<'_>],
) -> Vec<usize> {
    let is_only = groups.len() == 1;
    let names = groups.iter().enumerate();
    let names = names.filter(|(_, group)| is_only || group.names(file, resources));
    let all: Vec<usize> = names.map(|(at, _)| at).collect();
    let is_beside = |at: &usize| {
        let bootstrap = groups.get(*at).and_then(|group| group.bootstrap);
        let other = bootstrap.and_then(|part| files.get(part.file));
        other.is_some_and(|other| folder(&other.name) == folder(&file.name))
    };
    let beside: Vec<usize> = all.iter().copied().filter(is_beside).collect();
    if beside.is_empty() { all } else { beside }
}

fn add_kubernetes<'d>(part: Part<'d>, found: &mut Vec<Part<'d>>) {
    if part.node.text_at(&["kind"]) == Some("List") {
        part.items_of("items")
            .for_each(|item| add_kubernetes(item, found));
    } else {
        found.push(part);
    }
}

impl<'d> Group<'d> {
    fn of_bootstrap(part: Part<'d>) -> Self {
        let resources = part.get("static_resources");
        let of = |name: &'static str| {
            let resources = resources.into_iter();
            resources.flat_map(move |resources| resources.items_of(name))
        };
        Self {
            bootstrap: Some(part),
            listeners: of("listeners").collect(),
            clusters: of("clusters").collect(),
            documents: vec![part],
            ..Self::default()
        }
    }

    /// Clusters that are written into the bootstrap of an Envoy which is not in the files.
    pub(crate) fn of_clusters(bootstrap: Part<'d>, clusters: Vec<Part<'d>>) -> Self {
        Self {
            bootstrap: Some(bootstrap),
            clusters,
            ..Self::default()
        }
    }

    /// Takes a document of resources in.
    fn add(&mut self, document: Part<'d>) {
        self.documents.push(document);
        for resource in resources(document) {
            match type_of(resource.node) {
                Some(LISTENER) => self.listeners.push(resource),
                Some(ROUTES) => self.routes.push(resource),
                Some(CLUSTER) => self.clusters.push(resource),
                Some(EXTENSION) => self.extensions.push(resource),
                Some(ENDPOINTS) => self.assignments.push(resource),
                Some(_) => {}
                None if resource.get("virtual_hosts").is_some() => self.routes.push(resource),
                // whatever has filters in it
                None => self.listeners.push(resource),
            }
        }
    }

    /// Finds what belongs together, once all is there.
    fn finish(&mut self, plugins: &[Plugin<'d>]) {
        let is_here = |document: &Node| {
            let mut documents = self.documents.iter();
            documents.any(|part| std::ptr::eq(part.node, document))
        };
        for (at, plugin) in plugins.iter().enumerate() {
            if let Container::Envoy {
                document,
                plugin: settings,
            } = plugin.container
                && is_here(document)
            {
                self.plugins.push(at);
                self.settings.push(settings);
            }
        }
        let mut chains = Vec::new();
        for listener in &self.listeners {
            chain::find(*listener, self, plugins, &mut chains);
        }
        self.chains = chains;
    }

    /// Whether it names the file, or one of the resources in it.
    fn names(&self, file: &File, resources_of_file: &[Part<'_>]) -> bool {
        let file_name = file.base_name();
        let mut resources = resources_of_file.iter().flat_map(|part| resources(*part));
        let mut documents = self.documents.iter();
        documents
            .clone()
            .any(|part| has_text(part.node, "path", &|path| base_name(path) == file_name))
            || resources.any(|resource| {
                resource.node.text_at(&["name"]).is_some_and(|name| {
                    let is_it = |text: &str| text == name;
                    documents.any(|part| {
                        has_discovery(part.node, name)
                            || has_text(part.node, "route_config_name", &is_it)
                    })
                })
            })
    }

    /// A route configuration that comes by RDS.
    fn routes_named(&self, name: &str) -> Option<Part<'d>> {
        let mut routes = self.routes.iter();
        let found = routes.find(|routes| routes.node.text_at(&["name"]) == Some(name));
        found.copied()
    }

    /// The configuration of a filter that comes by ECDS.
    fn extension_named(&self, name: &str) -> Option<Part<'d>> {
        let mut extensions = self.extensions.iter();
        let is_it = |part: &&Part<'_>| part.node.text_at(&["name"]) == Some(name);
        extensions.find(is_it)?.get("typed_config")
    }

    /// Filters that come by ECDS and have the same name as another: the later ones.
    pub(crate) fn extensions_again(&self) -> Vec<Part<'d>> {
        let name = |part: &Part<'d>| part.node.text_at(&["name"]);
        let mut extensions = self.extensions.iter().enumerate();
        let earlier = |at: usize| self.extensions.iter().take(at);
        extensions
            .by_ref()
            .filter(|(at, part)| earlier(*at).any(|other| name(other) == name(part)))
            .map(|(_, part)| *part)
            .collect()
    }

    /// Calls with the settings of each plugin in it, of ours and of others.
    pub(crate) fn each_wasm(&self, found: &mut dyn FnMut(Part<'d>)) {
        for document in &self.documents {
            each_message(*document, WASM, &mut |wasm| {
                wasm.get("config").into_iter().for_each(&mut *found);
            });
        }
    }

    /// The file of a filter that comes from one.
    pub(crate) fn file_of_filter(&self) -> Option<&'d str> {
        let filters = self.chains.iter().flat_map(|chain| &chain.filters);
        filters
            .filter_map(|filter| filter.entry.at(&["config_discovery", "config_source"]))
            .find_map(|source| source.node.text_at(&["path_config_source", "path"]))
    }

    /// A cluster by its name.
    pub(crate) fn cluster(&self, name: &str) -> Option<Part<'d>> {
        let mut clusters = self.clusters.iter();
        let is_it = |part: &&Part<'_>| part.node.text_at(&["name"]) == Some(name);
        clusters.find(is_it).copied()
    }

    /// The endpoints of a cluster, its own and those that come by EDS.
    pub(crate) fn assignments_of(&self, cluster: Part<'d>) -> impl Iterator<Item = Part<'d>> {
        let eds = cluster.get("eds_cluster_config");
        let service = eds.and_then(|eds| eds.node.text_at(&["service_name"]));
        let wanted = service.or(cluster.node.text_at(&["name"]));
        let by_eds = self.assignments.iter().copied();
        let by_eds = by_eds
            .filter(move |part| eds.is_some() && part.node.text_at(&["cluster_name"]) == wanted);
        cluster.get("load_assignment").into_iter().chain(by_eds)
    }

    /// Whether listeners are in the files that are not the bootstrap's own.
    pub(crate) fn has_listeners_by_xds(&self) -> bool {
        let own = self.bootstrap.map(|bootstrap| bootstrap.node);
        let mut listeners = self.listeners.iter();
        listeners.any(|listener| own.is_none_or(|own| !contains(own, listener.node)))
    }

    /// Whether every cluster is in the files.
    pub(crate) fn has_all_clusters(&self) -> bool {
        let Some(bootstrap) = self.bootstrap else {
            return false;
        };
        let Some(source) = bootstrap.at(&["dynamic_resources", "cds_config"]) else {
            return true;
        };
        // What a file of clusters is named by is not compared: it may be in another place here.
        let is_a_file = source.get("path_config_source").is_some();
        let mut clusters = self.clusters.iter();
        is_a_file && clusters.any(|cluster| type_of(cluster.node) == Some(CLUSTER))
    }
}

/// The resources of a document: of a discovery response, or the one that it is.
fn resources(document: Part<'_>) -> Vec<Part<'_>> {
    let of_response: Vec<Part<'_>> = document.items_of("resources").collect();
    let listed = match of_response.is_empty() {
        true => vec![document],
        false => of_response,
    };
    let packed = listed.into_iter();
    packed
        .filter_map(|part| match type_of(part.node) {
            Some(RESOURCE) => part.get("resource"),
            _ => Some(part),
        })
        .collect()
}

fn folder(path: &str) -> &str {
    path.strip_suffix(base_name(path)).unwrap_or_default()
}

/// Whether a member of this name, at any depth, has such a text.
fn has_text(node: &Node, name: &str, is_it: &dyn Fn(&str) -> bool) -> bool {
    node.text_at(&[name]).is_some_and(is_it)
        || node
            .entries()
            .iter()
            .any(|entry| has_text(&entry.node, name, is_it))
        || node.items().iter().any(|item| has_text(item, name, is_it))
}

/// Whether a filter of this name, at any depth, comes by ECDS.
fn has_discovery(node: &Node, name: &str) -> bool {
    (node.get("config_discovery").is_some() && node.text_at(&["name"]) == Some(name))
        || node
            .entries()
            .iter()
            .any(|entry| has_discovery(&entry.node, name))
        || node.items().iter().any(|item| has_discovery(item, name))
}

/// Whether a node is in another, or is it.
pub(crate) fn contains(outer: &Node, inner: &Node) -> bool {
    std::ptr::eq(outer, inner)
        || outer
            .entries()
            .iter()
            .any(|entry| contains(&entry.node, inner))
        || outer.items().iter().any(|item| contains(item, inner))
}

/// Calls with each part of this one that is a message of the type, itself included.
pub(crate) fn each_message<'d>(part: Part<'d>, kind: &str, found: &mut dyn FnMut(Part<'d>)) {
    if let Some(node) = message(part.node, kind) {
        found(part.with(node));
    }
    part.each_below(&mut |below| each_message(below, kind, found));
}
