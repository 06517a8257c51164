//! What identifies an ended session, in the form that shared data has.
//!
//! Invariant: a [`Mark`] is a hash. Shared data has no name of a person and no identifier of a
//! session.

use crate::bytes::half_digest;
use crate::session::life::Session;

/// Octets of a mark. Two different things never have the same mark.
const LEN: usize = 16;

/// A session, some sessions, or a logout token, by a hash of what identifies it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark([u8; LEN]);

impl Mark {
    fn new(kind: &str, parts: [&[u8]; 2]) -> Self {
        let [first, second] = parts;
        Self(half_digest(&[kind.as_bytes(), first, second]))
    }

    /// One session of ours, by its id.
    #[must_use]
    pub fn of_session(id: &[u8]) -> Self {
        Self::new("session", [id, b""])
    }

    /// All sessions that follow from one session at an issuer (`sid`).
    #[must_use]
    pub fn of_sid(issuer: &str, sid: &str) -> Self {
        Self::new("sid", [issuer.as_bytes(), sid.as_bytes()])
    }

    /// All sessions of a person.
    #[must_use]
    pub fn of_subject(issuer: &str, subject: &str) -> Self {
        Self::new("sub", [issuer.as_bytes(), subject.as_bytes()])
    }

    /// Those sessions of a person whose ID token had no `sid`.
    #[must_use]
    pub fn of_subject_without_sid(issuer: &str, subject: &str) -> Self {
        Self::new("sub without sid", [issuer.as_bytes(), subject.as_bytes()])
    }

    /// A logout token (`jti`).
    #[must_use]
    pub fn of_logout_token(issuer: &str, id: &str) -> Self {
        Self::new("jti", [issuer.as_bytes(), id.as_bytes()])
    }

    /// As it was written.
    #[must_use]
    pub(super) fn from_octets(octets: [u8; LEN]) -> Self {
        Self(octets)
    }

    pub(super) fn octets(&self) -> &[u8; LEN] {
        &self.0
    }

    /// A number below `count`, always the same for the same mark.
    pub(super) fn place(&self, count: usize) -> usize {
        let [first, ..] = self.0;
        usize::from(first).checked_rem(count).unwrap_or(0)
    }
}

/// Everything that identifies a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// When the session began here, in Unix seconds.
    pub(super) started: u64,
    /// When the provider issued the ID token that it began with, in Unix seconds of the provider's
    /// clock.
    pub(super) issued: u64,
    /// The marks of the session, of its person, and of the provider's session.
    pub(super) marks: [Mark; 3],
    /// The mark of the provider's session that it began with, if that was another one.
    pub(super) at_first: Option<Mark>,
}

impl Known {
    /// What identifies a session of this issuer.
    #[must_use]
    pub fn new(session: &Session, issuer: &str) -> Self {
        let subject = session.subject.as_str();
        let at_provider = match &session.sid {
            Some(sid) => Mark::of_sid(issuer, sid),
            None => Mark::of_subject_without_sid(issuer, subject),
        };
        Self {
            started: session.started,
            issued: session.issued,
            marks: [
                Mark::of_session(&session.id),
                Mark::of_subject(issuer, subject),
                at_provider,
            ],
            at_first: session
                .first_sid
                .as_ref()
                .map(|sid| Mark::of_sid(issuer, sid)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_different_things_differ() {
        let marks = [
            Mark::of_session(b"a"),
            Mark::of_session(b"b"),
            Mark::of_sid("a", "b"),
            Mark::of_sid("ab", ""),
            Mark::of_sid("", "ab"),
            Mark::of_sid("b", "a"),
            Mark::of_subject("a", "b"),
            Mark::of_subject_without_sid("a", "b"),
            Mark::of_logout_token("a", "b"),
        ];
        for (at, mark) in marks.iter().enumerate() {
            assert!(!marks[..at].contains(mark), "{at}");
        }
        assert_eq!(Mark::of_sid("a", "b"), Mark::of_sid("a", "b"));
    }
}
