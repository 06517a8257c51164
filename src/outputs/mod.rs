//! What the upstream, later filters and the access log learn of a request: from a verified token,
//! or from a rejection, to headers and filter state.
//!
//! Invariants: the outputs of a token are made once, from a [`Verified`] one, and kept with it, those
//! of a session likewise from one that was opened [`Alive`]; a value of these that cannot be written
//! exactly is left out, never written in part; and what a token says that was refused goes to no
//! header, and to names that say it.

mod state;
mod value;

use std::rc::Rc;

pub use state::{declarations, from_rejection};

use crate::config::{Config, Fact, Provider};
use crate::http::credentials::Change;
use crate::jose::base64url;
use crate::jose::claims::Claims;
use crate::jose::jwt::{Parsed, Verified};
use crate::session::life::Alive;
use crate::shown::escaped;

/// The most octets that are told of a claim that nobody has verified, before they are escaped.
const MOST_UNVERIFIED: usize = 128;

/// A header of the request: its name in lower case, and a legal value.
pub type HeaderField = (String, Vec<u8>);
/// A filter state: its name, without the `wasm.` that Envoy adds, and its value.
pub type FilterState = (String, Vec<u8>);

/// What is passed on of a token, ready to be sent.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outputs {
    /// Headers to set, in place of any others of their names.
    pub set: Vec<HeaderField>,
    /// Headers to add to those.
    pub add: Vec<HeaderField>,
    /// Filter states to set, for later filters and access logs.
    pub states: Vec<FilterState>,
}

impl Outputs {
    /// The bytes of all names and values.
    pub fn size(&self) -> usize {
        [&self.set, &self.add, &self.states]
            .into_iter()
            .flatten()
            .map(|(name, value)| name.len().saturating_add(value.len()))
            .fold(0, usize::saturating_add)
    }
}

/// What is changed of a request before the upstream gets it. Requests with one token share it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// How the tokens are taken out of the request.
    pub strip: Vec<Change>,
    /// What the upstream and later filters are told of each token.
    pub outputs: Vec<Rc<Outputs>>,
}

/// What is passed on of a token of this provider.
pub fn from_token(provider: &Provider, verified: &Verified<'_>) -> Outputs {
    let payload = || verified.payload_b64().to_vec();
    let header = Some(verified.header_b64());
    from_claims(provider, verified.claims(), header, &payload)
}

/// What is passed on of a session with this provider; `claims` are those that it keeps.
pub fn from_session(provider: &Provider, session: &Alive, claims: &Claims) -> Outputs {
    let json = &session.session().claims;
    let payload = || base64url::encode(json.as_bytes()).into_bytes();
    from_claims(provider, claims, None, &payload)
}

/// What follows from claims. `header` is the JOSE header in base64url, where there is one, and
/// `payload` makes the claims likewise.
fn from_claims(
    provider: &Provider,
    claims: &Claims,
    header: Option<&[u8]>,
    payload: &dyn Fn() -> Vec<u8>,
) -> Outputs {
    let mut outputs = Outputs::default();
    let wanted = &provider.outputs;
    if let Some(header) = &wanted.payload_header {
        let mut value = payload();
        if header.padded {
            value.resize(value.len().next_multiple_of(4), b'=');
        }
        outputs.set.push((header.name.clone(), value));
    }
    for wanted in &wanted.claim_headers {
        let claim = claims.at(&wanted.claim);
        let values = claim.and_then(|claim| value::header_values(claim.to_value(), wanted));
        let mut headers = values
            .into_iter()
            .flatten()
            .map(|value| (wanted.header.clone(), value.into_bytes()));
        outputs.set.extend(headers.next());
        outputs.add.extend(headers);
    }
    if let Some(name) = &wanted.payload_state {
        let value = state::payload(claims.all(), &wanted.space_delimited_claims);
        outputs.states.push((name.clone(), value));
    }
    if let Some((name, header)) = wanted.header_state.as_ref().zip(header) {
        let value = state::header(header);
        outputs
            .states
            .extend(value.map(|value| (name.clone(), value)));
    }
    for fact in &wanted.facts {
        let text = match fact {
            Fact::Reason
            | Fact::UnverifiedIssuer
            | Fact::UnverifiedSubject
            | Fact::UnverifiedKid => None,
            Fact::Provider => Some(provider.name.as_str()),
            Fact::Issuer => claims.issuer(),
            Fact::Subject => claims.subject(),
        };
        outputs
            .states
            .extend(text.and_then(|text| state::fact(*fact, text)));
    }
    outputs
}

/// What access logs are told of a token that was refused: what its client says, escaped and cut.
pub fn from_refused(config: &Config, token: &Parsed<'_>) -> Outputs {
    let (header, claims) = (token.untrusted_header(), token.untrusted_claims());
    let mut outputs = Outputs::default();
    for fact in &config.facts {
        let text = match fact {
            Fact::UnverifiedIssuer => claims.issuer(),
            Fact::UnverifiedSubject => claims.subject(),
            Fact::UnverifiedKid => header.kid.as_deref(),
            Fact::Reason | Fact::Provider | Fact::Issuer | Fact::Subject => None,
        };
        outputs.states.extend(text.map(|text| {
            let shown = escaped(text.as_bytes(), MOST_UNVERIFIED);
            (fact.state().to_owned(), shown.into_bytes())
        }));
    }
    outputs
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use prost_types::Struct;
    use serde_json::{Value, json};

    use super::*;
    use crate::config::Config;
    use crate::jose::base64url;
    use crate::jose::fixtures::JWK_A;
    use crate::jose::jwa::Algorithm;
    use crate::jose::jwk::Key;
    use crate::jose::jwks::KeySet;
    use crate::jose::jwt;
    use crate::jose::verifier::Verifier;

    struct Any;

    impl Verifier for Any {
        fn verify(&self, _: Algorithm, _: &Key, _: &[u8], _: &[u8]) -> bool {
            true
        }

        fn name(&self) -> &'static str {
            "any"
        }
    }

    fn config(mut provider: Value, facts: Value) -> Config {
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
        let config = json!({"providers": {"p": provider}, "filter_state": facts});
        Config::parse(config.to_string().as_bytes()).unwrap()
    }

    fn outputs(provider: Value, facts: Value, claims: &str) -> Outputs {
        let config = config(provider, facts);
        let provider = config.providers.iter().next().unwrap();
        let header = base64url::encode(br#"{"alg":"RS256","x":[1]}"#);
        let token = format!("{header}.{}.AAAA", base64url::encode(claims.as_bytes()));
        let keys = KeySet::parse(format!("{{\"keys\":[{JWK_A}]}}").as_bytes()).unwrap();
        let candidates: Vec<&Key> = keys.keys().iter().collect();
        let verified = jwt::parse(token.as_bytes())
            .unwrap()
            .validate(&provider.expectations, 0.0)
            .unwrap()
            .verify(&candidates, &Any)
            .unwrap();
        from_token(provider, &verified)
    }

    fn header(name: &str, value: &str) -> HeaderField {
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
            json!([]),
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
        assert_eq!(outputs.states, []);
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
                let outputs = outputs(provider, json!([]), claims);
                assert_eq!(outputs.set, [header("x-p", expected)]);
            }
        }
    }

    #[test]
    fn filter_state_of_a_token() {
        let outputs = outputs(
            json!({
                "payload_in_metadata": "claims",
                "header_in_metadata": "jose",
                "failed_status_in_metadata": "failed",
                "normalize_payload_in_metadata": {"space_delimited_claims": ["scope", "a.b", "c.d", "n"]},
            }),
            json!(["reason", "provider", "issuer", "subject"]),
            r#"{"iss":"i","sub":"s","scope":" a  b ","a":{"b":"x y"},"c.d":"p","n":1,"big":9007199254740993}"#,
        );
        let decoded = |name: &str| {
            let (_, value) = outputs
                .states
                .iter()
                .find(|(known, _)| known == name)
                .unwrap();
            state::tests::json(&Struct::decode(value.as_slice()).unwrap())
        };
        // doubles, as in jwt_authn's metadata
        assert_eq!(
            decoded("claims"),
            json!({"iss": "i", "sub": "s", "scope": ["a", "b"], "a": {"b": "x y"}, "c.d": ["p"], "n": 1.0, "big": 9007199254740992.0})
        );
        assert_eq!(decoded("jose"), json!({"alg": "RS256", "x": [1.0]}));
        let facts: Vec<(&str, &[u8])> = outputs
            .states
            .iter()
            .skip(2)
            .map(|(name, value)| (name.as_str(), value.as_slice()))
            .collect();
        assert_eq!(
            facts,
            [
                ("bearer_gate.provider", b"p".as_slice()),
                ("bearer_gate.issuer", b"i"),
                ("bearer_gate.subject", b"s")
            ]
        );
    }

    #[test]
    fn nothing_is_told_that_is_not_asked_for_and_no_fact_that_could_forge_a_line_of_a_log() {
        let claims = r#"{"iss":"i","sub":"a\n200 bob"}"#;
        assert_eq!(outputs(json!({}), json!([]), claims), Outputs::default());
        let outputs = outputs(json!({}), json!(["subject", "issuer"]), claims);
        assert_eq!(outputs.states, [header("bearer_gate.issuer", "i")]);
    }
}
