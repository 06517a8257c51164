//! What an ID token must say, in addition to what every token of its provider must say (OpenID
//! Connect Core 1.0 sections 3.1.3.7 and 3.1.3.8).
//!
//! Invariant: a [`Said`] is about a token for this client. Where a code was redeemed, the token has
//! the nonce of the browser's own flow.

use std::fmt;

use crate::bytes::half_digest;
use crate::config::Scheme;
use crate::jose::base64url;
use crate::jose::claims::Claims;
use crate::jose::jwa::Algorithm;
use crate::jose::jwt::Verified;
use crate::sign_in::token_reply::Grant;
use crate::signature::hash::Hash;

/// The longest `sub`, in octets (OpenID Connect Core 1.0 section 2).
const LONGEST_SUBJECT: usize = 255;

/// The first number of seconds that is not accepted as a date. Up to it, every second can be told
/// from the next.
const LATEST: f64 = 9_007_199_254_740_992.0;

/// Why a verified ID token makes no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdTokenError {
    /// `nonce` is missing, or belongs to another flow. After a refresh it may be missing.
    Nonce,
    /// `aud` does not name the client.
    Audience,
    /// `azp` names another client, or is missing where there are several audiences.
    AuthorizedParty,
    /// `events` is there: the token is a logout token or another security event.
    Event,
    /// `sub` is missing, empty or too long.
    Subject,
    /// `iat` is missing.
    IssuedAt,
    /// `exp` is missing or past: the session would end before it begins.
    Expired,
    /// `at_hash` is not the hash of the access token.
    AccessTokenHash,
    /// `auth_time` is not a date, or is missing where the configuration asks for `max_age`.
    AuthTime,
    /// The person signed in longer ago than the `max_age` of the configuration.
    TooLongAgo,
    /// `sid` is not a text.
    Sid,
    /// After a refresh: another person.
    OtherSubject,
    /// After a refresh: another sign-in.
    OtherAuthTime,
}

/// Fixed text, for the log.
impl fmt::Display for IdTokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nonce => "the ID token's nonce is missing or of another flow",
            Self::Audience => "the ID token is for another client",
            Self::AuthorizedParty => "the ID token's azp is not this client",
            Self::Event => "the token is a security event and no ID token",
            Self::Subject => "the ID token has no usable sub",
            Self::IssuedAt => "the ID token has no iat",
            Self::Expired => "the ID token has expired",
            Self::AccessTokenHash => "the ID token's at_hash is of another access token",
            Self::AuthTime => "the ID token has no usable auth_time",
            Self::TooLongAgo => "the ID token's auth_time is before max_age",
            Self::Sid => "the ID token's sid is no text",
            Self::OtherSubject => "the refreshed ID token is of another person",
            Self::OtherAuthTime => "the refreshed ID token is of another sign-in",
        })
    }
}

/// What an ID token says of the person and the sign-in.
pub(super) struct Said {
    /// `iss`, where the provider has one for each tenant.
    pub issuer: Option<String>,
    pub subject: String,
    pub sid: Option<String>,
    pub auth_time: Option<u64>,
    pub acr: Option<String>,
    /// `iat`, in Unix seconds.
    pub issued: u64,
    /// `exp`, in Unix seconds.
    pub expires: u64,
}

impl Said {
    /// Reads the ID token that came for a code, at `now` in Unix seconds.
    pub(super) fn of_code(
        scheme: &Scheme,
        token: &Verified<'_>,
        grant: &Grant,
        nonce: &str,
        now: u64,
    ) -> Result<Self, IdTokenError> {
        if text(token.claims(), "nonce") != Some(nonce) {
            return Err(IdTokenError::Nonce);
        }
        let said = Self::read(scheme, token, grant)?;
        vet_age(scheme, said.auth_time, now)?;
        Ok(said)
    }

    /// Reads the ID token that came for a refresh token of a session that began with this nonce.
    /// There should be no nonce, but where there is one, it is the same (OpenID Connect Core 1.0
    /// section 12.2).
    pub(super) fn of_refresh(
        scheme: &Scheme,
        token: &Verified<'_>,
        grant: &Grant,
        nonce: Option<[u8; 16]>,
    ) -> Result<Self, IdTokenError> {
        if let Some(found) = token.claims().get("nonce")
            && found.as_str().map(hash_of_nonce) != nonce
        {
            return Err(IdTokenError::Nonce);
        }
        Self::read(scheme, token, grant)
    }

    /// Reads an ID token that came for a code or a refresh token.
    fn read(scheme: &Scheme, token: &Verified<'_>, grant: &Grant) -> Result<Self, IdTokenError> {
        let claims = token.claims();
        let client = scheme.client.id.as_str();
        if !claims.audiences().any(|audience| audience == client) {
            return Err(IdTokenError::Audience);
        }
        let is_shared = claims.audiences().nth(1).is_some();
        let is_authorized = match claims.get("azp") {
            Some(party) => party.as_str() == Some(client),
            None => !is_shared,
        };
        if !is_authorized {
            return Err(IdTokenError::AuthorizedParty);
        }
        // OpenID Connect Back-Channel Logout 1.0 section 2.4.
        if claims.get("events").is_some() {
            return Err(IdTokenError::Event);
        }
        let subject = claims.subject().unwrap_or_default();
        if subject.is_empty() || subject.len() > LONGEST_SUBJECT {
            return Err(IdTokenError::Subject);
        }
        let issued = claims.issued_at.ok_or(IdTokenError::IssuedAt)?;
        let expires = claims.expires_at.ok_or(IdTokenError::Expired)?;
        if let Some(hash) = claims.get("at_hash") {
            let expected = access_token_hash(token.algorithm(), &grant.access_token);
            if hash.as_str() != Some(&expected) {
                return Err(IdTokenError::AccessTokenHash);
            }
        }
        let sid = claims
            .get("sid")
            .map(|sid| sid.as_str().ok_or(IdTokenError::Sid));
        let issuer = claims
            .issuer()
            .filter(|_| scheme.id_token.issuer.is_of_tenants());
        Ok(Self {
            issuer: issuer.map(str::to_owned),
            subject: subject.to_owned(),
            sid: sid.transpose()?.map(str::to_owned),
            auth_time: auth_time(claims)?,
            acr: text(claims, "acr").map(str::to_owned),
            // Below 2^53.
            issued: issued.seconds() as u64,
            expires: expires.seconds() as u64,
        })
    }
}

/// What a session keeps of the nonce of its flow.
pub(super) fn hash_of_nonce(nonce: &str) -> [u8; 16] {
    half_digest(&[b"nonce", nonce.as_bytes()])
}

fn text<'c>(claims: &'c Claims, name: &str) -> Option<&'c str> {
    claims.get(name)?.as_str()
}

fn auth_time(claims: &Claims) -> Result<Option<u64>, IdTokenError> {
    let Some(value) = claims.get("auth_time").filter(|value| !value.is_null()) else {
        return Ok(None);
    };
    let seconds = value.as_number().and_then(serde_json::Number::as_f64);
    let is_date = |seconds: &f64| (0.0..LATEST).contains(seconds);
    let seconds = seconds.filter(is_date).ok_or(IdTokenError::AuthTime)?;
    // Some providers write a fraction, which is cut off.
    Ok(Some(seconds as u64))
}

/// Checks what was asked for with `max_age` (OpenID Connect Core 1.0 section 3.1.2.1). The check is
/// needed because a person can remove the parameter from the URL.
fn vet_age(scheme: &Scheme, auth_time: Option<u64>, now: u64) -> Result<(), IdTokenError> {
    let mut parameters = scheme.authorization.parameters.iter();
    let Some((_, max_age)) = parameters.find(|(name, _)| name == "max_age") else {
        return Ok(());
    };
    let auth_time = auth_time.ok_or(IdTokenError::AuthTime)?;
    // With a `max_age` that is not a number, only a person who signed in just now passes.
    let max_age: u64 = max_age.parse().unwrap_or(0);
    let latest = auth_time
        .saturating_add(max_age)
        .saturating_add(scheme.id_token.clock_skew_seconds);
    if now > latest {
        return Err(IdTokenError::TooLongAgo);
    }
    Ok(())
}

/// The left half of the hash of the access token's characters (OpenID Connect Core 1.0 section
/// 3.1.3.6), by the hash of the ID token's algorithm.
fn access_token_hash(algorithm: Algorithm, access_token: &str) -> String {
    let digest = Hash::of(algorithm).digest(&[access_token.as_bytes()]);
    let (half, _) = digest.split_at(digest.len() / 2);
    base64url::encode(half)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::jose::JwtError;
    use crate::jose::fixtures::{self, HEADER, PEM_A};
    use crate::jose::jwt;
    use crate::sign_in::fixtures::Refused::{self, Claims as By, Jwt};
    use crate::sign_in::fixtures::{
        ACCESS, AT_HASH, CLIENT_ID, NONCE, NOW, begin_with, begun, claims, grant, scheme, signed,
        verified,
    };

    fn refuse(table: &[(Value, Refused)]) {
        assert!(begun(json!({}), json!({})).is_ok());
        for (members, expected) in table {
            let refused = begun(json!({}), members.clone()).err();
            assert_eq!(refused.as_ref(), Some(expected), "{members}");
        }
    }

    #[test]
    fn s07_a_nonce_that_is_missing_or_another() {
        refuse(&[
            (json!({"nonce": "absent"}), By(IdTokenError::Nonce)),
            (json!({"nonce": null}), By(IdTokenError::Nonce)),
            (json!({"nonce": ""}), By(IdTokenError::Nonce)),
            (
                json!({"nonce": "nonce-of-another-flow"}),
                By(IdTokenError::Nonce),
            ),
            (
                json!({"nonce": "NONCE-of-the-flow"}),
                By(IdTokenError::Nonce),
            ),
            (json!({"nonce": [NONCE]}), By(IdTokenError::Nonce)),
        ]);
    }

    #[test]
    fn s08_an_id_token_of_another_algorithm_audience_or_party() {
        use IdTokenError::AuthorizedParty;
        refuse(&[
            (json!({"aud": "other"}), Jwt(JwtError::Audience)),
            (json!({"aud": []}), Jwt(JwtError::Audience)),
            (json!({"aud": "absent"}), Jwt(JwtError::Audience)),
            (
                json!({"iss": "https://other.example/"}),
                Jwt(JwtError::Issuer),
            ),
            (json!({"azp": "other"}), By(AuthorizedParty)),
            (json!({"azp": ""}), By(AuthorizedParty)),
            (json!({"azp": null}), By(AuthorizedParty)),
            (json!({"azp": [CLIENT_ID]}), By(AuthorizedParty)),
            (json!({"aud": [CLIENT_ID, "other"]}), By(AuthorizedParty)),
            (
                json!({"aud": [CLIENT_ID, "other"], "azp": "other"}),
                By(AuthorizedParty),
            ),
        ]);
        for members in [
            json!({"azp": CLIENT_ID}),
            json!({"aud": [CLIENT_ID]}),
            json!({"aud": ["other", CLIENT_ID], "azp": CLIENT_ID}),
        ] {
            assert!(begun(json!({}), members.clone()).is_ok(), "{members}");
        }
        let payload = base64url::encode(claims(&json!({})).as_bytes());
        for (header, signature, expected) in [
            (r#"{"alg":"none"}"#, "", JwtError::AlgorithmUnsupported),
            (r#"{"alg":"HS256"}"#, "AAAA", JwtError::AlgorithmNotAllowed),
            (r#"{"alg":"RS256"}"#, "AAAA", JwtError::Signature),
        ] {
            let header = base64url::encode(header.as_bytes());
            let token = format!("{header}.{payload}.{signature}");
            let refused = begin_with(&scheme(json!({})), &token).err();
            assert_eq!(refused, Some(Jwt(expected)), "{expected:?}");
        }
        // A scheme that expects no audience does not let it pass either.
        let lenient = scheme(json!({}));
        let lenient = Scheme {
            id_token: jwt::Expectations {
                audiences: Vec::new(),
                ..lenient.id_token.clone()
            },
            ..lenient
        };
        let refused = begin_with(&lenient, &signed(&json!({"aud": "other"}))).err();
        assert_eq!(refused, Some(By(IdTokenError::Audience)));
    }

    #[test]
    fn s09_another_kind_of_token_in_place_of_an_id_token() {
        for (typ, expected) in [
            ("at+jwt", Some(Jwt(JwtError::TokenType))),
            ("application/at+jwt", Some(Jwt(JwtError::TokenType))),
            ("logout+jwt", Some(Jwt(JwtError::TokenType))),
            ("secevent+jwt", Some(Jwt(JwtError::TokenType))),
            ("JWT", None),
        ] {
            let header = HEADER.replace("JWT", typ);
            let payload = claims(&json!({}));
            let token = fixtures::token(PEM_A, Algorithm::Rs256, &header, &payload);
            let refused = begin_with(&scheme(json!({})), &token).err();
            assert_eq!(refused, expected, "{typ}");
        }
        let event = json!({"http://schemas.openid.net/event/backchannel-logout": {}});
        refuse(&[
            (json!({"events": event}), By(IdTokenError::Event)),
            // What an access token and a logout token lack.
            (
                json!({"nonce": "absent", "scope": "openid"}),
                By(IdTokenError::Nonce),
            ),
        ]);
        // A refreshed ID token may lack the nonce.
        let token = signed(&json!({"nonce": "absent", "events": event}));
        let scheme = scheme(json!({}));
        let verified = verified(&scheme, &token).unwrap();
        let said = Said::of_refresh(&scheme, &verified, &grant(), None);
        assert_eq!(said.err(), Some(IdTokenError::Event));
    }

    #[test]
    fn claims_that_an_id_token_needs() {
        use IdTokenError::*;
        refuse(&[
            (json!({"sub": "absent"}), By(Subject)),
            (json!({"sub": ""}), By(Subject)),
            (json!({"sub": "x".repeat(256)}), By(Subject)),
            (json!({"iat": "absent"}), By(IssuedAt)),
            (json!({"exp": "absent"}), Jwt(JwtError::NoExpiration)),
            // It is within the leeway, but a session would already have ended.
            (json!({"exp": NOW}), By(Expired)),
            (
                json!({"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}),
                By(AccessTokenHash),
            ),
            (json!({"at_hash": ""}), By(AccessTokenHash)),
            (json!({"at_hash": null}), By(AccessTokenHash)),
            (
                json!({"at_hash": format!("{AT_HASH}=")}),
                By(AccessTokenHash),
            ),
            (json!({"auth_time": "1800000000"}), By(AuthTime)),
            (json!({"auth_time": -1}), By(AuthTime)),
            (json!({"auth_time": 1e300}), By(AuthTime)),
            (json!({"sid": 5}), By(Sid)),
            (json!({"sid": null}), By(Sid)),
        ]);
        assert!(begun(json!({}), json!({"at_hash": AT_HASH})).is_ok());
    }

    #[test]
    fn the_hash_of_an_access_token() {
        // The first halves of SHA-256, SHA-384 and SHA-512 of "access-token".
        for (algorithm, expected) in [
            (Algorithm::Rs256, AT_HASH),
            (Algorithm::Es256, AT_HASH),
            (Algorithm::Ps384, "fPnQAsvCEwe-sRB6O4tsdPgfI-EaOvsY"),
            (
                Algorithm::Es512,
                "Rb10lsqrobcpd02MQ_878ctvfDDbaRese_Z50nFw5Jw",
            ),
            (
                Algorithm::EdDsa,
                "Rb10lsqrobcpd02MQ_878ctvfDDbaRese_Z50nFw5Jw",
            ),
        ] {
            assert_eq!(
                access_token_hash(algorithm, ACCESS),
                expected,
                "{algorithm:?}"
            );
        }
    }

    #[test]
    fn a_sign_in_that_is_too_long_ago() {
        use IdTokenError::{AuthTime, TooLongAgo};
        for (max_age, auth_time, expected) in [
            ("600", json!(NOW - 600), None),
            ("600", json!(NOW - 660), None), // the leeway
            ("600", json!(NOW - 661), Some(By(TooLongAgo))),
            ("600", json!("absent"), Some(By(AuthTime))),
            ("0", json!(NOW - 61), Some(By(TooLongAgo))),
            ("-1", json!(NOW - 61), Some(By(TooLongAgo))),
            ("x", json!(NOW), None),
        ] {
            let refused = begun(
                json!({"authorization_params": {"max_age": max_age}}),
                json!({"auth_time": auth_time}),
            );
            assert_eq!(refused.err(), expected, "{max_age} {auth_time}");
        }
    }
}
