//! What a session keeps of its tokens, and for how long.
//!
//! Invariant: a token is kept only where the configuration has a use for it.

use crate::config::{OwnPath, Scheme};
use crate::jose::claims::Claims;
use crate::jose::json::Element;
use crate::session::life::{Refreshing, Tokens};
use crate::sign_in::session_json::{quoted, written};
use crate::sign_in::token_reply::Grant;

/// A refresh is due when one part of so many of the tokens' life is left.
const PART: u64 = 5;
/// A refresh is due at most this long before the tokens end, in seconds.
const EARLY: u64 = 60;
/// How long tokens are good where the answer does not say so, in seconds.
const UNSAID: u64 = 300;

/// Claims about the token only. A session keeps them only where the configuration asks for them.
const OF_TOKEN: [&str; 4] = ["at_hash", "c_hash", "nonce", "s_hash"];

/// The claims that the configuration chose, or else all that are about the person: a JSON object.
pub(super) fn claims(scheme: &Scheme, said: &Claims) -> String {
    let mut kept = String::from("{");
    let mut keep = |name: &str, value: Element<'_>| {
        if kept.len() > 1 {
            kept.push(',');
        }
        kept.push_str(&quoted(name));
        kept.push(':');
        kept.push_str(&written(&value.to_value()));
    };
    match &scheme.session.claims {
        Some(chosen) => {
            for claim in chosen {
                if let Some(value) = said.get(&claim.claim) {
                    keep(&claim.name, value);
                }
            }
        }
        None => {
            for (name, value) in said.all().members() {
                if !OF_TOKEN.contains(&name) {
                    keep(name, value);
                }
            }
        }
    }
    kept.push('}');
    kept
}

/// When a session ends in any case, in Unix seconds. `by` is the end of its ID token. It counts
/// where the configuration has no idle timeout and nothing refreshes the session.
pub(super) fn end(scheme: &Scheme, started: u64, by: Option<u64>) -> u64 {
    let rules = &scheme.session;
    let latest = rules.latest(started);
    match (rules.idle_timeout, by) {
        (None, Some(by)) => latest.min(by),
        _ => latest,
    }
}

/// When a session must be refreshed for the `number`th time, counted from 0, if it has a refresh
/// token. It began with this nonce, which is hashed. Its tokens came at `at`, in Unix seconds. The session depends on the access token.
/// Without an idle timeout, or where the end of the access token is unknown, it also depends on the
/// ID token that ends at `id_expires`, if one came.
pub(super) fn refreshing(
    scheme: &Scheme,
    tokens: Option<&Tokens>,
    (number, nonce): (u64, [u8; 16]),
    id_expires: Option<u64>,
    at: u64,
) -> Option<Refreshing> {
    let tokens = tokens.filter(|tokens| tokens.refresh.is_some())?;
    let of_access = tokens.access_expires;
    let counts = scheme.session.idle_timeout.is_none() || of_access.is_none();
    let ends = [of_access, id_expires.filter(|_| counts)];
    let good_until = ends.into_iter().flatten().min();
    let good_until = good_until.unwrap_or(at.saturating_add(UNSAID));
    let ahead = (good_until.saturating_sub(at) / PART).min(EARLY);
    Some(Refreshing {
        number,
        due: good_until.saturating_sub(ahead),
        good_until,
        nonce,
    })
}

/// The tokens that the configuration has a use for. An earlier token stays where no newer one came.
pub(super) fn tokens(
    scheme: &Scheme,
    before: Option<&Tokens>,
    grant: &Grant,
    id_token: Option<&str>,
    now: u64,
) -> Option<Tokens> {
    // At sign-out it tells the provider which session ends.
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
    use serde_json::{Value, json};

    use super::*;
    use crate::sign_in::fixtures::{
        ACCESS, AT_HASH, CLIENT_ID, ISSUER, NONCE, NOW, begun, scheme, signed,
    };

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
            let uses_it = fields["use_refresh_token"] == true;
            assert_eq!(session.refreshing.is_some(), uses_it, "{fields}");
        }
    }

    #[test]
    fn when_a_session_is_refreshed() {
        let (idle, without) = (json!({"idle_timeout": "600s"}), json!({}));
        let in_hours = NOW + 7200;
        for (rules, access, id, due, good_until) in [
            // The token that ends first counts.
            (&without, Some(NOW + 300), Some(in_hours), 240, 300),
            (&without, Some(in_hours), Some(NOW + 300), 240, 300),
            (&without, None, Some(in_hours), 7140, 7200),
            (&without, Some(in_hours), None, 7140, 7200),
            // The idle timeout replaces the end of the ID token.
            (&idle, Some(in_hours), Some(NOW + 300), 7140, 7200),
            (&idle, None, Some(NOW + 300), 240, 300),
            (&idle, None, None, 240, 300),
            // Tokens with a short life.
            (&without, Some(NOW + 10), None, 8, 10),
            (&without, Some(NOW), None, 0, 0),
        ] {
            let scheme = scheme(json!({"use_refresh_token": true, "session": rules}));
            let tokens = Tokens {
                refresh: Some("r".to_owned()),
                access_expires: access,
                ..Tokens::default()
            };
            let expected = Refreshing {
                number: 3,
                due: NOW + due,
                good_until: NOW + good_until,
                nonce: [9; 16],
            };
            let nth = (3, [9; 16]);
            let found = refreshing(&scheme, Some(&tokens), nth, id, NOW);
            assert_eq!(found, Some(expected), "{rules} {access:?} {id:?}");
            assert_eq!(
                refreshing(&scheme, Some(&Tokens::default()), nth, id, NOW),
                None
            );
        }
    }
}
