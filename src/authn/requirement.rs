//! Whether the tokens that a request carries satisfy a requirement (`JwtRequirement`).
//!
//! Invariant: an [`Identity`] comes with a verified token, and is made in one place. A failure
//! that newer keys could mend outweighs every other, so that no request is turned away, and
//! none let through as anonymous, before the keys have been asked for.

use std::rc::Rc;
use std::time::Duration;

use super::{Means, Token};
use crate::cache::Entry;
use crate::config::{Otherwise, Provider, ProviderDemand, Requirement};
use crate::jose::jwks::{KeySet, Selection};
use crate::jose::jwt::{self, Expectations, JwtError, Parsed, Validated};
use crate::jwks::lifecycle::{Keys, UnknownKid};
use crate::outputs;

/// A newer set can be found this often while one token is verified.
const MOST_RESELECTIONS: u32 = 3;

/// What a request carries, and what it is judged by.
pub(super) struct Presented<'r> {
    /// By place, as the requirement's demands count them.
    pub tokens: Vec<Option<Token<'r>>>,
    pub providers: &'r [Provider],
    pub means: &'r Means<'r>,
}

/// A token that satisfies a provider's demand.
pub(super) struct Identity {
    pub provider: usize,
    pub place: usize,
    /// Whether the upstream gets to see the token.
    pub forward: bool,
    pub entry: Rc<Entry>,
}

/// Why a requirement is not satisfied.
#[derive(Clone, Copy, Debug)]
pub(super) enum Failure {
    /// There is no token.
    Missing,
    Invalid(JwtError),
    /// There are no keys, and the next try to get some is this far away.
    Unavailable(Duration),
    /// More tokens than the requirement has a use for.
    Several,
    /// The keys of this provider have to be fetched first.
    AwaitKeys(usize),
}

impl Failure {
    /// Of several failures the one that says most: as jwt_authn has it, a token's own fault
    /// before an unknown issuer before no token.
    fn weight(self) -> u8 {
        match self {
            Failure::Missing => 0,
            Failure::Invalid(JwtError::Issuer) => 1,
            Failure::Invalid(_) => 2,
            Failure::Unavailable(_) => 3,
            Failure::Several => 4,
            Failure::AwaitKeys(_) => 5,
        }
    }
}

impl From<JwtError> for Failure {
    fn from(error: JwtError) -> Self {
        Failure::Invalid(error)
    }
}

/// How a requirement is satisfied.
#[derive(Default)]
pub(super) struct Satisfied {
    /// None where it does without a token.
    pub identities: Vec<Identity>,
    /// Places whose tokens the requirement lets pass, good or not.
    tolerated: Vec<usize>,
}

impl From<Identity> for Satisfied {
    fn from(identity: Identity) -> Self {
        Satisfied {
            identities: vec![identity],
            tolerated: Vec::new(),
        }
    }
}

impl Presented<'_> {
    /// The tokens that satisfy a requirement. A token that has no part in that is one that nobody
    /// verified, and the upstream could take it for the one that was.
    pub fn satisfy(&self, requirement: &Requirement) -> Result<Satisfied, Failure> {
        let satisfied = self.part(requirement)?;
        let accounted = |place: usize| {
            let mut used = satisfied.identities.iter();
            used.any(|identity| identity.place == place) || satisfied.tolerated.contains(&place)
        };
        let mut tokens = self.tokens.iter().enumerate();
        if tokens.any(|(place, token)| token.is_some() && !accounted(place)) {
            return Err(Failure::Several);
        }
        Ok(satisfied)
    }

    fn part(&self, requirement: &Requirement) -> Result<Satisfied, Failure> {
        match requirement {
            Requirement::Provider(demand) => self.identify(demand).map(Satisfied::from),
            Requirement::Any { members, otherwise } => {
                match (first(members, |member| self.part(member)), otherwise) {
                    (Err(Failure::Missing), Otherwise::AllowMissing) => Ok(Satisfied::default()),
                    (Err(failure), Otherwise::AllowMissingOrFailed) => self.tolerate(failure),
                    (outcome, _) => outcome,
                }
            }
            Requirement::All(members) => {
                let mut all = Satisfied::default();
                for member in members {
                    let part = self.part(member)?;
                    all.identities.extend(part.identities);
                    all.tolerated.extend(part.tolerated);
                }
                Ok(all)
            }
            Requirement::AllowMissing(demands) => {
                match first(demands, |demand| self.identify(demand)) {
                    Err(Failure::Missing) => Ok(Satisfied::default()),
                    outcome => outcome.map(Satisfied::from),
                }
            }
            Requirement::AllowMissingOrFailed(demands) => {
                match first(demands, |demand| self.identify(demand)) {
                    Err(failure) => self.tolerate(failure),
                    Ok(identity) => Ok(identity.into()),
                }
            }
        }
    }

    /// Without keys a token counts as failed, as it does in jwt_authn.
    fn tolerate(&self, failure: Failure) -> Result<Satisfied, Failure> {
        match failure {
            Failure::AwaitKeys(_) | Failure::Several => Err(failure),
            Failure::Missing | Failure::Invalid(_) | Failure::Unavailable(_) => Ok(Satisfied {
                identities: Vec::new(),
                tolerated: (0..self.tokens.len()).collect(),
            }),
        }
    }

    /// The one token in the places of a provider, if it is good now.
    fn identify(&self, demand: &ProviderDemand) -> Result<Identity, Failure> {
        let mut found = demand.places.iter().filter_map(|place| {
            let token = self.tokens.get(*place)?.as_deref()?;
            Some((*place, token))
        });
        let (place, token) = match (found.next(), found.next()) {
            (None, _) => return Err(Failure::Missing),
            (Some(_), Some(_)) => return Err(Failure::Several),
            (Some(one), None) => one,
        };
        let provider = self
            .providers
            .get(demand.provider)
            .ok_or(Failure::Missing)?;
        let expectations = demand
            .expectations
            .as_deref()
            .unwrap_or(&provider.expectations);
        Ok(Identity {
            provider: demand.provider,
            place,
            forward: provider.forward,
            entry: self.verified(token, demand.provider, provider, expectations)?,
        })
    }

    /// A token that is good now: one that was verified before, or is verified here.
    fn verified(
        &self,
        token: &[u8],
        index: usize,
        provider: &Provider,
        expectations: &Expectations,
    ) -> Result<Rc<Entry>, Failure> {
        let means = self.means;
        let mut newest = None;
        for _ in 0..MOST_RESELECTIONS {
            let keys = match means.keys.keys(index) {
                Keys::Ready(keys) => keys,
                // What no key can make good is refused at once.
                Keys::Pending => {
                    self.parse(token)?.validate(expectations, means.now)?;
                    return Err(Failure::AwaitKeys(index));
                }
                Keys::Unavailable { retry_after } => {
                    self.parse(token)?.validate(expectations, means.now)?;
                    return Err(Failure::Unavailable(retry_after));
                }
            };
            let cached = means.cache.borrow_mut().get(index, token, &keys);
            if let Some(entry) = cached {
                entry.verified.validate_again(expectations, means.now)?;
                return Ok(entry);
            }
            let validated = self.parse(token)?.validate(expectations, means.now)?;
            match self.verify(&validated, provider, &keys)? {
                Verification::Good(entry) => {
                    let mut cache = means.cache.borrow_mut();
                    cache.insert(index, token, &keys, Rc::clone(&entry));
                    return Ok(entry);
                }
                Verification::MaybeNewer(error) => match means.keys.unknown_kid(index) {
                    UnknownKid::Reselect => newest = Some(error),
                    UnknownKid::Wait => return Err(Failure::AwaitKeys(index)),
                    UnknownKid::NoSuchKey => return Err(error.into()),
                    UnknownKid::Unavailable { retry_after } => {
                        return Err(Failure::Unavailable(retry_after));
                    }
                },
            }
        }
        Err(newest.unwrap_or(JwtError::NoKey).into())
    }

    fn parse<'t>(&self, token: &'t [u8]) -> Result<Parsed<'t>, JwtError> {
        jwt::parse_with(token, &mut self.means.headers.borrow_mut())
    }

    fn verify(
        &self,
        validated: &Validated<'_>,
        provider: &Provider,
        keys: &KeySet,
    ) -> Result<Verification, JwtError> {
        let header = validated.untrusted_header();
        let candidates = match keys.candidates(header) {
            Selection::Keys(candidates) => candidates,
            Selection::UnknownKid => return Ok(Verification::MaybeNewer(JwtError::NoKey)),
            Selection::NoMatch => return Err(JwtError::NoKey),
        };
        match validated.verify(&candidates, self.means.verifier) {
            Ok(verified) => {
                let outputs = Rc::new(outputs::of(provider, &verified));
                let verified = verified.keep();
                Ok(Verification::Good(Rc::new(Entry { verified, outputs })))
            }
            // No key was named, or none has that name and those without one were tried: a newer
            // set may have the right one.
            Err(error @ JwtError::Signature) if !keys.has_key_named_by(header) => {
                Ok(Verification::MaybeNewer(error))
            }
            Err(error) => Err(error),
        }
    }
}

enum Verification {
    Good(Rc<Entry>),
    /// Not by these keys. If the set is as new as can be, this is why the token is refused.
    MaybeNewer(JwtError),
}

/// The first that succeeds, or the weightiest failure.
fn first<M, T>(members: &[M], satisfy: impl Fn(&M) -> Result<T, Failure>) -> Result<T, Failure> {
    let mut weightiest = Failure::Missing;
    for member in members {
        match satisfy(member) {
            Ok(success) => return Ok(success),
            Err(failure) if failure.weight() >= weightiest.weight() => weightiest = failure,
            Err(_) => {}
        }
    }
    Err(weightiest)
}
