//! An identity provider that looks like Auth0, and misbehaves on command.
//!
//! It mints RS256 tokens for client credentials, publishes OpenID Connect discovery, RFC 8414
//! metadata and a JWK Set, and counts who asks. The handle controls it from the same process.
//! People sign in at its OpenID provider, [`openid`].

mod fault;
mod grant;
pub mod openid;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

pub use fault::{Fault, HUGE, Hold};
pub use openid::OpenId;

use crate::keys::{KeyForm, SigningKey};
use crate::serve::Server;
use crate::token::{self, Claims};

/// Where the JWK Set is.
pub const JWKS_PATH: &str = "/.well-known/jwks.json";
/// Where a [`Fault::Status`] of 3xx redirects to.
pub const REDIRECT_PATH: &str = "/elsewhere/jwks.json";
/// How long a token lives, in seconds; Auth0's default.
pub const TOKEN_LIFETIME: i64 = 86_400;

/// Who may have tokens, and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// `client_id`
    pub id: String,
    /// `client_secret`
    pub secret: String,
    /// The audiences that it may ask for; the first is the default of [`Idp::claims`].
    pub audiences: Vec<String>,
    /// The scopes that it may ask for. It gets those that it asks for, and none by default.
    pub scopes: Vec<String>,
}

impl Client {
    /// The client of the demo and of most tests.
    pub fn demo() -> Self {
        Self {
            id: "demo-client".to_owned(),
            secret: "demo-secret".to_owned(),
            audiences: vec!["https://api.example.com".to_owned()],
            scopes: vec!["read:messages".to_owned(), "write:messages".to_owned()],
        }
    }
}

/// A running identity provider; dropping it stops it.
#[derive(Debug)]
pub struct Idp {
    shared: Arc<Shared>,
    address: SocketAddr,
    server: Mutex<Option<Server>>,
}

/// Choices to make before the start.
#[derive(Debug)]
pub struct IdpBuilder {
    listen: SocketAddr,
    issuer: Option<String>,
    issuer_path: String,
    jwks_path: String,
    tenant: Option<(String, String)>,
    browser_host: Option<String>,
    customs: openid::Customs,
    client: Client,
}

impl IdpBuilder {
    /// The address; `127.0.0.1:0` by default.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// The issuer; `http://ADDRESS/` by default, with a slash at its end as Auth0's.
    #[must_use]
    pub fn issuer(mut self, issuer: &str) -> Self {
        self.issuer = Some(issuer.to_owned());
        self
    }

    /// The path of the issuer, as `/realms/demo`; `/` by default. Its metadata is below it.
    #[must_use]
    pub fn issuer_path(mut self, path: &str) -> Self {
        path.clone_into(&mut self.issuer_path);
        self
    }

    /// Issues tokens of many tenants, as Entra does: at `issuer_path` are metadata for all of them,
    /// with an issuer of this path that has `{tenantid}`. Tokens are of the tenant `id`.
    #[must_use]
    pub fn tenant(mut self, path: &str, id: &str) -> Self {
        self.tenant = Some((path.to_owned(), id.to_owned()));
        self
    }

    /// Where the JWK Set is; [`JWKS_PATH`] by default.
    #[must_use]
    pub fn jwks_path(mut self, path: &str) -> Self {
        path.clone_into(&mut self.jwks_path);
        self
    }

    /// The host under which browsers reach it, as `idp.localhost`; the address by default. The
    /// metadata has it where a browser is sent.
    #[must_use]
    pub fn browser_host(mut self, host: &str) -> Self {
        self.browser_host = Some(host.to_owned());
        self
    }

    /// Other ways than this provider's own, where people sign in.
    #[must_use]
    pub fn customs(mut self, customs: openid::Customs) -> Self {
        self.customs = customs;
        self
    }

    /// The one client; [`Client::demo`] by default.
    #[must_use]
    pub fn client(mut self, client: Client) -> Self {
        self.client = client;
        self
    }

    /// Generates a key and listens.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn start(self) -> io::Result<Idp> {
        let key = SigningKey::generate();
        let shared = Arc::new(Shared {
            client: self.client,
            issuer_path: self.issuer_path,
            jwks_path: self.jwks_path,
            counters: Counters::default(),
            openid: Mutex::new(openid::State::with(self.customs)),
            state: Mutex::new(Behaviour {
                url: String::new(),
                browser_url: String::new(),
                issuer: String::new(),
                signing: key.clone(),
                published: vec![key],
                form: KeyForm::ModulusAndCertificate,
                extra: Vec::new(),
                jwks: Fault::Ok,
                discovery: Fault::Ok,
                metadata_fault: Fault::Ok,
                cache_control: None,
                age: None,
                discovery_issuer: None,
                jwks_uri: None,
                bearer: None,
            }),
        });
        let server = Server::start(self.listen, |address| {
            let mut state = shared.state();
            state.url = format!("http://{address}");
            state.browser_url = match self.browser_host {
                Some(host) => format!("http://{host}:{}", address.port()),
                None => state.url.clone(),
            };
            let path = &shared.issuer_path;
            state.issuer = self
                .issuer
                .unwrap_or_else(|| format!("http://{address}{path}"));
            if let Some((path, id)) = self.tenant {
                let issuer = format!("http://{address}{path}");
                state.issuer = issuer.replace("{tenantid}", &id);
                state.discovery_issuer = Some(issuer);
            }
            drop(state);
            router(shared.clone())
        })?;
        Ok(Idp {
            shared,
            address: server.address(),
            server: Mutex::new(Some(server)),
        })
    }
}

impl Idp {
    /// On a free loopback port, with the demo client.
    pub fn start() -> Self {
        Self::builder().start().expect("a free loopback port")
    }

    /// To choose address, issuer or client.
    pub fn builder() -> IdpBuilder {
        IdpBuilder {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            issuer: None,
            issuer_path: "/".to_owned(),
            jwks_path: JWKS_PATH.to_owned(),
            tenant: None,
            browser_host: None,
            customs: openid::Customs::default(),
            client: Client::demo(),
        }
    }

    /// The address that it listens on, also while stopped.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://ADDRESS` without a slash at the end.
    pub fn url(&self) -> String {
        self.shared.state().url.clone()
    }

    /// The `iss` of its tokens.
    pub fn issuer(&self) -> String {
        self.shared.state().issuer.clone()
    }

    /// The URL of the JWK Set.
    pub fn jwks_url(&self) -> String {
        format!("{}{}", self.url(), self.shared.jwks_path)
    }

    /// The client that may have tokens.
    pub fn client(&self) -> &Client {
        &self.shared.client
    }

    /// Where people sign in.
    pub fn openid(&self) -> OpenId<'_> {
        OpenId(&self.shared)
    }

    // Being down

    /// Closes the port and cuts all connections.
    pub fn stop(&self) {
        drop(self.server.lock().expect("no panic while locked").take());
    }

    /// Listens on the same port again, with the same keys and behaviour.
    ///
    /// # Panics
    /// When somebody else took the port meanwhile.
    pub fn restart(&self) {
        let mut server = self.server.lock().expect("no panic while locked");
        if server.is_none() {
            let started = Server::start(self.address, |_| router(self.shared.clone()));
            *server = Some(started.expect("the same port is free again"));
        }
    }

    // Keys

    /// The key that signs now.
    pub fn key(&self) -> SigningKey {
        self.shared.state().signing.clone()
    }

    /// Publishes a new key and signs with it; the old keys stay published.
    pub fn rotate(&self) -> SigningKey {
        let key = SigningKey::generate();
        let mut state = self.shared.state();
        state.published.push(key.clone());
        state.signing = key.clone();
        key
    }

    /// Publishes a new key, signs with it, and withdraws all others.
    pub fn rotate_and_drop(&self) -> SigningKey {
        let key = self.rotate();
        self.drop_old_keys();
        key
    }

    /// Withdraws every published key but the one that signs.
    pub fn drop_old_keys(&self) {
        let mut state = self.shared.state();
        state.published = vec![state.signing.clone()];
    }

    /// Publishes exactly these keys and signs with the first.
    ///
    /// # Panics
    /// When there is none.
    pub fn set_keys(&self, keys: &[SigningKey]) {
        let mut state = self.shared.state();
        state.signing = keys.first().expect("at least one key").clone();
        state.published = keys.to_vec();
    }

    /// How keys are published; with `x5c` beside `n` and `e` by default.
    pub fn set_key_form(&self, form: KeyForm) {
        self.shared.state().form = form;
    }

    /// Published ahead of the real keys: `oct` keys, short keys, anything.
    pub fn set_extra_jwks(&self, extra: Vec<Value>) {
        self.shared.state().extra = extra;
    }

    /// The keys as they are published when all is well.
    pub fn jwks(&self) -> Value {
        self.shared.state().jwks()
    }

    // Misbehaviour

    /// What the JWK Set's endpoint does from now on.
    pub fn set_jwks(&self, fault: Fault) {
        self.shared.state().jwks = fault;
    }

    /// What OpenID's discovery endpoint does from now on.
    pub fn set_discovery(&self, fault: Fault) {
        self.shared.state().discovery = fault;
    }

    /// What the endpoint of RFC 8414's metadata does from now on.
    pub fn set_metadata(&self, fault: Fault) {
        self.shared.state().metadata_fault = fault;
    }

    /// The JWK Set's `Cache-Control`; none by default, a header line for each line of the text.
    pub fn set_cache_control(&self, value: Option<&str>) {
        self.shared.state().cache_control = value.map(str::to_owned);
    }

    /// The JWK Set's `Age`, as a cache on the way sends it; none by default.
    pub fn set_age(&self, seconds: Option<u64>) {
        self.shared.state().age = seconds;
    }

    /// Another `issuer` in the discovery documents; `None` for the true one.
    pub fn set_discovery_issuer(&self, issuer: Option<&str>) {
        self.shared.state().discovery_issuer = issuer.map(str::to_owned);
    }

    /// Another `jwks_uri` in the discovery documents; `None` for the true one.
    pub fn set_jwks_uri(&self, uri: Option<&str>) {
        self.shared.state().jwks_uri = uri.map(str::to_owned);
    }

    /// Has keys and metadata for whoever sends this token alone; everybody else gets 401, or 403 without
    /// any, as from Kubernetes.
    pub fn set_bearer(&self, token: &str) {
        self.shared.state().bearer = Some(token.to_owned());
    }

    // Counters: a request counts when it arrives, whatever becomes of it.

    /// Requests for the JWK Set.
    pub fn jwks_requests(&self) -> u64 {
        self.jwks_request_times().len() as u64
    }

    /// When each request for the JWK Set arrived.
    pub fn jwks_request_times(&self) -> Vec<Instant> {
        let times = self.shared.counters.jwks.lock();
        times.expect("no panic while locked").clone()
    }

    /// The most requests for the JWK Set that were being answered at one time; body streaming is
    /// not counted, so use [`Fault::Delay`] or [`Fault::Hang`] with it.
    pub fn jwks_peak(&self) -> u64 {
        self.shared.counters.jwks_peak.load(Ordering::SeqCst)
    }

    /// Requests for OpenID Connect discovery.
    pub fn discovery_requests(&self) -> u64 {
        self.shared.counters.discovery.load(Ordering::SeqCst)
    }

    /// Requests for RFC 8414 metadata.
    pub fn metadata_requests(&self) -> u64 {
        self.shared.counters.metadata.load(Ordering::SeqCst)
    }

    /// Requests for a token.
    pub fn token_requests(&self) -> u64 {
        self.shared.counters.token.load(Ordering::SeqCst)
    }

    /// Requests that followed a redirect.
    pub fn redirected_requests(&self) -> u64 {
        self.shared.counters.redirected.load(Ordering::SeqCst)
    }

    /// Requests for anything else.
    pub fn other_requests(&self) -> u64 {
        self.shared.counters.other.load(Ordering::SeqCst)
    }

    // Tokens without a request

    /// The claims of a good token without scopes, to be varied.
    pub fn claims(&self) -> Claims {
        let client = &self.shared.client;
        let audience = client.audiences.first().map_or("", String::as_str);
        self.shared.state().claims(&client.id, audience, &[])
    }

    /// The JOSE header of a good token.
    pub fn header(&self) -> Value {
        token::header(self.key().kid())
    }

    /// A token with these claims, signed with the key of now.
    pub fn token(&self, claims: &Claims) -> String {
        self.sign(&self.header(), &claims.value())
    }

    /// A good token without scopes.
    pub fn good_token(&self) -> String {
        self.token(&self.claims())
    }

    /// A token with any header and claims, signed with RS256 and the key of now.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        token::sign(&self.key(), header, claims)
    }
}

#[derive(Debug)]
struct Shared {
    client: Client,
    issuer_path: String,
    jwks_path: String,
    counters: Counters,
    openid: Mutex<openid::State>,
    state: Mutex<Behaviour>,
}

impl Shared {
    fn openid(&self) -> MutexGuard<'_, openid::State> {
        self.openid.lock().expect("no panic while locked")
    }

    fn provider(&self) -> openid::Provider {
        let state = self.state();
        openid::Provider {
            issuer: state.issuer.clone(),
            url: state.url.clone(),
            browser_url: state.browser_url.clone(),
            key: state.signing.clone(),
            published: state.published.clone(),
        }
    }

    fn metadata(&self) -> Value {
        let mut document = openid::metadata(&self.provider(), &self.openid());
        let state = self.state();
        let jwks_uri = format!("{}{}", state.url, self.jwks_path);
        document["issuer"] = json!(state.discovery_issuer.as_ref().unwrap_or(&state.issuer));
        document["jwks_uri"] = json!(state.jwks_uri.as_ref().unwrap_or(&jwks_uri));
        document
    }

    fn state(&self) -> MutexGuard<'_, Behaviour> {
        self.state.lock().expect("no panic while locked")
    }
}

#[derive(Debug, Default)]
struct Counters {
    jwks: Mutex<Vec<Instant>>,
    jwks_now: AtomicU64,
    jwks_peak: AtomicU64,
    discovery: AtomicU64,
    metadata: AtomicU64,
    token: AtomicU64,
    redirected: AtomicU64,
    other: AtomicU64,
}

#[derive(Debug)]
struct Behaviour {
    url: String,
    browser_url: String,
    issuer: String,
    signing: SigningKey,
    published: Vec<SigningKey>,
    form: KeyForm,
    extra: Vec<Value>,
    jwks: Fault,
    discovery: Fault,
    metadata_fault: Fault,
    cache_control: Option<String>,
    age: Option<u64>,
    discovery_issuer: Option<String>,
    jwks_uri: Option<String>,
    bearer: Option<String>,
}

impl Behaviour {
    /// What becomes of a request for a document.
    fn fault(&self, fault: &Fault, headers: &HeaderMap) -> Fault {
        let Some(bearer) = &self.bearer else {
            return fault.clone();
        };
        match headers.get(header::AUTHORIZATION) {
            None => Fault::Status(403),
            Some(sent) if *sent == format!("Bearer {bearer}") => fault.clone(),
            Some(_) => Fault::Status(401),
        }
    }

    fn jwks(&self) -> Value {
        if self.form == KeyForm::CertificatesByKid {
            let by_kid = |key: &SigningKey| (key.kid().to_owned(), json!(key.certificate_pem()));
            return self.published.iter().map(by_kid).collect();
        }
        let own = self.published.iter().map(|key| key.jwk(self.form));
        let keys: Vec<Value> = self.extra.iter().cloned().chain(own).collect();
        json!({ "keys": keys })
    }

    fn claims(&self, client_id: &str, audience: &str, scopes: &[String]) -> Claims {
        let claims = Claims::empty()
            .issuer(&self.issuer)
            .subject(&format!("{client_id}@clients"))
            .audience(audience)
            .issued_in(0)
            .expires_in(TOKEN_LIFETIME)
            .with("azp", client_id)
            .with("gty", "client-credentials")
            .with("permissions", json!(scopes));
        // Auth0 leaves an empty scope out.
        if scopes.is_empty() {
            claims
        } else {
            claims.scope(&scopes.join(" "))
        }
    }
}

fn router(shared: Arc<Shared>) -> Router {
    let issuer = shared.issuer_path.trim_end_matches('/');
    let discovery = format!("{issuer}/.well-known/openid-configuration");
    let customs = shared.openid().customs().clone();
    Router::new()
        .route(customs.path(openid::Endpoint::Token), post(issue_token))
        .route(&shared.jwks_path, get(serve_jwks))
        .route(&discovery, get(serve_discovery))
        .route(
            "/.well-known/oauth-authorization-server",
            get(serve_metadata),
        )
        .route(REDIRECT_PATH, get(serve_redirected))
        .merge(openid::routes(&customs))
        .fallback(serve_nothing)
        .with_state(shared)
}

async fn issue_token(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    shared.counters.token.fetch_add(1, Ordering::SeqCst);
    let form: Vec<(String, String)> = serde_urlencoded::from_bytes(&body).unwrap_or_default();
    let is_for_a_person =
        |(name, value): &(String, String)| name == "grant_type" && openid::is_ours(value);
    if form.iter().any(is_for_a_person) {
        return openid::serve_token(&shared, headers, &body).await;
    }
    let clients = std::slice::from_ref(&shared.client);
    let grant = match grant::decide(clients, &headers, &body) {
        Ok(grant) => grant,
        Err(error) => return error.into_response(),
    };
    let (key, claims) = {
        let state = shared.state();
        let claims = state.claims(&grant.client_id, &grant.audience, &grant.scopes);
        (state.signing.clone(), claims)
    };
    let token = token::sign(&key, &token::header(key.kid()), &claims.value());
    let mut body = json!({
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": TOKEN_LIFETIME,
    });
    if !grant.scopes.is_empty() {
        body["scope"] = json!(grant.scopes.join(" "));
    }
    grant::uncached(StatusCode::OK, &body)
}

async fn serve_jwks(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let counters = &shared.counters;
    let arrived = Instant::now();
    counters
        .jwks
        .lock()
        .expect("no panic while locked")
        .push(arrived);
    let _in_progress = InProgress::enter(counters);
    let (fault, document, cache_control, age, url) = {
        let state = shared.state();
        let cache_control = state.cache_control.clone();
        (
            state.fault(&state.jwks, &headers),
            state.jwks(),
            cache_control,
            state.age,
            state.url.clone(),
        )
    };
    let redirect_to = format!("{url}{REDIRECT_PATH}");
    let mut response =
        fault::respond(fault, &document, cache_control.as_deref(), &redirect_to).await;
    if let Some(age) = age {
        response.headers_mut().insert(header::AGE, age.into());
    }
    response
}

/// Counts a request for as long as it is being answered, also when its client leaves.
struct InProgress<'a>(&'a Counters);

impl<'a> InProgress<'a> {
    fn enter(counters: &'a Counters) -> Self {
        let now = counters.jwks_now.fetch_add(1, Ordering::SeqCst) + 1;
        counters.jwks_peak.fetch_max(now, Ordering::SeqCst);
        InProgress(counters)
    }
}

impl Drop for InProgress<'_> {
    fn drop(&mut self) {
        self.0.jwks_now.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn serve_discovery(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    shared.counters.discovery.fetch_add(1, Ordering::SeqCst);
    let fault = {
        let state = shared.state();
        state.fault(&state.discovery, &headers)
    };
    metadata(&shared, fault).await
}

async fn serve_metadata(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    shared.counters.metadata.fetch_add(1, Ordering::SeqCst);
    let fault = {
        let state = shared.state();
        state.fault(&state.metadata_fault, &headers)
    };
    metadata(&shared, fault).await
}

async fn metadata(shared: &Shared, fault: Fault) -> Response {
    let (document, url) = (shared.metadata(), shared.state().url.clone());
    fault::respond(fault, &document, None, &format!("{url}{REDIRECT_PATH}")).await
}

async fn serve_redirected(State(shared): State<Arc<Shared>>) -> Response {
    shared.counters.redirected.fetch_add(1, Ordering::SeqCst);
    let document = shared.state().jwks();
    fault::respond(Fault::Ok, &document, None, "").await
}

async fn serve_nothing(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.counters.other.fetch_add(1, Ordering::SeqCst);
    StatusCode::NOT_FOUND
}
