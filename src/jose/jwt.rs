//! JSON Web Token: the chain of proofs, RFC 7519 section 7.2.
//!
//! Invariant: `Parsed -> Validated -> Verified`, each made only by the function that proved it.
//! What admits a request takes a [`Verified`], so an unverified admission does not compile.
//! Claims are validated before the signature is verified: comparing is cheap, RSA is not.

use std::sync::Arc;

use super::claims::Claims;
pub use super::error::JwtError;
use super::jwa::Algorithm;
use super::jwk::Key;
use super::jwks::MAX_CANDIDATES;
use super::jws::{self, JoseHeader, Jws};
use crate::signature::Verifier;

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
}

/// A well-formed token. Nothing in it is to be believed.
#[derive(Clone, Debug)]
pub struct Parsed<'t> {
    jws: Jws<'t>,
    claims: Arc<Claims>,
}

/// A token whose claims are what a provider expects, if its signature is good.
#[derive(Clone, Debug)]
pub struct Validated<'t> {
    jws: Jws<'t>,
    claims: Arc<Claims>,
}

/// A token whose claims are as expected and whose signature is by one of the provider's keys.
#[derive(Clone, Debug)]
pub struct Verified {
    claims: Arc<Claims>,
    payload_b64: String,
}

/// Reads a token.
///
/// # Errors
/// A [`JwtError`] from `TooLong` to `IssuedAtType`.
pub fn parse(token: &[u8]) -> Result<Parsed<'_>, JwtError> {
    let jws = jws::parse(token)?;
    let claims = Arc::new(Claims::parse(jws.untrusted_payload())?);
    Ok(Parsed { jws, claims })
}

impl<'t> Parsed<'t> {
    /// Who the client says issued the token: good for choosing a provider, for nothing else.
    #[must_use]
    pub fn untrusted_issuer(&self) -> Option<&str> {
        self.claims.issuer.as_deref()
    }

    /// What the client says about the signature.
    #[must_use]
    pub fn untrusted_header(&self) -> &JoseHeader {
        self.jws.untrusted_header()
    }

    /// Compares the claims with what the provider's tokens have to say at `now_unix_seconds`.
    ///
    /// # Errors
    /// A [`JwtError`] from `AlgorithmNotAllowed` to `SenderConstrained`.
    pub fn validate(
        self,
        expectations: &Expectations,
        now_unix_seconds: f64,
    ) -> Result<Validated<'t>, JwtError> {
        let algorithm = self.jws.untrusted_header().algorithm;
        if !expectations.algorithms.contains(&algorithm) {
            return Err(JwtError::AlgorithmNotAllowed);
        }
        if expectations.issuer.is_some() && self.claims.issuer != expectations.issuer {
            return Err(JwtError::Issuer);
        }
        validate_times(&self.claims, expectations, now_unix_seconds)?;
        if !expectations.audiences.is_empty() {
            let named = self.claims.audiences.as_deref().unwrap_or_default();
            if !named.iter().any(|one| expectations.audiences.contains(one)) {
                return Err(JwtError::Audience);
            }
        }
        if self.claims.confirmation && !expectations.allow_sender_constrained {
            return Err(JwtError::SenderConstrained);
        }
        Ok(Validated {
            jws: self.jws,
            claims: self.claims,
        })
    }
}

/// Every comparison is written so that a clock which is not a number fails it.
fn validate_times(claims: &Claims, expectations: &Expectations, now: f64) -> Result<(), JwtError> {
    // Exact: a skew of 2^53 seconds or more is as good as any.
    let skew = expectations.clock_skew_seconds as f64;
    if let Some(not_before) = claims.not_before
        && !at_most(not_before.seconds(), now + skew)
    {
        return Err(JwtError::NotYetValid);
    }
    match claims.expires_at {
        Some(expires_at) if !at_most(now, expires_at.seconds() + skew) => {
            return Err(JwtError::Expired);
        }
        None if expectations.require_expiration => return Err(JwtError::NoExpiration),
        _ => {}
    }
    if let Some(issued_at) = claims.issued_at
        && !at_most(issued_at.seconds(), now + skew)
    {
        return Err(JwtError::IssuedInFuture);
    }
    Ok(())
}

fn at_most(earlier: f64, later: f64) -> bool {
    earlier <= later
}

impl Validated<'_> {
    /// What the client says about the signature.
    #[must_use]
    pub fn untrusted_header(&self) -> &JoseHeader {
        self.jws.untrusted_header()
    }

    /// Verifies the signature with the first of at most [`MAX_CANDIDATES`] keys that does.
    ///
    /// # Errors
    /// [`JwtError::NoKey`] where no candidate is for the token's algorithm, otherwise
    /// [`JwtError::Signature`].
    pub fn verify<V: Verifier + ?Sized>(
        &self,
        candidates: &[&Key],
        verifier: &V,
    ) -> Result<Verified, JwtError> {
        let algorithm = self.jws.untrusted_header().algorithm;
        let mut fitting = candidates
            .iter()
            .filter(|key| key.allows(algorithm))
            .take(MAX_CANDIDATES)
            .peekable();
        if fitting.peek().is_none() {
            return Err(JwtError::NoKey);
        }
        let (input, signature) = (self.jws.signing_input(), self.jws.signature());
        if !fitting.any(|key| verifier.verify(algorithm, key, input, signature)) {
            return Err(JwtError::Signature);
        }
        Ok(Verified {
            claims: Arc::clone(&self.claims),
            payload_b64: self.jws.payload_segment().to_owned(),
        })
    }
}

impl Verified {
    /// The claims, which the issuer signed.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The payload as the token spells it: base64url without padding.
    #[must_use]
    pub fn payload_b64(&self) -> &str {
        &self.payload_b64
    }

    /// `exp`, in seconds since the epoch, without any skew.
    #[must_use]
    pub fn expires(&self) -> Option<f64> {
        self.claims.expires_at.map(|date| date.seconds())
    }
}
