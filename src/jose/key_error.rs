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
    /// `use` is there and is neither `sig` nor SPIFFE's `jwt-svid`.
    Use,
    /// `key_ops` is there without `verify`.
    KeyOps,
    /// `alg` is there and is not a supported algorithm for this `kty` and `crv`.
    Algorithm,
    /// Neither the key's numbers nor a certificate with a key of this `kty`.
    MissingMaterial,
    /// `x5c` is not a certificate with a key of this `kty` and `crv`.
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
    /// The point is not on its curve, or is spelt as no canonical encoding spells one.
    NotOnCurve,
    /// The point has a small order: its signatures say nothing.
    SmallOrder,
    /// An earlier key of the set is the same in everything.
    Duplicate,
    /// The set has more than [`super::jwks::MAX_KEYS`] keys: this one and all after it.
    TooManyKeys,
}

impl KeyError {
    /// Fixed text for the log.
    #[must_use]
    pub fn description(self) -> &'static str {
        match self {
            KeyError::NotAnObject => "not an object with unique member names",
            KeyError::Malformed => "a member is malformed",
            KeyError::KeyType => "kty is not supported",
            KeyError::Secret => {
                "kty oct is for local_jwks with HS256, HS384 or HS512 in algorithms"
            }
            KeyError::SecretTooShort => "the secret is shorter than the hash of its algorithm",
            KeyError::Curve => "crv is missing or not supported",
            KeyError::Use => "use is neither sig nor jwt-svid",
            KeyError::KeyOps => "key_ops has no verify",
            KeyError::Algorithm => "alg is not supported or does not fit kty and crv",
            KeyError::MissingMaterial => "no key material",
            KeyError::Certificate => "x5c holds no usable certificate",
            KeyError::ModulusTooSmall => "RSA modulus below 2048 bits",
            KeyError::ModulusTooLarge => "RSA modulus above 4096 bits",
            KeyError::ModulusEven => "RSA modulus is even",
            KeyError::Exponent => "RSA exponent is 1, even or too large",
            KeyError::Roca => "RSA key is vulnerable to ROCA (CVE-2017-15361)",
            KeyError::CoordinateLength => "a coordinate has the wrong length",
            KeyError::NotOnCurve => "the point is not on the curve",
            KeyError::SmallOrder => "the point is of small order",
            KeyError::Duplicate => "the same as an earlier key",
            KeyError::TooManyKeys => "too many keys in the set",
        }
    }
}
