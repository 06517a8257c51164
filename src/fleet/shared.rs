//! What the workers of a process share about the store: how far it was read, which worker asks it, and
//! what it must still be told.
//!
//! Invariants:
//! - one worker at a time asks the store, by a lease that it renews. A lease ends soon where its holder
//!   is gone, and a holder that was too slow changes nothing any more;
//! - what was told here stays until it was read back from the store, whichever worker is gone by then;
//! - so does that the list may lack something that this process knows;
//! - the latest of what was told stays for longer. It may stand in a list that was changed where others do not read
//!   any more;
//! - octets that are not ours count as none.

use std::time::Duration;

use crate::bytes::half_digest;
use crate::config::FleetStore;
use crate::ended::Ending;
use crate::host::{self, SharedStore};
use crate::jose::base64url;
use crate::record::{Reader, Writer};
use crate::session::seal::Keyring;
use crate::time::{CLOCKS_APART, Millis};

/// How long a lease runs.
pub const LEASE: Duration = Duration::from_secs(2);
/// The most marks that wait to be told and were proven: 96 KiB.
pub const MOST_UNSENT: usize = 4096;
/// The most that were only claimed.
pub const MOST_UNSENT_CLAIMS: usize = 1024;
/// The most marks of each kind that are told once more where the store has lost its list.
pub const MOST_RECENT: usize = 128;
/// Increased whenever the meaning of a field changes.
const FORMAT: u64 = 3;
/// How often a change is tried again where another worker was faster.
const TRIES: u32 = 16;

/// Tells a value of the store from others.
pub type Digest = [u8; 16];

/// How far the process has read, and which worker reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// How many values of the list were read.
    pub read: u64,
    /// The last of them.
    pub last: Digest,
    /// When the list was last read to its end.
    pub whole_at: Option<Millis>,
    /// Whether the store could not be asked since then.
    pub is_failing: bool,
    /// All that this process knew has been in the list since that was read from its start.
    pub has_all: bool,
    /// When a worker of this process first wanted to read it.
    begun_at: Option<Millis>,
    holder: u64,
    until: Millis,
}

/// It is not kept to be told, or not all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dropped;

impl Progress {
    fn encode(&self) -> Vec<u8> {
        let record = Writer::default().number(FORMAT).number(self.read);
        let record = record.octets(&self.last);
        let record = record.optional(self.whole_at.map(|at| at.0));
        let record = record.number(self.is_failing.into());
        let record = record.number(self.has_all.into());
        let record = record.optional(self.begun_at.map(|at| at.0));
        let record = record.number(self.holder);
        record.number(self.until.0).finish()
    }

    fn decode(octets: &[u8]) -> Option<Self> {
        let mut record = Reader(octets);
        if record.number()? != FORMAT {
            return None;
        }
        let progress = Self {
            read: record.number()?,
            last: record.octets()?,
            whole_at: record.optional()?.map(Millis),
            is_failing: record.number()? == 1,
            has_all: record.number()? == 1,
            begun_at: record.optional()?.map(Millis),
            holder: record.number()?,
            until: Millis(record.number()?),
        };
        record.finish()?;
        Some(progress)
    }

    /// How much of the list was read, and the last value of that.
    #[must_use]
    pub fn place(&self) -> (u64, Digest) {
        (self.read, self.last)
    }

    /// Has the list be read from its start.
    pub fn anew(&mut self) {
        (self.read, self.last) = (0, Digest::default());
    }

    /// How long the lease of this worker, or of another one, still runs. An implausible one does not.
    fn runs_for(&self, now: Millis) -> Duration {
        let rest = self.until.since(now);
        if rest <= LEASE.saturating_add(CLOCKS_APART) {
            rest
        } else {
            Duration::ZERO
        }
    }

    /// How long ago the list was read to its end; `None` where it never was.
    #[must_use]
    pub fn age(&self, now: Millis) -> Option<Duration> {
        // A time that is yet to come is none of ours.
        let at = self.whole_at.filter(|at| *at <= now.after(CLOCKS_APART))?;
        Some(now.since(at))
    }

    /// The same, from the start of this process where it never was.
    #[must_use]
    pub fn unread_for(&self, now: Millis) -> Duration {
        let begun_at = self.begun_at.unwrap_or(now);
        self.age(now).unwrap_or_else(|| now.since(begun_at))
    }
}

/// One worker's view of what all workers of its process share.
#[derive(Debug)]
pub struct Shared {
    worker: u64,
    progress_key: String,
    unsent_key: String,
    recent_key: String,
    /// As it was last seen.
    pub progress: Progress,
}

impl Shared {
    /// `worker`: random bits that no other worker has. Another store, other keys or another prefix
    /// are another list.
    #[must_use]
    pub fn new(store: &FleetStore, keyring: &Keyring, worker: u64) -> Self {
        let address = store.uri.address("").authority;
        let name = half_digest(&[
            store.uri.cluster.as_bytes(),
            address.as_bytes(),
            store.key_prefix.as_bytes(),
            &keyring.fingerprint(),
        ]);
        let name = base64url::encode(&name);
        Self {
            worker,
            progress_key: format!("bearer-gate store {name}"),
            unsent_key: format!("bearer-gate unsent {name}"),
            recent_key: format!("bearer-gate recent {name}"),
            progress: Progress::default(),
        }
    }

    /// Reads what the workers have told each other.
    pub fn look(&mut self, store: &dyn SharedStore) {
        let shared = store.read(&self.progress_key);
        let progress = shared.and_then(|(octets, _)| Progress::decode(&octets));
        self.progress = progress.unwrap_or_default();
    }

    /// Whether this worker may ask the store. It takes a lease that has ended, and renews its own.
    pub fn holds(&mut self, store: &dyn SharedStore, now: Millis) -> bool {
        let rest = self.progress.runs_for(now);
        let is_own = self.progress.holder == self.worker;
        if is_own && rest > LEASE / 2 {
            return true;
        }
        (is_own || rest.is_zero()) && self.change(store, now, &|_| ())
    }

    /// Changes what is shared, and renews the lease. False where another worker has it, or where shared
    /// data refuses the write.
    pub fn change(
        &mut self,
        store: &dyn SharedStore,
        now: Millis,
        change: &dyn Fn(&mut Progress),
    ) -> bool {
        let changed = host::replace(store, &self.progress_key, TRIES, |octets| {
            let progress = octets.and_then(|octets| Progress::decode(&octets));
            let mut progress = progress.unwrap_or_default();
            if progress.holder != self.worker && !progress.runs_for(now).is_zero() {
                return Err(progress);
            }
            progress.holder = self.worker;
            progress.until = now.after(LEASE);
            progress.begun_at.get_or_insert(now);
            change(&mut progress);
            Ok((progress.encode(), progress))
        });
        match changed {
            Ok(Some(progress)) => {
                self.progress = progress;
                true
            }
            Ok(None) => false,
            Err(progress) => {
                self.progress = progress;
                false
            }
        }
    }

    /// Ends this worker's lease, so that another one need not wait.
    pub fn let_go(&mut self, store: &dyn SharedStore, now: Millis) {
        self.look(store);
        if self.progress.holder == self.worker {
            self.change(store, now, &|progress| progress.until = Millis(0));
        }
    }

    /// What the store must still be told.
    #[must_use]
    pub fn unsent(&self, store: &dyn SharedStore) -> Ending {
        kept(&self.unsent_key, store)
    }

    /// Keeps an ending until the store has it.
    ///
    /// # Errors
    /// [`Dropped`], where there is no room for it, or for what it claims.
    pub fn keep(&self, ending: &Ending, store: &dyn SharedStore) -> Result<(), Dropped> {
        let proven = ending.without_claims();
        // Whoever claims ever more takes no room from what was proven.
        let kept = self.alter(&self.unsent_key, store, &|unsent| {
            let before = unsent.count();
            [ending, &proven].into_iter().find_map(|ending| {
                let mut all = unsent.clone();
                all.and(ending);
                let count = all.count();
                let has_room = count.claims <= before.claims.max(MOST_UNSENT_CLAIMS)
                    && count.proven <= before.proven.max(MOST_UNSENT);
                has_room.then_some(all)
            })
        });
        let kept = kept.filter(|kept| {
            let mut missing = ending.clone();
            missing.leave_out(kept);
            missing.is_empty()
        });
        kept.map(|_| ()).ok_or(Dropped)
    }

    /// Forgets what the store has. Where this fails, it is told again.
    pub fn forget(&self, told: &Ending, store: &dyn SharedStore) {
        let mut own = self.unsent(store);
        let left = self.alter(&self.unsent_key, store, &|unsent| {
            let mut left = unsent.clone();
            left.leave_out(told);
            (left != *unsent).then_some(left)
        });
        let Some(left) = left else {
            return;
        };
        own.leave_out(&left);
        self.alter(&self.recent_key, store, &|recent| {
            let mut recent = recent.clone();
            recent.and(&own);
            Some(recent.end(MOST_RECENT))
        });
    }

    /// Has the store be told again of what it was told last.
    pub fn tell_again(&self, store: &dyn SharedStore) {
        let recent = kept(&self.recent_key, store);
        // Where there is no room, as many are on their way that are as new.
        let _ = self.keep(&recent, store);
    }

    /// Changes what is kept of endings. `None` where it is not changed.
    fn alter(
        &self,
        key: &str,
        store: &dyn SharedStore,
        change: &dyn Fn(&Ending) -> Option<Ending>,
    ) -> Option<Ending> {
        let altered = host::replace(store, key, TRIES, |octets| {
            let kept = change(&decode(octets)).ok_or(())?;
            Ok::<_, ()>((kept.encode(), kept))
        });
        altered.ok().flatten()
    }
}

#[inline(never)] // for two callers
fn kept(key: &str, store: &dyn SharedStore) -> Ending {
    decode(store.read(key).map(|(octets, _)| octets))
}

fn decode(octets: Option<Vec<u8>>) -> Ending {
    let ending = octets.and_then(|octets| Ending::decode(&octets));
    ending.unwrap_or_default()
}
