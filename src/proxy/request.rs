//! A request's context: from its headers to a verdict.

use std::borrow::Cow;
use std::rc::Rc;

use bearer_gate_hostcalls::{self as refusable, Buffer, Map};

use super::action::Action;
use super::envoy::Envoy;
use super::{Edge, Promised, Released};
use crate::config::{Config, OfRoutes, Reads};
use crate::desk::Ticket;
use crate::door::{self, Carried, Verdict};
use crate::gate::{Arrival, Gate};
use crate::http;
use crate::http::request::Body;
use crate::http::response::Rejection;

pub(super) struct Request {
    context_id: u32,
    /// The gate, or where there is none, the host to answer by.
    gate: Result<Rc<Gate<Envoy>>, Envoy>,
    /// While it waits, and after.
    ticket: Option<Ticket>,
    promised: Promised,
    released: Released,
    /// Whether it was let through, and knows it.
    is_open: bool,
    /// The most octets of its body that are read, where a decision has asked for it.
    reading: Option<usize>,
    /// How much of the body the host held when it last said so, in octets.
    so_far: usize,
}

impl Request {
    pub(super) fn new(
        context_id: u32,
        gate: Result<Rc<Gate<Envoy>>, Envoy>,
        promised: Promised,
        released: Released,
    ) -> Self {
        Self {
            context_id,
            gate,
            ticket: None,
            promised,
            released,
            is_open: false,
            reading: None,
            so_far: 0,
        }
    }

    fn arrive(&mut self, arrival: Arrival<'_>) -> Action {
        self.reading = None;
        match arrival {
            Arrival::Decided(verdict) => return self.carry_out(&verdict),
            Arrival::Parked(ticket) => self.ticket = Some(ticket),
            Arrival::Reading(ticket, most) => {
                self.ticket = Some(ticket);
                self.reading = Some(most);
            }
        }
        Action::Pause
    }

    /// Reads the body, if that was asked for and it is there to its end, or is too long. `so_far`:
    /// what the host holds of it, in octets.
    fn read(&mut self, so_far: usize, is_whole: bool) -> Action {
        let (Some(most), Some(ticket), Ok(gate)) = (self.reading, self.ticket, &self.gate) else {
            return self.go_on();
        };
        let gate = Rc::clone(gate);
        let body = if so_far > most {
            Body::TooLarge
        } else if is_whole {
            match refusable::buffer(Buffer::RequestBody, so_far) {
                Ok(body) => Body::Whole(body),
                Err(_) => {
                    gate.leave(ticket);
                    return self.carry_out(&Verdict::reject(Rejection::HostRefused));
                }
            }
        } else {
            return Action::Pause;
        };
        match gate.body(ticket, body) {
            Some(arrival) => self.arrive(arrival),
            None => self.go_on(),
        }
    }

    /// What becomes of a part that follows the headers.
    fn go_on(&mut self) -> Action {
        self.is_open = self.is_open || self.released.take(self.context_id);
        if self.is_open {
            Action::Continue
        } else {
            Action::Pause
        }
    }

    fn carry_out(&mut self, verdict: &Verdict<'_>) -> Action {
        let edge = Edge::new(self.context_id, &self.promised);
        let carried = match &self.gate {
            Ok(gate) => gate.conclude(verdict, &edge),
            Err(envoy) => door::carry_out(verdict, None, envoy, &edge),
        };
        match carried {
            Carried::Admitted => {
                self.is_open = true;
                Action::Continue
            }
            Carried::Answered => {
                self.is_open = false;
                Action::Pause
            }
        }
    }
}

impl Request {
    /// The headers are there, and with them all of it where it `is_whole`.
    pub(super) fn headers(&mut self, is_whole: bool) -> Action {
        let Ok(gate) = self.gate.clone() else {
            return self.carry_out(&Verdict::reject(Rejection::NotConfigured));
        };
        let config = gate.config();
        let request = read(config);
        let Some(request) = request else {
            return self.carry_out(&Verdict::reject(Rejection::HostRefused));
        };
        let request = if is_whole {
            request.with_body(Body::Whole(Vec::new()))
        } else {
            request
        };
        self.arrive(gate.request(self.context_id, request))
    }

    /// Whether it was let through, and nothing of its response is changed.
    pub(super) fn is_over(&self) -> bool {
        self.is_open && !self.promised.has(self.context_id)
    }

    /// The response may be the upstream's, or a later filter's. It may come long after its request: a
    /// session that ended meanwhile is not put back, for there may be another one.
    pub(super) fn response_headers(&self) {
        let (mut headers, renewed) = self.promised.take(self.context_id);
        if let Ok(gate) = &self.gate {
            let lines = gate.still_good(renewed).into_iter();
            let lines = lines.flat_map(|renewal| renewal.lines);
            headers.extend(lines.map(|line| ("set-cookie", line)));
        }
        for (name, value) in headers {
            if refusable::add(Map::ResponseHeaders, name, value.as_bytes()).is_err() {
                log::warn!("the host refused the header {name} of a response");
            }
        }
    }

    /// With `allow_on_headers_stop_iteration` Envoy calls this while the request waits, too.
    pub(super) fn body(&mut self, size: usize, is_whole: bool) -> Action {
        self.so_far = size;
        self.read(size, is_whole)
    }

    /// As with the body. Many upstreams read trailers as headers.
    pub(super) fn trailers(&mut self) -> Action {
        let take_trailers = |gate: &Gate<Envoy>| {
            let config = gate.config();
            take(config, Map::RequestTrailers, &mut |_, _| {})
        };
        match &self.gate {
            Ok(gate) if take_trailers(gate).is_some() => self.read(self.so_far, true),
            _ => self.carry_out(&Verdict::reject(Rejection::HostRefused)),
        }
    }
}

impl Drop for Request {
    /// The host deletes the context when the request ends, however it does.
    fn drop(&mut self) {
        self.promised.take(self.context_id);
        self.released.take(self.context_id);
        if let (Ok(gate), Some(ticket)) = (&self.gate, self.ticket) {
            gate.leave(ticket);
        }
    }
}

/// Hands out all headers, or all trailers, without what only this filter sets: that is removed. `None`
/// where the host refused.
fn take(config: &Config, from: Map, kept: &mut dyn FnMut(&str, &[u8])) -> Option<()> {
    if config.reserved_headers.is_empty() && from == Map::RequestTrailers {
        return Some(());
    }
    let mut removed = Some(());
    let all = refusable::fields(from, &mut |name, value| {
        if !config.is_reserved(name) {
            kept(name, value);
        } else if refusable::remove(from, name).is_err() {
            removed = None;
        }
    });
    all.ok()?;
    removed
}

/// The parts of the request that the configuration needs, or `None` where the host refuses them.
/// First, on public routes too, the headers that only this filter may set are removed.
fn read(config: &Config) -> Option<http::request::Request> {
    let headers = match &config.reads {
        Reads::Each(names) if config.reserved_headers.is_empty() => {
            let mut headers = Vec::with_capacity(names.len());
            for name in names {
                if let Some(value) = refusable::value(Map::RequestHeaders, name).ok()? {
                    headers.push((Cow::Borrowed(*name), value));
                }
            }
            headers
        }
        // Headers that no rule reads are not kept while the request waits.
        reads => {
            let mut headers = Vec::new();
            take(config, Map::RequestHeaders, &mut |name, value| {
                if let Some(name) = reads.kept(name) {
                    headers.push((name, value.to_vec()));
                }
            })?;
            headers
        }
    };
    let of_routes = config.of_routes.as_ref();
    Some(
        http::request::Request::new(headers)
            .on_route_with(of_routes.and_then(requirement_of_route)),
    )
}

/// `requirement_name` in the metadata of the route that Envoy has chosen so far; `None` where there
/// is none. An empty one, or one that is not a text, is an unknown name: an
/// empty property is not told from a missing one, and the host has no bytes for null.
fn requirement_of_route(of: &OfRoutes) -> Option<Vec<u8>> {
    let path = [
        "xds",
        "route_metadata",
        "filter_metadata",
        &of.namespace,
        "requirement_name",
    ];
    let [namespace @ .., _] = &path;
    match refusable::property(&path) {
        Ok(Some(name)) => Some(name),
        Err(_) => Some(Vec::new()),
        Ok(None) => match refusable::property(namespace) {
            Ok(metadata) => {
                let empty = metadata.is_some_and(|map| OfRoutes::has_empty_name(&map));
                empty.then(Vec::new)
            }
            Err(_) => Some(Vec::new()),
        },
    }
}
