//! The form of what is in shared data: numbers and texts one after the other.
//!
//! Invariant: the reader of a record knows its fields, and reads them in order and to the end, so
//! each record has one form. A text's length is compared with the rest of the record before it is
//! taken.

/// A record that is being written.
#[derive(Debug, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// Eight octets, the least significant first.
    pub fn number(mut self, number: u64) -> Self {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    /// Two numbers: 1 and the number, or 0 and 0.
    pub fn optional(self, number: Option<u64>) -> Self {
        let is_there = self.number(number.is_some().into());
        is_there.number(number.unwrap_or_default())
    }

    /// Its length in octets as a number, then UTF-8.
    pub fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    /// Their number, then the octets.
    pub fn bytes(self, bytes: &[u8]) -> Self {
        let mut sized = self.number(bytes.len() as u64);
        sized.0.extend_from_slice(bytes);
        sized
    }

    /// Octets of a length that the reader knows.
    pub fn octets<const N: usize>(mut self, octets: &[u8; N]) -> Self {
        self.0.extend_from_slice(octets);
        self
    }

    /// The number 1 and the text, or the number 0 alone.
    pub fn optional_text(self, text: Option<&str>) -> Self {
        let is_there = self.number(text.is_some().into());
        match text {
            Some(text) => is_there.text(text),
            None => is_there,
        }
    }

    /// The octets of the whole record.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// What is left of a record.
#[derive(Debug)]
pub struct Reader<'b>(pub &'b [u8]);

impl<'b> Reader<'b> {
    /// `None` where fewer than eight octets are left.
    pub fn number(&mut self) -> Option<u64> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*number))
    }

    /// A record without the number is `None`, one that says that there is none `Some(None)`.
    pub fn optional(&mut self) -> Option<Option<u64>> {
        match (self.number()?, self.number()?) {
            (0, 0) => Some(None),
            (1, number) => Some(Some(number)),
            _ => None,
        }
    }

    /// `None` where the record ends before the octets do.
    pub fn bytes(&mut self) -> Option<&'b [u8]> {
        let len = usize::try_from(self.number()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    /// `None` where the record ends before the text does, or the text is not UTF-8.
    pub fn text(&mut self) -> Option<&'b str> {
        str::from_utf8(self.bytes()?).ok()
    }

    /// `None` where fewer than `N` octets are left.
    pub fn octets<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (octets, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*octets)
    }

    /// A record without the text is `None`, one that says that there is none `Some(None)`.
    pub fn optional_text(&mut self) -> Option<Option<&'b str>> {
        match self.number()? {
            0 => Some(None),
            1 => Some(Some(self.text()?)),
            _ => None,
        }
    }

    /// That nothing is left.
    pub fn finish(self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Option<(u64, Option<u64>, Option<u64>, &str)> {
        let mut record = Reader(bytes);
        let read = (
            record.number()?,
            record.optional()?,
            record.optional()?,
            record.text()?,
        );
        record.finish()?;
        Some(read)
    }

    #[test]
    fn a_record_is_read_whole_or_not_at_all() {
        let written = (u64::MAX, None, Some(0), "text \u{e4}");
        let bytes = Writer::default()
            .number(written.0)
            .optional(written.1)
            .optional(written.2)
            .text(written.3)
            .finish();
        assert_eq!(read(&bytes), Some(written));
        for len in 0..bytes.len() {
            assert_eq!(read(&bytes[..len]), None, "{len} octets");
        }
        assert_eq!(read(&[&bytes[..], b"x"].concat()), None);
        // No second form of "none" and of "some", no text that is longer than the record or not
        // UTF-8.
        for (at, octet) in [
            (8, 2),
            (15, 1),
            (16, 1),
            (24, 3),
            (40, 8),
            (47, 0xff),
            (53, 0xff),
        ] {
            let mut other = bytes.clone();
            other[at] = octet;
            assert_eq!(read(&other), None, "octet {at}");
        }
    }

    #[test]
    fn octets_and_texts_that_may_be_missing() {
        for text in [None, Some(""), Some("x")] {
            let bytes = Writer::default()
                .octets(b"abc")
                .optional_text(text)
                .finish();
            let mut record = Reader(&bytes);
            assert_eq!(record.octets(), Some(*b"abc"));
            assert_eq!(record.optional_text(), Some(text));
            assert_eq!(record.finish(), Some(()));
            assert_eq!(Reader(&bytes[..2]).octets::<3>(), None);
            let mut second = bytes[3..].to_vec();
            assert_eq!(Reader(&second[..second.len() - 1]).optional_text(), None);
            second[0] = 2;
            assert_eq!(Reader(&second).optional_text(), None);
        }
    }
}
