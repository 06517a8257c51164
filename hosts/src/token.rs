//! Tokens by the keys of `tests/fixtures`.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RsaKeyPair,
};
use serde_json::{Value, json};

/// The issuer of [`claims`].
pub const ISSUER: &str = "https://idp.example/";

/// A key of a provider: the algorithm that it signs with, its file and its JWK.
#[derive(Clone, Copy, Debug)]
pub struct Signer {
    /// The name of the algorithm.
    pub algorithm: &'static str,
    pem: &'static str,
    jwk: &'static str,
}

macro_rules! signer {
    ($algorithm:literal, $name:literal) => {
        Signer {
            algorithm: $algorithm,
            pem: include_str!(concat!("../../tests/fixtures/", $name, ".pem")),
            jwk: include_str!(concat!("../../tests/fixtures/", $name, ".jwk.json")),
        }
    };
}

/// The key that most tests use.
pub const RS256: Signer = signer!("RS256", "rsa2048-a");
/// A key that the provider has after it has rotated.
pub const RS256_B: Signer = signer!("RS256", "rsa2048-b");
/// One for each kind of signature that a library for tokens can make.
pub const SIGNERS: [Signer; 6] = [
    RS256,
    signer!("RS512", "rsa2048-a"),
    signer!("PS256", "rsa2048-a"),
    signer!("ES256", "p256"),
    signer!("ES384", "p384"),
    signer!("EdDSA", "ed25519"),
];

impl Signer {
    /// The public key, for this algorithm.
    #[must_use]
    pub fn jwk(&self) -> Value {
        let mut jwk: Value = serde_json::from_str(self.jwk).expect("a key");
        jwk["alg"] = self.algorithm.into();
        jwk["kid"] = format!(
            "{}-{}",
            jwk["kid"].as_str().unwrap_or("key"),
            self.algorithm
        )
        .into();
        jwk
    }

    /// A token with these claims.
    #[must_use]
    pub fn token(&self, claims: &Value) -> String {
        let header = json!({"alg": self.algorithm, "kid": self.jwk()["kid"]});
        let part = |part: &Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
        let input = format!("{}.{}", part(&header), part(claims));
        let signature = self.sign(input.as_bytes());
        format!("{input}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }

    fn sign(&self, input: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        let key = der(self.pem);
        let rsa = |padding| {
            let key = RsaKeyPair::from_pkcs8(&key).expect("a key");
            let mut signature = vec![0; key.public().modulus_len()];
            key.sign(padding, &random, input, &mut signature)
                .expect("a signature");
            signature
        };
        let ecdsa = |algorithm| {
            let key = EcdsaKeyPair::from_pkcs8(algorithm, &key, &random).expect("a key");
            let signature = key.sign(&random, input).expect("a signature");
            signature.as_ref().to_vec()
        };
        match self.algorithm {
            "RS256" => rsa(&RSA_PKCS1_SHA256),
            "RS512" => rsa(&RSA_PKCS1_SHA512),
            "PS256" => rsa(&RSA_PSS_SHA256),
            "ES256" => ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING),
            "ES384" => ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING),
            "EdDSA" => {
                let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&key).expect("a key");
                key.sign(input).as_ref().to_vec()
            }
            other => panic!("{other}"),
        }
    }
}

fn der(pem: &str) -> Vec<u8> {
    let (_, key) = pem
        .split_once("-----BEGIN PRIVATE KEY-----")
        .expect("a key");
    let (key, _) = key.split_once("-----END").expect("a key");
    let key: String = key.split_whitespace().collect();
    BASE64_STANDARD.decode(key).expect("a key")
}

/// A key set with these keys.
#[must_use]
pub fn jwks(signers: &[Signer]) -> String {
    let keys: Vec<Value> = signers.iter().map(Signer::jwk).collect();
    json!({"keys": keys}).to_string()
}

/// Seconds since 1970.
#[must_use]
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("a clock after 1970").as_secs()
}

/// The claims of a good token, changed by `patch`: a member that is null goes.
#[must_use]
pub fn claims(patch: &Value) -> Value {
    let mut claims = json!({
        "iss": ISSUER,
        "aud": "api",
        "sub": "ada",
        "exp": now() + 600,
    });
    for (name, value) in patch.as_object().into_iter().flatten() {
        if value.is_null() {
            claims.as_object_mut().expect("claims").remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

/// The header of a good token, changed as [`claims`].
#[must_use]
pub fn bearer(patch: &Value) -> String {
    format!("Bearer {}", RS256.token(&claims(patch)))
}
