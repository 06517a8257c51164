//! What a logout token must say, in addition to what every token of its provider must say (OpenID
//! Connect Back-Channel Logout 1.0 sections 2.4 and 2.6).
//!
//! Invariant: an ID token or an access token never counts as a logout token, and a logout token
//! never counts as one of them. `events` and `nonce` tell them apart.

use std::fmt;

use crate::ended::{Ending, Mark};
use crate::jose::claims::Claims;
use crate::jose::jwt::Verified;
use crate::session::CLOCK_SKEW;

/// The member of `events` that makes a token a logout token.
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// How long a logout token without `exp` is good, in seconds: as long as section 2.4 recommends for
/// one with it.
const LIFE: u64 = 120;

/// Why a verified token ends no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LogoutTokenError {
    /// `iat` is missing.
    IssuedAt,
    /// `exp` is missing, and `iat` is too long ago.
    Old,
    /// `jti` is missing.
    Id,
    /// `events` is not an object, or lacks the event.
    Event,
    /// `nonce` is there.
    Nonce,
    /// `sid` or `sub` is not a text, or is empty.
    Name,
    /// Neither `sid` nor `sub` is there.
    Nobody,
}

/// Fixed text, for the log and for the provider.
impl fmt::Display for LogoutTokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::IssuedAt => "the logout token has no iat",
            Self::Old => "the logout token has no exp and is too old",
            Self::Id => "the logout token has no jti",
            Self::Event => "the logout token's events lack the logout event",
            Self::Nonce => "the logout token has a nonce",
            Self::Name => "the logout token's sid or sub is no usable text",
            Self::Nobody => "the logout token has neither sid nor sub",
        })
    }
}

/// What a logout token ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LogoutToken {
    /// Tells this token from all others.
    pub(super) token: Mark,
    /// The sessions that end.
    pub(super) ending: Ending,
}

impl LogoutToken {
    /// Reads a token that was verified with
    /// [`Scheme::logout_token`](crate::config::Scheme::logout_token). `now`: in Unix seconds.
    ///
    /// # Errors
    /// [`LogoutTokenError`].
    pub(super) fn read(token: &Verified<'_>, now: u64) -> Result<Self, LogoutTokenError> {
        let claims = token.claims();
        // Every provider of a scheme has an issuer.
        let issuer = claims.issuer().unwrap_or_default();
        let issued = claims.issued_at.ok_or(LogoutTokenError::IssuedAt)?;
        // Below 2^53.
        let issued = issued.seconds() as u64;
        // Clocks of several machines may have set the times.
        let latest = issued.saturating_add(CLOCK_SKEW);
        if claims.expires_at.is_none() && now > latest.saturating_add(LIFE) {
            return Err(LogoutTokenError::Old);
        }
        let id = name(claims, "jti").ok().flatten();
        let id = id.ok_or(LogoutTokenError::Id)?;
        let events = claims.get("events").ok_or(LogoutTokenError::Event)?;
        if events.get(EVENT).is_none_or(|event| !event.is_object()) {
            return Err(LogoutTokenError::Event);
        }
        if claims.get("nonce").is_some() {
            return Err(LogoutTokenError::Nonce);
        }
        let (sid, subject) = (name(claims, "sid")?, name(claims, "sub")?);
        // A person who signs in again has a session that begins later. An old token never ends that
        // one, not even if the token was forgotten and is sent once more.
        let of_person =
            |[by_token, begun]: [Mark; 2]| [(by_token, issued), (begun, now.min(latest))];
        let marks = match (sid, subject) {
            // This is one session at the provider. Nobody signs in to it again.
            (Some(sid), subject) => {
                let mut marks = vec![(Mark::of_sid(issuer, sid), latest)];
                // Its sessions here may not have a `sid`.
                let without = subject.map(|name| Mark::of_subject_without_sid(issuer, name));
                marks.extend(without.map(of_person).into_iter().flatten());
                marks
            }
            (None, Some(subject)) => of_person(Mark::of_subject(issuer, subject)).to_vec(),
            (None, None) => return Err(LogoutTokenError::Nobody),
        };
        let token = Mark::of_logout_token(issuer, id);
        Ok(Self {
            token,
            ending: Ending::proven(marks).because_of(token, issued),
        })
    }
}

/// A claim that is a text and is not empty, if it is there.
fn name<'c>(claims: &'c Claims, name: &str) -> Result<Option<&'c str>, LogoutTokenError> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    let text = value.as_str().filter(|text| !text.is_empty());
    text.map(Some).ok_or(LogoutTokenError::Name)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::jose::JwtError;
    use crate::jose::fixtures::{self, HEADER, JWK_A, PEM_A, PEM_B};
    use crate::jose::jwa::Algorithm;
    use crate::jose::jwks::{KeySet, Selection};
    use crate::jose::jwt;
    use crate::sign_in::fixtures::{CLIENT_ID, ISSUER, NOW, scheme};
    use crate::signature::portable::Portable;

    #[derive(Debug, PartialEq)]
    enum Refused {
        Jwt(JwtError),
        Claims(LogoutTokenError),
    }
    use Refused::{Claims as By, Jwt};

    /// Good claims. The members are set, or removed where the value is "absent".
    fn claims(members: &Value) -> String {
        let mut claims = json!({
            "iss": ISSUER, "aud": CLIENT_ID, "sub": "kim", "sid": "s-1", "jti": "t-1",
            "iat": NOW, "exp": NOW + 120, "events": {EVENT: {}},
        });
        for (name, value) in members.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let all = claims.as_object_mut().unwrap();
        all.retain(|_, value| *value != json!("absent"));
        claims.to_string()
    }

    fn read(key: &str, header: &str, members: &Value) -> Result<LogoutToken, Refused> {
        let token = fixtures::token(key, Algorithm::Rs256, header, &claims(members));
        let scheme = scheme(json!({}));
        let keys = KeySet::parse(format!(r#"{{"keys":[{JWK_A}]}}"#).as_bytes()).unwrap();
        let parsed = jwt::parse(token.as_bytes()).map_err(Jwt)?;
        let validated = parsed.validate(&scheme.logout_token, NOW as f64);
        let validated = validated.map_err(Jwt)?;
        let verified = match keys.candidates(validated.untrusted_header()) {
            Selection::Keys(keys) => validated.verify(&keys, &Portable).map_err(Jwt)?,
            Selection::UnknownKid | Selection::NoMatch => return Err(Jwt(JwtError::NoKey)),
        };
        LogoutToken::read(&verified, NOW + 5).map_err(By)
    }

    /// Each rule of section 2.6 in the order there.
    #[test]
    fn s20_logout_tokens_that_are_not_good() {
        use LogoutTokenError::*;
        for (members, expected) in [
            (json!({}), None),
            (
                json!({"iss": "https://other.example/"}),
                Some(Jwt(JwtError::Issuer)),
            ),
            (json!({"iss": "absent"}), Some(Jwt(JwtError::Issuer))),
            (json!({"aud": "other"}), Some(Jwt(JwtError::Audience))),
            (json!({"aud": "absent"}), Some(Jwt(JwtError::Audience))),
            (json!({"aud": ["other", CLIENT_ID]}), None),
            (json!({"iat": "absent"}), Some(By(IssuedAt))),
            (
                json!({"iat": NOW + 61}),
                Some(Jwt(JwtError::IssuedInFuture)),
            ),
            (json!({"iat": "x"}), Some(Jwt(JwtError::IssuedAtType))),
            (json!({"exp": "absent"}), None),
            (json!({"exp": "absent", "iat": NOW - 175}), None),
            (json!({"exp": "absent", "iat": NOW - 176}), Some(By(Old))),
            (
                json!({"exp": "absent", "iat": "absent"}),
                Some(By(IssuedAt)),
            ),
            (json!({"iat": NOW - 176}), None),
            (json!({"exp": null}), Some(Jwt(JwtError::ExpirationType))),
            (json!({"exp": NOW - 61}), Some(Jwt(JwtError::Expired))),
            (
                json!({"iat": NOW - 3600, "exp": NOW - 3480}),
                Some(Jwt(JwtError::Expired)),
            ),
            (json!({"sub": "absent"}), None),
            (json!({"sid": "absent"}), None),
            (json!({"sub": "absent", "sid": "absent"}), Some(By(Nobody))),
            (json!({"sid": ""}), Some(By(Name))),
            (json!({"sid": 5}), Some(By(Name))),
            (json!({"sid": null}), Some(By(Name))),
            (json!({"sub": ""}), Some(By(Name))),
            (json!({"events": "absent"}), Some(By(Event))),
            (json!({"events": {}}), Some(By(Event))),
            (json!({"events": [EVENT]}), Some(By(Event))),
            (json!({"events": EVENT}), Some(By(Event))),
            (json!({"events": {EVENT: null}}), Some(By(Event))),
            (json!({"events": {EVENT: true}}), Some(By(Event))),
            (
                json!({"events": {"https://example.com/other": {}}}),
                Some(By(Event)),
            ),
            (
                json!({"events": {EVENT: {"a": 1}, "https://example.com/other": {}}}),
                None,
            ),
            (json!({"nonce": "n"}), Some(By(Nonce))),
            (json!({"nonce": ""}), Some(By(Nonce))),
            (json!({"nonce": null}), Some(By(Nonce))),
            (json!({"jti": "absent"}), Some(By(Id))),
            (json!({"jti": ""}), Some(By(Id))),
        ] {
            let refused = read(PEM_A, HEADER, &members).err();
            assert_eq!(refused, expected, "{members}");
        }
        let foreign = read(PEM_B, HEADER, &json!({})).err();
        assert_eq!(foreign, Some(Jwt(JwtError::Signature)));
    }

    #[test]
    fn s09_another_kind_of_token_in_place_of_a_logout_token() {
        for (typ, expected) in [
            ("logout+jwt", None),
            ("application/logout+jwt", None),
            ("JWT", None),
            ("at+jwt", Some(Jwt(JwtError::TokenType))),
            ("secevent+jwt", Some(Jwt(JwtError::TokenType))),
            ("dpop+jwt", Some(Jwt(JwtError::TokenType))),
        ] {
            let header = HEADER.replace("JWT", typ);
            assert_eq!(read(PEM_A, &header, &json!({})).err(), expected, "{typ}");
        }
        // What an ID token looks like.
        let id_token = json!({"events": "absent", "nonce": "n"});
        assert_eq!(
            read(PEM_A, HEADER, &id_token).err(),
            Some(By(LogoutTokenError::Event))
        );
    }

    #[test]
    fn what_a_logout_token_ends() {
        let of = |members: Value| read(PEM_A, HEADER, &members).unwrap();
        let told = of(json!({}));
        assert_eq!(told.token, Mark::of_logout_token(ISSUER, "t-1"));
        let proven = |marks| Ending::proven(marks).because_of(told.token, NOW);
        let sid = (Mark::of_sid(ISSUER, "s-1"), NOW + CLOCK_SKEW);
        let [without, begun] = Mark::of_subject_without_sid(ISSUER, "kim");
        let marks = vec![sid, (without, NOW), (begun, NOW + 5)];
        assert_eq!(told.ending, proven(marks));
        assert_eq!(of(json!({"sub": "absent"})).ending, proven(vec![sid]));
        let [all, begun] = Mark::of_subject(ISSUER, "kim");
        let marks = vec![(all, NOW), (begun, NOW + 5)];
        assert_eq!(of(json!({"sid": "absent"})).ending, proven(marks));
        // An old one ends nothing that is later than the clocks allow for.
        let old = NOW - 100;
        let marks = vec![(all, old), (begun, old + CLOCK_SKEW)];
        let ending = Ending::proven(marks).because_of(told.token, old);
        assert_eq!(of(json!({"sid": "absent", "iat": old})).ending, ending);
    }
}
