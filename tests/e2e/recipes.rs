//! The recipes of envoy/recipes, each as it is shipped, with tokens as its provider makes them.

mod alb;
mod beside;
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

/// The operator's checklist in docs/operating.md.
#[test]
fn every_recipe_keeps_to_the_checklist() {
    for name in RECIPES {
        let mut recipe = yaml::document(&format!("envoy/recipes/{name}.yaml"));
        let hcm = hcm(&mut recipe);
        assert_eq!(hcm["normalize_path"], true, "{name}");
        assert_eq!(hcm["merge_slashes"], true, "{name}");
        assert_eq!(
            hcm["path_with_escaped_slashes_action"], "REJECT_REQUEST",
            "{name}"
        );
        assert_eq!(
            hcm["common_http_protocol_options"]["headers_with_underscores_action"],
            "REJECT_REQUEST",
            "{name}"
        );
        assert!(hcm["request_timeout"].is_string(), "{name}");
        let plugin = plugin(&mut recipe);
        assert_eq!(plugin["failure_policy"], "FAIL_RELOAD", "{name}");
        assert!(plugin["reload_config"].is_object(), "{name}");
        assert_ne!(plugin["vm_config"]["vm_id"], "", "{name}");

        for cluster in recipe["static_resources"]["clusters"].as_array().unwrap() {
            if cluster["name"] != "upstream" {
                assert_verifies_its_host(name, cluster);
            }
        }
    }
}

fn assert_verifies_its_host(name: &str, cluster: &Value) {
    let endpoint = &cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"];
    let host = &endpoint["address"]["socket_address"]["address"];
    assert!(host.is_string(), "{name}");
    let tls = &cluster["transport_socket"]["typed_config"];
    assert_eq!(&tls["sni"], host, "{name}");
    let validation = &tls["common_tls_context"]["validation_context"];
    assert!(validation["trusted_ca"]["filename"].is_string(), "{name}");
    let names = &validation["match_typed_subject_alt_names"];
    assert_eq!(&names[0]["matcher"]["exact"], host, "{name}");
    assert_eq!(names.as_array().map(Vec::len), Some(1), "{name}");
}
