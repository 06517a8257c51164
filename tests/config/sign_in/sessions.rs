//! What a provider is asked for, sessions and cookies that are refused.

use super::*;

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
        (
            json!({"end_session_params": {"logout_uri": "https://app.example.com/"}}),
            "end_session_params: needs signout_path",
        ),
        (
            json!({"signout_path": "/out", "end_session_params": {"a": "b\nc"}}),
            "end_session_params.a: must be 1024 bytes at most, without control characters",
        ),
        (
            json!({"display_name": " "}),
            "display_name: must be 1 to 128 bytes of text, without control characters",
        ),
        (
            json!({"display_name": "x".repeat(129)}),
            "display_name: must be 1 to 128 bytes of text, without control characters",
        ),
        (
            json!({"display_name": "a\u{85}b"}),
            "display_name: must be 1 to 128 bytes of text, without control characters",
        ),
    ]);
    for name in [
        "client_id",
        "client_secret",
        "code_challenge",
        "code_challenge_method",
        "nonce",
        "redirect_uri",
        "resource",
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
