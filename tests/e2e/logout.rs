//! A provider tells a real Envoy that somebody has signed out, and every worker knows it at once.

use std::time::{Duration, Instant};

use bearer_gate_testbed::envoy::{Filter, Listener, Wasm};
use bearer_gate_testbed::eventually;
use bearer_gate_testbed::idp::Fault;
use bearer_gate_testbed::idp::openid::{Endpoint, Misbehaviour, RelyingParty};
use bearer_gate_testbed::raw::{self, RawConnection, RawResponse};
use bearer_gate_testbed::visitor::Visitor;
use serde_json::{Value, json};

use crate::sign_in;
use crate::stage::{Stage, merge};

const WORKERS: u32 = 4;
/// The most requests that wait for their bodies, of one worker.
const MOST_BODIES: usize = 64;
const LIMIT: Duration = Duration::from_secs(5);

fn config(stage: &Stage) -> Value {
    let mut config = sign_in::config(stage);
    let more = json!({"sign_in": {"schemes": {"staff": {
        "backchannel_logout_path": "/told",
        "frontchannel_logout_path": "/framed",
        "forward_bearer_token": true,
    }}}});
    merge(&mut config, more);
    config
}

/// `bodies`: whether Envoy hands the filter the bodies of requests that it holds back.
fn stage(bodies: bool) -> Stage {
    stage_of(WORKERS, bodies, config)
}

fn stage_of(workers: u32, bodies: bool, config: fn(&Stage) -> Value) -> Stage {
    let stage = Stage::build(
        |_| {},
        |_, builder| {
            let mut wasm = Wasm::new(json!({"unmatched": "allow"}));
            wasm.bodies = bodies;
            let listener = Listener::new("main").filter(Filter::Wasm(wasm));
            builder.concurrency(workers).listener(listener)
        },
    );
    stage.envoy().reload_wasm(&config(&stage)).unwrap();
    stage.idp.openid().register(party(&stage, "s3cret"));
    stage
}

fn party(stage: &Stage, secret: &str) -> RelyingParty {
    RelyingParty::confidential("web", secret, &stage.url("/oauth2/callback"))
        .backchannel_logout_uri(&stage.url("/told"))
}

/// The cookie of somebody who has signed in.
async fn signed_in(stage: &Stage, username: &str, password: &str) -> String {
    let mut visitor = Visitor::new();
    let page = stage.url("/");
    visitor.sign_in_for(&page, username, password).await;
    let name = "__Host-Http-bg_session_staff";
    let value = visitor.cookie(&stage.url("/"), name).expect("a session");
    let cookie = format!("{name}={value}");
    assert_eq!(statuses(stage, &cookie), [200; 16]);
    cookie
}

/// Of requests on connections of their own, so that each worker has some.
fn statuses(stage: &Stage, cookie: &str) -> [u16; 16] {
    [(); 16].map(|()| get(stage, "/x", cookie).status)
}

/// What a page of ours asks for.
fn get(stage: &Stage, path: &str, cookie: &str) -> RawResponse {
    let address = stage.address();
    let head = format!(
        "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         sec-fetch-site: same-origin\r\ncookie: {cookie}\r\n\r\n"
    );
    raw::request(address, head.as_bytes()).unwrap()
}

fn post(stage: &Stage, content_type: &str, body: &str) -> RawResponse {
    let address = stage.address();
    let head = format!(
        "POST /told HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         content-type: {content_type}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    raw::request(address, head.as_bytes()).unwrap()
}

const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test(flavor = "multi_thread")]
async fn s24_whoever_signs_out_at_the_provider_is_signed_out_on_every_worker_at_once() {
    let stage = stage(true);
    let openid = stage.idp.openid();
    let alice = signed_in(&stage, "alice", "wonderland").await;
    let bob = signed_in(&stage, "bob", "tokyo").await;
    let told = openid.sign_out("user|alice");
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].answer, Some((200, String::new())));
    assert_eq!(statuses(&stage, &alice), [401; 16]);
    assert_eq!(statuses(&stage, &bob), [200; 16]);
    // S20: once and no more.
    let form = format!("logout_token={}", told[0].token);
    let again = post(&stage, FORM, &form);
    assert_eq!(again.status, 400);
    assert_eq!(again.json()["error"], "invalid_request");
    assert_eq!(again.header("cache-control"), Some("no-store"));

    // A key that is new since.
    stage.idp.rotate();
    let told = openid.sign_out("user|bob");
    assert_eq!(told[0].answer, Some((200, String::new())));
    assert_eq!(statuses(&stage, &bob), [401; 16]);
    assert_eq!(stage.counter("bearer_gate.logout.backchannel"), 2);
    assert_eq!(stage.counter("bearer_gate.logout.refused"), 1);

    // Who signs in again has a session.
    signed_in(&stage, "alice", "wonderland").await;
    assert_eq!(stage.traps(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn s20_logout_tokens_that_are_not_good_end_nothing() {
    use Misbehaviour::*;
    let stage = stage(true);
    let openid = stage.idp.openid();
    let alice = signed_in(&stage, "alice", "wonderland").await;
    for misbehaviour in [
        LogoutTokenOld,
        LogoutTokenWithoutEvents,
        LogoutTokenWithNonce,
        LogoutTokenOfNobody,
        LogoutTokenForOther,
        IdTokenAsLogoutToken,
    ] {
        openid.misbehave(Some(misbehaviour));
        let token = openid.logout_token("web", "user|alice", "any");
        let refused = post(&stage, FORM, &format!("logout_token={token}"));
        assert_eq!(refused.status, 400, "{misbehaviour:?}");
    }
    openid.misbehave(None);
    let good = openid.logout_token("web", "user|alice", "any");
    let form = format!("logout_token={good}");
    let large = format!("{form}&x={}", "x".repeat(64 * 1024));
    for (content_type, body, status) in [
        ("application/json", form.as_str(), 400),
        ("text/plain", &form, 400),
        (FORM, "", 400),
        (FORM, "logout_token=", 400),
        (FORM, "logout_token=a.b.c", 400),
        (FORM, &format!("{form}&{form}"), 400),
        (FORM, &large, 413),
    ] {
        assert_eq!(
            post(&stage, content_type, body).status,
            status,
            "{content_type}"
        );
    }
    assert_eq!(raw::get(stage.address(), "/told", &[]).unwrap().status, 400);
    assert_eq!(statuses(&stage, &alice), [200; 16]);
    assert_eq!(stage.traps(), 0);
}

/// Without the flag Envoy keeps the body from the filter: the request ends all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_envoy_keeps_back_is_told_of() {
    let stage = stage(false);
    let alice = signed_in(&stage, "alice", "wonderland").await;
    let begun = Instant::now();
    let token = stage.idp.openid().logout_token("web", "user|alice", "any");
    let refused = post(&stage, FORM, &format!("logout_token={token}"));
    assert_eq!(refused.status, 408);
    assert!(begun.elapsed() < Duration::from_secs(8));
    assert_eq!(stage.counter("bearer_gate.denied.body_missing"), 1);
    let log = stage.envoy().log();
    assert!(log.contains("allow_on_headers_stop_iteration"), "{log}");
    assert_eq!(statuses(&stage, &alice), [200; 16]);
}

#[tokio::test(flavor = "multi_thread")]
async fn s24_a_page_of_the_provider_ends_the_session_that_it_names() {
    let stage = stage(false);
    let mut visitor = Visitor::new();
    let page = stage.url("/");
    visitor.sign_in_for(&page, "alice", "wonderland").await;
    let name = "__Host-Http-bg_session_staff";
    let value = visitor.cookie(&stage.url("/"), name).expect("a session");
    let alice = format!("{name}={value}");
    // What the provider calls her session.
    let told = visitor.get(&stage.url("/x")).await;
    let token = told.seen("authorization").concat();
    assert!(token.starts_with("Bearer "));
    let sid = stage.idp.openid().sid_of("user|alice").expect("a session");
    let issuer = form(&stage.idp.issuer());
    let framed = |query: &str| raw::get(stage.address(), &format!("/framed{query}"), &[]).unwrap();
    for query in [
        String::new(),
        format!("?sid={sid}"),
        format!("?iss={issuer}"),
        format!("?iss=https://evil.example&sid={sid}"),
        format!("?iss={issuer}&sid="),
    ] {
        assert_eq!(framed(&query).status, 400, "{query}");
    }
    assert_eq!(statuses(&stage, &alice), [200; 16]);
    assert_eq!(framed(&format!("?iss={issuer}&sid=another")).status, 200);
    assert_eq!(statuses(&stage, &alice), [200; 16]);
    let page = framed(&format!("?iss={issuer}&sid={sid}"));
    assert_eq!(page.status, 200);
    assert_eq!(page.header("x-frame-options"), None);
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert_eq!(statuses(&stage, &alice), [401; 16]);
    assert_eq!(stage.counter("bearer_gate.logout.frontchannel"), 2);
}

fn form(text: &str) -> String {
    text.replace(':', "%3A").replace('/', "%2F")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_revoked_at_a_sign_out_and_nobody_waits_for_it() {
    let stage = stage(false);
    let alice = signed_in(&stage, "alice", "wonderland").await;
    let left = get(&stage, "/sign-out", &alice);
    assert_eq!(left.status, 303);
    assert_eq!(statuses(&stage, &alice), [401; 16], "a copy of the cookie");
    let openid = stage.idp.openid();
    eventually(LIMIT, "a token is revoked", || {
        openid.calls(Endpoint::Revocation) == 1
    });
    let asked = openid.last(Endpoint::Revocation);
    assert_eq!(asked.parameter("token_type_hint"), Some("access_token"));
}

/// A provider that refuses a revocation, or is away, changes nothing about the sign-out.
#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_that_fails_changes_nothing_and_is_told_once() {
    let stage = stage(false);
    let openid = stage.idp.openid();
    for (is_away, told) in [
        (false, "was refused: status 401"),
        (true, "no answer (1 in a row)"),
    ] {
        openid.register(party(&stage, "s3cret"));
        let alice = signed_in(&stage, "alice", "wonderland").await;
        let before = stage.envoy().log().matches(told).count();
        if is_away {
            stage.idp.stop();
        } else {
            openid.register(party(&stage, "another"));
        }
        let left = get(&stage, "/sign-out", &alice);
        assert_eq!(left.status, 303);
        assert!(left.header("set-cookie").unwrap().contains("Max-Age=0"));
        assert_eq!(statuses(&stage, &alice), [401; 16], "{told}");
        eventually(LIMIT, "the log says so", || {
            stage.envoy().log().matches(told).count() > before
        });
        std::thread::sleep(Duration::from_secs(2));
        let log = stage.envoy().log();
        assert_eq!(log.matches(told).count(), before + 1, "{log}");
    }
    assert_eq!(stage.traps(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn s20_a_logout_while_the_keys_cannot_be_had_is_503_and_works_later() {
    let stage = stage(true);
    let openid = stage.idp.openid();
    let alice = signed_in(&stage, "alice", "wonderland").await;
    let sid = openid.sid_of("user|alice").expect("a session");
    stage.idp.set_jwks(Fault::Status(500));
    stage.idp.rotate();
    let token = openid.logout_token("web", "user|alice", &sid);
    let form = format!("logout_token={token}");
    let unknown = post(&stage, FORM, &form);
    assert_eq!(unknown.status, 503, "{}", unknown.text());
    assert!(unknown.header("retry-after").is_some());
    assert_eq!(statuses(&stage, &alice), [200; 16]);
    stage.idp.set_jwks(Fault::Ok);
    eventually(Duration::from_secs(20), "the new key is there", || {
        let told = post(&stage, FORM, &form).status;
        assert!([200, 503].contains(&told), "{told}");
        told == 200
    });
    assert_eq!(statuses(&stage, &alice), [401; 16]);
    assert_eq!(stage.counter("bearer_gate.logout.backchannel"), 1);
    assert_eq!(stage.traps(), 0);
}

/// Strangers who send no body take no places from those who wait for a provider, and do not keep out what
/// the provider has to tell.
#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_never_come_leave_room_for_others() {
    // All of it must happen before the strangers' own time is up, which a busy machine may miss.
    for _ in 0..4 {
        if strangers_who_send_no_bodies().await {
            return;
        }
    }
    panic!("never done while the strangers wait");
}

/// False where it took so long that the strangers left by themselves.
async fn strangers_who_send_no_bodies() -> bool {
    let config = |stage: &Stage| {
        let mut config = config(stage);
        merge(&mut config, json!({"max_waiting": MOST_BODIES * 2}));
        config
    };
    let stage = stage_of(1, true, config);
    let address = stage.address();
    let head = format!(
        "POST /told HTTP/1.1\r\nhost: {address}\r\ncontent-type: {FORM}\r\n\
         content-length: 100\r\n\r\n"
    );
    let begun = Instant::now();
    let mut strangers: Vec<RawConnection> = (0..MOST_BODIES + 20)
        .map(|_| {
            let mut stranger = RawConnection::open(address).unwrap();
            stranger.send(head.as_bytes()).unwrap();
            stranger
        })
        .collect();
    let sent_away = "bearer_gate.denied.body_missing";
    eventually(LIMIT, "the first leave", || stage.counter(sent_away) >= 20);
    // Somebody signs in, for which the filter asks the provider.
    let mut visitor = Visitor::new();
    let page = stage.url("/");
    let done = visitor.sign_in_for(&page, "alice", "wonderland").await;
    let told = stage.idp.openid().sign_out("user|alice");
    let left = visitor.get(&page).await;
    // The one whose place the provider took leaves a moment later.
    eventually(LIMIT, "the provider took a place, too", || {
        stage.counter(sent_away) > 20
    });
    let gone = stage.counter(sent_away);
    if begun.elapsed() >= Duration::from_secs(5) {
        return false;
    }
    assert_eq!(done.status, 303, "{}", done.body);
    assert_eq!(told[0].answer, Some((200, String::new())));
    assert_eq!(left.status, 303, "she is signed out");
    assert_eq!(gone, 21, "the provider took one place");
    for stranger in &mut strangers {
        assert_eq!(stranger.response().unwrap().status, 408);
    }
    let log = stage.envoy().log();
    assert_eq!(log.matches("a body did not come").count(), 1, "{log}");
    assert_eq!(stage.traps(), 0);
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn a_front_channel_logout_in_odd_forms() {
    let stage = stage(false);
    let alice = signed_in(&stage, "alice", "wonderland").await;
    let sid = stage.idp.openid().sid_of("user|alice").expect("a session");
    let issuer = form(&stage.idp.issuer());
    let framed = |query: &str| raw::get(stage.address(), &format!("/framed?{query}"), &[]).unwrap();
    for query in [
        format!("iss={issuer}&sid={sid}&sid={sid}"),
        format!("iss={issuer}&sid=other&sid={sid}"),
        format!("iss={issuer}&sid={sid}&%73id=other"),
        format!("iss={issuer}&iss={issuer}&sid={sid}"),
        format!("iss=https://evil.example&iss={issuer}&sid={sid}"),
        format!("iss={issuer}&%69ss={issuer}&sid={sid}"),
        format!("iss={issuer}%2f&sid={sid}"),
        format!("iss={issuer}&sid=%ff"),
        format!("ISS={issuer}&SID={sid}"),
        format!("iss={issuer}#&sid={sid}"),
        format!("iss={issuer}&sid={}", "x".repeat(9000)),
    ] {
        let status = framed(&query).status;
        assert_eq!(status, 400, "{query}");
    }
    // These name another session.
    for other in [
        format!("{sid}%00"),
        format!("%20{sid}"),
        format!("{sid}+"),
        format!("{sid}%0a"),
        sid.to_uppercase() + "x",
        format!("%25{}", &sid[1..]),
    ] {
        assert_eq!(framed(&format!("iss={issuer}&sid={other}")).status, 200);
    }
    assert_eq!(statuses(&stage, &alice), [200; 16]);
    let escaped: String = sid.bytes().map(|octet| format!("%{octet:02x}")).collect();
    assert_eq!(
        framed(&format!("x=1&%73id={escaped}&i%73s={issuer}")).status,
        200
    );
    assert_eq!(statuses(&stage, &alice), [401; 16]);
    assert_eq!(stage.traps(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn s19_a_sign_out_that_another_site_sends_through_envoy() {
    let stage = stage(false);
    let alice = signed_in(&stage, "alice", "wonderland").await;
    let send = |method: &str, headers: &str| {
        let address = stage.address();
        let request = format!(
            "{method} /sign-out HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
             content-length: 0\r\ncookie: {alice}\r\n{headers}\r\n"
        );
        raw::request(address, request.as_bytes()).unwrap()
    };
    let page = "sec-fetch-mode: navigate\r\nsec-fetch-dest: document\r\n";
    let picture = "sec-fetch-mode: no-cors\r\nsec-fetch-dest: image\r\n";
    let frame = "sec-fetch-mode: navigate\r\nsec-fetch-dest: iframe\r\n";
    let elsewhere = "sec-fetch-site: cross-site\r\n";
    let beside = "sec-fetch-site: same-site\r\n";
    let evil = "origin: https://evil.example\r\n";
    for (method, headers, status) in [
        ("GET", format!("{page}{elsewhere}"), 200),
        ("GET", format!("{page}{beside}"), 200),
        ("GET", format!("{picture}{elsewhere}"), 403),
        ("GET", format!("{frame}{elsewhere}"), 403),
        (
            "GET",
            format!("{picture}sec-fetch-site: same-origin\r\n"),
            403,
        ),
        ("GET", String::new(), 403),
        ("POST", format!("{page}{elsewhere}{evil}"), 403),
        ("POST", format!("{page}{beside}{evil}"), 403),
        ("POST", evil.to_owned(), 403),
        ("POST", "origin: null\r\n".to_owned(), 403),
        ("POST", String::new(), 403),
        ("PUT", "sec-fetch-site: same-origin\r\n".to_owned(), 403),
    ] {
        let answer = send(method, &headers);
        assert_eq!(answer.status, status, "{method} {headers}");
        assert_eq!(answer.header("set-cookie"), None, "{method} {headers}");
        if status == 200 {
            let text = answer.text();
            assert!(text.contains("href=\"/sign-out\""), "it asks: {text}");
        }
    }
    assert_eq!(statuses(&stage, &alice), [200; 16]);
    assert_eq!(stage.counter("bearer_gate.signed_out"), 0);
    let own = format!("origin: http://{}\r\n", stage.address());
    assert_eq!(send("POST", &own).status, 303);
    assert_eq!(statuses(&stage, &alice), [401; 16]);
}
