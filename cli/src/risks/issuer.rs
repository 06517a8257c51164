//! What is wrong with an issuer, as far as the address of its keys tells.
//!
//! A provider's key set says whose tokens these are. Where the two do not fit, all tokens get 401, which is a
//! riddle to whoever has changed one of two places.

use bearer_gate::config::{Endpoint, KeySource, Provider};
use bearer_gate::http::uri::Uri;
use bearer_gate::jose::issuer::Issuer;

/// Providers that have each issuer and its keys on one host, by the ends of their hosts.
const ON_ITS_OWN_HOST: [&str; 6] = [
    ".auth0.com",
    ".okta.com",
    ".oktapreview.com",
    ".okta-emea.com",
    ".b2clogin.com",
    ".amazonaws.com",
];
const KEYS_OF_KEYCLOAK: &str = "/protocol/openid-connect/certs";

/// What is told of the field `issuer`.
pub(super) fn look_at(provider: &Provider) -> Option<String> {
    let Issuer::One(written) = &provider.expectations.issuer else {
        return None;
    };
    let keys = match &provider.keys {
        KeySource::Remote(remote) => match &remote.endpoint {
            Endpoint::Jwks(uri) => Some(uri.address("")),
            Endpoint::ByKid(_) | Endpoint::Discovery { .. } => None,
        },
        KeySource::Local(_) => None,
    };
    match (Uri::parse(written), keys) {
        (Err(_), Some(keys)) => without_scheme(written, &keys),
        (Ok(issuer), keys) => without_slash(written, &issuer)
            .or_else(|| keys.and_then(|keys| of_another(&issuer, &keys))),
        (Err(_), None) => None,
    }
}

/// `tenant.eu.auth0.com`, as libraries want a domain.
fn without_scheme(written: &str, keys: &Uri) -> Option<String> {
    let host = written.split('/').next().unwrap_or_default();
    host.eq_ignore_ascii_case(&keys.authority).then(|| {
        let scheme = keys.scheme.name();
        format!(
            "has no {scheme}://, which the iss of a token mostly has: copy it from a token, as {scheme}://{}/",
            keys.authority
        )
    })
}

fn without_slash(written: &str, issuer: &Uri) -> Option<String> {
    let is_bare = issuer.path == "/" && !written.ends_with('/');
    (is_bare && issuer.authority.ends_with(".auth0.com"))
        .then(|| format!("has no slash at its end, and Auth0's issuers have one: {written}/"))
}

/// The keys of another tenant, pool, authorization server or realm.
fn of_another(issuer: &Uri, keys: &Uri) -> Option<String> {
    let is_on = |end: &&&str| issuer.authority.ends_with(**end) && keys.authority.ends_with(**end);
    let is_elsewhere = issuer.authority != keys.authority;
    if is_elsewhere && ON_ITS_OWN_HOST.iter().find(is_on).is_some() {
        return Some(format!(
            "is at {}, and the keys are those of {}: tokens of one are not signed by the other",
            issuer.authority, keys.authority
        ));
    }
    let realm = |path: &str| {
        Some(
            path.split_once("/realms/")?
                .1
                .trim_end_matches('/')
                .to_owned(),
        )
    };
    let of_keys = realm(keys.path.strip_suffix(KEYS_OF_KEYCLOAK)?)?;
    let of_issuer = realm(&issuer.path)?;
    (of_issuer != of_keys).then(|| {
        format!("is of the realm {of_issuer}, and the keys are those of {of_keys}: tokens of one are not signed by the other")
    })
}

#[cfg(test)]
mod tests {
    use bearer_gate::config::Config;
    use serde_json::json;

    use super::*;

    fn told(issuer: &str, keys: &str) -> Option<String> {
        let config = json!({
            "providers": {"p": {
                "issuer": issuer, "audiences": ["a"],
                "remote_jwks": {"http_uri": {"uri": keys, "cluster": "c", "timeout": "1s"}},
            }},
            "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "p"}}],
        });
        let config = Config::parse(config.to_string().as_bytes()).unwrap();
        config.providers.iter().find_map(look_at)
    }

    #[test]
    fn an_issuer_that_does_not_fit_its_keys_is_told() {
        let jwks = |host: &str| format!("https://{host}/.well-known/jwks.json");
        let realm =
            |name: &str| format!("https://k.example/realms/{name}/protocol/openid-connect/certs");
        for (issuer, keys, expected) in [
            (
                "t.eu.auth0.com",
                jwks("t.eu.auth0.com"),
                Some("has no https://"),
            ),
            (
                "https://t.eu.auth0.com",
                jwks("t.eu.auth0.com"),
                Some("no slash at its end"),
            ),
            ("https://t.eu.auth0.com/", jwks("t.eu.auth0.com"), None),
            (
                "https://t.eu.auth0.com/",
                jwks("u.eu.auth0.com"),
                Some("those of u.eu.auth0.com"),
            ),
            (
                "https://t.okta.com/oauth2/default",
                "https://u.okta.com/oauth2/default/v1/keys".into(),
                Some("those of u.okta.com"),
            ),
            (
                "https://t.oktapreview.com",
                "https://u.oktapreview.com/oauth2/v1/keys".into(),
                Some("those of u.oktapreview.com"),
            ),
            (
                "https://t.okta-emea.com",
                "https://u.okta-emea.com/oauth2/v1/keys".into(),
                Some("those of u.okta-emea.com"),
            ),
            (
                "https://t.b2clogin.com/x/v2.0/",
                "https://u.b2clogin.com/x/discovery/v2.0/keys".into(),
                Some("those of u.b2clogin.com"),
            ),
            (
                "https://cognito-idp.eu-west-1.amazonaws.com/a",
                jwks("cognito-idp.eu-west-2.amazonaws.com/a"),
                Some("those of cognito-idp.eu-west-2.amazonaws.com"),
            ),
            // without its scheme, and of another host
            ("other.example.com", jwks("login.example.com"), None),
            // a domain of one's own
            ("https://login.example.com/", jwks("t.eu.auth0.com"), None),
            ("https://login.example.com", jwks("login.example.com"), None),
            (
                "https://k.example/realms/a",
                realm("b"),
                Some("of the realm a"),
            ),
            ("https://k.example/realms/a", realm("a"), None),
            // within a network it has another host
            ("https://other.example/realms/a/", realm("a"), None),
            (
                "https://accounts.google.com",
                "https://www.googleapis.com/oauth2/v3/certs".into(),
                None,
            ),
            (
                "accounts.google.com",
                "https://www.googleapis.com/oauth2/v3/certs".into(),
                None,
            ),
            ("an issuer of ours", jwks("keys.example.com"), None),
        ] {
            let told = told(issuer, &keys);
            match expected {
                None => assert_eq!(told, None, "{issuer} {keys}"),
                Some(text) => assert!(
                    told.as_ref().is_some_and(|told| told.contains(text)),
                    "{issuer} {keys} {told:?}"
                ),
            }
        }
    }
}
