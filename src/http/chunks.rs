//! A token in several cookies. Browsers keep cookies of up to 4096 octets, so programs cut what is
//! longer: into `name.0`, `name.1` and so on (Auth.js), `name__0`, `name__1` (Auth0), or `name_0`,
//! `name_1` (oauth2-proxy). What fits is in one cookie, `name`.
//!
//! Invariant: a token is joined from all its chunks, each of which was sent once, or there is none.
//! Nothing is chosen among several, and there is no other cookie whose name some upstream takes for
//! that of a chunk. Some upstreams join every cookie whose name begins with `name`.

use std::borrow::Cow;

use super::ambiguous::Ambiguous;
use super::extracted::Extracted;
use super::name::begins_alike;
use super::request::Request;

/// The most chunks of one value.
pub const MAX_CHUNKS: usize = 12;
/// What may stand between the name and a chunk's number.
const SEPARATORS: [&[u8]; 3] = [b".", b"_", b"__"];

/// A chunk's number, below [`MAX_CHUNKS`], in its only valid spelling.
#[must_use]
pub fn chunk_number(digits: &[u8]) -> Option<usize> {
    small_number(digits).filter(|number| *number < MAX_CHUNKS)
}

/// A number of one or two digits without leading zeros.
#[must_use]
pub fn small_number(digits: &[u8]) -> Option<usize> {
    let value = |digit: &u8| digit.is_ascii_digit().then(|| usize::from(digit - b'0'));
    match digits {
        [one] => value(one),
        [b'1'..=b'9', _] => {
            let text = std::str::from_utf8(digits).ok()?;
            text.bytes()
                .all(|byte| byte.is_ascii_digit())
                .then(|| text.parse().ok())?
        }
        _ => None,
    }
}

/// Whether a cookie of one name is the value `own` or a chunk of it.
#[must_use]
pub fn is_part(name: &[u8], own: &str) -> bool {
    slot(name, own).is_some()
}

/// The token that the cookies `own` make.
#[must_use]
pub(super) fn extract<'r>(request: &'r Request, own: &str) -> Extracted<'r> {
    const AMBIGUOUS: Extracted<'static> = Extracted::Ambiguous(Ambiguous::Header);
    let is_alike = |name: &[u8]| begins_alike(name, own.as_bytes());
    if request.has_other_cookie(&|name| is_part(name, own), &is_alike) {
        return AMBIGUOUS;
    }
    let mut slots = [None; 1 + SEPARATORS.len() * MAX_CHUNKS];
    for (name, value) in request.cookies() {
        let slot = slot(name, own).and_then(|at| slots.get_mut(at));
        if slot.is_some_and(|slot| slot.replace(value).is_some()) {
            return Extracted::Several;
        }
    }
    let there = slots.iter().flatten().count();
    let [whole, chunks @ ..] = slots;
    match whole {
        None if there == 0 => return Extracted::Missing,
        Some(value) if there == 1 => return Extracted::Token(Cow::Borrowed(value)),
        _ => {}
    }
    // Of one separator, from the first on: a gap ends them.
    for chunks in chunks.chunks(MAX_CHUNKS) {
        let chunks: Vec<&[u8]> = chunks.iter().map_while(|chunk| *chunk).collect();
        if chunks.len() == there {
            return Extracted::Token(Cow::Owned(chunks.concat()));
        }
    }
    AMBIGUOUS
}

/// The whole value is first, then come the chunks of each separator.
fn slot(name: &[u8], own: &str) -> Option<usize> {
    let rest = name.strip_prefix(own.as_bytes())?;
    if rest.is_empty() {
        return Some(0);
    }
    let mut separated = SEPARATORS.iter().enumerate();
    separated.find_map(|(at, separator)| {
        let number = chunk_number(rest.strip_prefix(*separator)?)?;
        Some(1 + at * MAX_CHUNKS + number)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a03_a_token_in_chunks_is_whole_or_none() {
        use Extracted::{Missing, Several};
        const ODD: Extracted<'static> = Extracted::Ambiguous(Ambiguous::Header);
        let token = |text: &'static str| Extracted::Token(Cow::Borrowed(text.as_bytes()));
        let table = [
            ("", Missing),
            ("a=1; sett=y; s.0=z", Missing),
            ("t=abc", token("abc")),
            ("t=", token("")),
            ("t.0=abc", token("abc")),
            ("t.0=a; t.1=b; t.2=c", token("abc")),
            ("t.2=c; x=1; t.0=a; t.1=\"b\"", token("abc")),
            ("t_0=a; t_1=b", token("ab")),
            ("t.0=a; t.1=", token("a")),
            // twice
            ("t=a; t=b", Several),
            ("t.0=a; t.1=b; t.0=a", Several),
            // missing
            ("t.1=b", ODD),
            ("t.0=a; t.2=c", ODD),
            ("t_1=b; t_2=c", ODD),
            // surplus
            ("t=abc; t.0=a", ODD),
            ("t=; t_0=a", ODD),
            ("t.0=a; t_1=b", ODD),
            ("t.0=a; t_0=a", ODD),
            ("t.0=a; t__0=b", ODD),
            ("t=a; t__0=b", ODD),
            ("t.0=a; t.12=b", ODD),
            ("t.0=a; t.100=b", ODD),
            // only some upstream reads them as chunks
            ("t.00=a", ODD),
            ("t.0=a; t.01=b", ODD),
            ("t-0=a", ODD),
            ("T.0=a", ODD),
            ("t.0=a; T.1=b", ODD),
            ("t.0 =a; x,t.1=b", ODD),
            ("x t.0=a", ODD),
            ("t.=a", ODD),
            ("t[0]=a", ODD),
            ("t.0[]=a", ODD),
            ("t___0=a", ODD),
            // some upstreams join whatever begins so
            ("t2=x", ODD),
            ("t=abc; tx=b", ODD),
            ("t.0=a; Tx=b; t.1=c", ODD),
            ("t.0=a; t.x=b; t.1=c", ODD),
        ];
        for (line, expected) in table {
            let request = Request::new(vec![("cookie".into(), line.as_bytes().to_vec())]);
            assert_eq!(extract(&request, "t"), expected, "{line}");
        }
        // PHP has `_` for a dot, and a list for `[]`.
        for line in [
            "a_b.0=x",
            "a.b.0=x; a_b.1=y",
            "a.b=x; a_b_0[]=y",
            "a.b=x; a b=y",
            "a.b=x; a[b.0=y",
            "a.b=x; A_bc=y",
        ] {
            let request = Request::new(vec![("cookie".into(), line.as_bytes().to_vec())]);
            assert_eq!(extract(&request, "a.b"), ODD, "{line}");
        }
        let all = |many: usize| {
            let cookies = (0..many).map(|at| format!("t.{at}={at}"));
            let line = cookies.collect::<Vec<_>>().join("; ");
            let request = Request::new(vec![("cookie".into(), line.into_bytes())]);
            matches!(extract(&request, "t"), Extracted::Token(_))
        };
        assert!(all(MAX_CHUNKS));
        assert!(!all(MAX_CHUNKS + 1));
    }
}
