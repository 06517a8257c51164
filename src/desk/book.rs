//! The questions of one worker: those to be asked, those that are out, and the answers that are
//! kept.
//!
//! Invariants:
//! - a question is in the book once, and is asked once while it is there;
//! - the book is bounded in number and in octets; before a call is made there is room for its
//!   longest response;
//! - an answer that a request waits for is not dropped to make room for another;
//! - a question that must not be repeated is not asked again after an unclear outcome.

use std::rc::Rc;
use std::time::Duration;

use super::endpoints::Endpoints;
use super::question::{Answered, Question, Reading, Repeat, Share, Subject, Unclear};
use super::shared::{Claim, Outcome};
use crate::document::finding::Finding;
use crate::host::{Call, Reply};
use crate::time::Millis;

/// Questions and answers that are in the book at once.
pub const MOST_QUESTIONS: usize = 4096;
/// The memory that they take at most, with the responses that are still to come, in octets.
pub const MOST_OCTETS: usize = 8 << 20;
/// The least time that an answer is kept, so that every request that waits for it gets it.
pub const LEAST_KEPT: Duration = Duration::from_secs(1);
/// How long a question with an unclear outcome is remembered. No authorization code is valid for
/// longer (RFC 6749 section 4.1.2).
pub const UNCLEAR_FOR: Duration = Duration::from_secs(10 * 60);
/// The same for a question that may be asked again after that.
pub const AGAIN_AFTER: Duration = Duration::from_secs(10);
/// The longest rest of an endpoint that is waited for. A longer one is told at once.
pub const WORTH_WAITING: Duration = Duration::from_secs(1);
/// How long a question is put off where shared data has no room for its answer.
pub const NO_ROOM_FOR: Duration = Duration::from_secs(1);
/// How much longer than its timeout a call is awaited. The proxy ends every call by its timeout.
pub const MARGIN: Duration = Duration::from_millis(500);
/// How long a question that another worker asks is left alone: until the next tick.
const A_MOMENT: Duration = Duration::from_millis(1);
/// How often entries past their time are dropped.
const SWEEP: Duration = Duration::from_secs(1);

/// Tells a question from an earlier one with the same subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number(u64);

/// The questions of one worker, those that wait and those that are answered.
#[derive(Debug, Default)]
pub struct Book {
    /// By subject.
    entries: Vec<Entry>,
    /// The memory that the entries take, in octets.
    octets: usize,
    /// How many of the entries must still be asked.
    wanted: usize,
    next: u64,
    endpoints: Endpoints,
    swept_at: Millis,
}

#[derive(Debug)]
struct Entry {
    subject: Rc<Subject>,
    number: Number,
    state: State,
    /// Whether it is asked even if nobody waits for the answer.
    is_errand: bool,
}

#[derive(Debug)]
enum State {
    /// It must be asked, but not before then.
    Wanted(Box<Question>, Millis),
    Asked {
        question: Box<Question>,
        /// When the proxy must have forgotten the call.
        lost_at: Millis,
    },
    Kept {
        answer: Rc<Answered>,
        until: Millis,
    },
    Unclear {
        until: Millis,
    },
    /// Shared data has no room for the answer.
    PutOff {
        until: Millis,
    },
}

/// The time when a call ends, and the random bits that choose how long an endpoint rests.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// By the clock that all workers share.
    pub now: Millis,
    /// In Unix seconds.
    pub unix: u64,
    /// Uniformly distributed bits.
    pub random: u64,
}

/// The outcome of a call.
#[derive(Clone)]
pub struct Ended {
    /// The number of the question.
    pub number: Number,
    /// Where other workers are told of the outcome.
    pub share: Option<Share>,
    /// The outcome that is remembered.
    pub outcome: Outcome,
    /// The counter that the call moves.
    pub counter: Option<String>,
    /// The failure, where there was no answer.
    pub failed: Option<Failed>,
}

/// A call that brought no answer, for the log.
#[derive(Clone, Debug)]
pub struct Failed {
    /// The name of the endpoint that was asked; see [`Question::endpoint`].
    pub endpoint: Rc<str>,
    /// How many calls have failed in a row.
    pub failures: u32,
}

impl Entry {
    fn octets(&self) -> usize {
        let state = match &self.state {
            State::Wanted(question, _) => question.octets(),
            State::Asked { question, .. } => question.octets().saturating_add(question.call.most),
            State::Kept { answer, .. } => answer.octets(),
            State::Unclear { .. } | State::PutOff { .. } => 0,
        };
        let own = size_of::<Self>().saturating_add(self.subject.octets());
        own.saturating_add(state)
    }

    fn is_wanted(&self) -> bool {
        matches!(self.state, State::Wanted(..))
    }

    fn is_over(&self, now: Millis) -> bool {
        match self.state {
            State::Wanted(..) | State::Asked { .. } => false,
            State::Kept { until, .. } | State::Unclear { until } | State::PutOff { until } => {
                now >= until
            }
        }
    }
}

impl Book {
    /// How many questions are in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no question and no answer.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The memory that questions and answers take, in octets, with the responses still to come.
    #[must_use]
    pub fn octets(&self) -> usize {
        self.octets
    }

    /// Whether a question must still be asked.
    #[must_use]
    pub fn is_restless(&self) -> bool {
        self.wanted > 0
    }

    fn place(&self, subject: &Subject) -> Result<usize, usize> {
        let by = |entry: &Entry| (*entry.subject).cmp(subject);
        self.entries.binary_search_by(by)
    }

    fn entry(&self, subject: &Subject) -> Option<&Entry> {
        let at = self.place(subject).ok()?;
        self.entries.get(at)
    }

    fn take(&mut self, at: usize) -> Option<Entry> {
        self.entries.get(at)?;
        let entry = self.entries.remove(at);
        self.octets = self.octets.saturating_sub(entry.octets());
        self.wanted = self.wanted.saturating_sub(entry.is_wanted().into());
        Some(entry)
    }

    fn put(&mut self, entry: Entry) {
        self.octets = self.octets.saturating_add(entry.octets());
        self.wanted = self.wanted.saturating_add(entry.is_wanted().into());
        let (Ok(at) | Err(at)) = self.place(&entry.subject);
        self.entries.insert(at, entry);
    }

    /// The entry with the smallest number that passes this test.
    fn oldest(&self, is_like: impl Fn(&Entry) -> bool) -> Option<usize> {
        let mut oldest: Option<(Number, usize)> = None;
        for (at, entry) in self.entries.iter().enumerate() {
            if oldest.is_none_or(|(number, _)| entry.number < number) && is_like(entry) {
                oldest = Some((entry.number, at));
            }
        }
        Some(oldest?.1)
    }

    /// The answer to a question. It is [`Finding::Pending`] also where the question can be asked.
    #[must_use]
    pub fn find(&self, question: &Question, now: Millis) -> Finding<Result<Rc<Answered>, Unclear>> {
        let entry = self.entry(&question.subject);
        match entry
            .filter(|entry| !entry.is_over(now))
            .map(|entry| &entry.state)
        {
            Some(State::Kept { answer, .. }) => Finding::Ready(Ok(Rc::clone(answer))),
            Some(State::Unclear { .. }) => Finding::Ready(Err(Unclear)),
            Some(State::PutOff { until }) => Finding::Unavailable {
                retry_after: until.since(now),
            },
            Some(State::Wanted(..) | State::Asked { .. }) => Finding::Pending,
            None => match self.endpoints.rests_for(&question.endpoint, now) {
                retry_after if retry_after > WORTH_WAITING => Finding::Unavailable { retry_after },
                _ => Finding::Pending,
            },
        }
    }

    /// How long a client whose request cannot wait for the answer should wait before it tries
    /// again.
    #[must_use]
    pub fn retry_after(&self, question: &Question, now: Millis) -> Duration {
        self.endpoints.rests_for(&question.endpoint, now)
    }

    /// Notes that a question must be asked, unless it is in the book already. `None` where there is
    /// no room, because everything in the book is out, awaited, or must not be forgotten.
    pub fn want(
        &mut self,
        question: Box<Question>,
        now: Millis,
        is_awaited: impl Fn(Number) -> bool,
    ) -> Option<Number> {
        if let Ok(at) = self.place(&question.subject) {
            match self.entries.get(at) {
                Some(entry) if !entry.is_over(now) => return Some(entry.number),
                _ => drop(self.take(at)),
            }
        }
        let number = self.next_number();
        let entry = Entry {
            subject: Rc::clone(&question.subject),
            number,
            state: State::Wanted(question, now),
            is_errand: false,
        };
        if !self.make_room(1, entry.octets(), now, is_awaited) {
            return None;
        }
        self.put(entry);
        Some(number)
    }

    /// Notes a question that is asked even if nobody waits for its answer. False where there is no
    /// room.
    pub fn send(
        &mut self,
        question: Box<Question>,
        now: Millis,
        is_awaited: impl Fn(Number) -> bool,
    ) -> bool {
        let subject = Rc::clone(&question.subject);
        let number = self.want(question, now, is_awaited);
        let at = self.place(&subject).ok();
        if let Some(entry) = at.and_then(|at| self.entries.get_mut(at)) {
            entry.is_errand = true;
        }
        number.is_some()
    }

    /// The status of the answer to a question that nobody had to wait for, where it is an error.
    #[must_use]
    pub fn refused_errand(&self, subject: &Subject) -> Option<u16> {
        let entry = self.entry(subject).filter(|entry| entry.is_errand)?;
        match &entry.state {
            State::Kept { answer, .. } if answer.status >= 400 => Some(answer.status),
            _ => None,
        }
    }

    /// Drops the oldest answers that no request waits for, until there is room for so many more
    /// entries and octets. False where there is no room.
    fn make_room(
        &mut self,
        entries: usize,
        octets: usize,
        now: Millis,
        is_awaited: impl Fn(Number) -> bool,
    ) -> bool {
        let has_room = |book: &Self| {
            book.len().saturating_add(entries) <= MOST_QUESTIONS
                && book.octets.saturating_add(octets) <= MOST_OCTETS
        };
        if !has_room(self) {
            self.sweep(now, &is_awaited);
        }
        while !has_room(self) {
            let is_free = |entry: &Entry| {
                matches!(entry.state, State::Kept { .. }) && !is_awaited(entry.number)
            };
            match self.oldest(is_free) {
                Some(at) => drop(self.take(at)),
                None => return false,
            }
        }
        true
    }

    /// Drops entries that are past their time and that no request waits for.
    fn sweep(&mut self, now: Millis, is_awaited: impl Fn(Number) -> bool) {
        let stays = |entry: &Entry| !entry.is_over(now) || is_awaited(entry.number);
        while let Some(at) = self.entries.iter().position(|entry| !stays(entry)) {
            self.take(at);
        }
    }

    /// Whether the requests that wait for this question can be decided anew: it is answered, or it
    /// will not be.
    #[must_use]
    pub fn is_settled(&self, subject: &Subject, number: Number) -> bool {
        self.entry(subject).is_none_or(|entry| {
            let is_open = matches!(entry.state, State::Wanted(..) | State::Asked { .. });
            entry.number != number || !is_open
        })
    }

    /// Lets time pass: gives up a call that the proxy has forgotten, and drops what is past its
    /// time. Returns a call that was given up; there may be more.
    pub fn pass(&mut self, moment: Moment, is_awaited: impl Fn(Number) -> bool) -> Option<Ended> {
        let now = moment.now;
        if now < self.swept_at || now.since(self.swept_at) >= SWEEP {
            self.swept_at = now;
            self.sweep(now, is_awaited);
        }
        let is_lost =
            |entry: &Entry| matches!(entry.state, State::Asked { lost_at, .. } if now >= lost_at);
        let lost = self.entries.iter().find(|entry| is_lost(entry))?;
        let (subject, number) = (Rc::clone(&lost.subject), lost.number);
        self.reply(&subject, number, Reply::None, moment)
    }

    /// The questions that one worker must ask for all workers, and that still wait to be asked.
    #[must_use]
    pub fn shared_and_wanted(&self) -> Vec<Share> {
        let wanted = self.entries.iter().filter_map(|entry| match &entry.state {
            State::Wanted(question, _) => question.share(),
            _ => None,
        });
        wanted.collect()
    }

    /// The questions that this worker is asking for all workers.
    #[must_use]
    pub fn shared_and_asked(&self) -> Vec<Share> {
        let asked = self.entries.iter().filter_map(|entry| match &entry.state {
            State::Asked { question, .. } => question.share(),
            _ => None,
        });
        asked.collect()
    }

    /// Notes the outcome of a question that another worker asked. True where it is new and there is
    /// room for it.
    pub fn learn(
        &mut self,
        subject: &Rc<Subject>,
        outcome: Outcome,
        now: Millis,
        is_awaited: impl Fn(Number) -> bool,
    ) -> bool {
        let state = match outcome {
            Outcome::Answered(answer, until) => State::Kept { answer, until },
            Outcome::Unclear(until) => State::Unclear { until },
            Outcome::Nothing => return false,
        };
        let known = self.place(subject).ok();
        match known.and_then(|at| self.entries.get(at)) {
            Some(Entry {
                state: State::Wanted(..) | State::PutOff { .. },
                ..
            })
            | None => {}
            Some(entry) if entry.is_over(now) => {}
            Some(_) => return false,
        }
        let number = known.and_then(|at| self.take(at)).map(|entry| entry.number);
        let number = number.unwrap_or_else(|| self.next_number());
        let entry = Entry {
            subject: Rc::clone(subject),
            number,
            state,
            is_errand: false,
        };
        let has_room = self.make_room(1, entry.octets(), now, is_awaited);
        if has_room {
            self.put(entry);
        }
        has_room
    }

    fn next_number(&mut self) -> Number {
        let number = Number(self.next);
        self.next = self.next.wrapping_add(1);
        number
    }

    /// The next call to make, for the oldest question, if one may be made and there is room for its
    /// response. A question that no request waits for any longer is not asked, unless it is an
    /// errand. A question for all workers is asked only if `claim` grants it to this worker until
    /// the given time, and is put off where there is no room for the answer.
    pub fn next_call(
        &mut self,
        now: Millis,
        is_awaited: impl Fn(Number) -> bool,
        claim: impl Fn(&Share, Millis, usize) -> Claim,
    ) -> Option<(Rc<Subject>, Number, Call)> {
        while self.wanted > 0 {
            let at = self.oldest(|entry| match &entry.state {
                State::Wanted(question, from) => {
                    now >= *from && self.endpoints.is_free(&question.endpoint, now)
                }
                _ => false,
            })?;
            let mut entry = self.take(at)?;
            let State::Wanted(question, from) = entry.state else {
                return None;
            };
            if !entry.is_errand && !is_awaited(entry.number) {
                continue;
            }
            let call = question.call.clone();
            let endpoint = Rc::clone(&question.endpoint);
            let taken = (Rc::clone(&entry.subject), entry.number);
            let share = question.share();
            entry.state = State::Wanted(question, from);
            self.put(entry);
            if !self.make_room(0, call.most, now, &is_awaited) {
                return None;
            }
            let lost_at = now.after(call.timeout.saturating_add(MARGIN));
            let claim = share.map_or(Claim::Granted, |share| claim(&share, lost_at, call.most));
            let at = self.place(&taken.0).ok()?;
            let mut entry = self.take(at)?;
            if let State::Wanted(question, _) = entry.state {
                entry.state = match claim {
                    Claim::Granted => State::Asked { question, lost_at },
                    Claim::Taken => State::Wanted(question, now.after(A_MOMENT)),
                    Claim::NoRoom => State::PutOff {
                        until: now.after(NO_ROOM_FOR),
                    },
                };
            }
            self.put(entry);
            if claim != Claim::Granted {
                continue;
            }
            self.endpoints.begin(&endpoint);
            return Some((taken.0, taken.1, call));
        }
        None
    }

    /// Takes the outcome of the call for a question, unless the call was given up.
    pub fn reply(
        &mut self,
        subject: &Subject,
        number: Number,
        reply: Reply,
        Moment { now, unix, random }: Moment,
    ) -> Option<Ended> {
        let at = self.place(subject).ok()?;
        let asked = self.entries.get(at)?;
        if asked.number != number || !matches!(asked.state, State::Asked { .. }) {
            return None;
        }
        let mut entry = self.take(at)?;
        let State::Asked { question, .. } = entry.state else {
            return None;
        };
        let (refusal, is_clear) = (reply.refusal(), reply.is_certainly_nothing());
        let answer = reply.answered(unix).map(Rc::new);
        let counter = (question.counter)(answer.as_deref());
        let kept = answer.and_then(|answer| match (question.read)(&answer) {
            Reading::Keep(time) => Some((answer, now.after(time.max(LEAST_KEPT)))),
            Reading::Failed => None,
        });
        let (endpoint, share) = (Rc::clone(&question.endpoint), question.share());
        let failed = kept.is_none().then_some((refusal, question.longest_rest));
        let failures = self.endpoints.end(&endpoint, failed, now, random);
        let rests_long = self.endpoints.rests_for(&endpoint, now) > WORTH_WAITING;
        let outcome = match (kept, question.repeat) {
            (Some((answer, until)), _) => Outcome::Answered(answer, until),
            (None, Repeat::MustNot) if !is_clear => Outcome::Unclear(now.after(UNCLEAR_FOR)),
            (None, Repeat::Later) if !is_clear => Outcome::Unclear(now.after(AGAIN_AFTER)),
            (None, _) => Outcome::Nothing,
        };
        let state = match &outcome {
            Outcome::Answered(answer, until) => Some(State::Kept {
                answer: Rc::clone(answer),
                until: *until,
            }),
            Outcome::Unclear(until) => Some(State::Unclear { until: *until }),
            Outcome::Nothing if rests_long => None,
            Outcome::Nothing => Some(State::Wanted(question, now)),
        };
        if let Some(state) = state {
            entry.state = state;
            self.put(entry);
        }
        let failed = failed.map(|_| Failed {
            endpoint: Rc::clone(&endpoint),
            failures,
        });
        if failed.is_some() && rests_long {
            self.give_up(&endpoint);
        }
        Some(Ended {
            number,
            share,
            outcome,
            counter,
            failed,
        })
    }

    /// Drops the questions to an endpoint that rests for long. The requests that wait for them are
    /// told.
    fn give_up(&mut self, endpoint: &str) {
        let waits_in_vain = |entry: &Entry| match &entry.state {
            State::Wanted(question, _) => *question.endpoint == *endpoint,
            _ => false,
        };
        while let Some(at) = self.entries.iter().position(waits_in_vain) {
            self.take(at);
        }
    }

    /// Forgets everything, since no call will be answered any longer.
    pub fn clear(&mut self) {
        *self = Self {
            next: self.next,
            ..Self::default()
        };
    }
}
