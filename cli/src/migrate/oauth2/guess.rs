//! What the addresses of the `oauth2` filter tell.
//!
//! Invariant: an issuer that is guessed is on the host that people were sent to before, or it is
//! the one issuer of a well-known provider. A wrong guess lets nobody in: no ID token has it.

use bearer_gate::http::uri::{Scheme, Uri};

/// The issuer of a provider whose authorization endpoint is here.
pub(super) fn issuer(authorization_endpoint: &str) -> Option<String> {
    const KEYCLOAK: &str = "/protocol/openid-connect/auth";
    let uri = Uri::parse(authorization_endpoint).ok()?;
    if uri.scheme != Scheme::Https {
        return None;
    }
    let path = uri.path.split('?').next().unwrap_or_default();
    let origin = format!("https://{}", uri.authority);
    let host = uri.authority.as_str();
    if let Some(realm) = path.strip_suffix(KEYCLOAK) {
        return Some(format!("{origin}{realm}"));
    }
    if host == "accounts.google.com" {
        return Some(origin);
    }
    if host == "login.microsoftonline.com" {
        let tenant = path
            .strip_prefix('/')?
            .strip_suffix("/oauth2/v2.0/authorize")?;
        let is_one = !matches!(tenant, "common" | "organizations" | "consumers");
        return is_one.then(|| format!("{origin}/{tenant}/v2.0"));
    }
    if host.ends_with(".okta.com") || host.ends_with(".oktapreview.com") {
        let server = path.strip_suffix("/v1/authorize")?;
        return match server {
            "/oauth2" => Some(origin),
            server => Some(format!("{origin}{server}")),
        };
    }
    let is_auth0 = host.ends_with(".auth0.com") && path == "/authorize";
    is_auth0.then(|| format!("{origin}/"))
}

/// Where browsers come back to.
pub(super) enum Redirect {
    /// A URL, with its host as `allowed_redirect_domains` has it.
    Whole { host: String, path: String },
    /// A path of the host that the request is for.
    OfRequest { path: String },
}

/// Reads a URL that may have commands of Envoy's formatter for its scheme and its host.
pub(super) fn redirect(text: &str) -> Option<Redirect> {
    if !text.contains('%') {
        let uri = Uri::parse(text).ok()?;
        return Some(Redirect::Whole {
            host: uri.authority,
            path: uri.path,
        });
    }
    let (scheme, rest) = text.split_once("://")?;
    let is_scheme = matches!(
        scheme.to_ascii_lowercase().as_str(),
        "https" | "%req(x-forwarded-proto)%" | "%req(:scheme)%" | "%scheme%"
    );
    let hosts = ["%req(:authority)%", "%req(host)%"];
    let lower = rest.to_ascii_lowercase();
    let host = hosts.into_iter().find(|host| lower.starts_with(host))?;
    let path = rest.get(host.len()..)?;
    let is_plain = path.starts_with('/') && !path.contains(['%', '?', '#']);
    (is_scheme && is_plain).then(|| Redirect::OfRequest {
        path: path.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issuers_by_their_authorization_endpoints() {
        let table = [
            (
                "https://kc.example/realms/a/protocol/openid-connect/auth",
                Some("https://kc.example/realms/a"),
            ),
            (
                "https://t.eu.auth0.com/authorize?audience=x",
                Some("https://t.eu.auth0.com/"),
            ),
            (
                "https://o.okta.com/oauth2/default/v1/authorize",
                Some("https://o.okta.com/oauth2/default"),
            ),
            (
                "https://o.okta.com/oauth2/v1/authorize",
                Some("https://o.okta.com"),
            ),
            (
                "https://accounts.google.com/o/oauth2/v2/auth",
                Some("https://accounts.google.com"),
            ),
            (
                "https://login.microsoftonline.com/1-2/oauth2/v2.0/authorize",
                Some("https://login.microsoftonline.com/1-2/v2.0"),
            ),
            (
                "https://login.microsoftonline.com/common/oauth2/v2.0/authorize",
                None,
            ),
            ("https://github.com/login/oauth/authorize", None),
            ("http://t.auth0.com/authorize", None),
            ("https://auth0.com.example/authorize", None),
            ("x", None),
        ];
        for (endpoint, expected) in table {
            assert_eq!(issuer(endpoint).as_deref(), expected, "{endpoint}");
        }
    }

    #[test]
    fn where_browsers_come_back_to() {
        let table = [
            ("https://App.example/cb", "app.example /cb"),
            ("https://app.example:8443/cb", "app.example:8443 /cb"),
            ("%REQ(x-forwarded-proto)%://%REQ(:authority)%/cb", "* /cb"),
            ("https://%REQ(:authority)%/cb", "* /cb"),
            ("https://%REQ(:authority)%/cb?x", "none"),
            ("https://%REQ(x-forwarded-host)%/cb", "none"),
            ("http://%REQ(:authority)%/cb", "none"),
            ("https://a%REQ(:authority)%/cb", "none"),
            ("/cb", "none"),
        ];
        for (text, expected) in table {
            let found = match redirect(text) {
                Some(Redirect::Whole { host, path }) => format!("{host} {path}"),
                Some(Redirect::OfRequest { path }) => format!("* {path}"),
                None => "none".to_owned(),
            };
            assert_eq!(found, expected, "{text}");
        }
    }
}
