//! The edge: the only code that names `proxy_wasm`.
//!
//! Invariants: header values are read as bytes (the SDK's text calls panic on a
//! byte that is not UTF-8); calls are dispatched from the root context only (a
//! request's callback is lost with its client); and a verdict on a parked
//! request is carried out only if the host still knows the request.

mod envoy;
mod filter_state;
mod request;
mod root;

use proxy_wasm::hostcalls;
use proxy_wasm::types::MapType;

use crate::authn::Admission;
use crate::config::{Config, REPORT_HEADER};
use crate::gate::Verdict;
use crate::http::credentials::Change;
use crate::http::response::{Client, Rejection, Response, Responses};
use crate::outputs;

pub use root::Root;

const HEADERS: MapType = MapType::HttpRequestHeaders;

/// What remains to be done with the request after its verdict.
enum Carried {
    Admitted,
    Rejected,
}

/// Carries a verdict out on the request that is the effective context.
fn carry_out(verdict: &Verdict<'_>, config: &Config) -> Carried {
    let (rejection, outputs) = match verdict {
        Verdict::Admit(admission) => match admit(admission) {
            Some(()) => return Carried::Admitted,
            // Never an admit with headers that are not as they should be.
            None => {
                let wait = std::time::Duration::from_secs(1);
                (&Rejection::keys_unavailable(wait), None)
            }
        },
        Verdict::Reject(refusal) => (&refusal.rejection, refusal.outputs.as_ref()),
    };
    let of_token = outputs.map_or(&[][..], |outputs| &outputs.states);
    let told = filter_state::set(of_token)
        .and_then(|()| filter_state::set(&outputs::of_rejection(config, rejection)));
    if told.is_none() {
        log::debug!("the host refused the filter state of a rejection");
    }
    reject(rejection, &config.responses);
    Carried::Rejected
}

fn admit(admission: &Admission) -> Option<()> {
    // First, for a token's place may be a header that is set.
    for change in &admission.strip {
        match change {
            Change::Remove(name) => hostcalls::remove_map_value(HEADERS, name),
            Change::Set(name, value) => hostcalls::set_map_value_bytes(HEADERS, name, Some(value)),
        }
        .ok()?;
    }
    for outputs in &admission.outputs {
        for (name, value) in &outputs.set {
            hostcalls::set_map_value_bytes(HEADERS, name, Some(value)).ok()?;
        }
        for (name, value) in &outputs.add {
            hostcalls::add_map_value_bytes(HEADERS, name, value).ok()?;
        }
        filter_state::set(&outputs.states)?;
    }
    if let Some(reason) = admission.reported {
        hostcalls::set_map_value(HEADERS, REPORT_HEADER, Some(reason)).ok()?;
    }
    Some(())
}

fn reject(rejection: &Rejection<'_>, responses: &Responses) {
    let client = Client::of(header("content-type").as_deref());
    respond(&responses.reject(rejection, client));
}

/// Answers the request in place of the upstream.
fn respond(response: &Response) {
    let headers: Vec<(&str, &str)> = response
        .headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let body = Some(response.body.as_bytes());
    if hostcalls::send_http_response(response.status, headers, body).is_err() {
        log::debug!("the response could not be sent: the client has left");
    }
}

/// A header of the request that is the effective context.
fn header(name: &str) -> Option<Vec<u8>> {
    hostcalls::get_map_value_bytes(HEADERS, name).ok().flatten()
}
