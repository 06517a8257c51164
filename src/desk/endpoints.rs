//! How many calls an endpoint gets at once, and how long it gets none after failures.
//!
//! Invariants: an endpoint has at most [`MOST_CALLS`] calls in flight; after a failure it has at
//! most one, until an answer shows that it is well. Only endpoints with a call in flight or a
//! failure are remembered.

use std::rc::Rc;
use std::time::Duration;

use super::question::USUAL_REST;
use crate::document::back_off::{BackOff, Bounds, Refusal};
use crate::time::Millis;

/// The most calls of one worker to one endpoint that are in flight at once.
pub const MOST_CALLS: usize = 32;
/// The most endpoints that are remembered. Their names come from the configuration.
const MOST_ENDPOINTS: usize = 1024;
/// The first wait after a failure.
const BASE: Duration = Duration::from_millis(200);

/// The endpoints of one worker.
#[derive(Debug, Default)]
pub struct Endpoints(Vec<Endpoint>);

#[derive(Debug)]
struct Endpoint {
    name: Rc<str>,
    in_flight: usize,
    back_off: BackOff,
}

impl Endpoints {
    fn find(&self, name: &str) -> Option<&Endpoint> {
        self.0.iter().find(|endpoint| *endpoint.name == *name)
    }

    /// How long it gets no call; zero if it may get one at `now`.
    pub fn rests_for(&self, name: &str, now: Millis) -> Duration {
        match self.find(name) {
            Some(endpoint) => endpoint.back_off.remaining(now, USUAL_REST),
            None => Duration::ZERO,
        }
    }

    /// Whether one more call may be made.
    pub fn is_free(&self, name: &str, now: Millis) -> bool {
        let most = |endpoint: &Endpoint| match endpoint.back_off.failures {
            0 => MOST_CALLS,
            _ => 1,
        };
        match self.find(name) {
            Some(endpoint) => {
                endpoint.in_flight < most(endpoint) && self.rests_for(name, now).is_zero()
            }
            None => self.0.len() < MOST_ENDPOINTS,
        }
    }

    /// Notes that a call is made.
    pub fn begin(&mut self, name: &Rc<str>) {
        match self.0.iter_mut().find(|known| known.name == *name) {
            Some(endpoint) => endpoint.in_flight = endpoint.in_flight.saturating_add(1),
            None => self.0.push(Endpoint {
                name: Rc::clone(name),
                in_flight: 1,
                back_off: BackOff::default(),
            }),
        }
    }

    /// Notes that a call is over. Returns how many calls have failed in a row; 0 where this one did
    /// not fail.
    ///
    /// `failed`: what came in place of an answer, and how long the endpoint rests at most.
    pub fn end(
        &mut self,
        name: &str,
        failed: Option<(Refusal, Duration)>,
        now: Millis,
        random: u64,
    ) -> u32 {
        let at = self.0.iter().position(|known| *known.name == *name);
        let Some((at, endpoint)) = at.and_then(|at| Some((at, self.0.get_mut(at)?))) else {
            return 0;
        };
        endpoint.in_flight = endpoint.in_flight.saturating_sub(1);
        let rests = !endpoint.back_off.remaining(now, USUAL_REST).is_zero();
        match failed {
            None => endpoint.back_off = BackOff::default(),
            // It was in flight together with the one that failed before: one outage.
            Some(_) if rests => {}
            Some((refusal, longest)) => {
                let waits = Bounds {
                    base: BASE,
                    longest,
                };
                endpoint.back_off = endpoint.back_off.failed(refusal, waits, now, random);
            }
        }
        let failures = endpoint.back_off.failures;
        if endpoint.in_flight == 0 && failures == 0 {
            self.0.swap_remove(at);
        }
        failures
    }
}
