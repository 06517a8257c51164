//! Something that has to be fetched before it is known.

use std::time::Duration;

/// What a decision gets when it asks for something that is fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding<T> {
    /// It is there.
    Ready(T),
    /// On its way: worth waiting for.
    Pending,
    /// Not to be had, and the next try is this far away.
    Unavailable {
        /// How long to wait before the next try.
        retry_after: Duration,
    },
}

impl<T> Finding<T> {
    /// The same about a part of what was found.
    #[must_use]
    pub fn map<U>(self, part: impl FnOnce(T) -> U) -> Finding<U> {
        match self {
            Self::Ready(fact) => Finding::Ready(part(fact)),
            Self::Pending => Finding::Pending,
            Self::Unavailable { retry_after } => Finding::Unavailable { retry_after },
        }
    }

    /// The same for whoever waits no more: what is on its way counts as what is not to be had.
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
