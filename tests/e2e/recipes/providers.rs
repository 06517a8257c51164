//! A test for each recipe. The claims and headers of tokens, the paths of issuers and keys, and the
//! oddities of key sets are those that the providers document.

use bearer_gate_testbed::idp::{Fault, Idp, IdpBuilder};
use bearer_gate_testbed::keys::{KeyForm, SigningKey};
use bearer_gate_testbed::token;
use serde_json::{Value, json};

use super::kitchen::Kitchen;
use crate::stage::merge;

fn idp(issuer_path: &str, jwks_path: &str) -> IdpBuilder {
    Idp::builder().issuer_path(issuer_path).jwks_path(jwks_path)
}

#[tokio::test]
async fn auth0() {
    let kitchen = Kitchen::open("auth0", idp("/", "/.well-known/jwks.json"), |_| {});
    kitchen.check_without_token().await;
    let roles = "https://example.com/roles";
    // A user's token, after a login that asked for openid too.
    let user = json!({
        "sub": "auth0|5f7c8ec7c33c6c004bbafe82",
        "aud": ["https://api.example.com", "https://tenant.eu.auth0.com/userinfo"],
        "azp": "my_client_id",
        "scope": "openid profile",
        "permissions": [],
    });
    let machine = json!({
        "sub": "my_client_id@clients",
        "aud": "https://api.example.com",
        "azp": "my_client_id",
        "gty": "client-credentials",
        "scope": "read:messages",
        "permissions": ["read:messages"],
    });
    kitchen
        .check(
            &user,
            &[
                ("no scope, no role", json!({}), [200, 403, 403, 403]),
                (
                    "a scope",
                    json!({"scope": "openid read:messages"}),
                    [200, 200, 403, 403],
                ),
                (
                    "a permission",
                    json!({"permissions": ["read:messages"]}),
                    [200, 200, 403, 403],
                ),
                (
                    "another scope",
                    json!({"scope": "read:messages2"}),
                    [200, 403, 403, 403],
                ),
                ("editor", json!({roles: ["editor"]}), [200, 403, 200, 403]),
                ("admin", json!({roles: ["admin"]}), [200, 403, 200, 200]),
                (
                    "roles without the namespace",
                    json!({"roles": ["admin"]}),
                    [200, 403, 403, 403],
                ),
                ("a machine", machine.clone(), [200, 200, 403, 403]),
                (
                    "for the management API",
                    json!({"aud": "https://tenant.eu.auth0.com/api/v2/"}),
                    [401; 4],
                ),
                ("an ID token", json!({"aud": "my_client_id"}), [401; 4]),
            ],
        )
        .await;
    kitchen
        .check_headers(
            &user,
            &[
                ("x-user", "auth0|5f7c8ec7c33c6c004bbafe82"),
                ("x-client", "my_client_id"),
            ],
        )
        .await;
}

#[tokio::test]
async fn entra() {
    const TENANT: &str = "/11111111-1111-1111-1111-111111111111";
    let kitchen = Kitchen::open(
        "entra",
        idp(
            &format!("{TENANT}/v2.0"),
            &format!("{TENANT}/discovery/v2.0/keys"),
        ),
        |idp| {
            // Entra's keys have no alg. Of two with one kid, the first counts.
            let mut jwk = idp.key().jwk(KeyForm::ModulusAndCertificate);
            jwk.as_object_mut().unwrap().remove("alg");
            jwk["x5t"] = jwk["kid"].clone();
            jwk["issuer"] = json!(idp.issuer());
            idp.set_extra_jwks(vec![jwk]);
        },
    );
    kitchen.check_without_token().await;
    let user = json!({
        "aud": "22222222-2222-2222-2222-222222222222",
        "nbf": token::now() - 5,
        "aio": "AXQAi/8TAAAA",
        "azp": "33333333-3333-3333-3333-333333333333",
        "azpacr": "0",
        "name": "Ada",
        "oid": "44444444-4444-4444-4444-444444444444",
        "preferred_username": "ada@example.com",
        "rh": "0.AXQA",
        "scp": "access_as_user Messages.Read",
        "sub": "HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ",
        "tid": "11111111-1111-1111-1111-111111111111",
        "uti": "fqiBqXLPj0eQa82S-IYFAA",
        "ver": "2.0",
    });
    // An application's own: app roles, no scp.
    let mut application = user.clone();
    application.as_object_mut().unwrap().remove("scp");
    merge(
        &mut application,
        json!({"idtyp": "app", "roles": ["Admin"]}),
    );
    kitchen
        .check(
            &user,
            &[
                ("a user", json!({}), [200, 200, 403, 403]),
                (
                    "without the scope",
                    json!({"scp": "access_as_user"}),
                    [200, 403, 403, 403],
                ),
                ("Editor", json!({"roles": ["Editor"]}), [200, 200, 200, 403]),
                ("Admin", json!({"roles": ["Admin"]}), [200, 200, 200, 200]),
                (
                    "the case of a role counts",
                    json!({"roles": ["admin"]}),
                    [200, 200, 403, 403],
                ),
                (
                    "version 1.0",
                    json!({
                        "ver": "1.0",
                        "iss": "https://sts.windows.net/11111111-1111-1111-1111-111111111111/",
                        "aud": "api://22222222-2222-2222-2222-222222222222",
                    }),
                    [401; 4],
                ),
                (
                    "for Microsoft Graph",
                    json!({"aud": "00000003-0000-0000-c000-000000000000"}),
                    [401; 4],
                ),
            ],
        )
        .await;
    kitchen
        .check(
            &application,
            &[("an application", json!({}), [200, 403, 200, 200])],
        )
        .await;
    kitchen
        .check_headers(
            &user,
            &[
                ("x-user", "44444444-4444-4444-4444-444444444444"),
                ("x-client", "33333333-3333-3333-3333-333333333333"),
            ],
        )
        .await;
}

#[tokio::test]
async fn okta() {
    let kitchen = Kitchen::open(
        "okta",
        idp("/oauth2/default", "/oauth2/default/v1/keys"),
        |_| {},
    );
    kitchen.check_without_token().await;
    let user = json!({
        "ver": 1,
        "jti": "AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE",
        "aud": "api://default",
        "cid": "nmdP1fcyvdVO11AL7ECm",
        "uid": "00uid4BxXw6I6TV4m0g3",
        "scp": ["openid", "read:messages"],
        "auth_time": token::now() - 5,
        "sub": "ada@example.com",
    });
    kitchen
        .check(
            &user,
            &[
                ("a user", json!({}), [200, 200, 403, 403]),
                (
                    "without the scope",
                    json!({"scp": ["openid"]}),
                    [200, 403, 403, 403],
                ),
                (
                    "Editors",
                    json!({"groups": ["Everyone", "Editors"]}),
                    [200, 200, 200, 403],
                ),
                (
                    "Admins",
                    json!({"groups": ["Everyone", "Admins"]}),
                    [200, 200, 200, 200],
                ),
                (
                    "of the organization's server",
                    json!({"iss": kitchen.idp.url(), "aud": kitchen.idp.url()}),
                    [401; 4],
                ),
                ("for another API", json!({"aud": "api://other"}), [401; 4]),
            ],
        )
        .await;
    kitchen
        .check_headers(
            &user,
            &[
                ("x-user", "ada@example.com"),
                ("x-client", "nmdP1fcyvdVO11AL7ECm"),
            ],
        )
        .await;
}

#[tokio::test]
async fn keycloak() {
    let kitchen = Kitchen::open(
        "keycloak",
        idp("/realms/demo", "/realms/demo/protocol/openid-connect/certs"),
        |idp| {
            // A realm publishes its key for encryption too, and it comes first.
            let mut jwk = SigningKey::generate().jwk(KeyForm::ModulusAndCertificate);
            jwk["use"] = json!("enc");
            jwk["alg"] = json!("RSA-OAEP");
            idp.set_extra_jwks(vec![jwk]);
        },
    );
    kitchen.check_without_token().await;
    let user = json!({
        "jti": "onrtro:4ba5a1f9-5c1c-4b4c-8c1e-3a6b9d0d6a11",
        "aud": ["api", "account"],
        "sub": "b4b3f5f2-7c0e-4b5a-9a6f-1f2f3f4f5f6f",
        "typ": "Bearer",
        "azp": "frontend",
        "sid": "9d5b6d8e-1111-4222-8333-444455556666",
        "acr": "1",
        "realm_access": {"roles": ["default-roles-demo", "offline_access"]},
        "resource_access": {"account": {"roles": ["manage-account", "admin"]}},
        "scope": "profile email",
        "preferred_username": "ada",
    });
    kitchen
        .check(
            &user,
            &[
                ("a user", json!({}), [200, 403, 403, 403]),
                (
                    "a scope",
                    json!({"scope": "profile read:messages"}),
                    [200, 200, 403, 403],
                ),
                (
                    "the realm's editor",
                    json!({"realm_access": {"roles": ["editor"]}}),
                    [200, 403, 200, 403],
                ),
                (
                    "the client's admin",
                    json!({"resource_access": {"api": {"roles": ["admin"]}}}),
                    [200, 403, 403, 200],
                ),
                (
                    "the realm's admin is not the client's",
                    json!({"realm_access": {"roles": ["admin"]}}),
                    [200, 403, 403, 403],
                ),
                (
                    "without an audience mapper",
                    json!({"aud": "account"}),
                    [401; 4],
                ),
                (
                    "of another realm",
                    json!({"iss": format!("{}/realms/other", kitchen.idp.url())}),
                    [401; 4],
                ),
            ],
        )
        .await;
    kitchen
        .check_headers(
            &user,
            &[
                ("x-user", "b4b3f5f2-7c0e-4b5a-9a6f-1f2f3f4f5f6f"),
                ("x-client", "frontend"),
            ],
        )
        .await;
}

#[tokio::test]
async fn google() {
    let kitchen = Kitchen::open("google", idp("", "/oauth2/v3/certs"), |idp| {
        idp.set_jwks_uri(Some("http://www.googleapis.com/oauth2/v3/certs"));
        idp.set_cache_control(Some("public, max-age=21600, must-revalidate"));
    });
    kitchen.check_without_token().await;
    let user = json!({
        "azp": "1234567890-abc.apps.googleusercontent.com",
        "aud": "1234567890-abc.apps.googleusercontent.com",
        "sub": "110169484474386276334",
        "at_hash": "HK6E_P6Dh8Y93mRNtsDB1Q",
        "email": "someone@gmail.com",
        "email_verified": true,
    });
    kitchen
        .check(
            &user,
            &[
                ("any account", json!({}), [200, 403, 403, 403]),
                (
                    "the domain's",
                    json!({"hd": "example.com", "email": "x@example.com"}),
                    [200, 200, 403, 403],
                ),
                (
                    "another domain's",
                    json!({"hd": "example.org", "email": "x@example.org"}),
                    [200, 403, 403, 403],
                ),
                (
                    "an editor",
                    json!({"hd": "example.com", "email": "ed@example.com"}),
                    [200, 200, 200, 403],
                ),
                (
                    "an administrator",
                    json!({"hd": "example.com", "email": "ada@example.com"}),
                    [200, 200, 200, 200],
                ),
                (
                    "whose address was not verified",
                    json!({"email": "ada@example.com", "email_verified": false}),
                    [200, 403, 403, 403],
                ),
                (
                    "of another client",
                    json!({"aud": "999-xyz.apps.googleusercontent.com"}),
                    [401; 4],
                ),
            ],
        )
        .await;
    kitchen
        .check_headers(
            &user,
            &[
                ("x-user", "110169484474386276334"),
                ("x-email", "someone@gmail.com"),
            ],
        )
        .await;
}

#[tokio::test]
async fn cognito() {
    const POOL: &str = "/eu-central-1_EXAMPLE";
    let kitchen = Kitchen::open(
        "cognito",
        idp(POOL, &format!("{POOL}/.well-known/jwks.json")),
        |_| {},
    );
    kitchen.check_without_token().await;
    let user = json!({
        "sub": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
        "client_id": "1example23456789",
        "origin_jti": "aaaaaaaa-bbbb-cccc-dddd-ffffffffffff",
        "event_id": "64f513be-32db-42b0-b78e-b02127b4f463",
        "token_use": "access",
        "scope": "openid email",
        "auth_time": token::now() - 5,
        "jti": "aaaaaaaa-bbbb-cccc-dddd-000000000000",
        "username": "ada",
    });
    // An ID token of the same user has aud in place of client_id.
    let id_token = json!({
        "sub": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
        "aud": "1example23456789",
        "token_use": "id",
        "cognito:username": "ada",
        "cognito:groups": ["admins"],
    });
    kitchen
        .check(
            &user,
            &[
                ("a user", json!({}), [200, 403, 403, 403]),
                (
                    "a custom scope",
                    json!({"scope": "openid messages/read"}),
                    [200, 200, 403, 403],
                ),
                (
                    "editors",
                    json!({"cognito:groups": ["editors"]}),
                    [200, 403, 200, 403],
                ),
                (
                    "admins",
                    json!({"cognito:groups": ["admins"]}),
                    [200, 403, 200, 200],
                ),
                (
                    "another app client of the pool",
                    json!({
                        "client_id": "other",
                        "scope": "messages/read",
                        "cognito:groups": ["admins"],
                    }),
                    [403; 4],
                ),
                (
                    "another pool",
                    json!({"iss": format!("{}/eu-central-1_OTHER", kitchen.idp.url())}),
                    [401; 4],
                ),
            ],
        )
        .await;
    kitchen
        .check(&id_token, &[("an ID token", json!({}), [403; 4])])
        .await;
    kitchen
        .check_headers(
            &user,
            &[
                ("x-user", "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"),
                ("x-client", "1example23456789"),
            ],
        )
        .await;
}

#[tokio::test]
async fn gateway() {
    let kitchen = Kitchen::open("gateway", idp("", "/jwks"), |idp| {
        idp.set_key_form(KeyForm::CertificateOnly);
        assert!(idp.jwks()["keys"][0].get("n").is_none());
    });
    kitchen.check_without_token().await;
    let user = json!({
        "aud": "https://api.example.com",
        "sub": "ada",
        "scope": "read:messages",
        "roles": [],
        "tenant": {"id": "t-17", "name": "Example"},
    });
    kitchen
        .check(
            &user,
            &[
                ("a user", json!({}), [200, 200, 403, 403]),
                (
                    "without the scope",
                    json!({"scope": "write:messages"}),
                    [200, 403, 403, 403],
                ),
                ("editor", json!({"roles": ["editor"]}), [200, 200, 200, 403]),
                ("admin", json!({"roles": ["admin"]}), [200, 200, 200, 200]),
                (
                    "another audience",
                    json!({"aud": "https://api.example.com/"}),
                    [401; 4],
                ),
            ],
        )
        .await;
    kitchen
        .check_headers(&user, &[("x-user", "ada"), ("x-tenant", "t-17")])
        .await;

    // A certificate that comes with the token is not a key.
    let forger = SigningKey::generate().renamed(kitchen.idp.key().kid());
    let header = json!({
        "alg": "RS256",
        "kid": forger.kid(),
        "x5c": forger.jwk(KeyForm::CertificateOnly)["x5c"],
    });
    let forged = token::sign(&forger, &header, &kitchen.claims(&user));
    assert_eq!(kitchen.statuses(Some(&forged)).await, [401; 4]);

    // Renewal: the new certificate beside the old, then alone.
    let old = kitchen.token(&user);
    kitchen.idp.rotate();
    let new = kitchen.token(&user);
    assert_eq!(kitchen.statuses(Some(&new)).await, [200, 200, 403, 403]);
    assert_eq!(kitchen.statuses(Some(&old)).await, [200, 200, 403, 403]);
}

#[tokio::test]
async fn mcp() {
    let kitchen = Kitchen::open("mcp", idp("", "/jwks"), |idp| {
        // Many authorization servers publish RFC 8414's metadata alone.
        idp.set_discovery(Fault::Status(404));
    });
    const DOCUMENT: &str = "/.well-known/oauth-protected-resource/mcp";
    let metadata =
        r#"resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp""#;

    // What a client does: ask, be told where the metadata are, read there who issues tokens.
    let reply = kitchen.get("/mcp", None).await;
    assert_eq!(reply.status, 401);
    let challenge = reply.challenge().unwrap().to_owned();
    assert_eq!(challenge, format!(r#"Bearer realm="api", {metadata}"#));
    let reply = kitchen.get(DOCUMENT, None).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(
        reply.json(),
        json!({
            "resource": "https://mcp.example.com/mcp",
            "authorization_servers": ["https://auth.example.com"],
            "scopes_supported": ["mcp:use", "mcp:admin"],
            "bearer_methods_supported": ["header"],
        })
    );

    let client = json!({
        "aud": "https://mcp.example.com/mcp",
        "sub": "ada",
        "client_id": "https://client.example/metadata.json",
        "scope": "mcp:use",
    });
    let with = |change: Value| {
        let mut claims = client.clone();
        merge(&mut claims, change);
        kitchen.token(&claims)
    };
    for (what, change, status) in [
        ("a client", json!({}), 200),
        ("without the scope", json!({"scope": "mcp:admin"}), 403),
        (
            "a token for another server",
            json!({"aud": "https://mcp.example.com/other"}),
            401,
        ),
        (
            "a token for the host",
            json!({"aud": "https://mcp.example.com"}),
            401,
        ),
    ] {
        let reply = kitchen.get("/mcp", Some(&with(change))).await;
        assert_eq!(reply.status, status, "{what}: {}", reply.body);
        if status != 200 {
            assert!(reply.challenge().unwrap().ends_with(metadata), "{what}");
        }
    }
    let reply = kitchen
        .get("/mcp", Some(&with(json!({"scope": "x"}))))
        .await;
    assert!(reply.challenge().unwrap().contains(r#"scope="mcp:use""#));

    let reply = kitchen.get("/mcp", Some(&with(json!({})))).await;
    assert_eq!(reply.seen("x-user"), ["ada"]);
    assert_eq!(
        reply.seen("x-client"),
        ["https://client.example/metadata.json"]
    );
    assert!(reply.seen("authorization").is_empty(), "not passed through");
    assert_eq!(kitchen.get("/mcp/other", None).await.status, 403);
    assert_eq!(kitchen.upstream.requests(), 2, "only what was admitted");
}
