//! What `make fleet` leaves in `target/fleet`: a table for docs/scale.md, and the figures of which
//! `make bench-docs` draws its chart.

use std::fmt::Write;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::fleet::{Outcome, Plan};

const HEAD: [&str; 8] = [
    "what happens",
    "calls",
    "peak, 1/s",
    "after 20 s, 1/s",
    "calls for one that brings keys",
    "last Envoy has keys after, s",
    "good requests that got 503",
    "wrong",
];

/// The last second for which `Outcome::rate` tells how a fleet goes on.
pub(crate) fn settled_at(outcome: &Outcome, plan: &Plan) -> u64 {
    let last = outcome.last_keys_at.div_ceil(1000);
    last.max(60).min(plan.seconds)
}

fn cells(plan: &Plan, outcome: &Outcome) -> [String; 8] {
    let (denied, passed) = outcome.wrong();
    let last = match outcome.without_keys {
        0 => format!("{:.1}", outcome.last_keys_at as f64 / 1000.0),
        without => format!("{without} have none"),
    };
    [
        plan.name.to_owned(),
        outcome.calls.to_string(),
        outcome.peak().to_string(),
        format!("{:.1}", outcome.rate(20, settled_at(outcome, plan))),
        format!("{:.1}", outcome.amplification(0, plan.seconds)),
        last,
        outcome.good.get(&503).copied().unwrap_or(0).to_string(),
        (denied + passed).to_string(),
    ]
}

fn table(runs: &[(&Plan, Outcome)]) -> String {
    let row = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut text = row(&HEAD.map(str::to_owned));
    text.push_str(&row(&HEAD.map(|name| match name {
        "what happens" => "---".to_owned(),
        _ => "--:".to_owned(),
    })));
    for (plan, outcome) in runs {
        text.push_str(&row(&cells(plan, outcome)));
    }
    text
}

fn figures(plan: &Plan, outcome: &Outcome) -> Value {
    let by_second: Vec<u64> = (0..plan.seconds)
        .map(|second| outcome.by_second.get(&second).copied().unwrap_or(0))
        .collect();
    json!({"name": plan.name, "calls_by_second": by_second})
}

/// Writes both files. Panics where they cannot be written.
pub(crate) fn write(runs: &[(&Plan, Outcome)]) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/fleet");
    std::fs::create_dir_all(&folder).unwrap();
    let mut text = String::new();
    if let Some((plan, _)) = runs.first() {
        let seed = plan.seed;
        writeln!(text, "Seed {seed}; `make fleet`.\n").unwrap();
    }
    text.push_str(&table(runs));
    std::fs::write(folder.join("fleet.md"), text).unwrap();
    let figures: Vec<Value> = runs
        .iter()
        .map(|(plan, outcome)| figures(plan, outcome))
        .collect();
    std::fs::write(folder.join("fleet.json"), json!(figures).to_string()).unwrap();
}
