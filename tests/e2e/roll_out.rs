//! docs/jwt_authn.md, "Roll it out": bearer-gate with rules that only report, before the jwt_authn that it
//! is to replace.

use bearer_gate_testbed::envoy::{Filter, Listener};
use serde_json::json;

use crate::stage::{Stage, provider};

#[tokio::test]
async fn a_roll_out_before_jwt_authn_refuses_what_jwt_authn_refuses() {
    let stage = Stage::build(
        |_| {},
        |stage, builder| {
            let requires = json!({"provider_name": "demo"});
            let tried = json!({
                "providers": {"demo": provider(stage, json!({"forward": true}))},
                "rules": [
                    {
                        "match": {"path_separated_prefix": "/api"}, "requires": requires,
                        "authorize": {"scopes": {"all": ["read:messages"]}}, "report_only": true,
                    },
                    {"match": {"prefix": "/"}},
                ],
            });
            let native = json!({
                "providers": {"demo": provider(stage, json!({}))},
                "rules": [{"match": {"prefix": "/api"}, "requires": requires}],
            });
            let listener = Listener::wasm("main", tried).filter(Filter::JwtAuthn(native));
            builder.listener(listener)
        },
    );
    let claims = stage.idp.claims();
    let good = stage
        .idp
        .token(&claims.clone().with("scope", "read:messages"));
    let without_scope = stage.idp.token(&claims.clone());
    let expired = stage.idp.token(&claims.expires_in(-3600));
    let reported = |reason: &str| stage.counter(&format!("bearer_gate.reported.{reason}"));

    let reply = stage.get_with("/api", &good).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert!(reply.seen("x-bearer-gate-report").is_empty());

    // Of what both would refuse, nothing gets past jwt_authn.
    for (token, reason) in [(None, "token_missing"), (Some(&expired), "expired")] {
        let reply = match token {
            Some(token) => stage.get_with("/api", token).await,
            None => stage.get("/api").await,
        };
        assert_eq!(reply.status, 401, "{reason}");
        assert_eq!(reported(reason), 1, "{reason}");
    }
    // What bearer-gate alone would refuse is told and served.
    let reply = stage.get_with("/api", &without_scope).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(reply.seen("x-bearer-gate-report"), ["insufficient_scope"]);
    assert_eq!(reported("insufficient_scope"), 1);
    // What no rule was for is served as before.
    assert_eq!(stage.get("/other").await.status, 200);
    assert_eq!(stage.traps(), 0);
}
