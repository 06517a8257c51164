//! A provider: raw to valid.
//!
//! Invariant: what jwt_authn takes for "any" when it is left out (issuer, audiences) has to be
//! said here; and a provider has exactly one source of keys.

use std::rc::Rc;
use std::time::Duration;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::error::{ConfigError, join};
use super::outputs;
use super::raw::{
    RawAsyncFetch, RawCacheConfig, RawDiscovery, RawHttpUri, RawLocalJwks, RawProvider,
    RawRemoteJwks, RawRetryPolicy, RawTokenType,
};
use super::value::{Given, Whole};
use super::{CacheBounds, Endpoint, Fact, HttpUri, KeySource, Provider, Remote, Supported};
use super::{place, text};
use crate::http::uri::Uri;
use crate::jose::jwa::Algorithm;
use crate::jose::jwks::KeySet;
use crate::jose::jwt::Expectations;
use crate::jose::token_type::TokenType;

/// As in jwt_authn.
const DEFAULT_CLOCK_SKEW_SECONDS: u64 = 60;
/// A leeway of more than a day would make `exp` meaningless.
const MOST_CLOCK_SKEW_SECONDS: u64 = 86_400;
/// RFC 8693 section 4.2, Microsoft Entra ID, Auth0.
const DEFAULT_SCOPE_CLAIMS: [&str; 3] = ["scope", "scp", "permissions"];
/// As in jwt_authn.
const DEFAULT_CACHE_DURATION: Duration = Duration::from_secs(600);
/// Anything shorter is a fetch without a pause.
const LEAST_CACHE_DURATION: Duration = Duration::from_secs(1);
const DEFAULT_MAX_STALE: Duration = Duration::from_secs(24 * 60 * 60);
const DEFAULT_UNKNOWN_KID_COOLDOWN: Duration = Duration::from_secs(30);
/// Short, for requests may be waiting.
const DEFAULT_BACK_OFF_BASE: Duration = Duration::from_millis(200);
/// jwt_authn's `failed_refetch_duration`.
const DEFAULT_BACK_OFF_MAX: Duration = Duration::from_secs(1);
/// `core.v3.BackoffStrategy`: the default of `max_interval` in terms of `base_interval`.
const BACK_OFF_SPREAD: u32 = 10;
/// `core.v3.RetryPolicy`: the default of `num_retries` where there is a policy.
const DEFAULT_RETRIES: u64 = 1;
const MOST_RETRIES: u64 = 100;
/// The longest name of a provider, in bytes: it is part of the names of metrics.
const LONGEST_NAME: usize = 128;

/// Cached tokens hold memory, in each worker.
const MOST_CACHED_TOKENS: u64 = 200_000;
/// No longer token is read at all.
const LONGEST_CACHED_TOKEN: u64 = crate::jose::jws::MAX_TOKEN_LEN as u64;

const REQUIRED: &str = "required";

pub(super) fn convert(
    path: &str,
    name: String,
    mut raw: RawProvider,
    facts: &[Fact],
    is_supported: Supported<'_>,
) -> Result<Provider, ConfigError> {
    let problem = |field: &str, text: String| ConfigError::new(join(path, field), text);
    if name.is_empty() || name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(ConfigError::new(
            path,
            format!("a provider's name is 1 to {LONGEST_NAME} bytes without control characters"),
        ));
    }

    let outputs = outputs::convert(path, &mut raw, facts)?;
    let any_issuer = raw.any_issuer.0.unwrap_or(false);
    let issuer = match raw.issuer.0 {
        Some(issuer) if issuer.is_empty() => {
            return Err(problem("issuer", "must not be empty".to_owned()));
        }
        Some(_) if any_issuer => {
            return Err(problem("any_issuer", "contradicts issuer".to_owned()));
        }
        None if !any_issuer => {
            return Err(problem(
                "issuer",
                "required (or any_issuer: true)".to_owned(),
            ));
        }
        issuer => issuer,
    };

    let any_audience = raw.any_audience.0.unwrap_or(false);
    let audiences = match raw.audiences.0 {
        Some(audiences) if audiences.is_empty() && !any_audience => {
            return Err(problem(
                "audiences",
                "must not be empty (any_audience: true accepts every audience)".to_owned(),
            ));
        }
        Some(audiences) if !audiences.is_empty() && any_audience => {
            return Err(problem("any_audience", "contradicts audiences".to_owned()));
        }
        None if !any_audience => {
            return Err(problem(
                "audiences",
                "required (or any_audience: true)".to_owned(),
            ));
        }
        audiences => audiences.unwrap_or_default(),
    };
    refuse_empty_items(&join(path, "audiences"), &audiences)?;

    let clock_skew_seconds = raw
        .clock_skew_seconds
        .0
        .map_or(DEFAULT_CLOCK_SKEW_SECONDS, |Whole(seconds)| seconds);
    if clock_skew_seconds > MOST_CLOCK_SKEW_SECONDS {
        return Err(problem(
            "clock_skew_seconds",
            format!("must be {MOST_CLOCK_SKEW_SECONDS} at most"),
        ));
    }

    let token_type = raw.token_type.0.map(|raw| match raw {
        RawTokenType::AccessToken => TokenType::AccessToken,
        RawTokenType::Jwt => TokenType::Jwt,
    });
    if token_type == Some(TokenType::AccessToken) && raw.require_expiration.0 == Some(false) {
        let text = "contradicts token_type: an access token of RFC 9068 has exp";
        return Err(problem("require_expiration", text.to_owned()));
    }

    let scope_claims = raw
        .scope_claims
        .0
        .unwrap_or_else(|| DEFAULT_SCOPE_CLAIMS.map(str::to_owned).to_vec());
    if scope_claims.is_empty() {
        return Err(problem("scope_claims", "must not be empty".to_owned()));
    }
    refuse_empty_items(&join(path, "scope_claims"), &scope_claims)?;

    let algorithms = algorithms(&join(path, "algorithms"), raw.algorithms, is_supported)?;
    let symmetric = algorithms.iter().any(|algorithm| algorithm.is_symmetric());
    if symmetric && raw.local_jwks.0.is_none() {
        return Err(problem(
            "algorithms",
            "HS256, HS384 and HS512 are for local_jwks only: a secret is not fetched".to_owned(),
        ));
    }
    let keys = keys(
        path,
        issuer.as_deref(),
        symmetric,
        raw.remote_jwks,
        raw.local_jwks,
        raw.openid_discovery,
    )?;
    let places = place::places(path, raw.from_headers, raw.from_params, raw.from_cookies)?;
    let subjects = raw
        .subjects
        .0
        .map(|raw| text::matcher(&join(path, "subjects"), raw))
        .transpose()?;
    let cache = raw.jwt_cache_config.0.map_or_else(
        || Ok(CacheBounds::default()),
        |raw| cache(&join(path, "jwt_cache_config"), &raw),
    )?;
    Ok(Provider {
        name,
        expectations: Expectations {
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
        cache,
        forward: raw.forward.0.unwrap_or(false),
        outputs,
        scope_claims,
    })
}

/// What jwt_authn says of its cache; what it leaves out is this filter's own.
fn cache(path: &str, raw: &RawCacheConfig) -> Result<CacheBounds, ConfigError> {
    let bounded = |field: &str, number: &Given<Whole>, most: u64| match number.0 {
        // as in jwt_authn: 0 is its default
        None | Some(Whole(0)) => Ok(None),
        Some(Whole(number)) if number <= most => Ok(usize::try_from(number).ok()),
        Some(_) => Err(ConfigError::new(
            join(path, field),
            format!("must be {most} at most"),
        )),
    };
    Ok(CacheBounds {
        tokens: bounded("jwt_cache_size", &raw.jwt_cache_size, MOST_CACHED_TOKENS)?,
        longest: bounded(
            "jwt_max_token_size",
            &raw.jwt_max_token_size,
            LONGEST_CACHED_TOKEN,
        )?,
    })
}

fn algorithms(
    path: &str,
    raw: Given<Vec<String>>,
    is_supported: Supported<'_>,
) -> Result<Vec<Algorithm>, ConfigError> {
    let Some(names) = raw.0 else {
        let all = Algorithm::ASYMMETRIC.iter().copied();
        return Ok(all.filter(|algorithm| is_supported(*algorithm)).collect());
    };
    if names.is_empty() {
        return Err(ConfigError::new(path, "must not be empty"));
    }
    let mut algorithms = Vec::with_capacity(names.len());
    for (index, name) in names.iter().enumerate() {
        let problem = |text: String| ConfigError::new(format!("{path}[{index}]"), text);
        let algorithm = Algorithm::parse(name).ok_or_else(|| {
            let supported: Vec<_> = Algorithm::ALL.iter().map(|known| known.name()).collect();
            let supported = supported.join(", ");
            problem(format!("not a supported algorithm ({supported})"))
        })?;
        if !is_supported(algorithm) {
            return Err(problem(format!(
                "there is no verifier for {} here: the proxy would have to verify it, and does not",
                algorithm.name()
            )));
        }
        if algorithms.contains(&algorithm) {
            return Err(problem("given twice".to_owned()));
        }
        algorithms.push(algorithm);
    }
    Ok(algorithms)
}

fn keys(
    path: &str,
    issuer: Option<&str>,
    symmetric: bool,
    remote: Given<RawRemoteJwks>,
    local: Given<RawLocalJwks>,
    discovery: Given<RawDiscovery>,
) -> Result<KeySource, ConfigError> {
    match (remote.0, local.0, discovery.0) {
        (Some(remote), None, None) => remote_jwks(&join(path, "remote_jwks"), remote)
            .map(|remote| KeySource::Remote(Rc::new(remote))),
        (None, Some(local), None) => local_jwks(&join(path, "local_jwks"), local, symmetric)
            .map(|keys| KeySource::Local(Rc::new(keys))),
        (None, None, Some(discovery)) => {
            openid_discovery(&join(path, "openid_discovery"), issuer, discovery)
                .map(|remote| KeySource::Remote(Rc::new(remote)))
        }
        (None, None, None) => Err(ConfigError::new(
            path,
            "has no keys: one of remote_jwks, local_jwks and openid_discovery is required",
        )),
        _ => Err(ConfigError::new(
            path,
            "has more than one of remote_jwks, local_jwks and openid_discovery",
        )),
    }
}

/// Secrets are loaded only where `algorithms` names what they are for.
fn local_jwks(path: &str, raw: RawLocalJwks, symmetric: bool) -> Result<KeySet, ConfigError> {
    if raw.filename.0.is_some() {
        return Err(ConfigError::new(
            join(path, "filename"),
            "a Wasm filter cannot read files, use inline_string",
        ));
    }
    let (field, document) = match (raw.inline_string.0, raw.inline_bytes.0) {
        (Some(text), None) => ("inline_string", text.into_bytes()),
        (None, Some(text)) => {
            let bytes = decode_protobuf_bytes(&text)
                .ok_or_else(|| ConfigError::new(join(path, "inline_bytes"), "is not base64"))?;
            ("inline_bytes", bytes)
        }
        (None, None) => {
            return Err(ConfigError::new(
                path,
                "one of inline_string and inline_bytes is required",
            ));
        }
        (Some(_), Some(_)) => {
            return Err(ConfigError::new(
                path,
                "has both inline_string and inline_bytes",
            ));
        }
    };
    let problem = |text: &str| ConfigError::new(join(path, field), text);
    if document.trim_ascii().is_empty() {
        return Err(problem("must not be empty"));
    }
    let parse = if symmetric {
        KeySet::parse_with_secrets
    } else {
        KeySet::parse
    };
    parse(&document).map_err(|error| problem(error.description()))
}

/// Base64 as protobuf's JSON accepts it for bytes: either alphabet, padded or not.
fn decode_protobuf_bytes(text: &str) -> Option<Vec<u8>> {
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    [alphabet::STANDARD, alphabet::URL_SAFE]
        .iter()
        .find_map(|alphabet| GeneralPurpose::new(alphabet, config).decode(text).ok())
}

fn remote_jwks(path: &str, raw: RawRemoteJwks) -> Result<Remote, ConfigError> {
    let http_uri_path = join(path, "http_uri");
    let http_uri = raw
        .http_uri
        .0
        .ok_or_else(|| ConfigError::new(&http_uri_path, REQUIRED))?;
    let mut remote = remote(
        path,
        Endpoint::Jwks(self::http_uri(&http_uri_path, http_uri)?),
        Schedule {
            cache_duration: raw.cache_duration.0.map(|span| span.0),
            max_stale: raw.max_stale.0.map(|span| span.0),
            unknown_kid_cooldown: raw.unknown_kid_cooldown.0.map(|span| span.0),
            respect_cache_control: raw.respect_cache_control.0,
        },
        raw.retry_policy.0.as_ref(),
    )?;
    // Keys are always fetched ahead of need, so async_fetch itself changes nothing.
    if let Some(RawAsyncFetch {
        failed_refetch_duration: Given(Some(wait)),
        ..
    }) = raw.async_fetch.0
    {
        if raw
            .retry_policy
            .0
            .is_some_and(|policy| policy.retry_back_off.0.is_some())
        {
            return Err(ConfigError::new(
                join(path, "async_fetch.failed_refetch_duration"),
                "contradicts retry_policy.retry_back_off, which says how long to wait already",
            ));
        }
        remote.back_off_max = wait.0;
        remote.back_off_base = remote.back_off_base.min(wait.0);
    }
    Ok(remote)
}

fn openid_discovery(
    path: &str,
    issuer: Option<&str>,
    raw: RawDiscovery,
) -> Result<Remote, ConfigError> {
    let issuer = issuer.ok_or_else(|| {
        ConfigError::new(
            path,
            "needs issuer: the metadata are found by it, and must name it",
        )
    })?;
    let uri = Uri::parse(issuer).map_err(|error| {
        ConfigError::new(path, format!("needs an issuer that is a URI: it {error}"))
    })?;
    if uri.path.contains('?') {
        return Err(ConfigError::new(path, "needs an issuer without a query"));
    }
    let jwks_cluster = raw
        .jwks_cluster
        .0
        .map(|cluster| not_empty(&join(path, "jwks_cluster"), Some(cluster)))
        .transpose()?;
    let endpoint = Endpoint::Discovery {
        issuer: issuer.to_owned(),
        cluster: not_empty(&join(path, "cluster"), raw.cluster.0)?,
        jwks_cluster,
        timeout: raw
            .timeout
            .0
            .ok_or_else(|| ConfigError::new(join(path, "timeout"), REQUIRED))?
            .0,
    };
    let schedule = Schedule {
        cache_duration: raw.cache_duration.0.map(|span| span.0),
        max_stale: raw.max_stale.0.map(|span| span.0),
        unknown_kid_cooldown: raw.unknown_kid_cooldown.0.map(|span| span.0),
        respect_cache_control: raw.respect_cache_control.0,
    };
    remote(path, endpoint, schedule, raw.retry_policy.0.as_ref())
}

/// When to fetch, as far as the configuration says.
struct Schedule {
    cache_duration: Option<Duration>,
    max_stale: Option<Duration>,
    unknown_kid_cooldown: Option<Duration>,
    respect_cache_control: Option<bool>,
}

fn remote(
    path: &str,
    endpoint: Endpoint,
    schedule: Schedule,
    policy: Option<&RawRetryPolicy>,
) -> Result<Remote, ConfigError> {
    let cache_duration = schedule.cache_duration.unwrap_or(DEFAULT_CACHE_DURATION);
    if cache_duration < LEAST_CACHE_DURATION {
        return Err(ConfigError::new(
            join(path, "cache_duration"),
            format!("must be {} s at least", LEAST_CACHE_DURATION.as_secs()),
        ));
    }
    let retries = policy.map_or(0, |policy| {
        policy
            .num_retries
            .0
            .map_or(DEFAULT_RETRIES, |Whole(retries)| retries)
    });
    let retries = u32::try_from(retries)
        .ok()
        .filter(|_| retries <= MOST_RETRIES)
        .ok_or_else(|| {
            ConfigError::new(
                join(path, "retry_policy.num_retries"),
                format!("must be {MOST_RETRIES} at most"),
            )
        })?;
    let (back_off_base, back_off_max) =
        match policy.and_then(|policy| policy.retry_back_off.0.as_ref()) {
            None => (DEFAULT_BACK_OFF_BASE, DEFAULT_BACK_OFF_MAX),
            Some(back_off) => {
                let path = join(path, "retry_policy.retry_back_off");
                let base = back_off
                    .base_interval
                    .0
                    .ok_or_else(|| ConfigError::new(join(&path, "base_interval"), REQUIRED))?
                    .0;
                let max = back_off
                    .max_interval
                    .0
                    .map_or(base.saturating_mul(BACK_OFF_SPREAD), |span| span.0);
                if max < base {
                    return Err(ConfigError::new(
                        join(&path, "max_interval"),
                        "must not be below base_interval",
                    ));
                }
                (base, max)
            }
        };
    Ok(Remote {
        endpoint,
        cache_duration,
        max_stale: schedule.max_stale.unwrap_or(DEFAULT_MAX_STALE),
        unknown_kid_cooldown: schedule
            .unknown_kid_cooldown
            .unwrap_or(DEFAULT_UNKNOWN_KID_COOLDOWN),
        respect_cache_control: schedule.respect_cache_control.unwrap_or(false),
        back_off_base,
        back_off_max,
        retries,
    })
}

fn http_uri(path: &str, raw: RawHttpUri) -> Result<HttpUri, ConfigError> {
    let uri_path = join(path, "uri");
    let text = not_empty(&uri_path, raw.uri.0)?;
    let uri = Uri::parse(&text).map_err(|error| ConfigError::new(uri_path, error.to_string()))?;
    Ok(HttpUri {
        scheme: uri.scheme,
        authority: uri.authority,
        path: uri.path,
        cluster: not_empty(&join(path, "cluster"), raw.cluster.0)?,
        timeout: raw
            .timeout
            .0
            .ok_or_else(|| ConfigError::new(join(path, "timeout"), REQUIRED))?
            .0,
    })
}

pub(super) fn not_empty(path: &str, text: Option<String>) -> Result<String, ConfigError> {
    match text {
        None => Err(ConfigError::new(path, REQUIRED)),
        Some(text) if text.is_empty() => Err(ConfigError::new(path, "must not be empty")),
        Some(text) => Ok(text),
    }
}

pub(super) fn refuse_empty_items(path: &str, items: &[String]) -> Result<(), ConfigError> {
    match items.iter().position(String::is_empty) {
        Some(index) => Err(ConfigError::new(
            format!("{path}[{index}]"),
            "must not be empty",
        )),
        None => Ok(()),
    }
}
