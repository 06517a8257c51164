//! How soon a sign-out holds everywhere, and that it ends nothing else.

use serde_json::json;

use super::{AND, Fleet, INTERVAL};
use crate::world::APP;

#[test]
fn s34_a_sign_out_in_one_envoy_holds_in_all_within_the_time() {
    let fleet = Fleet::new(4);
    fleet.pass(500);
    let bob = fleet.signed_in(2, "bob");
    let mut longest = 0;
    for round in 0..20 {
        let alice = fleet.signed_in(round % 4, "alice");
        assert!(fleet.all_say(&alice, 200), "one key, one session");
        // At any moment of the interval.
        fleet.pass(round as u64 * 370 % 1900);
        let at = (round + 1) % 4;
        fleet.sign_out(at, &alice);
        for worker in [0, 1] {
            let here = fleet.asks(at, worker, &alice).unwrap();
            assert_eq!(here.status, 401, "at once here");
        }
        longest = longest.max(fleet.until(&alice, 401, INTERVAL + AND));
        assert!(fleet.all_say(&bob, 200));
    }
    println!("at most {longest} ms");
    assert_eq!(
        fleet.count("failed") + fleet.count("lost") + fleet.count("skipped"),
        0
    );
    // Each process asks once in an interval, and twice more for a sign-out.
    let calls = fleet.redis.calls.get();
    let most = fleet.now.get() / INTERVAL * 4 * 2 + 20 * 8;
    assert!(u64::from(calls) < most, "{calls} of {most}");
}

#[test]
fn s34_a_sign_out_at_the_provider_holds_in_all_and_its_token_is_used_up() {
    let fleet = Fleet::new(3);
    fleet.pass(500);
    let alice = fleet.signed_in(0, "alice");
    let world = &fleet.worlds[0];
    let said = json!({"sub": "alice", "jti": "t-1"});
    let token = world.provider.logout_token(world.now(), &said);
    let told = |at: usize| {
        let answer = fleet.worlds[at].tell(&format!("{APP}/staff/told"), &token);
        answer.unwrap().status
    };
    assert_eq!(told(0), 200);
    fleet.until(&alice, 401, INTERVAL + AND);
    for at in 0..3 {
        assert_eq!(told(at), 400, "used before");
    }
}

#[test]
fn s34_sign_outs_survive_a_restart_and_the_first_requests_wait_for_them() {
    let (fleet, [alice, bob]) = Fleet::that_one_has_left(2);
    for at in [0, 1] {
        fleet.worlds[at].restart();
        for worker in [0, 1] {
            assert!(fleet.asks(at, worker, &bob).is_none(), "it waits");
        }
        let waiting = fleet.worlds[at].arrive(&alice, "GET", &format!("{APP}/api"), &[]);
        let page = fleet.worlds[at].answer_all(waiting.unwrap_err());
        assert_eq!((page.status, page.reason), (401, Some("token_missing")));
        fleet.pass(300);
        assert!(fleet.all_say(&bob, 200) && fleet.all_say(&alice, 401));
    }
}

/// Hundreds of sign-outs, more than one page of the list.
#[test]
fn s34_a_long_list_is_read_whole_before_a_session_counts() {
    let fleet = Fleet::new(2);
    fleet.pass(500);
    let bob = fleet.signed_in(0, "bob");
    let mut thieves = Vec::new();
    for number in 0..300 {
        let sub = format!("u-{number}");
        let browser = fleet.signed_in(0, &sub);
        fleet.sign_out(0, &browser);
        fleet.pass(260);
        thieves.push(browser);
    }
    fleet.pass(2000);
    assert!(fleet.redis.list.borrow().len() > 256);
    fleet.worlds[1].restart();
    for _ in 0..200 {
        let said = [0, 299].map(|number| {
            let page = fleet.asks(1, 0, &thieves[number]);
            page.map_or(0, |page| page.status)
        });
        assert!(
            said.iter().all(|status| [0, 401].contains(status)),
            "{said:?}"
        );
        fleet.pass(10);
    }
    assert!(thieves.iter().all(|browser| fleet.all_say(browser, 401)));
    assert!(fleet.all_say(&bob, 200));
}
