//! The answer of a token endpoint (RFC 6749 sections 5.1 and 5.2, OpenID Connect Core 1.0 sections
//! 3.1.3.3 and 12.2).
//!
//! Invariant: an answer is read completely or not at all. A member that is missing, repeated, of
//! another type, or of a kind that the filter cannot use is an error with a name. The name contains
//! no text of the answer.

use std::fmt;
use std::time::Duration;

use crate::desk::question::{Answered, Reading};
use crate::jose::json::{Document, Element};
use crate::metrics;

/// How long an answer is kept for requests that ask the same again. A page can be loaded twice, and
/// some requests still bring the cookie from before a refresh.
pub const KEPT: Duration = Duration::from_secs(60);

/// The same for an answer with new tokens in place of a refresh token. Whoever left before it came
/// finds it, and the token that it replaces is used up.
pub const NEW_TOKENS_KEPT: Duration = Duration::from_secs(10 * 60);

/// The longest life of an access token that is accepted, in seconds: a year.
const LONGEST_LIFE: u64 = 366 * 24 * 60 * 60;

/// What a provider gave for a code.
#[derive(Clone, PartialEq, Eq)]
pub struct Exchanged {
    /// Not verified.
    pub id_token: String,
    /// The other tokens.
    pub grant: Grant,
}

/// What a provider gave for a refresh token.
#[derive(Clone, PartialEq, Eq)]
pub struct Refreshed {
    /// Not verified. Many providers send none here.
    pub id_token: Option<String>,
    /// The other tokens.
    pub grant: Grant,
}

/// Tokens that only the provider reads.
#[derive(Clone, PartialEq, Eq)]
pub struct Grant {
    /// Visible ASCII, so that it can stand in a header.
    pub access_token: String,
    /// How long the access token is good, in seconds from the answer on.
    pub expires_in: Option<u64>,
    /// It replaces the one before, where there is one.
    pub refresh_token: Option<String>,
}

/// Why an answer has no tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// The provider says so, with whatever status.
    Refused(Refusal),
    /// The answer is neither a success nor an error of RFC 6749.
    Status(u16),
    /// The body is not one JSON object with each name once.
    NotJson,
    /// `access_token` is missing, or is not a text that a header can have.
    AccessToken,
    /// `token_type` is missing, or is not `Bearer`. Such a token needs a proof that the filter
    /// cannot give.
    TokenType,
    /// `expires_in` is not a number of seconds.
    ExpiresIn,
    /// `refresh_token` is not a text.
    RefreshToken,
    /// `id_token` is not a text, or is missing after a code.
    IdToken,
    /// `request_uri` is missing, or is not a text that a URL can have.
    RequestUri,
}

/// The `error` of an answer (RFC 6749 section 5.2, RFC 8707 section 2, RFC 7009 section 2.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// `invalid_request`.
    InvalidRequest,
    /// `invalid_client`: the configuration and the provider have different secrets.
    InvalidClient,
    /// `invalid_grant`: the code or the refresh token is not good, or no longer good.
    InvalidGrant,
    /// `unauthorized_client`.
    UnauthorizedClient,
    /// `unsupported_grant_type`.
    UnsupportedGrantType,
    /// `invalid_scope`.
    InvalidScope,
    /// `invalid_target`: the provider refuses a resource of the configuration.
    InvalidTarget,
    /// `unsupported_token_type`, from a revocation.
    UnsupportedTokenType,
    /// `interaction_required` and its like: the provider wants to see the person (OpenID Connect Core
    /// 1.0 section 3.1.2.6; Entra ID and Auth0 say so after a refresh, too).
    InteractionRequired,
    /// Any other.
    Other,
}

const REFUSALS: [(&str, Refusal); 13] = [
    ("invalid_request", Refusal::InvalidRequest),
    ("invalid_client", Refusal::InvalidClient),
    ("invalid_grant", Refusal::InvalidGrant),
    ("unauthorized_client", Refusal::UnauthorizedClient),
    ("unsupported_grant_type", Refusal::UnsupportedGrantType),
    ("invalid_scope", Refusal::InvalidScope),
    ("invalid_target", Refusal::InvalidTarget),
    ("unsupported_token_type", Refusal::UnsupportedTokenType),
    ("interaction_required", Refusal::InteractionRequired),
    ("login_required", Refusal::InteractionRequired),
    ("consent_required", Refusal::InteractionRequired),
    ("mfa_required", Refusal::InteractionRequired),
    ("access_denied", Refusal::InteractionRequired),
];

impl fmt::Debug for Exchanged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exchanged")
    }
}

impl fmt::Debug for Refreshed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Refreshed")
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Grant")
    }
}

impl Refusal {
    /// The code as RFCs spell it; of several that mean the same, the first.
    #[must_use]
    pub fn name(self) -> &'static str {
        let mut known = REFUSALS.iter();
        let row = known.find(|(_, refusal)| *refusal == self);
        row.map_or("another error", |(name, _)| name)
    }

    fn parse(name: &str) -> Self {
        let mut known = REFUSALS.iter();
        let row = known.find(|(known, _)| *known == name);
        row.map_or(Self::Other, |(_, refusal)| *refusal)
    }
}

/// Fixed text, for the log.
impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Refused(refusal) => {
                return write!(f, "the provider refused: {}", refusal.name());
            }
            Self::Status(status) => {
                return write!(f, "the answer has status {status} and no error code");
            }
            Self::NotJson => "the answer is not one JSON object with each name once",
            Self::AccessToken => "the answer has no usable access_token",
            Self::TokenType => "the answer's token_type is not Bearer",
            Self::ExpiresIn => "the answer's expires_in is no number of seconds",
            Self::RefreshToken => "the answer's refresh_token is no text",
            Self::IdToken => "the answer has no usable id_token",
            Self::RequestUri => "the answer has no usable request_uri",
        };
        f.write_str(text)
    }
}

/// Reads the answer to a code.
///
/// # Errors
/// [`TokenError`].
pub fn exchanged(answer: &Answered) -> Result<Exchanged, TokenError> {
    let Refreshed { id_token, grant } = refreshed(answer)?;
    let id_token = id_token.ok_or(TokenError::IdToken)?;
    Ok(Exchanged { id_token, grant })
}

/// Reads the answer to a refresh token.
///
/// # Errors
/// [`TokenError`].
pub fn refreshed(answer: &Answered) -> Result<Refreshed, TokenError> {
    let document = document(answer, &[200])?;
    let member = |name| document.root().get(name).filter(|value| !value.is_null());
    let text = |name, error| {
        member(name)
            .map(|value| token(value).ok_or(error))
            .transpose()
    };
    let token_type = member("token_type").and_then(Element::as_str);
    if !token_type.is_some_and(|kind| kind.eq_ignore_ascii_case("bearer")) {
        return Err(TokenError::TokenType);
    }
    let access_token = text("access_token", TokenError::AccessToken)?;
    let expires_in = member("expires_in").map(|value| seconds(value).ok_or(TokenError::ExpiresIn));
    Ok(Refreshed {
        id_token: text("id_token", TokenError::IdToken)?,
        grant: Grant {
            access_token: access_token.ok_or(TokenError::AccessToken)?,
            expires_in: expires_in.transpose()?,
            refresh_token: text("refresh_token", TokenError::RefreshToken)?,
        },
    })
}

/// The object of an answer that is not an error. Some providers send an error with status 200.
pub(super) fn document(answer: &Answered, successes: &[u16]) -> Result<Document, TokenError> {
    let is_success = successes.contains(&answer.status);
    let document = Document::parse(answer.body.as_slice()).map_err(|_| match answer.status {
        _ if is_success => TokenError::NotJson,
        status => TokenError::Status(status),
    })?;
    let error = document
        .root()
        .get("error")
        .filter(|error| !error.is_null());
    match error {
        Some(error) => {
            let refusal = error.as_str().map_or(Refusal::Other, Refusal::parse);
            Err(TokenError::Refused(refusal))
        }
        None if is_success => Ok(document),
        None => Err(TokenError::Status(answer.status)),
    }
}

/// A token of visible ASCII. RFC 6749 appendix A.12 also allows the space, which no header could
/// carry at an end.
pub(super) fn token(value: Element<'_>) -> Option<String> {
    let text = value.as_str()?;
    let is_token = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    is_token.then(|| text.to_owned())
}

/// A number of seconds. Older providers write it as a text.
pub(super) fn seconds(value: Element<'_>) -> Option<u64> {
    let number = match value.as_str() {
        Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            // More than a year is refused below.
            let seconds: u64 = text.parse().ok()?;
            seconds as f64
        }
        Some(_) => return None,
        None => value.as_number()?.as_f64()?,
    };
    // The fraction is cut off, and the value is below 2^53.
    (0.0..=LONGEST_LIFE as f64)
        .contains(&number)
        .then_some(number as u64)
}

/// How the desk must treat the answer of a token endpoint.
///
/// A refusal is an answer, and so is every 4xx status. They are about the question, so nobody can
/// make the endpoint look broken with a bad question. Any other answer without a JSON object means
/// that the endpoint failed.
#[must_use]
pub fn read(answer: &Answered) -> Reading {
    reading(answer, &[200], KEPT)
}

/// How the desk must treat an answer that has one of these statuses where it is none of an error, and
/// is kept for this time.
pub(super) fn reading(answer: &Answered, successes: &[u16], kept: Duration) -> Reading {
    let is_of_request = (400..500).contains(&answer.status);
    match document(answer, successes) {
        Ok(_) | Err(TokenError::Refused(_)) => Reading::Keep(kept),
        Err(_) if is_of_request => Reading::Keep(kept),
        Err(_) => Reading::Failed,
    }
}

/// How the desk must treat the answer to a refresh token.
#[must_use]
pub fn read_refreshed(answer: &Answered) -> Reading {
    match refreshed(answer) {
        Ok(_) => Reading::Keep(NEW_TOKENS_KEPT),
        Err(_) => read(answer),
    }
}

/// The counter for the outcome of a call that refreshes a session.
#[must_use]
pub fn refresh_counter(answer: Option<&Answered>) -> Option<String> {
    let outcome = answer.map(refreshed);
    Some(match outcome {
        Some(Ok(_)) => metrics::REFRESH_COMPLETED.to_owned(),
        Some(Err(TokenError::Refused(_))) => metrics::refresh_failed("refresh_refused"),
        Some(Err(TokenError::Status(500..))) | None => {
            metrics::refresh_failed("provider_unavailable")
        }
        Some(Err(_)) => metrics::refresh_failed("tokens_unusable"),
    })
}

/// How the desk must treat the answer of a revocation endpoint. Only its status counts (RFC 7009
/// section 2.2).
#[must_use]
pub fn read_revoked(answer: &Answered) -> Reading {
    match answer.status {
        200..=299 | 400..=499 => Reading::Keep(KEPT),
        _ => Reading::Failed,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn answer(status: u16, body: &[u8]) -> Answered {
        Answered {
            at: 0,
            status,
            content_type: None,
            body: body.to_vec(),
        }
    }

    /// A good answer. The members are set, or removed where the value is null.
    fn altered(members: Value) -> Vec<u8> {
        let mut body = json!({
            "access_token": "a.b.c",
            "token_type": "Bearer",
            "expires_in": 300,
            "refresh_token": "r-1",
            "id_token": "h.p.s",
            "scope": "openid",
        });
        for (name, value) in members.as_object().unwrap() {
            body[name] = value.clone();
        }
        body.as_object_mut()
            .unwrap()
            .retain(|_, value| *value != json!("absent"));
        body.to_string().into_bytes()
    }

    fn grant() -> Grant {
        Grant {
            access_token: "a.b.c".to_owned(),
            expires_in: Some(300),
            refresh_token: Some("r-1".to_owned()),
        }
    }

    #[test]
    fn tokens_that_were_given() {
        let without = |grant: Grant| (grant, Some("h.p.s"));
        let table = [
            (json!({}), without(grant())),
            (json!({"token_type": "bEARER"}), without(grant())),
            (json!({"error": null}), without(grant())),
            (json!({"expires_in": 300.9}), without(grant())),
            (json!({"expires_in": "300"}), without(grant())),
            (
                json!({"expires_in": 0}),
                without(Grant {
                    expires_in: Some(0),
                    ..grant()
                }),
            ),
            (
                json!({"expires_in": "absent", "refresh_token": null}),
                without(Grant {
                    expires_in: None,
                    refresh_token: None,
                    ..grant()
                }),
            ),
            (json!({"id_token": null}), (grant(), None)),
            (json!({"id_token": "absent"}), (grant(), None)),
        ];
        for (members, (grant, id_token)) in table {
            let answer = answer(200, &altered(members.clone()));
            let id_token = id_token.map(str::to_owned);
            let expected = Refreshed {
                id_token: id_token.clone(),
                grant: grant.clone(),
            };
            assert!(refreshed(&answer) == Ok(expected), "{members}");
            let expected = id_token.ok_or(TokenError::IdToken);
            let expected = expected.map(|id_token| Exchanged { id_token, grant });
            assert!(exchanged(&answer) == expected, "{members}");
            assert_eq!(read(&answer), Reading::Keep(KEPT), "{members}");
            let longer = Reading::Keep(NEW_TOKENS_KEPT);
            assert_eq!(read_refreshed(&answer), longer, "{members}");
        }
    }

    #[test]
    fn s22_answers_without_usable_tokens() {
        use TokenError::*;
        let table = [
            (json!({"id_token": "absent"}), IdToken),
            (json!({"id_token": ""}), IdToken),
            (json!({"id_token": ["h.p.s"]}), IdToken),
            (json!({"id_token": "h.p.s\n"}), IdToken),
            (json!({"token_type": "absent"}), TokenType),
            (json!({"token_type": "DPoP"}), TokenType),
            (json!({"token_type": "N_A"}), TokenType),
            (json!({"token_type": "Bearer "}), TokenType),
            (json!({"token_type": ["Bearer"]}), TokenType),
            (json!({"access_token": "absent"}), AccessToken),
            (json!({"access_token": ""}), AccessToken),
            (json!({"access_token": 1}), AccessToken),
            (json!({"access_token": "a b"}), AccessToken),
            (json!({"access_token": "a\r\nx: y"}), AccessToken),
            (json!({"access_token": "\u{e9}"}), AccessToken),
            (json!({"expires_in": -1}), ExpiresIn),
            (json!({"expires_in": 1e300}), ExpiresIn),
            (json!({"expires_in": "-1"}), ExpiresIn),
            (json!({"expires_in": "1e3"}), ExpiresIn),
            (json!({"expires_in": ""}), ExpiresIn),
            (json!({"expires_in": "9".repeat(400)}), ExpiresIn),
            (json!({"expires_in": true}), ExpiresIn),
            (json!({"refresh_token": {}}), RefreshToken),
            (json!({"refresh_token": ""}), RefreshToken),
            (
                json!({"error": "invalid_grant"}),
                Refused(Refusal::InvalidGrant),
            ),
            (
                json!({"error": "mfa_required"}),
                Refused(Refusal::InteractionRequired),
            ),
            (json!({"error": "<script>"}), Refused(Refusal::Other)),
            (json!({"error": 5}), Refused(Refusal::Other)),
            (json!({"error": ""}), Refused(Refusal::Other)),
        ];
        for (members, expected) in table {
            let answer = answer(200, &altered(members.clone()));
            assert_eq!(exchanged(&answer).err(), Some(expected), "{members}");
            // The endpoint answers: it has not failed.
            assert_eq!(read(&answer), Reading::Keep(KEPT), "{members}");
        }
    }

    #[test]
    fn s22_answers_that_are_no_answers() {
        use TokenError::*;
        let good = altered(json!({}));
        let refused = br#"{"error":"invalid_client","error_description":"x"}"#;
        let twice = br#"{"id_token":"a","id_token":"b","access_token":"a","token_type":"Bearer"}"#;
        let deep = [&b"{\"x\":"[..], &b"[".repeat(100_000)].concat();
        let table: &[(u16, &[u8], TokenError, Reading)] = &[
            (200, b"", NotJson, Reading::Failed),
            (200, b"<html>", NotJson, Reading::Failed),
            (200, b"[]", NotJson, Reading::Failed),
            (
                200,
                b"access_token=a&token_type=bearer",
                NotJson,
                Reading::Failed,
            ),
            (200, &good[1..], NotJson, Reading::Failed),
            (200, &[&good[..], b"x"].concat(), NotJson, Reading::Failed),
            (200, &[&good[..], &good].concat(), NotJson, Reading::Failed),
            (200, twice, NotJson, Reading::Failed),
            (200, &deep, NotJson, Reading::Failed),
            (200, b"\xff", NotJson, Reading::Failed),
            (201, &good, Status(201), Reading::Failed),
            (204, b"", Status(204), Reading::Failed),
            (302, &good, Status(302), Reading::Failed),
            (400, &good, Status(400), Reading::Keep(KEPT)),
            (400, b"", Status(400), Reading::Keep(KEPT)),
            (404, b"<html>", Status(404), Reading::Keep(KEPT)),
            (
                400,
                refused,
                Refused(Refusal::InvalidClient),
                Reading::Keep(KEPT),
            ),
            (
                401,
                refused,
                Refused(Refusal::InvalidClient),
                Reading::Keep(KEPT),
            ),
            (
                200,
                refused,
                Refused(Refusal::InvalidClient),
                Reading::Keep(KEPT),
            ),
        ];
        for (status, body, expected, reading) in table {
            let answer = answer(*status, body);
            let shown = format!("{status} {}", body[..body.len().min(80)].escape_ascii());
            assert_eq!(exchanged(&answer).err(), Some(*expected), "{shown}");
            assert_eq!(refreshed(&answer).err(), Some(*expected), "{shown}");
            assert_eq!(read(&answer), *reading, "{shown}");
        }
    }

    #[test]
    fn a_revocation_is_read_by_its_status() {
        for (status, expected) in [
            (200, Reading::Keep(KEPT)),
            (204, Reading::Keep(KEPT)),
            (400, Reading::Keep(KEPT)),
            (302, Reading::Failed),
        ] {
            assert_eq!(read_revoked(&answer(status, b"")), expected, "{status}");
        }
    }

    #[test]
    fn s28_no_token_is_shown() {
        let body = altered(json!({"access_token": "secret", "id_token": "secret"}));
        let exchanged = exchanged(&answer(200, &body)).unwrap();
        let refreshed = refreshed(&answer(200, &body)).unwrap();
        let shown = format!("{exchanged:?} {refreshed:?} {:?}", exchanged.grant);
        assert_eq!(shown, "Exchanged Refreshed Grant");
        let body = br#"{"error":"secret","error_description":"secret"}"#;
        let error = super::exchanged(&answer(400, body)).unwrap_err();
        assert_eq!(error.to_string(), "the provider refused: another error");
    }
}
