//! Authorization requests that the provider is told of before the browser comes (RFC 9126).

use std::time::Duration;

use serde_json::{Value, json};

use crate::provider::parameters;
use crate::world::{APP, Browser, KEY_1, PAGE, World, config};

fn world() -> World {
    World::with(config(&[KEY_1], |config| {
        for scheme in ["staff", "guests"] {
            config["sign_in"]["schemes"][scheme]["pushed_authorization_request_endpoint"] =
                json!({"uri": "https://idp.example/par", "cluster": "idp", "timeout": "5s"});
        }
    }))
}

fn lie(world: &World, change: impl Fn(&mut u16, &mut Value) + 'static) {
    *world.provider.push_lie.borrow_mut() = Some(Box::new(change));
}

#[test]
fn a_browser_brings_a_reference_alone() {
    let world = world();
    let mut browser = Browser::default();
    let location = world.begin(&mut browser, "/reports/7?year=2026");
    let asked = parameters(&location);
    assert_eq!(asked.len(), 2, "{location}");
    assert_eq!(asked["client_id"], "web");
    let pushed = world.provider.pushed.borrow()[&asked["request_uri"]].clone();
    assert_eq!(pushed["redirect_uri"], format!("{APP}/staff/callback"));
    assert_eq!(pushed["client_id"], "web");
    for secret in ["state", "nonce", "code_challenge"] {
        assert!(!location.contains(&pushed[secret]), "{location}");
    }
    let back = world.come_back(&mut browser, &world.provider.sign_in(&location, "alice"));
    assert_eq!(back.location(), "/reports/7?year=2026");
    let page = world.open(&mut browser, back.location());
    assert_eq!((page.status, page.user()), (200, Some("alice")));
    let counts = |name| world.process.count_of(name);
    assert_eq!(counts("bearer_gate.sign_in.begun"), 1);
    assert_eq!(counts("bearer_gate.sign_in.completed"), 1);
}

#[test]
fn each_request_is_pushed_once_and_for_itself() {
    let world = world();
    // Several tabs of one browser, and several browsers, all of which wait at once.
    let known = world.signed_in("alice");
    let mut tabs = vec![Browser::default(); 3];
    for _ in 0..3 {
        let mut tab = known.clone();
        tab.jar.retain(|(_, name), _| name.contains("bg_browser"));
        tabs.push(tab);
    }
    let arrived: Vec<_> = tabs
        .iter()
        .map(|tab| {
            world
                .arrive(tab, "GET", &format!("{APP}/"), &PAGE)
                .unwrap_err()
        })
        .collect();
    assert!(world.tick().is_empty());
    let pages = world.answer_calls();
    assert_eq!(world.provider.pushed.borrow().len(), 6);
    let mut uris = Vec::new();
    for (waiting, tab) in arrived.into_iter().zip(&mut tabs) {
        let (_, page) = pages.iter().find(|(of, _)| waiting.is(*of)).unwrap();
        tab.keep("app.example", page);
        uris.push(parameters(page.location())["request_uri"].clone());
        let back = world.provider.sign_in(page.location(), "bob");
        assert_eq!(world.come_back(tab, &back).location(), "/");
    }
    uris.sort_unstable();
    uris.dedup();
    assert_eq!(uris.len(), 6);
}

#[test]
fn s33_the_answer_to_another_flow_signs_nobody_in() {
    let world = world();
    let mut attacker = Browser::default();
    world.begin(&mut attacker, "/");
    let mut victim = Browser::default();
    lie(&world, |_, body| {
        body["request_uri"] = json!("urn:pushed:0")
    });
    let location = world.begin(&mut victim, "/");
    let back = world.provider.sign_in(&location, "mallory");
    *world.provider.push_lie.borrow_mut() = None;
    // The browser comes back with a `state` that is not its own: the sign-in begins again.
    let again = world.come_back(&mut victim, &back);
    assert!(
        again
            .location()
            .starts_with("https://idp.example/authorize?")
    );
    assert_eq!(world.provider.calls.get(), 0, "no code is redeemed");
    assert!(!victim.has("bg_session"));
}

#[test]
fn s33_answers_that_are_of_no_use_end_the_sign_in() {
    type Change = fn(&mut u16, &mut Value);
    let table: [(&str, u32, Change); 9] = [
        ("push_refused", 502, |_, body| {
            body["request_uri"] = json!(7)
        }),
        ("push_refused", 502, |_, body| {
            body["request_uri"] = json!("urn:x\r\ny: z")
        }),
        ("push_refused", 502, |_, body| body["expires_in"] = json!(0)),
        ("push_refused", 502, |_, body| {
            body["expires_in"] = Value::Null
        }),
        ("push_refused", 502, |status, body| {
            *status = 401;
            *body = json!({"error": "invalid_client"});
        }),
        ("push_refused", 502, |status, body| {
            *status = 413;
            *body = json!({});
        }),
        ("invalid_scope", 403, |status, body| {
            *status = 400;
            *body = json!({"error": "invalid_scope"});
        }),
        ("provider_unavailable", 503, |status, _| *status = 500),
        ("provider_unavailable", 503, |status, _| *status = 302),
    ];
    for (reason, status, change) in table {
        let world = world();
        lie(&world, change);
        let mut browser = Browser::default();
        let page = world.open(&mut browser, "/");
        assert_eq!(page.status, status, "{reason}: {page:?}");
        let counted = format!("bearer_gate.sign_in.failed.{reason}");
        assert_eq!(world.process.count_of(&counted), 1, "{reason}");
        assert_eq!(world.process.count_of("bearer_gate.sign_in.begun"), 0);
        assert_eq!(page.header("location"), None);
        // What is tried again is asked again.
        *world.provider.push_lie.borrow_mut() = None;
        world.pass(Duration::from_secs(60));
        world.begin(&mut browser, "/");
    }
}

#[test]
fn a_provider_that_is_down_gets_a_page_that_says_so() {
    let world = world();
    world.provider.is_down.set(true);
    let page = world.open(&mut Browser::default(), "/");
    assert_eq!(page.status, 503, "{page:?}");
    assert!(page.header("retry-after").is_some());
    assert!(
        page.header("content-type")
            .unwrap()
            .starts_with("text/html")
    );
    // The status 200 is as good as 201.
    world.provider.is_down.set(false);
    world.pass(Duration::from_secs(60));
    lie(&world, |status, _| *status = 200);
    world.begin(&mut Browser::default(), "/");
}
