//! A rule: raw to valid.
//!
//! Invariant: a rule is public only where it says nothing of `requires`, `requirement_name` and
//! `authorize`; an empty or misspelt one is refused, for it would open the route.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::authorize::{self, Policies};
use super::error::{ConfigError, join, unknown};
use super::raw_rule::RawRule;
use super::{Access, Authorize, Demand, Provider, Rule, TokenAccess, requirement, route_match};

/// What rules refer to by name.
pub(super) struct Named<'n> {
    pub providers: &'n [Provider],
    pub requirements: &'n BTreeMap<String, Rc<Demand>>,
    pub policies: &'n Policies,
}

pub(super) fn convert(path: &str, raw: RawRule, named: &Named<'_>) -> Result<Rule, ConfigError> {
    let match_path = join(path, "match");
    let raw_match = raw
        .r#match
        .0
        .ok_or_else(|| ConfigError::new(&match_path, "required"))?;
    let matcher = route_match::convert(&match_path, raw_match)?;
    let demand = match (raw.requires.0, raw.requirement_name.0) {
        (None, None) => None,
        (Some(raw), None) => Some(requirement::convert(
            &join(path, "requires"),
            raw,
            named.providers,
        )?),
        (None, Some(name)) => Some(requirement_named(
            &join(path, "requirement_name"),
            &name,
            named.requirements,
        )?),
        (Some(_), Some(_)) => {
            return Err(ConfigError::new(
                path,
                "has both requires and requirement_name",
            ));
        }
    };
    let authorize_path = join(path, "authorize");
    let authorize = raw
        .authorize
        .0
        .map(|raw| authorize::convert(&authorize_path, raw, named.policies))
        .transpose()?;
    let access = match (demand, authorize) {
        (None, None) => Access::Public,
        (None, Some(_)) => {
            return Err(ConfigError::new(
                authorize_path,
                "needs requires: a rule without it is public",
            ));
        }
        (Some(demand), Some(_)) if demand.requirement.admits_anonymous() => {
            return Err(ConfigError::new(
                authorize_path,
                "contradicts allow_missing: a request without a token has no scopes and claims",
            ));
        }
        (Some(demand), authorize) => Access::Token(TokenAccess {
            demand,
            authorize: authorize.unwrap_or_else(Authorize::default),
        }),
    };
    let report_only = raw.report_only.0.unwrap_or(false);
    if report_only && matches!(access, Access::Public) {
        return Err(ConfigError::new(
            join(path, "report_only"),
            "changes nothing: the rule is public",
        ));
    }
    Ok(Rule {
        matcher,
        access,
        report_only,
    })
}

fn requirement_named(
    path: &str,
    name: &str,
    requirements: &BTreeMap<String, Rc<Demand>>,
) -> Result<Rc<Demand>, ConfigError> {
    requirements.get(name).map(Rc::clone).ok_or_else(|| {
        let names = requirements.keys().map(String::as_str);
        unknown(path, "requirement", name, names)
    })
}
