//! The recipes of envoy/recipes, each as it is shipped, with tokens as its provider makes them.

mod alb;
mod beside;
mod istio;
pub(crate) mod kitchen;
mod kubernetes;
mod people;
mod providers;
mod spiffe;
mod tenants;

use bearer_gate_testbed::{repository, yaml};
use serde_json::Value;

use kitchen::{hcm, plugin};

/// Every recipe; each has a test of its name in `providers` or in a file of its own, and with sign-in
/// one in `people`.
const RECIPES: &[&str] = &[
    "auth0",
    "aws-alb",
    "cognito",
    "entra-tenants",
    "entra",
    "gateway",
    "google",
    "keycloak",
    "kubernetes",
    "mcp",
    "okta",
    "rate-limit",
    "rbac",
    "spiffe",
];

#[test]
fn every_recipe_is_tested() {
    let folder = std::fs::read_dir(repository().join("envoy/recipes")).unwrap();
    let mut files: Vec<String> = folder
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".yaml"))
        .collect();
    files.sort();
    let expected: Vec<String> = RECIPES.iter().map(|name| format!("{name}.yaml")).collect();
    assert_eq!(files, expected);
}

/// The YAML files below a folder, by their paths in the repository.
fn files(folder: &str, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(repository().join(folder)).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{folder}/{}", entry.file_name().into_string().unwrap());
        if entry.file_type().unwrap().is_dir() {
            files(&path, found);
        } else if path.ends_with(".yaml") {
            found.push(path);
        }
    }
}

/// The configurations of bearer-gate in a document, wherever they are.
fn configurations<'a>(document: &'a Value, found: &mut Vec<&'a Value>) {
    if document.get("providers").is_some() && document.get("rules").is_some() {
        found.push(document);
    }
    match document {
        Value::Object(members) => members.values().for_each(|v| configurations(v, found)),
        Value::Array(items) => items.iter().for_each(|v| configurations(v, found)),
        _ => {}
    }
}

/// Files that pages of other origins are expected to call.
const FOR_PAGES: [&str; 9] = [
    "envoy/envoy.yaml",
    "envoy/my-api.yaml",
    "envoy/recipes/auth0.yaml",
    "envoy/recipes/cognito.yaml",
    "envoy/recipes/entra-tenants.yaml",
    "envoy/recipes/entra.yaml",
    "envoy/recipes/google.yaml",
    "envoy/recipes/keycloak.yaml",
    "envoy/recipes/okta.yaml",
];
/// It is in the README, which is short. It has no `route_metadata`, and its rules compare no hosts.
const SHORT: &str = "envoy/envoy-minimal.yaml";

/// Everything that people copy from keeps to the operator's checklist in docs/operating.md.
#[test]
fn every_file_is_safe_by_default() {
    let mut paths = Vec::new();
    files("envoy", &mut paths);
    files("deploy", &mut paths);
    let (mut bootstraps, mut seen) = (0, 0);
    for path in &paths {
        for mut document in yaml::documents(path) {
            let mut found = Vec::new();
            configurations(&document, &mut found);
            seen += found.len();
            for configuration in found {
                assert_compares_whole_segments(path, configuration);
            }
            // The relay decides about no request.
            let relay = path.starts_with("deploy/relay/");
            if document.get("static_resources").is_some() && !relay {
                bootstraps += 1;
                assert_keeps_to_the_checklist(path, &mut document);
            }
        }
    }
    assert_eq!((bootstraps, seen), (RECIPES.len() + 5, RECIPES.len() + 7));
}

/// `prefix: /public` would be `/public-internal` too. `prefix: /` is everything.
fn assert_compares_whole_segments(path: &str, configuration: &Value) {
    assert_ne!(configuration["unmatched"], "allow", "{path}");
    for rule in configuration["rules"].as_array().unwrap() {
        let matches = &rule["match"];
        let prefix = matches.get("prefix");
        assert!(prefix.is_none_or(|p| p == "/"), "{path}: {matches}");
        assert_ne!(rule["report_only"], true, "{path}: {matches}");
    }
}

fn assert_keeps_to_the_checklist(path: &str, bootstrap: &mut Value) {
    let hcm = hcm(bootstrap);
    assert_eq!(hcm["normalize_path"], true, "{path}");
    assert_eq!(hcm["merge_slashes"], true, "{path}");
    assert_eq!(
        hcm["path_with_escaped_slashes_action"], "REJECT_REQUEST",
        "{path}"
    );
    if path != SHORT {
        assert_eq!(hcm["strip_trailing_host_dot"], true, "{path}");
    }
    assert_eq!(
        hcm["common_http_protocol_options"]["headers_with_underscores_action"], "REJECT_REQUEST",
        "{path}"
    );
    assert!(hcm["request_timeout"].is_string(), "{path}");
    assert_answers_pages(path, hcm);

    // In deploy/envoy it is in a file of its own.
    let by_discovery = &hcm["http_filters"][0]["config_discovery"];
    let mut filter = by_discovery.is_object().then(|| {
        let mut resource = yaml::document("deploy/envoy/bearer-gate.yaml");
        resource["resources"][0]["typed_config"]["config"].take()
    });
    let plugin = match &mut filter {
        Some(filter) => filter,
        None => plugin(bootstrap),
    };
    assert_eq!(plugin["failure_policy"], "FAIL_RELOAD", "{path}");
    assert!(plugin["reload_config"].is_object(), "{path}");
    assert_ne!(plugin["vm_config"]["vm_id"], "", "{path}");

    for cluster in bootstrap["static_resources"]["clusters"]
        .as_array()
        .unwrap()
    {
        let host = host(cluster);
        let own = ["upstream", "api"]
            .map(Value::from)
            .contains(&cluster["name"]);
        if !own && host != "127.0.0.1" {
            assert_verifies_its_host(path, cluster);
        }
    }
}

/// Envoy's CORS filter comes before bearer-gate, lets a page read what a rejection says, and lets none use
/// the cookies of people who have signed in.
fn assert_answers_pages(path: &str, hcm: &Value) {
    let filters = hcm["http_filters"].as_array().unwrap();
    let at = |name: &str| filters.iter().position(|filter| filter["name"] == name);
    let cors = at("envoy.filters.http.cors");
    assert_eq!(cors.is_some(), FOR_PAGES.contains(&path), "{path}");
    if cors.is_none() {
        return;
    }
    assert!(cors < at("envoy.filters.http.wasm"), "{path}");
    for virtual_host in hcm["route_config"]["virtual_hosts"].as_array().unwrap() {
        let policy = &virtual_host["typed_per_filter_config"]["envoy.filters.http.cors"];
        assert_eq!(
            policy["expose_headers"], "www-authenticate, retry-after",
            "{path}"
        );
        assert!(policy.get("allow_credentials").is_none(), "{path}");
        for origin in policy["allow_origin_string_match"].as_array().unwrap() {
            assert!(origin["exact"].is_string(), "{path}: {origin}");
        }
    }
}

fn host(cluster: &Value) -> &Value {
    let endpoint = &cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"];
    &endpoint["address"]["socket_address"]["address"]
}

fn assert_verifies_its_host(path: &str, cluster: &Value) {
    let host = host(cluster);
    assert!(host.is_string(), "{path}");
    let tls = &cluster["transport_socket"]["typed_config"];
    assert_eq!(&tls["sni"], host, "{path}");
    let validation = &tls["common_tls_context"]["validation_context"];
    assert!(validation["trusted_ca"]["filename"].is_string(), "{path}");
    let names = &validation["match_typed_subject_alt_names"];
    assert_eq!(&names[0]["matcher"]["exact"], host, "{path}");
    assert_eq!(names.as_array().map(Vec::len), Some(1), "{path}");
}
