//! Requests that wait for keys.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bearer_gate_testbed::envoy::{Filter, Listener, Wasm};
use bearer_gate_testbed::eventually;
use bearer_gate_testbed::http;
use bearer_gate_testbed::idp::{Fault, Hold};
use bearer_gate_testbed::raw::{self, RawConnection};
use bearer_gate_testbed::token::with_signature_bit_flipped;
use serde_json::json;

use crate::keys::{WORKERS, all_are, burst, config, figure, four_workers};
use crate::stage::Stage;

#[tokio::test(flavor = "multi_thread")]
async fn b8_a_herd_on_cold_workers() {
    let stage = four_workers(
        |idp| idp.set_jwks(Fault::Delay(Duration::from_millis(700))),
        json!({}),
    );
    let start = Instant::now();
    let statuses = burst(&stage, &stage.idp.good_token(), 1200, 1200).await;
    figure("1200 cold requests took", start.elapsed());
    assert!(
        all_are(&statuses, 200),
        "{:?}",
        statuses
            .iter()
            .filter(|status| **status != 200)
            .collect::<Vec<_>>()
    );
    assert_eq!(stage.idp.jwks_requests(), 1, "one fetch for all workers");
    eventually(Duration::from_secs(1), "nobody waits", || {
        stage.counter("bearer_gate.waiting") == 0
    });
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
    eventually(Duration::from_secs(1), "nobody waits", || {
        stage.counter("bearer_gate.waiting") == 0
    });
    assert_eq!(stage.traps(), 0);
}

/// The host answers a rejected request within the call that rejects it: a long line that is
/// rejected at once would take all of the VM's stack.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_line_that_is_rejected_traps_nothing() {
    let stage = Stage::build(
        |idp| idp.set_jwks(Fault::Delay(Duration::from_millis(1500))),
        |stage, builder| builder.concurrency(1).wasm_filter(config(stage, json!({}))),
    );
    let good = stage.idp.good_token();
    let forged = with_signature_bit_flipped(&good, 9);
    let statuses = burst(&stage, &forged, 900, 900).await;
    assert!(all_are(&statuses, 401), "{statuses:?}");
    assert_eq!(stage.traps(), 0);
    assert_eq!(burst(&stage, &good, 1, 1).await, [200]);
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

#[test]
fn large_requests_that_wait_are_bounded_in_bytes() {
    large_requests(400);
}

#[test]
#[ignore = "long: make soak"]
fn large_requests_that_wait_are_bounded_in_bytes_whole() {
    large_requests(4000);
}

/// Sends so many requests of 55 KB to one worker. All of them wait where no rule reads anything
/// large, and 16 MiB of them where a rule does. Keys come when all have been met: a busy machine takes its time to read
/// 200 MB.
fn large_requests(count: usize) {
    for looked_at in [true, false] {
        let keys = Hold::default();
        let stage = Stage::build(
            |idp| idp.set_jwks(Fault::Held(keys.clone())),
            |stage, builder| {
                let mut config = config(stage, json!({"http_uri": {"timeout": "120s"}}));
                config["max_waiting"] = json!(65536);
                // With four headers to read, all of them are read.
                let name = if looked_at { "x-large" } else { "x-small" };
                config["rules"][1]["match"]["headers"] = json!([
                    {"name": name, "present_match": true},
                    {"name": "x-small", "present_match": true},
                ]);
                config["rules"][1]["match"]["methods"] = json!(["GET"]);
                builder.concurrency(1).wasm_filter(config)
            },
        );
        let mut connections = send_large(&stage, count);
        let waiting = || stage.counter("bearer_gate.waiting");
        let refused = || stage.counter("bearer_gate.denied.too_many_waiting");
        let all = count as u64;
        eventually(Duration::from_secs(60), "all have come", || {
            waiting() + refused() == all
        });
        let (waited, refused) = (waiting(), refused());
        let expected = if looked_at { 290..=306 } else { all..=all };
        assert!(expected.contains(&waited), "{waited} wait");

        keys.let_go();
        let mut statuses = BTreeMap::new();
        for connection in &mut connections {
            let status = connection.response().unwrap().status;
            *statuses.entry(status).or_insert(0) += 1;
        }
        figure("large requests by their statuses", &statuses);
        let mut expected = BTreeMap::from([(200, waited), (503, refused)]);
        expected.retain(|_, count| *count > 0);
        assert_eq!(statuses, expected);
        eventually(Duration::from_secs(2), "nobody waits", || waiting() == 0);
        assert_eq!(stage.traps(), 0);
    }
}

/// Requests of 55 KB, each on a connection that stays open: one that Envoy has to close is closed after a second, before
/// the answer where its worker is as busy as here.
fn send_large(stage: &Stage, count: usize) -> Vec<RawConnection> {
    let large = "x".repeat(55_000);
    let token = stage.idp.good_token();
    let request = format!(
        "GET /x HTTP/1.1\r\nhost: testbed\r\nauthorization: Bearer {token}\r\n\
         x-small: x\r\nx-large: {large}\r\n\r\n"
    );
    let connections = (0..count).map(|_| {
        let mut connection = RawConnection::open(stage.address()).unwrap();
        connection.send(request.as_bytes()).unwrap();
        connection
    });
    connections.collect()
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

/// The same where Envoy gives the filter the body of a request that it holds back.
#[tokio::test(flavor = "multi_thread")]
async fn b14_no_byte_of_a_body_passes_where_the_filter_gets_bodies() {
    let stage = Stage::build(
        |idp| idp.set_jwks(Fault::Delay(Duration::from_millis(700))),
        |stage, builder| {
            let remote = json!({"http_uri": {"timeout": "5s"}});
            let mut wasm = Wasm::new(config(stage, remote));
            wasm.bodies = true;
            let listener = Listener::new("main").filter(Filter::Wasm(wasm));
            builder.concurrency(WORKERS).listener(listener)
        },
    );
    let good = stage.idp.good_token();
    let forged = with_signature_bit_flipped(&good, 9);
    let forged = stage.post("/x", forged, "the body").await;
    assert_eq!((forged.status, stage.upstream.requests()), (401, 0));
    stage.idp.rotate_and_drop();
    let waits = stage.post("/x", stage.idp.good_token(), "the body").await;
    assert_eq!((waits.status, stage.upstream.requests()), (200, 1));
    assert_eq!(waits.json()["body"], "the body");
    let again = stage.post("/x", stage.idp.good_token(), "the body").await;
    assert_eq!((again.status, stage.upstream.requests()), (200, 2));
    assert_eq!(stage.traps(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_waited_reaches_the_upstream_like_any_other() {
    let stage = Stage::build(
        |idp| idp.set_jwks(Fault::Delay(Duration::from_millis(500))),
        |stage, builder| {
            let mut config = config(stage, json!({}));
            config["providers"]["demo"]["claim_to_headers"] =
                json!([{"header_name": "x-user", "claim_name": "sub"}]);
            builder.concurrency(WORKERS).wasm_filter(config)
        },
    );
    let token = stage.idp.token(&stage.idp.claims().subject("who waited"));
    let request = stage
        .client
        .request(reqwest::Method::POST, &stage.url("/x?y=z"))
        .bearer_auth(&token)
        .header("x-user", "forged")
        .body("the body");
    let reply = http::send(request).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.seen("x-user"), ["who waited"]);
    assert!(reply.seen("authorization").is_empty());
    assert_eq!(reply.json()["body"], "the body");
    assert_eq!(reply.json()["query"], "y=z");
}
