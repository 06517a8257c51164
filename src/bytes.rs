//! Searches, comparisons and hashes of bytes. The standard library does the first two byte by byte in
//! Wasm, and more slowly.

use sha2::{Digest, Sha256};

/// Whether two texts are the same: for long ones faster than `==`, which in Wasm is a loop over
/// bytes.
#[must_use]
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut differs = 0;
    for (a, b) in a.iter().zip(b) {
        differs |= u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
    }
    differs == 0 && a_rest == b_rest
}

/// Where `byte` is first.
#[must_use]
#[inline(never)] // smaller, and no slower
pub fn find(text: &[u8], byte: u8) -> Option<usize> {
    let repeated = LOW.wrapping_mul(byte.into());
    first(text, |word| zero(word ^ repeated), |other| other == byte)
}

/// Where a text of JSON ends that has no escapes before: its first quote, backslash or control
/// character (RFC 8259 section 7).
#[must_use]
pub fn find_end_of_text(text: &[u8]) -> Option<usize> {
    const QUOTES: u64 = LOW * b'"' as u64;
    const BACKSLASHES: u64 = LOW * b'\\' as u64;
    let ends = |word: u64| {
        let control = word.wrapping_sub(LOW * 0x20) & !word & HIGH;
        control | zero(word ^ QUOTES) | zero(word ^ BACKSLASHES)
    };
    first(text, ends, |byte| matches!(byte, 0..=0x1f | b'"' | b'\\'))
}

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = LOW << 7;

/// The highest bit of the first byte that is zero, and perhaps of later ones; after "Bit Twiddling Hacks"
/// (Anderson).
fn zero(word: u64) -> u64 {
    word.wrapping_sub(LOW) & !word & HIGH
}

/// Where the first byte `is_it`. `marks`: for eight bytes at once, the first one lowest, the highest bit
/// of the first that is, and perhaps of later ones.
fn first(text: &[u8], marks: impl Fn(u64) -> u64, is_it: impl Fn(u8) -> bool) -> Option<usize> {
    let (words, rest) = text.as_chunks();
    let mut skipped = 0_usize;
    for word in words {
        let marked = marks(u64::from_le_bytes(*word));
        if marked != 0 {
            let at = usize::try_from(marked.trailing_zeros() >> 3).ok()?;
            return skipped.checked_add(at);
        }
        skipped = skipped.saturating_add(size_of::<u64>());
    }
    let at = rest.iter().position(|byte| is_it(*byte))?;
    skipped.checked_add(at)
}

/// The parts of a text between each `byte`, found by [`find`].
pub fn split(text: &[u8], byte: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest.take()?;
        match find(text, byte).and_then(|at| text.split_at_checked(at)) {
            Some((part, from_byte)) => {
                rest = from_byte.get(1..);
                Some(part)
            }
            None => Some(text),
        }
    })
}

/// SHA-256 (FIPS 180-4) of several parts: with its length before it, no part runs into the next.
#[must_use]
pub fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// The first half of [`digest`].
#[must_use]
pub fn half_digest(parts: &[&[u8]]) -> [u8; 16] {
    digest(parts).first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_runs_into_the_next() {
        let digests = [
            digest(&[b"ab", b"c"]),
            digest(&[b"a", b"bc"]),
            digest(&[b"abc"]),
            digest(&[b"abc", b""]),
            digest(&[]),
        ];
        for (at, one) in digests.iter().enumerate() {
            assert!(!digests[..at].contains(one), "{at}");
        }
    }

    #[test]
    fn a_byte_is_found_where_it_is_first() {
        for length in 0..=40 {
            // those that differ from it by one bit, or by the highest
            for other in [b'a', b'.' + 1, b'.' ^ 0x80, 0, 0xff] {
                let mut text = vec![other; length];
                assert_eq!(find(&text, b'.'), None);
                for at in (0..length).rev() {
                    text[at] = b'.';
                    assert_eq!(find(&text, b'.'), Some(at));
                }
            }
        }
    }

    #[test]
    fn the_end_of_a_text_is_found_whatever_stands_around_it() {
        let is_end = |byte: u8| matches!(byte, 0..=0x1f | b'"' | b'\\');
        for end in 0..=0xff_u8 {
            for (length, before) in [(0, 0x20), (5, 0x21), (9, 0xff), (17, 0x5d), (24, 0x80)] {
                for after in [end ^ 1, 0, 0x80, 0xff] {
                    let mut text = vec![before; length];
                    text.extend([end, after, after, end, after, after, after, after, after]);
                    let expected = text.iter().position(|byte| is_end(*byte));
                    assert_eq!(find_end_of_text(&text), expected, "{text:x?}");
                }
            }
        }
    }

    #[test]
    fn parts_are_those_of_the_standard_library() {
        for text in ["", ".", "a", ".a", "a.", "a..b", "..", "a.bc.d"] {
            let parts: Vec<&[u8]> = text.split('.').map(str::as_bytes).collect();
            assert_eq!(split(text.as_bytes(), b'.').collect::<Vec<_>>(), parts);
        }
    }

    #[test]
    fn texts_are_equal_in_every_byte() {
        for length in 0..=40u8 {
            let text: Vec<u8> = (0..length).collect();
            assert!(equal(&text, &text.clone()));
            for at in 0..text.len() {
                let mut other = text.clone();
                other[at] ^= 1;
                assert!(!equal(&text, &other));
                assert!(!equal(&text, &text[at + 1..]));
                assert!(!equal(&text[..at], &text));
            }
        }
    }
}
