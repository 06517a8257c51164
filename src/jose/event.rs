//! What is told of a token while it is decided.

use std::time::Duration;

use super::claims::{Claims, NumericDate};
use super::json::Element;
use super::jwa::Algorithm;
use super::jwk::Key;
use super::jws::JoseHeader;
use super::token_type::TokenType;

/// What is told of a token.
#[derive(Clone, Copy)]
pub enum Event<'e> {
    /// It is well-formed, and this is what it says; nothing of it is verified.
    Parsed {
        header: &'e JoseHeader,
        claims: &'e Claims,
    },
    /// It was compared with what is expected.
    Checked { check: Check<'e>, holds: bool },
    /// A key was tried on its signature.
    Tried { key: &'e Key, verifies: bool },
}

/// A check: what is found, and what is expected.
#[derive(Clone, Copy)]
pub enum Check<'e> {
    Algorithm {
        found: Algorithm,
        allowed: &'e [Algorithm],
    },
    Issuer {
        found: Option<&'e str>,
        expected: &'e str,
    },
    NotBefore(Time),
    Expiration(Time),
    /// There is no `exp`.
    NoExpiration,
    /// `exp` must be less than this far away.
    Lifetime(Duration),
    IssuedAt(Time),
    /// `aud` must name one of these.
    Audience {
        found: Option<Element<'e>>,
        expected: &'e [String],
    },
    Subject(Option<&'e str>),
    /// There is `cnf`.
    Confirmation,
    Type {
        found: Option<&'e str>,
        expected: TokenType,
    },
}

/// A time that a token says.
#[derive(Clone, Copy)]
pub struct Time {
    pub date: NumericDate,
    /// When it is compared, in seconds since the Unix epoch.
    pub now: f64,
    pub leeway_seconds: u64,
}
