//! Sign-in: what is accepted and what it comes to (here), and what is refused in which words (the
//! modules).

use std::time::Duration;

use bearer_gate::config::{
    Access, ClientAuthentication, Config, OwnPath, Reads, Requirement, SameSite, Scheme, SignIn,
    Unauthenticated,
};
use bearer_gate::http::uri::Uri;
use bearer_gate::jose::token_type::TokenType;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{merge, with_discovery, with_provider};

mod clients;
mod refusals;
mod requirements;
mod sessions;
mod store;

const KEY_1: &str = "first-key-5cc1e2ef0f4d43d9a1d5f3c5";
const KEY_2: &str = "second-key-9b6a4d1c0b8e4f7d8a1e7c";
const CLIENT_SECRET: &str = "client-secret-e1b7";

fn environment(name: &str) -> Option<String> {
    let value = match name {
        "KEY_1" => KEY_1,
        "KEY_2" => KEY_2,
        "CLIENT_SECRET" => CLIENT_SECRET,
        "PRIVATE_KEY" => include_str!("../../fixtures/rsa2048-a.pem"),
        "SHORT" => "0123456789abcdef0123456789abcde",
        "EMPTY" => "",
        "FROM_A_FILE" => "0123456789abcdef0123456789abcdef\n",
        "NO_ASCII" => "gehe\u{ed}mnis",
        _ => return None,
    };
    Some(value.to_owned())
}

/// A scheme that has what is required, and `fields` besides.
fn scheme(fields: Value) -> Value {
    let mut scheme = json!({
        "provider_name": "p",
        "credentials": {"client_id": "web", "token_secret": {"environment_variable": "CLIENT_SECRET"}},
        "token_endpoint": {"cluster": "idp", "timeout": "5s"},
        "callback_path": "/oauth2/callback",
    });
    merge(&mut scheme, fields);
    scheme
}

/// A configuration with these schemes of a provider that is discovered, and `fields` in `sign_in`.
fn with_schemes(schemes: Value, fields: Value) -> Value {
    let mut sign_in = json!({
        "cookie_keys": [{"environment_variable": "KEY_1"}],
        "allowed_redirect_domains": ["app.example.com"],
        "schemes": schemes,
    });
    merge(&mut sign_in, fields);
    let mut config = with_discovery(json!({}));
    config["sign_in"] = sign_in;
    config
}

fn with_sign_in(fields: Value) -> Value {
    with_schemes(json!({"staff": scheme(json!({}))}), fields)
}

fn with_scheme(fields: Value) -> Value {
    with_schemes(json!({"staff": scheme(fields)}), json!({}))
}

/// One whose only rule has these fields beside its `match`.
fn with_rule_of(fields: Value) -> Value {
    let mut rule = json!({"match": {"prefix": "/"}});
    merge(&mut rule, fields);
    let mut config = with_schemes(
        json!({
            "staff": scheme(json!({"signin_path": "/staff/in"})),
            "guests": scheme(json!({"callback_path": "/guests", "signin_path": "/guests/in"})),
        }),
        json!({}),
    );
    config["rules"] = json!([rule]);
    config
}

fn parse(config: &Value) -> Result<Config, String> {
    Config::parse_in(config.to_string().as_bytes(), &environment).map_err(|error| error.to_string())
}

fn refused(config: &Value) -> String {
    match parse(config) {
        Ok(_) => "accepted".to_owned(),
        Err(error) => error,
    }
}

fn sign_in(config: &Value) -> SignIn {
    let parsed = parse(config).unwrap_or_else(|error| panic!("{config}: {error}"));
    let Some(sign_in) = parsed.sign_in else {
        panic!("{config}: without sign_in");
    };
    sign_in
}

fn only_scheme(fields: Value) -> Scheme {
    let schemes = sign_in(&with_scheme(fields)).schemes;
    schemes.iter().as_slice()[0].clone()
}

/// Each of these fields of `sign_in` is refused in these words, below `sign_in`.
fn refuses(table: &[(Value, &str)]) {
    for (fields, expected) in table {
        let config = with_sign_in(fields.clone());
        assert_eq!(refused(&config), format!("sign_in.{expected}"), "{fields}");
    }
}

/// Each of these fields of a scheme is refused in these words, below the scheme.
fn refuses_in_scheme(table: &[(Value, &str)]) {
    for (fields, expected) in table {
        let expected = match expected.strip_prefix(": ") {
            Some(problem) => format!("sign_in.schemes.staff: {problem}"),
            None => format!("sign_in.schemes.staff.{expected}"),
        };
        let config = with_scheme(fields.clone());
        assert_eq!(refused(&config), expected, "{fields}");
    }
}

#[test]
fn what_comes_later_is_refused_by_name() {
    let strict = with_scheme(json!({"cookie": {"same_site": "STRICT"}}));
    assert_eq!(
        refused(&strict),
        "sign_in.schemes.staff.cookie.same_site: STRICT is not supported yet: a browser comes back from the provider's site without the cookie"
    );
    for uses_it in [false, true] {
        let scheme = only_scheme(json!({"use_refresh_token": uses_it}));
        assert_eq!(scheme.use_refresh_token, uses_it);
    }
}

#[test]
fn people_choose_among_schemes_that_have_links() {
    let either = json!({"requires": {"requires_any": {"requirements": [
        {"session": "staff"}, {"session": "guests"},
    ]}}});
    assert_eq!(refused(&with_rule_of(either.clone())), "accepted");
    let mut without = with_rule_of(either);
    let staff = &mut without["sign_in"]["schemes"]["staff"];
    staff.as_object_mut().unwrap().remove("signin_path");
    assert_eq!(
        refused(&without),
        "rules[0]: takes sessions of several schemes, and staff has no signin_path: people choose by it"
    );
}

#[test]
fn defaults() {
    let config = parse(&with_sign_in(json!({"cookie_keys": null}))).unwrap();
    let sign_in = config.sign_in.as_ref().unwrap();
    assert!(sign_in.cookie_keys.is_empty());
    let scheme = &sign_in.schemes.iter().as_slice()[0];
    assert_eq!(scheme.name, "staff");
    assert_eq!(scheme.display_name, "staff");
    assert_eq!(config.providers[scheme.provider].name, "p");
    assert_eq!(scheme.client.id, "web");
    assert!(matches!(
        &scheme.client.authentication,
        ClientAuthentication::BasicAuth(secret)
            if secret.text() == CLIENT_SECRET && !secret.is_inline()
    ));
    assert_eq!(
        scheme.paths,
        [(OwnPath::Callback, "/oauth2/callback".to_owned())]
    );
    assert_eq!(scheme.redirect_uri, None);
    assert_eq!(scheme.endpoints.authorization, None);
    assert_eq!(scheme.endpoints.token.uri, None);
    assert_eq!(scheme.endpoints.token.cluster, "idp");
    assert_eq!(scheme.endpoints.token.timeout, Duration::from_secs(5));
    assert_eq!(scheme.endpoints.revocation, None);
    assert_eq!(scheme.endpoints.end_session, None);
    assert_eq!(scheme.endpoints.end_session_parameters, None);
    assert_eq!(scheme.post_logout_redirect_path, "/");
    assert_eq!(scheme.error_redirect_path, None);
    assert_eq!(scheme.authorization.scopes, ["openid", "profile", "email"]);
    assert!(scheme.authorization.resources.is_empty());
    assert!(scheme.authorization.parameters.is_empty());
    assert_eq!(
        scheme.authorization.sign_up_parameters,
        [("prompt".to_owned(), "create".to_owned())]
    );
    assert!(!scheme.use_refresh_token && !scheme.forward_bearer_token);
    assert_eq!(scheme.forward_id_token_header, None);
    assert_eq!(scheme.session.idle_timeout, None);
    assert_eq!(scheme.session.max_duration, Duration::from_secs(28_800));
    assert!(!scheme.session.persistent);
    assert_eq!(scheme.session.claims, None);
    assert_eq!(scheme.cookie.same_site, SameSite::Lax);
    assert_eq!(scheme.cookie.domain, None);
    assert_eq!(scheme.cookie.max_bytes, 12_288);
    // An ID token is for the client, and is no access token.
    assert_eq!(scheme.id_token.issuer.only(), Some("https://i.example/"));
    assert_eq!(scheme.id_token.audiences, ["web"]);
    assert_eq!(scheme.id_token.token_type, Some(TokenType::Jwt));
    assert!(scheme.id_token.require_expiration);
}

#[test]
fn every_field() {
    let config = json!({
        "cookieKeys": [{"environmentVariable": "KEY_2"}, {"inlineString": KEY_1}],
        "allowedRedirectDomains": ["APP.example.com.", "*.staff.example.com"],
        "schemes": {"staff-1": {
            "displayName": "Staff of Example & Co.",
            "providerName": "p",
            "credentials": {"clientId": "web"},
            "authType": "NONE",
            "authorizationEndpoint": "https://login.example/authorize?tenant=1",
            "tokenEndpoint": {"uri": "http://idp:8080/token", "cluster": "idp", "timeout": {"seconds": 2}},
            "endSessionEndpoint": "http://idp.localhost:8080/logout",
            "endSessionParams": {"client_id": "web", "response_type": "code"},
            "redirectUri": "https://app.example.com/oauth2/staff/callback",
            "signinPath": "/sign-in",
            "signupPath": "/sign-up",
            "signoutPath": "/sign-out",
            "sessionPath": "/oauth2/session",
            "postLogoutRedirectPath": "/bye",
            "errorRedirectPath": "/error",
            "authScopes": ["openid", "offline_access"],
            "resources": ["https://api.example.com/", "urn:example:api"],
            "responseType": "code",
            "authorizationParams": {"ui_locales": "en", "audience": "https://api.example.com"},
            "signupParams": {"screen_hint": "signup"},
            "useRefreshToken": false,
            "session": {
                "idleTimeout": "1800s", "maxDuration": "36000s", "persistent": true,
                "claims": ["sub", {"cognito:groups": "groups"}, {"name": "name"}]
            },
            "cookie": {"sameSite": "NONE", "domain": "Example.com", "maxBytes": 40960},
            "forwardBearerToken": true,
            "forwardIdTokenHeader": "X-Id-Token",
        }}
    });
    let mut whole = with_discovery(json!({}));
    whole["signIn"] = config;
    let parsed = parse(&whole).unwrap();
    assert!(parsed.is_reserved("x_id_token"));
    let Reads::All(names) = &parsed.reads else {
        panic!("a cookie is never read alone");
    };
    for name in ["cookie", "sec-fetch-mode", "origin", ":method"] {
        assert!(names.iter().any(|known| known == name), "{name}");
    }
    let sign_in = parsed.sign_in.unwrap();
    let keys: Vec<(&str, bool)> = sign_in
        .cookie_keys
        .iter()
        .map(|key| (key.text(), key.is_inline()))
        .collect();
    assert_eq!(keys, [(KEY_2, false), (KEY_1, true)]);
    for (host, allowed) in [
        ("app.example.com", true),
        ("a.staff.example.com", true),
        ("staff.example.com", false),
        ("evil.example", false),
        ("app.example.com.evil.example", false),
    ] {
        let origin = format!("https://{host}");
        assert_eq!(
            sign_in.sites.have_origin(origin.as_bytes()),
            allowed,
            "{host}"
        );
    }
    let scheme = &sign_in.schemes.iter().as_slice()[0];
    let own = [
        (OwnPath::Callback, "/oauth2/staff/callback"),
        (OwnPath::SignIn, "/sign-in"),
        (OwnPath::SignUp, "/sign-up"),
        (OwnPath::SignOut, "/sign-out"),
        (OwnPath::Session, "/oauth2/session"),
    ];
    let id = sign_in.schemes.ids().next().unwrap();
    for (kind, path) in own {
        assert_eq!(scheme.path(kind), Some(path));
        assert_eq!(sign_in.own_path(path), Some((id, kind)));
    }
    for path in ["/", "/sign-in/", "/sign-i", "/SIGN-IN", "/oauth2"] {
        assert_eq!(sign_in.own_path(path), None, "{path}");
    }
    assert_eq!(
        scheme.redirect_uri.as_deref(),
        Some("https://app.example.com/oauth2/staff/callback")
    );
    let uri = |text: &str| Uri::parse(text).unwrap();
    assert_eq!(
        scheme.endpoints.authorization,
        Some(uri("https://login.example/authorize?tenant=1"))
    );
    assert_eq!(
        scheme.endpoints.token.uri,
        Some(uri("http://idp:8080/token"))
    );
    assert_eq!(
        scheme.endpoints.end_session,
        Some(uri("http://idp.localhost:8080/logout"))
    );
    let mut parameters = scheme.endpoints.end_session_parameters.clone().unwrap();
    parameters.sort();
    assert_eq!(
        parameters,
        [
            ("client_id".to_owned(), "web".to_owned()),
            ("response_type".to_owned(), "code".to_owned())
        ]
    );
    assert_eq!(scheme.display_name, "Staff of Example & Co.");
    assert!(matches!(
        scheme.client.authentication,
        ClientAuthentication::None
    ));
    assert_eq!(scheme.post_logout_redirect_path, "/bye");
    assert_eq!(scheme.error_redirect_path.as_deref(), Some("/error"));
    assert_eq!(scheme.authorization.scopes, ["openid", "offline_access"]);
    assert_eq!(
        scheme.authorization.resources,
        ["https://api.example.com/", "urn:example:api"]
    );
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut parameters = scheme.authorization.parameters.clone();
    parameters.sort();
    assert_eq!(
        parameters,
        [
            pair("audience", "https://api.example.com"),
            pair("ui_locales", "en")
        ]
    );
    assert_eq!(
        scheme.authorization.sign_up_parameters,
        [pair("screen_hint", "signup")]
    );
    assert!(scheme.forward_bearer_token);
    assert_eq!(
        scheme.forward_id_token_header.as_deref(),
        Some("x-id-token")
    );
    assert_eq!(scheme.session.idle_timeout, Some(Duration::from_secs(1800)));
    assert_eq!(scheme.session.max_duration, Duration::from_secs(36_000));
    assert!(scheme.session.persistent);
    let claims = scheme.session.claims.as_ref().unwrap();
    let claims: Vec<(&str, &str)> = claims
        .iter()
        .map(|kept| (kept.claim.as_str(), kept.name.as_str()))
        .collect();
    assert_eq!(
        claims,
        [
            ("sub", "sub"),
            ("cognito:groups", "groups"),
            ("name", "name")
        ]
    );
    assert_eq!(scheme.cookie.same_site, SameSite::None);
    assert_eq!(scheme.cookie.domain.as_deref(), Some("example.com"));
    assert_eq!(scheme.cookie.max_bytes, 40_960);
}

#[test]
fn a_client_proves_who_it_is_by_what_it_has() {
    let with_secret =
        json!({"client_id": "web", "token_secret": {"environment_variable": "CLIENT_SECRET"}});
    let without = json!({"client_id": "web"});
    let needed = "sign_in.schemes.staff.credentials.token_secret: required by auth_type";
    let useless = "sign_in.schemes.staff.credentials.token_secret: contradicts auth_type, which has no use for a secret";
    for (auth_type, has_secret) in [
        ("BASIC_AUTH", true),
        ("URL_ENCODED_BODY", true),
        ("TLS_CLIENT_AUTH", false),
        ("INJECTED", false),
        ("NONE", false),
    ] {
        let of = |credentials: &Value| json!({"auth_type": auth_type, "credentials": credentials});
        let (good, bad, problem) = if has_secret {
            (&with_secret, &without, needed)
        } else {
            (&without, &with_secret, useless)
        };
        let authentication = only_scheme(of(good)).client.authentication;
        assert_eq!(authentication.secret().is_some(), has_secret, "{auth_type}");
        let name = format!("{authentication:?}").replace("(Secret)", "");
        assert_eq!(name.to_uppercase(), auth_type.replace('_', ""));
        assert_eq!(refused(&with_scheme(of(bad))), problem, "{auth_type}");
    }
    assert_eq!(
        refused(&with_scheme(json!({"auth_type": "basic_auth"}))),
        "sign_in.schemes.staff.auth_type: unknown variant, expected one of `BASIC_AUTH`, `URL_ENCODED_BODY`, `PRIVATE_KEY_JWT`, `TLS_CLIENT_AUTH`, `INJECTED`, `NONE`"
    );
}
