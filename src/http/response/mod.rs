//! What a rejected client is answered (RFC 6750 section 3, RFC 9110 sections 11.6.1 and 10.2.3):
//! the one place where a [`Rejection`] becomes a [`Response`].
//!
//! Invariant: every byte of a response is a fixed text of this filter or comes from its
//! configuration.

mod challenge;
mod rejection;

pub(crate) use challenge::is_quotable;
pub use rejection::Rejection;

/// What is sent instead of asking the upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status code.
    pub status: u32,
    /// Names in lower case, values safe to send as they are.
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

/// How rejections are answered, as the configuration says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Responses {
    /// The realm of challenges; printable ASCII without `"` and `\`.
    pub realm: String,
}

impl Responses {
    /// The answer to a request that is rejected.
    pub fn reject(&self, rejection: &Rejection<'_>) -> Response {
        let mut headers = vec![
            ("content-type", "application/json".to_owned()),
            ("cache-control", "no-store".to_owned()),
        ];
        if let Some(challenge) = challenge::challenge(rejection, &self.realm) {
            headers.push(("www-authenticate", challenge));
        }
        if let Some(seconds) = rejection.retry_after() {
            headers.push(("retry-after", seconds.to_string()));
        }
        Response {
            status: rejection.status(),
            headers,
            body: format!(
                "{{\"error\":\"{}\",\"error_description\":\"{}\"}}",
                rejection.error(),
                rejection.description()
            ),
        }
    }
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
        let responses = Responses {
            realm: "api".to_owned(),
        };
        for (rejection, status, challenge, retry, error, description, reason) in table {
            assert_eq!(rejection.reason(), *reason);
            let response = responses.reject(rejection);
            assert_eq!(response.status, *status, "{rejection:?}");
            let body: serde_json::Value = serde_json::from_str(&response.body).unwrap();
            assert_eq!(
                body,
                serde_json::json!({"error": error, "error_description": description})
            );
            let mut expected = vec![
                ("content-type", "application/json".to_owned()),
                ("cache-control", "no-store".to_owned()),
            ];
            expected.extend(challenge.map(|value| ("www-authenticate", value.to_owned())));
            expected.extend(retry.map(|seconds| ("retry-after", seconds.to_string())));
            assert_eq!(response.headers, expected, "{rejection:?}");
        }
    }
}
