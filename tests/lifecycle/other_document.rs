//! Another kind of document has the same life: a list of ended sessions, in two parts. It has
//! nothing to do with keys.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use bearer_gate::document::MAX_DOCUMENT;
use bearer_gate::document::event::Event;
use bearer_gate::document::fetch::{Document, FetchError};
use bearer_gate::document::finding::Finding;
use bearer_gate::document::lifecycle::Early;
use bearer_gate::document::source::{Content, Fetched, Next, Source};
use bearer_gate::document::times::Times;
use bearer_gate::host::{Call, Reply};
use bearer_gate::http::uri::Uri;

use crate::SECOND;
use crate::sim::{self, SET_A, Store, World, ok, remote, status};

/// The address of the first part. Its first line is the issue of the list, its second line the
/// address of the rest.
const HEAD: &str = "https://sessions.test/head";

/// A list of sessions that have ended. With `true` it is another kind of document, whose sources
/// have the same names.
#[derive(Debug)]
struct EndedSessions<const OTHER: bool = false>(Times);

#[derive(Debug)]
enum Stage {
    Head,
    /// The rest, of this issue.
    Rest(String),
}

/// What decisions use of it.
#[derive(Debug, Clone)]
struct Ended {
    issue: String,
    sessions: Rc<BTreeSet<String>>,
}

fn call(uri: &str) -> Option<Call> {
    let uri = Uri::parse(uri).ok()?;
    Some(Call::get(
        uri,
        "sessions",
        Duration::from_secs(2),
        MAX_DOCUMENT,
    ))
}

/// Each line begins with `sid=`.
fn parse(text: &str) -> Option<BTreeSet<String>> {
    let sessions = text.lines().map(|line| line.strip_prefix("sid="));
    sessions.map(|sid| sid.map(str::to_owned)).collect()
}

fn head(document: Document) -> Result<(Stage, Call), FetchError> {
    let wrong = document.not_read("not the head of a list");
    let text = document.into_text()?;
    let (issue, place) = text.split_once('\n').ok_or(wrong.clone())?;
    let rest = call(place).ok_or(wrong)?;
    Ok((Stage::Rest(issue.to_owned()), rest))
}

fn rest(document: Document, issue: String) -> Result<Fetched, FetchError> {
    let wrong = document.not_read("not a list of sessions");
    let max_age = document.max_age;
    let document = document.into_text()?;
    let sessions = parse(&document).ok_or(wrong)?;
    Ok(Fetched {
        found: format!("{} sessions", sessions.len()),
        skipped: Vec::new(),
        max_age,
        content: Content {
            document,
            notes: issue,
        },
    })
}

impl<const OTHER: bool> Source for EndedSessions<OTHER> {
    const KIND: &'static str = if OTHER { "other" } else { "ended-sessions" };
    type Stage = Stage;
    type Value = Ended;

    fn name(&self) -> String {
        HEAD.to_owned()
    }

    fn times(&self) -> &Times {
        &self.0
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(2)
    }

    fn longest(&self) -> Duration {
        Duration::from_secs(4)
    }

    fn first(&self, _: Option<&Self::Value>) -> Option<(Stage, Call)> {
        Some((Stage::Head, call(HEAD)?))
    }

    fn next(&mut self, stage: Stage, answer: Reply) -> Next<Stage> {
        let document = match answer.document() {
            Ok(document) => document,
            Err(error) => return Next::Failed(error),
        };
        match stage {
            Stage::Head => {
                let next = head(document);
                next.map_or_else(Next::Failed, |(stage, call)| Next::Call(stage, call))
            }
            Stage::Rest(issue) => rest(document, issue).map_or_else(Next::Failed, Next::Done),
        }
    }

    fn read(&self, content: &Content, before: Option<(&Content, &Ended)>) -> Option<Ended> {
        let sessions = match before.filter(|(before, _)| before.document == content.document) {
            Some((_, same)) => Rc::clone(&same.sessions),
            None => Rc::new(parse(&content.document)?),
        };
        Some(Ended {
            issue: content.notes.clone(),
            sessions,
        })
    }
}

fn world(workers: usize, times: Times) -> World<EndedSessions> {
    World::sharing(Store::default(), workers, 1, move || EndedSessions(times))
}

fn head_of(issue: &str) -> Reply {
    ok(&format!("{issue}\nhttps://sessions.test/{issue}"))
}

/// Answers both calls of a fetch.
fn answer(world: &mut World<EndedSessions>, issue: &str, list: &str) {
    world.answer_when_asked(head_of(issue));
    assert_eq!(world.calls[0].call.path, format!("/{issue}"));
    world.answer(ok(list));
    world.tick_urgently();
}

fn ended(world: &World<EndedSessions>, worker: usize) -> Ended {
    match world.value(worker) {
        Finding::Ready(ended) => ended.clone(),
        other => panic!("{other:?}"),
    }
}

/// Whether the worker takes this session for an ended one.
fn has_ended(world: &World<EndedSessions>, worker: usize, sid: &str) -> bool {
    ended(world, worker).sessions.contains(sid)
}

#[test]
fn a_list_is_fetched_once_for_all_workers() {
    let mut world = world(4, sim::times());
    world.tick_all();
    assert_eq!(world.calls.len(), 1, "one worker fetches");
    assert!(matches!(world.value(3), Finding::Pending));
    answer(&mut world, "one", "sid=a\nsid=b\n");
    for worker in 0..4 {
        assert!(has_ended(&world, worker, "a"));
        assert!(!has_ended(&world, worker, "c"));
        assert_eq!(ended(&world, worker).issue, "one");
    }
    world.advance(30 * SECOND);
    assert_eq!(world.dispatched, 2, "the head and the rest");
    assert_eq!(world.most_calls_under_one_lease, 1);
    let fetched = world.events.iter().find_map(|event| match event {
        Event::Fetched { found, .. } => Some(found.as_str()),
        _ => None,
    });
    assert_eq!(fetched, Some("2 sessions"));
}

#[test]
fn another_worker_takes_a_list_over_from_a_dead_holder() {
    let mut world = world(3, sim::times());
    world.tick_all();
    world.answer(head_of("one"));
    let sent = world.now;
    world.kill(world.calls[0].worker);
    while world.dispatched == 2 {
        world.advance(10);
    }
    let taken_over = world.now.since(sent);
    assert!(taken_over >= Duration::from_secs(4), "{taken_over:?}");
    assert!(taken_over <= Duration::from_secs(5), "{taken_over:?}");
    assert_eq!(world.calls[0].call.path, "/head", "from the beginning");
    answer(&mut world, "one", "sid=a");
    assert!(has_ended(&world, 2, "a"));
}

#[test]
fn an_abandoned_call_is_taken_over_at_once() {
    let mut world = world(2, sim::times());
    world.tick_all();
    let holder = world.calls[0].worker;
    world.abandon(holder);
    world.pass(10);
    world.tick(1 - holder);
    assert_eq!(world.calls[0].worker, 1 - holder);
    answer(&mut world, "one", "sid=a");
    assert!(has_ended(&world, holder, "a"));
}

#[test]
fn a_bad_list_keeps_the_good_one_and_backs_off() {
    let bad = [
        (status(500), "status 500"),
        (ok("no second line"), "not the head of a list: it "),
        (ok("<html>\n"), "not the head of a list: it is HTML or XML"),
        (Reply::None, "no response"),
    ];
    for (bad, told) in bad {
        let mut world = world(2, sim::times());
        answer(&mut world, "one", "sid=a");
        world.events.clear();
        world.answer_when_asked(bad);
        let Some(Event::Failed { error, asked, .. }) = world.events.pop() else {
            panic!("{told}");
        };
        assert!(error.to_string().starts_with(told), "{error}");
        assert_eq!(asked, r#""https://sessions.test/head" by cluster sessions"#);
        assert!(world.calls.is_empty(), "it backs off");
        let failed = world.now;
        for worker in 0..2 {
            assert!(has_ended(&world, worker, "a"), "{told}");
        }
        answer(&mut world, "two", "sid=b");
        assert!(world.now.since(failed) >= Duration::from_millis(100));
        for worker in 0..2 {
            assert!(has_ended(&world, worker, "b") && !has_ended(&world, worker, "a"));
        }
    }
    // The second part may be as bad as the first.
    let mut world = world(1, sim::times());
    answer(&mut world, "one", "sid=a");
    world.answer_when_asked(head_of("two"));
    world.answer(ok("name=b"));
    assert!(has_ended(&world, 0, "a"));
    assert_eq!(ended(&world, 0).issue, "one");
}

#[test]
fn nobody_decides_by_an_old_list() {
    let mut times = sim::times();
    times.cache_duration = Duration::from_secs(10);
    times.max_stale = Duration::from_secs(20);
    let mut world = world(2, times);
    answer(&mut world, "one", "sid=a");
    let fetched = world.now;
    while world.now.since(fetched) < Duration::from_secs(40) {
        while !world.calls.is_empty() {
            world.answer(status(503));
        }
        world.advance(50);
        let is_old = world.now.since(fetched) >= Duration::from_secs(30);
        for worker in 0..2 {
            let is_there = matches!(world.value(worker), Finding::Ready(_));
            assert_eq!(is_there, !is_old, "{:?}", world.now.since(fetched));
        }
    }
    let expired = |event: &&Event| **event == Event::Expired;
    assert_eq!(world.events.iter().filter(expired).count(), 2);
    assert!(matches!(world.value(0), Finding::Unavailable { .. }));
    answer(&mut world, "two", "sid=b");
    assert!(has_ended(&world, 1, "b"));
}

#[test]
fn what_did_not_change_stays_in_place() {
    let mut world = world(2, sim::times());
    answer(&mut world, "one", "sid=a");
    let before = [ended(&world, 0), ended(&world, 1)];
    answer(&mut world, "two", "sid=a");
    for (worker, before) in before.iter().enumerate() {
        let after = ended(&world, worker);
        assert!(Rc::ptr_eq(&before.sessions, &after.sessions));
        assert_eq!(after.issue, "two");
    }
}

#[test]
fn a_newer_list_is_fetched_early_and_not_too_often() {
    let mut world = world(2, sim::times());
    answer(&mut world, "one", "sid=a");
    for issue in ["two", "three"] {
        let came = world.workers[0].seen();
        assert_eq!(world.ask_early(0), Early::Pending);
        assert!(!world.workers[0].is_newer_than(came));
        answer(&mut world, issue, "sid=a");
        assert!(world.workers[0].is_newer_than(came));
    }
    for worker in 0..2 {
        let Early::Unavailable { retry_after } = world.ask_early(worker) else {
            panic!("two fetches are all that may follow each other at once");
        };
        assert!(retry_after <= Duration::from_secs(30), "{retry_after:?}");
    }
    world.advance(30 * SECOND);
    assert_eq!(world.ask_early(1), Early::Pending);
}

#[test]
fn two_kinds_of_documents_share_nothing() {
    let store = Store::default();
    let mut keys = World::on(store.clone(), 1, remote(), 1);
    let times = sim::times();
    let mut lists: World<EndedSessions> =
        World::sharing(store.clone(), 1, 2, move || EndedSessions(times));
    keys.settle_with(SET_A);
    lists.tick_all();
    answer(&mut lists, "one", "sid=a");
    keys.advance(2 * SECOND);
    assert_eq!(keys.kids(0), ["a"]);
    assert!(has_ended(&lists, 0, "a"));

    // Two kinds share nothing even if their sources have the same name.
    let mut namesake = World::sharing(store, 1, 3, move || EndedSessions::<true>(times));
    namesake.now = lists.now;
    namesake.tick_all();
    assert!(matches!(namesake.value(0), Finding::Pending));
}
