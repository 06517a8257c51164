//! Tokens by a key that the worker does not have yet, with and without `kid`.

use std::rc::Rc;
use std::time::Duration;

use bearer_gate::gate::{Arrival, Gate, Verdict};
use bearer_gate::http::request::Request;
use bearer_gate::jose::jwa::Algorithm;
use bearer_gate::jose::jwk::Key;
use bearer_gate::jose::jwks::KeySet;
use bearer_gate::jose::verifier::Verifier;

use crate::sim::host::{FakeHost, process};
use crate::sim::{SET_A, SET_B, ok};
use crate::{codes, config, decided, gate, parked, reason, token, token_with_header};

fn token_without_kid() -> Request {
    token_with_header(r#"{"alg":"RS256"}"#)
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

/// Accepts every signature by the key with this kid, and no other.
struct OnlyKid(&'static str);

impl Verifier for OnlyKid {
    fn verify(&self, _: Algorithm, key: &Key, _: &[u8], _: &[u8]) -> bool {
        key.kid() == Some(self.0)
    }

    fn name(&self) -> &'static str {
        "only kid"
    }
}

/// Accepts every signature by the key with this SubjectPublicKeyInfo.
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
    // No key of the set verifies it, with or without a kid: the key is new.
    parked(gate.request(1, token("b")));
    process.pass(10);
    gate.tick();
    let verdicts = gate.reply(process.the_call(), ok(SET_B));
    assert_eq!(codes(verdicts), [(1, 200)]);
    // A bad token is refused after a fetch of its own. After that there is no fetch for a while.
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
    // The old set does not verify it. There are as many fetches as the cool-down allows, and the
    // reason is the signature.
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
