//! Envoy Gateway: what an `EnvoyExtensionPolicy` says beside the filter's configuration, and the
//! resources around it.
//!
//! What Envoy Gateway makes of a field is in envoyproxy/gateway: its API, and `internal/gatewayapi` and
//! `internal/xds/translator`.

mod clusters;
mod order;
pub(super) mod patches;
mod policies;

use bearer_gate::config::Config;

use super::fields::{self, Field};
use super::kubernetes::{look_at_targets, of_kind, plugin_of, spec};
use super::module;
use super::readers;
use super::{aside, attached};
use crate::finding::{Finding, Kind};
use crate::plugin::names_us;
use crate::view::{Part, View};

const POLICY: &str = "EnvoyExtensionPolicy";
const ANYTHING: &[Field] = &[];
const TARGET: &[Field] = &[
    Field("group", ANYTHING),
    Field("kind", ANYTHING),
    Field("name", ANYTHING),
    Field("sectionName", ANYTHING),
];
const SPEC: &[Field] = &[
    Field("targetRef", TARGET),
    Field("targetRefs", TARGET),
    Field("targetSelectors", ANYTHING),
    Field("mergeType", ANYTHING),
    Field("extProc", ANYTHING),
    Field("lua", ANYTHING),
    Field("dynamicModule", ANYTHING),
    Field(
        "wasm",
        &[
            Field("name", ANYTHING),
            Field("rootID", ANYTHING),
            Field("config", ANYTHING),
            Field("failOpen", ANYTHING),
            Field("env", &[Field("hostKeys", ANYTHING)]),
            Field(
                "code",
                &[
                    Field("type", ANYTHING),
                    Field("pullPolicy", ANYTHING),
                    Field(
                        "http",
                        &[
                            Field("url", ANYTHING),
                            Field("sha256", ANYTHING),
                            Field("tls", ANYTHING),
                        ],
                    ),
                    Field(
                        "image",
                        &[
                            Field("url", ANYTHING),
                            Field("sha256", ANYTHING),
                            Field("pullSecretRef", ANYTHING),
                            Field("tls", ANYTHING),
                        ],
                    ),
                ],
            ),
        ],
    ),
];

/// The entries of `spec.wasm` that run the filter.
fn ours<'d>(view: &View<'d>, policy: Part<'d>) -> Vec<Part<'d>> {
    let entries = spec(policy).items_of("wasm");
    let is_ours = |wasm: &Part<'_>| plugin_of(view, wasm.node).is_some() || names_us(wasm.node);
    entries.filter(is_ours).collect()
}

/// Whether a resource runs the filter and gives it no configuration.
pub(super) fn has_unconfigured(view: &View<'_>) -> bool {
    of_kind(view, POLICY).any(|policy| {
        let mut ours = ours(view, policy).into_iter();
        ours.any(|wasm| plugin_of(view, wasm.node).is_none())
    })
}

pub(super) fn look_at(view: &View<'_>, configs: &[Option<Config>], findings: &mut Vec<Finding>) {
    let policies = of_kind(view, POLICY).filter(|policy| !ours(view, *policy).is_empty());
    let policies: Vec<Part<'_>> = policies.collect();
    aside::look_at(view, &policies, findings);
    if !policies.is_empty() {
        clusters::look_at_listeners(view, findings);
    }
    for policy in of_kind(view, POLICY) {
        let ours = ours(view, policy);
        let Some(first) = ours.first() else {
            continue;
        };
        let before = findings.len();
        fields::look_at(spec(policy), "spec", SPEC, findings);
        let is_spelt = findings.len() == before;
        for wasm in &ours {
            look_at_settings(*wasm, is_spelt, findings);
        }
        look_at_targets(view, policy, findings);
        order::look_at(view, policy, *first, findings);
        policies::look_at(view, policy, findings);
        let plugin = plugin_of(view, first.node);
        let config = plugin.and_then(|(at, _)| configs.get(at)?.as_ref());
        patches::look_at(view, policy, config, findings);
        attached::look_at(view, policy, config, findings);
        for wasm in &ours {
            let plugin = plugin_of(view, wasm.node);
            let config = plugin.and_then(|(at, _)| configs.get(at)?.as_ref());
            if let (Some((_, plugin)), Some(config)) = (plugin, config) {
                policies::look_at_forms(view, policy, config, findings);
                policies::look_at_credentials(view, policy, config, findings);
                look_at_logs(view, config, findings);
                clusters::look_at(view, plugin, config, findings);
            }
        }
    }
}

fn look_at_logs(view: &View<'_>, config: &Config, findings: &mut Vec<Finding>) {
    for proxy in of_kind(view, "EnvoyProxy") {
        for name in ["access_log", "tracing"] {
            if let Some(log) = spec(proxy).at(&["telemetry", name]) {
                readers::look_at_log(log, config, findings);
            }
        }
    }
}

fn look_at_settings(wasm: Part<'_>, is_spelt: bool, findings: &mut Vec<Finding>) {
    if is_spelt && wasm.get("config").is_none() {
        findings.push(
            Finding::error(
                Kind::Configuration,
                wasm.spot(),
                "spec.wasm.config",
                "is missing, and the filter refuses to run without a configuration",
            )
            .write("config, with providers and rules"),
        );
    }
    if let Some(open) = wasm.get("fail_open").filter(|open| open.node.is_true()) {
        findings.push(
            Finding::error(
                Kind::FailurePolicy,
                open.spot(),
                "spec.wasm.failOpen",
                "is true: when the module cannot be fetched, the configuration is refused, or the VM has crashed, everybody gets in",
            )
            .write("failOpen: false"),
        );
    }
    for (source, path) in [
        ("http", "spec.wasm.code.http.url"),
        ("image", "spec.wasm.code.image.url"),
    ] {
        let source = wasm.at(&["code", source]);
        if let Some(source) = source
            && let Some(url) = source.get("url")
        {
            let sum = source.node.text_at(&["sha256"]);
            let has_sum = sum.is_some_and(|sum| !sum.is_empty());
            module::look_at(url, path, has_sum, findings);
        }
    }
}
