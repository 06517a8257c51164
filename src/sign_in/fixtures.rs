//! A scheme for the tests, as a configuration makes it.

use serde_json::{Map, Value, json};

use crate::config::{Config, Scheme};

pub const CLIENT_ID: &str = "web";
pub const CLIENT_SECRET: &str = "client:secret e1b7&=%";
pub const ISSUER: &str = "https://issuer.example/";

/// The scheme `staff`, with these fields beside the required ones, or in place of them.
pub fn scheme(fields: Value) -> Scheme {
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
            _ => "a-key-of-thirty-two-octets-at-least",
        };
        Some(value.to_owned())
    };
    let config = Config::parse_with_sign_in(config.to_string().as_bytes(), &environment);
    let sign_in = config.unwrap().sign_in.unwrap();
    sign_in.schemes.iter().next().unwrap().clone()
}
