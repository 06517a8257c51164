//! Tokens in other places than the Authorization header, and rules that ask for more than one
//! provider's token, through a real Envoy.

use bearer_gate_testbed::envoy::Listener;
use bearer_gate_testbed::raw::{self, RawResponse};
use serde_json::{Value, json};

use crate::stage::{Stage, provider};

fn get(stage: &Stage, target: &str, headers: &[(&str, &str)]) -> RawResponse {
    let headers: Vec<(&str, &[u8])> = headers
        .iter()
        .map(|(name, value)| (*name, value.as_bytes()))
        .collect();
    raw::get(stage.address(), target, &headers).unwrap()
}

/// What the upstream saw of a header.
fn seen(reply: &RawResponse, name: &str) -> Vec<String> {
    let echo = reply.json();
    let headers = echo["headers"].as_array().unwrap();
    headers
        .iter()
        .filter(|header| header[0] == name)
        .map(|header| header[1].as_str().unwrap().to_owned())
        .collect()
}

/// The target, headers, and what the upstream sees: the query and the cookies.
type Admitted<'t> = (&'t str, &'t [(&'t str, &'t str)], Value, &'t str);

#[tokio::test]
async fn a03_tokens_in_other_places() {
    let stage = Stage::start(|stage| {
        let places = json!({
            "from_headers": [{"name": "X-Token"}, {"name": "authorization", "value_prefix": "Bearer "}],
            "from_params": ["t"],
            "from_cookies": ["session"],
            "claim_to_headers": [{"header_name": "x-user", "claim_name": "sub"}],
        });
        json!({
            "providers": {"idp": provider(stage, places)},
            "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "idp"}}],
        })
    });
    let token = stage.idp.good_token();
    let (bearer, cookie) = (format!("Bearer {token}"), format!("session={token}"));
    let (alone, among) = (format!("/a?t={token}"), format!("/a?x=1&t={token}&y=2"));

    // The token passes in each place, and the upstream does not see it.
    let admitted: &[Admitted] = &[
        ("/a", &[("X-Token", &token)], Value::Null, ""),
        ("/a", &[("Authorization", &bearer)], Value::Null, ""),
        (&alone, &[], Value::Null, ""),
        (&among, &[], json!("x=1&y=2"), ""),
        ("/a", &[("Cookie", &cookie)], Value::Null, ""),
        (
            "/a",
            &[("Cookie", "a=1"), ("Cookie", &cookie), ("Cookie", "b=2")],
            Value::Null,
            "a=1; b=2",
        ),
        // The same token in several places is one token, and the upstream does not see it.
        (
            "/a",
            &[("X-Token", &token), ("Cookie", &cookie)],
            Value::Null,
            "",
        ),
        (
            &among,
            &[("Authorization", &bearer), ("X-Token", &token)],
            json!("x=1&y=2"),
            "",
        ),
    ];
    for (target, headers, query, cookies) in admitted {
        let reply = get(&stage, target, headers);
        assert_eq!(reply.status, 200, "{target} {headers:?}: {}", reply.text());
        assert!(!reply.text().contains(&token), "{target} {headers:?}");
        assert_eq!(reply.json()["query"], *query, "{target}");
        assert_eq!(seen(&reply, "cookie").join("; "), *cookies);
        assert_eq!(seen(&reply, "x-user").len(), 1);
    }
    let passed = stage.upstream.requests();

    // More than one token, however they are sent.
    let (twice, two_cookies) = (format!("/a?t={token}&t=x"), format!("session=x; {cookie}"));
    let several: &[(&str, &[(&str, &str)])] = &[
        ("/a", &[("X-Token", &token), ("X-Token", "x")]),
        ("/a", &[("x-token", "x"), ("X-Token", &token)]),
        ("/a", &[("X-Token", &token), ("X-Token", &token)]),
        ("/a", &[("X-Token", "x"), ("Authorization", &bearer)]),
        ("/a", &[("X-Token", "x"), ("Cookie", &cookie)]),
        (&alone, &[("X-Token", "x")]),
        (&twice, &[]),
        ("/a", &[("Cookie", &two_cookies)]),
        ("/a", &[("Cookie", &cookie), ("Cookie", "session=x")]),
        ("/a", &[("Cookie", "session=x"), ("Cookie", &cookie)]),
    ];
    for (target, headers) in several {
        let reply = get(&stage, target, headers);
        assert_eq!(reply.status, 400, "{target} {headers:?}");
        let challenge = reply.header("www-authenticate").unwrap();
        assert!(
            challenge.contains(r#"error="invalid_request""#),
            "{challenge}"
        );
    }
    for (target, headers) in [
        ("/a?t=", vec![]),
        ("/a", vec![("X-Token", "x.y.z")]),
        ("/a", vec![("Cookie", "session=")]),
    ] {
        assert_eq!(
            get(&stage, target, &headers).status,
            401,
            "{target} {headers:?}"
        );
    }
    // An invalid header name never reaches the filter.
    let odd = raw::request(
        stage.address(),
        b"GET /a HTTP/1.1\r\nhost: a\r\nx-\xff: 1\r\nconnection: close\r\n\r\n",
    );
    assert_eq!(odd.unwrap().status, 400);
    assert_eq!(stage.upstream.requests(), passed);
    assert_eq!(stage.traps(), 0);
}

#[tokio::test]
async fn a_route_names_its_requirement() {
    let stage = Stage::build(
        |_| {},
        |stage, builder| {
            let idp = provider(stage, json!({}));
            let configuration = json!({
                "providers": {"idp": idp},
                "requirement_map": {
                    "users": {"provider_name": "idp"},
                    "guests": {"requires_any": {"requirements": [
                        {"provider_name": "idp"}, {"allow_missing": {}}
                    ]}},
                },
                "route_metadata": "bearer_gate",
                "rules": [{"match": {"prefix": "/public"}}],
            });
            let route = |prefix: &str, metadata: Value| {
                json!({
                    "match": {"prefix": prefix},
                    "route": {"cluster": "upstream"},
                    "metadata": {"filter_metadata": {"bearer_gate": metadata}},
                })
            };
            let routes = json!([
                route("/users", json!({"requirement_name": "users"})),
                route("/guests", json!({"requirement_name": "guests"})),
                route("/typo", json!({"requirement_name": "user"})),
                // names that are none are not no name
                route("/public/empty", json!({"requirement_name": "", "a": "b"})),
                route("/public/null", json!({"requirement_name": null})),
                route("/public/number", json!({"requirement_name": 5})),
                route("/public/list", json!({"requirement_name": ["users"]})),
                route("/public/other", json!({"name": "", "my_requirement_name": ""})),
                route("/public/nothing", json!({})),
                route("/public/api/admin", json!({"requirement_name": "users"})),
                {
                    "match": {"prefix": "/off"},
                    "route": {"cluster": "upstream"},
                    "typed_per_filter_config": {"envoy.filters.http.wasm": {
                        "@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig",
                        "disabled": true,
                    }},
                },
                {"match": {"prefix": "/"}, "route": {"cluster": "upstream"}},
            ]);
            let route_config = json!({
                "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]
            });
            builder
                .listener(Listener::wasm("main", configuration).hcm("route_config", route_config))
        },
    );
    let good = stage.idp.good_token();
    for (path, without, with, with_bad) in [
        ("/users", 401, 200, 401),
        ("/guests", 200, 200, 401),
        ("/typo", 403, 403, 403),
        // Envoy's own switch for a filter
        ("/off", 200, 200, 200),
        // no name: the rules decide
        ("/public", 200, 200, 200),
        ("/other", 403, 403, 403),
        ("/public/empty", 403, 403, 403),
        ("/public/null", 403, 403, 403),
        ("/public/number", 403, 403, 403),
        ("/public/list", 403, 403, 403),
        ("/public/other", 200, 200, 200),
        ("/public/nothing", 200, 200, 200),
        // Envoy chooses the route by the path as it was sent
        ("/public/api/admin", 401, 200, 401),
        ("/public/api;x/admin", 400, 400, 400),
        ("/public/api/%61dmin", 400, 400, 400),
    ] {
        assert_eq!(stage.get(path).await.status, without, "{path}");
        assert_eq!(stage.get_with(path, &good).await.status, with, "{path}");
        assert_eq!(
            stage.get_with(path, "x.y.z").await.status,
            with_bad,
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_reported_request_passes_marked_and_counted() {
    let stage = Stage::start(|stage| {
        json!({
            "providers": {"idp": provider(stage, json!({}))},
            "rules": [
                {"match": {"prefix": "/soon"}, "requires": {"provider_name": "idp"}, "report_only": true},
                {"match": {"prefix": "/"}, "requires": {"provider_name": "idp"}},
            ],
        })
    });
    let mark = "x-bearer-gate-report";
    let forged = [(mark.to_owned(), "none".to_owned())];
    let reply = stage.get_raw("/soon", &forged);
    assert_eq!(reply.status, 200);
    assert_eq!(seen(&reply, mark), ["token_missing"]);
    let good = (
        "authorization".to_owned(),
        format!("Bearer {}", stage.idp.good_token()),
    );
    let reply = stage.get_raw("/soon", &[good.clone(), forged[0].clone()]);
    assert_eq!((reply.status, seen(&reply, mark).len()), (200, 0));
    // also where no rule reports
    let reply = stage.get_raw("/x", &[good, forged[0].clone()]);
    assert_eq!((reply.status, seen(&reply, mark).len()), (200, 0));
    assert_eq!(stage.get("/x").await.status, 401);
    assert_eq!(stage.counter("bearer_gate.reported.token_missing"), 1);
    assert!(stage.envoy().log().contains("rules[0] only reports"));
}

#[tokio::test]
async fn preflights_pass_where_the_configuration_says_so() {
    let stage = Stage::start(|stage| {
        json!({
            "providers": {"idp": provider(stage, json!({}))},
            "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "idp"}}],
            "bypass_cors_preflight": true,
        })
    });
    let options = |headers: &[(&str, &[u8])]| {
        let head = raw::head("OPTIONS", "/x", headers);
        raw::request(stage.address(), &head).unwrap().status
    };
    let origin = ("origin", &b"https://a.example"[..]);
    let method = ("access-control-request-method", &b"POST"[..]);
    assert_eq!(options(&[origin, method]), 200);
    assert_eq!(options(&[origin]), 401);
    assert_eq!(options(&[method]), 401);
    assert_eq!(stage.get("/x").await.status, 401);
}
