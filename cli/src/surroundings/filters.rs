//! The chain of HTTP filters that the filter is in: what comes before it, and what gets by it.

use bearer_gate::config::Config;

use super::Gate;
use super::kinds::{
    CACHE, CACHE_V2, CORS, EXT_AUTHZ, EXT_PROC, JWT_AUTHN, LUA, OAUTH2, RATE_LIMIT, RBAC,
};
use crate::document::Node;
use crate::finding::{Finding, Kind};
use crate::plugin::{WASM, message};
use crate::view::{Chain, Group, HttpFilter, Part, ROUTER};

/// The filters themselves, where one of them is ours.
pub(super) fn look_at(chain: &Chain<'_>, configs: &[Option<Config>], findings: &mut Vec<Finding>) {
    let mut owns = chain.filters.iter().enumerate();
    let Some((first, own)) = owns.find(|(_, filter)| filter.plugin.is_some()) else {
        return;
    };
    let config = own.plugin.and_then(|at| configs.get(at)?.as_ref());
    for (at, filter) in owns.filter(|(_, filter)| filter.plugin.is_some()) {
        findings.push(
            Finding::warning(
                Kind::FilterTwice,
                filter.entry.spot(),
                &place(at),
                format!(
                    "the filter is in this chain already, as {}: a token has to please both, and the first one takes Authorization away",
                    place(first)
                ),
            )
            .write("one filter with all providers and rules"),
        );
    }
    for (at, filter) in chain.filters.iter().enumerate() {
        if filter.plugin.is_some() {
            look_at_own(filter, &place(at), findings);
        }
        if at < first {
            look_at_earlier(filter, &place(at), findings);
        } else if is_cache(filter) && !config.is_some_and(shows_who) {
            findings.push(cache_behind(filter, &place(at)));
        } else if filter.message(CORS).is_some() {
            findings.push(cors_behind(filter, &place(at)));
        }
        look_at_jwt_authn(filter, at < first, config, &place(at), findings);
    }
    for upgrade in &chain.upgrades {
        look_at_upgrade(chain, upgrade.entry, &upgrade.filters, findings);
    }
}

/// A configuration of ours that no listener has.
pub(super) fn look_at_use(group: &Group<'_>, gate: Gate<'_, '_>, findings: &mut Vec<Finding>) {
    let has =
        |filters: &[HttpFilter<'_>]| filters.iter().any(|filter| filter.plugin == Some(gate.at));
    let is_used = |chain: &Chain<'_>| {
        has(&chain.filters) || chain.upgrades.iter().any(|upgrade| has(&upgrade.filters))
    };
    if group.chains.is_empty() || group.chains.iter().any(is_used) {
        return;
    }
    let mut filters = group.chains.iter().flat_map(|chain| &chain.filters);
    let other = filters
        .find(|filter| filter.config.is_none() && filter.entry.get("config_discovery").is_some());
    let found = |text: String| Finding::error(Kind::FilterUnused, gate.plugin.spot(""), "", text);
    findings.push(match other {
        Some(filter) => found(format!(
            "no chain of the files has this filter: a listener asks for {}, and answers 500 without it",
            filter.name
        ))
        .write(format!("name: {} beside its typed_config", filter.name)),
        None => found("no chain of the files has this filter: nobody asks for tokens".to_owned())
            .write("the filter in http_filters, before those that act on who the client is"),
    });
}

/// Filters by ECDS.
pub(super) fn look_at_discovery(group: &Group<'_>, findings: &mut Vec<Finding>) {
    for part in group.extensions_again() {
        let name = part.node.text_at(&["name"]).unwrap_or_default();
        findings.push(
            Finding::error(
                Kind::ConfigurationTwice,
                part.spot(),
                "name",
                format!("is {name} a second time: Envoy refuses both, and answers 500"),
            )
            .write("another name, or one of the two"),
        );
    }
}

fn place(at: usize) -> String {
    format!("http_filters[{at}]")
}

/// Whether a filter of ours runs for each request that comes to it.
fn is_direct(filter: &HttpFilter<'_>) -> bool {
    filter.plugin.is_some() && filter.message(WASM).is_some()
}

fn look_at_own(filter: &HttpFilter<'_>, path: &str, findings: &mut Vec<Finding>) {
    if !is_direct(filter) {
        findings.push(
            Finding::error(
                Kind::FilterMatched,
                filter.entry.spot(),
                path,
                "the filter is within another one, which chooses requests for it: all others reach the upstream without it",
            )
            .write("the filter as an entry of http_filters of its own, and rules for what is public"),
        );
    }
    if filter
        .entry
        .get("is_optional")
        .is_some_and(|it| it.node.is_true())
    {
        findings.push(
            Finding::warning(
                Kind::FilterOptional,
                filter.entry.spot_of("is_optional"),
                &format!("{path}.is_optional"),
                "is true: an Envoy that cannot run Wasm leaves the filter out, says nothing, and lets everybody in",
            )
            .write("is_optional: false"),
        );
    }
    let default = filter.entry.at(&["config_discovery", "default_config"]);
    let is_ours = |default: Part<'_>| {
        filter
            .config
            .is_some_and(|config| std::ptr::eq(config.node, default.node))
    };
    if let Some(default) = default.filter(|default| !is_ours(*default)) {
        findings.push(
            Finding::warning(
                Kind::FilterDefault,
                default.spot(),
                &format!("{path}.config_discovery.default_config"),
                "stands for the filter until its configuration has come: requests get past it by then",
            )
            .write("no default_config: Envoy waits for the filter then, and answers 500 without it"),
        );
    }
}

/// Filters that act on who the client is must come after the one that tells it.
fn look_at_earlier(filter: &HttpFilter<'_>, path: &str, findings: &mut Vec<Finding>) {
    let is_one = |kind: &str| filter.message(kind).is_some();
    if is_one(ROUTER) {
        findings.push(
            Finding::error(
                Kind::FilterAfterRouter,
                filter.entry.spot(),
                path,
                "the router stands before the filter, and what stands behind the router never runs: Envoy refuses the listener",
            )
            .write("the router as the last of http_filters"),
        );
        return;
    }
    if is_cache(filter) {
        findings.push(cache_before(filter.entry, path));
        return;
    }
    let decides = match filter.message(RBAC) {
        Some(rbac) => decides_by_request(rbac.node).then_some("RBAC"),
        None => [
            (LUA, "Lua"),
            (EXT_AUTHZ, "ext_authz"),
            (EXT_PROC, "ext_proc"),
            (RATE_LIMIT, "ratelimit"),
        ]
        .iter()
        .find_map(|(kind, name)| is_one(kind).then_some(*name)),
    };
    let oauth2 = is_one(OAUTH2).then_some("oauth2");
    if let Some(name) = decides.or(oauth2) {
        findings.push(
            Finding::warning(
                Kind::FilterOrder,
                filter.entry.spot(),
                path,
                format!("{name} stands before the filter: it sees requests of everybody, with whatever claim headers a client made up"),
            )
            .write("the filter before it; cors may stay before both"),
        );
    }
}

fn is_cache(filter: &HttpFilter<'_>) -> bool {
    let mut kinds = [CACHE, CACHE_V2].into_iter();
    kinds.any(|kind| filter.message(kind).is_some())
}

/// What a cache does not have, it asks the upstream for by itself, past the filters behind it.
pub(super) fn cache_before(entry: Part<'_>, path: &str) -> Finding {
    Finding::error(
        Kind::FilterOrder,
        entry.spot(),
        path,
        "a cache stands before the filter: it answers requests, and sends them to the upstream, past the filter, and nobody asks for tokens",
    )
    .write("no cache in this chain; in an Envoy behind this one it needs answers with Cache-Control: private or no-store")
}

/// A cache keeps no answer to a request with `Authorization` (RFC 9111, section 3.5), which the filter
/// has taken away.
fn cache_behind(filter: &HttpFilter<'_>, path: &str) -> Finding {
    Finding::warning(
        Kind::FilterOrder,
        filter.entry.spot(),
        path,
        "a cache stands behind the filter, which takes Authorization away: what the upstream answered to one user, the cache gives to others",
    )
    .write("no cache in this chain; or Cache-Control: private or no-store in each answer that is not for everybody, or forward: true in the filter's providers")
}

/// A page reads an answer only where the cors filter has seen the request, and a preflight has no token.
fn cors_behind(filter: &HttpFilter<'_>, path: &str) -> Finding {
    Finding::warning(
        Kind::FilterOrder,
        filter.entry.spot(),
        path,
        "cors stands behind the filter: preflights have no token, and a page of another origin cannot read why it is refused",
    )
    .write("cors before the filter")
}

/// Whether each admitted request that is somebody's still has `Authorization` behind the filter.
fn shows_who(config: &Config) -> bool {
    forwards(config) && config.sign_in.is_none()
}

/// Whether RBAC looks at more than addresses and paths.
pub(super) fn decides_by_request(node: &Node) -> bool {
    let of_policy = |policy: &Node| {
        let principals = policy.items_of("principals").iter();
        let by_header = |node: &Node| has_member(node, &["header"]);
        principals.clone().any(by_header)
            || has_member(
                policy,
                &[
                    "metadata",
                    "sourced_metadata",
                    "filter_state",
                    "condition",
                    "checked_condition",
                ],
            )
    };
    let names = ["rules", "shadow_rules"];
    let rules = names.iter().filter_map(|name| node.get(name));
    let mut policies = rules.filter_map(|rules| rules.get("policies"));
    policies.any(|policies| {
        policies
            .entries()
            .iter()
            .any(|entry| of_policy(&entry.node))
    }) || node.get("matcher").is_some()
}

fn has_member(node: &Node, names: &[&str]) -> bool {
    names.iter().any(|name| node.get(name).is_some())
        || node
            .entries()
            .iter()
            .any(|entry| has_member(&entry.node, names))
        || node.items().iter().any(|item| has_member(item, names))
}

/// Of two filters that look at tokens, the first has to hand them on.
fn look_at_jwt_authn(
    filter: &HttpFilter<'_>,
    is_before: bool,
    config: Option<&Config>,
    path: &str,
    findings: &mut Vec<Finding>,
) {
    let Some(jwt_authn) = filter.message(JWT_AUTHN) else {
        return;
    };
    let has_sessions = config.is_some_and(|config| config.sign_in.is_some());
    let (text, instead) = match is_before {
        true if has_sessions => (
            "jwt_authn stands before the filter, and asks for tokens that a browser with a session does not have",
            "one of the two: `bearer-gate migrate` reads jwt_authn",
        ),
        true if !hands_on(jwt_authn.node) => (
            "jwt_authn stands before the filter, and takes Authorization away: nobody has a token here",
            "forward: true in its providers; or one of the two: `bearer-gate migrate` reads jwt_authn",
        ),
        false if !config.is_some_and(forwards) => (
            "jwt_authn stands behind the filter, which takes Authorization away: nobody has a token there",
            "forward: true in the filter's providers; or one of the two: `bearer-gate migrate` reads jwt_authn",
        ),
        _ => return,
    };
    findings.push(
        Finding::warning(Kind::JwtAuthnBeside, filter.entry.spot(), path, text).write(instead),
    );
}

/// Whether a jwt_authn leaves all tokens where they are.
fn hands_on(jwt_authn: &Node) -> bool {
    let providers = jwt_authn.get("providers").map_or(&[][..], Node::entries);
    let is_handed_on = |provider: &Node| provider.get("forward").is_some_and(Node::is_true);
    providers.iter().all(|entry| is_handed_on(&entry.node))
}

/// Whether the filter leaves all tokens where they are.
pub(super) fn forwards(config: &Config) -> bool {
    config.providers.iter().all(|provider| provider.forward)
}

/// An upgrade with filters of its own has no others.
fn look_at_upgrade(
    chain: &Chain<'_>,
    entry: Part<'_>,
    filters: &[HttpFilter<'_>],
    findings: &mut Vec<Finding>,
) {
    let is_off = |filter: &HttpFilter<'_>| {
        filter
            .entry
            .get("disabled")
            .is_some_and(|off| off.node.is_true())
    };
    if filters.iter().any(|own| is_direct(own) && !is_off(own)) || !is_enabled(chain, entry.node) {
        return;
    }
    let kind = entry.node.text_at(&["upgrade_type"]).unwrap_or_default();
    findings.push(
        Finding::error(
            Kind::UpgradeWithoutFilter,
            entry.spot_of("filters"),
            "upgrade_configs",
            format!("the upgrade {kind} has filters of its own, and the filter is not among them: such a request reaches the upstream without a token"),
        )
        .write("no filters here, so that those of http_filters are taken; or the filter as their first"),
    );
}

/// A route may enable what is not enabled for all.
fn is_enabled(chain: &Chain<'_>, entry: &Node) -> bool {
    let is_false = |node: &Node| node.get("enabled").is_some_and(|it| it.is_false());
    let kind = entry.text_at(&["upgrade_type"]).unwrap_or_default();
    let enables = |upgrade: &Node| {
        let own = upgrade.text_at(&["upgrade_type"]).unwrap_or_default();
        own.eq_ignore_ascii_case(kind) && !is_false(upgrade)
    };
    let routes = chain.all_routes();
    let mut actions = routes
        .iter()
        .filter_map(|route| route.part.node.get("route"));
    !is_false(entry)
        || chain.has_other_routes
        || actions.any(|action| action.items_of("upgrade_configs").iter().any(enables))
}

/// Whether a filter of the chain is of this type.
pub(super) fn has_filter(chain: &Chain<'_>, kind: &str) -> bool {
    let mut filters = chain.filters.iter();
    filters.any(|filter| {
        filter
            .config
            .is_some_and(|config| message(config.node, kind).is_some())
    })
}
