//! A provider: raw to valid.
//!
//! Invariant: what jwt_authn takes for "any" when it is left out (issuer, audiences) must be
//! said here.

use super::vet::{at_most, listed_or_any, refuse_empty_items};
use super::{alb, issuer, keys, outputs, place, text};
use crate::config::read::error::{At, ConfigError};
use crate::config::read::raw::{RawCacheConfig, RawProvider, RawTokenType};
use crate::config::read::value::{Given, Whole, each_once, filled};
use crate::config::valid::{CacheBounds, Fact, Provider};
use crate::jose::base64url::Spelling;
use crate::jose::issuer::Issuer;
use crate::jose::jwa::{Algorithm, KeyType};
use crate::jose::jwt::Expectations;
use crate::jose::token_type::TokenType;

/// Whether there is a verifier for an algorithm.
pub(super) type Supported<'a> = &'a dyn Fn(Algorithm) -> bool;

/// As in jwt_authn.
const DEFAULT_CLOCK_SKEW_SECONDS: u64 = 60;
/// A leeway of more than a day would make `exp` meaningless.
const MOST_CLOCK_SKEW_SECONDS: u64 = 86_400;
/// RFC 8693 section 4.2, Microsoft Entra ID, Auth0.
const DEFAULT_SCOPE_CLAIMS: [&str; 3] = ["scope", "scp", "permissions"];
/// The longest name of a provider, in bytes: it is part of the names of metrics.
const LONGEST_NAME: usize = 128;

/// Cached tokens hold memory, in each worker.
const MOST_CACHED_TOKENS: u64 = 200_000;
/// No longer token is read at all.
const LONGEST_CACHED_TOKEN: u64 = crate::jose::jws::MAX_TOKEN_LEN as u64;

pub(super) fn convert(
    name: String,
    mut raw: RawProvider,
    facts: &[Fact],
    is_supported: Supported<'_>,
) -> Result<Provider, ConfigError> {
    if name.is_empty() || name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(ConfigError::here(&format!(
            "a provider's name is 1 to {LONGEST_NAME} bytes without control characters"
        )));
    }

    let outputs = outputs::convert(&mut raw, facts)?;
    let places = place::places(&mut raw)?;
    let issuer = issuer::convert(&mut raw)?;
    let (signer, clients, audiences) = match &mut raw.aws_alb.0 {
        Some(alb) => (
            Some(alb::signer(alb).at("aws_alb")?),
            alb::clients(alb).at("aws_alb")?,
            alb::without_audiences(&raw.audiences)?,
        ),
        None => {
            let given = (raw.audiences, &raw.any_audience);
            let audiences = listed_or_any(["audiences", "any_audience"], given)?;
            (None, Vec::new(), audiences)
        }
    };

    let clock_skew_seconds = raw
        .clock_skew_seconds
        .0
        .map_or(DEFAULT_CLOCK_SKEW_SECONDS, |Whole(seconds)| seconds);
    at_most(MOST_CLOCK_SKEW_SECONDS, clock_skew_seconds).at("clock_skew_seconds")?;

    let is_spiffe = matches!(issuer, Issuer::TrustDomain(_));
    let token_type = match raw.token_type.0 {
        Some(RawTokenType::AccessToken) => Some(TokenType::AccessToken),
        Some(RawTokenType::Jwt) => Some(TokenType::Jwt),
        None => is_spiffe.then_some(TokenType::Svid),
    };
    if token_type == Some(TokenType::AccessToken) && raw.require_expiration.0 == Some(false) {
        return Err(ConfigError::new(
            "require_expiration",
            "contradicts token_type: an access token of RFC 9068 has exp",
        ));
    }

    if token_type == Some(TokenType::AccessToken) && signer.is_some() {
        return Err(ConfigError::new(
            "token_type",
            "contradicts aws_alb: a load balancer signs no access tokens of RFC 9068",
        ));
    }

    let scope_claims = scope_claims(raw.scope_claims).at("scope_claims")?;
    if signer.is_some() {
        let usual = || vec![Algorithm::Es256.name().to_owned()];
        raw.algorithms.0.get_or_insert_with(usual);
    }
    let are_named = raw.algorithms.0.is_some();
    let mut algorithms = algorithms(raw.algorithms, is_supported).at("algorithms")?;
    if is_spiffe {
        let all = algorithms.len();
        let is_of_svids =
            |algorithm: &Algorithm| matches!(algorithm.key_type(), KeyType::Rsa | KeyType::Ec(_));
        algorithms.retain(is_of_svids);
        if are_named && algorithms.len() < all {
            return Err(ConfigError::new(
                "algorithms",
                "must be of RS*, ES* and PS* alone: a JWT-SVID has no other",
            ));
        }
    }
    let symmetric = algorithms.iter().any(|algorithm| algorithm.is_symmetric());
    if symmetric && raw.local_jwks.0.is_none() {
        return Err(ConfigError::new(
            "algorithms",
            "HS256, HS384 and HS512 are for local_jwks only: a secret is not fetched",
        ));
    }
    let keys = keys::convert(
        &issuer,
        symmetric,
        raw.remote_jwks,
        raw.local_jwks,
        raw.openid_discovery,
        raw.aws_alb,
    )?;
    let subjects = raw
        .subjects
        .0
        .map(|raw| text::matcher(raw).at("subjects"))
        .transpose()?;
    let cache = raw
        .jwt_cache_config
        .0
        .map(|raw| cache(&raw).at("jwt_cache_config"))
        .transpose()?;
    Ok(Provider {
        name,
        spelling: match signer {
            Some(_) => Spelling::Padded,
            None => Spelling::Plain,
        },
        expectations: Expectations {
            signer,
            clients,
            issuer,
            audiences,
            algorithms,
            clock_skew_seconds,
            require_expiration: raw.require_expiration.0.unwrap_or(true),
            allow_sender_constrained: raw.allow_sender_constrained.0.unwrap_or(false),
            subjects,
            max_lifetime: raw.max_lifetime.0.map(|span| span.0),
            token_type,
        },
        places,
        keys,
        cache: cache.unwrap_or_default(),
        forward: raw.forward.0.unwrap_or(false),
        outputs,
        scope_claims,
    })
}

fn scope_claims(names: Given<Vec<String>>) -> Result<Vec<String>, ConfigError> {
    let Some(names) = names.0 else {
        return Ok(DEFAULT_SCOPE_CLAIMS.map(str::to_owned).to_vec());
    };
    let names = filled(names)?;
    refuse_empty_items(&names)?;
    Ok(names)
}

/// What jwt_authn says of its cache; what it leaves out is this filter's own.
fn cache(raw: &RawCacheConfig) -> Result<CacheBounds, ConfigError> {
    let bounded = |number: &Given<Whole>, most: u64| match number.0 {
        // as in jwt_authn: 0 is its default
        None | Some(Whole(0)) => Ok(None),
        Some(Whole(number)) => at_most(most, number).map(|()| usize::try_from(number).ok()),
    };
    Ok(CacheBounds {
        tokens: bounded(&raw.jwt_cache_size, MOST_CACHED_TOKENS).at("jwt_cache_size")?,
        longest: bounded(&raw.jwt_max_token_size, LONGEST_CACHED_TOKEN).at("jwt_max_token_size")?,
    })
}

fn algorithms(
    raw: Given<Vec<String>>,
    is_supported: Supported<'_>,
) -> Result<Vec<Algorithm>, ConfigError> {
    let Some(names) = raw.0 else {
        let all = Algorithm::ASYMMETRIC.iter().copied();
        return Ok(all.filter(|algorithm| is_supported(*algorithm)).collect());
    };
    each_once(&filled(names)?, &|name| algorithm(name, is_supported))
}

fn algorithm(name: &str, is_supported: Supported<'_>) -> Result<Algorithm, ConfigError> {
    let Some(algorithm) = Algorithm::parse(name) else {
        let known: Vec<_> = Algorithm::ALL.iter().map(|known| known.name()).collect();
        let known = known.join(", ");
        let problem = format!("not a supported algorithm ({known})");
        return Err(ConfigError::here(&problem));
    };
    if !is_supported(algorithm) {
        return Err(ConfigError::here(&format!(
            "there is no verifier for {} here: the proxy would have to verify it, and does not",
            algorithm.name()
        )));
    }
    Ok(algorithm)
}
