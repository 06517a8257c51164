//! The life of a provider's keys, from the identity provider to a decision.
//!
//! Tick: a fetch is due, one worker takes the lease and calls, the answer
//! becomes a [`Snapshot`](crate::document::snapshot::Snapshot) in shared data, every worker
//! installs it and decides the requests that wait for it.
//!
//! Architecture invariant: no clock, no socket, no randomness of its own. Time,
//! random bits and shared data come in as a [`Now`](crate::document::Now), and a call to be made is a
//! value that the caller sends.

pub mod discovery;
pub mod event;
pub mod fetch;
pub mod lifecycle;
pub mod metadata;
pub mod sequence;
pub mod shown;

/// The largest document that is read: a JWK Set or provider metadata, in bytes.
/// The largest JWK Sets in use have some tens of keys and stay below 64 KiB.
pub const MAX_DOCUMENT: usize = crate::jose::jwks::MAX_DOCUMENT_LEN;
