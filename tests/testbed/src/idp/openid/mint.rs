//! The tokens that a person's signing in ends in: the ID token (OpenID Connect Core s2), the access
//! token (RFC 9068) and the logout token (OpenID Connect Back-Channel Logout s2.4).

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::store::secret;
use super::{Misbehaviour, Provider, State};
use crate::token::{self, Claims, base64url, now};

/// The event of a logout token.
pub(super) const LOGOUT_EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// How long a logout token lives, in seconds.
const LOGOUT_TOKEN_LIFETIME: i64 = 120;
/// What is old: an hour, in seconds.
const LONG_AGO: i64 = 3600;
/// A client that is nobody's here.
const STRANGER: &str = "another-client";

/// What a person allowed a client: what its tokens are minted from.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    pub client_id: String,
    pub sub: String,
    pub sid: String,
    pub auth_time: i64,
    pub acr: Option<String>,
    pub nonce: String,
    pub scopes: Vec<String>,
    pub resource: Option<String>,
    pub revoked: bool,
}

impl Grant {
    fn has(&self, scope: &str) -> bool {
        self.scopes.iter().any(|known| known == scope)
    }
}

/// When an ID token is minted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occasion {
    Code,
    Refresh,
}

pub(super) fn access_token(provider: &Provider, state: &State, grant: &Grant) -> String {
    // Without a resource it is for the UserInfo endpoint.
    let audience = grant.resource.as_ref().unwrap_or(&provider.issuer);
    let claims = Claims::empty()
        .issuer(&provider.issuer)
        .subject(&grant.sub)
        .audience(audience.as_str())
        .with("client_id", grant.client_id.as_str())
        .with("azp", grant.client_id.as_str())
        .issued_in(0)
        .expires_in(state.settings.access_token_lifetime)
        .with("jti", secret())
        .scope(&grant.scopes.join(" "));
    sign(provider, "at+jwt", &claims)
}

/// What is told of a person, by the scopes; for the ID token and for the UserInfo endpoint.
pub(super) fn profile(state: &State, grant: &Grant, mut claims: Claims) -> Claims {
    if let Some(person) = state.people.iter().find(|person| person.sub == grant.sub) {
        if grant.has("profile") {
            claims = claims
                .with("name", person.name.as_str())
                .with("preferred_username", person.username.as_str());
        }
        if grant.has("email") {
            claims = claims
                .with("email", person.email.as_str())
                .with("email_verified", true);
        }
    }
    let groups: Vec<String> = (1..=state.settings.groups)
        .map(|number| format!("group-{number:03}"))
        .collect();
    claims.with("groups", json!(groups))
}

pub(super) fn id_token(
    provider: &Provider,
    state: &State,
    grant: &Grant,
    access_token: &str,
    occasion: Occasion,
) -> String {
    let hash = Sha256::digest(access_token);
    let lifetime = state.settings.id_token_lifetime;
    let mut claims = Claims::empty()
        .issuer(&provider.issuer)
        .subject(&grant.sub)
        .audience(grant.client_id.as_str())
        .with("azp", grant.client_id.as_str())
        .issued_in(0)
        .expires_in(lifetime)
        .with("auth_time", grant.auth_time)
        .with("at_hash", base64url(&hash[..16]))
        .with("sid", grant.sid.as_str());
    if let Some(acr) = &grant.acr {
        claims = claims.with("acr", acr.as_str());
    }
    if occasion == Occasion::Code {
        claims = claims.with("nonce", grant.nonce.as_str());
    }
    claims = profile(state, grant, claims).patched(&state.customs.id_token);
    let refresh = occasion == Occasion::Refresh;
    let claims = match state.misbehaviour {
        Some(Misbehaviour::NonceMissing) => claims.without("nonce"),
        Some(Misbehaviour::NonceOther) => claims.with("nonce", secret()),
        Some(Misbehaviour::AudienceOther) => claims.audience(STRANGER).with("azp", STRANGER),
        Some(Misbehaviour::AudienceOfTwo) => claims
            .audience(json!([grant.client_id, STRANGER]))
            .without("azp"),
        Some(Misbehaviour::AzpOther) => claims.with("azp", STRANGER),
        Some(Misbehaviour::IssuerOther) => claims.issuer("https://attacker.example/"),
        Some(Misbehaviour::Expired) => claims.issued_in(-LONG_AGO - lifetime).expires_in(-LONG_AGO),
        Some(Misbehaviour::AtHashOther) => claims.with("at_hash", base64url(&hash[16..])),
        Some(Misbehaviour::RefreshWithOtherSubject) if refresh => claims.subject("user|mallory"),
        Some(Misbehaviour::RefreshWithOtherAuthTime) if refresh => {
            claims.with("auth_time", grant.auth_time - LONG_AGO)
        }
        Some(Misbehaviour::AccessTokenAsIdToken) => return access_token.to_owned(),
        Some(Misbehaviour::LogoutTokenAsIdToken) => {
            let claims = logout_claims(provider, &grant.client_id, &grant.sub, &grant.sid);
            return sign(provider, "logout+jwt", &claims);
        }
        Some(Misbehaviour::AlgNone) => return token::unsecured("none", &claims.value()),
        Some(Misbehaviour::AlgHs256) => {
            let pem = provider.key.public_pem();
            return token::hs256(pem.as_bytes(), provider.key.kid(), &claims.value());
        }
        Some(Misbehaviour::SignatureBroken) => {
            let token = sign(provider, "JWT", &claims);
            return token::with_signature_bit_flipped(&token, 1000);
        }
        _ => claims,
    };
    sign(provider, "JWT", &claims)
}

/// A logout token for one client, with whatever is wrong with it now.
pub(super) fn logout_token(
    provider: &Provider,
    state: &State,
    client_id: &str,
    sub: &str,
    sid: &str,
) -> String {
    let claims = logout_claims(provider, client_id, sub, sid);
    let claims = match state.misbehaviour {
        Some(Misbehaviour::LogoutTokenOld) => claims
            .issued_in(-LONG_AGO)
            .expires_in(LOGOUT_TOKEN_LIFETIME - LONG_AGO),
        Some(Misbehaviour::LogoutTokenWithoutEvents) => claims.without("events"),
        Some(Misbehaviour::LogoutTokenWithNonce) => claims.with("nonce", secret()),
        Some(Misbehaviour::LogoutTokenOfNobody) => claims.without("sub").without("sid"),
        Some(Misbehaviour::LogoutTokenForOther) => claims.audience(STRANGER),
        Some(Misbehaviour::IdTokenAsLogoutToken) => {
            let claims = claims
                .without("events")
                .with("azp", client_id)
                .with("auth_time", now());
            return sign(provider, "JWT", &claims);
        }
        _ => claims,
    };
    sign(provider, "logout+jwt", &claims)
}

fn logout_claims(provider: &Provider, client_id: &str, sub: &str, sid: &str) -> Claims {
    Claims::empty()
        .issuer(&provider.issuer)
        .subject(sub)
        .audience(client_id)
        .issued_in(0)
        .expires_in(LOGOUT_TOKEN_LIFETIME)
        .with("jti", secret())
        .with("sid", sid)
        .with("events", json!({ LOGOUT_EVENT: {} }))
}

fn sign(provider: &Provider, kind: &str, claims: &Claims) -> String {
    let header = json!({"alg": "RS256", "typ": kind, "kid": provider.key.kid()});
    token::sign(&provider.key, &header, &claims.value())
}

/// The claims of a token that this provider signed with a key that it still publishes, whether it
/// has expired or not.
pub(super) fn verified(provider: &Provider, token: &str) -> Option<Value> {
    let parts: Vec<&str> = token.split('.').collect();
    let [_, _, _] = parts[..] else { return None };
    // RSASSA-PKCS1-v1_5 is deterministic (RFC 8017 s8.2): what it signed is signed again.
    provider
        .published
        .iter()
        .any(|key| token::resigned(key, token) == token)
        .then(|| token::untrusted_claims(token))
}
