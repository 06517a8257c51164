//! The request path in the one form that rules are compared with (RFC 3986 sections 3.3 and 6.2.2).
//!
//! Invariant: two spellings that some upstream could take for one resource either become one
//! text here or are refused. So a protected path cannot be spelt in a way that only a public
//! rule matches.
//!
//! - Dot segments are refused, not resolved. Some upstreams resolve them and others do not, so they
//!   see two different resources, and a filter can be right about only one of them. Honest clients
//!   resolve dot segments before they send (section 5.2.4), and so does Envoy where
//!   `normalize_path` is on.
//! - An escape is refused if it decodes to a separator, the end of the path, a control character or
//!   another escape: upstreams differ in how often they decode, and when. Escapes that decode to
//!   bytes that are not UTF-8 are refused too, such as overlong forms of `.` and `/`.
//!   An escaped slash is the exception: who asks for it ([`with_escaped_slashes`]) gets both
//!   readings, and has to come to one decision by both.
//! - White space at the ends of a segment is refused: some upstreams and file systems leave it out.
//! - Every other escaped printable character is decoded, unreserved or not: upstreams decode
//!   `%21` as readily as `%61`.
//! - Path parameters (`;v=1`) are left out of the comparison, and repeated slashes count as one:
//!   some upstreams do so, and a rule for `/admin` must hold for them too.

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use std::borrow::Cow;
use std::fmt;

/// Why a path has no safe form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnsafePath {
    /// No `/` at the start: an absolute URI, `*`, or nothing at all.
    NotAbsolute,
    /// `//` at the start: some upstreams take the next part for a host (RFC 3986 section 4.2).
    DoubleSlash,
    /// A space, a control character, a byte beyond ASCII, `\` or `#`.
    Character,
    /// `%` without two hexadecimal digits.
    Escape,
    /// An escaped `/`, `\`, `?`, `#` or control character, or escapes that are not UTF-8.
    EscapedCharacter,
    /// Both `%2F` and `%2f`.
    TwoSpellings,
    /// An escape that decodes to an escape.
    DoubleEscape,
    /// `.` or `..`, in any spelling.
    DotSegment,
    /// A segment that begins or ends with white space.
    Space,
    /// A segment with only path parameters that is not the last one. Some upstreams take it for an
    /// empty segment, others do not.
    ParameterSegment,
}

impl fmt::Display for UnsafePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAbsolute => "does not start with a slash",
            Self::DoubleSlash => "starts with two slashes",
            Self::Character => "has a character that a path cannot have",
            Self::Escape => "has a malformed percent escape",
            Self::EscapedCharacter => "escapes a character that is not safe to decode",
            Self::TwoSpellings => "has both %2F and %2f",
            Self::DoubleEscape => "escapes an escape",
            Self::DotSegment => "has a dot segment",
            Self::Space => "has white space at an end of a segment",
            Self::ParameterSegment => "has a segment of parameters alone",
        })
    }
}

/// Brings the value of `:path` into the form that rules are compared with, without its query.
///
/// Borrows where the path has that form already, as nearly all paths do.
///
/// # Errors
/// Where the path can be read in more than one way; see [`UnsafePath`].
pub fn normalize(raw: &[u8]) -> Result<Cow<'_, str>, UnsafePath> {
    read(raw, EscapedSlash::Refuse)
}

/// The two readings of a path with escaped slashes: with `%2F` as a character of a segment, and
/// with a slash in its place, where every other invariant holds too.
///
/// # Errors
/// Where one of them can be read in more than one way, or both `%2F` and `%2f` occur: an upstream
/// that decodes one of the two would read a third path.
pub fn with_escaped_slashes(raw: &[u8]) -> Result<[String; 2], UnsafePath> {
    let kept = read(raw, EscapedSlash::Keep)?.into_owned();
    let mut decoded = Vec::with_capacity(raw.len());
    let mut rest = raw.split(|byte| *byte == b'?').next().unwrap_or_default();
    let mut spelling = None;
    while let Some((&byte, after)) = rest.split_first() {
        let slash = escaped(after).filter(|(escaped, _)| byte == b'%' && *escaped == b'/');
        if slash.is_some() && *spelling.get_or_insert(after.get(1)) != after.get(1) {
            return Err(UnsafePath::TwoSpellings);
        }
        let (byte, after) = slash.unwrap_or((byte, after));
        decoded.push(byte);
        rest = after;
    }
    Ok([kept, normalize(&decoded)?.into_owned()])
}

/// All readings of a path: the normal form, or the two of one with escaped slashes, the one that keeps
/// them first.
///
/// # Errors
/// As [`with_escaped_slashes`].
pub fn readings(raw: &[u8]) -> Result<Vec<String>, UnsafePath> {
    match normalize(raw) {
        Err(UnsafePath::EscapedCharacter) => with_escaped_slashes(raw).map(Vec::from),
        normal => normal.map(|normal| vec![normal.into_owned()]),
    }
}

/// What becomes of an escaped slash.
#[derive(Clone, Copy, PartialEq, Eq)]
enum EscapedSlash {
    Refuse,
    Keep,
}

#[inline(never)] // there are two callers
fn read(raw: &[u8], slashes: EscapedSlash) -> Result<Cow<'_, str>, UnsafePath> {
    let path = raw.split(|byte| *byte == b'?').next().unwrap_or_default();
    let Some((b'/', after_slash)) = path.split_first() else {
        return Err(UnsafePath::NotAbsolute);
    };
    if after_slash.first() == Some(&b'/') {
        return Err(UnsafePath::DoubleSlash);
    }
    let mut plain = true;
    let mut previous = b'/';
    for &byte in after_slash {
        match byte {
            b'\\' | b'#' => return Err(UnsafePath::Character),
            b'%' | b';' => plain = false,
            // maybe a dot segment, maybe a name such as .well-known
            b'.' | b'/' if previous == b'/' => plain = false,
            _ if byte.is_ascii_graphic() => {}
            _ => return Err(UnsafePath::Character),
        }
        previous = byte;
    }
    if plain {
        let path = std::str::from_utf8(path).map_err(|_| UnsafePath::Character)?;
        return Ok(Cow::Borrowed(path));
    }

    let mut normal = String::with_capacity(path.len());
    let mut segments = after_slash.split(|byte| *byte == b'/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        if segment.is_empty() && !is_last {
            continue;
        }
        let decoded = decode(segment, slashes)?;
        let name = decoded
            .split(|byte| *byte == b';')
            .next()
            .unwrap_or_default();
        let printed = super::value::stripped(name, false);
        if matches!(printed, b"." | b"..") {
            return Err(UnsafePath::DotSegment);
        }
        if printed.len() < name.len() {
            return Err(UnsafePath::Space);
        }
        if name.is_empty() && !is_last {
            return Err(UnsafePath::ParameterSegment);
        }
        normal.push('/');
        push_encoded(&mut normal, name);
    }
    Ok(Cow::Owned(normal))
}

/// Decodes every percent escape of a segment. A slash in what comes out was escaped.
fn decode(segment: &[u8], slashes: EscapedSlash) -> Result<Vec<u8>, UnsafePath> {
    let mut decoded = Vec::with_capacity(segment.len());
    let mut rest = segment;
    while let Some((&byte, after)) = rest.split_first() {
        if byte != b'%' {
            decoded.push(byte);
            rest = after;
            continue;
        }
        let (byte, after) = escaped(after).ok_or(UnsafePath::Escape)?;
        let is_kept = byte == b'/' && slashes == EscapedSlash::Keep;
        if byte.is_ascii_control() || matches!(byte, b'/' | b'\\' | b'?' | b'#') && !is_kept {
            return Err(UnsafePath::EscapedCharacter);
        }
        decoded.push(byte);
        rest = after;
    }
    if std::str::from_utf8(&decoded).is_err() {
        return Err(UnsafePath::EscapedCharacter);
    }
    // a raw `%` is gone by now: one that is followed by digits was itself escaped
    let twice = |tail: &[u8]| {
        tail.split_first()
            .is_some_and(|(b, t)| *b == b'%' && escaped(t).is_some())
    };
    if (0..decoded.len()).any(|at| decoded.get(at..).is_some_and(twice)) {
        return Err(UnsafePath::DoubleEscape);
    }
    Ok(decoded)
}

/// The byte that two hexadecimal digits stand for, and what follows them.
pub(super) fn escaped(digits: &[u8]) -> Option<(u8, &[u8])> {
    let ([high, low], after) = digits.split_first_chunk::<2>()?;
    let value = |digit: u8| char::from(digit).to_digit(16);
    let byte = u8::try_from(value(*high)? << 4 | value(*low)?).ok()?;
    Some((byte, after))
}

/// Appends a decoded segment: printable ASCII as it is, the rest and what has a meaning in a
/// URI as upper-case escapes.
fn push_encoded(normal: &mut String, decoded: &[u8]) {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F',
    ];
    for &byte in decoded {
        if byte.is_ascii_graphic() && !matches!(byte, b'%' | b'/') {
            normal.push(char::from(byte));
        } else {
            normal.push('%');
            let digits = [byte >> 4, byte & 0x0f];
            normal.extend(
                digits
                    .iter()
                    .filter_map(|digit| DIGITS.get(usize::from(*digit))),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalizes() {
        let table: &[(&str, &str)] = &[
            ("/", "/"),
            ("/?", "/"),
            ("/a/b", "/a/b"),
            ("/a/b/", "/a/b/"),
            ("/a?b=/../c%2f\u{e9}", "/a"),
            ("/A", "/A"),
            (
                "/a!$&'()*+,=:@~-_|{}[]\"<>^`",
                "/a!$&'()*+,=:@~-_|{}[]\"<>^`",
            ),
            // dots that are not dot segments
            ("/.well-known/x", "/.well-known/x"),
            ("/a..b/..c/d../...", "/a..b/..c/d../..."),
            ("/a.;b/c", "/a./c"),
            // one spelling for every printable character
            ("/%61dmin", "/admin"),
            ("/%41%5A%7a%30%2D%2e%5f%7E", "/AZz0-._~"),
            ("/a%21%40%5b", "/a!@["),
            // the rest stays escaped, in one spelling
            ("/a%20b", "/a%20b"),
            ("/caf%c3%a9", "/caf%C3%A9"),
            ("/100%25", "/100%25"),
            ("/100%25/x", "/100%25/x"),
            ("/%25zz", "/%25zz"),
            // path parameters
            ("/a;b=c/d;e", "/a/d"),
            ("/a%3bb/c", "/a/c"),
            ("/a;x=..", "/a"),
            ("/;jsessionid=1", "/"),
            ("/a/;x", "/a/"),
            // repeated slashes
            ("/a//b", "/a/b"),
            ("/a///b//", "/a/b/"),
        ];
        for (raw, expected) in table {
            assert_eq!(normalize(raw.as_bytes()).as_deref(), Ok(*expected), "{raw}");
            // the form is its own form
            assert_eq!(
                normalize(expected.as_bytes()).as_deref(),
                Ok(*expected),
                "{raw}"
            );
        }
    }

    #[test]
    fn a29_an_escaped_slash_has_two_readings_and_no_third() {
        use UnsafePath::*;
        let table: &[(&str, Result<[&str; 2], UnsafePath>)] = &[
            ("/npm/@a%2fb", Ok(["/npm/@a%2Fb", "/npm/@a/b"])),
            ("/npm/@a%2Fb?x=%2F", Ok(["/npm/@a%2Fb", "/npm/@a/b"])),
            (
                "/npm/%40a%2fb%2fc;v=1/",
                Ok(["/npm/@a%2Fb%2Fc/", "/npm/@a/b/c/"]),
            ),
            ("/a;x%2Fy/b", Ok(["/a/b", "/a/y/b"])),
            ("/a%2F/b", Ok(["/a%2F/b", "/a/b"])),
            ("/a%2F%2Fb", Ok(["/a%2F%2Fb", "/a/b"])),
            ("/a%2fb%2fc?x=%2F", Ok(["/a%2Fb%2Fc", "/a/b/c"])),
            // an upstream that decodes one spelling only has a third reading
            ("/a%2Fb%2fc", Err(TwoSpellings)),
            ("/a%2fb/c;%2Fd", Err(TwoSpellings)),
            ("/a/b", Ok(["/a/b", "/a/b"])),
            ("/%2Fadmin", Err(DoubleSlash)),
            ("/a%2F..%2Fb", Err(DotSegment)),
            ("/a%2f%2e%2E%2fb", Err(DotSegment)),
            ("/a/..%2Fb", Err(DotSegment)),
            ("/a%2F.", Err(DotSegment)),
            ("/a/..;%2Fb", Err(DotSegment)),
            ("/a;%2F../b", Err(DotSegment)),
            ("/a%2F;x/b", Err(ParameterSegment)),
            ("/a%2F%20b", Err(Space)),
            ("/a%252Fb", Err(DoubleEscape)),
            ("/a%25%32Fb", Err(DoubleEscape)),
            ("/a%2%2F5Cb", Err(Escape)),
            ("/a%%2F2Fb", Err(Escape)),
            ("/a%2Fb%5Cc", Err(EscapedCharacter)),
            ("/a%5cb", Err(EscapedCharacter)),
            ("/a%2Fb%3fc", Err(EscapedCharacter)),
            ("/a%2Fb%00", Err(EscapedCharacter)),
            ("/a%c0%afb", Err(EscapedCharacter)),
            ("%2Fa", Err(NotAbsolute)),
        ];
        for (raw, expected) in table {
            let found = with_escaped_slashes(raw.as_bytes());
            let expected = expected.map(|both| both.map(str::to_owned));
            assert_eq!(found, expected, "{raw}");
        }
    }

    #[test]
    fn borrows_what_needs_no_change() {
        for raw in ["/", "/api/messages", "/a/b/?q=%2e", "/file.txt"] {
            assert!(
                matches!(normalize(raw.as_bytes()), Ok(Cow::Borrowed(_))),
                "{raw}"
            );
        }
    }

    #[test]
    fn refuses_what_can_be_read_in_two_ways() {
        use UnsafePath::*;
        let table: &[(&[u8], UnsafePath)] = &[
            (b"", NotAbsolute),
            (b"*", NotAbsolute),
            (b"?/a", NotAbsolute),
            (b"a", NotAbsolute),
            (b"http://a.example/", NotAbsolute),
            (b"%2fa", NotAbsolute),
            (b"//admin", DoubleSlash),
            (b"//", DoubleSlash),
            (b"///admin", DoubleSlash),
            (b"/a b", Character),
            (b"/a\tb", Character),
            (b"/a\0b", Character),
            (b"/a\r\nb", Character),
            (b"/a\x7fb", Character),
            (b"/a\xffb", Character),
            (b"/caf\xc3\xa9", Character),
            (b"/public\\admin", Character),
            (b"/public\\..\\admin", Character),
            (b"/public#/../admin", Character),
            (b"/a#?b", Character),
            (b"/%", Escape),
            (b"/%2", Escape),
            (b"/%2/", Escape),
            (b"/%zz", Escape),
            (b"/%+1", Escape),
            (b"/%u002e%u002e/", Escape),
            (b"/public%2fadmin", EscapedCharacter),
            (b"/public%2Fadmin", EscapedCharacter),
            (b"/public%5cadmin", EscapedCharacter),
            // decoded before it is split: the path ends there
            (b"/admin%3f", EscapedCharacter),
            (b"/admin%3Fx=/public", EscapedCharacter),
            (b"/admin%23", EscapedCharacter),
            (b"/admin;%3f", EscapedCharacter),
            (b"/public%00", EscapedCharacter),
            (b"/public%0d%0a", EscapedCharacter),
            (b"/public%09", EscapedCharacter),
            (b"/public%7f", EscapedCharacter),
            (b"/public;%2f..", EscapedCharacter),
            // overlong '.' and '/'
            (b"/public/%c0%ae%c0%ae/admin", EscapedCharacter),
            (b"/public%c0%af", EscapedCharacter),
            (b"/public%e0%80%af", EscapedCharacter),
            (b"/%e9", EscapedCharacter),
            (b"/public/%252e%252e/admin", DoubleEscape),
            (b"/public%252fadmin", DoubleEscape),
            (b"/%2561dmin", DoubleEscape),
            (b"/public%25252f", DoubleEscape),
            (b"/public%253b", DoubleEscape),
            (b"/public/%25%32%65/", DoubleEscape),
            (b"/public/%25%32e/", DoubleEscape),
            (b"/public/%252%65/", DoubleEscape),
            (b"/public;%252e", DoubleEscape),
            (b"/.", DotSegment),
            (b"/..", DotSegment),
            (b"/./", DotSegment),
            (b"/..?x", DotSegment),
            (b"/public/../admin", DotSegment),
            (b"/public/./admin", DotSegment),
            (b"/public/%2e%2e/admin", DotSegment),
            (b"/public/.%2E/admin", DotSegment),
            (b"/public/%2e/admin", DotSegment),
            (b"/public/..;/admin", DotSegment),
            (b"/public/..;a=b/admin", DotSegment),
            (b"/public/..%3b/admin", DotSegment),
            (b"/public/%2e%2e%3Bx/admin", DotSegment),
            (b"/public/..%20/admin", DotSegment),
            (b"/public//../admin", DotSegment),
            (b"/public/..", DotSegment),
            (b"/%20admin", Space),
            (b"/%20admin;", Space),
            (b"/admin%20", Space),
            (b"/admin%20;v=1/x", Space),
            (b"/a/%20/b", Space),
            (b"/%20", Space),
            (b"/admin%c2%a0", Space),
            (b"/%e3%80%80admin", Space),
            (b"/%c2%85admin", Space),
            (b"/;/admin", ParameterSegment),
            (b"/;x=y/admin", ParameterSegment),
            (b"/%3b/admin", ParameterSegment),
            (b"/a/;/b", ParameterSegment),
        ];
        for (raw, expected) in table {
            assert_eq!(
                normalize(raw),
                Err(*expected),
                "{}",
                String::from_utf8_lossy(raw)
            );
        }
    }
}
