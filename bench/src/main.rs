//! What bearer-gate costs, measured in a real Envoy beside its native jwt_authn.
//!
//! One Envoy with a worker on one core, the load on another; cases that differ in one filter take
//! turns; what is compared is the processor time of the Envoy process per request.

mod case;
mod chart;
mod cpu;
mod document;
mod fleet;
mod footprint;
mod load;
mod loads;
mod measure;
mod memory;
mod neighbour;
mod people;
mod profile;
mod report;
mod scaling;
mod startup;
mod stats;
mod summary;
mod supply;
mod tokens;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};
use bearer_gate_testbed::envoy::{ENVOY_VERSION, module_path};
use bearer_gate_testbed::repository;
use clap::{Args, Parser, Subcommand};
use serde::Serialize;
use serde_json::json;

use crate::case::Modules;
use crate::cpu::Cores;
use crate::loads::Loads;
use crate::measure::Plan;
use crate::profile::Profiles;
use crate::report::{Machine, Results, Run};
use crate::scaling::Scaling;
use crate::tokens::Algorithm;

/// Where the reports are for people to read, and the chart beside it.
const DOCUMENT: &str = "docs/performance.md";
const CHART: &str = "bench.svg";
/// The same of the simulated fleet, whose report `make fleet` writes.
const FLEET: &str = "target/fleet";
const SCALE: &str = "docs/scale.md";
const FLEET_CHART: &str = "fleet.svg";

/// The benchmark of bearer-gate
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Where reports go, below the repository's root
    #[arg(
        long,
        env = "BENCH_OUTPUT",
        default_value = "target/bench",
        global = true
    )]
    output: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The cost of a request, latencies, start-up and memory
    Run(Options),
    /// The cost of a request under loads of many kinds
    Loads(LoadsOptions),
    /// How the cost grows with providers, rules, keys and tokens
    Scaling(ScalingOptions),
    /// What Envoy has in RAM with many providers, tokens and sessions
    Memory,
    /// Where a request's processor time goes, by samples of perf
    Profile(ProfileOptions),
    /// What of a module's code runs for a request
    Footprint(FootprintOptions),
    /// Put the last reports and the charts into docs/performance.md and docs/scale.md
    Document,
}

#[derive(Debug, Args)]
struct Options {
    #[arg(long, env = "BENCH_ROUNDS", default_value_t = 21)]
    rounds: usize,
    /// Requests per case and round
    #[arg(long, env = "BENCH_REQUESTS", default_value_t = 3000)]
    requests: usize,
    /// Separated by commas; the targets are for RS256
    #[arg(
        long,
        env = "BENCH_ALGORITHMS",
        value_enum,
        value_delimiter = ',',
        default_value = "RS256"
    )]
    algorithms: Vec<Algorithm>,
    /// Requests a second where latencies are measured, with the first algorithm
    #[arg(long, env = "BENCH_RATE", default_value_t = 1000)]
    rate: u32,
    /// How long latencies are measured per case, in seconds; 0 leaves them out
    #[arg(long, env = "BENCH_LATENCY_SECONDS", default_value_t = 5.0)]
    latency_seconds: f64,
    /// Starts of each kind; 0 leaves start-up and memory out
    #[arg(long, env = "BENCH_STARTS", default_value_t = 9)]
    starts: usize,
    /// Other builds to compare, as NAME=PATH, separated by commas
    #[arg(long, env = "BENCH_MODULES", value_delimiter = ',')]
    modules: Vec<String>,
}

#[derive(Debug, Args)]
struct LoadsOptions {
    #[arg(long, env = "BENCH_ROUNDS", default_value_t = 11)]
    rounds: usize,
    /// Requests per case and round
    #[arg(long, env = "BENCH_REQUESTS", default_value_t = 2000)]
    requests: usize,
    /// A part of the titles of those that are measured
    #[arg(long, env = "BENCH_LOADS", default_value = "")]
    only: String,
    /// Other builds to compare, as NAME=PATH, separated by commas
    #[arg(long, env = "BENCH_MODULES", value_delimiter = ',')]
    modules: Vec<String>,
}

#[derive(Debug, Args)]
struct ProfileOptions {
    /// Requests per case
    #[arg(long, env = "BENCH_REQUESTS", default_value_t = 10_000)]
    requests: usize,
}

#[derive(Debug, Args)]
struct FootprintOptions {
    /// The module; the one that was built where none is given
    module: Option<PathBuf>,
    /// Tell of each function
    #[arg(long)]
    functions: bool,
}

#[derive(Debug, Args)]
struct ScalingOptions {
    #[arg(long, env = "BENCH_ROUNDS", default_value_t = 9)]
    rounds: usize,
    /// Requests per case and round
    #[arg(long, env = "BENCH_REQUESTS", default_value_t = 2000)]
    requests: usize,
    /// jwt_cache_config.jwt_cache_size where tokens grow; without it the module's default
    #[arg(long, env = "BENCH_CACHE_SIZE")]
    cache_size: Option<u32>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let output = repository().join(arguments.output);
    fs::create_dir_all(&output)?;
    match arguments.command {
        Command::Run(options) => run(&options, &output),
        Command::Loads(options) => under_loads(&options, &output),
        Command::Scaling(options) => scale(&options, &output),
        Command::Memory => in_ram(&output),
        Command::Profile(options) => profile(&options, &output),
        Command::Footprint(options) => {
            let module = options.module.unwrap_or_else(module_path);
            let found = footprint::measure(&module)?;
            println!("{}", footprint::markdown(&found, options.functions));
            Ok(())
        }
        Command::Document => update_document(&output),
    }
}

fn run(options: &Options, output: &Path) -> Result<()> {
    let plan = Plan {
        rounds: options.rounds,
        requests: options.requests,
        slice_seconds: 1.0,
        connections: 16,
        regulars: 300,
        rate: options.rate,
        latency_seconds: options.latency_seconds,
        claim_header: true,
        ..Plan::default()
    };
    ensure!(plan.rounds > 0 && plan.requests > 0, "nothing to measure");
    let (modules, skipped) = modules(&options.modules)?;
    let cores = Cores::choose()?;
    let mut runs = Vec::new();
    let mut targets = Vec::new();
    for (number, algorithm) in options.algorithms.iter().enumerate() {
        let measured = measure::measure(*algorithm, &modules, &plan, number == 0, cores)?;
        let rows = summary::rows(&measured);
        if *algorithm == Algorithm::Rs256 {
            targets.extend(summary::request_targets(&rows, &measured));
        }
        runs.push(Run {
            algorithm: algorithm.title(),
            rows,
            cpu_us: measured.into_iter().map(|case| case.cpu_us).collect(),
        });
    }
    let startup = match options.starts {
        0 => None,
        starts => Some(startup::measure(&modules, starts, cores)?),
    };
    let module_bytes = fs::metadata(&modules.gate)?.len();
    targets.push(summary::size_target(module_bytes));
    let over_noop = startup.as_ref().and_then(startup::Startup::over_noop_ms);
    targets.extend(over_noop.map(summary::ready_target));
    let results = Results {
        machine: machine("make bench"),
        plan,
        runs,
        startup,
        module_bytes,
        noop_bytes: fs::metadata(&modules.noop)?.len(),
        targets,
        skipped,
    };
    let markdown = results.markdown();
    if let Some(run) = results.runs.first() {
        let subtitle = format!("{}, {}", run.algorithm, results.machine.processor);
        fs::write(output.join("bench.svg"), chart::svg(&run.rows, &subtitle)?)?;
    }
    fs::write(
        output.join("results.json"),
        serde_json::to_vec_pretty(&results)?,
    )?;
    fs::write(output.join("bench.md"), &markdown)?;
    println!("{markdown}");
    Ok(())
}

fn scale(options: &ScalingOptions, output: &Path) -> Result<()> {
    let plan = Plan {
        rounds: options.rounds,
        requests: options.requests,
        slice_seconds: 5.0,
        connections: 16,
        regulars: 300,
        ..Plan::default()
    };
    let cache = options
        .cache_size
        .map(|size| json!({"jwt_cache_size": size}));
    let (modules, _) = modules(&[])?;
    let steps = scaling::measure(&modules, &plan, cache.as_ref(), Cores::choose()?)?;
    let scaling = Scaling {
        machine: machine("make bench-scaling"),
        plan,
        steps,
    };
    write(output, "scaling", &scaling, &scaling.markdown())
}

fn under_loads(options: &LoadsOptions, output: &Path) -> Result<()> {
    let plan = Plan {
        rounds: options.rounds,
        requests: options.requests,
        slice_seconds: 5.0,
        ..Plan::default()
    };
    let (modules, _) = modules(&options.modules)?;
    let loads = Loads {
        machine: machine("make bench-loads"),
        measured: loads::measure_all(&modules, &plan, &options.only, Cores::choose()?)?,
        plan,
    };
    write(output, "loads", &loads, &loads.markdown())
}

fn in_ram(output: &Path) -> Result<()> {
    let (modules, _) = modules(&[])?;
    let report = memory::Report {
        machine: machine("make bench-memory"),
        known: memory::measure(&modules, Cores::choose()?)?,
    };
    write(output, "memory", &report, &report.markdown())
}

fn profile(options: &ProfileOptions, output: &Path) -> Result<()> {
    let plan = Plan {
        rounds: 1,
        requests: options.requests,
        slice_seconds: 60.0,
        regulars: 200,
        claim_header: true,
        tokens_alone: true,
        ..Plan::default()
    };
    let (modules, _) = modules(&[])?;
    let profiles = Profiles {
        machine: machine("make bench-profile"),
        profiles: profile::measure(&modules, &plan, Cores::choose()?, output)?,
        plan,
    };
    write(output, "profile", &profiles, &profiles.markdown())
}

/// Puts a report where reports are, as figures and for people, and shows it.
fn write(output: &Path, name: &str, figures: &impl Serialize, markdown: &str) -> Result<()> {
    let file = output.join(name);
    fs::write(
        file.with_extension("json"),
        serde_json::to_vec_pretty(figures)?,
    )?;
    fs::write(file.with_extension("md"), markdown)?;
    println!("{markdown}");
    Ok(())
}

fn update_document(output: &Path) -> Result<()> {
    let root = repository();
    let report = |name: &str| fs::read_to_string(output.join(format!("{name}.md"))).ok();
    let figures = root.join(FLEET);
    let [bench, loads, profile, scaling, memory] =
        ["bench", "loads", "profile", "scaling", "memory"].map(report);
    let simulated = fs::read_to_string(figures.join("fleet.md")).ok();
    ensure!(
        [&bench, &loads, &profile, &scaling, &memory, &simulated]
            .iter()
            .any(|it| it.is_some()),
        "there is no report yet: run `make bench` or `make fleet`"
    );
    if let Some(report) = bench {
        fs::copy(
            output.join(CHART),
            root.join(DOCUMENT).with_file_name(CHART),
        )?;
        let report = format!("![What each filter adds to a request]({CHART})\n\n{report}");
        document::update(&root.join(DOCUMENT), "bench", &report)?;
    }
    for (name, report) in [
        ("loads", loads),
        ("profile", profile),
        ("scaling", scaling),
        ("memory", memory),
    ] {
        if let Some(report) = report {
            document::update(&root.join(DOCUMENT), name, &report)?;
        }
    }
    if let Some(report) = simulated {
        let chart = fleet::svg(&fs::read(figures.join("fleet.json"))?)?;
        fs::write(root.join(SCALE).with_file_name(FLEET_CHART), chart)?;
        let report = format!("{report}\n![Calls per second of each fleet]({FLEET_CHART})\n");
        document::update(&root.join(SCALE), "fleet", &report)?;
    }
    Ok(())
}

/// The modules, and what is left out for want of one.
fn modules(others: &[String]) -> Result<(Modules, Vec<String>)> {
    let root = repository();
    let built = |path: &str| {
        let path = root.join(path);
        path.exists().then_some(path)
    };
    let gate = module_path();
    ensure!(
        gate.exists(),
        "{} is missing: run `make build`",
        gate.display()
    );
    let noop = built("target/wasm32-wasip1/release/bearer_gate_noop.wasm");
    // Made by `make bench` with the cargo feature of that name, in a target directory of its own.
    let jwt_simple = built("target/jwt-simple/wasm32-wasip1/release/bearer_gate.wasm");
    let mut skipped = Vec::new();
    if jwt_simple.is_none() {
        skipped.push("jwt-simple as the verifier, which no build of the module has".to_owned());
    }
    let others = others.iter().map(|other| {
        let (name, path) = other
            .split_once('=')
            .context("BENCH_MODULES is NAME=PATH,...")?;
        let path = root.join(path);
        ensure!(path.exists(), "{} is missing", path.display());
        Ok((name.to_owned(), path))
    });
    let modules = Modules {
        gate,
        noop: noop.context("the no-op module is missing: `make bench` builds it")?,
        jwt_simple,
        others: others.collect::<Result<_>>()?,
    };
    Ok((modules, skipped))
}

fn machine(command: &str) -> Machine {
    Machine {
        date: date(SystemTime::now()),
        processor: cpu::model(),
        kernel: cpu::kernel(),
        envoy: std::env::var("ENVOY_VERSION").unwrap_or_else(|_| ENVOY_VERSION.to_owned()),
        command: command.to_owned(),
    }
}

/// The day of an HTTP date (RFC 9110 s5.6.7): `24 Nov 2026`.
fn date(now: SystemTime) -> String {
    let full = httpdate::fmt_http_date(now);
    full.get(5..16).unwrap_or(&full).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_date_is_a_day() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(date(time), "06 Nov 1994");
    }
}
