//! Signature algorithms, RFC 7518 section 3.
//!
//! Invariant: there is no `none` and no HMAC to select; what cannot be named cannot be used.

/// The key type that an algorithm works with, RFC 7518 section 6.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyType {
    /// `RSA`.
    Rsa,
}

/// An algorithm that this filter verifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256, RFC 7518 section 3.3.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
}

impl Algorithm {
    /// Every algorithm there is.
    pub const ALL: &'static [Algorithm] = &[Algorithm::Rs256, Algorithm::Rs384, Algorithm::Rs512];

    /// The algorithm of that name. Names are case-sensitive (RFC 7515 section 4.1.1).
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|algorithm| algorithm.name() == name)
    }

    /// The `alg` value.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Rs256 => "RS256",
            Algorithm::Rs384 => "RS384",
            Algorithm::Rs512 => "RS512",
        }
    }

    /// The `kty` of the keys that fit.
    #[must_use]
    pub fn key_type(self) -> KeyType {
        match self {
            Algorithm::Rs256 | Algorithm::Rs384 | Algorithm::Rs512 => KeyType::Rsa,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a13_alg_none_in_any_spelling() {
        for name in [
            "none", "None", "NONE", "nOnE", "", " none", "none\0", "rs256", "Rs256", "RS256 ",
            " RS256", "RS-256", "HS256", "HS384", "HS512", "RS1", "A256GCM", "RSA-OAEP", "RSA1_5",
        ] {
            assert_eq!(Algorithm::parse(name), None, "{name:?}");
        }
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::parse(algorithm.name()), Some(*algorithm));
        }
    }
}
