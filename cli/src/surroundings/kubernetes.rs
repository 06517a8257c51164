//! Settings of the resources of Istio and Envoy Gateway that have the plugin's configuration.

use crate::finding::{Finding, Kind};
use crate::view::Part;

pub(super) fn look_at_istio(resource: Part<'_>, findings: &mut Vec<Finding>) {
    let spec = resource.get("spec").unwrap_or(resource);
    if spec.node.text_at(&["fail_strategy"]) == Some("FAIL_OPEN") {
        findings.push(
            Finding::warning(
                Kind::FailurePolicy,
                spec.spot_of("fail_strategy"),
                "spec.failStrategy",
                "is FAIL_OPEN: when the VM has crashed, everybody gets in",
            )
            .write("failStrategy: FAIL_CLOSE"),
        );
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
}

pub(super) fn look_at_gateway(wasm: Part<'_>, findings: &mut Vec<Finding>) {
    if let Some(open) = wasm.get("fail_open").filter(|open| open.node.is_true()) {
        findings.push(
            Finding::warning(
                Kind::FailurePolicy,
                open.spot(),
                "spec.wasm.failOpen",
                "is true: when the VM has crashed, everybody gets in",
            )
            .write("failOpen: false"),
        );
    }
}
