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
            Failure::Missing => Rejection::TokenMissing,
            Failure::Invalid(error) => error.into(),
            Failure::Unavailable(retry_after) => Rejection::keys_unavailable(retry_after),
            Failure::Several => Rejection::SeveralTokens,
            Failure::AwaitKeys(provider) => return Err(provider),
        })
    }

    /// Of the failures of several alternatives the one that says most: as jwt_authn has it, a
    /// token's own fault before an unknown issuer before no token.
    pub(super) fn weight(self) -> u8 {
        match self {
            Failure::Missing => 0,
            Failure::Invalid(JwtError::Issuer) => 1,
            Failure::Invalid(_) => 2,
            Failure::Unavailable(_) => 3,
            Failure::Several => 4,
            Failure::AwaitKeys(_) => 5,
        }
    }

    /// How soon it may be over. Of the failures of things that are all required the one that lasts
    /// longest decides.
    pub(super) fn hope(self) -> u8 {
        match self {
            Failure::Missing | Failure::Invalid(_) | Failure::Several => 0,
            Failure::Unavailable(_) => 1,
            Failure::AwaitKeys(_) => 2,
        }
    }
}

impl From<JwtError> for Failure {
    fn from(error: JwtError) -> Self {
        Failure::Invalid(error)
    }
}
