//! Everything at once, for a long time: known and new tokens, people who sign in and out, hostile
//! requests, clients that hang up, while keys rotate, the provider fails and the configuration
//! changes. Nothing is wrongly admitted or refused, nothing hangs, no worker traps, and memory does
//! not grow.
//!
//! `make test` has it for seconds, `make soak` for half an hour; `BEARER_GATE_SOAK_SECONDS` says for how
//! long. Memory is judged in half an hour or more.

mod clients;
mod conductor;
mod record;

use std::thread;
use std::time::{Duration, Instant};

use bearer_gate_testbed::eventually;
use bearer_gate_testbed::idp::openid::RelyingParty;
use serde_json::{Value, json};

use crate::keys::figure;
use crate::sign_in;
use crate::stage::{Stage, merge};
use conductor::Score;
use record::Record;

/// What a lane plays, until it is over. It gets its number among those of its kind.
type Play = fn(&World, usize);

/// How many lanes there are of each kind, and what they play.
const LANES: [(usize, Play); 4] = [
    (6, clients::known),
    (1, clients::new),
    (1, clients::hostile),
    (1, clients::leaving),
];
const PEOPLE: [(&str, &str); 2] = [("alice", "wonderland"), ("bob", "tokyo")];

/// How long the whole of it is.
const WHOLE: Duration = Duration::from_secs(1800);

/// What memory may grow by in half an hour, in octets. The first half is left out: caches fill.
const GROWTH: f64 = 8.0 * 1024.0 * 1024.0;

/// What the lanes and the conductor have in common.
struct World {
    stage: Stage,
    score: Score,
    record: Record,
}

/// The configuration; `round` makes each another one.
fn config(stage: &Stage, round: u64) -> Value {
    let mut config = sign_in::config(stage);
    let more = json!({
        "realm": format!("round {round}"),
        "providers": {"demo": {
            "openid_discovery": {"cache_duration": "10s", "unknown_kid_cooldown": "1s"},
        }},
        "sign_in": {"schemes": {"staff": {"use_refresh_token": true}}},
        "rules": [
            {"match": {"path_separated_prefix": "/public"}},
            {"match": {"path_separated_prefix": "/api"}, "requires": {"provider_name": "demo"}},
            {"match": {"prefix": "/"}, "requires": {"session": "staff"}},
        ],
    });
    merge(&mut config, more);
    config
}

fn world() -> World {
    let stage = Stage::build(
        |_| {},
        |_, builder| {
            builder
                .drain_seconds(20)
                .wasm_filter(json!({"unmatched": "allow"}))
        },
    );
    stage.envoy().reload_wasm(&config(&stage, 0)).unwrap();
    let openid = stage.idp.openid();
    let callback = stage.url("/oauth2/callback");
    openid.register(RelyingParty::confidential("web", "s3cret", &callback));
    // So that sessions are refreshed now and then.
    openid.configure(|settings| settings.access_token_lifetime = 5);
    World {
        score: Score::new(&stage.idp),
        record: Record::default(),
        stage,
    }
}

/// Everything for so long, with an event of the conductor in each `beat`.
fn soak(length: Duration, beat: Duration) {
    let world = world();
    let token = world.score.token(0);
    eventually(Duration::from_secs(10), "keys", || {
        clients::get(&world, "/api/x", &token).is_some_and(|reply| reply.status == 200)
    });
    let memory = thread::scope(|scope| {
        let world = &world;
        for (lanes, play) in LANES {
            for lane in 0..lanes {
                scope.spawn(move || play(world, lane));
            }
        }
        for person in PEOPLE {
            scope.spawn(move || clients::person(world, person));
        }
        scope.spawn(move || conductor::conduct(world, beat));
        let began = Instant::now();
        let mut memory = Vec::new();
        while began.elapsed() < length && !world.record.has_failed() {
            thread::sleep(Duration::from_millis(500));
            let envoy = world.stage.envoy();
            memory.push(Sample {
                at: began.elapsed().as_secs_f64(),
                resident: envoy.memory() as f64,
                allocated: envoy.allocated() as f64,
            });
        }
        world.score.stop();
        memory
    });
    judge(&world, length, &memory);
}

/// The memory of Envoy, in octets, and the time, in seconds.
#[derive(Clone, Copy)]
struct Sample {
    at: f64,
    resident: f64,
    /// Of the host alone, with the data that workers share.
    allocated: f64,
}

fn judge(world: &World, length: Duration, memory: &[Sample]) {
    world.record.print();
    let requests = world.record.requests();
    figure("requests", requests);
    world.record.assert_right();
    let stage = &world.stage;
    assert_eq!(stage.traps(), 0);
    eventually(Duration::from_secs(10), "no request waits", || {
        stage.counter("bearer_gate.waiting") == 0
    });
    eventually(Duration::from_secs(30), "no request is left", || {
        let stats = stage.envoy().stats();
        let mut active = stats
            .iter()
            .filter(|(name, _)| name.starts_with("http.main") && name.ends_with("rq_active"));
        active.all(|(_, value)| *value == 0)
    });
    let settled = length.as_secs_f64() / 2.0;
    let settled = memory.iter().filter(|sample| sample.at > settled);
    let settled: Vec<_> = settled.map(|sample| (sample.at, sample.resident)).collect();
    let slope = record::slope(&settled);
    let part = memory.len() / 20 + 1;
    let over_time = |of: fn(&Sample) -> f64| -> Vec<f64> {
        let parts = memory.chunks(part).filter_map(|part| part.last());
        parts.map(|sample| (of(sample) / 1e6).round()).collect()
    };
    figure("memory over time, MB", over_time(|sample| sample.resident));
    figure(
        "of that, the host's, MB",
        over_time(|sample| sample.allocated),
    );
    figure("growth in half an hour, MB", (slope * 1800.0 / 1e6).round());
    // In less, caches only fill: in ten minutes they make it seem 32 MB in half an hour.
    if length >= WHOLE {
        assert!(slope * 1800.0 < GROWTH, "{slope} octets a second");
    }
    if length >= Duration::from_secs(600) {
        assert!(requests > length.as_secs() * 500, "{requests}");
    }
}

#[test]
fn everything_at_once() {
    soak(Duration::from_secs(12), Duration::from_secs(1));
}

#[test]
#[ignore = "long: make soak"]
fn everything_at_once_whole() {
    let seconds = std::env::var("BEARER_GATE_SOAK_SECONDS").ok();
    let seconds = seconds.and_then(|seconds| seconds.parse().ok());
    let length = seconds.map_or(WHOLE, Duration::from_secs);
    soak(length, Duration::from_secs(20));
}
