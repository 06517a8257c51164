//! Which tokens a rule asks for: raw to valid (`JwtRequirement`).
//!
//! Invariant: a requirement names providers that exist, at least one.

use std::rc::Rc;

use super::text::only;
use super::vet::{refuse_empty_items, required_text};
use crate::config::id::{PerProvider, ProviderId};
use crate::config::read::error::{At, ConfigError, unknown};
use crate::config::read::raw_rule::{RawProviderAndAudiences, RawRequirements, RawRequires};
use crate::config::valid::{Demand, Otherwise, Provider, ProviderDemand, Requirement};
use crate::http::credentials::Place;
use crate::jose::jwt::Expectations;

/// How many requirements may stand within one another, and beside one another.
const DEEPEST: usize = 16;
const WIDEST: usize = 64;

pub(super) fn convert(
    raw: RawRequires,
    providers: &PerProvider<Provider>,
) -> Result<Rc<Demand>, ConfigError> {
    let mut places = Vec::new();
    let mut builder = Builder {
        providers,
        places: &mut places,
    };
    let requirement = builder.requirement(raw, 0)?;
    Ok(Rc::new(Demand {
        requirement,
        places,
    }))
}

struct Builder<'p> {
    providers: &'p PerProvider<Provider>,
    places: &'p mut Vec<Place>,
}

impl Builder<'_> {
    fn requirement(&mut self, raw: RawRequires, depth: usize) -> Result<Requirement, ConfigError> {
        if depth >= DEEPEST {
            return Err(ConfigError::here(&format!(
                "more than {DEEPEST} requirements within one another"
            )));
        }
        let requirement = only([
            raw.provider_name
                .0
                .map(|name| self.provider(&name, None).at("provider_name")),
            raw.provider_and_audiences
                .0
                .map(|raw| self.with_audiences(raw).at("provider_and_audiences")),
            raw.requires_any
                .0
                .map(|raw| self.any(raw, depth).at("requires_any")),
            raw.requires_all
                .0
                .map(|raw| self.all(raw, depth).at("requires_all")),
            raw.allow_missing
                .0
                .map(|_| Ok(self.optional(Otherwise::AllowMissing))),
            raw.allow_missing_or_failed
                .0
                .map(|_| Ok(self.optional(Otherwise::AllowMissingOrFailed))),
        ]);
        requirement.unwrap_or_else(|| {
            Err(ConfigError::here(
                "exactly one of provider_name, provider_and_audiences, requires_any, requires_all, allow_missing and allow_missing_or_failed is required (leave requires out for a public rule)",
            ))
        })
    }

    fn with_audiences(&mut self, raw: RawProviderAndAudiences) -> Result<Requirement, ConfigError> {
        let name = required_text(raw.provider_name).at("provider_name")?;
        let audiences = raw.audiences.0.unwrap_or_default();
        refuse_empty_items(&audiences).at("audiences")?;
        // as in jwt_authn: none here are the provider's own
        let audiences = Some(audiences).filter(|audiences| !audiences.is_empty());
        self.provider(&name, audiences).at("provider_name")
    }

    fn provider(
        &mut self,
        name: &str,
        audiences: Option<Vec<String>>,
    ) -> Result<Requirement, ConfigError> {
        let names = &mut self.providers.iter().map(|known| known.name.as_str());
        let mut entries = self.providers.entries();
        let provider = entries.find(|(_, known)| known.name == name);
        let (provider, _) = provider.ok_or_else(|| unknown("provider", name, names))?;
        Ok(Requirement::Provider(self.demand(provider, audiences)))
    }

    fn any(&mut self, raw: RawRequirements, depth: usize) -> Result<Requirement, ConfigError> {
        let mut members = Vec::new();
        let mut otherwise = Otherwise::Reject;
        for (index, raw) in list(raw)?.into_iter().enumerate() {
            // One within a requires_any of its own is about every provider, as by itself.
            let here = if raw.allow_missing_or_failed.0.is_some() {
                Otherwise::AllowMissingOrFailed
            } else if raw.allow_missing.0.is_some() {
                Otherwise::AllowMissing
            } else {
                Otherwise::Reject
            };
            let places = self.places.len();
            let member = self.member(index, raw, depth)?;
            if here == Otherwise::Reject {
                members.push(member);
                continue;
            }
            // It is not about places of its own here.
            self.places.truncate(places);
            // As in jwt_authn these two are about what the others come to, wherever they stand,
            // and the more lenient one counts.
            otherwise = otherwise.max(here);
        }
        if members.is_empty() {
            return Ok(self.optional(otherwise));
        }
        Ok(Requirement::Any { members, otherwise })
    }

    /// By itself it is about every provider.
    fn optional(&mut self, otherwise: Otherwise) -> Requirement {
        let demands = self
            .providers
            .ids()
            .map(|provider| self.demand(provider, None));
        Requirement::Any {
            members: demands.map(Requirement::Provider).collect(),
            otherwise,
        }
    }

    fn all(&mut self, raw: RawRequirements, depth: usize) -> Result<Requirement, ConfigError> {
        let mut members = Vec::new();
        for (index, raw) in list(raw)?.into_iter().enumerate() {
            members.push(self.member(index, raw, depth)?);
        }
        self.vet_headers(&members)?;
        Ok(Requirement::All(members))
    }

    /// Tokens that are there together set no header both: the upstream would read the user of one
    /// and the roles of the other, where only one of them has a claim.
    fn vet_headers(&self, members: &[Requirement]) -> Result<(), ConfigError> {
        let mut earlier: Vec<ProviderId> = Vec::new();
        for member in members {
            let mut own = Vec::new();
            member.providers(&mut own);
            own.retain(|provider| !earlier.contains(provider));
            for one in earlier.iter().map(|id| &self.providers[*id]) {
                for other in own.iter().map(|id| &self.providers[*id]) {
                    if let Some(name) = one.outputs.shared_header(&other.outputs) {
                        let (one, other) = (&one.name, &other.name);
                        return Err(ConfigError::here(&format!(
                            "{one} and {other} both set {name}: with a token of each, the upstream could not tell whose it is"
                        )));
                    }
                }
            }
            earlier.append(&mut own);
        }
        Ok(())
    }

    fn member(
        &mut self,
        index: usize,
        raw: RawRequires,
        depth: usize,
    ) -> Result<Requirement, ConfigError> {
        self.requirement(raw, depth + 1)
            .at_item(index)
            .at("requirements")
    }

    fn demand(&mut self, provider: ProviderId, audiences: Option<Vec<String>>) -> ProviderDemand {
        let declared = &self.providers[provider];
        let places = declared.places.iter().map(|place| {
            let known = self.places.iter().position(|known| known == place);
            known.unwrap_or_else(|| {
                self.places.push(place.clone());
                self.places.len() - 1
            })
        });
        let places = places.collect();
        let expectations = audiences.map(|audiences| {
            Box::new(Expectations {
                audiences,
                ..declared.expectations.clone()
            })
        });
        ProviderDemand {
            provider,
            places,
            expectations,
        }
    }
}

fn list(raw: RawRequirements) -> Result<Vec<RawRequires>, ConfigError> {
    let members = raw.requirements.0.unwrap_or_default();
    // Envoy asks for two: with one it would say nothing.
    if members.len() < 2 {
        return Err(ConfigError::new(
            "requirements",
            "must have 2 members at least",
        ));
    }
    if members.len() > WIDEST {
        let problem = format!("must have {WIDEST} members at most");
        return Err(ConfigError::new("requirements", &problem));
    }
    Ok(members)
}

impl Requirement {
    /// Every provider whose token can have a part in it.
    fn providers(&self, found: &mut Vec<ProviderId>) {
        match self {
            Requirement::Provider(demand) => found.push(demand.provider),
            Requirement::Any { members, .. } | Requirement::All(members) => {
                members.iter().for_each(|member| member.providers(found));
            }
        }
    }

    /// Whether a request without any token can satisfy it.
    pub(super) fn admits_anonymous(&self) -> bool {
        match self {
            Requirement::Provider(_) => false,
            Requirement::Any { members, otherwise } => {
                *otherwise != Otherwise::Reject || members.iter().any(Requirement::admits_anonymous)
            }
            Requirement::All(members) => members.iter().all(Requirement::admits_anonymous),
        }
    }
}
