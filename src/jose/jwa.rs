//! Signature algorithms, RFC 7518 section 3 and RFC 8037 section 3.1.
//!
//! Invariant: there is no `none` to select; what cannot be named cannot be used. HMAC is not among
//! [`Algorithm::ASYMMETRIC`], which is what a provider has that names no algorithms.

/// A curve for ECDSA, RFC 7518 section 6.2.1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    /// `P-256`, also secp256r1.
    P256,
    /// `P-384`, also secp384r1.
    P384,
    /// `P-521`, also secp521r1.
    P521,
}

impl Curve {
    /// The curve of that `crv`.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "P-256" => Some(Self::P256),
            "P-384" => Some(Self::P384),
            "P-521" => Some(Self::P521),
            _ => None,
        }
    }

    /// The length in octets of a coordinate, and of each half of a signature.
    #[must_use]
    pub fn field_len(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66, // 521 bits, RFC 7518 section 3.4
        }
    }
}

/// The key type that an algorithm works with, RFC 7518 section 6.1 and RFC 8037 section 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyType {
    /// `RSA`.
    Rsa,
    /// `EC`, with its `crv`.
    Ec(Curve),
    /// `OKP` with the `crv` Ed25519.
    Ed25519,
    /// `oct`, a secret that both sides have.
    Octets,
}

/// An algorithm that this filter can verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256, RFC 7518 section 3.3.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256, MGF1 with SHA-256 and a salt of 32 octets, RFC 7518 section 3.5.
    Ps256,
    /// RSASSA-PSS with SHA-384, MGF1 with SHA-384 and a salt of 48 octets.
    Ps384,
    /// RSASSA-PSS with SHA-512, MGF1 with SHA-512 and a salt of 64 octets.
    Ps512,
    /// ECDSA on P-256 with SHA-256, RFC 7518 section 3.4.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// ECDSA on P-521 with SHA-512.
    Es512,
    /// Ed25519, RFC 8037 section 3.1.
    EdDsa,
    /// HMAC with SHA-256, RFC 7518 section 3.2.
    Hs256,
    /// HMAC with SHA-384.
    Hs384,
    /// HMAC with SHA-512.
    Hs512,
}

impl Algorithm {
    /// Every algorithm there is.
    pub const ALL: &'static [Self] = &[
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::Es512,
        Self::EdDsa,
        Self::Hs256,
        Self::Hs384,
        Self::Hs512,
    ];

    /// The algorithms whose keys can be published.
    pub const ASYMMETRIC: &'static [Self] = &[
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::Es512,
        Self::EdDsa,
    ];

    /// Whether the key is a secret.
    #[must_use]
    pub fn is_symmetric(self) -> bool {
        self.key_type() == KeyType::Octets
    }

    /// The algorithm of that name. Names are case-sensitive (RFC 7515 section 4.1.1).
    ///
    /// `Ed25519` is the name that RFC 9864 gives to what `EdDSA` means with an Ed25519 key, the
    /// only kind there is here: two names for one algorithm, not two algorithms.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        if name == "Ed25519" {
            return Some(Self::EdDsa);
        }
        Self::ALL
            .iter()
            .copied()
            .find(|algorithm| algorithm.name() == name)
    }

    /// The `alg` value.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::EdDsa => "EdDSA",
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
        }
    }

    /// The `kty`, and the `crv` where there is one, of the keys that fit.
    #[must_use]
    pub fn key_type(self) -> KeyType {
        match self {
            Self::Rs256 | Self::Rs384 | Self::Rs512 => KeyType::Rsa,
            Self::Ps256 | Self::Ps384 | Self::Ps512 => KeyType::Rsa,
            Self::Es256 => KeyType::Ec(Curve::P256),
            Self::Es384 => KeyType::Ec(Curve::P384),
            Self::Es512 => KeyType::Ec(Curve::P521),
            Self::EdDsa => KeyType::Ed25519,
            Self::Hs256 | Self::Hs384 | Self::Hs512 => KeyType::Octets,
        }
    }

    /// Whether a key without `alg` may be used with this algorithm.
    ///
    /// A curve has one algorithm. An RSA key fits two schemes, and should be used with only one
    /// (RFC 8017 section 8, RFC 8725 section 3.1). Without `alg` it is for PKCS#1 v1.5: that is
    /// what providers mean that publish no `alg`. A PSS key must have `alg`.
    #[must_use]
    pub fn is_default_of_its_keys(self) -> bool {
        match self {
            Self::Rs256 | Self::Rs384 | Self::Rs512 => true,
            Self::Ps256 | Self::Ps384 | Self::Ps512 => false,
            Self::Es256 | Self::Es384 | Self::Es512 | Self::EdDsa => true,
            Self::Hs256 | Self::Hs384 | Self::Hs512 => true,
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
            " RS256", "RS-256", "hs256", "HS1", "HS", "RS1", "A256GCM", "RSA-OAEP", "RSA1_5",
            "ES521", "es512", "ES256K", "es256", "PS1", "ps256", "EDDSA", "eddsa", "ed25519",
            "Ed448", "ESB256",
        ] {
            assert_eq!(Algorithm::parse(name), None, "{name:?}");
        }
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::parse(algorithm.name()), Some(*algorithm));
        }
    }

    #[test]
    fn a14_what_is_not_asymmetric_is_hmac() {
        for algorithm in Algorithm::ALL {
            let hmac = algorithm.name().starts_with("HS");
            assert_eq!(algorithm.is_symmetric(), hmac);
            assert_eq!(Algorithm::ASYMMETRIC.contains(algorithm), !hmac);
        }
    }

    #[test]
    fn one_algorithm_of_two_names() {
        assert_eq!(Algorithm::parse("Ed25519"), Some(Algorithm::EdDsa));
        assert_eq!(Algorithm::EdDsa.name(), "EdDSA");
    }
}
