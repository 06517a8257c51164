//! A client proves with a private key who it is, through a real Envoy, which signs. The provider
//! verifies each assertion, and takes none twice.

use std::collections::BTreeSet;
use std::time::Duration;

use bearer_gate_testbed::envoy::{Filter, Listener, Wasm};
use bearer_gate_testbed::eventually;
use bearer_gate_testbed::http::Reply;
use bearer_gate_testbed::idp::openid::{Endpoint, RelyingParty};
use bearer_gate_testbed::token::{now, untrusted_claims, untrusted_header};
use bearer_gate_testbed::visitor::Visitor;
use serde_json::{Value, json};

use crate::sign_in;
use crate::stage::{Stage, merge};

const RSA: &str = include_str!("../fixtures/rsa2048-a.pem");
const RSA_PUBLIC: &str = include_str!("../fixtures/rsa2048-a.jwk.json");
const OTHER_RSA: &str = include_str!("../fixtures/rsa2048-b.pem");
const P256: &str = include_str!("../fixtures/p256.pem");
const P256_PUBLIC: &str = include_str!("../fixtures/p256.jwk.json");

/// The configuration of `sign_in`, with these credentials beside `client_id`.
fn config(stage: &Stage, credentials: Value) -> Value {
    let mut config = sign_in::config(stage);
    let scheme = &mut config["sign_in"]["schemes"]["staff"];
    scheme["credentials"] = json!({"client_id": "web"});
    merge(&mut scheme["credentials"], credentials);
    let more = json!({
        "auth_type": "PRIVATE_KEY_JWT", "use_refresh_token": true, "forward_bearer_token": true,
        "pushed_authorization_request_endpoint": {"cluster": "idp", "timeout": "2s"},
    });
    merge(scheme, more);
    config
}

/// The body of PEM in one line, as `base64` has it.
fn one_line(pem: &str) -> String {
    pem.lines()
        .skip_while(|line| !line.starts_with("-----"))
        .filter(|line| !line.starts_with("-----"))
        .collect()
}

fn register(stage: &Stage, public: &str) {
    let public = serde_json::from_str(public).unwrap();
    let callback = stage.url("/oauth2/callback");
    let party = RelyingParty::with_key("web", public, &callback);
    stage.idp.openid().register(party);
}

/// Alice comes back from the provider.
async fn signs_in(stage: &Stage, visitor: &mut Visitor) -> Reply {
    let page = stage.url("/page");
    visitor.sign_in_for(&page, "alice", "wonderland").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_signs_each_of_its_calls_anew() {
    let escaped = RSA.replace('\n', "\\n");
    let in_one_line = one_line(P256);
    let thumbprint = "84:E0:5C:1D:98:BC:E3:A5:42:1D:22:5B:14:0B:36:E8:6A:3D:55:34";
    let table = [
        (
            json!({"private_key": {"inline_string": escaped}, "certificate_thumbprint": thumbprint}),
            RSA_PUBLIC,
            json!({"alg": "RS256", "typ": "JWT", "x5t": "hOBcHZi846VCHSJbFAs26Go9VTQ"}),
            false,
        ),
        (
            json!({"private_key": {"inline_string": in_one_line}, "key_id": "k-1",
                "assertion_audience": "ENDPOINT"}),
            P256_PUBLIC,
            json!({"alg": "ES256", "typ": "JWT", "kid": "k-1"}),
            true,
        ),
    ];
    let stage = Stage::start(|_| json!({"unmatched": "allow"}));
    let openid = stage.idp.openid();
    for (credentials, public, header, of_endpoint) in table {
        register(&stage, public);
        openid.configure(|settings| {
            settings.wants_called_endpoint = of_endpoint;
            settings.access_token_lifetime = 2;
        });
        let config = config(&stage, credentials);
        let reloaded = stage.envoy().reload_wasm(&config);
        reloaded.unwrap_or_else(|refused| panic!("{refused}"));
        let before = openid.seen(Endpoint::Token).len();
        let revoked = openid.calls(Endpoint::Revocation);

        let mut visitor = Visitor::new();
        let done = signs_in(&stage, &mut visitor).await;
        assert_eq!(done.header("location"), Some("/page"), "{}", done.body);
        tokio::time::sleep(Duration::from_millis(2300)).await;
        let page = visitor.get(&stage.url("/page")).await;
        assert_eq!(page.status, 200, "refreshed: {}", page.body);
        let left = visitor.post(&stage.url("/sign-out"), &[]).await;
        assert_eq!(left.status, 303, "{}", left.body);
        eventually(Duration::from_secs(5), "a revocation", || {
            openid.calls(Endpoint::Revocation) > revoked
        });

        let mut ids = BTreeSet::new();
        let mut calls = openid.seen(Endpoint::Token).split_off(before);
        assert_eq!(calls.len(), 2, "the code and the refresh");
        calls.push(openid.last(Endpoint::PushedAuthorization));
        calls.push(openid.last(Endpoint::Revocation));
        for call in &calls {
            assert_eq!(call.parameter("client_secret"), None);
            assert_eq!(call.header("authorization"), None);
            assert_eq!(call.parameter("client_id"), Some("web"));
            let assertion = call.parameter("client_assertion").unwrap();
            assert_eq!(untrusted_header(assertion), header);
            let claims = untrusted_claims(assertion);
            let aud = match of_endpoint {
                true => openid.url(call.endpoint),
                false => stage.idp.issuer(),
            };
            assert_eq!(claims["aud"], json!(aud));
            assert_eq!(
                (&claims["iss"], &claims["sub"]),
                (&json!("web"), &json!("web"))
            );
            let (issued, expires) = (claims["iat"].as_i64(), claims["exp"].as_i64());
            assert_eq!(issued.zip(expires).map(|(iat, exp)| exp - iat), Some(60));
            assert!((now() - issued.unwrap()).abs() < 10);
            ids.insert(claims["jti"].as_str().unwrap().to_owned());
        }
        assert_eq!(ids.len(), calls.len(), "none is sent twice");
    }
    let log = stage.envoy().log();
    for pem in [RSA, P256] {
        let lines = pem.lines().filter(|line| line.len() == 64);
        for line in lines {
            assert!(!log.contains(line), "a key in the log");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s28_a_key_in_the_environment_is_not_shown() {
    // As a file is put into a variable, with its line feeds.
    let pem = &RSA[RSA.find("-----").unwrap()..];
    let stage = Stage::build(
        |_| {},
        |_, builder| {
            let mut wasm = Wasm::new(json!({"unmatched": "allow"}));
            wasm.variables = &["BG_KEY"];
            builder
                .variable("BG_KEY", pem)
                .component_log_level("wasm:trace")
                .listener(Listener::new("main").filter(Filter::Wasm(wasm)))
        },
    );
    register(&stage, RSA_PUBLIC);
    let config = config(
        &stage,
        json!({"private_key": {"environment_variable": "BG_KEY"}}),
    );
    stage.envoy().reload_wasm(&config).unwrap();
    let mut visitor = Visitor::new();
    let done = signs_in(&stage, &mut visitor).await;
    assert_eq!(done.header("location"), Some("/page"), "{}", done.body);
    let dump = stage.envoy().admin("/config_dump").unwrap();
    let log = stage.envoy().log();
    for line in pem.lines().filter(|line| line.len() == 64) {
        assert!(!log.contains(line) && !dump.contains(line));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_not_the_clients_signs_nobody_in() {
    let stage = Stage::start(|_| json!({"unmatched": "allow"}));
    register(&stage, RSA_PUBLIC);
    let wrong = json!({"private_key": {"inline_string": OTHER_RSA}});
    let mut config = config(&stage, wrong);
    let scheme = config["sign_in"]["schemes"]["staff"]
        .as_object_mut()
        .unwrap();
    scheme.remove("pushed_authorization_request_endpoint");
    stage.envoy().reload_wasm(&config).unwrap();
    let mut visitor = Visitor::new();
    let done = signs_in(&stage, &mut visitor).await;
    assert_eq!(done.status, 502, "{}", done.body);
    assert_eq!(
        stage.counter("bearer_gate.sign_in.failed.tokens_unusable"),
        1
    );
    assert!(
        stage
            .envoy()
            .log()
            .contains("the provider refused: invalid_client")
    );
    assert_eq!(stage.traps(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_envoy_does_not_take_is_refused_at_the_start() {
    let stage = Stage::start(|_| json!({"unmatched": "allow"}));
    register(&stage, RSA_PUBLIC);
    // The outer form is a key's, the numbers fit no longer.
    for pem in [RSA, P256] {
        let mut broken: Vec<char> = one_line(pem).chars().collect();
        let middle = broken.len() / 2;
        for letter in &mut broken[middle..middle + 8] {
            *letter = if *letter == 'A' { 'B' } else { 'A' };
        }
        let broken: String = broken.into_iter().collect();
        let config = config(&stage, json!({"private_key": {"inline_string": broken}}));
        let refused = stage.envoy().reload_wasm(&config).unwrap_err().to_string();
        let expected = "sign_in.schemes.staff.credentials.private_key: Envoy does not sign with it";
        assert!(refused.contains(expected), "{refused}");
        assert!(!refused.contains(&broken[..16]), "{refused}");
    }
}
