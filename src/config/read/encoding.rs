//! The two encodings in which a configuration arrives.
//!
//! Envoy hands a `google.protobuf.StringValue`'s text over as it is, and a
//! `google.protobuf.Struct` in protobuf's binary form (the API's documentation
//! promises JSON; Envoy 1.40 hands over the message).
//!
//! Invariant: the two are never confused. JSON is read as JSON. A Struct is never JSON: where an
//! object must have its first `"`, a Struct has the tag or the length of a field's name, or the
//! name's first letter.

use super::error::ConfigError;
use super::tree::Tree;
use crate::named::Named;
use crate::protobuf::{Field, Message};

/// How deep structs and lists may be in each other; a configuration is a tenth of that.
const MAX_DEPTH: u32 = 100;

/// The configuration in either encoding.
///
/// # Errors
/// Where it is neither, what is wrong with it as JSON.
pub(in crate::config) fn decode(bytes: &[u8]) -> Result<Tree, ConfigError> {
    Tree::from_json(bytes).or_else(|not_json| match object(bytes, 0) {
        Ok(decoded) => Ok(decoded),
        Err(Problem::NotFinite) => Err(ConfigError::here("has a number that is not finite")),
        Err(Problem::NotAStruct) => Err(not_json),
    })
}

enum Problem {
    NotAStruct,
    NotFinite,
}

/// `message Struct { map<string, Value> fields = 1; }`. Its members are sorted by their names,
/// for the message has them in no order; of two with one name, the last is meant.
fn object(bytes: &[u8], depth: u32) -> Result<Tree, Problem> {
    let mut members = Named::default();
    for field in Message(bytes) {
        let Some((1, Field::Bytes(entry))) = field else {
            return Err(Problem::NotAStruct);
        };
        let (name, member) = entry_of_map(entry, depth)?;
        members.insert(name, member);
    }
    Ok(Tree::Object(members.into_entries()))
}

/// `message Entry { string key = 1; Value value = 2; }`, as which a map is encoded.
fn entry_of_map(bytes: &[u8], depth: u32) -> Result<(&str, Tree), Problem> {
    let (mut name, mut member) = ("", Tree::Null);
    for field in Message(bytes) {
        match field {
            Some((1, Field::Bytes(text))) => name = utf8(text)?,
            Some((2, Field::Bytes(message))) => member = value(message, depth)?,
            _ => return Err(Problem::NotAStruct),
        }
    }
    Ok((name, member))
}

/// `message Value`, one of six kinds, the last if there are several; one of none is null.
fn value(bytes: &[u8], depth: u32) -> Result<Tree, Problem> {
    let depth = depth.saturating_add(1);
    if depth > MAX_DEPTH {
        return Err(Problem::NotAStruct);
    }
    let mut value = Tree::Null;
    for field in Message(bytes) {
        value = match field {
            Some((1, Field::Number(_))) => Tree::Null,
            Some((2, Field::Double(number))) if number.is_finite() => Tree::Float(number),
            Some((2, Field::Double(_))) => return Err(Problem::NotFinite),
            Some((3, Field::Bytes(text))) => Tree::Text(utf8(text)?.to_owned()),
            Some((4, Field::Number(number))) => Tree::Bool(number != 0),
            Some((5, Field::Bytes(message))) => object(message, depth)?,
            Some((6, Field::Bytes(message))) => list(message, depth)?,
            _ => return Err(Problem::NotAStruct),
        };
    }
    Ok(value)
}

/// `message ListValue { repeated Value values = 1; }`
fn list(bytes: &[u8], depth: u32) -> Result<Tree, Problem> {
    let items = Message(bytes).map(|field| match field {
        Some((1, Field::Bytes(item))) => value(item, depth),
        _ => Err(Problem::NotAStruct),
    });
    items.collect::<Result<_, _>>().map(Tree::Array)
}

fn utf8(text: &[u8]) -> Result<&str, Problem> {
    str::from_utf8(text).map_err(|_| Problem::NotAStruct)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message as _;
    use prost_types::value::Kind;
    use prost_types::{ListValue, Struct};
    use serde_json::{Value, json};

    use super::*;

    /// A Struct in its binary form, as Envoy makes it.
    fn encode(value: &Value) -> Vec<u8> {
        fn kind(value: &Value) -> Kind {
            match value {
                Value::Null => Kind::NullValue(0),
                Value::Bool(value) => Kind::BoolValue(*value),
                Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap()),
                Value::String(text) => Kind::StringValue(text.clone()),
                Value::Array(items) => Kind::ListValue(ListValue {
                    values: items.iter().map(wrap).collect(),
                }),
                Value::Object(_) => Kind::StructValue(structure(value)),
            }
        }
        fn wrap(value: &Value) -> prost_types::Value {
            prost_types::Value {
                kind: Some(kind(value)),
            }
        }
        fn structure(value: &Value) -> Struct {
            let members = value.as_object().unwrap();
            Struct {
                fields: members
                    .iter()
                    .map(|(name, member)| (name.clone(), wrap(member)))
                    .collect(),
            }
        }
        structure(value).encode_to_vec()
    }

    fn decoded(bytes: &[u8]) -> Result<Value, ConfigError> {
        decode(bytes).and_then(Tree::into_value)
    }

    #[test]
    fn a_struct_is_read_as_the_json_that_it_stands_for() {
        let value = json!({
            "a": {"b": [1.0, -2.5, "x", true, null, {}, []]},
            "": "empty name",
        });
        assert_eq!(decoded(&encode(&value)), Ok(value));
        // Entries of every length, and with them every second byte, `{` among them.
        for length in 0..300 {
            let value = json!({"providers": "x".repeat(length)});
            assert_eq!(decoded(&encode(&value)), Ok(value));
        }
    }

    #[test]
    fn what_is_json_is_read_as_json() {
        for (text, expected) in [
            (&b"{}"[..], json!({})),
            (
                b" {\"b\": {\"x\": [1, -2, 1.5]}, \"a\": null}",
                json!({"a": null, "b": {"x": [1, -2, 1.5]}}),
            ),
            (b"\n{}", json!({})),
            (b"[1]", json!([1])),
        ] {
            assert_eq!(decoded(text), Ok(expected), "{text:?}");
        }
        for text in [&b"providers: {}"[..], b"\xff\xff", b"{} {}", b"1e999"] {
            let error = decoded(text).unwrap_err();
            let problem = error.problem();
            assert!(problem.starts_with("not valid JSON: "), "{problem}");
        }
    }

    #[test]
    fn what_json_cannot_say_is_refused() {
        for number in [f64::NAN, f64::INFINITY] {
            let mut decoded = Struct::default();
            decoded.fields.insert(
                "n".into(),
                prost_types::Value {
                    kind: Some(Kind::NumberValue(number)),
                },
            );
            let error = self::decoded(&decoded.encode_to_vec()).unwrap_err();
            assert_eq!(error.problem(), "has a number that is not finite");
        }
        // Deeper than any configuration.
        let mut deep = json!({});
        for _ in 0..200 {
            deep = json!({"a": deep});
        }
        assert!(decoded(&encode(&deep)).is_err());
    }
    #[test]
    fn what_is_no_struct_is_none() {
        // {"a": true}
        let good = b"\x0a\x07\x0a\x01a\x12\x02\x20\x01";
        assert_eq!(decoded(good), Ok(json!({"a": true})));
        for len in 1..good.len() {
            assert!(decoded(&good[..len]).is_err(), "{len} octets");
        }
        for bad in [
            &b"\x12\x07\x0a\x01a\x12\x02\x20\x01"[..], // field 2 of Struct
            b"\x08\x07",                               // a number for field 1
            b"\x0a\x07\x0a\x01a\x1a\x02\x20\x01",      // field 3 of the entry
            b"\x0a\x07\x0a\x01\xff\x12\x02\x20\x01",   // a name that is not UTF-8
            b"\x0a\x08\x0a\x01a\x12\x03\x1a\x01\xff",  // a text that is not
            b"\x0a\x07\x0a\x01a\x12\x02\x38\x01",      // field 7 of Value
            b"\x0a\x07\x0a\x01a\x12\x02\x18\x01",      // a text as a number
            b"\x0a\x07\x0a\x01a\x13\x02\x20\x01",      // a group
            b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", // a length without an end
            b"\x0a\xff\xff\xff\xff\x0f",               // a length of 4 GiB
        ] {
            assert!(decoded(bad).is_err(), "{bad:x?}");
        }
    }

    #[test]
    fn of_two_the_last_is_meant() {
        let twice = b"\x0a\x07\x0a\x01a\x12\x02\x20\x01\x0a\x07\x0a\x01a\x12\x02\x20\x00";
        assert_eq!(decoded(twice), Ok(json!({"a": false})));
        let two_kinds = b"\x0a\x09\x0a\x01a\x12\x04\x20\x01\x08\x00";
        assert_eq!(decoded(two_kinds), Ok(json!({"a": null})));
        let no_kind = b"\x0a\x05\x0a\x01a\x12\x00";
        assert_eq!(decoded(no_kind), Ok(json!({"a": null})));
        assert_eq!(decoded(b"\x0a\x03\x0a\x01a"), Ok(json!({"a": null})));
        assert_eq!(decoded(b"\x0a\x00"), Ok(json!({"": null})));
        assert_eq!(decoded(b""), Ok(json!({})));
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(|number| Value::from(f64::from(number) / 16.0)),
            "\\PC{0,200}".prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 60, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                prop::collection::btree_map("[a-z{]{0,9}", inner, 0..8)
                    .prop_map(|members| members.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_prost_writes_is_read(value in any_value()) {
            let value = json!({"providers": value});
            prop_assert_eq!(decoded(&encode(&value)), Ok(value));
        }

        /// What is read here, prost reads as well; it passes over fields that it does not know.
        #[test]
        fn what_is_read_is_a_struct(
            value in any_value(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let mut bytes = encode(&json!({"a": value}));
            for (at, octet) in changes {
                *at.get_mut(&mut bytes) = octet;
            }
            if object(&bytes, 0).is_ok() {
                prop_assert!(Struct::decode(bytes.as_slice()).is_ok());
            }
        }
    }
}
