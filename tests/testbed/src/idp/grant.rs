//! `POST /oauth/token`: the client credentials grant (RFC 6749 s4.4) with Auth0's `audience`
//! parameter. Errors are those of RFC 6749 s5.2, and Auth0's `access_denied` for an audience that
//! it does not know.

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::Client;

/// What a client asks for and is entitled to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Grant {
    pub client_id: String,
    pub audience: String,
    pub scopes: Vec<String>,
}

/// An OAuth error response.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct GrantError {
    status: StatusCode,
    error: &'static str,
    description: &'static str,
}

impl GrantError {
    fn new(status: StatusCode, error: &'static str, description: &'static str) -> Self {
        Self {
            status,
            error,
            description,
        }
    }

    /// An error with the status 400.
    pub(super) fn bad_request(error: &'static str, description: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error, description)
    }

    /// A client that did not prove who it is.
    pub(super) fn invalid_client(description: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid_client", description)
    }

    fn invalid_request(description: &'static str) -> Self {
        Self::bad_request("invalid_request", description)
    }
}

impl IntoResponse for GrantError {
    fn into_response(self) -> Response {
        let body = json!({"error": self.error, "error_description": self.description});
        let mut response = uncached(self.status, &body);
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Basic realm=\"testbed\""),
            );
        }
        response
    }
}

/// A JSON response that must not be stored (RFC 6749 s5.1).
pub(super) fn uncached(status: StatusCode, body: &Value) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
        (header::PRAGMA, "no-cache"),
    ];
    (status, headers, body.to_string()).into_response()
}

/// Decides a token request.
pub(super) fn decide(
    clients: &[Client],
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Grant, GrantError> {
    let parameters = parameters(headers, body)?;
    let parameter = |name: &str| parameters.get(name).and_then(Value::as_str);

    match parameter("grant_type") {
        Some("client_credentials") => {}
        Some(_) => {
            return Err(GrantError::new(
                StatusCode::BAD_REQUEST,
                "unsupported_grant_type",
                "This grant_type is not one of ours",
            ));
        }
        None => return Err(GrantError::invalid_request("grant_type is missing")),
    }

    let basic = basic_credentials(headers);
    let (id, secret) = match (&basic, parameter("client_id"), parameter("client_secret")) {
        (Some((id, secret)), _, None) => (id.as_str(), secret.as_str()),
        (None, Some(id), Some(secret)) => (id, secret),
        (Some(_), _, Some(_)) => {
            return Err(GrantError::invalid_request(
                "Client credentials in two places",
            ));
        }
        _ => {
            return Err(GrantError::invalid_request(
                "client_id or client_secret is missing",
            ));
        }
    };
    let client = clients
        .iter()
        .find(|client| client.id == id && client.secret == secret)
        .ok_or(GrantError::new(
            StatusCode::UNAUTHORIZED,
            "invalid_client",
            "Unknown client or wrong secret",
        ))?;

    let audience = match parameter("audience") {
        Some(audience) if client.audiences.iter().any(|known| known == audience) => audience,
        Some(_) => {
            return Err(GrantError::new(
                StatusCode::FORBIDDEN,
                "access_denied",
                "The client may not have tokens for this audience",
            ));
        }
        None => return Err(GrantError::invalid_request("audience is missing")),
    };

    let scopes: Vec<String> = parameter("scope")
        .unwrap_or_default()
        .split_ascii_whitespace()
        .map(str::to_owned)
        .collect();
    if !scopes.iter().all(|scope| client.scopes.contains(scope)) {
        return Err(GrantError::new(
            StatusCode::BAD_REQUEST,
            "invalid_scope",
            "The client may not have one of these scopes",
        ));
    }
    Ok(Grant {
        client_id: client.id.clone(),
        audience: audience.to_owned(),
        scopes,
    })
}

fn parameters(headers: &HeaderMap, body: &Bytes) -> Result<Map<String, Value>, GrantError> {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(|value| value.trim().to_ascii_lowercase());
    match content_type.as_deref() {
        Some("application/json") => match serde_json::from_slice(body) {
            Ok(Value::Object(parameters)) => Ok(parameters),
            _ => Err(GrantError::invalid_request("The body is not a JSON object")),
        },
        Some("application/x-www-form-urlencoded") => {
            let pairs: Vec<(String, String)> = serde_urlencoded::from_bytes(body)
                .map_err(|_| GrantError::invalid_request("The body is not a form"))?;
            let mut parameters = Map::new();
            for (name, value) in pairs {
                // RFC 6749 s3.2: parameters must not be included more than once.
                if parameters.insert(name, Value::String(value)).is_some() {
                    return Err(GrantError::invalid_request("A parameter is repeated"));
                }
            }
            Ok(parameters)
        }
        _ => Err(GrantError::invalid_request(
            "The body must be JSON or a form",
        )),
    }
}

/// RFC 6749 s2.3.1: both halves are form-encoded.
pub(super) fn basic_credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let bytes = STANDARD.decode(value.strip_prefix("Basic ")?).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (id, secret) = text.split_once(':')?;
    let decode = |half: &str| {
        let pairs: Vec<(String, String)> =
            serde_urlencoded::from_str(&format!("half={half}")).ok()?;
        let [(_, decoded)] = <[_; 1]>::try_from(pairs).ok()?;
        Some(decoded)
    };
    Some((decode(id)?, decode(secret)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: &str = "application/x-www-form-urlencoded";
    const JSON: &str = "application/json";

    #[test]
    fn decisions() {
        let good = "grant_type=client_credentials&client_id=demo-client\
                    &client_secret=demo-secret&audience=https%3A%2F%2Fapi.example.com";
        let good_json = r#"{"grant_type": "client_credentials", "client_id": "demo-client",
            "client_secret": "demo-secret", "audience": "https://api.example.com"}"#;
        type Expected = Result<&'static [&'static str], &'static str>;
        let cases: &[(&str, String, Expected)] = &[
            (FORM, good.into(), Ok(&[])),
            (JSON, good_json.into(), Ok(&[])),
            (FORM, format!("{good}&scope="), Ok(&[])),
            (
                FORM,
                format!("{good}&scope=read:messages"),
                Ok(&["read:messages"]),
            ),
            (
                FORM,
                format!("{good}&scope=write:messages+read:messages"),
                Ok(&["write:messages", "read:messages"]),
            ),
            (
                FORM,
                format!("{good}&scope=read:messages+admin"),
                Err("invalid_scope"),
            ),
            (
                FORM,
                format!("{good}&client_id=demo-client"),
                Err("invalid_request"),
            ),
            (
                FORM,
                good.replace("client_credentials", "password"),
                Err("unsupported_grant_type"),
            ),
            (
                FORM,
                good.replace("demo-secret", "guess"),
                Err("invalid_client"),
            ),
            (
                FORM,
                good.replace("demo-client", "other"),
                Err("invalid_client"),
            ),
            (
                FORM,
                good.replace("api.example", "api2.example"),
                Err("access_denied"),
            ),
            (
                FORM,
                good.replace("&audience", "&nothing"),
                Err("invalid_request"),
            ),
            (
                FORM,
                good.replace("&client_secret", "&nothing"),
                Err("invalid_request"),
            ),
            (
                FORM,
                good.replace("grant_type", "nothing"),
                Err("invalid_request"),
            ),
            (JSON, good.into(), Err("invalid_request")),
            ("text/plain", good.into(), Err("invalid_request")),
        ];
        for (content_type, body, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, content_type.parse().unwrap());
            let decision = decide(&[Client::demo()], &headers, &Bytes::from(body.clone()));
            let got = decision.map(|grant| grant.scopes).map_err(|e| e.error);
            let expected = expected.map(|scopes| scopes.iter().map(|s| (*s).to_owned()).collect());
            assert_eq!(got, expected, "{content_type}: {body}");
        }
    }

    #[test]
    fn basic_authentication_in_place_of_the_two_parameters() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, FORM.parse().unwrap());
        let credentials = STANDARD.encode("demo%2Dclient:demo-secret");
        let value = format!("Basic {credentials}").parse().unwrap();
        headers.insert(header::AUTHORIZATION, value);
        let body = Bytes::from("grant_type=client_credentials&audience=https://api.example.com");
        assert!(decide(&[Client::demo()], &headers, &body).is_ok());
    }
}
