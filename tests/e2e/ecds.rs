//! The filter's configuration by xDS from a file (ECDS): deploy/envoy as it is shipped, its files
//! laid out and replaced as Kubernetes does it with a ConfigMap.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bearer_gate_testbed::envoy::{Envoy, module_path};
use bearer_gate_testbed::http::Client;
use bearer_gate_testbed::idp::{Fault, Idp};
use bearer_gate_testbed::upstream::Upstream;
use bearer_gate_testbed::{eventually, raw, yaml};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::keys::figure;
use crate::recipes::kitchen::{hcm, localize_clusters, localize_plugin};

const UPDATES: usize = 6;

/// A volume of a ConfigMap. The file is a link to `..data/FILE`, and `..data` is a link to a
/// directory. A new version is a new directory, which `..data` then points to.
pub(crate) fn publish(volume: &Path, version: usize, resource: &Value) {
    let data = volume.join(format!("..version-{version}"));
    fs::create_dir(&data).unwrap();
    fs::write(data.join("bearer-gate.yaml"), resource.to_string()).unwrap();
    let next = volume.join("..data_tmp");
    symlink(data.file_name().unwrap(), &next).unwrap();
    fs::rename(&next, volume.join("..data")).unwrap();
    let file = volume.join("bearer-gate.yaml");
    if !file.exists() {
        symlink("..data/bearer-gate.yaml", file).unwrap();
    }
}

pub(crate) fn configuration(resource: &mut Value) -> &mut Value {
    let filter = &mut resource["resources"][0]["typed_config"]["config"];
    &mut filter["configuration"]["value"]
}

/// The resource of a version. The requirement of `/flip` differs in each version, and the realm
/// names the version.
fn version(shipped: &Value, number: usize) -> Value {
    let mut resource = shipped.clone();
    let plugin = configuration(&mut resource);
    plugin["realm"] = json!(format!("version {number}"));
    let flip = if number.is_multiple_of(2) {
        json!({"match": {"path": "/flip"}})
    } else {
        json!({"match": {"path": "/flip"}, "requires": {"provider_name": "auth0"}})
    };
    plugin["rules"].as_array_mut().unwrap().push(flip);
    resource
}

/// The resource of deploy/envoy, with `idp` as its provider.
pub(crate) fn shipped(idp: &Idp) -> Value {
    let mut resource = yaml::document("deploy/envoy/bearer-gate.yaml");
    localize_plugin(&mut resource["resources"][0]["typed_config"]["config"], idp);
    resource
}

/// Envoy with the bootstrap of deploy/envoy, and this volume where it looks for the filter.
pub(crate) fn serve(volume: &Path, idp: &Idp, upstream: &Upstream) -> Envoy {
    serve_behind(volume, idp, upstream, |_| {})
}

/// The same, with a change of the bootstrap.
pub(crate) fn serve_behind(
    volume: &Path,
    idp: &Idp,
    upstream: &Upstream,
    change: impl FnOnce(&mut Value),
) -> Envoy {
    let mut bootstrap = yaml::document("deploy/envoy/envoy.yaml");
    localize_clusters(&mut bootstrap, idp.address(), upstream.address());
    let discovery = &mut hcm(&mut bootstrap)["http_filters"][0]["config_discovery"];
    let source = &mut discovery["config_source"]["path_config_source"];
    assert_eq!(source["path"], "/etc/bearer-gate/bearer-gate.yaml");
    assert_eq!(source["watched_directory"]["path"], "/etc/bearer-gate");
    source["path"] = json!(volume.join("bearer-gate.yaml"));
    source["watched_directory"]["path"] = json!(volume);
    change(&mut bootstrap);
    let envoy = Envoy::builder().concurrency(4).start_bootstrap(bootstrap);
    envoy.unwrap_or_else(|refused| panic!("{refused}"))
}

/// The path of the start-up probe in deploy/envoy.
fn probe() -> String {
    let deployment = yaml::document("deploy/envoy/deployment.yaml");
    let envoy = &deployment["spec"]["template"]["spec"]["containers"][0];
    let probe = &envoy["startupProbe"]["httpGet"];
    assert_eq!(probe["port"], "http");
    probe["path"].as_str().unwrap().to_owned()
}

/// A pod whose first configuration is refused says that it is ready, and its start-up probe fails. A good
/// configuration that comes later mends it.
#[test]
fn a_pod_without_a_configuration_does_not_start() {
    let (idp, upstream) = (Idp::start(), Upstream::start());
    let volume = TempDir::new().unwrap();
    let shipped = shipped(&idp);
    let mut bad = shipped.clone();
    configuration(&mut bad)["unmatchd"] = json!("allow");
    publish(volume.path(), 0, &bad);
    let envoy = serve(volume.path(), &idp, &upstream);
    let probe = probe();
    let ask = || {
        raw::get(envoy.address_of("http"), &probe, &[])
            .unwrap()
            .status
    };
    let ready = raw::get(envoy.admin_address(), "/ready", &[]).unwrap();
    assert_eq!(ready.status, 200);
    for _ in 0..8 {
        assert_eq!(ask(), 500);
    }
    publish(volume.path(), 1, &shipped);
    eventually(Duration::from_secs(10), "all workers answer", || {
        (0..16).all(|_| ask() == 200)
    });
    // Envoy answers, not the upstream.
    assert_eq!(upstream.requests(), 0);
}

/// The provider is down, and the pod starts.
#[test]
fn the_start_up_probe_needs_no_provider() {
    let (idp, upstream) = (Idp::start(), Upstream::start());
    idp.set_jwks(Fault::Status(500));
    let volume = TempDir::new().unwrap();
    publish(volume.path(), 0, &shipped(&idp));
    let envoy = serve(volume.path(), &idp, &upstream);
    let probe = probe();
    for _ in 0..8 {
        let answer = raw::get(envoy.address_of("http"), &probe, &[]).unwrap();
        assert_eq!(answer.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_from_a_file_lose_nothing() {
    let (idp, upstream) = (Idp::start(), Upstream::start());
    let volume = TempDir::new().unwrap();
    let shipped = shipped(&idp);
    publish(volume.path(), 0, &version(&shipped, 0));

    let envoy = Arc::new(serve(volume.path(), &idp, &upstream));

    let claims = idp.claims();
    let good = idp.token(&claims);
    let expired = idp.token(&claims.expires_in(-3600));
    let stop = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicUsize::new(0));
    let mut lanes = Vec::new();
    for lane in 0..8 {
        let (envoy, stop, answered) = (envoy.clone(), stop.clone(), answered.clone());
        let (good, expired) = (good.clone(), expired.clone());
        // Half of the requests use connections that outlive the updates, half use new ones.
        let client = if lane % 2 == 0 {
            Client::new()
        } else {
            Client::without_keep_alive()
        };
        lanes.push(tokio::spawn(async move {
            let private = envoy.url("/api/private");
            while !stop.load(Ordering::SeqCst) {
                // `get` and `get_with` panic where there is no answer.
                let reply = client.get_with(&private, &good).await;
                assert_eq!(reply.status, 200, "{}", reply.body);
                assert_eq!(client.get_with(&private, &expired).await.status, 401);
                assert_eq!(client.get(&private).await.status, 401);
                assert_eq!(client.get(&envoy.url("/api/public")).await.status, 200);
                assert_eq!(client.get(&envoy.url("/none")).await.status, 403);
                answered.fetch_add(5, Ordering::SeqCst);
            }
        }));
    }
    // Each version serves a part of the load.
    let serves = |number: usize| {
        let challenge = format!("Bearer realm=\"version {number}\"");
        let address = envoy.address_of("http");
        eventually(Duration::from_secs(10), &challenge, || {
            let reply = raw::get(address, "/api/private", &[]).unwrap();
            reply.header("www-authenticate") == Some(&challenge)
        });
        // Every worker has the version: none answers by the one before it.
        eventually(Duration::from_secs(10), "all workers", || {
            let wanted = if number.is_multiple_of(2) { 200 } else { 401 };
            (0..16).all(|_| raw::get(address, "/flip", &[]).unwrap().status == wanted)
        });
        let before = answered.load(Ordering::SeqCst);
        eventually(Duration::from_secs(30), "load", || {
            answered.load(Ordering::SeqCst) >= before + 200
        });
    };
    tokio::task::block_in_place(|| serves(0));
    for number in 1..=UPDATES {
        publish(volume.path(), number, &version(&shipped, number));
        tokio::task::block_in_place(|| serves(number));
    }

    // A bad version is refused with the name of the field, and the last good one goes on serving.
    let mut bad = version(&shipped, UPDATES + 1);
    configuration(&mut bad)["unmatchd"] = json!("allow");
    publish(volume.path(), UPDATES + 1, &bad);
    tokio::task::block_in_place(|| {
        eventually(Duration::from_secs(10), "a refusal in the log", || {
            envoy
                .log()
                .contains("unmatchd: unknown field, did you mean unmatched?")
        });
        serves(UPDATES);
    });

    stop.store(true, Ordering::SeqCst);
    for lane in lanes {
        lane.await.unwrap();
    }
    figure(
        "requests during the updates, none lost or wrong",
        answered.load(Ordering::SeqCst),
    );
    assert_eq!(
        idp.jwks_requests(),
        1,
        "the keys outlive the configurations"
    );
    let stats = envoy.stats();
    let cut = "http.http.downstream_cx_drain_close";
    assert_eq!(stats.get(cut), Some(&0), "connections stay");
    let discovery = "extension_config_discovery.http_filter.bearer-gate";
    // Envoy may read a version twice.
    assert!(stats[&format!("{discovery}.config_reload")] > UPDATES as u64);
    assert!(stats[&format!("{discovery}.config_fail")] > 0);
    assert!(!stats.iter().any(|(name, value)| {
        (name.contains("crash") || name.contains("vm_reload")) && *value > 0
    }));
}

/// Without Kubernetes: a file is moved over the one before it, in a directory without links.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_moved_into_place_is_taken() {
    let (idp, upstream) = (Idp::start(), Upstream::start());
    let folder = TempDir::new().unwrap();
    let shipped = shipped(&idp);
    let put = |number: usize| {
        let new = folder.path().join("bearer-gate.yaml.new");
        fs::write(&new, version(&shipped, number).to_string()).unwrap();
        fs::rename(new, folder.path().join("bearer-gate.yaml")).unwrap();
    };
    put(0);
    let envoy = serve(folder.path(), &idp, &upstream);
    let address = envoy.address_of("http");
    for number in 1..=2 {
        put(number);
        let challenge = format!("Bearer realm=\"version {number}\"");
        tokio::task::block_in_place(|| {
            eventually(Duration::from_secs(10), &challenge, || {
                let reply = raw::get(address, "/api/private", &[]).unwrap();
                reply.header("www-authenticate") == Some(&challenge)
            });
        });
    }
}

/// Without Kubernetes: a module beside the one before it, and a resource that names it. So does the way back.
#[tokio::test(flavor = "multi_thread")]
async fn a_module_is_upgraded_and_rolled_back_without_a_start() {
    let (idp, upstream) = (Idp::start(), Upstream::start());
    let folder = TempDir::new().unwrap();
    let module = fs::read(module_path()).unwrap();
    // The same code, and a section that nobody reads.
    let another = [module.as_slice(), b"\0\x05\x04next"].concat();
    let wrong = b"no module".to_vec();
    for (name, bytes) in [("one", &module), ("two", &another), ("wrong", &wrong)] {
        fs::write(folder.path().join(format!("{name}.wasm")), bytes).unwrap();
    }
    let shipped = shipped(&idp);
    let put = |number: usize, name: &str| {
        let mut resource = version(&shipped, number);
        let plugin = &mut resource["resources"][0]["typed_config"]["config"];
        plugin["vm_config"]["code"]["local"]["filename"] =
            json!(folder.path().join(format!("{name}.wasm")));
        let new = folder.path().join("bearer-gate.yaml.new");
        fs::write(&new, resource.to_string()).unwrap();
        fs::rename(new, folder.path().join("bearer-gate.yaml")).unwrap();
    };
    put(0, "one");
    let envoy = serve(folder.path(), &idp, &upstream);
    let address = envoy.address_of("http");
    let token = format!("Bearer {}", idp.token(&idp.claims()));
    let good = || {
        raw::get(
            address,
            "/api/private",
            &[("authorization", token.as_bytes())],
        )
        .unwrap()
    };
    let serves = |number: usize, all_the_time: bool| {
        let challenge = format!("Bearer realm=\"version {number}\"");
        eventually(Duration::from_secs(30), &challenge, || {
            if all_the_time {
                assert_eq!(good().status, 200, "{number}");
            }
            let reply = raw::get(address, "/api/private", &[]).unwrap();
            reply.header("www-authenticate") == Some(&challenge)
        });
    };
    tokio::task::block_in_place(|| {
        serves(0, false);
        for (number, name) in [(1, "two"), (2, "one")] {
            put(number, name);
            serves(number, true);
        }
        // What is no module changes nothing.
        put(3, "wrong");
        eventually(Duration::from_secs(10), "a refusal in the log", || {
            assert_eq!(good().status, 200);
            envoy
                .log()
                .contains("Unable to create Wasm plugin bearer-gate")
        });
        assert_eq!(good().status, 200);
        serves(2, true);
    });
    assert_eq!(idp.jwks_requests(), 1, "the keys outlive the modules");
}
