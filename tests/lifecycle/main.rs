//! The life of fetched documents under a simulated clock: several workers, one shared store, and a
//! provider that is played by the test.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod by_kid;
mod discovery;
mod failures;
mod invariants;
mod other_document;
#[path = "../sim/mod.rs"]
mod sim;
mod unknown_kid;
mod workers;

use std::time::Duration;

use bearer_gate::host::Reply;
use bearer_gate::jwks::keys::{Keys, UnknownKid};
use bearer_gate::time::Millis;
use sim::{SET_A, SET_B, World, ok, remote, status};

const SECOND: u64 = 1000;

#[test]
fn cold_start_makes_one_call_and_every_worker_has_the_keys_at_its_next_tick() {
    let mut world = World::new(4, remote());
    world.tick_all();
    assert_eq!(world.calls.len(), 1);
    for worker in 0..4 {
        assert!(matches!(world.keys(worker), Keys::Pending));
    }
    world.advance(40);
    world.answer(ok(SET_A));
    world.tick_all();
    for worker in 0..4 {
        assert_eq!(world.kids(worker), ["a"]);
    }
    world.advance(30 * SECOND);
    assert_eq!(world.dispatched, 1, "nothing more to fetch");
}

#[test]
fn a_set_is_renewed_ahead_of_its_expiry_and_not_at_once_by_all() {
    for seed in 0..20 {
        let mut world = World::seeded(3, remote(), seed);
        world.settle_with(SET_A);
        let fetched = world.now;
        while world.dispatched == 1 {
            world.advance(100);
            assert!(
                world.now.since(fetched) < Duration::from_secs(600),
                "too late"
            );
        }
        assert!(
            world.now.since(fetched) >= Duration::from_secs(480),
            "too early"
        );
        world.answer(ok(SET_B));
        world.advance(2 * SECOND);
        assert_eq!(world.kids(2), ["b"]);
        assert_eq!(world.dispatched, 2);
    }
}

#[test]
fn cache_control_counts_where_it_is_asked_for_and_within_bounds() {
    // (respected, max-age, expected freshness)
    for (respected, max_age, expected) in [
        (false, Some(60), 600),
        (true, None, 600),
        (true, Some(60), 60),
        (true, Some(0), 10),
        (true, Some(u64::MAX), 24 * 3600),
    ] {
        let mut remote = remote();
        remote.times.respect_cache_control = respected;
        let mut world = World::new(1, remote);
        world.tick_all();
        world.answer(Reply::Response {
            status: 200,
            max_age: max_age.map(Duration::from_secs),
            location: None,
            content_type: None,
            retry_after: None,
            body: SET_A.into(),
        });
        let fetched = world.now;
        while world.dispatched == 1 {
            world.advance(SECOND);
        }
        let after = world.now.since(fetched).as_secs();
        assert!(
            after >= expected * 8 / 10 - 1 && after <= expected,
            "{respected} {max_age:?}: renewed after {after} s"
        );
    }
}

#[test]
fn b13_a_removed_key_is_gone_within_cache_duration_on_every_worker() {
    let mut remote = remote();
    remote.times.cache_duration = Duration::from_secs(10);
    let mut world = World::new(3, remote);
    world.settle_with(SET_A);
    let removed = world.now;
    world.answer_when_asked(ok(SET_B));
    while (0..3).any(|worker| world.kids(worker) != ["b"]) {
        world.advance(10);
    }
    assert!(world.now.since(removed) <= Duration::from_secs(15));
}

#[test]
fn a_clock_that_jumps_an_hour_does_no_lasting_harm() {
    for (before, after) in [(10 * 3600, 11 * 3600), (10 * 3600, 9 * 3600)] {
        let mut remote = remote();
        remote.times.max_stale = Duration::from_secs(24 * 3600);
        let mut world = World::new(2, remote);
        world.now = Millis(before * SECOND);
        world.settle_with(SET_A);
        assert_eq!(world.unknown_kid(0), UnknownKid::Wait);
        world.tick_all();
        world.answer(status(500));
        // The clock jumps in the middle of a back-off.
        world.now = Millis(after * SECOND);
        assert_eq!(world.kids(0), ["a"], "the keys still serve");
        world.answer_when_asked(ok(SET_B));
        assert!(world.now.since(Millis(after * SECOND)) <= Duration::from_secs(12));
        world.advance(2 * SECOND);
        assert_eq!(world.kids(1), ["b"]);
    }
}

#[test]
fn each_configuration_keeps_its_own_cache_duration() {
    let remote = |seconds, respect_cache_control| {
        let mut remote = remote();
        remote.times.cache_duration = Duration::from_secs(seconds);
        remote.times.respect_cache_control = respect_cache_control;
        remote
    };
    // A key that left the set verifies for the reader's own cache_duration at most, whichever
    // worker fetched the set.
    for (respects, max_age) in [(false, None), (true, Some(3600)), (false, Some(3600))] {
        let store = sim::Store::default();
        let mut patient = World::on(store.clone(), 1, remote(3600, respects), 1);
        patient.tick_all();
        patient.answer(Reply::Response {
            status: 200,
            max_age: max_age.map(Duration::from_secs),
            location: None,
            content_type: None,
            retry_after: None,
            body: SET_A.into(),
        });
        let mut strict = World::on(store, 1, remote(10, false), 2);
        strict.tick_all();
        assert_eq!(strict.kids(0), ["a"], "what is there is used");
        assert_eq!(strict.dispatched, 0);
        strict.advance(10 * SECOND);
        assert_eq!(strict.dispatched, 1, "and renewed in time");
        strict.answer(ok(SET_B));
        assert_eq!(strict.kids(0), ["b"]);
    }
}
