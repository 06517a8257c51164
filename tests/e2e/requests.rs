//! Requests and tokens: what passes, what is rejected, and what client and upstream see.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bearer_gate_testbed::http::Reply;
use bearer_gate_testbed::keys::{KeyForm, RsaHash, SigningKey};
use bearer_gate_testbed::raw::RawResponse;
use bearer_gate_testbed::token;
use serde_json::{Value, json};

use crate::stage::{self, Stage, provider};

/// Public, private and scoped routes, as in Auth0's quickstarts.
pub(crate) fn routes(stage: &Stage) -> Value {
    json!({
        "providers": {"demo": provider(stage, json!({
            "claim_to_headers": [
                {"header_name": "x-user", "claim_name": "sub"},
                {"header_name": "x-tier", "claim_name": "account.tier"},
                {"header_name": "x-number", "claim_name": "number"},
                {"header_name": "x-evil", "claim_name": "evil"},
            ],
            "forward_payload_header": "x-jwt-payload",
        }))},
        "rules": [
            {"match": {"prefix": "/public"}},
            {"match": {"path": "/api/messages", "methods": ["POST"]},
             "requires": {"provider_name": "demo"},
             "authorize": {"scopes": {"all": ["write:messages", "read:messages"]}}},
            {"match": {"prefix": "/api/private-scoped"},
             "requires": {"provider_name": "demo"},
             "authorize": {"scopes": {"all": ["read:messages"]}}},
            {"match": {"prefix": "/api"}, "requires": {"provider_name": "demo"}},
        ],
    })
}

fn assert_rejected(reply: &Reply, status: u16, challenge: Option<&str>, description: &str) {
    assert_eq!(reply.status, status, "{}", reply.body);
    assert_eq!(reply.challenge(), challenge, "{}", reply.body);
    assert_eq!(reply.json()["error_description"], description);
    assert_eq!(reply.header("content-type"), Some("application/json"));
}

fn invalid_token(description: &str) -> String {
    format!(r#"Bearer realm="api", error="invalid_token", error_description="{description}""#)
}

fn assert_invalid(reply: &Reply, description: &str) {
    assert_rejected(reply, 401, Some(&invalid_token(description)), description);
}

#[tokio::test]
async fn public_private_and_unmatched_routes() {
    let stage = Stage::start(routes);
    let token = stage.idp.good_token();

    assert_eq!(stage.get("/public").await.status, 200);
    assert_eq!(stage.get("/public/deeper?x=1").await.status, 200);
    assert_eq!(stage.get_with("/public", "rubbish").await.status, 200);
    assert_eq!(stage.get_with("/api/private", &token).await.status, 200);
    assert_eq!(stage.upstream.requests(), 4);

    let reply = stage.get("/api/private").await;
    assert_rejected(&reply, 401, Some(r#"Bearer realm="api""#), "Jwt is missing");
    for target in ["/", "/other", "/API/private", "/publi"] {
        let reply = stage.get_with(target, &token).await;
        assert_rejected(&reply, 403, None, "No rule allows this request");
    }
    assert_eq!(
        stage.upstream.requests(),
        4,
        "the upstream saw none of them"
    );
    stage.assert_allowed(4);
    assert_eq!(stage.counter("bearer_gate.denied.token_missing"), 1);
    assert_eq!(stage.counter("bearer_gate.denied.no_rule"), 4);
    assert!(
        stage
            .envoy()
            .log()
            .contains("signatures verified by the host verifier"),
        "the host's verifier is used where there is one"
    );
}

#[tokio::test]
async fn tokens_that_are_not_good() {
    let stage = Stage::start(routes);
    let idp = &stage.idp;
    let good = idp.good_token();
    assert_eq!(stage.get_with("/api/private", &good).await.status, 200);

    let claims = idp.claims();
    let other_key = SigningKey::generate();
    let key = idp.key();
    let jwk = key.jwk(KeyForm::Modulus).to_string();
    let hs256 = |secret: &[u8]| token::hs256(secret, key.kid(), &claims.value());
    let signed = |claims: &token::Claims| idp.token(claims);
    for (token, description) in [
        (signed(&claims.clone().expires_in(-61)), "Jwt is expired"),
        (
            signed(&claims.clone().not_before_in(120)),
            "Jwt not yet valid",
        ),
        (
            signed(&claims.clone().without("exp")),
            "Jwt payload [exp] field is required",
        ),
        (
            signed(&claims.clone().issuer("https://evil.example/")),
            "Jwt issuer is not configured",
        ),
        (
            signed(&claims.clone().issuer(idp.issuer().trim_end_matches('/'))),
            "Jwt issuer is not configured",
        ),
        (
            signed(&claims.clone().without("iss")),
            "Jwt issuer is not configured",
        ),
        (
            signed(&claims.clone().audience("https://other.example")),
            "Audiences in Jwt are not allowed",
        ),
        (
            signed(&claims.clone().audience(json!([]))),
            "Audiences in Jwt are not allowed",
        ),
        (
            signed(&claims.clone().without("aud")),
            "Audiences in Jwt are not allowed",
        ),
        (
            token::with_claims(&good, &claims.clone().subject("admin").value()),
            "Jwt verification fails",
        ),
        (
            token::with_signature_bit_flipped(&good, 0),
            "Jwt verification fails",
        ),
        (
            token::with_signature_bit_flipped(&good, 2047),
            "Jwt verification fails",
        ),
        (
            token::sign(&other_key, &idp.header(), &claims.value()),
            "Jwt verification fails",
        ),
    ] {
        assert_invalid(&stage.get_with("/api/private", &token).await, description);
    }
    for token in [
        token::unsecured("none", &claims.value()),
        token::unsecured("None", &claims.value()),
        token::unsecured("nOnE", &claims.value()),
        hs256(key.public_pem().as_bytes()),
        hs256(key.public_pkcs1_pem().as_bytes()),
        hs256(&key.public_der()),
        hs256(jwk.as_bytes()),
        hs256(format!(" {}", key.public_pem()).as_bytes()),
        // A good signature, by an algorithm that the key is not for.
        token::sign_with(
            &key,
            RsaHash::Sha512,
            &json!({"alg": "RS512", "kid": key.kid()}),
            &claims.value(),
        ),
        "rubbish".into(),
        "a.b".into(),
        "a.b.c.d.e".into(),
        format!("{good}="),
        format!("{good}.{good}"),
    ] {
        let reply = stage.get_with("/api/private", &token).await;
        assert_eq!(reply.status, 401, "{}", reply.body);
        assert!(
            reply
                .challenge()
                .unwrap()
                .contains(r#"error="invalid_token""#)
        );
    }
    assert_eq!(stage.upstream.requests(), 1);
    assert_eq!(stage.traps(), 0);
}

#[tokio::test]
async fn an_unknown_kid_is_refused_after_a_fetch_of_its_own() {
    let stage = Stage::start(routes);
    assert_eq!(
        stage
            .get_with("/api/private", &stage.idp.good_token())
            .await
            .status,
        200
    );
    let before = stage.idp.jwks_requests();
    let stranger = SigningKey::generate();
    let claims = stage.idp.claims().value();
    let token = token::sign(&stranger, &token::header(stranger.kid()), &claims);
    for _ in 0..2 {
        let reply = stage.get_with("/api/private", &token).await;
        assert_invalid(&reply, "Jwks doesn't have key to match kid or alg from Jwt");
    }
    assert_eq!(stage.idp.jwks_requests(), before + 2);
    // Until the next fetch is allowed, it is unknown whether that key exists.
    let reply = stage.get_with("/api/private", &token).await;
    assert_rejected(&reply, 503, None, "Jwks remote fetch is failed");
    let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=30).contains(&wait), "{wait}");
    assert_eq!(stage.idp.jwks_requests(), before + 2);
    assert_eq!(stage.upstream.requests(), 1);
}

#[tokio::test]
async fn a26_scopes_decide_after_the_token() {
    let stage = Stage::start(routes);
    let idp = &stage.idp;
    let with_scope = |scope: &str| idp.token(&idp.claims().scope(scope));
    let insufficient = r#"Bearer realm="api", error="insufficient_scope", error_description="Jwt lacks a scope that is required here", scope="read:messages""#;
    let target = "/api/private-scoped";

    for scope in [
        "read:messages",
        "a read:messages b",
        "read:messages read:messages",
    ] {
        assert_eq!(
            stage.get_with(target, &with_scope(scope)).await.status,
            200,
            "{scope}"
        );
    }
    // As permissions and scp, which other providers use.
    for (claim, value) in [
        ("permissions", json!(["read:messages"])),
        ("scp", json!(["read:messages"])),
        ("scp", json!("x read:messages")),
    ] {
        let token = idp.token(&idp.claims().without("scope").with(claim, value));
        assert_eq!(stage.get_with(target, &token).await.status, 200, "{claim}");
    }
    assert_eq!(stage.upstream.requests(), 6);

    for scope in [
        "",
        "read",
        "read:message",
        "read:messages2",
        "READ:MESSAGES",
        "read:messages,x",
        "write:messages",
    ] {
        let reply = stage.get_with(target, &with_scope(scope)).await;
        assert_rejected(
            &reply,
            403,
            Some(insufficient),
            "Jwt lacks a scope that is required here",
        );
    }
    assert_eq!(stage.get(target).await.status, 401, "first of all a token");

    // A rule for one method only: the others fall to the next rule.
    let post = |token: String| stage.post("/api/messages", token, "hello");
    let reply = post(with_scope("read:messages")).await;
    assert_eq!(reply.status, 403);
    assert!(
        reply
            .challenge()
            .unwrap()
            .ends_with(r#"scope="write:messages read:messages""#)
    );
    assert_eq!(
        post(with_scope("read:messages write:messages"))
            .await
            .status,
        200
    );
    assert_eq!(
        stage
            .get_with("/api/messages", &with_scope(""))
            .await
            .status,
        200
    );
    assert_eq!(stage.upstream.requests(), 8);
}

#[tokio::test]
async fn a28_the_upstream_sees_claims_and_never_the_clients_forgeries() {
    let stage = Stage::start(routes);
    let idp = &stage.idp;
    let claims = idp
        .claims()
        .subject("auth0|5f7c8ec7c33c6c004bbafe82")
        .with("account", json!({"tier": "gold"}))
        .with("number", 9_007_199_254_740_993_u64)
        .with("evil", "a\r\nx-admin: yes");
    let token = idp.token(&claims);
    let forged = [
        "x-user",
        "X-User",
        "x_user",
        "x.user",
        "X~User",
        "x-jwt-payload",
        "x_jwt_payload",
        "x-jwt_payload",
        "x-jwt.payload",
        "x-tier",
        "x-evil",
    ];
    let bearer = format!("Bearer {token}");
    let with_forged = |extra: &[(&'static str, &str)]| {
        let mut headers: Vec<(String, String)> = forged
            .iter()
            .map(|name| ((*name).to_owned(), "forged".to_owned()))
            .collect();
        headers.extend(
            extra
                .iter()
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned())),
        );
        headers
    };

    let reply = stage.get_raw("/api/private", &with_forged(&[("authorization", &bearer)]));
    assert_eq!(reply.status, 200);
    let seen = |name: &str| seen(&reply, name);
    assert_eq!(seen("x-user"), ["auth0|5f7c8ec7c33c6c004bbafe82"]);
    assert_eq!(seen("x-tier"), ["gold"]);
    assert_eq!(seen("x-number"), ["9007199254740993"]);
    assert!(seen("authorization").is_empty(), "the token ends here");
    assert!(seen("x-evil").is_empty() && seen("x-admin").is_empty());
    let payload = BASE64_URL_SAFE_NO_PAD
        .decode(&seen("x-jwt-payload")[0])
        .unwrap();
    assert_eq!(
        serde_json::from_slice::<Value>(&payload).unwrap(),
        claims.value()
    );
    for spelling in [
        "x_user",
        "x.user",
        "x~user",
        "x_jwt_payload",
        "x-jwt_payload",
        "x-jwt.payload",
    ] {
        assert!(seen(spelling).is_empty(), "{spelling}");
    }

    // The client's copies are removed also where a claim is missing and on public routes.
    let token = idp.token(&idp.claims().without("sub"));
    let bearer = format!("Bearer {token}");
    for reply in [
        stage.get_raw("/api/private", &with_forged(&[("authorization", &bearer)])),
        stage.get_raw("/public", &with_forged(&[])),
    ] {
        assert_eq!(reply.status, 200);
        assert!(!reply.text().contains("forged"), "{}", reply.text());
    }
}

fn seen(reply: &RawResponse, name: &str) -> Vec<String> {
    reply.json()["headers"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|header| header[0] == name)
        .map(|header| header[1].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_token_is_forwarded_where_that_is_configured() {
    let stage = Stage::start(|stage| {
        let mut config = routes(stage);
        config["providers"]["demo"]["forward"] = json!(true);
        config["realm"] = json!("orders");
        config
    });
    let token = stage.idp.good_token();
    let reply = stage.get_with("/api/private", &token).await;
    assert_eq!(reply.seen("authorization"), [format!("Bearer {token}")]);
    let reply = stage.get("/api/private").await;
    assert_eq!(reply.challenge(), Some(r#"Bearer realm="orders""#));
}

#[tokio::test]
async fn keys_that_are_only_certificates() {
    let stage = Stage::start_with(|idp| idp.set_key_form(KeyForm::CertificateOnly), routes);
    assert!(stage.idp.jwks()["keys"][0].get("n").is_none());
    assert_eq!(
        stage
            .get_with("/api/private", &stage.idp.good_token())
            .await
            .status,
        200
    );
    let stranger = token::sign(
        &SigningKey::generate(),
        &stage.idp.header(),
        &stage.idp.claims().value(),
    );
    assert_invalid(
        &stage.get_with("/api/private", &stranger).await,
        "Jwt verification fails",
    );
}

/// Google's and Firebase's map of kids to certificates, through a rotation.
#[tokio::test]
async fn a20_keys_as_certificates_by_kid() {
    let stage = Stage::start_with(|idp| idp.set_key_form(KeyForm::CertificatesByKid), routes);
    assert!(stage.idp.jwks().get("keys").is_none());
    let status = |token: String| {
        let stage = &stage;
        async move { stage.get_with("/api/private", &token).await.status }
    };
    assert_eq!(status(stage.idp.good_token()).await, 200);
    let stranger = token::sign(
        &SigningKey::generate().renamed(stage.idp.key().kid()),
        &stage.idp.header(),
        &stage.idp.claims().value(),
    );
    assert_invalid(
        &stage.get_with("/api/private", &stranger).await,
        "Jwt verification fails",
    );
    let next = stage.idp.rotate_and_drop();
    let after = token::sign(&next, &stage.idp.header(), &stage.idp.claims().value());
    assert_eq!(status(after).await, 200);
    assert_eq!(stage.traps(), 0);
}

#[tokio::test]
async fn keys_in_the_configuration_verify_what_pyjwt_signed() {
    const PEM: &str = include_str!("../fixtures/rsa2048-a.pem");
    const OTHER_PEM: &str = include_str!("../fixtures/rsa2048-b.pem");
    let jwk: Value = serde_json::from_str(include_str!("../fixtures/rsa2048-a.jwk.json")).unwrap();
    let kid = jwk["kid"].as_str().unwrap().to_owned();
    let jwks = json!({"keys": [jwk]}).to_string();
    let stage = Stage::start(|_| {
        json!({
            "providers": {"local": {
                "issuer": "https://py.example/",
                "audiences": ["https://api.example"],
                "local_jwks": {"inline_string": jwks},
                "claim_to_headers": [{"header_name": "x-user", "claim_name": "sub"}],
            }},
            "rules": [
                {"match": {"prefix": "/scoped"}, "requires": {"provider_name": "local"},
                 "authorize": {"scopes": {"any": ["admin", "write"]}}},
                {"match": {"prefix": "/"}, "requires": {"provider_name": "local"}},
            ],
        })
    });
    let now = token::now();
    let claims = json!({
        "iss": "https://py.example/", "aud": ["https://api.example", "other"],
        "sub": "user-1", "iat": now, "exp": now + 300, "scope": "read",
    });
    let header = json!({"kid": kid});
    let changed = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        claims
    };
    let without = |name: &str| {
        let mut claims = claims.clone();
        claims.as_object_mut().unwrap().remove(name);
        claims
    };
    let order = |pem: &str, algorithm: &str, header: &Value, claims: Value| json!({"pem": pem, "algorithm": algorithm, "header": header, "claims": claims});
    let own = |claims: Value| order(PEM, "RS256", &header, claims);
    let with_header = |name: &str, value: Value| {
        let mut header = header.clone();
        header[name] = value;
        order(PEM, "RS256", &header, claims.clone())
    };
    let good = [
        own(claims.clone()),
        own(changed("aud", json!("https://api.example"))),
        own(changed("exp", json!(now - 30))), // within the skew
        own(changed("nbf", json!(now + 30))),
        order(PEM, "RS256", &json!({}), claims.clone()), // the only key there is
        order(
            PEM,
            "RS256",
            &json!({"kid": kid, "typ": "at+jwt"}),
            claims.clone(),
        ),
    ];
    let hostile = [
        own(changed("exp", json!(now - 120))),
        own(changed("exp", json!("never"))),
        own(changed("exp", json!(u64::MAX))),
        own(changed("exp", json!(-1))),
        own(without("exp")),
        own(changed("nbf", json!(now + 120))),
        own(changed("iat", json!(now + 3600))),
        own(changed("iss", json!("https://py.example"))),
        own(changed("iss", json!("https://PY.example/"))),
        own(without("iss")),
        own(changed("aud", json!("https://api.example.evil"))),
        own(changed("aud", json!("api"))),
        own(changed("aud", json!([]))),
        own(without("aud")),
        own(changed("cnf", json!({"jkt": "x"}))),
        order(OTHER_PEM, "RS256", &header, claims.clone()),
        order(PEM, "RS384", &header, claims.clone()), // the JWK says RS256
        order(PEM, "PS256", &header, claims.clone()),
        order(
            "0123456789abcdef0123456789abcdef",
            "HS256",
            &header,
            claims.clone(),
        ),
        order("", "none", &header, claims.clone()),
        with_header("crit", json!(["exp"])),
        with_header("crit", json!([])),
        with_header("kid", json!("../../etc/passwd")),
        with_header("jku", json!("https://evil.example/jwks")),
    ];
    let jku_is_ignored = hostile.len() - 1;
    let tokens = stage::mint(&json!([good.to_vec(), hostile.to_vec()].concat()));
    let (good, hostile) = tokens.split_at(good.len());
    for token in good {
        let reply = stage.get_with("/x", token).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        assert_eq!(reply.seen("x-user"), ["user-1"]);
    }
    // A `jku` is never read: the token is good by its own key.
    assert_eq!(
        stage.get_with("/x", &hostile[jku_is_ignored]).await.status,
        200
    );
    let passed = stage.upstream.requests();
    assert_eq!(passed, good.len() as u64 + 1);
    for (at, token) in hostile[..jku_is_ignored].iter().enumerate() {
        let reply = stage.get_with("/x", token).await;
        assert_eq!(reply.status, 401, "variant {at}: {}", reply.body);
        assert!(
            reply
                .challenge()
                .unwrap()
                .contains(r#"error="invalid_token""#)
        );
    }
    assert!(jku_is_ignored >= 20);
    assert_eq!(stage.get_with("/scoped", &good[0]).await.status, 403);
    assert_eq!(
        stage.upstream.requests(),
        passed,
        "the upstream's count agrees"
    );
}
