//! `check`: what to write in place of the mistakes that many make at first.

use super::{Files, run};

const PROVIDERS: &str = "providers:
  auth0:
    issuer: https://i.example/
    audiences: [x]
    remote_jwks: {http_uri: {uri: 'https://i.example/jwks', cluster: c, timeout: 5s}}
";
const RULE: &str = "rules:\n- match: {prefix: /api}\n  requires: {provider_name: auth0}\n";

#[track_caller]
fn told(text: &str, path: &str, instead: &str) {
    let files = Files::in_a_directory();
    let ran = run(&["check", "--json", &files.with("c.yaml", text)]);
    assert_eq!(ran.code, 1, "{text}: {}", ran.out);
    let report = ran.json();
    let finding = &report[0]["findings"][0];
    assert_eq!(finding["path"], path, "{report}");
    let written = finding["instead"].as_str().unwrap();
    assert!(written.contains(instead), "{path}: {written}");
}

fn provider(from: &str, to: &str) -> String {
    format!("{}{RULE}", PROVIDERS.replace(from, to))
}

#[test]
fn what_to_write_in_place_is_told() {
    let rule = |more: &str| {
        let text = RULE.replace("{provider_name: auth0}\n", "{provider_name: auth0}\n  ");
        format!("{PROVIDERS}{text}{more}\n")
    };
    for (text, path, instead) in [
        (
            provider("[x]", "x"),
            "providers.auth0.audiences",
            "a list: [...]",
        ),
        (
            provider(", timeout: 5s", ""),
            "providers.auth0.remote_jwks.http_uri.timeout",
            "timeout: 5s",
        ),
        (
            provider("audiences", "jwks_uri: k\n    audiences"),
            "providers.auth0.jwks_uri",
            "remote_jwks: {http_uri:",
        ),
        (
            rule("authorize: {scopes: [read]}"),
            "rules[0].authorize.scopes",
            "{all: [...]}",
        ),
        (
            rule("authorize: {roles: [admin]}"),
            "rules[0].authorize.roles",
            "claims: [{path: [roles], any: [admin]}]",
        ),
        (
            rule("authorize: {permissions: [read]}"),
            "rules[0].authorize.permissions",
            "scope, scp and permissions of the token count",
        ),
        (
            format!(
                "{PROVIDERS}{}",
                RULE.replace("provider_name: auth0", "jwt: auth0")
            ),
            "rules[0].requires.jwt",
            "provider_name, with the name",
        ),
        (
            rule("authorize: {claims: {role: admin}}"),
            "rules[0].authorize.claims",
            "a list, with a dash",
        ),
        (
            rule("authorize: {claims: [{name: role, equals: admin}]}"),
            "rules[0].authorize.claims[0].name",
            "path: [...]",
        ),
        (
            rule("prefix: /x"),
            "rules[0].prefix",
            "match: {...} around it",
        ),
        (
            format!(
                "{PROVIDERS}{}",
                RULE.replace("auth0}", "auth0, scopes: [a]}")
            ),
            "rules[0].requires.scopes",
            "beside requires",
        ),
        (
            provider(", timeout: 5s", ", timeout: 5"),
            "providers.auth0.remote_jwks.http_uri.timeout",
            "timeout: 5s",
        ),
        (
            provider("https://i.example/\n", "[https://i.example/]\n"),
            "providers.auth0.issuer",
            "without the brackets",
        ),
        (
            provider(
                "    remote_jwks: {http_uri: {uri: 'https://i.example/jwks', cluster: c, timeout: 5s}}\n",
                "",
            ),
            "providers.auth0",
            "openid_discovery: {cluster: ..., timeout: 5s}",
        ),
        (
            format!(
                "{PROVIDERS}{}",
                RULE.replace("{provider_name: auth0}", "auth0")
            ),
            "rules[0].requires",
            "{provider_name: ...}",
        ),
        (
            format!(
                "{PROVIDERS}{}",
                RULE.replace("/api}", "/api, methods: [get]}")
            ),
            "rules[0].match.methods[0]",
            "capital letters",
        ),
        (
            format!(
                "{PROVIDERS}{}",
                RULE.replace("prefix: /api", "path_separated_prefix: api")
            ),
            "rules[0].match.path_separated_prefix",
            "a slash before it",
        ),
        (
            format!(
                "{PROVIDERS}{}",
                RULE.replace("prefix: /api", "path_separated_prefix: /api/")
            ),
            "rules[0].match.path_separated_prefix",
            "without the last slash",
        ),
        (
            rule("authorize: {claims: [{path: [roles], equals: [admin]}]}"),
            "rules[0].authorize.claims[0].equals",
            "any: [...]",
        ),
    ] {
        told(&text, path, instead);
    }
}

/// An origin, as CORS has it, is no host.
#[test]
fn a_site_is_a_host() {
    for site in [
        "https://app.example.com",
        "app.example.com/",
        "app.example.com/x",
    ] {
        let sign_in = format!(
            "sign_in:
  allowed_redirect_domains: ['{site}']
  schemes:
    staff:
      provider_name: auth0
      credentials: {{client_id: web, token_secret: {{inline_string: s}}}}
      token_endpoint: {{cluster: c, timeout: 2s}}
"
        );
        told(
            &format!("{PROVIDERS}{RULE}{sign_in}"),
            "sign_in.allowed_redirect_domains[0]",
            "without https://, and without a slash",
        );
    }
}

/// The same words elsewhere are other mistakes.
#[test]
fn what_is_not_known_is_not_guessed() {
    let files = Files::in_a_directory();
    for (text, path) in [
        (
            provider("remote_jwks: {", "remote_jwks: {jwks: x, "),
            "providers.auth0.remote_jwks.jwks",
        ),
        (
            provider("audiences", "nobody_knows_it: 1\n    audiences"),
            "providers.auth0.nobody_knows_it",
        ),
        // one of the two may go, whatever it should have been
        (
            format!(
                "{PROVIDERS}rules:\n- match: {{path: /}}\n  authorize: {{roles: [a], roles: [b]}}\n"
            ),
            "rules[0].authorize.roles",
        ),
    ] {
        let ran = run(&["check", "--json", &files.with("c.yaml", &text)]);
        let finding = &ran.json()[0]["findings"][0];
        assert_eq!(finding["path"], path, "{finding}");
        assert_eq!(finding["instead"], "", "{finding}");
    }
}

/// A cluster is most likely one of those that there are.
#[test]
fn the_nearest_cluster_is_told() {
    let text = std::fs::read_to_string(super::root().join("envoy/my-api.yaml")).unwrap();
    let text = text.replace("cluster: auth0\n", "cluster: auth1\n");
    told(
        &text,
        "providers.auth0.remote_jwks.http_uri.cluster",
        "auth0",
    );
}

/// Envoy takes nothing beside `value`, and a rule that stands there is none.
#[test]
fn what_stands_beside_value_is_told() {
    let text = std::fs::read_to_string(super::root().join("envoy/my-api.yaml")).unwrap();
    let below = format!("\n{:20}rules:\n", "");
    assert!(text.contains(&below));
    let text = text.replace(&below, &format!("\n{:18}rules:\n", ""));
    let files = Files::in_a_directory();
    let ran = run(&["check", "--json", &files.with("c.yaml", &text)]);
    assert_eq!(ran.code, 1, "{}", ran.out);
    let report = ran.json();
    let findings = report[0]["findings"].as_array().unwrap();
    let is_told = |path: &str, severity: &str| {
        let mut findings = findings.iter();
        findings.any(|it| it["path"] == path && it["severity"] == severity)
    };
    assert!(is_told("configuration.rules", "error"), "{report}");
    assert!(is_told("rules", "warning"), "{report}");
}

/// A file that is no YAML is told with what is mostly the matter, on the same line.
#[test]
fn what_is_no_yaml_has_a_cure() {
    let text = std::fs::read_to_string(super::root().join("envoy/my-api.yaml")).unwrap();
    let text = text.replace(
        "\n                        audiences:",
        "\n                      audiences:",
    );
    let files = Files::in_a_directory();
    let ran = run(&["check", &files.with("c.yaml", &text)]);
    assert_eq!(ran.code, 2, "{}", ran.out);
    assert!(
        ran.err
            .contains("expected key: this line or one above it is indented"),
        "{}",
        ran.err
    );
}
