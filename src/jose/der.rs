//! The part of DER (ITU-T X.690) that keys and signatures need: reading the public key out of an
//! X.509 certificate (RFC 5280 section 4.1), reading and writing one as a SubjectPublicKeyInfo (RFC
//! 8017 appendix A.1.1, RFC 5480 section 2, RFC 8410 section 4), telling what a private key is for
//! (RFC 5208 section 5), and an ECDSA signature (RFC 3279 section 2.2.3).
//!
//! Invariant: every read is bounded by the element around it, and only the minimal definite
//! encoding is read, so a certificate has one meaning. Nothing is verified here: a certificate in
//! `x5c` only holds a key, which is trusted for the document that it came in. A signature that is
//! read is one that the host made: JWS has none in DER.

use super::jwa::{Algorithm, Curve};

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const SEQUENCE: u8 = 0x30;
/// `[0] EXPLICIT Version`, the optional first field of a TBSCertificate.
const VERSION: u8 = 0xa0;

/// The least length of an RSA modulus, in octets.
const LEAST_MODULUS: usize = 256;

/// `AlgorithmIdentifier { rsaEncryption, NULL }` without its own header.
const RSA_ENCRYPTION: &[u8] = &[
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
];
/// `AlgorithmIdentifier { id-ecPublicKey, secp256r1 }`, without its own header.
const EC_P256: &[u8] = &[
    0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d,
    0x03, 0x01, 0x07,
];
/// `AlgorithmIdentifier { id-ecPublicKey, secp384r1 }`, without its own header.
const EC_P384: &[u8] = &[
    0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22,
];
/// `AlgorithmIdentifier { id-ecPublicKey, secp521r1 }` (1.3.132.0.35), without its own header.
const EC_P521: &[u8] = &[
    0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23,
];
/// `AlgorithmIdentifier { id-Ed25519 }`, without its own header.
const ED25519: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x70];

/// The key that a certificate or a SubjectPublicKeyInfo holds. It is not vetted yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PublicKey<'a> {
    /// Big-endian numbers without leading zeros.
    Rsa {
        modulus: &'a [u8],
        exponent: &'a [u8],
    },
    /// The point as it is encoded (SEC 1 section 2.3.3).
    Ec { curve: Curve, point: &'a [u8] },
    /// The key as it is encoded.
    Ed25519(&'a [u8]),
}

/// The key of a certificate; `None` where it holds another kind of key or is not one.
pub(super) fn key_of_certificate(der: &[u8]) -> Option<PublicKey<'_>> {
    let mut certificate = Reader(der).only(SEQUENCE)?;
    let mut tbs = certificate.element(SEQUENCE)?;
    certificate.element(SEQUENCE)?; // signatureAlgorithm
    certificate.element(BIT_STRING)?; // signatureValue
    certificate.end()?;

    if tbs.peek() == Some(VERSION) {
        tbs.element(VERSION)?;
    }
    tbs.element(INTEGER)?; // serialNumber
    tbs.element(SEQUENCE)?; // signature
    tbs.element(SEQUENCE)?; // issuer
    tbs.element(SEQUENCE)?; // validity
    tbs.element(SEQUENCE)?; // subject
    key_of(tbs.element(SEQUENCE)?)
}

/// The key of a SubjectPublicKeyInfo; `None` where it is another kind of key or is not one.
pub(super) fn key_of_spki(der: &[u8]) -> Option<PublicKey<'_>> {
    key_of(Reader(der).only(SEQUENCE)?)
}

/// The key of the content of a SubjectPublicKeyInfo.
fn key_of(mut spki: Reader<'_>) -> Option<PublicKey<'_>> {
    let algorithm = spki.element(SEQUENCE)?.0;
    let bits = spki.element(BIT_STRING)?;
    spki.end()?;
    let (unused_bits, key) = bits.0.split_first()?;
    if *unused_bits != 0 {
        return None;
    }
    match algorithm {
        RSA_ENCRYPTION => {
            let mut key = Reader(key).only(SEQUENCE)?;
            let modulus = key.positive_integer()?;
            let exponent = key.positive_integer()?;
            key.end()?;
            Some(PublicKey::Rsa { modulus, exponent })
        }
        EC_P256 => Some(PublicKey::Ec {
            curve: Curve::P256,
            point: key,
        }),
        EC_P384 => Some(PublicKey::Ec {
            curve: Curve::P384,
            point: key,
        }),
        EC_P521 => Some(PublicKey::Ec {
            curve: Curve::P521,
            point: key,
        }),
        ED25519 => Some(PublicKey::Ed25519(key)),
        _ => None,
    }
}

/// The algorithm that a private key in PKCS#8 signs with: `RS256` or `ES256`. `None` for every
/// other kind of key, and for RSA with less than 2048 bits (RFC 7518 section 3.3).
pub(crate) fn algorithm_of_private_key(der: &[u8]) -> Option<Algorithm> {
    let mut info = Reader(der).only(SEQUENCE)?;
    if info.element(INTEGER)?.0 != [0] {
        return None;
    }
    let algorithm = info.element(SEQUENCE)?.0;
    let key = info.element(OCTET_STRING)?;
    match algorithm {
        RSA_ENCRYPTION => {
            let mut key = key.only(SEQUENCE)?;
            key.element(INTEGER)?; // version
            (key.positive_integer()?.len() >= LEAST_MODULUS).then_some(Algorithm::Rs256)
        }
        EC_P256 => key.only(SEQUENCE).map(|_| Algorithm::Es256),
        _ => None,
    }
}

/// The two numbers of an `Ecdsa-Sig-Value`, each with this length in octets (RFC 7518 section 3.4).
pub(crate) fn ecdsa_numbers(der: &[u8], length: usize) -> Option<Vec<u8>> {
    let mut signature = Reader(der).only(SEQUENCE)?;
    let mut numbers = Vec::with_capacity(length.saturating_mul(2));
    for _ in 0..2 {
        let number = signature.positive_integer()?;
        let zeros = length.checked_sub(number.len())?;
        numbers.resize(numbers.len().saturating_add(zeros), 0);
        numbers.extend_from_slice(number);
    }
    signature.end()?;
    Some(numbers)
}

/// The SubjectPublicKeyInfo of an RSA key given as big-endian numbers without leading zeros.
pub(super) fn rsa_spki(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let key = element(
        SEQUENCE,
        &[unsigned_integer(modulus), unsigned_integer(exponent)].concat(),
    );
    spki(RSA_ENCRYPTION, &key)
}

/// The SubjectPublicKeyInfo of a point in its uncompressed form.
pub(super) fn ec_spki(curve: Curve, point: &[u8]) -> Vec<u8> {
    let algorithm = match curve {
        Curve::P256 => EC_P256,
        Curve::P384 => EC_P384,
        Curve::P521 => EC_P521,
    };
    spki(algorithm, point)
}

/// The SubjectPublicKeyInfo of an Ed25519 key.
pub(super) fn ed25519_spki(key: &[u8]) -> Vec<u8> {
    spki(ED25519, key)
}

/// `Ecdsa-Sig-Value`, from big-endian numbers that may have leading zeros.
pub(crate) fn ecdsa_signature(r: &[u8], s: &[u8]) -> Vec<u8> {
    let integer = |number: &[u8]| {
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        unsigned_integer(number.get(zeros..).unwrap_or_default())
    };
    element(SEQUENCE, &[integer(r), integer(s)].concat())
}

fn spki(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    let algorithm = element(SEQUENCE, algorithm);
    let bits = element(BIT_STRING, &[&[0], key].concat());
    element(SEQUENCE, &[algorithm, bits].concat())
}

fn unsigned_integer(number: &[u8]) -> Vec<u8> {
    // A leading one bit would make the number negative.
    match number.first() {
        Some(first) if first & 0x80 == 0 => element(INTEGER, number),
        _ => element(INTEGER, &[&[0], number].concat()),
    }
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut der = vec![tag];
    let length = content.len().to_be_bytes();
    let leading_zeros = length.iter().take_while(|byte| **byte == 0).count();
    let significant = length.get(leading_zeros..).unwrap_or_default();
    match significant {
        [] => der.push(0),
        [short] if *short < 0x80 => der.push(*short),
        long => {
            // At most size_of::<usize>() octets, so the count fits the low bits.
            der.push(0x80 | u8::try_from(long.len()).unwrap_or(0));
            der.extend_from_slice(long);
        }
    }
    der.extend_from_slice(content);
    der
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// The content of the next element, which must have this tag.
    fn element(&mut self, tag: u8) -> Option<Self> {
        if self.byte()? != tag {
            return None;
        }
        let length = self.length()?;
        let (content, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(Reader(content))
    }

    /// Definite and minimal: X.690 sections 8.1.3 and 10.1.
    fn length(&mut self) -> Option<usize> {
        match self.byte()? {
            short @ 0..=0x7f => Some(usize::from(short)),
            0x81 => Some(usize::from(self.byte()?)).filter(|length| *length >= 0x80),
            0x82 => {
                let length = u16::from_be_bytes([self.byte()?, self.byte()?]);
                Some(usize::from(length)).filter(|length| *length >= 0x100)
            }
            // Longer than any certificate in a key document.
            _ => None,
        }
    }

    /// Like [`Reader::element`], but nothing may follow the element.
    fn only(mut self, tag: u8) -> Option<Self> {
        let content = self.element(tag)?;
        self.end()?;
        Some(content)
    }

    fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }

    fn positive_integer(&mut self) -> Option<&'a [u8]> {
        match self.element(INTEGER)?.0 {
            [0, rest @ ..] if rest.first().is_some_and(|first| first & 0x80 != 0) => Some(rest),
            number @ [first, ..] if (1..0x80).contains(first) => Some(number),
            _ => None, // empty, zero, negative, or not minimal
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::{base64url, fixtures};

    fn certificate(jwk: &str) -> Vec<u8> {
        let jwk: serde_json::Value = serde_json::from_str(jwk).unwrap();
        base64url::decode_of_key(jwk["x5c"][0].as_str().unwrap()).unwrap()
    }

    #[test]
    fn the_key_of_a_certificate_is_the_key_it_was_made_with() {
        let der = certificate(fixtures::JWK_A_X5C);
        let (n, e) = rsa_numbers(&der);
        let jwk: serde_json::Value = serde_json::from_str(fixtures::JWK_A).unwrap();
        assert_eq!(base64url::encode(n), jwk["n"].as_str().unwrap());
        assert_eq!(base64url::encode(e), jwk["e"].as_str().unwrap());

        let tail = |der: &[u8], x: &str, y: &str| {
            let Some(PublicKey::Ec { curve, point }) = key_of_certificate(der) else {
                panic!("no EC key");
            };
            let x = base64url::decode(x.as_bytes()).unwrap();
            let y = base64url::decode(y.as_bytes()).unwrap();
            assert_eq!(point, [&[4], x.as_slice(), y.as_slice()].concat());
            curve
        };
        for (with_x5c, with_numbers, curve) in [
            (fixtures::JWK_P256_X5C, fixtures::JWK_P256, Curve::P256),
            (fixtures::JWK_P384_X5C, fixtures::JWK_P384, Curve::P384),
            (fixtures::JWK_P521_X5C, fixtures::JWK_P521, Curve::P521),
        ] {
            let jwk: serde_json::Value = serde_json::from_str(with_numbers).unwrap();
            let (x, y) = (jwk["x"].as_str().unwrap(), jwk["y"].as_str().unwrap());
            assert_eq!(tail(&certificate(with_x5c), x, y), curve);
        }
    }

    fn rsa_numbers(der: &[u8]) -> (&[u8], &[u8]) {
        match key_of_certificate(der) {
            Some(PublicKey::Rsa { modulus, exponent }) => (modulus, exponent),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_signature_is_two_minimal_positive_integers() {
        let table: &[(&[u8], &[u8], &[u8])] = &[
            (&[1], &[2], &[0x30, 6, 2, 1, 1, 2, 1, 2]),
            (&[0, 0, 1], &[0, 0x7f], &[0x30, 6, 2, 1, 1, 2, 1, 0x7f]),
            (
                &[0x80],
                &[0, 0xff],
                &[0x30, 8, 2, 2, 0, 0x80, 2, 2, 0, 0xff],
            ),
            (&[1, 0], &[0, 1, 0], &[0x30, 8, 2, 2, 1, 0, 2, 2, 1, 0]),
        ];
        for (r, s, expected) in table {
            assert_eq!(ecdsa_signature(r, s), *expected, "{r:?} {s:?}");
        }
    }

    #[test]
    fn no_prefix_extension_or_altered_byte_of_a_certificate_does_harm() {
        let der = certificate(fixtures::JWK_A_X5C);
        for length in 0..der.len() {
            assert_eq!(key_of_certificate(&der[..length]), None, "{length}");
        }
        let mut longer = der.clone();
        longer.push(0);
        assert_eq!(key_of_certificate(&longer), None);
        for at in 0..der.len() {
            for value in [0, 1, 0x7f, 0x80, 0x81, 0x82, 0x84, 0xff] {
                let mut altered = der.clone();
                altered[at] = value;
                // What comes out is some part of what went in, or nothing.
                match key_of_certificate(&altered) {
                    Some(PublicKey::Rsa { modulus, exponent }) => {
                        assert!(modulus.len() + exponent.len() < altered.len());
                    }
                    Some(other) => panic!("{other:?}"),
                    None => {}
                }
            }
        }
    }

    #[test]
    fn the_written_form_is_the_usual_one() {
        // openssl rsa -in tests/fixtures/rsa2048-a.pem -pubout -outform DER
        let expected = base64url::decode_of_key(fixtures::SPKI_A).unwrap();
        let der = certificate(fixtures::JWK_A_X5C);
        let (n, e) = rsa_numbers(&der);
        assert_eq!(rsa_spki(n, e), expected);

        // The same of p521.pem; a certificate has it as well, with the same algorithm.
        let expected = base64url::decode_of_key(fixtures::SPKI_P521).unwrap();
        let der = certificate(fixtures::JWK_P521_X5C);
        let Some(PublicKey::Ec { curve, point }) = key_of_certificate(&der) else {
            panic!("no EC key");
        };
        assert_eq!(ec_spki(curve, point), expected);
        assert_eq!(fixtures::key(fixtures::JWK_P521).spki_der(), expected);
    }

    #[test]
    fn a_written_key_is_read_again_and_nothing_else() {
        for jwk in [
            fixtures::JWK_A,
            fixtures::JWK_P256,
            fixtures::JWK_P384,
            fixtures::JWK_P521,
            fixtures::JWK_ED25519,
        ] {
            let der = fixtures::key(jwk).spki_der().to_vec();
            let written = match key_of_spki(&der) {
                Some(PublicKey::Rsa { modulus, exponent }) => rsa_spki(modulus, exponent),
                Some(PublicKey::Ec { curve, point }) => ec_spki(curve, point),
                Some(PublicKey::Ed25519(key)) => ed25519_spki(key),
                None => panic!("{jwk}"),
            };
            assert_eq!(written, der);
            assert_eq!(key_of_spki(&[&der[..], &[0]].concat()), None, "{jwk}");
            for length in 0..der.len() {
                assert_eq!(key_of_spki(&der[..length]), None, "{jwk} {length}");
            }
        }
        assert_eq!(key_of_spki(&certificate(fixtures::JWK_P256_X5C)), None);
        let spki = fixtures::key(fixtures::JWK_P256).spki_der().to_vec();
        assert_eq!(key_of_certificate(&spki), None);
    }

    #[test]
    fn lengths_are_minimal_and_definite() {
        let table: &[(&[u8], Option<usize>)] = &[
            (&[0x00], Some(0)),
            (&[0x7f], Some(0x7f)),
            (&[0x81, 0x80], Some(0x80)),
            (&[0x81, 0x7f], None), // the short form exists
            (&[0x82, 0x01, 0x00], Some(0x100)),
            (&[0x82, 0x00, 0xff], None),
            (&[0x80], None), // indefinite
            (&[0x83, 0x01, 0x00, 0x00], None),
            (
                &[0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
                None,
            ),
            (&[0x82, 0x01], None),
            (&[], None),
        ];
        for (bytes, expected) in table {
            assert_eq!(Reader(bytes).length(), *expected, "{bytes:?}");
        }
    }
}
