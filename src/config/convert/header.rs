//! Names of headers that the filter sets on requests (RFC 9110 section 5.1).
//!
//! Invariant: a name is a lower-case token that no part of HTTP or of Envoy's routing gives a
//! meaning, in whichever spelling. Upstreams that turn headers into variables (RFC 3875 section
//! 4.1.18) cannot tell `-` from `_`, and some not from `.` and the like.

use crate::config::read::error::ConfigError;
pub(super) use crate::http::is_token;

/// The longest name, in bytes.
const LONGEST: usize = 128;

/// Names with a meaning of their own: connection, message and authentication headers, and what
/// says where a request came from.
const TAKEN: [&str; 21] = [
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "www-authenticate",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-request-id",
];

/// Vets a name and returns it in lower case.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse(name: &str) -> Result<String, ConfigError> {
    if name.starts_with(':') {
        return Err(ConfigError::here("must not be a pseudo-header"));
    }
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(ConfigError::here("is not a header name"));
    }
    if name.len() > LONGEST {
        return Err(ConfigError::here(&format!(
            "must be {LONGEST} bytes at most"
        )));
    }
    let name = name.to_ascii_lowercase();
    if has_a_meaning(&name) {
        return Err(ConfigError::here(
            "is a header that the filter must not set",
        ));
    }
    Ok(name)
}

/// Whether HTTP or Envoy gives a lower-case name a meaning, in whichever spelling.
pub(super) fn has_a_meaning(name: &str) -> bool {
    let comparable = same_to_cgi(name);
    TAKEN.contains(&comparable.as_str()) || comparable.starts_with("x-envoy-")
}

/// The one of a name's spellings that has hyphens only (see [`crate::http::name`]).
pub(super) fn same_to_cgi(name: &str) -> String {
    name.replace(|c: char| !c.is_ascii_alphanumeric(), "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vets_names() {
        assert_eq!(parse("X-User"), Ok("x-user".to_owned()));
        assert_eq!(parse("a-b-c-d-e-f-g-h"), Ok("a-b-c-d-e-f-g-h".to_owned()));
        let taken = "is a header that the filter must not set";
        let table = [
            ("", "is not a header name"),
            ("x user", "is not a header name"),
            ("x-user\r\n", "is not a header name"),
            ("x-us\u{e9}r", "is not a header name"),
            ("x:y", "is not a header name"),
            (":path", "must not be a pseudo-header"),
            ("Authorization", taken),
            ("Host", taken),
            ("content-length", taken),
            ("Content_Length", taken),
            ("x.forwarded.for", taken),
            ("transfer-encoding", taken),
            ("connection", taken),
            ("te", taken),
            ("upgrade", taken),
            ("x-envoy-original-path", taken),
        ];
        for (name, problem) in table {
            assert_eq!(parse(name), Err(ConfigError::here(problem)), "{name}");
        }
        assert!(parse(&"a".repeat(129)).is_err());
    }
}
