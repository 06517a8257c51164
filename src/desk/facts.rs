//! What a decision asks, and what it returns where the answer is not there.

use std::cell::RefCell;
use std::rc::Rc;

use super::question::{Answered, Question, Unclear};
use crate::config::ProviderId;
use crate::document::finding::Finding;
use crate::ended::{Known, Mark};
use crate::jose::jws::HeaderMemo;
use crate::jose::verifier::Verifier;
use crate::jwks::keys::{Keys, UnknownKid};
use crate::jwks::metadata::Metadata;

/// A fact that a decision lacks. The decision is made anew, from the top, once it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// The keys of this provider, and its metadata, must be fetched.
    Keys(ProviderId),
    /// This question must be asked.
    Answer(Box<Question>),
    /// The request's body has to be read, of so many octets at most.
    Body(usize),
    /// What has ended in other Envoys must be known.
    SignOuts,
}

/// The facts from outside, as they are now.
pub trait Facts {
    /// A provider's keys.
    fn keys(&self, provider: ProviderId) -> Keys;

    /// Asks for newer keys of a provider, since the right key of a token with this `kid` may be
    /// missing.
    fn unknown_kid(&self, provider: ProviderId, kid: Option<&str>) -> UnknownKid;

    /// Hears that a provider's key has verified a token with this `kid`.
    fn used(&self, _provider: ProviderId, _kid: Option<&str>) {}

    /// What a provider says about itself. It comes with the keys. Where no metadata lead to the
    /// keys, it says nothing, and never will.
    fn metadata(&self, provider: ProviderId) -> Finding<Rc<Metadata>>;

    /// The answer to a question. Where it is [`Finding::Pending`], the decision must be
    /// [`Need::Answer`] with the same question, whether that was asked before or not.
    fn answer(&self, question: &Question) -> Finding<Result<Rc<Answered>, Unclear>>;

    /// Whether it is known what has ended in other Envoys, where there are any to hear of.
    fn sign_outs(&self) -> Finding<()> {
        Finding::Ready(())
    }

    /// Whether a session was ended before its time.
    fn is_over(&self, session: &Known) -> bool;

    /// Whether a logout token was used before.
    fn knows_token(&self, token: &Mark) -> bool;
}

/// What every decision rests on besides its request and the configuration.
#[derive(Clone, Copy)]
pub struct Basis<'b> {
    /// The facts from outside: keys and answers.
    pub facts: &'b dyn Facts,
    /// The verifier of signatures.
    pub verifier: &'b dyn Verifier,
    /// JOSE headers that were read for earlier requests.
    pub headers: &'b RefCell<HeaderMemo>,
    /// Seconds since the Unix epoch.
    pub now: f64,
}
