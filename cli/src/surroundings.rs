//! What is around the plugin's configuration, on which the protection by the filter depends (the
//! checklist in docs/operating.md).
//!
//! Each room looks at one matter. What it finds is in docs/checks.md.

mod admin;
mod aside;
mod attached;
mod beside;
mod chosen;
mod cors;
mod fields;
mod filters;
mod gateway;
mod given;
mod headers;
mod injected;
mod istio;
pub(crate) mod kinds;
mod kubernetes;
mod listeners;
mod lua;
mod manager;
mod module;
mod onward;
mod patches;
mod plugin;
pub(crate) mod ports;
mod providers;
mod readers;
mod rewrites;
mod routes;
mod services;
pub(crate) mod sign_in;
mod taps;
mod tunnels;
mod unseen;
pub(crate) mod written;

use bearer_gate::config::Config;

use crate::document::Node;
use crate::finding::{Finding, Note};
use crate::plugin::{Container, Plugin};
use crate::view::{Group, Part, View};

/// A configuration of ours in an Envoy.
#[derive(Clone, Copy)]
pub(crate) struct Gate<'a, 'd> {
    /// Its place in [`View::plugins`].
    pub at: usize,
    pub plugin: &'a Plugin<'d>,
    /// `envoy.extensions.wasm.v3.PluginConfig`.
    pub settings: &'d Node,
    /// `None` where the filter refuses it.
    pub config: Option<&'a Config>,
}

/// Looks at what is around one configuration of ours in its own document.
pub(crate) fn look_at_plugin(
    plugin: &Plugin<'_>,
    config: Option<&Config>,
    findings: &mut Vec<Finding>,
) {
    if let Some(config) = config {
        providers::look_at_times(plugin, config, findings);
    }
    let part = |node| Part {
        file: plugin.file,
        node,
    };
    match plugin.container {
        Container::Envoy { plugin, .. } => plugin::look_at(part(plugin), findings),
        // with the other resources
        Container::Alone | Container::Istio(_) | Container::Gateway(_) => {}
    }
}

/// Looks at the resources of Istio and of Envoy Gateway. `configs` are those of [`View::plugins`], if
/// they are good.
pub(crate) fn look_at_kubernetes(
    view: &View<'_>,
    configs: &[Option<Config>],
    findings: &mut Vec<Finding>,
) {
    istio::look_at(view, configs, findings);
    gateway::look_at(view, configs, findings);
}

/// What around the filter is not looked at.
pub(crate) fn notes(view: &View<'_>) -> Vec<Note> {
    let mut notes = Vec::new();
    kubernetes::notes(view, &mut notes);
    unseen::notes(view, &mut notes);
    istio::patches::notes(view, &mut notes);
    istio::waypoints::notes(view, &mut notes);
    gateway::patches::notes(view, &mut notes);
    notes
}

/// Whether a resource runs the filter and gives it no configuration.
pub(crate) fn has_unconfigured(view: &View<'_>) -> bool {
    istio::has_unconfigured(view) || gateway::has_unconfigured(view)
}

/// The clusters that calls of the filter go to.
pub(crate) fn called_clusters(config: &Config) -> Vec<String> {
    let calls = providers::calls(config).into_iter();
    calls.map(|call| call.cluster.to_owned()).collect()
}

/// Looks at a configuration of Envoy. `configs` are those of [`View::plugins`], if they are good.
pub(crate) fn look_at_envoy(
    view: &View<'_>,
    group: &Group<'_>,
    configs: &[Option<Config>],
    findings: &mut Vec<Finding>,
) {
    let gates = group.plugins.iter().filter_map(|at| {
        let plugin = view.plugins.get(*at)?;
        let Container::Envoy {
            plugin: settings, ..
        } = plugin.container
        else {
            return None;
        };
        Some(Gate {
            at: *at,
            plugin,
            settings,
            config: configs.get(*at).and_then(Option::as_ref),
        })
    });
    for chain in &group.chains {
        filters::look_at(chain, configs, findings);
    }
    beside::look_at(group, findings);
    services::look_at_envoy(view, group, findings);
    given::look_at(view, group, findings);
    given::look_at_node(group, findings);
    filters::look_at_discovery(group, findings);
    admin::look_at(group, findings);
    listeners::look_at(group, findings);
    for gate in gates {
        for chain in group.chains.iter().filter(|chain| chain.has(gate.at)) {
            manager::look_at(chain, gate.config, findings);
            routes::look_at(chain, gate, findings);
            headers::look_at(chain, gate, findings);
            injected::look_at(chain, gate, findings);
            lua::look_at(chain, gate, findings);
            lua::look_at_upstreams(group, chain, gate, findings);
            headers::look_at_upstreams(group, chain, gate, findings);
            routes::look_at_clusters(group, chain, findings);
            chosen::look_at(group, chain, gate, findings);
            tunnels::look_at(group, chain, gate, findings);
            injected::look_at_fronts(group, chain, gate, findings);
            rewrites::look_at(chain, gate.config, findings);
            onward::look_at(group, chain, gate, findings);
            cors::look_at(chain, findings);
            readers::look_at(chain, gate, findings);
            taps::look_at(group, chain, gate, findings);
            sign_in::look_at_chain(chain, gate, findings);
        }
        plugin::look_at_others(group, gate, findings);
        filters::look_at_use(group, gate, findings);
        if let Some(config) = gate.config {
            providers::look_at(group, gate.plugin, config, findings);
        }
    }
}
