//! What a listener is made of, as Envoy's own JSON.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use crate::keys::SigningKey;

/// In which protobuf message the plugin configuration travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `google.protobuf.Struct`: the YAML that users write. Envoy hands the filter JSON.
    Struct,
    /// `google.protobuf.StringValue`: a JSON text. Envoy hands the filter the text.
    StringValue,
}

/// The Wasm filter. Fields are public: take [`Wasm::new`] and change what the test is about.
#[derive(Clone, Debug)]
pub struct Wasm {
    /// The plugin configuration.
    pub configuration: Value,
    /// How it travels; as a Struct by default.
    pub encoding: Encoding,
    /// The plugin's name, in logs and for stats; `bearer-gate` by default.
    pub name: String,
    /// `root_id`; empty by default.
    pub root_id: String,
    /// Instances with the same id and module share a VM and shared data; `bearer-gate` by default.
    pub vm_id: String,
    /// The module; [`super::module_path`] by default.
    pub module: PathBuf,
    /// `FAIL_RELOAD` by default, as it ships.
    pub failure_policy: &'static str,
    /// `reload_config.backoff.base_interval`; 0.05 s by default.
    pub reload_interval: &'static str,
    /// `allow_on_headers_stop_iteration`: whether the filter gets the body of a request that it
    /// holds back; not by default, as in Envoy.
    pub bodies: bool,
    /// The variables of Envoy's environment that the filter gets; none by default.
    pub variables: &'static [&'static str],
}

impl Wasm {
    /// As shipped, with this plugin configuration.
    pub fn new(configuration: Value) -> Self {
        Self {
            configuration,
            encoding: Encoding::Struct,
            name: "bearer-gate".to_owned(),
            root_id: String::new(),
            vm_id: "bearer-gate".to_owned(),
            module: super::module_path(),
            failure_policy: "FAIL_RELOAD",
            reload_interval: "0.05s",
            bodies: false,
            variables: &[],
        }
    }

    fn filter(&self) -> Value {
        let configuration = match (self.encoding, &self.configuration) {
            (Encoding::Struct, value) => json!({
                "@type": "type.googleapis.com/google.protobuf.Struct",
                "value": value,
            }),
            // A string is sent as it stands, so that a test can send what is not JSON.
            (Encoding::StringValue, value) => json!({
                "@type": "type.googleapis.com/google.protobuf.StringValue",
                "value": value.as_str().map_or_else(|| value.to_string(), str::to_owned),
            }),
        };
        let mut config = json!({
            "name": self.name,
            "root_id": self.root_id,
            "vm_config": {
                "vm_id": self.vm_id,
                "runtime": "envoy.wasm.runtime.v8",
                "code": {"local": {"filename": self.module}},
            },
            "configuration": configuration,
            "failure_policy": self.failure_policy,
        });
        if !self.variables.is_empty() {
            let variables = json!({"host_env_keys": self.variables});
            config["vm_config"]["environment_variables"] = variables;
        }
        if self.bodies {
            config["allow_on_headers_stop_iteration"] = json!(true);
        }
        if self.failure_policy == "FAIL_RELOAD" {
            config["reload_config"] = json!({"backoff": {"base_interval": self.reload_interval}});
        }
        json!({
            "name": "envoy.filters.http.wasm",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
                "config": config,
            },
        })
    }
}

/// An HTTP filter.
#[derive(Clone, Debug)]
pub enum Filter {
    /// bearer-gate, or another module.
    Wasm(Wasm),
    /// Envoy's native `jwt_authn`: a `JwtAuthentication` without its `@type`.
    JwtAuthn(Value),
    /// Any filter, with its name and `typed_config`.
    Other(Value),
    /// jwt_authn with the text of its `typed_config`, YAML in flow style. The file of listeners is
    /// YAML then, in which Envoy reads scalars in its own way.
    Written(String),
}

/// What surrounds a text that is to stand in the file as it is.
const MARK: char = '\u{1}';

impl Filter {
    fn json(&self) -> Value {
        match self {
            Self::Wasm(wasm) => wasm.filter(),
            Self::Other(filter) => filter.clone(),
            Self::Written(text) => json!({
                "name": "envoy.filters.http.jwt_authn",
                "typed_config": format!("{MARK}{text}{MARK}"),
            }),
            Self::JwtAuthn(authentication) => {
                let message = "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication";
                let mut config = authentication.clone();
                config["@type"] = json!(format!("type.googleapis.com/{message}"));
                json!({"name": "envoy.filters.http.jwt_authn", "typed_config": config})
            }
        }
    }
}

/// The text of a file with such filters in it.
pub(super) fn with_written(file: &Value) -> String {
    let json = file.to_string();
    // As JSON writes the mark.
    let mut pieces = json.split("\"\\u0001");
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (written, rest) = piece.split_once("\\u0001\"").expect("a mark at the end");
        let written: String =
            serde_json::from_str(&format!("\"{written}\"")).expect("a text of JSON");
        text.push_str(&written);
        text.push_str(rest);
    }
    text
}

/// A listener on a free loopback port, whose requests all go to the cluster `upstream`.
///
/// Paths arrive at the filters as they were sent, unless [`Listener::hcm`] says otherwise.
#[derive(Clone, Debug)]
pub struct Listener {
    pub(super) name: String,
    pub(super) filters: Vec<Filter>,
    network_filters: Vec<Value>,
    hcm: Map<String, Value>,
    cluster: String,
    /// With TLS; QUIC's for HTTP/3.
    transport_socket: Option<Value>,
    /// Whether it is for HTTP/3.
    is_quic: bool,
}

impl Listener {
    /// Without filters. The name is for [`super::Envoy::url_of`] and the stats.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            filters: Vec::new(),
            network_filters: Vec::new(),
            hcm: Map::new(),
            cluster: "upstream".to_owned(),
            transport_socket: None,
            is_quic: false,
        }
    }

    /// With bearer-gate as shipped.
    pub fn wasm(name: &str, configuration: Value) -> Self {
        Self::new(name).filter(Filter::Wasm(Wasm::new(configuration)))
    }

    /// With the native filter.
    pub fn jwt_authn(name: &str, authentication: Value) -> Self {
        Self::new(name).filter(Filter::JwtAuthn(authentication))
    }

    /// Adds a filter after those that are there.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filters.push(filter);
        self
    }

    /// Gives bearer-gate the bodies of requests that it holds back.
    #[must_use]
    pub fn with_bodies(mut self) -> Self {
        for filter in &mut self.filters {
            if let Filter::Wasm(wasm) = filter {
                wasm.bodies = true;
            }
        }
        self
    }

    /// Adds a network filter before the HttpConnectionManager, with its name and `typed_config`.
    #[must_use]
    pub fn network_filter(mut self, filter: Value) -> Self {
        self.network_filters.push(filter);
        self
    }

    /// Sets any field of the HttpConnectionManager: `("normalize_path", true)`,
    /// `("request_timeout", "2s")`.
    #[must_use]
    pub fn hcm(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.hcm.insert(field.to_owned(), value.into());
        self
    }

    /// For HTTP/3 alone, over QUIC with a self-signed certificate of this key. Without it a
    /// listener takes HTTP/1.1, and HTTP/2 without TLS from clients that know beforehand.
    #[must_use]
    pub fn http3(mut self, key: &SigningKey) -> Self {
        let quic = "envoy.extensions.transport_sockets.quic.v3.QuicDownstreamTransport";
        self.transport_socket = Some(json!({
            "name": "envoy.transport_sockets.quic",
            "typed_config": {
                "@type": format!("type.googleapis.com/{quic}"),
                "downstream_tls_context": tls_context(&key.tls_pem("localhost")),
            },
        }));
        self.is_quic = true;
        self.hcm("codec_type", "HTTP3")
            .hcm("http3_protocol_options", json!({}))
    }

    /// With TLS, by a private key and a certificate as PEM.
    #[must_use]
    pub fn tls(mut self, pem: &(String, String)) -> Self {
        let mut context = tls_context(pem);
        let tls = "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext";
        context["@type"] = json!(format!("type.googleapis.com/{tls}"));
        self.transport_socket =
            Some(json!({"name": "envoy.transport_sockets.tls", "typed_config": context}));
        self
    }

    pub(super) fn is_quic(&self) -> bool {
        self.is_quic
    }

    /// Routes to another cluster.
    #[must_use]
    pub fn route_to(mut self, cluster: &str) -> Self {
        cluster.clone_into(&mut self.cluster);
        self
    }

    pub(super) fn is_written(&self) -> bool {
        let mut filters = self.filters.iter();
        filters.any(|filter| matches!(filter, Filter::Written(_)))
    }

    pub(super) fn json(&self) -> Value {
        let mut filters: Vec<Value> = self.filters.iter().map(Filter::json).collect();
        filters.push(json!({
            "name": "envoy.filters.http.router",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
            },
        }));
        let manager = "envoy.extensions.filters.network.http_connection_manager.v3";
        let mut hcm = json!({
            "@type": format!("type.googleapis.com/{manager}.HttpConnectionManager"),
            "stat_prefix": self.name,
            "normalize_path": false,
            "merge_slashes": false,
            "request_timeout": "60s",
            "http_filters": filters,
            "route_config": {
                "name": self.name,
                "virtual_hosts": [{
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{
                        "match": {"prefix": "/"},
                        "route": {"cluster": self.cluster, "timeout": "60s"},
                    }],
                }],
            },
        });
        for (field, value) in &self.hcm {
            hcm[field.as_str()] = value.clone();
        }
        let mut network_filters = self.network_filters.clone();
        network_filters.push(json!({
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": hcm,
        }));
        let mut listener = json!({
            "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
            "name": self.name,
            "address": super::bootstrap::loopback(0),
            "filter_chains": [{"filters": network_filters}],
        });
        if let Some(socket) = &self.transport_socket {
            listener["filter_chains"][0]["transport_socket"] = socket.clone();
        }
        if self.is_quic {
            listener["address"]["socket_address"]["protocol"] = json!("UDP");
            listener["udp_listener_config"] = json!({"quic_options": {}});
        } else {
            // A connection goes to the worker with the fewest open ones: a test reaches every
            // worker by holding as many connections open as there are workers.
            listener["connection_balance_config"] = json!({"exact_balance": {}});
        }
        listener
    }
}

fn tls_context((private, certificate): &(String, String)) -> Value {
    json!({"common_tls_context": {"tls_certificates": [{
        "certificate_chain": {"inline_string": certificate},
        "private_key": {"inline_string": private},
    }]}})
}
