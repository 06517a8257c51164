//! The session of a person who signed in with a browser, and the flow that begins it (OpenID
//! Connect Core 1.0, RFC 6265bis).
//!
//! Architecture Invariant: pure functions. Time, randomness and keys are arguments; nothing here
//! knows the host or the configuration.
//!
//! Architecture Invariant: nothing that comes from a browser is read before [`seal`] has opened it,
//! and a sealed value opens for one purpose, scheme and host only.

pub mod browser;
pub mod cookie;
pub mod flow;
pub mod life;
pub mod seal;
pub mod site;
pub mod stored;

/// How far in the future a time from another Envoy may be, in seconds.
pub const CLOCK_SKEW: u64 = 60;
