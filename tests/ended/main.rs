//! Sessions that ended before their time, on several workers that share a store.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod invariants;
#[path = "../sim/mod.rs"]
mod sim;

use std::cell::Cell;

use bearer_gate::ended::shard::MOST;
use bearer_gate::ended::{
    Ending, Known, List, Losses, Mark, NotEnded, Now, SHARDS, TOKENS, knows_token,
};
use bearer_gate::host::{SharedStore, Version};
use bearer_gate::session::life::Session;
use sim::Store;

const ISSUER: &str = "https://idp.example/";
const START: u64 = 1_800_000_000;
const WORKERS: usize = 3;

fn session(number: u64, begun: u64, sub: &str, sid: Option<&str>) -> Known {
    refreshed(number, [begun; 2], sub, [sid, None])
}

/// `times`: when it began here, and when the ID token was issued. `sids`: what the provider says of
/// its session now, and what it said at the sign-in, if that was another one.
fn refreshed(number: u64, times: [u64; 2], sub: &str, sids: [Option<&str>; 2]) -> Known {
    let [begun, issued] = times;
    let [sid, first_sid] = sids.map(|sid| sid.map(str::to_owned));
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.to_le_bytes());
    let session = Session {
        issuer: None,
        id,
        scope: "staff".to_owned(),
        subject: sub.to_owned(),
        sid,
        auth_time: None,
        acr: None,
        started: begun,
        issued,
        seen: begun,
        idle: None,
        expires: begun + 28_800,
        claims: "{}".to_owned(),
        tokens: None,
        refreshing: None,
        first_sid,
    };
    Known::new(&session, ISSUER)
}

/// All sessions of a person, by the time of the ID token and by that of the session.
fn of_person(issuer: &str, sub: &str, until: [u64; 2]) -> Ending {
    let marks = Mark::of_subject(issuer, sub).into_iter().zip(until);
    Ending::proven(marks.collect())
}

/// Workers of one process.
struct World {
    store: Store,
    workers: Vec<List>,
    now: u64,
    random: Cell<u64>,
}

impl World {
    fn new() -> Self {
        Self::with(Store::default())
    }

    fn with(store: Store) -> Self {
        Self {
            store,
            workers: (0..WORKERS).map(|_| List::default()).collect(),
            now: START,
            random: Cell::new(0),
        }
    }

    fn split(&mut self, worker: usize) -> (&mut List, Now<'_>) {
        self.random.set(self.random.get() + 1);
        let now = Now {
            at: self.now,
            random: self.random.get(),
            store: &self.store,
        };
        (&mut self.workers[worker % WORKERS], now)
    }

    fn end(&mut self, worker: usize, ending: &Ending) -> Result<(), NotEnded> {
        let (list, now) = self.split(worker);
        list.end(ending, now)
    }

    /// What all workers count since this was asked last.
    fn losses(&mut self) -> Losses {
        let all = self.workers.iter_mut().map(List::take_losses);
        all.fold(Losses::default(), |sum, one| Losses {
            lost: sum.lost + one.lost,
            full: sum.full + one.full,
        })
    }

    fn is_over_at(&mut self, worker: usize, session: &Known) -> bool {
        let (list, now) = self.split(worker);
        list.look(now);
        list.is_over(session, now)
    }

    /// What every worker says, and one that has just started.
    fn is_over(&mut self, session: &Known) -> bool {
        let (_, now) = self.split(0);
        let mut fresh = List::default();
        fresh.look(now);
        let over = fresh.is_over(session, now);
        for worker in 0..WORKERS {
            assert_eq!(self.is_over_at(worker, session), over, "worker {worker}");
        }
        over
    }
}

#[test]
fn s24_a_session_ends_by_each_sid_that_it_had() {
    for (ended, expected) in [("first", true), ("last", true), ("other", false)] {
        for is_proven in [true, false] {
            let mut world = World::new();
            let session = refreshed(1, [START; 2], "kim", [Some("last"), Some("first")]);
            let mark = Mark::of_sid(ISSUER, ended);
            let ending = if is_proven {
                Ending::proven(vec![(mark, START)])
            } else {
                Ending::claimed(mark, START, START - 1)
            };
            world.end(0, &ending).unwrap();
            assert_eq!(world.is_over(&session), expected, "{ended} {is_proven}");
        }
    }
}

#[test]
fn s24_a_session_that_was_ended_is_over_on_every_worker_at_once() {
    let mut world = World::new();
    let sid = Some("s-1");
    let own = session(1, START, "kim", sid);
    let same_sid = session(2, START + 5, "kim", sid);
    let other_sid = session(3, START, "kim", Some("s-2"));
    let without = session(4, START, "kim", None);
    let other = session(5, START, "lee", None);
    let all = [own, same_sid, other_sid, without, other];
    let overs = |world: &mut World| all.map(|session| world.is_over(&session));
    assert_eq!(overs(&mut world), [false; 5]);
    world.end(1, &Ending::of(&own)).unwrap();
    assert_eq!(overs(&mut world), [true, false, false, false, false]);
    let marks = vec![(Mark::of_sid(ISSUER, "s-1"), START + 60)];
    world.end(0, &Ending::proven(marks)).unwrap();
    assert_eq!(overs(&mut world), [true, true, false, false, false]);
    let marks = Mark::of_subject_without_sid(ISSUER, "kim").map(|mark| (mark, START));
    world.end(2, &Ending::proven(marks.to_vec())).unwrap();
    assert_eq!(overs(&mut world), [true, true, false, true, false]);
    world.end(2, &of_person(ISSUER, "kim", [START; 2])).unwrap();
    assert_eq!(overs(&mut world), [true, true, true, true, false]);
    // Who signs in again has a session.
    assert!(!world.is_over(&session(6, START + 1, "kim", Some("s-3"))));
    // The names are those of one issuer.
    let elsewhere = of_person("https://other.example/", "lee", [START; 2]);
    world.end(2, &elsewhere).unwrap();
    assert!(!world.is_over(&other));
    assert_eq!(
        world.end(0, &Ending::claimed(Mark::of_sid(ISSUER, "s-9"), START, 0)),
        Ok(())
    );
    assert!(world.is_over(&session(7, START, "lee", Some("s-9"))));
}

/// Counts what is read.
struct Counting<'s> {
    store: &'s Store,
    reads: Cell<u32>,
}

impl SharedStore for Counting<'_> {
    fn read(&self, key: &str) -> Option<(Vec<u8>, Version)> {
        self.reads.set(self.reads.get() + 1);
        self.store.read(key)
    }

    fn write(&self, key: &str, value: &[u8], expected: Version) -> bool {
        self.store.write(key, value, expected)
    }
}

#[test]
fn a_request_costs_one_read_while_nothing_changes() {
    let mut world = World::new();
    let known = session(1, START, "kim", Some("s-1"));
    let other = session(2, START, "lee", Some("s-2"));
    let reads = |world: &World, list: &mut List| {
        let counting = Counting {
            store: &world.store,
            reads: Cell::new(0),
        };
        let now = Now {
            at: START,
            random: 7,
            store: &counting,
        };
        list.look(now);
        list.is_over(&known, now);
        counting.reads.get()
    };
    let mut list = List::default();
    assert_eq!(reads(&world, &mut list), 1);
    world.end(0, &Ending::of(&known)).unwrap();
    assert_eq!(reads(&world, &mut list), 2);
    assert_eq!(reads(&world, &mut list), 1);
    // Somebody else's sign-out costs nothing, unless it is in a shard of this session's.
    world.end(0, &Ending::of(&other)).unwrap();
    assert!(reads(&world, &mut list) <= 2);
    assert_eq!(reads(&world, &mut list), 1);
}

/// The names of what is shared when this session has ended.
fn shard_of(known: &Known) -> Vec<String> {
    let mut world = World::new();
    world.end(0, &Ending::of(known)).unwrap();
    world.store.names()
}

/// Sessions of several people whose marks are in one shard of the list.
fn in_one_shard() -> impl Iterator<Item = (u64, Known)> {
    let of = |number, begun| session(number, begun, &format!("u-{number}"), None);
    let wanted = shard_of(&of(0, START));
    (0_u64..)
        .map(move |number| (number, of(number, START + number)))
        .filter(move |(_, known)| shard_of(known) == wanted)
}

#[test]
fn a_full_shard_ends_older_sessions_and_forgets_none() {
    let mut world = World::new();
    let ended: Vec<(u64, Known)> = in_one_shard().take(MOST + 20).collect();
    for (at, (_, known)) in ended.iter().enumerate() {
        world.end(at, &Ending::of(known)).unwrap();
    }
    for (_, known) in &ended {
        assert!(world.is_over(known));
    }
    assert_eq!(world.losses(), Losses { lost: 0, full: 20 });
    assert_eq!(world.losses(), Losses::default());
    // 20 entries went: whoever began no later than the last of them is over too.
    let floor = START + ended[19].0;
    let (number, _) = in_one_shard().nth(MOST + 30).unwrap();
    let later = |begun| session(number, begun, &format!("u-{number}"), None);
    assert!(world.is_over(&later(floor)));
    assert!(!world.is_over(&later(floor + 1)));
    assert!(world.store.octets() < (SHARDS + TOKENS) * 24 * (MOST + 2));
}

/// One account that signs in and out all day.
#[test]
fn s24_one_person_who_signs_out_ever_so_often_ends_no_session_of_others() {
    let mut world = World::new();
    let robot = |number| session(number, START + 1 + number, "robot", Some("r"));
    let wanted = shard_of(&robot(0));
    // People in the same shard who began before, one half of whom signs out.
    let near = (0..).map(|number| session(number, START, &format!("n-{number}"), None));
    let near: Vec<Known> = near
        .filter(|known| shard_of(known) == wanted)
        .take(80)
        .collect();
    let (leave, stay) = near.split_at(40);
    for known in leave {
        world.end(1, &Ending::of(known)).unwrap();
    }
    let all = 8 * MOST as u64;
    // A session that is open all day, and one that begins last.
    let (old, latest) = (robot(0), robot(all));
    for number in 1..all {
        assert!(!world.is_over_at(2, &latest));
        world.end(0, &Ending::of(&robot(number))).unwrap();
        assert!(world.is_over_at(1, &robot(number)), "{number}");
    }
    for number in 1..all {
        assert!(world.is_over_at(2, &robot(number)), "{number}");
    }
    assert!(leave.iter().all(|known| world.is_over(known)));
    assert!(stay.iter().all(|known| !world.is_over(known)));
    assert!(world.is_over(&old), "it is the robot who pays");
    assert_eq!(world.losses(), Losses::default(), "and nobody else");
    assert!(!world.is_over(&latest));
    assert_eq!(world.store.names().len(), 2);
}

/// The provider's machines do not agree on the time.
#[test]
fn s24_whoever_is_signed_out_everywhere_is_so_by_any_clock() {
    for (issued, began, over) in [
        (START - 1, START - 1, true),
        (START, START, true),
        // An ID token of a machine whose clock is ahead.
        (START + 40, START - 10, true),
        (START + 40, START + 2, true),
        // Who signs in again.
        (START + 1, START + 3, false),
        (START + 4, START + 4, false),
        // A code that was redeemed after the sign-out, for an ID token from before.
        (START - 1, START + 5, true),
    ] {
        let known = |sid| refreshed(1, [began, issued], "kim", [sid, None]);
        let until = [START, START + 2];
        let mut world = World::new();
        world.end(0, &of_person(ISSUER, "kim", until)).unwrap();
        for sid in [None, Some("s-1")] {
            assert_eq!(world.is_over(&known(sid)), over, "{issued} {began} {sid:?}");
        }
        let mut world = World::new();
        let without = Mark::of_subject_without_sid(ISSUER, "kim");
        let marks = without.into_iter().zip(until).collect();
        world.end(0, &Ending::proven(marks)).unwrap();
        assert_eq!(world.is_over(&known(None)), over, "{issued} {began}");
        assert!(!world.is_over(&known(Some("s-1"))));
    }
}

#[test]
fn claims_take_no_room_from_what_was_proven_and_none_is_forgotten() {
    let mut world = World::new();
    let proven = session(1, START, "kim", Some("s-1"));
    world.end(0, &Ending::of(&proven)).unwrap();
    let claim = |number: u64, now: u64, earliest| {
        Ending::claimed(Mark::of_sid(ISSUER, &format!("x-{number}")), now, earliest)
    };
    let mut taken = Vec::new();
    let refused = (0..).find(|number| {
        let outcome = world.end(0, &claim(*number, START, START));
        taken.push(*number);
        outcome == Err(NotEnded::Full)
    });
    let refused = refused.unwrap();
    taken.pop();
    assert!(
        taken.len() >= MOST && taken.len() <= 16 * MOST,
        "{}",
        taken.len()
    );
    for number in &taken {
        let sid = format!("x-{number}");
        assert!(world.is_over_at(1, &session(7, START, "lee", Some(&sid))));
    }
    let sid = format!("x-{refused}");
    let innocent = session(8, START, "lee", Some(&sid));
    assert!(!world.is_over(&innocent), "and nobody was told so");
    // What has ended by itself makes room.
    assert_eq!(world.end(0, &claim(refused, START + 9, START + 1)), Ok(()));
    assert!(world.is_over(&innocent) && world.is_over(&proven));
    let marks = vec![(Mark::of_sid(ISSUER, "s-2"), START)];
    assert_eq!(world.end(0, &Ending::proven(marks)), Ok(()));
}

#[test]
fn a_sign_out_that_cannot_be_written_is_not_said_to_be_done() {
    let mut world = World::new();
    let known = session(1, START, "kim", None);
    world.store.lose_writes(10_000);
    assert_eq!(world.end(0, &Ending::of(&known)), Err(NotEnded::Refused));
    world.store.lose_writes(0);
    assert!(!world.is_over(&known));
    // A few that are faster are no reason.
    world.store.lose_writes(5);
    assert_eq!(world.end(0, &Ending::of(&known)), Ok(()));
    assert!(world.is_over(&known));
}

#[test]
fn a_list_that_is_lost_ends_every_session_until_then_and_no_later_one() {
    let garbage: [Option<&[u8]>; 6] = [
        None,
        Some(b""),
        Some(b"x"),
        Some(&[0xff; 700]),
        Some(b"{\"a\":1}"),
        Some(&[1, 0, 0, 0, 0, 0, 0, 0]),
    ];
    for value in garbage {
        for which in 0..2 {
            let mut world = World::new();
            let ended = session(1, START, "kim", None);
            let other = session(2, START, "lee", None);
            world.end(0, &Ending::of(&ended)).unwrap();
            // Nobody has looked at the shard yet but the one who wrote it.
            let name = world.store.names().swap_remove(which);
            world.now = START + 100;
            world.store.plant(&name, value);
            let later = session(3, START + 101, "kim", None);
            if which == 0 {
                // A worker that finds what is not ours, or that was there when it was.
                assert!(value.is_none() || world.is_over_at(1, &other), "{value:?}");
                assert!(world.is_over_at(0, &other), "{value:?}");
            }
            assert!(world.is_over_at(1, &ended) || value.is_none(), "{value:?}");
            assert!(world.is_over(&ended), "{which} {value:?}");
            assert!(!world.is_over(&later), "{which} {value:?}");
            world.end(2, &Ending::of(&later)).unwrap();
            assert!(world.is_over(&later), "{which} {value:?}");
        }
    }
}

#[test]
fn a_loss_is_counted_once() {
    for which in 0..2 {
        for value in [None, Some(&b"garbage"[..])] {
            let mut world = World::new();
            let [one, other] = [1, 2].map(|number| session(number, START, "kim", None));
            world.end(0, &Ending::of(&one)).unwrap();
            if which == 0 {
                // Only who has seen the list knows that there was one.
                (0..WORKERS).for_each(|worker| assert!(!world.is_over_at(worker, &other)));
            }
            assert_eq!(world.losses(), Losses::default());
            let name = world.store.names().swap_remove(which);
            world.store.plant(&name, value);
            for _ in 0..3 {
                (0..WORKERS).for_each(|worker| assert!(world.is_over_at(worker, &one)));
            }
            assert_eq!(
                world.losses(),
                Losses { lost: 1, full: 0 },
                "{name} {value:?}"
            );
        }
    }
}

#[test]
fn a_shard_that_is_lost_before_it_is_written_again_is_noticed() {
    for value in [None, Some(&b"garbage"[..])] {
        let mut world = World::new();
        let mut sessions = in_one_shard().map(|(_, known)| known);
        let (first, second) = (sessions.next().unwrap(), sessions.next().unwrap());
        world.end(0, &Ending::of(&first)).unwrap();
        // The writer knows the shard, and does not look at it again.
        assert!(world.is_over_at(0, &first));
        let name = world.store.names().swap_remove(1);
        world.store.plant(&name, value);
        world.now += 10_000;
        world.end(0, &Ending::of(&second)).unwrap();
        assert!(world.is_over(&first) && world.is_over(&second));
    }
}

#[test]
fn whoever_cannot_begin_the_list_anew_ends_nothing_in_the_lost_one() {
    for value in [None, Some(&b"garbage"[..])] {
        for lost in 0..200 {
            let mut world = World::new();
            let mut sessions = in_one_shard().map(|(_, known)| known);
            let (first, second) = (sessions.next().unwrap(), sessions.next().unwrap());
            world.end(0, &Ending::of(&first)).unwrap();
            let name = world.store.names().swap_remove(1);
            world.store.plant(&name, value);
            world.now += 10_000;
            // Other workers are faster that often.
            world.store.lose_writes(lost);
            let outcome = world.end(1, &Ending::of(&second));
            world.store.lose_writes(0);
            assert!(world.is_over(&first), "{lost} {value:?}");
            assert!(
                world.is_over(&second) || outcome.is_err(),
                "{lost} {value:?}"
            );
            assert!(outcome.is_ok() || lost > 60, "{lost} {value:?}");
        }
    }
}

#[test]
fn a_logout_token_is_used_once_while_it_is_remembered() {
    let mut world = World::new();
    let token = |number: u64| Mark::of_logout_token(ISSUER, &number.to_string());
    let ending = |number: u64| {
        let marks = vec![(Mark::of_sid(ISSUER, "s-1"), START)];
        Ending::proven(marks).because_of(token(number), START + number)
    };
    assert!(!knows_token(&token(1), &world.store));
    world.end(0, &ending(1)).unwrap();
    assert!(knows_token(&token(1), &world.store) && !knows_token(&token(2), &world.store));
    let all = 20_000;
    for number in 2..all {
        world.end(0, &ending(number)).unwrap();
    }
    assert!(
        !knows_token(&token(1), &world.store),
        "there is no end to them"
    );
    assert!(knows_token(&token(all - 1), &world.store));
    assert!(world.store.octets() < (SHARDS + TOKENS) * 24 * (MOST + 2));
    for name in world.store.names() {
        world.store.plant(&name, Some(b"garbage"));
    }
    assert!(!knows_token(&token(all - 1), &world.store));
    assert_eq!(world.end(0, &ending(1)), Ok(()));
    assert!(knows_token(&token(1), &world.store));
}
