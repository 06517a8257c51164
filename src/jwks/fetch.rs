//! One call's outcome: what came back, and why it may bring no keys.

use std::fmt;
use std::time::Duration;

use super::MAX_DOCUMENT;
use super::discovery::DiscoveryError;
use crate::jose::jwks::JwksError;

/// The response to a [`Call`](crate::host::Call), its body bounded by
/// [`MAX_DOCUMENT`].
#[derive(Debug)]
pub enum Answer {
    /// The proxy refused the call: unknown or empty cluster.
    NotSent,
    /// No response: the connection failed or closed half-way.
    None,
    /// A body over the cap, in bytes; it was not read.
    TooLarge(usize),
    Response {
        status: u16,
        /// `max-age` of `Cache-Control`.
        max_age: Option<Duration>,
        body: Vec<u8>,
    },
}

/// Why a fetch brought no keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchError {
    NotSent,
    NoResponse,
    TooLarge(usize),
    /// Anything but 200. A timeout arrives as 504, a dead host as 503.
    Status(u16),
    Metadata(DiscoveryError),
    Jwks(JwksError),
    NotUtf8,
    /// Shared data took no write.
    NotShared,
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FetchError::NotSent => {
                f.write_str("the call was refused: is the cluster defined and has it hosts?")
            }
            FetchError::NoResponse => f.write_str("no response"),
            FetchError::TooLarge(bytes) => write!(
                f,
                "a body of {bytes} bytes, over the cap of {}",
                MAX_DOCUMENT
            ),
            FetchError::Status(504) => f.write_str("status 504 (also a timeout)"),
            FetchError::Status(503) => f.write_str("status 503 (also an unreachable host)"),
            FetchError::Status(status) => write!(f, "status {status}"),
            FetchError::Metadata(error) => error.fmt(f),
            FetchError::Jwks(error) => f.write_str(error.description()),
            FetchError::NotUtf8 => f.write_str("the JWK Set is not UTF-8"),
            FetchError::NotShared => f.write_str("shared data took no write"),
        }
    }
}

impl Answer {
    /// The body and its `max-age`, of a response that is 200.
    pub(super) fn document(self) -> Result<(Vec<u8>, Option<Duration>), FetchError> {
        match self {
            Answer::NotSent => Err(FetchError::NotSent),
            Answer::None => Err(FetchError::NoResponse),
            Answer::TooLarge(bytes) => Err(FetchError::TooLarge(bytes)),
            Answer::Response {
                status: 200,
                max_age,
                body,
            } => Ok((body, max_age)),
            Answer::Response { status, .. } => Err(FetchError::Status(status)),
        }
    }
}
