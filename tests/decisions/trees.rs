//! Random requirements, compared with a slow reference: it lists every way to satisfy a
//! requirement, and the best one counts.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use bearer_gate::authn::{Admission, Context, Decision, Listener, authenticate_with};
use bearer_gate::cache::TokenCache;
use bearer_gate::config::{Config, KeySource, ProviderId};
use bearer_gate::desk::question::{Answered, Question, Unclear};
use bearer_gate::desk::{Basis, Facts, Metadata, Need};
use bearer_gate::document::finding::Finding;
use bearer_gate::ended::{Known, Mark};
use bearer_gate::http::credentials::Change;
use bearer_gate::http::request::Request;
use bearer_gate::jose::jwa::Algorithm;
use bearer_gate::jose::jwk::Key;
use bearer_gate::jose::verifier::Verifier;
use bearer_gate::jwks::keys::{Keys, UnknownKid};
use bearer_gate::trace::{Listen, Trace};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{JWKS, NOW, forged_of, token};

/// Where tokens are put. Some places belong to several providers, some to one.
const PLACES: [&str; 6] = ["authorization", "x-1", "x-2", "x-3", "cookie", ":path"];
/// The places of each provider.
const OF: [&[usize]; 4] = [&[0], &[1, 4], &[0, 2], &[1, 3, 5]];
/// Whether the upstream gets the provider's tokens.
const FORWARDS: [bool; 4] = [false, false, true, true];

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Ready,
    Pending,
    Down,
}

/// A token: its provider, its audience, and whether its signature is good.
#[derive(Clone, Debug)]
struct Made {
    issuer: usize,
    second: bool,
    forged: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Otherwise {
    Reject,
    Missing,
    Failed,
}

#[derive(Clone, Debug)]
enum Tree {
    /// A provider, and whether the requirement names another audience than the provider's.
    Provider(usize, bool),
    Any(Vec<Self>, Otherwise),
    All(Vec<Self>),
    /// A requirement of every provider.
    Every(Otherwise),
}

impl Tree {
    fn json(&self) -> Value {
        let list = |members: &[Self]| members.iter().map(Self::json).collect::<Vec<Value>>();
        match self {
            Self::Provider(at, false) => json!({"provider_name": at.to_string()}),
            Self::Provider(at, true) => json!({"provider_and_audiences": {
                "provider_name": at.to_string(), "audiences": ["second"],
            }}),
            Self::Any(members, otherwise) => {
                let mut members = list(members);
                members.extend(otherwise.json());
                json!({"requires_any": {"requirements": members}})
            }
            Self::All(members) => json!({"requires_all": {"requirements": list(members)}}),
            Self::Every(otherwise) => otherwise.json().unwrap(),
        }
    }
}

impl Otherwise {
    fn json(self) -> Option<Value> {
        match self {
            Self::Reject => None,
            Self::Missing => Some(json!({"allow_missing": {}})),
            Self::Failed => Some(json!({"allow_missing_or_failed": {}})),
        }
    }
}

fn otherwise() -> impl Strategy<Value = Otherwise> {
    prop_oneof![
        3 => Just(Otherwise::Reject),
        2 => Just(Otherwise::Missing),
        1 => Just(Otherwise::Failed),
    ]
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf =
        || (0..4_usize, prop::bool::weighted(0.2)).prop_map(|(at, more)| Tree::Provider(at, more));
    let inner = leaf().prop_recursive(3, 14, 3, |inner| {
        let members = || prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            3 => (members(), otherwise()).prop_map(|(members, otherwise)| Tree::Any(members, otherwise)),
            2 => members().prop_map(Tree::All),
        ]
    });
    let every = prop::bool::ANY.prop_map(|failed| {
        Tree::Every(if failed {
            Otherwise::Failed
        } else {
            Otherwise::Missing
        })
    });
    prop_oneof![
        8 => inner.clone(),
        1 => every.clone(),
        1 => (inner, every).prop_map(|(one, other)| Tree::All(vec![one, other])),
    ]
}

#[derive(Clone, Debug)]
struct Case {
    tree: Tree,
    /// Tokens, and which of them is in each place.
    tokens: Vec<Made>,
    places: Vec<Option<usize>>,
    states: Vec<State>,
}

fn case() -> impl Strategy<Value = Case> {
    let token = (
        0..5_usize,
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.25),
    );
    let token = token.prop_map(|(issuer, second, forged)| Made {
        issuer,
        second,
        forged,
    });
    let state = prop_oneof![
        8 => Just(State::Ready), 1 => Just(State::Pending), 1 => Just(State::Down)
    ];
    let place = prop::option::weighted(0.35, 0..4_usize);
    (
        tree(),
        prop::collection::vec(token, 4),
        prop::collection::vec(place, PLACES.len()),
        prop::collection::vec(state, OF.len()),
    )
        .prop_map(|(tree, tokens, places, states)| Case {
            tree,
            tokens,
            places,
            states,
        })
}

impl Made {
    fn text(&self, name: usize) -> String {
        let audience = if self.second { "second" } else { "api" };
        let claims =
            json!({"iss": self.issuer.to_string(), "aud": audience, "sub": name.to_string()});
        if self.forged {
            forged_of(claims)
        } else {
            token(claims)
        }
    }
}

impl Case {
    fn config(&self) -> Config {
        let mut providers = serde_json::Map::new();
        for (at, places) in OF.iter().enumerate() {
            let mut provider = json!({
                "issuer": at.to_string(), "audiences": ["api"], "forward": FORWARDS[at],
                "local_jwks": {"inline_string": JWKS},
                "claim_to_headers": [{"header_name": format!("x-of-{at}"), "claim_name": "sub"}],
            });
            let mut headers = Vec::new();
            for place in *places {
                match PLACES[*place] {
                    "cookie" => provider["from_cookies"] = json!(["s"]),
                    ":path" => provider["from_params"] = json!(["t"]),
                    "authorization" => {
                        headers.push(json!({"name": "authorization", "value_prefix": "Bearer "}));
                    }
                    name => headers.push(json!({"name": name})),
                }
            }
            provider["from_headers"] = json!(headers);
            providers.insert(at.to_string(), provider);
        }
        let rule = json!({"match": {"prefix": "/"}, "requires": self.tree.json()});
        let config = json!({"providers": providers, "rules": [rule]});
        Config::parse(config.to_string().as_bytes()).unwrap()
    }

    fn request(&self) -> Request {
        let mut path = "/x".to_owned();
        let mut headers = Vec::new();
        for (place, token) in PLACES.iter().zip(&self.places) {
            let Some(name) = *token else { continue };
            let text = self.tokens[name].text(name);
            match *place {
                ":path" => path = format!("/x?t={text}"),
                "cookie" => headers.push(((*place).into(), format!("s={text}").into_bytes())),
                "authorization" => {
                    headers.push(((*place).into(), format!("Bearer {text}").into_bytes()))
                }
                place => headers.push((place.into(), text.into_bytes())),
            }
        }
        headers.push((":path".into(), path.into_bytes()));
        Request::new(headers)
    }
}

/// Providers, and the tokens that they verified.
type Identities = BTreeSet<(usize, usize)>;

/// A way to satisfy a requirement, or what it fails by.
#[derive(Clone, Debug, Default)]
struct Way {
    /// The tokens that have a part in it.
    tokens: BTreeSet<usize>,
    identities: Identities,
    tolerates: bool,
    failure: Option<&'static str>,
}

fn weight(failure: &str) -> u8 {
    match failure {
        "token_missing" => 0,
        "issuer" => 1,
        "keys_unavailable" => 3,
        "several_tokens" => 4,
        "await" => 5,
        _ => 2,
    }
}

fn lasts(failure: &str) -> u8 {
    match failure {
        "await" => 2,
        "keys_unavailable" => 1,
        _ => 0,
    }
}

impl Case {
    fn provider(&self, at: usize, second: bool) -> Way {
        let tokens: BTreeSet<usize> = OF[at]
            .iter()
            .filter_map(|place| self.places[*place])
            .collect();
        let mut way = Way {
            tokens: tokens.clone(),
            ..Way::default()
        };
        let mut tokens = tokens.into_iter();
        let Some(name) = tokens.next() else {
            way.failure = Some("token_missing");
            return way;
        };
        let token = &self.tokens[name];
        way.failure = if tokens.next().is_some() {
            Some("several_tokens")
        } else if token.issuer != at {
            Some("issuer")
        } else if token.second != second {
            Some("audience")
        } else if self.states[at] == State::Pending {
            Some("await")
        } else if self.states[at] == State::Down {
            Some("keys_unavailable")
        } else if token.forged {
            Some("signature")
        } else {
            way.identities.insert((at, name));
            None
        };
        way
    }

    fn otherwise(ways: &mut Vec<Way>, otherwise: Otherwise) {
        if ways.iter().any(|way| way.failure.is_none()) {
            return;
        }
        let failures = ways.iter().filter_map(|way| way.failure);
        let weightiest = failures.max_by_key(|failure| weight(failure)).unwrap();
        match (otherwise, weightiest) {
            (Otherwise::Missing, "token_missing") => ways.push(Way::default()),
            (Otherwise::Reject | Otherwise::Missing, _) | (_, "several_tokens") => {}
            (Otherwise::Failed, failure) => ways.push(Way {
                tolerates: true,
                failure: (failure == "await").then_some("await"),
                ..Way::default()
            }),
        }
    }

    /// Every way, whether or not it accounts for the tokens.
    fn ways(&self, tree: &Tree) -> Vec<Way> {
        self.every_way(tree, &Self::with_a_say)
    }

    /// The same without leaving any out.
    fn raw(&self, tree: &Tree) -> Vec<Way> {
        self.every_way(tree, &|ways| ways)
    }

    /// Of alternatives about the same tokens, a good one counts before one that fails, and otherwise the weightiest
    /// failure counts. So it is for what several members say together too: where all but the last can be satisfied, they
    /// are no reason.
    fn with_a_say(ways: Vec<Way>) -> Vec<Way> {
        let is_as_good = |one: &Way, other: &Way| {
            one.failure.is_none()
                && one.tokens.is_superset(&other.tokens)
                && (one.tolerates || !other.tolerates)
        };
        let says_more = |(at, one): (usize, &Way), (other_at, other): (usize, &Way)| {
            let weigh = |way: &Way, at: usize| (way.failure.map(weight), at);
            one.failure.is_some()
                && (&one.tokens, one.tolerates) == (&other.tokens, other.tolerates)
                && weigh(one, at) > weigh(other, other_at)
        };
        let mut kept = Vec::new();
        for (at, way) in ways.iter().enumerate() {
            let mut others = ways.iter().enumerate();
            let has_no_say =
                others.any(|other| is_as_good(other.1, way) || says_more(other, (at, way)));
            if way.failure.is_none() || !has_no_say {
                kept.push(way.clone());
            }
        }
        kept
    }

    fn every_way(&self, tree: &Tree, keep: &dyn Fn(Vec<Way>) -> Vec<Way>) -> Vec<Way> {
        let of = |member: &Tree| self.every_way(member, keep);
        match tree {
            Tree::Provider(at, second) => vec![self.provider(*at, *second)],
            Tree::Any(members, otherwise) => {
                let mut ways: Vec<Way> = members.iter().flat_map(of).collect();
                Self::otherwise(&mut ways, *otherwise);
                keep(ways)
            }
            Tree::Every(otherwise) => {
                let mut ways: Vec<Way> = (0..OF.len()).map(|at| self.provider(at, false)).collect();
                Self::otherwise(&mut ways, *otherwise);
                keep(ways)
            }
            Tree::All(members) => {
                let mut all = vec![Way::default()];
                for member in members {
                    let part = of(member);
                    let both = all
                        .iter()
                        .flat_map(|one| part.iter().map(|other| Self::both(one, other)));
                    all = keep(both.collect());
                }
                all
            }
        }
    }

    fn both(one: &Way, other: &Way) -> Way {
        let mut both = one.clone();
        both.tokens.extend(&other.tokens);
        both.identities.extend(&other.identities);
        both.tolerates |= other.tolerates;
        both.failure = match (one.failure, other.failure) {
            (Some(one), Some(two)) if lasts(two) < lasts(one) => Some(two),
            (one, two) => one.or(two),
        };
        both
    }

    /// The places where the requirement finds tokens.
    fn places_of(tree: &Tree) -> BTreeSet<usize> {
        match tree {
            Tree::Provider(at, _) => OF[*at].iter().copied().collect(),
            Tree::Any(members, _) | Tree::All(members) => {
                members.iter().flat_map(Self::places_of).collect()
            }
            Tree::Every(_) => (0..PLACES.len()).collect(),
        }
    }

    /// The possible outcomes: identities of an admission, or reasons of a refusal.
    fn expected(&self) -> Result<Vec<Identities>, BTreeSet<&'static str>> {
        let places = Self::places_of(&self.tree);
        let carried: BTreeSet<usize> = places
            .iter()
            .filter_map(|place| self.places[*place])
            .collect();
        let unverified = |way: &Way| carried.difference(&way.tokens).count();
        let mut ways = self.ways(&self.tree);
        let accounts = |way: &Way| way.tolerates || unverified(way) == 0;
        ways.retain(accounts);
        let raw = self.raw(&self.tree);
        let passes = raw.iter().any(|way| way.failure.is_none() && accounts(way));
        assert_eq!(passes, ways.iter().any(|way| way.failure.is_none()));
        let good: Vec<&Way> = ways.iter().filter(|way| way.failure.is_none()).collect();
        let waits = ways.iter().filter(|way| way.failure == Some("await"));
        let waits = waits.map(unverified).min();
        let least = good.iter().map(|way| unverified(way)).min();
        match (least, waits) {
            (Some(least), waits) if waits.is_none_or(|waits| least <= waits) => {
                let best = good.iter().filter(|way| unverified(way) == least);
                Ok(best.map(|way| way.identities.clone()).collect())
            }
            (_, Some(_)) => Err(["await"].into()),
            _ => {
                let failures = ways.iter().filter_map(|way| way.failure);
                let most = failures.clone().map(weight).max();
                let mut reasons: BTreeSet<&str> = failures
                    .filter(|failure| Some(weight(failure)) == most)
                    .collect();
                if reasons.is_empty() {
                    reasons.insert("several_tokens");
                }
                Err(reasons)
            }
        }
    }

    /// The places that are emptied for the upstream, where these tokens were verified.
    fn emptied(&self, identities: &Identities) -> BTreeSet<&'static str> {
        let places = Self::places_of(&self.tree);
        let emptied = places.into_iter().filter(|place| {
            let Some(name) = self.places[*place] else {
                return false;
            };
            let of: Vec<usize> = identities
                .iter()
                .filter(|(_, token)| *token == name)
                .map(|(at, _)| *at)
                .collect();
            let stays =
                of.iter().all(|at| FORWARDS[*at]) && of.iter().any(|at| OF[*at].contains(place));
            !of.is_empty() && !stays
        });
        emptied.map(|place| PLACES[place]).collect()
    }
}

/// A signature that begins with 1 is good; how often each is verified by each provider's key.
#[derive(Default)]
struct Counting(RefCell<BTreeMap<(usize, Vec<u8>), u32>>);

impl Verifier for Counting {
    fn verify(&self, _: Algorithm, key: &Key, input: &[u8], signature: &[u8]) -> bool {
        let key = std::ptr::from_ref(key) as usize;
        *self
            .0
            .borrow_mut()
            .entry((key, input.to_vec()))
            .or_default() += 1;
        signature.first() == Some(&1)
    }

    fn name(&self) -> &'static str {
        "counting"
    }
}

struct Ring<'c> {
    config: &'c Config,
    states: &'c [State],
}

impl Facts for Ring<'_> {
    fn answer(&self, _: &Question) -> Finding<Result<Rc<Answered>, Unclear>> {
        Finding::Pending
    }

    fn metadata(&self, _: ProviderId) -> Finding<Rc<Metadata>> {
        Finding::Pending
    }

    fn keys(&self, provider: ProviderId) -> Keys {
        match (
            self.states[provider.index()],
            &self.config.providers[provider].keys,
        ) {
            (State::Ready, KeySource::Local(keys)) => Keys::Ready(Rc::clone(keys)),
            (State::Pending, _) => Keys::Pending,
            _ => Keys::Unavailable {
                retry_after: Duration::from_secs(1),
            },
        }
    }

    fn unknown_kid(&self, _: ProviderId, _: Option<&str>) -> UnknownKid {
        UnknownKid::NoSuchKey
    }

    fn is_over(&self, _: &Known) -> bool {
        false
    }

    fn knows_token(&self, _: &Mark) -> bool {
        false
    }
}

fn identities(admission: &Admission) -> Vec<(usize, usize)> {
    let set = admission
        .changes
        .outputs
        .iter()
        .flat_map(|outputs| &outputs.set);
    set.map(|(name, value)| {
        let at = name.strip_prefix("x-of-").unwrap().parse().unwrap();
        (at, String::from_utf8_lossy(value).parse().unwrap())
    })
    .collect()
}

/// The outcome of a case: identities and emptied places, or a reason.
type Outcome = Result<(Identities, BTreeSet<String>), &'static str>;

fn decide(case: &Case) -> Outcome {
    decide_with(case, &())
}

/// A listener that asks for every step.
struct Somebody;

impl Listen for Somebody {
    const LISTENS: bool = true;
}

impl<E> Trace<E> for Somebody {
    fn note(&self, event: impl FnOnce() -> E) {
        event();
    }
}

fn decide_with(case: &Case, trace: &impl Listener) -> Outcome {
    let config = case.config();
    let verifier = Counting::default();
    let context = Context {
        basis: Basis {
            facts: &Ring {
                config: &config,
                states: &case.states,
            },
            verifier: &verifier,
            headers: &RefCell::default(),
            now: NOW,
        },
        cache: &RefCell::new(TokenCache::new(&config.providers)),
        people: None,
    };
    let outcome = match authenticate_with(&case.request(), &config, &context, trace) {
        Decision::Await(Need::Keys(at)) => {
            assert_eq!(case.states[at.index()], State::Pending);
            Err("await")
        }
        Decision::Answer(_) => panic!("no document is asked for"),
        Decision::Await(need) => panic!("{need:?}"),
        Decision::Reject(refusal) => Err(refusal.rejection.reason()),
        Decision::Admit(admission) => {
            let list = identities(&admission);
            let set: Identities = list.iter().copied().collect();
            assert_eq!(list.len(), set.len(), "told once: {list:?}");
            let emptied: Vec<String> = admission
                .changes
                .strip
                .iter()
                .map(|change| match change {
                    Change::Remove(name) => name.clone(),
                    Change::Set(name, _) | Change::Lines(name, _) => (*name).to_owned(),
                })
                .collect();
            let emptied_set: BTreeSet<String> = emptied.iter().cloned().collect();
            assert_eq!(
                emptied.len(),
                emptied_set.len(),
                "taken out once: {emptied:?}"
            );
            Ok((set, emptied_set))
        }
    };
    for ((_, input), count) in verifier.0.borrow().iter() {
        assert_eq!(
            *count,
            1,
            "verified once: {}",
            String::from_utf8_lossy(input)
        );
    }
    outcome
}

pub(crate) fn cases(cases: u32) -> ProptestConfig {
    let more = if std::env::var_os("BEARER_GATE_SOAK").is_some() {
        50
    } else {
        1
    };
    ProptestConfig {
        cases: cases * more,
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(11),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases(1500))]

    #[test]
    fn a_requirement_is_decided_as_by_writing_out_every_way(case in case()) {
        let outcome = decide(&case);
        // A listener hears of more checks, and changes nothing.
        prop_assert_eq!(&outcome, &decide_with(&case, &Somebody));
        match (&outcome, case.expected()) {
            (Ok((identities, emptied)), Ok(ways)) => {
                prop_assert!(ways.contains(identities), "{identities:?} not of {ways:?}");
                let expected: BTreeSet<String> =
                    case.emptied(identities).into_iter().map(str::to_owned).collect();
                prop_assert_eq!(emptied, &expected);
            }
            (Err(reason), Err(reasons)) => {
                prop_assert!(reasons.contains(reason), "{reason} not of {reasons:?}");
            }
            (outcome, expected) => {
                prop_assert!(false, "{outcome:?}, not {expected:?}");
            }
        }
    }

    /// A requires_any within a requires_any says the same as all its members in one list.
    #[test]
    fn alternatives_within_alternatives_are_alternatives(
        mut case in case(),
        groups in prop::collection::vec(prop::collection::vec((0..4_usize, prop::bool::weighted(0.2)), 2..4), 2..4),
        optional in prop::bool::ANY,
    ) {
        let otherwise = if optional { Otherwise::Missing } else { Otherwise::Reject };
        let leaves = |group: &Vec<(usize, bool)>| -> Vec<Tree> {
            group.iter().map(|(at, second)| Tree::Provider(*at, *second)).collect()
        };
        let any = |group: &Vec<(usize, bool)>| Tree::Any(leaves(group), otherwise);
        case.tree = Tree::Any(groups.iter().map(any).collect(), Otherwise::Reject);
        let nested = decide(&case);
        case.tree = Tree::Any(groups.iter().flat_map(leaves).collect(), otherwise);
        prop_assert_eq!(nested, decide(&case));
    }
}
