//! Requests that were let through for their `authorization` header alone, so that the next one like it
//! is not decided anew.
//!
//! Invariants:
//! - What is recalled is what the decision would be. A decision about such a request depends on what
//!   the rule asks for, on all octets of that header, on the key sets of the providers that it asked,
//!   and on the time. All of them are compared. Of a good token's claims only `exp` becomes untrue
//!   as time passes; a clock that went back recalls nothing.
//! - Only a decision by tokens that were verified for earlier requests is kept. A token that is used
//!   once takes no place from one in regular use.
//! - It is bounded in bytes.

use std::hash::RandomState;
use std::rc::Rc;

use super::{Epoch, hashed};
use crate::bytes;
use crate::config::{ProviderId, TokenAccess};
use crate::outputs::Changes;

/// How many requests share a place in the table.
const WAYS: usize = 2;
/// What an entry takes besides its texts, in bytes.
const OVERHEAD: usize = 256;

/// What a decision rests on, besides the rule and the header.
#[derive(Clone, Debug)]
pub struct Grounds {
    /// The providers whose tokens were found good, and which of their key sets did that.
    keys: Vec<(ProviderId, Epoch)>,
    /// The time of the decision, in Unix seconds.
    from: f64,
    /// The last time at which no token has expired, in Unix seconds.
    until: f64,
}

impl Grounds {
    /// Those of a decision at `now` that has found no token yet.
    pub fn at(now: f64) -> Self {
        Self {
            keys: Vec::new(),
            from: now,
            until: f64::INFINITY,
        }
    }

    /// The same with a token that this key set verified, and which expires after `until`.
    #[must_use]
    pub fn and(mut self, provider: ProviderId, keys: Epoch, until: f64) -> Self {
        self.keys.push((provider, keys));
        self.until = self.until.min(until);
        self
    }

    /// Whether a token was found.
    pub fn have_tokens(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Whether the decision would be the same at `now`. `keys`: which key set a provider has, if any.
    fn hold(&self, now: f64, mut keys: impl FnMut(ProviderId) -> Option<Epoch>) -> bool {
        let mut known = self.keys.iter();
        self.from <= now
            && now <= self.until
            && known.all(|(provider, epoch)| keys(*provider) == Some(*epoch))
    }
}

struct Known {
    access: *const TokenAccess,
    authorization: Box<[u8]>,
    grounds: Grounds,
    changes: Rc<Changes>,
}

impl Known {
    fn size(&self) -> usize {
        let outputs = self.changes.outputs.iter();
        outputs
            .map(|outputs| outputs.size())
            .fold(self.authorization.len(), usize::saturating_add)
            .saturating_add(OVERHEAD)
    }
}

/// A worker's table, for one configuration: rules are told apart by where they are.
pub(super) struct Recall {
    /// Each place has [`WAYS`] of them.
    slots: Vec<Option<Box<Known>>>,
    hash: RandomState,
    bytes: usize,
    most_bytes: usize,
    /// Where room is made next.
    hand: usize,
}

impl Recall {
    /// Of so many bytes at most, where `usual` is what a request takes.
    pub(super) fn bounded(most_bytes: usize, usual: usize) -> Self {
        let places = most_bytes.checked_div(usual).unwrap_or(0).max(1) * 2;
        let mut slots = Vec::new();
        slots.resize_with(places.next_power_of_two().saturating_mul(WAYS), || None);
        Self {
            slots,
            hash: RandomState::new(),
            bytes: 0,
            most_bytes,
            hand: 0,
        }
    }

    /// What is changed of a request with this header, where the rule asks for this.
    pub(super) fn get(
        &self,
        access: &TokenAccess,
        authorization: &[u8],
        now: f64,
        keys: impl FnMut(ProviderId) -> Option<Epoch>,
    ) -> Option<&Rc<Changes>> {
        let at = self.place(access, authorization);
        let mut known = self.slots.get(at..)?.iter().take(WAYS).flatten();
        let known = known.find(|known| {
            std::ptr::eq(known.access, access) && bytes::equal(&known.authorization, authorization)
        })?;
        known.grounds.hold(now, keys).then_some(&known.changes)
    }

    /// Keeps what was decided.
    pub(super) fn keep(
        &mut self,
        access: &TokenAccess,
        authorization: &[u8],
        grounds: Grounds,
        changes: Rc<Changes>,
    ) {
        let known = Box::new(Known {
            access,
            authorization: authorization.into(),
            grounds,
            changes,
        });
        let size = known.size();
        if size > self.most_bytes {
            return;
        }
        while self.bytes.saturating_add(size) > self.most_bytes {
            self.put(self.hand, None);
            self.hand = self.hand.wrapping_add(1) % self.slots.len().max(1);
        }
        let at = self.place(access, authorization);
        // The one that has been there for longer goes.
        self.slots.swap(at, at.saturating_add(1));
        self.put(at, Some(known));
    }

    fn put(&mut self, at: usize, known: Option<Box<Known>>) {
        if let Some(slot) = self.slots.get_mut(at) {
            let size = |slot: &Option<Box<Known>>| slot.as_ref().map_or(0, |known| known.size());
            self.bytes = self.bytes.saturating_sub(size(slot));
            self.bytes = self.bytes.saturating_add(size(&known));
            *slot = known;
        }
    }

    /// Where a request's place begins.
    fn place(&self, access: *const TokenAccess, authorization: &[u8]) -> usize {
        let hash = hashed(&self.hash, access.addr(), authorization);
        // A power of two, so that the rest is a part of the hash.
        let places = (self.slots.len() / WAYS).max(1) as u64;
        (hash % places) as usize * WAYS
    }
}

#[cfg(test)]
mod tests {
    use super::super::HASHED;
    use super::*;
    use crate::config::{Access, Config};
    use crate::http::credentials::{AUTHORIZATION, Change};
    use crate::http::name::are_alike_of_headers;

    const NOW: f64 = 1000.0;

    fn config() -> Config {
        let keys = format!(r#"{{"keys":[{}]}}"#, crate::jose::fixtures::JWK_A);
        let rule = r#"{"match": {"prefix": "/"}, "requires": {"provider_name": "p"}}"#;
        let config = format!(
            r#"{{"providers": {{"p": {{"issuer": "i", "audiences": ["a"],
                "local_jwks": {{"inline_string": {keys:?}}}}}}}, "rules": [{rule}, {rule}]}}"#
        );
        Config::parse(config.as_bytes()).unwrap()
    }

    fn accesses(config: &Config) -> Vec<&TokenAccess> {
        let rules = config.rules.all().iter();
        let access = rules.map(|rule| match &rule.access {
            Access::Token(access) => access,
            Access::Public => panic!("no rule is public"),
        });
        access.collect()
    }

    /// What tells two decisions apart.
    fn changes(name: &str) -> Rc<Changes> {
        Rc::new(Changes {
            strip: vec![Change::Remove(name.to_owned())],
            outputs: Vec::new(),
        })
    }

    fn keep(recall: &mut Recall, access: &TokenAccess, value: &[u8], name: &str) {
        recall.keep(access, value, Grounds::at(NOW), changes(name));
    }

    fn found<'r>(recall: &'r Recall, access: &TokenAccess, value: &[u8]) -> Option<&'r Change> {
        let changes = recall.get(access, value, NOW, |_| None)?;
        changes.strip.first()
    }

    #[test]
    fn values_with_one_end_are_told_apart_and_so_are_rules() {
        let config = config();
        let rules = accesses(&config);
        let mut recall = Recall::bounded(1 << 20, 2048);
        let end = [b'A'; HASHED];
        let (one, other) = ([b"1", &end[..]].concat(), [b"2", &end[..]].concat());
        let place = |value: &[u8]| recall.place(rules[0], value);
        assert_eq!(place(&one), place(&other));
        keep(&mut recall, rules[0], &one, "a");
        assert_eq!(found(&recall, rules[0], &other), None);
        assert_eq!(found(&recall, rules[1], &one), None);
        keep(&mut recall, rules[0], &other, "b");
        keep(&mut recall, rules[1], &one, "c");
        for (rule, value, name) in [(0, &one, "a"), (0, &other, "b"), (1, &one, "c")] {
            let expected = Change::Remove(name.to_owned());
            assert_eq!(found(&recall, rules[rule], value), Some(&expected));
        }
        // A third of the same place takes that of the oldest; what was kept last counts.
        let third = [b"3", &end[..]].concat();
        keep(&mut recall, rules[0], &third, "d");
        assert_eq!(found(&recall, rules[0], &one), None);
        assert!(found(&recall, rules[0], &other).is_some());
        keep(&mut recall, rules[0], &third, "e");
        let expected = Change::Remove("e".to_owned());
        assert_eq!(found(&recall, rules[0], &third), Some(&expected));
    }

    #[test]
    fn grounds_hold_from_the_decision_until_a_token_expires_and_with_the_same_keys() {
        let config = config();
        let provider = config.providers.ids().next().unwrap();
        let [own, other] = [1, 2].map(Epoch);
        let grounds = Grounds::at(NOW)
            .and(provider, own, NOW + 20.0)
            .and(provider, own, NOW + 10.0)
            .and(provider, own, f64::INFINITY);
        for (now, keys, expected) in [
            (NOW, Some(own), true),
            (NOW + 10.0, Some(own), true),
            (NOW + 10.1, Some(own), false),
            (NOW - 0.1, Some(own), false),
            (f64::NAN, Some(own), false),
            (NOW, Some(other), false),
            (NOW, None, false),
        ] {
            assert_eq!(grounds.hold(now, |_| keys), expected, "{now} {keys:?}");
        }
        assert!(!Grounds::at(NOW).have_tokens());
    }

    #[test]
    fn it_is_bounded_in_bytes() {
        const MOST: usize = 100_000;
        let config = config();
        let rules = accesses(&config);
        let mut recall = Recall::bounded(MOST, 2048);
        for n in 0..5000_usize {
            let value = [vec![b'a'; n % 3000], n.to_string().into_bytes()].concat();
            keep(&mut recall, rules[n % 2], &value, "a");
            assert!(recall.bytes <= MOST);
        }
        let kept = recall.slots.iter().flatten();
        let bytes: usize = kept.map(|known| known.size()).sum();
        assert_eq!(recall.bytes, bytes);
        assert!(bytes > MOST / 3, "{bytes}");
        // What is larger than all of it is not kept, and nothing goes for it.
        keep(&mut recall, rules[0], &vec![b'a'; MOST], "a");
        assert_eq!(recall.bytes, bytes);
    }

    #[test]
    fn no_other_name_is_taken_for_the_headers() {
        for name in [
            "author-zation",
            "authorizatio_",
            "-uthorization",
            "authorization-",
        ] {
            assert!(!are_alike_of_headers(name, AUTHORIZATION), "{name}");
        }
    }
}
