//! A fleet of real Envoys in containers: five with two workers each, with deploy/envoy's bootstrap, behind a load
//! balancer, and one provider. What happens to a fleet happens to it under load, and what became of the requests is
//! asserted: `make fleet-containers`.

mod load;
mod place;
mod store;

use std::time::{Duration, Instant};

use bearer_gate_testbed::docker;
use bearer_gate_testbed::idp::Fault;
use bearer_gate_testbed::idp::openid::Endpoint;
use bearer_gate_testbed::raw::RawConnection;
use bearer_gate_testbed::visitor::Visitor;
use serde_json::{Value, json};
use tokio::time::sleep;

use load::{Load, Shot};
use place::{Fleet, GATEWAYS, IMAGE, SITE};

const SESSION: &str = "__Host-Http-bg_session_staff";
/// `max_interval`, after which keys are asked for at the latest, and what a busy machine adds.
const RECOVERY: Duration = Duration::from_secs(35);

/// The fleet, with more in the provider's `openid_discovery`; nothing where there is no engine.
fn fleet(keys: &Value) -> Option<Fleet> {
    if let Some(why) = docker::hindrance(&[IMAGE]) {
        docker::left_out("the fleet in containers", &why);
        return None;
    }
    Some(Fleet::start(keys, None))
}

fn figure(text: &str) {
    println!("figure: fleet in containers: {text}");
}

async fn seconds(count: u64) {
    sleep(Duration::from_secs(count)).await;
}

/// How long it takes until this holds, asked each 200 ms.
async fn until(limit: Duration, what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < limit, "not within {limit:?}: {what}");
        sleep(Duration::from_millis(200)).await;
    }
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a fleet: make fleet-containers"]
async fn a_rolling_restart_loses_no_request() {
    let Some(fleet) = fleet(&json!({})) else {
        return;
    };
    let load = Load::start(fleet.balancer.address(), &fleet.idp);
    seconds(2).await;
    let before = fleet.idp.jwks_requests();
    assert_eq!(before, GATEWAYS as u64, "one call for each process");
    let began = Instant::now();
    for gateway in &fleet.gateways {
        gateway.drain();
        gateway.restart();
        gateway.wait();
        seconds(2).await;
    }
    let took = began.elapsed();
    let tally = load.stop().await;
    figure(&format!(
        "rolling restart of all in {} s: {}",
        took.as_secs(),
        tally.told()
    ));
    assert_eq!(tally.wrong().len(), 0, "{:?}", tally.wrong());
    assert_eq!(tally.lost().len(), 0, "{:?}", tally.lost());
    assert_eq!(fleet.idp.jwks_requests(), 2 * GATEWAYS as u64);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a fleet: make fleet-containers"]
async fn nobody_notices_a_provider_that_is_cut_off_for_a_minute() {
    // Each gateway wants new keys several times meanwhile.
    let Some(fleet) = fleet(&json!({"cache_duration": "10s"})) else {
        return;
    };
    let load = Load::start(fleet.balancer.address(), &fleet.idp);
    seconds(5).await;
    fleet.cut_provider();
    let calls = fleet.idp.jwks_requests();
    seconds(30).await;
    // A key that nobody has: who has a token of it is asked to come again, and is not let through.
    fleet.idp.rotate();
    let new = fleet.idp.good_token();
    let mut asked = Vec::new();
    for gateway in &fleet.gateways {
        asked.push(fleet.ask(gateway, &new));
    }
    assert_eq!(asked, [503; GATEWAYS]);
    seconds(30).await;
    assert_eq!(fleet.idp.jwks_requests(), calls, "it was not cut off");
    fleet.join_provider();
    let mut recovered = Vec::new();
    let back = Instant::now();
    for gateway in &fleet.gateways {
        until(RECOVERY, "the new key is known", || {
            fleet.ask(gateway, &new) == 200
        })
        .await;
        recovered.push(back.elapsed().as_secs());
    }
    assert!(back.elapsed() < RECOVERY + Duration::from_secs(5));
    let tally = load.stop().await;
    figure(&format!(
        "provider cut off for 60 s: {}; new keys after {recovered:?} s",
        tally.told()
    ));
    assert_eq!(tally.wrong().len(), 0, "{:?}", tally.wrong());
    assert_eq!(tally.lost().len(), 0, "{:?}", tally.lost());
    let slow = tally.share_slower_than(Duration::from_secs(1));
    assert!(slow < 0.01, "{slow} wait for a provider that is not there");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a fleet: make fleet-containers"]
async fn a_rotation_that_one_envoy_does_not_see_admits_nobody_wrongly() {
    let Some(fleet) = fleet(&json!({"cache_duration": "10s"})) else {
        return;
    };
    let load = Load::start(fleet.balancer.address(), &fleet.idp);
    let (apart, others) = fleet.gateways.split_first().unwrap();
    seconds(2).await;
    fleet.cut(apart);
    let tally = load.stop().await;
    assert_eq!(
        tally.lost().len() + tally.wrong().len(),
        0,
        "{}",
        tally.told()
    );

    let old = fleet.idp.good_token();
    fleet.idp.rotate_and_drop();
    let new = fleet.idp.good_token();
    let rotated = Instant::now();
    for gateway in others {
        until(Duration::from_secs(5), "the new key is known", || {
            fleet.ask(gateway, &new) == 200
        })
        .await;
    }
    let known = rotated.elapsed();
    // Each of its two workers.
    seconds(2).await;
    for gateway in others.iter().chain(others) {
        let status = fleet.ask(gateway, &old);
        assert!(
            matches!(status, 401 | 503),
            "{status} for a key that was withdrawn"
        );
    }
    // It has the keys of before, and says that it does not know.
    for _ in 0..20 {
        assert_eq!(fleet.ask(apart, &new), 503);
        assert_eq!(fleet.ask(apart, &old), 200);
        sleep(Duration::from_millis(200)).await;
    }
    fleet.join(apart);
    let recovered = until(RECOVERY, "the new key is known", || {
        fleet.ask(apart, &new) == 200
    })
    .await;
    seconds(2).await;
    for _ in 0..10 {
        let status = fleet.ask(apart, &old);
        assert!(
            matches!(status, 401 | 503),
            "{status} for a key that was withdrawn"
        );
        assert_eq!(fleet.ask(apart, &new), 200);
    }
    let load = Load::start(fleet.balancer.address(), &fleet.idp);
    seconds(5).await;
    let tally = load.stop().await;
    figure(&format!(
        "rotation: known to 4 Envoys after {} ms, to one that was cut off {} s after it was back; {}",
        known.as_millis(),
        recovered.as_secs(),
        tally.told()
    ));
    assert_eq!(
        tally.lost().len() + tally.wrong().len(),
        0,
        "{:?}",
        tally.lost()
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a fleet: make fleet-containers"]
async fn a_slow_way_to_the_provider_holds_up_only_who_has_no_keys() {
    let Some(fleet) = fleet(&json!({"cache_duration": "10s"})) else {
        return;
    };
    let delay = Duration::from_secs(3);
    fleet.idp.set_jwks(Fault::Delay(delay));
    let load = Load::start(fleet.balancer.address(), &fleet.idp);
    // Every gateway has fetched keys meanwhile.
    seconds(25).await;
    let tally = load.stop().await;
    figure(&format!("keys that take 3 s: {}", tally.told()));
    assert_eq!(tally.wrong().len(), 0, "{:?}", tally.wrong());
    assert_eq!(tally.lost().len(), 0, "{:?}", tally.lost());
    let slow = tally.share_slower_than(delay / 3);
    assert!(
        slow < 0.01,
        "{slow} wait, and nobody has to where there are keys"
    );

    // One that starts has none. All who come wait for one call.
    let first = &fleet.gateways[0];
    first.drain();
    first.restart();
    first.wait();
    let token = fleet.idp.good_token();
    let began = Instant::now();
    assert_eq!(fleet.ask(first, &token), 200);
    let waited = began.elapsed();
    figure(&format!(
        "an Envoy that starts then: its first request is answered after {} ms",
        waited.as_millis()
    ));
    assert!(waited < Duration::from_secs(10), "{waited:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a fleet: make fleet-containers"]
async fn an_envoy_that_is_killed_in_the_middle_of_a_refresh_loses_its_own_requests_alone() {
    let Some(fleet) = fleet(&json!({})) else {
        return;
    };
    let openid = fleet.idp.openid();
    openid.configure(|settings| settings.access_token_lifetime = 6);
    let visitor = || {
        Visitor::new()
            .finding("app.example.com", fleet.balancer.address())
            .hanging_up()
    };
    let page = format!("{SITE}/page");
    let (mut alice, mut bob) = (visitor(), visitor());
    alice.sign_in_for(&page, "alice", "wonderland").await;
    bob.sign_in_for(&page, "bob", "tokyo").await;
    assert_eq!(alice.get(&page).await.seen("x-user"), ["user|alice"]);
    assert_eq!(bob.get(&page).await.seen("x-user"), ["user|bob"]);
    let load = Load::start(fleet.balancer.address(), &fleet.idp);
    seconds(7).await;

    // Alice's session is refreshed by one Envoy, and it is killed before the answer.
    openid.configure(|settings| settings.token_delay = Duration::from_secs(2));
    let calls = openid.calls(Endpoint::Token);
    let victim = &fleet.gateways[0];
    let cookie = alice.cookie(&page, SESSION).expect("a session");
    let head = format!(
        "GET /page HTTP/1.1\r\nhost: app.example.com\r\ncookie: {SESSION}={cookie}\r\n\r\n"
    );
    let mut request = RawConnection::open(victim.address()).unwrap();
    request.send(head.as_bytes()).unwrap();
    until(Duration::from_secs(2), "the refresh", || {
        openid.calls(Endpoint::Token) > calls
    })
    .await;
    let killed = Instant::now();
    victim.kill();
    assert!(request.response().is_err(), "its request is lost");
    seconds(3).await;
    openid.configure(|settings| settings.token_delay = Duration::ZERO);

    // The provider has taken her refresh token, and nobody has the new one: she signs in again, and nobody else does.
    let hers = alice.get(&page).await;
    assert_eq!(hers.status, 303, "{}", hers.body);
    // It knows her by its own session.
    let back = alice.get(hers.header("location").unwrap()).await;
    alice
        .get(back.header("location").expect("the way back"))
        .await;
    let (hers, his) = (alice.get(&page).await, bob.get(&page).await);
    assert_eq!(hers.seen("x-user"), ["user|alice"]);
    assert_eq!(
        his.seen("x-user"),
        ["user|bob"],
        "a session of somebody else"
    );

    victim.start();
    victim.wait();
    seconds(2).await;
    assert_eq!(fleet.ask(victim, &fleet.idp.good_token()), 200);
    let tally = load.stop().await;
    figure(&format!("one of {GATEWAYS} killed: {}", tally.told()));
    assert_eq!(tally.wrong().len(), 0, "{:?}", tally.wrong());
    // What was on its way to it, and no more: the balancer gives the rest to others.
    let lost = tally.lost();
    assert!(lost.len() <= 8, "{lost:?}");
    let window = killed - Duration::from_secs(1)..killed + Duration::from_secs(2);
    let had_begun = |shot: &Shot| window.contains(&shot.at) && shot.had_begun();
    assert!(lost.iter().all(had_begun), "{lost:?}");
}
