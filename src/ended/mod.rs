//! Sessions that ended before their time. All workers of the process know them at once, from shards
//! in shared data.
//!
//! Invariants:
//! - a session that was ended is never found alive, on any worker. A full shard ends more sessions,
//!   and forgets none. Where shared data was lost or is not ours, every session until then is over;
//! - whoever signs out often makes room with older sessions of their own, before others lose any. So
//!   what a person's own cookie has proven is written as an entry of that person;
//! - what anybody can claim takes no room from what was proven, and ends only what it names;
//! - everything is bounded: [`SHARDS`] and [`TOKENS`] shards of [`shard::MOST`] entries;
//! - a request costs one read, unless a shard that concerns it has changed.

mod ending;
mod heads;
mod mark;
mod missing;
pub mod shard;

use crate::host::{self, SharedStore, Version};
use heads::{Heads, State};
use shard::{Full, Shard, WhenFull};

pub use ending::{Count, Ending};
pub use mark::{Known, Mark};
pub use missing::Missing;

/// Shards of what was proven: 768 KiB at most. All that names a person or one of this person's
/// sessions is in one of them.
const PROVEN: usize = 64;
/// Shards of what was only claimed: 192 KiB at most.
const CLAIMED: usize = 16;
/// All shards whose state every request looks at.
pub const SHARDS: usize = PROVEN + CLAIMED;
/// Shards of logout tokens: 192 KiB at most.
pub const TOKENS: usize = 16;
/// How often a change is tried again where another worker was faster.
const TRIES: u32 = 64;

const HEADS_KEY: &str = "bearer-gate ended";

/// What a step needs.
#[derive(Clone, Copy)]
pub struct Now<'s> {
    /// Seconds since the Unix epoch.
    pub at: u64,
    /// Uniformly distributed bits, new for each step.
    pub random: u64,
    /// The data that all workers share.
    pub store: &'s dyn SharedStore,
}

/// It is not certain that the sessions are over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotEnded {
    /// There is no room for what is only claimed.
    Full,
    /// Shared data refuses the write.
    Refused,
}

/// Why a shard is not changed.
enum Unchanged {
    Full,
    /// Other workers were faster each time.
    Refused,
    /// The shard should be there, and is not.
    Lost,
}

impl From<Full> for Unchanged {
    fn from(_: Full) -> Self {
        Self::Full
    }
}

impl From<Unchanged> for NotEnded {
    fn from(unchanged: Unchanged) -> Self {
        match unchanged {
            Unchanged::Full => Self::Full,
            Unchanged::Refused | Unchanged::Lost => Self::Refused,
        }
    }
}

impl Ending {
    /// Ends this session. Its own cookie has shown it.
    #[must_use]
    pub fn of(session: &Known) -> Self {
        Self::proven(vec![(session.own, session.issued)])
    }

    /// What is written to the list.
    fn entries(&self) -> impl Iterator<Item = Entry> {
        let proven = self.proven.iter().map(|(mark, until)| Entry {
            place: proven_at(mark),
            mark: *mark,
            until: *until,
            when_full: WhenFull::Floor,
        });
        let claims = self.claims.iter().map(|(mark, until)| Entry {
            place: claimed_at(mark),
            mark: *mark,
            until: *until,
            when_full: WhenFull::Refuse {
                before: self.earliest,
            },
        });
        proven.chain(claims)
    }
}

/// What is written of one mark.
struct Entry {
    /// The number of its shard.
    place: usize,
    mark: Mark,
    until: u64,
    when_full: WhenFull,
}

fn proven_at(mark: &Mark) -> usize {
    mark.place(PROVEN)
}

fn claimed_at(mark: &Mark) -> usize {
    PROVEN + mark.place(CLAIMED)
}

fn key(shard: usize) -> String {
    format!("{HEADS_KEY} {shard}")
}

fn token_key(token: &Mark) -> String {
    format!("bearer-gate logout tokens {}", token.place(TOKENS))
}

/// Whether a logout token was used before. A token that was forgotten may be used again: it ends
/// the same sessions, and no others.
#[must_use]
pub fn knows_token(token: &Mark, store: &dyn SharedStore) -> bool {
    let shared = store.read(&token_key(token));
    let shard = shared.and_then(|(octets, _)| Shard::decode(&octets));
    shard.is_some_and(|shard| shard.has(token))
}

/// How often something ended sessions that nobody had asked to end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// This worker has begun the list anew, because it was lost.
    pub lost: u64,
    /// A sign-out found its shard full.
    pub full: u64,
}

/// The list, as one worker sees it.
#[derive(Default)]
pub struct List {
    /// The octets as they were last read; empty before that.
    octets: Vec<u8>,
    /// What is in them; `None` where there never was anything.
    heads: Option<Heads>,
    /// The shards that were looked at, by their numbers.
    shards: Vec<Option<(State, Shard)>>,
    losses: Losses,
}

impl List {
    /// What was lost since this was asked last.
    pub fn take_losses(&mut self) -> Losses {
        std::mem::take(&mut self.losses)
    }

    /// Looks whether anything has changed. Returns the version that was seen; `None` where the list
    /// had to begin anew.
    pub fn look(&mut self, now: Now<'_>) -> Option<Version> {
        let shared = now.store.read(HEADS_KEY);
        let is_lost = match &shared {
            Some((octets, _)) if !octets.is_empty() && *octets == self.octets => false,
            Some((octets, _)) => match Heads::decode(octets) {
                Some(heads) => {
                    self.heads = Some(heads);
                    self.octets.clone_from(octets);
                    false
                }
                None => true,
            },
            None => self.heads.is_some(),
        };
        if is_lost {
            self.begin_anew(now);
            return None;
        }
        Some(shared.map_or(Version::ABSENT, |(_, version)| version))
    }

    /// Whether a session has ended, as far as [`List::look`] has seen.
    pub fn is_over(&mut self, session: &Known, now: Now<'_>) -> bool {
        let lost = self.heads.as_ref().map_or(0, |heads| heads.lost);
        if session.started <= lost {
            return true;
        }
        session.marks.iter().flatten().any(|(mark, at)| {
            [proven_at(mark), claimed_at(mark)]
                .into_iter()
                .any(|place| {
                    let shard = self.shard(place, now);
                    shard.is_none_or(|shard| shard.ends(mark, *at))
                })
        })
    }

    /// A shard as it is; `None` where it was lost.
    fn shard(&mut self, place: usize, now: Now<'_>) -> Option<&Shard> {
        const EMPTY: &Shard = &Shard::EMPTY;
        let Some(state) = self.heads.as_ref().and_then(|heads| heads.state(place)) else {
            return Some(EMPTY);
        };
        if self.shards.len() < SHARDS {
            self.shards.resize(SHARDS, None);
        }
        let known = self.shards.get(place).and_then(Option::as_ref);
        if known.is_none_or(|(known, _)| *known != state) {
            let shared = now.store.read(&key(place));
            let Some(shard) = shared.and_then(|(octets, _)| Shard::decode(&octets)) else {
                self.begin_anew(now);
                return None;
            };
            *self.shards.get_mut(place)? = Some((state, shard));
        }
        let (_, shard) = self.shards.get(place)?.as_ref()?;
        Some(shard)
    }

    /// Begins the list anew where it is lost or is not ours: every session until now is over. Where
    /// another worker is faster, only this one says so, until it looks again.
    fn begin_anew(&mut self, now: Now<'_>) {
        log::warn!(
            "the list of ended sessions is lost: every session that began until now is over"
        );
        let heads = Heads::new(now.random, now.at);
        let octets = heads.encode();
        let shared = now.store.read(HEADS_KEY);
        let version = shared.map_or(Version::ABSENT, |(_, version)| version);
        self.octets.clear();
        if now.store.write(HEADS_KEY, &octets, version) {
            self.octets = octets;
            self.losses.lost = self.losses.lost.saturating_add(1);
        }
        self.heads = Some(heads);
    }

    /// Ends sessions. Every worker finds them over from the next request on. What is over already is
    /// not written again.
    ///
    /// # Errors
    /// Where it is not certain that they are over. Some of them may be over all the same.
    pub fn end(&mut self, ending: &Ending, now: Now<'_>) -> Result<(), NotEnded> {
        self.look(now);
        let mut entries: Vec<Entry> = ending.entries().collect();
        let asked = entries.len();
        entries.retain(|entry| {
            let shard = self.shard(entry.place, now);
            shard.is_none_or(|shard| !shard.ends(&entry.mark, entry.until.max(1)))
        });
        let mut is_full = asked > 0 && entries.len() == asked;
        let mut changed = Vec::new();
        for place in 0..SHARDS {
            let of_shard = || entries.iter().filter(|entry| entry.place == place);
            if of_shard().next().is_none() {
                continue;
            }
            let put = |shard: &mut Shard| {
                let mut outcome = Err(Full);
                for entry in of_shard() {
                    let put = shard.put(entry.mark, entry.until, entry.when_full);
                    outcome = put.or(outcome);
                }
                outcome
            };
            match self.change(place, now, &put) {
                Err(NotEnded::Full) => {}
                outcome => {
                    outcome?;
                    is_full = false;
                    changed.push(place);
                }
            }
        }
        if is_full {
            return Err(NotEnded::Full);
        }
        if !changed.is_empty() {
            self.announce(&changed, now)?;
        }
        for (token, issued) in &ending.tokens {
            let put = |shard: &mut Shard| shard.put(*token, *issued, WhenFull::Forget);
            change(&token_key(token), false, now.store, &put)?;
        }
        Ok(())
    }

    /// What has ended here, but for what is no later than this, in Unix seconds.
    pub fn all_after(&mut self, time: u64, now: Now<'_>) -> Missing {
        self.look(now);
        let shard = |place| {
            let mut shard = self.shard(place, now).cloned().unwrap_or_default();
            shard.leave_out_until(time);
            shard
        };
        Missing::new((0..SHARDS).map(shard).collect())
    }

    /// Changes a shard. One that was lost is written only to a list that has begun anew: in the
    /// old one nobody would notice what is missing.
    fn change(
        &mut self,
        place: usize,
        now: Now<'_>,
        put: &dyn Fn(&mut Shard) -> Result<(), Full>,
    ) -> Result<(), NotEnded> {
        for _ in 0..TRIES {
            // The list as all workers have it: what this one began anew may not have been written.
            if self.look(now).is_none() {
                continue;
            }
            let heads = self.heads.as_ref();
            let is_there = heads.is_some_and(|heads| heads.state(place).is_some());
            match change(&key(place), is_there, now.store, put) {
                Err(Unchanged::Lost) => self.begin_anew(now),
                Ok(true) => {
                    log::warn!(
                        "the list of ended sessions is full: the oldest sessions of others are over, too"
                    );
                    self.losses.full = self.losses.full.saturating_add(1);
                    return Ok(());
                }
                outcome => return Ok(outcome.map(|_| ())?),
            }
        }
        Err(NotEnded::Refused)
    }

    fn announce(&mut self, changed: &[usize], now: Now<'_>) -> Result<(), NotEnded> {
        for _ in 0..TRIES {
            let Some(version) = self.look(now) else {
                continue;
            };
            let heads = self.heads.clone();
            let mut heads = heads.unwrap_or_else(|| Heads::new(now.random, 0));
            changed.iter().for_each(|place| heads.note(*place));
            let octets = heads.encode();
            if now.store.write(HEADS_KEY, &octets, version) {
                self.octets = octets;
                self.heads = Some(heads);
                return Ok(());
            }
        }
        Err(NotEnded::Refused)
    }
}

/// Changes a shard, whatever other workers do meanwhile. Octets that are not a shard are replaced,
/// unless a shard must be there. True where its floor has risen.
fn change(
    key: &str,
    is_there: bool,
    store: &dyn SharedStore,
    put: &dyn Fn(&mut Shard) -> Result<(), Full>,
) -> Result<bool, Unchanged> {
    let changed = host::replace(store, key, TRIES, |octets| {
        let shard = octets.and_then(|octets| Shard::decode(&octets));
        if is_there && shard.is_none() {
            return Err(Unchanged::Lost);
        }
        let mut shard = shard.unwrap_or_default();
        let floor = shard.floor();
        put(&mut shard)?;
        Ok((shard.encode(), shard.floor() > floor))
    });
    changed?.ok_or(Unchanged::Refused)
}
