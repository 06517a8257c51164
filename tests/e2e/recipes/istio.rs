//! What deploy/istio/strict-requests.yaml merges into the HttpConnectionManager, in an Envoy without Istio.

use bearer_gate_testbed::envoy::Listener;
use bearer_gate_testbed::yaml;
use serde_json::{Value, json};

use crate::stage::{Stage, provider};

#[tokio::test]
async fn envoy_takes_what_istio_merges() {
    let filter = yaml::document("deploy/istio/strict-requests.yaml");
    let merged = filter["spec"]["configPatches"][0]["patch"]["value"]["typed_config"].clone();
    let fields = merged.as_object().unwrap().clone();
    assert_eq!(fields.len(), 6, "the type and five settings");
    let stage = Stage::build(
        |_| {},
        |stage, builder| {
            let config = json!({
                "providers": {"demo": provider(stage, json!({}))},
                "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "demo"}}],
            });
            let listener = Listener::wasm("main", config);
            let listener = fields
                .into_iter()
                .filter(|(name, _)| name != "@type")
                .fold(listener, |listener, (name, value): (String, Value)| {
                    listener.hcm(&name, value)
                });
            builder.listener(listener)
        },
    );
    let token = format!("Bearer {}", stage.idp.good_token());
    let get = |target: &str, more: &[(&str, &str)]| {
        let headers = [&[("authorization", token.as_str())], more].concat();
        let headers: Vec<(String, String)> = headers
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        stage.get_raw(target, &headers).status
    };
    assert_eq!(get("/a", &[]), 200);
    assert_eq!(get("/a%2fb", &[]), 400);
    assert_eq!(get("/a", &[("x_user", "mallory")]), 400);
    assert_eq!(stage.upstream.requests(), 1);
}
