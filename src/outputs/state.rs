//! Filter state, the one thing besides headers that a Wasm filter can leave for access logs, RBAC
//! and other filters.
//!
//! A claims set and a JOSE header are a `google.protobuf.Struct`, of which CEL can select members;
//! a fact is a string. Envoy must be told so (`declare_property`, a foreign function), or else
//! both are bytes to CEL. Its argument is a protobuf message (`DeclarePropertyArguments` of
//! Envoy's Wasm extension) of these fields:
//!
//! | field | type | value |
//! |---|---|---|
//! | 1 `name` | string | without `wasm.` |
//! | 3 `type` | enum | 1 `String`, 3 `Protobuf` |
//! | 4 `schema` | bytes | the message's type URL |
//!
//! A Struct has its members in field 1, each a message of 1 name and 2 value; and a value has one
//! of these fields: 1 null, 2 number, 3 string, 4 bool, 5 struct, 6 list, which has its values in
//! field 1.
//!
//! Invariant: a name has one kind in every configuration, because it cannot be declared anew. The
//! names of facts have a prefix that no other name may have.

use super::FilterState;
use crate::config::{Config, Fact};
use crate::http::ambiguous::Ambiguous;
use crate::http::response::Rejection;
use crate::jose::base64url;
use crate::jose::json::{Document, Element};
use crate::named::Named;
use crate::protobuf::{push_double, push_field, push_small};

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
    let mut names = Named::default();
    for name in structs.flatten() {
        names.insert(name, ());
    }
    let structs = names.into_names().into_iter().map(|name| {
        let mut message = Vec::new();
        push_field(&mut message, 1, name.as_bytes());
        push_small(&mut message, 3, 3);
        push_field(&mut message, 4, STRUCT.as_bytes());
        message
    });
    let facts = config.facts.iter().map(|fact| {
        let mut message = Vec::new();
        push_field(&mut message, 1, fact.state().as_bytes());
        push_small(&mut message, 3, 1);
        message
    });
    structs.chain(facts).collect()
}

/// The filter state of a rejected request: why it is rejected. Every provider that names a state
/// for failures gets it, because a rejected token may belong to no provider.
pub fn from_rejection(config: &Config, rejection: &Rejection<'_>) -> Vec<FilterState> {
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
        | Rejection::SessionMissing
        | Rejection::InvalidToken { .. }
        | Rejection::SeveralTokens
        | Rejection::Ambiguous(Ambiguous::TokenList)
        | Rejection::KeysUnavailable { .. }
        | Rejection::ProviderUnavailable { .. }
        | Rejection::TooManyWaiting { .. } => true,
        Rejection::Ambiguous(_)
        | Rejection::InsufficientScope { .. }
        | Rejection::ClaimRule
        | Rejection::CrossSite
        | Rejection::NoRule
        | Rejection::NotConfigured
        | Rejection::HostRefused
        | Rejection::NotEnded { .. }
        | Rejection::SignOutsUnknown { .. }
        | Rejection::SessionStoreUnavailable { .. }
        | Rejection::BodyMissing => false,
    }
}

/// As jwt_authn's `failed_status`, with a name for its number.
fn failure(rejection: &Rejection<'_>) -> Vec<u8> {
    let mut message = Vec::new();
    for (name, text) in [
        ("code", rejection.reason()),
        ("message", rejection.description()),
    ] {
        push_member(&mut message, name, &string(text));
    }
    message
}

/// Text formats of access logs print it as it is, so what could end a line is left out.
pub(super) fn fact(fact: Fact, text: &str) -> Option<FilterState> {
    let printable = !text.chars().any(char::is_control);
    printable.then(|| (fact.state().to_owned(), text.as_bytes().to_vec()))
}

/// The claims, those that are named split at their spaces.
pub(super) fn payload(claims: Element<'_>, space_delimited: &[String]) -> Vec<u8> {
    let mut message = Vec::new();
    for (name, claim) in claims.members() {
        let value = match claim.as_str() {
            Some(text) if space_delimited.iter().any(|known| known == name) => {
                let words = text.split(' ').filter(|word| !word.is_empty());
                list(words.map(string))
            }
            _ => value(claim),
        };
        push_member(&mut message, name, &value);
    }
    message
}

/// A JOSE header, given as the token spells it.
pub(super) fn header(base64url: &[u8]) -> Option<Vec<u8>> {
    let octets = base64url::decode(base64url)?;
    let header = Document::parse(octets).ok()?;
    Some(payload(header.root(), &[]))
}

/// A member of a `google.protobuf.Struct`.
fn push_member(message: &mut Vec<u8>, name: &str, value: &[u8]) {
    let mut member = Vec::new();
    push_field(&mut member, 1, name.as_bytes());
    push_field(&mut member, 2, value);
    push_field(message, 1, &member);
}

/// A `google.protobuf.Value`. Recursion is bounded by the JSON parser.
fn value(element: Element<'_>) -> Vec<u8> {
    let mut message = Vec::new();
    if let Some(text) = element.as_str() {
        return string(text);
    } else if let Some(items) = element.items() {
        return list(items.map(value));
    } else if let Some(number) = element.as_number() {
        // infallible: there are no numbers of arbitrary precision
        push_double(&mut message, 2, number.as_f64().unwrap_or(f64::NAN));
    } else if let Some(value) = element.as_bool() {
        push_small(&mut message, 4, value.into());
    } else if element.is_null() {
        push_small(&mut message, 1, 0);
    } else {
        push_field(&mut message, 5, &payload(element, &[]));
    }
    message
}

fn string(text: &str) -> Vec<u8> {
    let mut message = Vec::new();
    push_field(&mut message, 3, text.as_bytes());
    message
}

fn list(values: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut list = Vec::new();
    for value in values {
        push_field(&mut list, 1, &value);
    }
    let mut message = Vec::new();
    push_field(&mut message, 6, &list);
    message
}

#[cfg(test)]
pub(super) mod tests {
    use prost::Message as _;
    use prost_types::Struct;
    use prost_types::value::Kind;
    use serde_json::{Value, json};

    use super::*;
    use crate::jose::fixtures::JWK_A;

    pub(crate) fn json(decoded: &Struct) -> Value {
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
            .collect::<serde_json::Map<String, Value>>()
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
            let told: Vec<(String, Value)> = from_rejection(&config, &rejection)
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
            from_rejection(
                &self::config(json!({"a": {}}), json!([])),
                &Rejection::TokenMissing
            ),
            []
        );
    }

    #[test]
    fn a_struct_says_what_the_claims_say() {
        let claims = json!({
            "": "", "null": null, "true": true, "false": false, "numbers": [0.0, -1.5, 1e300],
            "lists": [[], [[]], ["a", null, {"b": [false]}]], "objects": {"none": {}, "": {"c": {"d": "e"}}},
            "long": "x".repeat(300), "deep": {"long": ["y".repeat(20_000)]},
        });
        let document = Document::parse(claims.to_string().as_bytes()).unwrap();
        let message = payload(document.root(), &[]);
        assert_eq!(json(&Struct::decode(message.as_slice()).unwrap()), claims);
        assert!(payload(Document::parse(b"{}").unwrap().root(), &[]).is_empty());
    }
}
