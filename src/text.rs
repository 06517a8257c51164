//! Tests of one text (`type.matcher.v3.StringMatcher`, `RegexMatcher`).

use regex_lite::Regex;

/// Whether a text is a UUID in lower case (RFC 9562 section 4).
#[must_use]
pub fn is_uuid(text: &str) -> bool {
    let is_legal = |(at, byte): (usize, u8)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
    };
    text.len() == 36 && text.bytes().enumerate().all(is_legal)
}

/// How a text is tested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextTest {
    /// The text is this.
    Exact(String),
    /// The text begins with this.
    Prefix(String),
    /// The text ends with this.
    Suffix(String),
    /// The text has this in it.
    Contains(String),
    /// The whole of the text matches this expression.
    Regex(Pattern),
}

/// A test, by case or without (ASCII letters only; a regex says by itself).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextMatcher {
    test: TextTest,
    ignore_case: bool,
}

impl TextMatcher {
    /// A test; with `ignore_case` its text is turned to lower case here, once.
    #[must_use]
    pub fn new(test: TextTest, ignore_case: bool) -> Self {
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
        Self { test, ignore_case }
    }

    /// How a text is tested, in lower case where case is ignored.
    #[must_use]
    pub fn test(&self) -> &TextTest {
        &self.test
    }

    /// Whether letters of ASCII are compared without case.
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

/// A regular expression that must match the whole of a text, as Envoy's do. Matching takes time
/// linear in the text.
#[derive(Clone, Debug)]
pub struct Pattern {
    regex: Regex,
    written: String,
}

impl Pattern {
    /// The longest expression, in bytes.
    pub const LONGEST: usize = 4096;

    /// Reads an expression of at most [`Pattern::LONGEST`] bytes.
    ///
    /// # Errors
    /// What is wrong with the expression.
    pub fn parse(written: &str) -> Result<Self, String> {
        if written.len() > Self::LONGEST {
            return Err(format!("must be {} bytes at most", Self::LONGEST));
        }
        // By itself first: `a)(b` would be fine between parentheses.
        Regex::new(written)
            .and_then(|_| Regex::new(&format!("^(?:{written})$")))
            .map(|regex| Self {
                regex,
                written: written.to_owned(),
            })
            .map_err(|error| format!("is not a regular expression: {error}"))
    }

    /// The expression.
    #[must_use]
    pub fn written(&self) -> &str {
        &self.written
    }

    /// Whether the expression matches the whole of `text`, which must be UTF-8.
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
