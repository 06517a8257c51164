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

/// The claim at a path of literal member names: the first from the top of the claims, each
/// further one in the object that the one before named.
#[must_use]
pub fn at<'v>(claims: &'v Object, path: &[String]) -> Option<&'v Value> {
    let (first, rest) = path.split_first()?;
    rest.iter()
        .try_fold(claims.get(first)?, |value, name| value.get(name))
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(table: &[(&str, Option<JwtError>)]) {
        for (payload, expected) in table {
            let result = Claims::parse(payload.as_bytes());
            assert_eq!(result.err(), *expected, "{payload}");
        }
    }

    #[test]
    fn the_registered_claims() {
        let claims = Claims::parse(
            br#"{"iss":"i","sub":"s","aud":["a","b"],"exp":2,"nbf":1.5,"iat":0,"jti":"j","x":{"y":1}}"#,
        )
        .unwrap();
        assert_eq!(claims.issuer.as_deref(), Some("i"));
        assert_eq!(claims.subject.as_deref(), Some("s"));
        assert_eq!(claims.audiences, Some(vec!["a".into(), "b".into()]));
        assert_eq!(claims.expires_at.map(NumericDate::seconds), Some(2.0));
        assert_eq!(claims.not_before.map(NumericDate::seconds), Some(1.5));
        assert_eq!(claims.issued_at.map(NumericDate::seconds), Some(0.0));
        assert_eq!(claims.get("x").unwrap()["y"], 1);
        assert_eq!(claims.all().len(), 8);
        assert!(!claims.confirmation);

        let none = Claims::parse(b"{}").unwrap();
        assert_eq!(none.issuer, None);
        assert_eq!(none.audiences, None);
        assert_eq!(none.expires_at, None);
    }

    #[test]
    fn a10_the_payload_is_an_object() {
        let json = Some(JwtError::PayloadJson);
        check(&[
            ("", json),
            ("foo", json),
            ("[]", json),
            ("1", json),
            ("null", json),
            ("{}{}", json),
            ("\u{feff}{}", json),
            (r#"{"x":"\udfff"}"#, json),
            (&format!(r#"{{"x":{}"#, "{\"x\":".repeat(100_000)), json),
        ]);
        assert_eq!(Claims::parse(b"{\"iss\":\"\xc0\x80\"}").err(), json);
    }

    #[test]
    fn a11_duplicate_members_in_the_claims() {
        let json = Some(JwtError::PayloadJson);
        check(&[
            (r#"{"iss":"a","iss":"a"}"#, json),
            (r#"{"scope":"read","scope":"write"}"#, json),
            (r#"{"x":{"role":"user","role":"admin"}}"#, json),
            (r#"{"x":[{"y":{"z":0,"z":0}}]}"#, json),
        ]);
    }

    #[test]
    fn a12_dates_are_numbers_that_are_dates() {
        for (name, error) in [
            ("exp", JwtError::ExpirationType),
            ("nbf", JwtError::NotBeforeType),
            ("iat", JwtError::IssuedAtType),
        ] {
            for good in [
                "0",
                "-0",
                "1e9",
                "1300819380",
                "1300819380.5",
                "0.000001",
                "9007199254740991", // 2^53 - 1
            ] {
                check(&[(&format!(r#"{{"{name}":{good}}}"#), None)]);
            }
            for bad in [
                "-1",
                "-0.5",
                "-1e-300",
                "9007199254740992",     // 2^53
                "9223372036854775807",  // 2^63 - 1
                "9223372036854775808",  // 2^63
                "18446744073709551615", // 2^64 - 1
                "18446744073709551616", // 2^64
                "1e300",
                "\"1300819380\"",
                "\"\"",
                "null",
                "true",
                "[]",
                "[1300819380]",
                "{}",
            ] {
                check(&[(&format!(r#"{{"{name}":{bad}}}"#), Some(error))]);
            }
            for not_json in ["1e999", "-1e999", "NaN", "Infinity", "0x10", "01", "1."] {
                let json = Some(JwtError::PayloadJson);
                check(&[(&format!(r#"{{"{name}":{not_json}}}"#), json)]);
            }
        }
    }

    #[test]
    fn a23_types_of_names_and_audiences() {
        let audience = Some(JwtError::AudienceType);
        check(&[
            (r#"{"iss":1}"#, Some(JwtError::IssuerType)),
            (r#"{"iss":null}"#, Some(JwtError::IssuerType)),
            (r#"{"iss":["a"]}"#, Some(JwtError::IssuerType)),
            (r#"{"sub":1}"#, Some(JwtError::SubjectType)),
            (r#"{"jti":1}"#, Some(JwtError::IdType)),
            (r#"{"aud":"a"}"#, None),
            (r#"{"aud":[]}"#, None), // names nobody
            (r#"{"aud":1}"#, audience),
            (r#"{"aud":null}"#, audience),
            (r#"{"aud":{}}"#, audience),
            (r#"{"aud":["a",1]}"#, audience),
            (r#"{"aud":[["a"]]}"#, audience),
        ]);
    }

    #[test]
    fn a25_any_confirmation_counts() {
        for cnf in [
            r#"{"jkt":"x"}"#,
            r#"{"x5t#S256":"x"}"#,
            "{}",
            "null",
            "\"\"",
        ] {
            let payload = format!(r#"{{"cnf":{cnf}}}"#);
            assert!(Claims::parse(payload.as_bytes()).unwrap().confirmation);
        }
    }

    #[test]
    fn claims_are_found_by_their_path() {
        let claims = json!({"a": {"b": {"c": 1}}, "a.b": 2});
        let claims = claims.as_object().unwrap();
        for (path, found) in [
            (&["a", "b", "c"][..], Some(json!(1))),
            (&["a.b"], Some(json!(2))),
            (&["a", "x"], None),
            (&["a", "b", "c", "d"], None),
            (&[], None),
        ] {
            let path: Vec<String> = path.iter().map(|&s| s.to_owned()).collect();
            assert_eq!(at(claims, &path), found.as_ref(), "{path:?}");
        }
    }
}
