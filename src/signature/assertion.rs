//! The proof of who a client is, signed with its private key (RFC 7523 section 2.2, OpenID Connect
//! Core 1.0 section 9).
//!
//! The host signs, by Envoy's foreign function `sign`. Its argument and result are protobuf
//! messages (`SignArguments` and `SignResult` of Envoy's Wasm extension):
//!
//! | argument | type | value |
//! |---|---|---|
//! | 1 `hash_function` | string | `sha256` |
//! | 2 `private_key` | bytes | PKCS#8, DER |
//! | 3 `text` | bytes | what is signed |
//!
//! The result has 1 `result` (bool), 2 `signature` (bytes; ECDSA's in DER) and 3 `error` (string).
//! The function knows no PSS.
//!
//! Invariants: no key is shown. Each assertion is for one audience, has an identifier of its own and
//! is good for a minute.

use std::fmt;

use crate::jose::jwa::{Algorithm, Curve};
use crate::jose::rsa::MIN_MODULUS_BITS;
use crate::jose::{base64url, der, pem};
use crate::protobuf::{Field, Message, push_field};

/// The name under which Envoy registers it.
pub const FUNCTION: &str = "sign";

/// How long an assertion is good, in seconds.
const LIFETIME: u64 = 60;
/// The shortest signature of RSA, in octets: as long as the modulus.
const LEAST_SIGNATURE: usize = MIN_MODULUS_BITS / 8;
/// RFC 7523 section 2.2, form-encoded.
const FORM: &str = "&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=";
/// Where a private key begins in PEM (RFC 7468 section 10).
const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";

/// Calls the host's function with its argument.
pub type Signer<'s> = &'s dyn Fn(&[u8]) -> Option<Vec<u8>>;

/// A private key of RSA or of P-256.
#[derive(Clone, PartialEq, Eq)]
pub struct PrivateKey {
    /// PKCS#8.
    der: Vec<u8>,
    algorithm: Algorithm,
}

impl PrivateKey {
    /// Reads a key in PKCS#8: PEM, whose line feeds may also be spaces or the two characters `\n`;
    /// or in base64, its DER or its PEM. `None` where it is none, or neither of RSA with 2048 bits
    /// or more nor of P-256.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut octets = of_pem(text).or_else(|| base64url::decode_of_key(text))?;
        if let Some(inner) = str::from_utf8(&octets).ok().and_then(of_pem) {
            octets = inner;
        }
        Some(Self {
            algorithm: der::algorithm_of_private_key(&octets)?,
            der: octets,
        })
    }

    /// The signature of a JWS (RFC 7518 sections 3.3 and 3.4).
    fn sign(&self, text: &[u8], signer: Signer<'_>) -> Option<Vec<u8>> {
        let mut argument = Vec::with_capacity(self.der.len().saturating_add(text.len()));
        for (number, field) in (1u8..).zip([&b"sha256"[..], &self.der, text]) {
            push_field(&mut argument, number, field);
        }
        let result = signer(&argument)?;
        let (mut is_signed, mut signature) = (false, &[][..]);
        for field in Message(&result) {
            match field? {
                (1, Field::Number(1)) => is_signed = true,
                (2, Field::Bytes(bytes)) => signature = bytes,
                _ => return None,
            }
        }
        match self.algorithm {
            _ if !is_signed => None,
            Algorithm::Es256 => der::ecdsa_numbers(signature, Curve::P256.field_len()),
            _ => (signature.len() >= LEAST_SIGNATURE).then(|| signature.to_vec()),
        }
    }
}

/// The octets of the first private key in a text of PEM. Tools write other things before it.
fn of_pem(text: &str) -> Option<Vec<u8>> {
    let key = text.get(text.find(BEGIN)?..)?;
    pem::decode(&key.replace("\\n", "\n"), pem::PRIVATE_KEY)
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey")
    }
}

/// What is the same in all assertions of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assertion {
    key: PrivateKey,
    /// The header, in base64url, with the dot after it.
    header: String,
    /// The claims that never change, as the beginning of a JSON object.
    claims: String,
    /// `None`: the address of each call.
    audience: Option<String>,
    /// The scheme whose client it is of, for the log.
    pub scheme: String,
}

impl Assertion {
    /// Assertions of the client `id` for `audience`, or without one for the address of each call.
    /// `parameters` are further ones of the header:
    /// `kid`, `x5t`, `x5t#S256` (RFC 7515 section 4.1).
    #[must_use]
    pub fn new(
        key: PrivateKey,
        id: &str,
        audience: Option<&str>,
        parameters: &[(&'static str, String)],
    ) -> Self {
        let id = quoted(id);
        let mut header = format!("{{\"alg\":\"{}\",\"typ\":\"JWT\"", key.algorithm.name());
        for (name, value) in parameters {
            header.push_str(&format!(",\"{name}\":{}", quoted(value)));
        }
        header.push('}');
        Self {
            key,
            header: format!("{}.", base64url::encode(header.as_bytes())),
            claims: format!("{{\"iss\":{id},\"sub\":{id}"),
            audience: audience.map(str::to_owned),
            scheme: String::new(),
        }
    }

    /// A new assertion as a form has it, to be put behind the form's other parameters. `address`: of
    /// the call. `now`: in Unix seconds. `id`: random, for `jti`. `None` where the host cannot sign.
    #[must_use]
    pub fn form(
        &self,
        address: &str,
        now: u64,
        id: [u8; 16],
        signer: Signer<'_>,
    ) -> Option<String> {
        let (claims, id) = (&self.claims, base64url::encode(&id));
        let audience = quoted(self.audience.as_deref().unwrap_or(address));
        let expires = now.saturating_add(LIFETIME);
        let claims = format!(
            "{claims},\"aud\":{audience},\"jti\":\"{id}\",\"iat\":{now},\"exp\":{expires}}}"
        );
        let mut token = self.header.clone();
        token.push_str(&base64url::encode(claims.as_bytes()));
        let signature = base64url::encode(&self.key.sign(token.as_bytes(), signer)?);
        Some(format!("{FORM}{token}.{signature}"))
    }
}

/// A text as a string of JSON.
fn quoted(text: &str) -> String {
    // Writing to a string does not fail.
    serde_json::to_string(&serde_json::Value::from(text)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde_json::{Value, json};

    use super::*;

    const END: &str = "-----END PRIVATE KEY-----";
    const RSA: &str = include_str!("../../tests/fixtures/rsa2048-a.pem");
    const P256: &str = include_str!("../../tests/fixtures/p256.pem");
    const NOW: u64 = 1_800_000_000;
    const ADDRESS: &str = "https://idp.example/token?tenant=1";

    fn key(pem: &str) -> PrivateKey {
        PrivateKey::parse(pem).unwrap()
    }

    /// The host's answer with a signature.
    fn result(signature: &[u8]) -> Vec<u8> {
        let mut result = vec![0x08, 1];
        push_field(&mut result, 2, signature);
        result
    }

    /// An ECDSA signature whose numbers are short, or look negative.
    fn ecdsa() -> Vec<u8> {
        der::ecdsa_signature(&[0x80], &[7; 32])
    }

    fn parts(form: &str) -> (Value, Value, Vec<u8>) {
        let token = form.strip_prefix(FORM).unwrap();
        let parts: Vec<Vec<u8>> = token
            .split('.')
            .map(|part| base64url::decode(part.as_bytes()).unwrap())
            .collect();
        let json = |at: usize| serde_json::from_slice(&parts[at]).unwrap();
        (json(0), json(1), parts[2].clone())
    }

    #[test]
    fn a_key_is_read_in_each_of_its_spellings() {
        for (pem, algorithm) in [(RSA, Algorithm::Rs256), (P256, Algorithm::Es256)] {
            let whole = key(pem);
            assert_eq!(whole.algorithm, algorithm);
            let bare = &pem[pem.find(BEGIN).unwrap()..];
            let body = STANDARD.encode(&whole.der);
            for text in [
                bare.to_owned(),
                bare.trim_end().to_owned(),
                bare.replace('\n', "\r\n"),
                bare.replace('\n', "\\n"),
                bare.replace('\n', " "),
                body.clone(),
                format!("{body}\n"),
                body.trim_end_matches('=').to_owned(),
                STANDARD.encode(bare),
                STANDARD.encode(pem),
            ] {
                assert_eq!(PrivateKey::parse(&text).as_ref(), Some(&whole), "{text}");
            }
        }
    }

    #[test]
    fn what_is_no_key_for_this() {
        let der = key(RSA).der;
        let encrypted = RSA.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
        let pkcs1 = RSA.replace("PRIVATE KEY", "RSA PRIVATE KEY");
        let mut longer = der.clone();
        longer.push(0);
        for text in [
            "",
            "secret",
            "a-key-of-thirty-two-octets-at-least",
            BEGIN,
            &format!("{BEGIN}{END}"),
            &format!("{END}{BEGIN}"),
            &encrypted,
            &pkcs1,
            &STANDARD.encode(STANDARD.encode(RSA)),
            &STANDARD.encode(longer),
            include_str!("../../tests/fixtures/p384.pem"),
            include_str!("../../tests/fixtures/p521.pem"),
            include_str!("../../tests/fixtures/ed25519.pem"),
            include_str!("../../tests/fixtures/p256.jwk.json"),
        ] {
            assert_eq!(PrivateKey::parse(text), None, "{text}");
        }
        for length in 0..der.len() {
            assert_eq!(PrivateKey::parse(&STANDARD.encode(&der[..length])), None);
        }
        // RSA with 1024 bits: the modulus is cut, and the lengths around it are.
        let short = short_rsa();
        assert_eq!(PrivateKey::parse(&STANDARD.encode(short)), None);
    }

    /// PKCS#8 of RSA with a modulus of 1024 bits, as far as it is read.
    fn short_rsa() -> Vec<u8> {
        let mut number = vec![0x02, 0x81, 0x81, 0x00];
        number.extend_from_slice(&[0xff; 128]);
        let key = [&[0x30, 0x81, 0x87, 0x02, 1, 0][..], &number].concat();
        let key = [&[0x04, 0x81, 0x8a][..], &key].concat();
        let algorithm = [
            0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05,
            0x00,
        ];
        [&[0x30, 0x81, 0x9f, 0x02, 1, 0][..], &algorithm, &key].concat()
    }

    #[test]
    fn what_is_signed() {
        let seen = RefCell::new(Vec::new());
        let signer = |argument: &[u8]| {
            seen.borrow_mut().push(argument.to_vec());
            Some(result(&[7; 256]))
        };
        let parameters = [("kid", "a\"b".to_owned()), ("x5t", "AAAA".to_owned())];
        let of_issuer =
            Assertion::new(key(RSA), "w\"eb", Some("https://idp.example/"), &parameters);
        let form = of_issuer.form(ADDRESS, NOW, [0xff; 16], &signer).unwrap();
        let (header, claims, signature) = parts(&form);
        assert_eq!(
            header,
            json!({"alg": "RS256", "typ": "JWT", "kid": "a\"b", "x5t": "AAAA"})
        );
        assert_eq!(
            claims,
            json!({
                "iss": "w\"eb", "sub": "w\"eb", "aud": "https://idp.example/",
                "jti": "_____________________w", "iat": NOW, "exp": NOW + 60,
            })
        );
        assert_eq!(signature, [7; 256]);
        // The fields of the message that Envoy reads.
        let argument = seen.take().remove(0);
        let fields: Vec<(u64, Vec<u8>)> = Message(&argument)
            .map(|field| match field.unwrap() {
                (number, Field::Bytes(bytes)) => (number, bytes.to_vec()),
                _ => panic!("a number"),
            })
            .collect();
        let token = form.strip_prefix(FORM).unwrap();
        let (text, _) = token.rsplit_once('.').unwrap();
        assert_eq!(
            fields,
            [
                (1, b"sha256".to_vec()),
                (2, key(RSA).der),
                (3, text.as_bytes().to_vec())
            ]
        );

        let of_call = Assertion::new(key(P256), "web", None, &[]);
        let form = of_call.form(ADDRESS, NOW, [1; 16], &|_| Some(result(&ecdsa())));
        let (header, claims, signature) = parts(&form.unwrap());
        assert_eq!(header, json!({"alg": "ES256", "typ": "JWT"}));
        assert_eq!(claims["aud"], ADDRESS);
        assert_eq!(signature, [vec![0; 31], vec![0x80], vec![7; 32]].concat());
    }

    #[test]
    fn a_host_that_does_not_sign_gives_no_assertion() {
        let long = der::ecdsa_signature(&[7; 33], &[7; 32]);
        let mut trailing = ecdsa();
        trailing.push(0);
        let mut with_error = result(&[7; 256]);
        push_field(&mut with_error, 3, b"no");
        let without_result = result(&[7; 256])[2..].to_vec();
        let answers: &[(&str, Option<Vec<u8>>)] = &[
            (RSA, None),
            (RSA, Some(vec![])),
            (RSA, Some(vec![0x08, 1])),
            (RSA, Some(vec![0x08, 0])),
            (RSA, Some(result(&[7; 255]))),
            (RSA, Some(result(&[7; 128]))),
            (RSA, Some(without_result)),
            (RSA, Some(with_error)),
            (RSA, Some(b"true".to_vec())),
            (P256, Some(result(&[7; 64]))),
            (P256, Some(result(&long))),
            (P256, Some(result(&trailing))),
            (P256, Some(result(&[]))),
        ];
        for (pem, answer) in answers {
            let assertion = Assertion::new(key(pem), "web", None, &[]);
            let form = assertion.form(ADDRESS, NOW, [1; 16], &|_| answer.clone());
            assert_eq!(form, None, "{answer:?}");
        }
    }

    #[test]
    fn s28_no_private_key_is_shown() {
        let assertion = Assertion::new(key(P256), "web", None, &[]);
        let shown = format!("{assertion:?} {:?}", key(RSA));
        let octets = format!("{:?}", key(P256).der);
        assert!(!shown.contains(octets.trim_matches(['[', ']'])), "{shown}");
        assert!(shown.contains("PrivateKey"), "{shown}");
    }
}
