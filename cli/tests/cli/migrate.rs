//! `migrate`: what comes out is a good configuration, and each change is said.

use bearer_gate::config::Config;
use serde_json::Value;

use super::{Files, run};

const JWT_AUTHN: &str = r#"http_filters:
- name: envoy.filters.http.jwt_authn
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication
    providers:
      one:
        issuer: https://one.example/
        audiences: [https://api.example.com]
        remote_jwks:
          http_uri: {uri: https://one.example/jwks, cluster: one, timeout: 5s}
          retry_policy: {num_retries: 3, retry_on: 5xx}
      two:
        require_expiration: true
        clockSkewSeconds: 0
        from_headers: [{name: x-token, value_prefix: "T "}]
        local_jwks: {filename: keys.json}
    rules:
    - match: {prefix: /public}
      requires: {}
    - match: {prefix: /api}
      requires: {requires_any: {requirements: [{provider_name: one}, {provider_name: two}]}}
"#;

const KEYS: &str = concat!(
    "{\"keys\":[",
    include_str!("../../../tests/fixtures/set-a.jwk.json"),
    "]}"
);

fn changes(text: &str, keys: bool) -> (i32, Vec<String>, Value) {
    changes_of(&[text], keys)
}

/// Of several files.
fn changes_of(texts: &[&str], keys: bool) -> (i32, Vec<String>, Value) {
    let files = Files::in_a_directory();
    if keys {
        files.with("keys.json", KEYS);
    }
    let paths: Vec<String> = texts
        .iter()
        .enumerate()
        .map(|(at, text)| files.with(&format!("envoy-{at}.yaml"), text))
        .collect();
    let mut arguments = vec!["migrate", "--json"];
    arguments.extend(paths.iter().map(String::as_str));
    let ran = run(&arguments);
    let report = ran.json();
    let said = report[0]["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| {
            format!(
                "{} {}",
                change["kind"].as_str().unwrap(),
                change["path"].as_str().unwrap()
            )
        });
    (ran.code, said.collect(), report[0]["config"].clone())
}

#[test]
fn what_comes_out_is_taken_and_every_change_is_said() {
    let (code, said, config) = changes(JWT_AUTHN, true);
    assert_eq!(
        (code, said),
        (
            0,
            [
                "differs providers.one.audiences",
                "added providers.one.require_expiration",
                "differs providers.one.from_params",
                "added providers.two.any_issuer",
                "added providers.two.any_audience",
                "left_out providers.two.clock_skew_seconds",
                "differs providers.two.from_headers",
                "differs providers.two.local_jwks",
                "differs rules[0]",
                "left_out providers.one.remote_jwks.retry_policy.retry_on",
                "added unmatched",
            ]
            .map(str::to_owned)
            .to_vec()
        )
    );
    assert!(Config::parse(config.to_string().as_bytes()).is_ok());
    assert_eq!(config["providers"]["one"]["require_expiration"], false);
    assert_eq!(config["providers"]["two"]["require_expiration"], true);
    assert!(config["rules"][0].get("requires").is_none());
}

#[test]
fn the_yaml_is_a_good_configuration_with_notes() {
    let files = Files::in_a_directory();
    files.with("keys.json", KEYS);
    let ran = run(&["migrate", &files.with("envoy.yaml", JWT_AUTHN)]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(
        ran.out.contains("# jwt_authn takes tokens without exp."),
        "{}",
        ran.out
    );
    assert!(ran.err.contains("envoy.yaml:11: left out: "), "{}", ran.err);
    let checked = run(&["check", &files.with("ours.yaml", &ran.out)]);
    assert_eq!(checked.code, 0, "{}{}", checked.out, checked.err);
}

/// As Google and Firebase publish their keys.
#[test]
fn a_map_of_certificates_stays_one() {
    let map = include_str!("../../../tests/fixtures/sets/certificates-by-kid.jwks.json");
    let files = Files::in_a_directory();
    files.with("keys.json", map);
    let inline = format!("{{inline_string: {}}}", Value::from(map));
    for source in ["{filename: keys.json}", &inline] {
        let text = JWT_AUTHN.replace("{filename: keys.json}", source);
        let ran = run(&["migrate", &files.with("envoy.yaml", &text)]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        let printed = bearer_gate_testbed::yaml::parse(&ran.out);
        let keys = &printed["providers"]["two"]["local_jwks"]["inline_string"];
        let keys: Value = serde_json::from_str(keys.as_str().unwrap()).unwrap();
        assert_eq!(keys, serde_json::from_str::<Value>(map).unwrap());
        assert!(Config::parse(printed.to_string().as_bytes()).is_ok());
        // Without a certificate in it there is no key, and that is told.
        let none = text.replace("CERTIFICATE", "CERT");
        files.with("keys.json", &map.replace("CERTIFICATE", "CERT"));
        let ran = run(&["migrate", &files.with("none.yaml", &none)]);
        assert_eq!(ran.code, 1, "{}", ran.err);
        files.with("keys.json", map);
    }
}

#[test]
fn nothing_is_added_where_it_is_said_already() {
    let text = "providers:
  one:
    issuer: https://one.example/
    audiences: [api]
    require_expiration: true
    from_headers: [{name: x-token}]
    remote_jwks: {http_uri: {uri: https://one.example/jwks, cluster: one, timeout: 5s}}
rules:
- match: {prefix: /}
  requires: {provider_name: one}
";
    let (code, said, config) = changes(text, false);
    assert_eq!((code, said.len()), (0, 0), "{said:?}");
    assert!(config.get("unmatched").is_none());
}

#[test]
fn what_would_let_more_through_is_left_to_the_operator() {
    let table = [
        // keys that are not there
        (
            JWT_AUTHN.to_owned(),
            "open providers.two.local_jwks.filename",
        ),
        // a rule for less than it would be without its condition
        (
            "rules:\n- match: {prefix: /, grpc: {}}\n".to_owned(),
            "open rules[0].match.grpc",
        ),
        (
            "rules:\n- match: {prefix: /}\n  requires: {extract_only_without_validation: {}}\n"
                .to_owned(),
            "open rules[0].requires.extract_only_without_validation",
        ),
        (
            format!("{JWT_AUTHN}    filter_state_rules: {{name: x}}\n"),
            "open filter_state_rules",
        ),
        (
            format!(
                "{JWT_AUTHN}- typed_per_filter_config:\n    envoy.filters.http.jwt_authn:\n      \"@type\": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.PerRouteConfig\n      requirement_name: x\n"
            ),
            "open typed_per_filter_config",
        ),
    ];
    for (text, expected) in table {
        let keys = !expected.contains("filename");
        let (code, said, _) = changes(&text, keys);
        assert_eq!(code, 1, "{expected}");
        assert!(
            said.iter().any(|said| said == expected),
            "{expected}: {said:?}"
        );
    }
    assert_eq!(run(&["migrate", "envoy/envoy.yaml"]).code, 2);
}

const GOOD: &str = "providers:
  one:
    issuer: https://one.example/
    audiences: [api]
    require_expiration: true
    from_headers: [{name: x-token}]
    remote_jwks: {http_uri: {uri: https://one.example/jwks, cluster: one, timeout: 5s}}
";

#[test]
fn what_envoy_reads_is_kept_in_whatever_spelling() {
    // Each beside what Envoy takes it for: see tests/differential for more, with Envoy itself.
    let table = [
        ("audiences: [api]", "audiences: api"),
        ("require_expiration: true", "requireExpiration: \"true\""),
        ("x-token}]", "x-token, value_prefix: null}]"),
        ("[{name: x-token}]", "{name: x-token}"),
        ("timeout: 5s", "timeout: {seconds: \"5\"}"),
        ("remote_jwks:", "remoteJwks:"),
    ];
    let rules = "rules:\n- match: {prefix: /}\n  requires: {provider_name: one}\n";
    let plain = changes(&format!("{GOOD}{rules}"), false);
    assert_eq!(plain.0, 0);
    for (plainly, oddly) in table {
        let text = GOOD.replacen(plainly, oddly, 1);
        assert_ne!(text, GOOD, "{plainly}");
        assert_eq!(changes(&format!("{text}{rules}"), false), plain, "{oddly}");
    }
}

#[test]
fn what_is_open_is_refused_by_the_filter() {
    let rule = "rules:\n- match: {prefix: /}\n  requires: {provider_name: one}\n";
    let table = [
        // what routes ask for in a file that is not here
        (
            "requirement_map: {users: {provider_name: one}}\n".to_owned(),
            "open requirement_map",
        ),
        (
            format!("{rule}requirement_map: {{users: {{provider_name: one}}}}\n"),
            "open requirement_map",
        ),
        // given twice, in two spellings
        (
            format!("{rule}stripFailureResponse: true\nstrip_failure_response: false\n"),
            "open strip_failure_response",
        ),
        // fields of this filter, of which jwt_authn knows nothing
        (format!("{rule}realm: x\n"), "open realm"),
        (
            rule.replace("requires", "report_only: true\n  requires"),
            "open rules[0].report_only",
        ),
        (
            rule.replace("prefix: /}", "prefix: /, case_sensitive: 0}"),
            "open rules[0].match.case_sensitive",
        ),
    ];
    for (text, expected) in table {
        let (code, said, config) = changes(&format!("{GOOD}{text}"), false);
        assert_eq!(code, 1, "{expected}");
        assert!(
            said.iter().any(|said| said == expected),
            "{expected}: {said:?}"
        );
        assert_eq!(config["unmatched"], "deny", "{expected}");
        let refusal = Config::parse(config.to_string().as_bytes()).unwrap_err();
        // and of what is printed nothing but the line that says so is refused, or more
        let mut rest = config.clone();
        rest.as_object_mut().unwrap().remove("open");
        if let Ok(rest) = Config::parse(rest.to_string().as_bytes()) {
            assert_eq!(refusal.path(), "open", "{expected}");
            assert_eq!(rest.unmatched, bearer_gate::config::Unmatched::Deny);
        }
    }
}

#[test]
fn everything_that_cannot_be_is_told_at_once() {
    let text = GOOD.replace("audiences: [api]", "audiences: [5]")
        + "  two:
    issuer: https://two.example/
    audiences: [api]
    subjects: {custom: {}}
    local_jwks: {environment_variable: KEYS}
filter_state_rules: {name: x}
stat_prefix: x
rules:
- match: {prefix: /a, grpc: {}, tls_context: {}}
- match: {path: /b?c}
- match: {prefix: /d, cookies: [{name: x}]}
  requires: {provider_name: three}
";
    let (code, said, _) = changes(&text, false);
    let open: Vec<&str> = said
        .iter()
        .filter_map(|said| said.strip_prefix("open "))
        .collect();
    assert_eq!(code, 1);
    let expected = [
        "providers.one.audiences[0]",
        "filter_state_rules",
        "providers.two.subjects.custom",
        "providers.two.local_jwks.environment_variable",
        "rules[0].match.grpc",
        "rules[0].match.tls_context",
        "rules[1].match.path",
        "rules[2].match.cookies",
        "rules[2].requires.provider_name",
    ];
    for path in expected {
        assert!(open.contains(&path), "{path}: {said:?}");
    }
    assert_eq!(open.len(), expected.len(), "{said:?}");
    assert!(
        said.contains(&"left_out stat_prefix".to_owned()),
        "{said:?}"
    );
}

#[test]
fn what_stands_around_jwt_authn_is_told() {
    let telling = |field: &str| {
        JWT_AUTHN.replace(
            "        issuer: https://one.example/\n",
            &format!("        issuer: https://one.example/\n        {field}: told\n"),
        )
    };
    // Everything that Envoy has to read dynamic metadata by.
    let readers = [
        "- {name: rbac, typed_config: {rules: {policies: {p: {principals: [{metadata: {filter: envoy.filters.http.jwt_authn}}]}}}}}",
        "- {name: lua, typed_config: {default_source_code: {inline_string: 'h:streamInfo():dynamicMetadata():get(\"envoy.filters.http.jwt_authn\")'}}}",
        "- {name: authz, typed_config: {metadata_context_namespaces: [envoy.filters.http.jwt_authn]}}",
        "- {name: proc, typed_config: {metadata_options: {forwarding_namespaces: {untyped: [envoy.filters.http.jwt_authn]}}}}",
        "- {actions: [{metadata: {descriptor_key: u, metadata_key: {key: envoy.filters.http.jwt_authn, path: [{key: told}]}}}]}",
        "- {format: '%DYNAMIC_METADATA(envoy.filters.http.jwt_authn:told:sub)%'}",
        "- {request_headers_to_add: [{header: {key: x-u, value: '%DYNAMIC_METADATA(envoy.filters.http.jwt_authn:told:sub)%'}}]}",
        "- {expr: \"metadata.filter_metadata['envoy.filters.http.jwt_authn'].told.sub == 'x'\"}",
    ];
    let fields = [
        "payload_in_metadata",
        "header_in_metadata",
        "failed_status_in_metadata",
    ];
    for field in fields {
        let differs = format!("differs providers.one.{field}");
        let open = "open envoy.filters.http.jwt_authn".to_owned();
        let (code, said, _) = changes(&telling(field), true);
        assert!(code == 0 && said.contains(&differs), "{field}: {said:?}");
        for reader in readers {
            let same = format!("{}{reader}\n", telling(field));
            // in the same file, or in another one
            for texts in [vec![&*same], vec![&*telling(field), reader]] {
                let (code, said, config) = changes_of(&texts, true);
                assert_eq!(code, 1, "{reader}");
                assert!(said.contains(&differs) && said.contains(&open), "{said:?}");
                assert_eq!(config["unmatched"], "deny", "{reader}");
            }
            // no filter writes it, so none needs it
            assert_eq!(changes_of(&[JWT_AUTHN, reader], true).0, 0, "{reader}");
        }
    }
}

/// A finding says which filter, route or log it is about.
#[test]
fn who_reads_what_jwt_authn_tells() {
    let telling = JWT_AUTHN.replace(
        "        issuer: https://one.example/\n",
        "        issuer: https://one.example/\n        payload_in_metadata: told\n",
    );
    for (reader, who) in [
        (
            "- {name: rbac, typed_config: {rules: {policies: {p: {principals: [{metadata: {filter: envoy.filters.http.jwt_authn}}]}}}}}",
            "the filter rbac",
        ),
        (
            "- {match: {path_separated_prefix: /admin}, route: {metadata_match: {x: envoy.filters.http.jwt_authn}}}",
            "the route /admin",
        ),
        (
            "- {access_log: [{name: x, typed_config: {log_format: '%DYNAMIC_METADATA(envoy.filters.http.jwt_authn:told:sub)%'}}]}",
            "an access log",
        ),
        ("- {expr: envoy.filters.http.jwt_authn}", "something"),
    ] {
        let files = Files::in_a_directory();
        let file = files.with("envoy.yaml", &format!("{telling}{reader}\n"));
        let ran = run(&["migrate", &file]);
        let told = format!("{who} reads what jwt_authn tells in dynamic metadata");
        assert!(ran.err.contains(&told), "{told}: {}", ran.err);
    }
}

/// A file with jwt_authn, called `users`, with `rest` in the connection manager and in the filter.
fn with_routes(filter: &str, rest: &str) -> String {
    let text = JWT_AUTHN.replace(
        "- name: envoy.filters.http.jwt_authn\n",
        &format!("- name: users\n{filter}"),
    );
    format!("{text}{rest}\n")
}

fn routes(on_route: &str, on_host: &str, on_all: &str) -> String {
    format!(
        "route_config:\n  name: r\n  {on_all}\n  virtual_hosts:\n  - name: h\n    domains: ['*']\n    {on_host}\n    routes:\n    - match: {{prefix: /}}\n      route: {{cluster: c}}\n      {on_route}"
    )
}

const PER_ROUTE: &str =
    "'@type': type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.PerRouteConfig";

#[test]
fn what_is_turned_off_is_told() {
    let off = "typed_per_filter_config: {users: {'@type': type.googleapis.com/envoy.config.route.v3.FilterConfig, disabled: true}}";
    let off_by_jwt_authn =
        format!("typed_per_filter_config: {{users: {{{PER_ROUTE}, disabled: true}}}}");
    let within = format!(
        "typed_per_filter_config: {{users: {{'@type': type.googleapis.com/envoy.config.route.v3.FilterConfig, config: {{{PER_ROUTE}, disabled: true}}}}}}"
    );
    for (filter, routes, told) in [
        ("", routes("", "", ""), 0),
        ("  disabled: true\n", routes("", "", ""), 1),
        ("", routes(off, "", ""), 1),
        ("", routes("", off, ""), 1),
        ("", routes("", "", off), 1),
        ("", routes(&off_by_jwt_authn, "", ""), 1),
        ("", routes("", &off_by_jwt_authn, ""), 1),
        ("", routes(&within, "", ""), 1),
        ("  disabled: true\n", routes(off, off, off), 4),
        // another filter
        ("", routes(&off.replace("users", "cors"), "", ""), 0),
    ] {
        let (code, said, _) = changes(&with_routes(filter, &routes), true);
        let said = said.iter().filter(|said| *said == "differs disabled");
        assert_eq!((code, said.count()), (0, told), "{filter}{routes}");
    }
}

#[test]
fn what_routes_ask_for_is_open_until_their_metadata_say_it() {
    let names = "    requirement_map: {users: {provider_name: one}}\n";
    let asks =
        format!("typed_per_filter_config: {{users: {{{PER_ROUTE}, requirement_name: users}}}}");
    let metadata = |name: &str| {
        format!(
            "metadata: {{filter_metadata: {{bearer_gate: {{requirement_name: {name}}}}}}}\n      "
        )
    };
    let both = |name: &str| format!("{}{asks}", metadata(name));
    let here = |routes: &str| with_routes("", "") + names + routes + "\n";
    for (routes, code) in [
        (routes("", "", ""), 0),
        (routes(&asks, "", ""), 1),
        (routes("", &asks, ""), 1),
        (routes("", "", &asks), 1),
        (routes(&both("users"), "", ""), 0),
        (routes(&both("others"), "", ""), 1),
        (routes(&metadata("users"), &asks, ""), 0),
        (routes(&metadata("users"), "", &asks), 0),
    ] {
        let (ran, said, config) = changes(&here(&routes), true);
        assert_eq!(ran, code, "{routes}: {said:?}");
        let is_asked = routes.contains("requirement_name");
        let namespace = is_asked.then_some("bearer_gate");
        assert_eq!(config["route_metadata"].as_str(), namespace, "{routes}");
        if code == 1 {
            let open = "open typed_per_filter_config".to_owned();
            assert!(said.contains(&open), "{routes}: {said:?}");
            assert_eq!(config["unmatched"], "deny", "{routes}");
        }
    }
    // The snippet of each route, with its line.
    let files = Files::in_a_directory();
    files.with("keys.json", KEYS);
    let text = here(&routes(&asks, &asks, ""));
    let ran = run(&["migrate", &files.with("envoy.yaml", &text)]);
    let snippet = "`metadata: {filter_metadata: {bearer_gate: {requirement_name: users}}}`";
    assert_eq!(ran.err.matches(snippet).count(), 2, "{}", ran.err);
    assert!(
        ran.err.contains("each route of the virtual host"),
        "{}",
        ran.err
    );
}

#[test]
fn routes_that_are_elsewhere_may_ask_for_more() {
    let unused = "    requirement_map: {users: {provider_name: one}}\n".to_owned();
    let used =
        unused.clone() + "    rules:\n    - match: {prefix: /}\n      requirement_name: users\n";
    let rds = "rds: {route_config_name: r, config_source: {ads: {}}}\n";
    let open = "open requirement_map".to_owned();
    let without_rules = JWT_AUTHN.split("    rules:").next().unwrap();
    for names in [&unused, &used] {
        let text = format!("{without_rules}{names}");
        for texts in [
            vec![text.clone()],
            vec![format!("{text}{rds}")],
            vec![
                format!("{text}scoped_routes: {{name: s}}\n"),
                routes("", "", ""),
            ],
            vec![
                format!("{text}{rds}"),
                routes("", "", "").replace("name: r\n", "name: other\n"),
            ],
            vec![format!("{text}{rds}"), routes("", "", "vhds: {}")],
        ] {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let (code, said, config) = changes_of(&texts, true);
            assert!(code == 1 && said.contains(&open), "{texts:?}: {said:?}");
            assert_eq!(config["unmatched"], "deny", "{texts:?}");
        }
        // They are here, and ask for nothing, or for something.
        let asks = format!(
            "typed_per_filter_config: {{envoy.filters.http.jwt_authn: {{{PER_ROUTE}, requirement_name: users}}}}"
        );
        let text = format!("{text}{rds}");
        assert_eq!(changes_of(&[&text, &routes("", "", "")], true).0, 0);
        let (code, said, _) = changes_of(&[&text, &routes(&asks, "", "")], true);
        assert!(code == 1 && !said.contains(&open), "{said:?}");
        assert!(
            said.contains(&"open typed_per_filter_config".to_owned()),
            "{said:?}"
        );
    }
    // Nothing that they could ask for.
    let (code, said, _) = changes(&format!("{JWT_AUTHN}{rds}"), true);
    assert!(
        code == 0 && said.contains(&"differs routes".to_owned()),
        "{said:?}"
    );
}

#[test]
fn a_line_is_that_of_its_file() {
    let files = Files::in_a_directory();
    let listener = files.with(
        "listener.yaml",
        &with_routes("", "").replace("filename: keys.json", "inline_string: '{}'"),
    );
    let asks =
        format!("typed_per_filter_config: {{users: {{{PER_ROUTE}, requirement_name: users}}}}");
    let routes = files.with("routes.yaml", &routes(&asks, "", ""));
    let ran = run(&["migrate", &listener, &routes]);
    assert!(
        ran.err.contains("routes.yaml:11: open: typed_per"),
        "{}",
        ran.err
    );
    assert!(
        ran.err.contains("listener.yaml:8: differs: "),
        "{}",
        ran.err
    );
}

#[test]
fn the_whole_filter_is_printed_if_asked() {
    let files = Files::in_a_directory();
    files.with("keys.json", KEYS);
    let file = files.with("envoy.yaml", JWT_AUTHN);
    let plain = run(&["migrate", &file]);
    assert!(plain.out.contains("`configuration.value`"), "{}", plain.out);
    let whole = run(&["migrate", "--envoy", &file]);
    assert_eq!((whole.code, &whole.err), (plain.code, &plain.err));
    assert!(
        whole.out.contains("the place of jwt_authn"),
        "{}",
        whole.out
    );
    let [plain, whole] = [plain, whole].map(|ran| bearer_gate_testbed::yaml::parse(&ran.out));
    let plugin = &whole[0]["typed_config"]["config"];
    assert_eq!(plugin["configuration"]["value"], plain);
    // `check` takes it in a file of Envoy's.
    let text = run(&["migrate", "--envoy", &file]).out;
    let checked = run(&["check", &files.with("filter.yaml", &text)]);
    assert_eq!(checked.code, 0, "{}{}", checked.out, checked.err);
    let told = format!("{}{}", checked.out, checked.err);
    assert!(told.contains("configurations: 1"), "{told}");
}

#[test]
fn what_a_file_has_in_place_of_jwt_authn_is_named() {
    let files = Files::in_a_directory();
    let table = [
        (
            "http_filters:\n- typed_config: {\"@type\": type.googleapis.com/envoy.config.filter.http.jwt_authn.v2alpha.JwtAuthentication}\n",
            "a type of the v2 API",
        ),
        (
            "http_filters:\n- name: envoy.filters.http.jwt_authn\n  config: {providers: {}}\n",
            "without typed_config",
        ),
        ("apiVersion: v1\nkind: ConfigMap\ndata: {}\n", "its `data`"),
        ("apiVersion: v1\nkind: Service\n", "of the kind Service"),
        ("x: y\n", "nothing that has a type"),
    ];
    for (text, expected) in table {
        let ran = run(&["migrate", &files.with("file.yaml", text)]);
        assert_eq!(ran.code, 2, "{expected}");
        assert!(ran.err.contains(expected), "{expected}: {}", ran.err);
        assert!(
            ran.err.contains("jwt_authn.v3.JwtAuthentication"),
            "{}",
            ran.err
        );
    }
    let ran = run(&["migrate", "envoy/envoy.yaml"]);
    assert!(ran.err.contains("see `check`"), "{}", ran.err);
}

#[test]
fn what_stands_in_local_keys_is_not_shown() {
    let secret = "c2VjcmV0LXNlY3JldA";
    let text = JWT_AUTHN.replace(
        "local_jwks: {filename: keys.json}",
        &format!("local_jwks: {{inline_string: '{{}}', {secret}: x}}"),
    );
    let (code, said, _) = changes(&text, false);
    assert_eq!(code, 1);
    let unknown = "open providers.two.local_jwks".to_owned();
    assert!(said.contains(&unknown), "{said:?}");
    let shown = run(&[
        "migrate",
        &Files::in_a_directory().with("envoy.yaml", &text),
    ]);
    assert!(!shown.err.contains(secret), "{}", shown.err);
}
