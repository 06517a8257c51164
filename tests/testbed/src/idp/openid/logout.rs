//! Signing out: by the browser (OpenID Connect RP-Initiated Logout), and what the provider tells the
//! clients of it (OpenID Connect Back-Channel Logout and Front-Channel Logout).

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use reqwest::Url;

use super::authorize::current_session;
use super::mint;
use super::seen::Seen;
use super::{Endpoint, Misbehaviour, Outcome, Provider, SESSION_COOKIE, Session, State, page};

/// How long a client may take to answer a logout token.
const LIMIT: Duration = Duration::from_secs(5);

/// A logout token that was sent, or is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The client that it is for.
    pub client_id: String,
    /// Where it was posted to.
    pub uri: String,
    /// The logout token.
    pub token: String,
    /// What the client answered: the status, and the body; `None` for no answer.
    pub answer: Option<(u16, String)>,
}

/// `GET` or `POST /oidc/logout`.
pub(super) fn end_session(provider: &Provider, state: &mut State, seen: &Seen) -> Outcome {
    let failure = |text| Outcome::Ready(page::failure(text));
    if seen.repeated() {
        return failure("A parameter is repeated");
    }
    let hint = match seen.parameter("id_token_hint") {
        None => None,
        Some(token) => match mint::verified(provider, token) {
            Some(claims) if claims["iss"] == provider.issuer.as_str() => Some(claims),
            _ => return failure("This id_token_hint is not one of ours"),
        },
    };
    let text = |claim: &str| hint.as_ref().and_then(|claims| claims[claim].as_str());
    let client_id = match (text("aud"), seen.parameter("client_id")) {
        (Some(audience), Some(named)) if audience != named => {
            return failure("The id_token_hint is for another client");
        }
        (Some(client_id), _) | (None, Some(client_id)) => Some(client_id),
        (None, None) => None,
    };
    let target = seen.parameter(state.customs.back_parameter);
    if let Some(uri) = target {
        let party = client_id.and_then(|client_id| state.party(client_id));
        let known = party.is_some_and(|party| {
            let known = &party.post_logout_redirect_uris;
            known.iter().any(|known| known == uri)
        });
        if !known {
            return failure("This post_logout_redirect_uri is not registered");
        }
    }
    let current = current_session(state, seen);
    let proved = match (&current, text("sid")) {
        (Some(session), Some(sid)) => session.sid == sid,
        (None, _) => true,
        (Some(_), None) => !state.customs.asks_before_sign_out,
    };
    let confirmed = seen.method == "POST" && seen.parameter("confirmed") == Some("yes");
    if !proved && !confirmed {
        let parameters = if seen.form.is_empty() {
            &seen.query
        } else {
            &seen.form
        };
        let path = state.customs.path(Endpoint::EndSession);
        return Outcome::Ready(page::sign_out(path, parameters));
    }
    // Without a cookie, the hint says which session: another site's form sends none of ours.
    let sid = current
        .as_ref()
        .map(|session| session.sid.as_str())
        .or(text("sid"));
    let frames = sid.map(|sid| frames(provider, state, sid));
    let frames = frames.unwrap_or_default();
    let notices = sid.map(|sid| end(provider, state, |session| session.sid == sid));
    let mut response = match target {
        _ if !frames.is_empty() => page::framed(&frames, target),
        None => page::signed_out(),
        Some(uri) => {
            let given = seen
                .parameter("state")
                .map(|text| ("state", text.to_owned()));
            page::redirect(uri, given.as_slice())
        }
    };
    page::set_cookie(&mut response, SESSION_COOKIE, None);
    Outcome::Notify(notices.unwrap_or_default(), response)
}

/// What a page of the sign-out has in frames (OpenID Connect Front-Channel Logout s3).
fn frames(provider: &Provider, state: &mut State, sid: &str) -> Vec<String> {
    let of_sid = state
        .sessions
        .iter_mut()
        .find(|(_, session)| session.sid == sid);
    let clients = of_sid.map_or_else(Vec::new, |(_, session)| session.clients.clone());
    let parties = clients.iter().filter_map(|client| state.party(client));
    let uris = parties.filter_map(|party| party.frontchannel_logout_uri.as_deref());
    let told = [("iss", provider.issuer.as_str()), ("sid", sid)];
    let query = serde_urlencoded::to_string(told).expect("pairs of texts");
    uris.map(|uri| format!("{uri}?{query}")).collect()
}

/// Ends sessions and what was granted in them, and returns what the clients are to be told.
pub(super) fn end(
    provider: &Provider,
    state: &mut State,
    which: impl Fn(&Session) -> bool,
) -> Vec<Delivery> {
    let mut notices = Vec::new();
    for session in state.sessions.take(which) {
        for (_, grant) in state.grants.iter_mut() {
            // OpenID Connect Core s11: offline access is for when the person is not present.
            let offline = grant.scopes.iter().any(|scope| scope == "offline_access");
            grant.revoked |= grant.sid == session.sid && !offline;
        }
        for client_id in &session.clients {
            let party = state.party(client_id);
            let Some(uri) = party.and_then(|party| party.backchannel_logout_uri.clone()) else {
                continue;
            };
            let token = mint::logout_token(provider, state, client_id, &session.sub, &session.sid);
            let notice = Delivery {
                client_id: client_id.clone(),
                uri,
                token,
                answer: None,
            };
            if state.misbehaviour == Some(Misbehaviour::LogoutTokenReplayed) {
                notices.push(notice.clone());
            }
            notices.push(notice);
        }
    }
    notices
}

/// Posts the logout tokens, one after the other.
pub(super) async fn deliver(mut notices: Vec<Delivery>) -> Vec<Delivery> {
    for notice in &mut notices {
        notice.answer = post(notice).await;
    }
    notices
}

async fn post(notice: &Delivery) -> Option<(u16, String)> {
    let url = Url::parse(&notice.uri).ok()?;
    let mut client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(LIMIT);
    if let Some(host) = url.host_str().filter(|host| host.ends_with(".localhost")) {
        // RFC 6761 s6.3, which not every resolver knows.
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, url.port_or_known_default()?));
        client = client.resolve(host, address);
    }
    let form = serde_urlencoded::to_string([("logout_token", &notice.token)]).ok()?;
    let request = client
        .build()
        .ok()?
        .post(url)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form);
    let response = request.send().await.ok()?;
    let status = response.status().as_u16();
    Some((status, response.text().await.ok()?))
}
