//! The Wasm module: the entry points of the Proxy-Wasm ABI 0.2.1, around the library.
//!
//! What is not here is not called: the bodies of responses never enter the VM, nor does the end of a
//! request, which is deleted soon after.

#[cfg(target_family = "wasm")]
mod memory;

use std::cell::RefCell;
use std::mem::ManuallyDrop;

use library::{Action, Worker};

thread_local! {
    static WORKER: RefCell<Worker> = RefCell::default();
}

/// Has the worker do something. A host that calls back during a call of its own gets `otherwise`.
fn worker<T>(otherwise: T, act: impl FnOnce(&mut Worker) -> T) -> T {
    WORKER.with(|worker| match worker.try_borrow_mut() {
        Ok(mut worker) => act(&mut worker),
        Err(_) => otherwise,
    })
}

unsafe extern "C" {
    /// The linker's: it makes what is made before the first call.
    fn __wasm_call_ctors();
}

/// Called once, before all others.
#[unsafe(no_mangle)]
pub extern "C" fn _initialize() {
    // SAFETY: the linker defines it, and nothing has called it before.
    unsafe { __wasm_call_ctors() };
}

/// Says which version of the ABI this is.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_abi_version_0_2_1() {}

/// Memory for so many octets that the host hands over; `hostcalls` takes it.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    ManuallyDrop::new(Vec::with_capacity(size)).as_mut_ptr()
}

/// A context begins: a root context where `root` is 0, a request of that root otherwise.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_context_create(context: u32, root: u32) {
    worker((), |worker| worker.begin(context, root));
}

/// Whether the root context can work with its configuration, of so many octets.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_configure(root: u32, size: usize) -> bool {
    worker(false, |worker| worker.configure(root, size))
}

/// Time has passed.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_tick(root: u32) {
    worker((), |worker| worker.tick(root));
}

/// A call that the root context made has ended, with so many headers and octets.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_http_call_response(
    root: u32,
    call: u32,
    headers: usize,
    body: usize,
    _trailers: usize,
) {
    worker((), |worker| worker.reply(root, call, headers, body));
}

/// A request's headers are there.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_request_headers(context: u32, _: usize, is_whole: u32) -> Action {
    worker(Action::Pause, |worker| {
        worker.request_headers(context, is_whole != 0)
    })
}

/// So many octets of a request's body are there.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_request_body(context: u32, size: usize, is_whole: u32) -> Action {
    worker(Action::Pause, |worker| {
        worker.request_body(context, size, is_whole != 0)
    })
}

/// A request's trailers are there.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_request_trailers(context: u32, _: usize) -> Action {
    worker(Action::Pause, |worker| worker.request_trailers(context))
}

/// The headers of a response are there.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_response_headers(context: u32, _: usize, _: u32) -> Action {
    worker((), |worker| worker.response_headers(context));
    Action::Continue
}

/// The host forgets the context.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_delete(context: u32) {
    worker((), |worker| worker.delete(context));
}
