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
    /// When it was asked for what is in it, in milliseconds.
    pub asked_at: u64,
}

impl Answer {
    /// The provider's own.
    pub(crate) fn of((after, reply): (u64, Served), now: u64) -> Self {
        Self {
            after,
            reply,
            max_age: None,
            asks: true,
            asked_at: now,
        }
    }
}

/// Keeps what brought keys. Who asks while such an answer is on its way waits for it. An answer that
/// is none is for one Envoy only, so that a provider that is down is asked as without a relay.
#[derive(Debug)]
pub(crate) struct Relay {
    fresh_for: u64,
    /// Of the copy for everybody, and of the one for those that say how old it may be: when it was asked for, and when
    /// it arrives or arrived, in milliseconds.
    copies: [Option<(u64, u64)>; 2],
}

impl Relay {
    /// `fresh_for`: `max-age` of the provider's answers, in seconds.
    pub(crate) fn new(fresh_for: u64) -> Self {
        Self {
            fresh_for,
            copies: [None; 2],
        }
    }

    /// `max_age`: how old the answer may be, in seconds, for who says so.
    pub(crate) fn call(
        &mut self,
        now: u64,
        max_age: Option<u64>,
        provider: &mut Provider,
        dice: &mut Dice,
    ) -> Answer {
        let longest = max_age.map_or(self.fresh_for, |max_age| max_age.min(self.fresh_for));
        let copy = &mut self.copies[usize::from(max_age.is_some())];
        let kept = |(_, keys_at): &(u64, u64)| now < keys_at + longest * 1000;
        if let Some((asked_at, keys_at)) = copy.filter(kept) {
            let age = now.saturating_sub(keys_at) / 1000;
            return Answer {
                after: keys_at.saturating_sub(now) + dice.between(1, 3),
                reply: Served::Keys,
                max_age: Some(self.fresh_for - age),
                asks: false,
                asked_at,
            };
        }
        let answer = Answer::of(provider.call(now, dice), now);
        if answer.reply != Served::Keys {
            return answer;
        }
        *copy = Some((now, now + answer.after));
        Answer {
            max_age: Some(self.fresh_for),
            ..answer
        }
    }
}
