//! What the Envoys share: a Redis behind webdis, each in a container. Who signs out at one of them is signed out at all, and
//! a store that is gone is what docs/shared-store.md says.

use std::time::{Duration, Instant};

use bearer_gate_testbed::docker;
use bearer_gate_testbed::raw;
use bearer_gate_testbed::visitor::Visitor;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::load::Load;
use super::place::{Container, Fleet, GATEWAYS, IMAGE, SITE, STORE_IMAGE};
use super::{SESSION, figure, seconds};

/// `interval`, and the second that the document adds.
const STATED: Duration = Duration::from_secs(2);
/// The longest wait after an outage.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// The timeout of a call, and what its loss adds.
const TIMEOUT: Duration = Duration::from_millis(1500);
const MAX_STALE: u64 = 8;
/// Of several connections, so that each of two workers has some.
const CONNECTIONS: usize = 3;

fn fleet(store: &Value) -> Option<Fleet> {
    if let Some(why) = docker::hindrance(&[IMAGE, STORE_IMAGE]) {
        docker::left_out("the fleet in containers that shares a store", &why);
        return None;
    }
    Some(Fleet::start(&json!({}), Some(store)))
}

/// The cookie of somebody who has signed in by way of the balancer.
async fn signed_in(fleet: &Fleet, username: &str, password: &str) -> String {
    let mut visitor = Visitor::new()
        .finding("app.example.com", fleet.balancer.address())
        .hanging_up();
    let page = format!("{SITE}/page");
    visitor.sign_in_for(&page, username, password).await;
    let value = visitor.cookie(&page, SESSION).expect("a session");
    format!("{SESSION}={value}")
}

fn get(gateway: &Container, path: &str, cookie: &str) -> u16 {
    let head = format!(
        "GET {path} HTTP/1.1\r\nhost: app.example.com\r\nconnection: close\r\n\
         sec-fetch-site: same-origin\r\ncookie: {cookie}\r\n\r\n"
    );
    raw::request(gateway.address(), head.as_bytes()).map_or(0, |reply| reply.status)
}

/// Whether every worker of these gateways answers a session so.
fn all_say<'g>(
    gateways: impl IntoIterator<Item = &'g Container>,
    cookie: &str,
    status: u16,
) -> bool {
    gateways
        .into_iter()
        .all(|gateway| (0..CONNECTIONS).all(|_| get(gateway, "/x", cookie) == status))
}

/// How long it takes until this holds, asked all the time.
async fn until(limit: Duration, what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < limit, "not within {limit:?}: {what}");
        sleep(Duration::from_millis(20)).await;
    }
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a fleet: make fleet-containers"]
async fn a_sign_out_at_one_envoy_holds_at_all_within_the_stated_time() {
    let Some(fleet) = fleet(&json!({})) else {
        return;
    };
    let load = Load::start(fleet.balancer.address(), &fleet.idp);
    let bob = signed_in(&fleet, "bob", "tokyo").await;
    let mut took = Vec::new();
    for at in &fleet.gateways {
        let alice = signed_in(&fleet, "alice", "wonderland").await;
        assert!(all_say(&fleet.gateways, &alice, 200));
        assert_eq!(get(at, "/sign-out", &alice), 303);
        assert!(all_say([at], &alice, 401), "at once where she was");
        let elsewhere = until(STATED, "signed out at all", || {
            fleet.gateways.iter().all(|at| get(at, "/x", &alice) == 401)
        });
        took.push(elsewhere.await.as_millis());
        assert!(all_say(&fleet.gateways, &alice, 401), "at every worker");
    }
    assert!(all_say(&fleet.gateways, &bob, 200));
    assert!((1..=GATEWAYS).contains(&fleet.values()));
    let tally = load.stop().await;
    took.sort_unstable();
    figure(&format!(
        "signed out at one, known to all after {took:?} ms; {}",
        tally.told()
    ));
    assert_eq!(tally.wrong().len(), 0, "{:?}", tally.wrong());
    assert_eq!(tally.lost().len(), 0, "{:?}", tally.lost());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a fleet: make fleet-containers"]
async fn a_store_that_is_gone_ends_no_session_wrongly_and_is_told_when_it_is_back() {
    let Some(fleet) = fleet(&json!({"max_stale": format!("{MAX_STALE}s")})) else {
        return;
    };
    let load = Load::start(fleet.balancer.address(), &fleet.idp);
    let bob = signed_in(&fleet, "bob", "tokyo").await;
    let (first, others) = fleet.gateways.split_first().unwrap();
    let (last, _) = others.split_last().unwrap();
    for is_killed in [true, false] {
        let earlier = signed_in(&fleet, "alice", "wonderland").await;
        assert_eq!(get(first, "/sign-out", &earlier), 303);
        until(STATED, "signed out at all", || {
            all_say(&fleet.gateways, &earlier, 401)
        })
        .await;
        let alice = signed_in(&fleet, "alice", "wonderland").await;
        assert!(all_say(&fleet.gateways, &bob, 200));
        let gone = Instant::now();
        if is_killed {
            fleet.store().redis.kill();
        } else {
            fleet.cut_store();
        }
        // Who signs out is signed out there at once, and elsewhere when the store is back.
        assert_eq!(get(first, "/sign-out", &alice), 303);
        assert!(all_say([first], &alice, 401));
        assert!(all_say(others, &alice, 200), "{:?}", gone.elapsed());
        assert!(all_say(&fleet.gateways, &bob, 200));
        assert!(
            gone.elapsed() < Duration::from_secs(MAX_STALE),
            "too slow to tell"
        );
        // Who starts now has never heard of anybody.
        last.drain();
        last.restart();
        last.wait();
        let unknown = TIMEOUT * 2 + STATED;
        until(unknown, "it trusts no session", || {
            all_say([last], &bob, 503)
        })
        .await;
        // Then nobody does.
        let limit = Duration::from_secs(MAX_STALE + 3).saturating_sub(gone.elapsed());
        until(limit + STATED, "no session counts", || {
            all_say(&fleet.gateways, &bob, 503)
        })
        .await;
        seconds(5).await;
        let back = Instant::now();
        if is_killed {
            fleet.store().redis.start();
        } else {
            fleet.join_store();
        }
        until(
            LONGEST_WAIT + TIMEOUT + STATED,
            "sessions count again",
            || all_say(&fleet.gateways, &bob, 200),
        )
        .await;
        let counts = back.elapsed();
        until(STATED, "the sign-out holds at all", || {
            all_say(&fleet.gateways, &alice, 401)
        })
        .await;
        let holds = back.elapsed();
        assert!(all_say(&fleet.gateways, &bob, 200));
        figure(&format!(
            "store {} for {} s: sessions count {} ms after it is back, and a sign-out of meanwhile holds at all after {} ms",
            if is_killed { "killed" } else { "cut off" },
            (back - gone).as_secs(),
            counts.as_millis(),
            holds.as_millis()
        ));
        // A Redis that begins anew has forgotten all, and is told again what was before: who started meanwhile has it
        // from there alone.
        until(STATED * 2, "a sign-out of before holds at all", || {
            all_say(&fleet.gateways, &earlier, 401)
        })
        .await;
        assert!(fleet.values() > 0);
    }
    let tally = load.stop().await;
    figure(&format!("store gone twice: {}", tally.told()));
    assert_eq!(tally.wrong().len(), 0, "{:?}", tally.wrong());
    assert_eq!(tally.lost().len(), 0, "{:?}", tally.lost());
}
