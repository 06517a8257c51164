//! A token as a WebSocket subprotocol: one item of `Sec-WebSocket-Protocol` after a prefix (RFC 6455
//! section 11.3.4). A script can set no other header of a WebSocket.
//!
//! Invariants: there is at most one such item, in the only line of its header. What only some
//! upstreams take for an item is no other item: the request is refused. The other items stay byte
//! for byte.

use std::borrow::Cow;

use super::ambiguous::Ambiguous;
use super::extracted::Extracted;
use super::request::Request;
use super::value::trim;
use crate::jose::base64url;

/// The header, in lower case.
pub const HEADER: &str = "sec-websocket-protocol";

/// Whether an item has the token after this prefix, whatever the case of either.
#[must_use]
pub fn is_token(item: &[u8], prefix: &str) -> bool {
    after(item, prefix).is_some()
}

fn after<'r>(item: &'r [u8], prefix: &str) -> Option<&'r [u8]> {
    let (start, rest) = item.split_at_checked(prefix.len())?;
    start
        .eq_ignore_ascii_case(prefix.as_bytes())
        .then_some(rest)
}

/// The token in the item after a prefix, which may be in base64url.
#[must_use]
pub(super) fn extract<'r>(request: &'r Request, prefix: &str, encoded: bool) -> Extracted<'r> {
    const AMBIGUOUS: Extracted<'static> = Extracted::Ambiguous(Ambiguous::Header);
    if !request.other_values(HEADER).is_empty() {
        return AMBIGUOUS;
    }
    // Some upstreams separate at white space too, as they know it.
    let separates = |byte: &u8| *byte == b',' || !byte.is_ascii_graphic();
    let lines = request.values(HEADER);
    let parts = lines.clone().flat_map(|line| line.split(separates));
    let mut found = parts.filter(|part| is_token(part, prefix));
    match (found.next(), found.next()) {
        (None, _) => return Extracted::Missing,
        (Some(_), Some(_)) => return Extracted::Several,
        (Some(_), None) => {}
    }
    let mut items = lines.clone().flat_map(items).map(trim);
    let whole = items.find_map(|item| {
        let is_whole = !item.iter().any(separates);
        after(item, prefix).filter(|_| is_whole)
    });
    match whole {
        Some(text) if lines.count() == 1 => Extracted::Token(if encoded {
            // What is not base64url is a token that no parser accepts.
            Cow::Owned(base64url::decode(text).unwrap_or_default())
        } else {
            Cow::Borrowed(text)
        }),
        _ => AMBIGUOUS,
    }
}

/// The header's value without the items that are tokens; empty if no other is left, `None` if none
/// of them is.
#[must_use]
pub(super) fn without(request: &Request, is_token: &dyn Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
    let value = request.value(HEADER)?;
    if !items(value).any(|item| is_token(trim(item))) {
        return None;
    }
    let kept: Vec<&[u8]> = items(value).filter(|item| !is_token(trim(item))).collect();
    Some(trim(&kept.join(&b',')).to_vec())
}

fn items(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| *byte == b',')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(lines: &[&str]) -> Request {
        let line = |line: &&str| (HEADER.into(), line.as_bytes().to_vec());
        Request::new(lines.iter().map(line).collect())
    }

    #[test]
    fn a03_one_item_of_a_websocket_is_the_token() {
        use Extracted::{Missing, Several};
        const ODD: Extracted<'static> = Extracted::Ambiguous(Ambiguous::Header);
        let token = |text: &'static str| Extracted::Token(Cow::Borrowed(text.as_bytes()));
        let table: &[(&[&str], Extracted, Extracted)] = &[
            (&[], Missing, Missing),
            (&["chat"], Missing, Missing),
            (&["chat, xt.Zm9v"], Missing, Missing),
            (&["t.Zm9v"], token("foo"), token("Zm9v")),
            (&["chat, t.Zm9v"], token("foo"), token("Zm9v")),
            (&["t.Zm9v,chat"], token("foo"), token("Zm9v")),
            (&["a,\t T.Zm9v ,b"], token("foo"), token("Zm9v")),
            (&["t.a.b.c"], token(""), token("a.b.c")),
            (&["t.Zg=="], token(""), token("Zg==")),
            (&["t."], token(""), token("")),
            // two
            (&["t.Zm9v, t.Zm9v"], Several, Several),
            (&["t.Zm9v, T."], Several, Several),
            (&["t.Zm9v", "t.Zg"], Several, Several),
            (&["t.Zm9v t.Zg"], Several, Several),
            // only some upstream takes it for an item, or for a part of the list
            (&["chat t.Zm9v"], ODD, ODD),
            (&["t.Zm9v chat"], ODD, ODD),
            (&["chat,\u{a0}t.Zm9v"], ODD, ODD),
            (&["t.Zm9v\u{a0}"], ODD, ODD),
            (&["t.Zm9v", "chat"], ODD, ODD),
            (&["chat", "t.Zm9v"], ODD, ODD),
        ];
        for (lines, encoded, plain) in table {
            let request = request(lines);
            assert_eq!(extract(&request, "t.", true), *encoded, "{lines:?}");
            assert_eq!(extract(&request, "t.", false), *plain, "{lines:?}");
        }
        let other = Request::new(vec![("sec_websocket_protocol".into(), b"t.Zm9v".to_vec())]);
        assert_eq!(extract(&other, "t.", false), ODD);
    }

    #[test]
    fn the_other_items_stay() {
        for (line, rest) in [
            ("chat", None),
            ("t.a", Some("")),
            (" t.a ,", Some("")),
            ("t.a, chat", Some("chat")),
            ("chat,  superchat , t.a", Some("chat,  superchat")),
            ("chat, t.a ,superchat;x", Some("chat,superchat;x")),
        ] {
            let request = request(&[line]);
            let found = without(&request, &|item| is_token(item, "t."));
            assert_eq!(found.as_deref(), rest.map(str::as_bytes), "{line}");
        }
    }
}
