//! Sign-in as it is written. Names are those of Envoy's `oauth2` filter (`OAuth2Config`, v3 API)
//! where it has the field.
//!
//! Invariant: what the `oauth2` filter has and this one cannot do is here as [`Unsupported`], so
//! that it is refused by name.

use super::duration::Span;
use super::error::ConfigError;
use super::tree::Tree;
use super::value::{Anything, Entries, FromTree, Given, Unsupported, Whole, objects, words};

objects! {
    /// Addition: people in browsers sign in with an OpenID provider, and the filter keeps their
    /// session in a sealed cookie.
    #[cfg_attr(feature = "schema", schemars(extend("required" = ["allowed_redirect_domains", "schemes"])))]
    pub struct RawSignIn: "an object with allowed_redirect_domains and schemes" {
        /// Secrets of 32 bytes at least, with which sessions are sealed. The first one seals, and
        /// each of them opens: put a new one first, and take the old one away when its sessions are
        /// over. Without any, a random one is drawn at each start, and a restart ends every session.
        pub cookie_keys: Given<Vec<RawSecret>>,
        /// Hosts that a browser may be sent back to after sign-in and sign-out, each with its port
        /// where that is not the usual one; `*.example.com` is every name below it. Pages are
        /// https, on localhost http. A request with another host is never sent to a
        /// provider.
        pub allowed_redirect_domains: Given<Vec<String>>,
        /// Ways to sign in, by names of your choice: 1 to 32 letters, digits, `-` and `_`. A
        /// requirement's `session` refers to them.
        pub schemes: Given<Entries<RawScheme>>,
    }

    /// Addition: a secret: `core.v3.DataSource` in Envoy. Exactly one of `environment_variable`
    /// and `inline_string` is required; a Wasm filter cannot read files, so `filename` is refused.
    pub struct RawSecret: "an object with environment_variable", HIDES_NAMES = true {
        /// The variable that has the secret. Envoy must hand it to the VM, by
        /// `vm_config.environment_variables.host_env_keys`.
        pub environment_variable: Given<String>,
        /// The secret itself. Who can read Envoy's configuration dump can read it.
        pub inline_string: Given<String>,
        #[cfg_attr(feature = "schema", schemars(with = "Unsupported"))]
        pub filename: Given<Anything>,

        inline_bytes: Unsupported,
        name: Unsupported,
        sds_config: Unsupported,
        watched_directory: Unsupported,
    }

    /// Addition: one way to sign in: a client that is registered with a provider.
    #[cfg_attr(feature = "schema", schemars(extend("required" = ["provider_name", "credentials", "token_endpoint"])))]
    pub struct RawScheme: "a scheme, an object" {
        /// A provider of `providers` with an `issuer`. Its keys verify the ID tokens, and what it
        /// says of outputs and of claims holds for sessions as for tokens.
        pub provider_name: Given<String>,
        /// What people read of it where they choose between schemes. By default its name.
        pub display_name: Given<String>,
        /// The client as the provider knows it.
        pub credentials: Given<RawCredentials>,
        /// How the client proves to the provider who it is: `BASIC_AUTH` and `URL_ENCODED_BODY`
        /// with `token_secret`; `PRIVATE_KEY_JWT` with `private_key`; `TLS_CLIENT_AUTH` by the
        /// client certificate of the cluster; `INJECTED` by what Envoy adds to calls of the cluster,
        /// as its credential injector does; `NONE` for a public client.
        pub auth_type: Given<RawAuthType> = "BASIC_AUTH",
        /// Where browsers are sent to sign in, https. Required where the provider has no
        /// `openid_discovery`; with it, by default what the provider's metadata say.
        pub authorization_endpoint: Given<String>,
        /// Where the filter asks for tokens.
        pub token_endpoint: Given<RawEndpoint>,
        /// Where the filter revokes the tokens of a session that ends (RFC 7009). By default what
        /// the provider's metadata say, by the cluster of `token_endpoint`.
        pub revocation_endpoint: Given<RawEndpoint>,
        /// Where the filter tells the provider of an authorization request before a browser is sent
        /// there (RFC 9126), so that the browser brings only a reference. Without it this happens
        /// where the provider's metadata require it, at their endpoint by the cluster of
        /// `token_endpoint`.
        pub pushed_authorization_request_endpoint: Given<RawEndpoint>,
        /// Where browsers are sent to sign out, https. By default what the provider's metadata say.
        pub end_session_endpoint: Given<String>,
        /// The parameters of the sign-out at the provider, in place of those of OpenID Connect: for
        /// providers with their own, as Cognito's `client_id` and `logout_uri`.
        pub end_session_params: Given<Entries<String>>,
        /// Where the provider sends browsers back, as it is registered: a URL without query, https
        /// or on localhost, whose host is in `allowed_redirect_domains`. Exactly one of
        /// `redirect_uri` and `callback_path` is required.
        pub redirect_uri: Given<String>,
        /// The same by its path alone. The host is that of the request.
        pub callback_path: Given<String>,
        /// A path that begins a sign-in, for links. Every path of the filter's own, over all
        /// schemes, must be another one.
        pub signin_path: Given<String>,
        /// A path that begins a sign-up.
        pub signup_path: Given<String>,
        /// A path that ends the session, here and at the provider.
        pub signout_path: Given<String>,
        /// A path where the provider tells of sessions that ended (OpenID Connect Back-Channel
        /// Logout).
        /// Envoy's plugin configuration must have `allow_on_headers_stop_iteration: true` then.
        pub backchannel_logout_path: Given<String>,
        /// A path that the provider's page of sign-out shows in a frame, with `iss` and `sid` (OpenID
        /// Connect Front-Channel Logout).
        pub frontchannel_logout_path: Given<String>,
        /// A path where scripts find the session's claims and its end, as JSON.
        pub session_path: Given<String>,
        /// Where a browser goes after it has signed out.
        pub post_logout_redirect_path: Given<String> = "/",
        /// Where a browser goes when a sign-in fails, with `?error=` and the reason. Without it
        /// the filter shows a plain page.
        pub error_redirect_path: Given<String>,
        /// The scopes that are asked for; `openid` must be one.
        pub auth_scopes: Given<Vec<String>> = ["openid", "profile", "email"],
        /// The resources that the access token is for: absolute URIs without fragment (RFC 8707).
        pub resources: Given<Vec<String>>,
        /// Always `code`. The implicit flow is refused: OAuth 2.1 has left it out.
        pub response_type: Given<String> = "code",
        /// Further parameters of the authorization request, as `ui_locales`, or Auth0's `audience`.
        /// Those that the filter itself sets are refused.
        pub authorization_params: Given<Entries<String>>,
        /// Parameters of the authorization request of a sign-up, by default `prompt: create`.
        pub signup_params: Given<Entries<String>>,
        /// Whether a session keeps the refresh token, and is refreshed before its tokens expire. Many
        /// providers give one only for a scope such as `offline_access`.
        pub use_refresh_token: Given<bool> = false,
        /// How long a session lives, and what it keeps.
        pub session: Given<RawSession>,
        /// The cookie that the session is in.
        pub cookie: Given<RawCookie>,
        /// Whether the session keeps the access token, and the upstream gets it in `Authorization`.
        pub forward_bearer_token: Given<bool> = false,
        /// A header in which the upstream gets the ID token, which the session keeps for it.
        pub forward_id_token_header: Given<String>,

        redirect_path_matcher: Unsupported,
        pass_through_matcher: Unsupported,
        deny_redirect_matcher: Unsupported,
        allow_failed_matcher: Unsupported,
        preserve_authorization_header: Unsupported,
        default_expires_in: Unsupported,
        default_refresh_token_expires_in: Unsupported,
        csrf_token_expires_in: Unsupported,
        code_verifier_token_expires_in: Unsupported,
        disable_id_token_set_cookie: Unsupported,
        disable_access_token_set_cookie: Unsupported,
        disable_refresh_token_set_cookie: Unsupported,
        disable_token_encryption: Unsupported,
        cookie_configs: Unsupported,
        retry_policy: Unsupported,
        stat_prefix: Unsupported,
    }

    /// Addition: a client: `OAuth2Credentials` in Envoy.
    #[cfg_attr(feature = "schema", schemars(extend("required" = ["client_id"])))]
    pub struct RawCredentials: "an object with client_id" {
        /// The client's identifier.
        pub client_id: Given<String>,
        /// The client's secret, for `BASIC_AUTH` and `URL_ENCODED_BODY`.
        pub token_secret: Given<RawSecret>,
        /// The client's private key, for `PRIVATE_KEY_JWT`: PKCS#8, of RSA with 2048 bits or more
        /// (it signs by RS256) or of P-256 (ES256), as PEM or in base64. Envoy signs: 1.37 and later can.
        pub private_key: Given<RawSecret>,
        /// `kid` in what the key signs, for providers that know several keys of a client.
        pub key_id: Given<String>,
        /// The SHA-1 (`x5t`) or SHA-256 (`x5t#S256`) of the key's certificate, as hexadecimal digits,
        /// for providers that know the client by a certificate.
        pub certificate_thumbprint: Given<String>,
        /// Whom the assertion is for, in `aud`: by default `ISSUER`, the provider by its identifier,
        /// or `ENDPOINT`, the address that is called, for providers that want that, as Okta and
        /// Entra ID. With `ENDPOINT` use the key at one provider alone.
        pub assertion_audience: Given<RawAudience>,

        hmac_secret: Unsupported,
        cookie_names: Unsupported,
        cookie_domain: Unsupported,
    }

    /// Addition: an endpoint that the filter calls: `core.v3.HttpUri` in Envoy, with an address
    /// that may be left out.
    #[cfg_attr(feature = "schema", schemars(extend("required" = ["cluster", "timeout"])))]
    pub struct RawEndpoint: "an object with cluster and timeout" {
        /// The address, http or https. Required where the provider has no `openid_discovery`; with
        /// it, by default what the provider's metadata say.
        pub uri: Given<String>,
        /// The cluster where the call goes.
        pub cluster: Given<String>,
        /// The time for the call; 49 days at most.
        pub timeout: Given<Span>,
    }

    /// Addition: how long a session lives, and what it keeps.
    pub struct RawSession: "an object" {
        /// A session ends after this time without a request; not above `max_duration`. Without it
        /// the session ends with the ID token, unless a refresh brings a new one.
        pub idle_timeout: Given<Span>,
        /// A session ends this long after the sign-in, whatever happens. A change to a longer time is
        /// for later sign-ins, one to a shorter time for all.
        pub max_duration: Given<Span> = "28800s",
        /// Whether the cookie outlives the browser.
        pub persistent: Given<bool> = false,
        /// The claims of the ID token that the session keeps, each by its name, or as `{claim:
        /// name}` by another one. Without it, all.
        pub claims: Given<Vec<RawKeptClaim>>,
        /// Where a session's claims and tokens are. `COOKIE`: in the cookie. `SHARED_STORE`: in
        /// `shared_store`, and the cookie has a ticket, see [The shared
        /// store](shared-store.md#sessions-in-the-store).
        pub store: Given<RawSessionStore> = "COOKIE",
    }

    /// Addition: the cookie that a session is in.
    pub struct RawCookie: "an object" {
        /// When browsers send the cookie with requests from other sites: `LAX`: with navigations,
        /// `STRICT`: never, `NONE`: always.
        pub same_site: Given<RawSameSite> = "LAX",
        /// A domain whose hosts share the cookie. Without it the cookie is for one host alone, and
        /// no other host can set it.
        pub domain: Given<String>,
        /// The longest session, in bytes of cookies: 4096 to 40960. Envoy refuses requests with
        /// more than 60 KiB of headers, unless `max_request_headers_kb` says otherwise.
        pub max_bytes: Given<Whole> = 12288,
    }
}

/// How a client proves who it is: `OAuth2Config.AuthType` in Envoy, and more.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename_all = "SCREAMING_SNAKE_CASE"))]
pub(crate) enum RawAuthType {
    BasicAuth,
    UrlEncodedBody,
    PrivateKeyJwt,
    TlsClientAuth,
    Injected,
    None,
}

/// Whom an assertion of the client is for.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename_all = "SCREAMING_SNAKE_CASE"))]
pub(crate) enum RawAudience {
    Issuer,
    Endpoint,
}

/// `CookieConfig.SameSite` in Envoy.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename_all = "SCREAMING_SNAKE_CASE"))]
pub(crate) enum RawSameSite {
    Lax,
    Strict,
    None,
}

/// Where a session's claims and tokens are.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename_all = "SCREAMING_SNAKE_CASE"))]
pub(crate) enum RawSessionStore {
    Cookie,
    SharedStore,
}

/// What somebody gets who has not signed in, where a rule takes a session.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename_all = "lowercase"))]
pub(crate) enum RawUnauthenticated {
    Auto,
    Redirect,
    Unauthorized,
}

words! {
    RawAuthType {
        "BASIC_AUTH" => BasicAuth,
        "URL_ENCODED_BODY" => UrlEncodedBody,
        "PRIVATE_KEY_JWT" => PrivateKeyJwt,
        "TLS_CLIENT_AUTH" => TlsClientAuth,
        "INJECTED" => Injected,
        "NONE" => None,
    }
    RawAudience { "ISSUER" => Issuer, "ENDPOINT" => Endpoint, }
    RawSessionStore { "COOKIE" => Cookie, "SHARED_STORE" => SharedStore, }
    RawSameSite { "LAX" => Lax, "STRICT" => Strict, "NONE" => None, }
    RawUnauthenticated { "auto" => Auto, "redirect" => Redirect, "unauthorized" => Unauthorized, }
}

/// A claim that a session keeps: `sub`, or `{groups: roles}`.
pub(crate) struct RawKeptClaim {
    /// The claim's name in the ID token.
    pub claim: String,
    /// Its name in the session, where that is another one.
    pub name: Option<String>,
}

impl FromTree for RawKeptClaim {
    fn from_tree(tree: Tree) -> Result<Self, ConfigError> {
        const EXPECTED: &str = "a claim's name, or {claim: name} with one claim";
        if let Tree::Text(claim) = tree {
            return Ok(Self { claim, name: None });
        }
        let Entries(entries) = match &tree {
            Tree::Object(members) if members.len() == 1 => Entries::<String>::from_tree(tree)?,
            _ => return Err(tree.unlike(EXPECTED)),
        };
        let mut entries = entries.into_iter();
        match entries.next() {
            Some((claim, name)) => Ok(Self {
                claim,
                name: Some(name),
            }),
            None => Err(ConfigError::here(EXPECTED)),
        }
    }
}
