//! Where a browser is sent to sign out at the provider, too (OpenID Connect RP-Initiated Logout 1.0
//! section 2).

use super::authorize::with_query;
use crate::config::Scheme;
use crate::http::uri::Uri;

/// The longest ID token that goes into the URL, in octets. Servers accept at least 8 KiB in the
/// first line of a request (RFC 9112 section 3 recommends 8000), and the rest of the URL needs some
/// of it.
pub const LONGEST_HINT: usize = 6 * 1024;

/// The URL of the logout request. The session's ID token is the hint that says which session ends,
/// if it is there and is not too long. Without it the provider may ask the person. The browser
/// comes back to `return_to`, which is written as the provider knows it. `state` comes back with
/// it. A provider with other parameters gets those of the configuration.
#[must_use]
pub fn url(
    endpoint: &Uri,
    scheme: &Scheme,
    id_token: Option<&str>,
    return_to: &str,
    state: Option<&str>,
) -> String {
    let mut url = with_query(endpoint);
    if let Some(own) = &scheme.endpoints.end_session_parameters {
        url.extend_pairs(own);
        return url.finish();
    }
    if let Some(hint) = id_token.filter(|hint| hint.len() <= LONGEST_HINT) {
        url.append_pair("id_token_hint", hint);
    }
    // It is sent with the hint, too: the token may be encrypted, or may have expired long ago.
    url.append_pair("client_id", &scheme.client.id)
        .append_pair("post_logout_redirect_uri", return_to);
    if let Some(state) = state {
        url.append_pair("state", state);
    }
    url.finish()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sign_in::fixtures::scheme;

    #[test]
    fn what_the_provider_is_told() {
        let longest = "x".repeat(LONGEST_HINT);
        let too_long = "x".repeat(LONGEST_HINT + 1);
        let back = ("post_logout_redirect_uri", "https://app.example/?a=b&c");
        let client = ("client_id", "web");
        for (endpoint, hint, state, expected) in [
            ("https://idp.example/end", None, None, vec![client, back]),
            (
                "https://idp.example/end",
                Some("h.p.s"),
                Some("s 1"),
                vec![("id_token_hint", "h.p.s"), client, back, ("state", "s 1")],
            ),
            (
                "https://idp.example/end?p=1",
                Some(&longest),
                None,
                vec![("p", "1"), ("id_token_hint", &longest), client, back],
            ),
            (
                "https://idp.example/end",
                Some(&too_long),
                None,
                vec![client, back],
            ),
        ] {
            let at = Uri::parse(endpoint).unwrap();
            let url = url(&at, &scheme(json!({})), hint, back.1, state);
            let (page, query) = url.split_once('?').unwrap();
            assert_eq!(page, "https://idp.example/end");
            let parameters = form_urlencoded::parse(query.as_bytes()).into_owned();
            let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
            let expected: Vec<_> = expected.into_iter().map(owned).collect();
            assert_eq!(parameters.collect::<Vec<_>>(), expected);
            assert!(Uri::parse(&url).is_ok());
        }
    }

    #[test]
    fn a_provider_with_parameters_of_its_own() {
        let scheme = scheme(json!({
            "signout_path": "/out",
            "end_session_params": {"client_id": "web", "logout_uri": "https://app.example/?a&b"},
        }));
        for (endpoint, start) in [
            ("https://idp.example/logout", "https://idp.example/logout?"),
            ("https://idp.example/v2?p=1", "https://idp.example/v2?p=1&"),
        ] {
            let at = Uri::parse(endpoint).unwrap();
            let own = "client_id=web&logout_uri=https%3A%2F%2Fapp.example%2F%3Fa%26b";
            assert_eq!(
                url(
                    &at,
                    &scheme,
                    Some("h.p.s"),
                    "https://app.example/",
                    Some("s")
                ),
                format!("{start}{own}")
            );
        }
    }
}
