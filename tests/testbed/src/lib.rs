//! What bearer-gate's tests and its demo run against: an identity provider that can misbehave,
//! an upstream that tells what it saw, and a real Envoy.
//!
//! Every piece is started by a synchronous call, runs on threads of its own and stops when its
//! handle is dropped, so it serves `#[test]` and `#[tokio::test]` alike. Nothing listens on
//! anything but the address it was given, a free loopback port by default.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test code: a broken testbed should stop the test at once, with a stack trace"
)]

pub mod alb;
pub mod application;
pub mod browser;
pub mod canaille;
pub mod docker;
pub mod envoy;
pub mod git;
pub mod glewlwyd;
mod html;
pub mod http;
pub mod idp;
pub mod keys;
pub mod process;
pub mod python;
pub mod raw;
pub mod redis;
pub mod serve;
pub mod token;
pub mod transports;
pub mod upstream;
pub mod visitor;
pub mod yaml;

use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The root of the source tree that this crate was built from.
pub fn repository() -> PathBuf {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    std::fs::canonicalize(root).unwrap_or_else(|_| PathBuf::from(root))
}

/// The path in an environment variable, or one below the repository's root.
pub fn path_from(variable: &str, default: &str) -> PathBuf {
    let root = repository();
    // Joining an absolute path replaces the root.
    match std::env::var_os(variable) {
        Some(path) if !path.is_empty() => root.join(path),
        _ => root.join(default),
    }
}

/// Polls `condition` every 10 ms until it holds.
///
/// # Panics
/// When it does not hold within `limit`; `what` is in the message.
pub fn eventually(limit: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    assert!(
        holds_within(limit, &mut condition),
        "not within {limit:?}: {what}"
    );
}

/// Polls `condition` every 10 ms; whether it came to hold within `limit`.
pub fn holds_within(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
