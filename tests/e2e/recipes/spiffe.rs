//! SPIFFE: a bundle as SPIRE publishes it, and JWT-SVIDs as it issues them.

use bearer_gate_testbed::idp::{Fault, Idp};
use bearer_gate_testbed::token::now;
use serde_json::{Value, json};

use super::kitchen::Kitchen;
use crate::stage;

const ADMIN: &str = "spiffe://example.org/ns/production/sa/admin";
const P256: &str = include_str!("../../fixtures/p256.pem");
const P384: &str = include_str!("../../fixtures/p384.pem");

/// The key of tokens has no `alg`; that of certificates has no `kid`.
fn bundle() -> Value {
    let key = |text: &str, purpose: &str, without: &[&str]| {
        let mut jwk: Value = serde_json::from_str(text).unwrap();
        jwk["use"] = json!(purpose);
        without.iter().for_each(|name| {
            jwk.as_object_mut().unwrap().remove(*name);
        });
        jwk
    };
    let of_certificates = include_str!("../../fixtures/p384.x5c.jwk.json");
    let of_tokens = include_str!("../../fixtures/p256.jwk.json");
    json!({
        "keys": [
            key(of_certificates, "x509-svid", &["kid", "alg"]),
            key(of_tokens, "jwt-svid", &["alg"]),
        ],
        "spiffe_sequence": 7,
        "spiffe_refresh_hint": 300,
    })
}

/// An order for a token with these claims, each set or, where it is null, left out.
fn svid(pem: &str, algorithm: &str, header: &Value, change: &Value) -> Value {
    let mut claims = json!({
        "aud": ["reports"], "exp": now() + 300, "iat": now(),
        "sub": "spiffe://example.org/ns/production/sa/web",
    });
    stage::merge(&mut claims, change.clone());
    let members = claims.as_object_mut().unwrap();
    members.retain(|_, value| !value.is_null());
    json!({"pem": pem, "algorithm": algorithm, "header": header, "claims": claims})
}

#[tokio::test]
async fn a36_spiffe() {
    let idp = Idp::builder().jwks_path("/bundle");
    let kitchen = Kitchen::open("spiffe", idp, |idp| {
        idp.set_jwks(Fault::Body(bundle().to_string()));
    });
    assert_eq!(kitchen.get("/api/public", None).await.status, 200);
    assert_eq!(kitchen.statuses(None).await, [401, 403, 401, 401]);

    let named = json!({"kid": "p256"});
    let good = |change: Value| svid(P256, "ES256", &named, &change);
    let of = |sub: &str| good(json!({ "sub": sub }));
    let path = "ns/production/sa/web";
    let (workload, refused) = ([200, 403, 403, 403], [401, 403, 401, 401]);
    let typed = |typ: &str| {
        svid(
            P256,
            "ES256",
            &json!({"kid": "p256", "typ": typ}),
            &json!({}),
        )
    };
    let rows = [
        ("a workload", good(json!({})), workload),
        (
            "an editor",
            of("spiffe://example.org/ns/production/sa/editor"),
            [200, 403, 200, 403],
        ),
        ("an administrator", of(ADMIN), [200, 403, 200, 200]),
        ("typ JOSE", typed("JOSE"), workload),
        (
            "without kid",
            svid(P256, "ES256", &json!({}), &json!({})),
            workload,
        ),
        (
            "iss, which does not count",
            good(json!({"iss": "https://evil/"})),
            workload,
        ),
        (
            "a prefix",
            of(&format!("spiffe://example.org.evil/{path}")),
            refused,
        ),
        (
            "a longer name",
            of(&format!("spiffe://example.orga/{path}")),
            refused,
        ),
        (
            "a suffix",
            of(&format!("spiffe://evil.example.org/{path}")),
            refused,
        ),
        (
            "another domain",
            of(&format!("spiffe://other.org/{path}")),
            refused,
        ),
        (
            "in a path",
            of(&format!("spiffe://other.org/example.org/{path}")),
            refused,
        ),
        (
            "a port",
            of(&format!("spiffe://example.org:1/{path}")),
            refused,
        ),
        (
            "userinfo",
            of(&format!("spiffe://example.org@other.org/{path}")),
            refused,
        ),
        (
            "upper case",
            of(&format!("spiffe://EXAMPLE.ORG/{path}")),
            refused,
        ),
        (
            "another scheme",
            of(&format!("https://example.org/{path}")),
            refused,
        ),
        ("no scheme", of(path), refused),
        ("the trust domain", of("spiffe://example.org"), refused),
        ("no path", of("spiffe://example.org/"), refused),
        ("dots", of(&format!("{ADMIN}/../web")), refused),
        ("one dot", of("spiffe://example.org/./a"), refused),
        ("an empty segment", of("spiffe://example.org//a"), refused),
        ("a slash at the end", of(&format!("{ADMIN}/")), refused),
        (
            "an escape",
            of(&format!("spiffe://example.org/{}", "%61")),
            refused,
        ),
        ("a query", of(&format!("{ADMIN}?x")), refused),
        ("no sub", good(json!({"sub": null})), refused),
        ("no exp", good(json!({"exp": null})), refused),
        ("no aud", good(json!({"aud": null})), refused),
        ("another aud", good(json!({"aud": ["report"]})), refused),
        ("over", good(json!({"exp": now() - 300})), refused),
        ("an access token", typed("at+jwt"), refused),
        (
            "the key of certificates",
            svid(P384, "ES384", &json!({}), &json!({})),
            refused,
        ),
    ];
    let orders: Vec<&Value> = rows.iter().map(|(_, order, _)| order).collect();
    let tokens = stage::mint(&json!(orders));
    for ((what, _, expected), token) in rows.iter().zip(&tokens) {
        assert_eq!(kitchen.statuses(Some(token)).await, *expected, "{what}");
    }
    let reply = kitchen
        .get("/api/private", tokens.first().map(String::as_str))
        .await;
    assert_eq!(
        reply.seen("x-workload"),
        ["spiffe://example.org/ns/production/sa/web"]
    );
    assert!(reply.seen("authorization").is_empty());
}
