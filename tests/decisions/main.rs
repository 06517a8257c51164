//! Decisions on requests, as tables: which tokens satisfy which requirement, from which places,
//! and what happens to the request. These tests are not about signatures.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod found_keys;
mod reading;
mod recalled;
mod requirements;
mod trees;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bearer_gate::authn::{Context, Decision, authenticate};
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
use bearer_gate::jose::jws::HeaderMemo;
use bearer_gate::jose::verifier::Verifier;
use bearer_gate::jwks::keys::{Keys, UnknownKid};
use serde_json::{Value, json};

const NOW: f64 = 1_700_000_000.0;
const JWKS: &str = concat!(
    "{\"keys\":[",
    include_str!("../fixtures/set-a.jwk.json"),
    "]}"
);

/// A signature that begins with 1 is good.
struct FirstOctet;

impl Verifier for FirstOctet {
    fn verify(&self, _: Algorithm, _: &Key, _: &[u8], signature: &[u8]) -> bool {
        signature.first() == Some(&1)
    }

    fn name(&self) -> &'static str {
        "first octet"
    }
}

/// The keys of the configuration, except that one provider may have others `instead`.
struct Ring<'c> {
    config: &'c Config,
    instead: Option<(usize, Keys)>,
}

impl Facts for Ring<'_> {
    fn answer(&self, _: &Question) -> Finding<Result<Rc<Answered>, Unclear>> {
        Finding::Pending
    }

    fn metadata(&self, _: ProviderId) -> Finding<Rc<Metadata>> {
        Finding::Pending
    }

    fn keys(&self, provider: ProviderId) -> Keys {
        match (&self.instead, &self.config.providers[provider].keys) {
            (Some((of, keys)), _) if *of == provider.index() => keys.clone(),
            (_, KeySource::Local(keys)) => Keys::Ready(Rc::clone(keys)),
            (_, KeySource::Remote(_)) => panic!("no remote keys here"),
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

/// A token with these claims and `exp`, by the key with this kid.
fn token_by(kid: &str, claims: Value, good: bool) -> String {
    let mut all = json!({"exp": NOW + 600.0});
    for (name, value) in claims.as_object().unwrap() {
        if value.is_null() {
            all.as_object_mut().unwrap().remove(name);
        } else {
            all[name] = value.clone();
        }
    }
    let part = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    let mut signature = [0; 256];
    signature[0] = u8::from(good);
    format!(
        "{}.{}.{}",
        part(&json!({"alg": "RS256", "kid": kid}).to_string()),
        part(&all.to_string()),
        BASE64_URL_SAFE_NO_PAD.encode(signature)
    )
}

fn token(claims: Value) -> String {
    let jwks: Value = serde_json::from_str(JWKS).unwrap();
    token_by(jwks["keys"][0]["kid"].as_str().unwrap(), claims, true)
}

fn token_from(issuer: &str) -> String {
    token(json!({"iss": issuer, "aud": "api", "sub": "s"}))
}

fn forged(issuer: &str) -> String {
    forged_of(json!({"iss": issuer, "aud": "api", "sub": "s"}))
}

fn forged_of(claims: Value) -> String {
    let good = token(claims);
    let (input, _) = good.rsplit_once('.').unwrap();
    format!("{input}.{}", BASE64_URL_SAFE_NO_PAD.encode([0; 256]))
}

/// Three providers: `a` in the Authorization header, `b` in other places, `c` like `a`.
fn config(requires: Value, more: Value) -> Config {
    config_with(
        json!({"match": {"prefix": "/"}, "requires": requires}),
        more,
    )
}

fn config_with(rule: Value, more: Value) -> Config {
    let provider = |issuer: &str, more: Value| {
        let mut provider = json!({
            "issuer": issuer, "audiences": ["api"], "local_jwks": {"inline_string": JWKS},
            "claim_to_headers": [{"header_name": format!("x-{issuer}"), "claim_name": "sub"}]
        });
        merge(&mut provider, more);
        provider
    };
    let mut config = json!({
        "providers": {
            "a": provider("a", json!({})),
            "b": provider("b", json!({
                "from_headers": [{"name": "X-Token"}, {"name": "x-token", "value_prefix": "JWT "}],
                "from_params": ["t"],
                "from_cookies": ["s"],
            })),
            "c": provider("c", json!({"forward": true})),
        },
        "rules": [rule],
    });
    merge(&mut config, more);
    Config::parse(config.to_string().as_bytes()).unwrap_or_else(|error| panic!("{error}"))
}

fn merge(into: &mut Value, more: Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (name, value) in more {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more,
    }
}

fn request(headers: &[(&'static str, &str)]) -> Request {
    let mut all = vec![(":path".into(), b"/x".to_vec())];
    for (name, value) in headers {
        if *name == ":path" {
            all.remove(0);
        }
        all.push(((*name).into(), value.as_bytes().to_vec()));
    }
    Request::new(all)
}

/// The outcome of a request: the reason of its rejection, or `ok` with what the upstream is told.
fn outcome(config: &Config, request: &Request) -> String {
    outcome_with(config, request, None)
}

/// The part of a worker that decisions use: it remembers tokens and headers.
struct Judge<'c> {
    ring: Ring<'c>,
    cache: RefCell<TokenCache>,
    headers: RefCell<HeaderMemo>,
    /// In seconds since the epoch.
    now: f64,
}

impl<'c> Judge<'c> {
    fn new(config: &'c Config, instead: Option<(usize, Keys)>) -> Self {
        Judge {
            ring: Ring { config, instead },
            cache: RefCell::new(TokenCache::new(&config.providers)),
            headers: RefCell::default(),
            now: NOW,
        }
    }

    fn decide(&self, request: &Request) -> String {
        let context = Context {
            basis: Basis {
                facts: &self.ring,
                verifier: &FirstOctet,
                headers: &self.headers,
                now: self.now,
            },
            cache: &self.cache,
            people: None,
        };
        tell(authenticate(request, self.ring.config, &context))
    }
}

fn outcome_with(config: &Config, request: &Request, instead: Option<(usize, Keys)>) -> String {
    let judge = Judge::new(config, instead);
    // The second time verified tokens are remembered, the third time what was decided of them. All
    // else is the same.
    let [first, second, third] = [(); 3].map(|()| judge.decide(request));
    assert_eq!((&first, &first), (&second, &third));
    first
}

fn tell(decision: Decision<'_>) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match decision {
        Decision::Await(Need::Keys(provider)) => format!("await {}", provider.index()),
        Decision::Await(Need::Answer(question)) => format!("ask {question:?}"),
        Decision::Await(Need::Body(most)) => format!("read {most}"),
        Decision::Await(Need::SignOuts) => "hear of sign-outs".to_owned(),
        Decision::Reject(refusal) => refusal.rejection.reason().to_owned(),
        Decision::Answer(answer) => format!("answer {}", answer.response.status),
        Decision::Admit(admission) => {
            let set = admission
                .changes
                .outputs
                .iter()
                .flat_map(|outputs| &outputs.set);
            let set = set.map(|(name, value)| format!(" {name}={}", text(value)));
            let strip = admission.changes.strip.iter().map(|change| match change {
                Change::Remove(name) => format!(" -{name}"),
                Change::Set(name, value) => format!(" {name}:{}", text(value)),
                Change::Lines(name, values) => format!(" {name}:{}", text(&values.concat())),
            });
            let reported = admission
                .reported
                .map(|reason| format!(" reported {reason}"));
            let rest: String = set.chain(strip).chain(reported).collect();
            format!("ok{rest}")
        }
    }
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[test]
fn one_provider() {
    let config = config(json!({"provider_name": "a"}), json!({}));
    let of_a = |claims: Value| {
        let mut all = json!({"iss": "a", "aud": "api", "sub": "s"});
        merge(&mut all, claims);
        bearer(&token(all))
    };
    for (authorization, expected) in [
        (of_a(json!({})), "ok x-a=s -authorization"),
        (String::new(), "token_missing"),
        ("Basic x".to_owned(), "token_missing"),
        ("Bearer x".to_owned(), "not_three_parts"),
        (bearer(&token_from("b")), "issuer"),
        (bearer(&forged("a")), "signature"),
        (of_a(json!({"aud": "other"})), "audience"),
        (of_a(json!({"exp": NOW - 61.0})), "expired"),
        (of_a(json!({"exp": null})), "no_expiration"),
        (
            bearer(&token_by("new", json!({"iss": "a", "aud": "api"}), true)),
            "no_key",
        ),
        (
            format!("{0},{0}", bearer(&token_from("a"))),
            "several_tokens",
        ),
    ] {
        let request = request(&[("authorization", &authorization)]);
        assert_eq!(outcome(&config, &request), expected, "{authorization}");
    }
    // nowhere else
    for elsewhere in [
        ("x-token", token_from("a")),
        (
            ":path",
            format!("/x?t={0}&access_token={0}", token_from("a")),
        ),
        ("cookie", format!("s={}", token_from("a"))),
    ] {
        let request = request(&[(elsewhere.0, &elsewhere.1)]);
        assert_eq!(outcome(&config, &request), "token_missing", "{elsewhere:?}");
    }
}

#[test]
fn a03_a_token_in_one_place_only() {
    let config = config(json!({"provider_name": "b"}), json!({}));
    let b = token_from("b");
    let (raw, prefixed) = (b.as_str(), format!("jwt {b}"));
    let (path, cookie) = (format!("/x?q=1&t={b}"), format!("k=1; s={b}"));
    let another = token(json!({"iss": "b", "aud": "api", "sub": "t"}));
    let another = format!("s={another}");
    for (headers, expected) in [
        (vec![("x-token", raw)], "ok x-b=s -x-token"),
        (vec![("x-token", &prefixed)], "ok x-b=s -x-token"),
        (vec![(":path", &path)], "ok x-b=s :path:/x?q=1"),
        (vec![("cookie", &cookie)], "ok x-b=s cookie:k=1"),
        (vec![("x-token", "")], "not_three_parts"),
        (vec![(":path", "/x?t=")], "not_three_parts"),
        (vec![("authorization", &bearer(&b))], "token_missing"),
        // the same token in several places is one token, and all the places are emptied
        (
            vec![("x-token", raw), ("cookie", &cookie)],
            "ok x-b=s -x-token cookie:k=1",
        ),
        (
            vec![("x-token", raw), (":path", &path)],
            "ok x-b=s -x-token :path:/x?q=1",
        ),
        (
            vec![(":path", &path), ("cookie", &cookie)],
            "ok x-b=s :path:/x?q=1 cookie:k=1",
        ),
        (
            vec![
                ("x-token", &prefixed),
                (":path", &path),
                ("cookie", &cookie),
            ],
            "ok x-b=s -x-token :path:/x?q=1 cookie:k=1",
        ),
        (vec![("x-token", "x"), ("cookie", "s=x")], "not_three_parts"),
        // but not in one place
        (vec![("x-token", raw), ("x-token", raw)], "several_tokens"),
        (vec![("cookie", &format!("s={b}; s={b}"))], "several_tokens"),
        // another good token is another token all the same
        (
            vec![("x-token", raw), ("cookie", &another)],
            "several_tokens",
        ),
        (vec![("x-token", raw), ("x-token", "x")], "several_tokens"),
        (vec![("x-token", raw), (":path", "/x?t=")], "several_tokens"),
        // a place of another provider does not matter
        (
            vec![("x-token", raw), ("authorization", "Bearer x")],
            "ok x-b=s -x-token",
        ),
    ] {
        assert_eq!(
            outcome(&config, &request(&headers)),
            expected,
            "{headers:?}"
        );
    }
}

#[test]
fn audiences_of_the_rule_in_place_of_the_providers() {
    let config = config_with(
        json!({"match": {"prefix": "/own"},
               "requires": {"provider_and_audiences": {"provider_name": "a", "audiences": ["own"]}}}),
        json!({}),
    );
    let both = config_with(
        json!({"match": {"prefix": "/"}, "requires": {"requires_any": {"requirements": [
            {"provider_and_audiences": {"provider_name": "a", "audiences": ["own"]}},
            {"provider_and_audiences": {"provider_name": "a", "audiences": ["third"]}},
        ]}}}),
        json!({}),
    );
    let empty = config_with(
        json!({"match": {"prefix": "/"},
               "requires": {"provider_and_audiences": {"provider_name": "a"}}}),
        json!({}),
    );
    for (audience, expected, of_both, of_empty) in [
        (json!("own"), true, true, false),
        (json!("api"), false, false, true),
        (json!(["api", "own"]), true, true, true),
        (json!("third"), false, true, false),
        (json!("other"), false, false, false),
    ] {
        let token = token(json!({"iss": "a", "aud": audience, "sub": "s"}));
        let request = request(&[(":path", "/own"), ("authorization", &bearer(&token))]);
        for (config, passes) in [(&config, expected), (&both, of_both), (&empty, of_empty)] {
            let expected = if passes {
                "ok x-a=s -authorization"
            } else {
                "audience"
            };
            assert_eq!(outcome(config, &request), expected, "{audience}");
        }
    }
    // A remembered token is not good for another audience.
    let two = config_with(
        json!({"match": {"prefix": "/own"},
               "requires": {"provider_and_audiences": {"provider_name": "a", "audiences": ["own"]}}}),
        json!({"rules": [
            {"match": {"prefix": "/own"},
             "requires": {"provider_and_audiences": {"provider_name": "a", "audiences": ["own"]}}},
            {"match": {"prefix": "/"}, "requires": {"provider_name": "a"}},
        ]}),
    );
    let judge = Judge::new(&two, None);
    let authorization = bearer(&token_from("a"));
    let decide = |path: &str| {
        let request = request(&[(":path", path), ("authorization", &authorization)]);
        judge.decide(&request)
    };
    assert_eq!(decide("/x"), "ok x-a=s -authorization");
    assert_eq!(decide("/own"), "audience");
    assert_eq!(decide("/x"), "ok x-a=s -authorization");
}

#[test]
fn missing_keys_admit_no_request() {
    let down = || {
        Some((
            0,
            Keys::Unavailable {
                retry_after: Duration::from_secs(1),
            },
        ))
    };
    let pending = || Some((0, Keys::Pending));
    let any = |members: Value| json!({"requires_any": {"requirements": members}});
    let all = |members: Value| json!({"requires_all": {"requirements": members}});
    let a = || json!({"provider_name": "a"});
    let c = json!({"provider_name": "c"});
    let missing = json!({"allow_missing": {}});
    let failed = json!({"allow_missing_or_failed": {}});
    let b_or_none = any(json!([{"provider_name": "b"}, missing]));
    let b_or_anything = any(json!([{"provider_name": "b"}, failed]));
    for (requires, issuer, of_pending, of_down) in [
        (a(), "a", "await 0", "keys_unavailable"),
        (any(json!([a(), c])), "a", "await 0", "keys_unavailable"),
        (any(json!([c, a()])), "a", "await 0", "keys_unavailable"),
        (any(json!([a(), c])), "c", "ok x-c=s", "ok x-c=s"),
        (any(json!([a(), c])), "z", "issuer", "issuer"),
        (
            any(json!([a(), missing])),
            "a",
            "await 0",
            "keys_unavailable",
        ),
        (missing.clone(), "a", "await 0", "keys_unavailable"),
        // a failed token counts as none, and a request without one passes
        (any(json!([a(), failed])), "a", "await 0", "ok"),
        (failed.clone(), "a", "await 0", "ok"),
        // an alternative that does without this token does not let it pass
        (
            any(json!([b_or_none, a()])),
            "a",
            "await 0",
            "keys_unavailable",
        ),
        (any(json!([b_or_anything, a()])), "a", "await 0", "ok"),
        // no request waits where no key can make the token good
        (all(json!([a(), c])), "a", "issuer", "issuer"),
        (
            all(json!([a(), {"provider_name": "b"}])),
            "a",
            "token_missing",
            "token_missing",
        ),
    ] {
        let config = config(requires.clone(), json!({}));
        let authorization = bearer(&token_from(issuer));
        let request = request(&[("authorization", &authorization)]);
        let outcome = |keys| outcome_with(&config, &request, keys);
        assert_eq!(outcome(pending()), of_pending, "{requires} {issuer}");
        assert_eq!(outcome(down()), of_down, "{requires} {issuer}");
    }
}

#[test]
fn subjects_and_lifetimes() {
    let with = |more: Value| {
        config(
            json!({"provider_name": "a"}),
            json!({"providers": {"a": more}}),
        )
    };
    let decide = |config: &Config, claims: Value| {
        let mut all = json!({"iss": "a", "aud": "api"});
        merge(&mut all, claims);
        let authorization = bearer(&token(all));
        outcome(config, &request(&[("authorization", &authorization)]))
    };
    let subjects = with(json!({"subjects": {"prefix": "spiffe://a/"}}));
    for (claims, expected) in [
        (
            json!({"sub": "spiffe://a/x"}),
            "ok x-a=spiffe://a/x -authorization",
        ),
        (json!({"sub": "spiffe://b/x"}), "subject"),
        (json!({}), "subject"),
    ] {
        assert_eq!(decide(&subjects, claims.clone()), expected, "{claims}");
    }
    let lifetime = with(json!({"max_lifetime": "60s", "require_expiration": false}));
    for (left, expected) in [
        (json!(NOW + 59.0), "ok -authorization"),
        (json!(NOW + 60.0), "lifetime"),
        (json!(NOW - 30.0), "ok -authorization"),
        (json!(NOW - 61.0), "expired"),
        (Value::Null, "no_expiration"),
    ] {
        assert_eq!(decide(&lifetime, json!({"exp": left})), expected, "{left}");
    }
}

#[test]
fn a_rule_that_only_reports_lets_pass_and_says_why() {
    let config = config_with(
        json!({"match": {"prefix": "/"}, "requires": {"provider_name": "a"},
               "authorize": {"scopes": {"all": ["s"]}}, "report_only": true}),
        json!({}),
    );
    let decide = |token: &str| {
        let authorization = bearer(token);
        outcome(&config, &request(&[("authorization", &authorization)]))
    };
    let scoped = token(json!({"iss": "a", "aud": "api", "sub": "s", "scope": "s"}));
    assert_eq!(decide(&scoped), "ok x-a=s -authorization");
    // the token stays: another filter checks it
    assert_eq!(decide(&token_from("a")), "ok reported insufficient_scope");
    assert_eq!(decide(&forged("a")), "ok reported signature");
    assert_eq!(outcome(&config, &request(&[])), "ok reported token_missing");
    // a request that matches no rule is rejected all the same
    assert_eq!(
        outcome(&config, &request(&[(":path", "/a/../b")])),
        "unsafe_path"
    );
    assert!(
        config
            .reserved_headers
            .iter()
            .any(|name| name == "x-bearer-gate-report")
    );
}

/// The names of the states and of the headers that a decision sets, and the values of the states.
fn states(config: &Config, request: &Request) -> (bool, Vec<(String, String)>) {
    let judge = Judge::new(config, None);
    let context = Context {
        basis: Basis {
            facts: &judge.ring,
            verifier: &FirstOctet,
            headers: &judge.headers,
            now: NOW,
        },
        cache: &judge.cache,
        people: None,
    };
    let (is_admitted, outputs) = match authenticate(request, config, &context) {
        Decision::Admit(admission) => (true, admission.changes.outputs.clone()),
        Decision::Reject(refusal) => (false, refusal.outputs.into_iter().collect()),
        other => panic!("{other:?}"),
    };
    for of in &outputs {
        let is_unverified = of
            .states
            .iter()
            .any(|(name, _)| name.contains("unverified"));
        assert!(!is_unverified || of.set.is_empty() && of.add.is_empty());
    }
    let states = outputs.iter().flat_map(|of| of.states.clone());
    let text = |(name, value)| (name, String::from_utf8(value).unwrap());
    (is_admitted, states.map(text).collect())
}

#[test]
fn what_a_refused_token_says_is_told_as_unverified_and_of_no_other() {
    let facts = json!([
        "issuer",
        "subject",
        "unverified_issuer",
        "unverified_subject",
        "unverified_kid"
    ]);
    let requires = json!({"requires_any": {"requirements": [
        {"provider_name": "a"},
        {"requires_all": {"requirements": [{"provider_name": "c"}, {"provider_name": "b"}]}},
    ]}});
    let told = config(requires.clone(), json!({"filter_state": facts}));
    let kid = serde_json::from_str::<Value>(JWKS).unwrap()["keys"][0]["kid"].clone();
    let kid = kid.as_str().unwrap();
    let unverified = |issuer: &str, subject: Option<&str>, kid: &str| {
        let mut states = vec![("issuer", issuer.to_owned())];
        states.extend(subject.map(|subject| ("subject", subject.to_owned())));
        states.push(("kid", kid.to_owned()));
        let named = |(name, value)| (format!("bearer_gate.unverified_{name}"), value);
        states.into_iter().map(named).collect::<Vec<_>>()
    };
    let verified = |name: &str, value: &str| (format!("bearer_gate.{name}"), value.to_owned());
    let long = "é\"".repeat(100);
    let claims = |more: Value| {
        let mut claims = json!({"iss": "a", "aud": "api", "sub": "s"});
        merge(&mut claims, more);
        claims
    };
    // (the tokens, whether the request passes, what is told)
    let table = [
        (
            vec![token_from("a")],
            true,
            vec![verified("issuer", "a"), verified("subject", "s")],
        ),
        (vec![forged("a")], false, unverified("a", Some("s"), kid)),
        (
            vec![token_by("x", claims(json!({})), true)],
            false,
            unverified("a", Some("s"), "x"),
        ),
        (
            vec![token(claims(json!({"exp": 1})))],
            false,
            unverified("a", Some("s"), kid),
        ),
        (
            vec![token(claims(json!({"aud": "b", "sub": null})))],
            false,
            unverified("a", None, kid),
        ),
        (
            vec![token(claims(json!({"iss": "a\nb", "sub": "\u{1b}[2J"})))],
            false,
            unverified("a\\x0ab", Some("\\x1b[2J"), kid),
        ),
        // 128 octets of it.
        (
            vec![token(claims(json!({"iss": "no", "sub": long})))],
            false,
            unverified("no", Some(&(r#"\xc3\xa9\""#.repeat(42) + r"\xc3\xa9")), kid),
        ),
        // Nothing can be read of it.
        (vec!["a.b.c".to_owned()], false, Vec::new()),
        (Vec::new(), false, Vec::new()),
        // Of two tokens, the one that is bad.
        (
            vec![token_from("c"), forged("b")],
            false,
            unverified("b", Some("s"), kid),
        ),
        (
            vec![forged("c"), token_from("b")],
            false,
            unverified("c", Some("s"), kid),
        ),
    ];
    for (tokens, passes, expected) in table {
        let bearers: Vec<String> = tokens.iter().map(|token| bearer(token)).collect();
        let mut headers = Vec::new();
        headers.extend(
            bearers
                .first()
                .map(|value| ("authorization", value.as_str())),
        );
        headers.extend(tokens.get(1).map(|value| ("x-token", value.as_str())));
        let request = request(&headers);
        assert_eq!(states(&told, &request), (passes, expected), "{tokens:?}");
        // Who does not ask for it is told nothing of it, and the decision is the same.
        let silent = config(requires.clone(), json!({"filter_state": ["reason"]}));
        assert_eq!(
            states(&silent, &request),
            (passes, Vec::new()),
            "{tokens:?}"
        );
        assert_eq!(
            outcome(&silent, &request),
            outcome(&told, &request),
            "{tokens:?}"
        );
    }
    // A good token that is not enough is told of as verified.
    let rule = json!({
        "match": {"prefix": "/"},
        "requires": {"provider_name": "a"},
        "authorize": {"scopes": {"all": ["never"]}},
    });
    let scoped = config_with(rule, json!({"filter_state": facts}));
    let good = bearer(&token_from("a"));
    assert_eq!(
        states(&scoped, &request(&[("authorization", &good)])),
        (
            false,
            vec![verified("issuer", "a"), verified("subject", "s")]
        )
    );
    // A rule that only reports refuses nothing.
    let rule =
        json!({"match": {"prefix": "/"}, "requires": {"provider_name": "a"}, "report_only": true});
    let reporting = config_with(rule, json!({"filter_state": facts}));
    let bad = bearer(&forged("a"));
    assert_eq!(
        states(&reporting, &request(&[("authorization", &bad)])),
        (true, Vec::new())
    );
}

#[test]
fn preflights_and_connect() {
    let preflight = [
        (":method", "OPTIONS"),
        ("origin", "https://a.example"),
        ("access-control-request-method", "POST"),
    ];
    let strict = config(json!({"provider_name": "a"}), json!({}));
    let bypass = config(
        json!({"provider_name": "a"}),
        json!({"bypass_cors_preflight": true}),
    );
    assert_eq!(outcome(&strict, &request(&preflight)), "token_missing");
    assert_eq!(outcome(&bypass, &request(&preflight)), "ok");
    assert_eq!(outcome(&bypass, &request(&preflight[..2])), "token_missing");
    // A07: no path, no trap
    let connect = Request::new(vec![(":method".into(), b"CONNECT".to_vec())]);
    assert_eq!(outcome(&strict, &connect), "unsafe_path");
    let tunnel = config_with(
        json!({"match": {"connect_matcher": {}}, "requires": {"provider_name": "a"}}),
        json!({}),
    );
    assert_eq!(outcome(&tunnel, &connect), "token_missing");
    assert_eq!(outcome(&tunnel, &request(&[])), "unsafe_method");
    assert_eq!(outcome(&tunnel, &request(&[(":method", "GET")])), "no_rule");
}

#[test]
fn demands_of_policies_and_of_the_rule_itself() {
    let config = config_with(
        json!({"match": {"prefix": "/"}, "requires": {"provider_name": "a"},
               "authorize": {"policies": ["editor", "staff"], "scopes": {"any": ["x", "y"]}}}),
        json!({"policies": {
            "editor": {"scopes": {"all": ["edit"]}},
            "staff": {"claims": [{"path": ["groups"], "any": ["staff"]}]},
        }}),
    );
    for (claims, expected) in [
        (
            json!({"scope": "edit y", "groups": ["staff"]}),
            "ok x-a=s -authorization",
        ),
        (
            json!({"scope": "edit", "groups": ["staff"]}),
            "insufficient_scope",
        ),
        (
            json!({"scope": "x", "groups": ["staff"]}),
            "insufficient_scope",
        ),
        (
            json!({"scope": "edit x", "groups": ["other"]}),
            "claim_rule",
        ),
    ] {
        let mut all = json!({"iss": "a", "aud": "api", "sub": "s"});
        merge(&mut all, claims.clone());
        let authorization = bearer(&token(all));
        let request = request(&[("authorization", &authorization)]);
        assert_eq!(outcome(&config, &request), expected, "{claims}");
    }
}

#[test]
fn a_route_that_names_its_requirement() {
    let config = config_with(
        json!({"match": {"prefix": "/"}}),
        json!({"requirement_map": {"users": {"provider_name": "a"}}, "route_metadata": "ns"}),
    );
    let on_route = |name: Option<&str>, headers: &[(&'static str, &str)]| {
        let name = name.map(|name| name.as_bytes().to_vec());
        let headers = [headers, &[(":authority", "a.example")]].concat();
        outcome(&config, &request(&headers).on_route_with(name))
    };
    let authorization = bearer(&token_from("a"));
    let with_token = [("authorization", authorization.as_str())];
    assert_eq!(on_route(None, &[]), "ok");
    assert_eq!(on_route(Some("users"), &[]), "token_missing");
    assert_eq!(
        on_route(Some("users"), &with_token),
        "ok x-a=s -authorization"
    );
    assert_eq!(on_route(Some("user"), &with_token), "no_rule");
    assert_eq!(on_route(Some(""), &with_token), "no_rule");
    let unsafe_path = [with_token[0], (":path", "/a/../b")];
    assert_eq!(on_route(Some("users"), &unsafe_path), "unsafe_path");
}
