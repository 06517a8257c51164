//! Policies of Istio and of Envoy Gateway, some of which sign people in, drawn from a seed (`BEARER_GATE_SEED`, 1 by default), and what
//! `migrate` makes of them.
//!
//! What the old policies decide is read from their documentation, by the evaluators here, which share
//! nothing with the tool. What bearer-gate decides is the library's word. Where `migrate` exits with 0
//! both decide alike. Where it leaves something open, what it prints is refused; and, but for people who
//! sign in, whoever takes out the line that says so lets nobody through whom the old policies stopped.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod dice;
mod envoy_gateway;
mod gate;
mod istio;
mod istio_drawn;
mod istio_evaluator;
mod oidc;
mod request;

use std::fmt::Debug;
use std::process::Command;

use bearer_gate::config::Config;
use serde_json::Value;

use dice::Dice;

/// What `migrate` prints of resources: its exit code, and the configurations.
fn migrate(resources: &[Value]) -> (i32, Vec<Value>) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("policies.yaml");
    let texts: Vec<String> = resources.iter().map(Value::to_string).collect();
    std::fs::write(&path, texts.join("\n---\n")).expect("a file");
    let output = Command::new(env!("CARGO_BIN_EXE_bearer-gate"))
        .args(["migrate", "--json"])
        .arg(&path)
        .output()
        .expect("the tool runs");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        let told = String::from_utf8_lossy(&output.stderr);
        panic!("{error}: {told}\n{}", texts.join("\n---\n"))
    });
    let code = output.status.code().expect("an exit code");
    (code, report.as_array().unwrap().clone())
}

/// Policies that were drawn.
struct Drawn {
    resources: Vec<Value>,
    /// Those parts that decide.
    deciding: Vec<Value>,
    /// How a failure shows them.
    shown: String,
}

/// Policies of one kind, and requests that they are for.
struct Kind<R> {
    policies: fn(&mut Dice) -> Drawn,
    request: fn(&mut Dice) -> R,
    /// What the old policies decide.
    admits: fn(&[Value], &R) -> bool,
    /// What bearer-gate decides: `ok`, or the reason of the rejection.
    decide: fn(&Config, &R) -> String,
    /// Whether bearer-gate may stop it on purpose, where the old policies do not.
    may_stop: fn(&R) -> bool,
    /// Whether what is open lets nothing more through even without the line that says so.
    is_strict: bool,
}

/// Compares what drawn policies decide with what `migrate` makes of them.
fn compare<R: Debug>(seed: u64, cases: usize, kind: &Kind<R>) -> Tally {
    let mut tally = Tally::default();
    let mut dice = Dice::seeded(seed);
    for _ in 0..cases {
        let drawn = (kind.policies)(&mut dice);
        let (code, reports) = migrate(&drawn.resources);
        let mut config = reports[0]["config"].clone();
        let rules = &reports[0]["config"]["rules"];
        let shown = || format!("seed {seed}\n{}\n{rules:#}", drawn.shown);
        if code == 0 {
            tally.closed += 1;
        } else {
            tally.open += 1;
            let is_refused = gate::config(&config).is_err();
            assert!(is_refused, "is open, and taken: {}", shown());
            if !kind.is_strict {
                continue;
            }
            config.as_object_mut().unwrap().remove("open");
        }
        let config = match gate::config(&config) {
            Ok(config) => config,
            // What is open may also be wrong.
            Err(_) if code != 0 => continue,
            Err(error) => panic!("{error}: {}", shown()),
        };
        for _ in 0..40 {
            let request = (kind.request)(&mut dice);
            let reason = (kind.decide)(&config, &request);
            let (ours, theirs) = (reason == "ok", (kind.admits)(&drawn.deciding, &request));
            assert!(!ours || theirs, "lets through {request:?}\n{}", shown());
            if code == 0 {
                let is_stopped = theirs && !ours && !(kind.may_stop)(&request);
                assert!(!is_stopped, "{reason}: stops {request:?}\n{}", shown());
                match ours {
                    true => tally.admitted += 1,
                    false => tally.rejected += 1,
                }
            }
        }
    }
    tally
}

impl Tally {
    /// A tool that leaves everything open lets nothing through either.
    fn check(&self) {
        println!("{self:?}");
        assert!(self.closed * 2 >= self.open, "{self:?}");
        assert!(self.admitted * 10 >= self.rejected, "{self:?}");
    }
}

fn seed() -> u64 {
    let given = std::env::var("BEARER_GATE_SEED").ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// What came of a run.
#[derive(Debug, Default)]
struct Tally {
    closed: usize,
    open: usize,
    admitted: usize,
    rejected: usize,
}
