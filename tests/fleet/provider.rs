//! Identity providers for a fleet.

use std::collections::VecDeque;

use crate::dice::Dice;

/// How an overloaded provider asks clients to come later.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Told {
    Nothing,
    /// `Retry-After`, in seconds.
    Seconds(u64),
}

/// How many calls a provider can answer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Model {
    /// Everything.
    Well,
    /// So many calls in a second, and 429 to the rest.
    Bucket { per_second: u64, told: Told },
    /// So many calls in ten seconds, those that it refuses included.
    Window { per_ten_seconds: usize, told: Told },
    /// So many calls in a second. With more calls, no call gets an answer.
    Collapse { per_second: usize },
    /// None within these milliseconds from the start.
    Down { from: u64, until: u64 },
}

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Served {
    Keys,
    Status {
        status: u16,
        retry_after: Option<u64>,
    },
}

#[derive(Debug)]
pub(crate) struct Provider {
    model: Model,
    /// Thousandths of a call that the bucket has.
    tokens: u64,
    filled_at: u64,
    recent: VecDeque<u64>,
}

impl Provider {
    pub(crate) fn new(model: Model) -> Self {
        let tokens = match model {
            Model::Bucket { per_second, .. } => per_second * 1000,
            _ => 0,
        };
        Self {
            model,
            tokens,
            filled_at: 0,
            recent: VecDeque::new(),
        }
    }

    /// The answer to a call at `now`, and after how many milliseconds it is there.
    pub(crate) fn call(&mut self, now: u64, dice: &mut Dice) -> (u64, Served) {
        let soon = dice.between(30, 70);
        let refused = |told| Served::Status {
            status: 429,
            retry_after: match told {
                Told::Nothing => None,
                Told::Seconds(seconds) => Some(seconds),
            },
        };
        match self.model {
            Model::Well => (soon, Served::Keys),
            Model::Bucket { per_second, told } => {
                let filled = (now - self.filled_at) * per_second;
                self.filled_at = now;
                self.tokens = (self.tokens + filled).min(per_second * 1000);
                if self.tokens < 1000 {
                    return (soon, refused(told));
                }
                self.tokens -= 1000;
                (soon, Served::Keys)
            }
            Model::Window {
                per_ten_seconds,
                told,
            } => {
                if self.calls_in(now, 10_000) > per_ten_seconds {
                    return (soon, refused(told));
                }
                (soon, Served::Keys)
            }
            Model::Collapse { per_second } => {
                if self.calls_in(now, 1000) > per_second {
                    // The proxy's own time-out.
                    return (
                        5000,
                        Served::Status {
                            status: 504,
                            retry_after: None,
                        },
                    );
                }
                (soon, Served::Keys)
            }
            Model::Down { from, until } if (from..until).contains(&now) => (
                soon,
                Served::Status {
                    status: 503,
                    retry_after: None,
                },
            ),
            Model::Down { .. } => (soon, Served::Keys),
        }
    }

    /// How many calls there were in the last milliseconds, with this one.
    fn calls_in(&mut self, now: u64, millis: u64) -> usize {
        self.recent.push_back(now);
        while self.recent.front().is_some_and(|at| at + millis <= now) {
            self.recent.pop_front();
        }
        self.recent.len()
    }
}
