//! A client's secret that Envoy adds to the filter's calls, and takes anew while it runs: the two pieces of
//! docs/sign-in.md, as they stand there.

use std::fs;
use std::path::Path;
use std::time::Duration;

use bearer_gate_testbed::eventually;
use bearer_gate_testbed::idp::openid::RelyingParty;
use bearer_gate_testbed::visitor::Visitor;
use bearer_gate_testbed::yaml;
use serde_json::json;
use tempfile::TempDir;

use crate::sign_in;
use crate::stage::Stage;

/// The piece of the page that begins so.
fn piece(start: &str) -> String {
    let page = yaml::text("docs/sign-in.md");
    let (_, rest) = page.split_once(&format!("```yaml\n{start}")).unwrap();
    let (piece, _) = rest.split_once("```").unwrap();
    format!("{start}{piece}")
}

/// Moves a file with this secret of the client `web` into place.
fn put(folder: &Path, credential: &str) {
    let secret = piece("resources:").replace("SUQ6U0VDUkVU", credential);
    assert!(secret.contains(credential));
    let next = folder.join("next");
    fs::create_dir_all(&next).unwrap();
    fs::write(next.join("client.yaml"), secret).unwrap();
    fs::rename(next.join("client.yaml"), folder.join("client.yaml")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_envoy_injects_is_replaced_while_it_runs() {
    let folder = TempDir::new().unwrap();
    // web:wr0ng
    put(folder.path(), "d2ViOndyMG5n");
    let options = piece("typed_extension_protocol_options:");
    let path = folder.path().display().to_string();
    let mut cluster = yaml::parse(&options.replace("/etc/envoy/secrets", &path));
    let stage = Stage::build(
        |_| {},
        |stage, builder| {
            let address = stage.idp.address();
            let socket = json!({"address": address.ip().to_string(), "port_value": address.port()});
            let endpoint = json!({"endpoint": {"address": {"socket_address": socket}}});
            cluster["name"] = json!("token");
            cluster["type"] = json!("STATIC");
            cluster["load_assignment"] = json!({
                "cluster_name": "token", "endpoints": [{"lb_endpoints": [endpoint]}],
            });
            builder
                .raw_cluster(cluster)
                .wasm_filter(json!({"unmatched": "allow"}))
        },
    );
    let mut config = sign_in::config(&stage);
    let scheme = &mut config["sign_in"]["schemes"]["staff"];
    scheme["auth_type"] = json!("INJECTED");
    scheme["credentials"] = json!({"client_id": "web"});
    scheme["token_endpoint"]["cluster"] = json!("token");
    stage.envoy().reload_wasm(&config).unwrap();
    let callback = stage.url("/oauth2/callback");
    let party = RelyingParty::confidential("web", "s3cret", &callback);
    stage.idp.openid().register(party);

    let page = stage.url("/page");
    let signs_in = async || {
        let mut visitor = Visitor::new();
        visitor
            .sign_in_for(&page, "alice", "wonderland")
            .await
            .status
    };
    let refused = signs_in().await;
    assert!(refused >= 400, "{refused}");
    let counted = |name: &str| {
        stage
            .envoy()
            .stat(&format!("wasmcustom.bearer_gate.sign_in.{name}"))
    };
    assert_eq!(counted("completed"), 0);

    // web:s3cret
    put(folder.path(), "d2ViOnMzY3JldA==");
    eventually(Duration::from_secs(10), "the new secret", || {
        let stats = stage.envoy().stats();
        let mut taken = stats.iter();
        taken.any(|(name, count)| name.ends_with("client.update_success") && *count > 1)
    });
    assert!(signs_in().await < 400);
    assert_eq!(counted("completed"), 1);
}
