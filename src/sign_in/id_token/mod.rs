//! The session that an ID token makes, and how a refresh changes it (OpenID Connect Core 1.0
//! sections 3.1.3.7 and 12.2).
//!
//! Invariant: a [`Session`] begins only with an ID token that is verified, is for this client, and
//! has the nonce of the browser's own flow. A session never becomes another person's.

mod kept;
mod said;

use super::token_reply::Grant;
use crate::config::Scheme;
use crate::jose::jwt::Verified;
use crate::session::life::Session;

use said::{Said, hash_of_nonce};

pub use said::IdTokenError;

/// An ID token that came with others.
#[derive(Clone, Copy)]
pub struct IdToken<'t> {
    /// As the provider sent it.
    pub text: &'t str,
    /// The same, verified with [`Scheme::id_token`].
    pub verified: &'t Verified<'t>,
}

/// Begins a session with the tokens for a code. `nonce` is the nonce of the flow, `id` is random,
/// and `now` is in Unix seconds.
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
    let said = Said::of_code(scheme, token.verified, grant, nonce, now)?;
    let rules = &scheme.session;
    let tokens = kept::tokens(scheme, None, grant, Some(token.text), now);
    let nth = (0, hash_of_nonce(nonce));
    let refreshing = kept::refreshing(scheme, tokens.as_ref(), nth, Some(said.expires), now);
    let by = refreshing.is_none().then_some(said.expires);
    let session = Session {
        id,
        scope: scheme.scope.clone(),
        issuer: said.issuer,
        subject: said.subject,
        sid: said.sid,
        first_sid: None,
        auth_time: said.auth_time,
        acr: said.acr,
        started: now,
        issued: said.issued,
        seen: now,
        idle: rules.idle_timeout.map(|idle| idle.as_secs()),
        expires: kept::end(scheme, now, by),
        claims: kept::claims(scheme, token.verified.claims()),
        tokens,
        refreshing,
    };
    vet(scheme, said.expires, now)?;
    session.vet(now).map_err(|_| IdTokenError::Expired)?;
    Ok(session)
}

/// Refuses an ID token that has ended, where the session ends with it. Elsewhere an ID token passes
/// for a while after its end, because clocks differ.
fn vet(scheme: &Scheme, expires: u64, now: u64) -> Result<(), IdTokenError> {
    if scheme.session.idle_timeout.is_none() && expires <= now {
        return Err(IdTokenError::Expired);
    }
    Ok(())
}

/// The session with the tokens for its refresh token. They came at `at`, and the decision is made
/// at `now`, both in Unix seconds. Where there is no new ID token, what the old one said stays. The
/// session's absolute end stays in any case.
///
/// # Errors
/// [`IdTokenError`]: the session must be ended.
pub fn refresh(
    session: Session,
    scheme: &Scheme,
    token: Option<IdToken<'_>>,
    grant: &Grant,
    (at, now): (u64, u64),
) -> Result<Session, IdTokenError> {
    let before = session.refreshing;
    let nonce = before.map(|before| before.nonce);
    let said = token.map(|token| Said::of_refresh(scheme, token.verified, grant, nonce));
    let said = said.transpose()?;
    let id_expires = said.as_ref().map(|said| said.expires);
    let text = token.map(|token| token.text);
    let tokens = kept::tokens(scheme, session.tokens.as_ref(), grant, text, at);
    let number = before.map_or(0, |before| before.number).saturating_add(1);
    let nth = (number, nonce.unwrap_or_default());
    let renewed = Session {
        refreshing: kept::refreshing(scheme, tokens.as_ref(), nth, id_expires, at),
        tokens,
        ..session
    };
    let renewed = match token.zip(said) {
        None => renewed,
        Some((token, said)) => {
            // A `sub` is a person's at one issuer alone.
            if said.subject != renewed.subject || said.issuer != renewed.issuer {
                return Err(IdTokenError::OtherSubject);
            }
            let auth_times = renewed.auth_time.zip(said.auth_time);
            if auth_times.is_some_and(|(old, new)| old != new) {
                return Err(IdTokenError::OtherAuthTime);
            }
            vet(scheme, said.expires, at)?;
            // The provider may end the session that it began with, or the one that it names now.
            let is_other = said.sid.is_some() && said.sid != renewed.sid;
            let replaced = renewed.sid.clone().filter(|_| is_other);
            Session {
                first_sid: renewed.first_sid.or(replaced),
                sid: said.sid.or(renewed.sid),
                auth_time: renewed.auth_time.or(said.auth_time),
                acr: said.acr.or(renewed.acr),
                claims: kept::claims(scheme, token.verified.claims()),
                ..renewed
            }
        }
    };
    let renewed = renewed.seen_at(now);
    renewed.vet(now).map_err(|_| IdTokenError::Expired)?;
    Ok(renewed)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::ended::{Known, Mark};
    use crate::jose::JwtError;
    use crate::session::life::NoSession;
    use crate::sign_in::fixtures::Refused::{self, Claims as By, Jwt};
    use crate::sign_in::fixtures::{
        ACCESS, AT_HASH, CLIENT_ID, ISSUER, NONCE, NOW, begin_with, begun, grant, scheme, signed,
        verified,
    };

    #[test]
    fn what_a_session_begins_with() {
        let session = begun(
            json!({"session": {"idle_timeout": "1800s", "max_duration": "28800s"}}),
            json!({"sid": "s-1", "auth_time": 1_799_999_000.7, "acr": "2", "at_hash": AT_HASH}),
        );
        let session = session.unwrap();
        assert_eq!(session.id, [7; 16]);
        assert!(session.scope.starts_with("staff "), "{}", session.scope);
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
            (json!({"max_duration": "3600s"}), NOW + 300, NOW + 300),
            (json!({"max_duration": "3600s"}), NOW + 2 * hour, NOW + hour),
            (
                json!({"idle_timeout": "60s", "max_duration": "3600s"}),
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

    fn of_refresh() -> Scheme {
        scheme(json!({
            "use_refresh_token": true, "forward_bearer_token": true,
            "session": {"max_duration": "3600s"},
        }))
    }

    /// A session that began ten minutes ago and is refreshed now.
    fn before() -> Session {
        before_with(&json!({"sid": "s-1", "auth_time": NOW - 700, "azp": CLIENT_ID}))
    }

    fn before_with(members: &Value) -> Session {
        let session = begin_with(&of_refresh(), &signed(members)).unwrap();
        Session {
            started: NOW - 600,
            seen: NOW - 60,
            expires: NOW + 3000,
            ..session
        }
    }

    fn refreshed_with(grant: &Grant, token: Option<&str>) -> Result<Session, Refused> {
        refreshed_from(before(), grant, token)
    }

    fn refreshed_from(
        before: Session,
        grant: &Grant,
        token: Option<&str>,
    ) -> Result<Session, Refused> {
        let scheme = of_refresh();
        let verified = token.map(|token| verified(&scheme, token)).transpose()?;
        let token = token.zip(verified.as_ref());
        let token = token.map(|(text, verified)| IdToken { text, verified });
        refresh(before, &scheme, token, grant, (NOW - 20, NOW)).map_err(By)
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
            (json!({"nonce": "nonce-of-another-flow"}), Some(By(Nonce))),
            (json!({"nonce": ""}), Some(By(Nonce))),
            (json!({"nonce": null}), Some(By(Nonce))),
            (json!({"nonce": [NONCE]}), Some(By(Nonce))),
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
            (json!({"exp": NOW - 20}), Some(By(Expired))),
        ] {
            let refused = refreshed(Some(&signed(&members))).err();
            assert_eq!(refused, expected, "{members}");
        }
    }

    /// What the provider says of its session, at the sign-in and then at each refresh; and which `sid`
    /// ends the session.
    #[test]
    fn s24_a_sid_that_changes_at_a_refresh() {
        let absent = json!("absent");
        for (said, ends, does_not) in [
            (vec![json!("a"), absent.clone()], vec!["a"], vec![]),
            (vec![json!("a"), json!("a")], vec!["a"], vec![]),
            (vec![absent.clone(), json!("b")], vec!["b"], vec![]),
            (vec![json!("a"), json!("b")], vec!["a", "b"], vec!["c"]),
            (
                vec![json!("a"), json!("b"), absent.clone()],
                vec!["a", "b"],
                vec![],
            ),
            // The one that it began with, and the last.
            (
                vec![json!("a"), json!("b"), json!("c")],
                vec!["a", "c"],
                vec!["b"],
            ),
            (
                vec![json!("a"), json!("b"), json!("a")],
                vec!["a"],
                vec!["b"],
            ),
        ] {
            let (first, then) = said.split_first().unwrap();
            let mut session = before_with(&json!({"sid": first}));
            for sid in then {
                let token = signed(&json!({"sid": sid}));
                session = refreshed_from(session, &grant(), Some(&token)).unwrap();
            }
            let known = Known::new(&session, ISSUER);
            for sid in &ends {
                assert!(known.has(&Mark::of_sid(ISSUER, sid)), "{said:?} {sid}");
            }
            for sid in does_not {
                assert!(!known.has(&Mark::of_sid(ISSUER, sid)), "{said:?} {sid}");
            }
        }
    }

    #[test]
    fn what_a_refresh_changes() {
        let with = signed(&json!({"exp": NOW + 900, "email": "new@a.example", "sid": "s-2"}));
        let renewed = refreshed(Some(&with)).unwrap();
        assert_eq!((renewed.id, renewed.subject.as_str()), ([7; 16], "kim"));
        assert_eq!((renewed.started, renewed.seen), (NOW - 600, NOW));
        assert_eq!(renewed.expires, NOW + 3000);
        // It came 20 seconds ago.
        let refreshing = renewed.refreshing.unwrap();
        assert_eq!((refreshing.number, refreshing.good_until), (1, NOW + 220));
        assert_eq!(renewed.auth_time, Some(NOW - 700));
        assert_eq!(renewed.sid.as_deref(), Some("s-2"));
        assert!(renewed.claims.contains("new@a.example"));
        let tokens = renewed.tokens.unwrap();
        assert_eq!(tokens.access.as_deref(), Some(ACCESS));
        assert_eq!(tokens.access_expires, Some(NOW + 220));
        assert_eq!(tokens.refresh.as_deref(), Some("r-1"), "it stays");

        let without = refreshed(None).unwrap();
        assert_eq!(without.claims, before().claims);
        assert_eq!(without.sid.as_deref(), Some("s-1"));
        // The access token's end changes; the session's end stays.
        for (expires_in, refresh_token, expected) in [
            (Some(240), Some("r-2"), NOW + 220),
            (Some(5), None, NOW - 15),
            (Some(7200), None, NOW + 7180),
            (None, None, NOW + 280),
        ] {
            let grant = Grant {
                access_token: "new".to_owned(),
                expires_in,
                refresh_token: refresh_token.map(str::to_owned),
            };
            let renewed = refreshed_with(&grant, None).unwrap();
            assert_eq!(renewed.expires, NOW + 3000, "{expires_in:?}");
            let good_until = renewed.refreshing.unwrap().good_until;
            assert_eq!(good_until, expected, "{expires_in:?}");
            let tokens = renewed.tokens.unwrap();
            assert_eq!(tokens.access.as_deref(), Some("new"));
            let expected = refresh_token.unwrap_or("r-1");
            assert_eq!(tokens.refresh.as_deref(), Some(expected));
        }
    }
}
