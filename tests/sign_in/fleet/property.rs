//! Whatever happens to the store and to the processes: who has signed out is out everywhere in time, and
//! nobody else is.

use proptest::prelude::*;

use super::store::Mode;
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
        // Where no process is left that has heard of a sign-out, and the store has forgotten it, nobody
        // knows of it.
        let (mut forgotten, mut lossy, mut last) = (false, false, 0);
        for event in events {
            lossy |= matches!(event, Event::Flush | Event::Shuffle(_) | Event::Mode(_));
            match event {
                Event::SignIn(at) => {
                    inside.push(fleet.signed_in_somehow(at, inside.len() + outside.len()));
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
                Event::Flush => fleet.redis.flush(),
                Event::Mode(mode) => fleet.redis.mode.set(mode),
                Event::Strange => fleet.redis.list.borrow_mut().push(b"strange".to_vec()),
                Event::Shuffle(most) => {
                    let mut list = fleet.redis.list.borrow_mut();
                    list.reverse();
                    list.truncate(most);
                }
                Event::Pass(millis) => fleet.pass(millis),
            }
            // Whatever happens, no session is over that nobody has ended, and an Envoy that has ended
            // one and lives never lets it through.
            for browser in &inside {
                let said = fleet.statuses(browser);
                prop_assert!(said.iter().all(|status| [200, 0, 503].contains(status)), "{said:?}");
            }
            for (at, browser) in outside.iter().filter(|_| !forgotten) {
                for worker in [0, 1] {
                    let said = fleet.asks(*at, worker, browser).map(|page| page.status);
                    prop_assert_ne!(said, Some(200));
                }
            }
        }
        fleet.redis.mode.set(Mode::Well);
        // The longest wait after failures, a lease, and what is sent again after it was lost.
        fleet.pass(32_000 + 5000 + 2000 + 2 * INTERVAL + AND);
        for browser in &inside {
            prop_assert!(fleet.all_say(browser, 200), "{:?}", fleet.statuses(browser));
        }
        for (_, browser) in outside.iter().filter(|_| !forgotten) {
            prop_assert!(fleet.all_say(browser, 401), "{:?}", fleet.statuses(browser));
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
