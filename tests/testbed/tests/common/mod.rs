//! A client of the OpenID provider, which walks its flow step by step.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bearer_gate_testbed::http::{Client, Reply, send};
use bearer_gate_testbed::idp::Idp;
use bearer_gate_testbed::idp::openid::{Endpoint, RelyingParty};
use bearer_gate_testbed::token::base64url;
use bearer_gate_testbed::visitor::{Visitor, parameters};
use reqwest::Method;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Where nobody listens: the tests read the redirect.
pub(crate) const CALLBACK: &str = "https://app.example/callback";
/// What Alice types.
pub(crate) const ALICE: [(&str, &str); 2] = [("username", "alice"), ("password", "wonderland")];

/// `id:secret` of the client that [`Flow::new`] registers.
pub(crate) fn basic() -> String {
    "web:secret".to_owned()
}

/// The first parameter of this name in a URL; empty if there is none.
pub(crate) fn parameter(url: &str, name: &str) -> String {
    let all = parameters(url);
    let found = all.into_iter().find(|(known, _)| known == name);
    found.map(|(_, value)| value).unwrap_or_default()
}

/// A client's part.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    pub authorize: String,
    pub base: String,
    pub client_id: String,
    pub redirect_uri: String,
    pub verifier: String,
}

impl Flow {
    /// Of a confidential client `web`, which is registered with a page to return to after signing
    /// out.
    pub(crate) fn new(idp: &Idp) -> Self {
        let party = RelyingParty::confidential("web", "secret", CALLBACK)
            .post_logout_redirect_uri("https://app.example/");
        idp.openid().register(party);
        Self::of(idp, "web")
    }

    /// Of a client; beside it, `web` is registered if it is not.
    pub(crate) fn of(idp: &Idp, client_id: &str) -> Self {
        if client_id == "web" {
            idp.openid().register(
                RelyingParty::confidential("web", "secret", CALLBACK)
                    .post_logout_redirect_uri("https://app.example/"),
            );
        }
        Self {
            authorize: idp.openid().browser_url(Endpoint::Authorize),
            base: idp.url(),
            client_id: client_id.to_owned(),
            redirect_uri: CALLBACK.to_owned(),
            verifier: "a verifier of the characters that PKCE allows".replace(' ', "-"),
        }
    }

    /// The authorization request, with these parameters in place of its own.
    pub(crate) fn authorize(&self, changes: &[(&str, &str)]) -> String {
        let challenge = base64url(Sha256::digest(&self.verifier));
        let mut query = vec![
            ("response_type", "code"),
            ("client_id", &self.client_id),
            ("redirect_uri", &self.redirect_uri),
            ("scope", "openid profile email"),
            ("state", "the state"),
            ("nonce", "the nonce"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        query.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
        query.extend(changes);
        let query = serde_urlencoded::to_string(query).unwrap();
        format!("{}?{query}", self.authorize)
    }

    /// A code for Alice.
    pub(crate) async fn code(&self, visitor: &mut Visitor) -> String {
        let url = self.authorize(&[("prompt", "login")]);
        let back = visitor.sign_in(&url, ALICE[0].1, ALICE[1].1).await;
        parameter(back.header("location").expect("a redirect"), "code")
    }

    /// Alice's tokens.
    pub(crate) async fn tokens(&self, visitor: &mut Visitor) -> Value {
        let code = self.code(visitor).await;
        self.redeem(&code, &basic()).await.json()
    }

    /// A token request for a code, with `id:secret`.
    pub(crate) async fn redeem(&self, code: &str, credentials: &str) -> Reply {
        self.redeem_as(code, Some(credentials), &[]).await
    }

    /// A token request for a code, with `id:secret` or with more fields.
    pub(crate) async fn redeem_as(
        &self,
        code: &str,
        credentials: Option<&str>,
        more: &[(&str, &str)],
    ) -> Reply {
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.redirect_uri),
            ("code_verifier", &self.verifier),
        ];
        fields.extend(more);
        self.ask_as(Endpoint::Token, credentials, &fields).await
    }

    /// A request of the client `web`.
    pub(crate) async fn ask(&self, endpoint: Endpoint, fields: &[(&str, &str)]) -> Reply {
        self.ask_as(endpoint, Some(&basic()), fields).await
    }

    /// A request with `id:secret`, or without.
    pub(crate) async fn ask_as(
        &self,
        endpoint: Endpoint,
        credentials: Option<&str>,
        fields: &[(&str, &str)],
    ) -> Reply {
        let url = format!("{}{}", self.base, endpoint.path());
        let mut request = Client::new()
            .request(Method::POST, &url)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(serde_urlencoded::to_string(fields).unwrap());
        if let Some(credentials) = credentials {
            let basic = format!("Basic {}", STANDARD.encode(credentials));
            request = request.header("authorization", basic);
        }
        send(request).await
    }
}
