//! A person signs in through Envoy's `oauth2` filter, and through what `migrate` makes of it, on a
//! real Envoy with the same provider. What the one refuses the other refuses.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a panic is how a test fails"
)]

use std::path::Path;
use std::process::Command;

use bearer_gate_testbed::envoy::{Envoy, Filter, Listener};
use bearer_gate_testbed::idp::Idp;
use bearer_gate_testbed::idp::openid::{Endpoint, OpenId, RelyingParty};
use bearer_gate_testbed::raw;
use bearer_gate_testbed::upstream::Upstream;
use bearer_gate_testbed::visitor::Visitor;
use serde_json::{Value, json};

const CLIENT_SECRET: &str = "s3cret";
const COOKIE_KEY: &str = "a key of thirty-two octets or more";

/// The filter, with its secrets in files of a directory.
fn oauth2(openid: &OpenId<'_>, secrets: &Path) -> Value {
    let secret = |name: &str, text: &str| {
        let path = secrets.join(format!("{name}.json"));
        let secret = json!({
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
            "name": name,
            "generic_secret": {"secret": {"inline_string": text}},
        });
        let file = json!({"version_info": "1", "resources": [secret]});
        std::fs::write(&path, file.to_string()).unwrap();
        let source = json!({"path_config_source": {"path": path}, "resource_api_version": "V3"});
        json!({"name": name, "sds_config": source})
    };
    json!({
        "name": "envoy.filters.http.oauth2",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.oauth2.v3.OAuth2",
            "config": {
                "token_endpoint": {"cluster": "idp", "uri": openid.url(Endpoint::Token), "timeout": "3s"},
                "authorization_endpoint": openid.browser_url(Endpoint::Authorize),
                "end_session_endpoint": openid.browser_url(Endpoint::EndSession),
                "redirect_uri": "%REQ(x-forwarded-proto)%://%REQ(:authority)%/callback",
                "redirect_path_matcher": {"path": {"exact": "/callback"}},
                "signout_path": {"path": {"exact": "/sign-out"}},
                "credentials": {
                    "client_id": "web",
                    "token_secret": secret("client-secret", CLIENT_SECRET),
                    "hmac_secret": secret("cookie-key", COOKIE_KEY),
                },
                "auth_scopes": ["openid", "email"],
                "forward_bearer_token": true,
                "use_refresh_token": false,
                "pass_through_matcher": [
                    {"name": ":path", "string_match": {"prefix": "/public/"}},
                    {"name": ":method", "string_match": {"exact": "OPTIONS"}},
                ],
                "deny_redirect_matcher": [{"name": "x-requested-with", "present_match": true}],
            },
        },
    })
}

/// What `migrate` makes of it, with the secrets in place of their variables.
fn migrated(filter: &Value, issuer: &str, host: &str) -> Value {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("envoy.json");
    std::fs::write(&file, json!({"http_filters": [filter]}).to_string()).unwrap();
    let ran = Command::new(env!("CARGO_BIN_EXE_bearer-gate"))
        .args(["migrate", "--json", "--issuer", issuer, "--host", host])
        .arg(&file)
        .output()
        .unwrap();
    let text = String::from_utf8(ran.stdout).unwrap();
    assert!(ran.status.success(), "{text}");
    assert!(
        !text.contains(CLIENT_SECRET) && !text.contains(COOKIE_KEY),
        "{text}"
    );
    let secret = |name: &str| format!("{{\"environment_variable\":\"{name}\"}}");
    let report: Value = serde_json::from_str(&text).unwrap();
    let config = report[0]["config"].to_string();
    let config = config
        .replace(
            &secret("BG_CLIENT_SECRET"),
            &json!({"inline_string": CLIENT_SECRET}).to_string(),
        )
        .replace(
            &secret("BG_COOKIE_KEY"),
            &json!({"inline_string": COOKIE_KEY}).to_string(),
        );
    serde_json::from_str(&config).unwrap()
}

async fn sign_in(envoy: &Envoy, listener: &str, openid: &OpenId<'_>) -> Visitor {
    let mut visitor = Visitor::new();
    let page = envoy.url_of(listener, "/orders?year=2026");
    let begun = visitor.get(&page).await;
    let location = begun.header("location");
    let location =
        location.unwrap_or_else(|| panic!("{listener}: {} {}", begun.status, begun.body));
    assert!(
        location.starts_with(&openid.browser_url(Endpoint::Authorize)),
        "{location}"
    );
    // The provider asks for a nonce, which the old filter does not send.
    let location = match listener {
        "old" => format!("{location}&nonce=x"),
        _ => location.to_owned(),
    };
    let back = visitor.sign_in(&location, "alice", "wonderland").await;
    let done = visitor.get(back.header("location").unwrap()).await;
    let returned = done
        .header("location")
        .unwrap_or_else(|| panic!("{listener}: {}", done.body));
    assert!(returned.ends_with("/orders?year=2026"), "{returned}");
    let seen = visitor.get(&page).await;
    assert_eq!(seen.status, 200, "{listener}");
    assert!(
        seen.seen("authorization").concat().starts_with("Bearer "),
        "{listener}"
    );
    visitor
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_filter_and_the_new_one_let_the_same_people_in() {
    let (idp, upstream) = (Idp::start(), Upstream::start());
    let secrets = tempfile::tempdir().unwrap();
    let openid = idp.openid();
    let filter = oauth2(&openid, secrets.path());
    let envoy = Envoy::builder()
        .cluster("idp", idp.address())
        .cluster("upstream", upstream.address())
        .listener(Listener::wasm("new", json!({"unmatched": "deny"})))
        .listener(Listener::new("old").filter(Filter::Other(filter.clone())))
        .start()
        .unwrap_or_else(|refused| panic!("{refused}"));
    let host = envoy.address_of("new").to_string();
    envoy
        .reload_wasm(&migrated(&filter, &idp.issuer(), &host))
        .unwrap();
    for listener in ["old", "new"] {
        openid.register(RelyingParty::confidential(
            "web",
            CLIENT_SECRET,
            &envoy.url_of(listener, "/callback"),
        ));
        sign_in(&envoy, listener, &openid).await;
    }

    // Without a session: the method, the path, headers, and whether the old filter lets it pass.
    let forged = "BearerToken=x; OauthHMAC=x; OauthExpires=9999999999; IdToken=x";
    let ours = "__Host-Http-bg_session_web=AQAAAAAA; __Host-Http-bg_browser=AAAAAAAAAAAAAAAAAAAAAA";
    type Headers<'h> = &'h [(&'h str, &'h [u8])];
    let table: &[(&str, &str, Headers<'_>, bool)] = &[
        ("GET", "/", &[], false),
        ("GET", "/", &[("accept", b"text/html")], false),
        (
            "GET",
            "/orders",
            &[("x-requested-with", b"XMLHttpRequest")],
            false,
        ),
        ("POST", "/orders", &[], false),
        ("GET", "/orders", &[("cookie", forged.as_bytes())], false),
        ("GET", "/orders", &[("cookie", ours.as_bytes())], false),
        (
            "GET",
            "/orders",
            &[("authorization", b"Bearer a.b.c")],
            false,
        ),
        ("GET", "/callback", &[], false),
        ("GET", "/callback?code=x&state=y", &[], false),
        ("GET", "/callback?error=access_denied&state=y", &[], false),
        ("GET", "/publicity", &[], false),
        ("GET", "/orders?/public/", &[], false),
        ("GET", "/public/a", &[], true),
        ("GET", "/public/a?b", &[], true),
        ("OPTIONS", "/orders", &[], true),
    ];
    for (method, path, headers, passes) in table {
        for listener in ["old", "new"] {
            let before = upstream.requests();
            let address = envoy.address_of(listener);
            let host = address.to_string();
            let head = String::from_utf8(raw::head(method, path, headers)).unwrap();
            let head = head.replace("host: testbed", &format!("host: {host}"));
            let reply = raw::request(address, head.as_bytes()).unwrap();
            let came = upstream.requests() > before;
            assert_eq!(
                came, *passes,
                "{listener}: {method} {path} {headers:?}: {}",
                reply.status
            );
            assert_eq!(
                reply.status == 200,
                *passes,
                "{listener}: {method} {path}: {}",
                reply.status
            );
        }
    }
}
