//! Places of tokens that the clients of some protocols have: cookies in chunks, the subprotocol of a
//! WebSocket, the password of Basic; and paths with escaped slashes.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bearer_gate_testbed::browser::Browser;
use bearer_gate_testbed::envoy::{EnvoyBuilder, Listener};
use bearer_gate_testbed::git::{GitServer, REPOSITORY, git, succeed};
use bearer_gate_testbed::python::PythonServers;
use bearer_gate_testbed::raw::{self, RawResponse};
use bearer_gate_testbed::token::base64url;
use bearer_gate_testbed::transports::{Message, Order, Protocol, send_all};
use serde_json::{Value, json};

use crate::odd_forms::cluster;
use crate::stage::{Stage, provider};

const COOKIE: &str = "appSession";
/// As Kubernetes calls it.
const PREFIX: &str = "base64url.bearer.authorization.k8s.io.";

/// One rule for `/api` and a public one for `/public`.
fn config(stage: &Stage, more: Value) -> Value {
    json!({
        "providers": {"demo": provider(stage, more)},
        "rules": [
            {"match": {"prefix": "/public"}},
            {"match": {"prefix": "/api"}, "requires": {"provider_name": "demo"}},
        ],
    })
}

fn get(stage: &Stage, target: &str, headers: &[(&str, &str)]) -> RawResponse {
    let headers: Vec<(&str, &[u8])> = headers
        .iter()
        .map(|(name, value)| (*name, value.as_bytes()))
        .collect();
    raw::get(stage.address(), target, &headers).expect("a response")
}

/// What the upstream saw of a header.
fn seen(answer: &RawResponse, name: &str) -> Vec<String> {
    let answer = answer.json();
    let headers = answer["headers"].as_array().expect("an echo").iter();
    let own = headers.filter(|header| header[0] == name);
    own.map(|header| header[1].as_str().expect("a text").to_owned())
        .collect()
}

fn challenges(answer: &RawResponse) -> Vec<String> {
    let headers = answer.headers.iter();
    let own = headers.filter(|(name, _)| name == "www-authenticate");
    own.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
        .collect()
}

#[test]
fn a03_a_token_in_chunks_of_a_cookie() {
    let more = json!({"from_cookies": [{"name": COOKIE, "chunked": true}]});
    let stage = Stage::start(|stage| config(stage, more));
    let long = "x".repeat(5000);
    let token = stage.idp.token(&stage.idp.claims().with("long", long));
    let (first, second) = token.split_at(3000);
    for line in [
        format!("a=1; {COOKIE}={}; b=2", stage.idp.good_token()),
        format!("a=1; {COOKIE}.0={first}; {COOKIE}.1={second}; b=2"),
        format!("{COOKIE}_1={second}; a=1; {COOKIE}_0={first}; b=2"),
    ] {
        let answer = get(&stage, "/api", &[("cookie", &line)]);
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(seen(&answer, "cookie"), ["a=1; b=2"]);
    }
    let before = stage.upstream.requests();
    let whole = format!("{COOKIE}.0={first}; {COOKIE}.1={second}");
    for (line, status) in [
        ("a=1".to_owned(), 401),
        (format!("{COOKIE}.0={first}"), 401),
        (format!("{COOKIE}.0={second}; {COOKIE}.1={first}"), 401),
        (format!("{COOKIE}.1={second}"), 400),
        (format!("{COOKIE}.1={first}; {COOKIE}.2={second}"), 400),
        (format!("{COOKIE}.0={first}; {COOKIE}_1={second}"), 400),
        (format!("{COOKIE}.0={first}; {COOKIE}.01={second}"), 400),
        (format!("{COOKIE}.0={first}; appsession.1={second}"), 400),
        (format!("{COOKIE}=x; {whole}"), 400),
        (format!("{whole}; {COOKIE}.1=x"), 400),
    ] {
        let answer = get(&stage, "/api", &[("cookie", &line)]);
        assert_eq!(answer.status, status, "{line}: {}", answer.text());
    }
    assert_eq!(stage.upstream.requests(), before);
    assert_eq!(stage.traps(), 0);
}

/// The rules of a registry of packages: what is public, what some may have, and the rest.
fn packages(stage: &Stage) -> Value {
    json!({
        "providers": {"demo": provider(stage, json!({}))},
        "rules": [
            {"match": {"path_separated_prefix": "/npm/@public"}},
            {"match": {"path_separated_prefix": "/npm/@secret"},
             "requires": {"provider_name": "demo"},
             "authorize": {"scopes": {"all": ["secret"]}}},
            {"match": {"path_separated_prefix": "/npm/-/strict"},
             "requires": {"provider_name": "demo"}},
            {"match": {"prefix": "/npm/"}, "requires": {"provider_name": "demo"},
             "escaped_slashes": true},
            {"match": {"prefix": "/"}},
        ],
    })
}

#[test]
fn a29_an_escaped_slash_is_for_the_rule_that_takes_it() {
    let stage = Stage::start(packages);
    let bearer = format!("Bearer {}", stage.idp.good_token());
    let with_token = |target: &str| get(&stage, target, &[("authorization", &bearer)]);
    for target in [
        "/npm/@scope%2Fname",
        "/npm/@scope%2fname/-/x?y=%2F",
        "/npm/a%2Fb%2Fc",
    ] {
        let answer = with_token(target);
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        let path = target.split('?').next().expect("a path");
        assert_eq!(answer.json()["path"], path, "as it was sent");
        let answer = get(&stage, target, &[]);
        assert_eq!(answer.status, 401, "{target}: {}", answer.text());
    }
    let before = stage.upstream.requests();
    for target in [
        // a rule of its own, to an upstream that decodes
        "/npm/@secret%2Fname",
        "/npm%2F@secret/name",
        "/npm/-%2Fstrict",
        "/npm/-/strict%2Fx",
        // a public rule, by one of the readings or by both
        "/npm/@public%2Fname",
        "/npm/@public/a%2Fb",
        "/npm%2Fx",
        "/other%2Fx",
        "/x%2F..%2Fnpm%2Fy",
        // no third reading
        "/npm/a%2Fb%2fc",
        "/npm/-/%73trict%2fx/y%2Fz",
        "/npm/a%2F..%2Fb",
        "/npm/..%2Fb",
        "/npm/a%252Fb",
        "/npm/a%5Cb",
        "/npm/a%2Fb%5cc",
        "/npm/a%2Fb%00",
        "/npm/a%c0%afb",
    ] {
        for answer in [with_token(target), get(&stage, target, &[])] {
            assert_eq!(answer.status, 400, "{target}: {}", answer.text());
        }
    }
    assert_eq!(stage.upstream.requests(), before);
    assert_eq!(stage.traps(), 0);
}

/// An Envoy that lets WebSockets through, over HTTP/2 too.
fn websockets(stage: &Stage, builder: EnvoyBuilder, python: &PythonServers) -> EnvoyBuilder {
    let more = json!({
        "from_headers": [{"name": "authorization", "value_prefix": "Bearer "}],
        "from_subprotocols": [{"prefix": PREFIX, "base64url": true}, {"prefix": "access_token|"}],
    });
    let connects = json!({"allow_connect": true});
    let to = |prefix: &str, cluster: &str| json!({"match": {"prefix": prefix}, "route": {"cluster": cluster}});
    let routes = [
        to("/api/h2", "sockets2"),
        to("/api", "sockets"),
        to("/", "upstream"),
    ];
    let listener = Listener::wasm("main", config(stage, more))
        .hcm("upgrade_configs", json!([{"upgrade_type": "websocket"}]))
        .hcm("http2_protocol_options", connects.clone())
        .hcm(
            "route_config",
            json!({"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]}),
        );
    let hypercorn = python.addresses()["hypercorn"];
    let http2 = json!({"http2_protocol_options": connects});
    builder
        .cluster("sockets", hypercorn)
        .raw_cluster(cluster("sockets2", hypercorn, &http2))
        .listener(listener)
}

/// Opens a WebSocket, says something, and tells what it got: two messages, or why it was closed.
const OPEN: &str = "
    const [url, protocols, done] = arguments;
    const socket = new WebSocket(url, protocols);
    const messages = [];
    socket.onmessage = event => {
        messages.push(event.data);
        if (messages.length == 1) socket.send('hello');
        if (messages.length == 2) done({protocol: socket.protocol, messages});
    };
    socket.onclose = event => done({closed: event.code});
";

#[tokio::test(flavor = "multi_thread")]
async fn a_browsers_websocket_has_its_token_among_the_subprotocols() {
    let python = PythonServers::start();
    let stage = Stage::build(|_| {}, |stage, builder| websockets(stage, builder, &python));
    let browser = Browser::start().await;
    browser.open(&stage.url("/public")).await;
    let url = stage.url("/api/socket").replacen("http", "ws", 1);
    let open = async |protocols: &[&str]| {
        let arguments = vec![json!(url), json!(protocols)];
        let opened = browser.client().execute_async(OPEN, arguments).await;
        opened.expect("a script")
    };
    let token = stage.idp.good_token();
    let encoded = format!("{PREFIX}{}", base64url(&token));
    let plain = format!("access_token|{token}");
    for protocols in [
        [&encoded, "chat", "superchat"],
        ["chat", &encoded, "superchat"],
        ["chat", "superchat", &plain],
    ] {
        let opened = open(&protocols).await;
        assert_eq!(opened["protocol"], "chat", "{opened}");
        assert_eq!(opened["messages"][1], "hello");
        let headers = opened["messages"][0].as_str().expect("headers");
        let headers: Vec<(String, String)> = serde_json::from_str(headers).expect("pairs");
        let offered: Vec<&str> = headers
            .iter()
            .filter(|(name, _)| name == "sec-websocket-protocol")
            .map(|(_, value)| value.as_str())
            .collect();
        assert_eq!(offered, ["chat, superchat"]);
        assert!(!opened.to_string().contains(&token));
    }
    // The same token twice is one.
    let opened = open(&["chat", &encoded, &plain]).await;
    assert_eq!(opened["protocol"], "chat", "{opened}");
    assert!(!opened.to_string().contains(&token));
    let bad = format!("{PREFIX}{}", base64url("a.b.c"));
    let forged = "access_token|a.b.c".to_owned();
    let not_encoded = format!("{PREFIX}{token}");
    for protocols in [
        &["chat"][..],
        &["chat", &bad],
        &["chat", &not_encoded],
        &["chat", &encoded, &forged],
        &["chat", &bad, &plain],
    ] {
        let opened = open(protocols).await;
        assert_eq!(opened["closed"], 1006, "{protocols:?}: {opened}");
    }
    assert_eq!(stage.traps(), 0);
}

/// Envoy hands an extended CONNECT (RFC 8441) to filters as the upgrade that it stands for.
#[test]
fn a03_a_websocket_over_two_versions_of_http() {
    let python = PythonServers::start();
    let stage = Stage::build(|_| {}, |stage, builder| websockets(stage, builder, &python));
    let encoded = format!("{PREFIX}{}", base64url(stage.idp.good_token()));
    let send = |protocols: &[&str]| -> Vec<RawResponse> {
        let mut http1 = Message::get("testbed", "/api/short")
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        let mut http2 = Message::get("testbed", "/api/h2/short").header(":protocol", "websocket");
        http2.method = b"CONNECT".to_vec();
        for message in [&mut http1, &mut http2] {
            let version = (b"sec-websocket-version".to_vec(), b"13".to_vec());
            message.headers.push(version);
            for line in protocols {
                let line = line.as_bytes().to_vec();
                let name = b"sec-websocket-protocol".to_vec();
                message.headers.push((name, line));
            }
        }
        let order = |protocol, message| Order {
            protocol,
            port: stage.address().port(),
            message,
        };
        let orders = [order(Protocol::Http1, http1), order(Protocol::Http2, http2)];
        let answers = send_all(&orders).into_iter();
        answers.map(|answer| answer.expect("an answer")).collect()
    };
    let both = format!("chat, {encoded},superchat");
    for (answer, status) in send(&[&both]).iter().zip([101, 200]) {
        assert_eq!(answer.status, status, "{}", answer.text());
        assert_eq!(answer.header("sec-websocket-protocol"), Some("chat"));
        let told = answer.text();
        assert!(told.contains("chat,superchat"), "{told}");
        assert!(!told.contains(&encoded), "{told}");
    }
    // It was the only one, so there is no such header any more.
    for (answer, status) in send(&[&encoded]).iter().zip([101, 200]) {
        assert_eq!(answer.status, status, "{}", answer.text());
        assert_eq!(answer.header("sec-websocket-protocol"), None);
        assert!(!answer.text().contains("sec-websocket-protocol"));
    }
    let twice = format!("{encoded}, {encoded}");
    let spaced = format!("chat {encoded}");
    for (protocols, status) in [
        (&["chat"][..], 401),
        (&[PREFIX], 401),
        (&[&twice], 400),
        (&[&spaced], 400),
        (&["chat", &encoded], 400),
        (&[&encoded, "chat"], 400),
    ] {
        for answer in send(protocols) {
            assert_eq!(answer.status, status, "{protocols:?}: {}", answer.text());
        }
    }
    assert_eq!(stage.traps(), 0);
}

fn basic(name: &str, password: &str) -> String {
    let credentials = format!("{name}:{password}");
    format!("Basic {}", BASE64_STANDARD.encode(credentials))
}

#[test]
fn a03_a_token_as_the_password_of_basic() {
    let more = json!({"from_basic": {"username": "oauth2"}, "forward": true});
    let stage = Stage::start(|stage| config(stage, more));
    let token = stage.idp.good_token();
    let good = basic("oauth2", &token);
    let answer = get(&stage, "/api", &[("authorization", &good)]);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(seen(&answer, "authorization"), [good.as_str()]);
    let before = stage.upstream.requests();
    let credentials = good.strip_prefix("Basic ").expect("a scheme");
    for (value, status) in [
        (String::new(), 401),
        (format!("Bearer {token}"), 401),
        (basic("oauth2", "secret"), 401),
        (basic("oauth2", &token[1..]), 401),
        (basic("other", &token), 401),
        (basic("", &token), 401),
        (format!("Basic {credentials}!"), 401),
        (format!("Basic *{credentials}"), 401),
        (format!("Basic {credentials}="), 401),
        (format!("Basic\t{credentials}"), 401),
        (format!("{good},Basic x"), 400),
        (format!("{good},Bearer {token}"), 400),
    ] {
        let answer = get(&stage, "/api", &[("authorization", &value)]);
        assert_eq!(answer.status, status, "{value}: {}", answer.text());
        if status == 401 {
            assert_eq!(challenges(&answer), [r#"Basic realm="api""#], "{value}");
        }
    }
    assert_eq!(stage.upstream.requests(), before);
    assert_eq!(stage.traps(), 0);
}

/// Bearer would be of no use there, and Basic has no errors.
#[test]
fn basic_alone_has_a_challenge_in_a_401_only() {
    let stage = Stage::start(|stage| {
        let mut config = config(stage, json!({"from_basic": {}}));
        let rule = &mut config["rules"][1];
        rule["authorize"] = json!({"scopes": {"all": ["read:messages"]}});
        config
    });
    let token = stage.idp.good_token();
    let twice = format!("{}, Basic x", basic("x", &token));
    for (value, status, expected) in [
        (basic("x", "secret"), 401, &[r#"Basic realm="api""#][..]),
        (basic("x", &token), 403, &[]),
        (twice, 400, &[]),
    ] {
        let answer = get(&stage, "/api", &[("authorization", &value)]);
        assert_eq!(answer.status, status, "{}", answer.text());
        assert_eq!(challenges(&answer), expected, "{status}");
    }
}

#[test]
fn git_clones_and_pushes_with_a_token_as_its_password() {
    let server = GitServer::start();
    let more = json!({
        "from_headers": [{"name": "authorization", "value_prefix": "Bearer "}],
        "from_basic": {},
    });
    let stage = Stage::build(
        |_| {},
        |stage, builder| {
            let mut config = config(stage, more);
            let demo = json!({"provider_name": "demo"});
            config["rules"] = json!([{"match": {"prefix": "/"}, "requires": demo}]);
            let listener = Listener::wasm("main", config).route_to("git");
            builder.cluster("git", server.address()).listener(listener)
        },
    );
    let url = |password: &str| {
        let port = stage.address().port();
        format!("http://x-token:{password}@127.0.0.1:{port}/{REPOSITORY}")
    };
    let good = url(&stage.idp.good_token());
    let listed = succeed(git(server.folder()).args(["ls-remote", &good]));
    assert!(String::from_utf8_lossy(&listed.stdout).contains("refs/heads/main"));
    succeed(git(server.folder()).args(["clone", "-q", &good, "clone"]));
    let clone = server.folder().join("clone");
    let hello = std::fs::read_to_string(clone.join("hello")).expect("a file");
    assert_eq!(hello, "hello\n");
    succeed(git(&clone).args(["commit", "-q", "--allow-empty", "-m", "more"]));
    succeed(git(&clone).args(["push", "-q", "origin", "HEAD:main"]));

    let expired = stage.idp.token(&stage.idp.claims().expires_in(-600));
    for password in ["secret", &expired] {
        let mut command = git(server.folder());
        let refused = command.args(["ls-remote", &url(password)]).output();
        let refused = refused.expect("git");
        let error = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success());
        assert!(error.contains("Authentication failed"), "{error}");
    }
    // Who has no token is told of both ways to send one, each in a line of its own.
    let both = [r#"Bearer realm="api""#, r#"Basic realm="api""#];
    assert_eq!(challenges(&get(&stage, "/", &[])), both);
    assert_eq!(stage.traps(), 0);
}
