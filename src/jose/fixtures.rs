//! Keys and tokens for the tests. RSA tokens are signed by the `rsa` crate, in a version that
//! verifies nothing here, the others were by PyJWT: no code is shared with either verifier.

use rsa::PrivateKey;
use rsa::pkcs1v15::SigningKey;
use rsa::pkcs8::DecodePrivateKey;
use rsa::pss;
use rsa::signature::{SignatureEncoding, Signer};
use serde_json::{Map, Value, json};
use sha2::{Sha256, Sha384, Sha512};

use super::base64url;
use super::expectations::Expectations;
use super::issuer::Issuer;
use super::json;
use super::jwa::Algorithm;
use super::jwk::{Key, KeyError};
use super::jws::{self, JoseHeader};

pub(crate) const PEM_A: &str = include_str!("../../tests/fixtures/rsa2048-a.pem");
pub(crate) const PEM_B: &str = include_str!("../../tests/fixtures/rsa2048-b.pem");
pub(crate) const JWK_A: &str = include_str!("../../tests/fixtures/rsa2048-a.jwk.json");
pub(crate) const JWK_B: &str = include_str!("../../tests/fixtures/rsa2048-b.jwk.json");
pub(crate) const JWK_A_X5C: &str = include_str!("../../tests/fixtures/rsa2048-a.x5c.jwk.json");
pub(crate) const JWK_P256: &str = include_str!("../../tests/fixtures/p256.jwk.json");
pub(crate) const JWK_P384: &str = include_str!("../../tests/fixtures/p384.jwk.json");
pub(crate) const JWK_P521: &str = include_str!("../../tests/fixtures/p521.jwk.json");
pub(crate) const JWK_ED25519: &str = include_str!("../../tests/fixtures/ed25519.jwk.json");
pub(crate) const JWK_P384_X5C: &str = include_str!("../../tests/fixtures/p384.x5c.jwk.json");
pub(crate) const JWK_P521_X5C: &str = include_str!("../../tests/fixtures/p521.x5c.jwk.json");
pub(crate) const JWK_ED25519_X5C: &str = include_str!("../../tests/fixtures/ed25519.x5c.jwk.json");
pub(crate) const TOKEN_ES256: &str = include_str!("../../tests/fixtures/es256.jwt");
pub(crate) const TOKEN_ES384: &str = include_str!("../../tests/fixtures/es384.jwt");
pub(crate) const TOKEN_ES512: &str = include_str!("../../tests/fixtures/es512.jwt");
pub(crate) const TOKEN_EDDSA: &str = include_str!("../../tests/fixtures/eddsa.jwt");
pub(crate) const SPKI_P521: &str = include_str!("../../tests/fixtures/p521.spki.txt");
pub(crate) const JWK_P256_X5C: &str = include_str!("../../tests/fixtures/p256.x5c.jwk.json");
pub(crate) const SPKI_A: &str = include_str!("../../tests/fixtures/rsa2048-a.spki.txt");

/// The octets that hexadecimal digits stand for.
pub(crate) fn hex(digits: &str) -> Vec<u8> {
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

/// A token's JOSE header.
pub(crate) fn header(header: &str) -> JoseHeader {
    let token = format!("{}.e30.AA", base64url::encode(header.as_bytes()));
    jws::parse(token.as_bytes())
        .unwrap()
        .untrusted_header()
        .clone()
}

pub(crate) fn key(jwk: &str) -> Key {
    parse_key(jwk).unwrap()
}

fn parse_key(jwk: &str) -> Result<Key, KeyError> {
    Key::parse(json::Document::parse(jwk.as_bytes()).unwrap().root())
}

/// A JWK with members set, or taken away where the value is null.
pub(crate) fn altered_jwk(jwk: &str, members: &str) -> String {
    let mut jwk: Map<String, Value> = serde_json::from_str(jwk).unwrap();
    for (name, value) in serde_json::from_str::<Map<String, Value>>(members).unwrap() {
        if value.is_null() {
            jwk.remove(&name);
        } else {
            jwk.insert(name, value);
        }
    }
    Value::Object(jwk).to_string()
}

/// The key of an [`altered_jwk`].
pub(crate) fn altered_key(jwk: &str, members: &str) -> Result<Key, KeyError> {
    parse_key(&altered_jwk(jwk, members))
}

/// Each row alters the JWK by its members; then it is refused for that error, or is a key.
pub(crate) fn check_keys(jwk: &str, table: &[(&str, Option<KeyError>)]) {
    for (members, expected) in table {
        assert_eq!(altered_key(jwk, members).err(), *expected, "{members}");
    }
}

pub(crate) const RSA_ALGORITHMS: [Algorithm; 6] = [
    Algorithm::Rs256,
    Algorithm::Rs384,
    Algorithm::Rs512,
    Algorithm::Ps256,
    Algorithm::Ps384,
    Algorithm::Ps512,
];

/// A signature over `text` by PS256, but for its salt of `salt_len` octets.
pub(crate) fn ps256_with_salt(pem: &str, salt_len: usize, text: &[u8]) -> Vec<u8> {
    let key = pss::SigningKey::<Sha256>::new_with_salt_len(private_key(pem), salt_len);
    key.sign(text).to_vec()
}

fn private_key(pem: &str) -> PrivateKey {
    PrivateKey::from_pkcs8_pem(pem.get(pem.find("-----").unwrap()..).unwrap()).unwrap()
}

/// A token with this header and payload, whatever they are, signed by `pem` with an RSA
/// `algorithm`.
pub(crate) fn token(pem: &str, algorithm: Algorithm, header: &str, payload: &str) -> String {
    let key = private_key(pem);
    let input = format!(
        "{}.{}",
        base64url::encode(header.as_bytes()),
        base64url::encode(payload.as_bytes())
    );
    let text = input.as_bytes();
    let signature = match algorithm {
        Algorithm::Rs256 => SigningKey::<Sha256>::new(key).sign(text).to_vec(),
        Algorithm::Rs384 => SigningKey::<Sha384>::new(key).sign(text).to_vec(),
        Algorithm::Rs512 => SigningKey::<Sha512>::new(key).sign(text).to_vec(),
        Algorithm::Ps256 => pss::SigningKey::<Sha256>::new(key).sign(text).to_vec(),
        Algorithm::Ps384 => pss::SigningKey::<Sha384>::new(key).sign(text).to_vec(),
        Algorithm::Ps512 => pss::SigningKey::<Sha512>::new(key).sign(text).to_vec(),
        _ => panic!("no RSA algorithm"),
    };
    format!("{input}.{}", base64url::encode(&signature))
}

/// When the tests' tokens are good, in seconds since the epoch.
pub(crate) const NOW: f64 = 1_800_000_000.0;
pub(crate) const HEADER: &str = r#"{"alg":"RS256","kid":"test-a","typ":"JWT"}"#;

/// What [`claims`] satisfies.
pub(crate) fn expectations() -> Expectations {
    Expectations {
        issuer: Issuer::One("https://issuer.example/".into()),
        signer: None,
        clients: Vec::new(),
        audiences: vec!["https://api.example".into(), "other".into()],
        algorithms: Algorithm::ASYMMETRIC.to_vec(),
        clock_skew_seconds: 60,
        require_expiration: true,
        allow_sender_constrained: false,
        subjects: None,
        max_lifetime: None,
        token_type: None,
    }
}

/// Good claims with members set, or taken away where the value is null.
pub(crate) fn claims(members: Value) -> String {
    let mut claims = json!({
        "iss": "https://issuer.example/",
        "aud": "https://api.example",
        "sub": "somebody",
        "exp": NOW + 300.0,
        "nbf": NOW,
        "iat": NOW,
    });
    for (name, value) in members.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims.to_string()
}
