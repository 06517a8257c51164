//! Policies of Istio that read what its own authentication tells. Only a `RequestAuthentication`
//! tells it: beside the filter alone, nobody has a principal or claims.

use bearer_gate::config::Config;

use super::super::filters::forwards;
use super::super::kubernetes::{may_meet, of_kind, spec, title};
use crate::finding::{Finding, Kind};
use crate::view::{Part, View};

pub(super) fn look_at(
    view: &View<'_>,
    resource: Part<'_>,
    config: Option<&Config>,
    findings: &mut Vec<Finding>,
) {
    let beside: Vec<Part<'_>> = of_kind(view, "RequestAuthentication")
        .filter(|other| may_meet(resource, *other))
        .collect();
    // with tokens that are handed on, both may look at them
    let is_handed_on = config.is_some_and(forwards);
    for other in beside.iter().filter(|_| !is_handed_on) {
        findings.push(
            Finding::warning(
                Kind::JwtAuthnBeside,
                other.spot(),
                "RequestAuthentication",
                format!(
                    "{} looks at tokens too, behind the filter, which takes Authorization away: nobody has a token there",
                    title(*other)
                ),
            )
            .write("its rules in pluginConfig, which `bearer-gate migrate` does, and take it out; or forward: true in the filter's providers"),
        );
    }
    if !beside.is_empty() {
        return;
    }
    for policy in of_kind(view, "AuthorizationPolicy").filter(|policy| may_meet(resource, *policy))
    {
        look_at_policy(policy, findings);
    }
    for service in of_kind(view, "VirtualService") {
        look_at_routes(service, findings);
    }
}

/// What one of a rule's alternatives asks of a token.
struct Asked<'d> {
    /// A rule asks for a principal or a claim, which no request has any more.
    positive: Option<Part<'d>>,
    /// One that must not be there, and so passes always.
    negative: Option<Part<'d>>,
}

fn look_at_policy(policy: Part<'_>, findings: &mut Vec<Finding>) {
    let action = policy.node.text_at(&["spec", "action"]).unwrap_or("ALLOW");
    for rule in spec(policy).items_of("rules") {
        let asked = asked(rule);
        let positive = || asked.iter().find_map(|asked| asked.positive);
        let negative = || {
            let open = asked.iter().filter(|asked| asked.positive.is_none());
            open.filter_map(|asked| asked.negative).next()
        };
        let (part, is_error, text) = match (action, positive(), negative()) {
            ("DENY", Some(part), _) => (
                part,
                true,
                "denies whom a RequestAuthentication tells of, and there is none: it denies nobody",
            ),
            ("CUSTOM", Some(part), _) => (
                part,
                true,
                "asks its provider about whom a RequestAuthentication tells of, and there is none: it asks about nobody",
            ),
            ("ALLOW", _, Some(part)) => (
                part,
                true,
                "allows those of whom a RequestAuthentication tells nothing, and there is none: it allows everybody",
            ),
            ("ALLOW", Some(part), None) => (
                part,
                false,
                "allows whom a RequestAuthentication tells of, and there is none: good users are turned away",
            ),
            ("DENY", None, Some(part)) => (
                part,
                false,
                "denies those of whom a RequestAuthentication tells nothing, and there is none: good users are turned away",
            ),
            _ => continue,
        };
        let new = if is_error {
            Finding::error
        } else {
            Finding::warning
        };
        let text = format!("a rule of {} {text}", title(policy));
        findings.push(
            new(
                Kind::MetadataUnset,
                part.spot(),
                "AuthorizationPolicy",
                text,
            )
            .write("the condition in rules of pluginConfig, which `bearer-gate migrate` does"),
        );
    }
}

/// The alternatives of a rule: each of its sources, with all its conditions.
fn asked(rule: Part<'_>) -> Vec<Asked<'_>> {
    let conditions: Vec<Part<'_>> = rule
        .items_of("when")
        .filter(|condition| {
            let key = condition.node.text_at(&["key"]);
            key.is_some_and(|key| key.starts_with("request.auth."))
        })
        .collect();
    let of_conditions = |name: &str| conditions.iter().find_map(|condition| condition.get(name));
    let mut sources: Vec<Option<Part<'_>>> = rule
        .items_of("from")
        .map(|from| from.get("source"))
        .collect();
    if sources.is_empty() {
        sources.push(None);
    }
    let sources = sources.into_iter();
    sources
        .map(|source| Asked {
            positive: source
                .and_then(|source| source.get("request_principals"))
                .or_else(|| of_conditions("values")),
            negative: source
                .and_then(|source| source.get("not_request_principals"))
                .or_else(|| of_conditions("not_values")),
        })
        .collect()
}

/// Routes by claims.
fn look_at_routes(service: Part<'_>, findings: &mut Vec<Finding>) {
    const CLAIMS: &str = "@request.auth.claims";
    for route in spec(service).items_of("http") {
        for matched in route.items_of("match") {
            for headers in ["headers", "without_headers"] {
                let Some(headers) = matched.get(headers) else {
                    continue;
                };
                let members = headers.node.entries().iter();
                for member in members.filter(|member| member.name.starts_with(CLAIMS)) {
                    findings.push(
                        Finding::warning(
                            Kind::MetadataUnset,
                            headers.with(&member.node).spot(),
                            "VirtualService",
                            format!(
                                "a route of {} is chosen by claims that a RequestAuthentication tells, and there is none: requests go to another route",
                                title(service)
                            ),
                        )
                        .write("a header of claim_to_headers"),
                    );
                }
            }
        }
    }
}
