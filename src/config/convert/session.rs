//! Sessions and their cookie: raw to valid.
//!
//! Invariant: every session ends. A claim that says whose session it is keeps its name, and no
//! other claim gets that name.

use std::time::Duration;

use super::route_match::normal_host;
use super::vet::not_empty;
use crate::config::read::error::{At, ConfigError, GIVEN_TWICE};
use crate::config::read::raw_sign_in::{
    RawCookie, RawKeptClaim, RawSameSite, RawSession, RawSessionStore,
};
use crate::config::read::value::{Given, Whole};
use crate::config::sign_in::{CookieRules, KeptClaim, SameSite, SessionRules, SessionStore};
use crate::matcher::HostMatcher;
use crate::session::cookie::{CookieError, DEFAULT_MAX_BYTES, LARGEST_MAX_BYTES, LONGEST_COOKIE};

/// A working day.
const DEFAULT_MAX_DURATION: Duration = Duration::from_secs(8 * 60 * 60);
/// The times in a session are in seconds.
const SHORTEST: Duration = Duration::from_secs(1);
/// The most claims of a list. Nobody names more of them one by one.
const MOST_CLAIMS: usize = 128;
/// Claims that say who the token is about, who issued it, for whom and for how long (RFC 7519
/// section 4.1, OpenID Connect Core section 2, Front-Channel Logout section 3).
const IDENTITY: [&str; 12] = [
    "acr",
    "amr",
    "aud",
    "auth_time",
    "azp",
    "exp",
    "iat",
    "iss",
    "nbf",
    "nonce",
    "sid",
    "sub",
];

pub(super) fn convert(raw: RawSession) -> Result<SessionRules, ConfigError> {
    let duration = |span| at_least_a_second(span);
    let max_duration = duration(raw.max_duration.0.map(|span| span.0)).at("max_duration")?;
    let max_duration = max_duration.unwrap_or(DEFAULT_MAX_DURATION);
    let idle_timeout = duration(raw.idle_timeout.0.map(|span| span.0)).at("idle_timeout")?;
    if idle_timeout.is_some_and(|idle| idle > max_duration) {
        return Err(ConfigError::new(
            "idle_timeout",
            "must not be above max_duration",
        ));
    }
    Ok(SessionRules {
        idle_timeout,
        max_duration,
        persistent: raw.persistent.0.unwrap_or(false),
        claims: raw.claims.0.map(kept).transpose().at("claims")?,
        store: match raw.store.0 {
            Some(RawSessionStore::SharedStore) => SessionStore::Shared,
            Some(RawSessionStore::Cookie) | None => SessionStore::Cookie,
        },
    })
}

fn at_least_a_second(duration: Option<Duration>) -> Result<Option<Duration>, ConfigError> {
    if duration.is_some_and(|duration| duration < SHORTEST) {
        let problem = format!("must be {} s at least", SHORTEST.as_secs());
        return Err(ConfigError::here(&problem));
    }
    Ok(duration)
}

fn kept(raw: Vec<RawKeptClaim>) -> Result<Vec<KeptClaim>, ConfigError> {
    if raw.len() > MOST_CLAIMS {
        let problem = format!("must have {MOST_CLAIMS} claims at most");
        return Err(ConfigError::here(&problem));
    }
    let mut kept: Vec<KeptClaim> = Vec::with_capacity(raw.len());
    for (index, raw) in raw.into_iter().enumerate() {
        let claim = kept_claim(raw).and_then(|claim| {
            let is_taken = kept.iter().any(|known| known.name == claim.name);
            if is_taken {
                Err(ConfigError::here(GIVEN_TWICE))
            } else {
                Ok(claim)
            }
        });
        kept.push(claim.at_item(index)?);
    }
    Ok(kept)
}

fn kept_claim(raw: RawKeptClaim) -> Result<KeptClaim, ConfigError> {
    let claim = not_empty(raw.claim)?;
    let Some(name) = raw.name else {
        let name = claim.clone();
        return Ok(KeptClaim { claim, name });
    };
    let name = not_empty(name)?;
    if name != claim && [&claim, &name].into_iter().any(|name| is_identity(name)) {
        return Err(ConfigError::here(&format!(
            "must not be renamed, or get the name of another: {}",
            IDENTITY.join(", ")
        )));
    }
    Ok(KeptClaim { claim, name })
}

fn is_identity(name: &str) -> bool {
    IDENTITY.contains(&name)
}

/// Where browsers come back to, as far as the cookie depends on it.
pub(super) enum Back<'a> {
    /// To this host.
    Host(&'a str),
    /// To whichever of these the request is for.
    Any(&'a [HostMatcher]),
}

pub(super) fn cookie(raw: RawCookie, back: &Back<'_>) -> Result<CookieRules, ConfigError> {
    let domain = raw.domain.0.map(|name| domain(&name, back));
    let max_bytes = max_bytes(raw.max_bytes).at("max_bytes")?;
    if let Some(RawSameSite::Strict) = raw.same_site.0 {
        return Err(ConfigError::new(
            "same_site",
            "STRICT is not supported yet: a browser comes back from the provider's site without the cookie",
        ));
    }
    Ok(CookieRules {
        same_site: match raw.same_site.0 {
            Some(RawSameSite::None) => SameSite::None,
            Some(RawSameSite::Lax | RawSameSite::Strict) | None => SameSite::Lax,
        },
        domain: domain.transpose().at("domain")?,
        max_bytes,
    })
}

fn max_bytes(given: Given<Whole>) -> Result<usize, ConfigError> {
    let Some(Whole(bytes)) = given.0 else {
        return Ok(DEFAULT_MAX_BYTES);
    };
    let bytes = usize::try_from(bytes).ok();
    bytes
        .filter(|bytes| (LONGEST_COOKIE..=LARGEST_MAX_BYTES).contains(bytes))
        .ok_or_else(|| ConfigError::here(&CookieError::MaxBytes.to_string()))
}

/// The value of `Domain`. A browser drops a cookie whose domain does not contain the host (RFC 6265
/// section 5.3), and a cookie whose domain has hosts of everybody.
fn domain(name: &str, back: &Back<'_>) -> Result<String, ConfigError> {
    let domain = normal_host(name)?;
    let is_address = domain.starts_with('[') || domain.parse::<std::net::Ipv4Addr>().is_ok();
    if is_address || !domain.contains('.') {
        return Err(ConfigError::here(
            "must be a domain of two names at least, and no address: browsers drop the cookie",
        ));
    }
    let outside = match back {
        Back::Host(host) => !is_in(&domain, host),
        Back::Any(hosts) => hosts.iter().any(|host| match host {
            HostMatcher::Exact(host) => !is_in(&domain, host),
            HostMatcher::Below(end) => !is_in(&domain, end.strip_prefix('.').unwrap_or(end)),
        }),
    };
    if outside {
        return Err(ConfigError::here(
            "does not have every host in it that browsers come back to: there they drop the cookie",
        ));
    }
    Ok(domain)
}

/// Whether a host is a domain or below it.
fn is_in(domain: &str, host: &str) -> bool {
    let above = host.strip_suffix(domain);
    above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
}
