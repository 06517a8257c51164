//! Why a request is rejected (RFC 6750 section 3.1), and the words for it.
//!
//! Invariant: nothing that a client sent can be passed to a [`Rejection`] (its texts are
//! `&'static`, its scope is a rule's), so nothing of it can be echoed, not even a line break.

use std::time::Duration;

use crate::http::ambiguous::Ambiguous;
use crate::jose::jwt::JwtError;

/// Why a request is not let through, and all that its response depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection<'c> {
    /// A token is asked for and there is none.
    TokenMissing,
    /// The token cannot be accepted. `description` is for the client, `reason` for the metrics.
    InvalidToken {
        description: &'static str,
        reason: &'static str,
    },
    /// More than one credential in one request.
    SeveralTokens,
    /// A part of the request that different upstreams could read differently.
    Ambiguous(Ambiguous),
    /// A valid token without the scopes that the rule asks for, here as the rule names them.
    InsufficientScope { scope: &'c str },
    /// A valid token with claims that the rule does not accept.
    ClaimRule,
    /// No rule matches, and what no rule matches is denied.
    NoRule,
    /// There are no usable keys to verify with.
    KeysUnavailable { retry_after_seconds: u32 },
    /// The filter has no valid configuration.
    NotConfigured,
    /// The host refuses what a decision needs, or a part of what an admitted request is given.
    HostRefused,
    /// Keys are on their way, and as many requests as may wait for them do so already.
    TooManyWaiting { retry_after_seconds: u32 },
}

impl From<Ambiguous> for Rejection<'_> {
    fn from(part: Ambiguous) -> Self {
        Rejection::Ambiguous(part)
    }
}

impl From<JwtError> for Rejection<'_> {
    fn from(error: JwtError) -> Self {
        Rejection::InvalidToken {
            description: error.description(),
            reason: error.reason(),
        }
    }
}

/// What [`Rejection::reason`] says of everything but bad tokens, which have [`JwtError::reason`],
/// and ambiguous parts, which have [`Ambiguous::reason`].
const REASONS: [&str; 9] = [
    "token_missing",
    "several_tokens",
    "insufficient_scope",
    "claim_rule",
    "no_rule",
    "not_configured",
    "host_refused",
    "keys_unavailable",
    "too_many_waiting",
];

/// What [`Rejection::error`] says.
const ERRORS: [&str; 7] = [
    "unauthorized",
    "invalid_token",
    "invalid_request",
    "insufficient_scope",
    "access_denied",
    "server_error",
    "temporarily_unavailable",
];

impl Rejection<'_> {
    /// The names by which a configuration may speak of rejections: every reason, and every
    /// `error`, which stands for all the reasons that have it.
    pub fn names() -> impl Iterator<Item = &'static str> {
        let bad_tokens = JwtError::ALL.iter().map(|error| error.reason());
        let ambiguous = Ambiguous::ALL.map(Ambiguous::reason);
        ERRORS
            .into_iter()
            .chain(REASONS)
            .chain(ambiguous)
            .chain(bad_tokens)
    }

    /// A client may try again after `wait`, rounded up to whole seconds, one at least.
    pub fn keys_unavailable(wait: Duration) -> Self {
        let seconds = wait.as_millis().div_ceil(1000).max(1);
        Rejection::KeysUnavailable {
            retry_after_seconds: u32::try_from(seconds).unwrap_or(u32::MAX),
        }
    }

    /// The HTTP status code.
    pub fn status(&self) -> u32 {
        match self {
            Rejection::SeveralTokens | Rejection::Ambiguous(_) => 400,
            Rejection::TokenMissing | Rejection::InvalidToken { .. } => 401,
            Rejection::InsufficientScope { .. } | Rejection::ClaimRule | Rejection::NoRule => 403,
            Rejection::NotConfigured
            | Rejection::HostRefused
            | Rejection::KeysUnavailable { .. }
            | Rejection::TooManyWaiting { .. } => 503,
        }
    }

    /// Seconds for the Retry-After header, where the client may try again; never 0.
    pub fn retry_after(&self) -> Option<u32> {
        match self {
            Rejection::KeysUnavailable {
                retry_after_seconds,
            }
            | Rejection::TooManyWaiting {
                retry_after_seconds,
            } => Some((*retry_after_seconds).max(1)),
            _ => None,
        }
    }

    /// The reason as metrics and logs name it: snake_case, from a fixed list.
    pub fn reason(&self) -> &'static str {
        match self {
            Rejection::TokenMissing => "token_missing",
            Rejection::InvalidToken { reason, .. } => reason,
            Rejection::SeveralTokens => "several_tokens",
            Rejection::Ambiguous(part) => part.reason(),
            Rejection::InsufficientScope { .. } => "insufficient_scope",
            Rejection::ClaimRule => "claim_rule",
            Rejection::NoRule => "no_rule",
            Rejection::NotConfigured => "not_configured",
            Rejection::HostRefused => "host_refused",
            Rejection::KeysUnavailable { .. } => "keys_unavailable",
            Rejection::TooManyWaiting { .. } => "too_many_waiting",
        }
    }

    /// RFC 6750 section 3.1's code where it has one; the other names follow RFC 6749.
    pub fn error(&self) -> &'static str {
        match self {
            Rejection::TokenMissing => "unauthorized",
            Rejection::InvalidToken { .. } => "invalid_token",
            Rejection::SeveralTokens | Rejection::Ambiguous(_) => "invalid_request",
            Rejection::InsufficientScope { .. } | Rejection::ClaimRule => "insufficient_scope",
            Rejection::NoRule => "access_denied",
            Rejection::NotConfigured | Rejection::HostRefused => "server_error",
            Rejection::KeysUnavailable { .. } | Rejection::TooManyWaiting { .. } => {
                "temporarily_unavailable"
            }
        }
    }

    /// The words of Envoy's jwt_authn where it has some.
    pub fn description(&self) -> &'static str {
        match self {
            Rejection::TokenMissing => "Jwt is missing",
            Rejection::InvalidToken { description, .. } => description,
            Rejection::SeveralTokens => "More than one credential in the request",
            Rejection::Ambiguous(part) => part.description(),
            Rejection::InsufficientScope { .. } => "Jwt lacks a scope that is required here",
            Rejection::ClaimRule => "Claims in Jwt are not allowed",
            Rejection::NoRule => "No rule allows this request",
            Rejection::NotConfigured => "The gateway cannot decide this request",
            Rejection::HostRefused => "The gateway cannot pass this request on",
            Rejection::KeysUnavailable { .. } => "Jwks remote fetch is failed",
            Rejection::TooManyWaiting { .. } => "Too many requests are waiting for Jwks",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::response::is_quotable;

    /// All but those of a bad token and of an ambiguous part.
    const ALL_OTHERS: [Rejection<'static>; 9] = [
        Rejection::TokenMissing,
        Rejection::SeveralTokens,
        Rejection::InsufficientScope { scope: "" },
        Rejection::ClaimRule,
        Rejection::NoRule,
        Rejection::NotConfigured,
        Rejection::HostRefused,
        Rejection::KeysUnavailable {
            retry_after_seconds: 1,
        },
        Rejection::TooManyWaiting {
            retry_after_seconds: 1,
        },
    ];

    fn bad_tokens() -> impl Iterator<Item = Rejection<'static>> {
        JwtError::ALL.iter().map(|error| Rejection::from(*error))
    }

    #[test]
    fn the_documents_have_every_text_and_reason_in_order() {
        let (_, table) = include_str!("../../../docs/responses.md")
            .split_once("\nEvery text is fixed:\n")
            .unwrap();
        let rows: Vec<&str> = table
            .lines()
            .skip_while(|line| !line.starts_with('|'))
            .take_while(|line| line.starts_with('|'))
            .skip(2)
            .collect();
        let row = |rejection: Rejection<'_>| {
            format!("| {} | `{}` |", rejection.description(), rejection.reason())
        };
        let others = rows.len() - JwtError::ALL.len();
        let (others, of_tokens) = rows.split_at(others);
        assert_eq!(of_tokens, bad_tokens().map(row).collect::<Vec<_>>());
        let mut reasons: Vec<&str> = others
            .iter()
            .map(|row| row.split('`').nth(1).unwrap())
            .collect();
        let ambiguous = Ambiguous::ALL.map(Rejection::from);
        let mut known: Vec<&str> = ambiguous.iter().map(Rejection::reason).collect();
        known.extend(REASONS);
        reasons.sort_unstable();
        known.sort_unstable();
        assert_eq!(reasons, known);
        for rejection in ALL_OTHERS.into_iter().chain(ambiguous) {
            assert!(others.contains(&row(rejection).as_str()), "{rejection:?}");
        }
    }

    #[test]
    fn a_configuration_can_name_every_reason() {
        // What is missing above does not compile here.
        for rejection in ALL_OTHERS {
            match rejection {
                Rejection::TokenMissing
                | Rejection::InvalidToken { .. }
                | Rejection::SeveralTokens
                | Rejection::Ambiguous(_)
                | Rejection::InsufficientScope { .. }
                | Rejection::ClaimRule
                | Rejection::NoRule
                | Rejection::NotConfigured
                | Rejection::HostRefused
                | Rejection::KeysUnavailable { .. }
                | Rejection::TooManyWaiting { .. } => {}
            }
        }
        let ambiguous = Ambiguous::ALL.map(Rejection::from);
        for rejection in ALL_OTHERS.into_iter().chain(ambiguous).chain(bad_tokens()) {
            for name in [rejection.reason(), rejection.error()] {
                assert!(Rejection::names().any(|known| known == name), "{name}");
            }
            // The texts are written between quotes as they are.
            for text in [rejection.error(), rejection.description()] {
                assert!(text.chars().all(is_quotable), "{text}");
            }
        }
    }
}
