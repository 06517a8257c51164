//! The two encodings in which a configuration arrives.
//!
//! Envoy hands a `google.protobuf.StringValue`'s text over as it is, and a
//! `google.protobuf.Struct` in protobuf's binary form (the API's documentation
//! promises JSON; Envoy 1.40 hands over the message).
//!
//! Invariant: the two are not taken for each other. What is JSON is read as JSON:
//! a Struct is none, for where an object's first `"` would have to be it has the
//! tag or the length of a field's name, or the name's first letter.

use prost::Message;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct};
use serde::de::IgnoredAny;
use serde_json::{Map, Number, Value};

use super::ConfigError;

/// The configuration if `bytes` are a Struct, `None` if they are not.
///
/// # Errors
/// A number that JSON has no form for.
pub(super) fn decode_struct(bytes: &[u8]) -> Result<Option<Value>, ConfigError> {
    if serde_json::from_slice::<IgnoredAny>(bytes).is_ok() {
        return Ok(None);
    }
    match Struct::decode(bytes) {
        Ok(decoded) => object(decoded).map(Some),
        Err(_) => Ok(None),
    }
}

fn object(decoded: Struct) -> Result<Value, ConfigError> {
    decoded
        .fields
        .into_iter()
        .map(|(name, member)| Ok((name, value(member.kind)?)))
        .collect::<Result<Map<_, _>, _>>()
        .map(Value::Object)
}

// Recursion is bounded by the decoder, at a depth of 100.
fn value(kind: Option<Kind>) -> Result<Value, ConfigError> {
    Ok(match kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(value)) => Value::Bool(value),
        Some(Kind::StringValue(text)) => Value::String(text),
        Some(Kind::NumberValue(number)) => Number::from_f64(number)
            .map(Value::Number)
            .ok_or_else(|| ConfigError::new("", "has a number that is not finite"))?,
        Some(Kind::StructValue(decoded)) => object(decoded)?,
        Some(Kind::ListValue(ListValue { values })) => values
            .into_iter()
            .map(|item| value(item.kind))
            .collect::<Result<_, _>>()
            .map(Value::Array)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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

    #[test]
    fn a_struct_is_read_as_the_json_that_it_stands_for() {
        let value = json!({
            "a": {"b": [1.0, -2.5, "x", true, null, {}, []]},
            "": "empty name",
        });
        assert_eq!(decode_struct(&encode(&value)).unwrap(), Some(value));
        // Entries of every length, and with them every second byte, `{` among them.
        for length in 0..300 {
            let value = json!({"providers": "x".repeat(length)});
            assert_eq!(decode_struct(&encode(&value)).unwrap(), Some(value));
        }
    }

    #[test]
    fn text_is_left_to_the_json_parser() {
        for text in [
            &b"{}"[..],
            b" {\"providers\": {}}",
            b"\n{}",
            b"providers: {}",
            b"[1]",
            b"\xff\xff",
        ] {
            assert_eq!(decode_struct(text).unwrap(), None, "{text:?}");
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
            assert!(decode_struct(&decoded.encode_to_vec()).is_err());
        }
        // Deeper than any configuration.
        let mut deep = json!({});
        for _ in 0..200 {
            deep = json!({"a": deep});
        }
        assert_eq!(decode_struct(&encode(&deep)).unwrap(), None);
    }
}
