//! The answers that all workers of the process share: one of them asks, the others wait.
//!
//! Invariants:
//! - a worker asks such a question only with a claim to it. A claim belongs to one worker until it
//!   ends: with the answer, or by time if that worker is gone;
//! - an answer that has ended is taken away within [`TIDY_EVERY`] by every worker that has put something
//!   into the same drawer, however many answers there are. What a worker remembers for that is one time
//!   for each drawer;
//! - an answer is sealed for the question that it answers. Whatever another filter writes into
//!   shared data, a question gets its own answer or none.

use std::rc::Rc;
use std::time::Duration;

use super::question::{Answered, Share, Subject};
use crate::bytes::digest;
use crate::host::{Host, SharedStore};
use crate::record::{Reader, Writer};
use crate::session::seal::{Context, NONCE_LEN, OVERHEAD, Purpose};
use crate::shelf::{Entry, Name, NotPut, Shelf};
use crate::time::Millis;

/// 32 MiB of answers at most. A usual answer has some 4 KiB, so there is room for some 8,000 of them.
const SHELF: Shelf = Shelf {
    name: "answers",
    drawers: 128,
    most_octets: 256 * 1024,
    longest: Duration::from_secs(10 * 60),
};
/// How long an answer stays, however many others there are. Requests that were on their way when the
/// question was asked find it. After that it makes way where there is no room.
const STAYS: Duration = Duration::from_secs(60);
/// What an answer has in addition to its content type and its body, in octets.
const OF_ANSWER: usize = 256;
/// The drawers are opened no more often to take out what has ended: a secret must not stay, and a
/// drawer is opened whole.
const TIDY_EVERY: Duration = Duration::from_secs(1);

const ASKED: u64 = 0;
const ANSWERED: u64 = 1;
const UNCLEAR: u64 = 2;

/// The outcome of a question, and until when it is remembered.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// An answer.
    Answered(Rc<Answered>, Millis),
    /// Nobody knows the outcome.
    Unclear(Millis),
    /// The question was not asked, or may be asked again at once.
    Nothing,
}

/// Whether a worker may ask a question for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It may.
    Granted,
    /// Another worker asks it, or has asked it.
    Taken,
    /// There is no room for the answer now.
    NoRoom,
}

/// One worker's part in the shared answers.
pub(super) struct Shared {
    /// Tells this worker's claims from others'.
    worker: u64,
    /// The drawers that this worker has put something into, each with the time when something in it
    /// ends. There are as many as the shelf has, at most.
    kept: Vec<(u16, Millis)>,
}

impl Share {
    fn name(&self) -> Name {
        let Subject { kind, about } = &*self.subject;
        digest(&[kind.as_bytes(), about.as_bytes()])
    }

    fn context(&self) -> Context<'_> {
        Context {
            purpose: Purpose::Answer,
            scheme: self.subject.kind,
            host: &self.subject.about,
        }
    }

    fn seal(&self, answer: &Answered, nonce: [u8; NONCE_LEN]) -> Vec<u8> {
        let content_type = answer.content_type.as_deref();
        let record = Writer::default()
            .number(answer.at)
            .number(answer.status.into())
            .number(content_type.is_some().into())
            .bytes(content_type.unwrap_or_default())
            .bytes(&answer.body)
            .finish();
        self.keyring.seal(self.context(), &record, nonce)
    }

    fn open(&self, sealed: &[u8]) -> Option<Answered> {
        let opened = self.keyring.open(self.context(), sealed).ok()?;
        let mut record = Reader(&opened.plaintext);
        let (at, status) = (record.number()?, record.number()?);
        let has_content_type = record.number()? == 1;
        let content_type = record.bytes()?;
        let answer = Answered {
            at,
            status: status.try_into().ok()?,
            content_type: has_content_type.then(|| content_type.to_vec()),
            body: record.bytes()?.to_vec(),
        };
        record.finish()?;
        Some(answer)
    }

    /// What an entry says about the question; `None` where the entry is not ours.
    fn read(&self, entry: &Entry) -> Option<Outcome> {
        let mut record = Reader(&entry.content);
        match record.number()? {
            ASKED => Some(Outcome::Nothing),
            UNCLEAR => Some(Outcome::Unclear(entry.until)),
            ANSWERED => {
                let answer = self.open(record.0)?;
                Some(Outcome::Answered(Rc::new(answer), entry.until))
            }
            _ => None,
        }
    }
}

impl Shared {
    /// `worker`: random bits that no other worker has.
    pub(super) fn new(worker: u64) -> Self {
        Self {
            worker,
            kept: Vec::new(),
        }
    }

    /// The outcome of a question, whichever worker asked. [`Outcome::Nothing`] where no worker
    /// asked, or one is asking now.
    pub(super) fn find(&self, share: &Share, store: &dyn SharedStore, now: Millis) -> Outcome {
        let entry = SHELF.find(&share.name(), store, now);
        let outcome = entry.and_then(|entry| share.read(&entry));
        outcome.unwrap_or(Outcome::Nothing)
    }

    /// Whether this worker may ask, until then. `room` is the length of the longest answer, in
    /// octets.
    pub(super) fn claim(
        &self,
        share: &Share,
        (until, room): (Millis, usize),
        store: &dyn SharedStore,
        now: Millis,
    ) -> Claim {
        let entry = Entry {
            until,
            stays_until: until,
            room: room.saturating_add(OVERHEAD).saturating_add(OF_ANSWER),
            content: self.asked(),
        };
        let is_free = |known: Option<&Entry>| known.is_none_or(|known| share.read(known).is_none());
        let put = SHELF.put(&share.name(), &entry, is_free, store, now);
        match put {
            Ok(()) => Claim::Granted,
            Err(NotPut::Stays | NotPut::Refused) => Claim::Taken,
            Err(NotPut::Full) => {
                log::warn!(
                    "no room for more shared answers: {:?} is put off",
                    share.subject
                );
                Claim::NoRoom
            }
        }
    }

    /// Shares the outcome in place of the claim. Where shared data refuses it, the claim ends by
    /// time, and only this worker knows the outcome.
    pub(super) fn end(&mut self, share: &Share, outcome: &Outcome, host: &impl Host, now: Millis) {
        let (name, claim) = (share.name(), self.asked());
        let makes_way = |known: Option<&Entry>| {
            known.is_none_or(|known| known.content == claim || share.read(known).is_none())
        };
        let mut nonce = [0; NONCE_LEN];
        let content = match outcome {
            Outcome::Answered(answer, until) if host.entropy(&mut nonce).is_ok() => {
                let kind = Writer::default().number(ANSWERED).finish();
                Some((*until, [kind, share.seal(answer, nonce)].concat()))
            }
            // Without randomness the outcome stays with this worker.
            Outcome::Answered(_, until) | Outcome::Unclear(until) => {
                Some((*until, Writer::default().number(UNCLEAR).finish()))
            }
            Outcome::Nothing => None,
        };
        let done = match content {
            None => SHELF.remove(&name, makes_way, host, now),
            Some((until, content)) => {
                self.keep(SHELF.drawer(&name), until);
                let entry = Entry {
                    until,
                    stays_until: until.min(now.after(STAYS)),
                    room: 0,
                    content,
                };
                SHELF.put(&name, &entry, makes_way, host, now)
            }
        };
        if let Err(why) = done {
            log::debug!("what came of {:?} is not shared: {why:?}", share.subject);
        }
    }

    /// Notes that something in a drawer ends then.
    fn keep(&mut self, drawer: u16, ends: Millis) {
        match self.kept.iter_mut().find(|(known, _)| *known == drawer) {
            Some((_, earlier)) => *earlier = ends.min(*earlier),
            None => self.kept.push((drawer, ends)),
        }
    }

    /// Takes out what has ended, because secrets must not stay.
    pub(super) fn tidy(&mut self, store: &dyn SharedStore, now: Millis) {
        let soonest = now.after(TIDY_EVERY);
        self.kept.retain_mut(|(drawer, ends)| {
            if now < *ends {
                return true;
            }
            // A drawer that other workers change all the time is tried again.
            let next = SHELF.tidy(*drawer, store, now).unwrap_or(Some(now));
            *ends = next.unwrap_or_default().max(soonest);
            next.is_some()
        });
    }

    fn asked(&self) -> Vec<u8> {
        Writer::default().number(ASKED).number(self.worker).finish()
    }
}
