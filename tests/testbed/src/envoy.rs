//! A real Envoy on free loopback ports.
//!
//! Listeners come from a file (LDS), so [`Envoy::reload`] changes a filter's configuration under
//! load as a control plane would. Ports are chosen by Envoy and read from its admin interface:
//! nothing guesses a free port.

mod bootstrap;
mod listener;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

pub use listener::{Encoding, Filter, Listener, Wasm};

pub use crate::process::Process;
use crate::{holds_within, path_from, raw};

/// The version that the tests and the demo run; the Makefile fetches the same.
pub const ENVOY_VERSION: &str = "1.40.0";
/// Where the Makefile puts Envoy, below the repository's root.
pub const ENVOY_PATH: &str = ".cache/envoy/envoy-1.40.0/envoy";
/// Where the release build puts the module, below the repository's root.
pub const MODULE_PATH: &str = "target/wasm32-wasip1/release/bearer_gate.wasm";

/// How long Envoy may take to start or to take a new configuration. Compiling the module in a
/// busy build takes most of it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where listeners are that can be replaced.
const LISTENERS_FILE: &str = "listeners.json";

/// The Envoy binary: `$ENVOY`, or where the Makefile puts it.
pub fn envoy_path() -> PathBuf {
    path_from("ENVOY", ENVOY_PATH)
}

/// The Wasm module: `$BEARER_GATE_WASM`, or where the release build puts it.
pub fn module_path() -> PathBuf {
    path_from("BEARER_GATE_WASM", MODULE_PATH)
}

/// Envoy did not start, or did not take a configuration.
#[derive(Debug)]
pub struct Refused {
    /// What was seen from outside.
    pub reason: String,
    /// What Envoy logged; after a reload, since the reload.
    pub log: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.reason, tail(&self.log, 40))
    }
}

impl std::error::Error for Refused {}

/// Choices to make before the start.
#[derive(Debug)]
pub struct EnvoyBuilder {
    clusters: Vec<Value>,
    listeners: Vec<Listener>,
    concurrency: u32,
    log_level: String,
    component_log_level: String,
    drain_seconds: u32,
    variables: Vec<(String, String)>,
    port: u16,
    keeps_addresses: bool,
}

impl EnvoyBuilder {
    /// A cluster with one endpoint. All listeners route to the one named `upstream`.
    #[must_use]
    pub fn cluster(mut self, name: &str, address: SocketAddr) -> Self {
        self.clusters.push(bootstrap::cluster(name, Some(address)));
        self
    }

    /// A cluster that has no endpoint.
    #[must_use]
    pub fn empty_cluster(mut self, name: &str) -> Self {
        self.clusters.push(bootstrap::cluster(name, None));
        self
    }

    /// A cluster as Envoy's own JSON.
    #[must_use]
    pub fn raw_cluster(mut self, cluster: Value) -> Self {
        self.clusters.push(cluster);
        self
    }

    /// A listener named `main` with bearer-gate as shipped.
    #[must_use]
    pub fn wasm_filter(self, configuration: Value) -> Self {
        self.listener(Listener::wasm("main", configuration))
    }

    /// Any listener; the first is the one that [`Envoy::url`] means.
    #[must_use]
    pub fn listener(mut self, listener: Listener) -> Self {
        self.listeners.push(listener);
        self
    }

    /// Worker threads; 2 by default.
    #[must_use]
    pub fn concurrency(mut self, workers: u32) -> Self {
        self.concurrency = workers;
        self
    }

    /// Envoy's log level; `info` by default.
    #[must_use]
    pub fn log_level(mut self, level: &str) -> Self {
        level.clone_into(&mut self.log_level);
        self
    }

    /// The level of one of Envoy's components, as `wasm:debug`. At debug all of Envoy would log
    /// that its log file has changed, without end.
    #[must_use]
    pub fn component_log_level(mut self, level: &str) -> Self {
        level.clone_into(&mut self.component_log_level);
        self
    }

    /// How long the connections of a replaced configuration live on, in seconds; 5 by default.
    /// They are told to close with their next response and cut after this time.
    #[must_use]
    pub fn drain_seconds(mut self, seconds: u32) -> Self {
        self.drain_seconds = seconds;
        self
    }

    /// An environment variable of Envoy's process.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The port of the first listener of a whole bootstrap; a free one by default.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Leaves the addresses of a whole bootstrap's listeners as they are.
    #[must_use]
    pub fn keep_addresses(mut self) -> Self {
        self.keeps_addresses = true;
        self
    }

    /// Starts Envoy and waits until every listener accepts connections.
    ///
    /// # Errors
    /// When Envoy exits, refuses a listener, or is not ready in time; the log is in the error.
    pub fn start(self) -> Result<Envoy, Refused> {
        let files = directory()?;
        let is_written = self.listeners.iter().any(Listener::is_written);
        // Envoy reads it by its extension.
        let name = if is_written {
            "listeners.yaml"
        } else {
            LISTENERS_FILE
        };
        let listeners_file = files.path().join(name);
        let bootstrap = bootstrap::bootstrap(&self.clusters, &listeners_file);
        let listeners = bootstrap::listeners(0, &self.listeners);
        fs::write(&listeners_file, listener::with_written(&listeners)).map_err(|e| refused(&e))?;
        let names = self.listeners.iter().map(|l| l.name.clone()).collect();
        self.run(files, &bootstrap, names)
    }

    /// Starts Envoy with a whole bootstrap in place of clusters and listeners of this builder, and
    /// waits until its static listeners accept connections. Their ports, and the admin
    /// interface's, become free loopback ports, but for [`EnvoyBuilder::port`]; nothing else is
    /// changed.
    ///
    /// # Errors
    /// As [`EnvoyBuilder::start`].
    pub fn start_bootstrap(self, mut bootstrap: Value) -> Result<Envoy, Refused> {
        bootstrap["admin"]["address"] = bootstrap::loopback(0);
        let listeners = bootstrap["static_resources"]["listeners"].as_array_mut();
        let mut names = Vec::new();
        for listener in listeners.into_iter().flatten() {
            // one within Envoy has no address
            if listener.get("internal_listener").is_some() {
                continue;
            }
            // For the first one alone.
            let port = if names.is_empty() { self.port } else { 0 };
            if !self.keeps_addresses {
                listener["address"] = bootstrap::loopback(port);
            }
            names.extend(listener["name"].as_str().map(str::to_owned));
        }
        self.run(directory()?, &bootstrap, names)
    }

    fn run(self, files: TempDir, bootstrap: &Value, names: Vec<String>) -> Result<Envoy, Refused> {
        let path = |name: &str| files.path().join(name);
        let (config, log) = (path("bootstrap.json"), path("envoy.log"));
        let admin_file = path("admin");
        fs::write(&config, bootstrap.to_string()).map_err(|e| refused(&e))?;

        let concurrency = self.concurrency.to_string();
        let drain_seconds = self.drain_seconds.to_string();
        let arguments = [
            "--config-path",
            text(&config),
            "--admin-address-path",
            text(&admin_file),
            "--concurrency",
            concurrency.as_str(),
            "--log-level",
            self.log_level.as_str(),
            "--component-log-level",
            self.component_log_level.as_str(),
            "--drain-time-s",
            drain_seconds.as_str(),
            "--drain-strategy",
            "immediate",
            // 10 s by default; tests read access logs.
            "--file-flush-interval-msec",
            "50",
            "--disable-hot-restart",
            // As Envoy does with a bootstrap; a test's misspelt field should not go unnoticed.
            "--reject-unknown-dynamic-fields",
        ];
        let mut command = Command::new(envoy_path());
        command.args(arguments).envs(self.variables);
        let process = Process::spawn(&mut command, &log).map_err(|e| refused(&e))?;
        let mut envoy = Envoy {
            process: Mutex::new(process),
            admin: SocketAddr::from(([127, 0, 0, 1], 0)),
            names,
            addresses: BTreeMap::new(),
            listeners: Mutex::new((0, self.listeners)),
            files,
        };
        match envoy.wait_until_ready(&admin_file) {
            Ok(()) => Ok(envoy),
            Err(reason) => {
                let log = envoy.log();
                Err(Refused { reason, log })
            }
        }
    }
}

/// A running Envoy; dropping it stops it, and prints the end of its log when a test is failing.
#[derive(Debug)]
pub struct Envoy {
    process: Mutex<Process>,
    admin: SocketAddr,
    /// The listeners' names, in their order.
    names: Vec<String>,
    addresses: BTreeMap<String, SocketAddr>,
    /// The version and the contents of the listeners' file.
    listeners: Mutex<(u64, Vec<Listener>)>,
    files: TempDir,
}

impl Envoy {
    /// Two workers, no clusters and no listeners yet.
    pub fn builder() -> EnvoyBuilder {
        EnvoyBuilder {
            clusters: Vec::new(),
            listeners: Vec::new(),
            concurrency: 2,
            log_level: "info".to_owned(),
            component_log_level: "wasm:info".to_owned(),
            drain_seconds: 5,
            variables: Vec::new(),
            port: 0,
            keeps_addresses: false,
        }
    }

    /// A loopback port that is free now, for what has to be known before Envoy runs.
    ///
    /// # Panics
    /// When there is none.
    pub fn free_port() -> u16 {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free loopback port");
        listener.local_addr().expect("its address").port()
    }

    /// The address of the first listener.
    pub fn address(&self) -> SocketAddr {
        self.address_of(&self.names[0])
    }

    /// The address of a listener.
    ///
    /// # Panics
    /// When there is none of that name.
    pub fn address_of(&self, listener: &str) -> SocketAddr {
        self.addresses[listener]
    }

    /// A URL at the first listener.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    /// A URL at a listener.
    pub fn url_of(&self, listener: &str, path: &str) -> String {
        format!("http://{}{path}", self.address_of(listener))
    }

    /// Everything that Envoy printed.
    pub fn log(&self) -> String {
        let process = self.process.lock();
        process
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .log()
    }

    /// Whether it still runs.
    pub fn is_running(&self) -> bool {
        let mut process = self.process.lock().expect("no panic while locked");
        process.exited().is_none()
    }

    /// The process id, to measure memory and threads.
    pub fn process_id(&self) -> u32 {
        self.process.lock().expect("no panic while locked").id()
    }

    /// Its resident memory, in octets.
    ///
    /// # Panics
    /// When it is gone.
    pub fn memory(&self) -> u64 {
        let status = format!("/proc/{}/status", self.process_id());
        let status = fs::read_to_string(status).expect("a running Envoy");
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        kilobytes.expect("a number of kilobytes") * 1024
    }

    /// What Envoy has allocated of it, in octets: without the memory of Wasm modules.
    ///
    /// # Panics
    /// When it is gone.
    pub fn allocated(&self) -> u64 {
        let page = self.admin("/memory").expect("a running Envoy");
        let page: Value = serde_json::from_str(&page).expect("JSON");
        let allocated = page["allocated"]
            .as_str()
            .and_then(|text| text.parse().ok());
        allocated.expect("a number of octets")
    }

    /// The address of the admin interface.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// The body of a page of the admin interface.
    ///
    /// # Errors
    /// When there is none, or its status is not 200.
    pub fn admin(&self, path: &str) -> io::Result<String> {
        let page = raw::get(self.admin, path, &[])?;
        match page.status {
            200 => Ok(page.text()),
            _ => Err(io::Error::other(format!("{} {}", page.status, page.text()))),
        }
    }

    /// Counters and gauges. Those of Wasm plugins begin with `wasmcustom.`.
    ///
    /// # Panics
    /// When Envoy is gone.
    pub fn stats(&self) -> BTreeMap<String, u64> {
        let page = self.admin("/stats").expect("a running Envoy");
        page.lines()
            .filter_map(|line| line.rsplit_once(": "))
            .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
            .collect()
    }

    /// One counter or gauge; 0 where it does not exist.
    pub fn stat(&self, name: &str) -> u64 {
        self.stats().get(name).copied().unwrap_or_default()
    }

    /// Replaces the plugin configuration of the Wasm filters of the first listener.
    ///
    /// # Errors
    /// As [`Envoy::reload`].
    pub fn reload_wasm(&self, configuration: &Value) -> Result<(), Refused> {
        self.reload(|listeners| {
            let first = listeners.iter_mut().take(1);
            for filter in first.flat_map(|listener| &mut listener.filters) {
                if let Filter::Wasm(wasm) = filter {
                    wasm.configuration = configuration.clone();
                }
            }
        })
    }

    /// Changes the listeners while Envoy runs. Names cannot change, and ports do not. Returns when
    /// Envoy took the change; its workers follow within milliseconds.
    ///
    /// # Errors
    /// When Envoy refuses the change; the listeners are then as before.
    pub fn reload(&self, change: impl FnOnce(&mut Vec<Listener>)) -> Result<(), Refused> {
        let mut listeners = self.listeners.lock().expect("no panic while locked");
        let version = listeners.0 + 1;
        let mut changed = listeners.1.clone();
        change(&mut changed);

        let log_before = self.log().len();
        let since = |reason: &str| Refused {
            reason: reason.to_owned(),
            log: self.log().get(log_before..).unwrap_or_default().to_owned(),
        };
        let before = Outcomes::of(self);
        // Envoy watches for the file to be moved into place.
        let (file, next) = (self.file(LISTENERS_FILE), self.file("listeners.next.json"));
        let contents = bootstrap::listeners(version, &changed).to_string();
        fs::write(&next, contents).map_err(|e| refused(&e))?;
        fs::rename(&next, &file).map_err(|e| refused(&e))?;
        // The number on the file is used up even when Envoy refuses it.
        listeners.0 = version;

        let mut after = before;
        let decided = holds_within(PATIENCE, || {
            after = Outcomes::of(self);
            after.rejected > before.rejected
                || (after.accepted > before.accepted && after.warming == 0)
        });
        if after.rejected > before.rejected {
            return Err(since("Envoy refused the listeners"));
        }
        if !decided {
            return Err(since("Envoy did not take the listeners in time"));
        }
        listeners.1 = changed;
        Ok(())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    fn wait_until_ready(&mut self, admin_file: &Path) -> Result<(), String> {
        let mut exited = None;
        let mut admin: Option<SocketAddr> = None;
        let mut last = String::from("the admin interface did not come up");
        let ready = holds_within(PATIENCE, || {
            let process = self.process.get_mut().expect("no panic while locked");
            exited = process.exited();
            if exited.is_some() {
                return true;
            }
            if admin.is_none() {
                let address = fs::read_to_string(admin_file).unwrap_or_default();
                admin = address.trim().parse().ok();
            }
            let Some(admin) = admin else { return false };
            match raw::get(admin, "/ready", &[]) {
                Ok(page) if page.status == 200 => true,
                Ok(page) => {
                    last = format!("Envoy is {}", page.text().trim());
                    false
                }
                Err(error) => {
                    last = error.to_string();
                    false
                }
            }
        });
        if let Some(status) = exited {
            return Err(format!("Envoy exited: {status}"));
        }
        if let (true, Some(admin)) = (ready, admin) {
            self.admin = admin;
            self.find_listeners()
        } else {
            Err(last)
        }
    }

    /// Envoy is live also when it refused a listener, so each is looked for.
    fn find_listeners(&mut self) -> Result<(), String> {
        let mut last = String::new();
        let found = holds_within(PATIENCE, || {
            if Outcomes::of(self).rejected > 0 {
                return true;
            }
            match self.listening() {
                Ok(addresses) => self.addresses = addresses,
                Err(error) => last = error.to_string(),
            }
            self.names.iter().all(|name| {
                let address = self.addresses.get(name);
                // A UDP port that Envoy lists is open.
                address.is_some_and(|address| {
                    self.is_quic(name) || TcpStream::connect(address).is_ok()
                })
            })
        });
        if Outcomes::of(self).rejected > 0 {
            return Err("Envoy refused a listener".to_owned());
        }
        if found {
            Ok(())
        } else {
            Err(format!("a listener does not accept connections: {last}"))
        }
    }

    fn is_quic(&self, name: &str) -> bool {
        let listeners = self.listeners.lock().expect("no panic while locked");
        let mut known = listeners.1.iter();
        known.any(|listener| listener.name == name && listener.is_quic())
    }

    fn listening(&self) -> io::Result<BTreeMap<String, SocketAddr>> {
        let page: Value = serde_json::from_str(&self.admin("/listeners?format=json")?)?;
        let mut addresses = BTreeMap::new();
        for listener in page["listener_statuses"].as_array().into_iter().flatten() {
            let socket = &listener["local_address"]["socket_address"];
            let port = socket["port_value"]
                .as_u64()
                .and_then(|p| u16::try_from(p).ok());
            let (Some(name), Some(port)) = (listener["name"].as_str(), port) else {
                continue;
            };
            let address = SocketAddr::from(([127, 0, 0, 1], port));
            addresses.insert(name.to_owned(), address);
        }
        Ok(addresses)
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the end of Envoy's log\n{}", tail(&self.log(), 60));
        }
    }
}

/// What became of the listeners' files so far.
#[derive(Clone, Copy, Debug)]
struct Outcomes {
    accepted: u64,
    rejected: u64,
    warming: u64,
}

impl Outcomes {
    fn of(envoy: &Envoy) -> Self {
        let page = envoy
            .admin("/stats?filter=%5Elistener_manager%5C.")
            .unwrap_or_default();
        let value = |name: &str| {
            let lines = page.lines();
            let mut values = lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            values
                .next()
                .and_then(|value| value.parse().ok())
                .unwrap_or(0)
        };
        Self {
            accepted: value("listener_manager.lds.update_success"),
            // A file that does not parse counts as a failure to get one.
            rejected: value("listener_manager.lds.update_rejected")
                + value("listener_manager.lds.update_failure"),
            warming: value("listener_manager.total_listeners_warming"),
        }
    }
}

fn directory() -> Result<TempDir, Refused> {
    tempfile::Builder::new()
        .prefix("bearer-gate-envoy-")
        .tempdir()
        .map_err(|e| refused(&e))
}

fn refused(error: &dyn fmt::Display) -> Refused {
    Refused {
        reason: error.to_string(),
        log: String::new(),
    }
}

fn text(path: &Path) -> &str {
    path.to_str()
        .expect("a temporary directory with a plain name")
}

/// The last lines of a log, each cut to a readable length.
pub fn tail(log: &str, lines: usize) -> String {
    let all: Vec<&str> = log
        .lines()
        // Envoy lists its kinds of extensions and of headers at each start.
        .filter(|line| !line.contains("server.cc:467]") && !line.contains("server.cc:547]"))
        .collect();
    let last = all[all.len().saturating_sub(lines)..].iter();
    let cut: Vec<String> = last.map(|line| line.chars().take(600).collect()).collect();
    cut.join("\n")
}
