//! People who signed in at an Application Load Balancer of AWS: its padded tokens, and keys that are
//! fetched one by one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use bearer_gate_testbed::alb::{
    ARN, AlbKey, Answer, CLIENT, HEADER, KeyEndpoint, claims, pem, uuid,
};
use bearer_gate_testbed::envoy::Listener;
use bearer_gate_testbed::http::{self, Client, Reply};
use bearer_gate_testbed::keys::{RsaHash, SigningKey};
use bearer_gate_testbed::token::{self, now};
use reqwest::Method;
use serde_json::{Value, json};

use crate::keys::figure;
use crate::stage::{Stage, merge};

/// The same load balancer's ARN in another account.
const OTHER: &str = "arn:aws:elasticloadbalancing:eu-west-1:999999999999:\
                     loadbalancer/app/my-load-balancer/50dc6c495c0c9188";

struct Behind {
    stage: Stage,
    endpoint: KeyEndpoint,
    key: AlbKey,
}

impl Behind {
    /// Four workers behind a load balancer with one key, with these fields in `aws_alb`; on
    /// `/other` a provider that has the same key, takes ES256 and expects JWS.
    fn start(more: Value) -> Self {
        Self::start_on(4, more)
    }

    /// The same on so many workers.
    fn start_on(workers: u32, more: Value) -> Self {
        let (endpoint, key) = (KeyEndpoint::start(), AlbKey::generate());
        endpoint.publish(&key);
        let stage = Stage::build(
            |_| {},
            |_, builder| {
                let builder = builder.concurrency(workers);
                let builder = builder.cluster("keys", endpoint.address());
                builder.wasm_filter(configuration(&endpoint, &key, more))
            },
        );
        Self {
            stage,
            endpoint,
            key,
        }
    }

    async fn get(&self, token: &str) -> Reply {
        self.get_at("/x", &[(HEADER, token)]).await
    }

    async fn get_at(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        let url = self.stage.url(path);
        let mut request = self.stage.client.request(Method::GET, &url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        http::send(request).await
    }

    /// A token with a changed header and changed claims.
    fn signed(&self, header: Value, changed: Value) -> String {
        let (mut head, mut body) = (self.key.header(), claims());
        merge(&mut head, header);
        merge(&mut body, changed);
        self.key.sign(&head, &body)
    }
}

fn configuration(endpoint: &KeyEndpoint, key: &AlbKey, more: Value) -> Value {
    let mut alb = json!({
        "signer": ARN,
        "clients": ["another", CLIENT],
        "http_uri": {"uri": endpoint.uri(), "cluster": "keys", "timeout": "1s"},
    });
    merge(&mut alb, more);
    let keys = json!({key.kid(): key.pem()}).to_string();
    json!({
        "providers": {
            "alb": {
                "issuer": "https://idp.example/",
                "aws_alb": alb,
                "claim_to_headers": [{"header_name": "x-user", "claim_name": "email"}],
                "forward_payload_header": "x-payload",
            },
            "other": {
                "issuer": "https://idp.example/",
                "any_audience": true,
                "local_jwks": {"inline_string": keys},
                "from_headers": [{"name": "x-other"}],
            },
        },
        "rules": [
            {"match": {"prefix": "/other"}, "requires": {"provider_name": "other"}},
            {"match": {"prefix": "/"}, "requires": {"provider_name": "alb"}},
        ],
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn people_behind_a_load_balancer() {
    let behind = Behind::start(json!({}));
    let (key, endpoint) = (&behind.key, &behind.endpoint);
    assert_eq!(behind.get_at("/x", &[]).await.status, 401);
    assert!(endpoint.asked().is_empty(), "nothing is fetched in advance");

    // Names of every length, so that parts have every padding.
    for name in ["a", "ad", "ada", "\u{e4}da", "\u{1f600}"] {
        let token = behind.signed(json!({}), json!({"name": name}));
        let reply = behind.get(&token).await;
        assert_eq!(reply.status, 200, "{name}: {}", reply.body);
        assert_eq!(reply.seen("x-user"), ["ada@example.com"]);
        let payload = token.split('.').nth(1).unwrap();
        assert_eq!(reply.seen("x-payload"), [payload.trim_end_matches('=')]);
        assert!(reply.seen(HEADER).is_empty());
    }
    assert_eq!(endpoint.asked(), [format!("/{}", key.kid())]);

    // A second key, as after a rotation; then all workers know both.
    let next = AlbKey::generate();
    endpoint.publish(&next);
    for _ in 0..20 {
        for token in [next.token(), key.token()] {
            assert_eq!(behind.get(&token).await.status, 200);
        }
    }
    assert_eq!(endpoint.asked_for(next.kid()), 1);
    assert_eq!(
        behind.stage.counter("bearer_gate.jwks_fetch.alb.success"),
        2
    );
    assert_eq!(behind.stage.traps(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_who_wait_for_one_kid_wait_for_one_call() {
    let behind = Behind::start(json!({}));
    let (kid, pem) = (behind.key.kid(), behind.key.pem());
    let late = Answer::Late(Duration::from_millis(500), pem);
    behind.endpoint.answer(kid, late);
    let token = behind.key.token();
    let mut waiting = Vec::new();
    for _ in 0..100 {
        let request = behind
            .stage
            .client
            .request(Method::GET, &behind.stage.url("/x"));
        waiting.push(tokio::spawn(http::send(request.header(HEADER, &token))));
    }
    for reply in waiting {
        assert_eq!(reply.await.unwrap().status, 200);
    }
    assert_eq!(behind.endpoint.asked().len(), 1);
}

/// A stranger who reaches the listener without the load balancer, or with another one.
#[tokio::test(flavor = "multi_thread")]
async fn what_no_load_balancer_of_ours_made_is_refused() {
    let behind = Behind::start(json!({}));
    let key = &behind.key;
    let good = key.token();
    assert_eq!(behind.get(&good).await.status, 200);
    let (asked, seen) = (behind.endpoint.asked(), behind.stage.upstream.requests());

    let stranger = AlbKey::generate().renamed(key.kid());
    let rsa = SigningKey::generate();
    let head = |header: Value| {
        let mut head = key.header();
        merge(&mut head, header);
        head
    };
    let hs256 = token::hs256(key.pem().as_bytes(), key.kid(), &claims());
    let padded = |text: &str| {
        let parts = text
            .split('.')
            .map(|part| format!("{part}{}", &"==="[..(4 - part.len() % 4) % 4]));
        parts.collect::<Vec<_>>().join(".")
    };
    let rs256 = token::sign_with(
        &rsa,
        RsaHash::Sha256,
        &head(json!({"alg": "RS256"})),
        &claims(),
    );
    let unsigned = |header: Value| {
        let input = good.split('.').nth(1).unwrap();
        format!("{}.{input}.", URL_SAFE.encode(head(header).to_string()))
    };
    let mut tokens = vec![
        (
            "another load balancer of AWS",
            behind.signed(json!({"signer": OTHER}), json!({})),
            "signer",
        ),
        (
            "no signer",
            behind.signed(json!({"signer": null}), json!({})),
            "signer",
        ),
        (
            "the signer in a list",
            behind.signed(json!({"signer": [ARN]}), json!({})),
            "signer",
        ),
        (
            "the signer in upper case",
            behind.signed(json!({"signer": ARN.to_uppercase()}), json!({})),
            "signer",
        ),
        (
            "the signer and more",
            behind.signed(json!({"signer": format!("{ARN}/x")}), json!({})),
            "signer",
        ),
        (
            "the signer in the claims",
            behind.signed(json!({"signer": OTHER}), json!({"signer": ARN})),
            "signer",
        ),
        (
            "another rule of the load balancer",
            behind.signed(json!({"client": "other"}), json!({})),
            "client",
        ),
        (
            "no client",
            behind.signed(json!({"client": null}), json!({})),
            "client",
        ),
        (
            "the client in a list",
            behind.signed(json!({"client": [CLIENT]}), json!({})),
            "client",
        ),
        (
            "a part of the client",
            behind.signed(json!({"client": &CLIENT[1..]}), json!({})),
            "client",
        ),
        (
            "the client in the claims",
            behind.signed(json!({"client": null}), json!({"client": CLIENT})),
            "client",
        ),
        ("a stranger's key", stranger.token(), "signature"),
        (
            "none",
            unsigned(json!({"alg": "none"})),
            "algorithm_unsupported",
        ),
        ("no signature", unsigned(json!({})), "signature"),
        (
            "HS256 with the public key",
            padded(&hs256),
            "algorithm_not_allowed",
        ),
        ("RS256", padded(&rs256), "algorithm_not_allowed"),
        (
            "ES384",
            behind.signed(json!({"alg": "ES384"}), json!({})),
            "algorithm_not_allowed",
        ),
        (
            "expired",
            behind.signed(json!({}), json!({"exp": now() - 61})),
            "expired",
        ),
        (
            "exp in the header alone",
            behind.signed(json!({}), json!({"exp": null})),
            "expiration_type",
        ),
        (
            "another issuer",
            behind.signed(json!({}), json!({"iss": "https://idp.example"})),
            "issuer",
        ),
        (
            "crit",
            behind.signed(json!({"crit": ["exp"]}), json!({})),
            "critical",
        ),
        ("a scheme", format!("Bearer {good}"), "header_encoding"),
    ];
    let kid = key.kid();
    for odd in [
        "",
        ".",
        "..",
        "../",
        "/",
        "%2f",
        "?",
        "?x=y",
        "#",
        "*",
        "\\",
        "a b",
        "\u{e9}",
        &format!("../{kid}"),
        &format!("{kid}/"),
        &format!("{kid}/.."),
        &format!("{kid}?x"),
        &format!("{kid}%2f"),
        &format!("/{kid}"),
        &format!("{kid}\r\nx: y"),
        &format!("{kid}\0"),
        &kid.to_uppercase().replace('0', "A"),
        &kid[1..],
        &"k".repeat(1024),
        &"../".repeat(12),
    ] {
        tokens.push((
            "a kid",
            behind.signed(json!({"kid": odd}), json!({})),
            "no_key",
        ));
    }
    for (kid, reason) in [
        (json!(null), "kid"),
        (json!(1), "kid"),
        (json!("k".repeat(1025)), "kid"),
    ] {
        tokens.push((
            "a kid",
            behind.signed(json!({"kid": kid}), json!({})),
            reason,
        ));
    }
    // Of one spelling: the load balancer's, and what is signed is what is read.
    let plain = |octets: &[u8]| URL_SAFE_NO_PAD.encode(octets);
    let unpadded = key.sign_spelt(&key.header(), &claims(), plain);
    assert!(good.contains('='));
    for (what, token) in [
        ("nothing is padded", unpadded),
        ("the padding is taken off", good.replace('=', "")),
        ("the padding is doubled", format!("{good}==")),
        ("the padding is escaped", good.replace('=', "%3D")),
        ("one more", format!("{good}=")),
    ] {
        let reply = behind.get(&token).await;
        assert_eq!(reply.status, 401, "{what}: {}", reply.body);
    }
    let parts: Vec<&str> = good.split('.').collect();
    for at in 0..3 {
        let bare = parts[at].trim_end_matches('=');
        for pads in 0..4 {
            let mut mixed = parts.clone();
            let other = format!("{bare}{}", &"===="[..pads]);
            mixed[at] = &other;
            let status = behind.get(&mixed.join(".")).await.status;
            let expected = if other == parts[at] { 200 } else { 401 };
            assert_eq!(status, expected, "part {at} with {pads}");
        }
    }
    let seen = seen + 3;
    for (what, token, reason) in &tokens {
        let counter = format!("bearer_gate.denied.{reason}");
        let before = behind.stage.counter(&counter);
        let reply = behind.get(token).await;
        assert_eq!(reply.status, 401, "{what} {reason}: {}", reply.body);
        assert_eq!(
            behind.stage.counter(&counter),
            before + 1,
            "{what} {reason}: {}",
            reply.body
        );
    }
    assert_eq!(behind.endpoint.asked(), asked, "no call for any of them");
    assert_eq!(behind.stage.upstream.requests(), seen);
    assert_eq!(behind.get(&good).await.status, 200);
    assert_eq!(behind.stage.traps(), 0);
}

/// Padding is for tokens of the load balancer only, wherever they are.
#[tokio::test(flavor = "multi_thread")]
async fn a_padded_token_passes_for_no_other_provider() {
    let behind = Behind::start(json!({}));
    let key = &behind.key;
    let padded = key.token();
    let plain = |octets: &[u8]| URL_SAFE_NO_PAD.encode(octets);
    let unpadded = key.sign_spelt(&key.header(), &claims(), plain);
    for _ in 0..20 {
        // Each worker has read the same header of the other provider before.
        assert_eq!(behind.get(&padded).await.status, 200);
        assert_eq!(
            behind
                .get_at("/other", &[("x-other", &padded)])
                .await
                .status,
            401
        );
        assert_eq!(
            behind
                .get_at("/other", &[("x-other", &unpadded)])
                .await
                .status,
            200
        );
        assert_eq!(behind.get(&unpadded).await.status, 401);
        // Nor in a place that is another's.
        assert_eq!(
            behind.get_at("/other", &[(HEADER, &unpadded)]).await.status,
            401
        );
        assert_eq!(
            behind.get_at("/x", &[("x-other", &padded)]).await.status,
            401
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kid_without_a_key_is_refused_and_remembered() {
    for absent in [404, 403] {
        let behind = Behind::start(json!({"unknown_kid_cooldown": "2s"}));
        behind.endpoint.set_otherwise(Answer::Status(absent));
        // A key of another region is not at this address.
        let elsewhere = AlbKey::generate();
        assert_eq!(behind.get(&elsewhere.token()).await.status, 401, "{absent}");
        tokio::time::sleep(Duration::from_millis(2100)).await;
        let age = || behind.stage.counter("bearer_gate.jwks_age_seconds.alb");
        assert_eq!(age(), 0, "no key grows old");
        assert_eq!(behind.get(&behind.key.token()).await.status, 200);
        let elsewhere = AlbKey::generate();
        for _ in 0..10 {
            assert_eq!(behind.get(&elsewhere.token()).await.status, 401, "{absent}");
        }
        assert_eq!(behind.endpoint.asked_for(elsewhere.kid()), 1);
        // It was published too late, and is asked for again.
        behind.endpoint.publish(&elsewhere);
        tokio::time::sleep(Duration::from_millis(2100)).await;
        assert!(age() > 0);
        assert_eq!(behind.get(&elsewhere.token()).await.status, 200);
        assert_eq!(behind.get(&behind.key.token()).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn known_kids_outlive_an_outage_and_unknown_ones_are_503() {
    let behind = Behind::start(json!({"cache_duration": "1s"}));
    assert_eq!(behind.get(&behind.key.token()).await.status, 200);
    let next = AlbKey::generate();
    behind.endpoint.publish(&next);
    let huge = "A".repeat(20 << 20);
    for outage in [
        Answer::Status(500),
        Answer::Status(503),
        Answer::Status(429),
        Answer::Status(301),
        Answer::Text("<html>Back soon</html>".to_owned()),
        Answer::Text(String::new()),
        Answer::Text(huge),
        Answer::Hang,
    ] {
        let what: String = format!("{outage:?}").chars().take(60).collect();
        behind.endpoint.set_outage(Some(outage));
        for _ in 0..3 {
            let reply = behind.get(&next.token()).await;
            assert_eq!(reply.status, 503, "{what}: {}", reply.body);
            assert!(reply.header("retry-after").is_some(), "{what}");
            assert_eq!(behind.get(&behind.key.token()).await.status, 200, "{what}");
        }
    }
    behind.endpoint.stop();
    assert_eq!(behind.get(&next.token()).await.status, 503);
    behind.endpoint.restart();
    behind.endpoint.set_outage(None);
    let start = Instant::now();
    while behind.get(&next.token()).await.status != 200 {
        assert!(
            start.elapsed() < Duration::from_secs(40),
            "after the outage"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    figure("an unknown kid after an outage took", start.elapsed());
    assert_eq!(behind.stage.traps(), 0);
}

/// A load balancer of somebody else in the region has keys at the same address, and whoever knows their
/// kids can have them fetched.
#[tokio::test(flavor = "multi_thread")]
async fn keys_of_strangers_push_out_none_that_is_in_use() {
    let behind = Behind::start_on(1, json!({"unknown_kid_cooldown": "0.05s"}));
    assert_eq!(behind.get(&behind.key.token()).await.status, 200);
    let mut strangers = Vec::new();
    for _ in 0..24 {
        let key = AlbKey::generate();
        behind.endpoint.publish(&key);
        let forged = AlbKey::generate().renamed(key.kid()).token();
        let start = Instant::now();
        while behind.get(&forged).await.status != 401 {
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "its key is there"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        strangers.push(forged);
    }
    // Who is in the set now needs no call.
    behind.endpoint.set_outage(Some(Answer::Status(500)));
    assert_eq!(behind.get(&behind.key.token()).await.status, 200);
    assert_eq!(behind.get(&strangers[23]).await.status, 401);
    assert_eq!(behind.get(&strangers[0]).await.status, 503);
    assert_eq!(behind.stage.traps(), 0);
}

/// Documents that are no key of P-256, at the address of one kid.
#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_none_of_a_load_balancer() {
    let (rsa, other) = (SigningKey::generate(), AlbKey::generate());
    let own = AlbKey::generate();
    let key = own.pem();
    let p384 = [
        &b"\x30\x76\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22\x03\x62\x00"[..],
        // The base point (SEC 2 section 2.5.1).
        b"\x04\xaa\x87\xca\x22\xbe\x8b\x05\x37\x8e\xb1\xc7\x1e\xf3\x20\xad\x74\x6e\x1d\x3b\x62\x8b\xa7\x9b\x98\x59\xf7\x41\xe0\x82\x54\x2a\x38\x55\x02\xf2\x5d\xbf\x55\x29\x6c\x3a\x54\x5e\x38\x72\x76\x0a\xb7",
        b"\x36\x17\xde\x4a\x96\x26\x2c\x6f\x5d\x9e\x98\xbf\x92\x92\xdc\x29\xf8\xf4\x1d\xbd\x28\x9a\x14\x7c\xe9\xda\x31\x13\xb5\xf0\xb8\xc0\x0a\x60\xb1\xce\x1d\x7e\x81\x9d\x7a\x43\x1d\x7c\x90\xea\x0e\x5f",
    ]
    .concat();
    // 503 where the document is none; 401 where it is a key, and not the token's.
    let rows = [
        ("as it is", key.clone(), 200),
        ("another key", other.pem(), 401),
        ("RSA", rsa.public_pem(), 401),
        ("P-384", pem(&p384), 401),
        ("RSA in PKCS#1", rsa.public_pkcs1_pem(), 503),
        ("a certificate", rsa.certificate_pem(), 503),
        ("trailing text", format!("{key}x"), 503),
        ("two keys", format!("{key}{key}"), 503),
        ("a map", json!({own.kid(): key}).to_string(), 503),
        ("another label", key.replace("PUBLIC", "PRIVATE"), 503),
        (
            "more octets",
            key.replacen("0DAQcDQgAE", "0DAQcDQgAEAAAA", 1),
            503,
        ),
    ];
    let good = AlbKey::generate();
    let rows = rows.map(|(what, document, expected)| {
        let endpoint = KeyEndpoint::start();
        endpoint.publish(&good);
        endpoint.answer(own.kid(), Answer::Text(document));
        (what, endpoint, expected)
    });
    // A listener for each: what fails is asked no sooner for the next one.
    let stage = Stage::build(
        |_| {},
        |_, builder| {
            rows.iter().fold(builder, |builder, (what, endpoint, _)| {
                let more = json!({"http_uri": {"cluster": what}});
                let configuration = configuration(endpoint, &good, more);
                let builder = builder.cluster(what, endpoint.address());
                builder.listener(Listener::wasm(what, configuration))
            })
        },
    );
    for (what, _, expected) in &rows {
        let url = stage.envoy().url_of(what, "/x");
        let get = async |key: &AlbKey| {
            let request = stage.client.request(Method::GET, &url);
            http::send(request.header(HEADER, key.token())).await
        };
        let reply = get(&own).await;
        assert_eq!(reply.status, *expected, "{what}: {}", reply.body);
        let good = get(&good).await.status;
        assert!(good == 200 || *expected == 503, "{what}: {good}");
    }
    assert_eq!(stage.traps(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn b7_random_kids_of_strangers_to_a_load_balancer() {
    let behind = Arc::new(Behind::start(json!({"unknown_kid_cooldown": "1s"})));
    assert_eq!(behind.get(&behind.key.token()).await.status, 200);
    let start = Instant::now();
    let stranger = AlbKey::generate();
    let client = Client::new();
    let mut strangers = Vec::new();
    for _ in 0..16 {
        let (client, stranger) = (client.clone(), stranger.clone());
        let url = behind.stage.url("/x");
        strangers.push(tokio::spawn(async move {
            for _ in 0..300 {
                let token = stranger.renamed(&uuid()).token();
                let request = client.request(Method::GET, &url).header(HEADER, token);
                let status = http::send(request).await.status;
                assert!([401, 503].contains(&status), "{status}");
            }
        }));
    }
    // Meanwhile the load balancer gets a new key.
    let next = AlbKey::generate();
    behind.endpoint.publish(&next);
    let mut learnt = None;
    while learnt.is_none() || strangers.iter().any(|lane| !lane.is_finished()) {
        let good = behind.get(&behind.key.token()).await.status;
        assert_eq!(good, 200, "good traffic is unharmed");
        let status = behind.get(&next.token()).await.status;
        assert!(
            [200, 503].contains(&status),
            "{status}: a good token is not called wrong"
        );
        if status == 200 && learnt.is_none() {
            learnt = Some(start.elapsed());
        }
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "the new key is learnt"
        );
    }
    for lane in strangers {
        lane.await.unwrap();
    }
    let fetches = behind.stage.counter("bearer_gate.jwks_fetch.alb.success");
    let calls = behind.endpoint.asked().len();
    figure(
        "fetches and calls for strangers, and the new key after",
        (fetches, calls, learnt),
    );
    // The first, two at once, and one in each cool-down.
    assert!(fetches <= 3 + start.elapsed().as_secs() + 1, "{fetches}");
    assert!(calls as u64 <= fetches * 6, "{calls}");
    assert_eq!(behind.stage.traps(), 0);
}
