//! What always holds: ticks, answers, deaths and lost writes in any order.

use std::time::Duration;

use bearer_gate::document::event::Event;
use bearer_gate::host::Reply;
use bearer_gate::jwks::keys::Keys;
use bearer_gate::time::Millis;
use proptest::prelude::*;

use crate::SECOND;
use crate::sim::{self, SET_A, SET_B, World, ok, remote, status};

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
        remote.times.cache_duration = Duration::from_secs(20);
        remote.times.max_stale = Duration::from_secs(15);
        let lifetime = remote.times.cache_duration + remote.times.max_stale;
        let mut world = World::seeded(4, remote, seed);
        world.clocks_apart = seed % 20;
        // When the last good answer was taken.
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
                    // Every filter with the same vm_id may write. Leases are lost then.
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
        // And the process always recovers.
        world.store.lose_writes(0);
        world.pass(1);
        world.answer_when_asked(ok(SET_B));
        world.advance(2 * SECOND);
        for worker in 0..4 {
            prop_assert_eq!(world.kids(worker), ["b"]);
        }
    }
}
