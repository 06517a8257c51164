//! Sign-in: raw to valid.
//!
//! Invariant: no two of the filter's own paths are the same, and no page that a browser is sent to
//! begins what has just ended.

use super::scheme::{self, Around};
use super::{route_match, secret, vet};
use crate::config::id::PerProvider;
use crate::config::read::error::{At, ConfigError, GIVEN_TWICE, MUST_NOT_BE_EMPTY};
use crate::config::read::raw_sign_in::{RawSecret, RawSignIn};
use crate::config::read::value::{each, filled};
use crate::config::sign_in::{Environment, OwnPath, PerScheme, Scheme, Secret, SignIn};
use crate::config::valid::Provider;
use crate::matcher::HostMatcher;
use crate::session::seal::{Keyring, LEAST_SECRET, MAX_SECRETS};
use crate::session::site::{MAX_SITES, Sites};

/// The most ways to sign in. Each one costs a little with every request.
const MOST_SCHEMES: usize = 32;

pub(super) fn convert(
    raw: RawSignIn,
    providers: &PerProvider<Provider>,
    environment: Environment<'_>,
) -> Result<SignIn, ConfigError> {
    let cookie_keys = raw.cookie_keys.0.map(|raw| keys(raw, environment));
    let domains = vet::required(raw.allowed_redirect_domains).and_then(filled);
    let domains = domains.and_then(domains_and_sites);
    let (domains, sites) = domains.at("allowed_redirect_domains")?;
    let around = Around {
        providers,
        domains: &domains,
        sites: &sites,
        environment,
    };
    let entries = raw.schemes.entries();
    if entries.is_empty() || entries.len() > MOST_SCHEMES {
        let problem = format!("must have 1 to {MOST_SCHEMES} schemes");
        return Err(ConfigError::new("schemes", &problem));
    }
    let mut schemes = Vec::with_capacity(entries.len());
    for (name, raw) in entries {
        let scheme = scheme::convert(name.clone(), raw, &around);
        schemes.push(scheme.at(&name).at("schemes")?);
    }
    vet_paths(&schemes).at("schemes")?;
    let cookie_keys = cookie_keys.transpose().at("cookie_keys")?;
    let (cookie_keys, keyring) = cookie_keys.unzip();
    Ok(SignIn {
        cookie_keys: cookie_keys.unwrap_or_default(),
        keyring,
        schemes: PerScheme::new(schemes),
        sites,
    })
}

/// The entries of one list, as hosts and as sites. A port is a part of a site only.
fn domains_and_sites(names: Vec<String>) -> Result<(Vec<HostMatcher>, Sites), ConfigError> {
    let domains = each(names.clone(), &mut |name| {
        let port = name
            .rsplit_once(':')
            .filter(|(_, port)| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()));
        let host = port.map_or(name.as_str(), |(host, _)| host);
        route_match::host(host.to_owned())
    })?;
    let sites = Sites::parse(&names).map_err(|at| {
        let problem = format!("must be a host, or *. and a domain, {MAX_SITES} at most");
        ConfigError::here(&problem).within_item(at)
    })?;
    Ok((domains, sites))
}

fn keys(
    raw: Vec<RawSecret>,
    environment: Environment<'_>,
) -> Result<(Vec<Secret>, Keyring), ConfigError> {
    if raw.is_empty() {
        return Err(ConfigError::here(MUST_NOT_BE_EMPTY));
    }
    if raw.len() > MAX_SECRETS {
        let problem = format!("must have {MAX_SECRETS} keys at most");
        return Err(ConfigError::here(&problem));
    }
    let mut keys: Vec<Secret> = Vec::with_capacity(raw.len());
    for (index, raw) in raw.into_iter().enumerate() {
        let key = secret::convert(raw, environment, &is_long_enough).and_then(|key| {
            let is_known = keys.iter().any(|known| known.text() == key.text());
            if is_known {
                Err(ConfigError::here(GIVEN_TWICE))
            } else {
                Ok(key)
            }
        });
        keys.push(key.at_item(index)?);
    }
    let secrets: Vec<&str> = keys.iter().map(Secret::text).collect();
    let keyring = Keyring::new(&secrets);
    let keyring = keyring.map_err(|error| ConfigError::here(&error.to_string()))?;
    Ok((keys, keyring))
}

fn is_long_enough(secret: &str) -> Result<(), ConfigError> {
    if secret.len() < LEAST_SECRET {
        let problem = format!("has a secret of less than {LEAST_SECRET} bytes");
        return Err(ConfigError::here(&problem));
    }
    Ok(())
}

/// One of the filter's own paths, and where it is written.
struct Own<'s> {
    path: &'s str,
    kind: OwnPath,
    scheme: &'s str,
    field: &'static str,
}

/// Checks what depends on all schemes together.
fn vet_paths(schemes: &[Scheme]) -> Result<(), ConfigError> {
    let mut own: Vec<Own<'_>> = Vec::new();
    for scheme in schemes {
        for (kind, path) in &scheme.paths {
            let field = scheme::field(*kind, scheme.redirect_uri.is_some());
            if let Some(known) = own.iter().find(|known| known.path == path) {
                let (scheme_of_known, field_of_known) = (known.scheme, known.field);
                let problem =
                    format!("is the path of schemes.{scheme_of_known}.{field_of_known} already");
                return Err(ConfigError::new(field, &problem)).at(&scheme.name);
            }
            own.push(Own {
                path,
                kind: *kind,
                scheme: &scheme.name,
                field,
            });
        }
    }
    let vet = |path: &str, allowed: &[OwnPath]| {
        let taken = own.iter().find(|known| known.path == path);
        match taken.filter(|known| !allowed.contains(&known.kind)) {
            Some(known) => Err(ConfigError::here(&format!(
                "must not be schemes.{}.{}",
                known.scheme, known.field
            ))),
            None => Ok(()),
        }
    };
    for scheme in schemes {
        vet(
            &scheme.post_logout_redirect_path,
            &[OwnPath::SignIn, OwnPath::SignUp],
        )
        .at("post_logout_redirect_path")
        .at(&scheme.name)?;
        if let Some(path) = &scheme.error_redirect_path {
            vet(path, &[]).at("error_redirect_path").at(&scheme.name)?;
        }
    }
    Ok(())
}
