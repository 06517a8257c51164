//! One source of keys, as one worker sees it: a state machine without I/O that brings together which
//! call comes next ([`Sequence`]), who makes it ([`Share`]), when ([`Schedule`]), and how long its set
//! is used ([`Freshness`]).
//!
//! Invariants, each a property test in `tests/lifecycle.rs`:
//! - of all workers of a process, at most one has a call in flight for a source
//!   while its lease runs;
//! - keys are used only until `cache_duration + max_stale` after their fetch;
//! - a bad answer changes nothing but the back-off: a good set is replaced only
//!   by a good set.

use std::rc::Rc;
use std::time::Duration;

pub use super::event::Event;
use super::fetch::Document;
pub use super::fetch::FetchError;
use super::metadata::{Metadata, Reading};
use super::sequence::{Next, Sequence, Stage};
use super::shown::Shown;
use crate::config::Remote;
use crate::document::Now;
use crate::document::back_off::{BackOff, Bounds, Refusal};
use crate::document::finding::Finding;
use crate::document::freshness::Freshness;
use crate::document::lease::Share;
use crate::document::schedule::{Schedule, Turn, longest_back_off};
use crate::document::snapshot::Snapshot;
use crate::host::{Call, Reply};
use crate::jose::jwks::KeySet;
use crate::time::Millis;

/// How much longer than its calls a lease runs, so that a holder that lives
/// always ends its own.
const LEASE_MARGIN: Duration = Duration::from_millis(500);
/// Ticks are frequent where a call may be made within this time.
const SOON: Duration = Duration::from_millis(200);

/// Tells a worker's calls for a source apart: the answer to one that was given up
/// is not the answer to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlightId(u64);

/// The keys to decide with. They are on their way until the first fetch has ended.
pub type Keys = Finding<Rc<KeySet>>;

/// What a request saw of its provider's keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// Which set was installed; 0 before the first.
    pub generation: u64,
    /// Tries that had ended, each with its retries.
    pub rounds: u64,
    /// How many fetches had begun.
    pub begun: u64,
}

/// What to do with a token whose kid no key has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownKid {
    /// A newer set was there: select again.
    Reselect,
    /// A fetch is on its way: wait for it.
    Wait,
    /// The set is the answer to a fetch that began after the request came: there is no such key.
    NoSuchKey,
    /// The set could not be renewed, or may not be yet: nobody can say.
    Unavailable {
        /// How long to wait before the next try.
        retry_after: Duration,
    },
}

#[derive(Debug)]
struct Installed {
    keys: Rc<KeySet>,
    document: String,
    metadata: Rc<Metadata>,
    kept_metadata: String,
    generation: u64,
    /// The number of the fetch that brought it.
    fetch: u64,
    freshness: Freshness,
}

/// This worker's own call.
#[derive(Debug)]
struct Flight {
    id: FlightId,
    /// The number of the fetch.
    fetch: u64,
    stage: Stage,
    /// Who is asked, in words.
    asked: String,
    lost_at: Millis,
}

/// One source of keys, as one worker sees it.
#[derive(Debug)]
pub struct Lifecycle {
    remote: Rc<Remote>,
    sequence: Sequence,
    share: Share,
    installed: Option<Installed>,
    expired_told: bool,
    flight: Option<Flight>,
    flights: u64,
    /// What nobody has taken yet: every step's caller does.
    events: Vec<Event>,
    schedule: Schedule,
}

impl Lifecycle {
    /// `holder`: random bits that no other worker has.
    pub fn new(remote: Rc<Remote>, holder: u64) -> Self {
        let sequence = Sequence::new(Rc::clone(&remote));
        Self {
            share: Share::new(sequence.source(), holder),
            sequence,
            remote,
            installed: None,
            expired_told: false,
            flight: None,
            flights: 0,
            events: Vec::new(),
            schedule: Schedule::default(),
        }
    }

    /// The keys to decide with at `now`.
    pub fn keys(&self, now: Millis) -> Keys {
        self.usable(now).map(|installed| Rc::clone(&installed.keys))
    }

    /// What the metadata say that came with the keys; nothing, at once, where no metadata lead to
    /// them.
    pub fn metadata(&self, now: Millis) -> Finding<Rc<Metadata>> {
        if !self.remote.is_discovered() {
            return Finding::Ready(Rc::default());
        }
        self.usable(now)
            .map(|installed| Rc::clone(&installed.metadata))
    }

    fn usable(&self, now: Millis) -> Finding<&Installed> {
        match &self.installed {
            Some(installed) if installed.freshness.is_usable(now) => Finding::Ready(installed),
            _ if self.round_may_succeed() => Finding::Pending,
            _ => Finding::Unavailable {
                retry_after: self.retry_after(now),
            },
        }
    }

    /// What happened since this was last asked, in order.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// A request wants keys where there are none: a back-off may end sooner.
    pub fn ask(&mut self) {
        self.schedule.asked = true;
    }

    /// Whether there are no keys and something may change that soon.
    pub fn is_restless(&self, now: Millis) -> bool {
        let seen = self.share.seen();
        !self.is_usable(now)
            && (self.flight.is_some()
                || self.round_may_succeed()
                || seen.lease_at(now, self.fetch_time()).is_some()
                || self.turn(&seen.back_off, now.after(SOON)).is_some())
    }

    /// The age of the keys that decide.
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

    /// Whether anything happened since that a waiting request can be decided by.
    pub fn settled(&self, seen: Seen) -> bool {
        self.generation() != seen.generation || self.share.seen().rounds != seen.rounds
    }

    /// The longest time that one fetch takes.
    pub fn fetch_time(&self) -> Duration {
        self.sequence.longest().saturating_add(LEASE_MARGIN)
    }

    /// Says what to do with a token whose kid none of the keys has, and asks for
    /// a fetch where the cool-down allows one. `came`: what its request saw when it
    /// came, if that was not just now.
    pub fn unknown_kid(&mut self, came: Option<Seen>, now: &Now<'_>) -> UnknownKid {
        let before = self.generation();
        self.look(now);
        if self.generation() != before {
            UnknownKid::Reselect
        } else if self.is_newer_than(came) {
            UnknownKid::NoSuchKey
        } else if self.flight.is_some() {
            UnknownKid::Wait
        } else if self.share.is_with_another(now.at, self.fetch_time()) {
            // Should its holder die, this worker takes over.
            self.schedule.refetch_wanted = true;
            UnknownKid::Wait
        } else if !self.round_may_succeed() {
            self.ask();
            UnknownKid::Unavailable {
                retry_after: self.retry_after(now.at),
            }
        } else if self.share.seen().back_off.failures > 0 {
            // The round goes on with a retry.
            UnknownKid::Wait
        } else {
            let cooldown = self.remote.unknown_kid_cooldown;
            let cools_down_for = self.share.seen().cools_down_for(now.at, cooldown);
            if self.schedule.refetch_wanted || cools_down_for.is_zero() {
                self.schedule.refetch_wanted = true;
                UnknownKid::Wait
            } else {
                UnknownKid::Unavailable {
                    retry_after: cools_down_for,
                }
            }
        }
    }

    /// Whether the set is of a fetch that began after a request came. Numbers of fetches begin
    /// anew where shared data was lost, so the set has to be another one too.
    fn is_newer_than(&self, came: Option<Seen>) -> bool {
        let (Some(came), Some(installed)) = (came, &self.installed) else {
            return false;
        };
        installed.generation != came.generation && installed.fetch > came.begun
    }

    /// How long a client should wait before it tries again.
    pub fn retry_after(&self, now: Millis) -> Duration {
        let back_off = &self.share.seen().back_off;
        let wait = back_off.remaining(now, self.longest_back_off(now));
        back_off
            .asked_remaining(now)
            .map_or(wait, |asked| wait.min(asked))
    }

    /// Reads what the others shared, and installs a new set.
    pub fn look(&mut self, now: &Now<'_>) {
        self.share.look(now.store);
        if self.share.seen().generation == self.generation() {
            return;
        }
        if let Some(snapshot) = self.share.snapshot(now.store)
            && snapshot.generation != self.generation()
        {
            self.install(&snapshot, now);
        }
    }

    /// Looks at shared data, and starts a fetch by a call if one is due. `urgent` while
    /// requests wait: then shared data is looked at every time.
    #[must_use]
    pub fn tick(&mut self, now: &Now<'_>, urgent: bool) -> Option<(FlightId, Call)> {
        if let Some(lost) = self.flight.take_if(|flight| now.at >= flight.lost_at) {
            // The proxy ends every call by its timeout; this one it forgot.
            self.fail(FetchError::NoResponse, lost.asked, Refusal::default(), now);
        }
        let is_usable = self.is_usable(now.at);
        if urgent || !is_usable || self.schedule.refetch_wanted || self.schedule.is_poll_due(now.at)
        {
            self.schedule.polled(now.at);
            self.look(now);
        }
        if self.installed.is_some() && !self.is_usable(now.at) && !self.expired_told {
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
        let within = self.remote.first_fetch_within;
        urgent
            || self.installed.is_some()
            || self.share.seen().begun > 0
            || self.schedule.is_first_due(within, now)
    }

    /// Takes the response to the call of [`tick`](Self::tick) or of an earlier
    /// `answer`; the fetch may go on with another.
    #[must_use]
    pub fn answer(
        &mut self,
        flight: FlightId,
        answer: Reply,
        now: &Now<'_>,
    ) -> Option<(FlightId, Call)> {
        let flight = self.flight.take_if(|current| current.id == flight)?;
        let refusal = answer.refusal();
        let outcome = match self.sequence.next(flight.stage, answer) {
            Next::Call(stage, call) => return Some(self.take_off(stage, flight.fetch, call, now)),
            Next::Jwks(document, metadata) => self.publish(document, *metadata, flight.fetch, now),
            Next::Failed(error) => Err(error),
        };
        if let Err(error) = outcome {
            self.fail(error, flight.asked, refusal, now);
        }
        None
    }

    /// Gives up this worker's call, whose answer will never be seen, so that
    /// another worker need not wait for the lease to run out.
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

    fn is_usable(&self, now: Millis) -> bool {
        self.installed
            .as_ref()
            .is_some_and(|installed| installed.freshness.is_usable(now))
    }

    /// Whether waiting can help. Not where the provider is known to be down: a
    /// repetition may take as long as the time-out and end as badly. And not where it
    /// asked for more time than a fetch may take.
    fn round_may_succeed(&self) -> bool {
        self.goes_on(&self.share.seen().back_off)
    }

    fn goes_on(&self, back_off: &BackOff) -> bool {
        back_off.failures <= self.remote.retries && back_off.told() <= self.fetch_time()
    }

    fn is_due(&self, now: Millis) -> bool {
        let back_off = &self.share.seen().back_off;
        let wanted = self.installed.as_ref().is_none_or(|installed| {
            installed.freshness.is_due(now) || self.schedule.refetch_wanted || back_off.failures > 0
        });
        wanted
            && self.turn(back_off, now).is_some()
            && !self.share.is_with_another(now, self.fetch_time())
    }

    /// Whose turn it is to make a call, if anybody's.
    fn turn(&self, back_off: &BackOff, now: Millis) -> Option<Turn> {
        let longest = self.longest_back_off(now);
        self.schedule.turn(back_off, longest, now)
    }

    fn longest_back_off(&self, now: Millis) -> Duration {
        longest_back_off(&self.remote, self.is_usable(now))
    }

    /// Verifies with a shared set from now on.
    fn install(&mut self, snapshot: &Snapshot, now: &Now<'_>) {
        // What was shared was a good set when it was written; bytes that are not
        // leave the set that is there.
        let before = self.installed.as_ref();
        let keys = match before.filter(|before| before.document == snapshot.document) {
            // Nothing changed, and tokens that these keys verified stay verified.
            Some(before) => Rc::clone(&before.keys),
            None => match KeySet::parse(snapshot.document.as_bytes()) {
                Ok(keys) => Rc::new(keys),
                Err(_) => return,
            },
        };
        let metadata = match before.filter(|before| before.kept_metadata == snapshot.metadata) {
            Some(before) => Rc::clone(&before.metadata),
            None => Rc::new(self.sequence.metadata(&snapshot.metadata)),
        };
        let (fetched_at, max_age) = (snapshot.fetched_at, snapshot.max_age());
        self.installed = Some(Installed {
            keys,
            document: snapshot.document.clone(),
            metadata,
            kept_metadata: snapshot.metadata.clone(),
            generation: snapshot.generation,
            fetch: snapshot.fetch,
            freshness: Freshness::new(&self.remote, max_age, fetched_at, now.at, now.random),
        });
        self.schedule.settle();
        self.expired_told = false;
        self.events.push(Event::Installed {
            generation: snapshot.generation,
        });
    }

    /// Takes the lease and makes the first call; `None` if another worker was
    /// faster.
    fn start(&mut self, now: &Now<'_>) -> Option<(FlightId, Call)> {
        let (stage, call) = self.sequence.first()?;
        let (mut shared, version) = self.share.read(now.store);
        let turn = self.turn(&shared.back_off, now.at);
        if shared.lease_at(now.at, self.fetch_time()).is_some()
            || shared.generation != self.share.seen().generation
            || turn.is_none()
        {
            // Somebody fetches or has fetched since this worker looked.
            self.share.note(shared);
            self.schedule.poll_soon();
            return None;
        }
        let ahead_of_schedule = self
            .installed
            .as_ref()
            .is_some_and(|installed| !installed.freshness.is_due(now.at));
        if ahead_of_schedule && shared.back_off.failures == 0 {
            self.schedule.refetch_wanted = false;
            let cooldown = self.remote.unknown_kid_cooldown;
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
        Some(self.take_off(stage, fetch, call, now))
    }

    fn take_off(
        &mut self,
        stage: Stage,
        fetch: u64,
        call: Call,
        now: &Now<'_>,
    ) -> (FlightId, Call) {
        self.flights = self.flights.wrapping_add(1);
        let id = FlightId(self.flights);
        let lasts = self.sequence.timeout().saturating_add(LEASE_MARGIN);
        self.flight = Some(Flight {
            id,
            fetch,
            stage,
            asked: format!("{} by cluster {}", Shown::new(call.address()), call.cluster),
            lost_at: now.at.after(lasts),
        });
        (id, call)
    }

    /// Shares a good set and ends the lease.
    fn publish(
        &mut self,
        document: Document,
        metadata: Reading,
        fetch: u64,
        now: &Now<'_>,
    ) -> Result<(), FetchError> {
        let keys = document.key_set()?;
        let max_age = document.max_age;
        let document = String::from_utf8(document.body).map_err(|_| FetchError::NotUtf8)?;
        let Some((mut shared, version)) = self.share.held(now.store) else {
            self.events.push(Event::LeaseLost);
            return Ok(());
        };
        // Random rather than counted: shared data can be lost or overwritten, and a
        // count that starts again would meet a worker that has its number.
        let generation = now.random | 1;
        let source = self.share.source();
        let (kept, mut skipped) = (metadata.kept, metadata.faults);
        let snapshot = Snapshot::new(source, generation, now.at, fetch, max_age, document, kept);
        skipped.extend(keys.skipped().iter().map(ToString::to_string));
        let is_same = |installed: &Installed| {
            installed.document == snapshot.document && installed.kept_metadata == snapshot.metadata
        };
        let fetched = Event::Fetched {
            generation,
            keys: keys.keys().len(),
            skipped,
            news: shared.back_off.failures > 0 || !self.installed.as_ref().is_some_and(is_same),
        };
        shared.generation = generation;
        shared.rounds = shared.rounds.wrapping_add(1);
        shared.back_off = BackOff::default();
        shared.last_failure.clear();
        // The snapshot first: whoever sees the new generation finds it.
        if !self.share.publish(&snapshot, now.store) {
            return Err(FetchError::NotShared);
        }
        if self.share.write(shared, version, now.store) {
            self.events.push(fetched);
            self.install(&snapshot, now);
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
            base: self.remote.back_off_base,
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
