//! `Cache-Control: max-age`, RFC 9111 section 5.2.2.1.

use std::time::Duration;

/// The `max-age` of a `Cache-Control` value; `None` where there is none, or
/// where the response must not be stored or reused unasked.
pub fn max_age(value: &[u8]) -> Option<Duration> {
    let value = str::from_utf8(value).ok()?;
    let mut max_age = None;
    for directive in value.split(',').map(str::trim) {
        let (name, argument) = directive.split_once('=').unwrap_or((directive, ""));
        if name.eq_ignore_ascii_case("no-store") || name.eq_ignore_ascii_case("no-cache") {
            return None;
        }
        if name.eq_ignore_ascii_case("max-age") && max_age.is_none() {
            max_age = argument.trim_matches('"').parse().ok();
        }
    }
    max_age.map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn max_age_of_a_header() {
        for (value, seconds) in [
            (&b"max-age=600"[..], Some(600)),
            (b"public, Max-Age=\"60\", must-revalidate", Some(60)),
            (b"max-age=10, max-age=20", Some(10)),
            (b"max-age=0", Some(0)),
            (b"s-maxage=5", None),
            (b"max-age=-1", None),
            (b"max-age=1e3", None),
            (b"max-age=99999999999999999999999", None),
            (b"max-age", None),
            (b"no-store, max-age=600", None),
            (b"max-age=600, no-cache", None),
            (b"", None),
            (b"max-age=\xff", None),
        ] {
            assert_eq!(max_age(value), seconds.map(Duration::from_secs));
        }
    }
}
