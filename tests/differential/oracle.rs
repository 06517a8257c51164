//! What bearer-gate has to answer, put together from what jwt_authn says to smaller questions.
//!
//! A second listener with jwt_authn is asked which rule matches a request, and what it makes of each
//! provider that this rule names, by itself. Only how these answers combine is written down here:
//! that is where the two filters differ on purpose. So the expected answer looks at nothing but the
//! rule that matched and the tokens that are in its places.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::bench::{Answer, Bench, Seen, Side};
use crate::configuration::{Configuration, Leaf, PART, Place, Provider, rule_token};
use crate::difference::Difference;
use crate::place::{self, Found, strip};
use crate::request::{Part, Request};
use crate::requirement::Requirement;
use crate::token::{Flaw, Token};

/// What bearer-gate answers to a request that jwt_authn reads in the same way.
#[derive(Clone, Debug, PartialEq)]
pub struct Expected {
    pub status: u16,
    /// Reasons in jwt_authn's words, or in bearer-gate's where jwt_authn has none.
    pub reason: String,
    /// What the upstream sees, where that can be told.
    pub seen: Option<Seen>,
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

pub struct Oracle<'o> {
    pub bench: &'o Bench,
    pub pair: &'o str,
    pub configuration: &'o Configuration,
    request: &'o Request,
    places: Vec<Place>,
    answers: RefCell<BTreeMap<usize, Answer>>,
}

/// A token that satisfies a provider.
#[derive(Clone)]
struct Use {
    provider: usize,
    place: Place,
    token: Option<Token>,
    seen: Option<Seen>,
}

#[derive(Clone)]
enum Failure {
    Missing,
    UnknownIssuer(String),
    Invalid(String),
    Several,
}

const NO_SUCH_KEY: &str = "Jwks doesn't have key to match kid or alg from Jwt";

impl Failure {
    fn weight(&self) -> u8 {
        match self {
            Failure::Missing => 0,
            Failure::UnknownIssuer(_) => 1,
            Failure::Invalid(_) => 2,
            Failure::Several => 3,
        }
    }
}

#[derive(Clone, Default)]
struct Good {
    uses: Vec<Use>,
    tolerates: bool,
}

type Verdict = Result<Good, Failure>;

/// Every answer that is right: one, but where bearer-gate is free in what it complains about.
pub fn expected(
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
        let verdict = if found
            .iter()
            .any(|(_, found)| matches!(found, Found::Several))
        {
            Err(Failure::Several)
        } else {
            self.verdict(requires, variant, &mut why)
        };
        let verdict = verdict.and_then(|good| {
            let is_used = |place: &Place| good.uses.iter().any(|used| used.place == *place);
            let all_used = found
                .iter()
                .all(|(place, found)| matches!(found, Found::Nothing) || is_used(place));
            if all_used || good.tolerates {
                Ok(good)
            } else {
                Err(Failure::Several)
            }
        });
        why.extend(self.combination(requires, &found));
        let (status, reason, seen) = match verdict {
            Ok(good) => (200, String::new(), self.upstream(untouched, &good)),
            Err(Failure::Several) => {
                why.insert(Difference::SeveralTokens);
                let text = "More than one credential in the request";
                (400, text.to_owned(), None)
            }
            Err(Failure::Missing) => (401, "Jwt is missing".to_owned(), None),
            Err(Failure::UnknownIssuer(text) | Failure::Invalid(text)) => (401, text, None),
        };
        Expected {
            status,
            reason,
            seen,
            why,
        }
    }

    fn verdict(
        &self,
        requires: &Requirement,
        variant: Variant,
        why: &mut BTreeSet<Difference>,
    ) -> Verdict {
        match requires {
            Requirement::Provider(at) => self.leaf(*at, None, variant, why),
            Requirement::ProviderAndAudiences(at, audiences) => {
                self.leaf(*at, Some(audiences), variant, why)
            }
            Requirement::All(members) => {
                let mut all = Good::default();
                for member in members {
                    let part = self.verdict(member, variant, why)?;
                    all.uses.extend(part.uses);
                    all.tolerates |= part.tolerates;
                }
                Ok(all)
            }
            Requirement::Any(members) => {
                let others: Vec<_> = members.iter().filter(|m| !m.is_lenient()).collect();
                let has = |wanted: fn(&Requirement) -> bool| members.iter().any(wanted);
                let any_failure = has(|m| matches!(m, Requirement::AllowMissingOrFailed));
                let missing = has(|m| matches!(m, Requirement::AllowMissing));
                if others.is_empty() {
                    return self.every(any_failure, variant, why);
                }
                let verdict = first(others, |member| self.verdict(member, variant, why));
                lenient(verdict, any_failure, missing)
            }
            Requirement::AllowMissing => self.every(false, variant, why),
            Requirement::AllowMissingOrFailed => self.every(true, variant, why),
        }
    }

    /// A token of whichever provider, or none.
    fn every(
        &self,
        any_failure: bool,
        variant: Variant,
        why: &mut BTreeSet<Difference>,
    ) -> Verdict {
        let all = 0..self.configuration.providers.len();
        let verdict = first(all, |at| self.leaf(at, None, variant, why));
        lenient(verdict, any_failure, true)
    }

    fn leaf(
        &self,
        at: usize,
        audiences: Option<&Vec<String>>,
        variant: Variant,
        why: &mut BTreeSet<Difference>,
    ) -> Verdict {
        let provider = &self.configuration.providers[at];
        let mut tokens = Vec::new();
        for place in provider.read_places() {
            match self.found(place) {
                Found::Nothing => {}
                Found::One(token) => tokens.push((place.clone(), token)),
                Found::Several => return Err(Failure::Several),
            }
        }
        let (place, token) = match tokens.as_slice() {
            [] => return Err(Failure::Missing),
            [one] => one.clone(),
            _ => return Err(Failure::Several),
        };
        let leaf = Leaf {
            provider: at,
            audiences: audiences.cloned(),
            place: place.clone(),
        };
        let native = self.ask(&leaf);
        let minds = token
            .as_ref()
            .and_then(|token| self.minds(token, provider, audiences));
        if let Some((difference, text)) = minds
            && (native.is_admitted() || variant.first)
        {
            why.insert(difference);
            return Err(Failure::Invalid(text.to_owned()));
        }
        let has = |flaws: &[Flaw]| token.as_ref().is_some_and(|t| flaws.contains(&t.flaw));
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
                return Ok(Good {
                    uses: vec![Use {
                        provider: at,
                        place,
                        token,
                        seen: None,
                    }],
                    tolerates: false,
                });
            }
        }
        if native.status == 403 {
            why.insert(Difference::WrongAudienceIsUnauthorized);
        }
        match native.seen {
            Some(seen) => Ok(Good {
                uses: vec![Use {
                    provider: at,
                    place,
                    token,
                    seen: Some(seen),
                }],
                tolerates: false,
            }),
            None if native.reason == "Jwt is missing" => Err(Failure::Missing),
            None if native.reason == "Jwt issuer is not configured" => {
                Err(Failure::UnknownIssuer(native.reason))
            }
            None => Err(Failure::Invalid(native.reason)),
        }
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

    /// Why bearer-gate refuses a token that jwt_authn takes.
    fn minds(
        &self,
        token: &Token,
        provider: &Provider,
        audiences: Option<&Vec<String>>,
    ) -> Option<(Difference, &'static str)> {
        let claims: Value = serde_json::from_str(&token.claims).unwrap_or_default();
        let header: Value = serde_json::from_str(&token.header).unwrap_or_default();
        match token.flaw {
            Flaw::NoExpiration if provider.requires_expiration(self.configuration.is_lenient) => {
                Some((
                    Difference::ExpirationIsRequired,
                    "Jwt payload [exp] field is required",
                ))
            }
            Flaw::ZeroExpiration => Some((Difference::ZeroExpiration, "Jwt is expired")),
            Flaw::AudienceWithScheme => {
                let allowed = audiences.unwrap_or(&provider.audiences);
                let is_exact = allowed.iter().any(|known| claims["aud"] == known.as_str());
                (!allowed.is_empty() && !is_exact).then_some((
                    Difference::AudienceIsExact,
                    "Audiences in Jwt are not allowed",
                ))
            }
            Flaw::Critical => Some((
                Difference::CriticalHeader,
                "Jwt header [crit] is not supported",
            )),
            Flaw::IssuedInTheFuture => {
                let at = claims["iat"].as_i64().unwrap_or_default();
                // Providers differ in their skew.
                (at > bearer_gate_testbed::token::now() + provider.clock_skew)
                    .then_some((Difference::IssuedInTheFuture, "Jwt is issued in the future"))
            }
            Flaw::SenderConstrained => {
                Some((Difference::SenderConstrained, "Jwt is sender-constrained"))
            }
            Flaw::LeadingCharacter => Some((
                Difference::LeadingCharacter,
                "Jwt header is an invalid Base64url encoded",
            )),
            Flaw::OtherKey => {
                let named = header["kid"].as_str().unwrap_or_default();
                provider
                    .names_key(named)
                    .then_some((Difference::NamedKeyOnly, "Jwt verification fails"))
            }
            // What jwt_authn finds in place of the key that is named says no algorithm.
            Flaw::UnknownKid => {
                let algorithm = header["alg"].as_str().unwrap_or_default();
                let is_other = algorithm == "PS256" && !provider.has_nameless_key(algorithm);
                is_other.then_some((Difference::AlgorithmIsBound, NO_SUCH_KEY))
            }
            _ => None,
        }
    }

    /// The token in a place, unless a longer prefix of another place of the rule fits too.
    fn found(&self, place: &Place) -> Found {
        let found = place::found(self.request, place);
        if let (Place::Header { name, prefix }, Found::One(_)) = (place, &found) {
            let is_longer = |other: &&Place| matches!(other, Place::Header { name: known, prefix: longer } if known == name && longer.len() > prefix.len());
            let mut longer = self.places.iter().filter(is_longer);
            if longer.any(|other| matches!(place::found(self.request, other), Found::One(_))) {
                return Found::Nothing;
            }
        }
        found
    }

    /// The untouched request, with claims and without the tokens that were used.
    fn upstream(&self, untouched: &Seen, good: &Good) -> Option<Seen> {
        let mut seen = untouched.clone();
        for used in &good.uses {
            let provider = &self.configuration.providers[used.provider];
            if !provider.forward {
                strip(&mut seen, &used.place);
            }
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

    /// What is different because of how the rule combines providers.
    fn combination(&self, requires: &Requirement, found: &[(&Place, Found)]) -> Vec<Difference> {
        let mut why = Vec::new();
        let is_found = |place: &Place| {
            let mut found = found.iter();
            found.any(|(known, found)| *known == place && !matches!(found, Found::Nothing))
        };
        // Whether a member of a requires_all meets what another part of the rule looks at too: the
        // same token, or the same header.
        let occurrences = requires.occurrences(self.configuration.providers.len());
        let interferes = |members: &[Requirement]| {
            let providers = &self.configuration.providers;
            let of = members
                .iter()
                .flat_map(|member| member.occurrences(providers.len()));
            of.into_iter().any(|one| {
                let one = &providers[one];
                let shares = |other: &&usize| {
                    let other = &providers[**other];
                    let mut places = one.read_places().iter();
                    places.any(|place| other.read_places().contains(place) && is_found(place))
                        || one.sets.iter().any(|header| other.sets.contains(header))
                };
                occurrences.iter().filter(shares).count() > 1
            })
        };
        // A header with a token, of which a shorter prefix fits too.
        let has_several_prefixes = found.iter().any(|(place, found)| match (place, found) {
            (Place::Header { name, prefix }, Found::One(_)) => self.places.iter().any(|other| {
                matches!(other, Place::Header { name: known, prefix: shorter }
                    if known == name && shorter.len() < prefix.len())
            }),
            _ => false,
        });
        if has_several_prefixes {
            why.push(Difference::LongestPrefix);
        }
        if requires.any_all(&interferes) {
            why.push(Difference::AllWithoutSideEffects);
        }
        let may_be_of = |provider: &Provider, token: &Token| {
            let claims: Value = serde_json::from_str(&token.claims).unwrap_or_default();
            provider.issuer.is_none() || claims["iss"].as_str() == provider.issuer.as_deref()
        };
        let is_of_several = found.iter().any(|(place, found)| match found {
            Found::One(Some(token)) => {
                let judges = self.configuration.providers.iter();
                let judges = judges.filter(|provider| may_be_of(provider, token));
                let (here, all) = judges.fold((0, 0), |(here, all), provider| {
                    let is_here = provider.read_places().contains(place);
                    (here + usize::from(is_here), all + 1)
                });
                here > 0 && all > 1
            }
            _ => false,
        });
        if is_of_several && requires.asks_every() {
            why.push(Difference::EveryProviderOfAnIssuer);
        }
        why
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

/// The first that is good, or the failure that says most.
fn first<M>(
    members: impl IntoIterator<Item = M>,
    mut verdict: impl FnMut(M) -> Verdict,
) -> Verdict {
    let mut weightiest = Failure::Missing;
    for member in members {
        match verdict(member) {
            Ok(good) => return Ok(good),
            Err(failure) if failure.weight() >= weightiest.weight() => weightiest = failure,
            Err(_) => {}
        }
    }
    Err(weightiest)
}

fn lenient(verdict: Verdict, any_failure: bool, missing: bool) -> Verdict {
    match verdict {
        Err(Failure::Missing) if missing && !any_failure => Ok(Good::default()),
        Err(Failure::Missing | Failure::UnknownIssuer(_) | Failure::Invalid(_)) if any_failure => {
            Ok(Good {
                uses: Vec::new(),
                tolerates: true,
            })
        }
        verdict => verdict,
    }
}
