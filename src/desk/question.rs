//! A question to a provider: one call, and how its answer is read.
//!
//! Invariant: only the name of its endpoint is logged of a question. Subject, headers and body may
//! hold a secret.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use crate::host::{Call, Reply};
use crate::session::seal::Keyring;

/// What tells a question from all others. The call cannot do that: it may have a nonce or a signed
/// assertion, which differs each time.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    /// What kind of question it is.
    pub kind: &'static str,
    /// What the question is about, among those of its kind: a token's hash, a code.
    pub about: String,
}

/// A question that one call answers. Two questions with the same subject are the same question.
#[derive(Clone)]
pub struct Question {
    /// What tells it from other questions.
    pub subject: Rc<Subject>,
    /// The endpoint whose load and back-off it counts for, by a name that may be logged. Names come
    /// from the configuration and from providers' metadata, never from a request.
    pub endpoint: Rc<str>,
    /// How it is asked.
    pub call: Call,
    /// Reads a response whose status does not say that the endpoint failed.
    pub read: fn(&Answered) -> Reading,
    /// Whether it may be asked again.
    pub repeat: Repeat,
    /// How long its endpoint gets no call after failures, at most.
    pub longest_rest: Duration,
    /// Where one worker of the process asks for all of them: what the answer is sealed with that
    /// they share.
    pub shared: Option<Rc<Keyring>>,
    /// The counter for what came of a call, if there is one: an answer, or none.
    pub counter: fn(Option<&Answered>) -> Option<String>,
}

/// A question that one worker asks for all.
#[derive(Clone)]
pub struct Share {
    pub(super) subject: Rc<Subject>,
    /// What its answer is sealed with.
    pub(super) keyring: Rc<Keyring>,
}

/// How long an endpoint rests after failures, at most, unless it must be asked sooner.
pub const USUAL_REST: Duration = Duration::from_secs(30);

/// The counter of a question that has none.
#[must_use]
pub fn uncounted(_: Option<&Answered>) -> Option<String> {
    None
}

/// Whether a question may be asked again after a call whose outcome is unclear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// Asking again changes nothing at the endpoint.
    May,
    /// The endpoint may have done what it was asked for: a code is redeemed once (RFC 6749 section
    /// 4.1.2).
    MustNot,
    /// The same, and whoever asks has nothing better: after a while it is asked again. Where the
    /// endpoint did not take a refresh token, it still does; where it did, the token is lost anyway.
    Later,
}

/// What a response is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// It is the answer, which is kept for this time. An error such as `invalid_grant` is an answer
    /// too.
    Keep(Duration),
    /// It is not an answer: the endpoint failed.
    Failed,
}

/// A response that answers a question.
#[derive(Debug, PartialEq, Eq)]
pub struct Answered {
    /// When it came, in Unix seconds.
    pub at: u64,
    /// The HTTP status code.
    pub status: u16,
    /// `Content-Type`, as it was sent.
    pub content_type: Option<Vec<u8>>,
    /// At most [`Call::most`] octets.
    pub body: Vec<u8>,
}

/// A question was asked that must not be asked again, or not now, and nobody knows with what outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unclear;

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind)
    }
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} to {}", self.subject, self.endpoint)
    }
}

impl PartialEq for Question {
    fn eq(&self, other: &Self) -> bool {
        self.subject == other.subject
    }
}

impl Eq for Question {}

impl Answered {
    pub(super) fn octets(&self) -> usize {
        let content_type = self.content_type.as_ref().map_or(0, Vec::len);
        self.body.len().saturating_add(content_type)
    }
}

impl Subject {
    pub(super) fn octets(&self) -> usize {
        size_of::<Self>().saturating_add(self.about.len())
    }
}

impl Question {
    /// How its answer is shared, where it is.
    pub(super) fn share(&self) -> Option<Share> {
        let keyring = self.shared.as_ref()?;
        Some(Share {
            subject: Rc::clone(&self.subject),
            keyring: Rc::clone(keyring),
        })
    }

    /// The memory that it takes before it is answered, in octets, without the response.
    pub(super) fn octets(&self) -> usize {
        let call = &self.call;
        let texts = [&call.cluster, &call.authority, &call.path];
        let headers = call.headers.iter().map(|(_, value)| value);
        let texts = texts.into_iter().chain(headers);
        texts
            .map(String::len)
            .chain([call.body.len(), size_of::<Self>()])
            .fold(self.subject.octets(), usize::saturating_add)
    }
}

impl Reply {
    /// Whether the endpoint has certainly not done what it was asked for: the call was not sent, or
    /// the endpoint refused it because it gets too many calls.
    pub(super) fn is_certainly_nothing(&self) -> bool {
        matches!(self, Self::NotSent | Self::Response { status: 429, .. })
    }

    /// The response, if it is none that says that the endpoint failed: a timeout is 504, a dead
    /// host 503, and 408 and 429 ask for the call to be made later. It comes at `at`, in Unix seconds.
    pub(super) fn answered(self, at: u64) -> Option<Answered> {
        match self {
            Self::Response { status, .. } if status >= 500 || matches!(status, 0 | 408 | 429) => {
                None
            }
            Self::Response {
                status,
                content_type,
                body,
                ..
            } => Some(Answered {
                at,
                status,
                content_type,
                body,
            }),
            Self::NotSent | Self::None | Self::TooLarge(_) => None,
        }
    }
}
