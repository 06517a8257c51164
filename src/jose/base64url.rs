//! Base64url without padding, RFC 7515 section 2 and RFC 4648 section 5.
//!
//! Invariant: one octet string of a token has exactly one accepted spelling. Padding, `+`, `/`,
//! white space and non-zero trailing bits are refused, so a token cannot be altered and still
//! verify; where a provider is known to pad ([`Spelling`]), its padding must be there in full. A key document is trusted for the place that it comes from, so it may use any spelling,
//! and [`decode_of_key`] reads them all.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// How the parts of a token are spelt. In either way there is one accepted spelling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spelling {
    /// Without padding, as JWS has it.
    #[default]
    Plain,
    /// With the padding of RFC 4648 section 4, against RFC 7515 section 2. AWS does that.
    Padded,
}

impl Spelling {
    /// The text without its padding, or `None` where it has not the padding that it must have.
    pub(super) fn bare(self, text: &[u8]) -> Option<&[u8]> {
        if self == Self::Plain {
            return Some(text);
        }
        let bare = text.strip_suffix(b"==");
        let bare = bare.or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
        text.len().is_multiple_of(4).then_some(bare)
    }
}

/// What each character stands for; [`NONE`] where it is not of the alphabet.
#[expect(
    clippy::indexing_slicing,
    reason = "the compiler evaluates it: it would not compile"
)]
const VALUES: [u8; 256] = {
    let mut values = [NONE; 256];
    let mut value = 0;
    while value < ALPHABET.len() {
        values[ALPHABET[value] as usize] = value as u8;
        value += 1;
    }
    values
};
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const NONE: u8 = 0x80;

/// The octets that `text` spells, or `None` where it is not their only accepted spelling.
///
/// The same as the crate `base64` reads, see the tests: this is a fifth of the code that runs there, and
/// every new token has three parts to decode.
#[must_use]
pub fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let (fours, last) = text.as_chunks::<4>();
    let whole = fours.len().checked_mul(3)?;
    let more = last.len().saturating_sub(1);
    let mut octets = vec![0; whole.checked_add(more)?];
    let (threes, end) = octets.as_chunks_mut::<3>();
    let mut all = 0;
    for (three, four) in threes.iter_mut().zip(fours) {
        let [a, b, c, d] = *four;
        let (a, b, c, d) = (value(a), value(b), value(c), value(d));
        all |= a | b | c | d;
        let bits = a << 18 | b << 12 | c << 6 | d;
        *three = [(bits >> 16) as u8, (bits >> 8) as u8, bits as u8];
    }
    // Bits that are left over are zero, and one character has too few.
    let left = match (last, end) {
        ([], []) => 0,
        ([a, b], [first]) => {
            let bits = value(*a) << 6 | value(*b);
            all |= value(*a) | value(*b);
            *first = (bits >> 4) as u8;
            bits & 0xf
        }
        ([a, b, c], [first, second]) => {
            let bits = value(*a) << 12 | value(*b) << 6 | value(*c);
            all |= value(*a) | value(*b) | value(*c);
            [*first, *second] = [(bits >> 10) as u8, (bits >> 2) as u8];
            bits & 0x3
        }
        _ => return None,
    };
    (all < NONE.into() && left == 0).then_some(octets)
}

fn value(character: u8) -> u32 {
    VALUES
        .get(usize::from(character))
        .copied()
        .unwrap_or(NONE)
        .into()
}

/// The only accepted spelling of `bytes`.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The octets of a key's member. RFC 7518 requires base64url, RFC 7517 section 4.7 for padded
/// standard base64 in `x5c`, and providers write either in either place: with `=` at the end or
/// without, in both alphabets, in lines.
pub(crate) fn decode_of_key(text: &str) -> Option<Vec<u8>> {
    let mut spelt = Vec::with_capacity(text.len());
    let mut ended = false;
    for byte in text.bytes() {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => {}
            b'=' => ended = true,
            _ if ended => return None,
            b'+' => spelt.push(b'-'),
            b'/' => spelt.push(b'_'),
            _ => spelt.push(byte),
        }
    }
    decode(&spelt)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, any};
    use proptest::sample::Index;

    use super::*;

    #[test]
    fn a09_only_the_one_spelling_is_read() {
        let table: &[(&[u8], Option<&[u8]>)] = &[
            (b"", Some(b"")),
            (b"Zg", Some(b"f")),
            (b"Zm8", Some(b"fo")),
            (b"Zm9v", Some(b"foo")),
            (b"-_-_", Some(&[0xfb, 0xff, 0xbf])),
            (b"Zg==", None),   // padding
            (b"Zm8=", None),   // padding
            (b"+/+/", None),   // the standard alphabet
            (b"Zm9v ", None),  // white space
            (b"Zm\n9v", None), // white space inside
            (b"\tZm9v", None), // white space before
            (b"Zh", None),     // trailing bits
            (b"Zm9", None),    // trailing bits
            (b"Z", None),      // one character spells no octet
            (b"Zm9vZ", None),  // likewise at the end
            (b"Zm9.", None),   // outside the alphabet
            (b"Zm9\xff", None),
            (b"Zm9\0", None),
        ];
        for (text, octets) in table {
            assert_eq!(decode(text).as_deref(), *octets, "{text:?}");
        }
    }

    #[test]
    fn a09_padding_is_there_in_full_where_it_must_be() {
        let table: &[(&[u8], Option<&[u8]>)] = &[
            (b"", Some(b"")),
            (b"Zg==", Some(b"f")),
            (b"Zm8=", Some(b"fo")),
            (b"Zm9v", Some(b"foo")),
            (b"-_-_", Some(&[0xfb, 0xff, 0xbf])),
            (b"Zg", None), // none
            (b"Zg=", None),
            (b"Zg===", None),
            (b"Zg======", None),
            (b"Zm8", None),
            (b"Zm8==", None),
            (b"Zm9v=", None),
            (b"Zm9v==", None),
            (b"Zm9v====", None),
            (b"=", None),
            (b"====", None),
            (b"Z===", None),
            (b"Zh==", None), // trailing bits
            (b"Zm9=", None),
            (b"Zg==Zg==", None), // inside
            (b"=Zg=", None),
            (b"Zg= =", None),
            (b"+/+/", None),
            (b"Zg%3D", None),
        ];
        for (text, octets) in table {
            let read = Spelling::Padded.bare(text).and_then(decode);
            assert_eq!(read.as_deref(), *octets, "{text:?}");
            let plain = Spelling::Plain.bare(text);
            assert_eq!(plain, Some(*text));
        }
    }

    #[test]
    fn a_key_may_spell_its_members_in_every_way() {
        let table: &[(&str, Option<&[u8]>)] = &[
            ("", Some(b"")),
            ("Zg", Some(b"f")),
            ("Zg==", Some(b"f")),
            ("Zg=", Some(b"f")), // as many as there are
            ("Zm8=", Some(b"fo")),
            ("-_-_", Some(&[0xfb, 0xff, 0xbf])),
            ("+/+/", Some(&[0xfb, 0xff, 0xbf])),
            ("-/+_", Some(&[0xfb, 0xff, 0xbf])),
            ("\r\nZm\n9v\n", Some(b"foo")), // lines
            ("Zg==\n", Some(b"f")),
            ("Zh", None),    // trailing bits: it was damaged
            ("Z", None),     // one character spells no octet
            ("Zm=9v", None), // padding inside
            ("=Zg", None),
            ("Zg=\n=", Some(b"f")),
            ("Zm9*", None),
            ("Zm9\u{e9}", None),
        ];
        for (text, octets) in table {
            assert_eq!(decode_of_key(text).as_deref(), *octets, "{text:?}");
        }
    }

    #[test]
    fn encode_is_the_inverse() {
        for length in 0..=64u8 {
            let octets: Vec<u8> = (0..length).map(|i| i.wrapping_mul(37)).collect();
            assert_eq!(decode(encode(&octets).as_bytes()), Some(octets));
        }
    }

    proptest::proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(1), ..ProptestConfig::default() })]

        #[test]
        fn it_is_what_the_crate_base64_reads(
            octets in proptest::collection::vec(any::<u8>(), 0..40),
            change in proptest::option::of((any::<Index>(), any::<u8>())),
            cut in 0_usize..4,
        ) {
            let mut text = encode(&octets).into_bytes();
            if let Some((at, byte)) = change.filter(|_| !text.is_empty()) {
                *at.get_mut(&mut text) = byte;
            }
            text.truncate(text.len().saturating_sub(cut));
            proptest::prop_assert_eq!(decode(&text), URL_SAFE_NO_PAD.decode(&text).ok());
        }
    }
}
