//! Every algorithm through a real Envoy: the host verifies RS* and ES* (and only the host verifies
//! ES512), the portable verifier inside the module verifies PS* and EdDSA.

use bearer_gate_testbed::token;
use serde_json::{Value, json};

use crate::stage::{self, Stage};

const RSA_PEM: &str = include_str!("../fixtures/rsa2048-a.pem");
const P256_PEM: &str = include_str!("../fixtures/p256.pem");
const P384_PEM: &str = include_str!("../fixtures/p384.pem");
const P521_PEM: &str = include_str!("../fixtures/p521.pem");
const ED25519_PEM: &str = include_str!("../fixtures/ed25519.pem");

/// An algorithm, the key that it signs with, and the JWK whose `kid` is the algorithm's name.
struct Row {
    algorithm: &'static str,
    pem: &'static str,
    jwk: Value,
}

fn rows() -> Vec<Row> {
    let row = |algorithm: &'static str, pem: &'static str, jwk: &str, says: bool| {
        let mut jwk: Value = serde_json::from_str(jwk).unwrap();
        jwk["kid"] = json!(algorithm);
        jwk["alg"] = json!(algorithm);
        if !says {
            jwk.as_object_mut().unwrap().remove("alg");
        }
        Row {
            algorithm,
            pem,
            jwk,
        }
    };
    let rsa = include_str!("../fixtures/rsa2048-a.jwk.json");
    let p256 = include_str!("../fixtures/p256.jwk.json");
    let p384 = include_str!("../fixtures/p384.x5c.jwk.json");
    let p521 = include_str!("../fixtures/p521.jwk.json");
    let ed25519 = include_str!("../fixtures/ed25519.jwk.json");
    vec![
        row("RS256", RSA_PEM, rsa, true),
        row("RS384", RSA_PEM, rsa, true),
        row("RS512", RSA_PEM, rsa, true),
        row("PS256", RSA_PEM, rsa, true),
        row("PS384", RSA_PEM, rsa, true),
        row("PS512", RSA_PEM, rsa, true),
        row("ES256", P256_PEM, p256, false),
        row("ES384", P384_PEM, p384, true),
        row("ES512", P521_PEM, p521, false),
        row("EdDSA", ED25519_PEM, ed25519, false),
    ]
}

#[tokio::test]
async fn algorithms_pass_with_their_own_key_and_with_no_other() {
    let rows = rows();
    let mut keys: Vec<Value> = rows.iter().map(|row| row.jwk.clone()).collect();
    let mut unbound = keys[0].clone();
    unbound["kid"] = json!("unbound");
    unbound.as_object_mut().unwrap().remove("alg");
    keys.push(unbound);
    let jwks = json!({ "keys": keys }).to_string();
    let stage = Stage::start(|_| {
        json!({
            "providers": {"local": {
                "issuer": "https://py.example/",
                "audiences": ["https://api.example"],
                "local_jwks": {"inline_string": jwks},
                "claim_to_headers": [{"header_name": "x-user", "claim_name": "sub"}],
            }},
            "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "local"}}],
        })
    });
    let now = token::now();
    let order = |row: &Row, kid: &str| {
        json!({
            "pem": row.pem,
            "algorithm": row.algorithm,
            "header": {"kid": kid},
            "claims": {
                "iss": "https://py.example/", "aud": "https://api.example",
                "sub": row.algorithm, "iat": now, "exp": now + 300,
            },
        })
    };
    let mut orders = Vec::new();
    for row in &rows {
        for kid in &rows {
            orders.push(order(row, kid.algorithm));
        }
        orders.push(order(row, "unbound"));
    }
    let tokens = stage::mint(&json!(orders));
    let mut tokens = tokens.iter();
    let mut passed = 0;
    for row in &rows {
        for kid in rows.iter().map(|row| row.algorithm).chain(["unbound"]) {
            let token = tokens.next().unwrap();
            let what = format!("{} under the key of {kid}", row.algorithm);
            let reply = stage.get_with("/x", token).await;
            let good =
                kid == row.algorithm || (kid == "unbound" && row.algorithm.starts_with("RS"));
            if !good {
                assert_eq!(reply.status, 401, "{what}: {}", reply.body);
                continue;
            }
            assert_eq!(reply.status, 200, "{what}: {}", reply.body);
            assert_eq!(reply.seen("x-user"), [row.algorithm]);
            passed += 1;

            let bits = signature_bits(token);
            let mut tampered: Vec<String> = [0, 1, bits / 2 - 1, bits / 2, bits - 1]
                .into_iter()
                .map(|bit| token::with_signature_bit_flipped(token, bit))
                .collect();
            tampered.push(format!("{token}AA"));
            tampered.push(token.rsplit_once('.').unwrap().0.to_owned() + ".");
            tampered.push(zeroed(token));
            let claims = json!({
                "iss": "https://py.example/", "aud": "https://api.example",
                "sub": "admin", "iat": now, "exp": now + 300,
            });
            tampered.push(token::with_claims(token, &claims));
            for bad in &tampered {
                let reply = stage.get_with("/x", bad).await;
                assert_eq!(reply.status, 401, "{what}: {bad}");
                let challenge = reply.challenge().unwrap();
                assert!(challenge.contains(r#"error="invalid_token""#));
            }
        }
    }
    assert_eq!(passed, 10 + 3);
    assert_eq!(stage.upstream.requests(), passed);
    assert_eq!(stage.traps(), 0);
    assert!(
        stage
            .envoy()
            .log()
            .contains("signatures verified by the host verifier")
    );
}

fn signature_bits(token: &str) -> usize {
    let signature = token.rsplit_once('.').unwrap().1;
    signature.len() * 6 / 8 * 8
}

/// The token with a signature of zeros, as long as its own.
fn zeroed(token: &str) -> String {
    let (input, signature) = token.rsplit_once('.').unwrap();
    format!("{input}.{}", "A".repeat(signature.len()))
}
