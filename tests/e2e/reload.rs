//! Configurations that change while Envoy runs, and instances side by side.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bearer_gate_testbed::envoy::{Encoding, Filter, Listener, Wasm};
use bearer_gate_testbed::eventually;
use bearer_gate_testbed::idp::{Fault, Idp};
use bearer_gate_testbed::raw;
use bearer_gate_testbed::token;
use serde_json::json;

use crate::keys::{WORKERS, config, figure, four_workers, time_until_admitted};
use crate::stage::{Stage, merge, provider};

#[tokio::test(flavor = "multi_thread")]
async fn b9_another_worker_takes_over_when_the_lease_holder_is_gone() {
    const TIMEOUT: Duration = Duration::from_secs(4);
    let stage = Stage::build(
        |idp| idp.set_jwks(Fault::Hang),
        |stage, builder| {
            builder
                .concurrency(WORKERS)
                .drain_seconds(1)
                .wasm_filter(config(stage, json!({"http_uri": {"timeout": "4s"}})))
        },
    );
    eventually(Duration::from_secs(5), "the first fetch", || {
        stage.idp.jwks_requests() == 1
    });
    let leased = Instant::now();
    stage.idp.set_jwks(Fault::Ok);
    // Another configuration: the plugin that holds the lease ends, with its call.
    let mut next = config(&stage, json!({"http_uri": {"timeout": "4s"}}));
    next["realm"] = json!("next");
    stage.envoy().reload_wasm(&next).unwrap();
    time_until_admitted(&stage, &stage.idp.good_token(), Duration::from_secs(10)).await;
    figure("taken over, with a timeout of 4 s, after", leased.elapsed());
    // Its lease alone would run longer than that.
    assert!(leased.elapsed() < TIMEOUT);
    assert_eq!(stage.idp.jwks_requests(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn b11_reload_under_load() {
    let stage = Arc::new(four_workers(|_| {}, json!({})));
    let token = stage.idp.good_token();
    time_until_admitted(&stage, &token, Duration::from_secs(5)).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut lanes = Vec::new();
    for _ in 0..8 {
        let (stage, token, stop) = (Arc::clone(&stage), token.clone(), Arc::clone(&stop));
        lanes.push(tokio::spawn(async move {
            let mut requests = 0;
            while !stop.load(Ordering::SeqCst) {
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
    stop.store(true, Ordering::SeqCst);
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
    merge(&mut unbuilt, json!({"filter_state_rules": {"name": "x"}}));
    for (bad, problem) in [
        (
            misspelt,
            "providers.demo.isuer: unknown field, did you mean issuer?",
        ),
        (unbuilt, "filter_state_rules: "),
        (json!({"rules": "all"}), "rules: "),
    ] {
        let refused = stage.envoy().reload_wasm(&bad).unwrap_err();
        assert!(refused.log.contains(problem), "{problem}: {}", refused.log);
        assert_eq!(stage.get_with("/x", &token).await.status, 200);
        assert_eq!(stage.get("/x").await.status, 401);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn providers_and_instances_in_one_vm_keep_apart() {
    let other = Idp::start();
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
    // The kid of that token causes one more fetch of the first provider's keys.
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

#[tokio::test]
async fn a_configuration_may_be_a_text() {
    let stage = Stage::build(
        |_| {},
        |stage, builder| {
            let wasm = Wasm {
                encoding: Encoding::StringValue,
                ..Wasm::new(config(stage, json!({})))
            };
            builder.listener(Listener::new("main").filter(Filter::Wasm(wasm)))
        },
    );
    let token = stage.idp.good_token();
    assert_eq!(stage.get_with("/x", &token).await.status, 200);
    assert_eq!(stage.get("/x").await.status, 401);
}
