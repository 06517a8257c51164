//! What the tests of the keys' life have in common.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bearer_gate_testbed::idp::Idp;
use serde_json::{Value, json};

use crate::stage::{Stage, provider};

pub(crate) const WORKERS: u32 = 4;

/// Every path needs a token, except /public.
pub(crate) fn rules() -> Value {
    json!([
        {"match": {"prefix": "/public"}},
        {"match": {"prefix": "/"}, "requires": {"provider_name": "demo"}},
    ])
}

pub(crate) fn config(stage: &Stage, remote: Value) -> Value {
    let more = json!({"remote_jwks": remote});
    json!({"providers": {"demo": provider(stage, more)}, "rules": rules()})
}

/// Four workers, with these fields in `remote_jwks`.
pub(crate) fn four_workers(prepare: impl FnOnce(&Idp), remote: Value) -> Stage {
    Stage::build(prepare, |stage, builder| {
        builder
            .concurrency(WORKERS)
            .wasm_filter(config(stage, remote))
    })
}

/// Statuses of `count` requests with this token, `width` at once, each on a
/// connection of its own.
pub(crate) async fn burst(stage: &Stage, token: &str, count: usize, width: usize) -> Vec<u16> {
    let url = stage.url("/x");
    let limit = Arc::new(tokio::sync::Semaphore::new(width));
    let requests: Vec<_> = (0..count)
        .map(|_| {
            let (client, url, token) = (stage.client.clone(), url.clone(), token.to_owned());
            let limit = Arc::clone(&limit);
            tokio::spawn(async move {
                let _place = limit.acquire_owned().await.unwrap();
                client.get_with(&url, &token).await.status
            })
        })
        .collect();
    let mut statuses = Vec::with_capacity(count);
    for request in requests {
        statuses.push(request.await.unwrap());
    }
    statuses
}

pub(crate) fn all_are(statuses: &[u16], status: u16) -> bool {
    statuses.iter().all(|s| *s == status)
}

/// How long until a request with this token is admitted.
pub(crate) async fn time_until_admitted(stage: &Stage, token: &str, limit: Duration) -> Duration {
    let start = Instant::now();
    loop {
        if stage.get_with("/x", token).await.status == 200 {
            return start.elapsed();
        }
        assert!(start.elapsed() < limit, "not admitted within {limit:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Prints a figure for the readers of the test's output.
pub(crate) fn figure(name: &str, value: impl std::fmt::Debug) {
    println!("figure: {name}: {value:?}");
}
