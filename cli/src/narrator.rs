//! The events of a decision, in words.
//!
//! Invariant: nothing is compared here. Each line says what the decision found, in the order of the
//! decision, so the steps cannot disagree with it.

use std::cell::RefCell;

use bearer_gate::authn::{Event, Unsatisfied};
use bearer_gate::config::{
    Access, Config, KeySource, Otherwise, ProviderId, Remote, SchemeId, SessionStore,
};
use bearer_gate::desk::signer::Event as SignerEvent;
use bearer_gate::http::ambiguous::Ambiguous;
use bearer_gate::http::credentials::{Extracted, Place};
use bearer_gate::http::request::Request;
use bearer_gate::jose::event::{Check, Event as TokenEvent};
use bearer_gate::jose::jwks::{KeySet, MAX_CANDIDATES, Selection};
use bearer_gate::jwks::keys::Keys;
use bearer_gate::matcher::Comparison;
use bearer_gate::policy::{Event as PolicyEvent, RuleOutcome};
use bearer_gate::session::life::NoSession;
use bearer_gate::session::seal::Keyring;
use bearer_gate::session::stored;
use bearer_gate::sign_in::{Event as SignInEvent, NoUse, Visit};
use bearer_gate::trace::{Listen, Trace};
use serde_json::Value;

use crate::explanation::{Mark, Step, place_in_words};
use crate::hint;
use crate::keys::{self, KeysAtHand, Origin, ProviderKeys};

mod visit;
mod words;

pub(crate) use words::duration_in_words;
use words::{
    OTHER_PATH, check_in_words, escaped_slashes_in_words, key_in_words, keys_of_gateway_in_words,
    mark_of, other_path_in_words, place_in_doubt, rule_in_words, scopes_asked, scopes_held,
    test_in_words, why_unclear,
};

const NOT_SATISFIED: &str = "does not satisfy the rule";

/// Listens to a decision, and makes its steps.
pub(crate) struct Narrator<'n> {
    config: &'n Config,
    request: &'n Request,
    keys_at_hand: &'n KeysAtHand,
    /// What opens sessions, and the time in Unix seconds.
    keyring: Option<&'n Keyring>,
    now: f64,
    told: RefCell<Telling>,
}

/// What a decision told.
pub(crate) struct Heard {
    pub steps: Vec<Step>,
    /// The rule that decided, if one did.
    pub rule: Option<usize>,
    /// The providers that were asked, by name, and those whose token is good.
    pub asked: Vec<String>,
    pub good: Vec<String>,
}

/// The steps so far.
#[derive(Default)]
struct Telling {
    /// The last one may still grow.
    steps: Vec<Step>,
    /// The rules that were compared.
    compared: Vec<(usize, Result<Comparison, Ambiguous>)>,
    /// The provider that is asked: its name, and its places.
    provider: (String, String),
    /// How far the current token was looked at.
    token: LookedAt,
    /// As in [`Heard`].
    rule: Option<usize>,
    asked: Vec<String>,
    good: Vec<String>,
    /// Whether a place has something that is no token there.
    is_near: bool,
    /// Whether the shared store would have to be asked for a session.
    asks_store: bool,
    /// What to say if its audience is another.
    hint_at_audience: Option<&'static str>,
}

/// How far a token was looked at.
#[derive(Default)]
enum LookedAt {
    #[default]
    None,
    /// It is not known to be well-formed. A hint why it may not be, and its JOSE header.
    Raw(Option<&'static str>, Option<Value>),
    Parsed,
    /// Another demand or request looked at it.
    Before,
}

impl Listen for Narrator<'_> {
    const LISTENS: bool = true;
}

impl<'e> Trace<Event<'e>> for Narrator<'_> {
    fn note(&self, event: impl FnOnce() -> Event<'e>) {
        self.hear_request(event());
    }
}

impl<'e> Trace<PolicyEvent<'e>> for Narrator<'_> {
    fn note(&self, event: impl FnOnce() -> PolicyEvent<'e>) {
        self.hear_rule(event());
    }
}

impl<'e> Trace<TokenEvent<'e>> for Narrator<'_> {
    fn note(&self, event: impl FnOnce() -> TokenEvent<'e>) {
        self.hear_token(event());
    }
}

impl<'e> Trace<SignerEvent<'e>> for Narrator<'_> {
    fn note(&self, event: impl FnOnce() -> SignerEvent<'e>) {
        self.hear_signer(event());
    }
}

impl<'e> Trace<SignInEvent<'e>> for Narrator<'_> {
    fn note(&self, event: impl FnOnce() -> SignInEvent<'e>) {
        self.hear_callback(event());
    }
}

impl<'n> Narrator<'n> {
    pub(crate) fn new(
        config: &'n Config,
        request: &'n Request,
        keys_at_hand: &'n KeysAtHand,
        keyring: Option<&'n Keyring>,
        now: f64,
    ) -> Self {
        Narrator {
            config,
            request,
            keys_at_hand,
            keyring,
            now,
            told: RefCell::default(),
        }
    }

    /// What the decision told.
    pub(crate) fn heard(self) -> Heard {
        let told = self.told.into_inner();
        Heard {
            steps: told.steps,
            rule: told.rule,
            asked: told.asked,
            good: told.good,
        }
    }

    fn hear_request(&self, event: Event<'_>) {
        let mut told = self.told.borrow_mut();
        match event {
            Event::Path(Ok(path)) => told.good("path", format!("compared as {path}")),
            Event::Path(Err(reason)) => {
                let text = format!("has no single meaning: it {reason}");
                told.bad("path", text, Ambiguous::Path.reason());
            }
            Event::EscapedSlashes { readings, decided } => {
                let text = escaped_slashes_in_words(readings, decided);
                told.steps.push(Step::new("path", Mark::Note, text));
            }
            Event::NoPath => {
                let text = "there is none, and what a route asks for is for a path".to_owned();
                told.bad("path", text, Ambiguous::Path.reason());
            }
            Event::OtherRoute(part) => {
                let text = format!(
                    "Envoy has chosen the route by another form of it: {}",
                    part.description()
                );
                told.bad("route", text, part.reason());
            }
            Event::Preflight => {
                let text = "a CORS preflight passes without a token".to_owned();
                told.good("preflight", text);
            }
            Event::Named { name, is_known } => {
                let name = String::from_utf8_lossy(name);
                if is_known {
                    let text = format!("asks for what requirement_map says of {name}");
                    told.good("route", text);
                } else {
                    let text = format!("asks for {name}, which routes cannot name");
                    told.bad("route", text, "no_rule");
                }
            }
            Event::Place { place, found } => {
                let near = match found {
                    Extracted::Missing => hint::elsewhere::hint_at_place(self.request, place),
                    _ => None,
                };
                told.is_near |= near.is_some();
                told.at("token", |step| self.place(place, found, near, step));
            }
            Event::Tokens(0 | 1) => {}
            Event::Tokens(count) => told.note(format!(
                "{count} tokens, each of which has to have a part in the requirement"
            )),
            Event::Any(members) => told.note(format!("one of these {members}:")),
            Event::NotAsked(0) | Event::EndOfAny(Otherwise::Reject) => {}
            Event::NotAsked(left) => {
                told.note(format!(
                    "{left} more not asked: this one accounts for every token"
                ));
            }
            Event::EndOfAny(Otherwise::AllowMissing) => told.note("or no token for these"),
            Event::EndOfAny(Otherwise::AllowMissingOrFailed) => {
                told.note("or anything: allow_missing_or_failed");
            }
            Event::All(members) => told.note(format!("all of these {members}:")),
            Event::Demand(provider) => {
                told.note(format!("provider {}:", provider.name));
                let places: Vec<String> = provider.places.iter().map(place_in_words).collect();
                told.provider = (provider.name.clone(), places.join(", "));
                told.asked.push(provider.name.clone());
                told.token = LookedAt::None;
            }
            Event::Token(token) => {
                told.token = LookedAt::Raw(hint::hint_at_token(token), hint::header(token))
            }
            Event::Visited { id, visit } => self.cookies(id, visit, "sign-in", &mut told),
            Event::Session { id, outcome, visit } => {
                let sign_in = self.config.sign_in.as_ref();
                let name = sign_in.map_or("", |sign_in| sign_in.schemes[id].name.as_str());
                let text = match outcome {
                    Ok(()) => format!("a session by {name}"),
                    Err(Unsatisfied::CrossSite) => {
                        format!(
                            "a session by {name}, which another site may have made a browser send"
                        )
                    }
                    Err(Unsatisfied::AwaitRefresh(_)) if self.entry_of(id, visit).is_some() => {
                        told.asks_store = true;
                        format!("a session by {name}, if the shared store has it")
                    }
                    Err(Unsatisfied::AwaitRefresh(_)) => {
                        format!("a session by {name}, which would be refreshed first")
                    }
                    Err(_) => format!("no session by {name} that is good here and now"),
                };
                told.line(mark_of(outcome.is_ok()), text);
                told.at("token", |step| {
                    step.reasons.extend(outcome.err().and_then(reason));
                });
                if let Some(visit) = visit {
                    self.cookies(id, visit, "token", &mut told);
                }
            }
            Event::OwnPath { scheme, .. } => {
                let text = format!("one that the filter answers, of the scheme {}", scheme.name);
                told.good("sign-in", text);
            }
            Event::FoundGoodBefore => {
                told.note("the token that the provider verified above");
                told.token = LookedAt::Before;
            }
            Event::Cached => {
                told.note("a token that the provider verified before");
                told.token = LookedAt::Before;
            }
            Event::FoundBadBefore => told.note("the keys decide as above"),
            Event::Demanded(outcome) => told.demanded(outcome),
            Event::Satisfied(outcome) => {
                if let Err(Unsatisfied::Missing) = outcome
                    && !told.is_near
                    && let Some(hint) = hint::elsewhere::hint_elsewhere(self.request)
                {
                    told.line(Mark::Hint, hint);
                }
                told.satisfied(outcome);
            }
            Event::Authorized(allowed) => told.authorized(allowed),
        }
    }

    fn hear_callback(&self, event: SignInEvent<'_>) {
        let (mark, text) = match event {
            SignInEvent::State(state) => (
                mark_of(state.is_ok()),
                visit::state_in_words(state, self.now),
            ),
            SignInEvent::Flow(flow) => (mark_of(flow.is_ok()), visit::flow_in_words(flow)),
        };
        let mut told = self.told.borrow_mut();
        told.at("sign-in", |step| step.detail(mark, text));
    }

    /// What the cookies of a scheme came to.
    fn cookies(&self, id: SchemeId, visit: &Visit<'_>, step: &'static str, told: &mut Telling) {
        let Some(sign_in) = &self.config.sign_in else {
            return;
        };
        let name = sign_in.schemes[id].session_cookie.name();
        match visit.looked_at(id) {
            None => {}
            Some(Ok(None)) => {
                told.at(step, |step| {
                    step.detail(Mark::Note, format!("no cookie {name}"))
                });
            }
            Some(Ok(Some(opened))) => {
                let entry = self.entry_of(id, Some(visit));
                let lines = visit::session_in_words(&opened, entry.as_deref(), self.now);
                told.at(step, |step| {
                    lines
                        .into_iter()
                        .for_each(|line| step.detail(Mark::Note, line));
                });
            }
            Some(Err(why)) => {
                let text = format!("the cookies {name} {}", visit::no_use_in_words(why));
                let hint = self.hint_at_cookies(id, why);
                told.at(step, |step| {
                    step.detail(Mark::Bad, text);
                    if let Some(hint) = hint {
                        step.detail(Mark::Note, hint);
                    }
                });
            }
        }
    }

    /// The key under which the shared store has the claims and the tokens of a session.
    fn entry_of(&self, id: SchemeId, visit: Option<&Visit<'_>>) -> Option<String> {
        let scheme = &self.config.sign_in.as_ref()?.schemes[id];
        let store = self.config.fleet_store.as_ref()?;
        let ticket = visit?.looked_at(id)?.ok()??;
        let name = stored::name(ticket.session());
        let is_there = scheme.session.store == SessionStore::Shared;
        is_there.then(|| format!("{}:session:{name}", store.key_prefix))
    }

    fn hint_at_cookies(&self, id: SchemeId, why: NoUse) -> Option<String> {
        let sign_in = self.config.sign_in.as_ref()?;
        let scheme = &sign_in.schemes[id];
        if !matches!(why, NoUse::Session(_)) {
            return None;
        }
        let value = scheme.session_cookie.read(self.request).ok()??;
        let domain = scheme.cookie.domain.as_deref();
        let host = domain.or_else(|| self.request.host().ok())?;
        match why {
            NoUse::Session(NoSession::UnknownKey | NoSession::Broken) => {
                hint::cookie::hint_at_value(&value, (scheme, host), sign_in, self.keyring?)
            }
            _ => None,
        }
    }

    fn hear_signer(&self, event: SignerEvent<'_>) {
        let mut told = self.told.borrow_mut();
        told.at("token", |step| match event {
            SignerEvent::Keys { provider, keys } => self.keys(provider, keys, step),
            SignerEvent::Selected { from, keys } => selected(from, keys, step),
        });
    }

    fn hear_rule(&self, event: PolicyEvent<'_>) {
        let mut told = self.told.borrow_mut();
        match event {
            PolicyEvent::Compared { rule, outcome } => told.compared.push((rule, outcome)),
            PolicyEvent::Selected(outcome) => {
                let compared = std::mem::take(&mut told.compared);
                told.rule = decided_by(&compared);
                told.at("rule", |step| self.selected_rule(&compared, outcome, step));
                if let Ok(RuleOutcome::Public) = outcome
                    && decided_by(&compared).is_some()
                {
                    told.good("token", "the rule is public".to_owned());
                }
            }
            PolicyEvent::Scopes {
                asked,
                scope_claims,
                claims,
                holds,
            } => {
                let has = scopes_held(scope_claims, claims);
                let text = format!("scopes: {}; {has}", scopes_asked(asked));
                told.allows(holds, text, "insufficient_scope");
            }
            PolicyEvent::Claim { rule, found, holds } => {
                let found = found.map_or("is not there".to_owned(), |claim| {
                    format!("is {}", claim.to_value())
                });
                let path = Value::from(rule.path.clone());
                let text = format!("claim {path}: {}; it {found}", test_in_words(&rule.test));
                told.allows(holds, text, "claim_rule");
            }
        }
    }

    fn hear_token(&self, event: TokenEvent<'_>) {
        let mut told = self.told.borrow_mut();
        match event {
            TokenEvent::Parsed { claims, .. } => {
                let token = std::mem::replace(&mut told.token, LookedAt::Parsed);
                if let LookedAt::Raw(_, Some(written)) = token {
                    told.note(format!("header: {written}"));
                    if let Some(hint) = hint::hint_at_header(&written) {
                        told.note(hint);
                    }
                }
                let claims = claims.all().to_value();
                told.note(format!("claims: {claims}"));
                told.hint_at_audience = hint::hint_at_audience(&claims);
            }
            TokenEvent::Checked { check, holds } => {
                told.line(mark_of(holds), check_in_words(check));
                if let Some(hint) = told.hint_at_audience
                    && matches!(check, Check::Audience { .. })
                    && !holds
                {
                    told.line(Mark::Hint, hint);
                }
            }
            TokenEvent::OfAnother(key) => told.note(format!(
                "not tried: {}: iss is another issuer",
                key_in_words(key)
            )),
            TokenEvent::Tried { key, verifies } => {
                told.note(format!("tried: {}", key_in_words(key)));
                if verifies {
                    told.line(Mark::Good, "the signature is good");
                }
            }
        }
    }

    /// The rules up to the one that decides, and the result.
    fn selected_rule(
        &self,
        compared: &[(usize, Result<Comparison, Ambiguous>)],
        outcome: Result<RuleOutcome<'_>, Ambiguous>,
        step: &mut Step,
    ) {
        let decided = decided_by(compared);
        let rules = self.config.rules.all();
        let before = decided.unwrap_or(rules.len());
        for (index, rule) in rules.iter().enumerate().take(before) {
            let other = (index, Ok(Comparison::OtherCondition));
            let why = if compared.contains(&other) {
                "another condition does not hold"
            } else {
                other_path_in_words(rule, self.request.path())
            };
            let mark = match why {
                OTHER_PATH => Mark::Aside,
                _ => Mark::Note,
            };
            step.detail(
                mark,
                format!("rules[{index}] {}: {why}", rule_in_words(rule)),
            );
        }
        let rule = decided.and_then(|index| Some((index, rules.get(index)?)));
        step.text = match (rule, outcome) {
            (Some((index, rule)), Err(part)) => {
                let why = why_unclear(part, self.request);
                format!("rules[{index}] {}: {why}", rule_in_words(rule))
            }
            (Some((index, rule)), Ok(_)) => {
                let is_for_tokens = matches!(rule.access, Access::Token(_));
                let reports = if rule.report_only && is_for_tokens {
                    ", only reports"
                } else {
                    ""
                };
                format!("rules[{index}] decides: {}{reports}", rule_in_words(rule))
            }
            (None, Ok(RuleOutcome::Public)) => "no rule matches, and unmatched is allow".to_owned(),
            (None, Ok(_)) => "no rule matches, and what no rule matches is denied".to_owned(),
            (None, Err(_)) => "there is no path, and no rule for CONNECT".to_owned(),
        };
        let reason = match outcome {
            Err(part) => part.reason(),
            Ok(RuleOutcome::NoRule) => "no_rule",
            Ok(RuleOutcome::Public | RuleOutcome::Token(..)) => return,
        };
        step.mark = Mark::Bad;
        step.reasons.push(reason);
    }

    /// What is said of a whole answer of a token endpoint in a header.
    fn answer_in(&self, place: &Place) -> Option<&'static str> {
        let Place::Header { name, .. } = place else {
            return None;
        };
        let value = String::from_utf8_lossy(self.request.value(name)?);
        hint::hint_at_answer(value.get(value.find('{')?..)?)
    }

    fn place(&self, place: &Place, found: &Extracted<'_>, near: Option<String>, step: &mut Step) {
        let (mark, text, reason) = match found {
            Extracted::Missing => match near {
                Some(near) => (Mark::Hint, near, None),
                None => (Mark::Note, "nothing".to_owned(), None),
            },
            Extracted::Token(_) => (Mark::Good, "a token".to_owned(), None),
            Extracted::Several => (
                Mark::Bad,
                match self.answer_in(place) {
                    Some(hint) => format!("more than one credential, by its commas: {hint}"),
                    None => "more than one credential".to_owned(),
                },
                Some("several_tokens"),
            ),
            Extracted::Ambiguous(part) => {
                let doubt = place_in_doubt(*part).to_owned();
                (Mark::Bad, doubt, Some(part.reason()))
            }
        };
        step.detail(mark, format!("{}: {text}", place_in_words(place)));
        if let Some(reason) = reason {
            step.text = NOT_SATISFIED.to_owned();
            step.mark = Mark::Bad;
            step.reasons.push(reason);
        }
    }

    fn keys(&self, provider: ProviderId, keys: &Keys, step: &mut Step) {
        match (keys, &self.keys_at_hand.0[provider]) {
            (Keys::Ready(keys), ProviderKeys::Set { origin, .. }) => {
                let text = format!("{} usable keys from {origin}", keys.keys().len());
                step.detail(Mark::Good, text);
                for key in keys.skipped() {
                    step.detail(Mark::Note, format!("skipped {key}"));
                }
                if let (Origin::Fetched(_), Some(remote)) = (origin, self.remote(provider)) {
                    let text = keys_of_gateway_in_words(remote);
                    step.detail(Mark::Note, text);
                }
            }
            (Keys::Unavailable { .. }, ProviderKeys::Failed(problem)) => {
                step.detail(Mark::Bad, format!("no keys: {problem}"));
                if let Some(remote) = self.remote(provider) {
                    let cluster = keys::clusters(remote).join(" and ");
                    let text =
                        format!("the filter asks Envoy's cluster {cluster}, not the address");
                    step.detail(Mark::Note, text);
                }
            }
            _ => {}
        }
    }

    fn remote(&self, provider: ProviderId) -> Option<&'n Remote> {
        match &self.config.providers[provider].keys {
            KeySource::Remote(remote) => Some(remote),
            KeySource::Local(_) => None,
        }
    }
}

impl Telling {
    fn good(&mut self, name: &'static str, text: String) {
        self.steps.push(Step::new(name, Mark::Good, text));
    }

    fn bad(&mut self, name: &'static str, text: String, reason: &'static str) {
        let step = Step::new(name, Mark::Bad, text).because(reason);
        self.steps.push(step);
    }

    /// Changes the step of this name, which may be a new one.
    fn at(&mut self, name: &'static str, change: impl FnOnce(&mut Step)) {
        if let Some(step) = self.steps.iter_mut().rfind(|step| step.name == name) {
            return change(step);
        }
        let mut step = Step::new(name, Mark::Good, String::new());
        change(&mut step);
        self.steps.push(step);
    }

    /// A line about tokens.
    fn line(&mut self, mark: Mark, text: impl Into<String>) {
        self.at("token", |step| step.detail(mark, text));
    }

    fn note(&mut self, text: impl Into<String>) {
        self.line(Mark::Note, text);
    }

    /// A line about what a token allows.
    fn allows(&mut self, holds: bool, text: String, reason: &'static str) {
        self.at("authorize", |step| {
            if step.text.is_empty() {
                step.text = "the token allows this".to_owned();
            }
            step.detail(mark_of(holds), text);
            if !holds {
                step.reasons.push(reason);
            }
        });
    }

    /// The result of a provider's demand.
    fn demanded(&mut self, outcome: Result<(), Unsatisfied>) {
        let (name, places) = &self.provider;
        let text = match (outcome, &self.token) {
            (Ok(()), LookedAt::Before) => "the token is good for this too".to_owned(),
            (Ok(()), _) => "the token is good".to_owned(),
            (Err(Unsatisfied::AwaitKeys(_) | Unsatisfied::AwaitRefresh(_)), _) => {
                let text = format!("the claims are good; the keys of {name} are not at hand");
                return self.note(text);
            }
            (Err(Unsatisfied::Missing | Unsatisfied::NoSession | Unsatisfied::CrossSite), _) => {
                format!("no token in {places}")
            }
            (Err(Unsatisfied::Several), _) => "different tokens in several places".to_owned(),
            (Err(Unsatisfied::Invalid(error)), token) => {
                let text = error.description().to_owned();
                if let LookedAt::Raw(Some(hint), _) = token {
                    let hint = *hint;
                    self.line(Mark::Hint, hint);
                }
                text
            }
            (
                Err(
                    Unsatisfied::Unavailable(_)
                    | Unsatisfied::NoRefresh(_)
                    | Unsatisfied::Unknown(_)
                    | Unsatisfied::NoStore(_),
                ),
                _,
            ) => {
                format!("there are no keys of {name}")
            }
        };
        if outcome.is_ok() {
            self.good.push(self.provider.0.clone());
        }
        self.line(mark_of(outcome.is_ok()), text);
        self.at("token", |step| {
            step.reasons.extend(outcome.err().and_then(reason))
        });
    }

    /// The result of the whole requirement.
    fn satisfied(&mut self, outcome: Result<usize, Unsatisfied>) {
        let asks_store = self.asks_store;
        self.at("token", |step| {
            let (mark, text) = match outcome {
                Ok(0) => (Mark::Good, "is not needed"),
                Ok(_) => (Mark::Good, "satisfies the rule"),
                Err(Unsatisfied::AwaitKeys(_)) => (Mark::Note, "depends on its signature"),
                Err(Unsatisfied::AwaitRefresh(_)) if asks_store => {
                    (Mark::Note, "depends on the shared store")
                }
                Err(Unsatisfied::AwaitRefresh(_)) => (Mark::Note, "depends on a refresh"),
                Err(_) => (Mark::Bad, NOT_SATISFIED),
            };
            step.mark = mark;
            step.text = text.to_owned();
            step.reasons.extend(outcome.err().and_then(reason));
        });
    }

    fn authorized(&mut self, allowed: bool) {
        if allowed {
            return;
        }
        self.at("authorize", |step| {
            step.mark = Mark::Bad;
            step.text = "the token does not allow this".to_owned();
            if step.details.is_empty() {
                step.text = "there is no token that could allow this".to_owned();
                step.reasons.push("token_missing");
            }
        });
    }
}

/// The reason of the rejection, if the request is rejected for this.
fn reason(unsatisfied: Unsatisfied) -> Option<&'static str> {
    unsatisfied
        .rejection()
        .ok()
        .map(|rejection| rejection.reason())
}

/// The rule that decides: the last one that matches the request, or that cannot be compared with it.
fn decided_by(compared: &[(usize, Result<Comparison, Ambiguous>)]) -> Option<usize> {
    let mut last = compared.iter().rev();
    let decides = last.find(|(_, outcome)| matches!(outcome, Ok(Comparison::Same) | Err(_)));
    decides.map(|(rule, _)| *rule)
}

fn selected(from: &KeySet, keys: &Selection<'_>, step: &mut Step) {
    match keys {
        Selection::Keys(keys) => {
            if keys.len() == MAX_CANDIDATES && from.keys().len() > MAX_CANDIDATES {
                let text = format!("{MAX_CANDIDATES} keys are tried at most");
                step.detail(Mark::Note, text);
            }
        }
        Selection::UnknownKid | Selection::NoMatch => {
            let known: Vec<String> = from.keys().iter().map(key_in_words).collect();
            step.detail(Mark::Note, format!("the keys: {}", known.join("; ")));
        }
    }
}
