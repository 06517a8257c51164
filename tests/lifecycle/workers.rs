//! Workers that share a store: which one fetches, which one takes over, and what a lost write or
//! garbage does.

use std::time::Duration;

use bearer_gate::document::event::Event;
use bearer_gate::jwks::keys::{Keys, UnknownKid};

use crate::SECOND;
use crate::sim::{self, SET_A, SET_B, World, ok, remote};

#[test]
fn b9_another_worker_takes_over_from_a_dead_holder() {
    let mut world = World::new(3, remote());
    world.tick_all();
    let holder = world.calls[0].worker;
    let sent = world.now;
    world.kill(holder);
    while world.dispatched == 1 {
        world.advance(10);
    }
    let timeout = Duration::from_secs(5);
    assert!(
        world.now.since(sent) >= timeout,
        "not while it may still answer"
    );
    assert!(world.now.since(sent) <= timeout + Duration::from_secs(1));
    world.answer(ok(SET_A));
    world.tick_urgently();
    for worker in 0..3 {
        assert_eq!(world.kids(worker), ["a"]);
    }
}

#[test]
fn a_late_answer_does_not_replace_what_the_next_holder_brought() {
    let mut world = World::new(2, remote());
    world.tick_all();
    let first = world.calls[0].worker;
    let late = world.calls.remove(0);
    // The thread of the holder hangs with its call, and the other worker goes on.
    for _ in 0..700 {
        world.pass(10);
        world.tick(1 - first);
    }
    world.answer(ok(SET_B));
    world.events.clear();
    world.calls.push(late);
    world.answer(ok(SET_A));
    assert_eq!(world.events, [Event::LeaseLost]);
    world.tick_urgently();
    assert_eq!(world.kids(0), ["b"]);
    assert_eq!(world.kids(1), ["b"]);
}

#[test]
fn a_lost_race_for_the_lease_makes_no_call() {
    let mut world = World::new(2, remote());
    world.store.lose_writes(1);
    world.tick(0);
    assert_eq!(world.dispatched, 0);
    world.tick(1);
    world.tick(0);
    assert_eq!(world.dispatched, 1);
}

#[test]
fn a_lost_race_at_the_end_of_a_fetch_leaves_the_lease_to_run_out() {
    for lost in [1, 2] {
        let mut world = World::new(2, remote());
        world.tick_all();
        world.store.lose_writes(lost);
        world.answer(ok(SET_A));
        world.answer_when_asked(ok(SET_A));
        world.tick_urgently();
        assert_eq!(world.kids(0), ["a"]);
        assert_eq!(world.kids(1), ["a"]);
    }
}

#[test]
fn workers_whose_clocks_are_milliseconds_apart_do_not_both_fetch() {
    let mut world = World::new(4, remote());
    world.clocks_apart = 3;
    // The worker whose clock is ahead is first.
    (0..4).rev().for_each(|worker| world.tick(worker));
    assert_eq!(world.dispatched, 1);
    world.answer(ok(SET_A));
    world.tick_urgently();
    assert_eq!(world.unknown_kid(3), UnknownKid::Wait);
    world.tick(3);
    world.answer(ok(SET_A));
    assert_eq!(world.unknown_kid(0), UnknownKid::Reselect);
    assert!(
        matches!(world.unknown_kid(0), UnknownKid::Unavailable { .. }),
        "by its clock the last fetch was in the future"
    );
    world.tick_urgently();
    assert_eq!(world.dispatched, 2);
    world.advance(50);
    assert_eq!(world.unknown_kid(0), UnknownKid::Wait);
}

#[test]
fn garbage_in_shared_data_is_overwritten_and_never_used() {
    for garbage in ["", "{}", "\u{0}\u{1}", r#"{"format":1}"#, "[[[[[["] {
        let mut world = World::new(2, remote());
        world.tick_all();
        world.store.overwrite_all(garbage.as_bytes());
        world.calls.clear();
        for worker in 0..2 {
            world.kill(worker);
        }
        world.answer_when_asked(ok(SET_A));
        world.store.overwrite_all(garbage.as_bytes());
        world.advance(2 * SECOND);
        world.answer_when_asked(ok(SET_B));
        world.advance(2 * SECOND);
        assert_eq!(world.kids(0), ["b"]);
        assert_eq!(world.kids(1), ["b"]);
    }
}

#[test]
fn sources_do_not_touch_each_other() {
    let store = sim::Store::default();
    let mut one = World::on(store.clone(), 1, remote(), 1);
    let mut two = World::on(
        store.clone(),
        1,
        sim::remote_at("https://other.example/keys"),
        2,
    );
    one.settle_with(SET_A);
    two.tick_all();
    assert!(matches!(two.keys(0), Keys::Pending));
    two.settle_with(SET_B);
    one.advance(2 * SECOND);
    assert_eq!(one.kids(0), ["a"]);
    assert_eq!(two.kids(0), ["b"]);
    // The same source has the same shared data, so a reload starts with its keys.
    let mut reloaded = World::on(store, 1, remote(), 3);
    reloaded.now = one.now;
    reloaded.tick_all();
    assert_eq!(reloaded.kids(0), ["a"]);
    assert_eq!(reloaded.dispatched, 0);
}
