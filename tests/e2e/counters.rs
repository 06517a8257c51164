//! Each counter that the documents name moves on a real Envoy when its documented case occurs, and
//! in no other case.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bearer_gate_testbed::alb;
use bearer_gate_testbed::envoy::{Filter, Listener, Wasm};
use bearer_gate_testbed::idp::Fault;
use bearer_gate_testbed::raw::{self, RawConnection, RawResponse};
use bearer_gate_testbed::token::{base64url, now, with_signature_bit_flipped};
use bearer_gate_testbed::transports::{Message, Order, Protocol, send_all};
use bearer_gate_testbed::{eventually, holds_within, repository};
use serde_json::{Value, json};

use crate::stage::{Stage, merge, provider};

const LIMIT: Duration = Duration::from_secs(10);

/// Documented reasons that cannot occur with Envoy, and why.
const NEVER_SEEN: [(&str, &str); 6] = [
    (
        "not_configured",
        "Envoy gives no request to a filter that has refused its configuration",
    ),
    (
        "body_missing",
        "takes five seconds; a_body_that_envoy_keeps_back_is_told_of has it",
    ),
    (
        "not_ended",
        "shared data takes every change; tests/sign_in has a host that does not",
    ),
    (
        "sign_outs_unknown",
        "needs several Envoys and a store; fleet_store has it",
    ),
    (
        "session_store_unavailable",
        "needs a store with sessions; session_store has it",
    ),
    (
        "provider_unavailable",
        "no requirement of a token asks a provider a question of its own",
    ),
];

/// The rows of the table under this line of a document: the cells, without their ticks.
fn table(document: &str, after: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(repository().join(document)).unwrap();
    let (_, rest) = text.split_once(after).expect(after);
    let rows = rest
        .lines()
        .skip_while(|line| !line.starts_with('|'))
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let cells = row.trim_matches('|').split('|');
        cells.map(|cell| cell.trim().replace('`', "")).collect()
    })
    .collect()
}

/// Reason and text.
fn texts() -> BTreeMap<String, String> {
    let rows = table("docs/responses.md", "\nEvery text is fixed:\n").into_iter();
    rows.map(|row| (row[1].clone(), row[0].clone())).collect()
}

fn config(stage: &Stage) -> Value {
    let demo = |more: Value| {
        let mut fields = json!({"algorithms": ["RS256"]});
        merge(&mut fields, more);
        provider(stage, fields)
    };
    let cluster = |cluster: &str| json!({"remote_jwks": {"http_uri": {"cluster": cluster}}});
    let access = json!({"token_type": "at+jwt", "any_issuer": true, "any_audience": true,
        "issuer": null, "audiences": null});
    let mut access = demo(access);
    let members = access.as_object_mut().unwrap();
    members.retain(|_, value| !value.is_null());
    let rule = |prefix: &str, provider: &str| json!({"match": {"prefix": prefix}, "requires": {"provider_name": provider}});
    let mut scoped = rule("/scoped", "demo");
    scoped["authorize"] = json!({"scopes": {"all": ["nobody:has-this"]}});
    let mut claims = rule("/claims", "demo");
    claims["authorize"] = json!({"claims": [{"path": ["role"], "equals": "admin"}]});
    let mut soon = rule("/soon", "demo");
    soon["report_only"] = json!(true);
    json!({
        "providers": {
            "demo": demo(json!({})),
            "access": access,
            "listed": demo(json!({"from_headers": [{"name": "x-token"}]})),
            "subject": demo(json!({"subjects": {"prefix": "spiffe://"}})),
            "lifetime": demo(json!({"max_lifetime": "10s"})),
            "down": demo(cluster("nowhere")),
            "alb": {
                "issuer": stage.idp.issuer(),
                "aws_alb": {
                    "signer": alb::ARN,
                    "clients": [alb::CLIENT],
                    "http_uri": {"uri": "https://k.example/{kid}", "cluster": "idp", "timeout": "5s"},
                },
                "from_headers": [{"name": "Authorization", "value_prefix": "Bearer "}],
            },
        },
        "rules": [
            {"match": {"prefix": "/public"}},
            {"match": {"prefix": "/method", "methods": ["POST"]}},
            {"match": {"prefix": "/host", "hosts": ["api.example"]}},
            {"match": {"prefix": "/header", "headers": [{"name": "x-mode", "exact_match": "open"}]}},
            {"match": {"prefix": "/query", "query_parameters": [
                {"name": "mode", "string_match": {"exact": "open"}}]}},
            rule("/list", "listed"),
            scoped, claims, soon,
            rule("/access", "access"),
            rule("/subject", "subject"),
            rule("/lifetime", "lifetime"),
            rule("/down", "down"),
            rule("/alb", "alb"),
            rule("/x", "demo"),
            {"match": {"prefix": "/session"}, "requires": {"session": "staff"}},
        ],
        "sign_in": {
            "cookie_keys": [{"inline_string": "a key of thirty-two octets or more"}],
            "allowed_redirect_domains": ["testbed"],
            "schemes": {"staff": {
                "provider_name": "demo",
                "credentials": {"client_id": "web", "token_secret": {"inline_string": "secret"}},
                "authorization_endpoint": "https://idp.example/authorize",
                "token_endpoint": {"uri": "https://idp.example/token", "cluster": "idp", "timeout": "5s"},
                "callback_path": "/callback",
                "signout_path": "/sign-out",
            }},
        },
        "bypass_cors_preflight": true,
        "protected_resource": {"resource": "https://api.example.com/"},
        "filter_state": ["provider"],
    })
}

/// A token with a made-up signature: claims are checked before the signature.
fn unsigned(header: Value, claims: &Value) -> String {
    let mut whole = json!({"alg": "RS256"});
    merge(&mut whole, header);
    let parts = [whole.to_string(), claims.to_string()].map(base64url);
    format!("{}.{}.AAAA", parts[0], parts[1])
}

/// With the padding that a load balancer's parts have.
fn padded(token: &str) -> String {
    let pad = |part: &str| format!("{part}{}", &"==="[..(4 - part.len() % 4) % 4]);
    token.split('.').map(pad).collect::<Vec<_>>().join(".")
}

/// The reason, the path, and the token of a request that is rejected for it.
fn bad_tokens(stage: &Stage) -> Vec<(&'static str, &'static str, String)> {
    let good = stage.idp.claims().value();
    let claims = |change: Value| {
        let mut claims = good.clone();
        merge(&mut claims, change);
        claims
            .as_object_mut()
            .unwrap()
            .retain(|_, value| !value.is_null());
        unsigned(json!({}), &claims)
    };
    let header = |header: Value| unsigned(header, &good);
    let access = |change: Value| {
        let mut claims = json!({"iss": "i", "aud": "a", "sub": "s", "client_id": "c", "jti": "j",
            "iat": now(), "exp": now() + 60});
        merge(&mut claims, change);
        claims
            .as_object_mut()
            .unwrap()
            .retain(|_, value| !value.is_null());
        unsigned(json!({"typ": "at+jwt"}), &claims)
    };
    let json = base64url("{}");
    let rs256 = base64url(r#"{"alg":"RS256"}"#);
    let token = stage.idp.good_token();
    vec![
        ("too_long", "/x", "a".repeat(20_000)),
        ("not_three_parts", "/x", "a.b".to_owned()),
        ("header_encoding", "/x", format!("A.{json}.AAAA")),
        (
            "header_json",
            "/x",
            format!("{}.{json}.AAAA", base64url("[]")),
        ),
        ("algorithm_missing", "/x", format!("{json}.{json}.AAAA")),
        (
            "algorithm_unsupported",
            "/x",
            header(json!({"alg": "none"})),
        ),
        ("kid", "/x", header(json!({"kid": 1}))),
        ("type", "/x", header(json!({"typ": 1}))),
        ("critical", "/x", header(json!({"crit": ["exp"]}))),
        ("unencoded_payload", "/x", header(json!({"b64": false}))),
        ("payload_encoding", "/x", format!("{rs256}.A.AAAA")),
        ("signature_encoding", "/x", format!("{rs256}.{json}.A")),
        (
            "payload_json",
            "/x",
            format!("{rs256}.{}.AAAA", base64url("[]")),
        ),
        ("issuer_type", "/x", claims(json!({"iss": 1}))),
        ("subject_type", "/x", claims(json!({"sub": 1}))),
        ("audience_type", "/x", claims(json!({"aud": 1}))),
        ("id_type", "/x", claims(json!({"jti": 1}))),
        ("expiration_type", "/x", claims(json!({"exp": "1"}))),
        ("not_before_type", "/x", claims(json!({"nbf": "1"}))),
        ("issued_at_type", "/x", claims(json!({"iat": "1"}))),
        (
            "algorithm_not_allowed",
            "/x",
            header(json!({"alg": "ES256"})),
        ),
        (
            "signer",
            "/alb",
            padded(&unsigned(json!({"alg": "ES256"}), &good)),
        ),
        (
            "client",
            "/alb",
            padded(&unsigned(
                json!({"alg": "ES256", "signer": alb::ARN}),
                &good,
            )),
        ),
        (
            "issuer",
            "/x",
            claims(json!({"iss": "https://other.example/"})),
        ),
        ("not_yet_valid", "/x", claims(json!({"nbf": now() + 3600}))),
        ("expired", "/x", claims(json!({"exp": now() - 3600}))),
        ("no_expiration", "/x", claims(json!({"exp": null}))),
        (
            "issued_in_future",
            "/x",
            claims(json!({"iat": now() + 3600})),
        ),
        ("audience", "/x", claims(json!({"aud": "other"}))),
        ("subject", "/subject", claims(json!({"sub": "alice"}))),
        ("lifetime", "/lifetime", claims(json!({}))),
        ("sender_constrained", "/x", claims(json!({"cnf": {}}))),
        ("token_type", "/access", header(json!({"typ": "JWT"}))),
        ("no_issuer", "/access", access(json!({"iss": null}))),
        ("no_audience", "/access", access(json!({"aud": null}))),
        ("no_subject", "/access", access(json!({"sub": null}))),
        (
            "no_client_id",
            "/access",
            access(json!({"client_id": null})),
        ),
        ("no_issued_at", "/access", access(json!({"iat": null}))),
        ("no_id", "/access", access(json!({"jti": null}))),
        ("no_key", "/x", header(json!({"kid": "nobody's"}))),
        ("signature", "/x", with_signature_bit_flipped(&token, 9)),
        ("insufficient_scope", "/scoped", token.clone()),
        ("claim_rule", "/claims", token.clone()),
        ("keys_unavailable", "/down", token),
    ]
}

/// The filter's metrics, without those that change with each tick.
fn counted(stage: &Stage) -> BTreeMap<String, u64> {
    let stats = stage.envoy().stats().into_iter();
    stats
        .filter_map(|(name, value)| {
            let name = name.strip_prefix("wasmcustom.bearer_gate.")?.to_owned();
            let by_tick = ["jwks_", "token_cache", "waiting"];
            (!by_tick.iter().any(|start| name.starts_with(start))).then_some((name, value))
        })
        .collect()
}

/// Sends one request, and asserts which counters it moved, each by one.
fn moves(stage: &Stage, counters: &[&str], send: impl FnOnce() -> RawResponse) -> RawResponse {
    let before = counted(stage);
    let reply = send();
    let moved = || -> BTreeMap<String, u64> {
        let after = counted(stage).into_iter();
        after
            .map(|(name, value)| {
                let change = value - before.get(&name).unwrap_or(&0);
                (name, change)
            })
            .filter(|(_, change)| *change > 0)
            .collect()
    };
    let counters = counters.iter();
    let expected: BTreeMap<String, u64> = counters.map(|name| ((*name).to_owned(), 1)).collect();
    // A tick tells of those that were let through.
    holds_within(LIMIT, || moved() == expected);
    assert_eq!(moved(), expected, "{} {}", reply.status, reply.text());
    reply
}

#[test]
fn every_documented_counter_moves_by_what_it_counts() {
    let slow = Duration::from_secs(3);
    let stage = Stage::build(
        |_| {},
        |stage, builder| {
            let own = |name: &str, configuration: Value| Wasm {
                name: name.to_owned(),
                vm_id: name.to_owned(),
                ..Wasm::new(configuration)
            };
            let mut cold = config(stage);
            cold["max_waiting"] = json!(1);
            cold["providers"]["demo"]["remote_jwks"]["http_uri"]["uri"] =
                json!(format!("{}?cold", stage.idp.jwks_url()));
            let planted = json!({
                "name": "envoy.filters.network.set_filter_state",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.network.set_filter_state.v3.Config",
                    "on_new_connection": [{
                        "object_key": "wasm.bearer_gate.provider",
                        "factory_key": "envoy.string",
                        "format_string": {"text_format_source": {"inline_string": "planted"}},
                    }],
                },
            });
            builder
                .concurrency(1)
                .empty_cluster("nowhere")
                .wasm_filter(config(stage))
                .listener(
                    Listener::new("planted")
                        .network_filter(planted)
                        .filter(Filter::Wasm(own("planted", config(stage)))),
                )
                .listener(Listener::new("cold").filter(Filter::Wasm(own("cold", cold))))
        },
    );
    let address = stage.address();
    let good = stage.idp.good_token();
    let get = |target: &str, token: &str| {
        let bearer = format!("Bearer {token}");
        raw::get(address, target, &[("authorization", bearer.as_bytes())]).unwrap()
    };
    eventually(LIMIT, "keys", || get("/x", &good).status == 200);
    stage.assert_allowed(1);

    // Requests that are allowed.
    moves(&stage, &["allowed"], || get("/x", &good));
    moves(&stage, &["allowed"], || {
        raw::get(address, "/public", &[]).unwrap()
    });
    moves(&stage, &["allowed", "reported.token_missing"], || {
        raw::get(address, "/soon", &[]).unwrap()
    });
    let preflight: [(&str, &[u8]); 2] = [
        ("origin", b"https://a.example"),
        ("access-control-request-method", b"GET"),
    ];
    moves(&stage, &["allowed"], || {
        raw::request(address, &raw::head("OPTIONS", "/x", &preflight)).unwrap()
    });
    // Requests that the filter answers itself, whatever the status.
    let metadata = "/.well-known/oauth-protected-resource";
    for (method, status) in [("GET", 200), ("OPTIONS", 204), ("POST", 405)] {
        let reply = moves(&stage, &["answered"], || {
            raw::request(address, &raw::head(method, metadata, &[])).unwrap()
        });
        assert_eq!(reply.status, status);
    }

    // Requests that are rejected.
    let texts = texts();
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut rejected = |reason: &str, send: &dyn Fn() -> RawResponse| {
        let reply = moves(&stage, &[&format!("denied.{reason}")], send);
        let text = texts
            .get(reason)
            .unwrap_or_else(|| panic!("{reason} is not in the documents"));
        assert_eq!(&reply.json()["error_description"], text, "{reason}");
        seen.insert(reason.to_owned());
    };
    // One more fetch shows that no key has this kid.
    for (reason, target, token) in bad_tokens(&stage) {
        rejected(reason, &|| get(target, &token));
    }
    rejected("token_missing", &|| raw::get(address, "/x", &[]).unwrap());
    rejected("session_missing", &|| {
        raw::get(address, "/session", &[]).unwrap()
    });
    rejected("cross_site", &|| {
        raw::request(address, &raw::head("POST", "/sign-out", &[])).unwrap()
    });
    rejected("unsafe_path", &|| {
        raw::get(address, "/x%2f..", &[]).unwrap()
    });
    // One part of each request has several readings. Over HTTP/1.1 Envoy refuses such a method
    // itself.
    let get = |path| Message::get("testbed", path);
    let odd = [
        (
            "unsafe_method",
            Protocol::Http2,
            Message {
                method: b"post".to_vec(),
                ..get("/method")
            },
        ),
        (
            "unsafe_host",
            Protocol::Http1,
            Message::get("a..example", "/host"),
        ),
        (
            "unsafe_header",
            Protocol::Http1,
            get("/header")
                .header("x-mode", "open")
                .header("x-mode", "shut"),
        ),
        (
            "unsafe_query",
            Protocol::Http1,
            get("/query?mode=open&mode=shut"),
        ),
        (
            "token_list",
            Protocol::Http1,
            get("/list").header("x-token", "a, b"),
        ),
    ];
    for (reason, protocol, message) in odd {
        let order = Order {
            protocol,
            port: address.port(),
            message,
        };
        rejected(reason, &|| {
            send_all(std::slice::from_ref(&order)).remove(0).unwrap()
        });
    }
    rejected("no_rule", &|| raw::get(address, "/none", &[]).unwrap());
    let bearer = format!("Bearer {good}");
    let twice = [("authorization", bearer.as_bytes()); 2];
    rejected("several_tokens", &|| {
        raw::get(address, "/x", &twice).unwrap()
    });
    let planted = stage.envoy().address_of("planted");
    eventually(LIMIT, "keys", || {
        raw::get(planted, "/x", &[twice[0]])
            .unwrap()
            .text()
            .contains("pass this request on")
    });
    rejected("host_refused", &|| {
        raw::get(planted, "/x", &[twice[0]]).unwrap()
    });

    // One request waits and fills the line. A request that leaves the line moves only the gauge.
    stage.idp.set_jwks(Fault::Delay(slow));
    let cold = stage.envoy().address_of("cold");
    let unknown = {
        let claims = stage.idp.claims();
        stage.idp.rotate();
        format!("Bearer {}", stage.idp.token(&claims))
    };
    let request = raw::head("GET", "/x", &[("authorization", unknown.as_bytes())]);
    let before = counted(&stage);
    let mut waits = RawConnection::open(cold).unwrap();
    waits.send(&request).unwrap();
    let waiting = || stage.counter("bearer_gate.waiting");
    eventually(LIMIT, "one waits", || waiting() == 1);
    rejected("too_many_waiting", &|| {
        raw::request(cold, &request).unwrap()
    });
    drop(waits);
    eventually(LIMIT, "none waits", || waiting() == 0);
    let mut after = counted(&stage);
    after.remove("denied.too_many_waiting");
    assert_eq!(after, before);

    // Metrics that a tick moves.
    for name in [
        "token_cache.hit",
        "token_cache.miss",
        "jwks_fetch.demo.success",
        "jwks_fetch.down.failed",
        "jwks_age_seconds.demo",
    ] {
        let name = format!("bearer_gate.{name}");
        eventually(LIMIT, &name, || stage.counter(&name) > 0);
    }

    // The documents name exactly these.
    let never: BTreeSet<String> = NEVER_SEEN
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    let named: BTreeSet<String> = texts.into_keys().collect();
    assert_eq!(seen.union(&never).cloned().collect::<BTreeSet<_>>(), named);
    assert!(seen.is_disjoint(&never));
    let patterns: Vec<String> = table("docs/observability.md", "\n## Metrics\n")
        .into_iter()
        .map(|row| row[0].clone())
        .collect();
    let moved: BTreeSet<String> = stage
        .envoy()
        .stats()
        .into_keys()
        .filter_map(|name| name.strip_prefix("wasmcustom.").map(str::to_owned))
        .collect();
    let fits = |name: &str, pattern: &str| match pattern.split_once('<') {
        None => name == pattern,
        Some((start, rest)) => {
            let end = rest.split_once('>').unwrap().1;
            name.starts_with(start) && name.ends_with(end)
        }
    };
    for pattern in &patterns {
        assert!(
            moved.iter().any(|name| fits(name, pattern)),
            "{pattern} never moved"
        );
    }
    // Those of sign-in move in tests of their own. Some are there from the start, for alerts.
    let of_sign_in = table("docs/observability.md", "there are these metrics too:\n");
    let described = || patterns.iter().chain(of_sign_in.iter().map(|row| &row[0]));
    for name in moved {
        assert!(
            described().any(|pattern| fits(&name, pattern)),
            "{name} is not described"
        );
    }
    assert_eq!(stage.traps(), 0);
}

/// Their metrics are shared, and the log says so at the start.
#[tokio::test]
async fn providers_of_one_label_are_warned_about() {
    let stage = Stage::start(|stage| {
        json!({"providers": {
            "a.b": provider(stage, json!({})),
            "a_b": provider(stage, json!({})),
            "a-b": provider(stage, json!({})),
        }})
    });
    let log = stage.envoy().log();
    let warning = "providers a.b and a_b count in the same metrics: rename one";
    assert!(log.contains(warning), "{log}");
    assert!(!log.contains("a-b count"), "{log}");
}
