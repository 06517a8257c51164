//! Where a provider's keys come from, and when they are fetched: raw to valid.
//!
//! Invariant: a provider has exactly one source of keys.

use std::rc::Rc;
use std::time::Duration;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::vet::{at_most, not_empty, required, required_text, uri};
use crate::config::read::duration::Span;
use crate::config::read::error::{At, ConfigError, MUST_NOT_BE_EMPTY, REQUIRED};
use crate::config::read::raw::{
    RawAsyncFetch, RawAwsAlb, RawBackOff, RawDiscovery, RawHttpUri, RawLocalJwks, RawRemoteJwks,
    RawRetryPolicy,
};
use crate::config::read::value::{Given, Whole};
use crate::config::valid::{Endpoint, HttpUri, KeySource, Remote};
use crate::document::times::Times;
use crate::http::uri::Uri;
use crate::jose::issuer::Issuer;
use crate::jose::jwks::KeySet;
use crate::time::millis;

/// As in jwt_authn.
const DEFAULT_CACHE_DURATION: Duration = Duration::from_secs(600);
/// Anything shorter is a fetch without a pause.
const LEAST_CACHE_DURATION: Duration = Duration::from_secs(1);
const DEFAULT_MAX_STALE: Duration = Duration::from_secs(24 * 60 * 60);
const DEFAULT_UNKNOWN_KID_COOLDOWN: Duration = Duration::from_secs(30);
/// Where there is no policy.
const DEFAULT_RETRIES: Retries = Retries {
    retries: 0,
    // short, for requests may be waiting
    back_off_base: Duration::from_millis(200),
    // a fleet that waits so long costs a provider little
    back_off_max: Duration::from_secs(30),
};
/// Many processes start together, where they start at all.
const FIRST_FETCH_WITHIN: Duration = Duration::from_secs(1);
/// `core.v3.BackoffStrategy`: the default of `max_interval` in terms of `base_interval`.
const BACK_OFF_SPREAD: u32 = 10;
/// `core.v3.RetryPolicy`: the default of `num_retries` where there is a policy.
const DEFAULT_NUM_RETRIES: u64 = 1;
const MOST_RETRIES: u64 = 100;
pub(super) fn convert(
    issuer: &Issuer,
    symmetric: bool,
    remote: Given<RawRemoteJwks>,
    local: Given<RawLocalJwks>,
    discovery: Given<RawDiscovery>,
    alb: Given<RawAwsAlb>,
) -> Result<KeySource, ConfigError> {
    let remote = match (remote.0, local.0, discovery.0, alb.0) {
        (Some(remote), None, None, None) => remote_jwks(remote).at("remote_jwks"),
        (None, None, Some(discovery), None) => {
            openid_discovery(issuer, discovery).at("openid_discovery")
        }
        (None, None, None, Some(alb)) => aws_alb(alb).at("aws_alb"),
        (None, Some(local), None, None) => {
            let keys = local_jwks(local, symmetric).at("local_jwks")?;
            return Ok(KeySource::Local(Rc::new(keys)));
        }
        (None, None, None, None) => Err(ConfigError::here(
            "has no keys: one of remote_jwks, local_jwks, openid_discovery and aws_alb is required",
        )),
        _ => Err(ConfigError::here(
            "has more than one of remote_jwks, local_jwks, openid_discovery and aws_alb",
        )),
    };
    Ok(KeySource::Remote(Rc::new(remote?)))
}

/// Secrets are loaded only where `algorithms` names what they are for.
fn local_jwks(raw: RawLocalJwks, symmetric: bool) -> Result<KeySet, ConfigError> {
    if raw.filename.0.is_some() {
        return Err(ConfigError::new(
            "filename",
            "a Wasm filter cannot read files, use inline_string",
        ));
    }
    let (field, document) = match (raw.inline_string.0, raw.inline_bytes.0) {
        (Some(text), None) => ("inline_string", text.into_bytes()),
        (None, Some(text)) => {
            let bytes = decode_protobuf_bytes(&text)
                .ok_or_else(|| ConfigError::new("inline_bytes", "is not base64"))?;
            ("inline_bytes", bytes)
        }
        (None, None) => {
            return Err(ConfigError::here(
                "one of inline_string and inline_bytes is required",
            ));
        }
        (Some(_), Some(_)) => {
            return Err(ConfigError::here("has both inline_string and inline_bytes"));
        }
    };
    if document.trim_ascii().is_empty() {
        return Err(ConfigError::new(field, MUST_NOT_BE_EMPTY));
    }
    let parse = if symmetric {
        KeySet::parse_with_secrets
    } else {
        KeySet::parse
    };
    parse(&document).map_err(|error| ConfigError::new(field, &error.to_string()))
}

/// Base64 as protobuf's JSON accepts it for bytes: either alphabet, padded or not.
fn decode_protobuf_bytes(text: &str) -> Option<Vec<u8>> {
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    [alphabet::STANDARD, alphabet::URL_SAFE]
        .iter()
        .find_map(|alphabet| GeneralPurpose::new(alphabet, config).decode(text).ok())
}

fn remote_jwks(raw: RawRemoteJwks) -> Result<Remote, ConfigError> {
    let http_uri = required(raw.http_uri).and_then(http_uri).at("http_uri")?;
    let waits = raw
        .retry_policy
        .0
        .as_ref()
        .is_some_and(|policy| policy.retry_back_off.0.is_some());
    let mut remote = remote(
        Endpoint::Jwks(http_uri),
        Schedule {
            cache_duration: raw.cache_duration,
            max_stale: raw.max_stale,
            unknown_kid_cooldown: raw.unknown_kid_cooldown,
            respect_cache_control: raw.respect_cache_control,
            retry_policy: raw.retry_policy,
        },
    )?;
    // Keys are always fetched ahead of need, so async_fetch itself changes nothing.
    if let Some(RawAsyncFetch {
        failed_refetch_duration: Given(Some(wait)),
        ..
    }) = raw.async_fetch.0
    {
        if waits {
            return Err(ConfigError::new(
                "async_fetch.failed_refetch_duration",
                "contradicts retry_policy.retry_back_off, which says how long to wait already",
            ));
        }
        let times = &mut remote.times;
        times.back_off_max = wait.0;
        times.back_off_base = times.back_off_base.min(wait.0);
    }
    Ok(remote)
}

fn openid_discovery(issuer: &Issuer, raw: RawDiscovery) -> Result<Remote, ConfigError> {
    let is_of_tenants = issuer.is_of_tenants();
    let issuer = issuer.written().ok_or_else(|| {
        ConfigError::here("needs issuer: the metadata are found by it, and must name it")
    })?;
    match &raw.uri.0 {
        // The issuer is a name then, which the metadata must have: within a network they may be
        // behind another address, and some issuers are no URI.
        Some(text) => drop(uri(text).at("uri")?),
        None if is_of_tenants => {
            return Err(ConfigError::new(
                "uri",
                "required by {tenantid} in issuer: the metadata of all tenants are at an address of their own",
            ));
        }
        None => {
            let home = Uri::parse(issuer).map_err(|error| {
                ConfigError::here(&format!(
                    "needs an issuer that is a URI, or uri: the issuer {error}"
                ))
            })?;
            if home.path.contains('?') {
                return Err(ConfigError::here("needs an issuer without a query, or uri"));
            }
        }
    }
    let jwks_cluster = raw
        .jwks_cluster
        .0
        .map(|cluster| not_empty(cluster).at("jwks_cluster"))
        .transpose()?;
    let endpoint = Endpoint::Discovery {
        issuer: issuer.to_owned(),
        uri: raw.uri.0,
        cluster: required_text(raw.cluster).at("cluster")?,
        jwks_cluster,
        timeout: call_timeout(raw.timeout).at("timeout")?,
    };
    remote(
        endpoint,
        Schedule {
            cache_duration: raw.cache_duration,
            max_stale: raw.max_stale,
            unknown_kid_cooldown: raw.unknown_kid_cooldown,
            respect_cache_control: raw.respect_cache_control,
            retry_policy: raw.retry_policy,
        },
    )
}

fn aws_alb(raw: RawAwsAlb) -> Result<Remote, ConfigError> {
    let mut http_uri = required(raw.http_uri).and_then(http_uri).at("http_uri")?;
    let folder = http_uri.path.strip_suffix("{kid}");
    let folder = folder.filter(|path| path.ends_with('/') && !path.contains(['{', '?']));
    let folder = folder.map(str::to_owned).ok_or_else(|| {
        let problem = "must end with /{kid}, and have it nowhere else";
        ConfigError::new("http_uri.uri", problem)
    })?;
    http_uri.path = folder;
    remote(
        Endpoint::ByKid(http_uri),
        Schedule {
            cache_duration: raw.cache_duration,
            max_stale: raw.max_stale,
            unknown_kid_cooldown: raw.unknown_kid_cooldown,
            respect_cache_control: Given(None),
            retry_policy: raw.retry_policy,
        },
    )
}

/// When to fetch, as far as the configuration says.
struct Schedule {
    cache_duration: Given<Span>,
    max_stale: Given<Span>,
    unknown_kid_cooldown: Given<Span>,
    respect_cache_control: Given<bool>,
    retry_policy: Given<RawRetryPolicy>,
}

#[inline(never)]
fn remote(endpoint: Endpoint, schedule: Schedule) -> Result<Remote, ConfigError> {
    let given = |span: Given<Span>, default| span.0.map_or(default, |span| span.0);
    let cache_duration = given(schedule.cache_duration, DEFAULT_CACHE_DURATION);
    if cache_duration < LEAST_CACHE_DURATION {
        let problem = format!("must be {} s at least", LEAST_CACHE_DURATION.as_secs());
        return Err(ConfigError::new("cache_duration", &problem));
    }
    let Retries {
        retries,
        back_off_base,
        back_off_max,
    } = schedule
        .retry_policy
        .0
        .map(|policy| retries(policy).at("retry_policy"))
        .transpose()?
        .unwrap_or(DEFAULT_RETRIES);
    let times = Times {
        cache_duration,
        max_stale: given(schedule.max_stale, DEFAULT_MAX_STALE),
        early_cooldown: given(schedule.unknown_kid_cooldown, DEFAULT_UNKNOWN_KID_COOLDOWN),
        respect_cache_control: schedule.respect_cache_control.0.unwrap_or(false),
        back_off_base,
        back_off_max,
        retries,
        first_fetch_within: FIRST_FETCH_WITHIN,
    };
    Ok(Remote { endpoint, times })
}

/// What becomes of a fetch that failed.
struct Retries {
    retries: u32,
    back_off_base: Duration,
    back_off_max: Duration,
}

fn retries(policy: RawRetryPolicy) -> Result<Retries, ConfigError> {
    let retries = policy
        .num_retries
        .0
        .map_or(DEFAULT_NUM_RETRIES, |Whole(retries)| retries);
    at_most(MOST_RETRIES, retries).at("num_retries")?;
    let (back_off_base, back_off_max) = match policy.retry_back_off.0 {
        None => (DEFAULT_RETRIES.back_off_base, DEFAULT_RETRIES.back_off_max),
        Some(raw) => back_off(&raw).at("retry_back_off")?,
    };
    Ok(Retries {
        retries: u32::try_from(retries).unwrap_or(u32::MAX),
        back_off_base,
        back_off_max,
    })
}

fn back_off(raw: &RawBackOff) -> Result<(Duration, Duration), ConfigError> {
    let Some(Span(base)) = raw.base_interval.0 else {
        return Err(ConfigError::new("base_interval", REQUIRED));
    };
    let max = raw
        .max_interval
        .0
        .map_or(base.saturating_mul(BACK_OFF_SPREAD), |span| span.0);
    if max < base {
        return Err(ConfigError::new(
            "max_interval",
            "must not be below base_interval",
        ));
    }
    Ok((base, max))
}

pub(super) fn http_uri(raw: RawHttpUri) -> Result<HttpUri, ConfigError> {
    let uri = required_text(raw.uri)
        .and_then(|text| uri(&text))
        .at("uri")?;
    Ok(HttpUri {
        scheme: uri.scheme,
        authority: uri.authority,
        path: uri.path,
        cluster: required_text(raw.cluster).at("cluster")?,
        timeout: call_timeout(raw.timeout).at("timeout")?,
    })
}

/// The time that the host is given for a call: it counts milliseconds in 32 bits.
pub(super) fn call_timeout(raw: Given<Span>) -> Result<Duration, ConfigError> {
    let timeout = required(raw)?.0;
    if u32::try_from(millis(timeout)).is_err() {
        return Err(ConfigError::here("must be 49 days at most (\"4233600s\")"));
    }
    Ok(timeout)
}
