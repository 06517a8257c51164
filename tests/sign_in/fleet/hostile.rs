//! Somebody writes to the store who has not the keys.

use super::{AND, Fleet, INTERVAL};
use crate::world::APP;

/// Values that are nobody's.
fn strange(good: &[u8]) -> Vec<Vec<u8>> {
    let mut flipped = good.to_vec();
    let first = flipped.first_mut().unwrap();
    *first = if *first == b'A' { b'B' } else { b'A' };
    vec![
        Vec::new(),
        b"-".to_vec(),
        b"AA".to_vec(),
        b"\xff\r\n\0$".to_vec(),
        flipped,
        good[..good.len() / 2].to_vec(),
        [good, good].concat(),
        vec![b'A'; 100_000],
    ]
}

#[test]
fn s34_strange_values_end_nothing_and_stop_nothing() {
    let (fleet, [alice, bob]) = Fleet::that_one_has_left(2);
    let good = fleet.redis.list.borrow()[0].clone();
    let all = strange(&good);
    let count = all.len() as i64;
    fleet.redis.list.borrow_mut().extend(all);
    fleet.pass(INTERVAL + AND);
    assert_eq!(fleet.count("skipped"), count * 2, "by each process");
    let carol = fleet.signed_in(1, "carol");
    fleet.sign_out(1, &carol);
    fleet.until(&carol, 401, INTERVAL + AND);
    assert!(fleet.all_say(&bob, 200));
    fleet.worlds[0].restart();
    fleet.pass(500);
    assert!(fleet.all_say(&bob, 200) && fleet.all_say(&alice, 401));
    assert_eq!(fleet.count("lost"), 0);
}

/// An old value ends what it ended before, and nobody who has signed in since.
#[test]
fn s34_values_that_are_told_again_end_nothing_new() {
    let fleet = Fleet::new(2);
    fleet.pass(500);
    let alice = fleet.signed_in(0, "alice");
    fleet.sign_out(0, &alice);
    fleet.until(&alice, 401, INTERVAL + AND);
    let again = fleet.signed_in(0, "alice");
    let good = fleet.redis.list.borrow()[0].clone();
    for _ in 0..50 {
        fleet.redis.list.borrow_mut().push(good.clone());
    }
    fleet.pass(INTERVAL + AND);
    assert!(fleet.all_say(&again, 200) && fleet.all_say(&alice, 401));
    assert_eq!(fleet.count("skipped"), 0);
}

/// A value that is longer than any answer may be is overwritten; what is behind it is read.
#[test]
fn s34_no_value_is_too_long_to_get_past() {
    for at_start in [true, false] {
        let fleet = Fleet::new(2);
        if !at_start {
            fleet.pass(500);
        }
        let alice = fleet.signed_in(0, "alice");
        if !at_start {
            fleet.sign_out(0, &alice);
            fleet.until(&alice, 401, INTERVAL + AND);
        }
        for _ in 0..3 {
            let mut list = fleet.redis.list.borrow_mut();
            list.push(vec![b'A'; 400_000]);
            list.push(vec![b'A'; 600_000]);
        }
        fleet.pass(3000);
        let bob = fleet.signed_in(1, "bob");
        assert!(fleet.all_say(&bob, 200));
        fleet.sign_out(1, &bob);
        fleet.until(&bob, 401, INTERVAL + AND);
        let list = fleet.redis.list.borrow();
        assert!(list.iter().all(|value| value.len() < 500_000));
    }
}

/// A stranger puts the list into another order. What an Envoy had not read stands then before the place to which it has
/// read, and the value there is the same: it sees no loss, and whoever has told that tells it again.
#[test]
fn s34_what_stands_where_an_envoy_reads_no_more_is_told_again() {
    let mut reached = 0;
    for moment in (0..1000).step_by(50) {
        let fleet = Fleet::new(3);
        fleet.pass(500 + moment);
        let people = ["alice", "bob"].map(|sub| fleet.signed_in(0, sub));
        fleet.sign_out(1, &people[0]);
        fleet.sign_out(0, &people[1]);
        fleet.redis.list.borrow_mut().push(b"strange".to_vec());
        fleet.pass(120);
        let mut list = fleet.redis.list.borrow_mut();
        list.reverse();
        list.truncate(2);
        reached += usize::from(list.len() == 2);
        drop(list);
        fleet.pass(10_000 + 2 * INTERVAL + AND);
        for browser in &people {
            assert!(
                fleet.all_say(browser, 401),
                "{moment} ms: {:?}",
                fleet.statuses(browser)
            );
        }
    }
    assert!(reached > 9, "{reached}");
}

/// Whoever changes the list all the time causes few calls and no harm.
#[test]
fn s34_a_list_that_changes_all_the_time() {
    let (fleet, [alice, bob]) = Fleet::that_one_has_left(2);
    let before = fleet.redis.calls.get();
    for round in 0..600 {
        let mut list = fleet.redis.list.borrow_mut();
        list.reverse();
        if round % 7 == 0 {
            list.truncate(1);
        }
        drop(list);
        fleet.pass(50);
    }
    let calls = fleet.redis.calls.get() - before;
    assert!(calls < 30 * 2 * 12, "{calls} calls in 30 s");
    assert!(fleet.all_say(&bob, 200) && fleet.all_say(&alice, 401));
    fleet.pass(INTERVAL + AND);
    let carol = fleet.signed_in(1, "carol");
    fleet.sign_out(1, &carol);
    fleet.until(&carol, 401, 2 * INTERVAL + AND);
}

/// Strangers claim ever more at one Envoy: people who sign out have their room everywhere.
#[test]
fn s34_claims_are_only_claims_in_other_envoys() {
    let fleet = Fleet::new(2);
    fleet.pass(500);
    let bob = fleet.signed_in(0, "bob");
    let none = crate::world::Browser::default();
    for number in 0..3000 {
        let url = format!("{APP}/staff/framed?iss=https://idp.example/&sid=x-{number}");
        let answer = fleet.worlds[0].arrive(&none, "GET", &url, &[]);
        assert_eq!(answer.unwrap().status, 200);
        if number % 500 == 0 {
            fleet.pass(10);
        }
    }
    let alice = fleet.signed_in(0, "alice");
    fleet.sign_out(0, &alice);
    fleet.until(&alice, 401, INTERVAL + AND);
    assert!(fleet.all_say(&bob, 200));
    assert!(fleet.count("dropped") > 0, "it is told of, in this Envoy");
    fleet.pass(60_000);
    assert!(fleet.redis.list.borrow().len() < 200);
    let full = |at: usize| fleet.worlds[at].process.count_of("bearer_gate.ended.full");
    assert_eq!((full(0), full(1)), (0, 0));
}
