//! `--admin`: a running Envoy, as its admin interface tells of it: which configuration the filter has,
//! how old its keys are, and whether their clusters work.
//!
//! Invariants: only a loopback address is asked, and only read. Answers are bounded in time and size.
//! Nothing of a configuration is shown but the paths of its fields: it may hold secrets.

mod cluster;
mod difference;
mod extension;
mod outlook;
mod steps;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use bearer_gate::http::authority;
use bearer_gate::http::uri::{Scheme, Uri};
use serde_json::Value;

use crate::command_error::CommandError;
use crate::document::{self, Node};
use crate::http::{self, Proxies};
use crate::plugin::{Container, File, Plugin, WASM, plugins_of};
use cluster::{Cluster, clusters};
use extension::Extension;

/// The longest wait for a page. Envoy answers none while it compiles a module.
const TIMEOUT: Duration = Duration::from_secs(20);
/// The largest page, in bytes.
const MOST: usize = 64 << 20;
/// The statistics that are asked for: the filter's, those of its VM, of configurations that Envoy
/// refused, and of the newest that it took. A regular expression, escaped for a query.
const STATS: &str = "/stats?format=json&filter=%5Ewasm%7Cupdate_rejected%24%7Cconfig_fail%24%7Cversion_text%24%7Cupdate_time%24";

const NOT_ENVOY: &str = "not what Envoy's admin interface answers";

/// An Envoy.
pub(crate) struct Gateway {
    /// Where its admin interface is.
    address: String,
    /// Its version and state, and for how long it runs.
    version: String,
    state: String,
    uptime: String,
    stats: BTreeMap<String, u64>,
    clusters: Vec<Cluster>,
    /// The listeners and extensions that have a filter of ours.
    running: File,
    /// The listeners whose newest configuration Envoy did not take.
    refused: Vec<String>,
    extensions: Vec<Extension>,
}

impl Gateway {
    /// Asks the admin interface.
    pub(crate) fn ask(address: &str) -> Result<Self, CommandError> {
        let address = admin_address(address)?;
        let page = |path: &str| page(&format!("{address}{path}"));
        let info = page("/server_info")?;
        let text = |name: &str| info.get(name).and_then(Value::as_str).unwrap_or_default();
        // commit/1.40.0/Clean/RELEASE/BoringSSL
        let Some(version) = text("version").split('/').nth(1) else {
            return Err(CommandError::usage(format!(
                "{address}/server_info: {NOT_ENVOY}"
            )));
        };
        let dump = page("/config_dump")?;
        let (running, refused) = running(&dump, &address)?;
        let stats_page = page(STATS)?;
        let stats = stats(&stats_page);
        Ok(Self {
            version: version.to_owned(),
            state: text("state").to_owned(),
            uptime: text("uptime_current_epoch").to_owned(),
            extensions: extensions(&dump, &stats, &extension::texts(&stats_page)),
            stats,
            clusters: clusters(&page("/clusters?format=json")?),
            running,
            refused,
            address,
        })
    }

    /// The configurations that run, as a file has them. Of an extension Envoy shows the newest, also
    /// where it has refused that.
    pub(crate) fn running(&self) -> &File {
        &self.running
    }

    /// The extension that a configuration is in.
    fn extension(&self, plugin: &Plugin<'_>) -> Option<&Extension> {
        let Container::Envoy { document, .. } = plugin.container else {
            return None;
        };
        let is_listener = ["filter_chains", "default_filter_chain"]
            .iter()
            .any(|name| document.get(name).is_some());
        let name = document.text_at(&["name"]).filter(|_| !is_listener)?;
        let mut extensions = self.extensions.iter();
        extensions.find(|extension| extension.name == name)
    }

    /// What the filter does with a configuration that it refuses.
    pub(crate) fn in_place_of(&self, plugin: &Plugin<'_>) -> String {
        let instead = match self.extension(plugin) {
            Some(extension) => extension.in_place(),
            None => "what ran before it runs on, and where nothing did, every request gets 500"
                .to_owned(),
        };
        format!("the filter refuses this: {instead}")
    }
}

/// The address without a path, if it is a loopback one.
fn admin_address(text: &str) -> Result<String, CommandError> {
    let refuse = |why: &str| CommandError::usage(format!("--admin {text}: {why}"));
    let whole = match text.contains("://") {
        true => text.to_owned(),
        false => format!("http://{text}"),
    };
    let uri = Uri::parse(&whole).map_err(|_| refuse("not an address, as http://127.0.0.1:9901"))?;
    if uri.scheme != Scheme::Http || uri.path != "/" {
        return Err(refuse("the address is http, without a path"));
    }
    let host = authority::host(uri.authority.as_bytes()).unwrap_or_default();
    let ip = host.trim_matches(['[', ']']).parse::<IpAddr>();
    if host != "localhost" && !ip.is_ok_and(|ip| ip.is_loopback()) {
        return Err(refuse(
            "not a loopback address. An admin interface must not be open to a network: forward its port to this machine",
        ));
    }
    Ok(format!("http://{}", uri.authority))
}

fn page(address: &str) -> Result<Value, CommandError> {
    let problem = |what: String| CommandError::usage(what);
    let answer = http::get(address, TIMEOUT, MOST, Proxies::None).map_err(problem)?;
    if answer.status != 200 {
        let status = answer.status;
        return Err(problem(format!("{address}: status {status}")));
    }
    serde_json::from_slice(&answer.body).map_err(|_| problem(format!("{address}: {NOT_ENVOY}")))
}

fn items<'v>(value: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> {
    value
        .get(name)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A number, which JSON has as a string where it has 64 bits.
fn number(value: &Value) -> Option<u64> {
    let of_text = || value.as_str()?.parse().ok();
    value.as_u64().or_else(of_text)
}

fn stats(page: &Value) -> BTreeMap<String, u64> {
    let named = items(page, "stats").filter_map(|stat| {
        let name = stat.get("name")?.as_str()?.to_owned();
        Some((name, number(stat.get("value")?)?))
    });
    named.collect()
}

/// The listeners and extensions that have a filter of ours, and what Envoy did not take.
fn running(dump: &Value, address: &str) -> Result<(File, Vec<String>), CommandError> {
    let name = format!("{address}/config_dump");
    let mut found: Vec<&Value> = Vec::new();
    let mut refused = Vec::new();
    let configs = || items(dump, "configs");
    for config in configs() {
        let listeners = items(config, "static_listeners").filter_map(|one| one.get("listener"));
        found.extend(listeners);
        for listener in items(config, "dynamic_listeners") {
            found.extend(
                listener
                    .get("active_state")
                    .and_then(|state| state.get("listener")),
            );
            if listener.get("error_state").is_some() {
                refused.push(text(listener, "name").to_owned());
            }
        }
        for filter in items(config, "ecds_filters") {
            found.extend(filter.get("ecds_filter"));
        }
    }
    let mut documents: Vec<Node> = Vec::new();
    for one in found {
        let written = one.to_string();
        if !written.contains(WASM) {
            continue;
        }
        let parsed = document::parse(&written, None).map_err(|error| {
            CommandError::usage(format!("{name}: {}: {}", text(one, "name"), error.problem))
        })?;
        documents.extend(parsed);
    }
    documents.retain(|one| !plugins_of(one).is_empty());
    let running = File {
        name,
        entry: None,
        documents,
        lines: 0,
    };
    Ok((running, refused))
}

/// The filters that come by ECDS.
fn extensions(
    dump: &Value,
    stats: &BTreeMap<String, u64>,
    texts: &BTreeMap<String, String>,
) -> Vec<Extension> {
    let configs = items(dump, "configs");
    let entries = configs.flat_map(|config| items(config, "ecds_filters"));
    entries
        .filter_map(|entry| Extension::new(entry, stats, texts))
        .collect()
}

/// The module of a filter, by its file, or by its address and the sum of what is there.
fn module(plugin: &Plugin<'_>) -> Option<String> {
    let Container::Envoy { plugin, .. } = plugin.container else {
        return None;
    };
    let code = plugin.at(&["vm_config", "code"])?;
    if let Some(file) = code.text_at(&["local", "filename"]) {
        return Some(file.to_owned());
    }
    let remote = code.get("remote")?;
    let uri = remote.text_at(&["http_uri", "uri"])?;
    let sum = remote.text_at(&["sha256"]).unwrap_or_default();
    Some(format!("{uri}, sha256 {sum}"))
}

/// The listener or extension that a configuration is in.
fn place(plugin: &Plugin<'_>) -> String {
    let Container::Envoy { document, .. } = plugin.container else {
        return String::new();
    };
    let name = document.text_at(&["name"]).unwrap_or_default();
    match document
        .get("filter_chains")
        .or_else(|| document.get("default_filter_chain"))
    {
        Some(_) => format!("listener {name}"),
        None => format!("extension {name}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_loopback_address_is_asked() {
        for (text, expected) in [
            ("http://127.0.0.1:9901", "http://127.0.0.1:9901"),
            ("http://127.0.0.1:9901/", "http://127.0.0.1:9901"),
            ("localhost:9901", "http://localhost:9901"),
            ("http://[::1]:9901", "http://[::1]:9901"),
        ] {
            assert_eq!(admin_address(text).unwrap(), expected, "{text}");
        }
        for text in [
            "https://127.0.0.1:9901",
            "http://envoy.example:9901",
            "http://10.0.0.1:9901",
            "http://127.0.0.1.example:9901",
            "http://127.0.0.1:9901/quitquitquit",
            "http://127.0.0.1@evil.example",
            "file:///etc/passwd",
            "",
        ] {
            assert!(admin_address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn pages_of_any_form_are_read_without_a_fault() {
        let pages = [
            json!(null),
            json!([1]),
            json!({"stats": 5, "cluster_statuses": {}, "configs": [1, {"static_listeners": [null]}]}),
            json!({"stats": [null, {"name": 5}, {"histograms": {}}], "cluster_statuses": [1, {"host_statuses": 2}]}),
            json!({"configs": [{"dynamic_listeners": [{"error_state": {}}], "ecds_filters": [{"error_state": 1}]}]}),
        ];
        for page in pages {
            assert!(stats(&page).is_empty());
            assert!(clusters(&page).iter().all(Cluster::has_no_host));
            let all = (BTreeMap::new(), BTreeMap::new());
            assert!(extension::texts(&page).is_empty());
            let named = extensions(&page, &all.0, &all.1);
            assert!(named.iter().all(|extension| extension.name.is_empty()));
            let (file, _) = running(&page, "http://localhost").unwrap();
            assert!(file.documents.is_empty());
        }
    }

    #[test]
    fn hosts_are_counted_by_their_health() {
        let host = |health: Value| json!({"health_status": health, "stats": [{"name": "cx_connect_fail", "value": "2"}, {"name": "rq_timeout", "value": 1}]});
        let page = json!({"cluster_statuses": [{"name": "a", "host_statuses": [
            host(json!({"eds_health_status": "HEALTHY"})),
            host(json!({"eds_health_status": "HEALTHY", "failed_active_health_check": true})),
            host(json!({"eds_health_status": "UNHEALTHY"})),
            {},
        ]}]});
        let clusters = clusters(&page);
        let cluster = clusters.first().unwrap();
        assert_eq!((cluster.hosts, cluster.healthy), (4, 2));
        assert_eq!(
            (cluster.failed_connections, cluster.failed_requests),
            (6, 3)
        );
    }
}
