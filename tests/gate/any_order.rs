//! What always holds: requests, answers and strangers in any order.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use bearer_gate::desk::Ticket;
use bearer_gate::gate::{Arrival, Verdicts};
use bearer_gate::host::{CallId, Host, Reply};
use proptest::prelude::*;

use crate::sim::host::{FakeHost, process};
use crate::sim::{self, SET_A, SET_B, ok, status};
use crate::{code, codes, gate, token};

#[derive(Debug, Clone)]
enum Action {
    Arrive(usize, &'static str),
    Leave(usize),
    Tick(usize),
    Pass(u64),
    Answer(usize),
    LoseWrites,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => (0..3_usize, prop_oneof![Just("a"), Just("b"), Just("c")]).prop_map(|(gate, kid)| Action::Arrive(gate, kid)),
        2 => (0..30_usize).prop_map(Action::Leave),
        8 => (0..3_usize).prop_map(Action::Tick),
        4 => (0..3000_u64).prop_map(Action::Pass),
        4 => (0..5_usize).prop_map(Action::Answer),
        1 => Just(Action::LoseWrites),
    ]
}

proptest! {
    #![proptest_config(sim::properties(300))]

    /// Every request that waits is decided once, or has left.
    #[test]
    fn every_waiting_request_is_decided(actions in proptest::collection::vec(action(), 1..120)) {
        let process = process();
        let gates: Vec<_> = (0..3).map(|_| gate(&process)).collect();
        let mut waiting: Vec<(usize, u32, Ticket)> = Vec::new();
        let mut context = 0;
        let mut done = BTreeSet::new();
        let finish = |verdicts: Verdicts<'_>, waiting: &mut Vec<(usize, u32, Ticket)>, done: &mut BTreeSet<u32>| {
            for (context, _) in verdicts {
                let at = waiting.iter().position(|(_, of, _)| *of == context);
                waiting.remove(at.expect("a verdict on a request that does not wait"));
                assert!(done.insert(context), "decided twice");
            }
        };
        for action in actions {
            match action {
                Action::Arrive(gate, kid) => {
                    context += 1;
                    if let Arrival::Parked(ticket) = gates[gate].request(context, token(kid)) {
                        waiting.push((gate, context, ticket));
                    }
                }
                Action::Leave(which) if which < waiting.len() => {
                    let (gate, _, ticket) = waiting.remove(which);
                    gates[gate].leave(ticket);
                }
                Action::Leave(_) => {}
                Action::Tick(gate) => finish(gates[gate].tick(), &mut waiting, &mut done),
                Action::Pass(millis) => process.pass(millis),
                Action::LoseWrites => process.store.lose_writes(1),
                Action::Answer(which) => {
                    let call = process.calls.borrow_mut().pop();
                    let Some((call, _)) = call else { continue };
                    for gate in &gates {
                        let answer = match which {
                            0 => ok(SET_A),
                            1 => ok(SET_B),
                            2 => status(500),
                            3 => Reply::None,
                            _ => ok("{}"),
                        };
                        finish(gate.reply(call, answer), &mut waiting, &mut done);
                    }
                }
            }
        }
        // The next tick brings the gauge up to date.
        process.store.lose_writes(0);
        for gate in &gates {
            finish(gate.tick(), &mut waiting, &mut done);
        }
        prop_assert_eq!(process.count_of("bearer_gate.waiting"), i64::try_from(waiting.len()).unwrap());
        // The provider never answers again, so time ends the other waits.
        for _ in 0..1400 {
            process.pass(10);
            for gate in &gates {
                finish(gate.tick(), &mut waiting, &mut done);
            }
        }
        prop_assert!(waiting.is_empty(), "{} wait on", waiting.len());
        prop_assert_eq!(process.count_of("bearer_gate.waiting"), 0);
    }
}

proptest! {
    #![proptest_config(sim::properties(24))]

    /// Whatever strangers send, good tokens by a new key are admitted after a cool-down and a fetch
    /// at most, and none of them is rejected as bad before.
    #[test]
    fn no_stranger_stops_a_rotation(
        seed: u64,
        rotates_at in 0..40_000_u64,
        // In how many of a thousand steps of 10 ms a stranger, and a good token, comes to each
        // worker.
        strangers in prop_oneof![Just(0), Just(1), 1..30_u64, Just(500)],
        good in 1..100_u64,
    ) {
        let process = process();
        process.random.set(seed);
        let gates: Vec<_> = (0..3).map(|_| gate(&process)).collect();
        let dice = FakeHost(Rc::clone(&process));
        let start = process.now.get();
        let mut answers: Vec<(u64, CallId, &str)> = Vec::new();
        // Good tokens by the new key, and when they came.
        let mut waiting = BTreeMap::new();
        let mut context = 0;
        let mut calls = 0;
        let check = |came: u64, code: u32| {
            prop_assert!(code == 200 || code == 503, "a good token: {}", code);
            // A cool-down, a fetch that was under way, one that was not, and ticks.
            let served = start + rotates_at + 30_000 + 2 * 70 + 100;
            prop_assert!(code == 200 || came < served, "{} ms after the rotation", came - start - rotates_at);
            Ok(())
        };
        while process.now.get() - start < 80_000 {
            process.pass(10);
            let now = process.now.get();
            let rotated = now - start >= rotates_at;
            for gate in &gates {
                for (rate, kid) in [(strangers, "?"), (good, "b")] {
                    if (dice.random() >> 20) % 1000 >= rate || (kid == "b" && !rotated) {
                        continue;
                    }
                    context += 1;
                    let kid = if kid == "b" { "b".to_owned() } else { format!("x{context}") };
                    match gate.request(context, token(&kid)) {
                        Arrival::Decided(verdict) if kid == "b" => check(now, code(&verdict))?,
                        Arrival::Decided(verdict) => prop_assert_ne!(code(&verdict), 200),
                        Arrival::Parked(_) if kid == "b" => {
                            waiting.insert(context, now);
                        }
                        Arrival::Parked(_) | Arrival::Reading(..) => {}
                    }
                }
                let mut verdicts = codes(gate.tick());
                for (_, call, set) in answers.iter().filter(|(at, ..)| *at <= now) {
                    verdicts.extend(codes(gate.reply(*call, ok(set))));
                }
                for (context, code) in verdicts {
                    match waiting.remove(&context) {
                        Some(came) => check(came, code)?,
                        None => prop_assert_ne!(code, 200, "a stranger"),
                    }
                }
            }
            answers.retain(|(at, ..)| *at > now);
            for (call, _) in process.calls.take() {
                calls += 1;
                // The answer has the keys that are published when the call comes.
                let set = if rotated { SET_B } else { SET_A };
                answers.push((now + 30 + (dice.random() >> 20) % 40, call, set));
            }
        }
        prop_assert!(calls <= 1 + 2 + 80 / 30, "{} calls", calls);
    }
}
