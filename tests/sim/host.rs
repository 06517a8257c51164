//! A recording host: it sends nothing, and remembers what it was asked for.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use bearer_gate::host::{Call, CallId, Host, NoEntropy, SharedStore, Version};
use bearer_gate::shelf::{Entry, Shelf};
use bearer_gate::time::Millis;

use super::Store;

/// What all workers of the simulated process have in common.
#[derive(Default)]
pub(crate) struct Process {
    pub now: Cell<u64>,
    pub unix_seconds: Cell<f64>,
    pub verifications: Rc<Cell<u32>>,
    pub store: Store,
    pub random: Cell<u64>,
    pub calls: RefCell<Vec<(CallId, Call)>>,
    pub counts: RefCell<BTreeMap<String, i64>>,
    pub tick_period: Cell<Duration>,
    pub refuses_calls: Cell<bool>,
}

#[derive(Clone)]
pub(crate) struct FakeHost(pub Rc<Process>);

impl SharedStore for FakeHost {
    fn read(&self, key: &str) -> Option<(Vec<u8>, Version)> {
        self.0.store.read(key)
    }

    fn write(&self, key: &str, value: &[u8], expected: Version) -> bool {
        self.0.store.write(key, value, expected)
    }
}

impl Host for FakeHost {
    fn unix_seconds(&self) -> f64 {
        self.0.unix_seconds.get()
    }

    fn monotonic(&self) -> Millis {
        Millis(self.0.now.get())
    }

    fn random(&self) -> u64 {
        self.0
            .random
            .set(self.0.random.get().wrapping_mul(6_364_136_223_846_793_005) + 1);
        self.0.random.get()
    }

    fn entropy(&self, into: &mut [u8]) -> Result<(), NoEntropy> {
        into.fill_with(|| self.random().to_le_bytes()[7]);
        Ok(())
    }

    fn dispatch(&self, call: &Call) -> Option<CallId> {
        if self.0.refuses_calls.get() {
            return None;
        }
        let mut calls = self.0.calls.borrow_mut();
        let id = u32::try_from(self.random() >> 33).unwrap();
        calls.push((id, call.clone()));
        Some(id)
    }

    fn tick_every(&self, period: Duration) {
        self.0.tick_period.set(period);
    }

    fn count(&self, counter: &str, by: u64) {
        self.gauge_add(counter, i64::try_from(by).unwrap());
    }

    fn gauge(&self, gauge: &str, value: u64) {
        self.0
            .counts
            .borrow_mut()
            .insert(gauge.into(), i64::try_from(value).unwrap());
    }

    fn gauge_add(&self, gauge: &str, change: i64) {
        *self.0.counts.borrow_mut().entry(gauge.into()).or_default() += change;
    }
}

pub(crate) fn process() -> Rc<Process> {
    let process = Process::default();
    process.now.set(1_000_000);
    process.unix_seconds.set(1_700_000_000.0);
    Rc::new(process)
}

/// Takes the room of the answers that all workers share. What takes it stays for this time.
pub(crate) fn fill_answers(process: &Rc<Process>, stays: Duration) {
    let shelf = Shelf {
        name: "answers",
        drawers: 128,
        most_octets: 256 * 1024,
        longest: Duration::from_secs(600),
    };
    let host = FakeHost(Rc::clone(process));
    let now = host.monotonic();
    for drawer in 0..128 {
        let mut name = [0; 32];
        name[0] = drawer;
        let entry = Entry {
            until: now.after(Duration::from_secs(500)),
            stays_until: now.after(stays),
            room: 0,
            content: vec![0; 255 * 1024],
        };
        shelf.put(&name, &entry, |_| true, &host, now).unwrap();
    }
}

impl Process {
    pub(crate) fn pass(&self, millis: u64) {
        self.now.set(self.now.get() + millis);
    }

    pub(crate) fn the_call(&self) -> CallId {
        let mut calls = self.calls.borrow_mut();
        assert_eq!(calls.len(), 1, "{calls:?}");
        calls.pop().unwrap().0
    }

    pub(crate) fn count_of(&self, name: &str) -> i64 {
        self.counts.borrow().get(name).copied().unwrap_or(0)
    }
}
