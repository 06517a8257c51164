//! Where the fleet is: a network with the load balancer, and with the shared store where there is one; a network with
//! the way to the provider; and the Envoys with deploy/envoy's bootstrap on both.
//!
//! Provider and upstream are in this process, on the networks' own addresses, so that a test can steer them. What leads
//! to the provider is a container of its own: cut off from the network, it is gone without a word, where a process that
//! ended would refuse connections.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bearer_gate_testbed::docker::{self, docker};
use bearer_gate_testbed::envoy::{module_path, tail};
use bearer_gate_testbed::idp::Idp;
use bearer_gate_testbed::idp::openid::RelyingParty;
use bearer_gate_testbed::upstream::Upstream;
use bearer_gate_testbed::{eventually, raw, yaml};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::LABEL;

/// Redis and webdis, Debian's: tests/images/stand-ins.sh makes it.
pub(crate) const STORE_IMAGE: &str = "localhost/bearer-gate-store:bookworm";
/// The Envoys behind the load balancer.
pub(crate) const GATEWAYS: usize = 5;
/// Where people sign in.
pub(crate) const SITE: &str = "https://app.example.com";
pub(crate) const IMAGE: &str = "envoyproxy/envoy:v1.40.0";
const HTTP: u16 = 10_000;
const PROVIDER: u16 = 8080;
const WEBDIS: u16 = 7379;
/// Compiling the module, five times at once on a busy machine, is most of it.
const START: Duration = Duration::from_secs(120);

/// A container; dropping it removes it.
#[derive(Debug)]
pub(crate) struct Container {
    name: String,
    network: String,
}

impl Container {
    /// Its address on its first network. It may change with a restart.
    fn ip(&self) -> IpAddr {
        let field = format!(
            "{{{{(index .NetworkSettings.Networks \"{}\").IPAddress}}}}",
            self.network
        );
        let address = docker(&["inspect", "--format", &field, &self.name]);
        address.parse().expect("an address")
    }

    /// Where it serves.
    pub(crate) fn address(&self) -> SocketAddr {
        (self.ip(), HTTP).into()
    }

    /// What deploy/envoy has a pod do before it is stopped.
    pub(crate) fn drain(&self) {
        let deployment = yaml::document("deploy/envoy/deployment.yaml");
        let envoy = &deployment["spec"]["template"]["spec"]["containers"][0];
        let hook = envoy["lifecycle"]["preStop"]["exec"]["command"].as_array();
        let hook = hook.expect("a hook").iter().filter_map(Value::as_str);
        let command: Vec<&str> = ["exec", &self.name].into_iter().chain(hook).collect();
        docker(&command);
    }

    pub(crate) fn restart(&self) {
        docker(&["restart", "--time", "5", &self.name]);
    }

    /// SIGKILL: no word to anybody.
    pub(crate) fn kill(&self) {
        docker(&["kill", "--signal", "KILL", &self.name]);
    }

    pub(crate) fn start(&self) {
        docker(&["start", &self.name]);
    }

    /// What a command in it prints.
    fn exec(&self, command: &[&str]) -> String {
        docker(&[&["exec", &self.name], command].concat())
    }

    /// Waits until the filter has its configuration, by the start-up probe.
    pub(crate) fn wait(&self) {
        let address = self.address();
        eventually(START, "a container starts", || {
            raw::get(address, "/bearer-gate/started", &[]).is_ok_and(|reply| reply.status == 200)
        });
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let logs = docker::run(&["docker", "logs", &self.name], Path::new("."));
            let log = String::from_utf8_lossy(&logs.stderr);
            eprintln!("--- {}\n{}", self.name, tail(&log, 25));
        }
        docker::succeeds(&["rm", "--force", &self.name]);
    }
}

/// A network; dropping it removes it, once its containers are gone.
#[derive(Debug)]
struct Network(String);

impl Network {
    fn create(name: String) -> Self {
        docker(&["network", "create", "--label", LABEL, &name]);
        Self(name)
    }

    /// The address of this machine on it.
    fn host(&self) -> IpAddr {
        let field = "{{(index .IPAM.Config 0).Gateway}}";
        let address = docker(&["network", "inspect", "--format", field, &self.0]);
        address.parse().expect("an address")
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        docker::succeeds(&["network", "rm", &self.0]);
    }
}

/// What the gateways share: Redis, and webdis before it.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) redis: Container,
    webdis: Container,
}

/// All of it. The fields are dropped in their order.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) gateways: Vec<Container>,
    pub(crate) balancer: Container,
    provider: Container,
    /// Where the filter has a `shared_store`.
    store: Option<Store>,
    pub(crate) idp: Idp,
    _upstream: Upstream,
    front: Network,
    back: Network,
    _folder: TempDir,
}

impl Fleet {
    /// Starts it and waits until all of it serves; `keys` is put over the provider's `openid_discovery`, `store` over
    /// `shared_store`, if there is to be one.
    pub(crate) fn start(keys: &Value, store: Option<&Value>) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("bearer-gate-fleet-{}-{number}", std::process::id());
        let front = Network::create(format!("{name}-front"));
        let back = Network::create(format!("{name}-back"));
        let any = |network: &Network| SocketAddr::from((network.host(), 0));
        let idp = Idp::builder()
            .listen(any(&back))
            .start()
            .expect("a free port");
        let callback = format!("{SITE}/oauth2/callback");
        let party = RelyingParty::confidential("web", "s3cret", &callback);
        idp.openid().register(party);
        let upstream = Upstream::start_on(any(&front)).expect("a free port");

        let folder = TempDir::with_prefix("fleet").expect("a folder");
        let root = folder.path();
        let module = root.join("module");
        fs::create_dir(&module).expect("a folder");
        fs::copy(module_path(), module.join("plugin.wasm")).expect("the module");
        write(root, "gateway/envoy.yaml", &gateway(&upstream));
        write(root, "filter/bearer-gate.yaml", &filter(&idp, keys, store));
        write(root, "balancer/envoy.yaml", &balancer());
        write(root, "provider/envoy.yaml", &provider(&idp));
        write(root, "webdis/webdis.json", &webdis());

        let make = |alias: &str, folders: &[(&str, &str)], network: &Network, command: &[&str]| {
            let name = format!("{name}-{alias}");
            let volumes = folders
                .iter()
                .map(|(from, to)| format!("--volume={}:{to}:ro", root.join(from).display()));
            let volumes: Vec<String> = volumes.collect();
            let volumes: Vec<&str> = volumes.iter().map(String::as_str).collect();
            let options = ["create", "--label", LABEL, "--name", &name];
            let place = ["--network", &network.0, "--network-alias", alias];
            docker(&[&options[..], &place, &volumes, command].concat());
            let network = network.0.clone();
            Container { name, network }
        };
        let create = |alias: &str, folders: &[(&str, &str)], network: &Network| {
            let config = ["--config-path", "/etc/envoy/envoy.yaml"];
            let command = [&[IMAGE, "envoy"][..], &config, &["--concurrency", "2"]].concat();
            make(alias, folders, network, &command)
        };
        let store = store.map(|_| {
            let redis = [STORE_IMAGE, "redis-server", "--save", ""];
            let open = ["--bind", "0.0.0.0", "--protected-mode", "no"];
            let redis = make("redis", &[], &front, &[&redis[..], &open].concat());
            redis.start();
            let command = [STORE_IMAGE, "webdis", "/etc/webdis/webdis.json"];
            let folders = [("webdis", "/etc/webdis")];
            let webdis = make("webdis", &folders, &front, &command);
            webdis.start();
            Store { redis, webdis }
        });
        let provider = create("way", &[("provider", "/etc/envoy")], &back);
        provider.start();
        let folders = [
            ("gateway", "/etc/envoy"),
            ("filter", "/etc/bearer-gate"),
            ("module", "/opt/bearer-gate"),
        ];
        let gateways = (1..=GATEWAYS).map(|n| {
            let gateway = create(&format!("g{n}"), &folders, &front);
            docker(&["network", "connect", &back.0, &gateway.name]);
            gateway.start();
            gateway
        });
        let gateways = gateways.collect();
        let balancer = create("balancer", &[("balancer", "/etc/envoy")], &front);
        balancer.start();
        let fleet = Self {
            gateways,
            balancer,
            provider,
            store,
            idp,
            _upstream: upstream,
            front,
            back,
            _folder: folder,
        };
        fleet.gateways.iter().for_each(Container::wait);
        // By the balancer's health checks too.
        fleet.balancer.wait();
        fleet
    }

    /// Cuts the provider off from all gateways.
    pub(crate) fn cut_provider(&self) {
        docker(&["network", "disconnect", &self.back.0, &self.provider.name]);
    }

    pub(crate) fn join_provider(&self) {
        docker(&[
            "network",
            "connect",
            "--alias",
            "way",
            &self.back.0,
            &self.provider.name,
        ]);
    }

    /// Cuts one gateway off from the provider. Requests reach it as before.
    pub(crate) fn cut(&self, gateway: &Container) {
        docker(&["network", "disconnect", &self.back.0, &gateway.name]);
    }

    pub(crate) fn join(&self, gateway: &Container) {
        docker(&["network", "connect", &self.back.0, &gateway.name]);
    }

    pub(crate) fn store(&self) -> &Store {
        self.store.as_ref().expect("a fleet with a store")
    }

    /// Cuts the store off from all gateways: whoever asks it gets no answer.
    pub(crate) fn cut_store(&self) {
        let webdis = &self.store().webdis.name;
        docker(&["network", "disconnect", &self.front.0, webdis]);
    }

    pub(crate) fn join_store(&self) {
        let webdis = &self.store().webdis.name;
        let network = &self.front.0;
        docker(&["network", "connect", "--alias", "webdis", network, webdis]);
    }

    /// How many values the store's list has.
    pub(crate) fn values(&self) -> usize {
        let redis = &self.store().redis;
        let length = redis.exec(&["redis-cli", "LLEN", "bearer-gate:ended"]);
        length.parse().expect("a number")
    }

    /// A gateway's answer to a token: the status, and whose request the upstream saw.
    pub(crate) fn ask(&self, gateway: &Container, token: &str) -> u16 {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_bytes())];
        raw::get(gateway.address(), "/api", &headers).map_or(0, |reply| reply.status)
    }
}

fn write(root: &Path, path: &str, contents: &Value) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, contents.to_string()).expect("a file");
}

fn endpoint(address: &str, port: u16) -> Value {
    json!({"endpoint": {"address": {"socket_address": {"address": address, "port_value": port}}}})
}

/// deploy/envoy/envoy.yaml, but for addresses.
fn gateway(upstream: &Upstream) -> Value {
    let mut bootstrap = yaml::document("deploy/envoy/envoy.yaml");
    let clusters = bootstrap["static_resources"]["clusters"].as_array_mut();
    for cluster in clusters.expect("clusters") {
        let to = match cluster["name"].as_str() {
            Some("upstream") => endpoint(
                &upstream.address().ip().to_string(),
                upstream.address().port(),
            ),
            Some("auth0") => {
                let cluster = cluster.as_object_mut().expect("a cluster");
                cluster.remove("transport_socket");
                endpoint("way", PROVIDER)
            }
            _ => continue,
        };
        cluster["load_assignment"]["endpoints"][0]["lb_endpoints"] = json!([to]);
    }
    let to = json!([{"lb_endpoints": [endpoint("webdis", WEBDIS)]}]);
    let store = json!({
        "name": "redis",
        "type": "STRICT_DNS",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": "redis", "endpoints": to},
    });
    let clusters = bootstrap["static_resources"]["clusters"].as_array_mut();
    clusters.expect("clusters").push(store);
    bootstrap
}

/// As docs/shared-store.md has it.
fn webdis() -> Value {
    json!({
        "redis_host": "redis", "redis_port": 6379,
        "http_host": "0.0.0.0", "http_port": WEBDIS,
        "threads": 1, "pool_size": 4, "daemonize": false, "websockets": false, "database": 0,
        "acl": [{"disabled": ["*"]}, {"enabled": ["RPUSH", "LRANGE", "LTRIM", "LSET", "SET", "DEL"]}],
        "verbosity": 2, "logfile": "/dev/stderr",
    })
}

/// deploy/envoy/bearer-gate.yaml with another configuration: people sign in too.
fn filter(idp: &Idp, keys: &Value, store: Option<&Value>) -> Value {
    let mut discovery = json!({"cluster": "auth0", "timeout": "5s"});
    let more = keys.as_object().cloned().unwrap_or_default();
    discovery.as_object_mut().expect("an object").extend(more);
    let mut resource = yaml::document("deploy/envoy/bearer-gate.yaml");
    let plugin = &mut resource["resources"][0]["typed_config"]["config"];
    plugin["configuration"]["value"] = json!({
        "providers": {"demo": {
            "issuer": idp.issuer(),
            "audiences": [idp.client().audiences[0]],
            "openid_discovery": discovery,
            "claim_to_headers": [{"header_name": "x-user", "claim_name": "sub"}],
        }},
        "sign_in": {
            "cookie_keys": [{"inline_string": "32 bytes that are nobody's secret"}],
            "allowed_redirect_domains": ["app.example.com"],
            "schemes": {"staff": {
                "provider_name": "demo",
                "credentials": {"client_id": "web", "token_secret": {"inline_string": "s3cret"}},
                "token_endpoint": {"cluster": "auth0", "timeout": "5s"},
                "callback_path": "/oauth2/callback",
                "signout_path": "/sign-out",
                "use_refresh_token": true,
                "session": {"idle_timeout": "1800s"},
            }},
        },
        "rules": [
            {"match": {"path": "/bearer-gate/started"}},
            {"match": {"path_separated_prefix": "/api"}, "requires": {"provider_name": "demo"}},
            {"match": {"prefix": "/"}, "requires": {"session": "staff"}},
        ],
    });
    if let Some(more) = store {
        let http_uri = json!({"uri": "http://webdis/", "cluster": "redis", "timeout": "1s"});
        let mut store = json!({"http_uri": http_uri});
        let more = more.as_object().cloned().unwrap_or_default();
        store.as_object_mut().expect("an object").extend(more);
        plugin["configuration"]["value"]["shared_store"] = store;
    }
    resource
}

/// All gateways, by their names and by what deploy/envoy's readiness probe asks.
fn balancer() -> Value {
    let mut endpoints: Vec<Value> = Vec::new();
    for n in 1..=GATEWAYS {
        let mut endpoint = endpoint(&format!("g{n}"), HTTP);
        endpoint["endpoint"]["health_check_config"] = json!({"port_value": 9902});
        endpoints.push(endpoint);
    }
    json!({
        "static_resources": {
            "listeners": [{
                "name": "balancer",
                "address": {"socket_address": {"address": "0.0.0.0", "port_value": HTTP}},
                "filter_chains": [{"filters": [{
                    "name": "envoy.filters.network.http_connection_manager",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                        "stat_prefix": "balancer",
                        "http_filters": [{
                            "name": "envoy.filters.http.router",
                            "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
                        }],
                        "route_config": {"virtual_hosts": [{
                            "name": "all",
                            "domains": ["*"],
                            "routes": [{
                                "match": {"prefix": "/"},
                                "route": {
                                    "cluster": "gateways",
                                    "timeout": "15s",
                                    // What no gateway has begun with, another one gets.
                                    "retry_policy": {
                                        "retry_on": "connect-failure,refused-stream",
                                        "num_retries": 2,
                                        "retry_host_predicate": [{
                                            "name": "envoy.retry_host_predicates.previous_hosts",
                                            "typed_config": {"@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"},
                                        }],
                                    },
                                },
                            }],
                        }]},
                    },
                }]}],
            }],
            "clusters": [{
                "name": "gateways",
                "cluster_type": {
                    "name": "envoy.clusters.dns",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.clusters.dns.v3.DnsCluster",
                        "dns_refresh_rate": "1s",
                        "respect_dns_ttl": false,
                    },
                },
                "connect_timeout": "1s",
                "health_checks": [{
                    "timeout": "1s",
                    "interval": "0.25s",
                    "no_traffic_interval": "0.25s",
                    "unhealthy_threshold": 1,
                    "healthy_threshold": 1,
                    "http_health_check": {"path": "/ready"},
                }],
                "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
                "load_assignment": {"cluster_name": "gateways", "endpoints": [{"lb_endpoints": endpoints}]},
            }],
        },
    })
}

/// From the gateways' network to the provider.
fn provider(idp: &Idp) -> Value {
    let to = idp.address();
    json!({
        "static_resources": {
            "listeners": [{
                "name": "provider",
                "address": {"socket_address": {"address": "0.0.0.0", "port_value": PROVIDER}},
                "filter_chains": [{"filters": [{
                    "name": "envoy.filters.network.tcp_proxy",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
                        "stat_prefix": "provider",
                        "cluster": "provider",
                    },
                }]}],
            }],
            "clusters": [{
                "name": "provider",
                "connect_timeout": "1s",
                "load_assignment": {
                    "cluster_name": "provider",
                    "endpoints": [{"lb_endpoints": [endpoint(&to.ip().to_string(), to.port())]}],
                },
            }],
        },
    })
}
