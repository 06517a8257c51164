//! What holds of a token endpoint's answer.

use std::time::Duration;

use bearer_gate::desk::question::{Answered, Reading};
use bearer_gate::jose::json::Document;
use bearer_gate::sign_in::page::{self, FailedSignIn, Trouble};
use bearer_gate::sign_in::pushed;
use bearer_gate::sign_in::token_reply::{self, Grant, TokenError};

/// The first octet chooses the status, the others are the body. What is read can stand in a header,
/// and was there; what is none is named without a word of it; and its words make no markup.
pub(crate) fn token_reply(bytes: &[u8]) {
    let (chosen, body) = bytes.split_first().unwrap_or((&b'0', b""));
    let status = match chosen {
        b'1' => 400,
        b'2' => 401,
        b'3' => 302,
        _ => 200,
    };
    let answer = Answered {
        at: 0,
        status,
        content_type: None,
        body: body.to_vec(),
    };
    let created = Answered {
        status: if status == 200 { 201 } else { status },
        ..answer
    };
    let pushed = pushed::request_uri(&created);
    if let Ok(uri) = &pushed {
        assert!(!uri.is_empty() && uri.bytes().all(|byte| byte.is_ascii_graphic()));
        assert_eq!(pushed::read(&created), Reading::Keep(Duration::ZERO));
    }
    let answer = Answered { status, ..created };
    let refreshed = token_reply::refreshed(&answer);
    let exchanged = token_reply::exchanged(&answer);
    let reading = token_reply::read(&answer);
    match &refreshed {
        Ok(refreshed) => {
            assert_eq!(status, 200);
            assert_eq!(reading, Reading::Keep(token_reply::KEPT));
            let document = Document::parse(body).expect("it was read");
            assert!(
                document
                    .root()
                    .get("error")
                    .is_none_or(|error| error.is_null())
            );
            let text = |name| document.root().get(name).and_then(|value| value.as_str());
            let Grant {
                access_token,
                expires_in,
                refresh_token,
            } = &refreshed.grant;
            assert_eq!(text("access_token"), Some(access_token.as_str()));
            assert_eq!(text("refresh_token"), refresh_token.as_deref());
            assert_eq!(text("id_token"), refreshed.id_token.as_deref());
            assert!(expires_in.is_none_or(|seconds| seconds <= 366 * 24 * 60 * 60));
            let tokens = [
                Some(access_token),
                refresh_token.as_ref(),
                refreshed.id_token.as_ref(),
            ];
            for token in tokens.into_iter().flatten() {
                assert!(!token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()));
            }
            let id_token = refreshed.id_token.clone().ok_or(TokenError::IdToken);
            assert_eq!(exchanged.map(|exchanged| exchanged.id_token), id_token);
        }
        Err(error) => {
            assert_eq!(exchanged.err(), Some(*error));
            let shown = error.to_string();
            assert!(shown.len() < 100 && shown.is_ascii(), "{shown}");
            if matches!(error, TokenError::NotJson) {
                assert_eq!(reading, Reading::Failed);
            }
        }
    }
    let told = String::from_utf8_lossy(body);
    let page = page::failure(&FailedSignIn {
        trouble: Trouble::Denied,
        told: Some(&told),
        again: Some(&told),
    });
    // As many tags and attributes as without it, or with its quote.
    let count = |mark: &str| page.body.matches(mark).count();
    let quotes = count("<blockquote>");
    assert!(quotes <= 1 && count("</blockquote>") == quotes);
    let plain = page::failure(&FailedSignIn {
        trouble: Trouble::Denied,
        told: Some("x").filter(|_| quotes == 1),
        again: Some("/"),
    });
    for mark in ["<", ">", "\"", "'"] {
        assert_eq!(count(mark), plain.body.matches(mark).count(), "{mark}");
    }
}
