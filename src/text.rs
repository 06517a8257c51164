//! Tests of one text (`type.matcher.v3.StringMatcher`, `RegexMatcher`), and what the standard
//! library does byte by byte in Wasm, faster.

use regex_lite::Regex;

/// Whether two texts are the same: for long ones faster than `==`, which in Wasm is a loop over
/// bytes.
#[must_use]
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    a.len() == b.len() && a_rest == b_rest && a.iter().zip(b).all(|(a, b)| a == b)
}

/// Where `byte` is first.
#[must_use]
#[inline(never)] // smaller, and no slower
pub fn find(text: &[u8], byte: u8) -> Option<usize> {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = LOW << 7;
    let repeated = LOW.wrapping_mul(byte.into());
    let (words, _) = text.as_chunks();
    let without = words.iter().take_while(|word| {
        // Whether one of the bytes is zero, after "Bit Twiddling Hacks" (Anderson).
        let zero_where_found = u64::from_le_bytes(**word) ^ repeated;
        zero_where_found.wrapping_sub(LOW) & !zero_where_found & HIGH == 0
    });
    let skipped = without.count().saturating_mul(size_of::<u64>());
    let rest = text.get(skipped..)?;
    let at = rest.iter().position(|other| *other == byte)?;
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

/// How a text is tested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextTest {
    Exact(String),
    Prefix(String),
    Suffix(String),
    Contains(String),
    Regex(Pattern),
}

/// A test, by case or without (ASCII letters only; a regex says by itself).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextMatcher {
    test: TextTest,
    ignore_case: bool,
}

impl TextMatcher {
    #[must_use]
    pub fn new(test: TextTest, ignore_case: bool) -> TextMatcher {
        let lower = |text: String| {
            if ignore_case {
                text.to_ascii_lowercase()
            } else {
                text
            }
        };
        let test = match test {
            TextTest::Exact(text) => TextTest::Exact(lower(text)),
            TextTest::Prefix(text) => TextTest::Prefix(lower(text)),
            TextTest::Suffix(text) => TextTest::Suffix(lower(text)),
            TextTest::Contains(text) => TextTest::Contains(lower(text)),
            regex @ TextTest::Regex(_) => regex,
        };
        TextMatcher { test, ignore_case }
    }

    /// How a text is tested, in lower case where case is ignored.
    #[must_use]
    pub fn test(&self) -> &TextTest {
        &self.test
    }

    #[must_use]
    pub fn ignores_case(&self) -> bool {
        self.ignore_case
    }

    /// Whether the whole of `text` passes. Bytes that are not UTF-8 pass no regex.
    #[must_use]
    pub fn matches(&self, text: &[u8]) -> bool {
        let lower;
        let text = if self.ignore_case && !matches!(self.test, TextTest::Regex(_)) {
            lower = text.to_ascii_lowercase();
            &lower
        } else {
            text
        };
        match &self.test {
            TextTest::Exact(exact) => text == exact.as_bytes(),
            TextTest::Prefix(prefix) => text.starts_with(prefix.as_bytes()),
            TextTest::Suffix(suffix) => text.ends_with(suffix.as_bytes()),
            TextTest::Contains(part) => {
                part.is_empty() || text.windows(part.len()).any(|at| at == part.as_bytes())
            }
            TextTest::Regex(pattern) => pattern.matches(text),
        }
    }
}

/// A regular expression that has to match a text as a whole, as Envoy's do. Matching takes time
/// linear in the text.
#[derive(Clone, Debug)]
pub struct Pattern {
    regex: Regex,
    written: String,
}

impl Pattern {
    /// The longest expression, in bytes.
    pub const LONGEST: usize = 4096;

    /// # Errors
    /// What is wrong with the expression.
    pub fn parse(written: &str) -> Result<Pattern, String> {
        if written.len() > Pattern::LONGEST {
            return Err(format!("must be {} bytes at most", Pattern::LONGEST));
        }
        // By itself first: `a)(b` would be fine between parentheses.
        Regex::new(written)
            .and_then(|_| Regex::new(&format!("^(?:{written})$")))
            .map(|regex| Pattern {
                regex,
                written: written.to_owned(),
            })
            .map_err(|error| format!("is not a regular expression: {error}"))
    }

    #[must_use]
    pub fn matches(&self, text: &[u8]) -> bool {
        std::str::from_utf8(text).is_ok_and(|text| self.regex.is_match(text))
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl Eq for Pattern {}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn tests_of_a_text() {
        let owned = str::to_owned;
        let regex = |text: &str| TextTest::Regex(Pattern::parse(text).unwrap());
        let table: &[(TextTest, bool, &[u8], bool)] = &[
            (TextTest::Exact(owned("ab")), false, b"ab", true),
            (TextTest::Exact(owned("ab")), false, b"AB", false),
            (TextTest::Exact(owned("aB")), true, b"Ab", true),
            (TextTest::Exact(owned("ab")), true, b"abc", false),
            (TextTest::Prefix(owned("ab")), false, b"abc", true),
            (TextTest::Prefix(owned("ab")), false, b"cab", false),
            (TextTest::Prefix(owned("AB")), true, b"abc", true),
            (TextTest::Suffix(owned("bc")), false, b"abc", true),
            (TextTest::Suffix(owned("bc")), false, b"bcd", false),
            (TextTest::Suffix(owned("BC")), true, b"abc", true),
            (TextTest::Contains(owned("b")), false, b"abc", true),
            (TextTest::Contains(owned("d")), false, b"abc", false),
            (TextTest::Contains(owned("B")), true, b"abc", true),
            (TextTest::Contains(owned("abcd")), false, b"abc", false),
            // as a whole
            (regex("a|b"), false, b"a", true),
            (regex("a|b"), false, b"ab", false),
            (regex("a.*"), false, b"ba", false),
            (regex("(?i)a"), false, b"A", true),
            (regex("a"), true, b"A", false),
            (regex("a"), false, b"a\n", false),
            (regex(".*"), false, b"a\nb", false),
            (regex(".*"), false, b"\xff", false),
            (regex("\\d+"), false, "٣".as_bytes(), false),
        ];
        for (test, ignore_case, text, expected) in table {
            assert_eq!(
                TextMatcher::new(test.clone(), *ignore_case).matches(text),
                *expected,
                "{test:?} {text:?}"
            );
        }
    }

    #[test]
    fn patterns_that_are_none() {
        for bad in ["(", "a)(b", "*", "[", "(?=a)", "\\1", "a{2,1}", "(?P<n"] {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
        assert!(Pattern::parse(&"a".repeat(Pattern::LONGEST + 1)).is_err());
        // the size of what it would become is bounded too
        assert!(Pattern::parse("((a{1000}){1000}){1000}").is_err());
    }
}
