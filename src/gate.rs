//! One worker's gate: the two flows put together.
//!
//! A request is decided at once, or parked until its provider's keys settle; a
//! tick or a response moves the keys on and decides what was parked.
//!
//! Architecture invariants: `&self` everywhere, and no borrow of the state is
//! held when a verdict is handed out, so that whatever the proxy calls back
//! while a verdict is carried out finds the gate free; and a parked request
//! leaves the line exactly once.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use crate::authn::{self, Decision, KeyRing, Means, Need};
use crate::cache::TokenCache;
use crate::config::{Config, KeySource, PerProvider, ProviderId};
use crate::door::{self, Carried, Exchange};
use crate::host::{Call, CallId, ContextId, Host, Reply};
use crate::http::request::Request;
use crate::http::response::Rejection;
use crate::jose::jwa::Algorithm;
use crate::jose::jwks::KeySet;
use crate::jose::jws::HeaderMemo;
use crate::jose::verifier::Verifier;
use crate::jwks::Now;
use crate::jwks::lifecycle::{Event, FlightId, Keys, Lifecycle, UnknownKid};
use crate::jwks::tally::Tally;
use crate::jwks::waiting::{Seen, Ticket, Waiter, Waiting, longest_wait};
use crate::metrics;
use crate::time::Millis;

/// Ticks while requests wait or no keys are there: bounds how long after a
/// snapshot a request on another worker is decided.
const BUSY_TICK: Duration = Duration::from_millis(10);
/// Ticks otherwise.
const IDLE_TICK: Duration = Duration::from_millis(200);
/// Ticks where no keys are fetched: for the log level to be followed.
const LOCAL_TICK: Duration = Duration::from_secs(5);
/// How often the gauges are set.
const GAUGES: Duration = Duration::from_secs(1);

pub use crate::door::Verdict;

/// What becomes of a request that has just arrived.
#[derive(Debug)]
pub enum Arrival<'g> {
    Decided(Verdict<'g>),
    /// It waits; the verdict comes from [`Gate::tick`] or [`Gate::answer`].
    Parked(Ticket),
}

/// Verdicts on requests that waited, in the order in which they arrived.
pub type Verdicts<'g> = Vec<(ContextId, Verdict<'g>)>;

pub struct Gate<H> {
    host: H,
    config: Config,
    verifier: Box<dyn Verifier>,
    cache: RefCell<TokenCache>,
    headers: RefCell<HeaderMemo>,
    state: RefCell<State>,
    tick_period: Cell<Duration>,
    idle_tick: Duration,
}

struct State {
    sources: PerProvider<Source>,
    waiting: Waiting<Parked>,
    /// What the gauge has of this worker.
    tally: Tally,
    calls: BTreeMap<CallId, Sent>,
    gauges_at: Millis,
}

/// A call that nobody has answered yet.
struct Sent {
    provider: ProviderId,
    flight: FlightId,
    /// The most octets of its response that are read.
    most: usize,
}

/// Where a provider's keys come from.
enum Source {
    Local(Rc<KeySet>),
    Remote(Box<Lifecycle>),
}

struct Parked {
    context: ContextId,
    request: Request,
}

impl<H: Host> Gate<H> {
    /// A gate that has no remote keys yet; the first tick starts to fetch them.
    pub fn new(host: H, config: Config, verifier: Box<dyn Verifier>) -> Self {
        let sources = config.providers.map(|provider| match &provider.keys {
            KeySource::Local(keys) => Source::Local(Rc::clone(keys)),
            KeySource::Remote(remote) => {
                Source::Remote(Box::new(Lifecycle::new(Rc::clone(remote), host.random())))
            }
        });
        for provider in &config.providers {
            if let KeySource::Local(keys) = &provider.keys {
                for key in keys.skipped() {
                    log::warn!("provider {}: skipped {key}", provider.name);
                }
            }
        }
        for (index, rule) in config.rules.all().iter().enumerate() {
            if rule.report_only {
                log::warn!(
                    "rules[{index}] only reports: what it would reject reaches the upstream"
                );
            }
        }
        for [first, other] in config.sharing_metrics() {
            log::warn!(
                "providers {} and {} count in the same metrics: rename one",
                first.name,
                other.name
            );
        }
        for algorithm in Algorithm::ASYMMETRIC {
            if !verifier.supports(*algorithm) {
                log::warn!(
                    "no verifier for {} here: tokens signed by it are refused",
                    algorithm.name()
                );
            }
        }
        let all_local = sources
            .iter()
            .all(|source| matches!(source, Source::Local(_)));
        let tick_period = if all_local { LOCAL_TICK } else { BUSY_TICK };
        host.tick_every(tick_period);
        Gate {
            state: RefCell::new(State {
                sources,
                waiting: Waiting::new(config.max_waiting),
                tally: Tally::new(host.random()),
                calls: BTreeMap::new(),
                gauges_at: Millis(0),
            }),
            tick_period: Cell::new(tick_period),
            idle_tick: if all_local { LOCAL_TICK } else { IDLE_TICK },
            cache: RefCell::new(TokenCache::new(&config.providers)),
            headers: RefCell::default(),
            host,
            config,
            verifier,
        }
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Carries out a verdict of this gate, and counts it.
    pub fn conclude(&self, verdict: &Verdict<'_>, exchange: &impl Exchange) -> Carried {
        door::carry_out(verdict, Some(&self.config), &self.host, exchange)
    }

    /// Decides a request, or parks it.
    pub fn request(&self, context: ContextId, request: Request) -> Arrival<'_> {
        let decision = self.decide(&request, None, None, Patience::Waits);
        let provider = match Verdict::of(decision) {
            Ok(verdict) => return Arrival::Decided(verdict),
            Err(Need::Keys(provider)) => provider,
        };
        let now = self.host.monotonic();
        let parked = {
            let mut state = self.state.borrow_mut();
            let (seen, deadline) = state.prospects(provider, now);
            state.waiting.enter(Waiter {
                provider,
                came: seen,
                seen,
                deadline,
                bytes: request.memory(),
                request: Parked { context, request },
            })
        };
        match parked {
            Some(ticket) => {
                log::debug!("request {context} waits for keys");
                self.set_tick(BUSY_TICK);
                Arrival::Parked(ticket)
            }
            None => Arrival::Decided(Verdict::reject(Rejection::TooManyWaiting {
                retry_after_seconds: 1,
            })),
        }
    }

    /// Forgets a parked request whose client left.
    pub fn leave(&self, ticket: Ticket) {
        self.state.borrow_mut().waiting.leave(ticket);
    }

    /// Moves the keys on by the time that passed.
    pub fn tick(&self) -> Verdicts<'_> {
        let now = self.host.monotonic();
        let mut settled = false;
        for provider in self.config.providers.ids() {
            let call = {
                let mut state = self.state.borrow_mut();
                let urgent = !state.waiting.is_empty();
                match &mut state.sources[provider] {
                    Source::Remote(lifecycle) => lifecycle.tick(&self.now(now), urgent),
                    Source::Local(_) => continue,
                }
            };
            settled |= self.carry_out(provider, call, now);
        }
        self.set_gauges(now);
        self.count_lookups();
        let verdicts = self.decide_settled(now);
        let busy = settled || {
            let state = self.state.borrow();
            !state.waiting.is_empty() || state.sources.iter().any(|source| source.is_restless(now))
        };
        self.set_tick(if busy { BUSY_TICK } else { self.idle_tick });
        verdicts
    }

    /// The most octets that are read of the response to a call; `None` where nobody waits for it.
    pub fn most(&self, call: CallId) -> Option<usize> {
        let state = self.state.borrow();
        Some(state.calls.get(&call)?.most)
    }

    /// Takes the response to a call of this gate.
    pub fn answer(&self, call: CallId, answer: Reply) -> Verdicts<'_> {
        let now = self.host.monotonic();
        let sent = self.state.borrow_mut().calls.remove(&call);
        let Some(Sent {
            provider, flight, ..
        }) = sent
        else {
            return Vec::new();
        };
        let call = self.next_call(provider, flight, answer, now);
        self.carry_out(provider, call, now);
        self.decide_settled(now)
    }

    /// Gives up the calls of a gate whose root context goes away: the proxy drops
    /// them with it.
    pub fn abandon_calls(&self) {
        let now = self.host.monotonic();
        let mut state = self.state.borrow_mut();
        state.calls.clear();
        // Nobody ticks for those that still wait.
        let change = state.tally.tell(0, now, &self.host);
        if change != 0 {
            self.host.gauge_add(metrics::WAITING, change);
        }
        for source in &mut state.sources {
            if let Source::Remote(lifecycle) = source {
                lifecycle.abandon(&self.now(now));
            }
        }
    }

    fn now(&self, at: Millis) -> Now<'_> {
        Now {
            at,
            random: self.host.random(),
            store: &self.host,
        }
    }

    fn next_call(
        &self,
        provider: ProviderId,
        flight: FlightId,
        answer: Reply,
        now: Millis,
    ) -> Option<(FlightId, Call)> {
        match &mut self.state.borrow_mut().sources[provider] {
            Source::Remote(lifecycle) => lifecycle.answer(flight, answer, &self.now(now)),
            Source::Local(_) => None,
        }
    }

    /// Tells what a step brought, and sends its call. True if there was anything to tell.
    fn carry_out(
        &self,
        provider: ProviderId,
        mut call: Option<(FlightId, Call)>,
        now: Millis,
    ) -> bool {
        let mut any = self.tell_events(provider);
        while let Some((flight, sent)) = call.take() {
            match self.host.dispatch(&sent) {
                Some(id) => {
                    let calls = &mut self.state.borrow_mut().calls;
                    // A call that was given up is not waited for any more.
                    calls.retain(|_, other| other.provider != provider);
                    let most = sent.most;
                    calls.insert(
                        id,
                        Sent {
                            provider,
                            flight,
                            most,
                        },
                    );
                }
                None => {
                    call = self.next_call(provider, flight, Reply::NotSent, now);
                    any |= self.tell_events(provider);
                }
            }
        }
        any
    }

    /// Tells what happened to a provider's keys since this was last done. True if anything did.
    fn tell_events(&self, provider: ProviderId) -> bool {
        let events = match &mut self.state.borrow_mut().sources[provider] {
            Source::Remote(lifecycle) => lifecycle.take_events(),
            Source::Local(_) => return false,
        };
        let any = !events.is_empty();
        for event in events {
            self.tell(provider, event);
        }
        any
    }

    /// One line in the log for each change of a provider's keys, and its counts.
    fn tell(&self, provider: ProviderId, event: Event) {
        let name = &self.config.providers[provider].name;
        match event {
            Event::Fetched {
                generation,
                keys,
                skipped,
                news,
            } => {
                self.host.count(&metrics::jwks_fetch(name, true), 1);
                let level = if news {
                    log::Level::Info
                } else {
                    log::Level::Debug
                };
                log::log!(
                    level,
                    "provider {name}: fetched {keys} usable keys, set {generation}"
                );
                for key in skipped.iter().filter(|_| news) {
                    log::warn!("provider {name}: skipped {key}");
                }
            }
            Event::Failed {
                error,
                asked,
                failures,
                news,
            } => {
                self.host.count(&metrics::jwks_fetch(name, false), 1);
                let level = if news {
                    log::Level::Warn
                } else {
                    log::Level::Debug
                };
                log::log!(
                    level,
                    "provider {name}: fetching keys failed ({failures} in a row): {asked}: {error}"
                );
            }
            Event::Installed { generation } => {
                log::debug!("provider {name}: verifies with set {generation}");
            }
            Event::LeaseLost => log::debug!("provider {name}: another worker fetches"),
            Event::Expired => {
                log::warn!("provider {name}: its keys are past max_stale and no longer used");
            }
        }
    }

    /// Decides the parked requests whose keys have settled or whose time is up.
    fn decide_settled(&self, now: Millis) -> Verdicts<'_> {
        let taken = {
            let mut state = self.state.borrow_mut();
            let State {
                sources, waiting, ..
            } = &mut *state;
            waiting.take_settled(now, |provider, seen| sources[provider].settled(seen))
        };
        let mut verdicts = Vec::with_capacity(taken.len());
        for (ticket, waiter) in taken {
            let patience = if now < waiter.deadline {
                Patience::Waits
            } else {
                Patience::Over
            };
            let came = Some((waiter.provider, waiter.came));
            let decision = self.decide(&waiter.request.request, Some(now), came, patience);
            let verdict = match Verdict::of(decision) {
                Ok(verdict) => verdict,
                Err(Need::Keys(provider)) if patience == Patience::Waits => {
                    let mut state = self.state.borrow_mut();
                    let seen = state.prospects(provider, now).0;
                    let same = provider == waiter.provider;
                    state.waiting.put_back(
                        ticket,
                        Waiter {
                            provider,
                            came: if same { waiter.came } else { seen },
                            seen,
                            ..waiter
                        },
                    );
                    continue;
                }
                Err(Need::Keys(provider)) => {
                    let retry_after = self.state.borrow().retry_after(provider, now);
                    Verdict::reject(Rejection::keys_unavailable(retry_after))
                }
            };
            verdicts.push((waiter.request.context, verdict));
        }
        self.tell_waiting(now);
        verdicts
    }

    /// Brings the gauge to what waits here. A VM that traps tells nothing any more, and what it told
    /// is taken out by another.
    fn tell_waiting(&self, now: Millis) {
        let mut state = self.state.borrow_mut();
        if state
            .sources
            .iter()
            .all(|source| matches!(source, Source::Local(_)))
        {
            return;
        }
        let State { waiting, tally, .. } = &mut *state;
        let change = tally.tell(waiting.len(), now, &self.host);
        if change != 0 {
            self.host.gauge_add(metrics::WAITING, change);
        }
    }

    /// Decides with the keys there are, asking for newer ones where the right one may be missing.
    /// Without `now` the clock is asked if need be: keys of the configuration have no age. `came`:
    /// what a request that waited saw of a provider's keys when it came.
    fn decide(
        &self,
        request: &Request,
        now: Option<Millis>,
        came: Option<(ProviderId, Seen)>,
        patience: Patience,
    ) -> Decision<'_> {
        let ring = Ring {
            gate: self,
            now: Cell::new(now),
            came,
            patience,
        };
        let means = Means {
            keys: &ring,
            verifier: &*self.verifier,
            cache: &self.cache,
            headers: &self.headers,
            now: self.host.unix_seconds(),
        };
        authn::authenticate(request, &self.config, &means)
    }

    /// A provider's keys. Where this worker has none, it looks whether another
    /// has shared some before a request waits or is turned away.
    fn keys(&self, provider: ProviderId, now: impl FnOnce() -> Millis) -> Keys {
        let keys = match &mut self.state.borrow_mut().sources[provider] {
            Source::Local(keys) => return Keys::Ready(Rc::clone(keys)),
            Source::Remote(lifecycle) => {
                let now = now();
                match lifecycle.keys(now) {
                    ready @ Keys::Ready(_) => return ready,
                    _ => {
                        lifecycle.look(&self.now(now));
                        let keys = lifecycle.keys(now);
                        if let Keys::Unavailable { .. } = keys {
                            lifecycle.ask();
                        }
                        keys
                    }
                }
            }
        };
        self.tell_events(provider);
        keys
    }

    fn set_tick(&self, period: Duration) {
        if self.tick_period.replace(period) != period {
            self.host.tick_every(period);
        }
    }

    /// Counts the cache's look-ups by the tick, not by the request.
    fn count_lookups(&self) {
        let (hits, misses) = self.cache.borrow_mut().take_lookups();
        for (counter, lookups) in [(metrics::CACHE_HIT, hits), (metrics::CACHE_MISS, misses)] {
            if lookups > 0 {
                self.host.count(counter, lookups);
            }
        }
    }

    fn set_gauges(&self, now: Millis) {
        let mut state = self.state.borrow_mut();
        if now < state.gauges_at {
            return;
        }
        state.gauges_at = now.after(GAUGES);
        for (id, source) in state.sources.entries() {
            if let Source::Remote(lifecycle) = source
                && let Some(age) = lifecycle.age(now)
            {
                self.host.gauge(
                    &metrics::jwks_age(&self.config.providers[id].name),
                    age.as_secs(),
                );
            }
        }
    }
}

/// Whether a request can still wait for keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Patience {
    Waits,
    /// Keys that are on their way count as keys that are not to be had.
    Over,
}

/// The keys as one decision sees them.
struct Ring<'g, H> {
    gate: &'g Gate<H>,
    /// Once it was asked for.
    now: Cell<Option<Millis>>,
    came: Option<(ProviderId, Seen)>,
    patience: Patience,
}

impl<H: Host> Ring<'_, H> {
    fn now(&self) -> Millis {
        let now = self.now.get().unwrap_or_else(|| self.gate.host.monotonic());
        self.now.set(Some(now));
        now
    }

    fn retry_after(&self, provider: ProviderId) -> Duration {
        let state = self.gate.state.borrow();
        state.retry_after(provider, self.now())
    }
}

impl<H: Host> KeyRing for Ring<'_, H> {
    fn keys(&self, provider: ProviderId) -> Keys {
        match self.gate.keys(provider, || self.now()) {
            Keys::Pending if self.patience == Patience::Over => Keys::Unavailable {
                retry_after: self.retry_after(provider),
            },
            keys => keys,
        }
    }

    fn unknown_kid(&self, provider: ProviderId) -> UnknownKid {
        let gate = self.gate;
        let came = self.came.filter(|(of, _)| *of == provider);
        let came = came.map(|(_, seen)| seen);
        let verdict = match &mut gate.state.borrow_mut().sources[provider] {
            Source::Remote(lifecycle) => lifecycle.unknown_kid(came, &gate.now(self.now())),
            Source::Local(_) => UnknownKid::NoSuchKey,
        };
        gate.tell_events(provider);
        match verdict {
            UnknownKid::Wait if self.patience == Patience::Over => UnknownKid::Unavailable {
                retry_after: self.retry_after(provider),
            },
            verdict => verdict,
        }
    }
}

impl State {
    /// What a request sees that begins to wait for `provider`, and until when it
    /// waits at most.
    fn prospects(&self, provider: ProviderId, now: Millis) -> (Seen, Millis) {
        match &self.sources[provider] {
            Source::Remote(lifecycle) => (
                lifecycle.seen(),
                now.after(longest_wait(lifecycle.fetch_time())),
            ),
            Source::Local(_) => (Seen::default(), now),
        }
    }

    fn retry_after(&self, provider: ProviderId, now: Millis) -> Duration {
        match &self.sources[provider] {
            Source::Remote(lifecycle) => lifecycle.retry_after(now),
            Source::Local(_) => Duration::ZERO,
        }
    }
}

impl Source {
    fn settled(&self, seen: Seen) -> bool {
        match self {
            Source::Local(_) => true,
            Source::Remote(lifecycle) => lifecycle.settled(seen),
        }
    }

    fn is_restless(&self, now: Millis) -> bool {
        match self {
            Source::Local(_) => false,
            Source::Remote(lifecycle) => lifecycle.is_restless(now),
        }
    }
}
