//! Each deliberate difference by itself: both answers, from one Envoy.

use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use bearer_gate::config::Config;
use bearer_gate_testbed::token::now;
use serde_json::{Value, json};

use crate::bench::{Answer, Bench, Keys, Side};
use crate::request::{Part, Request};
use crate::token::{POOL, PoolKey};

pub(crate) const ISSUER: &str = "https://issuer.example/";
pub(crate) const AUDIENCE: &str = "https://api.example.com";

/// The running Envoy of these tests. It starts with the first of them and ends with the last that
/// holds it.
pub(crate) fn stage() -> Arc<Bench> {
    static RUNNING: Mutex<Weak<Bench>> = Mutex::new(Weak::new());
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    running.upgrade().unwrap_or_else(|| {
        let bench = Arc::new(start());
        *running = Arc::downgrade(&bench);
        bench
    })
}

/// Everything under /api needs a token of the one provider; no rule is for the rest.
fn start() -> Bench {
    let keys = Keys::start();
    let remote = keys.remote();
    let lenient = json!({"require_expiration": false});
    let pairs = [
        // As it is pasted, so with bearer-gate's own defaults.
        ("pasted", json!({}), json!({})),
        ("lenient", json!({}), lenient.clone()),
        ("no-skew", json!({"clock_skew_seconds": 0}), lenient.clone()),
        (
            "without-keys",
            json!({
                "local_jwks": null,
                "remote_jwks": {
                    "http_uri": {"uri": "http://nowhere.example/", "cluster": "nowhere", "timeout": "1s"},
                },
            }),
            lenient.clone(),
        ),
        (
            "fetched-keys",
            json!({
                "local_jwks": null,
                "remote_jwks": {
                    "http_uri": {"uri": remote.uri, "cluster": remote.cluster, "timeout": "5s"},
                },
            }),
            lenient.clone(),
        ),
        (
            "mixed-keys",
            json!({"local_jwks": {"inline_string": keys_without("alg", &["ed-a"], &["rsa-b"])}}),
            lenient.clone(),
        ),
        (
            "nameless-key",
            json!({"local_jwks": {"inline_string": keys_without("kid", &["ec-b"], &["ec-a"])}}),
            lenient.clone(),
        ),
        (
            "unbound-key",
            json!({"local_jwks": {"inline_string": keys_without("alg", &["rsa-a", "rsa-b"], &[])}}),
            lenient,
        ),
    ];
    let mut listeners = Vec::new();
    for (name, provider, addition) in pairs {
        let native = configuration(provider);
        let mut gate = native.clone();
        merge(&mut gate["providers"]["one"], addition);
        listeners.push((name.to_owned(), Side::JwtAuthn, native));
        listeners.push((name.to_owned(), Side::BearerGate, gate));
    }
    let more = crate::combined::pairs().into_iter();
    for (name, native) in more.chain(crate::certificates::pairs()) {
        listeners.push((name.to_owned(), Side::JwtAuthn, native.clone()));
        listeners.push((name.to_owned(), Side::BearerGate, native));
    }
    // bearer-gate would not start with these.
    for (name, field) in [("no-issuer", "issuer"), ("no-audiences", "audiences")] {
        let native = configuration(json!({ field: null }));
        listeners.push((name.to_owned(), Side::JwtAuthn, native));
    }
    Bench::start(keys, listeners)
}

pub(crate) fn configuration(more: Value) -> Value {
    let mut provider = json!({
        "issuer": ISSUER,
        "audiences": [AUDIENCE],
        "local_jwks": {"inline_string": json!({"keys": [key("ec-a").jwk]}).to_string()},
        "claim_to_headers": [
            {"header_name": "x-user", "claim_name": "sub"},
            {"header_name": "x-value", "claim_name": "value"},
        ],
    });
    merge(&mut provider, more);
    json!({
        "providers": {"one": provider},
        "rules": [
            {"match": {"prefix": "/api"}, "requires": {"provider_name": "one"}},
            {"match": {"prefix": "/public"}},
            {"match": {"prefix": "/moded", "headers": [{"name": "x-mode", "exact_match": "open"}]}},
        ],
    })
}

/// Sets members; `null` takes one away.
pub(crate) fn merge(into: &mut Value, more: Value) {
    let Value::Object(more) = more else {
        panic!("an object");
    };
    for (name, value) in more {
        match value {
            Value::Null => drop(into.as_object_mut().expect("an object").remove(&name)),
            value => into[name] = value,
        }
    }
}

pub(crate) fn key(kid: &str) -> &'static PoolKey {
    static KEYS: LazyLock<&[PoolKey]> = LazyLock::new(|| &POOL);
    KEYS.iter()
        .find(|key| key.kid == kid)
        .expect("a key of the pool")
}

/// A set of some keys without a member, and others as they are.
fn keys_without(member: &str, without: &[&str], with: &[&str]) -> String {
    let mut keys: Vec<Value> = without.iter().map(|kid| key(kid).jwk.clone()).collect();
    for jwk in &mut keys {
        merge(jwk, json!({ member: null }));
    }
    keys.extend(with.iter().map(|kid| key(kid).jwk.clone()));
    json!({"keys": keys}).to_string()
}

/// A good token but for these claims; `null` takes one away.
pub(crate) fn token(claims: Value) -> String {
    token_with(json!({}), claims)
}

fn token_with(header: Value, claims: Value) -> String {
    let mut full_header = json!({"alg": "ES256", "typ": "JWT", "kid": "ec-a"});
    merge(&mut full_header, header);
    let mut full = json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "iat": now() - 10, "exp": now() + 600,
    });
    merge(&mut full, claims);
    key("ec-a").token(&full_header.to_string(), &full.to_string())
}

fn bearer(token: &str) -> Request {
    Request::get("/api", &[("authorization", &format!("Bearer {token}"))])
}

/// Status and reason, an empty one where the request was admitted.
pub(crate) type StatusAndReason = (u16, &'static str);

pub(crate) const ADMITTED: StatusAndReason = (200, "");

#[track_caller]
pub(crate) fn shows(
    pair: &str,
    request: &Request,
    native: StatusAndReason,
    gate: StatusAndReason,
) -> [Answer; 2] {
    let stage = stage();
    let answers = stage.ask_both(pair, request);
    for (answer, expected, side) in [
        (&answers[0], native, "jwt_authn"),
        (&answers[1], gate, "bearer-gate"),
    ] {
        assert_eq!(
            (answer.status, answer.reason.as_str()),
            expected,
            "{side}: {request:?}"
        );
    }
    answers
}

/// The values of a header, as the upstream saw it.
pub(crate) fn seen(answer: &Answer, name: &str) -> Vec<String> {
    let seen = answer.seen.as_ref().expect("an admitted request");
    let headers = seen.headers.iter().filter(|(known, _)| known == name);
    headers.map(|(_, value)| value.clone()).collect()
}

#[test]
fn what_both_agree_on() {
    shows("pasted", &bearer(&token(json!({}))), ADMITTED, ADMITTED);
    let missing = (401, "Jwt is missing");
    shows("pasted", &Request::get("/api", &[]), missing, missing);
    shows("pasted", &Request::get("/public", &[]), ADMITTED, ADMITTED);
}

#[test]
fn unmatched_is_denied() {
    let request = Request::get("/nowhere", &[]);
    shows(
        "pasted",
        &request,
        ADMITTED,
        (403, "No rule allows this request"),
    );
}

#[test]
fn expiration_is_required() {
    let request = bearer(&token(json!({"exp": null})));
    shows(
        "pasted",
        &request,
        ADMITTED,
        (401, "Jwt payload [exp] field is required"),
    );
    shows("lenient", &request, ADMITTED, ADMITTED);
}

#[test]
fn issuer_and_audiences_are_required() {
    for (pair, field, text) in [
        (
            "no-issuer",
            "issuer",
            "required (or issuers, trust_domain, or any_issuer: true)",
        ),
        (
            "no-audiences",
            "audiences",
            "required (or any_audience: true)",
        ),
    ] {
        let token = token(json!({"iss": null, "aud": null}));
        let answer = stage().ask(pair, Side::JwtAuthn, &bearer(&token));
        let what_is_left = match field {
            "issuer" => "Audiences in Jwt are not allowed",
            _ => "Jwt issuer is not configured",
        };
        assert_eq!(answer.reason, what_is_left);

        let pasted = configuration(json!({ field: null })).to_string();
        let refused = Config::parse(pasted.as_bytes()).unwrap_err();
        assert_eq!(
            refused.to_string(),
            format!("providers.one.{field}: {text}")
        );
    }
}

#[test]
fn wrong_audience_is_unauthorized() {
    let request = bearer(&token(json!({"aud": "https://elsewhere.example"})));
    let text = "Audiences in Jwt are not allowed";
    shows("pasted", &request, (403, text), (401, text));
}

#[test]
fn audience_is_exact() {
    for audience in [
        "http://api.example.com",
        "https://api.example.com/",
        "api.example.com",
    ] {
        let request = bearer(&token(json!({"aud": audience})));
        shows(
            "pasted",
            &request,
            ADMITTED,
            (401, "Audiences in Jwt are not allowed"),
        );
    }
}

#[test]
fn no_query_parameter_by_default() {
    let mut request = Request::get("/api", &[]);
    request
        .parts
        .push(Part::Query(format!("access_token={}", token(json!({})))));
    shows("pasted", &request, ADMITTED, (401, "Jwt is missing"));

    // What is not looked at does no harm either.
    let mut request = bearer(&token(json!({})));
    request
        .parts
        .push(Part::Query("access_token=garbage".to_owned()));
    let text = "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections";
    shows("pasted", &request, (401, text), ADMITTED);
}

#[test]
fn scheme_without_case() {
    for scheme in ["bearer", "BEARER"] {
        let value = format!("{scheme} {}", token(json!({})));
        let request = Request::get("/api", &[("authorization", &value)]);
        shows("pasted", &request, (401, "Jwt is missing"), ADMITTED);
    }
}

#[test]
fn scheme_at_the_start() {
    for before in ["Basic dTpw ", "x"] {
        let value = format!("{before}Bearer {}", token(json!({})));
        let request = Request::get("/api", &[("authorization", &value)]);
        shows("pasted", &request, ADMITTED, (401, "Jwt is missing"));
    }
}

#[test]
fn leading_character() {
    let request = bearer(&format!("!{}", token(json!({}))));
    shows(
        "pasted",
        &request,
        ADMITTED,
        (401, "Jwt header is an invalid Base64url encoded"),
    );
}

#[test]
fn several_tokens() {
    let good = format!("Bearer {}", token(json!({})));
    let several = (400, "More than one credential in the request");
    // Envoy joins the lines with a comma.
    let request = Request::get(
        "/api",
        &[("authorization", "Basic dTpw"), ("authorization", &good)],
    );
    shows("pasted", &request, ADMITTED, several);
    let request = Request::get(
        "/api",
        &[("authorization", &good), ("authorization", &good)],
    );
    let text = "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections";
    shows("pasted", &request, (401, text), several);
}

#[test]
fn padding() {
    // Of the signature alone, for what was signed is without.
    let padded = format!("{}==", token(json!({})));
    let text = "Jwt signature is an invalid Base64url encoded";
    shows("lenient", &bearer(&padded), ADMITTED, (401, text));
}

#[test]
fn critical_header() {
    let header = json!({"crit": ["urn:example:unknown"], "urn:example:unknown": 1});
    let request = bearer(&token_with(header, json!({})));
    shows(
        "pasted",
        &request,
        ADMITTED,
        (401, "Jwt header [crit] is not supported"),
    );
}

#[test]
fn issued_in_the_future() {
    let request = bearer(&token(json!({"iat": now() + 300})));
    shows(
        "pasted",
        &request,
        ADMITTED,
        (401, "Jwt is issued in the future"),
    );
    let within_the_skew = bearer(&token(json!({"iat": now() + 30})));
    shows("pasted", &within_the_skew, ADMITTED, ADMITTED);
}

#[test]
fn sender_constrained() {
    let request = bearer(&token(json!({"cnf": {"jkt": "x"}})));
    shows(
        "pasted",
        &request,
        ADMITTED,
        (401, "Jwt is sender-constrained"),
    );
}

#[test]
fn zero_expiration() {
    let request = bearer(&token(json!({"exp": 0})));
    shows("lenient", &request, ADMITTED, (401, "Jwt is expired"));
}

#[test]
fn skew_of_zero() {
    let request = bearer(&token(json!({"exp": now() - 20})));
    shows("no-skew", &request, ADMITTED, (401, "Jwt is expired"));
}

#[test]
fn keys_of_other_kinds() {
    let header = json!({"alg": "PS256"}).to_string();
    let claims = json!({"iss": ISSUER, "aud": AUDIENCE, "exp": now() + 600}).to_string();
    let request = bearer(&key("rsa-b").token(&header, &claims));
    let text = "Jwt ED25519 signature is wrong length";
    shows("mixed-keys", &request, (401, text), ADMITTED);
}

#[test]
fn named_key_only() {
    let claims = json!({"iss": ISSUER, "aud": AUDIENCE, "exp": now() + 600}).to_string();
    let by_the_other = |kid: &str| {
        let header = json!({"alg": "ES256", "kid": kid}).to_string();
        bearer(&key("ec-b").token(&header, &claims))
    };
    let failed = (401, "Jwt verification fails");
    shows("nameless-key", &by_the_other("ec-a"), ADMITTED, failed);
    // Where no key has the name, both try those without one.
    shows("nameless-key", &by_the_other("nobody"), ADMITTED, ADMITTED);
}

#[test]
fn algorithm_is_bound() {
    let claims = json!({"iss": ISSUER, "aud": AUDIENCE, "exp": now() + 600}).to_string();
    let by = |kid: &str, algorithm: &str| {
        let header = json!({"alg": algorithm, "kid": kid}).to_string();
        bearer(&key(kid).token(&header, &claims))
    };
    shows("unbound-key", &by("rsa-a", "RS256"), ADMITTED, ADMITTED);
    let no_key = (401, "Jwks doesn't have key to match kid or alg from Jwt");
    shows("unbound-key", &by("rsa-b", "PS256"), ADMITTED, no_key);
}

#[test]
fn keys_that_cannot_be_had() {
    let request = bearer(&token(json!({})));
    let text = "Jwks remote fetch is failed";
    shows("without-keys", &request, (401, text), (503, text));
    let expired = bearer(&token(json!({"exp": 1})));
    let text = "Jwt is expired";
    shows("without-keys", &expired, (401, text), (401, text));
}

#[test]
fn unknown_kid() {
    // One Envoy from the first request to the last.
    let _stage = stage();
    let good = bearer(&token(json!({})));
    shows("fetched-keys", &good, ADMITTED, ADMITTED);
    let unknown = bearer(&token_with(json!({"kid": "nobody"}), json!({})));
    let nowhere = (401, "Jwks doesn't have key to match kid or alg from Jwt");
    // Two fetches may follow each other; then the answer is not certain for a while.
    for _ in 0..2 {
        shows("fetched-keys", &unknown, nowhere, nowhere);
    }
    let unavailable = (503, "Jwks remote fetch is failed");
    shows("fetched-keys", &unknown, nowhere, unavailable);
    let both = token_with(json!({"kid": "nobody"}), json!({"iss": "other"}));
    let other = (401, "Jwt issuer is not configured");
    shows("fetched-keys", &bearer(&both), other, other);
}

#[test]
fn unsafe_path() {
    for path in [
        "/public/../api",
        "/public/%2e%2e/api",
        "/public%2fapi",
        "//api",
        "/public/..;/api",
    ] {
        let request = Request::get(path, &[]);
        shows(
            "pasted",
            &request,
            ADMITTED,
            (400, "The request path is ambiguous"),
        );
    }
}

#[test]
fn several_readings() {
    let lines = [("x-mode", "open"), ("x-mode", "shut")];
    let request = Request::get("/moded", &lines);
    let refused = (400, "A request header is ambiguous");
    shows("pasted", &request, ADMITTED, refused);
    let request = Request::get("/moded", &lines[..1]);
    shows("pasted", &request, ADMITTED, ADMITTED);
}

#[test]
fn normal_path() {
    for path in ["/%61pi", "/public/%61pi", "/api;v=1", "/public//x"] {
        let request = Request::get(path, &[]);
        let missing = (401, "Jwt is missing");
        let (native, gate) = match path {
            "/%61pi" => (ADMITTED, missing),
            "/api;v=1" => (missing, missing),
            _ => (ADMITTED, ADMITTED),
        };
        shows("pasted", &request, native, gate);
    }
}

#[test]
fn odd_claims() {
    for (value, native, gate) in [
        (
            json!(9_007_199_254_740_993_u64),
            Some("9007199254740992"),
            Some("9007199254740993"),
        ),
        (
            json!(1e30),
            Some("1000000000000000019884624838656.000000"),
            None,
        ),
        // The connection trims what it is given.
        (json!(" a "), Some("a"), None),
        (json!("a\tb"), Some("a\tb"), None),
        // alike
        (json!(1.5), Some("1.500000"), Some("1.500000")),
        (json!(-3), Some("-3.000000"), Some("-3.000000")),
        (json!(""), None, None),
        (
            json!(["a", "b"]),
            Some("WyJhIiwiYiJd"),
            Some("WyJhIiwiYiJd"),
        ),
        (json!({"a": 1}), Some("eyJhIjoxfQ=="), Some("eyJhIjoxfQ==")),
        (json!(5), Some("5"), Some("5")),
        (json!(true), Some("true"), Some("true")),
        (json!(null), None, None),
    ] {
        // merge() takes null for absence; here it is the value.
        let answers = shows("pasted", &with_value(&value), ADMITTED, ADMITTED);
        for (answer, expected) in answers.iter().zip([native, gate]) {
            let expected: Vec<String> = expected.map(str::to_owned).into_iter().collect();
            assert_eq!(seen(answer, "x-value"), expected, "{value}");
        }
    }
    // A header that cannot be sent: the request fails on its way to the upstream.
    let [native, gate] = stage().ask_both("pasted", &with_value(&json!("a\u{1}b")));
    assert_eq!((native.status, gate.status), (503, 200));
    assert_eq!(seen(&gate, "x-value"), [""; 0]);
}

fn with_value(value: &Value) -> Request {
    let text = format!(
        r#"{{"value":{value},"iss":"{ISSUER}","aud":"{AUDIENCE}","exp":{}}}"#,
        now() + 600
    );
    bearer(&key("ec-a").token(r#"{"alg":"ES256","kid":"ec-a"}"#, &text))
}

#[test]
fn forged_headers_with_underscores() {
    let request = Request::get("/public", &[("x-user", "forged"), ("x_user", "forged")]);
    let [native, gate] = shows("pasted", &request, ADMITTED, ADMITTED);
    assert_eq!(
        (seen(&native, "x-user").len(), seen(&native, "x_user").len()),
        (0, 1)
    );
    assert_eq!(
        (seen(&gate, "x-user").len(), seen(&gate, "x_user").len()),
        (0, 0)
    );
}

/// Not a difference, though only one of them means it: a first and a second value could be read by
/// the filter and by the upstream.
#[test]
fn duplicate_members_are_refused_by_both() {
    let header = r#"{"alg":"ES256","kid":"ec-a"}"#;
    let claims = |more: &str| {
        let exp = now() + 600;
        format!(r#"{{"iss":"{ISSUER}","aud":"{AUDIENCE}","exp":{exp}{more}}}"#)
    };
    let ask = |header: &str, claims: &str, expected| {
        let request = bearer(&key("ec-a").token(header, claims));
        shows("pasted", &request, expected, expected);
    };
    ask(header, &claims(""), ADMITTED);
    let payload = (401, "Jwt payload is an invalid JSON");
    ask(header, &claims(r#","sub":"a","sub":"b""#), payload);
    ask(header, &claims(r#","value":[{"a":1,"a":2}]"#), payload);
    let twice = r#"{"alg":"ES256","kid":"x","kid":"ec-a"}"#;
    ask(twice, &claims(""), (401, "Jwt header is an invalid JSON"));
}
