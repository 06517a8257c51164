//! Whatever happens in whatever order: no session that was ended is found alive, and none is over without a
//! cause.

use bearer_gate::ended::shard::MOST;
use bearer_gate::ended::{Ending, Known, Mark, SHARDS, TOKENS};
use proptest::prelude::*;

use crate::sim::properties;
use crate::{ISSUER, WORKERS, World, of_person, session};

/// What happens next, to one of some sessions, at one of the workers.
#[derive(Clone, Debug)]
enum Event {
    Begin { sub: usize, sid: Option<usize> },
    SignOut { session: usize, worker: usize },
    EndSid { sid: usize, worker: usize },
    EndSubject { sub: usize, worker: usize },
    Claim { sid: usize, worker: usize },
    Look { session: usize, worker: usize },
    Pass(u64),
    LoseWrites(u32),
    Plant { name: usize, value: Option<Vec<u8>> },
}

fn event() -> impl Strategy<Value = Event> {
    let worker = 0..WORKERS;
    let garbage = prop::option::of(prop::collection::vec(any::<u8>(), 1..40));
    prop_oneof![
        4 => (0..3_usize, prop::option::of(0..4_usize))
            .prop_map(|(sub, sid)| Event::Begin { sub, sid }),
        3 => (0..20_usize, worker.clone())
            .prop_map(|(session, worker)| Event::SignOut { session, worker }),
        1 => (0..4_usize, worker.clone()).prop_map(|(sid, worker)| Event::EndSid { sid, worker }),
        1 => (0..3_usize, worker.clone())
            .prop_map(|(sub, worker)| Event::EndSubject { sub, worker }),
        1 => (0..4_usize, worker.clone()).prop_map(|(sid, worker)| Event::Claim { sid, worker }),
        3 => (0..20_usize, worker).prop_map(|(session, worker)| Event::Look { session, worker }),
        3 => (0..600_u64).prop_map(Event::Pass),
        1 => (0..200_u32).prop_map(Event::LoseWrites),
        1 => (0..8_usize, garbage).prop_map(|(name, value)| Event::Plant { name, value }),
    ]
}

/// What a test knows of a session.
struct Truth {
    known: Known,
    begun: u64,
    sub: usize,
    sid: Option<usize>,
    ended: bool,
}

proptest! {
    #![proptest_config(properties(400))]

    #[test]
    fn no_session_that_was_ended_is_found_alive(events in prop::collection::vec(event(), 1..60)) {
        let mut world = World::new();
        let mut sessions: Vec<Truth> = Vec::new();
        // Until when anything may be over: something was lost.
        let mut is_lost = false;
        // Whether a part of something may have been done that failed.
        let mut in_part = false;
        let mark = |sid: usize| Mark::of_sid(ISSUER, &format!("s-{sid}"));
        for event in events {
            match event {
                Event::Begin { sub, sid } => {
                    let number = sessions.len() as u64;
                    let text = sid.map(|sid| format!("s-{sid}"));
                    let known = session(number, world.now, &format!("u-{sub}"), text.as_deref());
                    // What is over as it begins is not begun.
                    if !(0..WORKERS).any(|worker| world.is_over_at(worker, &known)) {
                        let begun = world.now;
                        sessions.push(Truth { known, begun, sub, sid, ended: false });
                    }
                }
                Event::SignOut { session, worker } => {
                    if let Some(truth) = sessions.get_mut(session) {
                        let outcome = world.end(worker, &Ending::of(&truth.known));
                        truth.ended |= outcome.is_ok();
                        in_part |= outcome.is_err();
                    }
                }
                Event::EndSid { sid, worker } | Event::Claim { sid, worker } => {
                    let ending = match event {
                        Event::Claim { .. } => Ending::claimed(mark(sid), world.now, 0),
                        _ => Ending::proven(vec![(mark(sid), world.now)]),
                    };
                    let outcome = world.end(worker, &ending);
                    in_part |= outcome.is_err();
                    if outcome.is_ok() {
                        for truth in &mut sessions {
                            truth.ended |= truth.sid == Some(sid);
                        }
                    }
                }
                Event::EndSubject { sub, worker } => {
                    let ending = of_person(ISSUER, &format!("u-{sub}"), [world.now; 2]);
                    let outcome = world.end(worker, &ending);
                    in_part |= outcome.is_err();
                    if outcome.is_ok() {
                        for truth in &mut sessions {
                            truth.ended |= truth.sub == sub;
                        }
                    }
                }
                Event::Look { session, worker } => {
                    if let Some(truth) = sessions.get(session) {
                        let (known, ended) = (truth.known, truth.ended);
                        let over = world.is_over_at(worker, &known);
                        prop_assert!(over || !ended);
                    }
                }
                Event::Pass(seconds) => world.now += seconds,
                Event::LoseWrites(writes) => world.store.lose_writes(writes),
                Event::Plant { name, value } => {
                    // Somebody who takes all away before anybody has looked leaves no trace.
                    let names = world.store.names();
                    if let Some(name) = names.get(name) {
                        for worker in 0..WORKERS {
                            let nobody = session(u64::MAX, world.now + 9, "nobody", None);
                            world.is_over_at(worker, &nobody);
                        }
                        world.store.plant(name, value.as_deref());
                        is_lost = true;
                    }
                }
            }
            for truth in &sessions {
                for worker in 0..WORKERS {
                    let over = world.is_over_at(worker, &truth.known);
                    prop_assert!(over || !truth.ended, "of {}", truth.begun);
                    prop_assert!(truth.ended || !over || is_lost || in_part, "of {}", truth.begun);
                }
            }
        }
        prop_assert!(world.store.octets() < (SHARDS + TOKENS) * 24 * (MOST + 2));
    }
}
