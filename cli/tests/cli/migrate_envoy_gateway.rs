//! `migrate` of Envoy Gateway's SecurityPolicy: what comes out is a good configuration in a good
//! EnvoyExtensionPolicy, and what is not carried over is said with its line.

use bearer_gate::config::Config;
use serde_json::{Value, json};

use super::{Files, run};

const KEYS: &str = concat!(
    "{\"keys\":[",
    include_str!("../../../tests/fixtures/set-a.jwk.json"),
    "]}"
);

/// What is always said here.
const ALWAYS: [&str; 2] = [
    "added providers.idp.require_expiration",
    "differs providers.idp.from_params",
];

/// A policy with one provider: `provider` is more of that, on line 10, and `spec` more of all, on line 11.
fn policy(provider: &str, spec: &str) -> String {
    let keys = match provider.contains("JWKS") {
        true => "a: 1".to_owned(),
        false => format!(
            "localJWKS: {{type: Inline, inline: '{}'}}",
            KEYS.replace('\n', "")
        ),
    };
    let text = format!(
        "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: SecurityPolicy\nmetadata: {{name: p, namespace: ns}}\nspec:\n  targetRefs: [{{group: gateway.networking.k8s.io, kind: HTTPRoute, name: r, sectionName: s}}]\n  jwt:\n    providers:\n    - {{name: idp, issuer: 'https://one.example/', audiences: [api],\n      {keys},\n      {provider}}}\n  {spec}\n"
    );
    text.replace("a: 1,\n", "\n")
        .replace(",\n      }", "\n\n      }")
}

fn migrate(text: &str) -> (i32, Vec<String>, Value) {
    let files = Files::in_a_directory();
    let ran = run(&["migrate", "--json", &files.with("policy.yaml", text)]);
    let report = ran.json();
    let changes = report[0]["changes"].as_array().unwrap().iter();
    let said = changes.map(|change| {
        let word = |name: &str| change[name].as_str().unwrap().to_owned();
        format!("{} {}", word("kind"), word("path"))
    });
    let said = said.filter(|said| !ALWAYS.contains(&said.as_str()));
    (ran.code, said.collect(), report)
}

fn is_taken(report: &Value) -> bool {
    Config::parse(report[0]["config"].to_string().as_bytes()).is_ok()
}

#[test]
fn each_field_of_a_provider() {
    let cluster = |uri: &str| json!({"http_uri": {"uri": uri, "cluster": "k.example", "timeout": "10s"}, "cache_duration": "90s"});
    let table = [
        (
            "remoteJWKS: {uri: 'https://k.example/k', cacheDuration: 1m30s}",
            "remote_jwks",
            cluster("https://k.example/k"),
        ),
        ("", "forward", json!(true)),
        (
            "claimToHeaders: [{header: x-u, claim: sub}]",
            "claim_to_headers",
            json!([{"header_name": "x-u", "claim_name": "sub"}]),
        ),
        (
            "extractFrom: {headers: [{name: x, valuePrefix: 'T '}]}",
            "from_headers",
            json!([{"name": "x", "value_prefix": "T "}]),
        ),
        ("extractFrom: {cookies: [c]}", "from_cookies", json!(["c"])),
        ("extractFrom: {params: [t]}", "from_params", json!(["t"])),
    ];
    for (provider, field, expected) in table {
        let (code, said, report) = migrate(&policy(provider, ""));
        assert_eq!(code, 0, "{provider} {said:?}");
        assert!(is_taken(&report), "{provider} {report:#}");
        let config = &report[0]["config"];
        assert_eq!(config["providers"]["idp"][field], expected, "{provider}");
        assert_eq!(
            config["rules"],
            json!([{"match": {"prefix": "/"}, "requires": {"provider_name": "idp"}}])
        );
    }
    for (provider, path) in [
        (
            "localJWKS: {type: ValueRef, valueRef: {kind: ConfigMap, name: x}}",
            "spec.jwt.providers[0].localJWKS",
        ),
        (
            "remoteJWKS: {uri: k}",
            "spec.jwt.providers[0].remoteJWKS.uri",
        ),
        (
            "remoteJWKS: {uri: 'https://k', cacheDuration: x}",
            "spec.jwt.providers[0].remoteJWKS.cacheDuration",
        ),
        ("unknown: 1", "spec.jwt.providers[0].unknown"),
    ] {
        let (code, said, _) = migrate(&policy(provider, ""));
        assert_eq!(code, 1, "{provider}");
        assert!(
            said.contains(&format!("open {path}")),
            "{provider} {said:?}"
        );
    }
}

#[test]
fn each_kind_of_rule() {
    let requires = json!({"provider_name": "idp"});
    let rule = |matcher: Value, authorize: Value| json!({"match": matcher, "requires": requires, "authorize": authorize});
    let all = || json!({"prefix": "/"});
    let nobody = || json!({"claims": [{"path": ["iss"], "exists": false}]});
    let table = [
        ("{}", json!([])),
        (
            "{defaultAction: Allow}",
            json!([{"match": all(), "requires": requires}]),
        ),
        (
            "{rules: [{action: Allow, principal: {jwt: {provider: idp, scopes: [a, b]}}}]}",
            json!([rule(all(), json!({"scopes": {"all": ["a", "b"]}}))]),
        ),
        (
            "{rules: [{action: Allow, principal: {jwt: {provider: idp, claims: [{name: a.b, values: [x]}]}}}]}",
            json!([rule(
                all(),
                json!({"claims": [{"path": ["a", "b"], "equals": "x"}]})
            )]),
        ),
        (
            "{rules: [{action: Allow, principal: {jwt: {provider: idp, claims: [{name: g, valueType: StringArray, values: [x]}]}}}]}",
            json!([rule(
                all(),
                json!({"claims": [{"path": ["g"], "any": ["x"]}, {"path": ["g"], "not": {"equals": "x"}}]})
            )]),
        ),
        (
            "{defaultAction: Allow, rules: [{action: Deny, principal: {jwt: {provider: idp, claims: [{name: g, values: [x]}]}}}]}",
            json!([rule(
                all(),
                json!({"claims": [{"path": ["g"], "not": {"equals": "x"}}]})
            )]),
        ),
        // the first rule that fits decides
        (
            "{defaultAction: Allow, rules: [{action: Deny, operation: {path: {value: /a}}, principal: {headers: [{name: X-M, values: [v]}]}}]}",
            json!([
                rule(json!({"path": "/a", "headers": [{"name": "x-m", "exact_match": "v"}]}), nobody()),
                rule(json!({"prefix": "/a/", "headers": [{"name": "x-m", "exact_match": "v"}]}), nobody()),
                {"match": all(), "requires": requires},
            ]),
        ),
        (
            "{rules: [{action: Allow, operation: {methods: [GET], path: {type: Exact, value: /a}}, principal: {jwt: {provider: idp, claims: [{name: sub, values: [x, z]}]}}}]}",
            json!([rule(
                json!({"path": "/a", "methods": ["GET"]}),
                json!({"claims": [{"path": ["sub"], "any": ["x", "z"]}]})
            )]),
        ),
    ];
    for (authorization, expected) in table {
        let (code, said, report) = migrate(&policy("", &format!("authorization: {authorization}")));
        assert_eq!((code, said), (0, vec![]), "{authorization}");
        assert!(is_taken(&report), "{authorization} {report:#}");
        assert_eq!(report[0]["config"]["rules"], expected, "{authorization}");
    }
}

#[test]
fn what_cannot_be_said_is_open() {
    let of_rule = |rest: &str, path: &str| {
        (
            format!("authorization: {{rules: [{{action: Allow, {rest}}}]}}"),
            format!("spec.authorization.rules[0]{path}"),
        )
    };
    let mut table = vec![
        of_rule(
            "principal: {clientCIDRs: [10.0.0.0/8]}",
            ".principal.clientCIDRs",
        ),
        of_rule(
            "principal: {clientIPGeoLocations: [{country: NL}]}",
            ".principal.clientIPGeoLocations",
        ),
        of_rule(
            "principal: {headers: [{name: x, values: [a]}]}, cel: 'true'",
            ".cel",
        ),
        of_rule("operation: {methods: [GET]}", ".principal"),
        of_rule(
            "principal: {headers: [{name: Authorization, values: [a]}]}",
            ".principal.headers[0]",
        ),
        of_rule(
            "principal: {jwt: {provider: other, scopes: [a]}}",
            ".principal.jwt.provider",
        ),
        of_rule(
            "principal: {jwt: {provider: idp, claims: [{name: scope, values: [a]}]}}",
            ".principal.jwt.claims[0]",
        ),
        of_rule(
            "principal: {jwt: {provider: idp, claims: [{name: g, values: [a, b]}]}}",
            "",
        ),
        of_rule(
            "principal: {headers: [{name: x, values: [a]}]}, operation: {path: {type: RegularExpression, value: '/a.*'}}",
            ".operation.path",
        ),
        of_rule(
            "principal: {headers: [{name: x, values: [a]}]}, operation: {path: {value: /a//b}}",
            ".operation.path",
        ),
    ];
    for (spec, path) in [
        ("basicAuth: {users: {name: x}}", "basicAuth"),
        ("apiKeyAuth: {}", "apiKeyAuth"),
        ("extAuth: {}", "extAuth"),
        ("mergeType: StrategicMerge", "mergeType"),
        ("targetSelectors: [{kind: HTTPRoute}]", "targetSelectors"),
        ("unknown: 1", "unknown"),
    ] {
        table.push((spec.to_owned(), format!("spec.{path}")));
    }
    for (spec, path) in table {
        let (code, said, report) = migrate(&policy("", &spec));
        assert_eq!(code, 1, "{spec}");
        assert!(said.contains(&format!("open {path}")), "{spec} {said:?}");
        assert!(!is_taken(&report), "{spec}");
    }
    let text = policy("", "");
    for (from, to) in [
        ("kind: HTTPRoute", "kind: TCPRoute"),
        ("    providers:", "    failOpen: true\n    providers:"),
    ] {
        assert_eq!(migrate(&text.replace(from, to)).0, 1, "{to}");
    }
}

#[test]
fn what_stays_is_named() {
    let (code, said, _) = migrate(&policy("", "cors: {allowOrigins: ['*']}"));
    assert_eq!((code, said), (0, vec!["left_out spec.cors".to_owned()]));
    let other = "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: SecurityPolicy\nmetadata: {name: q}\nspec: {cors: {}}\n";
    let (code, said, _) = migrate(&format!("{}---\n{other}", policy("", "")));
    assert_eq!((code, said), (0, vec!["differs spec".to_owned()]));
    let files = Files::in_a_directory();
    let ran = run(&["migrate", &files.with("p.yaml", other)]);
    assert_eq!(ran.code, 2, "{}", ran.err);
}

#[test]
fn what_is_printed_is_an_extension_policy_that_check_takes() {
    let files = Files::in_a_directory();
    let spec =
        "authorization: {rules: [{action: Allow, principal: {jwt: {provider: idp, scopes: [a]}}}]}";
    let ran = run(&["migrate", &files.with("p.yaml", &policy("", spec))]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    for text in [
        "kind: EnvoyExtensionPolicy",
        "sectionName: s",
        "kind: HTTPRoute",
    ] {
        assert!(ran.out.contains(text), "{}", ran.out);
    }
    let ran = run(&["check", &files.with("extension-policy.yaml", &ran.out)]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
}
