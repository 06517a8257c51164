//! One Envoy with a pair of listeners for each configuration: its own filter, and bearer-gate.
//!
//! All pairs share one VM: what bearer-gate keeps for one configuration must not leak into another.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard};

use bearer_gate_testbed::envoy::{Envoy, Filter, Listener, Wasm};
use bearer_gate_testbed::idp::Idp;
use bearer_gate_testbed::raw::{RawConnection, RawResponse};
use bearer_gate_testbed::upstream::Upstream;
use serde_json::{Value, json};

use crate::configuration::{IN_METADATA, MOST_PROVIDERS, Remote, told};
use crate::request::Request;
use crate::token::POOL;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    JwtAuthn,
    BearerGate,
    /// jwt_authn, asked about a part of the configuration.
    Parts,
}

/// What one filter made of a request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub status: u16,
    /// The text of a rejection, out of bearer-gate's JSON.
    pub reason: String,
    /// What the upstream saw, where it was asked.
    pub seen: Option<Seen>,
    /// What later filters were told: jwt_authn's dynamic metadata, bearer-gate's filter state.
    pub told: Told,
}

/// JSON by its name.
pub(crate) type Told = BTreeMap<String, Value>;

/// A request as it came to the upstream.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    pub path: String,
    /// The pieces of the query, sorted: jwt_authn sorts them when it takes one out.
    pub query: Vec<String>,
    /// Sorted, without those that Envoy adds to every request.
    pub headers: Vec<(String, String)>,
}

impl Answer {
    pub(crate) fn is_admitted(&self) -> bool {
        self.seen.is_some()
    }
}

/// Keys by HTTP, for configurations with remote_jwks.
pub(crate) struct Keys(Idp);

impl Keys {
    pub(crate) fn start() -> Self {
        let idp = Idp::start();
        idp.set_extra_jwks(POOL.iter().map(|key| key.jwk.clone()).collect());
        Self(idp)
    }

    pub(crate) fn remote(&self) -> Remote {
        Remote {
            uri: self.0.jwks_url(),
            cluster: "keys",
        }
    }
}

pub(crate) struct Bench {
    // Dropped first: it prints its log when a test fails.
    envoy: Envoy,
    _upstream: Upstream,
    _keys: Keys,
    connections: Mutex<BTreeMap<String, RawConnection>>,
}

impl Bench {
    /// With a listener for each name, side and configuration.
    pub(crate) fn start(keys: Keys, listeners: Vec<(String, Side, Value)>) -> Self {
        let upstream = Upstream::start();
        let mut builder = Envoy::builder()
            .concurrency(1)
            .cluster("keys", keys.0.address())
            .empty_cluster("nowhere")
            .cluster("upstream", upstream.address());
        for (name, side, configuration) in listeners {
            let name = listener(&name, side);
            let listener = Listener::new(&name).filter(Filter::Other(telling(side)));
            builder = builder.listener(listener.filter(match (side, configuration) {
                // A text is written into the file as it is.
                (Side::JwtAuthn, Value::String(text)) => Filter::Written(text),
                (Side::JwtAuthn | Side::Parts, configuration) => Filter::JwtAuthn(configuration),
                (Side::BearerGate, configuration) => Filter::Wasm(Wasm::new(configuration)),
            }));
        }
        let envoy = builder
            .start()
            .unwrap_or_else(|refused| panic!("{refused}"));
        Self {
            envoy,
            _upstream: upstream,
            _keys: keys,
            connections: Mutex::default(),
        }
    }

    /// What a filter makes of a request.
    pub(crate) fn ask(&self, pair: &str, side: Side, request: &Request) -> Answer {
        let listener = listener(pair, side);
        let bytes = bytes(request);
        let kept = self.connections().remove(&listener);
        // A connection that Envoy closed meanwhile is no answer.
        let kept = kept.and_then(|mut connection| {
            let response = exchange(&mut connection, &bytes).ok()?;
            Some((connection, response))
        });
        let (connection, response) = kept.unwrap_or_else(|| {
            let fresh = || {
                let mut connection = RawConnection::open(self.address(&listener))?;
                let response = exchange(&mut connection, &bytes)?;
                Ok::<_, io::Error>((connection, response))
            };
            fresh().unwrap_or_else(|error| panic!("{listener}: {error}: {request:?}"))
        });
        if response.header("connection") != Some("close") {
            self.connections().insert(listener, connection);
        }
        answer(side, &response)
    }

    /// Both answers.
    pub(crate) fn ask_both(&self, pair: &str, request: &Request) -> [Answer; 2] {
        [Side::JwtAuthn, Side::BearerGate].map(|side| self.ask(pair, side, request))
    }

    /// What Envoy understood of each jwt_authn, by its pair.
    pub(crate) fn understood(&self) -> BTreeMap<String, Value> {
        let page = self.envoy.admin("/config_dump").expect("a running Envoy");
        let page: Value = serde_json::from_str(&page).expect("JSON");
        let mut understood = BTreeMap::new();
        let configs = page["configs"].as_array().into_iter().flatten();
        let listeners = configs.filter_map(|config| config["dynamic_listeners"].as_array());
        for listener in listeners.flatten() {
            let listener = &listener["active_state"]["listener"];
            let manager = &listener["filter_chains"][0]["filters"][0]["typed_config"];
            let filters = manager["http_filters"].as_array().into_iter().flatten();
            let is_jwt_authn = |config: &&Value| {
                let kind = config["@type"].as_str();
                kind.is_some_and(|kind| kind.ends_with(".JwtAuthentication"))
            };
            let config = filters
                .map(|filter| &filter["typed_config"])
                .find(is_jwt_authn);
            let name = listener["name"].as_str().unwrap_or_default();
            if let (Some(pair), Some(config)) = (name.strip_suffix("-jwt-authn"), config) {
                understood.insert(pair.to_owned(), config.clone());
            }
        }
        understood
    }

    /// Traps of the module's VM.
    pub(crate) fn traps(&self) -> u64 {
        let stats = self.envoy.stats();
        let crashes = |name: &str| name.contains("crash") || name.contains("vm_reload");
        let counts = stats.iter().filter(|(name, _)| crashes(name));
        counts.map(|(_, count)| count).sum()
    }

    fn connections(&self) -> MutexGuard<'_, BTreeMap<String, RawConnection>> {
        self.connections.lock().expect("no panic while locked")
    }

    fn address(&self, listener: &str) -> SocketAddr {
        self.envoy.address_of(listener)
    }
}

fn listener(pair: &str, side: Side) -> String {
    match side {
        Side::JwtAuthn => format!("{pair}-jwt-authn"),
        Side::BearerGate => format!("{pair}-bearer-gate"),
        Side::Parts => format!("{pair}-parts"),
    }
}

/// A filter that puts what was told into headers of the response.
fn telling(side: Side) -> Value {
    let names =
        (0..MOST_PROVIDERS).flat_map(|at| IN_METADATA.iter().map(move |(_, what)| told(what, at)));
    let mutations: Vec<Value> = names
        .map(|name| {
            let value = match side {
                Side::JwtAuthn | Side::Parts => {
                    format!("%DYNAMIC_METADATA(envoy.filters.http.jwt_authn:{name})%")
                }
                Side::BearerGate => format!("%FILTER_STATE(wasm.{name}:TYPED)%"),
            };
            json!({"append": {"header": {"key": name, "value": value}}})
        })
        .collect();
    let message = "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation";
    json!({
        "name": "envoy.filters.http.header_mutation",
        "typed_config": {
            "@type": format!("type.googleapis.com/{message}"),
            "mutations": {"response_mutations": mutations},
        },
    })
}

fn exchange(connection: &mut RawConnection, bytes: &[u8]) -> io::Result<RawResponse> {
    connection.send(bytes)?;
    connection.response()
}

fn bytes(request: &Request) -> Vec<u8> {
    let mut text = format!(
        "{} {} HTTP/1.1\r\nhost: api.example.com\r\n",
        request.method,
        request.target()
    );
    for (name, value) in request.headers() {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("content-length: 0\r\n\r\n");
    text.into_bytes()
}

fn answer(side: Side, response: &RawResponse) -> Answer {
    let body: Option<Value> = serde_json::from_slice(&response.body).ok();
    // Only the upstream answers with 200.
    let seen = body.as_ref().filter(|_| response.status == 200).map(seen);
    let reason = match (side, &body) {
        _ if seen.is_some() => String::new(),
        (Side::BearerGate, Some(body)) => body["error_description"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        _ => response.text(),
    };
    let names =
        (0..MOST_PROVIDERS).flat_map(|at| IN_METADATA.iter().map(move |(_, what)| told(what, at)));
    let told = names.filter_map(|name| {
        let value: Value = serde_json::from_str(response.header(&name)?).ok()?;
        let value = match side {
            Side::JwtAuthn | Side::Parts => value,
            Side::BearerGate => value["value"].clone(),
        };
        Some((name, value))
    });
    Answer {
        status: response.status,
        reason,
        seen,
        told: told.collect(),
    }
}

/// What Envoy adds, and differs from one request to the next.
const OF_ENVOY: &[&str] = &[
    "x-request-id",
    "x-forwarded-proto",
    "x-envoy-expected-rq-timeout-ms",
];

fn seen(echo: &Value) -> Seen {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let pairs = echo["headers"].as_array().expect("the upstream's echo");
    let mut headers: Vec<(String, String)> = pairs
        .iter()
        .map(|pair| (text(&pair[0]), text(&pair[1])))
        .filter(|(name, _)| !OF_ENVOY.contains(&name.as_str()))
        .collect();
    headers.sort();
    let query = text(&echo["query"]);
    let mut query: Vec<String> = query
        .split('&')
        .filter(|piece| !piece.is_empty())
        // With a parameter taken out jwt_authn writes the others anew.
        .map(|piece| {
            if piece.contains('=') {
                piece.to_owned()
            } else {
                format!("{piece}=")
            }
        })
        .collect();
    query.sort();
    Seen {
        path: text(&echo["path"]),
        query,
        headers,
    }
}
