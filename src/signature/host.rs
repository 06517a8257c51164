//! The host's verifier: Envoy's foreign function `verify_signature`.
//!
//! Its argument and result are protobuf messages (`VerifySignatureArguments` and
//! `VerifySignatureResult` of Envoy's Wasm extension), small enough to be written by hand:
//!
//! | argument | type | value |
//! |---|---|---|
//! | 1 `hash_function` | string | `sha256`, `sha384`, `sha512` |
//! | 2 `public_key` | bytes | SubjectPublicKeyInfo, DER |
//! | 3 `signature` | bytes | RSA's as it is, ECDSA's in DER |
//! | 4 `text` | bytes | what was signed |
//!
//! The result has 1 `result` (bool) and 2 `error` (string).
//!
//! Invariant: the host is asked only about vetted keys and lengths (it accepts RSA of 1024 bits
//! and SHA-1), only for the algorithms that a [`HostAlgorithm`] can be, and only one exact answer
//! means valid. [`HostVerifier`] is no [`Verifier`](crate::jose::verifier::Verifier), so it cannot be used alone.

use std::borrow::Cow;

use super::{ecdsa, fits};
use crate::jose::jwa::Algorithm;
use crate::jose::jwk::{Key, Material};
use crate::protobuf::{FIELD_OVERHEAD, push_field};

/// The name under which Envoy registers it.
pub const FUNCTION: &str = "verify_signature";

/// `result: true` and no error: protobuf leaves out what is empty.
const VALID: &[u8] = &[0x08, 0x01];

/// Calls the host's functions by name.
pub trait ForeignFunction {
    /// The function's answer, or `None` where the host has no such function or it failed.
    fn call(&self, name: &str, argument: &[u8]) -> Option<Vec<u8>>;
}

/// An algorithm that the host verifies rightly: RSASSA-PKCS1-v1_5 and ECDSA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostAlgorithm {
    algorithm: Algorithm,
    hash: &'static str,
}

impl HostAlgorithm {
    /// `None` for the algorithms that are not for the host: the function knows no PSS and no
    /// Ed25519. It refuses what is valid, and takes a PKCS#1 signature that is called PSS.
    #[must_use]
    pub fn for_algorithm(algorithm: Algorithm) -> Option<Self> {
        let hash = match algorithm {
            Algorithm::Rs256 | Algorithm::Es256 => "sha256",
            Algorithm::Rs384 | Algorithm::Es384 => "sha384",
            Algorithm::Rs512 | Algorithm::Es512 => "sha512",
            Algorithm::Ps256 | Algorithm::Ps384 | Algorithm::Ps512 | Algorithm::EdDsa => {
                return None;
            }
            Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512 => return None,
        };
        Some(Self { algorithm, hash })
    }
}

/// Verifies by the host what the host can verify.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostVerifier<F: ForeignFunction>(pub F);

impl<F: ForeignFunction> HostVerifier<F> {
    /// Whether `signature` is `key`'s over `signing_input`, by `algorithm`.
    pub fn verify(
        &self,
        algorithm: HostAlgorithm,
        key: &Key,
        signing_input: &[u8],
        signature: &[u8],
    ) -> bool {
        let HostAlgorithm { algorithm, hash } = algorithm;
        if !fits(algorithm, key, signature) {
            return false;
        }
        let Some(signature) = in_the_hosts_form(key, signature) else {
            return false;
        };
        let argument = message([hash.as_bytes(), key.spki_der(), &signature, signing_input]);
        self.0.call(FUNCTION, &argument).as_deref() == Some(VALID)
    }
}

fn in_the_hosts_form<'a>(key: &Key, signature: &'a [u8]) -> Option<Cow<'a, [u8]>> {
    match key.material() {
        Material::Rsa(_) => Some(Cow::Borrowed(signature)),
        Material::Ec(key) => ecdsa::Signature::parse(key.curve(), signature)
            .map(|signature| Cow::Owned(signature.to_der())),
        Material::Ed25519(_) | Material::Secret(_) => None,
    }
}

/// A protobuf message with these as its length-delimited fields 1 to 4.
fn message(fields: [&[u8]; 4]) -> Vec<u8> {
    let size = fields.iter().fold(0usize, |size, field| {
        size.saturating_add(FIELD_OVERHEAD)
            .saturating_add(field.len())
    });
    let mut message = Vec::with_capacity(size);
    for (number, field) in (1u8..).zip(fields) {
        push_field(&mut message, number, field);
    }
    message
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::jose::fixtures;

    /// Records what it is asked and answers what it is told to.
    struct Recorder {
        calls: RefCell<Vec<(String, Vec<u8>)>>,
        answer: Option<Vec<u8>>,
    }

    impl ForeignFunction for &Recorder {
        fn call(&self, name: &str, argument: &[u8]) -> Option<Vec<u8>> {
            self.calls
                .borrow_mut()
                .push((name.to_owned(), argument.to_vec()));
            self.answer.clone()
        }
    }

    fn verify(
        host: &Recorder,
        algorithm: Algorithm,
        key: &Key,
        text: &[u8],
        signature: &[u8],
    ) -> bool {
        let algorithm = HostAlgorithm::for_algorithm(algorithm).unwrap();
        HostVerifier(host).verify(algorithm, key, text, signature)
    }

    fn recorder(answer: Option<&[u8]>) -> Recorder {
        Recorder {
            calls: RefCell::default(),
            answer: answer.map(<[u8]>::to_vec),
        }
    }

    #[test]
    fn the_argument_is_the_message_that_envoy_reads() {
        let key = fixtures::key(fixtures::JWK_A);
        let host = recorder(Some(VALID));
        assert!(verify(&host, Algorithm::Rs256, &key, b"a.b", &[7; 256]));
        let mut expected = b"\x0a\x06sha256\x12\xa6\x02".to_vec(); // 294 = 0x126
        expected.extend_from_slice(key.spki_der());
        expected.extend_from_slice(b"\x1a\x80\x02"); // 256
        expected.extend_from_slice(&[7; 256]);
        expected.extend_from_slice(b"\x22\x03a.b");
        assert_eq!(
            host.calls.take(),
            [("verify_signature".to_owned(), expected)]
        );
        assert_eq!(key.spki_der().len(), 294);
    }

    #[test]
    fn each_algorithm_names_its_hash() {
        let key = fixtures::key(&fixtures::JWK_A.replace("\"alg\"", "\"ignored\""));
        for (algorithm, hash) in [
            (Algorithm::Rs256, b"\x0a\x06sha256"),
            (Algorithm::Rs384, b"\x0a\x06sha384"),
            (Algorithm::Rs512, b"\x0a\x06sha512"),
        ] {
            let host = recorder(Some(VALID));
            assert!(verify(&host, algorithm, &key, b"", &[0; 256]));
            assert!(host.calls.take()[0].1.starts_with(hash));
        }
    }

    #[test]
    fn only_one_answer_means_valid() {
        let key = fixtures::key(fixtures::JWK_A);
        let table: &[Option<&[u8]>] = &[
            None,                       // no such function
            Some(b""),                  // result left out: false
            Some(b"\x08\x00"),          // false
            Some(b"\x08\x02"),          // not a canonical true
            Some(b"\x08\x81\x00"),      // likewise
            Some(b"\x08\x01\x08\x00"),  // true, then false
            Some(b"\x08\x01\x12\x01x"), // true with an error
            Some(b"\x12\x07invalid"),   // an error alone
            Some(b"\x08"),              // cut short
            Some(b"\x01"),
            Some(b"\x10\x01"), // field 2 as a number
            Some(b"true"),
        ];
        for answer in table {
            let host = recorder(*answer);
            assert!(
                !verify(&host, Algorithm::Rs256, &key, b"a.b", &[0; 256]),
                "{answer:?}"
            );
            assert_eq!(host.calls.borrow().len(), 1);
        }
    }

    #[test]
    fn the_host_is_not_asked_about_what_cannot_fit() {
        let key = fixtures::key(fixtures::JWK_A);
        let host = recorder(Some(VALID));
        for length in [0, 1, 255, 257, 512] {
            let signature = vec![0; length];
            assert!(!verify(&host, Algorithm::Rs256, &key, b"a.b", &signature));
        }
        // The key says RS256.
        assert!(!verify(&host, Algorithm::Rs384, &key, b"a.b", &[0; 256]));
        assert!(!verify(&host, Algorithm::Es256, &key, b"a.b", &[1; 64]));
        assert!(host.calls.borrow().is_empty());
    }

    #[test]
    fn d11_no_host_algorithm_is_pss_or_eddsa() {
        for algorithm in Algorithm::ALL {
            let name = algorithm.name();
            let expected = name.starts_with("RS") || name.starts_with("ES");
            assert_eq!(
                HostAlgorithm::for_algorithm(*algorithm).is_some(),
                expected,
                "{name}"
            );
        }
    }

    #[test]
    fn an_ecdsa_signature_goes_to_the_host_in_der() {
        for (jwk, algorithm, hash) in [
            (fixtures::JWK_P256, Algorithm::Es256, "sha256"),
            (fixtures::JWK_P384, Algorithm::Es384, "sha384"),
            (fixtures::JWK_P521, Algorithm::Es512, "sha512"),
        ] {
            let key = fixtures::key(jwk);
            let length = key.signature_len(algorithm);
            let host = recorder(Some(VALID));
            let mut raw = vec![0; length];
            raw[length / 2 - 1] = 0x80; // r = 128, which takes a sign octet
            raw[length - 1] = 5; // s = 5
            assert!(verify(&host, algorithm, &key, b"a.b", &raw));
            let der: &[u8] = &[0x30, 7, 2, 2, 0, 0x80, 2, 1, 5];
            let expected = message([hash.as_bytes(), key.spki_der(), der, b"a.b"]);
            assert_eq!(
                host.calls.take(),
                [("verify_signature".to_owned(), expected)]
            );
        }
    }

    #[test]
    fn a16_the_host_is_not_asked_about_ecdsa_numbers_out_of_range() {
        for (jwk, algorithm) in [
            (fixtures::JWK_P256, Algorithm::Es256),
            (fixtures::JWK_P384, Algorithm::Es384),
            (fixtures::JWK_P521, Algorithm::Es512),
        ] {
            let key = fixtures::key(jwk);
            let host = recorder(Some(VALID));
            let half = key.signature_len(algorithm) / 2;
            let (one, zero, most) = (vec![1; half], vec![0; half], vec![0xff; half]);
            let pair = |r: &[u8], s: &[u8]| [r, s].concat();
            assert!(verify(&host, algorithm, &key, b"a.b", &pair(&one, &one)));
            let der = crate::jose::der::ecdsa_signature(&one, &one);
            host.calls.take();
            for bad in [
                vec![],
                vec![1; 2 * half - 1],
                vec![1; 2 * half + 1],
                vec![1; 3 * half],
                pair(&zero, &zero),
                pair(&most, &most),
                pair(&zero, &one),
                pair(&one, &zero),
                pair(&most, &one),
                pair(&one, &most),
                der,
            ] {
                assert!(!verify(&host, algorithm, &key, b"a.b", &bad), "{bad:?}");
            }
            assert!(host.calls.borrow().is_empty());
        }
    }

    #[test]
    fn the_message_is_allocated_once() {
        let fields: [&[u8]; 4] = [b"sha256", &[1; 300], &[2; 256], &[3; 20_000]];
        let all: usize = fields.iter().map(|field| field.len()).sum();
        assert_eq!(message(fields).capacity(), all + 4 * FIELD_OVERHEAD);
    }
}
