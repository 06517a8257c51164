//! Names of headers, parameters and cookies that some upstream takes for the same name.
//!
//! Invariant: names are alike if they differ only in case, only in `-`, `_`, `.` and similar
//! characters, or only in octets around them that print nothing. CGI and WSGI turn `-` in header
//! names into `_` (RFC 3875 section 4.1.18); lighttpd and PHP do so with other characters too. PHP
//! turns dots and spaces in names of parameters and cookies into `_`. ASP.NET compares these names
//! without case. `strip` removes more than SP.
//!
//! For some upstreams a name ends before a NUL (PHP) or before a `[` (PHP, Rack and qs, for which
//! `mode[]` is a list with the name `mode`). For PHP's own server, a `?` at the start of the first
//! parameter belongs to the `?` before it.

/// The same as [`are_alike`], for names of headers. Such names are tokens: every octet of them
/// prints something, so names of different lengths are not alike.
#[must_use]
pub fn are_alike_of_headers(a: &str, b: &str) -> bool {
    a.len() == b.len() && (a == b || are_alike(a.as_bytes(), b.as_bytes()))
}

/// Whether some upstream takes two names for the same name.
#[must_use]
#[inline(never)]
pub fn are_alike(a: &[u8], b: &[u8]) -> bool {
    let (a, b) = (printed(a), printed(b));
    let alike = |(a, b): (&u8, &u8)| {
        a.eq_ignore_ascii_case(b) || !(a.is_ascii_alphanumeric() || b.is_ascii_alphanumeric())
    };
    let are_alike = |a: &[u8], b: &[u8]| a.len() == b.len() && a.iter().zip(b).all(alike);
    are_alike(a, b) || are_alike(stem(a), b) || are_alike(a, stem(b))
}

/// Whether some upstream takes a name for `own`, or for `own` with a separator and a number at its
/// end.
#[must_use]
pub fn is_like_numbered(name: &[u8], own: &[u8]) -> bool {
    let name = printed(name);
    let is_like = |name: &[u8]| {
        let digits = name
            .iter()
            .rev()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let before = name.len().checked_sub(digits).and_then(|at| name.get(..at));
        let numbered = match before {
            Some([name @ .., separator]) if !separator.is_ascii_alphanumeric() => name,
            _ => name,
        };
        are_alike(name, own) || are_alike(numbered, own)
    };
    // `own.0[]` is a list with the name `own.0`.
    is_like(name) || is_like(stem(name))
}

/// Whether some upstream takes the start of a name for `own`.
#[must_use]
pub fn begins_alike(name: &[u8], own: &[u8]) -> bool {
    let (name, own) = (printed(name), stem(printed(own)));
    let start = name.get(..own.len());
    start.is_some_and(|start| are_alike(start, own))
}

/// The part before a NUL or a `[`.
fn stem(name: &[u8]) -> &[u8] {
    let ends = |byte: &u8| matches!(byte, b'\0' | b'[');
    name.split(ends).next().unwrap_or_default()
}

/// The name without octets around it that print nothing, and without `?` at its start.
fn printed(mut name: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = name
        && (!first.is_ascii_graphic() || *first == b'?')
    {
        name = rest;
    }
    while let [rest @ .., last] = name
        && !last.is_ascii_graphic()
    {
        name = rest;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_headers() {
        for (a, b, alike) in [
            ("x-mode", "x-mode", true),
            ("x-mode", "x_mode", true),
            ("x-mode", "x-modes", false),
            ("x-mode", "x-code", false),
        ] {
            assert_eq!(are_alike_of_headers(a, b), alike, "{a} {b}");
        }
    }

    #[test]
    fn names_that_some_upstream_takes_for_one() {
        let table: &[(&str, &str, bool)] = &[
            ("x-mode", "x-mode", true),
            ("x-mode", "x_mode", true),
            ("x-mode", "x.mode", true),
            ("x-mode", "x mode", true),
            ("x-mode", "X-Mode", true),
            ("session", "SESSION", true),
            ("session", " session\t", true),
            ("session", "session\u{a0}", true),
            ("session", "\u{feff}session", true),
            ("x-mode", "xmode", false),
            ("x-mode", "x--mode", false),
            ("x-mode", "x-modes", false),
            ("x-mode", "xamode", false),
            ("session", "_session", false),
            // the end of a name to PHP, and a list or a map by it
            ("mode", "mode\0x", true),
            ("mode", "mode[]", true),
            ("mode", "Mode[0]", true),
            ("mode", " mode[x][y", true),
            ("mode", "?mode", true),
            ("mode", "??mode[]", true),
            ("mode", "modes[]", false),
            ("mode", "x[mode]", false),
            ("mode", "mode]", false),
            ("mode", "\0xmode", false),
            ("page[size]", "page[size]", true),
            ("page[size]", "page[size][]", false),
            ("page[size]", "page[number]", false),
            ("page[size]", "page", true),
            ("", "", true),
            ("", "a", false),
        ];
        for (a, b, expected) in table {
            assert_eq!(are_alike(a.as_bytes(), b.as_bytes()), *expected, "{a} {b}");
            assert_eq!(are_alike(b.as_bytes(), a.as_bytes()), *expected, "{a} {b}");
        }
    }

    #[test]
    fn names_of_chunks() {
        for (name, own, is_numbered, begins) in [
            ("t", "t", true, true),
            ("t.0", "t", true, true),
            ("T-00", "t", true, true),
            ("t.0[]", "t", true, true),
            ("t.0\u{a0}", "t", true, true),
            ("\u{a0}t.0[x", "t", true, true),
            ("t[0]", "t", true, true),
            ("tx", "t", false, true),
            ("xt.0", "t", false, false),
            // PHP has `_` for each of these.
            ("a_b.0", "a.b", true, true),
            ("a_b_0[]", "a.b", true, true),
            ("a[b.0", "a.b", true, true),
            ("a b.0", "a.b", true, true),
            ("a_bx", "a.b", false, true),
            ("ab.0", "a.b", false, false),
            // A map, one of whose values is our own.
            ("page[other]", "page[size]", true, true),
            ("pag", "page[size]", false, false),
        ] {
            let (name, own) = (name.as_bytes(), own.as_bytes());
            let shown = String::from_utf8_lossy(name);
            assert_eq!(is_like_numbered(name, own), is_numbered, "{shown}");
            assert_eq!(begins_alike(name, own), begins, "{shown}");
        }
    }
}
