//! Sessions that are to be ended, in a form that can be kept and told to others.
//!
//! Invariant: what nobody has proven stays apart from what was proven, wherever it is told.

use super::mark::Mark;
use crate::record::{Reader, Writer};

/// Increased whenever the meaning of a field changes.
const FORMAT: u64 = 1;

/// Marks, each with its time in Unix seconds.
pub(super) type Timed = Vec<(Mark, u64)>;

/// Sessions that are to be ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ending {
    /// What identifies them. A session is over if the time that counts for a mark is no later than
    /// this.
    pub(super) proven: Timed,
    /// The same of what nobody has proven.
    pub(super) claims: Timed,
    /// Claims until then may be forgotten, in Unix seconds.
    pub(super) earliest: u64,
    /// The logout tokens that end them, and when each was issued.
    pub(super) tokens: Timed,
}

/// How many marks an ending has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Those that were proven, and logout tokens.
    pub proven: usize,
    /// Those that were only claimed.
    pub claims: usize,
}

impl Ending {
    /// Ends what has one of these marks and began no later than the time of the mark: that of the
    /// ID token, or that of the session here.
    #[must_use]
    pub fn proven(marks: Vec<(Mark, u64)>) -> Self {
        Self {
            proven: marks,
            ..Self::default()
        }
    }

    /// The same because of a logout token. The token is remembered.
    #[must_use]
    pub fn because_of(self, token: Mark, issued: u64) -> Self {
        Self {
            tokens: vec![(token, issued)],
            ..self
        }
    }

    /// Ends what has this mark, too, which nobody has proven. Claims until `earliest` may be forgotten,
    /// because every session that they ended is over by itself. Where there is no room for a claim,
    /// what is proven ends all the same.
    #[must_use]
    pub fn and_claimed(self, mark: Mark, until: u64, earliest: u64) -> Self {
        Self {
            claims: vec![(mark, until)],
            earliest,
            ..self
        }
    }

    /// Ends what has this mark, which nobody has proven: see [`Ending::and_claimed`].
    #[must_use]
    pub fn claimed(mark: Mark, until: u64, earliest: u64) -> Self {
        Self::default().and_claimed(mark, until, earliest)
    }

    /// How many marks it has.
    #[must_use]
    pub fn count(&self) -> Count {
        Count {
            proven: self.proven.len().saturating_add(self.tokens.len()),
            claims: self.claims.len(),
        }
    }

    /// Whether it ends nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count() == Count::default()
    }

    fn parts(&self) -> [&Timed; 3] {
        [&self.proven, &self.claims, &self.tokens]
    }

    fn parts_mut(&mut self) -> [&mut Timed; 3] {
        [&mut self.proven, &mut self.claims, &mut self.tokens]
    }

    /// Ends what the other one ends, too. Of a mark that both have, the later time counts.
    pub fn and(&mut self, other: &Self) {
        for (own, others) in self.parts_mut().into_iter().zip(other.parts()) {
            for (mark, until) in others {
                match own.iter_mut().find(|(known, _)| known == mark) {
                    Some((_, known)) => *known = (*known).max(*until),
                    None => own.push((*mark, *until)),
                }
            }
        }
    }

    /// Leaves out what the other one ends, too.
    pub fn leave_out(&mut self, other: &Self) {
        for (own, others) in self.parts_mut().into_iter().zip(other.parts()) {
            own.retain(|(mark, until)| {
                let ends = |(known, then): &(Mark, u64)| known == mark && then >= until;
                !others.iter().any(ends)
            });
        }
    }

    /// Leaves out what ends no session that began after this, in Unix seconds.
    pub fn leave_out_until(&mut self, time: u64) {
        for own in self.parts_mut() {
            own.retain(|(_, until)| *until > time);
        }
    }

    /// At most so many of the marks that were proven, and of those that were only claimed.
    #[must_use]
    pub fn start(&self, proven: usize, claims: usize) -> Self {
        let first = |of: &Timed, most: usize| of.iter().take(most).copied().collect::<Timed>();
        let marks = first(&self.proven, proven);
        Self {
            tokens: first(&self.tokens, proven.saturating_sub(marks.len())),
            proven: marks,
            claims: first(&self.claims, claims),
            earliest: self.earliest,
        }
    }

    /// At most so many of the marks of each kind, the last ones.
    #[must_use]
    pub fn end(mut self, most: usize) -> Self {
        for part in self.parts_mut() {
            part.drain(..part.len().saturating_sub(most));
        }
        self
    }

    /// Only what was proven.
    #[must_use]
    pub fn without_claims(&self) -> Self {
        self.start(usize::MAX, 0)
    }

    /// Ends what the other one ends, too. A mark may come several times.
    pub fn append(&mut self, other: Self) {
        self.proven.extend(other.proven);
        self.claims.extend(other.claims);
        self.tokens.extend(other.tokens);
    }

    /// With the time until which claims may be forgotten, see [`Ending::and_claimed`].
    #[must_use]
    pub fn with_earliest(self, earliest: u64) -> Self {
        Self { earliest, ..self }
    }

    /// The octets that are told, without the time until which claims may be forgotten: that is for
    /// whoever is told.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut record = Writer::default().number(FORMAT);
        for part in self.parts() {
            record = record.number(part.len() as u64);
            for (mark, until) in part {
                record = mark.write(*until, record);
            }
        }
        record.finish()
    }

    /// Reads what was told. `None` where it has another form.
    #[must_use]
    pub fn decode(octets: &[u8]) -> Option<Self> {
        let mut record = Reader(octets);
        if record.number()? != FORMAT {
            return None;
        }
        let mut ending = Self::default();
        for part in ending.parts_mut() {
            let count = record.number()?;
            // Each takes octets of the record, so there are no more than it has.
            for _ in 0..count {
                part.push(Mark::read(&mut record)?);
            }
        }
        record.finish()?;
        Some(ending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(number: u64) -> Mark {
        Mark::of_sid("https://idp.example/", &number.to_string())
    }

    fn ending(proven: &[(u64, u64)], claims: &[(u64, u64)], tokens: &[(u64, u64)]) -> Ending {
        let timed = |of: &[(u64, u64)]| of.iter().map(|(of, until)| (mark(*of), *until)).collect();
        Ending {
            proven: timed(proven),
            claims: timed(claims),
            earliest: 0,
            tokens: timed(tokens),
        }
    }

    #[test]
    fn an_ending_is_read_whole_or_not_at_all() {
        for ending in [
            Ending::default(),
            ending(&[(1, 5)], &[], &[]),
            ending(&[(1, 5), (2, 6)], &[(1, 7)], &[(3, u64::MAX)]),
        ] {
            let octets = ending.encode();
            assert_eq!(Ending::decode(&octets), Some(ending));
            for length in 0..octets.len() {
                assert_eq!(Ending::decode(&octets[..length]), None, "{length} octets");
            }
            assert_eq!(Ending::decode(&[&octets[..], b"x"].concat()), None);
            let mut newer = octets.clone();
            newer[0] = 2;
            assert_eq!(Ending::decode(&newer), None);
            let mut more = octets;
            more[8..16].fill(0xff);
            assert_eq!(Ending::decode(&more), None);
        }
        // When claims may be forgotten is for the reader to say.
        let claim = Ending::claimed(mark(1), 9, 4);
        let told = Ending::decode(&claim.encode()).unwrap();
        assert_eq!(told, ending(&[], &[(1, 9)], &[]));
        assert_eq!(told.with_earliest(4), claim);
    }

    #[test]
    fn endings_are_put_together_and_taken_apart() {
        let mut all = ending(&[(1, 5), (2, 6)], &[(1, 7)], &[(3, 1)]);
        all.and(&ending(&[(1, 4), (2, 8), (4, 1)], &[(2, 2)], &[(3, 1)]));
        let expected = ending(&[(1, 5), (2, 8), (4, 1)], &[(1, 7), (2, 2)], &[(3, 1)]);
        assert_eq!(all, expected);
        let count = Count {
            proven: 4,
            claims: 2,
        };
        assert_eq!(all.count(), count);
        // An earlier time, and a claim of what is proven, are not the same.
        all.leave_out(&ending(&[(1, 5), (2, 7)], &[(4, 9), (1, 9)], &[]));
        assert_eq!(all, ending(&[(2, 8), (4, 1)], &[(2, 2)], &[(3, 1)]));
        all.leave_out_until(1);
        assert_eq!(all, ending(&[(2, 8)], &[(2, 2)], &[]));
    }

    #[test]
    fn the_start_of_an_ending() {
        let all = ending(&[(1, 5), (2, 6)], &[(3, 7), (4, 8)], &[(5, 9)]);
        for ((proven, claims), expected) in [
            ((0, 0), Ending::default()),
            ((1, 1), ending(&[(1, 5)], &[(3, 7)], &[])),
            ((3, 0), ending(&[(1, 5), (2, 6)], &[], &[(5, 9)])),
            ((9, 9), all.clone()),
        ] {
            assert_eq!(all.start(proven, claims), expected, "{proven} {claims}");
        }
        assert_eq!(all.without_claims(), all.start(3, 0));
    }
}
