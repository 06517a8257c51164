//! One request over HTTP/1.1, HTTP/2 or HTTP/3, with any bytes in any part of it.
//!
//! HTTP/1.1 is written by [`crate::raw`]; the others by `tests/transports/client.py`, whose
//! libraries share no code with Envoy or hyper and check nothing of what they send.

use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::python::python;
use crate::raw::{self, RawResponse};

/// How many HTTP/1.1 requests are under way at once.
const LANES: usize = 6;

/// The versions of HTTP that Envoy takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// HTTP/1.1, without TLS.
    Http1,
    /// Without TLS, by prior knowledge.
    Http2,
    /// Over QUIC, always with TLS.
    Http3,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Http1, Self::Http2, Self::Http3];

    fn name(self) -> &'static str {
        match self {
            Self::Http1 => "h1",
            Self::Http2 => "h2",
            Self::Http3 => "h3",
        }
    }
}

/// Name and value of a header.
pub type Field = (Vec<u8>, Vec<u8>);

/// A request in the parts that HTTP/2 has, each of any bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// `:method`
    pub method: Vec<u8>,
    /// `:authority`; `Host` in HTTP/1.1, sent first.
    pub authority: Option<Vec<u8>>,
    /// `:path`; in HTTP/1.1 the request target, which is the authority where there is none.
    pub path: Option<Vec<u8>>,
    /// The other headers, in their order.
    pub headers: Vec<Field>,
    /// Sent in chunks in HTTP/1.1.
    pub body: Option<Vec<u8>>,
    /// After the body, which is empty where there is none.
    pub trailers: Vec<Field>,
}

impl Message {
    /// `GET` of this path.
    pub fn get(authority: &str, path: &str) -> Self {
        Self {
            method: b"GET".to_vec(),
            authority: Some(authority.into()),
            path: Some(path.into()),
            headers: Vec::new(),
            body: None,
            trailers: Vec::new(),
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The bytes of it in HTTP/1.1.
    pub fn http1(&self) -> Vec<u8> {
        let mut bytes = self.method.clone();
        let target = self.path.as_ref().or(self.authority.as_ref());
        bytes.push(b' ');
        bytes.extend(target.into_iter().flatten());
        bytes.extend(b" HTTP/1.1\r\n");
        let mut field = |name: &[u8], value: &[u8]| {
            bytes.extend([name, b": ", value, b"\r\n"].concat());
        };
        if let Some(authority) = &self.authority {
            field(b"host", authority);
        }
        for (name, value) in &self.headers {
            field(name, value);
        }
        let chunked = self.body.is_some() || !self.trailers.is_empty();
        if chunked {
            field(b"transfer-encoding", b"chunked");
        }
        bytes.extend(b"\r\n");
        if chunked {
            if let Some(body) = self.body.as_ref().filter(|body| !body.is_empty()) {
                bytes.extend(format!("{:x}\r\n", body.len()).bytes());
                bytes.extend(body);
                bytes.extend(b"\r\n");
            }
            bytes.extend(b"0\r\n");
            for (name, value) in &self.trailers {
                bytes.extend([name, &b": "[..], value, b"\r\n"].concat());
            }
            bytes.extend(b"\r\n");
        }
        bytes
    }

    fn order(&self, protocol: Protocol, port: u16) -> Value {
        let pair = |name: &[u8], value: &[u8]| json!([latin1(name), latin1(value)]);
        let mut headers = vec![pair(b":method", &self.method)];
        // CONNECT has neither a scheme nor a path (RFC 9113 section 8.5).
        if let Some(path) = &self.path {
            headers.push(pair(b":scheme", b"http"));
            headers.push(pair(b":path", path));
        }
        if let Some(authority) = &self.authority {
            headers.push(pair(b":authority", authority));
        }
        headers.extend(self.headers.iter().map(|(name, value)| pair(name, value)));
        let trailers = self.trailers.iter();
        let trailers: Vec<_> = trailers.map(|(n, v)| pair(n, v)).collect();
        json!({
            "protocol": protocol.name(),
            "port": port,
            "headers": headers,
            "trailers": trailers,
            "body": self.body.as_deref().map(latin1),
        })
    }
}

/// A request to a server on a loopback port.
#[derive(Clone, Debug)]
pub struct Order {
    /// How it is sent.
    pub protocol: Protocol,
    /// To which port.
    pub port: u16,
    /// What is sent.
    pub message: Message,
}

/// The answer, or why there is none.
pub type Answer = Result<RawResponse, String>;

/// Sends them all, some at a time, and returns the answers in the same order.
///
/// # Panics
/// When the client of HTTP/2 and HTTP/3 fails as a whole.
pub fn send_all(orders: &[Order]) -> Vec<Answer> {
    let (of_http1, others): (Vec<usize>, Vec<usize>) =
        (0..orders.len()).partition(|at| orders[*at].protocol == Protocol::Http1);
    let answers = Mutex::new(vec![Err("not sent".to_owned()); orders.len()]);
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        if !others.is_empty() {
            scope.spawn(|| {
                let chosen: Vec<&Order> = others.iter().map(|at| &orders[*at]).collect();
                let came = by_python(&chosen);
                let mut answers = answers.lock().expect("no panic while locked");
                for (at, answer) in others.iter().zip(came) {
                    answers[*at] = answer;
                }
            });
        }
        for _ in 0..LANES.min(of_http1.len()) {
            scope.spawn(|| {
                while let Some(at) = of_http1.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let order = &orders[*at];
                    let address = SocketAddr::from(([127, 0, 0, 1], order.port));
                    // A connection for each: whatever is wrong with one request is not taken for
                    // the next one's.
                    let answer = raw::request(address, &order.message.http1());
                    answers.lock().expect("no panic while locked")[*at] =
                        answer.map_err(|error| error.to_string());
                }
            });
        }
    });
    answers.into_inner().expect("no panic while locked")
}

fn by_python(orders: &[&Order]) -> Vec<Answer> {
    let orders = orders
        .iter()
        .map(|order| order.message.order(order.protocol, order.port))
        .collect();
    let idle = IDLE.lock().expect("no panic while locked").pop();
    let mut client = idle.unwrap_or_else(Client::start);
    let answers = client.send(&orders).expect("a client; run `make e2e`");
    IDLE.lock().expect("no panic while locked").push(client);
    answers.iter().map(answer).collect()
}

/// Clients that nobody uses just now: Python takes longer to start than to send. They end with this process, which
/// closes what they read.
static IDLE: Mutex<Vec<Client>> = Mutex::new(Vec::new());

/// `tests/transports/client.py`, running.
#[derive(Debug)]
struct Client {
    process: Child,
    answers: BufReader<ChildStdout>,
}

impl Client {
    fn start() -> Self {
        let mut process = python("tests/transports/client.py")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3");
        let answers = BufReader::new(process.stdout.take().expect("piped"));
        Self { process, answers }
    }

    fn send(&mut self, orders: &Value) -> io::Result<Vec<Value>> {
        let stdin = self.process.stdin.as_mut().expect("piped");
        writeln!(stdin, "{orders}")?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    }
}

fn answer(answer: &Value) -> Answer {
    let Some(status) = answer["status"].as_u64() else {
        return Err(answer["error"].as_str().unwrap_or("no answer").to_owned());
    };
    let headers = answer["headers"].as_array().into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(RawResponse {
        status: u16::try_from(status).expect("a status"),
        headers: headers
            .map(|pair| (text(&pair[0]), text(&pair[1]).into_bytes()))
            .collect(),
        body: text(&answer["body"]).into_bytes(),
    })
}

/// A text whose characters are these bytes.
fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_in_its_forms() {
        let mut message = Message::get("a.example", "/x").header("b", b"\xa0c".as_slice());
        assert_eq!(
            message.http1(),
            b"GET /x HTTP/1.1\r\nhost: a.example\r\nb: \xa0c\r\n\r\n"
        );
        let order = message.order(Protocol::Http3, 1);
        let headers = json!([
            [":method", "GET"],
            [":scheme", "http"],
            [":path", "/x"],
            [":authority", "a.example"],
            ["b", "\u{a0}c"]
        ]);
        assert_eq!(
            (&order["headers"], &order["protocol"]),
            (&headers, &json!("h3"))
        );

        message.body = Some(b"hello".to_vec());
        message.trailers = vec![(b"t".to_vec(), b"1".to_vec())];
        let text = String::from_utf8_lossy(&message.http1()).into_owned();
        assert!(text.ends_with("chunked\r\n\r\n5\r\nhello\r\n0\r\nt: 1\r\n\r\n"));

        message = Message {
            method: b"CONNECT".to_vec(),
            path: None,
            ..Message::get("a.example:443", "")
        };
        assert!(
            message
                .http1()
                .starts_with(b"CONNECT a.example:443 HTTP/1.1\r\n")
        );
        let names = message.order(Protocol::Http2, 1)["headers"].to_string();
        assert!(
            !names.contains(":path") && !names.contains(":scheme"),
            "{names}"
        );
    }
}
