//! One worker's part in what all workers share of a source: the right to fetch, and the
//! document that every worker decides with.
//!
//! Invariants: only the holder of the lease shares a document and says how a fetch ended; and
//! sources that are asked in another way share nothing.

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
    /// `source`: a name that no other document has. `holder`: random bits that no other worker has.
    pub fn new(source: String, holder: u64) -> Self {
        Self {
            holder,
            coordination_key: format!("bearer-gate coordination {source}"),
            snapshot_key: format!("bearer-gate snapshot {source}"),
            seen: Coordination::new(&source),
            source,
        }
    }

    /// The name of the source.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What the workers had told each other when this worker last looked.
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

    /// Whether another worker fetches. No lease is longer than `longest`.
    pub fn is_with_another(&self, now: Millis, longest: Duration) -> bool {
        let lease = self.seen.lease_at(now, longest);
        lease.is_some_and(|lease| lease.holder != self.holder)
    }

    /// What is shared now. The caller gives it back to [`Share::write`] or [`Share::note`].
    pub fn read(&self, store: &dyn SharedStore) -> (Coordination, Version) {
        Coordination::read(store, &self.coordination_key, &self.source)
    }

    /// Shares a changed version of what was read. False if another worker was faster.
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

    /// Remembers what was read, without a change.
    pub fn note(&mut self, read: Coordination) {
        self.seen = read;
    }

    /// A lease for this worker.
    pub fn lease(&self, until: Millis) -> Lease {
        Lease {
            holder: self.holder,
            until,
        }
    }

    /// What is shared, without this worker's lease: the next write ends it. `None` if another
    /// worker has taken the lease over.
    pub fn held(&mut self, store: &dyn SharedStore) -> Option<(Coordination, Version)> {
        let (mut shared, version) = self.read(store);
        if !self.holds(&shared) {
            self.note(shared);
            return None;
        }
        shared.lease = None;
        Some((shared, version))
    }

    /// Replaces the shared document. Only the lease's holder writes it, so any version that it has
    /// is the right one. False if shared data refuses the write.
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
            // The lease ends but stays, which shows that its fetch did not end.
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
