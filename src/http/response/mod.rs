//! The answer to a rejected client (RFC 6750 section 3, RFC 9110 sections 11.6.1 and 10.2.3). Only
//! here does a [`Rejection`] become a [`Response`].
//!
//! Invariant: every byte of a response is a fixed text of this filter or comes from its
//! configuration.

mod body;
mod challenge;
mod rejection;

use crate::named::Named;

pub use body::Format;
pub(crate) use challenge::is_quotable;
pub use rejection::Rejection;

/// What is sent instead of asking the upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status code.
    pub status: u32,
    /// Names in lower case, values safe to send as they are.
    pub headers: Vec<(&'static str, String)>,
    /// The text of the body; empty for none.
    pub body: String,
}

impl Response {
    /// A response with these headers.
    pub fn new(status: u32, headers: &[(&'static str, &str)], body: String) -> Self {
        let owned = |(name, value): &(&'static str, &str)| (*name, (*value).to_owned());
        Self {
            status,
            headers: headers.iter().map(owned).collect(),
            body,
        }
    }
}

/// Who reads a response: gRPC clients read no bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// Any other client, which reads the HTTP status and the body.
    Http,
    /// The host turns the HTTP status into a gRPC status, and the body into its message.
    Grpc,
}

impl Client {
    /// By the request's `content-type`: `application/grpc`, alone or with a message format or
    /// parameters. gRPC-Web has a media type of its own, and reads HTTP.
    pub fn from_content_type(content_type: Option<&[u8]>) -> Self {
        match content_type.and_then(|value| value.strip_prefix(b"application/grpc")) {
            Some([] | [b'+' | b';', ..]) => Self::Grpc,
            _ => Self::Http,
        }
    }
}

/// The schemes by which a token can be sent (RFC 9110 section 11.6.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Schemes {
    /// RFC 6750, and every place that has no scheme.
    #[default]
    Bearer,
    /// As a password alone (RFC 7617).
    Basic,
    /// Both.
    Both,
}

const CHALLENGE: &str = "www-authenticate";

/// How rejections are answered, as the configuration says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Responses {
    /// The realm of challenges; printable ASCII without `"` and `\`.
    pub realm: String,
    /// The form of the bodies that are not `custom`.
    pub format: Format,
    /// Whether such a body has the name of the reason, where its form has names.
    pub include_reason: bool,
    /// By a name of [`Rejection::names`].
    pub custom: Named<Custom>,
    /// Whether bodies and challenges are left out.
    pub strip: bool,
    /// Where the metadata of the protected resource are; printable ASCII without `"` and `\`.
    pub resource_metadata: Option<String>,
}

/// What is sent in place of a rejection's own status and body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Custom {
    /// 400 to 599.
    pub status: Option<u32>,
    /// The body; `None` keeps the rejection's own.
    pub body: Option<Body>,
}

/// A body that the configuration writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// What is sent, as it is written.
    pub text: String,
    /// A media type; printable ASCII.
    pub content_type: String,
}

impl Responses {
    /// The answer to a request that is rejected.
    ///
    /// A gRPC client gets the fixed text, whatever body the configuration has: the message of a
    /// status is a header, and a page would be too long for it.
    pub fn reject(&self, rejection: &Rejection<'_>, client: Client) -> Response {
        let custom = self.custom(rejection);
        let status = custom
            .and_then(|custom| custom.status)
            .unwrap_or(rejection.status());
        let (content_type, body) = if self.strip {
            (None, String::new())
        } else if client == Client::Grpc {
            (None, rejection.description().to_owned())
        } else if let Some(body) = custom.and_then(|custom| custom.body.as_ref()) {
            let content_type = (!body.text.is_empty()).then_some(body.content_type.as_str());
            (content_type, body.text.clone())
        } else {
            let body = self.format.body(rejection, status, self.include_reason);
            (Some(self.format.content_type()), body)
        };
        let mut headers = vec![("cache-control", "no-store".to_owned())];
        headers.extend(content_type.map(|value| ("content-type", value.to_owned())));
        if !self.strip
            && let Some(challenge) = challenge::challenge(
                rejection,
                status,
                &self.realm,
                self.resource_metadata.as_deref(),
            )
        {
            headers.push((CHALLENGE, challenge));
        }
        if let Some(seconds) = rejection.retry_after() {
            headers.push(("retry-after", seconds.to_string()));
        }
        Response {
            status,
            headers,
            body,
        }
    }

    /// The same, where tokens can be sent by other schemes than Bearer. A challenge that asks for a
    /// credential names each of them, in a line of its own: some clients of Basic read no other.
    /// Where Basic is the only one, no challenge is of Bearer. Basic has no errors (RFC 7617), so what
    /// is not a 401 has none then.
    pub fn reject_by(
        &self,
        rejection: &Rejection<'_>,
        client: Client,
        schemes: Schemes,
    ) -> Response {
        let mut response = self.reject(rejection, client);
        if schemes == Schemes::Basic {
            response.headers.retain(|(name, _)| *name != CHALLENGE);
        }
        if schemes != Schemes::Bearer && response.status == 401 && !self.strip {
            let basic = format!("Basic realm=\"{}\"", self.realm);
            response.headers.push((CHALLENGE, basic));
        }
        response
    }

    /// The response for this reason, or else the one for all reasons with the same `error`.
    fn custom(&self, rejection: &Rejection<'_>) -> Option<&Custom> {
        self.custom
            .get(rejection.reason())
            .or_else(|| self.custom.get(rejection.error()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::ambiguous::Ambiguous;

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
                Rejection::Ambiguous(Ambiguous::Path),
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
            ..Responses::default()
        };
        for (rejection, status, challenge, retry, error, description, reason) in table {
            assert_eq!(rejection.reason(), *reason);
            let response = responses.reject(rejection, Client::Http);
            assert_eq!(response.status, *status, "{rejection:?}");
            let body: serde_json::Value = serde_json::from_str(&response.body).unwrap();
            assert_eq!(
                body,
                serde_json::json!({"error": error, "error_description": description})
            );
            let mut expected = vec![
                ("cache-control", "no-store".to_owned()),
                ("content-type", "application/json".to_owned()),
            ];
            expected.extend(challenge.map(|value| ("www-authenticate", value.to_owned())));
            expected.extend(retry.map(|seconds| ("retry-after", seconds.to_string())));
            assert_eq!(response.headers, expected, "{rejection:?}");
        }
    }

    #[test]
    fn a_configured_response_is_the_reasons_own_or_its_errors() {
        let body = |text: &str| Body {
            text: text.to_owned(),
            content_type: "text/html".to_owned(),
        };
        let mut custom = Named::default();
        for (name, status, body) in [
            ("invalid_token", Some(403), Some(body("bad"))),
            ("expired", None, Some(body("old"))),
            ("token_missing", Some(404), None),
            ("insufficient_scope", Some(401), None),
            ("claim_rule", Some(400), Some(body(""))),
            ("access_denied", Some(401), None),
            ("keys_unavailable", Some(502), None),
            ("too_many_waiting", Some(429), Some(body("later"))),
        ] {
            custom.insert(name, Custom { status, body });
        }
        let responses = Responses {
            realm: "api".to_owned(),
            format: Format::Text,
            custom,
            ..Responses::default()
        };
        let invalid_token = |description, reason| Rejection::InvalidToken {
            description,
            reason,
        };
        let html = Some("text/html");
        let text = Some("text/plain");
        let table = [
            // all bad tokens, and one that has a response of its own
            (
                invalid_token("No", "signature"),
                403,
                html,
                "bad",
                Some(r#"Bearer realm="api", error="invalid_token", error_description="No""#),
            ),
            (
                invalid_token("Jwt is expired", "expired"),
                401,
                html,
                "old",
                Some(
                    r#"Bearer realm="api", error="invalid_token", error_description="Jwt is expired""#,
                ),
            ),
            // what hides is not a challenge
            (Rejection::TokenMissing, 404, text, "Jwt is missing", None),
            (
                Rejection::InsufficientScope { scope: "a" },
                401,
                text,
                "Jwt lacks a scope that is required here",
                Some(
                    r#"Bearer realm="api", error="insufficient_scope", error_description="Jwt lacks a scope that is required here", scope="a""#,
                ),
            ),
            (
                Rejection::ClaimRule,
                400,
                None,
                "",
                Some(
                    r#"Bearer realm="api", error="insufficient_scope", error_description="Claims in Jwt are not allowed""#,
                ),
            ),
            // a 401 always has a challenge
            (
                Rejection::NoRule,
                401,
                text,
                "No rule allows this request",
                Some(r#"Bearer realm="api""#),
            ),
            (
                Rejection::KeysUnavailable {
                    retry_after_seconds: 7,
                },
                502,
                text,
                "Jwks remote fetch is failed",
                None,
            ),
            (
                Rejection::TooManyWaiting {
                    retry_after_seconds: 7,
                },
                429,
                html,
                "later",
                None,
            ),
            // not configured
            (
                Rejection::NotConfigured,
                503,
                text,
                "The gateway cannot decide this request",
                None,
            ),
        ];
        for (rejection, status, content_type, body, challenge) in table {
            let response = responses.reject(&rejection, Client::Http);
            assert_eq!(response.status, status, "{rejection:?}");
            assert_eq!(response.body, body, "{rejection:?}");
            let retry = rejection.retry_after();
            for (name, value) in [
                ("cache-control", Some("no-store")),
                ("content-type", content_type),
                ("www-authenticate", challenge),
                ("retry-after", retry.map(|_| "7")),
            ] {
                let sent = response.headers.iter().find(|(known, _)| *known == name);
                let sent = sent.map(|(_, value)| value.as_str());
                assert_eq!(sent, value, "{rejection:?}");
            }
            let grpc = responses.reject(&rejection, Client::Grpc);
            assert_eq!(
                (grpc.status, grpc.body.as_str()),
                (status, rejection.description())
            );
            let mut headers = response.headers.clone();
            headers.retain(|(name, _)| *name != "content-type");
            assert_eq!(grpc.headers, headers, "{rejection:?}");
            for client in [Client::Http, Client::Grpc] {
                let stripped = Responses {
                    strip: true,
                    ..responses.clone()
                }
                .reject(&rejection, client);
                assert_eq!((stripped.status, stripped.body.as_str()), (status, ""));
                let mut left = vec![("cache-control", "no-store".to_owned())];
                left.extend(retry.map(|_| ("retry-after", "7".to_owned())));
                assert_eq!(stripped.headers, left, "{rejection:?}");
            }
        }
    }

    #[test]
    fn knows_grpc_clients() {
        let table: [(Option<&[u8]>, Client); 10] = [
            (None, Client::Http),
            (Some(b""), Client::Http),
            (Some(b"application/json"), Client::Http),
            (Some(b"application/grpc"), Client::Grpc),
            (Some(b"application/grpc+proto"), Client::Grpc),
            (Some(b"application/grpc;a=b"), Client::Grpc),
            (Some(b"application/grpc-web"), Client::Http),
            (Some(b"application/grpc-web+proto"), Client::Http),
            (Some(b"text/application/grpc"), Client::Http),
            (Some(b"application/grpc\xff"), Client::Http),
        ];
        for (content_type, client) in table {
            assert_eq!(
                Client::from_content_type(content_type),
                client,
                "{content_type:?}"
            );
        }
    }
}
