//! envoy/my-api/compose.yaml as it is shipped, where a Docker engine answers and has or gets the images. Of
//! envoy/my-api.yaml the keys alone are replaced, since a container does not reach the testbed's provider.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use bearer_gate_testbed::envoy::{Envoy, MODULE_PATH, module_path};
use bearer_gate_testbed::http::{self, Client};
use bearer_gate_testbed::idp::Idp;
use bearer_gate_testbed::token::now;
use bearer_gate_testbed::{holds_within, raw, repository, yaml};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::recipes::kitchen::plugin;

const PATIENCE: Duration = Duration::from_secs(90);

fn run(command: &[&str], folder: &Path) -> Option<Output> {
    let (program, arguments) = command.split_first()?;
    let mut command = Command::new(program);
    let command = command.args(arguments).current_dir(folder);
    command.stdin(Stdio::null()).output().ok()
}

fn succeeds(command: &[&str]) -> bool {
    run(command, &repository()).is_some_and(|output| output.status.success())
}

/// Why it cannot run here; nothing if it can.
fn hindrance() -> Option<String> {
    if !succeeds(&["docker", "info"]) {
        return Some("no Docker engine answers".to_owned());
    }
    let compose = yaml::document("envoy/my-api/compose.yaml");
    let dockerfile = yaml::text("envoy/my-api/Dockerfile");
    let base = dockerfile.lines().find_map(|l| l.strip_prefix("FROM "));
    let envoy = compose["services"]["envoy"]["image"].as_str();
    let images = [envoy.unwrap(), base.unwrap()];
    let mut missing = images.into_iter().filter(|image| {
        !succeeds(&["docker", "image", "inspect", image])
            && !succeeds(&["docker", "pull", "--quiet", image])
    });
    missing.next().map(|image| format!("no image {image}"))
}

/// The project, up; dropping it takes it down. The API's image stays, so that it is built once.
struct Compose {
    folder: TempDir,
    program: Vec<&'static str>,
    /// The project's name.
    name: String,
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
        let text = yaml::text("envoy/my-api/compose.yaml");
        let published = "127.0.0.1:10000:10000";
        assert_eq!(text.matches(published).count(), 1);
        let text = text.replace(published, &format!("127.0.0.1:{port}:10000"));
        std::fs::write(envoy.join("my-api/compose.yaml"), text).unwrap();

        let plugin = succeeds(&["docker", "compose", "version"]);
        let program = if plugin {
            vec!["docker", "compose"]
        } else {
            vec!["docker-compose"]
        };
        let name = format!("bearer-gate-my-api-{port}");
        let compose = Self {
            folder,
            program,
            name,
        };
        let up = compose.run(&["up", "--build", "--detach"]);
        assert!(up.status.success(), "{up:?}");
        compose
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let file = [
            "--project-name",
            &self.name,
            "--file",
            "envoy/my-api/compose.yaml",
        ];
        let command = [&self.program, &file[..], arguments].concat();
        run(&command, self.folder.path()).expect("Docker Compose")
    }

    /// What Docker says of a service's container.
    fn container(&self, service: &str) -> Value {
        let id = self.run(&["ps", "--quiet", service]).stdout;
        let id = String::from_utf8(id).unwrap();
        let output = run(&["docker", "inspect", id.trim()], &repository()).unwrap();
        let mut found: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
        found.remove(0)
    }
}

impl Drop for Compose {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let logs = self.run(&["logs"]);
            eprintln!("{}", String::from_utf8_lossy(&logs.stdout));
        }
        self.run(&["down", "--timeout", "1"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_envoy_reaches_the_api_of_the_compose_file() {
    if let Some(why) = hindrance() {
        // Past the test harness, which keeps what a passing test prints.
        let line = format!("LEFT OUT: envoy/my-api/compose.yaml: {why}\n");
        let _ = std::io::stderr().write_all(line.as_bytes());
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
    let inside = format!("{}_inside", compose.name);
    assert_eq!(network(&api), [inside.as_str()]);
    let ports = api["NetworkSettings"]["Ports"].as_object();
    assert!(ports.is_none_or(|ports| ports.values().all(Value::is_null)));
    let output = run(&["docker", "network", "inspect", &inside], &repository()).unwrap();
    let inside: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(inside[0]["Internal"], true);
    assert_eq!(network(&compose.container("envoy")).len(), 2);
}

#[test]
fn the_compose_file_publishes_envoy_alone() {
    let compose = yaml::document("envoy/my-api/compose.yaml");
    for (name, service) in compose["services"].as_object().unwrap() {
        assert_eq!(service.get("ports").is_some(), name == "envoy", "{name}");
        assert!(service.get("network_mode").is_none(), "{name}");
    }
    assert_eq!(compose["networks"]["inside"]["internal"], true);
    assert_eq!(compose["services"]["api"]["networks"], json!(["inside"]));
}
