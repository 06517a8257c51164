//! Keys that are asked for one by one, by the kids that tokens name.

use std::time::Duration;

use bearer_gate::host::Reply;
use bearer_gate::jwks::keys::{Keys, UnknownKid};
use serde_json::{Map, Value};

use crate::SECOND;
use crate::sim::{World, by_kid, ok, response, status};

const MAP: &str = include_str!("../fixtures/sets/public-keys-by-kid.jwks.json");
/// The most calls of one fetch that are for kids without a known key.
const MOST_WANTED: usize = 4;

/// A key on P-256.
fn pem() -> String {
    let map: Map<String, Value> = serde_json::from_str(MAP).unwrap();
    let mut keys = map.values().map(|pem| pem.as_str().unwrap().to_owned());
    keys.find(|pem| pem.len() > 150).unwrap()
}

fn kid(n: usize) -> String {
    format!("{n:08x}-0000-4000-8000-000000000000")
}

/// Answers the call that is out, which must be for this kid.
fn answer(world: &mut World, of: &str, reply: Reply) {
    assert_eq!(world.calls[0].call.path, format!("/{of}"));
    world.answer(reply);
}

/// A worker learns the key of a kid, and the others see it.
fn learn(world: &mut World, n: usize) {
    let kid = kid(n);
    assert_eq!(world.want(0, Some(&kid), None), UnknownKid::Wait, "{n}");
    world.tick_urgently();
    answer(world, &kid, ok(&pem()));
    renew(world);
}

/// Answers all other calls of a fetch.
fn renew(world: &mut World) {
    while !world.calls.is_empty() {
        world.answer(ok(&pem()));
    }
    world.tick_urgently();
}

#[test]
fn nothing_is_fetched_before_a_token_names_a_kid() {
    let mut world = World::new(4, by_kid());
    world.advance(100 * SECOND);
    assert_eq!((world.dispatched, world.store.names().len()), (0, 0));
    for worker in 0..4 {
        assert!(matches!(world.keys(worker), Keys::Ready(_)));
        assert!(world.kids(worker).is_empty());
        assert!(!world.workers[worker].is_restless(world.now));
    }
}

#[test]
fn all_who_wait_for_a_kid_wait_for_one_call() {
    let mut world = World::new(4, by_kid());
    let kid = kid(1);
    for _ in 0..10 {
        for worker in 0..4 {
            assert_eq!(world.want(worker, Some(&kid), None), UnknownKid::Wait);
        }
        world.tick_urgently();
    }
    assert_eq!(world.dispatched, 1);
    answer(&mut world, &kid, ok(&pem()));
    for worker in 0..4 {
        if world.kids(worker).is_empty() {
            assert_eq!(world.want(worker, Some(&kid), None), UnknownKid::Reselect);
        }
        assert_eq!(world.kids(worker), [kid.as_str()]);
    }
    world.advance(60 * SECOND);
    assert_eq!(world.dispatched, 1);
}

#[test]
fn what_is_no_kid_is_refused_before_anything_is_asked() {
    let mut world = World::new(2, by_kid());
    let good = kid(1);
    let upper = good.to_uppercase().replace("00000001", "0000000A");
    for odd in [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        &good[1..],
        &format!("{good}0"),
        &format!("{good}/"),
        &format!("{good}?x"),
        &format!("/{good}"),
        &format!("{good}%2f"),
        &format!("../{}", &good[3..]),
        &good.replacen('0', "%30", 1),
        &good.replacen("00", "..", 1),
        &good.replacen("00", "%2", 1),
        &good.replacen('0', "g", 1),
        &good.replacen('0', "/", 1),
        &good.replacen('0', "\u{661}", 1),
        &good.replace('-', "_"),
        &good.replace('-', ""),
        &upper,
        &"0".repeat(36),
        &"k".repeat(1024),
    ] {
        let outcome = world.want(0, Some(odd), None);
        assert_eq!(outcome, UnknownKid::NoSuchKey, "{odd}");
    }
    assert_eq!(world.want(0, None, None), UnknownKid::NoSuchKey);
    world.advance(SECOND);
    assert_eq!(world.dispatched, 0);
}

#[test]
fn a_kid_without_a_key_is_remembered_for_a_cool_down() {
    for absent in [403, 404, 410] {
        let mut world = World::new(2, by_kid());
        let kid = kid(1);
        let came = world.workers[1].seen();
        assert_eq!(world.want(1, Some(&kid), None), UnknownKid::Wait);
        world.tick_urgently();
        answer(&mut world, &kid, status(absent));
        world.tick_urgently();
        let no_key = UnknownKid::NoSuchKey;
        assert_eq!(world.want(1, Some(&kid), Some(came)), no_key, "{absent}");
        for worker in [0, 1] {
            assert_eq!(world.want(worker, Some(&kid), None), no_key);
        }
        world.advance(29 * SECOND);
        assert_eq!(world.want(0, Some(&kid), None), no_key);
        assert_eq!(world.dispatched, 1);
        // It may be there by now.
        world.advance(2 * SECOND);
        assert_eq!(world.want(0, Some(&kid), None), UnknownKid::Wait);
        world.tick_urgently();
        answer(&mut world, &kid, ok(&pem()));
        world.tick_urgently();
        assert_eq!(world.kids(1), [kid.as_str()]);
    }
}

#[test]
fn b7_strangers_with_random_kids_push_out_no_key_and_stop_no_rotation() {
    let mut world = World::new(4, by_kid());
    learn(&mut world, 1);
    let (known, new) = (kid(1), kid(2));
    world.advance(60 * SECOND);
    let (start, before) = (world.now, world.dispatched);
    let (mut stranger, mut learnt_after) = (1000, None);
    let (mut refused, mut unknown) = (0_u32, 0_u32);
    while world.now.since(start) < Duration::from_secs(600) {
        for worker in 0..4 {
            for _ in 0..4 {
                stranger += 1;
                match world.want(worker, Some(&kid(stranger)), None) {
                    UnknownKid::NoSuchKey => refused += 1,
                    UnknownKid::Unavailable { .. } => unknown += 1,
                    UnknownKid::Wait | UnknownKid::Reselect => {}
                }
            }
            // One in five is a token of the new key.
            if !world.kids(worker).contains(&new) {
                world.want(worker, Some(&new), None);
            }
            assert_eq!(world.kids(worker)[0], known, "it stays");
        }
        world.tick_urgently();
        while !world.calls.is_empty() {
            let path = world.calls[0].call.path.clone();
            let exists = [&known, &new].iter().any(|kid| path[1..] == **kid);
            world.answer(if exists { ok(&pem()) } else { status(404) });
        }
        world.tick_urgently();
        if learnt_after.is_none() && world.kids(0).contains(&new) {
            learnt_after = Some(world.now.since(start));
        }
        world.advance(50);
    }
    let calls = world.dispatched - before;
    // Two fetches at once and one in each cool-down, and those on schedule.
    let fetches = 2 + 20 + 2;
    assert!(calls <= fetches * (2 + MOST_WANTED), "{calls} calls");
    assert!(calls > 60, "{calls} calls: each fetch asks for several");
    assert!(unknown > 100_000 && refused < 200, "{unknown} {refused}");
    let learnt_after = learnt_after.expect("the new key is learnt");
    assert!(learnt_after < Duration::from_secs(35), "{learnt_after:?}");
    assert_eq!(world.store.names().len(), 2);
    assert!(world.store.octets() < 3000, "{}", world.store.octets());
}

/// Notes that a worker has verified a token with the key of a kid.
fn use_key(world: &mut World, worker: usize, n: usize) {
    let now = world.now;
    let source = world.workers[worker].source_mut();
    source.used(Some(&kid(n)), || now);
}

/// The keys of a set, by their numbers.
fn numbers(world: &World, worker: usize) -> Vec<usize> {
    let kids = world.kids(worker);
    let number = |kid: &String| usize::from_str_radix(&kid[..8], 16).unwrap();
    kids.iter().map(number).collect()
}

#[test]
fn a_key_that_is_in_use_makes_way_for_none_that_is_not() {
    let mut world = World::new(2, by_kid());
    for n in 1..=20 {
        learn(&mut world, n);
        // Two are in use, by the worker that asks for new ones; the others are dead, or strangers'.
        use_key(&mut world, 0, 1);
        use_key(&mut world, 0, 3);
        world.advance(60 * SECOND);
    }
    let mut expected: Vec<usize> = (7..=20).chain([1, 3]).collect();
    expected[..14].sort_unstable();
    let mut found = numbers(&world, 0);
    assert_eq!(numbers(&world, 1), found);
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
    // One that is no longer in use makes way in its turn.
    for n in 21..=40 {
        use_key(&mut world, 0, 1);
        learn(&mut world, n);
        world.advance(60 * SECOND);
    }
    let found = numbers(&world, 0);
    assert!(found.contains(&1) && !found.contains(&3), "{found:?}");
    assert_eq!(found.len(), 16);
}

#[test]
fn sixteen_keys_in_use_and_many_that_are_not() {
    let mut world = World::new(1, by_kid());
    let live = 1..=16;
    for n in live.clone().chain(100..=130) {
        learn(&mut world, n);
        for n in live.clone().filter(|one| *one <= n) {
            use_key(&mut world, 0, n);
        }
        world.advance(60 * SECOND);
    }
    let mut found = numbers(&world, 0);
    found.sort_unstable();
    assert_eq!(found, live.collect::<Vec<_>>());
}

#[test]
fn b7_a_flood_of_kids_delays_no_new_key_by_more_than_a_round() {
    // Kids that come once each, and few that come more often than the new key's own tokens.
    for (others, rounds) in [(1000, 1), (4, 20)] {
        for seed in 1..=20 {
            let mut world = World::seeded(1, by_kid(), seed);
            learn(&mut world, 1);
            world.advance(600 * SECOND / 2);
            let new = kid(2);
            let mut stranger = 1000;
            // Both fetches that may follow each other are over.
            for _ in 0..2 {
                stranger += 1;
                world.want(0, Some(&kid(stranger)), None);
                world.tick_urgently();
                answer_all(&mut world, &new);
            }
            let mut fetches = 0;
            while !world.kids(0).contains(&new) {
                fetches += 1;
                assert!(fetches <= rounds, "{others} others, seed {seed}");
                for at in 0..2000 {
                    let kid = kid(10_000 + fetches * 1000 + at % others);
                    world.want(0, Some(&kid), None);
                    if at % 50 == 49 {
                        world.want(0, Some(&new), None);
                    }
                }
                while world.calls.is_empty() {
                    world.advance(SECOND);
                    world.want(0, Some(&new), None);
                    world.tick_urgently();
                }
                answer_all(&mut world, &new);
            }
        }
    }
}

/// Answers all calls of a fetch; of new kids this one has a key.
fn answer_all(world: &mut World, new: &str) {
    while !world.calls.is_empty() {
        let asked = world.calls[0].call.path[1..].to_owned();
        let exists = asked == new || asked == kid(1);
        world.answer(if exists { ok(&pem()) } else { status(404) });
    }
    world.tick_urgently();
}

#[test]
fn keys_are_renewed_and_one_that_is_gone_is_no_longer_used() {
    let mut remote = by_kid();
    remote.times.max_stale = Duration::from_secs(120);
    let mut world = World::new(3, remote);
    learn(&mut world, 1);
    world.advance(60 * SECOND);
    learn(&mut world, 2);
    let before = world.dispatched;
    // Nobody asks for the same keys again until they are due.
    world.advance(400 * SECOND);
    assert_eq!(world.dispatched, before);
    until_asked(&mut world);
    answer(&mut world, &kid(1), status(403));
    answer(&mut world, &kid(2), ok(&pem()));
    world.tick_urgently();
    assert_eq!(world.kids(2), [kid(2)]);
    // The last one is kept for a time: a provider without a key is one that fails.
    let fetched = world.now;
    let used = Duration::from_secs(600 + 120);
    while world.now.since(fetched) < used - Duration::from_secs(35) {
        until_asked(&mut world);
        answer(&mut world, &kid(2), status(404));
        assert_eq!(world.kids(0), [kid(2)]);
    }
    world.pass(40 * SECOND);
    assert!(world.kids(0).is_empty());
    let outcome = world.want(0, Some(&kid(2)), None);
    assert!(matches!(outcome, UnknownKid::Unavailable { .. }));
}

/// Lets time pass until a call is out.
fn until_asked(world: &mut World) {
    while world.calls.is_empty() {
        world.pass(SECOND);
        world.tick_all();
    }
}

#[test]
fn no_bad_answer_takes_a_key_away_or_makes_one() {
    let rsa = include_str!("../fixtures/rsa2048-a.spki.txt").trim();
    let broken = pem().replace("MFkw", "MFkx");
    let private = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----";
    let small =
        "-----BEGIN PUBLIC KEY-----\nMFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAL\n-----END PUBLIC KEY-----";
    let bad = [
        status(500),
        status(503),
        status(302),
        status(200),
        ok(""),
        ok("<html>Back soon</html>"),
        ok("{}"),
        ok(MAP),
        ok(&broken),
        ok(private),
        ok(small),
        ok(&format!("{}x", pem())),
        ok(&format!("{}{}", pem(), pem())),
        ok(&format!("{}{}", pem(), " ".repeat(5000))),
        ok(rsa),
        response(200, [0xff; 100]),
        Reply::TooLarge(20 << 20),
        Reply::None,
        Reply::NotSent,
    ];
    for reply in bad {
        let mut world = World::new(2, by_kid());
        learn(&mut world, 1);
        world.advance(60 * SECOND);
        let (what, new) = (format!("{reply:?}"), kid(2));
        let came = world.workers[0].seen();
        assert_eq!(world.want(0, Some(&new), None), UnknownKid::Wait);
        world.tick_urgently();
        answer(&mut world, &new, reply);
        // The known key is renewed all the same.
        answer(&mut world, &kid(1), ok(&pem()));
        world.tick_urgently();
        assert_eq!(world.kids(1), [kid(1)], "{what}");
        // Whether there is such a key is unknown, and it may be asked for again.
        let outcome = world.want(0, Some(&new), Some(came));
        assert_eq!(outcome, UnknownKid::Wait, "{what}");
        world.tick_urgently();
        answer(&mut world, &new, ok(&pem()));
        renew(&mut world);
        assert_eq!(world.kids(1), [kid(1), new], "{what}");
    }
}

#[test]
fn a_bad_answer_for_a_known_key_takes_away_neither_it_nor_a_new_one() {
    let bad: [fn() -> Reply; 3] = [
        || status(500),
        || ok("<html>Back soon</html>"),
        || Reply::None,
    ];
    for reply in bad {
        let mut world = World::new(2, by_kid());
        learn(&mut world, 1);
        world.advance(60 * SECOND);
        let (what, new) = (format!("{:?}", reply()), kid(2));
        assert_eq!(world.want(0, Some(&new), None), UnknownKid::Wait);
        world.tick_urgently();
        answer(&mut world, &new, ok(&pem()));
        answer(&mut world, &kid(1), reply());
        world.tick_urgently();
        // The new one is there, and the known one stays.
        assert_eq!(world.kids(1), [kid(1), new.clone()], "{what}");
        // It is kept so once only.
        world.advance(60 * SECOND);
        assert_eq!(world.want(0, Some(&kid(3)), None), UnknownKid::Wait);
        world.tick_urgently();
        answer(&mut world, &kid(3), ok(&pem()));
        answer(&mut world, &kid(1), reply());
        world.tick_urgently();
        assert_eq!(world.kids(1), [kid(1), new.clone()], "{what}");
        let outcome = world.want(0, Some(&kid(3)), None);
        assert!(matches!(outcome, UnknownKid::Unavailable { .. }), "{what}");
        // All are asked for again when the provider is well.
        world.answer_when_asked(ok(&pem()));
        renew(&mut world);
        assert_eq!(world.kids(1), [kid(1), new, kid(3)], "{what}");
    }
}

#[test]
fn whoever_says_that_calls_are_too_many_is_called_no_more() {
    let mut world = World::new(2, by_kid());
    learn(&mut world, 1);
    world.advance(60 * SECOND);
    for n in [2, 3] {
        assert_eq!(world.want(0, Some(&kid(n)), None), UnknownKid::Wait);
    }
    world.tick_urgently();
    let mut too_many = status(429);
    if let Reply::Response { retry_after, .. } = &mut too_many {
        *retry_after = Some(Duration::from_secs(45));
    }
    world.answer(too_many);
    let before = world.dispatched;
    world.advance(44 * SECOND);
    let outcome = world.want(0, Some(&kid(2)), None);
    assert!(matches!(outcome, UnknownKid::Unavailable { .. }));
    world.tick_urgently();
    assert_eq!(world.dispatched, before);
    assert_eq!(world.kids(1), [kid(1)]);
    world.answer_when_asked(ok(&pem()));
    renew(&mut world);
    assert_eq!(world.kids(1), [kid(1), kid(2), kid(3)]);
}

#[test]
fn a_first_kid_while_the_provider_is_down() {
    let mut world = World::new(2, by_kid());
    let kid = kid(1);
    assert_eq!(world.want(0, Some(&kid), None), UnknownKid::Wait);
    world.tick_urgently();
    world.answer(status(503));
    for worker in [0, 1] {
        world.tick_urgently();
        let outcome = world.want(worker, Some(&kid), None);
        assert!(
            matches!(outcome, UnknownKid::Unavailable { .. }),
            "{outcome:?}"
        );
    }
    world.answer_when_asked(ok(&pem()));
    world.tick_urgently();
    for worker in [0, 1] {
        assert_eq!(world.kids(worker), [kid.as_str()]);
    }
}

#[test]
fn b9_another_worker_takes_over_a_kid_from_a_dead_holder() {
    let mut world = World::new(2, by_kid());
    let kid = kid(1);
    for worker in [0, 1] {
        assert_eq!(world.want(worker, Some(&kid), None), UnknownKid::Wait);
    }
    world.tick_urgently();
    let holder = world.calls[0].worker;
    world.kill(holder);
    world.answer_when_asked(ok(&pem()));
    world.tick_urgently();
    assert_eq!(world.kids(0), [kid.as_str()]);
    assert_eq!(world.kids(1), [kid.as_str()]);
}
