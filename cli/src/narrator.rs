//! What a decision tells, in words.
//!
//! Invariant: nothing is compared here. Each line says what the decision found, in the decision's
//! own order, so the steps cannot disagree with it.

use std::cell::RefCell;

use bearer_gate::authn::{Event, Failure};
use bearer_gate::config::{Access, ClaimTest, Config, Otherwise, ProviderId, Rule, Scopes};
use bearer_gate::http::ambiguous::Ambiguous;
use bearer_gate::http::authority;
use bearer_gate::http::credentials::{Extracted, Place};
use bearer_gate::http::request::Request;
use bearer_gate::jose::claims::Claims;
use bearer_gate::jose::event::{Check, Event as TokenEvent, Time};
use bearer_gate::jose::jwa::Algorithm;
use bearer_gate::jose::jwk::Key;
use bearer_gate::jose::jwks::{KeySet, MAX_CANDIDATES, Selection};
use bearer_gate::jose::token_type::TokenType;
use bearer_gate::jwks::lifecycle::Keys;
use bearer_gate::matcher::Comparison;
use bearer_gate::policy::{Event as PolicyEvent, RuleOutcome};
use bearer_gate::trace::{Listen, Trace};
use serde_json::Value;

use crate::hint;
use crate::keys::{Known, Ring};
use crate::verdict::{Mark, Step, name};

const NOT_SATISFIED: &str = "does not satisfy the rule";

/// Listens to a decision, and makes its steps.
pub struct Narrator<'n> {
    config: &'n Config,
    request: &'n Request,
    ring: &'n Ring,
    told: RefCell<Told>,
}

/// What was told so far.
#[derive(Default)]
struct Told {
    /// The last one may get more.
    steps: Vec<Step>,
    /// The rules that were compared.
    compared: Vec<(usize, Result<Comparison, Ambiguous>)>,
    /// The provider that is asked: its name, and its places.
    provider: (String, String),
    /// What the token is that is looked at.
    token: Token,
}

/// How far a token was looked at.
#[derive(Default)]
enum Token {
    #[default]
    None,
    /// It is not known to be well-formed, and this is why it may not be.
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
        self.of_request(event());
    }
}

impl<'e> Trace<PolicyEvent<'e>> for Narrator<'_> {
    fn note(&self, event: impl FnOnce() -> PolicyEvent<'e>) {
        self.of_rule(event());
    }
}

impl<'e> Trace<TokenEvent<'e>> for Narrator<'_> {
    fn note(&self, event: impl FnOnce() -> TokenEvent<'e>) {
        self.of_token(event());
    }
}

impl<'n> Narrator<'n> {
    pub fn new(config: &'n Config, request: &'n Request, ring: &'n Ring) -> Self {
        Narrator {
            config,
            request,
            ring,
            told: RefCell::default(),
        }
    }

    /// The steps of the decision.
    pub fn steps(self) -> Vec<Step> {
        self.told.into_inner().steps
    }

    fn of_request(&self, event: Event<'_>) {
        let mut told = self.told.borrow_mut();
        match event {
            Event::Path(Ok(path)) => told.good("path", format!("compared as {path}")),
            Event::Path(Err(reason)) => {
                let text = format!("has no single meaning: it {reason}");
                told.bad("path", text, Ambiguous::Path.reason());
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
                told.at("token", |step| self.place(place, found, step));
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
                let places: Vec<String> = provider.places.iter().map(name).collect();
                told.provider = (provider.name.clone(), places.join(", "));
                told.token = Token::None;
            }
            Event::Token(token) => told.token = Token::Raw(hint::of(token), hint::header(token)),
            Event::FoundGoodBefore => {
                told.note("the token that the provider verified above");
                told.token = Token::Before;
            }
            Event::Cached => {
                told.note("a token that the provider verified before");
                told.token = Token::Before;
            }
            Event::FoundBadBefore => told.note("the keys decide as above"),
            Event::Keys { provider, keys } => {
                told.at("token", |step| self.keys(provider, keys, step));
            }
            Event::Selected { from, keys } => {
                told.at("token", |step| selected(from, keys, step));
            }
            Event::Demanded(outcome) => told.demanded(outcome),
            Event::Satisfied(outcome) => told.satisfied(outcome),
            Event::Authorized(allowed) => told.authorized(allowed),
        }
    }

    fn of_rule(&self, event: PolicyEvent<'_>) {
        let mut told = self.told.borrow_mut();
        match event {
            PolicyEvent::Compared { rule, outcome } => told.compared.push((rule, outcome)),
            PolicyEvent::Selected(outcome) => {
                let compared = std::mem::take(&mut told.compared);
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
                let has = scopes_of(scope_claims, claims);
                let text = format!("scopes: {}; {has}", self::asked(asked));
                told.allows(holds, text, "insufficient_scope");
            }
            PolicyEvent::Claim { rule, found, holds } => {
                let found = found.map_or("is not there".to_owned(), |claim| {
                    format!("is {}", claim.to_value())
                });
                let path = Value::from(rule.path.clone());
                let text = format!("claim {path}: {}; it {found}", test(&rule.test));
                told.allows(holds, text, "claim_rule");
            }
        }
    }

    fn of_token(&self, event: TokenEvent<'_>) {
        let mut told = self.told.borrow_mut();
        match event {
            TokenEvent::Parsed { claims, .. } => {
                let token = std::mem::replace(&mut told.token, Token::Parsed);
                if let Token::Raw(_, Some(written)) = token {
                    told.note(format!("header: {written}"));
                    if let Some(hint) = hint::of_header(&written) {
                        told.note(hint);
                    }
                }
                told.note(format!("claims: {}", claims.all().to_value()));
            }
            TokenEvent::Checked { check, holds } => {
                told.line(mark(holds), checked(check));
            }
            TokenEvent::Tried { key, verifies } => {
                told.note(format!("tried: {}", describe_key(key)));
                if verifies {
                    told.line(Mark::Good, "the signature is good");
                }
            }
        }
    }

    /// The rules up to the one that decides, and what comes of them.
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
                "another path"
            };
            let text = format!("rules[{index}] {}: {why}", describe(rule));
            step.detail(Mark::Note, text);
        }
        let rule = decided.and_then(|index| Some((index, rules.get(index)?)));
        step.text = match (rule, outcome) {
            (Some((index, rule)), Err(part)) => {
                let why = unclear(part, self.request);
                format!("rules[{index}] {}: {why}", describe(rule))
            }
            (Some((index, rule)), Ok(_)) => {
                let is_for_tokens = matches!(rule.access, Access::Token(_));
                let reports = if rule.report_only && is_for_tokens {
                    ", only reports"
                } else {
                    ""
                };
                format!("rules[{index}] decides: {}{reports}", describe(rule))
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

    fn place(&self, place: &Place, found: &Extracted<'_>, step: &mut Step) {
        let (mark, text, reason) = match found {
            Extracted::Missing => match near(self.request, place) {
                Some(near) => (Mark::Note, near, None),
                None => (Mark::Note, "nothing", None),
            },
            Extracted::Token(_) => (Mark::Good, "a token", None),
            Extracted::Several => (
                Mark::Bad,
                "more than one credential",
                Some("several_tokens"),
            ),
            Extracted::Ambiguous(part) => (Mark::Bad, doubt(*part), Some(part.reason())),
        };
        step.detail(mark, format!("{}: {text}", name(place)));
        if let Some(reason) = reason {
            step.text = NOT_SATISFIED.to_owned();
            step.mark = Mark::Bad;
            step.reasons.push(reason);
        }
    }

    fn keys(&self, provider: ProviderId, keys: &Keys, step: &mut Step) {
        match (keys, &self.ring.0[provider]) {
            (Keys::Ready(keys), Known::Set { origin, .. }) => {
                let text = format!("{} usable keys from {origin}", keys.keys().len());
                step.detail(Mark::Good, text);
                for key in keys.skipped() {
                    step.detail(Mark::Note, format!("skipped {key}"));
                }
            }
            (Keys::Unavailable { .. }, Known::Failed(problem)) => {
                step.detail(Mark::Bad, format!("no keys: {problem}"));
            }
            _ => {}
        }
    }
}

impl Told {
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
            step.detail(mark(holds), text);
            if !holds {
                step.reasons.push(reason);
            }
        });
    }

    /// What comes of a provider's demand.
    fn demanded(&mut self, outcome: Result<(), Failure>) {
        let (name, places) = &self.provider;
        let text = match (outcome, &self.token) {
            (Ok(()), Token::Before) => "the token is good for this too".to_owned(),
            (Ok(()), _) => "the token is good".to_owned(),
            (Err(Failure::AwaitKeys(_)), _) => {
                let text = format!("the claims are good; the keys of {name} are not at hand");
                return self.note(text);
            }
            (Err(Failure::Missing), _) => format!("no token in {places}"),
            (Err(Failure::Several), _) => "different tokens in several places".to_owned(),
            (Err(Failure::Invalid(error)), token) => {
                let text = error.description().to_owned();
                if let Token::Raw(Some(hint), _) = token {
                    let hint = *hint;
                    self.note(hint);
                }
                text
            }
            (Err(Failure::Unavailable(_)), _) => format!("there are no keys of {name}"),
        };
        self.line(mark(outcome.is_ok()), text);
        self.at("token", |step| {
            step.reasons.extend(outcome.err().and_then(reason))
        });
    }

    /// What comes of the whole requirement.
    fn satisfied(&mut self, outcome: Result<usize, Failure>) {
        self.at("token", |step| {
            let (mark, text) = match outcome {
                Ok(0) => (Mark::Good, "is not needed"),
                Ok(_) => (Mark::Good, "satisfies the rule"),
                Err(Failure::AwaitKeys(_)) => (Mark::Note, "depends on its signature"),
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

/// Why a request is rejected for a failure, if it is.
fn reason(failure: Failure) -> Option<&'static str> {
    failure.rejection().ok().map(|rejection| rejection.reason())
}

/// The rule that decides: the last that is the same as the request, or that nobody can say of.
fn decided_by(compared: &[(usize, Result<Comparison, Ambiguous>)]) -> Option<usize> {
    let mut last = compared.iter().rev();
    let decides = last.find(|(_, outcome)| matches!(outcome, Ok(Comparison::Same) | Err(_)));
    decides.map(|(rule, _)| *rule)
}

/// Why a rule cannot be sure of a request.
fn unclear(part: Ambiguous, request: &Request) -> String {
    match part {
        Ambiguous::Host => {
            let authority = request.value(":authority").unwrap_or_default();
            let reason = authority::host(authority).err();
            let reason = reason.map_or(String::new(), |reason| format!(": it {reason}"));
            format!("looks at the host (--host), which has no single meaning{reason}")
        }
        Ambiguous::Method => "looks at the method, which is not in upper case".to_owned(),
        Ambiguous::Query => {
            "looks at a parameter of the query that upstreams read in several ways".to_owned()
        }
        Ambiguous::Header | Ambiguous::TokenList | Ambiguous::Path => {
            "looks at a header that upstreams read in several ways".to_owned()
        }
    }
}

fn describe(rule: &Rule) -> String {
    use bearer_gate::matcher::PathMatcher::{Connect, Exact, Prefix, Regex, Segments};
    let path = match &rule.matcher.path {
        Prefix(text) => format!("prefix {text}"),
        Exact(text) => format!("path {text}"),
        Segments(text) => format!("path_separated_prefix {text}"),
        Regex(_) => "safe_regex".to_owned(),
        Connect => "CONNECT".to_owned(),
    };
    match rule.matcher.conditions.len() {
        0 => path,
        more => format!("{path} and {more} more conditions"),
    }
}

/// What is there in place of a token.
fn near(request: &Request, place: &Place) -> Option<&'static str> {
    let Place::Header { name, prefix } = place else {
        return None;
    };
    if prefix.is_empty() {
        return None;
    }
    let query = request
        .path()
        .and_then(|path| path.split(|byte| *byte == b'?').nth(1));
    let has_parameter = |query: &[u8]| {
        query
            .split(|byte| *byte == b'&')
            .any(|piece| piece.starts_with(b"access_token="))
    };
    match request.value(name) {
        Some(value) if value.len() > 1 => {
            Some("nothing: the header is there, and does not begin so")
        }
        _ if query.is_some_and(has_parameter) => Some(
            "nothing: the query has access_token, which is looked for where from_params names it",
        ),
        _ => None,
    }
}

/// What is wrong with a place for a token.
fn doubt(part: Ambiguous) -> &'static str {
    match part {
        Ambiguous::TokenList => "a list, where one token is looked for",
        _ => {
            "what only some upstreams read as a token: under a similar name, or after another separator"
        }
    }
}

fn mark(good: bool) -> Mark {
    if good { Mark::Good } else { Mark::Bad }
}

fn asked(scopes: &Scopes) -> String {
    let mut parts = Vec::new();
    if !scopes.all.is_empty() {
        parts.push(format!("each of {}", scopes.all.join(" ")));
    }
    if !scopes.any.is_empty() {
        parts.push(format!("one of {}", scopes.any.join(" ")));
    }
    parts.join(" and ")
}

fn test(test: &ClaimTest) -> String {
    match test {
        ClaimTest::Equals(value) => format!("equals {value}"),
        ClaimTest::Any(values) => format!("any of {}", Value::from(values.clone())),
        ClaimTest::All(values) => format!("all of {}", Value::from(values.clone())),
        ClaimTest::Exists(true) => "exists".to_owned(),
        ClaimTest::Exists(false) => "does not exist".to_owned(),
        ClaimTest::Not(inner) => format!("not {}", self::test(inner)),
    }
}

fn describe_key(key: &Key) -> String {
    let algorithms: Vec<&str> = Algorithm::ALL
        .iter()
        .filter(|algorithm| key.allows(**algorithm))
        .map(|algorithm| algorithm.name())
        .collect();
    let kid = match key.kid() {
        Some(kid) => format!("kid {kid}"),
        None => "no kid".to_owned(),
    };
    format!("{kid} for {}", algorithms.join(", "))
}

fn from_now(seconds: f64) -> String {
    let whole = seconds.abs().round();
    let (amount, unit) = match whole {
        whole if whole < 120.0 => (whole, "s"),
        whole if whole < 7200.0 => ((whole / 60.0).round(), "min"),
        whole if whole < 172_800.0 => ((whole / 3600.0).round(), "h"),
        whole => ((whole / 86_400.0).round(), "days"),
    };
    if seconds < 0.0 {
        format!("{amount} {unit} ago")
    } else {
        format!("in {amount} {unit}")
    }
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
            let known: Vec<String> = from.keys().iter().map(describe_key).collect();
            step.detail(Mark::Note, format!("the keys: {}", known.join("; ")));
        }
    }
}

/// What a token has of scopes.
fn scopes_of(scope_claims: &[String], claims: &Claims) -> String {
    let has: Vec<String> = scope_claims
        .iter()
        .filter_map(|name| Some(format!("{name} {}", claims.get(name)?.to_value())))
        .collect();
    if has.is_empty() {
        format!("the token has none of {}", scope_claims.join(", "))
    } else {
        format!("the token has {}", has.join(", "))
    }
}

/// A check: what is there, and what is expected.
fn checked(check: Check<'_>) -> String {
    let text = |text: Option<&str>| match text {
        Some(text) => Value::from(text).to_string(),
        None => "not there".to_owned(),
    };
    match check {
        Check::Algorithm { found, allowed } => {
            let allowed: Vec<&str> = allowed.iter().map(|one| one.name()).collect();
            format!("alg is {}; allowed: {}", found.name(), allowed.join(", "))
        }
        Check::Issuer { found, expected } => {
            format!("iss is {}; expected: {}", text(found), text(Some(expected)))
        }
        Check::NotBefore(time) => date("nbf", time),
        Check::Expiration(time) => date("exp", time),
        Check::NoExpiration => "exp is not there".to_owned(),
        Check::Lifetime(most) => format!("max_lifetime is {} s", most.as_secs_f64()),
        Check::IssuedAt(time) => date("iat", time),
        Check::Audience { found, expected } => {
            let found = found.map_or("not there".to_owned(), |named| {
                let named: Vec<Value> = named.each().map(|one| one.to_value()).collect();
                Value::from(named).to_string()
            });
            format!(
                "aud is {found}; expected one of: {}",
                Value::from(expected.to_vec())
            )
        }
        Check::Subject(found) => format!("sub is {}; subjects are configured", text(found)),
        Check::Confirmation => "cnf is there: the token is bound to a key of its holder".to_owned(),
        Check::Type { found, expected } => {
            let expected = match expected {
                TokenType::Jwt => "JWT, or none",
                TokenType::AccessToken => "at+jwt, and the claims of an access token (RFC 9068)",
            };
            format!("typ is {}; expected: {expected}", text(found))
        }
    }
}

fn date(claim: &str, time: Time) -> String {
    let date = time.date.seconds();
    let distance = from_now(date - time.now);
    let leeway = time.leeway_seconds;
    format!("{claim} is {date}, {distance}; leeway {leeway} s")
}
