//! Attacks on sign-in, at a real Envoy with a provider that misbehaves on command: the S-numbers of
//! `tests/README.md`.
//!
//! Requests are written byte for byte, by a client that sends what no browser would.

mod beyond;
mod callback;
mod cookies;
mod mutations;
mod pages;
mod provider;
mod redirects;
mod secrets;
mod times;

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use bearer_gate_testbed::envoy::{Filter, Listener, Wasm};
use bearer_gate_testbed::idp::openid::{Endpoint, RelyingParty};
use bearer_gate_testbed::raw::{self, RawResponse};
use bearer_gate_testbed::transports::Message;
use bearer_gate_testbed::visitor::Visitor;
use serde_json::{Value, json};

use crate::stage::{Stage, found_provider, merge, provider as plain_provider};

pub(crate) const HOST: &str = "app.example";
pub(crate) const KEY: &str = "the key of the cookies, which is long enough";
pub(crate) const SECRET: &str = "the-secret-of-the-client";
pub(crate) const SESSION: &str = "__Host-Http-bg_session_staff";
pub(crate) const BROWSER: &str = "__Host-Http-bg_browser";

type Headers = [(&'static str, &'static str)];

/// A person opens a page.
pub(crate) const PAGE: &Headers = &[
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-dest", "document"),
    ("sec-fetch-site", "none"),
];
/// A script of our own pages.
pub(crate) const SCRIPT: &Headers = &[
    ("sec-fetch-mode", "cors"),
    ("sec-fetch-dest", "empty"),
    ("sec-fetch-site", "same-origin"),
];

/// The schemes `staff` and `guests`, which are two clients of one provider.
pub(crate) fn config(stage: &Stage) -> Value {
    let scheme = |name: &str, client: &str| {
        json!({
            "provider_name": "demo",
            "credentials": {"client_id": client, "token_secret": {"inline_string": SECRET}},
            "token_endpoint": {"cluster": "idp", "timeout": "2s"},
            "callback_path": format!("/{name}/callback"),
            "signin_path": format!("/{name}/sign-in"),
            "signup_path": format!("/{name}/sign-up"),
            "signout_path": format!("/{name}/sign-out"),
            "session_path": format!("/{name}/session"),
            "backchannel_logout_path": format!("/{name}/told"),
            "frontchannel_logout_path": format!("/{name}/framed"),
            "session": {"idle_timeout": "1800s"},
        })
    };
    let any = |requirements: Value| json!({"requires_any": {"requirements": requirements}});
    let (token, staff) = (
        json!({"provider_name": "demo"}),
        json!({"session": "staff"}),
    );
    let (guests, plain) = (
        json!({"session": "guests"}),
        json!({"provider_name": "plain"}),
    );
    let rule =
        |prefix: &str, requires: &Value| json!({"match": {"prefix": prefix}, "requires": requires});
    json!({
        "providers": {"demo": found_provider(stage), "plain": plain_provider(stage, json!({}))},
        "sign_in": {
            "cookie_keys": [{"inline_string": KEY}],
            "allowed_redirect_domains": [HOST, "*.listed.example"],
            "schemes": {"staff": scheme("staff", "web"), "guests": scheme("guests", "guests")},
        },
        "rules": [
            {"match": {"prefix": "/public"}},
            rule("/tokens", &token),
            rule("/either", &any(json!([token, staff]))),
            rule("/both", &json!({"requires_all": {"requirements": [plain, staff]}})),
            rule("/maybe", &any(json!([staff, {"allow_missing": {}}]))),
            rule("/lenient", &any(json!([staff, {"allow_missing_or_failed": {}}]))),
            rule("/guests-only", &guests),
            rule("/choice", &any(json!([staff, guests]))),
            rule("/", &staff),
        ],
    })
}

/// The stage of a configuration that `change` has the last word about.
pub(crate) fn stage(change: impl FnOnce(&mut Value)) -> Stage {
    let stage = Stage::build(
        |_| {},
        |stage, builder| {
            let mut config = config(stage);
            change(&mut config);
            let mut wasm = Wasm::new(config);
            wasm.bodies = true;
            let listener = Listener::new("main")
                .filter(Filter::Wasm(wasm))
                .hcm("upgrade_configs", json!([{"upgrade_type": "websocket"}]))
                .hcm("http2_protocol_options", json!({"allow_connect": true}))
                .hcm("http_protocol_options", json!({"enable_trailers": true}))
                .hcm("delayed_close_timeout", "0.01s");
            builder.component_log_level("wasm:debug").listener(listener)
        },
    );
    register(&stage, HOST);
    stage
}

/// The clients of both schemes, at this host.
pub(crate) fn register(stage: &Stage, host: &str) {
    for (name, client) in [("staff", "web"), ("guests", "guests")] {
        let callback = format!("https://{host}/{name}/callback");
        let party = RelyingParty::confidential(client, SECRET, &callback);
        let out = format!("https://{host}/");
        stage
            .idp
            .openid()
            .register(party.post_logout_redirect_uri(&out));
    }
}

/// Changes the scheme `staff`.
pub(crate) fn staff(config: &mut Value, more: Value) {
    merge(config, json!({"sign_in": {"schemes": {"staff": more}}}));
}

/// `GET` of this path at our host.
pub(crate) fn get(path: &str, headers: &[(&str, &str)]) -> Message {
    let message = Message::get(HOST, path);
    let headers = headers.iter();
    headers.fold(message, |message, (name, value)| {
        message.header(*name, *value)
    })
}

/// The same with another method.
pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Message {
    Message {
        method: method.into(),
        ..get(path, headers)
    }
}

/// Sends a request on a connection of its own, and reads the answer to its end.
pub(crate) fn exchange(address: SocketAddr, message: Message) -> io::Result<RawResponse> {
    let is_head = message.method == b"HEAD";
    let bytes = message.header("connection", "close").http1();
    if !is_head {
        return raw::request(address, &bytes);
    }
    // An answer to HEAD has the length of a body that does not come (RFC 9110 section 9.3.2).
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(raw::TIME_LIMIT))?;
    stream.write_all(&bytes)?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let mut lines = text.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let status = status.and_then(|status| status.parse().ok());
    let headers = lines.filter_map(|line| line.split_once(": "));
    Ok(RawResponse {
        status: status.ok_or(io::ErrorKind::InvalidData)?,
        headers: headers
            .map(|(name, value)| (name.to_lowercase(), value.as_bytes().to_vec()))
            .collect(),
        body: Vec::new(),
    })
}

/// The values of a header.
pub(crate) fn values(answer: &RawResponse, name: &str) -> Vec<String> {
    let named = answer.headers.iter().filter(|(known, _)| known == name);
    named
        .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
        .collect()
}

/// What the upstream saw of a header, where this is its echo.
pub(crate) fn seen(answer: &RawResponse, name: &str) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let echo = answer.json();
    let pairs = echo["headers"].as_array().expect("an echo").iter();
    let named = pairs.filter(|pair| pair[0] == name);
    named
        .map(|pair| pair[1].as_str().unwrap_or_default().to_owned())
        .collect()
}

/// A browser without manners: it keeps the cookies of our host, and sends what it is told to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Browser {
    pub(crate) jar: BTreeMap<String, String>,
}

impl Browser {
    pub(crate) fn cookies(&self) -> Option<String> {
        let pairs = self
            .jar
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        let line = pairs.collect::<Vec<_>>().join("; ");
        (!line.is_empty()).then_some(line)
    }

    /// Whether a session of any scheme is there.
    pub(crate) fn has_session(&self) -> bool {
        self.jar.keys().any(|name| name.contains("_session_"))
    }

    pub(crate) fn cookie(&self, name: &str) -> &str {
        let value = self.jar.get(name);
        value.unwrap_or_else(|| panic!("{name} in {:?}", self.jar.keys()))
    }

    /// Sends a request with the cookies, and keeps those of the answer.
    pub(crate) fn send(&mut self, stage: &Stage, message: Message) -> RawResponse {
        let message = match self.cookies() {
            Some(cookies) => message.header("cookie", cookies),
            None => message,
        };
        let answer = exchange(stage.address(), message).expect("an answer");
        self.keep(&answer);
        answer
    }

    pub(crate) fn keep(&mut self, answer: &RawResponse) {
        for line in values(answer, "set-cookie") {
            // Of whatever the filter sets.
            assert!(
                line.contains("; Path=/; Secure; HttpOnly; SameSite=Lax"),
                "{line}"
            );
            let (pair, attributes) = line.split_once(';').expect("attributes");
            let (name, value) = pair.split_once('=').expect("a pair");
            assert!(pair.len() <= 4097, "{line}");
            if attributes.contains("Max-Age=0") {
                self.jar.remove(name);
            } else {
                self.jar.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    /// A person opens a page.
    pub(crate) fn open(&mut self, stage: &Stage, path: &str) -> RawResponse {
        self.send(stage, get(path, PAGE))
    }

    /// A script of ours asks for something.
    pub(crate) fn fetch(&mut self, stage: &Stage, path: &str) -> RawResponse {
        self.send(stage, get(path, SCRIPT))
    }

    /// Opens a page that leads to the provider. Where to.
    pub(crate) fn begin(&mut self, stage: &Stage, path: &str) -> String {
        let begun = self.open(stage, path);
        to_provider(stage, &begun)
            .unwrap_or_else(|| panic!("{path}: {} {}", begun.status, begun.text()))
    }

    /// Begins a sign-in, and signs in at the provider: the path by which it comes back.
    pub(crate) async fn on_the_way(&mut self, stage: &Stage, path: &str, who: Who) -> String {
        let location = self.begin(stage, path);
        let visitor = &mut Visitor::new();
        back(visitor, &location, who).await
    }

    /// Signs in; the answer of the callback.
    pub(crate) async fn sign_in(&mut self, stage: &Stage, path: &str, who: Who) -> RawResponse {
        let back = self.on_the_way(stage, path, who).await;
        let done = self.open(stage, &back);
        assert_eq!(done.status, 303, "{}", done.text());
        assert!(self.has_session(), "{}", done.text());
        done
    }
}

/// A username and a password.
pub(crate) type Who = (&'static str, &'static str);
pub(crate) const ALICE: Who = ("alice", "wonderland");
pub(crate) const BOB: Who = ("bob", "tokyo");

/// Somebody who has signed in by `staff`.
pub(crate) async fn signed_in(stage: &Stage, who: Who) -> Browser {
    let mut browser = Browser::default();
    browser.sign_in(stage, "/page", who).await;
    let user = seen(&browser.fetch(stage, "/page"), "x-user");
    assert_eq!(user, [format!("user|{}", who.0)]);
    browser
}

/// Where an answer sends a browser that is to sign in.
pub(crate) fn to_provider(stage: &Stage, answer: &RawResponse) -> Option<String> {
    let location = answer.header("location")?;
    let provider = stage.idp.openid().browser_url(Endpoint::Authorize);
    let is_there = answer.status == 303 && location.starts_with(&provider);
    is_there.then(|| location.to_owned())
}

/// Somebody signs in at the provider: the path of ours that the provider leads back to.
pub(crate) async fn back(visitor: &mut Visitor, location: &str, who: Who) -> String {
    let page = visitor.get(location).await;
    let (username, password) = who;
    let answer = if page.status == 200 {
        let fields = [("username", username), ("password", password)];
        visitor.fill(location, &page, "login", &fields).await
    } else {
        page
    };
    let back = answer.header("location");
    let back = back.unwrap_or_else(|| panic!("{} {}", answer.status, answer.body));
    let path = back.strip_prefix(&format!("https://{HOST}"));
    path.unwrap_or_else(|| panic!("{back}")).to_owned()
}

/// A path, and the parameters after it.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) path: String,
    pub(crate) parameters: Vec<(String, String)>,
}

impl Target {
    pub(crate) fn of(url: &str) -> Self {
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        Self {
            path: path.to_owned(),
            parameters: form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect(),
        }
    }

    pub(crate) fn value(&self, name: &str) -> &str {
        let mut all = self.parameters.iter();
        let found = all.find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).expect(name)
    }

    /// With other values; `None` takes a parameter away.
    pub(crate) fn with(&self, name: &str, value: Option<&str>) -> Self {
        let mut changed = self.clone();
        changed.parameters.retain(|(known, _)| known != name);
        let pair = value.map(|value| (name.to_owned(), value.to_owned()));
        changed.parameters.extend(pair);
        changed
    }

    /// With one more.
    pub(crate) fn and(&self, name: &str, value: &str) -> Self {
        let mut changed = self.clone();
        changed.parameters.push((name.to_owned(), value.to_owned()));
        changed
    }

    pub(crate) fn at(&self, path: &str) -> Self {
        Self {
            path: path.to_owned(),
            ..self.clone()
        }
    }

    pub(crate) fn url(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(&self.parameters);
        format!("{}?{}", self.path, query.finish())
    }
}

/// How often sign-ins have failed for this reason.
pub(crate) fn failed(stage: &Stage, reason: &str) -> u64 {
    stage.counter(&format!("bearer_gate.sign_in.failed.{reason}"))
}

/// That no worker trapped, and who signs in can still do so.
pub(crate) async fn is_alive(stage: &Stage) {
    assert_eq!(stage.traps(), 0);
    assert_eq!(stage.envoy().stat("server.envoy_bug_failures"), 0);
    signed_in(stage, ALICE).await;
}
