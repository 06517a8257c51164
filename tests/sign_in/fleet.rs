//! Several Envoys that share a store: the library on several processes, in virtual time, and a store in
//! miniature that answers as webdis and Redis do, until a test has it fail, forget or lie.

mod hostile;
mod losses;
mod outages;
mod property;
mod sessions;
pub(crate) mod store;
mod times;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::sim::host::process;
use crate::world::{APP, Browser, KEY_1, Page, SCRIPT, World, config};
use store::Redis;

/// The stated time after which a sign-out holds in every Envoy: `interval` and this.
pub(crate) const AND: u64 = 1000;
const INTERVAL: u64 = 1000;
const STEP: u64 = 10;

/// Several processes and the store that they share.
pub(crate) struct Fleet {
    pub(crate) redis: Rc<Redis>,
    pub(crate) worlds: Vec<World>,
    /// When each process ticks next, in milliseconds.
    next_tick: RefCell<Vec<u64>>,
    pub(crate) now: Cell<u64>,
}

impl Fleet {
    pub(crate) fn new(count: usize) -> Self {
        Self::with(count, |_| ())
    }

    /// Two people have signed in, and the first of them has signed out, as every process knows.
    pub(crate) fn that_one_has_left(count: usize) -> (Self, [Browser; 2]) {
        let fleet = Self::new(count);
        fleet.pass(500);
        let people = ["alice", "bob"].map(|sub| fleet.signed_in(0, sub));
        fleet.sign_out(0, &people[0]);
        fleet.until(&people[0], 401, INTERVAL + AND);
        (fleet, people)
    }

    /// Processes of two workers each. `change` has the last word about their configuration.
    pub(crate) fn with(count: usize, change: fn(&mut Value)) -> Self {
        let redis = Rc::new(Redis::default());
        let world = |number: usize| {
            let process = process();
            // No two processes draw the same.
            process.random.set(number as u64 * 7919 + 1);
            let world = World::on(
                process,
                config(&[KEY_1], |config| {
                    Self::share(config, "redis");
                    change(config);
                }),
            );
            world.add_worker();
            let redis = Rc::clone(&redis);
            *world.store.borrow_mut() = Some(Rc::new(move |call| redis.answer(call)));
            world
        };
        Self {
            worlds: (0..count).map(world).collect(),
            redis,
            next_tick: RefCell::new(vec![0; count]),
            now: Cell::new(0),
        }
    }

    /// A configuration that tells a store on this host of sign-outs.
    pub(crate) fn share(config: &mut Value, host: &str) {
        config["shared_store"] = json!({"http_uri": {
            "uri": format!("http://{host}:7379/"), "cluster": "redis", "timeout": "1s",
        }});
        let scheme = &mut config["sign_in"]["schemes"]["staff"];
        scheme["backchannel_logout_path"] = json!("/staff/told");
        scheme["frontchannel_logout_path"] = json!("/staff/framed");
    }

    /// Lets this time pass everywhere, in milliseconds. Processes tick as often as they want to.
    pub(crate) fn pass(&self, millis: u64) {
        for _ in 0..millis / STEP {
            self.now.set(self.now.get() + STEP);
            self.redis.now.set(self.now.get());
            for (world, next) in self
                .worlds
                .iter()
                .zip(self.next_tick.borrow_mut().iter_mut())
            {
                if self.now.get() >= *next {
                    world.tick();
                    let period = world.process.tick_period.get().as_millis();
                    *next = self.now.get() + u64::try_from(period).unwrap();
                } else {
                    world.pass(Duration::from_millis(STEP));
                }
                world.answer_calls();
            }
        }
    }

    /// Somebody who has signed in at this process.
    pub(crate) fn signed_in(&self, at: usize, sub: &str) -> Browser {
        self.worlds[at].signed_in(sub)
    }

    /// What a worker of a process answers at once; `None` where the request waits.
    pub(crate) fn asks(&self, at: usize, worker: usize, browser: &Browser) -> Option<Page> {
        let world = &self.worlds[at];
        world.worker.set(worker);
        let asked = world.arrive(browser, "GET", &format!("{APP}/api"), &SCRIPT);
        world.worker.set(0);
        match asked {
            Ok(page) => Some(page),
            Err(waiting) => {
                world.leave(waiting);
                None
            }
        }
    }

    /// What every worker of every process answers; 0 where the request waits.
    pub(crate) fn statuses(&self, browser: &Browser) -> Vec<u32> {
        let workers = (0..self.worlds.len()).flat_map(|at| [(at, 0), (at, 1)]);
        let pages = workers.map(|(at, worker)| self.asks(at, worker, browser));
        pages
            .map(|page| page.map_or(0, |page| page.status))
            .collect()
    }

    pub(crate) fn all_say(&self, browser: &Browser, status: u32) -> bool {
        self.statuses(browser).iter().all(|said| *said == status)
    }

    /// Signs out at a process. A copy of the browser's cookies is what a thief has.
    pub(crate) fn sign_out(&self, at: usize, browser: &Browser) {
        let mut own = browser.clone();
        let page = self.worlds[at].open(&mut own, "/staff/sign-out");
        assert_eq!(page.status, 303, "{page:?}");
    }

    /// Lets time pass until every worker gives this status; how long it took, in milliseconds.
    pub(crate) fn until(&self, browser: &Browser, status: u32, limit: u64) -> u64 {
        let begun = self.now.get();
        while !self.all_say(browser, status) {
            let waited = self.now.get() - begun;
            assert!(
                waited <= limit,
                "{:?} after {waited} ms",
                self.statuses(browser)
            );
            self.pass(STEP);
        }
        self.now.get() - begun
    }

    pub(crate) fn count(&self, name: &str) -> i64 {
        let name = format!("bearer_gate.shared_store.{name}");
        let counts = self.worlds.iter();
        counts.map(|world| world.process.count_of(&name)).sum()
    }
}
