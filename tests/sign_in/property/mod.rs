//! Whatever people, other sites, thieves, providers, keys and clocks do: no request is admitted with
//! another's session, nor with one that has ended or was revoked. Every attempt ends with a session
//! or with a page that says why not, after a few redirects. No good session is lost.

mod event;
mod judge;
mod model;
mod stage;
mod trouble;

use std::fmt;

use proptest::prelude::*;

use crate::sim::properties;
use event::{Event, Rules};
use judge::Judged;
use stage::Stage;

/// What happens, shown as one line for each event.
struct Story(Vec<Event>);

impl fmt::Debug for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|event| {
            let shown = format!("{event:?}");
            write!(f, "\n    {shown},")
        })
    }
}

fn story(event: impl Strategy<Value = Event>) -> impl Strategy<Value = Story> {
    prop::collection::vec(event, 1..60).prop_map(Story)
}

fn play(rules: Rules, events: Vec<Event>) -> Judged {
    let mut stage = Stage::new(rules);
    for event in events {
        stage.carry_out(event)?;
    }
    stage.finish()
}

proptest! {
    #![proptest_config(properties(200))]

    #[test]
    fn nobody_is_somebody_else_and_every_attempt_ends(
        rules in event::rules(false),
        Story(events) in story(event::event()),
    ) {
        play(rules, events)?;
    }

    /// What the cookies have otherwise is in the shared store, which is down, slow or forgets.
    #[test]
    fn nobody_is_somebody_else_by_what_the_store_has(
        rules in event::rules(true),
        Story(events) in story(event::event_with_store()),
    ) {
        play(rules, events)?;
    }
}
