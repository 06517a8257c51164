//! What `kubectl apply -k` would send: each kustomize folder rendered by kubectl itself. CRDs are checked by the
//! schemas beside this file, Kubernetes' own kinds by those of one of its versions, which refuse unknown fields.

use std::process::Command;

use bearer_gate_testbed::{path_from, repository, yaml};
use serde_json::{Value, json};

use super::{FOLDERS, SCHEMAS, of_kind, problems, resources};

fn render(folder: &str) -> Vec<Value> {
    let kubectl = path_from("KUBECTL", ".cache/kubectl/kubectl");
    let rendered = Command::new(&kubectl)
        .args(["kustomize", &format!("deploy/{folder}")])
        .current_dir(repository())
        .output()
        .unwrap_or_else(|e| panic!("{}: {e}; `make unit` fetches it", kubectl.display()));
    // It warns there of fields that are deprecated.
    assert_eq!(String::from_utf8_lossy(&rendered.stderr), "", "{folder}");
    assert!(rendered.status.success(), "{folder}");
    let text = String::from_utf8(rendered.stdout).unwrap();
    text.split("\n---\n").map(yaml::parse).collect()
}

/// What is wrong with a resource, of Kubernetes' own kinds or of a CRD.
fn faults(resource: &Value) -> Vec<String> {
    let kind = resource["kind"].as_str().unwrap();
    if SCHEMAS.iter().any(|(name, _)| *name == kind) {
        return problems(resource);
    }
    let name = match resource["apiVersion"].as_str().unwrap() {
        "v1" => format!("io.k8s.api.core.v1.{kind}"),
        "apps/v1" => format!("io.k8s.api.apps.v1.{kind}"),
        "networking.k8s.io/v1" => format!("io.k8s.api.networking.v1.{kind}"),
        other => panic!("no schema for {other}"),
    };
    let file = path_from(
        "BEARER_GATE_KUBERNETES",
        ".cache/kubernetes/_definitions.json",
    );
    let schema = std::fs::read(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let mut schema: Value = serde_json::from_slice(&schema).unwrap();
    assert!(schema["$defs"].get(&name).is_some(), "{name}");
    schema["$ref"] = json!(format!("#/$defs/{name}"));
    let validator = jsonschema::validator_for(&schema).unwrap();
    validator
        .iter_errors(resource)
        .map(|error| format!("{kind} {}: {error}", error.instance_path()))
        .collect()
}

#[test]
fn what_kubectl_makes_of_each_folder_is_accepted() {
    for folder in FOLDERS {
        let kustomization = yaml::document(&format!("deploy/{folder}/kustomization.yaml"));
        let rendered = render(folder);
        for resource in &rendered {
            assert_eq!(faults(resource), [""; 0], "{folder}");
            let namespace = &resource["metadata"]["namespace"];
            assert_eq!(namespace, &kustomization["namespace"], "{folder}");
        }
        let names = |all: &[Value]| {
            let names = all
                .iter()
                .filter(|resource| resource["kind"] != "ConfigMap");
            let mut names: Vec<String> = names
                .map(|r| format!("{} {}", r["kind"], r["metadata"]["name"]))
                .collect();
            names.sort();
            names
        };
        assert_eq!(names(&rendered), names(&resources(folder)), "{folder}");
        let generated = kustomization["configMapGenerator"].as_array();
        let maps = rendered.iter().filter(|r| r["kind"] == "ConfigMap").count();
        assert_eq!(maps, generated.map_or(0, Vec::len), "{folder}");
        for image in kustomization["images"].as_array().into_iter().flatten() {
            let tagged = format!(
                "{}:{}",
                image["name"].as_str().unwrap(),
                image["newTag"].as_str().unwrap()
            );
            let pod = &of_kind(&rendered, "Deployment")["spec"]["template"]["spec"];
            assert_eq!(pod["containers"][0]["image"], tagged, "{folder}");
        }
    }
}

/// Each volume of a pod that is a ConfigMap is one that is rendered, with the file as it is.
#[test]
fn the_config_maps_of_a_pod_are_those_that_are_rendered() {
    let mut mounted = 0;
    for folder in FOLDERS {
        let kustomization = yaml::document(&format!("deploy/{folder}/kustomization.yaml"));
        let rendered = render(folder);
        let deployments = rendered.iter().filter(|r| r["kind"] == "Deployment");
        let volumes =
            deployments.flat_map(|d| d["spec"]["template"]["spec"]["volumes"].as_array().unwrap());
        for name in volumes.filter_map(|volume| volume["configMap"]["name"].as_str()) {
            let map = rendered
                .iter()
                .find(|r| r["kind"] == "ConfigMap" && r["metadata"]["name"] == name);
            let map = map.unwrap_or_else(|| panic!("{folder}: no {name}"));
            // A name with a hash in it has new pods begin with a new file; one without stays.
            let generators = kustomization["configMapGenerator"].as_array().unwrap();
            let names = |g: &&Value| name.starts_with(g["name"].as_str().unwrap());
            let generator = generators.iter().find(names).unwrap();
            let stays = generator["options"]["disableNameSuffixHash"] == true;
            assert_eq!(generator["name"] == name, stays, "{name}");
            for (file, text) in map["data"].as_object().unwrap() {
                assert_eq!(
                    *text,
                    yaml::text(&format!("deploy/{folder}/{file}")),
                    "{folder}"
                );
                mounted += 1;
            }
        }
    }
    assert!(mounted >= 2);
}

#[test]
fn what_kubernetes_refuses_is_noticed() {
    let rendered = render("envoy");
    for (kind, pointer, wrong) in [
        ("Deployment", "/spec/replicas", json!("2")),
        (
            "Deployment",
            "/spec/template/spec/containers/0/ports/0",
            json!({"port": 1}),
        ),
        (
            "Deployment",
            "/spec/template/spec/containers/0/startupProbe/httpGet",
            json!({"path": "/"}),
        ),
        (
            "Deployment",
            "/spec/template/spec/volumes/0",
            json!({"name": "module", "images": {}}),
        ),
        ("Service", "/spec/ports/0", json!({"targetPort": "http"})),
        ("NetworkPolicy", "/spec/ingress/0", json!({"form": []})),
        ("NetworkPolicy", "/spec/policyTypes", json!("Ingress")),
    ] {
        let mut resource = of_kind(&rendered, kind).clone();
        *resource.pointer_mut(pointer).expect(pointer) = wrong;
        assert_ne!(faults(&resource), [""; 0], "{kind} {pointer}");
    }
}
