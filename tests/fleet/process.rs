//! One Envoy: workers with a gate each, and the data that they share.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use bearer_gate::config::Config;
use bearer_gate::gate::Gate;
use bearer_gate::host::{Call, CallId, Host, NoEntropy, SharedStore, Version};
use bearer_gate::jose::jwa::Algorithm;
use bearer_gate::jose::jwk::Key;
use bearer_gate::jose::verifier::Verifier;
use bearer_gate::time::Millis;

use crate::dice::Dice;
use crate::sim::Store;

/// Where every process's clock begins, in milliseconds.
const ORIGIN: u64 = 1_000_000;

/// A call that was sent.
pub(crate) struct Sent {
    pub worker: usize,
    pub call: CallId,
    /// How old a cache's answer may be, in seconds, where it says so.
    pub max_age: Option<u64>,
}

/// What the workers of a process have in common.
pub(crate) struct Common {
    clock: Rc<Cell<u64>>,
    /// What its clock says, in Unix seconds.
    unix: u64,
    store: Store,
    dice: RefCell<Dice>,
    next_call: Cell<CallId>,
    /// Calls that were sent and that the fleet has not taken up yet.
    pub sent: RefCell<Vec<Sent>>,
    /// When it got keys for the first time.
    pub keys_at: Cell<Option<u64>>,
}

pub(crate) struct WorkerHost {
    common: Rc<Common>,
    worker: usize,
    tick_period: Rc<Cell<u64>>,
}

pub(crate) struct Worker {
    pub gate: Gate<WorkerHost>,
    pub tick_period: Rc<Cell<u64>>,
    /// The period that the next tick was planned with, and which plan counts.
    pub planned: (u64, u64),
}

pub(crate) struct Process {
    pub common: Rc<Common>,
    pub workers: Vec<Worker>,
}

impl Process {
    /// `clocks`: the clock that measures durations, and the time in Unix seconds.
    pub(crate) fn start(
        workers: usize,
        config: &Config,
        clocks: (&Rc<Cell<u64>>, u64),
        seed: u64,
    ) -> Self {
        let (clock, unix) = clocks;
        let common = Rc::new(Common {
            clock: Rc::clone(clock),
            unix,
            store: Store::default(),
            dice: RefCell::new(Dice(seed)),
            next_call: Cell::new(0),
            sent: RefCell::default(),
            keys_at: Cell::new(None),
        });
        let workers = (0..workers)
            .map(|worker| {
                let tick_period = Rc::new(Cell::new(0));
                let host = WorkerHost {
                    common: Rc::clone(&common),
                    worker,
                    tick_period: Rc::clone(&tick_period),
                };
                Worker {
                    gate: Gate::new(host, config.clone(), Box::new(BySignature)),
                    tick_period,
                    planned: (0, 0),
                }
            })
            .collect();
        Self { common, workers }
    }
}

impl SharedStore for WorkerHost {
    fn read(&self, key: &str) -> Option<(Vec<u8>, Version)> {
        self.common.store.read(key)
    }

    fn write(&self, key: &str, value: &[u8], expected: Version) -> bool {
        self.common.store.write(key, value, expected)
    }
}

impl Host for WorkerHost {
    fn unix_seconds(&self) -> f64 {
        self.common.unix as f64
    }

    fn monotonic(&self) -> Millis {
        Millis(ORIGIN + self.common.clock.get())
    }

    fn random(&self) -> u64 {
        self.common.dice.borrow_mut().bits()
    }

    fn entropy(&self, _: &mut [u8]) -> Result<(), NoEntropy> {
        Err(NoEntropy)
    }

    fn dispatch(&self, call: &Call) -> Option<CallId> {
        let mut headers = call.headers.iter();
        let said = headers.find(|(name, _)| *name == "cache-control");
        let max_age = said.map(|(_, value)| value.strip_prefix("max-age=").unwrap());
        let id = self.common.next_call.get() + 1;
        self.common.next_call.set(id);
        self.common.sent.borrow_mut().push(Sent {
            worker: self.worker,
            call: id,
            max_age: max_age.map(|seconds| seconds.parse().unwrap()),
        });
        Some(id)
    }

    fn tick_every(&self, period: Duration) {
        self.tick_period
            .set(u64::try_from(period.as_millis()).unwrap());
    }

    fn count(&self, counter: &str, _: u64) {
        if counter.ends_with(".success") && self.common.keys_at.get().is_none() {
            self.common.keys_at.set(Some(self.common.clock.get()));
        }
    }

    fn gauge(&self, _: &str, _: u64) {}

    fn gauge_add(&self, _: &str, _: i64) {}
}

/// A signature is good by the key whose kid it repeats: these tests are not about signatures.
struct BySignature;

impl Verifier for BySignature {
    fn verify(&self, _: Algorithm, key: &Key, _: &[u8], signature: &[u8]) -> bool {
        key.kid()
            .is_some_and(|kid| signature.starts_with(kid.as_bytes()))
    }

    fn name(&self) -> &'static str {
        "by signature"
    }
}
