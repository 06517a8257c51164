//! The module's allocator.
//!
//! The one of the standard library runs four times as much code, and each request allocates.

use talc::wasm::{WasmDynamicTalc, new_wasm_dynamic_allocator};

#[global_allocator]
static ALLOCATOR: WasmDynamicTalc = new_wasm_dynamic_allocator();
