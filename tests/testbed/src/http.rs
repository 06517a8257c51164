//! An asynchronous client for tests: no redirects, no proxy, a time limit, answers read whole.

use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

/// The time limit of a request, until its answer has been read.
pub const TIME_LIMIT: Duration = Duration::from_secs(30);

/// A client; clones share connections.
#[derive(Clone, Debug)]
pub struct Client(reqwest::Client);

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

impl Client {
    /// With connections kept alive.
    pub fn new() -> Self {
        Self::build(usize::MAX)
    }

    /// With a connection for each request, which spreads them over Envoy's workers.
    pub fn without_keep_alive() -> Self {
        Self::build(0)
    }

    fn build(idle_connections: usize) -> Self {
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIME_LIMIT)
            .pool_max_idle_per_host(idle_connections)
            .build();
        Self(client.expect("a client without TLS"))
    }

    /// A request to finish with reqwest's own methods and [`send`].
    pub fn request(&self, method: Method, url: &str) -> RequestBuilder {
        self.0.request(method, url)
    }

    /// `GET` without a token.
    pub async fn get(&self, url: &str) -> Reply {
        send(self.0.get(url)).await
    }

    /// `GET` with `Authorization: Bearer TOKEN`.
    pub async fn get_with(&self, url: &str, token: &str) -> Reply {
        send(self.0.get(url).bearer_auth(token)).await
    }
}

/// Sends a request and reads its answer.
///
/// # Panics
/// When there is none; [`try_send`] returns the error.
pub async fn send(request: RequestBuilder) -> Reply {
    match try_send(request).await {
        Ok(reply) => reply,
        Err(error) => panic!("no answer: {error:?}"),
    }
}

/// Sends a request and reads its answer.
///
/// # Errors
/// reqwest's, for a connection that failed or a time limit that passed.
pub async fn try_send(request: RequestBuilder) -> reqwest::Result<Reply> {
    let response = request.send().await?;
    Ok(Reply {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        body: response.text().await?,
    })
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as text.
    pub body: String,
}

impl Reply {
    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// `WWW-Authenticate`
    pub fn challenge(&self) -> Option<&str> {
        self.header("www-authenticate")
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is not.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|e| panic!("{e}: {} {}", self.status, self.body))
    }

    /// All values of a header that the upstream saw, where this is the upstream's echo.
    ///
    /// # Panics
    /// When it is not.
    pub fn seen(&self, name: &str) -> Vec<String> {
        let echo = self.json();
        let headers = echo["headers"].as_array().expect("an echo");
        headers
            .iter()
            .filter(|header| header[0] == name)
            .filter_map(|header| header[1].as_str())
            .map(str::to_owned)
            .collect()
    }
}
