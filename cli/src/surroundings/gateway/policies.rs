//! Other policies of Envoy Gateway on what the filter guards.
//!
//! Of two policies of one kind only one counts for a route: the one that is attached more closely, and
//! of two in one place the older one.

use bearer_gate::config::Config;

use super::super::kubernetes::{
    Target, all_targets, may_be_neighbours, name, of_kind, routes, spec, title,
};
use super::super::{attached, headers, injected, manager};
use super::{POLICY, order, ours};
use crate::duration;
use crate::finding::{Finding, Kind};
use crate::view::{Part, View};

/// How a target stands to one of a policy of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Within {
    /// It is elsewhere.
    No,
    /// It may be a part of it, by what is in no file.
    Perhaps,
    Part,
    Same,
}

fn within(view: &View<'_>, target: &Target<'_>, own: &Target<'_>) -> Within {
    if target.is(own) {
        return match (target.section, own.section) {
            (one, other) if one == other => Within::Same,
            (Some(_), None) => Within::Part,
            (None, Some(_)) | (Some(_), Some(_)) => Within::No,
            (None, None) => Within::Same,
        };
    }
    let is_below = target.is_route() || target.kind == "ListenerSet";
    if own.kind != "Gateway" || !is_below {
        return Within::No;
    }
    let mut of_kind = view.kubernetes.iter().filter(|resource| {
        resource.node.text_at(&["kind"]) == Some(target.kind) && name(**resource) == target.name
    });
    let Some(resource) = of_kind.next() else {
        return Within::Perhaps;
    };
    let spec = spec(*resource);
    let parents = spec.items_of("parent_refs").chain(spec.get("parent_ref"));
    let is_own = |parent: Part<'_>| parent.node.text_at(&["name"]) == Some(own.name);
    let parents: Vec<Part<'_>> = parents.filter(|parent| is_own(*parent)).collect();
    let section = |parent: &Part<'_>| {
        let section = parent.node.text_at(&["section_name"]);
        own.section.is_none() || section.is_none() || section == own.section
    };
    match parents.iter().any(section) {
        true => Within::Part,
        false => Within::No,
    }
}

/// The nearest that any target of a policy comes to one of ours, and that target.
fn nearest<'d>(
    view: &View<'d>,
    policy: Part<'d>,
    own: &[Target<'_>],
) -> Option<(Within, Target<'d>)> {
    let pairs = all_targets(view, policy).into_iter();
    let pairs = pairs.flat_map(|target| own.iter().map(move |own| (target, own)));
    let found = pairs.map(|(target, own)| (within(view, &target, own), target));
    let near = found.filter(|(within, _)| *within != Within::No);
    near.max_by_key(|(within, _)| *within)
}

pub(super) fn look_at(view: &View<'_>, policy: Part<'_>, findings: &mut Vec<Finding>) {
    let own = all_targets(view, policy);
    look_at_sections(view, &own, findings);
    for other in of_kind(view, POLICY).filter(|other| may_be_neighbours(policy, *other)) {
        if ours(view, other).is_empty() {
            look_at_other(view, policy, other, findings);
        }
    }
    for other in of_kind(view, "SecurityPolicy").filter(|other| may_be_neighbours(policy, *other)) {
        if is_on_same(view, other, &own) {
            look_at_security(view, other, findings);
        }
    }
}

/// Whether another policy may be for what ours is for.
pub(super) fn is_on_same(view: &View<'_>, other: Part<'_>, own: &[Target<'_>]) -> bool {
    nearest(view, other, own).is_some() || is_above(view, other, own)
}

/// Whether a policy is for the Gateway of a route that ours is for.
fn is_above(view: &View<'_>, other: Part<'_>, own: &[Target<'_>]) -> bool {
    let others = all_targets(view, other);
    let mut pairs = own
        .iter()
        .flat_map(|own| others.iter().map(move |other| (own, other)));
    pairs.any(|(own, other)| within(view, own, other) != Within::No)
}

/// A policy for one listener, or for one rule of a route.
fn look_at_sections(view: &View<'_>, own: &[Target<'_>], findings: &mut Vec<Finding>) {
    for target in own {
        let Some(section) = target.section else {
            continue;
        };
        let same = own.iter().filter(|other| other.is(target));
        let sections: Vec<Option<&str>> = same.map(|other| other.section).collect();
        let is_covered = |listener: Part<'_>| {
            let name = listener.node.text_at(&["name"]);
            sections.contains(&None) || sections.contains(&name)
        };
        let mut gateways = of_kind(view, "Gateway").filter(|it| name(*it) == target.name);
        let is_all = sections.contains(&None)
            || target.kind == "Gateway"
                && gateways
                    .next()
                    .is_some_and(|gateway| spec(gateway).items_of("listeners").all(is_covered));
        if !is_all {
            findings.push(
                Finding::warning(
                    Kind::RequestsLeftOut,
                    target.part.spot_of("section_name"),
                    "spec.targetRefs",
                    format!(
                        "is for {section} of {} {} only: requests to the rest of it pass the filter by",
                        target.kind, target.name
                    ),
                )
                .write("no sectionName, or every one of them"),
            );
        }
    }
}

/// An `EnvoyExtensionPolicy` without the filter, that may count in the place of ours.
fn look_at_other(view: &View<'_>, policy: Part<'_>, other: Part<'_>, findings: &mut Vec<Finding>) {
    let has_wasm = !spec(other).node.items_of("wasm").is_empty();
    if spec(other).get("merge_type").is_some() && !has_wasm {
        return;
    }
    let own = all_targets(view, policy);
    let Some((within, target)) = nearest(view, other, &own) else {
        return;
    };
    let (ours, other) = (title(policy), title(other));
    let what = format!("{} {}", target.kind, target.name);
    let spot = target.part.spot();
    let path = "spec.targetRefs";
    let kind = Kind::RouteWithoutFilter;
    let finding = match within {
        Within::Part => Finding::error(
            kind,
            spot,
            path,
            format!(
                "{other} has no filter and is attached to {what} itself: it counts there in the place of {ours}, and every request passes"
            ),
        ),
        Within::Perhaps => Finding::warning(
            kind,
            spot,
            path,
            format!(
                "{other} has no filter: if {what} is a part of what {ours} is for, every request there passes"
            ),
        ),
        Within::Same => Finding::warning(
            kind,
            spot,
            path,
            format!(
                "{other} is for what {ours} is for, and has no filter: only the older one counts"
            ),
        ),
        Within::No => return,
    };
    let instead = match (within, has_wasm) {
        (Within::Same, _) => "one policy with all of it, bearer-gate first in spec.wasm",
        (_, true) => "bearer-gate first in its spec.wasm, with the same config",
        (_, false) => "mergeType: StrategicMerge in its spec, which Envoy Gateway knows since 1.9",
    };
    findings.push(finding.write(instead));
}

fn look_at_security(view: &View<'_>, other: Part<'_>, findings: &mut Vec<Finding>) {
    let spec = spec(other);
    let title = title(other);
    let mut warn = |kind: Kind, field: &str, path: &str, text: String, instead: &str| {
        let finding = Finding::warning(kind, spec.spot_of(field), path, text);
        findings.push(finding.write(instead));
    };
    if spec.get("jwt").is_some() {
        warn(
            Kind::JwtAuthnBeside,
            "jwt",
            "spec.jwt",
            format!(
                "{title} asks for tokens before the filter does: what it refuses never comes to the filter, and two configurations are to be kept in step"
            ),
            "its rules in config, which `bearer-gate migrate` does, and take it out",
        );
    }
    for (field, path, how) in [
        ("oidc", "spec.oidc", "signs people in"),
        ("basic_auth", "spec.basicAuth", "asks for a password"),
        ("api_key_auth", "spec.apiKeyAuth", "asks for an API key"),
    ] {
        if spec.get(field).is_some() {
            warn(
                Kind::OtherAuthentication,
                field,
                path,
                format!("{title} {how} before the filter asks for a token: a request needs both"),
                "a target of its own for one of the two",
            );
        }
    }
    if spec.get("ext_auth").is_some() && order::is_before(view, order::EXT_AUTHZ) {
        warn(
            Kind::FilterOrder,
            "ext_auth",
            "spec.extAuth",
            format!(
                "{title} asks its service before the filter: that sees headers that the client may have forged"
            ),
            "filterOrder: [{name: envoy.filters.http.wasm, before: envoy.filters.http.ext_authz}] in the EnvoyProxy",
        );
    }
}

/// Credentials that routes give to everybody, where Envoy Gateway is told to do that before the filter; or in
/// whose place the filter tells of the token.
pub(super) fn look_at_credentials(
    view: &View<'_>,
    policy: Part<'_>,
    config: &Config,
    findings: &mut Vec<Finding>,
) {
    let routes: Vec<Part<'_>> = routes(view)
        .filter(|route| attached::is_of(view, *route, policy))
        .collect();
    for filter in of_kind(view, "HTTPRouteFilter") {
        let Some(injection) = spec(filter).get("credential_injection") else {
            continue;
        };
        let is_named = |route: &Part<'_>| {
            let mut filters = attached::filters(*route).into_iter();
            may_be_neighbours(*route, filter)
                && filters
                    .any(|one| one.node.text_at(&["extension_ref", "name"]) == Some(name(filter)))
        };
        if !routes.iter().any(is_named) {
            continue;
        }
        let named = injection.get("header");
        let header = named.and_then(|header| header.node.text());
        let header = header.unwrap_or("authorization");
        let part = named.unwrap_or(injection);
        findings.extend(match order::is_before(view, order::CREDENTIAL_INJECTOR) {
            true => injected::given(part, header, config),
            false => headers::set_at(part, header, "spec.credentialInjection.header", config),
        });
    }
}

/// A `ClientTrafficPolicy` that turns off what the rules depend on. By default Envoy Gateway normalizes
/// paths, and refuses headers with underscores.
pub(super) fn look_at_forms(
    view: &View<'_>,
    policy: Part<'_>,
    config: &Config,
    findings: &mut Vec<Finding>,
) {
    let own = all_targets(view, policy);
    let keeps = config.rules.all().iter().any(|rule| rule.escaped_slashes);
    let others = of_kind(view, "ClientTrafficPolicy");
    for other in others.filter(|other| may_be_neighbours(policy, *other)) {
        if !is_on_same(view, other, &own) {
            continue;
        }
        let at = |names: &[&str]| spec(other).at(names);
        let early = at(&["headers", "early_request_headers"]).into_iter();
        let early = early.flat_map(|early| {
            let lists = ["set", "add", "add_if_absent"].into_iter();
            lists.flat_map(move |list| early.items_of(list))
        });
        for header in early.filter_map(|header| header.get("name")) {
            let name = header.node.text().unwrap_or_default();
            findings.extend(injected::given(header, name, config));
        }
        let mut warn =
            |part: Option<Part<'_>>, kind: Kind, path: &str, text: &str, instead: &str| {
                if let Some(part) = part {
                    findings.push(Finding::warning(kind, part.spot(), path, text).write(instead));
                }
            };
        let merges = at(&["path", "disable_merge_slashes"]);
        warn(
            merges.filter(|it| it.node.is_true()),
            Kind::PathNormalization,
            "spec.path.disableMergeSlashes",
            "is true: the upstream may read a path in another way than the rules do",
            "disableMergeSlashes: false",
        );
        let action = at(&["path", "escaped_slashes_action"]);
        warn(
            action.filter(|it| it.node.text() == Some("KeepUnchanged") && !keeps),
            Kind::EscapedSlashes,
            "spec.path.escapedSlashesAction",
            "is KeepUnchanged: escaped slashes reach the filter, which answers 400",
            "escapedSlashesAction: RejectRequest",
        );
        warn(
            action.filter(|it| it.node.text() == Some("UnescapeAndForward") && !keeps),
            Kind::EscapedSlashes,
            "spec.path.escapedSlashesAction",
            "is UnescapeAndForward: what stands before Envoy has seen another path than the rules and the upstream do",
            "escapedSlashesAction: RejectRequest",
        );
        let is_kept = |it: &Part<'_>| it.node.text() == Some("KeepUnchanged");
        warn(
            action.filter(|it| keeps && !is_kept(it)),
            Kind::EscapedSlashes,
            "spec.path.escapedSlashesAction",
            "is not KeepUnchanged: a rule has escaped_slashes, and no escaped slash reaches it",
            "escapedSlashesAction: KeepUnchanged",
        );
        let underscores = at(&["headers", "with_underscores_action"]);
        warn(
            underscores.filter(|it| it.node.text() == Some("Allow")),
            Kind::Underscores,
            "spec.headers.withUnderscoresAction",
            "is Allow: many upstreams read X_User as X-User",
            "withUnderscoresAction: RejectRequest",
        );
        let received = at(&["timeout", "http", "request_received_timeout"]);
        findings.extend(received.and_then(|it| too_short(it, config)));
    }
}

/// A time in which a request must have come whole that is below what it may wait for. Envoy Gateway refuses what is no
/// duration.
fn too_short(received: Part<'_>, config: &Config) -> Option<Finding> {
    const PATH: &str = "spec.timeout.http.requestReceivedTimeout";
    let seconds = duration::seconds_of_go(received.node.text()?)?;
    let (text, least) = manager::too_short(seconds, Some(config))?;
    let finding = Finding::warning(Kind::RequestTimeout, received.spot(), PATH, text);
    Some(finding.write(format!("requestReceivedTimeout: {least}s")))
}
