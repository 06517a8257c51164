//! The portable verifier: jwt-simple's, for hosts that verify no signatures.
//!
//! jwt-simple verifies a signature only as a part of verifying a whole token, and that part
//! cannot be had alone: it refuses headers that RFC 7519 allows (`typ` other than `JWT`, a
//! `jwk` object), fails on claims that are not its own idea of them (a `jti` that is a number)
//! and reads the claims a second time, by rules that are not ours. So the step in the middle is
//! done here as jwt-simple does it, with its parts: its hash for each RSA algorithm and the RSA
//! of `superboring`, the crate that its `pure-rust` feature stands on; the ECDSA of `p256` and
//! `p384`; the Ed25519 of `ed25519-compact`, which refuses an S that is not reduced and points
//! that are of small order or not canonical, in the key and in the signature.
//!
//! An RSA key is built from its numbers rather than by jwt-simple's key type, which takes no
//! other exponent than 65537; the bounds that it would check were checked when the key was
//! parsed.

use jwt_simple::algorithms::{
    PS256PublicKey, PS384PublicKey, PS512PublicKey, RS256PublicKey, RS384PublicKey, RS512PublicKey,
    RSAPublicKeyLike as Rsassa,
};
use p256::ecdsa::signature::Verifier as _;
use superboring::bn::BigNum;
use superboring::hash::MessageDigest;
use superboring::pkey::{PKey, Public};
use superboring::rsa::{Padding, Rsa};
use superboring::sign::RsaPssSaltlen;

use super::{Verifier, fits};
use crate::jose::jwa::Algorithm;
use crate::jose::jwk::{EcPublicKey, Ed25519PublicKey, Key, Material, RsaPublicKey};

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
        let rsa = |scheme: Scheme, hash, key| scheme(hash, key, signing_input, signature);
        let valid = match (algorithm, key.material()) {
            (Algorithm::Rs256, Material::Rsa(key)) => {
                rsa(pkcs1, <RS256PublicKey as Rsassa>::hash(), key)
            }
            (Algorithm::Rs384, Material::Rsa(key)) => {
                rsa(pkcs1, <RS384PublicKey as Rsassa>::hash(), key)
            }
            (Algorithm::Rs512, Material::Rsa(key)) => {
                rsa(pkcs1, <RS512PublicKey as Rsassa>::hash(), key)
            }
            (Algorithm::Ps256, Material::Rsa(key)) => {
                rsa(pss, <PS256PublicKey as Rsassa>::hash(), key)
            }
            (Algorithm::Ps384, Material::Rsa(key)) => {
                rsa(pss, <PS384PublicKey as Rsassa>::hash(), key)
            }
            (Algorithm::Ps512, Material::Rsa(key)) => {
                rsa(pss, <PS512PublicKey as Rsassa>::hash(), key)
            }
            (Algorithm::Es256, Material::Ec(EcPublicKey::P256(key))) => {
                es256(key, signing_input, signature)
            }
            (Algorithm::Es384, Material::Ec(EcPublicKey::P384(key))) => {
                es384(key, signing_input, signature)
            }
            (Algorithm::EdDsa, Material::Ed25519(key)) => eddsa(key, signing_input, signature),
            (_, Material::Rsa(_) | Material::Ec(_) | Material::Ed25519(_)) => None,
        };
        valid == Some(true)
    }

    fn name(&self) -> &'static str {
        "portable"
    }
}

/// RSASSA-PKCS1-v1_5 or RSASSA-PSS: hash, key, signing input, signature.
type Scheme = fn(MessageDigest, &RsaPublicKey, &[u8], &[u8]) -> Option<bool>;

fn pkcs1(
    hash: MessageDigest,
    key: &RsaPublicKey,
    signing_input: &[u8],
    signature: &[u8],
) -> Option<bool> {
    let key = rsa_key(key)?;
    let mut verifier = superboring::sign::Verifier::new(hash, &key).ok()?;
    verifier.set_rsa_padding(Padding::PKCS1).ok()?;
    verifier.update(signing_input).ok()?;
    verifier.verify(signature).ok()
}

/// MGF1 is with the same hash, and the salt is as long as the hash and not otherwise (RFC 7518
/// section 3.5).
fn pss(
    hash: MessageDigest,
    key: &RsaPublicKey,
    signing_input: &[u8],
    signature: &[u8],
) -> Option<bool> {
    let key = rsa_key(key)?;
    let mut verifier = superboring::sign::Verifier::new(hash, &key).ok()?;
    verifier.set_rsa_padding(Padding::PKCS1_PSS).ok()?;
    verifier
        .set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)
        .ok()?;
    verifier.update(signing_input).ok()?;
    verifier.verify(signature).ok()
}

fn rsa_key(numbers: &RsaPublicKey) -> Option<PKey<Public>> {
    let modulus = BigNum::from_slice(numbers.modulus()).ok()?;
    let exponent = BigNum::from_slice(numbers.exponent()).ok()?;
    PKey::from_rsa(Rsa::from_public_components(modulus, exponent).ok()?).ok()
}

fn es256(key: &p256::ecdsa::VerifyingKey, signing_input: &[u8], signature: &[u8]) -> Option<bool> {
    let signature = p256::ecdsa::Signature::from_slice(signature).ok()?;
    Some(key.verify(signing_input, &signature).is_ok())
}

fn es384(key: &p384::ecdsa::VerifyingKey, signing_input: &[u8], signature: &[u8]) -> Option<bool> {
    let signature = p384::ecdsa::Signature::from_slice(signature).ok()?;
    Some(key.verify(signing_input, &signature).is_ok())
}

fn eddsa(key: &Ed25519PublicKey, signing_input: &[u8], signature: &[u8]) -> Option<bool> {
    let signature = ed25519_compact::Signature::from_slice(signature).ok()?;
    Some(key.point().verify(signing_input, &signature).is_ok())
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
