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

use super::ConfigError;
use super::tree::Tree;

/// The configuration in either encoding.
///
/// # Errors
/// Where it is neither, what is wrong with it as JSON.
pub(super) fn decode(bytes: &[u8]) -> Result<Tree, ConfigError> {
    Tree::from_json(bytes).or_else(|not_json| match Struct::decode(bytes) {
        Ok(decoded) => object(decoded),
        Err(_) => Err(not_json),
    })
}

fn object(decoded: Struct) -> Result<Tree, ConfigError> {
    decoded
        .fields
        .into_iter()
        .map(|(name, member)| Ok((name, value(member.kind)?)))
        .collect::<Result<_, _>>()
        .map(Tree::Object)
}

// Recursion is bounded by the decoder, at a depth of 100.
fn value(kind: Option<Kind>) -> Result<Tree, ConfigError> {
    Ok(match kind {
        None | Some(Kind::NullValue(_)) => Tree::Null,
        Some(Kind::BoolValue(value)) => Tree::Bool(value),
        Some(Kind::StringValue(text)) => Tree::Text(text),
        Some(Kind::NumberValue(number)) if number.is_finite() => Tree::Float(number),
        Some(Kind::NumberValue(_)) => {
            return Err(ConfigError::here("has a number that is not finite"));
        }
        Some(Kind::StructValue(decoded)) => object(decoded)?,
        Some(Kind::ListValue(ListValue { values })) => values
            .into_iter()
            .map(|item| value(item.kind))
            .collect::<Result<_, _>>()
            .map(Tree::Array)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

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
}
