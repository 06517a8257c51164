//! JWK Set, RFC 7517 section 5, and the choice of keys for a token.
//!
//! Invariant: an unusable key never fails its set, and a set without a usable key is an error,
//! so a bad document can never take the place of a good one. The keys that one token can make
//! the filter try are at most [`MAX_CANDIDATES`].

use super::json::KeysMember;
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
    /// Reads a key document.
    ///
    /// # Errors
    /// [`JwksError`]; unusable keys are no error but are listed by [`KeySet::skipped`].
    pub fn parse(document: &[u8]) -> Result<KeySet, JwksError> {
        if document.len() > MAX_DOCUMENT_LEN {
            return Err(JwksError::TooLarge);
        }
        let KeysMember(members) =
            serde_json::from_slice(document).map_err(|_| JwksError::Malformed)?;
        let mut keys: Vec<Key> = Vec::new();
        let mut skipped = Vec::new();
        for (index, member) in members
            .ok_or(JwksError::MissingKeys)?
            .into_iter()
            .enumerate()
        {
            if index >= MAX_KEYS {
                let error = KeyError::TooManyKeys;
                skipped.push(SkippedKey { index, error });
                break;
            }
            let parsed = member
                .into_object()
                .map_err(|_| KeyError::NotAnObject)
                .and_then(|jwk| Key::parse(&jwk));
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
