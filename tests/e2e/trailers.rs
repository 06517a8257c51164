//! Trailers, and header names that are not text.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use bearer_gate_testbed::envoy::{Filter, Listener, Wasm};
use bearer_gate_testbed::idp::Fault;
use bearer_gate_testbed::raw;
use serde_json::json;

use crate::stage::{Stage, provider};

const LIMIT: Duration = Duration::from_secs(20);

/// An upstream that speaks HTTP/1.1, and hands out what it got, trailers and all.
fn upstream() -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, sender) = (stream.unwrap(), sender.clone());
            thread::spawn(move || {
                let (mut got, mut buffer) = (Vec::new(), [0; 4096]);
                // The last chunk, then trailers, then an empty line.
                while !ends(&got) {
                    match stream.read(&mut buffer) {
                        Ok(read @ 1..) => got.extend_from_slice(&buffer[..read]),
                        _ => return,
                    }
                }
                let _ = sender.send(String::from_utf8_lossy(&got).into_owned());
                let _ = stream.write_all(
                    b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
                );
            });
        }
    });
    (address, receiver)
}

fn ends(got: &[u8]) -> bool {
    let last = got.windows(5).position(|part| part == b"\r\n0\r\n");
    last.is_some() && got.ends_with(b"\r\n\r\n")
}

/// One request over HTTP/2, by a client that checks nothing.
mod h2 {
    use super::*;

    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const RST_STREAM: u8 = 3;
    const SETTINGS: u8 = 4;
    const PING: u8 = 6;
    const GOAWAY: u8 = 7;
    const END_STREAM: u8 = 1;
    const END_HEADERS: u8 = 4;

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend_from_slice(payload);
        frame
    }

    /// A string literal without Huffman's code (RFC 7541 section 5.2).
    fn string(into: &mut Vec<u8>, text: &[u8]) {
        match u8::try_from(text.len()) {
            Ok(length @ ..127) => into.push(length),
            _ => {
                into.push(127);
                let mut rest = text.len() - 127;
                while rest >= 128 {
                    into.push(u8::try_from(rest % 128).unwrap() | 128);
                    rest /= 128;
                }
                into.push(u8::try_from(rest).unwrap());
            }
        }
        into.extend_from_slice(text);
    }

    /// Literals with new names (section 6.2.2).
    fn block(headers: &[(&[u8], &[u8])]) -> Vec<u8> {
        let mut block = Vec::new();
        for (name, value) in headers {
            block.push(0);
            string(&mut block, name);
            string(&mut block, value);
        }
        block
    }

    /// The status of a POST with a body and trailers; `None` where the stream or the connection is
    /// reset. Envoy encodes 200 by its index, others as a literal of 3 digits.
    pub(crate) fn post(
        address: SocketAddr,
        path: &str,
        headers: &[(&[u8], &[u8])],
        trailers: &[(&[u8], &[u8])],
    ) -> Option<u16> {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let mut all: Vec<(&[u8], &[u8])> = vec![
            (b":method", b"POST"),
            (b":scheme", b"http"),
            (b":path", path.as_bytes()),
            (b":authority", b"testbed"),
        ];
        all.extend_from_slice(headers);
        let mut bytes = PREFACE.to_vec();
        bytes.extend(frame(SETTINGS, 0, 0, &[]));
        bytes.extend(frame(HEADERS, END_HEADERS, 1, &block(&all)));
        bytes.extend(frame(DATA, 0, 1, b"body"));
        let trailers = block(trailers);
        bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, 1, &trailers));
        stream.write_all(&bytes).unwrap();
        loop {
            let mut head = [0; 9];
            stream.read_exact(&mut head).ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            stream.read_exact(&mut payload).ok()?;
            match head[3] {
                HEADERS => return status(&payload),
                RST_STREAM | GOAWAY => return None,
                SETTINGS | PING if head[4] & 1 == 0 => {
                    let ack = if head[3] == PING { payload } else { Vec::new() };
                    stream.write_all(&frame(head[3], 1, 0, &ack)).unwrap();
                }
                _ => {}
            }
        }
    }

    /// `:status` is first (RFC 7541 appendix A: 8 to 14 are statuses).
    fn status(block: &[u8]) -> Option<u16> {
        let block = match block {
            // a change of the table's size
            [size, rest @ ..] if size >> 5 == 1 => rest,
            block => block,
        };
        match block {
            [indexed @ 0x88..=0x8e, ..] => {
                let statuses = [200, 204, 206, 304, 400, 404, 500];
                Some(statuses[usize::from(indexed - 0x88)])
            }
            // the name by its index, then three digits, plain or by Huffman's code
            [_, 3, digits @ ..] => std::str::from_utf8(&digits[..3]).ok()?.parse().ok(),
            [_, 0x82, first, second, ..] => {
                let bits = u16::from_be_bytes([*first, *second]);
                huffman_digits(bits)
            }
            other => panic!("{other:?}"),
        }
    }

    /// Three digits in 16 bits: 0, 1 and 2 have codes of five bits, 3 to 9 of six (appendix B).
    fn huffman_digits(mut bits: u16) -> Option<u16> {
        let mut number = 0;
        for _ in 0..3 {
            let five = bits >> 11;
            let (digit, length) = if five < 3 {
                (five, 5)
            } else {
                ((bits >> 10).checked_sub(0b011001)? + 3, 6)
            };
            number = number * 10 + digit;
            bits <<= length;
        }
        Some(number)
    }
}

/// `bodies`: whether Envoy hands the filter what follows the headers of a request that it holds
/// back.
fn stage(upstream: SocketAddr, bodies: bool) -> Stage {
    let trailers = json!({"enable_trailers": true});
    let options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    let cluster = json!({
        "name": "trailers",
        "type": "STATIC",
        "load_assignment": {
            "cluster_name": "trailers",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"socket_address": {
                "address": "127.0.0.1", "port_value": upstream.port(),
            }}}}]}],
        },
        "typed_extension_protocol_options": {options: {
            "@type": format!("type.googleapis.com/{options}"),
            "explicit_http_config": {"http_protocol_options": trailers},
        }},
    });
    Stage::build(
        // The first request waits for keys.
        |idp| idp.set_jwks(Fault::Delay(Duration::from_secs(1))),
        |stage, builder| {
            let config = json!({
                "providers": {"demo": provider(stage, json!({
                    "claim_to_headers": [{"header_name": "x-user-id", "claim_name": "sub"}],
                    "forward_payload_header": "x-jwt-payload",
                    "from_cookies": ["session"],
                    "from_headers": [{"name": "Authorization", "value_prefix": "Bearer "}],
                }))},
                "rules": [
                    {"match": {"prefix": "/public"}},
                    {"match": {"prefix": "/soon"}, "requires": {"provider_name": "demo"}, "report_only": true},
                    {"match": {"prefix": "/"}, "requires": {"provider_name": "demo"}},
                ],
            });
            let mut wasm = Wasm::new(config);
            wasm.bodies = bodies;
            builder.raw_cluster(cluster).listener(
                Listener::new("main")
                    .filter(Filter::Wasm(wasm))
                    .hcm("http_protocol_options", trailers.clone())
                    .route_to("trailers"),
            )
        },
    )
}

/// Every spelling of what the filter sets, and a name that is the client's own.
const FORGED: [&str; 10] = [
    "x-user.id",
    "x~user-id",
    "x-user-id",
    "x_user_id",
    "x-user_id",
    "x_user-id",
    "x-jwt-payload",
    "x_jwt_payload",
    "x-bearer-gate-report",
    "x_bearer_gate_report",
];

#[test]
fn a_client_cannot_set_what_the_filter_sets_in_trailers() {
    forge_in_trailers(false);
}

#[test]
fn a_client_cannot_set_what_the_filter_sets_in_trailers_where_the_filter_gets_bodies() {
    forge_in_trailers(true);
}

fn forge_in_trailers(bodies: bool) {
    let (address, received) = upstream();
    let stage = stage(address, bodies);
    let bearer = format!("Bearer {}", stage.idp.good_token());
    let mut trailers: Vec<(&[u8], &[u8])> = FORGED
        .iter()
        .map(|name| (name.as_bytes(), b"forged".as_slice()))
        .collect();
    trailers.push((b"x-checksum", b"abc"));
    let mut in_text = String::new();
    for (name, value) in &trailers {
        // HTTP/1.1 has upper case too.
        let name = String::from_utf8_lossy(name).to_uppercase();
        in_text.push_str(&format!("{name}: {}\r\n", String::from_utf8_lossy(value)));
    }
    let assert_clean = |what: &str| {
        let got: String = received.recv_timeout(LIMIT).expect(what);
        assert!(!got.contains("forged"), "{what}: {got}");
        let (_, trailers) = got.split_once("\r\n0\r\n").expect("trailers");
        assert_eq!(trailers, "x-checksum: abc\r\n\r\n", "{what}");
    };
    for path in ["/x", "/public", "/soon", "/x"] {
        let status = h2::post(
            stage.address(),
            path,
            &[(b"authorization", bearer.as_bytes())],
            &trailers,
        );
        assert_eq!(status, Some(200), "{path}");
        assert_clean(path);
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: testbed\r\nauthorization: {bearer}\r\n\
             transfer-encoding: chunked\r\nconnection: close\r\n\r\n4\r\nbody\r\n0\r\n{in_text}\r\n"
        );
        let reply = raw::request(stage.address(), request.as_bytes()).unwrap();
        assert_eq!(reply.status, 200, "{path}");
        assert_clean(path);
    }
    // A rejected request does not reach the upstream, whatever its trailers are.
    let status = h2::post(stage.address(), "/x", &[], &trailers);
    assert_eq!(status, Some(401));
    assert!(received.recv_timeout(Duration::from_millis(300)).is_err());
    stage.assert_allowed(8);
    assert_eq!(stage.traps(), 0);
}

/// The filter would answer 503 if such a name reached it.
#[test]
fn names_that_are_no_text_are_refused_before_the_filter() {
    let (address, _received) = upstream();
    let stage = stage(address, false);
    for name in [
        b"x-\xff".as_slice(),
        b"\x80",
        b"x\xc3\xa9",
        b"x-\xed\xa0\x80",
    ] {
        for path in ["/x", "/public"] {
            let request = raw::head("GET", path, &[]);
            let end = request.len() - 2;
            let request = [&request[..end], name, b": a\r\n\r\n"].concat();
            let status = raw::request(stage.address(), &request).map(|reply| reply.status);
            assert!(matches!(status, Ok(400) | Err(_)), "{name:?} {status:?}");
            let headers = h2::post(stage.address(), path, &[(name, b"a")], &[]);
            assert!(matches!(headers, None | Some(400)), "{name:?} {headers:?}");
            let trailers = h2::post(stage.address(), "/public", &[], &[(name, b"a")]);
            assert!(
                matches!(trailers, None | Some(400)),
                "{name:?} {trailers:?}"
            );
        }
    }
    assert_eq!(stage.traps(), 0);
}
