//! What the filter costs before the first request: time until Envoy answers, and memory.

use std::path::Path;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bearer_gate_testbed::envoy::{Envoy, Listener};
use serde::Serialize;
use serde_json::{Value, json};

use crate::case::{Modules, PATH, configuration, wasm};
use crate::cpu::{Cores, Pinned, resident};
use crate::load::Asked;
use crate::load::Load;
use crate::measure::{start_envoy, start_envoy_here};
use crate::stats::{differences, median, min};
use crate::tokens::{Algorithm, Key};

/// What a further worker takes is the difference between these numbers of workers. The first ones
/// reuse what V8 took to compile the module, so they would seem to need less.
const FEW_WORKERS: u32 = 32;
const MANY_WORKERS: u32 = 64;
/// How long Envoy is left alone before its memory is read: V8 compiles on for a while and then gives
/// back what it took for that.
const SETTLED: Duration = Duration::from_secs(1);

/// Start-up and memory.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Startup {
    /// Milliseconds from Envoy's start to its first answer, by start.
    pub none_ms: Vec<f64>,
    pub noop_ms: Vec<f64>,
    pub gate_ms: Vec<f64>,
    /// The same with all cores for Envoy, among which V8's compiler divides the module.
    pub cores: usize,
    pub noop_all_cores_ms: Vec<f64>,
    pub gate_all_cores_ms: Vec<f64>,
    /// Envoy's memory with one worker, and what each further worker adds; in bytes.
    pub noop_memory: Memory,
    pub gate_memory: Memory,
}

/// Envoy's memory that is in RAM.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Memory {
    pub one_worker: u64,
    pub each_further_worker: u64,
}

impl Startup {
    /// By how much later than with a filter that does nothing; the middle of all starts.
    pub(crate) fn over_noop_ms(&self) -> Option<f64> {
        median(&differences(&self.gate_ms, &self.noop_ms))
    }

    /// The three kinds of listener, and what they take with all cores, with their least and
    /// middle time.
    pub(crate) fn times(&self) -> Vec<(String, f64, f64)> {
        let (noop, gate) = ("Wasm filter that does nothing", "bearer-gate");
        let all = |title| format!("{title}, on all {} cores", self.cores);
        [
            ("no filter".to_owned(), &self.none_ms),
            (noop.to_owned(), &self.noop_ms),
            (gate.to_owned(), &self.gate_ms),
            (all(noop), &self.noop_all_cores_ms),
            (all(gate), &self.gate_all_cores_ms),
        ]
        .into_iter()
        .filter_map(|(title, times)| Some((title, min(times)?, median(times)?)))
        .collect()
    }
}

/// Starts Envoy this many times with each kind of listener, in turns. Envoy is bound to one core,
/// and with it V8's compiler.
///
/// # Errors
/// When an Envoy does not start or not answer.
pub(crate) fn measure(modules: &Modules, starts: usize, cores: Cores) -> Result<Startup> {
    eprintln!("start-up and memory: {starts} starts of each kind");
    let jwk = Key::generate(Algorithm::Rs256, "bench-1")?.jwk()?;
    let listener = |filter: Option<(&Path, Value)>| match filter {
        Some((module, configuration)) => wasm("main", module, configuration),
        None => Listener::new("main"),
    };
    let none = listener(None);
    let noop = listener(Some((&modules.noop, json!({}))));
    let gate = listener(Some((&modules.gate, configuration(&[jwk], true))));

    let [noop_all_cores_ms, gate_all_cores_ms] = {
        let load = Load::start()?;
        in_turns([&noop, &gate], starts, |listener| {
            ready_after(&load, || start_envoy_here(&load, [listener.clone()], 1))
        })?
    };
    let all_cores = available_parallelism()?.get();
    let _pinned = Pinned::to(cores.load)?;
    let load = Load::start()?;
    let [none_ms, noop_ms, gate_ms] = in_turns([&none, &noop, &gate], starts, |listener| {
        ready_after(&load, || start_envoy(&load, [listener.clone()], 1, cores))
    })?;
    Ok(Startup {
        none_ms,
        noop_ms,
        gate_ms,
        cores: all_cores,
        noop_all_cores_ms,
        gate_all_cores_ms,
        noop_memory: memory(&load, &noop, cores)?,
        gate_memory: memory(&load, &gate, cores)?,
    })
}

/// What is measured of each of these, start by start, so many times.
fn in_turns<const N: usize>(
    listeners: [&Listener; N],
    starts: usize,
    measure: impl Fn(&Listener) -> Result<f64>,
) -> Result<[Vec<f64>; N]> {
    let mut times = [const { Vec::new() }; N];
    for _ in 0..starts {
        for (listener, times) in listeners.iter().zip(&mut times) {
            times.push(measure(listener)?);
        }
    }
    Ok(times)
}

/// Milliseconds from Envoy's start to its first answer, whatever it is. The testbed looks each
/// 10 ms whether Envoy listens.
fn ready_after(load: &Load, start: impl FnOnce() -> Result<Envoy>) -> Result<f64> {
    let from = Instant::now();
    let envoy = start()?;
    let client = load.client(envoy.address(), 1, Asked::nothing(PATH))?;
    load.status(&client).context("the first request")?;
    Ok(from.elapsed().as_secs_f64() * 1000.0)
}

fn memory(load: &Load, listener: &Listener, cores: Cores) -> Result<Memory> {
    let with_workers = |workers: u32| {
        let envoy = start_envoy(load, [listener.clone()], workers, cores)?;
        // A connection for each worker: the testbed's listeners spread them evenly.
        let mut clients = Vec::new();
        for _ in 0..workers {
            let client = load.client(envoy.address(), 1, Asked::nothing(PATH))?;
            load.status(&client)?;
            clients.push(client);
        }
        std::thread::sleep(SETTLED);
        resident(envoy.process_id())
    };
    let one_worker = with_workers(1)?;
    let few = with_workers(FEW_WORKERS)?;
    let further = with_workers(MANY_WORKERS)?.saturating_sub(few);
    Ok(Memory {
        one_worker,
        each_further_worker: further / u64::from(MANY_WORKERS - FEW_WORKERS),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_is_taken_start_by_start() {
        let memory = Memory {
            one_worker: 1,
            each_further_worker: 1,
        };
        let startup = Startup {
            none_ms: vec![100.0, 200.0, 300.0],
            noop_ms: vec![110.0, 230.0, 310.0],
            gate_ms: vec![210.0, 300.0, 450.0],
            cores: 2,
            noop_all_cores_ms: vec![80.0],
            gate_all_cores_ms: vec![150.0],
            noop_memory: memory,
            gate_memory: memory,
        };
        assert_eq!(startup.over_noop_ms(), Some(100.0));
        let times = startup.times();
        assert_eq!(times.first(), Some(&("no filter".to_owned(), 100.0, 200.0)));
        let last = ("bearer-gate, on all 2 cores".to_owned(), 150.0, 150.0);
        assert_eq!(times.last(), Some(&last));
    }
}
