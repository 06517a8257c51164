//! The bootstrap: clusters at fixed loopback addresses, listeners from a file that can be replaced
//! while Envoy runs.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};

use super::listener::Listener;

/// The port 0 is a free one.
pub(super) fn loopback(port: u16) -> Value {
    json!({"socket_address": {"address": "127.0.0.1", "port_value": port}})
}

/// A cluster without an endpoint is a cluster that exists and cannot be reached.
pub(super) fn cluster(name: &str, address: Option<SocketAddr>) -> Value {
    let endpoints: Vec<Value> = address
        .iter()
        .map(|address| {
            let socket = json!({
                "address": address.ip().to_string(),
                "port_value": address.port(),
            });
            json!({"endpoint": {"address": {"socket_address": socket}}})
        })
        .collect();
    json!({
        "name": name,
        "type": "STATIC",
        // A thousand connections at once overflow the queue of a listening socket; who is not
        // accepted tries again after 1 s.
        "connect_timeout": "5s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": endpoints}],
        },
        // The default of 1024 pending requests is lower than what the load tests keep waiting.
        "circuit_breakers": {
            "thresholds": [{
                "max_connections": 100_000,
                "max_pending_requests": 100_000,
                "max_requests": 100_000,
            }],
        },
    })
}

pub(super) fn bootstrap(clusters: &[Value], listeners_file: &Path) -> Value {
    json!({
        "node": {"id": "testbed", "cluster": "testbed"},
        "admin": {"address": loopback(0)},
        "dynamic_resources": {
            "lds_config": {
                "resource_api_version": "V3",
                "path_config_source": {"path": listeners_file},
            },
        },
        "static_resources": {"clusters": clusters},
    })
}

pub(super) fn listeners(version: u64, listeners: &[Listener]) -> Value {
    let resources: Vec<Value> = listeners.iter().map(Listener::json).collect();
    json!({"version_info": version.to_string(), "resources": resources})
}
