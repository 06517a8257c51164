//! The identity provider's endpoints over HTTP, each fault, and its being down.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use bearer_gate_testbed::http::{Client, send, try_send};
use bearer_gate_testbed::idp::{Fault, HUGE, Idp};
use bearer_gate_testbed::keys::{KeyForm, SigningKey};
use bearer_gate_testbed::{raw, token};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn a_token_for_client_credentials() {
    let idp = Idp::start();
    let client = Client::new();
    let url = format!("{}/oauth/token", idp.url());
    let ask = |body: String| {
        let request = client.request(Method::POST, &url);
        send(
            request
                .header("content-type", "application/json")
                .body(body),
        )
    };
    let mut body = json!({
        "grant_type": "client_credentials",
        "client_id": "demo-client",
        "client_secret": "demo-secret",
        "audience": "https://api.example.com",
    });

    let reply = ask(body.to_string()).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!(reply.json()["token_type"], "Bearer");
    let token = reply.json()["access_token"].as_str().unwrap().to_owned();
    let header = token::untrusted_header(&token);
    assert_eq!(
        header,
        json!({"alg": "RS256", "typ": "JWT", "kid": idp.key().kid()})
    );
    let claims = token::untrusted_claims(&token);
    assert_eq!(claims["iss"], idp.issuer());
    assert!(idp.issuer().ends_with('/'));
    assert_eq!(claims["sub"], "demo-client@clients");
    assert_eq!(claims["aud"], "https://api.example.com");
    assert_eq!(claims["azp"], "demo-client");
    assert_eq!(claims["gty"], "client-credentials");
    assert_eq!(claims["permissions"], json!([]));
    assert!(claims.get("scope").is_none());
    let lifetime = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    assert_eq!(lifetime, 86_400);

    body["scope"] = json!("read:messages");
    let reply = ask(body.to_string()).await.json();
    let claims = token::untrusted_claims(reply["access_token"].as_str().unwrap());
    assert_eq!(claims["scope"], "read:messages");
    assert_eq!(claims["permissions"], json!(["read:messages"]));

    body["client_secret"] = json!("guess");
    let reply = ask(body.to_string()).await;
    assert_eq!(
        (reply.status, &reply.json()["error"]),
        (401, &json!("invalid_client"))
    );
    assert_eq!(idp.token_requests(), 3);
}

#[tokio::test]
async fn discovery_in_both_forms() {
    let idp = Idp::builder()
        .issuer("https://issuer.example/")
        .start()
        .unwrap();
    let client = Client::new();
    for path in ["openid-configuration", "oauth-authorization-server"] {
        let url = format!("{}/.well-known/{path}", idp.url());
        let document = client.get(&url).await.json();
        assert_eq!(document["issuer"], "https://issuer.example/");
        assert_eq!(document["jwks_uri"], idp.jwks_url());
    }
    idp.set_discovery_issuer(Some("https://other.example/"));
    idp.set_jwks_uri(Some("https://elsewhere.example/jwks.json"));
    let url = format!("{}/.well-known/openid-configuration", idp.url());
    let document = client.get(&url).await.json();
    assert_eq!(document["issuer"], "https://other.example/");
    assert_eq!(document["jwks_uri"], "https://elsewhere.example/jwks.json");
    idp.set_discovery(Fault::Status(500));
    assert_eq!(client.get(&url).await.status, 500);
    assert_eq!((idp.discovery_requests(), idp.metadata_requests()), (3, 1));
    assert_eq!(client.get(&idp.url()).await.status, 404);
    assert_eq!(idp.other_requests(), 1);
}

fn kids(jwks: &Value) -> Vec<&str> {
    let keys = jwks["keys"].as_array().into_iter().flatten();
    keys.filter_map(|key| key["kid"].as_str()).collect()
}

#[tokio::test]
async fn rotation_and_the_forms_of_keys() {
    let idp = Idp::start();
    let client = Client::new();
    let first = idp.key();
    let second = idp.rotate();
    let jwks = client.get(&idp.jwks_url()).await.json();
    assert_eq!(kids(&jwks), [first.kid(), second.kid()]);
    assert!(jwks["keys"][0]["n"].is_string() && jwks["keys"][0]["x5c"].is_array());
    assert_eq!(idp.header()["kid"], second.kid());

    let third = idp.rotate_and_drop();
    idp.set_key_form(KeyForm::CertificateOnly);
    let jwks = client.get(&idp.jwks_url()).await.json();
    assert_eq!(kids(&jwks), [third.kid()]);
    assert!(jwks["keys"][0]["n"].is_null() && jwks["keys"][0]["x5c"].is_array());

    let fourth = SigningKey::generate_with("fourth", 2048);
    idp.set_keys(&[fourth.clone(), third.clone()]);
    idp.set_extra_jwks(vec![json!({"kty": "oct", "kid": "extra", "k": "AAAA"})]);
    let jwks = client.get(&idp.jwks_url()).await.json();
    assert_eq!(kids(&jwks), ["extra", "fourth", third.kid()]);
    assert_eq!(token::untrusted_header(&idp.good_token())["kid"], "fourth");
    assert_eq!(idp.jwks_requests(), 3);
}

#[tokio::test]
async fn faults_with_a_whole_answer() {
    let idp = Idp::start();
    let client = Client::new();
    let good = idp.jwks().to_string();
    let url = idp.jwks_url();
    let get = || client.get(&url);
    let is_json = |body: &str| serde_json::from_str::<Value>(body).is_ok();

    idp.set_cache_control(Some("max-age=7"));
    let reply = get().await;
    assert_eq!(
        (reply.status, reply.header("cache-control")),
        (200, Some("max-age=7"))
    );
    // The certificates are made anew each time.
    assert_eq!(reply.json()["keys"][0]["n"], idp.jwks()["keys"][0]["n"]);

    for code in [500, 503, 404, 429] {
        idp.set_jwks(Fault::Status(code));
        assert_eq!(get().await.status, code);
    }
    idp.set_jwks(Fault::Status(301));
    let reply = get().await;
    assert_eq!((reply.status, idp.redirected_requests()), (301, 0));
    let target = reply.header("location").unwrap().to_owned();
    assert_eq!(kids(&client.get(&target).await.json()), [idp.key().kid()]);
    assert_eq!(idp.redirected_requests(), 1);

    idp.set_jwks(Fault::Html);
    assert_eq!(get().await.header("content-type"), Some("text/html"));
    idp.set_jwks(Fault::TruncatedJson);
    let reply = get().await;
    assert!(!is_json(&reply.body) && reply.body.len() * 2 <= good.len() + 8);
    idp.set_jwks(Fault::EmptyObject);
    assert_eq!(get().await.json(), json!({}));
    idp.set_jwks(Fault::EmptyKeys);
    assert_eq!(get().await.json(), json!({"keys": []}));
    idp.set_jwks(Fault::Body("[1".to_owned()));
    assert_eq!(get().await.body, "[1");
    idp.set_jwks(Fault::Huge(HUGE));
    let reply = get().await;
    assert_eq!(reply.body.len(), HUGE);
    assert_eq!(kids(&reply.json()), [idp.key().kid()]);
    idp.set_jwks(Fault::Delay(Duration::from_millis(300)));
    let before = Instant::now();
    tokio::join!(get(), get(), get());
    assert!(before.elapsed() >= Duration::from_millis(300));
    assert_eq!(idp.jwks_peak(), 3);
}

#[tokio::test]
async fn faults_without_a_whole_answer() {
    let idp = Idp::start();
    let client = Client::new();
    let get = |limit: Duration| {
        let request = client.request(Method::GET, &idp.jwks_url());
        try_send(request.timeout(limit))
    };
    let short = Duration::from_millis(400);

    idp.set_jwks(Fault::Hang);
    assert!(get(short).await.expect_err("no answer").is_timeout());
    idp.set_jwks(Fault::SlowDrip(Duration::from_millis(50)));
    assert!(
        get(short)
            .await
            .expect_err("a part of an answer")
            .is_timeout()
    );
    idp.set_jwks(Fault::SlowDrip(Duration::ZERO));
    assert_eq!(get(Duration::from_secs(10)).await.unwrap().status, 200);
    idp.set_jwks(Fault::CloseHalfway);
    let error = get(Duration::from_secs(10))
        .await
        .expect_err("half an answer");
    assert!(!error.is_timeout());
    idp.set_jwks(Fault::Ok);
    assert_eq!(get(Duration::from_secs(10)).await.unwrap().status, 200);
    assert_eq!(idp.jwks_requests(), 5);
}

#[test]
fn down_is_down_and_back_is_back() {
    let idp = Idp::start();
    let mut kept = raw::RawConnection::open(idp.address()).unwrap();
    let request = b"GET /.well-known/jwks.json HTTP/1.1\r\nhost: a\r\n\r\n";
    kept.send(request).unwrap();
    assert_eq!(kept.response().unwrap().status, 200);

    idp.stop();
    // A connection that was open is cut, and no new one is taken.
    assert!(kept.send(request).and_then(|()| kept.response()).is_err());
    let refused = raw::RawConnection::open(idp.address()).expect_err("a closed port");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);

    let kid = idp.key().kid().to_owned();
    idp.restart();
    let jwks = raw::get(idp.address(), "/.well-known/jwks.json", &[]).unwrap();
    assert_eq!(kids(&jwks.json()), [kid.as_str()]);
    assert_eq!(idp.jwks_requests(), 2);
}
