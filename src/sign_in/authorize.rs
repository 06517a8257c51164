//! The authorization request: the URL that a browser is sent to, or what is pushed before (RFC 6749
//! section 4.1.1, RFC 7636 section 4.3, RFC 8707 section 2.1, RFC 9126 section 2.1, OpenID Connect
//! Core 1.0 section 3.1.2.1).
//!
//! Invariant: only this module sets what ties the answer to this flow: `state`, `nonce`,
//! `code_challenge` and `redirect_uri`. A configuration with a parameter of such a name is refused.

use form_urlencoded::Serializer;

use crate::config::Scheme;
use crate::http::uri::Uri;
use crate::session::flow::Sent;

/// Why the person is sent to the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// To sign in.
    SignIn,
    /// To make an account (Initiating User Registration via OpenID Connect 1.0).
    SignUp,
}

/// The URL of the authorization request. The browser comes back to `redirect_uri`. Exactly the same
/// one must be sent to redeem the code.
#[must_use]
pub fn url(endpoint: &Uri, scheme: &Scheme, aim: Aim, redirect_uri: &str, sent: &Sent) -> String {
    let mut url = with_query(endpoint);
    url.append_pair("client_id", &scheme.client.id);
    append(&mut url, scheme, aim, redirect_uri, sent);
    url.finish()
}

/// The URL of an authorization request that was pushed (RFC 9126 section 4).
#[must_use]
pub fn url_of_pushed(endpoint: &Uri, scheme: &Scheme, request_uri: &str) -> String {
    with_query(endpoint)
        .append_pair("client_id", &scheme.client.id)
        .append_pair("request_uri", request_uri)
        .finish()
}

/// Adds the parameters of the request to a query or a form, all but `client_id`.
pub(super) fn append(
    form: &mut Serializer<'static, String>,
    scheme: &Scheme,
    aim: Aim,
    redirect_uri: &str,
    sent: &Sent,
) {
    let request = &scheme.authorization;
    form.append_pair("response_type", "code")
        .append_pair("redirect_uri", redirect_uri)
        .append_pair("scope", &request.scopes.join(" "))
        .append_pair("state", &sent.state)
        .append_pair("nonce", &sent.nonce)
        .append_pair("code_challenge", &sent.code_challenge)
        .append_pair("code_challenge_method", "S256");
    for resource in &request.resources {
        form.append_pair("resource", resource);
    }
    let of_aim: &[(String, String)] = match aim {
        Aim::SignIn => &[],
        Aim::SignUp => &request.sign_up_parameters,
    };
    let is_replaced = |name: &String| of_aim.iter().any(|(known, _)| known == name);
    let general = request.parameters.iter();
    form.extend_pairs(general.filter(|(name, _)| !is_replaced(name)));
    form.extend_pairs(of_aim);
}

/// Begins a URL with parameters. The endpoint's own query stays (RFC 6749 section 3.1).
pub(super) fn with_query(endpoint: &Uri) -> Serializer<'static, String> {
    let mut url = endpoint.to_string();
    let start = match url.find('?') {
        Some(at) => at.saturating_add(1),
        None => {
            url.push('?');
            url.len()
        }
    };
    Serializer::for_suffix(url, start)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::sign_in::fixtures::scheme;

    const REDIRECT_URI: &str = "https://app.example/oauth2/callback";

    fn asked(endpoint: &str, fields: Value, aim: Aim) -> String {
        let sent = Sent {
            state: "sealed-state_".to_owned(),
            nonce: "n-1".to_owned(),
            code_challenge: "c_1".to_owned(),
        };
        let endpoint = Uri::parse(endpoint).unwrap();
        url(&endpoint, &scheme(fields), aim, REDIRECT_URI, &sent)
    }

    /// Path and parameters as a provider reads them.
    fn read(url: &str) -> (String, Vec<(String, String)>) {
        let (page, query) = url.split_once('?').unwrap();
        let parameters = form_urlencoded::parse(query.as_bytes()).into_owned();
        (page.to_owned(), parameters.collect())
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    type Pairs<'p> = Vec<(&'p str, &'p str)>;

    const FLOW: [(&str, &str); 8] = [
        ("client_id", "web"),
        ("response_type", "code"),
        ("redirect_uri", REDIRECT_URI),
        ("scope", "openid profile email"),
        ("state", "sealed-state_"),
        ("nonce", "n-1"),
        ("code_challenge", "c_1"),
        ("code_challenge_method", "S256"),
    ];

    #[test]
    fn what_a_provider_is_asked() {
        let plain = || json!({});
        let with_sign_up = || {
            json!({
                "signup_path": "/sign-up",
                "resources": ["https://api.example/?a=b&c", "urn:x"],
                "authorization_params": {"ui_locales": "en de", "prompt": "login"},
            })
        };
        let screen = || {
            json!({
                "signup_path": "/sign-up",
                "authorization_params": {"audience": "api"},
                "signup_params": {"screen_hint": "signup"},
            })
        };
        let resources = [
            ("resource", "https://api.example/?a=b&c"),
            ("resource", "urn:x"),
        ];
        let locales = ("ui_locales", "en de");
        let table: [(Value, Aim, Pairs<'_>); 5] = [
            (plain(), Aim::SignIn, vec![]),
            (
                with_sign_up(),
                Aim::SignIn,
                [&resources[..], &[("prompt", "login"), locales]].concat(),
            ),
            (
                with_sign_up(),
                Aim::SignUp,
                [&resources[..], &[locales, ("prompt", "create")]].concat(),
            ),
            (screen(), Aim::SignIn, vec![("audience", "api")]),
            (
                screen(),
                Aim::SignUp,
                vec![("audience", "api"), ("screen_hint", "signup")],
            ),
        ];
        for (fields, aim, further) in table {
            let (page, parameters) = read(&asked("https://idp.example/auth", fields, aim));
            assert_eq!(page, "https://idp.example/auth");
            assert_eq!(parameters, pairs(&[&FLOW[..], &further].concat()));
        }
    }

    #[test]
    fn the_url_of_a_pushed_request_says_nothing_else() {
        let endpoint = Uri::parse("https://idp.example/auth?p=a").unwrap();
        let scheme = scheme(json!({"resources": ["urn:x"], "authorization_params": {"a": "b"}}));
        let (page, parameters) = read(&url_of_pushed(&endpoint, &scheme, "urn:x:1&state=y"));
        assert_eq!(page, "https://idp.example/auth");
        let expected = [
            ("p", "a"),
            ("client_id", "web"),
            ("request_uri", "urn:x:1&state=y"),
        ];
        assert_eq!(parameters, pairs(&expected));
    }

    #[test]
    fn the_query_of_an_endpoint_stays() {
        for (endpoint, expected) in [
            ("https://idp.example/auth", vec![]),
            ("https://idp.example/auth?", vec![]),
            ("https://idp.example/auth?p=a%26b", vec![("p", "a&b")]),
            ("https://idp.example?p=?", vec![("p", "?")]),
        ] {
            let (_, parameters) = read(&asked(endpoint, json!({}), Aim::SignIn));
            let expected = pairs(&[&expected[..], &FLOW].concat());
            assert_eq!(parameters, expected, "{endpoint}");
        }
    }

    #[test]
    fn the_url_can_stand_in_a_header() {
        let fields = json!({"authorization_params": {"claims": "{\"id_token\": null}"}});
        let url = asked("https://idp.example/auth", fields, Aim::SignIn);
        assert!(Uri::parse(&url).is_ok(), "{url}");
        assert!(
            url.ends_with("&claims=%7B%22id_token%22%3A+null%7D"),
            "{url}"
        );
    }
}
