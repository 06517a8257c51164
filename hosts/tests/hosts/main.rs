//! The module in hosts that are not Envoy: what it decides, how its keys live, how people sign in, and
//! what it does where the host does not keep to the ABI.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod decisions;
mod deviations;
mod keys;
mod maps;
mod sign_in;
mod signatures;

use bearer_gate_hosts::token::{ISSUER, RS256, SIGNERS, jwks};
use serde_json::{Value, json};

/// Keys in the configuration; `/public` needs no token, `/admin` a scope, `/write` one for all methods but
/// GET.
fn local() -> Value {
    json!({
        "providers": {"idp": {
            "issuer": ISSUER,
            "audiences": ["api"],
            "local_jwks": {"inline_string": jwks(&SIGNERS)},
            "claim_to_headers": [{"header_name": "x-user", "claim_name": "sub"}],
        }},
        "rules": [
            {"match": {"prefix": "/public"}},
            {"match": {"prefix": "/admin"}, "requires": {"provider_name": "idp"},
             "authorize": {"scopes": {"all": ["admin"]}}},
            {"match": {"prefix": "/write", "methods": ["GET"]}},
            {"match": {"prefix": "/"}, "requires": {"provider_name": "idp"}},
        ],
    })
}

/// Keys that are fetched.
fn remote() -> Value {
    let mut remote = local();
    let provider = &mut remote["providers"]["idp"];
    provider.as_object_mut().unwrap().remove("local_jwks");
    provider["remote_jwks"] = json!({
        "http_uri": {"uri": "https://idp.example/keys", "cluster": "idp", "timeout": "5s"},
    });
    remote
}

/// The set that [`remote`] brings.
fn set() -> String {
    jwks(&[RS256])
}
