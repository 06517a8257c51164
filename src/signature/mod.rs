//! Signatures. Tokens are verified by two verifiers of one trait,
//! [`Verifier`](crate::jose::verifier::Verifier).
//!
//! The host's ([`host`]) is native code and fast, and right about some of the algorithms; the
//! portable one ([`portable`]) has all but ES512, which would take much code for few tokens.
//! [`hybrid`] asks the one or the other, by the algorithm alone. What the host is asked about is
//! decided once, at start, by [`known_answer`]. The feature `jwt-simple` adds a third, for comparison.
//! An [`assertion`] is what the filter itself signs.

pub mod assertion;
mod ecdsa;
pub mod hash;
pub mod host;
pub mod hybrid;
pub mod known_answer;
pub mod portable;
#[cfg(feature = "jwt-simple")]
pub mod reference;
mod rsassa;

use crate::jose::jwa::Algorithm;
use crate::jose::jwk::{Key, Material};

/// What both verifiers check before any arithmetic and any conversion: the key is for the
/// algorithm, and the signature has the one length that it can have (RFC 8017 section 8.2.2,
/// step 1; RFC 7518 section 3.4; RFC 8032 section 5.1.7; RFC 7518 section 3.2); for ECDSA, both of its numbers are in
/// range as well.
fn fits(algorithm: Algorithm, key: &Key, signature: &[u8]) -> bool {
    key.allows(algorithm)
        && signature.len() == key.signature_len(algorithm)
        && match key.material() {
            Material::Ec(key) => ecdsa::Signature::parse(key.curve(), signature).is_some(),
            Material::Rsa(_) | Material::Ed25519(_) | Material::Secret(_) => true,
        }
}
