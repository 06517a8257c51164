//! What the transport brings: headers of every kind, and paths.

use bearer_gate_testbed::envoy::Listener;
use bearer_gate_testbed::keys::{KeyForm, SigningKey};
use bearer_gate_testbed::raw::{self, RawResponse};
use bearer_gate_testbed::token::{self, Claims};
use serde_json::json;

use crate::requests::routes;
use crate::stage::{Stage, provider};

const PLAIN: &str = r#"Bearer realm="api""#;
const NOT_PARSED: &str =
    "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections";

fn challenge(error: &str, description: &str) -> String {
    format!(r#"{PLAIN}, error="{error}", error_description="{description}""#)
}

/// A stage on which only the requests of [`Bearers::admits`] pass.
struct Bearers {
    stage: Stage,
    good: String,
}

impl Bearers {
    fn start() -> Self {
        let stage = Stage::start(routes);
        let good = stage.idp.good_token();
        Self { stage, good }
    }

    /// `GET` of a private path with these Authorization headers.
    fn get(&self, values: &[&[u8]]) -> RawResponse {
        let headers: Vec<(&str, &[u8])> = values.iter().map(|v| ("Authorization", *v)).collect();
        raw::get(self.stage.address(), "/api/private", &headers).unwrap()
    }

    fn rejects(&self, values: &[&[u8]], status: u16, challenge: &str) {
        let before = self.stage.upstream.requests();
        let reply = self.get(values);
        let what: Vec<_> = values.iter().map(|v| String::from_utf8_lossy(v)).collect();
        assert_eq!(reply.status, status, "{what:?}");
        assert_eq!(
            reply.header("www-authenticate"),
            Some(challenge),
            "{what:?}"
        );
        assert_eq!(self.stage.upstream.requests(), before, "{what:?}");
    }

    /// The good token still passes on every worker, and no VM has trapped.
    fn admits(&self) {
        let before = self.stage.upstream.requests();
        for _ in 0..4 {
            assert_eq!(self.get(&[self.bearer().as_bytes()]).status, 200);
        }
        assert_eq!(self.stage.upstream.requests(), before + 4);
        assert_eq!(self.stage.traps(), 0);
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.good)
    }
}

#[test]
fn a01_no_token() {
    let bearers = Bearers::start();
    bearers.rejects(&[], 401, PLAIN);
    bearers.rejects(&[b""], 401, PLAIN);
    bearers.admits();
}

#[test]
fn a02_two_authorization_headers() {
    let bearers = Bearers::start();
    let bearer = bearers.bearer();
    let bearer = bearer.as_bytes();
    let description = "More than one credential in the request";
    for several in [
        [bearer, bearer],
        [bearer, b"Bearer other"],
        [b"Bearer other", bearer],
        [b"Basic dXNlcjpwYXNz", bearer],
        [bearer, b"Basic dXNlcjpwYXNz"],
    ] {
        bearers.rejects(&several, 400, &challenge("invalid_request", description));
    }
    // The client itself joins the two headers.
    let joined = [bearer, b",", bearer].concat();
    bearers.rejects(&[&joined], 400, &challenge("invalid_request", description));
    bearers.admits();
}

#[test]
fn a04_other_schemes_and_no_value() {
    let bearers = Bearers::start();
    let good = &bearers.good;
    for missing in [
        "Basic dXNlcjpwYXNz",
        "Bearer",
        "Bearer ",
        &format!("xBearer {good}"),
        &format!("Bearer{good}"),
        &format!("Basic x Bearer {good}"),
        good,
    ] {
        bearers.rejects(&[missing.as_bytes()], 401, PLAIN);
    }
    // Some upstreams split at a tab, so it is a token, and a bad one.
    let tab = format!("Bearer\t{good}");
    let bad = challenge(
        "invalid_token",
        "Jwt header is an invalid Base64url encoded",
    );
    bearers.rejects(&[tab.as_bytes()], 401, &bad);
    // The scheme has no case, and one or more spaces follow it.
    for accepted in ["bearer ", "BEARER ", "bEaReR ", "Bearer   "] {
        let value = format!("{accepted}{good}");
        assert_eq!(bearers.get(&[value.as_bytes()]).status, 200, "{accepted}");
    }
    bearers.admits();
}

#[test]
fn a05_bytes_that_are_no_text() {
    let bearers = Bearers::start();
    let bearer = bearers.bearer();
    for (value, description) in [
        (b"Bearer \xff".to_vec(), NOT_PARSED),
        ([b"Bearer ".as_slice(), &[0xff; 100]].concat(), NOT_PARSED),
        (
            [bearer.as_bytes(), b"\xff"].concat(),
            "Jwt signature is an invalid Base64url encoded",
        ),
        (b"Bearer a b".to_vec(), NOT_PARSED),
        (
            b"Bearer \xff.\xfe.\xfd".to_vec(),
            "Jwt header is an invalid Base64url encoded",
        ),
    ] {
        // Often enough to reach each worker.
        for _ in 0..4 {
            bearers.rejects(&[&value], 401, &challenge("invalid_token", description));
        }
    }
    // In headers that the filter does not read, and in names that it removes.
    for name in ["x-other", "x-user", "cookie"] {
        let headers = [(name, &b"\xff\xfe"[..])];
        let reply = raw::get(bearers.stage.address(), "/api/private", &headers).unwrap();
        assert_eq!(reply.status, 401, "{name}");
    }
    bearers.admits();
}

#[test]
fn a06_a_token_over_the_cap() {
    let bearers = Bearers::start();
    let too_long = challenge("invalid_token", "Jwt is too long");
    let long = format!("{}{}", bearers.bearer(), "A".repeat(16 * 1024));
    bearers.rejects(&[long.as_bytes()], 401, &too_long);
    // A token of exactly the longest length is read, and refused for another reason.
    let most = format!("Bearer {}", "A".repeat(16 * 1024));
    bearers.rejects(
        &[most.as_bytes()],
        401,
        &challenge("invalid_token", NOT_PARSED),
    );
    bearers.rejects(&[format!("{most}A").as_bytes()], 401, &too_long);
    bearers.admits();
}

/// Envoy refuses CONNECT itself, unless it is told to let it through as here.
#[test]
fn a07_connect_without_a_path() {
    let stage = Stage::build(
        |_| {},
        |stage, builder| {
            let connect = json!([{"upgrade_type": "CONNECT"}]);
            builder.listener(Listener::wasm("main", routes(stage)).hcm("upgrade_configs", connect))
        },
    );
    let good = stage.idp.good_token();
    let ambiguous = challenge("invalid_request", "The request path is ambiguous");
    for authorization in [String::new(), format!("authorization: Bearer {good}\r\n")] {
        let head = format!(
            "CONNECT example.com:443 HTTP/1.1\r\nhost: example.com:443\r\n{authorization}\r\n"
        );
        let reply = raw::request(stage.address(), head.as_bytes()).unwrap();
        assert_eq!(reply.status, 400);
        assert_eq!(reply.header("www-authenticate"), Some(ambiguous.as_str()));
    }
    let star = "OPTIONS * HTTP/1.1\r\nhost: testbed\r\nconnection: close\r\n\r\n";
    let reply = raw::request(stage.address(), star.as_bytes());
    assert_ne!(reply.map_or(0, |reply| reply.status), 200);
    assert!(stage.counter("bearer_gate.denied.unsafe_path") >= 2);
    assert_eq!(stage.upstream.requests(), 0);
    assert_eq!(stage.traps(), 0);
}

/// The filter fetches neither a key that a token names nor anything from the issuer that it claims.
#[test]
fn a17_nothing_is_fetched_because_a_token_says_so() {
    let bearers = Bearers::start();
    let idp = &bearers.stage.idp;
    bearers.admits();
    let fetched = || {
        let others = idp.metadata_requests() + idp.other_requests() + idp.redirected_requests();
        [idp.jwks_requests(), idp.discovery_requests(), others]
    };
    let before = fetched();
    let stranger = SigningKey::generate();
    let evil = format!("{}/evil", idp.url());
    let brought = stranger.jwk(KeyForm::ModulusAndCertificate);
    let mut header = token::header(idp.key().kid());
    for (name, value) in [
        ("jku", json!(evil)),
        ("x5u", json!(evil)),
        ("jwk", brought.clone()),
        ("x5c", brought["x5c"].clone()),
    ] {
        header[name] = value;
        let forged = token::sign(&stranger, &header, &idp.claims().value());
        bearers.rejects(
            &[format!("Bearer {forged}").as_bytes()],
            401,
            &challenge("invalid_token", "Jwt verification fails"),
        );
    }
    let claims = idp.claims().issuer(&evil).value();
    let forged = token::sign(&stranger, &token::header("evil"), &claims);
    bearers.rejects(
        &[format!("Bearer {forged}").as_bytes()],
        401,
        &challenge("invalid_token", "Jwt issuer is not configured"),
    );
    assert_eq!(fetched(), before);
    bearers.admits();
}

#[test]
fn a24_an_access_token_where_one_is_asked_for() {
    let stage = Stage::start(|stage| {
        let mut config = routes(stage);
        config["providers"]["demo"]["token_type"] = json!("at+jwt");
        config
    });
    let idp = &stage.idp;
    let typed = |typ: &str, claims: &Claims| {
        let mut header = idp.header();
        header["typ"] = json!(typ);
        idp.sign(&header, &claims.value())
    };
    let claims = idp.claims().with("client_id", "c").with("jti", "j");
    let get = |token: &str| {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_bytes())];
        raw::get(stage.address(), "/api/private", &headers).unwrap()
    };
    for typ in ["at+jwt", "application/at+jwt", "AT+JWT"] {
        assert_eq!(get(&typed(typ, &claims)).status, 200, "{typ}");
    }
    for (token, description) in [
        (typed("JWT", &claims), "Jwt header [typ] is not allowed"),
        (idp.token(&claims), "Jwt header [typ] is not allowed"),
        (
            typed("at+jwt", &claims.clone().without("jti")),
            "Jwt payload [jti] field is required",
        ),
        (
            typed("at+jwt", &claims.clone().without("client_id")),
            "Jwt payload [client_id] field is required",
        ),
    ] {
        let reply = get(&token);
        assert_eq!(reply.status, 401);
        assert_eq!(
            reply.header("www-authenticate"),
            Some(challenge("invalid_token", description).as_str())
        );
    }
    assert_eq!(stage.upstream.requests(), 3);
    assert_eq!(stage.counter("bearer_gate.denied.token_type"), 2);
}

/// `/admin` needs a token, `/public` and `/` do not.
fn protected_and_public() -> Stage {
    Stage::start(|stage| {
        json!({
            "providers": {"demo": provider(stage, json!({}))},
            "rules": [
                {"match": {"prefix": "/admin"}, "requires": {"provider_name": "demo"}},
                {"match": {"prefix": "/public"}},
                {"match": {"path": "/"}},
            ],
        })
    })
}

#[test]
fn a29_no_spelling_of_a_protected_path_is_public() {
    let stage = protected_and_public();
    for path in [
        "/public/../admin",
        "/public/%2e%2e/admin",
        "/public/.%2E/admin",
        "//admin",
        "/public/..;/admin",
        "/public/..;x=y/admin",
        "/public/..\\admin",
        "/public\\..\\admin",
        "/public/%2f../admin",
        "/public%2f..%2fadmin",
        "/public/%5c../admin",
        "/public/%252e%252e/admin",
        "/public/..%3b/admin",
        "/public/./../admin",
        "/public//../admin",
        "/%61dmin",
        "/admin;x=y",
        "/admin/",
        "/public/%00/../admin",
        "/public/../../admin",
        "/public/%",
        "/public/%zz",
        "/public\u{7f}",
    ] {
        let reply = raw::get(stage.address(), path, &[]);
        // Envoy itself refuses some of them.
        let status = reply.map_or(400, |reply| reply.status);
        assert!((400..500).contains(&status), "{path}: {status}");
    }
    assert_eq!(stage.upstream.requests(), 0);
    assert_eq!(stage.traps(), 0);
}

#[test]
fn a30_no_header_stands_for_the_path() {
    let stage = protected_and_public();
    for (path, headers) in [
        ("/", [("x-forwarded-uri", &b"/admin"[..])]),
        ("/public/a%20b;v=1", [("x-original-url", b"/admin")]),
    ] {
        assert_eq!(
            raw::get(stage.address(), path, &headers).unwrap().status,
            200,
            "{path}"
        );
    }
    for header in ["x-forwarded-uri", "x-original-url", "x-rewrite-url"] {
        let reply = raw::get(stage.address(), "/admin", &[(header, b"/public")]).unwrap();
        assert_eq!(reply.status, 401, "{header}");
    }
}

/// The client gets a fixed text, whatever is in the token.
#[test]
fn a31_nothing_of_a_token_reaches_a_response() {
    let bearers = Bearers::start();
    let idp = &bearers.stage.idp;
    let evil = "evil\r\nset-cookie: evil=1\r\n\r\nevil";
    let mut tokens = vec![
        idp.token(&idp.claims().issuer(evil)),
        idp.token(&idp.claims().audience(evil)),
        idp.token(&idp.claims().expires_in(-600).subject(evil)),
        idp.token(&idp.claims().with(evil, evil).with("exp", evil)),
    ];
    for name in ["kid", "typ", "alg", "crit", evil] {
        let mut header = idp.header();
        header[name] = json!(evil);
        tokens.push(token::sign(
            &SigningKey::generate(),
            &header,
            &idp.claims().value(),
        ));
    }
    for token in &tokens {
        let reply = bearers.get(&[format!("Bearer {token}").as_bytes()]);
        assert_eq!(reply.status, 401);
        let told = reply.header("www-authenticate").unwrap();
        assert!(told.starts_with(r#"Bearer realm="api", error="invalid_token", "#));
        let whole = format!("{:?} {}", reply.headers, reply.text());
        assert!(!whole.contains("evil"), "{whole}");
    }
    // Not enough scope: the response names the scopes of the rule.
    let scoped = idp.token(
        &idp.claims()
            .scope("evil\\\"\r\nset-cookie: evil=1")
            .subject(evil),
    );
    let bearer = format!("Bearer {scoped}");
    let headers = [("authorization", bearer.as_bytes())];
    let reply = raw::get(bearers.stage.address(), "/api/private-scoped", &headers).unwrap();
    assert_eq!(reply.status, 403);
    let told = challenge(
        "insufficient_scope",
        "Jwt lacks a scope that is required here",
    );
    let told = format!(r#"{told}, scope="read:messages""#);
    assert_eq!(reply.header("www-authenticate"), Some(told.as_str()));
    assert!(!format!("{:?} {}", reply.headers, reply.text()).contains("evil"));
    assert_eq!(bearers.stage.upstream.requests(), 0);
    bearers.admits();
}
