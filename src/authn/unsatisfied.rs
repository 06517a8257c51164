//! Why the tokens of a request do not satisfy what is asked for.

use std::time::Duration;

use crate::config::ProviderId;
use crate::http::response::Rejection;
use crate::jose::jwt::JwtError;

/// Why a requirement is not satisfied.
#[derive(Clone, Copy, Debug)]
pub enum Unsatisfied {
    /// There is no token.
    Missing,
    /// There is no session.
    NoSession,
    /// There is a session, and another site may have made the browser send it.
    CrossSite,
    /// There is a token, and this is wrong with it.
    Invalid(JwtError),
    /// There are no keys, and the next try to get some is this far away.
    Unavailable(Duration),
    /// More tokens than the requirement has a use for.
    Several,
    /// The keys of this provider must be fetched first.
    AwaitKeys(ProviderId),
}

impl Unsatisfied {
    /// The rejection that it leads to.
    ///
    /// # Errors
    /// The provider whose keys must be fetched first.
    #[inline]
    pub fn rejection(self) -> Result<Rejection<'static>, ProviderId> {
        Ok(match self {
            Self::Missing => Rejection::TokenMissing,
            Self::NoSession => Rejection::SessionMissing,
            Self::CrossSite => Rejection::CrossSite,
            Self::Invalid(error) => error.into(),
            Self::Unavailable(retry_after) => Rejection::keys_unavailable(retry_after),
            Self::Several => Rejection::SeveralTokens,
            Self::AwaitKeys(provider) => return Err(provider),
        })
    }

    /// The larger, the more it says: of several alternatives, the weightiest reason counts. As in
    /// jwt_authn, the most specific is first: a bad token, an unknown issuer, a missing token, a
    /// missing session.
    pub(super) fn weight(self) -> u8 {
        match self {
            Self::NoSession => 0,
            Self::Missing => 1,
            Self::Invalid(JwtError::Issuer) => 2,
            Self::Invalid(_) | Self::CrossSite => 3,
            Self::Unavailable(_) => 4,
            Self::Several => 5,
            Self::AwaitKeys(_) => 6,
        }
    }

    /// The larger, the sooner it may be over. Where several things are all required, the reason with
    /// the least hope counts.
    pub(super) fn hope(self) -> u8 {
        match self {
            Self::Missing
            | Self::NoSession
            | Self::CrossSite
            | Self::Invalid(_)
            | Self::Several => 0,
            Self::Unavailable(_) => 1,
            Self::AwaitKeys(_) => 2,
        }
    }
}

impl From<JwtError> for Unsatisfied {
    fn from(error: JwtError) -> Self {
        Self::Invalid(error)
    }
}
