//! An upstream that answers with what it received, and counts.
//!
//! Invariant: a request counts when its head arrives and a body byte when it arrives, so "nothing
//! reached the upstream" can be asserted while a request is still in progress. A request line that
//! hyper itself refuses (400 without a body) is not counted.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use serde_json::{Value, json};

use crate::serve::Server;

/// Longer bodies are counted but not echoed, in bytes.
pub const MAX_ECHOED_BODY: usize = 64 * 1024;

/// A running upstream; dropping it stops it.
#[derive(Debug)]
pub struct Upstream {
    shared: Arc<Shared>,
    address: SocketAddr,
    server: Mutex<Option<Server>>,
}

#[derive(Debug, Default)]
struct Shared {
    requests: AtomicU64,
    body_bytes: AtomicU64,
    last: Mutex<Option<Value>>,
}

impl Upstream {
    /// On a free loopback port.
    pub fn start() -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self::start_on(any).expect("a free loopback port")
    }

    /// On this address.
    ///
    /// # Errors
    /// When it cannot be bound.
    pub fn start_on(address: SocketAddr) -> io::Result<Self> {
        Self::start_with(address, Router::new())
    }

    /// On this address, with pages of its own; their requests are not counted.
    ///
    /// # Errors
    /// When it cannot be bound.
    pub fn start_with(address: SocketAddr, pages: Router) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let server = Server::start(address, |_| pages.merge(router(shared.clone())))?;
        Ok(Self {
            shared,
            address: server.address(),
            server: Mutex::new(Some(server)),
        })
    }

    /// The address that it listens on, also while stopped.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Requests whose head arrived.
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// Bytes of bodies that arrived.
    pub fn body_bytes(&self) -> u64 {
        self.shared.body_bytes.load(Ordering::SeqCst)
    }

    /// What was answered last, for requests whose answer never reached the test.
    pub fn last(&self) -> Option<Value> {
        let last = self.shared.last.lock();
        last.expect("no panic while locked").clone()
    }

    /// Closes the port and cuts all connections.
    pub fn stop(&self) {
        drop(self.server.lock().expect("no panic while locked").take());
    }
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new().fallback(echo).with_state(shared)
}

async fn echo(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    shared.requests.fetch_add(1, Ordering::SeqCst);
    let (head, body) = request.into_parts();
    let mut body = body;
    let (mut length, mut kept) = (0u64, Vec::new());
    let mut trailers = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        let chunk = match frame.into_data() {
            Ok(chunk) => chunk,
            Err(frame) => {
                trailers = frame.trailers_ref().map(pairs).unwrap_or_default();
                continue;
            }
        };
        let bytes = chunk.len() as u64;
        length += bytes;
        shared.body_bytes.fetch_add(bytes, Ordering::SeqCst);
        if kept.len() <= MAX_ECHOED_BODY {
            kept.extend_from_slice(&chunk);
        }
    }
    let mut seen = json!({
        "method": head.method.as_str(),
        "path": head.uri.path(),
        "query": head.uri.query(),
        "headers": pairs(&head.headers),
        "trailers": trailers,
        "body_length": length,
    });
    if kept.len() <= MAX_ECHOED_BODY
        && let Ok(text) = String::from_utf8(kept)
    {
        seen["body"] = json!(text);
    }
    *shared.last.lock().expect("no panic while locked") = Some(seen.clone());
    let json = [(header::CONTENT_TYPE, "application/json")];
    (json, seen.to_string()).into_response()
}

fn pairs(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            (name.to_string(), value.into_owned())
        })
        .collect()
}
