//! The verifier used inside Envoy: the host's where it is right, the portable one elsewhere.
//!
//! Invariant: an algorithm has one verifier, whatever it answers. What the host refuses is not
//! tried again by the other, and what the host is not trusted with is never offered to it. It is
//! trusted with a kind of key if it passed the known answer for it.

use super::host::{ForeignFunction, HostAlgorithm, HostVerifier};
use super::known_answer::EXAMPLES;
use super::portable::Portable;
use crate::jose::jwa::{Algorithm, KeyType};
use crate::jose::jwk::Key;
use crate::jose::verifier::Verifier;

/// Verifies by the host what [`HostAlgorithm`] names and the host is right about, and everything
/// else in this module.
#[derive(Clone, Debug)]
pub struct Hybrid<F: ForeignFunction> {
    host: HostVerifier<F>,
    trusted: Vec<KeyType>,
}

impl<F: ForeignFunction> Hybrid<F> {
    /// Tries the host by the known answers.
    #[must_use]
    pub fn new(host: HostVerifier<F>) -> Self {
        let trusted = EXAMPLES
            .iter()
            .filter(|example| {
                HostAlgorithm::for_algorithm(example.algorithm).is_some_and(|algorithm| {
                    example.is_passed_by(|key, text, signature| {
                        host.verify(algorithm, key, text, signature)
                    })
                })
            })
            .map(|example| example.algorithm.key_type())
            .collect();
        Self { host, trusted }
    }

    /// Of the algorithms that are for the host, those that it failed.
    #[must_use]
    pub fn failed_by_host(&self) -> Vec<Algorithm> {
        let for_host = |algorithm: &Algorithm| HostAlgorithm::for_algorithm(*algorithm).is_some();
        let failed =
            |algorithm: &Algorithm| for_host(algorithm) && self.by_host(*algorithm).is_none();
        Algorithm::ALL.iter().copied().filter(failed).collect()
    }

    fn by_host(&self, algorithm: Algorithm) -> Option<HostAlgorithm> {
        HostAlgorithm::for_algorithm(algorithm)
            .filter(|_| self.trusted.contains(&algorithm.key_type()))
    }
}

impl<F: ForeignFunction> Verifier for Hybrid<F> {
    fn verify(
        &self,
        algorithm: Algorithm,
        key: &Key,
        signing_input: &[u8],
        signature: &[u8],
    ) -> bool {
        match self.by_host(algorithm) {
            Some(algorithm) => self.host.verify(algorithm, key, signing_input, signature),
            None => Portable.verify(algorithm, key, signing_input, signature),
        }
    }

    fn supports(&self, algorithm: Algorithm) -> bool {
        self.by_host(algorithm).is_some() || Portable.supports(algorithm)
    }

    fn name(&self) -> &'static str {
        if self.trusted.is_empty() {
            Portable.name()
        } else {
            "host"
        }
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

    /// As if the host had passed every known answer.
    fn trusting<F: ForeignFunction>(host: F) -> Hybrid<F> {
        Hybrid {
            host: HostVerifier(host),
            trusted: EXAMPLES
                .iter()
                .map(|example| example.algorithm.key_type())
                .collect(),
        }
    }

    /// Whether the host is asked, and the answer, for a forged and for the right signature.
    fn outcome(algorithm: Algorithm, key: &Key, token: &str) -> [(usize, bool); 2] {
        let jws = jws::parse(token.as_bytes()).unwrap();
        let mut forged = jws.signature().to_vec();
        forged[7] ^= 1;
        [&forged, jws.signature()].map(|signature| {
            let host = Yes::default();
            let valid = trusting(&host).verify(algorithm, key, jws.signing_input(), signature);
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
                Algorithm::Es512 => {
                    let key = fixtures::key(fixtures::JWK_P521);
                    (key, of(fixtures::TOKEN_ES512), true)
                }
                Algorithm::EdDsa => {
                    let key = fixtures::key(fixtures::JWK_ED25519);
                    (key, of(fixtures::TOKEN_EDDSA), false)
                }
                Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512 => {
                    assert_eq!(HostAlgorithm::for_algorithm(*algorithm), None);
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
        assert!(!trusting(No).verify(Algorithm::Es256, &key, text, signature));
    }

    /// Hosts that are right about some kinds of keys, by the hash that they are asked for: the
    /// others are not theirs, and without a verifier in this module they are not supported.
    #[test]
    fn the_host_is_trusted_with_what_it_passed() {
        use Algorithm::{Es256, Es384, Es512, Rs256, Rs384, Rs512};

        /// Remembers the signatures of the known answers for these algorithms.
        struct Knows(&'static [Algorithm]);
        impl ForeignFunction for Knows {
            fn call(&self, _: &str, argument: &[u8]) -> Option<Vec<u8>> {
                let known = EXAMPLES.iter().any(|example| {
                    let asked = RefCell::new(Vec::new());
                    let spy = Spy(&asked);
                    let algorithm = HostAlgorithm::for_algorithm(example.algorithm).unwrap();
                    example.is_passed_by(|key, text, signature| {
                        HostVerifier(&spy).verify(algorithm, key, text, signature)
                    });
                    // What is asked first is the valid signature.
                    self.0.contains(&example.algorithm) && asked.borrow()[0] == argument
                });
                known.then(|| vec![0x08, 0x01])
            }
        }
        struct Spy<'a>(&'a RefCell<Vec<Vec<u8>>>);
        impl ForeignFunction for &Spy<'_> {
            fn call(&self, _: &str, argument: &[u8]) -> Option<Vec<u8>> {
                self.0.borrow_mut().push(argument.to_vec());
                None
            }
        }

        let table: &[(&[Algorithm], &str, &[Algorithm])] = &[
            (&[], "portable", &[Rs256, Rs384, Rs512, Es256, Es384, Es512]),
            (&[Rs256], "host", &[Es256, Es384, Es512]),
            (&[Rs256, Es256, Es384], "host", &[Es512]),
            (&[Es512], "host", &[Rs256, Rs384, Rs512, Es256, Es384]),
            (&[Rs256, Es256, Es384, Es512], "host", &[]),
        ];
        for (known, name, failed) in table {
            let hybrid = Hybrid::new(HostVerifier(Knows(known)));
            assert_eq!(hybrid.name(), *name, "{known:?}");
            assert_eq!(hybrid.failed_by_host(), *failed, "{known:?}");
            for algorithm in Algorithm::ALL {
                let expected = *algorithm != Es512 || known.contains(&Es512);
                assert_eq!(hybrid.supports(*algorithm), expected, "{algorithm:?}");
            }
            // By the portable one where the host failed, by the host where it passed: this one
            // knows no signatures but those of the known answers.
            for (token, jwk, algorithm) in [
                (fixtures::TOKEN_ES256, fixtures::JWK_P256, Es256),
                (fixtures::TOKEN_ES384, fixtures::JWK_P384, Es384),
                (fixtures::TOKEN_ES512, fixtures::JWK_P521, Es512),
            ] {
                let jws = jws::parse(token.as_bytes()).unwrap();
                let key = fixtures::key(jwk);
                let valid = hybrid.verify(algorithm, &key, jws.signing_input(), jws.signature());
                let by_portable = failed.contains(&algorithm) && algorithm != Es512;
                assert_eq!(valid, by_portable, "{algorithm:?} {known:?}");
            }
        }

        for (answer, what) in [(Some(vec![0x08, 0x01]), "yes"), (None, "no")] {
            struct Always(Option<Vec<u8>>);
            impl ForeignFunction for Always {
                fn call(&self, _: &str, _: &[u8]) -> Option<Vec<u8>> {
                    self.0.clone()
                }
            }
            let hybrid = Hybrid::new(HostVerifier(Always(answer)));
            assert_eq!(hybrid.failed_by_host().len(), 6, "always {what}");
        }
    }
}
