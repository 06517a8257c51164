//! A token against what a rule asks for, check by check.
//!
//! Invariant: whether a token is good is what the library says of it; the single checks are there
//! to be read, and a test holds them to the library's word.

use std::borrow::Cow;

use bearer_gate::config::{
    Authorize, ClaimTest, Config, Demand, Otherwise, ProviderDemand, ProviderId, Requirement,
    Scopes, TokenAccess,
};
use bearer_gate::http::credentials::Extracted;
use bearer_gate::http::request::Request;
use bearer_gate::jose::claims::Claims;
use bearer_gate::jose::jwa::Algorithm;
use bearer_gate::jose::jwk::Key;
use bearer_gate::jose::jwks::{KeySet, MAX_CANDIDATES, Selection};
use bearer_gate::jose::jws;
use bearer_gate::jose::jwt::{self, Expectations, JwtError, Kept, Validated};
use bearer_gate::policy;
use bearer_gate::signature::portable::Portable;
use serde_json::Value;

use crate::hint;
use crate::keys::{Known, Ring};
use crate::verdict::{Mark, Step, name};

/// What a request is judged by.
pub struct Judge<'r> {
    pub config: &'r Config,
    pub request: &'r Request,
    pub ring: &'r Ring,
    /// Seconds since 1970.
    pub now: f64,
}

/// A token that a provider vouches for.
pub struct Accepted {
    pub provider: ProviderId,
    pub verified: Kept,
}

type Tokens<'r> = Vec<Option<Cow<'r, [u8]>>>;

impl Judge<'_> {
    /// Every demand of a requirement, whether or not the others have decided already; the tokens
    /// that are good for one.
    pub fn requirement(&self, demand: &Demand, step: &mut Step) -> Vec<Accepted> {
        let mut tokens: Tokens<'_> = demand
            .places
            .iter()
            .map(|place| match place.extract(self.request) {
                Extracted::Token(token) => Some(token),
                Extracted::Missing | Extracted::Several | Extracted::Ambiguous(_) => None,
            })
            .collect();
        let shadowed: Vec<bool> = demand
            .places
            .iter()
            .map(|place| {
                let mut found = demand.places.iter().zip(&tokens);
                found.any(|(longer, token)| token.is_some() && longer.shadows(place))
            })
            .collect();
        for (token, shadowed) in tokens.iter_mut().zip(shadowed) {
            if shadowed {
                *token = None;
            }
        }
        let mut accepted = Vec::new();
        self.walk(&demand.requirement, &tokens, step, &mut accepted);
        // Which tokens have a part in it, the way decides by which it is satisfied.
        let count = distinct(tokens.iter().flatten()).len();
        if count > 1 {
            let text =
                format!("{count} tokens, each of which has to have a part in the requirement");
            step.detail(Mark::Note, text);
        }
        if count > accepted.len() || count > 1 {
            step.reasons.push("several_tokens");
        }
        accepted
    }

    fn walk(
        &self,
        requirement: &Requirement,
        tokens: &Tokens<'_>,
        step: &mut Step,
        accepted: &mut Vec<Accepted>,
    ) {
        match requirement {
            Requirement::Provider(demand) => self.demand(demand, tokens, step, accepted),
            Requirement::Any { members, otherwise } => {
                step.detail(Mark::Note, format!("one of these {}:", members.len()));
                for member in members {
                    self.walk(member, tokens, step, accepted);
                }
                match otherwise {
                    Otherwise::Reject => {}
                    Otherwise::AllowMissing => step.detail(Mark::Note, "or no token for these"),
                    Otherwise::AllowMissingOrFailed => {
                        step.detail(Mark::Note, "or anything: allow_missing_or_failed");
                    }
                }
            }
            Requirement::All(members) => {
                step.detail(Mark::Note, format!("all of these {}:", members.len()));
                for member in members {
                    self.walk(member, tokens, step, accepted);
                }
            }
        }
    }

    fn demand(
        &self,
        demand: &ProviderDemand,
        tokens: &Tokens<'_>,
        step: &mut Step,
        accepted: &mut Vec<Accepted>,
    ) {
        let provider = &self.config.providers[demand.provider];
        step.detail(Mark::Note, format!("provider {}:", provider.name));
        let found = demand.places.iter();
        let found = found.filter_map(|place| tokens.get(*place)?.as_ref());
        let token = match distinct(found).as_slice() {
            [] => {
                let places: Vec<String> = provider.places.iter().map(name).collect();
                step.detail(Mark::Bad, format!("no token in {}", places.join(", ")));
                step.reasons.push("token_missing");
                return;
            }
            [token] => *token,
            _ => {
                step.detail(Mark::Bad, "different tokens in several places");
                step.reasons.push("several_tokens");
                return;
            }
        };
        let expectations = demand
            .expectations
            .as_deref()
            .unwrap_or(&provider.expectations);
        match self.token(token, demand.provider, expectations, step) {
            Ok(Some(verified)) => {
                step.detail(Mark::Good, "the token is good");
                accepted.push(Accepted {
                    provider: demand.provider,
                    verified,
                });
            }
            Ok(None) => {}
            Err(error) => {
                step.detail(Mark::Bad, error.description());
                step.reasons.push(error.reason());
            }
        }
    }

    /// `None` where there are no keys to tell by.
    fn token(
        &self,
        token: &[u8],
        id: ProviderId,
        expectations: &Expectations,
        step: &mut Step,
    ) -> Result<Option<Kept>, JwtError> {
        let parsed = jwt::parse(token).inspect_err(|_| {
            if let Some(hint) = hint::of(token) {
                step.detail(Mark::Note, hint);
            }
        })?;
        self.describe(token, expectations, step);
        let validated = parsed.validate(expectations, self.now)?;
        let keys = match &self.ring.0[id] {
            Known::Set { keys, origin } => {
                step.detail(
                    Mark::Good,
                    format!("{} usable keys from {origin}", keys.keys().len()),
                );
                for key in keys.skipped() {
                    step.detail(Mark::Note, format!("skipped {key}"));
                }
                keys
            }
            Known::Failed(problem) => {
                step.detail(Mark::Bad, format!("no keys: {problem}"));
                step.reasons.push("keys_unavailable");
                return Ok(None);
            }
            Known::NotFetched => {
                let text = format!(
                    "the claims are good; the keys of {} are not at hand",
                    self.config.providers[id].name
                );
                step.detail(Mark::Note, text);
                return Ok(None);
            }
        };
        verify(&validated, keys, step).map(Some)
    }

    /// Header and claims, and each check of them.
    fn describe(&self, token: &[u8], expectations: &Expectations, step: &mut Step) {
        let Ok(jws) = jws::parse(token) else { return };
        let Ok(claims) = Claims::parse(jws.untrusted_payload()) else {
            return;
        };
        let header = jws.untrusted_header();
        if let Some(written) = hint::header(token) {
            step.detail(Mark::Note, format!("header: {written}"));
            if let Some(hint) = hint::of_header(&written) {
                step.detail(Mark::Note, hint);
            }
        }
        let all = claims.all().to_value();
        step.detail(Mark::Note, format!("claims: {all}"));
        for (good, text) in checks(header.algorithm, &claims, expectations, self.now) {
            step.detail(if good { Mark::Good } else { Mark::Bad }, text);
        }
    }

    /// Whether one of the tokens allows what the rule is about.
    pub fn authorize(&self, access: &TokenAccess, accepted: &[Accepted]) -> Step {
        let mut step = Step::new("authorize", Mark::Good, "the token allows this");
        let mut allowed = false;
        for token in accepted {
            let provider = &self.config.providers[token.provider];
            let claims = token.verified.claims();
            let holds =
                |part: &Authorize| policy::authorize(part, &provider.scope_claims, claims).is_ok();
            for scopes in &access.authorize.scopes {
                let part = Authorize {
                    scopes: vec![scopes.clone()],
                    ..Authorize::default()
                };
                let has: Vec<String> = provider
                    .scope_claims
                    .iter()
                    .filter_map(|name| Some(format!("{name} {}", claims.get(name)?.to_value())))
                    .collect();
                let has = if has.is_empty() {
                    format!("the token has none of {}", provider.scope_claims.join(", "))
                } else {
                    format!("the token has {}", has.join(", "))
                };
                let good = holds(&part);
                step.detail(mark(good), format!("scopes: {}; {has}", asked(scopes)));
                if !good {
                    step.reasons.push("insufficient_scope");
                }
            }
            for rule in &access.authorize.claims {
                let part = Authorize {
                    claims: vec![rule.clone()],
                    ..Authorize::default()
                };
                let claim = claims.at(&rule.path);
                let claim = claim.map_or("is not there".to_owned(), |claim| {
                    format!("is {}", claim.to_value())
                });
                let path = Value::from(rule.path.clone());
                let good = holds(&part);
                step.detail(
                    mark(good),
                    format!("claim {path}: {}; it {claim}", test(&rule.test)),
                );
                if !good {
                    step.reasons.push("claim_rule");
                }
            }
            allowed |= holds(&access.authorize);
        }
        if !allowed {
            step.text = "the token does not allow this".to_owned();
            step.mark = Mark::Bad;
        }
        step
    }
}

/// The same token in several places is one.
fn distinct<'t>(tokens: impl Iterator<Item = &'t Cow<'t, [u8]>>) -> Vec<&'t [u8]> {
    let mut all: Vec<&[u8]> = Vec::new();
    for token in tokens {
        if !all.contains(&&**token) {
            all.push(token);
        }
    }
    all
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

fn verify(validated: &Validated<'_>, keys: &KeySet, step: &mut Step) -> Result<Kept, JwtError> {
    let header = validated.untrusted_header();
    let candidates = match keys.candidates(header) {
        Selection::Keys(candidates) => candidates,
        Selection::UnknownKid | Selection::NoMatch => {
            let known: Vec<String> = keys.keys().iter().map(describe_key).collect();
            step.detail(Mark::Note, format!("the keys: {}", known.join("; ")));
            return Err(JwtError::NoKey);
        }
    };
    for key in &candidates {
        step.detail(Mark::Note, format!("tried: {}", describe_key(key)));
    }
    if candidates.len() == MAX_CANDIDATES && keys.keys().len() > MAX_CANDIDATES {
        let text = format!("{MAX_CANDIDATES} keys are tried at most");
        step.detail(Mark::Note, text);
    }
    let verified = validated.verify(&candidates, &Portable)?;
    step.detail(Mark::Good, "the signature is good");
    Ok(verified.keep())
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

/// Each check of the claims: whether it passes, what is expected, and what is there.
fn checks(
    algorithm: Algorithm,
    claims: &Claims,
    expectations: &Expectations,
    now: f64,
) -> Vec<(bool, String)> {
    let skew = expectations.clock_skew_seconds as f64;
    let leeway = expectations.clock_skew_seconds;
    let mut checks = Vec::new();
    let allowed: Vec<&str> = expectations.algorithms.iter().map(|a| a.name()).collect();
    checks.push((
        expectations.algorithms.contains(&algorithm),
        format!(
            "alg is {}; allowed: {}",
            algorithm.name(),
            allowed.join(", ")
        ),
    ));
    let text = |text: Option<&str>| match text {
        Some(text) => Value::from(text).to_string(),
        None => "not there".to_owned(),
    };
    if let Some(issuer) = &expectations.issuer {
        checks.push((
            claims.issuer() == Some(issuer),
            format!(
                "iss is {}; expected: {}",
                text(claims.issuer()),
                text(Some(issuer))
            ),
        ));
    }
    if let Some(date) = claims.not_before.map(|date| date.seconds()) {
        checks.push((
            date <= now + skew,
            format!("nbf is {date}, {}; leeway {leeway} s", from_now(date - now)),
        ));
    }
    match claims.expires_at.map(|date| date.seconds()) {
        Some(date) => checks.push((
            now <= date + skew,
            format!("exp is {date}, {}; leeway {leeway} s", from_now(date - now)),
        )),
        None => checks.push((
            !expectations.require_expiration && expectations.max_lifetime.is_none(),
            "exp is not there".to_owned(),
        )),
    }
    if let (Some(date), Some(most)) = (claims.expires_at, expectations.max_lifetime) {
        checks.push((
            date.seconds() - now < most.as_secs_f64(),
            format!("max_lifetime is {} s", most.as_secs_f64()),
        ));
    }
    if let Some(date) = claims.issued_at.map(|date| date.seconds()) {
        checks.push((
            date <= now + skew,
            format!("iat is {date}, {}; leeway {leeway} s", from_now(date - now)),
        ));
    }
    if !expectations.audiences.is_empty() {
        let named: Vec<&str> = claims.audiences().collect();
        let is = claims.get("aud").map_or("not there".to_owned(), |_| {
            Value::from(named.clone()).to_string()
        });
        checks.push((
            expectations
                .audiences
                .iter()
                .any(|one| named.contains(&one.as_str())),
            format!(
                "aud is {is}; expected one of: {}",
                Value::from(expectations.audiences.clone())
            ),
        ));
    }
    if let Some(subjects) = &expectations.subjects {
        let subject = claims.subject();
        checks.push((
            subjects.matches(subject.unwrap_or_default().as_bytes()),
            format!("sub is {}; subjects are configured", text(subject)),
        ));
    }
    if claims.confirmation {
        checks.push((
            expectations.allow_sender_constrained,
            "cnf is there: the token is bound to a key of its holder".to_owned(),
        ));
    }
    checks
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
