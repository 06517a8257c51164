//! A stage for end-to-end tests: an identity provider, an upstream, and Envoy with the release
//! module between them.

use std::io::Write;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use bearer_gate_testbed::envoy::{Envoy, EnvoyBuilder};
use bearer_gate_testbed::holds_within;
use bearer_gate_testbed::http::{self, Client, Reply};
use bearer_gate_testbed::idp::Idp;
use bearer_gate_testbed::python::python;
use bearer_gate_testbed::raw::{self, RawResponse};
use bearer_gate_testbed::upstream::Upstream;
use serde_json::{Value, json};

/// The longest time between two ticks of a plugin that fetches no keys, and some.
const TICK_LIMIT: Duration = Duration::from_secs(10);

pub(crate) struct Stage {
    // Dropped first: it prints its log when a test fails.
    envoy: Option<Envoy>,
    pub(crate) idp: Idp,
    pub(crate) upstream: Upstream,
    /// A connection for each request, so that requests go round the workers.
    pub(crate) client: Client,
}

impl Stage {
    /// Two workers, and the plugin configuration that `configure` makes.
    pub(crate) fn start(configure: impl FnOnce(&Self) -> Value) -> Self {
        Self::start_with(|_| {}, configure)
    }

    /// The same, with a prepared identity provider.
    pub(crate) fn start_with(
        prepare: impl FnOnce(&Idp),
        configure: impl FnOnce(&Self) -> Value,
    ) -> Self {
        Self::build(prepare, |stage, builder| {
            builder.wasm_filter(configure(stage))
        })
    }

    /// Any Envoy with the clusters `idp` and `upstream`.
    pub(crate) fn build(
        prepare: impl FnOnce(&Idp),
        build: impl FnOnce(&Self, EnvoyBuilder) -> EnvoyBuilder,
    ) -> Self {
        let mut stage = Self {
            envoy: None,
            idp: Idp::start(),
            upstream: Upstream::start(),
            client: Client::without_keep_alive(),
        };
        prepare(&stage.idp);
        let builder = Envoy::builder()
            .cluster("idp", stage.idp.address())
            .cluster("upstream", stage.upstream.address());
        let envoy = build(&stage, builder).start();
        stage.envoy = Some(envoy.unwrap_or_else(|refused| panic!("{refused}")));
        stage
    }

    pub(crate) fn envoy(&self) -> &Envoy {
        self.envoy.as_ref().expect("started")
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.envoy().address()
    }

    pub(crate) fn url(&self, target: &str) -> String {
        self.envoy().url(target)
    }

    pub(crate) async fn get(&self, target: &str) -> Reply {
        self.client.get(&self.url(target)).await
    }

    pub(crate) async fn get_with(&self, target: &str, token: &str) -> Reply {
        self.client.get_with(&self.url(target), token).await
    }

    pub(crate) async fn post(&self, target: &str, token: String, body: &'static str) -> Reply {
        let request = self
            .client
            .request(reqwest::Method::POST, &self.url(target));
        http::send(request.bearer_auth(token).body(body)).await
    }

    /// `GET` with header names as they are given.
    pub(crate) fn get_raw(&self, target: &str, headers: &[(String, String)]) -> RawResponse {
        let headers: Vec<(&str, &[u8])> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect();
        raw::get(self.address(), target, &headers).expect("a response")
    }

    /// One of the filter's counters or gauges.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        self.envoy().stat(&format!("wasmcustom.{name}"))
    }

    /// Asserts that so many requests were let through, which a tick tells.
    pub(crate) fn assert_allowed(&self, expected: u64) {
        let allowed = || self.counter("bearer_gate.allowed");
        holds_within(TICK_LIMIT, || allowed() == expected);
        assert_eq!(allowed(), expected, "let through");
    }

    /// How often a VM of the filter has trapped.
    pub(crate) fn traps(&self) -> u64 {
        let stats = self.envoy().stats();
        let crashes = |name: &str| name.contains("crash") || name.contains("vm_reload");
        stats
            .iter()
            .filter(|(name, _)| crashes(name))
            .map(|(_, value)| value)
            .sum()
    }
}

/// The stage's identity provider as a provider of the plugin, with `more` fields.
pub(crate) fn provider(stage: &Stage, more: Value) -> Value {
    let idp = &stage.idp;
    let mut provider = json!({
        "issuer": idp.issuer(),
        "audiences": [idp.client().audiences[0]],
        "remote_jwks": {
            "http_uri": {"uri": idp.jwks_url(), "cluster": "idp", "timeout": "2s"},
        },
    });
    merge(&mut provider, more);
    provider
}

/// The same, found by its metadata, with the person in a header.
pub(crate) fn found_provider(stage: &Stage) -> Value {
    let mut provider = provider(
        stage,
        json!({
            "openid_discovery": {"cluster": "idp", "timeout": "2s"},
            "claim_to_headers": [{"header_name": "x-user", "claim_name": "sub"}],
        }),
    );
    provider.as_object_mut().unwrap().remove("remote_jwks");
    provider
}

/// Puts the members of `more` into `into`, objects into objects.
pub(crate) fn merge(into: &mut Value, more: Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (name, value) in more {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more,
    }
}

/// Tokens minted by PyJWT; see `mint.py`.
pub(crate) fn mint(orders: &Value) -> Vec<String> {
    let mut python = python("tests/mint.py")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3");
    let mut stdin = python.stdin.take().expect("piped");
    stdin
        .write_all(orders.to_string().as_bytes())
        .expect("a reader");
    drop(stdin);
    let output = python.wait_with_output().expect("an end");
    assert!(output.status.success(), "PyJWT is missing: run `make test`");
    serde_json::from_slice(&output.stdout).expect("an array of tokens")
}
