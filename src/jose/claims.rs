//! The claims of a JWT, RFC 7519 section 4.
//!
//! Invariant: a registered claim is absent or well-typed; there are no sentinels. A wrong type is
//! an error, so an `exp` that cannot be read never counts as a missing one.

use super::error::JwtError;
use super::json::{Document, Element};

/// Seconds since 1970-01-01T00:00:00Z, with fractions (RFC 7519 section 2): finite, not negative,
/// and below 2^53, up to which every second differs from the next.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct NumericDate(f64);

impl NumericDate {
    /// The first number of seconds that is not a NumericDate here.
    const LIMIT: f64 = 9_007_199_254_740_992.0;

    fn parse(value: Element<'_>) -> Option<Self> {
        value
            .as_number()?
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

/// A claims set. Its registered claims have the types of the RFC. Only a signature proves that they
/// are true.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims {
    /// `exp`.
    pub expires_at: Option<NumericDate>,
    /// `nbf`.
    pub not_before: Option<NumericDate>,
    /// `iat`.
    pub issued_at: Option<NumericDate>,
    /// Whether `cnf` is there, RFC 7800: the token is bound to a key of its holder.
    pub confirmation: bool,
    all: Document,
}

impl Claims {
    /// Reads a decoded payload.
    ///
    /// # Errors
    /// A [`JwtError`] from `PayloadJson` to `IssuedAtType`.
    pub fn parse(payload: impl Into<Vec<u8>>) -> Result<Self, JwtError> {
        Self::of(Document::parse(payload).map_err(|_| JwtError::PayloadJson)?)
    }

    #[inline(never)]
    fn of(all: Document) -> Result<Self, JwtError> {
        let [
            mut iss,
            mut sub,
            mut aud,
            mut exp,
            mut nbf,
            mut iat,
            mut jti,
            mut cnf,
        ] = [None; 8];
        for (name, value) in all.root().members() {
            let claim = match name {
                "iss" => &mut iss,
                "sub" => &mut sub,
                "aud" => &mut aud,
                "exp" => &mut exp,
                "nbf" => &mut nbf,
                "iat" => &mut iat,
                "jti" => &mut jti,
                "cnf" => &mut cnf,
                _ => continue,
            };
            *claim = Some(value);
        }
        let is_string = |value: Element<'_>| value.as_str().is_some();
        for (claim, error) in [
            (iss, JwtError::IssuerType),
            (sub, JwtError::SubjectType),
            (jti, JwtError::IdType),
        ] {
            if !claim.is_none_or(is_string) {
                return Err(error);
            }
        }
        if !aud.is_none_or(|value| value.each().all(is_string)) {
            return Err(JwtError::AudienceType);
        }
        let date = |claim: Option<Element<'_>>, error| {
            claim
                .map(|value| NumericDate::parse(value).ok_or(error))
                .transpose()
        };
        Ok(Self {
            expires_at: date(exp, JwtError::ExpirationType)?,
            not_before: date(nbf, JwtError::NotBeforeType)?,
            issued_at: date(iat, JwtError::IssuedAtType)?,
            confirmation: cnf.is_some(),
            all,
        })
    }

    /// `iss`.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.get("iss")?.as_str()
    }

    /// `sub`.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.get("sub")?.as_str()
    }

    /// `aud`: a single text is a list of one, and a missing claim is an empty list.
    pub fn audiences(&self) -> impl Iterator<Item = &str> {
        let each = self.get("aud").into_iter().flat_map(Element::each);
        each.filter_map(Element::as_str)
    }

    /// A claim by its name, registered or not.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Element<'_>> {
        self.all.root().get(name)
    }

    /// The claim at a path of literal member names: the first name is a top-level claim, and each
    /// further name is a member of the object that the name before it leads to.
    #[must_use]
    pub fn at(&self, path: &[String]) -> Option<Element<'_>> {
        let (first, rest) = path.split_first()?;
        rest.iter()
            .try_fold(self.get(first)?, |value, name| value.get(name))
    }

    /// Every claim.
    #[must_use]
    pub fn all(&self) -> Element<'_> {
        self.all.root()
    }

    /// The memory that they take, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.all.size()
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
        assert_eq!(claims.issuer(), Some("i"));
        assert_eq!(claims.subject(), Some("s"));
        assert_eq!(claims.audiences().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(claims.expires_at.map(NumericDate::seconds), Some(2.0));
        assert_eq!(claims.not_before.map(NumericDate::seconds), Some(1.5));
        assert_eq!(claims.issued_at.map(NumericDate::seconds), Some(0.0));
        assert_eq!(claims.get("x").unwrap().to_value(), json!({"y": 1}));
        assert_eq!(claims.all().members().count(), 8);
        assert!(!claims.confirmation);

        let none = Claims::parse(b"{}").unwrap();
        assert_eq!(none.issuer(), None);
        assert_eq!(none.audiences().count(), 0);
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
        let claims = Claims::parse(br#"{"a":{"b":{"c":1}},"a.b":2,"d":[0,{"e":1}]}"#).unwrap();
        for (path, found) in [
            (&["a", "b", "c"][..], Some(json!(1))),
            (&["a.b"], Some(json!(2))),
            (&["a", "x"], None),
            (&["a", "b", "c", "d"], None),
            (&["d", "e"], None),
            (&[], None),
        ] {
            let path: Vec<String> = path.iter().map(|&s| s.to_owned()).collect();
            let value = claims.at(&path).map(Element::to_value);
            assert_eq!(value, found, "{path:?}");
        }
    }
}
