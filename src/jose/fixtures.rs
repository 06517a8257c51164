//! Keys and tokens for the tests. RSA tokens are signed by the `rsa` crate, in a version that
//! verifies nothing here, the others were by PyJWT: no code is shared with either verifier.

use rsa::PrivateKey;
use rsa::pkcs1v15::SigningKey;
use rsa::pkcs8::DecodePrivateKey;
use rsa::pss;
use rsa::signature::{SignatureEncoding, Signer};
use sha2::{Sha256, Sha384, Sha512};

use super::base64url;
use super::json;
use super::jwa::Algorithm;
use super::jwk::Key;
use super::jws::{self, JoseHeader};

pub const PEM_A: &str = include_str!("../../tests/fixtures/rsa2048-a.pem");
pub const PEM_B: &str = include_str!("../../tests/fixtures/rsa2048-b.pem");
pub const JWK_A: &str = include_str!("../../tests/fixtures/rsa2048-a.jwk.json");
pub const JWK_B: &str = include_str!("../../tests/fixtures/rsa2048-b.jwk.json");
pub const JWK_A_X5C: &str = include_str!("../../tests/fixtures/rsa2048-a.x5c.jwk.json");
pub const JWK_P256: &str = include_str!("../../tests/fixtures/p256.jwk.json");
pub const JWK_P384: &str = include_str!("../../tests/fixtures/p384.jwk.json");
pub const JWK_P521: &str = include_str!("../../tests/fixtures/p521.jwk.json");
pub const JWK_ED25519: &str = include_str!("../../tests/fixtures/ed25519.jwk.json");
pub const JWK_P384_X5C: &str = include_str!("../../tests/fixtures/p384.x5c.jwk.json");
pub const JWK_P521_X5C: &str = include_str!("../../tests/fixtures/p521.x5c.jwk.json");
pub const JWK_ED25519_X5C: &str = include_str!("../../tests/fixtures/ed25519.x5c.jwk.json");
pub const TOKEN_ES256: &str = include_str!("../../tests/fixtures/es256.jwt");
pub const TOKEN_ES384: &str = include_str!("../../tests/fixtures/es384.jwt");
pub const TOKEN_ES512: &str = include_str!("../../tests/fixtures/es512.jwt");
pub const TOKEN_EDDSA: &str = include_str!("../../tests/fixtures/eddsa.jwt");
pub const SPKI_P521: &str = include_str!("../../tests/fixtures/p521.spki.txt");
pub const JWK_P256_X5C: &str = include_str!("../../tests/fixtures/p256.x5c.jwk.json");
pub const SPKI_A: &str = include_str!("../../tests/fixtures/rsa2048-a.spki.txt");

/// The octets that hexadecimal digits stand for.
pub fn hex(digits: &str) -> Vec<u8> {
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

/// A token's JOSE header.
pub fn header(header: &str) -> JoseHeader {
    let token = format!("{}.e30.AA", base64url::encode(header.as_bytes()));
    jws::parse(token.as_bytes())
        .unwrap()
        .untrusted_header()
        .clone()
}

pub fn key(jwk: &str) -> Key {
    Key::parse(json::Document::parse(jwk.as_bytes()).unwrap().root()).unwrap()
}

pub const RSA_ALGORITHMS: [Algorithm; 6] = [
    Algorithm::Rs256,
    Algorithm::Rs384,
    Algorithm::Rs512,
    Algorithm::Ps256,
    Algorithm::Ps384,
    Algorithm::Ps512,
];

/// A signature over `text` by PS256, but for its salt of `salt_len` octets.
pub fn ps256_with_salt(pem: &str, salt_len: usize, text: &[u8]) -> Vec<u8> {
    let key = pss::SigningKey::<Sha256>::new_with_salt_len(private_key(pem), salt_len);
    key.sign(text).to_vec()
}

fn private_key(pem: &str) -> PrivateKey {
    PrivateKey::from_pkcs8_pem(pem.get(pem.find("-----").unwrap()..).unwrap()).unwrap()
}

/// A token with this header and payload, whatever they are, signed by `pem` with an RSA
/// `algorithm`.
pub fn token(pem: &str, algorithm: Algorithm, header: &str, payload: &str) -> String {
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
