//! What somebody tries who knows this code.

use bearer_gate_testbed::idp::openid::Person;
use bearer_gate_testbed::visitor::Visitor;
use serde_json::{Value, json};

use super::{
    ALICE, BOB, Browser, HOST, PAGE, SCRIPT, SECRET, SESSION, back, exchange, get, is_alive,
    request, seen, signed_in, stage, to_provider, values,
};
use crate::stage::Stage;

/// Every own path with every method: nothing reaches the upstream, nothing is stored on the way, and
/// nobody is signed in or out who did not ask.
#[tokio::test(flavor = "multi_thread")]
async fn own_paths_with_every_method() {
    let stage = stage(|_| ());
    let alice = signed_in(&stage, ALICE).await;
    let upstream = stage.upstream.requests();
    let cookie = alice.cookies().expect("cookies");
    for path in [
        "callback", "sign-in", "sign-up", "sign-out", "session", "told", "framed",
    ] {
        for method in [
            "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get",
            "QUERY",
        ] {
            for spelling in [
                "/staff/",
                "/staff/../staff/",
                "//staff/",
                "/%73taff/",
                "/staff;x/",
            ] {
                let mut message = request(
                    method,
                    &format!("{spelling}{path}"),
                    &[
                        ("origin", "https://evil.example"),
                        ("access-control-request-method", "POST"),
                        ("content-type", "text/plain"),
                    ],
                );
                message = message.header("cookie", cookie.clone());
                let what = format!("{method} {spelling}{path}");
                let Ok(answer) = exchange(stage.address(), message) else {
                    continue;
                };
                assert_eq!(stage.upstream.requests(), upstream, "{what}");
                // Of the filter's answers.
                if answer.header("server").is_some()
                    && !answer
                        .headers
                        .iter()
                        .any(|(name, _)| name == "cache-control")
                {
                    assert_eq!(answer.status, 400, "{what}: {answer:?}");
                }
                for line in values(&answer, "set-cookie") {
                    assert!(!line.contains("bg_session"), "{what}: {line}");
                }
                for name in [
                    "access-control-allow-origin",
                    "access-control-allow-credentials",
                ] {
                    assert_eq!(answer.header(name), None, "{what}");
                }
            }
        }
    }
    assert_eq!(alice.clone().fetch(&stage, "/page").status, 200);
    is_alive(&stage).await;
}

/// Somebody else signs in where somebody is signed in, and the back button is used in between.
#[tokio::test(flavor = "multi_thread")]
async fn two_people_at_one_browser() {
    let stage = stage(|_| ());
    let mut browser = Browser::default();
    let of_alice = browser.on_the_way(&stage, "/page", ALICE).await;
    browser.open(&stage, &of_alice);
    // A sign-in is over where a session has begun in the same second.
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let of_bob = browser
        .on_the_way(&stage, "/staff/sign-in?return_to=/bob", BOB)
        .await;
    let user = |browser: &mut Browser| seen(&browser.fetch(&stage, "/page"), "x-user").concat();
    assert_eq!(user(&mut browser), "user|alice");
    let done = browser.open(&stage, &of_bob);
    assert_eq!(done.header("location"), Some("/bob"));
    assert_eq!(user(&mut browser), "user|bob");
    // Both callbacks again: it stays Bob's.
    for again in [&of_alice, &of_bob, &of_alice] {
        let answer = browser.open(&stage, again);
        assert_eq!((answer.status, to_provider(&stage, &answer)), (303, None));
        assert_eq!(user(&mut browser), "user|bob");
    }
    // A link of an attacker with his own code leads Bob's browser to no session of the attacker's.
    let mut attacker = Browser::default();
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let lure = attacker.on_the_way(&stage, "/page", ALICE).await;
    browser.open(&stage, &lure);
    assert_eq!(user(&mut browser), "user|bob");
    let mut fresh = Browser::default();
    let answer = fresh.open(&stage, &lure);
    assert!(to_provider(&stage, &answer).is_some() && !fresh.has_session());
    is_alive(&stage).await;
}

/// Texts of a person that would end a header, or be another one.
#[tokio::test(flavor = "multi_thread")]
async fn people_whose_names_are_headers() {
    let stage = stage(|config| {
        config["providers"]["demo"]["claim_to_headers"] = json!([
            {"header_name": "x-user", "claim_name": "sub"},
            {"header_name": "x-name", "claim_name": "name"},
        ]);
    });
    for (number, text) in [
        "eve\r\nx-admin: 1",
        "eve\nset-cookie: a=b",
        "eve\0",
        "eve, user|alice",
        "user|alice ",
        " user|alice",
        "user|alice\t",
        "\u{feff}user|alice",
        "user|\u{e4}lice",
        "eve\u{2028}x: y",
    ]
    .into_iter()
    .enumerate()
    {
        let username: &'static str = Box::leak(format!("eve-{number}").into_boxed_str());
        stage.idp.openid().add_person(Person {
            sub: text.to_owned(),
            name: text.to_owned(),
            ..Person::named(username, text, "x")
        });
        let mut browser = Browser::default();
        let back = browser.on_the_way(&stage, "/page", (username, "x")).await;
        let done = browser.open(&stage, &back);
        assert_eq!(values(&done, "x-admin"), [""; 0], "{text:?}");
        let page = browser.fetch(&stage, "/page");
        if page.status == 200 {
            for name in ["x-user", "x-name"] {
                let users = seen(&page, name);
                assert!(users.len() <= 1, "{text:?}: {users:?}");
                assert!(!users.contains(&"user|alice".to_owned()), "{text:?}");
            }
            for name in ["x-admin", "x", "set-cookie"] {
                assert_eq!(seen(&page, name), [""; 0], "{text:?}");
            }
        }
        let session = browser.fetch(&stage, "/staff/session");
        if session.status == 200 {
            assert_eq!(session.json()["sub"], text);
        }
    }
    is_alive(&stage).await;
}

/// Schemes whose names, paths and cookies nearly are each other's.
fn near(stage: &Stage, config: &mut Value) {
    let scheme = |paths: [&str; 3]| {
        json!({
            "provider_name": "demo",
            "credentials": {"client_id": "web", "token_secret": {"inline_string": SECRET}},
            "token_endpoint": {"cluster": "idp", "timeout": "2s"},
            "callback_path": paths[0], "signin_path": paths[1], "signout_path": paths[2],
            "session": {"idle_timeout": "1800s"},
        })
    };
    let mut wide = scheme(["/w", "/w/in", "/w/out"]);
    wide["cookie"] = json!({"domain": "app.example"});
    config["sign_in"]["schemes"] = json!({
        "a": scheme(["/auth", "/auth/in", "/auth/in/out"]),
        "a_0": scheme(["/auth/", "/auth/in/", "/auth/in/out/"]),
        "A": scheme(["/AUTH", "/Auth/in", "/auth/IN/out"]),
        "wide": wide,
    });
    config["sign_in"]["allowed_redirect_domains"] = json!([HOST, "sub.app.example"]);
    let rule = |scheme: &str| json!({"match": {"prefix": format!("/of/{scheme}/")}, "requires": {"session": scheme}});
    config["rules"] = ["a", "a_0", "A", "wide"].map(rule).to_vec().into();
    let _ = stage;
}

#[tokio::test(flavor = "multi_thread")]
async fn schemes_that_are_nearly_each_others() {
    let stage = Stage::start(|stage| {
        let mut config = super::config(stage);
        near(stage, &mut config);
        config
    });
    let openid = stage.idp.openid();
    // Sessions of several chunks.
    openid.configure(|settings| settings.groups = 300);
    let schemes = [
        ("a", "/auth"),
        ("a_0", "/auth/"),
        ("A", "/AUTH"),
        ("wide", "/w"),
    ];
    let mut party = bearer_gate_testbed::idp::openid::RelyingParty::confidential("web", SECRET, "");
    party.redirect_uris = schemes
        .iter()
        .map(|(_, callback)| format!("https://{HOST}{callback}"))
        .collect();
    openid.register(party);
    let mut browser = Browser::default();
    let mut alone: Vec<(&str, Browser)> = Vec::new();
    for (scheme, callback) in schemes {
        let page = format!("/of/{scheme}/page");
        let location = browser.begin(&stage, &page);
        let path = back(&mut Visitor::new(), &location, ALICE).await;
        assert!(path.starts_with(&format!("{callback}?")), "{path}");
        let before = browser.clone();
        // At the others' callbacks it is nothing.
        for (_, other) in schemes.iter().filter(|(other, _)| *other != scheme) {
            let path = path.replacen(callback, other, 1);
            let mut astray = before.clone();
            let answer = astray.open(&stage, &path);
            assert_eq!(answer.status, 400, "{path}");
            assert_eq!(astray.jar, before.jar, "{path}");
        }
        let done = browser.open(&stage, &path);
        assert!(
            done.header("location")
                .is_some_and(|to| to.ends_with(&page)),
            "{done:?}"
        );
        let of_scheme = browser
            .jar
            .iter()
            .filter(|(name, _)| !before.jar.contains_key(*name));
        let jar = of_scheme
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        alone.push((scheme, Browser { jar }));
    }
    let chunks = |browser: &Browser| {
        let names = browser.jar.keys().filter(|name| name.contains("_session_"));
        names.count()
    };
    assert!(chunks(&browser) >= 8, "{:?}", browser.jar.keys());
    let status = |browser: &Browser, scheme: &str| {
        browser
            .clone()
            .fetch(&stage, &format!("/of/{scheme}/page"))
            .status
    };
    for (scheme, _) in schemes {
        assert_eq!(status(&browser, scheme), 200, "{scheme}");
        for (of, own) in &alone {
            let expected = if *of == scheme { 200 } else { 401 };
            assert_eq!(status(own, scheme), expected, "{of} at {scheme}");
        }
    }
    // The cookies of one, under the names of another.
    for (from, to) in [("a", "a_0"), ("a_0", "a"), ("A", "a"), ("a", "A")] {
        let (_, own) = alone.iter().find(|(scheme, _)| *scheme == from).unwrap();
        let (from, to) = (format!("bg_session_{from}"), format!("bg_session_{to}"));
        let jar = own.jar.iter();
        let jar = jar.map(|(name, value)| (name.replace(&from, &to), value.clone()));
        let renamed = Browser { jar: jar.collect() };
        let scheme = to.strip_prefix("bg_session_").unwrap();
        assert_eq!(status(&renamed, scheme), 401, "{from} as {to}");
    }
    // The wide one counts at each host of its domain, the others at their own alone.
    for (scheme, own) in &alone {
        let message = get(&format!("/of/{scheme}/page"), SCRIPT);
        let mut message = message.header("cookie", own.cookies().expect("cookies"));
        message.authority = Some("sub.app.example".into());
        let answer = exchange(stage.address(), message).expect("an answer");
        let expected = if *scheme == "wide" { 200 } else { 401 };
        assert_eq!(answer.status, expected, "{scheme}");
    }
    // Signing out of one leaves the others.
    let left = browser.send(&stage, get("/auth/in/out", SCRIPT));
    assert_eq!(left.status, 303, "{}", left.text());
    let statuses = schemes.map(|(scheme, _)| status(&browser, scheme));
    assert_eq!(statuses, [401, 200, 200, 200]);
    // No upstream sees any of them, whichever rule it is.
    let page = browser.fetch(&stage, "/of/a_0/page");
    assert_eq!(seen(&page, "cookie"), [""; 0]);
    assert_eq!(stage.traps(), 0);
}

/// A session of the attacker's own in the victim's browser is a session of the attacker's: what
/// another host of a `domain` can do, and no host where there is none.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_was_planted_is_its_owners() {
    let stage = stage(|_| ());
    let attacker = signed_in(&stage, BOB).await;
    let mut victim = signed_in(&stage, ALICE).await;
    // Tossed beside the own one it is no session at all.
    let both = format!(
        "{SESSION}={}; {SESSION}={}",
        victim.cookie(SESSION),
        attacker.cookie(SESSION)
    );
    let message = get("/page", PAGE).header("cookie", both);
    let answer = exchange(stage.address(), message).expect("an answer");
    assert!(to_provider(&stage, &answer).is_some(), "{answer:?}");
    let planted = attacker.cookie(SESSION).to_owned();
    victim.jar.insert(SESSION.to_owned(), planted);
    assert_eq!(seen(&victim.fetch(&stage, "/page"), "x-user"), ["user|bob"]);
}
