//! The life of keys, with several workers that share data.

use std::time::{Duration, Instant};

use bearer_gate_hosts::get;
use bearer_gate_hosts::library::{Process, Worker};
use bearer_gate_hosts::token::{RS256_B, bearer, claims, jwks};
use serde_json::json;

use crate::{remote, set};

/// Ticks until this holds, as a timer would.
fn tick_until(workers: &mut [Worker], holds: impl Fn(&mut [Worker]) -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !holds(workers) {
        assert!(Instant::now() < until, "it never holds");
        workers.iter_mut().for_each(Worker::tick);
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn calls(workers: &[Worker]) -> usize {
    workers.iter().map(|worker| worker.calls().len()).sum()
}

#[test]
fn one_worker_fetches_and_all_verify() {
    let process = Process::default();
    let mut workers: Vec<_> = (0..3).map(|_| process.worker(&remote()).unwrap()).collect();
    let token = bearer(&json!({}));
    let waiting: Vec<_> = workers
        .iter_mut()
        .map(|worker| worker.request(get("/", &[("authorization", &token)])))
        .collect();
    tick_until(&mut workers, |workers| calls(workers) > 0);
    // While it is under way, nobody else asks.
    for _ in 0..20 {
        workers.iter_mut().for_each(Worker::tick);
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(calls(&workers), 1);
    let holder = workers
        .iter()
        .position(|worker| !worker.calls().is_empty())
        .unwrap();
    assert_eq!(workers[holder].calls()[0].path(), "/keys");
    for (worker, request) in workers.iter_mut().zip(&waiting) {
        assert_eq!(worker.outcome(*request).status(), 0);
    }
    workers[holder].answer("200", &set());
    workers.iter_mut().for_each(Worker::tick);
    for (worker, request) in workers.iter_mut().zip(&waiting) {
        let outcome = worker.outcome(*request);
        assert_eq!(outcome.at_upstream("x-user"), Some("ada"), "{outcome:?}");
    }
    assert_eq!(calls(&workers), 0);

    // The provider rotates: one fetch more, and no rejection.
    let rotated = format!("Bearer {}", RS256_B.token(&claims(&json!({}))));
    let waiting: Vec<_> = workers
        .iter_mut()
        .map(|worker| worker.request(get("/", &[("authorization", &rotated)])))
        .collect();
    tick_until(&mut workers, |workers| calls(workers) > 0);
    let holder = workers
        .iter()
        .position(|worker| !worker.calls().is_empty())
        .unwrap();
    workers[holder].answer("200", &jwks(&[RS256_B]));
    workers.iter_mut().for_each(Worker::tick);
    for (worker, request) in workers.iter_mut().zip(&waiting) {
        assert_eq!(worker.outcome(*request).status(), 200);
    }
    // The key before is gone, on every worker.
    for worker in &mut workers {
        let outcome = worker.ask(get("/", &[("authorization", &token)]));
        assert_ne!(outcome.status(), 200);
    }
}

#[test]
fn a_bad_answer_leaves_the_good_set() {
    let process = Process::default();
    let mut workers = vec![process.worker(&remote()).unwrap()];
    let token = bearer(&json!({}));
    let request = workers[0].request(get("/", &[("authorization", &token)]));
    tick_until(&mut workers, |workers| calls(workers) > 0);
    workers[0].answer("500", "no");
    assert_eq!(workers[0].outcome(request).status(), 503);
    tick_until(&mut workers, |workers| calls(workers) > 0);
    workers[0].answer("200", &set());
    let outcome = workers[0].ask(get("/", &[("authorization", &token)]));
    assert_eq!(outcome.status(), 200);
    let unknown = format!("Bearer {}", RS256_B.token(&claims(&json!({}))));
    workers[0].request(get("/", &[("authorization", &unknown)]));
    tick_until(&mut workers, |workers| calls(workers) > 0);
    workers[0].answer("200", "{}");
    let outcome = workers[0].ask(get("/", &[("authorization", &token)]));
    assert_eq!(outcome.status(), 200);
}
