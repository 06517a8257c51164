//! Policies of Istio that read what its own authentication tells. Only a `RequestAuthentication`
//! tells it: beside the filter alone, nobody has a principal or claims.

use super::super::kubernetes::{may_meet, of_kind, spec, title};
use crate::finding::{Finding, Kind};
use crate::view::{Part, View};

pub(super) fn look_at(view: &View<'_>, resource: Part<'_>, findings: &mut Vec<Finding>) {
    let beside: Vec<Part<'_>> = of_kind(view, "RequestAuthentication")
        .filter(|other| may_meet(resource, *other))
        .collect();
    for other in &beside {
        findings.push(
            Finding::warning(
                Kind::JwtAuthnBeside,
                other.spot(),
                "RequestAuthentication",
                format!(
                    "{} looks at tokens too, behind the filter: a good token for the filter may be refused there, and two configurations are to be kept in step",
                    title(*other)
                ),
            )
            .write("its rules in pluginConfig, which `bearer-gate migrate` does, and take it out"),
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

/// What a rule asks of a token.
#[derive(Default)]
struct Asked<'d> {
    /// Never true: a principal or a claim that has to be there.
    positive: Option<Part<'d>>,
    /// Always true: one that must not be there.
    negative: Option<Part<'d>>,
}

fn look_at_policy(policy: Part<'_>, findings: &mut Vec<Finding>) {
    let action = policy.node.text_at(&["spec", "action"]);
    for rule in spec(policy).items_of("rules") {
        let asked = asked(rule);
        let finding = match (action.unwrap_or("ALLOW"), asked.positive, asked.negative) {
            ("DENY", Some(part), _) => Finding::error(
                Kind::MetadataUnset,
                part.spot(),
                "AuthorizationPolicy",
                format!(
                    "a rule of {} denies by what a RequestAuthentication tells, and there is none: it denies nobody",
                    title(policy)
                ),
            ),
            ("ALLOW", None, Some(part)) => Finding::error(
                Kind::MetadataUnset,
                part.spot(),
                "AuthorizationPolicy",
                format!(
                    "a rule of {} allows those of whom a RequestAuthentication tells nothing, and there is none: it allows everybody",
                    title(policy)
                ),
            ),
            (_, Some(part), _) | (_, None, Some(part)) => Finding::warning(
                Kind::MetadataUnset,
                part.spot(),
                "AuthorizationPolicy",
                format!(
                    "a rule of {} reads what a RequestAuthentication tells, and there is none: good users are turned away",
                    title(policy)
                ),
            ),
            (_, None, None) => continue,
        };
        findings.push(
            finding
                .write("the condition in rules of pluginConfig, which `bearer-gate migrate` does"),
        );
    }
}

fn asked(rule: Part<'_>) -> Asked<'_> {
    let mut asked = Asked::default();
    // Sources are alternatives: each of them has to ask.
    let sources: Vec<Part<'_>> = rule
        .items_of("from")
        .filter_map(|from| from.get("source"))
        .collect();
    let all_have = |name: &str| {
        let first = sources.first()?.get(name)?;
        let all = sources.iter().all(|source| source.get(name).is_some());
        all.then_some(first)
    };
    asked.positive = all_have("request_principals");
    asked.negative = all_have("not_request_principals");
    for condition in rule.items_of("when") {
        let key = condition.node.text_at(&["key"]).unwrap_or_default();
        if !key.starts_with("request.auth.") {
            continue;
        }
        asked.positive = asked.positive.or(condition.get("values"));
        asked.negative = asked.negative.or(condition.get("not_values"));
    }
    asked
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
