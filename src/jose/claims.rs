//! The claims of a JWT, RFC 7519 section 4.
//!
//! Invariant: a registered claim is absent or well-typed; there are no sentinels. A wrong type
//! is an error, never "absent", so an `exp` that cannot be read does not pass for none.

use serde_json::Value;

use super::error::JwtError;
use super::json::{self, Object};

/// Seconds since 1970-01-01T00:00:00Z, fractions allowed (RFC 7519 section 2): finite, not
/// negative and below 2^53, up to where every second can be told from the next.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct NumericDate(f64);

impl NumericDate {
    /// First number of seconds that is no NumericDate here.
    const LIMIT: f64 = 9_007_199_254_740_992.0;

    fn parse(value: &Value) -> Option<Self> {
        value
            .as_f64()
            .filter(|seconds| (0.0..Self::LIMIT).contains(seconds))
            .map(NumericDate)
    }

    /// Seconds since the epoch.
    #[must_use]
    pub fn seconds(self) -> f64 {
        self.0
    }
}

/// A claims set. What its types say holds; whether it is true, a signature has to say.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims {
    /// `iss`.
    pub issuer: Option<String>,
    /// `aud`, a single one as a list of one.
    pub audiences: Option<Vec<String>>,
    /// `sub`.
    pub subject: Option<String>,
    /// `exp`.
    pub expires_at: Option<NumericDate>,
    /// `nbf`.
    pub not_before: Option<NumericDate>,
    /// `iat`.
    pub issued_at: Option<NumericDate>,
    /// Whether `cnf` is there, RFC 7800: the token is bound to a key of its holder.
    pub confirmation: bool,
    all: Object,
}

impl Claims {
    /// Reads a decoded payload.
    ///
    /// # Errors
    /// A [`JwtError`] from `PayloadJson` to `IssuedAtType`.
    pub fn parse(payload: &[u8]) -> Result<Claims, JwtError> {
        let all = json::parse_object(payload).map_err(|_| JwtError::PayloadJson)?;
        let text = |name, error| {
            all.get(name)
                .map(|value| value.as_str().map(str::to_owned).ok_or(error))
                .transpose()
        };
        let date = |name, error| {
            all.get(name)
                .map(|value| NumericDate::parse(value).ok_or(error))
                .transpose()
        };
        let issuer = text("iss", JwtError::IssuerType)?;
        let subject = text("sub", JwtError::SubjectType)?;
        text("jti", JwtError::IdType)?;
        let audiences = all
            .get("aud")
            .map(|value| audiences(value).ok_or(JwtError::AudienceType))
            .transpose()?;
        Ok(Claims {
            issuer,
            audiences,
            subject,
            expires_at: date("exp", JwtError::ExpirationType)?,
            not_before: date("nbf", JwtError::NotBeforeType)?,
            issued_at: date("iat", JwtError::IssuedAtType)?,
            confirmation: all.contains_key("cnf"),
            all,
        })
    }

    /// A claim by its name, registered or not.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.all.get(name)
    }

    /// Every claim.
    #[must_use]
    pub fn all(&self) -> &Object {
        &self.all
    }
}

fn audiences(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(one) => Some(vec![one.clone()]),
        Value::Array(several) => several
            .iter()
            .map(|item| item.as_str().map(str::to_owned))
            .collect(),
        _ => None,
    }
}
