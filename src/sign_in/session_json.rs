//! What a session says, as JSON, for the scripts of our own pages.
//!
//! Invariant: the JSON contains no token and no identifier of a session, because a script that was
//! smuggled into a page could read it.

use serde_json::Value;

use crate::http::response::Response;
use crate::session::life::Session;

/// What a session of this scheme says: who it is, its claims, and when it ends. Times are Unix seconds.
/// `expires_at` is the end without a further request, `latest_expires_at` the end in any case.
#[must_use]
pub fn signed_in(scheme: &str, session: &Session) -> Response {
    let [scheme, subject] = [scheme, &session.subject].map(quoted);
    // The filter wrote the claims as JSON, and sealed them.
    let claims = &session.claims;
    let (ends, latest) = (session.ends(), session.expires);
    let body = format!(
        "{{\"scheme\":{scheme},\"sub\":{subject},\"claims\":{claims},\"expires_at\":{ends},\"latest_expires_at\":{latest}}}"
    );
    response(200, body)
}

/// Says that there is no session. `sign_in` is the path to sign in at, if there is one. `challenge`
/// is the value of `WWW-Authenticate` (RFC 9110 section 15.5.2).
#[must_use]
pub fn signed_out(sign_in: Option<&str>, challenge: &str) -> Response {
    let body = match sign_in.map(quoted) {
        Some(path) => format!("{{\"error\":\"no_session\",\"sign_in\":{path}}}"),
        None => "{\"error\":\"no_session\"}".to_owned(),
    };
    let mut response = response(401, body);
    let challenge = ("www-authenticate", challenge.to_owned());
    response.headers.push(challenge);
    response
}

/// A text as a string of JSON.
pub(super) fn quoted(text: &str) -> String {
    written(&Value::from(text))
}

/// A value as JSON. `Display` would add a second writer to the module, of 4 KB.
pub(super) fn written(value: &Value) -> String {
    // Writing to a string does not fail.
    serde_json::to_string(value).unwrap_or_default()
}

fn response(status: u32, body: String) -> Response {
    let headers = [
        ("content-type", "application/json"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        // No page of another site can load it into its own process.
        ("cross-origin-resource-policy", "same-origin"),
    ];
    Response::new(status, &headers, body)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::session::life::Tokens;

    fn session() -> Session {
        Session {
            issuer: None,
            id: [1; 16],
            scope: "staff".to_owned(),
            subject: "kim".to_owned(),
            sid: Some("secret".to_owned()),
            auth_time: None,
            acr: None,
            started: 1_800_000_000,
            issued: 1_800_000_000,
            seen: 1_800_000_100,
            idle: Some(1800),
            expires: 1_800_028_800,
            claims: r#"{"email":"kim@a.example","groups":["a"]}"#.to_owned(),
            tokens: Some(Tokens {
                access: Some("secret".to_owned()),
                access_expires: None,
                refresh: Some("secret".to_owned()),
                id: Some("secret".to_owned()),
            }),
            refreshing: None,
            first_sid: None,
        }
    }

    fn header<'r>(response: &'r Response, name: &str) -> Option<&'r str> {
        let mut headers = response.headers.iter();
        let (_, value) = headers.find(|(known, _)| *known == name)?;
        Some(value)
    }

    fn body(response: &Response) -> Value {
        serde_json::from_str(&response.body).unwrap()
    }

    #[test]
    fn what_a_session_says() {
        let response = signed_in("staff", &session());
        assert_eq!(response.status, 200);
        let expected = json!({
            "scheme": "staff",
            "sub": "kim",
            "claims": {"email": "kim@a.example", "groups": ["a"]},
            "expires_at": 1_800_001_900,
            "latest_expires_at": 1_800_028_800,
        });
        assert_eq!(body(&response), expected);
        assert_eq!(header(&response, "cache-control"), Some("no-store"));
        assert_eq!(header(&response, "content-type"), Some("application/json"));
        assert_eq!(header(&response, "access-control-allow-origin"), None);
    }

    #[test]
    fn s28_no_token_is_in_what_a_session_says() {
        assert!(!signed_in("staff", &session()).body.contains("secret"));
    }

    #[test]
    fn nobody() {
        for (sign_in, expected) in [
            (None, json!({"error": "no_session"})),
            (
                Some("/sign-in"),
                json!({"error": "no_session", "sign_in": "/sign-in"}),
            ),
        ] {
            let response = signed_out(sign_in, "Bearer realm=\"api\"");
            assert_eq!(response.status, 401);
            assert_eq!(body(&response), expected);
            let challenge = header(&response, "www-authenticate");
            assert_eq!(challenge, Some("Bearer realm=\"api\""));
            assert_eq!(header(&response, "cache-control"), Some("no-store"));
        }
    }
}
