//! The store is away or slow, or processes are.

use std::time::Duration;

use serde_json::json;

use super::store::Mode;
use super::{AND, Fleet, INTERVAL};
use crate::world::APP;

/// The longest wait of the processes after failures.
const LONGEST_WAIT: u64 = 5000;

#[test]
fn s34_a_sign_out_while_the_store_is_away_holds_when_it_is_back() {
    for (mode, outage) in [
        (Mode::Down, 700),
        (Mode::Down, 60_000),
        (Mode::Silent, 20_000),
    ] {
        let fleet = Fleet::new(3);
        fleet.pass(500);
        let alice = fleet.signed_in(0, "alice");
        let bob = fleet.signed_in(0, "bob");
        fleet.redis.mode.set(mode);
        fleet.pass(200);
        fleet.sign_out(0, &alice);
        fleet.pass(outage);
        assert_eq!(fleet.asks(0, 1, &alice).unwrap().status, 401);
        assert_eq!(
            fleet.asks(1, 0, &alice).unwrap().status,
            200,
            "not told yet"
        );
        assert!(fleet.all_say(&bob, 200));
        fleet.redis.mode.set(Mode::Well);
        // A call that gets no answer ends by its timeout.
        let limit = outage.min(LONGEST_WAIT) + INTERVAL + AND + 1500;
        let took = fleet.until(&alice, 401, limit);
        println!("{mode:?} for {outage} ms: {took} ms");
        assert!(fleet.all_say(&bob, 200));
        assert!(fleet.count("failed") > 0);
        assert_eq!(fleet.count("lost") + fleet.count("dropped"), 0);
    }
}

#[test]
fn s34_a_slow_store_delays_what_is_told_and_nothing_else() {
    let fleet = Fleet::new(2);
    fleet.pass(500);
    let alice = fleet.signed_in(0, "alice");
    fleet.redis.mode.set(Mode::Slow(60));
    fleet.pass(2000);
    fleet.sign_out(0, &alice);
    assert_eq!(
        fleet.asks(0, 0, &alice).unwrap().status,
        401,
        "nobody waits"
    );
    // 600 ms for each command, and those of both Envoys come one after the other.
    let took = fleet.until(&alice, 401, INTERVAL + AND + 4 * 600);
    println!("{took} ms");
}

#[test]
fn s34_whoever_cannot_hear_of_sign_outs_lets_no_session_through_after_max_stale() {
    for (on_stale, after) in [("DENY", 503), ("ALLOW", 200)] {
        let fleet = Fleet::with(
            2,
            match on_stale {
                "DENY" => |config| config["shared_store"]["max_stale"] = json!("20s"),
                _ => |config| {
                    config["shared_store"]["max_stale"] = json!("20s");
                    config["shared_store"]["on_stale"] = json!("ALLOW");
                },
            },
        );
        fleet.pass(500);
        let alice = fleet.signed_in(0, "alice");
        fleet.redis.mode.set(Mode::Down);
        fleet.pass(18_000);
        assert!(fleet.all_say(&alice, 200));
        fleet.pass(3000);
        assert!(fleet.all_say(&alice, after), "{on_stale}");
        assert!(fleet.count("stale") >= 2);
        if after == 503 {
            let page = fleet.asks(0, 0, &alice).unwrap();
            assert_eq!(page.reason, Some("sign_outs_unknown"));
            assert_eq!(page.header("retry-after"), Some("1"));
            assert!(page.header("set-cookie").is_none(), "she stays signed in");
            // A page is no reason to sign in again.
            let mut browser = alice.clone();
            let page = fleet.worlds[0].open(&mut browser, "/");
            assert_eq!(page.status, 503);
        }
        // What counts on no session goes on.
        let public = fleet.worlds[0].arrive(&alice, "GET", &format!("{APP}/public"), &[]);
        assert_eq!(public.unwrap().status, 200);
        // Who signs out is signed out.
        fleet.sign_out(0, &alice);
        fleet.redis.mode.set(Mode::Well);
        fleet.until(&alice, 401, LONGEST_WAIT + INTERVAL + AND);
    }
}

#[test]
fn s34_an_envoy_that_starts_without_the_store_trusts_no_session() {
    for (on_stale, status) in [("DENY", 503), ("ALLOW", 200)] {
        let fleet = Fleet::with(
            2,
            match on_stale {
                "DENY" => |_| (),
                _ => |config| config["shared_store"]["on_stale"] = json!("ALLOW"),
            },
        );
        fleet.pass(500);
        let alice = fleet.signed_in(0, "alice");
        let bob = fleet.signed_in(0, "bob");
        fleet.sign_out(0, &alice);
        fleet.until(&alice, 401, INTERVAL + AND);
        fleet.redis.mode.set(Mode::Down);
        fleet.worlds[1].restart();
        fleet.pass(500);
        for browser in [&alice, &bob] {
            let page = fleet.asks(1, 0, browser).unwrap();
            assert_eq!(page.status, status, "{on_stale}");
        }
        fleet.redis.mode.set(Mode::Well);
        fleet.pass(LONGEST_WAIT);
        assert!(fleet.all_say(&bob, 200) && fleet.all_say(&alice, 401));
    }
}

#[test]
fn s34_a_worker_that_dies_takes_no_sign_out_with_it() {
    for lost in [0, 1] {
        let fleet = Fleet::new(2);
        fleet.pass(500);
        let alice = fleet.signed_in(0, "alice");
        let world = &fleet.worlds[0];
        world.worker.set(lost);
        fleet.sign_out(0, &alice);
        world.worker.set(0);
        world.lose(lost);
        // A lease of 2 s, where it was that worker's.
        fleet.until(&alice, 401, INTERVAL + AND + 2000);
        world.pass(Duration::ZERO);
    }
}

#[test]
fn s34_a_new_configuration_takes_no_sign_out_away() {
    let fleet = Fleet::new(2);
    fleet.pass(500);
    let alice = fleet.signed_in(0, "alice");
    fleet.redis.mode.set(Mode::Down);
    fleet.sign_out(0, &alice);
    let config = fleet.worlds[0].config();
    fleet.worlds[0].reload(config);
    fleet.pass(100);
    fleet.redis.mode.set(Mode::Well);
    fleet.until(&alice, 401, 2 * INTERVAL + AND);
}

/// Who watches sees that an Envoy never heard of the others: there is an age from its start.
#[test]
fn s34_the_age_counts_from_the_start_where_the_store_was_never_read() {
    for mode in [Mode::Down, Mode::Silent] {
        let fleet = Fleet::new(1);
        let age = || fleet.count("age_seconds");
        fleet.redis.mode.set(mode);
        fleet.pass(1000);
        assert!(age() <= 1, "{mode:?}: {}", age());
        fleet.pass(60_000);
        assert!((58..=61).contains(&age()), "{mode:?}: {}", age());
        // Workers that begin anew do not begin it anew.
        fleet.worlds[0].lose(0);
        fleet.worlds[0].lose(1);
        fleet.pass(10_000);
        assert!((68..=71).contains(&age()), "{mode:?}: {}", age());
        fleet.redis.mode.set(Mode::Well);
        fleet.pass(LONGEST_WAIT + INTERVAL + AND);
        assert!(age() <= 2, "{mode:?}: {}", age());
    }
}
