//! A cache between the Envoys and the provider, as deploy/relay has it.

use crate::dice::Dice;
use crate::provider::{Provider, Served};

/// What comes of a call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer {
    /// After how many milliseconds it is there.
    pub after: u64,
    pub reply: Served,
    /// How long it may be used, in seconds, where it says so.
    pub max_age: Option<u64>,
    /// Whether the provider was asked for it.
    pub asks: bool,
}

impl Answer {
    /// The provider's own.
    pub(crate) fn of((after, reply): (u64, Served)) -> Self {
        Self {
            after,
            reply,
            max_age: None,
            asks: true,
        }
    }
}

/// Keeps what brought keys. Who asks while such an answer is on its way waits for it. An answer that
/// is none is for one Envoy only, so that a provider that is down is asked as without a relay.
#[derive(Debug)]
pub(crate) struct Relay {
    fresh_for: u64,
    /// When the last keys arrive or arrived, in milliseconds.
    keys_at: Option<u64>,
}

impl Relay {
    /// `fresh_for`: `max-age` of the provider's answers, in seconds.
    pub(crate) fn new(fresh_for: u64) -> Self {
        Self {
            fresh_for,
            keys_at: None,
        }
    }

    pub(crate) fn call(&mut self, now: u64, provider: &mut Provider, dice: &mut Dice) -> Answer {
        let kept = |keys_at: &u64| now < keys_at + self.fresh_for * 1000;
        if let Some(keys_at) = self.keys_at.filter(kept) {
            let age = now.saturating_sub(keys_at) / 1000;
            return Answer {
                after: keys_at.saturating_sub(now) + dice.between(1, 3),
                reply: Served::Keys,
                max_age: Some(self.fresh_for - age),
                asks: false,
            };
        }
        let answer = Answer::of(provider.call(now, dice));
        if answer.reply != Served::Keys {
            return answer;
        }
        self.keys_at = Some(now + answer.after);
        Answer {
            max_age: Some(self.fresh_for),
            ..answer
        }
    }
}
