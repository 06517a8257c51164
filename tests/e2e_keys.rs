//! Keys on a real Envoy with four workers, and an identity provider that
//! misbehaves. The names follow the list of what must be survived.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bearer_gate_testbed::envoy::{Filter, Listener, Wasm};
use bearer_gate_testbed::eventually;
use bearer_gate_testbed::http::{self, Client};
use bearer_gate_testbed::idp::{Fault, HUGE};
use bearer_gate_testbed::keys::SigningKey;
use bearer_gate_testbed::raw::{self, RawConnection};
use bearer_gate_testbed::token;
use common::{Stage, merge, provider};
use serde_json::{Value, json};

const WORKERS: u32 = 4;

/// Everything needs a token, but for /public.
fn rules() -> Value {
    json!([
        {"match": {"prefix": "/public"}},
        {"match": {"prefix": "/"}, "requires": {"provider_name": "demo"}},
    ])
}

fn config(stage: &Stage, remote: Value) -> Value {
    let more = json!({"remote_jwks": remote});
    json!({"providers": {"demo": provider(stage, more)}, "rules": rules()})
}

/// Four workers, with these fields in `remote_jwks`.
fn four_workers(prepare: impl FnOnce(&bearer_gate_testbed::idp::Idp), remote: Value) -> Stage {
    Stage::build(prepare, |stage, builder| {
        builder
            .concurrency(WORKERS)
            .wasm_filter(config(stage, remote))
    })
}

/// Statuses of `count` requests with this token, `width` at once, each on a
/// connection of its own.
async fn burst(stage: &Stage, token: &str, count: usize, width: usize) -> Vec<u16> {
    let url = stage.url("/x");
    let limit = Arc::new(tokio::sync::Semaphore::new(width));
    let requests: Vec<_> = (0..count)
        .map(|_| {
            let (client, url, token) = (stage.client.clone(), url.clone(), token.to_owned());
            let limit = Arc::clone(&limit);
            tokio::spawn(async move {
                let _place = limit.acquire_owned().await.unwrap();
                client.get_with(&url, &token).await.status
            })
        })
        .collect();
    let mut statuses = Vec::with_capacity(count);
    for request in requests {
        statuses.push(request.await.unwrap());
    }
    statuses
}

fn all_are(statuses: &[u16], status: u16) -> bool {
    statuses.iter().all(|s| *s == status)
}

/// How long until a request with this token is admitted.
async fn time_until_admitted(stage: &Stage, token: &str, limit: Duration) -> Duration {
    let start = Instant::now();
    loop {
        if stage.get_with("/x", token).await.status == 200 {
            return start.elapsed();
        }
        assert!(start.elapsed() < limit, "not admitted within {limit:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A figure for those who read the test's output.
fn figure(name: &str, value: impl std::fmt::Debug) {
    println!("figure: {name}: {value:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn b1_keys_down_at_the_start() {
    let stage = four_workers(|idp| idp.stop(), json!({}));
    let token = stage.idp.good_token();
    assert_eq!(
        stage.get("/public").await.status,
        200,
        "the listener is open"
    );
    let statuses = burst(&stage, &token, 1000, 50).await;
    assert!(all_are(&statuses, 503));
    let reply = stage.get_with("/x", &token).await;
    assert_eq!(reply.status, 503);
    let wait: u32 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=2).contains(&wait));
    assert_eq!(reply.challenge(), None);
    assert_eq!(stage.upstream.requests(), 1, "only the public one");

    stage.idp.restart();
    let recovery = time_until_admitted(&stage, &token, Duration::from_secs(2)).await;
    figure("recovery after the provider's return", recovery);
    assert!(all_are(&burst(&stage, &token, 100, 20).await, 200));
    assert_eq!(stage.traps(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn b2_keys_down_later() {
    let stage = four_workers(|_| {}, json!({"cache_duration": "2s", "max_stale": "4s"}));
    let token = stage.idp.good_token();
    time_until_admitted(&stage, &token, Duration::from_secs(5)).await;
    stage.idp.stop();
    let down = Instant::now();
    let mut served = 0;
    // Fetched up to 2 s ago; stale 2 s after that, and then 4 s more.
    while down.elapsed() < Duration::from_millis(3800) {
        assert_eq!(
            stage.get_with("/x", &token).await.status,
            200,
            "after {:?}",
            down.elapsed()
        );
        served += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    figure("requests served with stale keys, none failed", served);
    eventually(
        Duration::from_secs(4),
        "keys past max_stale are not used",
        || {
            let headers = [("authorization", format!("Bearer {token}"))];
            let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_bytes())).collect();
            raw::get(stage.address(), "/x", &headers).unwrap().status == 503
        },
    );
    assert!(
        all_are(&burst(&stage, &token, 100, 20).await, 503),
        "on every worker"
    );
    assert!(stage.envoy().log().contains("past max_stale"));
    stage.idp.restart();
    let recovery = time_until_admitted(&stage, &token, Duration::from_secs(2)).await;
    figure("recovery after the provider's return", recovery);
    assert_eq!(stage.traps(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn b3_b4_bad_answers_leave_the_old_set() {
    let stage = four_workers(
        |_| {},
        json!({
            "cache_duration": "1s",
            "http_uri": {"timeout": "0.5s"},
            "retry_policy": {"retry_back_off": {"base_interval": "0.1s", "max_interval": "0.1s"}},
        }),
    );
    let token = stage.idp.good_token();
    time_until_admitted(&stage, &token, Duration::from_secs(5)).await;
    for fault in [
        Fault::Status(500),
        Fault::Status(404),
        Fault::Status(301),
        Fault::Html,
        Fault::TruncatedJson,
        Fault::EmptyObject,
        Fault::EmptyKeys,
        Fault::Huge(HUGE),
        Fault::SlowDrip(Duration::from_millis(20)),
        Fault::CloseHalfway,
        Fault::Hang,
        Fault::Body("\u{0}".repeat(1000)),
        Fault::Body("[".repeat(100_000)),
    ] {
        let told = format!("{fault:?}").chars().take(40).collect::<String>();
        let failed = stage.counter("bearer_gate.jwks_fetch.demo.failed");
        stage.idp.set_jwks(fault);
        eventually(Duration::from_secs(10), &told, || {
            stage.counter("bearer_gate.jwks_fetch.demo.failed") > failed
        });
        assert!(all_are(&burst(&stage, &token, 20, 10).await, 200), "{told}");
    }
    assert_eq!(
        stage.idp.redirected_requests(),
        0,
        "no redirect is followed"
    );
    stage.idp.set_jwks(Fault::Ok);
    let next = stage.idp.rotate_and_drop();
    let rotated = token::sign(&next, &stage.idp.header(), &stage.idp.claims().value());
    time_until_admitted(&stage, &rotated, Duration::from_secs(5)).await;
    assert!(stage.idp.jwks_peak() <= 1, "never two calls at once");
    assert_eq!(stage.traps(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn b5_clusters_that_lead_nowhere() {
    for (cluster, unreachable) in [
        ("nowhere", "the call was refused"),
        ("empty", "the call was refused"),
        ("no-dns", "status 503"),
        ("no-tls", "status 503"),
    ] {
        let stage = Stage::build(
            |_| {},
            |stage, builder| {
                let address = stage.idp.address();
                let endpoint = |host: &str, port: u16| {
                    json!([{"lb_endpoints": [{"endpoint": {"address": {"socket_address":
                        {"address": host, "port_value": port}}}}]}])
                };
                let remote = json!({"http_uri": {"cluster": cluster}});
                builder
                    .empty_cluster("empty")
                    .raw_cluster(json!({
                        "name": "no-dns", "type": "STRICT_DNS", "connect_timeout": "1s",
                        "load_assignment": {"cluster_name": "no-dns",
                            "endpoints": endpoint("host.invalid", 443)},
                    }))
                    .raw_cluster(json!({
                        "name": "no-tls", "type": "STATIC", "connect_timeout": "1s",
                        "load_assignment": {"cluster_name": "no-tls",
                            "endpoints": endpoint("127.0.0.1", address.port())},
                        "transport_socket": {"name": "envoy.transport_sockets.tls",
                            "typed_config": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
                                "sni": "wrong.example"}},
                    }))
                    .wasm_filter(config(stage, remote))
            },
        );
        let reply = stage.get_with("/x", &stage.idp.good_token()).await;
        assert_eq!(reply.status, 503, "{cluster}");
        eventually(Duration::from_secs(5), cluster, || {
            stage.counter("bearer_gate.jwks_fetch.demo.failed") > 0
        });
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let log = stage.envoy().log();
        let lines = log
            .lines()
            .filter(|line| line.contains("fetching keys failed"))
            .count();
        assert!(log.contains(unreachable), "{cluster}: {log}");
        assert_eq!(lines, 1, "one line per change of state, not per try");
        assert_eq!(stage.upstream.requests(), 0);
        assert_eq!(stage.traps(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn b6_rotation_rejects_nobody() {
    let stage = four_workers(|_| {}, json!({}));
    let before = stage.idp.good_token();
    time_until_admitted(&stage, &before, Duration::from_secs(5)).await;
    assert!(all_are(&burst(&stage, &before, 100, 20).await, 200));
    let fetched = stage.idp.jwks_requests();

    stage.idp.rotate();
    let after = stage.idp.good_token();
    let start = Instant::now();
    assert_eq!(
        stage.get_with("/x", &after).await.status,
        200,
        "the first with the new kid"
    );
    figure("the first request with a new kid took", start.elapsed());
    let statuses = burst(&stage, &after, 10_000, 64).await;
    assert_eq!(statuses.len(), 10_000);
    assert!(all_are(&statuses, 200));
    assert!(
        all_are(&burst(&stage, &before, 100, 20).await, 200),
        "the old key is still there"
    );
    assert_eq!(stage.idp.jwks_requests(), fetched + 1, "one fetch");
}

#[tokio::test(flavor = "multi_thread")]
async fn b7_random_kids() {
    random_kids(10_000).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make soak"]
async fn b7_random_kids_whole() {
    random_kids(100_000).await;
}

async fn random_kids(count: usize) {
    let stage = Arc::new(four_workers(|_| {}, json!({})));
    let good = stage.idp.good_token();
    time_until_admitted(&stage, &good, Duration::from_secs(5)).await;
    let fetched = stage.idp.jwks_requests();
    let start = Instant::now();
    let stranger = SigningKey::generate();
    let signed = token::sign(&stranger, &token::header("k"), &stage.idp.claims().value());
    let client = Client::new();
    let mut strangers = Vec::new();
    for lane in 0..32 {
        let (client, url, signed) = (client.clone(), stage.url("/x"), signed.clone());
        let each = count / 32 + 1;
        strangers.push(tokio::spawn(async move {
            let mut refused = 0;
            for n in 0..each {
                let header = token::header(&format!("kid-{lane}-{n}"));
                let token = token::with_header(&signed, &header);
                refused += usize::from(client.get_with(&url, &token).await.status == 401);
            }
            (each, refused)
        }));
    }
    let mut good_ones = 0;
    while strangers.iter().any(|lane| !lane.is_finished()) {
        assert_eq!(
            stage.get_with("/x", &good).await.status,
            200,
            "good traffic is unharmed"
        );
        good_ones += 1;
    }
    for lane in strangers {
        let (sent, refused) = lane.await.unwrap();
        assert_eq!(sent, refused);
    }
    let fetches = stage.idp.jwks_requests() - fetched;
    let cool_downs = start.elapsed().as_secs() / 30 + 1;
    figure(
        "fetches caused by strangers, in the time",
        (fetches, start.elapsed(), good_ones),
    );
    assert!(
        fetches <= cool_downs,
        "{fetches} fetches in {:?}",
        start.elapsed()
    );
    assert_eq!(stage.get_with("/x", &good).await.status, 200);
    assert_eq!(stage.traps(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn b8_a_herd_on_cold_workers() {
    let stage = four_workers(
        |idp| idp.set_jwks(Fault::Delay(Duration::from_millis(700))),
        json!({}),
    );
    let start = Instant::now();
    let statuses = burst(&stage, &stage.idp.good_token(), 1200, 1200).await;
    figure("1200 cold requests took", start.elapsed());
    assert!(all_are(&statuses, 200));
    assert_eq!(stage.idp.jwks_requests(), 1, "one fetch for all workers");
    assert_eq!(stage.counter("bearer_gate.waiting"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_requests_are_decided_soon_after_the_snapshot_on_every_worker() {
    let stage = four_workers(
        |idp| idp.set_jwks(Fault::Delay(Duration::from_millis(800))),
        json!({}),
    );
    let token = stage.idp.good_token();
    let url = stage.url("/x");
    let mut requests = Vec::new();
    for _ in 0..40 {
        let (client, url, token) = (stage.client.clone(), url.clone(), token.clone());
        requests.push(tokio::spawn(async move {
            let status = client.get_with(&url, &token).await.status;
            (status, Instant::now())
        }));
    }
    let mut ends = Vec::new();
    for request in requests {
        let (status, end) = request.await.unwrap();
        assert_eq!(status, 200);
        ends.push(end);
    }
    let spread = ends
        .iter()
        .max()
        .unwrap()
        .duration_since(*ends.iter().min().unwrap());
    figure("from the first worker's decision to the last's", spread);
    assert!(spread < Duration::from_millis(100), "{spread:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn b10_clients_that_hang_up_while_they_wait() {
    let stage = four_workers(
        |idp| idp.set_jwks(Fault::Delay(Duration::from_millis(1500))),
        json!({"http_uri": {"timeout": "5s"}}),
    );
    let bearer = format!("Bearer {}", stage.idp.good_token());
    let request = raw::head("GET", "/x", &[("authorization", bearer.as_bytes())]);
    let mut connections: Vec<RawConnection> = (0..300)
        .map(|_| {
            let mut connection = RawConnection::open(stage.address()).unwrap();
            connection.send(&request).unwrap();
            connection
        })
        .collect();
    eventually(Duration::from_secs(2), "300 wait", || {
        stage.counter("bearer_gate.waiting") == 300
    });
    connections.truncate(200);
    eventually(Duration::from_secs(1), "100 have left", || {
        stage.counter("bearer_gate.waiting") == 200
    });
    for connection in &mut connections {
        assert_eq!(connection.response().unwrap().status, 200);
    }
    assert_eq!(stage.upstream.requests(), 200);
    assert_eq!(stage.counter("bearer_gate.waiting"), 0);
    assert_eq!(stage.traps(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn over_max_waiting_is_503() {
    let stage = Stage::start_with(
        |idp| idp.set_jwks(Fault::Delay(Duration::from_millis(1000))),
        |stage| {
            let mut config = config(stage, json!({}));
            config["max_waiting"] = json!(10);
            config
        },
    );
    let statuses = burst(&stage, &stage.idp.good_token(), 60, 60).await;
    let count = |status| statuses.iter().filter(|s| **s == status).count();
    assert_eq!(
        (count(200), count(503)),
        (20, 40),
        "ten on each of two workers"
    );
    assert_eq!(stage.counter("bearer_gate.denied.too_many_waiting"), 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn b11_reload_under_load() {
    let stage = Arc::new(four_workers(|_| {}, json!({})));
    let token = stage.idp.good_token();
    time_until_admitted(&stage, &token, Duration::from_secs(5)).await;
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mut lanes = Vec::new();
    for _ in 0..8 {
        let (stage, token, stop) = (Arc::clone(&stage), token.clone(), Arc::clone(&stop));
        lanes.push(tokio::spawn(async move {
            let mut requests = 0;
            while !stop.load(std::sync::atomic::Ordering::SeqCst) {
                let good = stage.client.get_with(&stage.url("/x"), &token).await;
                assert_eq!(good.status, 200, "{}", good.body);
                assert_eq!(stage.client.get(&stage.url("/x")).await.status, 401);
                requests += 2;
            }
            requests
        }));
    }
    for round in 0..5 {
        let mut next = config(
            &stage,
            json!({"cache_duration": format!("{}s", 100 + round)}),
        );
        next["realm"] = json!(format!("round {round}"));
        let stage = Arc::clone(&stage);
        tokio::task::spawn_blocking(move || stage.envoy().reload_wasm(&next))
            .await
            .unwrap()
            .unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    stop.store(true, std::sync::atomic::Ordering::SeqCst);
    let mut requests = 0;
    for lane in lanes {
        requests += lane.await.unwrap();
    }
    figure("requests during five reloads, none lost or wrong", requests);
    eventually(
        Duration::from_secs(5),
        "the last configuration serves",
        || {
            let reply = raw::get(stage.address(), "/x", &[]).unwrap();
            reply.header("www-authenticate") == Some(r#"Bearer realm="round 4""#)
        },
    );
    assert_eq!(
        stage.idp.jwks_requests(),
        1,
        "the keys outlive the configurations"
    );
    assert_eq!(stage.traps(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn b12_a_bad_configuration_is_refused_and_the_old_one_serves() {
    let stage = four_workers(|_| {}, json!({}));
    let token = stage.idp.good_token();
    time_until_admitted(&stage, &token, Duration::from_secs(5)).await;
    let mut misspelt = config(&stage, json!({}));
    let demo = misspelt["providers"]["demo"].as_object_mut().unwrap();
    let issuer = demo.remove("issuer").unwrap();
    demo.insert("isuer".into(), issuer);
    let mut unbuilt = config(&stage, json!({}));
    merge(
        &mut unbuilt,
        json!({"providers": {"demo": {"from_cookies": ["session"]}}}),
    );
    for (bad, problem) in [
        (
            misspelt,
            "providers.demo.isuer: unknown field, did you mean issuer?",
        ),
        (unbuilt, "providers.demo.from_cookies: "),
        (json!("no object"), "configuration: "),
    ] {
        let refused = stage.envoy().reload_wasm(&bad).unwrap_err();
        assert!(refused.log.contains(problem), "{problem}: {}", refused.log);
        assert_eq!(stage.get_with("/x", &token).await.status, 200);
        assert_eq!(stage.get("/x").await.status, 401);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn b13_a_removed_key_stops_verifying() {
    let stage = four_workers(|_| {}, json!({"cache_duration": "3s"}));
    let token = stage.idp.good_token();
    time_until_admitted(&stage, &token, Duration::from_secs(5)).await;
    let next = stage.idp.rotate_and_drop();
    let removed = Instant::now();
    let claims = stage.idp.claims().value();
    let rotated = token::sign(&next, &stage.idp.header(), &claims);
    loop {
        let statuses = burst(&stage, &token, 16, 16).await;
        if all_are(&statuses, 401) {
            break;
        }
        assert!(
            removed.elapsed() < Duration::from_secs(8),
            "still verifies: {statuses:?}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    figure(
        "a removed key verified for, with a cache_duration of 3 s",
        removed.elapsed(),
    );
    assert!(all_are(&burst(&stage, &rotated, 16, 16).await, 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn b14_no_byte_of_a_body_passes_before_the_decision() {
    let stage = four_workers(
        |idp| idp.set_jwks(Fault::Delay(Duration::from_millis(1500))),
        json!({"http_uri": {"timeout": "5s"}}),
    );
    let body = vec![b'x'; 3_000_000];
    for (token, status) in [("rubbish".to_owned(), 401), (stage.idp.good_token(), 200)] {
        let request = stage
            .client
            .request(reqwest::Method::POST, &stage.url("/x"))
            .bearer_auth(&token)
            .body(body.clone());
        let reply = tokio::spawn(http::try_send(request));
        if status == 200 {
            eventually(Duration::from_secs(1), "it waits", || {
                stage.counter("bearer_gate.waiting") == 1
            });
            tokio::time::sleep(Duration::from_millis(300)).await;
            assert_eq!(stage.upstream.body_bytes(), 0);
            assert_eq!(stage.upstream.requests(), 0);
        }
        // Envoy may close a rejected upload early.
        if let Ok(reply) = reply.await.unwrap() {
            assert_eq!(reply.status, status);
        }
    }
    assert_eq!(stage.upstream.requests(), 1);
    assert_eq!(stage.upstream.body_bytes(), 3_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn discovery_finds_the_keys_and_trusts_only_its_issuer() {
    let discovery = |stage: &Stage, more: Value| {
        let mut provider = provider(stage, json!({}));
        provider.as_object_mut().unwrap().remove("remote_jwks");
        let mut source = json!({"cluster": "idp", "timeout": "2s"});
        merge(&mut source, more);
        provider["openid_discovery"] = source;
        json!({"providers": {"demo": provider}, "rules": rules()})
    };
    let stage = Stage::start(|stage| discovery(stage, json!({})));
    assert_eq!(
        stage.get_with("/x", &stage.idp.good_token()).await.status,
        200
    );
    assert_eq!(
        (stage.idp.discovery_requests(), stage.idp.jwks_requests()),
        (1, 1)
    );

    // RFC 8414's place, where OpenID's is not found.
    let stage = Stage::start_with(
        |idp| idp.set_discovery(Fault::Status(404)),
        |stage| discovery(stage, json!({})),
    );
    let status = stage.get_with("/x", &stage.idp.good_token()).await.status;
    let tried = stage.idp.discovery_requests();
    assert!(status == 503 || status == 200);
    assert!(tried >= 1);

    // Somebody else's metadata.
    let stage = Stage::start_with(
        |idp| idp.set_discovery_issuer(Some("https://evil.example/")),
        |stage| discovery(stage, json!({})),
    );
    assert_eq!(
        stage.get_with("/x", &stage.idp.good_token()).await.status,
        503
    );
    assert!(
        stage
            .envoy()
            .log()
            .contains("the metadata's issuer is not the configured issuer")
    );
    assert_eq!(stage.idp.jwks_requests(), 0);

    // Keys on another host: refused until a cluster is named.
    let elsewhere = |stage: &Stage| {
        let port = stage.idp.address().port();
        stage.idp.set_jwks_uri(Some(&format!(
            "http://localhost:{port}/.well-known/jwks.json"
        )));
    };
    let stage = Stage::start(|stage| {
        elsewhere(stage);
        discovery(stage, json!({}))
    });
    assert_eq!(
        stage.get_with("/x", &stage.idp.good_token()).await.status,
        503
    );
    assert!(
        stage
            .envoy()
            .log()
            .contains("configure openid_discovery.jwks_cluster")
    );
    assert_eq!(stage.idp.jwks_requests(), 0);
    let stage = Stage::start(|stage| {
        elsewhere(stage);
        discovery(stage, json!({"jwks_cluster": "idp"}))
    });
    assert_eq!(
        stage.get_with("/x", &stage.idp.good_token()).await.status,
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn providers_and_instances_in_one_vm_keep_apart() {
    let other = bearer_gate_testbed::idp::Idp::start();
    let stage = Stage::build(
        |_| {},
        |stage, builder| {
            let two = |first: &str| {
                let mut partner = provider(stage, json!({}));
                partner["issuer"] = json!(other.issuer());
                partner["remote_jwks"]["http_uri"] =
                    json!({"uri": other.jwks_url(), "cluster": "other", "timeout": "2s"});
                json!({
                    "providers": {"demo": provider(stage, json!({})), "partner": partner},
                    "rules": [
                        {"match": {"prefix": "/partner"}, "requires": {"provider_name": "partner"}},
                        {"match": {"prefix": "/"}, "requires": {"provider_name": first}},
                    ],
                })
            };
            builder
                .cluster("other", other.address())
                .concurrency(WORKERS)
                .listener(Listener::wasm("main", two("demo")))
                .listener(Listener::new("second").filter(Filter::Wasm(Wasm {
                    name: "second".into(),
                    root_id: "second".into(),
                    ..Wasm::new(two("partner"))
                })))
        },
    );
    let (own, partners) = (stage.idp.good_token(), other.good_token());
    // A key of one provider that signs the issuer of the other.
    let crossed = token::sign(&other.key(), &other.header(), &stage.idp.claims().value());
    for (listener, target, token, status) in [
        ("main", "/x", &own, 200),
        ("main", "/partner", &partners, 200),
        ("main", "/x", &partners, 401),
        ("main", "/partner", &own, 401),
        ("main", "/x", &crossed, 401),
        ("second", "/x", &partners, 200),
        ("second", "/x", &own, 401),
    ] {
        let url = stage.envoy().url_of(listener, target);
        let reply = stage.client.get_with(&url, token).await;
        assert_eq!(reply.status, status, "{listener}{target}: {}", reply.body);
    }
    // The crossed token's kid is one more fetch of the first's keys.
    assert_eq!((stage.idp.jwks_requests(), other.jwks_requests()), (2, 1));
    assert_eq!(stage.traps(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_age_of_the_keys_is_a_gauge() {
    let stage = four_workers(|_| {}, json!({}));
    time_until_admitted(&stage, &stage.idp.good_token(), Duration::from_secs(5)).await;
    eventually(Duration::from_secs(6), "an age of 3 s", || {
        (3..=4).contains(&stage.counter("bearer_gate.jwks_age_seconds.demo"))
    });
    assert_eq!(stage.counter("bearer_gate.jwks_fetch.demo.success"), 1);
}
