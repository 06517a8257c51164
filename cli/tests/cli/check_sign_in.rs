//! `check` where people sign in: each way in which the file around it can be wrong, and its good twin.

use super::{Files, run};

/// A file in which nothing is wrong.
const GOOD: &str = r#"static_resources:
  listeners:
  - name: web
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          normalize_path: true
          merge_slashes: true
          path_with_escaped_slashes_action: REJECT_REQUEST
          common_http_protocol_options: {headers_with_underscores_action: REJECT_REQUEST}
          request_timeout: 30s
          http_filters:
          - name: gate
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
              config:
                name: bearer-gate
                vm_config:
                  vm_id: bearer-gate
                  environment_variables: {host_env_keys: [BG_KEY, BG_SECRET]}
                failure_policy: FAIL_RELOAD
                configuration:
                  "@type": type.googleapis.com/google.protobuf.Struct
                  value:
                    providers:
                      idp:
                        issuer: https://idp.example.com
                        audiences: [api]
                        openid_discovery: {cluster: idp, timeout: 4s}
                    sign_in:
                      cookie_keys: [{environment_variable: BG_KEY}]
                      allowed_redirect_domains: [app.example.com]
                      schemes:
                        staff:
                          provider_name: idp
                          credentials:
                            client_id: web
                            token_secret: {environment_variable: BG_SECRET}
                          token_endpoint: {cluster: idp, timeout: 5s}
                          callback_path: /oauth2/callback
                          error_redirect_path: /public/error
                    rules:
                    - match: {prefix: /public/}
                    - match: {prefix: /}
                      requires: {session: staff}
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {prefix: /oauth2}
                route: {cluster: app}
              - match: {prefix: /}
                route: {cluster: app}
  clusters:
  - name: idp
    transport_socket:
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
        common_tls_context:
          validation_context:
            trusted_ca: {filename: /ca}
            match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: idp.example.com}}]
        sni: idp.example.com
  - name: app
"#;

/// What is found, `line severity path`, and whether all of it is in order.
fn findings(text: &str) -> (i32, Vec<String>, String) {
    let files = Files::in_a_directory();
    let ran = run(&["check", "--json", &files.with("envoy.yaml", text)]);
    let report = ran.json();
    let found = report[0]["findings"].as_array().unwrap();
    let lines = found.iter().map(|finding| {
        let word = |name: &str| finding[name].as_str().unwrap().to_owned();
        format!("{} {} {}", finding["line"], word("severity"), word("path"))
    });
    let texts: Vec<&str> = found
        .iter()
        .map(|finding| finding["text"].as_str().unwrap())
        .collect();
    (ran.code, lines.collect(), texts.join("\n"))
}

/// What stands in the good file, what is put there, what is found then with a part of its text, and
/// what can be written in place of it.
struct Row {
    old: &'static str,
    bad: &'static str,
    found: &'static str,
    text: &'static str,
    good: &'static str,
}

const KEYS: &str = "{host_env_keys: [BG_KEY, BG_SECRET]}";
const TIMEOUT: &str = "request_timeout: 30s\n";
const ROUTER: &str = "          - name: envoy.filters.http.router\n";
const SAN: &str = "            match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: idp.example.com}}]\n";
const ROUTE: &str = "              - match: {prefix: /oauth2}\n";
const SCHEME: &str = "                          callback_path: /oauth2/callback\n";
const RULES: &str = "                    rules:\n";
const STORE: &str = "                    shared_store: {http_uri: {uri: 'https://idp.example.com/r', cluster: idp, timeout: 1s}}\n                    rules:\n";
const RULE: &str = "                    - match: {prefix: /public/}\n";

const SECRET: &str =
    "token_secret: {environment_variable: BG_SECRET}\n                          token_endpoint";
const PRIVATE: &str = "private_key: {environment_variable: BG_PRIVATE}\n                          auth_type: PRIVATE_KEY_JWT\n                          token_endpoint";

const TABLE: [Row; 23] = [
    Row {
        old: SECRET,
        bad: PRIVATE,
        found: "40 error sign_in.schemes.staff.credentials.private_key.environment_variable",
        text: "BG_PRIVATE does not reach the filter",
        good: "private_key: {environment_variable: BG_SECRET}\n                          auth_type: PRIVATE_KEY_JWT\n                          token_endpoint",
    },
    Row {
        old: SECRET,
        bad: "private_key: {inline_string: MBwCAQAwEwYHKoZIzj0CAQYIKoZIzj0DAQcEAjAA}\n                          auth_type: PRIVATE_KEY_JWT\n                          token_endpoint",
        found: "40 warning sign_in.schemes.staff.credentials.private_key.inline_string",
        text: "stands in the configuration",
        good: SECRET,
    },
    Row {
        old: KEYS,
        bad: "{host_env_keys: [BG_KEY]}",
        found: "40 error sign_in.schemes.staff.credentials.token_secret.environment_variable",
        text: "BG_SECRET does not reach the filter",
        good: "{host_env_keys: [X, BG_SECRET, BG_KEY]}",
    },
    Row {
        old: KEYS,
        bad: "{}",
        found: "33 error sign_in.cookie_keys[0].environment_variable",
        text: "put it into vm_config.environment_variables.host_env_keys",
        good: KEYS,
    },
    Row {
        old: KEYS,
        bad: "{host_env_keys: [BG_SECRET], key_values: {BG_KEY: x}}",
        found: "33 warning sign_in.cookie_keys[0].environment_variable",
        text: "the value of BG_KEY stands in the file",
        good: KEYS,
    },
    Row {
        old: "token_endpoint: {cluster: idp,",
        bad: "token_endpoint: {cluster: ipd,",
        found: "41 error sign_in.schemes.staff.token_endpoint.cluster",
        text: "there is no cluster ipd: nobody can sign in",
        good: "token_endpoint: {uri: 'https://idp.example.com/token', cluster: idp,",
    },
    Row {
        old: RULES,
        bad: "                    shared_store: {http_uri: {uri: 'https://idp.example.com/r', cluster: rediss, timeout: 1s}}\n                    rules:\n",
        found: "44 error shared_store.http_uri.cluster",
        text: "there is no cluster rediss: no session counts, or sign-outs stay in this Envoy",
        good: STORE,
    },
    Row {
        old: RULES,
        bad: "                    shared_store: {http_uri: {uri: 'http://idp.example.com/r', cluster: idp, timeout: 1s}}\n                    rules:\n",
        found: "44 warning shared_store.http_uri.uri",
        text: "who is in between can keep sign-outs from this Envoy",
        good: STORE,
    },
    Row {
        old: SAN,
        bad: "",
        found: "63 warning sign_in.schemes.staff.token_endpoint.cluster",
        text: "add match_typed_subject_alt_names",
        good: "            match_subject_alt_names: [{exact: idp.example.com}]\n",
    },
    Row {
        old: SAN,
        bad: "",
        found: "63 warning sign_in.schemes.staff.token_endpoint.cluster",
        text: "takes a certificate of every host",
        good: "        auto_sni_san_validation: true\n",
    },
    Row {
        old: TIMEOUT,
        bad: "request_timeout: 30s\n          max_request_headers_kb: 16\n",
        found: "14 warning max_request_headers_kb",
        text: "Write 20",
        good: "request_timeout: 30s\n          max_request_headers_kb: 20\n",
    },
    Row {
        old: TIMEOUT,
        bad: "request_timeout: 30s\n          strip_any_host_port: true\n",
        found: "14 warning strip_any_host_port",
        text: "https://app.example.com:8443 is in allowed_redirect_domains",
        good: TIMEOUT,
    },
    Row {
        old: ROUTER,
        bad: "          - typed_config: {\"@type\": type.googleapis.com/envoy.extensions.filters.http.oauth2.v3.OAuth2}\n          - name: envoy.filters.http.router\n",
        found: "48 warning http_filters[1]",
        text: "people sign in twice",
        good: "          - typed_config: {\"@type\": type.googleapis.com/envoy.extensions.filters.http.grpc_web.v3.GrpcWeb}\n          - name: envoy.filters.http.router\n",
    },
    Row {
        old: "          - name: gate\n",
        bad: "          - typed_config: {\"@type\": type.googleapis.com/envoy.extensions.filters.http.oauth2.v3.OAuth2}\n          - name: gate\n",
        found: "15 warning http_filters[0]",
        text: "oauth2 stands before the filter",
        good: "          - typed_config: {\"@type\": type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors}\n          - name: gate\n",
    },
    Row {
        old: "          - name: gate\n",
        bad: "          - typed_config: {\"@type\": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication}\n          - name: gate\n",
        found: "15 warning http_filters[0]",
        text: "jwt_authn stands before the filter",
        good: "          - name: gate\n",
    },
    Row {
        old: "          route_config:\n",
        bad: "          route_config:\n            response_headers_to_remove: [x-a, Set-Cookie]\n",
        found: "51 warning response_headers_to_remove",
        text: "nobody can sign in",
        good: "          route_config:\n            response_headers_to_remove: [x-a, set-cookie2]\n",
    },
    Row {
        old: "          - name: gate\n",
        bad: "          - typed_config: {mutations: {response_mutations: [{remove: set-cookie}]}}\n          - name: gate\n",
        found: "15 warning response_headers_to_remove",
        text: "takes Set-Cookie out",
        good: "          - typed_config: {mutations: {request_mutations: [{remove: set-cookie}]}}\n          - name: gate\n",
    },
    Row {
        old: ROUTE,
        bad: "              - match: {prefix: /oauth2}\n                typed_per_filter_config: {gate: {disabled: true}}\n",
        found: "55 warning typed_per_filter_config",
        text: "turns the filter off for /oauth2/callback",
        good: "              - match: {prefix: /oauth3}\n                direct_response: {status: 204}\n                typed_per_filter_config: {gate: {disabled: true}}\n              - match: {prefix: /oauth2}\n",
    },
    Row {
        old: "              routes:\n",
        bad: "              typed_per_filter_config: {gate: {disabled: true}}\n              routes:\n",
        found: "56 warning typed_per_filter_config",
        text: "/oauth2/callback",
        good: "              typed_per_filter_config: {other: {disabled: true}}\n              routes:\n",
    },
    Row {
        old: SCHEME,
        bad: "                          redirect_uri: https://other.example.com/oauth2/callback\n",
        found: "42 error sign_in.schemes.staff.redirect_uri",
        text: "allowed_redirect_domains",
        good: "                          redirect_uri: https://app.example.com/oauth2/callback\n",
    },
    Row {
        old: RULE,
        bad: "                    - match: {prefix: /public/}\n                    - match: {path: /oauth2/callback}\n",
        found: "46 warning rules[1]",
        text: "the filter answers /oauth2/callback by itself",
        good: "                    - match: {prefix: /public/}\n                    - match: {path: /oauth2/other}\n",
    },
    Row {
        old: "error_redirect_path: /public/error",
        bad: "error_redirect_path: /error",
        found: "43 warning sign_in.schemes.staff.error_redirect_path",
        text: "is not public",
        good: "error_redirect_path: /public/other",
    },
    Row {
        old: "        common_tls_context:\n          validation_context:\n            trusted_ca: {filename: /ca}\n",
        bad: "        unused:\n          x:\n            y: 1\n",
        found: "63 error sign_in.schemes.staff.token_endpoint.cluster",
        text: "the client's secret and tokens are anybody's",
        good: "        common_tls_context:\n          combined_validation_context:\n           default_validation_context:\n            trusted_ca: {filename: /ca}\n",
    },
];

#[test]
fn each_finding_and_its_good_twin() {
    assert_eq!(findings(GOOD), (0, vec![], String::new()));
    let mut wrong = Vec::new();
    for Row {
        old,
        bad,
        found,
        text,
        good,
    } in TABLE
    {
        assert!(GOOD.contains(old), "{old}");
        let is_about_ports = bad.contains("strip_any_host_port");
        let with = |new: &str, domain: &str| {
            let file = GOOD.replacen(old, new, 1);
            findings(&file.replacen("[app.example.com]", domain, 1))
        };
        let domain = match is_about_ports {
            true => "['app.example.com:8443']",
            false => "[app.example.com]",
        };
        let (code, lines, texts) = with(bad, domain);
        if !lines.iter().any(|line| line == found) {
            wrong.push(format!("{found}: {lines:?}"));
        }
        if !texts.contains(text) {
            wrong.push(format!("{text}: {texts}"));
        }
        let is_error = lines.iter().any(|line| line.contains(" error "));
        assert_eq!(code == 1, is_error, "{found}");
        let twin = with(good, domain);
        if twin != (0, vec![], String::new()) {
            wrong.push(format!("{good}: {twin:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Variables mostly are not set where a file is checked: that is told where it is asked for.
/// The cookie of a session in the shared store is small.
#[test]
fn a_ticket_needs_no_room() {
    let small = "request_timeout: 30s\n          max_request_headers_kb: 16\n";
    let in_store = format!("{SCHEME}                          session: {{store: SHARED_STORE}}\n");
    let text = GOOD.replacen(TIMEOUT, small, 1);
    let stored = text
        .replacen(SCHEME, &in_store, 1)
        .replacen(RULES, STORE, 1);
    assert_eq!(findings(&text).1, ["14 warning max_request_headers_kb"]);
    assert_eq!(findings(&stored), (0, vec![], String::new()));
}

#[test]
fn a_variable_that_is_not_set_where_envoy_will_run() {
    let files = Files::in_a_directory();
    let text = GOOD.replacen("BG_SECRET", "PATH", 2);
    let file = files.with("envoy.yaml", &text);
    assert_eq!(run(&["check", &file]).code, 0);
    let ran = run(&["check", "--environment", "--json", &file]);
    let report = ran.json();
    let found = report[0]["findings"].as_array().unwrap();
    assert_eq!((ran.code, found.len()), (1, 1), "{}", ran.out);
    assert_eq!(found[0]["severity"], "error");
    let path = "sign_in.cookie_keys[0].environment_variable";
    assert_eq!(found[0]["path"], path);
    let told = found[0]["text"].as_str().unwrap();
    assert!(told.starts_with("BG_KEY is not set here"), "{told}");
}

/// Whatever else is said of the path.
#[test]
fn a_path_that_needs_bodies() {
    let asks = GOOD.replacen(
        SCHEME,
        &format!("{SCHEME}                          backchannel_logout_path: /oauth2/logout\n"),
        1,
    );
    let allow = "                failure_policy: FAIL_RELOAD\n";
    let allows = asks.replacen(
        allow,
        &format!("{allow}                allow_on_headers_stop_iteration: true\n"),
        1,
    );
    let is_said = |text: &str| {
        let (_, lines, _) = findings(text);
        lines
            .iter()
            .any(|line| line.ends_with(" error allow_on_headers_stop_iteration"))
    };
    assert!(is_said(&asks));
    assert!(is_said(
        &allows.replace("stop_iteration: true", "stop_iteration: false")
    ));
    assert!(!is_said(&allows) && !is_said(GOOD));
}

/// One of several listeners, with its own cookie keys.
#[test]
fn two_configurations_that_delete_each_others_sessions() {
    let manager_at = GOOD.find("  - name: web\n").unwrap();
    let clusters_at = GOOD.find("  clusters:\n").unwrap();
    let listener = &GOOD[manager_at..clusters_at].replacen("name: web", "name: other", 1);
    let twice = |other: &str| {
        let (head, tail) = GOOD.split_at(clusters_at);
        findings(&format!("{head}{other}{tail}"))
    };
    // the same client and the same keys are one sign-in for both
    assert_eq!(twice(listener), (0, vec![], String::new()));
    let other_keys = listener.replace("BG_KEY", "BG_OTHER");
    let (code, lines, texts) = twice(&other_keys);
    assert_eq!(code, 0);
    assert_eq!(lines, ["92 warning sign_in.schemes.staff"]);
    assert!(texts.contains("Give it another name"), "{texts}");
    let other_client = listener.replace("client_id: web", "client_id: other");
    assert_eq!(twice(&other_client).1, ["92 warning sign_in.schemes.staff"]);
    let other_name = other_keys.replace("staff", "guests");
    assert_eq!(twice(&other_name), (0, vec![], String::new()));
    let other_host = other_keys.replace("app.example.com", "other.example.com");
    assert_eq!(twice(&other_host), (0, vec![], String::new()));
}

#[test]
fn variables_in_istio_and_in_envoy_gateway() {
    let config = "      providers: {idp: {issuer: 'https://i.example', audiences: [a], openid_discovery: {cluster: 'outbound|443||i.example', timeout: 5s}}}
      sign_in:
        cookie_keys: [{environment_variable: BG_KEY}]
        allowed_redirect_domains: [app.example.com]
        schemes: {staff: {provider_name: idp, credentials: {client_id: web}, auth_type: NONE, token_endpoint: {cluster: 'outbound|443||i.example', timeout: 5s}, callback_path: /cb}}
      rules: [{match: {prefix: /}, requires: {session: staff}}]
";
    let istio = |env: &str| {
        let head = "apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\nspec:\n    phase: AUTHN\n    failStrategy: FAIL_RELOAD\n    selector: {matchLabels: {istio: ingressgateway}}\n";
        findings(&format!(
            "{head}    vmConfig: {{env: [{env}]}}\n    pluginConfig:\n{config}"
        ))
    };
    let missing = vec!["11 error sign_in.cookie_keys[0].environment_variable".to_owned()];
    let written = vec!["11 warning sign_in.cookie_keys[0].environment_variable".to_owned()];
    let good = istio("{name: BG_KEY, valueFrom: HOST}");
    assert_eq!(good, (0, vec![], String::new()));
    let (code, lines, text) = istio("{name: BG_OTHER, valueFrom: HOST}");
    assert_eq!((code, lines), (1, missing));
    assert!(
        text.contains("spec.vmConfig.env, with valueFrom: HOST"),
        "{text}"
    );
    let (code, lines, _) = istio("{name: BG_KEY, value: x}");
    assert_eq!((code, lines), (0, written));
    let gateway = |env: &str| {
        let head = "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: EnvoyExtensionPolicy\nspec:\n  wasm:\n  - name: gate\n";
        findings(&format!(
            "{head}    env: {{hostKeys: [{env}]}}\n    config:\n{config}"
        ))
    };
    assert_eq!(gateway("BG_KEY"), (0, vec![], String::new()));
    let (code, lines, text) = gateway("BG_OTHER");
    assert_eq!(
        (code, lines),
        (
            1,
            vec!["10 error sign_in.cookie_keys[0].environment_variable".to_owned()]
        )
    );
    assert!(text.contains("env.hostKeys"), "{text}");
}
