//! The plugin's settings beside its configuration: its VM and its module.

use std::path::Path;

use super::Gate;
use crate::document::{Node, STRUCT, type_of};
use crate::finding::{Finding, Kind};
use crate::view::{Group, Part};

/// The call by which Envoy hands the filter a request.
const ASKED: &str = "proxy_on_request_headers";
/// What else the module has and calls, as `cli/tests/bypasses.rs` reads in it.
const NEEDED: [&str; 34] = [
    "proxy_on_configure",
    "proxy_on_context_create",
    "proxy_on_delete",
    "proxy_on_http_call_response",
    "proxy_on_request_body",
    "proxy_on_request_trailers",
    "proxy_on_response_headers",
    "proxy_on_tick",
    "proxy_add_header_map_value",
    "proxy_call_foreign_function",
    "proxy_continue_stream",
    "proxy_define_metric",
    "proxy_get_buffer_bytes",
    "proxy_get_current_time_nanoseconds",
    "proxy_get_header_map_pairs",
    "proxy_get_header_map_value",
    "proxy_get_log_level",
    "proxy_get_property",
    "proxy_get_shared_data",
    "proxy_http_call",
    "proxy_increment_metric",
    "proxy_log",
    "proxy_record_metric",
    "proxy_remove_header_map_value",
    "proxy_replace_header_map_value",
    "proxy_send_local_response",
    "proxy_set_effective_context",
    "proxy_set_property",
    "proxy_set_shared_data",
    "proxy_set_tick_period_milliseconds",
    "clock_time_get",
    "environ_get",
    "environ_sizes_get",
    "random_get",
];

pub(super) fn look_at(part: Part<'_>, findings: &mut Vec<Finding>) {
    let plugin = part.node;
    let policy = plugin.text_at(&["failure_policy"]);
    let is_open = policy == Some("FAIL_OPEN") || plugin.get("fail_open").is_some_and(Node::is_true);
    if is_open {
        findings.push(
            Finding::error(
                Kind::FailurePolicy,
                part.spot_of("failure_policy"),
                "failure_policy",
                "is FAIL_OPEN: when the VM has crashed, or does not start, everybody gets in",
            )
            .write("failure_policy: FAIL_RELOAD"),
        );
    }
    let mut warn = |kind: Kind, name: &str, text: &str, instead: &str| {
        let finding = Finding::warning(kind, part.spot_of(name), name, text);
        findings.push(finding.write(instead));
    };
    if !is_open && policy != Some("FAIL_RELOAD") {
        warn(
            Kind::FailurePolicy,
            "failure_policy",
            "is not FAIL_RELOAD: a worker whose VM has crashed answers 503 until its configuration changes",
            "failure_policy: FAIL_RELOAD",
        );
    }
    let vm_id = plugin.text_at(&["vm_config", "vm_id"]).unwrap_or_default();
    if vm_id.is_empty() {
        warn(
            Kind::VmId,
            "vm_config",
            "vm_id is empty: all filters without one can write each other's shared data, keys included",
            "vm_id: bearer-gate",
        );
    }
    look_at_capabilities(part, findings);
    look_at_module(part, findings);
    look_at_configuration(part, findings);
}

/// What stands beside `value` is read by nobody: mostly it is not indented far enough.
fn look_at_configuration(part: Part<'_>, findings: &mut Vec<Finding>) {
    let Some(configuration) = part.get("configuration") else {
        return;
    };
    if type_of(configuration.node) != Some(STRUCT) {
        return;
    }
    for entry in configuration.node.entries() {
        if !["@type", "value"].contains(&entry.name.as_str()) {
            findings.push(
                Finding::error(
                    Kind::Configuration,
                    configuration.with(&entry.node).spot(),
                    &format!("configuration.{}", entry.name),
                    "stands beside value, and not in it: the filter does not get it, and Envoy does not start",
                )
                .write("it below value, indented further"),
            );
        }
    }
}

/// Of a module's functions Envoy calls those that are listed, if any are.
fn look_at_capabilities(part: Part<'_>, findings: &mut Vec<Finding>) {
    const PATH: &[&str] = &["capability_restriction_config", "allowed_capabilities"];
    let Some(allowed) = part.at(PATH) else {
        return;
    };
    let listed = allowed.node.entries();
    let has = |name: &str| listed.iter().any(|entry| entry.name == name);
    if listed.is_empty() {
        return;
    }
    if has(ASKED) {
        look_at_calls(allowed, &has, findings);
        return;
    }
    findings.push(
        Finding::error(
            Kind::CapabilityMissing,
            allowed.spot(),
            &PATH.join("."),
            format!("has no {ASKED}: Envoy hands the filter no request, and everybody gets in, with whatever claim headers a client made up"),
        )
        .write("no capability_restriction_config: the filter needs all that it calls, and another version may need more"),
    );
}

/// What the filter calls and is called by, beside [`ASKED`]. Without one of these it starts not at all,
/// refuses each request, or does without.
fn look_at_calls(allowed: Part<'_>, has: &dyn Fn(&str) -> bool, findings: &mut Vec<Finding>) {
    let lacking: Vec<&str> = NEEDED.iter().copied().filter(|name| !has(name)).collect();
    let Some(first) = lacking.first() else { return };
    let more = match lacking.len() {
        1 => String::new(),
        all => format!(" and {} more", all - 1),
    };
    findings.push(
        Finding::warning(
            Kind::CapabilityMissing,
            allowed.spot(),
            "capability_restriction_config.allowed_capabilities",
            format!("has no {first}{more}: the filter refuses requests without what it calls, or does not start"),
        )
        .write("no capability_restriction_config: the filter needs all that it calls, and another version may need more"),
    );
}

fn look_at_module(part: Part<'_>, findings: &mut Vec<Finding>) {
    let Some(code) = part.at(&["vm_config", "code"]) else {
        return;
    };
    if let Some(remote) = code.get("remote")
        && remote.node.text_at(&["sha256"]).is_none_or(str::is_empty)
    {
        findings.push(
            Finding::error(
                Kind::ModuleUnverified,
                remote.spot(),
                "vm_config.code.remote",
                "has no sha256: whoever answers could bring another module, so Envoy refuses it",
            )
            .write("sha256: the sum that `sha256sum plugin.wasm` prints"),
        );
    }
    let file = code.at(&["local", "filename"]);
    let path = file.and_then(|file| file.node.text());
    if let (Some(file), Some(path)) = (file, path)
        && !path.is_empty()
        && !path.starts_with('/')
        && !Path::new(path).exists()
    {
        findings.push(
            Finding::warning(
                Kind::ModuleMissing,
                file.spot(),
                "vm_config.code.local.filename",
                format!("there is no {path} in the directory where the tool runs: Envoy started here does not start"),
            )
            .write("the path as Envoy sees it, or run `make build` first"),
        );
    }
}

/// Shared data are for all VMs of one id, whatever module runs in them.
pub(super) fn look_at_others(group: &Group<'_>, gate: Gate<'_, '_>, findings: &mut Vec<Finding>) {
    let id = |settings: &Node| {
        settings
            .text_at(&["vm_config", "vm_id"])
            .unwrap_or_default()
            .to_owned()
    };
    let own = id(gate.settings);
    let mut found = |plugin: Part<'_>| {
        let is_ours = group
            .settings
            .iter()
            .any(|ours| std::ptr::eq(*ours, plugin.node));
        if own.is_empty() || is_ours || id(plugin.node) != own {
            return;
        }
        findings.push(
            Finding::warning(
                Kind::VmIdShared,
                plugin.at(&["vm_config", "vm_id"]).unwrap_or(plugin).spot(),
                "vm_config.vm_id",
                format!("is {own} here too, in another plugin: it can write the shared data of the filter, keys included"),
            )
            .write("another vm_id in that plugin"),
        );
    };
    group.each_wasm(&mut found);
}
