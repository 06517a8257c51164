//! Whatever people, other sites, thieves, providers, keys and clocks do: no request is admitted with
//! another's session, nor with one that has ended or was revoked. Every attempt ends with a session
//! or with a page that says why not, after a few redirects. No good session is lost.

mod event;
mod judge;
mod model;
mod stage;

use std::fmt;

use proptest::prelude::*;

use crate::sim::properties;
use event::Event;
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

proptest! {
    #![proptest_config(properties(200))]

    #[test]
    fn nobody_is_somebody_else_and_every_attempt_ends(
        rules in event::rules(),
        Story(events) in prop::collection::vec(event::event(), 1..60).prop_map(Story),
    ) {
        let mut stage = Stage::new(rules);
        for event in events {
            stage.carry_out(event)?;
        }
        stage.finish()?;
    }
}
