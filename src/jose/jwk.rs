//! JSON Web Key, RFC 7517 section 4, RFC 7518 section 6 and RFC 8037 section 2.
//!
//! Invariant: a [`Key`] may verify signatures, is within the bounds of its type, and bound to its
//! algorithms when it is parsed: a token's header can only pick among them. It is a public key,
//! unless [`Key::parse_with_secrets`] was asked for it; a public key is no secret of HMAC either
//! way, for its type says what it is.
//!
//! How a document spells a key is read liberally: a member that is null counts as left out, and
//! base64 as [`base64url::decode_of_key`] reads it. What the key is and may do is not.

use super::base64url;
use super::der::{self, CertifiedKey};
pub use super::ec::EcPublicKey;
use super::json::Element;
use super::jwa::{Algorithm, Curve, KeyType};
use super::jws::{JoseHeader, MAX_KID_LEN};
pub use super::key_error::KeyError;
use super::oct;
pub use super::oct::Secret;
pub use super::okp::Ed25519PublicKey;
pub use super::rsa::{MAX_EXPONENT_BITS, MAX_MODULUS_BITS, MIN_MODULUS_BITS, RsaPublicKey};
use crate::bytes;

/// The numbers of a key, by its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Material {
    /// `kty` RSA.
    Rsa(RsaPublicKey),
    /// `kty` EC.
    Ec(EcPublicKey),
    /// `kty` OKP, `crv` Ed25519.
    Ed25519(Ed25519PublicKey),
    /// `kty` oct.
    Secret(Secret),
}

impl Material {
    fn spki_der(&self) -> Vec<u8> {
        match self {
            Material::Rsa(key) => key.spki_der(),
            Material::Ec(key) => key.spki_der(),
            Material::Ed25519(key) => key.spki_der(),
            Material::Secret(_) => Vec::new(),
        }
    }
}

/// A vetted key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    kid: Option<String>,
    /// `x5t` and `x5t#S256`, where the document gives them.
    thumbprints: [Option<String>; 2],
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
    pub fn parse(jwk: Element<'_>) -> Result<Key, KeyError> {
        match key_type(jwk)? {
            KeyType::Octets => Err(KeyError::Secret),
            _ => Key::parse_with_secrets(jwk),
        }
    }

    /// Like [`Key::parse`], and loads a secret as well. For the operator's own keys only.
    ///
    /// # Errors
    /// [`KeyError`] says why the key is not used.
    pub fn parse_with_secrets(jwk: Element<'_>) -> Result<Key, KeyError> {
        let kid = string(jwk, "kid")?;
        if kid.is_some_and(|kid| kid.len() > MAX_KID_LEN) {
            return Err(KeyError::Malformed);
        }
        let key_type = key_type(jwk)?;
        // SPIFFE's bundles say what a key is for by the kind of its documents.
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
        let material = match key_type {
            KeyType::Rsa => Material::Rsa(rsa(jwk)?),
            KeyType::Ec(curve) => Material::Ec(ec(jwk, curve)?),
            KeyType::Ed25519 => Material::Ed25519(ed25519(jwk)?),
            KeyType::Octets => {
                let octets = octets(jwk, "k")?.ok_or(KeyError::MissingMaterial)?;
                Material::Secret(Secret::new(octets, bound_to)?)
            }
        };
        Ok(Key {
            kid: kid.map(str::to_owned),
            thumbprints: [thumbprint(jwk, "x5t"), thumbprint(jwk, "x5t#S256")],
            key_type,
            bound_to,
            spki_der: material.spki_der(),
            material,
        })
    }

    /// Whether a document that has both has one key twice. Points are not compared as such: their
    /// encodings say the same, and bring no arithmetic with them.
    pub(super) fn is_same(&self, other: &Key) -> bool {
        self.kid == other.kid
            && self.thumbprints == other.thumbprints
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

    /// Whether a token's header names this key by the thumbprint of its certificate, RFC 7515
    /// sections 4.1.7 and 4.1.8. Thumbprints are compared as they are written: nobody computes
    /// them, and they only choose among keys that are trusted already.
    #[must_use]
    pub fn has_thumbprint_of(&self, header: &JoseHeader) -> bool {
        let mut pairs = self.thumbprints.iter().zip(&header.thumbprints);
        pairs.any(|(own, named)| own.is_some() && own == named)
    }

    /// Whether signatures by this algorithm may be verified with this key: the key's own `alg`,
    /// or where it has none, what [`Algorithm::is_default_of_its_keys`] says of its type.
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
        match &self.material {
            Material::Rsa(key) => key.modulus().len(),
            Material::Ec(key) => key.curve().field_len().saturating_mul(2),
            Material::Ed25519(_) => ed25519_dalek::SIGNATURE_LENGTH,
            Material::Secret(_) => oct::signature_len(algorithm),
        }
    }
}

/// `kty` and `crv` decide what a key is; neither is guessed from its other members.
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

fn rsa(jwk: Element<'_>) -> Result<RsaPublicKey, KeyError> {
    match (octets(jwk, "n")?, octets(jwk, "e")?) {
        (Some(n), Some(e)) => RsaPublicKey::new(&n, &e),
        (None, None) => match der::key_of_certificate(&certificate(jwk)?) {
            Some(CertifiedKey::Rsa { modulus, exponent }) => RsaPublicKey::new(modulus, exponent),
            _ => Err(KeyError::Certificate),
        },
        _ => Err(KeyError::MissingMaterial),
    }
}

fn ec(jwk: Element<'_>, curve: Curve) -> Result<EcPublicKey, KeyError> {
    match (octets(jwk, "x")?, octets(jwk, "y")?) {
        (Some(x), Some(y)) => EcPublicKey::new(curve, &x, &y),
        (None, None) => match der::key_of_certificate(&certificate(jwk)?) {
            Some(CertifiedKey::Ec { curve: its, point }) if its == curve => {
                EcPublicKey::from_point(curve, point)
            }
            _ => Err(KeyError::Certificate),
        },
        _ => Err(KeyError::MissingMaterial),
    }
}

fn ed25519(jwk: Element<'_>) -> Result<Ed25519PublicKey, KeyError> {
    match octets(jwk, "x")? {
        Some(x) => Ed25519PublicKey::new(&x),
        None => match der::key_of_certificate(&certificate(jwk)?) {
            Some(CertifiedKey::Ed25519(key)) => Ed25519PublicKey::new(key),
            _ => Err(KeyError::Certificate),
        },
    }
}

/// RFC 7517 section 4.7: the first certificate holds the key.
fn certificate(jwk: Element<'_>) -> Result<Vec<u8>, KeyError> {
    let chain = member(jwk, "x5c").ok_or(KeyError::MissingMaterial)?.items();
    let first = chain.and_then(|mut certificates| certificates.next());
    let text = first
        .and_then(Element::as_str)
        .ok_or(KeyError::Certificate)?;
    base64url::decode_of_key(text).ok_or(KeyError::Certificate)
}

/// A thumbprint that a token could have; what is none chooses no key.
fn thumbprint(jwk: Element<'_>, name: &str) -> Option<String> {
    let text = jwk.get(name)?.as_str()?;
    let padding = bytes::find(text.as_bytes(), b'=').unwrap_or(text.len());
    let text = text.get(..padding)?;
    (1..=MAX_KID_LEN)
        .contains(&text.len())
        .then(|| text.to_owned())
}

fn octets(jwk: Element<'_>, name: &str) -> Result<Option<Vec<u8>>, KeyError> {
    string(jwk, name)?
        .map(|text| base64url::decode_of_key(text).ok_or(KeyError::Malformed))
        .transpose()
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

fn string<'a>(jwk: Element<'a>, name: &str) -> Result<Option<&'a str>, KeyError> {
    member(jwk, name)
        .map(|value| value.as_str().ok_or(KeyError::Malformed))
        .transpose()
}

/// A member of a key. One that is null says nothing, as some serializers write it.
fn member<'a>(jwk: Element<'a>, name: &str) -> Option<Element<'a>> {
    jwk.get(name).filter(|value| !value.is_null())
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value};

    use super::*;
    use crate::jose::fixtures;
    use crate::jose::json::Document;

    /// The fixture's JWK with members set, or taken away where the value is null.
    fn altered(members: &str) -> Result<Key, KeyError> {
        altered_of(fixtures::JWK_A, members)
    }

    fn altered_of(fixture: &str, members: &str) -> Result<Key, KeyError> {
        let jwk = altered_text(fixture, members);
        Key::parse(Document::parse(jwk.as_bytes()).unwrap().root())
    }

    fn altered_text(fixture: &str, members: &str) -> String {
        let mut jwk: Map<String, Value> = serde_json::from_str(fixture).unwrap();
        for (name, value) in serde_json::from_str::<Map<String, Value>>(members).unwrap() {
            if value.is_null() {
                jwk.remove(&name);
            } else {
                jwk.insert(name, value);
            }
        }
        Value::Object(jwk).to_string()
    }

    fn check(table: &[(&str, Option<KeyError>)]) {
        check_of(fixtures::JWK_A, table);
    }

    fn check_of(fixture: &str, table: &[(&str, Option<KeyError>)]) {
        for (members, expected) in table {
            assert_eq!(altered_of(fixture, members).err(), *expected, "{members}");
        }
    }

    #[test]
    fn a14_secrets_are_not_loaded_unasked() {
        check(&[
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
        ]);
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
            let jwk = altered_text(fixtures::JWK_A, members);
            let jwk = Document::parse(jwk.as_bytes()).unwrap();
            assert_eq!(Key::parse_with_secrets(jwk.root()).err(), refused);
        }
    }

    #[test]
    fn a15_a_key_is_for_what_it_says() {
        check(&[
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
        ]);
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
                let key = altered_of(jwk, &format!(r#"{{"alg":"{}"}}"#, bound_to.name()));
                if !possible.contains(bound_to) {
                    assert_eq!(key.err(), Some(KeyError::Algorithm), "{bound_to:?} {jwk}");
                    continue;
                }
                let key = key.unwrap();
                for algorithm in Algorithm::ALL {
                    assert_eq!(key.allows(*algorithm), algorithm == bound_to);
                }
            }
            let key = altered_of(jwk, r#"{"alg":null}"#).unwrap();
            for algorithm in Algorithm::ALL {
                assert_eq!(key.allows(*algorithm), unbound.contains(algorithm));
            }
        }
        let renamed = altered_of(fixtures::JWK_ED25519, r#"{"alg":"Ed25519"}"#).unwrap();
        assert!(renamed.allows(EdDsa));
    }

    #[test]
    fn a15_kty_and_crv_decide() {
        let (curve, key_type) = (Some(KeyError::Curve), Some(KeyError::KeyType));
        check_of(
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
        check_of(
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
        check(&[
            (r#"{"kid":null}"#, None),
            (r#"{"kid":""}"#, None),
            (r#"{"kid":1}"#, Some(KeyError::Malformed)),
            (&format!(r#"{{"kid":"{}"}}"#, "k".repeat(1024)), None),
            (
                &format!(r#"{{"kid":"{}"}}"#, "k".repeat(1025)),
                Some(KeyError::Malformed),
            ),
        ]);
    }

    #[test]
    fn a20_material() {
        check(&[
            (r#"{"d":"AAAA","p":1}"#, None), // private members are not looked at
            (r#"{"e":"Aw"}"#, None),
            (r#"{"e":"AQ"}"#, Some(KeyError::Exponent)),
            (r#"{"e":"Ag"}"#, Some(KeyError::Exponent)),
            (r#"{"e":"AQAB="}"#, None), // spelt in another way
            (r#"{"e":"AAEAAQ=="}"#, None),
            (r#"{"e":"AQ=AB"}"#, Some(KeyError::Malformed)),
            (r#"{"e":65537}"#, Some(KeyError::Malformed)),
            (r#"{"e":null}"#, Some(KeyError::MissingMaterial)),
            (r#"{"n":null}"#, Some(KeyError::MissingMaterial)),
            (r#"{"n":null,"e":null}"#, Some(KeyError::MissingMaterial)),
            (r#"{"n":""}"#, Some(KeyError::ModulusTooSmall)),
            (r#"{"n":"AQAB"}"#, Some(KeyError::ModulusTooSmall)),
            (r#"{"n":"+/8="}"#, Some(KeyError::ModulusTooSmall)),
            (r#"{"n":"*/8="}"#, Some(KeyError::Malformed)),
            (r#"{"n":["AQAB"]}"#, Some(KeyError::Malformed)),
        ]);
    }

    #[test]
    fn a20_material_of_curves() {
        let x = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"; // 32 octets
        let length = Some(KeyError::CoordinateLength);
        let (malformed, missing) = (Some(KeyError::Malformed), Some(KeyError::MissingMaterial));
        check_of(
            fixtures::JWK_P256,
            &[
                (r#"{"d":1}"#, None), // private members are not looked at
                (&format!(r#"{{"x":"{x}"}}"#), Some(KeyError::NotOnCurve)),
                (&format!(r#"{{"x":"{x}="}}"#), Some(KeyError::NotOnCurve)),
                (&format!(r#"{{"x":"{x}."}}"#), malformed),
                (&format!(r#"{{"y":"AA{x}"}}"#), malformed), // no multiple of octets
                (&format!(r#"{{"y":"AQAA{x}"}}"#), length),
                (
                    &format!(r#"{{"y":"{}"}}"#, &x[..40]),
                    Some(KeyError::NotOnCurve),
                ),
                (r#"{"x":""}"#, length),
                (r#"{"x":"","y":""}"#, length),
                (r#"{"x":1}"#, malformed),
                (r#"{"x":null}"#, missing),
                (r#"{"y":null}"#, missing),
                (r#"{"x":null,"y":null}"#, missing),
            ],
        );
        check_of(
            fixtures::JWK_ED25519,
            &[
                (r#"{"d":1}"#, None),
                (&format!(r#"{{"x":"{x}."}}"#), malformed),
                (&format!(r#"{{"x":"AAAA{x}"}}"#), length), // no number, so no zeros in front
                (&format!(r#"{{"x":"{}"}}"#, &x[..40]), length),
                (
                    &format!(r#"{{"x":"{}"}}"#, "A".repeat(43)),
                    Some(KeyError::SmallOrder),
                ),
                (r#"{"x":""}"#, length),
                (r#"{"x":null}"#, missing),
            ],
        );
    }

    #[test]
    fn x5c_stands_in_for_a_point() {
        for (with_x5c, with_numbers) in [
            (fixtures::JWK_P256_X5C, fixtures::JWK_P256),
            (fixtures::JWK_P384_X5C, fixtures::JWK_P384),
            (fixtures::JWK_P521_X5C, fixtures::JWK_P521),
            (fixtures::JWK_ED25519_X5C, fixtures::JWK_ED25519),
        ] {
            assert_eq!(fixtures::key(with_x5c), fixtures::key(with_numbers));
        }
        // The certificate's key is of another kind than the JWK says.
        let refused = Some(KeyError::Certificate);
        for (jwk, members) in [
            (fixtures::JWK_P256_X5C, r#"{"crv":"P-384","alg":null}"#),
            (fixtures::JWK_P384_X5C, r#"{"crv":"P-256","alg":null}"#),
            (fixtures::JWK_P384_X5C, r#"{"crv":"P-521","alg":null}"#),
            (fixtures::JWK_P521_X5C, r#"{"crv":"P-384","alg":null}"#),
            (fixtures::JWK_P256_X5C, r#"{"kty":"RSA","alg":null}"#),
            (
                fixtures::JWK_P256_X5C,
                r#"{"kty":"OKP","crv":"Ed25519","alg":null}"#,
            ),
            (
                fixtures::JWK_ED25519_X5C,
                r#"{"kty":"EC","crv":"P-256","alg":null}"#,
            ),
            (
                fixtures::JWK_A_X5C,
                r#"{"kty":"EC","crv":"P-256","alg":null}"#,
            ),
            (
                fixtures::JWK_A_X5C,
                r#"{"kty":"OKP","crv":"Ed25519","alg":null}"#,
            ),
        ] {
            assert_eq!(altered_of(jwk, members).err(), refused, "{members}");
        }
        let one = altered_of(fixtures::JWK_P256_X5C, r#"{"x":"AAAA"}"#);
        assert_eq!(one.err(), Some(KeyError::MissingMaterial), "x without y");
    }

    #[test]
    fn x5c_stands_in_for_the_numbers() {
        let from_certificate = fixtures::key(fixtures::JWK_A_X5C);
        assert_eq!(from_certificate, fixtures::key(fixtures::JWK_A));

        // The numbers win where there are both.
        let jwk: serde_json::Value = serde_json::from_str(fixtures::JWK_A_X5C).unwrap();
        let both = format!(r#"{{"x5c":{}}}"#, jwk["x5c"]);
        assert_eq!(altered(&both), Ok(from_certificate));
        assert_eq!(altered(r#"{"x5c":["nonsense"]}"#).err(), None);

        let der = jwk["x5c"][0].as_str().unwrap();
        let without = |x5c: String| altered(&format!(r#"{{"n":null,"e":null,"x5c":{x5c}}}"#)).err();
        let refused = Some(KeyError::Certificate);
        assert_eq!(without(format!(r#"["{der}","not looked at"]"#)), None);
        assert_eq!(without(format!(r#""{der}""#)), refused); // not an array
        assert_eq!(without("[]".into()), refused);
        assert_eq!(without("[1]".into()), refused);
        assert_eq!(without(r#"[""]"#.into()), refused);
        assert_eq!(without(format!(r#"["AAAA","{der}"]"#)), refused); // the first one counts
        assert_eq!(
            without(format!(r#"["{}"]"#, &der[..der.len() - 4])),
            refused
        );
        assert_eq!(without(format!(r#"["{der}!"]"#)), refused);
        // base64 with padding is asked for, and not what everybody writes
        for spelt in [
            der.replace('+', "-").replace('/', "_"),
            der.trim_end_matches('=').to_owned(),
            format!("{}\\r\\n{}\\n", &der[..64], &der[64..]),
        ] {
            assert_eq!(without(format!(r#"["{spelt}"]"#)), None, "{spelt}");
        }
    }

    /// A member that is null is as one that is left out, whichever it is.
    #[test]
    fn null_is_left_out() {
        let names = [
            "kty", "crv", "kid", "use", "key_ops", "alg", "n", "e", "x", "y", "k", "d", "x5c",
            "x5t", "x5t#S256", "x5u", "ext",
        ];
        for fixture in [
            fixtures::JWK_A,
            fixtures::JWK_P256,
            fixtures::JWK_P521,
            fixtures::JWK_ED25519,
            fixtures::JWK_A_X5C,
            fixtures::JWK_P256_X5C,
            fixtures::JWK_ED25519_X5C,
        ] {
            for name in names {
                let mut jwk: Map<String, Value> = serde_json::from_str(fixture).unwrap();
                let parse = |jwk: &Map<String, Value>| {
                    let text = Value::Object(jwk.clone()).to_string();
                    Key::parse(Document::parse(text.as_bytes()).unwrap().root())
                };
                jwk.remove(name);
                let without = parse(&jwk);
                jwk.insert(name.to_owned(), Value::Null);
                assert_eq!(parse(&jwk), without, "{name} of {fixture}");
            }
        }
        let secret = |more: &str| {
            let k = base64url::encode(&[7; 32]);
            let jwk = format!(r#"{{"kty":"oct","k":"{k}"{more}}}"#);
            Key::parse_with_secrets(Document::parse(jwk.as_bytes()).unwrap().root())
        };
        assert!(secret("").is_ok());
        assert_eq!(secret(r#","alg":null,"use":null,"kid":null"#), secret(""));
    }

    /// Every member that is base64, in every spelling: it is the same key.
    #[test]
    fn a_key_is_the_same_in_every_spelling_of_its_members() {
        let spellings: &[fn(&str) -> String] = &[
            |text| format!("{text}="),
            |text| format!("{text}=="),
            |text| text.replace('-', "+").replace('_', "/"),
            |text| format!("{}\n{}\n", &text[..4], &text[4..]),
        ];
        for (fixture, names) in [
            (fixtures::JWK_A, &["n", "e"][..]),
            (fixtures::JWK_P256, &["x", "y"]),
            (fixtures::JWK_P384, &["x", "y"]),
            (fixtures::JWK_P521, &["x", "y"]),
            (fixtures::JWK_ED25519, &["x"]),
        ] {
            for name in names {
                for spell in spellings {
                    let mut jwk: Map<String, Value> = serde_json::from_str(fixture).unwrap();
                    let spelt = spell(jwk[*name].as_str().unwrap());
                    jwk.insert((*name).to_owned(), spelt.into());
                    let jwk = Value::Object(jwk).to_string();
                    assert_eq!(fixtures::key(&jwk), fixtures::key(fixture), "{jwk}");
                }
            }
        }
    }

    #[test]
    fn thumbprints_choose_where_both_have_the_same_one() {
        let header = |x5t: Option<&str>, s256: Option<&str>| JoseHeader {
            algorithm: Algorithm::Rs256,
            kid: None,
            typ: None,
            thumbprints: [x5t, s256].map(|text| text.map(str::to_owned)),
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
            // It is nobody's, and no reason to skip the key.
            (r#"{"x5t":1}"#, header(Some("1"), None), false),
            (r#"{"x5t":["a"]}"#, header(Some("a"), None), false),
        ];
        for (members, header, expected) in table {
            let key = altered(members).unwrap();
            assert_eq!(key.has_thumbprint_of(header), *expected, "{members}");
        }
    }
}
