//! One source of keys, as one worker sees it: a state machine without I/O.
//!
//! Invariants, each a property test in `tests/lifecycle.rs`:
//! - of all workers of a process, at most one has a call in flight for a source
//!   while its lease runs;
//! - keys are used only until `cache_duration + max_stale` after their fetch;
//! - a bad answer changes nothing but the back-off: a good set is replaced only
//!   by a good set.

use std::rc::Rc;
use std::time::Duration;

use super::back_off::{BackOff, Bounds, Refusal};
use super::coordination::{Coordination, Lease};
use super::discovery::{self, DiscoveryError};
pub use super::event::Event;
use super::fetch::Document;
pub use super::fetch::{Answer, FetchError};
use super::jitter;
use super::shown::Shown;
use super::snapshot::Snapshot;
use super::waiting::Seen;
use crate::config::{Endpoint, Remote};
use crate::host::{Call, SharedStore};
use crate::http::uri::Uri;
use crate::jose::jwks::KeySet;
use crate::time::Millis;

/// How often a worker looks at shared data when nothing waits for it.
const POLL: Duration = Duration::from_secs(1);
/// How much longer than its calls a lease runs, so that a holder that lives
/// always ends its own.
const LEASE_MARGIN: Duration = Duration::from_millis(500);
/// How many times longer the back-off may grow while the last set still serves, and up to what.
const PATIENCE: u32 = 10;
const PATIENT: Duration = Duration::from_secs(30);
/// Ticks are frequent where a call may be made within this time.
const SOON: Duration = Duration::from_millis(200);
/// Bounds of a `max-age` that is honoured, RFC 9111 section 5.2.2.1.
const MAX_AGE_BOUNDS: (Duration, Duration) =
    (Duration::from_secs(10), Duration::from_secs(24 * 60 * 60));

/// Tells a worker's calls for a source apart: the answer to one that was given up
/// is not the answer to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlightId(u64);

/// A worker's step: a call to send, and what there is to tell.
#[derive(Debug, Default)]
pub struct Step {
    pub call: Option<(FlightId, Call)>,
    pub events: Vec<Event>,
}

/// Whether there are keys to decide with.
#[derive(Debug, Clone)]
pub enum Keys {
    Ready(Rc<KeySet>),
    /// The first fetch has not ended: worth waiting for.
    Pending,
    /// None, and the next try is this far away.
    Unavailable {
        retry_after: Duration,
    },
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
    Unavailable { retry_after: Duration },
}

#[derive(Debug)]
struct Installed {
    keys: Rc<KeySet>,
    document: String,
    generation: u64,
    /// The number of the fetch that brought it.
    fetch: u64,
    fetched_at: Millis,
    refresh_at: Millis,
    stale_at: Millis,
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

#[derive(Debug, Clone, Copy)]
enum Stage {
    /// From this one of the places where it may be.
    Metadata(usize),
    Jwks,
}

/// What a call is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// It is due.
    Schedule,
    /// A request wants keys before it is.
    Request,
}

#[derive(Debug)]
pub struct Lifecycle {
    remote: Rc<Remote>,
    /// Where the issuer's metadata may be; none of a source that needs none.
    metadata_paths: Vec<String>,
    /// Tells this worker's leases from others'.
    holder: u64,
    source: String,
    coordination_key: String,
    snapshot_key: String,
    seen: Coordination,
    installed: Option<Installed>,
    expired_told: bool,
    flight: Option<Flight>,
    flights: u64,
    /// A request with an unknown kid wants a fetch.
    refetch_wanted: bool,
    /// A request came in a back-off and wants a fetch.
    asked: bool,
    /// When the first fetch begins, if no request wants one sooner.
    first_at: Option<Millis>,
    /// When shared data was last looked at.
    polled_at: Option<Millis>,
}

impl Lifecycle {
    /// `holder`: random bits that no other worker has.
    pub fn new(remote: Rc<Remote>, holder: u64) -> Self {
        let source = source_of(&remote.endpoint);
        Lifecycle {
            metadata_paths: metadata_paths(&remote.endpoint),
            holder,
            coordination_key: format!("bearer-gate coordination {source}"),
            snapshot_key: format!("bearer-gate snapshot {source}"),
            seen: Coordination::new(&source),
            source,
            remote,
            installed: None,
            expired_told: false,
            flight: None,
            flights: 0,
            refetch_wanted: false,
            asked: false,
            first_at: None,
            polled_at: None,
        }
    }

    /// The keys to decide with at `now`.
    pub fn keys(&self, now: Millis) -> Keys {
        match &self.installed {
            Some(installed) if now < installed.stale_at => Keys::Ready(Rc::clone(&installed.keys)),
            _ if self.round_may_succeed() => Keys::Pending,
            _ => Keys::Unavailable {
                retry_after: self.retry_after(now),
            },
        }
    }

    /// A request wants keys where there are none: a back-off may end sooner.
    pub fn ask(&mut self) {
        self.asked = true;
    }

    /// Whether there are no keys and something may change that soon.
    pub fn is_restless(&self, now: Millis) -> bool {
        !self.is_usable(now)
            && (self.flight.is_some()
                || self.round_may_succeed()
                || self.seen.lease_at(now, self.fetch_time()).is_some()
                || self.turn(&self.seen.back_off, now.after(SOON)).is_some())
    }

    /// The age of the keys that decide.
    pub fn age(&self, now: Millis) -> Option<Duration> {
        Some(now.since(self.installed.as_ref()?.fetched_at))
    }

    /// What a request that begins to wait has seen.
    pub fn seen(&self) -> Seen {
        Seen {
            generation: self.generation(),
            rounds: self.seen.rounds,
            begun: self.seen.begun,
        }
    }

    /// Whether anything happened since that a waiting request can be decided by.
    pub fn settled(&self, seen: Seen) -> bool {
        self.generation() != seen.generation || self.seen.rounds != seen.rounds
    }

    /// The longest time that one fetch takes.
    pub fn fetch_time(&self) -> Duration {
        let calls = self.metadata_paths.len().saturating_add(1);
        self.timeout()
            .saturating_mul(u32::try_from(calls).unwrap_or(u32::MAX))
            .saturating_add(LEASE_MARGIN)
    }

    /// Says what to do with a token whose kid none of the keys has, and asks for
    /// a fetch where the cool-down allows one. `came`: what its request saw when it
    /// came, if that was not just now.
    pub fn unknown_kid(
        &mut self,
        came: Option<Seen>,
        now: Millis,
        random: u64,
        store: &dyn SharedStore,
    ) -> (UnknownKid, Vec<Event>) {
        let before = self.generation();
        let events = self.look(now, random, store);
        let verdict = if self.generation() != before {
            UnknownKid::Reselect
        } else if self.is_newer_than(came) {
            UnknownKid::NoSuchKey
        } else if self.flight.is_some() {
            UnknownKid::Wait
        } else if self.foreign_lease(now).is_some() {
            // Should its holder die, this worker takes over.
            self.refetch_wanted = true;
            UnknownKid::Wait
        } else if !self.round_may_succeed() {
            self.ask();
            UnknownKid::Unavailable {
                retry_after: self.retry_after(now),
            }
        } else if self.seen.back_off.failures > 0 {
            // The round goes on with a retry.
            UnknownKid::Wait
        } else {
            let cools_down_for = self
                .seen
                .cools_down_for(now, self.remote.unknown_kid_cooldown);
            if self.refetch_wanted || cools_down_for.is_zero() {
                self.refetch_wanted = true;
                UnknownKid::Wait
            } else {
                UnknownKid::Unavailable {
                    retry_after: cools_down_for,
                }
            }
        };
        (verdict, events)
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
        let back_off = &self.seen.back_off;
        let wait = back_off.remaining(now, self.longest_back_off(now));
        back_off
            .asked_remaining(now)
            .map_or(wait, |asked| wait.min(asked))
    }

    /// Reads what the others shared, and installs a new set.
    pub fn look(&mut self, now: Millis, random: u64, store: &dyn SharedStore) -> Vec<Event> {
        (self.seen, _) = Coordination::read(store, &self.coordination_key, &self.source);
        if self.seen.generation == self.generation() {
            return Vec::new();
        }
        let snapshot = store
            .read(&self.snapshot_key)
            .and_then(|(bytes, _)| Snapshot::decode(&bytes, &self.source));
        match snapshot {
            Some(snapshot) if snapshot.generation != self.generation() => {
                self.install(&snapshot, now, random)
            }
            _ => Vec::new(),
        }
    }

    /// Looks at shared data, and starts a fetch if one is due. `urgent` while
    /// requests wait: then shared data is looked at every time.
    pub fn tick(
        &mut self,
        now: Millis,
        random: u64,
        urgent: bool,
        store: &dyn SharedStore,
    ) -> Step {
        let mut step = Step::default();
        if let Some(lost) = self.flight.take_if(|flight| now >= flight.lost_at) {
            // The proxy ends every call by its timeout; this one it forgot.
            let refusal = Refusal::default();
            let error = FetchError::NoResponse;
            step.events
                .extend(self.fail(error, lost, refusal, now, random, store));
        }
        if urgent || !self.is_usable(now) || self.refetch_wanted || self.is_poll_due(now) {
            self.polled_at = Some(now);
            step.events.extend(self.look(now, random, store));
        }
        if self.is_stale(now) && !self.expired_told {
            self.expired_told = true;
            step.events.push(Event::Expired);
        }
        if self.flight.is_none() && self.is_due(now) && self.is_first_due(now, random, urgent) {
            step.call = self.start(now, store);
        }
        step
    }

    /// Whether the first fetch of the process may begin: at once where a request waits, and else
    /// at a moment of chance, so that many processes that start together do not call together.
    fn is_first_due(&mut self, now: Millis, random: u64, urgent: bool) -> bool {
        if urgent || self.installed.is_some() || self.seen.begun > 0 {
            return true;
        }
        let within = self.remote.first_fetch_within;
        now >= *self
            .first_at
            .get_or_insert(now.after(jitter(within, random)))
    }

    /// Takes the response to the call of [`tick`](Self::tick) or of an earlier
    /// `answer`.
    pub fn answer(
        &mut self,
        flight: FlightId,
        answer: Answer,
        now: Millis,
        random: u64,
        store: &dyn SharedStore,
    ) -> Step {
        let Some(flight) = self.flight.take_if(|current| current.id == flight) else {
            return Step::default();
        };
        let refusal = answer.refusal();
        let outcome = match (flight.stage, answer.document()) {
            (stage, Err(error)) => self.next_place(stage, &error).ok_or(error),
            (Stage::Metadata(_), Ok(document)) => {
                self.jwks_call(&document).map(|call| (Stage::Jwks, call))
            }
            (Stage::Jwks, Ok(document)) => {
                return match self.publish(document, flight.fetch, now, random, store) {
                    Ok(events) => Step { call: None, events },
                    Err(error) => self.failed(error, flight, refusal, now, random, store),
                };
            }
        };
        match outcome {
            Ok((stage, call)) => {
                let id = self.take_off(stage, flight.fetch, &call, now);
                Step {
                    call: Some((id, call)),
                    events: Vec::new(),
                }
            }
            Err(error) => self.failed(error, flight, refusal, now, random, store),
        }
    }

    /// Gives up this worker's call, whose answer will never be seen, so that
    /// another worker need not wait for the lease to run out.
    pub fn abandon(&mut self, now: Millis, store: &dyn SharedStore) {
        if self.flight.take().is_none() {
            return;
        }
        let (mut shared, version) = Coordination::read(store, &self.coordination_key, &self.source);
        if self.holds(&shared)
            && let Some(lease) = &mut shared.lease
        {
            // Over, and not taken away: the fetch did not end.
            lease.until = now;
            shared.write(store, &self.coordination_key, version);
        }
    }

    fn failed(
        &mut self,
        error: FetchError,
        flight: Flight,
        refusal: Refusal,
        now: Millis,
        random: u64,
        store: &dyn SharedStore,
    ) -> Step {
        Step {
            call: None,
            events: self.fail(error, flight, refusal, now, random, store),
        }
    }

    /// Where the metadata may be, if not where this failure is from.
    fn next_place(&self, stage: Stage, error: &FetchError) -> Option<(Stage, Call)> {
        match (stage, error) {
            (Stage::Metadata(at), FetchError::Status(status))
                if discovery::is_elsewhere(*status) =>
            {
                let next = Stage::Metadata(at.saturating_add(1));
                self.call(next).map(|call| (next, call))
            }
            _ => None,
        }
    }

    fn generation(&self) -> u64 {
        self.installed
            .as_ref()
            .map_or(0, |installed| installed.generation)
    }

    fn is_stale(&self, now: Millis) -> bool {
        self.installed
            .as_ref()
            .is_some_and(|installed| now >= installed.stale_at)
    }

    fn is_usable(&self, now: Millis) -> bool {
        self.installed.is_some() && !self.is_stale(now)
    }

    /// Whether waiting can help. Not where the provider is known to be down: a
    /// repetition may take as long as the time-out and end as badly. And not where it
    /// asked for more time than a fetch may take.
    fn round_may_succeed(&self) -> bool {
        self.goes_on(&self.seen.back_off)
    }

    fn goes_on(&self, back_off: &BackOff) -> bool {
        back_off.failures <= self.remote.retries && back_off.told() <= self.fetch_time()
    }

    fn is_poll_due(&self, now: Millis) -> bool {
        self.polled_at
            .is_none_or(|at| now < at || now.since(at) >= POLL)
    }

    fn is_due(&self, now: Millis) -> bool {
        let wanted = match &self.installed {
            None => true,
            Some(installed) => {
                now >= installed.refresh_at
                    || now < installed.fetched_at
                    || self.refetch_wanted
                    || self.seen.back_off.failures > 0
            }
        };
        wanted && self.turn(&self.seen.back_off, now).is_some() && self.foreign_lease(now).is_none()
    }

    /// Whose turn it is to make a call, if anybody's.
    fn turn(&self, back_off: &BackOff, now: Millis) -> Option<Turn> {
        if back_off
            .remaining(now, self.longest_back_off(now))
            .is_zero()
        {
            Some(Turn::Schedule)
        } else if self.asked && back_off.asked_remaining(now) == Some(Duration::ZERO) {
            Some(Turn::Request)
        } else {
            None
        }
    }

    /// Without usable keys every request suffers, so tries are more frequent.
    fn longest_back_off(&self, now: Millis) -> Duration {
        let longest = self.remote.back_off_max.max(self.remote.back_off_base);
        if self.is_usable(now) {
            let patient = longest.saturating_mul(PATIENCE);
            patient.min(PATIENT).max(longest)
        } else {
            longest
        }
    }

    fn foreign_lease(&self, now: Millis) -> Option<Lease> {
        self.seen
            .lease_at(now, self.fetch_time())
            .filter(|lease| lease.holder != self.holder)
    }

    fn timeout(&self) -> Duration {
        match &self.remote.endpoint {
            Endpoint::Jwks(uri) => uri.timeout,
            Endpoint::Discovery { timeout, .. } => *timeout,
        }
    }

    fn install(&mut self, snapshot: &Snapshot, now: Millis, random: u64) -> Vec<Event> {
        // What was shared was a good set when it was written; bytes that are not
        // leave the set that is there.
        let same = self
            .installed
            .take_if(|installed| installed.document == snapshot.document);
        let keys = match same {
            // Nothing changed, and tokens that these keys verified stay verified.
            Some(installed) => installed.keys,
            None => match KeySet::parse(snapshot.document.as_bytes()) {
                Ok(keys) => Rc::new(keys),
                Err(_) => return Vec::new(),
            },
        };
        // A time to come is not believed.
        let fetched_at = snapshot.fetched_at.min(now);
        let fresh_for = self.fresh_for(snapshot.max_age());
        // Ahead of expiry by a tenth, and by up to a tenth more, so that neither
        // workers nor processes come at once.
        let tenth = fresh_for / 10;
        let refresh_after = fresh_for
            .saturating_sub(tenth)
            .saturating_sub(jitter(tenth, random));
        self.installed = Some(Installed {
            keys,
            document: snapshot.document.clone(),
            generation: snapshot.generation,
            fetch: snapshot.fetch,
            fetched_at,
            refresh_at: fetched_at.after(refresh_after),
            stale_at: fetched_at.after(fresh_for.saturating_add(self.remote.max_stale)),
        });
        self.refetch_wanted = false;
        self.asked = false;
        self.expired_told = false;
        vec![Event::Installed {
            generation: snapshot.generation,
        }]
    }

    /// How long a set is fresh by this configuration, whichever fetched it.
    fn fresh_for(&self, max_age: Option<Duration>) -> Duration {
        match max_age.filter(|_| self.remote.respect_cache_control) {
            Some(max_age) => max_age.clamp(MAX_AGE_BOUNDS.0, MAX_AGE_BOUNDS.1),
            None => self.remote.cache_duration,
        }
    }

    /// Takes the lease and makes the first call; `None` if another worker was
    /// faster.
    fn start(&mut self, now: Millis, store: &dyn SharedStore) -> Option<(FlightId, Call)> {
        let (mut shared, version) = Coordination::read(store, &self.coordination_key, &self.source);
        let turn = self.turn(&shared.back_off, now);
        if shared.lease_at(now, self.fetch_time()).is_some()
            || shared.generation != self.seen.generation
            || turn.is_none()
        {
            // Somebody fetches or has fetched since this worker looked.
            self.seen = shared;
            self.polled_at = None;
            return None;
        }
        let ahead_of_schedule = self
            .installed
            .as_ref()
            .is_some_and(|installed| (installed.fetched_at..installed.refresh_at).contains(&now));
        if ahead_of_schedule && shared.back_off.failures == 0 {
            self.refetch_wanted = false;
            let cooldown = self.remote.unknown_kid_cooldown;
            if !shared.cools_down_for(now, cooldown).is_zero() {
                self.seen = shared;
                return None;
            }
            shared.force(now, cooldown);
        }
        if turn == Some(Turn::Request) {
            shared.back_off.ask();
        }
        shared.begun = shared.begun.wrapping_add(1);
        shared.lease = Some(Lease {
            holder: self.holder,
            until: now.after(self.fetch_time()),
        });
        let stage = match self.remote.endpoint {
            Endpoint::Jwks(_) => Stage::Jwks,
            Endpoint::Discovery { .. } => Stage::Metadata(0),
        };
        let call = self.call(stage)?;
        if !shared.write(store, &self.coordination_key, version) {
            self.polled_at = None;
            return None;
        }
        self.seen = shared;
        self.refetch_wanted = false;
        self.asked = false;
        let id = self.take_off(stage, self.seen.begun, &call, now);
        Some((id, call))
    }

    fn take_off(&mut self, stage: Stage, fetch: u64, call: &Call, now: Millis) -> FlightId {
        self.flights = self.flights.wrapping_add(1);
        let id = FlightId(self.flights);
        let address = format!("{}://{}{}", call.scheme.name(), call.authority, call.path);
        self.flight = Some(Flight {
            id,
            fetch,
            stage,
            asked: format!("{} by cluster {}", Shown::of(address), call.cluster),
            lost_at: now.after(self.timeout().saturating_add(LEASE_MARGIN)),
        });
        id
    }

    fn call(&self, stage: Stage) -> Option<Call> {
        match (&self.remote.endpoint, stage) {
            (Endpoint::Jwks(uri), _) => Some(Call {
                cluster: uri.cluster.clone(),
                scheme: uri.scheme,
                authority: uri.authority.clone(),
                path: uri.path.clone(),
                timeout: uri.timeout,
            }),
            (
                Endpoint::Discovery {
                    issuer, cluster, ..
                },
                Stage::Metadata(at),
            ) => {
                let path = self.metadata_paths.get(at)?.clone();
                let home = Uri::parse(issuer).ok()?;
                Some(self.call_to(Uri { path, ..home }, cluster))
            }
            // Its metadata say where.
            (Endpoint::Discovery { .. }, Stage::Jwks) => None,
        }
    }

    fn jwks_call(&self, metadata: &Document) -> Result<Call, FetchError> {
        let Endpoint::Discovery {
            issuer,
            cluster,
            jwks_cluster,
            ..
        } = &self.remote.endpoint
        else {
            let not_metadata = FetchError::Metadata(DiscoveryError::NotMetadata);
            return self.call(Stage::Jwks).ok_or(not_metadata);
        };
        let (uri, cluster) = metadata.jwks_location(issuer, cluster, jwks_cluster.as_deref())?;
        Ok(self.call_to(uri, cluster))
    }

    fn call_to(&self, uri: Uri, cluster: &str) -> Call {
        Call {
            cluster: cluster.to_owned(),
            scheme: uri.scheme,
            authority: uri.authority,
            path: uri.path,
            timeout: self.timeout(),
        }
    }

    /// Shares a good set and ends the lease.
    fn publish(
        &mut self,
        document: Document,
        fetch: u64,
        now: Millis,
        random: u64,
        store: &dyn SharedStore,
    ) -> Result<Vec<Event>, FetchError> {
        let keys = document.key_set()?;
        let max_age = document.max_age;
        let document = String::from_utf8(document.body).map_err(|_| FetchError::NotUtf8)?;
        let (mut shared, version) = Coordination::read(store, &self.coordination_key, &self.source);
        if !self.holds(&shared) {
            self.seen = shared;
            return Ok(vec![Event::LeaseLost]);
        }
        // Random rather than counted: shared data can be lost or overwritten, and a
        // count that starts again would meet a worker that has its number.
        let generation = random | 1;
        let snapshot = Snapshot::new(&self.source, generation, now, fetch, max_age, document);
        let fetched = Event::Fetched {
            generation,
            keys: keys.keys().len(),
            skipped: keys.skipped().iter().map(ToString::to_string).collect(),
            news: shared.back_off.failures > 0
                || self
                    .installed
                    .as_ref()
                    .is_none_or(|installed| installed.document != snapshot.document),
        };
        shared.generation = generation;
        shared.rounds = shared.rounds.wrapping_add(1);
        shared.back_off = BackOff::default();
        shared.last_failure.clear();
        shared.lease = None;
        // The snapshot first: whoever sees the new generation finds it. Only the
        // lease's holder writes it, so its own version does not matter.
        let snapshot_version = store
            .read(&self.snapshot_key)
            .map_or(crate::host::Version::ABSENT, |(_, version)| version);
        if !store.write(&self.snapshot_key, &snapshot.encode(), snapshot_version) {
            return Err(FetchError::NotShared);
        }
        if !shared.write(store, &self.coordination_key, version) {
            return Ok(vec![Event::LeaseLost]);
        }
        self.seen = shared;
        let mut events = vec![fetched];
        events.extend(self.install(&snapshot, now, random));
        Ok(events)
    }

    /// Ends the lease after a failure and sets the back-off.
    fn fail(
        &mut self,
        error: FetchError,
        flight: Flight,
        refusal: Refusal,
        now: Millis,
        random: u64,
        store: &dyn SharedStore,
    ) -> Vec<Event> {
        let (mut shared, version) = Coordination::read(store, &self.coordination_key, &self.source);
        if !self.holds(&shared) {
            self.seen = shared;
            return vec![Event::LeaseLost];
        }
        let bounds = Bounds {
            base: self.remote.back_off_base,
            longest: self.longest_back_off(now),
        };
        shared.back_off = shared.back_off.failed(refusal, bounds, now, random);
        if !self.goes_on(&shared.back_off) {
            shared.rounds = shared.rounds.wrapping_add(1);
        }
        shared.lease = None;
        let failures = shared.back_off.failures;
        let asked = flight.asked;
        let (kind, status) = error.kind();
        let failure = format!("{kind} {status} {asked}");
        let news = shared.last_failure != failure;
        shared.last_failure = failure;
        if !shared.write(store, &self.coordination_key, version) {
            return vec![Event::LeaseLost];
        }
        self.seen = shared;
        vec![Event::Failed {
            error,
            asked,
            failures,
            news,
        }]
    }

    fn holds(&self, shared: &Coordination) -> bool {
        shared
            .lease
            .is_some_and(|lease| lease.holder == self.holder)
    }
}

fn metadata_paths(endpoint: &Endpoint) -> Vec<String> {
    match endpoint {
        Endpoint::Jwks(_) => Vec::new(),
        Endpoint::Discovery { issuer, .. } => {
            Uri::parse(issuer).map_or_else(|_| Vec::new(), |home| discovery::metadata_paths(&home))
        }
    }
}

/// What tells one source of keys from another: configurations with the same
/// source share its keys, and no others'. Each part with its length before it, so
/// that no two lists of parts make one name.
fn source_of(endpoint: &Endpoint) -> String {
    let timeout;
    let parts = match endpoint {
        Endpoint::Jwks(uri) => {
            timeout = uri.timeout;
            vec![
                "jwks",
                &uri.cluster,
                uri.scheme.name(),
                &uri.authority,
                &uri.path,
            ]
        }
        Endpoint::Discovery {
            issuer,
            cluster,
            jwks_cluster,
            timeout: of_call,
        } => {
            timeout = *of_call;
            let mut parts = vec!["discovery", cluster, issuer];
            parts.extend(jwks_cluster.as_deref());
            parts
        }
    };
    let mut source = format!("{}ms", timeout.as_millis());
    for part in parts {
        source.push_str(&format!(" {}:{part}", part.len()));
    }
    source
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::HttpUri;
    use crate::http::uri::Scheme;

    /// Clusters and issuers have spaces if somebody wants them to, and shared data knows its
    /// entries by their names alone.
    #[test]
    fn no_two_sources_have_one_name() {
        let texts = ["a", "a b", "b", "-", "", "1:a", "a 1:b", "b 1:-", "a - b"];
        let mut sources = Vec::new();
        for cluster in texts {
            for other in texts {
                for timeout in [1, 11] {
                    let timeout = Duration::from_millis(timeout);
                    sources.push(Endpoint::Jwks(HttpUri {
                        scheme: Scheme::Https,
                        authority: "h".to_owned(),
                        path: format!("/{other}"),
                        cluster: cluster.to_owned(),
                        timeout,
                    }));
                    let jwks_clusters = texts.map(Some).into_iter().chain([None]);
                    sources.extend(jwks_clusters.map(|jwks_cluster| Endpoint::Discovery {
                        issuer: other.to_owned(),
                        cluster: cluster.to_owned(),
                        jwks_cluster: jwks_cluster.map(str::to_owned),
                        timeout,
                    }));
                }
            }
        }
        let mut names: Vec<String> = sources.iter().map(source_of).collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
