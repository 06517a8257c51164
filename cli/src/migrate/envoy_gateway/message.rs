//! The message of Envoy Gateway's policy (`gateway.envoyproxy.io/v1alpha1`), as `read` reads messages.

use super::super::message::{FieldKind, Message};

const TEXTS: FieldKind = FieldKind::List(&FieldKind::Choice);

/// `SecurityPolicySpec`.
pub(super) static SECURITY_POLICY: Message = Message(&[
    ("target_ref", FieldKind::Message(&TARGET)),
    ("target_refs", FieldKind::List(&FieldKind::Message(&TARGET))),
    ("target_selectors", FieldKind::Unread),
    ("merge_type", FieldKind::Unread),
    ("api_key_auth", FieldKind::Unread),
    ("cors", FieldKind::Needless),
    ("csrf", FieldKind::Unread),
    ("basic_auth", FieldKind::Unread),
    ("jwt", FieldKind::Message(&JWT)),
    ("oidc", FieldKind::Message(&OIDC)),
    ("ext_auth", FieldKind::Unread),
    ("authorization", FieldKind::Message(&AUTHORIZATION)),
]);

static TARGET: Message = Message(&[
    ("group", FieldKind::Text),
    ("kind", FieldKind::Text),
    ("name", FieldKind::Text),
    ("section_name", FieldKind::Text),
]);

static JWT: Message = Message(&[
    ("optional", FieldKind::Bool),
    ("fail_open", FieldKind::Bool),
    ("providers", FieldKind::List(&FieldKind::Message(&PROVIDER))),
]);

static PROVIDER: Message = Message(&[
    ("name", FieldKind::Text),
    ("issuer", FieldKind::Text),
    ("audiences", TEXTS),
    ("remoteJWKS", FieldKind::Message(&REMOTE_JWKS)),
    ("localJWKS", FieldKind::Message(&LOCAL_JWKS)),
    (
        "claim_to_headers",
        FieldKind::List(&FieldKind::Message(&CLAIM_TO_HEADER)),
    ),
    ("recompute_route", FieldKind::Bool),
    ("extract_from", FieldKind::Message(&EXTRACT_FROM)),
]);

/// Durations are those of Go.
static REMOTE_JWKS: Message = Message(&[
    ("uri", FieldKind::Text),
    ("cache_duration", FieldKind::Text),
    ("failed_refetch_duration", FieldKind::Text),
    ("backend_refs", FieldKind::Unread),
    ("backend_settings", FieldKind::Unread),
]);

static LOCAL_JWKS: Message = Message(&[
    ("type", FieldKind::Text),
    ("inline", FieldKind::Text),
    ("value_ref", FieldKind::Unread),
]);

static CLAIM_TO_HEADER: Message =
    Message(&[("header", FieldKind::Text), ("claim", FieldKind::Text)]);

static EXTRACT_FROM: Message = Message(&[
    (
        "headers",
        FieldKind::List(&FieldKind::Message(&HEADER_EXTRACTOR)),
    ),
    ("cookies", TEXTS),
    ("params", TEXTS),
]);

static HEADER_EXTRACTOR: Message =
    Message(&[("name", FieldKind::Text), ("value_prefix", FieldKind::Text)]);

/// `OIDC`. Durations are those of Go.
static OIDC: Message = Message(&[
    ("provider", FieldKind::Message(&OIDC_PROVIDER)),
    ("clientID", FieldKind::Text),
    ("clientIDRef", FieldKind::Unread),
    ("client_secret", FieldKind::Message(&SECRET)),
    ("cookie_names", FieldKind::Message(&COOKIE_NAMES)),
    ("cookie_config", FieldKind::Message(&COOKIE_CONFIG)),
    ("cookie_domain", FieldKind::Text),
    ("scopes", TEXTS),
    ("resources", TEXTS),
    ("redirectURL", FieldKind::Text),
    ("deny_redirect", FieldKind::Message(&DENY_REDIRECT)),
    ("logout_path", FieldKind::Text),
    ("forward_access_token", FieldKind::Bool),
    ("forwardIDToken", FieldKind::Message(&TOKEN_FORWARDING)),
    ("defaultTokenTTL", FieldKind::Text),
    ("refresh_token", FieldKind::Bool),
    ("defaultRefreshTokenTTL", FieldKind::Text),
    ("csrfTokenTTL", FieldKind::Text),
    ("disable_token_encryption", FieldKind::Bool),
    ("pass_through_auth_header", FieldKind::Bool),
]);

static OIDC_PROVIDER: Message = Message(&[
    ("issuer", FieldKind::Text),
    ("authorization_endpoint", FieldKind::Text),
    ("token_endpoint", FieldKind::Text),
    ("end_session_endpoint", FieldKind::Text),
    ("backend_refs", FieldKind::Unread),
    ("backend_settings", FieldKind::Unread),
]);

/// A reference to a Secret, which is never read.
static SECRET: Message = Message(&[
    ("group", FieldKind::Text),
    ("kind", FieldKind::Text),
    ("name", FieldKind::Text),
    ("namespace", FieldKind::Text),
]);

static COOKIE_NAMES: Message = Message(&[
    ("access_token", FieldKind::Text),
    ("id_token", FieldKind::Text),
]);

static COOKIE_CONFIG: Message = Message(&[("same_site", FieldKind::Text)]);

static DENY_REDIRECT: Message = Message(&[(
    "headers",
    FieldKind::List(&FieldKind::Message(&STRING_MATCH)),
)]);

static STRING_MATCH: Message = Message(&[
    ("name", FieldKind::Text),
    ("type", FieldKind::Text),
    ("value", FieldKind::Text),
]);

static TOKEN_FORWARDING: Message = Message(&[("header", FieldKind::Text)]);

static AUTHORIZATION: Message = Message(&[
    ("rules", FieldKind::List(&FieldKind::Message(&RULE))),
    ("default_action", FieldKind::Text),
]);

static RULE: Message = Message(&[
    ("name", FieldKind::Text),
    ("action", FieldKind::Text),
    ("operation", FieldKind::Message(&OPERATION)),
    ("principal", FieldKind::Message(&PRINCIPAL)),
    ("cel", FieldKind::Unread),
]);

static OPERATION: Message = Message(&[("methods", TEXTS), ("path", FieldKind::Message(&PATH))]);

static PATH: Message = Message(&[
    ("type", FieldKind::Text),
    ("value", FieldKind::Text),
    ("invert", FieldKind::Bool),
]);

static PRINCIPAL: Message = Message(&[
    ("clientCIDRs", FieldKind::Unread),
    ("clientIPGeoLocations", FieldKind::Unread),
    ("jwt", FieldKind::Message(&JWT_PRINCIPAL)),
    ("headers", FieldKind::List(&FieldKind::Message(&HEADER))),
]);

static HEADER: Message = Message(&[("name", FieldKind::Text), ("values", TEXTS)]);

static JWT_PRINCIPAL: Message = Message(&[
    ("provider", FieldKind::Text),
    ("claims", FieldKind::List(&FieldKind::Message(&CLAIM))),
    ("scopes", TEXTS),
]);

static CLAIM: Message = Message(&[
    ("name", FieldKind::Text),
    ("value_type", FieldKind::Text),
    ("values", TEXTS),
]);
