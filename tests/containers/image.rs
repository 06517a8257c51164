//! The OCI image of `make image`, pushed to a registry and read from there as Istio and Envoy Gateway do.

use std::io::Read;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use bearer_gate_testbed::docker::{self, docker};
use bearer_gate_testbed::envoy::{Envoy, Process, module_path};
use bearer_gate_testbed::raw::{self, RawResponse};
use bearer_gate_testbed::{eventually, path_from, repository, yaml};
use flate2::read::GzDecoder;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Which media type of a layer goes with which of a manifest; deploy/Dockerfile names the same.
const MEDIA_TYPES: [[&str; 2]; 2] = [
    [
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
    ],
    [
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.image.layer.v1.tar+gzip",
    ],
];
/// What a client that can read an index says too.
const INDEXES: [&str; 2] = [
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.index.v1+json",
];
const NAME: &str = "bearer-gate";
const PATIENCE: Duration = Duration::from_secs(20);

/// Debian's docker-registry, on a loopback port.
struct Registry {
    address: SocketAddr,
    _process: Process,
    _folder: TempDir,
}

impl Registry {
    fn start() -> Self {
        let folder = TempDir::with_prefix("registry").unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], Envoy::free_port()));
        let configuration = json!({
            "version": 0.1,
            "log": {"level": "warn"},
            "storage": {"filesystem": {"rootdirectory": folder.path().join("blobs")}},
            "http": {"addr": address.to_string()},
        });
        let file = folder.path().join("config.json");
        std::fs::write(&file, configuration.to_string()).unwrap();
        let program: PathBuf = path_from(
            "BEARER_GATE_REGISTRY",
            ".cache/registry/usr/bin/docker-registry",
        );
        let arguments = ["serve", file.to_str().unwrap()];
        let process = Process::start(&program, &arguments, &folder.path().join("log"));
        let process = process.expect("`make stand-ins` fetches the registry");
        eventually(PATIENCE, "the registry answers", || {
            raw::get(address, "/v2/", &[]).is_ok_and(|reply| reply.status == 200)
        });
        Self {
            address,
            _process: process,
            _folder: folder,
        }
    }

    fn get(&self, path: &str, accept: &[&str]) -> RawResponse {
        let accept = accept.join(", ");
        let path = format!("/v2/{NAME}/{path}");
        let headers = [("accept", accept.as_bytes())];
        let reply = raw::get(self.address, &path, &headers).unwrap();
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        reply
    }
}

/// What the manifest says, as far as it counts: its media type and those of its layers.
fn described(manifest: &Value) -> Result<[&str; 2], String> {
    let layers = manifest["layers"].as_array();
    let [layer] = layers.map_or(&[][..], Vec::as_slice) else {
        return Err(format!("not one layer: {manifest}"));
    };
    let found = [&manifest["mediaType"], &layer["mediaType"]].map(|t| t.as_str().unwrap_or(""));
    if MEDIA_TYPES.contains(&found) {
        Ok(found)
    } else {
        Err(format!("media types that are not read: {found:?}"))
    }
}

#[test]
fn the_module_is_the_only_file_of_the_only_layer() {
    if let Some(why) = docker::hindrance(&[]) {
        docker::left_out("deploy/Dockerfile", &why);
        return;
    }
    let registry = Registry::start();
    let image = format!("{}/{NAME}:tested", registry.address);
    // The module is there, and is not built anew.
    let made = Command::new("make")
        .args(["--no-print-directory", "--old-file=build", "image"])
        .arg(format!("IMAGE={image}"))
        .arg(format!(
            "WASM={}",
            module_path().strip_prefix(repository()).unwrap().display()
        ))
        .current_dir(repository())
        // Of a make that calls this, and does not give its jobs away.
        .env_remove("MAKEFLAGS")
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    docker(&["push", &image]);
    docker(&["image", "rm", &image]);

    let accepted: Vec<&str> = MEDIA_TYPES
        .iter()
        .map(|[manifest, _]| *manifest)
        .chain(INDEXES)
        .collect();
    let reply = registry.get("manifests/tested", &accepted);
    let manifest = reply.json();
    let [kind, _] = described(&manifest).unwrap_or_else(|problem| panic!("{problem}"));
    assert_eq!(reply.header("content-type"), Some(kind));
    let digest = manifest["layers"][0]["digest"].as_str().unwrap();
    let layer = registry.get(&format!("blobs/{digest}"), &[]).body;
    let mut archive = tar::Archive::new(GzDecoder::new(layer.as_slice()));
    let mut files = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        let (path, mode) = (
            entry.path().unwrap().into_owned(),
            entry.header().mode().unwrap(),
        );
        files.push((path, mode & 0o444, bytes));
    }
    let module = std::fs::read(module_path()).unwrap();
    let [(path, readable, bytes)] = files.as_slice() else {
        panic!("{} files", files.len());
    };
    assert_eq!(path.to_str(), Some("plugin.wasm"));
    // Envoy runs as somebody else than who unpacks it.
    assert_eq!(*readable, 0o444);
    assert!(*bytes == module, "another module");
    let config = manifest["config"]["digest"].as_str().unwrap();
    let config = registry.get(&format!("blobs/{config}"), &[]).json();
    assert_eq!(
        config["rootfs"]["diff_ids"].as_array().map(Vec::len),
        Some(1)
    );
}

#[test]
fn what_istio_does_not_read_is_noticed() {
    let [docker, oci] = MEDIA_TYPES;
    let manifest = |kind: &str, layers: &[&str]| {
        let layers: Vec<Value> = layers.iter().map(|l| json!({"mediaType": l})).collect();
        json!({"mediaType": kind, "layers": layers})
    };
    for [kind, layer] in MEDIA_TYPES {
        assert!(described(&manifest(kind, &[layer])).is_ok());
        assert!(described(&manifest(kind, &[layer, layer])).is_err());
        assert!(described(&manifest(kind, &[])).is_err());
    }
    assert!(described(&manifest(docker[0], &[oci[1]])).is_err());
    let zstd = "application/vnd.oci.image.layer.v1.tar+zstd";
    assert!(described(&manifest(oci[0], &[zstd])).is_err());
    let index = json!({"mediaType": INDEXES[1], "manifests": [{}, {}]});
    assert!(described(&index).is_err());
}

#[test]
fn the_dockerfile_names_the_media_types() {
    let dockerfile = yaml::text("deploy/Dockerfile");
    for [manifest, layer] in MEDIA_TYPES {
        let line = format!("#   {layer} in an {manifest}");
        assert!(dockerfile.contains(&line), "{line}");
    }
}
