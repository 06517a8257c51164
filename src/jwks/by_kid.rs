//! Keys that a provider publishes one by one, each in PEM at an address of its `kid`, as AWS does for
//! Application Load Balancers. The kids of tokens tell which there are, so the document that workers
//! share grows by the kids that are asked for.
//!
//! Invariants:
//! - only a UUID becomes a part of an address;
//! - a fetch asks again for each key of the set, and for at most [`MOST_WANTED`] other kids;
//! - a set has at most [`MOST_KEYS`] keys. A kid without a key takes the place of none, and of the
//!   keys that there are the first ones stay;
//! - a key is left out only where the provider has another one: where it has none, that is a failure;
//! - what comes of a new kid does not keep the keys that are known from being renewed.

use std::rc::Rc;

use crate::config::HttpUri;
use crate::document::MAX_DOCUMENT;
use crate::document::fetch::{Document, FetchError};
use crate::document::source::{Content, Fetched};
use crate::host::Call;
use crate::jose::jwk::Key;
use crate::jose::jwks::KeySet;

/// The most keys of a set: a load balancer signs with one, and for some time after a rotation its
/// tokens have another one.
pub(super) const MOST_KEYS: usize = 8;
/// The most kids without a known key that one fetch asks for.
pub(super) const MOST_WANTED: usize = 4;
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
    /// The kids of tokens whose keys are not known.
    wanted: Vec<String>,
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
    /// The kids of the set that is to be renewed.
    before: Vec<String>,
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
    /// Whether there is one is unknown.
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
            none: Rc::default(),
        }
    }

    /// The set of keys before any document.
    pub(super) fn none(&self) -> &Rc<KeySet> {
        &self.none
    }

    /// Has the next fetch ask for the key of this kid, or the one that goes on. Where many kids are
    /// wanted, chance decides: who sends one kid more often than others is heard sooner.
    pub(super) fn want(&mut self, kid: &str, random: u64) {
        if self.wanted.iter().any(|known| known == kid) {
            return;
        }
        if self.wanted.len() < MOST_WANTED {
            self.wanted.push(kid.to_owned());
            return;
        }
        let at = usize::try_from(random).unwrap_or_default() % MOST_WANTED;
        if let Some(place) = self.wanted.get_mut(at) {
            kid.clone_into(place);
        }
    }

    /// Whether there is nothing to ask for.
    pub(super) fn is_idle(&self, set: Option<&KeySet>) -> bool {
        self.wanted.is_empty() && set.is_none_or(|set| set.keys().is_empty())
    }

    /// A fetch that renews this set; `None` where there is nothing to ask for.
    pub(super) fn begin(&self, set: Option<&KeySet>) -> Option<(Box<Round>, Call)> {
        let keys = set.map(KeySet::keys).unwrap_or_default();
        let before = keys.iter().filter_map(Key::kid).map(str::to_owned);
        let asked = Asked {
            before: before.collect(),
            answers: Vec::new(),
        };
        self.ask(asked).ok()
    }

    /// The fetch with its next kid, those that are wanted first; what it has brought where none is
    /// left.
    fn ask(&self, asked: Asked) -> Result<(Box<Round>, Call), Asked> {
        let new = asked.answers.iter().filter(|(kid, _)| asked.is_new(kid));
        let is_full = new.count() >= MOST_WANTED;
        let mut wanted = self.wanted.iter();
        let wanted = wanted.find(|kid| !is_full && asked.is_new(kid) && !asked.has(kid));
        let kid = wanted.or_else(|| asked.before.iter().find(|kid| !asked.has(kid)));
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
    pub(super) fn take(
        &mut self,
        round: Round,
        answer: Result<Document, FetchError>,
    ) -> Result<Step, FetchError> {
        let Round { mut asked, kid } = round;
        let outcome = match answer.and_then(|document| key(&kid, &document)) {
            Ok(pem) => Outcome::Key(pem),
            Err(FetchError::Status(status)) if ABSENT.contains(&status) => Outcome::Absent,
            Err(error) if asked.is_new(&kid) && !asked.before.is_empty() => Outcome::Failed(error),
            Err(error) => return Err(error),
        };
        asked.answers.push((kid, outcome));
        match self.ask(asked) {
            Ok((round, call)) => Ok(Step::Ask(round, call)),
            Err(asked) => {
                let fetched = asked.fetched()?;
                self.wanted.retain(|kid| !asked.has(kid));
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
        !self.before.iter().any(|known| known == kid)
    }

    /// The keys that there are, those of before first, and the kids without a key.
    fn fetched(&self) -> Result<Fetched, FetchError> {
        let (mut members, mut absent, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
        for of_new in [false, true] {
            for (kid, outcome) in &self.answers {
                match outcome {
                    _ if self.is_new(kid) != of_new => {}
                    Outcome::Key(pem) => members.push(format!("\"{kid}\":\"{pem}\"")),
                    Outcome::Absent => absent.push(kid.as_str()),
                    Outcome::Failed(error) => skipped.push(format!("key {kid}: {error}")),
                }
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
            members.remove(MOST_KEYS - 1);
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
                notes: absent,
            },
            max_age: None,
            found,
            skipped,
        })
    }
}
