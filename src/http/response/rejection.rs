//! Why a request is rejected (RFC 6750 section 3.1), and the words for it.
//!
//! Invariant: nothing that a client sent can become part of a [`Rejection`]: its texts are
//! `&'static`, and its scope is a rule's. So no response can echo anything, not even a line break.

use std::time::Duration;

use crate::http::ambiguous::Ambiguous;
use crate::http::retry_after::whole_seconds;
use crate::jose::jwt::JwtError;

/// The fixed parts of one kind of rejection, in one row.
struct Row {
    status: u32,
    error: &'static str,
    reason: &'static str,
    description: &'static str,
}

/// The enum, and all that is fixed of each of its variants in one row:
/// `Variant: status "error", reason = description`. The rows under `told` have the words of what
/// their variants carry.
macro_rules! rejections {
    ($(#[$of:meta])* pub enum $name:ident<$life:lifetime> {
        $($(#[$doc:meta])* $fixed:ident $({ $($(#[$field_doc:meta])* $field:ident: $type:ty),* })?:
            $status:literal $error:literal, $reason:literal = $text:literal,)*
    }
    told {
        $($(#[$told_doc:meta])* $told:ident
            $(($part:ident: $part_type:ty))?
            $({ $($(#[$word_doc:meta])* $word:ident: $word_type:ty),* })?:
            $told_status:literal $told_error:literal, $told_reason:expr, $told_text:expr,)*
    }) => {
        $(#[$of])*
        pub enum $name<$life> {
            $($(#[$doc])* $fixed $({ $($(#[$field_doc])* $field: $type),* })?,)*
            $($(#[$told_doc])* $told $(($part_type))?
                $({ $($(#[$word_doc])* $word: $word_type),* })?,)*
        }

        /// The reasons that are in a row of their own.
        const REASONS: [&str; [$($reason),*].len()] = [$($reason),*];

        /// The same with their texts.
        const TEXTS: [(&str, &str); REASONS.len()] = [$(($reason, $text)),*];

        /// The `error` of each row.
        const ERRORS: [&str; [$($error,)* $($told_error),*].len()] = [$($error,)* $($told_error),*];

        impl $name<'_> {
            fn row(&self) -> Row {
                match *self {
                    $($name::$fixed { .. } => Row {
                        status: $status, error: $error, reason: $reason, description: $text,
                    },)*
                    $($name::$told $(($part))? $({ $($word),* })? => Row {
                        status: $told_status, error: $told_error, reason: $told_reason,
                        description: $told_text,
                    },)*
                }
            }

            /// One of each that has a row of its own.
            #[cfg(test)]
            fn samples() -> [$name<'static>; REASONS.len()] {
                [$($name::$fixed $({ $($field: Default::default()),* })?),*]
            }
        }
    };
}

rejections! {
/// Why a request is rejected, with everything that its response depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection<'c> {
    /// A token is required and there is none.
    TokenMissing: 401 "unauthorized", "token_missing" = "Jwt is missing",
    /// A session is required and there is none.
    SessionMissing: 401 "unauthorized", "session_missing" = "Session is missing",
    /// The request relies on a session, and another site may have made the browser send it.
    CrossSite: 403 "access_denied", "cross_site" = "The request comes from another site",
    /// More than one credential in one request.
    SeveralTokens: 400 "invalid_request",
        "several_tokens" = "More than one credential in the request",
    /// A valid token without the scopes that the rule requires.
    InsufficientScope {
        /// Those scopes as the rule names them, separated by spaces.
        scope: &'c str
    }: 403 "insufficient_scope",
        "insufficient_scope" = "Jwt lacks a scope that is required here",
    /// A valid token with claims that the rule does not accept.
    ClaimRule: 403 "insufficient_scope", "claim_rule" = "Claims in Jwt are not allowed",
    /// No rule matches, and such requests are denied.
    NoRule: 403 "access_denied", "no_rule" = "No rule allows this request",
    /// The filter has no valid configuration.
    NotConfigured: 503 "server_error",
        "not_configured" = "The gateway cannot decide this request",
    /// The host refuses what a decision needs, or a part of what an admitted request is given.
    HostRefused: 503 "server_error",
        "host_refused" = "The gateway cannot pass this request on",
    /// Shared data does not take that a session is over, or what anybody can claim has no room.
    NotEnded {
        /// When the client may try again: from now, 1 at least.
        retry_after_seconds: u32
    }: 503 "temporarily_unavailable",
        "not_ended" = "The session cannot be ended now",
    /// The body that a decision needs has not come in time.
    BodyMissing: 408 "invalid_request", "body_missing" = "The request body did not come",
    /// There are no usable keys to verify with.
    KeysUnavailable {
        /// When the client may try again: from now, 1 at least.
        retry_after_seconds: u32
    }: 503 "temporarily_unavailable",
        "keys_unavailable" = "Jwks remote fetch is failed",
    /// The identity provider must be asked, and does not answer.
    ProviderUnavailable {
        /// When the client may try again: from now, 1 at least.
        retry_after_seconds: u32
    }: 503 "temporarily_unavailable",
        "provider_unavailable" = "The identity provider does not answer",
    /// It is not known who has signed out in other Envoys.
    SignOutsUnknown {
        /// When the client may try again: from now, 1 at least.
        retry_after_seconds: u32
    }: 503 "temporarily_unavailable",
        "sign_outs_unknown" = "It is not known whether the session has ended",
    /// The shared store has the session, and does not answer.
    SessionStoreUnavailable {
        /// When the client may try again: from now, 1 at least.
        retry_after_seconds: u32
    }: 503 "temporarily_unavailable",
        "session_store_unavailable" = "The session cannot be read now",
    /// The request must wait for a fact, but the most requests that may wait do so already.
    TooManyWaiting {
        /// When the client may try again: from now, 1 at least.
        retry_after_seconds: u32
    }: 503 "temporarily_unavailable",
        "too_many_waiting" = "Too many requests are waiting for Jwks",
}
told {
    /// The token cannot be accepted.
    InvalidToken {
        /// The fixed text for the client.
        description: &'static str,
        /// The name for metrics and logs.
        reason: &'static str
    }: 401 "invalid_token",
        reason, description,
    /// A part of the request that different upstreams could read differently.
    Ambiguous(part: Ambiguous): 400 "invalid_request", part.reason(), part.description(),
}
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

impl Rejection<'_> {
    /// The names by which a configuration may speak of rejections: every reason, and every
    /// `error`, which stands for all the reasons that have it. A name may come several times.
    pub fn names() -> impl Iterator<Item = &'static str> {
        let bad_tokens = JwtError::ALL.iter().map(|error| error.reason());
        let ambiguous = Ambiguous::ALL.map(Ambiguous::reason);
        ERRORS
            .into_iter()
            .chain(REASONS)
            .chain(ambiguous)
            .chain(bad_tokens)
    }

    /// Every reason with its text.
    pub fn texts() -> impl Iterator<Item = (&'static str, &'static str)> {
        let bad_tokens = JwtError::ALL.map(|error| (error.reason(), error.description()));
        let ambiguous = Ambiguous::ALL.map(|part| (part.reason(), part.description()));
        TEXTS.into_iter().chain(ambiguous).chain(bad_tokens)
    }

    /// A client may try again after `wait`, rounded up to whole seconds, one at least.
    pub fn keys_unavailable(wait: Duration) -> Self {
        Rejection::KeysUnavailable {
            retry_after_seconds: whole_seconds(wait),
        }
    }

    /// The same where something other than keys is missing.
    pub fn provider_unavailable(wait: Duration) -> Self {
        Rejection::ProviderUnavailable {
            retry_after_seconds: whole_seconds(wait),
        }
    }

    /// The same where it is not known who has signed out.
    pub fn sign_outs_unknown(wait: Duration) -> Self {
        Rejection::SignOutsUnknown {
            retry_after_seconds: whole_seconds(wait),
        }
    }

    /// The same where the store does not answer that has the session.
    pub fn session_store_unavailable(wait: Duration) -> Self {
        Rejection::SessionStoreUnavailable {
            retry_after_seconds: whole_seconds(wait),
        }
    }

    /// The HTTP status code.
    pub fn status(&self) -> u32 {
        self.row().status
    }

    /// Seconds for the Retry-After header, where the client may try again; never 0.
    pub fn retry_after(&self) -> Option<u32> {
        match self {
            Rejection::KeysUnavailable {
                retry_after_seconds,
            }
            | Rejection::ProviderUnavailable {
                retry_after_seconds,
            }
            | Rejection::NotEnded {
                retry_after_seconds,
            }
            | Rejection::SignOutsUnknown {
                retry_after_seconds,
            }
            | Rejection::SessionStoreUnavailable {
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
        self.row().reason
    }

    /// RFC 6750 section 3.1's code where it has one; the other names follow RFC 6749.
    pub fn error(&self) -> &'static str {
        self.row().error
    }

    /// The words of Envoy's jwt_authn where it has some.
    pub fn description(&self) -> &'static str {
        self.row().description
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::response::is_quotable;

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
        for rejection in Rejection::samples().into_iter().chain(ambiguous) {
            assert!(others.contains(&row(rejection).as_str()), "{rejection:?}");
        }
    }

    #[test]
    fn a_configuration_can_name_every_reason() {
        let ambiguous = Ambiguous::ALL.map(Rejection::from);
        for rejection in Rejection::samples()
            .into_iter()
            .chain(ambiguous)
            .chain(bad_tokens())
        {
            let told = (rejection.reason(), rejection.description());
            assert!(Rejection::texts().any(|known| known == told), "{told:?}");
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
