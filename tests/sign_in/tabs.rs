//! A browser that opens several tabs at once, as after a restart: what it sends, and when the answers
//! reach it, is drawn.

use std::time::Duration;

use proptest::prelude::*;

use crate::sim::properties;
use crate::world::{APP, Browser, PAGE, Page, World};

const TABS: usize = 10;

/// A tab on its way to its page.
enum Tab {
    /// It is about to ask for this URL.
    Asks(String),
    /// Its request was answered, and the answer has not reached the browser.
    Answered(Page),
    /// It shows its page.
    Shows,
}

/// How often the provider was asked. Every page that is shown must be the one that was wanted. What
/// the browser asked for first is answered before anything is asked for the third time: another
/// browser's cookie can come back to each tab as often as that.
fn restore(world: &World, browser: &mut Browser, steps: &[(usize, u64)]) -> usize {
    let mut tabs: Vec<Tab> = (0..TABS)
        .map(|tab| Tab::Asks(format!("{APP}/tab-{tab}")))
        .collect();
    let mut asked = 0;
    let mut times = [0; TABS];
    // Whatever is drawn, in the end each tab has its turns.
    let rest = (0..40 * TABS).map(|at| (at, 10));
    for (at, millis) in steps.iter().copied().chain(rest) {
        world.pass(Duration::from_millis(millis));
        let at = at % TABS;
        let is_under_way =
            |(tab, times): (&Tab, &u32)| *times == 1 && matches!(tab, Tab::Answered(_));
        if times[at] == 2 && tabs.iter().zip(&times).any(is_under_way) {
            continue;
        }
        let next = match std::mem::replace(&mut tabs[at], Tab::Shows) {
            Tab::Asks(url) => {
                times[at] += 1;
                // The cookies of now; the answer's reach the browser later.
                let page = world.send(&mut browser.clone(), "GET", &url, &PAGE);
                Tab::Answered(page)
            }
            Tab::Answered(page) => {
                browser.keep("app.example", &page);
                if page.status == 200 {
                    assert_eq!(page.at_upstream(":path"), Some(&*format!("/tab-{at}")));
                    assert_eq!(page.user(), Some("alice"));
                    Tab::Shows
                } else {
                    let next = page.location();
                    Tab::Asks(if next.starts_with("https://idp.example/authorize") {
                        asked += 1;
                        world.provider.sign_in(next, "alice")
                    } else {
                        format!("{APP}{next}")
                    })
                }
            }
            Tab::Shows => Tab::Shows,
        };
        tabs[at] = next;
    }
    assert!(tabs.iter().all(|tab| matches!(tab, Tab::Shows)));
    asked
}

/// Of a browser that is new, and of one whose session has ended.
fn browsers(world: &World) -> [Browser; 2] {
    let idle = world.signed_in("alice");
    world.pass(Duration::from_secs(31 * 60));
    [Browser::default(), idle]
}

proptest! {
    #![proptest_config(properties(100))]

    #[test]
    fn tabs_that_are_restored_at_once_show_their_pages(
        steps in prop::collection::vec((0..TABS, 0..400_u64), 0..120)
    ) {
        let world = World::new();
        for mut browser in browsers(&world) {
            let asked = restore(&world, &mut browser, &steps);
            // Each asks once, and twice again at most where another one's cookie has told the browsers
            // apart; then the session of one is enough for all.
            prop_assert!(asked <= 3 * TABS, "{asked}");
        }
    }
}

/// One step of each tab, and then the next of each: nobody has an answer before all have asked.
#[test]
fn tabs_side_by_side_show_their_pages() {
    let world = World::new();
    for millis in [1, 30, 200] {
        for mut browser in browsers(&world) {
            let steps: Vec<_> = (0..20 * TABS).map(|at| (at, millis)).collect();
            restore(&world, &mut browser, &steps);
        }
    }
}
