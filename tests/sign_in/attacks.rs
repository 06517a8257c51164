//! What must be rejected: each S-number of `tests/README.md` that a whole flow shows.

use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::provider::{Provider, parameters, token};
use crate::world::{APP, Browser, KEY_1, PAGE, Page, World, config};

/// That nobody is signed in, for this reason, and nothing was redeemed.
fn assert_failed(world: &World, browser: &Browser, page: &Page, reason: &str) {
    assert!((400..=503).contains(&page.status), "{page:?}");
    assert!(!browser.has("bg_session"), "{page:?}");
    let counter = format!("bearer_gate.sign_in.failed.{reason}");
    let counts = world.process.counts.borrow();
    assert!(counts.get(&counter).is_some(), "{reason}: {counts:?}");
}

/// A browser that was sent to the provider, and the URL that it comes back by.
fn on_the_way(world: &World) -> (Browser, String) {
    let mut browser = Browser::default();
    let location = world.begin(&mut browser, "/page");
    let back = world.provider.sign_in(&location, "alice");
    (browser, back)
}

#[test]
fn s01_a_callback_with_a_state_of_nobody() {
    let world = World::new();
    let (mut browser, back) = on_the_way(&world);
    let (before, state) = back.split_once("state=").unwrap();
    let altered = if state.starts_with('A') { "B" } else { "A" };
    for back in [
        format!("{before}state={altered}{}", &state[1..]),
        format!("{before}state=x"),
        format!("{before}state="),
    ] {
        let page = world.come_back(&mut browser, &back);
        assert_failed(&world, &browser, &page, "state_invalid");
    }
    let page = world.come_back(&mut browser, &format!("{APP}/staff/callback?code=x"));
    assert_failed(&world, &browser, &page, "invalid_request");
    assert_eq!(world.provider.calls.get(), 0);
}

#[test]
fn s01_a_callback_that_is_late_begins_again() {
    let world = World::new();
    let (mut browser, back) = on_the_way(&world);
    world.pass(Duration::from_secs(601));
    let page = world.come_back(&mut browser, &back);
    assert!(
        page.location()
            .starts_with("https://idp.example/authorize?")
    );
    assert_eq!(world.provider.calls.get(), 0);
    let back = world.provider.sign_in(page.location(), "alice");
    assert_eq!(world.come_back(&mut browser, &back).location(), "/page");
}

#[test]
fn s02_a_callback_in_another_browser_signs_nobody_in() {
    let world = World::new();
    let (_, back) = on_the_way(&world);
    // One without a cookie, and one with its own.
    let mut other = Browser::default();
    world.begin(&mut other, "/");
    for mut browser in [Browser::default(), other] {
        let page = world.come_back(&mut browser, &back);
        assert!(
            page.location()
                .starts_with("https://idp.example/authorize?")
        );
        assert!(!browser.has("bg_session"));
    }
    assert_eq!(world.provider.calls.get(), 0, "nothing is redeemed");
    // Nor does an error of another browser's end anything.
    let url = world.begin(&mut Browser::default(), "/");
    let page = world.come_back(
        &mut Browser::default(),
        &Provider::refuse(&url, "access_denied"),
    );
    assert!(
        page.location()
            .starts_with("https://idp.example/authorize?")
    );
}

#[test]
fn s03_the_code_of_another_flow_is_of_no_use() {
    let world = World::new();
    let (mut attacker, stolen) = on_the_way(&world);
    let (_, own) = on_the_way(&world);
    let code = parameters(&stolen)["code"].clone();
    let mut browser = Browser::default();
    let location = world.begin(&mut browser, "/");
    let state = parameters(&location)["state"].clone();
    let injected = format!("{APP}/staff/callback?code={code}&state={state}");
    let page = world.come_back(&mut browser, &injected);
    assert!(
        page.location()
            .starts_with("https://idp.example/authorize?")
    );
    assert!(!browser.has("bg_session"));
    // Nor a state with another's code, the other way round.
    let mixed = format!(
        "{APP}/staff/callback?code={}&state={}",
        parameters(&own)["code"],
        parameters(&stolen)["state"]
    );
    world.come_back(&mut attacker, &mixed);
    assert!(!attacker.has("bg_session"));
}

#[test]
fn s03_a_code_that_was_used_gives_no_second_session() {
    let world = World::new();
    let (mut browser, back) = on_the_way(&world);
    assert_eq!(world.come_back(&mut browser, &back).location(), "/page");
    // With the session it leads to its page, without it to the provider; the answer that is kept
    // for a page that is loaded twice is for the browser of the flow alone.
    assert_eq!(world.come_back(&mut browser, &back).location(), "/page");
    let mut other = Browser::default();
    let page = world.come_back(&mut other, &back);
    assert!(
        page.location()
            .starts_with("https://idp.example/authorize?")
    );
    world.pass(Duration::from_secs(61));
    browser
        .jar
        .retain(|(_, name), _| !name.contains("bg_session"));
    let page = world.come_back(&mut browser, &back);
    assert!(
        page.location()
            .starts_with("https://idp.example/authorize?")
    );
    assert!(!browser.has("bg_session"));
}

/// After a reload with another provider or client behind the same name, nobody has a session of the
/// one before, nor a flow.
#[test]
fn s12_a_session_of_another_issuer_or_client_is_none() {
    for what in ["nothing", "issuer", "client"] {
        let config = config(&[KEY_1], |config| match what {
            "issuer" => config["providers"]["idp"]["issuer"] = json!("https://other.example/"),
            "client" => {
                config["sign_in"]["schemes"]["staff"]["credentials"]["client_id"] = json!("web2");
            }
            _ => (),
        });
        let before = World::new();
        let (mut on_the_way, back) = on_the_way(&before);
        let mut browser = before.signed_in("alice");
        let world = World::on(Rc::clone(&before.process), config);
        if what == "nothing" {
            assert_eq!(world.open(&mut browser, "/page").user(), Some("alice"));
            continue;
        }
        let page = world.open(&mut browser, "/page");
        assert_eq!((page.status, page.upstream), (303, None), "{what}");
        let page = world.come_back(&mut on_the_way, &back);
        assert_failed(&world, &on_the_way, &page, "state_invalid");
    }
}

/// The provider's answer is kept for a page that is loaded twice, and stands for one session.
#[test]
fn s24_a_session_that_was_ended_does_not_come_back_with_its_code() {
    let world = World::new();
    let (mut browser, back) = on_the_way(&world);
    assert_eq!(world.come_back(&mut browser, &back).location(), "/page");
    let mut copy = browser.clone();
    copy.jar.retain(|(_, name), _| !name.contains("bg_session"));
    assert_eq!(world.come_back(&mut copy, &back).location(), "/page");
    assert_eq!(world.open(&mut copy, "/page").status, 200);
    world.pass(Duration::from_secs(20));
    assert_eq!(world.open(&mut browser, "/staff/sign-out").status, 303);
    assert!(!browser.has("bg_session"));
    assert_eq!(
        world.open(&mut copy, "/page").status,
        303,
        "it is the same one"
    );
    let page = world.come_back(&mut browser, &back);
    assert!(
        page.location()
            .starts_with("https://idp.example/authorize?")
    );
    assert!(!browser.has("bg_session"));
}

#[test]
fn s04_the_answer_of_another_issuer_is_refused() {
    let world = World::new();
    let (mut browser, back) = on_the_way(&world);
    for issuer in [
        "https%3A%2F%2Fevil.example%2F",
        "https%3A%2F%2Fidp.example",
        "",
    ] {
        let back = back.replace("https%3A%2F%2Fidp.example%2F", issuer);
        let page = world.come_back(&mut browser, &back);
        assert_failed(&world, &browser, &page, "issuer_mismatch");
    }
    assert_eq!(world.provider.calls.get(), 0);
}

#[test]
fn s05_the_callback_of_another_scheme_signs_nobody_in() {
    let world = World::new();
    let (mut browser, back) = on_the_way(&world);
    let page = world.come_back(&mut browser, &back.replace("/staff/", "/guests/"));
    assert_failed(&world, &browser, &page, "state_invalid");
    assert_eq!(world.provider.calls.get(), 0);
}

#[test]
fn s06_parameters_that_come_twice_are_refused() {
    let world = World::new();
    let (mut browser, back) = on_the_way(&world);
    for more in ["code=x", "state=x", "iss=x", "error=a&error=b", "%63ode=x"] {
        let page = world.come_back(&mut browser, &format!("{back}&{more}"));
        assert_failed(&world, &browser, &page, "invalid_request");
    }
    let page = world.open(&mut browser, "/staff/sign-in?return_to=/a&return_to=/b");
    assert_failed(&world, &browser, &page, "invalid_request");
    assert_eq!(world.provider.calls.get(), 0);
}

/// Claims of an ID token that is refused.
type Claims = fn(&mut Value);

#[test]
fn s07_s08_an_id_token_that_says_something_else() {
    let table: &[Claims] = &[
        |claims| drop(claims.as_object_mut().unwrap().remove("nonce")),
        |claims| claims["nonce"] = json!("another"),
        |claims| claims["aud"] = json!("other"),
        |claims| claims["aud"] = json!(["web", "other"]),
        |claims| claims["azp"] = json!("other"),
        |claims| claims["iss"] = json!("https://evil.example/"),
        |claims| claims["exp"] = json!(1),
        |claims| claims["iat"] = json!(9_000_000_000_u64),
        |claims| claims["sub"] = json!(""),
        |claims| claims["at_hash"] = json!("x"),
        |claims| claims["events"] = json!({}),
        |claims| drop(claims.as_object_mut().unwrap().remove("exp")),
    ];
    for change in table {
        let world = World::new();
        let (mut browser, back) = on_the_way(&world);
        *world.provider.claims.borrow_mut() = Some(Box::new(change));
        let page = world.come_back(&mut browser, &back);
        assert_failed(&world, &browser, &page, "id_token_invalid");
    }
}

#[test]
fn s08_s09_an_id_token_of_another_kind() {
    for header in [
        json!({"alg": "none"}),
        json!({"alg": "HS256", "kid": "a"}),
        json!({"alg": "RS256", "kid": "nowhere"}),
        json!({"alg": "RS256", "kid": "a", "typ": "at+jwt"}),
        json!({"alg": "RS256", "kid": "a", "typ": "logout+jwt"}),
    ] {
        let world = World::new();
        let (mut browser, back) = on_the_way(&world);
        *world.provider.header.borrow_mut() = Some(header);
        let page = world.come_back(&mut browser, &back);
        assert_failed(&world, &browser, &page, "id_token_invalid");
    }
    // Nor is an ID token an access token.
    let world = World::new();
    let claims = json!({"iss": "https://idp.example/", "aud": "web", "sub": "alice",
        "exp": world.now() + 300});
    let bearer = format!(
        "Bearer {}",
        token(&json!({"alg": "RS256", "kid": "a"}), &claims)
    );
    let page = world.send(
        &mut Browser::default(),
        "GET",
        &format!("{APP}/tokens"),
        &[("authorization", &bearer)],
    );
    assert_eq!((page.status, page.reason), (401, Some("audience")));
}

#[test]
fn s08_an_id_token_with_a_bad_signature() {
    let world = World::new();
    let (mut browser, back) = on_the_way(&world);
    world.provider.lie.replace(Some(Box::new(|_, body| {
        let token = body["id_token"].as_str().unwrap().to_owned();
        let (signed, _) = token.rsplit_once('.').unwrap();
        body["id_token"] = json!(format!("{signed}.{}", "A".repeat(342)));
    })));
    let page = world.come_back(&mut browser, &back);
    assert_failed(&world, &browser, &page, "id_token_invalid");
}

#[test]
fn s11_a_host_that_is_not_listed_is_sent_to_no_provider() {
    let world = World::new();
    for (host, headers) in [
        ("evil.example", &PAGE[..]),
        ("app.example:8443", &PAGE),
        (
            "evil.example",
            &[PAGE[0], PAGE[1], ("x-forwarded-host", "app.example")],
        ),
    ] {
        let mut browser = Browser::default();
        let page = world.send(&mut browser, "GET", &format!("https://{host}/"), headers);
        assert_failed(&world, &browser, &page, "unknown_host");
        assert_eq!(page.header("location"), None);
    }
    // The callback of a flow at another host has no browser's cookie.
    let (_, back) = on_the_way(&world);
    let mut browser = Browser::default();
    let page = world.come_back(&mut browser, &back.replace("app.example", "other.example"));
    let asked = parameters(page.location());
    assert_eq!(
        asked["redirect_uri"],
        "https://other.example/staff/callback"
    );
    assert_eq!(world.provider.calls.get(), 0);
}

#[test]
fn s22_answers_that_are_no_tokens() {
    type Lie = fn(&mut u16, &mut Value);
    let remove = |body: &mut Value, name: &str| {
        body.as_object_mut().unwrap().remove(name);
    };
    let _ = remove;
    let table: &[(&str, Lie)] = &[
        ("tokens_unusable", |_, body| {
            drop(body.as_object_mut().unwrap().remove("id_token"))
        }),
        ("tokens_unusable", |_, body| {
            body["token_type"] = json!("DPoP")
        }),
        ("tokens_unusable", |_, body| {
            *body = json!({"error": "invalid_client"})
        }),
        ("tokens_unusable", |_, body| body["access_token"] = json!(1)),
        ("tokens_unusable", |status, body| {
            *status = 403;
            *body = json!("no");
        }),
    ];
    for (reason, lie) in table {
        let world = World::new();
        let (mut browser, back) = on_the_way(&world);
        world.provider.lie.replace(Some(Box::new(lie)));
        let page = world.come_back(&mut browser, &back);
        assert_failed(&world, &browser, &page, reason);
    }
}

#[test]
fn s25_a_callback_that_is_loaded_ahead_redeems_nothing() {
    let world = World::new();
    let (mut browser, back) = on_the_way(&world);
    let headers = [PAGE[0], PAGE[1], ("sec-purpose", "prefetch")];
    let page = world.send(&mut browser, "GET", &back, &headers);
    assert_eq!(page.status, 503);
    assert_eq!(world.provider.calls.get(), 0);
    assert_eq!(world.come_back(&mut browser, &back).location(), "/page");
}

#[test]
fn s26_the_words_of_the_provider_are_marked_and_for_this_browser_alone() {
    let world = World::new();
    let mut browser = Browser::default();
    let url = world.begin(&mut browser, "/page");
    let back = Provider::refuse(&url, "%3Cscript%3Ex");
    let page = world.come_back(&mut browser, &back);
    assert_failed(&world, &browser, &page, "server_error");
    let told = "<p>The sign-in service says:</p>\n<blockquote>no + &lt;script&gt;</blockquote>";
    assert!(page.body.contains(told), "{}", page.body);
    assert!(!page.body.contains("<script"), "{}", page.body);
    // Twice: no words at all.
    let twice = format!("{back}&error_description=more");
    let page = world.come_back(&mut browser, &twice);
    assert_failed(&world, &browser, &page, "server_error");
    assert!(!page.body.contains("<blockquote>"), "{}", page.body);
    // Everybody can make such a link, but for no other browser.
    for mut other in [Browser::default(), on_the_way(&world).0] {
        let page = world.come_back(&mut other, &back);
        assert_eq!((page.status, &*page.body), (303, ""));
    }
}

#[test]
fn s26_s28_no_other_text_of_a_provider_or_browser_is_shown() {
    let world = World::new();
    let mut browser = Browser::default();
    let url = world.begin(&mut browser, "/page");
    let back = Provider::refuse(&url, "%3Cscript%3Ex")
        .replace("&error_description=no+%2B+%3Cscript%3E", "");
    let page = world.come_back(&mut browser, &back);
    assert_failed(&world, &browser, &page, "server_error");
    let (mut browser, back) = on_the_way(&world);
    let code = parameters(&back)["code"].clone();
    world.provider.lie.replace(Some(Box::new(|_, body| {
        *body = json!({"error": "<script>", "error_description": "<script>"});
    })));
    let refused = world.come_back(&mut browser, &back);
    for page in [page, refused] {
        assert!(!page.body.contains("script"), "{}", page.body);
        assert!(!page.body.contains(&code), "{}", page.body);
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'"));
        assert_eq!(page.header("cache-control"), Some("no-store"));
    }
}

#[test]
fn s27_a_browser_is_sent_on_by_303_and_nothing_is_stored() {
    let world = World::new();
    let mut browser = Browser::default();
    let begun = world.open(&mut browser, "/page");
    let back = world.provider.sign_in(begun.location(), "alice");
    let done = world.come_back(&mut browser, &back);
    let same = [("sec-fetch-site", "same-origin")];
    let left = world.send(
        &mut browser,
        "POST",
        &format!("{APP}/staff/sign-out"),
        &same,
    );
    for page in [begun, done, left] {
        assert_eq!(page.status, 303);
        assert_eq!(page.header("cache-control"), Some("no-store"));
    }
}

#[test]
fn s29_a_browser_that_keeps_no_cookie_is_told_so() {
    let world = World::new();
    let mut url = world.begin(&mut Browser::default(), "/");
    for _ in 0..2 {
        let back = world.provider.sign_in(&url, "alice");
        let page = world.come_back(&mut Browser::default(), &back);
        page.location().clone_into(&mut url);
    }
    let mut browser = Browser::default();
    let page = world.come_back(&mut browser, &world.provider.sign_in(&url, "alice"));
    assert_eq!(page.status, 400);
    assert_failed(&world, &browser, &page, "too_many_restarts");
    assert_eq!(world.provider.calls.get(), 0);
}

#[test]
fn s10_who_tries_again_comes_to_the_page_that_was_wanted() {
    let again = |page: &Page| {
        let (_, rest) = page.body.split_once("<a href=\"").expect("a link");
        rest.split_once("\">Try again</a>").unwrap().0.to_owned()
    };
    let world = World::new();
    let mut browser = Browser::default();
    let url = world.begin(&mut browser, "/page?a=b");
    let page = world.come_back(&mut browser, &Provider::refuse(&url, "access_denied"));
    assert_eq!(again(&page), "/staff/sign-in?return_to=%2Fpage%3Fa%3Db");
    let (page, _) = world.visit(&mut browser, &again(&page), "alice");
    assert_eq!(page.at_upstream(":path"), Some("/page?a=b"));

    // Nowhere else, whatever a link says.
    let mut browser = Browser::default();
    for link in [
        "/staff/callback?code=x&state=x",
        "/staff/callback?code=x",
        "/staff/sign-in?return_to=https%3A%2F%2Fevil.example%2F&return_to=%2F",
    ] {
        let page = world.open(&mut browser, link);
        assert_eq!(again(&page), "/staff/sign-in?return_to=%2F", "{link}");
    }

    // Without a link of the scheme's own it is the page itself.
    let world = World::with(config(&[KEY_1], |config| {
        let rules = config["rules"].as_array_mut().unwrap();
        rules.retain(|rule| rule["match"]["prefix"] != "/choice");
        let staff = config["sign_in"]["schemes"]["staff"]
            .as_object_mut()
            .unwrap();
        staff.remove("signin_path");
    }));
    let mut browser = Browser::default();
    let url = world.begin(&mut browser, "/page?a=b");
    let page = world.come_back(&mut browser, &Provider::refuse(&url, "access_denied"));
    assert_eq!(again(&page), "/page?a=b");
}

#[test]
fn a_session_that_fits_no_cookies_is_an_error_and_no_loop() {
    let world = World::with(config(&[KEY_1], |config| {
        config["sign_in"]["schemes"]["staff"]["cookie"] = json!({"max_bytes": 4096});
    }));
    let (mut browser, back) = on_the_way(&world);
    *world.provider.claims.borrow_mut() = Some(Box::new(|claims| {
        claims["groups"] = json!("g".repeat(5000));
    }));
    let page = world.come_back(&mut browser, &back);
    assert_failed(&world, &browser, &page, "session_too_large");
}
