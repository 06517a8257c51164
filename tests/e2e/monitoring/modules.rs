//! Wasm modules that do harm, each in a filter of its own.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

/// The header by which a request asks [`overwriting`] for it.
pub(super) const LOSE: &str = "x-lose";

/// A module that traps at every request.
pub(super) fn trap() -> Vec<u8> {
    let module = r#"(module
        (memory (export "memory") 1)
        (func (export "proxy_abi_version_0_2_1"))
        (func (export "proxy_on_memory_allocate") (param i32) (result i32) i32.const 4096)
        (func (export "proxy_on_context_create") (param i32 i32))
        (func (export "proxy_on_vm_start") (param i32 i32) (result i32) i32.const 1)
        (func (export "proxy_on_configure") (param i32 i32) (result i32) i32.const 1)
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) unreachable))"#;
    wat::parse_str(module).expect("a module")
}

/// A filter in front, with the same `vm_id`, that writes over the list of ended sessions when it is asked
/// to. `module`: where its module is put.
pub(super) fn overwriting(module: &Path) -> Value {
    let text = format!(
        r#"(module
            (import "env" "proxy_get_header_map_value"
                (func $get (param i32 i32 i32 i32 i32) (result i32)))
            (import "env" "proxy_set_shared_data"
                (func $set (param i32 i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 0) "{LOSE}")
            (data (i32.const 64) "bearer-gate ended")
            (data (i32.const 128) "garbage")
            (func (export "proxy_abi_version_0_2_1"))
            (func (export "proxy_on_memory_allocate") (param i32) (result i32) i32.const 8192)
            (func (export "proxy_on_context_create") (param i32 i32))
            (func (export "proxy_on_vm_start") (param i32 i32) (result i32) i32.const 1)
            (func (export "proxy_on_configure") (param i32 i32) (result i32) i32.const 1)
            (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
                (if (i32.eqz (call $get
                    (i32.const 0) (i32.const 0) (i32.const 6) (i32.const 2048) (i32.const 2052)))
                    (then (drop (call $set
                        (i32.const 64) (i32.const 17) (i32.const 128) (i32.const 7) (i32.const 0)))))
                i32.const 0))"#
    );
    fs::write(module, wat::parse_str(text).expect("a module")).unwrap();
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
