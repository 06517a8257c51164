//! `check` and `explain` about tokens of AWS load balancers.

use bearer_gate_testbed::alb::{ARN, AlbKey, CLIENT, HEADER, KeyEndpoint, claims};
use serde_json::json;

use crate::{Files, Ran, run, run_with};

fn config(files: &Files, uri: &str, clients: &str) -> String {
    files.with(
        "c.yaml",
        &format!(
            "providers:
  alb:
    issuer: https://idp.example/
    aws_alb:
      signer: {ARN}
      {clients}
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
    let own = format!("clients: [{CLIENT}]");
    let config = config(&files, &endpoint.uri(), &own);
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
        let client = format!("client is \"{CLIENT}\"");
        assert!(ran.out.contains(&client), "{}", ran.out);
    }
    assert_eq!(endpoint.asked_for(key.kid()), 3);

    let map = json!({key.kid(): key.pem()}).to_string();
    let map = files.with("keys.json", &map);
    let ran = explain(&["--jwks", &map], &token);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let ran = explain(&["--jwks", &map], &token.replace('=', ""));
    assert_eq!(ran.code, 1, "{}", ran.out);

    let mut header = key.header();
    header["client"] = json!("other");
    let other = key.sign(&header, &claims());
    let ran = explain(&["--jwks", &map], &other);
    assert_eq!(ran.code, 1, "{}", ran.out);
    let told = format!("client is \"other\"; expected one of: [\"{CLIENT}\"]");
    assert!(ran.out.contains(&told), "{}", ran.out);

    // What is no kid is asked for nowhere.
    let odd = key.renamed("../x").token();
    let ran = explain(&["--fetch"], &odd);
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    assert_eq!(endpoint.asked().len(), 3);
}

#[test]
fn what_is_risky_about_a_load_balancer_is_warned_of() {
    let files = Files::in_a_directory();
    let own = "clients: [web]";
    for (address, clients, warned) in [
        (
            "https://public-keys.auth.elb.eu-west-1.amazonaws.com/{kid}",
            own,
            None,
        ),
        (
            "https://public-keys.auth.elb.eu-west-1.amazonaws.com/{kid}",
            "any_client: true",
            Some("providers.alb.aws_alb.any_client: client is not looked at"),
        ),
        (
            "https://public-keys.auth.elb.eu-west-2.amazonaws.com/{kid}",
            own,
            Some("providers.alb.aws_alb.http_uri.uri: does not name the region"),
        ),
        (
            "http://public-keys.auth.elb.eu-west-1.amazonaws.com/{kid}",
            own,
            Some("providers.alb.aws_alb.http_uri.uri: keys come over http"),
        ),
    ] {
        let ran = run(&["check", &config(&files, address, clients)]);
        assert_eq!(ran.code, 0, "{address}: {}{}", ran.out, ran.err);
        let said = format!("{}{}", ran.out, ran.err);
        let warnings = format!("warnings: {}", u8::from(warned.is_some()));
        assert!(said.contains(&warnings), "{said}");
        assert!(warned.is_none_or(|text| said.contains(text)), "{said}");
    }
}
