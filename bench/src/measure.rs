//! Rounds over all cases: the processor time that Envoy takes for a request, then latencies.
//!
//! Invariant: the cases take turns within each round, so whatever disturbs the machine for longer
//! than a round disturbs all alike; each is compared with its neighbours of the same round.

use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bearer_gate_testbed::envoy::{Envoy, Listener};
use serde::Serialize;

use crate::case::{Case, Kind, Modules, PATH, Pools, cases, configuration};
use crate::cpu::{Cores, Pinned, Times};
use crate::load::{Asked, Client, Load};
use crate::neighbour::Neighbour;
use crate::people::People;
use crate::stats;
use crate::tokens::{Algorithm, Key, mint};

/// Latencies too are measured in turns, so many of them.
const LATENCY_TURNS: u32 = 5;

/// What a run is made of.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Plan {
    pub rounds: usize,
    /// Requests per case and round.
    pub requests: usize,
    /// The longest that a case takes of a round, in seconds.
    pub slice_seconds: f64,
    /// Connections that are busy at once.
    pub connections: usize,
    /// Tokens that come in turn.
    pub regulars: usize,
    /// Requests a second, where latencies are measured.
    pub rate: u32,
    /// How long, per case; 0 for not at all.
    pub latency_seconds: f64,
    /// Between an answer and the next request on its connection, in microseconds.
    pub pause_us: u64,
    /// Whether a claim goes into a header.
    pub claim_header: bool,
    /// Whether something else runs on Envoy's core.
    pub neighbour: bool,
    /// Whether bearer-gate is measured without people, and without jwt-simple.
    pub tokens_alone: bool,
}

impl Plan {
    /// Requests before anything is measured: V8 compiles what is hot, caches fill.
    fn warm_up(&self) -> usize {
        (2 * self.requests).max(3 * self.regulars)
    }

    pub(crate) fn slice(&self) -> Duration {
        Duration::from_secs_f64(self.slice_seconds)
    }

    /// The time for a number of requests that is not measured.
    fn preparation(&self) -> Duration {
        let pauses = Duration::from_micros(self.pause_us) * self.warm_up() as u32;
        self.slice() * 30 + pauses
    }

    /// The most tokens that a case can use up, if it uses each once.
    fn new_tokens(&self, with_latency: bool) -> usize {
        let latency = if with_latency {
            // Far below 2^52.
            (f64::from(self.rate) * self.latency_seconds).ceil() as usize
        } else {
            0
        };
        1 + self.warm_up() + self.rounds * self.requests + latency
    }
}

/// What was measured of one case.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Measured {
    pub kind: Kind,
    pub title: String,
    /// Envoy's processor time per request in microseconds, by round.
    pub cpu_us: Vec<f64>,
    pub latency: Option<Latency>,
}

/// Microseconds from the moment at which a request was due to its answer.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Latency {
    pub requests: usize,
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p999: f64,
}

impl Latency {
    fn from_sorted(sorted: &[f64]) -> Option<Self> {
        Some(Self {
            requests: sorted.len(),
            p50: stats::percentile(sorted, 0.5)?,
            p90: stats::percentile(sorted, 0.9)?,
            p99: stats::percentile(sorted, 0.99)?,
            p999: stats::percentile(sorted, 0.999)?,
        })
    }
}

/// Measures all cases with tokens of one algorithm.
///
/// # Errors
/// When a case does not do what it should, or Envoy does not start.
pub(crate) fn measure(
    algorithm: Algorithm,
    modules: &Modules,
    plan: &Plan,
    with_latency: bool,
    cores: Cores,
) -> Result<Vec<Measured>> {
    let stage = Stage::set_up(algorithm, modules, plan, with_latency, cores)?;
    let mut measured: Vec<Measured> = stage.running.iter().map(Running::not_measured).collect();
    let neighbour = if plan.neighbour {
        Some(Neighbour::on(cores.envoy)?)
    } else {
        None
    };
    eprintln!(
        "{}: {} rounds of {} cases",
        algorithm.title(),
        plan.rounds,
        measured.len()
    );
    for round in 0..plan.rounds {
        let count = measured.len();
        // Each begins a round in its turn, so none always runs in the wake of the same other.
        for step in 0..count {
            let turn = (round + step) % count;
            if let (Some(running), Some(measured)) =
                (stage.running.get(turn), measured.get_mut(turn))
            {
                measured.cpu_us.push(stage.cost(running, plan)?);
            }
        }
    }
    drop(neighbour);
    if with_latency && plan.latency_seconds > 0.0 {
        eprintln!(
            "{}: latencies at {} requests/s",
            algorithm.title(),
            plan.rate
        );
        let mut latencies = vec![Vec::new(); measured.len()];
        for _ in 0..LATENCY_TURNS {
            for (running, latencies) in stage.running.iter().zip(&mut latencies) {
                latencies.extend(stage.latencies(running, plan)?);
            }
        }
        for (measured, latencies) in measured.iter_mut().zip(&mut latencies) {
            latencies.sort_by(f64::total_cmp);
            measured.latency = Latency::from_sorted(latencies);
        }
    }
    Ok(measured)
}

/// An Envoy with a listener for each case, whose caches are warm.
pub(crate) struct Stage {
    pub envoy: Envoy,
    pub running: Vec<Running>,
    load: Load,
    _pinned: Pinned,
}

/// A case, and who asks for it.
pub(crate) struct Running {
    pub case: Case,
    client: Client,
}

impl Running {
    fn not_measured(&self) -> Measured {
        Measured {
            kind: self.case.kind,
            title: self.case.title.clone(),
            cpu_us: Vec::new(),
            latency: None,
        }
    }
}

impl Stage {
    /// Mints tokens, starts Envoy, and sees that each case does what it should.
    ///
    /// # Errors
    /// When one does not, or Envoy does not start.
    pub(crate) fn set_up(
        algorithm: Algorithm,
        modules: &Modules,
        plan: &Plan,
        with_latency: bool,
        cores: Cores,
    ) -> Result<Self> {
        let key = Rc::new(Key::generate(algorithm, "bench-1")?);
        let count = plan.regulars + plan.new_tokens(with_latency);
        eprintln!("{}: minting {count} tokens", algorithm.title());
        let mut tokens = mint(&key, count)?;
        let new = tokens.split_off(plan.regulars.min(tokens.len()));
        let pools = Pools {
            regulars: Rc::from(tokens),
            new: Rc::from(new),
        };
        let keys = [key.jwk()?];
        let pinned = Pinned::to(cores.load)?;
        let load = Load::start()?;
        let people = if plan.tokens_alone {
            None
        } else {
            Some(Rc::new(People::new(key, load.token_responses())?))
        };
        let configuration = configuration(&keys, plan.claim_header);
        let cases = cases(modules, &configuration, &pools, people.as_ref())?;
        let listeners = cases.iter().map(|case| case.listener.clone());
        let envoy = start_envoy(&load, listeners, 1, cores)?;
        let mut running = Vec::with_capacity(cases.len());
        for case in cases {
            let asked = Asked {
                path: PATH,
                supply: Rc::clone(&case.supply),
                expected: case.expected,
            };
            let client = client(&envoy, &load, plan, &case.name, asked)?;
            running.push(Running { case, client });
        }
        for Running { case, client } in &running {
            check(&envoy, &load, case)?;
            let count = plan.warm_up() / case.one_in;
            case.supply.prepare(count)?;
            load.busy(client, count, plan.preparation())
                .with_context(|| case.name.clone())?;
        }
        Ok(Self {
            envoy,
            running,
            load,
            _pinned: pinned,
        })
    }

    /// What a request of a case costs: Envoy's processor time in microseconds, of a round of them.
    ///
    /// # Errors
    /// When one fails.
    pub(crate) fn cost(&self, running: &Running, plan: &Plan) -> Result<f64> {
        let Running { case, client } = running;
        let count = plan.requests / case.one_in;
        case.supply.prepare(count)?;
        let cost = cost(&self.envoy, &self.load, client, count, plan.slice());
        cost.with_context(|| case.name.clone())
    }

    /// One turn of a case at a steady rate: microseconds of each request.
    fn latencies(&self, running: &Running, plan: &Plan) -> Result<Vec<f64>> {
        let Running { case, client } = running;
        let rate = plan.rate / u32::try_from(case.one_in)?;
        let time = Duration::from_secs_f64(plan.latency_seconds / f64::from(LATENCY_TURNS));
        // Far below 2^52.
        let count = (f64::from(rate) * time.as_secs_f64()).ceil() as usize;
        case.supply.prepare(count)?;
        let turn = self.load.at_rate(client, rate, time);
        turn.with_context(|| case.name.clone())
    }
}

/// Starts Envoy on its core, with these listeners in front of the load's upstream.
///
/// # Errors
/// When Envoy does not start.
pub(crate) fn start_envoy(
    load: &Load,
    listeners: impl IntoIterator<Item = Listener>,
    workers: u32,
    cores: Cores,
) -> Result<Envoy> {
    let _pinned = Pinned::to(cores.envoy)?;
    start_envoy_here(load, listeners, workers)
}

/// Starts Envoy on whichever cores this thread may use.
///
/// # Errors
/// When Envoy does not start.
pub(crate) fn start_envoy_here(
    load: &Load,
    listeners: impl IntoIterator<Item = Listener>,
    workers: u32,
) -> Result<Envoy> {
    let builder = Envoy::builder()
        .cluster("upstream", load.upstream())
        .concurrency(workers)
        .log_level("warning")
        .component_log_level("wasm:warning");
    let builder = listeners
        .into_iter()
        .fold(builder, |builder, listener| builder.listener(listener));
    Ok(builder.start()?)
}

/// Connections to one of Envoy's listeners.
///
/// # Errors
/// When one cannot be opened.
pub(crate) fn client(
    envoy: &Envoy,
    load: &Load,
    plan: &Plan,
    listener: &str,
    asked: Asked,
) -> Result<Client> {
    let client = load.client(envoy.address_of(listener), plan.connections, asked)?;
    Ok(client.pausing(Duration::from_micros(plan.pause_us)))
}

/// Envoy's processor time per request, in microseconds.
///
/// # Errors
/// When a request fails.
pub(crate) fn cost(
    envoy: &Envoy,
    load: &Load,
    client: &Client,
    requests: usize,
    slice: Duration,
) -> Result<f64> {
    let process = envoy.process_id();
    let before = Times::of_process(process)?;
    let answered = load.busy(client, requests, slice)?;
    let passed = Times::of_process(process)?.since(&before);
    ensure!(answered > 0, "no request was answered in time");
    // Both are far below 2^52.
    Ok(passed as f64 / 1000.0 / answered as f64)
}

/// A filter that admits every request would be fast: without a token the answer must be 401, except
/// where none is required.
fn check(envoy: &Envoy, load: &Load, case: &Case) -> Result<()> {
    let expected = match case.kind {
        Kind::None | Kind::Noop => 200,
        _ => 401,
    };
    let address = envoy.address_of(&case.name);
    let stranger = load.client(address, 1, Asked::nothing(PATH))?;
    let status = load.status(&stranger)?;
    ensure!(
        status == expected,
        "{}: a request without a token got {status}, not {expected}",
        case.name
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_new_tokens_as_a_case_can_use() {
        let plan = Plan {
            rounds: 10,
            requests: 100,
            slice_seconds: 1.0,
            connections: 4,
            regulars: 50,
            rate: 1000,
            latency_seconds: 2.5,
            ..Plan::default()
        };
        assert_eq!(plan.warm_up(), 200);
        assert_eq!(plan.new_tokens(false), 1201);
        assert_eq!(plan.new_tokens(true), 3701);
    }

    #[test]
    fn latencies_are_summed_up_by_their_ranks() {
        let sorted: Vec<f64> = (1..=1000).map(f64::from).collect();
        let latency = Latency::from_sorted(&sorted).unwrap();
        assert_eq!((latency.p50, latency.p90), (500.0, 900.0));
        assert_eq!((latency.p99, latency.p999), (990.0, 999.0));
        assert!(Latency::from_sorted(&[]).is_none());
    }
}
