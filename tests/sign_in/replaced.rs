//! A session takes the place of another one in a browser.

use std::time::Duration;

use serde_json::json;

use crate::world::{APP, Browser, FROM_ELSEWHERE, KEY_1, Page, SCRIPT, Waiting, World, config};

/// A browser with a session, and the URLs by which it comes back from new sign-ins as somebody.
fn on_the_way<const N: usize>(world: &World, sub: &str) -> (Browser, [String; N]) {
    let mut browser = world.signed_in("alice");
    world.pass(Duration::from_secs(5));
    let backs = std::array::from_fn(|tab| {
        let page = world.open(
            &mut browser,
            &format!("/staff/sign-in?return_to=/tab-{tab}"),
        );
        world.provider.sign_in(page.location(), sub)
    });
    (browser, backs)
}

/// What a script gets.
fn script(world: &World, browser: &Browser) -> Page {
    let mut browser = browser.clone();
    world.send(&mut browser, "GET", &format!("{APP}/api"), &SCRIPT)
}

/// The pages of these requests, which wait together.
fn answers<const N: usize>(world: &World, waiting: [Waiting; N]) -> [Page; N] {
    let mut pages = Vec::new();
    for _ in 0..1000 {
        pages.extend(world.tick());
        pages.extend(world.answer_calls());
        if pages.len() == N {
            return waiting.map(|one| {
                let at = pages.iter().position(|(of, _)| one.is(*of)).unwrap();
                pages.swap_remove(at).1
            });
        }
    }
    panic!("never decided: {waiting:?}");
}

#[test]
fn s24_a_session_whose_place_another_one_takes_is_over() {
    for sub in ["bob", "alice"] {
        let world = World::new();
        let (mut browser, [back]) = on_the_way(&world, sub);
        let copy = browser.clone();
        assert_eq!(script(&world, &copy).user(), Some("alice"));
        assert_eq!(world.come_back(&mut browser, &back).location(), "/tab-0");
        assert_eq!(script(&world, &browser).user(), Some(sub));
        for worker in [0, world.add_worker()] {
            world.worker.set(worker);
            assert_eq!(script(&world, &copy).status, 401, "{sub}");
        }
        let copy = browser.clone();
        assert_eq!(world.open(&mut browser, "/staff/sign-out").status, 303);
        assert_eq!(script(&world, &copy).status, 401, "{sub}");
    }
}

/// A script asks with the cookies from before its person signed in, and is answered after that.
#[test]
fn a_script_that_is_answered_late_deletes_no_newer_session() {
    for path in ["/api", "/page", "/staff/session", "/public"] {
        let world = World::new();
        let (mut browser, [back]) = on_the_way(&world, "bob");
        let mut before = browser.clone();
        assert_eq!(world.come_back(&mut browser, &back).location(), "/tab-0");
        let late = world.send(&mut before, "GET", &format!("{APP}{path}"), &SCRIPT);
        assert_eq!(late.status, if path == "/public" { 200 } else { 401 });
        browser.keep("app.example", &late);
        assert_eq!(script(&world, &browser).user(), Some("bob"), "{path}");
    }
}

/// An upstream may take long to respond. The browser gets what has not ended meanwhile, and nothing
/// else: a session may be refreshed, and then only the new one has a refresh token that is good.
#[test]
fn a_late_response_puts_into_the_browser_what_has_not_ended() {
    let both = json!([{"session": "staff"}, {"session": "guests"}]);
    let world = World::with(config(&[KEY_1], |config| {
        // Both would set the same header.
        let mut silent = config["providers"]["idp"].clone();
        silent["claim_to_headers"] = json!([]);
        config["providers"]["silent"] = silent;
        config["sign_in"]["schemes"]["guests"]["provider_name"] = json!("silent");
        let requires = json!({"requires_all": {"requirements": both}});
        config["rules"][0] = json!({"match": {"prefix": "/both"}, "requires": requires});
    }));
    let mut browser = world.signed_in("alice");
    let page = world.open(&mut browser, "/guests/sign-in?return_to=/both");
    let back = world.provider.sign_in(page.location(), "alice");
    world.come_back(&mut browser, &back);
    world.pass(Duration::from_secs(1200));
    let mut as_it_was = browser.clone();
    let page = world.open(&mut as_it_was, "/both");
    assert_eq!((page.status, page.renewed.len()), (200, 2), "{page:?}");
    assert_eq!(world.still_good(page.renewed.clone()), page.renewed);
    assert_eq!(world.open(&mut browser, "/staff/sign-out").status, 303);
    for worker in [0, world.add_worker()] {
        world.worker.set(worker);
        let [one] = &world.still_good(page.renewed.clone())[..] else {
            panic!("one has ended, and one has not");
        };
        assert!(one.lines.iter().all(|line| line.contains("_guests=")));
    }
}

/// Times are whole seconds: what began in the second in which a session started may be of another
/// person. A code that has made the session is not redeemed again.
#[test]
fn another_person_within_the_same_second() {
    let world = World::new();
    let mut browser = world.signed_in("alice");
    let now = world.now();
    let page = world.open(&mut browser, "/staff/sign-in?return_to=/tab");
    let back = world.provider.sign_in(page.location(), "bob");
    assert_eq!(world.come_back(&mut browser, &back).location(), "/tab");
    assert_eq!(script(&world, &browser).user(), Some("bob"));
    let calls = world.provider.calls.get();
    for worker in [0, world.add_worker()] {
        world.worker.set(worker);
        assert_eq!(world.come_back(&mut browser, &back).location(), "/tab");
        assert_eq!(script(&world, &browser).user(), Some("bob"));
    }
    assert_eq!(world.provider.calls.get(), calls);
    assert_eq!(world.now(), now, "all of it within a second");
}

#[test]
fn tabs_that_sign_in_at_once_throw_nobody_out() {
    let world = World::new();
    let (browser, [first, second, third]) = on_the_way(&world, "alice");
    // Both requests are on their way before either is answered.
    let arrive = |back: &str| world.arrive(&browser, "GET", back, &FROM_ELSEWHERE);
    let waiting = [arrive(&first).unwrap_err(), arrive(&second).unwrap_err()];
    let pages = answers(&world, waiting);
    let one = |page: &Page| {
        let mut one = browser.clone();
        one.keep("app.example", page);
        one
    };
    for (tab, page) in pages.iter().enumerate() {
        assert_eq!(page.location(), format!("/tab-{tab}"));
        assert_eq!(script(&world, &one(page)).user(), Some("alice"));
    }
    // A third one, with the cookies from before these answers.
    let page = world.answer_all(arrive(&third).unwrap_err());
    assert_eq!(page.location(), "/tab-2");
    for page in pages.iter().chain([&page]) {
        assert_eq!(script(&world, &one(page)).user(), Some("alice"));
    }
    // With the cookies of these answers, a tab that was slower has its page.
    let mut browser = one(&page);
    assert_eq!(world.come_back(&mut browser, &second).location(), "/tab-1");
    assert_eq!(script(&world, &browser).user(), Some("alice"));
}

#[test]
fn a_browser_that_lost_the_answer_asks_again_and_is_signed_in() {
    for is_elsewhere in [false, true] {
        let world = World::new();
        let (mut browser, [back]) = on_the_way(&world, "bob");
        let lost = world.come_back(&mut browser.clone(), &back);
        assert_eq!(lost.location(), "/tab-0");
        if is_elsewhere {
            world.worker.set(world.add_worker());
        }
        let page = world.come_back(&mut browser, &back);
        if is_elsewhere {
            // The code was used. The provider knows him still.
            let back = world.provider.sign_in(page.location(), "bob");
            assert_eq!(world.come_back(&mut browser, &back).location(), "/tab-0");
        } else {
            assert_eq!(page.location(), "/tab-0");
        }
        assert_eq!(script(&world, &browser).user(), Some("bob"));
    }
}

/// The page is loaded again at another worker before the first one has its answer: the code is used, and
/// the older session lives.
#[test]
fn a_callback_that_is_loaded_again_beside_an_older_session() {
    let world = World::new();
    let (mut browser, [back]) = on_the_way(&world, "bob");
    assert!(
        world
            .arrive(&browser, "GET", &back, &FROM_ELSEWHERE)
            .is_err()
    );
    assert!(world.tick().is_empty());
    for (_, call) in std::mem::take(&mut *world.process.calls.borrow_mut()) {
        world.provider.answer(&call, world.now());
    }
    world.worker.set(world.add_worker());
    let page = world.come_back(&mut browser, &back);
    // Her session goes on until his begins.
    assert_eq!(script(&world, &browser).user(), Some("alice"));
    let back = world.provider.sign_in(page.location(), "bob");
    assert_eq!(world.come_back(&mut browser, &back).location(), "/tab-0");
    assert_eq!(script(&world, &browser).user(), Some("bob"));
}

#[test]
fn where_the_older_session_cannot_be_ended_there_is_no_new_one() {
    let world = World::new();
    let (mut browser, [back]) = on_the_way(&world, "bob");
    world.process.store.lose_writes(1_000_000);
    let page = world.come_back(&mut browser, &back);
    assert_eq!((page.status, page.header("retry-after")), (503, Some("1")));
    assert_eq!(script(&world, &browser).user(), Some("alice"));
    let completed = "bearer_gate.sign_in.completed";
    assert_eq!(world.process.count_of(completed), 1);
    world.process.store.lose_writes(0);
    assert_eq!(world.come_back(&mut browser, &back).location(), "/tab-0");
    assert_eq!(script(&world, &browser).user(), Some("bob"));
    assert_eq!(world.process.count_of(completed), 2);
}
