//! The Wasm module: the entry points that Envoy calls, around the library.

// The function that the macro makes has no documentation, and nothing in Rust calls it.
mod start {
    proxy_wasm::main! {{
        proxy_wasm::set_root_context(|_| library::root());
    }}
}
