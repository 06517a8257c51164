//! A request where people can sign in: the filter's own paths, and what a person without a session
//! gets.
//!
//! Invariant: rules and the upstream see the request without the filter's own cookies.

use std::rc::Rc;

use super::{Admission, Context, Obstacle, by_rules};
use crate::authn::event::{Event, Listener};
use crate::config::{Config, Demand, Rule, SchemeId, SignIn, Unauthenticated};
use crate::http::credentials::Change;
use crate::http::request::Request;
use crate::http::response::Rejection;
use crate::outputs::Outputs;
use crate::sign_in::{self, Opened, Step, Visit};

impl From<Step> for Obstacle<'_> {
    fn from(step: Step) -> Self {
        match step {
            Step::Answer(answer) => Obstacle::Answer(answer),
            Step::Reject(rejection) => rejection.into(),
            Step::Await(need) => Obstacle::Await(need),
        }
    }
}

pub(super) fn decide<'c>(
    request: &Request,
    (config, sign_in): (&'c Config, &'c SignIn),
    path: Option<&str>,
    context: &Context<'_>,
    trace: &impl Listener,
) -> Result<Admission, Obstacle<'c>> {
    let people = context.people.ok_or(Rejection::HostRefused)?;
    let visit = Visit::new(request, (config, sign_in), context.basis, people);
    if let Some((id, own)) = path.and_then(|path| sign_in.own_path(path)) {
        let scheme = &sign_in.schemes[id];
        trace.note(|| Event::OwnPath { scheme, path: own });
        let step = sign_in::answer(&visit, id, own, trace);
        trace.note(|| Event::Visited { id, visit: &visit });
        return Err(step.into());
    }
    let without = visit.without_cookies();
    let as_seen = without.as_ref().map_or(request, |(request, _)| request);
    match by_rules(as_seen, config, path, context, Some(&visit), trace) {
        Ok(mut admission) => {
            let change = without.map(|(_, change)| change);
            if let Some(change) = change {
                Rc::make_mut(&mut admission.changes).strip.insert(0, change);
            }
            admission.renewed = visit.renewals();
            let lines = visit.deletions().into_iter();
            let lines = lines.map(|line| ("set-cookie", line));
            admission.response_headers.extend(lines);
            if !admission.response_headers.is_empty() || !admission.renewed.is_empty() {
                // A cache that many people share would give a session to the others, whatever the
                // upstream says of its page (RFC 9111 section 7.3).
                let private = ("cache-control", "private".to_owned());
                admission.response_headers.push(private);
            }
            Ok(admission)
        }
        Err(Obstacle::Reject(mut refusal)) => {
            refusal.set_cookies = visit.deletions();
            refusal.set_cookies.extend(visit.refreshed());
            Err(Obstacle::Reject(refusal))
        }
        Err(Obstacle::Answer(mut answer)) => {
            let lines = visit.refreshed().into_iter();
            let lines = lines.map(|line| ("set-cookie", line));
            answer.response.headers.extend(lines);
            Err(Obstacle::Answer(answer))
        }
        outcome => outcome,
    }
}

/// Sends people without a session to a provider, if they wait for a page.
pub(super) fn greet<'c>(
    rule: Option<&Rule>,
    demand: &Demand,
    path: Option<&str>,
    visit: Option<&Visit<'_>>,
    outcome: Result<Admission, Obstacle<'c>>,
) -> Result<Admission, Obstacle<'c>> {
    let Some(visit) = visit else {
        return outcome;
    };
    let lacks_session = match &outcome {
        Err(Obstacle::Reject(refusal)) => matches!(
            refusal.rejection,
            Rejection::TokenMissing | Rejection::SessionMissing
        ),
        _ => false,
    };
    let unauthenticated = rule.map_or(Unauthenticated::Auto, |rule| rule.unauthenticated);
    if !lacks_session || !visit.is_redirected(unauthenticated, path) {
        return outcome;
    }
    let mut missing: Vec<SchemeId> = Vec::new();
    for id in demand.requirement.schemes() {
        if !missing.contains(&id) && matches!(visit.session(id), Ok(None)) {
            missing.push(id);
        }
    }
    match sign_in::begin(visit, &missing) {
        Some(step) => Err(step.into()),
        None => outcome,
    }
}

/// The tokens of a session that the upstream gets. `strip` gets the changes that first take out the
/// client's own tokens.
pub(super) fn forwarded(
    sign_in: &SignIn,
    id: SchemeId,
    opened: &Opened,
    strip: &mut Vec<Change>,
) -> Option<Outputs> {
    const AUTHORIZATION: &str = "authorization";
    let scheme = &sign_in.schemes[id];
    let tokens = opened.session().tokens.as_ref();
    let mut outputs = Outputs::default();
    if scheme.forward_bearer_token {
        strip.push(Change::Remove(AUTHORIZATION.to_owned()));
        if let Some(token) = tokens.and_then(|tokens| tokens.access.as_deref()) {
            let value = format!("Bearer {token}").into_bytes();
            outputs.set.push((AUTHORIZATION.to_owned(), value));
        }
    }
    let id_token = tokens.and_then(|tokens| tokens.id.as_deref());
    if let Some((header, token)) = scheme.forward_id_token_header.as_ref().zip(id_token) {
        outputs
            .set
            .push((header.clone(), token.as_bytes().to_vec()));
    }
    (!outputs.set.is_empty()).then_some(outputs)
}
