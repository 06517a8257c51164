//! Gates on a recording host: several workers, their requests, one store.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod sim;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bearer_gate::authn::Admission;
use bearer_gate::config::{Config, KeySource, Remote};
use bearer_gate::desk::Ticket;
use bearer_gate::door::{Carried, Exchange};
use bearer_gate::gate::{Arrival, Gate, Verdict, Verdicts};
use bearer_gate::host::{CallId, Host, Reply};
use bearer_gate::http::request::Request;
use bearer_gate::http::response::{Client, Response};
use bearer_gate::jose::jwa::Algorithm;
use bearer_gate::jose::jwk::Key;
use bearer_gate::jose::jwks::KeySet;
use bearer_gate::jose::verifier::Verifier;
use bearer_gate::outputs::FilterState;
use proptest::prelude::*;
use sim::host::{FakeHost, Process, process};
use sim::{SET_A, SET_B, ok, status};

/// Takes every signature for good, and counts: signatures are not what is
/// tested here.
#[derive(Default)]
struct AnySignature(Rc<Cell<u32>>);

impl Verifier for AnySignature {
    fn verify(&self, _: Algorithm, _: &Key, _: &[u8], _: &[u8]) -> bool {
        self.0.set(self.0.get() + 1);
        true
    }

    fn name(&self) -> &'static str {
        "any"
    }
}

const CONFIG: &str = r#"{
    "providers": {"p": {
        "issuer": "https://tenant.example/",
        "audiences": ["api"],
        "remote_jwks": {"http_uri": {
            "uri": "https://tenant.example/jwks", "cluster": "idp", "timeout": "5s"
        }}
    }},
    "rules": [
        {"match": {"prefix": "/public"}},
        {"match": {"prefix": "/"}, "requires": {"provider_name": "p"}}
    ],
    "max_waiting": 8
}"#;

fn token(kid: &str) -> Request {
    token_with_header(&format!(r#"{{"alg":"RS256","kid":"{kid}"}}"#))
}

fn token_without_kid() -> Request {
    token_with_header(r#"{"alg":"RS256"}"#)
}

fn token_with_header(header: &str) -> Request {
    let part = |json: &str| BASE64_URL_SAFE_NO_PAD.encode(json);
    let header = part(header);
    let claims =
        part(r#"{"iss":"https://tenant.example/","aud":"api","exp":1700000600,"sub":"s"}"#);
    let signature = BASE64_URL_SAFE_NO_PAD.encode([7; 256]);
    request(&[
        (":path", "/private"),
        (
            "authorization",
            &format!("Bearer {header}.{claims}.{signature}"),
        ),
    ])
}

fn public() -> Request {
    request(&[(":path", "/public")])
}

fn request(headers: &[(&'static str, &str)]) -> Request {
    let owned = |(name, value): &(&'static str, &str)| ((*name).into(), (*value).into());
    Request::new(headers.iter().map(owned).collect())
}

/// The first fetch begins at once.
fn config() -> Config {
    let mut config = Config::parse(CONFIG.as_bytes()).expect("a valid configuration");
    for provider in &mut config.providers {
        if let KeySource::Remote(remote) = &mut provider.keys {
            let first_fetch_within = Duration::ZERO;
            *remote = Rc::new(Remote {
                first_fetch_within,
                ..(**remote).clone()
            });
        }
    }
    config
}

fn gate(process: &Rc<Process>) -> Gate<FakeHost> {
    let config = config();
    Gate::new(
        FakeHost(Rc::clone(process)),
        config,
        Box::new(AnySignature(Rc::clone(&process.verifications))),
    )
}

/// A request that takes whatever it is given.
struct Takes;

impl Exchange for Takes {
    fn admit(&self, _: &Admission) -> Option<()> {
        Some(())
    }

    fn tell(&self, _: &[FilterState]) -> Option<()> {
        Some(())
    }

    fn client(&self) -> Client {
        Client::Http
    }

    fn respond(&self, _: &Response) {}
}

/// The status that a verdict ends in; 200 for an admission.
fn code(verdict: &Verdict<'_>) -> u32 {
    match verdict {
        Verdict::Admit(_) => 200,
        Verdict::Reject(refusal) => refusal.rejection.status(),
        Verdict::Answer(answer) => answer.response.status,
    }
}

/// Why a request is rejected.
fn reason(verdict: &Verdict<'_>) -> &'static str {
    match verdict {
        Verdict::Reject(refusal) => refusal.rejection.reason(),
        other => panic!("{other:?}"),
    }
}

fn codes(verdicts: Verdicts<'_>) -> Vec<(u32, u32)> {
    verdicts
        .iter()
        .map(|(context, verdict)| (*context, code(verdict)))
        .collect()
}

fn decided(arrival: Arrival<'_>) -> u32 {
    match arrival {
        Arrival::Decided(verdict) => code(&verdict),
        Arrival::Parked(_) => panic!("parked"),
    }
}

fn parked(arrival: Arrival<'_>) -> Ticket {
    match arrival {
        Arrival::Parked(ticket) => ticket,
        Arrival::Decided(verdict) => panic!("decided: {verdict:?}"),
    }
}

#[test]
fn requests_that_come_before_the_keys_are_decided_in_order_when_they_are_there() {
    let process = process();
    let (one, two) = (gate(&process), gate(&process));
    for context in 1..=3 {
        parked(one.request(context, token("a")));
        parked(two.request(context, token("a")));
    }
    assert_eq!(
        decided(one.request(9, public())),
        200,
        "public needs no keys"
    );
    assert!(one.tick().is_empty());
    assert!(two.tick().is_empty());
    assert_eq!(process.count_of("bearer_gate.waiting"), 6);
    process.pass(30);
    let call = process.the_call();
    assert!(two.reply(call, ok(SET_A)).is_empty(), "not its call");
    assert_eq!(
        codes(one.reply(call, ok(SET_A))),
        [(1, 200), (2, 200), (3, 200)]
    );
    assert_eq!(codes(two.tick()), [(1, 200), (2, 200), (3, 200)]);
    assert_eq!(process.count_of("bearer_gate.waiting"), 0);
    assert_eq!(process.count_of("bearer_gate.jwks_fetch.p.success"), 1);
}

#[test]
fn a_failed_first_fetch_ends_the_wait_with_503() {
    let process = process();
    let gate = gate(&process);
    parked(gate.request(1, token("a")));
    gate.tick();
    let call = process.the_call();
    let verdicts = gate.reply(call, status(500));
    let (_, Verdict::Reject(refusal)) = &verdicts[0] else {
        panic!("admitted without keys");
    };
    assert_eq!(
        (refusal.rejection.status(), refusal.rejection.retry_after()),
        (503, Some(1))
    );
    assert_eq!(
        decided(gate.request(2, token("a"))),
        503,
        "known to be down: no wait"
    );
}

#[test]
fn a_cluster_that_does_not_exist_is_503_and_not_a_loop() {
    let process = process();
    let gate = gate(&process);
    process.refuses_calls.set(true);
    parked(gate.request(1, token("a")));
    assert_eq!(codes(gate.tick()), [(1, 503)]);
    assert_eq!(process.count_of("bearer_gate.jwks_fetch.p.failed"), 1);
}

#[test]
fn no_more_wait_than_may() {
    let process = process();
    let gate = gate(&process);
    let tickets: Vec<_> = (0..8)
        .map(|n| parked(gate.request(n, token("a"))))
        .collect();
    let Arrival::Decided(verdict) = gate.request(8, token("a")) else {
        panic!("parked");
    };
    assert_eq!(code(&verdict), 503);
    // It counts when it is carried out.
    let name = "bearer_gate.denied.too_many_waiting";
    assert_eq!(process.count_of(name), 0);
    assert_eq!(gate.conclude(&verdict, &Takes), Carried::Answered);
    assert_eq!(process.count_of(name), 1);
    gate.leave(tickets[3]);
    gate.leave(tickets[3]);
    gate.tick();
    assert_eq!(process.count_of("bearer_gate.waiting"), 7);
    parked(gate.request(9, token("a")));
    let verdicts = codes(gate.reply(process.the_call(), ok(SET_A)));
    let contexts: Vec<_> = verdicts.iter().map(|(context, _)| *context).collect();
    assert_eq!(contexts, [0, 1, 2, 4, 5, 6, 7, 9]);
}

#[test]
fn nobody_waits_longer_than_two_fetches_can_take() {
    let process = process();
    let gate = gate(&process);
    parked(gate.request(1, token("a")));
    let start = process.now.get();
    let mut verdicts = Vec::new();
    while verdicts.is_empty() {
        process.pass(10);
        verdicts = codes(gate.tick());
        assert!(process.now.get() - start <= 13_000, "waits on");
    }
    assert_eq!(verdicts, [(1, 503)]);
}

#[test]
fn a_new_kid_waits_for_one_fetch_and_a_wrong_one_is_refused_after_it() {
    let process = process();
    let gate = gate(&process);
    gate.tick();
    gate.reply(process.the_call(), ok(SET_A));
    process.pass(1000);
    parked(gate.request(1, token("b")));
    parked(gate.request(2, token("nobody's")));
    assert_eq!(process.tick_period.get(), Duration::from_millis(10));
    gate.tick();
    let verdicts = codes(gate.reply(process.the_call(), ok(SET_B)));
    assert_eq!(verdicts, [(1, 200), (2, 401)]);
    parked(gate.request(3, token("nobody's")));
    gate.tick();
    let call = process.the_call();
    parked(gate.request(4, token("nobody's")));
    assert_eq!(codes(gate.reply(call, ok(SET_B))), [(3, 401), (4, 503)]);
    let Arrival::Decided(Verdict::Reject(refusal)) = gate.request(5, token("nobody's")) else {
        panic!("within the cool-down");
    };
    assert_eq!(
        (refusal.rejection.status(), refusal.rejection.retry_after()),
        (503, Some(30)),
        "nobody can say whether that key exists"
    );
    gate.tick();
    assert!(process.calls.borrow().is_empty());
    process.pass(30_000);
    parked(gate.request(6, token("nobody's")));
}

#[test]
fn the_line_is_bounded_in_bytes_too() {
    let process = process();
    let mut config = config();
    config.max_waiting = 65_536;
    let gate = Gate::new(
        FakeHost(Rc::clone(&process)),
        config,
        Box::new(AnySignature::default()),
    );
    let large = || {
        let mut headers = vec![("x-large".into(), vec![b'x'; 60_000])];
        for name in [":path", "authorization"] {
            let value = token("a").value(name).unwrap().to_vec();
            headers.push((name.into(), value));
        }
        Request::new(headers)
    };
    let mut waiting = 0;
    for context in 0..1000 {
        match gate.request(context, large()) {
            Arrival::Parked(_) => waiting += 1,
            Arrival::Decided(verdict) => {
                assert_eq!(reason(&verdict), "too_many_waiting");
            }
        }
    }
    assert!((270..=279).contains(&waiting), "16 MiB of them: {waiting}");
    // Those of the usual size find room where the large ones have gone.
    gate.tick();
    let mut answered = gate.reply(process.the_call(), status(500)).len();
    while answered < usize::try_from(waiting).unwrap() {
        // So many at once that their answers do not take all of the stack.
        let some = gate.tick().len();
        assert!((1..=32).contains(&some), "{some}");
        answered += some;
    }
    assert_eq!(answered, usize::try_from(waiting).unwrap());
}

#[test]
fn the_gauge_forgets_a_worker_that_trapped() {
    let process = process();
    let (one, two) = (gate(&process), gate(&process));
    for context in 0..5 {
        parked(one.request(context, token("a")));
    }
    parked(two.request(9, token("a")));
    one.tick();
    two.tick();
    assert_eq!(process.count_of("bearer_gate.waiting"), 6);
    // Its VM is lost with all that it knew, and another takes its place.
    drop(one);
    let next = gate(&process);
    for _ in 0..60 {
        process.pass(100);
        two.tick();
        next.tick();
    }
    assert_eq!(process.count_of("bearer_gate.waiting"), 1);
    // A plugin that is replaced takes its part with it.
    two.abandon_calls();
    assert_eq!(process.count_of("bearer_gate.waiting"), 0);
}

#[test]
fn a_token_is_verified_once_for_a_key_set_and_its_times_every_time() {
    let process = process();
    let gate = gate(&process);
    gate.tick();
    gate.reply(process.the_call(), ok(SET_A));
    for _ in 0..5 {
        assert_eq!(decided(gate.request(1, token("a"))), 200);
    }
    assert_eq!(process.verifications.get(), 1);
    gate.tick();
    assert_eq!(process.count_of("bearer_gate.token_cache.hit"), 4);
    assert_eq!(process.count_of("bearer_gate.token_cache.miss"), 1);

    // A renewed set of the same keys changes nothing.
    process.pass(590_000);
    gate.tick();
    gate.reply(process.the_call(), ok(SET_A));
    assert_eq!(decided(gate.request(1, token("a"))), 200);
    assert_eq!(process.verifications.get(), 1);

    // A set without the key ends the token at once.
    process.pass(590_000);
    gate.tick();
    gate.reply(process.the_call(), ok(SET_B));
    parked(gate.request(2, token("a")));
    gate.tick();
    assert_eq!(codes(gate.reply(process.the_call(), ok(SET_B))), [(2, 401)]);

    // And so does its time.
    assert_eq!(decided(gate.request(3, token("b"))), 200);
    process.unix_seconds.set(1_700_000_660.0);
    assert_eq!(decided(gate.request(3, token("b"))), 200, "within the skew");
    process.unix_seconds.set(1_700_000_661.0);
    assert_eq!(decided(gate.request(3, token("b"))), 401);
    process.unix_seconds.set(1_600_000_000.0);
    assert_eq!(process.verifications.get(), 2);
}

#[test]
fn ticks_are_rare_while_nothing_happens() {
    let process = process();
    let gate = gate(&process);
    assert_eq!(process.tick_period.get(), Duration::from_millis(10));
    gate.tick();
    gate.reply(process.the_call(), ok(SET_A));
    gate.tick();
    assert_eq!(process.tick_period.get(), Duration::from_millis(200));
}

#[derive(Debug, Clone)]
enum Action {
    Arrive(usize, &'static str),
    Leave(usize),
    Tick(usize),
    Pass(u64),
    Answer(usize),
    LoseWrites,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => (0..3_usize, prop_oneof![Just("a"), Just("b"), Just("c")]).prop_map(|(gate, kid)| Action::Arrive(gate, kid)),
        2 => (0..30_usize).prop_map(Action::Leave),
        8 => (0..3_usize).prop_map(Action::Tick),
        4 => (0..3000_u64).prop_map(Action::Pass),
        4 => (0..5_usize).prop_map(Action::Answer),
        1 => Just(Action::LoseWrites),
    ]
}

proptest! {
    #![proptest_config(sim::properties(300))]

    /// Every request that waits is decided once, or has left.
    #[test]
    fn every_waiting_request_is_decided(actions in proptest::collection::vec(action(), 1..120)) {
        let process = process();
        let gates: Vec<_> = (0..3).map(|_| gate(&process)).collect();
        let mut waiting: Vec<(usize, u32, Ticket)> = Vec::new();
        let mut context = 0;
        let mut done = BTreeSet::new();
        let finish = |verdicts: Verdicts<'_>, waiting: &mut Vec<(usize, u32, Ticket)>, done: &mut BTreeSet<u32>| {
            for (context, _) in verdicts {
                let at = waiting.iter().position(|(_, of, _)| *of == context);
                waiting.remove(at.expect("a verdict on a request that does not wait"));
                assert!(done.insert(context), "decided twice");
            }
        };
        for action in actions {
            match action {
                Action::Arrive(gate, kid) => {
                    context += 1;
                    if let Arrival::Parked(ticket) = gates[gate].request(context, token(kid)) {
                        waiting.push((gate, context, ticket));
                    }
                }
                Action::Leave(which) if which < waiting.len() => {
                    let (gate, _, ticket) = waiting.remove(which);
                    gates[gate].leave(ticket);
                }
                Action::Leave(_) => {}
                Action::Tick(gate) => finish(gates[gate].tick(), &mut waiting, &mut done),
                Action::Pass(millis) => process.pass(millis),
                Action::LoseWrites => process.store.lose_writes(1),
                Action::Answer(which) => {
                    let call = process.calls.borrow_mut().pop();
                    let Some((call, _)) = call else { continue };
                    for gate in &gates {
                        let answer = match which {
                            0 => ok(SET_A),
                            1 => ok(SET_B),
                            2 => status(500),
                            3 => Reply::None,
                            _ => ok("{}"),
                        };
                        finish(gate.reply(call, answer), &mut waiting, &mut done);
                    }
                }
            }
        }
        // The gauge follows by the next tick.
        process.store.lose_writes(0);
        for gate in &gates {
            finish(gate.tick(), &mut waiting, &mut done);
        }
        prop_assert_eq!(process.count_of("bearer_gate.waiting"), i64::try_from(waiting.len()).unwrap());
        // The provider never answers again: time alone ends the rest.
        for _ in 0..1400 {
            process.pass(10);
            for gate in &gates {
                finish(gate.tick(), &mut waiting, &mut done);
            }
        }
        prop_assert!(waiting.is_empty(), "{} wait on", waiting.len());
        prop_assert_eq!(process.count_of("bearer_gate.waiting"), 0);
    }
}

proptest! {
    #![proptest_config(sim::properties(24))]

    /// Whatever strangers send, a rotation is served within a cool-down and a fetch, and until
    /// then no good token is called wrong.
    #[test]
    fn no_stranger_stops_a_rotation(
        seed: u64,
        rotates_at in 0..40_000_u64,
        // How many of a thousand steps of 10 ms bring a stranger, and a good token, to each worker.
        strangers in prop_oneof![Just(0), Just(1), 1..30_u64, Just(500)],
        good in 1..100_u64,
    ) {
        let process = process();
        process.random.set(seed);
        let gates: Vec<_> = (0..3).map(|_| gate(&process)).collect();
        let dice = FakeHost(Rc::clone(&process));
        let start = process.now.get();
        let mut answers: Vec<(u64, CallId, &str)> = Vec::new();
        // Good tokens by the new key, and when they came.
        let mut waiting = BTreeMap::new();
        let mut context = 0;
        let mut calls = 0;
        let check = |came: u64, code: u32| {
            prop_assert!(code == 200 || code == 503, "a good token: {}", code);
            // A cool-down, a fetch that was under way, one that was not, and ticks.
            let served = start + rotates_at + 30_000 + 2 * 70 + 100;
            prop_assert!(code == 200 || came < served, "{} ms after the rotation", came - start - rotates_at);
            Ok(())
        };
        while process.now.get() - start < 80_000 {
            process.pass(10);
            let now = process.now.get();
            let rotated = now - start >= rotates_at;
            for gate in &gates {
                for (rate, kid) in [(strangers, "?"), (good, "b")] {
                    if (dice.random() >> 20) % 1000 >= rate || (kid == "b" && !rotated) {
                        continue;
                    }
                    context += 1;
                    let kid = if kid == "b" { "b".to_owned() } else { format!("x{context}") };
                    match gate.request(context, token(&kid)) {
                        Arrival::Decided(verdict) if kid == "b" => check(now, code(&verdict))?,
                        Arrival::Decided(verdict) => prop_assert_ne!(code(&verdict), 200),
                        Arrival::Parked(_) if kid == "b" => {
                            waiting.insert(context, now);
                        }
                        Arrival::Parked(_) => {}
                    }
                }
                let mut verdicts = codes(gate.tick());
                for (_, call, set) in answers.iter().filter(|(at, ..)| *at <= now) {
                    verdicts.extend(codes(gate.reply(*call, ok(set))));
                }
                for (context, code) in verdicts {
                    match waiting.remove(&context) {
                        Some(came) => check(came, code)?,
                        None => prop_assert_ne!(code, 200, "a stranger"),
                    }
                }
            }
            answers.retain(|(at, ..)| *at > now);
            for (call, _) in process.calls.take() {
                calls += 1;
                // What is published when the call comes is in the answer.
                let set = if rotated { SET_B } else { SET_A };
                answers.push((now + 30 + (dice.random() >> 20) % 40, call, set));
            }
        }
        prop_assert!(calls <= 1 + 2 + 80 / 30, "{} calls", calls);
    }
}

#[test]
fn keys_from_the_configuration_need_hardly_any_ticks() {
    let process = process();
    let local = serde_json::json!({
        "providers": {"p": {
            "issuer": "https://tenant.example/",
            "audiences": ["api"],
            "local_jwks": {"inline_string": SET_A},
        }},
        "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "p"}}],
    });
    let config = Config::parse(local.to_string().as_bytes()).expect("a valid configuration");
    let gate = Gate::new(
        FakeHost(Rc::clone(&process)),
        config,
        Box::new(AnySignature::default()),
    );
    assert!(process.tick_period.get() >= Duration::from_secs(1));
    assert_eq!(decided(gate.request(1, token("a"))), 200);
    assert_eq!(decided(gate.request(2, token("b"))), 401);
    assert!(codes(gate.tick()).is_empty());
    assert!(process.tick_period.get() >= Duration::from_secs(1));
}

/// Takes every signature by the key with this kid for good, and no other.
struct OnlyKid(&'static str);

impl Verifier for OnlyKid {
    fn verify(&self, _: Algorithm, key: &Key, _: &[u8], _: &[u8]) -> bool {
        key.kid() == Some(self.0)
    }

    fn name(&self) -> &'static str {
        "only kid"
    }
}

/// Takes every signature by the key with this SubjectPublicKeyInfo for good.
struct OnlyKey(Vec<u8>);

impl Verifier for OnlyKey {
    fn verify(&self, _: Algorithm, key: &Key, _: &[u8], _: &[u8]) -> bool {
        key.spki_der() == self.0
    }

    fn name(&self) -> &'static str {
        "only key"
    }
}

#[test]
fn a_key_without_kid_in_the_set_does_not_hide_a_rotation() {
    let process = process();
    let config = config();
    let gate = Gate::new(
        FakeHost(Rc::clone(&process)),
        config,
        Box::new(OnlyKid("b")),
    );
    let nameless = SET_A.replace("\"kid\"", "\"was-kid\"");
    gate.tick();
    gate.reply(process.the_call(), ok(&nameless));
    // Neither the key without kid nor any other verifies it: the key is new.
    parked(gate.request(1, token("b")));
    process.pass(10);
    gate.tick();
    let verdicts = gate.reply(process.the_call(), ok(SET_B));
    assert_eq!(codes(verdicts), [(1, 200)]);
    // A wrong one is refused after a fetch of its own, and then there is no other for a while.
    parked(gate.request(2, token("c")));
    gate.tick();
    assert_eq!(codes(gate.reply(process.the_call(), ok(SET_B))), [(2, 401)]);
    assert_eq!(decided(gate.request(3, token("c"))), 503);
}

#[test]
fn keys_without_kids_are_fetched_anew_for_a_token_that_they_do_not_verify() {
    let process = process();
    let config = config();
    let of_b = KeySet::parse(SET_B.as_bytes()).unwrap().keys()[0]
        .spki_der()
        .to_vec();
    let host = FakeHost(Rc::clone(&process));
    let gate = Gate::new(host, config, Box::new(OnlyKey(of_b)));
    let nameless = |set: &str| ok(&set.replace("\"kid\"", "\"was-kid\""));
    gate.tick();
    gate.reply(process.the_call(), nameless(SET_A));
    parked(gate.request(1, token_without_kid()));
    process.pass(10);
    gate.tick();
    assert_eq!(
        codes(gate.reply(process.the_call(), nameless(SET_B))),
        [(1, 200)]
    );
    // Back to a set that does not verify it: as many fetches as the cool-down allows, and
    // the reason is the signature.
    process.pass(590_000);
    gate.tick();
    gate.reply(process.the_call(), nameless(SET_A));
    parked(gate.request(2, token_without_kid()));
    process.pass(10);
    gate.tick();
    for context in [2, 3] {
        if context > 2 {
            parked(gate.request(context, token_without_kid()));
            gate.tick();
        }
        let verdicts = gate.reply(process.the_call(), nameless(SET_A));
        let [(of, verdict)] = &verdicts[..] else {
            panic!("{verdicts:?}");
        };
        assert_eq!((*of, reason(verdict)), (context, "signature"));
    }
    assert_eq!(decided(gate.request(4, token_without_kid())), 503);
}

#[test]
fn a_gate_that_goes_away_leaves_its_fetch_to_the_others() {
    let process = process();
    let (one, two) = (gate(&process), gate(&process));
    one.tick();
    process.the_call();
    parked(two.request(1, token("a")));
    two.tick();
    assert!(process.calls.borrow().is_empty(), "one has the lease");
    one.abandon_calls();
    process.pass(10);
    two.tick();
    assert_eq!(codes(two.reply(process.the_call(), ok(SET_A))), [(1, 200)]);
}
