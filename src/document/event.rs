//! What happens to a source's document, for the log and the counters.

use super::fetch::FetchError;

/// What happened. There is one event for each change, never one for each request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// This worker's fetch brought a good document, which is now shared.
    Fetched {
        /// Which document it is.
        generation: u64,
        /// What is in it, in a few words.
        found: String,
        /// The parts that cannot be used, each with the reason.
        skipped: Vec<String>,
        /// Whether there was another document before, from which this one differs.
        changed: bool,
        /// Whether the document differs from the one before, or ends an outage.
        news: bool,
    },
    /// This worker's fetch failed; the next starts after the back-off.
    Failed {
        /// Why.
        error: FetchError,
        /// The address that was asked, and the cluster.
        asked: String,
        /// How many fetches have failed in a row, this one included.
        failures: u32,
        /// Whether this is the first failure in a row, or another kind than the one before.
        news: bool,
    },
    /// This worker installed a shared document.
    Installed {
        /// Which document it is.
        generation: u64,
    },
    /// Another worker took the lease over in the meantime, and the answer was dropped.
    LeaseLost,
    /// The document is past `max_stale` and no longer used.
    Expired,
}
