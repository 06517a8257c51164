//! Wasm modules that do harm, each in a filter of its own.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::wat::{GET, filter};

/// The header by which a request asks [`overwriting`] for it.
pub(super) const LOSE: &str = "x-lose";

/// A module that traps at every request.
pub(super) fn trap() -> Vec<u8> {
    filter("", "unreachable")
}

/// A filter in front, with the same `vm_id`, that writes over the list of ended sessions when it is asked
/// to. `module`: where its module is put.
pub(super) fn overwriting(module: &Path) -> Value {
    let first = format!(
        r#"{GET}
            (import "env" "proxy_set_shared_data"
                (func $set (param i32 i32 i32 i32 i32) (result i32)))
            (data (i32.const 0) "{LOSE}")
            (data (i32.const 64) "bearer-gate ended")
            (data (i32.const 128) "garbage")"#
    );
    let on_request_headers = r#"(if (i32.eqz (call $get
            (i32.const 0) (i32.const 0) (i32.const 6) (i32.const 2048) (i32.const 2052)))
            (then (drop (call $set
                (i32.const 64) (i32.const 17) (i32.const 128) (i32.const 7) (i32.const 0)))))
        i32.const 0"#;
    fs::write(module, filter(&first, on_request_headers)).unwrap();
    json!({
        "name": "overwriting",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": {
                "name": "overwriting",
                "vm_config": {
                    "vm_id": "bearer-gate",
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": {"local": {"filename": module}},
                },
            },
        },
    })
}
