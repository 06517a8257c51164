//! The request's flow: extract, parse, validate, select a key, verify,
//! authorize. A token that was verified before skips from extract to authorize. A request whose
//! `authorization` and rule are those of an earlier one is not decided again, while that decision
//! would be the same ([`TokenCache::recall`]).
//!
//! Architecture invariants:
//! - a request that needs a token is admitted only with a [`Verified`] one, which only
//!   [`Validated::verify`] makes, or as one that was;
//! - a request that needs a session is admitted only with an [`Opened`] one;
//! - every other request is rejected, answered or parked;
//! - nothing here knows where the keys come from or what time it is.
//!
//! [`Verified`]: crate::jose::jwt::Verified
//! [`Validated::verify`]: crate::jose::jwt::Validated::verify
//! [`Opened`]: crate::sign_in::Opened

mod event;

mod requirement;
mod unsatisfied;
mod visitor;

use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;

use crate::cache::TokenCache;
use crate::config::{Config, Rule, TokenAccess};
use crate::desk::{Basis, Need};
use crate::http::ambiguous::Ambiguous;
use crate::http::credentials::{self, Extracted, Place};
use crate::http::path::{self, UnsafePath};
use crate::http::request::Request;
use crate::http::response::{Rejection, Schemes};
use crate::jwks::keys::Keys;
use crate::outputs::{Changes, Outputs};
use crate::policy::{self, RuleOutcome};
use crate::sign_in::{Outcome, People, Renewal, Visit};
use crate::trace::Checks;

pub use crate::sign_in::Answer;

pub use event::{Event, Listener};
use requirement::{Carried, Identity, Presented};
pub use unsatisfied::{Lacking, Unsatisfied};

/// The name of the answer to a request for the metadata of the protected resource.
pub const RESOURCE_METADATA: &str = "metadata of the resource";

/// The outcome of one attempt to decide a request.
#[derive(Debug)]
pub enum Decision<'c> {
    /// The request is passed on to the upstream.
    Admit(Admission),
    /// The request is answered with an error.
    Reject(Refusal<'c>),
    /// The filter itself answers the request.
    Answer(Answer),
    /// A fact is missing. The request is decided anew, from the top, once the fact is there.
    Await(Need),
}

/// What the filter changes of an admitted request and its response.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Admission {
    /// What is changed of the request.
    pub changes: Rc<Changes>,
    /// Headers to add to the response, whoever sends it. Names are in lower case, values are safe
    /// to send as they are. A name may occur several times.
    pub response_headers: Vec<(&'static str, String)>,
    /// The sessions that the response puts into the browser anew. What is over by then stays out of it.
    pub renewed: Vec<Renewal>,
    /// Why the request would have been rejected, where the rule only reports.
    pub reported: Option<&'static str>,
}

impl From<Rc<Changes>> for Admission {
    fn from(changes: Rc<Changes>) -> Self {
        Self {
            changes,
            ..Self::default()
        }
    }
}

/// What a rejected request is answered with, and what is logged of it.
#[derive(Debug)]
pub struct Refusal<'c> {
    /// The reason, with its status and words.
    pub rejection: Rejection<'c>,
    /// What access logs are told of the token: of a good one that does not allow this request, or of
    /// one that was refused, by names that say so.
    pub outputs: Option<Rc<Outputs>>,
    /// The values of `Set-Cookie`: they delete cookies without a session, or put a refreshed one into
    /// the browser.
    pub set_cookies: Vec<String>,
    /// How a token can be sent.
    pub schemes: Schemes,
}

impl<'c> From<Rejection<'c>> for Refusal<'c> {
    fn from(rejection: Rejection<'c>) -> Self {
        Refusal {
            rejection,
            outputs: None,
            set_cookies: Vec::new(),
            schemes: Schemes::Bearer,
        }
    }
}

/// What a decision is made with.
pub struct Context<'m> {
    /// What it shares with decisions about people who sign in.
    pub basis: Basis<'m>,
    /// Tokens that were verified for earlier requests; the decision adds those of this request.
    pub cache: &'m RefCell<TokenCache>,
    /// The sessions of people who sign in. `None` where nobody can.
    pub people: Option<People<'m>>,
}

/// Decides a request.
pub fn authenticate<'c>(
    request: &Request,
    config: &'c Config,
    context: &Context<'_>,
) -> Decision<'c> {
    authenticate_with(request, config, context, &())
}

/// The same, and tells of each step.
pub fn authenticate_with<'c>(
    request: &Request,
    config: &'c Config,
    context: &Context<'_>,
    trace: &impl Listener,
) -> Decision<'c> {
    if let Some(resource) = &config.protected_resource
        && let Some(response) = resource.answer(request.path(), request.method().ok())
    {
        return Decision::Answer(Answer {
            what: RESOURCE_METADATA,
            outcome: Outcome::Other,
            response,
        });
    }
    match decide(request, config, context, trace) {
        Ok(admission) => Decision::Admit(admission),
        Err(Obstacle::Reject(refusal)) => Decision::Reject(refusal),
        Err(Obstacle::Answer(answer)) => Decision::Answer(answer),
        Err(Obstacle::Await(need)) => Decision::Await(need),
    }
}

enum Obstacle<'c> {
    Reject(Refusal<'c>),
    Answer(Answer),
    Await(Need),
}

impl<'c> From<Rejection<'c>> for Obstacle<'c> {
    fn from(rejection: Rejection<'c>) -> Self {
        Obstacle::Reject(rejection.into())
    }
}

impl From<Ambiguous> for Obstacle<'_> {
    fn from(ambiguous: Ambiguous) -> Self {
        Obstacle::Reject(Rejection::from(ambiguous).into())
    }
}

impl<'c> From<Refusal<'c>> for Obstacle<'c> {
    fn from(refusal: Refusal<'c>) -> Self {
        Obstacle::Reject(refusal)
    }
}

/// What a failure comes to. What a refresh lacks, the visit knows.
fn obstacle<'c>(unsatisfied: Unsatisfied, visit: Option<&Visit<'_>>) -> Obstacle<'c> {
    let need = match unsatisfied.rejection() {
        Ok(rejection) => return rejection.into(),
        Err(Lacking::Keys(provider)) => Some(Need::Keys(provider)),
        Err(Lacking::Refresh(scheme)) => visit.and_then(|visit| visit.need(scheme)),
    };
    match need {
        Some(need) => Obstacle::Await(need),
        None => Rejection::SessionMissing.into(),
    }
}

fn decide<'c>(
    request: &Request,
    config: &'c Config,
    context: &Context<'_>,
    trace: &impl Listener,
) -> Result<Admission, Obstacle<'c>> {
    // A path with several readings, or none, is refused before a rule can be wrong about it.
    let path = request
        .path()
        .map(|raw| readable(raw, request, config, trace));
    if let Some(path) = &path {
        trace.note(|| Event::Path(path.as_deref().map_err(|reason| *reason)));
    }
    let path = path.transpose().map_err(|_| Ambiguous::Path)?;
    if let Some(ambiguous) = ambiguous_to_routes(request, config, path.as_deref()) {
        trace.note(|| Event::OtherRoute(ambiguous));
        return Err(ambiguous.into());
    }
    let path = path.as_deref();
    match &config.sign_in {
        None => by_rules(request, config, path, context, None, trace),
        Some(sign_in) => visitor::decide(request, (config, sign_in), path, context, trace),
    }
}

/// The path in the form that rules are compared with. One with escaped slashes has that form only
/// for a rule that takes them.
fn readable<'r>(
    raw: &'r [u8],
    request: &Request,
    config: &Config,
    trace: &impl Listener,
) -> Result<Cow<'r, str>, UnsafePath> {
    let refused = match path::normalize(raw) {
        Err(UnsafePath::EscapedCharacter) => UnsafePath::EscapedCharacter,
        path => return path,
    };
    if !config.rules.all().iter().any(|rule| rule.escaped_slashes) {
        return Err(refused);
    }
    let readings = path::with_escaped_slashes(raw)?;
    let vetted = policy::vet_escaped_slashes(config, &readings, request);
    trace.note(|| Event::EscapedSlashes {
        readings: &readings,
        decided: vetted.is_ok(),
    });
    let [kept, _] = readings;
    vetted.map(|()| kept.into()).map_err(|_| refused)
}

/// By the rule for the request, or by what its route asks for.
fn by_rules<'c>(
    request: &Request,
    config: &'c Config,
    path: Option<&str>,
    context: &Context<'_>,
    visit: Option<&Visit<'_>>,
    trace: &impl Listener,
) -> Result<Admission, Obstacle<'c>> {
    if config.bypass_cors_preflight && request.is_cors_preflight() {
        trace.note(|| Event::Preflight);
        return Ok(Admission::default());
    }
    if let Some(name) = request.requirement_of_route() {
        let named = config.of_routes.as_ref().and_then(|of| of.named(name));
        let is_known = named.is_some();
        trace.note(|| Event::Named { name, is_known });
        // As in jwt_authn, an unknown name admits no request.
        let access = named.ok_or(Rejection::NoRule)?;
        if path.is_none() {
            trace.note(|| Event::NoPath);
            return Err(Ambiguous::Path.into());
        }
        let outcome = admit(request, config, access, context, visit, trace);
        let outcome = challenge(access, outcome);
        return visitor::greet(None, &access.demand, path, visit, outcome);
    }
    match policy::select_rule_with(config, path, request, trace)? {
        RuleOutcome::Public => Ok(Admission::default()),
        RuleOutcome::NoRule => Err(Rejection::NoRule.into()),
        RuleOutcome::Token(rule, access) => {
            let outcome = admit(request, config, access, context, visit, trace);
            let outcome = report(rule, challenge(access, outcome));
            visitor::greet(Some(rule), &access.demand, path, visit, outcome)
        }
    }
}

/// Where routes name requirements: the part of the request that Envoy chose the route by, if Envoy
/// read it in another way than rules do. Another spelling would have led to another route's
/// requirement.
///
/// Envoy compares the path as it was sent, and the host without case but with its final dot.
fn ambiguous_to_routes(
    request: &Request,
    config: &Config,
    path: Option<&str>,
) -> Option<Ambiguous> {
    config.of_routes.as_ref()?;
    let raw = request.path().unwrap_or_default();
    if raw.split(|byte| *byte == b'?').next() != path.map(str::as_bytes).or(Some(b"")) {
        Some(Ambiguous::Path)
    } else if !request.host_is_plain() {
        Some(Ambiguous::Host)
    } else {
        None
    }
}

/// Where a rule only reports, a request that it rejects passes. The request still waits for keys,
/// as it would otherwise.
fn report<'c>(
    rule: &Rule,
    outcome: Result<Admission, Obstacle<'c>>,
) -> Result<Admission, Obstacle<'c>> {
    match outcome {
        Err(Obstacle::Reject(refusal)) if rule.report_only => Ok(Admission {
            reported: Some(refusal.rejection.reason()),
            ..Admission::default()
        }),
        outcome => outcome,
    }
}

/// Has a refusal say how a token could have been sent.
fn challenge<'c>(
    access: &TokenAccess,
    outcome: Result<Admission, Obstacle<'c>>,
) -> Result<Admission, Obstacle<'c>> {
    outcome.map_err(|obstacle| match obstacle {
        Obstacle::Reject(refusal) => Obstacle::Reject(Refusal {
            schemes: schemes(&access.demand.places),
            ..refusal
        }),
        obstacle => obstacle,
    })
}

/// How a token can be sent to these places.
fn schemes(places: &[Place]) -> Schemes {
    let is_basic = |place: &Place| matches!(place, Place::Basic { .. });
    match (places.iter().any(is_basic), places.iter().all(is_basic)) {
        (false, _) => Schemes::Bearer,
        (true, true) => Schemes::Basic,
        (true, false) => Schemes::Both,
    }
}

fn admit<'c, T: Listener>(
    request: &Request,
    config: &'c Config,
    access: &'c TokenAccess,
    context: &Context<'_>,
    visit: Option<&Visit<'_>>,
    trace: &T,
) -> Result<Admission, Obstacle<'c>> {
    let demand = &*access.demand;
    // A listener wants to hear why.
    let authorization = (!T::LISTENS && demand.is_by_authorization).then(|| alone(request));
    let authorization = authorization.flatten();
    if let Some(authorization) = authorization {
        let facts = context.basis.facts;
        let keys = |provider| match facts.keys(provider) {
            Keys::Ready(keys) => Some(keys),
            Keys::Pending | Keys::Unavailable { .. } => None,
        };
        let mut cache = context.cache.borrow_mut();
        if let Some(changes) = cache.recall(access, authorization, context.basis.now, keys) {
            return Ok(changes.into());
        }
    }
    let carried = extract(request, &demand.places, trace)?;
    let of = |unsatisfied| obstacle(unsatisfied, visit);
    let mut presented = Presented::new(carried, config, context, visit, trace).map_err(of)?;
    let identities = presented.satisfy(&demand.requirement);
    let identities = identities.map_err(|unsatisfied| match of(unsatisfied) {
        Obstacle::Reject(refusal) => Obstacle::Reject(Refusal {
            outputs: presented.refused(config).map(Rc::new),
            ..refusal
        }),
        obstacle => obstacle,
    })?;
    authorize(access, config, &identities, trace)?;
    let withheld = presented.withheld(&identities, &demand.places);
    let mut strip = credentials::strip(request, &withheld);
    let mut outputs = Vec::with_capacity(identities.len());
    for identity in &identities {
        outputs.push(Rc::clone(identity.outputs()));
        if let (Some(sign_in), Some((id, opened))) = (&config.sign_in, identity.session()) {
            let forwarded = visitor::forwarded(sign_in, id, opened, &mut strip);
            outputs.extend(forwarded.map(Rc::new));
        }
    }
    let changes = Rc::new(Changes { strip, outputs });
    if let (Some(authorization), Some(grounds)) = (authorization, presented.into_grounds()) {
        let mut cache = context.cache.borrow_mut();
        cache.keep(access, authorization, grounds, &changes);
    }
    Ok(changes.into())
}

/// The value of `authorization`, where there is one. No upstream takes another name for that name.
fn alone(request: &Request) -> Option<&[u8]> {
    let mut values = request.values(credentials::AUTHORIZATION);
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

type Token<'r> = Cow<'r, [u8]>;

/// The tokens in these places.
fn extract<'r>(
    request: &'r Request,
    places: &[Place],
    trace: &impl Listener,
) -> Result<Vec<Carried<'r>>, Rejection<'static>> {
    let mut tokens: Vec<Carried> = Vec::with_capacity(places.len());
    let mut checks = Checks::new(trace);
    for (at, place) in places.iter().enumerate() {
        let found = place.extract(request);
        trace.note(|| Event::Place {
            place,
            found: &found,
        });
        match found {
            Extracted::Missing => {}
            Extracted::Token(token) => tokens.push(Carried::new(at, token)),
            Extracted::Several => checks.fails(Rejection::SeveralTokens)?,
            Extracted::Ambiguous(part) => checks.fails(part.into())?,
        }
    }
    checks.outcome()?;
    if tokens.len() > 1 {
        take_longest_prefixes(places, &mut tokens);
    }
    Ok(tokens)
}

/// Keeps one token of a header: the one after the longest prefix that fits.
#[inline]
fn take_longest_prefixes(places: &[Place], tokens: &mut Vec<Carried<'_>>) {
    let found: Vec<&Place> = tokens
        .iter()
        .filter_map(|carried| places.get(carried.place()))
        .collect();
    tokens.retain(|carried| {
        let place = places.get(carried.place());
        place.is_some_and(|place| !found.iter().any(|longer| longer.shadows(place)))
    });
}

/// Whether one of the tokens allows what the rule is about.
fn authorize<'c>(
    access: &'c TokenAccess,
    config: &Config,
    identities: &[Identity],
    trace: &impl Listener,
) -> Result<(), Refusal<'c>> {
    if access.authorize.is_empty() {
        return Ok(());
    }
    let mut denied = Refusal::from(Rejection::TokenMissing);
    for identity in identities {
        let scope_claims = &config.providers[identity.provider].scope_claims;
        let claims = identity.claims();
        match policy::authorize_with(&access.authorize, scope_claims, claims, trace) {
            Ok(()) => {
                trace.note(|| Event::Authorized(true));
                return Ok(());
            }
            Err(why) => {
                denied = Rejection::from(why).into();
                denied.outputs = Some(Rc::clone(identity.outputs()));
            }
        }
    }
    trace.note(|| Event::Authorized(false));
    Err(denied)
}
