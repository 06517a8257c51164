//! A browser signs in at an independent provider, and its tokens are as bearer-gate expects them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bearer_gate_testbed::browser::Browser;
use bearer_gate_testbed::canaille::{self, Canaille};
use bearer_gate_testbed::http::{Client, send};
use bearer_gate_testbed::idp::openid::RelyingParty;
use bearer_gate_testbed::token::{base64url, untrusted_claims, untrusted_header};
use bearer_gate_testbed::upstream::Upstream;
use bearer_gate_testbed::visitor::parameters;
use reqwest::Method;
use serde_json::Value;
use sha2::{Digest, Sha256};

const VERIFIER: &str = "a-verifier-that-is-the-same-for-every-sign-in";

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_signs_in() {
    // It only has to answer at the redirect URI.
    let app = Upstream::start();
    let callback = format!("http://{}/callback", app.address());
    let provider = Canaille::start(&[RelyingParty::confidential("web", "secret", &callback)]);
    let client = Client::new();
    let metadata = client.get(&provider.discovery_url()).await.json();
    assert_eq!(metadata["issuer"], provider.issuer());
    let endpoint = |name: &str| metadata[name].as_str().unwrap().to_owned();
    let challenge = base64url(Sha256::digest(VERIFIER));
    let query = serde_urlencoded::to_string([
        ("response_type", "code"),
        ("client_id", "web"),
        ("redirect_uri", &callback),
        ("scope", "openid profile email"),
        ("state", "the state"),
        ("nonce", "the nonce"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ])
    .unwrap();

    let browser = Browser::start().await;
    let authorize = endpoint("authorization_endpoint");
    browser.open(&format!("{authorize}?{query}")).await;
    canaille::sign_in(&browser, "alice", "wonderland").await;
    let url = browser.wait_for_url(&callback).await;
    let parameter = |name: &str| {
        let all = parameters(&url);
        let found = all.into_iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value).unwrap_or_default()
    };
    assert_eq!(parameter("state"), "the state");
    assert_eq!(parameter("iss"), provider.issuer());

    let ask = async |fields: &[(&str, &str)]| -> Value {
        let request = client
            .request(Method::POST, &endpoint("token_endpoint"))
            .header("content-type", "application/x-www-form-urlencoded")
            .header(
                "authorization",
                format!("Basic {}", STANDARD.encode("web:secret")),
            )
            .body(serde_urlencoded::to_string(fields).unwrap());
        let reply = send(request).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.json()
    };
    let tokens = ask(&[
        ("grant_type", "authorization_code"),
        ("code", &parameter("code")),
        ("redirect_uri", &callback),
        ("code_verifier", VERIFIER),
    ])
    .await;
    let id_token = tokens["id_token"].as_str().unwrap();
    let claims = untrusted_claims(id_token);
    assert_eq!(claims["iss"], provider.issuer());
    assert_eq!(
        (&claims["sub"], &claims["nonce"]),
        (&"alice".into(), &"the nonce".into())
    );
    let keys = client.get(&endpoint("jwks_uri")).await.json();
    let kid = &untrusted_header(id_token)["kid"];
    let mut keys = keys["keys"].as_array().unwrap().iter();
    assert!(keys.any(|key| key["kid"] == *kid));

    // Its access tokens of one second are the same, and it keeps none twice.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let refreshed = ask(&[
        ("grant_type", "refresh_token"),
        ("refresh_token", tokens["refresh_token"].as_str().unwrap()),
    ])
    .await;
    assert_ne!(refreshed["access_token"], tokens["access_token"]);
    assert_ne!(refreshed["refresh_token"], tokens["refresh_token"]);
}
