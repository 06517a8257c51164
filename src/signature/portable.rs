//! The portable verifier: jwt-simple's, for hosts that verify no signatures.
//!
//! jwt-simple verifies a signature only as a part of verifying a whole token, and that part
//! cannot be had alone: it refuses headers that RFC 7519 allows (`typ` other than `JWT`, a
//! `jwk` object), fails on claims that are not its own idea of them (a `jti` that is a number)
//! and reads the claims a second time, by rules that are not ours. So the step in the middle is
//! done here as jwt-simple does it, with its parts: its hash for each algorithm, and
//! the RSA of `superboring`, the crate that its `pure-rust` feature stands on. The types are
//! shared, so the two cannot drift apart without a compile error.
//!
//! The key is built from its numbers rather than by jwt-simple's key type, which takes no other
//! exponent than 65537; the bounds that it would check were checked when the key was parsed.

use jwt_simple::algorithms::{
    RS256PublicKey, RS384PublicKey, RS512PublicKey, RSAPublicKeyLike as Rsassa,
};
use superboring::bn::BigNum;
use superboring::pkey::PKey;
use superboring::rsa::{Padding, Rsa};

use super::{Verifier, fits};
use crate::jose::jwa::Algorithm;
use crate::jose::jwk::{Key, Material};

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
        fits(algorithm, key, signature)
            && rsassa_pkcs1(algorithm, key, signing_input, signature) == Some(true)
    }

    fn name(&self) -> &'static str {
        "portable"
    }
}

fn rsassa_pkcs1(
    algorithm: Algorithm,
    key: &Key,
    signing_input: &[u8],
    signature: &[u8],
) -> Option<bool> {
    let Material::Rsa(numbers) = key.material();
    let (hash, padding) = match algorithm {
        Algorithm::Rs256 => (<RS256PublicKey as Rsassa>::hash(), Padding::PKCS1),
        Algorithm::Rs384 => (<RS384PublicKey as Rsassa>::hash(), Padding::PKCS1),
        Algorithm::Rs512 => (<RS512PublicKey as Rsassa>::hash(), Padding::PKCS1),
    };
    let modulus = BigNum::from_slice(numbers.modulus()).ok()?;
    let exponent = BigNum::from_slice(numbers.exponent()).ok()?;
    let key = PKey::from_rsa(Rsa::from_public_components(modulus, exponent).ok()?).ok()?;
    let mut verifier = superboring::sign::Verifier::new(hash, &key).ok()?;
    verifier.set_rsa_padding(padding).ok()?;
    verifier.update(signing_input).ok()?;
    verifier.verify(signature).ok()
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
        let Material::Rsa(numbers) = key.material();
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
}
