//! `migrate`: what comes out is a good configuration, and each change is said.

use bearer_gate::config::Config;
use serde_json::Value;

use super::{Files, run};

const JWT_AUTHN: &str = r#"http_filters:
- name: envoy.filters.http.jwt_authn
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication
    providers:
      one:
        issuer: https://one.example/
        audiences: [https://api.example.com]
        remote_jwks:
          http_uri: {uri: https://one.example/jwks, cluster: one, timeout: 5s}
          retry_policy: {num_retries: 3, retry_on: 5xx}
      two:
        require_expiration: true
        clockSkewSeconds: 0
        from_headers: [{name: x-token, value_prefix: "T "}]
        local_jwks: {filename: keys.json}
    rules:
    - match: {prefix: /public}
      requires: {}
    - match: {prefix: /api}
      requires: {requires_any: {requirements: [{provider_name: one}, {provider_name: two}]}}
"#;

const KEYS: &str = concat!(
    "{\"keys\":[",
    include_str!("../fixtures/set-a.jwk.json"),
    "]}"
);

fn changes(text: &str, keys: bool) -> (i32, Vec<String>, Value) {
    let files = Files::in_a_directory();
    if keys {
        files.with("keys.json", KEYS);
    }
    let ran = run(&["migrate", "--json", &files.with("envoy.yaml", text)]);
    let report = ran.json();
    let said = report[0]["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| {
            format!(
                "{} {}",
                change["kind"].as_str().unwrap(),
                change["path"].as_str().unwrap()
            )
        });
    (ran.code, said.collect(), report[0]["config"].clone())
}

#[test]
fn what_comes_out_is_taken_and_every_change_is_said() {
    let (code, said, config) = changes(JWT_AUTHN, true);
    assert_eq!(
        (code, said),
        (
            0,
            [
                "differs providers.one.audiences",
                "added providers.one.require_expiration",
                "differs providers.one.from_params",
                "added providers.two.any_issuer",
                "added providers.two.any_audience",
                "left_out providers.two.clock_skew_seconds",
                "differs providers.two.from_headers",
                "differs providers.two.local_jwks",
                "differs rules[0]",
                "added unmatched",
                "left_out providers.one.remote_jwks.retry_policy.retry_on",
            ]
            .map(str::to_owned)
            .to_vec()
        )
    );
    assert!(Config::parse(config.to_string().as_bytes()).is_ok());
    assert_eq!(config["providers"]["one"]["require_expiration"], false);
    assert_eq!(config["providers"]["two"]["require_expiration"], true);
    assert!(config["rules"][0].get("requires").is_none());
}

#[test]
fn the_yaml_is_a_good_configuration_with_notes() {
    let files = Files::in_a_directory();
    files.with("keys.json", KEYS);
    let ran = run(&["migrate", &files.with("envoy.yaml", JWT_AUTHN)]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(
        ran.out.contains("# jwt_authn takes tokens without exp."),
        "{}",
        ran.out
    );
    assert!(ran.err.contains("envoy.yaml:11: left out: "), "{}", ran.err);
    let checked = run(&["check", &files.with("ours.yaml", &ran.out)]);
    assert_eq!(checked.code, 0, "{}{}", checked.out, checked.err);
}

#[test]
fn nothing_is_added_where_it_is_said_already() {
    let text = "providers:
  one:
    issuer: https://one.example/
    audiences: [api]
    require_expiration: true
    from_headers: [{name: x-token}]
    remote_jwks: {http_uri: {uri: https://one.example/jwks, cluster: one, timeout: 5s}}
rules:
- match: {prefix: /}
  requires: {provider_name: one}
";
    let (code, said, config) = changes(text, false);
    assert_eq!((code, said.len()), (0, 0), "{said:?}");
    assert!(config.get("unmatched").is_none());
}

#[test]
fn what_would_let_more_through_is_left_to_the_operator() {
    let table = [
        // keys that are not there
        (
            JWT_AUTHN.to_owned(),
            "open providers.two.local_jwks.filename",
        ),
        // a rule for less than it would be without its condition
        (
            "rules:\n- match: {prefix: /, grpc: {}}\n".to_owned(),
            "open rules[0].match.grpc",
        ),
        (
            "rules:\n- match: {prefix: /}\n  requires: {extract_only_without_validation: {}}\n"
                .to_owned(),
            "open rules[0].requires.extract_only_without_validation",
        ),
        (
            format!("{JWT_AUTHN}    filter_state_rules: {{name: x}}\n"),
            "open filter_state_rules",
        ),
        (
            format!(
                "{JWT_AUTHN}- typed_per_filter_config:\n    envoy.filters.http.jwt_authn:\n      \"@type\": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.PerRouteConfig\n      requirement_name: x\n"
            ),
            "open typed_per_filter_config",
        ),
    ];
    for (text, expected) in table {
        let keys = !expected.contains("filename");
        let (code, said, _) = changes(&text, keys);
        assert_eq!(code, 1, "{expected}");
        assert!(
            said.iter().any(|said| said == expected),
            "{expected}: {said:?}"
        );
    }
    assert_eq!(run(&["migrate", "envoy/envoy.yaml"]).code, 2);
}
