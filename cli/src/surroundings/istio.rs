//! Istio: what a `WasmPlugin`, or a `TrafficExtension`, says beside the filter's configuration, and the resources around it.
//!
//! What Istio makes of a field is in its API (istio/api) and in Pilot (istio/istio).

mod clusters;
mod gateways;
pub(super) mod patches;
mod pods;
mod policies;
pub(super) mod waypoints;
mod ways;

use bearer_gate::config::Config;

use super::aside;
use super::attached::{self, GATEWAY_NAMES};
use super::fields::{self, Field};
use super::kubernetes::{
    EXTENSION, PLUGIN_KINDS, ROOT, SELECTED, labels, look_at_targets, may_meet, namespace, of_kind,
    plugin_of, spec, targets, title,
};
use super::{lua, module};
use crate::finding::{Finding, Kind};
use crate::plugin::names_us;
use crate::view::{Part, View};

const ANYTHING: &[Field] = &[];
const TARGET: &[Field] = &[
    Field("group", ANYTHING),
    Field("kind", ANYTHING),
    Field("name", ANYTHING),
    Field("namespace", ANYTHING),
];
/// For what a plugin is, and when it runs.
const PLACE: &[Field] = &[
    Field("selector", &[Field("matchLabels", ANYTHING)]),
    Field("targetRef", TARGET),
    Field("targetRefs", TARGET),
    Field("phase", ANYTHING),
    Field("priority", ANYTHING),
    Field(
        "match",
        &[
            Field("mode", ANYTHING),
            Field("ports", &[Field("number", ANYTHING)]),
        ],
    ),
];
/// What a plugin is: members of the `spec` of a `WasmPlugin`, and of `spec.wasm` of a `TrafficExtension`.
const WASM: &[Field] = &[
    Field("url", ANYTHING),
    Field("sha256", ANYTHING),
    Field("imagePullPolicy", ANYTHING),
    Field("imagePullSecret", ANYTHING),
    Field("verificationKey", ANYTHING),
    Field("pluginConfig", ANYTHING),
    Field("pluginName", ANYTHING),
    Field("failStrategy", ANYTHING),
    Field(
        "vmConfig",
        &[Field(
            "env",
            &[
                Field("name", ANYTHING),
                Field("value", ANYTHING),
                Field("valueFrom", ANYTHING),
            ],
        )],
    ),
    Field("type", ANYTHING),
];
const LUA: &[Field] = &[Field("inlineCode", ANYTHING)];

/// Resources that run plugins, the filter or others.
fn plugins<'a, 'd>(view: &'a View<'d>) -> impl Iterator<Item = Part<'d>> + use<'a, 'd> {
    PLUGIN_KINDS.iter().flat_map(|kind| of_kind(view, kind))
}

/// What a resource says of the plugin itself, and the path of that.
fn plugin_part(resource: Part<'_>) -> (Part<'_>, &'static str) {
    let spec = spec(resource);
    match spec.get("wasm") {
        Some(wasm) if resource.node.text_at(&["kind"]) == Some(EXTENSION) => (wasm, "spec.wasm"),
        _ => (spec, "spec"),
    }
}

/// Whether a resource runs the filter and gives it no configuration.
pub(super) fn has_unconfigured(view: &View<'_>) -> bool {
    plugins(view).any(|resource| is_unconfigured(view, resource))
}

fn is_unconfigured(view: &View<'_>, resource: Part<'_>) -> bool {
    let is_lua = resource.at(&["spec", "lua"]).is_some();
    plugin_of(view, resource.node).is_none() && names_us(resource.node) && !is_lua
}

pub(super) fn look_at(view: &View<'_>, configs: &[Option<Config>], findings: &mut Vec<Finding>) {
    let is_ours = |resource: &Part<'_>| {
        plugin_of(view, resource.node).is_some() || is_unconfigured(view, *resource)
    };
    let plugins: Vec<Part<'_>> = plugins(view).filter(is_ours).collect();
    waypoints::look_at(view, &plugins, findings);
    gateways::look_at(view, &plugins, findings);
    aside::look_at(view, &by_names(&plugins), findings);
    for resource in plugins {
        let plugin = plugin_of(view, resource.node);
        look_at_settings(resource, findings);
        look_at_targets(view, resource, findings);
        look_at_match(view, resource, findings);
        look_at_others(view, resource, findings);
        let config = plugin.and_then(|(at, _)| configs.get(at)?.as_ref());
        look_at_lua(view, resource, config, findings);
        policies::look_at(view, resource, config, findings);
        patches::look_at(view, resource, config, findings);
        ways::look_at(view, resource, config, findings);
        pods::look_at(view, resource, findings);
        attached::look_at(view, resource, config, findings);
        if let (Some((_, plugin)), Some(config)) = (plugin, config) {
            clusters::look_at(view, resource, plugin, config, findings);
            patches::look_at_clusters(view, plugin, config, findings);
        }
    }
}

/// The plugins, where each says by name what it is for.
fn by_names<'d>(plugins: &[Part<'d>]) -> Vec<Part<'d>> {
    let has_targets = |plugin: &Part<'_>| !targets(*plugin).is_empty();
    match plugins.iter().all(has_targets) {
        true => plugins.to_vec(),
        false => Vec::new(),
    }
}

fn look_at_settings(resource: Part<'_>, findings: &mut Vec<Finding>) {
    let (spec, (plugin, path)) = (spec(resource), plugin_part(resource));
    let before = findings.len();
    match path {
        "spec" => fields::look_at(spec, path, &[PLACE, WASM].concat(), findings),
        _ => {
            let own = [Field("wasm", WASM), Field("lua", LUA)];
            fields::look_at(spec, "spec", &[PLACE, &own].concat(), findings);
        }
    }
    let at = |name: &str| format!("{path}.{name}");
    if findings.len() == before && plugin.get("plugin_config").is_none() {
        findings.push(
            Finding::error(
                Kind::Configuration,
                plugin.spot(),
                &at("pluginConfig"),
                "is missing, and the filter refuses to run without a configuration",
            )
            .write("pluginConfig, with providers and rules"),
        );
    }
    let text = |name| plugin.node.text_at(&[name]);
    match text("fail_strategy") {
        Some("FAIL_RELOAD") => {}
        Some("FAIL_OPEN") => findings.push(
            Finding::error(
                Kind::FailurePolicy,
                plugin.spot_of("fail_strategy"),
                &at("failStrategy"),
                "is FAIL_OPEN: when the module cannot be fetched, or the VM has crashed, everybody gets in",
            )
            .write("failStrategy: FAIL_RELOAD, or before Istio 1.27 FAIL_CLOSE"),
        ),
        _ => findings.push(
            Finding::warning(
                Kind::FailurePolicy,
                plugin.spot_of("fail_strategy"),
                &at("failStrategy"),
                "is not FAIL_RELOAD: a worker whose VM has crashed answers 503 until the plugin changes. Istio knows FAIL_RELOAD since 1.27",
            )
            .write("failStrategy: FAIL_RELOAD"),
        ),
    }
    if spec.node.text_at(&["phase"]) != Some("AUTHN") {
        findings.push(
            Finding::warning(
                Kind::Phase,
                spec.spot_of("phase"),
                "spec.phase",
                "is not AUTHN: filters that act on who the client is may come before this one",
            )
            .write("phase: AUTHN"),
        );
    }
    if let Some(url) = plugin.get("url") {
        let has_sum = text("sha256").is_some_and(|sum| !sum.is_empty());
        module::look_at(url, &at("url"), has_sum, findings);
    }
    if text("type") == Some("NETWORK") {
        findings.push(
            Finding::error(
                Kind::PluginType,
                plugin.spot_of("type"),
                &at("type"),
                "is NETWORK: the filter is put where connections are read and no requests, and asks nobody for a token",
            )
            .write("type: HTTP"),
        );
    }
    if labels(resource, SELECTED).is_empty() && targets(resource).is_empty() {
        let whose = match namespace(resource) {
            Some("istio-system") => "of the mesh",
            _ => "of the namespace, of the mesh if that is Istio's own",
        };
        findings.push(
            Finding::warning(
                Kind::EveryWorkload,
                spec.spot_of("selector"),
                "spec.selector",
                format!("is missing, as are targetRefs: the plugin is in every workload {whose}, and each of them asks for tokens"),
            )
            .write("selector: {matchLabels: {istio: ingressgateway}}, or targetRefs with the Gateway"),
        );
    }
}

/// Which traffic a workload has that requests come in by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Workload {
    /// Istio counts all requests of a gateway as going out.
    Gateway,
    /// A pod with a sidecar, or a waypoint.
    Pod,
    /// Both.
    Every,
}

fn workload(view: &View<'_>, resource: Part<'_>) -> Workload {
    let targets = targets(resource);
    let is_waypoint = |named: &str| waypoints::is_one(view, named);
    if !targets.is_empty() {
        let is_gateway = targets.iter().any(|target| match target.kind {
            "Gateway" => !is_waypoint(target.name),
            "GatewayClass" => target.name != waypoints::CLASS,
            _ => false,
        });
        return match is_gateway {
            true => Workload::Gateway,
            false => Workload::Pod,
        };
    }
    let own = labels(resource, SELECTED);
    if own.is_empty() {
        return Workload::Every;
    }
    let mut of_gateway = own.iter().filter(|(name, _)| GATEWAY_NAMES.contains(name));
    if of_gateway.any(|(_, named)| is_waypoint(named)) {
        return Workload::Pod;
    }
    let is_called = own
        .iter()
        .any(|(name, value)| name.contains("gateway") || value.contains("gateway"));
    let mut gateways = of_kind(view, "Gateway");
    let is_of_one = gateways.any(|gateway| {
        let labels = labels(gateway, &["spec", "selector"]);
        !labels.is_empty() && labels.iter().all(|label| own.contains(label))
    });
    match is_called || is_of_one {
        true => Workload::Gateway,
        false => Workload::Pod,
    }
}

/// Requests that `spec.match` does not bring to the filter.
fn look_at_match(view: &View<'_>, resource: Part<'_>, findings: &mut Vec<Finding>) {
    let spec = spec(resource);
    let matches: Vec<Part<'_>> = spec.items_of("match").collect();
    let Some(first) = matches.first() else {
        return;
    };
    let takes = |selector: &Part<'_>, mode: &str| {
        let own = selector.node.text_at(&["mode"]);
        own.is_none_or(|own| own == mode || own == "CLIENT_AND_SERVER" || own == "UNDEFINED")
    };
    let workload = workload(view, resource);
    let sides = [
        (
            "CLIENT",
            Workload::Gateway,
            "takes SERVER only: Istio counts the requests of a gateway as CLIENT, and none of them comes to the filter",
        ),
        (
            "SERVER",
            Workload::Pod,
            "takes CLIENT only: requests that come in to a pod pass the filter by, and those that go out ask for tokens",
        ),
    ];
    for (mode, whose, text) in sides {
        if workload != whose && workload != Workload::Every {
            continue;
        }
        let taken: Vec<&Part<'_>> = matches.iter().filter(|it| takes(it, mode)).collect();
        let is_by_port = |selector: &&&Part<'_>| !selector.node.items_of("ports").is_empty();
        if taken.is_empty() {
            findings.push(
                Finding::error(
                    Kind::RequestsLeftOut,
                    first.spot_of("mode"),
                    "spec.match",
                    text,
                )
                .write("no match, which is all requests"),
            );
        } else if let Some(by_port) = taken.iter().find(is_by_port)
            && taken.iter().all(|selector| is_by_port(&selector))
        {
            findings.push(
                Finding::warning(
                    Kind::RequestsLeftOut,
                    by_port.spot_of("ports"),
                    "spec.match",
                    "takes certain ports only: requests to every other port of the workload pass the filter by",
                )
                .write("no ports, or every port that the workload listens on"),
            );
        }
    }
}

/// Istio gives no plugin a `vm_id`, and all without one share their data.
fn look_at_others(view: &View<'_>, resource: Part<'_>, findings: &mut Vec<Finding>) {
    let others = plugins(view).filter(|other| {
        !std::ptr::eq(other.node, resource.node)
            && lua_of(*other).is_none()
            && plugin_of(view, other.node).is_none()
            && !names_us(other.node)
            && may_meet(resource, *other)
    });
    for other in others {
        findings.push(
            Finding::warning(
                Kind::VmIdShared,
                other.spot(),
                "spec",
                format!(
                    "{} may run beside the filter: Istio gives both one space of shared data, in which it can write the filter's keys",
                    title(other)
                ),
            )
            .write("another selector, unless you would trust that plugin with the keys"),
        );
    }
}

/// The source of a `TrafficExtension` that is Lua.
fn lua_of(resource: Part<'_>) -> Option<Part<'_>> {
    let is_one = resource.node.text_at(&["kind"]) == Some(EXTENSION);
    resource.at(&["spec", "lua"]).filter(|_| is_one)
}

/// Lua in the same workloads, before the filter or behind it.
fn look_at_lua(
    view: &View<'_>,
    resource: Part<'_>,
    config: Option<&Config>,
    findings: &mut Vec<Finding>,
) {
    for other in of_kind(view, EXTENSION).filter(|other| may_meet(resource, *other)) {
        let Some(source) = lua_of(other) else {
            continue;
        };
        if may_be_before(other, resource) {
            findings.push(
                Finding::warning(
                    Kind::FilterOrder,
                    source.spot(),
                    "spec.lua",
                    format!(
                        "{} may run before the filter: it sees requests of everybody, with whatever claim headers a client made up",
                        title(other)
                    ),
                )
                .write("phase: AUTHZ in it, or a priority below the filter's"),
            );
        } else {
            lua::look_at_source(source, config, findings);
        }
    }
}

/// Whether a plugin may run before another: by its phase, then by its priority, then by when it was made.
fn may_be_before(one: Part<'_>, other: Part<'_>) -> bool {
    let place = |resource: Part<'_>| {
        let spec = spec(resource);
        let phase = match spec.node.text_at(&["phase"]) {
            Some("AUTHN") => 0,
            Some("AUTHZ") => 1,
            Some("STATS") => 2,
            _ => 3,
        };
        let priority = spec.get("priority").map(|part| part.node.to_json());
        let priority = priority.and_then(|text| text.parse().ok());
        (phase, std::cmp::Reverse(priority.unwrap_or(0_i32)))
    };
    place(one) <= place(other)
}
