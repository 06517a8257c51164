//! The plugin's settings beside its configuration: its VM.

use crate::document::Node;
use crate::finding::{Finding, Kind};
use crate::view::Part;

pub(super) fn look_at(part: Part<'_>, findings: &mut Vec<Finding>) {
    let plugin = part.node;
    let mut warn = |kind: Kind, name: &str, text: &str| {
        findings.push(Finding::warning(kind, part.spot_of(name), name, text));
    };
    let policy = plugin.text_at(&["failure_policy"]);
    if policy == Some("FAIL_OPEN") || plugin.get("fail_open").is_some_and(Node::is_true) {
        warn(
            Kind::FailurePolicy,
            "failure_policy",
            "is FAIL_OPEN: when the VM has crashed, everybody gets in",
        );
    } else if policy != Some("FAIL_RELOAD") {
        warn(
            Kind::FailurePolicy,
            "failure_policy",
            "is not FAIL_RELOAD: a worker whose VM has crashed answers 503 until Envoy restarts",
        );
    }
    let vm_id = plugin.text_at(&["vm_config", "vm_id"]).unwrap_or_default();
    if vm_id.is_empty() {
        warn(
            Kind::VmId,
            "vm_config",
            "vm_id is empty: all filters without one can write each other's shared data, keys included",
        );
    }
}
