//! One call's outcome: what came back, and why it may bring no document.

use std::fmt;
use std::time::Duration;

use super::MAX_DOCUMENT;
use crate::host::Reply;
use crate::shown::Shown;

/// Why a fetch brought no document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchError {
    /// The proxy refused the call.
    NotSent,
    /// The connection failed or closed half-way.
    NoResponse,
    /// A body that is too large. It has so many octets.
    TooLarge(usize),
    /// A status other than 200. A timeout arrives as 504, a dead host as 503.
    Status(u16),
    /// A status of 3xx, and the address that it leads to.
    Redirect(u16, Shown),
    /// A body that is not the document that was asked for, or that cannot be used.
    Unusable {
        /// Fixed text, without anything that came from outside.
        reason: &'static str,
        /// The reason, with what was found.
        told: String,
    },
    /// A document that is not UTF-8.
    NotUtf8,
    /// Shared data refused the write.
    NotShared,
}

impl FetchError {
    /// The kind of failure, without anything that came from outside.
    pub(super) fn kind(&self) -> (&'static str, u16) {
        match self {
            Self::NotSent => ("not sent", 0),
            Self::NoResponse => ("no response", 0),
            Self::TooLarge(_) => ("too large", 0),
            Self::Status(status) | Self::Redirect(status, _) => ("status", *status),
            Self::Unusable { reason, .. } => (reason, 0),
            Self::NotUtf8 => ("not UTF-8", 0),
            Self::NotShared => ("not shared", 0),
        }
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSent => {
                f.write_str("the call was refused: is the cluster defined and has it hosts?")
            }
            Self::NoResponse => f.write_str("no response"),
            Self::TooLarge(bytes) => {
                write!(f, "a body of {bytes} bytes, over the cap of {MAX_DOCUMENT}")
            }
            Self::Status(504) => f.write_str("status 504 (also a timeout)"),
            Self::Status(503) => f.write_str("status 503 (also an unreachable host)"),
            Self::Status(status) => write!(f, "status {status}"),
            Self::Redirect(status, location) => write!(
                f,
                "status {status}, a redirect to {location}: redirects are not followed"
            ),
            Self::Unusable { told, .. } => f.write_str(told),
            Self::NotUtf8 => f.write_str("the document is not UTF-8"),
            Self::NotShared => f.write_str("shared data refused the write"),
        }
    }
}

/// What a body that is not a document seems to be, with its content type and its first octets. No
/// octet is shown of a body that begins as a document does: a broken one may hold a secret.
pub fn describe(body: &[u8], content_type: Option<&[u8]>) -> String {
    /// Octets of a body that are shown.
    const MOST: usize = 32;
    let mark: &[u8] = b"\xef\xbb\xbf";
    let text = body.strip_prefix(mark).unwrap_or(body).trim_ascii_start();
    let seems = match body {
        [] => "is empty",
        [0x1f, 0x8b, ..] => "is compressed (gzip), which was not asked for",
        [0xef, 0xbb, 0xbf, ..] => "begins with a byte order mark, which JSON must not have",
        [0xfe, 0xff, ..] | [0xff, 0xfe, ..] => "is UTF-16, not UTF-8",
        _ => match text {
            [b'<', ..] => "is HTML or XML",
            [b'{', ..] => "begins as a document and is not one",
            _ => "is not a JSON object",
        },
    };
    let start = match text {
        [b'{' | b'[' | b'"', ..] => body.len().saturating_sub(text.len()),
        _ => body.len(),
    };
    let mut description = format!("it {seems}");
    let start = body.get(..start).filter(|start| !start.is_empty());
    let start = start.map(|start| ("; it begins ", Shown::start_of(start, MOST)));
    let content_type = content_type.map(|text| ("; content-type ", Shown::new(text)));
    for (what, shown) in content_type.into_iter().chain(start) {
        description.push_str(what);
        description.push_str(&shown.0);
    }
    description
}

/// A document as it was sent.
#[derive(Debug)]
pub struct Document {
    /// The octets of the body.
    pub body: Vec<u8>,
    /// `max-age` of `Cache-Control`, less `Age`.
    pub max_age: Option<Duration>,
    /// `Content-Type`, for the log.
    pub content_type: Option<Vec<u8>>,
}

impl Document {
    /// The document as text.
    ///
    /// # Errors
    /// [`FetchError::NotUtf8`].
    pub fn into_text(self) -> Result<String, FetchError> {
        String::from_utf8(self.body).map_err(|_| FetchError::NotUtf8)
    }

    /// The error for a body that could not be read as a document at all: `reason`, and what the
    /// body seems to be.
    #[must_use]
    pub fn not_read(&self, reason: &'static str) -> FetchError {
        let seems = describe(&self.body, self.content_type.as_deref());
        FetchError::Unusable {
            reason,
            told: format!("{reason}: {seems}"),
        }
    }
}

impl Reply {
    /// The document, of a response that is 200.
    ///
    /// # Errors
    /// Why there is no document.
    pub fn document(self) -> Result<Document, FetchError> {
        match self {
            Self::NotSent => Err(FetchError::NotSent),
            Self::None => Err(FetchError::NoResponse),
            Self::TooLarge(bytes) => Err(FetchError::TooLarge(bytes)),
            Self::Response {
                status: 200,
                max_age,
                retry_after: None,
                content_type,
                body,
                ..
            } => Ok(Document {
                body,
                max_age,
                content_type,
            }),
            Self::Response {
                status: status @ 300..400,
                location: Some(location),
                ..
            } => Err(FetchError::Redirect(status, Shown::new(location))),
            Self::Response { status, .. } => Err(FetchError::Status(status)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(status: u16, location: Option<&str>) -> String {
        let answer = Reply::Response {
            status,
            max_age: None,
            retry_after: None,
            location: location.map(|text| text.as_bytes().to_vec()),
            content_type: None,
            body: Vec::new(),
        };
        answer.document().unwrap_err().to_string()
    }

    #[test]
    fn a_redirect_tells_where_it_leads() {
        let redirect = |location| told(302, location);
        assert_eq!(
            redirect(Some("https://login.example/?next=/jwks")),
            "status 302, a redirect to \"https://login.example/?next=/jwks\": redirects are not followed"
        );
        assert_eq!(redirect(None), "status 302");
        assert_eq!(told(404, Some("/x")), "status 404");
        let steered = redirect(Some(&format!("a\r\n\u{1b}[2J{}", "x".repeat(100_000))));
        assert!(steered.contains(r"a\x0d\x0a\x1b[2J"), "{steered}");
        assert!(steered.len() < 400);
    }

    fn document(content_type: Option<&str>, body: &[u8]) -> Document {
        Document {
            body: body.to_vec(),
            max_age: None,
            content_type: content_type.map(|text| text.as_bytes().to_vec()),
        }
    }

    #[test]
    fn a_body_that_is_not_a_document_is_described() {
        let html = b"\n<!doctype html><title>Sign in</title>";
        let secret = b"{\"items\":[{\"secret\":\"c2VjcmV0";
        let marked = [b"\xef\xbb\xbf", &secret[..]].concat();
        let table: &[(Option<&str>, &[u8], &str)] = &[
            (
                Some("text/html; charset=utf-8"),
                html,
                "is HTML or XML; content-type \"text/html; charset=utf-8\"; it begins \"\\x0a<!doctype html><title>Sign in</\"...",
            ),
            (None, b"<?xml?>", "is HTML or XML; it begins \"<?xml?>\""),
            (
                Some("application/json"),
                b"\x1f\x8b\x08\0",
                "is compressed (gzip), which was not asked for; content-type \"application/json\"; it begins \"\\x1f\\x8b\\x08\\x00\"",
            ),
            (
                None,
                b"\xff\xfe{\0",
                "is UTF-16, not UTF-8; it begins \"\\xff\\xfe{\\x00\"",
            ),
            (None, b"", "is empty"),
            (None, b"null", "is not a JSON object; it begins \"null\""),
            (
                Some("a\r\nb"),
                b"[]",
                "is not a JSON object; content-type \"a\\x0d\\x0ab\"",
            ),
            // A broken document may have a secret, so none of it is shown.
            (None, secret, "begins as a document and is not one"),
            (
                None,
                &marked,
                "begins with a byte order mark, which JSON must not have; it begins \"\\xef\\xbb\\xbf\"",
            ),
        ];
        for (content_type, body, expected) in table {
            let told = document(*content_type, body)
                .not_read("not a list")
                .to_string();
            assert_eq!(told, format!("not a list: it {expected}"));
        }
        let long = document(Some(&"x".repeat(100_000)), &[0xf0; 100_000]);
        let long = long.not_read("not a list").to_string();
        assert!(long.len() < 600, "{}", long.len());
    }

    #[test]
    fn the_kind_of_a_failure_does_not_depend_on_what_came_from_outside() {
        let location = |text: &str| FetchError::Redirect(302, Shown::new(text)).kind();
        assert_eq!(location("/a"), location("/b"));
        let html = |text: &[u8]| document(None, text).not_read("not a list").kind();
        assert_eq!(html(b"<p>1"), html(b"<p>2"));
        assert_ne!(
            FetchError::Status(404).kind(),
            FetchError::Status(503).kind()
        );
        assert_ne!(
            FetchError::Status(404).kind(),
            FetchError::NoResponse.kind()
        );
    }
}
