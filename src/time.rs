//! A point in time, as the core is told it.
//!
//! Invariant: no sum overflows and no difference is negative, whatever the times are.

use std::time::Duration;

/// How far the clocks of two workers may be apart: they start from the same wall
/// clock and differ by less than a millisecond and its rounding, unless that is
/// set while one of them starts.
pub const CLOCKS_APART: Duration = Duration::from_secs(1);

/// A point in time in milliseconds of the process's monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Millis(pub u64);

impl Millis {
    /// `self + duration`, at most the end of time.
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }

    /// How long ago `earlier` was; zero if it is yet to come.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// A duration in milliseconds; at most the largest number.
#[inline(never)]
pub fn millis(duration: Duration) -> u64 {
    duration
        .as_secs()
        .saturating_mul(1000)
        .saturating_add(duration.subsec_millis().into())
}

/// Whole seconds of a time in Unix seconds. A clock whose time is not a number counts as 1970, where
/// every session is of the future.
pub fn whole_seconds(unix_seconds: f64) -> u64 {
    // Whatever is not from 0 to 2^64 becomes the nearer end.
    unix_seconds as u64
}
