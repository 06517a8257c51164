//! Dashboards: a real Prometheus scrapes deploy/envoy as it is shipped, and every query of the
//! dashboard and every metric of the alerts has data. `make dashboards` fetches Prometheus.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use bearer_gate_testbed::envoy::{Envoy, Process};
use bearer_gate_testbed::http::{self, Client};
use bearer_gate_testbed::idp::{Fault, Idp};
use bearer_gate_testbed::token::with_signature_bit_flipped;
use bearer_gate_testbed::upstream::Upstream;
use bearer_gate_testbed::{holds_within, raw, repository, yaml};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::ecds;
use crate::recipes::kitchen::move_cluster;

const PATIENCE: Duration = Duration::from_secs(30);

/// A program of Debian's prometheus: beside `$PROMETHEUS`, or where the Makefile puts it.
fn program(name: &str) -> PathBuf {
    let default = repository().join(".cache/prometheus/usr/bin/prometheus");
    let prometheus = std::env::var_os("PROMETHEUS").map_or(default, PathBuf::from);
    prometheus.with_file_name(name)
}

fn promtool(arguments: &[&str]) {
    let output = Command::new(program("promtool"))
        .args(arguments)
        .current_dir(repository().join("monitoring"))
        .output()
        .expect("promtool: run `make dashboards`");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {text}{errors}");
}

/// The second Envoy of a stage: the listener `stats` of deploy/envoy, in front of another's admin
/// interface, whose port is known only when that one runs.
fn stats_listener(admin: SocketAddr) -> Envoy {
    let mut bootstrap = yaml::document("deploy/envoy/envoy.yaml");
    let resources = &mut bootstrap["static_resources"];
    for (kind, name) in [("listeners", "stats"), ("clusters", "admin")] {
        let list = resources[kind].as_array_mut().unwrap();
        list.retain(|item| item["name"] == name);
        assert_eq!(list.len(), 1);
    }
    let cluster = resources["clusters"][0].as_object_mut().unwrap();
    move_cluster(cluster, admin);
    let envoy = Envoy::builder().concurrency(1).start_bootstrap(bootstrap);
    envoy.unwrap_or_else(|refused| panic!("{refused}"))
}

struct Prometheus {
    _process: Process,
    client: Client,
    address: String,
}

impl Prometheus {
    /// With monitoring/prometheus.yaml, but for the target and the interval.
    fn start(files: &Path, target: SocketAddr) -> Prometheus {
        let mut config = yaml::document("monitoring/prometheus.yaml");
        config["global"]["scrape_interval"] = json!("1s");
        config["rule_files"] = json!([repository().join("monitoring/alerts.yaml")]);
        config["scrape_configs"][0]["static_configs"][0]["targets"] = json!([target.to_string()]);
        let (file, log) = (files.join("prometheus.json"), files.join("prometheus.log"));
        fs::write(&file, config.to_string()).unwrap();
        let arguments = [
            format!("--config.file={}", file.display()),
            format!("--storage.tsdb.path={}", files.join("data").display()),
            "--web.listen-address=127.0.0.1:0".to_owned(),
        ];
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let process = Process::start(&program("prometheus"), &arguments, &log);
        let process = process.expect("Prometheus: run `make dashboards`");
        let mut address = None;
        holds_within(PATIENCE, || {
            let log = process.log();
            let line = log.lines().find(|l| l.contains("msg=\"Listening on\""));
            address = line
                .and_then(|line| line.split("address=").nth(1))
                .map(|rest| {
                    rest.split_whitespace()
                        .next()
                        .unwrap_or_default()
                        .to_owned()
                });
            address.is_some()
        });
        Prometheus {
            client: Client::new(),
            address: address.unwrap_or_else(|| panic!("{}", process.log())),
            _process: process,
        }
    }

    /// The values of an instant query.
    async fn values(&self, query: &str) -> Vec<f64> {
        let encoded: String = query.bytes().map(|b| format!("%{b:02X}")).collect();
        let url = format!("http://{}/api/v1/query?query={encoded}", self.address);
        let reply = http::send(self.client.request(reqwest::Method::GET, &url)).await;
        assert_eq!(reply.status, 200, "{query}: {}", reply.body);
        let data = reply.json()["data"]["result"].take();
        let values = data.as_array().expect("a vector").iter();
        values
            .map(|series| series["value"][1].as_str().unwrap().parse().unwrap())
            .collect()
    }
}

/// The dashboard's queries, with Grafana's variables replaced.
fn dashboard_queries() -> Vec<String> {
    let file = repository().join("monitoring/dashboard.json");
    let dashboard: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|p| p["targets"].as_array().unwrap());
    targets
        .map(|target| target["expr"].as_str().unwrap())
        .map(|query| {
            query
                .replace("$__rate_interval", "10s")
                .replace("$job", ".*")
        })
        .collect()
}

fn alert_queries() -> Vec<String> {
    let alerts = yaml::document("monitoring/alerts.yaml");
    let rules = alerts["groups"][0]["rules"].as_array().unwrap();
    let queries = rules.iter().map(|rule| rule["expr"].as_str().unwrap());
    queries.map(str::to_owned).collect()
}

/// The names of bearer-gate's metrics in a query.
fn metrics(query: &str) -> BTreeSet<String> {
    query
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("bearer_gate_"))
        .map(str::to_owned)
        .collect()
}

#[test]
#[ignore = "needs Prometheus: make dashboards"]
fn the_rules_are_valid_and_fire_when_they_should() {
    promtool(&["check", "config", "prometheus.yaml"]);
    promtool(&["check", "rules", "alerts.yaml"]);
    promtool(&["test", "rules", "alerts.test.yaml"]);
    // Each alert has a test in which it fires.
    let tests = yaml::document("monitoring/alerts.test.yaml");
    let fired: BTreeSet<&str> = tests["tests"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|test| test["alert_rule_test"].as_array().unwrap())
        .filter(|case| case.get("exp_alerts").is_some())
        .map(|case| case["alertname"].as_str().unwrap())
        .collect();
    let alerts = yaml::document("monitoring/alerts.yaml");
    let rules = alerts["groups"][0]["rules"].as_array().unwrap();
    let named: BTreeSet<&str> = rules.iter().map(|r| r["alert"].as_str().unwrap()).collect();
    assert_eq!(fired, named);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Prometheus: make dashboards"]
async fn every_query_has_data() {
    let (idp, upstream) = (Idp::start(), Upstream::start());
    // The first fetch takes a while, and a request waits for it.
    idp.set_jwks(Fault::Delay(Duration::from_secs(3)));
    let files = TempDir::new().unwrap();
    let volume = files.path().join("volume");
    fs::create_dir(&volume).unwrap();
    ecds::publish(&volume, 0, &ecds::shipped(&idp));
    let envoy = ecds::serve(&volume, &idp, &upstream);
    let stats = stats_listener(envoy.admin_address());
    let prometheus = Prometheus::start(files.path(), stats.address());
    let client = Client::new();
    let private = envoy.url("/api/private");
    let good = idp.good_token();
    assert_eq!(client.get_with(&private, &good).await.status, 200);
    // Then a fetch fails: the one for a token with another key.
    idp.set_jwks(Fault::Status(500));
    let claims = idp.claims();
    idp.rotate();
    let unknown = idp.token(&claims);
    assert_eq!(client.get_with(&private, &unknown).await.status, 503);
    idp.set_jwks(Fault::Ok);

    let expired = idp.token(&claims.clone().expires_in(-3600));
    let queries = dashboard_queries();
    assert!(queries.len() >= 10);
    let mut wanting: Vec<(String, Vec<f64>)> = Vec::new();
    let started = Instant::now();
    let mut round = 0;
    while started.elapsed() < PATIENCE {
        // New tokens and known ones, good and bad.
        let fresh = idp.token(&claims.clone().with("jti", round));
        for token in [
            &fresh,
            &good,
            &expired,
            &with_signature_bit_flipped(&good, 9),
        ] {
            client.get_with(&private, token).await;
        }
        client.get(&private).await;
        round += 1;
        tokio::time::sleep(Duration::from_millis(200)).await;
        if round % 10 != 0 {
            continue;
        }
        wanting.clear();
        for query in &queries {
            let values = prometheus.values(query).await;
            if values.is_empty() || values.iter().any(|value| value.is_nan()) {
                wanting.push((query.clone(), values));
            }
        }
        if wanting.is_empty() {
            break;
        }
    }
    assert!(wanting.is_empty(), "{wanting:#?}");

    // An alert that does not fire has no data; its metrics do.
    for query in alert_queries() {
        prometheus.values(&query).await;
        let metrics = metrics(&query);
        assert!(!metrics.is_empty(), "{query}");
        for metric in metrics {
            assert_ne!(prometheus.values(&metric).await, [0.0; 0], "{metric}");
        }
    }
    // The labels are what the alerts and panels select by.
    for (query, least) in [
        (r#"bearer_gate_denied{reason="expired"}"#, 1.0),
        (r#"bearer_gate_denied{reason="signature"}"#, 1.0),
        (r#"bearer_gate_denied{reason="token_missing"}"#, 1.0),
        (r#"bearer_gate_denied{reason="keys_unavailable"}"#, 1.0),
        (
            r#"bearer_gate_jwks_fetch{provider="auth0",outcome="failed"}"#,
            1.0,
        ),
        (
            r#"bearer_gate_jwks_fetch{provider="auth0",outcome="success"}"#,
            1.0,
        ),
        (r#"bearer_gate_jwks_age_seconds{provider="auth0"}"#, 0.0),
        (r#"bearer_gate_token_cache{outcome="hit"}"#, 1.0),
        (r#"bearer_gate_token_cache{outcome="miss"}"#, 1.0),
        (r#"up{job="bearer-gate"}"#, 1.0),
    ] {
        let values = prometheus.values(query).await;
        assert!(
            values.len() == 1 && values[0] >= least,
            "{query}: {values:?}"
        );
    }
    // Whatever has not become a label would be a metric by itself.
    let names = prometheus
        .values(r#"count by (__name__) ({__name__=~"bearer_gate_.*"})"#)
        .await;
    assert_eq!(names.len(), 6);
}

#[test]
fn the_stats_listener_shows_nothing_else() {
    let behind = stats_listener(SocketAddr::from(([127, 0, 0, 1], 1)));
    let stats = stats_listener(behind.admin_address());
    let status = |method: &str, path: &str| {
        let request = raw::head(method, path, &[("content-length", b"0")]);
        raw::request(stats.address(), &request).unwrap().status
    };
    assert_eq!(status("GET", "/stats/prometheus"), 200);
    assert_eq!(status("GET", "/stats/prometheus?usedonly"), 200);
    assert_eq!(status("GET", "/ready"), 200);
    for (method, path) in [
        ("POST", "/stats/prometheus"),
        ("GET", "/"),
        ("GET", "/stats"),
        ("GET", "/config_dump"),
        ("POST", "/quitquitquit"),
        ("GET", "/stats/prometheus/../../config_dump"),
        ("GET", "/stats/prometheus/..%2f..%2fconfig_dump"),
    ] {
        assert_eq!(status(method, path), 404, "{method} {path}");
    }
}
