//! An HTTP/1.1 client over a plain socket, for requests that a proper client refuses to send:
//! bytes that are not UTF-8, doubled headers, odd request targets, bodies sent half.
//!
//! It is synchronous and needs no runtime; every call has a time limit.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// The time limit of a connect, and of a wait for bytes.
pub const TIME_LIMIT: Duration = Duration::from_secs(30);

/// Names in lower case, in order, repeated where they were.
pub type Headers = Vec<(String, Vec<u8>)>;

/// A response, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawResponse {
    /// The status code.
    pub status: u16,
    /// The headers, as bytes.
    pub headers: Headers,
    /// The body, out of its chunks.
    pub body: Vec<u8>,
}

impl RawResponse {
    /// The first value under a name in lower case, when it is UTF-8.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(known, _)| known == name)?;
        std::str::from_utf8(value).ok()
    }

    /// The body as text; what is not UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is not.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{e}: {} {}", self.status, self.text()))
    }
}

/// Sends these bytes on a new connection and reads one response.
///
/// # Errors
/// Those of the socket; `UnexpectedEof` when the connection closes without a response,
/// `InvalidData` when it is not HTTP.
pub fn request(address: SocketAddr, bytes: &[u8]) -> io::Result<RawResponse> {
    let mut connection = RawConnection::open(address)?;
    connection.send(bytes)?;
    connection.response()
}

/// The bytes of a request without a body. `headers` follow `Host` and `Connection: close`.
pub fn head(method: &str, target: &str, headers: &[(&str, &[u8])]) -> Vec<u8> {
    let start = format!("{method} {target} HTTP/1.1\r\nhost: testbed\r\nconnection: close\r\n");
    let mut bytes = start.into_bytes();
    for (name, value) in headers {
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}

/// `GET` with any bytes as header values.
///
/// # Errors
/// As [`request`].
pub fn get(
    address: SocketAddr,
    target: &str,
    headers: &[(&str, &[u8])],
) -> io::Result<RawResponse> {
    request(address, &head("GET", target, headers))
}

/// One connection, to send a request in pieces, send several, or hang up by dropping it.
#[derive(Debug)]
pub struct RawConnection {
    reader: BufReader<TcpStream>,
}

impl RawConnection {
    /// Connects.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, TIME_LIMIT)?;
        stream.set_read_timeout(Some(TIME_LIMIT))?;
        stream.set_write_timeout(Some(TIME_LIMIT))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            reader: BufReader::new(stream),
        })
    }

    /// How long [`RawConnection::response`] waits for the next bytes.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn set_time_limit(&self, limit: Duration) -> io::Result<()> {
        self.reader.get_ref().set_read_timeout(Some(limit))
    }

    /// Sends these bytes.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.reader.get_mut().write_all(bytes)
    }

    /// Reads one response to a request other than HEAD.
    ///
    /// # Errors
    /// As [`request`].
    pub fn response(&mut self) -> io::Result<RawResponse> {
        loop {
            let (status, headers) = self.response_head()?;
            if status == 100 {
                continue;
            }
            let mut response = RawResponse {
                status,
                headers,
                body: Vec::new(),
            };
            response.body = self.body(&response)?;
            return Ok(response);
        }
    }

    fn response_head(&mut self) -> io::Result<(u16, Headers)> {
        let status_line = String::from_utf8_lossy(&self.line()?).into_owned();
        let status = status_line
            .strip_prefix("HTTP/1.")
            .and_then(|rest| rest.split(' ').nth(1))
            .and_then(|code| code.parse().ok())
            .ok_or_else(|| invalid(&status_line))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok((status, headers));
            }
            let colon = line.iter().position(|byte| *byte == b':');
            let colon = colon.ok_or_else(|| invalid("a header without a colon"))?;
            let name = String::from_utf8_lossy(&line[..colon]).to_ascii_lowercase();
            headers.push((name, line[colon + 1..].trim_ascii().to_vec()));
        }
    }

    fn body(&mut self, response: &RawResponse) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        if matches!(response.status, 204 | 304) {
            return Ok(body);
        }
        if response.header("transfer-encoding") == Some("chunked") {
            loop {
                let line = String::from_utf8_lossy(&self.line()?).into_owned();
                let size = line.split(';').next().unwrap_or_default();
                let size = usize::from_str_radix(size, 16).map_err(|_| invalid(&line))?;
                if size == 0 {
                    while !self.line()?.is_empty() {}
                    return Ok(body);
                }
                let start = body.len();
                body.resize(start + size, 0);
                self.reader.read_exact(&mut body[start..])?;
                self.line()?;
            }
        }
        if let Some(length) = response.header("content-length") {
            body.resize(length.parse().map_err(|_| invalid(length))?, 0);
            self.reader.read_exact(&mut body)?;
        } else {
            self.reader.read_to_end(&mut body)?;
        }
        Ok(body)
    }

    fn line(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        self.reader.read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(line)
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}
