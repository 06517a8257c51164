//! Tokens, honest and hostile, in JWS compact serialization (RFC 7515 s3.1).
//!
//! Everything here is pure: a key, a header and claims in, a token out. Nothing checks that the
//! result makes sense, because most of its use is to make tokens that do not.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value, json};
use sha2::Sha256;

use crate::keys::{RsaHash, SigningKey};

/// Unpadded base64url (RFC 7515 s2).
pub fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Seconds since 1970, as in `exp` and `iat`.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since.expect("a clock after 1970").as_secs()).expect("a sane clock")
}

/// A claims set under construction; every method replaces one claim.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Claims(Map<String, Value>);

impl Claims {
    /// No claims at all.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Any claim, any value.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// Changed by a merge patch (RFC 7396).
    #[must_use]
    pub(crate) fn patched(self, patch: &Value) -> Self {
        let mut claims = Value::Object(self.0);
        crate::idp::openid::patch(&mut claims, patch);
        match claims {
            Value::Object(members) => Self(members),
            _ => Self::default(),
        }
    }

    /// Removes a claim.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.0.remove(name);
        self
    }

    /// `iss`
    #[must_use]
    pub fn issuer(self, issuer: &str) -> Self {
        self.with("iss", issuer)
    }

    /// `aud`: a string, or a list by `json!([...])`.
    #[must_use]
    pub fn audience(self, audience: impl Into<Value>) -> Self {
        self.with("aud", audience)
    }

    /// `sub`
    #[must_use]
    pub fn subject(self, subject: &str) -> Self {
        self.with("sub", subject)
    }

    /// `scope`: names separated by spaces (RFC 8693 s4.2).
    #[must_use]
    pub fn scope(self, scope: &str) -> Self {
        self.with("scope", scope)
    }

    /// `exp`, in seconds from now; negative for the past.
    #[must_use]
    pub fn expires_in(self, seconds: i64) -> Self {
        self.with("exp", now() + seconds)
    }

    /// `nbf`, in seconds from now.
    #[must_use]
    pub fn not_before_in(self, seconds: i64) -> Self {
        self.with("nbf", now() + seconds)
    }

    /// `iat`, in seconds from now.
    #[must_use]
    pub fn issued_in(self, seconds: i64) -> Self {
        self.with("iat", now() + seconds)
    }

    /// The JSON object.
    pub fn value(&self) -> Value {
        Value::Object(self.0.clone())
    }
}

impl From<Claims> for Value {
    fn from(claims: Claims) -> Self {
        Self::Object(claims.0)
    }
}

/// The JOSE header of an RS256 token: alg, typ and kid.
pub fn header(kid: &str) -> Value {
    json!({"alg": "RS256", "typ": "JWT", "kid": kid})
}

/// A token signed with RS256 under exactly this header, whatever its `alg` says.
pub fn sign(key: &SigningKey, header: &Value, claims: &Value) -> String {
    sign_with(key, RsaHash::Sha256, header, claims)
}

/// As [`sign`], with another hash.
pub fn sign_with(key: &SigningKey, hash: RsaHash, header: &Value, claims: &Value) -> String {
    sign_raw(
        key,
        hash,
        header.to_string().as_bytes(),
        claims.to_string().as_bytes(),
    )
}

/// As [`sign_with`], over any bytes in place of the two JSON texts: duplicate members, a BOM,
/// bad UTF-8.
pub fn sign_raw(key: &SigningKey, hash: RsaHash, header: &[u8], payload: &[u8]) -> String {
    let signing_input = signing_input(header, payload);
    let signature = key.signature(hash, signing_input.as_bytes());
    format!("{signing_input}.{}", base64url(signature))
}

/// The same header and claims, signed with RS256 by this key.
///
/// # Panics
/// When there are not exactly three segments.
pub fn resigned(key: &SigningKey, token: &str) -> String {
    let [header, payload, _] = segments(token);
    let signing_input = format!("{header}.{payload}");
    let signature = key.signature(RsaHash::Sha256, signing_input.as_bytes());
    format!("{signing_input}.{}", base64url(signature))
}

/// A token with any bytes as its signature.
pub fn encode(header: &Value, claims: &Value, signature: &[u8]) -> String {
    let signing_input = signing_input(header.to_string().as_bytes(), claims.to_string().as_bytes());
    format!("{signing_input}.{}", base64url(signature))
}

/// An unsecured token (RFC 7515 A.5); `algorithm` so that `None` and `nOnE` can be tried.
pub fn unsecured(algorithm: &str, claims: &Value) -> String {
    encode(&json!({"alg": algorithm, "typ": "JWT"}), claims, b"")
}

/// An HS256 token under any bytes as its secret: the public key's PEM, DER or JWK, for one.
pub fn hs256(secret: &[u8], kid: &str, claims: &Value) -> String {
    let header = json!({"alg": "HS256", "typ": "JWT", "kid": kid});
    let signing_input = signing_input(header.to_string().as_bytes(), claims.to_string().as_bytes());
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes any key");
    mac.update(signing_input.as_bytes());
    let tag = mac.finalize().into_bytes();
    format!("{signing_input}.{}", base64url(tag))
}

/// The same token with other claims and the old signature.
pub fn with_claims(token: &str, claims: &Value) -> String {
    let [header, _, signature] = segments(token);
    let payload = base64url(claims.to_string());
    format!("{header}.{payload}.{signature}")
}

/// The same token with another JOSE header and the old signature.
pub fn with_header(token: &str, header: &Value) -> String {
    let [_, payload, signature] = segments(token);
    let header = base64url(header.to_string());
    format!("{header}.{payload}.{signature}")
}

/// The same token with one bit of its signature flipped.
///
/// # Panics
/// When `bit` is not less than the signature's length in bits.
pub fn with_signature_bit_flipped(token: &str, bit: usize) -> String {
    let [header, payload, signature] = segments(token);
    let mut bytes = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    bytes[bit / 8] ^= 1 << (bit % 8);
    format!("{header}.{payload}.{}", base64url(bytes))
}

/// The claims of a token, unverified.
///
/// # Panics
/// When it is not a token; [`try_untrusted_claims`] returns `None`.
pub fn untrusted_claims(token: &str) -> Value {
    try_untrusted_claims(token).expect("a token with JSON claims")
}

/// The claims of what may be a token, unverified.
pub fn try_untrusted_claims(token: &str) -> Option<Value> {
    let segments: Vec<&str> = token.split('.').collect();
    let [_, payload, _] = segments[..] else {
        return None;
    };
    let bytes = URL_SAFE_NO_PAD.decode(payload).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// The JOSE header of a token, unverified.
pub fn untrusted_header(token: &str) -> Value {
    let [header, _, _] = segments(token);
    let bytes = URL_SAFE_NO_PAD.decode(header).expect("base64url");
    serde_json::from_slice(&bytes).expect("a JSON header")
}

/// Header, payload and signature segments.
///
/// # Panics
/// When there are not exactly three.
pub fn segments(token: &str) -> [&str; 3] {
    let segments: Vec<&str> = token.split('.').collect();
    segments.try_into().expect("three segments")
}

fn signing_input(header: &[u8], payload: &[u8]) -> String {
    format!("{}.{}", base64url(header), base64url(payload))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hmac_sha256_agrees_with_its_rfc() {
        let mut mac = Hmac::<Sha256>::new_from_slice(b"Jefe").unwrap();
        mac.update(b"what do ya want for nothing?");
        // RFC 4231 s4.3
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        let tag = mac.finalize().into_bytes();
        let hex: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, expected);
    }

    #[test]
    fn each_variant_changes_what_it_says_and_nothing_else() {
        let claims = Claims::empty().subject("a").expires_in(60);
        let token = encode(&header("k"), &claims.value(), &[0; 256]);
        let [head, payload, signature] = segments(&token);

        let other = with_claims(&token, &claims.clone().subject("b").value());
        assert_eq!(untrusted_claims(&other)["sub"], "b");
        assert_eq!(
            (segments(&other)[0], segments(&other)[2]),
            (head, signature)
        );

        let other = with_header(&token, &header("other"));
        assert_eq!(untrusted_header(&other)["kid"], "other");
        assert_eq!(segments(&other)[1..], [payload, signature]);

        let other = with_signature_bit_flipped(&token, 2047);
        assert_eq!(segments(&other)[..2], [head, payload]);
        assert_ne!(segments(&other)[2], signature);

        assert!(unsecured("none", &claims.value()).ends_with('.'));
    }
}
