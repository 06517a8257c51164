//! Sessions that are refreshed: by whom, when, and what comes of it. The provider takes a refresh
//! token once; the second time it revokes all of its sign-in, so no test passes that sends one twice.

use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::sim::host::process;
use crate::world::{APP, Browser, KEY_1, PAGE, Page, SCRIPT, Waiting, World, config};

const SESSION: &str = "__Host-Http-bg_session_staff";

/// The scheme `staff` refreshes its sessions, and the upstream gets the access token.
pub(crate) fn refreshing(change: impl FnOnce(&mut Value)) -> bearer_gate::config::Config {
    config(&[KEY_1], |config| {
        let staff = &mut config["sign_in"]["schemes"]["staff"];
        staff["use_refresh_token"] = json!(true);
        staff["forward_bearer_token"] = json!(true);
        change(staff);
    })
}

pub(crate) fn world() -> World {
    World::with(refreshing(|_| ()))
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn completed(world: &World) -> i64 {
    world.process.count_of("bearer_gate.refresh.completed")
}

fn failed(world: &World, reason: &str) -> i64 {
    let name = format!("bearer_gate.refresh.failed.{reason}");
    world.process.count_of(&name)
}

pub(crate) fn bearer(page: &Page) -> Option<&str> {
    page.at_upstream("authorization")
}

fn session_of(browser: &Browser) -> String {
    browser.jar[&("app.example".to_owned(), SESSION.to_owned())].clone()
}

pub(crate) fn arrive(world: &World, worker: usize, browser: &Browser) -> Result<Page, Waiting> {
    world.worker.set(worker);
    world.arrive(browser, "GET", &format!("{APP}/page"), &PAGE)
}

#[test]
fn a_session_is_refreshed_before_its_access_token_ends() {
    let world = world();
    let mut browser = world.signed_in("alice");
    let before = session_of(&browser);
    world.pass(seconds(239));
    let page = world.open(&mut browser, "/page");
    assert_eq!(bearer(&page), Some("Bearer access-of-alice"));
    assert_eq!(world.provider.calls.get(), 1, "the code's alone");
    world.pass(seconds(1));
    let page = world.open(&mut browser, "/page");
    assert_eq!((page.status, page.user()), (200, Some("alice")));
    assert_eq!(bearer(&page), Some("Bearer access-1-of-alice"));
    assert_ne!(session_of(&browser), before);
    // The next one brings the new session.
    let page = world.open(&mut browser, "/page");
    assert_eq!(bearer(&page), Some("Bearer access-1-of-alice"));
    assert_eq!(world.provider.calls.get(), 2);
    // And so on, until the absolute end.
    for number in 2..=5 {
        world.pass(seconds(270));
        let page = world.open(&mut browser, "/page");
        let expected = format!("Bearer access-{number}-of-alice");
        assert_eq!(bearer(&page), Some(expected.as_str()));
    }
    assert_eq!(completed(&world), 5);
    world.pass(seconds(8 * 3600));
    assert_eq!(world.open(&mut browser, "/page").status, 303);
    assert!(world.provider.reused.borrow().is_empty());
}

#[test]
fn a_session_is_refreshed_after_its_tokens_ended() {
    for rules in [
        json!({"max_duration": "3600s"}),
        json!({"idle_timeout": "1800s"}),
    ] {
        let world = World::with(refreshing(|staff| staff["session"] = rules.clone()));
        let mut browser = world.signed_in("alice");
        world.pass(seconds(1000));
        let page = world.send(&mut browser, "GET", &format!("{APP}/page"), &SCRIPT);
        assert_eq!((page.status, page.user()), (200, Some("alice")), "{rules}");
        assert_eq!(bearer(&page), Some("Bearer access-1-of-alice"));
        world.pass(seconds(1000));
        let page = world.open(&mut browser, "/staff/session");
        assert_eq!(page.status, 200, "{page:?}");
        assert_eq!(world.provider.refreshes.get(), 2);
        // Not beyond the times of the session.
        world.pass(seconds(3600));
        assert_eq!(world.open(&mut browser, "/page").status, 303, "{rules}");
        assert_eq!(world.provider.refreshes.get(), 2);
    }
}

/// A session that is due to be refreshed counts until its tokens end, so its request needs no place
/// in a line that is full.
#[test]
fn where_no_more_requests_may_wait_a_session_that_is_good_goes_on() {
    let world = World::with({
        let mut config = refreshing(|_| ());
        config.max_waiting = 1;
        config
    });
    let (first, second) = (world.signed_in("alice"), world.signed_in("bob"));
    world.pass(seconds(250));
    arrive(&world, 0, &first).unwrap_err();
    let page = arrive(&world, 0, &second).unwrap();
    assert_eq!((page.status, page.user()), (200, Some("bob")));
    assert_eq!(bearer(&page), Some("Bearer access-of-bob"));
    // Not when they have ended.
    world.pass(seconds(50));
    let page = arrive(&world, 0, &second).unwrap();
    assert_eq!(page.status, 503, "{page:?}");
    assert_eq!(world.provider.refreshes.get(), 0);
}

#[test]
fn one_worker_refreshes_for_all() {
    let world = world();
    for _ in 1..4 {
        world.add_worker();
    }
    let browser = world.signed_in("alice");
    world.pass(seconds(400));
    let waiting: Vec<Waiting> = (0..12)
        .map(|number| arrive(&world, number % 4, &browser).unwrap_err())
        .collect();
    assert!(world.tick().is_empty());
    assert!(world.tick().is_empty());
    assert_eq!(world.process.calls.borrow().len(), 1);
    // One more comes while it is on its way.
    let late = arrive(&world, 3, &browser).unwrap_err();
    let mut pages = world.answer_calls();
    pages.extend(world.tick());
    assert_eq!(pages.len(), 13);
    let mut browsers = Vec::new();
    for waiting in waiting.into_iter().chain([late]) {
        let at = pages.iter().position(|(of, _)| waiting.is(*of)).unwrap();
        let (_, page) = pages.swap_remove(at);
        assert_eq!(bearer(&page), Some("Bearer access-1-of-alice"));
        let mut browser = browser.clone();
        browser.keep("app.example", &page);
        browsers.push(browser);
    }
    // Who comes within a minute with the session from before gets the new one, on each worker.
    world.pass(seconds(55));
    for worker in 0..4 {
        let page = arrive(&world, worker, &browser).unwrap();
        assert_eq!(bearer(&page), Some("Bearer access-1-of-alice"));
        browsers.push({
            let mut browser = browser.clone();
            browser.keep("app.example", &page);
            browser
        });
    }
    assert_eq!(world.provider.refreshes.get(), 1);
    // All of them have the same new one, of which the first to come is refreshed for all.
    world.pass(seconds(300));
    for (number, mut browser) in browsers.into_iter().enumerate() {
        world.worker.set(number % 4);
        let page = world.open(&mut browser, "/page");
        assert_eq!(bearer(&page), Some("Bearer access-2-of-alice"));
    }
    assert_eq!(world.provider.refreshes.get(), 2);
    assert!(world.provider.reused.borrow().is_empty());
}

#[test]
fn sessions_of_several_people_are_refreshed_side_by_side() {
    let world = world();
    world.add_worker();
    let mut browsers: Vec<(String, Browser)> = (0..200)
        .map(|number| {
            let sub = format!("person-{number}");
            let browser = world.signed_in(&sub);
            (sub, browser)
        })
        .collect();
    world.pass(seconds(400));
    for round in 0..2 {
        for (number, (sub, browser)) in browsers.iter_mut().enumerate() {
            world.worker.set((number + round) % 2);
            let page = world.open(browser, "/page");
            assert_eq!(page.user(), Some(sub.as_str()));
            assert!(bearer(&page).unwrap().ends_with(&format!("of-{sub}")));
        }
    }
    assert_eq!(world.provider.refreshes.get(), 200);
    // What is shared is bounded in values, and does not stay.
    let values = world.process.store.octets();
    world.pass(seconds(601));
    world.tick();
    world.tick();
    assert!(world.process.store.octets() < values / 20);
}

#[test]
fn another_worker_takes_over_from_one_that_was_lost() {
    let world = world();
    world.add_worker();
    let browser = world.signed_in("alice");
    world.pass(seconds(400));
    let _lost = arrive(&world, 0, &browser).unwrap_err();
    let waiting = arrive(&world, 1, &browser).unwrap_err();
    world.tick();
    assert_eq!(world.process.calls.borrow().len(), 1);
    // Its worker is lost with the call, before the provider has it.
    world.process.calls.borrow_mut().clear();
    world.lose(0);
    world.tick();
    assert!(
        world.process.calls.borrow().is_empty(),
        "it could still be answered"
    );
    world.pass(seconds(6));
    let page = world.answer_all(waiting);
    assert_eq!(bearer(&page), Some("Bearer access-1-of-alice"));
    assert_eq!(world.provider.refreshes.get(), 1);
}

#[test]
fn what_is_written_over_in_shared_data_mixes_nothing_up() {
    let world = world();
    world.add_worker();
    let [mut alice, mut bob] = ["alice", "bob"].map(|sub| world.signed_in(sub));
    world.pass(seconds(400));
    for browser in [&mut alice, &mut bob] {
        world.open(browser, "/page");
    }
    // Whoever shares the vm_id can write, and knows no key.
    world
        .process
        .store
        .overwrite_all(b"\x01\0\0\0\0\0\0\0garbage");
    world.pass(seconds(300));
    world.worker.set(1);
    for (browser, sub) in [(&mut alice, "alice"), (&mut bob, "bob")] {
        let page = world.open(browser, "/page");
        assert_eq!(page.user(), Some(sub));
    }
    assert!(world.provider.reused.borrow().is_empty());
}

#[test]
fn s29_a_session_whose_tokens_have_ended_does_not_lead_a_flow_that_fails_back_to_its_page() {
    let world = world();
    let mut browser = world.signed_in("alice");
    world.pass(seconds(301));
    *world.provider.lie.borrow_mut() = Some(Box::new(|status, body| {
        *status = 400;
        *body = json!({"error": "invalid_grant"});
    }));
    let mut url = world.open(&mut browser, "/page").location().to_owned();
    *world.provider.lie.borrow_mut() = None;
    // Some sibling's host has put its own value beside the browser's: the flow is nobody's.
    let strange = |browser: &Browser| {
        let mut browser = browser.clone();
        browser.jar.retain(|(_, name), _| !name.contains("browser"));
        browser
    };
    for _ in 0..2 {
        let back = world.provider.sign_in(&url, "alice");
        let page = world.come_back(&mut strange(&browser), &back);
        page.location().clone_into(&mut url);
        assert!(url.starts_with("https://idp.example/authorize"), "{url}");
    }
    let back = world.provider.sign_in(&url, "alice");
    let page = world.come_back(&mut strange(&browser), &back);
    assert_eq!(page.status, 400, "it is told");
}

#[test]
fn a_session_that_the_provider_refuses_is_over() {
    let world = world();
    let mut browser = world.signed_in("alice");
    // Somebody else has spent its token.
    let mut other = browser.clone();
    let elsewhere = World::on(process(), refreshing(|_| ()));
    elsewhere
        .process
        .unix_seconds
        .set(world.process.unix_seconds.get() + 290.0);
    world.pass(seconds(290));
    *world.provider.lie.borrow_mut() = Some(Box::new(|status, body| {
        *status = 400;
        *body = json!({"error": "invalid_grant"});
    }));
    // Its access token lives: the session goes on, and the provider is not asked again at once.
    for _ in 0..3 {
        let page = world.open(&mut browser, "/page");
        assert_eq!(bearer(&page), Some("Bearer access-of-alice"));
        assert!(
            page.header("set-cookie")
                .is_none_or(|line| !line.contains("Max-Age=0"))
        );
    }
    assert_eq!(failed(&world, "refresh_refused"), 1);
    // Then it is over, for pages and for scripts.
    world.pass(seconds(61));
    let page = world.send(&mut other, "GET", &format!("{APP}/page"), &SCRIPT);
    assert_eq!((page.status, page.reason), (401, Some("session_missing")));
    assert!(other.has("bg_session"), "a script deletes nothing");
    let page = world.open(&mut browser, "/page");
    assert!(page.location().starts_with("https://idp.example/authorize"));
    assert_eq!(failed(&world, "refresh_refused"), 2);
    let json = world.open(&mut other, "/staff/session");
    assert_eq!(json.status, 401);
}

#[test]
fn a_provider_that_does_not_answer_is_waited_for() {
    let world = world();
    world.add_worker();
    let mut browser = world.signed_in("alice");
    world.provider.is_down.set(true);
    world.pass(seconds(241));
    // The session is still good: nothing is lost but the time of a call.
    for worker in [0, 1, 0, 1] {
        world.worker.set(worker);
        let page = world.open(&mut browser, "/page");
        assert_eq!(bearer(&page), Some("Bearer access-of-alice"));
    }
    assert_eq!(failed(&world, "provider_unavailable"), 1, "once in a while");
    world.pass(seconds(11));
    world.open(&mut browser, "/page");
    assert_eq!(failed(&world, "provider_unavailable"), 2);
    // Now it is not, and nobody can say whether it could be.
    world.pass(seconds(60));
    for headers in [&PAGE, &SCRIPT] {
        let page = world.send(&mut browser, "GET", &format!("{APP}/page"), headers);
        assert_eq!(page.status, 503);
        assert_eq!(page.reason, Some("provider_unavailable"));
        assert!(page.header("retry-after").is_some());
    }
    assert!(browser.has("bg_session"), "it is not lost");
    assert_eq!(world.open(&mut browser, "/public").status, 200);
    world.provider.is_down.set(false);
    world.pass(seconds(31));
    let page = world.open(&mut browser, "/page");
    assert_eq!(bearer(&page), Some("Bearer access-1-of-alice"));
}

/// What becomes of a session that is still good, and of one that is not, by what the provider says.
#[test]
fn answers_that_bring_no_tokens() {
    type Lie = fn(&mut u16, &mut Value);
    let table: &[(Lie, &str, u32)] = &[
        (|status, _| *status = 500, "provider_unavailable", 503),
        (|_, body| *body = json!("<html>"), "tokens_unusable", 503),
        (
            |_, body| body["token_type"] = json!("DPoP"),
            "tokens_unusable",
            503,
        ),
        (
            |_, body| body["access_token"] = json!(null),
            "tokens_unusable",
            503,
        ),
        (
            |_, body| *body = json!({"error": "invalid_client"}),
            "refresh_refused",
            503,
        ),
        // It says nothing of the token.
        (
            |_, body| *body = json!({"error": "temporarily_unavailable"}),
            "refresh_refused",
            503,
        ),
        (
            |_, body| *body = json!({"error": "invalid_grant"}),
            "refresh_refused",
            303,
        ),
        (
            |_, body| *body = json!({"error": "unauthorized_client"}),
            "refresh_refused",
            303,
        ),
        // The person can mend it, at the provider.
        (
            |_, body| *body = json!({"error": "interaction_required"}),
            "refresh_refused",
            303,
        ),
    ];
    for (lie, reason, expected) in table {
        for (after, expected) in [(250, 200), (400, *expected)] {
            let world = world();
            let mut browser = world.signed_in("alice");
            world.pass(seconds(after));
            *world.provider.lie.borrow_mut() = Some(Box::new(*lie));
            let page = world.open(&mut browser, "/page");
            assert_eq!(page.status, expected, "{reason} after {after}: {page:?}");
            assert_eq!(failed(&world, reason), 1, "{reason} after {after}");
        }
    }
}

#[test]
fn s23_an_id_token_of_somebody_else_ends_the_session() {
    type Change = fn(&mut Value);
    let table: &[(Change, bool)] = &[
        (|_| (), true),
        (|claims| claims["groups"] = json!(["admin"]), true),
        (|claims| claims["sub"] = json!("bob"), false),
        (|claims| claims["sub"] = json!(""), false),
        (
            |claims| claims["iss"] = json!("https://other.example/"),
            false,
        ),
        (|claims| claims["aud"] = json!("other"), false),
        (|claims| claims["auth_time"] = json!(1_699_999_000), false),
        (|claims| claims["nonce"] = json!("of another flow"), false),
        (|claims| claims["exp"] = json!(1_700_000_000), false),
    ];
    for (change, is_good) in table {
        let world = world();
        *world.provider.claims.borrow_mut() = Some(Box::new(|claims| {
            claims["auth_time"] = json!(1_699_999_900)
        }));
        let mut browser = world.signed_in("alice");
        world.provider.gives_id_token.set(true);
        *world.provider.claims.borrow_mut() = Some(Box::new(move |claims| {
            claims["auth_time"] = json!(1_699_999_900);
            change(claims);
        }));
        // While its access token lives.
        world.pass(seconds(250));
        let page = world.open(&mut browser, "/page");
        assert_eq!(page.status == 200, *is_good, "{page:?}");
        assert_eq!(page.user(), is_good.then_some("alice"));
    }
}

#[test]
fn claims_follow_the_provider() {
    let world = world();
    let mut browser = world.signed_in("alice");
    let page = world.open(&mut browser, "/admin");
    assert_eq!((page.status, page.reason), (403, Some("claim_rule")));
    world.pass(seconds(250));
    world.provider.gives_id_token.set(true);
    *world.provider.claims.borrow_mut() =
        Some(Box::new(|claims| claims["groups"] = json!(["admin"])));
    assert_eq!(world.open(&mut browser, "/admin").status, 200);
    world.pass(seconds(250));
    *world.provider.claims.borrow_mut() = None;
    // A refusal carries the new session, too.
    let page = world.open(&mut browser, "/admin");
    assert_eq!((page.status, page.reason), (403, Some("claim_rule")));
    assert!(page.header("set-cookie").is_some());
    assert_eq!(world.open(&mut browser, "/admin").status, 403);
    assert_eq!(world.provider.refreshes.get(), 2);
}

#[test]
fn a_request_of_another_site_refreshes_nothing() {
    let world = world();
    let mut browser = world.signed_in("alice");
    world.pass(seconds(400));
    let cross = [("sec-fetch-site", "cross-site")];
    let page = world.send(&mut browser, "POST", &format!("{APP}/page"), &cross);
    assert_eq!((page.status, page.reason), (403, Some("cross_site")));
    assert_eq!(world.provider.calls.get(), 1);
    // Nor does a page that asks for nothing.
    assert_eq!(world.open(&mut browser, "/public").status, 200);
    assert_eq!(world.provider.calls.get(), 1);
    // Who signs out needs none.
    assert_eq!(world.open(&mut browser, "/staff/sign-out").status, 303);
    assert_eq!(world.provider.calls.get(), 1);
}

#[test]
fn a_provider_without_refresh_tokens_keeps_the_session_as_it_was() {
    let world = world();
    *world.provider.lie.borrow_mut() = Some(Box::new(|_, body| {
        body["refresh_token"] = Value::Null;
    }));
    let mut browser = world.signed_in("alice");
    world.pass(seconds(1000));
    assert_eq!(world.open(&mut browser, "/page").status, 200);
    assert_eq!(world.provider.calls.get(), 1);
}

#[test]
fn a_session_from_before_the_configuration_used_refresh_tokens() {
    let shared = process();
    let before = World::on(Rc::clone(&shared), config(&[KEY_1], |_| ()));
    let mut browser = before.signed_in("alice");
    let after = World::on(Rc::clone(&shared), refreshing(|_| ()));
    after.pass(seconds(1000));
    assert_eq!(after.open(&mut browser, "/page").user(), Some("alice"));
    // And back: the session ends with its tokens.
    let mut browser = after.signed_in("bob");
    after.pass(seconds(250));
    assert_eq!(before.open(&mut browser, "/page").user(), Some("bob"));
    after.pass(seconds(100));
    assert_eq!(before.open(&mut browser, "/page").status, 303);
}
