//! Tests of texts: raw to valid (`type.matcher.v3.StringMatcher`, `RegexMatcher`).

use super::vet::{not_empty, required_text};
use crate::config::read::error::{At, ConfigError};
use crate::config::read::raw_rule::{RawRegex, RawTextMatcher};
use crate::config::read::value::Given;
use crate::text::{Pattern, TextMatcher, TextTest};

#[inline(never)]
pub(super) fn matcher(raw: RawTextMatcher) -> Result<TextMatcher, ConfigError> {
    let ignore_case = raw.ignore_case.0.unwrap_or(false);
    let given = [
        raw.exact.0.map(TextTest::Exact).map(Ok),
        part("prefix", raw.prefix, TextTest::Prefix),
        part("suffix", raw.suffix, TextTest::Suffix),
        part("contains", raw.contains, TextTest::Contains),
        regex("safe_regex", raw.safe_regex),
    ];
    let test = only(given).ok_or_else(|| {
        ConfigError::here(
            "exactly one of exact, prefix, suffix, contains and safe_regex is required",
        )
    })??;
    Ok(TextMatcher::new(test, ignore_case))
}

/// A prefix, suffix or part that is empty would pass everything; Envoy refuses it too.
#[inline(never)]
pub(super) fn part(
    field: &str,
    text: Given<String>,
    test: fn(String) -> TextTest,
) -> Option<Result<TextTest, ConfigError>> {
    text.0.map(|text| not_empty(text).map(test).at(field))
}

#[inline(never)]
pub(super) fn regex(field: &str, raw: Given<RawRegex>) -> Option<Result<TextTest, ConfigError>> {
    raw.0.map(|raw| pattern(raw).map(TextTest::Regex).at(field))
}

#[inline(never)]
pub(super) fn pattern(raw: RawRegex) -> Result<Pattern, ConfigError> {
    let regex = required_text(raw.regex);
    regex
        .and_then(|regex| Pattern::parse(&regex).map_err(|problem| ConfigError::here(&problem)))
        .at("regex")
}

/// The one that is given, if exactly one is.
pub(super) fn only<T, const N: usize>(options: [Option<T>; N]) -> Option<T> {
    let mut given = options.into_iter().flatten();
    let first = given.next()?;
    given.next().is_none().then_some(first)
}
