//! The members of a JSON Web Key, RFC 7517 section 4, as a document spells them.
//!
//! Invariant: a member that is null counts as left out, and a member of another type than the RFC
//! gives it is an error. Base64 is read as [`base64url::decode_of_key`] reads it.

use super::base64url;
use super::json::Element;
use super::key_error::KeyError;

/// A member, if it is there. Some serializers write null for a missing one.
pub(super) fn member<'a>(jwk: Element<'a>, name: &str) -> Option<Element<'a>> {
    jwk.get(name).filter(|value| !value.is_null())
}

/// A member that is a text.
pub(super) fn string<'a>(jwk: Element<'a>, name: &str) -> Result<Option<&'a str>, KeyError> {
    member(jwk, name)
        .map(|value| value.as_str().ok_or(KeyError::Malformed))
        .transpose()
}

/// A member that is base64.
pub(super) fn octets(jwk: Element<'_>, name: &str) -> Result<Option<Vec<u8>>, KeyError> {
    string(jwk, name)?
        .map(|text| base64url::decode_of_key(text).ok_or(KeyError::Malformed))
        .transpose()
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value};

    use super::*;
    use crate::jose::fixtures;
    use crate::jose::json::Document;
    use crate::jose::jwk::Key;

    /// A member that is null counts as missing, for every member.
    #[test]
    fn null_is_left_out() {
        let names = [
            "kty", "crv", "kid", "use", "key_ops", "alg", "n", "e", "x", "y", "k", "d", "x5c",
            "x5t", "x5t#S256", "x5u", "ext",
        ];
        for fixture in [
            fixtures::JWK_A,
            fixtures::JWK_P256,
            fixtures::JWK_P521,
            fixtures::JWK_ED25519,
            fixtures::JWK_A_X5C,
            fixtures::JWK_P256_X5C,
            fixtures::JWK_ED25519_X5C,
        ] {
            for name in names {
                let mut jwk: Map<String, Value> = serde_json::from_str(fixture).unwrap();
                let parse = |jwk: &Map<String, Value>| {
                    let text = Value::Object(jwk.clone()).to_string();
                    Key::parse(Document::parse(text.as_bytes()).unwrap().root())
                };
                jwk.remove(name);
                let without = parse(&jwk);
                jwk.insert(name.to_owned(), Value::Null);
                assert_eq!(parse(&jwk), without, "{name} of {fixture}");
            }
        }
        let secret = |more: &str| {
            let k = base64url::encode(&[7; 32]);
            let jwk = format!(r#"{{"kty":"oct","k":"{k}"{more}}}"#);
            Key::parse_with_secrets(Document::parse(jwk.as_bytes()).unwrap().root())
        };
        assert!(secret("").is_ok());
        assert_eq!(secret(r#","alg":null,"use":null,"kid":null"#), secret(""));
    }
}
