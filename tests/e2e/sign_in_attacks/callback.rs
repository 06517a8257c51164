//! A callback that is not the one that the browser was sent to the provider for.

use bearer_gate_testbed::idp::openid::Endpoint;
use bearer_gate_testbed::raw::RawResponse;

use super::{
    ALICE, BOB, Browser, PAGE, Target, exchange, failed, get, is_alive, request, seen, stage,
    to_provider, values,
};
use crate::stage::Stage;

/// What a callback comes to that signs nobody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    /// With a page that says why not.
    Failed(&'static str),
    /// The browser is sent to the provider again.
    Again,
}
use Ends::{Again, Failed};

/// Opens a callback in a browser that must not be signed in by it; `calls`: how often the provider's
/// token endpoint may be asked.
fn refused(stage: &Stage, browser: &mut Browser, url: &str, expected: Ends, calls: u64) {
    let openid = stage.idp.openid();
    let (asked, upstream) = (openid.calls(Endpoint::Token), stage.upstream.requests());
    let before = match expected {
        Failed(reason) => failed(stage, reason),
        Again => 0,
    };
    let answer = browser.open(stage, url);
    match expected {
        Failed(reason) => {
            assert!((400..=503).contains(&answer.status), "{url}: {answer:?}");
            assert_eq!(failed(stage, reason), before + 1, "{reason} of {url}");
            assert!(answer.text().contains("<html"), "{url}: {answer:?}");
        }
        Again => assert!(to_provider(stage, &answer).is_some(), "{url}: {answer:?}"),
    }
    assert!(!browser.has_session(), "{url}: {answer:?}");
    assert_eq!(values(&answer, "cache-control"), ["no-store"], "{url}");
    let code = Target::of(url).parameters;
    let code = code.iter().find(|(name, _)| name == "code");
    let shown = code.is_some_and(|(_, code)| code.len() > 8 && answer.text().contains(code));
    assert!(!shown, "the code is shown: {url}");
    assert_eq!(openid.calls(Endpoint::Token), asked + calls, "{url}");
    assert_eq!(stage.upstream.requests(), upstream, "{url}");
}

fn flipped(text: &str, at: usize) -> String {
    let mut letters = text.as_bytes().to_vec();
    letters[at] = if letters[at] == b'A' { b'B' } else { b'A' };
    String::from_utf8(letters).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn s01_s02_s03_s05_callbacks_of_others() {
    let stage = stage(|_| ());
    let browser = || async {
        let mut browser = Browser::default();
        let back = browser.on_the_way(&stage, "/page", ALICE).await;
        (browser, Target::of(&back))
    };

    // S1: a state that was changed anywhere, cut, grown, or never was one.
    let (mut own, target) = browser().await;
    let state = target.value("state").to_owned();
    let mut altered: Vec<String> = (0..state.len())
        .step_by(23)
        .map(|at| flipped(&state, at))
        .collect();
    altered.extend([
        flipped(&state, state.len() - 1),
        state[1..].to_owned(),
        state[..state.len() - 1].to_owned(),
        format!("{state}A"),
        format!("{state}="),
        format!("{state}.{state}"),
        format!(" {state}"),
        format!("{state}\0"),
        "x".to_owned(),
        String::new(),
        "A".repeat(4096),
    ]);
    for state in &altered {
        let url = target.with("state", Some(state)).url();
        refused(&stage, &mut own, &url, Failed("state_invalid"), 0);
    }
    // A session is no state.
    let alice = super::signed_in(&stage, ALICE).await;
    let sealed = alice.cookie(super::SESSION);
    let url = target.with("state", Some(sealed)).url();
    refused(&stage, &mut own, &url, Failed("state_invalid"), 0);
    let none = target.with("state", None).url();
    refused(&stage, &mut own, &none, Failed("invalid_request"), 0);
    let long = target.with("state", Some(&"A".repeat(4097))).url();
    refused(&stage, &mut own, &long, Failed("invalid_request"), 0);

    // S2: of another browser: of one that never was here, of one on its own way, and of one whose
    // cookie was changed.
    let (other, _) = browser().await;
    let mut changed = own.clone();
    let cookie = flipped(own.cookie(super::BROWSER), 5);
    changed.jar.insert(super::BROWSER.to_owned(), cookie);
    let mut twice = own.clone();
    twice.jar.insert("a".to_owned(), {
        let value = own.cookie(super::BROWSER);
        format!("b; {}={value}", super::BROWSER)
    });
    for mut browser in [Browser::default(), other, changed, twice] {
        refused(&stage, &mut browser, &target.url(), Again, 0);
    }
    // Bob's browser, on his way, with Alice's answer: it is Bob who is signed in, or nobody.
    let mut bob = Browser::default();
    let at_provider = bob.begin(&stage, "/page");
    refused(&stage, &mut bob, &target.url(), Again, 0);
    let back = super::back(&mut super::Visitor::new(), &at_provider, BOB).await;
    assert_eq!(bob.open(&stage, &back).status, 303);
    assert_eq!(seen(&bob.fetch(&stage, "/"), "x-user"), ["user|bob"]);

    // S3: a code of another flow, of the same browser and of another.
    let second = Target::of(&own.on_the_way(&stage, "/other", ALICE).await);
    let injected = target.with("code", Some(second.value("code")));
    refused(&stage, &mut own, &injected.url(), Again, 1);
    let (mut attacker, of_attacker) = browser().await;
    let stolen = of_attacker.with("code", Some(target.value("code")));
    refused(&stage, &mut attacker, &stolen.url(), Again, 1);

    // S5: the callback of another scheme, which is another client of the same provider.
    let (mut own, target) = browser().await;
    let crossed = target.at("/guests/callback").url();
    refused(&stage, &mut own, &crossed, Failed("state_invalid"), 0);
    let mut guest = own.clone();
    let of_guest = guest.on_the_way(&stage, "/guests-only", ALICE).await;
    let of_guest = Target::of(&of_guest);
    let code = of_guest.with("code", Some(target.value("code")));
    refused(&stage, &mut guest, &code.url(), Again, 1);
    let crossed = of_guest.at("/staff/callback").url();
    refused(&stage, &mut guest, &crossed, Failed("state_invalid"), 0);

    is_alive(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s04_s06_s25_s27_callbacks_that_are_malformed() {
    let stage = stage(|_| ());
    let mut own = Browser::default();
    let url = own.on_the_way(&stage, "/page", ALICE).await;
    let target = Target::of(&url);

    // S4: the provider's metadata announce `iss`.
    let issuer = stage.idp.issuer();
    for other in [
        None,
        Some(""),
        Some("https://attacker.example/"),
        Some(issuer.trim_end_matches('/')),
        Some(&*format!("{issuer}/")),
        Some(&*issuer.to_uppercase()),
        Some(&*format!("{issuer}\0")),
        Some(&*format!(" {issuer}")),
    ] {
        let url = target.with("iss", other).url();
        refused(&stage, &mut own, &url, Failed("issuer_mismatch"), 0);
    }

    // S6: each parameter twice, with the same value, with another, in other spellings of its name.
    for name in ["code", "state", "iss"] {
        for value in [target.value(name), "x", ""] {
            let url = target.and(name, value).url();
            refused(&stage, &mut own, &url, Failed("invalid_request"), 0);
        }
        let escaped = format!("{url}&%{:02x}{}=x", name.as_bytes()[0], &name[1..]);
        refused(&stage, &mut own, &escaped, Failed("invalid_request"), 0);
    }
    let errors = format!("{url}&error=a&error=b");
    refused(&stage, &mut own, &errors, Failed("invalid_request"), 0);
    let no_code = target.with("code", None).url();
    refused(&stage, &mut own, &no_code, Failed("invalid_request"), 0);
    let empty = target.with("code", Some("")).url();
    refused(&stage, &mut own, &empty, Failed("invalid_request"), 0);
    let not_utf8 = format!("{}&code=%ff%fe", target.with("code", None).url());
    refused(&stage, &mut own, &not_utf8, Failed("invalid_request"), 0);

    // S25: whoever loads it ahead of time redeems nothing.
    for ahead in [
        ("sec-purpose", "prefetch"),
        ("sec-purpose", "prefetch;prerender"),
        ("purpose", "prefetch"),
        ("x-moz", "prefetch"),
    ] {
        let headers = [PAGE, &[ahead][..]].concat();
        let answer = own.send(&stage, get(&url, &headers));
        assert_eq!(answer.status, 503, "{ahead:?}");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    // S27: nor does a form that a provider makes the browser repeat, nor another method.
    for method in ["POST", "HEAD", "PUT", "OPTIONS", "TRACE", "DELETE", "get"] {
        let mut message = request(method, &url, PAGE);
        if method == "POST" {
            message = message.header("content-type", "application/x-www-form-urlencoded");
            message.body = Some(b"username=alice&password=wonderland".to_vec());
        }
        let answer = own.send(&stage, message);
        assert!(
            (400..500).contains(&answer.status),
            "{method}: {} {}",
            answer.status,
            answer.text()
        );
        assert!(!answer.text().contains("wonderland"), "{method}");
    }
    // CONNECT has no path, and so is no callback.
    let connect = exchange(stage.address(), request("CONNECT", HOST_AND_PORT, &[]));
    assert!(connect.is_ok_and(|answer| answer.status >= 400));
    assert_eq!(stage.upstream.requests(), 0);
    assert_eq!(stage.idp.openid().calls(Endpoint::Token), 0);
    // It was good all the time.
    assert_eq!(own.open(&stage, &url).header("location"), Some("/page"));
    is_alive(&stage).await;
}

/// The page of a sign-in that the provider has refused, without its words, and what is in their place.
fn refusal(answer: &RawResponse) -> (String, Option<String>) {
    let page = answer.text();
    let Some((before, rest)) = page.split_once("<p>The sign-in service says:</p>\n<blockquote>")
    else {
        return (page, None);
    };
    let (told, after) = rest.split_once("</blockquote>\n").expect("an end");
    (format!("{before}{after}"), Some(told.to_owned()))
}

#[tokio::test(flavor = "multi_thread")]
async fn s26_the_words_of_a_provider_are_text_and_for_their_browser_alone() {
    let stage = stage(|_| ());
    let mut own = Browser::default();
    // The page to return to is in a link on the page.
    let back = own
        .on_the_way(&stage, "/page?x=%22%3E%3Cscript%3E&y='z", ALICE)
        .await;
    let target = Target::of(&back)
        .with("code", None)
        .and("error", "access_denied");
    let (plain, none) = refusal(&own.open(&stage, &target.url()));
    assert_eq!(none, None);
    for part in ["<script", "\"><", "'"] {
        assert!(!plain.contains(part), "{plain}");
    }
    let long = "x".repeat(301);
    for (told, shown) in [
        ("Plain words.", "Plain words."),
        (
            "<script>alert(1)</script>",
            "&lt;script&gt;alert(1)&lt;/script&gt;",
        ),
        (
            "</blockquote></main><h1>x",
            "&lt;/blockquote&gt;&lt;/main&gt;&lt;h1&gt;x",
        ),
        (
            "\"><img src=x onerror='x'>",
            "&quot;&gt;&lt;img src=x onerror=&#39;x&#39;&gt;",
        ),
        ("&lt;b&gt;", "&amp;lt;b&amp;gt;"),
        ("a\r\nb\0c\u{7f}d", "a  b c d"),
        ("a\u{202e}b\u{2066}c\u{feff}d", "a b c d"),
        ("\u{e9}\u{65e5}", "\u{e9}\u{65e5}"),
        (&long, &long[1..]),
    ] {
        let url = target.and("error_description", told).url();
        let answer = own.open(&stage, &url);
        assert_eq!(answer.status, 403, "{told}");
        // The rest of the page is the same, whatever the words.
        let expected = (plain.clone(), Some(shown.to_owned()));
        assert_eq!(refusal(&answer), expected, "{told}");
        for (name, expected) in [
            ("content-type", "text/html; charset=utf-8"),
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
        ] {
            assert_eq!(values(&answer, name), [expected], "{told}");
        }
        let policy = values(&answer, "content-security-policy").concat();
        let parts: Vec<&str> = policy.split("; ").collect();
        assert!(parts[0] == "default-src 'none'" && parts[1].starts_with("style-src 'sha256-"));
        let rest = [
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ];
        assert_eq!(parts[2..], rest, "{policy}");
        // Everybody can make such a link, but for no other browser.
        for mut other in [Browser::default(), super::signed_in(&stage, BOB).await] {
            let answer = other.open(&stage, &url);
            assert_eq!(
                (answer.status, answer.text()),
                (303, String::new()),
                "{told}"
            );
        }
    }
    // No words, words that are none, and those that come twice; no other text of the provider.
    for nothing in [
        target.and("error_description", ""),
        target.and("error_description", " \u{202e}\n"),
        target
            .and("error_description", "a")
            .and("error_description", "b"),
        target.and("error_uri", "https://evil.example/"),
        target.and("message", "<script>"),
    ] {
        let answer = own.open(&stage, &nothing.url());
        assert_eq!(refusal(&answer), (plain.clone(), None), "{nothing:?}");
    }
    let named = target.with("error", Some("<script>")).and("x", "<script>");
    let answer = own.open(&stage, &named.url());
    let page = answer.text();
    assert!(
        page.contains("<html") && !page.contains("<script"),
        "{page}"
    );
    let log = stage.envoy().log();
    assert!(!log.contains("<script"), "{log}");
    is_alive(&stage).await;
}

const HOST_AND_PORT: &str = "app.example:443";
