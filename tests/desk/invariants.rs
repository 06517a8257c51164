//! Whatever happens in whatever order: every request ends, and no question is asked twice.

use std::collections::{BTreeMap, BTreeSet};

use bearer_gate::desk::Ticket;
use bearer_gate::desk::question::{Question, Repeat};
use bearer_gate::host::{Call, CallId, Reply};
use proptest::prelude::*;

use crate::sim::host::process;
use crate::sim::{ok, properties, status};
use crate::{MINUTE, Outcome, Worker, question_at};

#[derive(Debug, Clone)]
enum Action {
    Arrive { about: usize, endpoint: usize },
    Leave(usize),
    Tick,
    Pass(u64),
    Reply(usize, usize),
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        8 => (0..8_usize, 0..2_usize).prop_map(|(about, endpoint)| Action::Arrive { about, endpoint }),
        2 => (0..30_usize).prop_map(Action::Leave),
        8 => Just(Action::Tick),
        4 => (0..3000_u64).prop_map(Action::Pass),
        1 => (0..120_000_u64).prop_map(Action::Pass),
        5 => (0..8_usize, 0..7_usize).prop_map(|(call, outcome)| Action::Reply(call, outcome)),
    ]
}

/// The outcome of a call, and whether the endpoint may have done what it was asked for without an
/// answer.
fn outcome(number: usize) -> (Reply, bool) {
    match number {
        0 | 1 => (ok("answer"), false),
        2 => (status(503), true),
        3 => (status(429), false),
        4 => (Reply::None, true),
        5 => (Reply::TooLarge(5000), true),
        _ => (status(302), true),
    }
}

proptest! {
    #![proptest_config(properties(400))]

    /// Half of the questions must not be repeated.
    #[test]
    fn every_request_ends_and_no_question_is_asked_twice(
        actions in proptest::collection::vec(action(), 1..150),
    ) {
        let process = process();
        let mut worker = Worker::new(&process);
        let mut waiting: BTreeMap<u32, Ticket> = BTreeMap::new();
        let mut calls: Vec<(CallId, Call, u64)> = Vec::new();
        // When a question that must not be repeated had an unclear outcome.
        let mut unclear: BTreeMap<String, u64> = BTreeMap::new();
        let mut context = 0;
        let asks = |about: usize, endpoint: usize| Question {
            repeat: if about.is_multiple_of(2) { Repeat::May } else { Repeat::MustNot },
            ..question_at(["one", "two"][endpoint], &format!("{about}-{endpoint}"))
        };
        let end = |outcomes: Vec<(u32, Outcome)>, waiting: &mut BTreeMap<u32, Ticket>| {
            for (context, _) in outcomes {
                assert!(waiting.remove(&context).is_some(), "decided twice, or never waited");
            }
        };
        let mut then = vec![];
        // In the end there are no more answers, and time ends the other waits.
        for _ in 0..60 {
            then.extend([Action::Pass(1000), Action::Tick]);
        }
        for action in actions.into_iter().chain(then) {
            match action {
                Action::Arrive { about, endpoint } => {
                    context += 1;
                    if let Ok(ticket) = worker.request(context, &asks(about, endpoint)) {
                        waiting.insert(context, ticket);
                    }
                    prop_assert!(process.calls.borrow().is_empty(), "from a request's own context");
                }
                Action::Leave(which) => {
                    let gone = waiting.keys().nth(which).copied();
                    if let Some(ticket) = gone.and_then(|context| waiting.remove(&context)) {
                        worker.desk.leave(ticket);
                    }
                }
                Action::Tick => end(worker.tick(), &mut waiting),
                Action::Pass(millis) => process.pass(millis),
                Action::Reply(which, number) if which < calls.len() => {
                    let (call, sent, _) = calls.remove(which);
                    let (reply, is_unclear) = outcome(number);
                    if worker.desk.most(call).is_some() && is_unclear {
                        unclear.insert(sent.path, process.now.get());
                    }
                    end(worker.reply(call, reply), &mut waiting);
                }
                Action::Reply(..) => {}
            }
            let now = process.now.get();
            // A call that the worker does not wait for was given up.
            calls.retain(|(id, call, _)| {
                let is_known = worker.desk.most(*id).is_some();
                if !is_known {
                    unclear.insert(call.path.clone(), now);
                }
                is_known
            });
            for (id, call) in process.calls.take() {
                let must_not = call.path.chars().nth(1).unwrap().to_digit(10).unwrap() % 2 == 1;
                if let Some(at) = unclear.get(&call.path).filter(|_| must_not) {
                    prop_assert!(now - at >= 10 * MINUTE, "asked again after {} ms", now - at);
                }
                calls.push((id, call, now));
            }
            let asked: BTreeSet<&str> = calls.iter().map(|(_, call, _)| call.path.as_str()).collect();
            prop_assert_eq!(asked.len(), calls.len(), "one question, two calls");
        }
        prop_assert!(waiting.is_empty(), "{} wait on", waiting.len());
        prop_assert_eq!(process.count_of("bearer_gate.waiting"), 0);
        process.pass(11 * MINUTE);
        worker.tick();
        worker.tick();
        prop_assert_eq!((worker.desk.book().len(), worker.desk.book().octets()), (0, 0));
    }
}
