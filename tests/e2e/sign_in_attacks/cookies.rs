//! Cookies that are not a session: of others, torn, tossed, too large, of other keys.

use bearer_gate_testbed::raw::RawResponse;
use serde_json::json;

use super::{
    ALICE, BOB, BROWSER, Browser, HOST, KEY, PAGE, SCRIPT, SESSION, config, exchange, get,
    is_alive, register, seen, signed_in, stage, to_provider, values,
};
use crate::stage::Stage;

fn flipped(value: &str, at: usize) -> String {
    let mut letters = value.as_bytes().to_vec();
    letters[at] = if letters[at] == b'A' { b'B' } else { b'A' };
    String::from_utf8(letters).unwrap()
}

/// A script's request with this line of cookies: it must be refused, and the upstream see nothing.
fn none(stage: &Stage, path: &str, line: &str) -> RawResponse {
    let upstream = stage.upstream.requests();
    let message = get(path, SCRIPT).header("cookie", line);
    let answer = exchange(stage.address(), message).expect("an answer");
    let start = &line[..line.len().min(120)];
    assert_eq!(answer.status, 401, "{path} {start}: {}", answer.text());
    assert_eq!(stage.upstream.requests(), upstream, "{path} {start}");
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn s12_s13_s17_s30_s32_cookies_that_are_no_session() {
    let stage = stage(|config| {
        config["sign_in"]["allowed_redirect_domains"] = json!([HOST, "other.example"]);
    });
    let alice = signed_in(&stage, ALICE).await;
    let value = alice.cookie(SESSION).to_owned();
    let bob = signed_in(&stage, BOB).await;
    let bob = bob.cookie(SESSION).to_owned();
    let mut guest = Browser::default();
    let begun = guest.sign_in(&stage, "/guests-only", ALICE).await;
    assert_eq!(begun.status, 303);
    let guests = "__Host-Http-bg_session_guests";
    let of_guest = guest.cookie(guests).to_owned();

    // S12: of another scheme, another purpose, another host.
    let browser = alice.cookie(BROWSER).to_owned();
    let mut on_the_way = Browser::default();
    let location = on_the_way.begin(&stage, "/page");
    let state = super::Target::of(&location).value("state").to_owned();
    for (path, name, value) in [
        ("/guests-only", guests, &value),
        ("/page", SESSION, &of_guest),
        ("/page", SESSION, &state),
        ("/page", SESSION, &browser),
    ] {
        let line = format!("{name}={value}");
        let refused = none(&stage, path, &line);
        assert_eq!(values(&refused, "set-cookie"), [""; 0], "of a script");
        let opened = exchange(stage.address(), get(path, PAGE).header("cookie", line));
        let opened = opened.expect("an answer");
        assert_eq!(opened.status, 303, "{}", opened.text());
        let set = values(&opened, "set-cookie").concat();
        assert!(!set.contains("Max-Age=0"), "on the way: {set}");
    }
    for host in [
        "other.example",
        "app.example.evil",
        "example",
        "app-example",
    ] {
        let mut message = get("/page", SCRIPT).header("cookie", format!("{SESSION}={value}"));
        message.authority = Some(host.into());
        let answer = exchange(stage.address(), message).expect("an answer");
        assert_eq!(answer.status, 401, "{host}");
    }
    // The same host in other spellings is the same host: browsers send cookies there.
    for host in [
        "APP.example",
        "app.example.",
        "app.example:443",
        "app.EXAMPLE.:443",
    ] {
        let mut message = get("/page", SCRIPT).header("cookie", format!("{SESSION}={value}"));
        message.authority = Some(host.into());
        let answer = exchange(stage.address(), message).expect("an answer");
        assert_eq!(seen(&answer, "x-user"), ["user|alice"], "{host}");
    }

    // S13: every place of it changed, and every length.
    for at in (0..value.len()).step_by(11) {
        none(
            &stage,
            "/page",
            &format!("{SESSION}={}", flipped(&value, at)),
        );
        none(&stage, "/page", &format!("{SESSION}={}", &value[..at]));
    }
    let half = value.len() / 2;
    let (first, second) = value.split_at(half);
    for line in [
        format!(
            "{SESSION}={}{}",
            &value[..half],
            &bob[half.min(bob.len())..]
        ),
        format!("{SESSION}={value}AAAA"),
        format!("{SESSION}={value}{value}"),
        format!("{SESSION}={value}="),
        format!("{SESSION}=\"{value}\""),
        format!("{SESSION}={value}; {SESSION}={bob}"),
        format!("{SESSION}={value}; {SESSION}.0=2.{first}"),
        format!("{SESSION}.0=2.{first}"),
        format!("{SESSION}.1={second}"),
        format!("{SESSION}.0=2.{second}; {SESSION}.1={first}"),
        format!("{SESSION}.0=2.{first}; {SESSION}.1={second}; {SESSION}.2=AAAA"),
        format!("{SESSION}.0=3.{first}; {SESSION}.1={second}"),
        format!("{SESSION}.0=1.{value}"),
        format!("{SESSION}.0=0.{value}"),
        format!("{SESSION}.0=02.{first}; {SESSION}.1={second}"),
        format!("{SESSION}.0=13.{first}; {SESSION}.1={second}"),
        format!("{SESSION}.0={first}; {SESSION}.1={second}"),
        format!("{SESSION}.0=2.{first}; {SESSION}.01={second}"),
        format!(
            "{SESSION}.0=2.{first}; {SESSION}.1={}",
            &bob[half.min(bob.len())..]
        ),
    ] {
        none(&stage, "/page", &line);
    }
    // In two chunks it is the same value: whoever has all of it may cut it.
    let line = format!("{SESSION}.0=2.{first}; {SESSION}.1={second}");
    let message = get("/page", SCRIPT).header("cookie", line);
    let answer = exchange(stage.address(), message).expect("an answer");
    assert_eq!(seen(&answer, "x-user"), ["user|alice"]);

    // S17: what another host can set has no prefix, or another one, or another case.
    for name in [
        "bg_session_staff",
        "__Host-bg_session_staff",
        "__Http-bg_session_staff",
        "__Secure-bg_session_staff",
        "__host-http-bg_session_staff",
        "__HOST-HTTP-BG_SESSION_STAFF",
        "__Host-Http-bg.session.staff",
        "__Host-Http-bg-session-staff",
        "__Host-Http-bg_session_staff[]",
        "__Host-Http-bg_session_staff[0]",
        "%5f_Host-Http-bg_session_staff",
        "\u{1}__Host-Http-bg_session_staff",
        "\u{a0}__Host-Http-bg_session_staff",
        "=__Host-Http-bg_session_staff",
        "?__Host-Http-bg_session_staff",
        "$__Host-Http-bg_session_staff",
    ] {
        let message = get("/page", SCRIPT).header("cookie", format!("{name}={value}"));
        let Ok(answer) = exchange(stage.address(), message) else {
            continue;
        };
        assert!(
            matches!(answer.status, 400 | 401),
            "{name}: {}",
            answer.text()
        );
    }
    // Beside the good one they change nothing, and the upstream sees none of those that it could
    // take for ours.
    let upstream = stage.upstream.requests();
    let tossed = format!("__Host-Http-bg.session.staff=x; {SESSION}={value}; theme=dark");
    let answer = exchange(
        stage.address(),
        get("/page", SCRIPT).header("cookie", tossed),
    );
    let answer = answer.expect("an answer");
    assert_eq!(seen(&answer, "x-user"), ["user|alice"]);
    assert_eq!(seen(&answer, "cookie"), ["theme=dark"]);
    assert_eq!(stage.upstream.requests(), upstream + 1);

    // S30: cookies and states up to what Envoy lets through, and above it.
    for size in [4096, 12_289, 40_000, 55_000] {
        none(&stage, "/page", &format!("{SESSION}={}", "A".repeat(size)));
        let many = (0..12).map(|at| format!("{SESSION}.{at}={}", "A".repeat(size / 12)));
        none(&stage, "/page", &many.collect::<Vec<_>>().join("; "));
        let pairs = (0..size / 4).map(|_| "a=b").collect::<Vec<_>>().join(";");
        none(&stage, "/page", &pairs);
        let url = format!("/staff/callback?code=x&state={}", "A".repeat(size));
        assert_eq!(Browser::default().open(&stage, &url).status, 400);
        let url = format!("/staff/sign-in?return_to=/{}", "a".repeat(size));
        let answer = Browser::default().open(&stage, &url);
        assert!(matches!(answer.status, 303 | 400), "{}", answer.status);
        assert!(answer.header("location").is_none_or(|url| url.len() < 8000));
        let url = format!("/page?{}", "a=b&".repeat(size / 4));
        let answer = Browser::default().open(&stage, &url);
        assert_eq!(answer.status, 303);
        assert!(
            answer
                .header("location")
                .is_some_and(|url| url.len() < 8000)
        );
    }
    let answer = exchange(
        stage.address(),
        get("/page", SCRIPT).header("cookie", format!("{SESSION}={}", "A".repeat(70_000))),
    );
    assert!(answer.is_ok_and(|answer| answer.status == 431));

    // S32: where a token is asked for, a session is none, beside a bad token neither.
    let cookie = format!("{SESSION}={value}");
    none(&stage, "/tokens", &cookie);
    let upstream = stage.upstream.requests();
    for (path, token) in [
        ("/tokens", "x"),
        ("/tokens", &*value),
        ("/both", "x"),
        ("/either", "x"),
        ("/either", &*value),
    ] {
        let message = get(path, SCRIPT).header("cookie", cookie.clone());
        let message = message.header("authorization", format!("Bearer {token}"));
        let answer = exchange(stage.address(), message).expect("an answer");
        assert_eq!(answer.status, 401, "{path} {}", answer.text());
    }
    none(&stage, "/both", &cookie);
    assert_eq!(stage.upstream.requests(), upstream);
    let good = stage.idp.good_token();
    let bearer = |path: &str, with: Option<&str>| {
        let message = get(path, SCRIPT).header("authorization", format!("Bearer {good}"));
        let message = match with {
            Some(cookie) => message.header("cookie", cookie),
            None => message,
        };
        exchange(stage.address(), message)
            .expect("an answer")
            .status
    };
    assert_eq!(bearer("/both", None), 401);
    assert_eq!(bearer("/both", Some(&cookie)), 200);
    assert_eq!(bearer("/tokens", Some(&cookie)), 200);
    assert_eq!(bearer("/either", Some("a=b")), 200);

    // Where nobody needs a session, a bad one is nobody's, and a page deletes it.
    for (path, who) in [("/maybe", PAGE), ("/lenient", PAGE), ("/maybe", SCRIPT)] {
        let bad = format!("{SESSION}={}; theme=dark", flipped(&value, 60));
        let answer = exchange(stage.address(), get(path, who).header("cookie", bad));
        let answer = answer.expect("an answer");
        assert_eq!(seen(&answer, "x-user"), [""; 0], "{path}");
        assert_eq!(seen(&answer, "cookie"), ["theme=dark"], "{path}");
        let set = values(&answer, "set-cookie").concat();
        assert_eq!(set.contains("Max-Age=0"), who == PAGE, "{set}");
    }
    is_alive(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s15_keys_that_were_replaced_while_people_are_signed_in() {
    let stage = stage(|_| ());
    let (old, new) = (KEY, "another key of the cookies, which is long enough");
    let with = |keys: &[&str]| {
        let keys: Vec<_> = keys
            .iter()
            .map(|key| json!({"inline_string": key}))
            .collect();
        let mut config = config(&stage);
        config["sign_in"]["cookie_keys"] = json!(keys);
        stage.envoy().reload_wasm(&config).unwrap();
    };
    register(&stage, HOST);
    let mut alice = signed_in(&stage, ALICE).await;
    let copy = alice.clone();
    let mut on_the_way = Browser::default();
    let back = on_the_way.on_the_way(&stage, "/page", BOB).await;

    with(&[old, new]);
    assert_eq!(alice.fetch(&stage, "/page").status, 200);
    with(&[new, old]);
    // Each worker opens it with the old key, and seals it with the new one.
    let before = alice.cookie(SESSION).to_owned();
    assert_eq!(alice.fetch(&stage, "/page").status, 200);
    assert_ne!(alice.cookie(SESSION), before);
    // Who was at the provider meanwhile comes back.
    let done = on_the_way.open(&stage, &back);
    assert_eq!(done.header("location"), Some("/page"));
    assert_eq!(
        seen(&on_the_way.fetch(&stage, "/page"), "x-user"),
        ["user|bob"]
    );
    let mut late = Browser::default();
    let back = late.on_the_way(&stage, "/page", BOB).await;

    with(&[new]);
    for _ in 0..4 {
        assert_eq!(alice.clone().fetch(&stage, "/page").status, 200);
        let mut copy = copy.clone();
        assert_eq!(copy.fetch(&stage, "/page").status, 401);
        assert!(to_provider(&stage, &copy.open(&stage, "/page")).is_some());
    }
    assert_eq!(late.open(&stage, &back).status, 303);
    // A key that has leaked is taken away: nobody is signed in by it, on any worker.
    with(&["a third key of the cookies, which is long enough"]);
    for _ in 0..4 {
        assert_eq!(alice.clone().fetch(&stage, "/page").status, 401);
        assert_eq!(late.clone().fetch(&stage, "/page").status, 401);
    }
    is_alive(&stage).await;
}
