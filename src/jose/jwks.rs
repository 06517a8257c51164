//! JWK Set, RFC 7517 section 5, and the choice of keys for a token.
//!
//! Invariant: an unusable key never fails its set, and a set without a usable key is an error,
//! so a bad document can never take the place of a good one. The keys that one token can make
//! the filter try are at most [`MAX_CANDIDATES`].

use super::json::{Children, Document, Element};
use super::jwa::Algorithm;
use super::jwk::{Key, KeyError};

/// Longest document that is read, in octets: some hundred keys with their certificates.
pub const MAX_DOCUMENT_LEN: usize = 256 * 1024;
/// Most keys of a set that are looked at; the largest published sets hold a few dozen.
pub const MAX_KEYS: usize = 256;
/// Most keys that are tried for one token: the bound on what a token without `kid` may cost.
pub const MAX_CANDIDATES: usize = 4;

/// Why a document is not a key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JwksError {
    /// Longer than [`MAX_DOCUMENT_LEN`].
    TooLarge,
    /// Not a JSON object, or its `keys` is there twice or is not an array.
    Malformed,
    /// No member `keys`.
    MissingKeys,
    /// Every key is unusable, or there is none.
    NoUsableKey,
}

impl JwksError {
    /// Fixed text for the log.
    #[must_use]
    pub fn description(self) -> &'static str {
        match self {
            JwksError::TooLarge => "Jwks is too large",
            JwksError::Malformed => "Jwks is an invalid JSON",
            JwksError::MissingKeys => "Jwks does not have [keys] field",
            JwksError::NoUsableKey => "Jwks doesn't have any valid public key",
        }
    }
}

/// A key that its set holds and that is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SkippedKey {
    /// Its place in the document, from 0.
    pub index: usize,
    /// Why.
    pub error: KeyError,
}

/// The usable keys of a document, at least one.
#[derive(Clone, Debug)]
pub struct KeySet {
    keys: Vec<Key>,
    skipped: Vec<SkippedKey>,
}

/// What a key set has for a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection<'a> {
    /// The keys to try, in this order: at least one and at most [`MAX_CANDIDATES`].
    Keys(Vec<&'a Key>),
    /// The token's `kid` is not in the set: a newer set may have it.
    UnknownKid,
    /// The key of this `kid` is not for the algorithm, or no key is.
    NoMatch,
}

impl KeySet {
    /// Reads a key document. Secrets in it are not loaded.
    ///
    /// # Errors
    /// [`JwksError`]; unusable keys are no error but are listed by [`KeySet::skipped`].
    pub fn parse(document: &[u8]) -> Result<KeySet, JwksError> {
        KeySet::parse_by(document, Key::parse)
    }

    /// Like [`KeySet::parse`], and loads secrets as well. For the operator's own document only.
    ///
    /// # Errors
    /// As [`KeySet::parse`].
    pub fn parse_with_secrets(document: &[u8]) -> Result<KeySet, JwksError> {
        KeySet::parse_by(document, Key::parse_with_secrets)
    }

    fn parse_by(
        document: &[u8],
        parse_key: fn(Element<'_>) -> Result<Key, KeyError>,
    ) -> Result<KeySet, JwksError> {
        if document.len() > MAX_DOCUMENT_LEN {
            return Err(JwksError::TooLarge);
        }
        let document = Document::parse_lenient(document).map_err(|_| JwksError::Malformed)?;
        let members = keys_member(document.root())?;
        let mut keys: Vec<Key> = Vec::new();
        let mut skipped = Vec::new();
        for (index, member) in members.enumerate() {
            if index >= MAX_KEYS {
                let error = KeyError::TooManyKeys;
                skipped.push(SkippedKey { index, error });
                break;
            }
            // A name that is twice in it is this key's fault alone.
            let parsed = if member.is_object() && !member.has_duplicate_within() {
                parse_key(member)
            } else {
                Err(KeyError::NotAnObject)
            };
            let taken = |key: &Key| {
                key.kid().is_some() && keys.iter().any(|other| other.kid() == key.kid())
            };
            match parsed {
                Ok(key) if taken(&key) => skipped.push(SkippedKey {
                    index,
                    error: KeyError::DuplicateKid,
                }),
                Ok(key) => keys.push(key),
                Err(error) => skipped.push(SkippedKey { index, error }),
            }
        }
        if keys.is_empty() {
            return Err(JwksError::NoUsableKey);
        }
        Ok(KeySet { keys, skipped })
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

    /// Whether one of the usable keys has this `kid`.
    #[must_use]
    pub fn has(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid() == Some(kid))
    }

    /// The keys to try for a token's `kid` and `alg`.
    ///
    /// With a `kid`: the one key that has it. Where none has it, keys that have no `kid` at all
    /// (as jwt_authn does). Without a `kid`: the first [`MAX_CANDIDATES`] that allow the algorithm.
    #[must_use]
    pub fn candidates<'a>(&'a self, kid: Option<&str>, algorithm: Algorithm) -> Selection<'a> {
        let fitting = |matches: fn(&Key) -> bool| -> Vec<&'a Key> {
            self.keys
                .iter()
                .filter(|key| matches(key) && key.allows(algorithm))
                .take(MAX_CANDIDATES)
                .collect()
        };
        let Some(kid) = kid else {
            let keys = fitting(|_| true);
            return if keys.is_empty() {
                Selection::NoMatch
            } else {
                Selection::Keys(keys)
            };
        };
        match self.keys.iter().find(|key| key.kid() == Some(kid)) {
            Some(key) if key.allows(algorithm) => Selection::Keys(vec![key]),
            Some(_) => Selection::NoMatch,
            None => {
                let keys = fitting(|key| key.kid().is_none());
                if keys.is_empty() {
                    Selection::UnknownKid
                } else {
                    Selection::Keys(keys)
                }
            }
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
            jwk(fixtures::JWK_B, "a", "RS256"), // the kid is taken
            good.replace("AQAB", "AQ").replace("\"a\"", "\"one\""),
            jwk(fixtures::JWK_B, "b", ""),
        ]);
        let keys = KeySet::parse(document.as_bytes()).unwrap();
        let kids: Vec<_> = keys.keys().iter().map(Key::kid).collect();
        assert_eq!(kids, [Some("a"), Some("b")]);
        let skipped: Vec<_> = keys.skipped().iter().map(|s| (s.index, s.error)).collect();
        assert_eq!(
            skipped,
            [
                (0, KeyError::ModulusTooSmall),
                (1, KeyError::Secret),
                (2, KeyError::CoordinateLength),
                (3, KeyError::NotAnObject),
                (4, KeyError::NotAnObject),
                (5, KeyError::NotAnObject),
                (7, KeyError::DuplicateKid),
                (8, KeyError::Exponent),
            ]
        );
        // The earlier key of the two is the one in use.
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
        let malformed = Err(JwksError::Malformed);
        let table: &[(String, Result<usize, JwksError>)] = &[
            (set(std::slice::from_ref(&good)), Ok(1)),
            (
                format!(r#"{{"x":{{"y":[1]}},"keys":[{good}],"z":1}}"#),
                Ok(1),
            ),
            (format!(" \n{}\n", set(std::slice::from_ref(&good))), Ok(1)),
            (String::new(), malformed),
            ("<html></html>".into(), malformed),
            ("[]".into(), malformed),
            ("null".into(), malformed),
            (good.clone(), Err(JwksError::MissingKeys)), // a key, not a set
            ("{}".into(), Err(JwksError::MissingKeys)),
            (set(&[]), Err(JwksError::NoUsableKey)),
            (set(&["{}".into()]), Err(JwksError::NoUsableKey)),
            (r#"{"keys":{}}"#.into(), malformed),
            (r#"{"keys":null}"#.into(), malformed),
            (format!(r#"{{"keys":[{good}],"keys":[]}}"#), malformed),
            (format!(r#"{{"keys":[{good}]}}x"#), malformed),
            (format!(r#"{{"keys":[{good}"#), malformed), // truncated
            (
                format!("\u{feff}{}", set(std::slice::from_ref(&good))),
                malformed,
            ),
            (
                format!(r#"{{"keys":[{good}],"x":{}"#, "[".repeat(100_000)),
                malformed,
            ),
        ];
        for (document, expected) in table {
            let result = KeySet::parse(document.as_bytes()).map(|keys| keys.keys().len());
            assert_eq!(result, *expected, "{}", &document[..document.len().min(80)]);
        }
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

    #[test]
    fn a19_candidates_are_few_and_fit() {
        let parse = |keys: &[String]| KeySet::parse(set(keys).as_bytes()).unwrap();
        let kids = |set: &KeySet, kid, algorithm| match set.candidates(kid, algorithm) {
            Selection::Keys(keys) => Ok(keys
                .iter()
                .map(|key| key.kid().unwrap_or("-").to_owned())
                .collect::<Vec<_>>()
                .join(" ")),
            Selection::UnknownKid => Err("unknown kid"),
            Selection::NoMatch => Err("no match"),
        };
        let named = parse(&[
            jwk(fixtures::JWK_A, "a", "RS256"),
            jwk(fixtures::JWK_B, "b", ""),
            jwk(fixtures::JWK_B, "c", "RS512"),
        ]);
        let nameless = parse(&[
            jwk(fixtures::JWK_A, "a", "RS256"),
            jwk(fixtures::JWK_B, "", "RS256"),
        ]);
        let many = parse(
            &(0..9)
                .map(|i| jwk(fixtures::JWK_A, &i.to_string(), ""))
                .collect::<Vec<_>>(),
        );
        let (rs256, rs384, rs512) = (Algorithm::Rs256, Algorithm::Rs384, Algorithm::Rs512);
        type Row<'a> = (
            &'a KeySet,
            Option<&'a str>,
            Algorithm,
            Result<&'a str, &'a str>,
        );
        let table: &[Row<'_>] = &[
            (&named, Some("a"), rs256, Ok("a")),
            (&named, Some("a"), rs384, Err("no match")), // bound to another
            (&named, Some("b"), rs384, Ok("b")),
            (&named, Some("c"), rs256, Err("no match")),
            (&named, Some("A"), rs256, Err("unknown kid")),
            (&named, Some(""), rs256, Err("unknown kid")),
            (&named, Some("../a"), rs256, Err("unknown kid")),
            (&named, Some("a' OR '1'='1"), rs256, Err("unknown kid")),
            (&named, Some("a\r\nx: y"), rs256, Err("unknown kid")),
            (&named, None, rs256, Ok("a b")),
            (&named, None, rs512, Ok("b c")),
            (&nameless, None, rs256, Ok("a -")),
            (&nameless, Some("a"), rs256, Ok("a")),
            (&nameless, Some("z"), rs256, Ok("-")), // the key without a kid may be meant
            (&nameless, Some("z"), rs384, Err("unknown kid")),
            (&nameless, None, rs384, Err("no match")),
            (&many, None, rs256, Ok("0 1 2 3")), // MAX_CANDIDATES
        ];
        for (keys, kid, algorithm, expected) in table {
            let result = kids(keys, *kid, *algorithm);
            let expected = expected.map(str::to_owned);
            assert_eq!(result, expected, "{kid:?} {algorithm:?}");
        }
    }
}
