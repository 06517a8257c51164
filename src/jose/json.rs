//! Strict JSON, RFC 8259, as RFC 7515 section 4 and RFC 7519 section 4 ask for it.
//!
//! Invariant: a document has one meaning. Duplicate member names at any level, a byte order
//! mark, trailing bytes, bad UTF-8 and lone surrogates are refused; nesting is bounded by
//! `serde_json`'s limit of 128, so no document can exhaust the stack.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};

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
    let checked: Checked = serde_json::from_slice(bytes).map_err(|_| JsonError::Malformed)?;
    checked.into_object()
}

/// A value that remembers whether a member name occurred twice in it or below it, so that one
/// bad key in a key document can be told from the good ones beside it.
pub(super) struct Checked {
    value: Value,
    duplicate: bool,
}

impl Checked {
    pub(super) fn into_object(self) -> Result<Object, JsonError> {
        match self.value {
            _ if self.duplicate => Err(JsonError::DuplicateMember),
            Value::Object(object) => Ok(object),
            _ => Err(JsonError::NotAnObject),
        }
    }
}

impl From<Value> for Checked {
    fn from(value: Value) -> Self {
        Checked {
            value,
            duplicate: false,
        }
    }
}

impl<'de> Deserialize<'de> for Checked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CheckedVisitor)
    }
}

struct CheckedVisitor;

impl<'de> Visitor<'de> for CheckedVisitor {
    type Value = Checked;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Checked, E> {
        Ok(Value::Null.into())
    }

    fn visit_bool<E>(self, value: bool) -> Result<Checked, E> {
        Ok(Value::Bool(value).into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Checked, E> {
        Ok(Value::Number(value.into()).into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Checked, E> {
        Ok(Value::Number(value.into()).into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Checked, E> {
        Number::from_f64(value)
            .map(|number| Value::Number(number).into())
            .ok_or_else(|| E::custom("a number that is not finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Checked, E> {
        Ok(Value::String(value.to_owned()).into())
    }

    fn visit_string<E>(self, value: String) -> Result<Checked, E> {
        Ok(Value::String(value).into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Checked, A::Error> {
        let mut array = Vec::new();
        let mut duplicate = false;
        while let Some(item) = items.next_element::<Checked>()? {
            duplicate |= item.duplicate;
            array.push(item.value);
        }
        Ok(Checked {
            value: Value::Array(array),
            duplicate,
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Checked, A::Error> {
        let mut object = Object::new();
        let mut duplicate = false;
        while let Some((name, member)) = members.next_entry::<String, Checked>()? {
            duplicate |= member.duplicate;
            duplicate |= object.insert(name, member.value).is_some();
        }
        Ok(Checked {
            value: Value::Object(object),
            duplicate,
        })
    }
}

/// The array that is member `keys` of a JWK Set, RFC 7517 section 5; each item is checked alone.
pub(super) struct KeysMember(pub(super) Option<Vec<Checked>>);

impl<'de> Deserialize<'de> for KeysMember {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(KeysVisitor).map(KeysMember)
    }
}

struct KeysVisitor;

impl<'de> Visitor<'de> for KeysVisitor {
    type Value = Option<Vec<Checked>>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JWK Set")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut keys = None;
        while let Some(name) = members.next_key::<String>()? {
            if name != "keys" {
                // Read in full, not ignored: the whole document has to be sound.
                members.next_value::<Checked>()?;
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
