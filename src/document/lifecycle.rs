//! One source's document, as one worker sees it: a state machine without I/O that brings together
//! which call comes next ([`Source`]), who makes it ([`Share`]), when ([`Schedule`]), and how long
//! the document is used ([`Freshness`]).
//!
//! Invariants, each a property test in `tests/lifecycle`:
//! - of all workers of a process, at most one has a call in flight for a source
//!   while its lease runs;
//! - a document is used only until `cache_duration + max_stale` after its fetch;
//! - a bad answer changes nothing but the back-off: a good document is replaced only
//!   by a good one.

use std::time::Duration;

use super::Now;
use super::back_off::{BackOff, Bounds, Refusal};
use super::event::Event;
use super::fetch::FetchError;
use super::finding::Finding;
use super::freshness::Freshness;
use super::lease::Share;
use super::schedule::{Schedule, Turn, longest_back_off};
use super::snapshot::Snapshot;
use super::source::{Content, Fetched, Next, Source};
use crate::host::{Call, Reply};
use crate::shown::Shown;
use crate::time::Millis;

/// How much longer than its calls a lease runs, so that a living holder always ends its own lease.
const LEASE_MARGIN: Duration = Duration::from_millis(500);

/// The longest time that one fetch of a source can take.
pub fn fetch_time(source: &impl Source) -> Duration {
    source.longest().saturating_add(LEASE_MARGIN)
}
/// How old a cache's copy may be that answers a fetch ahead of schedule, in seconds (RFC 9111 section 5.2.1.1): whoever
/// causes such fetches in many proxies causes one call of their cache in this time.
pub const EARLY_MAX_AGE: u64 = 5;
/// Ticks are frequent while a call may be made within this time.
const SOON: Duration = Duration::from_millis(200);

/// Tells the calls of a worker for a source apart: the answer to a call that was given up is not
/// the answer to the next call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlightId(u64);

/// What a request saw of a document.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// Which document was installed; 0 before the first.
    pub generation: u64,
    /// How many tries had ended, each with its retries.
    pub rounds: u64,
    /// How many fetches had begun.
    pub begun: u64,
}

/// What comes of asking for a newer document, ahead of schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Early {
    /// A fetch is on its way, or begins with the next tick: wait for it.
    Pending,
    /// The document could not be renewed, or may not be yet.
    Unavailable {
        /// How long to wait before the next try.
        retry_after: Duration,
    },
}

#[derive(Debug)]
struct Installed<V> {
    value: V,
    content: Content,
    generation: u64,
    /// The number of the fetch that brought it.
    fetch: u64,
    freshness: Freshness,
}

/// This worker's own call.
#[derive(Debug)]
struct Flight<G> {
    id: FlightId,
    /// The number of the fetch.
    fetch: u64,
    /// Whether it is ahead of schedule.
    is_early: bool,
    stage: G,
    /// The address and the cluster that are asked, in words.
    asked: String,
    lost_at: Millis,
}

/// One source's document, as one worker sees it.
#[derive(Debug)]
pub struct Lifecycle<S: Source> {
    source: S,
    share: Share,
    installed: Option<Installed<S::Value>>,
    expired_told: bool,
    flight: Option<Flight<S::Stage>>,
    flights: u64,
    /// Events that the caller has not taken yet.
    events: Vec<Event>,
    schedule: Schedule,
}

impl<S: Source> Lifecycle<S> {
    /// `holder`: random bits that no other worker has.
    pub fn new(source: S, holder: u64) -> Self {
        Self {
            share: Share::new(format!("{} {}", S::KIND, source.name()), holder),
            source,
            installed: None,
            expired_told: false,
            flight: None,
            flights: 0,
            events: Vec::new(),
            schedule: Schedule::default(),
        }
    }

    /// Where the document comes from.
    pub fn source(&self) -> &S {
        &self.source
    }

    /// The same, to tell it what is wanted of it.
    pub fn source_mut(&mut self) -> &mut S {
        &mut self.source
    }

    /// What to decide with at `now`. It is pending until the first fetch has ended.
    pub fn value(&self, now: Millis) -> Finding<&S::Value> {
        match &self.installed {
            Some(installed) if installed.freshness.is_usable(now) => {
                Finding::Ready(&installed.value)
            }
            _ if self.round_may_succeed() => Finding::Pending,
            _ => Finding::Unavailable {
                retry_after: self.retry_after(now),
            },
        }
    }

    /// What happened since the last call of this function, in order.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Notes that a request wants the document and there is none: a back-off may end sooner.
    pub fn ask(&mut self) {
        self.schedule.asked = true;
    }

    /// Whether there is no document and something may change that soon.
    pub fn is_restless(&self, now: Millis) -> bool {
        let seen = self.share.seen();
        !self.is_usable(now)
            && !self.is_idle()
            && (self.flight.is_some()
                || self.round_may_succeed()
                || seen.lease_at(now, self.fetch_time()).is_some()
                || self.turn(&seen.back_off, now.after(SOON)).is_some())
    }

    /// The age of the document that decides.
    pub fn age(&self, now: Millis) -> Option<Duration> {
        Some(self.installed.as_ref()?.freshness.age(now))
    }

    /// What a request that begins to wait has seen.
    pub fn seen(&self) -> Seen {
        Seen {
            generation: self.generation(),
            rounds: self.share.seen().rounds,
            begun: self.share.seen().begun,
        }
    }

    /// Whether a waiting request that saw `seen` can be decided: the document or the rounds have
    /// changed.
    pub fn settled(&self, seen: Seen) -> bool {
        self.generation() != seen.generation || self.share.seen().rounds != seen.rounds
    }

    /// The longest time that one fetch can take.
    pub fn fetch_time(&self) -> Duration {
        fetch_time(&self.source)
    }

    /// Asks for a newer document than the one that is there, and for a fetch ahead of schedule
    /// where the cool-down allows one.
    pub fn ask_early(&mut self, now: &Now<'_>) -> Early {
        if self.flight.is_some() {
            Early::Pending
        } else if self.share.is_with_another(now.at, self.fetch_time()) {
            // If its holder dies, this worker takes over.
            self.schedule.early_wanted = true;
            Early::Pending
        } else if !self.round_may_succeed() {
            self.ask();
            Early::Unavailable {
                retry_after: self.retry_after(now.at),
            }
        } else if self.share.seen().back_off.failures > 0 {
            // The round goes on with a retry.
            Early::Pending
        } else {
            let cooldown = self.source.times().early_cooldown;
            let cools_down_for = self.share.seen().cools_down_for(now.at, cooldown);
            if self.schedule.early_wanted || cools_down_for.is_zero() {
                self.schedule.early_wanted = true;
                Early::Pending
            } else {
                Early::Unavailable {
                    retry_after: cools_down_for,
                }
            }
        }
    }

    /// Whether the document is of a fetch that began after a request came, which saw `came`.
    /// The numbers of fetches begin again when shared data is lost, so the document must also be
    /// another one.
    pub fn is_newer_than(&self, came: Seen) -> bool {
        let newer = |installed: &Installed<_>| {
            installed.generation != came.generation && installed.fetch > came.begun
        };
        self.installed.as_ref().is_some_and(newer)
    }

    /// How long a client should wait before it tries again.
    pub fn retry_after(&self, now: Millis) -> Duration {
        let back_off = &self.share.seen().back_off;
        let wait = back_off.remaining(now, self.longest_back_off(now));
        back_off
            .asked_remaining(now)
            .map_or(wait, |asked| wait.min(asked))
    }

    /// Reads what the others shared, and installs a new document. True if it did.
    pub fn look(&mut self, now: &Now<'_>) -> bool {
        self.share.look(now.store);
        let before = self.generation();
        if self.share.seen().generation == before {
            return false;
        }
        if let Some(snapshot) = self.share.snapshot(now.store)
            && snapshot.generation != before
        {
            self.install(snapshot, now);
        }
        self.generation() != before
    }

    /// Looks at shared data, and begins a fetch by a call if one is due. `urgent`: requests wait,
    /// so shared data is looked at every time.
    #[must_use]
    pub fn tick(&mut self, now: &Now<'_>, urgent: bool) -> Option<(FlightId, Call)> {
        if let Some(lost) = self.flight.take_if(|flight| now.at >= flight.lost_at) {
            // The proxy ends every call by its timeout, but it forgot this one.
            self.fail(FetchError::NoResponse, lost.asked, Refusal::default(), now);
        }
        let is_usable = self.is_usable(now.at);
        if urgent || !is_usable || self.schedule.early_wanted || self.schedule.is_poll_due(now.at) {
            self.schedule.polled(now.at);
            self.look(now);
        }
        let is_over = self.installed.is_some() && !self.is_usable(now.at);
        if is_over && !self.expired_told && !self.is_idle() {
            self.expired_told = true;
            self.events.push(Event::Expired);
        }
        if self.flight.is_none() && self.is_due(now.at) && self.is_first_due(now, urgent) {
            self.start(now)
        } else {
            None
        }
    }

    /// Whether the first fetch of the process may begin: at once where a request waits.
    fn is_first_due(&mut self, now: &Now<'_>, urgent: bool) -> bool {
        let within = self.source.times().first_fetch_within;
        urgent
            || self.installed.is_some()
            || self.share.seen().begun > 0
            || self.schedule.is_first_due(within, now)
    }

    /// Takes the response to a call of [`tick`](Self::tick) or of an earlier `answer`. The fetch
    /// may go on with another call.
    #[must_use]
    pub fn answer(
        &mut self,
        flight: FlightId,
        answer: Reply,
        now: &Now<'_>,
    ) -> Option<(FlightId, Call)> {
        let flight = self.flight.take_if(|current| current.id == flight)?;
        let refusal = answer.refusal();
        let outcome = match self.source.next(flight.stage, answer) {
            Next::Call(stage, call) => {
                let fetch = (flight.fetch, flight.is_early);
                return Some(self.take_off(stage, fetch, call, now));
            }
            Next::Done(fetched) => self.publish(fetched, flight.fetch, now),
            Next::Failed(error) => Err(error),
        };
        if let Err(error) = outcome {
            self.fail(error, flight.asked, refusal, now);
        }
        None
    }

    /// Gives up this worker's call, since its answer will never arrive. Another worker then need
    /// not wait for the lease to run out.
    pub fn abandon(&mut self, now: &Now<'_>) {
        if self.flight.take().is_some() {
            self.share.let_go(now.at, now.store);
        }
    }

    fn generation(&self) -> u64 {
        self.installed
            .as_ref()
            .map_or(0, |installed| installed.generation)
    }

    /// Whether there is nothing to fetch as long as no request wants it.
    pub fn is_idle(&self) -> bool {
        self.source.is_idle(self.last())
    }

    /// What was installed last, whether it may still decide or not.
    fn last(&self) -> Option<&S::Value> {
        self.installed.as_ref().map(|installed| &installed.value)
    }

    fn is_usable(&self, now: Millis) -> bool {
        self.installed
            .as_ref()
            .is_some_and(|installed| installed.freshness.is_usable(now))
    }

    /// Whether it helps to wait. It does not help where the provider is known to be down: the next
    /// call may take as long as its timeout and fail as well. Nor does it help where the provider
    /// asked for more time than a fetch may take.
    fn round_may_succeed(&self) -> bool {
        self.goes_on(&self.share.seen().back_off)
    }

    fn goes_on(&self, back_off: &BackOff) -> bool {
        back_off.failures <= self.source.times().retries && back_off.told() <= self.fetch_time()
    }

    fn is_due(&self, now: Millis) -> bool {
        let back_off = &self.share.seen().back_off;
        let wanted = self.installed.as_ref().is_none_or(|installed| {
            installed.freshness.is_due(now) || self.schedule.early_wanted || back_off.failures > 0
        });
        wanted
            && !self.is_idle()
            && self.turn(back_off, now).is_some()
            && !self.share.is_with_another(now, self.fetch_time())
    }

    /// What causes a call now, if anything does.
    fn turn(&self, back_off: &BackOff, now: Millis) -> Option<Turn> {
        let longest = self.longest_back_off(now);
        self.schedule.turn(back_off, longest, now)
    }

    fn longest_back_off(&self, now: Millis) -> Duration {
        longest_back_off(self.source.times(), self.is_usable(now))
    }

    /// Decides with a shared document from now on.
    fn install(&mut self, snapshot: Snapshot, now: &Now<'_>) {
        let before = self.installed.as_ref();
        let before = before.map(|before| (&before.content, &before.value));
        // What is shared was a good document when it was written. If the bytes are not good now,
        // the document that is there stays.
        let Some(value) = self.source.read(&snapshot.content, before) else {
            return;
        };
        let (times, fetched_at) = (self.source.times(), snapshot.fetched_at);
        let generation = snapshot.generation;
        self.installed = Some(Installed {
            value,
            generation,
            fetch: snapshot.fetch,
            freshness: Freshness::new(times, snapshot.max_age(), fetched_at, now.at, now.random),
            content: snapshot.content,
        });
        self.schedule.settle();
        self.expired_told = false;
        self.events.push(Event::Installed { generation });
    }

    /// Takes the lease and makes the first call; `None` if another worker was faster.
    fn start(&mut self, now: &Now<'_>) -> Option<(FlightId, Call)> {
        let (stage, call) = self.source.first(self.last())?;
        let (mut shared, version) = self.share.read(now.store);
        let turn = self.turn(&shared.back_off, now.at);
        if shared.lease_at(now.at, self.fetch_time()).is_some()
            || shared.generation != self.share.seen().generation
            || turn.is_none()
        {
            // Another worker fetches, or has fetched since this worker looked.
            self.share.note(shared);
            self.schedule.poll_soon();
            return None;
        }
        let ahead_of_schedule = self
            .installed
            .as_ref()
            .is_some_and(|installed| !installed.freshness.is_due(now.at));
        if ahead_of_schedule && shared.back_off.failures == 0 {
            self.schedule.early_wanted = false;
            let cooldown = self.source.times().early_cooldown;
            if !shared.cools_down_for(now.at, cooldown).is_zero() {
                self.share.note(shared);
                return None;
            }
            shared.force(now.at, cooldown);
        }
        if turn == Some(Turn::Request) {
            shared.back_off.ask();
        }
        shared.begun = shared.begun.wrapping_add(1);
        shared.lease = Some(self.share.lease(now.at.after(self.fetch_time())));
        let fetch = shared.begun;
        if !self.share.write(shared, version, now.store) {
            self.schedule.poll_soon();
            return None;
        }
        self.schedule.settle();
        Some(self.take_off(stage, (fetch, ahead_of_schedule), call, now))
    }

    fn take_off(
        &mut self,
        stage: S::Stage,
        (fetch, is_early): (u64, bool),
        mut call: Call,
        now: &Now<'_>,
    ) -> (FlightId, Call) {
        if is_early {
            let max_age = format!("max-age={EARLY_MAX_AGE}");
            call.headers.push(("cache-control", max_age));
        }
        self.flights = self.flights.wrapping_add(1);
        let id = FlightId(self.flights);
        let lasts = self.source.timeout().saturating_add(LEASE_MARGIN);
        self.flight = Some(Flight {
            id,
            fetch,
            is_early,
            stage,
            asked: format!("{} by cluster {}", Shown::new(call.address()), call.cluster),
            lost_at: now.at.after(lasts),
        });
        (id, call)
    }

    /// Shares a good document and ends the lease.
    fn publish(&mut self, fetched: Fetched, fetch: u64, now: &Now<'_>) -> Result<(), FetchError> {
        let Some((mut shared, version)) = self.share.held(now.store) else {
            self.events.push(Event::LeaseLost);
            return Ok(());
        };
        // Random, not counted: shared data can be lost or overwritten, and a count that starts
        // again would come to a number that some worker has already.
        let generation = now.random | 1;
        let Fetched {
            content,
            max_age,
            found,
            skipped,
        } = fetched;
        let before = self.installed.as_ref();
        let before = before.map(|installed| installed.content == content);
        let changed = before == Some(false);
        let fetched = Event::Fetched {
            generation,
            found,
            skipped,
            changed,
            news: shared.back_off.failures > 0 || before != Some(true),
        };
        let source = self.share.source();
        let snapshot = Snapshot::new(source, generation, now.at, fetch, max_age, content);
        shared.generation = generation;
        shared.rounds = shared.rounds.wrapping_add(1);
        shared.back_off = BackOff::default();
        shared.last_failure.clear();
        // The snapshot is written first, so that a worker which sees the new generation finds it.
        if !self.share.publish(&snapshot, now.store) {
            return Err(FetchError::NotShared);
        }
        if self.share.write(shared, version, now.store) {
            self.events.push(fetched);
            self.install(snapshot, now);
        } else {
            self.events.push(Event::LeaseLost);
        }
        Ok(())
    }

    /// Ends the lease after a failure and sets the back-off.
    fn fail(&mut self, error: FetchError, asked: String, refusal: Refusal, now: &Now<'_>) {
        let Some((mut shared, version)) = self.share.held(now.store) else {
            self.events.push(Event::LeaseLost);
            return;
        };
        let bounds = Bounds {
            base: self.source.times().back_off_base,
            longest: self.longest_back_off(now.at),
        };
        shared.back_off = shared.back_off.failed(refusal, bounds, now.at, now.random);
        if !self.goes_on(&shared.back_off) {
            shared.rounds = shared.rounds.wrapping_add(1);
        }
        let failures = shared.back_off.failures;
        let (kind, status) = error.kind();
        let failure = format!("{kind} {status} {asked}");
        let news = shared.last_failure != failure;
        shared.last_failure = failure;
        self.events
            .push(if self.share.write(shared, version, now.store) {
                Event::Failed {
                    error,
                    asked,
                    failures,
                    news,
                }
            } else {
                Event::LeaseLost
            });
    }
}
