//! What other sites make a browser send, and what a client says of itself.

use bearer_gate_testbed::raw::RawResponse;
use bearer_gate_testbed::transports::{Message, Order, Protocol, send_all};
use serde_json::{Value, json};

use super::{
    ALICE, BOB, Browser, PAGE, SCRIPT, SESSION, exchange, get, is_alive, request, seen, signed_in,
    staff, stage, values,
};
use crate::stage::Stage;

/// The same requests over HTTP/2.
fn over_http2(stage: &Stage, messages: Vec<Message>) -> Vec<RawResponse> {
    let port = stage.address().port();
    let order = |message| Order {
        protocol: Protocol::Http2,
        port,
        message,
    };
    let orders: Vec<Order> = messages.into_iter().map(order).collect();
    let answers = send_all(&orders).into_iter();
    answers.map(|answer| answer.expect("an answer")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn s18_s19_what_other_sites_send() {
    let stage = stage(|_| ());
    let alice = signed_in(&stage, ALICE).await;
    let cookie = format!("{SESSION}={}", alice.cookie(SESSION));
    let with = |method: &str, path: &str, headers: &[(&str, &str)]| {
        request(method, path, headers).header("cookie", cookie.clone())
    };
    let same = ("sec-fetch-site", "same-origin");
    let cross = ("sec-fetch-site", "cross-site");
    let our = ("origin", "https://app.example");
    let evil = ("origin", "https://evil.example");
    let html = ("accept", "text/html");
    let from_elsewhere: &[&[(&str, &str)]] = &[
        &[],
        &[cross],
        &[cross, evil],
        &[evil],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "same-origin, same-origin")],
        &[("sec-fetch-site", "Same-Origin")],
        &[("sec-fetch-site", "")],
        &[same, cross],
        &[cross, same],
        &[same, same],
        &[same, same, our],
        &[our, evil],
        &[evil, our],
        &[our, our],
        &[("origin", "null")],
        &[("origin", "https://app.example, https://evil.example")],
        &[("origin", "https://app.example https://evil.example")],
        &[("origin", "https://app.example/")],
        &[("origin", "https://app.example@evil.example")],
        &[("origin", "http://app.example")],
        &[("origin", "https://app.example:8443")],
        &[("origin", "https://app.example.evil.example")],
        &[("origin", "https://listed.example")],
        &[("origin", "app.example")],
        &[("origin", "")],
        &[("referer", "https://app.example/")],
        &[("host-origin", "https://app.example")],
        &[
            html,
            cross,
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ],
    ];
    let upstream = stage.upstream.requests();
    for headers in from_elsewhere {
        for method in ["POST", "PUT", "DELETE", "PATCH", "PROPFIND", "post", "Get"] {
            let answer = exchange(stage.address(), with(method, "/transfer", headers));
            let answer = answer.expect("an answer");
            assert!(
                matches!(answer.status, 400 | 403),
                "{method} {headers:?}: {}",
                answer.status
            );
        }
        let socket = [
            headers,
            &[("upgrade", "websocket"), ("connection", "upgrade")][..],
        ]
        .concat();
        let answer = exchange(stage.address(), with("GET", "/socket", &socket));
        assert_eq!(answer.expect("an answer").status, 403, "{socket:?}");
        // S19: nobody is signed out.
        for method in ["POST", "GET", "HEAD", "PUT", "OPTIONS"] {
            let answer = exchange(stage.address(), with(method, "/staff/sign-out", headers));
            let answer = answer.expect("an answer");
            assert!(
                matches!(answer.status, 200 | 400 | 403),
                "{method} {headers:?}"
            );
            assert_eq!(
                values(&answer, "set-cookie"),
                [""; 0],
                "{method} {headers:?}"
            );
        }
    }
    // A picture or a frame of our own pages is no link that somebody follows.
    for dest in ["image", "iframe", "script", "style", "object", "video"] {
        let part = [same, ("sec-fetch-dest", dest)];
        let answer = exchange(stage.address(), with("GET", "/staff/sign-out", &part));
        assert_eq!(answer.expect("an answer").status, 403, "{dest}");
    }
    let ahead = [same, ("sec-purpose", "prefetch")];
    let answer = exchange(stage.address(), with("GET", "/staff/sign-out", &ahead));
    assert_eq!(answer.expect("an answer").status, 403);
    assert_eq!(stage.upstream.requests(), upstream);

    // The same over HTTP/2, where a WebSocket is a CONNECT with a protocol (RFC 8441).
    let socket = |headers: &[(&str, &str)]| {
        let mut message = with("CONNECT", "/socket", headers);
        let protocol = (b":protocol".to_vec(), b"websocket".to_vec());
        message.headers.insert(0, protocol);
        message
    };
    let forged = from_elsewhere.iter();
    let forged = forged.flat_map(|headers| [with("POST", "/transfer", headers), socket(headers)]);
    let answers = over_http2(&stage, forged.collect());
    for (number, answer) in answers.iter().enumerate() {
        assert_eq!(answer.status, 403, "{number}: {}", answer.text());
    }
    assert_eq!(stage.upstream.requests(), upstream);

    // What our own pages send passes, and so does a link of another site.
    let own: &[&[(&str, &str)]] = &[&[same], &[our], &[same, our], &[("sec-fetch-site", "none")]];
    let mut messages: Vec<Message> = own
        .iter()
        .map(|own| with("POST", "/transfer", own))
        .collect();
    messages.push(with("GET", "/page", &[cross, PAGE[0], PAGE[1]]));
    let of_http1 = messages
        .iter()
        .map(|message| exchange(stage.address(), message.clone()));
    let of_http1: Vec<_> = of_http1.map(|answer| answer.expect("an answer")).collect();
    for answer in of_http1.into_iter().chain(over_http2(&stage, messages)) {
        assert_eq!(seen(&answer, "x-user"), ["user|alice"]);
    }
    let answer = over_http2(&stage, vec![socket(&[our])]).remove(0);
    assert_ne!(answer.status, 403, "{}", answer.text());
    // Whoever needs no session is refused nothing.
    let answer = exchange(stage.address(), with("POST", "/public", &[cross, evil]));
    assert_eq!(answer.expect("an answer").status, 200);
    is_alive(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s21_names_that_are_ours() {
    let stage = stage(|config| {
        let more = json!({
            "forward_bearer_token": true,
            "forward_id_token_header": "x-id-token",
            "session": {"claims": ["sub"]},
        });
        staff(config, more);
        config["providers"]["demo"]["claim_to_headers"] = json!([
            {"header_name": "x-user", "claim_name": "sub"},
            {"header_name": "x-email", "claim_name": "email"},
        ]);
    });
    let alice = signed_in(&stage, ALICE).await;
    let cookie = format!("{SESSION}={}", alice.cookie(SESSION));
    let forged = [
        "x-user",
        "X-User",
        "x_user",
        "X_USER",
        "x-email",
        "x_email",
        "x-id-token",
        "x_id_token",
        "X-Id-Token",
        "authorization",
        "Authorization",
    ];
    let names = [
        "x-user",
        "x_user",
        "x-email",
        "x_email",
        "x-id-token",
        "x_id_token",
    ];
    for path in ["/page", "/either", "/public", "/maybe"] {
        for trailers in [false, true] {
            let mut message = get(path, SCRIPT).header("cookie", cookie.clone());
            message.body = Some(b"body".to_vec());
            message.method = b"POST".to_vec();
            let fields = forged.iter().map(|name| {
                // Requests with a token are another matter, at `/either`.
                let value = if name.to_lowercase() == "authorization" {
                    "Basic forged"
                } else {
                    "forged"
                };
                ((*name).into(), value.into())
            });
            if trailers {
                message.trailers = fields.collect();
            } else {
                let is_token = |name: &Vec<u8>| name.eq_ignore_ascii_case(b"authorization");
                let fields = fields.filter(|(name, _)| path != "/either" || !is_token(name));
                message.headers.extend(fields.collect::<Vec<_>>());
            }
            let Ok(answer) = exchange(stage.address(), message) else {
                continue;
            };
            assert_eq!(answer.status, 200, "{path} {}", answer.text());
            let echo: Value = answer.json();
            let pairs = ["headers", "trailers"].map(|part| echo[part].as_array().unwrap().clone());
            for pair in pairs.concat() {
                let name = pair[0].as_str().unwrap().to_lowercase();
                let is_ours = names.contains(&name.as_str());
                assert!(!is_ours || pair[1] != "forged", "{path} {trailers}: {pair}");
            }
            let is_public = path == "/public";
            let user: &[&str] = if is_public { &[] } else { &["user|alice"] };
            assert_eq!(seen(&answer, "x-user"), user, "{path}");
            assert_eq!(
                seen(&answer, "x-email"),
                [""; 0],
                "a claim that is not kept"
            );
            let id_tokens = seen(&answer, "x-id-token");
            assert_eq!(id_tokens.len(), usize::from(!is_public), "{path}");
            let tokens = seen(&answer, "authorization");
            if !is_public {
                assert_eq!(tokens.len(), 1, "{path} {tokens:?}");
                assert!(tokens[0].starts_with("Bearer ey"), "{path} {tokens:?}");
            }
            assert_eq!(seen(&answer, "cookie"), [""; 0]);
        }
    }
    is_alive(&stage).await;
}

/// A copy of a session that was ended, in whichever way, on any worker.
#[tokio::test(flavor = "multi_thread")]
async fn s24_copies_of_sessions_that_were_ended() {
    let stage = stage(|_| ());
    let statuses =
        |browser: &Browser| [(); 8].map(|()| browser.clone().fetch(&stage, "/page").status);
    let mut alice = Browser::default();
    let back = alice.on_the_way(&stage, "/page", ALICE).await;
    assert_eq!(alice.open(&stage, &back).status, 303);
    let mut bob = signed_in(&stage, BOB).await;
    let copy = alice.clone();
    assert_eq!(statuses(&copy), [200; 8]);
    let left = alice.send(&stage, get("/staff/sign-out", SCRIPT));
    assert_eq!((left.status, alice.has_session()), (303, false));
    assert_eq!(statuses(&copy), [401; 8]);
    // Nothing brings it back: not its callback, on any worker, nor another sign-out.
    for _ in 0..6 {
        let mut again = alice.clone();
        let answer = again.open(&stage, &back);
        assert!(super::to_provider(&stage, &answer).is_some(), "{answer:?}");
        assert!(!again.has_session());
        let mut copy = copy.clone();
        assert_eq!(copy.send(&stage, get("/staff/session", SCRIPT)).status, 401);
    }
    assert_eq!(statuses(&bob), [200; 8]);
    // At the provider: by a token, and by a page.
    let openid = stage.idp.openid();
    let of_bob = bob.clone();
    let sid = openid.sid_of("user|bob").expect("a session");
    let token = openid.logout_token("web", "user|bob", &sid);
    let mut told = request("POST", "/staff/told", &[]);
    told = told.header("content-type", "application/x-www-form-urlencoded");
    told.body = Some(format!("logout_token={token}").into_bytes());
    let answer = exchange(stage.address(), told.clone()).expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(statuses(&of_bob), [401; 8]);
    // Signing in again is another session, which the same token does not end.
    bob.sign_in(&stage, "/page", BOB).await;
    let answer = exchange(stage.address(), told).expect("an answer");
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_eq!(statuses(&bob), [200; 8]);
    assert_eq!(statuses(&of_bob), [401; 8]);
    is_alive(&stage).await;
}
