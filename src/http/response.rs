//! What a rejected client is told (RFC 6750 section 3, RFC 9110 sections 11.6.1 and 10.2.3).
//!
//! Invariant: every byte of a rejection is a fixed text of this filter or comes from its
//! configuration. Nothing that a client sent can be passed to a [`Rejection`] (its texts are
//! `&'static`, its scope is a rule's), so nothing of it can be echoed, not even a line break.

use std::time::Duration;

use crate::jose::jwt::JwtError;
use crate::policy::Denied;

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
    /// A path that different upstreams could read differently, or no path at all.
    UnsafePath,
    /// A valid token without the scopes that the rule asks for, here as the rule names them.
    InsufficientScope { scope: &'c str },
    /// A valid token with claims that the rule does not accept.
    ClaimRule,
    /// No rule matches, and what no rule matches is denied.
    NoRule,
    /// There are no usable keys to verify with.
    KeysUnavailable { retry_after_seconds: u32 },
    /// The filter has no valid configuration, or the host refuses what it needs to decide.
    NotConfigured,
    /// Keys are on their way, and as many requests as may wait for them do so already.
    TooManyWaiting { retry_after_seconds: u32 },
}

impl From<JwtError> for Rejection<'_> {
    fn from(error: JwtError) -> Self {
        Rejection::InvalidToken {
            description: error.description(),
            reason: error.reason(),
        }
    }
}

impl<'c> From<Denied<'c>> for Rejection<'c> {
    fn from(denied: Denied<'c>) -> Self {
        match denied {
            Denied::Scope { scopes_needed } => Rejection::InsufficientScope {
                scope: scopes_needed,
            },
            Denied::Claim => Rejection::ClaimRule,
        }
    }
}

impl Rejection<'_> {
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
            Rejection::SeveralTokens | Rejection::UnsafePath => 400,
            Rejection::TokenMissing | Rejection::InvalidToken { .. } => 401,
            Rejection::InsufficientScope { .. } | Rejection::ClaimRule | Rejection::NoRule => 403,
            Rejection::NotConfigured
            | Rejection::KeysUnavailable { .. }
            | Rejection::TooManyWaiting { .. } => 503,
        }
    }

    /// The challenge, where the status has one (RFC 6750 section 3).
    ///
    /// A request without credentials gets no error code (section 3.1), one that no rule allows
    /// no challenge: no token would help.
    pub fn www_authenticate(&self, realm: &str) -> Option<String> {
        let mut challenge = format!("Bearer realm=\"{}\"", quotable(realm));
        let mut parameter = |name: &str, value: &str| {
            challenge.push_str(", ");
            challenge.push_str(name);
            challenge.push_str("=\"");
            challenge.push_str(&quotable(value));
            challenge.push('"');
        };
        match self {
            Rejection::TokenMissing => {}
            Rejection::InvalidToken { .. }
            | Rejection::SeveralTokens
            | Rejection::UnsafePath
            | Rejection::ClaimRule => {
                parameter("error", self.error());
                parameter("error_description", self.description());
            }
            Rejection::InsufficientScope { scope } => {
                parameter("error", self.error());
                parameter("error_description", self.description());
                parameter("scope", scope);
            }
            Rejection::NotConfigured
            | Rejection::NoRule
            | Rejection::KeysUnavailable { .. }
            | Rejection::TooManyWaiting { .. } => return None,
        }
        Some(challenge)
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

    /// The response's own headers: names in lower case, values safe to send as they are.
    pub fn headers(&self, realm: &str) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            ("content-type", "application/json".to_owned()),
            ("cache-control", "no-store".to_owned()),
        ];
        headers.extend(
            self.www_authenticate(realm)
                .map(|value| ("www-authenticate", value)),
        );
        headers.extend(
            self.retry_after()
                .map(|value| ("retry-after", value.to_string())),
        );
        headers
    }

    /// The JSON body: `{"error": "...", "error_description": "..."}`.
    pub fn body(&self) -> String {
        format!(
            "{{\"error\":\"{}\",\"error_description\":\"{}\"}}",
            quotable(self.error()),
            quotable(self.description())
        )
    }

    /// The reason as metrics and logs name it: snake_case, from a fixed list.
    pub fn reason(&self) -> &'static str {
        match self {
            Rejection::TokenMissing => "token_missing",
            Rejection::InvalidToken { reason, .. } => reason,
            Rejection::SeveralTokens => "several_tokens",
            Rejection::UnsafePath => "unsafe_path",
            Rejection::InsufficientScope { .. } => "insufficient_scope",
            Rejection::ClaimRule => "claim_rule",
            Rejection::NoRule => "no_rule",
            Rejection::NotConfigured => "not_configured",
            Rejection::KeysUnavailable { .. } => "keys_unavailable",
            Rejection::TooManyWaiting { .. } => "too_many_waiting",
        }
    }

    /// RFC 6750 section 3.1's code where it has one; the other names follow RFC 6749.
    fn error(&self) -> &'static str {
        match self {
            Rejection::TokenMissing => "unauthorized",
            Rejection::InvalidToken { .. } => "invalid_token",
            Rejection::SeveralTokens | Rejection::UnsafePath => "invalid_request",
            Rejection::InsufficientScope { .. } | Rejection::ClaimRule => "insufficient_scope",
            Rejection::NoRule => "access_denied",
            Rejection::NotConfigured => "server_error",
            Rejection::KeysUnavailable { .. } | Rejection::TooManyWaiting { .. } => {
                "temporarily_unavailable"
            }
        }
    }

    /// The words of Envoy's jwt_authn where it has some.
    fn description(&self) -> &'static str {
        match self {
            Rejection::TokenMissing => "Jwt is missing",
            Rejection::InvalidToken { description, .. } => description,
            Rejection::SeveralTokens => "More than one credential in the request",
            Rejection::UnsafePath => "The request path is ambiguous",
            Rejection::InsufficientScope { .. } => "Jwt lacks a scope that is required here",
            Rejection::ClaimRule => "Claims in Jwt are not allowed",
            Rejection::NoRule => "No rule allows this request",
            Rejection::NotConfigured => "The gateway cannot decide this request",
            Rejection::KeysUnavailable { .. } => "Jwks remote fetch is failed",
            Rejection::TooManyWaiting { .. } => "Too many requests are waiting for Jwks",
        }
    }
}

/// Drops what would end a quoted-string or a JSON string, or need escaping in one. The texts
/// have none of it; that no header can be split rests on this line rather than on that.
fn quotable(text: &str) -> String {
    text.chars()
        .filter(|c| (' '..='~').contains(c) && !matches!(c, '"' | '\\'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rejection, then its status, challenge, seconds to wait, error, description and reason.
    type Row<'r> = (
        Rejection<'r>,
        u32,
        Option<&'r str>,
        Option<u32>,
        &'r str,
        &'r str,
        &'r str,
    );

    #[test]
    fn the_contracts_table() {
        let expired = Rejection::InvalidToken {
            description: "Jwt is expired",
            reason: "expired",
        };
        let table: &[Row] = &[
            (
                Rejection::TokenMissing,
                401,
                Some(r#"Bearer realm="api""#),
                None,
                "unauthorized",
                "Jwt is missing",
                "token_missing",
            ),
            (
                expired,
                401,
                Some(
                    r#"Bearer realm="api", error="invalid_token", error_description="Jwt is expired""#,
                ),
                None,
                "invalid_token",
                "Jwt is expired",
                "expired",
            ),
            (
                Rejection::SeveralTokens,
                400,
                Some(
                    r#"Bearer realm="api", error="invalid_request", error_description="More than one credential in the request""#,
                ),
                None,
                "invalid_request",
                "More than one credential in the request",
                "several_tokens",
            ),
            (
                Rejection::UnsafePath,
                400,
                Some(
                    r#"Bearer realm="api", error="invalid_request", error_description="The request path is ambiguous""#,
                ),
                None,
                "invalid_request",
                "The request path is ambiguous",
                "unsafe_path",
            ),
            (
                Rejection::InsufficientScope {
                    scope: "read:a write:a",
                },
                403,
                Some(
                    r#"Bearer realm="api", error="insufficient_scope", error_description="Jwt lacks a scope that is required here", scope="read:a write:a""#,
                ),
                None,
                "insufficient_scope",
                "Jwt lacks a scope that is required here",
                "insufficient_scope",
            ),
            (
                Rejection::ClaimRule,
                403,
                Some(
                    r#"Bearer realm="api", error="insufficient_scope", error_description="Claims in Jwt are not allowed""#,
                ),
                None,
                "insufficient_scope",
                "Claims in Jwt are not allowed",
                "claim_rule",
            ),
            (
                Rejection::NoRule,
                403,
                None,
                None,
                "access_denied",
                "No rule allows this request",
                "no_rule",
            ),
            (
                Rejection::KeysUnavailable {
                    retry_after_seconds: 7,
                },
                503,
                None,
                Some(7),
                "temporarily_unavailable",
                "Jwks remote fetch is failed",
                "keys_unavailable",
            ),
            (
                Rejection::TooManyWaiting {
                    retry_after_seconds: 0,
                },
                503,
                None,
                Some(1),
                "temporarily_unavailable",
                "Too many requests are waiting for Jwks",
                "too_many_waiting",
            ),
        ];
        for (rejection, status, challenge, retry, error, description, reason) in table {
            assert_eq!(rejection.status(), *status, "{rejection:?}");
            assert_eq!(
                rejection.www_authenticate("api").as_deref(),
                *challenge,
                "{rejection:?}"
            );
            assert_eq!(rejection.retry_after(), *retry, "{rejection:?}");
            assert_eq!(rejection.reason(), *reason);
            let body: serde_json::Value = serde_json::from_str(&rejection.body()).unwrap();
            assert_eq!(
                body,
                serde_json::json!({"error": error, "error_description": description})
            );
            let headers = rejection.headers("api");
            let value = |name| {
                headers
                    .iter()
                    .find(|(n, _)| *n == name)
                    .map(|(_, v)| v.clone())
            };
            assert_eq!(value("content-type").as_deref(), Some("application/json"));
            assert_eq!(value("cache-control").as_deref(), Some("no-store"));
            assert_eq!(value("www-authenticate").as_deref(), *challenge);
            assert_eq!(value("retry-after"), retry.map(|s| s.to_string()));
        }
    }

    #[test]
    fn no_text_breaks_out_of_its_quotes() {
        let hostile = "a\"b\\c\r\nset-cookie: x=y\u{0}\u{7f}\u{e9}";
        let rejection = Rejection::InsufficientScope { scope: hostile };
        let challenge = rejection.www_authenticate(hostile).unwrap();
        assert!(challenge.starts_with("Bearer realm=\"abcset-cookie: x=y\", error="));
        assert!(challenge.ends_with("scope=\"abcset-cookie: x=y\""));
        assert!(challenge.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
    }
}
