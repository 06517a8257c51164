//! The demo's application: its pages, without a line of code that signs anybody in. What it knows of
//! a person stands in headers that Envoy sets.

use std::fmt::Write as _;

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::html::{escape, page};
use crate::idp::Idp;
use crate::idp::openid::RelyingParty;

/// Where the demo is in a browser. It is another site than the provider, as in the world.
pub const SITE: &str = "http://localhost:10000";
/// Where it can be opened: who has pasted the lines for curl opens the second one.
pub const SITES: [&str; 2] = [SITE, "http://127.0.0.1:10000"];
/// The client that its people sign in by, as in envoy/envoy.yaml, and its secret.
pub const CLIENT: (&str, &str) = ("demo-web", "demo-web-secret");
/// The variables of Envoy's environment that envoy/envoy.yaml names, as in envoy/docker-compose.yaml.
pub const VARIABLES: [(&str, &str); 2] = [
    ("BG_COOKIE_KEY", "a key of the demo that everybody knows"),
    ("BG_CLIENT_SECRET", CLIENT.1),
];

/// The page for who has signed in.
pub const ACCOUNT: &str = "/account";
/// The page for who has signed out.
pub const SIGNED_OUT: &str = "/signed-out";
/// What the account's page calls.
pub const API: &str = "/api/private";

const BEGIN: &str = "<p class=\"row\"><a class=\"main\" href=\"/sign-in?return_to=%2Faccount\">Sign in</a> \
                     <a href=\"/sign-up?return_to=%2Faccount\">Sign up</a></p>";

/// The button is of no use without scripts, and is not shown then. A page that a browser has kept whole
/// for its back button is asked for again: it may be somebody's who has signed out.
const SCRIPT: &str = "
addEventListener('pageshow', event => { if (event.persisted) location.reload(); });
const button = document.querySelector('#call'), answer = document.querySelector('#answer');
button.hidden = false;
button.addEventListener('click', async () => {
  try {
    const response = await fetch('/api/private', {headers: {accept: 'application/json'}});
    const body = JSON.stringify(await response.json(), null, 2);
    answer.textContent = `Status ${response.status}\\n${body}`;
  } catch (problem) {
    answer.textContent = `No answer: ${problem}`;
  }
});
";

/// Registers the application at the demo's provider, for the sites where it can be opened.
pub fn register(idp: &Idp, sites: &[&str]) {
    let (id, secret) = CLIENT;
    let mut party = RelyingParty::confidential(id, secret, "");
    let at = |path: &str| sites.iter().map(|site| format!("{site}{path}")).collect();
    party.redirect_uris = at("/oauth2/callback");
    let (page, root): (Vec<String>, Vec<String>) = (at(SIGNED_OUT), at("/"));
    // the second is where docs/sign-in.md comes back to, with an application of its reader's
    party.post_logout_redirect_uris = [page, root].concat();
    idp.openid().register(party);
}

/// The pages.
pub fn pages() -> Router {
    Router::new()
        .route("/", get(start))
        .route(ACCOUNT, get(account))
        .route(SIGNED_OUT, get(signed_out))
}

async fn start() -> Response {
    let body = format!(
        "<p>This page is public. The <a href=\"{ACCOUNT}\">account page</a> is for people who have \
         signed in: Envoy sends everybody else to the identity provider.</p>\n{BEGIN}"
    );
    page(StatusCode::OK, "Demo of bearer-gate", &body, None)
}

async fn signed_out() -> Response {
    let body = format!("<p>Your session has ended, here and at the provider.</p>\n{BEGIN}");
    page(StatusCode::OK, "You have signed out", &body, None)
}

async fn account(headers: HeaderMap) -> Response {
    let header = |name: &str| {
        let value = headers.get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let name = header("x-name").or(header("x-user")).unwrap_or_default();
    let mut rows = String::new();
    for known in ["x-user", "x-name", "x-email"] {
        if let Some(value) = header(known) {
            let value = escape(&value);
            let _ = writeln!(
                rows,
                "<tr><th scope=\"row\">{known}</th><td>{value}</td></tr>"
            );
        }
    }
    let claims = header("x-jwt-payload").and_then(|payload| {
        let octets = URL_SAFE_NO_PAD.decode(payload).ok()?;
        let claims: Value = serde_json::from_slice(&octets).ok()?;
        serde_json::to_string_pretty(&claims).ok()
    });
    let claims = escape(&claims.unwrap_or_default());
    let body = format!(
        "<p>The application knows you by these headers, which Envoy has set.</p>\n\
         <form method=\"post\" action=\"/sign-out\"><p class=\"row\"><button>Sign out</button></p></form>\n\
         <table><caption>Headers of your request</caption>\n{rows}</table>\n\
         <h2>Your claims</h2>\n<p>They are in the header <code>x-jwt-payload</code>.</p>\n\
         <pre tabindex=\"0\">{claims}</pre>\n\
         <h2>The API</h2>\n<p>A script of this page calls <code>{API}</code>. It has no token: the \
         session is enough.</p>\n\
         <noscript><p>Your browser runs no scripts here.</p></noscript>\n\
         <p><button id=\"call\" class=\"main\" hidden>Call the API</button></p>\n\
         <pre id=\"answer\" role=\"status\" tabindex=\"0\" aria-label=\"The answer of the API\"></pre>"
    );
    page(
        StatusCode::OK,
        &format!("Hello, {name}"),
        &body,
        Some(SCRIPT),
    )
}
