//! Why a key of a JWK Set is not used, one reason each, with its fixed text for the log.

/// Why a key of a set is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// Not an object, or an object with a member name twice.
    NotAnObject,
    /// A member that is used here has the wrong type or is not base64url, or `kid` is longer
    /// than [`super::jws::MAX_KID_LEN`].
    Malformed,
    /// `kty` is missing, or of a kind that is not supported.
    KeyType,
    /// `kty` is `oct`, and secrets are not to be loaded.
    Secret,
    /// A secret is shorter than the hash of its algorithm.
    SecretTooShort,
    /// `crv` is missing or of a kind that is not supported for this `kty`.
    Curve,
    /// `use` is neither `sig` nor SPIFFE's `jwt-svid`.
    Use,
    /// `key_ops` is there without `verify`.
    KeyOps,
    /// `alg` is there and is not a supported algorithm for this `kty` and `crv`.
    Algorithm,
    /// Neither the key's numbers nor a certificate with a key of this `kty`.
    MissingMaterial,
    /// There is no certificate in `x5c`, and no certificate or public key in a map of keys in PEM; or
    /// the key is of another kind than `kty` and `crv` say, or of one that is not supported.
    Certificate,
    /// The RSA modulus is below [`super::jwk::MIN_MODULUS_BITS`].
    ModulusTooSmall,
    /// The RSA modulus is above [`super::jwk::MAX_MODULUS_BITS`].
    ModulusTooLarge,
    /// The RSA modulus is even.
    ModulusEven,
    /// The RSA exponent is even, 1, or above [`super::jwk::MAX_EXPONENT_BITS`].
    Exponent,
    /// The RSA key was made by the generator of CVE-2017-15361: its private half is public.
    Roca,
    /// A coordinate is missing or longer than its curve's numbers are, the key of OKP has
    /// another length, or the point of a certificate is not in its uncompressed form.
    CoordinateLength,
    /// The point is not on its curve, or its encoding is not canonical.
    NotOnCurve,
    /// The point has a small order: a signature by it proves nothing.
    SmallOrder,
    /// An earlier key of the set is exactly the same.
    Duplicate,
    /// The set has more than [`super::jwks::MAX_KEYS`] keys: this one and all after it.
    TooManyKeys,
}

impl KeyError {
    /// Fixed text for the log.
    #[must_use]
    pub fn description(self) -> &'static str {
        match self {
            Self::NotAnObject => "not an object with unique member names",
            Self::Malformed => "a member is malformed",
            Self::KeyType => "kty is not supported",
            Self::Secret => "kty oct is for local_jwks with HS256, HS384 or HS512 in algorithms",
            Self::SecretTooShort => "the secret is shorter than the hash of its algorithm",
            Self::Curve => "crv is missing or not supported",
            Self::Use => "use is neither sig nor jwt-svid",
            Self::KeyOps => "key_ops has no verify",
            Self::Algorithm => "alg is not supported or does not fit kty and crv",
            Self::MissingMaterial => "no key material",
            Self::Certificate => "no certificate or public key that is usable",
            Self::ModulusTooSmall => "RSA modulus below 2048 bits",
            Self::ModulusTooLarge => "RSA modulus above 4096 bits",
            Self::ModulusEven => "RSA modulus is even",
            Self::Exponent => "RSA exponent is 1, even or too large",
            Self::Roca => "RSA key is vulnerable to ROCA (CVE-2017-15361)",
            Self::CoordinateLength => "a coordinate has the wrong length",
            Self::NotOnCurve => "the point is not on the curve",
            Self::SmallOrder => "the point is of small order",
            Self::Duplicate => "the same as an earlier key",
            Self::TooManyKeys => "too many keys in the set",
        }
    }
}
