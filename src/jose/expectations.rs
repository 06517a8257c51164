//! What a provider's tokens have to say, RFC 7519 section 4.1 and RFC 8725 section 3.
//!
//! Invariant: what is compared is compared exactly, and every comparison of times is written so that a
//! clock which is not a number fails it.

use std::time::Duration;

use super::claims::Claims;
use super::error::JwtError;
use super::jwa::Algorithm;
use super::jws::JoseHeader;
use super::token_type::TokenType;
use crate::text::TextMatcher;

/// What a provider's tokens have to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectations {
    /// The one `iss`; `None` takes any, and none.
    pub issuer: Option<String>,
    /// `aud` has to name one of these; an empty list takes any, and none.
    pub audiences: Vec<String>,
    /// The algorithms that may be used; an empty list allows none.
    pub algorithms: Vec<Algorithm>,
    /// How far the issuer's clock may be from ours, in seconds.
    pub clock_skew_seconds: u64,
    /// Whether a token without `exp` is refused.
    pub require_expiration: bool,
    /// Whether a token with `cnf` passes although possession is not checked.
    pub allow_sender_constrained: bool,
    /// What `sub` has to be like; a token without one is tested as if it were empty.
    pub subjects: Option<TextMatcher>,
    /// `exp` has to be there and less than this far away.
    pub max_lifetime: Option<Duration>,
    /// What the token has to be; `None` does not look at `typ`.
    pub token_type: Option<TokenType>,
}

impl Expectations {
    /// Compares a token's header and claims with them at `now`, in seconds since the epoch.
    pub(super) fn check(
        &self,
        header: &JoseHeader,
        claims: &Claims,
        now: f64,
    ) -> Result<(), JwtError> {
        if !self.algorithms.contains(&header.algorithm) {
            return Err(JwtError::AlgorithmNotAllowed);
        }
        if self.issuer.is_some() && claims.issuer() != self.issuer.as_deref() {
            return Err(JwtError::Issuer);
        }
        self.check_times(claims, now)?;
        self.check_audience(claims)?;
        if let Some(subjects) = &self.subjects
            && !subjects.matches(claims.subject().unwrap_or_default().as_bytes())
        {
            return Err(JwtError::Subject);
        }
        if claims.confirmation && !self.allow_sender_constrained {
            return Err(JwtError::SenderConstrained);
        }
        match self.token_type {
            Some(wanted) => wanted.check(header.typ.as_deref(), claims),
            None => Ok(()),
        }
    }

    /// `exp`, `nbf` and `iat`.
    pub(super) fn check_times(&self, claims: &Claims, now: f64) -> Result<(), JwtError> {
        // Exact: a skew of 2^53 seconds or more is as good as any.
        let skew = self.clock_skew_seconds as f64;
        if let Some(not_before) = claims.not_before
            && !at_most(not_before.seconds(), now + skew)
        {
            return Err(JwtError::NotYetValid);
        }
        match claims.expires_at {
            Some(expires_at) if !at_most(now, expires_at.seconds() + skew) => {
                return Err(JwtError::Expired);
            }
            None if self.require_expiration || self.max_lifetime.is_some() => {
                return Err(JwtError::NoExpiration);
            }
            _ => {}
        }
        if let (Some(expires_at), Some(most)) = (claims.expires_at, self.max_lifetime) {
            let left = expires_at.seconds() - now;
            // as jwt_authn has it: strictly less, and without the skew
            if at_most(most.as_secs_f64(), left) || left.is_nan() {
                return Err(JwtError::Lifetime);
            }
        }
        if let Some(issued_at) = claims.issued_at
            && !at_most(issued_at.seconds(), now + skew)
        {
            return Err(JwtError::IssuedInFuture);
        }
        Ok(())
    }

    /// An empty list takes any audience, and none.
    pub(super) fn check_audience(&self, claims: &Claims) -> Result<(), JwtError> {
        let audiences = &self.audiences;
        let expected = |one: &str| audiences.iter().any(|known| known == one);
        if audiences.is_empty() || claims.audiences().any(expected) {
            Ok(())
        } else {
            Err(JwtError::Audience)
        }
    }
}

fn at_most(earlier: f64, later: f64) -> bool {
    earlier <= later
}
