//! The body of a rejection, unless the configuration has one for it: JSON as in OAuth (RFC 6749
//! section 5.2), plain text, or problem details (RFC 9457).
//!
//! Invariant: a body consists of fixed texts and of the status.

use super::Rejection;

/// The form of a rejection's body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// `{"error": "...", "error_description": "..."}`
    #[default]
    Json,
    /// The description alone, as jwt_authn sends it.
    Text,
    /// Problem details.
    Problem,
}

impl Format {
    /// The media type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Text => "text/plain",
            Self::Problem => "application/problem+json",
        }
    }

    /// The body of a rejection that is sent with `status`, with the reason's name or without it.
    pub(super) fn body(self, rejection: &Rejection, status: u32, with_reason: bool) -> String {
        let error = rejection.error();
        let description = rejection.description();
        let reason = if with_reason {
            format!(",\"reason\":\"{}\"", rejection.reason())
        } else {
            String::new()
        };
        match self {
            Self::Json => {
                format!("{{\"error\":\"{error}\",\"error_description\":\"{description}\"{reason}}}")
            }
            Self::Text => description.to_owned(),
            // The type is only the status (section 4.2.1), so the title is its phrase. The detail
            // is for people; the extensions `error` and `reason` (section 3.2) are for programs.
            Self::Problem => {
                let title = phrase(status)
                    .map(|phrase| format!("\"title\":\"{phrase}\","))
                    .unwrap_or_default();
                format!(
                    "{{\"type\":\"about:blank\",{title}\"status\":{status},\"detail\":\"{description}\",\"error\":\"{error}\"{reason}}}"
                )
            }
        }
    }
}

/// A status code's phrase, by IANA's registry (RFC 9110 section 15).
fn phrase(status: u32) -> Option<&'static str> {
    Some(match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        423 => "Locked",
        424 => "Failed Dependency",
        425 => "Too Early",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        506 => "Variant Also Negotiates",
        507 => "Insufficient Storage",
        508 => "Loop Detected",
        511 => "Network Authentication Required",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn each_format_says_the_same() {
        let rejection = Rejection::InvalidToken {
            description: "Jwt is expired",
            reason: "expired",
        };
        let json = |format: Format, status| -> Value {
            let [plain, full] = [false, true]
                .map(|with_reason| format.body(&rejection, status, with_reason))
                .map(|body| serde_json::from_str::<Value>(&body).unwrap());
            let mut expected = plain.clone();
            expected["reason"] = json!("expired");
            assert_eq!(full, expected);
            plain
        };
        assert_eq!(
            json(Format::Json, 401),
            json!({"error": "invalid_token", "error_description": "Jwt is expired"})
        );
        for with_reason in [false, true] {
            let text = Format::Text.body(&rejection, 401, with_reason);
            assert_eq!(text, "Jwt is expired");
        }
        let problem = |status, title: Option<&str>| {
            let mut problem = json!({
                "type": "about:blank",
                "status": status,
                "detail": "Jwt is expired",
                "error": "invalid_token",
            });
            if let Some(title) = title {
                problem["title"] = json!(title);
            }
            problem
        };
        for (status, title) in [
            (401, Some("Unauthorized")),
            (403, Some("Forbidden")),
            (503, Some("Service Unavailable")),
            // no status of the registry
            (499, None),
        ] {
            assert_eq!(json(Format::Problem, status), problem(status, title));
        }
    }
}
