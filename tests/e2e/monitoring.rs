//! monitoring/: a real Prometheus scrapes deploy/envoy as it is shipped. Every query of the dashboard and
//! every metric of the alerts has data. Every alert fires on an Envoy in its state, and none on one that is
//! well. `make dashboards` fetches Prometheus. Beside it: `people` who sign in, `modules` that do
//! harm, and `shortened`, a day of 24 minutes.

mod modules;
mod people;
mod shortened;

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bearer_gate_testbed::envoy::{Envoy, Process};
use bearer_gate_testbed::http::{self, Client};
use bearer_gate_testbed::idp::openid::Misbehaviour;
use bearer_gate_testbed::idp::{Fault, Idp};
use bearer_gate_testbed::redis::Redis;
use bearer_gate_testbed::token::with_signature_bit_flipped;
use bearer_gate_testbed::upstream::Upstream;
use bearer_gate_testbed::{holds_within, raw, repository, yaml};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::ecds;
use crate::fleet_store::{COMMANDS, LIST};
use crate::recipes::kitchen::{hcm, move_cluster};
use modules::{overwriting, trap};
use people::{People, Store};
use shortened::alerts as shortened_alerts;

const PATIENCE: Duration = Duration::from_secs(30);
/// The alerts that have fired since Prometheus began.
const EVER: &str = "count_over_time(ALERTS{alertstate=\"firing\"}[1h])";

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
    /// With monitoring/prometheus.yaml, but for the targets and the intervals.
    fn start(files: &Path, targets: &[SocketAddr], interval: &str, rules: &Path) -> Self {
        let mut config = yaml::document("monitoring/prometheus.yaml");
        config["global"]["scrape_interval"] = json!(interval);
        config["global"]["evaluation_interval"] = json!(interval);
        config["rule_files"] = json!([rules]);
        let targets: Vec<String> = targets.iter().map(SocketAddr::to_string).collect();
        config["scrape_configs"][0]["static_configs"][0]["targets"] = json!(targets);
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
        let address = address.unwrap_or_else(|| panic!("{}", process.log()));
        // It listens before it can be asked.
        let socket = address.parse().expect("an address");
        assert!(holds_within(PATIENCE, || {
            raw::get(socket, "/-/ready", &[]).is_ok_and(|page| page.status == 200)
        }));
        Self {
            client: Client::new(),
            address,
            _process: process,
        }
    }

    /// The names of the alerts that fire.
    async fn firing(&self) -> BTreeSet<String> {
        self.alerts("ALERTS{alertstate=\"firing\"}").await
    }

    /// The alerts that have fired since it began, however short: a busy machine looks rarely.
    async fn fired(&self) -> BTreeSet<String> {
        self.alerts(EVER).await
    }

    async fn alerts(&self, query: &str) -> BTreeSet<String> {
        let found = self.query(query).await.into_iter();
        let name = |series: Value| series["metric"]["alertname"].as_str().unwrap().to_owned();
        found.map(name).collect()
    }

    /// The instances on which an alert has fired since it began.
    async fn fired_on(&self, alert: &str) -> BTreeSet<SocketAddr> {
        let found = self.query(EVER).await.into_iter();
        let found = found.filter(|series| series["metric"]["alertname"] == alert);
        let instance = |series: Value| series["metric"]["instance"].as_str().unwrap().parse();
        found.map(|series| instance(series).unwrap()).collect()
    }

    /// The values of an instant query.
    async fn values(&self, query: &str) -> Vec<f64> {
        let found = self.query(query).await.into_iter();
        let value = |series: Value| series["value"][1].as_str().unwrap().parse().unwrap();
        found.map(value).collect()
    }

    /// The series of an instant query.
    async fn query(&self, query: &str) -> Vec<Value> {
        let encoded: String = query.bytes().map(|b| format!("%{b:02X}")).collect();
        let url = format!("http://{}/api/v1/query?query={encoded}", self.address);
        let reply = http::send(self.client.request(reqwest::Method::GET, &url)).await;
        assert_eq!(reply.status, 200, "{query}: {}", reply.body);
        let mut reply = reply.json();
        let found = reply["data"]["result"].as_array_mut().expect("a vector");
        std::mem::take(found)
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

/// Labels of Envoy's metrics that queries select by.
const LABELS: [&str; 4] = [
    "envoy_cluster_name",
    "envoy_http_conn_manager_prefix",
    "envoy_response_code",
    "envoy_response_code_class",
];

/// The names of metrics, bearer-gate's and Envoy's own, in a query.
fn metrics(query: &str) -> BTreeSet<String> {
    query
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("bearer_gate_") || word.starts_with("envoy_"))
        .filter(|word| !LABELS.contains(word))
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
    // And the runbook says what to do.
    let runbook = fs::read_to_string(repository().join("docs/operating.md")).unwrap();
    for name in named {
        assert!(runbook.contains(&format!("\n### {name}\n")), "{name}");
    }
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
    let rules = repository().join("monitoring/alerts.yaml");
    let redis = Redis::start(&COMMANDS);
    redis.cli(&["RPUSH", LIST, "a value of somebody else"]);
    let people = People::open(true, Store::of_sessions(redis.address()));
    let targets = [stats.address(), people.0.stats.address()];
    let prometheus = Prometheus::start(files.path(), &targets, "1s", &rules);
    people.live().await;
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
        (
            r#"bearer_gate_sign_in_failed{reason="id_token_invalid"}"#,
            1.0,
        ),
        (
            r#"bearer_gate_refresh_failed{reason="refresh_refused"}"#,
            1.0,
        ),
        (r#"up{job="bearer-gate"}"#, 1.0),
    ] {
        let values = prometheus.values(query).await;
        assert!(
            values.iter().any(|value| *value >= least),
            "{query}: {values:?}"
        );
    }
    // Whatever has not become a label would be a metric by itself.
    let names = prometheus
        .values(r#"count by (__name__) ({__name__=~"bearer_gate_.*"})"#)
        .await;
    assert_eq!(names.len(), 7 + 12 + 11);
}

/// An Envoy of deploy/envoy, with the listener by which Prometheus sees it.
struct Scene {
    volume: TempDir,
    idp: Idp,
    _upstream: Upstream,
    envoy: Envoy,
    stats: Envoy,
    versions: usize,
}

impl Scene {
    fn open(prepare: impl FnOnce(&Idp), change: impl FnOnce(&mut Value)) -> Self {
        Self::open_behind(prepare, change, |_| {})
    }

    /// With a change of the filter's resource, and one of the bootstrap.
    fn open_behind(
        prepare: impl FnOnce(&Idp),
        change: impl FnOnce(&mut Value),
        bootstrap: impl FnOnce(&mut Value),
    ) -> Self {
        let (idp, upstream) = (Idp::start(), Upstream::start());
        prepare(&idp);
        let volume = TempDir::new().unwrap();
        let mut resource = ecds::shipped(&idp);
        change(&mut resource);
        ecds::publish(volume.path(), 0, &resource);
        let envoy = ecds::serve_behind(volume.path(), &idp, &upstream, bootstrap);
        let stats = stats_listener(envoy.admin_address());
        Self {
            volume,
            idp,
            _upstream: upstream,
            envoy,
            stats,
            versions: 1,
        }
    }

    fn publish(&mut self, resource: &Value) {
        ecds::publish(self.volume.path(), self.versions, resource);
        self.versions += 1;
    }

    async fn ask(&self, token: &str) -> u16 {
        let client = Client::without_keep_alive();
        let url = self.envoy.url("/api/private");
        client.get_with(&url, token).await.status
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Prometheus: make dashboards"]
async fn every_alert_fires_on_an_envoy_in_its_state() {
    let files = TempDir::new().unwrap();
    let rules = files.path().join("alerts.json");
    fs::write(&rules, shortened_alerts().to_string()).unwrap();
    // 15 s, as shipped, shortened.
    let start = |name: &str, targets: &[SocketAddr]| {
        let files = files.path().join(name);
        fs::create_dir(&files).unwrap();
        Prometheus::start(&files, targets, "250ms", &rules)
    };

    // An Envoy that is well: nothing fires, though a client is turned away now and then, and one
    // configuration was replaced.
    let mut well = Scene::open(|_| {}, |_| {});
    let redis = Redis::start(&COMMANDS);
    let people = People::open(true, Store::of_sessions(redis.address()));
    let good = well.idp.good_token();
    let watch = start("well", &[well.stats.address(), people.0.stats.address()]);
    let mut changed = ecds::shipped(&well.idp);
    ecds::configuration(&mut changed)["realm"] = json!("changed");
    let started = Instant::now();
    let mut served = 0;
    while started.elapsed() < Duration::from_secs(20) {
        if well.ask(&good).await == 200 {
            served += 1;
        }
        if served % 40 == 20 {
            assert_eq!(well.ask("bad").await, 401);
        }
        if served == 30 {
            well.publish(&changed);
        }
        if served % 60 == 30 {
            people.live().await;
        }
        assert_eq!(watch.firing().await, BTreeSet::new());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(served > 50, "{served}");
    drop(people);

    // One whose provider does not work. What the filter waits between two fetches is shortened too.
    let down = Scene::open(
        |idp| idp.set_jwks(Fault::Status(500)),
        |resource| {
            let remote = &mut ecds::configuration(resource)["providers"]["auth0"]["remote_jwks"];
            let waits = json!({"base_interval": "0.1s", "max_interval": "1s"});
            remote["retry_policy"] = json!({"retry_back_off": waits});
        },
    );
    // One whose provider has enough of it.
    let throttled = Scene::open(
        |idp| idp.set_jwks(Fault::Status(429)),
        |resource| {
            let remote = &mut ecds::configuration(resource)["providers"]["auth0"]["remote_jwks"];
            let waits = json!({"base_interval": "0.1s", "max_interval": "0.2s"});
            remote["retry_policy"] = json!({"retry_back_off": waits});
        },
    );
    // One whose provider withdraws a key that tokens are still signed with.
    let rotated = Scene::open(|_| {}, |_| {});
    let withdrawn = rotated.idp.good_token();
    // One whose listener has lost the filter.
    let bare = Scene::open_behind(
        |_| {},
        |_| {},
        |bootstrap| {
            let filters = hcm(bootstrap)["http_filters"].as_array_mut().unwrap();
            assert_eq!(filters.remove(0)["name"], "bearer-gate");
        },
    );
    // One where another filter holds a name that this one sets.
    let planted = Scene::open_behind(
        |_| {},
        |resource| ecds::configuration(resource)["filter_state"] = json!(["provider"]),
        |bootstrap| {
            let listener = &mut bootstrap["static_resources"]["listeners"][0];
            let filters = listener["filter_chains"][0]["filters"]
                .as_array_mut()
                .unwrap();
            filters.insert(0, json!({
                "name": "envoy.filters.network.set_filter_state",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.network.set_filter_state.v3.Config",
                    "on_new_connection": [{
                        "object_key": "wasm.bearer_gate.provider",
                        "factory_key": "envoy.string",
                        "format_string": {"text_format_source": {"inline_string": "planted"}},
                    }],
                },
            }));
        },
    );
    // One whose first configuration is refused.
    let unconfigured = Scene::open(
        |_| {},
        |resource| ecds::configuration(resource)["unmatchd"] = json!("allow"),
    );
    // One whose module traps.
    let module = files.path().join("trap.wasm");
    fs::write(&module, trap()).unwrap();
    let trapping = Scene::open(
        |_| {},
        |resource| {
            let config = &mut resource["resources"][0]["typed_config"]["config"];
            config["vm_config"]["code"]["local"]["filename"] = json!(module);
        },
    );
    // One whose provider signs people in no more, and refreshes no session.
    let failing = People::open(true, Store::of_sign_outs(redis.address()));
    let mut visitors = Vec::new();
    for _ in 0..12 {
        visitors.push(failing.signs_in(["alice", "wonderland"]).await);
    }
    failing
        .openid()
        .misbehave(Some(Misbehaviour::TokenResponse500));
    // One that hears of no sign-out, neither from the provider nor from other Envoys, and has no place for sessions.
    let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
    let deaf = People::open(false, Store::of_sessions(nobody));
    // One where another filter writes over the list of ended sessions, and whose store can only be read.
    let reading = Redis::start(&["LRANGE"]);
    let module = files.path().join("overwriting.wasm");
    let shared = People::open_behind(true, Store::of_sign_outs(reading.address()), |bootstrap| {
        let filters = hcm(bootstrap)["http_filters"].as_array_mut().unwrap();
        filters.insert(0, overwriting(&module));
    });
    let mut carol = shared.signs_in(["alice", "wonderland"]).await;
    let mut dave = shared.signs_in(["bob", "tokyo"]).await;
    let left = dave.post(&shared.0.envoy.url("/sign-out"), &[]).await;
    assert_eq!(left.status, 303);
    // One whose provider takes its time. Last: who comes after its first fetch does not wait.
    let slow = Scene::open(
        |idp| idp.set_jwks(Fault::Hang),
        |resource| {
            let remote = &mut ecds::configuration(resource)["providers"]["auth0"]["remote_jwks"];
            remote["http_uri"]["timeout"] = json!("25s");
        },
    );
    let (of_failing, of_deaf, of_shared) = (&failing.0, &deaf.0, &shared.0);
    let targets = [
        &well,
        &down,
        &throttled,
        &rotated,
        &bare,
        &slow,
        &planted,
        &unconfigured,
        &trapping,
        of_failing,
        of_deaf,
        of_shared,
    ];
    let targets = targets.map(|scene| scene.stats.address());
    let watch = start("unwell", &targets);

    // What requests see of it.
    assert_eq!(unconfigured.ask(&good).await, 500);
    assert_eq!(trapping.ask(&good).await, 503);
    assert_eq!(bare.ask("none").await, 200);
    assert_eq!(rotated.ask(&withdrawn).await, 200);
    rotated.idp.rotate_and_drop();
    let current = rotated.idp.good_token();
    let (of_planted, of_down) = (planted.idp.good_token(), down.idp.good_token());

    // 600 wait for keys that do not come, and come again.
    let patient = slow.idp.good_token();
    let bearer = format!("Bearer {patient}");
    let request = raw::head(
        "GET",
        "/api/private",
        &[("authorization", bearer.as_bytes())],
    );
    let address = slow.envoy.address();
    let stop = Arc::new(AtomicBool::new(false));
    let crowd: Vec<_> = (0..600)
        .map(|_| {
            let (stop, request) = (Arc::clone(&stop), request.clone());
            let patience = std::thread::Builder::new().stack_size(64 * 1024);
            let waits = move || {
                while !stop.load(Ordering::SeqCst) {
                    let _ = raw::request(address, &request);
                    std::thread::sleep(Duration::from_millis(100));
                }
            };
            patience.spawn(waits).unwrap()
        })
        .collect();

    // A refused update of the one that was well, whose clients have forged tokens from now on.
    let refused = "envoy_extension_config_discovery_http_filter_bearer_gate_update_rejected";
    // But for the one without the filter.
    let wanted = targets.len() - 1;
    let deadline = Instant::now() + PATIENCE;
    while watch.values(refused).await.len() < wanted && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Requests are answered that the filter has not decided.
    let undecided = [&bare, &unconfigured, &trapping];
    let past_the_filter = BTreeSet::from(undecided.map(|scene| scene.stats.address()));
    let mut found = BTreeSet::new();
    let mut bad = changed.clone();
    ecds::configuration(&mut bad)["unmatchd"] = json!("allow");
    well.publish(&bad);
    let forged = with_signature_bit_flipped(&good, 9);
    let mut fired: BTreeSet<String> = BTreeSet::new();
    let alerts = yaml::document("monitoring/alerts.yaml");
    let named: BTreeSet<String> = alerts["groups"][0]["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| rule["alert"].as_str().unwrap().to_owned())
        .collect();
    let started = Instant::now();
    let (mut claims, mut is_lost, mut is_filled) = (0, false, false);
    let mut round = 0;
    while (fired != named || !past_the_filter.is_subset(&found))
        && started.elapsed() < Duration::from_secs(400)
    {
        for visitor in &mut visitors {
            failing.page(visitor).await;
        }
        failing.comes_back(["bob", "tokyo"]).await;
        // It waits for the body.
        let told = deaf.0.envoy.address();
        std::thread::spawn(move || people::tell(told, "x"));
        assert_eq!(deaf.get("/framed").status, 400);
        if !fired.contains("BearerGateSessionStoreFails") {
            let (_, status) = deaf.comes_back(["bob", "tokyo"]).await;
            assert_eq!(status, 503);
        }
        while claims < 16_000 && deaf.claim(&claims.to_string()) == 200 {
            claims += 1;
        }
        // The store is read once a second, and loses what was read of it.
        round += 1;
        match round % 40 {
            20 => drop(reading.cli(&["DEL", LIST])),
            0 | 10 | 30 => drop(reading.cli(&["RPUSH", LIST, "a value of somebody else"])),
            _ => {}
        }
        // After the claims, which take longer than the alert lasts.
        if !is_lost {
            is_lost = true;
            assert_eq!(shared.page_without_list(&mut carol).await, 303);
        }
        for _ in 0..3 {
            well.ask(&forged).await;
        }
        planted.ask(&of_planted).await;
        down.ask(&of_down).await;
        // A dozen in a window are not enough.
        for scene in undecided.repeat(4) {
            scene.ask(&good).await;
        }
        rotated.ask(&current).await;
        rotated.ask(&withdrawn).await;
        fired.extend(watch.fired().await);
        found = watch.fired_on("BearerGateDoesNotRun").await;
        // Last, for an Envoy that hears of sign-outs silences the alerts on one that does not.
        if !is_filled && fired.len() + 1 == named.len() {
            is_filled = true;
            shared.fill_the_list();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stop.store(true, Ordering::SeqCst);
    for one in crowd {
        one.join().unwrap();
    }
    let missing: Vec<_> = named.difference(&fired).collect();
    assert!(missing.is_empty(), "{missing:?} did not fire");
    assert_eq!(found, past_the_filter, "bare, unconfigured, trapping");
    // Whoever is well is still served by the configuration before.
    assert_eq!(well.ask(&good).await, 200);
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
