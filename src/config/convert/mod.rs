//! From what is written to what is valid, in one place for each kind.
//!
//! Invariant: the first problem is reported with the field's path, and a configuration with a
//! problem is refused as a whole.

mod alb;
mod authorize;
mod client;
mod errors;
mod fleet_store;
mod header;
mod issuer;
mod keys;
mod outputs;
mod place;
mod provider;
mod requirement;
mod resource;
mod route_match;
mod rule;
mod scheme;
mod secret;
mod session;
mod sign_in;
mod text;
mod vet;

use std::rc::Rc;

use super::id::PerProvider;
use super::read::encoding;
use super::read::error::{At, ConfigError};
use super::read::raw::{RawConfig, RawUnmatched};
use super::read::value::{FromTree, Given, Whole, each};
use super::sign_in::{Environment, PerScheme, SignIn};
use super::valid::{
    Config, Demand, OfRoutes, Permissions, Provider, REPORT_HEADER, Reads, Rule, Rules,
    TokenAccess, Unmatched,
};
use crate::http::response::{Responses, is_quotable};
use crate::jose::verifier::Verifier;
use crate::named::Named;

use provider::Supported;
use requirement::Issuers;

/// The realm of challenges where the configuration names none.
const DEFAULT_REALM: &str = "api";
/// Requests that may wait for keys, or for answers, per worker, where the configuration does not say.
const DEFAULT_MAX_WAITING: u64 = 1024;
/// The most that may be configured: waiting requests hold memory (Envoy buffers their bodies).
const MOST_WAITING: u64 = 65_536;
/// The longest realm, in bytes; a challenge should stay far below Envoy's limit for headers.
const LONGEST_REALM: usize = 256;

impl Config {
    /// Parses the plugin's configuration: a Struct as Envoy hands it over, or the JSON text of
    /// a StringValue. Every algorithm may be named, wherever it can be verified, and no
    /// environment variable is set.
    ///
    /// # Errors
    /// The first problem found, with the path of its field.
    pub fn parse(bytes: &[u8]) -> Result<Self, ConfigError> {
        Self::parse_in(bytes, &|_| None)
    }

    /// The same, where environment variables are set.
    ///
    /// # Errors
    /// As [`Config::parse`].
    pub fn parse_in(bytes: &[u8], environment: Environment<'_>) -> Result<Self, ConfigError> {
        Self::parse_with(bytes, &|_| true, environment)
    }

    /// Parses it for a verifier: an algorithm that it does not support cannot be named, and is
    /// not among those of a provider that names none.
    ///
    /// # Errors
    /// As [`Config::parse`].
    pub fn parse_for(
        bytes: &[u8],
        verifier: &dyn Verifier,
        environment: Environment<'_>,
    ) -> Result<Self, ConfigError> {
        let is_supported = |algorithm| verifier.supports(algorithm);
        Self::parse_with(bytes, &is_supported, environment)
    }

    fn parse_with(
        bytes: &[u8],
        is_supported: Supported<'_>,
        environment: Environment<'_>,
    ) -> Result<Self, ConfigError> {
        if bytes.trim_ascii().is_empty() {
            return Err(ConfigError::here("is missing"));
        }
        let tree = encoding::decode(bytes)?;
        let raw = RawConfig::from_tree(tree)?;
        Self::from_raw(raw, is_supported, environment)
    }

    fn from_raw(
        raw: RawConfig,
        is_supported: Supported<'_>,
        environment: Environment<'_>,
    ) -> Result<Self, ConfigError> {
        let facts = outputs::facts(&raw.filter_state.0.unwrap_or_default()).at("filter_state")?;
        let mut providers = Vec::new();
        for (name, raw) in raw.providers.entries() {
            let provider = provider::convert(name.clone(), raw, &facts, is_supported);
            providers.push(provider.at(&name).at("providers")?);
        }
        let providers = PerProvider::new(providers);
        let sign_in = raw
            .sign_in
            .0
            .map(|raw| sign_in::convert(raw, &providers, environment).at("sign_in"))
            .transpose()?;
        let fleet_store = raw.shared_store.0.map(|raw| {
            let store = fleet_store::convert(raw, sign_in.as_ref());
            store.at("shared_store")
        });
        if fleet_store.is_none() {
            let schemes = sign_in.iter().flat_map(|sign_in| &sign_in.schemes);
            fleet_store::vet_without(schemes)
                .at("schemes")
                .at("sign_in")?;
        }
        let no_schemes = PerScheme::new(Vec::new());
        let issuers = Issuers {
            providers: &providers,
            schemes: sign_in
                .as_ref()
                .map_or(&no_schemes, |sign_in| &sign_in.schemes),
        };
        let mut requirements = Named::default();
        for (name, raw) in raw.requirement_map.entries() {
            let demand = requirement::convert(raw, issuers);
            requirements.insert(&name, demand.at(&name).at("requirement_map")?);
        }
        let of_routes = raw
            .route_metadata
            .0
            .map(|namespace| of_routes(namespace, &requirements).at("route_metadata"))
            .transpose()?;
        let policies = authorize::policies(raw.policies.entries()).at("policies")?;
        let known = rule::Known {
            issuers,
            requirements: &requirements,
            policies: &policies,
            of_routes: of_routes.is_some(),
        };
        let rules = each(raw.rules.0.unwrap_or_default(), &mut |raw| {
            rule::convert(raw, &known)
        })
        .at("rules")?;
        let bypass_cors_preflight = raw.bypass_cors_preflight.0.unwrap_or(false);

        let realm = realm(raw.realm).at("realm")?;
        let protected_resource = raw
            .protected_resource
            .0
            .map(|raw| resource::convert(raw).at("protected_resource"))
            .transpose()?;
        let mut responses = Responses {
            realm,
            strip: raw.strip_failure_response.0.unwrap_or(false),
            resource_metadata: protected_resource
                .as_ref()
                .map(|resource| resource.url.clone()),
            ..Responses::default()
        };
        errors::convert(raw.errors.0.unwrap_or_default(), &mut responses).at("errors")?;
        let max_waiting = raw
            .max_waiting
            .0
            .map_or(DEFAULT_MAX_WAITING, |Whole(number)| number);
        vet::at_most(MOST_WAITING, max_waiting).at("max_waiting")?;

        Ok(Self {
            reads: Reads::new(
                &rules,
                of_routes.as_ref(),
                bypass_cors_preflight,
                protected_resource.is_some(),
                sign_in.is_some(),
            ),
            bypass_cors_preflight,
            of_routes,
            reserved_headers: reserved_headers(&providers, &rules, sign_in.as_ref()),
            unmatched: match raw.unmatched.0 {
                Some(RawUnmatched::Allow) => Unmatched::Allow,
                Some(RawUnmatched::Deny) | None => Unmatched::Deny,
            },
            providers,
            rules: Rules::new(rules),
            responses,
            protected_resource,
            max_waiting: usize::try_from(max_waiting).unwrap_or(usize::MAX),
            facts,
            sign_in,
            fleet_store: fleet_store.transpose()?,
        })
    }
}

fn realm(realm: Given<String>) -> Result<String, ConfigError> {
    let realm = realm.0.unwrap_or_else(|| DEFAULT_REALM.to_owned());
    if realm.is_empty() || realm.len() > LONGEST_REALM || !realm.chars().all(is_quotable) {
        return Err(ConfigError::here(&format!(
            "must be 1 to {LONGEST_REALM} printable ASCII characters without \" and \\"
        )));
    }
    Ok(realm)
}

fn reserved_headers(
    providers: &PerProvider<Provider>,
    rules: &[Rule],
    sign_in: Option<&SignIn>,
) -> Vec<String> {
    let schemes = sign_in.into_iter().flat_map(|sign_in| &sign_in.schemes);
    let id_tokens = schemes.filter_map(|scheme| scheme.forward_id_token_header.as_deref());
    let reports = rules.iter().any(|rule| rule.report_only);
    let mut reserved = Named::default();
    for name in providers
        .iter()
        .flat_map(|provider| provider.outputs.headers_set())
        .chain(reports.then_some(REPORT_HEADER))
        .chain(id_tokens)
    {
        reserved.insert(name, ());
    }
    reserved.into_names()
}

fn of_routes(namespace: String, requirements: &Named<Rc<Demand>>) -> Result<OfRoutes, ConfigError> {
    if namespace.is_empty() || requirements.is_empty() {
        return Err(ConfigError::here(
            "needs a namespace of metadata, and a requirement_map whose names routes can use",
        ));
    }
    let mut by_name = Named::default();
    for (name, demand) in requirements.iter() {
        let access = TokenAccess {
            demand: Rc::clone(demand),
            authorize: Permissions::default(),
        };
        by_name.insert(name, access);
    }
    Ok(OfRoutes { namespace, by_name })
}
