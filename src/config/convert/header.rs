//! Names of headers that the filter sets on requests (RFC 9110 section 5.1).
//!
//! Invariant: a name is a lower-case token that no part of HTTP or of Envoy's routing gives a
//! meaning, and it is short enough of separators for all its spellings to be listed. Upstreams
//! that turn headers into CGI variables (RFC 3875 section 4.1.18) cannot tell `-` from `_`, so a
//! client's `x_user` would pass for the filter's `x-user`.

use crate::config::read::error::ConfigError;
pub(super) use crate::http::is_token;

/// The most `-` and `_` in a name: 2^6 spellings.
const MOST_SEPARATORS: usize = 6;

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
    if name.bytes().filter(|byte| is_separator(*byte)).count() > MOST_SEPARATORS {
        return Err(ConfigError::here(&format!(
            "must have {MOST_SEPARATORS} hyphens and underscores at most, so that a client's other spellings of it can be removed"
        )));
    }
    Ok(name)
}

/// Whether HTTP or Envoy gives a lower-case name a meaning, in whichever spelling.
pub(super) fn has_a_meaning(name: &str) -> bool {
    let comparable = same_to_cgi(name);
    TAKEN.contains(&comparable.as_str()) || comparable.starts_with("x-envoy-")
}

/// The one of a name's spellings that has hyphens only.
pub(super) fn same_to_cgi(name: &str) -> String {
    name.replace('_', "-")
}

/// Every spelling of a name, with `-` or `_` at each place that has either.
pub(super) fn spellings(name: &str) -> Vec<String> {
    let mut spellings = vec![String::with_capacity(name.len())];
    for part in name.split_inclusive(['-', '_']) {
        let bare = part.trim_end_matches(['-', '_']);
        let ends: &[&str] = if bare.len() < part.len() {
            &["-", "_"]
        } else {
            &[""]
        };
        spellings = spellings
            .iter()
            .flat_map(|start| ends.iter().map(move |end| format!("{start}{bare}{end}")))
            .collect();
    }
    spellings
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b'-' | b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spells_every_separator_both_ways() {
        assert_eq!(spellings("user"), ["user"]);
        assert_eq!(spellings("x-user"), ["x-user", "x_user"]);
        assert_eq!(spellings("x_user"), ["x-user", "x_user"]);
        assert_eq!(spellings("x-a-b"), ["x-a-b", "x-a_b", "x_a-b", "x_a_b"]);
        assert_eq!(spellings("x--a"), ["x--a", "x-_a", "x_-a", "x__a"]);
        assert_eq!(spellings("x-"), ["x-", "x_"]);
        let most = spellings("a-b-c-d-e-f-g");
        assert_eq!(
            most.iter().collect::<std::collections::BTreeSet<_>>().len(),
            64
        );
    }

    #[test]
    fn vets_names() {
        assert_eq!(parse("X-User"), Ok("x-user".to_owned()));
        assert_eq!(parse("a-b-c-d-e-f-g"), Ok("a-b-c-d-e-f-g".to_owned()));
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
            ("transfer-encoding", taken),
            ("connection", taken),
            ("te", taken),
            ("upgrade", taken),
            ("x-envoy-original-path", taken),
            (
                "a-b-c-d-e-f-g-h",
                "must have 6 hyphens and underscores at most, so that a client's other spellings of it can be removed",
            ),
        ];
        for (name, problem) in table {
            assert_eq!(parse(name), Err(ConfigError::here(problem)), "{name}");
        }
        assert!(parse(&"a".repeat(129)).is_err());
    }
}
