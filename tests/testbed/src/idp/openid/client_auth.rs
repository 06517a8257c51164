//! Which client it is that asks (OpenID Connect Core s9, RFC 7523 s3).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa;
use rsa::pkcs1v15;
use rsa::signature::Verifier;
use rsa::{BoxedUint, PublicKey};
use serde_json::Value;
use sha2::Sha256;

use super::party::{ClientAuth, RelyingParty};
use super::seen::Seen;
use super::{Provider, State};
use crate::idp::grant::{GrantError, basic_credentials};
use crate::token::{self, now};

/// `client_assertion_type` (RFC 7523 s2.2)
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// The longest life that an assertion may have, in seconds.
const LONGEST_LIFE: i64 = 600;

/// The client that proved who it is.
pub(super) fn client(
    provider: &Provider,
    state: &mut State,
    seen: &Seen,
) -> Result<RelyingParty, GrantError> {
    if seen.repeated() {
        return Err(GrantError::bad_request(
            "invalid_request",
            "A parameter is repeated",
        ));
    }
    let basic = basic_credentials(&seen.headers);
    let (secret, assertion) = (
        seen.parameter("client_secret"),
        seen.parameter("client_assertion"),
    );
    let ways = [basic.is_some(), secret.is_some(), assertion.is_some()];
    if ways.iter().filter(|used| **used).count() > 1 {
        let text = "Client credentials in two places";
        return Err(GrantError::bad_request("invalid_request", text));
    }
    let claims = assertion.and_then(token::try_untrusted_claims);
    let id = match (&basic, &claims) {
        (Some((id, _)), _) => id,
        (None, Some(claims)) => claims["sub"].as_str().unwrap_or_default(),
        (None, None) => seen.parameter("client_id").unwrap_or_default(),
    };
    let party = state
        .party(id)
        .cloned()
        .ok_or(GrantError::invalid_client("Unknown client"))?;
    if seen
        .parameter("client_id")
        .is_some_and(|named| named != party.client_id)
    {
        return Err(GrantError::invalid_client("client_id is another client's"));
    }
    let presented = basic.as_ref().map(|(_, secret)| secret.as_str()).or(secret);
    let proved = match &party.auth {
        ClientAuth::Secret(secret) => presented == Some(secret),
        ClientAuth::Public => presented.is_none() && assertion.is_none(),
        ClientAuth::PrivateKeyJwt(jwk) => match (assertion, &claims) {
            (Some(assertion), Some(claims)) => {
                seen.parameter("client_assertion_type") == Some(JWT_BEARER)
                    && is_signed(jwk, assertion)
                    && is_for_us(provider, state, seen.endpoint, claims, &party.client_id)
            }
            _ => false,
        },
    };
    if proved {
        Ok(party)
    } else {
        Err(GrantError::invalid_client(
            "The client did not prove itself",
        ))
    }
}

/// Whether the claims of an assertion are those of RFC 7523 s3, used for the first time.
fn is_for_us(
    provider: &Provider,
    state: &mut State,
    called: super::Endpoint,
    claims: &Value,
    client_id: &str,
) -> bool {
    let audiences = match &claims["aud"] {
        Value::Array(all) => all.clone(),
        one => vec![one.clone()],
    };
    // RFC 9126 s2: of the endpoint that is called, of the token endpoint, or of the issuer.
    let address = |endpoint| format!("{}{}", provider.url, state.customs.path(endpoint));
    let ours = [
        provider.issuer.clone(),
        address(super::Endpoint::Token),
        address(called),
    ];
    let ours = match state.settings.wants_called_endpoint {
        true => &ours[2..],
        false => &ours[..],
    };
    let lives = claims["exp"].as_i64().is_some_and(|exp| {
        let left = exp - now();
        left > 0 && left <= LONGEST_LIFE
    });
    let jti = claims["jti"].as_str().unwrap_or_default();
    let id = format!("{client_id} {jti}");
    let holds = claims["iss"] == client_id
        && claims["sub"] == client_id
        && audiences
            .iter()
            .any(|aud| ours.iter().any(|own| aud == own))
        && lives
        && !jti.is_empty()
        && state.assertions.get(&id).is_none();
    if holds {
        state.assertions.insert(&id, ());
    }
    holds
}

/// Whether a key signed it, with the algorithm of the key's kind: RS256 or ES256.
fn is_signed(jwk: &Value, assertion: &str) -> bool {
    let [header, payload, signature] = token::segments(assertion);
    let message = format!("{header}.{payload}");
    let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
    let member = |name: &str| bytes(jwk[name].as_str().unwrap_or_default());
    let algorithm =
        serde_json::from_slice(&bytes(header)).map(|header: Value| header["alg"].clone());
    let algorithm = algorithm.unwrap_or_default();
    let signature = bytes(signature);
    match (jwk["kty"].as_str(), algorithm.as_str()) {
        (Some("RSA"), Some("RS256")) => {
            let modulus = BoxedUint::from_be_slice_vartime(&member("n"));
            let exponent = BoxedUint::from_be_slice_vartime(&member("e"));
            let key = PublicKey::new(modulus, exponent).expect("an RSA key");
            let key = pkcs1v15::VerifyingKey::<Sha256>::new(key);
            pkcs1v15::Signature::try_from(signature.as_slice())
                .is_ok_and(|signature| key.verify(message.as_bytes(), &signature).is_ok())
        }
        (Some("EC"), Some("ES256")) => {
            let point = [&[4][..], &member("x"), &member("y")].concat();
            let key = ecdsa::VerifyingKey::from_sec1_bytes(&point).expect("a P-256 key");
            ecdsa::Signature::from_slice(&signature)
                .is_ok_and(|signature| key.verify(message.as_bytes(), &signature).is_ok())
        }
        _ => false,
    }
}
