//! What is asked about tokens that were issued: UserInfo (OpenID Connect Core s5.3), introspection
//! (RFC 7662) and revocation (RFC 7009).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::mint::{self, Grant};
use super::party::{ClientAuth, RelyingParty};
use super::seen::Seen;
use super::{Provider, State};
use crate::idp::grant::{GrantError, uncached};
use crate::token::{Claims, now};

/// The grant of an access token that is good, and when the token expires.
fn live_access<'a>(state: &'a State, token: &str) -> Option<(&'a Grant, i64)> {
    let access = state.access.get(token)?;
    let grant = state.grants.get(&access.grant)?;
    let lives = !access.revoked && !grant.revoked && now() < access.expires;
    lives.then_some((grant, access.expires))
}

/// `GET` or `POST /userinfo`.
pub(super) fn user_info(state: &State, seen: &Seen) -> Response {
    let bearer = seen.header("authorization").unwrap_or_default();
    let token = bearer
        .strip_prefix("Bearer ")
        .or(seen.parameter("access_token"));
    let Some((grant, _)) = token.and_then(|token| live_access(state, token)) else {
        let mut response = uncached(StatusCode::UNAUTHORIZED, &json!({"error": "invalid_token"}));
        let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, challenge);
        return response;
    };
    let claims = mint::profile(state, grant, Claims::empty().subject(&grant.sub));
    uncached(StatusCode::OK, &claims.value())
}

/// `POST /oauth/introspect`.
pub(super) fn introspect(
    provider: &Provider,
    state: &State,
    party: &RelyingParty,
    seen: &Seen,
) -> Response {
    if party.auth == ClientAuth::Public {
        return GrantError::invalid_client("A public client may not introspect").into_response();
    }
    let token = seen.parameter("token").unwrap_or_default();
    let refresh = state.refresh.get(token).filter(|token| !token.spent);
    let refreshable = refresh
        .and_then(|token| state.grants.get(&token.grant))
        .filter(|grant| !grant.revoked);
    let body = match (live_access(state, token), refreshable) {
        (Some((grant, expires)), _) => json!({
            "active": true,
            "iss": provider.issuer,
            "sub": grant.sub,
            "aud": grant.resource.as_ref().unwrap_or(&provider.issuer),
            "client_id": grant.client_id,
            "scope": grant.scopes.join(" "),
            "token_type": "Bearer",
            "exp": expires,
        }),
        (None, Some(grant)) => json!({
            "active": true,
            "sub": grant.sub,
            "client_id": grant.client_id,
            "scope": grant.scopes.join(" "),
        }),
        (None, None) => json!({"active": false}),
    };
    uncached(StatusCode::OK, &body)
}

/// `POST /oauth/revoke`: a refresh token with all that came of it, or one access token.
pub(super) fn revoke(state: &mut State, party: &RelyingParty, seen: &Seen) -> Response {
    let Some(token) = seen.parameter("token") else {
        return GrantError::bad_request("invalid_request", "token is missing").into_response();
    };
    let refresh = state.refresh.get(token).map(|token| token.grant.clone());
    let access = state.access.get(token).map(|token| token.grant.clone());
    let Some(grant) = refresh.as_ref().or(access.as_ref()) else {
        // RFC 7009 s2.2: what is not there is revoked.
        return StatusCode::OK.into_response();
    };
    let Some(grant) = state.grants.get_mut(grant) else {
        return StatusCode::OK.into_response();
    };
    if grant.client_id != party.client_id {
        let text = "The token is another client's";
        return GrantError::bad_request("unauthorized_client", text).into_response();
    }
    if refresh.is_some() {
        grant.revoked = true;
    } else if let Some(access) = state.access.get_mut(token) {
        access.revoked = true;
    }
    StatusCode::OK.into_response()
}
