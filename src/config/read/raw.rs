//! The configuration as it is written: Envoy's `JwtAuthentication` (jwt_authn, v3 API) and this
//! filter's additions, field by field.
//!
//! Invariant: a name that is not here is refused, and so is a `null` and an array in place of an
//! object: they are slips, and some would open a route (`requires:` with nothing after it). What
//! jwt_authn has and this version cannot do is here as [`Unsupported`], so that it is refused by
//! name rather than ignored.

use super::duration::Span;
use super::error::ConfigError;
use super::raw_rule::{RawAuthorize, RawRequires, RawRule, RawTextMatcher};
use super::raw_sign_in::RawSignIn;
use super::tree::Tree;
use super::value::{
    Anything, Entries, FromTree, Given, OnlyBool, Unsupported, Whole, objects, words,
};

objects! {
    /// The plugin's configuration.
    pub struct RawConfig: "the plugin's configuration, an object" {
        /// Issuers of tokens, by names of your choice: 1 to 128 bytes, no control characters.
        pub providers: Given<Entries<RawProvider>>,
        /// The first rule that matches a request decides. See [Rules](rules.md).
        pub rules: Given<Vec<RawRule>>,
        /// Requirements by name, for `requirement_name` in rules and on routes.
        pub requirement_map: Given<Entries<RawRequires>>,
        /// Addition: demands by name, each like a rule's `authorize`, for `authorize.policies`.
        pub policies: Given<Entries<RawAuthorize>>,
        /// Whether a CORS preflight (OPTIONS with `Origin` and `Access-Control-Request-Method`)
        /// passes without a token.
        pub bypass_cors_preflight: Given<bool> = false,
        /// Addition: a namespace of Envoy's route metadata, see [Requirements of
        /// routes](rules.md#requirements-of-routes).
        pub route_metadata: Given<String>,
        /// Addition: what happens to a request that no rule matches: `deny` (403) or `allow`.
        pub unmatched: Given<RawUnmatched> = "deny",
        /// Addition: the realm of challenges: 1 to 256 printable ASCII characters without `"` and
        /// `\`.
        pub realm: Given<String> = "api",
        /// Addition: how many requests may wait for keys, or for the answer of a provider, at once, per
        /// worker; 65536 at most.
        pub max_waiting: Given<Whole> = 1024,
        /// Addition: form, statuses and bodies of rejections, see [Errors](responses.md#errors).
        pub errors: Given<RawErrors>,
        /// Whether rejections are sent without body and `WWW-Authenticate`. With it `errors` may
        /// change statuses only.
        pub strip_failure_response: Given<bool> = false,
        /// Addition: metadata by which clients find the authorization server, see [Protected
        /// resource](responses.md#protected-resource).
        pub protected_resource: Given<RawProtectedResource>,
        /// Addition: what [access logs](observability.md#access-logs-traces-and-other-filters) can
        /// read of each request: `reason`, `provider`, `issuer`, `subject`; and what nobody has verified of
        /// a token that was [refused](observability.md#who-was-refused): `unverified_issuer`,
        /// `unverified_subject`, `unverified_kid`. Each costs a call of the host per request that has it.
        pub filter_state: Given<Vec<String>>,
        /// Addition: how people in browsers sign in.
        pub sign_in: Given<RawSignIn>,
        /// Addition: a store that several Envoys share, so that a sign-out in one of them holds in all,
        /// see [The shared store](shared-store.md). It needs `sign_in` with `cookie_keys`.
        pub shared_store: Given<RawSharedStore>,

        filter_state_rules: Unsupported,
        stat_prefix: Unsupported,
    }

    /// An issuer of tokens: `JwtProvider` in jwt_authn.
    pub struct RawProvider: "a provider, an object" {
        /// Compared exactly with `iss`. Required, unless `issuers` is there or `any_issuer` is
        /// `true`. With `{tenantid}`, as Entra ID writes it: see
        /// [Tenants](keys.md#tenants-of-entra-id).
        pub issuer: Given<String>,
        /// Addition: in place of `issuer`, several, one of which `iss` must be.
        /// `openid_discovery` asks for the metadata of the first.
        pub issuers: Given<Vec<String>>,
        /// Addition: `true` in place of `issuer`: `iss` is not looked at.
        pub any_issuer: Given<bool> = false,
        /// Addition: in place of `issuer`, a trust domain of SPIFFE, such as `example.org`: tokens are
        /// [JWT-SVIDs](keys.md#workloads-of-spiffe) of its workloads.
        pub trust_domain: Given<String>,
        /// Addition: the ids of the tenants whose tokens pass, UUIDs in lower case. They are for
        /// an `issuer` with `{tenantid}`, which needs them, or `any_tenant`.
        pub tenants: Given<Vec<String>>,
        /// Addition: `true` in place of `tenants`: tokens of every tenant pass.
        pub any_tenant: Given<bool> = false,
        /// One of them must be in `aud`, compared exactly. Required, unless `any_audience` is
        /// `true`.
        pub audiences: Given<Vec<String>>,
        /// Addition: `true` in place of `audiences`: `aud` is not looked at.
        pub any_audience: Given<bool> = false,
        /// Keys from an address: a JWK Set, or a map of kids to certificates or public keys. Exactly one of `remote_jwks`, `local_jwks`, `openid_discovery`
        /// and `aws_alb` is required.
        pub remote_jwks: Given<RawRemoteJwks>,
        /// Keys in the configuration itself.
        pub local_jwks: Given<RawLocalJwks>,
        /// Addition: keys where the issuer's metadata say that they are.
        pub openid_discovery: Given<RawDiscovery>,
        /// Addition: tokens that an Application Load Balancer of AWS signs, and their keys, see [AWS
        /// load balancers](keys.md#aws-load-balancers). `audiences` is not for them, and without
        /// `algorithms` they have `ES256`.
        pub aws_alb: Given<RawAwsAlb>,
        /// Whether the upstream gets to see the token. If not, the header, the parameter or the
        /// cookie is taken out of the request.
        pub forward: Given<bool> = false,
        /// A header for the token's payload, base64url without padding.
        pub forward_payload_header: Given<String>,
        /// Claims in headers for the upstream, see [Claims in headers](claims-in-headers.md).
        pub claim_to_headers: Given<Vec<RawClaimHeader>>,
        /// Whether `forward_payload_header` is padded with `=`.
        pub pad_forward_payload_header: Given<bool> = false,
        /// A name for the claims in [filter
        /// state](observability.md#access-logs-traces-and-other-filters).
        pub payload_in_metadata: Given<String>,
        /// The same for the JOSE header.
        pub header_in_metadata: Given<String>,
        /// The same for the reason why there is no good token.
        pub failed_status_in_metadata: Given<String>,
        /// Which claims are lists in `payload_in_metadata`.
        pub normalize_payload_in_metadata: Given<RawNormalizePayload>,
        /// Leeway for `exp`, `nbf` and `iat`, in seconds; 86400 at most.
        pub clock_skew_seconds: Given<Whole> = 60,
        /// Whether a token without `exp` is refused.
        pub require_expiration: Given<bool> = true,
        /// Addition: the only algorithms that are accepted, of `RS256`, `RS384`, `RS512`, `PS256`,
        /// `PS384`, `PS512`, `ES256`, `ES384`, `ES512`, `EdDSA`; with `local_jwks` also `HS256`,
        /// `HS384`, `HS512`, see [Secrets](signatures.md#secrets). Without it all but `HS256`,
        /// `HS384` and `HS512` are.
        pub algorithms: Given<Vec<String>>,
        /// Addition: top-level claims that hold scopes: a string separated by spaces, or an array.
        /// A scope in any of them counts.
        pub scope_claims: Given<Vec<String>> = ["scope", "scp", "permissions"],
        /// Addition: whether a token with `cnf` (RFC 7800) passes as a plain Bearer token.
        pub allow_sender_constrained: Given<bool> = false,
        /// Addition: which kind of token passes; without it, any `typ`. `at+jwt`: access tokens of
        /// RFC 9068 only, that is `typ` is `at+jwt` or `application/at+jwt`, and `iss`, `exp`,
        /// `aud`, `sub`, `client_id`, `iat` and `jti` are there. `jwt`: `typ` is `JWT` or left out,
        /// so that no token of another kind passes.
        pub token_type: Given<RawTokenType>,

        /// Headers with a token; without any field that begins with `from_` it is Authorization with `Bearer `, and with `aws_alb` the whole of `x-amzn-oidc-data`. See [Places](rules.md#where-tokens-are-looked-for).
        pub from_headers: Given<Vec<RawFromHeader>>,
        /// Names of query parameters with a token.
        pub from_params: Given<Vec<String>>,
        /// Cookies with a token: names, or objects.
        pub from_cookies: Given<Vec<NameOrCookie>>,
        /// Addition: WebSocket subprotocols with a token, see [WebSockets](rules.md#websockets).
        pub from_subprotocols: Given<Vec<RawFromSubprotocol>>,
        /// Addition: a token as the password of Basic, see [Basic](rules.md#basic).
        pub from_basic: Given<RawFromBasic>,
        /// A test of `sub`. A token without `sub` is tested as if `sub` were empty.
        pub subjects: Given<RawTextMatcher>,
        /// With it `exp` must be there, and less than this far away.
        pub max_lifetime: Given<Span>,
        /// How many tokens, and how long ones, are
        /// [remembered](how-it-works.md#how-tokens-are-remembered).
        pub jwt_cache_config: Given<RawCacheConfig>,

        /// Envoy chooses the route anew whenever a Wasm filter changes headers.
        clear_route_cache: OnlyBool<true>,
    }

    /// Keys from an address: `RemoteJwks` in jwt_authn.
    pub struct RawRemoteJwks: "an object with http_uri" {
        /// What is asked for, and where the call goes. Required.
        pub http_uri: Given<RawHttpUri>,
        /// How long a set is fresh; `1s` at least.
        pub cache_duration: Given<Span> = "600s",
        /// What a failure is followed by.
        pub retry_policy: Given<RawRetryPolicy>,
        /// Another way to write the longest wait after a failure.
        pub async_fetch: Given<RawAsyncFetch>,
        /// Addition: whether `Cache-Control: max-age`, less `Age`, takes the place of
        /// `cache_duration`, within 10 s and 24 h. With `no-store` or `no-cache` it does not;
        /// `s-maxage` and `Expires` are not read.
        pub respect_cache_control: Given<bool> = false,
        /// Addition: how long a set serves after it was fresh, while fetches fail.
        pub max_stale: Given<Span> = "86400s",
        /// Addition: after two fetches for the sake of unknown `kid`s there is one more in each
        /// time of this length.
        pub unknown_kid_cooldown: Given<Span> = "30s",
    }

    /// An address: `core.v3.HttpUri` in Envoy.
    #[cfg_attr(feature = "schema", schemars(extend("required" = ["uri", "cluster", "timeout"])))]
    pub struct RawHttpUri: "an object with uri, cluster and timeout" {
        /// What is asked for: http or https.
        pub uri: Given<String>,
        /// The cluster where the call goes. It can add [a credential](keys.md#keys-that-need-a-credential).
        pub cluster: Given<String>,
        /// The time for the call; 49 days at most.
        pub timeout: Given<Span>,
    }

    /// Addition: a store that several Envoys share: Redis, asked over HTTP by webdis.
    #[cfg_attr(feature = "schema", schemars(extend("required" = ["http_uri"])))]
    pub struct RawSharedStore: "an object with http_uri" {
        /// The address of webdis, and where calls go. The cluster can add [a
        /// credential](keys.md#keys-that-need-a-credential). Required.
        pub http_uri: Given<RawHttpUri>,
        /// What the names of keys in Redis begin with: 1 to 64 letters, digits, `-`, `_` and `:`. Envoys
        /// with the same prefix share what is there, so they must have the same `cookie_keys`.
        pub key_prefix: Given<String> = "bearer-gate",
        /// How often an Envoy asks for the sign-outs of others; from `0.2s` to `60s`.
        pub interval: Given<Span> = "1s",
        /// How long sessions count after the store was read last, where it cannot be read; not below
        /// `interval`.
        pub max_stale: Given<Span> = "300s",
        /// What happens then to a request that counts on a session: `DENY` (503) or `ALLOW`, by what
        /// this Envoy knows.
        pub on_stale: Given<RawOnStale> = "DENY",
    }

    /// What a failed fetch is followed by: `core.v3.RetryPolicy` in Envoy.
    pub struct RawRetryPolicy: "a retry policy, an object" {
        /// The first and the longest [wait after a failure](keys.md#when-a-fetch-fails).
        pub retry_back_off: Given<RawBackOff>,
        /// Through how many failures in a row waiting requests keep waiting; 100 at most. Without a
        /// `retry_policy` it is 0.
        pub num_retries: Given<Whole> = 1,

        retry_on: Unsupported,
        retry_priority: Unsupported,
        retry_host_predicate: Unsupported,
        host_selection_retry_max_attempts: Unsupported,
    }

    /// Waits after failures: `core.v3.BackoffStrategy` in Envoy.
    pub struct RawBackOff: "an object with base_interval" {
        /// The first wait after a failure; without a `retry_back_off` it is `0.2s`. Required.
        pub base_interval: Given<Span>,
        /// The longest wait. By default 10 times `base_interval`, and `30s` where neither is given.
        pub max_interval: Given<Span>,
    }

    /// How jwt_authn fetches ahead of need: `JwksAsyncFetch`.
    pub struct RawAsyncFetch: "an object" {
        /// Accepted, and changes nothing: the listener never waits for keys.
        fast_listener: Given<bool>,
        /// The longest wait after a failure, as in `jwt_authn`; not together with `retry_back_off`.
        pub failed_refetch_duration: Given<Span>,
    }

    /// Keys in the configuration: `core.v3.DataSource` in Envoy. A Wasm filter cannot read files, so
    /// `filename` is refused. Exactly one field is required.
    pub struct RawLocalJwks: "an object with inline_string", HIDES_NAMES = true {
        /// The JWK Set, or a map of kids to certificates or public keys in PEM, as JSON in a string.
        pub inline_string: Given<String>,
        /// The same, as JSON in base64.
        pub inline_bytes: Given<String>,
        #[cfg_attr(feature = "schema", schemars(with = "Unsupported"))]
        pub filename: Given<Anything>,

        environment_variable: Unsupported,
        watched_directory: Unsupported,
    }

    /// Addition: the issuer's metadata name the address of its keys.
    #[cfg_attr(feature = "schema", schemars(extend("required" = ["cluster", "timeout"])))]
    pub struct RawDiscovery: "an object with cluster and timeout" {
        /// The address of the metadata. By default it follows from the issuer (OpenID Connect
        /// Discovery, RFC 8414), which must be a URI then. With it the issuer is only the name that
        /// the metadata must have.
        pub uri: Given<String>,
        /// The cluster of the metadata's host, which is the issuer's by default. It can add
        /// [a credential](keys.md#keys-that-need-a-credential).
        pub cluster: Given<String>,
        /// The time for each call; 49 days at most.
        pub timeout: Given<Span>,
        /// The cluster for the keys, needed where `jwks_uri` is on another host than the metadata.
        pub jwks_cluster: Given<String>,
        /// As in `remote_jwks`.
        pub cache_duration: Given<Span> = "600s",
        /// As in `remote_jwks`.
        pub retry_policy: Given<RawRetryPolicy>,
        /// As in `remote_jwks`.
        pub respect_cache_control: Given<bool> = false,
        /// As in `remote_jwks`.
        pub max_stale: Given<Span> = "86400s",
        /// As in `remote_jwks`.
        pub unknown_kid_cooldown: Given<Span> = "30s",
    }

    /// Addition: tokens of an Application Load Balancer, which are padded, and have no `aud`.
    #[cfg_attr(feature = "schema", schemars(extend("required" = ["signer", "http_uri"])))]
    pub struct RawAwsAlb: "an object with signer and http_uri" {
        /// The load balancer, by its ARN. Compared exactly with `signer` in the JOSE header: the keys
        /// are those of every load balancer in the region. Required.
        pub signer: Given<String>,
        /// The OAuth clients by which the load balancer signs people in, as the actions of its listeners'
        /// rules name them (`ClientId` or `UserPoolClientId`). `client` in the JOSE header must be one of
        /// these. Required, or `any_client: true`.
        pub clients: Given<Vec<String>>,
        /// `true` in place of `clients`: tokens of every client of the load balancer pass.
        pub any_client: Given<bool> = false,
        /// The address of each key. Its `uri` ends with `/{kid}`. Required.
        pub http_uri: Given<RawHttpUri>,
        /// As in `remote_jwks`.
        pub cache_duration: Given<Span> = "600s",
        /// As in `remote_jwks`.
        pub retry_policy: Given<RawRetryPolicy>,
        /// As in `remote_jwks`.
        pub max_stale: Given<Span> = "86400s",
        /// As in `remote_jwks`; and a `kid` without a key is 401 for so long.
        pub unknown_kid_cooldown: Given<Span> = "30s",
    }

    /// `JwtProvider.NormalizePayload` in jwt_authn.
    pub struct RawNormalizePayload: "an object with space_delimited_claims" {
        /// Top-level claims that are lists there, where the token has strings with spaces.
        pub space_delimited_claims: Given<Vec<String>>,
    }

    /// A claim in a header: `JwtClaimToHeader` in jwt_authn.
    pub struct RawClaimHeader: "an object with header_name and claim_name" {
        /// The header. Required.
        pub header_name: Given<String>,
        /// The claim; dots lead to nested claims. One of `claim_name` and `claim_path` is required.
        pub claim_name: Given<String>,
        /// Addition: in place of `claim_name`, literal member names from the top, so that
        /// `["https://example.com/roles"]` works.
        pub claim_path: Given<Vec<String>>,
        /// Addition: how the claim is written: `csv`, `json` or `repeat`. Without it, as
        /// `jwt_authn` writes it.
        pub format: Given<String>,
        /// Addition: `base64`: the value is sent in base64, with padding; with `csv` and `repeat`
        /// each item by itself.
        pub encode: Given<String>,
    }

    /// A header with a token: `JwtHeader` in jwt_authn.
    #[cfg_attr(feature = "schema", schemars(extend("required" = ["name"])))]
    pub struct RawFromHeader: "an object with name and value_prefix" {
        /// The header's name.
        pub name: Given<String>,
        /// What stands before the token, compared without case at the start of the value. Without
        /// it the whole value is the token.
        pub value_prefix: Given<String>,
    }

    /// Addition: a cookie with a token, in place of its name.
    #[cfg_attr(feature = "schema", schemars(extend("required" = ["name"])))]
    pub struct RawFromCookie: "a name, or an object with name and chunked" {
        /// The cookie's name.
        pub name: Given<String>,
        /// Whether the token may be in chunks: `name.0`, `name.1` and so on, or `name_0`, `name__0`;
        /// 12 at most. No other cookie may begin with the name.
        pub chunked: Given<bool> = false,
    }

    /// Addition: an item of `Sec-WebSocket-Protocol` with a token.
    #[cfg_attr(feature = "schema", schemars(extend("required" = ["prefix"])))]
    pub struct RawFromSubprotocol: "an object with prefix" {
        /// What stands before the token, without spaces and commas.
        pub prefix: Given<String>,
        /// Whether the token is in base64url, without padding.
        pub base64url: Given<bool> = false,
    }

    /// Addition: a token as the password of Basic: `{}`, or with a name.
    pub struct RawFromBasic: "an object" {
        /// The only name that may stand before it. Without it any name may.
        pub username: Given<String>,
    }

    /// `JwtCacheConfig` in jwt_authn.
    pub struct RawCacheConfig: "an object with jwt_cache_size and jwt_max_token_size" {
        /// Room in the token cache for this many tokens at least; 200000 at most.
        pub jwt_cache_size: Given<Whole>,
        /// Longer tokens are not remembered.
        pub jwt_max_token_size: Given<Whole>,
    }

    /// Addition: what a rejected client gets.
    pub struct RawErrors: "an object with format, include_reason or by_reason" {
        /// The form of the bodies. `json`: `{"error":"...","error_description":"..."}`. `text`: the
        /// text alone, as `jwt_authn` sends it, as `text/plain`. `problem`: RFC 9457, as
        /// `application/problem+json`.
        pub format: Given<RawFormat> = "json",
        /// Whether the forms `json` and `problem` have the [reason](responses.md#texts-and-reasons) too, for
        /// clients that are programs: `"reason":"expired"`.
        pub include_reason: Given<bool> = false,
        /// What to send instead, by a reason or an `error` of the tables in
        /// [Responses](responses.md).
        pub by_reason: Given<Entries<RawCustom>>,
    }

    /// Addition: what is sent in place of a rejection's own status and body: `status`, `body`, or both.
    pub struct RawCustom: "an object with status or body" {
        /// In place of the rejection's own: 400 to 599, but not 405, 407 and 426, which are not
        /// complete without headers that the filter does not send.
        pub status: Given<Whole>,
        /// A text, 16 KiB at most, sent as it is in place of the body in `format`. `""` is no body.
        pub body: Given<String>,
        /// The media type of `body`; by default that of `format`. A body that is said to be JSON
        /// must be JSON.
        pub content_type: Given<String>,
    }

    /// Addition: metadata of the protected resource (RFC 9728 section 2).
    pub struct RawProtectedResource: "an object with resource" {
        /// The resource's URL as its clients use it, without query and fragment; they compare it as
        /// text. Required.
        pub resource: Given<String>,
        /// Issuers of the authorization servers.
        pub authorization_servers: Given<Vec<String>>,
        /// Scopes that a client may ask for.
        pub scopes_supported: Given<Vec<String>>,
        /// Of `header` and `query`. `body` is refused: the filter reads no bodies.
        pub bearer_methods_supported: Given<Vec<RawBearerMethod>>,
        /// A name for people.
        pub resource_name: Given<String>,
        /// A URL for developers.
        pub resource_documentation: Given<String>,
        /// Further members of the document, any JSON but `null`.
        pub additional: Given<Entries<serde_json::Value>>,
    }
}

/// A cookie by its name alone, or with more to say of it.
pub(crate) struct NameOrCookie(pub RawFromCookie);

impl FromTree for NameOrCookie {
    fn from_tree(tree: Tree) -> Result<Self, ConfigError> {
        if let Tree::Text(name) = tree {
            return Ok(Self(RawFromCookie {
                name: Given(Some(name)),
                ..RawFromCookie::default()
            }));
        }
        RawFromCookie::from_tree(tree).map(Self)
    }
}

/// Addition: the `typ` that a provider's tokens have to have.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) enum RawTokenType {
    #[cfg_attr(feature = "schema", schemars(rename = "at+jwt"))]
    AccessToken,
    #[cfg_attr(feature = "schema", schemars(rename = "jwt"))]
    Jwt,
}

/// What happens to a request that no rule matches.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename_all = "lowercase"))]
pub(crate) enum RawUnmatched {
    Allow,
    Deny,
}

/// What happens to a request that counts on a session while nobody knows who has signed out elsewhere.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename_all = "SCREAMING_SNAKE_CASE"))]
pub(crate) enum RawOnStale {
    Deny,
    Allow,
}

/// The form of a rejection's body.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename_all = "lowercase"))]
pub(crate) enum RawFormat {
    Json,
    Text,
    Problem,
}

/// Where the filter can find a token, of what RFC 9728 has names for.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename_all = "lowercase"))]
pub(crate) enum RawBearerMethod {
    Header,
    Query,
}

words! {
    RawTokenType { "at+jwt" => AccessToken, "jwt" => Jwt, }
    RawUnmatched { "allow" => Allow, "deny" => Deny, }
    RawOnStale { "DENY" => Deny, "ALLOW" => Allow, }
    RawFormat { "json" => Json, "text" => Text, "problem" => Problem, }
    RawBearerMethod { "header" => Header, "query" => Query, }
}
