//! Wycheproof's vectors inside a real Envoy: through the portable verifier compiled to Wasm, and
//! through Envoy's own as the filter uses it. The module is `tests/vectors-module`.

use std::time::Duration;

use bearer_gate::jose::base64url;
use bearer_gate::signature::portable::Portable;
use bearer_gate_testbed::envoy::{Envoy, Filter, Listener};
use bearer_gate_testbed::raw::{self, RawResponse};
use bearer_gate_testbed::{eventually, repository};
use serde_json::json;

use crate::wycheproof::{Outcome, Question, SIGNATURES, TOKENS};

const MODULE: &str = "target/vectors/wasm32-wasip1/release/bearer_gate_vectors_module.wasm";

fn start() -> Envoy {
    let module = repository().join(MODULE);
    assert!(module.is_file(), "{MODULE} is missing: run `make e2e`");
    let filter = json!({
        "name": "envoy.filters.http.wasm",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": {
                "name": "vectors",
                "vm_config": {
                    "vm_id": "vectors",
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": {"local": {"filename": module}},
                },
                // Otherwise a filter that holds the headers is not given the body.
                "allow_on_headers_stop_iteration": true,
            },
        },
    });
    let envoy = Envoy::builder()
        .concurrency(1)
        .empty_cluster("upstream")
        .listener(Listener::new("main").filter(Filter::Other(filter)))
        .start();
    let envoy = envoy.unwrap_or_else(|refused| panic!("{refused}"));
    eventually(Duration::from_secs(20), "the module answers", || {
        let question = json!({"keys": {}, "tokens": []});
        raw_ask(&envoy, "/portable", &question.to_string()).is_ok_and(|reply| reply.status == 200)
    });
    envoy
}

fn raw_ask(envoy: &Envoy, verifier: &str, question: &str) -> std::io::Result<RawResponse> {
    let length = question.len().to_string();
    let mut request = raw::head("POST", verifier, &[("content-length", length.as_bytes())]);
    request.extend_from_slice(question.as_bytes());
    raw::request(envoy.address(), &request)
}

/// The outcome, and how often Envoy's own function was called.
fn ask(envoy: &Envoy, verifier: &str, questions: &[Question]) -> (Outcome, u64) {
    let mut outcome = Outcome::default();
    let mut calls = 0;
    for question in questions {
        let reply = raw_ask(envoy, verifier, &question.json.to_string()).unwrap();
        assert_eq!(reply.status, 200, "{}", question.json);
        outcome.note(question, &reply.text());
        let called: u64 = reply.header("x-host-calls").unwrap().parse().unwrap();
        calls += called;
    }
    (outcome, calls)
}

fn crashes(envoy: &Envoy) -> u64 {
    let stats = envoy.stats();
    let crashes = stats
        .iter()
        .filter(|(name, _)| name.contains("crash") || name.contains("vm_reload"));
    crashes.map(|(_, value)| value).sum()
}

/// Which files, by the algorithms' first letters; whether the host's function is called for them.
fn signatures(verifier: &str, algorithms: &[&str], by_host: bool) {
    let envoy = start();
    let (mut run, mut calls) = (0, 0);
    let files = SIGNATURES
        .iter()
        .filter(|file| algorithms.contains(&&file.algorithm[..2]));
    for file in files {
        let (outcome, called) = ask(&envoy, verifier, &file.questions());
        if verifier == "/portable" && !file.is_for(&Portable) {
            outcome.check_unsupported(file);
            assert_eq!(called, 0);
            continue;
        }
        outcome.check(file);
        // Either every valid signature went to the host, or none did.
        assert!((called >= file.accepted as u64) == by_host, "{}", file.name);
        run += outcome.run;
        calls += called;
    }
    println!("figure: {verifier} {algorithms:?}: {run} vectors, {calls} calls, 0 mismatches");
    assert!(run > 600, "{run}");
    assert_eq!(crashes(&envoy), 0);
}

#[test]
fn vectors_of_ecdsa_and_eddsa_through_the_portable_verifier() {
    signatures("/portable", &["ES", "Ed"], false);
}

#[test]
fn vectors_of_rsa_through_the_portable_verifier() {
    signatures("/portable", &["RS", "PS"], false);
}

#[test]
fn vectors_through_the_hosts_verifier() {
    signatures("/host", &["RS", "ES"], true);
}

/// PS* and EdDSA, which the host does not verify.
#[test]
fn vectors_that_the_host_is_never_asked_about() {
    signatures("/host", &["PS", "Ed"], false);
}

/// RFC 7515 appendix A.4: by the host only.
#[test]
fn rfc_7515_appendix_a_4_through_the_hosts_verifier() {
    let envoy = start();
    let keys = json!({"keys": [{
        "kty": "EC",
        "crv": "P-521",
        "x": "AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk",
        "y": "ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2",
    }]});
    let token = "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn";
    let (input, signature) = token.rsplit_once('.').unwrap();
    let octets = base64url::decode(signature.as_bytes()).unwrap();
    let signed = |signature: &[u8]| format!("{input}.{}", base64url::encode(signature));
    let mut tokens = vec![token.to_owned()];
    for at in 0..octets.len() {
        let mut flipped = octets.clone();
        flipped[at] ^= 1 << (at % 8);
        tokens.push(signed(&flipped));
    }
    tokens.push(signed(&octets[1..]));
    tokens.push(signed(&[octets.as_slice(), &[0]].concat()));
    tokens.push(token.replace("UGF5bG9hZA", "UGF5bG9hZQ"));
    tokens.push(token.replace("eyJhbGciOiJFUzUxMiJ9", "eyJhbGciOiJFUzM4NCJ9"));

    let ask = |verifier: &str, tokens: &[String]| {
        let question = json!({"keys": keys, "tokens": tokens}).to_string();
        let reply = raw_ask(&envoy, verifier, &question).unwrap();
        assert_eq!(reply.status, 200);
        reply.text()
    };
    for tokens in tokens.chunks(32) {
        let portable = ask("/portable", tokens);
        assert!(!portable.contains('v'), "{portable}");
        let host = ask("/host", tokens);
        assert_eq!(host.len(), tokens.len());
        let valid: Vec<_> = tokens.iter().map(|candidate| candidate == token).collect();
        let accepted: Vec<_> = host.chars().map(|letter| letter == 'v').collect();
        assert_eq!(accepted, valid, "{host}");
    }
    assert_eq!(crashes(&envoy), 0);
}

#[test]
fn vectors_of_tokens_or_left_out_without_them() {
    let envoy = start();
    for file in TOKENS {
        let Some(questions) = file.questions() else {
            continue;
        };
        for verifier in ["/portable", "/host"] {
            let (outcome, calls) = ask(&envoy, verifier, &questions);
            outcome.check_tokens(file);
            println!(
                "figure: {verifier} {}: {} vectors, {calls} calls, {} accepted, 0 mismatches but {:?}",
                file.name,
                outcome.run,
                outcome.accepted.len(),
                outcome.wrongly_refused
            );
        }
    }
    assert_eq!(crashes(&envoy), 0);
}
