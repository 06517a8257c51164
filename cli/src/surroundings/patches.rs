//! What a patch of Envoy's configuration brings, whoever writes it: an `EnvoyFilter` of Istio or an
//! `EnvoyPatchPolicy` of Envoy Gateway.
//!
//! A patch is read by itself: what it is put on is not in the files.

use bearer_gate::config::Config;

use super::filters::cache_before;
use super::kinds::{
    CACHE, CACHE_V2, CREDENTIAL_INJECTOR, EXT_AUTHZ, EXT_PROC, HEADER_MUTATION, LUA, OAUTH2,
    RATE_LIMIT, RBAC,
};
use super::readers;
use super::{cors, headers, injected, manager, taps, tunnels};
use crate::finding::{Finding, Kind, Level};
use crate::plugin::{WASM, message, names_us};
use crate::view::Part;

/// Looks at what a patch writes, wherever that goes to.
///
/// `is_own` tells whether a name is that of our filter in Envoy, or may be.
pub(super) fn look_at_value(
    value: Part<'_>,
    is_own: &dyn Fn(&str) -> bool,
    config: Option<&Config>,
    findings: &mut Vec<Finding>,
) {
    for entry in value.node.entries() {
        let part = value.with(&entry.node);
        look_at_field(&entry.name, part, findings);
        match crate::document::snake_case(&entry.name).as_str() {
            "typed_per_filter_config" => look_at_switches(part, is_own, findings),
            "upgrade_configs" => value
                .items_of("upgrade_configs")
                .for_each(|upgrade| look_at_upgrade(upgrade, findings)),
            "connect_config" => findings.extend(tunnelled(value)),
            "request_timeout" => findings.extend(manager::timeout(part, config)),
            _ => {}
        }
    }
    taps::look_at_value(value, findings);
    cors::look_at_policy(value, findings);
    if let Some(config) = config {
        if let Some(log) = value.get("access_log") {
            readers::look_at_log(log, config, findings);
        }
        headers::look_at_level(value, config, findings);
        if let Some(mutation) = message(value.node, HEADER_MUTATION) {
            headers::look_at_mutations(value.with(mutation), config, findings);
        }
        if let Some(injector) = message(value.node, CREDENTIAL_INJECTOR) {
            findings.extend(headers::injected(value.with(injector), config));
        }
        if let Some(early) = value.get("early_header_mutation_extensions") {
            injected::look_at_early(early, config, findings);
        }
    }
    value.each_below(&mut |below| look_at_value(below, is_own, config, findings));
}

/// Looks at a field by its name, with the value that it is given.
pub(super) fn look_at_field(name: &str, value: Part<'_>, findings: &mut Vec<Finding>) {
    let is_false = value.node.is_false();
    let text = value.node.text();
    let mut tell = |level: Level, kind: Kind, text: &str, instead: &str| {
        let finding = Finding::warning(kind, value.spot(), name, text).write(instead);
        findings.push(Finding { level, ..finding });
    };
    let warning = Level::Warning;
    match crate::document::snake_case(name).as_str() {
        "normalize_path" | "merge_slashes" if is_false => tell(
            warning,
            Kind::PathNormalization,
            "is false: the upstream may read a path in another way than the rules do",
            "true",
        ),
        "path_with_escaped_slashes_action" if text == Some("UNESCAPE_AND_FORWARD") => tell(
            warning,
            Kind::EscapedSlashes,
            "is UNESCAPE_AND_FORWARD: what stands before Envoy has seen another path than the rules and the upstream do",
            "REJECT_REQUEST",
        ),
        "headers_with_underscores_action" if text == Some("ALLOW") => tell(
            warning,
            Kind::Underscores,
            "is ALLOW: many upstreams read X_User as X-User",
            "REJECT_REQUEST",
        ),
        "failure_policy" if text == Some("FAIL_OPEN") => tell(
            Level::Error,
            Kind::FailurePolicy,
            "is FAIL_OPEN: when the VM has crashed, or does not start, everybody gets in",
            "FAIL_RELOAD",
        ),
        _ => {}
    }
}

/// An entry of `upgrade_configs`. With filters of its own it has no others.
pub(super) fn look_at_upgrade(upgrade: Part<'_>, findings: &mut Vec<Finding>) {
    let Some(filters) = upgrade.get("filters") else {
        return;
    };
    let is_wasm = |filter: &crate::document::Node| {
        let config = filter.get("typed_config");
        config.is_some_and(|config| message(config, WASM).is_some())
            || filter.get("config_discovery").is_some()
    };
    if filters.node.items().is_empty() || filters.node.items().iter().any(is_wasm) {
        return;
    }
    let kind = upgrade
        .node
        .text_at(&["upgrade_type"])
        .unwrap_or("of a kind");
    findings.push(
        Finding::error(
            Kind::UpgradeWithoutFilter,
            filters.spot(),
            "upgrade_configs",
            format!("the upgrade {kind} has filters of its own, and the filter is not among them: such a request reaches the upstream without a token"),
        )
        .write("no filters here, so that those of http_filters are taken"),
    );
}

/// A tunnel that a patch brings, by `POST`: `CONNECT` needs a rule of its own.
fn tunnelled(upgrade: Part<'_>) -> Option<Finding> {
    let comes = tunnels::is_tunnel(upgrade) && tunnels::takes_post(upgrade);
    comes.then(|| tunnels::told(upgrade, Level::Warning, "whoever may use this route", ""))
}

/// Whether a part of Envoy's configuration brings filter chains, and ours in none of them.
pub(super) fn brings_chains(part: Part<'_>) -> bool {
    const CHAINS: [&str; 2] = ["filter_chains", "default_filter_chain"];
    let has = |name: &&str| {
        let chains = part.node.get(name);
        chains.is_some_and(|it| !it.items().is_empty() || !it.entries().is_empty())
    };
    let mut found = CHAINS.iter().any(has);
    part.each_below(&mut |below| found = found || brings_chains(below));
    found && !names_us(part.node)
}

/// Whether a list of network filters, or one of them, leads somewhere.
pub(super) fn leads_on(part: Part<'_>) -> bool {
    let mut found = part.get("http_filters").is_some() || part.node.text_at(&["cluster"]).is_some();
    part.each_below(&mut |below| found = found || leads_on(below));
    found
}

/// A way in that has not the filter.
pub(super) fn way_in(part: Part<'_>, path: &str) -> Finding {
    Finding::warning(
        Kind::OtherChain,
        part.spot(),
        path,
        "adds a way in that does not have the filter: whatever it leads to must not ask for tokens",
    )
    .write("the filter there too, or no such patch")
}

/// What a level of routes says of filters.
pub(super) fn look_at_switches(
    of_filters: Part<'_>,
    is_own: &dyn Fn(&str) -> bool,
    findings: &mut Vec<Finding>,
) {
    let entries = of_filters.node.entries().iter();
    for entry in entries.filter(|entry| is_own(&entry.name)) {
        look_at_switch(of_filters.with(&entry.node), findings);
    }
}

/// What a route says of our filter.
pub(super) fn look_at_switch(of_filter: Part<'_>, findings: &mut Vec<Finding>) {
    if let Some(off) = of_filter.get("disabled").filter(|off| off.node.is_true()) {
        findings.push(
            Finding::error(
                Kind::RouteWithoutFilter,
                off.spot(),
                "typed_per_filter_config",
                "turns the filter off: requests reach the upstream without a token, with whatever claim headers a client made up",
            )
            .write("nothing here, and a rule without requires for this path"),
        );
    }
}

/// A filter that is put before ours, and must not be there.
pub(super) fn look_at_earlier(
    filter: Part<'_>,
    config: Option<&Config>,
    findings: &mut Vec<Finding>,
) {
    let Some(settings) = filter.get("typed_config") else {
        return;
    };
    if let Some(config) = config {
        injected::look_at_filter(settings, config, findings);
    }
    let is_one = |kind: &&str| message(settings.node, kind).is_some();
    if [CACHE, CACHE_V2].iter().any(is_one) {
        findings.push(cache_before(filter, "http_filters"));
        return;
    }
    let kinds = [
        (LUA, "Lua"),
        (EXT_AUTHZ, "ext_authz"),
        (EXT_PROC, "ext_proc"),
        (RATE_LIMIT, "ratelimit"),
        (OAUTH2, "oauth2"),
        (WASM, "another plugin"),
    ];
    let found = kinds.iter().find(|(kind, _)| is_one(kind));
    let name = match found {
        Some((_, name)) => name,
        None if message(settings.node, RBAC).is_some_and(super::filters::decides_by_request) => {
            "RBAC"
        }
        None => return,
    };
    findings.push(
        Finding::warning(
            Kind::FilterOrder,
            filter.spot(),
            "http_filters",
            format!("{name} is put before the filter: it sees requests of everybody, with whatever claim headers a client made up"),
        )
        .write("INSERT_BEFORE the router, which is behind the filter"),
    );
}

/// Our filter is taken out, or may be.
pub(super) fn taken_out(part: Part<'_>, level: Level, path: &str, text: &str) -> Finding {
    let finding = Finding::error(Kind::FilterDisabled, part.spot(), path, text);
    Finding { level, ..finding }
        .write("no such patch, and a rule without requires for what is public")
}
