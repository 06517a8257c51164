//! The order of filters in Envoy Gateway, and what runs before the filter.

use super::super::kubernetes::{of_kind, spec, title};
use crate::finding::{Finding, Kind};
use crate::view::{Part, View};

const WASM: &str = "envoy.filters.http.wasm";
pub(super) const EXT_AUTHZ: &str = "envoy.filters.http.ext_authz";
const LUA: &str = "envoy.filters.http.lua";
const EXT_PROC: &str = "envoy.filters.http.ext_proc";
const RBAC: &str = "envoy.filters.http.rbac";
const RATE_LIMIT: &str = "envoy.filters.http.ratelimit";
pub(super) const CREDENTIAL_INJECTOR: &str = "envoy.filters.http.credential_injector";
/// As it is by default, of filters that look at who the client is, or make it somebody.
const ORDER: [&str; 7] = [
    EXT_AUTHZ,
    LUA,
    EXT_PROC,
    WASM,
    RBAC,
    RATE_LIMIT,
    CREDENTIAL_INJECTOR,
];

/// The order with `filterOrder` of each `EnvoyProxy`.
fn order<'d>(view: &View<'d>) -> Vec<&'d str> {
    let mut order = ORDER.to_vec();
    for proxy in of_kind(view, "EnvoyProxy") {
        for position in spec(proxy).items_of("filter_order") {
            let text = |name: &str| position.node.text_at(&[name]);
            let (before, after) = (text("before"), text("after"));
            let (Some(name), Some(other)) = (text("name"), before.or(after)) else {
                continue;
            };
            // one that is moved by itself stays
            let others = order.iter().copied().filter(|known| *known != name);
            let mut moved: Vec<&str> = others.collect();
            if let Some(at) = place(&moved, other) {
                moved.insert(if before.is_some() { at } else { at + 1 }, name);
                order = moved;
            }
        }
    }
    order
}

fn place(order: &[&str], name: &str) -> Option<usize> {
    order.iter().position(|known| *known == name)
}

/// Whether a filter runs before those of Wasm.
pub(super) fn is_before(view: &View<'_>, name: &str) -> bool {
    let order = order(view);
    place(&order, name) < place(&order, WASM)
}

/// What runs before the first filter of ours, in its policy and by the order of filters.
pub(super) fn look_at(
    view: &View<'_>,
    policy: Part<'_>,
    first: Part<'_>,
    findings: &mut Vec<Finding>,
) {
    let mut warn = |part: Part<'_>, path: &str, text: String, instead: &str| {
        let finding = Finding::warning(Kind::FilterOrder, part.spot(), path, text);
        findings.push(finding.write(instead));
    };
    let earlier = spec(policy).items_of("wasm");
    for wasm in earlier.take_while(|wasm| !std::ptr::eq(wasm.node, first.node)) {
        let name = wasm.node.text_at(&["name"]).unwrap_or("another plugin");
        warn(
            wasm,
            "spec.wasm",
            format!(
                "{name} runs before the filter: it sees requests that are not admitted, and headers that only the filter may set"
            ),
            "bearer-gate first",
        );
    }
    for (list, name) in [("lua", LUA), ("ext_proc", EXT_PROC)] {
        if let Some(part) = spec(policy).items_of(list).next()
            && is_before(view, name)
        {
            warn(
                part,
                &format!("spec.{}", if list == "lua" { "lua" } else { "extProc" }),
                format!(
                    "{name} runs before the filter: it sees requests that are not admitted, and headers that only the filter may set"
                ),
                &format!("filterOrder: [{{name: {WASM}, before: {name}}}] in the EnvoyProxy"),
            );
        }
    }
    for name in [RBAC, RATE_LIMIT] {
        if !is_before(view, name) {
            continue;
        }
        for proxy in
            of_kind(view, "EnvoyProxy").filter(|it| spec(*it).get("filter_order").is_some())
        {
            let part = spec(proxy).get("filter_order").unwrap_or(proxy);
            warn(
                part,
                "spec.filterOrder",
                format!(
                    "{} brings {name} before the filter: it acts on headers that the client may have forged",
                    title(proxy)
                ),
                &format!("{name} behind {WASM}, where it is by default"),
            );
        }
    }
}
