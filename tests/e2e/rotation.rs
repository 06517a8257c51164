//! Keys that are added and removed, and kids that no key has.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bearer_gate_testbed::eventually;
use bearer_gate_testbed::http::Client;
use bearer_gate_testbed::keys::SigningKey;
use bearer_gate_testbed::token;
use serde_json::json;

use crate::keys::{all_are, burst, figure, four_workers, time_until_admitted};

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
async fn b6_no_stranger_stops_a_rotation() {
    let stage = four_workers(|_| {}, json!({"unknown_kid_cooldown": "4s"}));
    let before = stage.idp.good_token();
    time_until_admitted(&stage, &before, Duration::from_secs(5)).await;
    let strange = |n: u32| token::with_header(&before, &token::header(&format!("nobody's-{n}")));
    let rotated = || {
        let next = stage.idp.rotate_and_drop();
        token::sign(&next, &stage.idp.header(), &stage.idp.claims().value())
    };

    // One token with a false signature, and then the provider rotates.
    assert_eq!(stage.get_with("/x", &strange(0)).await.status, 401);
    assert_eq!(stage.get_with("/x", &rotated()).await.status, 200);

    // More of them: the filter can no longer tell which keys exist.
    let mut statuses = Vec::new();
    for n in 1..20 {
        let reply = stage.get_with("/x", &strange(n)).await;
        if reply.status == 503 {
            let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
            assert!((1..=4).contains(&wait), "{wait}");
        }
        statuses.push(reply.status);
    }
    assert!(statuses.contains(&503), "{statuses:?}");
    assert!(statuses.iter().all(|status| [401, 503].contains(status)));
    let after = rotated();
    let start = Instant::now();
    loop {
        let status = stage.get_with("/x", &after).await.status;
        if status == 200 {
            break;
        }
        assert_eq!(status, 503, "a good token is not called wrong");
        assert!(start.elapsed() < Duration::from_secs(5));
        // The storm goes on.
        stage.get_with("/x", &strange(99)).await;
    }
    figure("a rotation in a storm took", start.elapsed());
    assert_eq!(stage.traps(), 0);
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
                // No key has its kid in a newer set, or that is unknown.
                let status = client.get_with(&url, &token).await.status;
                refused += usize::from([401, 503].contains(&status));
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
        fetches <= cool_downs + 1,
        "{fetches} fetches in {:?}",
        start.elapsed()
    );
    assert_eq!(stage.get_with("/x", &good).await.status, 200);
    assert_eq!(stage.traps(), 0);
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
        // 503 where fetches for unknown kids were just made.
        if statuses.iter().all(|status| [401, 503].contains(status)) {
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

/// A cache on the way held the set for most of its lifetime. The rest counts, and at least ten
/// seconds.
#[tokio::test(flavor = "multi_thread")]
async fn age_is_taken_off_a_lifetime() {
    let stage = four_workers(
        |idp| {
            // In two lines: asked by name, Envoy gives a filter only the first.
            idp.set_cache_control(Some("public\nmax-age=600"));
            idp.set_age(Some(597));
        },
        json!({"respect_cache_control": true}),
    );
    let token = stage.idp.good_token();
    time_until_admitted(&stage, &token, Duration::from_secs(5)).await;
    assert_eq!(stage.idp.jwks_requests(), 1);
    eventually(Duration::from_secs(12), "renewed after ten seconds", || {
        stage.idp.jwks_requests() > 1
    });
    let times = stage.idp.jwks_request_times();
    let after = times[1] - times[0];
    assert!(after > Duration::from_secs(7), "not sooner: {after:?}");
    assert_eq!(stage.traps(), 0);
}
