//! Private keys for tests: how they are made and read, and how they sign (RFC 7515, RFC 7518, RFC
//! 8037).

use bearer_gate::jose::base64url;
use bearer_gate::jose::jwa::Algorithm;
use p256::elliptic_curve::Generate;
use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey, LineEnding};
use rsa::signature::{RandomizedSigner, SignatureEncoding, Signer};
use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use rsa::{BoxedUint, pkcs1v15, pss};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256, Sha384, Sha512};

use crate::command_error::CommandError;

const RSA_BITS: usize = 2048;

/// Lines above a PEM, which itself has no place for a `kid` and an algorithm.
const KID_LINE: &str = "kid: ";
const ALGORITHM_LINE: &str = "alg: ";

pub(crate) enum PrivateKey {
    Rsa(Box<rsa::PrivateKey>),
    P256(p256::ecdsa::SigningKey),
    P384(p384::ecdsa::SigningKey),
    Ed25519(ed25519_compact::KeyPair),
}

/// A private key, and what its JWK says of it.
pub(crate) struct TestKey {
    pub private: PrivateKey,
    pub kid: Option<String>,
    pub algorithm: Option<Algorithm>,
}

fn problem(error: impl std::fmt::Display) -> CommandError {
    CommandError::usage(format!("the key: {error}"))
}

impl PrivateKey {
    pub(crate) fn generate(algorithm: Algorithm) -> Result<Self, CommandError> {
        Ok(match algorithm {
            Algorithm::Rs256
            | Algorithm::Rs384
            | Algorithm::Rs512
            | Algorithm::Ps256
            | Algorithm::Ps384
            | Algorithm::Ps512 => Self::Rsa(Box::new(
                rsa::PrivateKey::new(&mut rand::rng(), RSA_BITS).map_err(problem)?,
            )),
            Algorithm::Es256 => {
                Self::P256(p256::ecdsa::SigningKey::generate_from_rng(&mut rand::rng()))
            }
            Algorithm::Es384 => {
                Self::P384(p384::ecdsa::SigningKey::generate_from_rng(&mut rand::rng()))
            }
            Algorithm::EdDsa => Self::Ed25519(ed25519_compact::KeyPair::generate()),
            Algorithm::Es512 | Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512 => {
                return Err(CommandError::usage(format!(
                    "{}: no test keys are made for it",
                    algorithm.name()
                )));
            }
        })
    }

    /// The algorithm that is used if none is named.
    pub(crate) fn usual(&self) -> Algorithm {
        match self {
            Self::Rsa(_) => Algorithm::Rs256,
            Self::P256(_) => Algorithm::Es256,
            Self::P384(_) => Algorithm::Es384,
            Self::Ed25519(_) => Algorithm::EdDsa,
        }
    }

    /// PKCS#8 (`-----BEGIN PRIVATE KEY-----`). Lines above it name the `kid` and the algorithm.
    pub(crate) fn to_pem(&self, kid: &str, algorithm: Algorithm) -> Result<String, CommandError> {
        let pem = self.to_bare_pem()?;
        let name = algorithm.name();
        Ok(format!("{KID_LINE}{kid}\n{ALGORITHM_LINE}{name}\n{pem}"))
    }

    fn to_bare_pem(&self) -> Result<String, CommandError> {
        let pem = match self {
            Self::Rsa(key) => key.to_pkcs8_pem(LineEnding::LF).map_err(problem)?,
            Self::P256(key) => key.to_pkcs8_pem(LineEnding::LF).map_err(problem)?,
            Self::P384(key) => key.to_pkcs8_pem(LineEnding::LF).map_err(problem)?,
            Self::Ed25519(key) => return Ok(format!("{}\n", key.to_pem().trim_end())),
        };
        Ok(pem.to_string())
    }

    /// The public members of the JWK.
    pub(crate) fn public(&self) -> Map<String, Value> {
        let b64 = |bytes: &[u8]| Value::from(base64url::encode(bytes));
        let members = match self {
            Self::Rsa(key) => {
                json!({"kty": "RSA", "n": b64(&key.n_bytes()), "e": b64(&key.e_bytes())})
            }
            Self::P256(key) => {
                let point = key.verifying_key().to_sec1_point(false);
                let (x, y) = (point.x().map(|x| b64(x)), point.y().map(|y| b64(y)));
                json!({"kty": "EC", "crv": "P-256", "x": x, "y": y})
            }
            Self::P384(key) => {
                let point = key.verifying_key().to_sec1_point(false);
                let (x, y) = (point.x().map(|x| b64(x)), point.y().map(|y| b64(y)));
                json!({"kty": "EC", "crv": "P-384", "x": x, "y": y})
            }
            Self::Ed25519(key) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": b64(&key.pk[..])})
            }
        };
        match members {
            Value::Object(members) => members,
            _ => Map::new(),
        }
    }

    /// The thumbprint of RFC 7638: the hash of the required public members, in base64url.
    pub(crate) fn thumbprint(&self) -> String {
        // sorted by their names, without white space, as the RFC has it
        let members = Value::Object(self.public().into_iter().collect::<Map<_, _>>());
        base64url::encode(&Sha256::digest(members.to_string().as_bytes()))
    }

    /// The private members of the JWK.
    pub(crate) fn secret(&self) -> Map<String, Value> {
        let b64 = |bytes: &[u8]| Value::from(base64url::encode(bytes));
        let mut members = Map::new();
        let mut add = |name: &str, bytes: &[u8]| members.insert(name.to_owned(), b64(bytes));
        match self {
            Self::Rsa(key) => {
                add("d", &key.d().to_be_bytes_trimmed_vartime());
                for (name, prime) in ["p", "q"].iter().zip(key.primes()) {
                    add(name, &prime.to_be_bytes_trimmed_vartime());
                }
            }
            Self::P256(key) => {
                add("d", &key.to_bytes());
            }
            Self::P384(key) => {
                add("d", &key.to_bytes());
            }
            Self::Ed25519(key) => {
                add("d", &key.sk.seed()[..]);
            }
        }
        members
    }

    /// The signature as RFC 7518 section 3 writes it.
    pub(crate) fn sign(&self, algorithm: Algorithm, text: &[u8]) -> Result<Vec<u8>, CommandError> {
        let mut rng = rand::rng();
        Ok(match (self, algorithm) {
            (Self::Rsa(key), Algorithm::Rs256) => {
                pkcs1v15::SigningKey::<Sha256>::new((**key).clone())
                    .sign(text)
                    .to_vec()
            }
            (Self::Rsa(key), Algorithm::Rs384) => {
                pkcs1v15::SigningKey::<Sha384>::new((**key).clone())
                    .sign(text)
                    .to_vec()
            }
            (Self::Rsa(key), Algorithm::Rs512) => {
                pkcs1v15::SigningKey::<Sha512>::new((**key).clone())
                    .sign(text)
                    .to_vec()
            }
            (Self::Rsa(key), Algorithm::Ps256) => pss::SigningKey::<Sha256>::new((**key).clone())
                .sign_with_rng(&mut rng, text)
                .to_vec(),
            (Self::Rsa(key), Algorithm::Ps384) => pss::SigningKey::<Sha384>::new((**key).clone())
                .sign_with_rng(&mut rng, text)
                .to_vec(),
            (Self::Rsa(key), Algorithm::Ps512) => pss::SigningKey::<Sha512>::new((**key).clone())
                .sign_with_rng(&mut rng, text)
                .to_vec(),
            (Self::P256(key), Algorithm::Es256) => {
                let signature: p256::ecdsa::Signature = key.sign(text);
                signature.to_vec()
            }
            (Self::P384(key), Algorithm::Es384) => {
                let signature: p384::ecdsa::Signature = key.sign(text);
                signature.to_vec()
            }
            (Self::Ed25519(key), Algorithm::EdDsa) => key.sk.sign(text, None).to_vec(),
            _ => {
                return Err(CommandError::usage(format!(
                    "the key is not for {}",
                    algorithm.name()
                )));
            }
        })
    }

    fn from_pem(pem: &str) -> Option<Self> {
        rsa::PrivateKey::from_pkcs8_pem(pem)
            .map(|key| Self::Rsa(Box::new(key)))
            .ok()
            .or_else(|| {
                p256::ecdsa::SigningKey::from_pkcs8_pem(pem)
                    .ok()
                    .map(PrivateKey::P256)
            })
            .or_else(|| {
                p384::ecdsa::SigningKey::from_pkcs8_pem(pem)
                    .ok()
                    .map(PrivateKey::P384)
            })
            .or_else(|| {
                ed25519_compact::KeyPair::from_pem(pem)
                    .ok()
                    .map(PrivateKey::Ed25519)
            })
    }

    fn from_jwk(jwk: &Value) -> Option<Self> {
        let bytes = |name: &str| base64url::decode(jwk.get(name)?.as_str()?.as_bytes());
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        match (text("kty")?, text("crv")) {
            ("RSA", _) => {
                let number = |name| bytes(name).map(|n| BoxedUint::from_be_slice_vartime(&n));
                let key = rsa::PrivateKey::from_p_q(number("p")?, number("q")?, number("e")?);
                key.ok().map(|key| Self::Rsa(Box::new(key)))
            }
            ("EC", Some("P-256")) => p256::ecdsa::SigningKey::from_slice(&bytes("d")?)
                .ok()
                .map(PrivateKey::P256),
            ("EC", Some("P-384")) => p384::ecdsa::SigningKey::from_slice(&bytes("d")?)
                .ok()
                .map(PrivateKey::P384),
            ("OKP", Some("Ed25519")) => {
                let seed = ed25519_compact::Seed::from_slice(&bytes("d")?).ok()?;
                Some(Self::Ed25519(ed25519_compact::KeyPair::from_seed(seed)))
            }
            _ => None,
        }
    }
}

impl TestKey {
    /// From a PKCS#8 PEM or a private JWK.
    pub(crate) fn read(text: &str) -> Result<Self, CommandError> {
        let (private, kid, algorithm) = match serde_json::from_str::<Value>(text) {
            Ok(jwk) => {
                let text = |name: &str| jwk.get(name).and_then(Value::as_str);
                let algorithm = text("alg").and_then(Algorithm::parse);
                (
                    PrivateKey::from_jwk(&jwk),
                    text("kid").map(str::to_owned),
                    algorithm,
                )
            }
            Err(_) => {
                // lines above a PEM are no part of it (RFC 7468 section 5.2)
                let (above, pem) = text.split_at(text.find("-----").unwrap_or(text.len()));
                let told = |name: &str| {
                    let mut lines = above.lines();
                    lines.find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned()))
                };
                let algorithm = told(ALGORITHM_LINE).and_then(|name| Algorithm::parse(&name));
                (PrivateKey::from_pem(pem), told(KID_LINE), algorithm)
            }
        };
        let private = private.ok_or_else(|| {
            CommandError::usage(
                "the key is neither a private JWK nor a PKCS#8 PEM of RSA, P-256, P-384 or Ed25519",
            )
        })?;
        Ok(Self {
            private,
            kid,
            algorithm,
        })
    }
}
