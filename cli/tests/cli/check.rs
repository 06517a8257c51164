//! `check`: errors and warnings by path and line.

use super::{Files, root, run};

/// What is found in a text: `line severity path`, one each.
fn findings(text: &str) -> (i32, Vec<String>) {
    let files = Files::in_a_directory();
    let ran = run(&["check", "--json", &files.with("config.yaml", text)]);
    let report = ran.json();
    let findings = report[0]["findings"].as_array().unwrap();
    let lines = findings.iter().map(|finding| {
        format!(
            "{} {} {}",
            finding["line"],
            finding["severity"].as_str().unwrap(),
            finding["path"].as_str().unwrap()
        )
    });
    (ran.code, lines.collect())
}

const PROVIDER: &str = "providers:
  p:
    issuer: https://i.example/
    audiences: [api]
    remote_jwks:
      http_uri: {uri: https://i.example/jwks, cluster: idp, timeout: 5s}
";

#[test]
fn errors_name_the_field_and_its_line() {
    for (text, expected) in [
        (
            "providers:\n  p:\n    isuer: x\n",
            "3 error providers.p.isuer",
        ),
        ("provider: {}\n", "1 error provider"),
        (
            "rules:\n- match: {prefix: /}\n- macth: {}\n",
            "3 error rules[1].macth",
        ),
        (
            "rules:\n- match: {prefix: /}\n  requires:\n",
            "3 error rules[0].requires",
        ),
        ("realm: a\nrules: []\nrealm: b\n", "3 error realm"),
        (
            "rules:\n- match: {prefix: /a/../b}\n",
            "2 error rules[0].match.prefix",
        ),
        (
            "providers:\n  p.q:\n    issuer: x\n",
            "2 error providers.p.q.audiences",
        ),
        ("{\n \"maxWaiting\": 1e9\n}\n", "2 error max_waiting"),
    ] {
        assert_eq!(findings(text), (1, vec![expected.to_owned()]), "{text}");
    }
}

#[test]
fn a_good_configuration_has_no_findings() {
    let rules = "rules:\n- match: {path_separated_prefix: /public}\n- match: {prefix: /}\n  requires: {provider_name: p}\n";
    assert_eq!(findings(&format!("{PROVIDER}{rules}")), (0, vec![]));
}

#[test]
fn each_risky_choice_is_a_warning() {
    let table = [
        (
            "    any_audience: true\n",
            "audiences: [api]\n",
            "providers.p.any_audience",
        ),
        ("    forward: true\n", "", "providers.p.forward"),
        (
            "    require_expiration: false\n",
            "",
            "providers.p.require_expiration",
        ),
        (
            "    allow_sender_constrained: true\n",
            "",
            "providers.p.allow_sender_constrained",
        ),
        ("    from_params: [t]\n", "", "providers.p.from_params"),
        ("    from_basic: {}\n", "", "providers.p.from_basic"),
        (
            "    anyIssuer: true\n",
            "issuer: https://i.example/\n",
            "providers.p.any_issuer",
        ),
        ("unmatched: allow\n", "", "unmatched"),
        (
            "rules:\n- match: {path_separated_prefix: /1}\n  requires: {provider_name: p}\n- match: {prefix: /}\n",
            "",
            "rules[1]",
        ),
        (
            "rules:\n- match: {path_separated_prefix: /1}\n  requires: {provider_name: p}\n- match: {safe_regex: {regex: '.*'}}\n",
            "",
            "rules[1]",
        ),
        (
            "rules:\n- match: {prefix: /public}\n- match: {prefix: /}\n  requires: {provider_name: p}\n",
            "",
            "rules[0].match.prefix",
        ),
        (
            "rules:\n- match: {safe_regex: {regex: /public.*}}\n- match: {prefix: /}\n  requires: {provider_name: p}\n",
            "",
            "rules[0].match.safe_regex",
        ),
        (
            "rules:\n- match: {prefix: /, headers: [{name: x-internal, exact_match: 'yes'}]}\n- match: {prefix: /}\n  requires: {provider_name: p}\n",
            "",
            "rules[0].match.headers",
        ),
        (
            "rules:\n- match: {prefix: /api/}\n  requires: {provider_name: p}\n- match: {prefix: /}\n  requires: {requires_any: {requirements: [{provider_name: p}, {allow_missing: {}}]}}\n",
            "",
            "rules[0].match",
        ),
        ("rules:\n- match: {path: /}\n", "", "providers.p"),
        (
            "rules:\n- match: {prefix: /}\n  requires: {provider_name: p}\n- match: {prefix: /a}\n",
            "",
            "rules[1]",
        ),
        (
            "rules:\n- match: {prefix: /}\n  requires: {allow_missing_or_failed: {}}\n",
            "",
            "rules[0]",
        ),
        (
            "rules:\n- match: {prefix: /}\n  requires: {provider_name: p}\n  report_only: true\n",
            "",
            "rules[0].report_only",
        ),
        (
            "rules:\n- match: {prefix: /}\n  requires: {provider_name: p}\n  escaped_slashes: true\n",
            "",
            "rules[0].escaped_slashes",
        ),
    ];
    for (added, removed, path) in table {
        let kept: String = PROVIDER
            .split_inclusive('\n')
            .filter(|line| line.trim_start() != removed)
            .collect();
        let text = format!("{kept}{added}");
        let (code, found) = findings(&text);
        assert_eq!(code, 0, "{text}");
        assert_eq!(found.len(), 1, "{text} {found:?}");
        assert!(
            found[0].ends_with(&format!("warning {path}")),
            "{text} {found:?}"
        );
    }
    let (_, found) = findings(&PROVIDER.replace("https:", "http:"));
    assert_eq!(
        found,
        [
            "3 warning providers.p.issuer",
            "6 warning providers.p.remote_jwks.http_uri.uri"
        ]
    );
}

#[test]
fn what_nothing_uses_is_warned_of() {
    let whole = |more: &str, rules: &str| format!("{PROVIDER}{more}rules:\n{rules}");
    let by_name = "- match: {path: /a}\n  requirement_name: users\n";
    let by_provider = "- match: {path: /a}\n  requires: {provider_name: p}\n";
    let policy = "  authorize: {policies: [admins]}\n";
    let users = "requirement_map: {users: {provider_name: p}}\n";
    let policies = "policies: {admins: {scopes: {all: [admin]}}}\n";
    let of_routes = "route_metadata: ns\n";
    let scheme = "sign_in:
  cookie_keys: [{environment_variable: K}]
  allowed_redirect_domains: [app.example]
  schemes:
    staff:
      provider_name: p
      credentials: {client_id: web, token_secret: {environment_variable: S}}
      authorization_endpoint: https://i.example/authorize
      token_endpoint: {uri: https://i.example/token, cluster: idp, timeout: 5s}
      callback_path: /callback
";
    let in_store = |bytes: &str, store: &str| {
        let shared =
            "shared_store: {http_uri: {uri: https://store.example, cluster: store, timeout: 1s}}\n";
        format!(
            "{scheme}      cookie: {{max_bytes: {bytes}}}\n      session: {{store: {store}}}\n{shared}"
        )
    };
    let public = "- match: {path: /a}\n";
    for (text, expected) in [
        (whole("", public), Some("providers.p")),
        (whole("", by_provider), None),
        (whole(users, by_name), None),
        (whole(users, by_provider), Some("requirement_map.users")),
        (
            whole(
                &users.replace("requirement_map", "requirementMap"),
                by_provider,
            ),
            Some("requirement_map.users"),
        ),
        (whole(&format!("{users}{of_routes}"), by_provider), None),
        (whole(&format!("{users}{of_routes}"), public), None),
        (
            whole(
                &users.replace("provider_name: p", "allow_missing: {}"),
                "- match: {path: /a}\n  requires: {allow_missing: {}}\n",
            ),
            Some("requirement_map.users"),
        ),
        (
            whole(
                &format!("requirement_map: {{any: {{allow_missing: {{}}}}}}\n{of_routes}"),
                public,
            ),
            None,
        ),
        (whole(policies, &format!("{by_provider}{policy}")), None),
        (whole(policies, by_provider), Some("policies.admins")),
        (whole(scheme, public), None),
        (
            whole(&in_store("24576", "SHARED_STORE"), public),
            Some("sign_in.schemes.staff.cookie.max_bytes"),
        ),
        (whole(&in_store("24576", "COOKIE"), public), None),
        // Nothing can use it yet.
        (PROVIDER.to_owned(), None),
    ] {
        let (code, found) = findings(&text);
        let paths: Vec<&str> = found
            .iter()
            .filter_map(|one| one.rsplit(' ').next())
            .collect();
        let expected: Vec<&str> = expected.into_iter().collect();
        assert_eq!((code, paths), (0, expected), "{text}");
    }
}

#[test]
fn an_authorization_server_that_lacks_its_last_slash_is_warned_of() {
    let resource = |server: &str| {
        format!(
            "{PROVIDER}protected_resource:\n  resource: https://api.example/\n  authorization_servers: [{server}]\n"
        )
    };
    let warned = vec!["9 warning protected_resource.authorization_servers[0]".to_owned()];
    assert_eq!(findings(&resource("https://i.example")), (0, warned));
    for good in [
        "https://i.example/",
        "https://other.example",
        "https://i.example/x/",
    ] {
        assert_eq!(findings(&resource(good)), (0, vec![]), "{good}");
    }
}

#[test]
fn keys_of_all_tenants_are_warned_of() {
    let of = |issuer: &str, keys: &str| {
        format!(
            "providers:
  p:
    {issuer}
    audiences: [api]
    remote_jwks:
      http_uri: {{uri: '{keys}', cluster: idp, timeout: 5s}}
rules:
- match: {{prefix: /}}
  requires: {{provider_name: p}}
"
        )
    };
    let tenant = "https://login.microsoftonline.com/11111111-1111-1111-1111-111111111111/v2.0";
    let (one, several) = (format!("issuer: {tenant}"), format!("issuers: [{tenant}]"));
    let tenants = "issuer: 'https://login.microsoftonline.com/{tenantid}/v2.0'
    tenants: [11111111-1111-1111-1111-111111111111]";
    let common = "https://login.microsoftonline.com/common/discovery/v2.0/keys";
    let own = "https://login.microsoftonline.com/11111111-1111-1111-1111-111111111111/discovery/v2.0/keys";
    let warned = || vec!["6 warning providers.p.remote_jwks.http_uri.uri".to_owned()];
    for (issuer, keys, expected) in [
        (one.as_str(), common, warned()),
        (&several, common, warned()),
        (
            &several,
            &common.replace("common", "organizations"),
            warned(),
        ),
        (&several, own, vec![]),
        (tenants, common, vec![]),
        (&several, "https://i.example/common/keys", vec![]),
    ] {
        assert_eq!(
            findings(&of(issuer, keys)),
            (0, expected),
            "{issuer} {keys}"
        );
    }
}

#[test]
fn providers_that_count_in_the_same_metrics_are_warned_about() {
    let provider = |name: &str| {
        format!(
            "  {name}: {{issuer: https://i.example/, audiences: [a], remote_jwks: {{http_uri: {{uri: https://i.example/jwks, cluster: c, timeout: 1s}}}}}}\n"
        )
    };
    let of = |names: &[&str]| {
        let providers: String = names.iter().map(|name| provider(name)).collect();
        findings(&format!("providers:\n{providers}"))
    };
    assert_eq!(of(&["a.b", "a-b", "ab", "A.b"]), (0, vec![]));
    let warnings = [
        "3 warning providers.a_b".to_owned(),
        "5 warning providers.a:b".to_owned(),
    ];
    let found = of(&["a.b", "a_b", "c", "a:b"]);
    assert_eq!((found.0, found.1.as_slice()), (0, &warnings[..]));
}

#[test]
fn warnings_are_errors_where_that_is_asked_for() {
    let files = Files::in_a_directory();
    let file = files.with("c.yaml", &format!("{PROVIDER}unmatched: allow\n"));
    assert_eq!(run(&["check", &file]).code, 0);
    assert_eq!(run(&["check", "--strict", &file]).code, 1);
}

const ENVOY: &str = r#"static_resources:
  clusters:
  - name: idp
    transport_socket:
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
        sni: i.example
        common_tls_context: {validation_context: {trusted_ca: {filename: ca.crt}, match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: i.example}}]}}
  listeners:
  - filter_chains:
    - filters:
      - typed_config:
          normalize_path: true
          merge_slashes: true
          path_with_escaped_slashes_action: REJECT_REQUEST
          common_http_protocol_options: {headers_with_underscores_action: REJECT_REQUEST}
          request_timeout: 30s
          http_filters:
          - name: another
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
              config:
                name: another
                configuration:
                  "@type": type.googleapis.com/google.protobuf.StringValue
                  value: '{"nothing": "of ours"}'
          - name: envoy.filters.http.wasm
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
              config:
                vm_config: {vm_id: bearer-gate}
                failure_policy: FAIL_RELOAD
                configuration:
                  "@type": type.googleapis.com/google.protobuf.StringValue
                  value: |
                    {
                      "providers": {
                        "p": {
                          "issuer": "https://i.example/",
                          "audiences": ["api"],
                          "remote_jwks": {
                            "http_uri": {"uri": "https://i.example/jwks", "cluster": "idp", "timeout": "5s"}
                          }
                        }
                      },
                      "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "p"}}]
                    }
"#;

#[test]
fn what_surrounds_the_filter_in_envoy_is_looked_at() {
    assert_eq!(findings(ENVOY), (0, vec![]));
    let table = [
        (
            "normalize_path: true",
            "normalize_path: false",
            "13 warning normalize_path",
        ),
        (
            "merge_slashes: true",
            "stat_prefix: x",
            "13 warning merge_slashes",
        ),
        (
            "slashes_action: REJECT_REQUEST",
            "slashes_action: KEEP_UNCHANGED",
            "15 warning path_with_escaped_slashes_action",
        ),
        (
            "slashes_action: REJECT_REQUEST",
            "slashes_action: UNESCAPE_AND_FORWARD",
            "15 warning path_with_escaped_slashes_action",
        ),
        (
            "underscores_action: REJECT_REQUEST",
            "underscores_action: ALLOW",
            "16 warning common_http_protocol_options",
        ),
        (
            "request_timeout: 30s",
            "stat_prefix: x",
            "13 warning request_timeout",
        ),
        ("FAIL_RELOAD", "FAIL_OPEN", "32 error failure_policy"),
        ("FAIL_RELOAD", "FAIL_CLOSED", "32 warning failure_policy"),
        (
            "{vm_id: bearer-gate}",
            "{runtime: x}",
            "31 warning vm_config",
        ),
        (
            "- name: idp",
            "- name: idq",
            "42 error providers.p.remote_jwks.http_uri.cluster",
        ),
        (
            "validation_context:",
            "tls_params:",
            "6 error providers.p.remote_jwks.http_uri.cluster",
        ),
        (
            "transport_socket:",
            "metadata:",
            "3 error providers.p.remote_jwks.http_uri.cluster",
        ),
        // the text's own lines
        (
            "\"audiences\"",
            "\"audience\"",
            "40 error providers.p.audience",
        ),
        (
            "\"provider_name\": \"p\"",
            "\"provider_name\": \"q\"",
            "46 error rules[0].requires.provider_name",
        ),
    ];
    // a port is compared without TLS too
    let plain = ENVOY
        .replace("https://i.example/jwks", "http://i.example:8080/jwks")
        .replacen(
            "- name: idp\n",
            "- name: idp\n    load_assignment: {endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: i.example, port_value: 80}}}}]}]}\n",
            1,
        );
    let found = findings(&plain).1;
    let port = "4 warning providers.p.remote_jwks.http_uri.cluster".to_owned();
    assert!(found.contains(&port), "{found:?}");
    let same = plain.replace("port_value: 80}", "port_value: 8080}");
    assert!(!findings(&same).1.contains(&port));
    // where a rule takes escaped slashes
    let taken = ENVOY.replace(
        r#"{"provider_name": "p"}}"#,
        r#"{"provider_name": "p"}, "escaped_slashes": true}"#,
    );
    let of_rule = "46 warning rules[0].escaped_slashes";
    let refused = "15 warning path_with_escaped_slashes_action";
    assert_eq!(findings(&taken).1, [refused, of_rule]);
    let kept = taken.replace("action: REJECT_REQUEST", "action: KEEP_UNCHANGED");
    let kept = kept.replace(
        "underscores_action: KEEP_UNCHANGED",
        "underscores_action: REJECT_REQUEST",
    );
    assert_eq!(findings(&kept).1, [of_rule]);
    // where hosts decide
    let hosts = [
        (
            r#""prefix": "/"}"#,
            r#""prefix": "/", "hosts": ["a"]}"#,
            "13 warning strip_trailing_host_dot",
        ),
        (
            r#""prefix": "/"}"#,
            r#""prefix": "/", "headers": [{"name": "host", "exact_match": "a"}]}"#,
            "13 warning strip_trailing_host_dot",
        ),
    ];
    for (from, to, expected) in hosts {
        let envoy = ENVOY.replace(from, to);
        assert_eq!(findings(&envoy).1, [expected], "{to}");
        let stripped = "merge_slashes: true\n          strip_trailing_host_dot: true";
        let envoy = envoy.replace("merge_slashes: true", stripped);
        assert_eq!(findings(&envoy), (0, vec![]), "{to}");
    }
    let routes = ENVOY.replace(
        r#""rules": ["#,
        r#""route_metadata": "ns", "requirement_map": {"r": {"provider_name": "p"}}, "rules": ["#,
    );
    let expected = [
        "13 warning strip_trailing_host_dot",
        "13 warning strip_any_host_port",
    ];
    assert_eq!(findings(&routes).1, expected);
    // where routes decide, and a header's value chooses the route
    let stripped = "merge_slashes: true
          strip_trailing_host_dot: true
          strip_any_host_port: true
          route_config:
            virtual_hosts:
            - routes:
              - match: {path: /}
              - match:
                  prefix: /
                  headers:
                  - {name: x-mode, present_match: true}
                  - MATCHER";
    let by_value = || vec!["25 warning route_config".to_owned()];
    for (matcher, expected) in [
        ("{name: x-mode, string_match: {exact: a}}", by_value()),
        ("{name: x-mode, stringMatch: {prefix: a}}", by_value()),
        (
            "{name: x-mode, exact_match: a, invert_match: true}",
            by_value(),
        ),
        (
            "{name: x-mode, range_match: {start: 1, end: 2}}",
            by_value(),
        ),
        (
            "{name: x-mode, presentMatch: true, invertMatch: true}",
            vec![],
        ),
    ] {
        let stripped = stripped.replace("MATCHER", matcher);
        let with_routes = routes.replace("merge_slashes: true", &stripped);
        let (code, found) = findings(&with_routes);
        assert_eq!((code, found), (0, expected), "{matcher}");
        // Without metadata of routes no requirement depends on them.
        let without = ENVOY.replace("merge_slashes: true", &stripped);
        assert_eq!(findings(&without), (0, vec![]), "{matcher}");
    }

    for (from, to, expected) in table {
        assert!(ENVOY.contains(from), "{from}");
        let (code, found) = findings(&ENVOY.replace(from, to));
        assert_eq!(code, i32::from(expected.contains("error")), "{expected}");
        assert_eq!(found, [expected], "{to}");
    }
}

#[test]
fn resources_of_kubernetes_are_understood() {
    let text = "apiVersion: v1
kind: Service
---
apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata: {name: bearer-gate}
spec:
  selector: {matchLabels: {istio: ingressgateway}}
  phase: AUTHN
  failStrategy: FAIL_OPEN
  pluginConfig:
    unmatched: allow
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: EnvoyExtensionPolicy
spec:
  wasm:
  - name: gate
    failOpen: true
    config:
      rules:
      - match: {prefix: /}
        requires: {provider_name: p}
";
    let (code, found) = findings(text);
    assert_eq!(code, 1);
    assert_eq!(
        found,
        [
            "10 error spec.failStrategy",
            "12 warning unmatched",
            "19 error spec.wasm.failOpen",
            "23 error rules[0].requires.provider_name",
        ]
    );
}

#[test]
fn the_files_of_this_repository_are_good() {
    for entry in std::fs::read_dir(root().join("envoy")).unwrap() {
        let path = entry.unwrap().path().display().to_string();
        if path.contains("envoy.yaml") {
            let ran = run(&["check", &path]);
            assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
        }
    }
}

#[test]
fn what_cannot_be_read_is_another_exit_code() {
    let files = Files::in_a_directory();
    for text in ["a: [", "static_resources: {}", "", "a: *b"] {
        let ran = run(&["check", &files.with("f.yaml", text)]);
        assert_eq!(ran.code, 2, "{text}: {}", ran.out);
        assert!(ran.err.contains("f.yaml"), "{}", ran.err);
    }
    assert_eq!(run(&["check", "no-such-file"]).code, 2);
    assert_eq!(run(&["check"]).code, 2);
    assert_eq!(run(&["chek"]).code, 2);
}

#[test]
fn no_colour_where_it_is_no_terminal() {
    let files = Files::in_a_directory();
    let ran = run(&["check", &files.with("f.yaml", "unmatched: maybe\n")]);
    assert!(
        ran.out.contains("f.yaml:1:1: error: unmatched: "),
        "{}",
        ran.out
    );
    assert!(!ran.out.contains('\u{1b}'));
}

#[test]
fn addresses_that_have_no_key_set_are_warned_about() {
    let table = [
        ("https://www.googleapis.com/oauth2/v1/certs", false),
        (
            "https://www.googleapis.com/robot/v1/metadata/x509/securetoken@system.gserviceaccount.com",
            false,
        ),
        ("https://www.gstatic.com/iap/verify/public_key", true),
        ("https://i.example/.well-known/openid-configuration", true),
        ("https://i.example/signing.pem", true),
        ("https://www.googleapis.com/oauth2/v3/certs", false),
        ("https://www.gstatic.com/iap/verify/public_key-jwk", false),
        ("https://i.example/.well-known/jwks.json", false),
    ];
    for (uri, warned) in table {
        let text = PROVIDER.replace("https://i.example/jwks", uri);
        let (_, findings) = findings(&format!(
            "{text}rules: [{{match: {{prefix: /}}, requires: {{provider_name: p}}}}]\n"
        ));
        let finding = "6 warning providers.p.remote_jwks.http_uri.uri".to_owned();
        assert_eq!(findings.contains(&finding), warned, "{uri}: {findings:?}");
    }
}

#[test]
fn no_value_in_a_wrong_place_is_printed() {
    let secret = r#"'{"keys":[{"kty":"oct","k":"c2VjcmV0LXNlY3JldC1zZWNyZXQ"}]}'"#;
    for text in [
        PROVIDER.replace("remote_jwks:\n      http_uri: {uri: https://i.example/jwks, cluster: idp, timeout: 5s}", &format!("local_jwks: {secret}")),
        PROVIDER.replace("audiences: [api]", &format!("audiences: {secret}")),
        format!("{PROVIDER}unmatched: {secret}\n"),
        format!("{PROVIDER}max_waiting: {secret}\n"),
    ] {
        let files = Files::in_a_directory();
        let file = files.with("config.yaml", &text);
        for arguments in [&["check", &file][..], &["check", "--json", &file]] {
            let ran = run(arguments);
            assert_eq!(ran.code, 1, "{text}");
            assert!(!ran.out.contains("c2VjcmV0") && !ran.err.contains("c2VjcmV0"), "{}", ran.out);
        }
    }
}

#[test]
fn aliases_do_not_make_a_file_larger_than_it_may_be() {
    let aliases = "*a, ".repeat(150_000);
    let text = format!(
        "x: &a {}\nproviders: {{p: {{audiences: [{aliases}]}}}}\n",
        "y".repeat(400_000)
    );
    let files = Files::in_a_directory();
    let ran = run(&["check", &files.with("config.yaml", &text)]);
    assert_eq!(ran.code, 2, "{:.200}", ran.out);
    assert!(ran.err.contains("too large"), "{:.200}", ran.err);
}
