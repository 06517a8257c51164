//! The store has lost what it had.

use std::rc::Rc;

use serde_json::json;

use super::store::Mode;
use super::{AND, Fleet, INTERVAL, STEP};
use crate::world::{Browser, KEY_1, World, config};

/// After this a process is chosen anew: what the store remembers of the one before, until it is asked again, and then
/// until the others have read what it tells.
pub(super) const CLAIM: u64 = 12_000;

/// As after `FLUSHALL`, or where Redis keeps nothing on disk and starts again.
#[test]
fn s34_what_the_store_has_forgotten_it_is_told_again() {
    let (fleet, [alice, bob]) = Fleet::that_one_has_left(3);
    fleet.redis.flush();
    fleet.pass(2 * INTERVAL + AND);
    assert!(fleet.count("lost") >= 1);
    assert!(!fleet.redis.list.borrow().is_empty());
    // One Envoy told it, not each, and the one that had told it told it once more.
    let length = fleet.redis.list.borrow().len();
    assert!(length <= 2);
    fleet.pass(2 * CLAIM);
    assert_eq!(fleet.redis.list.borrow().len(), length);
    fleet.begin_anew();
    assert!(fleet.all_say(&bob, 200) && fleet.all_say(&alice, 401));
}

/// The Envoy that the store chooses appends what it knows. What another one had told just before, it has not read.
#[test]
fn s34_what_the_chosen_one_has_not_read_is_told_again() {
    let fleet = Fleet::new(3);
    fleet.pass(500);
    let people = ["alice", "bob"].map(|sub| fleet.signed_in(0, sub));
    fleet.sign_out(0, &people[0]);
    fleet.pass(120);
    fleet.sign_out(1, &people[1]);
    fleet.pass(210);
    // The first has read no further than to its own, and the second has read its own back.
    assert_eq!(fleet.redis.list.borrow().len(), 2);
    assert_eq!(fleet.statuses(&people[1]), [200, 200, 401, 401, 200, 200]);
    fleet.redis.flush();
    fleet.pass(2 * INTERVAL + AND);
    for browser in &people {
        assert!(fleet.all_say(browser, 401), "{:?}", fleet.statuses(browser));
    }
    // As many values as before, each told by its own Envoy and one of them by the chosen one too.
    assert!(fleet.redis.list.borrow().len() <= 4);
}

/// The store takes a sign-out, and loses it before anybody reads it.
#[test]
fn s34_what_was_taken_and_lost_is_told_again() {
    let fleet = Fleet::new(2);
    fleet.pass(500);
    let alice = fleet.signed_in(0, "alice");
    fleet.redis.mode.set(Mode::Forgetful);
    fleet.sign_out(0, &alice);
    fleet.pass(3000);
    assert!(fleet.redis.list.borrow().is_empty());
    fleet.redis.mode.set(Mode::Well);
    fleet.until(&alice, 401, 8000 + INTERVAL + AND);
    // It does not say the same for ever.
    let length = fleet.redis.list.borrow().len();
    fleet.pass(60_000);
    assert_eq!(fleet.redis.list.borrow().len(), length);
}

/// Whenever the workers die that saw the list lost, others tell what was to be told again.
#[test]
fn s34_a_worker_that_dies_after_the_list_was_lost_takes_no_sign_out_with_it() {
    for moment in (0..50).map(|number| number * 40) {
        let (fleet, [alice, bob]) = Fleet::that_one_has_left(2);
        fleet.redis.mode.set(Mode::Slow(2));
        fleet.redis.flush();
        fleet.pass(moment);
        fleet.worlds.iter().for_each(|world| world.lose(0));
        // A lease, and some calls that take 0.2 s each.
        fleet.pass(CLAIM + 2000 + 2 * INTERVAL + AND);
        fleet.redis.mode.set(Mode::Well);
        fleet.begin_anew();
        assert!(fleet.all_say(&bob, 200), "{moment} ms");
        assert!(fleet.all_say(&alice, 401), "{moment} ms");
    }
}

/// What becomes of a process that is to tell all that it knows.
#[derive(Clone, Copy, Debug)]
enum Gone {
    Workers,
    Configuration,
    Process,
    /// It goes on, and has got no answer.
    Answer,
}

/// Its command reaches the store, and it does not hear of it. Where nobody knows any more that it was chosen, or
/// how far it came, it is done again when the store forgets who was.
#[test]
fn s34_whoever_is_to_tell_all_and_is_gone_before_is_replaced() {
    use Gone::{Answer, Configuration, Process, Workers};
    for (command, gone, kept, envoys) in ["SET/bearer-gate:restoring", "RPUSH/bearer-gate:ended"]
        .into_iter()
        .flat_map(|command| [Workers, Configuration, Process, Answer].map(|gone| (command, gone)))
        .flat_map(|(command, gone)| [0, 1].map(|kept| (command, gone, kept)))
        .flat_map(|(command, gone, kept)| [1, 3].map(|envoys| (command, gone, kept, envoys)))
    {
        let nobody_knows = matches!((envoys, gone), (1, Process));
        if nobody_knows {
            continue;
        }
        let (fleet, thieves) = Fleet::that_know_it_from_the_list(envoys, 60);
        fleet.redis.mode.set(Mode::Slow(2));
        fleet.redis.list.borrow_mut().truncate(kept);
        let at = fleet.until_it_asks(command);
        let world = &fleet.worlds[at];
        fleet.redis.mode.set(Mode::Well);
        world.lose_calls(None, true);
        match gone {
            Workers => (0..2).for_each(|_| world.lose(0)),
            Configuration => world.reload(world.config()),
            Process => world.restart(),
            Answer => {}
        }
        fleet.pass(CLAIM + 2 * INTERVAL + AND);
        fleet.begin_anew();
        fleet.are_out(
            &thieves,
            &format!("{envoys}: {command} {gone:?} {kept} kept"),
        );
    }
}

/// They read seldom, and so are chosen long after another one has told all.
#[test]
fn s34_who_reads_seldom_tells_nothing_twice() {
    let fleet = Fleet::with(3, |config| {
        config["shared_store"]["interval"] = json!("20s")
    });
    fleet.pass(500);
    let thieves = fleet.have_signed_out(9);
    fleet.pass(20_000 + AND);
    fleet.begin_anew();
    fleet.redis.flush();
    fleet.pass(60_000);
    assert_eq!(fleet.redis.list.borrow().len(), 1);
    fleet.begin_anew();
    fleet.are_out(&thieves, "");
}

/// The store has lost the list once more: whole, or all but its last value, whether that was read or not.
#[test]
fn s34_a_list_that_is_lost_twice_is_told_again_twice() {
    for kept in [0, 1] {
        for between in [0, 20, 50, 100, 300, 900, 1200, 2 * CLAIM] {
            let (fleet, thieves) = Fleet::that_know_it_from_the_list(3, 9);
            fleet.redis.flush();
            fleet.until_length(1);
            fleet.pass(between);
            let mut list = fleet.redis.list.borrow_mut();
            let lost = list.len() - kept;
            list.drain(..lost);
            drop(list);
            fleet.pass(CLAIM + 2 * INTERVAL + AND);
            fleet.begin_anew();
            fleet.are_out(&thieves, &format!("{kept} kept, {between} ms"));
        }
    }
}

/// More than one value has, of which the store has lost the first ones when the last ones come.
#[test]
fn s34_a_list_that_is_lost_while_it_is_told_again_is_told_whole() {
    let (fleet, thieves) = Fleet::that_know_it_from_the_list(3, 600);
    for values in [1, 2] {
        fleet.redis.mode.set(Mode::Slow(2));
        fleet.redis.flush();
        fleet.until_length(values);
        fleet.redis.list.borrow_mut().clear();
        fleet.pass(1000);
        fleet.redis.mode.set(Mode::Well);
        fleet.pass(CLAIM + 2 * INTERVAL + AND);
        fleet.begin_anew();
        fleet.are_out(&thieves, &format!("after {values} values"));
    }
}

/// The store has lost the list, and for some time whatever it is told, too.
#[test]
fn s34_a_store_that_keeps_nothing_is_told_until_it_does() {
    for span in [2000, 50_000] {
        let (fleet, thieves) = Fleet::that_know_it_from_the_list(3, 9);
        fleet.redis.flush();
        fleet.redis.mode.set(Mode::Forgetful);
        let before = fleet.redis.calls.get();
        fleet.pass(span);
        let calls = u64::from(fleet.redis.calls.get() - before);
        assert!(calls < 3 * 12 * span / 1000, "{calls} calls in {span} ms");
        fleet.redis.mode.set(Mode::Well);
        fleet.pass(2 * CLAIM + 32_000);
        fleet.begin_anew();
        fleet.are_out(&thieves, &format!("{span} ms"));
    }
}

/// One Envoy was cut off from the store, and comes back when the list is lost.
#[test]
fn s34_who_knows_less_does_not_tell_all() {
    for moment in [0, 400, 900] {
        let fleet = Fleet::new(2);
        fleet.pass(500);
        let to_store = fleet.worlds[1].store.replace(Some(Rc::new(|_| None)));
        let thieves = fleet.have_signed_out(40);
        fleet.pass(3000);
        // Nobody has told it, of the processes that live.
        fleet.worlds[0].restart();
        fleet.pass(2000 + moment);
        fleet.redis.flush();
        fleet.worlds[1].store.replace(to_store);
        fleet.pass(CLAIM + 5000 + 2 * INTERVAL + AND);
        fleet.begin_anew();
        fleet.are_out(&thieves, &format!("{moment} ms"));
    }
}

/// One Envoy tells of a sign-out, another one reads that, and the first dies with the store. The third, which has not
/// read it, may be chosen.
#[test]
fn s34_what_one_has_read_is_told_again_whoever_is_chosen() {
    let mut reached = 0;
    for moment in (0..1000).step_by(50) {
        let (fleet, _) = Fleet::that_one_has_left(3);
        // They read at different moments.
        fleet.pass(3000 + moment);
        fleet.worlds[2].restart();
        fleet.pass(3400);
        let carol = fleet.signed_in(0, "carol");
        fleet.sign_out(0, &carol);
        let knows = |at: usize| {
            let page = fleet.asks(at, 0, &carol);
            page.is_some_and(|page| page.status == 401)
        };
        let mut steps = 0..200;
        while steps.next().is_some() && knows(1) == knows(2) {
            fleet.pass(STEP);
        }
        reached += usize::from(knows(1) != knows(2));
        fleet.redis.flush();
        fleet.worlds[0].restart();
        fleet.pass(CLAIM + 2 * INTERVAL + AND);
        fleet.are_out(&[carol], &format!("{moment} ms"));
    }
    assert!(reached > 9, "{reached}");
}

/// All Envoys get a configuration with another store, which is empty.
#[test]
fn s34_another_store_is_told_what_the_first_one_had() {
    let (fleet, thieves) = Fleet::that_know_it_from_the_list(3, 9);
    fleet.redis.flush();
    for world in &fleet.worlds {
        world.reload(config(&[KEY_1], |config| {
            Fleet::share(config, "other-redis");
        }));
    }
    fleet.pass(CLAIM + 2 * INTERVAL + AND);
    fleet.begin_anew();
    fleet.are_out(&thieves, "another store");
}

/// Somebody else has written what says that an Envoy is chosen, and it does not end.
#[test]
fn s34_whoever_seems_to_be_chosen_for_ever_stops_nobody() {
    let (fleet, thieves) = Fleet::that_know_it_from_the_list(3, 9);
    fleet.redis.flush();
    fleet.redis.restoring_until.set(u64::MAX);
    fleet.pass(60_000 + CLAIM);
    fleet.begin_anew();
    fleet.are_out(&thieves, "chosen for ever");
    // It was told by each at most.
    assert!(fleet.redis.list.borrow().len() <= 3);
}

/// An Envoy that was still reading when the list was lost knows less than the others, and does not tell in their place.
#[test]
fn s34_who_has_not_read_all_does_not_tell_all() {
    let fleet = Fleet::new(2);
    fleet.pass(500);
    let mut thieves = Vec::new();
    for number in 0..300 {
        let browser = fleet.signed_in(0, &format!("u-{number}"));
        fleet.sign_out(0, &browser);
        fleet.pass(260);
        thieves.push(browser);
    }
    fleet.pass(2000);
    fleet.worlds[0].restart();
    fleet.pass(2000);
    fleet.redis.mode.set(Mode::Slow(2));
    fleet.worlds[1].restart();
    // The first page was read, and the next one was not.
    assert_eq!(fleet.until_it_asks("LRANGE/bearer-gate:ended/255/"), 1);
    fleet.redis.flush();
    fleet.redis.mode.set(Mode::Well);
    fleet.pass(CLAIM + 2 * INTERVAL + AND);
    fleet.begin_anew();
    fleet.are_out(&thieves, "");
}

impl Fleet {
    /// So many have signed out, as every process knows from the list: none has told it itself.
    pub(super) fn that_know_it_from_the_list(envoys: usize, people: usize) -> (Self, Vec<Browser>) {
        let fleet = Self::new(envoys);
        fleet.pass(500);
        let thieves = fleet.have_signed_out(people);
        // Those of one moment are one value, of 32.
        fleet.pass(people as u64 * 10 + 2 * INTERVAL + AND);
        fleet.begin_anew();
        fleet.are_out(&thieves, "at the start");
        (fleet, thieves)
    }

    /// So many sign in at the first process, and out.
    fn have_signed_out(&self, people: usize) -> Vec<Browser> {
        let sign_out = |number| {
            let browser = self.signed_in(0, &format!("u-{number}"));
            self.sign_out(0, &browser);
            browser
        };
        (0..people).map(sign_out).collect()
    }

    /// Every worker of every process says so.
    pub(super) fn are_out(&self, thieves: &[Browser], when: &str) {
        let inside = thieves.iter().filter(|thief| !self.all_say(thief, 401));
        assert_eq!(inside.count(), 0, "of {}: {when}", thieves.len());
    }

    /// Lets time pass until the list has so many values.
    fn until_length(&self, values: usize) {
        let mut steps = 0..1000;
        while self.redis.list.borrow().len() < values {
            assert!(steps.next().is_some(), "there never are {values} values");
            self.pass(STEP);
        }
    }

    /// Every process ends, and another one takes its place, which knows what the store has.
    pub(super) fn begin_anew(&self) {
        self.worlds.iter().for_each(World::restart);
        self.pass(500);
    }

    /// Lets time pass until a process has asked the store for something that begins like this; which one.
    pub(super) fn until_it_asks(&self, command: &str) -> usize {
        let asks = |world: &World| {
            let calls = world.process.calls.borrow();
            calls
                .iter()
                .any(|(_, call)| call.body.starts_with(command.as_bytes()))
        };
        for _ in 0..1000 {
            if let Some(at) = self.worlds.iter().position(asks) {
                return at;
            }
            self.pass(STEP);
        }
        panic!("nobody asks for {command}");
    }
}
