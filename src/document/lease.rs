//! One worker's part in what all workers share of a source: the right to fetch, and the
//! document that every worker decides with.
//!
//! Invariants: only the holder of the lease shares a document and says how a fetch ended; and sources
//! that are asked in another way share nothing.

use std::time::Duration;

use super::coordination::{Coordination, Lease};
use super::snapshot::Snapshot;
use crate::host::{SharedStore, Version};
use crate::time::Millis;

/// A worker's view of one source's shared data.
#[derive(Debug)]
pub struct Share {
    /// Tells this worker's leases from others'.
    holder: u64,
    source: String,
    coordination_key: String,
    snapshot_key: String,
    seen: Coordination,
}

impl Share {
    /// `source` tells the document from all others; `holder`: random bits that no other worker has.
    pub fn new(source: String, holder: u64) -> Self {
        Self {
            holder,
            coordination_key: format!("bearer-gate coordination {source}"),
            snapshot_key: format!("bearer-gate snapshot {source}"),
            seen: Coordination::new(&source),
            source,
        }
    }

    /// What is shared under this name is this source's.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What the workers had told each other when this one last looked.
    pub fn seen(&self) -> &Coordination {
        &self.seen
    }

    /// Reads what the workers have told each other.
    pub fn look(&mut self, store: &dyn SharedStore) {
        self.seen = self.read(store).0;
    }

    /// The shared document.
    pub fn snapshot(&self, store: &dyn SharedStore) -> Option<Snapshot> {
        let (bytes, _) = store.read(&self.snapshot_key)?;
        Snapshot::decode(&bytes, &self.source)
    }

    /// Whether another worker fetches. A lease is never longer than `longest`.
    pub fn is_with_another(&self, now: Millis, longest: Duration) -> bool {
        let lease = self.seen.lease_at(now, longest);
        lease.is_some_and(|lease| lease.holder != self.holder)
    }

    /// What is shared now, to be changed and given to [`Share::write`] or [`Share::note`].
    pub fn read(&self, store: &dyn SharedStore) -> (Coordination, Version) {
        Coordination::read(store, &self.coordination_key, &self.source)
    }

    /// Shares what was read, with a change. False if another worker was faster.
    pub fn write(
        &mut self,
        changed: Coordination,
        version: Version,
        store: &dyn SharedStore,
    ) -> bool {
        let written = changed.write(store, &self.coordination_key, version);
        if written {
            self.seen = changed;
        }
        written
    }

    /// Remembers what was read, which stays as it is.
    pub fn note(&mut self, read: Coordination) {
        self.seen = read;
    }

    /// This worker's lease.
    pub fn lease(&self, until: Millis) -> Lease {
        Lease {
            holder: self.holder,
            until,
        }
    }

    /// What is shared, for the holder of the lease, who ends it by the next write. `None` if another
    /// worker has taken it over.
    pub fn held(&mut self, store: &dyn SharedStore) -> Option<(Coordination, Version)> {
        let (mut shared, version) = self.read(store);
        if !self.holds(&shared) {
            self.note(shared);
            return None;
        }
        shared.lease = None;
        Some((shared, version))
    }

    /// Replaces the shared document. Only the lease's holder writes it, so whatever version it has is
    /// the right one. False if shared data takes no write.
    pub fn publish(&self, snapshot: &Snapshot, store: &dyn SharedStore) -> bool {
        let version = store
            .read(&self.snapshot_key)
            .map_or(Version::ABSENT, |(_, version)| version);
        store.write(&self.snapshot_key, &snapshot.encode(), version)
    }

    /// Ends the lease of a fetch that will never end, so that another worker need not wait.
    pub fn let_go(&mut self, now: Millis, store: &dyn SharedStore) {
        let (mut shared, version) = self.read(store);
        if self.holds(&shared) {
            // Over, and not taken away: the fetch did not end.
            shared.lease = Some(self.lease(now));
            self.write(shared, version, store);
        }
    }

    fn holds(&self, shared: &Coordination) -> bool {
        shared
            .lease
            .is_some_and(|lease| lease.holder == self.holder)
    }
}
