//! Tests of texts: raw to valid (`type.matcher.v3.StringMatcher`, `RegexMatcher`).

use super::error::{ConfigError, join};
use super::provider::not_empty;
use super::raw_rule::{RawRegex, RawTextMatcher};
use crate::text::{Pattern, TextMatcher, TextTest};

pub(super) fn matcher(path: &str, raw: RawTextMatcher) -> Result<TextMatcher, ConfigError> {
    let ignore_case = raw.ignore_case.0.unwrap_or(false);
    let given = [
        raw.exact.0.map(TextTest::Exact).map(Ok),
        not_empty_if_given(path, "prefix", raw.prefix.0, TextTest::Prefix),
        not_empty_if_given(path, "suffix", raw.suffix.0, TextTest::Suffix),
        not_empty_if_given(path, "contains", raw.contains.0, TextTest::Contains),
        raw.safe_regex
            .0
            .map(|raw| pattern(&join(path, "safe_regex"), raw).map(TextTest::Regex)),
    ];
    let test = only(given).ok_or_else(|| {
        ConfigError::new(
            path,
            "exactly one of exact, prefix, suffix, contains and safe_regex is required",
        )
    })??;
    Ok(TextMatcher::new(test, ignore_case))
}

/// A prefix, suffix or part that is empty would pass everything; Envoy refuses it too.
pub(super) fn not_empty_if_given<T>(
    path: &str,
    field: &str,
    text: Option<String>,
    test: impl FnOnce(String) -> T,
) -> Option<Result<T, ConfigError>> {
    text.map(|text| not_empty(&join(path, field), Some(text)).map(test))
}

pub(super) fn pattern(path: &str, raw: RawRegex) -> Result<Pattern, ConfigError> {
    let path = join(path, "regex");
    let regex = not_empty(&path, raw.regex.0)?;
    Pattern::parse(&regex).map_err(|problem| ConfigError::new(path, problem))
}

/// The one that is given, if exactly one is.
pub(super) fn only<T, const N: usize>(options: [Option<T>; N]) -> Option<T> {
    let mut given = options.into_iter().flatten();
    let first = given.next()?;
    given.next().is_none().then_some(first)
}
