//! Python's HTTP servers as upstreams; see `tests/transports/servers.py`.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::{path_from, repository};

/// `python3` for a script of this repository, with the modules that the Makefile fetched.
pub fn python(script: &str) -> Command {
    let mut command = interpreter();
    command.arg(repository().join(script));
    command
}

/// The same for one of these modules, in a folder of this repository.
pub fn python_module(module: &str, folder: &str) -> Command {
    let mut command = interpreter();
    command
        .args(["-m", module])
        .current_dir(repository().join(folder));
    command
}

/// With the modules of `$BEARER_GATE_PYTHONPATH`, or from where the Makefile puts them.
fn interpreter() -> Command {
    let modules = path_from("BEARER_GATE_PYTHONPATH", ".cache/python");
    let mut command = Command::new("python3");
    command
        .env("PYTHONPATH", modules)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// The servers, running; dropping them stops them.
#[derive(Debug)]
pub struct PythonServers {
    processes: Vec<(Child, Option<ChildStdin>)>,
    addresses: BTreeMap<String, SocketAddr>,
}

impl PythonServers {
    /// All of them, each on a free loopback port.
    ///
    /// # Panics
    /// When one does not start, because its module is missing for one.
    pub fn start() -> Self {
        let mut servers = Self {
            processes: Vec::new(),
            addresses: BTreeMap::new(),
        };
        let mut outputs = Vec::new();
        // Started at once, and then waited for.
        for argument in [None, Some("gunicorn")] {
            let mut server = python("tests/transports/servers.py")
                .args(argument)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .expect("python3");
            outputs.extend(server.stdout.take());
            let stdin = server.stdin.take();
            servers.processes.push((server, stdin));
        }
        for output in outputs {
            let mut line = String::new();
            let read = BufReader::new(output).read_line(&mut line);
            read.expect("a line");
            let ports: BTreeMap<String, u16> = serde_json::from_str(&line)
                .expect("ports by name; if modules are missing, run `make e2e`");
            let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
            let addresses = ports.into_iter().map(|(name, port)| (name, address(port)));
            servers.addresses.extend(addresses);
        }
        servers
    }

    /// Where each listens, by its name.
    pub fn addresses(&self) -> &BTreeMap<String, SocketAddr> {
        &self.addresses
    }
}

impl Drop for PythonServers {
    fn drop(&mut self) {
        for (_, stdin) in &mut self.processes {
            // They end when their standard input does, also when this process dies.
            drop(stdin.take());
        }
        for (process, _) in &mut self.processes {
            let _ = process.wait();
        }
    }
}
