//! Something that must be fetched before it is known.

use std::time::Duration;

/// What a decision gets when it asks for something that is fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding<T> {
    /// It is there.
    Ready(T),
    /// It is on its way, and worth waiting for.
    Pending,
    /// It cannot be had now.
    Unavailable {
        /// How long to wait before the next try.
        retry_after: Duration,
    },
}

impl<T> Finding<T> {
    /// The same for a part of what was found.
    #[must_use]
    pub fn map<U>(self, part: impl FnOnce(T) -> U) -> Finding<U> {
        match self {
            Self::Ready(fact) => Finding::Ready(part(fact)),
            Self::Pending => Finding::Pending,
            Self::Unavailable { retry_after } => Finding::Unavailable { retry_after },
        }
    }

    /// The same for a request that can wait no longer: what is on its way counts as unavailable.
    #[must_use]
    pub fn or_unavailable(self, retry_after: impl FnOnce() -> Duration) -> Self {
        match self {
            Self::Pending => Self::Unavailable {
                retry_after: retry_after(),
            },
            fact => fact,
        }
    }
}
