//! The OpenID provider, as a client and a person see it: the flow, each grant, each refusal.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use bearer_gate_testbed::http::Client;
use bearer_gate_testbed::idp::Idp;
use bearer_gate_testbed::idp::openid::{Endpoint, RelyingParty};
use bearer_gate_testbed::keys::{KeyForm, SigningKey};
use bearer_gate_testbed::token::{self, base64url};
use bearer_gate_testbed::visitor::{Visitor, parameters};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use p256::ecdsa::signature::Signer as _;

use common::{ALICE, CALLBACK, Flow, basic, parameter};

#[tokio::test]
async fn the_code_flow_ends_in_tokens_of_the_person() {
    let idp = Idp::start();
    let flow = Flow::new(&idp);
    let mut visitor = Visitor::new();
    let url = flow.authorize(&[("acr_values", "mfa pwd"), ("login_hint", "al\"ice")]);

    let page = visitor.get(&url).await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("value=\"al&quot;ice\""), "{}", page.body);
    assert!(!page.body.contains("<script"));
    let wrong = [("username", "alice"), ("password", "guess")];
    let page = visitor.fill(&url, &page, "login", &wrong).await;
    assert!(page.body.contains("role=\"alert\"") && page.header("set-cookie").is_none());
    let back = visitor.fill(&url, &page, "login", &ALICE).await;
    assert_eq!(back.status, 303);
    let location = back.header("location").unwrap();
    assert!(
        location.starts_with(&format!("{CALLBACK}?code=")),
        "{location}"
    );
    assert_eq!(parameter(location, "state"), "the state");
    assert_eq!(parameter(location, "iss"), idp.issuer());

    let reply = flow.redeem(&parameter(location, "code"), &basic()).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let tokens = reply.json();
    assert_eq!(
        (&tokens["token_type"], &tokens["expires_in"]),
        (&json!("Bearer"), &json!(300))
    );
    let (access, id) = (text(&tokens, "access_token"), text(&tokens, "id_token"));
    let claims = token::untrusted_claims(id);
    assert_eq!(token::untrusted_header(id)["typ"], "JWT");
    let half_hash = base64url(&Sha256::digest(access)[..16]);
    for (claim, value) in [
        ("iss", json!(idp.issuer())),
        ("sub", json!("user|alice")),
        ("aud", json!("web")),
        ("azp", json!("web")),
        ("nonce", json!("the nonce")),
        ("acr", json!("mfa")),
        ("at_hash", json!(half_hash)),
        ("name", json!("Alice Liddell")),
        ("email", json!("alice@example.com")),
        ("groups", json!(["group-001", "group-002", "group-003"])),
    ] {
        assert_eq!(claims[claim], value, "{claim}");
    }
    let seconds = |claim: &str| claims[claim].as_i64().unwrap();
    assert_eq!(seconds("exp") - seconds("iat"), 300);
    assert!(token::now() - seconds("auth_time") < 60);
    assert!(claims["sid"].is_string());
    assert_eq!(token::untrusted_header(access)["typ"], "at+jwt");
    let claims = token::untrusted_claims(access);
    assert_eq!(claims["aud"], "https://api.example.com");
    assert_eq!(
        (&claims["sub"], &claims["client_id"]),
        (&json!("user|alice"), &json!("web"))
    );
    assert!(
        token::resigned(&idp.key(), id) == *id && token::resigned(&idp.key(), access) == *access
    );

    let client = Client::new();
    let user_info = idp.openid().url(Endpoint::UserInfo);
    let told = client.get_with(&user_info, access).await.json();
    assert_eq!(
        (&told["sub"], &told["name"]),
        (&json!("user|alice"), &json!("Alice Liddell"))
    );
    assert_eq!(client.get_with(&user_info, id).await.status, 401);
    let introspected = flow
        .ask(Endpoint::Introspection, &[("token", access)])
        .await
        .json();
    assert_eq!(
        (&introspected["active"], &introspected["sub"]),
        (&json!(true), &json!("user|alice"))
    );

    // The provider remembers the browser, and what it was asked.
    idp.openid().configure(|settings| settings.groups = 300);
    let back = visitor.get(&flow.authorize(&[("scope", "openid")])).await;
    let code = parameter(back.header("location").unwrap(), "code");
    let tokens = flow.redeem(&code, &basic()).await.json();
    let claims = token::untrusted_claims(text(&tokens, "id_token"));
    assert_eq!(claims["groups"].as_array().unwrap().len(), 300);
    assert!(claims["name"].is_null() && claims["email"].is_null());
    assert_eq!(idp.openid().calls(Endpoint::Token), 2);
    let seen = idp.openid().last(Endpoint::Token);
    assert_eq!(seen.parameter("code"), Some(code.as_str()));
    assert!(seen.header("authorization").unwrap().starts_with("Basic "));
    assert_eq!(
        (idp.openid().calls(Endpoint::Form), idp.openid().sessions()),
        (2, 1)
    );
}

#[tokio::test]
async fn the_metadata_names_every_endpoint() {
    let idp = Idp::builder()
        .browser_host("idp.localhost")
        .start()
        .unwrap();
    let url = format!("{}/.well-known/openid-configuration", idp.url());
    let document = Client::new().get(&url).await.json();
    let port = idp.address().port();
    for (member, host, path) in [
        ("authorization_endpoint", "idp.localhost", "/authorize"),
        ("end_session_endpoint", "idp.localhost", "/oidc/logout"),
        ("token_endpoint", "127.0.0.1", "/oauth/token"),
        ("userinfo_endpoint", "127.0.0.1", "/userinfo"),
        ("revocation_endpoint", "127.0.0.1", "/oauth/revoke"),
        ("introspection_endpoint", "127.0.0.1", "/oauth/introspect"),
        (
            "pushed_authorization_request_endpoint",
            "127.0.0.1",
            "/oauth/par",
        ),
    ] {
        assert_eq!(
            document[member],
            format!("http://{host}:{port}{path}"),
            "{member}"
        );
    }
    assert_eq!(
        document["authorization_response_iss_parameter_supported"],
        true
    );
}

#[tokio::test]
async fn requests_that_are_refused_at_the_authorization_endpoint() {
    let idp = Idp::start();
    let flow = Flow::new(&idp);
    // `None`: told to the person, as the redirect URI may be anybody's.
    let cases: &[((&str, &str), Option<&str>)] = &[
        (("client_id", "nobody"), None),
        (("redirect_uri", "https://app.example/callback/"), None),
        (("redirect_uri", ""), None),
        (
            ("response_type", "token"),
            Some("unsupported_response_type"),
        ),
        (("response_mode", "fragment"), Some("invalid_request")),
        (("scope", "profile"), Some("invalid_scope")),
        (("state", ""), Some("invalid_request")),
        (("nonce", ""), Some("invalid_request")),
        (("code_challenge", "short"), Some("invalid_request")),
        (("code_challenge_method", "plain"), Some("invalid_request")),
        (("prompt", "none login"), Some("invalid_request")),
        (("prompt", "none"), Some("login_required")),
        (("request", "e30"), Some("request_not_supported")),
        (
            ("resource", "https://other.example"),
            Some("invalid_target"),
        ),
    ];
    for (change, expected) in cases {
        let reply = Visitor::new().get(&flow.authorize(&[*change])).await;
        match expected {
            None => assert_eq!(
                (reply.status, reply.header("location")),
                (400, None),
                "{change:?}"
            ),
            Some(error) => {
                assert_eq!(reply.status, 303, "{change:?}");
                let location = reply.header("location").unwrap();
                assert_eq!(parameter(location, "error"), *error, "{change:?}");
                assert_eq!(parameter(location, "iss"), idp.issuer());
            }
        }
    }
    let repeated = format!("{}&nonce=b", flow.authorize(&[]));
    assert_eq!(Visitor::new().get(&repeated).await.status, 400);
}

#[tokio::test]
async fn each_way_in_which_a_client_authenticates_itself() {
    let idp = Idp::start();
    let rsa = SigningKey::generate();
    let openid = idp.openid();
    openid.register(RelyingParty::public("spa", CALLBACK));
    openid.register(RelyingParty::with_key(
        "keyed",
        rsa.jwk(KeyForm::Modulus),
        CALLBACK,
    ));
    openid.register(RelyingParty::confidential("odd id", "p:ä+%&", CALLBACK));
    let jwt_bearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let good = |jti: &str| {
        token::Claims::empty()
            .issuer("keyed")
            .subject("keyed")
            .audience(idp.openid().url(Endpoint::Token))
            .expires_in(60)
            .with("jti", jti)
    };
    let signed = |key: &SigningKey, claims: token::Claims| {
        token::sign(key, &token::header(key.kid()), &claims.value())
    };
    let assertion = signed(&rsa, good("1"));
    type Fields = Vec<(&'static str, String)>;
    let cases: Vec<(&str, &str, Option<&str>, Fields, u16)> = vec![
        ("web", "basic", Some("web:secret"), vec![], 200),
        (
            "web",
            "post",
            None,
            vec![
                ("client_id", "web".into()),
                ("client_secret", "secret".into()),
            ],
            200,
        ),
        ("web", "wrong secret", Some("web:guess"), vec![], 401),
        ("web", "none", None, vec![("client_id", "web".into())], 401),
        (
            "web",
            "both",
            Some("web:secret"),
            vec![("client_secret", "secret".into())],
            400,
        ),
        (
            "web",
            "another client",
            Some("web:secret"),
            vec![("client_id", "spa".into())],
            401,
        ),
        (
            "odd id",
            "encoded",
            Some("odd+id:p%3A%C3%A4%2B%25%26"),
            vec![],
            200,
        ),
        ("spa", "none", None, vec![("client_id", "spa".into())], 200),
        ("spa", "a secret", Some("spa:secret"), vec![], 401),
        (
            "keyed",
            "assertion",
            None,
            vec![("client_assertion", assertion.clone())],
            200,
        ),
        (
            "keyed",
            "replayed",
            None,
            vec![("client_assertion", assertion)],
            401,
        ),
        (
            "keyed",
            "another key",
            None,
            vec![(
                "client_assertion",
                signed(&SigningKey::generate(), good("2")),
            )],
            401,
        ),
        (
            "keyed",
            "another audience",
            None,
            vec![("client_assertion", signed(&rsa, good("3").audience("x")))],
            401,
        ),
        (
            "keyed",
            "expired",
            None,
            vec![("client_assertion", signed(&rsa, good("4").expires_in(-1)))],
            401,
        ),
        (
            "keyed",
            "no assertion",
            None,
            vec![("client_id", "keyed".into())],
            401,
        ),
    ];
    for (client_id, what, header, mut fields, expected) in cases {
        let flow = Flow::of(&idp, client_id);
        let code = flow.code(&mut Visitor::new()).await;
        if fields.iter().any(|(name, _)| *name == "client_assertion") {
            fields.push(("client_assertion_type", jwt_bearer.to_owned()));
        }
        let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let reply = flow.redeem_as(&code, header, &fields).await;
        assert_eq!(
            reply.status, expected,
            "{client_id}, {what}: {}",
            reply.body
        );
    }
}

#[tokio::test]
async fn a_client_with_an_elliptic_key() {
    let key = p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap();
    let point = key.verifying_key().to_sec1_point(false);
    let coordinate = |bytes: &[u8]| base64url(bytes);
    let jwk = json!({
        "kty": "EC",
        "crv": "P-256",
        "x": coordinate(&point.as_bytes()[1..33]),
        "y": coordinate(&point.as_bytes()[33..]),
    });
    let idp = Idp::start();
    idp.openid()
        .register(RelyingParty::with_key("keyed", jwk, CALLBACK));
    let flow = Flow::of(&idp, "keyed");
    let claims = json!({
        "iss": "keyed",
        "sub": "keyed",
        "aud": idp.issuer(),
        "exp": token::now() + 60,
        "jti": "1",
    });
    let header = json!({"alg": "ES256"});
    let unsigned = token::encode(&header, &claims, b"");
    let signing_input = unsigned.trim_end_matches('.');
    let signature: p256::ecdsa::Signature = key.sign(signing_input.as_bytes());
    let assertion = token::encode(&header, &claims, &signature.to_bytes());
    let bearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let broken = token::with_signature_bit_flipped(&assertion, 100);
    for (assertion, status) in [(broken, 401), (assertion, 200)] {
        let code = flow.code(&mut Visitor::new()).await;
        let fields = [
            ("client_assertion_type", bearer),
            ("client_assertion", assertion.as_str()),
        ];
        assert_eq!(flow.redeem_as(&code, None, &fields).await.status, status);
    }
}

#[tokio::test]
async fn a_code_is_for_one_use_by_who_asked_for_it() {
    let idp = Idp::start();
    idp.openid().register(RelyingParty::public("spa", CALLBACK));
    let flow = Flow::new(&idp);
    let mut visitor = Visitor::new();
    let code = flow.code(&mut visitor).await;
    let tokens = flow.redeem(&code, &basic()).await.json();
    let again = flow.redeem(&code, &basic()).await;
    assert_eq!(
        (again.status, &again.json()["error"]),
        (400, &json!("invalid_grant"))
    );
    // What came of it is revoked.
    let access = text(&tokens, "access_token");
    let introspected = flow
        .ask(Endpoint::Introspection, &[("token", access)])
        .await
        .json();
    assert_eq!(introspected, json!({"active": false}));
    assert_eq!(refresh(&flow, &tokens).await.status, 400);

    let code = flow.code(&mut visitor).await;
    let other = Flow {
        verifier: "another verifier, which is long enough".repeat(2),
        ..flow.clone()
    };
    assert_eq!(other.redeem(&code, &basic()).await.status, 400);
    let code = flow.code(&mut visitor).await;
    let other = Flow {
        redirect_uri: "https://app.example/other".to_owned(),
        ..flow.clone()
    };
    assert_eq!(other.redeem(&code, &basic()).await.status, 400);
    let code = flow.code(&mut visitor).await;
    assert_eq!(
        flow.redeem_as(&code, None, &[("client_id", "spa")])
            .await
            .status,
        400
    );
    idp.openid()
        .configure(|settings| settings.code_lifetime = 0);
    let code = flow.code(&mut visitor).await;
    assert_eq!(flow.redeem(&code, &basic()).await.status, 400);
}

#[tokio::test]
async fn refresh_tokens_rotate_and_reuse_ends_the_family() {
    let idp = Idp::start();
    let flow = Flow::new(&idp);
    let first = flow.tokens(&mut Visitor::new()).await;
    let second = refresh(&flow, &first).await.json();
    let claims = token::untrusted_claims(text(&second, "id_token"));
    let before = token::untrusted_claims(text(&first, "id_token"));
    assert!(claims["nonce"].is_null());
    for claim in ["iss", "sub", "aud", "auth_time", "sid"] {
        assert_eq!(claims[claim], before[claim], "{claim}");
    }
    assert_ne!(second["refresh_token"], first["refresh_token"]);
    let narrower = [
        ("grant_type", "refresh_token"),
        ("refresh_token", text(&second, "refresh_token")),
        ("scope", "openid admin"),
    ];
    let reply = flow.ask(Endpoint::Token, &narrower).await;
    assert_eq!(reply.json()["error"], "invalid_scope");
    let third = refresh(&flow, &second).await.json();

    // Somebody has the first one too.
    assert_eq!(
        refresh(&flow, &first).await.json()["error"],
        "invalid_grant"
    );
    assert_eq!(
        refresh(&flow, &third).await.json()["error"],
        "invalid_grant"
    );
    for tokens in [&first, &second, &third] {
        let access = [("token", text(tokens, "access_token"))];
        let introspected = flow.ask(Endpoint::Introspection, &access).await.json();
        assert_eq!(introspected["active"], false);
    }

    idp.openid().configure(|settings| {
        settings.rotates_refresh_tokens = false;
        settings.id_token_at_refresh = false;
    });
    let first = flow.tokens(&mut Visitor::new()).await;
    for _ in 0..2 {
        let again = refresh(&flow, &first).await.json();
        assert!(again["refresh_token"].is_null() && again["id_token"].is_null());
        assert!(again["access_token"].is_string());
    }
    idp.openid()
        .configure(|settings| settings.refresh_tokens = false);
    assert!(flow.tokens(&mut Visitor::new()).await["refresh_token"].is_null());
}

#[tokio::test]
async fn revocation_of_one_token_and_of_a_family() {
    let idp = Idp::start();
    idp.openid().register(RelyingParty::public("spa", CALLBACK));
    let flow = Flow::new(&idp);
    let tokens = flow.tokens(&mut Visitor::new()).await;
    let (access, refresh_token) = (
        text(&tokens, "access_token"),
        text(&tokens, "refresh_token"),
    );
    let active = async |token: &str| {
        let reply = flow.ask(Endpoint::Introspection, &[("token", token)]).await;
        reply.json()["active"] == true
    };
    assert!(active(access).await && active(refresh_token).await);
    let others = Flow::of(&idp, "spa");
    let fields = [("client_id", "spa"), ("token", access)];
    assert_eq!(
        others
            .ask_as(Endpoint::Revocation, None, &fields)
            .await
            .status,
        400
    );
    assert_eq!(
        others
            .ask_as(Endpoint::Introspection, None, &fields)
            .await
            .status,
        401
    );

    assert_eq!(
        flow.ask(Endpoint::Revocation, &[("token", access)])
            .await
            .status,
        200
    );
    assert!(!active(access).await && active(refresh_token).await);
    let second = refresh(&flow, &tokens).await.json();
    let newer = text(&second, "refresh_token");
    assert_eq!(
        flow.ask(Endpoint::Revocation, &[("token", newer)])
            .await
            .status,
        200
    );
    assert!(!active(newer).await && !active(text(&second, "access_token")).await);
    assert_eq!(
        flow.ask(Endpoint::Revocation, &[("token", "unknown")])
            .await
            .status,
        200
    );
    assert_eq!(flow.ask(Endpoint::Revocation, &[]).await.status, 400);
}

#[tokio::test]
async fn a_pushed_request_is_used_once() {
    let idp = Idp::start();
    let flow = Flow::new(&idp);
    let url = flow.authorize(&[]);
    let pushed = parameters(&url);
    let pushed: Vec<(&str, &str)> = pushed
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    let reply = flow.ask(Endpoint::PushedAuthorization, &pushed).await;
    assert_eq!(reply.status, 201, "{}", reply.body);
    let pushed_answer = reply.json();
    let query = [
        ("client_id", "web"),
        ("request_uri", text(&pushed_answer, "request_uri")),
    ];
    let query = serde_urlencoded::to_string(query).unwrap();
    let short = format!("{}?{query}", idp.openid().url(Endpoint::Authorize));
    let mut visitor = Visitor::new();
    let back = visitor.sign_in(&short, ALICE[0].1, ALICE[1].1).await;
    let code = parameter(back.header("location").unwrap(), "code");
    assert_eq!(flow.redeem(&code, &basic()).await.status, 200);
    assert_eq!(visitor.get(&short).await.status, 400);

    let bad = [
        ("client_id", "web"),
        ("redirect_uri", "https://attacker.example/"),
    ];
    assert_eq!(
        flow.ask(Endpoint::PushedAuthorization, &bad).await.status,
        400
    );
    let bad = flow
        .ask_as(Endpoint::PushedAuthorization, None, &pushed)
        .await;
    assert_eq!(bad.status, 401);
}

async fn refresh(flow: &Flow, tokens: &Value) -> bearer_gate_testbed::http::Reply {
    let fields = [
        ("grant_type", "refresh_token"),
        ("refresh_token", text(tokens, "refresh_token")),
    ];
    flow.ask(Endpoint::Token, &fields).await
}

fn text<'a>(tokens: &'a Value, member: &str) -> &'a str {
    let text = tokens[member].as_str();
    text.unwrap_or_else(|| panic!("no {member} in {tokens}"))
}
