//! The messages of jwt_authn, and those that other filters share with it: their fields and the
//! fields' kinds (Envoy 1.40).
//!
//! Invariant: a field that is not here is not one of the filter's, and is never carried over.

/// What a field holds.
pub(super) enum FieldKind {
    Bool,
    /// Not negative.
    Whole,
    Signed,
    /// An empty one counts as left out.
    Text,
    /// One of several fields, exactly one of which is given: an empty one counts as given.
    Choice,
    Duration,
    Message(&'static Message),
    List(&'static Self),
    Map(&'static Message),
    /// A field that this filter does not have. It stays as written, so that the filter refuses it by
    /// name.
    Unread,
    /// A field that changes no decision.
    Needless,
}

/// Fields by their names in lower_snake_case.
pub(super) struct Message(pub &'static [(&'static str, FieldKind)]);

/// `JwtAuthentication`.
pub(super) static AUTHENTICATION: Message = Message(&[
    ("providers", FieldKind::Map(&PROVIDER)),
    ("rules", FieldKind::List(&FieldKind::Message(&RULE))),
    ("filter_state_rules", FieldKind::Unread),
    ("bypass_cors_preflight", FieldKind::Bool),
    ("requirement_map", FieldKind::Map(&REQUIREMENT)),
    ("strip_failure_response", FieldKind::Bool),
    ("stat_prefix", FieldKind::Text),
]);

/// `JwtProvider`.
static PROVIDER: Message = Message(&[
    ("issuer", FieldKind::Text),
    ("audiences", FieldKind::List(&FieldKind::Choice)),
    ("subjects", FieldKind::Message(&TEXT_MATCHER)),
    ("require_expiration", FieldKind::Bool),
    ("max_lifetime", FieldKind::Duration),
    ("remote_jwks", FieldKind::Message(&REMOTE_JWKS)),
    ("local_jwks", FieldKind::Message(&DATA_SOURCE)),
    ("forward", FieldKind::Bool),
    (
        "from_headers",
        FieldKind::List(&FieldKind::Message(&FROM_HEADER)),
    ),
    ("from_params", FieldKind::List(&FieldKind::Choice)),
    ("from_cookies", FieldKind::List(&FieldKind::Choice)),
    ("forward_payload_header", FieldKind::Text),
    ("pad_forward_payload_header", FieldKind::Bool),
    ("payload_in_metadata", FieldKind::Text),
    (
        "normalize_payload_in_metadata",
        FieldKind::Message(&NORMALIZE_PAYLOAD),
    ),
    ("header_in_metadata", FieldKind::Text),
    ("failed_status_in_metadata", FieldKind::Text),
    ("clock_skew_seconds", FieldKind::Whole),
    ("jwt_cache_config", FieldKind::Message(&CACHE)),
    (
        "claim_to_headers",
        FieldKind::List(&FieldKind::Message(&CLAIM_TO_HEADER)),
    ),
    ("clear_route_cache", FieldKind::Bool),
]);

static REMOTE_JWKS: Message = Message(&[
    ("http_uri", FieldKind::Message(&HTTP_URI)),
    ("cache_duration", FieldKind::Duration),
    ("async_fetch", FieldKind::Message(&ASYNC_FETCH)),
    ("retry_policy", FieldKind::Message(&RETRY_POLICY)),
]);

pub(super) static HTTP_URI: Message = Message(&[
    ("uri", FieldKind::Text),
    ("cluster", FieldKind::Choice),
    ("timeout", FieldKind::Duration),
]);

static ASYNC_FETCH: Message = Message(&[
    ("fast_listener", FieldKind::Bool),
    ("failed_refetch_duration", FieldKind::Duration),
]);

static RETRY_POLICY: Message = Message(&[
    ("retry_back_off", FieldKind::Message(&BACK_OFF)),
    ("num_retries", FieldKind::Whole),
    ("retry_on", FieldKind::Text),
    ("retry_priority", FieldKind::Unread),
    ("retry_host_predicate", FieldKind::Unread),
    ("host_selection_retry_max_attempts", FieldKind::Unread),
]);

static BACK_OFF: Message = Message(&[
    ("base_interval", FieldKind::Duration),
    ("max_interval", FieldKind::Duration),
]);

static DATA_SOURCE: Message = Message(&[
    ("filename", FieldKind::Choice),
    ("inline_bytes", FieldKind::Choice),
    ("inline_string", FieldKind::Choice),
    ("environment_variable", FieldKind::Choice),
    ("watched_directory", FieldKind::Unread),
]);

static FROM_HEADER: Message =
    Message(&[("name", FieldKind::Text), ("value_prefix", FieldKind::Text)]);

static CLAIM_TO_HEADER: Message = Message(&[
    ("header_name", FieldKind::Text),
    ("claim_name", FieldKind::Text),
]);

static NORMALIZE_PAYLOAD: Message = Message(&[(
    "space_delimited_claims",
    FieldKind::List(&FieldKind::Choice),
)]);

static CACHE: Message = Message(&[
    ("jwt_cache_size", FieldKind::Whole),
    ("jwt_max_token_size", FieldKind::Whole),
]);

/// `RequirementRule`.
static RULE: Message = Message(&[
    ("match", FieldKind::Message(&ROUTE_MATCH)),
    ("requires", FieldKind::Message(&REQUIREMENT)),
    ("requirement_name", FieldKind::Choice),
]);

/// `JwtRequirement`.
static REQUIREMENT: Message = Message(&[
    ("provider_name", FieldKind::Choice),
    (
        "provider_and_audiences",
        FieldKind::Message(&PROVIDER_AND_AUDIENCES),
    ),
    ("requires_any", FieldKind::Message(&REQUIREMENTS)),
    ("requires_all", FieldKind::Message(&REQUIREMENTS)),
    ("allow_missing_or_failed", FieldKind::Message(&EMPTY)),
    ("allow_missing", FieldKind::Message(&EMPTY)),
    ("extract_only_without_validation", FieldKind::Unread),
]);

static PROVIDER_AND_AUDIENCES: Message = Message(&[
    ("provider_name", FieldKind::Text),
    ("audiences", FieldKind::List(&FieldKind::Choice)),
]);

static REQUIREMENTS: Message = Message(&[(
    "requirements",
    FieldKind::List(&FieldKind::Message(&REQUIREMENT)),
)]);

static EMPTY: Message = Message(&[]);

/// `route.v3.RouteMatch`.
static ROUTE_MATCH: Message = Message(&[
    ("prefix", FieldKind::Choice),
    ("path", FieldKind::Choice),
    ("safe_regex", FieldKind::Message(&REGEX)),
    ("path_separated_prefix", FieldKind::Choice),
    ("path_match_policy", FieldKind::Unread),
    ("connect_matcher", FieldKind::Message(&EMPTY)),
    ("case_sensitive", FieldKind::Bool),
    ("runtime_fraction", FieldKind::Unread),
    (
        "headers",
        FieldKind::List(&FieldKind::Message(&HEADER_MATCHER)),
    ),
    (
        "query_parameters",
        FieldKind::List(&FieldKind::Message(&PARAMETER_MATCHER)),
    ),
    ("cookies", FieldKind::Unread),
    ("grpc", FieldKind::Unread),
    ("tls_context", FieldKind::Unread),
    ("dynamic_metadata", FieldKind::Unread),
    ("filter_state", FieldKind::Unread),
]);

pub(super) static HEADER_MATCHER: Message = Message(&[
    ("name", FieldKind::Text),
    ("exact_match", FieldKind::Choice),
    ("safe_regex_match", FieldKind::Message(&REGEX)),
    ("range_match", FieldKind::Message(&RANGE)),
    ("present_match", FieldKind::Bool),
    ("prefix_match", FieldKind::Choice),
    ("suffix_match", FieldKind::Choice),
    ("contains_match", FieldKind::Choice),
    ("string_match", FieldKind::Message(&TEXT_MATCHER)),
    ("invert_match", FieldKind::Bool),
    ("treat_missing_header_as_empty", FieldKind::Bool),
]);

static RANGE: Message = Message(&[("start", FieldKind::Signed), ("end", FieldKind::Signed)]);

static PARAMETER_MATCHER: Message = Message(&[
    ("name", FieldKind::Text),
    ("string_match", FieldKind::Message(&TEXT_MATCHER)),
    ("present_match", FieldKind::Bool),
]);

pub(super) static TEXT_MATCHER: Message = Message(&[
    ("exact", FieldKind::Choice),
    ("prefix", FieldKind::Choice),
    ("suffix", FieldKind::Choice),
    ("safe_regex", FieldKind::Message(&REGEX)),
    ("contains", FieldKind::Choice),
    ("custom", FieldKind::Unread),
    ("ignore_case", FieldKind::Bool),
]);

static REGEX: Message = Message(&[
    ("google_re2", FieldKind::Needless),
    ("regex", FieldKind::Text),
]);
