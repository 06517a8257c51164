//! Service accounts of Kubernetes: tokens and documents as an API server makes them, its TLS, and keys that
//! it gives to those alone that have a token.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use bearer_gate_testbed::envoy::{Envoy, Listener};
use bearer_gate_testbed::eventually;
use bearer_gate_testbed::idp::Idp;
use bearer_gate_testbed::keys::SigningKey;
use bearer_gate_testbed::token::now;
use bearer_gate_testbed::yaml;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::kitchen::{Kitchen, move_cluster, plugin};
use crate::stage::merge;

const HOST: &str = "kubernetes.default.svc.cluster.local";
/// Where Kubernetes mounts the token of a pod and the certificate of the cluster.
const MOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const SECRET: &str = "envoy/recipes/kubernetes/service-account-token.yaml";
const JWKS_URI: &str = "https://172.18.0.2:6443/openid/v1/jwks";

/// What Envoy's service account sends, before and after kubelet has replaced it.
const TOKENS: [&str; 2] = ["first.token.of-envoy", "second.token.of-envoy"];

/// An API server with TLS, a recipe that asks it, and the folder with the token.
struct Cluster {
    kitchen: Kitchen,
    mount: TempDir,
    _server: Envoy,
}

impl Cluster {
    /// With a recipe that `change` changes.
    fn start(change: impl FnOnce(&mut Value)) -> Self {
        let mount = tempfile::tempdir().unwrap();
        let pem = SigningKey::generate().tls_pem(HOST);
        fs::write(mount.path().join("ca.crt"), &pem.1).unwrap();
        put_token(mount.path(), TOKENS[0]);
        symlink("..data/token", mount.path().join("token")).unwrap();

        let mut server = None;
        let idp = Idp::builder()
            .issuer(&format!("https://{HOST}"))
            .issuer_path("")
            .jwks_path("/openid/v1/jwks");
        let kitchen = Kitchen::open_with(
            "kubernetes",
            idp,
            |idp| {
                idp.set_bearer(TOKENS[0]);
                idp.set_jwks_uri(Some(JWKS_URI));
            },
            |recipe, idp| {
                let envoy = Envoy::builder()
                    .cluster("upstream", idp.address())
                    .listener(Listener::new("api-server").tls(&pem))
                    .start();
                let envoy = envoy.unwrap_or_else(|refused| panic!("{refused}"));
                let shipped = yaml::document("envoy/recipes/kubernetes.yaml");
                let socket = &shipped["static_resources"]["clusters"][1]["transport_socket"];
                let cluster = &mut recipe["static_resources"]["clusters"][1];
                cluster["transport_socket"] = socket.clone();
                move_cluster(cluster.as_object_mut().unwrap(), envoy.address());
                change(recipe);
                mounted(recipe, mount.path());
                server = Some(envoy);
            },
        );
        Self {
            kitchen,
            mount,
            _server: server.unwrap(),
        }
    }

    /// A token for a service account. Its JOSE header has no `typ`.
    fn token(&self, namespace: &str, name: &str, change: Value) -> String {
        let mut claims = json!({
            "aud": ["https://api.example.com"],
            "exp": now() + 600,
            "iat": now(),
            "jti": "ea28ed49-2e11-4280-9ec5-bc3d1d84661a",
            "kubernetes.io": {
                "namespace": namespace,
                "node": {"name": "worker-1", "uid": "646e7c5e-32d6-4d42-9dbd-e504e6cbe6b1"},
                "pod": {"name": "app-6f7d", "uid": "5e0bd49b-f040-43b0-99b7-22765a53f7f3"},
                "serviceaccount": {"name": name, "uid": "14ee3fa4-a7e2-420f-9f9a-dbc4507c3798"},
            },
            "nbf": now(),
            "sub": format!("system:serviceaccount:{namespace}:{name}"),
        });
        merge(&mut claims, change);
        let key = self.kitchen.idp.key();
        self.kitchen
            .token_with(&json!({"alg": "RS256", "kid": key.kid()}), &claims)
    }

    async fn statuses(&self, token: &str) -> [u16; 3] {
        let mut statuses = [0; 3];
        let paths = ["/api/private", "/api/editor/x", "/api/admin/x"];
        for (status, path) in statuses.iter_mut().zip(paths) {
            *status = self.kitchen.get(path, Some(token)).await.status;
        }
        statuses
    }
}

/// The recipe's paths below [`MOUNT`] lead to `folder`, also those of the secret's file.
fn mounted(recipe: &mut Value, folder: &Path) {
    let to = folder.to_str().unwrap();
    let secret = yaml::document(SECRET).to_string().replace(MOUNT, to);
    let file = folder.join("secret.json");
    fs::write(&file, secret).unwrap();
    let text = recipe.to_string().replace(MOUNT, to);
    let text = text.replace(SECRET, file.to_str().unwrap());
    *recipe = serde_json::from_str(&text).unwrap();
}

/// As kubelet does it: a folder with the new files, and a link to it that is moved into place.
fn put_token(mount: &Path, token: &str) {
    let folder = mount.join(format!("..{token}"));
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("token"), token).unwrap();
    symlink(folder.file_name().unwrap(), mount.join("..data_tmp")).unwrap();
    fs::rename(mount.join("..data_tmp"), mount.join("..data")).unwrap();
}

/// The provider's metadata in place of the keys' address.
fn discovered(recipe: &mut Value, more: Value) {
    let provider = &mut plugin(recipe)["configuration"]["value"]["providers"]["kubernetes"];
    provider.as_object_mut().unwrap().remove("remote_jwks");
    let mut discovery = json!({"cluster": "kubernetes", "timeout": "3s"});
    merge(&mut discovery, more);
    provider["openid_discovery"] = discovery;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubernetes() {
    let cluster = Cluster::start(|_| {});
    let kitchen = &cluster.kitchen;
    assert_eq!(kitchen.get("/api/public", None).await.status, 200);
    assert_eq!(kitchen.get("/api/private", None).await.status, 401);
    for (namespace, name, change, statuses) in [
        ("shop", "web", json!({}), [200, 200, 403]),
        ("billing", "web", json!({}), [200, 200, 403]),
        ("ops", "deployer", json!({}), [200, 403, 200]),
        ("ops", "web", json!({}), [200, 403, 403]),
        // the right name in another namespace
        ("dev", "deployer", json!({}), [200, 403, 403]),
        // whose pod is of another namespace than it says
        ("dev", "shop", json!({"namespace": "shop"}), [200, 403, 403]),
        // for the API server itself, and for both
        (
            "shop",
            "web",
            json!({"aud": [format!("https://{HOST}")]}),
            [401; 3],
        ),
        (
            "shop",
            "web",
            json!({"aud": [format!("https://{HOST}"), "https://api.example.com"]}),
            [200, 200, 403],
        ),
        ("shop", "web", json!({"nbf": now() + 600}), [401; 3]),
        ("shop", "web", json!({"exp": now() - 600}), [401; 3]),
        (
            "shop",
            "web",
            json!({"iss": "kubernetes/serviceaccount"}),
            [401; 3],
        ),
    ] {
        let token = cluster.token(namespace, name, change.clone());
        let what = format!("{namespace} {name} {change}");
        assert_eq!(cluster.statuses(&token).await, statuses, "{what}");
    }
    let token = cluster.token("shop", "web", json!({}));
    let forged = [("x-namespace", "ops"), ("x-service-account", "deployer")];
    let reply = kitchen
        .get_with("/api/private", Some(&token), &forged)
        .await;
    assert_eq!(reply.seen("x-namespace"), ["shop"]);
    assert_eq!(reply.seen("x-service-account"), ["web"]);
    // Neither the caller's token nor Envoy's own.
    assert!(reply.seen("authorization").is_empty());

    // kubelet replaces the token, and the API server signs with another key.
    put_token(cluster.mount.path(), TOKENS[1]);
    let taken = || {
        kitchen
            .envoy
            .stat("sds.service-account-token.update_success")
            >= 2
    };
    eventually(Duration::from_secs(10), "the second token", taken);
    kitchen.idp.set_bearer(TOKENS[1]);
    kitchen.idp.rotate_and_drop();
    let token = cluster.token("shop", "web", json!({}));
    let reply = kitchen.get("/api/private", Some(&token)).await;
    assert_eq!(reply.status, 200, "{}", reply.body);

    // What was sent is in no log, and not in what Envoy shows of its configuration.
    let shown = kitchen.envoy.admin("/config_dump").unwrap();
    for token in TOKENS {
        assert!(!kitchen.envoy.log().contains(token));
        assert!(!shown.contains(token));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_kubernetes_need_a_token() {
    let filters = "/typed_extension_protocol_options/envoy.extensions.upstreams.http.v3.HttpProtocolOptions/http_filters";
    let cluster = Cluster::start(|recipe| {
        let cluster = &mut recipe["static_resources"]["clusters"][1];
        let filters = cluster.pointer_mut(filters).unwrap();
        filters.as_array_mut().unwrap().remove(0);
    });
    let token = cluster.token("shop", "web", json!({}));
    assert_eq!(cluster.statuses(&token).await, [503; 3]);
    let log = cluster.kitchen.envoy.log();
    assert!(log.contains("403"), "{log}");
}

/// The API server's `jwks_uri` has another host than its issuer.
#[tokio::test(flavor = "multi_thread")]
async fn keys_of_kubernetes_by_its_metadata() {
    let cluster = Cluster::start(|recipe| {
        discovered(recipe, json!({"jwks_cluster": "kubernetes"}));
    });
    let token = cluster.token("shop", "web", json!({}));
    assert_eq!(cluster.statuses(&token).await, [200, 200, 403]);
    let idp = &cluster.kitchen.idp;
    assert_eq!((idp.discovery_requests(), idp.jwks_requests()), (1, 1));

    let cluster = Cluster::start(|recipe| discovered(recipe, json!({})));
    let token = cluster.token("shop", "web", json!({}));
    assert_eq!(cluster.statuses(&token).await, [503; 3]);
    let log = cluster.kitchen.envoy.log();
    let told = format!("configure openid_discovery.jwks_cluster: it is \"{JWKS_URI}\"");
    assert!(log.contains(&told), "{log}");
    assert_eq!(cluster.kitchen.idp.jwks_requests(), 0);
}
