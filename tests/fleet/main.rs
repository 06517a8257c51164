//! A fleet of Envoys that share one identity provider, in virtual time: real gates, and a provider
//! that struggles in one of several ways.
//!
//! `make test` checks the bounds for 200 Envoys of two workers. `make fleet` prints the figures of
//! 1,000 Envoys of four.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a test fails by panicking"
)]

mod dice;
mod fleet;
mod process;
mod provider;
mod real;
mod relay;
mod report;
#[path = "../sim/mod.rs"]
mod sim;

use std::thread;

use fleet::{Plan, Start, run};
use provider::{Model, Told};

fn plan(name: &'static str, model: Model) -> Plan {
    Plan {
        name,
        processes: 1000,
        workers: 4,
        model,
        start: Start::AllAtOnce,
        seconds: 180,
        good_per_ten_seconds: 10,
        strangers_per_ten_seconds: 0,
        rotates_at: None,
        relay: None,
        skew: 0,
        seed: 1,
    }
}

/// Milliseconds from the start.
fn down(from: u64, until: u64) -> Model {
    Model::Down { from, until }
}

const QUIET: Told = Told::Nothing;
const SAID: Told = Told::Seconds(2);

fn plans() -> Vec<Plan> {
    let bucket = |per_second, told| Model::Bucket { per_second, told };
    let window = |per_ten_seconds, told| Model::Window {
        per_ten_seconds,
        told,
    };
    let longer = |seconds, plan: Plan| Plan { seconds, ..plan };
    vec![
        longer(20, plan("well, all at once", Model::Well)),
        longer(
            1500,
            Plan {
                good_per_ten_seconds: 0,
                ..plan("well, 25 minutes, no requests", Model::Well)
            },
        ),
        plan("serves 50/s, 429", bucket(50, QUIET)),
        plan("serves 50/s, 429 with Retry-After: 2", bucket(50, SAID)),
        longer(400, plan("serves 10/s, 429", bucket(10, QUIET))),
        longer(
            400,
            plan("serves 10/s, 429 with Retry-After: 2", bucket(10, SAID)),
        ),
        longer(
            400,
            plan(
                "serves 10/s, 429 with Retry-After: 30",
                bucket(10, Told::Seconds(30)),
            ),
        ),
        longer(
            400,
            plan(
                "serves 500 in 10 s and counts refusals, 429",
                window(500, QUIET),
            ),
        ),
        longer(
            600,
            plan(
                "serves 200 in 10 s and counts refusals, 429",
                window(200, QUIET),
            ),
        ),
        longer(
            300,
            plan("collapses above 100/s", Model::Collapse { per_second: 100 }),
        ),
        plan("down for 5 s", down(0, 5_000)),
        plan("down for 60 s", down(0, 60_000)),
        longer(800, plan("down for 10 minutes", down(0, 600_000))),
        Plan {
            workers: 1,
            good_per_ten_seconds: 1,
            ..longer(
                8_400,
                plan(
                    "well, then down for 2 hours, one worker",
                    down(900_000, 8_100_000),
                ),
            )
        },
        Plan {
            start: Start::Rolling(60_000),
            ..plan("rolling start in 60 s, serves 10/s, 429", bucket(10, QUIET))
        },
        Plan {
            start: Start::CrashLoop {
                after: 10_000,
                times: 5,
            },
            ..longer(
                400,
                plan("crash loop each 10 s, serves 50/s, 429", bucket(50, QUIET)),
            )
        },
        Plan {
            rotates_at: Some(60_000),
            strangers_per_ten_seconds: 20,
            ..plan("rotation in a storm of unknown kids, well", Model::Well)
        },
        Plan {
            rotates_at: Some(60_000),
            strangers_per_ten_seconds: 20,
            ..plan("the same, serves 50/s, 429", bucket(50, QUIET))
        },
        Plan {
            skew: 59,
            ..longer(60, plan("clocks are up to 59 s off", Model::Well))
        },
        Plan {
            relay: Some(300),
            ..longer(
                1500,
                plan(
                    "by a relay, 25 minutes, serves 10/s, 429",
                    bucket(10, QUIET),
                ),
            )
        },
        Plan {
            relay: Some(300),
            ..plan("by a relay, down for 60 s", down(0, 60_000))
        },
        // The Envoys' sets end before the relay's, which is the one of before.
        Plan {
            relay: Some(300),
            rotates_at: Some(20_000),
            strangers_per_ten_seconds: 20,
            ..longer(
                400,
                plan(
                    "by a relay, rotation in a storm of unknown kids, serves 10/s, 429",
                    bucket(10, QUIET),
                ),
            )
        },
        Plan {
            relay: Some(300),
            start: Start::CrashLoop {
                after: 10_000,
                times: 5,
            },
            ..plan(
                "by a relay, crash loop each 10 s, serves 50/s, 429",
                bucket(50, QUIET),
            )
        },
    ]
}

/// The bounds for a fleet.
struct Bound {
    plan: Plan,
    /// Calls a second from the 20th second on, on average.
    sustained: f64,
    /// Calls for one that brings keys.
    amplification: f64,
    /// When the last process has keys, in milliseconds.
    last: u64,
}

fn held_to(plan: Plan, sustained: f64, amplification: f64, last: u64) -> Bound {
    Bound {
        plan: Plan {
            processes: 200,
            workers: 2,
            ..plan
        },
        sustained,
        amplification,
        last,
    }
}

#[test]
fn two_hundred_envoys_of_two_workers_are_gentle() {
    let bucket = |per_second, told| Model::Bucket { per_second, told };
    let long = |seconds, plan: Plan| Plan { seconds, ..plan };
    let asking = |plan: Plan| Plan {
        good_per_ten_seconds: 30,
        ..plan
    };
    let storm = Plan {
        rotates_at: Some(40_000),
        strangers_per_ten_seconds: 10,
        ..long(80, plan("rotation in a storm", Model::Well))
    };
    let bounds = [
        held_to(long(5, plan("well", Model::Well)), 0.0, 1.0, 1_200),
        // As many Envoys for what is served as 1,000 for 10/s.
        held_to(
            long(200, plan("serves 2/s, 429", bucket(2, QUIET))),
            2.0 * 2.0,
            6.0,
            200_000,
        ),
        held_to(
            long(100, plan("serves 10/s, 429", bucket(10, SAID))),
            2.0 * 10.0,
            5.0,
            100_000,
        ),
        held_to(
            long(
                150,
                plan(
                    "counts refusals",
                    Model::Window {
                        per_ten_seconds: 40,
                        told: QUIET,
                    },
                ),
            ),
            2.0 * 4.0,
            6.0,
            150_000,
        ),
        held_to(
            long(100, plan("collapses", Model::Collapse { per_second: 20 })),
            2.0 * 20.0,
            8.0,
            100_000,
        ),
        held_to(
            asking(long(15, plan("down for 5 s", down(0, 5_000)))),
            0.0,
            15.0,
            7_000,
        ),
        held_to(
            long(95, plan("down for 60 s", down(0, 60_000))),
            200.0 / 15.0,
            25.0,
            90_000,
        ),
        held_to(storm, 2.0 * 200.0 / 30.0, 1.0, 1_200),
        held_to(
            Plan {
                skew: 59,
                ..long(15, plan("clocks are up to 59 s off", Model::Well))
            },
            0.0,
            1.0,
            1_200,
        ),
        // One call in five seconds at most, whoever comes.
        held_to(
            Plan {
                relay: Some(300),
                rotates_at: Some(20_000),
                strangers_per_ten_seconds: 10,
                ..long(
                    330,
                    plan("by a relay, rotation in a storm", bucket(2, QUIET)),
                )
            },
            0.2,
            1.0,
            1_200,
        ),
        // All of them at once, where the provider serves two of them in a second.
        held_to(
            Plan {
                relay: Some(300),
                ..long(60, plan("by a relay, serves 2/s, 429", bucket(2, QUIET)))
            },
            0.0,
            1.0,
            1_200,
        ),
    ];
    let outcomes = thread::scope(|scope| {
        let runs = bounds
            .each_ref()
            .map(|bound| scope.spawn(|| run(&bound.plan)));
        runs.map(|run| run.join().expect("an outcome"))
    });
    for (bound, outcome) in bounds.into_iter().zip(outcomes) {
        let Bound {
            plan,
            sustained,
            amplification,
            last,
        } = bound;
        println!("{}", outcome.line(&plan));
        assert_eq!(outcome.wrong(), (0, 0), "{}", plan.name);
        assert_eq!(outcome.without_keys, 0, "{}", plan.name);
        assert!(
            outcome.last_keys_at <= last,
            "{}: {}",
            plan.name,
            outcome.last_keys_at
        );
        assert!(
            outcome.amplification(0, plan.seconds) <= amplification,
            "{}",
            plan.name
        );
        if plan.seconds > 20 {
            let rate = outcome.rate(20, report::settled_at(&outcome, &plan));
            assert!(rate <= sustained, "{}: {rate}", plan.name);
        }
        if let Some(rotates_at) = plan.rotates_at {
            let served = rotates_at + 30_500;
            assert!(
                outcome.last_unavailable_at <= served,
                "{}",
                outcome.last_unavailable_at
            );
        }
    }
}

/// Nobody who starts remembers a wait, so each start is a call: where the provider says when to come again, no more than
/// that, and behind a relay none.
#[test]
fn a_crash_loop_is_a_call_for_each_start_at_most() {
    const PER_SECOND: u64 = 10;
    let looping = |relay, told| Plan {
        processes: 200,
        workers: 2,
        seconds: 200,
        start: Start::CrashLoop {
            after: 10_000,
            times: 5,
        },
        relay,
        ..plan(
            "crash loop each 10 s, serves 10/s, 429",
            Model::Bucket {
                per_second: PER_SECOND,
                told,
            },
        )
    };
    let told = run(&looping(None, Told::Seconds(10)));
    let relayed = run(&looping(Some(300), QUIET));
    for outcome in [&told, &relayed] {
        assert_eq!(outcome.wrong(), (0, 0));
        assert_eq!(outcome.without_keys, 0);
    }
    let rate = told.rate(0, 60);
    assert!(rate <= 2.0 * PER_SECOND as f64, "{rate}");
    assert_eq!(relayed.calls, 1);
}

#[test]
#[ignore = "long: make fleet"]
fn a_thousand_envoys_of_four_workers() {
    let only = std::env::var("BEARER_GATE_FLEET").unwrap_or_default();
    let plans = plans();
    let mut runs = Vec::new();
    for plan in plans.iter().filter(|plan| plan.name.contains(&only)) {
        let outcome = run(plan);
        println!("{}", outcome.line(plan));
        runs.push((plan, outcome));
    }
    if only.is_empty() {
        report::write(&runs);
    }
}
