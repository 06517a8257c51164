//! `docs/troubleshooting.md`: what each row says to ask has an answer.

use std::collections::BTreeSet;

use super::{Files, root, run_with};

/// Rows that are tried elsewhere: their beginnings, and the tests.
const ELSEWHERE: [(&str, &str); 6] = [
    (
        "503 `Jwks remote",
        "why_a_gateway_refuses_what_explain_admits_is_told",
    ),
    (
        "500 for every",
        "a_configuration_that_the_filter_refuses_is_told",
    ),
    (
        "`explain --fetch` admits",
        "why_a_gateway_refuses_what_explain_admits_is_told",
    ),
    (
        "503 `upstream connect error`",
        "an_api_that_is_not_there_is_told",
    ),
    ("a change of the file", "a_gateway_that_works_is_told"),
    (
        "the answers change",
        "two processes at one port are Linux's affair",
    ),
];

/// What a row asks: its beginning, the options, what is told.
struct Row(&'static str, Vec<String>, &'static str);

#[test]
fn every_row_has_an_answer() {
    let files = Files::in_a_directory();
    let name = files.path().join("k").display().to_string();
    let other = files.path().join("other").display().to_string();
    for name in [&name, &other] {
        let made = run_with(&["keygen", "--alg", "ES256", "--out", name], "");
        assert_eq!(made.code, 0, "{}", made.err);
    }
    let config = files.with(
        "c.yaml",
        "providers:
  p:
    issuer: https://i.example/
    audiences: [api]
    remote_jwks:
      http_uri: {uri: http://127.0.0.1:1/jwks, cluster: c, timeout: 1s}
    claim_to_headers: [{header_name: x-user, claim_name: name}]
rules:
- match: {prefix: /public}
- match: {prefix: /host, hosts: [a.example]}
- match: {prefix: /claim}
  requires: {provider_name: p}
  authorize: {claims: [{path: [role], equals: admin}]}
- match: {prefix: /api, methods: [GET, OPTIONS]}
  requires: {provider_name: p}
  authorize: {scopes: {all: [read]}}
",
    );
    let sign_in = root()
        .join("envoy/envoy-sign-in.yaml")
        .display()
        .to_string();
    let bad = files.with("bad.yaml", "rules:\n- macth: {}\n");
    let token = |key: &str, more: &[&str]| {
        let key = format!("{key}.jwk.json");
        let mut arguments = vec!["token", "--key", &key];
        let claims = ["iss=https://i.example/", "aud=api", "scope=read"];
        arguments.extend(claims.iter().flat_map(|claim| ["--claim", claim]));
        arguments.extend(more);
        run_with(&arguments, "").out.trim().to_owned()
    };
    let good = token(&name, &[]);
    let forged = format!("{}AAAA", &good[..good.len() - 4]);
    let at = |path: &str, more: &[&str]| -> Vec<String> {
        let keys = format!("{name}.jwks.json");
        let all = [
            "explain", "--config", &config, "--jwks", &keys, "--path", path,
        ];
        all.iter()
            .chain(more)
            .map(|one| (*one).to_owned())
            .collect()
    };
    let ask = |text: &str| at("/api", &["--token", text]);
    let rows = [
        Row(
            "401 `Jwt is missing`",
            at("/api", &["--header", &format!("authorization: {good}")]),
            "it is a token alone",
        ),
        Row("401 `Jwt is not in the form", ask("opaque"), "it is opaque"),
        Row(
            "401 `Jwt issuer",
            ask(&token(&name, &["--claim", "iss=https://i.example"])),
            "the slash at the end is the only difference",
        ),
        Row(
            "401 `Audiences",
            ask(&token(&name, &["--claim", "aud=web"])),
            "aud is [\"web\"]; expected one of: [\"api\"]",
        ),
        Row(
            "401 `Jwt is expired`",
            ask(&token(&name, &["--expires-in", "-600"])),
            "10 min ago; leeway 60 s",
        ),
        Row(
            "401 `Jwks doesn't",
            ask(&token(&other, &[])),
            "the keys: kid bearer-gate-test-",
        ),
        Row(
            "401 `Jwt verification",
            ask(&forged),
            "tried: kid bearer-gate-test-",
        ),
        Row(
            "403 `No rule",
            at("/api", &["--method", "POST", "--token", &good]),
            "prefix /api, methods GET OPTIONS: another condition does not hold",
        ),
        Row(
            "403 `Jwt lacks",
            ask(&token(&name, &["--claim", "scope=write"])),
            "scopes: each of read; the token has scope \"write\"",
        ),
        Row(
            "403 `Claims",
            at("/claim", &["--token", &good]),
            "claim [\"role\"]: equals \"admin\"; it is not there",
        ),
        Row(
            "400",
            at("/host", &["--host", "a.example:1:2"]),
            "looks at the host (--host), which has no single meaning",
        ),
        Row(
            "everybody gets in",
            at("/public-internal", &[]),
            "the rule is public",
        ),
        Row("the API does not get", ask(&good), "x-user is not set"),
        Row(
            "the API gets strange",
            ask(&token(&name, &["--claim", "name=José"])),
            "sent as UTF-8 bytes",
        ),
        Row(
            "a browser shows",
            at(
                "/api",
                &[
                    "--method",
                    "OPTIONS",
                    "--header",
                    "origin: https://a.example",
                ],
            ),
            "rejected: token_missing",
        ),
        Row(
            "people are signed out",
            [
                "explain",
                "--config",
                &sign_in,
                "--path",
                "https://app.example.com/",
                "--cookie",
                "a=b",
            ]
            .map(str::to_owned)
            .to_vec(),
            "no cookie ",
        ),
        Row(
            "a page \"Sign-in failed\"",
            [
                "explain",
                "--config",
                &sign_in,
                "--path",
                "http://127.0.0.1:10000/",
                "--header",
                "accept: text/html",
            ]
            .map(str::to_owned)
            .to_vec(),
            "verdict: rejected: unknown_host: the request's host is not in allowed_redirect_domains",
        ),
        Row(
            "Envoy does not start",
            vec!["check".to_owned(), bad],
            "bad.yaml:2:3: error: rules[0].macth",
        ),
    ];
    let mut tried = BTreeSet::new();
    let document = std::fs::read_to_string(root().join("docs/troubleshooting.md")).unwrap();
    let (_, document) = document.split_once("\n## When it fails\n").unwrap();
    let (table, _) = document.split_once("\n## ").unwrap();
    for line in table.lines().filter(|line| line.starts_with("| ")).skip(1) {
        let line = line.trim_start_matches("| ");
        if ELSEWHERE.iter().any(|(start, _)| line.starts_with(start)) {
            continue;
        }
        let row = rows.iter().find(|row| line.starts_with(row.0));
        let Row(start, arguments, told) = row.unwrap_or_else(|| panic!("not tried: {line}"));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let ran = run_with(&arguments, "");
        assert!(
            ran.out.contains(told),
            "{start}: {told}:\n{}{}",
            ran.out,
            ran.err
        );
        // A text in ticks is the body's.
        if let Some((_, text)) = start.split_once('`') {
            let text = text.trim_end_matches('`');
            assert!(ran.out.contains(text), "{start}: {}", ran.out);
        }
        tried.insert(*start);
    }
    assert_eq!(tried.len(), rows.len(), "{tried:?}");
    let with_envoy = include_str!("../explain_admin.rs");
    for (start, test) in ELSEWHERE {
        assert!(table.contains(&format!("\n| {start}")), "{start}");
        let is_there = with_envoy.contains(&format!("fn {test}("));
        assert!(is_there || test.contains(' '), "{test}");
    }
}
