//! What the filter reads from a request and what it answers (RFC 6750, RFC 9110).
//!
//! Architecture Invariant: pure functions over bytes. Nothing here knows Envoy, and no text that
//! a client sent leaves through here: [`response`] speaks in fixed words and the configuration's.

pub mod cache_control;
pub mod credentials;
pub mod path;
pub mod protected_resource;
pub mod request;
pub mod response;
pub mod retry_after;
pub mod uri;
