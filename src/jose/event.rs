//! The steps of a decision about a token, for a listener.

use std::time::Duration;

use super::claims::{Claims, NumericDate};
use super::issuer::{Issuer, NotOurs};
use super::json::Element;
use super::jwa::Algorithm;
use super::jwk::Key;
use super::jws::JoseHeader;
use super::token_type::TokenType;

/// A step of the parsing, validation or verification of a token.
#[derive(Clone, Copy)]
pub enum Event<'e> {
    /// The token is well-formed, and says this. Nothing of it is verified yet.
    Parsed {
        /// The JOSE header.
        header: &'e JoseHeader,
        /// The claims set.
        claims: &'e Claims,
    },
    /// The token was compared with what is expected.
    Checked {
        /// What was compared.
        check: Check<'e>,
        /// Whether it is as expected.
        holds: bool,
    },
    /// A key is for the tokens of another issuer, and is not tried.
    OfAnother(&'e Key),
    /// A key was tried on the token's signature.
    Tried {
        /// The key, one of the candidates.
        key: &'e Key,
        /// Whether the signature is by this key.
        verifies: bool,
    },
}

/// A check: what is found, and what is expected.
#[derive(Clone, Copy)]
pub enum Check<'e> {
    /// `alg` must be one of those that the provider allows.
    Algorithm {
        /// The token's `alg`.
        found: Algorithm,
        /// Those of the provider.
        allowed: &'e [Algorithm],
    },
    /// `signer` must be the provider's load balancer.
    Signer {
        /// The token's `signer`, if it is a text.
        found: Option<&'e str>,
        /// The provider's load balancer.
        expected: &'e str,
    },
    /// `client` must be one of the load balancer's.
    Client {
        /// The token's `client`, if it is a text.
        found: Option<&'e str>,
        /// The clients whose tokens pass.
        expected: &'e [String],
    },
    /// `iss` must be an issuer of the provider, or `sub` of its trust domain.
    Issuer {
        /// The token's claims.
        claims: &'e Claims,
        /// The provider's issuers, or its trust domain.
        expected: &'e Issuer,
        /// Why the token is none of theirs, if it is not.
        outcome: Result<(), NotOurs>,
    },
    /// `nbf` must not be in the future.
    NotBefore(Time),
    /// `exp` must not have passed.
    Expiration(Time),
    /// There is no `exp`.
    NoExpiration,
    /// `exp` must be less than this far away.
    Lifetime(Duration),
    /// `iat` must not be in the future.
    IssuedAt(Time),
    /// `aud` must name one of these.
    Audience {
        /// The token's `aud`, as it is written.
        found: Option<Element<'e>>,
        /// The audiences of the provider or of the rule.
        expected: &'e [String],
    },
    /// `sub` must pass the provider's test. The value is there if it is a text.
    Subject(Option<&'e str>),
    /// The token has `cnf`.
    Confirmation,
    /// `typ` must be the one of the expected type, and its claims must be there.
    Type {
        /// The token's `typ`, as it is written.
        found: Option<&'e str>,
        /// The type that the provider requires.
        expected: TokenType,
    },
}

/// A time in a token.
#[derive(Clone, Copy)]
pub struct Time {
    /// The claim's value.
    pub date: NumericDate,
    /// The time that it is compared with, in seconds since the Unix epoch.
    pub now: f64,
    /// How far the issuer's clock may differ.
    pub leeway_seconds: u64,
}
