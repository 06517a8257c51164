//! Ask, wait, decide anew: one worker's desk, where a decision finds the facts from outside.
//!
//! A decision that lacks a fact names it ([`Need`]). Its request waits in line. A tick makes the
//! call. The answer settles all requests that wait for it, and each is decided anew from the top.
//!
//! Invariants:
//! - only [`Desk::tick`] and [`Desk::reply`] make calls, so calls come from the root context: the
//!   calls of a request's own context would be lost with its client;
//! - a question is not asked again while its call is out or its answer is kept, and it stays when
//!   its requests have left. One that must not be repeated is asked only once. One whose answer all
//!   workers share ([`shared`]) is asked by only one worker of the process;
//! - every wait ends: by an answer, by a failure, or by time;
//! - everything is bounded: requests in line ([`line`](mod@line)), questions, answers and their
//!   octets ([`book`]), calls to an endpoint ([`endpoints`]).

pub mod book;
pub mod endpoints;
mod facts;
pub mod line;
pub mod question;
pub mod shared;
pub mod signer;
mod sources;
mod tally;

use std::rc::Rc;
use std::time::Duration;

use crate::config::{PerProvider, Provider, ProviderId};
use crate::document::finding::Finding;
use crate::document::lifecycle::FlightId;
use crate::host::{Call, CallId, Host, Reply};
use crate::jwks::keys::{Keys, UnknownKid};
pub use crate::jwks::metadata::Metadata;
use crate::metrics;
use crate::time::{Millis, whole_seconds};

use book::{Book, Ended, Failed, Moment, Number};
use line::{Awaited, BODY_WAIT, Line, MOST_WAIT, Waiter, longest_wait};
use question::{Answered, Question, Share, Subject, Unclear};
use shared::{Outcome, Shared};
use sources::Sources;
use tally::Tally;

pub use crate::document::lifecycle::Seen;
pub use facts::{Basis, Facts, Need};
pub use line::Ticket;

/// How often the gauges are set.
const GAUGES: Duration = Duration::from_secs(1);

/// One worker's desk. `R` is a request that waits.
pub struct Desk<R> {
    sources: Sources,
    book: Book,
    shared: Shared,
    line: Line<R>,
    /// This worker's part of the gauge.
    tally: Tally,
    /// Whether this worker may have a part in the gauge.
    has_line: bool,
    /// The calls that are not answered yet. There are few.
    calls: Vec<Sent>,
    gauges_at: Millis,
    /// How long a call takes at most that tells what has ended in other Envoys, while that is awaited.
    sign_outs: Option<Duration>,
}

/// A call that is not answered yet.
struct Sent {
    id: CallId,
    purpose: Purpose,
    /// The most octets of its response that are read.
    most: usize,
}

enum Purpose {
    Keys(ProviderId, FlightId),
    Answer(Rc<Subject>, Number),
}

/// A request that can be decided anew.
pub struct Settled<R> {
    /// Its place in the line.
    pub ticket: Ticket,
    waiter: Waiter<R>,
    /// Whether it may wait longer.
    pub has_time: bool,
}

impl<R> Settled<R> {
    /// The request itself.
    pub fn request(&self) -> &R {
        &self.waiter.request
    }

    /// What the request saw of the keys that it waits for, when it came.
    pub fn came(&self) -> Option<(ProviderId, Seen)> {
        self.waiter.came
    }
}

impl<R> Desk<R> {
    /// A desk without remote keys: the first tick begins to fetch them. At most `most_waiting`
    /// requests wait at it.
    pub fn new(providers: &PerProvider<Provider>, most_waiting: usize, host: &impl Host) -> Self {
        let sources = Sources::new(providers, host);
        Self {
            has_line: !sources.are_local(),
            sources,
            book: Book::default(),
            shared: Shared::new(host.random()),
            line: Line::new(most_waiting),
            tally: Tally::new(host.random()),
            calls: Vec::new(),
            gauges_at: Millis(0),
            sign_outs: None,
        }
    }

    /// Hears whether requests that count on a session have to wait: how long a call takes at most, or
    /// `None` where nothing is awaited any longer.
    pub fn await_sign_outs(&mut self, call: Option<Duration>) {
        self.sign_outs = call;
    }

    /// Whether all keys are in the configuration, so that none are fetched.
    pub fn keys_are_local(&self) -> bool {
        self.sources.are_local()
    }

    /// The questions and answers that it has.
    pub fn book(&self) -> &Book {
        &self.book
    }

    /// See [`Facts::keys`]. The clock is asked only where keys have an age.
    pub fn keys(
        &mut self,
        provider: ProviderId,
        host: &impl Host,
        now: impl FnOnce() -> Millis,
    ) -> Keys {
        self.sources.keys(provider, host, now)
    }

    /// See [`Facts::metadata`]. The clock is asked only where keys have an age.
    pub fn metadata(
        &mut self,
        provider: ProviderId,
        host: &impl Host,
        now: impl FnOnce() -> Millis,
    ) -> Finding<Rc<Metadata>> {
        self.sources.metadata(provider, host, now)
    }

    /// See [`Facts::unknown_kid`]. `came`: what the request saw of keys when it came, if it waited.
    pub fn unknown_kid(
        &mut self,
        (provider, kid): (ProviderId, Option<&str>),
        came: Option<(ProviderId, Seen)>,
        host: &impl Host,
        now: impl FnOnce() -> Millis,
    ) -> UnknownKid {
        let came = came.filter(|(of, _)| *of == provider);
        let came = came.map(|(_, seen)| seen);
        self.sources.unknown_kid((provider, kid), came, host, now)
    }

    /// See [`Facts::used`].
    pub fn used(&mut self, provider: ProviderId, kid: Option<&str>, now: impl FnOnce() -> Millis) {
        self.sources.used(provider, kid, now);
    }

    /// See [`Facts::answer`]. Where this worker has no answer, another one may have shared it.
    pub fn answer(
        &mut self,
        question: &Question,
        host: &impl Host,
        now: Millis,
    ) -> Finding<Result<Rc<Answered>, Unclear>> {
        if let Some(share) = question.share()
            && !matches!(self.book.find(question, now), Finding::Ready(_))
        {
            let outcome = self.shared.find(&share, host, now);
            self.learn(&share, outcome, now);
        }
        self.book.find(question, now)
    }

    /// Notes what another worker shared. True if it is new.
    fn learn(&mut self, share: &Share, outcome: Outcome, now: Millis) -> bool {
        let line = &self.line;
        let awaits = |number| line.awaits(number);
        self.book.learn(&share.subject, outcome, now, awaits)
    }

    /// How long a client whose request cannot wait for `need` should wait before it tries again.
    pub fn retry_after(&self, need: &Need, now: Millis) -> Duration {
        match need {
            Need::Keys(provider) => self.sources.retry_after(*provider, now),
            Need::Answer(question) => self.book.retry_after(question, now),
            Need::Body(_) | Need::SignOuts => Duration::ZERO,
        }
    }

    /// Lets a request wait for what its decision lacks. `octets`: the memory that the request
    /// takes. `Err` with the request where the line or the book is full.
    pub fn enter(
        &mut self,
        need: Need,
        octets: usize,
        request: R,
        now: Millis,
    ) -> Result<Ticket, R> {
        if self.line.is_full(octets) {
            return Err(request);
        }
        let Some((awaited, longest)) = self.notice(need, now) else {
            return Err(request);
        };
        self.has_line = true;
        let came = match awaited {
            Awaited::Keys(provider, seen) => Some((provider, seen)),
            Awaited::Answer(..) | Awaited::Body | Awaited::SignOuts => None,
        };
        let waiter = Waiter {
            awaited,
            came,
            entered: now,
            deadline: now.after(longest),
            bytes: octets,
            request,
        };
        self.line.enter(waiter).map_err(|waiter| waiter.request)
    }

    /// Lets a request wait longer, in its old place. A new need has its own time, but no request
    /// waits longer than [`MOST_WAIT`]. `Err` with the request where the book is full.
    pub fn wait_on(
        &mut self,
        settled: Settled<R>,
        need: Need,
        now: Millis,
    ) -> Result<(), Settled<R>> {
        let Some((awaited, longest)) = self.notice(need, now) else {
            return Err(settled);
        };
        let Settled { ticket, waiter, .. } = settled;
        let (is_same, came) = match (&awaited, &waiter.awaited) {
            (Awaited::Keys(provider, seen), before) => {
                let is_same = matches!(before, Awaited::Keys(before, _) if before == provider);
                let came = if is_same { waiter.came } else { None };
                (is_same, came.or(Some((*provider, *seen))))
            }
            (Awaited::Answer(subject, _), Awaited::Answer(before, _)) => {
                (subject == before, waiter.came)
            }
            (Awaited::Body, Awaited::Body) | (Awaited::SignOuts, Awaited::SignOuts) => {
                (true, waiter.came)
            }
            (Awaited::Answer(..) | Awaited::Body | Awaited::SignOuts, _) => (false, waiter.came),
        };
        let deadline = if is_same {
            waiter.deadline
        } else {
            let latest = waiter.entered.after(MOST_WAIT);
            waiter.deadline.max(now.after(longest)).min(latest)
        };
        let waiter = Waiter {
            awaited,
            came,
            deadline,
            ..waiter
        };
        self.line.put_back(ticket, waiter);
        Ok(())
    }

    /// Notes what is needed, and how long that may take.
    fn notice(&mut self, need: Need, now: Millis) -> Option<(Awaited, Duration)> {
        match need {
            Need::Keys(provider) => {
                let (seen, fetch) = self.sources.prospects(provider);
                Some((Awaited::Keys(provider, seen), longest_wait(fetch)))
            }
            Need::Answer(question) => {
                let subject = Rc::clone(&question.subject);
                let longest = longest_wait(question.call.timeout.saturating_add(book::MARGIN));
                let line = &self.line;
                let number = self
                    .book
                    .want(question, now, |number| line.awaits(number))?;
                Some((Awaited::Answer(subject, number), longest))
            }
            Need::Body(_) => Some((Awaited::Body, BODY_WAIT)),
            Need::SignOuts => {
                let call = self.sign_outs.unwrap_or_default();
                Some((Awaited::SignOuts, longest_wait(call)))
            }
        }
    }

    /// Asks a question that nobody waits for. A failure is only logged.
    pub fn send(&mut self, question: Question, now: Millis) {
        let line = &self.line;
        let endpoint = Rc::clone(&question.endpoint);
        let book = &mut self.book;
        if !book.send(Box::new(question), now, |number| line.awaits(number)) {
            log::warn!("{endpoint}: not asked, for too much is asked at once");
        }
    }

    /// Takes out a request whose body has come.
    pub fn take(&mut self, ticket: Ticket) -> Option<R> {
        Some(self.line.take(ticket)?.request)
    }

    /// Forgets a waiting request whose client left. Its question stays.
    pub fn leave(&mut self, ticket: Ticket) {
        self.line.leave(ticket);
    }

    /// Moves everything on by the time that passed, and makes the calls that are due. True if
    /// anything changed.
    pub fn tick(&mut self, host: &impl Host, now: Millis) -> bool {
        let mut any = false;
        let urgent = !self.line.is_empty();
        for provider in self.sources.ids() {
            let call = self.sources.tick(provider, urgent, host, now);
            any |= self.fetch(provider, call, host, now);
        }
        let moment = moment(host, now);
        let line = &self.line;
        while let Some(ended) = self.book.pass(moment, |number| line.awaits(number)) {
            any = true;
            // Nobody waits for a late answer.
            let is_of = |purpose: &Purpose| matches!(purpose, Purpose::Answer(_, number) if *number == ended.number);
            self.calls.retain(|sent| !is_of(&sent.purpose));
            conclude(&ended, &mut self.shared, host, now);
        }
        for share in self.book.shared_and_wanted() {
            let outcome = self.shared.find(&share, host, now);
            any |= self.learn(&share, outcome, now);
        }
        self.shared.tidy(host, now);
        any |= self.ask(host, now);
        if now >= self.gauges_at {
            self.gauges_at = now.after(GAUGES);
            self.sources.gauge_ages(host, now);
        }
        any
    }

    /// How many octets of the response to a call are read at most; `None` where nobody waits for
    /// it.
    pub fn most(&self, call: CallId) -> Option<usize> {
        let sent = self.calls.iter().find(|sent| sent.id == call);
        Some(sent?.most)
    }

    /// Takes the outcome of a call. False if the call is not this desk's, or was given up.
    pub fn reply(&mut self, call: CallId, reply: Reply, host: &impl Host, now: Millis) -> bool {
        let Some(at) = self.calls.iter().position(|sent| sent.id == call) else {
            return false;
        };
        match self.calls.swap_remove(at).purpose {
            Purpose::Keys(provider, flight) => {
                let call = self.sources.reply(provider, flight, reply, host, now);
                self.fetch(provider, call, host, now);
            }
            Purpose::Answer(subject, number) => {
                let ended = self.book.reply(&subject, number, reply, moment(host, now));
                if let Some(ended) = ended {
                    conclude(&ended, &mut self.shared, host, now);
                }
                if let Some(status) = self.book.refused_errand(&subject) {
                    log::warn!("{subject:?} was refused: status {status}");
                }
                self.ask(host, now);
            }
        }
        true
    }

    /// Logs and counts what a step of a provider's keys brought, and makes its call. True if
    /// anything happened.
    fn fetch(
        &mut self,
        provider: ProviderId,
        mut call: Option<(FlightId, Call)>,
        host: &impl Host,
        now: Millis,
    ) -> bool {
        let mut any = self.sources.tell_events(provider, host);
        while let Some((flight, sent)) = call.take() {
            match host.dispatch(&sent) {
                Some(id) => {
                    // A call that was given up is not awaited any longer.
                    let is_of = |purpose: &Purpose| matches!(purpose, Purpose::Keys(other, _) if *other == provider);
                    self.calls.retain(|other| !is_of(&other.purpose));
                    self.calls.push(Sent {
                        id,
                        purpose: Purpose::Keys(provider, flight),
                        most: sent.most,
                    });
                }
                None => {
                    call = self
                        .sources
                        .reply(provider, flight, Reply::NotSent, host, now);
                    any |= self.sources.tell_events(provider, host);
                }
            }
        }
        any
    }

    /// Asks the questions that may be asked. True if any call failed at once.
    fn ask(&mut self, host: &impl Host, now: Millis) -> bool {
        let mut any = false;
        let Self {
            book, line, shared, ..
        } = self;
        loop {
            let claim = |share: &Share, until, room| shared.claim(share, (until, room), host, now);
            let next = book.next_call(now, |number| line.awaits(number), claim);
            let Some((subject, number, mut call)) = next else {
                break;
            };
            match proved(&mut call, host).and_then(|()| host.dispatch(&call)) {
                Some(id) => self.calls.push(Sent {
                    id,
                    purpose: Purpose::Answer(subject, number),
                    most: call.most,
                }),
                None => {
                    any = true;
                    let moment = moment(host, now);
                    if let Some(ended) = book.reply(&subject, number, Reply::NotSent, moment) {
                        conclude(&ended, shared, host, now);
                    }
                }
            }
        }
        any
    }

    /// Takes requests out of the line, in order: those whose fact is settled or whose time is up.
    /// If there are many, it takes some of them.
    pub fn take_settled(&mut self, now: Millis) -> Vec<Settled<R>> {
        let Self {
            sources,
            book,
            line,
            sign_outs,
            ..
        } = self;
        let taken = line.take_settled(now, |awaited| match awaited {
            Awaited::Keys(provider, seen) => sources.settled(*provider, *seen),
            Awaited::Answer(subject, number) => book.is_settled(subject, *number),
            Awaited::Body => false,
            Awaited::SignOuts => sign_outs.is_none(),
        });
        let settled = taken.into_iter().map(|(ticket, waiter)| Settled {
            ticket,
            has_time: now < waiter.deadline,
            waiter,
        });
        settled.collect()
    }

    /// Brings the gauge to the number of requests that wait here. A VM that traps cannot do that.
    /// Another worker takes its part out then.
    pub fn tell_waiting(&mut self, host: &impl Host, now: Millis) {
        if self.has_line {
            self.tell_tally(self.line.len(), host, now);
        }
    }

    fn tell_tally(&mut self, waiting: usize, host: &impl Host, now: Millis) {
        let change = self.tally.tell(waiting, now, host);
        if change != 0 {
            host.gauge_add(metrics::WAITING, change);
        }
    }

    /// Whether ticks should be frequent.
    pub fn is_restless(&self, now: Millis) -> bool {
        !self.line.is_empty() || self.book.is_restless() || self.sources.are_restless(now)
    }

    /// Gives up all calls when the root context goes away, since the proxy drops them with it.
    /// There are no more ticks for requests that still wait.
    pub fn abandon(&mut self, host: &impl Host, now: Millis) {
        self.calls.clear();
        for share in self.book.shared_and_asked() {
            let until = now.after(book::AGAIN_AFTER);
            self.shared.end(&share, &Outcome::Unclear(until), host, now);
        }
        self.book.clear();
        self.tell_tally(0, host, now);
        self.sources.abandon(host, now);
    }
}

/// Adds a fresh proof of who the client is, where the call needs one.
fn proved(call: &mut Call, host: &impl Host) -> Option<()> {
    let Some(assertion) = call.assertion.take() else {
        return Some(());
    };
    let mut id = [0; 16];
    let entropy = host.entropy(&mut id).ok();
    let now = whole_seconds(host.unix_seconds());
    let address = call.address();
    let form = entropy.and_then(|()| assertion.form(&address, now, id, &|text| host.sign(text)));
    if form.is_none() {
        let scheme = &assertion.scheme;
        log::warn!("scheme {scheme}: a client assertion cannot be signed");
    }
    call.body.extend_from_slice(form?.as_bytes());
    Some(())
}

fn moment(host: &impl Host, now: Millis) -> Moment {
    Moment {
        now,
        unix: whole_seconds(host.unix_seconds()),
        random: host.random(),
    }
}

/// Tells the outcome of a call to the log, the metrics and the other workers.
fn conclude(ended: &Ended, shared: &mut Shared, host: &impl Host, now: Millis) {
    ended.failed.iter().for_each(tell);
    if let Some(counter) = &ended.counter {
        host.count(counter, 1);
    }
    if let Some(share) = &ended.share {
        shared.end(share, &ended.outcome, host, now);
    }
}

/// Logs one line for each failure of an endpoint, the first in a row as a warning.
fn tell(failed: &Failed) {
    let Failed { endpoint, failures } = failed;
    let level = if *failures == 1 {
        log::Level::Warn
    } else {
        log::Level::Debug
    };
    log::log!(level, "{endpoint}: no answer ({failures} in a row)");
}
