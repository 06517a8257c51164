//! The messages of Istio's policies (`security.istio.io/v1`), as `read` reads messages.

use super::super::message::{FieldKind, Message};

const TEXTS: FieldKind = FieldKind::List(&FieldKind::Choice);

/// `RequestAuthentication`.
pub(super) static REQUEST_AUTHENTICATION: Message = Message(&[
    ("selector", FieldKind::Message(&SELECTOR)),
    ("target_ref", FieldKind::Message(&TARGET)),
    ("target_refs", FieldKind::List(&FieldKind::Message(&TARGET))),
    ("jwt_rules", FieldKind::List(&FieldKind::Message(&JWT_RULE))),
]);

/// `WorkloadSelector`; labels have names of their own.
static SELECTOR: Message = Message(&[("match_labels", FieldKind::Unread)]);

/// `PolicyTargetReference`.
static TARGET: Message = Message(&[
    ("group", FieldKind::Text),
    ("kind", FieldKind::Text),
    ("name", FieldKind::Text),
    ("namespace", FieldKind::Text),
]);

/// `JWTRule`.
static JWT_RULE: Message = Message(&[
    ("issuer", FieldKind::Text),
    ("audiences", TEXTS),
    ("jwks_uri", FieldKind::Text),
    ("jwks", FieldKind::Text),
    (
        "from_headers",
        FieldKind::List(&FieldKind::Message(&JWT_HEADER)),
    ),
    ("from_params", TEXTS),
    ("from_cookies", TEXTS),
    ("output_payload_to_header", FieldKind::Text),
    (
        "output_claim_to_headers",
        FieldKind::List(&FieldKind::Message(&CLAIM_TO_HEADER)),
    ),
    ("forward_original_token", FieldKind::Bool),
    ("timeout", FieldKind::Duration),
    ("space_delimited_claims", TEXTS),
]);

static JWT_HEADER: Message = Message(&[("name", FieldKind::Text), ("prefix", FieldKind::Text)]);

static CLAIM_TO_HEADER: Message =
    Message(&[("header", FieldKind::Text), ("claim", FieldKind::Text)]);

/// `AuthorizationPolicy`.
pub(super) static AUTHORIZATION_POLICY: Message = Message(&[
    ("selector", FieldKind::Message(&SELECTOR)),
    ("target_ref", FieldKind::Message(&TARGET)),
    ("target_refs", FieldKind::List(&FieldKind::Message(&TARGET))),
    ("rules", FieldKind::List(&FieldKind::Message(&RULE))),
    ("action", FieldKind::Text),
    ("provider", FieldKind::Unread),
]);

static RULE: Message = Message(&[
    ("from", FieldKind::List(&FieldKind::Message(&FROM))),
    ("to", FieldKind::List(&FieldKind::Message(&TO))),
    ("when", FieldKind::List(&FieldKind::Message(&CONDITION))),
]);

static FROM: Message = Message(&[("source", FieldKind::Message(&SOURCE))]);

static SOURCE: Message = Message(&[
    ("principals", TEXTS),
    ("not_principals", TEXTS),
    ("request_principals", TEXTS),
    ("not_request_principals", TEXTS),
    ("namespaces", TEXTS),
    ("not_namespaces", TEXTS),
    ("ip_blocks", TEXTS),
    ("not_ip_blocks", TEXTS),
    ("remote_ip_blocks", TEXTS),
    ("not_remote_ip_blocks", TEXTS),
    ("service_accounts", TEXTS),
    ("not_service_accounts", TEXTS),
    ("trust_domains", TEXTS),
    ("not_trust_domains", TEXTS),
]);

static TO: Message = Message(&[("operation", FieldKind::Message(&OPERATION))]);

static OPERATION: Message = Message(&[
    ("hosts", TEXTS),
    ("not_hosts", TEXTS),
    ("ports", TEXTS),
    ("not_ports", TEXTS),
    ("methods", TEXTS),
    ("not_methods", TEXTS),
    ("paths", TEXTS),
    ("not_paths", TEXTS),
]);

static CONDITION: Message = Message(&[
    ("key", FieldKind::Text),
    ("values", TEXTS),
    ("not_values", TEXTS),
]);
