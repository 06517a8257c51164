//! What people do, and what they get.

use std::rc::Rc;
use std::time::Duration;

use bearer_gate::bytes::half_digest;
use bearer_gate::ended::shard::MOST;
use serde_json::{Value, json};

use crate::provider::{Provider, parameters, token};
use crate::world::{APP, Browser, FROM_ELSEWHERE, KEY_1, PAGE, SCRIPT, World, config};

#[test]
fn a_person_signs_in_and_comes_back_to_the_page() {
    let world = World::new();
    let mut browser = Browser::default();
    browser
        .jar
        .insert(("app.example".into(), "theirs".into()), "\"a b\"".into());
    let location = world.begin(&mut browser, "/reports/7?year=2026&q=%2F");
    let asked = parameters(&location);
    assert_eq!(asked["redirect_uri"], format!("{APP}/staff/callback"));
    assert_eq!(asked["scope"], "openid profile email");
    assert!(browser.has("__Host-Http-bg_browser") && !browser.has("bg_session"));
    let back = world.come_back(&mut browser, &world.provider.sign_in(&location, "alice"));
    assert_eq!(back.location(), "/reports/7?year=2026&q=%2F");
    assert_eq!(back.header("cache-control"), Some("no-store"));
    assert!(browser.has("__Host-Http-bg_session_staff"));
    let page = world.open(&mut browser, back.location());
    assert_eq!((page.status, page.user()), (200, Some("alice")));
    // The application's own cookie stays as it is, and ours do not reach it.
    assert_eq!(page.at_upstream("cookie"), Some("theirs=\"a b\""));
    assert_eq!(world.provider.calls.get(), 1);
    let counts = |name| world.process.count_of(name);
    assert_eq!(counts("bearer_gate.sign_in.begun"), 1);
    assert_eq!(counts("bearer_gate.sign_in.completed"), 1);
    world.tick();
    assert_eq!(counts("bearer_gate.allowed"), 1);
}

#[test]
fn a_link_begins_a_sign_in() {
    let world = World::new();
    for (query, expected) in [
        ("", "/"),
        ("?return_to=/reports%3Fa=b", "/reports?a=b"),
        (
            "?return_to=https://other.example/x",
            "https://other.example/x",
        ),
        ("?return_to=//evil.example", "/"),
        ("?return_to=https://evil.example/", "/"),
        ("?return_to=/staff/sign-out", "/"),
    ] {
        let mut browser = Browser::default();
        let location = world.begin(&mut browser, &format!("/staff/sign-in{query}"));
        let back = world.come_back(&mut browser, &world.provider.sign_in(&location, "alice"));
        assert_eq!(back.location(), expected, "{query}");
    }
}

#[test]
fn two_tabs_sign_in_side_by_side() {
    let world = World::new();
    let mut browser = Browser::default();
    let first = world.begin(&mut browser, "/one");
    let second = world.begin(&mut browser, "/two");
    world.pass(Duration::from_secs(1));
    let back = world.come_back(&mut browser, &world.provider.sign_in(&second, "alice"));
    assert_eq!(back.location(), "/two");
    // A session began since: the code is not needed.
    let back = world.come_back(&mut browser, &world.provider.sign_in(&first, "alice"));
    assert_eq!(back.location(), "/one");
    assert_eq!(world.provider.calls.get(), 1);
}

#[test]
fn somebody_else_can_sign_in_where_somebody_is_signed_in() {
    let world = World::new();
    let mut browser = world.signed_in("alice");
    world.pass(Duration::from_secs(1));
    let (page, asked) = world.visit(&mut browser, "/staff/sign-in", "bob");
    assert_eq!((page.user(), asked), (Some("bob"), 1));
}

#[test]
fn consent_that_is_refused_ends_the_sign_in() {
    for (path, location) in [
        (None, None),
        (Some("/oops"), Some("/oops?error=access_denied")),
    ] {
        let world = World::with(config(&[KEY_1], |config| {
            config["sign_in"]["schemes"]["staff"]["error_redirect_path"] = json!(path);
            if path.is_none() {
                let scheme = config["sign_in"]["schemes"]["staff"].as_object_mut();
                scheme.unwrap().remove("error_redirect_path");
            }
        }));
        let mut browser = Browser::default();
        let url = world.begin(&mut browser, "/");
        let page = world.come_back(&mut browser, &Provider::refuse(&url, "access_denied"));
        assert_eq!(page.status, if path.is_some() { 303 } else { 403 });
        assert_eq!(page.header("location"), location);
        assert_eq!(world.provider.calls.get(), 0);
        assert_eq!(
            world
                .process
                .count_of("bearer_gate.sign_in.failed.access_denied"),
            1
        );
        // The page of errors never begins again by itself.
        if let Some(path) = path {
            let page = world.open(&mut browser, path);
            assert_eq!((page.status, page.reason), (401, Some("session_missing")));
        }
    }
}

#[test]
fn a_session_is_kept_alive_by_requests_and_ends_without() {
    let world = World::new();
    let mut browser = world.signed_in("alice");
    let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
    for _ in 0..10 {
        world.pass(minutes(20));
        let page = world.open(&mut browser, "/");
        assert_eq!(page.status, 200);
        assert!(page.header("set-cookie").is_some(), "sealed anew");
        assert_eq!(world.open(&mut browser, "/").header("set-cookie"), None);
    }
    world.pass(minutes(31));
    let page = world.send(&mut browser, "GET", &format!("{APP}/"), &SCRIPT);
    assert_eq!((page.status, page.reason), (401, Some("session_missing")));
    assert!(browser.has("bg_session"), "a script deletes nothing");
    assert_eq!(world.open(&mut browser, "/staff/sign-out").status, 200);
    assert!(!browser.has("bg_session"), "a page deletes it");
    // The absolute end, whatever is heard of it.
    let mut browser = world.signed_in("alice");
    for _ in 0..24 {
        world.pass(minutes(19));
        assert_eq!(world.open(&mut browser, "/").status, 200);
    }
    world.pass(minutes(25));
    world.begin(&mut browser, "/");
}

#[test]
fn without_an_idle_timeout_a_session_ends_with_the_id_token() {
    let world = World::with(config(&[KEY_1], |config| {
        config["sign_in"]["schemes"]["staff"]["session"] = json!({});
    }));
    let mut browser = world.signed_in("alice");
    world.pass(Duration::from_secs(290));
    assert_eq!(world.open(&mut browser, "/").status, 200);
    world.pass(Duration::from_secs(20));
    world.begin(&mut browser, "/");
}

#[test]
fn scripts_get_401_and_find_their_session_as_json() {
    let world = World::new();
    let mut browser = Browser::default();
    let get = |browser: &mut Browser, path: &str| {
        let page = world.send(browser, "GET", &format!("{APP}{path}"), &SCRIPT);
        let body: Value = serde_json::from_str(&page.body).unwrap_or_default();
        (page, body)
    };
    let (page, _) = get(&mut browser, "/data");
    assert_eq!((page.status, page.reason), (401, Some("session_missing")));
    assert_eq!(
        page.header("www-authenticate"),
        Some("Bearer realm=\"api\"")
    );
    let (page, body) = get(&mut browser, "/staff/session");
    assert_eq!((page.status, &body["error"]), (401, &json!("no_session")));
    let mut browser = world.signed_in("alice");
    let (page, body) = get(&mut browser, "/staff/session");
    assert_eq!(page.status, 200);
    assert_eq!(body["claims"]["groups"], json!(["staff"]));
    assert_eq!(body["sub"], "alice");
    let (page, _) = get(&mut browser, "/data");
    assert_eq!((page.status, page.user()), (200, Some("alice")));
}

#[test]
fn rules_about_claims_hold_for_sessions() {
    let world = World::new();
    let mut browser = world.signed_in("alice");
    let page = world.open(&mut browser, "/admin");
    assert_eq!((page.status, page.reason), (403, Some("claim_rule")));
    *world.provider.claims.borrow_mut() = Some(Box::new(|claims| {
        claims["groups"] = json!(["admin"]);
    }));
    let mut browser = world.signed_in("root");
    assert_eq!(world.open(&mut browser, "/admin").user(), Some("root"));
}

#[test]
fn of_several_schemes_a_person_chooses() {
    let world = World::with(config(&[KEY_1], |config| {
        config["sign_in"]["schemes"]["staff"]["display_name"] = json!("Staff & <crew>");
    }));
    let mut browser = Browser::default();
    let page = world.open(&mut browser, "/choice?a=b");
    assert_eq!(page.status, 401);
    for (name, words) in [("staff", "Staff &amp; &lt;crew&gt;"), ("guests", "guests")] {
        let link = format!("href=\"/{name}/sign-in?return_to=%2Fchoice%3Fa%3Db\">{words}</a>");
        assert!(page.body.contains(&link), "{}", page.body);
    }
    let (page, _) = world.visit(&mut browser, "/guests/sign-in?return_to=%2Fchoice", "carol");
    assert_eq!((page.status, page.user()), (200, Some("carol")));
    assert!(browser.has("bg_session_guests") && !browser.has("bg_session_staff"));
    // A guest is no member of the staff.
    world.begin(&mut browser, "/");
}

#[test]
fn a_token_or_a_session_where_a_rule_takes_either() {
    let world = World::new();
    let claims = json!({"iss": "https://idp.example/", "aud": "api", "sub": "robot",
        "exp": world.now() + 300});
    let bearer = format!(
        "Bearer {}",
        token(&json!({"alg": "RS256", "kid": "a"}), &claims)
    );
    let api = format!("{APP}/api/x");
    let authorization = ("authorization", bearer.as_str());
    let page = world.send(&mut Browser::default(), "POST", &api, &[authorization]);
    assert_eq!(page.user(), Some("robot"));
    let mut browser = world.signed_in("alice");
    let page = world.send(&mut browser, "POST", &api, &SCRIPT);
    assert_eq!(page.user(), Some("alice"));
    // A bad token is not made good by a session.
    let page = world.send(
        &mut browser,
        "GET",
        &api,
        &[("authorization", "Bearer x.y.z")],
    );
    assert_eq!(page.status, 401);
    let page = world.send(&mut Browser::default(), "GET", &api, &SCRIPT);
    assert_eq!((page.status, page.reason), (401, Some("token_missing")));
}

#[test]
fn signing_out_ends_the_session_here_and_at_the_provider() {
    let world = World::new();
    let sign_out = format!("{APP}/staff/sign-out");
    let same = [("sec-fetch-site", "same-origin")];
    for method in ["GET", "POST"] {
        let mut browser = world.signed_in("alice");
        let page = world.send(&mut browser, method, &sign_out, &same);
        let asked = parameters(page.location());
        assert!(page.location().starts_with("https://idp.example/end?"));
        assert_eq!(asked["post_logout_redirect_uri"], format!("{APP}/public"));
        assert!(asked["id_token_hint"].starts_with("eyJ"));
        assert!(!browser.has("bg_session"));
        world.begin(&mut browser, "/");
    }
    let mut browser = Browser::default();
    let page = world.send(&mut browser, "GET", &sign_out, &PAGE);
    assert_eq!(page.status, 200);
    assert!(page.body.contains("signed out"), "{}", page.body);
    // A link of another site asks first.
    let mut browser = world.signed_in("alice");
    let page = world.send(&mut browser, "GET", &sign_out, &FROM_ELSEWHERE);
    assert_eq!(page.status, 200);
    assert!(browser.has("bg_session"));
}

#[test]
fn a_provider_that_is_down_is_tried_again_and_not_forgotten() {
    let world = World::new();
    let mut browser = Browser::default();
    let location = world.begin(&mut browser, "/page");
    world.provider.lie.replace(Some(Box::new(|status, body| {
        *status = 500;
        *body = json!("down");
    })));
    let back = world.provider.sign_in(&location, "alice");
    let page = world.come_back(&mut browser, &back);
    // Nobody knows whether the code was taken: the provider may give another one.
    assert!([303, 503].contains(&page.status), "{page:?}");
    assert!(!browser.has("bg_session"));
    world.provider.lie.replace(None);
    world.pass(Duration::from_secs(60));
    let (page, _) = world.visit(&mut browser, "/page", "alice");
    assert_eq!(page.user(), Some("alice"));
}

#[test]
fn without_keys_in_the_configuration_all_workers_draw_the_same() {
    let one = World::with(config(&[], |config| {
        config["sign_in"]
            .as_object_mut()
            .unwrap()
            .remove("cookie_keys");
    }));
    let mut browser = one.signed_in("alice");
    let two = World::on(
        std::rc::Rc::clone(&one.process),
        config(&[], |config| {
            config["sign_in"]
                .as_object_mut()
                .unwrap()
                .remove("cookie_keys");
        }),
    );
    assert_eq!(two.open(&mut browser, "/").user(), Some("alice"));
}

#[test]
fn the_upstream_gets_the_tokens_that_it_is_to_have() {
    let world = World::with(config(&[KEY_1], |config| {
        let staff = &mut config["sign_in"]["schemes"]["staff"];
        staff["forward_bearer_token"] = json!(true);
        staff["forward_id_token_header"] = json!("x-id-token");
    }));
    let mut browser = world.signed_in("alice");
    let page = world.open(&mut browser, "/");
    assert_eq!(
        page.at_upstream("authorization"),
        Some("Bearer access-of-alice")
    );
    assert!(page.at_upstream("x-id-token").unwrap().starts_with("eyJ"));
    // On a route that asks for no session nothing is added.
    let page = world.open(&mut browser, "/public");
    assert_eq!(page.at_upstream("authorization"), None);
    assert_eq!(page.at_upstream("cookie"), None);
}

#[test]
fn a_rule_says_who_is_redirected() {
    let world = World::with(config(&[KEY_1], |config| {
        let rules = config["rules"].as_array_mut().unwrap();
        for (prefix, unauthenticated) in [("/always", "redirect"), ("/never", "unauthorized")] {
            let rule = json!({"match": {"prefix": prefix}, "requires": {"session": "staff"},
                "unauthenticated": unauthenticated});
            rules.insert(0, rule);
        }
        let soon = json!({"match": {"prefix": "/soon"}, "requires": {"session": "staff"},
            "report_only": true});
        rules.insert(0, soon);
    }));
    for (method, path, headers, status) in [
        ("GET", "/always", &SCRIPT[..], 303),
        ("HEAD", "/always", &[], 303),
        ("POST", "/always", &PAGE, 401),
        ("GET", "/never", &PAGE, 401),
        ("GET", "/soon", &PAGE, 200),
    ] {
        let url = format!("{APP}{path}");
        let page = world.send(&mut Browser::default(), method, &url, headers);
        assert_eq!(page.status, status, "{method} {path}");
    }
    let reported = world
        .process
        .count_of("bearer_gate.reported.session_missing");
    assert_eq!(reported, 1);
}

#[test]
fn s24_a_copy_of_a_session_is_over_on_every_worker_when_somebody_signs_out() {
    let world = World::new();
    let mut browser = world.signed_in("alice");
    let mut copy = browser.clone();
    let mut other = world.signed_in("alice");
    let second = World::on(Rc::clone(&world.process), config(&[KEY_1], |_| ()));
    for worker in [&world, &second] {
        assert_eq!(worker.open(&mut copy, "/").status, 200);
    }
    let out = world.open(&mut browser, "/staff/sign-out");
    assert!(out.location().starts_with("https://idp.example/end?"));
    for worker in [&world, &second] {
        let mut copy = copy.clone();
        let page = worker.send(&mut copy, "GET", &format!("{APP}/api"), &SCRIPT);
        assert_eq!((page.status, page.reason), (401, Some("token_missing")));
        worker.begin(&mut copy, "/");
        assert!(copy.has("bg_session"), "nothing is deleted on the way");
        assert_eq!(worker.open(&mut other, "/").status, 200, "another session");
    }
    // Once more is no harm, and who signs in again has a session.
    assert_eq!(world.open(&mut copy, "/staff/sign-out").status, 200);
    let (page, asked) = world.visit(&mut browser, "/", "alice");
    assert_eq!((page.user(), asked), (Some("alice"), 1));
}

/// One account that signs in and has a frame of its own site end the session, all day.
#[test]
fn s24_one_person_whose_frames_end_sessions_pays_alone() {
    let world = World::with(config(&[KEY_1], |config| {
        let scheme = &mut config["sign_in"]["schemes"]["staff"];
        scheme["frontchannel_logout_path"] = json!("/framed");
    }));
    let framed = |browser: &mut Browser, sid: &str| {
        let iss = "https%3A%2F%2Fidp.example%2F";
        world
            .open(browser, &format!("/framed?iss={iss}&sid={sid}"))
            .status
    };
    // Parts of the list that have room for what was proven.
    let proven = |world: &World| {
        let names = world.process.store.names().into_iter();
        let numbers = names.filter_map(|name| {
            let number = name.strip_prefix("bearer-gate ended ")?;
            number.parse::<u32>().ok()
        });
        numbers.filter(|number| *number < 64).count()
    };
    let sign_in = |number: u32| {
        *world.provider.claims.borrow_mut() = Some(Box::new(move |claims| {
            claims["sid"] = json!(format!("s-{number}"))
        }));
        world.signed_in("robot")
    };
    for number in 0..60 {
        let mut browser = sign_in(number);
        let mut copy = browser.clone();
        assert_eq!(framed(&mut browser, &format!("s-{number}")), 200);
        assert!(!browser.has("bg_session"), "deleted");
        let page = world.send(&mut copy, "GET", &format!("{APP}/api"), &SCRIPT);
        assert_eq!(page.status, 401, "{number}");
    }
    assert_eq!(proven(&world), 1, "all entries are beside each other");
    // Where strangers have taken the room for claims, the own session ends all the same.
    let mut browser = sign_in(60);
    let place = |sid: &str| half_digest(&[b"sid", b"https://idp.example/", sid.as_bytes()])[0] % 16;
    let near = (0..).map(|number| format!("x-{number}"));
    let mut near = near.filter(|sid| place(sid) == place("s-60"));
    let taken = near.position(|sid| framed(&mut Browser::default(), &sid) != 200);
    assert!(taken.is_some_and(|taken| taken <= MOST));
    assert_eq!(framed(&mut Browser::default(), "s-60"), 503);
    let mut copy = browser.clone();
    assert_eq!(framed(&mut browser, "s-60"), 200);
    let page = world.send(&mut copy, "GET", &format!("{APP}/api"), &SCRIPT);
    assert_eq!(page.status, 401);
}

#[test]
fn a_sign_out_that_is_not_kept_is_not_said_to_be_done() {
    let world = World::new();
    let mut browser = world.signed_in("alice");
    world.process.store.lose_writes(1_000_000);
    let out = world.open(&mut browser, "/staff/sign-out");
    assert_eq!((out.status, out.header("retry-after")), (503, Some("1")));
    assert!(browser.has("bg_session"));
    assert_eq!(world.process.count_of("bearer_gate.denied.not_ended"), 1);
    assert_eq!(world.process.count_of("bearer_gate.signed_out"), 0);
    world.process.store.lose_writes(0);
    assert_eq!(world.open(&mut browser, "/staff/sign-out").status, 303);
    assert_eq!(world.process.count_of("bearer_gate.signed_out"), 1);
}

#[test]
fn the_access_token_is_revoked_at_a_sign_out() {
    for (forwards, expected) in [(true, 1), (false, 0)] {
        let world = World::with(config(&[KEY_1], |config| {
            let scheme = &mut config["sign_in"]["schemes"]["staff"];
            scheme["forward_bearer_token"] = json!(forwards);
            scheme["revocation_endpoint"] =
                json!({"uri": "https://idp.example/revoke", "cluster": "idp", "timeout": "5s"});
        }));
        let mut browser = world.signed_in("alice");
        let out = world.open(&mut browser, "/staff/sign-out");
        assert_eq!(out.status, 303);
        assert!(world.provider.revoked.borrow().is_empty(), "nobody waits");
        world.settle();
        let revoked = world.provider.revoked.borrow();
        assert_eq!(revoked.len(), expected);
        for asked in &*revoked {
            assert_eq!(asked["token"], "access-of-alice");
            assert_eq!(asked["token_type_hint"], "access_token");
        }
    }
}

/// The cookies of an older `cookie.domain` stay in a browser, which sends them beside the new ones.
#[test]
fn cookies_of_an_older_domain_keep_nobody_out() {
    const SITE: &str = "https://a.app.example";
    let with = |domain: Option<&str>| {
        World::with(config(&[KEY_1], |config| {
            config["sign_in"]["allowed_redirect_domains"] = json!(["a.app.example"]);
            for name in ["staff", "guests"] {
                config["sign_in"]["schemes"][name]["cookie"] = match domain {
                    Some(domain) => json!({"domain": domain}),
                    None => json!({}),
                };
            }
        }))
    };
    let domains = [None, Some("app.example"), Some("a.app.example")];
    for (older, newer) in [(0, 1), (1, 0), (1, 2), (2, 1)] {
        let mut old = String::new();
        for domain in [domains[older], domains[newer]] {
            let world = with(domain);
            let mut browser = Browser::default();
            let mut send = |url: &str, more: &str| {
                let own = browser.cookies("a.app.example").unwrap_or_default();
                // A browser would send what is of older domains first.
                let line = [more, &own]
                    .iter()
                    .filter(|part| !part.is_empty())
                    .copied()
                    .collect::<Vec<_>>()
                    .join("; ");
                let mut empty = Browser::default();
                let headers = [PAGE.as_slice(), &[("cookie", &*line)]].concat();
                let page = world.send(&mut empty, "GET", url, &headers);
                browser.keep("a.app.example", &page);
                page
            };
            let begun = send(&format!("{SITE}/page"), &old);
            let back = world.provider.sign_in(begun.location(), "alice");
            assert_eq!(send(&back, &old).location(), "/page");
            let page = send(&format!("{SITE}/page"), &old);
            assert_eq!(page.user(), Some("alice"), "{older} {newer}");
            old = browser.cookies("a.app.example").unwrap();
        }
    }
}
