//! `check`: choices that are risky in one place and not in another.

use super::{Files, root, run};

/// The kinds that are found in a text, with their paths.
fn found(text: &str) -> Vec<String> {
    let files = Files::in_a_directory();
    let ran = run(&["check", "--json", &files.with("config.yaml", text)]);
    let report = ran.json();
    let findings = report[0]["findings"].as_array().unwrap();
    let shown = findings.iter().map(|finding| {
        let of = |member: &str| finding[member].as_str().unwrap();
        format!("{} {}", of("kind"), of("path"))
    });
    shown.collect()
}

/// Nobody is between two programs of one host.
#[test]
fn http_is_a_risk_where_somebody_can_be_in_between() {
    let config = |issuer: &str, keys: &str| {
        format!(
            "providers:\n  p:\n    issuer: {issuer}\n    audiences: [a]\n    {keys}\nrules:\n- \
             match: {{prefix: /}}\n  requires: {{provider_name: p}}\n"
        )
    };
    let at = |host: &str| {
        let keys =
            format!("remote_jwks: {{http_uri: {{uri: '{host}/jwks', cluster: c, timeout: 5s}}}}");
        let discovery = "openid_discovery: {cluster: c, timeout: 5s}";
        (found(&config(host, &keys)), found(&config(host, discovery)))
    };
    for host in [
        "https://idp.example",
        "http://localhost:8081",
        "http://127.0.0.1:9000",
        "http://[::1]:9000",
    ] {
        assert_eq!(at(host), (vec![], vec![]), "{host}");
    }
    for host in [
        "http://idp.example",
        "http://localhost.example",
        "http://10.0.0.1:9000",
    ] {
        let (by_keys, by_discovery) = at(host);
        assert_eq!(
            by_keys,
            [
                "risky-choice providers.p.issuer",
                "risky-choice providers.p.remote_jwks.http_uri.uri"
            ],
            "{host}"
        );
        assert_eq!(
            by_discovery,
            [
                "risky-choice providers.p.issuer",
                "risky-choice providers.p.openid_discovery"
            ],
            "{host}"
        );
    }
}

/// The cluster decides where a call goes, so an address of this host does not keep it here.
#[test]
fn an_address_of_this_host_and_a_cluster_elsewhere() {
    let minimal = std::fs::read_to_string(root().join("envoy/envoy-minimal.yaml")).unwrap();
    let (here, _tls) = minimal.split_once("    transport_socket:").unwrap();
    let here = here.replace(
        "https://tenant.eu.auth0.com/.well-known/jwks.json",
        "http://localhost:8081/jwks",
    );
    let place = "address: tenant.eu.auth0.com, port_value: 443";
    let leading_to =
        |address: &str| here.replace(place, &format!("address: {address}, port_value: 8081"));
    assert!(here.contains(place));
    let path = "providers.auth0.remote_jwks.http_uri.cluster";
    for (address, expected) in [
        ("127.0.0.1", vec![]),
        ("localhost", vec![]),
        ("10.0.0.5", vec![format!("cluster-host {path}")]),
        ("idp.example", vec![format!("cluster-host {path}")]),
    ] {
        let mut findings = found(&leading_to(address));
        findings.retain(|finding| !finding.starts_with("module-missing"));
        assert_eq!(findings, expected, "{address}");
    }
}

/// Tokens of Cognito have no `aud`: each rule asks for the client instead.
#[test]
fn every_audience_is_a_risk_where_a_rule_does_not_ask_for_whom_a_token_is() {
    let config = |rules: &str| {
        format!(
            "providers:\n  p:\n    issuer: https://i.example/\n    any_audience: true\n    openid_discovery: \
             {{cluster: c, timeout: 5s}}\n  q:\n    issuer: https://j.example/\n    audiences: [a]\n    \
             openid_discovery: {{cluster: c, timeout: 5s}}\nrules:\n{rules}\
             - match: {{path: /q}}\n  requires: {{provider_name: q}}\n"
        )
    };
    let rule = |requires: &str, claims: &str| {
        format!(
            "- match: {{path: /{}}}\n  requires: {requires}\n  authorize: {{claims: [{claims}]}}\n",
            requires.len() + claims.len()
        )
    };
    let p = "{provider_name: p}";
    let (mine, any) = (
        "{path: [client_id], equals: x}",
        "{path: [azp], any: [x, y]}",
    );
    let both = "{requires_all: {requirements: [{provider_name: p}, {provider_name: q}]}}";
    let either = "{requires_any: {requirements: [{provider_name: p}, {provider_name: q}]}}";
    let own = "{provider_and_audiences: {provider_name: p, audiences: [a]}}";
    for rules in [
        rule(p, mine),
        rule(p, any),
        rule(p, &format!("{{path: [token_use], equals: access}}, {mine}")),
        rule(p, mine) + &rule(p, any),
        rule(either, mine),
        rule(own, "{path: [role], any: [x]}"),
    ] {
        let none: [&str; 0] = [];
        assert_eq!(found(&config(&rules)), none, "{rules}");
    }
    for rules in [
        rule(p, "{path: [role], any: [x]}"),
        rule(p, "{path: [client_id], exists: true}"),
        rule(p, "{path: [client_id], not: {equals: x}}"),
        rule(p, "{path: [client_id, x], equals: x}"),
        rule(p, mine) + &rule(p, "{path: [role], any: [x]}"),
        rule(either, "{path: [role], any: [x]}"),
        // the other token may be the one that has the claim
        rule(both, mine),
    ] {
        let expected = ["risky-choice providers.p.any_audience"];
        assert_eq!(found(&config(&rules)), expected, "{rules}");
    }
    let of_routes = "route_metadata: gate\nrequirement_map: {users: {provider_name: p}}\n";
    let findings = found(&format!("{of_routes}{}", config(&rule(p, mine))));
    assert_eq!(findings, ["risky-choice providers.p.any_audience"]);
}

/// Without a rule nobody gets in, which nobody means who does not say so. A file of its own may be a piece.
#[test]
fn rules_that_are_not_there_are_told() {
    let whole = std::fs::read_to_string(root().join("envoy/my-api.yaml")).unwrap();
    let rules = whole.find("                    rules:\n").unwrap();
    let end = whole
        .find("          - name: envoy.filters.http.router")
        .unwrap();
    let with = |more: &str| {
        let more = match more {
            "" => String::new(),
            more => format!("                    {more}\n"),
        };
        let text = format!("{}{more}{}", &whole[..rules], &whole[end..]);
        found(&text).contains(&"risky-choice rules".to_owned())
    };
    assert!(with(""));
    assert!(!with("rules: []"));
    assert!(!with("unmatched: allow"));
    assert!(!with("route_metadata: bearer_gate"));
    assert_eq!(
        found(
            "providers:\n  p:\n    issuer: https://i.example/\n    audiences: [a]\n    openid_discovery: {cluster: c, timeout: 5s}\n"
        ),
        [""; 0]
    );
}
