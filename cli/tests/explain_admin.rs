//! `explain --admin` beside a real Envoy: what runs, how old the keys are, and what their clusters do.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a panic is how a test fails"
)]

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use bearer_gate_testbed::envoy::{Encoding, Envoy, Filter, Listener, Wasm, module_path};
use bearer_gate_testbed::eventually;
use bearer_gate_testbed::http::Client;
use bearer_gate_testbed::idp::Idp;
use bearer_gate_testbed::upstream::Upstream;
use serde_json::{Value, json};

struct Ran {
    code: i32,
    out: String,
    err: String,
}

/// Runs `explain` with a token on standard input.
fn explain(arguments: &[&str], token: &str) -> Ran {
    let mut child = Command::new(env!("CARGO_BIN_EXE_bearer-gate"))
        .arg("explain")
        .args(arguments)
        .args(["--token", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that does not read its input closes it.
    let _ = child.stdin.take().unwrap().write_all(token.as_bytes());
    let output = child.wait_with_output().unwrap();
    Ran {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Ran {
    #[track_caller]
    fn tells(&self, text: &str) -> &Self {
        assert!(self.out.contains(text), "{text}:\n{}{}", self.out, self.err);
        self
    }
}

fn configuration(idp: &Idp, cluster: &str) -> Value {
    json!({
        "providers": {"demo": {
            "issuer": idp.issuer(),
            "audiences": ["https://api.example.com"],
            "remote_jwks": {"http_uri": {"uri": idp.jwks_url(), "cluster": cluster, "timeout": "2s"}},
            "claim_to_headers": [{"header_name": "x-user", "claim_name": "sub"}],
        }},
        "rules": [
            {"match": {"path_separated_prefix": "/public"}},
            {"match": {"prefix": "/"}, "requires": {"provider_name": "demo"}},
        ],
    })
}

fn written(folder: &tempfile::TempDir, name: &str, config: &Value) -> String {
    let path = folder.path().join(name);
    std::fs::write(&path, config.to_string()).unwrap();
    path.display().to_string()
}

/// Waits for what the filter tells at its ticks, once a request was let through.
fn has_told(envoy: &Envoy) {
    eventually(Duration::from_secs(10), "keys and a request", || {
        let stats = envoy.stats();
        let has = |end: &str| stats.keys().any(|name| name.ends_with(end));
        has("jwks_age_seconds.demo") && has("bearer_gate.allowed")
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_works_is_told() {
    let (idp, upstream) = (Idp::start(), Upstream::start());
    let config = configuration(&idp, "idp");
    let mut as_text = Wasm::new(config.clone());
    as_text.encoding = Encoding::StringValue;
    let envoy = Envoy::builder()
        .cluster("idp", idp.address())
        .cluster("upstream", upstream.address())
        .listener(Listener::wasm("one", config.clone()))
        .listener(Listener::new("two").filter(Filter::Wasm(as_text)))
        .start()
        .unwrap_or_else(|refused| panic!("{refused}"));
    let token = idp.good_token();
    let client = Client::new();
    assert_eq!(
        client.get_with(&envoy.url("/orders"), &token).await.status,
        200
    );
    assert_eq!(client.get(&envoy.url("/orders")).await.status, 401);
    has_told(&envoy);

    let admin = format!("http://{}", envoy.admin_address());
    // The configuration that runs, of both listeners.
    let ran = explain(&["--admin", &admin, "--path", "/orders", "--fetch"], &token);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    ran.tells("the signature is good")
        .tells("envoy: 1.")
        .tells("is LIVE")
        .tells("filter: in listener one, listener two")
        .tells("its configuration decided above")
        .tells("keys: of demo: ")
        .tells("fetches: 1 good, 0 failed")
        .tells("cluster idp: 1 of 1 hosts are healthy")
        .tells("requests: 1 let through, 1 rejected")
        .tells("rejected: token_missing 1");
    assert!(
        !ran.out.contains(token.rsplit('.').next().unwrap()),
        "{}",
        ran.out
    );

    // The file that was sent, and one that was not.
    let folder = tempfile::tempdir().unwrap();
    let same = written(&folder, "same.json", &config);
    let arguments = [
        "--admin", &admin, "--config", &same, "--fetch", "--path", "/orders",
    ];
    let ran = explain(&arguments, &token);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    ran.tells("listener one runs the configuration of the file");
    let mut newer = config.clone();
    newer["providers"]["demo"]["audiences"] = json!(["hidden-value"]);
    newer["rules"].as_array_mut().unwrap().remove(0);
    let newer = written(&folder, "newer.json", &newer);
    let arguments = [
        "--admin", &admin, "--config", &newer, "--fetch", "--path", "/orders",
    ];
    let ran = explain(&arguments, &token);
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    ran.tells("runs another configuration than the file has. What differs: ")
        .tells("providers.demo.audiences[0]")
        .tells("rules[1]");
    let arguments = ["--admin", &admin, "--path", "/orders", "--json", "--fetch"];
    let report: Value = serde_json::from_str(&explain(&arguments, &token).out).unwrap();
    let steps = report["steps"].as_array().unwrap();
    for name in ["envoy", "filter", "keys", "requests"] {
        assert!(
            steps.iter().any(|step| step["step"] == name),
            "{name}: {report}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn why_a_gateway_refuses_what_explain_admits_is_told() {
    let (idp, upstream) = (Idp::start(), Upstream::start());
    let token = idp.good_token();
    for (cluster, told) in [
        ("gone", "cluster gone: does not exist; there are: "),
        ("empty", "cluster empty: no host"),
        (
            "dead",
            "cluster dead: nothing at 127.0.0.1:1 has ever answered",
        ),
    ] {
        let envoy = Envoy::builder()
            .cluster("upstream", upstream.address())
            .empty_cluster("empty")
            .cluster("dead", SocketAddr::from(([127, 0, 0, 1], 1)))
            .listener(Listener::wasm("one", configuration(&idp, cluster)))
            .start()
            .unwrap_or_else(|refused| panic!("{refused}"));
        let reply = Client::new().get_with(&envoy.url("/orders"), &token).await;
        assert_eq!(reply.status, 503);
        let admin = envoy.admin_address().to_string();
        let ran = explain(&["--admin", &admin, "--path", "/orders", "--fetch"], &token);
        assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
        let top = "verdict: 503 from the gateway; admitted by the configuration alone. Why: it has no keys of demo";
        assert!(ran.out.starts_with(top), "{}", ran.out);
        let verdict = ran.out.lines().next().unwrap();
        assert!(verdict.contains(told), "{verdict}");
        ran.tells("keys: of demo: none")
            .tells("the gateway has no keys")
            .tells(told);
    }
}

/// The filter lets a request through, and nothing listens where the route leads.
#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_is_not_there_is_told() {
    let idp = Idp::start();
    let token = idp.good_token();
    let envoy = Envoy::builder()
        .cluster("idp", idp.address())
        .cluster("upstream", SocketAddr::from(([127, 0, 0, 1], 1)))
        .listener(Listener::wasm("one", configuration(&idp, "idp")))
        .start()
        .unwrap_or_else(|refused| panic!("{refused}"));
    let reply = Client::new().get_with(&envoy.url("/orders"), &token).await;
    assert_eq!(reply.status, 503);
    has_told(&envoy);
    let admin = envoy.admin_address().to_string();
    let ran = explain(&["--admin", &admin, "--path", "/orders", "--fetch"], &token);
    let top = "verdict: admitted by the configuration; the gateway may do otherwise. Why: cluster upstream: nothing at 127.0.0.1:1 has ever answered";
    assert!(ran.out.starts_with(top), "{}", ran.out);
    ran.tells("upstream: what requests are let through to");
}

/// A configuration that was refused when it came by ECDS: all requests get 500, and the log says why.
#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_the_filter_refuses_is_told() {
    let (idp, upstream) = (Idp::start(), Upstream::start());
    let mut config = configuration(&idp, "idp");
    config["providers"]["demo"]["isuer"] = json!("x");
    let folder = tempfile::tempdir().unwrap();
    let path = written(&folder, "extension.json", &extension(&config, "one"));
    let envoy = Envoy::builder()
        .cluster("idp", idp.address())
        .cluster("upstream", upstream.address())
        .listener(Listener::new("one").filter(Filter::Other(discovered(&path))))
        .start()
        .unwrap_or_else(|refused| panic!("{refused}"));
    assert_eq!(Client::new().get(&envoy.url("/public")).await.status, 500);
    let admin = envoy.admin_address().to_string();
    let ran = explain(&["--admin", &admin], "");
    assert_eq!(ran.code, 2, "{}", ran.out);
    let told = "providers.demo.isuer: unknown field, did you mean issuer?: the filter refuses this: nothing ran before, and every request gets 500";
    assert!(ran.err.contains(told), "{}", ran.err);
    assert!(ran.err.contains("by --config"), "{}", ran.err);
    let file = written(&folder, "good.json", &configuration(&idp, "idp"));
    let ran = explain(
        &["--admin", &admin, "--config", &file, "--path", "/public"],
        "",
    );
    ran.tells("it has refused changes of configuration since it began (1 times)")
        .tells(&format!("module: {}", module_path().display()))
        .tells("it did not take the newest extension bearer-gate: nothing ran before")
        .tells(told);
    assert!(
        ran.out.starts_with("verdict: 500 from the gateway;"),
        "{}",
        ran.out
    );
    assert_eq!(ran.code, 1, "{}", ran.out);
}

/// After a change that was refused, Envoy shows what was refused, and runs what was there before.
#[tokio::test(flavor = "multi_thread")]
async fn which_configuration_runs_after_a_refused_change_is_told() {
    let (idp, upstream) = (Idp::start(), Upstream::start());
    let folder = tempfile::tempdir().unwrap();
    for versions in [["", ""], ["one", "two"]] {
        let good = configuration(&idp, "idp");
        let path = written(&folder, "extension.json", &extension(&good, versions[0]));
        let envoy = Envoy::builder()
            .cluster("idp", idp.address())
            .cluster("upstream", upstream.address())
            .listener(Listener::new("one").filter(Filter::Other(discovered(&path))))
            .start()
            .unwrap_or_else(|refused| panic!("{refused}"));
        let client = Client::new();
        assert_eq!(client.get(&envoy.url("/public")).await.status, 200);
        let admin = envoy.admin_address().to_string();
        let file = written(&folder, "good.json", &good);
        let arguments = ["--admin", &admin, "--config", &file, "--path", "/public"];
        let ran = explain(&arguments, "");
        assert!(ran.out.starts_with("verdict: admitted\n"), "{}", ran.out);

        let mut bad = good.clone();
        bad["providers"]["demo"]["isuer"] = json!("x");
        let sent = written(&folder, "next.json", &extension(&bad, versions[1]));
        // Envoy looks at a file that is moved to the place.
        std::fs::rename(sent, &path).unwrap();
        eventually(Duration::from_secs(20), "the refusal", || {
            let stats = envoy.stats();
            let mut rejected = stats.iter();
            rejected.any(|(name, count)| {
                name.starts_with("extension_config_discovery")
                    && name.ends_with("update_rejected")
                    && *count > 0
            })
        });
        assert_eq!(client.get(&envoy.url("/public")).await.status, 200);
        let runs = match versions[0] {
            "" => "the one before it runs on, which Envoy does not show",
            _ => "version one before it runs on, which Envoy does not show",
        };
        let ran = explain(&arguments, "");
        let top = "verdict: admitted by the configuration; the gateway may do otherwise. Why: Envoy has refused the newest configuration of extension bearer-gate: ";
        assert!(ran.out.starts_with(&format!("{top}{runs}")), "{}", ran.out);
        assert_eq!(ran.code, 0, "{}", ran.out);
        ran.tells("it did not take the newest extension bearer-gate");
        let ran = explain(&["--admin", &admin], "");
        assert_eq!(ran.code, 2, "{}", ran.out);
        assert!(ran.err.contains(runs), "{}", ran.err);
    }
}

/// What brings the filter by ECDS.
fn extension(config: &Value, version: &str) -> Value {
    let typed = json!({
        "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
        "name": "bearer-gate",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": {
                "name": "bearer-gate",
                "vm_config": {
                    "vm_id": "bearer-gate",
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": {"local": {"filename": module_path()}},
                },
                "failure_policy": "FAIL_RELOAD",
                "configuration": {
                    "@type": "type.googleapis.com/google.protobuf.Struct",
                    "value": config,
                },
            },
        },
    });
    json!({"version_info": version, "resources": [typed]})
}

/// A filter that comes from a file.
fn discovered(path: &str) -> Value {
    json!({
        "name": "bearer-gate",
        "config_discovery": {
            "config_source": {"resource_api_version": "V3", "path_config_source": {"path": path}},
            "type_urls": ["type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"],
        },
    })
}

/// The log shows rejections as soon as its level is changed, and the line is understood.
#[tokio::test(flavor = "multi_thread")]
async fn a_line_of_envoys_log_is_understood() {
    let (idp, upstream) = (Idp::start(), Upstream::start());
    let envoy = Envoy::builder()
        .cluster("idp", idp.address())
        .cluster("upstream", upstream.address())
        .listener(Listener::wasm("one", configuration(&idp, "idp")))
        .start()
        .unwrap_or_else(|refused| panic!("{refused}"));
    let client = Client::new();
    let level = format!("http://{}/logging?wasm=debug", envoy.admin_address());
    let changed = bearer_gate_testbed::http::send(client.request("POST".parse().unwrap(), &level));
    assert_eq!(changed.await.status, 200);
    let line = || {
        let log = envoy.log();
        log.lines()
            .find(|line| line.contains("rejected: "))
            .map(str::to_owned)
    };
    let mut found = None;
    for _ in 0..50 {
        assert_eq!(client.get(&envoy.url("/orders")).await.status, 401);
        found = line();
        if found.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let ran = Command::new(env!("CARGO_BIN_EXE_bearer-gate"))
        .args(["explain", "--log", &found.expect("a line")])
        .output()
        .unwrap();
    let out = String::from_utf8(ran.stdout).unwrap();
    assert!(out.starts_with("token_missing"), "{out}");
    assert!(
        out.contains("the client: send `Authorization: Bearer TOKEN`"),
        "{out}"
    );
}

#[test]
fn an_envoy_without_the_filter_is_told() {
    let (idp, upstream) = (Idp::start(), Upstream::start());
    let token = idp.good_token();
    let envoy = Envoy::builder()
        .cluster("upstream", upstream.address())
        .listener(Listener::new("one"))
        .start()
        .unwrap_or_else(|refused| panic!("{refused}"));
    let folder = tempfile::tempdir().unwrap();
    let config = written(&folder, "c.json", &configuration(&idp, "idp"));
    let admin = envoy.admin_address().to_string();
    let ran = explain(
        &["--admin", &admin, "--config", &config, "--path", "/public"],
        &token,
    );
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    ran.tells("filter: does not run in this Envoy");
    let ran = explain(&["--admin", &admin], &token);
    assert_eq!(ran.code, 2, "{}", ran.out);
    assert!(
        ran.err.contains("no configuration of bearer-gate"),
        "{}",
        ran.err
    );
    // Another program's port.
    let other = format!("http://{}", upstream.address());
    let ran = explain(&["--admin", &other], &token);
    assert_eq!(ran.code, 2, "{}", ran.out);
    assert!(ran.err.contains("not what Envoy"), "{}", ran.err);
}
