//! What a worker remembers changes no decision: each request of a sequence is decided as by a worker
//! that knows nothing, whatever time, keys and rules did in between.

use std::rc::Rc;
use std::time::Duration;

use bearer_gate::config::{Config, KeySource};
use bearer_gate::jose::jwks::KeySet;
use bearer_gate::jwks::keys::Keys;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{JWKS, Judge, NOW, bearer, forged_of, merge, request, token, token_by, token_from};

/// What happens in a sequence.
#[derive(Clone, Debug)]
enum Step {
    /// A request with the header of this number, for the rule of this number, and whether it has a token
    /// elsewhere too.
    Ask(usize, usize, bool),
    /// The clock is so many seconds after (or before) [`NOW`].
    Clock(f64),
    /// A provider has other keys.
    Keys(usize, usize),
}

/// The keys that a provider can have: those of its configuration, the same in another document, those
/// of somebody else, none yet, and none.
fn keys(config: &Config, provider: usize, which: usize) -> Keys {
    let set = |text: &str| Keys::Ready(Rc::new(KeySet::parse(text.as_bytes()).unwrap()));
    let configured = config.providers.iter().nth(provider).map(|it| &it.keys);
    match (which, configured) {
        (0, Some(KeySource::Local(keys))) => Keys::Ready(Rc::clone(keys)),
        (1, _) => set(JWKS),
        (2, _) => {
            let jwk = include_str!("../fixtures/ed25519.jwk.json");
            set(&format!(r#"{{"keys":[{jwk}]}}"#))
        }
        (3, _) => Keys::Pending,
        _ => Keys::Unavailable {
            retry_after: Duration::from_secs(1),
        },
    }
}

/// Rules of all kinds that count on `authorization`, by a prefix of the path each; and one that does not.
fn rules() -> Vec<Value> {
    let a = || json!({"provider_name": "a"});
    let c = || json!({"provider_name": "c"});
    let of = |kind: &str, requirements: Value| json!({kind: {"requirements": requirements}});
    let audiences = json!({"provider_name": "a", "audiences": ["other"]});
    let mut rules: Vec<Value> = [
        a(),
        c(),
        json!({"provider_and_audiences": audiences}),
        of("requires_any", json!([a(), c()])),
        of("requires_any", json!([c(), a()])),
        of("requires_any", json!([a(), {"allow_missing": {}}])),
        of(
            "requires_any",
            json!([c(), {"allow_missing_or_failed": {}}]),
        ),
        of(
            "requires_all",
            json!([a(), {"provider_and_audiences": audiences}]),
        ),
        of("requires_any", json!([{"provider_name": "b"}, a()])),
        json!({"provider_name": "d"}),
        of("requires_any", json!([{"provider_name": "d"}, a()])),
    ]
    .into_iter()
    .enumerate()
    .map(|(at, requires)| json!({"match": {"prefix": format!("/{at}")}, "requires": requires}))
    .collect();
    let with = |at: usize, more: Value| {
        let mut rule = json!({"match": {"prefix": format!("/{at}")}, "requires": a()});
        merge(&mut rule, more);
        rule
    };
    rules.push(with(
        11,
        json!({"authorize": {"scopes": {"all": ["read"]}}}),
    ));
    rules.push(with(
        12,
        json!({"authorize": {"scopes": {"all": ["write"]}}, "report_only": true}),
    ));
    // `/1` is a prefix of `/10`.
    rules.reverse();
    rules
}

const RULES: usize = 13;

fn config() -> Config {
    let places = json!([
        {"name": "authorization", "value_prefix": "Bearer "},
        {"name": "authorization", "value_prefix": "Token "},
    ]);
    let of_d = json!({
        "issuer": "a", "audiences": ["api"], "local_jwks": {"inline_string": JWKS},
        "from_headers": places, "clock_skew_seconds": 0,
    });
    super::config_with(
        json!({"match": {"prefix": "/nothing"}}),
        json!({"providers": {"d": of_d}, "rules": rules()}),
    )
}

/// The values of `authorization`: good ones, such that time makes or breaks, and bad ones.
fn headers() -> Vec<String> {
    let of = |change: Value| {
        let mut claims = json!({"iss": "a", "aud": "api", "sub": "s", "scope": "read"});
        merge(&mut claims, change);
        claims
    };
    let good = bearer(&token(of(json!({}))));
    vec![
        good.clone(),
        bearer(&token(of(json!({"exp": NOW + 5.0})))),
        bearer(&token(of(json!({"nbf": NOW + 100.0})))),
        bearer(&token(of(json!({"iss": "c", "sub": "t"})))),
        bearer(&token(of(json!({"aud": ["api", "other"], "sub": "u"})))),
        bearer(&forged_of(of(json!({})))),
        bearer(&token_by("new", of(json!({})), true)),
        bearer(&token(of(json!({"iss": "nobody"})))),
        good.replace("Bearer ", "Token "),
        good.replace("Bearer ", "bearer  "),
        format!("{good},{good}"),
        "Basic eDp5".to_owned(),
    ]
}

const HEADERS: usize = 12;

/// A sequence about few headers and rules, so that they come often enough to be remembered.
fn sequence() -> impl Strategy<Value = Vec<Step>> {
    let few = |of: usize| proptest::collection::vec(0..of, 1..4);
    (few(HEADERS), few(RULES)).prop_flat_map(|(headers, rules)| {
        let (header, rule) = (prop::sample::select(headers), prop::sample::select(rules));
        let elsewhere = prop::bool::weighted(0.2);
        let ask = (header, rule, elsewhere)
            .prop_map(|(header, rule, elsewhere)| Step::Ask(header, rule, elsewhere));
        let clock = prop::sample::select(vec![
            0.0,
            4.9,
            5.0,
            39.9,
            40.0,
            65.0,
            65.1,
            99.0,
            101.0,
            700.0,
            -700.0,
            f64::NAN,
        ]);
        let keys = (0..4_usize, 0..5_usize);
        let step = prop_oneof![
            12 => ask,
            2 => clock.prop_map(Step::Clock),
            1 => keys.prop_map(|(provider, which)| Step::Keys(provider, which)),
        ];
        proptest::collection::vec(step, 1..100)
    })
}

/// What a sequence came to: how many requests were let through, and by what was remembered.
fn play(config: &Config, steps: &[Step]) -> Result<(usize, u64), TestCaseError> {
    let (headers, of_b) = (headers(), token_from("b"));
    let mut worker = Judge::new(config, None);
    let mut admitted = 0;
    for (at, step) in steps.iter().enumerate() {
        match step {
            Step::Clock(seconds) => worker.now = NOW + seconds,
            Step::Keys(provider, which) => {
                worker.ring.instead = Some((*provider, keys(config, *provider, *which)));
            }
            Step::Ask(header, rule, elsewhere) => {
                let path = format!("/{rule}");
                let mut sent = vec![
                    (":path", path.as_str()),
                    ("authorization", &headers[*header]),
                ];
                sent.extend(elsewhere.then_some(("x-token", of_b.as_str())));
                let request = request(&sent);
                let mut stranger = Judge::new(config, worker.ring.instead.clone());
                stranger.now = worker.now;
                let outcome = worker.decide(&request);
                prop_assert_eq!(&outcome, &stranger.decide(&request), "step {}", at);
                admitted += usize::from(outcome.starts_with("ok"));
            }
        }
    }
    let (hits, _) = worker.cache.borrow_mut().take_lookups();
    Ok((admitted, hits))
}

proptest! {
    #![proptest_config(super::trees::cases(300))]

    #[test]
    fn a_sequence_is_decided_as_by_workers_that_know_nothing(
        steps in sequence()
    ) {
        thread_local!(static CONFIG: Config = config());
        CONFIG.with(|config| play(config, &steps).map(drop))?;
    }
}

#[test]
fn the_sequences_are_about_something() {
    let config = config();
    // Verified, found among the verified, recalled.
    let steps = [(); 3].map(|()| Step::Ask(0, 0, false));
    assert_eq!(play(&config, &steps).unwrap(), (3, 2));
    let rows = rules().len();
    assert_eq!((rows, headers().len()), (RULES, HEADERS));
    for rule in 0..RULES {
        let any = (0..HEADERS).any(|header| {
            let steps = [(); 3].map(|()| Step::Ask(header, rule, false));
            play(&config, &steps).unwrap().0 == 3
        });
        assert!(any, "nobody passes rule {rule}");
    }
}
