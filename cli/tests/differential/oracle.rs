//! What bearer-gate must answer, put together from what jwt_authn says to smaller questions.
//!
//! A second listener with jwt_authn is asked which rule matches a request, and what it makes of each
//! provider that this rule names, by itself. Only how these answers combine is written down here:
//! that is where the two filters differ on purpose. So the expected answer looks at nothing but the
//! rule that matched and the tokens that are in its places.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

mod reason;
mod way;

use way::{Refused, TokenUse, Way, best, lenient, settled};

use crate::bench::{Answer, Bench, Seen, Side, Told};
use crate::configuration::{Configuration, Leaf, PART, Place, Provider, rule_token};
use crate::difference::Difference;
use crate::place::{self, Found, strip};
use crate::request::{Part, Request};
use crate::requirement::Requirement;
use crate::token::{Flaw, Token};

/// What bearer-gate answers to a request that jwt_authn reads in the same way.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Expected {
    pub status: u16,
    /// Reasons in jwt_authn's words, or in bearer-gate's where jwt_authn has none.
    pub reason: String,
    /// What the upstream sees, where that can be told.
    pub seen: Option<Seen>,
    /// What later filters are told of the tokens, where that can be told.
    pub told: Option<Told>,
    /// Why this is not what jwt_authn answers to the whole request, if it is not.
    pub why: BTreeSet<Difference>,
}

/// Where a token's fault that only one of them minds comes among its others.
#[derive(Clone, Copy)]
struct Variant {
    /// bearer-gate's complaint comes before jwt_authn's.
    first: bool,
    /// A token that jwt_authn gave up on because of a key of another kind is good.
    other_kinds: bool,
}

const VARIANTS: [Variant; 4] = [
    Variant {
        first: false,
        other_kinds: false,
    },
    Variant {
        first: true,
        other_kinds: false,
    },
    Variant {
        first: false,
        other_kinds: true,
    },
    Variant {
        first: true,
        other_kinds: true,
    },
];

pub(crate) struct Oracle<'o> {
    pub bench: &'o Bench,
    pub pair: &'o str,
    pub configuration: &'o Configuration,
    request: &'o Request,
    places: Vec<Place>,
    answers: RefCell<BTreeMap<usize, Answer>>,
}

pub(crate) const NO_SUCH_KEY: &str = "Jwks doesn't have key to match kid or alg from Jwt";

/// Every right answer. There is more than one where bearer-gate may choose which fault it names.
pub(crate) fn expected(
    bench: &Bench,
    pair: &str,
    configuration: &Configuration,
    request: &Request,
) -> Vec<Expected> {
    let (rule, untouched) = rule(bench, pair, configuration, request);
    let public = |why: &[Difference]| Expected {
        status: 200,
        reason: String::new(),
        seen: Some(untouched.clone()),
        told: Some(Told::new()),
        why: why.iter().copied().collect(),
    };
    let is_preflight = configuration.bypasses_preflight && request.is_preflight();
    let requires = match rule {
        None if is_preflight || configuration.is_lenient => return vec![public(&[])],
        None => {
            return vec![Expected {
                status: 403,
                reason: "No rule allows this request".to_owned(),
                seen: None,
                told: None,
                why: [Difference::UnmatchedIsDenied].into(),
            }];
        }
        Some(rule) => match &configuration.rules[rule].requires {
            None => return vec![public(&[])],
            Some(requires) => requires,
        },
    };
    let oracle = Oracle {
        bench,
        pair,
        configuration,
        request,
        places: places(configuration, requires),
        answers: RefCell::default(),
    };
    let mut all: Vec<Expected> = Vec::new();
    for variant in VARIANTS {
        let expected = oracle.answer(requires, variant, &untouched);
        if !all.contains(&expected) {
            all.push(expected);
        }
    }
    all
}

/// The rule that matches, as jwt_authn finds it, and the request as it passes where nothing is
/// required.
fn rule(
    bench: &Bench,
    pair: &str,
    configuration: &Configuration,
    request: &Request,
) -> (Option<usize>, Seen) {
    let mut asked = request.clone();
    for at in 0..configuration.rules.len() {
        let header = (format!("x-rule-{at}"), rule_token(at).to_owned());
        asked.parts.push(Part::Header(header.0, header.1));
    }
    let answer = bench.ask(pair, Side::Parts, &asked);
    let mut seen = answer.seen.expect("a good token for every rule");
    let rule = seen.headers.iter().find(|(name, _)| name == "x-rule");
    let rule = rule.map(|(_, text)| text["rule-".len()..].parse().expect("a number"));
    seen.headers.retain(|(name, _)| !name.starts_with("x-rule"));
    (rule, seen)
}

/// The places that a rule is about.
fn places(configuration: &Configuration, requires: &Requirement) -> Vec<Place> {
    let of = |at: usize| configuration.providers[at].read_places().to_vec();
    let every = || (0..configuration.providers.len()).flat_map(of).collect();
    match requires {
        Requirement::Provider(at) | Requirement::ProviderAndAudiences(at, _) => of(*at),
        Requirement::AllowMissing | Requirement::AllowMissingOrFailed => every(),
        Requirement::All(members) => members
            .iter()
            .flat_map(|member| places(configuration, member))
            .collect(),
        Requirement::Any(members) => {
            let mut others = members.iter().filter(|member| !member.is_lenient());
            match others.clone().next() {
                None => every(),
                Some(_) => others.by_ref().fold(Vec::new(), |mut all, member| {
                    all.extend(places(configuration, member));
                    all
                }),
            }
        }
    }
}

impl Oracle<'_> {
    fn answer(&self, requires: &Requirement, variant: Variant, untouched: &Seen) -> Expected {
        let mut why = BTreeSet::new();
        let found: Vec<(&Place, Found)> = self
            .places
            .iter()
            .map(|place| (place, self.found(place)))
            .collect();
        let is_twice = |found: &(&Place, Found)| matches!(found.1, Found::Several);
        let verdict = if found.iter().any(is_twice) {
            Err(Refused::Several)
        } else {
            let ways = self.ways(requires, variant, &mut why);
            best(ways, &texts(&found))
        };
        why.extend(self.combination(requires, &found));
        let mut expected = Expected {
            status: 401,
            reason: String::new(),
            seen: None,
            told: None,
            why,
        };
        match verdict {
            Ok(uses) => {
                expected.status = 200;
                expected.seen = self.upstream(untouched, &uses, &found);
                let told = uses.iter().map(|used| used.told.clone());
                expected.told = told
                    .collect::<Option<Vec<Told>>>()
                    .map(|told| told.into_iter().flatten().collect());
            }
            Err(Refused::Several) => {
                expected.why.insert(Difference::SeveralTokens);
                expected.status = 400;
                "More than one credential in the request".clone_into(&mut expected.reason);
            }
            Err(Refused::Missing) => "Jwt is missing".clone_into(&mut expected.reason),
            Err(Refused::UnknownIssuer(text) | Refused::Invalid(text)) => expected.reason = text,
        }
        expected
    }

    /// Every way to satisfy a requirement, and those that fail.
    fn ways(
        &self,
        requires: &Requirement,
        variant: Variant,
        why: &mut BTreeSet<Difference>,
    ) -> Vec<Way> {
        match requires {
            Requirement::Provider(at) => vec![self.leaf(*at, None, variant, why)],
            Requirement::ProviderAndAudiences(at, audiences) => {
                vec![self.leaf(*at, Some(audiences), variant, why)]
            }
            Requirement::All(members) => {
                let mut all = vec![Way::default()];
                for member in members {
                    let part = self.ways(member, variant, why);
                    let both = all
                        .iter()
                        .flat_map(|one| part.iter().map(|two| one.and(two)));
                    all = settled(both.collect());
                }
                all
            }
            Requirement::Any(members) => {
                let others: Vec<_> = members.iter().filter(|m| !m.is_lenient()).collect();
                let has = |wanted: fn(&Requirement) -> bool| members.iter().any(wanted);
                let any_failure = has(|m| matches!(m, Requirement::AllowMissingOrFailed));
                let missing = has(|m| matches!(m, Requirement::AllowMissing));
                if others.is_empty() {
                    return self.every(any_failure, variant, why);
                }
                let ways = others
                    .iter()
                    .flat_map(|member| self.ways(member, variant, why));
                lenient(settled(ways.collect()), any_failure, missing)
            }
            Requirement::AllowMissing => self.every(false, variant, why),
            Requirement::AllowMissingOrFailed => self.every(true, variant, why),
        }
    }

    /// A token of any provider, or none.
    fn every(
        &self,
        any_failure: bool,
        variant: Variant,
        why: &mut BTreeSet<Difference>,
    ) -> Vec<Way> {
        let all = 0..self.configuration.providers.len();
        let ways = all.map(|at| self.leaf(at, None, variant, why));
        lenient(settled(ways.collect()), any_failure, true)
    }

    fn leaf(
        &self,
        at: usize,
        audiences: Option<&Vec<String>>,
        variant: Variant,
        why: &mut BTreeSet<Difference>,
    ) -> Way {
        let provider = &self.configuration.providers[at];
        let mut tokens = Vec::new();
        for place in provider.read_places() {
            match self.found(place) {
                Found::Nothing | Found::Several => {}
                Found::One(text, token) => tokens.push((place.clone(), text, token)),
            }
        }
        let covers: BTreeSet<String> = tokens.iter().map(|(_, text, _)| text.clone()).collect();
        if covers.len() > 1 {
            why.insert(Difference::SeveralTokens);
            return Way::failed(Refused::Several, covers);
        }
        let Some((place, text, token)) = tokens.into_iter().next() else {
            return Way::failed(Refused::Missing, covers);
        };
        let leaf = Leaf {
            provider: at,
            audiences: audiences.cloned(),
            place,
        };
        let native = self.ask(&leaf);
        let minds = token
            .as_ref()
            .and_then(|token| self.minds(token, provider, audiences));
        if let Some((difference, text)) = minds
            && (native.is_admitted() || variant.first)
        {
            why.insert(difference);
            return Way::failed(Refused::Invalid(text.to_owned()), covers);
        }
        let has = |flaws: &[Flaw]| token.as_ref().is_some_and(|t| flaws.contains(&t.flaw));
        let good = |seen: Option<Seen>, told: Option<Told>| Way {
            uses: vec![TokenUse {
                provider: at,
                text: text.clone(),
                token: token.clone(),
                seen,
                told,
            }],
            covers: covers.clone(),
            ..Way::default()
        };
        if native.reason == "Jwt ED25519 signature is wrong length" {
            why.insert(Difference::KeysOfOtherKinds);
            let is_forged = has(&[
                Flaw::BadSignature,
                Flaw::OtherKey,
                Flaw::OtherHash,
                Flaw::UnsecuredNone,
                Flaw::Hmac,
                Flaw::Garbage,
            ]);
            if variant.other_kinds && !is_forged {
                return good(None, None);
            }
        }
        if native.status == 403 {
            why.insert(Difference::WrongAudienceIsUnauthorized);
        }
        let failure = match native.seen {
            Some(seen) => return good(Some(seen), Some(native.told)),
            None if native.reason == "Jwt is missing" => Refused::Missing,
            None if native.reason == "Jwt issuer is not configured" => {
                Refused::UnknownIssuer(native.reason)
            }
            None => Refused::Invalid(native.reason),
        };
        Way::failed(failure, covers)
    }

    /// What jwt_authn makes of this one provider.
    fn ask(&self, leaf: &Leaf) -> Answer {
        let leaves = self.configuration.leaves();
        let at = leaves.iter().position(|known| known == leaf);
        let at = at.expect("a leaf of the configuration");
        let mut answers = self.answers.borrow_mut();
        let answer = answers.entry(at).or_insert_with(|| {
            let mut asked = self.request.clone();
            asked
                .parts
                .push(Part::Header(PART.to_owned(), at.to_string()));
            self.bench.ask(self.pair, Side::Parts, &asked)
        });
        answer.clone()
    }

    /// The token in a place, unless a longer prefix of another place of the rule fits too.
    fn found(&self, place: &Place) -> Found {
        let found = place::found(self.request, place);
        if let (Place::Header { name, prefix }, Found::One(..)) = (place, &found) {
            let is_longer = |other: &&Place| matches!(other, Place::Header { name: known, prefix: longer } if known == name && longer.len() > prefix.len());
            let mut longer = self.places.iter().filter(is_longer);
            if longer.any(|other| matches!(place::found(self.request, other), Found::One(..))) {
                return Found::Nothing;
            }
        }
        found
    }

    /// The untouched request, with claims and without the tokens that were used.
    fn upstream(
        &self,
        untouched: &Seen,
        uses: &[TokenUse],
        found: &[(&Place, Found)],
    ) -> Option<Seen> {
        let mut seen = untouched.clone();
        for (place, found) in found {
            let Found::One(text, _) = found else { continue };
            let of = uses.iter().filter(|used| used.text == *text);
            let of: Vec<&Provider> = of
                .map(|used| &self.configuration.providers[used.provider])
                .collect();
            let is_theirs = |provider: &&Provider| {
                let mut own = provider.read_places().iter();
                own.any(|own| own.overlaps(place))
            };
            let stays = of.iter().all(|provider| provider.forward) && of.iter().any(is_theirs);
            if !of.is_empty() && !stays {
                strip(&mut seen, place);
            }
        }
        for used in uses {
            let provider = &self.configuration.providers[used.provider];
            let of_leaf = used.seen.as_ref()?;
            for (name, value) in &of_leaf.headers {
                if provider.sets.contains(name) {
                    seen.headers.retain(|(known, _)| known != name);
                    let value = match &used.token {
                        Some(token) => told(token, name, value),
                        None => Some(value.clone()),
                    };
                    seen.headers
                        .extend(value.map(|value| (name.clone(), value)));
                }
            }
        }
        seen.headers.sort();
        Some(seen)
    }
}

/// A claim that only jwt_authn tells, or that it tells otherwise.
fn told(token: &Token, header: &str, by_jwt_authn: &str) -> Option<String> {
    if token.flaw != Flaw::OddClaims || !header.ends_with("-level") {
        return Some(by_jwt_authn.to_owned());
    }
    let claims: Value = serde_json::from_str(&token.claims).unwrap_or_default();
    match &claims["level"] {
        Value::String(text) if text.trim() != text || text.contains(char::is_control) => None,
        Value::Number(number) if number.as_u64().is_some_and(|number| number >= 1 << 53) => {
            Some(number.to_string())
        }
        _ => Some(by_jwt_authn.to_owned()),
    }
}

fn texts(found: &[(&Place, Found)]) -> BTreeSet<String> {
    let texts = found.iter().filter_map(|(_, found)| match found {
        Found::One(text, _) => Some(text.clone()),
        Found::Nothing | Found::Several => None,
    });
    texts.collect()
}
