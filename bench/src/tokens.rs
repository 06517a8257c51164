//! Keys and tokens, minted before anything is measured.
//!
//! The testbed's tokens are signed in plain Rust, which takes too long for the tens of thousands
//! that a benchmark needs; these are signed by AWS-LC, on all cores.

use anyhow::{Context, Result, anyhow, bail};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RSA_PSS_SHA256, RsaKeyPair,
};
use bearer_gate_testbed::token::{base64url, now};
use clap::ValueEnum;
use hyper::header::AUTHORIZATION;
use serde_json::{Value, json};

use crate::supply::Ask;

/// What signs the tokens of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Algorithm {
    #[value(name = "RS256")]
    Rs256,
    #[value(name = "RS256-4096")]
    Rs256With4096,
    #[value(name = "PS256")]
    Ps256,
    #[value(name = "ES256")]
    Es256,
    #[value(name = "EdDSA")]
    EdDsa,
}

impl Algorithm {
    /// The `alg` of the JOSE header.
    pub(crate) fn alg(self) -> &'static str {
        match self {
            Self::Rs256 | Self::Rs256With4096 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm and the key, as the report names them.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256, 2048 bits",
            Self::Rs256With4096 => "RS256, 4096 bits",
            Self::Ps256 => "PS256, 2048 bits",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA (Ed25519)",
        }
    }
}

enum Private {
    Rsa(RsaKeyPair),
    Pss(RsaKeyPair),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// A key pair with its kid.
pub(crate) struct Key {
    kid: String,
    algorithm: Algorithm,
    private: Private,
    random: SystemRandom,
}

impl Key {
    /// A new one.
    ///
    /// # Errors
    /// When AWS-LC cannot make it.
    pub(crate) fn generate(algorithm: Algorithm, kid: &str) -> Result<Self> {
        let made = match algorithm {
            Algorithm::Rs256 => RsaKeyPair::generate(KeySize::Rsa2048).map(Private::Rsa),
            Algorithm::Rs256With4096 => RsaKeyPair::generate(KeySize::Rsa4096).map(Private::Rsa),
            Algorithm::Ps256 => RsaKeyPair::generate(KeySize::Rsa2048).map(Private::Pss),
            Algorithm::Es256 => {
                EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map(Private::Ecdsa)
            }
            Algorithm::EdDsa => Ed25519KeyPair::generate().map(Private::Ed25519),
        };
        Ok(Self {
            kid: kid.to_owned(),
            algorithm,
            private: made.map_err(|_| anyhow!("no {algorithm:?} key could be made"))?,
            random: SystemRandom::new(),
        })
    }

    /// The public JWK (RFC 7517, RFC 8037).
    pub(crate) fn jwk(&self) -> Result<Value> {
        let mut jwk = match &self.private {
            Private::Rsa(pair) | Private::Pss(pair) => {
                let public = pair.public_key();
                json!({
                    "kty": "RSA",
                    "n": base64url(public.modulus().big_endian_without_leading_zero()),
                    "e": base64url(public.exponent().big_endian_without_leading_zero()),
                })
            }
            Private::Ecdsa(pair) => {
                // An uncompressed point: 4, x, y (SEC 1 s2.3.3).
                let point = pair.public_key().as_ref().get(1..);
                let (x, y) = point
                    .context("a point")?
                    .split_at_checked(32)
                    .context("x")?;
                json!({"kty": "EC", "crv": "P-256", "x": base64url(x), "y": base64url(y)})
            }
            Private::Ed25519(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": base64url(pair.public_key())})
            }
        };
        for (name, value) in [
            ("kid", self.kid.as_str()),
            ("alg", self.algorithm.alg()),
            ("use", "sig"),
        ] {
            if let Some(jwk) = jwk.as_object_mut() {
                jwk.insert(name.to_owned(), json!(value));
            }
        }
        Ok(jwk)
    }

    /// A signed token (RFC 7515 s3.1).
    pub(crate) fn sign(&self, claims: &Value) -> Result<String> {
        let header = json!({"alg": self.algorithm.alg(), "typ": "JWT", "kid": self.kid});
        let input = format!(
            "{}.{}",
            base64url(header.to_string()),
            base64url(claims.to_string())
        );
        let message = input.as_bytes();
        let rsa = |pair: &RsaKeyPair, encoding| {
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(encoding, &self.random, message, &mut signature)?;
            Ok(signature)
        };
        let signature = match &self.private {
            Private::Rsa(pair) => rsa(pair, &RSA_PKCS1_SHA256),
            Private::Pss(pair) => rsa(pair, &RSA_PSS_SHA256),
            Private::Ecdsa(pair) => pair
                .sign(&self.random, message)
                .map(|signature| signature.as_ref().to_vec()),
            Private::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
        };
        let signature = signature.map_err(|_| anyhow!("a token could not be signed"))?;
        Ok(format!("{input}.{}", base64url(signature)))
    }
}

/// The issuer of all tokens.
pub(crate) const ISSUER: &str = "https://tenant.eu.example.com/";
/// Their audience.
pub(crate) const AUDIENCE: &str = "https://api.example.com";

/// Claims as an identity provider writes them; with the header some 600 bytes are signed.
pub(crate) fn claims(serial: usize, issued: i64) -> Value {
    json!({
        "iss": ISSUER,
        "sub": format!("auth0|5f7c8ec7c33c6c004bbafe{serial:08}"),
        "aud": [AUDIENCE, "https://tenant.eu.example.com/userinfo"],
        "iat": issued,
        "exp": issued + 24 * 3600,
        "azp": "my8vY3xkQ7Jq2R0aWc5tN1uPzLdEfGhB",
        "scope": "openid profile email read:messages write:messages",
        "https://example.com/email": "jane.doe@example.com",
        "https://example.com/roles": ["admin", "editor"],
        "permissions": ["read:messages", "write:messages", "read:reports"],
    })
}

/// Mints this many different tokens on all cores, as requests with them.
///
/// # Errors
/// When one cannot be signed.
pub(crate) fn mint(key: &Key, count: usize) -> Result<Vec<Ask>> {
    let issued = now();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = count.div_ceil(threads).max(1);
    let serials: Vec<usize> = (0..count).collect();
    let parts: Vec<Result<Vec<Ask>>> = std::thread::scope(|scope| {
        let running: Vec<_> = serials
            .chunks(share)
            .map(|serials| {
                scope.spawn(move || {
                    let mint = |serial: &usize| {
                        let token = key.sign(&claims(*serial, issued))?;
                        Ask::with(AUTHORIZATION, &format!("Bearer {token}"))
                    };
                    serials.iter().map(mint).collect()
                })
            })
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| bail!("a thread panicked")))
            .collect()
    });
    let mut tokens = Vec::with_capacity(count);
    for part in parts {
        tokens.extend(part?);
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn tokens_are_distinct_and_signed_for_their_key() {
        for algorithm in [
            Algorithm::Rs256,
            Algorithm::Ps256,
            Algorithm::Es256,
            Algorithm::EdDsa,
        ] {
            let key = Key::generate(algorithm, "k").unwrap();
            assert_eq!(key.jwk().unwrap()["alg"], algorithm.alg());
            let tokens = mint(&key, 5).unwrap();
            let different: BTreeSet<String> = tokens.iter().map(|ask| format!("{ask:?}")).collect();
            assert_eq!(different.len(), 5);
        }
    }

    #[test]
    fn some_600_bytes_are_signed() {
        let key = Key::generate(Algorithm::EdDsa, "k").unwrap();
        let token = key.sign(&claims(1, now())).unwrap();
        let signed = token.rsplit_once('.').unwrap().0.len();
        assert!((550..750).contains(&signed), "{signed}");
    }
}
