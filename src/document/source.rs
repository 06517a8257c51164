//! A kind of document: what its life asks of the code that knows what is in it.

use std::fmt::Debug;
use std::time::Duration;

use super::fetch::FetchError;
use super::times::Times;
use crate::host::{Call, Reply};

/// Where a document of one kind comes from, and how it is read.
pub trait Source: Debug {
    /// The kind of document: one word, without spaces, that no other kind has.
    const KIND: &'static str;

    /// How far a fetch is: what its last call is for.
    type Stage: Debug;

    /// What decisions use of the document.
    type Value: Debug;

    /// The name in shared data, among sources of this kind. Workers that have the same name share
    /// the document, so sources that are asked in another way must have another name.
    fn name(&self) -> String;

    /// When the document is fetched, and how long it is used.
    fn times(&self) -> &Times;

    /// How long one call may take.
    fn timeout(&self) -> Duration;

    /// How long all calls of one fetch may take together.
    fn longest(&self) -> Duration;

    /// The call that a fetch begins with. `before` is what this worker uses now. `None` where there
    /// is nothing to fetch.
    fn first(&self, before: Option<&Self::Value>) -> Option<(Self::Stage, Call)>;

    /// Whether there is nothing to fetch as long as no request wants it.
    fn is_idle(&self, _before: Option<&Self::Value>) -> bool {
        false
    }

    /// What follows the answer to a call of this stage. A fetch must come to its end: each stage
    /// leads to a later one.
    fn next(&mut self, stage: Self::Stage, answer: Reply) -> Next<Self::Stage>;

    /// Reads what was shared. `before` is what this worker uses now. Where its text is the same, its
    /// value should stay, so that whatever was derived from it stays valid. `None` where the content
    /// is not good; the worker then keeps what it has.
    fn read(
        &self,
        content: &Content,
        before: Option<(&Content, &Self::Value)>,
    ) -> Option<Self::Value>;
}

/// What an answer leads to.
#[derive(Debug)]
pub enum Next<S> {
    /// The fetch goes on with this call.
    Call(S, Call),
    /// The fetch is over, and brought a good document.
    Done(Fetched),
    /// The fetch is over and brought nothing.
    Failed(FetchError),
}

/// A good document that was just fetched.
#[derive(Debug)]
pub struct Fetched {
    /// What is shared of it.
    pub content: Content,
    /// How long the provider lets it be used; see [`Reply`].
    pub max_age: Option<Duration>,
    /// What is in it, in a few words for the log.
    pub found: String,
    /// The parts that cannot be used, each with the reason, for the log.
    pub skipped: Vec<String>,
}

/// What all workers share of a document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// The document.
    pub document: String,
    /// What its kind keeps beside it, of the answers that led to it. It may be empty.
    pub notes: String,
}
