//! Strict JSON, RFC 8259, as RFC 7515 section 4 and RFC 7519 section 4 ask for it.
//!
//! Invariant: a document has one meaning. Duplicate member names at any level, a byte order
//! mark, trailing bytes, bad UTF-8 and lone surrogates are refused; nesting is bounded by
//! `serde_json`'s limit of 128, so no document can exhaust the stack.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::Value;

use super::document::Document;

/// A JSON object whose member names, at every level, are unique.
pub type Object = serde_json::Map<String, Value>;

/// Why a document was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonError {
    /// Not JSON, nested too deeply, or with bytes after its end.
    Malformed,
    /// A member name occurs twice in one object.
    DuplicateMember,
    /// JSON, but not an object.
    NotAnObject,
}

/// Reads one JSON object, and nothing before or after it but white space.
///
/// # Errors
/// [`JsonError`] says which rule of the invariant above was broken.
pub fn parse_object(bytes: &[u8]) -> Result<Object, JsonError> {
    Document::parse(bytes).map(|document| document.root().to_object())
}

/// The array that is member `keys` of a JWK Set, RFC 7517 section 5. A name that is twice in an item
/// is that item's fault alone.
pub(super) struct KeysMember(pub(super) Option<Vec<Document>>);

impl<'de> Deserialize<'de> for KeysMember {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(KeysVisitor).map(KeysMember)
    }
}

struct KeysVisitor;

impl<'de> Visitor<'de> for KeysVisitor {
    type Value = Option<Vec<Document>>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JWK Set")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut keys = None;
        while let Some(name) = members.next_key::<String>()? {
            if name != "keys" {
                // Read in full, not ignored: the whole document has to be sound.
                members.next_value::<Document>()?;
            } else if keys.replace(members.next_value()?).is_some() {
                return Err(A::Error::duplicate_field("keys"));
            }
        }
        Ok(keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &[u8], expected: Result<(), JsonError>) {
        let shown = String::from_utf8_lossy(text.get(..60).unwrap_or(text)).into_owned();
        assert_eq!(parse_object(text).map(drop), expected, "{shown}");
    }

    #[test]
    fn a10_one_object_and_nothing_else() {
        let malformed = Err(JsonError::Malformed);
        check(b"{}", Ok(()));
        check(b" \r\n\t{} ", Ok(()));
        check(br#"{"a":[1,-1,1.5,true,false,null,"x",{}]}"#, Ok(()));
        check("{\"a\":\"\\ud83d\\ude00\"}".as_bytes(), Ok(())); // a surrogate pair
        for other in ["[]", "null", "1", "\"{}\"", "true"] {
            check(other.as_bytes(), Err(JsonError::NotAnObject));
        }
        for bad in [
            &b""[..],
            b" ",
            b"{",
            b"{}x",
            b"{}{}",
            b"{}\0",
            b"{'a':1}",
            b"{\"a\":1,}",
            b"{\"a\":01}",
            b"{\"a\":NaN}",
            b"{\"a\":Infinity}",
            b"{\"a\":1e999}",
            b"\xef\xbb\xbf{}",           // BOM
            b"\xff\xfe{\0}\0",           // UTF-16
            b"{\"a\":\"\xff\"}",         // bad UTF-8
            b"{\"a\xff\":1}",            // bad UTF-8 in a name
            b"{\"a\":\"\xed\xa0\x80\"}", // a surrogate as UTF-8
            b"{\"a\":\"\\ud800\"}",      // lone surrogate
            b"{\"a\":\"\\udc00x\"}",     // lone surrogate
            b"{\"\\ud800\":1}",          // lone surrogate in a name
            b"{\"a\":\"\x01\"}",         // control character
        ] {
            check(bad, malformed);
        }
    }

    #[test]
    fn a10_nesting_is_bounded() {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            for depth in [1_000, 100_000] {
                let text = format!("{{\"a\":{}1{}}}", open.repeat(depth), close.repeat(depth));
                check(text.as_bytes(), Err(JsonError::Malformed));
                check(
                    format!("{{\"a\":{}", open.repeat(depth)).as_bytes(),
                    Err(JsonError::Malformed),
                );
            }
        }
        let text = format!("{{\"a\":{}{}}}", "[".repeat(100), "]".repeat(100));
        check(text.as_bytes(), Ok(()));
    }

    #[test]
    fn a11_duplicate_members_at_any_level() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#, // the same name, spelt differently
            r#"{"b":{"a":1,"a":2}}"#,
            r#"{"b":[0,{"a":1,"a":2}]}"#,
            r#"{"b":[[[{"c":{"a":1,"x":0,"a":null}}]]]}"#,
            r#"{"":1,"":2}"#,
        ] {
            check(text.as_bytes(), Err(JsonError::DuplicateMember));
        }
        check(br#"{"a":{"a":{"a":1}},"A":1}"#, Ok(()));
    }
}
