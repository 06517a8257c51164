//! What a signature costs that the host does not verify: this one has no `verify_signature`.

use std::time::{Duration, Instant};

use bearer_gate_hosts::get;
use bearer_gate_hosts::library::Process;
use bearer_gate_hosts::token::{SIGNERS, Signer, claims};
use serde_json::json;

use crate::local;

const ROUNDS: u32 = 40;

/// The shortest of several times, for a request with a token that is new each time, or always the same.
fn fastest(signer: &Signer, is_new: bool) -> Duration {
    let mut worker = Process::default().worker(&local()).unwrap();
    let request = |number: u32| {
        let token = signer.token(&claims(&json!({"jti": format!("n{number}")})));
        get("/", &[("authorization", &format!("Bearer {token}"))])
    };
    worker.ask(request(0));
    (0..ROUNDS)
        .map(|round| {
            let request = request(if is_new { round + 1 } else { 0 });
            let begun = Instant::now();
            assert_eq!(worker.ask(request).status(), 200);
            begun.elapsed()
        })
        .min()
        .unwrap()
}

#[test]
fn what_a_new_token_costs() {
    for signer in &SIGNERS {
        let new = fastest(signer, true);
        println!("figure: a new {} token: {new:?}", signer.algorithm);
        // Far above what it takes, so that a slow machine passes.
        assert!(new < Duration::from_millis(500), "{}", signer.algorithm);
    }
    let known = fastest(&SIGNERS[0], false);
    println!("figure: a token that is known: {known:?}");
}
