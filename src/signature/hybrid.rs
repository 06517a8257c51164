//! The verifier used inside Envoy: the host's where it is right, the portable one elsewhere.
//!
//! Invariant: an algorithm has one verifier, whatever it answers. What the host refuses is not
//! tried again by the other, and what the host is not trusted with is never offered to it.

use super::Verifier;
use super::host::{ForeignFunction, HostAlgorithm, HostVerifier};
use super::portable::Portable;
use crate::jose::jwa::Algorithm;
use crate::jose::jwk::Key;

/// Verifies by the host what [`HostAlgorithm`] names, and everything else in this module.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hybrid<F: ForeignFunction>(pub HostVerifier<F>);

impl<F: ForeignFunction> Verifier for Hybrid<F> {
    fn verify(
        &self,
        algorithm: Algorithm,
        key: &Key,
        signing_input: &[u8],
        signature: &[u8],
    ) -> bool {
        match HostAlgorithm::of(algorithm) {
            Some(algorithm) => self.0.verify(algorithm, key, signing_input, signature),
            None => Portable.verify(algorithm, key, signing_input, signature),
        }
    }

    fn name(&self) -> &'static str {
        "host"
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::jose::{fixtures, jws};

    /// A host that says yes to everything, and counts.
    #[derive(Default)]
    struct Yes(RefCell<usize>);

    impl ForeignFunction for &Yes {
        fn call(&self, _: &str, _: &[u8]) -> Option<Vec<u8>> {
            *self.0.borrow_mut() += 1;
            Some(vec![0x08, 0x01])
        }
    }

    /// Whether the host is asked, and the answer, for a forged and for the right signature.
    fn outcome(algorithm: Algorithm, key: &Key, token: &str) -> [(usize, bool); 2] {
        let jws = jws::parse(token.as_bytes()).unwrap();
        let mut forged = jws.signature().to_vec();
        forged[7] ^= 1;
        [&forged, jws.signature()].map(|signature| {
            let host = Yes::default();
            let valid =
                Hybrid(HostVerifier(&host)).verify(algorithm, key, jws.signing_input(), signature);
            (host.0.take(), valid)
        })
    }

    #[test]
    fn d11_pss_and_eddsa_are_never_offered_to_the_host() {
        for algorithm in Algorithm::ALL {
            let name = algorithm.name();
            let rsa = || fixtures::key(&fixtures::JWK_A.replace("RS256", name));
            let rsa_token =
                || fixtures::token(fixtures::PEM_A, *algorithm, r#"{"alg":"RS256"}"#, "");
            let of = |token: &str| token.to_owned();
            let (key, token, by_host) = match algorithm {
                Algorithm::Rs256 | Algorithm::Rs384 | Algorithm::Rs512 => {
                    (rsa(), rsa_token(), true)
                }
                Algorithm::Ps256 | Algorithm::Ps384 | Algorithm::Ps512 => {
                    (rsa(), rsa_token(), false)
                }
                Algorithm::Es256 => {
                    let key = fixtures::key(fixtures::JWK_P256);
                    (key, of(fixtures::TOKEN_ES256), true)
                }
                Algorithm::Es384 => {
                    let key = fixtures::key(fixtures::JWK_P384);
                    (key, of(fixtures::TOKEN_ES384), true)
                }
                Algorithm::EdDsa => {
                    let key = fixtures::key(fixtures::JWK_ED25519);
                    (key, of(fixtures::TOKEN_EDDSA), false)
                }
                Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512 => {
                    assert_eq!(HostAlgorithm::of(*algorithm), None);
                    continue;
                }
            };
            // The host's word counts where it is asked, and only there.
            let expected = if by_host {
                [(1, true), (1, true)]
            } else {
                [(0, false), (0, true)]
            };
            assert_eq!(outcome(*algorithm, &key, &token), expected, "{name}");
        }
    }

    #[test]
    fn what_the_host_refuses_is_not_tried_again() {
        struct No;
        impl ForeignFunction for No {
            fn call(&self, _: &str, _: &[u8]) -> Option<Vec<u8>> {
                None
            }
        }
        let jws = jws::parse(fixtures::TOKEN_ES256.as_bytes()).unwrap();
        let key = fixtures::key(fixtures::JWK_P256);
        let (text, signature) = (jws.signing_input(), jws.signature());
        assert!(Portable.verify(Algorithm::Es256, &key, text, signature));
        assert!(!Hybrid(HostVerifier(No)).verify(Algorithm::Es256, &key, text, signature));
    }
}
