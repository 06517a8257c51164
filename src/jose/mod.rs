//! JSON Object Signing and Encryption: what a token and a key document say.
//!
//! Pure RFC code. Architecture invariant: nothing here knows HTTP, Envoy, clocks or
//! signature arithmetic; time is an argument, and signatures are checked through
//! [`crate::signature::Verifier`].
//!
//! Two ways in: [`jwt::parse`] for a token, [`jwks::KeySet::parse`] for a key document.

pub mod base64url;
pub mod claims;
mod der;
pub mod error;
pub mod json;
pub mod jwa;
pub mod jwk;
pub mod jwks;
pub mod jws;
pub mod jwt;
mod rsa;

pub use error::JwtError;

#[cfg(test)]
pub(crate) mod fixtures;
