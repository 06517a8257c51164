//! Sessions whose time is over, by the clock of a real Envoy.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{ALICE, Browser, HOST, SCRIPT, get, is_alive, seen, signed_in, staff, stage, values};

#[tokio::test(flavor = "multi_thread")]
async fn s16_sessions_whose_time_is_over() {
    let stage = stage(|config| {
        let session = json!({"idle_timeout": "4s", "max_duration": "7s", "persistent": true});
        staff(config, json!({"session": session}));
    });
    let start = Instant::now();
    let mut active = signed_in(&stage, ALICE).await;
    let idle = active.clone();
    // The first cookie, which nobody uses meanwhile, and the one that is renewed.
    let at = |seconds: f64| {
        let until = start + Duration::from_secs_f64(seconds);
        tokio::time::sleep_until(until.into())
    };
    let mut renewed = 0;
    let mut last = 0.0;
    while start.elapsed() < Duration::from_secs_f64(5.5) {
        let answer = active.fetch(&stage, "/page");
        last = start.elapsed().as_secs_f64();
        assert_eq!(seen(&answer, "x-user"), ["user|alice"], "{last}");
        for line in values(&answer, "set-cookie") {
            renewed += 1;
            let age = line.split("Max-Age=").nth(1).expect("an age");
            let age: u64 = age.parse().expect("a number");
            assert!((1..=4).contains(&age), "{line}");
        }
        // A cache must not hand a session to others, whatever the upstream says of its page.
        if !values(&answer, "set-cookie").is_empty() {
            let said = values(&answer, "cache-control").concat();
            assert!(said.contains("private"), "{said}");
        }
        at(last + 0.5).await;
    }
    assert!((4..=6).contains(&renewed), "{renewed}");
    assert!(last > 4.0);
    // Idle for longer than it may be, on each worker.
    for _ in 0..4 {
        let mut idle = idle.clone();
        let answer = idle.send(&stage, get("/page", SCRIPT));
        assert_eq!(answer.status, 401, "{}", answer.text());
        assert!(idle.has_session(), "a script deletes nothing");
        assert_eq!(idle.open(&stage, "/staff/sign-out").status, 200);
        assert!(!idle.has_session(), "deleted");
    }
    // Whatever is done with it, it ends.
    at(8.1).await;
    for _ in 0..4 {
        let mut active: Browser = active.clone();
        let answer = active.fetch(&stage, "/page");
        assert_eq!(answer.status, 401, "{}", answer.text());
        assert_eq!(active.open(&stage, "/staff/sign-out").status, 200);
        assert!(!active.has_session(), "deleted");
    }
    is_alive(&stage).await;
}

/// A response that renews a session, and comes when the session has ended: the browser may have a newer one,
/// or none on purpose.
#[tokio::test(flavor = "multi_thread")]
async fn s24_a_late_response_puts_no_session_back_that_has_ended() {
    let stage = stage(|config| {
        staff(config, json!({"session": {"idle_timeout": "10s"}}));
    });
    for signs_out in [false, true] {
        let mut alice = signed_in(&stage, ALICE).await;
        tokio::time::sleep(Duration::from_millis(2100)).await;
        // The upstream answers when it has the whole body.
        let mut slow = TcpStream::connect(stage.address()).expect("a connection");
        slow.set_read_timeout(Some(Duration::from_secs(10)))
            .expect("a time limit");
        let cookies = alice.cookies().expect("cookies");
        let upstream = stage.upstream.requests();
        let head = format!(
            "POST /page HTTP/1.1\r\nhost: {HOST}\r\ncookie: {cookies}\r\nsec-fetch-site: same-origin\r\n\
             connection: close\r\ncontent-length: 2\r\n\r\na"
        );
        slow.write_all(head.as_bytes()).expect("a request");
        let limit = Duration::from_secs(5);
        bearer_gate_testbed::eventually(limit, "the upstream has it", || {
            stage.upstream.requests() > upstream
        });
        if signs_out {
            let left = alice.send(&stage, get("/staff/sign-out", SCRIPT));
            assert_eq!((left.status, alice.has_session()), (303, false));
        }
        slow.write_all(b"b").expect("the rest");
        let mut answer = String::new();
        slow.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let sets = answer.contains("\r\nset-cookie: ");
        assert_eq!(sets, !signs_out, "{answer}");
    }
    assert_eq!(stage.traps(), 0);
}
