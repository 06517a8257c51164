//! Filter state whose name another filter holds: an admission that needs the name is refused with a
//! reason, and no worker is lost.

use bearer_gate_testbed::envoy::{Filter, Listener, Wasm};
use bearer_gate_testbed::http::Reply;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::stage::{Stage, provider};

const SUBJECT: &str = "bearer_gate.subject";

/// A module that declares a property as read-only and sets it on every request: the second filter
/// that sets it is refused.
fn planter(property: &str) -> Vec<u8> {
    let length = property.len();
    // `DeclarePropertyArguments`: name, read-only, a string.
    let declaration = format!("\\0a\\{length:02x}{property}\\10\\01\\18\\01");
    let module = format!(
        r#"(module
            (import "env" "proxy_set_property"
                (func $set (param i32 i32 i32 i32) (result i32)))
            (import "env" "proxy_call_foreign_function"
                (func $call (param i32 i32 i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 0) "declare_property")
            (data (i32.const 64) "{declaration}")
            (data (i32.const 512) "{property}")
            (data (i32.const 1024) "planted")
            (func (export "proxy_abi_version_0_2_1"))
            (func (export "proxy_on_memory_allocate") (param i32) (result i32) i32.const 8192)
            (func (export "proxy_on_context_create") (param i32 i32))
            (func (export "proxy_on_vm_start") (param i32 i32) (result i32) i32.const 1)
            (func (export "proxy_on_configure") (param i32 i32) (result i32)
                (drop (call $call
                    (i32.const 0) (i32.const 16) (i32.const 64) (i32.const {declared})
                    (i32.const 2048) (i32.const 2052)))
                i32.const 1)
            (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
                (drop (call $set
                    (i32.const 512) (i32.const {length}) (i32.const 1024) (i32.const 7)))
                i32.const 0))"#,
        declared = 2 + length + 4,
    );
    wat::parse_str(module).expect("a module")
}

/// Envoy's filter of this kind, which sets `wasm.bearer_gate.subject`.
fn set_filter_state(network: bool, read_only: bool) -> Value {
    let (kind, when) = if network {
        ("network", "on_new_connection")
    } else {
        ("http", "on_request_headers")
    };
    json!({
        "name": format!("envoy.filters.{kind}.set_filter_state"),
        "typed_config": {
            "@type": format!("type.googleapis.com/envoy.extensions.filters.{kind}.set_filter_state.v3.Config"),
            when: [{
                "object_key": format!("wasm.{SUBJECT}"),
                "factory_key": "envoy.string",
                "format_string": {"text_format_source": {"inline_string": "planted"}},
                "read_only": read_only,
            }],
        },
    })
}

fn config(stage: &Stage) -> Value {
    json!({
        "providers": {"demo": provider(stage, json!({}))},
        "rules": [
            {"match": {"prefix": "/public"}},
            {"match": {"prefix": "/"}, "requires": {"provider_name": "demo"}},
        ],
        "filter_state": ["reason", "subject"],
    })
}

async fn get(stage: &Stage, listener: &str, target: &str, token: &str) -> Reply {
    let url = stage.envoy().url_of(listener, target);
    stage.client.get_with(&url, token).await
}

#[tokio::test]
async fn a_name_that_another_filter_holds_is_a_refused_admission() {
    let files = TempDir::new().unwrap();
    let module = files.path().join("planter.wasm");
    std::fs::write(&module, planter(SUBJECT)).unwrap();
    let gate = |stage: &Stage| Filter::Wasm(Wasm::new(config(stage)));
    let stage = Stage::build(
        |_| {},
        |stage, builder| {
            let planter = Filter::Wasm(Wasm {
                module: module.clone(),
                name: "planter".into(),
                vm_id: "planter".into(),
                ..Wasm::new(json!({}))
            });
            let mut builder = builder
                .listener(Listener::new("plain").filter(gate(stage)))
                .listener(Listener::new("wasm").filter(planter).filter(gate(stage)));
            for (name, network, read_only) in [
                ("connection", true, true),
                ("connection-mutable", true, false),
                ("request", false, true),
                ("request-mutable", false, false),
            ] {
                let other = set_filter_state(network, read_only);
                let listener = Listener::new(name);
                let listener = if network {
                    listener.network_filter(other)
                } else {
                    listener.filter(Filter::Other(other))
                };
                builder = builder.listener(listener.filter(gate(stage)));
            }
            builder
        },
    );
    let token = stage.idp.good_token();
    assert_eq!(get(&stage, "plain", "/x", &token).await.status, 200);
    stage.assert_allowed(1);
    let mut refused = 0;
    for listener in [
        "wasm",
        "connection",
        "connection-mutable",
        "request",
        "request-mutable",
    ] {
        // Twice on each of both workers, and no worker is lost.
        for _ in 0..4 {
            let before = stage.upstream.requests();
            let reply = get(&stage, listener, "/x", &token).await;
            assert_eq!(
                (reply.status, reply.body.as_str()),
                (
                    503,
                    r#"{"error":"server_error","error_description":"The gateway cannot pass this request on"}"#
                ),
                "{listener}"
            );
            assert_eq!(reply.header("www-authenticate"), None);
            assert_eq!(stage.upstream.requests(), before, "{listener}");
            refused += 1;
        }
        // Requests that set no state of that name pass as before.
        assert_eq!(get(&stage, listener, "/public", &token).await.status, 200);
        assert_eq!(get(&stage, listener, "/x", "bad").await.status, 401);
    }
    assert_eq!(stage.counter("bearer_gate.denied.host_refused"), refused);
    assert_eq!(stage.counter("bearer_gate.denied.keys_unavailable"), 0);
    stage.assert_allowed(1 + 5);
    assert_eq!(stage.traps(), 0);
    // Envoy itself says nothing, but for writing to what it has given up.
    assert_eq!(stage.envoy().stat("server.envoy_bug_failures"), 0);
}

#[tokio::test]
async fn two_gates_in_one_chain_tell_of_the_same_names() {
    let stage = Stage::build(
        |_| {},
        |stage, builder| {
            let second = Wasm {
                name: "second".into(),
                vm_id: "second".into(),
                ..Wasm::new(config(stage))
            };
            let mut first = config(stage);
            first["providers"]["demo"]["forward"] = json!(true);
            builder.listener(Listener::wasm("main", first).filter(Filter::Wasm(second)))
        },
    );
    let token = stage.idp.good_token();
    for _ in 0..4 {
        assert_eq!(get(&stage, "main", "/x", &token).await.status, 200);
    }
    stage.assert_allowed(8);
}
