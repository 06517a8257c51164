//! A small process: workers that share a store, and a clock that only the test moves.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod host;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;
use std::time::Duration;

use bearer_gate::config::{Endpoint, HttpUri, Remote};
use bearer_gate::document::Now;
use bearer_gate::document::event::Event;
use bearer_gate::document::finding::Finding;
use bearer_gate::document::lifecycle::{Early, FlightId, Lifecycle, Seen};
use bearer_gate::document::source::Source;
use bearer_gate::document::times::Times;
use bearer_gate::host::{Call, Reply, SharedStore, Version};
use bearer_gate::http::uri::Uri;
use bearer_gate::jwks::keys::{Keys, UnknownKid};
use bearer_gate::jwks::remote_keys::RemoteKeys;
use bearer_gate::time::Millis;
use proptest::test_runner::{Config, RngSeed};

pub(crate) const SET_A: &str = concat!(
    "{\"keys\":[",
    include_str!("../fixtures/set-a.jwk.json"),
    "]}"
);
pub(crate) const SET_B: &str = concat!(
    "{\"keys\":[",
    include_str!("../fixtures/set-b.jwk.json"),
    "]}"
);

/// How properties are tested: with `cases` cases, the same each time. With `BEARER_GATE_SOAK`,
/// there are 100 times as many, and they differ each time. `BEARER_GATE_SEED` draws some of them
/// again.
pub(crate) fn properties(cases: u32) -> Config {
    let soak = std::env::var_os("BEARER_GATE_SOAK").is_some();
    let seed = std::env::var("BEARER_GATE_SEED").ok();
    let seed = seed.map(|seed| seed.parse().expect("a number"));
    let seed = seed.unwrap_or_else(|| match soak {
        true => RandomState::new().hash_one(()),
        false => 1,
    });
    println!("BEARER_GATE_SEED={seed}");
    Config {
        cases: if soak { cases * 100 } else { cases },
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        ..Config::default()
    }
}

pub(crate) fn remote() -> Remote {
    remote_at("https://tenant.example/.well-known/jwks.json")
}

pub(crate) fn remote_at(uri: &str) -> Remote {
    let uri = Uri::parse(uri).unwrap();
    Remote {
        endpoint: Endpoint::Jwks(HttpUri {
            scheme: uri.scheme,
            authority: uri.authority,
            path: uri.path,
            cluster: "idp".into(),
            timeout: Duration::from_secs(5),
        }),
        times: times(),
    }
}

/// Keys that are asked for one by one.
pub(crate) fn by_kid() -> Remote {
    let remote = remote_at("https://keys.example/");
    let Endpoint::Jwks(uri) = remote.endpoint else {
        panic!("one address");
    };
    Remote {
        endpoint: Endpoint::ByKid(uri),
        ..remote
    }
}

pub(crate) fn times() -> Times {
    Times {
        cache_duration: Duration::from_secs(600),
        max_stale: Duration::from_secs(24 * 3600),
        early_cooldown: Duration::from_secs(30),
        respect_cache_control: false,
        back_off_base: Duration::from_millis(200),
        back_off_max: Duration::from_secs(30),
        retries: 0,
        first_fetch_within: Duration::ZERO,
    }
}

/// The keys of an issuer, at the address that its metadata name.
pub(crate) fn discovered(issuer: &str) -> Remote {
    Remote {
        endpoint: Endpoint::Discovery {
            issuer: issuer.to_owned(),
            uri: None,
            cluster: "idp".into(),
            jwks_cluster: None,
            timeout: Duration::from_secs(5),
        },
        ..remote()
    }
}

/// A response with only a status and a body.
pub(crate) fn response(status: u16, body: impl Into<Vec<u8>>) -> Reply {
    Reply::Response {
        status,
        max_age: None,
        location: None,
        content_type: None,
        retry_after: None,
        body: body.into(),
    }
}

pub(crate) fn ok(body: &str) -> Reply {
    response(200, body)
}

pub(crate) fn status(status: u16) -> Reply {
    response(status, SET_B)
}

/// Shared data with the host's compare-and-swap.
#[derive(Clone, Default)]
pub(crate) struct Store(Rc<StoreState>);

#[derive(Default)]
struct StoreState {
    entries: RefCell<BTreeMap<String, (Vec<u8>, u32)>>,
    writes: Cell<u32>,
    to_lose: Cell<u32>,
}

impl Store {
    /// The next `writes` fail, as if another worker were faster.
    pub(crate) fn lose_writes(&self, writes: u32) {
        self.0.to_lose.set(writes);
    }

    /// Whether the next write fails.
    pub(crate) fn loses_writes(&self) -> bool {
        self.0.to_lose.get() > 0
    }

    /// What is shared, by its names.
    pub(crate) fn names(&self) -> Vec<String> {
        self.0.entries.borrow().keys().cloned().collect()
    }

    /// Somebody with the same vm_id writes over one value, or takes it away.
    pub(crate) fn plant(&self, name: &str, value: Option<&[u8]>) {
        let mut entries = self.0.entries.borrow_mut();
        match value {
            Some(value) => {
                let stored = entries.entry(name.to_owned()).or_default();
                *stored = (value.to_vec(), stored.1 + 1);
            }
            None => drop(entries.remove(name)),
        }
    }

    /// The process ends.
    pub(crate) fn clear(&self) {
        self.0.entries.borrow_mut().clear();
    }

    /// How many octets are shared.
    pub(crate) fn octets(&self) -> usize {
        let entries = self.0.entries.borrow();
        entries.values().map(|(stored, _)| stored.len()).sum()
    }

    /// Another filter with the same vm_id overwrites everything.
    pub(crate) fn overwrite_all(&self, value: &[u8]) {
        for (stored, _) in self.0.entries.borrow_mut().values_mut() {
            *stored = value.to_vec();
        }
    }
}

impl SharedStore for Store {
    fn read(&self, key: &str) -> Option<(Vec<u8>, Version)> {
        let entries = self.0.entries.borrow();
        let (value, version) = entries.get(key)?;
        Some((value.clone(), Version(*version)))
    }

    fn write(&self, key: &str, value: &[u8], expected: Version) -> bool {
        if self.0.to_lose.get() > 0 {
            self.0.to_lose.set(self.0.to_lose.get() - 1);
            return false;
        }
        let mut entries = self.0.entries.borrow_mut();
        if entries
            .get(key)
            .is_some_and(|(_, version)| *version != expected.0)
        {
            return false;
        }
        self.0.writes.set(self.0.writes.get() + 1);
        entries.insert(key.to_owned(), (value.to_vec(), self.0.writes.get()));
        true
    }
}

pub(crate) struct SentCall {
    pub worker: usize,
    pub call: Call,
    flight: FlightId,
    sent_at: Millis,
}

pub(crate) struct World<S: Source = RemoteKeys> {
    pub now: Millis,
    pub store: Store,
    /// How many milliseconds each worker's clock is ahead of the one before.
    pub clocks_apart: u64,
    pub workers: Vec<Lifecycle<S>>,
    /// Calls of living workers that are not answered yet.
    pub calls: Vec<SentCall>,
    pub dispatched: usize,
    pub events: Vec<Event>,
    /// The most calls that were ever under way within one lease's time.
    pub most_calls_under_one_lease: usize,
    /// When the calls were sent that may still be under way, those of dead workers included.
    under_way: Vec<Millis>,
    source: Box<dyn Fn() -> S>,
    random: u64,
}

/// Workers that share a provider's keys.
impl World {
    pub(crate) fn new(workers: usize, remote: Remote) -> Self {
        Self::seeded(workers, remote, 1)
    }

    pub(crate) fn seeded(workers: usize, remote: Remote, seed: u64) -> Self {
        Self::on(Store::default(), workers, remote, seed)
    }

    pub(crate) fn on(store: Store, workers: usize, remote: Remote, seed: u64) -> Self {
        let remote = Rc::new(remote);
        Self::sharing(store, workers, seed, move || {
            RemoteKeys::new(Rc::clone(&remote))
        })
    }

    /// Asks for keys, as a request does that needs them. True if there are any.
    pub(crate) fn request(&mut self, worker: usize) -> bool {
        if let Keys::Ready(_) = self.keys(worker) {
            return true;
        }
        let store = self.store.clone();
        let now = self.step(worker, &store);
        self.workers[worker].look(&now);
        self.take(worker, None);
        let keys = self.keys(worker);
        if let Keys::Unavailable { .. } = keys {
            self.workers[worker].ask();
        }
        matches!(keys, Keys::Ready(_))
    }

    pub(crate) fn unknown_kid(&mut self, worker: usize) -> UnknownKid {
        self.unknown_kid_that_came(worker, None)
    }

    /// Asks as a request does that waited, and saw `came` when it came.
    pub(crate) fn unknown_kid_that_came(
        &mut self,
        worker: usize,
        came: Option<Seen>,
    ) -> UnknownKid {
        self.want(worker, None, came)
    }

    /// The same for a token of this kid.
    pub(crate) fn want(
        &mut self,
        worker: usize,
        kid: Option<&str>,
        came: Option<Seen>,
    ) -> UnknownKid {
        let store = self.store.clone();
        let now = self.step(worker, &store);
        let outcome = self.workers[worker].unknown_kid(kid, came, &now);
        self.take(worker, None);
        outcome
    }

    pub(crate) fn keys(&self, worker: usize) -> Keys {
        self.workers[worker].keys(self.clock(worker))
    }

    pub(crate) fn kids(&self, worker: usize) -> Vec<String> {
        match self.keys(worker) {
            Keys::Ready(keys) => keys
                .keys()
                .iter()
                .map(|key| key.kid().unwrap_or_default().to_owned())
                .collect(),
            _ => Vec::new(),
        }
    }
}

/// Workers that share any kind of document.
impl<S: Source> World<S> {
    pub(crate) fn sharing(
        store: Store,
        workers: usize,
        seed: u64,
        source: impl Fn() -> S + 'static,
    ) -> Self {
        let mut world = Self {
            now: Millis(1_000_000),
            store,
            clocks_apart: 0,
            workers: Vec::new(),
            calls: Vec::new(),
            dispatched: 0,
            events: Vec::new(),
            most_calls_under_one_lease: 0,
            under_way: Vec::new(),
            source: Box::new(source),
            random: seed,
        };
        for _ in 0..workers {
            let worker = world.fresh_worker();
            world.workers.push(worker);
        }
        world
    }

    /// What a worker decides with.
    pub(crate) fn value(&self, worker: usize) -> Finding<&S::Value> {
        self.workers[worker].value(self.clock(worker))
    }

    /// Asks for a newer document, as a request does that needs one.
    pub(crate) fn ask_early(&mut self, worker: usize) -> Early {
        let store = self.store.clone();
        let now = self.step(worker, &store);
        self.workers[worker].ask_early(&now)
    }

    /// A worker is told that its calls will never be answered.
    pub(crate) fn abandon(&mut self, worker: usize) {
        let store = self.store.clone();
        let now = self.step(worker, &store);
        self.workers[worker].abandon(&now);
        self.calls.retain(|call| call.worker != worker);
        self.under_way.clear();
    }

    /// A worker's own clock.
    fn clock(&self, worker: usize) -> Millis {
        let ahead = u64::try_from(worker).unwrap() * self.clocks_apart;
        self.now.after(Duration::from_millis(ahead))
    }

    fn fresh_worker(&mut self) -> Lifecycle<S> {
        let holder = self.next_random();
        Lifecycle::new((self.source)(), holder)
    }

    /// SplitMix64: any well-spread sequence will do.
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.random;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// The time, randomness and store for a worker's next step.
    fn step<'s>(&mut self, worker: usize, store: &'s Store) -> Now<'s> {
        Now {
            at: self.clock(worker),
            random: self.next_random(),
            store,
        }
    }

    fn take(&mut self, worker: usize, call: Option<(FlightId, Call)>) {
        self.events.extend(self.workers[worker].take_events());
        if let Some((flight, call)) = call {
            // A worker whose clock is ahead sees a lease end sooner by that. The call has ended by
            // then, since a lease runs half a second longer.
            let ahead = Duration::from_millis(3 * self.clocks_apart);
            let lease = self.workers[worker].fetch_time() - ahead;
            let now = self.now;
            self.under_way.retain(|sent| now.since(*sent) < lease);
            self.under_way.push(now);
            self.most_calls_under_one_lease =
                self.most_calls_under_one_lease.max(self.under_way.len());
            self.dispatched += 1;
            self.calls.push(SentCall {
                worker,
                call,
                flight,
                sent_at: self.now,
            });
        }
    }

    fn tick_as(&mut self, worker: usize, urgent: bool) {
        let store = self.store.clone();
        let now = self.step(worker, &store);
        let call = self.workers[worker].tick(&now, urgent);
        self.take(worker, call);
    }

    pub(crate) fn tick(&mut self, worker: usize) {
        self.tick_as(worker, false);
    }

    pub(crate) fn tick_all(&mut self) {
        (0..self.workers.len()).for_each(|worker| self.tick_as(worker, false));
    }

    /// Ticks as workers do on which requests wait.
    pub(crate) fn tick_urgently(&mut self) {
        (0..self.workers.len()).for_each(|worker| self.tick_as(worker, true));
    }

    /// Lets time pass without ticks.
    pub(crate) fn pass(&mut self, millis: u64) {
        self.now = self.now.after(Duration::from_millis(millis));
    }

    /// Lets time pass. Every worker ticks each 10 ms, or 50 times if that is less often.
    pub(crate) fn advance(&mut self, millis: u64) {
        let step = (millis / 50).max(10);
        for _ in 0..millis.div_ceil(step) {
            self.pass(step);
            self.tick_all();
        }
    }

    /// Answers the oldest call.
    pub(crate) fn answer(&mut self, answer: Reply) {
        let call = self.calls.remove(0);
        if let Some(at) = self.under_way.iter().position(|sent| *sent == call.sent_at) {
            self.under_way.remove(at);
        }
        let store = self.store.clone();
        let now = self.step(call.worker, &store);
        let next = self.workers[call.worker].answer(call.flight, answer, &now);
        self.take(call.worker, next);
    }

    /// Lets time pass until a call is made, and answers it.
    pub(crate) fn answer_when_asked(&mut self, answer: Reply) {
        for _ in 0..200_000 {
            // Earlier calls get no answer, and end by their timeout.
            if self
                .calls
                .last()
                .is_some_and(|call| call.sent_at == self.now)
            {
                let call = self.calls.pop().unwrap();
                self.calls.insert(0, call);
                return self.answer(answer);
            }
            self.pass(10);
            self.tick_all();
        }
        panic!("no call was made");
    }

    pub(crate) fn settle_with(&mut self, document: &str) {
        self.tick_all();
        self.answer(ok(document));
        self.tick_urgently();
    }

    /// The worker's VM is lost, with what it knew and waited for.
    pub(crate) fn kill(&mut self, worker: usize) {
        self.calls.retain(|call| call.worker != worker);
        self.workers[worker] = self.fresh_worker();
    }
}
