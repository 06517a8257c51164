//! The deployments of deploy/, as far as they can be proved without a cluster: each resource fits
//! what its CRD accepts, each plugin configuration is one that the filter accepts, and names that
//! refer to each other do.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod rendered;

use std::collections::BTreeSet;

use bearer_gate::config::{Config, Endpoint, KeySource};
use bearer_gate::http::uri::Scheme;
use bearer_gate_testbed::envoy::MODULE_PATH;
use bearer_gate_testbed::{repository, yaml};
use serde_json::{Value, json};

/// The kustomize folders of deploy/.
const FOLDERS: [&str; 4] = ["envoy", "istio", "envoy-gateway", "relay"];

/// What the CRDs accept; `$comment` names the source.
const SCHEMAS: &[(&str, &str)] = &[
    ("WasmPlugin", include_str!("WasmPlugin.schema.json")),
    ("ServiceEntry", include_str!("ServiceEntry.schema.json")),
    (
        "DestinationRule",
        include_str!("DestinationRule.schema.json"),
    ),
    (
        "EnvoyExtensionPolicy",
        include_str!("EnvoyExtensionPolicy.schema.json"),
    ),
    ("EnvoyProxy", include_str!("EnvoyProxy.schema.json")),
    ("EnvoyFilter", include_str!("EnvoyFilter.schema.json")),
    (
        "ClientTrafficPolicy",
        include_str!("ClientTrafficPolicy.schema.json"),
    ),
];

/// What is wrong with a resource by its CRD.
fn problems(resource: &Value) -> Vec<String> {
    let kind = resource["kind"].as_str().expect("a kind");
    let (_, schema) = SCHEMAS
        .iter()
        .find(|(name, _)| *name == kind)
        .unwrap_or_else(|| panic!("no schema for {kind}"));
    let schema: Value = serde_json::from_str(schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    validator
        .iter_errors(resource)
        .map(|error| format!("{kind} {}: {error}", error.instance_path()))
        .collect()
}

/// The resources that `kubectl apply -k` would read.
fn resources(folder: &str) -> Vec<Value> {
    let kustomization = yaml::document(&format!("deploy/{folder}/kustomization.yaml"));
    assert_eq!(kustomization["kind"], "Kustomization");
    assert_eq!(
        kustomization["apiVersion"],
        "kustomize.config.k8s.io/v1beta1"
    );
    let names = kustomization["resources"].as_array().unwrap();
    names
        .iter()
        .flat_map(|name| yaml::documents(&format!("deploy/{folder}/{}", name.as_str().unwrap())))
        .collect()
}

fn of_kind<'a>(resources: &'a [Value], kind: &str) -> &'a Value {
    let mut found = resources.iter().filter(|r| r["kind"] == kind);
    let first = found.next().unwrap_or_else(|| panic!("no {kind}"));
    assert!(found.next().is_none(), "one {kind}");
    first
}

/// The configuration as the filter takes it; its one provider's cluster and host.
fn cluster_and_host(plugin: &Value) -> (String, String) {
    let text = serde_json::to_vec(plugin).unwrap();
    let config = Config::parse(&text).unwrap_or_else(|e| panic!("{e}"));
    assert!(!plugin["rules"].as_array().unwrap().is_empty());
    let [provider] = config.providers.iter().as_slice() else {
        panic!("one provider");
    };
    let KeySource::Remote(remote) = &provider.keys else {
        panic!("keys that are fetched");
    };
    let Endpoint::Jwks(uri) = &remote.endpoint else {
        panic!("a JWK Set");
    };
    assert_eq!(uri.scheme, Scheme::Https);
    (uri.cluster.clone(), uri.authority.clone())
}

#[test]
fn every_file_is_used() {
    for folder in FOLDERS {
        let kustomization = yaml::document(&format!("deploy/{folder}/kustomization.yaml"));
        let generated = kustomization["configMapGenerator"].as_array();
        let used: BTreeSet<&str> = generated
            .into_iter()
            .flatten()
            .flat_map(|map| map["files"].as_array().unwrap())
            .chain(kustomization["resources"].as_array().unwrap())
            .map(|name| name.as_str().unwrap())
            .chain(["kustomization.yaml"])
            .collect();
        let there = std::fs::read_dir(repository().join("deploy").join(folder)).unwrap();
        let there: Vec<String> = there
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        let there: BTreeSet<&str> = there.iter().map(String::as_str).collect();
        assert_eq!(used, there, "{folder}");
    }
}

#[test]
fn istio() {
    let resources = resources("istio");
    for resource in &resources {
        assert_eq!(problems(resource), [""; 0]);
    }
    let plugin = &of_kind(&resources, "WasmPlugin")["spec"];
    assert_eq!(plugin["failStrategy"], "FAIL_RELOAD");
    assert_eq!(plugin["phase"], "AUTHN");

    let (cluster, host) = cluster_and_host(&plugin["pluginConfig"]);
    let entry = &of_kind(&resources, "ServiceEntry")["spec"];
    let rule = &of_kind(&resources, "DestinationRule")["spec"];
    let port = &entry["ports"][0]["number"];
    assert_eq!(entry["hosts"], json!([host]));
    assert_eq!(cluster, format!("outbound|{port}||{host}"));
    assert_eq!(rule["host"], host);
    let tls = &rule["trafficPolicy"]["tls"];
    assert_eq!(tls["mode"], "SIMPLE");
    assert_eq!(tls["sni"], host);
    assert_eq!(tls["subjectAltNames"], json!([host]));

    // tests/e2e/recipes/istio.rs gives Envoy what it merges.
    let filter = &of_kind(&resources, "EnvoyFilter")["spec"];
    let labels = &plugin["selector"]["matchLabels"];
    assert_eq!(filter["workloadSelector"]["labels"], *labels);
    let patch = &filter["configPatches"][0];
    assert_eq!(patch["applyTo"], "NETWORK_FILTER");
    assert_eq!(patch["match"]["context"], "GATEWAY");
    assert_eq!(patch["patch"]["operation"], "MERGE");
}

#[test]
fn envoy_gateway() {
    let resources = resources("envoy-gateway");
    for resource in &resources {
        assert_eq!(problems(resource), [""; 0]);
    }
    let wasm = &of_kind(&resources, "EnvoyExtensionPolicy")["spec"]["wasm"][0];
    assert_eq!(wasm["failOpen"], false);
    // The listeners of the same Gateway.
    let policy = &of_kind(&resources, "EnvoyExtensionPolicy")["spec"];
    let strict = &of_kind(&resources, "ClientTrafficPolicy")["spec"];
    assert_eq!(strict["targetRefs"], policy["targetRefs"]);
    assert_eq!(strict["path"]["escapedSlashesAction"], "RejectRequest");
    assert_eq!(strict["path"]["disableMergeSlashes"], false);
    assert_eq!(strict["headers"]["withUnderscoresAction"], "RejectRequest");
    assert!(strict["timeout"]["http"]["requestReceivedTimeout"].is_string());
    let (cluster, host) = cluster_and_host(&wasm["config"]);

    let proxy = &of_kind(&resources, "EnvoyProxy")["spec"]["bootstrap"];
    let added = |path: &str| -> Vec<Value> {
        let patches = proxy["jsonPatches"].as_array().unwrap().iter();
        patches
            .filter(|patch| patch["op"] == "add" && patch["path"] == path)
            .map(|patch| patch["value"].clone())
            .collect()
    };
    let clusters = added("/static_resources/clusters/-");
    assert_eq!(clusters.len(), 1);
    assert_eq!(clusters[0]["name"], cluster);
    // The same cluster as in Envoy's own file, which Envoy validates and which a test runs.
    let own = yaml::document("deploy/envoy/envoy.yaml");
    let mut issuer = own["static_resources"]["clusters"]
        .as_array()
        .unwrap()
        .iter()
        .find(|cluster| cluster["name"] == "auth0")
        .unwrap()
        .clone();
    issuer["name"] = json!(cluster);
    issuer["load_assignment"]["cluster_name"] = json!(cluster);
    assert_eq!(clusters[0], issuer);
    assert_eq!(issuer["transport_socket"]["typed_config"]["sni"], host);
    assert_eq!(
        json!(added("/stats_config/stats_tags/-")),
        own["stats_config"]["stats_tags"]
    );
}

#[test]
fn what_a_crd_refuses_is_noticed() {
    for (folder, kind, pointer, wrong) in [
        ("istio", "WasmPlugin", "/spec/phase", json!("FIRST")),
        ("istio", "WasmPlugin", "/spec/failStrategy", json!("FAIL")),
        ("istio", "WasmPlugin", "/spec/url", json!("ftp://x/y")),
        ("istio", "WasmPlugin", "/spec/pluginConfig", json!("{}")),
        ("istio", "WasmPlugin", "/apiVersion", json!("v1")),
        ("istio", "ServiceEntry", "/spec/hosts", json!(["*"])),
        ("istio", "ServiceEntry", "/spec/resolution", json!("dns")),
        (
            "istio",
            "DestinationRule",
            "/spec/trafficPolicy/tls/mode",
            json!("TLS"),
        ),
        (
            "istio",
            "EnvoyFilter",
            "/spec/configPatches/0/patch/operation",
            json!("PATCH"),
        ),
        (
            "envoy-gateway",
            "ClientTrafficPolicy",
            "/spec/path/escapedSlashesAction",
            json!("REJECT_REQUEST"),
        ),
        (
            "envoy-gateway",
            "EnvoyExtensionPolicy",
            "/spec/targetRefs/0/kind",
            json!("Service"),
        ),
        (
            "envoy-gateway",
            "EnvoyExtensionPolicy",
            "/spec/wasm/0/code/type",
            json!("HTTP"),
        ),
        (
            "envoy-gateway",
            "EnvoyExtensionPolicy",
            "/spec/wasm/0/code",
            json!({"image": {"url": "x"}}),
        ),
        (
            "envoy-gateway",
            "EnvoyProxy",
            "/spec/bootstrap/type",
            json!("Merge"),
        ),
    ] {
        let mut resource = of_kind(&resources(folder), kind).clone();
        *resource.pointer_mut(pointer).expect(pointer) = wrong;
        assert_ne!(problems(&resource), [""; 0], "{kind} {pointer}");
    }
}

/// Kubernetes' own kinds: what refers to what.
#[test]
fn plain_envoy() {
    let resources = resources("envoy");
    let pod = &of_kind(&resources, "Deployment")["spec"]["template"];
    let labels = &pod["metadata"]["labels"];
    let selector = &of_kind(&resources, "Deployment")["spec"]["selector"]["matchLabels"];
    let service = &of_kind(&resources, "Service")["spec"];
    assert_eq!(labels, selector);
    assert_eq!(labels, &service["selector"]);

    // Envoy's pods, and nobody else, reach those of the API.
    let policy = &of_kind(&resources, "NetworkPolicy")["spec"];
    let from = json!([{"podSelector": {"matchLabels": labels}}]);
    assert_eq!(policy["ingress"], json!([{"from": from}]));
    assert_eq!(policy["policyTypes"], json!(["Ingress"]));
    assert_ne!(&policy["podSelector"]["matchLabels"], labels);

    let names = |list: &Value| -> BTreeSet<String> {
        let items = list.as_array().unwrap().iter();
        items
            .map(|item| item["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let envoy = &pod["spec"]["containers"][0];
    assert_eq!(
        names(&envoy["volumeMounts"]),
        names(&pod["spec"]["volumes"])
    );
    let ports = names(&envoy["ports"]);
    assert!(ports.contains(service["ports"][0]["targetPort"].as_str().unwrap()));
    for probe in ["startupProbe", "readinessProbe"] {
        let port = envoy[probe]["httpGet"]["port"].as_str();
        assert!(ports.contains(port.unwrap()), "{probe}");
    }
    assert_eq!(envoy["startupProbe"]["httpGet"]["port"], "http");

    // The ports are those of the bootstrap's listeners.
    let bootstrap = yaml::document("deploy/envoy/envoy.yaml");
    let admin = &bootstrap["admin"]["address"]["socket_address"];
    let hook = &envoy["lifecycle"]["preStop"]["exec"]["command"][2];
    let port = format!("/dev/tcp/127.0.0.1/{}\n", admin["port_value"]);
    assert!(hook.as_str().unwrap().contains(&port), "{hook}");
    for port in envoy["ports"].as_array().unwrap() {
        let listeners = bootstrap["static_resources"]["listeners"].as_array();
        let mut listeners = listeners.unwrap().iter();
        let listener = listeners.find(|l| l["name"] == port["name"]).unwrap();
        let socket = &listener["address"]["socket_address"];
        assert_eq!(socket["port_value"], port["containerPort"]);
    }
    let annotations = &pod["metadata"]["annotations"];
    assert_eq!(annotations["prometheus.io/port"], "9902");

    // The files that Envoy looks for are in the volumes.
    let mounted = |path: &str| -> String {
        let (folder, file) = path.rsplit_once('/').unwrap();
        let mounts = envoy["volumeMounts"].as_array().unwrap().iter();
        let mut at = mounts.filter(|mount| mount["mountPath"] == folder);
        let volume = at.next().unwrap_or_else(|| panic!("{path}"))["name"].clone();
        let mut volumes = pod["spec"]["volumes"].as_array().unwrap().iter();
        let volume = volumes.find(|v| v["name"] == volume).unwrap();
        match volume["configMap"]["name"].as_str() {
            Some(map) => format!("{map}/{file}"),
            None => format!("image/{file}"),
        }
    };
    let kustomization = yaml::document("deploy/envoy/kustomization.yaml");
    let generated: BTreeSet<String> = kustomization["configMapGenerator"]
        .as_array()
        .unwrap()
        .iter()
        .map(|map| {
            let (name, file) = (map["name"].as_str(), map["files"][0].as_str());
            format!("{}/{}", name.unwrap(), file.unwrap())
        })
        .collect();
    assert!(generated.contains(&mounted(envoy["args"][2].as_str().unwrap())));
    let hcm = &bootstrap["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0];
    let filter = &hcm["typed_config"]["http_filters"][0];
    let source = &filter["config_discovery"]["config_source"]["path_config_source"];
    assert!(generated.contains(&mounted(source["path"].as_str().unwrap())));
    let resource = &yaml::document("deploy/envoy/bearer-gate.yaml")["resources"][0];
    assert_eq!(resource["name"], filter["name"]);
    let plugin = &resource["typed_config"]["config"];
    let module = &plugin["vm_config"]["code"]["local"]["filename"];
    assert_eq!(mounted(module.as_str().unwrap()), "image/plugin.wasm");

    let (cluster, host) = cluster_and_host(&plugin["configuration"]["value"]);
    let clusters = bootstrap["static_resources"]["clusters"].as_array();
    let mut clusters = clusters.unwrap().iter();
    let cluster = clusters.find(|c| c["name"] == cluster).unwrap();
    assert_eq!(cluster["transport_socket"]["typed_config"]["sni"], host);
}

/// Where the relay's pod looks for files, and on which port.
#[test]
fn relay() {
    let resources = resources("relay");
    let pod = &of_kind(&resources, "Deployment")["spec"]["template"];
    let service = &of_kind(&resources, "Service")["spec"];
    assert_eq!(pod["metadata"]["labels"], service["selector"]);
    let envoy = &pod["spec"]["containers"][0];
    let port = &envoy["ports"][0];
    for name in [
        &envoy["readinessProbe"]["httpGet"]["port"],
        &service["ports"][0]["targetPort"],
    ] {
        assert_eq!(*name, port["name"]);
    }
    let bootstrap = yaml::document("deploy/relay/relay.yaml");
    let listener = &bootstrap["static_resources"]["listeners"][0];
    assert_eq!(
        listener["address"]["socket_address"]["port_value"],
        port["containerPort"]
    );
    let chain = &listener["filter_chains"][0];
    let tls = &chain["transport_socket"]["typed_config"]["common_tls_context"];
    let secret = &tls["tls_certificate_sds_secret_configs"][0];
    let source = &secret["sds_config"]["path_config_source"]["path"];
    assert_eq!(*source, "/etc/envoy/certificate.yaml");
    assert_eq!(envoy["args"][2], "/etc/envoy/relay.yaml");
    let kustomization = yaml::document("deploy/relay/kustomization.yaml");
    let files = &kustomization["configMapGenerator"][0]["files"];
    assert_eq!(*files, json!(["relay.yaml", "certificate.yaml"]));
    let certificate = &yaml::document("deploy/relay/certificate.yaml")["resources"][0];
    assert_eq!(certificate["name"], secret["name"]);
    let folder = &certificate["tls_certificate"]["watched_directory"]["path"];
    let mounts: Vec<&Value> = envoy["volumeMounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| &m["mountPath"])
        .collect();
    assert_eq!(mounts, [&json!("/etc/envoy"), folder]);
    let filters = &chain["filters"][0]["typed_config"]["http_filters"];
    let probe = &filters[0]["typed_config"]["headers"][0]["string_match"]["exact"];
    assert_eq!(*probe, envoy["readinessProbe"]["httpGet"]["path"]);
}

/// Istio and Envoy Gateway read plugin.wasm from the only layer.
#[test]
fn the_image_has_one_layer_with_the_module() {
    let read = |path: &str| std::fs::read_to_string(repository().join(path)).unwrap();
    let dockerfile = read("deploy/Dockerfile");
    let instructions: Vec<&str> = dockerfile
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .collect();
    assert_eq!(
        instructions,
        [
            "FROM scratch".to_owned(),
            format!("COPY {MODULE_PATH} plugin.wasm")
        ]
    );
    let ignored = read("deploy/Dockerfile.dockerignore");
    let rules: Vec<&str> = ignored.lines().filter(|l| !l.starts_with('#')).collect();
    assert_eq!(rules, ["*".to_owned(), format!("!{MODULE_PATH}")]);
}

/// The demo's image is built from what its Dockerfile copies, and Docker sends that alone.
#[test]
fn the_demos_image_has_all_that_cargo_reads() {
    let root = repository();
    let read = |name: &str| std::fs::read_to_string(root.join("envoy").join(name)).unwrap();
    let (dockerfile, ignore) = (read("Dockerfile"), read("Dockerfile.dockerignore"));
    let sources: BTreeSet<&str> = dockerfile
        .lines()
        .filter_map(|line| line.strip_prefix("COPY "))
        .filter(|words| !words.starts_with("--from"))
        .flat_map(|words| {
            let words: Vec<&str> = words.split(' ').collect();
            words[..words.len() - 1].to_vec()
        })
        .collect();
    let sent = ignore.lines().filter_map(|line| line.strip_prefix('!'));
    assert_eq!(sources, sent.collect());

    let context = tempfile::tempdir().unwrap();
    let copied = std::process::Command::new("cp")
        .arg("-r")
        .args(sources.iter().map(|source| root.join(source)))
        .arg(context.path())
        .status();
    assert!(copied.unwrap().success());
    let cargo = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--no-deps", "--format-version=1"])
        .current_dir(context.path())
        .output()
        .unwrap();
    let problem = String::from_utf8_lossy(&cargo.stderr);
    assert!(cargo.status.success(), "{problem}");
    assert!(sources.contains(".cargo"), "the module's flags");
}
