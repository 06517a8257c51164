//! What the OpenID provider was asked.

use axum::http::HeaderMap;
use axum::http::header;

/// An endpoint of the OpenID provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// The authorization endpoint.
    Authorize,
    /// Where the pages of the authorization endpoint send their forms.
    Form,
    /// The token endpoint, for codes and refresh tokens; [`super::super::Idp::token_requests`]
    /// counts client credentials too.
    Token,
    /// The UserInfo endpoint.
    UserInfo,
    /// Revocation (RFC 7009).
    Revocation,
    /// Introspection (RFC 7662).
    Introspection,
    /// Pushed authorization requests (RFC 9126).
    PushedAuthorization,
    /// RP-initiated logout.
    EndSession,
}

impl Endpoint {
    /// Every one.
    pub const ALL: [Self; 8] = [
        Self::Authorize,
        Self::Form,
        Self::Token,
        Self::UserInfo,
        Self::Revocation,
        Self::Introspection,
        Self::PushedAuthorization,
        Self::EndSession,
    ];

    /// Its path.
    pub fn path(self) -> &'static str {
        match self {
            Self::Authorize => "/authorize",
            Self::Form => "/authorize/form",
            Self::Token => "/oauth/token",
            Self::UserInfo => "/userinfo",
            Self::Revocation => "/oauth/revoke",
            Self::Introspection => "/oauth/introspect",
            Self::PushedAuthorization => "/oauth/par",
            Self::EndSession => "/oidc/logout",
        }
    }
}

/// A request to the OpenID provider.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Which of its endpoints.
    pub endpoint: Endpoint,
    /// The method.
    pub method: String,
    /// The parameters of the query, in order.
    pub query: Vec<(String, String)>,
    /// The parameters of the body, in order, if it is a form.
    pub form: Vec<(String, String)>,
    /// The headers.
    pub headers: HeaderMap,
}

impl Seen {
    pub(super) fn new(
        endpoint: Endpoint,
        method: &str,
        query: Option<&str>,
        headers: HeaderMap,
        body: &[u8],
    ) -> Self {
        let is_form = headers.get(header::CONTENT_TYPE).is_some_and(|value| {
            let form = b"application/x-www-form-urlencoded";
            value.as_bytes().starts_with(form)
        });
        let form = if is_form {
            serde_urlencoded::from_bytes(body).unwrap_or_default()
        } else {
            Vec::new()
        };
        Self {
            endpoint,
            method: method.to_owned(),
            query: serde_urlencoded::from_str(query.unwrap_or_default()).unwrap_or_default(),
            form,
            headers,
        }
    }

    /// The first parameter of this name, in the body or in the query.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let all = self.form.iter().chain(&self.query);
        let mut found = all.filter(|(known, _)| known == name);
        found.next().map(|(_, value)| value.as_str())
    }

    /// The first value of a header, if it is a text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The value of a cookie.
    pub(super) fn cookie(&self, name: &str) -> Option<&str> {
        let lines = self.headers.get_all(header::COOKIE).into_iter();
        lines
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split("; "))
            .filter_map(|pair| pair.split_once('='))
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }

    /// A parameter that is there twice (RFC 6749 s3.1).
    pub(super) fn repeated(&self) -> bool {
        [&self.query, &self.form].iter().any(|parameters| {
            let mut names: Vec<&str> = parameters.iter().map(|(name, _)| name.as_str()).collect();
            names.sort_unstable();
            // RFC 8707 s2: `resource` may be repeated; this provider takes one.
            names.windows(2).any(|pair| pair[0] == pair[1])
        })
    }
}
