//! The token endpoint's grants for people: the code (RFC 6749 s4.1.3, RFC 7636 s4.6) and the refresh
//! token, which is replaced by each use (RFC 9700 s4.14.2).

use axum::response::IntoResponse;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::mint::{self, Grant, Occasion};
use super::party::RelyingParty;
use super::seen::Seen;
use super::{Misbehaviour, Outcome, Provider, State, patch};
use crate::idp::fault::{Fault, HUGE};
use crate::idp::grant::GrantError;
use crate::token::{base64url, now};

/// An authorization code.
#[derive(Clone, Debug)]
pub(super) struct Code {
    pub redirect_uri: String,
    pub challenge: String,
    pub expires: i64,
    pub redeemed: bool,
    /// Which of the grants it is for.
    pub grant: String,
}

/// A refresh token.
#[derive(Clone, Debug)]
pub(super) struct Refresh {
    pub grant: String,
    pub spent: bool,
}

/// An access token.
#[derive(Clone, Debug)]
pub(super) struct Access {
    pub grant: String,
    pub expires: i64,
    pub revoked: bool,
}

/// Whether a form asks for one of these grants.
pub(in crate::idp) fn is_ours(grant_type: &str) -> bool {
    matches!(grant_type, "authorization_code" | "refresh_token")
}

/// `code_challenge` of a `code_verifier`, by S256.
pub(super) fn challenge(verifier: &str) -> String {
    base64url(Sha256::digest(verifier))
}

/// `POST /oauth/token`.
pub(super) fn token(
    provider: &Provider,
    state: &mut State,
    party: &RelyingParty,
    seen: &Seen,
) -> Outcome {
    let granted = match seen.parameter("grant_type") {
        Some("authorization_code") => {
            redeem(state, party, seen).map(|(id, grant)| (id, grant, None))
        }
        _ => refresh(state, party, seen).map(|(id, grant, used)| (id, grant, Some(used))),
    };
    match granted {
        Err(error) => Outcome::Ready(error.into_response()),
        Ok((id, grant, used)) => {
            let document = tokens(provider, state, &id, &grant, used.as_deref());
            respond(state, document)
        }
    }
}

fn redeem(
    state: &mut State,
    party: &RelyingParty,
    seen: &Seen,
) -> Result<(String, Grant), GrantError> {
    let invalid = |text| GrantError::bad_request("invalid_grant", text);
    let unchecked = state.misbehaviour == Some(Misbehaviour::CodeOfAnotherFlowUnchecked);
    let code = seen.parameter("code").unwrap_or_default();
    let code = state
        .codes
        .get_mut(code)
        .ok_or(invalid("There is no such code"))?;
    let known = code.clone();
    // Whoever presents it, it has been seen.
    code.redeemed = true;
    let grant = state
        .grants
        .get_mut(&known.grant)
        .ok_or(invalid("There is no such code"))?;
    if known.redeemed {
        // RFC 6749 s4.1.2: what was issued for it is revoked.
        grant.revoked = true;
        return Err(invalid("The code was used before"));
    }
    if grant.client_id != party.client_id {
        return Err(invalid("The code is another client's"));
    }
    if now() >= known.expires {
        return Err(invalid("The code has expired"));
    }
    if seen.parameter("redirect_uri") != Some(&known.redirect_uri) {
        return Err(invalid("The code was for another redirect_uri"));
    }
    let verifier = seen.parameter("code_verifier").unwrap_or_default();
    // RFC 7636 s4.1: 43 to 128 characters.
    let fits = (43..=128).contains(&verifier.len()) && challenge(verifier) == known.challenge;
    if !fits && !unchecked {
        return Err(invalid("The code was for another code_verifier"));
    }
    Ok((known.grant, grant.clone()))
}

/// The grant's id, the grant, and the refresh token that was used.
fn refresh(
    state: &mut State,
    party: &RelyingParty,
    seen: &Seen,
) -> Result<(String, Grant, String), GrantError> {
    let invalid = |text| GrantError::bad_request("invalid_grant", text);
    if state.misbehaviour == Some(Misbehaviour::RefreshRefused) {
        return Err(invalid("No refresh today"));
    }
    let used = seen.parameter("refresh_token").unwrap_or_default();
    let unknown = invalid("There is no such refresh token");
    let Some(token) = state.refresh.get_mut(used) else {
        return Err(unknown);
    };
    let Some(grant) = state.grants.get_mut(&token.grant) else {
        return Err(unknown);
    };
    if grant.client_id != party.client_id {
        return Err(invalid("The refresh token is another client's"));
    }
    if token.spent {
        grant.revoked = true;
        return Err(invalid(
            "The refresh token was used before; its family is revoked",
        ));
    }
    if grant.revoked {
        return Err(invalid("The refresh token is revoked"));
    }
    let mut granted = grant.clone();
    if let Some(asked) = seen.parameter("scope") {
        let asked: Vec<String> = asked.split_ascii_whitespace().map(str::to_owned).collect();
        if !asked.iter().all(|scope| grant.scopes.contains(scope)) {
            let text = "The scope was not granted";
            return Err(GrantError::bad_request("invalid_scope", text));
        }
        granted.scopes = asked;
    }
    token.spent = state.settings.rotates_refresh_tokens;
    Ok((token.grant.clone(), granted, used.to_owned()))
}

/// The token response (OpenID Connect Core s3.1.3.3, s12.2).
fn tokens(
    provider: &Provider,
    state: &mut State,
    id: &str,
    grant: &Grant,
    used: Option<&str>,
) -> Value {
    let settings = state.settings.clone();
    let access_token = mint::access_token(provider, state, grant);
    let access = Access {
        grant: id.to_owned(),
        expires: now() + settings.access_token_lifetime,
        revoked: false,
    };
    state.access.insert(&access_token, access);
    let mut document = json!({
        "access_token": access_token,
        "token_type": "Bearer",
        "expires_in": settings.access_token_lifetime,
        "scope": grant.scopes.join(" "),
    });
    let occasion = used.map_or(Occasion::Code, |_| Occasion::Refresh);
    if occasion == Occasion::Code
        || (settings.id_token_at_refresh
            && state.misbehaviour != Some(Misbehaviour::RefreshWithoutIdToken))
    {
        let id_token = mint::id_token(provider, state, grant, &access_token, occasion);
        document["id_token"] = json!(id_token);
    }
    let new_one = used.is_none() || settings.rotates_refresh_tokens;
    if settings.refresh_tokens && new_one {
        let token = Refresh {
            grant: id.to_owned(),
            spent: false,
        };
        document["refresh_token"] = json!(state.refresh.add(token));
    }
    patch(&mut document, &state.customs.token_response);
    document
}

/// What becomes of a token response on its way.
fn respond(state: &State, mut document: Value) -> Outcome {
    let mut without = |name: &str| {
        if let Some(members) = document.as_object_mut() {
            members.remove(name);
        }
        Fault::Ok
    };
    let fault = match state.misbehaviour {
        Some(Misbehaviour::IdTokenMissing) => without("id_token"),
        Some(Misbehaviour::AccessTokenMissing) => without("access_token"),
        Some(Misbehaviour::TokenTypeOther) => {
            document["token_type"] = json!("mac");
            Fault::Ok
        }
        Some(Misbehaviour::ErrorIn200) => {
            document = json!({"error": "invalid_grant", "error_description": "In a 200"});
            Fault::Ok
        }
        Some(Misbehaviour::TokenResponseHuge) => Fault::Huge(HUGE),
        Some(Misbehaviour::TokenResponseTruncated) => Fault::TruncatedJson,
        Some(Misbehaviour::TokenResponseHtml) => Fault::Html,
        Some(Misbehaviour::TokenResponse500) => Fault::Status(500),
        Some(Misbehaviour::TokenResponseRedirect) => Fault::Status(307),
        Some(Misbehaviour::TokenResponseNever) => Fault::Hang,
        Some(Misbehaviour::TokenResponseCut) => Fault::CloseHalfway,
        _ if !state.settings.token_delay.is_zero() => Fault::Delay(state.settings.token_delay),
        _ => Fault::Ok,
    };
    Outcome::Document(fault, document)
}
