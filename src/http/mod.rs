//! What the filter reads from a request and what it answers (RFC 6750, RFC 9110).
//!
//! Architecture Invariant: pure functions over bytes. Nothing here knows Envoy, and no text that a
//! client sent is sent back: [`response`] uses fixed words and those of the configuration.
//!
//! Architecture Invariant: rules and places compare each part in the form in which upstreams read
//! it. Each kind of part gets that form in one module: [`path`], [`method`], [`authority`],
//! [`value`], [`name`]. A part with several readings is [`ambiguous`].

pub mod ambiguous;
pub mod authority;
pub mod basic;
pub mod cache_control;
pub mod chunks;
pub mod credentials;
mod extracted;
pub mod method;
pub mod name;
pub mod path;
pub mod protected_resource;
pub mod request;
pub mod response;
pub mod retry_after;
pub mod subprotocol;
pub mod uri;
pub mod value;

/// A character of a token (RFC 9110 section 5.6.2).
#[must_use]
pub fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}
