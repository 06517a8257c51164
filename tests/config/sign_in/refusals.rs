//! Keys, secrets, clients, addresses and paths that are refused.

use super::*;

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
    assert_eq!(
        of_provider(
            with_provider(json!({"issuer": null, "issuers": ["https://i.example/"]})),
            json!({})
        ),
        format!("{at}.provider_name: has issuers: people sign in at one issuer")
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
        (
            json!({"authorization_endpoint": authorization, "token_endpoint": token, "pushed_authorization_request_endpoint": {"cluster": "idp", "timeout": "5s"}}),
            format!("{at}.pushed_authorization_request_endpoint.uri: {told}"),
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
            json!({"pushed_authorization_request_endpoint": {"timeout": "5s"}}),
            "pushed_authorization_request_endpoint.cluster: required",
        ),
        (
            json!({"pushed_authorization_request_endpoint": {"uri": "/par", "cluster": "idp", "timeout": "5s"}}),
            "pushed_authorization_request_endpoint.uri: must start with http:// or https://",
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
