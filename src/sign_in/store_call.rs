//! What the shared store is asked about sessions: their entries are put, read, and taken away.
//!
//! Invariants: only the names of entries and sealed octets go there. That there is no entry is only what
//! Redis says itself; whatever else comes in place of an answer is a failure of the store.

use std::rc::Rc;
use std::time::Duration;

use crate::config::FleetStore;
use crate::desk::question::{Answered, Question, Reading, Repeat, Subject, uncounted};
use crate::fleet::command::{self, Answer, Command};
use crate::host::Call;
use crate::metrics;

/// The name of the store among the endpoints that are asked.
pub const SHARED_STORE: &str = "shared store";

/// The longest answer with an entry, in octets: [`MAX_SEALED`](crate::session::seal::MAX_SEALED) in
/// base64url, and what Redis adds.
const LONGEST_ENTRY: usize = 86 * 1024;
/// The longest answer without one.
const LONGEST_ANSWER: usize = 1024;
/// The command by which answers with an entry are read.
const GET: Command<'static> = Command::Get("");
/// How long the store gets no call after failures, at most.
const LONGEST_REST: Duration = Duration::from_secs(5);
/// How long it is remembered that something was done: longer than any request waits.
const DONE_KEPT: Duration = Duration::from_secs(60);

/// Reads an entry. [`found`] reads the answer.
pub(super) fn read(store: &FleetStore, name: &str) -> Question {
    let command = Command::Get(&key(name));
    Question {
        // The sessions of the worker remember what follows from it.
        read: |answer| reading(GET.answer(&answer.body).is_some(), answer, Duration::ZERO),
        counter: |answer| {
            Some(counter(match answer {
                Some(answer) if found(answer).is_some() => metrics::SESSION_STORE_FOUND,
                Some(answer) if answer.status == 200 => metrics::SESSION_STORE_MISSING,
                _ => metrics::SESSION_STORE_FAILED,
            }))
        },
        ..question("session read", (store, name), &command, LONGEST_ENTRY)
    }
}

/// The sealed octets of an entry; `None` where there is no entry, or none of ours.
pub(super) fn found(answer: &Answered) -> Option<Vec<u8>> {
    match GET.answer(&answer.body)? {
        Answer::Value(text) => command::value(text),
        _ => None,
    }
}

/// Puts an entry for so many seconds.
pub(super) fn put(store: &FleetStore, name: &str, sealed: &[u8], seconds: u64) -> Question {
    let command = Command::Put(&key(name), sealed, seconds);
    Question {
        counter: |answer| {
            Some(counter(match answer {
                Some(answer) if is_done(answer) => metrics::SESSION_STORE_PUT,
                _ => metrics::SESSION_STORE_FAILED,
            }))
        },
        ..question("session put", (store, name), &command, LONGEST_ANSWER)
    }
}

/// Takes an entry away.
pub(super) fn remove(store: &FleetStore, name: &str) -> Question {
    let command = Command::Delete(&key(name));
    question("session removal", (store, name), &command, LONGEST_ANSWER)
}

/// Takes an entry away after so many seconds.
pub(super) fn remove_after(store: &FleetStore, name: &str, seconds: u64) -> Question {
    let command = Command::Expire(&key(name), seconds);
    let kind = "session removal later";
    question(kind, (store, name), &command, LONGEST_ANSWER)
}

fn key(name: &str) -> String {
    format!("session:{name}")
}

/// A question about the entry of this name. Its answer says that something was done.
#[inline(never)] // for many callers
fn question(
    kind: &'static str,
    (store, name): (&FleetStore, &str),
    command: &Command<'_>,
    most: usize,
) -> Question {
    Question {
        subject: Rc::new(Subject {
            kind,
            about: name.to_owned(),
        }),
        endpoint: SHARED_STORE.into(),
        call: Call {
            most,
            ..command.call(store)
        },
        read: |answer| reading(is_done(answer), answer, DONE_KEPT),
        repeat: Repeat::May,
        longest_rest: LONGEST_REST,
        shared: None,
        counter: uncounted,
    }
}

/// Whether an answer says that something was done, or how many were.
fn is_done(answer: &Answered) -> bool {
    matches!(&*answer.body, b"+OK\r\n" | b":0\r\n" | b":1\r\n") && answer.status == 200
}

fn counter(name: &str) -> String {
    name.to_owned()
}

fn reading(is_answer: bool, answer: &Answered, kept: Duration) -> Reading {
    let status = answer.status;
    if is_answer && status == 200 {
        return Reading::Keep(kept);
    }
    log::warn!("the shared store does not do what it is asked for sessions: status {status}");
    Reading::Failed
}
