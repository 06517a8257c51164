//! The messages of the `oauth2` filter: their fields and the fields' kinds (Envoy 1.40).

use super::super::message::{FieldKind, HEADER_MATCHER, HTTP_URI, Message, TEXT_MATCHER};

/// `OAuth2`.
pub(super) static OAUTH2: Message = Message(&[("config", FieldKind::Message(&CONFIG))]);

/// `OAuth2Config`.
pub(super) static CONFIG: Message = Message(&[
    ("token_endpoint", FieldKind::Message(&HTTP_URI)),
    ("retry_policy", FieldKind::Unread),
    ("authorization_endpoint", FieldKind::Text),
    ("end_session_endpoint", FieldKind::Text),
    (
        "post_logout_redirect_uri",
        FieldKind::Message(&POST_LOGOUT_REDIRECT_URI),
    ),
    ("credentials", FieldKind::Message(&CREDENTIALS)),
    ("redirect_uri", FieldKind::Text),
    ("redirect_path_matcher", FieldKind::Message(&PATH_MATCHER)),
    ("signout_path", FieldKind::Message(&PATH_MATCHER)),
    ("forward_bearer_token", FieldKind::Bool),
    ("forward_id_token", FieldKind::Message(&TOKEN_FORWARDING)),
    ("preserve_authorization_header", FieldKind::Bool),
    ("pass_through_matcher", MATCHERS),
    ("auth_scopes", FieldKind::List(&FieldKind::Choice)),
    ("resources", FieldKind::List(&FieldKind::Choice)),
    ("auth_type", FieldKind::Choice),
    ("use_refresh_token", FieldKind::Bool),
    ("default_expires_in", FieldKind::Duration),
    ("deny_redirect_matcher", MATCHERS),
    ("default_refresh_token_expires_in", FieldKind::Duration),
    ("disable_id_token_set_cookie", FieldKind::Bool),
    ("disable_access_token_set_cookie", FieldKind::Bool),
    ("disable_refresh_token_set_cookie", FieldKind::Bool),
    ("cookie_configs", FieldKind::Message(&COOKIE_CONFIGS)),
    ("stat_prefix", FieldKind::Text),
    ("csrf_token_expires_in", FieldKind::Duration),
    ("code_verifier_token_expires_in", FieldKind::Duration),
    ("disable_token_encryption", FieldKind::Bool),
    ("allow_failed_matcher", MATCHERS),
    ("original_request_uri", FieldKind::Text),
    (
        "allowed_redirect_domains",
        FieldKind::List(&FieldKind::Choice),
    ),
    (
        "use_access_token_expiry_for_id_token_cookie",
        FieldKind::Bool,
    ),
    (
        "private_key_jwt_config",
        FieldKind::Message(&PRIVATE_KEY_JWT),
    ),
    ("token_cookie_chunking", FieldKind::Unread),
]);

const MATCHERS: FieldKind = FieldKind::List(&FieldKind::Message(&HEADER_MATCHER));

/// `OAuth2Credentials`.
static CREDENTIALS: Message = Message(&[
    ("client_id", FieldKind::Text),
    ("token_secret", FieldKind::Message(&SECRET)),
    ("hmac_secret", FieldKind::Message(&SECRET)),
    ("cookie_names", FieldKind::Message(&COOKIE_NAMES)),
    ("cookie_domain", FieldKind::Text),
]);

static PRIVATE_KEY_JWT: Message = Message(&[
    ("signing_algorithm", FieldKind::Choice),
    ("assertion_lifetime", FieldKind::Duration),
    ("assertion_audience", FieldKind::Text),
]);

/// `SdsSecretConfig`. What it is fetched from is of no use to a Wasm filter.
static SECRET: Message = Message(&[
    ("name", FieldKind::Text),
    ("sds_config", FieldKind::Needless),
]);

static COOKIE_NAMES: Message = Message(&[
    ("bearer_token", FieldKind::Text),
    ("oauth_hmac", FieldKind::Text),
    ("oauth_expires", FieldKind::Text),
    ("id_token", FieldKind::Text),
    ("refresh_token", FieldKind::Text),
    ("oauth_nonce", FieldKind::Text),
    ("code_verifier", FieldKind::Text),
]);

static COOKIE_CONFIGS: Message = Message(&[
    ("bearer_token_cookie_config", COOKIE),
    ("oauth_hmac_cookie_config", COOKIE),
    ("oauth_expires_cookie_config", COOKIE),
    ("id_token_cookie_config", COOKIE),
    ("refresh_token_cookie_config", COOKIE),
    ("oauth_nonce_cookie_config", COOKIE),
    ("code_verifier_cookie_config", COOKIE),
]);

const COOKIE: FieldKind = FieldKind::Message(&COOKIE_CONFIG);

static COOKIE_CONFIG: Message = Message(&[
    ("same_site", FieldKind::Choice),
    ("path", FieldKind::Text),
    ("partitioned", FieldKind::Bool),
]);

static POST_LOGOUT_REDIRECT_URI: Message =
    Message(&[("disabled", FieldKind::Bool), ("uri", FieldKind::Choice)]);

static TOKEN_FORWARDING: Message = Message(&[("header", FieldKind::Text)]);

/// `type.matcher.v3.PathMatcher`.
static PATH_MATCHER: Message = Message(&[("path", FieldKind::Message(&TEXT_MATCHER))]);
