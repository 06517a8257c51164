//! The part of the identity provider where people sign in: OpenID Connect's code flow and what
//! belongs to it, with everything in memory.
//!
//! Invariant: one lock is held while a request is answered, and none while anything is waited for.
//! It does what the specifications ask of a provider, until a [`Misbehaviour`] is asked for.

mod authorize;
mod client_auth;
mod customs;
mod inquiry;
mod logout;
mod mint;
mod misbehaviour;
mod page;
mod party;
mod seen;
mod store;
mod token_endpoint;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State as Extract;
use axum::http::{HeaderMap, Method, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};
use serde_json::{Value, json};

pub use customs::Customs;
pub(crate) use customs::patch;
pub use logout::Delivery;
pub use misbehaviour::Misbehaviour;
pub use party::{ClientAuth, Person, RelyingParty};
pub use seen::{Endpoint, Seen};

use super::Shared;
use super::fault::{self, Fault};
use super::grant::GrantError;
use crate::keys::SigningKey;
use authorize::AuthorizationRequest;
use mint::Grant;
use store::Bounded;
use token_endpoint::{Access, Code, Refresh};

pub(super) use token_endpoint::is_ours;

/// The cookie of the provider's own session.
pub const SESSION_COOKIE: &str = "testbed_idp_session";
/// The most requests that are remembered; the oldest goes first. The counts go on.
const MOST_SEEN: usize = 1000;
/// The most people.
const MOST_PEOPLE: usize = 1000;

/// What an honest provider may choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How many `groups` a person is in; 3.
    pub groups: usize,
    /// How long an access token lives, in seconds; 300. It is `expires_in`.
    pub access_token_lifetime: i64,
    /// How long an ID token lives, in seconds; 300.
    pub id_token_lifetime: i64,
    /// How long a code lives, in seconds; 60.
    pub code_lifetime: i64,
    /// Whether refresh tokens are issued; they are.
    pub refresh_tokens: bool,
    /// Whether each use of a refresh token replaces it; it does.
    pub rotates_refresh_tokens: bool,
    /// Whether a refresh brings a new ID token; it does.
    pub id_token_at_refresh: bool,
    /// Whether authorization responses have `iss`, and the metadata says so (RFC 9207); they have.
    pub iss_parameter: bool,
    /// Whether a client's assertion must name the endpoint that is called, as Okta wants it; the
    /// issuer and the token endpoint are good too.
    pub wants_called_endpoint: bool,
    /// Whether authorization requests must be pushed, and the metadata says so (RFC 9126 s5).
    pub requires_pushed_requests: bool,
    /// How long a token response takes; no time.
    pub token_delay: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            groups: 3,
            access_token_lifetime: 300,
            id_token_lifetime: 300,
            code_lifetime: 60,
            refresh_tokens: true,
            rotates_refresh_tokens: true,
            id_token_at_refresh: true,
            iss_parameter: true,
            wants_called_endpoint: false,
            requires_pushed_requests: false,
            token_delay: Duration::ZERO,
        }
    }
}

/// What the rest of the identity provider knows, at the time of a request.
pub(super) struct Provider {
    pub issuer: String,
    /// Where clients reach it.
    pub url: String,
    /// Where browsers reach it.
    pub browser_url: String,
    pub key: SigningKey,
    pub published: Vec<SigningKey>,
}

/// A person's session with the provider, in one browser.
#[derive(Clone, Debug)]
struct Session {
    sub: String,
    sid: String,
    auth_time: i64,
    /// The clients that it signed in to.
    clients: Vec<String>,
}

/// Everything that is remembered.
#[derive(Debug)]
pub(super) struct State {
    settings: Settings,
    customs: Customs,
    misbehaviour: Option<Misbehaviour>,
    people: Vec<Person>,
    parties: Vec<RelyingParty>,
    sessions: Bounded<Session>,
    transactions: Bounded<AuthorizationRequest>,
    pushed: Bounded<(i64, Seen)>,
    grants: Bounded<Grant>,
    codes: Bounded<Code>,
    refresh: Bounded<Refresh>,
    access: Bounded<Access>,
    assertions: Bounded<()>,
    counts: [u64; Endpoint::ALL.len()],
    seen: Vec<Seen>,
    deliveries: Vec<Delivery>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            settings: Settings::default(),
            customs: Customs::default(),
            misbehaviour: None,
            people: Person::demo(),
            parties: Vec::new(),
            sessions: Bounded::default(),
            transactions: Bounded::default(),
            pushed: Bounded::default(),
            grants: Bounded::default(),
            codes: Bounded::default(),
            refresh: Bounded::default(),
            access: Bounded::default(),
            assertions: Bounded::default(),
            counts: [0; Endpoint::ALL.len()],
            seen: Vec::new(),
            deliveries: Vec::new(),
        }
    }
}

impl State {
    pub(super) fn with(customs: Customs) -> Self {
        Self {
            customs,
            ..Self::default()
        }
    }

    /// The ways of this provider.
    pub(super) fn customs(&self) -> &Customs {
        &self.customs
    }

    fn party(&self, client_id: &str) -> Option<&RelyingParty> {
        let mut all = self.parties.iter();
        all.find(|party| party.client_id == client_id)
    }

    fn asks_consent(&self, client_id: &str) -> bool {
        self.party(client_id)
            .is_some_and(|party| party.asks_consent)
    }

    /// Notes that a session signed in to a client.
    fn joined(&mut self, sid: &str, client_id: &str) {
        for (_, session) in self.sessions.iter_mut() {
            if session.sid == sid && !session.clients.iter().any(|known| known == client_id) {
                session.clients.push(client_id.to_owned());
            }
        }
    }

    fn sign_up(&mut self, seen: &Seen) -> Result<Person, &'static str> {
        let parameter = |name| seen.parameter(name).unwrap_or_default().trim();
        let (name, username, password) = (
            parameter("name"),
            parameter("username"),
            parameter("password"),
        );
        if [name, username, password].contains(&"") {
            return Err("Fill in every field.");
        }
        if self.people.iter().any(|person| person.username == username) {
            return Err("Somebody has this username already.");
        }
        if self.people.len() >= MOST_PEOPLE {
            return Err("There are too many people here.");
        }
        let person = Person::named(username, name, password);
        self.people.push(person.clone());
        Ok(person)
    }

    fn note(&mut self, seen: &Seen) {
        self.counts[seen.endpoint as usize] += 1;
        if self.seen.len() == MOST_SEEN {
            self.seen.remove(0);
        }
        self.seen.push(seen.clone());
    }
}

/// What a request comes to.
enum Outcome {
    Ready(Response),
    /// JSON, with what befalls it.
    Document(Fault, Value),
    /// An answer, after clients have been told that somebody signed out.
    Notify(Vec<Delivery>, Response),
}

/// The members of the metadata that are about people (OpenID Connect Discovery s3).
pub(super) fn metadata(provider: &Provider, state: &State) -> Value {
    let path = |endpoint| state.customs.path(endpoint);
    let at = |endpoint| format!("{}{}", provider.url, path(endpoint));
    let shown_at = |endpoint| format!("{}{}", provider.browser_url, path(endpoint));
    let mut document = json!({
        "authorization_endpoint": shown_at(Endpoint::Authorize),
        "end_session_endpoint": shown_at(Endpoint::EndSession),
        "token_endpoint": at(Endpoint::Token),
        "userinfo_endpoint": at(Endpoint::UserInfo),
        "revocation_endpoint": at(Endpoint::Revocation),
        "introspection_endpoint": at(Endpoint::Introspection),
        "pushed_authorization_request_endpoint": at(Endpoint::PushedAuthorization),
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "form_post"],
        "subject_types_supported": ["public"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "prompt_values_supported": ["none", "login", "consent", "select_account", "create"],
        "code_challenge_methods_supported": ["S256"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "token_endpoint_auth_methods_supported":
            ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"],
        "token_endpoint_auth_signing_alg_values_supported": ["RS256", "ES256"],
        "authorization_response_iss_parameter_supported": state.settings.iss_parameter,
        "require_pushed_authorization_requests": state.settings.requires_pushed_requests,
        "backchannel_logout_supported": true,
        "backchannel_logout_session_supported": true,
    });
    patch(&mut document, &state.customs.metadata);
    document
}

/// Every endpoint but the token endpoint, which is for client credentials too.
pub(super) fn routes(customs: &Customs) -> Router<Arc<Shared>> {
    let others = Endpoint::ALL
        .into_iter()
        .filter(|endpoint| *endpoint != Endpoint::Token);
    others.fold(Router::new(), |router, endpoint| {
        let methods = match endpoint {
            Endpoint::Authorize | Endpoint::UserInfo | Endpoint::EndSession => {
                MethodFilter::GET.or(MethodFilter::POST)
            }
            _ => MethodFilter::POST,
        };
        let handler = move |Extract(shared): Extract<Arc<Shared>>,
                            method: Method,
                            uri: Uri,
                            headers: HeaderMap,
                            body: Bytes| async move {
            let seen = Seen::new(endpoint, method.as_str(), uri.query(), headers, &body);
            serve(&shared, &seen).await
        };
        router.route(customs.path(endpoint), on(methods, handler))
    })
}

/// A code or a refresh token, at the token endpoint.
pub(super) async fn serve_token(shared: &Shared, headers: HeaderMap, body: &Bytes) -> Response {
    serve(
        shared,
        &Seen::new(Endpoint::Token, "POST", None, headers, body),
    )
    .await
}

async fn serve(shared: &Shared, seen: &Seen) -> Response {
    let provider = shared.provider();
    let outcome = {
        let mut state = shared.openid();
        state.note(seen);
        answer(&provider, &mut state, seen)
    };
    match outcome {
        Outcome::Ready(response) => response,
        Outcome::Document(fault, document) => {
            let elsewhere = format!("{}{}", provider.url, super::REDIRECT_PATH);
            fault::respond(fault, &document, Some("no-store"), &elsewhere).await
        }
        Outcome::Notify(notices, response) => {
            let sent = logout::deliver(notices).await;
            shared.openid().deliveries.extend(sent);
            response
        }
    }
}

fn answer(provider: &Provider, state: &mut State, seen: &Seen) -> Outcome {
    let for_client = match seen.endpoint {
        Endpoint::Authorize => return Outcome::Ready(authorize::authorize(provider, state, seen)),
        Endpoint::Form => return Outcome::Ready(authorize::form(provider, state, seen)),
        Endpoint::UserInfo => return Outcome::Ready(inquiry::user_info(state, seen)),
        Endpoint::EndSession => return logout::end_session(provider, state, seen),
        other => other,
    };
    let party = match client_auth::client(provider, state, seen) {
        Ok(party) => party,
        Err(error) => return Outcome::Ready(GrantError::into_response(error)),
    };
    match for_client {
        Endpoint::Token => token_endpoint::token(provider, state, &party, seen),
        Endpoint::Revocation => Outcome::Ready(inquiry::revoke(state, &party, seen)),
        Endpoint::Introspection => {
            Outcome::Ready(inquiry::introspect(provider, state, &party, seen))
        }
        _ => Outcome::Ready(authorize::push(state, &party, seen)),
    }
}

/// The OpenID provider of a running [`super::Idp`].
#[derive(Clone, Copy, Debug)]
pub struct OpenId<'a>(pub(super) &'a Shared);

impl OpenId<'_> {
    /// Registers a client, in place of one of the same id.
    pub fn register(&self, party: RelyingParty) {
        let mut state = self.0.openid();
        state
            .parties
            .retain(|known| known.client_id != party.client_id);
        state.parties.push(party);
    }

    /// Registers a person, in place of one of the same username.
    pub fn add_person(&self, person: Person) {
        let mut state = self.0.openid();
        state
            .people
            .retain(|known| known.username != person.username);
        state.people.push(person);
    }

    /// Changes what an honest provider may choose.
    pub fn configure(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.0.openid().settings);
    }

    /// Does this wrong from now on, and nothing else; `None` for nothing.
    pub fn misbehave(&self, misbehaviour: Option<Misbehaviour>) {
        self.0.openid().misbehaviour = misbehaviour;
    }

    /// The URL of an endpoint, where clients reach it.
    pub fn url(&self, endpoint: Endpoint) -> String {
        let path = self.0.openid().customs.path(endpoint);
        format!("{}{path}", self.0.provider().url)
    }

    /// The URL of an endpoint, where browsers reach it.
    pub fn browser_url(&self, endpoint: Endpoint) -> String {
        let path = self.0.openid().customs.path(endpoint);
        format!("{}{path}", self.0.provider().browser_url)
    }

    /// How many requests an endpoint had.
    pub fn calls(&self, endpoint: Endpoint) -> u64 {
        self.0.openid().counts[endpoint as usize]
    }

    /// The last requests of an endpoint, oldest first.
    pub fn seen(&self, endpoint: Endpoint) -> Vec<Seen> {
        let state = self.0.openid();
        let all = state.seen.iter();
        all.filter(|seen| seen.endpoint == endpoint)
            .cloned()
            .collect()
    }

    /// The last request of an endpoint.
    ///
    /// # Panics
    /// When there was none.
    pub fn last(&self, endpoint: Endpoint) -> Seen {
        let last = self.seen(endpoint).pop();
        last.unwrap_or_else(|| panic!("no request to {endpoint:?}"))
    }

    /// The logout tokens that were sent, and what came of each.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.0.openid().deliveries.clone()
    }

    /// How many sessions people have here.
    pub fn sessions(&self) -> usize {
        self.0.openid().sessions.len()
    }

    /// What a person's session is called here, if there is one.
    pub fn sid_of(&self, sub: &str) -> Option<String> {
        let mut state = self.0.openid();
        let mut sessions = state.sessions.iter_mut();
        let (_, session) = sessions.find(|(_, session)| session.sub == sub)?;
        Some(session.sid.clone())
    }

    /// Ends every session of a person, as an administrator does, and tells the clients. Returns the
    /// deliveries of now.
    pub fn sign_out(&self, sub: &str) -> Vec<Delivery> {
        let provider = self.0.provider();
        let notices = {
            let mut state = self.0.openid();
            logout::end(&provider, &mut state, |session| session.sub == sub)
        };
        // On a thread of its own, for callers with a runtime and those without.
        let sent = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(logout::deliver(notices))
        })
        .join()
        .expect("no panic while delivering");
        self.0.openid().deliveries.extend(sent.clone());
        sent
    }

    /// A logout token, with whatever is wrong with it now.
    pub fn logout_token(&self, client_id: &str, sub: &str, sid: &str) -> String {
        let provider = self.0.provider();
        let state = self.0.openid();
        mint::logout_token(&provider, &state, client_id, sub, sid)
    }
}
