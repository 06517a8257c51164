//! The ways in which a key document's endpoint can misbehave, SECURITY.md B1 to B4.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::Value;
use tokio::sync::Semaphore;

/// What an endpoint does in place of answering well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// Answers well.
    #[default]
    Ok,
    /// This status with a JSON error. A 3xx redirects to [`super::REDIRECT_PATH`], which serves
    /// the good JWK Set and counts who follows.
    Status(u16),
    /// This status with this `Retry-After`.
    Later(u16, String),
    /// 200 with an HTML page, as a captive portal or a maintenance page.
    Html,
    /// 200 with the first half of the document and a length that fits it.
    TruncatedJson,
    /// 200 with `{}`.
    EmptyObject,
    /// 200 with `{"keys": []}`.
    EmptyKeys,
    /// 200 with the good document padded to this many bytes: valid JSON all through.
    Huge(usize),
    /// The good document, a byte per interval.
    SlowDrip(Duration),
    /// The whole length announced, half of it sent, then the connection closed.
    CloseHalfway,
    /// Takes the request and never answers.
    Hang,
    /// The good answer, this much later.
    Delay(Duration),
    /// The good answer, when it is let go.
    Held(Hold),
    /// 200 with this body, as `application/json`.
    Body(String),
}

/// What holds an answer back until a test has come as far as it must; its clones are the same.
#[derive(Clone, Debug)]
pub struct Hold(Arc<Semaphore>);

impl Default for Hold {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }
}

impl PartialEq for Hold {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Hold {}

impl Hold {
    /// From now on, nothing is held back.
    pub fn let_go(&self) {
        self.0.close();
    }

    /// An error is that it has been let go: there is never a permit.
    async fn is_over(&self) {
        let _ = self.0.acquire().await;
    }
}

/// What a 20 MB answer is, in bytes (SECURITY.md B3).
pub const HUGE: usize = 20 * 1024 * 1024;

/// Answers with `document`, or what the fault makes of it.
pub(super) async fn respond(
    fault: Fault,
    document: &Value,
    cache_control: Option<&str>,
    redirect_to: &str,
) -> Response {
    let text = document.to_string();
    let mut response = match fault {
        Fault::Ok => json(text),
        Fault::Status(code) => refuse(code, redirect_to),
        Fault::Later(code, retry_after) => {
            let mut response = refuse(code, redirect_to);
            let value = HeaderValue::from_str(&retry_after).expect("a header's value");
            response.headers_mut().insert(header::RETRY_AFTER, value);
            response
        }
        Fault::Html => {
            let page = "<!doctype html><title>Maintenance</title><p>Back soon.";
            ([(header::CONTENT_TYPE, "text/html")], page).into_response()
        }
        Fault::TruncatedJson => json(text[..text.len() / 2].to_owned()),
        Fault::EmptyObject => json("{}".to_owned()),
        Fault::EmptyKeys => json(r#"{"keys":[]}"#.to_owned()),
        Fault::Huge(length) => json(padded(&text, length)),
        Fault::SlowDrip(interval) => drip(text, interval),
        Fault::CloseHalfway => half(&text),
        Fault::Hang => std::future::pending().await,
        Fault::Delay(delay) => {
            tokio::time::sleep(delay).await;
            json(text)
        }
        Fault::Held(hold) => {
            hold.is_over().await;
            json(text)
        }
        Fault::Body(body) => json(body),
    };
    for line in cache_control.unwrap_or_default().lines() {
        let value = HeaderValue::from_str(line).expect("a header's value");
        response.headers_mut().append(header::CACHE_CONTROL, value);
    }
    response
}

fn json(body: impl Into<Body>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body.into()).into_response()
}

fn refuse(code: u16, redirect_to: &str) -> Response {
    let status = StatusCode::from_u16(code).expect("a status code");
    let mut response = json(r#"{"error":"testbed_fault"}"#);
    *response.status_mut() = status;
    if status.is_redirection() {
        let location = HeaderValue::from_str(redirect_to).expect("a URL");
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

fn padded(document: &str, length: usize) -> String {
    let rest = document.strip_prefix('{').expect("a JSON object");
    let frame = r#"{"padding":"","#;
    let padding = "a".repeat(length.saturating_sub(frame.len() + rest.len()));
    format!(r#"{{"padding":"{padding}",{rest}"#)
}

fn drip(document: String, interval: Duration) -> Response {
    let bytes = stream::unfold(Bytes::from(document), move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        tokio::time::sleep(interval).await;
        let byte = rest.split_to(1);
        Some((Ok::<_, Infallible>(byte), rest))
    });
    json(Body::from_stream(bytes))
}

fn half(document: &str) -> Response {
    let sent = Bytes::copy_from_slice(&document.as_bytes()[..document.len() / 2]);
    // An error in the body's stream makes hyper close the connection; the pause lets the first
    // half leave before that.
    let bytes = stream::unfold(Some(sent), |sent| async move {
        match sent {
            Some(half) => Some((Ok(half), None)),
            None => {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Some((Err(io::Error::other("closed half-way")), None))
            }
        }
    });
    let mut response = json(Body::from_stream(bytes));
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, HeaderValue::from(document.len()));
    response
}
