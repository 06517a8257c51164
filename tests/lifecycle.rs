//! The key lifecycle under a simulated clock: several workers, one shared
//! store, an identity provider that the tests play themselves.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod sim;

use std::time::Duration;

use bearer_gate::host::Reply;
use bearer_gate::jwks::lifecycle::{Event, FetchError, Keys, UnknownKid};
use bearer_gate::time::Millis;
use proptest::prelude::*;
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
        remote.respect_cache_control = respected;
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
fn b1_down_at_start_then_up_again_within_two_seconds() {
    for (seed, seconds) in (0..40).map(|seed| (seed, 1 + seed % 8)) {
        let (mut world, back) = down_for(seconds, true, seed);
        let took = world.now.since(back);
        assert!(took <= Duration::from_secs(2), "{seconds} s, then {took:?}");
        world.tick_urgently();
        for worker in 0..4 {
            assert_eq!(world.kids(worker), ["a"]);
        }
    }
}

#[test]
fn b1_down_for_long_then_up_again_within_thirty_seconds_and_few_calls() {
    for (seed, asked) in [(1, true), (2, false), (3, true), (4, false)] {
        let (world, back) = down_for(3600, asked, seed);
        let took = world.now.since(back);
        assert!(took <= Duration::from_secs(30), "{took:?}");
        // One in 22 s on average, and those of the first minute.
        assert!(world.dispatched < 3600 / 22 + 30, "{}", world.dispatched);
    }
}

/// A process whose provider was down at its start for so many seconds, when it has keys; and when
/// the provider came back. While it is down, requests ask ten times a second, or never.
fn down_for(seconds: u64, asked: bool, seed: u64) -> (World, Millis) {
    let mut world = World::seeded(4, remote(), seed);
    let back = world.now.after(Duration::from_secs(seconds));
    world.tick_all();
    loop {
        world.pass(50);
        while !world.calls.is_empty() {
            let up = world.now >= back;
            world.answer(if up { ok(SET_A) } else { status(503) });
            if up {
                return (world, back);
            }
            for worker in 0..4 {
                let Keys::Unavailable { retry_after } = world.keys(worker) else {
                    continue;
                };
                assert!(retry_after <= Duration::from_secs(30));
            }
        }
        if asked && world.now.0.is_multiple_of(100) {
            world.request(usize::try_from(world.now.0 / 100 % 4).unwrap());
        }
        world.tick_all();
    }
}

fn told(status: u16, seconds: u64) -> Reply {
    Reply::Response {
        status,
        max_age: None,
        retry_after: Some(Duration::from_secs(seconds)),
        location: None,
        content_type: None,
        body: Vec::new(),
    }
}

#[test]
fn retry_after_holds_for_every_worker_and_for_requests() {
    // (status, Retry-After, the least wait, the longest), in seconds
    for (code, seconds, least, most) in [
        (503, 20, 20, 40),
        (429, 20, 20, 80),
        (503, 300, 300, 330),
        // A silly or hostile value stops nobody for ever.
        (429, 86_400, 300, 360),
        (503, u64::MAX, 300, 330),
        // It counts with these two alone.
        (500, 20, 0, 1),
        (301, 20, 0, 1),
    ] {
        for with_keys in [false, true] {
            let mut world = World::new(4, remote());
            if with_keys {
                world.settle_with(SET_A);
                world.advance(SECOND);
                assert_eq!(world.unknown_kid(0), UnknownKid::Wait);
            }
            world.tick_all();
            world.answer(told(code, seconds));
            let (told_at, before) = (world.now, world.dispatched);
            while world.dispatched == before {
                // Requests ask all the time, and a worker's VM is lost and comes back.
                for worker in 0..4 {
                    world.request(worker);
                    world.unknown_kid(worker);
                }
                if world.now.0.is_multiple_of(5000) {
                    world.kill(0);
                }
                world.pass(20);
                world.tick_all();
            }
            let waited = world.now.since(told_at);
            assert!(
                (Duration::from_secs(least)..=Duration::from_secs(most)).contains(&waited),
                "{code} {seconds}: {waited:?}"
            );
        }
    }
}

#[test]
fn requests_alone_do_not_make_calls_more_frequent_for_long() {
    let calls = |asked| {
        let mut world = World::new(4, remote());
        let start = world.now;
        world.tick_all();
        while world.now.since(start) < Duration::from_secs(600) {
            while !world.calls.is_empty() {
                world.answer(status(500));
            }
            for worker in (0..4).filter(|_| asked) {
                world.request(worker);
            }
            world.pass(50);
            world.tick_all();
        }
        world.dispatched
    };
    assert!(calls(true) <= calls(false) + 9);
}

#[test]
fn b2_down_later_serves_stale_keys_up_to_max_stale_and_not_longer() {
    let mut remote = remote();
    remote.cache_duration = Duration::from_secs(10);
    remote.max_stale = Duration::from_secs(30);
    let mut world = World::new(2, remote);
    world.settle_with(SET_A);
    let fetched = world.now;
    let mut expired = 0;
    while world.now.since(fetched) < Duration::from_secs(60) {
        if !world.calls.is_empty() {
            world.answer(status(500));
        }
        world.advance(50);
        let stale = world.now.since(fetched) >= Duration::from_secs(40);
        for worker in 0..2 {
            match world.keys(worker) {
                Keys::Ready(_) => assert!(!stale, "used after max_stale"),
                Keys::Unavailable { .. } => assert!(stale, "gone before max_stale"),
                Keys::Pending => panic!("the provider is known to be down"),
            }
        }
        expired = world
            .events
            .iter()
            .filter(|e| **e == Event::Expired)
            .count();
    }
    assert_eq!(expired, 2, "once per worker");
    world.answer_when_asked(ok(SET_B));
    world.tick_urgently();
    assert_eq!(world.kids(1), ["b"]);
}

#[test]
fn b3_no_bad_answer_evicts_a_good_set() {
    type Expected = fn(&FetchError) -> bool;
    let bad: Vec<(Reply, Expected)> = vec![
        (Reply::NotSent, |e| *e == FetchError::NotSent),
        (Reply::None, |e| *e == FetchError::NoResponse),
        (Reply::TooLarge(20_000_000), |e| {
            *e == FetchError::TooLarge(20_000_000)
        }),
        (status(500), |e| *e == FetchError::Status(500)),
        (status(404), |e| *e == FetchError::Status(404)),
        (status(301), |e| *e == FetchError::Status(301)),
        (status(204), |e| *e == FetchError::Status(204)),
        (ok("<html></html>"), |e| {
            matches!(e, FetchError::Jwks(_) | FetchError::NotRead(..))
        }),
        (ok(&SET_B[..SET_B.len() / 2]), |e| {
            matches!(e, FetchError::Jwks(_) | FetchError::NotRead(..))
        }),
        (ok("{}"), |e| {
            matches!(e, FetchError::Jwks(_) | FetchError::NotRead(..))
        }),
        (ok(r#"{"keys":[]}"#), |e| {
            matches!(e, FetchError::Jwks(_) | FetchError::NotRead(..))
        }),
        (ok(r#"{"keys":[{"kty":"oct","k":"AA"}]}"#), |e| {
            matches!(e, FetchError::Jwks(_) | FetchError::NotRead(..))
        }),
        (ok(""), |e| {
            matches!(e, FetchError::Jwks(_) | FetchError::NotRead(..))
        }),
    ];
    for (answer, expected) in bad {
        let told = format!("{answer:?}");
        let mut world = World::new(2, remote());
        world.settle_with(SET_A);
        world.events.clear();
        world.answer_when_asked(answer);
        let failed = world.events.iter().find_map(|event| match event {
            Event::Failed {
                error,
                failures: 1,
                news: true,
                ..
            } => Some(error.clone()),
            _ => None,
        });
        assert!(expected(&failed.expect(&told)), "{told}");
        world.advance(SECOND);
        for worker in 0..2 {
            assert_eq!(world.kids(worker), ["a"], "{told}");
        }
    }
}

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
                // Who came in the middle of a fetch waits for the next, or learns that nobody
                // can say.
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
    // An unsigned token of a kid that nobody has.
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
    // The burst is used up: nobody can say, and when somebody can is told.
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
    // In the middle of that fetch.
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
    // What others wrote over shared data is no knowledge either: numbers begin anew.
    world.store.overwrite_all(b"garbage");
    world.tick_urgently();
    let third = world.workers[0].seen();
    for _ in 0..5 {
        let verdict = world.unknown_kid_that_came(0, Some(third));
        assert_ne!(verdict, UnknownKid::NoSuchKey);
    }
}

#[test]
fn an_unknown_kid_while_the_provider_is_down_is_not_called_wrong() {
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
    // The failed fetch is repeated without being asked for.
    world.answer_when_asked(ok(SET_B));
    world.tick_urgently();
    assert_eq!(world.kids(1), ["b"]);
}

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
    // The holder's thread hangs, with its call; the other worker goes on.
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
fn b13_a_removed_key_is_gone_within_cache_duration_on_every_worker() {
    let mut remote = remote();
    remote.cache_duration = Duration::from_secs(10);
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
        remote.max_stale = Duration::from_secs(24 * 3600);
        let mut world = World::new(2, remote);
        world.now = Millis(before * SECOND);
        world.settle_with(SET_A);
        assert_eq!(world.unknown_kid(0), UnknownKid::Wait);
        world.tick_all();
        world.answer(status(500));
        // In the middle of a back-off.
        world.now = Millis(after * SECOND);
        assert_eq!(world.kids(0), ["a"], "the keys still serve");
        world.answer_when_asked(ok(SET_B));
        assert!(world.now.since(Millis(after * SECOND)) <= Duration::from_secs(12));
        world.advance(2 * SECOND);
        assert_eq!(world.kids(1), ["b"]);
    }
}

#[test]
fn workers_whose_clocks_are_milliseconds_apart_do_not_both_fetch() {
    let mut world = World::new(4, remote());
    world.clocks_apart = 3;
    // The one whose clock is ahead is first.
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
    // The same source is the same data: a reload starts with its keys.
    let mut reloaded = World::on(store, 1, remote(), 3);
    reloaded.now = one.now;
    reloaded.tick_all();
    assert_eq!(reloaded.kids(0), ["a"]);
    assert_eq!(reloaded.dispatched, 0);
}

#[test]
fn retries_keep_requests_waiting_and_failures_end_the_round() {
    let mut remote = remote();
    remote.retries = 2;
    let mut world = World::new(1, remote);
    world.tick_all();
    for _ in 0..2 {
        world.answer_when_asked(status(500));
        assert!(matches!(world.keys(0), Keys::Pending));
    }
    world.answer_when_asked(status(500));
    assert!(matches!(world.keys(0), Keys::Unavailable { .. }));

    world.answer_when_asked(ok(SET_A));
    assert_eq!(world.unknown_kid(0), UnknownKid::Wait);
    for _ in 0..2 {
        let seen = world.workers[0].seen();
        world.answer_when_asked(status(500));
        assert!(!world.workers[0].settled(seen), "the round goes on");
        assert_eq!(world.unknown_kid(0), UnknownKid::Wait);
    }
    world.answer_when_asked(status(500));
    assert!(matches!(
        world.unknown_kid(0),
        UnknownKid::Unavailable { .. }
    ));
}

#[derive(Debug, Clone)]
enum Action {
    Tick(usize),
    Pass(u64),
    Answer(usize, Outcome),
    UnknownKid(usize),
    Kill(usize),
    LoseWrites(u32),
    Garbage,
}

#[derive(Debug, Clone, Copy)]
enum Outcome {
    SetA,
    SetB,
    Status(u16),
    Garbage,
    None,
}

fn action() -> impl Strategy<Value = Action> {
    let outcome = prop_oneof![
        3 => Just(Outcome::SetA),
        3 => Just(Outcome::SetB),
        2 => prop_oneof![Just(500), Just(404), Just(301)].prop_map(Outcome::Status),
        1 => Just(Outcome::Garbage),
        1 => Just(Outcome::None),
    ];
    prop_oneof![
        10 => (0..4_usize).prop_map(Action::Tick),
        4 => (0..200_u64).prop_map(Action::Pass),
        2 => (0..20_000_u64).prop_map(Action::Pass),
        6 => (0..4_usize, outcome).prop_map(|(call, outcome)| Action::Answer(call, outcome)),
        3 => (0..4_usize).prop_map(Action::UnknownKid),
        1 => (0..4_usize).prop_map(Action::Kill),
        1 => (1..3_u32).prop_map(Action::LoseWrites),
        1 => Just(Action::Garbage),
    ]
}

proptest! {
    #![proptest_config(sim::properties(500))]

    /// Whatever happens, in whatever order.
    #[test]
    fn invariants_hold(actions in proptest::collection::vec(action(), 1..200), seed: u64) {
        let mut remote = remote();
        remote.cache_duration = Duration::from_secs(20);
        remote.max_stale = Duration::from_secs(15);
        let lifetime = remote.cache_duration + remote.max_stale;
        let mut world = World::seeded(4, remote, seed);
        world.clocks_apart = seed % 20;
        // When the last good answer came that was taken.
        let mut fetched: Option<Millis> = None;
        let mut garbage = false;
        for action in actions {
            match action {
                Action::Tick(worker) => world.tick(worker),
                Action::Pass(millis) => world.pass(millis),
                Action::UnknownKid(worker) => {
                    world.unknown_kid(worker);
                }
                Action::Kill(worker) => world.kill(worker),
                Action::LoseWrites(writes) => world.store.lose_writes(writes),
                Action::Garbage => {
                    // Whoever shares the vm_id may write: leases are lost then.
                    world.store.overwrite_all(b"garbage");
                    garbage = true;
                }
                Action::Answer(call, outcome) if call < world.calls.len() => {
                    let call = world.calls.remove(call);
                    world.calls.insert(0, call);
                    let answer = match outcome {
                        Outcome::SetA => ok(SET_A),
                        Outcome::SetB => ok(SET_B),
                        Outcome::Status(code) => status(code),
                        Outcome::Garbage => ok("garbage"),
                        Outcome::None => Reply::None,
                    };
                    world.answer(answer);
                    if world.events.iter().any(|event| matches!(event, Event::Installed { .. } | Event::Fetched { .. })) {
                        fetched = Some(world.now);
                    }
                }
                Action::Answer(..) => {}
            }
            world.events.clear();
            if !garbage {
                prop_assert!(world.most_calls_under_one_lease <= 1);
            }
            for worker in 0..4 {
                if let Keys::Ready(_) = world.keys(worker) {
                    let fetched = fetched.expect("keys without a good answer");
                    let apart = Duration::from_millis(3 * world.clocks_apart);
                    prop_assert!(world.now.since(fetched) < lifetime + apart);
                }
            }
        }
        // And it always finds its way back.
        world.store.lose_writes(0);
        world.pass(1);
        world.answer_when_asked(ok(SET_B));
        world.advance(2 * SECOND);
        for worker in 0..4 {
            prop_assert_eq!(world.kids(worker), ["b"]);
        }
    }
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
    // The two fetches were for one token, and count as one.
    assert_eq!(world.unknown_kid(1), UnknownKid::Wait);
    world.tick(1);
    world.answer(ok(SET_B));
    assert!(matches!(
        world.unknown_kid(1),
        UnknownKid::Unavailable { .. }
    ));
}

#[test]
fn who_wanted_a_fetch_that_another_worker_failed_at_is_told_so() {
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
    // Nobody else waited meanwhile.
    world.advance(6 * SECOND);
    assert_eq!(
        world.unknown_kid(1),
        UnknownKid::Wait,
        "nothing was fetched since the token's key may have come"
    );
    world.tick(1);
    assert_eq!(world.dispatched, 3);
}

#[test]
fn each_configuration_keeps_its_own_cache_duration() {
    let remote = |seconds, respect_cache_control| bearer_gate::config::Remote {
        cache_duration: Duration::from_secs(seconds),
        respect_cache_control,
        ..remote()
    };
    // A key that left the set verifies no longer than the reader's own
    // cache_duration, whoever fetched the set.
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

const PLACES: [&str; 4] = [
    "/t/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server/t",
    "/.well-known/openid-configuration/t",
    "/t/.well-known/oauth-authorization-server",
];

/// Metadata in the `at`th place of an issuer, and `status` in those before it.
fn find_metadata(world: &mut World, at: usize, refusal: u16, metadata: &str) {
    world.tick_all();
    for place in &PLACES[..at] {
        assert_eq!(world.calls[0].call.path, *place);
        world.answer(status(refusal));
    }
    assert_eq!(world.calls[0].call.path, PLACES[at]);
    world.answer(ok(metadata));
}

#[test]
fn metadata_are_looked_for_in_each_place() {
    let metadata = r#"{"issuer":"https://idp.test/t","jwks_uri":"https://idp.test/t/keys"}"#;
    for refusal in [400, 401, 403, 404, 405, 410] {
        for at in 0..PLACES.len() {
            let mut world = World::new(2, sim::discovered("https://idp.test/t"));
            find_metadata(&mut world, at, refusal, metadata);
            assert_eq!(world.calls[0].call.path, "/t/keys");
            world.answer(ok(SET_A));
            world.tick_urgently();
            assert_eq!(world.kids(1), ["a"]);
            assert_eq!(world.dispatched, at + 2, "{refusal}");
        }
    }
    // Each of them once, where the issuer has no path.
    let mut world = World::new(1, sim::discovered("https://idp.test/"));
    world.tick_all();
    for place in [
        "/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server",
    ] {
        assert_eq!(world.calls[0].call.path, place);
        world.answer(status(404));
    }
    assert!(world.calls.is_empty());
    let Some(Event::Failed { error, asked, .. }) = world.events.pop() else {
        panic!("the search is over");
    };
    assert_eq!(error, FetchError::Status(404));
    assert!(
        asked.contains("/.well-known/oauth-authorization-server"),
        "{asked}"
    );
}

/// A server that is down or asks for patience is down everywhere.
#[test]
fn no_other_place_is_asked_for_where_the_place_is_not_at_fault() {
    for answer in [
        status(429),
        status(500),
        status(503),
        status(504),
        status(301),
        Reply::None,
        Reply::NotSent,
        ok("<html>"),
        ok("{}"),
    ] {
        let told = format!("{answer:?}");
        let mut world = World::new(1, sim::discovered("https://idp.test/t"));
        world.tick_all();
        world.answer(answer);
        assert!(world.calls.is_empty(), "{told}");
        assert!(
            matches!(world.events.last(), Some(Event::Failed { .. })),
            "{told}"
        );
    }
}

/// The search may take all of its calls, and nobody takes over meanwhile.
#[test]
fn a_lease_is_long_enough_for_every_place() {
    let mut world = World::new(2, sim::discovered("https://idp.test/t"));
    world.tick_all();
    for _ in 0..3 {
        world.advance(4 * SECOND);
        world.answer(status(404));
    }
    world.advance(4 * SECOND);
    world.answer(ok(
        r#"{"issuer":"https://idp.test/t","jwks_uri":"https://idp.test/t/keys"}"#,
    ));
    world.advance(4 * SECOND);
    world.answer(ok(SET_A));
    world.tick_urgently();
    assert_eq!((world.dispatched, world.kids(0)), (5, vec!["a".to_owned()]));
    assert_eq!(world.most_calls_under_one_lease, 1);
}

#[test]
fn the_default_port_of_the_issuer_may_be_written() {
    for uri in ["https://idp.test:443/t/keys", "https://IDP.test/t/keys"] {
        let mut world = World::new(1, sim::discovered("https://idp.test/t"));
        let metadata = format!(r#"{{"issuer":"https://idp.test/t","jwks_uri":"{uri}"}}"#);
        find_metadata(&mut world, 0, 404, &metadata);
        let call = &world.calls[0].call;
        assert_eq!(
            (call.authority.as_str(), call.path.as_str()),
            ("idp.test", "/t/keys")
        );
        assert_eq!(call.cluster, "idp");
        world.answer(ok(SET_A));
        assert_eq!(world.kids(0), ["a"]);
    }
}

/// Who was asked, through which cluster, and what came instead: nobody should have to guess.
#[test]
fn a_failure_names_whom_it_asked_and_what_came() {
    let redirect = Reply::Response {
        status: 302,
        max_age: None,
        retry_after: None,
        location: Some(b"https://login.test/?\r\n".to_vec()),
        content_type: None,
        body: Vec::new(),
    };
    let page = Reply::Response {
        status: 200,
        max_age: None,
        retry_after: None,
        location: None,
        content_type: Some(b"text/html".to_vec()),
        body: b"<!doctype html>".to_vec(),
    };
    let unusable = ok(r#"{"keys":[{"kty":"RSA","use":"enc"},{"kty":"oct","k":"AA"}]}"#);
    for (answer, expected) in [
        (status(404), "status 404"),
        (redirect, r#"a redirect to "https://login.test/?\x0d\x0a""#),
        (
            page,
            r#"it is HTML or XML; content-type "text/html"; it begins "<!doctype html>""#,
        ),
        (
            unusable,
            "key 0: use is neither sig nor jwt-svid; key 1: kty oct is for local_jwks",
        ),
    ] {
        let mut world = World::new(1, remote());
        world.tick_all();
        world.answer(answer);
        let Some(Event::Failed { error, asked, .. }) = world.events.pop() else {
            panic!("{expected}");
        };
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(
            asked,
            r#""https://tenant.example/.well-known/jwks.json" by cluster idp"#
        );
    }
}

/// A page with another time in it each time is no news.
#[test]
fn what_came_from_outside_makes_no_news() {
    let mut world = World::new(1, remote());
    let mut news = Vec::new();
    for body in ["<p>1", "<p>2", "<p>3", "{}", "{}"] {
        world.answer_when_asked(ok(body));
        news.extend(world.events.drain(..).filter_map(|event| match event {
            Event::Failed { news, .. } => Some(news),
            _ => None,
        }));
    }
    assert_eq!(news, [true, false, false, true, false]);
}

#[test]
fn sources_whose_parts_run_together_are_apart() {
    let metadata = r#"{"issuer":"https://idp.test/t","jwks_uri":"https://idp.test/t/keys"}"#;
    let at = |of: &str, of_keys: Option<&str>| {
        let mut remote = sim::discovered("https://idp.test/t");
        if let bearer_gate::config::Endpoint::Discovery {
            cluster,
            jwks_cluster,
            ..
        } = &mut remote.endpoint
        {
            of.clone_into(cluster);
            *jwks_cluster = of_keys.map(str::to_owned);
        }
        remote
    };
    for (one, two) in [
        (("idp", Some("x y")), ("idp x", Some("y"))),
        (("idp", None), ("idp", Some("-"))),
        (("idp", None), ("idp -", None)),
    ] {
        let store = sim::Store::default();
        let mut first = World::on(store.clone(), 1, at(one.0, one.1), 1);
        let mut second = World::on(store, 1, at(two.0, two.1), 2);
        find_metadata(&mut first, 0, 404, metadata);
        first.answer(ok(SET_A));
        assert_eq!(first.kids(0), ["a"]);
        second.tick_all();
        assert!(
            matches!(second.keys(0), Keys::Pending),
            "another's keys: {two:?}"
        );
    }
}
