//! How long a response is fresh, RFC 9111 section 4.2: `Cache-Control: max-age` less `Age`.
//!
//! The filter made the request and shares the document with no other client. `s-maxage` is for
//! caches on the way, so the filter ignores it; `Age` says how old the copy of such a cache is.
//! `Expires` is not read.

use std::time::Duration;

use crate::bytes;

/// How much longer a response with these values of `Cache-Control` and `Age` is fresh. `None` where
/// it does not say, or must not be stored or reused without asking.
pub fn fresh_for(cache_control: &[u8], age: &[u8]) -> Option<Duration> {
    let max_age = max_age(cache_control)?;
    // Section 5.1: the first member counts, and a value that is not a number counts as no `Age`.
    let (age, _) = member(age);
    let age = seconds(age).unwrap_or(0);
    Some(Duration::from_secs(max_age.saturating_sub(age)))
}

/// In seconds. The first of several counts, section 4.2.1.
fn max_age(value: &[u8]) -> Option<u64> {
    let mut rest = Some(value);
    let mut max_age = None;
    while let Some(value) = rest {
        let (directive, others) = member(value);
        rest = others;
        let (name, argument) = match bytes::find(directive, b'=') {
            Some(at) => directive.split_at_checked(at).unwrap_or_default(),
            None => (directive, &[][..]),
        };
        match name.trim_ascii_end().to_ascii_lowercase().as_slice() {
            b"no-store" => return None,
            // An argument limits the directive to these headers, section 5.2.2.4.
            b"no-cache" if argument.is_empty() => return None,
            b"max-age" if max_age.is_none() => {
                let argument = argument.strip_prefix(b"=").unwrap_or_default().trim_ascii();
                let quoted = argument.strip_prefix(b"\"");
                let quoted = quoted.and_then(|argument| argument.strip_suffix(b"\""));
                max_age = Some(seconds(quoted.unwrap_or(argument)));
            }
            _ => {}
        }
    }
    max_age.flatten()
}

/// The first member of a list, and the others. Commas within quotes do not separate members.
fn member(list: &[u8]) -> (&[u8], Option<&[u8]>) {
    let (mut quoted, mut escaped) = (false, false);
    let comma = list.iter().position(|byte| {
        if *byte == b'"' && !escaped {
            quoted = !quoted;
        }
        escaped = *byte == b'\\' && quoted && !escaped;
        *byte == b',' && !quoted
    });
    match comma.and_then(|at| list.split_at_checked(at)) {
        Some((first, others)) => (first.trim_ascii(), others.get(1..)),
        None => (list.trim_ascii(), None),
    }
}

/// `delta-seconds`, section 1.2.2: a number that is too large counts as the largest.
#[inline(never)] // smaller
fn seconds(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |sum, digit| {
        let value = digit.checked_sub(b'0').filter(|value| *value < 10)?;
        Some(sum.saturating_mul(10).saturating_add(value.into()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn max_age_of_a_header() {
        for (value, seconds) in [
            (&b"max-age=600"[..], Some(600)),
            (b"public, Max-Age=\"60\", must-revalidate", Some(60)),
            (b"max-age = 60", Some(60)),
            (b"max-age=10, max-age=20", Some(10)),
            (b"max-age=x, max-age=20", None),
            (b"max-age=0", Some(0)),
            (b"max-age=007", Some(7)),
            (b"s-maxage=5", None),
            (b"s-maxage=5, max-age=6", Some(6)),
            (b"max-age=-1", None),
            (b"max-age=+1", None),
            (b"max-age=1e3", None),
            (b"max-age=1.5", None),
            (b"max-age=99999999999999999999999", Some(u64::MAX)),
            (b"max-age=", None),
            (b"max-age", None),
            (b"xmax-age=5", None),
            (b"no-store, max-age=600", None),
            (b"max-age=600, no-cache", None),
            (b"max-age=600,NO-STORE", None),
            (b"no-cache=\"set-cookie\", max-age=600", Some(600)),
            (
                b"no-cache=\"a, no-store, max-age=1\", max-age=600",
                Some(600),
            ),
            (b"x=\"a\\\", max-age=1\", max-age=600", Some(600)),
            (b"x=\"a\\\\\", max-age=600", Some(600)),
            (b"x=\"never closed, max-age=600", None),
            (b"", None),
            (b",,", None),
            (b"max-age=\xff", None),
        ] {
            let expected = seconds.map(Duration::from_secs);
            assert_eq!(fresh_for(value, b""), expected, "{value:?}");
        }
    }

    /// Section 4.2: what is left of the lifetime when the response arrives.
    #[test]
    fn age_is_taken_off() {
        for (age, seconds) in [
            (&b"597"[..], 3),
            (b"0", 600),
            (b" 597 ", 3),
            (b"600", 0),
            (b"601", 0),
            (b"99999999999999999999999", 0),
            (b"597, 1", 3),
            // A value that is not a number is ignored.
            (b"", 600),
            (b"-1", 600),
            (b"+597", 600),
            (b"1e3", 600),
            (b"597.0", 600),
            (b"x, 597", 600),
            (b"\xff", 600),
        ] {
            let expected = Some(Duration::from_secs(seconds));
            assert_eq!(fresh_for(b"max-age=600", age), expected, "{age:?}");
        }
        assert_eq!(fresh_for(b"no-cache, max-age=600", b"5"), None);
        assert_eq!(fresh_for(b"public", b"5"), None);
    }
}
