//! Who takes part: the people who sign in, and the relying parties that have them do it.

use serde_json::Value;

/// Somebody who can sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// `sub`
    pub sub: String,
    /// What is typed, and `preferred_username`.
    pub username: String,
    /// What is typed.
    pub password: String,
    /// `name`
    pub name: String,
    /// `email`
    pub email: String,
}

impl Person {
    /// Somebody whose texts are made of a username.
    pub fn named(username: &str, name: &str, password: &str) -> Self {
        Self {
            sub: format!("user|{username}"),
            username: username.to_owned(),
            password: password.to_owned(),
            name: name.to_owned(),
            email: format!("{username}@example.com"),
        }
    }

    /// Alice and Bob, whom the login page introduces.
    pub fn demo() -> Vec<Self> {
        vec![
            Self::named("alice", "Alice Liddell", "wonderland"),
            Self::named("bob", "Bob Harris", "tokyo"),
        ]
    }
}

/// How a relying party proves who it is at the token endpoint (OpenID Connect Core s9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// `client_secret_basic` or `client_secret_post`.
    Secret(String),
    /// `private_key_jwt`, by this public JWK, with RS256 or ES256.
    PrivateKeyJwt(Value),
    /// `none`: a public client, with PKCE alone.
    Public,
}

/// A client whose users sign in here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelyingParty {
    /// `client_id`
    pub client_id: String,
    /// How it authenticates itself.
    pub auth: ClientAuth,
    /// Compared as strings, without any leniency.
    pub redirect_uris: Vec<String>,
    /// Where the browser may be sent after signing out.
    pub post_logout_redirect_uris: Vec<String>,
    /// Where logout tokens are posted to.
    pub backchannel_logout_uri: Option<String>,
    /// What the page of a sign-out has in a frame.
    pub frontchannel_logout_uri: Option<String>,
    /// The resources that it may ask access tokens for (RFC 8707); the first by default.
    pub resources: Vec<String>,
    /// Whether a person is asked, after the password, to allow it.
    pub asks_consent: bool,
}

impl RelyingParty {
    /// With a secret, and an API of its own.
    pub fn confidential(client_id: &str, secret: &str, redirect_uri: &str) -> Self {
        Self {
            client_id: client_id.to_owned(),
            auth: ClientAuth::Secret(secret.to_owned()),
            redirect_uris: vec![redirect_uri.to_owned()],
            post_logout_redirect_uris: Vec::new(),
            backchannel_logout_uri: None,
            frontchannel_logout_uri: None,
            resources: vec!["https://api.example.com".to_owned()],
            asks_consent: false,
        }
    }

    /// Without a secret.
    pub fn public(client_id: &str, redirect_uri: &str) -> Self {
        Self {
            auth: ClientAuth::Public,
            ..Self::confidential(client_id, "", redirect_uri)
        }
    }

    /// With a private key.
    pub fn with_key(client_id: &str, public_jwk: Value, redirect_uri: &str) -> Self {
        Self {
            auth: ClientAuth::PrivateKeyJwt(public_jwk),
            ..Self::confidential(client_id, "", redirect_uri)
        }
    }

    /// Where the browser may be sent after signing out.
    #[must_use]
    pub fn post_logout_redirect_uri(mut self, uri: &str) -> Self {
        self.post_logout_redirect_uris.push(uri.to_owned());
        self
    }

    /// Where logout tokens are posted to.
    #[must_use]
    pub fn backchannel_logout_uri(mut self, uri: &str) -> Self {
        self.backchannel_logout_uri = Some(uri.to_owned());
        self
    }

    /// What the page of a sign-out has in a frame, with `iss` and `sid`.
    #[must_use]
    pub fn frontchannel_logout_uri(mut self, uri: &str) -> Self {
        self.frontchannel_logout_uri = Some(uri.to_owned());
        self
    }

    /// A person is asked to allow it.
    #[must_use]
    pub fn asking_consent(mut self) -> Self {
        self.asks_consent = true;
        self
    }
}
