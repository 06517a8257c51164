//! The host trait over the proxy-wasm ABI.

use std::cell::RefCell;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use proxy_wasm::hostcalls;
use proxy_wasm::types::MetricType;

use crate::host::{Call, CallId, Host, NoEntropy, SharedStore, Version};
use crate::signature::assertion::FUNCTION;
use crate::signature::host::ForeignFunction;
use crate::time::{Millis, millis};

#[derive(Clone)]
pub(super) struct Envoy {
    /// Where this worker's monotonic clock starts, on the scale that all
    /// workers share: the Unix time of the start. WASI's own monotonic origin
    /// is out of reach of safe code.
    origin: (Millis, Instant),
    /// What was asked for last is first: mostly the one that every request counts.
    metrics: Rc<RefCell<Vec<(String, u32)>>>,
}

impl Default for Envoy {
    fn default() -> Self {
        Self {
            origin: (Millis(millis(unix_time())), Instant::now()),
            metrics: Rc::default(),
        }
    }
}

impl Envoy {
    /// The host's number of a metric, which is defined when it is first used.
    fn metric(&self, kind: MetricType, name: &str) -> Option<u32> {
        let mut metrics = self.metrics.borrow_mut();
        if let Some(at) = metrics.iter().position(|(known, _)| known == name) {
            metrics.swap(0, at);
            return metrics.first().map(|(_, id)| *id);
        }
        let id = hostcalls::define_metric(kind, name).ok()?;
        metrics.push((name.to_owned(), id));
        Some(id)
    }

    fn add(&self, kind: MetricType, name: &str, change: i64) {
        if let Some(id) = self.metric(kind, name)
            && hostcalls::increment_metric(id, change).is_err()
        {
            log::debug!("the host refused a change of {name}");
        }
    }
}

pub(super) fn unix_time() -> Duration {
    // Infallible in the SDK; an error would read as 1970, when no token is valid
    // yet that says when it was issued.
    hostcalls::get_current_time()
        .ok()
        .and_then(|now| now.duration_since(SystemTime::UNIX_EPOCH).ok())
        .unwrap_or_default()
}

impl Host for Envoy {
    fn unix_seconds(&self) -> f64 {
        unix_time().as_secs_f64()
    }

    fn monotonic(&self) -> Millis {
        self.origin.0.after(self.origin.1.elapsed())
    }

    fn random(&self) -> u64 {
        // Each state has its own key, from the host's random_get.
        RandomState::new().build_hasher().finish()
    }

    fn entropy(&self, into: &mut [u8]) -> Result<(), NoEntropy> {
        // The host's random_get, and nothing that is derived from it: the standard library's
        // hashers are made to be fast, and not to be secret.
        getrandom::fill(into).map_err(|_| NoEntropy)
    }

    fn sign(&self, argument: &[u8]) -> Option<Vec<u8>> {
        sign(argument)
    }

    fn dispatch(&self, call: &Call) -> Option<CallId> {
        let mut headers = vec![
            (":method", call.method.name()),
            (":scheme", call.scheme.name()),
            (":authority", &call.authority),
            (":path", &call.path),
            ("user-agent", "bearer-gate"),
        ];
        if !call.headers.iter().any(|(name, _)| *name == "accept") {
            headers.push(("accept", "application/json"));
        }
        let own = call.headers.iter();
        headers.extend(own.map(|(name, value)| (*name, value.as_str())));
        let body = (!call.body.is_empty()).then_some(&*call.body);
        hostcalls::dispatch_http_call(&call.cluster, headers, body, Vec::new(), call.timeout).ok()
    }

    fn tick_every(&self, period: Duration) {
        if hostcalls::set_tick_period(period).is_err() {
            log::warn!("the host refused a tick period");
        }
    }

    fn count(&self, counter: &str, by: u64) {
        let by = i64::try_from(by).unwrap_or(i64::MAX);
        self.add(MetricType::Counter, counter, by);
    }

    fn gauge(&self, gauge: &str, value: u64) {
        if let Some(id) = self.metric(MetricType::Gauge, gauge)
            && hostcalls::record_metric(id, value).is_err()
        {
            log::debug!("the host refused a value of {gauge}");
        }
    }

    fn gauge_add(&self, gauge: &str, change: i64) {
        self.add(MetricType::Gauge, gauge, change);
    }
}

impl SharedStore for Envoy {
    fn read(&self, key: &str) -> Option<(Vec<u8>, Version)> {
        let (value, version) = hostcalls::get_shared_data(key).ok()?;
        Some((value.unwrap_or_default(), Version(version?)))
    }

    fn write(&self, key: &str, value: &[u8], expected: Version) -> bool {
        hostcalls::set_shared_data(key, Some(value), Some(expected.0)).is_ok()
    }
}

/// Envoy's foreign function that signs.
pub(super) fn sign(argument: &[u8]) -> Option<Vec<u8>> {
    hostcalls::call_foreign_function(FUNCTION, Some(argument)).ok()?
}

/// The host's functions by name.
#[derive(Debug, Clone, Copy, Default)]
#[cfg_attr(
    feature = "jwt-simple",
    allow(dead_code, reason = "the reference verifies everything")
)]
pub(super) struct Foreign;

impl ForeignFunction for Foreign {
    fn call(&self, name: &str, argument: &[u8]) -> Option<Vec<u8>> {
        hostcalls::call_foreign_function(name, Some(argument)).ok()?
    }
}
