//! Hostile requests against a real Envoy: whatever bytes arrive, no worker traps and no request is
//! wrongly admitted.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bearer_gate_testbed::envoy::{Filter, Listener, Wasm};
use bearer_gate_testbed::eventually;
use bearer_gate_testbed::idp::Fault;
use bearer_gate_testbed::keys::SigningKey;
use bearer_gate_testbed::raw::{self, RawConnection, RawResponse};
use bearer_gate_testbed::token;
use serde_json::{Value, json};

use crate::chance::Chance;
use crate::keys::WORKERS;
use crate::stage::{Stage, provider};

/// Tokens that are good until 2027 at the provider `local`, of algorithms that are verified in
/// the module or by the host in another form.
const LOCAL: [&str; 4] = [
    include_str!("../fixtures/es256.jwt"),
    include_str!("../fixtures/es384.jwt"),
    include_str!("../fixtures/es512.jwt"),
    include_str!("../fixtures/eddsa.jwt"),
];

fn local_keys() -> Value {
    let mut keys = [
        include_str!("../fixtures/p256.jwk.json"),
        include_str!("../fixtures/p384.jwk.json"),
        include_str!("../fixtures/p521.jwk.json"),
        include_str!("../fixtures/ed25519.jwk.json"),
        include_str!("../fixtures/rsa2048-a.jwk.json"),
    ]
    .map(|key| serde_json::from_str::<Value>(key).unwrap());
    for (key, algorithm) in keys
        .iter_mut()
        .zip(["ES256", "ES384", "ES512", "EdDSA", "PS256"])
    {
        key["alg"] = json!(algorithm);
    }
    json!({"keys": keys})
}

fn config(stage: &Stage) -> Value {
    let more = json!({
        "claim_to_headers": [{"header_name": "x-user", "claim_name": "sub"}],
        "forward_payload_header": "x-jwt-payload",
    });
    let local = json!({
        "issuer": "https://issuer.example/",
        "audiences": ["https://api.example"],
        "local_jwks": {"inline_string": local_keys().to_string()},
    });
    json!({
        "providers": {"demo": provider(stage, more), "local": local},
        "rules": [
            {"match": {"prefix": "/public"}},
            {"match": {"prefix": "/local"}, "requires": {"provider_name": "local"}},
            {"match": {"prefix": "/scoped"}, "requires": {"provider_name": "demo"},
                "authorize": {"scopes": {"all": ["nobody:has-this"]}}},
            {"match": {"prefix": "/"}, "requires": {"provider_name": "demo"}},
        ],
    })
}

fn four_workers() -> Stage {
    Stage::build(
        |_| {},
        |stage, builder| builder.concurrency(WORKERS).wasm_filter(config(stage)),
    )
}

fn get(stage: &Stage, target: &str, token: &str) -> RawResponse {
    let bearer = format!("Bearer {token}");
    raw::get(
        stage.address(),
        target,
        &[("authorization", bearer.as_bytes())],
    )
    .unwrap()
}

fn wait_for_keys(stage: &Stage, token: &str) {
    eventually(Duration::from_secs(10), "keys", || {
        get(stage, "/x", token).status == 200
    });
}

/// A good token with a fault, or no token at all; never the good token itself.
pub(crate) fn hostile_authorization(
    chance: &mut Chance,
    good: &str,
    stranger: &SigningKey,
) -> Vec<u8> {
    let bearer = |token: &[u8]| [b"Bearer ", token].concat();
    let claims = token::untrusted_claims(good);
    loop {
        let value = match chance.below(16) {
            0 => chance.bytes(200),
            1 => bearer(&chance.bytes(2000)),
            2 => {
                let mut token = good.as_bytes().to_vec();
                let at = chance.below(token.len());
                token[at] = match u8::try_from(chance.below(256)).unwrap() {
                    0 | b'\r' | b'\n' => 0xff,
                    byte => byte,
                };
                bearer(&token)
            }
            3 => {
                let end = chance.below(good.len());
                bearer(&good.as_bytes()[..end])
            }
            4 => {
                let at = chance.below(good.len());
                let more = chance.bytes(8);
                bearer(&[&good.as_bytes()[..at], &more, &good.as_bytes()[at..]].concat())
            }
            5 => {
                let mut header = token::untrusted_header(good);
                let name =
                    ["alg", "kid", "typ", "crit", "b64", "jku", "jwk", "x5c"][chance.below(8)];
                header[name] = match chance.below(6) {
                    0 => json!(null),
                    1 => json!(chance.next()),
                    2 => json!(["none"]),
                    3 => json!("none"),
                    4 => json!(String::from_utf8_lossy(&chance.bytes(1500))),
                    _ => json!({"kty": "oct", "k": "AAAA"}),
                };
                bearer(token::with_header(good, &header).as_bytes())
            }
            6 => {
                let mut other = claims.clone();
                let name = ["exp", "nbf", "iat", "iss", "aud", "sub", "cnf"][chance.below(7)];
                other[name] = match chance.below(5) {
                    0 => json!(null),
                    1 => json!(-1),
                    2 => json!(u64::MAX),
                    3 => json!([[["deep"]]]),
                    _ => json!(String::from_utf8_lossy(&chance.bytes(3000))),
                };
                bearer(token::with_claims(good, &other).as_bytes())
            }
            7 => {
                let depth = chance.below(3000);
                let deep = [b"{\"a\":".repeat(depth), b"1".to_vec()].concat();
                let header = token::base64url(br#"{"alg":"RS256"}"#);
                bearer(format!("{header}.{}.AAAA", token::base64url(deep)).as_bytes())
            }
            8 => {
                let signed = token::base64url(vec![0xff; chance.below(600)]);
                let [header, payload, _] = token::segments(good);
                bearer(format!("{header}.{payload}.{signed}").as_bytes())
            }
            9 => bearer(
                token::hs256(stranger.public_pem().as_bytes(), stranger.kid(), &claims).as_bytes(),
            ),
            10 => bearer(&vec![b'.'; chance.below(9000)]),
            11..=12 => {
                let mut token = LOCAL[chance.below(3)].trim_end().as_bytes().to_vec();
                let at = chance.below(token.len());
                token[at] = b'A' + u8::try_from(chance.below(26)).unwrap();
                bearer(&token)
            }
            13..=14 => {
                let keys = local_keys();
                let key = &keys["keys"][chance.below(4)];
                let length = [64, 96, 256, chance.below(600)][chance.below(4)];
                let octet = [0, 1, 0x7f, 0xff][chance.below(4)];
                let mut signature = vec![octet; length];
                if let Some(last) = signature.last_mut() {
                    *last = u8::try_from(chance.below(256)).unwrap();
                }
                let header = json!({"alg": key["alg"], "kid": key["kid"]});
                let claims = token::untrusted_claims(LOCAL[0].trim_end());
                bearer(token::encode(&header, &claims, &signature).as_bytes())
            }
            _ => bearer(format!("{good},{good}").as_bytes()),
        };
        // A value ends at its last visible byte, as Envoy reads it.
        let is = |token: &str| value.trim_ascii() == bearer(token.trim_end().as_bytes());
        if !is(good) && !LOCAL.iter().any(|token| is(token)) {
            return value;
        }
    }
}

/// Forged headers: the names that the filter sets or reads, in various spellings.
fn hostile_headers(chance: &mut Chance) -> Vec<u8> {
    let mut headers = b"x-user: admin\r\nX_User: admin\r\n".to_vec();
    for _ in 0..chance.below(4) {
        let names: [&[u8]; 8] = [
            b"x-user",
            b"X_USER",
            b"x-jwt-payload",
            b"x_jwt-payload",
            b"cookie",
            b"x-original-url",
            b"proxy-authorization",
            b"authorization",
        ];
        headers.extend_from_slice(names[chance.below(8)]);
        headers.extend_from_slice(b": ");
        headers.extend(chance.bytes(300));
        headers.extend_from_slice(b"\r\n");
    }
    headers
}

fn hostile_target(chance: &mut Chance) -> Vec<u8> {
    let known: [&[u8]; 14] = [
        b"/x",
        b"/local",
        b"/local",
        b"/local",
        b"/local/..",
        b"/x",
        b"/scoped",
        b"/public/../x",
        b"/public/%2e%2e/x",
        b"//x",
        b"/public/..;/x",
        b"/public%2f..%2fx",
        b"/%",
        b"*",
    ];
    known[chance.below(known.len())].to_vec()
}

/// How many requests were sent, and how many had the answer of a good request.
fn bombard(stage: &Stage, good: &str, count: usize, seed: u64) -> usize {
    let lanes = 8;
    let stranger = SigningKey::generate();
    thread::scope(|scope| {
        let lanes: Vec<_> = (0..lanes)
            .map(|lane| {
                let stranger = &stranger;
                scope.spawn(move || {
                    let mut chance = Chance(seed ^ (lane << 32));
                    let mut connection: Option<RawConnection> = None;
                    let mut admitted = 0;
                    for n in 0..count / 8 {
                        let target = hostile_target(&mut chance);
                        let method = ["GET", "POST", "OPTIONS", "DELETE"][chance.below(4)];
                        let mut request = method.as_bytes().to_vec();
                        request.extend_from_slice(b" ");
                        request.extend_from_slice(&target);
                        request.extend_from_slice(b" HTTP/1.1\r\nhost: testbed\r\n");
                        request.extend_from_slice(b"content-length: 0\r\nauthorization: ");
                        request.extend(hostile_authorization(&mut chance, good, stranger));
                        request.extend_from_slice(b"\r\n");
                        request.extend(hostile_headers(&mut chance));
                        request.extend_from_slice(b"\r\n");
                        // One in fifty is not HTTP at all.
                        if chance.below(50) == 0 {
                            request = [chance.bytes(500), b"\r\n\r\n".to_vec()].concat();
                        }
                        let mut open = connection
                            .take()
                            .unwrap_or_else(|| RawConnection::open(stage.address()).unwrap());
                        open.send(&request).ok();
                        // One in a few hundred closes the connection without waiting.
                        if n % 211 == 0 {
                            continue;
                        }
                        // Envoy may close the connection where the bytes are not HTTP.
                        let Ok(response) = open.response() else {
                            continue;
                        };
                        // An unknown kid gets 503 while no fetch is allowed. A VM that trapped
                        // gives 503 without a body.
                        let of_keys = response.status == 503
                            && response.text().contains("temporarily_unavailable");
                        assert!(
                            (400..=404).contains(&response.status)
                                || response.status == 200
                                || of_keys,
                            "{}: {}",
                            response.status,
                            String::from_utf8_lossy(&request)
                        );
                        admitted += usize::from(response.status == 200);
                        if response.header("connection") != Some("close") {
                            connection = Some(open);
                        }
                    }
                    admitted
                })
            })
            .collect();
        lanes.into_iter().map(|lane| lane.join().unwrap()).sum()
    })
}

fn hostile_requests(count: usize) {
    let stage = four_workers();
    let good = stage.idp.good_token();
    wait_for_keys(&stage, &good);
    // The first requests let every worker allocate its buffers.
    bombard(&stage, &good, 4000, 1);
    let (memory_before, upstream_before) = (stage.envoy().memory(), stage.upstream.requests());
    let start = Instant::now();
    let admitted = bombard(&stage, &good, count, 2);
    let grown = stage.envoy().memory().saturating_sub(memory_before) / 1024;
    println!(
        "figure: {count} hostile requests took {:?}, memory grew by {grown} kB",
        start.elapsed()
    );
    assert_eq!(admitted, 0);
    assert_eq!(stage.upstream.requests(), upstream_before);
    assert!(grown < 16 * 1024, "memory grew by {grown} kB");
    assert_eq!(stage.counter("bearer_gate.waiting"), 0);
    let reached = ["signature", "several_tokens", "unsafe_path"];
    for reason in reached {
        let denied = stage.counter(&format!("bearer_gate.denied.{reason}"));
        assert!(denied > count as u64 / 500, "{reason}: {denied}");
    }
    assert_eq!(get(&stage, "/x", &good).status, 200);
    for token in LOCAL {
        assert_eq!(get(&stage, "/local", token.trim_end()).status, 200);
    }
    assert_eq!(stage.traps(), 0);
}

#[test]
fn hostile_requests_trap_nothing_and_leave_nothing() {
    hostile_requests(20_000);
}

#[test]
#[ignore = "long: make soak"]
fn hostile_requests_whole() {
    hostile_requests(100_000);
}

#[test]
fn a32_grpc_clients_get_a_grpc_status() {
    let stage = four_workers();
    let good = stage.idp.good_token();
    wait_for_keys(&stage, &good);
    let passed = stage.upstream.requests();
    let call = |target: &str, token: Option<&str>| {
        let bearer = token.map(|token| format!("Bearer {token}"));
        let mut headers: Vec<(&str, &[u8])> = vec![("content-type", b"application/grpc")];
        headers.extend(bearer.iter().map(|b| ("authorization", b.as_bytes())));
        raw::request(stage.address(), &raw::head("POST", target, &headers)).unwrap()
    };
    for (target, token, status, challenge) in [
        ("/x", None, "16", r#"Bearer realm="api""#),
        ("/x", Some("a.b.c"), "16", r#"error="invalid_token""#),
        (
            "/scoped",
            Some(good.as_str()),
            "7",
            r#"scope="nobody:has-this""#,
        ),
    ] {
        let reply = call(target, token);
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(reply.header("grpc-status"), Some(status), "{reply:?}");
        let told = reply.header("www-authenticate").unwrap_or_default();
        assert!(told.contains(challenge), "{reply:?}");
        let types: Vec<_> = reply
            .headers
            .iter()
            .filter(|(name, _)| name == "content-type")
            .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
            .collect();
        assert_eq!(types, ["application/grpc"], "a client drops any other");
    }
    assert_eq!(stage.upstream.requests(), passed);
}

/// Two plugins in one VM; one of them is configured anew, in the middle of a
/// fetch on which requests of both wait.
#[test]
fn a_plugin_is_reconfigured_during_a_fetch() {
    let stage = Stage::build(
        |idp| idp.set_jwks(Fault::Delay(Duration::from_millis(2500))),
        |stage, builder| {
            let mut slow = config(stage);
            slow["providers"]["demo"]["remote_jwks"]["http_uri"]["timeout"] = json!("5s");
            builder
                .concurrency(WORKERS)
                .drain_seconds(1)
                .listener(Listener::wasm("main", slow.clone()))
                .listener(Listener::new("second").filter(Filter::Wasm(Wasm {
                    name: "second".into(),
                    root_id: "second".into(),
                    ..Wasm::new(slow)
                })))
        },
    );
    let good = stage.idp.good_token();
    let bearer = format!("Bearer {good}");
    let forged: [(&str, &[u8]); 3] = [
        ("authorization", bearer.as_bytes()),
        ("x-user", b"admin"),
        ("X_User", b"admin"),
    ];
    let request = raw::head("GET", "/x", &forged);
    let wait_at = |listener: &str, count: usize| -> Vec<RawConnection> {
        (0..count)
            .map(|_| {
                let mut connection =
                    RawConnection::open(stage.envoy().address_of(listener)).unwrap();
                connection.send(&request).unwrap();
                connection
            })
            .collect()
    };
    let mut waiting = wait_at("main", 20);
    let mut others = wait_at("second", 20);
    eventually(Duration::from_secs(2), "they wait", || {
        stage.counter("bearer_gate.waiting") == 40
    });
    let mut next = config(&stage);
    next["providers"]["demo"]["remote_jwks"]["http_uri"]["timeout"] = json!("5s");
    next["realm"] = json!("next");
    stage.envoy().reload_wasm(&next).unwrap();
    let mut later = wait_at("main", 20);
    let start = Instant::now();
    for connection in others.iter_mut().chain(&mut later) {
        let reply = connection.response().unwrap();
        assert_eq!(reply.status, 200);
        let seen = reply.json()["headers"].to_string();
        assert!(seen.contains(r#"["x-user","#), "{seen}");
        assert!(seen.contains(r#"["x-jwt-payload","#), "{seen}");
        assert!(
            !seen.contains("admin") && !seen.contains("Bearer"),
            "{seen}"
        );
    }
    let took = start.elapsed();
    println!("figure: after the reload decided in {took:?}");
    // Requests of the old configuration were cut with its listener after the drain time, or were
    // decided. None is left.
    for connection in &mut waiting {
        if let Ok(response) = connection.response() {
            assert_eq!(response.status, 200);
        }
    }
    eventually(Duration::from_secs(2), "nobody waits", || {
        stage.counter("bearer_gate.waiting") == 0
    });
    // The call that was under way may have ended with its plugin. Then another worker makes the
    // next call at once, and does not wait for the lease to run out.
    assert!((1..=2).contains(&stage.idp.jwks_requests()));
    assert!(took < Duration::from_millis(6500), "{took:?}");
    let reply = raw::get(stage.address(), "/x", &[]).unwrap();
    assert_eq!(
        reply.header("www-authenticate"),
        Some(r#"Bearer realm="next""#)
    );
    assert_eq!(stage.traps(), 0);
}

/// Only one of the plugins of a VM has requests, but both go on ticking.
#[test]
fn every_plugin_of_a_vm_has_its_own_ticks() {
    let stage = Stage::build(
        |_| {},
        |stage, builder| {
            let mut fast = config(stage);
            fast["providers"]["demo"]["remote_jwks"]["cache_duration"] = json!("2s");
            let local = json!({
                "providers": {"demo": {
                    "issuer": stage.idp.issuer(),
                    "audiences": [stage.idp.client().audiences[0]],
                    "local_jwks": {"inline_string": stage.idp.jwks().to_string()},
                }},
                "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "demo"}}],
            });
            builder
                .concurrency(1)
                .listener(Listener::wasm("main", fast))
                .listener(Listener::new("second").filter(Filter::Wasm(Wasm {
                    name: "second".into(),
                    root_id: "second".into(),
                    ..Wasm::new(local)
                })))
        },
    );
    let good = stage.idp.good_token();
    wait_for_keys(&stage, &good);
    let stop = AtomicBool::new(false);
    let fetched = stage.idp.jwks_requests();
    thread::scope(|scope| {
        scope.spawn(|| {
            let bearer = format!("Bearer {good}");
            while !stop.load(Ordering::SeqCst) {
                let address = stage.envoy().address_of("second");
                let reply = raw::get(address, "/x", &[("authorization", bearer.as_bytes())]);
                assert_eq!(reply.unwrap().status, 200);
            }
        });
        thread::sleep(Duration::from_secs(5));
        stop.store(true, Ordering::SeqCst);
    });
    let fetches = stage.idp.jwks_requests() - fetched;
    assert!((2..=4).contains(&fetches), "{fetches} fetches in 5 s");
    assert_eq!(stage.traps(), 0);
}
