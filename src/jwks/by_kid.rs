//! Keys that a provider publishes one by one, each in PEM at an address of its `kid`, as AWS does for
//! Application Load Balancers. The kids of tokens tell which there are, so the document that workers
//! share grows by the kids that are asked for.
//!
//! Invariants:
//! - only a UUID becomes a part of an address;
//! - a fetch asks again for each key of the set, and for at most [`MOST_WANTED`] other kids;
//! - a set has at most [`MOST_KEYS`] keys. A kid without a key takes the place of none. Where there are
//!   too many keys, those go first that have verified nothing lately, the oldest of them first: so a key
//!   that is in use makes way for none that is not;
//! - a key is left out only where the provider has another one: where it has none, that is a failure;
//! - what comes of a new kid does not keep the keys that are known from being renewed, and a bad answer
//!   about a known key keeps no new one out, but once for each.

use std::rc::Rc;
use std::time::Duration;

use crate::config::HttpUri;
use crate::document::MAX_DOCUMENT;
use crate::document::fetch::{Document, FetchError};
use crate::document::source::{Content, Fetched};
use crate::host::Call;
use crate::jose::jwk::Key;
use crate::jose::jwks::KeySet;
use crate::time::Millis;

/// The most keys of a set: each load balancer of the region signs with one, and for some time after a
/// rotation its tokens have another one.
pub(super) const MOST_KEYS: usize = 16;
/// The most kids without a known key that one fetch asks for.
pub(super) const MOST_WANTED: usize = 4;
/// The most kids that are counted: one that has more than this part of the requests is among them.
const MOST_COUNTED: usize = 64;
/// How long a key is in use after it has verified a token: as long as a load balancer's tokens live.
const IN_USE: Duration = Duration::from_secs(120);
/// What stands in a document's notes before a kid whose key is kept without an answer.
const KEPT: char = '?';
/// The longest key in PEM, in octets. One on P-256 has 178, the largest of RSA about 800.
const LONGEST_PEM: usize = 4096;
/// Statuses that say that there is no such key. Storage whose contents may not be listed answers 403.
const ABSENT: [u16; 3] = [403, 404, 410];

/// A document without a key.
const NO_KEYS: &str = "{}";

/// Which keys one worker wants, and where they are.
#[derive(Debug)]
pub(super) struct ByKid {
    /// The address; the kid follows its path.
    uri: HttpUri,
    /// The kids of tokens whose keys are not known, and how often each was asked for.
    wanted: Vec<(String, u32)>,
    /// The kids whose keys have verified a token lately, and when that was.
    used: Vec<(String, Millis)>,
    /// Chooses among kids that are asked for less often than others.
    random: u64,
    /// The set of a document without a key, and of none at all.
    none: Rc<KeySet>,
}

/// One fetch, while it goes on.
#[derive(Debug)]
pub struct Round {
    asked: Asked,
    /// The kid that is asked for now.
    kid: String,
}

/// What a fetch has brought.
#[derive(Debug)]
struct Asked {
    /// The kids and the keys, in PEM, of the set that is to be renewed.
    before: Vec<(String, String)>,
    /// The notes of that set.
    notes: String,
    /// The kids that were asked for.
    answers: Vec<(String, Outcome)>,
}

/// What came of one kid.
#[derive(Debug)]
enum Outcome {
    /// Its key, in PEM.
    Key(String),
    /// There is no such key.
    Absent,
    /// Whether there is one is unknown. A known key stays.
    Failed(FetchError),
}

/// What follows an answer.
pub(super) enum Step {
    Ask(Box<Round>, Call),
    Done(Fetched),
}

impl ByKid {
    pub(super) fn new(uri: HttpUri) -> Self {
        Self {
            uri,
            wanted: Vec::new(),
            used: Vec::new(),
            random: 0,
            none: Rc::default(),
        }
    }

    /// The set of keys before any document.
    pub(super) fn none(&self) -> &Rc<KeySet> {
        &self.none
    }

    /// Has the next fetch ask for the key of this kid, or the one that goes on. Where many kids are
    /// wanted, those are asked for that most requests have. Where too many are to be counted, a new one
    /// takes the place and the count of the one that was wanted least (Space-Saving), so what is asked
    /// for often stays, however many others there are.
    pub(super) fn want(&mut self, kid: &str, random: u64) {
        self.random = random;
        if let Some((_, count)) = self.wanted.iter_mut().find(|(known, _)| known == kid) {
            *count = count.saturating_add(1);
        } else if self.wanted.len() < MOST_COUNTED {
            self.wanted.push((kid.to_owned(), 1));
        } else if let Some((least, count)) = self.wanted.iter_mut().min_by_key(|(_, count)| *count)
        {
            kid.clone_into(least);
            *count = count.saturating_add(1);
        }
    }

    /// Notes that the key of this kid has verified a token.
    pub(super) fn used(&mut self, kid: &str, now: Millis) {
        let used = &mut self.used;
        used.retain(|(known, at)| known != kid && now.since(*at) < IN_USE);
        used.push((kid.to_owned(), now));
    }

    /// Whether there is nothing to ask for.
    pub(super) fn is_idle(&self, set: Option<&KeySet>) -> bool {
        self.wanted.is_empty() && set.is_none_or(|set| set.keys().is_empty())
    }

    /// A fetch that renews this set; `None` where there is nothing to ask for.
    pub(super) fn begin(&self, set: Option<&KeySet>, notes: &str) -> Option<(Box<Round>, Call)> {
        let keys = set.map(KeySet::keys).unwrap_or_default();
        let before = keys
            .iter()
            .filter_map(|key| Some((key.kid()?.to_owned(), key.to_pem())));
        let asked = Asked {
            before: before.collect(),
            notes: notes.to_owned(),
            answers: Vec::new(),
        };
        self.ask(asked).ok()
    }

    /// The kid that a fetch asks for next, of those that are wanted: most often that of most requests.
    /// The last place is chance's, for strangers can send a few kids more often than anybody else.
    fn most_wanted(&self, asked: &Asked) -> Option<&String> {
        let new = asked.answers.iter().filter(|(kid, _)| asked.is_new(kid));
        let left = MOST_WANTED.saturating_sub(new.count());
        let is_left = |(kid, _): &&(String, u32)| asked.is_new(kid) && !asked.has(kid);
        let wanted: Vec<&(String, u32)> = self.wanted.iter().filter(is_left).collect();
        let found = match (left, wanted.len()) {
            (0, _) | (_, 0) => None,
            (1, most) => {
                let at = self.random % (most as u64);
                usize::try_from(at).ok().and_then(|at| wanted.get(at))
            }
            // Of several that as many requests have, the first one counts.
            _ => wanted.iter().rev().max_by_key(|(_, count)| *count),
        };
        found.map(|(kid, _)| kid)
    }

    /// The fetch with its next kid, those that are wanted first; what it has brought where none is
    /// left.
    fn ask(&self, asked: Asked) -> Result<(Box<Round>, Call), Asked> {
        let kid = self.most_wanted(&asked).or_else(|| {
            let mut known = asked.before.iter().map(|(kid, _)| kid);
            known.find(|kid| !asked.has(kid))
        });
        match kid.cloned() {
            Some(kid) => {
                let (uri, cluster) = (self.uri.address(&kid), &self.uri.cluster);
                let call = Call::get(uri, cluster, self.uri.timeout, MAX_DOCUMENT);
                Ok((Box::new(Round { asked, kid }), call))
            }
            None => Err(asked),
        }
    }

    /// Takes the answer to the call for a round's kid. A failure ends the fetch, but not where it is
    /// about a kid that is new while others are known: no stranger's kid keeps keys from being renewed.
    /// Nor where it is about a known key and there is a new one; but what was kept so once must be
    /// answered for the next time, so that no key is used for longer than it may. Whoever says that calls
    /// are too many is called no more.
    pub(super) fn take(
        &mut self,
        round: Round,
        answer: Result<Document, FetchError>,
    ) -> Result<Step, FetchError> {
        let Round { mut asked, kid } = round;
        let outcome = match answer.and_then(|document| key(&kid, &document)) {
            Ok(pem) => Outcome::Key(pem),
            Err(FetchError::Status(status)) if ABSENT.contains(&status) => Outcome::Absent,
            Err(error) if asked.may_go_on(&kid, &error) => Outcome::Failed(error),
            Err(error) => return Err(error),
        };
        asked.answers.push((kid, outcome));
        match self.ask(asked) {
            Ok((round, call)) => Ok(Step::Ask(round, call)),
            Err(asked) => {
                let fetched = asked.fetched(&self.used)?;
                // Whoever still wants another one asks for it again.
                self.wanted.clear();
                Ok(Step::Done(fetched))
            }
        }
    }

    /// The set of a document without a key, which is no document elsewhere.
    pub(super) fn without_keys(&self, document: &str) -> Option<Rc<KeySet>> {
        (document == NO_KEYS).then(|| Rc::clone(&self.none))
    }
}

/// A key in PEM, in one spelling.
fn key(kid: &str, document: &Document) -> Result<String, FetchError> {
    let reason = "not a public key in PEM";
    let text = document.body.get(..LONGEST_PEM).is_none();
    let text = text.then(|| str::from_utf8(&document.body).ok()).flatten();
    let told = match text.map(|text| Key::of_public_key(kid, text)) {
        Some(Ok(key)) => return Ok(key.to_pem()),
        Some(Err(error)) => format!("{reason}: {}", error.description()),
        None => format!("{reason}: a body of {} octets", document.body.len()),
    };
    Err(FetchError::Unusable { reason, told })
}

impl Asked {
    fn has(&self, kid: &str) -> bool {
        self.answers.iter().any(|(asked, _)| asked == kid)
    }

    fn is_new(&self, kid: &str) -> bool {
        !self.before.iter().any(|(known, _)| known == kid)
    }

    fn may_go_on(&self, kid: &str, error: &FetchError) -> bool {
        if *error == FetchError::Status(429) {
            return false;
        }
        if self.is_new(kid) {
            return !self.before.is_empty();
        }
        let is_key = |outcome: &Outcome| matches!(outcome, Outcome::Key(_));
        let mut answers = self.answers.iter();
        let has_new = answers.any(|(kid, outcome)| is_key(outcome) && self.is_new(kid));
        let mut kept = self.notes.split(' ').filter_map(|it| it.strip_prefix(KEPT));
        has_new && !kept.any(|kept| kept == kid)
    }

    /// The keys that there are, those of before first, and the kids without a key. `used` are those that
    /// are in use.
    fn fetched(&self, used: &[(String, Millis)]) -> Result<Fetched, FetchError> {
        let (mut members, mut absent, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
        let mut kept = String::new();
        // What may have to go stands first. So the worker that fetches next is told, too.
        let may_be_full = self.answers.len() > MOST_KEYS;
        let place = |kid: &str| match used.iter().any(|(known, _)| known == kid) {
            true if may_be_full => 2,
            _ => u8::from(self.is_new(kid)),
        };
        for turn in 0..=2 {
            for (kid, outcome) in &self.answers {
                if place(kid) != turn {
                    continue;
                }
                let pem = match outcome {
                    Outcome::Key(pem) => Some(pem),
                    Outcome::Absent => {
                        absent.push(kid.as_str());
                        None
                    }
                    Outcome::Failed(error) => {
                        skipped.push(format!("key {kid}: {error}"));
                        let known = self.before.iter().find(|(known, _)| known == kid);
                        if known.is_some() {
                            kept.push(' ');
                            kept.push(KEPT);
                            kept.push_str(kid);
                        }
                        known.map(|(_, pem)| pem)
                    }
                };
                members.extend(pem.map(|pem| format!("\"{kid}\":\"{pem}\"")));
            }
        }
        if members.is_empty() && !self.before.is_empty() {
            let reason = "there is none of the keys that there were";
            return Err(FetchError::Unusable {
                reason,
                told: reason.to_owned(),
            });
        }
        while members.len() > MOST_KEYS {
            members.remove(0);
        }
        let absent = absent.join(" ");
        let mut found = format!("{} usable keys", members.len());
        if !absent.is_empty() {
            found.push_str(", none for ");
            found.push_str(&absent);
        }
        Ok(Fetched {
            content: Content {
                document: format!("{{{}}}", members.join(",")),
                notes: absent + &kept,
            },
            max_age: None,
            found,
            skipped,
        })
    }
}
