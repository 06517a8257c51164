//! Redis and webdis, by which it is asked over HTTP: a store that several Envoys share. Both are Debian's.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use crate::process::Process;
use crate::{eventually, path_from};

const LIMIT: Duration = Duration::from_secs(10);

/// A Redis that keeps nothing on disk, and a webdis that allows the commands of the documents. Dropping it
/// stops both.
#[derive(Debug)]
pub struct Redis {
    redis: Option<Process>,
    _webdis: Process,
    port: u16,
    webdis_port: u16,
    folder: TempDir,
}

impl Redis {
    /// On free loopback ports. `commands` are those that webdis allows.
    ///
    /// # Panics
    /// When they do not start, because they are missing for one.
    pub fn start(commands: &[&str]) -> Self {
        let folder = TempDir::with_prefix("redis").expect("a temporary folder");
        let [port, webdis_port] = free_ports();
        let config = json!({
            "redis_host": "127.0.0.1", "redis_port": port,
            "http_host": "127.0.0.1", "http_port": webdis_port,
            "threads": 1, "pool_size": 4, "daemonize": false, "websockets": false, "database": 0,
            "acl": [{"disabled": ["*"]}, {"enabled": commands}],
            "verbosity": 2, "logfile": folder.path().join("webdis.log"),
        });
        let file = folder.path().join("webdis.json");
        fs::write(&file, config.to_string()).expect("a writable folder");
        let redis = redis(&folder, port);
        let webdis = Process::spawn(
            Command::new(program()).arg("webdis").arg(file),
            &folder.path().join("webdis.out"),
        );
        let started = Self {
            redis: Some(redis),
            _webdis: webdis.expect("webdis"),
            port,
            webdis_port,
            folder,
        };
        for port in [port, webdis_port] {
            wait_for(port);
        }
        started
    }

    /// Where webdis listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.webdis_port))
    }

    /// Ends Redis, with all that it had. webdis stays.
    pub fn stop(&mut self) {
        self.redis = None;
    }

    /// Starts Redis again, on the same port and empty.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_again(&mut self) {
        self.redis = Some(redis(&self.folder, self.port));
        wait_for(self.port);
    }

    /// What `redis-cli` says to a command.
    ///
    /// # Panics
    /// When it cannot be run.
    pub fn cli(&self, words: &[&str]) -> String {
        let output = Command::new(program())
            .args(["redis-cli", "-p", &self.port.to_string()])
            .args(words)
            .output()
            .expect("redis-cli");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

/// What runs the programs, with the libraries beside them.
fn program() -> PathBuf {
    path_from("BEARER_GATE_REDIS", ".cache/redis").join("run")
}

fn redis(folder: &TempDir, port: u16) -> Process {
    let port = port.to_string();
    let mut command = Command::new(program());
    command
        .args(["redis-server", "--bind", "127.0.0.1", "--port", &port])
        .args(["--save", "", "--appendonly", "no", "--dir"])
        .arg(folder.path());
    let started = Process::spawn(&mut command, &folder.path().join("redis.log"));
    started.expect("Redis: run `make $PWD/.cache/redis/run`")
}

fn free_ports() -> [u16; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("bound").port())
}

fn wait_for(port: u16) {
    eventually(LIMIT, "a port is open", || {
        TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
}
