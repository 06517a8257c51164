//! The portable verifier: all algorithms but ES512, inside the module.
//!
//! RSA is [`super::rsassa`] on this project's own arithmetic. ECDSA is [`super::ecdsa`] on the groups of
//! `p256` and `p384`, with multiples that are kept for each key. Ed25519 is `ed25519-dalek`'s. All of
//! these compute with public values, so they need not take the same time for every input; the MACs
//! of HMAC are compared in constant time.

use super::ecdsa::Signature;
use super::fits;
use super::hash::Hash;
use super::rsassa::{verify_pkcs1_v1_5, verify_pss};
use crate::jose::jwa::{Algorithm, Curve};
use crate::jose::jwk::{EcPublicKey, Ed25519PublicKey, Key, Material, RsaPublicKey, Secret};
use crate::jose::verifier::Verifier;

/// Verifies in this module, without the host.
#[derive(Clone, Copy, Debug, Default)]
pub struct Portable;

impl Verifier for Portable {
    fn verify(
        &self,
        algorithm: Algorithm,
        key: &Key,
        signing_input: &[u8],
        signature: &[u8],
    ) -> bool {
        if !fits(algorithm, key, signature) {
            return false;
        }
        let hash = Hash::of(algorithm);
        let digest = || hash.digest(&[signing_input]);
        let rsa = |scheme: Rsassa, key| scheme(hash, key, signing_input, signature);
        let ecdsa = |curve| Signature::parse(curve, signature);
        let hmac = |key: &Secret| Some(hash.verify_hmac(key.octets(), signing_input, signature));
        let valid = match (algorithm, key.material()) {
            (Algorithm::Rs256 | Algorithm::Rs384 | Algorithm::Rs512, Material::Rsa(key)) => {
                rsa(verify_pkcs1_v1_5, key)
            }
            (Algorithm::Ps256 | Algorithm::Ps384 | Algorithm::Ps512, Material::Rsa(key)) => {
                rsa(verify_pss, key)
            }
            (Algorithm::Es256, Material::Ec(EcPublicKey::P256(key))) => {
                ecdsa(Curve::P256).and_then(|signature| signature.is_of(key, &digest()))
            }
            (Algorithm::Es384, Material::Ec(EcPublicKey::P384(key))) => {
                ecdsa(Curve::P384).and_then(|signature| signature.is_of(key, &digest()))
            }
            (Algorithm::EdDsa, Material::Ed25519(key)) => eddsa(key, signing_input, signature),
            (Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512, Material::Secret(key)) => {
                hmac(key)
            }
            (
                _,
                Material::Rsa(_) | Material::Ec(_) | Material::Ed25519(_) | Material::Secret(_),
            ) => None,
        };
        valid == Some(true)
    }

    /// Not ES512: P-521 would add 62 KB to the module, for what few sign with.
    fn supports(&self, algorithm: Algorithm) -> bool {
        algorithm != Algorithm::Es512
    }

    fn name(&self) -> &'static str {
        "portable"
    }
}

/// A signature scheme of RSA: hash, key, signing input, signature.
type Rsassa = fn(Hash, &RsaPublicKey, &[u8], &[u8]) -> Option<bool>;

/// RFC 8032 section 5.1.7, without the cofactor, and stricter than it: R is canonical and not of
/// small order.
fn eddsa(key: &Ed25519PublicKey, signing_input: &[u8], signature: &[u8]) -> Option<bool> {
    let signature = ed25519_dalek::Signature::from_slice(signature).ok()?;
    Some(key.point().verify_strict(signing_input, &signature).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::{fixtures, jws};

    #[test]
    fn every_bit_of_a_signature_counts() {
        let token = fixtures::token(
            fixtures::PEM_A,
            Algorithm::Rs256,
            r#"{"alg":"RS256"}"#,
            "any octets at all",
        );
        let jws = jws::parse(token.as_bytes()).unwrap();
        let key = fixtures::key(fixtures::JWK_A);
        let verify = |text: &[u8], signature: &[u8]| {
            Portable.verify(Algorithm::Rs256, &key, text, signature)
        };
        let (text, signature) = (jws.signing_input(), jws.signature());
        assert!(verify(text, signature));
        for at in 0..signature.len() {
            for bit in 0..8 {
                let mut flipped = signature.to_vec();
                flipped[at] ^= 1 << bit;
                assert!(!verify(text, &flipped), "octet {at}, bit {bit}");
            }
        }
        for at in 0..text.len() {
            let mut flipped = text.to_vec();
            flipped[at] ^= 1;
            assert!(!verify(&flipped, signature), "text octet {at}");
        }
    }

    #[test]
    fn a_signature_has_one_length_and_is_below_the_modulus() {
        let token = fixtures::token(fixtures::PEM_A, Algorithm::Rs256, r#"{"alg":"RS256"}"#, "");
        let jws = jws::parse(token.as_bytes()).unwrap();
        let key = fixtures::key(fixtures::JWK_A);
        let Material::Rsa(numbers) = key.material() else {
            panic!("an RSA key");
        };
        let signature = jws.signature();
        for bad in [
            vec![],
            vec![0],
            signature[1..].to_vec(),
            signature[..255].to_vec(),
            [&[0], signature].concat(),
            [signature, &[0]].concat(),
            signature.iter().rev().copied().collect(),
            vec![0; 256],
            vec![0xff; 256],
            [&[0; 255][..], &[1]].concat(),
            numbers.modulus().to_vec(),
        ] {
            assert!(!Portable.verify(Algorithm::Rs256, &key, jws.signing_input(), &bad));
        }
    }
    fn verifies(algorithm: Algorithm, key: &Key, text: &[u8], signature: &[u8]) -> bool {
        Portable.verify(algorithm, key, text, signature)
    }

    /// RFC 7515 appendix A.3 is in tests/vectors.rs; here are PyJWT's signatures.
    #[test]
    fn every_bit_of_a_short_signature_counts() {
        for (jwk, token, algorithm) in [
            (fixtures::JWK_P256, fixtures::TOKEN_ES256, Algorithm::Es256),
            (fixtures::JWK_P384, fixtures::TOKEN_ES384, Algorithm::Es384),
            (
                fixtures::JWK_ED25519,
                fixtures::TOKEN_EDDSA,
                Algorithm::EdDsa,
            ),
        ] {
            let jws = jws::parse(token.as_bytes()).unwrap();
            let key = fixtures::key(jwk);
            let (text, signature) = (jws.signing_input(), jws.signature());
            assert!(verifies(algorithm, &key, text, signature));
            for at in 0..signature.len() {
                for bit in 0..8 {
                    let mut flipped = signature.to_vec();
                    flipped[at] ^= 1 << bit;
                    assert!(
                        !verifies(algorithm, &key, text, &flipped),
                        "{algorithm:?}: octet {at}, bit {bit}"
                    );
                }
                assert!(!verifies(algorithm, &key, text, &signature[..at]));
            }
            let longer = [signature, &[0]].concat();
            assert!(!verifies(algorithm, &key, text, &longer));
            assert!(!verifies(algorithm, &key, &text[1..], signature));
            for other in Algorithm::ALL {
                assert_eq!(verifies(*other, &key, text, signature), *other == algorithm);
            }
        }
    }

    #[test]
    fn what_is_not_supported_is_never_valid() {
        let jws = jws::parse(fixtures::TOKEN_ES512.as_bytes()).unwrap();
        let key = fixtures::key(fixtures::JWK_P521);
        let (text, signature) = (jws.signing_input(), jws.signature());
        assert!(fits(Algorithm::Es512, &key, signature));
        for algorithm in Algorithm::ALL {
            assert!(!verifies(*algorithm, &key, text, signature));
        }
        let supported = |algorithm: &&Algorithm| Portable.supports(**algorithm);
        assert_eq!(Algorithm::ALL.iter().filter(supported).count(), 12);
        assert!(!Portable.supports(Algorithm::Es512));
    }

    #[test]
    fn a16_ecdsa_in_der_is_refused() {
        let jws = jws::parse(fixtures::TOKEN_ES256.as_bytes()).unwrap();
        let key = fixtures::key(fixtures::JWK_P256);
        let signature = jws.signature();
        let der = crate::jose::der::ecdsa_signature(&signature[..32], &signature[32..]);
        assert!(!verifies(Algorithm::Es256, &key, jws.signing_input(), &der));
    }

    #[test]
    fn the_salt_of_pss_is_as_long_as_its_hash() {
        let key = fixtures::key(&fixtures::JWK_A.replace("RS256", "PS256"));
        for salt_len in [0, 1, 20, 31, 32, 33, 48, 64, 222] {
            let signature = fixtures::ps256_with_salt(fixtures::PEM_A, salt_len, b"text");
            let accepted = verifies(Algorithm::Ps256, &key, b"text", &signature);
            assert_eq!(accepted, salt_len == 32, "{salt_len}");
        }
    }
}
