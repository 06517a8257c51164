//! Policies of Istio and of Envoy Gateway, drawn from a seed (`BEARER_GATE_SEED`, 1 by default), and what
//! `migrate` makes of them.
//!
//! What the old policies decide is read from their documentation, by the evaluators here, which share
//! nothing with the tool. What bearer-gate decides is the library's word. Where `migrate` exits with 0
//! both decide alike. Where it leaves something open, what it prints is refused; and whoever takes out the
//! line that says so lets nobody through whom the old policies stopped.

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
mod istio_evaluator;
mod request;

use std::process::Command;

use serde_json::Value;

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
