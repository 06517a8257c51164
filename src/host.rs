//! What the filter asks of the proxy that it runs in, as one trait.
//!
//! Architecture invariant: nothing outside `proxy` calls the host by any other
//! way, and time and randomness reach the core only from here. Tests put a
//! recording host in the proxy's place.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use crate::http::uri::{Scheme, Uri};
use crate::signature::assertion::Assertion;
use crate::time::Millis;

/// Identifies a call that [`Host::dispatch`] sent, until its response arrives.
pub type CallId = u32;

/// Identifies a request's context in the proxy.
pub type ContextId = u32;

/// An HTTP request to one of the proxy's clusters.
///
/// Its `Debug` form leaves out headers and body, for they may hold a secret of a client.
#[derive(Clone, PartialEq, Eq)]
pub struct Call {
    /// The Envoy cluster that it goes to, by its name in Envoy's configuration.
    pub cluster: String,
    /// GET, or POST with `body`.
    pub method: Method,
    /// For `:scheme`; the cluster decides whether there is TLS.
    pub scheme: Scheme,
    /// For `:authority`: the host, and its port where that is not the scheme's.
    pub authority: String,
    /// Path and query.
    pub path: String,
    /// Names in lower case, values safe to send as they are. The host adds what every call has.
    pub headers: Vec<(&'static str, String)>,
    /// Empty for a GET.
    pub body: Vec<u8>,
    /// From the call to the end of its response; the proxy then gives up.
    pub timeout: Duration,
    /// The longest body of a response that is read, in octets.
    pub most: usize,
    /// What is signed and added to the form in `body` each time that the call is sent.
    pub assertion: Option<Rc<Assertion>>,
}

/// The method of a [`Call`] (RFC 9110 section 9.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Asks for a document, without a body.
    Get,
    /// Sends a form.
    Post,
}

impl Method {
    /// As `:method` carries it, in upper case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method.name(), self.address())
    }
}

/// What came of a [`Call`].
#[derive(Debug)]
pub enum Reply {
    /// The proxy refused the call: unknown or empty cluster.
    NotSent,
    /// No response: the connection failed or closed half-way.
    None,
    /// A body over [`Call::most`], in octets; it was not read.
    TooLarge(usize),
    /// An answer, whatever its status.
    Response {
        /// The status code; 0 where the proxy tells none.
        status: u16,
        /// `max-age` of `Cache-Control`, less `Age`.
        max_age: Option<Duration>,
        /// `Retry-After`, counted from now.
        retry_after: Option<Duration>,
        /// `Location`, for the log: it is not followed.
        location: Option<Vec<u8>>,
        /// `Content-Type`, for the log: whatever it is, the body decides.
        content_type: Option<Vec<u8>>,
        /// At most [`Call::most`] octets.
        body: Vec<u8>,
    },
}

#[cfg(test)]
impl Reply {
    /// A response that says nothing but this.
    pub(crate) fn of_test(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::Response {
            status,
            max_age: None,
            retry_after: None,
            location: None,
            content_type: None,
            body: body.into(),
        }
    }
}

/// The host has no randomness that a secret can be made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoEntropy;

impl Call {
    /// A GET without headers of its own.
    #[must_use]
    pub fn get(uri: Uri, cluster: &str, timeout: Duration, most: usize) -> Self {
        Self {
            cluster: cluster.to_owned(),
            method: Method::Get,
            scheme: uri.scheme,
            authority: uri.authority,
            path: uri.path,
            headers: Vec::new(),
            body: Vec::new(),
            timeout,
            most,
            assertion: None,
        }
    }

    /// What is asked for, as one text.
    #[must_use]
    pub fn address(&self) -> String {
        format!("{}://{}{}", self.scheme.name(), self.authority, self.path)
    }
}

/// Data that all workers of the process share (proxy-wasm shared data).
///
/// Values are never empty: an empty value reads back as no value.
pub trait SharedStore {
    /// The value and the version with which it can be replaced.
    fn read(&self, key: &str) -> Option<(Vec<u8>, Version)>;

    /// Replaces the value if it still has `expected`, or creates it if there is
    /// none and `expected` is [`Version::ABSENT`]. Returns whether it did.
    fn write(&self, key: &str, value: &[u8], expected: Version) -> bool;
}

/// Replaces a shared value by what `change` makes of it. Where another worker is faster, `change` is
/// called again with what that worker wrote, `tries` times at most. It gets `None` where there is no
/// value, and returns the new value with whatever the caller wants to know of it. `None` where other
/// workers were always faster, or shared data refuses the write.
///
/// # Errors
/// Those of `change`; then nothing is replaced.
pub fn replace<T, E>(
    store: &dyn SharedStore,
    key: &str,
    tries: u32,
    mut change: impl FnMut(Option<Vec<u8>>) -> Result<(Vec<u8>, T), E>,
) -> Result<Option<T>, E> {
    for _ in 0..tries {
        let (value, version) = store
            .read(key)
            .map_or((None, Version::ABSENT), |(value, version)| {
                (Some(value), version)
            });
        let (value, told) = change(value)?;
        if store.write(key, &value, version) {
            return Ok(Some(told));
        }
    }
    Ok(None)
}

/// Whether values are shared as [`SharedStore`] says: a value that is written is read back, and one
/// that was changed is not replaced by who has not seen that. `drawn`: random bits that no other worker
/// has.
pub fn is_shared(store: &dyn SharedStore, drawn: u64) -> bool {
    const KEY: &str = "bearer-gate probe";
    for tried in 0..PROBES {
        let version = || store.read(KEY).map(|(_, version)| version);
        let before = version().unwrap_or(Version::ABSENT);
        let value = drawn.wrapping_add(tried).to_le_bytes();
        let written = store.write(KEY, &value, before);
        match store.read(KEY) {
            Some((read, now)) if written && read == value => {
                return now != before && !store.write(KEY, &value, before);
            }
            // Another worker was faster.
            Some((_, now)) if now != before => {}
            _ => return false,
        }
    }
    // What others always change is shared.
    true
}

/// How often [`is_shared`] tries where other workers are faster.
const PROBES: u64 = 16;

/// The compare-and-swap version of a shared value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version(pub u32);

impl Version {
    /// Matches no stored value. The host's CAS lets any write to a missing key
    /// pass and refuses a mismatch on an existing one, so a number that no
    /// value has creates the key exactly when it is absent.
    pub const ABSENT: Self = Self(u32::MAX);
}

/// The proxy, as the filter's core sees it.
pub trait Host: SharedStore {
    /// Seconds since the Unix epoch, with their fraction: the time of tokens and sessions.
    fn unix_seconds(&self) -> f64;

    /// A clock that no adjustment moves, common to all workers of the process.
    fn monotonic(&self) -> Millis;

    /// Uniformly distributed bits, for jitter and for telling workers apart. No secret is made of
    /// them.
    fn random(&self) -> u64;

    /// Fills `into` from a cryptographically secure generator, for nonces, states and the like.
    ///
    /// # Errors
    /// There is none at hand; `into` is then not to be used.
    fn entropy(&self, into: &mut [u8]) -> Result<(), NoEntropy>;

    /// Calls the host's function that signs, see [`crate::signature::assertion`]. `None` where the
    /// host has no such function, or it failed.
    fn sign(&self, argument: &[u8]) -> Option<Vec<u8>> {
        let _ = argument;
        None
    }

    /// Whether [`SharedStore`] is what it says. Where it is not, each worker keeps its own data.
    fn shares(&self) -> bool {
        true
    }

    /// Sends `call`; its response reaches the root context. `None` where the
    /// proxy refused at once, as it does for a cluster that does not exist.
    fn dispatch(&self, call: &Call) -> Option<CallId>;

    /// Has the root context called every `period` from now on.
    fn tick_every(&self, period: Duration);

    /// Adds to the counter with this name; see [`metrics`](crate::metrics).
    fn count(&self, counter: &str, by: u64);

    /// Sets the gauge with this name.
    fn gauge(&self, gauge: &str, value: u64);

    /// Moves the gauge with this name, which all workers share.
    fn gauge_add(&self, gauge: &str, change: i64);
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    /// A store of one value that keeps to its word, except for what it is told.
    #[derive(Default)]
    struct Store {
        value: RefCell<Option<(Vec<u8>, u32)>>,
        refuses: bool,
        forgets: bool,
        ignores_versions: bool,
        /// Between a read and a write, so often.
        others_are_faster: Cell<u64>,
    }

    impl Store {
        fn put(&self, value: &[u8]) {
            let version = self
                .value
                .borrow()
                .as_ref()
                .map_or(0, |(_, version)| *version);
            *self.value.borrow_mut() = Some((value.to_vec(), version + 1));
        }
    }

    impl SharedStore for Store {
        fn read(&self, _: &str) -> Option<(Vec<u8>, Version)> {
            let (value, version) = self.value.borrow().clone()?;
            Some((value, Version(version)))
        }

        fn write(&self, _: &str, value: &[u8], expected: Version) -> bool {
            if let Some(left) = self.others_are_faster.get().checked_sub(1) {
                self.others_are_faster.set(left);
                self.put(b"another's");
            }
            let version = self
                .read("")
                .map_or(Version::ABSENT, |(_, version)| version);
            if self.refuses || (version != expected && !self.ignores_versions) {
                return false;
            }
            if !self.forgets {
                self.put(value);
            }
            true
        }
    }

    #[test]
    fn data_is_shared_where_the_host_keeps_to_its_word() {
        let store = Store::default;
        let faster = |times| Store {
            others_are_faster: Cell::new(times),
            ..store()
        };
        let table = [
            ("as it says", store(), true),
            ("others are faster", faster(3), true),
            ("others are always faster", faster(u64::MAX), true),
            (
                "refuses",
                Store {
                    refuses: true,
                    ..store()
                },
                false,
            ),
            (
                "forgets",
                Store {
                    forgets: true,
                    ..store()
                },
                false,
            ),
            (
                "ignores versions",
                Store {
                    ignores_versions: true,
                    ..store()
                },
                false,
            ),
        ];
        for (what, store, expected) in table {
            assert_eq!(is_shared(&store, 7), expected, "{what}");
            // And where there is a value already.
            store.put(b"before");
            assert_eq!(is_shared(&store, 7), expected, "{what}");
        }
    }
}
