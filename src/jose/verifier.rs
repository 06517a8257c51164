//! The verifier of signatures, as tokens see it.
//!
//! Invariant: a verifier returns `true` only for a signature over exactly these bytes, by this key
//! and by an algorithm that the key allows. In every other case, errors included, it returns
//! `false`.

use super::jwa::Algorithm;
use super::jwk::Key;

/// Something that can verify signatures.
pub trait Verifier {
    /// Whether `signature` is `key`'s over `signing_input`, by `algorithm`.
    fn verify(
        &self,
        algorithm: Algorithm,
        key: &Key,
        signing_input: &[u8],
        signature: &[u8],
    ) -> bool;

    /// Whether it can verify signatures by this algorithm; [`Verifier::verify`] is false for every
    /// other.
    fn supports(&self, _algorithm: Algorithm) -> bool {
        true
    }

    /// Its name for the log.
    fn name(&self) -> &'static str;
}
