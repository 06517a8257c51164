//! How people sign in with OpenID providers: every default filled in and every choice valid.
//!
//! Invariant: a secret is never shown, and the filter's own paths are distinct.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use super::id::{Id, PerId, ProviderId};
use crate::http::uri::Uri;
use crate::jose::jwt::Expectations;
use crate::session::cookie::Cookie;
use crate::session::seal::Keyring;
use crate::session::site::Sites;
use crate::signature::assertion::Assertion;

pub use crate::session::cookie::SameSite;

/// A scheme of a [`Config`](super::Config), for that configuration and what was made from it.
pub type SchemeId = Id<Schemes>;
/// A value for each scheme of a configuration, in the order written.
pub type PerScheme<T> = PerId<Schemes, T>;

/// The kind of ids that name schemes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Schemes {}

/// Sign-in in browsers.
#[derive(Clone, Debug)]
pub struct SignIn {
    /// The secrets that seal sessions, of at least 32 octets each. The first one seals, and each
    /// one opens. Where there is none, a key must be drawn at the start.
    pub cookie_keys: Vec<Secret>,
    /// The keys that are derived from these secrets, where there is one.
    pub keyring: Option<Keyring>,
    /// The sites that a browser may be sent back to (`allowed_redirect_domains`).
    pub sites: Sites,
    /// In the order written. Each scheme has its own name, and there is at least one.
    pub schemes: PerScheme<Scheme>,
}

/// One way to sign in.
#[derive(Clone, Debug)]
pub struct Scheme {
    /// The name that requirements refer to: letters, digits, `-` and `_`.
    pub name: String,
    /// What its sealed values are bound to, see [`crate::session::seal::scope`].
    pub scope: String,
    /// The name that people read.
    pub display_name: String,
    /// The provider of these people. It has an issuer and an asymmetric algorithm.
    pub provider: ProviderId,
    /// What an ID token must be like. The client is its audience.
    pub id_token: Expectations,
    /// What a logout token must be like.
    pub logout_token: Expectations,
    /// How the provider knows the filter.
    pub client: Client,
    /// Where browsers are sent, and where calls go.
    pub endpoints: Endpoints,
    /// The callback's whole URL, where it is given. If it is not, the request gives the host.
    pub redirect_uri: Option<String>,
    /// The paths that the filter answers itself, in normal form. The callback's path is the first.
    pub paths: Vec<(OwnPath, String)>,
    /// Where a browser goes after it has signed out: a path in normal form.
    pub post_logout_redirect_path: String,
    /// Where a browser goes when a sign-in fails, if that is not a page of the filter's own: a
    /// path in normal form.
    pub error_redirect_path: Option<String>,
    /// What the authorization request has in addition to the parameters of the protocol.
    pub authorization: Authorization,
    /// Whether a session keeps the refresh token, and uses it.
    pub use_refresh_token: bool,
    /// When a session ends, and which claims it keeps.
    pub session: SessionRules,
    /// The attributes and the size of the session's cookies.
    pub cookie: CookieRules,
    /// The cookies of its sessions.
    pub session_cookie: Cookie,
    /// The cookie that tells browsers apart while they sign in.
    pub browser_cookie: Cookie,
    /// Whether a session keeps the access token, and the upstream gets it in `Authorization`.
    pub forward_bearer_token: bool,
    /// The header, in lower case, in which the upstream gets the ID token. A session keeps the ID
    /// token for it.
    pub forward_id_token_header: Option<String>,
}

/// The client, as its provider knows it.
#[derive(Clone, Debug)]
pub struct Client {
    /// `client_id`.
    pub id: String,
    /// How it proves at the token endpoint that it is this client.
    pub authentication: ClientAuthentication,
}

/// How the client proves who it is (RFC 6749 section 2.3).
#[derive(Clone, Debug)]
pub enum ClientAuthentication {
    /// Its id and this secret in `Authorization`.
    BasicAuth(Secret),
    /// Its id and this secret in the body.
    UrlEncodedBody(Secret),
    /// What its private key signs, with its id in the body (RFC 7523 section 2.2).
    PrivateKeyJwt {
        /// What is signed.
        assertion: Rc<Assertion>,
        /// Whether the key is written in the configuration itself.
        is_inline: bool,
    },
    /// Its id in the body; the cluster's certificate proves it (RFC 8705).
    TlsClientAuth,
    /// Envoy adds the proof to the cluster's calls.
    Injected,
    /// Its id in the body, and nothing that proves it: a public client.
    None,
}

/// Where the provider is asked. Where a field is `None`, the provider's metadata say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// For browsers: https, or on this machine.
    pub authorization: Option<Uri>,
    /// For the filter's calls (RFC 6749 section 3.2).
    pub token: Upstream,
    /// By default at the cluster of `token`.
    pub revocation: Option<Upstream>,
    /// Where authorization requests are pushed to (RFC 9126). `None`: only where the provider's
    /// metadata require it, at the cluster of `token`.
    pub pushed_authorization: Option<Upstream>,
    /// For browsers: https, or on this machine.
    pub end_session: Option<Uri>,
    /// The parameters of a sign-out at the provider, where they are not those of OpenID Connect
    /// RP-Initiated Logout.
    pub end_session_parameters: Option<Vec<(String, String)>>,
}

/// An endpoint that the filter calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// `None` where the provider's metadata say it.
    pub uri: Option<Uri>,
    /// The Envoy cluster that the call goes to.
    pub cluster: String,
    /// For the whole response, from the time the call is made.
    pub timeout: Duration,
}

/// A path that the filter answers itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnPath {
    /// The provider sends browsers here.
    Callback,
    /// A browser that comes here is sent to the provider to sign in.
    SignIn,
    /// A browser that comes here is sent to the provider to register, with the parameters of a
    /// sign-up.
    SignUp,
    /// A browser that comes here loses its session, and signs out at the provider where that is
    /// possible.
    SignOut,
    /// The provider tells of sessions that ended (OpenID Connect Back-Channel Logout).
    BackchannelLogout,
    /// A page of the provider makes browsers tell of sessions that ended (OpenID Connect
    /// Front-Channel Logout).
    FrontchannelLogout,
    /// What a session says, as JSON.
    Session,
}

/// What the provider is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization {
    /// `openid` is one of them.
    pub scopes: Vec<String>,
    /// RFC 8707.
    pub resources: Vec<String>,
    /// Further parameters. None of them is one that the filter sets itself.
    pub parameters: Vec<(String, String)>,
    /// Parameters of a sign-up. They replace those of the same name, and add to the others.
    pub sign_up_parameters: Vec<(String, String)>,
}

/// How long a session lives, and what it keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRules {
    /// The longest time without a request; not above `max_duration`. `None`: it ends with the ID
    /// token.
    pub idle_timeout: Option<Duration>,
    /// The longest time after the sign-in.
    pub max_duration: Duration,
    /// Whether the cookie outlives the browser.
    pub persistent: bool,
    /// `None`: every claim of the ID token.
    pub claims: Option<Vec<KeptClaim>>,
    /// Where its claims and tokens are.
    pub store: SessionStore,
}

/// Where the claims and the tokens of a session are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SessionStore {
    /// In the cookie, with all the rest.
    #[default]
    Cookie,
    /// In the store that several Envoys share. The cookie has a ticket.
    Shared,
}

impl SessionRules {
    /// The latest end of a session that started at `started`, both in Unix seconds.
    #[must_use]
    pub fn latest(&self, started: u64) -> u64 {
        started.saturating_add(self.max_duration.as_secs())
    }
}

/// A claim that a session keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptClaim {
    /// Its name in the ID token.
    pub claim: String,
    /// Its name in the session.
    pub name: String,
}

/// The cookie of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieRules {
    /// Its attribute `SameSite`.
    pub same_site: SameSite,
    /// In lower case. `None`: the cookie is for one host only.
    pub domain: Option<String>,
    /// The most bytes of cookies for one session.
    pub max_bytes: usize,
}

/// What somebody who has not signed in gets, where a rule accepts a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unauthenticated {
    /// A browser that navigates is redirected; everybody else gets 401.
    #[default]
    Auto,
    /// Every GET and HEAD is redirected; everything else gets 401.
    Redirect,
    /// Everybody gets 401.
    Unauthorized,
}

/// The value of an environment variable by its name; `None` where it is not set.
pub type Environment<'e> = &'e dyn Fn(&str) -> Option<String>;

/// A secret of the operator.
#[derive(Clone)]
pub struct Secret {
    text: String,
    is_inline: bool,
}

impl Secret {
    pub(super) fn new(text: String, is_inline: bool) -> Self {
        Self { text, is_inline }
    }

    /// The secret itself.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it is written in the configuration itself, where more people can read it.
    #[must_use]
    pub fn is_inline(&self) -> bool {
        self.is_inline
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl ClientAuthentication {
    /// The secret, where the client has one that the filter knows.
    #[must_use]
    pub fn secret(&self) -> Option<&Secret> {
        match self {
            Self::BasicAuth(secret) | Self::UrlEncodedBody(secret) => Some(secret),
            Self::PrivateKeyJwt { .. } | Self::TlsClientAuth | Self::Injected | Self::None => None,
        }
    }
}

impl Scheme {
    /// The path of this kind, where there is one.
    #[must_use]
    pub fn path(&self, kind: OwnPath) -> Option<&str> {
        let mut paths = self.paths.iter();
        let (_, path) = paths.find(|(known, _)| *known == kind)?;
        Some(path)
    }
}

impl SignIn {
    /// The longest life that a session of any scheme can have, in seconds: a session from before the
    /// configuration has no longer one.
    #[must_use]
    pub fn longest_session(&self) -> u64 {
        let spans = self.schemes.iter();
        let spans = spans.map(|scheme| scheme.session.max_duration.as_secs());
        spans.max().unwrap_or(u64::MAX)
    }

    /// The scheme whose own path this path in normal form is, and the kind of that path.
    #[must_use]
    pub fn own_path(&self, path: &str) -> Option<(SchemeId, OwnPath)> {
        self.schemes.entries().find_map(|(id, scheme)| {
            let mut paths = scheme.paths.iter();
            let (kind, _) = paths.find(|(_, known)| known == path)?;
            Some((id, *kind))
        })
    }

    /// All the filter's own paths, in normal form.
    #[must_use]
    pub fn own_paths(&self) -> Vec<&str> {
        let paths = self.schemes.iter().flat_map(|scheme| &scheme.paths);
        paths.map(|(_, path)| path.as_str()).collect()
    }

    /// All the filter's own cookies.
    #[must_use]
    pub fn cookies(&self) -> Vec<&Cookie> {
        let mut cookies: Vec<&Cookie> = Vec::new();
        for scheme in &self.schemes {
            for cookie in [&scheme.session_cookie, &scheme.browser_cookie] {
                if !cookies.contains(&cookie) {
                    cookies.push(cookie);
                }
            }
        }
        cookies
    }
}
