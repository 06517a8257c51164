//! Why the tokens of a request do not satisfy what is asked for.

use std::time::Duration;

use crate::config::ProviderId;
use crate::http::response::Rejection;
use crate::jose::jwt::JwtError;

/// Why a requirement is not satisfied.
#[derive(Clone, Copy, Debug)]
pub enum Failure {
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
    /// The keys of this provider have to be fetched first.
    AwaitKeys(ProviderId),
}

impl Failure {
    /// How the request is rejected for it.
    ///
    /// # Errors
    /// The provider whose keys have to be fetched first.
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

    /// Of the failures of several alternatives the one that says most: as jwt_authn has it, a
    /// token's own fault before an unknown issuer before no token, and that before no session.
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

    /// How soon it may be over. Of the failures of things that are all required the one that lasts
    /// longest decides.
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

impl From<JwtError> for Failure {
    fn from(error: JwtError) -> Self {
        Self::Invalid(error)
    }
}
