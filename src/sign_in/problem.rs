//! Why somebody could not sign in.
//!
//! Invariant: every name is fixed. It contains nothing that a browser or a provider sent.

use std::time::Duration;

use super::page::Trouble;
use super::token_reply::{Refusal, TokenError};

/// Why a sign-in ends without a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The request is for a host that is not listed.
    UnknownHost,
    /// A parameter is missing, comes twice or is too long, or the method is wrong.
    Malformed,
    /// The filter did not make the `state`, or its keys are gone.
    State,
    /// The flow was begun again too often, and never came back in the way it was sent.
    TooManyRestarts,
    /// The answer comes from another issuer, or does not name its issuer (RFC 9207).
    Issuer,
    /// The provider answers with an error. This is its name in [`PROVIDER_ERRORS`].
    Provider(&'static str),
    /// The provider does not take the request that is pushed, for a reason that is not the
    /// person's, or its answer cannot be used.
    Push,
    /// The provider's answer to the code has no tokens that can be used.
    Tokens(TokenError),
    /// The ID token is not what was asked for.
    IdToken,
    /// The session is larger than its cookies may be.
    TooLarge,
    /// The provider cannot be asked now.
    Unavailable(Duration),
    /// The shared store, which has what the session's cookies have not, cannot be asked now.
    NoStore(Duration),
    /// A browser fetched the path in advance.
    Prefetch,
}

/// The errors that an authorization endpoint may answer (RFC 6749 section 4.1.2.1, OpenID Connect
/// Core 1.0 section 3.1.2.6, RFC 8707 section 2).
const PROVIDER_ERRORS: [&str; 13] = [
    "access_denied",
    "account_selection_required",
    "consent_required",
    "interaction_required",
    "invalid_request",
    "invalid_scope",
    "invalid_target",
    "login_required",
    "registration_not_supported",
    "server_error",
    "temporarily_unavailable",
    "unauthorized_client",
    "unsupported_response_type",
];

impl Problem {
    /// The provider's `error`, or `server_error` for one that no specification knows.
    #[must_use]
    pub fn by_provider(error: &[u8]) -> Self {
        let mut known = PROVIDER_ERRORS.into_iter();
        let known = known.find(|known| known.as_bytes() == error);
        Self::Provider(known.unwrap_or("server_error"))
    }

    /// The same for the answer to a request that was pushed. An error that an authorization endpoint
    /// may give is named as it is there.
    #[must_use]
    pub fn by_push(error: TokenError) -> Self {
        let name = match error {
            TokenError::Refused(refusal) => refusal.name(),
            _ => "",
        };
        let mut known = PROVIDER_ERRORS.into_iter();
        let known = known.find(|known| *known == name);
        known.map_or(Self::Push, Self::Provider)
    }

    /// Its name, for metrics and for `?error=`: snake_case, from a fixed list.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::UnknownHost => "unknown_host",
            Self::Malformed => "invalid_request",
            Self::State => "state_invalid",
            Self::TooManyRestarts => "too_many_restarts",
            Self::Issuer => "issuer_mismatch",
            Self::Provider(error) => error,
            Self::Tokens(TokenError::Refused(Refusal::InvalidGrant)) => "code_refused",
            Self::Tokens(_) => "tokens_unusable",
            Self::Push => "push_refused",
            Self::IdToken => "id_token_invalid",
            Self::TooLarge => "session_too_large",
            Self::Unavailable(_) => "provider_unavailable",
            Self::NoStore(_) => "session_store_unavailable",
            Self::Prefetch => "prefetch",
        }
    }

    /// What the person is told.
    #[must_use]
    pub fn trouble(self) -> Trouble {
        match self {
            Self::UnknownHost | Self::Malformed | Self::State | Self::TooManyRestarts => {
                Trouble::Lost
            }
            Self::Tokens(TokenError::Refused(Refusal::InvalidGrant)) => Trouble::Lost,
            Self::Provider("server_error" | "temporarily_unavailable")
            | Self::Unavailable(_)
            | Self::NoStore(_)
            | Self::Prefetch => Trouble::Unavailable,
            Self::Provider(_) => Trouble::Denied,
            Self::Issuer | Self::Push | Self::Tokens(_) | Self::IdToken => Trouble::Unusable,
            Self::TooLarge => Trouble::TooLarge,
        }
    }

    /// How long to wait before another try, where waiting helps.
    #[must_use]
    pub fn retry_after(self) -> Option<Duration> {
        match self {
            Self::Unavailable(wait) | Self::NoStore(wait) => Some(wait),
            Self::Prefetch => Some(Duration::from_secs(1)),
            _ => None,
        }
    }
}
