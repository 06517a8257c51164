//! The authorization endpoint (OpenID Connect Core s3.1.2) and the pushed requests for it
//! (RFC 9126): from a request to a code, by way of the pages where a person signs in.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::mint::Grant;
use super::party::{Person, RelyingParty};
use super::seen::Seen;
use super::store::secret;
use super::token_endpoint::Code;
use super::{Misbehaviour, Provider, SESSION_COOKIE, Session, State, page};
use crate::idp::grant::{self, GrantError};
use crate::token::now;

/// How long a pushed request may wait, in seconds.
const PUSHED_LIFETIME: i64 = 90;
/// The prefix of a pushed request's URI (RFC 9126 s2.2).
const PUSHED: &str = "urn:ietf:params:oauth:request_uri:";

/// Where the answer goes, and how.
#[derive(Clone, Debug)]
pub(super) struct Return {
    pub redirect_uri: String,
    pub state: Option<String>,
    pub form_post: bool,
}

/// A valid authorization request.
#[derive(Clone, Debug)]
pub(super) struct AuthorizationRequest {
    pub client_id: String,
    pub back: Return,
    scopes: Vec<String>,
    nonce: String,
    challenge: String,
    prompt: Vec<String>,
    max_age: Option<i64>,
    login_hint: String,
    acr: Option<String>,
    resource: Option<String>,
    /// Who has signed in for it, while the consent page is shown.
    signed_in: Option<Session>,
}

/// Why there is no such request.
enum Wrong {
    /// Told to the person: it is not known whether the redirect URI is the client's.
    Here(&'static str),
    /// Told to the client.
    There(Return, &'static str, &'static str),
}

/// `GET` or `POST /authorize`.
pub(super) fn authorize(provider: &Provider, state: &mut State, seen: &Seen) -> Response {
    let parameters = match pushed(state, seen) {
        Ok(parameters) => parameters,
        Err(text) => return page::failure(text),
    };
    if parameters.is_none() && state.settings.requires_pushed_requests {
        return page::failure("The request was not pushed");
    }
    let seen = parameters.as_ref().unwrap_or(seen);
    let request = match parse(state, seen) {
        Ok(request) => request,
        Err(Wrong::Here(text)) => return page::failure(text),
        Err(Wrong::There(back, error, text)) => {
            return refuse(provider, state, &back, error, text);
        }
    };
    begin(provider, state, request, current_session(state, seen))
}

/// `POST /oauth/par`.
pub(super) fn push(state: &mut State, party: &RelyingParty, seen: &Seen) -> Response {
    let mut seen = seen.clone();
    seen.query.clear();
    if seen.parameter("client_id").is_none() {
        let client_id = ("client_id".to_owned(), party.client_id.clone());
        seen.form.push(client_id);
    }
    match parse(state, &seen) {
        _ if seen.parameter("request_uri").is_some() => {
            GrantError::bad_request("invalid_request", "A pushed request names a pushed one")
                .into_response()
        }
        Err(Wrong::Here(text)) => GrantError::bad_request("invalid_request", text).into_response(),
        Err(Wrong::There(_, error, text)) => GrantError::bad_request(error, text).into_response(),
        Ok(request) if request.client_id != party.client_id => {
            GrantError::bad_request("invalid_request", "The request is another client's")
                .into_response()
        }
        Ok(_) => {
            let other = state.pushed.iter_mut().next();
            let other = other.map(|(key, _)| key.to_owned());
            let key = state.pushed.add((now() + PUSHED_LIFETIME, seen));
            let mut body = json!({
                "request_uri": format!("{PUSHED}{key}"),
                "expires_in": PUSHED_LIFETIME,
            });
            let mut status = StatusCode::CREATED;
            match state.misbehaviour {
                Some(Misbehaviour::PushedOfAnotherFlow) => {
                    body["request_uri"] = json!(other.map(|key| format!("{PUSHED}{key}")));
                }
                Some(Misbehaviour::PushedUriNoText) => body["request_uri"] = json!([7]),
                Some(Misbehaviour::PushedUriForged) => {
                    body["request_uri"] = json!("urn:x\r\nset-cookie: a=b");
                }
                Some(Misbehaviour::PushedOver) => body["expires_in"] = json!(0),
                Some(Misbehaviour::PushedWith200) => status = StatusCode::OK,
                Some(Misbehaviour::PushedRefused) => {
                    let text = "This scope is not for you";
                    return GrantError::bad_request("invalid_scope", text).into_response();
                }
                Some(Misbehaviour::Pushed500) => status = StatusCode::INTERNAL_SERVER_ERROR,
                _ => {}
            }
            grant::uncached(status, &body)
        }
    }
}

/// The pushed request that this one stands for; it can be used once.
fn pushed(state: &mut State, seen: &Seen) -> Result<Option<Seen>, &'static str> {
    let Some(uri) = seen.parameter("request_uri") else {
        return Ok(None);
    };
    let key = uri.strip_prefix(PUSHED).unwrap_or_default();
    match state.pushed.remove(key) {
        Some((expires, pushed))
            if now() < expires && seen.parameter("client_id") == pushed.parameter("client_id") =>
        {
            let headers = seen.headers.clone();
            Ok(Some(Seen { headers, ..pushed }))
        }
        _ => Err("There is no such pushed request"),
    }
}

fn parse(state: &State, seen: &Seen) -> Result<AuthorizationRequest, Wrong> {
    if seen.repeated() {
        return Err(Wrong::Here("A parameter is repeated"));
    }
    let client_id = seen.parameter("client_id").unwrap_or_default();
    let party = state
        .party(client_id)
        .ok_or(Wrong::Here("Nobody knows this client_id"))?;
    let redirect_uri = seen.parameter("redirect_uri").unwrap_or_default();
    if !party
        .redirect_uris
        .iter()
        .any(|known| known == redirect_uri)
    {
        return Err(Wrong::Here("This redirect_uri is not registered"));
    }
    let back = Return {
        redirect_uri: redirect_uri.to_owned(),
        state: seen.parameter("state").map(str::to_owned),
        form_post: seen.parameter("response_mode") == Some("form_post"),
    };
    let words = |name| -> Vec<String> {
        let text: &str = seen.parameter(name).unwrap_or_default();
        text.split_ascii_whitespace().map(str::to_owned).collect()
    };
    let (scopes, prompt) = (words("scope"), words("prompt"));
    let challenge = seen.parameter("code_challenge").unwrap_or_default();
    let resource = seen.parameter("resource").or(seen.parameter("audience"));
    let method = seen.parameter("code_challenge_method");
    let checks = [
        (
            seen.parameter("response_type") == Some("code"),
            "unsupported_response_type",
            "response_type must be code",
        ),
        (
            matches!(
                seen.parameter("response_mode"),
                None | Some("query" | "form_post")
            ),
            "invalid_request",
            "response_mode must be query or form_post",
        ),
        (
            scopes.iter().any(|scope| scope == "openid"),
            "invalid_scope",
            "scope must have openid",
        ),
        (
            seen.parameter("state").is_some_and(|text| !text.is_empty()),
            "invalid_request",
            "state is missing",
        ),
        (
            seen.parameter("nonce").is_some_and(|text| !text.is_empty()),
            "invalid_request",
            "nonce is missing",
        ),
        (
            method == Some("S256") && challenge.len() == 43,
            "invalid_request",
            "PKCE with S256 is missing",
        ),
        (
            !prompt.iter().any(|word| word == "none") || prompt.len() == 1,
            "invalid_request",
            "prompt=none stands alone",
        ),
        (
            seen.parameter("request").is_none(),
            "request_not_supported",
            "Request objects are not supported",
        ),
        (
            resource.is_none_or(|resource| party.resources.iter().any(|known| known == resource)),
            "invalid_target",
            "The client may not have tokens for this resource",
        ),
    ];
    for (holds, error, text) in checks {
        if !holds {
            return Err(Wrong::There(back, error, text));
        }
    }
    Ok(AuthorizationRequest {
        client_id: client_id.to_owned(),
        back,
        scopes,
        nonce: seen.parameter("nonce").unwrap_or_default().to_owned(),
        challenge: challenge.to_owned(),
        prompt,
        max_age: seen.parameter("max_age").and_then(|age| age.parse().ok()),
        login_hint: seen.parameter("login_hint").unwrap_or_default().to_owned(),
        acr: words("acr_values").into_iter().next(),
        resource: resource
            .or(party.resources.first().map(String::as_str))
            .map(str::to_owned),
        signed_in: None,
    })
}

/// The provider's own session of this browser.
pub(super) fn current_session(state: &State, seen: &Seen) -> Option<Session> {
    let cookie = seen.cookie(SESSION_COOKIE)?;
    state.sessions.get(cookie).cloned()
}

/// Answers at once, or shows a page.
fn begin(
    provider: &Provider,
    state: &mut State,
    request: AuthorizationRequest,
    session: Option<Session>,
) -> Response {
    let asks = |word: &str| request.prompt.iter().any(|known| known == word);
    let fresh = session.filter(|session| {
        let young = |age| now() - session.auth_time <= age;
        request.max_age.is_none_or(young)
    });
    match fresh {
        Some(session) if !asks("login") && !asks("create") && !asks("select_account") => {
            let consents = state.asks_consent(&request.client_id) || asks("consent");
            match (consents, asks("none")) {
                (false, _) => answer(provider, state, &request, &session),
                (true, true) => {
                    let back = &request.back;
                    refuse(
                        provider,
                        state,
                        back,
                        "consent_required",
                        "Nobody was asked",
                    )
                }
                (true, false) => consent(state, request, session),
            }
        }
        _ if asks("none") => {
            let text = "Nobody is signed in";
            refuse(provider, state, &request.back, "login_required", text)
        }
        _ if asks("create") => show_sign_up(state, request, ""),
        _ => show_login(state, request, ""),
    }
}

/// `POST /authorize/form`: what a page of this endpoint sends.
pub(super) fn form(provider: &Provider, state: &mut State, seen: &Seen) -> Response {
    let parameter = |name| seen.parameter(name).unwrap_or_default();
    let Some(mut request) = state.transactions.remove(parameter("transaction")) else {
        return page::failure("This page was used already, or is too old. Start again.");
    };
    match parameter("action") {
        "cancel" => {
            let text = "The person cancelled";
            refuse(provider, state, &request.back, "access_denied", text)
        }
        "to-sign-up" => show_sign_up(state, request, ""),
        "to-login" => show_login(state, request, ""),
        "login" => {
            let found = state.people.iter().find(|person| {
                person.username == parameter("username") && person.password == parameter("password")
            });
            match found.cloned() {
                Some(person) => signed_in(provider, state, request, &person),
                None => {
                    parameter("username").clone_into(&mut request.login_hint);
                    show_login(state, request, "Username or password is wrong.")
                }
            }
        }
        "sign-up" => match state.sign_up(seen) {
            Ok(person) => signed_in(provider, state, request, &person),
            Err(problem) => show_sign_up(state, request, problem),
        },
        "allow" => match request.signed_in.take() {
            Some(session) => answer(provider, state, &request, &session),
            None => page::failure("Nobody is signed in."),
        },
        _ => page::failure("This form is not one of ours."),
    }
}

fn signed_in(
    provider: &Provider,
    state: &mut State,
    request: AuthorizationRequest,
    person: &Person,
) -> Response {
    let session = Session {
        sub: person.sub.clone(),
        sid: secret(),
        auth_time: now(),
        clients: Vec::new(),
    };
    let cookie = state.sessions.add(session.clone());
    let asks_consent = state.asks_consent(&request.client_id)
        || request.prompt.iter().any(|word| word == "consent");
    let mut response = if asks_consent {
        consent(state, request, session)
    } else {
        answer(provider, state, &request, &session)
    };
    if state.misbehaviour == Some(Misbehaviour::RedirectWith307)
        && response.status() == StatusCode::SEE_OTHER
    {
        *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    }
    page::set_cookie(&mut response, SESSION_COOKIE, Some(&cookie));
    response
}

fn show_login(state: &mut State, request: AuthorizationRequest, problem: &str) -> Response {
    let (client_id, hint) = (request.client_id.clone(), request.login_hint.clone());
    let transaction = state.transactions.add(request);
    page::login(&transaction, &client_id, &hint, problem)
}

fn show_sign_up(state: &mut State, request: AuthorizationRequest, problem: &str) -> Response {
    let client_id = request.client_id.clone();
    let transaction = state.transactions.add(request);
    page::sign_up(&transaction, &client_id, problem)
}

fn consent(state: &mut State, mut request: AuthorizationRequest, session: Session) -> Response {
    let (client_id, scopes) = (request.client_id.clone(), request.scopes.clone());
    request.signed_in = Some(session);
    let transaction = state.transactions.add(request);
    page::consent(&transaction, &client_id, &scopes)
}

/// The authorization response with a code.
fn answer(
    provider: &Provider,
    state: &mut State,
    request: &AuthorizationRequest,
    session: &Session,
) -> Response {
    if state.misbehaviour == Some(Misbehaviour::ErrorWithHtml) {
        let text = "<script>document.title='run'</script><b>no</b>";
        return refuse(provider, state, &request.back, "server_error", text);
    }
    state.joined(&session.sid, &request.client_id);
    let grant = Grant {
        client_id: request.client_id.clone(),
        sub: session.sub.clone(),
        sid: session.sid.clone(),
        auth_time: session.auth_time,
        acr: request.acr.clone(),
        nonce: request.nonce.clone(),
        scopes: request.scopes.clone(),
        resource: request.resource.clone(),
        revoked: false,
    };
    let code = Code {
        redirect_uri: request.back.redirect_uri.clone(),
        challenge: request.challenge.clone(),
        expires: now() + state.settings.code_lifetime,
        redeemed: false,
        grant: state.grants.add(grant.clone()),
    };
    let code = match state.misbehaviour {
        Some(Misbehaviour::CodeOfAnotherFlow | Misbehaviour::CodeOfAnotherFlowUnchecked) => {
            // The other flow is the same person's, in another window.
            let nonce = secret();
            let grant = state.grants.add(Grant { nonce, ..grant });
            let challenge = super::token_endpoint::challenge(&secret());
            state.codes.add(Code {
                challenge,
                grant,
                ..code
            })
        }
        _ => state.codes.add(code),
    };
    send_back(provider, state, &request.back, &[("code", &code)])
}

/// The authorization response with an error.
fn refuse(
    provider: &Provider,
    state: &State,
    back: &Return,
    error: &str,
    description: &str,
) -> Response {
    let parameters = [("error", error), ("error_description", description)];
    send_back(provider, state, back, &parameters)
}

/// The authorization response, with `state` and `iss` (RFC 9207).
fn send_back(
    provider: &Provider,
    state: &State,
    back: &Return,
    parameters: &[(&str, &str)],
) -> Response {
    let misbehaves = |what| state.misbehaviour == Some(what);
    let mut all: Vec<(&str, String)> = Vec::new();
    for (name, value) in parameters {
        all.push((name, (*value).to_owned()));
        if *name == "code" && misbehaves(Misbehaviour::CodeRepeated) {
            all.push((name, (*value).to_owned()));
        }
    }
    if let Some(text) = &back.state
        && !misbehaves(Misbehaviour::StateMissing)
    {
        let mut text = text.clone();
        if misbehaves(Misbehaviour::StateAltered) {
            let last = text.pop();
            text.push(if last == Some('A') { 'B' } else { 'A' });
        }
        if misbehaves(Misbehaviour::StateRepeated) {
            all.push(("state", text.clone()));
        }
        all.push(("state", text));
    }
    if misbehaves(Misbehaviour::IssOther) {
        all.push(("iss", "https://attacker.example/".to_owned()));
    } else if state.settings.iss_parameter && !misbehaves(Misbehaviour::IssMissing) {
        all.push(("iss", provider.issuer.clone()));
    }
    if back.form_post {
        page::form_post(&back.redirect_uri, &all)
    } else {
        page::redirect(&back.redirect_uri, &all)
    }
}
