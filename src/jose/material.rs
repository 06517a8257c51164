//! The numbers of a key, RFC 7518 section 6 and RFC 8037 section 2. They come from the JWK's own
//! members or, where it has none of them, from its first certificate, RFC 7517 section 4.7.
//!
//! Invariant: the numbers are within the bounds of the type that the JWK names, and the key of a
//! certificate has that type too. Private members (`d`, `p`, ...) are not read.

use super::base64url;
use super::der::{self, PublicKey};
use super::ec::EcPublicKey;
use super::json::Element;
use super::jwa::{Algorithm, KeyType};
use super::key_error::KeyError;
use super::member::{member, octets};
use super::oct::{self, Secret};
use super::okp::Ed25519PublicKey;
use super::rsa::RsaPublicKey;

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
    /// Reads the numbers of a key of this type that is for `bound_to`, or for what its type allows.
    pub(super) fn parse(
        jwk: Element<'_>,
        key_type: KeyType,
        bound_to: Option<Algorithm>,
    ) -> Result<Self, KeyError> {
        let own = match key_type {
            KeyType::Rsa => pair(jwk, "n", "e")?
                .map(|[n, e]| RsaPublicKey::new(&n, &e).map(Self::Rsa))
                .transpose(),
            KeyType::Ec(curve) => pair(jwk, "x", "y")?
                .map(|[x, y]| EcPublicKey::new(curve, &x, &y).map(Self::Ec))
                .transpose(),
            KeyType::Ed25519 => octets(jwk, "x")?
                .map(|x| Ed25519PublicKey::new(&x).map(Self::Ed25519))
                .transpose(),
            KeyType::Octets => {
                let octets = octets(jwk, "k")?.ok_or(KeyError::MissingMaterial)?;
                return Secret::new(octets, bound_to).map(Self::Secret);
            }
        };
        if let Some(own) = own? {
            return Ok(own);
        }
        let material = Self::of(der::key_of_certificate(&certificate(jwk)?))?;
        if material.key_type() == key_type {
            Ok(material)
        } else {
            Err(KeyError::Certificate)
        }
    }

    /// The numbers of the key that was found in DER.
    pub(super) fn of(found: Option<PublicKey<'_>>) -> Result<Self, KeyError> {
        match found.ok_or(KeyError::Certificate)? {
            PublicKey::Rsa { modulus, exponent } => {
                RsaPublicKey::new(modulus, exponent).map(Self::Rsa)
            }
            PublicKey::Ec { curve, point } => EcPublicKey::from_point(curve, point).map(Self::Ec),
            PublicKey::Ed25519(key) => Ed25519PublicKey::new(key).map(Self::Ed25519),
        }
    }

    /// Which type of key it is.
    pub(super) fn key_type(&self) -> KeyType {
        match self {
            Self::Rsa(_) => KeyType::Rsa,
            Self::Ec(key) => KeyType::Ec(key.curve()),
            Self::Ed25519(_) => KeyType::Ed25519,
            Self::Secret(_) => KeyType::Octets,
        }
    }

    /// The key as a DER SubjectPublicKeyInfo; empty for a secret.
    pub(super) fn spki_der(&self) -> Vec<u8> {
        match self {
            Self::Rsa(key) => key.spki_der(),
            Self::Ec(key) => key.spki_der(),
            Self::Ed25519(key) => key.spki_der(),
            Self::Secret(_) => Vec::new(),
        }
    }

    /// The length in octets of every valid signature by this key and an algorithm of its type.
    pub(super) fn signature_len(&self, algorithm: Algorithm) -> usize {
        match self {
            Self::Rsa(key) => key.modulus().len(),
            Self::Ec(key) => key.curve().field_len().saturating_mul(2),
            Self::Ed25519(_) => ed25519_dalek::SIGNATURE_LENGTH,
            Self::Secret(_) => oct::signature_len(algorithm),
        }
    }
}

/// Two numbers of a key. The one is no key without the other.
fn pair(jwk: Element<'_>, one: &str, other: &str) -> Result<Option<[Vec<u8>; 2]>, KeyError> {
    match (octets(jwk, one)?, octets(jwk, other)?) {
        (Some(one), Some(other)) => Ok(Some([one, other])),
        (None, None) => Ok(None),
        _ => Err(KeyError::MissingMaterial),
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

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value};

    use super::*;
    use crate::jose::fixtures;

    #[test]
    fn a20_material() {
        fixtures::check_keys(
            fixtures::JWK_A,
            &[
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
            ],
        );
    }

    #[test]
    fn a20_material_of_curves() {
        let x = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"; // 32 octets
        let length = Some(KeyError::CoordinateLength);
        let (malformed, missing) = (Some(KeyError::Malformed), Some(KeyError::MissingMaterial));
        fixtures::check_keys(
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
        fixtures::check_keys(
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
            assert_eq!(
                fixtures::altered_key(jwk, members).err(),
                refused,
                "{members}"
            );
        }
        let one = fixtures::altered_key(fixtures::JWK_P256_X5C, r#"{"x":"AAAA"}"#);
        assert_eq!(one.err(), Some(KeyError::MissingMaterial), "x without y");
    }

    #[test]
    fn x5c_stands_in_for_the_numbers() {
        let from_certificate = fixtures::key(fixtures::JWK_A_X5C);
        assert_eq!(from_certificate, fixtures::key(fixtures::JWK_A));

        // The numbers win where there are both.
        let jwk: serde_json::Value = serde_json::from_str(fixtures::JWK_A_X5C).unwrap();
        let both = format!(r#"{{"x5c":{}}}"#, jwk["x5c"]);
        assert_eq!(
            fixtures::altered_key(fixtures::JWK_A, &both),
            Ok(from_certificate)
        );
        assert_eq!(
            fixtures::altered_key(fixtures::JWK_A, r#"{"x5c":["nonsense"]}"#).err(),
            None
        );

        let der = jwk["x5c"][0].as_str().unwrap();
        let without = |x5c: String| {
            fixtures::altered_key(
                fixtures::JWK_A,
                &format!(r#"{{"n":null,"e":null,"x5c":{x5c}}}"#),
            )
            .err()
        };
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
}
