//! Gates on a recording host: several workers, their requests, one store.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod any_order;
mod kids;
#[path = "../sim/mod.rs"]
mod sim;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bearer_gate::authn::Admission;
use bearer_gate::config::{Config, KeySource, Remote};
use bearer_gate::desk::Ticket;
use bearer_gate::door::{Carried, Exchange};
use bearer_gate::gate::{Arrival, Gate, Verdict, Verdicts};
use bearer_gate::http::request::Request;
use bearer_gate::http::response::{Client, Response};
use bearer_gate::jose::jwa::Algorithm;
use bearer_gate::jose::jwk::Key;
use bearer_gate::jose::verifier::Verifier;
use bearer_gate::outputs::FilterState;
use sim::host::{FakeHost, Process, process};
use sim::{SET_A, SET_B, ok, status};

/// Accepts and counts every signature: these tests are not about signatures.
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
            let mut at_once: Remote = (**remote).clone();
            at_once.times.first_fetch_within = Duration::ZERO;
            *remote = Rc::new(at_once);
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

/// A request that the proxy changes in every way it is asked to.
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

    fn request_id(&self) -> Option<Vec<u8>> {
        None
    }

    fn respond(&self, _: &Response, _: &str) {}
}

/// The status of a verdict; 200 for an admission.
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
        Arrival::Parked(_) | Arrival::Reading(..) => panic!("parked"),
    }
}

fn parked(arrival: Arrival<'_>) -> Ticket {
    match arrival {
        Arrival::Parked(ticket) | Arrival::Reading(ticket, _) => ticket,
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
fn only_so_many_requests_wait() {
    let process = process();
    let gate = gate(&process);
    let tickets: Vec<_> = (0..8)
        .map(|n| parked(gate.request(n, token("a"))))
        .collect();
    let Arrival::Decided(verdict) = gate.request(8, token("a")) else {
        panic!("parked");
    };
    assert_eq!(code(&verdict), 503);
    // A verdict is counted when it is carried out.
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
fn no_request_waits_longer_than_two_fetches_can_take() {
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
            Arrival::Parked(_) | Arrival::Reading(..) => waiting += 1,
            Arrival::Decided(verdict) => {
                assert_eq!(reason(&verdict), "too_many_waiting");
            }
        }
    }
    assert!((270..=279).contains(&waiting), "16 MiB of them: {waiting}");
    // Requests of the usual size find room when the large ones have gone.
    gate.tick();
    let mut answered = gate.reply(process.the_call(), status(500)).len();
    while answered < usize::try_from(waiting).unwrap() {
        // Only so many at once that their answers do not exhaust the stack.
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
    // Its VM is lost with everything that it knew, and another VM takes its place.
    drop(one);
    let next = gate(&process);
    for _ in 0..60 {
        process.pass(100);
        two.tick();
        next.tick();
    }
    assert_eq!(process.count_of("bearer_gate.waiting"), 1);
    // A plugin that is replaced takes its part out.
    two.end();
    assert_eq!(process.count_of("bearer_gate.waiting"), 0);
}

#[test]
fn who_was_let_through_is_counted_by_the_next_tick_or_when_the_gate_ends() {
    let process = process();
    let gate = gate(&process);
    gate.tick();
    gate.reply(process.the_call(), ok(SET_A));
    let let_through = || {
        let Arrival::Decided(verdict) = gate.request(1, token("a")) else {
            panic!("parked");
        };
        assert_eq!(gate.conclude(&verdict, &Takes), Carried::Admitted);
    };
    let counted = || process.count_of("bearer_gate.allowed");
    for _ in 0..3 {
        let_through();
    }
    assert_eq!(counted(), 0);
    gate.tick();
    assert_eq!(counted(), 3);
    let_through();
    gate.end();
    assert_eq!(counted(), 4);
    gate.end();
    assert_eq!(counted(), 4);
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
    assert_eq!(process.count_of("bearer_gate.jwks_changed.p"), 0);

    // A set without the key ends the token at once.
    process.pass(590_000);
    gate.tick();
    gate.reply(process.the_call(), ok(SET_B));
    parked(gate.request(2, token("a")));
    gate.tick();
    assert_eq!(codes(gate.reply(process.the_call(), ok(SET_B))), [(2, 401)]);
    assert_eq!(process.count_of("bearer_gate.jwks_changed.p"), 1);

    // When its time has passed, that ends it too.
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

#[test]
fn keys_of_the_configuration_need_few_ticks() {
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

#[test]
fn a_gate_that_goes_away_leaves_its_fetch_to_the_others() {
    let process = process();
    let (one, two) = (gate(&process), gate(&process));
    one.tick();
    process.the_call();
    parked(two.request(1, token("a")));
    two.tick();
    assert!(process.calls.borrow().is_empty(), "one has the lease");
    one.end();
    process.pass(10);
    two.tick();
    assert_eq!(codes(two.reply(process.the_call(), ok(SET_A))), [(1, 200)]);
}
