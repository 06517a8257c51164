//! The edge: the only code that names the host's calls.
//!
//! Invariants: every call of the host returns its status, and a refusal is no panic;
//! header values are read as bytes; calls are dispatched from the root context only (a
//! request's callback is lost with its client); a verdict on a parked
//! request is carried out only if the host still knows the request; what the host refuses to tell of
//! a request is not taken for missing; and nothing of
//! a request passes, neither body nor trailers, before it is let through: the host
//! sends the headers too where one callback says that it goes on.

mod action;
mod envoy;
mod filter_state;
mod log;
mod request;
mod root;
mod worker;

use std::cell::RefCell;
use std::rc::Rc;

use bearer_gate_hostcalls::{self as refusable, Map};

use crate::authn::Admission;
use crate::config::REPORT_HEADER;
use crate::door::Exchange;
use crate::host::ContextId;
use crate::http::credentials::Change;
use crate::http::response::{Client, Response};
use crate::outputs::FilterState;
use crate::sign_in::Renewal;

pub use action::Action;
pub use worker::Worker;

/// Headers for the responses to requests that were let through, by the requests' contexts, until
/// the responses come. There are at most as many as requests: each takes its own away.
#[derive(Clone, Default)]
struct Promised(Rc<RefCell<Vec<(ContextId, Headers)>>>);

/// The headers, and the sessions that are put into the browser.
type Headers = (Vec<(&'static str, String)>, Vec<Renewal>);

impl Promised {
    fn keep(&self, context: ContextId, admission: &Admission) {
        if !admission.response_headers.is_empty() || !admission.renewed.is_empty() {
            let headers = admission.response_headers.clone();
            let kept = (context, (headers, admission.renewed.clone()));
            self.0.borrow_mut().push(kept);
        }
    }

    fn has(&self, context: ContextId) -> bool {
        self.0.borrow().iter().any(|(of, _)| *of == context)
    }

    fn take(&self, context: ContextId) -> Headers {
        let mut promised = self.0.borrow_mut();
        let at = promised.iter().position(|(of, _)| *of == context);
        at.map_or_else(Headers::default, |at| promised.swap_remove(at).1)
    }
}

/// Requests that waited and were let through, by their contexts, until each has learnt it. There are
/// at most as many as requests: each takes itself away.
#[derive(Clone, Default)]
struct Released(Rc<RefCell<Vec<ContextId>>>);

impl Released {
    fn note(&self, context: ContextId) {
        self.0.borrow_mut().push(context);
    }

    /// Whether it is there; it is not any more then.
    fn take(&self, context: ContextId) -> bool {
        let mut released = self.0.borrow_mut();
        let at = released.iter().position(|of| *of == context);
        at.map(|at| released.swap_remove(at)).is_some()
    }
}

/// The request that is the effective context.
struct Edge<'p> {
    context: ContextId,
    promised: &'p Promised,
}

impl<'p> Edge<'p> {
    fn new(context: ContextId, promised: &'p Promised) -> Self {
        Edge { context, promised }
    }
}

impl Exchange for Edge<'_> {
    fn admit(&self, admission: &Admission) -> Option<()> {
        let headers = Map::RequestHeaders;
        // First, for a token's place may be a header that is set.
        for change in &admission.changes.strip {
            match change {
                Change::Remove(name) => refusable::remove(headers, name).ok()?,
                Change::Set(name, value) => refusable::set(headers, name, value).ok()?,
                Change::Lines(name, values) => {
                    refusable::remove(headers, name).ok()?;
                    for value in values {
                        refusable::add(headers, name, value).ok()?;
                    }
                }
            }
        }
        for outputs in &admission.changes.outputs {
            for (name, value) in &outputs.set {
                refusable::set(headers, name, value).ok()?;
            }
            for (name, value) in &outputs.add {
                refusable::add(headers, name, value).ok()?;
            }
            filter_state::set(&outputs.states)?;
        }
        if let Some(reason) = admission.reported {
            refusable::set(headers, REPORT_HEADER, reason.as_bytes()).ok()?;
        }
        self.promised.keep(self.context, admission);
        Some(())
    }

    fn tell(&self, states: &[FilterState]) -> Option<()> {
        filter_state::set(states)
    }

    fn client(&self) -> Client {
        Client::from_content_type(header("content-type").as_deref())
    }

    fn request_id(&self) -> Option<Vec<u8>> {
        header("x-request-id")
    }

    fn respond(&self, response: &Response, details: &str) {
        let headers = response.headers.iter();
        let headers: Vec<_> = headers.map(|(name, value)| (*name, &**value)).collect();
        let body = response.body.as_bytes();
        if refusable::respond(response.status, details, &headers, body).is_err() {
            ::log::debug!("the response could not be sent: the client has left");
        }
    }
}

/// A header of the request that is the effective context.
fn header(name: &str) -> Option<Vec<u8>> {
    refusable::value(Map::RequestHeaders, name).ok().flatten()
}
