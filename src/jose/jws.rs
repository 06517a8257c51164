//! JSON Web Signature in compact form, RFC 7515 sections 4 and 7.1.
//!
//! Invariant: a [`Jws`] has one spelling and one meaning, and nothing of it is trusted yet. Only
//! `alg`, `typ`, `signer`, `client` and the names of a key (`kid`, `x5t` and `x5t#S256`) are kept of its
//! header. `jwk`, `jku`, `x5u` and `x5c` are never read, since a token could bring its own key with them.

use std::sync::Arc;

use super::base64url::{self, Spelling};
use super::error::JwtError;
use super::json::{Document, Element};
use super::jwa::Algorithm;
use crate::bytes;

/// The longest token that is read, in octets. Envoy's own limit on all headers together is 60 KiB.
pub const MAX_TOKEN_LEN: usize = 16 * 1024;
/// The longest `kid`, in octets. The longest that are in use are thumbprint URIs of about 100.
pub const MAX_KID_LEN: usize = 1024;

/// The part of a JOSE header that is kept. It is only the client's claim until the signature is
/// verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoseHeader {
    /// `alg`.
    pub algorithm: Algorithm,
    /// `kid`.
    pub kid: Option<String>,
    /// `typ`, as it is spelt.
    pub typ: Option<String>,
    /// `x5t` and `x5t#S256`, where they are texts: names of a key, as `kid` is.
    pub thumbprints: [Option<String>; 2],
    /// `signer`, where it is a text: the load balancer of AWS that made the token.
    pub signer: Option<String>,
    /// `client`, where it is a text: the OAuth client that the load balancer is for this token.
    pub client: Option<String>,
}

/// A parsed and unverified token.
#[derive(Clone, Debug)]
pub struct Jws<'t> {
    header: Arc<JoseHeader>,
    header_segment: &'t [u8],
    payload: Vec<u8>,
    payload_segment: &'t [u8],
    signing_input: &'t [u8],
    signature: Vec<u8>,
}

/// Headers that were read lately, by their segments. Tokens of one issuer and key mostly have the
/// same header.
#[derive(Debug, Default)]
pub struct HeaderMemo {
    entries: Vec<(Spelling, Box<[u8]>, Arc<JoseHeader>)>,
    /// The place of the next one.
    next: usize,
}

impl HeaderMemo {
    /// The most headers, which bounds the memory and the cost of a look.
    const MOST: usize = 4;
    /// The longest segment that is remembered, in octets.
    const LONGEST: usize = 512;

    /// What is spelt in one way is not remembered for another.
    fn read(&mut self, spelling: Spelling, segment: &[u8]) -> Result<Arc<JoseHeader>, JwtError> {
        let mut entries = self.entries.iter();
        let is_it = |(spelt, known, _): &&(Spelling, Box<[u8]>, _)| {
            *spelt == spelling && bytes::equal(known, segment)
        };
        if let Some((.., header)) = entries.find(is_it) {
            return Ok(Arc::clone(header));
        }
        let bare = spelling.bare(segment);
        let octets = bare.and_then(base64url::decode);
        let header = Arc::new(parse_header(&octets.ok_or(JwtError::HeaderEncoding)?)?);
        if segment.len() <= Self::LONGEST {
            let entry = (spelling, segment.into(), Arc::clone(&header));
            match self.entries.get_mut(self.next) {
                Some(oldest) => *oldest = entry,
                None => self.entries.push(entry),
            }
            self.next = self.next.wrapping_add(1) % Self::MOST;
        }
        Ok(header)
    }
}

/// Reads a token in compact serialization.
///
/// # Errors
/// A [`JwtError`] from `TooLong` to `SignatureEncoding`.
pub fn parse(token: &[u8]) -> Result<Jws<'_>, JwtError> {
    parse_with(token, Spelling::Plain, &mut HeaderMemo::default())
}

/// The same for a token that is spelt so, by a reader that remembers headers.
///
/// # Errors
/// As [`parse`].
pub fn parse_with<'t>(
    token: &'t [u8],
    spelling: Spelling,
    headers: &mut HeaderMemo,
) -> Result<Jws<'t>, JwtError> {
    if token.len() > MAX_TOKEN_LEN {
        return Err(JwtError::TooLong);
    }
    let mut segments = bytes::split(token, b'.');
    let (Some(header), Some(payload), Some(signature), None) = (
        segments.next(),
        segments.next(),
        segments.next(),
        segments.next(),
    ) else {
        return Err(JwtError::NotThreeParts);
    };
    // The signing input is everything before the last dot.
    let signing_input = token
        .len()
        .checked_sub(signature.len().saturating_add(1))
        .and_then(|end| token.get(..end))
        .ok_or(JwtError::NotThreeParts)?;
    let bare = |segment, error| spelling.bare(segment).ok_or(error);
    let read = headers.read(spelling, header)?;
    let payload = bare(payload, JwtError::PayloadEncoding)?;
    let signature = bare(signature, JwtError::SignatureEncoding)?;
    Ok(Jws {
        header: read,
        header_segment: bare(header, JwtError::HeaderEncoding)?,
        payload: base64url::decode(payload).ok_or(JwtError::PayloadEncoding)?,
        payload_segment: payload,
        signing_input,
        signature: base64url::decode(signature).ok_or(JwtError::SignatureEncoding)?,
    })
}

fn parse_header(octets: &[u8]) -> Result<JoseHeader, JwtError> {
    let header = Document::parse(octets).map_err(|_| JwtError::HeaderJson)?;
    let header = header.root();
    let algorithm = header
        .get("alg")
        .and_then(Element::as_str)
        .ok_or(JwtError::AlgorithmMissing)?;
    let algorithm = Algorithm::parse(algorithm).ok_or(JwtError::AlgorithmUnsupported)?;
    let kid = string(header, "kid", JwtError::Kid)?;
    if kid.as_ref().is_some_and(|kid| kid.len() > MAX_KID_LEN) {
        return Err(JwtError::Kid);
    }
    let typ = string(header, "typ", JwtError::Type)?;
    if header.get("crit").is_some() {
        return Err(JwtError::Critical);
    }
    if header
        .get("b64")
        .is_some_and(|b64| b64.as_bool() != Some(true))
    {
        return Err(JwtError::UnencodedPayload);
    }
    let text = |name| {
        let text = header.get(name).and_then(Element::as_str);
        text.map(str::to_owned)
    };
    Ok(JoseHeader {
        algorithm,
        kid,
        typ,
        thumbprints: [text("x5t"), text("x5t#S256")],
        signer: text("signer"),
        client: text("client"),
    })
}

fn string(header: Element<'_>, name: &str, error: JwtError) -> Result<Option<String>, JwtError> {
    header
        .get(name)
        .map(|value| value.as_str().map(str::to_owned).ok_or(error))
        .transpose()
}

impl<'t> Jws<'t> {
    /// What the client says about the signature. It is not verified.
    #[must_use]
    pub fn untrusted_header(&self) -> &JoseHeader {
        &self.header
    }

    /// The decoded payload. It is not verified.
    #[must_use]
    pub fn untrusted_payload(&self) -> &[u8] {
        &self.payload
    }

    /// The same, for who keeps it. Nothing is left of it then.
    pub(super) fn take_payload(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.payload)
    }

    /// The JOSE header, base64url without padding.
    #[must_use]
    pub fn header_segment(&self) -> &'t [u8] {
        self.header_segment
    }

    /// The payload, base64url without padding.
    #[must_use]
    pub fn payload_segment(&self) -> &'t [u8] {
        self.payload_segment
    }

    /// What the signature is over: the token up to its last dot.
    #[must_use]
    pub fn signing_input(&self) -> &'t [u8] {
        self.signing_input
    }

    /// The decoded signature.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_header(header: &[u8]) -> Result<JoseHeader, JwtError> {
        let token = format!("{}.e30.AA", base64url::encode(header));
        parse(token.as_bytes()).map(|jws| jws.untrusted_header().clone())
    }

    fn check(table: &[(&str, Option<JwtError>)]) {
        for (header, expected) in table {
            assert_eq!(with_header(header.as_bytes()).err(), *expected, "{header}");
        }
    }

    const HEADER: &str = "eyJhbGciOiJSUzI1NiJ9"; // {"alg":"RS256"}

    #[test]
    fn the_parts_of_a_token() {
        let token = format!("{HEADER}.Zm9v.AAEC");
        let jws = parse(token.as_bytes()).unwrap();
        assert_eq!(jws.untrusted_header().algorithm, Algorithm::Rs256);
        assert_eq!(jws.untrusted_payload(), b"foo");
        assert_eq!(jws.payload_segment(), b"Zm9v");
        assert_eq!(jws.signing_input(), format!("{HEADER}.Zm9v").as_bytes());
        assert_eq!(jws.signature(), [0, 1, 2]);

        let header = with_header(br#"{"alg":"RS384","kid":"k","typ":"at+jwt","cty":1}"#).unwrap();
        assert_eq!(
            header,
            JoseHeader {
                algorithm: Algorithm::Rs384,
                kid: Some("k".into()),
                typ: Some("at+jwt".into()),
                thumbprints: [None, None],
                signer: None,
                client: None,
            }
        );
        // A thumbprint that is not a text names no key.
        let header = with_header(br#"{"alg":"RS256","x5t":1,"x5t#S256":"t"}"#).unwrap();
        assert_eq!(header.thumbprints, [None, Some("t".into())]);
    }

    #[test]
    fn a_remembered_header_is_the_same_header_and_few_are_remembered() {
        let mut memo = HeaderMemo::default();
        for round in 0..3 {
            for kid in 0..10 {
                let header = format!(r#"{{"alg":"RS256","kid":"{kid}"}}"#);
                let token = format!("{}.e30.AA", base64url::encode(header.as_bytes()));
                for _ in 0..2 {
                    let jws = parse_with(token.as_bytes(), Spelling::Plain, &mut memo).unwrap();
                    let fresh = parse(token.as_bytes()).unwrap();
                    assert_eq!(jws.untrusted_header(), fresh.untrusted_header(), "{round}");
                }
            }
            assert_eq!(memo.entries.len(), HeaderMemo::MOST);
        }
        let long = format!(r#"{{"alg":"RS256","kid":"{}"}}"#, "k".repeat(500));
        let long = format!("{}.e30.AA", base64url::encode(long.as_bytes()));
        assert!(parse_with(long.as_bytes(), Spelling::Plain, &mut memo).is_ok());
        let mut segments = memo.entries.iter().map(|(_, segment, _)| segment.len());
        assert!(segments.all(|length| length <= HeaderMemo::LONGEST));
        // a refused header is refused again
        for _ in 0..2 {
            assert!(parse_with(b"e30.e30.AA", Spelling::Plain, &mut memo).is_err());
        }
    }

    #[test]
    fn a_header_of_one_spelling_is_not_remembered_for_another() {
        let header = br#"{"alg":"RS256" }"#;
        let plain = format!("{}.e30.AA", base64url::encode(header));
        let padded = format!("{}==.e30=.AA==", base64url::encode(header));
        let mut memo = HeaderMemo::default();
        for _ in 0..3 {
            for (token, spelling, reads) in [
                (&plain, Spelling::Plain, true),
                (&padded, Spelling::Padded, true),
                (&padded, Spelling::Plain, false),
                (&plain, Spelling::Padded, false),
            ] {
                let read = parse_with(token.as_bytes(), spelling, &mut memo);
                assert_eq!(read.is_ok(), reads, "{token} {spelling:?}");
            }
        }
        let jws = parse_with(padded.as_bytes(), Spelling::Padded, &mut memo).unwrap();
        let bare = jws.header_segment();
        assert_eq!(bare, plain.split('.').next().unwrap().as_bytes());
        assert_eq!(jws.payload_segment(), b"e30");
        let input = padded.rsplit_once('.').unwrap().0;
        assert_eq!(jws.signing_input(), input.as_bytes());
        assert_eq!(jws.signature(), [0]);
    }

    #[test]
    fn a06_length_is_bounded() {
        let start = format!("{HEADER}.");
        let fill = |length: usize| format!("{start}{}.", "A".repeat(length - start.len() - 1));
        assert_eq!(
            parse(fill(MAX_TOKEN_LEN + 1).as_bytes()).err(),
            Some(JwtError::TooLong)
        );
        assert_ne!(
            parse(fill(MAX_TOKEN_LEN).as_bytes()).err(),
            Some(JwtError::TooLong)
        );
        assert_eq!(parse(&vec![0xff; 1 << 20]).err(), Some(JwtError::TooLong));
    }

    #[test]
    fn a08_three_parts_and_no_other_character() {
        let parts = Some(JwtError::NotThreeParts);
        let table: &[(String, Option<JwtError>)] = &[
            (String::new(), parts),
            (HEADER.into(), parts),
            (format!("{HEADER}.e30"), parts),
            (format!("{HEADER}.e30.AA.AA"), parts),
            (format!("{HEADER}.e30.AA."), parts),
            (format!("{HEADER}.AA.AA.AA.AA"), parts), // JWE
            ("...".into(), parts),
            (
                r#"{"payload":"e30","protected":"e30","signature":"AA"}"#.into(),
                parts,
            ),
            ("..".into(), Some(JwtError::HeaderJson)),
            (".e30.AA".into(), Some(JwtError::HeaderJson)),
            (format!("{HEADER}.e30."), None), // to be refused by its signature's length
        ];
        for (token, expected) in table {
            assert_eq!(parse(token.as_bytes()).err(), *expected, "{token}");
        }
        // Every other octet, in every segment.
        for octet in 0..=255u8 {
            if octet.is_ascii_alphanumeric() || b"-_.".contains(&octet) {
                continue;
            }
            for (at, expected) in [
                (0, JwtError::HeaderEncoding),
                (4, JwtError::HeaderEncoding),
                (HEADER.len() + 1, JwtError::PayloadEncoding),
                (HEADER.len() + 6, JwtError::SignatureEncoding),
            ] {
                let mut token = format!("{HEADER}.Zm9v.AAEC").into_bytes();
                token[at] = octet;
                assert_eq!(parse(&token).err(), Some(expected), "{octet:#x} at {at}");
            }
        }
    }

    #[test]
    fn a09_one_spelling_in_every_segment() {
        for bad in [
            "Zg==", "Zm8=", "Zh", "Zm9", "Z", "+/+/", "Zm9v ", " Zm9v", "Zm9v\n",
        ] {
            for (token, expected) in [
                (format!("{bad}.e30.AA"), JwtError::HeaderEncoding),
                (format!("{HEADER}.{bad}.AA"), JwtError::PayloadEncoding),
                (format!("{HEADER}.e30.{bad}"), JwtError::SignatureEncoding),
            ] {
                assert_eq!(parse(token.as_bytes()).err(), Some(expected), "{token:?}");
            }
        }
    }

    #[test]
    fn a10_the_header_is_an_object() {
        let deep = format!("{{\"alg\":\"RS256\",\"x\":{}", "[".repeat(10_000));
        for header in [
            &b"[]"[..],
            b"\"RS256\"",
            b"null",
            b"{\"alg\":\"RS256\"}x",
            b"\xef\xbb\xbf{\"alg\":\"RS256\"}",
            b"{\"alg\":\"RS256\",\"x\":\"\xff\"}",
            b"{\"alg\":\"RS256\",\"x\":\"\\ud800\"}",
            deep.as_bytes(),
        ] {
            assert_eq!(with_header(header).err(), Some(JwtError::HeaderJson));
        }
    }

    #[test]
    fn a11_duplicate_members_in_the_header() {
        check(&[
            (
                r#"{"alg":"RS256","alg":"RS256"}"#,
                Some(JwtError::HeaderJson),
            ),
            (
                r#"{"alg":"none","alg":"RS256"}"#,
                Some(JwtError::HeaderJson),
            ),
            (
                r#"{"alg":"RS256","\u0061lg":"none"}"#,
                Some(JwtError::HeaderJson),
            ),
            (
                r#"{"alg":"RS256","x":{"y":[{"z":1,"z":1}]}}"#,
                Some(JwtError::HeaderJson),
            ),
        ]);
    }

    #[test]
    fn a13_alg_none_in_any_spelling() {
        let unsupported = Some(JwtError::AlgorithmUnsupported);
        let missing = Some(JwtError::AlgorithmMissing);
        check(&[
            (r#"{"alg":"none"}"#, unsupported),
            (r#"{"alg":"None"}"#, unsupported),
            (r#"{"alg":"NONE"}"#, unsupported),
            (r#"{"alg":"nOnE"}"#, unsupported),
            (r#"{"alg":""}"#, unsupported),
            (r#"{"alg":"rs256"}"#, unsupported),
            (r#"{"alg":"RS256 "}"#, unsupported),
            (r#"{"alg":"HS256"}"#, None), // a provider must allow it
            (r#"{"alg":"hs256"}"#, unsupported),
            (r#"{"alg":"RSA1_5"}"#, unsupported),
            (r#"{"alg":["RS256"]}"#, missing),
            (r#"{"alg":["none"]}"#, missing),
            (r#"{"alg":{}}"#, missing),
            (r#"{"alg":null}"#, missing),
            (r#"{"alg":0}"#, missing),
            (r#"{"ALG":"RS256"}"#, missing),
            ("{}", missing),
        ]);
    }

    #[test]
    fn a17_keys_in_the_header_are_not_looked_at() {
        check(&[
            (r#"{"alg":"RS256","jwk":{"kty":"RSA"}}"#, None),
            (r#"{"alg":"RS256","jku":"https://evil.example/"}"#, None),
            (r#"{"alg":"RS256","x5u":"https://evil.example/"}"#, None),
            (r#"{"alg":"RS256","x5c":["AAAA"]}"#, None),
            (r#"{"alg":"RS256","jwk":1,"jku":2,"x5u":[],"x5c":{}}"#, None),
        ]);
    }

    #[test]
    fn a18_no_extension_is_understood() {
        let critical = Some(JwtError::Critical);
        let b64 = Some(JwtError::UnencodedPayload);
        check(&[
            (r#"{"alg":"RS256","crit":["exp"],"exp":1}"#, critical),
            (r#"{"alg":"RS256","crit":["alg"]}"#, critical),
            (r#"{"alg":"RS256","crit":["unknown"]}"#, critical),
            (r#"{"alg":"RS256","crit":["b64"],"b64":true}"#, critical),
            (r#"{"alg":"RS256","crit":["b64"],"b64":false}"#, critical),
            (r#"{"alg":"RS256","crit":[]}"#, critical),
            (r#"{"alg":"RS256","crit":"exp"}"#, critical),
            (r#"{"alg":"RS256","crit":null}"#, critical),
            (r#"{"alg":"RS256","crit":{}}"#, critical),
            (r#"{"alg":"RS256","b64":false}"#, b64),
            (r#"{"alg":"RS256","b64":"true"}"#, b64),
            (r#"{"alg":"RS256","b64":null}"#, b64),
            (r#"{"alg":"RS256","b64":true}"#, None),
        ]);
    }

    #[test]
    fn a19_kid_is_a_short_string() {
        let longest = "k".repeat(MAX_KID_LEN);
        check(&[
            (r#"{"alg":"RS256","kid":1}"#, Some(JwtError::Kid)),
            (r#"{"alg":"RS256","kid":null}"#, Some(JwtError::Kid)),
            (r#"{"alg":"RS256","kid":["a"]}"#, Some(JwtError::Kid)),
            (&format!(r#"{{"alg":"RS256","kid":"{longest}"}}"#), None),
            (
                &format!(r#"{{"alg":"RS256","kid":"{longest}k"}}"#),
                Some(JwtError::Kid),
            ),
            (
                &format!(r#"{{"alg":"RS256","kid":"{}"}}"#, "k".repeat(10_000)),
                Some(JwtError::Kid),
            ),
            (r#"{"alg":"RS256","typ":1}"#, Some(JwtError::Type)),
        ]);
        // Any text is a kid; it is only ever compared.
        for kid in [
            "../../etc/passwd",
            "' OR 1=1 --",
            "a\r\nSet-Cookie: b",
            "",
            "\0",
        ] {
            let header = serde_json::json!({"alg": "RS256", "kid": kid}).to_string();
            let header = with_header(header.as_bytes()).unwrap();
            assert_eq!(header.kid.as_deref(), Some(kid));
        }
    }
}
