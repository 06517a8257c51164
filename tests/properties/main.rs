//! Properties of everything that is read from outside, on inputs made at random from parts that
//! mean something, and on what fuzzing has found worth keeping (`fuzz/corpus`, `fuzz/found`).
//!
//! `make fuzz` looks for more of them with the same properties; what it finds becomes a test
//! beside the code that it tests.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a panic is how a test fails"
)]

mod check;
mod sessions;
mod store_answers;
mod tickets;
mod token_replies;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use bearer_gate::config::Config;
use bearer_gate::http::request::Header;
use bearer_gate::jose::base64url;
use bearer_gate::jose::jwks::KeySet;
use bearer_gate::jose::jws;
use flate2::read::GzDecoder;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::{Value, json};

const JWKS: [&str; 6] = [
    include_str!("../fixtures/rsa2048-a.jwk.json"),
    include_str!("../fixtures/rsa2048-a.x5c.jwk.json"),
    include_str!("../fixtures/p256.jwk.json"),
    include_str!("../fixtures/p384.x5c.jwk.json"),
    include_str!("../fixtures/ed25519.jwk.json"),
    include_str!("../fixtures/p521.x5c.jwk.json"),
];

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(5),
        ..ProptestConfig::default()
    }
}

fn names(names: &'static [&'static str]) -> impl Strategy<Value = String> + Clone {
    prop::sample::select(names).prop_map(str::to_owned)
}

/// Any JSON, with the values that matter here among it.
fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (0_u64..4).prop_map(|n| json!(n << 52)),
        any::<String>().prop_map(Value::from),
        names(&[
            "none",
            "RS256",
            "EdDSA",
            "at+jwt",
            "5s",
            "1.5s",
            "/x",
            "/a/../b",
            "GET",
            "x-user",
            "https://i.example/",
            "p",
            "jwt",
            "sig",
            "verify",
            "AQAB",
            "",
            "allow",
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(
                (names(&["a", "b", "keys", "seconds", "prefix"]), inner),
                0..4
            )
            .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// An object of these names, each at most once.
fn object(of: &'static [&'static str]) -> impl Strategy<Value = Value> {
    prop::collection::vec((names(of), json_value()), 0..6)
        .prop_map(|members| Value::Object(members.into_iter().collect()))
}

/// Replaces, takes away or adds a member at a place in a document.
fn change(document: &mut Value, way: &[usize], value: Value) {
    match (document, way.split_first()) {
        (Value::Object(members), Some((at, rest))) if !members.is_empty() => {
            let at = at % members.len();
            let name = members.keys().nth(at).unwrap().clone();
            match rest {
                [] if value.is_null() => drop(members.remove(&name)),
                [] => drop(members.insert(name, value)),
                _ => change(&mut members[&name], rest, value),
            }
        }
        (Value::Array(items), Some((at, rest))) if !items.is_empty() => {
            let at = at % items.len();
            change(&mut items[at], rest, value);
        }
        (document, _) => *document = value,
    }
}

fn ways() -> impl Strategy<Value = Vec<(Vec<usize>, Value)>> {
    prop::collection::vec(
        (prop::collection::vec(any::<usize>(), 1..6), json_value()),
        0..4,
    )
}

/// A configuration that says much of what can be said.
fn configuration() -> Value {
    let keys = format!(r#"{{"keys":[{}]}}"#, JWKS[4]);
    let uri = json!({"uri": "https://i.example/jwks", "cluster": "c", "timeout": "5s"});
    json!({
        "providers": {
            "p": {
                "issuer": "https://i.example/", "audiences": ["a"],
                "remote_jwks": {"http_uri": uri, "cache_duration": {"seconds": 5},
                    "retry_policy": {"num_retries": 1}},
                "claim_to_headers": [{"header_name": "x-user", "claim_name": "a.b"}],
                "forward_payload_header": "x-payload", "clock_skew_seconds": 1,
                "algorithms": ["EdDSA"], "token_type": "at+jwt", "scope_claims": ["scp"],
            },
            "q": {"any_issuer": true, "any_audience": true, "max_lifetime": "60s",
                "from_headers": [{"name": "x-token", "value_prefix": "JWT "}],
                "from_params": ["t"], "from_cookies": ["s"],
                "subjects": {"safe_regex": {"regex": "a.*"}},
                "jwt_cache_config": {"jwt_cache_size": 10},
                "local_jwks": {"inline_string": keys}},
            "r": {"issuer": "https://i.example/", "audiences": ["a"],
                "openid_discovery": {"cluster": "c", "timeout": "1s", "jwks_cluster": "d"}},
        },
        "rules": [
            {"match": {"prefix": "/public"}},
            {"match": {"path": "/a", "methods": ["GET"]}, "requires": {"provider_name": "p"},
                "authorize": {"scopes": {"all": ["s"], "any": ["t"]}, "policies": ["staff"],
                    "claims": [{"path": ["a"], "equals": 1}, {"path": ["b"], "exists": true},
                        {"path": ["c"], "not": {"any": ["x"]}}]}},
            {"match": {"safe_regex": {"regex": "/v[12]/.*"}, "hosts": ["*.a.example"],
                "headers": [{"name": "x", "range_match": {"start": 1, "end": 5}},
                    {"name": "y", "string_match": {"prefix": "a", "ignore_case": true}}],
                "query_parameters": [{"name": "q", "present_match": true}]},
                "requires": {"requires_any": {"requirements": [
                    {"provider_and_audiences": {"provider_name": "p", "audiences": ["b"]}},
                    {"requires_all": {"requirements": [
                        {"provider_name": "q"}, {"provider_name": "r"}]}},
                    {"allow_missing": {}}]}}, "report_only": true},
            {"match": {"path_separated_prefix": "/b", "case_sensitive": false},
                "requirement_name": "optional"},
            {"match": {"connect_matcher": {}}, "requires": {"provider_name": "q"}},
        ],
        "requirement_map": {"optional": {"allow_missing_or_failed": {}}},
        "policies": {"staff": {"claims": [{"path": ["groups"], "any": ["staff"]}]}},
        "realm": "api", "unmatched": "deny", "max_waiting": 5, "route_metadata": "ns",
        "bypass_cors_preflight": true, "filter_state": ["reason", "subject"],
        "errors": {"format": "problem", "by_reason": {"expired": {"status": 403, "body": "x",
            "content_type": "text/plain"}}},
        "protected_resource": {"resource": "https://a.example/mcp", "additional": {"x": [1]}},
    })
}

/// The pieces that requests with credentials are made of.
const PLACES: [&str; 30] = [
    "/x?", "/?", "t=", "t=", "u=", "%74=", "&", "&", "=", "a.b.c", "\n", "\n", "\n", "Bearer ",
    "bearer ", "Basic ", ",", ", ", " ", "\t", "; ", ";", "\"", "t", "u", "%", "%2e", "?", "+",
    "u=1",
];

proptest! {
    #![proptest_config(cases(2048))]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check::token(&bytes);
        check::key_set(&bytes);
        check::discovery(&bytes);
        check::config(&bytes);
        check::path(&bytes);
        check::path(&[b"/", bytes.as_slice()].concat());
        check::credentials(&bytes);
    }

    #[test]
    fn credentials(
        pieces in prop::collection::vec(prop::sample::select(PLACES.to_vec()), 0..16)
    ) {
        check::credentials(pieces.concat().as_bytes());
    }

    #[test]
    fn tokens(
        header in object(&["alg", "kid", "typ", "crit", "b64", "jwk", "jku"]),
        claims in object(&["iss", "aud", "sub", "exp", "nbf", "iat", "jti", "cnf", "a"]),
        signature in prop::collection::vec(any::<u8>(), 0..70),
    ) {
        let mut header = header;
        if header.get("alg").is_none() {
            header["alg"] = json!("EdDSA");
        }
        let parts = [header.to_string().into_bytes(), claims.to_string().into_bytes(), signature];
        let token = parts.map(|part| base64url::encode(&part)).join(".");
        check::token(token.as_bytes());
    }

    /// Bytes of the good token replaced, taken away or put in: it is the token or it is nothing.
    #[test]
    fn mutated_tokens(
        changes in prop::collection::vec((any::<usize>(), any::<u8>(), 0_u8..4), 1..4)
    ) {
        let mut token = check::TOKEN.trim_end().as_bytes().to_vec();
        for (at, byte, how) in changes {
            let at = at % token.len();
            match how {
                0 => token[at] = byte,
                1 => drop(token.remove(at)),
                2 => token.insert(at, byte),
                _ => token[at] ^= 1 << (byte % 8),
            }
        }
        check::token(&token);
    }

    #[test]
    fn key_sets(which in prop::collection::vec(0..JWKS.len(), 0..6), ways in ways()) {
        let keys = which.iter().map(|at| serde_json::from_str(JWKS[*at]).unwrap());
        let mut document = json!({"keys": keys.collect::<Vec<Value>>()});
        for (way, value) in ways {
            change(&mut document, &way, value);
        }
        check::key_set(document.to_string().as_bytes());
    }

    #[test]
    fn metadata(
        scheme in names(&["https://", "http://", "HTTPS://", "//", ""]),
        host in names(&["issuer.example", "a@issuer.example", "keys.example:8443", "[::1]", ""]),
        path in prop::collection::vec(names(&["/", "a", "?", "#", "..", "@", "\\", " "]), 0..5),
        other in object(&["issuer", "jwks_uri", "a"]),
    ) {
        let mut document = json!({
            "issuer": "https://issuer.example/",
            "jwks_uri": format!("{scheme}{host}{}", path.concat()),
        });
        check::discovery(document.to_string().as_bytes());
        check::discovery(document["jwks_uri"].as_str().unwrap().as_bytes());
        document.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
        check::discovery(document.to_string().as_bytes());
    }

    /// What is refused is refused by the path of a field.
    #[test]
    fn configurations(ways in ways()) {
        let mut document = configuration();
        for (way, value) in ways {
            change(&mut document, &way, value);
        }
        let text = document.to_string();
        check::config(text.as_bytes());
        if let (true, Err(error)) = (document.is_object(), Config::parse(text.as_bytes())) {
            let first = error.path().split(['.', '[']).next().unwrap();
            prop_assert!(document.get(first).is_some(), "{error}: {document}");
        }
    }

    #[test]
    fn paths(pieces in prop::collection::vec(names(&[
        "/", "/", "/a", "..", ".", ";", ";x=1", "%2e", "%2F", "%5C", "%25", "%00", "%61", "%c3%a9",
        "//", "\\", "?", "#", "%3b", " ", "%20", "%", "b", "%7f", "%252e",
    ]), 0..9)) {
        check::path(format!("/{}", pieces.concat()).as_bytes());
    }
}

/// The lines of a request, of which [`check::request`] is told.
fn lines(method: &str, authority: &str, path: &str, headers: &[String]) -> Vec<u8> {
    [
        &[method.to_owned(), authority.to_owned(), path.to_owned()],
        headers,
    ]
    .concat()
    .join("\n")
    .into_bytes()
}

proptest! {
    #![proptest_config(cases(4000))]

    /// No spelling of a protected host is decided by another host's rule.
    #[test]
    fn hosts(pieces in prop::collection::vec(names(&[
        "admin.example", "admin.example", "ADMIN", ".int.example", "a.int.example", "secret.example",
        "www.other", ".", ".", ":", ":80", ":443", ",", ", ", "@", "user@", "%2e", "admin%2eexample",
        " ", "\t", "127.0.0.1", "127.1", "2130706433", "0x7f.1", "[::1]", "\u{a0}", "x",
    ]), 0..5)) {
        let authority = pieces.concat();
        check::request(&lines("GET", &authority, "/", &[]));
        check::authority(authority.as_bytes());
    }

    /// Whatever an upstream reads as guarded is not let through without a token.
    #[test]
    fn requests(
        method in names(&["GET", "GET", "GET", "POST", "post", "Delete", " GET", "HEAD"]),
        authority in names(&["www.other", "www.other", "www.other:80", "admin.example.", "secret.example:1"]),
        path in names(&["/", "/", "/open", "/open/x", "/public", "/admin%3f", "/%20admin;", "/x;/admin", "/OPEN"]),
        query in prop::collection::vec(names(&[
            "mode=a", "mode=a+b", "mode=a%20b", "MODE=a b", "x", "&", "&", ";", "t=1", "T=1", "%74=1", "t", "+t=1", "t%20=1",
        ]), 0..4),
        headers in prop::collection::vec((
            names(&["x-mode", "x_mode", "x.mode", "x-open", "x-open", "x_open", "authorization", "authorization",
                    "x-token", "x_token", "cookie", "cookie"]),
            prop::collection::vec(names(&[
                "admin", "yes", "yes", "no", "Bearer", "bearer", "Basic", " ", " ", "\t", "\u{a0}", "\u{85}", ",", ";",
                "s=1", "S=1", "s =1", "a=1", "a.b.c", "=", "",
            ]), 0..4),
        ), 0..4),
    ) {
        let path = if query.is_empty() { path } else { format!("{path}?{}", query.concat()) };
        let headers: Vec<String> = headers
            .into_iter()
            .map(|(name, pieces)| format!("{name}:{}", pieces.concat()))
            .collect();
        check::request(&lines(&method, &authority, &path, &headers));
        // octets of ISO 8859-1 too
        let latin: Vec<u8> = String::from_utf8(lines(&method, &authority, &path, &headers))
            .unwrap()
            .chars()
            .map(|c| u8::try_from(u32::from(c)).unwrap())
            .collect();
        check::request(&latin);
    }
}

/// The properties would hold for a filter that refuses everything.
#[test]
fn the_parts_are_good_ones() {
    assert!(jws::parse(check::TOKEN.trim_end().as_bytes()).is_ok());
    let keys = format!(r#"{{"keys":[{}]}}"#, JWKS.join(","));
    let set = KeySet::parse(keys.as_bytes()).unwrap();
    assert!(set.keys().len() >= 4, "{:?}", set.skipped());
    assert!(Config::parse(configuration().to_string().as_bytes()).is_ok());
    for (method, authority, path, headers) in [
        ("GET", "www.other", "/", &[][..]),
        ("GET", "www.other:8443", "/open?x=1", &["x-open: yes"]),
        ("get", "int.example", "/a%20b/.c", &[]),
        (
            "HEAD",
            "www.other.",
            "/?mode=a&t",
            &["x-mode: user", "cookie: a=1; b=2"],
        ),
        (
            "PUT",
            "[::1]",
            "/",
            &["authorization: Basic dTpw", "x-modes: admin"],
        ),
    ] {
        let headers: Vec<Header> = [
            (":method", method),
            (":authority", authority),
            (":path", path),
        ]
        .into_iter()
        .chain(headers.iter().filter_map(|header| header.split_once(": ")))
        .map(|(name, value)| (name.to_owned().into(), value.as_bytes().to_vec()))
        .collect();
        let expected = method != "get" && !path.contains("&t");
        assert_eq!(check::is_let_through(&headers), expected, "{headers:?}");
    }
}

#[test]
fn the_corpus_of_the_fuzzer() {
    type Property = fn(&[u8]);
    let targets: [(&str, Property); 13] = [
        ("token", check::token),
        ("key_set", check::key_set),
        ("discovery", check::discovery),
        ("config", check::config),
        ("path", check::path),
        ("credentials", check::credentials),
        ("request", |bytes| {
            check::request(bytes);
            check::authority(bytes);
        }),
        ("session", check::session),
        ("sealed", check::sealed),
        ("token_reply", check::token_reply),
        ("store_answer", check::store_answer),
        ("ticket", check::ticket),
        ("ended", check::ended),
    ];
    for (target, check) in targets {
        let inputs: Vec<Vec<u8>> = seeds(target).into_iter().chain(found(target)).collect();
        assert!(inputs.len() > 1, "{target}: {}", inputs.len());
        for input in inputs {
            check(&input);
        }
    }
}

/// The inputs of a fuzz target that somebody wrote.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = in_fuzz(&format!("corpus/{target}"));
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
        .collect()
}

/// The inputs of a fuzz target that fuzzing found, where it has been run.
fn found(target: &str) -> Vec<Vec<u8>> {
    let Ok(archive) = File::open(in_fuzz(&format!("found/{target}.tar.gz"))) else {
        return Vec::new();
    };
    let mut archive = tar::Archive::new(GzDecoder::new(archive));
    archive
        .entries()
        .unwrap()
        .map(|entry| {
            let mut input = Vec::new();
            entry.unwrap().read_to_end(&mut input).unwrap();
            input
        })
        .collect()
}

fn in_fuzz(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz")
        .join(path)
}
