//! A request's context: from its headers to a verdict.

use std::borrow::Cow;
use std::rc::Rc;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use super::envoy::Envoy;
use super::{Carried, HEADERS, carry_out, header, reject, respond};
use crate::config::{OfRoutes, Reads};
use crate::gate::{Arrival, Gate};
use crate::http;
use crate::http::response::{Rejection, Responses};
use crate::jwks::waiting::Ticket;

pub struct Request {
    context_id: u32,
    gate: Option<Rc<Gate<Envoy>>>,
    /// While it waits, and after.
    ticket: Option<Ticket>,
}

impl Request {
    pub fn new(context_id: u32, gate: Option<Rc<Gate<Envoy>>>) -> Self {
        Request {
            context_id,
            gate,
            ticket: None,
        }
    }
}

impl Context for Request {}

impl HttpContext for Request {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let Some(gate) = self.gate.clone() else {
            reject(&Rejection::NotConfigured, &Responses::default());
            return Action::Pause;
        };
        let config = gate.config();
        if let Some(resource) = &config.protected_resource
            && let Some(response) =
                resource.answer(header(":path").as_deref(), || header(":method"))
        {
            respond(&response);
            return Action::Pause;
        }
        // First of all, on public routes too: nobody but this filter sets them.
        for name in &config.reserved_headers {
            if hostcalls::remove_map_value(HEADERS, name).is_err() {
                reject(&Rejection::NotConfigured, &config.responses);
                return Action::Pause;
            }
        }
        let Some(request) = read(&config.reads) else {
            reject(&Rejection::NotConfigured, &config.responses);
            return Action::Pause;
        };
        let of_routes = config.of_routes.as_ref();
        let request = request.on_route_with(of_routes.and_then(requirement_of_route));
        match gate.request(self.context_id, request) {
            Arrival::Decided(verdict) => match carry_out(&verdict, config) {
                Carried::Admitted => Action::Continue,
                Carried::Rejected => Action::Pause,
            },
            Arrival::Parked(ticket) => {
                self.ticket = Some(ticket);
                Action::Pause
            }
        }
    }
}

impl Drop for Request {
    /// The host deletes the context when the request ends, however it does.
    fn drop(&mut self) {
        if let (Some(gate), Some(ticket)) = (&self.gate, self.ticket) {
            gate.leave(ticket);
        }
    }
}

/// What the configuration needs to know of the request, or `None` where the host does not say.
fn read(reads: &Reads) -> Option<http::request::Request> {
    let headers = match reads {
        Reads::Each(names) => names
            .iter()
            .filter_map(|name| {
                let value = hostcalls::get_map_value_bytes(HEADERS, name).ok()??;
                Some((Cow::Borrowed(*name), value))
            })
            .collect(),
        // Names that are not UTF-8 would panic in the SDK; Envoy's codecs let none through.
        Reads::All => hostcalls::get_map_bytes(HEADERS)
            .ok()?
            .into_iter()
            .map(|(name, value)| (Cow::Owned(name), value))
            .collect(),
    };
    Some(http::request::Request::new(headers))
}

/// `requirement_name` in the metadata of the route that Envoy has chosen so far.
fn requirement_of_route(of: &OfRoutes) -> Option<Vec<u8>> {
    let path = vec![
        "xds",
        "route_metadata",
        "filter_metadata",
        &of.namespace,
        "requirement_name",
    ];
    hostcalls::get_property(path).ok().flatten()
}
