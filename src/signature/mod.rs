//! Verifying signatures: one trait, two verifiers.
//!
//! The host's ([`host`]) is native code and fast; the portable one ([`portable`]) is there where
//! the host has none. Which one is used is decided once, at start, by [`known_answer`].
//!
//! Invariant: a verifier answers `true` only for a signature over exactly these bytes, by this
//! key, by an algorithm that the key allows. Everything else, errors included, is `false`.

pub mod host;
pub mod known_answer;
pub mod portable;

use crate::jose::jwa::Algorithm;
use crate::jose::jwk::Key;

/// Something that can verify a signature.
pub trait Verifier {
    /// Whether `signature` is `key`'s over `signing_input`, by `algorithm`.
    fn verify(
        &self,
        algorithm: Algorithm,
        key: &Key,
        signing_input: &[u8],
        signature: &[u8],
    ) -> bool;

    /// Its name for the log.
    fn name(&self) -> &'static str;
}

/// What both verifiers check before any arithmetic: the key is for the algorithm, and the
/// signature has the one length that it can have (RFC 8017 section 8.2.2, step 1).
fn fits(algorithm: Algorithm, key: &Key, signature: &[u8]) -> bool {
    key.allows(algorithm) && signature.len() == key.signature_len()
}
