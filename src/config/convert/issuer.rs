//! Whose tokens a provider takes: raw to valid.
//!
//! Invariant: every issuer, and every tenant of one, passes only where the configuration says so.

use std::mem::take;

use super::vet::not_empty;
use crate::config::read::error::{At, ConfigError};
use crate::config::read::raw::RawProvider;
use crate::config::read::value::{Given, each_once, filled};
use crate::jose::issuer::{Issuer, TENANT_ID, Tenants};
use crate::jose::spiffe::is_trust_domain;
use crate::text::is_uuid;

const NO_TRUST_DOMAIN: &str = "must be the name of a trust domain alone, such as example.org: 1 to 255 of a-z, 0-9, ., - and _";

pub(super) fn convert(raw: &mut RawProvider) -> Result<Issuer, ConfigError> {
    if let Some(name) = take(&mut raw.trust_domain).0 {
        return of_trust_domain(name, raw);
    }
    let given = (take(&mut raw.issuer).0, take(&mut raw.issuers).0);
    let any = raw.any_issuer.0 == Some(true);
    let refuse = |field: &str, problem: &str| Err(ConfigError::new(field, problem));
    let issuer = match given {
        (Some(_), _) if any => return refuse("any_issuer", "contradicts issuer"),
        (_, Some(_)) if any => return refuse("any_issuer", "contradicts issuers"),
        (Some(_), Some(_)) => return refuse("issuers", "contradicts issuer"),
        (None, None) if any => Issuer::Any,
        (None, None) => {
            return refuse(
                "issuer",
                "required (or issuers, trust_domain, or any_issuer: true)",
            );
        }
        (Some(one), None) => Issuer::One(not_empty(one).at("issuer")?),
        (None, Some(several)) => {
            let several = filled(several).and_then(|several| each_once(&several, &literal));
            Issuer::Several(several.at("issuers")?)
        }
    };
    match issuer {
        Issuer::One(template) if template.contains(TENANT_ID) => of_tenants(template, raw),
        _ if raw.tenants.0.is_some() => refuse("tenants", "needs {tenantid} in issuer"),
        _ if raw.any_tenant.0 == Some(true) => refuse("any_tenant", "needs {tenantid} in issuer"),
        issuer => Ok(issuer),
    }
}

/// The fields that say otherwise than SPIFFE (JWT-SVID sections 2 and 3) are refused.
fn of_trust_domain(name: String, raw: &RawProvider) -> Result<Issuer, ConfigError> {
    let is = |given: &Given<bool>, said: bool| given.0 == Some(said);
    for (field, is_given) in [
        ("issuer", raw.issuer.0.is_some()),
        ("issuers", raw.issuers.0.is_some()),
        ("any_issuer", is(&raw.any_issuer, true)),
        ("tenants", raw.tenants.0.is_some()),
        ("any_tenant", is(&raw.any_tenant, true)),
        ("any_audience", is(&raw.any_audience, true)),
        ("token_type", raw.token_type.0.is_some()),
        ("aws_alb", raw.aws_alb.0.is_some()),
        ("require_expiration", is(&raw.require_expiration, false)),
    ] {
        if is_given {
            return Err(ConfigError::new(field, "contradicts trust_domain"));
        }
    }
    if !is_trust_domain(&name) {
        return Err(ConfigError::new("trust_domain", NO_TRUST_DOMAIN));
    }
    Ok(Issuer::TrustDomain(name))
}

fn literal(text: &str) -> Result<String, ConfigError> {
    if text.contains(TENANT_ID) {
        return Err(ConfigError::here(
            "has {tenantid}: that is for issuer alone",
        ));
    }
    not_empty(text.to_owned())
}

fn of_tenants(template: String, raw: &mut RawProvider) -> Result<Issuer, ConfigError> {
    if template.matches(TENANT_ID).nth(1).is_some() {
        return Err(ConfigError::new("issuer", "has {tenantid} more than once"));
    }
    let ids = match (take(&mut raw.tenants).0, raw.any_tenant.0 == Some(true)) {
        (Some(_), true) => return Err(ConfigError::new("any_tenant", "contradicts tenants")),
        (Some(ids), false) => {
            let ids = filled(ids).and_then(|ids| each_once(&ids, &tenant_id));
            Some(ids.at("tenants")?)
        }
        (None, true) => None,
        (None, false) => {
            return Err(ConfigError::new(
                "tenants",
                "required by {tenantid} in issuer (or any_tenant: true)",
            ));
        }
    };
    Ok(Issuer::OfTenants(Tenants { template, ids }))
}

fn tenant_id(text: &str) -> Result<String, ConfigError> {
    if is_uuid(text) {
        Ok(text.to_owned())
    } else {
        Err(ConfigError::here(
            "must be a tenant's id: a UUID in lower case",
        ))
    }
}
