//! The provider is down, or its answer is not a key set: which requests wait, for how long, and
//! what the log says.

use std::time::Duration;

use bearer_gate::document::event::Event;
use bearer_gate::document::fetch::FetchError;
use bearer_gate::host::Reply;
use bearer_gate::jwks::keys::{Keys, UnknownKid};
use bearer_gate::time::Millis;

use crate::SECOND;
use crate::sim::{SET_A, SET_B, World, ok, remote, status};

#[test]
fn b1_down_at_start_then_up_again_within_two_seconds() {
    for (seed, seconds) in (0..40).map(|seed| (seed, 1 + seed % 8)) {
        let (mut world, back) = down_for(seconds, true, seed);
        let took = world.now.since(back);
        assert!(took <= Duration::from_secs(2), "{seconds} s, then {took:?}");
        world.tick_urgently();
        for worker in 0..4 {
            assert_eq!(world.kids(worker), ["a"]);
        }
    }
}

#[test]
fn b1_down_for_long_then_up_again_within_thirty_seconds_and_few_calls() {
    for (seed, asked) in [(1, true), (2, false), (3, true), (4, false)] {
        let (world, back) = down_for(3600, asked, seed);
        let took = world.now.since(back);
        assert!(took <= Duration::from_secs(30), "{took:?}");
        // One call in 22 s on average, and the calls of the first minute.
        assert!(world.dispatched < 3600 / 22 + 30, "{}", world.dispatched);
    }
}

/// A process whose provider is down for so many seconds from the start. Returns the process when it
/// has keys, and when the provider came back. While the provider is down, requests ask ten times a
/// second, or never.
fn down_for(seconds: u64, asked: bool, seed: u64) -> (World, Millis) {
    let mut world = World::seeded(4, remote(), seed);
    let back = world.now.after(Duration::from_secs(seconds));
    world.tick_all();
    loop {
        world.pass(50);
        while !world.calls.is_empty() {
            let up = world.now >= back;
            world.answer(if up { ok(SET_A) } else { status(503) });
            if up {
                return (world, back);
            }
            for worker in 0..4 {
                let Keys::Unavailable { retry_after } = world.keys(worker) else {
                    continue;
                };
                assert!(retry_after <= Duration::from_secs(30));
            }
        }
        if asked && world.now.0.is_multiple_of(100) {
            world.request(usize::try_from(world.now.0 / 100 % 4).unwrap());
        }
        world.tick_all();
    }
}

fn told(status: u16, seconds: u64) -> Reply {
    Reply::Response {
        status,
        max_age: None,
        retry_after: Some(Duration::from_secs(seconds)),
        location: None,
        content_type: None,
        body: Vec::new(),
    }
}

#[test]
fn retry_after_holds_for_every_worker_and_for_requests() {
    // (status, Retry-After, the least wait, the longest), in seconds
    for (code, seconds, least, most) in [
        (503, 20, 20, 40),
        (429, 20, 20, 80),
        (503, 300, 300, 330),
        // A wrong or hostile value does not stop calls for ever.
        (429, 86_400, 300, 360),
        (503, u64::MAX, 300, 330),
        // `Retry-After` counts only with these two statuses.
        (500, 20, 0, 1),
        (301, 20, 0, 1),
    ] {
        for with_keys in [false, true] {
            let mut world = World::new(4, remote());
            if with_keys {
                world.settle_with(SET_A);
                world.advance(SECOND);
                assert_eq!(world.unknown_kid(0), UnknownKid::Wait);
            }
            world.tick_all();
            world.answer(told(code, seconds));
            let (told_at, before) = (world.now, world.dispatched);
            while world.dispatched == before {
                // Requests ask all the time, and one worker's VM is lost again and again.
                for worker in 0..4 {
                    world.request(worker);
                    world.unknown_kid(worker);
                }
                if world.now.0.is_multiple_of(5000) {
                    world.kill(0);
                }
                world.pass(20);
                world.tick_all();
            }
            let waited = world.now.since(told_at);
            assert!(
                (Duration::from_secs(least)..=Duration::from_secs(most)).contains(&waited),
                "{code} {seconds}: {waited:?}"
            );
        }
    }
}

#[test]
fn requests_alone_do_not_make_calls_more_frequent_for_long() {
    let calls = |asked| {
        let mut world = World::new(4, remote());
        let start = world.now;
        world.tick_all();
        while world.now.since(start) < Duration::from_secs(600) {
            while !world.calls.is_empty() {
                world.answer(status(500));
            }
            for worker in (0..4).filter(|_| asked) {
                world.request(worker);
            }
            world.pass(50);
            world.tick_all();
        }
        world.dispatched
    };
    assert!(calls(true) <= calls(false) + 9);
}

#[test]
fn b2_down_later_serves_stale_keys_up_to_max_stale_and_not_longer() {
    let mut remote = remote();
    remote.times.cache_duration = Duration::from_secs(10);
    remote.times.max_stale = Duration::from_secs(30);
    let mut world = World::new(2, remote);
    world.settle_with(SET_A);
    let fetched = world.now;
    let mut expired = 0;
    while world.now.since(fetched) < Duration::from_secs(60) {
        if !world.calls.is_empty() {
            world.answer(status(500));
        }
        world.advance(50);
        let stale = world.now.since(fetched) >= Duration::from_secs(40);
        for worker in 0..2 {
            match world.keys(worker) {
                Keys::Ready(_) => assert!(!stale, "used after max_stale"),
                Keys::Unavailable { .. } => assert!(stale, "gone before max_stale"),
                Keys::Pending => panic!("the provider is known to be down"),
            }
        }
        expired = world
            .events
            .iter()
            .filter(|e| **e == Event::Expired)
            .count();
    }
    assert_eq!(expired, 2, "once per worker");
    world.answer_when_asked(ok(SET_B));
    world.tick_urgently();
    assert_eq!(world.kids(1), ["b"]);
}

#[test]
fn b3_no_bad_answer_evicts_a_good_set() {
    type Expected = fn(&FetchError) -> bool;
    let bad: Vec<(Reply, Expected)> = vec![
        (Reply::NotSent, |e| *e == FetchError::NotSent),
        (Reply::None, |e| *e == FetchError::NoResponse),
        (Reply::TooLarge(20_000_000), |e| {
            *e == FetchError::TooLarge(20_000_000)
        }),
        (status(500), |e| *e == FetchError::Status(500)),
        (status(404), |e| *e == FetchError::Status(404)),
        (status(301), |e| *e == FetchError::Status(301)),
        (status(204), |e| *e == FetchError::Status(204)),
        (ok("<html></html>"), |e| {
            matches!(e, FetchError::Unusable { .. })
        }),
        (ok(&SET_B[..SET_B.len() / 2]), |e| {
            matches!(e, FetchError::Unusable { .. })
        }),
        (ok("{}"), |e| matches!(e, FetchError::Unusable { .. })),
        (ok(r#"{"keys":[]}"#), |e| {
            matches!(e, FetchError::Unusable { .. })
        }),
        (ok(r#"{"keys":[{"kty":"oct","k":"AA"}]}"#), |e| {
            matches!(e, FetchError::Unusable { .. })
        }),
        (ok(""), |e| matches!(e, FetchError::Unusable { .. })),
    ];
    for (answer, expected) in bad {
        let told = format!("{answer:?}");
        let mut world = World::new(2, remote());
        world.settle_with(SET_A);
        world.events.clear();
        world.answer_when_asked(answer);
        let failed = world.events.iter().find_map(|event| match event {
            Event::Failed {
                error,
                failures: 1,
                news: true,
                ..
            } => Some(error.clone()),
            _ => None,
        });
        assert!(expected(&failed.expect(&told)), "{told}");
        world.advance(SECOND);
        for worker in 0..2 {
            assert_eq!(world.kids(worker), ["a"], "{told}");
        }
    }
}

#[test]
fn retries_keep_requests_waiting_and_failures_end_the_round() {
    let mut remote = remote();
    remote.times.retries = 2;
    let mut world = World::new(1, remote);
    world.tick_all();
    for _ in 0..2 {
        world.answer_when_asked(status(500));
        assert!(matches!(world.keys(0), Keys::Pending));
    }
    world.answer_when_asked(status(500));
    assert!(matches!(world.keys(0), Keys::Unavailable { .. }));

    world.answer_when_asked(ok(SET_A));
    assert_eq!(world.unknown_kid(0), UnknownKid::Wait);
    for _ in 0..2 {
        let seen = world.workers[0].seen();
        world.answer_when_asked(status(500));
        assert!(!world.workers[0].settled(seen), "the round goes on");
        assert_eq!(world.unknown_kid(0), UnknownKid::Wait);
    }
    world.answer_when_asked(status(500));
    assert!(matches!(
        world.unknown_kid(0),
        UnknownKid::Unavailable { .. }
    ));
}

/// The log names the address, the cluster and what came, so that operators need not guess.
#[test]
fn a_failure_names_whom_it_asked_and_what_came() {
    let redirect = Reply::Response {
        status: 302,
        max_age: None,
        retry_after: None,
        location: Some(b"https://login.test/?\r\n".to_vec()),
        content_type: None,
        body: Vec::new(),
    };
    let page = Reply::Response {
        status: 200,
        max_age: None,
        retry_after: None,
        location: None,
        content_type: Some(b"text/html".to_vec()),
        body: b"<!doctype html>".to_vec(),
    };
    let unusable = ok(r#"{"keys":[{"kty":"RSA","use":"enc"},{"kty":"oct","k":"AA"}]}"#);
    for (answer, expected) in [
        (status(404), "status 404"),
        (redirect, r#"a redirect to "https://login.test/?\x0d\x0a""#),
        (
            page,
            r#"it is HTML or XML; content-type "text/html"; it begins "<!doctype html>""#,
        ),
        (
            unusable,
            "key 0: use is neither sig nor jwt-svid; key 1: kty oct is for local_jwks",
        ),
    ] {
        let mut world = World::new(1, remote());
        world.tick_all();
        world.answer(answer);
        let Some(Event::Failed { error, asked, .. }) = world.events.pop() else {
            panic!("{expected}");
        };
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(
            asked,
            r#""https://tenant.example/.well-known/jwks.json" by cluster idp"#
        );
    }
}

/// A page that differs each time, in a time of day for example, is not news.
#[test]
fn a_failure_with_another_text_from_outside_is_not_news() {
    let mut world = World::new(1, remote());
    let mut news = Vec::new();
    for body in ["<p>1", "<p>2", "<p>3", "{}", "{}"] {
        world.answer_when_asked(ok(body));
        news.extend(world.events.drain(..).filter_map(|event| match event {
            Event::Failed { news, .. } => Some(news),
            _ => None,
        }));
    }
    assert_eq!(news, [true, false, false, true, false]);
}
