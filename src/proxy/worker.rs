//! One worker's VM: its contexts, by the host's numbers.
//!
//! Invariant: a call about a number that the host has not told changes nothing, and lets nothing
//! through.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::action::Action;
use super::request::Request;
use super::root::Root;
use crate::host::{CallId, ContextId};

/// All that the host calls.
#[derive(Default)]
pub struct Worker {
    /// One for each plugin.
    roots: Vec<(ContextId, Root)>,
    /// Requests whose headers have not come, and their roots: mostly one, which comes next.
    begun: Vec<(ContextId, ContextId)>,
    /// Requests of which more is to come: most are over as soon as they were let through.
    requests: HashMap<ContextId, Request, BuildHasherDefault<Spread>>,
}

/// The host counts its contexts, and nobody else chooses a number: a product spreads them.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, octets: &[u8]) {
        for octet in octets {
            self.write_u32((*octet).into());
        }
    }

    fn write_u32(&mut self, number: u32) {
        // 2^64 divided by the golden ratio.
        let sum = self.0.wrapping_add(number.into());
        self.0 = sum.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

impl Worker {
    fn root(&mut self, context: ContextId) -> Option<&mut Root> {
        let mut roots = self.roots.iter_mut();
        roots
            .find(|(known, _)| *known == context)
            .map(|(_, root)| root)
    }

    /// A context begins: a root context where `root` is 0, a request of that root otherwise.
    pub fn begin(&mut self, context: ContextId, root: ContextId) {
        if root != 0 {
            self.begun.push((context, root));
        } else if self.root(context).is_none() {
            self.roots.push((context, Root::default()));
        }
    }

    /// Whether the root context can work with its configuration, of so many octets.
    pub fn configure(&mut self, root: ContextId, size: usize) -> bool {
        self.root(root).is_some_and(|root| root.configure(size))
    }

    /// Time has passed.
    pub fn tick(&mut self, root: ContextId) {
        if let Some(root) = self.root(root) {
            root.tick();
        }
    }

    /// A call that the root context made has ended. `headers`: how many; none where it failed.
    /// `body`: in octets.
    pub fn reply(&mut self, root: ContextId, call: CallId, headers: usize, body: usize) {
        if let Some(root) = self.root(root) {
            root.reply(call, headers, body);
        }
    }

    fn on_request(
        &mut self,
        context: ContextId,
        act: impl FnOnce(&mut Request) -> Action,
    ) -> Action {
        self.requests.get_mut(&context).map_or(Action::Pause, act)
    }

    /// A request's headers are there, and with them all of it where it `is_whole`.
    pub fn request_headers(&mut self, context: ContextId, is_whole: bool) -> Action {
        let Some(at) = self.begun.iter().rposition(|(of, _)| *of == context) else {
            return Action::Pause;
        };
        let (_, root) = self.begun.swap_remove(at);
        let Some(mut request) = self.root(root).map(|root| root.request(context)) else {
            return Action::Pause;
        };
        let action = request.headers(is_whole);
        if !is_whole || !request.is_over() {
            self.requests.insert(context, request);
        }
        action
    }

    /// A request's body is there, as far as the host keeps it: `size` octets, the last with them
    /// where it `is_whole`.
    pub fn request_body(&mut self, context: ContextId, size: usize, is_whole: bool) -> Action {
        self.on_request(context, |request| request.body(size, is_whole))
    }

    /// A request's trailers are there.
    pub fn request_trailers(&mut self, context: ContextId) -> Action {
        self.on_request(context, Request::trailers)
    }

    /// The headers of the response to a request are there.
    pub fn response_headers(&mut self, context: ContextId) {
        if let Some(request) = self.requests.get(&context) {
            request.response_headers();
        }
    }

    /// The host forgets a context.
    pub fn delete(&mut self, context: ContextId) {
        if !self.requests.is_empty() {
            self.requests.remove(&context);
        }
        self.begun.retain(|(known, _)| *known != context);
        self.roots.retain(|(known, _)| *known != context);
    }
}
