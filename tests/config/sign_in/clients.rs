//! Clients with a private key, and parameters of the authorization request that are refused.

use super::*;

#[test]
fn refuses_private_keys() {
    let no_key = "must be a private key in PKCS#8, of RSA with 2048 bits or more or of P-256: PEM, or the base64 of its DER; openssl pkcs8 -topk8 -nocrypt makes it of another form";
    let with = |credentials: Value| {
        let mut all =
            json!({"client_id": "web", "private_key": {"environment_variable": "PRIVATE_KEY"}});
        merge(&mut all, credentials);
        json!({"auth_type": "PRIVATE_KEY_JWT", "credentials": all})
    };
    let thumbprint = "must be the SHA-1 or the SHA-256 of the certificate: 40 or 64 hexadecimal digits, with or without colons";
    refuses_in_scheme(&[
        (
            with(json!({"private_key": null})),
            "credentials.private_key: required by auth_type",
        ),
        (
            with(json!({"private_key": {"inline_string": "secret"}})),
            &format!("credentials.private_key.inline_string: {no_key}"),
        ),
        (
            with(json!({"private_key": {"environment_variable": "CLIENT_SECRET"}})),
            &format!("credentials.private_key.environment_variable: {no_key}"),
        ),
        (
            with(json!({"private_key": {"environment_variable": "EMPTY"}})),
            &format!("credentials.private_key.environment_variable: {no_key}"),
        ),
        (
            with(json!({"private_key": {"environment_variable": "NONE_SUCH"}})),
            "credentials.private_key.environment_variable: NONE_SUCH is not set: Envoy hands on what vm_config.environment_variables names",
        ),
        (
            with(json!({"private_key": {"filename": "/etc/key"}})),
            "credentials.private_key.filename: a Wasm filter cannot read files, use environment_variable",
        ),
        (
            with(json!({"token_secret": {"environment_variable": "CLIENT_SECRET"}})),
            "credentials.token_secret: contradicts auth_type, which has no use for a secret",
        ),
        (
            with(json!({"key_id": ""})),
            "credentials.key_id: must not be empty",
        ),
        (
            with(json!({"key_id": "a\nb"})),
            "credentials.key_id: must be printable ASCII, 1024 bytes at most",
        ),
        (
            with(json!({"certificate_thumbprint": "AB:CD"})),
            &format!("credentials.certificate_thumbprint: {thumbprint}"),
        ),
        (
            with(json!({"certificate_thumbprint": "+1".repeat(20)})),
            &format!("credentials.certificate_thumbprint: {thumbprint}"),
        ),
        (
            with(json!({"certificate_thumbprint": "\u{e9}".repeat(20)})),
            &format!("credentials.certificate_thumbprint: {thumbprint}"),
        ),
    ]);
    for field in [
        json!({"private_key": {"environment_variable": "PRIVATE_KEY"}}),
        json!({"key_id": "k"}),
        json!({"certificate_thumbprint": "00"}),
        json!({"assertion_audience": "ENDPOINT"}),
    ] {
        let name = field.as_object().unwrap().keys().next().unwrap().clone();
        let mut credentials = json!({
            "client_id": "web", "token_secret": {"environment_variable": "CLIENT_SECRET"},
        });
        merge(&mut credentials, field);
        let scheme = json!({"credentials": credentials});
        let expected =
            format!("credentials.{name}: contradicts auth_type, which is not PRIVATE_KEY_JWT");
        refuses_in_scheme(&[(scheme, &expected)]);
    }
    for good in [
        json!({}),
        json!({"key_id": "k", "assertion_audience": "ENDPOINT"}),
        json!({"certificate_thumbprint": "aB:".repeat(20).trim_end_matches(':')}),
        json!({"certificate_thumbprint": "09".repeat(32)}),
    ] {
        assert_eq!(refused(&with_scheme(with(good))), "accepted");
    }
}

#[test]
fn a_key_that_cannot_sign_is_refused_at_the_start() {
    let config = with_scheme(json!({
        "auth_type": "PRIVATE_KEY_JWT",
        "credentials": {"client_id": "web", "private_key": {"environment_variable": "PRIVATE_KEY"}},
    }));
    let config = parse(&config).unwrap();
    let signed = [&[0x08, 1, 0x12, 0x80, 2][..], &[7; 256]].concat();
    assert!(config.try_keys(&|_| Some(signed.clone())).is_ok());
    let refused = config.try_keys(&|_| None).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "sign_in.schemes.staff.credentials.private_key: Envoy does not sign with it: the key is broken, or this Envoy has no function that signs"
    );
}

#[test]
fn refuses_parameters_that_would_bypass_the_flow() {
    let own = "is a parameter that the filter sets";
    let state = "would say every parameter again, past what the filter sets";
    for (name, problem) in [
        (
            "response_mode",
            "is left to the filter: the answer must come as a query",
        ),
        (
            "response_type",
            "must be code: the implicit flow is refused, OAuth 2.1 has left it out",
        ),
        ("request", state),
        ("request_uri", state),
        ("state", own),
        ("nonce", own),
        ("client_id", own),
        ("redirect_uri", own),
        ("code_challenge", own),
    ] {
        for (field, more) in [
            ("authorization_params", json!({})),
            ("signup_params", json!({"signup_path": "/sign-up"})),
        ] {
            let mut fields = more;
            fields[field] = json!({name: "query"});
            refuses_in_scheme(&[(fields, &format!("{field}.{name}: {problem}"))]);
        }
    }
}

/// An assertion names one provider, and each tenant is another one.
#[test]
fn an_assertion_is_for_no_template() {
    let refused_for = |audience: Option<&str>| {
        let mut credentials =
            json!({"client_id": "web", "private_key": {"environment_variable": "PRIVATE_KEY"}});
        if let Some(audience) = audience {
            credentials["assertion_audience"] = json!(audience);
        }
        let scheme = json!({"auth_type": "PRIVATE_KEY_JWT", "credentials": credentials});
        let mut config = with_scheme(scheme);
        let provider = &mut config["providers"]["p"];
        provider["issuer"] = json!("https://login.example/{tenantid}/v2.0");
        provider["any_tenant"] = json!(true);
        provider["openid_discovery"]["uri"] = json!("https://login.example/common");
        refused(&config)
    };
    for audience in [None, Some("ISSUER")] {
        assert_eq!(
            refused_for(audience),
            "sign_in.schemes.staff.credentials.assertion_audience: must be ENDPOINT: the provider has an issuer for each tenant"
        );
    }
    assert_eq!(refused_for(Some("ENDPOINT")), "accepted");
}
