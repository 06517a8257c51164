//! `explain --admin` where no Envoy answers, or one that lies. With a real Envoy:
//! `cli/tests/explain_admin.rs`.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use serde_json::{Value, json};

use super::{Files, run};

/// Answers each path with a page, until it was asked so often. Its address.
fn admin(times: usize, page: impl Fn(&str) -> Option<String> + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().take(times) {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let mut header = String::new();
            while reader.read_line(&mut header).unwrap() > 2 {
                header.clear();
            }
            let path = line.split(' ').nth(1).unwrap();
            let (status, body) = match page(path) {
                Some(body) => ("200 OK", body),
                None => ("302 Found\r\nlocation: http://127.0.0.1:1/", String::new()),
            };
            let length = body.len();
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
        }
    });
    address
}

const EVIL: &str = "\u{1b}[2J\u{202e}\u{9b}";

/// The pages of an Envoy in which everything that can be a name steers a terminal.
fn evil(path: &str) -> Value {
    let name = format!("evil{EVIL}");
    match path.split('?').next().unwrap() {
        "/server_info" => {
            json!({"version": format!("c/1.40.0{EVIL}/x"), "state": name, "uptime_current_epoch": name})
        }
        "/config_dump" => json!({"configs": [{"dynamic_listeners": [{
            "name": name,
            "error_state": {},
            "active_state": {"listener": {"name": name, "filter_chains": [{"filters": [{"typed_config": {
                "http_filters": [{"typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
                    "config": {"name": name, "configuration": {
                        "@type": "type.googleapis.com/google.protobuf.StringValue",
                        "value": json!({"unmatched": "deny", "rules": [], (name.as_str()): 1}).to_string(),
                    }},
                }}],
            }}]}]}},
        }]}]}),
        "/stats" => json!({"stats": [
            {"name": format!("wasmcustom.bearer_gate.denied.{name}"), "value": "18446744073709551615"},
            {"name": "wasmcustom.bearer_gate.denied.expired", "value": "18446744073709551615"},
        ]}),
        _ => json!({"cluster_statuses": [{"name": name}]}),
    }
}

const CONFIG: &str = "providers:
  p:
    issuer: https://i.example/
    audiences: [api]
    remote_jwks:
      http_uri: {uri: http://127.0.0.1:1/jwks, cluster: c, timeout: 1s}
rules:
- match: {prefix: /}
  requires: {provider_name: p}
";

#[test]
fn nothing_of_an_admin_interface_steers_who_reads() {
    let files = Files::in_a_directory();
    let config = files.with("c.yaml", CONFIG);
    for json in [&[][..], &["--json"]] {
        let address = admin(4, |path| Some(evil(path).to_string()));
        let arguments = ["explain", "--config", &config, "--admin", &address];
        let ran = run(&[&arguments[..], json].concat());
        assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
        for told in [
            "evil",
            "does not exist",
            "rejected: ",
            "did not take the newest",
        ] {
            assert!(ran.out.contains(told), "{told}: {}", ran.out);
        }
        assert!(
            !ran.out.contains(['\u{1b}', '\u{202e}', '\u{9b}']),
            "{:?}",
            ran.out
        );
        // Without a file, what runs is refused, by its path.
        let address = admin(4, |path| Some(evil(path).to_string()));
        let arguments = ["explain", "--admin", &address];
        let ran = run(&[&arguments[..], json].concat());
        assert_eq!(ran.code, 2, "{}{}", ran.out, ran.err);
        assert!(ran.err.contains("/config_dump: evil"), "{}", ran.err);
        assert!(
            !ran.err.contains(['\u{1b}', '\u{202e}', '\u{9b}']),
            "{:?}",
            ran.err
        );
    }
}

#[test]
fn what_is_no_admin_interface_is_said_to_be_none() {
    let files = Files::in_a_directory();
    let config = files.with("c.yaml", CONFIG);
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    for (address, told) in [
        (closed, "/server_info: "),
        (admin(1, |_| None), "/server_info: status 302"),
        (
            admin(1, |_| Some("<p>".to_owned())),
            "not what Envoy's admin interface answers",
        ),
        (
            admin(1, |_| Some("[]".to_owned())),
            "not what Envoy's admin interface answers",
        ),
        (
            "http://envoy.example:9901".to_owned(),
            "not a loopback address",
        ),
        ("https://127.0.0.1:9901".to_owned(), "the address is http"),
    ] {
        let ran = run(&["explain", "--config", &config, "--admin", &address]);
        assert_eq!(ran.code, 2, "{address}: {}", ran.out);
        assert!(ran.err.contains(told), "{address}: {}", ran.err);
    }
}
