//! A gateway and browsers in miniature: the gateway is the library on a recording host, and a
//! [`Provider`] answers its calls.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use bearer_gate::authn::Admission;
use bearer_gate::config::Config;
use bearer_gate::desk::Ticket;
use bearer_gate::door::Exchange;
use bearer_gate::gate::{Arrival, Gate, Verdict, Verdicts};
use bearer_gate::host::{Call, ContextId, Reply};
use bearer_gate::http::credentials::Change;
use bearer_gate::http::request::{Body, Request};
use bearer_gate::http::response::{Client, Response};
use bearer_gate::outputs::FilterState;
use bearer_gate::sign_in::Renewal;
use serde_json::{Value, json};

use crate::provider::{OneSignature, Provider};
use crate::sim::SET_A;
use crate::sim::host::{FakeHost, Process, process};

pub(crate) const APP: &str = "https://app.example";
pub(crate) const KEY_1: &str = "first-key-5cc1e2ef0f4d43d9a1d5f3c5";
pub(crate) const KEY_2: &str = "second-key-9b6a4d1c0b8e4f7d8a1e7c";

/// A configuration with the schemes `staff` and `guests`; `change` has the last word.
pub(crate) fn config(keys: &[&str], change: impl FnOnce(&mut Value)) -> Config {
    let scheme = |name: &str| {
        json!({
            "provider_name": "idp",
            "credentials": {"client_id": "web", "token_secret": {"inline_string": "secret"}},
            "authorization_endpoint": "https://idp.example/authorize",
            "token_endpoint": {"uri": "https://idp.example/token", "cluster": "idp", "timeout": "5s"},
            "end_session_endpoint": "https://idp.example/end",
            "callback_path": format!("/{name}/callback"),
            "signin_path": format!("/{name}/sign-in"),
            "signout_path": format!("/{name}/sign-out"),
            "session_path": format!("/{name}/session"),
            "post_logout_redirect_path": "/public",
            "session": {"idle_timeout": "1800s", "max_duration": "28800s"},
        })
    };
    let keys: Vec<Value> = keys
        .iter()
        .map(|key| json!({"inline_string": key}))
        .collect();
    let mut config = json!({
        "providers": {"idp": {
            "issuer": "https://idp.example/",
            "audiences": ["api"],
            "local_jwks": {"inline_string": SET_A},
            "claim_to_headers": [{"header_name": "x-user", "claim_name": "sub"}],
        }},
        "sign_in": {
            "cookie_keys": keys,
            "allowed_redirect_domains": ["app.example", "other.example"],
            "schemes": {"staff": scheme("staff"), "guests": scheme("guests")},
        },
        "rules": [
            {"match": {"prefix": "/public"}},
            {"match": {"prefix": "/api"}, "requires": {"requires_any": {"requirements": [
                {"provider_name": "idp"}, {"session": "staff"},
            ]}}},
            {"match": {"prefix": "/tokens"}, "requires": {"provider_name": "idp"}},
            {"match": {"prefix": "/admin"}, "requires": {"session": "staff"},
             "authorize": {"claims": [{"path": ["groups"], "any": ["admin"]}]}},
            {"match": {"prefix": "/guests-only"}, "requires": {"session": "guests"}},
            {"match": {"prefix": "/choice"}, "requires": {"requires_any": {"requirements": [
                {"session": "staff"}, {"session": "guests"},
            ]}}},
            {"match": {"prefix": "/"}, "requires": {"session": "staff"}},
        ],
    });
    change(&mut config);
    Config::parse(config.to_string().as_bytes()).unwrap()
}

/// What came of a request.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) status: u32,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    /// The reason of a rejection.
    pub(crate) reason: Option<&'static str>,
    /// What the upstream got, where it got anything.
    pub(crate) upstream: Option<Vec<(String, String)>>,
    /// The sessions that the upstream's response puts into the browser anew; their lines are in the
    /// headers.
    pub(crate) renewed: Vec<Renewal>,
}

impl Page {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut all = self.headers.iter();
        let (_, value) = all.find(|(known, _)| known == name)?;
        Some(value)
    }

    pub(crate) fn location(&self) -> &str {
        assert_eq!(self.status, 303, "{self:?}");
        self.header("location").unwrap()
    }

    /// Who the upstream was told that somebody is.
    pub(crate) fn user(&self) -> Option<&str> {
        self.at_upstream("x-user")
    }

    pub(crate) fn at_upstream(&self, name: &str) -> Option<&str> {
        let mut all = self.upstream.as_ref()?.iter();
        let (_, value) = all.find(|(known, _)| known == name)?;
        Some(value)
    }
}

/// The request that a verdict is carried out on.
struct Edge {
    sent: Vec<(String, String)>,
    page: RefCell<Page>,
}

impl Exchange for Edge {
    fn admit(&self, admission: &Admission) -> Option<()> {
        let text = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
        let mut sent = self.sent.clone();
        for change in &admission.changes.strip {
            match change {
                Change::Remove(name) => sent.retain(|(known, _)| known != name),
                Change::Set(name, value) => {
                    sent.retain(|(known, _)| known != name);
                    sent.push(((*name).to_owned(), text(value)));
                }
                Change::Lines(name, values) => {
                    sent.retain(|(known, _)| known != name);
                    let lines = values.iter().map(|value| ((*name).to_owned(), text(value)));
                    sent.extend(lines);
                }
            }
        }
        for outputs in &admission.changes.outputs {
            for (name, value) in &outputs.set {
                sent.retain(|(known, _)| known != name);
                sent.push((name.clone(), text(value)));
            }
        }
        let renewed = admission.renewed.iter().flat_map(|one| &one.lines);
        let renewed = renewed.map(|line| ("set-cookie", line));
        let headers = admission.response_headers.iter();
        let headers = headers.map(|(name, value)| (*name, value)).chain(renewed);
        *self.page.borrow_mut() = Page {
            status: 200,
            headers: headers
                .map(|(name, value)| (name.to_owned(), value.clone()))
                .collect(),
            upstream: Some(sent),
            renewed: admission.renewed.clone(),
            ..Page::default()
        };
        Some(())
    }

    fn tell(&self, _: &[FilterState]) -> Option<()> {
        Some(())
    }

    fn client(&self) -> Client {
        Client::Http
    }

    fn request_id(&self) -> Option<Vec<u8>> {
        None
    }

    fn respond(&self, response: &Response, _: &str) {
        let mut page = self.page.borrow_mut();
        page.status = response.status;
        let headers = response.headers.iter();
        page.headers = headers
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        page.body = response.body.clone();
    }
}

/// A browser: cookies by host and name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Browser {
    pub(crate) jar: BTreeMap<(String, String), String>,
}

impl Browser {
    pub(crate) fn keep(&mut self, host: &str, page: &Page) {
        for (_, line) in page.headers.iter().filter(|(name, _)| name == "set-cookie") {
            assert!(line.contains("; Secure; HttpOnly; SameSite=Lax"), "{line}");
            let (pair, attributes) = line.split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            assert!(name.len() + value.len() <= 4096, "{line}");
            let key = (host.to_owned(), name.to_owned());
            if attributes.contains("Max-Age=0") {
                self.jar.remove(&key);
            } else {
                self.jar.insert(key, value.to_owned());
            }
        }
    }

    pub(crate) fn cookies(&self, host: &str) -> Option<String> {
        let own = self.jar.iter().filter(|((of, _), _)| of == host);
        let pairs: Vec<String> = own
            .map(|((_, name), value)| format!("{name}={value}"))
            .collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    /// Whether it has a cookie whose name has this in it.
    pub(crate) fn has(&self, part: &str) -> bool {
        self.jar.keys().any(|(_, name)| name.contains(part))
    }
}

/// What a browser says of a page that a person opens.
pub(crate) const PAGE: [(&str, &str); 3] = [
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-dest", "document"),
    ("sec-fetch-site", "none"),
];
pub(crate) const SCRIPT: [(&str, &str); 3] = [
    ("sec-fetch-mode", "cors"),
    ("sec-fetch-dest", "empty"),
    ("sec-fetch-site", "same-origin"),
];
pub(crate) const FROM_ELSEWHERE: [(&str, &str); 3] = [
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-dest", "document"),
    ("sec-fetch-site", "cross-site"),
];

/// A request that has not been answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waiting(ContextId);

impl Waiting {
    /// Whether it is this request.
    pub(crate) fn is(self, context: ContextId) -> bool {
        self.0 == context
    }

    /// The request's page among these.
    pub(crate) fn page(self, pages: Vec<(ContextId, Page)>) -> Option<Page> {
        let mut pages = pages.into_iter();
        let (_, page) = pages.find(|(of, _)| *of == self.0)?;
        Some(page)
    }
}

fn host_of(url: &str) -> String {
    let rest = url.strip_prefix("https://").unwrap_or_default();
    rest.split('/').next().unwrap_or_default().to_owned()
}

type Worker = Rc<Gate<FakeHost>>;

/// A request that waits: at which worker, and what it sent.
type Parked = (Worker, Ticket, Vec<(String, String)>);

pub(crate) struct World {
    pub(crate) process: Rc<Process>,
    pub(crate) provider: Provider,
    config: RefCell<Config>,
    gates: RefCell<Vec<Worker>>,
    /// What the workers were before the configuration was loaded again. They have requests that wait.
    leaving: RefCell<Vec<Worker>>,
    /// The worker that takes the requests.
    pub(crate) worker: Cell<usize>,
    context: Cell<ContextId>,
    /// The sign-ins at the provider whose refreshes brought answers that nobody heard.
    pub(crate) unheard: RefCell<Vec<u32>>,
    waiting: RefCell<BTreeMap<ContextId, Parked>>,
    /// Answers the calls to the store that several processes share, or lets one wait.
    pub(crate) store: RefCell<Option<Store>>,
}

/// A store, as its calls see it: `None` where it does not answer yet.
type Store = Rc<dyn Fn(&Call) -> Option<Reply>>;

impl World {
    pub(crate) fn new() -> Self {
        Self::with(config(&[KEY_1], |_| ()))
    }

    pub(crate) fn with(config: Config) -> Self {
        Self::on(process(), config)
    }

    pub(crate) fn on(process: Rc<Process>, config: Config) -> Self {
        let world = Self {
            process,
            provider: Provider::default(),
            config: RefCell::new(config),
            gates: RefCell::default(),
            leaving: RefCell::default(),
            worker: Cell::new(0),
            context: Cell::new(0),
            unheard: RefCell::default(),
            waiting: RefCell::default(),
            store: RefCell::default(),
        };
        world.add_worker();
        world
    }

    /// The configuration that it has.
    pub(crate) fn config(&self) -> Config {
        self.config.borrow().clone()
    }

    /// Starts one more worker of the process; its number.
    pub(crate) fn add_worker(&self) -> usize {
        let host = FakeHost(Rc::clone(&self.process));
        let config = self.config.borrow().clone();
        let gate = Gate::new(host, config, Box::new(OneSignature));
        self.gates.borrow_mut().push(Rc::new(gate));
        self.gates.borrow().len() - 1
    }

    /// Loses a worker with all that it knew, and the requests that wait there; a new one is in its
    /// place.
    pub(crate) fn lose(&self, worker: usize) {
        let number = self.add_worker();
        let lost = self.gates.borrow_mut().swap_remove(worker);
        assert_eq!(number, self.gates.borrow().len());
        let mut waiting = self.waiting.borrow_mut();
        waiting.retain(|_, (at, ..)| !Rc::ptr_eq(at, &lost));
    }

    /// Takes another configuration, with as many workers. What waits is decided by the one before.
    pub(crate) fn reload(&self, config: Config) {
        self.config.replace(config);
        let before = self.gates.take();
        for _ in &before {
            self.add_worker();
        }
        self.leaving.borrow_mut().extend(before);
    }

    /// The process ends, and another one takes its place. What was shared is gone, and the requests
    /// that wait.
    pub(crate) fn restart(&self) {
        self.process.store.clear();
        self.leaving.take();
        self.waiting.take();
        let before = self.gates.take();
        for _ in &before {
            self.add_worker();
        }
    }

    /// Whether a request waits still.
    pub(crate) fn waits(&self, Waiting(context): Waiting) -> bool {
        self.waiting.borrow().contains_key(&context)
    }

    /// The client of a request that waits leaves.
    pub(crate) fn leave(&self, Waiting(context): Waiting) {
        let left = self.waiting.borrow_mut().remove(&context);
        let (gate, ticket, _) = left.unwrap();
        gate.leave(ticket);
    }

    /// Which of these are put into a browser, if the response comes now.
    pub(crate) fn still_good(&self, renewed: Vec<Renewal>) -> Vec<Renewal> {
        self.gate().still_good(renewed)
    }

    fn gate(&self) -> Worker {
        Rc::clone(&self.gates.borrow()[self.worker.get()])
    }

    pub(crate) fn now(&self) -> u64 {
        self.process.unix_seconds.get() as u64
    }

    pub(crate) fn pass(&self, span: Duration) {
        self.process.pass(u64::try_from(span.as_millis()).unwrap());
        let now = self.process.unix_seconds.get() + span.as_secs_f64();
        self.process.unix_seconds.set(now);
    }

    /// Sends a request, and keeps what cookies come of it.
    pub(crate) fn send(
        &self,
        browser: &mut Browser,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
    ) -> Page {
        let page = match self.arrive(browser, method, url, headers) {
            Ok(page) => page,
            Err(waiting) => self.answer_all(waiting),
        };
        browser.keep(&host_of(url), &page);
        page
    }

    /// The same, as far as the request's arrival at a worker: its answer, or the request that waits. A
    /// GET has no body, unless it asks for an upgrade. That of any other has not come yet.
    pub(crate) fn arrive(
        &self,
        browser: &Browser,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
    ) -> Result<Page, Waiting> {
        let is_whole = method == "GET" && headers.iter().all(|(name, _)| *name != "upgrade");
        let rest = url
            .strip_prefix("https://")
            .unwrap_or_else(|| panic!("{url}"));
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let mut sent = vec![
            (":method".to_owned(), method.to_owned()),
            (":authority".to_owned(), host.to_owned()),
            (":path".to_owned(), format!("/{path}")),
        ];
        let given = headers.iter();
        sent.extend(given.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        sent.extend(
            browser
                .cookies(host)
                .map(|cookies| ("cookie".to_owned(), cookies)),
        );
        let body = is_whole.then(Vec::new);
        self.enter(sent, body)
    }

    /// The provider tells by its back channel of a sign-out.
    pub(crate) fn tell(&self, url: &str, logout_token: &str) -> Result<Page, Waiting> {
        let rest = url.strip_prefix("https://").unwrap();
        let (host, path) = rest.split_once('/').unwrap();
        let path = format!("/{path}");
        let sent = [
            (":method", "POST"),
            (":authority", host),
            (":path", &path),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        let sent = sent.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let body = format!("logout_token={logout_token}").into_bytes();
        self.enter(sent.to_vec(), Some(body))
    }

    fn enter(&self, sent: Vec<(String, String)>, body: Option<Vec<u8>>) -> Result<Page, Waiting> {
        let context = self.context.get() + 1;
        self.context.set(context);
        let owned =
            |(name, value): &(String, String)| (name.clone().into(), value.clone().into_bytes());
        let mut request = Request::new(sent.iter().map(owned).collect());
        if let Some(body) = body {
            request = request.with_body(Body::Whole(body));
        }
        let gate = self.gate();
        match gate.request(context, request) {
            Arrival::Decided(verdict) => Ok(Self::conclude(&gate, sent, &verdict)),
            Arrival::Parked(ticket) | Arrival::Reading(ticket, _) => {
                let waits = (Rc::clone(&gate), ticket, sent);
                self.waiting.borrow_mut().insert(context, waits);
                Err(Waiting(context))
            }
        }
    }

    /// Lets what nobody waits for happen.
    pub(crate) fn settle(&self) {
        for _ in 0..10 {
            assert!(self.tick().is_empty());
            assert!(self.answer_calls().is_empty());
        }
    }

    /// Lets all workers tick, and the calls be made that are due.
    pub(crate) fn tick(&self) -> Vec<(ContextId, Page)> {
        self.pass(Duration::from_millis(10));
        self.each_gate(|gate| gate.tick())
    }

    /// The provider answers the calls that were made.
    pub(crate) fn answer_calls(&self) -> Vec<(ContextId, Page)> {
        let calls = std::mem::take(&mut *self.process.calls.borrow_mut());
        let mut pages = Vec::new();
        for (id, call) in calls {
            let heard = self.unheard.borrow().len();
            let Some(reply) = self.reply_to(&call) else {
                self.process.calls.borrow_mut().push((id, call));
                continue;
            };
            let mut reply = Some(reply);
            pages.extend(self.each_gate(|gate| match gate.most(id) {
                Some(_) => gate.reply(id, reply.take().unwrap()),
                None => Vec::new(),
            }));
            if reply.is_none() {
                self.unheard.borrow_mut().truncate(heard);
            }
        }
        pages
    }

    /// The answer of whoever is called; `None` where there is none yet.
    fn reply_to(&self, call: &Call) -> Option<Reply> {
        let store = self.store.borrow().clone();
        match store.filter(|_| call.cluster == "redis") {
            Some(store) => store(call),
            None => Some(self.provide(call)),
        }
    }

    /// The provider's answer to a call, which nobody has heard yet.
    fn provide(&self, call: &Call) -> Reply {
        let known = self.provider.refreshed.borrow().len();
        let reply = self.provider.answer(call, self.now());
        let refreshed = &self.provider.refreshed.borrow()[known..];
        self.unheard.borrow_mut().extend(refreshed);
        reply
    }

    /// The calls that were made, or those of one worker, get no answer. Whoever is called may have got
    /// them.
    pub(crate) fn lose_calls(&self, worker: Option<usize>, arrive: bool) {
        let lost = worker.map(|worker| Rc::clone(&self.gates.borrow()[worker]));
        let is_lost = |id| lost.as_ref().is_none_or(|gate| gate.most(id).is_some());
        let calls = self.process.calls.take();
        let (lost, others) = calls
            .into_iter()
            .partition::<Vec<_>, _>(|(id, _)| is_lost(*id));
        self.process.calls.replace(others);
        for (_, call) in lost.iter().filter(|_| arrive) {
            self.reply_to(call);
        }
    }

    fn each_gate(
        &self,
        step: impl for<'g> FnMut(&'g Gate<FakeHost>) -> Verdicts<'g>,
    ) -> Vec<(ContextId, Page)> {
        let mut step = step;
        let mut gates = self.gates.borrow().clone();
        gates.extend(self.leaving.borrow().iter().cloned());
        let mut pages = Vec::new();
        for gate in &gates {
            for (context, verdict) in step(gate) {
                let (.., sent) = self.waiting.borrow_mut().remove(&context).unwrap();
                pages.push((context, Self::conclude(gate, sent, &verdict)));
            }
        }
        self.leaving.borrow_mut().retain(|gate| {
            let waiting = self.waiting.borrow();
            let is_needed = waiting.values().any(|(at, ..)| Rc::ptr_eq(at, gate));
            if !is_needed {
                gate.end();
            }
            is_needed
        });
        pages
    }

    /// Lets time pass, and the provider answer, until a request is decided.
    pub(crate) fn answer_all(&self, waiting: Waiting) -> Page {
        for _ in 0..1000 {
            let mut pages = self.tick();
            pages.extend(self.answer_calls());
            if let Some(page) = waiting.page(pages) {
                return page;
            }
        }
        panic!("never decided: {waiting:?}");
    }

    fn conclude(gate: &Gate<FakeHost>, sent: Vec<(String, String)>, verdict: &Verdict<'_>) -> Page {
        let edge = Edge {
            sent,
            page: RefCell::default(),
        };
        gate.conclude(verdict, &edge);
        let mut page = edge.page.into_inner();
        if let Verdict::Reject(refusal) = verdict {
            page.reason = Some(refusal.rejection.reason());
        }
        page
    }

    /// Opens a page by a link of our own, or by its address.
    pub(crate) fn open(&self, browser: &mut Browser, path: &str) -> Page {
        self.send(browser, "GET", &format!("{APP}{path}"), &PAGE)
    }

    /// Opens a page and signs in as somebody where the provider asks: the last page, and how often
    /// the provider asked.
    pub(crate) fn visit(&self, browser: &mut Browser, path: &str, sub: &str) -> (Page, u32) {
        let mut url = format!("{APP}{path}");
        let mut asked = 0;
        for _ in 0..12 {
            let page = self.send(browser, "GET", &url, &PAGE);
            if page.status != 303 {
                return (page, asked);
            }
            let next = page.location().to_owned();
            url = if next.starts_with("https://idp.example/authorize") {
                asked += 1;
                self.provider.sign_in(&next, sub)
            } else if next.starts_with('/') {
                format!("{APP}{next}")
            } else {
                next
            };
        }
        panic!("{path} never ends");
    }

    /// A browser in which somebody is signed in by `staff`.
    pub(crate) fn signed_in(&self, sub: &str) -> Browser {
        let mut browser = Browser::default();
        let (page, _) = self.visit(&mut browser, "/", sub);
        assert_eq!((page.status, page.user()), (200, Some(sub)), "{page:?}");
        browser
    }

    /// Where a page sends a browser that is to sign in.
    pub(crate) fn begin(&self, browser: &mut Browser, path: &str) -> String {
        let page = self.open(browser, path);
        let location = page.location().to_owned();
        assert!(
            location.starts_with("https://idp.example/authorize?"),
            "{location}"
        );
        location
    }

    /// Comes back from the provider.
    pub(crate) fn come_back(&self, browser: &mut Browser, url: &str) -> Page {
        self.send(browser, "GET", url, &FROM_ELSEWHERE)
    }
}
