//! Wasm modules for filters that are not ours.

/// A filter that does nothing but this at a request's headers. `first`: imports and data, which is at
/// 0 and above; from 2048 on the memory is free, and the host puts values at 8192.
pub(crate) fn filter(first: &str, on_request_headers: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
            {first}
            (memory (export "memory") 1)
            (func (export "proxy_abi_version_0_2_1"))
            (func (export "proxy_on_memory_allocate") (param i32) (result i32) i32.const 8192)
            (func (export "proxy_on_context_create") (param i32 i32))
            (func (export "proxy_on_vm_start") (param i32 i32) (result i32) i32.const 1)
            (func (export "proxy_on_configure") (param i32 i32) (result i32) i32.const 1)
            (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
                {on_request_headers}))"#
    );
    wat::parse_str(text).expect("a module")
}

/// The import `$get`, which reads a header.
pub(crate) const GET: &str = r#"(import "env" "proxy_get_header_map_value"
    (func $get (param i32 i32 i32 i32 i32) (result i32)))"#;
