//! Values of header fields, in the one form that rules and places look at (RFC 9110 section 5.5).
//!
//! Invariant: white space around a value does not belong to it. Envoy removes it from values of
//! HTTP/1.1 and leaves it in values of HTTP/2 and HTTP/3; every upstream removes it.
//!
//! White space is SP and HTAB. Other octets that the `strip` or `trim` of some upstream takes for
//! white space belong to a value; [`stripped`] is how such an upstream reads it.

/// Removes the white space around a value.
#[must_use]
pub fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// The text without the white space around it: white space in UTF-8, as Go and ASP.NET read octets,
/// or also in ISO 8859-1, as Python's WSGI and Node do.
#[must_use]
pub fn stripped(mut text: &[u8], latin: bool) -> &[u8] {
    let is_space = |byte: u8| byte <= b' ' || byte == 0x7f || latin && matches!(byte, 0x85 | 0xa0);
    loop {
        text = match text {
            [0xc2, 0x85 | 0xa0, rest @ ..] | [rest @ .., 0xc2, 0x85 | 0xa0] => rest,
            [first, second, third, rest @ ..] if is_wide_space(*first, *second, *third) => rest,
            [rest @ .., first, second, third] if is_wide_space(*first, *second, *third) => rest,
            [first, rest @ ..] if is_space(*first) => rest,
            [rest @ .., last] if is_space(*last) => rest,
            _ => return text,
        };
    }
}

/// Unicode's white space that has three octets in UTF-8, and the byte order mark.
fn is_wide_space(first: u8, second: u8, third: u8) -> bool {
    matches!(
        [first, second, third],
        [0xe1, 0x9a, 0x80]
            | [0xe2, 0x80, 0x80..=0x8d | 0xa8 | 0xa9 | 0xaf]
            | [0xe2, 0x81, 0x9f]
            | [0xe3, 0x80, 0x80]
            | [0xef, 0xbb, 0xbf]
    )
}

/// The same as [`trim`] for an owned value. It makes no copy where there is nothing to remove.
#[must_use]
pub fn trimmed(value: Vec<u8>) -> Vec<u8> {
    let length = trim(&value).len();
    if length == value.len() {
        value
    } else {
        trim(&value).to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_around_a_value_is_no_part_of_it() {
        let table: &[(&[u8], &[u8])] = &[
            (b"", b""),
            (b"a", b"a"),
            (b" a", b"a"),
            (b"\ta", b"a"),
            (b"a ", b"a"),
            (b"a\t", b"a"),
            (b" \t a\t b \t ", b"a\t b"),
            (b" ", b""),
            (b"\t \t", b""),
            // other octets that an upstream could take for white space stay
            (b"\x0ba\x0c", b"\x0ba\x0c"),
            (b"\xa0a\x85", b"\xa0a\x85"),
            (b"\xc2\xa0a", b"\xc2\xa0a"),
            (b"\0a\r\n", b"\0a\r\n"),
        ];
        for (value, expected) in table {
            assert_eq!(trim(value), *expected, "{value:?}");
            assert_eq!(trimmed(value.to_vec()), *expected, "{value:?}");
        }
    }

    #[test]
    fn white_space_to_other_upstreams() {
        let table: &[(&[u8], &[u8], &[u8])] = &[
            (b"a b", b"a b", b"a b"),
            (b"\x0ba\x1c", b"a", b"a"),
            (b"\xa0a\x85", b"a", b"\xa0a\x85"),
            (b"\xc2\xa0a\xc2\x85", b"a", b"a"),
            (b"a\xe2\x80\x83 ", b"a", b"a"),
            (b"\xef\xbb\xbfa\xe3\x80\x80", b"a", b"a"),
            (b"\xc3\xa9", b"\xc3\xa9", b"\xc3\xa9"),
            // a letter to one, a letter and white space to another
            (b"a\xc3\xa0", b"a\xc3", b"a\xc3\xa0"),
            (b"", b"", b""),
        ];
        for (value, latin, utf8) in table {
            assert_eq!(stripped(value, true), *latin, "{}", value.escape_ascii());
            assert_eq!(stripped(value, false), *utf8, "{}", value.escape_ascii());
        }
        for c in (0..=0x10_ffff).filter_map(char::from_u32) {
            if c.is_whitespace() {
                assert_eq!(
                    stripped(format!("{c}a{c}").as_bytes(), false),
                    b"a",
                    "{c:?}"
                );
            }
        }
    }
}
