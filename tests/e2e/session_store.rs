//! Sessions that no cookie has room for: two real Envoys, and a real Redis behind webdis.

use std::time::Duration;

use bearer_gate_testbed::eventually;
use bearer_gate_testbed::visitor::Visitor;
use serde_json::{Value, json};

use crate::fleet_store::Fleet;

const LIMIT: Duration = Duration::from_secs(15);
/// The octets of the claims and tokens of everybody here, at least.
const SIZE: usize = 20 * 1024;

/// The upstream gets an ID token with many groups, which the session keeps beside its claims.
fn fleet() -> Fleet {
    let more: Value = json!({"sign_in": {"schemes": {"staff": {
        "session": {"store": "SHARED_STORE"},
        "cookie": {"max_bytes": 4096},
        "use_refresh_token": true,
        "forward_bearer_token": true,
        "forward_id_token_header": "x-id-token",
    }}}});
    let fleet = Fleet::start(more);
    let openid = fleet.stage.idp.openid();
    openid.configure(|settings| settings.groups = 750);
    fleet
}

/// The keys of the sessions in Redis.
fn entries(fleet: &Fleet) -> Vec<String> {
    let keys = fleet.redis.cli(&["KEYS", "bearer-gate:session:*"]);
    keys.lines()
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

fn counter(fleet: &Fleet, name: &str) -> u64 {
    let name = format!("bearer_gate.session_store.{name}");
    fleet.stage.counter(&name)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_fits_no_cookie_counts_in_both_envoys_until_it_is_ended() {
    let fleet = fleet();
    let (first, other) = (fleet.stage.address(), fleet.other().address());
    let mut visitor = Visitor::new();
    let page = fleet.stage.url("/page");
    visitor.sign_in_for(&page, "alice", "wonderland").await;
    let alice = fleet.session_of(&visitor);
    assert!(alice.len() < 1000, "{}", alice.len());
    let [entry] = &entries(&fleet)[..] else {
        panic!("{:?}", entries(&fleet))
    };
    let length = fleet.redis.cli(&["STRLEN", entry]);
    let sealed: usize = length.parse().unwrap();
    println!("{sealed} octets of base64url");
    assert!(sealed / 4 * 3 > SIZE, "{sealed}");
    let life: u64 = fleet.redis.cli(&["TTL", entry]).parse().unwrap();
    assert!((8 * 3600 - 60..=8 * 3600).contains(&life), "{life}");
    assert_eq!(fleet.statuses(first, &alice), [200; 16]);
    assert_eq!(fleet.statuses(other, &alice), [200; 16]);
    let shown = visitor.get(&page).await;
    assert_eq!(shown.seen("x-user"), ["user|alice"]);
    assert!(shown.seen("x-id-token").concat().len() > 8192);
    assert_eq!(counter(&fleet, "put"), 1);
    assert!(
        (1..=2).contains(&counter(&fleet, "found")),
        "each worker once"
    );
    // Whoever reads Redis reads nothing of it.
    let value = fleet.redis.cli(&["GET", entry]);
    assert!(!value.contains("alice") && !alice.contains(&value[..60]));

    fleet.sign_out(other, &alice);
    eventually(LIMIT, "it is taken away", || entries(&fleet).is_empty());
    eventually(LIMIT, "it is over", || {
        fleet.statuses(first, &alice) == [401; 16]
    });
    assert_eq!(counter(&fleet, "failed") + counter(&fleet, "missing"), 0);
    let log = fleet.stage.envoy().log();
    assert!(!log.contains(&alice[40..]) && !log.contains(&value[..60]));
    assert_eq!(fleet.traps(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_in_the_store_is_refreshed() {
    let fleet = fleet();
    let openid = fleet.stage.idp.openid();
    openid.configure(|settings| settings.access_token_lifetime = 5);
    let mut visitor = Visitor::new();
    let page = fleet.stage.url("/page");
    visitor.sign_in_for(&page, "alice", "wonderland").await;
    let before = fleet.session_of(&visitor);
    let old = entries(&fleet).remove(0);
    let token = visitor.get(&page).await.seen("authorization").concat();
    tokio::time::sleep(Duration::from_millis(5200)).await;
    // Twenty tabs at once.
    let tabs = (0..20).map(|_| {
        let (mut tab, url) = (visitor.clone(), page.clone());
        tokio::spawn(async move { (tab.get(&url).await, tab) })
    });
    for tab in tabs.collect::<Vec<_>>() {
        let (shown, tab) = tab.await.expect("a page");
        assert_eq!(shown.status, 200, "{}", shown.body);
        assert_ne!(shown.seen("authorization").concat(), token);
        visitor = tab;
    }
    assert_eq!(fleet.stage.counter("bearer_gate.refresh.completed"), 1);
    let after = fleet.session_of(&visitor);
    assert_ne!(before, after);
    // The other Envoy finds it.
    assert_eq!(fleet.get(fleet.other().address(), "/x", &after), 200);
    assert_eq!(entries(&fleet).len(), 2);
    let life: i64 = fleet.redis.cli(&["TTL", &old]).parse().unwrap();
    assert!((1..=600).contains(&life), "{life}");
    assert_eq!(fleet.traps(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn s35_a_redis_that_has_lost_sessions_or_is_away() {
    let mut fleet = fleet();
    let (first, other) = (fleet.stage.address(), fleet.other().address());
    let alice = fleet.signed_in("alice", "wonderland").await;
    let bob = fleet.signed_in("bob", "tokyo").await;
    assert_eq!(fleet.statuses(first, &bob), [200; 16]);
    for entry in entries(&fleet) {
        fleet.redis.cli(&["DEL", &entry]);
    }
    // The other Envoy has not seen it. The first one remembers it for a while.
    assert_eq!(fleet.statuses(other, &alice), [401; 16]);
    assert_eq!(fleet.get(first, "/x", &bob), 200);
    eventually(Duration::from_secs(40), "it is over there, too", || {
        fleet.statuses(first, &bob) == [401; 16]
    });
    assert!(counter(&fleet, "missing") > 0);

    let alice = fleet.signed_in("alice", "wonderland").await;
    let bob = fleet.signed_in("bob", "tokyo").await;
    assert_eq!(fleet.statuses(first, &bob), [200; 16]);
    fleet.redis.stop();
    assert_eq!(fleet.statuses(other, &alice), [503; 16]);
    let reason = "wasmcustom.bearer_gate.denied.session_store_unavailable";
    assert!(fleet.other().stat(reason) >= 16);
    assert_eq!(fleet.get(first, "/x", &bob), 200, "it is remembered");
    assert_eq!(fleet.get(other, "/public", &alice), 200);
    // Nobody can sign in.
    let mut visitor = Visitor::new();
    let begun = visitor.get(&fleet.stage.url("/page")).await;
    let location = begun.header("location").expect("the provider").to_owned();
    let back = visitor.sign_in(&location, "alice", "wonderland").await;
    let page = visitor.get(back.header("location").unwrap()).await;
    assert_eq!(page.status, 503, "{}", page.body);
    let name = "__Host-Http-bg_session_staff";
    assert!(visitor.cookie(&fleet.stage.url("/"), name).is_none());

    fleet.redis.start_again();
    // It is empty now.
    eventually(LIMIT, "the session is over", || {
        fleet.statuses(other, &alice) == [401; 16]
    });
    eventually(LIMIT, "the first Envoy asks again", || {
        counter(&fleet, "failed") > 0 && fleet.get(first, "/x", &alice) == 401
    });
    let again = fleet.signed_in("alice", "wonderland").await;
    assert_eq!(fleet.statuses(other, &again), [200; 16]);
    assert_eq!(fleet.traps(), 0);
}
