//! Filter state, the one thing besides headers that a Wasm filter can leave for access logs, RBAC
//! and other filters.
//!
//! A claims set and a JOSE header are a `google.protobuf.Struct`, of which CEL can select members;
//! a fact is a string. Envoy has to be told so (`declare_property`, a foreign function), or else
//! both are bytes to CEL. Its argument is a protobuf message (`DeclarePropertyArguments` of
//! Envoy's Wasm extension) of these fields:
//!
//! | field | type | value |
//! |---|---|---|
//! | 1 `name` | string | without `wasm.` |
//! | 3 `type` | enum | 1 `String`, 3 `Protobuf` |
//! | 4 `schema` | bytes | the message's type URL |
//!
//! Invariant: a name has one kind in every configuration, for it cannot be declared anew. The
//! names of facts have a prefix that no other may have.

use prost::Message as _;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct};
use serde_json::Value;

use super::State;
use crate::config::{Config, Fact};
use crate::http::response::Rejection;
use crate::jose::base64url;
use crate::jose::json::{self, Object};

const STRUCT: &str = "type.googleapis.com/google.protobuf.Struct";

/// The arguments of `declare_property` for every filter state that the configuration can make.
pub fn declarations(config: &Config) -> Vec<Vec<u8>> {
    let structs = config.providers.iter().flat_map(|provider| {
        let outputs = &provider.outputs;
        [
            &outputs.payload_state,
            &outputs.header_state,
            &outputs.failure_state,
        ]
    });
    let mut names: Vec<&String> = structs.flatten().collect();
    names.sort_unstable();
    names.dedup();
    let structs = names.into_iter().filter_map(|name| {
        let mut message = field(1, name)?;
        message.extend_from_slice(&[3 << 3, 3]);
        message.extend(field(4, STRUCT)?);
        Some(message)
    });
    let facts = config.facts.iter().filter_map(|fact| {
        let mut message = field(1, fact.state())?;
        message.extend_from_slice(&[3 << 3, 1]);
        Some(message)
    });
    structs.chain(facts).collect()
}

/// A length-delimited field. `None` where the length takes more than one byte; no name is so long.
fn field(number: u8, text: &str) -> Option<Vec<u8>> {
    let length = u8::try_from(text.len())
        .ok()
        .filter(|length| *length < 0x80)?;
    let mut field = vec![number << 3 | 2, length];
    field.extend_from_slice(text.as_bytes());
    Some(field)
}

/// What is told of a request that is rejected: why. The token's own state is for each provider
/// that names one, since which of them should have verified it may be nobody's.
pub fn of_rejection(config: &Config, rejection: &Rejection<'_>) -> Vec<State> {
    let mut states = Vec::new();
    if config.facts.contains(&Fact::Reason) {
        states.extend(fact(Fact::Reason, rejection.reason()));
    }
    if is_about_the_token(rejection) {
        for provider in &config.providers {
            if let Some(name) = &provider.outputs.failure_state
                && !states.iter().any(|(known, _)| known == name)
            {
                states.push((name.clone(), failure(rejection)));
            }
        }
    }
    states
}

fn is_about_the_token(rejection: &Rejection<'_>) -> bool {
    match rejection {
        Rejection::TokenMissing
        | Rejection::InvalidToken { .. }
        | Rejection::SeveralTokens
        | Rejection::KeysUnavailable { .. }
        | Rejection::TooManyWaiting { .. } => true,
        Rejection::UnsafePath
        | Rejection::InsufficientScope { .. }
        | Rejection::ClaimRule
        | Rejection::NoRule
        | Rejection::NotConfigured => false,
    }
}

/// As jwt_authn's `failed_status`, with a name for its number.
fn failure(rejection: &Rejection<'_>) -> Vec<u8> {
    let text = |text: &str| Kind::StringValue(text.to_owned()).into();
    let fields = [
        ("code".to_owned(), text(rejection.reason())),
        ("message".to_owned(), text(rejection.description())),
    ];
    let fields = fields.into_iter().collect();
    Struct { fields }.encode_to_vec()
}

/// Text formats of access logs print it as it is, so what could end a line is left out.
pub(super) fn fact(fact: Fact, text: &str) -> Option<State> {
    let printable = !text.chars().any(char::is_control);
    printable.then(|| (fact.state().to_owned(), text.as_bytes().to_vec()))
}

/// The claims, those that are named split at their spaces.
pub(super) fn payload(claims: &Object, space_delimited: &[String]) -> Vec<u8> {
    let mut payload = structure(claims);
    for name in space_delimited {
        if let Some(value) = payload.fields.get_mut(name)
            && let Some(Kind::StringValue(text)) = &value.kind
        {
            let words = text.split(' ').filter(|word| !word.is_empty());
            let values = words
                .map(|word| Kind::StringValue(word.to_owned()).into())
                .collect();
            value.kind = Some(Kind::ListValue(ListValue { values }));
        }
    }
    payload.encode_to_vec()
}

/// A JOSE header, given as the token spells it.
pub(super) fn header(base64url: &[u8]) -> Option<Vec<u8>> {
    let octets = base64url::decode(base64url)?;
    let header = json::parse_object(&octets).ok()?;
    Some(structure(&header).encode_to_vec())
}

fn structure(object: &Object) -> Struct {
    Struct {
        fields: object
            .iter()
            .map(|(name, value)| (name.clone(), kind(value).into()))
            .collect(),
    }
}

// Recursion is bounded by the JSON parser.
fn kind(value: &Value) -> Kind {
    match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(value) => Kind::BoolValue(*value),
        // infallible: there are no numbers of arbitrary precision
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(items) => Kind::ListValue(ListValue {
            values: items.iter().map(|item| kind(item).into()).collect(),
        }),
        Value::Object(object) => Kind::StructValue(structure(object)),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;
    use crate::jose::fixtures::JWK_A;

    pub fn json(decoded: &Struct) -> Value {
        fn value(kind: &Kind) -> Value {
            match kind {
                Kind::NullValue(_) => Value::Null,
                Kind::BoolValue(value) => json!(value),
                Kind::NumberValue(number) => json!(number),
                Kind::StringValue(text) => json!(text),
                Kind::ListValue(list) => list
                    .values
                    .iter()
                    .map(|item| value(item.kind.as_ref().unwrap()))
                    .collect(),
                Kind::StructValue(decoded) => json(decoded),
            }
        }
        decoded
            .fields
            .iter()
            .map(|(name, member)| (name.clone(), value(member.kind.as_ref().unwrap())))
            .collect::<Object>()
            .into()
    }

    fn config(providers: Value, facts: Value) -> Config {
        let mut config = json!({"providers": providers, "filter_state": facts});
        for provider in config["providers"].as_object_mut().unwrap().values_mut() {
            provider["any_issuer"] = json!(true);
            provider["any_audience"] = json!(true);
            provider["local_jwks"] = json!({"inline_string": format!("{{\"keys\":[{JWK_A}]}}")});
        }
        Config::parse(config.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn each_name_is_declared_once_with_its_kind() {
        let config = config(
            json!({
                "a": {"payload_in_metadata": "jwt", "failed_status_in_metadata": "f"},
                "b": {"payload_in_metadata": "h", "header_in_metadata": "jwt"},
            }),
            json!(["reason"]),
        );
        let url = b"type.googleapis.com/google.protobuf.Struct";
        let expected: [&[&[u8]]; 4] = [
            &[b"\x0a\x01f\x18\x03\x22\x2a", url],
            &[b"\x0a\x01h\x18\x03\x22\x2a", url],
            &[b"\x0a\x03jwt\x18\x03\x22\x2a", url],
            &[b"\x0a\x12bearer_gate.reason\x18\x01"],
        ];
        assert_eq!(declarations(&config), expected.map(<[_]>::concat));
    }

    #[test]
    fn a_name_of_the_greatest_length_is_declared() {
        let name = "n".repeat(127);
        let config = config(json!({"a": {"payload_in_metadata": name}}), json!([]));
        let expected = format!("\x0a\x7f{name}\x18\x03\x22\x2a{STRUCT}");
        assert_eq!(declarations(&config), [expected.into_bytes()]);
    }

    #[test]
    fn rejections() {
        let config = config(
            json!({
                "a": {"failed_status_in_metadata": "f"},
                "b": {"failed_status_in_metadata": "f"},
                "c": {"failed_status_in_metadata": "g"},
                "d": {},
            }),
            json!(["subject", "reason"]),
        );
        let expired = Rejection::InvalidToken {
            description: "Jwt is expired",
            reason: "expired",
        };
        let table = [
            (expired, "expired", Some("Jwt is expired")),
            (
                Rejection::TokenMissing,
                "token_missing",
                Some("Jwt is missing"),
            ),
            (Rejection::NoRule, "no_rule", None),
            (Rejection::ClaimRule, "claim_rule", None),
            (
                Rejection::keys_unavailable(std::time::Duration::ZERO),
                "keys_unavailable",
                Some("Jwks remote fetch is failed"),
            ),
        ];
        for (rejection, reason, message) in table {
            let told: Vec<(String, Value)> = of_rejection(&config, &rejection)
                .into_iter()
                .map(|(name, value)| {
                    let value = if name == "bearer_gate.reason" {
                        json!(str::from_utf8(&value).unwrap())
                    } else {
                        json(&Struct::decode(value.as_slice()).unwrap())
                    };
                    (name, value)
                })
                .collect();
            let mut expected = vec![("bearer_gate.reason".to_owned(), json!(reason))];
            for name in ["f", "g"].iter().filter(|_| message.is_some()) {
                let failed = json!({"code": reason, "message": message});
                expected.push(((*name).to_owned(), failed));
            }
            assert_eq!(told, expected);
        }
        assert_eq!(
            of_rejection(
                &self::config(json!({"a": {}}), json!([])),
                &Rejection::TokenMissing
            ),
            []
        );
    }
}
