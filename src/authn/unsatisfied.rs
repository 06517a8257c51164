//! Why the tokens of a request do not satisfy what is asked for.

use std::time::Duration;

use crate::config::{ProviderId, SchemeId};
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
    /// The session has to be refreshed, and its provider does not answer. The next try is this far
    /// away.
    NoRefresh(Duration),
    /// The session may have ended in another Envoy. The next try to know that is this far away.
    Unknown(Duration),
    /// The shared store has the session, and does not answer. The next try is this far away.
    NoStore(Duration),
    /// The keys of this provider have to be fetched first.
    AwaitKeys(ProviderId),
    /// The session by this scheme has to be read or refreshed first, or what has ended in other Envoys
    /// must be known.
    AwaitRefresh(SchemeId),
}

/// What has to be known first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lacking {
    /// The keys of this provider.
    Keys(ProviderId),
    /// What a refresh of the session by this scheme comes to.
    Refresh(SchemeId),
}

/// How soon a requirement may be satisfied after all, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Hope {
    /// Not by waiting.
    None,
    /// By another request, later.
    Later,
    /// By this request, if it waits.
    Soon,
}

impl Unsatisfied {
    /// The rejection that it leads to.
    ///
    /// # Errors
    /// What has to be known first.
    #[inline]
    pub fn rejection(self) -> Result<Rejection<'static>, Lacking> {
        Ok(match self {
            Self::Missing => Rejection::TokenMissing,
            Self::NoSession => Rejection::SessionMissing,
            Self::CrossSite => Rejection::CrossSite,
            Self::Invalid(error) => error.into(),
            Self::Unavailable(retry_after) => Rejection::keys_unavailable(retry_after),
            Self::Several => Rejection::SeveralTokens,
            Self::NoRefresh(retry_after) => Rejection::provider_unavailable(retry_after),
            Self::Unknown(retry_after) => Rejection::sign_outs_unknown(retry_after),
            Self::NoStore(retry_after) => Rejection::session_store_unavailable(retry_after),
            Self::AwaitKeys(provider) => return Err(Lacking::Keys(provider)),
            Self::AwaitRefresh(scheme) => return Err(Lacking::Refresh(scheme)),
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
            Self::Unavailable(_) | Self::NoRefresh(_) | Self::Unknown(_) | Self::NoStore(_) => 4,
            Self::Several => 5,
            Self::AwaitKeys(_) | Self::AwaitRefresh(_) => 6,
        }
    }

    /// Where several things are all required, the reason with the least hope counts.
    pub(super) fn hope(self) -> Hope {
        match self {
            Self::Missing
            | Self::NoSession
            | Self::CrossSite
            | Self::Invalid(_)
            | Self::Several => Hope::None,
            Self::Unavailable(_) | Self::NoRefresh(_) | Self::Unknown(_) | Self::NoStore(_) => {
                Hope::Later
            }
            Self::AwaitKeys(_) | Self::AwaitRefresh(_) => Hope::Soon,
        }
    }
}

impl From<JwtError> for Unsatisfied {
    fn from(error: JwtError) -> Self {
        Self::Invalid(error)
    }
}
