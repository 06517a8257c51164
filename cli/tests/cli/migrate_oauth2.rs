//! `migrate` of Envoy's `oauth2` filter: what comes out is a good configuration, and each change is
//! said with its line.

use bearer_gate::config::Config;
use serde_json::Value;

use super::{Files, run};

/// Fields that a table puts something in place of stand on lines of their own.
pub(super) const OAUTH2: &str = r#"http_filters:
- name: envoy.filters.http.oauth2
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.oauth2.v3.OAuth2
    config:
      token_endpoint: {cluster: idp, uri: https://kc.example/realms/a/protocol/openid-connect/token, timeout: 3s}
      authorization_endpoint: https://kc.example/realms/a/protocol/openid-connect/auth
      redirect_uri: https://app.example.com/callback
      redirect_path_matcher: {path: {exact: /callback}}
      signout_path: {path: {exact: /signout}}
      use_refresh_token: false
      preserve_authorization_header: true
      auth_scopes: [openid, email]
      credentials:
        client_id: web
        token_secret: {name: token, sds_config: {path: /etc/token.yaml}}
        hmac_secret: {name: hmac, sds_config: {path: /etc/hmac.yaml}}
"#;

pub(super) const JWT_AUTHN: &str = r#"- name: envoy.filters.http.jwt_authn
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication
    providers:
      kc:
        issuer: https://kc.example/realms/a
        require_expiration: true
        from_cookies: [IdToken]
        audiences: [web]
        remote_jwks: {http_uri: {uri: https://kc.example/certs, cluster: idp, timeout: 5s}}
    rules:
    - match: {prefix: /api}
      requires: {provider_name: kc}
"#;

/// What is always said: where the secrets go.
const SECRETS: [&str; 2] = [
    "added config.credentials.token_secret",
    "added config.credentials.hmac_secret",
];

pub(super) struct Migrated {
    pub(super) code: i32,
    pub(super) said: Vec<String>,
    pub(super) config: Value,
}

pub(super) fn migrate(text: &str, more: &[&str]) -> Migrated {
    let files = Files::in_a_directory();
    let file = files.with("envoy.yaml", text);
    let mut arguments = vec!["migrate", "--json", &file];
    arguments.extend(more);
    let ran = run(&arguments);
    let report = ran.json();
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let changes = report[0]["changes"].as_array().unwrap().iter();
    let said = changes
        .map(|change| {
            let (kind, path) = (word(&change["kind"]), word(&change["path"]));
            format!("{} {kind} {path}", change["line"])
        })
        .filter(|said| !SECRETS.iter().any(|secret| said.ends_with(secret)));
    Migrated {
        code: ran.code,
        said: said.collect(),
        config: report[0]["config"].clone(),
    }
}

/// The configuration as Envoy with its variables takes it.
pub(super) fn parse(config: &Value) -> Result<Config, bearer_gate::config::ConfigError> {
    // The form of a private key, without a number in it.
    const NO_KEY: &str = "MBwCAQAwEwYHKoZIzj0CAQYIKoZIzj0DAQcEAjAA";
    let key = "/sign_in/schemes/web/credentials/private_key/environment_variable";
    let environment = |name: &str| match config.pointer(key) {
        Some(key) if key == name => Some(NO_KEY.to_owned()),
        _ => Some(format!("{name}, a secret of 32 bytes or more")),
    };
    Config::parse_in(config.to_string().as_bytes(), &environment)
}

#[test]
fn what_comes_out_is_taken() {
    let plain = migrate(OAUTH2, &[]);
    assert_eq!(plain.code, 0);
    assert_eq!(plain.said, ["7 added config.authorization_endpoint"]);
    let scheme = &plain.config["sign_in"]["schemes"]["web"];
    assert_eq!(scheme["auth_type"], "URL_ENCODED_BODY");
    assert_eq!(scheme["redirect_uri"], "https://app.example.com/callback");
    assert_eq!(
        scheme["credentials"]["token_secret"]["environment_variable"],
        "BG_TOKEN"
    );
    assert_eq!(
        plain.config["providers"]["idp"]["issuer"],
        "https://kc.example/realms/a"
    );
    let config = parse(&plain.config).unwrap();
    assert!(config.sign_in.is_some());

    let pair = migrate(&format!("{OAUTH2}{JWT_AUTHN}"), &[]);
    assert_eq!(pair.code, 0);
    assert_eq!(pair.said, ["25 differs providers.kc.from_cookies"]);
    assert_eq!(
        pair.config["sign_in"]["schemes"]["web"]["provider_name"],
        "kc"
    );
    parse(&pair.config).unwrap();
}

/// A field: what stands for it, the exit code, what is said, and a place in the new configuration
/// with what is there.
type Row<'r> = (&'r str, &'r str, i32, &'r [&'r str], (&'r str, Value));

/// A field that is added: the exit code, what is said, and as in [`Row`].
type Added<'r> = (&'r str, i32, Vec<&'r str>, (String, Value));

fn table(rows: &[Row<'_>], base: &str, more: &[&str]) {
    let usual = migrate(base, more).said;
    for (old, new, code, expected, (pointer, value)) in rows {
        let text = base.replacen(old, new, 1);
        assert_ne!(&text, base, "{old}");
        let ran = migrate(&text, more);
        let said: Vec<&str> = ran
            .said
            .iter()
            .filter(|said| !usual.contains(said))
            .map(String::as_str)
            .collect();
        assert_eq!((ran.code, said.as_slice()), (*code, *expected), "{new}");
        assert_eq!(
            ran.config.pointer(pointer).unwrap_or(&Value::Null),
            value,
            "{new}: {:#}",
            ran.config
        );
        let parsed = parse(&ran.config);
        assert_eq!(parsed.is_ok(), *code == 0, "{new}: {:?}", parsed.err());
    }
}

#[test]
fn each_field_of_oauth2() {
    use serde_json::json;
    let with = |field: &str| format!("signout_path: {{path: {{exact: /signout}}}}\n      {field}");
    let scheme = |field: &str| format!("/sign_in/schemes/web/{field}");
    let place = "signout_path: {path: {exact: /signout}}";
    let nothing = || ("/nothing".to_owned(), Value::Null);
    // On line 11, after signout_path.
    let added: Vec<Added<'_>> = vec![
        (
            "retry_policy: {num_retries: 3}",
            0,
            vec!["11 left_out config.retry_policy"],
            nothing(),
        ),
        (
            "default_expires_in: 60s",
            0,
            vec!["11 left_out config.default_expires_in"],
            nothing(),
        ),
        (
            "default_refresh_token_expires_in: 60s",
            0,
            vec!["11 left_out config.default_refresh_token_expires_in"],
            nothing(),
        ),
        (
            "disable_id_token_set_cookie: true",
            0,
            vec!["11 left_out config.disable_id_token_set_cookie"],
            nothing(),
        ),
        (
            "disable_access_token_set_cookie: true",
            0,
            vec!["11 left_out config.disable_access_token_set_cookie"],
            nothing(),
        ),
        (
            "disable_refresh_token_set_cookie: true",
            0,
            vec!["11 left_out config.disable_refresh_token_set_cookie"],
            nothing(),
        ),
        (
            "disable_token_encryption: true",
            0,
            vec!["11 left_out config.disable_token_encryption"],
            nothing(),
        ),
        (
            "use_access_token_expiry_for_id_token_cookie: true",
            0,
            vec!["11 left_out config.use_access_token_expiry_for_id_token_cookie"],
            nothing(),
        ),
        (
            "token_cookie_chunking: {max_chunks: 3}",
            0,
            vec!["11 left_out config.token_cookie_chunking"],
            nothing(),
        ),
        (
            "stat_prefix: x",
            0,
            vec!["11 left_out config.stat_prefix"],
            nothing(),
        ),
        (
            "csrf_token_expires_in: 60s",
            0,
            vec!["11 differs config.csrf_token_expires_in"],
            nothing(),
        ),
        (
            "code_verifier_token_expires_in: 60s",
            0,
            vec!["11 differs config.code_verifier_token_expires_in"],
            nothing(),
        ),
        (
            "original_request_uri: https://x.example",
            0,
            vec!["11 differs config.original_request_uri"],
            nothing(),
        ),
        (
            "end_session_endpoint: https://kc.example/logout",
            0,
            vec![],
            (
                scheme("end_session_endpoint"),
                json!("https://kc.example/logout"),
            ),
        ),
        (
            "post_logout_redirect_uri: {uri: 'https://app.example.com/bye'}",
            0,
            vec!["11 differs config.post_logout_redirect_uri"],
            (scheme("post_logout_redirect_path"), json!("/bye")),
        ),
        (
            "post_logout_redirect_uri: {disabled: true}",
            0,
            vec!["11 differs config.post_logout_redirect_uri"],
            nothing(),
        ),
        (
            "resources: [https://api.example]",
            0,
            vec![],
            (scheme("resources"), json!(["https://api.example"])),
        ),
        (
            "resources: [x]",
            1,
            vec!["11 open sign_in.schemes.web.resources[0]"],
            nothing(),
        ),
        (
            "auth_type: BASIC_AUTH",
            0,
            vec![],
            (scheme("auth_type"), json!("BASIC_AUTH")),
        ),
        (
            "auth_type: PRIVATE_KEY_JWT",
            0,
            vec![],
            (
                scheme("credentials"),
                json!({"client_id": "web", "private_key": {"environment_variable": "BG_TOKEN"}, "assertion_audience": "ENDPOINT"}),
            ),
        ),
        (
            "private_key_jwt_config: {}",
            0,
            vec![],
            (scheme("credentials/private_key"), Value::Null),
        ),
        (
            "auth_type: PRIVATE_KEY_JWT\n      private_key_jwt_config: {signing_algorithm: ES256, assertion_audience: https://kc.example/realms/a/protocol/openid-connect/token}",
            0,
            vec![],
            (scheme("credentials/assertion_audience"), json!("ENDPOINT")),
        ),
        (
            "auth_type: PRIVATE_KEY_JWT\n      private_key_jwt_config: {assertion_audience: https://kc.example/realms/a, assertion_lifetime: 30s}",
            0,
            vec!["12 left_out config.private_key_jwt_config.assertion_lifetime"],
            (scheme("credentials/assertion_audience"), Value::Null),
        ),
        (
            "auth_type: PRIVATE_KEY_JWT\n      private_key_jwt_config: {assertion_audience: https://kc.example}",
            1,
            vec!["12 open config.private_key_jwt_config.assertion_audience"],
            nothing(),
        ),
        (
            "auth_type: PRIVATE_KEY_JWT\n      private_key_jwt_config: {signing_algorithm: RS512}",
            0,
            vec!["12 differs config.private_key_jwt_config.signing_algorithm"],
            nothing(),
        ),
        (
            "auth_type: PRIVATE_KEY_JWT\n      private_key_jwt_config: {signing_algorithm: ES384}",
            1,
            vec!["12 open config.private_key_jwt_config.signing_algorithm"],
            nothing(),
        ),
        (
            "forward_id_token: {header: x-id}",
            0,
            vec![],
            (scheme("forward_id_token_header"), json!("x-id")),
        ),
        (
            "forward_id_token: {header: Authorization}",
            1,
            vec!["11 open config.forward_id_token.header"],
            nothing(),
        ),
        (
            "allowed_redirect_domains: [b.example.com]",
            0,
            vec![],
            (
                "/sign_in/allowed_redirect_domains".to_owned(),
                json!(["app.example.com", "b.example.com"]),
            ),
        ),
        (
            "cookie_configs: {oauth_hmac_cookie_config: {same_site: NONE}}",
            0,
            vec![],
            (scheme("cookie/same_site"), json!("NONE")),
        ),
        (
            "cookie_configs: {oauth_hmac_cookie_config: {same_site: STRICT}}",
            0,
            vec!["11 differs config.cookie_configs.oauth_hmac_cookie_config.same_site"],
            nothing(),
        ),
        (
            "cookie_configs: {id_token_cookie_config: {path: /a}}",
            1,
            vec!["11 open config.cookie_configs.id_token_cookie_config.path"],
            nothing(),
        ),
        (
            "cookie_configs: {id_token_cookie_config: {partitioned: true}}",
            0,
            vec!["11 left_out config.cookie_configs.id_token_cookie_config.partitioned"],
            nothing(),
        ),
        (
            "no_such_field: 1",
            1,
            vec!["11 open config.no_such_field"],
            nothing(),
        ),
        (
            "signoutPath: {path: {exact: /b}}",
            1,
            vec!["11 open config.signout_path"],
            nothing(),
        ),
        (
            "pass_through_matcher: [{name: ':path', prefix_match: /public}]",
            0,
            vec![],
            (
                "/rules/0".to_owned(),
                json!({"match": {"prefix": "/public"}}),
            ),
        ),
        (
            "pass_through_matcher: {name: ':method', exact_match: OPTIONS}",
            0,
            vec![],
            (
                "/rules/0".to_owned(),
                json!({"match": {"prefix": "/", "headers": [{"name": ":method", "exact_match": "OPTIONS"}]}}),
            ),
        ),
        (
            "pass_through_matcher: [{name: ':path', safe_regex_match: {regex: /a}}]",
            1,
            vec!["11 open config.pass_through_matcher[0]"],
            nothing(),
        ),
        (
            "pass_through_matcher: [{name: ':path', exact_match: /a//b}]",
            1,
            vec!["11 open rules[0].match.path"],
            nothing(),
        ),
        (
            "allow_failed_matcher: [{name: x}]",
            0,
            vec!["11 differs config.allow_failed_matcher"],
            (
                "/rules/0/requires".to_owned(),
                json!({"requires_any": {"requirements": [{"session": "web"}, {"allow_missing": {}}]}}),
            ),
        ),
        (
            "deny_redirect_matcher: [{name: x}]",
            0,
            vec![],
            ("/rules/0/unauthenticated".to_owned(), json!("unauthorized")),
        ),
        (
            "deny_redirect_matcher: [{name: ':path', present_match: true}]",
            0,
            vec!["11 left_out config.deny_redirect_matcher[0]"],
            nothing(),
        ),
        (
            "forward_bearer_token: true",
            0,
            vec![],
            (scheme("forward_bearer_token"), json!(true)),
        ),
    ];
    for (field, code, expected, (pointer, value)) in added {
        let new = with(field);
        let row: Row<'_> = (place, &new, code, &expected, (&pointer, value));
        table(&[row], OAUTH2, &[]);
    }
    let rows: [Row<'_>; 17] = [
        (
            "exact: /callback",
            "prefix: /call",
            0,
            &["9 differs config.redirect_path_matcher"],
            (
                "/sign_in/schemes/web/redirect_uri",
                json!("https://app.example.com/callback"),
            ),
        ),
        (
            "exact: /callback",
            "exact: /other",
            1,
            &["9 open config.redirect_path_matcher"],
            ("/open", json!(true)),
        ),
        (
            "exact: /signout",
            "prefix: /signout",
            1,
            &["10 open config.signout_path"],
            ("/open", json!(true)),
        ),
        (
            "exact: /signout",
            "exact: /signout, ignore_case: true",
            0,
            &["10 differs config.signout_path"],
            ("/sign_in/schemes/web/signout_path", json!("/signout")),
        ),
        (
            "use_refresh_token: false",
            "use_refresh_token: true",
            0,
            &[],
            ("/sign_in/schemes/web/use_refresh_token", Value::Bool(true)),
        ),
        (
            "preserve_authorization_header: true",
            "preserve_authorization_header: false",
            0,
            &["12 differs config.preserve_authorization_header"],
            ("/open", Value::Null),
        ),
        (
            "[openid, email]",
            "[email]",
            0,
            &["13 added config.auth_scopes"],
            (
                "/sign_in/schemes/web/auth_scopes",
                json!(["openid", "email"]),
            ),
        ),
        (
            "[openid, email]",
            "[]",
            0,
            &["6 added config.auth_scopes"],
            (
                "/sign_in/schemes/web/auth_scopes",
                json!(["openid", "user"]),
            ),
        ),
        (
            "client_id: web",
            "client_id: web\n        cookie_domain: .example.com",
            0,
            &[],
            ("/sign_in/schemes/web/cookie/domain", json!("example.com")),
        ),
        (
            "{name: hmac",
            "{name: token",
            0,
            &[],
            (
                "/sign_in/cookie_keys/0/environment_variable",
                json!("BG_COOKIE_KEY"),
            ),
        ),
        (
            "hmac_secret: {name: hmac, sds_config: {path: /etc/hmac.yaml}}",
            "hmac_secret: {name: hmac}\n        cookie_names: {id_token: id}",
            0,
            &["18 left_out config.credentials.cookie_names"],
            ("/open", Value::Null),
        ),
        (
            "{name: token",
            "{inline: s3cret",
            1,
            &["16 open config.credentials.token_secret.inline"],
            ("/open", json!(true)),
        ),
        (
            "https://app.example.com/callback",
            "http://app.example.com/callback",
            1,
            &["8 open sign_in.schemes.web.redirect_uri"],
            ("/open", json!(true)),
        ),
        (
            "https://app.example.com/callback",
            "'https://%REQ(x-forwarded-host)%/callback'",
            1,
            &["8 open config.redirect_uri"],
            ("/open", json!(true)),
        ),
        (
            "https://app.example.com/callback",
            "'https://%REQ(:authority)%/callback'",
            1,
            &["8 open config.redirect_uri"],
            ("/sign_in/schemes/web/callback_path", json!("/callback")),
        ),
        (
            "/realms/a/protocol/openid-connect/auth",
            "/login",
            1,
            &["7 open config.authorization_endpoint"],
            ("/open", json!(true)),
        ),
        (
            "uri: https://kc.example",
            "uri: https://other.example",
            1,
            &["6 open config.token_endpoint.cluster"],
            ("/open", json!(true)),
        ),
    ];
    table(&rows, OAUTH2, &[]);
}

#[test]
fn what_the_command_line_adds() {
    use serde_json::json;
    let text = OAUTH2
        .replace("/realms/a/protocol/openid-connect/auth", "/login")
        .replace(
            "https://app.example.com/callback",
            "'https://%REQ(:authority)%/callback'",
        );
    assert_eq!(migrate(&text, &[]).code, 1);
    let ran = migrate(
        &text,
        &[
            "--issuer",
            "https://kc.example/",
            "--host",
            "a.example",
            "--host",
            "b.example:8443",
        ],
    );
    assert_eq!((ran.code, ran.said), (0, vec![]));
    assert_eq!(
        ran.config["providers"]["idp"]["issuer"],
        "https://kc.example/"
    );
    assert_eq!(
        ran.config["sign_in"]["allowed_redirect_domains"],
        json!(["a.example", "b.example:8443"])
    );
    // or the file, by its routes
    let text = format!(
        "{text}route_config: {{virtual_hosts: [{{domains: ['*', c.example, '*.d.example']}}]}}\n"
    );
    let ran = migrate(&text, &["--issuer", "https://kc.example/"]);
    assert_eq!((ran.code, ran.said), (0, vec![]));
    assert_eq!(
        ran.config["sign_in"]["allowed_redirect_domains"],
        json!(["*.d.example", "c.example"])
    );
}

#[test]
fn no_secret_is_printed() {
    let secrets = "static_resources:\n  secrets:\n  - {name: token, generic_secret: {secret: {inline_string: hidden-one}}}\n  - {name: hmac, generic_secret: {secret: {inline_string: hidden-two}}}\n";
    let files = Files::in_a_directory();
    let file = files.with("envoy.yaml", &format!("{secrets}{OAUTH2}"));
    for more in [&["migrate", &file][..], &["migrate", "--json", &file]] {
        let ran = run(more);
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert!(!format!("{}{}", ran.out, ran.err).contains("hidden"));
    }
}
