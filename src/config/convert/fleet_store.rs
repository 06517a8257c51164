//! The store that several Envoys share: raw to valid.
//!
//! Invariant: nothing is put into the store that the operator's own keys do not seal.

use std::time::Duration;

use super::keys;
use super::vet::required;
use crate::config::read::duration::Span;
use crate::config::read::error::{At, ConfigError};
use crate::config::read::raw::{RawOnStale, RawSharedStore};
use crate::config::sign_in::{Scheme, SessionStore, SignIn};
use crate::config::valid::FleetStore;

const DEFAULT_PREFIX: &str = "bearer-gate";
const LONGEST_PREFIX: usize = 64;
const DEFAULT_INTERVAL: Duration = Duration::from_secs(1);
/// The time between ticks.
const LEAST_INTERVAL: Duration = Duration::from_millis(200);
const MOST_INTERVAL: Duration = Duration::from_secs(60);
const DEFAULT_MAX_STALE: Duration = Duration::from_secs(300);

pub(super) fn convert(
    raw: RawSharedStore,
    sign_in: Option<&SignIn>,
) -> Result<FleetStore, ConfigError> {
    if sign_in.is_none_or(|sign_in| sign_in.keyring.is_none()) {
        return Err(ConfigError::here(
            "needs sign_in.cookie_keys: what is put there is sealed with them",
        ));
    }
    let uri = required(raw.http_uri).and_then(keys::http_uri);
    let given = |span: Option<Span>, default| span.map_or(default, |Span(span)| span);
    let interval = given(raw.interval.0, DEFAULT_INTERVAL);
    if !(LEAST_INTERVAL..=MOST_INTERVAL).contains(&interval) {
        return Err(ConfigError::new("interval", "must be from 0.2 s to 60 s"));
    }
    let max_stale = given(raw.max_stale.0, DEFAULT_MAX_STALE);
    if max_stale < interval {
        return Err(ConfigError::new("max_stale", "must not be below interval"));
    }
    Ok(FleetStore {
        uri: uri.at("http_uri")?,
        key_prefix: prefix(raw.key_prefix.0).at("key_prefix")?,
        interval,
        max_stale,
        allow_stale: matches!(raw.on_stale.0, Some(RawOnStale::Allow)),
    })
}

/// Checks that no session needs the store, where there is none.
pub(super) fn vet_without<'s>(
    schemes: impl IntoIterator<Item = &'s Scheme>,
) -> Result<(), ConfigError> {
    let mut schemes = schemes.into_iter();
    match schemes.find(|scheme| scheme.session.store == SessionStore::Shared) {
        Some(scheme) => {
            let needs = ConfigError::new("session.store", "SHARED_STORE needs shared_store");
            Err(needs).at(&scheme.name)
        }
        None => Ok(()),
    }
}

fn prefix(prefix: Option<String>) -> Result<String, ConfigError> {
    let prefix = prefix.unwrap_or_else(|| DEFAULT_PREFIX.to_owned());
    // No other character stands for itself in a command.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':');
    if prefix.is_empty() || prefix.len() > LONGEST_PREFIX || !prefix.bytes().all(is_plain) {
        return Err(ConfigError::here(
            "must be 1 to 64 letters, digits, - _ and :",
        ));
    }
    Ok(prefix)
}
