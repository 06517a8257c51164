//! A migrated configuration never lets through what jwt_authn refuses, in whatever spelling jwt_authn
//! is written: `migrate` keeps the meaning, or leaves something open and exits with 1.
//!
//! Drawn configurations are drawn in a spelling too. Envoy gets that text, `migrate` gets it in one
//! of the files that Envoy reads, and bearer-gate gets what `migrate` prints. What both filters then
//! make of requests is compared as everywhere here.

use std::process::Command;

use serde_json::{Value, json};

use crate::bench::{Bench, Keys, Side};
use crate::run::{self, ConfiguredBy, Size};
use crate::{number, show};

const SIZE: Size = Size {
    configurations: 40,
    requests_each: 20,
};

/// All routes: they ask for nothing.
const ROUTES: &str = "{name: all, virtual_hosts: [{name: all, domains: ['*']}]}";

/// What `migrate` prints of a file: its exit code, and the first configuration.
pub(crate) fn migrate(file: &str) -> (i32, Value) {
    let directory = tempfile::tempdir().expect("a directory");
    let paths = [("envoy.yaml", file), ("routes.yaml", ROUTES)].map(|(name, text)| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path
    });
    let output = Command::new(env!("CARGO_BIN_EXE_bearer-gate"))
        .args(["migrate", "--json"])
        .args(paths)
        .output()
        .expect("the tool runs");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!(
            "{error}: {}\n{file}",
            String::from_utf8_lossy(&output.stderr)
        )
    });
    let code = output.status.code().expect("an exit code");
    (code, report[0]["config"].clone())
}

#[test]
fn what_is_migrated_decides_as_jwt_authn_does() {
    compare(number("BEARER_GATE_SEED").unwrap_or(crate::SEED));
}

#[test]
#[ignore = "long: make soak runs it"]
fn soak_migrated() {
    for seed in crate::soak_seeds() {
        compare(seed);
    }
}

fn compare(seed: u64) {
    let report = run::compare(seed, SIZE, ConfiguredBy::Migrated);
    show(&report);
    assert!(report.unexplained.is_empty(), "\n{report}");
    // A tool that leaves everything open lets nothing through either.
    assert!(report.open * 10 <= SIZE.configurations, "\n{report}");
    assert!(report.admitted * 5 >= report.decisions, "\n{report}");
    assert!(report.rejected * 5 >= report.decisions, "\n{report}");
}

const SOURCE: &str = r#"remote_jwks: {http_uri: {uri: "https://i/k", cluster: c, timeout: 5s}}"#;
const RULES: &str = "rules: [{match: {prefix: /}, requires: {provider_name: p}}]";

/// Every one is taken by Envoy, and `migrate` must keep its meaning (`true`), or may leave it
/// open (`false`).
const PROVIDERS: &[(bool, &str)] = &[
    (true, "audiences: https://api.test"),
    (true, "audiences: null"),
    (true, "audiences: []"),
    (true, "audiences: [[a, [b]], c]"),
    (true, "audiences: ! 5"),
    (true, "!ignore audiences: [a]"),
    (true, "audiences: !ignore [a]"),
    (true, "from_params: q"),
    (true, "fromCookies: [[a, b], c]"),
    (true, "from_headers: {name: x}"),
    (true, "from_headers: [{name: x, value_prefix: null}]"),
    (true, "from_headers: [{name: x, valuePrefix: \"\"}]"),
    (true, "claim_to_headers: {header_name: x, claimName: sub}"),
    (
        true,
        "normalize_payload_in_metadata: {space_delimited_claims: a}",
    ),
    (true, "require_expiration: \"true\""),
    (true, "require_expiration: \"True\""),
    (true, "require_expiration: \"1\""),
    (true, "require_expiration: \"yes\""),
    (true, "require_expiration: \"t\""),
    (true, "require_expiration: On"),
    (true, "require_expiration: \"false\""),
    (true, "require_expiration: \"0\""),
    (true, "require_expiration: null"),
    (true, "require_expiration: !!bool \"true\""),
    (true, "require_expiration: !!str true"),
    (true, "requireExpiration: true"),
    (true, "forward: \"true\""),
    (true, "pad_forward_payload_header: y"),
    (true, "clear_route_cache: \"false\""),
    (true, "clock_skew_seconds: \"5\""),
    (true, "clock_skew_seconds: 5.0"),
    (true, "clock_skew_seconds: \"5.0\""),
    (true, "clock_skew_seconds: 010"),
    (true, "clock_skew_seconds: 0x10"),
    (true, "clock_skew_seconds: +5"),
    (true, "clock_skew_seconds: -0"),
    (true, "clock_skew_seconds: 0"),
    (true, "clock_skew_seconds: !!str 5"),
    (false, "clock_skew_seconds: 5e1"),
    (false, "clock_skew_seconds: \"010\""),
    (false, "clock_skew_seconds: \"0x10\""),
    (false, "clock_skew_seconds: 09"),
    (false, "clock_skew_seconds: 5."),
    (false, "clock_skew_seconds: 4294967295"),
    (true, "max_lifetime: 300s"),
    (true, "max_lifetime: 0.3s"),
    (true, "max_lifetime: 05s"),
    (true, "max_lifetime: {seconds: 300}"),
    (true, "max_lifetime: {seconds: \"300\", nanos: 5000000}"),
    (true, "maxLifetime: null"),
    (false, "max_lifetime: 0s"),
    (true, "subjects: {exact: null, prefix: a}"),
    (true, "subjects: {exact: a, ignore_case: \"1\"}"),
    (true, "jwt_cache_config: {}"),
    (
        true,
        "jwt_cache_config: {jwt_cache_size: \"5\", jwtMaxTokenSize: 0x400}",
    ),
    (true, "forward_payload_header: \"\""),
    (true, "payload_in_metadata: \"\""),
    (true, "local_jwks: null"),
    (false, "audiences: [null]"),
    (false, "audiences: \"\""),
    (false, "clock_skew_seconds: 5, clockSkewSeconds: 6"),
    (false, "max_lifetime: 5s, maxLifetime: 6s"),
    (false, "audiences: [a], audiences: [b]"),
];

const TOPS: &[(bool, &str)] = &[
    (
        true,
        "rules: {match: {prefix: /}, requires: {provider_name: p}}",
    ),
    (true, "rules: [[{match: {prefix: /}}]]"),
    (true, "rules: null"),
    (true, "rules: []"),
    (true, "rules: [{match: {prefix: /}, requires: null}]"),
    (true, "rules: [{match: {prefix: /}, requires: {}}]"),
    (
        true,
        "rules: [{match: {prefix: /}, requires: {provider_name: null}}]",
    ),
    (
        true,
        "rules: [{match: {prefix: /}, requires: {allow_missing: null}}]",
    ),
    (
        true,
        "rules: [{match: {prefix: /}, requires: {provider_name: null, allowMissing: {}}}]",
    ),
    (
        true,
        "rules: [{match: {prefix: /}, requires: {provider_and_audiences: {provider_name: p, audiences: a}}}]",
    ),
    (
        true,
        "rules: [{match: {prefix: /}, requires: {requiresAny: {requirements: [[{provider_name: p}, {allow_missing: {}}]]}}}]",
    ),
    (
        false,
        "rules: [{match: {prefix: /}, requires: {requires_any: {requirements: [{provider_name: p}, {}]}}}]",
    ),
    (
        false,
        "rules: [{match: {prefix: /}, requires: {requires_any: {requirements: [{provider_name: p}, null]}}}]",
    ),
    (
        false,
        "rules: [{match: {prefix: /}, requires: {provider_and_audiences: {provider_name: p, audiences: [\"\"]}}}]",
    ),
    (
        false,
        "rules: [{match: {prefix: /}, requires: {extract_only_without_validation: {}}}]",
    ),
    (
        true,
        "rules: [{match: {prefix: /}, requirementName: \"5\"}], requirement_map: {5: {provider_name: p}}",
    ),
    (
        true,
        "rules: [{match: {prefix: /}, requirement_name: \"true\"}], requirement_map: {true: {provider_name: p}}",
    ),
    (
        false,
        "rules: [{match: {prefix: /}, requirement_name: \"null\"}], requirement_map: {~: {provider_name: p}}",
    ),
    (
        false,
        "rules: [{match: {prefix: /}, requirement_name: x}], requirement_map: {x: {}}",
    ),
    (
        false,
        "rules: [{match: {prefix: /}, requirement_name: x}], requirement_map: {x: null}",
    ),
    (true, "requirement_map: {x: {provider_name: p}}"),
    (
        true,
        "requirement_map: {x: {provider_name: p}}, rules: [{match: {prefix: /}}]",
    ),
    (
        false,
        "requirementMap: {a: {provider_name: p}}, requirement_map: {b: {provider_name: p}}",
    ),
    (
        false,
        "filter_state_rules: {name: a, requires: {b: {provider_name: p}}}",
    ),
    (
        true,
        "bypass_cors_preflight: \"true\", rules: [{match: {prefix: /}, requires: {provider_name: p}}]",
    ),
    (
        true,
        "stripFailureResponse: \"t\", stat_prefix: x, rules: [{match: {prefix: /}, requires: {provider_name: p}}]",
    ),
];

const MATCHES: &[(bool, &str)] = &[
    (true, "prefix: /a, case_sensitive: \"false\""),
    (false, "prefix: /a, case_sensitive: {value: false}"),
    (true, "prefix: /a, case_sensitive: null"),
    (true, "prefix: /a, caseSensitive: off"),
    (true, "safe_regex: {google_re2: {}, regex: /a}"),
    (
        true,
        "safeRegex: {google_re2: {max_program_size: \"100\"}, regex: /a}",
    ),
    (true, "connect_matcher: {}"),
    (true, "prefix: /a, headers: {name: x}"),
    (
        true,
        "prefix: /a, headers: [{name: x, present_match: \"false\"}]",
    ),
    (true, "prefix: /a, headers: [{name: x, exact_match: \"\"}]"),
    (
        true,
        "prefix: /a, headers: [{name: x, range_match: {start: \"1\", end: 0x10}}]",
    ),
    (
        true,
        "prefix: /a, headers: [{name: x, rangeMatch: {start: -5.0, end: 9007199254740993}}]",
    ),
    (true, "prefix: /a, headers: [{name: x, string_match: null}]"),
    (
        true,
        "prefix: /a, headers: [{name: x, invert_match: \"y\"}]",
    ),
    (
        true,
        "prefix: /a, headers: [{name: x, treat_missing_header_as_empty: \"true\", string_match: {exact: \"\"}}]",
    ),
    (
        true,
        "prefix: /a, headers: [{name: x, safe_regex_match: {regex: a}}]",
    ),
    (true, "prefix: /a, query_parameters: {name: x}"),
    (
        true,
        "prefix: /a, query_parameters: [{name: x, present_match: \"0\"}]",
    ),
    (
        true,
        "prefix: /a, grpc: null, dynamic_metadata: [], filter_state: [], cookies: []",
    ),
    (false, "prefix: /a, grpc: {}"),
    (false, "prefix: /a, tls_context: {}"),
    (
        false,
        "prefix: /a, runtime_fraction: {default_value: {numerator: 5, denominator: 1}}",
    ),
    (false, "prefix: \"\""),
    (false, "path: \"/a?b\""),
];

#[test]
fn every_spelling_that_envoy_takes_keeps_its_meaning_or_is_left_open() {
    let of_type = "\"@type\": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication";
    let provider =
        |more: &str| format!("providers: {{p: {{issuer: \"https://i/\", {SOURCE}{more}}}}}");
    let cases: Vec<(bool, String)> = PROVIDERS
        .iter()
        .map(|(keeps, text)| {
            (
                *keeps,
                format!("{}, {RULES}", provider(&format!(", {text}"))),
            )
        })
        .chain(
            TOPS.iter()
                .map(|(keeps, text)| (*keeps, format!("{}, {text}", provider("")))),
        )
        .chain(MATCHES.iter().map(|(keeps, text)| {
            let rules = format!("rules: [{{match: {{{text}}}, requires: {{provider_name: p}}}}]");
            (*keeps, format!("{}, {rules}", provider("")))
        }))
        .collect();
    let listeners = cases.iter().enumerate().map(|(at, (_, text))| {
        let text = format!("{{{of_type}, {text}}}");
        (format!("{at}"), Side::JwtAuthn, json!(text))
    });
    let bench = Bench::start(Keys::start(), listeners.collect());
    let understood = bench.understood();
    for (at, (keeps, text)) in cases.iter().enumerate() {
        let (code, config) = migrate(&format!("{{{text}}}"));
        let (plain_code, plain) = migrate(&understood[&at.to_string()].to_string());
        if code == 1 {
            assert!(!keeps, "is left open: {text}\n{config}");
            assert!(!takes(&config), "is open, and taken: {text}\n{config}");
            continue;
        }
        assert_eq!((code, plain_code), (0, 0), "{text}\n{plain}");
        assert_eq!(config, plain, "{text}");
        assert!(takes(&config), "{text}\n{config}");
    }
}

fn takes(config: &Value) -> bool {
    bearer_gate::config::Config::parse(config.to_string().as_bytes()).is_ok()
}
