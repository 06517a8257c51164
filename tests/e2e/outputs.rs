//! What the upstream, later filters and the access log learn of a token or of a rejection.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bearer_gate_testbed::envoy::{Filter, Listener};
use bearer_gate_testbed::http::Reply;
use bearer_gate_testbed::idp::Fault;
use bearer_gate_testbed::keys::SigningKey;
use bearer_gate_testbed::raw::{self, RawConnection};
use bearer_gate_testbed::{eventually, repository, token};
use serde_json::{Map, Value, json};

use crate::stage::{Stage, merge, provider};

const LIMIT: Duration = Duration::from_secs(5);

/// One provider with these fields; `/public` is public.
fn config(stage: &Stage, fields: Value, more: Value) -> Value {
    let mut config = json!({
        "providers": {"demo": provider(stage, fields)},
        "rules": [
            {"match": {"prefix": "/public"}},
            {"match": {"prefix": "/scoped"}, "requires": {"provider_name": "demo"},
             "authorize": {"scopes": {"all": ["never:granted"]}}},
            {"match": {"prefix": "/"}, "requires": {"provider_name": "demo"}},
        ],
    });
    merge(&mut config, more);
    config
}

/// The values that the upstream got under a name.
fn seen(upstream: &Value, name: &str) -> Vec<String> {
    let headers = upstream["headers"].as_array().expect("the echo");
    headers
        .iter()
        .filter(|header| header[0] == name)
        .map(|header| header[1].as_str().expect("text").to_owned())
        .collect()
}

/// An access log on Envoy's standard output, in JSON.
fn access_log(format: &Value) -> Value {
    json!([{
        "name": "envoy.access_loggers.stdout",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
            "log_format": {"json_format": format},
        },
    }])
}

/// The lines of the access log, once there are as many.
fn lines(stage: &Stage, number: usize) -> Vec<Value> {
    let read = || -> Vec<Value> {
        let log = stage.envoy().log();
        let lines = log.lines().filter(|line| line.starts_with('{'));
        lines
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    };
    eventually(LIMIT, "the access log", || read().len() >= number);
    read()
}

/// `filter_state['NAME'].MEMBER == 'VALUE'` in the form that RBAC takes.
fn cel_equals(name: &str, member: &str, value: &str) -> Value {
    let state = json!({"callExpr": {"function": "_[_]", "args": [
        {"identExpr": {"name": "filter_state"}},
        {"constExpr": {"stringValue": name}},
    ]}});
    json!({"callExpr": {"function": "_==_", "args": [
        {"selectExpr": {"operand": state, "field": member}},
        {"constExpr": {"stringValue": value}},
    ]}})
}

fn rbac(principal: &Value, condition: Option<Value>) -> Filter {
    let mut policy = json!({"permissions": [{"any": true}], "principals": [principal]});
    if let Some(condition) = condition {
        policy["condition"] = condition;
    }
    Filter::Other(json!({
        "name": "envoy.filters.http.rbac",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
            "rules": {"action": "ALLOW", "policies": {"who": policy}},
        },
    }))
}

#[tokio::test]
async fn lists_in_headers_and_never_the_clients() {
    let roles = "https://example.com/roles";
    let header = |name: &str, more: Value| {
        let mut header = json!({"header_name": name, "claim_path": [roles]});
        merge(&mut header, more);
        header
    };
    let stage = Stage::start(|stage| {
        let headers = json!([
            header("x-csv", json!({"format": "csv"})),
            header("x-json", json!({"format": "json"})),
            header("x-repeat", json!({"format": "repeat"})),
            header("x-safe", json!({"format": "csv", "encode": "base64"})),
            {"header_name": "x-city", "claim_path": ["address", "city"], "encode": "base64"},
        ]);
        config(stage, json!({"claim_to_headers": headers}), json!({}))
    });
    let claims = |roles_held: Value| {
        let claims = stage.idp.claims().with(roles, roles_held);
        stage
            .idp
            .token(&claims.with("address", json!({"city": "a\r\nx-admin: 1"})))
    };
    let forged = |token: &str| -> Value {
        let mut headers = vec![("authorization".to_owned(), format!("Bearer {token}"))];
        for name in [
            "x-csv", "x-json", "x-repeat", "X_Repeat", "x_safe", "x-city", "x_city",
        ] {
            headers.push((name.to_owned(), "forged".to_owned()));
            headers.push((name.to_owned(), "twice".to_owned()));
        }
        let reply = stage.get_raw("/", &headers);
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert!(!reply.text().contains("forged") && !reply.text().contains("twice"));
        reply.json()
    };
    let token = claims(json!(["admin", "editor"]));
    // verified, then remembered
    for _ in 0..3 {
        let upstream = forged(&token);
        assert_eq!(seen(&upstream, "x-csv"), ["admin,editor"]);
        assert_eq!(seen(&upstream, "x-json"), [r#"["admin","editor"]"#]);
        assert_eq!(seen(&upstream, "x-repeat"), ["admin", "editor"]);
        assert_eq!(seen(&upstream, "x-safe"), ["YWRtaW4=,ZWRpdG9y"]);
        assert_eq!(
            seen(&upstream, "x-city"),
            [BASE64_STANDARD.encode("a\r\nx-admin: 1")]
        );
        assert!(seen(&upstream, "x-admin").is_empty());
    }
    // One role, which must not become two.
    let upstream = forged(&claims(json!(["x,admin,é"])));
    assert!(seen(&upstream, "x-csv").is_empty() && seen(&upstream, "x-repeat").is_empty());
    assert_eq!(seen(&upstream, "x-json"), [r#"["x,admin,\u00e9"]"#]);
    assert_eq!(
        seen(&upstream, "x-safe"),
        [BASE64_STANDARD.encode("x,admin,é")]
    );
    // Public routes get none.
    let reply = stage.get_raw("/public", &[("x_repeat".into(), "forged".into())]);
    assert_eq!(reply.status, 200);
    assert!(!reply.text().contains("forged"));
    assert_eq!(stage.traps(), 0);
}

#[tokio::test]
async fn without_a_format_the_headers_are_those_of_jwt_authn() {
    // The claim, and what this filter sends where it differs from jwt_authn.
    let table: &[(&str, Value, Option<&str>)] = &[
        ("text", json!("Zoë, \"a\""), None),
        ("empty", json!(""), None),
        ("null", json!(null), None),
        ("yes", json!(true), None),
        ("no", json!(false), None),
        ("zero", json!(0), None),
        ("whole", json!(5), None),
        ("wholedouble", json!(5.0), None),
        ("most", json!(9_007_199_254_740_991_u64), None),
        ("negative", json!(-5), None),
        ("half", json!(1.5), None),
        ("minushalf", json!(-1.5), None),
        ("tiny", json!(0.000_000_1), None),
        ("list", json!(["a", "b,c"]), None),
        ("nolist", json!([]), None),
        ("object", json!({"k": "v"}), None),
        ("noobject", json!({}), None),
        ("nested", json!({"x": {"y": [1, null]}}), None),
        // on purpose: exact, or not sent
        (
            "large",
            json!(9_007_199_254_740_993_u64),
            Some("9007199254740993"),
        ),
        ("larger", json!(1e20), Some("")),
        ("space", json!(" admin"), Some("")),
        ("tab", json!("a\tb"), Some("")),
        ("nextline", json!("a\u{85}b"), Some("")),
    ];
    let fields = || {
        let mut headers: Vec<Value> = table
            .iter()
            .map(|(name, ..)| json!({"header_name": format!("x-{name}"), "claim_name": name}))
            .collect();
        headers.push(json!({"header_name": "x-dots", "claim_name": "nested.x.y"}));
        headers.push(json!({"header_name": "x-dotted", "claim_name": "do.tted"}));
        json!({
            "claim_to_headers": headers,
            "forward_payload_header": "x-payload",
            "pad_forward_payload_header": true,
        })
    };
    let stage = Stage::build(
        |_| {},
        |stage, builder| {
            let ours = config(stage, fields(), json!({}));
            let native = json!({
                "providers": {"demo": provider(stage, fields())},
                "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "demo"}}],
            });
            builder
                .wasm_filter(ours)
                .listener(Listener::jwt_authn("native", native))
        },
    );
    let mut claims = stage.idp.claims().with("do.tted", "literally");
    for (name, value, _) in table {
        claims = claims.with(name, value.clone());
    }
    // Each length of padding.
    for filler in ["", "1", "12"] {
        let token = stage.idp.token(&claims.clone().with("filler", filler));
        let ours = stage.get_with("/", &token).await;
        let native = stage
            .client
            .get_with(&stage.envoy().url_of("native", "/"), &token)
            .await;
        assert_eq!(
            (ours.status, native.status),
            (200, 200),
            "{} {}",
            ours.body,
            native.body
        );
        let (ours, native) = (ours.json(), native.json());
        let both = |name: &str| (seen(&ours, name), seen(&native, name));
        for (name, value, on_purpose) in table {
            let (ours, native) = both(&format!("x-{name}"));
            match on_purpose {
                None => assert_eq!(ours, native, "{value}"),
                Some(expected) => {
                    assert_ne!(ours, native, "{value}: the difference is gone");
                    let expected: Vec<&str> = Some(*expected)
                        .filter(|e| !e.is_empty())
                        .into_iter()
                        .collect();
                    assert_eq!(ours, expected, "{value}");
                }
            }
        }
        for name in ["x-dots", "x-dotted", "x-payload"] {
            let (ours, native) = both(name);
            assert_eq!(ours, native, "{name}");
        }
        assert_eq!(seen(&ours, "x-dots"), ["WzEsbnVsbF0="]);
        assert_eq!(seen(&ours, "x-payload").len(), 1);
    }
    // With jwt_authn these break the request to the upstream.
    for text in ["a\r\nb", "a\0b", "a\u{7f}b"] {
        let token = stage.idp.token(&claims.clone().with("text", text));
        let ours = stage.get_with("/", &token).await;
        assert_eq!(ours.status, 200);
        assert!(seen(&ours.json(), "x-text").is_empty());
        let native = stage
            .client
            .get_with(&stage.envoy().url_of("native", "/"), &token)
            .await;
        assert_eq!(native.status, 503);
    }
}

#[tokio::test]
async fn other_filters_decide_by_the_payload_and_the_subject() {
    let fields = json!({
        "payload_in_metadata": "jwt",
        "header_in_metadata": "jose",
        "claim_to_headers": [{"header_name": "x-tier", "claim_name": "tier"}],
    });
    let stage = Stage::build(
        |_| {},
        |stage, builder| {
            let config = config(stage, fields, json!({"filter_state": ["subject"]}));
            let any = json!({"any": true});
            let alice = json!({"filter_state": {
                "key": "wasm.bearer_gate.subject", "string_match": {"exact": "alice"},
            }});
            let script = "function envoy_on_request(handle)
                local state = handle:streamInfo():filterState()
                handle:headers():add('x-lua', tostring(state:get('wasm.bearer_gate.subject')))
                local metadata = handle:streamInfo():dynamicMetadata():get('claims')
                handle:headers():add('x-metadata', metadata['tier'])
            end";
            let lua = Filter::Other(json!({
                "name": "envoy.filters.http.lua",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
                    "default_source_code": {"inline_string": script},
                },
            }));
            let to_metadata = Filter::Other(json!({
                "name": "envoy.filters.http.header_to_metadata",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.header_to_metadata.v3.Config",
                    "request_rules": [{
                        "header": "x-tier",
                        "on_header_present": {"metadata_namespace": "claims", "key": "tier"},
                        "remove": true,
                    }],
                },
            }));
            let tier = cel_equals("wasm.jwt", "tier", "gold");
            let alg = cel_equals("wasm.jose", "alg", "RS256");
            builder.listener(
                Listener::wasm("main", config)
                    .filter(rbac(&any, Some(tier)))
                    .filter(rbac(&any, Some(alg)))
                    .filter(rbac(&alice, None))
                    .filter(to_metadata)
                    .filter(lua),
            )
        },
    );
    let get = async |subject: &str, tier: &str| -> Reply {
        let claims = stage.idp.claims().subject(subject).with("tier", tier);
        stage.get_with("/", &stage.idp.token(&claims)).await
    };
    let reply = get("alice", "gold").await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(seen(&reply.json(), "x-lua"), ["alice"]);
    assert_eq!(seen(&reply.json(), "x-metadata"), ["gold"]);
    assert!(seen(&reply.json(), "x-tier").is_empty());
    for (subject, tier) in [("alice", "silver"), ("bob", "gold")] {
        let reply = get(subject, tier).await;
        assert_eq!(
            (reply.status, reply.body.as_str()),
            (403, "RBAC: access denied")
        );
    }
    // No token, no state.
    assert_eq!(stage.get("/public").await.status, 403);
}

#[tokio::test]
async fn a_route_is_chosen_by_the_subject() {
    let routes = json!({"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
        {
            "match": {"prefix": "/", "filter_state": [
                {"key": "wasm.bearer_gate.subject", "string_match": {"exact": "alice"}},
            ]},
            "direct_response": {"status": 202},
        },
        {"match": {"prefix": "/"}, "route": {"cluster": "upstream"}},
    ]}]});
    let stage = Stage::build(
        |_| {},
        |stage, builder| {
            let config = config(stage, json!({}), json!({"filter_state": ["subject"]}));
            builder.listener(Listener::wasm("main", config).hcm("route_config", routes))
        },
    );
    for (subject, status) in [("alice", 202), ("bob", 200)] {
        let token = stage.idp.token(&stage.idp.claims().subject(subject));
        assert_eq!(stage.get_with("/", &token).await.status, status);
    }
}

/// The members of `json_format` in the documents' section on access logs.
fn format_in_the_documents() -> Value {
    let document = repository().join("docs/observability.md");
    let text = std::fs::read_to_string(document).expect("the document");
    let section = text
        .split("\n## ")
        .find(|section| section.starts_with("Access logs"))
        .expect("a section on access logs");
    let (_, format) = section.split_once("json_format:\n").expect("a format");
    let members: Map<String, Value> = format
        .lines()
        .map_while(|line| line.trim().split_once(": "))
        .map(|(name, value)| (name.to_owned(), json!(value.trim_matches('"'))))
        .collect();
    assert!(members.len() > 5, "{members:?}");
    Value::Object(members)
}

#[tokio::test]
async fn the_access_log_of_the_documents() {
    let fields = json!({
        "payload_in_metadata": "jwt",
        "failed_status_in_metadata": "jwt_failed",
        "normalize_payload_in_metadata": {"space_delimited_claims": ["scope"]},
    });
    // These requests wait, and the log has the same of them.
    let stage = Stage::build(
        |idp| idp.set_jwks(Fault::Delay(Duration::from_millis(500))),
        |stage, builder| {
            let facts = json!(["reason", "provider", "issuer", "subject"]);
            let config = config(stage, fields, json!({"filter_state": facts}));
            let mut format = format_in_the_documents();
            format["claims"] = json!("%FILTER_STATE(wasm.jwt:TYPED)%");
            format["failed"] = json!("%FILTER_STATE(wasm.jwt_failed:TYPED)%");
            builder.listener(Listener::wasm("main", config).hcm("access_log", access_log(&format)))
        },
    );
    let issuer = stage.idp.issuer().to_owned();
    let claims = stage.idp.claims().subject("alice").scope("read write");
    let good = stage.idp.token(&claims);
    let expired = stage.idp.token(&claims.clone().expires_in(-600));
    let log_forger = stage.idp.token(&claims.clone().subject("a\n200 bob"));
    for (target, token, status) in [
        ("/", Some(&good), 200),
        ("/", Some(&good), 200),
        ("/public", None, 200),
        ("/", None, 401),
        ("/", Some(&expired), 401),
        ("/scoped", Some(&good), 403),
        ("/x%2fy", Some(&good), 400),
        ("/", Some(&log_forger), 200),
    ] {
        let reply = match token {
            Some(token) => stage.get_with(target, token).await,
            None => stage.get(target).await,
        };
        assert_eq!(reply.status, status, "{}", reply.body);
    }
    let lines = lines(&stage, 8);
    let told: Vec<Value> = lines
        .iter()
        .map(|line| {
            json!([
                line["status"],
                line["reason"],
                line["provider"],
                line["issuer"],
                line["subject"],
                line["first_scope"],
                line["failed"]["value"]
            ])
        })
        .collect();
    let admitted = json!([200, null, "demo", issuer, "alice", "read", null]);
    let rejected = |status: u16, reason: &str, message: Option<&str>| {
        let failed = message.map(|message| json!({"code": reason, "message": message}));
        json!([status, reason, null, null, null, null, failed])
    };
    assert_eq!(
        told,
        [
            admitted.clone(),
            admitted,
            json!([200, null, null, null, null, null, null]),
            rejected(401, "token_missing", Some("Jwt is missing")),
            rejected(401, "expired", Some("Jwt is expired")),
            // whose good token was not enough
            json!([
                403,
                "insufficient_scope",
                "demo",
                issuer,
                "alice",
                "read",
                null
            ]),
            rejected(400, "unsafe_path", None),
            json!([200, null, "demo", issuer, null, "read", null]),
        ]
    );
    let mut expected = claims.value();
    expected["scope"] = json!(["read", "write"]);
    assert_eq!(lines[0]["claims"]["value"], expected);
    assert_eq!(lines[3]["claims"], Value::Null);
    assert_eq!(stage.traps(), 0);
}

/// Without an option: why the request is rejected, in Envoy's own field, and which line of the filter's log
/// is about it. With one: what the token says.
#[tokio::test]
async fn a_refused_user_is_found() {
    let stage = Stage::build(
        |_| {},
        |stage, builder| {
            let facts = json!(["unverified_issuer", "unverified_subject", "unverified_kid"]);
            let resource = json!({"resource": "https://api.example.com/mcp"});
            let config = config(
                stage,
                json!({}),
                json!({"filter_state": facts, "protected_resource": resource}),
            );
            let state =
                |name: &str| format!("%FILTER_STATE(wasm.bearer_gate.unverified_{name}:PLAIN)%");
            let format = json!({
                "status": "%RESPONSE_CODE%",
                "details": "%RESPONSE_CODE_DETAILS%",
                "id": "%REQ(X-REQUEST-ID)%",
                "issuer": state("issuer"),
                "subject": state("subject"),
                "kid": state("kid"),
            });
            let listener = Listener::wasm("main", config).hcm("access_log", access_log(&format));
            builder.component_log_level("wasm:debug").listener(listener)
        },
    );
    let issuer = stage.idp.issuer().to_owned();
    let claims = stage.idp.claims().subject("alice");
    let good = stage.idp.token(&claims);
    let kid = stage.idp.header()["kid"].as_str().unwrap().to_owned();
    let expired = stage.idp.token(&claims.clone().expires_in(-600));
    let steering = format!("a\n\u{1b}[2J\"{}", "x".repeat(200));
    let hostile = stage
        .idp
        .token(&claims.clone().subject(&steering).expires_in(-600));
    let shown = format!("a\\x0a\\x1b[2J\\\"{}", "x".repeat(128 - 7));
    let told = |subject: &str| json!([issuer, subject, kid]);
    let none = json!([null, null, null]);
    // (target, token, status, details, what is told of the token)
    let table = [
        ("/", Some(&good), 200, "via_upstream", none.clone()),
        (
            "/",
            None,
            401,
            "bearer_gate.denied.token_missing",
            none.clone(),
        ),
        (
            "/",
            Some(&expired),
            401,
            "bearer_gate.denied.expired",
            told("alice"),
        ),
        (
            "/",
            Some(&hostile),
            401,
            "bearer_gate.denied.expired",
            told(&shown),
        ),
        (
            "/scoped",
            Some(&good),
            403,
            "bearer_gate.denied.insufficient_scope",
            none.clone(),
        ),
        (
            "/.well-known/oauth-protected-resource/mcp",
            None,
            200,
            "bearer_gate.answered",
            none,
        ),
    ];
    for (target, token, status, ..) in &table {
        let reply = match token {
            Some(token) => stage.get_with(target, token).await,
            None => stage.get(target).await,
        };
        assert_eq!(reply.status, *status, "{}", reply.body);
        // What a token says is for the log.
        assert!(!format!("{reply:?}").contains("alice") || *status == 200);
    }
    let lines = lines(&stage, table.len());
    let log = stage.envoy().log();
    for (line, (target, _, status, details, told)) in lines.iter().zip(&table) {
        assert_eq!(line["status"], *status, "{target}");
        assert_eq!(line["details"], *details, "{target}");
        assert_eq!(
            json!([line["issuer"], line["subject"], line["kid"]]),
            *told,
            "{target}"
        );
        let id = line["id"].as_str().unwrap();
        let said = match details.rsplit_once("denied.") {
            Some((_, reason)) => format!("rejected: {reason}, x-request-id \"{id}\""),
            None if *status == 200 && *details != "via_upstream" => {
                format!("answered with metadata of the resource: 200, x-request-id \"{id}\"")
            }
            None => continue,
        };
        assert!(log.contains(&said), "{said}");
    }
    assert_eq!(stage.traps(), 0);
}

#[tokio::test]
async fn clients_that_hang_up_while_they_wait_leave_no_state_and_no_trap() {
    let stage = Stage::start_with(
        |idp| idp.set_jwks(Fault::Delay(Duration::from_millis(1500))),
        |stage| {
            let fields =
                json!({"payload_in_metadata": "jwt", "failed_status_in_metadata": "failed"});
            config(
                stage,
                fields,
                json!({"filter_state": ["reason", "subject"]}),
            )
        },
    );
    let good = format!("Bearer {}", stage.idp.good_token());
    let claims = stage.idp.claims().value();
    let forged = token::sign(&SigningKey::generate(), &stage.idp.header(), &claims);
    let forged = format!("Bearer {forged}");
    let mut connections: Vec<(u16, RawConnection)> = (0..100)
        .map(|n| {
            let (status, bearer) = if n % 2 == 0 {
                (200, &good)
            } else {
                (401, &forged)
            };
            let mut connection = RawConnection::open(stage.address()).expect("a connection");
            let request = raw::head("GET", "/", &[("authorization", bearer.as_bytes())]);
            connection.send(&request).expect("sent");
            (status, connection)
        })
        .collect();
    let waiting = || stage.counter("bearer_gate.waiting");
    eventually(LIMIT, "100 wait", || waiting() == 100);
    connections.truncate(60);
    eventually(LIMIT, "40 have left", || waiting() == 60);
    for (status, mut connection) in connections {
        let response = connection.response().expect("a response");
        assert_eq!(response.status, status, "{}", response.text());
    }
    assert_eq!(stage.traps(), 0);
}

#[tokio::test]
async fn the_reason_and_the_subject_in_a_trace() {
    let tag = |fact: &str| {
        json!({
            "tag": format!("bearer_gate.{fact}"),
            "value": format!("%FILTER_STATE(wasm.bearer_gate.{fact}:PLAIN)%"),
        })
    };
    let tracing = json!({
        "provider": {
            "name": "envoy.tracers.zipkin",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.config.trace.v3.ZipkinConfig",
                "collector_cluster": "upstream",
                "collector_endpoint": "/api/v2/spans",
                "collector_endpoint_version": "HTTP_JSON",
            },
        },
        "custom_tags": [tag("reason"), tag("subject")],
    });
    let stage = Stage::build(
        |_| {},
        |stage, builder| {
            let facts = json!({"filter_state": ["reason", "subject"]});
            let config = config(stage, json!({}), facts);
            let listener = Listener::wasm("main", config).hcm("tracing", tracing);
            // One buffer of spans, sent when it has five.
            builder.concurrency(1).listener(listener)
        },
    );
    let token = stage.idp.token(&stage.idp.claims().subject("alice"));
    assert_eq!(stage.get_with("/", &token).await.status, 200);
    for _ in 0..4 {
        assert_eq!(stage.get("/").await.status, 401);
    }
    let sent = || {
        let last = stage
            .upstream
            .last()
            .filter(|last| last["path"] == "/api/v2/spans")?;
        serde_json::from_str::<Value>(last["body"].as_str()?).ok()
    };
    eventually(2 * LIMIT, "the spans", || sent().is_some());
    let told: Vec<Value> = sent()
        .and_then(|spans| spans.as_array().cloned())
        .expect("a list of spans")
        .iter()
        .map(|span| {
            let tags = &span["tags"];
            json!([
                tags["http.status_code"],
                tags["bearer_gate.reason"],
                tags["bearer_gate.subject"]
            ])
        })
        .collect();
    assert_eq!(told[0], json!(["200", null, "alice"]));
    assert_eq!(told[1], json!(["401", "token_missing", null]));
}
