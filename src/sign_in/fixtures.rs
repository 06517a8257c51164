//! A scheme for the tests, as a configuration makes it, and ID tokens for it.

use serde_json::{Map, Value, json};

use super::id_token::{IdToken, IdTokenError, begin};
use super::token_reply::Grant;
use crate::config::{Config, Scheme};
use crate::jose::JwtError;
use crate::jose::fixtures::{self as jose, HEADER, JWK_A, PEM_A};
use crate::jose::jwa::Algorithm;
use crate::jose::jwks::{KeySet, Selection};
use crate::jose::jwt::{self, Verified};
use crate::session::life::Session;
use crate::signature::portable::Portable;

pub(super) const CLIENT_ID: &str = "web";
pub(super) const CLIENT_SECRET: &str = "client:secret e1b7&=%";
pub(super) const ISSUER: &str = "https://issuer.example/";

/// The scheme `staff`. These fields add to the required ones, or replace them.
pub(super) fn scheme(fields: Value) -> Scheme {
    let mut scheme = json!({
        "provider_name": "idp",
        "credentials": {
            "client_id": CLIENT_ID,
            "token_secret": {"environment_variable": "SECRET"},
        },
        "token_endpoint": {"cluster": "idp", "timeout": "5s"},
        "redirect_uri": "https://app.example/oauth2/callback",
    });
    let fields: Map<String, Value> = serde_json::from_value(fields).unwrap();
    for (name, value) in fields {
        if value.is_null() {
            scheme.as_object_mut().unwrap().remove(&name);
        } else {
            scheme[name] = value;
        }
    }
    let config = json!({
        "providers": {"idp": {
            "issuer": ISSUER,
            "audiences": ["https://api.example"],
            "openid_discovery": {"cluster": "idp", "timeout": "5s"},
        }},
        "sign_in": {
            "cookie_keys": [{"environment_variable": "KEY"}],
            "allowed_redirect_domains": ["app.example"],
            "schemes": {"staff": scheme},
        },
        "rules": [{"match": {"prefix": "/"}}],
    });
    let environment = |name: &str| {
        let value = match name {
            "SECRET" => CLIENT_SECRET,
            "PRIVATE_KEY" => PEM_A,
            _ => "a-key-of-thirty-two-octets-at-least",
        };
        Some(value.to_owned())
    };
    let config = Config::parse_in(config.to_string().as_bytes(), &environment);
    let sign_in = config.unwrap().sign_in.unwrap();
    sign_in.schemes.iter().next().unwrap().clone()
}

pub(super) const NOW: u64 = 1_800_000_000;
pub(super) const NONCE: &str = "nonce-of-the-flow";
pub(super) const ACCESS: &str = "access-token";
/// The first half of `printf access-token | sha256sum`, in base64url.
pub(super) const AT_HASH: &str = "Pxa-1wifRlPl7yG_0oJNfw";

/// Why there is no session.
#[derive(Debug, PartialEq)]
pub(super) enum Refused {
    Jwt(JwtError),
    Claims(IdTokenError),
}

/// Good claims of an ID token. The members are set, or removed where the value is "absent".
pub(super) fn claims(members: &Value) -> String {
    let mut claims = json!({
        "iss": ISSUER, "aud": CLIENT_ID, "sub": "kim", "exp": NOW + 300, "iat": NOW,
        "nonce": NONCE,
    });
    for (name, value) in members.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
        .as_object_mut()
        .unwrap()
        .retain(|_, value| *value != json!("absent"));
    claims.to_string()
}

/// An ID token with those claims.
pub(super) fn signed(members: &Value) -> String {
    jose::token(PEM_A, Algorithm::Rs256, HEADER, &claims(members))
}

pub(super) fn verified<'t>(scheme: &Scheme, token: &'t str) -> Result<Verified<'t>, Refused> {
    let keys = KeySet::parse(format!(r#"{{"keys":[{JWK_A}]}}"#).as_bytes()).unwrap();
    let parsed = jwt::parse(token.as_bytes()).map_err(Refused::Jwt)?;
    let validated = parsed
        .validate(&scheme.id_token, NOW as f64)
        .map_err(Refused::Jwt)?;
    match keys.candidates(validated.untrusted_header()) {
        Selection::Keys(keys) => validated.verify(&keys, &Portable).map_err(Refused::Jwt),
        Selection::UnknownKid | Selection::NoMatch => Err(Refused::Jwt(JwtError::NoKey)),
    }
}

pub(super) fn grant() -> Grant {
    Grant {
        access_token: ACCESS.to_owned(),
        expires_in: Some(120),
        refresh_token: Some("r-1".to_owned()),
    }
}

pub(super) fn begin_with(scheme: &Scheme, token: &str) -> Result<Session, Refused> {
    let token = IdToken {
        text: token,
        verified: &verified(scheme, token)?,
    };
    begin(scheme, token, &grant(), NONCE, [7; 16], NOW).map_err(Refused::Claims)
}

/// The result of an ID token with these claims, under a scheme with these fields.
pub(super) fn begun(fields: Value, members: Value) -> Result<Session, Refused> {
    begin_with(&scheme(fields), &signed(&members))
}
