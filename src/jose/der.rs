//! The little of DER (ITU-T X.690) that keys need: reading the RSA public key out of an X.509
//! certificate (RFC 5280 section 4.1) and writing one as a SubjectPublicKeyInfo (RFC 8017
//! appendix A.1.1).
//!
//! Invariant: every read is bounded by the element around it, and only the minimal definite
//! encoding is read, so a certificate has one meaning. Nothing is verified here: a certificate
//! in `x5c` is a container for a key whose trust comes from the document it was fetched in.

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;
/// `[0] EXPLICIT Version`, the optional first field of a TBSCertificate.
const VERSION: u8 = 0xa0;

/// `AlgorithmIdentifier { rsaEncryption, NULL }` without its own header.
const RSA_ENCRYPTION: &[u8] = &[
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
];

/// The modulus and exponent, big-endian without leading zeros, of the RSA key that the
/// certificate holds; `None` where it holds another kind of key or is not a certificate.
pub(super) fn rsa_key_of_certificate(der: &[u8]) -> Option<(&[u8], &[u8])> {
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
    let mut spki = tbs.element(SEQUENCE)?;

    if spki.element(SEQUENCE)?.0 != RSA_ENCRYPTION {
        return None;
    }
    let bits = spki.element(BIT_STRING)?;
    spki.end()?;
    let (unused_bits, key) = bits.0.split_first()?;
    if *unused_bits != 0 {
        return None;
    }
    let mut key = Reader(key).only(SEQUENCE)?;
    let modulus = key.positive_integer()?;
    let exponent = key.positive_integer()?;
    key.end()?;
    Some((modulus, exponent))
}

/// The SubjectPublicKeyInfo of an RSA key given as big-endian numbers without leading zeros.
pub(super) fn rsa_spki(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let key = element(
        SEQUENCE,
        &[unsigned_integer(modulus), unsigned_integer(exponent)].concat(),
    );
    let algorithm = element(SEQUENCE, RSA_ENCRYPTION);
    let bits = element(BIT_STRING, &[&[0], key.as_slice()].concat());
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

    /// The content of the next element, which has to have this tag.
    fn element(&mut self, tag: u8) -> Option<Reader<'a>> {
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
            // Longer than any certificate that fits a key document worth reading.
            _ => None,
        }
    }

    /// Like [`Reader::element`], where nothing may follow.
    fn only(mut self, tag: u8) -> Option<Reader<'a>> {
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
    use crate::jose::{base64url, fixtures, json};

    fn certificate(jwk: &str) -> Vec<u8> {
        let jwk = json::parse_object(jwk.as_bytes()).unwrap();
        base64url::decode_certificate(jwk["x5c"][0].as_str().unwrap().as_bytes()).unwrap()
    }

    #[test]
    fn the_key_of_a_certificate_is_the_key_it_was_made_with() {
        let der = certificate(fixtures::JWK_A_X5C);
        let (n, e) = rsa_key_of_certificate(&der).unwrap();
        let jwk = json::parse_object(fixtures::JWK_A.as_bytes()).unwrap();
        assert_eq!(base64url::encode(n), jwk["n"].as_str().unwrap());
        assert_eq!(base64url::encode(e), jwk["e"].as_str().unwrap());
        assert_eq!(
            rsa_key_of_certificate(&certificate(fixtures::JWK_P256_X5C)),
            None
        );
    }

    #[test]
    fn no_prefix_extension_or_altered_byte_of_a_certificate_does_harm() {
        let der = certificate(fixtures::JWK_A_X5C);
        for length in 0..der.len() {
            assert_eq!(rsa_key_of_certificate(&der[..length]), None, "{length}");
        }
        let mut longer = der.clone();
        longer.push(0);
        assert_eq!(rsa_key_of_certificate(&longer), None);
        for at in 0..der.len() {
            for value in [0, 1, 0x7f, 0x80, 0x81, 0x82, 0x84, 0xff] {
                let mut altered = der.clone();
                altered[at] = value;
                // What comes out is some part of what went in, or nothing.
                if let Some((n, e)) = rsa_key_of_certificate(&altered) {
                    assert!(n.len() + e.len() < altered.len());
                }
            }
        }
    }

    #[test]
    fn the_written_form_is_the_usual_one() {
        // openssl rsa -in tests/fixtures/rsa2048-a.pem -pubout -outform DER
        let expected = base64url::decode_certificate(fixtures::SPKI_A.as_bytes()).unwrap();
        let der = certificate(fixtures::JWK_A_X5C);
        let (n, e) = rsa_key_of_certificate(&der).unwrap();
        assert_eq!(rsa_spki(n, e), expected);
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
