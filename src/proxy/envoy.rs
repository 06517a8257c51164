//! The host trait over the Proxy-Wasm ABI.

use std::cell::RefCell;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::rc::Rc;
use std::time::{Duration, Instant};

use bearer_gate_hostcalls::{self as refusable, Metric};

use crate::host::{Call, CallId, Host, NoEntropy, SharedStore, Version, is_shared};
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
    metrics: Rc<RefCell<Vec<Numbered>>>,
    /// What the workers would share, where the host does not do that.
    alone: Option<Rc<RefCell<Vec<Kept>>>>,
}

/// A metric by its name, with the host's number of it; `None` for one that the host does not keep.
type Numbered = (String, Option<u32>);

/// A value by its name, and its version.
type Kept = (String, Vec<u8>, u32);

/// A clock that is earlier than this, in seconds since the Unix epoch, was not set: September 2020.
const EARLIEST: u64 = 1_600_000_000;

impl Default for Envoy {
    fn default() -> Self {
        Self {
            origin: (
                Millis(millis(unix_time().unwrap_or_default())),
                Instant::now(),
            ),
            metrics: Rc::default(),
            alone: None,
        }
    }
}

impl Envoy {
    /// Has this worker keep its data by itself, where the host does not share it.
    pub(super) fn try_sharing(&mut self) {
        if self.alone.is_none() && !is_shared(self, self.random()) {
            log::warn!(
                "the host shares no data between workers: each fetches keys by itself, and where \
                 people sign in every request is refused"
            );
            self.alone = Some(Rc::default());
        }
    }

    /// The host's number of a metric, which is defined when it is first used.
    fn metric(&self, kind: Metric, name: &str) -> Option<u32> {
        let mut metrics = self.metrics.borrow_mut();
        if let Some(at) = metrics.iter().position(|(known, _)| known == name) {
            metrics.swap(0, at);
            return metrics.first().and_then(|(_, id)| *id);
        }
        let id = refusable::define_metric(kind, name).ok();
        if id.is_none() {
            log::warn!("the host keeps no metrics");
        }
        metrics.push((name.to_owned(), id));
        id
    }

    fn add(&self, kind: Metric, name: &str, change: i64) {
        if let Some(id) = self.metric(kind, name)
            && refusable::increment_metric(id, change).is_err()
        {
            log::debug!("the host refused a change of {name}");
        }
    }
}

/// The time since the Unix epoch; `None` where the host does not tell it, or its clock was not set.
pub(super) fn unix_time() -> Option<Duration> {
    let now = Duration::from_nanos(refusable::now().ok()?);
    (now.as_secs() >= EARLIEST).then_some(now)
}

impl Host for Envoy {
    fn unix_seconds(&self) -> f64 {
        // What is no number is the time of no token and of no session.
        unix_time().map_or(f64::NAN, |now| now.as_secs_f64())
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
        let mut again = [0; 16];
        getrandom::fill(into)
            .and_then(|()| getrandom::fill(&mut again))
            .map_err(|_| NoEntropy)?;
        // A generator that begins anew each time is none.
        let is_new = !into.starts_with(&again);
        is_new.then_some(()).ok_or(NoEntropy)
    }

    fn sign(&self, argument: &[u8]) -> Option<Vec<u8>> {
        sign(argument)
    }

    fn shares(&self) -> bool {
        self.alone.is_none()
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
        let timeout = u32::try_from(millis(call.timeout)).unwrap_or(u32::MAX);
        refusable::dispatch(&call.cluster, &headers, &call.body, timeout).ok()
    }

    fn tick_every(&self, period: Duration) {
        let period = u32::try_from(millis(period)).unwrap_or(u32::MAX);
        if refusable::tick_every(period).is_err() {
            log::warn!(
                "the host has no ticks: no keys are fetched, and requests that wait are not decided"
            );
        }
    }

    fn count(&self, counter: &str, by: u64) {
        let by = i64::try_from(by).unwrap_or(i64::MAX);
        self.add(Metric::Counter, counter, by);
    }

    fn gauge(&self, gauge: &str, value: u64) {
        if let Some(id) = self.metric(Metric::Gauge, gauge)
            && refusable::record_metric(id, value).is_err()
        {
            log::debug!("the host refused a value of {gauge}");
        }
    }

    fn gauge_add(&self, gauge: &str, change: i64) {
        self.add(Metric::Gauge, gauge, change);
    }
}

impl SharedStore for Envoy {
    fn read(&self, key: &str) -> Option<(Vec<u8>, Version)> {
        if let Some(alone) = &self.alone {
            let alone = alone.borrow();
            let (_, value, version) = alone.iter().find(|(known, ..)| known == key)?;
            return Some((value.clone(), Version(*version)));
        }
        let (value, version) = refusable::shared(key).ok()??;
        Some((value, Version(version)))
    }

    fn write(&self, key: &str, value: &[u8], expected: Version) -> bool {
        if let Some(alone) = &self.alone {
            let mut alone = alone.borrow_mut();
            match alone.iter_mut().find(|(known, ..)| known == key) {
                Some((_, kept, version)) if *version == expected.0 => {
                    value.clone_into(kept);
                    *version = version.wrapping_add(1);
                }
                None if expected == Version::ABSENT => {
                    alone.push((key.to_owned(), value.to_vec(), 1));
                }
                _ => return false,
            }
            return true;
        }
        let write = |version| refusable::set_shared(key, value, version).is_ok();
        if write(expected.0) {
            return true;
        }
        // Some hosts create a value only if the version is 0, which others take for any version.
        // Where it is for creation alone, a second write is refused.
        expected == Version::ABSENT
            && matches!(refusable::shared(key), Ok(None))
            && write(ANY)
            && !write(ANY)
    }
}

/// By the ABI, the version that every value has.
const ANY: u32 = 0;

/// Envoy's foreign function that signs.
pub(super) fn sign(argument: &[u8]) -> Option<Vec<u8>> {
    refusable::call(FUNCTION, argument).ok()?
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
        refusable::call(name, argument).ok()?
    }
}
