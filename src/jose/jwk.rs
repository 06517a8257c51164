//! JSON Web Key, RFC 7517 section 4.
//!
//! Invariant: a [`Key`] may verify signatures, is within the bounds of its type, and is bound to
//! its algorithms when it is parsed: a token's header can only pick among them. Only
//! [`Key::parse_with_secrets`] makes a key of a secret. A public key is never a secret of HMAC,
//! because its type decides what it is.
//!
//! Members are read in many spellings, as [`super::member`] does. What the key is and what it may
//! do is read strictly.

use super::der;
pub use super::ec::{EcPublicKey, Point as EcPoint};
use super::json::Element;
use super::jwa::{Algorithm, Curve, KeyType};
use super::jws::{JoseHeader, MAX_KID_LEN};
pub use super::key_error::KeyError;
pub use super::material::Material;
use super::member::{member, string};
pub use super::multiples::Curve as EcCurve;
pub use super::oct::Secret;
pub use super::okp::Ed25519PublicKey;
use super::pem;
pub use super::rsa::{MAX_EXPONENT_BITS, MAX_MODULUS_BITS, MIN_MODULUS_BITS, RsaPublicKey};
use crate::bytes;

/// A vetted key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    kid: Option<String>,
    /// `x5t` and `x5t#S256`, where the document gives them.
    thumbprints: [Option<String>; 2],
    /// Where the document gives it, as Microsoft Entra ID does.
    issuer: Option<String>,
    key_type: KeyType,
    bound_to: Option<Algorithm>,
    material: Material,
    spki_der: Vec<u8>,
}

impl Key {
    /// Vets one member of a JWK Set. Private members (`d`, `p`, ...) are not looked at.
    ///
    /// # Errors
    /// [`KeyError`] says why the key is not used.
    pub fn parse(jwk: Element<'_>) -> Result<Self, KeyError> {
        match key_type(jwk)? {
            KeyType::Octets => Err(KeyError::Secret),
            _ => Self::parse_with_secrets(jwk),
        }
    }

    /// Like [`Key::parse`], and loads a secret as well. For the operator's own keys only.
    ///
    /// # Errors
    /// [`KeyError`] says why the key is not used.
    pub fn parse_with_secrets(jwk: Element<'_>) -> Result<Self, KeyError> {
        let kid = string(jwk, "kid")?;
        if kid.is_some_and(|kid| kid.len() > MAX_KID_LEN) {
            return Err(KeyError::Malformed);
        }
        let key_type = key_type(jwk)?;
        // SPIFFE's bundles say by the kind of a document what a key is for.
        if !matches!(string(jwk, "use")?, None | Some("sig" | "jwt-svid")) {
            return Err(KeyError::Use);
        }
        if !may_verify(jwk)? {
            return Err(KeyError::KeyOps);
        }
        let bound_to = string(jwk, "alg")?
            .map(|name| {
                Algorithm::parse(name)
                    .filter(|algorithm| algorithm.key_type() == key_type)
                    .ok_or(KeyError::Algorithm)
            })
            .transpose()?;
        let material = Material::parse(jwk, key_type, bound_to)?;
        Ok(Self {
            thumbprints: [thumbprint(jwk, "x5t"), thumbprint(jwk, "x5t#S256")],
            // One that is no text is nobody's.
            issuer: jwk
                .get("issuer")
                .filter(|issuer| !issuer.is_null())
                .map(|issuer| issuer.as_str().unwrap_or_default().to_owned()),
            bound_to,
            ..Self::new(kid, material)
        })
    }

    /// The key that a certificate in PEM holds, or that is a public key in PEM. Nothing else of the
    /// certificate is looked at.
    ///
    /// # Errors
    /// [`KeyError`] says why the key is not used.
    pub(super) fn of_pem(kid: &str, text: &str) -> Result<Self, KeyError> {
        if kid.len() > MAX_KID_LEN {
            return Err(KeyError::Malformed);
        }
        if pem::begun(text, pem::PUBLIC_KEY).is_some() {
            return Self::of_public_key(kid, text);
        }
        let der = pem::decode(text, pem::CERTIFICATE).ok_or(KeyError::Certificate)?;
        let material = Material::of(der::key_of_certificate(&der))?;
        Ok(Self::new(Some(kid), material))
    }

    /// The public key in PEM that a text is, and nothing else.
    ///
    /// # Errors
    /// [`KeyError`] says why the key is not used.
    pub(crate) fn of_public_key(kid: &str, text: &str) -> Result<Self, KeyError> {
        let der = pem::decode(text, pem::PUBLIC_KEY).ok_or(KeyError::Certificate)?;
        let material = Material::of(der::key_of_spki(&der))?;
        Ok(Self::new(Some(kid), material))
    }

    /// The public key in PEM, in one line.
    pub(crate) fn to_pem(&self) -> String {
        pem::encode(&self.spki_der, pem::PUBLIC_KEY)
    }

    /// A key that says nothing of itself but its `kid`.
    fn new(kid: Option<&str>, material: Material) -> Self {
        Self {
            kid: kid.map(str::to_owned),
            thumbprints: [None, None],
            issuer: None,
            key_type: material.key_type(),
            bound_to: None,
            spki_der: material.spki_der(),
            material,
        }
    }

    /// Whether both are the same key, so that their document has it twice. The encodings of points
    /// are compared, which needs no arithmetic.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.kid == other.kid
            && self.thumbprints == other.thumbprints
            && self.issuer == other.issuer
            && self.bound_to == other.bound_to
            && self.spki_der == other.spki_der
            && match (&self.material, &other.material) {
                (Material::Secret(own), Material::Secret(other)) => own == other,
                _ => self.key_type == other.key_type,
            }
    }

    /// The key's identifier, if its document gives one.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The issuer whose tokens it signs, if its document says so: the member `issuer`, which is
    /// Microsoft's. [`super::issuer::TENANT_ID`] in it is any tenant's id.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// Whether a token's header names this key by the thumbprint of its certificate, RFC 7515
    /// sections 4.1.7 and 4.1.8. Thumbprints are compared as they are written. They are not
    /// computed, since they only choose among keys that are trusted already.
    #[must_use]
    pub fn has_thumbprint_of(&self, header: &JoseHeader) -> bool {
        let mut pairs = self.thumbprints.iter().zip(&header.thumbprints);
        pairs.any(|(own, named)| own.is_some() && own == named)
    }

    /// Whether signatures by this algorithm may be verified with this key. The key's own `alg`
    /// decides, or without one [`Algorithm::is_default_of_its_keys`].
    #[must_use]
    pub fn allows(&self, algorithm: Algorithm) -> bool {
        match self.bound_to {
            Some(bound_to) => bound_to == algorithm,
            None => {
                algorithm.key_type() == self.key_type
                    && algorithm.is_default_of_its_keys()
                    && match &self.material {
                        Material::Secret(secret) => secret.is_long_enough_for(algorithm),
                        _ => true,
                    }
            }
        }
    }

    /// The key's numbers.
    #[must_use]
    pub fn material(&self) -> &Material {
        &self.material
    }

    /// The key as a DER SubjectPublicKeyInfo, RFC 5280 section 4.1, with nothing after it; empty
    /// for a secret, which has no such form.
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    /// The length in octets of every valid signature by this key and an algorithm that it allows.
    #[must_use]
    pub fn signature_len(&self, algorithm: Algorithm) -> usize {
        self.material.signature_len(algorithm)
    }
}

/// `kty` and `crv` decide what a key is. Neither is guessed from the other members.
fn key_type(jwk: Element<'_>) -> Result<KeyType, KeyError> {
    let curve = || Ok(string(jwk, "crv")?.unwrap_or_default());
    match string(jwk, "kty")? {
        Some("RSA") => Ok(KeyType::Rsa),
        Some("EC") => Curve::parse(curve()?)
            .map(KeyType::Ec)
            .ok_or(KeyError::Curve),
        Some("OKP") if curve()? == "Ed25519" => Ok(KeyType::Ed25519),
        Some("OKP") => Err(KeyError::Curve),
        Some("oct") => Ok(KeyType::Octets),
        _ => Err(KeyError::KeyType),
    }
}

/// A thumbprint, if it has a form that a token's thumbprint could have. Any other text counts as
/// none.
fn thumbprint(jwk: Element<'_>, name: &str) -> Option<String> {
    let text = jwk.get(name)?.as_str()?;
    let padding = bytes::find(text.as_bytes(), b'=').unwrap_or(text.len());
    let text = text.get(..padding)?;
    (1..=MAX_KID_LEN)
        .contains(&text.len())
        .then(|| text.to_owned())
}

/// RFC 7517 section 4.3; a key without `key_ops` may do what its other members allow.
fn may_verify(jwk: Element<'_>) -> Result<bool, KeyError> {
    let Some(key_ops) = member(jwk, "key_ops") else {
        return Ok(true);
    };
    let mut may = false;
    for operation in key_ops.items().ok_or(KeyError::Malformed)? {
        may |= operation.as_str().ok_or(KeyError::Malformed)? == "verify";
    }
    Ok(may)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::json::Document;
    use crate::jose::{base64url, fixtures};

    #[test]
    fn a14_secrets_are_not_loaded_unasked() {
        fixtures::check_keys(
            fixtures::JWK_A,
            &[
                (r#"{"kty":"oct","k":"AAAA"}"#, Some(KeyError::Secret)),
                (
                    r#"{"kty":"oct","k":"AAAA","n":null,"e":null}"#,
                    Some(KeyError::Secret),
                ),
                (r#"{"kty":"oct","alg":"HS256"}"#, Some(KeyError::Secret)),
                (
                    r#"{"kty":"RSA","alg":"HS256","k":"AAAA"}"#,
                    Some(KeyError::Algorithm),
                ),
            ],
        );
    }

    #[test]
    fn a14_a_secret_that_is_asked_for_is_for_hmac_alone() {
        use Algorithm::{Hs256, Hs384, Hs512};
        let parse = |alg: &str, octets: usize| {
            let k = base64url::encode(&vec![7; octets]);
            let jwk = format!(r#"{{"kty":"oct","k":"{k}"{alg}}}"#);
            Key::parse_with_secrets(Document::parse(jwk.as_bytes()).unwrap().root())
        };
        let table: &[(&str, usize, &[Algorithm])] = &[
            ("", 32, &[Hs256]),
            ("", 48, &[Hs256, Hs384]),
            ("", 64, &[Hs256, Hs384, Hs512]),
            (r#","alg":"HS256""#, 64, &[Hs256]),
            (r#","alg":"HS512""#, 64, &[Hs512]),
        ];
        for (alg, octets, allowed) in table {
            let key = parse(alg, *octets).unwrap();
            for algorithm in Algorithm::ALL {
                let expected = allowed.contains(algorithm);
                assert_eq!(key.allows(*algorithm), expected, "{alg} {octets}");
            }
            assert!(key.spki_der().is_empty());
        }
        let short = Some(KeyError::SecretTooShort);
        assert_eq!(parse("", 31).err(), short);
        assert_eq!(parse(r#","alg":"HS256""#, 31).err(), short);
        assert_eq!(parse(r#","alg":"HS512""#, 63).err(), short);
        let refused = Some(KeyError::Algorithm);
        for alg in ["RS256", "EdDSA", "none", "A256GCM"] {
            assert_eq!(parse(&format!(r#","alg":"{alg}""#), 64).err(), refused);
        }
        // A public key stays one, whatever it says.
        for members in [r#"{"alg":"HS256"}"#, r#"{"alg":"HS256","k":"AAAA"}"#] {
            let jwk = fixtures::altered_jwk(fixtures::JWK_A, members);
            let jwk = Document::parse(jwk.as_bytes()).unwrap();
            assert_eq!(Key::parse_with_secrets(jwk.root()).err(), refused);
        }
    }

    #[test]
    fn a15_a_key_is_for_what_it_says() {
        fixtures::check_keys(
            fixtures::JWK_A,
            &[
                ("{}", None),
                (r#"{"use":null}"#, None),
                (r#"{"use":"jwt-svid"}"#, None), // SPIFFE Trust Domain and Bundle section 4.2.2
                (r#"{"use":"x509-svid"}"#, Some(KeyError::Use)),
                (r#"{"use":"wit-svid"}"#, Some(KeyError::Use)),
                (r#"{"use":"JWT-SVID"}"#, Some(KeyError::Use)),
                (r#"{"use":"enc"}"#, Some(KeyError::Use)),
                (r#"{"use":"SIG"}"#, Some(KeyError::Use)),
                (r#"{"use":""}"#, Some(KeyError::Use)),
                (r#"{"use":["sig"]}"#, Some(KeyError::Malformed)),
                (r#"{"key_ops":["verify"]}"#, None),
                (r#"{"key_ops":["sign","verify"]}"#, None),
                (r#"{"key_ops":[]}"#, Some(KeyError::KeyOps)),
                (r#"{"key_ops":["sign"]}"#, Some(KeyError::KeyOps)),
                (r#"{"key_ops":["encrypt"]}"#, Some(KeyError::KeyOps)),
                (r#"{"key_ops":["Verify"]}"#, Some(KeyError::KeyOps)),
                (r#"{"key_ops":"verify"}"#, Some(KeyError::Malformed)),
                (r#"{"key_ops":["verify",1]}"#, Some(KeyError::Malformed)),
                (r#"{"alg":"RS512"}"#, None),
                (r#"{"alg":"PS256"}"#, None),
                (r#"{"alg":"EdDSA"}"#, Some(KeyError::Algorithm)),
                (r#"{"alg":"rs256"}"#, Some(KeyError::Algorithm)),
                (r#"{"alg":"none"}"#, Some(KeyError::Algorithm)),
                (r#"{"alg":"ES256"}"#, Some(KeyError::Algorithm)),
                (r#"{"alg":"RSA-OAEP"}"#, Some(KeyError::Algorithm)),
                (r#"{"alg":["RS256"]}"#, Some(KeyError::Malformed)),
                (r#"{"kty":null}"#, Some(KeyError::KeyType)),
                (r#"{"kty":"rsa"}"#, Some(KeyError::KeyType)),
                (
                    r#"{"kty":"EC","crv":"P-256","alg":null}"#,
                    Some(KeyError::MissingMaterial),
                ),
                (r#"{"kty":"EC","crv":"P-256"}"#, Some(KeyError::Algorithm)),
                (r#"{"kty":"EC"}"#, Some(KeyError::Curve)),
                (r#"{"kty":"ec","crv":"P-256"}"#, Some(KeyError::KeyType)),
                (r#"{"kty":1}"#, Some(KeyError::Malformed)),
            ],
        );
    }

    #[test]
    fn a15_alg_binds_the_key() {
        use Algorithm::{EdDsa, Es256, Es384, Es512, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
        // What may be said in `alg`, and what a key is for that says nothing.
        let table: &[(&str, &[Algorithm], &[Algorithm])] = &[
            (
                fixtures::JWK_A,
                &[Rs256, Rs384, Rs512, Ps256, Ps384, Ps512],
                &[Rs256, Rs384, Rs512],
            ),
            (fixtures::JWK_P256, &[Es256], &[Es256]),
            (fixtures::JWK_P384, &[Es384], &[Es384]),
            (fixtures::JWK_P521, &[Es512], &[Es512]),
            (fixtures::JWK_ED25519, &[EdDsa], &[EdDsa]),
        ];
        for (jwk, possible, unbound) in table {
            for bound_to in Algorithm::ALL {
                let key =
                    fixtures::altered_key(jwk, &format!(r#"{{"alg":"{}"}}"#, bound_to.name()));
                if !possible.contains(bound_to) {
                    assert_eq!(key.err(), Some(KeyError::Algorithm), "{bound_to:?} {jwk}");
                    continue;
                }
                let key = key.unwrap();
                for algorithm in Algorithm::ALL {
                    assert_eq!(key.allows(*algorithm), algorithm == bound_to);
                }
            }
            let key = fixtures::altered_key(jwk, r#"{"alg":null}"#).unwrap();
            for algorithm in Algorithm::ALL {
                assert_eq!(key.allows(*algorithm), unbound.contains(algorithm));
            }
        }
        let renamed = fixtures::altered_key(fixtures::JWK_ED25519, r#"{"alg":"Ed25519"}"#).unwrap();
        assert!(renamed.allows(EdDsa));
    }

    #[test]
    fn a15_kty_and_crv_decide() {
        let (curve, key_type) = (Some(KeyError::Curve), Some(KeyError::KeyType));
        fixtures::check_keys(
            fixtures::JWK_P256,
            &[
                ("{}", None),
                (r#"{"alg":null}"#, None),
                (r#"{"alg":"ES384"}"#, Some(KeyError::Algorithm)),
                (r#"{"alg":"RS256"}"#, Some(KeyError::Algorithm)),
                (r#"{"alg":"HS256"}"#, Some(KeyError::Algorithm)),
                (r#"{"alg":"ECDH-ES"}"#, Some(KeyError::Algorithm)),
                (r#"{"crv":"P-384"}"#, Some(KeyError::Algorithm)),
                (r#"{"crv":"P-384","alg":null}"#, Some(KeyError::NotOnCurve)),
                (r#"{"crv":null}"#, curve),
                (r#"{"crv":""}"#, curve),
                (r#"{"crv":"p-256"}"#, curve),
                (r#"{"crv":"P-521"}"#, Some(KeyError::Algorithm)),
                (r#"{"crv":"P-521","alg":null}"#, Some(KeyError::NotOnCurve)),
                (r#"{"crv":"P-512"}"#, curve),
                (r#"{"crv":"secp256k1"}"#, curve),
                (r#"{"crv":"Ed25519"}"#, curve),
                (r#"{"crv":["P-256"]}"#, Some(KeyError::Malformed)),
                (r#"{"kty":"OKP"}"#, curve),
                (r#"{"kty":"RSA"}"#, Some(KeyError::Algorithm)),
                (
                    r#"{"kty":"RSA","alg":null}"#,
                    Some(KeyError::MissingMaterial),
                ),
                (r#"{"kty":"oct"}"#, Some(KeyError::Secret)),
                (r#"{"kty":"AKP"}"#, key_type),
            ],
        );
        fixtures::check_keys(
            fixtures::JWK_ED25519,
            &[
                ("{}", None),
                (r#"{"alg":null,"y":"AAAA"}"#, None), // an OKP key has no y to look at
                (r#"{"alg":"Ed448"}"#, Some(KeyError::Algorithm)),
                (r#"{"alg":"ES256"}"#, Some(KeyError::Algorithm)),
                (r#"{"crv":"X25519"}"#, curve),
                (r#"{"crv":"Ed448"}"#, curve),
                (r#"{"crv":"ed25519"}"#, curve),
                (r#"{"crv":null}"#, curve),
                (r#"{"kty":"EC"}"#, curve),
            ],
        );
    }

    #[test]
    fn a19_kid_of_a_key() {
        fixtures::check_keys(
            fixtures::JWK_A,
            &[
                (r#"{"kid":null}"#, None),
                (r#"{"kid":""}"#, None),
                (r#"{"kid":1}"#, Some(KeyError::Malformed)),
                (&format!(r#"{{"kid":"{}"}}"#, "k".repeat(1024)), None),
                (
                    &format!(r#"{{"kid":"{}"}}"#, "k".repeat(1025)),
                    Some(KeyError::Malformed),
                ),
            ],
        );
    }

    #[test]
    fn thumbprints_choose_where_both_have_the_same_one() {
        let header = |x5t: Option<&str>, s256: Option<&str>| JoseHeader {
            algorithm: Algorithm::Rs256,
            kid: None,
            typ: None,
            thumbprints: [x5t, s256].map(|text| text.map(str::to_owned)),
            signer: None,
            client: None,
        };
        let table: &[(&str, JoseHeader, bool)] = &[
            (r#"{"x5t":"a"}"#, header(Some("a"), None), true),
            (r#"{"x5t":"a=="}"#, header(Some("a"), None), true),
            (r#"{"x5t":"a"}"#, header(Some("b"), None), false),
            (r#"{"x5t":"a"}"#, header(Some("A"), None), false),
            (r#"{"x5t":"a"}"#, header(None, Some("a")), false), // of another hash
            (r#"{"x5t#S256":"a"}"#, header(None, Some("a")), true),
            (r#"{"x5t#S256":"a"}"#, header(Some("a"), None), false),
            (
                r#"{"x5t":"a","x5t#S256":"b"}"#,
                header(Some("c"), Some("b")),
                true,
            ),
            ("{}", header(None, None), false),
            ("{}", header(Some("a"), Some("a")), false),
            (r#"{"x5t":""}"#, header(Some(""), None), false),
            (r#"{"x5t":"="}"#, header(Some(""), None), false),
            // No thumbprint, and no reason to skip the key.
            (r#"{"x5t":1}"#, header(Some("1"), None), false),
            (r#"{"x5t":["a"]}"#, header(Some("a"), None), false),
        ];
        for (members, header, expected) in table {
            let key = fixtures::altered_key(fixtures::JWK_A, members).unwrap();
            assert_eq!(key.has_thumbprint_of(header), *expected, "{members}");
        }
    }
}
