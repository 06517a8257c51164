//! What reads of a token that nobody writes any more, or not yet: policies, logs and tags that look
//! at jwt_authn's metadata, or at filter state of ours that is not enabled.

use super::kinds::{JWT_AUTHN, RBAC, RBAC_OF_ROUTE};
use super::{Gate, filters};
use crate::document::Node;
use crate::finding::{Finding, Kind};
use crate::plugin::message;
use crate::view::{Chain, Part};

/// The namespace of jwt_authn's metadata, and its name in most configurations.
const NAMESPACE: &str = "envoy.filters.http.jwt_authn";

pub(super) fn look_at(chain: &Chain<'_>, gate: Gate<'_, '_>, findings: &mut Vec<Finding>) {
    let has_jwt_authn = filters::has_filter(chain, JWT_AUTHN);
    let mut found = |part: Part<'_>, reader: Reader| {
        let Some(text) = part.node.text() else { return };
        if !has_jwt_authn && text.contains(NAMESPACE) {
            findings.push(of_metadata(part, reader));
        }
        let _ = gate;
    };
    let mut parts = vec![(chain.manager, Reader::Other)];
    let others = chain.routes.iter().filter(|routes| {
        chain
            .manager
            .get("route_config")
            .is_none_or(|own| !std::ptr::eq(own.node, routes.node))
    });
    parts.extend(others.map(|routes| (*routes, Reader::Other)));
    let of_xds = chain
        .filters
        .iter()
        .filter(|filter| filter.entry.get("config_discovery").is_some());
    parts.extend(of_xds.filter_map(|filter| Some((filter.config?, Reader::Other))));
    if let Some(log) = chain.listener.get("access_log") {
        parts.push((log, Reader::Other));
    }
    for (part, reader) in parts {
        each_text(part, gate.settings, reader, &mut found);
    }
}

/// What is done with what is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reader {
    /// It decides whether a request passes.
    Policy,
    Other,
}

/// Calls with each text that is read of a request: neither with a filter's name nor with what is in
/// the configuration of ours.
fn each_text<'d>(
    part: Part<'d>,
    own: &Node,
    reader: Reader,
    found: &mut dyn FnMut(Part<'d>, Reader),
) {
    if std::ptr::eq(part.node, own) {
        return;
    }
    let is_policy = [RBAC, RBAC_OF_ROUTE]
        .iter()
        .any(|kind| message(part.node, kind).is_some());
    let reader = if is_policy { Reader::Policy } else { reader };
    if part.node.text().is_some() {
        found(part, reader);
    }
    let is_filter = part.get("typed_config").is_some() || part.get("config_discovery").is_some();
    for entry in part.node.entries() {
        if !(is_filter && entry.name == "name") {
            each_text(part.with(&entry.node), own, reader, found);
        }
    }
    for item in part.node.items() {
        each_text(part.with(item), own, reader, found);
    }
}

fn of_metadata(part: Part<'_>, reader: Reader) -> Finding {
    let (kind, instead) = (
        Kind::MetadataUnset,
        "filter state in its place: payload_in_metadata: jwt in the provider, and wasm.jwt here",
    );
    match reader {
        Reader::Policy => Finding::error(
            kind,
            part.spot(),
            "rbac",
            "a policy looks at the metadata of jwt_authn, which is not in this chain: they are always empty, and a DENY no longer bites",
        ),
        Reader::Other => Finding::warning(
            kind,
            part.spot(),
            "",
            "looks at the metadata of jwt_authn, which is not in this chain: they are always empty",
        ),
    }
    .write(instead)
}
