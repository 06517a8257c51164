//! Two real Envoys, and a real Redis behind webdis: who signs out in one of them is signed out in both.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bearer_gate_testbed::envoy::Envoy;
use bearer_gate_testbed::eventually;
use bearer_gate_testbed::idp::openid::RelyingParty;
use bearer_gate_testbed::raw;
use bearer_gate_testbed::redis::Redis;
use bearer_gate_testbed::visitor::Visitor;
use serde_json::{Value, json};

use crate::sign_in;
use crate::stage::{Stage, merge};

/// `interval`, and the second that the documents add.
const STATED: Duration = Duration::from_secs(2);
const LIMIT: Duration = Duration::from_secs(15);
/// The commands that the documents tell operators to allow.
pub(crate) const COMMANDS: [&str; 8] = [
    "RPUSH", "LRANGE", "LTRIM", "LSET", "SET", "GET", "DEL", "EXPIRE",
];
/// The store's list of sign-outs.
pub(crate) const LIST: &str = "bearer-gate:ended";

pub(crate) struct Fleet {
    pub(crate) stage: Stage,
    other: Option<Envoy>,
    pub(crate) redis: Redis,
    more: Value,
}

impl Fleet {
    pub(crate) fn start(more: Value) -> Self {
        let redis = Redis::start(&COMMANDS);
        let address = redis.address();
        let stage = Stage::build(
            |_| {},
            |_, builder| {
                let open = json!({"unmatched": "allow"});
                builder.cluster("redis", address).wasm_filter(open)
            },
        );
        let callback = stage.url("/oauth2/callback");
        let openid = stage.idp.openid();
        openid.register(RelyingParty::confidential("web", "s3cret", &callback));
        let mut fleet = Self {
            stage,
            other: None,
            redis,
            more,
        };
        let config = fleet.config();
        fleet.stage.envoy().reload_wasm(&config).unwrap();
        fleet.restart();
        fleet
    }

    fn config(&self) -> Value {
        let mut config = sign_in::config(&self.stage);
        let uri = format!("http://{}/", self.redis.address());
        let http_uri = json!({"uri": uri, "cluster": "redis", "timeout": "1s"});
        merge(&mut config, json!({"shared_store": {"http_uri": http_uri}}));
        merge(&mut config, self.more.clone());
        config
    }

    /// Starts the other Envoy, once more.
    fn restart(&mut self) {
        self.other = None;
        let other = Envoy::builder()
            .cluster("idp", self.stage.idp.address())
            .cluster("upstream", self.stage.upstream.address())
            .cluster("redis", self.redis.address())
            .wasm_filter(self.config())
            .start();
        self.other = Some(other.unwrap_or_else(|refused| panic!("{refused}")));
    }

    pub(crate) fn other(&self) -> &Envoy {
        self.other.as_ref().expect("started")
    }

    pub(crate) async fn signed_in(&self, username: &str, password: &str) -> String {
        let mut visitor = Visitor::new();
        let page = self.stage.url("/");
        visitor.sign_in_for(&page, username, password).await;
        self.session_of(&visitor)
    }

    /// The session's cookie of somebody who has signed in.
    pub(crate) fn session_of(&self, visitor: &Visitor) -> String {
        let name = "__Host-Http-bg_session_staff";
        let value = visitor.cookie(&self.stage.url("/"), name);
        format!("{name}={}", value.expect("a session"))
    }

    /// What an Envoy answers on a connection of its own, to whoever comes for the first one's host.
    pub(crate) fn get(&self, address: SocketAddr, path: &str, cookie: &str) -> u16 {
        let host = self.stage.address();
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\
             sec-fetch-site: same-origin\r\ncookie: {cookie}\r\n\r\n"
        );
        raw::request(address, head.as_bytes()).unwrap().status
    }

    /// Of several connections, so that each worker has some.
    pub(crate) fn statuses(&self, address: SocketAddr, cookie: &str) -> [u16; 16] {
        [(); 16].map(|()| self.get(address, "/x", cookie))
    }

    pub(crate) fn sign_out(&self, address: SocketAddr, cookie: &str) {
        assert_eq!(self.get(address, "/sign-out", cookie), 303);
        assert_eq!(self.statuses(address, cookie), [401; 16]);
    }

    pub(crate) fn traps(&self) -> u64 {
        let stats = self.other().stats();
        let crashes = |name: &str| name.contains("crash") || name.contains("vm_reload");
        let of_other = stats.iter().filter(|(name, _)| crashes(name));
        self.stage.traps() + of_other.map(|(_, value)| value).sum::<u64>()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s34_a_sign_out_holds_in_both_envoys_within_the_stated_time() {
    let fleet = Fleet::start(json!({}));
    let (first, other) = (fleet.stage.address(), fleet.other().address());
    let bob = fleet.signed_in("bob", "tokyo").await;
    let mut longest = Duration::ZERO;
    for round in 0..6 {
        let alice = fleet.signed_in("alice", "wonderland").await;
        assert_eq!(fleet.statuses(other, &alice), [200; 16]);
        let (here, there) = if round % 2 == 0 {
            (first, other)
        } else {
            (other, first)
        };
        std::thread::sleep(Duration::from_millis(170 * round));
        fleet.sign_out(here, &alice);
        let begun = Instant::now();
        eventually(STATED, "it holds there, too", || {
            fleet.get(there, "/x", &alice) == 401
        });
        longest = longest.max(begun.elapsed());
        assert_eq!(fleet.statuses(there, &alice), [401; 16], "on every worker");
    }
    println!("at most {longest:?}");
    assert_eq!(fleet.statuses(first, &bob), [200; 16]);
    assert_eq!(fleet.statuses(other, &bob), [200; 16]);
    let counter = |name: &str| {
        fleet
            .stage
            .counter(&format!("bearer_gate.shared_store.{name}"))
    };
    assert!(counter("success") > 0);
    assert_eq!(counter("failed") + counter("skipped") + counter("lost"), 0);
    assert!(counter("age_seconds") <= 2);
    assert_eq!(fleet.traps(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn s34_an_envoy_that_starts_anew_knows_who_has_signed_out() {
    let mut fleet = Fleet::start(json!({}));
    let alice = fleet.signed_in("alice", "wonderland").await;
    let bob = fleet.signed_in("bob", "tokyo").await;
    let other = fleet.other().address();
    fleet.sign_out(other, &alice);
    eventually(STATED, "it holds", || {
        fleet.get(fleet.stage.address(), "/x", &alice) == 401
    });
    fleet.restart();
    let other = fleet.other().address();
    // The first requests wait for what the store has.
    assert_eq!(fleet.statuses(other, &alice), [401; 16]);
    assert_eq!(fleet.statuses(other, &bob), [200; 16]);
    assert_eq!(fleet.traps(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn s34_a_redis_that_is_killed_is_told_everything_when_it_is_back() {
    let mut fleet = Fleet::start(json!({"shared_store": {"max_stale": "4s"}}));
    let (first, other) = (fleet.stage.address(), fleet.other().address());
    let alice = fleet.signed_in("alice", "wonderland").await;
    let bob = fleet.signed_in("bob", "tokyo").await;
    let carol = fleet.signed_in("alice", "wonderland").await;
    fleet.sign_out(first, &carol);
    eventually(STATED, "it holds", || fleet.get(other, "/x", &carol) == 401);
    fleet.redis.stop();
    std::thread::sleep(Duration::from_millis(500));
    fleet.sign_out(first, &alice);
    assert_eq!(
        fleet.get(other, "/x", &bob),
        200,
        "what is known still counts"
    );
    // Nobody gets through by a session that nobody can be asked about.
    // Each worker says so with its next tick, and so does the main thread.
    eventually(LIMIT, "sessions do not count", || {
        fleet
            .other()
            .stat("wasmcustom.bearer_gate.shared_store.stale")
            == 3
    });
    for cookie in [&alice, &bob] {
        assert_eq!(fleet.statuses(other, cookie), [503; 16]);
    }
    assert_eq!(fleet.get(other, "/public", &bob), 200);
    let reason = "bearer_gate.denied.sign_outs_unknown";
    assert!(fleet.other().stat(&format!("wasmcustom.{reason}")) > 0);
    let log = fleet.other().log();
    assert!(log.contains("the shared store fails: status 503"), "{log}");

    fleet.redis.start_again();
    eventually(LIMIT, "sessions count again", || {
        fleet.get(other, "/x", &bob) == 200
    });
    eventually(LIMIT, "and the sign-out holds", || {
        fleet.get(other, "/x", &alice) == 401
    });
    // It has forgotten all, and is told again what ended before.
    eventually(LIMIT, "the store has what it had", || {
        fleet.redis.cli(&["LLEN", LIST]).parse::<u32>().unwrap() >= 2
    });
    std::thread::sleep(Duration::from_secs(2));
    fleet.restart();
    let other = fleet.other().address();
    for cookie in [&alice, &carol] {
        assert_eq!(fleet.statuses(other, cookie), [401; 16]);
    }
    assert_eq!(fleet.statuses(other, &bob), [200; 16]);
    assert_eq!(fleet.statuses(first, &bob), [200; 16]);
    assert_eq!(fleet.traps(), 0);
}

/// Octets that are no text, values of nobody, and one that no answer has room for.
#[tokio::test(flavor = "multi_thread")]
async fn s34_what_others_write_into_redis_ends_nothing_and_stops_nothing() {
    let fleet = Fleet::start(json!({}));
    let (first, other) = (fleet.stage.address(), fleet.other().address());
    let bob = fleet.signed_in("bob", "tokyo").await;
    let push = |value: &str| fleet.redis.cli(&["RPUSH", LIST, value]);
    for value in ["", "-", "AA", "a\r\nb", "\u{e4}\"\\"] {
        push(value);
    }
    let script = "for i = 1, 3 do redis.call('RPUSH', KEYS[1], string.rep('\\255', ARGV[1])) end";
    for length in ["20", "200000", "700000"] {
        fleet.redis.cli(&["EVAL", script, "1", LIST, length]);
    }
    for at in [first, other] {
        let alice = fleet.signed_in("alice", "wonderland").await;
        fleet.sign_out(at, &alice);
        let there = if at == first { other } else { first };
        eventually(LIMIT, "it holds", || fleet.get(there, "/x", &alice) == 401);
        assert_eq!(fleet.get(there, "/x", &bob), 200);
    }
    assert!(fleet.stage.counter("bearer_gate.shared_store.skipped") >= 5);
    assert_eq!(fleet.traps(), 0);
}
