//! `check` and `explain` about tokens of AWS load balancers.

use bearer_gate_testbed::alb::{ARN, AlbKey, HEADER, KeyEndpoint};
use serde_json::json;

use crate::{Files, Ran, run, run_with};

fn config(files: &Files, uri: &str) -> String {
    files.with(
        "c.yaml",
        &format!(
            "providers:
  alb:
    issuer: https://idp.example/
    aws_alb:
      signer: {ARN}
      http_uri: {{uri: '{uri}', cluster: keys, timeout: 2s}}
rules:
- match: {{prefix: /}}
  requires: {{provider_name: alb}}
"
        ),
    )
}

#[test]
fn a_load_balancers_token_is_explained() {
    let (files, endpoint) = (Files::in_a_directory(), KeyEndpoint::start());
    let key = AlbKey::generate();
    let config = config(&files, &endpoint.uri());
    let explain = |more: &[&str], token: &str| -> Ran {
        let arguments = [&["explain", "--config", &config, "--token", "-"], more].concat();
        run_with(&arguments, token)
    };
    let token = key.token();
    let asked = explain(&[], &token);
    assert_eq!(asked.code, 2, "{}", asked.out);
    assert!(asked.err.contains("the keys decide"), "{}", asked.err);

    let unknown = explain(&["--fetch"], &token);
    assert_eq!(unknown.code, 1, "{}{}", unknown.out, unknown.err);
    assert!(unknown.out.contains("no_key"), "{}", unknown.out);
    endpoint.publish(&key);
    let header = format!("{HEADER}: {token}");
    for ran in [
        explain(&["--fetch"], &token),
        run(&[
            "explain", "--config", &config, "--header", &header, "--fetch",
        ]),
    ] {
        assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
        assert!(ran.out.contains("the signature is good"), "{}", ran.out);
        assert!(ran.out.contains(ARN), "{}", ran.out);
    }
    assert_eq!(endpoint.asked_for(key.kid()), 3);

    let map = json!({key.kid(): key.pem()}).to_string();
    let map = files.with("keys.json", &map);
    let ran = explain(&["--jwks", &map], &token);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let ran = explain(&["--jwks", &map], &token.replace('=', ""));
    assert_eq!(ran.code, 1, "{}", ran.out);

    // What is no kid is asked for nowhere.
    let odd = key.renamed("../x").token();
    let ran = explain(&["--fetch"], &odd);
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    assert_eq!(endpoint.asked().len(), 3);
}

#[test]
fn keys_of_another_region_or_in_the_clear_are_warned_of() {
    let files = Files::in_a_directory();
    for (uri, warned) in [
        (
            "https://public-keys.auth.elb.eu-west-1.amazonaws.com/{kid}",
            None,
        ),
        (
            "https://public-keys.auth.elb.eu-west-2.amazonaws.com/{kid}",
            Some("does not name the region"),
        ),
        (
            "http://public-keys.auth.elb.eu-west-1.amazonaws.com/{kid}",
            Some("keys come over http"),
        ),
    ] {
        let ran = run(&["check", &config(&files, uri)]);
        assert_eq!(ran.code, 0, "{uri}: {}{}", ran.out, ran.err);
        let said = format!("{}{}", ran.out, ran.err);
        let field = said.contains("providers.alb.aws_alb.http_uri.uri");
        assert_eq!(field, warned.is_some(), "{said}");
        assert!(warned.is_none_or(|text| said.contains(text)), "{said}");
        assert!(!said.contains("any_audience"), "{said}");
    }
}
