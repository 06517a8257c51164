//! JSON Object Signing and Encryption: what a token and a key document say.
//!
//! Pure RFC code. Architecture invariant: nothing here knows HTTP, Envoy or clocks, and nothing
//! here verifies a signature. Time is an argument, and signatures are checked through
//! [`verifier::Verifier`]. The only arithmetic is [`montgomery`], which vets keys and computes an RSA
//! key's power, and [`multiples`], those of an EC key.
//!
//! There are two ways in: [`jwt::parse`] for a token, [`jwks::KeySet::parse`] for a key document.

// Code here computes with what a client sent: no operation may overflow, wrap or divide by zero.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

pub mod base64url;
pub mod claims;
pub(crate) mod der;
mod ec;
pub mod error;
pub mod event;
mod expectations;
pub mod issuer;
pub mod json;
pub mod jwa;
pub mod jwk;
pub mod jwks;
pub mod jws;
pub mod jwt;
mod key_error;
mod material;
mod member;
mod montgomery;
mod multiples;
mod oct;
mod okp;
mod p521;
pub(crate) mod pem;
pub(crate) mod rsa;
pub mod spiffe;
pub mod token_type;
pub mod verifier;

pub use error::JwtError;

#[cfg(test)]
pub(crate) mod fixtures;
