//! Whatever people, other sites and clocks do: nobody is taken for somebody else, and every attempt
//! ends.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use crate::sim::properties;
use crate::world::{APP, Browser, FROM_ELSEWHERE, PAGE, World};

const PEOPLE: [&str; 3] = ["alice", "bob", "carol"];

/// What happens next, in one of some browsers.
#[derive(Clone, Debug)]
enum Event {
    /// A person opens a page and follows where it leads, signing in if asked.
    Visit(usize),
    /// Is sent to the provider, and comes back by this URL later.
    Leave(usize),
    /// The oldest URL of all who left is opened in this browser.
    ComeBack(usize),
    SignOut(usize),
    /// Another site sends a POST.
    Forge(usize),
    /// Time passes, in minutes.
    Pass(u64),
    /// One browser's session cookie is copied to another host's jar, or cut.
    Cut(usize),
}

fn event() -> impl Strategy<Value = Event> {
    let browser = 0..PEOPLE.len();
    prop_oneof![
        4 => browser.clone().prop_map(Event::Visit),
        2 => browser.clone().prop_map(Event::Leave),
        2 => browser.clone().prop_map(Event::ComeBack),
        1 => browser.clone().prop_map(Event::SignOut),
        1 => browser.clone().prop_map(Event::Forge),
        2 => (1..45_u64).prop_map(Event::Pass),
        1 => browser.prop_map(Event::Cut),
    ]
}

/// Until when a browser's session lives at most, in Unix seconds; `None` where it has none.
#[derive(Default)]
struct Model {
    idle: BTreeMap<usize, u64>,
    end: BTreeMap<usize, u64>,
}

impl Model {
    fn may_be_alive(&self, at: usize, now: u64) -> bool {
        let before = |ends: &BTreeMap<usize, u64>| ends.get(&at).is_some_and(|end| now < *end);
        before(&self.idle) && before(&self.end)
    }
}

proptest! {
    #![proptest_config(properties(200))]

    #[test]
    fn nobody_is_somebody_else_and_every_attempt_ends(
        events in prop::collection::vec(event(), 1..40)
    ) {
        let world = World::new();
        let mut browsers = vec![Browser::default(); PEOPLE.len()];
        let mut under_way: Vec<(usize, String)> = Vec::new();
        let mut model = Model::default();
        for event in events {
            match event {
                Event::Visit(at) => {
                    let was_alive = model.may_be_alive(at, world.now());
                    let (page, asked) = world.visit(&mut browsers[at], "/page", PEOPLE[at]);
                    prop_assert_eq!(page.status, 200, "{:?}", page);
                    prop_assert_eq!(page.user(), Some(PEOPLE[at]));
                    prop_assert!(asked <= 3);
                    prop_assert!(was_alive || asked > 0, "a session from nowhere");
                    if asked > 0 {
                        model.end.insert(at, world.now() + 8 * 3600);
                    }
                    model.idle.insert(at, world.now() + 1800);
                }
                Event::Leave(at) => {
                    let page = world.open(&mut browsers[at], "/page");
                    if page.status == 303 {
                        let back = world.provider.sign_in(page.location(), PEOPLE[at]);
                        under_way.push((at, back));
                    } else {
                        prop_assert_eq!(page.user(), Some(PEOPLE[at]));
                        prop_assert!(model.may_be_alive(at, world.now()));
                        model.idle.insert(at, world.now() + 1800);
                    }
                }
                Event::ComeBack(at) => {
                    if under_way.is_empty() {
                        continue;
                    }
                    let (of, back) = under_way.remove(0);
                    let before = browsers[at].has("bg_session");
                    let page = world.come_back(&mut browsers[at], &back);
                    prop_assert!([303, 400].contains(&page.status), "{:?}", page);
                    if of != at {
                        prop_assert!(before || !browsers[at].has("bg_session"));
                    } else if browsers[at].has("bg_session") {
                        model.end.insert(at, world.now() + 8 * 3600);
                        model.idle.insert(at, world.now() + 1800);
                    }
                }
                Event::SignOut(at) => {
                    let same = [("sec-fetch-site", "same-origin")];
                    let url = format!("{APP}/staff/sign-out");
                    let page = world.send(&mut browsers[at], "POST", &url, &same);
                    prop_assert_eq!(page.status, 303);
                    prop_assert!(!browsers[at].has("bg_session"));
                    model.idle.remove(&at);
                }
                Event::Forge(at) => {
                    let url = format!("{APP}/transfer");
                    let page = world.send(&mut browsers[at], "POST", &url, &FROM_ELSEWHERE);
                    prop_assert!([401, 403].contains(&page.status));
                    prop_assert_eq!(page.upstream, None);
                }
                Event::Pass(minutes) => world.pass(Duration::from_secs(minutes * 60)),
                Event::Cut(at) => {
                    for ((_, name), value) in &mut browsers[at].jar {
                        if name.contains("bg_session") {
                            value.pop();
                        }
                    }
                    let page = world.send(&mut browsers[at], "GET", &format!("{APP}/x"), &PAGE);
                    prop_assert_eq!(page.status, 303);
                    model.idle.remove(&at);
                }
            }
        }
    }
}
