//! Sessions whose claims and tokens are in the store, and the browser has a ticket.

use serde_json::{Value, json};

use super::store::Mode;
use super::{Fleet, INTERVAL};
use crate::refresh::bearer;
use crate::world::{APP, Browser, KEY_1, PAGE, Page, SCRIPT, Waiting, World, config};

const SESSION: &str = "__Host-Http-bg_session_staff";
/// How long a worker remembers what the store has, in milliseconds.
const REMEMBERED: u64 = 30_000;

/// A link of our own pages.
const SAME_SITE: [(&str, &str); 3] = [PAGE[0], PAGE[1], ("sec-fetch-site", "same-origin")];

fn in_store(config: &mut Value) {
    let staff = &mut config["sign_in"]["schemes"]["staff"];
    staff["session"]["store"] = json!("SHARED_STORE");
    staff["cookie"] = json!({"max_bytes": 4096});
    staff["forward_bearer_token"] = json!(true);
}

fn refreshed_in_store(config: &mut Value) {
    in_store(config);
    config["sign_in"]["schemes"]["staff"]["use_refresh_token"] = json!(true);
}

fn fleet(count: usize) -> Fleet {
    started(Fleet::with(count, in_store))
}

fn started(fleet: Fleet) -> Fleet {
    fleet.pass(500);
    fleet
}

/// Everybody has more claims than cookies have room for.
fn have_many_groups(world: &World) {
    *world.provider.claims.borrow_mut() = Some(Box::new(|claims| {
        claims["groups"] = json!(["admin", "g".repeat(11_000)]);
    }));
}

fn ticket(browser: &Browser) -> String {
    browser.jar[&("app.example".to_owned(), SESSION.to_owned())].clone()
}

/// What a worker answers to a script, however long that takes.
fn asks(fleet: &Fleet, at: usize, worker: usize, browser: &Browser) -> Page {
    let world = &fleet.worlds[at];
    world.worker.set(worker);
    let page = world.send(&mut browser.clone(), "GET", &format!("{APP}/api"), &SCRIPT);
    world.worker.set(0);
    page
}

fn statuses(fleet: &Fleet, browser: &Browser) -> Vec<u32> {
    let workers = (0..fleet.worlds.len()).flat_map(|at| [(at, 0), (at, 1)]);
    let pages = workers.map(|(at, worker)| asks(fleet, at, worker, browser));
    pages.map(|page| page.status).collect()
}

fn counted(fleet: &Fleet, name: &str) -> i64 {
    let name = format!("bearer_gate.session_store.{name}");
    let worlds = fleet.worlds.iter();
    worlds.map(|world| world.process.count_of(&name)).sum()
}

fn names(fleet: &Fleet) -> Vec<String> {
    fleet.redis.sessions.borrow().keys().cloned().collect()
}

#[test]
fn a_session_that_fits_no_cookie_counts_in_every_envoy() {
    let fleet = fleet(2);
    have_many_groups(&fleet.worlds[0]);
    let alice = fleet.signed_in(0, "alice");
    assert!(ticket(&alice).len() < 600, "{}", ticket(&alice).len());
    let [entry] = &names(&fleet)[..] else {
        panic!("{:?}", names(&fleet))
    };
    assert!(fleet.redis.sessions.borrow()[entry].0.len() > 12_288);
    for (at, worker) in [(0, 1), (1, 0), (1, 1), (0, 0)] {
        let world = &fleet.worlds[at];
        world.worker.set(worker);
        let page = world.open(&mut alice.clone(), "/admin");
        assert_eq!((page.status, page.user()), (200, Some("alice")));
        assert_eq!(bearer(&page), Some("Bearer access-of-alice"));
        world.worker.set(0);
    }
    // Each worker has asked once, and remembers it for a while.
    assert_eq!(counted(&fleet, "found"), 4);
    assert_eq!(statuses(&fleet, &alice), [200; 4]);
    assert_eq!(counted(&fleet, "found"), 4);
    fleet.pass(REMEMBERED + 1000);
    assert_eq!(statuses(&fleet, &alice), [200; 4]);
    assert_eq!(counted(&fleet, "found"), 8);
    assert_eq!(counted(&fleet, "put"), 1);
    assert_eq!(counted(&fleet, "failed") + counted(&fleet, "missing"), 0);
    let json = fleet.worlds[1].open(&mut alice.clone(), "/staff/session");
    assert!(json.body.contains("admin"), "{}", json.body);
}

/// The ticket has the time of the last request, so that keeping a session alive asks nobody.
#[test]
fn a_session_is_kept_alive_without_the_store() {
    let fleet = fleet(1);
    let mut alice = fleet.signed_in(0, "alice");
    let before = ticket(&alice);
    fleet.pass(200_000);
    let page = fleet.worlds[0].open(&mut alice, "/page");
    assert_eq!((page.status, page.user()), (200, Some("alice")));
    assert_ne!(ticket(&alice), before);
    assert_eq!(counted(&fleet, "put"), 1);
    assert_eq!(statuses(&fleet, &alice), [200; 2]);
}

#[test]
fn s35_an_invented_ticket_asks_the_store_nothing() {
    let fleet = fleet(1);
    let alice = fleet.signed_in(0, "alice");
    fleet.pass(REMEMBERED + 1000);
    let asked =
        || counted(&fleet, "found") + counted(&fleet, "missing") + counted(&fleet, "failed");
    let before = asked();
    let value = ticket(&alice);
    for at in (0..value.len()).step_by(11) {
        let mut changed = value.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let mut browser = alice.clone();
        let key = ("app.example".to_owned(), SESSION.to_owned());
        browser.jar.insert(key, String::from_utf8(changed).unwrap());
        assert_eq!(statuses(&fleet, &browser), [401; 2], "{at}");
    }
    assert_eq!(asked(), before);
    // One whose session is over, by its time or by a sign-out, asks nothing either.
    fleet.sign_out(0, &alice);
    fleet.pass(INTERVAL);
    let before = asked();
    assert_eq!(statuses(&fleet, &alice), [401; 2]);
    let bob = fleet.signed_in(0, "bob");
    let before = before + 1;
    fleet.worlds[0].pass(std::time::Duration::from_secs(1801));
    fleet.pass(INTERVAL);
    assert_eq!(statuses(&fleet, &bob), [401; 2]);
    assert_eq!(asked(), before);
}

#[test]
fn s35_a_session_that_the_store_has_lost_is_over() {
    let fleet = fleet(2);
    let mut alice = fleet.signed_in(0, "alice");
    assert_eq!(statuses(&fleet, &alice), [200; 4]);
    fleet.redis.flush();
    fleet.pass(REMEMBERED + 1000);
    let page = asks(&fleet, 1, 1, &alice);
    assert_eq!((page.status, page.reason), (401, Some("token_missing")));
    assert_eq!(statuses(&fleet, &alice), [401; 4]);
    assert!(counted(&fleet, "missing") >= 4);
    // A page begins a new sign-in, which ends in a new session.
    let (page, asked) = fleet.worlds[0].visit(&mut alice, "/page", "alice");
    assert_eq!((page.status, page.user(), asked), (200, Some("alice"), 1));
    assert_eq!(statuses(&fleet, &alice), [200; 4]);
    assert_eq!(names(&fleet).len(), 1);
}

#[test]
fn s35_without_the_store_nobody_is_let_through_and_nobody_signed_out() {
    for mode in [Mode::Down, Mode::Silent] {
        let fleet = fleet(1);
        let alice = fleet.signed_in(0, "alice");
        assert_eq!(statuses(&fleet, &alice), [200; 2]);
        fleet.redis.mode.set(mode);
        assert_eq!(statuses(&fleet, &alice), [200; 2], "it is remembered");
        fleet.pass(REMEMBERED + 1000);
        for worker in [0, 1] {
            let page = asks(&fleet, 0, worker, &alice);
            let reason = Some("session_store_unavailable");
            assert_eq!((page.status, page.reason), (503, reason), "{mode:?}");
            assert!(page.header("retry-after").is_some());
            assert!(page.header("set-cookie").is_none());
        }
        let mut browser = alice.clone();
        assert_eq!(fleet.worlds[0].open(&mut browser, "/page").status, 503);
        assert_eq!(fleet.worlds[0].open(&mut browser, "/public").status, 200);
        assert_eq!(ticket(&browser), ticket(&alice));
        fleet.redis.mode.set(Mode::Well);
        fleet.pass(6000);
        assert_eq!(statuses(&fleet, &alice), [200; 2], "{mode:?}");
    }
}

#[test]
fn s35_a_slow_store_is_waited_for() {
    let fleet = fleet(1);
    let alice = fleet.signed_in(0, "alice");
    fleet.pass(REMEMBERED + 1000);
    fleet.redis.mode.set(Mode::Slow(40));
    assert!(fleet.asks(0, 1, &alice).is_none(), "it waits");
    assert_eq!(asks(&fleet, 0, 1, &alice).status, 200);
}

#[test]
fn s35_nobody_gets_a_ticket_before_the_store_has_the_session() {
    let fleet = fleet(1);
    let world = &fleet.worlds[0];
    let mut browser = Browser::default();
    let url = world.begin(&mut browser, "/page");
    let back = world.provider.sign_in(&url, "alice");
    fleet.redis.mode.set(Mode::Down);
    let page = world.come_back(&mut browser, &back);
    assert_eq!(page.status, 503, "{page:?}");
    assert!(page.header("retry-after").is_some() && page.body.contains("Try again"));
    assert!(!browser.has("bg_session"));
    let failed = "bearer_gate.sign_in.failed.session_store_unavailable";
    assert_eq!(world.process.count_of(failed), 1);
    fleet.redis.mode.set(Mode::Well);
    fleet.pass(6000);
    // The same page again redeems nothing twice: the provider's answer is remembered.
    let page = world.come_back(&mut browser, &back);
    assert_eq!(page.location(), "/page");
    assert_eq!(world.provider.calls.get(), 1);
    assert_eq!(world.open(&mut browser, "/page").user(), Some("alice"));
}

/// Whoever writes to Redis can take sessions away, and make none, read none, and move none.
#[test]
fn s35_an_entry_of_another_session_is_none() {
    let fleet = fleet(1);
    let [alice, bob] = ["alice", "bob"].map(|sub| {
        let browser = fleet.signed_in(0, sub);
        (browser, names(&fleet))
    });
    let of_alice = alice.1[0].clone();
    let of_bob = bob.1.iter().find(|name| **name != of_alice).unwrap();
    let good = fleet.redis.sessions.borrow()[&of_alice].clone();
    let own = fleet.redis.sessions.borrow()[of_bob].clone();
    let (alice, bob) = (alice.0, bob.0);
    let with = |text: String| (text, good.1);
    let mut flipped = own.0.clone();
    flipped.replace_range(60..61, if &own.0[60..61] == "A" { "B" } else { "A" });
    for strange in [
        good.clone(),
        with(ticket(&bob)),
        with(flipped),
        with(own.0[..own.0.len() - 4].to_owned()),
        with(String::new()),
        with("-".to_owned()),
    ] {
        fleet
            .redis
            .sessions
            .borrow_mut()
            .insert(of_bob.clone(), strange);
        fleet.pass(REMEMBERED + 1000);
        let page = asks(&fleet, 0, 0, &bob);
        assert_eq!((page.status, page.reason), (401, Some("token_missing")));
        assert_eq!(page.upstream, None);
    }
    assert_eq!(asks(&fleet, 0, 0, &alice).user(), Some("alice"));
    fleet
        .redis
        .sessions
        .borrow_mut()
        .insert(of_bob.clone(), own);
    fleet.pass(REMEMBERED + 1000);
    assert_eq!(asks(&fleet, 0, 0, &bob).user(), Some("bob"));
}

/// A session in cookies is no ticket, nor is a ticket a session.
#[test]
fn s35_tickets_and_sessions_are_not_each_other() {
    let fleet = fleet(1);
    let of_store = fleet.signed_in(0, "alice");
    let by_cookies = World::on(
        std::rc::Rc::clone(&fleet.worlds[0].process),
        config(&[KEY_1], |_| ()),
    );
    let of_cookies = by_cookies.signed_in("alice");
    assert_eq!(statuses(&fleet, &of_cookies), [401; 2]);
    let page = by_cookies.send(&mut of_store.clone(), "GET", &format!("{APP}/api"), &SCRIPT);
    assert_eq!((page.status, page.reason), (401, Some("token_missing")));
}

#[test]
fn a_sign_out_takes_the_entry_away() {
    let fleet = fleet(2);
    let alice = fleet.signed_in(0, "alice");
    let bob = fleet.signed_in(0, "bob");
    assert_eq!(statuses(&fleet, &alice), [200; 4]);
    fleet.pass(REMEMBERED + 1000);
    let mut own = alice.clone();
    let page = fleet.worlds[1].open(&mut own, "/staff/sign-out");
    assert!(page.status == 303 && !own.has("bg_session"), "{page:?}");
    assert_eq!(asks(&fleet, 1, 0, &alice).status, 401, "at once here");
    fleet.pass(INTERVAL + super::AND);
    assert_eq!(statuses(&fleet, &alice), [401; 4]);
    assert_eq!(statuses(&fleet, &bob), [200; 4]);
    assert_eq!(names(&fleet).len(), 1);
    // Who takes the place of another session leaves none behind.
    let mut browser = bob.clone();
    let link = "/staff/sign-in?return_to=%2Fpage";
    let (page, _) = fleet.worlds[0].visit(&mut browser, link, "carol");
    assert_eq!(page.user(), Some("carol"));
    fleet.pass(500);
    assert_eq!(names(&fleet).len(), 1);
    assert_eq!(asks(&fleet, 0, 0, &bob).status, 401);
}

/// They wait for the same answer. Whoever signs out is told so when nobody is let through any more.
#[test]
fn s35_who_waits_beside_a_sign_out_is_not_let_through_after_it() {
    let fleet = fleet(1);
    let alice = fleet.signed_in(0, "alice");
    fleet.pass(REMEMBERED + 1000);
    let world = &fleet.worlds[0];
    let arrive = |path: &str, headers| {
        let page = world.arrive(&alice, "GET", &format!("{APP}{path}"), headers);
        page.expect_err("it waits for the store")
    };
    let leaving = arrive("/staff/sign-out", &SAME_SITE);
    let beside = arrive("/api", &SCRIPT);
    let mut told = Vec::new();
    while told.len() < 2 {
        told.extend(world.tick());
        told.extend(world.answer_calls());
    }
    let place = |waiting: Waiting| told.iter().position(|(context, _)| waiting.is(*context));
    assert!(place(beside) < place(leaving), "{told:?}");
    let statuses: Vec<u32> = told.iter().map(|(_, page)| page.status).collect();
    assert_eq!(statuses, [200, 303]);
    assert_eq!(asks(&fleet, 0, 0, &alice).status, 401);
}

#[test]
fn s35_a_sign_out_needs_no_store() {
    let fleet = fleet(1);
    let alice = fleet.signed_in(0, "alice");
    fleet.pass(REMEMBERED + 1000);
    fleet.redis.mode.set(Mode::Down);
    let mut own = alice.clone();
    let page = fleet.worlds[0].open(&mut own, "/staff/sign-out");
    assert!(page.status == 303 && !own.has("bg_session"), "{page:?}");
    fleet.redis.mode.set(Mode::Well);
    fleet.pass(6000);
    assert_eq!(statuses(&fleet, &alice), [401; 2]);
}

#[test]
fn a_refreshed_session_has_an_entry_of_its_own() {
    let fleet = started(Fleet::with(1, refreshed_in_store));
    let world = &fleet.worlds[0];
    let mut alice = fleet.signed_in(0, "alice");
    let before = (alice.clone(), names(&fleet));
    fleet.pass(250_000);
    let page = world.open(&mut alice, "/page");
    assert_eq!(bearer(&page), Some("Bearer access-1-of-alice"));
    assert_eq!(names(&fleet).len(), 2);
    // Who comes with the ticket from before is led to the new session, by each worker.
    for worker in [0, 1] {
        let page = asks(&fleet, 0, worker, &before.0);
        assert_eq!(bearer(&page), Some("Bearer access-1-of-alice"));
    }
    assert_eq!(world.provider.refreshes.get(), 1);
    fleet.pass(601_000);
    let page = world.open(&mut alice, "/page");
    assert_eq!(bearer(&page), Some("Bearer access-2-of-alice"));
    assert!(!names(&fleet).contains(&before.1[0]), "its time is over");
    assert!(world.provider.reused.borrow().is_empty());
}

/// What was there before a refresh opens for nobody who has the new ticket.
#[test]
fn s35_an_old_entry_is_none() {
    let fleet = started(Fleet::with(1, refreshed_in_store));
    let world = &fleet.worlds[0];
    let mut alice = fleet.signed_in(0, "alice");
    let name = names(&fleet)[0].clone();
    let old = fleet.redis.sessions.borrow()[&name].clone();
    fleet.pass(250_000);
    world.open(&mut alice, "/page");
    let renewed = names(&fleet).into_iter().find(|other| *other != name);
    let renewed = renewed.unwrap();
    fleet.redis.sessions.borrow_mut().insert(renewed, old);
    fleet.pass(REMEMBERED + 1000);
    assert_eq!(asks(&fleet, 0, 0, &alice).status, 401);
}

/// The provider has given new tokens, and the store does not take them: they are not lost.
#[test]
fn s35_a_refresh_that_the_store_does_not_take_is_put_there_later() {
    // (how old the tokens are, what is answered meanwhile, and with which token)
    for (passed, status, token) in [
        (250_000, 200, Some("Bearer access-of-alice")),
        (320_000, 503, None),
    ] {
        let fleet = started(Fleet::with(1, refreshed_in_store));
        let world = &fleet.worlds[0];
        let mut alice = fleet.signed_in(0, "alice");
        fleet.pass(passed);
        // It is remembered when the store goes away.
        let waiting = world.arrive(&alice, "GET", &format!("{APP}/page"), &PAGE);
        let waiting = waiting.unwrap_err();
        let mut page = None;
        for _ in 0..1000 {
            let mut pages = world.tick();
            if world
                .process
                .calls
                .borrow()
                .iter()
                .any(|(_, call)| call.cluster == "idp")
            {
                fleet.redis.mode.set(Mode::Down);
            }
            pages.extend(world.answer_calls());
            page = waiting.page(pages);
            if page.is_some() {
                break;
            }
        }
        let page = page.expect("decided");
        assert_eq!((page.status, bearer(&page)), (status, token), "{page:?}");
        assert_eq!(world.provider.refreshes.get(), 1);
        fleet.redis.mode.set(Mode::Well);
        fleet.pass(6000);
        let page = world.open(&mut alice, "/page");
        assert_eq!(bearer(&page), Some("Bearer access-1-of-alice"));
        assert_eq!(world.open(&mut alice, "/page").status, 200);
        assert_eq!(world.provider.refreshes.get(), 1);
        assert!(world.provider.reused.borrow().is_empty());
    }
}
