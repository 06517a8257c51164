//! Texts from outside, as a log may have them.
//!
//! Invariant: a [`Shown`] is printable ASCII in quotes, on one line and of a bounded length: it
//! can neither steer a terminal, nor look like another line, nor fill a disk.

use std::fmt;

/// Octets that are shown of an address or a name.
const MOST: usize = 256;

/// A text in quotes, its other characters escaped, cut where it is too long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown(pub(crate) String);

impl Shown {
    /// Of an address, a name, a header.
    pub fn new(text: impl AsRef<[u8]>) -> Self {
        Self::start_of(text.as_ref(), MOST)
    }

    /// Of the first octets only.
    pub fn start_of(text: &[u8], most: usize) -> Self {
        let mut shown = escaped(text, most);
        shown.insert(0, '"');
        shown.push_str(if text.len() > most { "\"..." } else { "\"" });
        Self(shown)
    }
}

/// The first octets of a text as a [`Shown`] has them between its quotes.
#[inline(never)]
pub fn escaped(text: &[u8], most: usize) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut shown = Vec::new();
    for octet in text.iter().take(most) {
        match octet {
            b'"' | b'\\' => shown.extend_from_slice(&[b'\\', *octet]),
            b' '..=b'~' => shown.push(*octet),
            _ => {
                let digit = |at: u8| DIGITS.get(usize::from(at)).copied().unwrap_or(b'0');
                let (high, low) = (digit(octet >> 4), digit(octet & 15));
                shown.extend_from_slice(&[b'\\', b'x', high, low]);
            }
        }
    }
    // ASCII.
    String::from_utf8(shown).unwrap_or_default()
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_steers_a_log() {
        let table: &[(&[u8], &str)] = &[
            (b"", "\"\""),
            (b"https://a.example/x?y=1", "\"https://a.example/x?y=1\""),
            (b"a\\b", "\"a\\\\b\""),
            (b"a\" b", "\"a\\\" b\""),
            (b"a\r\nb\x1b[2J\0", "\"a\\x0d\\x0ab\\x1b[2J\\x00\""),
            ("\u{202e}\u{9b}".as_bytes(), "\"\\xe2\\x80\\xae\\xc2\\x9b\""),
            (b"\xff", "\"\\xff\""),
        ];
        for (text, shown) in table {
            assert_eq!(Shown::new(text).to_string(), *shown);
        }
        let whole = "x".repeat(MOST);
        assert_eq!(Shown::new(&whole).to_string(), format!("\"{whole}\""));
        let cut = Shown::new("x".repeat(100_000)).to_string();
        assert_eq!(cut, format!("\"{whole}\"..."));
        assert!(Shown::new(vec![0xff; 100_000]).to_string().len() < 5 * MOST);
    }
}
