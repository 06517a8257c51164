//! Where a browser is sent: to no other site, to nobody's host, not for ever, and not who asks for
//! no page.

use bearer_gate_testbed::idp::openid::Endpoint;
use bearer_gate_testbed::raw;
use bearer_gate_testbed::visitor::Visitor;

use super::{
    ALICE, BROWSER, Browser, HOST, PAGE, SCRIPT, Target, back, exchange, failed, get, is_alive,
    request, stage, to_provider, values,
};

/// What a link asks for, as it is written in its query, and where it must lead to.
const RETURNS: &[(&str, &str)] = &[
    // ours
    ("/a?b=c%26d", "/a?b=c&d"),
    ("%2Fa%3Fb", "/a?b"),
    ("https://app.example/a", "https://app.example/a"),
    (
        "https%3A%2F%2FAPP.example.%3A443%2Fa",
        "https://APP.example.:443/a",
    ),
    ("https://x.listed.example/", "https://x.listed.example/"),
    // others
    ("//evil.example", "/"),
    ("///evil.example", "/"),
    ("%2F%2Fevil.example", "/"),
    ("%2F%5Cevil.example", "/"),
    ("/\\evil.example", "/"),
    ("/%09/evil.example", "/"),
    ("/%0a/evil.example", "/"),
    ("/%2509/evil.example", "/"),
    ("/%252fevil.example", "/"),
    ("/%255cevil.example", "/"),
    ("/.//evil.example", "/"),
    ("/..//evil.example", "/"),
    ("/a/..//evil.example", "/"),
    ("/%2e%2e%2f%2fevil.example", "/"),
    ("%5C%5Cevil.example", "/"),
    ("%20//evil.example", "/"),
    ("%00//evil.example", "/"),
    ("%e2%80%8b//evil.example", "/"),
    ("https:evil.example", "/"),
    ("https:/evil.example", "/"),
    ("https:///evil.example", "/"),
    ("https://evil.example", "/"),
    ("https://evil.example%2f@app.example/", "/"),
    ("https://app.example@evil.example/", "/"),
    ("https://app.example%40evil.example/", "/"),
    ("https://app.example:x@evil.example/", "/"),
    ("https://evil.example%23app.example/", "/"),
    ("https://evil.example%3Fapp.example/", "/"),
    ("https://evil.example%5C@app.example/", "/"),
    ("https://app.example.evil.example/", "/"),
    ("https://app.example:444/", "/"),
    ("https://app.example:0443/%2fevil", "/"),
    ("https://app.example:443:443/", "/"),
    ("http://app.example/", "/"),
    ("http://app.example:443/", "/"),
    ("https://listed.example/", "/"),
    ("https://evillisted.example/", "/"),
    ("https://x.listed.example.evil.example/", "/"),
    ("https://app.example//evil.example", "/"),
    ("https://[::1]/", "/"),
    ("https://0x7f.1/", "/"),
    ("https://app%252eexample/", "/"),
    ("https://\u{ff41}pp.example/", "/"),
    ("javascript:alert(1)", "/"),
    ("javascript://app.example/%250aalert(1)", "/"),
    ("data:text/html,x", "/"),
    // what ends a header
    ("/a%0d%0aset-cookie:%20x=y", "/"),
    ("/a%0ax:%20y", "/"),
    ("/a%00b", "/"),
    ("/a%23b", "/"),
    ("/%ff", "/"),
    // our own paths
    ("/staff/sign-in", "/"),
    ("/staff/sign-out", "/"),
    ("/staff/sign-out/", "/"),
    ("/staff/%2573ign-out", "/"),
    ("/staff//sign-out", "/"),
    ("/x/../staff/sign-out", "/"),
    ("/staff/callback?code=a%26state=b", "/"),
    ("/guests/sign-out;x", "/"),
    ("https://app.example/guests/framed?sid=x", "/"),
    ("", "/"),
    ("a", "/"),
];

#[tokio::test(flavor = "multi_thread")]
async fn s10_links_that_lead_away() {
    let stage = stage(|_| ());
    let mut visitor = Visitor::new();
    for (asked, expected) in RETURNS {
        let mut browser = Browser::default();
        let asked_by = format!("/staff/sign-in?return_to={asked}");
        let location = browser.open(&stage, &asked_by);
        let Some(location) = to_provider(&stage, &location) else {
            // Envoy itself, or the filter, takes no such request.
            assert_eq!(location.status, 400, "{asked}: {}", location.text());
            continue;
        };
        let path = back(&mut visitor, &location, ALICE).await;
        let done = browser.open(&stage, &path);
        assert_eq!(done.header("location"), Some(*expected), "{asked}");
        assert_eq!(values(&done, "x"), [""; 0], "{asked}");
        assert!(browser.has_session(), "{asked}");
        // The link of a page that says what went wrong leads nowhere else either.
        let refused = Browser::default().open(&stage, &format!("{asked_by}&return_to=/"));
        let text = refused.text();
        let link = text.split("href=\"").nth(1).unwrap_or_default();
        assert!(link.starts_with("/staff/sign-in?return_to=%2F\""), "{text}");
    }
    // Pages that were asked for, likewise.
    for page in [
        "//evil.example",
        "/\\evil.example",
        "/%2f/evil.example",
        "/.//evil.example",
    ] {
        let answer = Browser::default().open(&stage, page);
        assert_eq!(
            (answer.status, answer.header("location")),
            (400, None),
            "{page}"
        );
    }
    is_alive(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s11_hosts_that_are_forged() {
    let stage = stage(|_| ());
    let begun = stage.counter("bearer_gate.sign_in.begun");
    let mut of_filter = 0;
    for host in [
        "evil.example",
        "app.example.evil.example",
        "evilapp.example",
        "app.example:444",
        "app.example:80",
        "listed.example",
        ".listed.example",
        "x.listed.example:8443",
        "app.example,evil.example",
        "app.example evil.example",
        "app.example@evil.example",
        "evil.example#app.example",
        "evil.example/app.example",
        "app.example\\evil.example",
        "app.example:443:443",
        "app.example:99999",
        "app..example",
        "app.example..",
        "[::1]",
        "[::1]:443",
        "[::ffff:127.0.0.1]",
        "127.0.0.1",
        "127.1",
        "0x7f000001",
        "localhost",
        "app%2eexample",
        "\u{ff41}pp.example",
        "",
    ] {
        for path in ["/page", "/staff/sign-in?return_to=/a", "/staff/sign-up"] {
            let before = failed(&stage, "unknown_host");
            let mut message = get(path, PAGE).header("x-forwarded-host", HOST);
            message.authority = Some(host.into());
            let answer = exchange(stage.address(), message).expect("an answer");
            assert!((400..500).contains(&answer.status), "{host:?}: {answer:?}");
            assert_eq!(answer.header("location"), None, "{host:?}");
            assert_eq!(values(&answer, "set-cookie"), [""; 0], "{host:?}");
            assert!(
                !answer.text().contains("evil"),
                "{host:?} {}",
                answer.text()
            );
            of_filter += failed(&stage, "unknown_host") - before;
        }
    }
    assert!(of_filter > 30, "Envoy refuses few of them: {of_filter}");
    // Two hosts, and one in the request's first line: Envoy takes none of the first, and the second
    // for what it says.
    let two = format!(
        "GET /page HTTP/1.1\r\nhost: {HOST}\r\nhost: evil.example\r\naccept: text/html\r\nconnection: close\r\n\r\n"
    );
    let answer = raw::request(stage.address(), two.as_bytes()).expect("an answer");
    assert!(answer.status >= 400 && answer.header("location").is_none());
    let absolute = format!(
        "GET http://evil.example/page HTTP/1.1\r\nhost: {HOST}\r\naccept: text/html\r\nconnection: close\r\n\r\n"
    );
    let answer = raw::request(stage.address(), absolute.as_bytes()).expect("an answer");
    assert!(answer.status >= 400 && answer.header("location").is_none());
    assert_eq!(stage.counter("bearer_gate.sign_in.begun"), begun);

    // At our own host, nothing that anybody can send changes the way back.
    for forged in [
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-host", "x.listed.example"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-proto", "ftp"),
        ("x-forwarded-port", "8443"),
        ("x-forwarded-server", "evil.example"),
        ("x-forwarded-prefix", "//evil.example"),
        ("forwarded", "host=evil.example;proto=http"),
        ("x-original-host", "evil.example"),
        ("x-original-url", "/staff/sign-out"),
        ("x-rewrite-url", "//evil.example/"),
        ("x-envoy-original-path", "//evil.example/"),
        ("x-host", "evil.example"),
        ("referer", "https://evil.example/"),
        ("origin", "https://evil.example"),
    ] {
        for host in [HOST, "APP.EXAMPLE", "app.example.", "app.example:443"] {
            let mut message = get("/page?a", &[PAGE, &[forged]].concat());
            message.authority = Some(host.into());
            let answer = exchange(stage.address(), message).expect("an answer");
            let location = to_provider(&stage, &answer);
            let location = location.unwrap_or_else(|| panic!("{forged:?} {host}: {answer:?}"));
            let asked = Target::of(&location);
            let callback = "https://app.example/staff/callback";
            assert_eq!(asked.value("redirect_uri"), callback, "{forged:?}");
            assert!(!location.contains("evil"), "{forged:?}");
        }
    }
    is_alive(&stage).await;
}

/// What a browser does with the cookies that it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keeps {
    Nothing,
    /// All but the one that tells browsers apart.
    Session,
    /// All but sessions.
    Browser,
    /// What it has is changed before each request.
    Other,
}

#[tokio::test(flavor = "multi_thread")]
async fn s29_browsers_that_are_never_signed_in() {
    let stage = stage(|_| ());
    for keeps in [Keeps::Nothing, Keeps::Session, Keeps::Browser, Keeps::Other] {
        // The provider asks nobody twice.
        let mut visitor = Visitor::new();
        let mut browser = Browser::default();
        let (mut path, mut asked) = ("/page".to_owned(), 0);
        let end = loop {
            match keeps {
                Keeps::Nothing => browser.jar.clear(),
                Keeps::Session => drop(browser.jar.remove(BROWSER)),
                Keeps::Browser => browser.jar.retain(|name, _| name == BROWSER),
                Keeps::Other => browser
                    .jar
                    .values_mut()
                    .for_each(|value| value.replace_range(..1, "_")),
            }
            let answer = browser.open(&stage, &path);
            if answer.status != 303 {
                break answer;
            }
            path = match to_provider(&stage, &answer) {
                Some(location) => {
                    asked += 1;
                    assert!(asked <= 4, "{keeps:?} has no end");
                    back(&mut visitor, &location, ALICE).await
                }
                None => answer.header("location").expect("a way on").to_owned(),
            };
        };
        assert!(asked <= 4, "{keeps:?}: {asked}");
        assert_eq!(end.status, 400, "{keeps:?}: {}", end.text());
        assert!(
            end.text().contains("Try again"),
            "{keeps:?}: {}",
            end.text()
        );
        assert!(failed(&stage, "too_many_restarts") > 0);
    }
    is_alive(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s31_whoever_waits_for_no_page() {
    let stage = stage(|_| ());
    let html = ("accept", "text/html");
    let [mode, dest, site] = [PAGE[0], PAGE[1], PAGE[2]];
    let refused: &[(&str, &[(&str, &str)])] = &[
        ("POST", PAGE),
        ("POST", &[html]),
        ("PUT", PAGE),
        ("DELETE", PAGE),
        ("PATCH", PAGE),
        ("OPTIONS", PAGE),
        ("PROPFIND", PAGE),
        ("get", PAGE),
        ("GET", SCRIPT),
        ("GET", &[("accept", "application/json")]),
        ("GET", &[]),
        ("GET", &[html, ("x-requested-with", "XMLHttpRequest")]),
        // said twice, or by halves, or in other words
        ("GET", &[mode, mode, dest, html]),
        ("GET", &[mode, dest, dest, html]),
        ("GET", &[mode, ("sec-fetch-mode", "cors"), dest, html]),
        (
            "GET",
            &[("sec-fetch-mode", "navigate, navigate"), dest, html],
        ),
        ("GET", &[("sec-fetch-mode", "Navigate"), dest, html]),
        ("GET", &[mode, html]),
        ("GET", &[dest, html]),
        ("GET", &[mode, ("sec-fetch-dest", "iframe"), html]),
        ("GET", &[mode, ("sec-fetch-dest", "object"), html]),
        (
            "GET",
            &[
                ("sec-fetch-mode", "websocket"),
                ("sec-fetch-dest", "websocket"),
                html,
            ],
        ),
        (
            "GET",
            &[("sec-fetch-mode", ""), ("sec-fetch-dest", ""), html],
        ),
        // ahead of time, or for another connection
        ("GET", &[mode, dest, ("sec-purpose", "prefetch")]),
        (
            "GET",
            &[
                mode,
                dest,
                ("upgrade", "websocket"),
                ("connection", "upgrade"),
            ],
        ),
        (
            "GET",
            &[html, ("upgrade", "websocket"), ("connection", "upgrade")],
        ),
    ];
    for (method, headers) in refused {
        for path in ["/page", "/guests-only", "/choice"] {
            let mut browser = Browser::default();
            let answer = browser.send(&stage, request(method, path, headers));
            assert!(
                matches!(answer.status, 400 | 401 | 403),
                "{method} {headers:?}: {} {}",
                answer.status,
                answer.text()
            );
            assert_eq!(answer.header("location"), None, "{method} {headers:?}");
            assert!(browser.jar.is_empty(), "{method} {headers:?}");
        }
    }
    for headers in [&[mode, dest][..], &[mode, dest, site, html], &[html]] {
        for method in ["GET", "HEAD"] {
            let mut browser = Browser::default();
            let answer = browser.send(&stage, request(method, "/page", headers));
            assert!(
                to_provider(&stage, &answer).is_some(),
                "{method} {headers:?}"
            );
        }
    }
    // Of two schemes the person chooses, on a page that nobody stores or frames.
    let chooser = Browser::default().open(&stage, "/choice?a=\"><script>");
    assert_eq!(chooser.header("cache-control"), Some("no-store"));
    assert!(!chooser.text().contains("<script>"), "{}", chooser.text());
    assert_eq!(stage.upstream.requests(), 0);
    assert_eq!(stage.idp.openid().calls(Endpoint::Token), 0);
    is_alive(&stage).await;
}
