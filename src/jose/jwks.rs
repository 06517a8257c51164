//! JWK Set, RFC 7517 section 5, or a map of kids to keys in PEM in its place; and the choice of keys
//! for a token.
//!
//! Invariants: an unusable key never makes its set fail. A set without a usable key is an error, so
//! a bad document can never replace a good one. One token makes the filter try at most
//! [`MAX_CANDIDATES`] keys, however it names them.

use std::fmt;

use super::json::{Children, Document, Element};
use super::jwk::Key;
use super::jws::JoseHeader;
use super::key_error::KeyError;
use super::pem;

/// The longest document that is read, in octets: about a hundred keys with their certificates.
pub const MAX_DOCUMENT_LEN: usize = 256 * 1024;
/// The most keys of a set that are read; the largest published sets have a few dozen.
pub const MAX_KEYS: usize = 256;
/// The most keys that are tried for one token. It bounds the cost of a token that names no key, or
/// several.
pub const MAX_CANDIDATES: usize = 16;
/// The most keys in the text of [`JwksError::NoUsableKey`].
const MOST_TOLD: usize = 16;

/// Why a document is not a key set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JwksError {
    /// Longer than [`MAX_DOCUMENT_LEN`].
    TooLarge,
    /// It is not a JSON object, or its `keys` occurs twice or is not an array.
    Malformed,
    /// No member `keys`.
    MissingKeys,
    /// There is no usable key. Each key is listed with its reason.
    NoUsableKey(Vec<SkippedKey>),
}

impl JwksError {
    /// Fixed text.
    #[must_use]
    pub fn description(&self) -> &'static str {
        match self {
            Self::TooLarge => "Jwks is too large",
            Self::Malformed => "Jwks is an invalid JSON",
            Self::MissingKeys => "Jwks does not have [keys] field",
            Self::NoUsableKey(_) => "Jwks doesn't have any valid public key",
        }
    }
}

/// The fixed text, and why each key is unusable.
impl fmt::Display for JwksError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.description())?;
        let Self::NoUsableKey(skipped) = self else {
            return Ok(());
        };
        if skipped.is_empty() {
            return f.write_str(": [keys] is empty");
        }
        let mut separator = ": ";
        for key in skipped.iter().take(MOST_TOLD) {
            write!(f, "{separator}{key}")?;
            separator = "; ";
        }
        match skipped.len().checked_sub(MOST_TOLD) {
            None | Some(0) => Ok(()),
            Some(more) => write!(f, "{separator}and {more} more"),
        }
    }
}

/// A key of a set that is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SkippedKey {
    /// Its place in the document, from 0.
    pub index: usize,
    /// Why.
    pub error: KeyError,
}

impl fmt::Display for SkippedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {}: {}", self.index, self.error.description())
    }
}

/// The usable keys of a document, at least one; no key before any document.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    keys: Vec<Key>,
    skipped: Vec<SkippedKey>,
}

/// The keys of a set that are for a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection<'a> {
    /// The keys to try, in this order: at least one and at most [`MAX_CANDIDATES`].
    Keys(Vec<&'a Key>),
    /// The token's `kid` is not in the set: a newer set may have it.
    UnknownKid,
    /// No key with this `kid` is for the algorithm; or, without a `kid`, no key at all is.
    NoMatch,
}

impl KeySet {
    /// Reads a key document: a JWK Set or, where the object has no `keys`, a map of kids to
    /// certificates or public keys in PEM. Secrets in it are not loaded.
    ///
    /// # Errors
    /// [`JwksError`]. An unusable key is not an error: [`KeySet::skipped`] lists it.
    pub fn parse(document: &[u8]) -> Result<Self, JwksError> {
        Self::parse_by(document, Key::parse)
    }

    /// Like [`KeySet::parse`], and loads secrets as well. For the operator's own document only.
    ///
    /// # Errors
    /// As [`KeySet::parse`].
    pub fn parse_with_secrets(document: &[u8]) -> Result<Self, JwksError> {
        Self::parse_by(document, Key::parse_with_secrets)
    }

    fn parse_by(
        document: &[u8],
        parse_key: fn(Element<'_>) -> Result<Key, KeyError>,
    ) -> Result<Self, JwksError> {
        if document.len() > MAX_DOCUMENT_LEN {
            return Err(JwksError::TooLarge);
        }
        let document = Document::lenient(document.to_vec()).ok_or(JwksError::Malformed)?;
        let root = document.root();
        match keys_member(root) {
            Ok(members) => Self::collect(&mut members.map(|member| {
                // A name that occurs twice in a key makes only that key unusable.
                if member.is_object() && !member.has_duplicate_within() {
                    parse_key(member)
                } else {
                    Err(KeyError::NotAnObject)
                }
            })),
            Err(JwksError::MissingKeys) if has_pem(root) => Self::collect(
                &mut root
                    .members()
                    .map(|(kid, text)| Key::of_pem(kid, text.as_str().unwrap_or_default())),
            ),
            Err(error) => Err(error),
        }
    }

    fn collect(parsed: &mut dyn Iterator<Item = Result<Key, KeyError>>) -> Result<Self, JwksError> {
        let mut keys: Vec<Key> = Vec::new();
        let mut skipped = Vec::new();
        for (index, parsed) in parsed.enumerate() {
            if index >= MAX_KEYS {
                let error = KeyError::TooManyKeys;
                skipped.push(SkippedKey { index, error });
                break;
            }
            match parsed {
                // It would be tried twice.
                Ok(key) if keys.iter().any(|other| other.is_same(&key)) => {
                    skipped.push(SkippedKey {
                        index,
                        error: KeyError::Duplicate,
                    })
                }
                Ok(key) => keys.push(key),
                Err(error) => skipped.push(SkippedKey { index, error }),
            }
        }
        if keys.is_empty() {
            return Err(JwksError::NoUsableKey(skipped));
        }
        Ok(Self { keys, skipped })
    }

    /// The keys that were not taken, in the order of the document.
    #[must_use]
    pub fn skipped(&self) -> &[SkippedKey] {
        &self.skipped
    }

    /// The usable keys, in the order of the document.
    #[must_use]
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// Whether a token's header names one of the usable keys, by its `kid` or by a thumbprint.
    #[must_use]
    pub fn has_key_named_by(&self, header: &JoseHeader) -> bool {
        let kid = header.kid.as_deref();
        let mut keys = self.keys.iter();
        keys.any(|key| kid.is_some() && key.kid() == kid || key.has_thumbprint_of(header))
    }

    /// The keys to try for a token with this header: those for its algorithm, in this order,
    /// the first [`MAX_CANDIDATES`] of them.
    ///
    /// - Those that its `x5t` or `x5t#S256` names.
    /// - With a `kid`: those that have it (by RFC 7517 section 4.5 there may be several). Where no
    ///   key of the set has it: those that have no `kid` at all, as in jwt_authn.
    /// - Without a `kid`: all others.
    #[must_use]
    pub fn candidates(&self, header: &JoseHeader) -> Selection<'_> {
        let kid = header.kid.as_deref();
        let kid_is_known = self.keys.iter().any(|key| key.kid() == kid);
        // The kid that a key must have, if it must have one.
        let meant = if kid_is_known { kid } else { None };
        let mut keys = Vec::new();
        for by_thumbprint in [true, false] {
            for key in &self.keys {
                let is_named = key.has_thumbprint_of(header);
                let is_meant = is_named || kid.is_none() || key.kid() == meant;
                let fits = is_named == by_thumbprint && is_meant && key.allows(header.algorithm);
                if fits && keys.len() < MAX_CANDIDATES {
                    keys.push(key);
                }
            }
        }
        if !keys.is_empty() {
            Selection::Keys(keys)
        } else if kid.is_some() && !kid_is_known {
            Selection::UnknownKid
        } else {
            Selection::NoMatch
        }
    }
}

/// The array that is member `keys` of a JWK Set, RFC 7517 section 5.
fn keys_member(set: Element<'_>) -> Result<Children<'_>, JwksError> {
    if !set.is_object() {
        return Err(JwksError::Malformed);
    }
    let mut members = set.members().filter(|(name, _)| *name == "keys");
    let (_, keys) = members.next().ok_or(JwksError::MissingKeys)?;
    match keys.items() {
        Some(items) if members.next().is_none() => Ok(items),
        _ => Err(JwksError::Malformed),
    }
}

/// Whether an object is a map of kids to keys in PEM: to certificates, as Google and Firebase publish
/// their keys, or to public keys. Each value of such a map looks like one.
fn has_pem(root: Element<'_>) -> bool {
    let looks_so = |value: Element<'_>| {
        let text = value.as_str().unwrap_or_default();
        let labels = [pem::CERTIFICATE, pem::PUBLIC_KEY];
        labels.iter().any(|label| pem::begun(text, label).is_some())
    };
    let mut members = root.members().peekable();
    members.peek().is_some() && members.all(|(_, value)| looks_so(value))
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value};

    use super::*;
    use crate::jose::fixtures;

    fn set(keys: &[String]) -> String {
        format!(r#"{{"keys":[{}]}}"#, keys.join(","))
    }

    /// Key A or B with another `kid` (none where empty) and `alg` (none where empty).
    fn jwk(fixture: &str, kid: &str, alg: &str) -> String {
        let mut jwk: Map<String, Value> = serde_json::from_str(fixture).unwrap();
        for (name, value) in [("kid", kid), ("alg", alg)] {
            jwk.remove(name);
            if !value.is_empty() {
                jwk.insert(name.into(), value.into());
            }
        }
        serde_json::to_string(&jwk).unwrap()
    }

    #[test]
    fn a20_unusable_keys_are_skipped_and_the_good_ones_stay() {
        let good = jwk(fixtures::JWK_A, "a", "RS256");
        let small = r#"{"kty":"RSA","kid":"small","n":"AQAB","e":"AQAB"}"#;
        let doubled = good.replacen('{', r#"{"kid":"b","#, 1);
        let document = set(&[
            small.into(),
            r#"{"kty":"oct","kid":"o","k":"AAAA"}"#.into(),
            r#"{"kty":"EC","kid":"e","crv":"P-256","x":"AA","y":"AA"}"#.into(),
            "null".into(),
            "[]".into(),
            doubled,
            good.clone(),
            jwk(fixtures::JWK_B, "a", "RS256"), // another key of this kid
            good.clone(),                       // the same again
            good.replace("AQAB", "AQ").replace("\"a\"", "\"one\""),
            jwk(fixtures::JWK_B, "b", ""),
        ]);
        let keys = KeySet::parse(document.as_bytes()).unwrap();
        let kids: Vec<_> = keys.keys().iter().map(Key::kid).collect();
        assert_eq!(kids, [Some("a"), Some("a"), Some("b")]);
        let skipped: Vec<_> = keys.skipped().iter().map(|s| (s.index, s.error)).collect();
        assert_eq!(
            skipped,
            [
                (0, KeyError::ModulusTooSmall),
                (1, KeyError::Secret),
                (2, KeyError::NotOnCurve),
                (3, KeyError::NotAnObject),
                (4, KeyError::NotAnObject),
                (5, KeyError::NotAnObject),
                (8, KeyError::Duplicate),
                (9, KeyError::Exponent),
            ]
        );
        assert_eq!(keys.keys()[0], fixtures::key(&good));
    }

    #[test]
    fn a20_an_unusable_key_takes_no_kid_away() {
        let enc = jwk(fixtures::JWK_B, "a", "RS256").replace("sig", "enc");
        let document = set(&[enc, jwk(fixtures::JWK_A, "a", "RS256")]);
        let keys = KeySet::parse(document.as_bytes()).unwrap();
        assert_eq!(keys.keys().len(), 1);
        assert_eq!(keys.skipped().len(), 1);
    }

    #[test]
    fn a_document_without_a_usable_key_is_an_error() {
        let good = jwk(fixtures::JWK_A, "a", "RS256");
        let malformed: Result<usize, _> = Err(JwksError::Malformed);
        let malformed = || malformed.clone();
        let table: &[(String, Result<usize, JwksError>)] = &[
            (set(std::slice::from_ref(&good)), Ok(1)),
            (
                format!(r#"{{"x":{{"y":[1]}},"keys":[{good}],"z":1}}"#),
                Ok(1),
            ),
            (format!(" \n{}\n", set(std::slice::from_ref(&good))), Ok(1)),
            (String::new(), malformed()),
            ("<html></html>".into(), malformed()),
            ("[]".into(), malformed()),
            ("null".into(), malformed()),
            (good.clone(), Err(JwksError::MissingKeys)), // a key, not a set
            ("{}".into(), Err(JwksError::MissingKeys)),
            (set(&[]), Err(JwksError::NoUsableKey(vec![]))),
            (
                set(&["{}".into()]),
                Err(JwksError::NoUsableKey(vec![SkippedKey {
                    index: 0,
                    error: KeyError::KeyType,
                }])),
            ),
            (r#"{"keys":{}}"#.into(), malformed()),
            (r#"{"keys":null}"#.into(), malformed()),
            (format!(r#"{{"keys":[{good}],"keys":[]}}"#), malformed()),
            (format!(r#"{{"keys":[{good}]}}x"#), malformed()),
            (format!(r#"{{"keys":[{good}"#), malformed()), // truncated
            (
                format!("\u{feff}{}", set(std::slice::from_ref(&good))),
                malformed(),
            ),
            (
                format!(r#"{{"keys":[{good}],"x":{}"#, "[".repeat(100_000)),
                malformed(),
            ),
        ];
        for (document, expected) in table {
            let result = KeySet::parse(document.as_bytes()).map(|keys| keys.keys().len());
            assert_eq!(result, *expected, "{}", &document[..document.len().min(80)]);
        }
    }

    /// The text tells each key's reason, up to a bound.
    #[test]
    fn a_set_without_a_usable_key_tells_every_reason() {
        let text = |keys: &[&str]| {
            let keys: Vec<_> = keys.iter().map(|key| (*key).to_owned()).collect();
            KeySet::parse(set(&keys).as_bytes())
                .unwrap_err()
                .to_string()
        };
        let none = "Jwks doesn't have any valid public key";
        let encrypts = jwk(fixtures::JWK_A, "a", "").replace("sig", "enc");
        let x509 = jwk(fixtures::JWK_A, "a", "").replace("sig", "x509-svid");
        let secret = r#"{"kty":"oct","k":"AAAA"}"#;
        assert_eq!(text(&[]), format!("{none}: [keys] is empty"));
        assert_eq!(
            text(&[&encrypts, secret, "null", &x509]),
            format!(
                "{none}: key 0: use is neither sig nor jwt-svid; key 1: kty oct is for \
                 local_jwks with HS256, HS384 or HS512 in algorithms; key 2: not an object with \
                 unique member names; key 3: use is neither sig nor jwt-svid"
            )
        );
        let sixteen = text(&["{}"; MOST_TOLD]);
        assert!(
            sixteen.ends_with("key 15: kty is not supported"),
            "{sixteen}"
        );
        let many = text(&["{}"; MAX_KEYS + 1]);
        assert!(
            many.ends_with("key 15: kty is not supported; and 241 more"),
            "{many}"
        );
        assert!(many.len() < 1024);
    }

    #[test]
    fn the_size_of_a_set_is_bounded() {
        let good = set(&[jwk(fixtures::JWK_A, "a", "RS256")]);
        let mut padded = good.into_bytes();
        padded.resize(MAX_DOCUMENT_LEN, b' ');
        assert!(KeySet::parse(&padded).is_ok());
        padded.push(b' ');
        assert_eq!(KeySet::parse(&padded).err(), Some(JwksError::TooLarge));

        let many: Vec<_> = (0..MAX_KEYS + 10)
            .map(|i| jwk(fixtures::JWK_A, &i.to_string(), "RS256"))
            .collect();
        let keys = KeySet::parse(set(&many).as_bytes()).unwrap();
        assert_eq!(keys.keys().len(), MAX_KEYS);
        let last = SkippedKey {
            index: MAX_KEYS,
            error: KeyError::TooManyKeys,
        };
        assert_eq!(keys.skipped(), [last]);
    }

    /// The kids of the keys that are tried, in their order.
    fn chosen(set: &KeySet, header: &str) -> Result<String, &'static str> {
        match set.candidates(&fixtures::header(header)) {
            Selection::Keys(keys) => Ok(keys
                .iter()
                .map(|key| key.kid().unwrap_or("-").to_owned())
                .collect::<Vec<_>>()
                .join(" ")),
            Selection::UnknownKid => Err("unknown kid"),
            Selection::NoMatch => Err("no match"),
        }
    }

    fn check(keys: &[String], table: &[(&str, Result<&str, &str>)]) {
        let keys = KeySet::parse(set(keys).as_bytes()).unwrap();
        for (header, expected) in table {
            let result = chosen(&keys, header);
            assert_eq!(result.as_deref(), expected.as_ref().copied(), "{header}");
        }
    }

    #[test]
    fn a19_candidates_are_few_and_fit() {
        check(
            &[
                jwk(fixtures::JWK_A, "a", "RS256"),
                jwk(fixtures::JWK_B, "b", ""),
                jwk(fixtures::JWK_B, "c", "RS512"),
            ],
            &[
                (r#"{"alg":"RS256","kid":"a"}"#, Ok("a")),
                (r#"{"alg":"RS384","kid":"a"}"#, Err("no match")), // bound to another
                (r#"{"alg":"RS384","kid":"b"}"#, Ok("b")),
                (r#"{"alg":"RS256","kid":"c"}"#, Err("no match")),
                (r#"{"alg":"RS256","kid":"A"}"#, Err("unknown kid")),
                (r#"{"alg":"RS256","kid":""}"#, Err("unknown kid")),
                (r#"{"alg":"RS256","kid":"../a"}"#, Err("unknown kid")),
                (
                    r#"{"alg":"RS256","kid":"a' OR '1'='1"}"#,
                    Err("unknown kid"),
                ),
                (r#"{"alg":"RS256","kid":"a\r\nx: y"}"#, Err("unknown kid")),
                (r#"{"alg":"RS256"}"#, Ok("a b")),
                (r#"{"alg":"RS512"}"#, Ok("b c")),
            ],
        );
        check(
            &[
                jwk(fixtures::JWK_A, "a", "RS256"),
                jwk(fixtures::JWK_B, "", "RS256"),
            ],
            &[
                (r#"{"alg":"RS256"}"#, Ok("a -")),
                (r#"{"alg":"RS256","kid":"a"}"#, Ok("a")),
                (r#"{"alg":"RS256","kid":"z"}"#, Ok("-")), // the key without a kid may be meant
                (r#"{"alg":"RS384","kid":"z"}"#, Err("unknown kid")),
                (r#"{"alg":"RS384"}"#, Err("no match")),
            ],
        );
    }

    /// RFC 7517 section 4.5: keys of other types may have one kid; providers publish two keys of
    /// one type under it as well.
    #[test]
    fn every_key_with_the_kid_is_tried_that_fits() {
        let of_kid = |fixture: &str, alg: &str| jwk(fixture, "s", alg);
        check(
            &[
                of_kid(fixtures::JWK_A, "RS512"),
                of_kid(fixtures::JWK_P256, ""),
                of_kid(fixtures::JWK_A, "RS256"),
                of_kid(fixtures::JWK_B, ""),
                jwk(fixtures::JWK_A, "other", ""),
            ],
            &[
                (r#"{"alg":"RS256","kid":"s"}"#, Ok("s s")),
                (r#"{"alg":"RS512","kid":"s"}"#, Ok("s s")),
                (r#"{"alg":"RS384","kid":"s"}"#, Ok("s")),
                (r#"{"alg":"ES256","kid":"s"}"#, Ok("s")),
                (r#"{"alg":"PS256","kid":"s"}"#, Err("no match")),
                (r#"{"alg":"RS384","kid":"other"}"#, Ok("other")),
                (r#"{"alg":"RS256"}"#, Ok("s s other")),
            ],
        );
    }

    /// The bound holds for every way in which a token can name many keys.
    #[test]
    fn no_token_has_more_than_so_many_keys_tried() {
        let many = |kid: &dyn Fn(usize) -> String| -> Vec<String> {
            let jwk = jwk(fixtures::JWK_A, "", "");
            let distinct = |i: usize| {
                let members = format!(r#"{{"kid":"{}","x5t":"t","x5t#S256":"{i}","#, kid(i));
                jwk.replacen('{', &members, 1).replace(r#""kid":"","#, "")
            };
            (0..40).map(distinct).collect()
        };
        let named = many(&|i| i.to_string());
        let same = many(&|_| "s".to_owned());
        let nameless = many(&|_| String::new());
        for (keys, header) in [
            (&named, r#"{"alg":"RS256"}"#),
            (&named, r#"{"alg":"RS256","x5t":"t"}"#),
            (&named, r#"{"alg":"RS256","x5t":"t","kid":"39"}"#),
            (&named, r#"{"alg":"RS256","x5t":"t","kid":"nobody's"}"#),
            (&same, r#"{"alg":"RS256","kid":"s"}"#),
            (&same, r#"{"alg":"RS256","kid":"s","x5t":"t"}"#),
            (&nameless, r#"{"alg":"RS256"}"#),
            (&nameless, r#"{"alg":"RS256","kid":"nobody's"}"#),
        ] {
            let keys = KeySet::parse(set(keys).as_bytes()).unwrap();
            assert_eq!(keys.keys().len(), 40);
            let chosen = chosen(&keys, header).unwrap();
            assert_eq!(chosen.split(' ').count(), MAX_CANDIDATES, "{header}");
        }
    }

    /// ADFS names its key by `x5t` alone, Entra by `kid` and `x5t`.
    #[test]
    fn a_thumbprint_chooses_first() {
        let with = |kid: &str, more: &str| {
            jwk(fixtures::JWK_A, kid, "").replacen('{', &format!("{{{more},"), 1)
        };
        check(
            &[
                jwk(fixtures::JWK_A, "a", ""),
                with("b", r#""x5t":"one""#),
                with("c", r#""x5t":"two","x5t#S256":"sha""#),
                with("", r#""x5t":"none""#),
            ],
            &[
                (r#"{"alg":"RS256","x5t":"two"}"#, Ok("c a b -")),
                (r#"{"alg":"RS256","x5t#S256":"sha"}"#, Ok("c a b -")),
                (
                    r#"{"alg":"RS256","x5t":"one","x5t#S256":"sha"}"#,
                    Ok("b c a -"),
                ),
                (r#"{"alg":"RS256","x5t":"nobody's"}"#, Ok("a b c -")),
                (r#"{"alg":"RS256","x5t":"two","kid":"c"}"#, Ok("c")),
                (r#"{"alg":"RS256","x5t":"two","kid":"a"}"#, Ok("c a")),
                (r#"{"alg":"RS256","x5t":"nobody's","kid":"a"}"#, Ok("a")),
                // ADFS has the thumbprint in its kids, and other kids in its sets.
                (r#"{"alg":"RS256","x5t":"two","kid":"two"}"#, Ok("c -")),
                (r#"{"alg":"PS256","x5t":"two"}"#, Err("no match")),
                (
                    r#"{"alg":"PS256","x5t":"two","kid":"two"}"#,
                    Err("unknown kid"),
                ),
            ],
        );
        let keys = set(&[with("c", r#""x5t":"two""#), jwk(fixtures::JWK_B, "", "")]);
        let keys = KeySet::parse(keys.as_bytes()).unwrap();
        for (header, is_named) in [
            (r#"{"alg":"RS256","kid":"c"}"#, true),
            (r#"{"alg":"RS256","x5t":"two"}"#, true),
            (r#"{"alg":"RS256","x5t":"two","kid":"z"}"#, true),
            (r#"{"alg":"RS256","x5t":"z","kid":"z"}"#, false),
            (r#"{"alg":"RS256"}"#, false),
        ] {
            let header = fixtures::header(header);
            assert_eq!(keys.has_key_named_by(&header), is_named, "{header:?}");
        }
    }
}
