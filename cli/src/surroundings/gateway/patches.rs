//! `EnvoyPatchPolicy`: JSON patches of what Envoy Gateway makes, filters included.

use bearer_gate::config::Config;

use super::super::injected;
use super::super::kubernetes::{all_targets, may_be_neighbours, of_kind, spec, targets};
use super::super::patches::{
    brings_chains, leads_on, look_at_earlier, look_at_field, look_at_switch, look_at_switches,
    look_at_upgrade, look_at_value, taken_out, way_in,
};
use super::policies::is_on_same;
use crate::finding::{Finding, Kind, Level, Note};
use crate::plugin::names_us;
use crate::view::{Part, View};

const PATH: &str = "spec.jsonPatches";
/// How Envoy Gateway's names of Wasm filters begin; the rest is the policy, and a number.
const WASM: &str = "envoy.filters.http.wasm";

fn patches<'d>(policy: Part<'d>) -> impl Iterator<Item = Part<'d>> {
    let patches = spec(policy).items_of("json_patches");
    patches.filter_map(|patch| patch.get("operation"))
}

pub(super) fn look_at(
    view: &View<'_>,
    policy: Part<'_>,
    config: Option<&Config>,
    findings: &mut Vec<Finding>,
) {
    let own = all_targets(view, policy);
    for other in of_kind(view, "EnvoyPatchPolicy") {
        let is_of_class = targets(other).iter().any(|it| it.kind == "GatewayClass");
        if is_of_class || (may_be_neighbours(policy, other) && is_on_same(view, other, &own)) {
            patches(other).for_each(|patch| look_at_patch(patch, config, findings));
        }
    }
}

/// Where a patch goes to: its JSON Pointer, with what a JSONPath says before it.
fn place(patch: Part<'_>) -> String {
    let text = |name| patch.node.text_at(&[name]).unwrap_or_default();
    // ~1 is a slash in a name
    format!("{}{}", text("json_path"), text("path").replace("~1", "/"))
}

fn look_at_patch(patch: Part<'_>, config: Option<&Config>, findings: &mut Vec<Finding>) {
    let place = place(patch);
    let operation = patch.node.text_at(&["op"]).unwrap_or_default();
    let value = patch.get("value");
    let last = place.rsplit(['/', '.']).next().unwrap_or_default();
    if let Some(value) = value {
        let is_own = |name: &str| name.starts_with(WASM);
        look_at_value(value, &is_own, config, findings);
        look_at_field(last, value, findings);
        match place.rsplit_once("typed_per_filter_config") {
            Some((_, "")) => look_at_switches(value, &is_own, findings),
            Some((_, name)) if name.contains(WASM) => look_at_switch(value, findings),
            _ => {}
        }
        if place.contains("early_header_mutation_extensions")
            && let Some(config) = config
        {
            injected::look_at_early(value, config, findings);
        }
        if place.contains("upgrade_configs") {
            look_at_upgrade(value, findings);
            let each = value.node.items().iter();
            each.for_each(|upgrade| look_at_upgrade(value.with(upgrade), findings));
        }
    }
    if let Some((_, rest)) = place.rsplit_once("typed_per_filter_config") {
        look_at_routes(patch, operation, rest, value, findings);
    }
    if let Some(value) = value.filter(|value| is_way_in(&place, *value)) {
        findings.push(way_in(value, PATH));
    }
    if let Some((_, rest)) = place.rsplit_once("http_filters") {
        look_at_filter(patch, operation, rest, value, config, findings);
    }
}

/// Whether what is put at a place leads past the filter.
fn is_way_in(place: &str, value: Part<'_>) -> bool {
    match last_but_a_number(place) {
        "filter_chains" | "default_filter_chain" => !names_us(value.node),
        "filters" => leads_on(value) && !names_us(value.node),
        // a whole listener
        "" => brings_chains(value),
        _ => false,
    }
}

/// The last name of a place that is no number, nor the end of a list.
fn last_but_a_number(place: &str) -> &str {
    let is_name = |part: &&str| *part != "-" && part.parse::<u32>().is_err();
    place.rsplit('/').find(is_name).unwrap_or_default()
}

/// Envoy Gateway has a filter of Wasm turned off, and routes turn it on.
fn look_at_routes(
    patch: Part<'_>,
    operation: &str,
    rest: &str,
    value: Option<Part<'_>>,
    findings: &mut Vec<Finding>,
) {
    let keeps = value.is_some_and(|value| {
        let mut names = value.node.entries().iter();
        names.any(|entry| entry.name.starts_with(WASM))
    });
    let is_all = rest.is_empty() && !keeps && matches!(operation, "remove" | "replace");
    let is_one = rest.contains(WASM) && operation == "remove";
    if is_all || is_one {
        findings.push(
            Finding::error(
                Kind::RouteWithoutFilter,
                patch.spot(),
                PATH,
                "takes away what turns the filter on for the route: requests reach the upstream without a token",
            )
            .write("no such patch, and a rule without requires for this path"),
        );
    }
}

/// A patch of the list of HTTP filters, or of what is in it.
fn look_at_filter(
    patch: Part<'_>,
    operation: &str,
    rest: &str,
    value: Option<Part<'_>>,
    config: Option<&Config>,
    findings: &mut Vec<Finding>,
) {
    let names_another = rest.contains("envoy.filters.") && !rest.contains(WASM);
    // the list itself, or one entry of it: by a number, or by its name
    let is_entry = match rest.rsplit_once(']') {
        Some((_, below)) => below.is_empty(),
        None => !rest.trim_start_matches('/').contains('/'),
    };
    let level = match rest.contains(WASM) || rest.is_empty() {
        true => Level::Error,
        false => Level::Warning,
    };
    let is_off = rest.ends_with("disabled") && value.is_some_and(|value| value.node.is_true());
    if is_off && !names_another {
        findings.push(taken_out(
            patch,
            level,
            PATH,
            "turns a filter off, which may be this one: requests reach the upstream without a token then",
        ));
    } else if matches!(operation, "remove" | "replace" | "move") && is_entry && !names_another {
        findings.push(taken_out(
            patch,
            level,
            PATH,
            "takes a filter out of the list, or moves it, and that may be this one: requests reach the upstream without a token then",
        ));
    } else if operation == "add"
        && is_entry
        && !rest.ends_with('-')
        && let Some(filter) = value
    {
        look_at_earlier(filter, config, findings);
    }
}

/// What of the patches is not looked at.
pub(crate) fn notes(view: &View<'_>, notes: &mut Vec<Note>) {
    let proxies = of_kind(view, "EnvoyProxy");
    for text in proxies.filter_map(|proxy| spec(proxy).at(&["bootstrap", "value"])) {
        notes.push(Note {
            spot: text.spot(),
            text: "a bootstrap as a text is not read: listeners in it may lead past the filter. Write it as jsonPatches".to_owned(),
        });
    }
    for policy in of_kind(view, "EnvoyPatchPolicy") {
        for patch in spec(policy).items_of("json_patches") {
            let kind = patch.node.text_at(&["type"]).unwrap_or_default();
            let is_read = ["RouteConfiguration", "Listener"]
                .iter()
                .any(|it| kind.ends_with(it));
            let is_whole = patch
                .get("operation")
                .is_some_and(|operation| matches!(place(operation).as_str(), "" | "/"));
            if !is_read || is_whole {
                let kind = kind.rsplit(['.', '/']).next().unwrap_or_default();
                notes.push(Note {
                    spot: patch.spot(),
                    text: format!("of this patch of a {kind} only what turns the filter or the safety of paths off is looked at"),
                });
            }
        }
    }
}
