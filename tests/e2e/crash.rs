//! What a crash of the filter's VM does, and what ends it: the facts that SECURITY.md, docs/operating.md
//! and `check` tell. The filter itself does not trap, so a module does that traps when it is asked to.

use std::path::Path;
use std::time::{Duration, Instant};

use bearer_gate_testbed::envoy::{Filter, Listener, Wasm};
use bearer_gate_testbed::eventually;
use bearer_gate_testbed::raw::{self, RawConnection};
use serde_json::json;
use tempfile::TempDir;

use crate::stage::Stage;
use crate::wat::{GET, filter};

const TRAP: (&str, &[u8]) = ("x-trap", b"1");
const WAIT: (&str, &[u8]) = ("x-wait", b"1");

/// A module that traps at a request with the first header, lets one with the second wait for good, and
/// all others pass.
fn module(file: &Path) {
    let first = format!(
        r#"{GET}
            (data (i32.const 0) "{}")
            (data (i32.const 16) "{}")"#,
        TRAP.0, WAIT.0
    );
    let on_request_headers = r#"(if (i32.eqz (call $get
            (i32.const 0) (i32.const 0) (i32.const 6) (i32.const 2048) (i32.const 2052)))
            (then unreachable))
        (call $get
            (i32.const 0) (i32.const 16) (i32.const 6) (i32.const 2048) (i32.const 2052))
        i32.eqz"#;
    std::fs::write(file, filter(&first, on_request_headers)).unwrap();
}

/// One worker, whose requests have 2 s to be decided.
fn stage(files: &TempDir, failure_policy: &'static str, reload_interval: &'static str) -> Stage {
    let file = files.path().join("trap.wasm");
    module(&file);
    let wasm = Wasm {
        module: file,
        failure_policy,
        reload_interval,
        ..Wasm::new(json!({"version": 1}))
    };
    Stage::build(
        |_| {},
        |_, builder| {
            let listener = Listener::new("main").filter(Filter::Wasm(wasm));
            builder
                .concurrency(1)
                .listener(listener.hcm("request_timeout", json!("2s")))
        },
    )
}

fn status(stage: &Stage, headers: &[(&str, &[u8])]) -> u16 {
    raw::get(stage.address(), "/x", headers).unwrap().status
}

#[test]
fn with_fail_reload_the_next_request_has_a_new_vm() {
    let files = TempDir::new().unwrap();
    let stage = stage(&files, "FAIL_RELOAD", "0.05s");
    assert_eq!(status(&stage, &[]), 200);
    let mut waits = RawConnection::open(stage.address()).unwrap();
    waits.send(&raw::head("GET", "/x", &[WAIT])).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    let sent = Instant::now();
    for round in 1..=3 {
        // The request that it traps at.
        assert_eq!(status(&stage, &[TRAP]), 503);
        eventually(Duration::from_secs(1), "a new VM", || {
            status(&stage, &[]) == 200
        });
        let started = stage.envoy().stats()["wasm.bearer-gate.vm_reload_success"];
        assert_eq!(started, round);
    }
    // what the runbook looks for
    let crashes = "Function: proxy_on_request_headers failed: Uncaught RuntimeError";
    assert_eq!(stage.envoy().log().matches(crashes).count(), 3);
    // A request that waited in the VM is not resumed: request_timeout ends it.
    let ended = waits.response().unwrap();
    assert_eq!(ended.status, 503, "{}", ended.text());
    assert!(sent.elapsed() > Duration::from_secs(1));
}

/// Within `base_interval` of the reload before, the worker answers 503.
#[test]
fn a_reload_waits_for_the_interval() {
    let files = TempDir::new().unwrap();
    let stage = stage(&files, "FAIL_RELOAD", "3s");
    let mut seen = Vec::new();
    for _ in 0..3 {
        status(&stage, &[TRAP]);
        seen.push(status(&stage, &[]));
    }
    assert!(seen.contains(&503), "{seen:?}");
    eventually(Duration::from_secs(40), "a new VM", || {
        status(&stage, &[]) == 200
    });
}

#[test]
fn with_fail_closed_the_worker_answers_503_until_the_configuration_changes() {
    let files = TempDir::new().unwrap();
    let stage = stage(&files, "FAIL_CLOSED", "");
    assert_eq!(status(&stage, &[]), 200);
    assert_eq!(status(&stage, &[TRAP]), 503);
    let until = Instant::now() + Duration::from_secs(3);
    while Instant::now() < until {
        assert_eq!(status(&stage, &[]), 503);
        std::thread::sleep(Duration::from_millis(100));
    }
    // Nothing counts that.
    assert_eq!(stage.traps(), 0);
    stage.envoy().reload_wasm(&json!({"version": 2})).unwrap();
    eventually(Duration::from_secs(5), "a new VM", || {
        status(&stage, &[]) == 200
    });
}
