//! Sessions are refreshed through a real Envoy with two workers. The provider replaces a refresh
//! token with each use, and revokes the whole sign-in when one is used twice.

use std::time::Duration;

use bearer_gate_testbed::envoy::{Envoy, Filter, Listener, Wasm};
use bearer_gate_testbed::http;
use bearer_gate_testbed::idp::openid::{Endpoint, Misbehaviour, RelyingParty};
use bearer_gate_testbed::raw::RawConnection;
use bearer_gate_testbed::visitor::Visitor;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::sign_in;
use crate::stage::{Stage, merge};

const SESSION: &str = "__Host-Http-bg_session_staff";
/// How long an access token lives, in seconds.
const LIFE: i64 = 3;

fn config(stage: &Stage, sites: &[String]) -> Value {
    let mut config = sign_in::config(stage);
    let more = json!({"sign_in": {
        "allowed_redirect_domains": sites,
        "schemes": {"staff": {"use_refresh_token": true, "forward_bearer_token": true}},
    }});
    merge(&mut config, more);
    config
}

fn stage() -> Stage {
    prepared(Stage::start(|_| json!({"unmatched": "allow"})))
}

fn prepared(stage: Stage) -> Stage {
    let sites = [stage.address().to_string()];
    let reloaded = stage.envoy().reload_wasm(&config(&stage, &sites));
    reloaded.unwrap_or_else(|refused| panic!("{refused}"));
    let openid = stage.idp.openid();
    let callback = stage.url("/oauth2/callback");
    openid.register(RelyingParty::confidential("web", "s3cret", &callback));
    openid.configure(|settings| settings.access_token_lifetime = LIFE);
    stage
}

/// A visitor who has signed in, and the access token that the upstream got.
async fn signed_in(stage: &Stage) -> (Visitor, String) {
    let mut visitor = Visitor::new();
    let page = stage.url("/page");
    visitor.sign_in_for(&page, "alice", "wonderland").await;
    let token = opened(&page, &mut visitor).await;
    (visitor, token)
}

/// The access token that the upstream gets with a page.
async fn opened(url: &str, visitor: &mut Visitor) -> String {
    let page = visitor.get(url).await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert_eq!(page.seen("x-user"), ["user|alice"]);
    let cookies = page.seen("cookie").concat();
    assert!(!cookies.contains("bg_"), "{cookies}");
    page.seen("authorization").concat()
}

async fn tokens_end() {
    let life = u64::try_from(LIFE).expect("a life");
    sleep(Duration::from_secs(life) + Duration::from_millis(200)).await;
}

fn refreshes(stage: &Stage) -> u64 {
    stage.idp.openid().calls(Endpoint::Token) - 1
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_is_used_once_by_all_workers() {
    let stage = stage();
    let (mut visitor, mut last) = signed_in(&stage).await;
    for round in 1..=3 {
        tokens_end().await;
        // Twenty tabs at once.
        let tabs = (0..20).map(|_| {
            let (mut tab, url) = (visitor.clone(), stage.url("/page"));
            tokio::spawn(async move {
                let page = tab.get(&url).await;
                (page, tab)
            })
        });
        let tabs: Vec<_> = tabs.collect();
        let mut tokens = Vec::new();
        for tab in tabs {
            let (page, tab) = tab.await.expect("a page");
            assert_eq!(page.status, 200, "{}", page.body);
            let set = page.header("set-cookie").expect("the new session");
            assert!(set.starts_with(SESSION), "{set}");
            tokens.push(page.seen("authorization").concat());
            visitor = tab;
        }
        tokens.dedup();
        assert_eq!(tokens.len(), 1, "all have the same new session");
        assert_ne!(tokens[0], last);
        last = tokens.remove(0);
        assert_eq!(refreshes(&stage), round);
        // The new cookie brings it too.
        assert_eq!(opened(&stage.url("/page"), &mut visitor).await, last);
    }
    assert_eq!(refreshes(&stage), 3);
    assert_eq!(stage.counter("bearer_gate.refresh.completed"), 3);
    let log = stage.envoy().log();
    assert!(
        !log.contains(last.trim_start_matches("Bearer ")),
        "a token in the log"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_in_the_middle_loses_nothing() {
    let stage = stage();
    let (mut visitor, last) = signed_in(&stage).await;
    let openid = stage.idp.openid();
    openid.configure(|settings| settings.token_delay = Duration::from_millis(800));
    tokens_end().await;
    let cookie = visitor.cookie(&stage.url("/"), SESSION).expect("a session");
    let host = stage.address();
    let head = format!("GET /page HTTP/1.1\r\nhost: {host}\r\ncookie: {SESSION}={cookie}\r\n\r\n");
    let mut client = RawConnection::open(host).expect("a connection");
    client.send(head.as_bytes()).expect("sent");
    sleep(Duration::from_millis(300)).await;
    assert_eq!(openid.calls(Endpoint::Token), 2, "it is on its way");
    drop(client);
    sleep(Duration::from_millis(1500)).await;
    assert_ne!(opened(&stage.url("/page"), &mut visitor).await, last);
    assert_eq!(refreshes(&stage), 1);
    // What came of it is no dead end.
    tokens_end().await;
    opened(&stage.url("/page"), &mut visitor).await;
    assert_eq!(refreshes(&stage), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn s23_another_person_after_a_refresh_through_envoy() {
    let stage = stage();
    let openid = stage.idp.openid();
    for misbehaviour in [
        Misbehaviour::RefreshWithOtherSubject,
        Misbehaviour::RefreshWithOtherAuthTime,
        Misbehaviour::RefreshRefused,
    ] {
        let (mut visitor, _) = signed_in(&stage).await;
        tokens_end().await;
        let seen = stage.upstream.requests();
        openid.misbehave(Some(misbehaviour));
        let page = visitor.get(&stage.url("/page")).await;
        assert_eq!(page.status, 303, "{misbehaviour:?}: {}", page.body);
        openid.misbehave(None);
        // The redirect deletes nothing, and what the browser still sends is no session.
        let page = visitor.get(&stage.url("/page")).await;
        assert_eq!(page.status, 303, "{misbehaviour:?}: {}", page.body);
        assert_eq!(stage.upstream.requests(), seen, "{misbehaviour:?}");
    }
}

/// Envoy hands the filter the bodies of requests that wait, and holds 1 MiB of one at most.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_body_goes_through_while_a_refresh_is_due() {
    let stage = prepared(Stage::build(
        |_| {},
        |_, builder| {
            let mut wasm = Wasm::new(json!({"unmatched": "allow"}));
            wasm.bodies = true;
            builder.listener(Listener::new("main").filter(Filter::Wasm(wasm)))
        },
    ));
    let openid = stage.idp.openid();
    // A refresh is due from the 16th second to the 20th.
    openid.configure(|settings| settings.access_token_lifetime = 20);
    let (mut visitor, last) = signed_in(&stage).await;
    sleep(Duration::from_millis(16_100)).await;
    let cookie = visitor.cookie(&stage.url("/"), SESSION).expect("a session");
    let cookie = format!("{SESSION}={cookie}");
    let send = async |length: usize| {
        let request = stage.client.request(Method::POST, &stage.url("/upload"));
        let request = request
            .header("sec-fetch-site", "same-origin")
            .header("cookie", &cookie)
            .body(vec![b'x'; length]);
        http::send(request).await
    };
    let (length, before) = (3 << 20, stage.upstream.body_bytes());
    let answer = send(length).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.json()["body_length"], length);
    assert_eq!(stage.upstream.body_bytes() - before, length as u64);
    assert_eq!(answer.seen("authorization"), [&*last]);
    assert_eq!(refreshes(&stage), 0, "it waits for none");
    // It was due.
    assert_ne!(opened(&stage.url("/page"), &mut visitor).await, last);
    assert_eq!(refreshes(&stage), 1);
    // The result is there, so nothing waits.
    let answer = send(length).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.json()["body_length"], length);
    assert_eq!(refreshes(&stage), 1);
    assert_eq!(stage.traps(), 0);
}

/// One person's requests write no line each.
#[tokio::test(flavor = "multi_thread")]
async fn what_requests_repeat_is_logged_once_in_a_while() {
    let stage = stage();
    let (visitor, _) = signed_in(&stage).await;
    tokens_end().await;
    let openid = stage.idp.openid();
    openid.misbehave(Some(Misbehaviour::RefreshWithOtherSubject));
    for _ in 0..30 {
        let page = visitor.clone().get(&stage.url("/page")).await;
        assert_eq!(page.status, 303, "{}", page.body);
    }
    let log = stage.envoy().log();
    let lines = log.matches("the refreshed ID token is of another person");
    let lines = lines.count();
    assert!((1..=2).contains(&lines), "{lines} lines of two workers");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_fails_while_a_session_is_refreshed() {
    let stage = stage();
    let openid = stage.idp.openid();
    let (mut visitor, last) = signed_in(&stage).await;
    openid.misbehave(Some(Misbehaviour::TokenResponse500));
    tokens_end().await;
    let seen = stage.upstream.requests();
    let page = visitor.get(&stage.url("/page")).await;
    assert_eq!(page.status, 503, "{}", page.body);
    assert!(page.header("retry-after").is_some());
    assert_eq!(stage.upstream.requests(), seen);
    openid.misbehave(None);
    // The provider spent the token before it failed, or not: this one did.
    sleep(Duration::from_secs(11)).await;
    let page = visitor.get(&stage.url("/page")).await;
    assert!(matches!(page.status, 200 | 303), "{}", page.body);
    assert!(stage.counter("bearer_gate.refresh.failed.provider_unavailable") >= 1);
    drop(last);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_refreshed_by_another_envoy() {
    let first = stage();
    let second = Envoy::builder()
        .cluster("idp", first.idp.address())
        .cluster("upstream", first.upstream.address())
        .wasm_filter(json!({"unmatched": "allow"}))
        .start();
    let second = second.unwrap_or_else(|refused| panic!("{refused}"));
    let sites = [first.address().to_string(), second.address().to_string()];
    for envoy in [first.envoy(), &second] {
        let reloaded = envoy.reload_wasm(&config(&first, &sites));
        reloaded.unwrap_or_else(|refused| panic!("{refused}"));
    }
    let (mut visitor, mut last) = signed_in(&first).await;
    for envoy in [&second, first.envoy(), &second] {
        tokens_end().await;
        let token = opened(&envoy.url("/page"), &mut visitor).await;
        assert_ne!(token, last);
        last = token;
    }
    assert_eq!(refreshes(&first), 3);
}
