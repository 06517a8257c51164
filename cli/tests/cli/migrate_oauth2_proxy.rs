//! `migrate` of oauth2-proxy's configuration: what comes out is a good configuration, and each option
//! that is not carried over is said with its line.

use bearer_gate::config::Config;
use serde_json::{Value, json};

use super::{Files, run};

const OPTIONS: &str = r#"# oauth2-proxy
provider = "oidc"
oidc_issuer_url = "https://idp.example.com/realms/main"
client_id = "web"
client_secret = "hidden-one"
cookie_secret = "hidden-two"
redirect_url = "https://app.example.com/oauth2/callback"
email_domains = ["*"]
"#;

/// What is always said.
const ALWAYS: [&str; 3] = [
    "4 added client_id",
    "5 added client_secret",
    "6 added cookie_secret",
];

fn migrate(text: &str, more: &[&str]) -> (i32, Vec<String>, Value) {
    let files = Files::in_a_directory();
    let file = files.with("oauth2-proxy.cfg", text);
    let mut arguments = vec!["migrate", "--json", &file];
    arguments.extend(more);
    let ran = run(&arguments);
    assert!(
        !format!("{}{}", ran.out, ran.err).contains("hidden"),
        "{}",
        ran.out
    );
    let report = ran.json();
    let changes = report[0]["changes"].as_array().unwrap().iter();
    let said = changes.map(|change| {
        let word = |name: &str| change[name].as_str().unwrap().to_owned();
        format!("{} {} {}", change["line"], word("kind"), word("path"))
    });
    let said = said.filter(|said| !ALWAYS.contains(&said.as_str()));
    (ran.code, said.collect(), report[0]["config"].clone())
}

fn is_taken(config: &Value) -> bool {
    let environment = |name: &str| Some(format!("{name}, a secret of 32 bytes or more"));
    Config::parse_in(config.to_string().as_bytes(), &environment).is_ok()
}

#[test]
fn what_comes_out_is_taken() {
    let (code, said, config) = migrate(OPTIONS, &[]);
    assert_eq!((code, said), (0, vec![]));
    assert!(is_taken(&config), "{config:#}");
    let scheme = &config["sign_in"]["schemes"]["web"];
    assert_eq!(
        scheme["redirect_uri"],
        "https://app.example.com/oauth2/callback"
    );
    assert_eq!(scheme["signout_path"], "/oauth2/sign_out");
    assert_eq!(
        scheme["session"],
        json!({"max_duration": "604800s", "persistent": true})
    );
    assert_eq!(
        scheme["credentials"]["token_secret"],
        json!({"environment_variable": "BG_CLIENT_SECRET"})
    );
    assert_eq!(
        config["rules"],
        json!([{
            "match": {"prefix": "/"},
            "requires": {"session": "web"},
            "authorize": {"claims": [{"path": ["email_verified"], "not": {"equals": false}}]},
        }])
    );
}

/// An option: the exit code, what is said, and a place in the new configuration with what is there.
type Row<'r> = (&'r str, i32, &'r [&'r str], (&'r str, Value));

#[test]
fn each_option_with_its_line() {
    let nothing = || ("/nothing", Value::Null);
    let scheme = |field| format!("/sign_in/schemes/web/{field}");
    let (scope, prompt, cookie, session) = (
        scheme("auth_scopes"),
        scheme("authorization_params"),
        scheme("cookie"),
        scheme("session"),
    );
    let forward = scheme("forward_bearer_token");
    let groups = json!([
        {"path": ["groups"], "any": ["a", "b"]},
        {"path": ["email_verified"], "not": {"equals": false}},
    ]);
    // On line 9.
    let table: Vec<Row<'_>> = vec![
        (
            "scope = \"email\"",
            0,
            &[],
            (&scope, json!(["openid", "email"])),
        ),
        (
            "prompt = \"login\"",
            0,
            &[],
            (&prompt, json!({"prompt": "login"})),
        ),
        (
            "acr_values = \"x\"",
            0,
            &[],
            (&prompt, json!({"acr_values": "x"})),
        ),
        (
            "cookie_domains = \".example.com\"",
            0,
            &[],
            (&cookie, json!({"domain": "example.com"})),
        ),
        (
            "cookie_domains = [\"a.example.com\", \"b.example.com\"]",
            1,
            &["9 open cookie_domains"],
            nothing(),
        ),
        (
            "cookie_expire = \"1h30m\"",
            0,
            &[],
            (
                &session,
                json!({"max_duration": "5400s", "persistent": true}),
            ),
        ),
        ("cookie_expire = \"0\"", 0, &[], (&session, Value::Null)),
        (
            "cookie_expire = \"soon\"",
            1,
            &["9 open cookie_expire"],
            nothing(),
        ),
        (
            "cookie_refresh = \"1h\"",
            0,
            &["9 differs cookie_refresh"],
            nothing(),
        ),
        (
            "cookie_samesite = \"none\"",
            0,
            &[],
            (&cookie, json!({"same_site": "NONE"})),
        ),
        (
            "cookie_samesite = \"strict\"",
            0,
            &["9 differs cookie_samesite"],
            nothing(),
        ),
        (
            "cookie_path = \"/a\"",
            1,
            &["9 open cookie_path"],
            nothing(),
        ),
        (
            "cookie_name = \"x\"",
            0,
            &["9 left_out cookie_name"],
            nothing(),
        ),
        ("cookie_secure = false", 0, &[], nothing()),
        (
            "allowed_groups = [\"a\", \"b\"]",
            0,
            &[],
            ("/rules/0/authorize/claims", groups),
        ),
        (
            "allowed_roles = [\"a\"]",
            1,
            &["9 open allowed_roles"],
            nothing(),
        ),
        (
            "insecure_oidc_allow_unverified_email = true",
            0,
            &[],
            ("/rules/0/authorize", Value::Null),
        ),
        (
            "upstreams = [\"http://127.0.0.1:8080/\"]",
            0,
            &["9 left_out upstreams"],
            nothing(),
        ),
        (
            "skip_auth_routes = [\"GET=^/public/\"]",
            0,
            &[],
            (
                "/rules/0",
                json!({"match": {"safe_regex": {"regex": "/public/.*"}, "methods": ["GET"]}}),
            ),
        ),
        (
            "skip_auth_routes = [\n  \"^/a$\",\n  \"!=^/b\",\n]",
            1,
            &["11 open skip_auth_routes[1]"],
            (
                "/rules/0",
                json!({"match": {"safe_regex": {"regex": "/a"}}}),
            ),
        ),
        (
            "skip_auth_regex = [\"^/a|^/b\"]",
            1,
            &["9 open skip_auth_regex[0]"],
            nothing(),
        ),
        (
            "skip_auth_preflight = true",
            0,
            &["9 differs skip_auth_preflight"],
            ("/bypass_cors_preflight", json!(true)),
        ),
        (
            "api_routes = [\"^/api/\"]",
            0,
            &[],
            ("/rules/0/unauthenticated", json!("unauthorized")),
        ),
        (
            "skip_jwt_bearer_tokens = true",
            0,
            &[],
            (
                "/rules/0/requires",
                json!({"requires_any": {"requirements": [{"provider_name": "idp"}, {"session": "web"}]}}),
            ),
        ),
        (
            "oidc_extra_audiences = [\"api\"]",
            0,
            &[],
            ("/providers/idp/audiences", json!(["web", "api"])),
        ),
        (
            "extra_jwt_issuers = [\"https://o.example=a\"]",
            1,
            &["9 open extra_jwt_issuers"],
            nothing(),
        ),
        (
            "pass_access_token = true",
            0,
            &["9 differs pass_access_token"],
            (&forward, json!(true)),
        ),
        (
            "pass_authorization_header = true",
            1,
            &["9 open pass_authorization_header"],
            nothing(),
        ),
        (
            "pass_user_headers = false",
            0,
            &[],
            ("/providers/idp/claim_to_headers", Value::Null),
        ),
        (
            "set_xauthrequest = true",
            0,
            &["9 left_out set_xauthrequest"],
            nothing(),
        ),
        (
            "whitelist_domains = [\".example.org\"]",
            0,
            &[],
            (
                "/sign_in/allowed_redirect_domains",
                json!(["*.example.org", "app.example.com"]),
            ),
        ),
        (
            "proxy_prefix = \"/x\"",
            0,
            &[],
            ("/sign_in/schemes/web/session_path", json!("/x/userinfo")),
        ),
        (
            "proxy_prefix = \"x\"",
            1,
            &["9 open sign_in.schemes.web.signin_path"],
            nothing(),
        ),
        (
            "code_challenge_method = \"S256\"",
            0,
            &["9 left_out code_challenge_method"],
            nothing(),
        ),
        (
            "backend_logout_url = \"https://x.example\"",
            0,
            &["9 left_out backend_logout_url"],
            nothing(),
        ),
        (
            "reverse_proxy = true",
            0,
            &["9 differs reverse_proxy"],
            nothing(),
        ),
        (
            "session_store_type = \"redis\"",
            0,
            &["9 left_out session_store_type"],
            nothing(),
        ),
        (
            "trusted_ips = [\"10.0.0.0/8\"]",
            1,
            &["9 open trusted_ips"],
            nothing(),
        ),
        (
            "htpasswd_file = \"/x\"",
            1,
            &["9 open htpasswd_file"],
            nothing(),
        ),
        (
            "authenticated_emails_file = \"/x\"",
            1,
            &["9 open authenticated_emails_file"],
            nothing(),
        ),
        (
            "ping_user_agent = \"x\"",
            1,
            &["9 open ping_user_agent"],
            nothing(),
        ),
        (
            "no_such_option = 1",
            1,
            &["9 open no_such_option"],
            nothing(),
        ),
    ];
    for (option, expected_code, expected, (pointer, value)) in table {
        let (code, said, config) = migrate(&format!("{OPTIONS}{option}\n"), &[]);
        assert_eq!(
            (code, said),
            (
                expected_code,
                expected.iter().map(|said| (*said).to_owned()).collect()
            ),
            "{option}"
        );
        assert_eq!(
            config.pointer(pointer).unwrap_or(&Value::Null),
            &value,
            "{option}: {config:#}"
        );
        assert_eq!(is_taken(&config), code == 0, "{option}: {config:#}");
    }
}

#[test]
fn what_is_missing_is_open_and_the_command_line_adds_it() {
    let without = |option: &str| -> String {
        let lines = OPTIONS.lines().filter(|line| !line.starts_with(option));
        lines.map(|line| format!("{line}\n")).collect()
    };
    let (code, said, config) = migrate(&without("redirect_url"), &[]);
    assert_eq!(code, 1);
    assert!(said.contains(&"1 open redirect_url".to_owned()), "{said:?}");
    assert!(!is_taken(&config));
    let (code, said, config) = migrate(&without("redirect_url"), &["--host", "app.example.com"]);
    assert_eq!((code, said), (0, vec![]));
    assert_eq!(
        config["sign_in"]["schemes"]["web"]["callback_path"],
        "/oauth2/callback"
    );
    // Without an issuer, and with a provider that has none.
    let (code, said, _) = migrate(&without("oidc_issuer_url"), &[]);
    assert_eq!(code, 1);
    assert!(said.contains(&"2 open provider".to_owned()), "{said:?}");
    let github = OPTIONS.replace("\"oidc\"", "\"github\"");
    assert_eq!(migrate(&github, &[]).0, 1);
    // Google is known, and has three hosts.
    let google = without("oidc_issuer_url").replace("\"oidc\"", "\"google\"");
    let (code, _, config) = migrate(&google, &[]);
    assert_eq!(code, 0);
    assert!(is_taken(&config));
    assert_eq!(
        config["providers"]["idp"]["openid_discovery"]["jwks_cluster"],
        "idp-keys"
    );
    // Who may sign in.
    for domains in ["", "email_domains = [\"example.com\"]\n"] {
        let (code, said, config) = migrate(&format!("{}{domains}", without("email_domains")), &[]);
        assert_eq!(code, 1);
        assert!(
            said.iter().any(|said| said.ends_with("open email_domains")),
            "{said:?}"
        );
        assert!(!is_taken(&config));
    }
}

#[test]
fn what_stands_in_an_alpha_configuration() {
    let files = Files::in_a_directory();
    let lines = OPTIONS.lines().filter(|line| {
        let moved = ["provider ", "oidc_", "client_"];
        !moved.iter().any(|start| line.starts_with(start))
    });
    let rest: Vec<&str> = lines.collect();
    let cfg = files.with("rest.cfg", &rest.join("\n"));
    let provider = "providers:
- id: main
  provider: oidc
  clientID: web
  clientSecret: hidden-one
  allowedGroups: [a]
  oidcConfig: {issuerURL: 'https://idp.example.com/realms/main', audienceClaims: [aud]}
upstreamConfig: {upstreams: []}
";
    let migrate = |alpha: &str| {
        let alpha = files.with("alpha.yaml", alpha);
        let ran = run(&["migrate", "--json", "--alpha-config", &alpha, &cfg]);
        assert!(
            !format!("{}{}", ran.out, ran.err).contains("hidden"),
            "{}",
            ran.out
        );
        let report = ran.json();
        let changes = report[0]["changes"].as_array().unwrap().clone();
        let open = changes.iter().filter(|change| change["kind"] == "open");
        let open: Vec<String> = open
            .map(|change| format!("{} {}", change["line"], change["path"].as_str().unwrap()))
            .collect();
        (ran.code, open, report[0]["config"].clone())
    };
    let (code, open, config) = migrate(provider);
    assert_eq!((code, open), (0, vec![]));
    assert!(is_taken(&config), "{config:#}");
    assert_eq!(
        config["providers"]["idp"]["issuer"],
        "https://idp.example.com/realms/main"
    );
    assert_eq!(
        config["rules"][0]["authorize"]["claims"][0],
        json!({"path": ["groups"], "any": ["a"]})
    );
    for (added, expected) in [
        ("injectRequestHeaders: []\n", "9 injectRequestHeaders"),
        ("- {id: other, provider: oidc}\n", "2 providers"),
    ] {
        let text = match added.starts_with('-') {
            true => provider.replace("upstreamConfig", &format!("{added}upstreamConfig")),
            false => format!("{provider}{added}"),
        };
        let (code, open, config) = migrate(&text);
        assert_eq!(code, 1, "{added}");
        assert!(open.contains(&expected.to_owned()), "{added}: {open:?}");
        assert!(!is_taken(&config));
    }
    let keycloak = provider.replace("allowedGroups: [a]", "keycloakConfig: {roles: [a]}");
    assert_eq!(migrate(&keycloak).1, ["6 keycloakConfig"]);
}

#[test]
fn a_file_that_is_no_toml_is_refused_by_its_line() {
    let files = Files::in_a_directory();
    let ran = run(&[
        "migrate",
        &files.with("x.cfg", "client_id = \"web\"\nprovider = oidc\n"),
    ]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("x.cfg:2: "), "{}", ran.err);
}

#[test]
fn entra_with_several_tenants() {
    let with = |issuer: &str, more: &str| {
        let options = OPTIONS
            .replace("\"oidc\"", "\"entra-id\"")
            .replace("https://idp.example.com/realms/main", issuer);
        migrate(&format!("{options}{more}"), &[])
    };
    let tenant = "8eaef023-2b34-4da1-9baa-8bc8c9d6a490";
    let allowed = format!("entra_id_allowed_tenants = [\"{tenant}\"]\n");
    let common = "https://login.microsoftonline.com/common/v2.0";

    let (code, said, config) = with(common, &allowed);
    assert_eq!((code, said), (0, vec![]));
    assert!(is_taken(&config), "{config:#}");
    let provider = &config["providers"]["idp"];
    assert_eq!(
        provider["issuer"],
        "https://login.microsoftonline.com/{tenantid}/v2.0"
    );
    assert_eq!(provider["tenants"], json!([tenant]));
    assert_eq!(
        provider["openid_discovery"]["uri"],
        format!("{common}/.well-known/openid-configuration")
    );

    // Whose people may sign in is not said.
    let (code, said, config) = with(common, "");
    assert_eq!((code, said), (1, vec!["3 open oidc_issuer_url".to_owned()]));
    assert!(!is_taken(&config), "{config:#}");

    // One tenant is a limit by itself.
    let one = format!("https://login.microsoftonline.com/{tenant}/v2.0");
    let (code, said, config) = with(&one, &allowed);
    assert_eq!(
        (code, said),
        (0, vec!["9 left_out entra_id_allowed_tenants".to_owned()])
    );
    assert_eq!(config["providers"]["idp"]["issuer"], one);
}
