//! The configuration as it is written: Envoy's `JwtAuthentication` (jwt_authn, v3 API) and this
//! filter's additions, field by field.
//!
//! Invariant: a name that is not here is refused, and so is a `null` and an array in place of an
//! object: they are slips, and some would open a route (`requires:` with nothing after it). What
//! jwt_authn has and this version cannot do is here as [`Unsupported`], so that it is refused by
//! name rather than ignored.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::duration::Span;
use super::raw_rule::{RawAuthorize, RawRequires, RawRule, RawTextMatcher};
use super::value::{Entries, Given, OnlyBool, Unsupported, Whole, objects, words};

/// The plugin's configuration.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, remote = "Self")]
pub struct RawConfig {
    pub providers: Given<Entries<RawProvider>>,
    pub rules: Given<Vec<RawRule>>,
    #[serde(alias = "requirementMap")]
    pub requirement_map: Given<Entries<RawRequires>>,
    pub policies: Given<Entries<RawAuthorize>>,
    #[serde(alias = "bypassCorsPreflight")]
    pub bypass_cors_preflight: Given<bool>,
    #[serde(alias = "routeMetadata")]
    pub route_metadata: Given<String>,
    pub unmatched: Given<RawUnmatched>,
    pub realm: Given<String>,
    #[serde(alias = "maxWaiting")]
    pub max_waiting: Given<Whole>,
    pub errors: Given<RawErrors>,
    #[serde(alias = "stripFailureResponse")]
    pub strip_failure_response: Given<bool>,
    #[serde(alias = "protectedResource")]
    pub protected_resource: Given<RawProtectedResource>,
    #[serde(alias = "filterState")]
    pub filter_state: Given<Vec<String>>,

    #[serde(alias = "filterStateRules")]
    filter_state_rules: Unsupported,
    #[serde(alias = "statPrefix")]
    stat_prefix: Unsupported,
}

/// `JwtProvider`.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, remote = "Self")]
pub struct RawProvider {
    pub issuer: Given<String>,
    #[serde(alias = "anyIssuer")]
    pub any_issuer: Given<bool>,
    pub audiences: Given<Vec<String>>,
    #[serde(alias = "anyAudience")]
    pub any_audience: Given<bool>,
    #[serde(alias = "remoteJwks")]
    pub remote_jwks: Given<RawRemoteJwks>,
    #[serde(alias = "localJwks")]
    pub local_jwks: Given<RawLocalJwks>,
    #[serde(alias = "openidDiscovery")]
    pub openid_discovery: Given<RawDiscovery>,
    pub forward: Given<bool>,
    #[serde(alias = "forwardPayloadHeader")]
    pub forward_payload_header: Given<String>,
    #[serde(alias = "claimToHeaders")]
    pub claim_to_headers: Given<Vec<RawClaimHeader>>,
    #[serde(alias = "padForwardPayloadHeader")]
    pub pad_forward_payload_header: Given<bool>,
    #[serde(alias = "payloadInMetadata")]
    pub payload_in_metadata: Given<String>,
    #[serde(alias = "headerInMetadata")]
    pub header_in_metadata: Given<String>,
    #[serde(alias = "failedStatusInMetadata")]
    pub failed_status_in_metadata: Given<String>,
    #[serde(alias = "normalizePayloadInMetadata")]
    pub normalize_payload_in_metadata: Given<RawNormalizePayload>,
    #[serde(alias = "clockSkewSeconds")]
    pub clock_skew_seconds: Given<Whole>,
    #[serde(alias = "requireExpiration")]
    pub require_expiration: Given<bool>,
    pub algorithms: Given<Vec<String>>,
    #[serde(alias = "scopeClaims")]
    pub scope_claims: Given<Vec<String>>,
    #[serde(alias = "allowSenderConstrained")]
    pub allow_sender_constrained: Given<bool>,
    #[serde(alias = "tokenType")]
    pub token_type: Given<RawTokenType>,

    #[serde(alias = "fromHeaders")]
    pub from_headers: Given<Vec<RawFromHeader>>,
    #[serde(alias = "fromParams")]
    pub from_params: Given<Vec<String>>,
    #[serde(alias = "fromCookies")]
    pub from_cookies: Given<Vec<String>>,
    pub subjects: Given<RawTextMatcher>,
    #[serde(alias = "maxLifetime")]
    pub max_lifetime: Given<Span>,
    #[serde(alias = "jwtCacheConfig")]
    pub jwt_cache_config: Given<RawCacheConfig>,

    /// Envoy chooses the route anew whenever a Wasm filter changes headers.
    #[serde(alias = "clearRouteCache")]
    clear_route_cache: OnlyBool<true>,
}

/// `RemoteJwks`, and what this filter adds beside `cache_duration`.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, remote = "Self")]
pub struct RawRemoteJwks {
    #[serde(alias = "httpUri")]
    pub http_uri: Given<RawHttpUri>,
    #[serde(alias = "cacheDuration")]
    pub cache_duration: Given<Span>,
    #[serde(alias = "retryPolicy")]
    pub retry_policy: Given<RawRetryPolicy>,
    #[serde(alias = "asyncFetch")]
    pub async_fetch: Given<RawAsyncFetch>,
    #[serde(alias = "respectCacheControl")]
    pub respect_cache_control: Given<bool>,
    #[serde(alias = "maxStale")]
    pub max_stale: Given<Span>,
    #[serde(alias = "unknownKidCooldown")]
    pub unknown_kid_cooldown: Given<Span>,
}

/// `core.v3.HttpUri`.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(extend("required" = ["uri", "cluster", "timeout"])))]
#[serde(default, deny_unknown_fields, remote = "Self")]
pub struct RawHttpUri {
    pub uri: Given<String>,
    pub cluster: Given<String>,
    pub timeout: Given<Span>,
}

/// `core.v3.RetryPolicy`.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, remote = "Self")]
pub struct RawRetryPolicy {
    #[serde(alias = "retryBackOff")]
    pub retry_back_off: Given<RawBackOff>,
    #[serde(alias = "numRetries")]
    pub num_retries: Given<Whole>,

    #[serde(alias = "retryOn")]
    retry_on: Unsupported,
    #[serde(alias = "retryPriority")]
    retry_priority: Unsupported,
    #[serde(alias = "retryHostPredicate")]
    retry_host_predicate: Unsupported,
    #[serde(alias = "hostSelectionRetryMaxAttempts")]
    host_selection_retry_max_attempts: Unsupported,
}

/// `core.v3.BackoffStrategy`.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, remote = "Self")]
pub struct RawBackOff {
    #[serde(alias = "baseInterval")]
    pub base_interval: Given<Span>,
    #[serde(alias = "maxInterval")]
    pub max_interval: Given<Span>,
}

/// `JwksAsyncFetch`.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, remote = "Self")]
pub struct RawAsyncFetch {
    /// Nothing to decide: the listener never waits, and with or without it no request is decided
    /// before there are keys.
    #[serde(alias = "fastListener")]
    fast_listener: Given<bool>,
    #[serde(alias = "failedRefetchDuration")]
    pub failed_refetch_duration: Given<Span>,
}

/// `core.v3.DataSource`.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, remote = "Self")]
pub struct RawLocalJwks {
    #[serde(alias = "inlineString")]
    pub inline_string: Given<String>,
    #[serde(alias = "inlineBytes")]
    pub inline_bytes: Given<String>,
    #[cfg_attr(feature = "schema", schemars(with = "Unsupported"))]
    pub filename: Given<IgnoredAny>,

    #[serde(alias = "environmentVariable")]
    environment_variable: Unsupported,
    #[serde(alias = "watchedDirectory")]
    watched_directory: Unsupported,
}

/// Addition: where the OpenID provider's metadata name its keys.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(extend("required" = ["cluster", "timeout"])))]
#[serde(default, deny_unknown_fields, remote = "Self")]
pub struct RawDiscovery {
    pub cluster: Given<String>,
    pub timeout: Given<Span>,
    #[serde(alias = "jwksCluster")]
    pub jwks_cluster: Given<String>,
    #[serde(alias = "cacheDuration")]
    pub cache_duration: Given<Span>,
    #[serde(alias = "retryPolicy")]
    pub retry_policy: Given<RawRetryPolicy>,
    #[serde(alias = "respectCacheControl")]
    pub respect_cache_control: Given<bool>,
    #[serde(alias = "maxStale")]
    pub max_stale: Given<Span>,
    #[serde(alias = "unknownKidCooldown")]
    pub unknown_kid_cooldown: Given<Span>,
}

/// `JwtProvider.NormalizePayload`.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, remote = "Self")]
pub struct RawNormalizePayload {
    #[serde(alias = "spaceDelimitedClaims")]
    pub space_delimited_claims: Given<Vec<String>>,
}

/// `JwtClaimToHeader`, and the additions `claim_path`, `format` and `encode`.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, remote = "Self")]
pub struct RawClaimHeader {
    #[serde(alias = "headerName")]
    pub header_name: Given<String>,
    #[serde(alias = "claimName")]
    pub claim_name: Given<String>,
    #[serde(alias = "claimPath")]
    pub claim_path: Given<Vec<String>>,
    pub format: Given<String>,
    pub encode: Given<String>,
}

/// `JwtHeader`.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(extend("required" = ["name"])))]
#[serde(default, deny_unknown_fields, remote = "Self")]
pub struct RawFromHeader {
    pub name: Given<String>,
    #[serde(alias = "valuePrefix")]
    pub value_prefix: Given<String>,
}

/// `JwtCacheConfig`.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, remote = "Self")]
pub struct RawCacheConfig {
    #[serde(alias = "jwtCacheSize")]
    pub jwt_cache_size: Given<Whole>,
    #[serde(alias = "jwtMaxTokenSize")]
    pub jwt_max_token_size: Given<Whole>,
}

/// Addition: the bodies of rejections.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, remote = "Self")]
pub struct RawErrors {
    pub format: Given<RawFormat>,
    #[serde(alias = "byReason")]
    pub by_reason: Given<Entries<RawCustom>>,
}

/// Addition: what is sent in place of a rejection's own status and body.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, remote = "Self")]
pub struct RawCustom {
    pub status: Given<Whole>,
    pub body: Given<String>,
    #[serde(alias = "contentType")]
    pub content_type: Given<String>,
}

/// Addition: metadata of the protected resource (RFC 9728 section 2).
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, remote = "Self")]
pub struct RawProtectedResource {
    pub resource: Given<String>,
    #[serde(alias = "authorizationServers")]
    pub authorization_servers: Given<Vec<String>>,
    #[serde(alias = "scopesSupported")]
    pub scopes_supported: Given<Vec<String>>,
    #[serde(alias = "bearerMethodsSupported")]
    pub bearer_methods_supported: Given<Vec<RawBearerMethod>>,
    #[serde(alias = "resourceName")]
    pub resource_name: Given<String>,
    #[serde(alias = "resourceDocumentation")]
    pub resource_documentation: Given<String>,
    pub additional: Given<Entries<serde_json::Value>>,
}

objects! {
    RawConfig: "the plugin's configuration, an object",
    RawProvider: "a provider, an object",
    RawRemoteJwks: "an object with http_uri",
    RawHttpUri: "an object with uri, cluster and timeout",
    RawRetryPolicy: "a retry policy, an object",
    RawBackOff: "an object with base_interval",
    RawAsyncFetch: "an object",
    RawLocalJwks: "an object with inline_string",
    RawDiscovery: "an object with cluster and timeout",
    RawNormalizePayload: "an object with space_delimited_claims",
    RawClaimHeader: "an object with header_name and claim_name",
    RawFromHeader: "an object with name and value_prefix",
    RawCacheConfig: "an object with jwt_cache_size and jwt_max_token_size",
    RawErrors: "an object with format or by_reason",
    RawCustom: "an object with status or body",
    RawProtectedResource: "an object with resource",
}

/// Addition: the `typ` that a provider's tokens have to have.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum RawTokenType {
    #[cfg_attr(feature = "schema", schemars(rename = "at+jwt"))]
    AccessToken,
    #[cfg_attr(feature = "schema", schemars(rename = "jwt"))]
    Jwt,
}

/// What happens to a request that no rule matches.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename_all = "lowercase"))]
pub enum RawUnmatched {
    Allow,
    Deny,
}

/// The form of a rejection's body.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename_all = "lowercase"))]
pub enum RawFormat {
    Json,
    Text,
    Problem,
}

/// Where the filter can find a token, of what RFC 9728 has names for.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename_all = "lowercase"))]
pub enum RawBearerMethod {
    Header,
    Query,
}

words! {
    RawTokenType { "at+jwt" => AccessToken, "jwt" => Jwt, }
    RawUnmatched { "allow" => Allow, "deny" => Deny, }
    RawFormat { "json" => Json, "text" => Text, "problem" => Problem, }
    RawBearerMethod { "header" => Header, "query" => Query, }
}
