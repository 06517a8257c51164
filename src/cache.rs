//! Verified tokens, so that the next request with the same token need not verify it again.
//!
//! Invariants: it holds only the [`VerifiedClaims`] of tokens, which are found by all of the token's
//! bytes. A token is found only with the very key set that verified it. The cache is bounded in
//! bytes. A hit proves the signature and what does not change with time: the times and the rule's
//! demands are checked again.
//!
//! The key of a token is a hash of its provider and its end, keyed at random: a signature tells
//! tokens apart as well as all of their bytes do. If two tokens have one hash, the later one is
//! kept. A token that was used once is evicted first: a flood of one-time tokens does not evict the
//! tokens in regular use.

mod recall;

use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;

use quick_cache::Weighter;
use quick_cache::unsync::Cache;

use crate::bytes;
use crate::config::{PerProvider, Provider, ProviderId, TokenAccess};
use crate::jose::jwks::KeySet;
use crate::jose::jwt::VerifiedClaims;
use crate::outputs::{Changes, Outputs};

pub use recall::Grounds;
use recall::Recall;

/// What a worker's cache holds, in bytes as [`Entry::size`] estimates, where the configuration
/// does not ask for room for more.
const USUAL_BYTES: u64 = 8 * 1024 * 1024;
/// The most that a configuration can get: a VM has 1 GiB.
const MOST_BYTES: u64 = 512 * 1024 * 1024;
/// What a token of the usual size takes, in bytes.
const USUAL_TOKEN: u64 = 4096;
/// What an entry takes besides its texts and values, in bytes.
const OVERHEAD: usize = 512;
/// What is hashed of a token, in bytes from its end. Its signature is longer, or nearly as long.
const HASHED: usize = 64;

/// What is kept of a token.
#[derive(Debug)]
pub struct Entry {
    /// The token's claims, checked again before each use.
    pub verified: VerifiedClaims,
    /// What is passed on of it, ready to be sent.
    pub outputs: Rc<Outputs>,
}

impl Entry {
    fn size(&self, token: &[u8]) -> usize {
        token
            .len()
            .saturating_add(self.verified.claims().size())
            .saturating_add(self.outputs.size())
            .saturating_add(OVERHEAD)
    }
}

struct Stored {
    token: Box<[u8]>,
    provider: ProviderId,
    /// The provider's key set that verified it.
    epoch: Epoch,
    entry: Rc<Entry>,
}

#[derive(Clone)]
struct BySize;

impl Weighter<u64, Stored> for BySize {
    fn weight(&self, _: &u64, stored: &Stored) -> u64 {
        u64::try_from(stored.entry.size(&stored.token)).unwrap_or(u64::MAX)
    }
}

/// One of the key sets that a provider has had. What is kept names it in place of holding it: an old
/// set takes no memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch(u64);

#[derive(Clone)]
struct OfProvider {
    /// The key set of now, and how many there were.
    keys: Option<Rc<KeySet>>,
    epoch: Epoch,
    /// The length of the longest token that is kept.
    longest: usize,
}

/// The cache of one worker and configuration.
pub struct TokenCache {
    tokens: Cache<u64, Stored, BySize, RandomState>,
    hash: RandomState,
    of_providers: PerProvider<OfProvider>,
    recall: Recall,
    /// Look-ups that found a token since they were last counted, and that did
    /// not.
    lookups: (u64, u64),
}

impl TokenCache {
    /// For these providers, with as much room as they ask for together.
    pub fn new(providers: &PerProvider<Provider>) -> Self {
        let asked = providers
            .iter()
            .filter_map(|provider| provider.cache.tokens)
            .fold(0, usize::saturating_add);
        let asked = u64::try_from(asked).unwrap_or(u64::MAX);
        let most_bytes = asked
            .saturating_mul(USUAL_TOKEN)
            .clamp(USUAL_BYTES, MOST_BYTES);
        let longest = providers.map(|provider| provider.cache.longest.unwrap_or(usize::MAX));
        Self::bounded(&longest, most_bytes)
    }

    fn bounded(longest: &PerProvider<usize>, most_bytes: u64) -> Self {
        Self {
            tokens: Cache::with(
                usize::try_from(most_bytes / USUAL_TOKEN).unwrap_or(usize::MAX),
                most_bytes,
                BySize,
                RandomState::new(),
                quick_cache::unsync::DefaultLifecycle::default(),
            ),
            hash: RandomState::new(),
            of_providers: longest.map(|longest| OfProvider {
                keys: None,
                epoch: Epoch(0),
                longest: *longest,
            }),
            recall: Recall::bounded(
                usize::try_from(most_bytes / 2).unwrap_or(usize::MAX),
                (USUAL_TOKEN / 2) as usize,
            ),
            lookups: (0, 0),
        }
    }

    /// What was decided of an earlier request with this `authorization` that a rule asked for the same,
    /// where it would be decided so at `now`, in Unix seconds. `keys`: the key set of a provider, if it
    /// has one.
    pub fn recall(
        &mut self,
        access: &TokenAccess,
        authorization: &[u8],
        now: f64,
        keys: impl Fn(ProviderId) -> Option<Rc<KeySet>>,
    ) -> Option<Rc<Changes>> {
        let of_providers = &mut self.of_providers;
        let epoch = |provider| Some(of_providers[provider].epoch(&keys(provider)?));
        let found = self.recall.get(access, authorization, now, epoch);
        let found = found.map(Rc::clone);
        if found.is_some() {
            self.lookups.0 = self.lookups.0.saturating_add(1);
        }
        found
    }

    /// Keeps what was decided of a request by what stands in its `authorization` and nothing else.
    pub fn keep(
        &mut self,
        access: &TokenAccess,
        authorization: &[u8],
        grounds: Grounds,
        changes: &Rc<Changes>,
    ) {
        self.recall
            .keep(access, authorization, grounds, Rc::clone(changes));
    }

    /// What is kept of `token` for the provider, if `keys` verified it; and which of its key sets they are.
    pub fn get(
        &mut self,
        provider: ProviderId,
        token: &[u8],
        keys: &Rc<KeySet>,
    ) -> Option<(Rc<Entry>, Epoch)> {
        let epoch = self.of_providers[provider].epoch(keys);
        let found = self
            .tokens
            .get(&self.file(provider, token))
            .filter(|stored| stored.provider == provider && stored.epoch == epoch)
            .filter(|stored| bytes::equal(&stored.token, token))
            .map(|stored| Rc::clone(&stored.entry));
        let (hits, misses) = &mut self.lookups;
        let count = if found.is_some() { hits } else { misses };
        *count = count.saturating_add(1);
        Some((found?, epoch))
    }

    /// Keeps a token that `keys` verified.
    pub fn insert(
        &mut self,
        provider: ProviderId,
        token: &[u8],
        keys: &Rc<KeySet>,
        entry: Rc<Entry>,
    ) {
        let epoch = self.of_providers[provider].epoch(keys);
        if token.len() <= self.of_providers[provider].longest {
            let stored = Stored {
                token: token.into(),
                provider,
                epoch,
                entry,
            };
            self.tokens.insert(self.file(provider, token), stored);
        }
    }

    /// The look-ups that found a token since this was last asked, and that did
    /// not.
    pub fn take_lookups(&mut self) -> (u64, u64) {
        std::mem::take(&mut self.lookups)
    }

    /// Where a provider's token is filed. Several providers may verify the same token.
    fn file(&self, provider: ProviderId, token: &[u8]) -> u64 {
        hashed(&self.hash, provider.index(), token)
    }
}

impl OfProvider {
    /// Which of its key sets the provider has now. Another set than before makes
    /// all of the provider's tokens unknown.
    fn epoch(&mut self, keys: &Rc<KeySet>) -> Epoch {
        let current = self.keys.as_ref();
        if !current.is_some_and(|current| Rc::ptr_eq(current, keys)) {
            self.keys = Some(Rc::clone(keys));
            self.epoch.0 = self.epoch.0.wrapping_add(1);
        }
        self.epoch
    }
}

/// A hash by a random key of a number and the end of what is filed under it.
#[inline(never)]
fn hashed(by: &RandomState, number: usize, octets: &[u8]) -> u64 {
    let end = octets.len().saturating_sub(HASHED);
    let end = octets.get(end..).unwrap_or(octets);
    by.hash_one((number, end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::base64url;
    use crate::jose::fixtures::JWK_A;
    use crate::jose::issuer::Issuer;
    use crate::jose::jwa::Algorithm;
    use crate::jose::jwk::Key;
    use crate::jose::jwt::{self, Expectations};
    use crate::jose::verifier::Verifier;

    struct Any;

    impl Verifier for Any {
        fn verify(&self, _: Algorithm, _: &Key, _: &[u8], _: &[u8]) -> bool {
            true
        }

        fn name(&self) -> &'static str {
            "any"
        }
    }

    fn keys() -> Rc<KeySet> {
        Rc::new(KeySet::parse(format!("{{\"keys\":[{JWK_A}]}}").as_bytes()).unwrap())
    }

    fn token(n: usize) -> Vec<u8> {
        let header = base64url::encode(br#"{"alg":"RS256"}"#);
        let claims = base64url::encode(format!(r#"{{"exp":9,"n":{n}}}"#).as_bytes());
        format!("{header}.{claims}.AAAA").into_bytes()
    }

    fn entry(token: &[u8], keys: &KeySet) -> Rc<Entry> {
        let expectations = Expectations {
            issuer: Issuer::Any,
            signer: None,
            clients: Vec::new(),
            audiences: Vec::new(),
            algorithms: Algorithm::ALL.to_vec(),
            clock_skew_seconds: 0,
            require_expiration: false,
            allow_sender_constrained: false,
            subjects: None,
            max_lifetime: None,
            token_type: None,
        };
        let validated = jwt::parse(token)
            .unwrap()
            .validate(&expectations, 0.0)
            .unwrap();
        let candidates: Vec<&Key> = keys.keys().iter().collect();
        Rc::new(Entry {
            verified: validated.verify(&candidates, &Any).unwrap().into_claims(),
            outputs: Rc::default(),
        })
    }

    fn longest(of: [usize; 2]) -> PerProvider<usize> {
        PerProvider::of_test(of.to_vec())
    }

    fn id(at: usize) -> ProviderId {
        longest([0; 2]).ids().nth(at).unwrap()
    }

    fn keep(cache: &mut TokenCache, n: usize, keys: &Rc<KeySet>) {
        cache.insert(id(0), &token(n), keys, entry(&token(n), keys));
    }

    #[test]
    fn a_token_is_found_by_all_its_bytes_its_provider_and_its_key_set() {
        let mut cache =
            TokenCache::bounded(&longest([usize::MAX, token(1).len() - 1]), USUAL_BYTES);
        let (keys, others) = (keys(), keys());
        keep(&mut cache, 1, &keys);
        assert!(cache.get(id(0), &token(1), &keys).is_some());
        assert!(cache.get(id(0), &token(2), &keys).is_none());
        assert!(cache.get(id(1), &token(1), &keys).is_none());
        let mut longer = token(1);
        longer.push(b'A');
        assert!(cache.get(id(0), &longer, &keys).is_none());
        assert_eq!(cache.take_lookups(), (1, 3));
        assert_eq!(cache.take_lookups(), (0, 0));

        // The other provider's are kept up to a length.
        cache.insert(id(1), &token(1), &keys, entry(&token(1), &keys));
        assert!(cache.get(id(1), &token(1), &keys).is_none());
        keep(&mut cache, 1, &keys);
        cache.take_lookups();

        // Another set, even of the same keys; and the first again.
        assert!(cache.get(id(0), &token(1), &others).is_none());
        assert!(cache.get(id(0), &token(1), &keys).is_none(), "never again");
    }

    #[test]
    fn a_token_of_two_providers_is_kept_for_both() {
        let mut cache = TokenCache::bounded(&longest([usize::MAX; 2]), USUAL_BYTES);
        let keys = keys();
        for provider in [0, 1] {
            cache.insert(id(provider), &token(1), &keys, entry(&token(1), &keys));
        }
        assert!(cache.get(id(0), &token(1), &keys).is_some());
        assert!(cache.get(id(1), &token(1), &keys).is_some());
    }

    #[test]
    fn tokens_with_one_hash_are_told_apart() {
        let mut cache = TokenCache::bounded(&longest([usize::MAX; 2]), USUAL_BYTES);
        let keys = keys();
        let one = [token(1), vec![b'A'; HASHED]].concat();
        for other in [
            [token(2), vec![b'A'; HASHED]].concat(),
            [b"A".as_slice(), &one].concat(),
            one[1..].to_vec(),
        ] {
            assert_eq!(cache.file(id(0), &one), cache.file(id(0), &other));
            for (kept, other) in [(&one, &other), (&other, &one)] {
                cache.insert(id(0), kept, &keys, entry(&token(1), &keys));
                assert!(cache.get(id(0), kept, &keys).is_some());
                assert!(cache.get(id(0), other, &keys).is_none());
            }
        }
        assert_eq!(cache.tokens.len(), 1);
    }

    #[test]
    fn it_is_bounded_and_one_time_tokens_do_not_push_the_regulars_out() {
        const REGULARS: usize = 50;
        let keys = keys();
        let size = entry(&token(0), &keys).size(&token(0));
        let most = u64::try_from(size * 200).unwrap();
        let mut cache = TokenCache::bounded(&longest([usize::MAX; 2]), most);
        for _ in 0..3 {
            for n in 0..REGULARS {
                if cache.get(id(0), &token(n), &keys).is_none() {
                    keep(&mut cache, n, &keys);
                }
            }
        }
        for n in 0..20_000 {
            keep(&mut cache, 1000 + n, &keys);
            assert!(cache.tokens.weight() <= most);
            let regular = token(n % REGULARS);
            if n % 10 == 0 && cache.get(id(0), &regular, &keys).is_none() {
                keep(&mut cache, n % REGULARS, &keys);
            }
        }
        let kept = (0..REGULARS)
            .filter(|n| cache.get(id(0), &token(*n), &keys).is_some())
            .count();
        assert!(kept >= REGULARS * 9 / 10, "{kept} of {REGULARS} are left");
    }

    #[test]
    fn a_token_that_is_larger_than_the_cache_is_not_kept() {
        let keys = keys();
        let mut cache = TokenCache::bounded(&longest([usize::MAX; 2]), 100);
        keep(&mut cache, 1, &keys);
        assert!(cache.get(id(0), &token(1), &keys).is_none());
        assert_eq!(cache.tokens.weight(), 0);
    }
}
