//! A filter that does nothing, with the same SDK as bearer-gate: what a Wasm filter costs before
//! it does anything.

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};

// The function that the macro makes has no documentation, and nothing in Rust calls it.
mod start {
    proxy_wasm::main! {{
        proxy_wasm::set_root_context(|_| Box::new(crate::Root));
    }}
}

struct Root;

impl Context for Root {}

impl RootContext for Root {
    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Request))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Request;

impl Context for Request {}

impl HttpContext for Request {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        Action::Continue
    }
}
