//! Keys that cannot be fetched or used: at the start, later, and after every kind of bad answer.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use bearer_gate_testbed::eventually;
use bearer_gate_testbed::idp::{Fault, HUGE, REDIRECT_PATH};
use bearer_gate_testbed::raw;
use bearer_gate_testbed::token;
use serde_json::json;

use crate::keys::{all_are, burst, config, figure, four_workers, time_until_admitted};
use crate::stage::{Stage, provider};

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
async fn b1_a_provider_that_asks_for_time_gets_it() {
    for (code, retry_after) in [(429, "3"), (503, "3")] {
        let stage = four_workers(
            |idp| idp.set_jwks(Fault::Later(code, retry_after.to_owned())),
            json!({}),
        );
        let token = stage.idp.good_token();
        eventually(Duration::from_secs(3), "the first call", || {
            stage.idp.jwks_requests() == 1
        });
        let told = Instant::now();
        stage.idp.set_jwks(Fault::Ok);
        let mut statuses = Vec::new();
        while told.elapsed() < Duration::from_millis(2700) {
            statuses.extend(burst(&stage, &token, 40, 10).await);
        }
        assert!(all_are(&statuses, 503));
        assert_eq!(
            stage.idp.jwks_requests(),
            1,
            "no worker, and for no request"
        );
        let reply = stage.get_with("/x", &token).await;
        let wait: u32 = reply.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=6).contains(&wait), "{wait}");
        time_until_admitted(&stage, &token, Duration::from_secs(8)).await;
        figure("Retry-After: 3, and keys after", told.elapsed());
        assert!(told.elapsed() >= Duration::from_millis(2900));
        assert_eq!(stage.idp.jwks_requests(), 2);
        assert_eq!(stage.traps(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn b1_a_date_to_retry_after_is_read() {
    let stage = four_workers(
        |idp| {
            idp.set_jwks(Fault::Later(
                503,
                "Fri, 31 Dec 2100 23:59:59 GMT".to_owned(),
            ))
        },
        json!({}),
    );
    let token = stage.idp.good_token();
    eventually(Duration::from_secs(3), "the first call", || {
        stage.idp.jwks_requests() == 1
    });
    let reply = stage.get_with("/x", &token).await;
    assert_eq!(reply.status, 503);
    let wait: u32 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((290..=330).contains(&wait), "{wait}: five minutes at most");
}

#[tokio::test(flavor = "multi_thread")]
async fn b2_keys_down_later() {
    let stage = four_workers(|_| {}, json!({"cache_duration": "2s", "max_stale": "4s"}));
    let token = stage.idp.good_token();
    time_until_admitted(&stage, &token, Duration::from_secs(5)).await;
    stage.idp.stop();
    let down = Instant::now();
    let mut served = 0;
    // The keys were fetched up to 2 s ago. They are fresh for 2 s, and stale for 4 s more.
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
    let (log, asked) = (stage.envoy().log(), stage.idp.jwks_url());
    for told in [
        format!("\"{asked}\" by cluster idp: status 404"),
        format!(
            "status 301, a redirect to \"{}{REDIRECT_PATH}\"",
            stage.idp.url()
        ),
        "it is HTML or XML; content-type \"text/html\"; it begins \"<!doctype html>".to_owned(),
        "Jwks doesn't have any valid public key: [keys] is empty".to_owned(),
    ] {
        assert!(log.contains(&told), "{told}");
    }
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
        ("no-dns", "the call was refused"),
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

/// Answers of every form: without a body, with trailers, with bytes that are not text; and no
/// answer.
#[tokio::test]
async fn answers_of_any_form_trap_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let odd = listener.local_addr().unwrap();
    let (send, documents) = channel::<String>();
    let asked = Arc::new(AtomicUsize::new(0));
    let answers = Arc::clone(&asked);
    std::thread::spawn(move || {
        let document = documents.recv().unwrap();
        let chunk = format!("{:x}\r\n{document}\r\n", document.len());
        let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
        let trailers = b"0\r\nx-\xe9: \xff\r\ncontent-type: a\r\n\r\n".to_vec();
        let odd: Vec<Vec<u8>> = vec![
            b"".to_vec(),
            b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
            b"HTTP/1.1 304 Not Modified\r\n\r\n".to_vec(),
            b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec(),
            b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 503 x\r\ncontent-length: 0\r\n\r\n".to_vec(),
            b"HTTP/1.1 200 OK\r\ncache-control: \xff\r\nx-a: \xfe\r\ncontent-length: 2\r\n\r\n\xff\xfe".to_vec(),
            [chunked.clone(), trailers.clone()].concat(),
            [chunked.clone(), b"zz\r\n".to_vec()].concat(),
        ];
        let good = [
            chunked,
            chunk.into_bytes(),
            b"0\r\nx-checksum: a\r\n\r\n".to_vec(),
        ]
        .concat();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let number = answers.fetch_add(1, Ordering::SeqCst);
            let _ = stream.write_all(odd.get(number).unwrap_or(&good));
        }
    });
    let stage = Stage::build(
        |_| {},
        |stage, builder| {
            let waits = json!({"base_interval": "0.05s", "max_interval": "0.1s"});
            let provider = provider(
                stage,
                json!({"remote_jwks": {
                    "http_uri": {"cluster": "odd"},
                    "retry_policy": {"retry_back_off": waits},
                }}),
            );
            builder.cluster("odd", odd).wasm_filter(json!({
                "providers": {"demo": provider},
                "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "demo"}}],
            }))
        },
    );
    send.send(stage.idp.jwks().to_string()).unwrap();
    let token = stage.idp.good_token();
    let started = Instant::now();
    while stage.get_with("/", &token).await.status != 200 {
        assert!(started.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(asked.load(Ordering::SeqCst), 9);
    assert_eq!(stage.counter("bearer_gate.jwks_fetch.demo.failed"), 8);
    assert_eq!(stage.traps(), 0);
}
