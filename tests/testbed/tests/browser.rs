//! A real browser at the test provider, with a client that is as small as one can be.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bearer_gate_testbed::browser::Browser;
use bearer_gate_testbed::http::{Client, send};
use bearer_gate_testbed::idp::Idp;
use bearer_gate_testbed::idp::openid::{Endpoint, RelyingParty};
use bearer_gate_testbed::serve::Server;
use bearer_gate_testbed::token::{base64url, untrusted_claims};
use reqwest::Method;
use sha2::{Digest, Sha256};

const COOKIE: &str = "__Host-session";
const VERIFIER: &str = "a-verifier-that-is-the-same-for-every-sign-in";

/// The client: an ID token in a cookie, and a page that tells whose it is.
struct App {
    idp: Arc<Idp>,
    url: Mutex<String>,
}

impl App {
    fn url(&self) -> String {
        self.url.lock().unwrap().clone()
    }
}

fn start_app(idp: &Arc<Idp>, host: &str, consent: bool) -> (Server, String) {
    let app = Arc::new(App {
        idp: idp.clone(),
        url: Mutex::new(String::new()),
    });
    let any = ([127, 0, 0, 1], 0).into();
    let server = Server::start(any, |address| {
        *app.url.lock().unwrap() = format!("http://{host}:{}", address.port());
        Router::new()
            .route("/", get(home))
            .route("/sign-in", get(sign_in))
            .route("/callback", get(callback))
            .route("/sign-out", get(sign_out))
            .with_state(app.clone())
    })
    .unwrap();
    let url = app.url();
    let mut party =
        RelyingParty::confidential(&client_id(&app), "secret", &format!("{url}/callback"))
            .post_logout_redirect_uri(&format!("{url}/"));
    if consent {
        party = party.asking_consent();
    }
    idp.openid().register(party);
    (server, url)
}

fn session(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get(header::COOKIE)?.to_str().ok()?;
    let mut pairs = cookies.split("; ").filter_map(|pair| pair.split_once('='));
    let (_, token) = pairs.find(|(name, _)| *name == COOKIE)?;
    Some(token.to_owned())
}

fn html(body: &str) -> Response {
    let html = [(header::CONTENT_TYPE, "text/html")];
    (html, format!("<!doctype html>{body}")).into_response()
}

fn redirect(to: &str) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, to.to_owned())]).into_response()
}

async fn home(headers: HeaderMap) -> Response {
    match session(&headers) {
        Some(token) => {
            let claims = untrusted_claims(&token);
            let name = claims["name"].as_str().unwrap();
            html(&format!("Hello {name} <a href=/sign-out>Sign out</a>"))
        }
        None => {
            html("Nobody <a href=/sign-in>Sign in</a> <a href=/sign-in?prompt=create>Sign up</a>")
        }
    }
}

async fn sign_in(State(app): State<Arc<App>>, uri: Uri) -> Response {
    let callback = format!("{}/callback", app.url());
    let challenge = base64url(Sha256::digest(VERIFIER));
    let query = serde_urlencoded::to_string([
        ("response_type", "code"),
        ("client_id", client_id(&app).as_str()),
        ("redirect_uri", &callback),
        ("scope", "openid profile"),
        ("state", "the state"),
        ("nonce", "the nonce"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ])
    .unwrap();
    let more = uri.query().unwrap_or_default();
    let authorize = app.idp.openid().browser_url(Endpoint::Authorize);
    redirect(&format!("{authorize}?{query}&{more}"))
}

/// Each app has a client of its own, by its port.
fn client_id(app: &App) -> String {
    app.url().replace("http://", "")
}

async fn callback(State(app): State<Arc<App>>, uri: Uri) -> Response {
    let query: Vec<(String, String)> =
        serde_urlencoded::from_str(uri.query().unwrap_or_default()).unwrap();
    let parameter = |name: &str| {
        let mut all = query.iter().filter(|(known, _)| known == name);
        all.next()
            .map(|(_, value)| value.as_str())
            .unwrap_or_default()
    };
    assert_eq!(parameter("iss"), app.idp.issuer());
    assert_eq!(parameter("state"), "the state");
    if parameter("code").is_empty() {
        return html(&format!("Refused: {}", parameter("error")));
    }
    let callback = format!("{}/callback", app.url());
    let form = serde_urlencoded::to_string([
        ("grant_type", "authorization_code"),
        ("code", parameter("code")),
        ("redirect_uri", &callback),
        ("code_verifier", VERIFIER),
    ])
    .unwrap();
    let id: String = client_id(&app).replace(':', "%3A");
    let credentials = STANDARD.encode(format!("{id}:secret"));
    let request = Client::new()
        .request(Method::POST, &app.idp.openid().url(Endpoint::Token))
        .header("content-type", "application/x-www-form-urlencoded")
        .header("authorization", format!("Basic {credentials}"))
        .body(form);
    let reply = send(request).await.json();
    let token = reply["id_token"].as_str().unwrap();
    let cookie = format!("{COOKIE}={token}; Secure; HttpOnly; Path=/; SameSite=Lax");
    let mut response = redirect("/");
    response
        .headers_mut()
        .insert(header::SET_COOKIE, cookie.parse().unwrap());
    response
}

async fn sign_out(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let home = format!("{}/", app.url());
    let query = serde_urlencoded::to_string([
        ("id_token_hint", session(&headers).unwrap().as_str()),
        ("post_logout_redirect_uri", &home),
    ])
    .unwrap();
    let end_session = app.idp.openid().browser_url(Endpoint::EndSession);
    let mut response = redirect(&format!("{end_session}?{query}"));
    let gone = format!("{COOKIE}=; Secure; HttpOnly; Path=/; Max-Age=0");
    response
        .headers_mut()
        .insert(header::SET_COOKIE, gone.parse().unwrap());
    response
}

fn start_idp() -> Arc<Idp> {
    let idp = Idp::builder().browser_host("idp.localhost").start();
    Arc::new(idp.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_in_up_and_out() {
    let idp = start_idp();
    let (_app, url) = start_app(&idp, "app.localhost", false);
    let browser = Browser::start().await;
    let login = idp.openid().browser_url(Endpoint::Authorize);

    browser.open(&url).await;
    browser.press("Sign in").await;
    browser.wait_for_url(&login).await;
    browser.screenshot("login-light").await;
    browser.fill("#username", "alice").await;
    browser.fill("#password", "guess").await;
    browser.press("Sign in").await;
    browser
        .wait_for_text("Username or password is wrong.")
        .await;
    browser.screenshot("login-wrong").await;
    browser.fill("#password", "wonderland").await;
    browser.press("Sign in").await;
    browser.wait_for_text("Hello Alice Liddell").await;
    assert_eq!(browser.url().await, format!("{url}/"));
    let cookies = browser.cookies().await;
    let cookie = cookies
        .iter()
        .find(|cookie| cookie.name() == COOKIE)
        .unwrap();
    assert_eq!(
        (cookie.secure(), cookie.http_only()),
        (Some(true), Some(true))
    );

    // Another client, in another tab: the provider remembers her.
    let (_other, other_url) = start_app(&idp, "other.localhost", false);
    let first_tab = browser.client().window().await.unwrap();
    browser.open_tab().await;
    browser.open(&format!("{other_url}/sign-in")).await;
    browser.wait_for_text("Hello Alice Liddell").await;
    browser.client().switch_to_window(first_tab).await.unwrap();

    browser.press("Sign out").await;
    browser.wait_for_text("Nobody").await;
    assert_eq!(
        (browser.url().await, idp.openid().sessions()),
        (format!("{url}/"), 0)
    );

    browser.press("Sign up").await;
    browser.fill("#name", "Carol").await;
    browser.screenshot("sign-up").await;
    browser.fill("#username", "carol").await;
    browser.fill("#password", "quietly").await;
    browser.press("Create account").await;
    browser.wait_for_text("Hello Carol").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusing_consent_without_scripts_and_in_the_dark() {
    let idp = start_idp();
    let (_app, url) = start_app(&idp, "app.localhost", true);
    let browser = Browser::builder().dark().without_scripts().start().await;
    browser.open(&format!("{url}/sign-in")).await;
    browser.screenshot("login-dark").await;
    browser.press("Cancel").await;
    browser.wait_for_text("Refused: access_denied").await;

    browser.open(&format!("{url}/sign-in")).await;
    browser.fill("#username", "bob").await;
    browser.fill("#password", "tokyo").await;
    browser.press("Sign in").await;
    browser.wait_for_text("Allow access?").await;
    browser.screenshot("consent-dark").await;
    browser.press("Cancel").await;
    browser.wait_for_text("Refused: access_denied").await;
    browser.open(&format!("{url}/sign-in")).await;
    browser.press("Allow").await;
    browser.wait_for_text("Hello Bob Harris").await;
}
