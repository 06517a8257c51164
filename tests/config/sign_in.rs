//! Sign-in: what is accepted and what it comes to, and what is refused in which words.

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

const KEY_1: &str = "first-key-5cc1e2ef0f4d43d9a1d5f3c5";
const KEY_2: &str = "second-key-9b6a4d1c0b8e4f7d8a1e7c";
const CLIENT_SECRET: &str = "client-secret-e1b7";

fn environment(name: &str) -> Option<String> {
    let value = match name {
        "KEY_1" => KEY_1,
        "KEY_2" => KEY_2,
        "CLIENT_SECRET" => CLIENT_SECRET,
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

#[test]
fn what_comes_later_is_refused_by_name() {
    for (fields, field) in [
        (
            json!({"backchannel_logout_path": "/out"}),
            "backchannel_logout_path: not supported yet",
        ),
        (
            json!({"use_refresh_token": true}),
            "use_refresh_token: not supported yet",
        ),
        (
            json!({"revocation_endpoint": {"cluster": "idp", "timeout": "5s"}}),
            "revocation_endpoint: not supported yet",
        ),
        (
            json!({"cookie": {"same_site": "STRICT"}}),
            "cookie.same_site: STRICT is not supported yet: a browser comes back from the provider's site without the cookie",
        ),
    ] {
        let refusal = format!("sign_in.schemes.staff.{field}");
        assert_eq!(refused(&with_scheme(fields)), refusal);
    }
    only_scheme(json!({"use_refresh_token": false}));
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
    assert_eq!(
        scheme.id_token.issuer.as_deref(),
        Some("https://i.example/")
    );
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
            "providerName": "p",
            "credentials": {"clientId": "web"},
            "authType": "NONE",
            "authorizationEndpoint": "https://login.example/authorize?tenant=1",
            "tokenEndpoint": {"uri": "http://idp:8080/token", "cluster": "idp", "timeout": {"seconds": 2}},
            "endSessionEndpoint": "http://idp.localhost:8080/logout",
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
fn a_client_proves_who_it_is_in_five_ways() {
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
        "sign_in.schemes.staff.auth_type: unknown variant, expected one of `BASIC_AUTH`, `URL_ENCODED_BODY`, `TLS_CLIENT_AUTH`, `INJECTED`, `NONE`"
    );
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
fn refuses_in_sign_in() {
    refuses(&[
        (
            json!({"allowed_redirect_domains": null}),
            "allowed_redirect_domains: required",
        ),
        (
            json!({"allowed_redirect_domains": []}),
            "allowed_redirect_domains: must not be empty",
        ),
        (
            json!({"allowed_redirect_domains": ["a.example", "b.example:x"]}),
            "allowed_redirect_domains[1]: must be a host without port, or *. and a domain: it has something other than one port after the host",
        ),
        (
            json!({"allowed_redirect_domains": ["a.*.example"]}),
            "allowed_redirect_domains[0]: must be a host without port, or *. and a domain: it has a character that a host cannot have (other alphabets are written xn--...)",
        ),
        (
            json!({"allowed_redirect_domains": ["*"]}),
            "allowed_redirect_domains[0]: must be a host without port, or *. and a domain: it has a character that a host cannot have (other alphabets are written xn--...)",
        ),
        (
            json!({"allowed_redirect_domains": ["*.[::1]"]}),
            "allowed_redirect_domains[0]: never matches: nothing is below an address",
        ),
        (
            json!({"schemes": null}),
            "schemes: must have 1 to 32 schemes",
        ),
        (json!({"schemes": {}}), "schemes: must have 1 to 32 schemes"),
        (
            json!({"schemes": {"a b": scheme(json!({}))}}),
            "schemes.a b: a scheme's name is 1 to 32 letters, digits, - and _",
        ),
        (
            json!({"scheme": {}}),
            "scheme: unknown field, did you mean schemes?",
        ),
        (
            json!({"cookie_keys": {}}),
            "cookie_keys: invalid type: map, expected a sequence",
        ),
    ]);
    let many: serde_json::Map<String, Value> = (0..33)
        .map(|at| (format!("s{at}"), scheme(json!({}))))
        .collect();
    refuses(&[(
        json!({"schemes": many}),
        "schemes: must have 1 to 32 schemes",
    )]);
    let long = "a".repeat(33);
    let named = json!({"schemes": {long.as_str(): scheme(json!({}))}});
    let expected = format!("schemes.{long}: a scheme's name is 1 to 32 letters, digits, - and _");
    refuses(&[(named, &expected)]);
}

#[test]
fn refuses_secrets() {
    let keys = |keys: Value| json!({"cookie_keys": keys});
    refuses(&[
        (keys(json!([])), "cookie_keys: must not be empty"),
        (
            keys(json!([{}])),
            "cookie_keys[0]: exactly one of environment_variable and inline_string is required",
        ),
        (
            keys(json!([{"environment_variable": "KEY_1", "inline_string": KEY_2}])),
            "cookie_keys[0]: exactly one of environment_variable and inline_string is required",
        ),
        (
            keys(json!([{"environment_variable": "KEY_1"}, {"environment_variable": "KEY_3"}])),
            "cookie_keys[1].environment_variable: KEY_3 is not set: Envoy hands on what vm_config.environment_variables names",
        ),
        (
            keys(json!([{"environment_variable": ""}])),
            "cookie_keys[0].environment_variable: must not be empty",
        ),
        (
            keys(json!([{"environment_variable": "EMPTY"}])),
            "cookie_keys[0].environment_variable: has an empty secret",
        ),
        (
            keys(json!([{"environment_variable": "SHORT"}])),
            "cookie_keys[0].environment_variable: has a secret of less than 32 bytes",
        ),
        (
            keys(json!([{"inline_string": "0123456789abcdef0123456789abcde"}])),
            "cookie_keys[0].inline_string: has a secret of less than 32 bytes",
        ),
        (
            keys(json!([{"environment_variable": "FROM_A_FILE"}])),
            "cookie_keys[0].environment_variable: has a secret with white space at an end, as a line feed",
        ),
        (
            keys(json!([{"inline_string": "k".repeat(1025)}])),
            "cookie_keys[0].inline_string: has a secret of more than 1024 bytes",
        ),
        // the same one by another name
        (
            keys(
                json!([{"environment_variable": "KEY_1"}, {"environment_variable": "KEY_2"}, {"inline_string": KEY_1}]),
            ),
            "cookie_keys[2]: given twice",
        ),
        (
            keys(json!([{"filename": "/etc/key"}])),
            "cookie_keys[0].filename: a Wasm filter cannot read files, use environment_variable",
        ),
        (
            keys(json!([{"name": "hmac"}])),
            "cookie_keys[0].name: not supported by this version of bearer-gate",
        ),
        (
            keys(json!([{"inline_bytes": "a"}])),
            "cookie_keys[0].inline_bytes: not supported by this version of bearer-gate",
        ),
        (
            keys(json!([{"environment_variabel": "KEY_1"}])),
            "cookie_keys[0]: unknown field, did you mean environment_variable?",
        ),
    ]);
    let many: Vec<Value> = (0..9)
        .map(|at| json!({"inline_string": format!("{at:032}")}))
        .collect();
    refuses(&[(keys(json!(many)), "cookie_keys: must have 8 keys at most")]);
    let secret =
        |secret: Value| json!({"credentials": {"client_id": "web", "token_secret": secret}});
    refuses_in_scheme(&[
        (
            secret(json!({"environment_variable": "NONE_SUCH"})),
            "credentials.token_secret.environment_variable: NONE_SUCH is not set: Envoy hands on what vm_config.environment_variables names",
        ),
        (
            secret(json!({"environment_variable": "NO_ASCII"})),
            "credentials.token_secret.environment_variable: must be printable ASCII, 1024 bytes at most",
        ),
        (
            secret(json!({"sds_config": {}})),
            "credentials.token_secret.sds_config: not supported by this version of bearer-gate",
        ),
    ]);
}

#[test]
fn refuses_clients_and_providers() {
    refuses_in_scheme(&[
        (json!({"provider_name": null}), "provider_name: required"),
        (
            json!({"provider_name": "q"}),
            "provider_name: unknown provider, did you mean p?",
        ),
        (json!({"credentials": null}), "credentials: required"),
        (
            json!({"credentials": {}}),
            "credentials.client_id: required",
        ),
        (
            json!({"credentials": {"client_id": "a\nb"}}),
            "credentials.client_id: must be printable ASCII, 1024 bytes at most",
        ),
        (
            json!({"credentials": {"client_id": "web", "hmac_secret": {}}}),
            "credentials.hmac_secret: not supported by this version of bearer-gate",
        ),
    ]);
    let of_provider = |provider: Value, fields: Value| {
        let mut config = with_scheme(fields);
        config["providers"] = provider["providers"].clone();
        refused(&config)
    };
    let at = "sign_in.schemes.staff";
    assert_eq!(
        of_provider(
            with_provider(json!({"issuer": null, "any_issuer": true})),
            json!({})
        ),
        format!("{at}.provider_name: has any_issuer: an ID token is one of a certain issuer")
    );
    let secret = r#"{"keys":[{"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}]}"#;
    assert_eq!(
        of_provider(
            with_provider(
                json!({"algorithms": ["HS256"], "local_jwks": {"inline_string": secret}})
            ),
            json!({})
        ),
        format!(
            "{at}.provider_name: has algorithms with a secret only: an ID token is signed with a key pair here"
        )
    );
    // Without metadata each address is needed.
    let told = "required: the provider has no openid_discovery that would tell it";
    let token = json!({"uri": "https://i.example/token", "cluster": "idp", "timeout": "5s"});
    let authorization = "https://i.example/authorize";
    for (fields, expected) in [
        (json!({}), format!("{at}.authorization_endpoint: {told}")),
        (
            json!({"authorization_endpoint": authorization}),
            format!("{at}.token_endpoint.uri: {told}"),
        ),
        (
            json!({"authorization_endpoint": authorization, "token_endpoint": token}),
            "accepted".to_owned(),
        ),
    ] {
        assert_eq!(of_provider(with_provider(json!({})), fields), expected);
    }
}

#[test]
fn refuses_addresses() {
    let https = "must be https, unless the host is localhost, below it, or a loopback address";
    refuses_in_scheme(&[
        (json!({"token_endpoint": null}), "token_endpoint: required"),
        (
            json!({"token_endpoint": {"cluster": "idp"}}),
            "token_endpoint.timeout: required",
        ),
        (
            json!({"token_endpoint": {"timeout": "5s"}}),
            "token_endpoint.cluster: required",
        ),
        (
            json!({"token_endpoint": {"uri": "/token", "cluster": "idp", "timeout": "5s"}}),
            "token_endpoint.uri: must start with http:// or https://",
        ),
        (
            json!({"authorization_endpoint": "http://login.example/"}),
            &format!("authorization_endpoint: {https}"),
        ),
        (
            json!({"authorization_endpoint": "https://login.example/#x"}),
            "authorization_endpoint: must not have a fragment",
        ),
        (
            json!({"end_session_endpoint": "http://login.localhost.example/"}),
            &format!("end_session_endpoint: {https}"),
        ),
        (
            json!({"callback_path": null}),
            ": exactly one of redirect_uri and callback_path is required",
        ),
        (
            json!({"redirect_uri": "https://app.example.com/callback"}),
            ": exactly one of redirect_uri and callback_path is required",
        ),
    ]);
    let redirects = [
        ("http://app.example.com/callback", https),
        (
            "https://app.example.com/callback?x=1",
            "must not have a query",
        ),
        (
            "https://app.example.com/callback#",
            "must not have a fragment",
        ),
        (
            "https://user@app.example.com/callback",
            "must not hold a user name or password",
        ),
        (
            "https://APP.example.com:443/callback",
            "must be in its normal form, here https://app.example.com/callback",
        ),
        (
            "https://app.example.com",
            "must be in its normal form, here https://app.example.com/",
        ),
        ("https://app.example.com/", "must be a path below /"),
        (
            "https://app.example.com/a/../b",
            "never matches: it has a dot segment",
        ),
        (
            "https://evil.example/callback",
            "has a host that is not in allowed_redirect_domains",
        ),
        (
            "https://app.example.com.evil.example/callback",
            "has a host that is not in allowed_redirect_domains",
        ),
        ("/callback", "must start with http:// or https://"),
    ];
    for (uri, problem) in redirects {
        refuses_in_scheme(&[(
            json!({"callback_path": null, "redirect_uri": uri}),
            &format!("redirect_uri: {problem}"),
        )]);
    }
    for (host, uri) in [
        ("127.0.0.1:8080", "http://127.0.0.1:8080/callback"),
        ("[::1]:8080", "http://[::1]:8080/callback"),
        ("localhost", "http://localhost/callback"),
        ("*.localhost:10000", "http://app.localhost:10000/callback"),
        (
            "app.example.com:8443",
            "https://app.example.com:8443/callback",
        ),
    ] {
        let scheme = scheme(json!({"callback_path": null, "redirect_uri": uri}));
        let config = with_schemes(
            json!({"staff": scheme}),
            json!({"allowed_redirect_domains": [host]}),
        );
        assert_eq!(refused(&config), "accepted", "{uri}");
    }
}

#[test]
fn own_paths_are_distinct() {
    for field in [
        "callback_path",
        "signin_path",
        "signup_path",
        "signout_path",
        "session_path",
    ] {
        for (path, problem) in [
            ("sign-in", "never matches: it does not start with a slash"),
            ("", "never matches: it does not start with a slash"),
            ("//evil", "never matches: it starts with two slashes"),
            ("/a/../b", "never matches: it has a dot segment"),
            (
                "/a?b",
                "never matches: paths are compared without query, parameters and needless escapes, here /a",
            ),
            (
                "/%61",
                "never matches: paths are compared without query, parameters and needless escapes, here /a",
            ),
            ("/", "must be a path below /"),
        ] {
            refuses_in_scheme(&[(json!({field: path}), &format!("{field}: {problem}"))]);
        }
    }
    refuses_in_scheme(&[
        (
            json!({"signin_path": "/oauth2/callback"}),
            "signin_path: is the path of schemes.staff.callback_path already",
        ),
        (
            json!({"signout_path": "/x", "session_path": "/x"}),
            "session_path: is the path of schemes.staff.signout_path already",
        ),
        (
            json!({"callback_path": null, "redirect_uri": "https://app.example.com/x", "signin_path": "/x"}),
            "signin_path: is the path of schemes.staff.redirect_uri already",
        ),
        (
            json!({"error_redirect_path": "/oauth2/callback"}),
            "error_redirect_path: must not be schemes.staff.callback_path",
        ),
        (
            json!({"signin_path": "/in", "error_redirect_path": "/in"}),
            "error_redirect_path: must not be schemes.staff.signin_path",
        ),
        (
            json!({"signout_path": "/out", "post_logout_redirect_path": "/out"}),
            "post_logout_redirect_path: must not be schemes.staff.signout_path",
        ),
        (
            json!({"post_logout_redirect_path": "https://evil.example/"}),
            "post_logout_redirect_path: never matches: it does not start with a slash",
        ),
        (
            json!({"error_redirect_path": "//evil.example"}),
            "error_redirect_path: never matches: it starts with two slashes",
        ),
    ]);
    let again = json!({"signin_path": "/in", "post_logout_redirect_path": "/in"});
    assert_eq!(refused(&with_scheme(again)), "accepted");
    let two = with_schemes(
        json!({"one": scheme(json!({})), "two": scheme(json!({}))}),
        json!({}),
    );
    assert_eq!(
        refused(&two),
        "sign_in.schemes.two.callback_path: is the path of schemes.one.callback_path already"
    );
}

#[test]
fn refuses_requests_to_the_provider() {
    let implicit = "must be code: the implicit flow is refused, OAuth 2.1 has left it out";
    refuses_in_scheme(&[
        (
            json!({"auth_scopes": []}),
            "auth_scopes: must have openid: without it there is no ID token",
        ),
        (
            json!({"auth_scopes": ["profile"]}),
            "auth_scopes: must have openid: without it there is no ID token",
        ),
        (
            json!({"auth_scopes": ["openid", "profile email"]}),
            "auth_scopes[1]: is not a scope: one or more printable ASCII characters without space, \" and \\",
        ),
        (
            json!({"auth_scopes": ["openid", "openid"]}),
            "auth_scopes[1]: given twice",
        ),
        (
            json!({"resources": ["api"]}),
            "resources[0]: must be an absolute URI without fragment",
        ),
        (
            json!({"resources": ["https://a.example/", "https://a.example/#x"]}),
            "resources[1]: must be an absolute URI without fragment",
        ),
        (
            json!({"resources": ["a:"]}),
            "resources[0]: must be an absolute URI without fragment",
        ),
        (
            json!({"resources": ["a:b", "a:b"]}),
            "resources[1]: given twice",
        ),
        (
            json!({"response_type": "id_token"}),
            &format!("response_type: {implicit}"),
        ),
        (
            json!({"response_type": "code id_token"}),
            &format!("response_type: {implicit}"),
        ),
        (
            json!({"authorization_params": {"response_type": "token"}}),
            &format!("authorization_params.response_type: {implicit}"),
        ),
        (
            json!({"authorization_params": {"": "x"}}),
            "authorization_params: is no name of a parameter",
        ),
        (
            json!({"authorization_params": {"a": "b\r\nc"}}),
            "authorization_params.a: must be 1024 bytes at most, without control characters",
        ),
        (
            json!({"authorization_params": {"a": 1}}),
            "authorization_params.a: invalid type: integer, expected a string",
        ),
        (
            json!({"signup_params": {"prompt": "create"}}),
            "signup_params: needs signup_path",
        ),
    ]);
    for name in [
        "client_id",
        "client_secret",
        "code_challenge",
        "code_challenge_method",
        "nonce",
        "redirect_uri",
        "request",
        "request_uri",
        "resource",
        "response_mode",
        "scope",
        "state",
    ] {
        let problem = "is a parameter that the filter sets";
        refuses_in_scheme(&[
            (
                json!({"authorization_params": {name: "x"}}),
                &format!("authorization_params.{name}: {problem}"),
            ),
            (
                json!({"signup_path": "/up", "signup_params": {name: "x"}}),
                &format!("signup_params.{name}: {problem}"),
            ),
        ]);
    }
}

#[test]
fn refuses_sessions_and_cookies() {
    let renamed = "must not be renamed, or get the name of another: acr, amr, aud, auth_time, azp, exp, iat, iss, nbf, nonce, sid, sub";
    let kind = "expected a claim's name, or {claim: name} with one claim";
    let session = |fields: Value| json!({"session": fields});
    let cookie = |fields: Value| json!({"cookie": fields});
    let narrow = "must be a domain of two names at least, and no address: browsers drop the cookie";
    let outside =
        "does not have every host in it that browsers come back to: there they drop the cookie";
    refuses_in_scheme(&[
        (
            session(json!({"idle_timeout": "28801s"})),
            "session.idle_timeout: must not be above max_duration",
        ),
        (
            session(json!({"idle_timeout": "0.5s"})),
            "session.idle_timeout: must be 1 s at least",
        ),
        (
            session(json!({"max_duration": "0.5s"})),
            "session.max_duration: must be 1 s at least",
        ),
        (
            session(json!({"idle_timeout": "30m"})),
            "session.idle_timeout: not a duration, write it as \"5s\", \"1.5s\" or {seconds: 5}",
        ),
        (
            session(json!({"claims": ["sub", 5]})),
            &format!("session.claims[1]: invalid type: integer, {kind}"),
        ),
        (
            session(json!({"claims": [{"a": "b", "c": "d"}]})),
            &format!("session.claims[0]: invalid type: map, {kind}"),
        ),
        (
            session(json!({"claims": [{"a": 1}]})),
            "session.claims[0].a: invalid type: integer, expected a string",
        ),
        (
            session(json!({"claims": [""]})),
            "session.claims[0]: must not be empty",
        ),
        (
            session(json!({"claims": [{"a": ""}]})),
            "session.claims[0]: must not be empty",
        ),
        (
            session(json!({"claims": ["a", "b", {"c": "a"}]})),
            "session.claims[2]: given twice",
        ),
        (
            session(json!({"claims": [{"email": "sub"}]})),
            &format!("session.claims[0]: {renamed}"),
        ),
        (
            session(json!({"claims": [{"iss": "issuer"}]})),
            &format!("session.claims[0]: {renamed}"),
        ),
        (
            session(json!({"store_tokens": true})),
            "session.store_tokens: unknown field",
        ),
        (
            cookie(json!({"max_bytes": 4095})),
            "cookie.max_bytes: must be from 4096 to 40960",
        ),
        (
            cookie(json!({"max_bytes": 40961})),
            "cookie.max_bytes: must be from 4096 to 40960",
        ),
        (
            cookie(json!({"same_site": "Lax"})),
            "cookie.same_site: unknown variant, expected one of `LAX`, `STRICT`, `NONE`",
        ),
        (
            cookie(json!({"domain": "com"})),
            &format!("cookie.domain: {narrow}"),
        ),
        (
            cookie(json!({"domain": "127.0.0.1"})),
            &format!("cookie.domain: {narrow}"),
        ),
        (
            cookie(json!({"domain": "[::1]"})),
            &format!("cookie.domain: {narrow}"),
        ),
        (
            cookie(json!({"domain": "pp.example.com"})),
            &format!("cookie.domain: {outside}"),
        ),
        (
            cookie(json!({"domain": "other.example"})),
            &format!("cookie.domain: {outside}"),
        ),
        (
            cookie(json!({"domain": "sub.app.example.com"})),
            &format!("cookie.domain: {outside}"),
        ),
        (
            json!({"forward_id_token_header": "authorization"}),
            "forward_id_token_header: is a header that the filter must not set",
        ),
        (
            json!({"redirect_path_matcher": {}}),
            "redirect_path_matcher: not supported by this version of bearer-gate",
        ),
        (
            json!({"forward_bearer": true}),
            "forward_bearer: unknown field",
        ),
        (
            json!({"sigin_path": "/x"}),
            "sigin_path: unknown field, did you mean signin_path?",
        ),
    ]);
    // Every host that a browser can come back to counts.
    let domains =
        json!({"allowed_redirect_domains": ["app.example.com", "*.example.com", "b.example"]});
    let of = |fields: Value| {
        refused(&with_schemes(
            json!({"staff": scheme(fields)}),
            domains.clone(),
        ))
    };
    assert_eq!(
        of(cookie(json!({"domain": "example.com"}))),
        format!("sign_in.schemes.staff.cookie.domain: {outside}")
    );
    assert_eq!(
        of(json!({
            "callback_path": null, "redirect_uri": "https://app.example.com/callback",
            "cookie": {"domain": "example.com"}
        })),
        "accepted"
    );
    let mut config = with_scheme(json!({"forward_id_token_header": "x-user"}));
    config["providers"]["p"]["claim_to_headers"] =
        json!([{"header_name": "X_User", "claim_name": "sub"}]);
    assert_eq!(
        refused(&config),
        "sign_in.schemes.staff.forward_id_token_header: is set by the provider already"
    );
}

fn requirement(fields: Value) -> (Requirement, Unauthenticated, Config) {
    let text = with_rule_of(fields);
    let config = parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let rule = &config.rules.all()[0];
    let Access::Token(access) = &rule.access else {
        panic!("asks for something");
    };
    (
        access.demand.requirement.clone(),
        rule.unauthenticated,
        config,
    )
}

#[test]
fn a_requirement_takes_a_session() {
    let (lone, unauthenticated, config) = requirement(json!({"requires": {"session": "guests"}}));
    let Requirement::Provider(demand) = lone else {
        panic!("one demand");
    };
    let schemes = &config.sign_in.as_ref().unwrap().schemes;
    assert_eq!(schemes[demand.session.unwrap()].name, "guests");
    assert_eq!(config.providers[demand.provider].name, "p");
    assert!(demand.places.is_empty());
    assert_eq!(unauthenticated, Unauthenticated::Auto);

    // A chooser, or a token in place of a session.
    let any = json!({"requires": {"requires_any": {"requirements": [
        {"session": "staff"}, {"session": "guests"}, {"provider_name": "p"}
    ]}}});
    let (Requirement::Any { members, .. }, _, config) = requirement(any) else {
        panic!("one of several");
    };
    let schemes = &config.sign_in.as_ref().unwrap().schemes;
    let sessions: Vec<Option<&str>> = members
        .iter()
        .map(|member| match member {
            Requirement::Provider(demand) => demand.session.map(|id| schemes[id].name.as_str()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(sessions, [Some("staff"), Some("guests"), None]);

    // One that is optional by itself is about tokens.
    let (Requirement::Any { members, .. }, _, _) =
        requirement(json!({"requires": {"allow_missing": {}}}))
    else {
        panic!("one of several");
    };
    assert_eq!(members.len(), 1);

    for (word, expected) in [
        ("auto", Unauthenticated::Auto),
        ("redirect", Unauthenticated::Redirect),
        ("unauthorized", Unauthenticated::Unauthorized),
    ] {
        let rule = json!({"requires": {"session": "staff"}, "unauthenticated": word});
        assert_eq!(requirement(rule).1, expected, "{word}");
    }

    // Wherever a requirement stands.
    let mut named =
        with_rule_of(json!({"requirement_name": "people", "unauthenticated": "redirect"}));
    named["requirement_map"] = json!({"people": {"session": "staff"}});
    named["route_metadata"] = json!("bearer_gate");
    let named = parse(&named).unwrap();
    assert!(named.of_routes.unwrap().named(b"people").is_some());
}

#[test]
fn refuses_requirements() {
    let table = [
        (
            json!({"requires": {"session": "stuff"}}),
            "rules[0].requires.session: unknown scheme, did you mean staff?",
        ),
        (
            json!({"requires": {"session": "p"}}),
            "rules[0].requires.session: unknown scheme",
        ),
        (
            json!({"requires": {"provider_name": "staff"}}),
            "rules[0].requires.provider_name: unknown provider",
        ),
        (
            json!({"requires": {"requires_any": {"requirements": [{"provider_name": "p"}, {"session": "gests"}]}}}),
            "rules[0].requires.requires_any.requirements[1].session: unknown scheme, did you mean guests?",
        ),
        (
            json!({"requires": {"session": "staff"}, "unauthenticated": "401"}),
            "rules[0].unauthenticated: unknown variant, expected one of `auto`, `redirect`, `unauthorized`",
        ),
        (
            json!({"unauthenticated": "auto"}),
            "rules[0].unauthenticated: changes nothing: the rule takes no session",
        ),
        (
            json!({"requires": {"provider_name": "p"}, "unauthenticated": "redirect"}),
            "rules[0].unauthenticated: changes nothing: the rule takes no session",
        ),
    ];
    for (rule, expected) in table {
        assert_eq!(refused(&with_rule_of(rule.clone())), expected, "{rule}");
    }
    let mut config = with_rule_of(json!({}));
    config["requirement_map"] = json!({"people": {"session": "stuff"}});
    assert_eq!(
        refused(&config),
        "requirement_map.people.session: unknown scheme, did you mean staff?"
    );
    // Two at once must not set one header.
    for (members, names) in [
        (
            json!([{"session": "staff"}, {"session": "guests"}]),
            "session staff and session guests",
        ),
        (
            json!([{"provider_name": "p"}, {"session": "staff"}]),
            "p and session staff",
        ),
    ] {
        let mut config =
            with_rule_of(json!({"requires": {"requires_all": {"requirements": members}}}));
        assert_eq!(refused(&config), "accepted");
        config["providers"]["p"]["claim_to_headers"] =
            json!([{"header_name": "x-user", "claim_name": "sub"}]);
        assert_eq!(
            refused(&config),
            format!(
                "rules[0].requires.requires_all: {names} both set x-user: with a token of each, the upstream could not tell whose it is"
            )
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Neither what is valid nor what is refused shows a secret, whatever it is.
    #[test]
    fn a_secret_is_not_shown(
        secret in "[!-~]{12,60}[a-z]",
        fields in prop::sample::select(vec![
            "cookie_keys", "token_secret", "in place of an object", "in place of a word", "in place of a field",
            "in place of a variable",
        ]),
        from_environment in any::<bool>(),
    ) {
        let written = if from_environment {
            json!({"environment_variable": "SECRET"})
        } else {
            json!({"inline_string": secret})
        };
        let config = match fields {
            "cookie_keys" => with_sign_in(json!({"cookie_keys": [written]})),
            "token_secret" => with_scheme(
                json!({"credentials": {"client_id": "web", "token_secret": written}}),
            ),
            "in place of a field" => with_sign_in(json!({"cookie_keys": [{secret.as_str(): 1}]})),
            "in place of a variable" => {
                with_sign_in(json!({"cookie_keys": [{"environment_variable": secret}]}))
            }
            "in place of an object" => with_sign_in(json!({"cookie_keys": [secret]})),
            _ => with_scheme(json!({"auth_type": secret})),
        };
        let environment = |name: &str| match name {
            "SECRET" => Some(secret.clone()),
            name => environment(name),
        };
        let parsed = Config::parse_in(config.to_string().as_bytes(), &environment);
        let shown = match &parsed {
            Ok(config) => format!("{config:?}"),
            Err(error) => format!("{error} {error:?}"),
        };
        prop_assert!(!shown.contains(&secret), "{}", shown);
    }
}
