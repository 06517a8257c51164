//! Tokens by a key that is not in the set: a rotation, or strangers who name keys that do not
//! exist.

use std::time::Duration;

use bearer_gate::jwks::keys::UnknownKid;

use crate::SECOND;
use crate::sim::{self, SET_A, SET_B, World, ok, remote, status};

#[test]
fn b6_a_rotation_costs_one_fetch_and_no_rejection() {
    let mut world = World::new(4, remote());
    world.settle_with(SET_A);
    world.advance(5 * SECOND);
    // Tokens with the new kid arrive at every worker.
    for worker in 0..4 {
        assert_eq!(world.unknown_kid(worker), UnknownKid::Wait);
    }
    world.tick_all();
    assert_eq!(world.calls.len(), 1, "one of them fetches");
    for worker in 0..4 {
        assert_eq!(world.unknown_kid(worker), UnknownKid::Wait);
    }
    world.answer(ok(SET_B));
    // A worker that has not ticked yet finds the set when the next one asks.
    for worker in 0..4 {
        if world.kids(worker) != ["b"] {
            assert_eq!(world.unknown_kid(worker), UnknownKid::Reselect);
        }
        assert_eq!(world.kids(worker), ["b"]);
    }
    assert_eq!(world.dispatched, 2);
}

#[test]
fn b7_strangers_with_random_kids_cause_one_fetch_per_cool_down() {
    let mut world = World::new(4, remote());
    world.settle_with(SET_A);
    let start = world.now;
    let (mut refused, mut unknown) = (0_u32, 0_u32);
    let mut waits = Vec::new();
    while world.now.since(start) < Duration::from_secs(60) {
        for worker in 0..4 {
            for _ in 0..4 {
                let came = world.workers[worker].seen();
                match world.unknown_kid(worker) {
                    UnknownKid::NoSuchKey => panic!("nothing was fetched since it came"),
                    UnknownKid::Wait => waits.push((worker, came)),
                    UnknownKid::Reselect => {}
                    UnknownKid::Unavailable { retry_after } => {
                        assert!(retry_after <= Duration::from_secs(30));
                        unknown += 1;
                    }
                }
            }
            assert_eq!(world.kids(worker), ["a"], "good traffic is unharmed");
        }
        world.tick_urgently();
        if !world.calls.is_empty() {
            world.answer(ok(SET_A));
            world.tick_urgently();
            for (worker, came) in waits.drain(..) {
                // A request that came in the middle of a fetch waits for the next one, or learns
                // that its key is still unknown.
                refused += u32::from(
                    world.unknown_kid_that_came(worker, Some(came)) == UnknownKid::NoSuchKey,
                );
            }
        }
        world.advance(10);
    }
    assert!(world.dispatched <= 1 + 4, "{} fetches", world.dispatched);
    assert!(refused > 0, "whose fetch began after it came");
    assert!(unknown > 90_000, "{unknown} of 96,000");
}

#[test]
fn one_strangers_kid_does_not_stop_a_rotation() {
    let mut world = World::new(4, remote());
    world.settle_with(SET_A);
    world.advance(5 * SECOND);
    // An unsigned token with a kid that no key has.
    assert_eq!(world.unknown_kid(2), UnknownKid::Wait);
    world.tick(2);
    world.answer(ok(SET_A));
    world.advance(SECOND);
    // The provider rotates.
    assert_eq!(world.unknown_kid(1), UnknownKid::Wait);
    world.tick(1);
    world.answer(ok(SET_B));
    world.tick_urgently();
    for worker in 0..4 {
        assert_eq!(world.kids(worker), ["b"]);
    }
    // The burst is used up: whether there is such a key is unknown, and the wait is told.
    let UnknownKid::Unavailable { retry_after } = world.unknown_kid(3) else {
        panic!("neither wrong nor worth waiting for");
    };
    assert!(retry_after <= Duration::from_secs(30), "{retry_after:?}");
    world.advance(30 * SECOND);
    assert_eq!(world.unknown_kid(3), UnknownKid::Wait);
}

#[test]
fn a_set_that_was_asked_for_before_a_request_came_does_not_refuse_it() {
    let mut world = World::new(2, remote());
    world.settle_with(SET_A);
    world.advance(5 * SECOND);
    let first = world.workers[0].seen();
    assert_eq!(world.unknown_kid(0), UnknownKid::Wait);
    world.tick(0);
    // This request comes in the middle of that fetch.
    assert_eq!(world.unknown_kid(1), UnknownKid::Wait);
    let second = world.workers[1].seen();
    world.answer(ok(SET_A));
    world.tick_urgently();
    assert_eq!(
        world.unknown_kid_that_came(0, Some(first)),
        UnknownKid::NoSuchKey
    );
    assert_eq!(
        world.unknown_kid_that_came(1, Some(second)),
        UnknownKid::Wait,
        "its key may have come after that answer"
    );
    world.tick(1);
    world.answer(ok(SET_B));
    world.tick_urgently();
    assert_eq!(world.kids(1), ["b"]);
    // Garbage in shared data refuses no token either: the numbers of fetches begin anew.
    world.store.overwrite_all(b"garbage");
    world.tick_urgently();
    let third = world.workers[0].seen();
    for _ in 0..5 {
        let outcome = world.unknown_kid_that_came(0, Some(third));
        assert_ne!(outcome, UnknownKid::NoSuchKey);
    }
}

#[test]
fn an_unknown_kid_is_not_refused_while_the_provider_is_down() {
    let mut world = World::new(2, remote());
    world.settle_with(SET_A);
    world.advance(SECOND);
    assert_eq!(world.unknown_kid(0), UnknownKid::Wait);
    world.tick_all();
    world.answer(status(503));
    for worker in 0..2 {
        assert!(matches!(
            world.unknown_kid(worker),
            UnknownKid::Unavailable { .. }
        ));
        assert_eq!(world.kids(worker), ["a"]);
    }
    // The failed fetch is repeated although no request asks for it.
    world.answer_when_asked(ok(SET_B));
    world.tick_urgently();
    assert_eq!(world.kids(1), ["b"]);
}

#[test]
fn a_fetch_for_an_unknown_kid_is_taken_over_when_its_holder_dies() {
    let mut world = World::new(2, remote());
    world.settle_with(SET_A);
    world.advance(31 * SECOND);
    assert_eq!(world.unknown_kid(0), UnknownKid::Wait);
    world.tick(0);
    assert_eq!(world.dispatched, 2);
    assert_eq!(world.unknown_kid(1), UnknownKid::Wait);
    let came = world.workers[1].seen();
    world.kill(0);
    world.advance(6 * SECOND);
    assert_eq!(world.dispatched, 3, "within the timeout and a second");
    world.answer(ok(SET_B));
    world.advance(SECOND);
    assert_eq!(world.kids(1), ["b"]);
    assert_eq!(
        world.unknown_kid_that_came(1, Some(came)),
        UnknownKid::NoSuchKey
    );
    // The two fetches were for the same token, and count as one.
    assert_eq!(world.unknown_kid(1), UnknownKid::Wait);
    world.tick(1);
    world.answer(ok(SET_B));
    assert!(matches!(
        world.unknown_kid(1),
        UnknownKid::Unavailable { .. }
    ));
}

#[test]
fn a_request_learns_that_another_worker_failed_to_fetch() {
    let mut world = World::new(2, remote());
    world.settle_with(SET_A);
    world.advance(31 * SECOND);
    assert_eq!(world.unknown_kid(0), UnknownKid::Wait);
    assert_eq!(world.unknown_kid(1), UnknownKid::Wait, "both want one");
    world.tick(0);
    world.answer(status(500));
    assert!(
        matches!(world.unknown_kid(1), UnknownKid::Unavailable { .. }),
        "not to wait until the provider is back"
    );
}

#[test]
fn a_fetch_whose_holder_died_does_not_count_for_the_cool_down() {
    let mut world = World::new(2, remote());
    world.settle_with(SET_A);
    world.advance(31 * SECOND);
    assert_eq!(world.unknown_kid(0), UnknownKid::Wait);
    world.tick(0);
    world.kill(0);
    // No other request waited in the meantime.
    world.advance(6 * SECOND);
    assert_eq!(
        world.unknown_kid(1),
        UnknownKid::Wait,
        "nothing was fetched since the token's key may have come"
    );
    world.tick(1);
    assert_eq!(world.dispatched, 3);
}

/// A cache on the way answers a fetch on schedule from its copy, and one for an unknown kid only if the copy is new.
#[test]
fn a_fetch_for_an_unknown_kid_says_how_old_a_copy_may_be() {
    let metadata = r#"{"issuer":"https://idp.test/","jwks_uri":"https://idp.test/keys"}"#;
    let discovered = || (sim::discovered("https://idp.test/"), vec![metadata]);
    for (source, before) in [(remote(), vec![]), discovered()] {
        let mut world = World::new(2, source);
        let fetched = |world: &mut World, said: Option<&str>, set| {
            for document in before.iter().copied().chain([set]) {
                let headers = &world.calls[0].call.headers;
                let said = said.map(|said| ("cache-control", said.to_owned()));
                assert_eq!(*headers, Vec::from_iter(said), "{document}");
                world.answer(ok(document));
            }
            assert!(world.calls.is_empty());
        };
        world.tick_all();
        fetched(&mut world, None, SET_A);
        world.advance(5 * SECOND);
        assert_eq!(world.unknown_kid(1), UnknownKid::Wait);
        world.tick(1);
        fetched(&mut world, Some("max-age=5"), SET_B);
        // A retry of it is one, too.
        world.advance(5 * SECOND);
        assert_eq!(world.unknown_kid(0), UnknownKid::Wait);
        world.tick(0);
        world.answer(status(500));
        while world.calls.is_empty() {
            world.advance(10);
            world.tick(0);
        }
        fetched(&mut world, Some("max-age=5"), SET_A);
        // The next one on schedule is none.
        let dispatched = world.dispatched;
        while world.dispatched == dispatched {
            world.advance(SECOND);
            world.tick_all();
        }
        fetched(&mut world, None, SET_A);
    }
}
