//! What `migrate` prints, as `check` and `explain` take it.

use super::{Files, run};

/// A `jwt_authn` with this rule beside others.
fn written(rule: &str) -> String {
    format!(
        r#""@type": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication
providers:
  idp:
    issuer: https://idp.example/
    audiences: [api]
    require_expiration: true
    from_headers: [{{name: authorization, value_prefix: "Bearer "}}]
    remote_jwks: {{http_uri: {{uri: https://idp.example/jwks, cluster: idp, timeout: 5s}}}}
rules:
{rule}
- match: {{prefix: /}}
  requires: {{provider_name: idp}}
"#
    )
}

/// Both have the same exit code, and what was left open is the first thing that is said.
#[test]
fn check_and_migrate_agree() {
    let whole = "- match: {path: /public}";
    let open =
        "- match: {prefix: /api, filter_state: [{key: a}]}\n  requires: {provider_name: idp}";
    let table: [(&str, i32, &[&str]); 2] = [
        (whole, 0, &[]),
        (
            open,
            1,
            &[
                "mark of `bearer-gate migrate`",
                "rules[0].match.filter_state",
            ],
        ),
    ];
    for (rule, code, told) in table {
        let files = Files::in_a_directory();
        let old = files.with("jwt.yaml", &written(rule));
        for form in [&["migrate", &old][..], &["migrate", "--envoy", &old]] {
            let migrated = run(form);
            assert_eq!(migrated.code, code, "{}", migrated.err);
            let new = files.with("new.yaml", &migrated.out);
            let ran = run(&["check", &new]);
            assert_eq!(ran.code, code, "{}{}", ran.out, ran.err);
            for told in told {
                assert!(ran.out.contains(told), "{told}: {}", ran.out);
            }
            assert!(!ran.out.contains("open: unknown field"), "{}", ran.out);
            let ran = run(&["explain", "--config", &new]);
            let is_told = ran.err.contains("mark of `bearer-gate migrate`");
            assert_eq!(is_told, code == 1, "{}", ran.err);
        }
    }
}

/// The mark alone says nothing against the rest.
#[test]
fn what_is_marked_is_looked_at() {
    let files = Files::in_a_directory();
    let marked = |mark: &str| {
        let text = format!("open: {mark}\nunmatched: allow\nrules: []\n");
        let ran = run(&["check", "--json", &files.with("new.yaml", &text)]);
        assert_eq!(ran.code, 1, "{}", ran.out);
        let findings = ran.json()[0]["findings"].as_array().unwrap().clone();
        let kinds = findings
            .iter()
            .map(|found| found["kind"].as_str().unwrap().to_owned());
        kinds.collect::<Vec<String>>()
    };
    assert_eq!(marked("true"), ["configuration", "risky-choice"]);
    // what somebody else has written
    assert_eq!(marked("maybe"), ["configuration"]);
}

/// A `ConfigMap` is read as the files that it has.
#[test]
fn what_is_in_a_config_map_is_migrated() {
    let whole = written("- match: {path: /public}");
    let inside: String = whole.lines().map(|line| format!("    {line}\n")).collect();
    let map = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: envoy}}\ndata:\n  jwt.yaml: |\n{inside}"
    );
    let files = Files::in_a_directory();
    let (bare, mapped) = (files.with("jwt.yaml", &whole), files.with("map.yaml", &map));
    let (bare, mapped) = (run(&["migrate", &bare]), run(&["migrate", &mapped]));
    assert_eq!(mapped.code, 0, "{}", mapped.err);
    assert_eq!(mapped.out, bare.out);

    // on its line in the file
    let open = map.replace(
        "{path: /public}",
        "{prefix: /api, filter_state: [{key: a}]}",
    );
    let open = files.with("open.yaml", &open);
    let ran = run(&["migrate", "--json", &open]);
    let changes = ran.json();
    let told = changes[0]["changes"].as_array().unwrap();
    let open = std::fs::read_to_string(open).unwrap();
    let line = open.lines().position(|line| line.contains("filter_state"));
    let is_there = |told: &serde_json::Value| told["line"] == line.unwrap() + 1;
    assert!(told.iter().any(is_there), "{changes}");
}
