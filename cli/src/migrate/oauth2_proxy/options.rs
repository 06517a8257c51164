//! The options of oauth2-proxy (7.x), and how its file is read.
//!
//! Invariant: an option that is not in the list is open.

use crate::document::{Entry, Node, Yaml};
use crate::duration;
use toml::de::{DeTable, DeValue};

/// What becomes of an option.
pub(super) enum Fate {
    /// It is converted, or says something about one that is.
    Used,
    LeftOut(&'static str),
    Differs(&'static str),
    Open(&'static str),
}

use Fate::{Differs, LeftOut, Open, Used};

const LOGS: Fate = LeftOut("Envoy has access logs of its own");
const OF_ENVOY: Fate = LeftOut("is a setting of Envoy's listener, routes or clusters");
const PAGES: Fate =
    LeftOut("the filter's pages are its own; error_redirect_path leads to one of yours");
const REDIS: Fate = LeftOut(
    "a session is in the browser, sealed; where it fits no cookies, or a sign-out must hold in every Envoy, see shared_store",
);
const ALWAYS_CHECKED: Fate = LeftOut("is always checked");
const BASIC: Fate =
    Differs("the upstream gets no Authorization: Basic of a person: have it read x-forwarded-user");
const MORE_PEOPLE: Fate =
    Open("lets people in by another way than the provider: there is none here");
const FEWER_PEOPLE: Fate = Open(
    "keeps people out by what the provider's API says of them: have the provider put that into a claim, and say it with authorize",
);

/// Every option, in the words of the file.
pub(super) const KNOWN: &[(&str, Fate)] = &[
    ("provider", Used),
    ("oidc_issuer_url", Used),
    ("client_id", Used),
    ("client_secret", Used),
    ("client_secret_file", Used),
    ("cookie_secret", Used),
    ("cookie_secret_file", Used),
    ("cookie_domains", Used),
    ("cookie_expire", Used),
    ("cookie_samesite", Used),
    ("cookie_path", Used),
    ("email_domains", Used),
    ("allowed_groups", Used),
    ("scope", Used),
    ("skip_auth_routes", Used),
    ("skip_auth_regex", Used),
    ("skip_auth_preflight", Used),
    ("api_routes", Used),
    ("skip_jwt_bearer_tokens", Used),
    ("redirect_url", Used),
    ("proxy_prefix", Used),
    ("whitelist_domains", Used),
    ("prompt", Used),
    ("acr_values", Used),
    ("login_url", Used),
    ("redeem_url", Used),
    ("oidc_jwks_url", Used),
    ("skip_oidc_discovery", Used),
    ("oidc_email_claim", Used),
    ("oidc_groups_claim", Used),
    ("oidc_extra_audiences", Used),
    ("pass_user_headers", Used),
    ("insecure_oidc_allow_unverified_email", Used),
    (
        "cookie_refresh",
        Differs("a session is refreshed with use_refresh_token only, and before its tokens end"),
    ),
    (
        "pass_access_token",
        Differs(
            "the upstream gets the access token in Authorization, not in X-Forwarded-Access-Token",
        ),
    ),
    (
        "pass_authorization_header",
        Open(
            "the ID token is forwarded in a header of its own only: write forward_id_token_header, and have the upstream read that",
        ),
    ),
    (
        "set_authorization_header",
        LeftOut("is for nginx's auth_request"),
    ),
    (
        "set_xauthrequest",
        LeftOut("is for nginx's auth_request; the upstream gets x-forwarded-user and the others"),
    ),
    ("set_basic_auth", LeftOut("is for nginx's auth_request")),
    ("pass_basic_auth", BASIC),
    ("basic_auth_password", BASIC),
    (
        "prefer_email_to_user",
        Differs("x-forwarded-user has the sub: name another claim in claim_to_headers"),
    ),
    (
        "extra_jwt_issuers",
        Open(
            "are providers of their own, each with a cluster: write them, and name them in requires_any",
        ),
    ),
    (
        "backend_logout_url",
        LeftOut("the browser signs out at the provider's end_session_endpoint"),
    ),
    (
        "reverse_proxy",
        Differs(
            "X-Forwarded-Host and the like are not looked at: the proxy in front of Envoy must leave Host as it is",
        ),
    ),
    (
        "trusted_ips",
        Open(
            "lets addresses in without a session: Envoy's RBAC filter knows addresses, and rules do not",
        ),
    ),
    ("trusted_proxy_ips", OF_ENVOY),
    ("real_client_ip_header", OF_ENVOY),
    ("htpasswd_file", MORE_PEOPLE),
    ("htpasswd_user_groups", MORE_PEOPLE),
    ("display_htpasswd_form", PAGES),
    (
        "authenticated_emails_file",
        Open("is a list of people: say with authorize, by a claim, who may"),
    ),
    (
        "allowed_roles",
        Open(
            "are groups that begin with role: there: say with authorize, by realm_access.roles, who may",
        ),
    ),
    (
        "oidc_roles_claim",
        Open("is about allowed_roles: say it with authorize"),
    ),
    ("oidc_audience_claims", Open("the audience is aud here")),
    (
        "azure_tenant",
        Open("is a part of the issuer: write it there"),
    ),
    ("entra_id_allowed_tenants", Used),
    ("github_org", FEWER_PEOPLE),
    ("github_team", FEWER_PEOPLE),
    ("github_repo", FEWER_PEOPLE),
    ("github_token", FEWER_PEOPLE),
    ("github_users", FEWER_PEOPLE),
    ("gitlab_groups", FEWER_PEOPLE),
    ("gitlab_projects", FEWER_PEOPLE),
    ("google_groups", FEWER_PEOPLE),
    ("google_admin_email", FEWER_PEOPLE),
    ("google_service_account_json", FEWER_PEOPLE),
    (
        "profile_url",
        Differs("claims are those of the ID token; UserInfo is not asked"),
    ),
    (
        "skip_claims_from_profile_url",
        LeftOut("claims are those of the ID token"),
    ),
    ("validate_url", LeftOut("claims are those of the ID token")),
    (
        "resource",
        Open("is a parameter of Azure AD: write resources"),
    ),
    ("code_challenge_method", LeftOut("is always S256")),
    ("force_code_challenge_method", LeftOut("is always S256")),
    (
        "approval_prompt",
        LeftOut("is of OAuth before OpenID Connect: say prompt"),
    ),
    ("encode_state", LeftOut("state is always base64url")),
    ("insecure_oidc_skip_issuer_verification", ALWAYS_CHECKED),
    ("insecure_oidc_skip_nonce", ALWAYS_CHECKED),
    ("ssl_insecure_skip_verify", ALWAYS_CHECKED),
    ("provider_ca_files", OF_ENVOY),
    ("use_system_trust_store", OF_ENVOY),
    (
        "skip_provider_button",
        LeftOut("people are sent to the provider at once"),
    ),
    ("provider_display_name", PAGES),
    ("custom_templates_dir", PAGES),
    ("custom_sign_in_logo", PAGES),
    ("banner", PAGES),
    ("footer", PAGES),
    ("show_debug_on_error", PAGES),
    (
        "force_json_errors",
        Differs(
            "a script gets JSON, a browser that opens a page is sent to sign in: unauthenticated: unauthorized is for nobody to be sent",
        ),
    ),
    (
        "cookie_name",
        LeftOut("the cookie is __Host-Http-bg_session_web"),
    ),
    ("cookie_secure", LeftOut("a cookie is always Secure")),
    ("cookie_httponly", LeftOut("a cookie is always HttpOnly")),
    (
        "cookie_csrf_per_request",
        LeftOut("any number of tabs sign in at once"),
    ),
    (
        "cookie_csrf_per_request_limit",
        LeftOut("any number of tabs sign in at once"),
    ),
    ("cookie_csrf_expire", LeftOut("a sign-in has ten minutes")),
    ("cookie_csrf_samesite", LeftOut("is Lax")),
    (
        "session_cookie_minimal",
        LeftOut("tokens are kept only where something needs them"),
    ),
    ("session_store_type", REDIS),
    ("redis_connection_url", REDIS),
    ("redis_password", REDIS),
    ("redis_use_sentinel", REDIS),
    ("redis_use_cluster", REDIS),
    ("redis_sentinel_master_name", REDIS),
    ("redis_sentinel_connection_urls", REDIS),
    ("redis_cluster_connection_urls", REDIS),
    ("upstreams", OF_ENVOY),
    ("upstream_timeout", OF_ENVOY),
    ("pass_host_header", OF_ENVOY),
    ("proxy_websockets", OF_ENVOY),
    ("flush_interval", OF_ENVOY),
    ("ssl_upstream_insecure_skip_verify", OF_ENVOY),
    ("http_address", OF_ENVOY),
    ("https_address", OF_ENVOY),
    ("metrics_address", OF_ENVOY),
    ("tls_cert_file", OF_ENVOY),
    ("tls_key_file", OF_ENVOY),
    ("tls_min_version", OF_ENVOY),
    ("tls_cipher_suites", OF_ENVOY),
    ("force_https", OF_ENVOY),
    ("ping_path", OF_ENVOY),
    ("ready_path", OF_ENVOY),
    (
        "ping_user_agent",
        Open(
            "lets whoever sends this User-Agent through: Envoy's health_check filter answers probes",
        ),
    ),
    ("allow_query_semicolons", OF_ENVOY),
    ("request_id_header", LOGS),
    ("auth_logging", LOGS),
    ("auth_logging_format", LOGS),
    ("request_logging", LOGS),
    ("request_logging_format", LOGS),
    ("standard_logging", LOGS),
    ("standard_logging_format", LOGS),
    ("silence_ping_logging", LOGS),
    ("exclude_logging_paths", LOGS),
    ("errors_to_info_log", LOGS),
    ("logging_filename", LOGS),
    ("logging_max_size", LOGS),
    ("logging_max_age", LOGS),
    ("logging_max_backups", LOGS),
    ("logging_local_time", LOGS),
    ("logging_compress", LOGS),
    (
        "skip_auth_strip_headers",
        Differs(
            "the headers that claim_to_headers names are taken out of every request, on public paths too",
        ),
    ),
    (
        "relative_redirect_url",
        LeftOut("the host is that of the request"),
    ),
];

/// Reads the file, TOML, as a tree that knows its lines.
///
/// # Errors
/// The line and what is wrong there.
pub(super) fn parse(text: &str) -> Result<Node, (usize, String)> {
    let line_at = |at: usize| {
        let before = text.get(..at).unwrap_or_default();
        before.matches('\n').count() + 1
    };
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        (line_at(at), error.message().to_owned())
    })?;
    let entries = table.get_ref().iter().map(|(name, value)| Entry {
        name: name.get_ref().to_string(),
        line: line_at(name.span().start),
        column: 1,
        node: node(value.get_ref(), line_at(value.span().start), &line_at),
        note: None,
    });
    let mut entries: Vec<Entry> = entries.collect();
    entries.sort_by_key(|entry| entry.line);
    Ok(Node {
        line: 1,
        column: 1,
        yaml: Yaml::Map(entries),
    })
}

fn node(value: &DeValue<'_>, line: usize, line_at: &dyn Fn(usize) -> usize) -> Node {
    let yaml = match value {
        DeValue::String(text) => Yaml::Text(text.to_string()),
        DeValue::Boolean(value) => Yaml::Bool(*value),
        DeValue::Integer(number) => Yaml::Text(number.as_str().to_owned()),
        DeValue::Array(items) => {
            let items = items
                .iter()
                .map(|item| node(item.get_ref(), line_at(item.span().start), line_at));
            Yaml::List(items.collect())
        }
        // No option is any of these.
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => Yaml::Null,
    };
    Node {
        line,
        column: 1,
        yaml,
    }
}

/// A duration of Go's in seconds, rounded down: `168h0m0s`, `15m`, `0`.
pub(in super::super) fn seconds(text: &str) -> Option<u64> {
    let seconds = duration::seconds_of_go(text)?;
    // At most 1e10, and not below 0.
    Some(seconds as u64)
}
