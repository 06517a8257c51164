//! The request's flow: extract, parse, validate, select a key, verify,
//! authorize. A token that was verified before skips from extract to authorize.
//!
//! Architecture invariants: a request that needs a token is admitted only with
//! a [`Verified`] one, which nothing but [`Validated::verify`] makes; every
//! other end is a rejection or a wait; and nothing here knows where the keys
//! come from or what time it is.
//!
//! [`Verified`]: crate::jose::jwt::Verified
//! [`Validated::verify`]: crate::jose::jwt::Validated::verify

mod requirement;

use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;

use serde_json::Value;

use crate::cache::{Header, TokenCache};
use crate::config::{Config, Provider, Rule, TokenAccess};
use crate::http::credentials::{self, Change, Extracted, Place};
use crate::http::path;
use crate::http::request::Request;
use crate::http::response::Rejection;
use crate::jose::claims;
use crate::jose::jwt::Verified;
use crate::jwks::lifecycle::{Keys, UnknownKid};
use crate::policy::{self, RuleOutcome};
use crate::signature::Verifier;

use requirement::{Failure, Identity, Presented};

/// How a request's way ends, for now.
#[derive(Debug)]
pub enum Decision<'c> {
    Admit(Admission),
    Reject(Rejection<'c>),
    /// The keys of the provider at this index have to be fetched first.
    AwaitKeys(usize),
}

/// What the upstream is told.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Admission {
    /// Headers to set for each token, in place of any that the client sent.
    pub set: Vec<Rc<Vec<Header>>>,
    /// How the tokens are taken out of the request.
    pub strip: Vec<Change>,
    /// Why the request would have been rejected, where the rule only reports.
    pub reported: Option<&'static str>,
}

/// The providers' keys, as they are now.
pub trait KeyRing {
    /// What there is of a provider's keys.
    fn keys(&self, provider: usize) -> Keys;

    /// Asks for newer keys of a provider, since the right one may be missing.
    fn unknown_kid(&self, provider: usize) -> UnknownKid;
}

/// What a decision is made with.
pub struct Means<'m> {
    pub keys: &'m dyn KeyRing,
    pub verifier: &'m dyn Verifier,
    pub cache: &'m RefCell<TokenCache>,
    /// Seconds since the Unix epoch.
    pub now: f64,
}

/// Decides a request.
pub fn authenticate<'c>(request: &Request, config: &'c Config, means: &Means<'_>) -> Decision<'c> {
    match decide(request, config, means) {
        Ok(admission) => Decision::Admit(admission),
        Err(Obstacle::Reject(rejection)) => Decision::Reject(rejection),
        Err(Obstacle::AwaitKeys(provider)) => Decision::AwaitKeys(provider),
    }
}

enum Obstacle<'c> {
    Reject(Rejection<'c>),
    AwaitKeys(usize),
}

impl<'c> From<Rejection<'c>> for Obstacle<'c> {
    fn from(rejection: Rejection<'c>) -> Self {
        Obstacle::Reject(rejection)
    }
}

impl From<Failure> for Obstacle<'_> {
    fn from(failure: Failure) -> Self {
        Obstacle::Reject(match failure {
            Failure::Missing => Rejection::TokenMissing,
            Failure::Invalid(error) => error.into(),
            Failure::Unavailable(retry_after) => Rejection::keys_unavailable(retry_after),
            Failure::Several => Rejection::SeveralTokens,
            Failure::AwaitKeys(provider) => return Obstacle::AwaitKeys(provider),
        })
    }
}

fn decide<'c>(
    request: &Request,
    config: &'c Config,
    means: &Means<'_>,
) -> Result<Admission, Obstacle<'c>> {
    // What has several readings, or none, is refused before any rule could be wrong about it.
    let path = request
        .path()
        .map(path::normalize)
        .transpose()
        .map_err(|_| Rejection::UnsafePath)?;
    if config.bypass_cors_preflight && request.is_cors_preflight() {
        return Ok(Admission::default());
    }
    if let Some(name) = request.requirement_of_route() {
        let named = config.of_routes.as_ref().and_then(|of| of.named(name));
        // As in jwt_authn: a name that nobody knows lets nobody in.
        let access = named.ok_or(Rejection::NoRule)?;
        path.as_deref().ok_or(Rejection::UnsafePath)?;
        return admit(request, config, access, means);
    }
    match policy::select_rule(config, path.as_deref(), request) {
        RuleOutcome::Public => Ok(Admission::default()),
        RuleOutcome::NoRule if path.is_none() => Err(Rejection::UnsafePath.into()),
        RuleOutcome::NoRule => Err(Rejection::NoRule.into()),
        RuleOutcome::Token(rule, access) => {
            let outcome = admit(request, config, access, means);
            report(rule, outcome)
        }
    }
}

/// What a rule rejects passes where it only reports. It still waits for keys: that is what it
/// would do.
fn report<'c>(
    rule: &Rule,
    outcome: Result<Admission, Obstacle<'c>>,
) -> Result<Admission, Obstacle<'c>> {
    match outcome {
        Err(Obstacle::Reject(rejection)) if rule.report_only => Ok(Admission {
            reported: Some(rejection.reason()),
            ..Admission::default()
        }),
        outcome => outcome,
    }
}

fn admit<'c>(
    request: &Request,
    config: &'c Config,
    access: &'c TokenAccess,
    means: &Means<'_>,
) -> Result<Admission, Obstacle<'c>> {
    let demand = &*access.demand;
    let presented = Presented {
        tokens: extract(request, &demand.places)?,
        providers: &config.providers,
        means,
    };
    let identities = presented.satisfy(&demand.requirement)?.identities;
    authorize(access, config, &identities)?;
    let stripped: Vec<&Place> = identities
        .iter()
        .filter(|identity| !identity.forward)
        .filter_map(|identity| demand.places.get(identity.place))
        .collect();
    Ok(Admission {
        strip: credentials::strip(request, &stripped),
        set: identities
            .into_iter()
            .map(|identity| Rc::clone(&identity.entry.headers))
            .collect(),
        reported: None,
    })
}

type Token<'r> = Cow<'r, [u8]>;

/// The token in each of the places.
fn extract<'r>(request: &'r Request, places: &[Place]) -> Result<Vec<Option<Token<'r>>>, Failure> {
    let mut tokens: Vec<Option<Token>> = Vec::with_capacity(places.len());
    for place in places {
        tokens.push(match place.extract(request) {
            Extracted::Missing => None,
            Extracted::Token(token) => Some(token),
            Extracted::Several => return Err(Failure::Several),
        });
    }
    if places.len() > 1 {
        take_longest_prefixes(places, &mut tokens);
    }
    Ok(tokens)
}

/// A header has one token, after the longest of its prefixes that fits.
fn take_longest_prefixes(places: &[Place], tokens: &mut [Option<Token<'_>>]) {
    let found: Vec<&Place> = places
        .iter()
        .zip(&*tokens)
        .filter(|(_, token)| token.is_some())
        .map(|(place, _)| place)
        .collect();
    for (place, token) in places.iter().zip(tokens) {
        if found.iter().any(|longer| longer.shadows(place)) {
            *token = None;
        }
    }
}

/// Whether one of the tokens allows what the rule is about.
fn authorize<'c>(
    access: &'c TokenAccess,
    config: &Config,
    identities: &[Identity],
) -> Result<(), Rejection<'c>> {
    if access.authorize.is_empty() {
        return Ok(());
    }
    let mut denied = Rejection::TokenMissing;
    for identity in identities {
        let scope_claims = config
            .providers
            .get(identity.provider)
            .map_or(&[][..], |provider| &provider.scope_claims);
        let claims = identity.entry.verified.claims().all();
        match policy::authorize(&access.authorize, scope_claims, claims) {
            Ok(()) => return Ok(()),
            Err(why) => denied = why.into(),
        }
    }
    Err(denied)
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
