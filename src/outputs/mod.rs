//! What the upstream learns of a request: from a verified token to headers.
//!
//! Invariants: what is told of a token is made of a [`Verified`] one, once, and kept with it; and
//! what cannot be told truly is not told at all, never in part.

mod value;

use crate::config::Provider;
use crate::jose::claims;
use crate::jose::jwt::Verified;

/// A header of the request: its name in lower case, and a legal value.
pub type Header = (String, Vec<u8>);

/// What is told of a token, ready-made.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outputs {
    /// Headers to set, in place of any others of their names.
    pub set: Vec<Header>,
    /// Headers to add to those.
    pub add: Vec<Header>,
}

impl Outputs {
    /// How many bytes it has.
    pub fn size(&self) -> usize {
        [&self.set, &self.add]
            .into_iter()
            .flatten()
            .map(|(name, value)| name.len().saturating_add(value.len()))
            .fold(0, usize::saturating_add)
    }
}

/// What is told of a token of this provider.
pub fn of(provider: &Provider, verified: &Verified) -> Outputs {
    let mut outputs = Outputs::default();
    let wanted = &provider.outputs;
    let claims = verified.claims();
    if let Some(header) = &wanted.payload_header {
        let mut value = verified.payload_b64().as_bytes().to_vec();
        if header.padded {
            value.resize(value.len().next_multiple_of(4), b'=');
        }
        outputs.set.push((header.name.clone(), value));
    }
    for wanted in &wanted.claim_headers {
        let claim = claims::at(claims.all(), &wanted.claim);
        let values = claim.and_then(|claim| value::of(claim, wanted));
        let mut headers = values
            .into_iter()
            .flatten()
            .map(|value| (wanted.header.clone(), value.into_bytes()));
        outputs.set.extend(headers.next());
        outputs.add.extend(headers);
    }
    outputs
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::config::Config;
    use crate::jose::base64url;
    use crate::jose::fixtures::JWK_A;
    use crate::jose::jwa::Algorithm;
    use crate::jose::jwk::Key;
    use crate::jose::jwks::KeySet;
    use crate::jose::jwt;
    use crate::signature::Verifier;

    struct Any;

    impl Verifier for Any {
        fn verify(&self, _: Algorithm, _: &Key, _: &[u8], _: &[u8]) -> bool {
            true
        }

        fn name(&self) -> &'static str {
            "any"
        }
    }

    fn config(mut provider: Value) -> Config {
        for (name, value) in [
            ("any_issuer", json!(true)),
            ("any_audience", json!(true)),
            ("require_expiration", json!(false)),
            (
                "local_jwks",
                json!({"inline_string": format!("{{\"keys\":[{JWK_A}]}}")}),
            ),
        ] {
            provider[name] = value;
        }
        let config = json!({"providers": {"p": provider}});
        Config::parse(config.to_string().as_bytes()).unwrap()
    }

    fn outputs(provider: Value, claims: &str) -> Outputs {
        let config = config(provider);
        let header = base64url::encode(br#"{"alg":"RS256","x":[1]}"#);
        let token = format!("{header}.{}.AAAA", base64url::encode(claims.as_bytes()));
        let keys = KeySet::parse(format!("{{\"keys\":[{JWK_A}]}}").as_bytes()).unwrap();
        let candidates: Vec<&Key> = keys.keys().iter().collect();
        let verified = jwt::parse(token.as_bytes())
            .unwrap()
            .validate(&config.providers[0].expectations, 0.0)
            .unwrap()
            .verify(&candidates, &Any)
            .unwrap();
        of(&config.providers[0], &verified)
    }

    fn header(name: &str, value: &str) -> Header {
        (name.to_owned(), value.as_bytes().to_vec())
    }

    #[test]
    fn headers_in_the_order_of_the_configuration() {
        let outputs = outputs(
            json!({
                "forward_payload_header": "x-payload",
                "pad_forward_payload_header": true,
                "claim_to_headers": [
                    {"header_name": "x-roles", "claim_path": ["https://e.example/roles"], "format": "repeat"},
                    {"header_name": "x-city", "claim_name": "address.city"},
                    {"header_name": "x-none", "claim_name": "none"},
                ],
            }),
            r#"{"https://e.example/roles":["a","b","c"],"address":{"city":"Delft"}}"#,
        );
        let payload = "eyJodHRwczovL2UuZXhhbXBsZS9yb2xlcyI6WyJhIiwiYiIsImMiXSwiYWRkcmVzcyI6eyJjaXR5IjoiRGVsZnQifX0=";
        assert_eq!(
            outputs.set,
            [
                header("x-payload", payload),
                header("x-roles", "a"),
                header("x-city", "Delft")
            ]
        );
        assert_eq!(
            outputs.add,
            [header("x-roles", "b"), header("x-roles", "c")]
        );
        assert_eq!(
            outputs.size(),
            "x-payload".len() + payload.len() + 3 * "x-rolesa".len() + "x-cityDelft".len()
        );
    }

    #[test]
    fn the_payload_is_padded_only_if_it_has_to_be_and_if_that_is_asked_for() {
        for (claims, plain, padded) in [
            (r#"{"a":1}"#, "eyJhIjoxfQ", "eyJhIjoxfQ=="),
            (r#"{"a":12}"#, "eyJhIjoxMn0", "eyJhIjoxMn0="),
            (r#"{"a":123}"#, "eyJhIjoxMjN9", "eyJhIjoxMjN9"),
        ] {
            for (pad, expected) in [(false, plain), (true, padded)] {
                let provider =
                    json!({"forward_payload_header": "x-p", "pad_forward_payload_header": pad});
                let outputs = outputs(provider, claims);
                assert_eq!(outputs.set, [header("x-p", expected)]);
            }
        }
    }
}
