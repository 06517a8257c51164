//! What a request has where a token was looked for, and where else one may be.
//!
//! Invariant: a hint decides nothing, and shows no value of the request.

use bearer_gate::http::credentials::Place;
use bearer_gate::http::request::Request;

use super::{NO_TOKEN, header, is_quote};

/// Schemes other than Bearer, as clients send them.
const SCHEMES: [&str; 8] = [
    "Basic",
    "Digest",
    "DPoP",
    "JWT",
    "Negotiate",
    "Token",
    "ApiKey",
    "AWS4-HMAC-SHA256",
];

/// Headers in which programs send tokens.
const HEADERS: [&str; 9] = [
    "authorization",
    "access-token",
    "token",
    "x-access-token",
    "x-amzn-oidc-data",
    "x-auth-token",
    "x-authorization",
    "x-forwarded-access-token",
    "x-token",
];

/// Parameters and cookies in which programs send tokens.
const NAMES: [&str; 6] = [
    "access_token",
    "accessToken",
    "bearer",
    "id_token",
    "jwt",
    "token",
];

/// What the request has in a place in which no token was found.
pub(crate) fn hint_at_place(request: &Request, place: &Place) -> Option<String> {
    let Place::Header { name, prefix } = place else {
        return None;
    };
    if prefix.is_empty() {
        return None;
    }
    let value = request.value(name)?.trim_ascii();
    let text = String::from_utf8_lossy(value);
    let word = prefix.trim();
    let is = |known: &str| {
        let start = text.get(..known.len());
        let rest = text.get(known.len()..).unwrap_or_default();
        start.is_some_and(|start| start.eq_ignore_ascii_case(known))
            && (rest.is_empty() || rest.starts_with(char::is_whitespace))
    };
    Some(if value.is_empty() {
        "present, but empty: the client has no token".to_owned()
    } else if text.eq_ignore_ascii_case(word) {
        format!("present, with nothing after {word}: the client has no token")
    } else if looks_like_a_token(value) {
        format!(
            "present, but does not begin with \"{prefix}\": it is a token alone. Send `{word} TOKEN`, or take it as it is (from_headers without value_prefix)"
        )
    } else if text.starts_with(is_quote) {
        format!("present, but in quotes: send `{word} TOKEN` without them")
    } else if NO_TOKEN.contains(&text.to_ascii_lowercase().as_str()) {
        format!(
            "present, but does not begin with \"{prefix}\": it is a word for nothing, for the client has no token"
        )
    } else if let Some(scheme) = SCHEMES.iter().find(|scheme| is(scheme)) {
        format!("present, but begins with {scheme}, not with \"{prefix}\"")
    } else {
        format!("present, but does not begin with \"{prefix}\"")
    })
}

/// Where a request without a token in its rule's places seems to have one.
pub(crate) fn hint_elsewhere(request: &Request) -> Option<String> {
    let known = |name: &[u8]| NAMES.into_iter().find(|known| known.as_bytes() == name);
    let seems = |name: &[u8], value: &[u8]| known(name).is_some() || looks_like_a_token(value);
    let shown = |name: &[u8], kind: &str| match known(name) {
        Some(name) => format!("{kind} {name}"),
        None => format!("a {kind}"),
    };
    let mut parameters = request.parameters();
    if let Some((name, _)) = parameters.find(|(name, value)| seems(name, value)) {
        return Some(format!(
            "the query has what may be a token ({}): it is looked for where from_params names it. Addresses are logged: a header is better",
            shown(&name, "parameter")
        ));
    }
    let mut cookies = request.cookies();
    if let Some((name, _)) = cookies.find(|(_, value)| looks_like_a_token(value)) {
        return Some(format!(
            "the request's cookies have what may be a token ({}): it is looked for where from_cookies names it",
            shown(name, "cookie")
        ));
    }
    let mut headers = HEADERS.into_iter();
    let name = headers.find(|name| {
        let mut values = request.values(name);
        values.any(|value| value.split(|byte| *byte == b' ').any(looks_like_a_token))
    })?;
    Some(format!(
        "header {name} has what may be a token: it is looked for where from_headers names it"
    ))
}

/// Whether a text begins with a JOSE header and has parts.
fn looks_like_a_token(text: &[u8]) -> bool {
    let parts = text.split(|byte| *byte == b'.').count();
    let header = || header(text).is_some_and(|header| header.get("alg").is_some());
    matches!(parts, 3 | 5) && header()
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    // {"alg":"RS256"}
    const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.e30.c2ln";

    fn request(headers: &[(&'static str, &str)]) -> Request {
        let headers = headers.iter().map(|(name, value)| {
            let value = value.replace("TOKEN", TOKEN);
            (Cow::Borrowed(*name), value.into_bytes())
        });
        Request::new(headers.collect())
    }

    #[test]
    fn says_what_is_in_place_of_a_token() {
        let table = [
            (
                "TOKEN",
                "present, but does not begin with \"Bearer \": it is a token alone",
            ),
            ("", "present, but empty"),
            ("Bearer", "with nothing after Bearer"),
            ("bearer", "with nothing after Bearer"),
            ("Basic dTpw", "begins with Basic, not with"),
            ("dpop TOKEN", "begins with DPoP, not with"),
            ("Token abc", "begins with Token, not with"),
            ("\"Bearer TOKEN\"", "in quotes"),
            ("undefined", "a word for nothing"),
            (
                "secret-1234",
                "present, but does not begin with \"Bearer \"",
            ),
        ];
        for (value, expected) in table {
            let request = request(&[("authorization", value)]);
            let hint = hint_at_place(&request, &Place::bearer()).unwrap();
            assert!(hint.contains(expected), "{value}: {hint}");
            for shown in ["c2ln", "secret", "dTpw", "abc"] {
                assert!(!hint.contains(shown), "{value}: {hint}");
            }
        }
        assert_eq!(
            hint_at_place(&request(&[("x", "y")]), &Place::bearer()),
            None
        );
    }

    #[test]
    fn says_where_a_token_may_be() {
        let table: [(&'static str, &str, &str); 7] = [
            (":path", "/a?access_token=x", "parameter access_token"),
            (":path", "/a?b=c&secret=TOKEN", "(a parameter)"),
            ("cookie", "a=b; secret=TOKEN", "(a cookie)"),
            ("cookie", "jwt=TOKEN", "(cookie jwt)"),
            ("x-access-token", "TOKEN", "header x-access-token"),
            ("x-auth-token", "Bearer TOKEN", "header x-auth-token"),
            ("authorization", "TOKEN", "header authorization"),
        ];
        for (name, value, expected) in table {
            let hint = hint_elsewhere(&request(&[(name, value)])).unwrap();
            assert!(hint.contains(expected), "{value}: {hint}");
            assert!(!hint.contains("c2ln") && !hint.contains("secret"), "{hint}");
        }
        for (name, value) in [(":path", "/a?b=c"), ("cookie", "a=b.c.d"), ("x-token", "a")] {
            assert_eq!(hint_elsewhere(&request(&[(name, value)])), None, "{value}");
        }
    }
}
