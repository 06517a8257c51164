//! The testbed's Envoy, with no filter and with the native `jwt_authn`, which checks the identity
//! provider's tokens independently of anything in this repository.

use std::time::Duration;

use bearer_gate_testbed::envoy::{Envoy, Listener};
use bearer_gate_testbed::http::Client;
use bearer_gate_testbed::idp::Idp;
use bearer_gate_testbed::keys::{KeyForm, SigningKey};
use bearer_gate_testbed::upstream::Upstream;
use bearer_gate_testbed::{eventually, raw, token};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(5);

fn jwt_authn(idp: &Idp) -> Value {
    json!({
        "providers": {
            "idp": {
                "issuer": idp.issuer(),
                "audiences": ["https://api.example.com"],
                "remote_jwks": {
                    "http_uri": {"uri": idp.jwks_url(), "cluster": "idp", "timeout": "1s"},
                    "cache_duration": "600s",
                },
            },
        },
        "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "idp"}}],
    })
}

#[tokio::test]
async fn the_native_filter_accepts_the_providers_tokens_and_no_others() {
    let (idp, upstream) = (Idp::start(), Upstream::start());
    idp.set_key_form(KeyForm::Modulus);
    let envoy = Envoy::builder()
        .cluster("idp", idp.address())
        .cluster("upstream", upstream.address())
        .listener(Listener::jwt_authn("native", jwt_authn(&idp)))
        .start()
        .unwrap_or_else(|e| panic!("{e}"));
    let client = Client::new();
    let url = envoy.url("/api");
    let claims = idp.claims();
    let good = idp.good_token();
    let pem = idp.key().public_pem();

    assert_eq!(client.get_with(&url, &good).await.status, 200);
    assert_eq!(upstream.requests(), 1);
    let hostile = [
        ("no token", String::new()),
        ("expired", idp.token(&claims.clone().expires_in(-600))),
        ("issuer", idp.token(&claims.clone().issuer("http://other/"))),
        ("audience", idp.token(&claims.clone().audience("other"))),
        (
            "claims",
            token::with_claims(&good, &claims.clone().subject("b").value()),
        ),
        ("signature", token::with_signature_bit_flipped(&good, 1000)),
        ("none", token::unsecured("none", &claims.value())),
        (
            "hmac",
            token::hs256(pem.as_bytes(), idp.key().kid(), &claims.value()),
        ),
        (
            "kid",
            token::sign(
                &SigningKey::generate(),
                &token::header("?"),
                &claims.value(),
            ),
        ),
        (
            "key",
            token::sign(&SigningKey::generate(), &idp.header(), &claims.value()),
        ),
    ];
    for (what, token) in hostile {
        let status = client.get_with(&url, &token).await.status;
        assert!(matches!(status, 401 | 403), "{what}: {status}");
    }
    assert_eq!(upstream.requests(), 1);
}

#[tokio::test]
async fn requests_pass_unchanged_and_are_counted() {
    let upstream = Upstream::start();
    let envoy = Envoy::builder()
        .cluster("upstream", upstream.address())
        .listener(Listener::new("plain"))
        .listener(Listener::new("tidy").hcm("normalize_path", true))
        .concurrency(4)
        .start()
        .unwrap_or_else(|e| panic!("{e}"));

    let sent: &[(&str, &[u8])] = &[("x-byte", b"\xff"), ("x-twice", b"1"), ("x-twice", b"2")];
    let reply = raw::get(envoy.address(), "/public/../a;b/%2e%2e//c\\d?x=1", sent).unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());
    let echo = reply.json();
    assert_eq!(echo["path"], "/public/../a;b/%2e%2e//c\\d");
    assert_eq!(echo["query"], "x=1");
    let headers = echo["headers"].to_string();
    assert!(headers.contains(r#"["x-byte","�"]"#), "{headers}");
    assert!(
        headers.contains(r#"["x-twice","1"],["x-twice","2"]"#),
        "{headers}"
    );

    let tidy = raw::get(envoy.address_of("tidy"), "/public/../admin", &[]).unwrap();
    assert_eq!(tidy.json()["path"], "/admin");
    assert_eq!(upstream.requests(), 2);
    eventually(LIMIT, "the request is in the stats", || {
        envoy.stat("http.plain.downstream_rq_2xx") == 1
    });

    // As many connections as workers, one for each.
    let connections: Vec<_> = (0..4)
        .map(|_| {
            let mut connection = raw::RawConnection::open(envoy.address()).unwrap();
            connection
                .send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
                .unwrap();
            assert_eq!(connection.response().unwrap().status, 200);
            connection
        })
        .collect();
    for worker in 0..4 {
        let name = format!("worker_{worker}.downstream_cx_active");
        let seen = |(stat, count): (&String, &u64)| stat.ends_with(&name) && *count == 1;
        assert!(
            envoy.stats().iter().any(seen),
            "worker {worker} has not one connection"
        );
    }
    drop(connections);
}

#[tokio::test]
async fn a_reload_takes_effect_and_a_bad_one_leaves_the_old_configuration() {
    let (idp, upstream) = (Idp::start(), Upstream::start());
    let envoy = Envoy::builder()
        .cluster("idp", idp.address())
        .cluster("upstream", upstream.address())
        .listener(Listener::new("main"))
        .start()
        .unwrap_or_else(|e| panic!("{e}"));
    let client = Client::without_keep_alive();
    let url = envoy.url("/");
    assert_eq!(client.get(&url).await.status, 200);

    let refused = envoy
        .reload(|listeners| {
            listeners[0] = Listener::new("main").hcm("no_such_field", true);
        })
        .expect_err("an unknown field");
    assert!(refused.log.contains("no_such_field"), "{refused}");
    assert_eq!(client.get(&url).await.status, 200);

    for (listener, expected) in [
        (Listener::jwt_authn("main", jwt_authn(&idp)), 401),
        (Listener::new("main"), 200),
    ] {
        envoy.reload(|listeners| listeners[0] = listener).unwrap();
        let mut status = 0;
        for _ in 0..100 {
            status = client.get(&url).await.status;
            if status == expected {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(status, expected);
    }
    assert!(envoy.is_running());
}

#[test]
fn a_start_that_fails_says_why() {
    let unknown = Listener::new("main").hcm("no_such_field", true);
    let refused = Envoy::builder()
        .listener(unknown)
        .start()
        .expect_err("an unknown field");
    assert!(refused.log.contains("no_such_field"), "{refused}");

    let twice = Envoy::builder()
        .empty_cluster("a")
        .empty_cluster("a")
        .start();
    let refused = twice.expect_err("two clusters of one name");
    assert!(refused.reason.contains("exited"), "{refused}");
    assert!(refused.log.contains("duplicate"), "{refused}");
}

#[tokio::test]
async fn body_bytes_count_as_they_arrive() {
    let upstream = Upstream::start();
    let envoy = Envoy::builder()
        .cluster("upstream", upstream.address())
        .listener(Listener::new("main"))
        .start()
        .unwrap_or_else(|e| panic!("{e}"));
    let mut connection = raw::RawConnection::open(envoy.address()).unwrap();
    connection
        .send(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n12345")
        .unwrap();
    eventually(LIMIT, "half of the body", || upstream.body_bytes() == 5);
    assert_eq!(upstream.requests(), 1);
    connection.send(b"67890").unwrap();
    let reply = connection.response().unwrap();
    assert_eq!(reply.json()["body"], "1234567890");
    assert_eq!(reply.json()["body_length"], 10);
}
