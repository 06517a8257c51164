//! The times of one source's document, as the configuration sets them.

use std::time::Duration;

/// When a document is fetched, and how long it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// How long a document is fresh.
    pub cache_duration: Duration,
    /// How long the last good document serves while fetches fail.
    pub max_stale: Duration,
    /// The least time between two fetches that begin ahead of schedule because a request asks for a
    /// newer document.
    pub early_cooldown: Duration,
    /// Whether a response's `Cache-Control` may shorten or lengthen `cache_duration`.
    pub respect_cache_control: bool,
    /// The wait after the first failure in a row; it grows with the outage.
    pub back_off_base: Duration,
    /// The longest wait after a failure; not below `back_off_base`.
    pub back_off_max: Duration,
    /// How many failures in a row are retried before requests that wait are given up.
    pub retries: u32,
    /// The first fetch begins within this time, at once where a request waits.
    pub first_fetch_within: Duration,
}
