//! The Bearer token in an Authorization header (RFC 6750 section 2.1, RFC 9110 section 11.6.2).
//!
//! Invariant: at most one credential is ever taken from a request. Envoy joins repeated
//! Authorization headers with a comma, which no token may contain, so a comma means that there
//! were two and that the upstream could pick the other one.

/// The scheme, compared without case (RFC 9110 section 11.1).
const SCHEME: &[u8] = b"bearer";

/// What the Authorization header holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extracted<'a> {
    /// No header, another scheme, or `Bearer` without a value.
    Missing,
    /// The bytes after the scheme: not looked at, and not necessarily UTF-8.
    Token(&'a [u8]),
    /// More than one credential, at least one of them a Bearer one: a malformed request.
    Several,
}

/// Takes the token from the raw value of the Authorization header.
///
/// The scheme counts only at the start of the value and is followed by one or more spaces; a tab
/// is not a space.
pub fn extract(authorization: Option<&[u8]>) -> Extracted<'_> {
    let Some(value) = authorization else {
        return Extracted::Missing;
    };
    let mut members = value.split(|byte| *byte == b',');
    let first = members.next().unwrap_or_default();
    let Some(rest) = after_scheme(first) else {
        // `Basic ...` alone is somebody else's credential. Joined to a Bearer one it is two.
        return if members.any(|member| after_scheme(member.trim_ascii_start()).is_some()) {
            Extracted::Several
        } else {
            Extracted::Missing
        };
    };
    if members.next().is_some() {
        return Extracted::Several;
    }
    match rest.iter().position(|byte| *byte != b' ') {
        Some(spaces) if spaces > 0 => rest
            .get(spaces..)
            .map_or(Extracted::Missing, Extracted::Token),
        _ => Extracted::Missing,
    }
}

/// What follows the scheme, where the value is of the Bearer scheme: nothing, or a separator and
/// the rest.
fn after_scheme(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(SCHEME.len())?;
    let separated = matches!(rest.first(), None | Some(b' ' | b'\t'));
    (scheme.eq_ignore_ascii_case(SCHEME) && separated).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::Extracted::{Missing, Several, Token};
    use super::*;

    #[test]
    fn extracts_at_most_one_token() {
        let table: &[(&[u8], Extracted)] = &[
            (b"Bearer a.b.c", Token(b"a.b.c")),
            // the scheme has no case
            (b"bearer a.b.c", Token(b"a.b.c")),
            (b"bEaReR a.b.c", Token(b"a.b.c")),
            // 1*SP
            (b"Bearer    a.b.c", Token(b"a.b.c")),
            // what follows is the parser's business, UTF-8 or not
            (b"Bearer \xff\xfe", Token(b"\xff\xfe")),
            (b"Bearer a b", Token(b"a b")),
            (b"Bearer a.b.c ", Token(b"a.b.c ")),
            (b"Bearer \ta", Token(b"\ta")),
            (b"Bearer Bearer a", Token(b"Bearer a")),
            (b"", Missing),
            (b" ", Missing),
            (b"Bearer", Missing),
            (b"Bearer ", Missing),
            (b"Bearer      ", Missing),
            (b"Bearer\ta.b.c", Missing),
            (b"Bearer\t a.b.c", Missing),
            (b"Bearera.b.c", Missing),
            (b"Bearer=a.b.c", Missing),
            (b"Beare a.b.c", Missing),
            (b"Basic dXNlcjpwYXNz", Missing),
            // only at the start
            (b"Token Bearer a.b.c", Missing),
            (b"Basic dTpwBearer a", Missing),
            (b" Bearer a.b.c", Missing),
            (b"\xef\xbb\xbfBearer a", Missing),
            // a Digest value has commas of its own
            (b"Digest username=\"a\", realm=\"b\"", Missing),
            (b"Digest a=b, bearer_x=c", Missing),
            // two headers, as Envoy joins them
            (b"Bearer a,Bearer b", Several),
            (b"Bearer a, Bearer a", Several),
            (b"Bearer a,Basic dTpw", Several),
            (b"Basic dTpw,Bearer b", Several),
            (b"Basic dTpw, bEARER b", Several),
            (b"Basic dTpw,Digest a=b, Bearer b", Several),
            (b"Basic dTpw,Bearer", Several),
            (b",Bearer a", Several),
            (b"Bearer a,", Several),
            (b"Bearer,Bearer a", Several),
            (b"Bearer ,a", Several),
        ];
        assert_eq!(extract(None), Missing);
        for (value, expected) in table {
            assert_eq!(
                extract(Some(value)),
                *expected,
                "{:?}",
                String::from_utf8_lossy(value)
            );
        }
    }
}
