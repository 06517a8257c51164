//! Whatever happens to the store and to the processes: who has signed out is out everywhere in time, and
//! nobody else is.

use std::collections::HashSet;

use proptest::prelude::*;

use super::losses::CLAIM;
use super::store::{Mode, Redis};
use super::{AND, Fleet, INTERVAL};
use crate::sim::properties;
use crate::world::Browser;

const ENVOYS: usize = 3;

#[derive(Clone, Debug)]
enum Event {
    SignIn(usize),
    /// At this process, of one who has signed in.
    SignOut(usize, prop::sample::Index),
    Restart(usize),
    Lose(usize, usize),
    Reload(usize),
    Flush,
    Mode(Mode),
    Strange,
    /// Values in another order, or fewer.
    Shuffle(usize),
    Pass(u64),
}

fn event() -> impl Strategy<Value = Event> {
    let at = 0..ENVOYS;
    prop_oneof![
        3 => at.clone().prop_map(Event::SignIn),
        4 => (at.clone(), any::<prop::sample::Index>())
            .prop_map(|(at, who)| Event::SignOut(at, who)),
        1 => at.clone().prop_map(Event::Restart),
        1 => (at.clone(), 0..2_usize).prop_map(|(at, worker)| Event::Lose(at, worker)),
        1 => at.prop_map(Event::Reload),
        1 => Just(Event::Flush),
        3 => prop_oneof![
            3 => Just(Mode::Well),
            1 => Just(Mode::Down),
            1 => Just(Mode::Silent),
            1 => (1..30_u32).prop_map(Mode::Slow),
            1 => Just(Mode::Forgetful),
        ]
        .prop_map(Event::Mode),
        1 => Just(Event::Strange),
        1 => (0..5_usize).prop_map(Event::Shuffle),
        6 => (1..300_u64).prop_map(|steps| Event::Pass(steps * 10)),
    ]
}

proptest! {
    #![proptest_config(properties(60))]

    #[test]
    fn s34_who_has_signed_out_is_out_everywhere_and_nobody_else(
        events in prop::collection::vec(event(), 1..40),
    ) {
        let fleet = Fleet::new(ENVOYS);
        fleet.pass(500);
        let mut inside: Vec<Browser> = Vec::new();
        let mut outside: Vec<(usize, Browser)> = Vec::new();
        // They are out where they have signed out. What others know is the stranger's choice.
        let mut deleted: Vec<(usize, Browser)> = Vec::new();
        // Where no process is left that has heard of a sign-out, and the store has forgotten it, nobody
        // knows of it.
        let (mut forgotten, mut lossy, mut last) = (false, false, 0);
        let mut stranger = Stranger::default();
        for (number, event) in events.into_iter().enumerate() {
            lossy |= matches!(event, Event::Flush | Event::Shuffle(_) | Event::Mode(_));
            match event {
                Event::SignIn(at) => {
                    inside.push(fleet.signed_in_somehow(at, number));
                }
                Event::SignOut(at, who) if !inside.is_empty() => {
                    let browser = inside.swap_remove(who.index(inside.len()));
                    fleet.sign_out(at, &browser);
                    outside.push((at, browser));
                    last = fleet.now.get();
                }
                Event::SignOut(..) => {}
                Event::Restart(at) => {
                    let is_told = fleet.redis.mode.get() == Mode::Well
                        && fleet.now.get() - last > 8000 + INTERVAL + AND;
                    forgotten |= lossy || !is_told;
                    fleet.worlds[at].restart();
                }
                Event::Lose(at, worker) => fleet.worlds[at].lose(worker),
                Event::Reload(at) => {
                    let config = fleet.worlds[at].config();
                    fleet.worlds[at].reload(config);
                }
                Event::Flush => {
                    stranger.look(&fleet.redis);
                    fleet.redis.flush();
                }
                Event::Mode(mode) => fleet.redis.mode.set(mode),
                Event::Strange => {
                    let strange = format!("strange {number}").into_bytes();
                    fleet.redis.list.borrow_mut().push(strange);
                }
                Event::Shuffle(most) => {
                    if stranger.shuffles(&fleet.redis, most) {
                        deleted.append(&mut outside);
                    }
                }
                Event::Pass(millis) => fleet.pass(millis),
            }
            // Whatever happens, no session is over that nobody has ended, and an Envoy that has ended
            // one and lives never lets it through.
            for browser in &inside {
                let said = fleet.statuses(browser);
                prop_assert!(said.iter().all(|status| [200, 0, 503].contains(status)), "{said:?}");
            }
            for (at, browser) in outside.iter().chain(&deleted).filter(|_| !forgotten) {
                for worker in [0, 1] {
                    let said = fleet.asks(*at, worker, browser).map(|page| page.status);
                    prop_assert_ne!(said, Some(200));
                }
            }
        }
        fleet.redis.mode.set(Mode::Well);
        // The longest wait after failures, a lease, and what is sent again after it was lost.
        fleet.pass(32_000 + 5000 + 2000 + 2 * INTERVAL + AND);
        let all_know = || {
            for browser in &inside {
                prop_assert!(fleet.all_say(browser, 200), "{:?}", fleet.statuses(browser));
            }
            for (_, browser) in outside.iter().filter(|_| !forgotten) {
                prop_assert!(fleet.all_say(browser, 401), "{:?}", fleet.statuses(browser));
            }
            Ok(())
        };
        all_know()?;
        // Whoever was chosen to tell all and is gone has been replaced, so the store has it.
        fleet.pass(CLAIM);
        fleet.begin_anew();
        all_know()?;
    }
}

/// Who can write to the store can delete a sign-out that not all have read, where the place to which its own Envoy has
/// read looks as before.
#[derive(Default)]
struct Stranger {
    /// Each value that was at a place.
    seen: HashSet<(usize, Vec<u8>)>,
    has_removed: bool,
}

impl Stranger {
    fn look(&mut self, redis: &Redis) {
        let list = redis.list.borrow();
        self.seen.extend(list.iter().cloned().enumerate());
    }

    /// Puts the list into another order, and keeps so many values at most. Whether nobody may notice that some are gone.
    fn shuffles(&mut self, redis: &Redis, most: usize) -> bool {
        self.look(redis);
        let mut list = redis.list.borrow_mut();
        self.has_removed |= list.len() > most;
        list.reverse();
        list.truncate(most);
        let is_as_before = |value| self.seen.contains(&value);
        self.has_removed && list.iter().cloned().enumerate().any(is_as_before)
    }
}

/// What may happen where one process lives all the time, and knows who has signed out.
#[derive(Clone, Debug)]
enum Trouble {
    Flush,
    /// A part of the list is lost from its end, as where another Redis takes over.
    Half,
    Mode(Mode),
    Lose(usize, usize),
    Reload(usize),
    /// Calls arrive, and their answers do not.
    Unanswered(usize),
    /// Of the processes after the first.
    Restart(usize),
}

fn trouble() -> impl Strategy<Value = Trouble> {
    let at = 0..ENVOYS;
    prop_oneof![
        3 => Just(Trouble::Flush),
        1 => Just(Trouble::Half),
        1 => (1..8_u32).prop_map(|steps| Trouble::Mode(Mode::Slow(steps))),
        1 => Just(Trouble::Mode(Mode::Forgetful)),
        2 => Just(Trouble::Mode(Mode::Well)),
        1 => (at.clone(), 0..2_usize).prop_map(|(at, worker)| Trouble::Lose(at, worker)),
        1 => at.clone().prop_map(Trouble::Reload),
        1 => at.prop_map(Trouble::Unanswered),
        2 => (1..ENVOYS).prop_map(Trouble::Restart),
    ]
}

proptest! {
    #![proptest_config(properties(24))]

    #[test]
    fn s34_what_one_process_knows_the_store_gets_again(
        events in prop::collection::vec(
            (trouble(), prop::sample::select(vec![20_u64, 100, 300, 1200, 7000])),
            1..16,
        ),
    ) {
        let (fleet, thieves) = Fleet::that_know_it_from_the_list(3, 9);
        let bob = fleet.signed_in(0, "bob");
        for (event, then) in events {
            match event {
                Trouble::Flush => fleet.redis.flush(),
                Trouble::Half => {
                    let mut list = fleet.redis.list.borrow_mut();
                    let half = list.len() / 2;
                    list.truncate(half);
                }
                Trouble::Mode(mode) => fleet.redis.mode.set(mode),
                Trouble::Lose(at, worker) => fleet.worlds[at].lose(worker),
                Trouble::Reload(at) => fleet.worlds[at].reload(fleet.worlds[at].config()),
                Trouble::Unanswered(at) => fleet.worlds[at].lose_calls(None, true),
                Trouble::Restart(at) => fleet.worlds[at].restart(),
            }
            fleet.pass(then);
            let said = fleet.statuses(&bob);
            prop_assert!(said.iter().all(|status| [200, 0, 503].contains(status)), "{said:?}");
        }
        fleet.redis.mode.set(Mode::Well);
        fleet.pass(CLAIM + 32_000 + 2 * INTERVAL + AND);
        let length = fleet.redis.list.borrow().len();
        fleet.pass(CLAIM);
        prop_assert_eq!(fleet.redis.list.borrow().len(), length);
        fleet.begin_anew();
        prop_assert!(fleet.all_say(&bob, 200));
        for thief in &thieves {
            prop_assert!(fleet.all_say(thief, 401), "{:?}", fleet.statuses(thief));
        }
    }
}

impl Fleet {
    /// Signs in at a process, if that can be seen there at once.
    fn signed_in_somehow(&self, at: usize, number: usize) -> Browser {
        let mut browser = Browser::default();
        let sub = format!("u-{number}");
        let (page, _) = self.worlds[at].visit(&mut browser, "/", &sub);
        assert!([200, 503].contains(&page.status), "{page:?}");
        browser
    }
}
