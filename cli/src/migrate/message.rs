//! The messages of jwt_authn: their fields, and what is in each (Envoy 1.40).
//!
//! Invariant: a field that is not here is not one of jwt_authn's, and is never carried over.

/// What a field holds.
pub enum Kind {
    Bool,
    /// Not negative.
    Whole,
    Signed,
    /// The empty one is as if it was left out.
    Text,
    /// One of several fields, of which one is given: the empty one counts.
    Choice,
    Duration,
    Message(&'static Message),
    List(&'static Kind),
    Map(&'static Message),
    /// What this filter has not: it stays as it is written, for the filter to refuse it by name.
    Unread,
    /// Nothing that decides anything.
    Needless,
}

/// Fields by their names in lower_snake_case.
pub struct Message(pub &'static [(&'static str, Kind)]);

/// `JwtAuthentication`.
pub static AUTHENTICATION: Message = Message(&[
    ("providers", Kind::Map(&PROVIDER)),
    ("rules", Kind::List(&Kind::Message(&RULE))),
    ("filter_state_rules", Kind::Unread),
    ("bypass_cors_preflight", Kind::Bool),
    ("requirement_map", Kind::Map(&REQUIREMENT)),
    ("strip_failure_response", Kind::Bool),
    ("stat_prefix", Kind::Text),
]);

/// `JwtProvider`.
static PROVIDER: Message = Message(&[
    ("issuer", Kind::Text),
    ("audiences", Kind::List(&Kind::Choice)),
    ("subjects", Kind::Message(&TEXT_MATCHER)),
    ("require_expiration", Kind::Bool),
    ("max_lifetime", Kind::Duration),
    ("remote_jwks", Kind::Message(&REMOTE_JWKS)),
    ("local_jwks", Kind::Message(&DATA_SOURCE)),
    ("forward", Kind::Bool),
    ("from_headers", Kind::List(&Kind::Message(&FROM_HEADER))),
    ("from_params", Kind::List(&Kind::Choice)),
    ("from_cookies", Kind::List(&Kind::Choice)),
    ("forward_payload_header", Kind::Text),
    ("pad_forward_payload_header", Kind::Bool),
    ("payload_in_metadata", Kind::Text),
    (
        "normalize_payload_in_metadata",
        Kind::Message(&NORMALIZE_PAYLOAD),
    ),
    ("header_in_metadata", Kind::Text),
    ("failed_status_in_metadata", Kind::Text),
    ("clock_skew_seconds", Kind::Whole),
    ("jwt_cache_config", Kind::Message(&CACHE)),
    (
        "claim_to_headers",
        Kind::List(&Kind::Message(&CLAIM_TO_HEADER)),
    ),
    ("clear_route_cache", Kind::Bool),
]);

static REMOTE_JWKS: Message = Message(&[
    ("http_uri", Kind::Message(&HTTP_URI)),
    ("cache_duration", Kind::Duration),
    ("async_fetch", Kind::Message(&ASYNC_FETCH)),
    ("retry_policy", Kind::Message(&RETRY_POLICY)),
]);

static HTTP_URI: Message = Message(&[
    ("uri", Kind::Text),
    ("cluster", Kind::Choice),
    ("timeout", Kind::Duration),
]);

static ASYNC_FETCH: Message = Message(&[
    ("fast_listener", Kind::Bool),
    ("failed_refetch_duration", Kind::Duration),
]);

static RETRY_POLICY: Message = Message(&[
    ("retry_back_off", Kind::Message(&BACK_OFF)),
    ("num_retries", Kind::Whole),
    ("retry_on", Kind::Text),
    ("retry_priority", Kind::Unread),
    ("retry_host_predicate", Kind::Unread),
    ("host_selection_retry_max_attempts", Kind::Unread),
]);

static BACK_OFF: Message = Message(&[
    ("base_interval", Kind::Duration),
    ("max_interval", Kind::Duration),
]);

static DATA_SOURCE: Message = Message(&[
    ("filename", Kind::Choice),
    ("inline_bytes", Kind::Choice),
    ("inline_string", Kind::Choice),
    ("environment_variable", Kind::Choice),
    ("watched_directory", Kind::Unread),
]);

static FROM_HEADER: Message = Message(&[("name", Kind::Text), ("value_prefix", Kind::Text)]);

static CLAIM_TO_HEADER: Message =
    Message(&[("header_name", Kind::Text), ("claim_name", Kind::Text)]);

static NORMALIZE_PAYLOAD: Message =
    Message(&[("space_delimited_claims", Kind::List(&Kind::Choice))]);

static CACHE: Message = Message(&[
    ("jwt_cache_size", Kind::Whole),
    ("jwt_max_token_size", Kind::Whole),
]);

/// `RequirementRule`.
static RULE: Message = Message(&[
    ("match", Kind::Message(&ROUTE_MATCH)),
    ("requires", Kind::Message(&REQUIREMENT)),
    ("requirement_name", Kind::Choice),
]);

/// `JwtRequirement`.
static REQUIREMENT: Message = Message(&[
    ("provider_name", Kind::Choice),
    (
        "provider_and_audiences",
        Kind::Message(&PROVIDER_AND_AUDIENCES),
    ),
    ("requires_any", Kind::Message(&REQUIREMENTS)),
    ("requires_all", Kind::Message(&REQUIREMENTS)),
    ("allow_missing_or_failed", Kind::Message(&EMPTY)),
    ("allow_missing", Kind::Message(&EMPTY)),
    ("extract_only_without_validation", Kind::Unread),
]);

static PROVIDER_AND_AUDIENCES: Message = Message(&[
    ("provider_name", Kind::Text),
    ("audiences", Kind::List(&Kind::Choice)),
]);

static REQUIREMENTS: Message =
    Message(&[("requirements", Kind::List(&Kind::Message(&REQUIREMENT)))]);

static EMPTY: Message = Message(&[]);

/// `route.v3.RouteMatch`.
static ROUTE_MATCH: Message = Message(&[
    ("prefix", Kind::Choice),
    ("path", Kind::Choice),
    ("safe_regex", Kind::Message(&REGEX)),
    ("path_separated_prefix", Kind::Choice),
    ("path_match_policy", Kind::Unread),
    ("connect_matcher", Kind::Message(&EMPTY)),
    ("case_sensitive", Kind::Bool),
    ("runtime_fraction", Kind::Unread),
    ("headers", Kind::List(&Kind::Message(&HEADER_MATCHER))),
    (
        "query_parameters",
        Kind::List(&Kind::Message(&PARAMETER_MATCHER)),
    ),
    ("cookies", Kind::Unread),
    ("grpc", Kind::Unread),
    ("tls_context", Kind::Unread),
    ("dynamic_metadata", Kind::Unread),
    ("filter_state", Kind::Unread),
]);

static HEADER_MATCHER: Message = Message(&[
    ("name", Kind::Text),
    ("exact_match", Kind::Choice),
    ("safe_regex_match", Kind::Message(&REGEX)),
    ("range_match", Kind::Message(&RANGE)),
    ("present_match", Kind::Bool),
    ("prefix_match", Kind::Choice),
    ("suffix_match", Kind::Choice),
    ("contains_match", Kind::Choice),
    ("string_match", Kind::Message(&TEXT_MATCHER)),
    ("invert_match", Kind::Bool),
    ("treat_missing_header_as_empty", Kind::Bool),
]);

static RANGE: Message = Message(&[("start", Kind::Signed), ("end", Kind::Signed)]);

static PARAMETER_MATCHER: Message = Message(&[
    ("name", Kind::Text),
    ("string_match", Kind::Message(&TEXT_MATCHER)),
    ("present_match", Kind::Bool),
]);

static TEXT_MATCHER: Message = Message(&[
    ("exact", Kind::Choice),
    ("prefix", Kind::Choice),
    ("suffix", Kind::Choice),
    ("safe_regex", Kind::Message(&REGEX)),
    ("contains", Kind::Choice),
    ("custom", Kind::Unread),
    ("ignore_case", Kind::Bool),
]);

static REGEX: Message = Message(&[("google_re2", Kind::Needless), ("regex", Kind::Text)]);
