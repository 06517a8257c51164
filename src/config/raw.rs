//! The configuration as it is written: Envoy's `JwtAuthentication` (jwt_authn, v3 API) and this
//! filter's additions, field by field.
//!
//! Invariant: a name that is not here is refused, and so is a `null` and an array in place of an
//! object: they are slips, and some would open a route (`requires:` with nothing after it). What
//! jwt_authn has and this version cannot do is here as [`Unsupported`], so that it is refused by
//! name rather than ignored.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::duration::Span;

/// The plugin's configuration.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, remote = "Self")]
pub struct RawConfig {
    pub providers: Given<Entries<RawProvider>>,
    pub rules: Given<Vec<RawRule>>,
    pub unmatched: Given<RawUnmatched>,
    pub realm: Given<String>,
    #[serde(alias = "maxWaiting")]
    pub max_waiting: Given<Whole>,

    #[serde(alias = "filterStateRules")]
    filter_state_rules: Unsupported,
    #[serde(alias = "bypassCorsPreflight")]
    bypass_cors_preflight: OnlyBool<false>,
    #[serde(alias = "requirementMap")]
    requirement_map: Unsupported,
    #[serde(alias = "stripFailureResponse")]
    strip_failure_response: OnlyBool<false>,
    #[serde(alias = "statPrefix")]
    stat_prefix: Unsupported,
}

/// `JwtProvider`.
#[derive(Default, Deserialize)]
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
    #[serde(alias = "clockSkewSeconds")]
    pub clock_skew_seconds: Given<Whole>,
    #[serde(alias = "requireExpiration")]
    pub require_expiration: Given<bool>,
    pub algorithms: Given<Vec<String>>,
    #[serde(alias = "scopeClaims")]
    pub scope_claims: Given<Vec<String>>,
    #[serde(alias = "allowSenderConstrained")]
    pub allow_sender_constrained: Given<bool>,

    #[serde(alias = "fromHeaders")]
    from_headers: Unsupported,
    #[serde(alias = "fromParams")]
    from_params: Unsupported,
    #[serde(alias = "fromCookies")]
    from_cookies: Unsupported,
    subjects: Unsupported,
    #[serde(alias = "maxLifetime")]
    max_lifetime: Unsupported,
    #[serde(alias = "payloadInMetadata")]
    payload_in_metadata: Unsupported,
    #[serde(alias = "headerInMetadata")]
    header_in_metadata: Unsupported,
    #[serde(alias = "failedStatusInMetadata")]
    failed_status_in_metadata: Unsupported,
    #[serde(alias = "normalizePayloadInMetadata")]
    normalize_payload_in_metadata: Unsupported,
    #[serde(alias = "jwtCacheConfig")]
    jwt_cache_config: Unsupported,
    /// Envoy chooses the route anew whenever a Wasm filter changes headers.
    #[serde(alias = "clearRouteCache")]
    clear_route_cache: OnlyBool<true>,
    #[serde(alias = "padForwardPayloadHeader")]
    pad_forward_payload_header: OnlyBool<false>,
}

/// `RemoteJwks`, and what this filter adds beside `cache_duration`.
#[derive(Default, Deserialize)]
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
#[serde(default, deny_unknown_fields, remote = "Self")]
pub struct RawHttpUri {
    pub uri: Given<String>,
    pub cluster: Given<String>,
    pub timeout: Given<Span>,
}

/// `core.v3.RetryPolicy`.
#[derive(Default, Deserialize)]
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
#[serde(default, deny_unknown_fields, remote = "Self")]
pub struct RawBackOff {
    #[serde(alias = "baseInterval")]
    pub base_interval: Given<Span>,
    #[serde(alias = "maxInterval")]
    pub max_interval: Given<Span>,
}

/// `JwksAsyncFetch`.
#[derive(Default, Deserialize)]
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
#[serde(default, deny_unknown_fields, remote = "Self")]
pub struct RawLocalJwks {
    #[serde(alias = "inlineString")]
    pub inline_string: Given<String>,
    #[serde(alias = "inlineBytes")]
    pub inline_bytes: Given<String>,
    pub filename: Given<IgnoredAny>,

    #[serde(alias = "environmentVariable")]
    environment_variable: Unsupported,
    #[serde(alias = "watchedDirectory")]
    watched_directory: Unsupported,
}

/// Addition: where the OpenID provider's metadata name its keys.
#[derive(Default, Deserialize)]
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

/// `JwtClaimToHeader`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, remote = "Self")]
pub struct RawClaimHeader {
    #[serde(alias = "headerName")]
    pub header_name: Given<String>,
    #[serde(alias = "claimName")]
    pub claim_name: Given<String>,
}

/// `RequirementRule`, and the addition `authorize`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, remote = "Self")]
pub struct RawRule {
    #[serde(rename = "match")]
    pub matcher: Given<RawMatch>,
    pub requires: Given<RawRequires>,
    pub authorize: Given<RawAuthorize>,

    #[serde(alias = "requirementName")]
    requirement_name: Unsupported,
}

/// `route.v3.RouteMatch`, and the addition `methods`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, remote = "Self")]
pub struct RawMatch {
    pub prefix: Given<String>,
    pub path: Given<String>,
    pub methods: Given<Vec<String>>,

    #[serde(alias = "safeRegex")]
    safe_regex: Unsupported,
    #[serde(alias = "connectMatcher")]
    connect_matcher: Unsupported,
    #[serde(alias = "pathSeparatedPrefix")]
    path_separated_prefix: Unsupported,
    #[serde(alias = "pathMatchPolicy")]
    path_match_policy: Unsupported,
    #[serde(alias = "caseSensitive")]
    case_sensitive: OnlyBool<true>,
    #[serde(alias = "runtimeFraction")]
    runtime_fraction: Unsupported,
    headers: Unsupported,
    #[serde(alias = "queryParameters")]
    query_parameters: Unsupported,
    cookies: Unsupported,
    grpc: Unsupported,
    #[serde(alias = "tlsContext")]
    tls_context: Unsupported,
    #[serde(alias = "dynamicMetadata")]
    dynamic_metadata: Unsupported,
    #[serde(alias = "filterState")]
    filter_state: Unsupported,
}

/// `JwtRequirement`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, remote = "Self")]
pub struct RawRequires {
    #[serde(alias = "providerName")]
    pub provider_name: Given<String>,

    #[serde(alias = "providerAndAudiences")]
    provider_and_audiences: Unsupported,
    #[serde(alias = "requiresAny")]
    requires_any: Unsupported,
    #[serde(alias = "requiresAll")]
    requires_all: Unsupported,
    #[serde(alias = "allowMissing")]
    allow_missing: Unsupported,
    #[serde(alias = "allowMissingOrFailed")]
    allow_missing_or_failed: Unsupported,
    #[serde(alias = "extractOnlyWithoutValidation")]
    extract_only_without_validation: Unsupported,
}

/// Addition: what a valid token has to allow.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, remote = "Self")]
pub struct RawAuthorize {
    pub scopes: Given<RawScopes>,
    pub claims: Given<Vec<RawClaimRule>>,
}

/// Addition: scopes, all of them or any.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, remote = "Self")]
pub struct RawScopes {
    pub all: Given<Vec<String>>,
    pub any: Given<Vec<String>>,
}

/// Addition: one test of one claim.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, remote = "Self")]
pub struct RawClaimRule {
    pub path: Given<Vec<String>>,
    pub equals: Given<serde_json::Value>,
    pub any: Given<Vec<serde_json::Value>>,
    pub all: Given<Vec<serde_json::Value>>,
    pub exists: Given<bool>,
}

/// Reads each of these from an object only. serde's derived code would take an array as well,
/// its items for the fields in the order in which they happen to be declared here.
macro_rules! objects {
    ($($raw:ident: $expecting:literal,)*) => {$(
        impl<'de> Deserialize<'de> for $raw {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct ObjectVisitor;

                impl<'de> Visitor<'de> for ObjectVisitor {
                    type Value = $raw;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expecting)
                    }

                    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<$raw, A::Error> {
                        // the derived function, which `remote = "Self"` makes an inherent one
                        $raw::deserialize(de::value::MapAccessDeserializer::new(map))
                    }
                }

                deserializer.deserialize_map(ObjectVisitor)
            }
        }
    )*};
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
    RawClaimHeader: "an object with header_name and claim_name",
    RawRule: "a rule, an object",
    RawMatch: "an object with prefix or path",
    RawRequires: "an object with provider_name",
    RawAuthorize: "an object with scopes or claims",
    RawScopes: "an object with all or any",
    RawClaimRule: "an object with path and a test",
}

/// What happens to a request that no rule matches.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RawUnmatched {
    Allow,
    Deny,
}

/// A field that may be left out, but not be `null`.
pub struct Given<T>(pub Option<T>);

impl<T> Default for Given<T> {
    fn default() -> Self {
        Given(None)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Given<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(|value| Given(Some(value)))
    }
}

/// A whole number. The numbers of a Struct are doubles, so `5.0` is one.
#[derive(Clone, Copy)]
pub struct Whole(pub u64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WholeVisitor;

        impl Visitor<'_> for WholeVisitor {
            type Value = Whole;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number from 0")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Whole, E> {
                Ok(Whole(number))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Whole, E> {
                u64::try_from(number)
                    .map(Whole)
                    .map_err(|_| E::invalid_value(de::Unexpected::Signed(number), &self))
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Whole, E> {
                // 2^53: beyond it a double no longer says which whole number was meant
                if number.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(&number) {
                    Ok(Whole(number as u64))
                } else {
                    Err(E::invalid_value(de::Unexpected::Float(number), &self))
                }
            }
        }

        deserializer.deserialize_any(WholeVisitor)
    }
}

/// An object with names of the operator's choice, in the order written, each name once.
pub struct Entries<T>(pub Vec<(String, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for EntriesVisitor<T> {
            type Value = Entries<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of named entries")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries: Vec<(String, T)> = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    if entries.iter().any(|(known, _)| *known == name) {
                        return Err(de::Error::custom(format!("duplicate field `{name}`")));
                    }
                    entries.push((name, map.next_value()?));
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(EntriesVisitor(PhantomData))
    }
}

/// Why a field of jwt_authn is refused.
const UNSUPPORTED: &str = "not supported by this version of bearer-gate";

/// A field that jwt_authn has and this version has not.
#[derive(Default)]
struct Unsupported;

impl<'de> Deserialize<'de> for Unsupported {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // read it, so that a document that is no JSON is reported as such
        IgnoredAny::deserialize(deserializer)?;
        Err(de::Error::custom(UNSUPPORTED))
    }
}

/// A switch of jwt_authn that this version knows in one position: the one that it is in when
/// the field is left out.
#[derive(Default)]
struct OnlyBool<const POSITION: bool>;

impl<'de, const POSITION: bool> Deserialize<'de> for OnlyBool<POSITION> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if bool::deserialize(deserializer)? == POSITION {
            Ok(OnlyBool)
        } else {
            Err(de::Error::custom(UNSUPPORTED))
        }
    }
}
