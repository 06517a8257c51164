//! The command-line tool as its users run it: what it prints, and how it exits.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a panic is how a test fails"
)]

mod aws_alb;
mod check;
mod check_envoy;
mod check_files;
mod check_mesh;
mod check_risks;
mod check_sign_in;
mod corrections;
mod explain;
mod explain_admin;
mod explain_findings;
mod explain_log;
mod explain_session;
mod issuers;
mod migrate;
mod migrate_checked;
mod migrate_envoy_gateway;
mod migrate_istio;
mod migrate_oauth2;
mod migrate_oauth2_proxy;
mod migrate_oidc;
mod migrate_pair;
mod mint;
mod refusals;
mod schema;
mod troubleshooting;
mod unrendered;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// How a command ended.
pub struct Ran {
    /// Its exit code.
    pub code: i32,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

impl Ran {
    /// Its standard output as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("{}{}", self.out, self.err))
    }
}

/// Runs a command of the tool, with nothing on standard input.
pub fn run(arguments: &[&str]) -> Ran {
    run_with(arguments, "")
}

/// Runs a command of the tool, with a text on standard input.
pub fn run_with(arguments: &[&str], input: &str) -> Ran {
    let mut child = Command::new(env!("CARGO_BIN_EXE_bearer-gate"))
        .args(arguments)
        .current_dir(root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // a command that does not read its input closes it
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Ran {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The root of the repository, where a user runs the tool.
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// A directory of a test's own.
pub struct Files(tempfile::TempDir);

impl Files {
    /// An empty directory.
    pub fn in_a_directory() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// A file with this text; its path.
    pub fn with(&self, name: &str, text: &str) -> String {
        let path: PathBuf = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}
