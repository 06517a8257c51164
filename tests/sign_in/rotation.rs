//! Who waits for a refresh, and who finds its answer afterwards: no session is lost although its
//! refresh token is used up.

use serde_json::json;

use crate::refresh::{arrive, bearer, refreshing, seconds, world};
use crate::sim::host::fill_answers;
use crate::world::{APP, Browser, Page, SCRIPT, Waiting, World};

/// A posted form, whose body has not come yet.
fn post(world: &World, browser: &Browser) -> Result<Page, Waiting> {
    world.arrive(browser, "POST", &format!("{APP}/page"), &SCRIPT)
}

fn is_set(page: &Page) -> bool {
    page.header("set-cookie").is_some()
}

#[test]
fn a_request_with_a_body_waits_only_for_a_session_whose_tokens_have_ended() {
    let world = world();
    let mut browser = world.signed_in("alice");
    world.pass(seconds(250));
    for _ in 0..3 {
        let page = post(&world, &browser).unwrap();
        assert_eq!(bearer(&page), Some("Bearer access-of-alice"));
    }
    world.settle();
    assert_eq!(world.provider.calls.get(), 1, "it begins no refresh");
    // Nor does it wait for one that another request has begun.
    let waiting = arrive(&world, 0, &browser).unwrap_err();
    world.tick();
    let page = post(&world, &browser).unwrap();
    assert_eq!(bearer(&page), Some("Bearer access-of-alice"));
    world.answer_all(waiting);
    // Once the answer is there, it takes it along.
    let page = post(&world, &browser).unwrap();
    assert!(is_set(&page));
    assert_eq!(bearer(&page), Some("Bearer access-1-of-alice"));
    browser.keep("app.example", &page);
    world.pass(seconds(301));
    let waiting = post(&world, &browser).unwrap_err();
    let page = world.answer_all(waiting);
    assert!(is_set(&page));
    assert_eq!(bearer(&page), Some("Bearer access-2-of-alice"));
    assert!(world.provider.reused.borrow().is_empty());
}

/// A WebSocket is no request that is whole, either.
#[test]
fn a_socket_does_not_wait_while_the_tokens_live() {
    let world = world();
    let browser = world.signed_in("alice");
    world.pass(seconds(250));
    let headers = [SCRIPT[2], ("upgrade", "websocket")];
    let url = format!("{APP}/page");
    let page = world.arrive(&browser, "GET", &url, &headers);
    assert_eq!(page.unwrap().status, 200);
    world.pass(seconds(60));
    world.arrive(&browser, "GET", &url, &headers).unwrap_err();
}

/// Its client has left, and nobody has taken the answer. How long after it the browser comes back, and
/// how many refreshes that takes.
#[test]
fn a_browser_that_left_in_the_middle_comes_back() {
    for (after, refreshes, status) in [
        (1, 1, 200),
        (59, 1, 200),
        (61, 1, 200),
        (299, 1, 200),
        // The new tokens have ended too, and are replaced by the token that came with them.
        (301, 2, 200),
        (599, 2, 200),
        // It is forgotten, and the provider refuses the token that was used before.
        (601, 1, 303),
    ] {
        let world = world();
        world.add_worker();
        let mut browser = world.signed_in("alice");
        world.pass(seconds(250));
        let waiting = arrive(&world, 0, &browser).unwrap_err();
        world.answer_all(waiting);
        world.pass(seconds(after));
        world.tick();
        world.worker.set(1);
        let page = world.open(&mut browser, "/page");
        assert_eq!(page.status, status, "after {after}");
        assert_eq!(world.provider.refreshes.get(), refreshes, "after {after}");
        if status == 200 {
            let expected = format!("Bearer access-{refreshes}-of-alice");
            assert_eq!(bearer(&page), Some(&*expected), "after {after}");
            assert!(world.provider.reused.borrow().is_empty(), "after {after}");
            // And it goes on.
            world.pass(seconds(250));
            assert_eq!(world.open(&mut browser, "/page").status, 200);
            assert_eq!(world.provider.refreshes.get(), refreshes + 1);
        }
    }
}

/// Several refreshes were lost on the way to a browser. Each is followed to the next.
#[test]
fn the_newest_session_is_found_from_an_old_one() {
    let world = World::with(refreshing(|_| ()));
    *world.provider.lie.borrow_mut() = Some(Box::new(|_, body| body["expires_in"] = json!(60)));
    let mut old = world.signed_in("alice");
    let mut newest = old.clone();
    for _ in 0..5 {
        world.pass(seconds(61));
        world.open(&mut newest, "/page");
    }
    assert_eq!(world.provider.refreshes.get(), 5);
    world.pass(seconds(30));
    let page = world.open(&mut old, "/page");
    assert_eq!(bearer(&page), Some("Bearer access-5-of-alice"));
    assert_eq!(world.provider.refreshes.get(), 5);
    world.pass(seconds(61));
    let page = world.open(&mut old, "/page");
    assert_eq!(bearer(&page), Some("Bearer access-6-of-alice"));
    assert!(world.provider.reused.borrow().is_empty());
}

/// Tokens that have ended when they come count for the requests that waited for them, and a request
/// asks once.
#[test]
fn tokens_without_a_life_are_no_endless_refresh() {
    let world = world();
    *world.provider.lie.borrow_mut() = Some(Box::new(|_, body| body["expires_in"] = json!(0)));
    let mut browser = world.signed_in("alice");
    for _ in 1..=4 {
        world.pass(seconds(10));
        let before = world.provider.refreshes.get();
        let page = world.open(&mut browser, "/page");
        assert_eq!(page.status, 200);
        assert_eq!(world.provider.refreshes.get(), before + 1);
    }
    // After a while there are too many steps to the newest session.
    let mut old = world.signed_in("bob");
    let mut newest = old.clone();
    for _ in 0..20 {
        world.pass(seconds(10));
        world.open(&mut newest, "/page");
    }
    let before = world.provider.refreshes.get();
    assert_eq!(world.open(&mut old, "/page").status, 303);
    assert_eq!(world.provider.refreshes.get(), before);
    assert!(world.provider.reused.borrow().is_empty());
}

/// Where shared data has no room for one more answer, nobody waits for room.
#[test]
fn where_there_is_no_room_for_an_answer_a_session_that_is_good_goes_on() {
    let world = world();
    let browser = world.signed_in("alice");
    world.pass(seconds(250));
    fill_answers(&world.process, seconds(60));
    let waiting = arrive(&world, 0, &browser).unwrap_err();
    let page = waiting.page(world.tick()).expect("at the next tick");
    assert_eq!(bearer(&page), Some("Bearer access-of-alice"));
    assert_eq!(arrive(&world, 0, &browser).unwrap().status, 200);
    // Its tokens end.
    world.pass(seconds(51));
    let waiting = arrive(&world, 0, &browser).unwrap_err();
    for page in [
        waiting.page(world.tick()).expect("at the next tick"),
        arrive(&world, 0, &browser).unwrap(),
    ] {
        assert_eq!(page.status, 503);
        assert_eq!(page.reason, Some("provider_unavailable"));
        assert_eq!(page.header("retry-after"), Some("1"));
        assert!(!is_set(&page), "the session is not lost");
    }
    assert_eq!(world.provider.calls.get(), 1);
    // What is there has stayed long enough.
    world.pass(seconds(9));
    let waiting = arrive(&world, 0, &browser).unwrap_err();
    let page = world.answer_all(waiting);
    assert_eq!(bearer(&page), Some("Bearer access-1-of-alice"));
}
