//! What identifies an ended session, in the form that shared data has.
//!
//! Invariants:
//! - a [`Mark`] is a hash. Shared data has no name of a person and no identifier of a session;
//! - the marks of a person and of this person's sessions have the same first half, and so the same
//!   place.

use crate::bytes::half_digest;
use crate::record::{Reader, Writer};
use crate::session::life::Session;

/// Octets of a mark, one of which is its kind. Different things may have one mark, by chance: people
/// are told apart by 64 bits, the sessions of one by 56 more, all else by 120. What has the mark of
/// something that ended is over too.
const LEN: usize = 16;
/// Octets of its first half. The kind is in the one after it.
const HALF: usize = 8;

/// What has a mark.
#[derive(Clone, Copy)]
enum Kind {
    /// All sessions of a person.
    All,
    /// Those whose ID token had no `sid`.
    WithoutSid,
    /// One session of a person.
    One,
    /// A session at an issuer.
    Sid,
    /// A logout token.
    Token,
    /// All sessions of a person, by when they began here.
    AllBegun,
    /// Those whose ID token had no `sid`, by when they began here.
    WithoutSidBegun,
}

/// A session, some sessions, or a logout token, by a hash of what identifies it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark([u8; LEN]);

impl Mark {
    /// The mark of what has its own name at an issuer.
    fn of_name(kind: Kind, what: &str, issuer: &str, name: &str) -> Self {
        let digest = half_digest(&[what.as_bytes(), issuer.as_bytes(), name.as_bytes()]);
        Self(digest).with(kind)
    }

    /// A mark of a person. `rest` has what is in its second half.
    fn of_person(kind: Kind, issuer: &str, subject: &str, rest: &[u8; LEN]) -> Self {
        Self::of_name(kind, "sub", issuer, subject).and(rest, kind)
    }

    fn with(mut self, kind: Kind) -> Self {
        let [_, _, _, _, _, _, _, _, octet, ..] = &mut self.0;
        *octet = kind as u8;
        self
    }

    /// The first half of this one, and the second one of `rest`.
    fn and(mut self, rest: &[u8; LEN], kind: Kind) -> Self {
        let second = self.0.iter_mut().zip(rest).skip(HALF);
        second.for_each(|(octet, of_rest)| *octet = *of_rest);
        self.with(kind)
    }

    fn is(&self, kind: Kind) -> bool {
        let [_, _, _, _, _, _, _, _, octet, ..] = self.0;
        octet == kind as u8
    }

    /// One session of ours, by its person and its id.
    #[must_use]
    pub fn of_session(issuer: &str, subject: &str, id: &[u8]) -> Self {
        let rest = half_digest(&[b"session", id]);
        Self::of_person(Kind::One, issuer, subject, &rest)
    }

    /// All sessions that follow from one session at an issuer (`sid`).
    #[must_use]
    pub fn of_sid(issuer: &str, sid: &str) -> Self {
        Self::of_name(Kind::Sid, "sid", issuer, sid)
    }

    /// All sessions of a person: by when the ID token was issued, and by when they began here.
    #[must_use]
    pub fn of_subject(issuer: &str, subject: &str) -> [Self; 2] {
        let all = Self::of_person(Kind::All, issuer, subject, &[0; LEN]);
        [all, all.with(Kind::AllBegun)]
    }

    /// The same of those sessions of a person whose ID token had no `sid`.
    #[must_use]
    pub fn of_subject_without_sid(issuer: &str, subject: &str) -> [Self; 2] {
        let [all, _] = Self::of_subject(issuer, subject);
        [Kind::WithoutSid, Kind::WithoutSidBegun].map(|kind| all.with(kind))
    }

    /// A logout token (`jti`).
    #[must_use]
    pub fn of_logout_token(issuer: &str, id: &str) -> Self {
        Self::of_name(Kind::Token, "jti", issuer, id)
    }

    /// Whether it is of one session of a person.
    pub(super) fn is_of_one(&self) -> bool {
        self.is(Kind::One)
    }

    /// Whether both are of one session, and of sessions of the same person.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        let [of_one, of_other] = [self, other].map(|mark| mark.0.first_chunk::<HALF>());
        self.is(Kind::One) && other.is(Kind::One) && of_one == of_other
    }

    /// All sessions of the person of this one.
    pub(super) fn all_of_the_person(self) -> Self {
        self.and(&[0; LEN], Kind::All)
    }

    /// Writes it, with its time in Unix seconds.
    pub(super) fn write(&self, until: u64, record: Writer) -> Writer {
        record.octets(&self.0).number(until)
    }

    /// What [`Mark::write`] wrote.
    pub(super) fn read(record: &mut Reader<'_>) -> Option<(Self, u64)> {
        Some((Self(record.octets()?), record.number()?))
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
    /// The mark of the session alone.
    pub(super) own: Mark,
    /// All marks that end it: of the session, of its person, of the provider's session, and of the
    /// one that it began with, if that was another one. Each has the time that counts for it.
    pub(super) marks: [Option<(Mark, u64)>; 6],
}

impl Known {
    /// Whether both are one session.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.own == other.own
    }

    /// Whether this mark is one of those that end it.
    #[must_use]
    pub fn has(&self, mark: &Mark) -> bool {
        let mut marks = self.marks.iter().flatten();
        marks.any(|(own, _)| own == mark)
    }

    /// What identifies a session of this issuer.
    #[must_use]
    pub fn new(session: &Session, issuer: &str) -> Self {
        let subject = session.subject.as_str();
        let (started, issued) = (session.started, session.issued);
        let own = Mark::of_session(issuer, subject, &session.id);
        let of_sid = |sid: &String| Some((Mark::of_sid(issuer, sid), issued));
        let of_many =
            |[by_token, begun]: [Mark; 2]| [(by_token, issued), (begun, started)].map(Some);
        let [all, all_begun] = of_many(Mark::of_subject(issuer, subject));
        let [at_provider, begun] = match &session.sid {
            Some(sid) => [of_sid(sid), None],
            None => of_many(Mark::of_subject_without_sid(issuer, subject)),
        };
        let at_first = session.first_sid.as_ref().and_then(of_sid);
        let own_too = Some((own, issued));
        Self {
            started,
            issued,
            own,
            marks: [own_too, all, all_begun, at_provider, begun, at_first],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_different_things_differ() {
        let marks = [
            Mark::of_session("a", "b", b"a"),
            Mark::of_session("a", "b", b"b"),
            Mark::of_session("a", "c", b"a"),
            Mark::of_sid("a", "b"),
            Mark::of_sid("ab", ""),
            Mark::of_sid("", "ab"),
            Mark::of_sid("b", "a"),
            Mark::of_logout_token("a", "b"),
        ];
        let of_many = [
            Mark::of_subject("a", "b"),
            Mark::of_subject("a", "c"),
            Mark::of_subject("ab", ""),
            Mark::of_subject_without_sid("a", "b"),
        ];
        let marks = [marks.as_slice(), of_many.as_flattened()].concat();
        for (at, mark) in marks.iter().enumerate() {
            assert!(!marks[..at].contains(mark), "{at}");
        }
        assert_eq!(Mark::of_sid("a", "b"), Mark::of_sid("a", "b"));
    }

    #[test]
    fn all_marks_of_a_person_are_at_one_place() {
        let [all, begun] = Mark::of_subject("a", "kim");
        let [without, without_begun] = Mark::of_subject_without_sid("a", "kim");
        let own = [1, 2].map(|id| Mark::of_session("a", "kim", &[id]));
        for mark in own.into_iter().chain([begun, without, without_begun]) {
            assert_eq!(mark.place(256), all.place(256));
            assert_eq!(mark.all_of_the_person(), all);
        }
        let [one, other] = own;
        assert!(one.is_beside(&other) && one.is_beside(&one));
        let lees = Mark::of_session("a", "lee", &[1]);
        for stranger in [all, without, lees, Mark::of_sid("a", "kim")] {
            assert!(!one.is_beside(&stranger) && !stranger.is_beside(&one));
        }
        assert!(!all.is_beside(&all));
        // People are at many places.
        let place = |number: u32| Mark::of_session("a", &number.to_string(), b"").place(64);
        let places: std::collections::BTreeSet<_> = (0..200).map(place).collect();
        assert!(places.len() > 48, "{places:?}");
    }
}
