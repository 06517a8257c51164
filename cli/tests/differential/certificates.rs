//! Keys as a map of kids to certificates, which Envoy's own filter takes in place of a JWK Set.

use serde_json::{Map, Value, json};

use crate::named::{ADMITTED, AUDIENCE, ISSUER, configuration, key, merge, shows};
use crate::request::Request;

/// Certificates of the keys that the pool calls `rsa-b` and `rsa-a`, by their kids.
const CERTIFICATES: &str =
    include_str!("../../../tests/fixtures/sets/certificates-by-kid.jwks.json");
const KID_A: &str = "2f1a85c0d3e94b7796a0f3b1c5d87e6a4b90c1d2";
const KID_B: &str = "9c04e7a16db85f3210fe6a7b8c9d0e1f2a3b4c5d";

/// The pairs of listeners of these tests: a name, and what both filters are given.
pub(crate) fn pairs() -> Vec<(&'static str, Value)> {
    let map: Map<String, Value> = serde_json::from_str(CERTIFICATES).expect("a map");
    let with = |map: Map<String, Value>| {
        let keys = Value::Object(map).to_string();
        configuration(json!({"local_jwks": {"inline_string": keys}}))
    };
    vec![("certificates", with(map))]
}

fn by(signer: &str, header: Value) -> Request {
    let mut full = json!({"alg": "RS256", "kid": KID_A});
    merge(&mut full, header);
    let claims = json!({
        "iss": ISSUER, "aud": AUDIENCE, "exp": bearer_gate_testbed::token::now() + 600,
    });
    let token = key(signer).token(&full.to_string(), &claims.to_string());
    Request::get("/api", &[("authorization", &format!("Bearer {token}"))])
}

#[test]
fn certificates_by_kid() {
    let both = |request: Request, expected| {
        shows("certificates", &request, expected, expected);
    };
    let failed = (401, "Jwt verification fails");
    let no_key = (401, "Jwks doesn't have key to match kid or alg from Jwt");
    // They ended years ago, which neither of them looks at.
    both(by("rsa-a", json!({})), ADMITTED);
    both(by("rsa-c", json!({"kid": KID_B})), ADMITTED);
    both(by("rsa-a", json!({"kid": null})), ADMITTED);
    both(by("rsa-c", json!({"kid": null})), ADMITTED);
    both(by("rsa-a", json!({"kid": KID_B})), failed);
    both(by("rsa-c", json!({})), failed);
    both(by("rsa-a", json!({"kid": "nobody"})), no_key);
    // The kid names a key of another kind: both refuse, with another reason.
    let other_kind = by("ec-a", json!({"alg": "ES256"}));
    shows("certificates", &other_kind, failed, no_key);
    // As of every RSA key that does not say its algorithm.
    let request = by("rsa-b", json!({"kid": KID_B, "alg": "PS256"}));
    shows("certificates", &request, ADMITTED, no_key);
}
