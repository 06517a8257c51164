//! What `explain` tells beside the decision: findings of `check` that matter for the request, the
//! gateway's own keys, and what becomes of claims in headers.

use super::{Files, Ran, root, run, run_with};

struct Setup {
    files: Files,
    keys: String,
    token: String,
}

impl Setup {
    fn new(claims: &[&str]) -> Self {
        let files = Files::in_a_directory();
        let name = files.path().join("k").display().to_string();
        assert_eq!(run(&["keygen", "--alg", "ES256", "--out", &name]).code, 0);
        let key = format!("{name}.jwk.json");
        let mut arguments = vec!["token", "--key", &key];
        arguments.extend(["--claim", "iss=https://tenant.eu.auth0.com/"]);
        arguments.extend(["--claim", "aud=https://api.example.com"]);
        arguments.extend(claims.iter().flat_map(|claim| ["--claim", claim]));
        let token = run(&arguments).out.trim().to_owned();
        Self {
            files,
            keys: format!("{name}.jwks.json"),
            token,
        }
    }

    fn explain(&self, config: &str, path: &str, more: &[&str]) -> Ran {
        let mut arguments = vec![
            "explain", "--config", config, "--path", path, "--token", "-",
        ];
        arguments.extend(["--jwks", &self.keys]);
        arguments.extend(more);
        run_with(&arguments, &self.token)
    }
}

fn minimal() -> String {
    std::fs::read_to_string(root().join("envoy/envoy-minimal.yaml")).unwrap()
}

/// The gateway asks a cluster, and explain the address: what check knows of the cluster is told.
#[test]
fn a_finding_about_the_providers_cluster_is_told() {
    let setup = Setup::new(&["sub=me"]);
    let good = setup.files.with("good.yaml", &minimal());
    let ran = setup.explain(&good, "/api/x", &[]);
    assert_eq!(ran.code, 0, "{}", ran.out);
    assert!(!ran.out.contains("check"), "{}", ran.out);
    assert!(ran.out.starts_with("verdict: admitted\n"), "{}", ran.out);

    let wrong = minimal().replace("cluster: auth0\n", "cluster: auth1\n");
    let wrong = setup.files.with("wrong.yaml", &wrong);
    // The keys decide, and the gateway has none.
    let ran = setup.explain(&wrong, "/api/x", &[]);
    assert_eq!(ran.code, 1, "{}", ran.out);
    let top = "verdict: 503 from the gateway; admitted by the configuration alone. Why: there is no cluster auth1";
    assert!(ran.out.starts_with(top), "{}", ran.out);
    for told in [
        "check: findings that may make Envoy answer otherwise: 1",
        "there is no cluster auth1",
    ] {
        assert!(ran.out.contains(told), "{told}: {}", ran.out);
    }
    let report = setup.explain(&wrong, "/api/x", &["--json"]).json();
    assert_eq!(report["gateway"]["status"], 503, "{report}");
    let steps = report["steps"].as_array().unwrap();
    assert!(steps.iter().any(|step| step["step"] == "check"), "{report}");
    // No provider was asked here.
    let ran = setup.explain(&wrong, "/public", &[]);
    assert_eq!(ran.code, 0, "{}", ran.out);
    assert!(!ran.out.contains("auth1"), "{}", ran.out);
}

/// What surrounds the filter can change every answer; of the configuration only what decided counts.
#[test]
fn findings_that_do_not_matter_are_left_out() {
    let setup = Setup::new(&["sub=me"]);
    let text = minimal()
        .replace("failure_policy: FAIL_RELOAD", "failure_policy: FAIL_OPEN")
        .replace(
            "                    rules:\n",
            "                      other:\n                        any_issuer: true\n                        audiences: [x]\n                        remote_jwks: {http_uri: {uri: https://other.example/, cluster: none, timeout: 1s}}\n                    rules:\n",
        );
    let file = setup.files.with("two.yaml", &text);
    let checked = run(&["check", &file]);
    for told in ["providers.other", "FAIL_OPEN"] {
        assert!(checked.out.contains(told), "{told}: {}", checked.out);
    }
    let ran = setup.explain(&file, "/api/x", &[]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("FAIL_OPEN"), "{}", ran.out);
    let top =
        "verdict: admitted by the configuration; the gateway may do otherwise. Why: is FAIL_OPEN";
    assert!(ran.out.starts_with(top), "{}", ran.out);
    assert!(!ran.out.contains("providers.other"), "{}", ran.out);
}

/// With `--fetch`, keys are newer than the gateway's may be.
#[test]
fn the_gateways_keys_may_be_older_than_those_that_were_fetched() {
    use std::io::{Read, Write};
    let setup = Setup::new(&["sub=me"]);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let keys = std::fs::read_to_string(&setup.keys).unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]).unwrap();
        let length = keys.len();
        write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{keys}"
        )
        .unwrap();
    });
    let uri = "https://tenant.eu.auth0.com/.well-known/jwks.json";
    let text = minimal().replace(uri, &format!("http://{address}/jwks"));
    let file = setup.files.with("fetch.yaml", &text);
    let arguments = [
        "explain", "--config", &file, "--path", "/api/x", "--fetch", "--token", "-",
    ];
    let ran = run_with(&arguments, &setup.token);
    server.join().unwrap();
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let told = "asks its cluster auth0, not the address, and its keys may be 10 min old";
    assert!(ran.out.contains(told), "{}", ran.out);
    // Nobody listens there now.
    let ran = run_with(&arguments, &setup.token);
    assert_eq!(ran.code, 1, "{}", ran.out);
    let told = "the filter asks Envoy's cluster auth0, not the address";
    assert!(ran.out.contains(told), "{}", ran.out);
    assert!(
        ran.out.contains(&format!("http://{address}/jwks")),
        "{}",
        ran.out
    );
}

#[test]
fn what_becomes_of_a_claim_in_a_header_is_told() {
    for (claims, told) in [
        (&["sub=me"][..], "x-user: me\n"),
        (
            &["sub=José"],
            "x-user: José (sent as UTF-8 bytes, which many frameworks read",
        ),
        (&[], "x-user is not set: the token has no claim sub"),
    ] {
        let setup = Setup::new(claims);
        let file = setup.files.with("c.yaml", &minimal());
        let ran = setup.explain(&file, "/api/x", &[]);
        assert_eq!(ran.code, 0, "{}", ran.out);
        assert!(ran.out.contains(told), "{told}: {}", ran.out);
    }
}

/// Rules that have nothing to do with a request are listed below what decides.
#[test]
fn the_reason_is_first_and_other_rules_are_last() {
    let explain = |arguments: &[&str]| {
        let file = ["explain", "--config", "envoy/my-api.yaml"];
        run(&[&file, arguments].concat())
    };
    let none = "verdict: rejected: no_rule: no rule matches, and what no rule matches is denied\n";
    let missing = "verdict: rejected: token_missing: no token in header authorization";
    for (path, first) in [("/x", none), ("/api/x", missing)] {
        let ran = explain(&["--path", path]);
        assert!(ran.out.starts_with(first), "{}", ran.out);
        let (above, below) = ran.out.split_once("rules before that").unwrap();
        assert!(above.contains("what to do about"), "{}", ran.out);
        assert!(!above.contains("rules[0]"), "{}", ran.out);
        assert!(below.contains("rules[0] path_separated_prefix /api/public: another path"));
    }
    // what is nearly the rule stays with the others
    let ran = explain(&["--path", "/API/private-scopedx"]);
    let (above, _) = ran.out.split_once("what to do about").unwrap();
    assert!(
        above.contains("but for upper and lower case"),
        "{}",
        ran.out
    );
    let report = explain(&["--path", "/x", "--json"]).json();
    let rules = report["steps"][1]["details"].as_array().unwrap();
    assert_eq!(rules.len(), 3, "{report}");
}

/// A filter by ECDS is in another file, which is what `--config` is to name.
#[test]
fn the_file_of_a_filter_by_ecds_is_named() {
    let ran = run(&[
        "explain",
        "--config",
        "deploy/envoy/envoy.yaml",
        "--path",
        "/",
    ]);
    assert_eq!(ran.code, 2, "{}", ran.out);
    assert!(
        ran.err.contains("bearer-gate.yaml: give that file"),
        "{}",
        ran.err
    );
}

/// What Envoy does with a preflight and with a WebSocket, whatever the filter decides.
#[test]
fn what_a_browser_needs_of_envoy_is_told() {
    let setup = Setup::new(&[]);
    let text = std::fs::read_to_string(root().join("envoy/my-api.yaml")).unwrap();
    let manager = "          http_filters:\n";
    let upgrades = format!("          upgrade_configs: [{{upgrade_type: websocket}}]\n{manager}");
    let mine = setup.files.with("mine.yaml", &text);
    let opened = setup
        .files
        .with("opened.yaml", &text.replace(manager, &upgrades));
    let minimal = setup.files.with("minimal.yaml", &minimal());
    let preflight = [
        "--method",
        "OPTIONS",
        "--header",
        "origin: https://app.example.com",
    ];
    let websocket = ["--header", "Upgrade: WebSocket"];
    let answered = "Envoy's cors answers it before the filter";
    for (file, more, expected) in [
        (&mine, &preflight[..], Some(answered)),
        (
            &minimal,
            &preflight[..],
            Some("the file has no cors filter"),
        ),
        (
            &mine,
            &websocket[..],
            Some("Envoy answers 403 to a WebSocket"),
        ),
        (&opened, &websocket[..], None),
        (&mine, &[][..], None),
        (&mine, &["--method", "OPTIONS"][..], None),
    ] {
        let ran = setup.explain(file, "/api/private", more);
        let told = |text: &str| ran.out.contains(text);
        match expected {
            Some(text) => assert!(told(text), "{file} {more:?}: {}", ran.out),
            None => assert!(
                !told("preflight") && !told("WebSocket"),
                "{file} {more:?}: {}",
                ran.out
            ),
        }
    }
}
