//! What a session keeps of the tokens that it is made of, and for how long.
//!
//! Invariant: a token is kept where the configuration has a use for it, and nowhere else.

use crate::config::{OwnPath, Scheme};
use crate::jose::claims::Claims;
use crate::jose::json::Element;
use crate::session::life::Tokens;
use crate::sign_in::session_json::{quoted, written};
use crate::sign_in::token_reply::Grant;

/// Claims about the token alone, which no session keeps unasked.
const OF_TOKEN: [&str; 4] = ["at_hash", "c_hash", "nonce", "s_hash"];

/// The claims that the configuration chose, or all that are about the person: a JSON object.
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

/// When a session ends, whatever is heard of it, in Unix seconds. `by` is when its tokens end,
/// which counts where the configuration has no idle timeout.
pub(super) fn end(scheme: &Scheme, started: u64, by: Option<u64>) -> u64 {
    let rules = &scheme.session;
    let latest = started.saturating_add(rules.max_duration.as_secs());
    match (rules.idle_timeout, by) {
        (None, Some(by)) => latest.min(by),
        _ => latest,
    }
}

/// The tokens that the configuration has a use for; those from before stay where there is no newer
/// one.
pub(super) fn tokens(
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
    use serde_json::{Value, json};

    use super::*;
    use crate::sign_in::fixtures::{ACCESS, AT_HASH, CLIENT_ID, ISSUER, NONCE, NOW, begun, signed};

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
}
