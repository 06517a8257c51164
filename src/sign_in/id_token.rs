//! What an ID token must say beyond what every token of its provider must (OpenID Connect Core 1.0
//! sections 3.1.3.7, 3.1.3.8 and 12.2), and the session that it makes.
//!
//! Invariant: a [`Session`] begins with an ID token that is verified, has the nonce of the
//! browser's own flow and is for this client; and it never becomes another person's.

use std::fmt;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256, Sha384, Sha512};

use super::token_reply::Grant;
use crate::config::{OwnPath, Scheme};
use crate::jose::base64url;
use crate::jose::claims::Claims;
use crate::jose::jwa::Algorithm;
use crate::jose::jwt::Verified;
use crate::session::life::{Session, Tokens};

/// The longest `sub`, in octets (OpenID Connect Core 1.0 section 2).
const LONGEST_SUBJECT: usize = 255;

/// First number of seconds that is no date here: up to it every second can be told from the next.
const LATEST: f64 = 9_007_199_254_740_992.0;

/// Claims about the token alone, which no session keeps unasked.
const OF_TOKEN: [&str; 4] = ["at_hash", "c_hash", "nonce", "s_hash"];

/// Why an ID token makes no session, though it is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdTokenError {
    /// `nonce` is missing, or of another flow.
    Nonce,
    /// `aud` does not name the client.
    Audience,
    /// `azp` is another client, or missing where there are several audiences.
    AuthorizedParty,
    /// `events` is there: a logout token or another security event.
    Event,
    /// `sub` is missing, empty or too long.
    Subject,
    /// `iat` is missing.
    IssuedAt,
    /// `exp` is missing or past: the session would end before it begins.
    Expired,
    /// `at_hash` is not that of the access token.
    AccessTokenHash,
    /// `auth_time` is no date, or missing where the configuration asks for `max_age`.
    AuthTime,
    /// The person signed in longer ago than the `max_age` of the configuration.
    TooLongAgo,
    /// `sid` is no text.
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
            IdTokenError::Nonce => "the ID token's nonce is missing or of another flow",
            IdTokenError::Audience => "the ID token is for another client",
            IdTokenError::AuthorizedParty => "the ID token's azp is not this client",
            IdTokenError::Event => "the token is a security event and no ID token",
            IdTokenError::Subject => "the ID token has no usable sub",
            IdTokenError::IssuedAt => "the ID token has no iat",
            IdTokenError::Expired => "the ID token has expired",
            IdTokenError::AccessTokenHash => "the ID token's at_hash is of another access token",
            IdTokenError::AuthTime => "the ID token has no usable auth_time",
            IdTokenError::TooLongAgo => "the ID token's auth_time is before max_age",
            IdTokenError::Sid => "the ID token's sid is no text",
            IdTokenError::OtherSubject => "the refreshed ID token is of another person",
            IdTokenError::OtherAuthTime => "the refreshed ID token is of another sign-in",
        })
    }
}

/// An ID token that came with others.
#[derive(Clone, Copy)]
pub struct IdToken<'t> {
    /// As the provider sent it.
    pub text: &'t str,
    /// The same, verified with [`Scheme::id_token`].
    pub verified: &'t Verified<'t>,
}

/// What an ID token says of the person and the sign-in.
struct Said {
    subject: String,
    sid: Option<String>,
    auth_time: Option<u64>,
    acr: Option<String>,
    /// `exp`, in Unix seconds.
    expires: u64,
    claims: String,
}

/// Begins a session with the tokens for a code. `nonce` is that of the flow, `id` is random, `now`
/// in Unix seconds.
///
/// # Errors
/// [`IdTokenError`].
pub fn begin(
    scheme: &Scheme,
    token: IdToken<'_>,
    grant: &Grant,
    nonce: &str,
    id: [u8; 16],
    now: u64,
) -> Result<Session, IdTokenError> {
    let found = text(token.verified.claims(), "nonce");
    if found != Some(nonce) {
        return Err(IdTokenError::Nonce);
    }
    let said = Said::read(scheme, token.verified, grant)?;
    vet_age(scheme, said.auth_time, now)?;
    let rules = &scheme.session;
    let session = Session {
        id,
        scheme: scheme.name.clone(),
        subject: said.subject,
        sid: said.sid,
        auth_time: said.auth_time,
        acr: said.acr,
        started: now,
        seen: now,
        idle: rules.idle_timeout.map(|idle| idle.as_secs()),
        expires: end(scheme, now, Some(said.expires)),
        claims: said.claims,
        tokens: kept_tokens(scheme, None, grant, Some(token.text), now),
    };
    // An ID token passes for a while after its end, for clocks differ; a session does not.
    session.vet(now).map_err(|_| IdTokenError::Expired)?;
    Ok(session)
}

/// The session with the tokens for its refresh token, at `now` in Unix seconds. Where there is no
/// new ID token, what the old one said stays.
///
/// # Errors
/// [`IdTokenError`]: the session is to be ended.
pub fn refresh(
    session: Session,
    scheme: &Scheme,
    token: Option<IdToken<'_>>,
    grant: &Grant,
    now: u64,
) -> Result<Session, IdTokenError> {
    let of_grant = grant.expires_in.map(|span| now.saturating_add(span));
    let text = token.map(|token| token.text);
    let tokens = kept_tokens(scheme, session.tokens.as_ref(), grant, text, now);
    let ends = |by| end(scheme, session.started, by);
    let renewed = match token {
        None => Session {
            expires: ends(of_grant.or(Some(session.expires))).max(session.expires),
            tokens,
            ..session
        },
        Some(token) => {
            let said = Said::read(scheme, token.verified, grant)?;
            if said.subject != session.subject {
                return Err(IdTokenError::OtherSubject);
            }
            let auth_times = session.auth_time.zip(said.auth_time);
            if auth_times.is_some_and(|(old, new)| old != new) {
                return Err(IdTokenError::OtherAuthTime);
            }
            Session {
                sid: said.sid.or(session.sid),
                auth_time: session.auth_time.or(said.auth_time),
                acr: said.acr.or(session.acr),
                expires: ends(Some(said.expires)),
                claims: said.claims,
                tokens,
                ..session
            }
        }
    };
    let renewed = renewed.seen_at(now);
    renewed.vet(now).map_err(|_| IdTokenError::Expired)?;
    Ok(renewed)
}

impl Said {
    fn read(scheme: &Scheme, token: &Verified<'_>, grant: &Grant) -> Result<Said, IdTokenError> {
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
        if claims.issued_at.is_none() {
            return Err(IdTokenError::IssuedAt);
        }
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
        Ok(Said {
            subject: subject.to_owned(),
            sid: sid.transpose()?.map(str::to_owned),
            auth_time: auth_time(claims)?,
            acr: text(claims, "acr").map(str::to_owned),
            // Below 2^53.
            expires: expires.seconds() as u64,
            claims: kept_claims(scheme, claims),
        })
    }
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

/// What was asked for with `max_age` is checked (OpenID Connect Core 1.0 section 3.1.2.1): a person
/// can take it out of the URL.
fn vet_age(scheme: &Scheme, auth_time: Option<u64>, now: u64) -> Result<(), IdTokenError> {
    let mut parameters = scheme.authorization.parameters.iter();
    let Some((_, max_age)) = parameters.find(|(name, _)| name == "max_age") else {
        return Ok(());
    };
    let auth_time = auth_time.ok_or(IdTokenError::AuthTime)?;
    // One that is no number lets nobody pass who did not sign in just now.
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
/// 3.1.3.6), by the hash of the ID token's algorithm. That of Ed25519 is SHA-512 (RFC 8032 section
/// 5.1).
fn access_token_hash(algorithm: Algorithm, access_token: &str) -> String {
    let digest = match algorithm {
        Algorithm::Rs256 | Algorithm::Ps256 | Algorithm::Es256 | Algorithm::Hs256 => {
            Sha256::digest(access_token).to_vec()
        }
        Algorithm::Rs384 | Algorithm::Ps384 | Algorithm::Es384 | Algorithm::Hs384 => {
            Sha384::digest(access_token).to_vec()
        }
        Algorithm::Rs512
        | Algorithm::Ps512
        | Algorithm::Es512
        | Algorithm::Hs512
        | Algorithm::EdDsa => Sha512::digest(access_token).to_vec(),
    };
    let (half, _) = digest.split_at(digest.len() / 2);
    base64url::encode(half)
}

/// The claims that the configuration chose, or all that are about the person: a JSON object.
fn kept_claims(scheme: &Scheme, claims: &Claims) -> String {
    let kept: Map<String, Value> = match &scheme.session.claims {
        Some(chosen) => {
            let value = |name: &str| Some(claims.get(name)?.to_value());
            let kept = chosen
                .iter()
                .filter_map(|kept| Some((kept.name.clone(), value(&kept.claim)?)));
            kept.collect()
        }
        None => {
            let all = claims.all().members();
            all.filter(|(name, _)| !OF_TOKEN.contains(name))
                .map(|(name, value)| (name.to_owned(), value.to_value()))
                .collect()
        }
    };
    Value::Object(kept).to_string()
}

/// When a session ends, whatever is heard of it, in Unix seconds. `by` is when its tokens end,
/// which counts where the configuration has no idle timeout.
fn end(scheme: &Scheme, started: u64, by: Option<u64>) -> u64 {
    let rules = &scheme.session;
    let latest = started.saturating_add(rules.max_duration.as_secs());
    match (rules.idle_timeout, by) {
        (None, Some(by)) => latest.min(by),
        _ => latest,
    }
}

/// The tokens that the configuration has a use for; those from before stay where there is no newer
/// one.
fn kept_tokens(
    scheme: &Scheme,
    before: Option<&Tokens>,
    grant: &Grant,
    id_token: Option<&str>,
    now: u64,
) -> Option<Tokens> {
    // At sign-out it tells the provider whose session ends.
    let keeps_id =
        scheme.forward_id_token_header.is_some() || scheme.path(OwnPath::SignOut).is_some();
    let keeps_access = scheme.forward_bearer_token;
    let keeps_refresh = scheme.use_refresh_token;
    if !(keeps_id || keeps_access || keeps_refresh) {
        return None;
    }
    let new_or = |new: Option<&str>, old: fn(&Tokens) -> Option<&String>| {
        let old = || before.and_then(old).cloned();
        new.map(str::to_owned).or_else(old)
    };
    let refresh = || new_or(grant.refresh_token.as_deref(), |old| old.refresh.as_ref());
    let expires = grant.expires_in.map(|span| now.saturating_add(span));
    Some(Tokens {
        access: keeps_access.then(|| grant.access_token.clone()),
        access_expires: expires.filter(|_| keeps_access || keeps_refresh),
        refresh: keeps_refresh.then(refresh).flatten(),
        id: keeps_id
            .then(|| new_or(id_token, |old| old.id.as_ref()))
            .flatten(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::jose::JwtError;
    use crate::jose::fixtures::{self, HEADER, JWK_A, PEM_A};
    use crate::jose::jwks::{KeySet, Selection};
    use crate::jose::jwt;
    use crate::session::life::NoSession;
    use crate::sign_in::fixtures::{CLIENT_ID, ISSUER, scheme};
    use crate::signature::portable::Portable;

    const NOW: u64 = 1_800_000_000;
    const NONCE: &str = "nonce-of-the-flow";
    const ACCESS: &str = "access-token";
    /// By `printf access-token | sha256sum`, the first half in base64url.
    const AT_HASH: &str = "Pxa-1wifRlPl7yG_0oJNfw";

    /// Why there is no session.
    #[derive(Debug, PartialEq)]
    enum Refused {
        Jwt(JwtError),
        Claims(IdTokenError),
    }
    use Refused::{Claims as By, Jwt};

    fn claims(members: &Value) -> String {
        let mut claims = json!({
            "iss": ISSUER, "aud": CLIENT_ID, "sub": "kim", "exp": NOW + 300, "iat": NOW,
            "nonce": NONCE,
        });
        for (name, value) in members.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
            .as_object_mut()
            .unwrap()
            .retain(|_, value| *value != json!("absent"));
        claims.to_string()
    }

    fn signed(members: &Value) -> String {
        fixtures::token(PEM_A, Algorithm::Rs256, HEADER, &claims(members))
    }

    fn verified<'t>(scheme: &Scheme, token: &'t str) -> Result<Verified<'t>, Refused> {
        let keys = KeySet::parse(format!(r#"{{"keys":[{JWK_A}]}}"#).as_bytes()).unwrap();
        let parsed = jwt::parse(token.as_bytes()).map_err(Jwt)?;
        let validated = parsed.validate(&scheme.id_token, NOW as f64).map_err(Jwt)?;
        match keys.candidates(validated.untrusted_header()) {
            Selection::Keys(keys) => validated.verify(&keys, &Portable).map_err(Jwt),
            Selection::UnknownKid | Selection::NoMatch => Err(Jwt(JwtError::NoKey)),
        }
    }

    fn grant() -> Grant {
        Grant {
            access_token: ACCESS.to_owned(),
            expires_in: Some(120),
            refresh_token: Some("r-1".to_owned()),
        }
    }

    fn begin_with(scheme: &Scheme, token: &str) -> Result<Session, Refused> {
        let token = IdToken {
            text: token,
            verified: &verified(scheme, token)?,
        };
        begin(scheme, token, &grant(), NONCE, [7; 16], NOW).map_err(By)
    }

    fn begun(fields: Value, members: Value) -> Result<Session, Refused> {
        begin_with(&scheme(fields), &signed(&members))
    }

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
            (r#"{"alg":"none"}"#, "", JwtError::AlgorithmUnknown),
            (r#"{"alg":"HS256"}"#, "AAAA", JwtError::AlgorithmNotAllowed),
            (r#"{"alg":"RS256"}"#, "AAAA", JwtError::Signature),
        ] {
            let header = base64url::encode(header.as_bytes());
            let token = format!("{header}.{payload}.{signature}");
            let refused = begin_with(&scheme(json!({})), &token).err();
            assert_eq!(refused, Some(Jwt(expected)), "{expected:?}");
        }
        // Expectations of anybody else do not let it pass either.
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
        assert_eq!(refreshed(Some(&token)).err(), Some(By(IdTokenError::Event)));
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
            // Within the leeway, but a session would have ended.
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
    fn what_a_session_begins_with() {
        let session = begun(
            json!({"session": {"idle_timeout": "30m", "max_duration": "8h"}}),
            json!({"sid": "s-1", "auth_time": 1_799_999_000.7, "acr": "2", "at_hash": AT_HASH}),
        );
        let session = session.unwrap();
        assert_eq!(session.id, [7; 16]);
        assert_eq!(session.scheme, "staff");
        assert_eq!(session.subject, "kim");
        assert_eq!(session.sid.as_deref(), Some("s-1"));
        assert_eq!(session.auth_time, Some(1_799_999_000));
        assert_eq!(session.acr.as_deref(), Some("2"));
        assert_eq!((session.started, session.seen), (NOW, NOW));
        assert_eq!(session.idle, Some(1800));
        assert_eq!(session.expires, NOW + 8 * 3600);
        assert!(session.tokens.is_none());

        let hour = 3600;
        for (rules, exp, expected) in [
            (json!({}), NOW + 300, NOW + 300),
            (json!({"max_duration": "1h"}), NOW + 300, NOW + 300),
            (json!({"max_duration": "1h"}), NOW + 2 * hour, NOW + hour),
            (
                json!({"idle_timeout": "1m", "max_duration": "1h"}),
                NOW + 300,
                NOW + hour,
            ),
        ] {
            let session = begun(json!({"session": rules}), json!({"exp": exp})).unwrap();
            assert_eq!(session.expires, expected, "{rules} {exp}");
            assert_eq!(session.vet(NOW), Ok(()));
            assert_eq!(session.vet(expected), Err(NoSession::Expired));
        }
    }

    #[test]
    fn claims_that_a_session_keeps() {
        let members = json!({
            "at_hash": AT_HASH, "c_hash": "x", "email": "kim@a.example", "groups": ["a", {"b": 1.5}],
            "name": "\u{e9}\"",
        });
        let all = json!({
            "iss": ISSUER, "aud": CLIENT_ID, "sub": "kim", "exp": NOW + 300, "iat": NOW,
            "email": "kim@a.example", "groups": ["a", {"b": 1.5}], "name": "\u{e9}\"",
        });
        for (rules, expected) in [
            (json!({}), all),
            (json!({"claims": []}), json!({})),
            (
                json!({"claims": ["sub", "nonce", "missing", {"groups": "roles"}]}),
                json!({"sub": "kim", "nonce": NONCE, "roles": ["a", {"b": 1.5}]}),
            ),
        ] {
            let session = begun(json!({"session": rules}), members.clone()).unwrap();
            let kept: Value = serde_json::from_str(&session.claims).unwrap();
            assert_eq!(kept, expected, "{rules}");
        }
    }

    #[test]
    fn tokens_that_a_session_keeps() {
        let id = signed(&json!({}));
        let [access, refresh] = [ACCESS, "r-1"].map(|text| Some(text.to_owned()));
        let id = Some(id);
        let access_expires = Some(NOW + 120);
        let none = Tokens::default;
        for (fields, expected) in [
            (json!({}), None),
            (
                json!({"signout_path": "/out"}),
                Some(Tokens {
                    id: id.clone(),
                    ..none()
                }),
            ),
            (
                json!({"forward_id_token_header": "x-id"}),
                Some(Tokens { id, ..none() }),
            ),
            (
                json!({"forward_bearer_token": true}),
                Some(Tokens {
                    access: access.clone(),
                    access_expires,
                    ..none()
                }),
            ),
            (
                json!({"use_refresh_token": true}),
                Some(Tokens {
                    refresh: refresh.clone(),
                    access_expires,
                    ..none()
                }),
            ),
            (
                json!({"use_refresh_token": true, "forward_bearer_token": true}),
                Some(Tokens {
                    access,
                    refresh,
                    access_expires,
                    ..none()
                }),
            ),
        ] {
            let session = begun(fields.clone(), json!({})).unwrap();
            assert!(session.tokens == expected, "{fields}");
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

    fn of_refresh() -> Scheme {
        scheme(json!({
            "use_refresh_token": true, "forward_bearer_token": true,
            "session": {"max_duration": "1h"},
        }))
    }

    /// A session of ten minutes ago that is refreshed now.
    fn before() -> Session {
        let token = signed(&json!({"sid": "s-1", "auth_time": NOW - 700, "azp": CLIENT_ID}));
        let session = begin_with(&of_refresh(), &token).unwrap();
        Session {
            started: NOW - 600,
            seen: NOW - 60,
            expires: NOW + 10,
            ..session
        }
    }

    fn refreshed_with(grant: &Grant, token: Option<&str>) -> Result<Session, Refused> {
        let scheme = of_refresh();
        let verified = token.map(|token| verified(&scheme, token)).transpose()?;
        let token = token.zip(verified.as_ref());
        let token = token.map(|(text, verified)| IdToken { text, verified });
        refresh(before(), &scheme, token, grant, NOW).map_err(By)
    }

    fn refreshed(token: Option<&str>) -> Result<Session, Refused> {
        let grant = Grant {
            access_token: ACCESS.to_owned(),
            expires_in: Some(240),
            refresh_token: None,
        };
        refreshed_with(&grant, token)
    }

    #[test]
    fn s23_another_person_after_a_refresh() {
        use IdTokenError::*;
        for (members, expected) in [
            (json!({}), None),
            (json!({"nonce": "absent"}), None),
            (json!({"auth_time": NOW - 700}), None),
            (json!({"auth_time": (NOW - 700) as f64 + 0.5}), None),
            (json!({"sub": "kit"}), Some(By(OtherSubject))),
            (json!({"sub": "KIM"}), Some(By(OtherSubject))),
            (json!({"sub": "kim "}), Some(By(OtherSubject))),
            (json!({"sub": "absent"}), Some(By(Subject))),
            (json!({"auth_time": NOW - 5}), Some(By(OtherAuthTime))),
            (json!({"aud": "other"}), Some(Jwt(JwtError::Audience))),
            (
                json!({"iss": "https://other.example/"}),
                Some(Jwt(JwtError::Issuer)),
            ),
            (json!({"azp": "other"}), Some(By(AuthorizedParty))),
            (
                json!({"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}),
                Some(By(AccessTokenHash)),
            ),
            (json!({"exp": NOW}), Some(By(Expired))),
        ] {
            let refused = refreshed(Some(&signed(&members))).err();
            assert_eq!(refused, expected, "{members}");
        }
    }

    #[test]
    fn what_a_refresh_changes() {
        let with = signed(&json!({"exp": NOW + 900, "email": "new@a.example", "sid": "s-2"}));
        let renewed = refreshed(Some(&with)).unwrap();
        assert_eq!((renewed.id, renewed.subject.as_str()), ([7; 16], "kim"));
        assert_eq!((renewed.started, renewed.seen), (NOW - 600, NOW));
        assert_eq!(renewed.expires, NOW + 900);
        assert_eq!(renewed.auth_time, Some(NOW - 700));
        assert_eq!(renewed.sid.as_deref(), Some("s-2"));
        assert!(renewed.claims.contains("new@a.example"));
        let tokens = renewed.tokens.unwrap();
        assert_eq!(tokens.access.as_deref(), Some(ACCESS));
        assert_eq!(tokens.access_expires, Some(NOW + 240));
        assert_eq!(tokens.refresh.as_deref(), Some("r-1"), "it stays");

        let without = refreshed(None).unwrap();
        assert_eq!(without.claims, before().claims);
        assert_eq!(without.sid.as_deref(), Some("s-1"));
        // The access token's end, but never after max_duration.
        for (expires_in, refresh_token, expected) in [
            (Some(240), Some("r-2"), NOW + 240),
            (Some(5), None, NOW + 10),
            (Some(7200), None, NOW + 3000),
            (None, None, NOW + 10),
        ] {
            let grant = Grant {
                access_token: "new".to_owned(),
                expires_in,
                refresh_token: refresh_token.map(str::to_owned),
            };
            let renewed = refreshed_with(&grant, None).unwrap();
            assert_eq!(renewed.expires, expected, "{expires_in:?}");
            let tokens = renewed.tokens.unwrap();
            assert_eq!(tokens.access.as_deref(), Some("new"));
            let expected = refresh_token.unwrap_or("r-1");
            assert_eq!(tokens.refresh.as_deref(), Some(expected));
        }
    }
}
