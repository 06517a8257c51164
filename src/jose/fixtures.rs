//! Keys and tokens for the tests. Tokens are signed by the `rsa` crate, which verifies nothing
//! here: it shares no code with either verifier.

use rsa::PrivateKey;
use rsa::pkcs1v15::SigningKey;
use rsa::pkcs8::DecodePrivateKey;
use rsa::signature::{SignatureEncoding, Signer};
use sha2::{Sha256, Sha384, Sha512};

use super::base64url;
use super::json;
use super::jwa::Algorithm;
use super::jwk::Key;

pub const PEM_A: &str = include_str!("../../tests/fixtures/rsa2048-a.pem");
pub const PEM_B: &str = include_str!("../../tests/fixtures/rsa2048-b.pem");
pub const JWK_A: &str = include_str!("../../tests/fixtures/rsa2048-a.jwk.json");
pub const JWK_B: &str = include_str!("../../tests/fixtures/rsa2048-b.jwk.json");
pub const JWK_A_X5C: &str = include_str!("../../tests/fixtures/rsa2048-a.x5c.jwk.json");
pub const JWK_P256_X5C: &str = include_str!("../../tests/fixtures/p256.x5c.jwk.json");
pub const SPKI_A: &str = include_str!("../../tests/fixtures/rsa2048-a.spki.txt");

pub fn key(jwk: &str) -> Key {
    Key::parse(&json::parse_object(jwk.as_bytes()).unwrap()).unwrap()
}

/// A token with this header and payload, whatever they are, signed by `pem` with `algorithm`.
pub fn token(pem: &str, algorithm: Algorithm, header: &str, payload: &str) -> String {
    let key = PrivateKey::from_pkcs8_pem(pem.get(pem.find("-----").unwrap()..).unwrap()).unwrap();
    let input = format!(
        "{}.{}",
        base64url::encode(header.as_bytes()),
        base64url::encode(payload.as_bytes())
    );
    let signature = match algorithm {
        Algorithm::Rs256 => SigningKey::<Sha256>::new(key).sign(input.as_bytes()),
        Algorithm::Rs384 => SigningKey::<Sha384>::new(key).sign(input.as_bytes()),
        Algorithm::Rs512 => SigningKey::<Sha512>::new(key).sign(input.as_bytes()),
    };
    format!("{input}.{}", base64url::encode(&signature.to_vec()))
}
