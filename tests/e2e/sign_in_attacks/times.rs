//! Sessions whose time is over, by the clock of a real Envoy.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{ALICE, Browser, SCRIPT, get, is_alive, seen, signed_in, staff, stage, values};

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
        assert_eq!(idle.open(&stage, "/page").status, 303);
        assert!(!idle.has_session(), "deleted");
    }
    // Whatever is done with it, it ends.
    at(8.1).await;
    for _ in 0..4 {
        let mut active: Browser = active.clone();
        let answer = active.fetch(&stage, "/page");
        assert_eq!(answer.status, 401, "{}", answer.text());
        assert_eq!(active.open(&stage, "/page").status, 303);
        assert!(!active.has_session(), "deleted");
    }
    is_alive(&stage).await;
}
