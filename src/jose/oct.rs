//! Symmetric keys, RFC 7518 section 6.4: a secret that verifies and signs.
//!
//! Invariant: a [`Secret`] comes from the operator's own configuration, never from a provider's
//! document. It has at least the length that its shortest algorithm requires. It is never shown.

use std::fmt;

use super::jwa::Algorithm;
use super::key_error::KeyError;

/// A secret for HMAC.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// For one algorithm, or for each that the secret is long enough for.
    pub(super) fn new(octets: Vec<u8>, bound_to: Option<Algorithm>) -> Result<Self, KeyError> {
        let least = signature_len(bound_to.unwrap_or(Algorithm::Hs256));
        if octets.len() < least {
            return Err(KeyError::SecretTooShort);
        }
        Ok(Self(octets))
    }

    /// RFC 7518 section 3.2: at least as long as the hash.
    pub(super) fn is_long_enough_for(&self, algorithm: Algorithm) -> bool {
        self.0.len() >= signature_len(algorithm)
    }

    /// The secret itself.
    #[must_use]
    pub(crate) fn octets(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// The length in octets of an HMAC, which is that of its hash.
pub(super) fn signature_len(algorithm: Algorithm) -> usize {
    match algorithm {
        Algorithm::Hs384 => 48,
        Algorithm::Hs512 => 64,
        _ => 32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_as_long_as_the_hash() {
        let refused = Err(KeyError::SecretTooShort);
        for (algorithm, least) in [
            (None, 32),
            (Some(Algorithm::Hs256), 32),
            (Some(Algorithm::Hs384), 48),
            (Some(Algorithm::Hs512), 64),
        ] {
            assert!(Secret::new(vec![1; least], algorithm).is_ok());
            assert_eq!(Secret::new(vec![1; least - 1], algorithm), refused);
            assert_eq!(Secret::new(vec![], algorithm), refused);
        }
        let secret = Secret::new(vec![1; 48], None).unwrap();
        assert!(secret.is_long_enough_for(Algorithm::Hs256));
        assert!(secret.is_long_enough_for(Algorithm::Hs384));
        assert!(!secret.is_long_enough_for(Algorithm::Hs512));
    }

    #[test]
    fn a_secret_is_not_shown() {
        let secret = Secret::new(vec![65; 32], None).unwrap();
        assert_eq!(format!("{secret:?}"), "Secret");
    }
}
