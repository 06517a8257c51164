//! glewlwyd, an OpenID provider that no code of this project had a part in, from Debian's package.
//! It is set up as its administrator does it, by its API.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use p256::ecdsa::SigningKey;
use p256::elliptic_curve::Generate;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::browser::Browser;
use crate::envoy::Envoy;
use crate::http::Reply;
use crate::idp::openid::{ClientAuth, Person, RelyingParty};
use crate::process::Process;
use crate::raw::{self, RawResponse};
use crate::token::base64url;
use crate::visitor::{Visitor, parameters};
use crate::{holds_within, path_from};

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is started before that is an error: somebody else may have taken its port.
const STARTS: usize = 3;
/// The administrator, whom the package's script puts into a new database.
const ADMINISTRATOR: [&str; 2] = ["admin", "password"];
/// The plugin that is an OpenID provider, and where it is below the API.
const PLUGIN: &str = "oidc";

/// A running glewlwyd; dropping it stops it.
#[derive(Debug)]
pub struct Glewlwyd {
    process: Process,
    address: SocketAddr,
    /// The administrator's.
    cookie: String,
    // Dropped last.
    _folder: TempDir,
}

impl Glewlwyd {
    /// On a free loopback port, with [`Person::demo`]. Its access tokens and ID tokens are good for so
    /// many seconds, its refresh tokens for one use.
    ///
    /// # Panics
    /// When it does not start, because it is missing for one.
    pub fn start(life: Duration) -> Self {
        let folder = TempDir::with_prefix("glewlwyd").expect("a temporary folder");
        let (process, address) = start_process(&folder);
        let mut provider = Self {
            process,
            address,
            cookie: String::new(),
            _folder: folder,
        };
        let [username, password] = ADMINISTRATOR;
        let who = json!({"username": username, "password": password});
        let known = provider.call("POST", "auth", &who);
        let cookie = known.header("set-cookie").expect("a session's cookie");
        let (pair, _) = cookie.split_once(';').expect("a cookie's attributes");
        provider.cookie = pair.to_owned();
        provider.open_field_of_clients();
        provider.call("POST", "mod/plugin", &provider.plugin(life));
        for person in Person::demo() {
            let person = json!({
                "username": person.username,
                "password": person.password,
                "name": person.name,
                "email": person.email,
                "scope": ["openid"],
            });
            provider.call("POST", "user", &person);
        }
        provider
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The issuer, below which its metadata is.
    pub fn issuer(&self) -> String {
        self.url(&format!("/api/{PLUGIN}"))
    }

    /// One of its pages.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Registers a client, which may revoke tokens too.
    ///
    /// # Panics
    /// When the client has no secret.
    pub fn register(&self, party: &RelyingParty) {
        let ClientAuth::Secret(secret) = &party.auth else {
            panic!("only clients with a secret are passed on");
        };
        let client = json!({
            "client_id": party.client_id,
            "name": party.client_id,
            "confidential": true,
            "client_secret": secret,
            "token_endpoint_auth_method": ["client_secret_basic"],
            "redirect_uri": party.redirect_uris,
            "post_logout_redirect_uris": party.post_logout_redirect_uris,
            // Whoever has client credentials may revoke tokens.
            "authorization_type": ["code", "refresh_token", "client_credentials"],
            "scope": [],
            "backchannel_logout_uri": party.backchannel_logout_uri.as_deref().unwrap_or_default(),
            "backchannel_logout_session_required": "yes",
            "frontchannel_logout_uri": party.frontchannel_logout_uri.as_deref().unwrap_or_default(),
            "frontchannel_logout_session_required": "yes",
        });
        self.call("POST", "client", &client);
    }

    /// What it logged.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// What its page does: opens a URL of the authorization endpoint and signs in. The answer leads
    /// back to the client.
    ///
    /// # Panics
    /// When the page would be another.
    pub async fn sign_in_as_its_page(
        &self,
        visitor: &mut Visitor,
        url: &str,
        username: &str,
        password: &str,
    ) -> Reply {
        let asked = visitor.get(url).await;
        let page = asked.header("location").expect("the way to the page");
        let mut known = parameters(page).into_iter();
        let next = known.find(|(name, _)| name == "callback_url");
        let (_, next) = next.expect("the way on from the page");
        let who = json!({"username": username, "password": password});
        let entered = visitor
            .call(Method::POST, &self.url("/api/auth"), &who)
            .await;
        assert_eq!(entered.status, 200, "{}", entered.body);
        visitor.get(&format!("{next}&g_continue")).await
    }

    /// The same, where somebody agrees to the end of a session. The clients of the session are told.
    ///
    /// # Panics
    /// When nobody has such a session.
    pub async fn sign_out_as_its_page(&self, visitor: &mut Visitor, sid: &str) {
        let session = format!("{}/session/{sid}", self.issuer());
        let ended = visitor.call(Method::DELETE, &session, &Value::Null).await;
        assert_eq!(ended.status, 200, "{}", ended.body);
    }

    /// The field that its OpenID provider reads is not one of those that the package's script lets
    /// clients have.
    fn open_field_of_clients(&self) {
        let mut clients = self.call("GET", "mod/client/database", &Value::Null).json();
        clients["parameters"]["data-format"]["post_logout_redirect_uris"] =
            json!({"multiple": true, "read": true, "write": true});
        self.call("PUT", "mod/client/database", &clients);
        self.call("PUT", "mod/client/database/reset", &Value::Null);
    }

    fn plugin(&self, life: Duration) -> Value {
        json!({
            "module": "oidc",
            "name": PLUGIN,
            "display_name": "OpenID Connect",
            "enabled": true,
            "parameters": {
                "iss": self.issuer(),
                "oauth-as-iss-id": true,
                "jwks-private": json!({"keys": [key()]}).to_string(),
                "jwks-show": true,
                "code-duration": 60,
                "access-token-duration": life.as_secs(),
                "refresh-token-duration": 600,
                "refresh-token-one-use": "always",
                "allow-non-oidc": true,
                "auth-type-code-enabled": true,
                "auth-type-token-enabled": false,
                "auth-type-implicit-enabled": false,
                "auth-type-password-enabled": false,
                "auth-type-client-enabled": true,
                "auth-type-refresh-enabled": true,
                "name-claim": "mandatory",
                "email-claim": "mandatory",
                "pkce-allowed": true,
                "pkce-required": true,
                "oauth-par-allowed": true,
                "oauth-par-required": false,
                "oauth-par-request_uri-prefix": "urn:ietf:params:oauth:request_uri:",
                "oauth-par-duration": 60,
                "introspection-revocation-allowed": true,
                "introspection-revocation-allow-target-client": true,
                "session-management-allowed": true,
                "session-cookie-name": "GLEWLWYD2_OIDC_SID",
                "session-cookie-expiration": 3600,
                "front-channel-logout-allowed": true,
                "back-channel-logout-allowed": true,
            },
        })
    }

    /// The administrator calls the API.
    fn call(&self, method: &str, path: &str, body: &Value) -> RawResponse {
        let body = match body {
            Value::Null => String::new(),
            some => some.to_string(),
        };
        let request = format!(
            "{method} /api/{path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncookie: {}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.address,
            self.cookie,
            body.len()
        );
        let answer = raw::request(self.address, request.as_bytes()).expect("an answer");
        let told = answer.text();
        assert_eq!(answer.status, 200, "{path}: {told}\n{}", self.log());
        answer
    }
}

fn start_process(folder: &TempDir) -> (Process, SocketAddr) {
    // Where the Makefile puts it, if it is not told otherwise.
    let place = path_from("BEARER_GATE_GLEWLWYD", ".cache/glewlwyd");
    let database = folder.path().join("glewlwyd.db");
    fs::copy(place.join("empty.db"), &database)
        .unwrap_or_else(|e| panic!("{e}; `make e2e` fetches glewlwyd"));
    let log = folder.path().join("glewlwyd.log");
    for _ in 0..STARTS {
        let port = Envoy::free_port();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut command = Command::new(place.join("glewlwyd"));
        command
            .env("GLWD_PORT", port.to_string())
            .env("GLWD_BIND_ADDRESS", address.ip().to_string())
            .env("GLWD_EXTERNAL_URL", format!("http://{address}"))
            .env("GLWD_API_PREFIX", "api")
            .env("GLWD_LOGIN_URL", "login.html")
            .env("GLWD_COOKIE_SECURE", "0")
            .env("GLWD_ADMIN_SCOPE", "g_admin")
            .env("GLWD_PROFILE_SCOPE", "g_profile")
            .env("GLWD_HASH_ALGORITHM", "SHA512")
            .env("GLWD_DATABASE_TYPE", "sqlite3")
            .env("GLWD_DATABASE_SQLITE3_PATH", &database)
            .env("GLWD_LOG_MODE", "console")
            .env("GLWD_LOG_LEVEL", "DEBUG");
        let mut process = Process::spawn(&mut command, &log).expect("glewlwyd");
        let mut answers = false;
        holds_within(PATIENCE, || {
            answers = raw::get(address, "/config", &[]).is_ok_and(|page| page.status == 200);
            answers || process.exited().is_some()
        });
        if answers && process.exited().is_none() {
            return (process, address);
        }
    }
    let log = fs::read_to_string(log).unwrap_or_default();
    panic!("no glewlwyd:\n{log}");
}

/// A key pair for ES256, as a JWK.
fn key() -> Value {
    let private = SigningKey::generate_from_rng(&mut rand::rng());
    let point = private.verifying_key().to_sec1_point(false);
    let (x, y) = point.as_bytes()[1..].split_at(32);
    json!({
        "kty": "EC",
        "crv": "P-256",
        "kid": "one",
        "alg": "ES256",
        "x": base64url(x),
        "y": base64url(y),
        "d": base64url(private.to_bytes()),
    })
}

/// Fills in its page, which a browser shows, and goes on to the client.
///
/// # Panics
/// When it is another.
pub async fn sign_in(browser: &Browser, username: &str, password: &str) {
    browser.fill("#username", username).await;
    browser.fill("#password", password).await;
    browser.screenshot("glewlwyd").await;
    browser.press("OK").await;
    browser.press("Continue").await;
}

/// Agrees to the end of the session that this client asks for, on its page.
///
/// # Panics
/// When it is another.
pub async fn sign_out(browser: &Browser, client_id: &str) {
    // The button does nothing until the page knows the client.
    let asked = format!("The client {client_id} wishes you to close the current session");
    browser.wait_for_text(&asked).await;
    browser.screenshot("glewlwyd-sign-out").await;
    browser.press("Logout").await;
}
