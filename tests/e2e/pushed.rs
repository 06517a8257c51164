//! Authorization requests are pushed to the provider through a real Envoy (RFC 9126), where the
//! provider requires it and where the operator asks for it.

use bearer_gate_testbed::idp::openid::{Endpoint, Misbehaviour, RelyingParty};
use bearer_gate_testbed::visitor::{Visitor, parameters};
use serde_json::{Value, json};

use crate::sign_in;
use crate::stage::{Stage, merge};

fn stage(more: Value) -> Stage {
    stage_with(|_| more, false)
}

/// A stage whose provider requires requests to be pushed, or does not.
fn stage_with(more: impl FnOnce(&Stage) -> Value, requires: bool) -> Stage {
    let stage = Stage::start_with(
        |idp| {
            idp.openid()
                .configure(|settings| settings.requires_pushed_requests = requires);
        },
        |_| json!({"unmatched": "allow"}),
    );
    let mut config = sign_in::config(&stage);
    let more = more(&stage);
    merge(&mut config["sign_in"]["schemes"]["staff"], more);
    stage.envoy().reload_wasm(&config).unwrap();
    let callback = stage.url("/oauth2/callback");
    let openid = stage.idp.openid();
    openid.register(RelyingParty::confidential("web", "s3cret", &callback));
    stage
}

fn asked() -> Value {
    json!({"pushed_authorization_request_endpoint": {"cluster": "idp", "timeout": "2s"}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_by_a_request_that_was_pushed() {
    type More = fn(&Stage) -> Value;
    let written: More = |stage| {
        let url = stage.idp.openid().browser_url(Endpoint::Authorize);
        json!({"authorization_endpoint": url})
    };
    // The provider's metadata require it, whether the other endpoint is theirs or is written; or it is
    // asked for.
    let table: [(More, bool); 3] = [(|_| json!({}), true), (written, true), (|_| asked(), false)];
    for (more, requires) in table {
        let stage = stage_with(more, requires);
        let openid = stage.idp.openid();
        let mut visitor = Visitor::new();
        let begun = visitor.get(&stage.url("/reports?year=2026")).await;
        assert_eq!(begun.status, 303, "{}", begun.body);
        let location = begun.header("location").unwrap();
        assert!(location.starts_with(&openid.browser_url(Endpoint::Authorize)));
        let brought = parameters(location);
        let names: Vec<&str> = brought.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["client_id", "request_uri"]);
        let pushed = openid.last(Endpoint::PushedAuthorization);
        assert!(
            pushed
                .header("authorization")
                .unwrap()
                .starts_with("Basic ")
        );
        for name in ["state", "nonce", "code_challenge", "client_id"] {
            assert!(
                pushed
                    .parameter(name)
                    .is_some_and(|value| !value.is_empty())
            );
        }
        let back = visitor.sign_in(location, "alice", "wonderland").await;
        let done = visitor.get(back.header("location").unwrap()).await;
        assert_eq!(done.header("location"), Some("/reports?year=2026"));
        let page = visitor.get(&stage.url("/reports?year=2026")).await;
        assert_eq!(page.seen("x-user"), ["user|alice"]);
        assert_eq!(openid.calls(Endpoint::PushedAuthorization), 1);
        assert_eq!(stage.counter("bearer_gate.sign_in.begun"), 1);
        assert_eq!(stage.counter("bearer_gate.sign_in.completed"), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s33_answers_to_a_pushed_request_through_envoy() {
    use Misbehaviour as M;
    let stage = stage(asked());
    let openid = stage.idp.openid();
    for (misbehaviour, status, reason) in [
        (M::PushedUriNoText, 502, "push_refused"),
        (M::PushedUriForged, 502, "push_refused"),
        (M::PushedOver, 502, "push_refused"),
        (M::PushedRefused, 403, "invalid_scope"),
        (M::Pushed500, 503, "provider_unavailable"),
    ] {
        openid.misbehave(Some(misbehaviour));
        let counter = format!("bearer_gate.sign_in.failed.{reason}");
        let before = stage.counter(&counter);
        let page = Visitor::new().get(&stage.url("/page")).await;
        assert_eq!(page.status, status, "{misbehaviour:?}: {}", page.body);
        assert_eq!(page.header("location"), None);
        assert_eq!(stage.counter(&counter), before + 1, "{misbehaviour:?}");
    }
    // The endpoint is left alone for a moment after its failure.
    openid.misbehave(Some(M::PushedWith200));
    // Each worker has its own rest.
    let begun = async |visitor: &mut Visitor| {
        for _ in 0..50 {
            let begun = visitor.get(&stage.url("/page")).await;
            if begun.status == 303 {
                return begun;
            }
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
        panic!("nobody is sent to the provider");
    };
    // 200 is as good as 201.
    begun(&mut Visitor::new()).await;

    // The request of another browser: whoever signs in for it signs nobody in here.
    openid.misbehave(Some(M::PushedOfAnotherFlow));
    let mut visitor = Visitor::new();
    let begun = begun(&mut visitor).await;
    let location = begun.header("location").unwrap();
    let back = visitor.sign_in(location, "bob", "tokyo").await;
    let redeemed = openid.calls(Endpoint::Token);
    let mut again = visitor.get(back.header("location").unwrap()).await;
    if again.status == 503 {
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        again = visitor.get(back.header("location").unwrap()).await;
    }
    assert_eq!(again.status, 303, "{}", again.body);
    assert!(again.header("location").unwrap().contains("request_uri="));
    assert_eq!(openid.calls(Endpoint::Token), redeemed);
    let url = stage.url("/");
    assert_eq!(visitor.cookie(&url, "__Host-Http-bg_session_staff"), None);
    assert_eq!(stage.traps(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_strangers_are_pushed_within_bounds() {
    let stage = stage(asked());
    let visits = (0..150).map(|_| {
        let url = stage.url("/page");
        tokio::spawn(async move { Visitor::new().get(&url).await })
    });
    let visits: Vec<_> = visits.collect();
    let mut uris = std::collections::BTreeSet::new();
    for visit in visits {
        let begun = visit.await.unwrap();
        assert_eq!(begun.status, 303, "{}", begun.body);
        uris.insert(begun.header("location").unwrap().to_owned());
    }
    assert_eq!(uris.len(), 150, "each has its own");
    assert_eq!(stage.idp.openid().calls(Endpoint::PushedAuthorization), 150);
    assert_eq!(stage.traps(), 0);
}
