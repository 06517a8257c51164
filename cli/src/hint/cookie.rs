//! Why a session's cookie does not open, as far as it can be told, and what a pasted text is in place
//! of a line of cookies.
//!
//! Invariant: a hint decides nothing. It may try what the decision did not, and shows nothing of
//! what is in a cookie that the decision refused.

use bearer_gate::config::{Scheme, SessionStore, SignIn};
use bearer_gate::jose::base64url;
use bearer_gate::session::flow::Flow;
use bearer_gate::session::life::{Alive, NoSession, Session};
use bearer_gate::session::seal::{KeyId, Keyring, VERSION};

use crate::plugin::NOT_SET;

/// How a cookie is opened.
type Open = fn(&Keyring, &str, &str, &[u8], u64) -> Result<Alive, NoSession>;

/// What may be wrong with a value that does not open for this scheme and host.
pub(crate) fn hint_at_value(
    value: &[u8],
    (scheme, host): (&Scheme, &str),
    sign_in: &SignIn,
    keyring: &Keyring,
) -> Option<String> {
    let sealed = base64url::decode(value)?;
    let version = *sealed.first()?;
    if version != VERSION {
        return Some(format!(
            "it begins with {version}, and what this version of the filter seals begins with {VERSION}: another version made it, or it is altered"
        ));
    }
    let key = KeyId::of_sealed(&sealed)?;
    let known = keyring.key_ids();
    if !known.contains(&key) {
        return Some(hint_at_key(key, &known, sign_in));
    }
    let opens = |open: Open, scheme: &Scheme, host: &str| {
        let opened = open(keyring, &scheme.scope, host, value, 0);
        !matches!(opened, Err(NoSession::Broken))
    };
    let [own, other] = match scheme.session.store {
        SessionStore::Cookie => [Session::open, Session::open_ticket as Open],
        SessionStore::Shared => [Session::open_ticket, Session::open as Open],
    };
    if opens(other, scheme, host) {
        let hint = match scheme.session.store {
            SessionStore::Cookie => {
                "it is the ticket of a session in the shared store: session.store was SHARED_STORE"
            }
            SessionStore::Shared => "it is a whole session: session.store was COOKIE",
        };
        return Some(hint.to_owned());
    }
    let is_session = |scheme: &Scheme, host: &str| opens(own, scheme, host);
    let mut hosts: Vec<&str> = vec![host];
    hosts.extend(sign_in.sites.single().iter().map(|site| site.host()));
    let domains = sign_in.schemes.iter();
    hosts.extend(domains.filter_map(|scheme| scheme.cookie.domain.as_deref()));
    for other in &sign_in.schemes {
        for at in &hosts {
            if is_session(other, at) {
                return Some(match (other.name == scheme.name, *at == host) {
                    (true, _) => format!(
                        "it was sealed for the host {at}, and is read for {host}: a cookie is of one host"
                    ),
                    (false, true) => format!(
                        "it was sealed for the scheme {}, under its cookie's name it would open",
                        other.name
                    ),
                    (false, false) => format!(
                        "it was sealed for the scheme {} and the host {at}",
                        other.name
                    ),
                });
            }
        }
        if Flow::open(keyring, &other.scope, value).is_ok() {
            let name = &other.name;
            return Some(format!(
                "it is a state, of a sign-in by {name}, and no session: a state belongs into the address of a callback"
            ));
        }
    }
    Some("the key is there, so it was altered, cut or put together wrong on its way, or is of a host that nobody lists, or of the scheme with another issuer or client_id".to_owned())
}

fn hint_at_key(key: KeyId, known: &[KeyId], sign_in: &SignIn) -> String {
    let known: Vec<String> = known.iter().map(KeyId::to_string).collect();
    let known = known.join(", ");
    let missing: Vec<&str> = sign_in
        .cookie_keys
        .iter()
        .filter_map(|key| key.text().strip_suffix(NOT_SET))
        .collect();
    if !missing.is_empty() {
        return format!(
            "the key that sealed it has the id {key}; {} is not set here: run the tool with the gateway's cookie_keys in its environment",
            missing.join(", ")
        );
    }
    if sign_in.cookie_keys.is_empty() {
        return format!(
            "the key that sealed it has the id {key}; without cookie_keys each start of a gateway draws its own, so no cookie opens here"
        );
    }
    format!(
        "the key that sealed it has the id {key}, and cookie_keys have {known}: it was removed, or another gateway has other keys"
    )
}

/// What a text is that was given for a line of cookies, and is none.
pub(crate) fn hint_at_line(line: &str) -> Option<&'static str> {
    let lower = line.trim().to_ascii_lowercase();
    let is_set = lower.starts_with("set-cookie:")
        || ["; path=", "; httponly", "; samesite="]
            .iter()
            .any(|part| lower.contains(part));
    if is_set {
        return Some(
            "it is a line of Set-Cookie: give its name=value, which is what stands before the first semicolon",
        );
    }
    if lower.starts_with("http://") || lower.starts_with("https://") {
        return Some("it is an address: give that with --path");
    }
    if !line.contains('=') {
        return Some(
            "it is a value without a name: give name=value, as a browser's Cookie header has it",
        );
    }
    None
}

/// The name that a browser sends, where a line has ours without its prefix.
pub(crate) fn hint_at_names(line: &str, sign_in: &SignIn) -> Option<String> {
    let names = line.split(';').filter_map(|pair| pair.split_once('='));
    let names: Vec<&str> = names.map(|(name, _)| name.trim()).collect();
    let scheme = sign_in.schemes.iter().find(|scheme| {
        let own = scheme.session_cookie.name();
        // What follows `__Host-Http-bg` or `__Secure-bg2`.
        let bare = own.find("session_").and_then(|at| own.get(at..));
        let bare = bare.unwrap_or(own);
        let is_near = |name: &&str| {
            let stem = name.split('.').next().unwrap_or_default();
            stem.ends_with(bare) && stem != own
        };
        names.iter().any(is_near) && !names.iter().any(|name| name.starts_with(own))
    })?;
    let own = scheme.session_cookie.name();
    Some(format!(
        "the session's cookie is called {own}, and another spelling of it is none"
    ))
}

#[cfg(test)]
mod tests {
    use super::hint_at_line;

    #[test]
    fn what_is_no_line_of_cookies() {
        let table = [
            ("Set-Cookie: a=b", Some("Set-Cookie")),
            ("a=b; Path=/; HttpOnly", Some("Set-Cookie")),
            ("https://app.example/cb?code=1&state=2", Some("--path")),
            ("AQIDBA", Some("without a name")),
            ("a=b", None),
            ("a=b; c=d", None),
        ];
        for (line, expected) in table {
            let hint = hint_at_line(line);
            let fits = match expected {
                Some(part) => hint.is_some_and(|hint| hint.contains(part)),
                None => hint.is_none(),
            };
            assert!(fits, "{line}: {hint:?}");
        }
    }
}
