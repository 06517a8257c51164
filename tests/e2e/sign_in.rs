//! A person signs in through a real Envoy, with a provider that is found by its metadata.

use bearer_gate_testbed::idp::openid::{Endpoint, RelyingParty};
use bearer_gate_testbed::raw;
use bearer_gate_testbed::visitor::{Visitor, parameters};
use serde_json::{Value, json};

use crate::stage::{Stage, found_provider};

const KEY: &str = "a key of thirty-two octets or more";

pub(crate) fn config(stage: &Stage) -> Value {
    json!({
        "providers": {"demo": found_provider(stage)},
        "sign_in": {
            "cookie_keys": [{"inline_string": KEY}],
            "allowed_redirect_domains": [stage.address().to_string()],
            "schemes": {"staff": {
                "provider_name": "demo",
                "credentials": {"client_id": "web", "token_secret": {"inline_string": "s3cret"}},
                "token_endpoint": {"cluster": "idp", "timeout": "2s"},
                "callback_path": "/oauth2/callback",
                "signin_path": "/sign-in",
                "signout_path": "/sign-out",
                "session_path": "/session",
                "session": {"idle_timeout": "1800s"},
            }},
        },
        "rules": [
            {"match": {"prefix": "/public"}},
            {"match": {"prefix": "/"}, "requires": {"session": "staff"}},
        ],
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_through_envoy_and_out_again() {
    let stage = Stage::start(|_| json!({"unmatched": "allow"}));
    stage.envoy().reload_wasm(&config(&stage)).unwrap();
    let openid = stage.idp.openid();
    openid.register(
        RelyingParty::confidential("web", "s3cret", &stage.url("/oauth2/callback"))
            .post_logout_redirect_uri(&stage.url("/")),
    );

    let mut visitor = Visitor::new();
    let begun = visitor.get(&stage.url("/reports?year=2026")).await;
    assert_eq!(begun.status, 303, "{}", begun.body);
    let location = begun.header("location").unwrap();
    assert!(
        location.starts_with(&openid.browser_url(Endpoint::Authorize)),
        "{location}"
    );
    let back = visitor.sign_in(location, "alice", "wonderland").await;
    let done = visitor.get(back.header("location").unwrap()).await;
    assert_eq!(done.header("location"), Some("/reports?year=2026"));
    assert_eq!(done.header("cache-control"), Some("no-store"));
    let seen = stage.upstream.requests();
    let page = visitor.get(&stage.url("/reports?year=2026")).await;
    assert_eq!(page.status, 200);
    assert_eq!(page.seen("x-user"), ["user|alice"]);
    let cookies = page.seen("cookie").concat();
    assert!(!cookies.contains("bg_"), "{cookies}");
    assert_eq!(
        stage.upstream.requests(),
        seen + 1,
        "and saw nothing before"
    );
    assert_eq!(openid.calls(Endpoint::Token), 1);

    let session = visitor.get(&stage.url("/session")).await;
    assert_eq!(session.json()["sub"], "user|alice");

    // Another browser has no session, nor has a script without one.
    let other = Visitor::new().get(&stage.url("/reports")).await;
    assert_eq!(other.status, 303);
    let script = raw::get(stage.address(), "/reports", &[]).unwrap();
    assert_eq!(script.status, 401);
    assert_eq!(script.json()["error_description"], "Session is missing");

    // Another site cannot use it; a page of ours ends it.
    let cookie = ["__Host-Http-bg_session_staff", "__Host-Http-bg_browser"].map(|name| {
        let value = visitor.cookie(&stage.url("/"), name).expect(name);
        format!("{name}={value}")
    });
    let cookie = cookie.join("; ");
    let post = |path: &str, origin: &str| {
        let address = stage.address();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
             content-length: 0\r\norigin: {origin}\r\ncookie: {cookie}\r\n\r\n"
        );
        raw::request(address, head.as_bytes()).unwrap()
    };
    let own = format!("http://{}", stage.address());
    assert_eq!(post("/reports", "https://evil.example").status, 403);
    assert_eq!(post("/reports", &own).status, 200);
    let left = post("/sign-out", &own);
    assert_eq!(left.status, 303);
    let location = left.header("location").unwrap();
    assert!(location.starts_with(&openid.browser_url(Endpoint::EndSession)));
    let asked = parameters(location);
    assert!(asked.contains(&("post_logout_redirect_uri".to_owned(), stage.url("/"))));
    assert!(left.header("set-cookie").unwrap().contains("Max-Age=0"));

    let counted = |name: &str| {
        stage
            .envoy()
            .stat(&format!("wasmcustom.bearer_gate.{name}"))
    };
    assert_eq!(counted("sign_in.begun"), 2);
    assert_eq!(counted("sign_in.completed"), 1);
    assert_eq!(counted("signed_out"), 1);
    assert_eq!(counted("denied.cross_site"), 1);
    let log = stage.envoy().log();
    for secret in [KEY, "s3cret", &cookie] {
        assert!(!log.contains(secret), "a secret in the log");
    }
}
