//! A Docker engine, where one answers: images, projects of Compose, containers.
//!
//! Every command has a limit, so that an engine that hangs ends a test. A [`Project`] takes its containers and
//! networks away when it is dropped.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use serde_json::Value;

use crate::envoy::tail;

/// How long a command may take, in seconds. An image that is built from source takes most.
const LIMIT: &str = "1800";

/// Runs a command in a folder.
///
/// # Panics
/// When it cannot be started.
pub fn run<S: AsRef<OsStr>>(command: &[S], folder: &Path) -> Output {
    let output = Command::new("timeout")
        .args(["--kill-after=10", LIMIT])
        .args(command)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output();
    output.expect("coreutils")
}

/// What `docker` prints with these arguments.
///
/// # Panics
/// When it fails; what it said is in the message.
pub fn docker(arguments: &[&str]) -> String {
    let output = run(&[&["docker"], arguments].concat(), Path::new("."));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "docker {}: {said}",
        arguments.join(" ")
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Whether `docker` with these arguments does what it is asked.
pub fn succeeds(arguments: &[&str]) -> bool {
    let output = run(&[&["docker"], arguments].concat(), Path::new("."));
    output.status.success()
}

/// Why containers of these images cannot run here; nothing if they can.
pub fn hindrance(images: &[&str]) -> Option<String> {
    if !succeeds(&["info"]) {
        return Some("no Docker engine answers".to_owned());
    }
    let missing = images.iter().find(|image| {
        !succeeds(&["image", "inspect", image]) && !succeeds(&["pull", "--quiet", image])
    });
    missing.map(|image| format!("no image {image}"))
}

/// Says that something is not tested here, past the test harness, which keeps what a passing test prints.
pub fn left_out(what: &str, why: &str) {
    let line = format!("LEFT OUT: {what}: {why}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// The plugin of Docker's client, or the program of its own.
fn compose() -> &'static [&'static str] {
    static PLUGIN: LazyLock<bool> = LazyLock::new(|| succeeds(&["compose", "version"]));
    if *PLUGIN {
        &["docker", "compose"]
    } else {
        &["docker-compose"]
    }
}

/// A project of Compose; dropping it takes it down, and prints its logs when a test is failing.
#[derive(Debug)]
pub struct Project {
    name: String,
    folder: PathBuf,
    file: String,
}

impl Project {
    /// Of the file at this path below this folder. Nothing is started.
    pub fn new(name: &str, folder: &Path, file: &str) -> Self {
        Self {
            name: name.to_owned(),
            folder: folder.to_owned(),
            file: file.to_owned(),
        }
    }

    /// Builds its images and starts it.
    ///
    /// # Panics
    /// When it does not start.
    pub fn up(&self) {
        let output = self.run(&["up", "--build", "--detach"]);
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            output.status.success(),
            "{}{}",
            said(&output.stdout),
            said(&output.stderr)
        );
    }

    /// Takes it down, with its volumes and the images that were built for it alone; whether Compose had nothing to say against it.
    pub fn down(&self) -> bool {
        let output = self.run(&["down", "--volumes", "--rmi", "local", "--timeout", "5"]);
        output.status.success()
    }

    /// Runs a command of Compose.
    pub fn run(&self, arguments: &[&str]) -> Output {
        let file = ["--project-name", &self.name, "--file", &self.file];
        run(&[compose(), &file, arguments].concat(), &self.folder)
    }

    /// Its name, which Docker begins those of its containers and networks with.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What Docker says of a service's container.
    ///
    /// # Panics
    /// When there is none.
    pub fn container(&self, service: &str) -> Value {
        let id = self.run(&["ps", "--all", "--quiet", service]).stdout;
        let id = String::from_utf8_lossy(&id);
        let found = docker(&["inspect", id.trim()]);
        let mut found: Vec<Value> = serde_json::from_str(&found).expect("JSON");
        found.remove(0)
    }

    /// What a service's container printed.
    ///
    /// # Panics
    /// When there is none.
    pub fn log(&self, service: &str) -> String {
        let id = self.container(service)["Id"].clone();
        let command = ["docker", "logs", id.as_str().expect("an id")];
        let output = run(&command, Path::new("."));
        let both = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&both).into_owned()
    }

    /// Kinds and names of what is there of it.
    pub fn remains(&self) -> Vec<String> {
        let label = format!("label=com.docker.compose.project={}", self.name);
        let kinds: [(&str, &[&str], &str); 3] = [
            ("container", &["ls", "--all"], "{{.Names}}"),
            ("network", &["ls"], "{{.Name}}"),
            ("volume", &["ls"], "{{.Name}}"),
        ];
        let mut found = Vec::new();
        for (kind, list, format) in kinds {
            let filter = ["--filter", &label, "--format", format];
            let names = docker(&[&[kind], list, &filter].concat());
            found.extend(names.lines().map(|name| format!("{kind} {name}")));
        }
        found
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let logs = self.run(&["logs", "--no-color"]).stdout;
            eprintln!("{}", tail(&String::from_utf8_lossy(&logs), 200));
        }
        self.down();
    }
}
