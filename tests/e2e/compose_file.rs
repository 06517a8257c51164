//! envoy/my-api/compose.yaml as it is shipped, where a Docker engine answers and has or gets the images. Of
//! envoy/my-api.yaml the keys alone are replaced, since a container does not reach the testbed's provider.

use std::net::SocketAddr;
use std::time::Duration;

use bearer_gate_testbed::docker::{self, Project};
use bearer_gate_testbed::envoy::{Envoy, MODULE_PATH, module_path};
use bearer_gate_testbed::http::{self, Client};
use bearer_gate_testbed::idp::Idp;
use bearer_gate_testbed::token::now;
use bearer_gate_testbed::{holds_within, raw, repository, yaml};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::recipes::kitchen::plugin;

const FILE: &str = "envoy/my-api/compose.yaml";
const PATIENCE: Duration = Duration::from_secs(90);

/// The project, up, and where its files are.
struct Compose {
    project: Project,
    _folder: TempDir,
}

impl Compose {
    /// With this configuration of Envoy, and its port at this one.
    fn up(configuration: &Value, port: u16) -> Self {
        let folder = TempDir::with_prefix("compose").unwrap();
        let root = folder.path();
        let module = root.join(MODULE_PATH);
        std::fs::create_dir_all(module.parent().unwrap()).unwrap();
        std::fs::copy(module_path(), module).unwrap();
        let envoy = root.join("envoy");
        std::fs::create_dir(&envoy).unwrap();
        std::fs::write(envoy.join("my-api.yaml"), configuration.to_string()).unwrap();
        std::fs::create_dir(envoy.join("my-api")).unwrap();
        let shipped = repository().join("envoy/my-api");
        for entry in std::fs::read_dir(&shipped).unwrap() {
            let name = entry.unwrap().file_name();
            let copy = envoy.join("my-api").join(&name);
            std::fs::copy(shipped.join(&name), copy).unwrap();
        }
        let text = yaml::text(FILE);
        let published = "127.0.0.1:10000:10000";
        assert_eq!(text.matches(published).count(), 1);
        let text = text.replace(published, &format!("127.0.0.1:{port}:10000"));
        std::fs::write(root.join(FILE), text).unwrap();
        let name = format!("bearer-gate-my-api-{port}");
        let project = Project::new(&name, root, FILE);
        project.up();
        Self {
            project,
            _folder: folder,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_envoy_reaches_the_api_of_the_compose_file() {
    let shipped = yaml::document(FILE);
    let dockerfile = yaml::text("envoy/my-api/Dockerfile");
    let base = dockerfile.lines().find_map(|l| l.strip_prefix("FROM "));
    let envoy = shipped["services"]["envoy"]["image"].as_str();
    if let Some(why) = docker::hindrance(&[envoy.unwrap(), base.unwrap()]) {
        docker::left_out(FILE, &why);
        return;
    }
    let idp = Idp::builder().issuer_path("/").start().unwrap();
    let client = Client::without_keep_alive();
    let keys = client.get(&idp.jwks_url()).await.body;
    let mut bootstrap = yaml::document("envoy/my-api.yaml");
    let provider = &mut plugin(&mut bootstrap)["configuration"]["value"]["providers"]["auth0"];
    provider.as_object_mut().unwrap().remove("remote_jwks");
    provider["local_jwks"] = json!({"inline_string": keys});
    let issuer = provider["issuer"].clone();

    let port = Envoy::free_port();
    let compose = Compose::up(&bootstrap, port);
    let compose = &compose.project;
    let envoy = SocketAddr::from(([127, 0, 0, 1], port));
    // Docker takes the port before Envoy listens, and the API starts meanwhile.
    let up = holds_within(PATIENCE, || {
        raw::get(envoy, "/api/public", &[]).is_ok_and(|reply| reply.status == 200)
    });
    assert!(up, "no answer");

    let url = format!("http://{envoy}/api/private");
    let reply = client.get(&url).await;
    assert_eq!(reply.status, 401, "{}", reply.body);
    let claims = json!({
        "iss": issuer, "aud": "https://api.example.com", "sub": "alice", "name": "Zoë",
        "iat": now(), "exp": now() + 3600,
    });
    let token = idp.sign(&json!({"alg": "RS256", "kid": idp.key().kid()}), &claims);
    let request = client.request(Method::GET, &url).bearer_auth(token);
    let reply = http::send(request.header("x-user", "mallory")).await;
    let zoe = json!({"id": "alice", "name": "Zoë", "roles": []});
    assert_eq!((reply.status, reply.json()), (200, zoe));

    // Nothing of the API is published, and it is in no network but the inner one.
    let network = |container: &Value| -> Vec<String> {
        let networks = container["NetworkSettings"]["Networks"].as_object();
        networks.unwrap().keys().cloned().collect()
    };
    let api = compose.container("api");
    let inside = format!("{}_inside", compose.name());
    assert_eq!(network(&api), [inside.as_str()]);
    let ports = api["NetworkSettings"]["Ports"].as_object();
    assert!(ports.is_none_or(|ports| ports.values().all(Value::is_null)));
    let inside = docker::docker(&["network", "inspect", &inside]);
    let inside: Value = serde_json::from_str(&inside).unwrap();
    assert_eq!(inside[0]["Internal"], true);
    assert_eq!(network(&compose.container("envoy")).len(), 2);
}

#[test]
fn the_compose_file_publishes_envoy_alone() {
    let compose = yaml::document(FILE);
    for (name, service) in compose["services"].as_object().unwrap() {
        assert_eq!(service.get("ports").is_some(), name == "envoy", "{name}");
        assert!(service.get("network_mode").is_none(), "{name}");
    }
    assert_eq!(compose["networks"]["inside"]["internal"], true);
    assert_eq!(compose["services"]["api"]["networks"], json!(["inside"]));
}
