//! The module's allocator.
//!
//! The one of the standard library runs five times the code, and each request allocates.

use std::alloc::{GlobalAlloc, Layout};

use talc::wasm::{WasmDynamicTalc, new_wasm_dynamic_allocator};

#[global_allocator]
static ALLOCATOR: OutOfLine = OutOfLine(new_wasm_dynamic_allocator());

/// Talc, which is not repeated wherever something is dropped: that would be 20 KB of code, and what runs
/// for a request would not be in one place.
struct OutOfLine(WasmDynamicTalc);

// SAFETY: each method is Talc's.
unsafe impl GlobalAlloc for OutOfLine {
    #[inline(never)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller promises the same.
        unsafe { self.0.alloc(layout) }
    }

    #[inline(never)]
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller promises the same.
        unsafe { self.0.dealloc(ptr, layout) }
    }

    #[inline(never)]
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller promises the same.
        unsafe { self.0.realloc(ptr, layout, new_size) }
    }
}
