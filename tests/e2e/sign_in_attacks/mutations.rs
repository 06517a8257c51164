//! Good requests that were changed at random: no worker traps, nothing grows without end, and the
//! upstream sees only whom it may.

use std::collections::BTreeMap;

use bearer_gate_testbed::idp::openid::{Endpoint, Misbehaviour};
use bearer_gate_testbed::transports::Message;

use super::{
    ALICE, BOB, Browser, HOST, PAGE, SCRIPT, SESSION, exchange, get, is_alive, request, signed_in,
    stage,
};
use crate::chance::Chance;

const REQUESTS: usize = 2_000;

/// What good requests are made of, to be put where it does not belong.
const PIECES: &[&[u8]] = &[
    b"=",
    b";",
    b"; ",
    b",",
    b"&",
    b"?",
    b"%00",
    b"%",
    b"%2e",
    b"/",
    b"//",
    b"..",
    b"\\",
    b"#",
    b"@",
    b":",
    b"\xff",
    b"\xc3\x28",
    b" ",
    b"\t",
    b".0=2.",
    b".1=",
    b"__Host-Http-",
    b"bg_session_staff",
    b"state=",
    b"code=",
    b"iss=",
    b"error=",
    b"return_to=",
    b"staff",
    b"guests",
    b"https://",
    b"evil.example",
    b"app.example",
    b"A",
    b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    b"-1",
    b"99999999999999999999",
    b"{",
    b"\"",
    b"logout_token=",
    b".",
    b"null",
    b"same-origin",
    b"navigate",
];

fn mutated(chance: &mut Chance, text: &[u8]) -> Vec<u8> {
    let mut text = text.to_vec();
    for _ in 0..=chance.below(2) {
        let at = chance.below(text.len() + 1);
        let piece = PIECES[chance.below(PIECES.len())];
        match chance.below(6) {
            0 => drop(text.splice(at..at, piece.iter().copied())),
            1 if at < text.len() => text[at] ^= 1 << chance.below(7),
            2 => text.truncate(at),
            3 => {
                let end = (at + chance.below(12)).min(text.len());
                drop(text.splice(at..end, piece.iter().copied()));
            }
            4 => {
                let copy = text[at..].to_vec();
                text.extend(copy);
            }
            _ => drop(text.splice(at..at, chance.bytes(6))),
        }
    }
    text.retain(|byte| !matches!(byte, b'\r' | b'\n' | 0));
    text
}

/// Changes one part of a request, or a few.
fn mutate(chance: &mut Chance, message: &mut Message) {
    for _ in 0..=chance.below(2) {
        let fields = message.headers.len();
        match chance.below(8) {
            0..=2 => {
                let path = message.path.take().unwrap_or_default();
                let rest = mutated(chance, path.get(1..).unwrap_or_default());
                let mut path = vec![b'/'];
                path.extend(rest.iter().filter(|byte| **byte != b' '));
                message.path = Some(path);
            }
            3..=5 if fields > 0 => {
                let (_, value) = &mut message.headers[chance.below(fields)];
                *value = mutated(chance, value);
            }
            6 if fields > 0 => {
                let copy = message.headers[chance.below(fields)].clone();
                message.headers.insert(chance.below(fields), copy);
            }
            7 => {
                if let Some(body) = &mut message.body {
                    *body = mutated(chance, body);
                } else {
                    let host = mutated(chance, HOST.as_bytes());
                    message.authority = Some(host);
                }
            }
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_were_changed_at_random() {
    let stage = stage(|_| ());
    let openid = stage.idp.openid();
    let alice = signed_in(&stage, ALICE).await;
    let bob = signed_in(&stage, BOB).await;
    let mut on_the_way = Browser::default();
    let back = on_the_way.on_the_way(&stage, "/page", ALICE).await;
    // Nobody is signed in by a code here: a session that comes of one would be a random one.
    openid.misbehave(Some(Misbehaviour::NonceOther));
    let token = openid.logout_token("web", "user|nobody", "nothing");
    let with = |browser: &Browser, message: Message| {
        let cookies = browser.cookies().expect("cookies");
        message.header("cookie", cookies)
    };
    let form = |path: &str, body: String| Message {
        body: Some(body.into_bytes()),
        ..request(
            "POST",
            path,
            &[("content-type", "application/x-www-form-urlencoded")],
        )
    };
    let issuer = stage.idp.issuer();
    let good = [
        with(&alice, get("/page", SCRIPT)),
        with(&bob, get("/page?a=b", PAGE)),
        with(&alice, request("POST", "/transfer", SCRIPT)),
        with(&on_the_way, get(&back, PAGE)),
        get(&back, PAGE),
        with(&bob, get(&back, PAGE)),
        get("/staff/sign-in?return_to=/a", PAGE),
        with(
            &alice,
            get(
                "/guests/sign-up?return_to=https%3A%2F%2Fapp.example%2F",
                PAGE,
            ),
        ),
        with(&alice, get("/staff/session", SCRIPT)),
        with(&bob, get("/choice", PAGE)),
        // From elsewhere, so that nobody is signed out.
        with(
            &alice,
            request(
                "POST",
                "/staff/sign-out",
                &[("origin", "https://evil.example")],
            ),
        ),
        get(&format!("/staff/framed?iss={issuer}&sid=nothing"), PAGE),
        form("/staff/told", format!("logout_token={token}")),
        with(&alice, get("/both", SCRIPT)).header("authorization", "Bearer a.b.c"),
        get(
            "/staff/callback?error=access_denied&error_description=%3Cb%3E&state=x",
            PAGE,
        ),
    ];
    let mut chance = Chance(20_261_126);
    let (mut statuses, mut admitted) = (BTreeMap::<u16, u32>::new(), 0);
    let mut after_start = 0;
    for number in 0..REQUESTS {
        let mut message = good[chance.below(good.len())].clone();
        mutate(&mut chance, &mut message);
        let sent = String::from_utf8_lossy(&message.http1()).into_owned();
        let values = [&alice, &bob].map(|browser| browser.cookie(SESSION).to_owned());
        let answer = match exchange(stage.address(), message) {
            Ok(answer) => answer,
            // Envoy closes the connection of what is no HTTP.
            Err(_) => continue,
        };
        *statuses.entry(answer.status).or_default() += 1;
        assert!(
            ![500, 502].contains(&answer.status) || !answer.text().is_empty(),
            "{sent}"
        );
        let is_echo = answer.status == 200
            && answer.header("content-type") == Some("application/json")
            && answer.json().get("headers").is_some();
        if is_echo {
            admitted += 1;
            // Whose request it is, by the cookie that came whole; or nobody's.
            let users = super::seen(&answer, "x-user");
            let whose = users.first().map_or("", |user| user.as_str());
            let has = |value: &String| sent.contains(&**value);
            let is_right = match whose {
                "user|alice" => has(&values[0]),
                "user|bob" => has(&values[1]),
                "" => ["/public", "/maybe", "/lenient"]
                    .iter()
                    .any(|path| sent.contains(path)),
                _ => false,
            };
            assert!(users.len() <= 1 && is_right, "{users:?} by {sent}");
            let cookies = super::seen(&answer, "cookie").concat().to_lowercase();
            assert!(
                !cookies.contains("host-http-bg_session_staff="),
                "{cookies} by {sent}"
            );
        } else if let Some(location) = answer.header("location") {
            let is_ours = location.starts_with('/') && !location.starts_with("//")
                || location.starts_with(&openid.browser_url(Endpoint::Authorize))
                || location.starts_with(&openid.browser_url(Endpoint::EndSession))
                || location.starts_with("https://app.example/");
            assert!(is_ours, "{location} by {sent}");
        }
        // It is nothing that whoever sends it did not bring.
        let set = super::values(&answer, "set-cookie").concat();
        let brings = values.iter().any(|value| sent.contains(&**value));
        let sets = set.contains("bg_session") && !set.contains("Max-Age=0");
        assert!(!sets || brings, "{set} by {sent}");
        if number == REQUESTS / 4 {
            after_start = stage.envoy().memory();
        }
    }
    let grown = stage.envoy().memory().saturating_sub(after_start);
    println!("{statuses:?}, {admitted} let through, {grown} bytes grown");
    assert!(grown < 32 << 20, "Envoy has grown by {grown} bytes");
    assert!(admitted > 50, "{statuses:?}");
    for status in [303, 400, 401, 403] {
        assert!(statuses.contains_key(&status), "{statuses:?}");
    }
    assert_eq!(stage.traps(), 0);
    openid.misbehave(None);
    assert_eq!(alice.clone().fetch(&stage, "/page").status, 200);
    is_alive(&stage).await;
}
