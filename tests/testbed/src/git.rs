//! Git: a server with a repository in it, and git itself as its client.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

use crate::python::python;

/// The name of the one repository.
pub const REPOSITORY: &str = "project.git";

/// A running server with a repository of one commit; dropping it stops it. See
/// `tests/transports/git.py`.
#[derive(Debug)]
pub struct GitServer {
    process: Child,
    address: SocketAddr,
    folder: TempDir,
}

impl GitServer {
    /// On a free loopback port.
    ///
    /// # Panics
    /// When git or Python is missing.
    pub fn start() -> Self {
        let folder = TempDir::with_prefix("git").expect("a temporary folder");
        let bare = folder.path().join("served").join(REPOSITORY);
        let work = folder.path().join("first");
        fs::create_dir_all(&bare).expect("a folder");
        fs::create_dir_all(&work).expect("a folder");
        succeed(git(folder.path()).args(["init", "-q", "--bare"]).arg(&bare));
        succeed(git(folder.path()).args(["init", "-q"]).arg(&work));
        fs::write(work.join("hello"), "hello\n").expect("a file");
        succeed(git(&work).args(["add", "hello"]));
        succeed(git(&work).args(["commit", "-q", "-m", "hello"]));
        succeed(git(&work).args(["push", "-q"]).arg(&bare).arg("HEAD:main"));
        succeed(git(&bare).args(["symbolic-ref", "HEAD", "refs/heads/main"]));
        let mut process = python("tests/transports/git.py")
            .arg(folder.path().join("served"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3");
        let mut line = String::new();
        let output = process.stdout.take().expect("piped");
        BufReader::new(output).read_line(&mut line).expect("a line");
        let port: u16 = line.trim().parse().expect("a port");
        Self {
            process,
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            folder,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A folder for clients.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        // It ends when its standard input does.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// Git in a folder, without the settings of whoever runs it; it asks nobody.
pub fn git(folder: &Path) -> Command {
    let mut git = Command::new("git");
    git.current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("LC_ALL", "C");
    for role in ["AUTHOR", "COMMITTER"] {
        git.env(format!("GIT_{role}_NAME"), "testbed");
        git.env(format!("GIT_{role}_EMAIL"), "testbed@example.com");
    }
    git
}

/// What git says when all is well.
///
/// # Panics
/// When it is not.
pub fn succeed(git: &mut Command) -> Output {
    let output = git.output().expect("git");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{git:?}: {error}");
    output
}
