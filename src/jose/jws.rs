//! JSON Web Signature in compact form, RFC 7515 sections 4 and 7.1.
//!
//! Invariant: a [`Jws`] has one spelling and one meaning, and none of it is to be believed yet.
//! Of the header only `alg`, `kid` and `typ` are kept: `jwk`, `jku`, `x5u` and `x5c`, by which a
//! token would bring its own key, are never looked at.

use serde_json::Value;

use super::base64url;
use super::error::JwtError;
use super::json::{self, Object};
use super::jwa::Algorithm;

/// Longest token that is read, in octets; Envoy's own limit on all headers together is 60 KiB.
pub const MAX_TOKEN_LEN: usize = 16 * 1024;
/// Longest `kid`, in octets; the longest seen in use are thumbprint URIs of about 100.
pub const MAX_KID_LEN: usize = 1024;

/// What is kept of a JOSE header. It is the client's claim until the signature is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoseHeader {
    /// `alg`.
    pub algorithm: Algorithm,
    /// `kid`.
    pub kid: Option<String>,
    /// `typ`, as it is spelt.
    pub typ: Option<String>,
}

/// A parsed and unverified token.
#[derive(Clone, Debug)]
pub struct Jws<'t> {
    header: JoseHeader,
    payload: Vec<u8>,
    payload_segment: &'t str,
    signing_input: &'t [u8],
    signature: Vec<u8>,
}

/// Reads a token in compact serialization.
///
/// # Errors
/// A [`JwtError`] from `TooLong` to `SignatureEncoding`.
pub fn parse(token: &[u8]) -> Result<Jws<'_>, JwtError> {
    if token.len() > MAX_TOKEN_LEN {
        return Err(JwtError::TooLong);
    }
    let mut segments = token.split(|byte| *byte == b'.');
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
    let header_octets = base64url::decode(header).ok_or(JwtError::HeaderEncoding)?;
    let header = parse_header(&header_octets)?;
    Ok(Jws {
        header,
        payload: base64url::decode(payload).ok_or(JwtError::PayloadEncoding)?,
        payload_segment: std::str::from_utf8(payload).map_err(|_| JwtError::PayloadEncoding)?,
        signing_input,
        signature: base64url::decode(signature).ok_or(JwtError::SignatureEncoding)?,
    })
}

fn parse_header(octets: &[u8]) -> Result<JoseHeader, JwtError> {
    let header = json::parse_object(octets).map_err(|_| JwtError::HeaderJson)?;
    let algorithm = header
        .get("alg")
        .and_then(Value::as_str)
        .ok_or(JwtError::AlgorithmMissing)?;
    let algorithm = Algorithm::parse(algorithm).ok_or(JwtError::AlgorithmUnsupported)?;
    let kid = text(&header, "kid", JwtError::Kid)?;
    if kid.as_ref().is_some_and(|kid| kid.len() > MAX_KID_LEN) {
        return Err(JwtError::Kid);
    }
    let typ = text(&header, "typ", JwtError::Type)?;
    if header.contains_key("crit") {
        return Err(JwtError::Critical);
    }
    if header
        .get("b64")
        .is_some_and(|b64| b64 != &Value::Bool(true))
    {
        return Err(JwtError::UnencodedPayload);
    }
    Ok(JoseHeader {
        algorithm,
        kid,
        typ,
    })
}

fn text(header: &Object, name: &str, error: JwtError) -> Result<Option<String>, JwtError> {
    header
        .get(name)
        .map(|value| value.as_str().map(str::to_owned).ok_or(error))
        .transpose()
}

impl<'t> Jws<'t> {
    /// What the client says about the signature; nobody has verified it.
    #[must_use]
    pub fn untrusted_header(&self) -> &JoseHeader {
        &self.header
    }

    /// The decoded payload; nobody has verified it.
    #[must_use]
    pub fn untrusted_payload(&self) -> &[u8] {
        &self.payload
    }

    /// The payload as the token spells it, base64url.
    #[must_use]
    pub fn payload_segment(&self) -> &'t str {
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
