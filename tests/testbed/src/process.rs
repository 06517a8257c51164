//! A process, that never outlives the one that started it.
//!
//! Invariant: it is told to stop and reaped when the handle is dropped, and killed by a watchdog
//! when this process ends without dropping anything. The watchdog waits for the end of a pipe
//! whose only writer is this process, so it works however this process ends.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::holds_within;

/// How long it may take to stop before it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// A running process; dropping it stops it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    watchdog: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program with these arguments, in this process's working directory; everything that
    /// it prints goes to the file `log`.
    ///
    /// # Errors
    /// When it or the watchdog (`sh`) cannot be started, or the file not be made.
    pub fn start(program: &Path, arguments: &[&str], log: &Path) -> io::Result<Self> {
        Self::spawn(Command::new(program).args(arguments), log)
    }

    /// As [`Process::start`], with an environment and a working directory of its own.
    ///
    /// # Errors
    /// Those of [`Process::start`].
    pub fn spawn(command: &mut Command, log: &Path) -> io::Result<Self> {
        let output = File::create(log)?;
        let program = command.get_program().to_owned();
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            // A group of its own: Ctrl-C in a terminal is for the owner, who then stops it.
            .process_group(0)
            .spawn()
            .map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", program.display())))?;
        match watchdog(&child) {
            Ok(watchdog) => Ok(Self {
                child,
                watchdog,
                log: log.to_owned(),
            }),
            Err(error) => {
                end(child);
                Err(error)
            }
        }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it exited, when it did.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// What it printed so far.
    pub fn log(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let exited = self.exited().is_some();
        if !exited && signal(&self.child, Signal::SIGTERM) {
            holds_within(STOP_LIMIT, || self.exited().is_some());
        }
        // The watchdog first: once it is reaped, its id may be another process's.
        let _ = self.watchdog.kill();
        let _ = self.watchdog.wait();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn watchdog(child: &Child) -> io::Result<Child> {
    Command::new("sh")
        .args(["-c", r#"read -r _; kill -KILL "$1""#, "watchdog"])
        .arg(child.id().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
}

fn signal(child: &Child, signal: Signal) -> bool {
    let id = i32::try_from(child.id()).expect("a process id");
    kill(Pid::from_raw(id), signal).is_ok()
}

fn end(mut child: Child) {
    let _ = child.kill();
    let _ = child.wait();
}
