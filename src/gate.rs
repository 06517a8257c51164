//! One worker's gate: the two flows put together.
//!
//! A request is decided at once, or parked at the [desk](crate::desk) until the fact that it lacks
//! is there. A tick or a response moves the desk on and decides the parked requests.
//!
//! Architecture invariants: every method takes `&self`, and no borrow of the state is held when a
//! verdict is returned, so that the proxy may call the gate while a verdict is carried out; and a
//! parked request leaves the line exactly once.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use crate::authn::{self, Answer, Context, Decision};
use crate::cache::TokenCache;
use crate::config::{Config, KeySource, ProviderId, SignIn};
use crate::desk::question::{Answered, Question, Unclear};
use crate::desk::{Basis, Desk, Facts, Metadata, Need, Seen, Ticket};
use crate::document::finding::Finding;
use crate::door::{self, Carried, Exchange};
use crate::ended::{self, Known, Mark};
use crate::fleet::SignOuts;
use crate::host::{CallId, ContextId, Host, Reply};
use crate::http::request::{Body, Request};
use crate::http::response::Rejection;
use crate::jose::jwa::Algorithm;
use crate::jose::jws::HeaderMemo;
use crate::jose::verifier::Verifier;
use crate::jwks::keys::{Keys, UnknownKid};
use crate::metrics;
use crate::sign_in::{Outcome, People, Renewal, Sessions, Steady, drawn_key};
use crate::time::{Millis, whole_seconds};

/// The time between ticks while requests wait or keys are missing. It bounds how long after a
/// snapshot a request on another worker is decided.
const BUSY_TICK: Duration = Duration::from_millis(10);
/// The time between other ticks.
const IDLE_TICK: Duration = Duration::from_millis(200);
/// The time between ticks where no keys are fetched: such a tick only follows the log level.
const LOCAL_TICK: Duration = Duration::from_secs(5);

pub use crate::door::Verdict;

/// What happens to a request that has just arrived.
#[derive(Debug)]
pub enum Arrival<'g> {
    /// No fact was missing.
    Decided(Verdict<'g>),
    /// It waits; the verdict comes from [`Gate::tick`] or [`Gate::reply`].
    Parked(Ticket),
    /// It waits for its own body, which [`Gate::body`] takes, of so many octets at most.
    Reading(Ticket, usize),
}

/// Verdicts on requests that waited, in the order in which they must be carried out: that in which the
/// requests arrived, but for [`Verdict::rank`].
pub type Verdicts<'g> = Vec<(ContextId, Verdict<'g>)>;

/// One worker's configuration, and all that it knows from outside: keys, answers, verified tokens.
pub struct Gate<H> {
    host: H,
    config: Config,
    verifier: Box<dyn Verifier>,
    cache: RefCell<TokenCache>,
    headers: RefCell<HeaderMemo>,
    /// `None` where nobody signs in, or the host has no randomness for it.
    sessions: Option<Sessions>,
    /// The sessions that ended before their time.
    ended: RefCell<ended::List>,
    /// What other Envoys have told of such sessions, where they share a store.
    sign_outs: Option<RefCell<SignOuts>>,
    desk: RefCell<Desk<Parked>>,
    /// Requests that were let through since the last tick.
    allowed: Cell<u64>,
    tick_period: Cell<Duration>,
    idle_tick: Duration,
}

struct Parked {
    context: ContextId,
    request: Request,
    steady: Steady,
}

impl Parked {
    fn new(context: ContextId, request: Request) -> Self {
        Self {
            context,
            request,
            steady: Steady::default(),
        }
    }
}

impl<H: Host> Gate<H> {
    /// A gate without remote keys; the first tick begins to fetch them.
    pub fn new(host: H, config: Config, verifier: Box<dyn Verifier>) -> Self {
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
        let desk = Desk::new(&config.providers, config.max_waiting, &host);
        let all_local = desk.keys_are_local();
        let asks = !all_local || config.fleet_store.is_some();
        let tick_period = if asks { BUSY_TICK } else { LOCAL_TICK };
        host.tick_every(tick_period);
        let sign_in = config.sign_in.as_ref();
        if sign_in.is_some() {
            // An increase from nothing is none to who watches.
            for counter in [metrics::ENDED_LOST, metrics::ENDED_FULL] {
                host.count(counter, 0);
            }
        }
        // A session that ends on one worker must be over on all.
        let sign_in = sign_in.filter(|_| host.shares());
        let keyring = sign_in.and_then(|sign_in| match &sign_in.keyring {
            Some(keyring) => Some(keyring.clone()),
            None => drawn_key::keyring(&host),
        });
        let sessions = keyring.map(Sessions::new);
        let sign_outs = config.fleet_store.as_ref().zip(sessions.as_ref());
        let sign_outs = sign_outs.map(|(store, sessions)| {
            for counter in [
                metrics::STORE_DROPPED,
                metrics::STORE_FAILED,
                metrics::STORE_LOST,
                metrics::STORE_STALE,
                metrics::SESSION_STORE_FAILED,
                metrics::SESSION_STORE_MISSING,
            ] {
                host.count(counter, 0);
            }
            let keyring = Rc::clone(sessions.keyring());
            let longest = sign_in.map_or(u64::MAX, SignIn::longest_session);
            RefCell::new(SignOuts::new(store, keyring, longest, host.random()))
        });
        Self {
            sessions,
            ended: RefCell::default(),
            sign_outs,
            desk: RefCell::new(desk),
            allowed: Cell::default(),
            tick_period: Cell::new(tick_period),
            idle_tick: if asks { IDLE_TICK } else { LOCAL_TICK },
            cache: RefCell::new(TokenCache::new(&config.providers)),
            headers: RefCell::default(),
            host,
            config,
            verifier,
        }
    }

    /// The configuration that decides its requests.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Carries out a verdict of this gate, and counts it. Nobody is told that a session is over
    /// before every worker knows it; other Envoys are told afterwards.
    pub fn conclude(&self, verdict: &Verdict<'_>, exchange: &impl Exchange) -> Carried {
        let refused;
        let verdict = match verdict {
            Verdict::Answer(Answer { outcome, .. }) if !self.carry_out(outcome) => {
                refused = Verdict::reject(Rejection::NotEnded {
                    retry_after_seconds: 1,
                });
                &refused
            }
            verdict => verdict,
        };
        let carried = door::carry_out(verdict, Some(&self.config), &self.host, exchange);
        if carried == Carried::Admitted {
            self.allowed.set(self.allowed.get().saturating_add(1));
        }
        carried
    }

    /// Ends sessions, and tells the provider and the store. False where they could not be ended.
    fn carry_out(&self, outcome: &Outcome) -> bool {
        let (ending, errands) = outcome.deeds();
        if let Some(ending) = ending {
            let now = self.now_of_ended(self.host.unix_seconds());
            if let Err(why) = self.ended.borrow_mut().end(ending, now) {
                log::warn!("a session cannot be ended: {why:?}");
                return false;
            }
            if let Some(sign_outs) = &self.sign_outs {
                sign_outs.borrow_mut().tell(ending, &self.host);
                self.set_tick(BUSY_TICK);
            }
        }
        for errand in errands {
            let now = self.host.monotonic();
            self.desk.borrow_mut().send(errand.clone(), now);
            self.set_tick(BUSY_TICK);
        }
        true
    }

    /// The sessions that still may be put into the browser: those that have not ended since, on any
    /// worker.
    pub fn still_good(&self, mut renewed: Vec<Renewal>) -> Vec<Renewal> {
        if !renewed.is_empty() {
            let now = self.now_of_ended(self.host.unix_seconds());
            let mut ended = self.ended.borrow_mut();
            ended.look(now);
            renewed.retain(|renewal| !ended.is_over(&renewal.session, now));
        }
        renewed
    }

    /// `unix_seconds`: as [`Host::unix_seconds`].
    fn now_of_ended(&self, unix_seconds: f64) -> ended::Now<'_> {
        ended::Now {
            at: whole_seconds(unix_seconds),
            random: self.host.random(),
            store: &self.host,
        }
    }

    /// Decides a request, or parks it.
    pub fn request(&self, context: ContextId, request: Request) -> Arrival<'_> {
        let parked = Parked::new(context, request);
        let decision = self.decide(&parked, None, None, Patience::Waits);
        let need = match Verdict::from_decision(decision) {
            Ok(verdict) => return Arrival::Decided(verdict),
            Err(need) => need,
        };
        let now = self.host.monotonic();
        let most = match &need {
            Need::Body(most) => Some(*most),
            Need::Keys(_) | Need::Answer(_) | Need::SignOuts => None,
        };
        let octets = parked.request.memory().saturating_add(most.unwrap_or(0));
        let entered = self.desk.borrow_mut().enter(need, octets, parked, now);
        match entered {
            Ok(ticket) => {
                log::debug!("request {context} waits");
                self.set_tick(BUSY_TICK);
                match most {
                    Some(most) => Arrival::Reading(ticket, most),
                    None => Arrival::Parked(ticket),
                }
            }
            Err(parked) => Arrival::Decided(self.without_waiting(&parked, now, None)),
        }
    }

    /// Decides a request that would wait, where no more requests may: what it waits for may only be
    /// better to have, as a session that is refreshed before it must be.
    fn without_waiting(
        &self,
        parked: &Parked,
        now: Millis,
        came: Option<(ProviderId, Seen)>,
    ) -> Verdict<'_> {
        let decision = self.decide(parked, Some(now), came, Patience::Over);
        match Verdict::from_decision(decision) {
            Ok(admitted @ Verdict::Admit(_)) => admitted,
            _ => Verdict::reject(Rejection::TooManyWaiting {
                retry_after_seconds: 1,
            }),
        }
    }

    /// Decides a request anew whose body was read; `None` where it was decided without it.
    pub fn body(&self, ticket: Ticket, body: Body) -> Option<Arrival<'_>> {
        let Parked {
            context, request, ..
        } = self.desk.borrow_mut().take(ticket)?;
        Some(self.request(context, request.with_body(body)))
    }

    /// Forgets a parked request whose client left.
    pub fn leave(&self, ticket: Ticket) {
        self.desk.borrow_mut().leave(ticket);
    }

    /// Moves the desk on by the time that passed.
    pub fn tick(&self) -> Verdicts<'_> {
        let now = self.host.monotonic();
        let hears = self.hear(|sign_outs, list| {
            sign_outs.tick(&self.host, list);
            sign_outs.is_restless()
        });
        let any = self.desk.borrow_mut().tick(&self.host, now);
        self.count();
        let verdicts = self.decide_settled(now);
        let busy = any || hears || self.desk.borrow().is_restless(now);
        self.set_tick(if busy { BUSY_TICK } else { self.idle_tick });
        verdicts
    }

    /// Has the sign-outs of other Envoys move on, and requests wait for them or not.
    fn hear(&self, step: impl FnOnce(&mut SignOuts, &mut ended::List) -> bool) -> bool {
        let Some(sign_outs) = &self.sign_outs else {
            return false;
        };
        let mut sign_outs = sign_outs.borrow_mut();
        let outcome = step(&mut sign_outs, &mut self.ended.borrow_mut());
        let is_pending = sign_outs.standing() == Finding::Pending;
        let call = is_pending.then(|| sign_outs.longest_call());
        self.desk.borrow_mut().await_sign_outs(call);
        outcome
    }

    /// How many octets of the response to a call are read at most; `None` where nobody waits for
    /// it.
    pub fn most(&self, call: CallId) -> Option<usize> {
        let of_store = self.sign_outs.as_ref();
        let of_store = of_store.and_then(|sign_outs| sign_outs.borrow().most(call));
        of_store.or_else(|| self.desk.borrow().most(call))
    }

    /// Takes the outcome of a call of this gate.
    pub fn reply(&self, call: CallId, reply: Reply) -> Verdicts<'_> {
        let now = self.host.monotonic();
        let is_of_store =
            self.hear(|sign_outs, list| sign_outs.reply(call, &reply, &self.host, list));
        if is_of_store || self.desk.borrow_mut().reply(call, reply, &self.host, now) {
            self.decide_settled(now)
        } else {
            Vec::new()
        }
    }

    /// Gives up all calls, and counts what is not counted yet, when the root context goes away.
    pub fn end(&self) {
        self.count();
        let now = self.host.monotonic();
        self.desk.borrow_mut().abandon(&self.host, now);
        if let Some(sign_outs) = &self.sign_outs {
            sign_outs.borrow_mut().abandon(&self.host);
        }
    }

    /// Decides the parked requests whose fact is settled or whose time is up.
    fn decide_settled(&self, now: Millis) -> Verdicts<'_> {
        let taken = self.desk.borrow_mut().take_settled(now);
        let mut verdicts: Verdicts<'_> = Vec::with_capacity(taken.len());
        for settled in taken {
            let patience = if settled.has_time {
                Patience::Waits
            } else {
                Patience::Over
            };
            let parked = settled.request();
            let (context, came) = (parked.context, settled.came());
            let decision = self.decide(parked, Some(now), came, patience);
            let verdict = match Verdict::from_decision(decision) {
                Ok(verdict) => verdict,
                Err(need) if patience == Patience::Waits => {
                    let waits = self.desk.borrow_mut().wait_on(settled, need, now);
                    match waits {
                        Ok(()) => continue,
                        Err(full) => self.without_waiting(full.request(), now, came),
                    }
                }
                Err(need) => {
                    let retry_after = self.desk.borrow().retry_after(&need, now);
                    Verdict::reject(match need {
                        Need::Keys(_) => Rejection::keys_unavailable(retry_after),
                        Need::Answer(_) => Rejection::provider_unavailable(retry_after),
                        Need::SignOuts => Rejection::sign_outs_unknown(retry_after),
                        Need::Body(_) => {
                            log::warn!(
                                "a body did not come: the plugin needs allow_on_headers_stop_iteration"
                            );
                            Rejection::BodyMissing
                        }
                    })
                }
            };
            // Nothing has ended yet of what these end, and the others were decided so.
            let rank = verdict.rank();
            let is_before = |(_, known): &(_, Verdict<'_>)| known.rank() <= rank;
            let at = verdicts.iter().rposition(is_before);
            verdicts.insert(at.map_or(0, |at| at.saturating_add(1)), (context, verdict));
        }
        self.desk.borrow_mut().tell_waiting(&self.host, now);
        verdicts
    }

    /// Decides with the facts that are there. Without `now`, the clock is read if it is needed:
    /// keys of the configuration have no age. `came`: what a request that waited saw of a
    /// provider's keys when it came.
    fn decide(
        &self,
        parked: &Parked,
        now: Option<Millis>,
        came: Option<(ProviderId, Seen)>,
        patience: Patience,
    ) -> Decision<'_> {
        let unix_seconds = self.host.unix_seconds();
        let facts = Consultation {
            gate: self,
            unix_seconds,
            now: Cell::new(now),
            came,
            patience,
            has_looked: Cell::new(false),
        };
        let entropy = |into: &mut [u8]| self.host.entropy(into);
        let context = Context {
            basis: Basis {
                facts: &facts,
                verifier: &*self.verifier,
                headers: &self.headers,
                now: unix_seconds,
            },
            cache: &self.cache,
            people: self.sessions.as_ref().map(|sessions| People {
                sessions,
                entropy: &entropy,
                steady: &parked.steady,
            }),
        };
        authn::authenticate(&parked.request, &self.config, &context)
    }

    fn set_tick(&self, period: Duration) {
        if self.tick_period.replace(period) != period {
            self.host.tick_every(period);
        }
    }

    /// Counts once for each tick, not for each request: admissions, the cache's look-ups, and what the
    /// list of ended sessions has lost. A call of the host is a good part of what a known token costs.
    fn count(&self) {
        let (hits, misses) = self.cache.borrow_mut().take_lookups();
        let ended::Losses { lost, full } = self.ended.borrow_mut().take_losses();
        for (counter, times) in [
            (metrics::ALLOWED, self.allowed.take()),
            (metrics::CACHE_HIT, hits),
            (metrics::CACHE_MISS, misses),
            (metrics::ENDED_LOST, lost),
            (metrics::ENDED_FULL, full),
        ] {
            if times > 0 {
                self.host.count(counter, times);
            }
        }
    }
}

/// Whether a request can still wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Patience {
    Waits,
    /// A fact that is on its way counts as unavailable.
    Over,
}

/// The desk, as one decision sees it.
struct Consultation<'g, H> {
    gate: &'g Gate<H>,
    /// The time of the decision; see [`Host::unix_seconds`].
    unix_seconds: f64,
    /// The time, once it was needed.
    now: Cell<Option<Millis>>,
    came: Option<(ProviderId, Seen)>,
    patience: Patience,
    /// Whether this decision knows what the list of ended sessions is.
    has_looked: Cell<bool>,
}

impl<H: Host> Consultation<'_, H> {
    fn now(&self) -> Millis {
        let now = self.now.get().unwrap_or_else(|| self.gate.host.monotonic());
        self.now.set(Some(now));
        now
    }

    /// The fact; if the request can wait no longer, a pending fact counts as unavailable.
    fn in_time<T>(&self, fact: Finding<T>, need: impl FnOnce() -> Need) -> Finding<T> {
        match self.patience {
            Patience::Waits => fact,
            Patience::Over => fact.or_unavailable(|| {
                let desk = self.gate.desk.borrow();
                desk.retry_after(&need(), self.now())
            }),
        }
    }
}

impl<H: Host> Facts for Consultation<'_, H> {
    fn keys(&self, provider: ProviderId) -> Keys {
        let host = &self.gate.host;
        let mut desk = self.gate.desk.borrow_mut();
        let keys = desk.keys(provider, host, || self.now());
        drop(desk);
        self.in_time(keys, || Need::Keys(provider))
    }

    fn unknown_kid(&self, provider: ProviderId, kid: Option<&str>) -> UnknownKid {
        let host = &self.gate.host;
        let mut desk = self.gate.desk.borrow_mut();
        match desk.unknown_kid((provider, kid), self.came, host, || self.now()) {
            UnknownKid::Wait if self.patience == Patience::Over => UnknownKid::Unavailable {
                retry_after: desk.retry_after(&Need::Keys(provider), self.now()),
            },
            outcome => outcome,
        }
    }

    fn used(&self, provider: ProviderId, kid: Option<&str>) {
        let mut desk = self.gate.desk.borrow_mut();
        desk.used(provider, kid, || self.now());
    }

    fn metadata(&self, provider: ProviderId) -> Finding<Rc<Metadata>> {
        let host = &self.gate.host;
        let mut desk = self.gate.desk.borrow_mut();
        let metadata = desk.metadata(provider, host, || self.now());
        drop(desk);
        self.in_time(metadata, || Need::Keys(provider))
    }

    fn answer(&self, question: &Question) -> Finding<Result<Rc<Answered>, Unclear>> {
        let (host, now) = (&self.gate.host, self.now());
        let answer = self.gate.desk.borrow_mut().answer(question, host, now);
        self.in_time(answer, || Need::Answer(Box::new(question.clone())))
    }

    fn sign_outs(&self) -> Finding<()> {
        let Some(sign_outs) = &self.gate.sign_outs else {
            return Finding::Ready(());
        };
        let standing = sign_outs.borrow().standing();
        self.in_time(standing, || Need::SignOuts)
    }

    fn is_over(&self, session: &Known) -> bool {
        let now = self.gate.now_of_ended(self.unix_seconds);
        let mut ended = self.gate.ended.borrow_mut();
        if !self.has_looked.replace(true) {
            ended.look(now);
        }
        ended.is_over(session, now)
    }

    fn knows_token(&self, token: &Mark) -> bool {
        ended::knows_token(token, &self.gate.host)
    }
}
