//! A rule: raw to valid.
//!
//! Invariant: a rule is public only where it says nothing of `requires`, `requirement_name` and
//! `authorize`; an empty or misspelt one is refused, for it would open the route.

use std::rc::Rc;

use super::authorize;
use super::requirement::{self, Issuers};
use super::route_match;
use crate::config::read::error::{At, ConfigError, REQUIRED, resolve};
use crate::config::read::raw_rule::RawRule;
use crate::config::read::raw_sign_in::RawUnauthenticated;
use crate::config::sign_in::{OwnPath, SchemeId, Unauthenticated};
use crate::config::valid::{Access, Demand, Permissions, Requirement, Rule, TokenAccess};
use crate::named::Named;

/// What rules refer to by name.
pub(super) struct Known<'n> {
    pub issuers: Issuers<'n>,
    pub requirements: &'n Named<Rc<Demand>>,
    pub policies: &'n Named<Permissions>,
    /// Whether routes can ask for tokens in place of the rules.
    pub of_routes: bool,
}

/// People choose among several schemes by their links.
fn vet_choice(requirement: &Requirement, issuers: Issuers<'_>) -> Result<(), ConfigError> {
    let ids = requirement.schemes();
    let is_choice = ids.iter().any(|id| ids.first() != Some(id));
    let lacks_link = |id: &SchemeId| issuers.schemes[*id].path(OwnPath::SignIn).is_none();
    match ids.into_iter().find(lacks_link).filter(|_| is_choice) {
        Some(id) => Err(ConfigError::here(&format!(
            "takes sessions of several schemes, and {} has no signin_path: people choose by it",
            issuers.schemes[id].name
        ))),
        None => Ok(()),
    }
}

pub(super) fn convert(raw: RawRule, known: &Known<'_>) -> Result<Rule, ConfigError> {
    let raw_match = raw
        .r#match
        .0
        .ok_or_else(|| ConfigError::new("match", REQUIRED))?;
    let matcher = route_match::convert(raw_match).at("match")?;
    let demand = match (raw.requires.0, raw.requirement_name.0) {
        (None, None) => None,
        (Some(raw), None) => Some(requirement::convert(raw, known.issuers).at("requires")?),
        (None, Some(name)) => {
            let demand = resolve(known.requirements, "requirement", &name);
            Some(Rc::clone(demand.at("requirement_name")?))
        }
        (Some(_), Some(_)) => {
            return Err(ConfigError::here("has both requires and requirement_name"));
        }
    };
    let authorize = raw
        .authorize
        .0
        .map(|raw| authorize::convert(raw, known.policies).at("authorize"))
        .transpose()?;
    let access = match (demand, authorize) {
        (None, None) => Access::Public,
        (None, Some(_)) => {
            return Err(ConfigError::new(
                "authorize",
                "needs requires: a rule without it is public",
            ));
        }
        (Some(demand), Some(_)) if demand.requirement.admits_anonymous() => {
            return Err(ConfigError::new(
                "authorize",
                "contradicts allow_missing: a request without a token has no scopes and claims",
            ));
        }
        (Some(demand), authorize) => Access::Token(TokenAccess {
            demand,
            authorize: authorize.unwrap_or_default(),
        }),
    };
    if let Access::Token(access) = &access {
        vet_choice(&access.demand.requirement, known.issuers)?;
    }
    let report_only = raw.report_only.0.unwrap_or(false);
    if report_only && matches!(access, Access::Public) {
        return Err(ConfigError::new(
            "report_only",
            "changes nothing: the rule is public",
        ));
    }
    let escaped_slashes = raw.escaped_slashes.0.unwrap_or(false);
    let passes_without_token = match &access {
        Access::Token(access) => report_only || access.demand.requirement.admits_anonymous(),
        Access::Public => true,
    };
    if escaped_slashes && (passes_without_token || known.of_routes) {
        return Err(ConfigError::new(
            "escaped_slashes",
            "is for rules that let nobody through without a token, and not beside route_metadata",
        ));
    }
    let unauthenticated = raw.unauthenticated.0;
    let takes_session = match &access {
        Access::Token(access) => !access.demand.requirement.schemes().is_empty(),
        Access::Public => false,
    };
    if unauthenticated.is_some() && !takes_session {
        return Err(ConfigError::new(
            "unauthenticated",
            "changes nothing: the rule takes no session",
        ));
    }
    Ok(Rule {
        matcher,
        access,
        report_only,
        escaped_slashes,
        unauthenticated: match unauthenticated {
            Some(RawUnauthenticated::Auto) | None => Unauthenticated::Auto,
            Some(RawUnauthenticated::Redirect) => Unauthenticated::Redirect,
            Some(RawUnauthenticated::Unauthorized) => Unauthenticated::Unauthorized,
        },
    })
}
