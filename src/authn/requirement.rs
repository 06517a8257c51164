//! Whether the tokens that a request carries satisfy a requirement (`JwtRequirement`).
//!
//! Invariants:
//! - A request passes by a way to satisfy its requirement that accounts for every token which the
//!   request carries. Of several such ways, the one that verifies most tokens counts, and then the
//!   first.
//! - If there is no such way, the request is refused for one reason: of the reasons without each of
//!   which it would pass, the weightiest. If there is no such reason, the request carries more
//!   tokens than the requirement has a use for.
//! - A provider verifies a token once at most. Where newer keys could let a request pass, or verify
//!   more of its tokens, the keys are asked for before the request is refused or let through.

use std::rc::Rc;

use super::event::{Event, Listener};
use super::unsatisfied::{Hope, Unsatisfied};
use super::{Context, Token};
use crate::cache::{Entry, Epoch, Grounds};
use crate::config::{
    Config, Otherwise, PerProvider, Provider, ProviderDemand, ProviderId, Requirement, SchemeId,
};
use crate::desk::signer::{self, Unverified};
use crate::http::credentials::Place;
use crate::jose::base64url::Spelling;
use crate::jose::claims::Claims;
use crate::jose::event::Event as TokenEvent;
use crate::jose::jwt::{self, JwtError, Parsed, Validated};
use crate::jwks::keys::Keys;
use crate::outputs::{self, Outputs};
use crate::sign_in::{NotYet, Opened, Visit};

/// The most ways to satisfy a requirement that are compared, so that no requirement is too costly
/// to decide. Further ways are left out.
const MOST_WAYS: usize = 64;

/// A token, and where it is.
pub(super) struct Carried<'r> {
    /// The number of the place, as the requirement's demands count them.
    place: usize,
    token: Token<'r>,
    /// Tokens that are the same, byte for byte, are one and have one number.
    number: u32,
}

impl<'r> Carried<'r> {
    pub(super) fn new(place: usize, token: Token<'r>) -> Self {
        Carried {
            place,
            token,
            number: 0,
        }
    }

    pub(super) fn place(&self) -> usize {
        self.place
    }
}

/// What a request carries, and what decides about it.
pub(super) struct Presented<'r, T> {
    tokens: Vec<Carried<'r>>,
    /// All of them.
    all: Tokens,
    providers: &'r PerProvider<Provider>,
    context: &'r Context<'r>,
    visit: Option<&'r Visit<'r>>,
    trace: &'r T,
    /// The tokens that were found good, for each provider that was asked about one.
    identities: Vec<Identity>,
    /// The tokens that a provider's keys did not verify, whatever is expected of their claims.
    refused: Vec<Refused>,
    /// What the outcome rests on; `None` where it could be another one at once, or next time.
    grounds: Option<Grounds>,
}

/// A set of tokens, by their numbers; or of identities.
type Tokens = u64;

/// A token or a session that satisfies a provider's demand.
pub(super) struct Identity {
    pub provider: ProviderId,
    proof: Proof,
}

/// The proof of an identity: a token that was verified, or a session that was opened.
enum Proof {
    Token {
        number: u32,
        /// Whether the upstream gets to see the token.
        forward: bool,
        entry: Rc<Entry>,
    },
    Session(SchemeId, Rc<Opened>),
}

impl Identity {
    pub(super) fn claims(&self) -> &Claims {
        match &self.proof {
            Proof::Token { entry, .. } => entry.verified.claims(),
            Proof::Session(_, opened) => opened.claims(),
        }
    }

    pub(super) fn outputs(&self) -> &Rc<Outputs> {
        match &self.proof {
            Proof::Token { entry, .. } => &entry.outputs,
            Proof::Session(_, opened) => opened.outputs(),
        }
    }

    pub(super) fn session(&self) -> Option<(SchemeId, &Opened)> {
        match &self.proof {
            Proof::Token { .. } => None,
            Proof::Session(id, opened) => Some((*id, opened)),
        }
    }

    /// Where it is the token of this number: whether that is forwarded, and what is kept of it.
    fn token(&self, of: u32) -> Option<(bool, &Rc<Entry>)> {
        match &self.proof {
            Proof::Token {
                number,
                forward,
                entry,
            } if *number == of => Some((*forward, entry)),
            _ => None,
        }
    }
}

struct Refused {
    provider: ProviderId,
    token: u32,
    unsatisfied: Unsatisfied,
}

/// A way to satisfy a requirement, or why the way fails. The default takes no token.
#[derive(Clone, Copy, Default)]
struct Way {
    /// The tokens that have a part in it.
    covers: Tokens,
    /// The identities that it takes, by their places in [`Presented::identities`].
    takes: Tokens,
    /// Whether the tokens without a part in it may pass, good or not.
    tolerates: bool,
    unsatisfied: Option<Unsatisfied>,
}

impl Way {
    /// Whether the other way can be left out without a loss.
    fn dominates(&self, other: &Self) -> bool {
        self.unsatisfied.is_none()
            && other.covers & !self.covers == 0
            && (self.tolerates || !other.tolerates)
    }

    fn and(self, other: Self) -> Self {
        Self {
            covers: self.covers | other.covers,
            takes: self.takes | other.takes,
            tolerates: self.tolerates || other.tolerates,
            unsatisfied: match (self.unsatisfied, other.unsatisfied) {
                (Some(one), Some(two)) if two.hope() < one.hope() => Some(two),
                (one, two) => one.or(two),
            },
        }
    }
}

/// Ways to satisfy a requirement, in its order.
#[derive(Default)]
struct Ways(Vec<Way>);

impl Ways {
    fn add(&mut self, way: Way) {
        if self.0.iter().any(|known| known.dominates(&way)) {
            return;
        }
        self.0.retain(|known| !way.dominates(known));
        if let Some(unsatisfied) = way.unsatisfied {
            let mut failed = self.0.iter_mut();
            let alike = failed.find(|known| {
                known.unsatisfied.is_some()
                    && (known.covers, known.tolerates) == (way.covers, way.tolerates)
            });
            if let Some(known) = alike {
                if known
                    .unsatisfied
                    .is_none_or(|known| unsatisfied.weight() >= known.weight())
                {
                    *known = way;
                }
                return;
            }
        }
        if self.0.len() >= MOST_WAYS {
            let failed = self.0.iter().rposition(|known| known.unsatisfied.is_some());
            match failed.filter(|_| way.unsatisfied.is_none()) {
                Some(failed) => drop(self.0.remove(failed)),
                None => return,
            }
        }
        self.0.push(way);
    }

    fn extend(&mut self, more: Self) {
        if self.0.is_empty() {
            *self = more;
        } else {
            more.0.into_iter().for_each(|way| self.add(way));
        }
    }

    /// The ways that satisfy both.
    #[inline]
    fn and(&self, those: &Self) -> Self {
        let mut all = Self::default();
        for one in &self.0 {
            for other in &those.0 {
                all.add(one.and(*other));
            }
        }
        all
    }

    /// Adds the way that is left where none of these is good. A requirement that tolerates failed
    /// tokens does so only when the keys are known, and it never takes two tokens for one.
    #[inline]
    fn otherwise(&mut self, otherwise: Otherwise) {
        if self.0.iter().any(|way| way.unsatisfied.is_none()) {
            return;
        }
        let reasons = self.0.iter().filter_map(|way| way.unsatisfied);
        let weightiest = reasons.max_by_key(|unsatisfied| unsatisfied.weight());
        let tolerant = Way {
            tolerates: true,
            ..Way::default()
        };
        match (otherwise, weightiest.unwrap_or(Unsatisfied::Missing)) {
            (Otherwise::AllowMissing, Unsatisfied::Missing | Unsatisfied::NoSession) => {
                self.add(Way::default())
            }
            (Otherwise::Reject | Otherwise::AllowMissing, _) | (_, Unsatisfied::Several) => {}
            (Otherwise::AllowMissingOrFailed, unsatisfied) if unsatisfied.hope() == Hope::Soon => {
                self.add(Way {
                    unsatisfied: Some(unsatisfied),
                    ..tolerant
                })
            }
            (Otherwise::AllowMissingOrFailed, _) => self.add(tolerant),
        }
    }
}

/// The identities of the best way that accounts for all tokens.
fn decide(ways: &[Way], all: Tokens) -> Result<Tokens, Unsatisfied> {
    let unverified = |way: &Way| (all & !way.covers).count_ones();
    let accounting = || {
        ways.iter()
            .filter(|way| way.tolerates || unverified(way) == 0)
    };
    let hopeful = accounting().filter(|way| way.unsatisfied.is_none_or(|f| f.hope() == Hope::Soon));
    let best = hopeful.min_by_key(|way| (unverified(way), way.unsatisfied.is_some()));
    match best.map(|way| way.unsatisfied.map_or(Ok(way.takes), Err)) {
        Some(decided) => decided,
        None => {
            let reasons = accounting().filter_map(|way| way.unsatisfied);
            let weightiest = reasons.max_by_key(|unsatisfied| unsatisfied.weight());
            Err(weightiest.unwrap_or(Unsatisfied::Several))
        }
    }
}

impl<'r, T: Listener> Presented<'r, T> {
    pub(super) fn new(
        mut tokens: Vec<Carried<'r>>,
        config: &'r Config,
        context: &'r Context<'r>,
        visit: Option<&'r Visit<'r>>,
        trace: &'r T,
    ) -> Result<Self, Unsatisfied> {
        let mut all: Tokens = 0;
        for at in 0..tokens.len() {
            let (before, rest) = tokens.split_at_mut(at);
            if let Some(carried) = rest.first_mut() {
                let same = before.iter().find(|known| known.token == carried.token);
                carried.number = same.map_or(all.count_ones(), |known| known.number);
                all |= bit(carried.number)?;
            }
        }
        trace.note(|| Event::Tokens(all.count_ones()));
        Ok(Presented {
            identities: Vec::with_capacity(tokens.len()),
            tokens,
            all,
            providers: &config.providers,
            context,
            visit,
            trace,
            refused: Vec::new(),
            grounds: Some(Grounds::at(context.basis.now)),
        })
    }

    /// What the outcome rests on, where a like request will have the same for some time.
    pub(super) fn into_grounds(self) -> Option<Grounds> {
        self.grounds.filter(Grounds::have_tokens)
    }

    /// The tokens that satisfy a requirement; none where it needs none. A token without a part in
    /// that is not verified, and the upstream could take it for the verified one.
    pub(super) fn satisfy(
        &mut self,
        requirement: &Requirement,
    ) -> Result<Vec<Identity>, Unsatisfied> {
        let decided = match requirement {
            Requirement::Provider(demand) => decide(&[self.way(demand)], self.all),
            requirement => {
                let mut ways = Ways::default();
                self.gather(requirement, &mut ways);
                decide(&ways.0, self.all)
            }
        };
        self.trace.note(|| {
            let taken = decided.map(|takes| takes.count_ones() as usize);
            Event::Satisfied(taken)
        });
        let takes = decided?;
        let mut at = 0..;
        let mut identities = std::mem::take(&mut self.identities);
        identities.retain(|_| at.next().is_some_and(|at: u32| takes >> at & 1 == 1));
        Ok(identities)
    }

    /// The places that the upstream must not see: those that hold a token which is not forwarded,
    /// and those of other providers that hold a forwarded one. Each place is listed once.
    pub(super) fn withheld<'p>(
        &self,
        identities: &[Identity],
        places: &'p [Place],
    ) -> Vec<&'p Place> {
        let mut withheld: Vec<&Place> = Vec::with_capacity(self.tokens.len());
        for carried in &self.tokens {
            let Some(place) = places.get(carried.place) else {
                continue;
            };
            let mut of = identities
                .iter()
                .filter_map(|known| Some((known, known.token(carried.number)?.0)));
            let is_theirs = |(identity, _): (&Identity, bool)| {
                let mut own = self.providers[identity.provider].places.iter();
                own.any(|own| own.overlaps(place))
            };
            let is_verified = of.clone().next().is_some();
            let stays = of.clone().all(|(_, forward)| forward) && of.any(is_theirs);
            if is_verified && !stays && !withheld.iter().any(|known| known.overlaps(place)) {
                withheld.push(place);
            }
        }
        withheld
    }

    /// What access logs are told of the first token that is not good, where they want to know.
    pub(super) fn refused(&self, config: &Config) -> Option<Outputs> {
        if !config.facts.iter().any(|fact| fact.is_unverified()) {
            return None;
        }
        let is_good = |number| {
            self.identities
                .iter()
                .any(|known| known.token(number).is_some())
        };
        let mut bad = self
            .tokens
            .iter()
            .filter(|carried| !is_good(carried.number));
        let token = &bad.next()?.token;
        let mut spellings = [Spelling::Plain, Spelling::Padded].into_iter();
        let parsed = spellings.find_map(|spelling| self.parse(token, spelling).ok())?;
        Some(outputs::from_refused(config, &parsed))
    }

    /// Adds the ways to satisfy a requirement.
    fn gather(&mut self, requirement: &Requirement, ways: &mut Ways) {
        match requirement {
            Requirement::Provider(demand) => ways.add(self.way(demand)),
            Requirement::Any { members, otherwise } => {
                self.trace.note(|| Event::Any(members.len()));
                let mut any = Ways::default();
                for (member, asked) in members.iter().zip(1..) {
                    self.gather(member, &mut any);
                    let is_best = |way: &Way| way.unsatisfied.is_none() && way.covers == self.all;
                    if any.0.iter().any(is_best) {
                        let left = members.len().saturating_sub(asked);
                        self.trace.note(|| Event::NotAsked(left));
                        break;
                    }
                }
                self.trace.note(|| Event::EndOfAny(*otherwise));
                any.otherwise(*otherwise);
                ways.extend(any);
            }
            Requirement::All(members) => {
                self.trace.note(|| Event::All(members.len()));
                let mut all = Ways(vec![Way::default()]);
                for member in members {
                    let mut part = Ways::default();
                    self.gather(member, &mut part);
                    all = all.and(&part);
                }
                ways.extend(all);
            }
        }
    }

    /// The way to satisfy a provider's demand.
    fn way(&mut self, demand: &ProviderDemand) -> Way {
        if let Some(id) = demand.session {
            return self.way_by_session(demand.provider, id);
        }
        let provider = &self.providers[demand.provider];
        self.trace.note(|| Event::Demand(provider));
        let way = self.way_by_token(demand);
        let outcome = || way.unsatisfied.map_or(Ok(()), Err);
        self.trace.note(|| Event::Demanded(outcome()));
        way
    }

    /// The session of a scheme, if it is alive and no other site relies on it. It covers no token:
    /// the upstream does not see it.
    fn way_by_session(&mut self, provider: ProviderId, id: SchemeId) -> Way {
        let mut way = Way::default();
        match self.counting(id) {
            Ok(opened) => match bit(self.identities.len() as u32) {
                Ok(bit) => {
                    way.takes = bit;
                    let proof = Proof::Session(id, opened);
                    self.identities.push(Identity { provider, proof });
                }
                Err(unsatisfied) => way.unsatisfied = Some(unsatisfied),
            },
            Err(unsatisfied) => way.unsatisfied = Some(unsatisfied),
        }
        let outcome = || way.unsatisfied.map_or(Ok(()), Err);
        self.trace.note(|| Event::Session {
            id,
            outcome: outcome(),
            visit: self.visit,
        });
        way
    }

    /// The session that counts. No other site has it refreshed.
    fn counting(&self, id: SchemeId) -> Result<Rc<Opened>, Unsatisfied> {
        let visit = self.visit.ok_or(Unsatisfied::NoSession)?;
        if visit.present(id).is_some() && visit.vet_origin().is_err() {
            return Err(Unsatisfied::CrossSite);
        }
        let session = visit.session(id).map_err(|not_yet| match not_yet {
            NotYet::Await(_) => Unsatisfied::AwaitRefresh(id),
            NotYet::Unavailable(wait) => Unsatisfied::NoRefresh(wait),
            NotYet::Unknown(wait) => Unsatisfied::Unknown(wait),
            NotYet::NoStore(wait) => Unsatisfied::NoStore(wait),
        });
        session?.ok_or(Unsatisfied::NoSession)
    }

    /// The one token in the places of a provider, if it is good now.
    fn way_by_token(&mut self, demand: &ProviderDemand) -> Way {
        let is_here = |carried: &Carried<'_>| demand.places.contains(&carried.place);
        let mut found = self.tokens.iter().filter(|carried| is_here(carried));
        let Some(Carried { number, token, .. }) = found.next() else {
            return Way {
                unsatisfied: Some(Unsatisfied::Missing),
                ..Way::default()
            };
        };
        let number = *number;
        let others = found.filter(|other| other.number != number);
        let others = others.fold(0, |others, other| others | 1 << other.number);
        let mut way = Way {
            covers: 1 << number | others,
            ..Way::default()
        };
        if others != 0 {
            way.unsatisfied = Some(Unsatisfied::Several);
            return way;
        }
        match self.identify(number, token, demand) {
            Ok(Judged::Known(at)) => way.takes = 1 << at,
            Ok(Judged::New(identity, lasts)) => match bit(self.identities.len() as u32) {
                Ok(bit) => {
                    way.takes = bit;
                    let grounds = self.grounds.take().zip(lasts);
                    self.grounds = grounds.map(|(grounds, (epoch, until))| {
                        grounds.and(demand.provider, epoch, until)
                    });
                    self.identities.push(identity);
                }
                Err(unsatisfied) => way.unsatisfied = Some(unsatisfied),
            },
            Err(Unfit::Claims(error)) => {
                way.unsatisfied = Some(error.into());
                self.grounds.take_if(|_| !error.is_final());
            }
            Err(Unfit::Again(unsatisfied)) => {
                way.unsatisfied = Some(unsatisfied);
                self.grounds = None;
            }
            Err(Unfit::Keys(unsatisfied)) => {
                way.unsatisfied = Some(unsatisfied);
                self.grounds = None;
                self.refused.push(Refused {
                    provider: demand.provider,
                    token: number,
                    unsatisfied,
                });
            }
        }
        way
    }

    /// Whether a token is good now: one that was verified before, or is verified here.
    fn identify(
        &self,
        number: u32,
        token: &[u8],
        demand: &ProviderDemand,
    ) -> Result<Judged, Unfit> {
        let (id, context) = (demand.provider, self.context);
        let provider = &self.providers[id];
        self.trace.note(|| Event::Token(token));
        let expectations = demand
            .expectations
            .as_deref()
            .unwrap_or(&provider.expectations);
        let mut known = self.identities.iter();
        let is_it = |known: &Identity| known.provider == id && known.token(number).is_some();
        if let Some(at) = known.position(is_it) {
            let known = self.identities.get(at);
            if let Some((_, entry)) = known.and_then(|identity| identity.token(number)) {
                self.trace.note(|| Event::FoundGoodBefore);
                let verified = &entry.verified;
                verified.validate_again(expectations, context.basis.now, self.trace)?;
            }
            return Ok(Judged::Known(at));
        }
        let keys = context.basis.facts.keys(id);
        let cached = match &keys {
            Keys::Ready(keys) => context.cache.borrow_mut().get(id, token, keys),
            Keys::Pending | Keys::Unavailable { .. } => None,
        };
        let mut lasts = None;
        let entry = if let Some((entry, epoch)) = cached {
            self.trace.note(|| Event::Cached);
            let verified = &entry.verified;
            verified.validate_again(expectations, context.basis.now, self.trace)?;
            lasts = Some((epoch, expectations.until(verified.claims())));
            entry
        } else {
            // A token that no key can make good is refused at once.
            let parsed = self.parse(token, provider.spelling)?;
            self.trace.note(|| TokenEvent::Parsed {
                header: parsed.untrusted_header(),
                claims: parsed.untrusted_claims(),
            });
            let validated = parsed.validate_with(expectations, context.basis.now, self.trace)?;
            let mut refused = self.refused.iter();
            match refused.find(|known| known.provider == id && known.token == number) {
                Some(known) => {
                    self.trace.note(|| Event::FoundBadBefore);
                    return Err(Unfit::Again(known.unsatisfied));
                }
                None => self
                    .verified(token, &validated, id, keys)
                    .map_err(Unfit::Keys)?,
            }
        };
        let identity = Identity {
            provider: id,
            proof: Proof::Token {
                number,
                forward: provider.forward,
                entry,
            },
        };
        Ok(Judged::New(identity, lasts))
    }

    /// Verifies a token with these keys, or with newer ones that come at once.
    fn verified(
        &self,
        token: &[u8],
        validated: &Validated<'_>,
        id: ProviderId,
        keys: Keys,
    ) -> Result<Rc<Entry>, Unsatisfied> {
        let (provider, context) = (&self.providers[id], self.context);
        let verified = signer::verify(validated, (id, keys), &context.basis, self.trace);
        let (set, verified) = verified.map_err(|why| match why {
            Unverified::Refused(error) => error.into(),
            Unverified::AwaitKeys => Unsatisfied::AwaitKeys(id),
            Unverified::Unavailable(retry_after) => Unsatisfied::Unavailable(retry_after),
        })?;
        let outputs = Rc::new(outputs::from_token(provider, &verified));
        let verified = verified.into_claims();
        let entry = Rc::new(Entry { verified, outputs });
        let mut cache = context.cache.borrow_mut();
        cache.insert(id, token, &set, Rc::clone(&entry));
        Ok(entry)
    }

    fn parse<'t>(&self, token: &'t [u8], spelling: Spelling) -> Result<Parsed<'t>, JwtError> {
        let headers = self.context.basis.headers;
        jwt::parse_with(token, spelling, &mut headers.borrow_mut())
    }
}

/// A token that is good for a demand.
enum Judged {
    /// It was found good for another demand of the provider, and is at this place of
    /// [`Presented::identities`].
    Known(usize),
    /// The keys that verified it before, and until when it is good, in Unix seconds; `None` where it was
    /// verified here.
    New(Identity, Option<(Epoch, f64)>),
}

/// Why a token is not good for a demand.
enum Unfit {
    /// For this demand.
    Claims(JwtError),
    /// For every demand of the provider.
    Keys(Unsatisfied),
    /// As for another demand of the provider.
    Again(Unsatisfied),
}

impl From<JwtError> for Unfit {
    fn from(error: JwtError) -> Self {
        Self::Claims(error)
    }
}

fn bit(number: u32) -> Result<Tokens, Unsatisfied> {
    1_u64.checked_shl(number).ok_or(Unsatisfied::Several)
}
