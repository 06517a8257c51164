//! The request's flow: extract, parse, validate, select a key, verify,
//! authorize. A token that was verified before skips from extract to authorize.
//!
//! Architecture invariants: a request that needs a token is admitted only with
//! a [`Verified`] one, which nothing but [`Validated::verify`] makes; every
//! other end is a rejection or a wait; and nothing here knows where the keys
//! come from or what time it is.
//!
//! [`Validated::verify`]: crate::jose::jwt::Validated::verify

use std::cell::RefCell;
use std::rc::Rc;

use serde_json::Value;

use crate::cache::{Entry, Header, TokenCache};
use crate::config::{Config, Provider};
use crate::http::bearer::{self, Extracted};
use crate::http::path;
use crate::http::response::Rejection;
use crate::jose::claims;
use crate::jose::jwks::{KeySet, Selection};
use crate::jose::jwt::{self, JwtError, Verified};
use crate::jwks::lifecycle::Keys;
use crate::policy::{self, RuleOutcome};
use crate::signature::Verifier;

/// What a decision looks at.
#[derive(Debug, Default)]
pub struct Request {
    /// `:path`; CONNECT has none.
    pub path: Option<Vec<u8>>,
    /// `:method`; read only where a rule asks for it.
    pub method: Option<Vec<u8>>,
    pub authorization: Option<Vec<u8>>,
}

/// How a request's way ends, for now.
#[derive(Debug)]
pub enum Decision<'c> {
    Admit(Admission),
    Reject(Rejection<'c>),
    /// The provider's keys have to be fetched first.
    AwaitKeys {
        provider: usize,
        lacking: Lacking,
    },
}

/// What is missing for a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lacking {
    /// Any key at all.
    Keys,
    /// A key that verifies the token. If the set is as new as can be, this is why
    /// the token is refused.
    NewerKeys(JwtError),
}

/// What the upstream is told.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Admission {
    /// Headers to set, in place of any that the client sent.
    pub set: Rc<Vec<Header>>,
    /// Whether the token is taken out of the request.
    pub strip_authorization: bool,
}

/// What a decision is made with.
pub struct Means<'m> {
    pub verifier: &'m dyn Verifier,
    pub cache: &'m RefCell<TokenCache>,
    /// Seconds since the Unix epoch.
    pub now: f64,
}

/// Decides a request. `keys` tells what there is of a provider's keys.
pub fn authenticate<'c>(
    request: &Request,
    config: &'c Config,
    keys: impl Fn(usize) -> Keys,
    means: &Means<'_>,
) -> Decision<'c> {
    match decide(request, config, keys, means) {
        Ok(admission) => Decision::Admit(admission),
        Err(Obstacle::Reject(rejection)) => Decision::Reject(rejection),
        Err(Obstacle::AwaitKeys(provider, lacking)) => Decision::AwaitKeys { provider, lacking },
    }
}

enum Obstacle<'c> {
    Reject(Rejection<'c>),
    AwaitKeys(usize, Lacking),
}

impl<'c> From<Rejection<'c>> for Obstacle<'c> {
    fn from(rejection: Rejection<'c>) -> Self {
        Obstacle::Reject(rejection)
    }
}

impl From<JwtError> for Obstacle<'_> {
    fn from(error: JwtError) -> Self {
        Obstacle::Reject(error.into())
    }
}

fn decide<'c>(
    request: &Request,
    config: &'c Config,
    keys: impl Fn(usize) -> Keys,
    means: &Means<'_>,
) -> Result<Admission, Obstacle<'c>> {
    let raw_path = request.path.as_deref().ok_or(Rejection::UnsafePath)?;
    let path = path::normalize(raw_path).map_err(|_| Rejection::UnsafePath)?;
    let method = request
        .method
        .as_deref()
        .and_then(|method| str::from_utf8(method).ok());
    let (index, provider, authorize) = match policy::select_rule(config, &path, method) {
        RuleOutcome::NoRule => return Err(Rejection::NoRule.into()),
        RuleOutcome::Public => return Ok(Admission::default()),
        RuleOutcome::Token {
            index,
            provider,
            authorize,
        } => (index, provider, authorize),
    };

    let token = match bearer::extract(request.authorization.as_deref()) {
        Extracted::Missing => return Err(Rejection::TokenMissing.into()),
        Extracted::Several => return Err(Rejection::SeveralTokens.into()),
        Extracted::Token(token) => token,
    };
    let entry = match keys(index) {
        Keys::Ready(keys) => known(token, index, provider, &keys, means)?,
        lacking => {
            // What no key can make good is refused at once.
            jwt::parse(token)?.validate(&provider.expectations, means.now)?;
            return Err(match lacking {
                Keys::Unavailable { retry_after } => {
                    Rejection::keys_unavailable(retry_after).into()
                }
                _ => Obstacle::AwaitKeys(index, Lacking::Keys),
            });
        }
    };
    policy::authorize(
        authorize,
        &provider.scope_claims,
        entry.verified.claims().all(),
    )
    .map_err(Rejection::from)?;
    Ok(Admission {
        set: Rc::clone(&entry.headers),
        strip_authorization: !provider.forward,
    })
}

/// A token that is good now: one that was verified before, or is verified here.
fn known(
    token: &[u8],
    index: usize,
    provider: &Provider,
    keys: &Rc<KeySet>,
    means: &Means<'_>,
) -> Result<Rc<Entry>, Obstacle<'static>> {
    let cached = means.cache.borrow_mut().get(index, token, keys);
    if let Some(entry) = cached {
        entry
            .verified
            .validate_times(&provider.expectations, means.now)?;
        return Ok(entry);
    }
    let validated = jwt::parse(token)?.validate(&provider.expectations, means.now)?;
    let header = validated.untrusted_header();
    let candidates = match keys.candidates(header.kid.as_deref(), header.algorithm) {
        Selection::Keys(candidates) => candidates,
        Selection::UnknownKid => {
            return Err(Obstacle::AwaitKeys(
                index,
                Lacking::NewerKeys(JwtError::NoKey),
            ));
        }
        Selection::NoMatch => return Err(JwtError::NoKey.into()),
    };
    let verified = match validated.verify(&candidates, means.verifier) {
        // No key was named, or none has that name and those without one were tried: a
        // newer set may have the right one.
        Err(error @ JwtError::Signature)
            if !header.kid.as_deref().is_some_and(|kid| keys.has(kid)) =>
        {
            return Err(Obstacle::AwaitKeys(index, Lacking::NewerKeys(error)));
        }
        outcome => outcome?,
    };
    let headers = Rc::new(headers(provider, &verified));
    let entry = Rc::new(Entry { verified, headers });
    let mut cache = means.cache.borrow_mut();
    cache.insert(index, token, keys, Rc::clone(&entry));
    Ok(entry)
}

/// What the upstream learns of a verified token.
fn headers(provider: &Provider, verified: &Verified) -> Vec<Header> {
    let payload = provider
        .forward_payload_header
        .iter()
        .map(|header| (header.clone(), verified.payload_b64().as_bytes().to_vec()));
    let claims = provider.claim_headers.iter().filter_map(|claim_header| {
        let claim = claims::at(verified.claims().all(), &claim_header.claim)?;
        Some((claim_header.header.clone(), header_value(claim)?))
    });
    payload.chain(claims).collect()
}

/// A claim as a header's value: strings, numbers and booleans, as `jwt_authn`
/// does. A string with a control character is no legal value (RFC 9110 section
/// 5.5) and could end the header early: it is left out.
fn header_value(claim: &Value) -> Option<Vec<u8>> {
    match claim {
        Value::String(text) if !text.chars().any(char::is_control) => {
            Some(text.clone().into_bytes())
        }
        Value::Number(number) => Some(number.to_string().into_bytes()),
        Value::Bool(value) => Some(value.to_string().into_bytes()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a31_claims_never_end_a_header_early() {
        for (claim, value) in [
            (json!("auth0|5f"), Some("auth0|5f")),
            (json!("Zoë"), Some("Zoë")),
            (json!(""), Some("")),
            (json!(9007199254740993_u64), Some("9007199254740993")),
            (json!(1.5), Some("1.5")),
            (json!(true), Some("true")),
            (json!("a\r\nx-admin: 1"), None),
            (json!("a\nb"), None),
            (json!("a\0b"), None),
            (json!("a\u{85}b"), None),
            (json!(null), None),
            (json!(["a"]), None),
            (json!({"a": 1}), None),
        ] {
            let expected = value.map(|value| value.as_bytes().to_vec());
            assert_eq!(header_value(&claim), expected, "{claim}");
        }
    }
}
