//! What must be rejected where somebody has a session, or has none: S-numbers of `tests/README.md`.

use std::time::Duration;

use serde_json::json;

use crate::world::{APP, Browser, FROM_ELSEWHERE, KEY_1, KEY_2, PAGE, SCRIPT, World, config};

/// The browser's cookies under another host, or another name.
fn moved(browser: &Browser, host: &str, from: &str, to: &str) -> Browser {
    let jar = browser.jar.iter();
    let jar = jar.map(|((_, name), value)| ((host.into(), name.replace(from, to)), value.clone()));
    Browser { jar: jar.collect() }
}

#[test]
fn s12_a_session_of_another_host_or_scheme_is_none() {
    let world = World::new();
    let browser = world.signed_in("alice");
    let mut other = moved(&browser, "other.example", "", "");
    let page = world.send(&mut other, "GET", "https://other.example/", &SCRIPT);
    assert_eq!((page.status, page.reason), (401, Some("session_missing")));
    assert!(other.has("bg_session"), "a script deletes nothing");
    for (path, status, stays) in [("", 303, true), ("staff/sign-out", 200, false)] {
        let url = format!("https://other.example/{path}");
        let page = world.send(&mut other, "GET", &url, &PAGE);
        assert_eq!((page.status, page.upstream), (status, None));
        assert_eq!(
            other.has("bg_session"),
            stays,
            "a page that is shown deletes it"
        );
    }
    let mut guest = moved(&browser, "app.example", "staff", "guests");
    let page = world.send(&mut guest, "GET", &format!("{APP}/guests-only"), &SCRIPT);
    assert_eq!((page.status, page.reason), (401, Some("session_missing")));
}

#[test]
fn s13_a_session_that_was_changed_is_none() {
    let world = World::new();
    let good = world.signed_in("alice");
    let key = good
        .jar
        .keys()
        .find(|(_, name)| name.contains("session"))
        .unwrap()
        .clone();
    let value = good.jar[&key].clone();
    for at in (0..value.len()).step_by(7) {
        let mut changed = value.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let mut browser = good.clone();
        browser
            .jar
            .insert(key.clone(), String::from_utf8(changed).unwrap());
        let page = world.send(&mut browser, "GET", &format!("{APP}/"), &SCRIPT);
        assert_eq!(
            (page.status, page.reason),
            (401, Some("session_missing")),
            "{at}"
        );
        assert!(browser.has("bg_session"), "a script deletes nothing");
        assert_eq!(world.open(&mut browser, "/").upstream, None);
    }
}

#[test]
fn s15_a_session_of_a_key_that_was_removed_is_none() {
    let old = World::with(config(&[KEY_1], |_| ()));
    let mut browser = old.signed_in("alice");
    let process = || std::rc::Rc::clone(&old.process);
    // While the old key still opens, the session is sealed anew with the new one.
    let both = World::on(process(), config(&[KEY_2, KEY_1], |_| ()));
    let mut kept = browser.clone();
    assert_eq!(both.open(&mut kept, "/").user(), Some("alice"));
    let new = World::on(process(), config(&[KEY_2], |_| ()));
    assert_eq!(new.open(&mut kept, "/").user(), Some("alice"));
    let page = new.send(&mut browser, "GET", &format!("{APP}/"), &SCRIPT);
    assert_eq!((page.status, page.reason), (401, Some("session_missing")));
    assert_eq!(new.open(&mut browser, "/").upstream, None);
}

#[test]
fn s18_another_site_cannot_use_a_session() {
    let world = World::new();
    let mut browser = world.signed_in("alice");
    let page = |browser: &mut Browser, method: &str, headers: &[(&str, &str)]| {
        world.send(browser, method, &format!("{APP}/transfer"), headers)
    };
    let elsewhere = ("sec-fetch-site", "cross-site");
    for headers in [
        &[elsewhere][..],
        &[],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
    ] {
        let refused = page(&mut browser, "POST", headers);
        assert_eq!((refused.status, refused.reason), (403, Some("cross_site")));
        assert_eq!(refused.upstream, None);
    }
    let socket = page(&mut browser, "GET", &[elsewhere, ("upgrade", "websocket")]);
    assert_eq!((socket.status, socket.reason), (403, Some("cross_site")));
    for headers in [&[("sec-fetch-site", "same-origin")][..], &[("origin", APP)]] {
        assert_eq!(page(&mut browser, "POST", headers).status, 200);
    }
    // A link of another site is a visit like any other.
    assert_eq!(page(&mut browser, "GET", &FROM_ELSEWHERE).status, 200);
}

#[test]
fn s19_another_site_signs_nobody_out() {
    let world = World::new();
    let mut browser = world.signed_in("alice");
    let url = format!("{APP}/staff/sign-out");
    let elsewhere = [("sec-fetch-site", "cross-site")];
    for (method, headers) in [
        ("POST", &elsewhere[..]),
        ("POST", &[]),
        ("GET", &elsewhere),
        ("HEAD", &[("sec-fetch-site", "same-origin")]),
        (
            "GET",
            &[
                ("sec-fetch-site", "same-origin"),
                ("sec-purpose", "prefetch"),
            ],
        ),
    ] {
        let page = world.send(&mut browser, method, &url, headers);
        assert_eq!((page.status, page.reason), (403, Some("cross_site")));
    }
    assert_eq!(world.open(&mut browser, "/").user(), Some("alice"));
}

#[test]
fn s21_a_clients_own_tokens_do_not_pass_for_those_of_a_session() {
    let world = World::with(config(&[KEY_1], |config| {
        config["sign_in"]["schemes"]["staff"]["forward_bearer_token"] = json!(true);
    }));
    let mut browser = world.signed_in("alice");
    let forged = [PAGE[0], PAGE[1], ("authorization", "Bearer forged")];
    let page = world.send(&mut browser, "GET", &format!("{APP}/"), &forged);
    let sent: Vec<_> = page.upstream.unwrap();
    let sent = sent.iter().filter(|(name, _)| name == "authorization");
    let values: Vec<&str> = sent.map(|(_, value)| value.as_str()).collect();
    assert_eq!(values, ["Bearer access-of-alice"]);
}

#[test]
fn s31_only_who_waits_for_a_page_is_redirected() {
    let world = World::new();
    let url = format!("{APP}/page");
    for (method, headers) in [
        ("POST", &PAGE[..]),
        ("GET", &SCRIPT),
        ("GET", &[]),
        ("GET", &[PAGE[0], PAGE[1], ("upgrade", "websocket")]),
    ] {
        let page = world.send(&mut Browser::default(), method, &url, headers);
        assert_eq!((page.status, page.reason), (401, Some("session_missing")));
        assert_eq!(page.header("location"), None);
    }
}

#[test]
fn s32_a_session_is_no_token() {
    let world = World::new();
    let mut browser = world.signed_in("alice");
    let page = world.open(&mut browser, "/tokens");
    assert_eq!((page.status, page.reason), (401, Some("token_missing")));
    assert_eq!(page.upstream, None);
}

/// A cache in front of Envoy may take the upstream's word for it that a page is for everybody.
#[test]
fn a_response_that_renews_a_session_is_for_one_browser() {
    let world = World::new();
    let mut browser = world.signed_in("alice");
    let page = world.open(&mut browser, "/page");
    assert!(page.headers.is_empty(), "{page:?}");
    world.pass(Duration::from_secs(300));
    let page = world.open(&mut browser, "/page");
    assert!(page.header("set-cookie").is_some(), "{page:?}");
    assert_eq!(page.header("cache-control"), Some("private"));
}

/// Neither it nor the provider asks the person anything, so nothing else would end it.
#[test]
fn a_browser_that_drops_its_session_is_told_so() {
    let world = World::new();
    let mut browser = Browser::default();
    let drop_session = |browser: &mut Browser| {
        let jar = &mut browser.jar;
        jar.retain(|(_, name), _| !name.contains("bg_session"));
    };
    for _ in 0..3 {
        let url = world.begin(&mut browser, "/page");
        let back = world.provider.sign_in(&url, "alice");
        assert_eq!(world.come_back(&mut browser, &back).location(), "/page");
        drop_session(&mut browser);
        world.pass(Duration::from_secs(2));
    }
    let page = world.open(&mut browser, "/page");
    assert_eq!(page.status, 400, "{page:?}");
    let again = "/staff/sign-in?return_to=%2Fpage\">Try again";
    assert!(page.body.contains(again), "{}", page.body);
    // By the link, by another scheme, and after a while it is tried again.
    world.begin(&mut browser.clone(), "/staff/sign-in?return_to=%2Fpage");
    world.begin(&mut browser.clone(), "/guests-only");
    let mut later = browser.clone();
    world.pass(Duration::from_secs(30));
    world.begin(&mut later, "/page");
    // Who signs out and in again keeps the session.
    for _ in 0..4 {
        let (page, _) = world.visit(&mut later, "/page", "alice");
        assert_eq!(page.user(), Some("alice"));
        assert_eq!(world.open(&mut later, "/staff/sign-out").status, 303);
    }
}

/// A session's end is fixed at the sign-in. What the configuration says later can only be earlier.
#[test]
fn s16_a_change_of_the_longest_life_prolongs_no_session() {
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let with = |hours: u64| {
        crate::refresh::refreshing(|staff| {
            let max = format!("{}s", hours * 3600);
            staff["session"] = json!({"idle_timeout": "3600s", "max_duration": max});
        })
    };
    for (at_first, later, end) in [(2, 2, 2), (2, 8, 2), (8, 2, 2), (8, 1, 1)] {
        let mut before = World::with(with(at_first));
        let mut browser = before.signed_in("alice");
        let mut world = World::on(std::rc::Rc::clone(&before.process), with(later));
        world.provider = std::mem::take(&mut before.provider);
        // Each of these is a refresh.
        for _ in 0..2 * end - 1 {
            world.pass(hours(1) / 2);
            let page = world.open(&mut browser, "/page");
            assert_eq!(page.user(), Some("alice"), "{at_first} {later}");
        }
        world.pass(hours(1) / 2);
        assert_eq!(
            world.open(&mut browser, "/page").status,
            303,
            "{at_first} {later}"
        );
    }
}
