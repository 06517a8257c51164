//! The reference verifier: jwt-simple's parts, for comparison (feature `jwt-simple`).
//!
//! jwt-simple verifies a signature only as a part of verifying a whole token, by rules for headers
//! and claims that are not ours. So the step in the middle is done here as jwt-simple does it: the
//! hash that it names for each RSA algorithm and the RSA of `superboring`, which its `pure-rust`
//! feature stands on; the ECDSA of `p256` and `p384`; the Ed25519 of `ed25519-compact`.
//!
//! It is not in the shipped module. Tests hold the portable verifier against it, and a module that
//! is built with the feature verifies by it alone, so that a benchmark can compare the two.

use ed25519_compact::{PublicKey, Signature};
use jwt_simple::algorithms::{
    PS256PublicKey, PS384PublicKey, PS512PublicKey, RS256PublicKey, RS384PublicKey, RS512PublicKey,
    RSAPublicKeyLike as Rsassa,
};
use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use superboring::bn::BigNum;
use superboring::hash::MessageDigest;
use superboring::pkey::{PKey, Public};
use superboring::rsa::{Padding, Rsa};
use superboring::sign::RsaPssSaltlen;

use super::fits;
use super::hash::Hash;
use super::portable::Portable;
use crate::jose::jwa::Algorithm;
use crate::jose::jwk::{EcPublicKey, Ed25519PublicKey, Key, Material, RsaPublicKey};
use crate::jose::verifier::Verifier;

/// Verifies as jwt-simple does.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reference;

impl Verifier for Reference {
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
        let digest = || Hash::of(algorithm).digest(&[signing_input]);
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
            (Algorithm::EdDsa, Material::Ed25519(key)) => eddsa(key, signing_input, signature),
            (Algorithm::Es256, Material::Ec(EcPublicKey::P256(key))) => {
                es256(*key.affine(), &digest(), signature)
            }
            (Algorithm::Es384, Material::Ec(EcPublicKey::P384(key))) => {
                es384(*key.affine(), &digest(), signature)
            }
            // HMAC, by the same crate: there is nothing to compare.
            _ => Some(Portable.verify(algorithm, key, signing_input, signature)),
        };
        valid == Some(true)
    }

    fn supports(&self, algorithm: Algorithm) -> bool {
        Portable.supports(algorithm)
    }

    fn name(&self) -> &'static str {
        "jwt-simple"
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

/// Not jwt-simple's key type, which takes no other exponent than 65537.
fn rsa_key(numbers: &RsaPublicKey) -> Option<PKey<Public>> {
    let modulus = BigNum::from_slice(numbers.modulus()).ok()?;
    let exponent = BigNum::from_slice(numbers.exponent()).ok()?;
    PKey::from_rsa(Rsa::from_public_components(modulus, exponent).ok()?).ok()
}

fn es256(point: p256::AffinePoint, digest: &[u8], signature: &[u8]) -> Option<bool> {
    let key = p256::ecdsa::VerifyingKey::from_affine(point).ok()?;
    let signature = p256::ecdsa::Signature::from_slice(signature).ok()?;
    Some(key.verify_prehash(digest, &signature).is_ok())
}

fn es384(point: p384::AffinePoint, digest: &[u8], signature: &[u8]) -> Option<bool> {
    let key = p384::ecdsa::VerifyingKey::from_affine(point).ok()?;
    let signature = p384::ecdsa::Signature::from_slice(signature).ok()?;
    Some(key.verify_prehash(digest, &signature).is_ok())
}

fn eddsa(key: &Ed25519PublicKey, signing_input: &[u8], signature: &[u8]) -> Option<bool> {
    let key = PublicKey::from_slice(key.point().as_bytes()).ok()?;
    let signature = Signature::from_slice(signature).ok()?;
    Some(key.verify(signing_input, &signature).is_ok())
}
