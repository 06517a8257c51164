//! The session's cookie in odd forms: whoever is let in has the session that was sealed, and no
//! upstream reads a cookie of ours, whatever it is called.

use bearer_gate_testbed::idp::openid::RelyingParty;
use bearer_gate_testbed::raw::RawResponse;
use bearer_gate_testbed::transports::{Message, Protocol, send_all};
use bearer_gate_testbed::visitor::Visitor;
use serde_json::{Value, json};

use super::reading::readings;
use super::{HYPER, Matrix};
use crate::stage::{Stage, found_provider};

pub(super) const HOST: &str = "app.example";
pub(super) const SESSION: &str = "__Host-Http-bg_session_staff";

pub(super) fn config(stage: &Stage) -> Value {
    json!({
        "providers": {"authorization": found_provider(stage)},
        "sign_in": {
            "cookie_keys": [{"inline_string": "a key of thirty-two octets or more"}],
            "allowed_redirect_domains": [HOST],
            "schemes": {"staff": {
                "provider_name": "authorization",
                "credentials": {"client_id": "web", "token_secret": {"inline_string": "s3cret"}},
                "token_endpoint": {"cluster": "idp", "timeout": "2s"},
                "callback_path": "/oauth2/callback",
            }},
        },
        "rules": [
            {"match": {"prefix": "/alive"}, "requires": {"provider_name": "authorization"}},
            {"match": {"prefix": "/"}, "requires": {"session": "staff"}},
        ],
    })
}

fn with_cookies(path: &str, lines: &[String]) -> Message {
    let message = Message::get(HOST, path);
    let lines = lines.iter();
    lines.fold(message, |message, line| {
        message.header("cookie", line.as_bytes())
    })
}

/// The pair of a cookie's name and its value, where an answer sets it.
fn set_by(answer: &RawResponse, name: &str) -> String {
    let mut lines = answer.headers.iter().filter_map(|(header, value)| {
        let line = String::from_utf8_lossy(value).into_owned();
        (header == "set-cookie" && line.starts_with(name)).then_some(line)
    });
    let line = lines.next().expect(name);
    line.split(';').next().expect(name).to_owned()
}

/// The pair of a session's cookie, of somebody who has just signed in.
pub(super) async fn signed_in(matrix: &Matrix) -> String {
    let openid = matrix.stage.idp.openid();
    let callback = format!("https://{HOST}/oauth2/callback");
    openid.register(RelyingParty::confidential("web", "s3cret", &callback));
    let send = |message: Message| {
        let order = matrix.order(Protocol::Http1, message, HYPER);
        send_all(&[order]).remove(0).expect("an answer")
    };
    let begun = send(Message::get(HOST, "/page").header("accept", "text/html"));
    assert_eq!(begun.status, 303, "{}", begun.text());
    let browser = set_by(&begun, "__Host-Http-bg_browser");
    let location = begun.header("location").expect("a way to the provider");
    let back = Visitor::new()
        .sign_in(location, "alice", "wonderland")
        .await;
    let back = back.header("location").expect("a way back").to_owned();
    let path = back.strip_prefix(&format!("https://{HOST}")).expect("ours");
    let done = send(with_cookies(path, &[browser]));
    assert_eq!(done.status, 303, "{}", done.text());
    set_by(&done, SESSION)
}

#[tokio::test(flavor = "multi_thread")]
async fn s14_a_session_in_odd_forms_over_three_versions_of_http() {
    let python = bearer_gate_testbed::python::PythonServers::start();
    let matrix = Matrix::build(Some(python), config, |listener| listener);
    let session = signed_in(&matrix).await;
    let (_, value) = session.split_once('=').unwrap();
    let other = SESSION.to_lowercase();
    let dotted = SESSION.replace('_', ".");
    // What is sent, and whether it is a session.
    let forms: Vec<(&str, Vec<String>, bool)> = vec![
        ("alone", vec![session.clone()], true),
        (
            "in the middle",
            vec![format!("theme=dark; {session}; b=\"1 2\"")],
            true,
        ),
        (
            "without a space",
            vec![format!("theme=dark;{session};b=1")],
            true,
        ),
        (
            "in a line of its own",
            vec!["theme=dark".into(), session.clone(), "b=1".into()],
            true,
        ),
        (
            "after a tab",
            vec![format!("theme=dark;\t{session}\t; b=1")],
            true,
        ),
        (
            "with spaces at the sign",
            vec![format!("theme=dark; {SESSION} = {value}")],
            true,
        ),
        (
            "beside another case",
            vec![format!("{session}; {other}=x; theme=dark")],
            true,
        ),
        (
            "beside other signs",
            vec![format!("{dotted}=x; {session}; theme=dark")],
            true,
        ),
        (
            "beside a number",
            vec![format!("{session}; {SESSION}.77=x; theme=dark")],
            true,
        ),
        (
            "in another case",
            vec![format!("theme=dark; {other}={value}")],
            false,
        ),
        (
            "with other signs",
            vec![format!("theme=dark; {dotted}={value}")],
            false,
        ),
        (
            "twice",
            vec![format!("{session}; theme=dark; {session}")],
            false,
        ),
        (
            "twice, in two lines",
            vec![session.clone(), "theme=dark".into(), session.clone()],
            false,
        ),
        (
            "twice, one empty",
            vec![format!("{session}; {SESSION}=; theme=dark")],
            false,
        ),
        (
            "quoted",
            vec![format!("theme=dark; {SESSION}=\"{value}\"")],
            false,
        ),
        (
            "beside a chunk",
            vec![format!("{session}; {SESSION}.0=2.x; theme=dark")],
            false,
        ),
        (
            "with a comma",
            vec![format!("theme=dark, {session}")],
            false,
        ),
        (
            "with an octet more",
            vec![format!("theme=dark; {session}A")],
            false,
        ),
    ];
    let mut orders = Vec::new();
    let mut of_orders = Vec::new();
    for (form, lines, is_session) in &forms {
        for protocol in Protocol::ALL {
            for upstream in &matrix.upstreams {
                orders.push(matrix.order(protocol, with_cookies("/page", lines), upstream));
                of_orders.push((form, lines, is_session, protocol, upstream));
            }
        }
    }
    let mut read = 0;
    for ((form, lines, is_session, protocol, upstream), answer) in
        of_orders.into_iter().zip(send_all(&orders))
    {
        let what = format!("{form} over {protocol:?} to {upstream}");
        let answer = answer.unwrap_or_else(|why| panic!("{what}: {why}"));
        let expected = if *is_session { 200 } else { 401 };
        assert_eq!(answer.status, expected, "{what}: {}", answer.text());
        if !is_session {
            continue;
        }
        let found = readings(&answer);
        assert!(!found.is_empty(), "{what}: {}", answer.text());
        for reading in found {
            read += 1;
            let users: Vec<&str> = reading.header("x-user").collect();
            assert_eq!(users, ["user|alice"], "{what}, {}", reading.by);
            let ours = |(name, _): &(String, String)| name.to_lowercase().contains("bg");
            assert!(
                !reading.cookies.iter().any(ours),
                "{what}, {}: {:?}",
                reading.by,
                reading.cookies
            );
            // Python's servers join several lines in ways of their own.
            if upstream == HYPER {
                let has_theme = lines.iter().any(|line| line.contains("theme=dark"));
                let themes: Vec<&str> = reading.cookie("theme").collect();
                assert_eq!(themes, vec!["dark"; has_theme.into()], "{what}");
            }
        }
    }
    assert!(read > 200, "{read}");
    matrix.is_alive();
}
