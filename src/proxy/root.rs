//! The root context, one per worker and plugin: configuration, ticks, responses
//! to calls.

use std::rc::Rc;

use bearer_gate_hostcalls::{self as refusable, Buffer, Map};

use super::envoy::{Envoy, sign, unix_time};
use super::log::{begin_anew, follow_level};
use super::request::Request;
use super::{Edge, Promised, Released, filter_state};
use crate::config::Config;
use crate::door::Carried;
use crate::gate::{Gate, Verdicts};
use crate::host::{CallId, ContextId, Reply};
use crate::http::{cache_control, retry_after};
use crate::jose::verifier::Verifier;

/// The root context. Without a valid configuration it has no gate, and its
/// requests are rejected.
#[derive(Default)]
pub(super) struct Root {
    envoy: Envoy,
    gate: Option<Rc<Gate<Envoy>>>,
    promised: Promised,
    released: Released,
}

impl Root {
    /// Carries out the verdicts on requests that waited.
    fn settle(&self, gate: &Gate<Envoy>, verdicts: Verdicts<'_>) {
        for (context, verdict) in verdicts {
            // An error: the request is gone, and its own context has told the gate.
            if refusable::set_effective_context(context).is_err() {
                continue;
            }
            let edge = Edge::new(context, &self.promised);
            if gate.conclude(&verdict, &edge) == Carried::Admitted {
                self.released.note(context);
                if refusable::resume_request().is_err() {
                    log::debug!("request {context} could not be resumed");
                }
            }
        }
    }

    /// Whether the configuration, of so many octets, is one.
    pub(super) fn configure(&mut self, size: usize) -> bool {
        follow_level();
        begin_anew();
        let configuration =
            refusable::buffer(Buffer::PluginConfiguration, size).unwrap_or_default();
        let verifier = choose_verifier();
        let environment = |name: &str| std::env::var(name).ok();
        let parsed = Config::parse_for(&configuration, &*verifier, &environment);
        match parsed.and_then(|config| config.try_keys(&sign).map(|()| config)) {
            Ok(config) => {
                filter_state::declare(&config);
                self.envoy.try_sharing();
                log::info!(
                    "configured: {} providers, {} rules, signatures verified by the {} verifier",
                    config.providers.len(),
                    config.rules.all().len(),
                    verifier.name()
                );
                self.gate = Some(Rc::new(Gate::new(self.envoy.clone(), config, verifier)));
                true
            }
            Err(error) => {
                log::error!("configuration refused: {error}");
                false
            }
        }
    }

    pub(super) fn tick(&self) {
        follow_level();
        if let Some(gate) = &self.gate {
            self.settle(gate, gate.tick());
        }
    }

    /// A call has ended. `headers`: how many; none where it failed. `body`: in octets.
    pub(super) fn reply(&self, call: CallId, headers: usize, body: usize) {
        if let Some(gate) = &self.gate {
            // No request waits for it, so it is not read.
            let Some(most) = gate.most(call) else {
                return;
            };
            let reply = read_reply(headers, body, most);
            self.settle(gate, gate.reply(call, reply));
        }
    }

    /// A request begins.
    pub(super) fn request(&self, context: ContextId) -> Request {
        let gate = self.gate.clone().ok_or_else(|| self.envoy.clone());
        Request::new(context, gate, self.promised.clone(), self.released.clone())
    }
}

/// The plugin was replaced, and nothing is called back any more.
impl Drop for Root {
    fn drop(&mut self) {
        if let Some(gate) = &self.gate {
            gate.end();
        }
    }
}

/// The reference verifier alone, in a module that was built to be compared with.
#[cfg(feature = "jwt-simple")]
fn choose_verifier() -> Box<dyn Verifier> {
    Box::new(crate::signature::reference::Reference)
}

/// With the host's verifier for the kinds of keys whose known answer it passes.
#[cfg(not(feature = "jwt-simple"))]
fn choose_verifier() -> Box<dyn Verifier> {
    use super::envoy::Foreign;
    use crate::jose::jwa::Algorithm;
    use crate::signature::host::HostVerifier;
    use crate::signature::hybrid::Hybrid;

    let hybrid = Hybrid::new(HostVerifier(Foreign));
    let failed: Vec<_> = hybrid
        .failed_by_host()
        .into_iter()
        .map(Algorithm::name)
        .collect();
    if !failed.is_empty() {
        log::warn!("the host does not verify {}", failed.join(", "));
    }
    Box::new(hybrid)
}

/// The response that the host holds. A failed call has no headers; the body is read only within the cap.
fn read_reply(headers: usize, body_size: usize, most: usize) -> Reply {
    if headers == 0 {
        return Reply::None;
    }
    if body_size > most {
        return Reply::TooLarge(body_size);
    }
    let mut headers = Vec::new();
    let mut keep = |name: &str, value: &[u8]| headers.push((name.to_owned(), value.to_vec()));
    if refusable::fields(Map::CallResponseHeaders, &mut keep).is_err() {
        headers.clear();
    }
    let header = |name| {
        let mut headers = headers.iter();
        headers.find(|(known, _)| known == name)
    };
    let value = |name| header(name).map_or(&[][..], |(_, value)| value);
    let status = str::from_utf8(value(":status"))
        .ok()
        .and_then(|status| status.parse().ok())
        .unwrap_or(0);
    // A list, whose members may come in lines of their own.
    let mut cache_control = Vec::new();
    for (name, value) in &headers {
        if name == "cache-control" {
            cache_control.extend_from_slice(value);
            cache_control.push(b',');
        }
    }
    let body = refusable::buffer(Buffer::CallResponseBody, body_size).unwrap_or_default();
    Reply::Response {
        status,
        max_age: cache_control::fresh_for(&cache_control, value("age")),
        retry_after: header("retry-after").and_then(|(_, wait)| {
            // A date is compared with the sender's clock, where it tells it.
            let now = retry_after::date(value("date"));
            let ours = || {
                let now = unix_time().unwrap_or_default();
                i64::try_from(now.as_secs()).unwrap_or(0)
            };
            retry_after::retry_after(wait, now.unwrap_or_else(ours))
        }),
        location: header("location").map(|(_, value)| value.clone()),
        content_type: header("content-type").map(|(_, value)| value.clone()),
        body,
    }
}
