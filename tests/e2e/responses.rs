//! The answers to rejected clients, as they are configured.

use std::time::Duration;

use bearer_gate_testbed::envoy::{Filter, Listener, Wasm};
use bearer_gate_testbed::eventually;
use bearer_gate_testbed::http::{self, Reply};
use bearer_gate_testbed::idp::Fault;
use bearer_gate_testbed::raw::{self, RawConnection};
use serde_json::{Value, json};

use crate::stage::{Stage, merge, provider};

/// A plugin of its own in the VM that all share.
fn listener(name: &str, configuration: Value) -> Listener {
    Listener::new(name).filter(Filter::Wasm(Wasm {
        name: name.to_owned(),
        ..Wasm::new(configuration)
    }))
}

/// Routes for each kind of rejection, with `more` at the top level.
fn routes(stage: &Stage, more: Value) -> Value {
    let token = |prefix: &str, provider: &str| json!({"match": {"prefix": prefix}, "requires": {"provider_name": provider}});
    let mut scoped = token("/scoped", "demo");
    scoped["authorize"] = json!({"scopes": {"all": ["nobody:has-this"]}});
    let mut claims = token("/claims", "demo");
    claims["authorize"] = json!({"claims": [{"path": ["role"], "equals": "admin"}]});
    let mut config = json!({
        "providers": {
            "demo": provider(stage, json!({})),
            "down": provider(stage, json!({"remote_jwks": {"http_uri": {"cluster": "nowhere"}}})),
        },
        "rules": [
            {"match": {"prefix": "/public"}},
            scoped,
            claims,
            token("/down", "down"),
            token("/api", "demo"),
        ],
    });
    merge(&mut config, more);
    config
}

fn stage(listeners: impl FnOnce(&Stage) -> Vec<Listener>) -> Stage {
    Stage::build(
        |_| {},
        |stage, builder| {
            let builder = builder.empty_cluster("nowhere");
            listeners(stage)
                .into_iter()
                .fold(builder, |builder, listener| builder.listener(listener))
        },
    )
}

async fn get(stage: &Stage, listener: &str, target: &str, token: Option<&str>) -> Reply {
    let url = stage.envoy().url_of(listener, target);
    match token {
        Some(token) => stage.client.get_with(&url, token).await,
        None => stage.client.get(&url).await,
    }
}

#[tokio::test]
async fn bodies_have_the_configured_form() {
    let stage = stage(|stage| {
        let with = |errors: Value| routes(stage, json!({"errors": errors}));
        let mut listeners: Vec<_> = ["json", "text", "problem"]
            .map(|format| listener(format, with(json!({"format": format}))))
            .into();
        for (name, format) in [("json-reason", "json"), ("problem-reason", "problem")] {
            let errors = json!({"format": format, "include_reason": true});
            listeners.push(listener(name, with(errors)));
        }
        listeners
    });
    let good = stage.idp.good_token();
    assert_eq!(get(&stage, "json", "/api", Some(&good)).await.status, 200);
    let table = [
        (
            "/api",
            None,
            401,
            "Unauthorized",
            "unauthorized",
            "Jwt is missing",
            "token_missing",
        ),
        (
            "/scoped",
            Some(good.as_str()),
            403,
            "Forbidden",
            "insufficient_scope",
            "Jwt lacks a scope that is required here",
            "insufficient_scope",
        ),
        (
            "/down",
            Some(good.as_str()),
            503,
            "Service Unavailable",
            "temporarily_unavailable",
            "Jwks remote fetch is failed",
            "keys_unavailable",
        ),
    ];
    for (target, token, status, title, error, text, reason) in table {
        let json = get(&stage, "json", target, token).await;
        let plain = get(&stage, "text", target, token).await;
        let problem = get(&stage, "problem", target, token).await;
        assert_eq!(
            json.json(),
            json!({"error": error, "error_description": text})
        );
        assert_eq!(plain.body, text);
        assert_eq!(
            problem.json(),
            json!({"type": "about:blank", "title": title, "status": status, "detail": text, "error": error})
        );
        for (with_reason, plain) in [("json-reason", &json), ("problem-reason", &problem)] {
            let mut expected = plain.json();
            expected["reason"] = json!(reason);
            let full = get(&stage, with_reason, target, token).await;
            assert_eq!(full.json(), expected);
            assert_eq!(full.header("content-type"), plain.header("content-type"));
        }
        for (reply, content_type) in [
            (&json, "application/json"),
            (&plain, "text/plain"),
            (&problem, "application/problem+json"),
        ] {
            assert_eq!(reply.status, status, "{target}");
            assert_eq!(reply.header("content-type"), Some(content_type), "{target}");
            assert_eq!(reply.header("cache-control"), Some("no-store"));
            assert_eq!(reply.challenge(), json.challenge());
            assert_eq!(reply.header("retry-after").is_some(), status == 503);
        }
    }
    assert_eq!(stage.upstream.requests(), 1);
    assert_eq!(stage.traps(), 0);
}

#[tokio::test]
async fn statuses_and_bodies_are_configured_by_reason() {
    let page = "<p>Sign in at <a href=\"https://login.example.com/\">login</a>, please \u{2014} \u{e9}</p>";
    let html = "text/html; charset=utf-8";
    let stage = stage(|stage| {
        let errors = json!({"errors": {"by_reason": {
            "token_missing": {"body": page, "content_type": html},
            "invalid_token": {"status": 403, "body": "{\"code\": 7}"},
            "expired": {"status": 401},
            "no_rule": {"status": 404, "body": ""},
            "claim_rule": {"status": 404},
            "temporarily_unavailable": {"status": 500},
        }}});
        vec![listener("main", routes(stage, errors))]
    });
    let idp = &stage.idp;
    let good = idp.good_token();
    let expired = idp.token(&idp.claims().expires_in(-100));
    assert_eq!(get(&stage, "main", "/api", Some(&good)).await.status, 200);

    let reply = get(&stage, "main", "/api", None).await;
    assert_eq!((reply.status, reply.body.as_str()), (401, page));
    assert_eq!(reply.header("content-type"), Some(html));
    assert_eq!(reply.challenge(), Some(r#"Bearer realm="api""#));

    let reply = get(&stage, "main", "/api", Some("rubbish")).await;
    assert_eq!((reply.status, reply.body.as_str()), (403, "{\"code\": 7}"));
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let challenge = reply.challenge().unwrap();
    assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");

    // An entry of its own takes the whole place of the one for its error.
    let reply = get(&stage, "main", "/api", Some(&expired)).await;
    assert_eq!(reply.status, 401);
    assert_eq!(reply.json()["error_description"], "Jwt is expired");
    assert!(reply.challenge().unwrap().contains("Jwt is expired"));

    let reply = get(&stage, "main", "/elsewhere", Some(&good)).await;
    assert_eq!((reply.status, reply.body.as_str()), (404, ""));
    assert_eq!(
        (reply.challenge(), reply.header("content-type")),
        (None, None)
    );

    let reply = get(&stage, "main", "/claims", Some(&good)).await;
    assert_eq!((reply.status, reply.challenge()), (404, None));
    assert_eq!(reply.json()["error"], "insufficient_scope");
    let reply = get(&stage, "main", "/scoped", Some(&good)).await;
    assert_eq!(reply.status, 403, "only claim_rule was changed");

    let reply = get(&stage, "main", "/down", Some(&good)).await;
    assert_eq!(reply.status, 500);
    assert!(reply.header("retry-after").is_some());

    assert_eq!(stage.upstream.requests(), 1);
    assert_eq!(stage.counter("bearer_gate.denied.expired"), 1);
    assert_eq!(stage.traps(), 0);
}

/// The answers are those of the real jwt_authn beside it.
#[tokio::test]
async fn stripped_rejections_have_a_status_only() {
    let stage = stage(|stage| {
        let routes = |more| routes(stage, more);
        let native = json!({
            "providers": {"demo": provider(stage, json!({}))},
            "rules": [{"match": {"prefix": "/api"}, "requires": {"provider_name": "demo"}}],
            "strip_failure_response": true,
        });
        vec![
            listener("stripped", routes(json!({"strip_failure_response": true}))),
            listener("whole", routes(json!({"strip_failure_response": false}))),
            Listener::jwt_authn("native", native),
        ]
    });
    let good = stage.idp.good_token();
    assert_eq!(
        get(&stage, "stripped", "/api", Some(&good)).await.status,
        200
    );
    for (target, token, status) in [
        ("/api", None, 401),
        ("/api", Some("rubbish"), 401),
        ("/scoped", Some(good.as_str()), 403),
        ("/down", Some(good.as_str()), 503),
    ] {
        let whole = get(&stage, "whole", target, token).await;
        assert_eq!(whole.status, status);
        assert_ne!(whole.body, "");
        let stripped = get(&stage, "stripped", target, token).await;
        assert_eq!((stripped.status, stripped.body.as_str()), (status, ""));
        assert_eq!(
            stripped.header("content-length"),
            whole.header("content-length").map(|_| "0")
        );
        for name in ["www-authenticate", "content-type"] {
            assert_eq!(stripped.header(name), None, "{target}");
        }
        for name in ["retry-after", "cache-control"] {
            assert_eq!(stripped.header(name), whole.header(name), "{target}");
        }
        if target == "/api" {
            let native = get(&stage, "native", target, token).await;
            assert_eq!((native.status, native.body.as_str()), (status, ""));
            assert_eq!(native.challenge(), None);
        }
    }
    assert_eq!(stage.traps(), 0);
}

#[tokio::test]
async fn grpc_clients_get_a_status_and_the_fixed_text() {
    let stage = stage(|stage| {
        let errors = json!({"errors": {"format": "problem", "by_reason": {
            "token_missing": {"body": "x".repeat(16_000), "content_type": "text/html"},
            "invalid_token": {"status": 403},
            "no_rule": {"status": 404, "body": "{}"},
            "several_tokens": {"status": 429},
            "keys_unavailable": {"body": ""},
            "claim_rule": {"status": 418},
        }}});
        vec![
            listener("plain", routes(stage, json!({}))),
            listener("custom", routes(stage, errors)),
            listener(
                "stripped",
                routes(stage, json!({"strip_failure_response": true})),
            ),
        ]
    });
    let good = stage.idp.good_token();
    assert_eq!(get(&stage, "plain", "/api", Some(&good)).await.status, 200);
    let call = async |listener: &str, target: &str, tokens: &[&str]| {
        let url = stage.envoy().url_of(listener, target);
        let request = stage.client.request(reqwest::Method::POST, &url);
        let request = tokens.iter().fold(request, |request, token| {
            request.header("authorization", format!("Bearer {token}"))
        });
        http::send(request.header("content-type", "application/grpc+proto")).await
    };
    let good = [good.as_str()];
    // (target, tokens, gRPC status: plain, customised; text)
    let table: [(&str, &[&str], _, _, _); 7] = [
        ("/api", &[], "16", "16", "Jwt is missing"),
        (
            "/api",
            &["a.b.c"],
            "16",
            "7",
            "Jwt header is an invalid Base64url encoded",
        ),
        (
            "/api",
            &["a.b.c", "a.b.c"],
            "13",
            "14",
            "More than one credential in the request",
        ),
        (
            "/scoped",
            &good,
            "7",
            "7",
            "Jwt lacks a scope that is required here",
        ),
        ("/claims", &good, "7", "2", "Claims in Jwt are not allowed"),
        ("/none", &good, "7", "12", "No rule allows this request"),
        ("/down", &good, "14", "14", "Jwks remote fetch is failed"),
    ];
    for (target, tokens, plain, custom, text) in table {
        let http = get(&stage, "plain", target, tokens.first().copied()).await;
        for (listener, status, text) in [
            ("plain", plain, Some(text)),
            ("custom", custom, Some(text)),
            ("stripped", plain, None),
        ] {
            let reply = call(listener, target, tokens).await;
            assert_eq!(reply.status, 200, "{listener}{target}");
            assert_eq!(
                reply.header("grpc-status"),
                Some(status),
                "{listener}{target}"
            );
            assert_eq!(reply.header("grpc-message"), text, "{listener}{target}");
            assert_eq!(reply.header("content-type"), Some("application/grpc"));
            assert_eq!(reply.body, "");
            assert_eq!(reply.header("retry-after").is_some(), target == "/down");
            if listener == "plain" && tokens.len() < 2 {
                assert_eq!(reply.challenge(), http.challenge(), "{target}");
            }
            if listener == "stripped" {
                assert_eq!(reply.challenge(), None, "{target}");
            }
        }
    }
    // gRPC-Web reads HTTP.
    let url = stage.envoy().url_of("custom", "/api");
    let request = stage.client.request(reqwest::Method::POST, &url);
    let reply = http::send(request.header("content-type", "application/grpc-web")).await;
    assert_eq!((reply.status, reply.body.len()), (401, 16_000));
    assert_eq!(stage.upstream.requests(), 1);
    assert_eq!(stage.traps(), 0);
}

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// The steps of a client that knows only the resource (RFC 9728 section 5).
#[tokio::test]
async fn a_client_finds_the_authorization_server_by_the_challenge() {
    let stage = stage(|stage| {
        let resource = json!({"protected_resource": {
            "resource": "https://api.example.com/api/mcp",
            "authorization_servers": [stage.idp.issuer()],
            "scopes_supported": ["read:messages"],
            "additional": {"dpop_bound_access_tokens_required": false, "x": 5},
        }});
        let mut open = json!({"unmatched": "allow"});
        merge(&mut open, resource.clone());
        let mut stripped = json!({"strip_failure_response": true});
        merge(&mut stripped, resource.clone());
        vec![
            listener("main", routes(stage, resource)),
            listener("open", routes(stage, open)),
            listener("stripped", routes(stage, stripped)),
        ]
    });
    let good = stage.idp.good_token();
    assert_eq!(get(&stage, "main", "/api", Some(&good)).await.status, 200);
    assert_eq!(stage.upstream.requests(), 1);

    let challenged = get(&stage, "main", "/api/mcp", None).await;
    assert_eq!(challenged.status, 401);
    let url = "https://api.example.com/.well-known/oauth-protected-resource/api/mcp";
    let named = format!(r#", resource_metadata="{url}""#);
    assert_eq!(
        challenged.challenge(),
        Some(format!(r#"Bearer realm="api"{named}"#).as_str())
    );
    let scoped = get(&stage, "main", "/scoped", Some(&good)).await;
    assert_eq!(scoped.status, 403);
    assert!(scoped.challenge().unwrap().ends_with(&named));
    for (target, status) in [("/none", 403), ("/down", 503)] {
        let reply = get(&stage, "main", target, Some(&good)).await;
        assert_eq!(
            (reply.status, reply.challenge()),
            (status, None),
            "{target}"
        );
    }

    let path = &url["https://api.example.com".len()..];
    let document = json!({
        "resource": "https://api.example.com/api/mcp",
        "authorization_servers": [stage.idp.issuer()],
        "scopes_supported": ["read:messages"],
        "dpop_bound_access_tokens_required": false,
        "x": 5,
    });
    for (listener, target, token) in [
        ("main", path.to_owned(), None),
        ("main", format!("{path}?a=b"), None),
        ("main", path.to_owned(), Some("rubbish")),
        ("open", path.to_owned(), Some(good.as_str())),
        ("stripped", path.to_owned(), None),
    ] {
        let reply = get(&stage, listener, &target, token).await;
        assert_eq!(reply.status, 200, "{listener} {target}");
        assert_eq!(reply.json(), document);
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!(reply.header("cache-control"), Some("max-age=300"));
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
        assert_eq!(reply.challenge(), None);
    }
    assert_eq!(stage.upstream.requests(), 1, "the filter answers");

    // Requests for other paths are for the rules, and reach the upstream where the rules allow it.
    for target in [
        WELL_KNOWN.to_owned(),
        format!("{path}/"),
        format!("{path}x"),
        format!("/x{path}"),
    ] {
        let reply = get(&stage, "main", &target, None).await;
        assert_eq!(reply.status, 403, "{target}");
        let reply = get(&stage, "open", &target, None).await;
        assert_eq!(reply.status, 200, "{target}");
        assert_eq!(reply.json()["path"], target.as_str());
    }
    assert_eq!(stage.upstream.requests(), 5);
    assert_eq!(stage.traps(), 0);
}

#[tokio::test]
async fn the_document_is_for_get_and_head_and_for_pages_of_any_origin() {
    let stage = stage(|stage| {
        let resource = json!({"protected_resource": {"resource": "https://api.example.com/"}});
        vec![listener("main", routes(stage, resource))]
    });
    let url = stage.envoy().url_of("main", WELL_KNOWN);
    let ask = async |method: reqwest::Method| {
        let request = stage.client.request(method, &url);
        let request = request
            .header("origin", "https://inspector.example")
            .header("access-control-request-method", "GET")
            .header("access-control-request-headers", "mcp-protocol-version");
        http::send(request.body("x")).await
    };
    let whole = ask(reqwest::Method::GET).await;
    assert_eq!(whole.status, 200);
    assert_eq!(whole.body, r#"{"resource":"https://api.example.com/"}"#);
    let head = ask(reqwest::Method::HEAD).await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    for name in ["content-type", "content-length", "cache-control"] {
        assert_eq!(head.header(name), whole.header(name), "{name}");
    }
    let preflight = ask(reqwest::Method::OPTIONS).await;
    assert_eq!((preflight.status, preflight.body.as_str()), (204, ""));
    assert_eq!(preflight.header("access-control-allow-headers"), Some("*"));
    let methods = Some("GET, HEAD, OPTIONS");
    assert_eq!(preflight.header("access-control-allow-methods"), methods);
    for method in [
        reqwest::Method::POST,
        reqwest::Method::PUT,
        reqwest::Method::DELETE,
    ] {
        let reply = ask(method).await;
        assert_eq!((reply.status, reply.body.as_str()), (405, ""));
        assert_eq!(reply.header("allow"), methods);
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
    }
    assert_eq!(stage.upstream.requests(), 0);
    assert_eq!(stage.traps(), 0);
}

/// A tick or the answer to a call carries out the verdict on such a request.
#[test]
fn a_grpc_request_that_waited_is_told_the_same() {
    let stage = Stage::build(
        |idp| idp.set_jwks(Fault::Delay(Duration::from_millis(1500))),
        |stage, builder| {
            let page = json!({"errors": {"by_reason": {
                "insufficient_scope": {"body": "a page", "content_type": "text/html"},
            }}});
            builder
                .empty_cluster("nowhere")
                .wasm_filter(routes(stage, page))
        },
    );
    let bearer = format!("Bearer {}", stage.idp.good_token());
    let call = |content_type: &str| {
        let headers: [(&str, &[u8]); 2] = [
            ("authorization", bearer.as_bytes()),
            ("content-type", content_type.as_bytes()),
        ];
        let mut connection = RawConnection::open(stage.address()).unwrap();
        connection
            .send(&raw::head("POST", "/scoped", &headers))
            .unwrap();
        connection
    };
    let mut calls = [call("application/grpc"), call("application/json")];
    eventually(Duration::from_secs(1), "both wait", || {
        stage.counter("bearer_gate.waiting") == 2
    });
    let [grpc, page] = calls.each_mut().map(|call| call.response().unwrap());
    assert_eq!((grpc.status, grpc.header("grpc-status")), (200, Some("7")));
    let text = "Jwt lacks a scope that is required here";
    assert_eq!(grpc.header("grpc-message"), Some(text));
    assert_eq!((page.status, page.text().as_str()), (403, "a page"));
    let challenge = page.header("www-authenticate");
    assert_eq!(grpc.header("www-authenticate"), challenge);
    assert_eq!(stage.traps(), 0);
}
