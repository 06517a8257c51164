//! The answer to an authorization request that was pushed (RFC 9126 section 2.2).
//!
//! Invariant: a `request_uri` is for the one request that was pushed for it. Nothing of an answer is
//! shown.

use std::time::Duration;

use super::token_reply::{TokenError, document, reading, seconds, token};
use crate::desk::question::{Answered, Reading};

/// The statuses of an answer with a `request_uri`: that of RFC 9126, and the one of some providers.
const PUSHED: [u16; 2] = [200, 201];
/// The longest `request_uri`, in octets: it is in a URL that a browser opens.
const LONGEST_REQUEST_URI: usize = 2048;

/// Reads the answer to a pushed request: the `request_uri`, which is for the flow that was pushed
/// alone. Some providers say 200 in place of 201. One whose time is over at once is of no use.
///
/// # Errors
/// [`TokenError`].
pub fn request_uri(answer: &Answered) -> Result<String, TokenError> {
    let document = document(answer, &PUSHED)?;
    let root = document.root();
    let lives = root.get("expires_in").and_then(seconds);
    if lives.is_none_or(|lives| lives == 0) {
        return Err(TokenError::ExpiresIn);
    }
    let uri = root.get("request_uri").and_then(token);
    uri.filter(|uri| uri.len() <= LONGEST_REQUEST_URI)
        .ok_or(TokenError::RequestUri)
}

/// How the desk must treat it. It is kept for as long as the request needs that waits for it.
#[must_use]
pub fn read(answer: &Answered) -> Reading {
    reading(answer, &PUSHED, Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::token_reply::Refusal;
    use super::*;

    fn answer(status: u16, body: &str) -> Answered {
        Answered {
            at: 0,
            status,
            content_type: None,
            body: body.as_bytes().to_vec(),
        }
    }

    #[test]
    fn s33_answers_to_a_pushed_request() {
        let good = json!({"request_uri": "urn:x:1", "expires_in": 60});
        for (status, members) in [
            (201, json!({})),
            (200, json!({})),
            (201, json!({"expires_in": 1})),
        ] {
            let mut body = good.clone();
            body.as_object_mut()
                .unwrap()
                .extend(members.as_object().unwrap().clone());
            let answer = answer(status, &body.to_string());
            assert_eq!(request_uri(&answer), Ok("urn:x:1".to_owned()));
            assert_eq!(read(&answer), Reading::Keep(Duration::ZERO));
        }
        let long = "u".repeat(LONGEST_REQUEST_URI + 1);
        let table = [
            (json!({"request_uri": null}), TokenError::RequestUri),
            (json!({"request_uri": ""}), TokenError::RequestUri),
            (json!({"request_uri": 7}), TokenError::RequestUri),
            (json!({"request_uri": ["urn:x:1"]}), TokenError::RequestUri),
            (json!({"request_uri": "urn:x\r\ny"}), TokenError::RequestUri),
            (json!({"request_uri": "urn:\u{e9}"}), TokenError::RequestUri),
            (json!({"request_uri": long}), TokenError::RequestUri),
            (json!({"expires_in": null}), TokenError::ExpiresIn),
            (json!({"expires_in": 0}), TokenError::ExpiresIn),
            (json!({"expires_in": 0.5}), TokenError::ExpiresIn),
            (json!({"expires_in": -1}), TokenError::ExpiresIn),
            (json!({"expires_in": true}), TokenError::ExpiresIn),
            (
                json!({"error": "invalid_scope"}),
                TokenError::Refused(Refusal::InvalidScope),
            ),
            (json!({"error": 7}), TokenError::Refused(Refusal::Other)),
        ];
        for (members, expected) in table {
            let mut body = good.clone();
            body.as_object_mut()
                .unwrap()
                .extend(members.as_object().unwrap().clone());
            let answer = answer(201, &body.to_string());
            assert_eq!(request_uri(&answer), Err(expected), "{members}");
        }
        // Only what says that the endpoint failed is no answer.
        let text = good.to_string();
        for (status, body, expected) in [
            (201, "<html>", TokenError::NotJson),
            (204, "", TokenError::Status(204)),
            (302, text.as_str(), TokenError::Status(302)),
            (404, "", TokenError::Status(404)),
        ] {
            let answer = answer(status, body);
            assert_eq!(request_uri(&answer), Err(expected), "{status}");
            let is_failure = read(&answer) == Reading::Failed;
            assert_eq!(is_failure, status != 404, "{status}");
        }
    }
}
