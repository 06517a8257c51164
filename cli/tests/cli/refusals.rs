//! `check` of a configuration with several mistakes: each is told, and nothing that only follows from one.

use super::{Files, run};

const PROVIDERS: &str = "providers:
  auth0:
    issuer: https://i.example/
    audiences: [x]
    remote_jwks: {http_uri: {uri: 'https://i.example/jwks', cluster: c, timeout: 5s}}
  a.b:
    issuer: https://j.example/
    audiences: [b]
    remote_jwks: {http_uri: {uri: 'https://j.example/jwks', cluster: c, timeout: 5s}}
policies:
  admin: {scopes: {all: [admin]}}
";
const RULES: &str = "rules:
- match: {path: /one}
  requires: {provider_name: auth0}
- match: {path: /two}
  requires: {provider_name: a.b}
  authorize: {policies: [admin]}
- match: {path: /three}
  requires: {provider_name: auth0}
";

/// What stands in the text, and what to put in its place.
type Changes<'a> = &'a [(&'a str, &'a str)];

/// The errors of a configuration with these changes, as `line path`.
#[track_caller]
fn told(changes: Changes<'_>) -> Vec<String> {
    let mut text = format!("{PROVIDERS}{RULES}");
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    let files = Files::in_a_directory();
    let ran = run(&["check", "--json", &files.with("c.yaml", &text)]);
    let report = ran.json();
    let findings = report[0]["findings"].as_array().unwrap();
    let errors = findings.iter().filter(|it| it["severity"] == "error");
    let errors: Vec<String> = errors
        .map(|it| format!("{} {}", it["line"], it["path"].as_str().unwrap()))
        .collect();
    assert_eq!(ran.code, i32::from(!errors.is_empty()), "{text}");
    errors
}

#[test]
fn each_mistake_has_its_line() {
    assert!(told(&[]).is_empty());
    let table: &[(Changes<'_>, &[&str])] = &[
        // fields that there are not, and values of another kind
        (
            &[
                ("issuer: https://i", "isuer: https://i"),
                ("[b]", "b"),
                ("path: /two", "path: [/two]"),
            ],
            &[
                "3 providers.auth0.isuer",
                "8 providers.a.b.audiences",
                "15 rules[1].match.path",
            ],
        ),
        // what is missing, of two providers and a rule
        (
            &[
                (
                    "uri: 'https://i.example/jwks', cluster: c",
                    "uri: 'https://i.example/jwks'",
                ),
                (
                    "uri: 'https://j.example/jwks', cluster: c",
                    "uri: 'https://j.example/jwks'",
                ),
                ("match: {path: /two}", "report_only: false"),
            ],
            &[
                "5 providers.auth0.remote_jwks.http_uri.cluster",
                "9 providers.a.b.remote_jwks.http_uri.cluster",
                "15 rules[1].match",
            ],
        ),
        // names that there are not
        (
            &[
                ("provider_name: auth0", "provider_name: auth1"),
                ("[admin]}\n-", "[admim]}\n-"),
                ("path: /three", "path: three"),
            ],
            &[
                "14 rules[0].requires.provider_name",
                "17 rules[1].authorize.policies[0]",
                "18 rules[2].match.path",
            ],
        ),
        // a mistake of an item, and the rule behind it
        (
            &[
                ("path: /one", "path: /one, methods: [get]"),
                ("path: /three", "path: /three, methods: [GET, put]"),
            ],
            &[
                "13 rules[0].match.methods[0]",
                "18 rules[2].match.methods[1]",
            ],
        ),
        // rules that are none
        (
            &[
                (
                    "- match: {path: /one}\n  requires: {provider_name: auth0}",
                    "- /one",
                ),
                ("path: /three", "pth: /three"),
            ],
            &["13 rules[0]", "17 rules[2].match.pth"],
        ),
    ];
    for (changes, expected) in table {
        assert_eq!(told(changes), *expected, "{changes:?}");
    }
}

/// What only follows from a mistake is not told: names of a provider that is not read, a rule that is public
/// without its requirement.
#[test]
fn what_follows_is_not_told() {
    let table: &[(Changes<'_>, &str)] = &[
        (&[("providers:", "provider:")], "1 provider"),
        (
            &[("remote_jwks: {http_uri", "remote: {http_uri")],
            "5 providers.auth0.remote",
        ),
        (&[("policies:\n", "polices:\n")], "10 polices"),
        (
            &[("issuer: https://i.example/", "issuer: 5")],
            "3 providers.auth0.issuer",
        ),
        (
            &[("requires: {provider_name: a.b}", "requires: a.b")],
            "16 rules[1].requires",
        ),
    ];
    for (changes, expected) in table {
        assert_eq!(told(changes), [*expected], "{changes:?}");
    }
}

/// The rest is for the next time.
#[test]
fn ten_are_told() {
    let rules: String = (0..12)
        .map(|at| format!("- match: {{path: {at}}}\n"))
        .collect();
    let told = told(&[("rules:\n", &format!("rules:\n{rules}"))]);
    assert_eq!(told.len(), 10);
}

/// The mark of `migrate` is no end either.
#[test]
fn behind_the_mark_all_are_told() {
    let told = told(&[
        ("providers:", "open: true\nproviders:"),
        ("path: /one", "path: one"),
        ("path: /two", "pth: /two"),
    ]);
    assert_eq!(
        told,
        ["1 open", "14 rules[0].match.path", "16 rules[1].match.pth"]
    );
}
