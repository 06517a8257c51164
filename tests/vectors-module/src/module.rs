//! The Wasm module.

use std::cell::Cell;
use std::rc::Rc;

use bearer_gate::signature::host::{ForeignFunction, HostVerifier};
use bearer_gate::signature::hybrid::Hybrid;
use bearer_gate::signature::portable::Portable;
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};

use crate::judge;

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(Root));
}}

struct Root;

impl Context for Root {}

impl RootContext for Root {
    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Question))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Question;

impl Context for Question {}

impl HttpContext for Question {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        Action::Pause
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        if end_of_stream {
            let question = self.get_http_request_body(0, size).unwrap_or_default();
            let calls = Rc::new(Cell::new(0));
            let answer = match self.get_http_request_header(":path").as_deref() {
                Some("/portable") => judge::answer(&Portable, &question),
                Some("/host") => {
                    let host = Hybrid::new(HostVerifier(Envoy(Rc::clone(&calls))));
                    calls.set(0); // those for the known answers
                    judge::answer(&host, &question)
                }
                _ => None,
            };
            let status = if answer.is_some() { 200 } else { 400 };
            let calls = calls.get().to_string();
            let body = answer.unwrap_or_default();
            self.send_http_response(
                status,
                vec![("x-host-calls", &calls)],
                Some(body.as_bytes()),
            );
        }
        Action::Pause
    }
}

/// Envoy's functions by name, counted.
struct Envoy(Rc<Cell<u32>>);

impl ForeignFunction for Envoy {
    fn call(&self, name: &str, argument: &[u8]) -> Option<Vec<u8>> {
        self.0.set(self.0.get().saturating_add(1));
        hostcalls::call_foreign_function(name, Some(argument)).ok()?
    }
}
