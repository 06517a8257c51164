//! Which tokens a rule asks for: raw to valid (`JwtRequirement`).
//!
//! Invariants:
//! - A requirement names providers and schemes that exist, at least one.
//! - A session counts only where it is named. An optional token on its own does not name one.

use std::rc::Rc;

use super::place;
use super::text::only;
use super::vet::{named, refuse_empty_items, required_text};
use crate::config::id::{PerProvider, ProviderId};
use crate::config::read::error::{At, ConfigError};
use crate::config::read::raw_rule::{RawProviderAndAudiences, RawRequirements, RawRequires};
use crate::config::sign_in::{PerScheme, Scheme, SchemeId};
use crate::config::valid::{Demand, Otherwise, Provider, ProviderDemand, Requirement};
use crate::http::credentials::{self, Place};
use crate::jose::jwt::Expectations;

/// How many requirements may stand within one another, and beside one another.
const DEEPEST: usize = 16;
const WIDEST: usize = 64;

/// What requirements refer to by name.
#[derive(Clone, Copy)]
pub(super) struct Issuers<'n> {
    pub providers: &'n PerProvider<Provider>,
    pub schemes: &'n PerScheme<Scheme>,
}

pub(super) fn convert(raw: RawRequires, issuers: Issuers<'_>) -> Result<Rc<Demand>, ConfigError> {
    let mut places = Vec::new();
    let mut builder = Builder {
        providers: issuers.providers,
        schemes: issuers.schemes,
        places: &mut places,
    };
    let requirement = builder.requirement(raw, 0)?;
    for (at, place) in places.iter().enumerate() {
        place::vet(place, places.get(..at).unwrap_or_default())?;
    }
    let is_authorization = |place: &Place| place.is_in(credentials::AUTHORIZATION);
    Ok(Rc::new(Demand {
        is_by_authorization: places.iter().all(is_authorization)
            && requirement.schemes().is_empty(),
        requirement,
        places,
    }))
}

struct Builder<'p> {
    providers: &'p PerProvider<Provider>,
    schemes: &'p PerScheme<Scheme>,
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
            raw.session.0.map(|name| self.session(&name).at("session")),
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
        let provider = named(self.providers, "provider", name, &|known| &known.name)?;
        if audiences.is_some() && self.providers[provider].expectations.signer.is_some() {
            return Err(ConfigError::here(
                "has aws_alb: its tokens have no aud, so audiences would refuse each",
            ));
        }
        Ok(Requirement::Provider(self.demand(provider, audiences)))
    }

    fn session(&self, name: &str) -> Result<Requirement, ConfigError> {
        let scheme = named(self.schemes, "scheme", name, &|known| &known.name)?;
        Ok(Requirement::Provider(ProviderDemand {
            provider: self.schemes[scheme].provider,
            places: Vec::new(),
            session: Some(scheme),
            expectations: None,
        }))
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
        let mut earlier: Vec<Source> = Vec::new();
        for member in members {
            let mut own = Vec::new();
            member.sources(&mut own);
            own.retain(|source| !earlier.contains(source));
            for one in &earlier {
                for other in &own {
                    let outputs = |source: &Source| &self.providers[source.0].outputs;
                    if let Some(name) = outputs(one).shared_header(outputs(other)) {
                        let (one, other) = (self.words(*one), self.words(*other));
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

    /// What a source is called in a refusal.
    fn words(&self, (provider, scheme): Source) -> String {
        match scheme {
            Some(scheme) => format!("session {}", self.schemes[scheme].name),
            None => self.providers[provider].name.clone(),
        }
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
            session: None,
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

/// Whose claims are in a token or a session: a provider's tokens, or the sessions of a scheme.
type Source = (ProviderId, Option<SchemeId>);

impl Requirement {
    /// Every source that can have a part in it.
    fn sources(&self, found: &mut Vec<Source>) {
        match self {
            Self::Provider(demand) => found.push((demand.provider, demand.session)),
            Self::Any { members, .. } | Self::All(members) => {
                members.iter().for_each(|member| member.sources(found));
            }
        }
    }

    /// The schemes by which somebody may have to sign in, in its order; one may come several
    /// times.
    #[must_use]
    pub fn schemes(&self) -> Vec<SchemeId> {
        let mut sources = Vec::new();
        self.sources(&mut sources);
        sources
            .into_iter()
            .filter_map(|(_, scheme)| scheme)
            .collect()
    }

    /// Whether a request without any token can satisfy it.
    pub(super) fn admits_anonymous(&self) -> bool {
        match self {
            Self::Provider(_) => false,
            Self::Any { members, otherwise } => {
                *otherwise != Otherwise::Reject || members.iter().any(Self::admits_anonymous)
            }
            Self::All(members) => members.iter().all(Self::admits_anonymous),
        }
    }
}
