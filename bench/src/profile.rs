//! Where a request's processor time goes, by samples of `perf`: the kernel, Envoy's own code, Wasm.
//!
//! Envoy's binary has no symbols. Its code is therefore told apart by its pages: those that a request
//! without a filter runs as well, and others. What the first of them take more than they do without
//! a filter is the time for which Envoy's own code waits for memory, since a filter was in its caches.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bearer_gate_testbed::holds_within;
use bearer_gate_testbed::process::Process;
use serde::Serialize;

use crate::case::{Kind, Modules};
use crate::cpu::Cores;
use crate::measure::{Plan, Stage};
use crate::report::{Machine, table};
use crate::tokens::Algorithm;

/// Samples a second: a prime, so that no timer keeps step with it.
const FREQUENCY: &str = "9973";
/// Bytes of the pages by which code is told apart.
const PAGE: u64 = 4096;
/// How long perf may take to attach, and to write what it has.
const PERF_LIMIT: Duration = Duration::from_secs(10);

/// Where code is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
enum Place {
    Kernel,
    /// The system's libraries.
    Library,
    Envoy,
    /// Compiled by V8.
    Wasm,
}

/// How many samples fell on which page.
#[derive(Debug, Default)]
struct Samples(BTreeMap<(Place, u64), u64>);

impl Samples {
    /// What `perf script -F ip,dso` prints: an address, and in parentheses the file that it is in.
    fn parse(text: &str, envoy: &Path) -> Self {
        let mut samples = BTreeMap::new();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let (Some(address), Some(file)) = (words.next(), words.next_back()) else {
                continue;
            };
            let Ok(address) = u64::from_str_radix(address, 16) else {
                continue;
            };
            let file = file.trim_matches(['(', ')']);
            let place = if file.starts_with("[kernel") || file.starts_with("[guest") {
                Place::Kernel
            } else if Path::new(file) == envoy {
                Place::Envoy
            } else if file.contains(".so") || file == "[vdso]" {
                Place::Library
            } else if file.ends_with(".ko") || address >> 63 == 1 {
                Place::Kernel
            } else {
                Place::Wasm
            };
            *samples.entry((place, address / PAGE)).or_default() += 1;
        }
        Self(samples)
    }

    fn all(&self) -> u64 {
        self.0.values().sum()
    }

    fn of(&self, place: Place) -> u64 {
        let there = self.0.iter().filter(|((it, _), _)| *it == place);
        there.map(|(_, count)| count).sum()
    }

    /// Those in pages of Envoy that have samples here too.
    fn shared_with(&self, other: &BTreeSet<u64>) -> u64 {
        let there = self.0.iter();
        let there =
            there.filter(|((place, page), _)| *place == Place::Envoy && other.contains(page));
        there.map(|(_, count)| count).sum()
    }

    fn pages(&self) -> BTreeSet<u64> {
        let there = self.0.keys().filter(|(place, _)| *place == Place::Envoy);
        there.map(|(_, page)| *page).collect()
    }
}

/// Microseconds of a request, by place.
#[derive(Debug, Serialize)]
pub(crate) struct Divided {
    kind: Kind,
    title: String,
    all: f64,
    kernel: f64,
    library: f64,
    /// In pages of Envoy that a request without a filter runs too.
    envoy: f64,
    /// In other pages of Envoy.
    envoy_besides: f64,
    wasm: f64,
}

/// What was found with so many connections.
#[derive(Debug, Serialize)]
pub(crate) struct Profile {
    connections: usize,
    cases: Vec<Divided>,
}

/// `target/bench/profile.json`.
#[derive(Debug, Serialize)]
pub(crate) struct Profiles {
    pub machine: Machine,
    pub plan: Plan,
    pub profiles: Vec<Profile>,
}

/// Has perf look at each case, with one connection and with 64.
///
/// # Errors
/// When perf is missing or may not look, Envoy does not start, or a request fails.
pub(crate) fn measure(
    modules: &Modules,
    plan: &Plan,
    cores: Cores,
    output: &Path,
) -> Result<Vec<Profile>> {
    let connections = [1, 64];
    let profiles = connections.map(|connections| {
        let plan = Plan {
            connections,
            ..plan.clone()
        };
        let cases = divide(modules, &plan, cores, output)?;
        Ok(Profile { connections, cases })
    });
    profiles.into_iter().collect()
}

fn divide(modules: &Modules, plan: &Plan, cores: Cores, output: &Path) -> Result<Vec<Divided>> {
    let stage = Stage::set_up(Algorithm::Rs256, modules, plan, false, cores)?;
    let process = stage.envoy.process_id();
    let envoy = fs::read_link(format!("/proc/{process}/exe"))?;
    let mut sampled = Vec::new();
    for running in &stage.running {
        eprintln!("{}", running.case.title);
        let file = output.join("perf.data");
        let perf = record(process, &file)?;
        let cost = stage.cost(running, plan)?;
        drop(perf);
        let samples = Samples::parse(&script(&file)?, &envoy);
        ensure!(samples.all() > 0, "perf has no sample of Envoy");
        sampled.push((running, cost, samples));
    }
    let without = sampled
        .iter()
        .find(|(running, ..)| running.case.kind == Kind::None);
    let shared = without.map(|(_, _, samples)| samples.pages());
    let shared = shared.context("no case is without a filter")?;
    let divided = sampled.iter().map(|(running, cost, samples)| {
        // Both are far below 2^52.
        let us = |count: u64| cost * count as f64 / samples.all() as f64;
        let known = samples.shared_with(&shared);
        Divided {
            kind: running.case.kind,
            title: running.case.title.clone(),
            all: *cost,
            kernel: us(samples.of(Place::Kernel)),
            library: us(samples.of(Place::Library)),
            envoy: us(known),
            envoy_besides: us(samples.of(Place::Envoy) - known),
            wasm: us(samples.of(Place::Wasm)),
        }
    });
    Ok(divided.collect())
}

/// Starts perf; it writes what it has when it is dropped.
fn record(process: u32, file: &Path) -> Result<Process> {
    let mut perf = Command::new("perf");
    perf.args(["record", "--event", "cpu-clock", "--freq", FREQUENCY])
        .args(["--pid", &process.to_string(), "--output"])
        .arg(file);
    let _ = fs::remove_file(file);
    let log = file.with_extension("log");
    let perf = Process::spawn(&mut perf, &log).context("Debian's package linux-perf has it")?;
    // It makes the file when it has attached.
    ensure!(
        holds_within(PERF_LIMIT, || file.exists()),
        "perf does not start: {}",
        fs::read_to_string(log)?
    );
    Ok(perf)
}

fn script(file: &Path) -> Result<String> {
    let mut perf = Command::new("perf");
    perf.args(["script", "--fields", "ip,dso", "--input"])
        .arg(file);
    let output = perf.output()?;
    let said = || String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "perf script: {}", said());
    Ok(String::from_utf8(output.stdout)?)
}

impl Profiles {
    /// A table for each number of connections.
    pub(crate) fn markdown(&self) -> String {
        let head = [
            "kernel",
            "libraries",
            "Envoy, as without a filter",
            "Envoy besides",
            "Wasm",
            "all",
        ];
        let mut text = self.machine.line();
        for Profile { connections, cases } in &self.profiles {
            let title = format!("Connections: {connections}; CPU us per request");
            let mut head = head.to_vec();
            head.insert(0, &title);
            let lines = cases.iter().map(|case| {
                let us = [
                    case.kernel,
                    case.library,
                    case.envoy,
                    case.envoy_besides,
                    case.wasm,
                    case.all,
                ];
                let mut cells = vec![case.title.clone()];
                cells.extend(us.map(|it| format!("{it:.1}")));
                cells
            });
            text.push('\n');
            text.push_str(&table(&head, lines));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_where_its_address_is() {
        let text = "
            ffffffff81001234 ([kernel.kallsyms])
            ffffffffc0001234 (/lib/modules/6.1/x.ko)
            55d000001fff (/opt/envoy)
            55d000001000 (/opt/envoy)
            55d000002000 (/opt/envoy)
            7f0000001000 (/lib/x86_64-linux-gnu/libc.so.6)
            7ffd00001000 ([vdso])
            3f0000001000 (//anon)
            3f0000001001 ([unknown])
            something else";
        let samples = Samples::parse(text, Path::new("/opt/envoy"));
        let counts = [Place::Kernel, Place::Library, Place::Envoy, Place::Wasm];
        assert_eq!(counts.map(|place| samples.of(place)), [2, 2, 3, 2]);
        assert_eq!(samples.all(), 9);
        let pages = samples.pages();
        assert_eq!(pages.len(), 2);
        assert_eq!(samples.shared_with(&BTreeSet::from([0x5_5d00_0001])), 2);
    }
}
