//! The configuration as it is written: Envoy's `JwtAuthentication` (jwt_authn, v3 API) and this
//! filter's additions, field by field.
//!
//! Invariant: a name that is not here is refused, and so is a `null` and an array in place of an
//! object: they are slips, and some would open a route (`requires:` with nothing after it). What
//! jwt_authn has and this version cannot do is here as [`Unsupported`], so that it is refused by
//! name rather than ignored.

use super::duration::Span;
use super::raw_rule::{RawAuthorize, RawRequires, RawRule, RawTextMatcher};
use super::value::{Anything, Entries, Given, OnlyBool, Unsupported, Whole, objects, words};

objects! {
    /// The plugin's configuration.
    pub struct RawConfig: "the plugin's configuration, an object" {
        pub providers: Given<Entries<RawProvider>>,
        pub rules: Given<Vec<RawRule>>,
        pub requirement_map: Given<Entries<RawRequires>>,
        pub policies: Given<Entries<RawAuthorize>>,
        pub bypass_cors_preflight: Given<bool>,
        pub route_metadata: Given<String>,
        pub unmatched: Given<RawUnmatched>,
        pub realm: Given<String>,
        pub max_waiting: Given<Whole>,
        pub errors: Given<RawErrors>,
        pub strip_failure_response: Given<bool>,
        pub protected_resource: Given<RawProtectedResource>,
        pub filter_state: Given<Vec<String>>,

        filter_state_rules: Unsupported,
        stat_prefix: Unsupported,
    }

    /// `JwtProvider`.
    pub struct RawProvider: "a provider, an object" {
        pub issuer: Given<String>,
        pub any_issuer: Given<bool>,
        pub audiences: Given<Vec<String>>,
        pub any_audience: Given<bool>,
        pub remote_jwks: Given<RawRemoteJwks>,
        pub local_jwks: Given<RawLocalJwks>,
        pub openid_discovery: Given<RawDiscovery>,
        pub forward: Given<bool>,
        pub forward_payload_header: Given<String>,
        pub claim_to_headers: Given<Vec<RawClaimHeader>>,
        pub pad_forward_payload_header: Given<bool>,
        pub payload_in_metadata: Given<String>,
        pub header_in_metadata: Given<String>,
        pub failed_status_in_metadata: Given<String>,
        pub normalize_payload_in_metadata: Given<RawNormalizePayload>,
        pub clock_skew_seconds: Given<Whole>,
        pub require_expiration: Given<bool>,
        pub algorithms: Given<Vec<String>>,
        pub scope_claims: Given<Vec<String>>,
        pub allow_sender_constrained: Given<bool>,
        pub token_type: Given<RawTokenType>,

        pub from_headers: Given<Vec<RawFromHeader>>,
        pub from_params: Given<Vec<String>>,
        pub from_cookies: Given<Vec<String>>,
        pub subjects: Given<RawTextMatcher>,
        pub max_lifetime: Given<Span>,
        pub jwt_cache_config: Given<RawCacheConfig>,

        /// Envoy chooses the route anew whenever a Wasm filter changes headers.
        clear_route_cache: OnlyBool<true>,
    }

    /// `RemoteJwks`, and what this filter adds beside `cache_duration`.
    pub struct RawRemoteJwks: "an object with http_uri" {
        pub http_uri: Given<RawHttpUri>,
        pub cache_duration: Given<Span>,
        pub retry_policy: Given<RawRetryPolicy>,
        pub async_fetch: Given<RawAsyncFetch>,
        pub respect_cache_control: Given<bool>,
        pub max_stale: Given<Span>,
        pub unknown_kid_cooldown: Given<Span>,
    }

    /// `core.v3.HttpUri`.
    #[cfg_attr(feature = "schema", schemars(extend("required" = ["uri", "cluster", "timeout"])))]
    pub struct RawHttpUri: "an object with uri, cluster and timeout" {
        pub uri: Given<String>,
        pub cluster: Given<String>,
        pub timeout: Given<Span>,
    }

    /// `core.v3.RetryPolicy`.
    pub struct RawRetryPolicy: "a retry policy, an object" {
        pub retry_back_off: Given<RawBackOff>,
        pub num_retries: Given<Whole>,

        retry_on: Unsupported,
        retry_priority: Unsupported,
        retry_host_predicate: Unsupported,
        host_selection_retry_max_attempts: Unsupported,
    }

    /// `core.v3.BackoffStrategy`.
    pub struct RawBackOff: "an object with base_interval" {
        pub base_interval: Given<Span>,
        pub max_interval: Given<Span>,
    }

    /// `JwksAsyncFetch`.
    pub struct RawAsyncFetch: "an object" {
        /// Nothing to decide: the listener never waits, and with or without it no request is decided
        /// before there are keys.
        fast_listener: Given<bool>,
        pub failed_refetch_duration: Given<Span>,
    }

    /// `core.v3.DataSource`.
    pub struct RawLocalJwks: "an object with inline_string" {
        pub inline_string: Given<String>,
        pub inline_bytes: Given<String>,
        #[cfg_attr(feature = "schema", schemars(with = "Unsupported"))]
        pub filename: Given<Anything>,

        environment_variable: Unsupported,
        watched_directory: Unsupported,
    }

    /// Addition: where the OpenID provider's metadata name its keys.
    #[cfg_attr(feature = "schema", schemars(extend("required" = ["cluster", "timeout"])))]
    pub struct RawDiscovery: "an object with cluster and timeout" {
        pub cluster: Given<String>,
        pub timeout: Given<Span>,
        pub jwks_cluster: Given<String>,
        pub cache_duration: Given<Span>,
        pub retry_policy: Given<RawRetryPolicy>,
        pub respect_cache_control: Given<bool>,
        pub max_stale: Given<Span>,
        pub unknown_kid_cooldown: Given<Span>,
    }

    /// `JwtProvider.NormalizePayload`.
    pub struct RawNormalizePayload: "an object with space_delimited_claims" {
        pub space_delimited_claims: Given<Vec<String>>,
    }

    /// `JwtClaimToHeader`, and the additions `claim_path`, `format` and `encode`.
    pub struct RawClaimHeader: "an object with header_name and claim_name" {
        pub header_name: Given<String>,
        pub claim_name: Given<String>,
        pub claim_path: Given<Vec<String>>,
        pub format: Given<String>,
        pub encode: Given<String>,
    }

    /// `JwtHeader`.
    #[cfg_attr(feature = "schema", schemars(extend("required" = ["name"])))]
    pub struct RawFromHeader: "an object with name and value_prefix" {
        pub name: Given<String>,
        pub value_prefix: Given<String>,
    }

    /// `JwtCacheConfig`.
    pub struct RawCacheConfig: "an object with jwt_cache_size and jwt_max_token_size" {
        pub jwt_cache_size: Given<Whole>,
        pub jwt_max_token_size: Given<Whole>,
    }

    /// Addition: the bodies of rejections.
    pub struct RawErrors: "an object with format or by_reason" {
        pub format: Given<RawFormat>,
        pub by_reason: Given<Entries<RawCustom>>,
    }

    /// Addition: what is sent in place of a rejection's own status and body.
    pub struct RawCustom: "an object with status or body" {
        pub status: Given<Whole>,
        pub body: Given<String>,
        pub content_type: Given<String>,
    }

    /// Addition: metadata of the protected resource (RFC 9728 section 2).
    pub struct RawProtectedResource: "an object with resource" {
        pub resource: Given<String>,
        pub authorization_servers: Given<Vec<String>>,
        pub scopes_supported: Given<Vec<String>>,
        pub bearer_methods_supported: Given<Vec<RawBearerMethod>>,
        pub resource_name: Given<String>,
        pub resource_documentation: Given<String>,
        pub additional: Given<Entries<serde_json::Value>>,
    }
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
