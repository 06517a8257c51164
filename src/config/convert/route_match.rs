//! What a rule is for: raw to valid (`route.v3.RouteMatch`).
//!
//! Invariant: a matcher that could never match is refused, for its author believes that it
//! protects something; and no matcher sees the path in another form than the normal one.

use super::header::is_token;
use super::text::{self, only, part, regex};
use super::vet::required_text;
use crate::config::read::error::{At, ConfigError};
use crate::config::read::raw_rule::{RawHeaderMatcher, RawMatch, RawParameterMatcher, RawRange};
use crate::config::read::value::{Given, each, filled, vet_each};
use crate::http::{authority, path, value};
use crate::matcher::{
    Condition, HeaderMatcher, HeaderTest, HostMatcher, ParameterMatcher, ParameterTest,
    PathMatcher, RequestMatcher,
};
use crate::text::{TextMatcher, TextTest};

#[inline(never)]
pub(super) fn convert(raw: RawMatch) -> Result<RequestMatcher, ConfigError> {
    let ignore_case = !raw.case_sensitive.0.unwrap_or(true);
    let matcher = only([
        literal("prefix", raw.prefix, ignore_case, PathMatcher::Prefix),
        literal("path", raw.path, ignore_case, PathMatcher::Exact),
        literal(
            "path_separated_prefix",
            raw.path_separated_prefix,
            ignore_case,
            PathMatcher::Segments,
        ),
        raw.safe_regex.0.map(|raw| {
            let pattern = text::pattern(raw).at("safe_regex");
            pattern.map(PathMatcher::Regex)
        }),
        raw.connect_matcher.0.map(|_| Ok(PathMatcher::Connect)),
    ])
    .ok_or_else(|| {
        ConfigError::here(
            "exactly one of prefix, path, path_separated_prefix, safe_regex and connect_matcher is required",
        )
    })??;
    if let PathMatcher::Segments(text) = &matcher
        && text.ends_with('/')
    {
        // as Envoy says of it
        return Err(ConfigError::new(
            "path_separated_prefix",
            "must not end with a slash",
        ));
    }
    let is_text = !matches!(matcher, PathMatcher::Regex(_) | PathMatcher::Connect);

    let mut conditions = Vec::new();
    if let Some(names) = raw.methods.0 {
        conditions.push(methods(names).at("methods")?);
    }
    if let Some(names) = raw.hosts.0 {
        conditions.push(hosts(names).at("hosts")?);
    }
    let headers = raw.headers.0.unwrap_or_default();
    conditions.append(&mut each(headers, &mut header).at("headers")?);
    let parameters = raw.query_parameters.0.unwrap_or_default();
    conditions.append(&mut each(parameters, &mut parameter).at("query_parameters")?);
    Ok(RequestMatcher {
        path: matcher,
        // as in Envoy, a regex says by itself what its case is
        ignore_case: ignore_case && is_text,
        conditions,
    })
}

#[inline(never)]
fn literal(
    field: &str,
    text: Given<String>,
    ignore_case: bool,
    matcher: fn(String) -> PathMatcher,
) -> Option<Result<PathMatcher, ConfigError>> {
    let text = text.0?;
    Some(normal(text, ignore_case).map(matcher).at(field))
}

/// Only what is its own normal form can match a normalized path.
pub(super) fn normal(text: String, ignore_case: bool) -> Result<String, ConfigError> {
    match path::normalize(text.as_bytes()) {
        Ok(normal) if normal == text => Ok(if ignore_case {
            text.to_ascii_lowercase()
        } else {
            text
        }),
        Ok(normal) => Err(ConfigError::here(&format!(
            "never matches: paths are compared without query, parameters and needless escapes, here {normal}"
        ))),
        Err(reason) => Err(ConfigError::here(&format!("never matches: it {reason}"))),
    }
}

fn methods(methods: Vec<String>) -> Result<Condition, ConfigError> {
    let methods = filled(methods)?;
    vet_each(&methods, &|method| vet_method(method))?;
    Ok(Condition::Methods(methods))
}

fn vet_method(method: &str) -> Result<(), ConfigError> {
    if method.is_empty() || !method.bytes().all(is_token) {
        return Err(ConfigError::here("is not a method"));
    }
    // methods have a case (RFC 9110 section 9.1): `get` would match nothing
    if method.bytes().any(|byte| byte.is_ascii_lowercase()) {
        return Err(ConfigError::here("must be in upper case"));
    }
    Ok(())
}

fn hosts(names: Vec<String>) -> Result<Condition, ConfigError> {
    each(filled(names)?, &mut host).map(Condition::Hosts)
}

pub(super) fn host(name: String) -> Result<HostMatcher, ConfigError> {
    let (below, host) = match name.strip_prefix("*.") {
        Some(domain) => (true, domain),
        None => (false, name.as_str()),
    };
    let host = normal_host(host)?;
    Ok(match below {
        true if host.starts_with('[') => {
            return Err(ConfigError::here(
                "never matches: nothing is below an address",
            ));
        }
        true => HostMatcher::Below(format!(".{host}")),
        false => HostMatcher::Exact(host),
    })
}

/// The one form that hosts are compared in. What has a port would never match.
#[inline(never)]
pub(super) fn normal_host(text: &str) -> Result<String, ConfigError> {
    let refuse = |reason: &str| {
        ConfigError::here(&format!(
            "must be a host without port, or *. and a domain: it {reason}"
        ))
    };
    let host = authority::host(text.as_bytes()).map_err(|reason| refuse(&reason.to_string()))?;
    if text.contains(':') && !text.ends_with(']') {
        return Err(refuse("has a port"));
    }
    Ok(host.into_owned())
}

/// A test of the host, for it to be in lower case and without port and final dot.
#[inline(never)]
fn of_host(test: &TextMatcher) -> Result<TextMatcher, ConfigError> {
    let (part, whole): (_, fn(String) -> TextTest) = match test.test() {
        TextTest::Exact(text) => (normal_host(text)?, TextTest::Exact),
        TextTest::Prefix(text) => (part_of_host(text)?, TextTest::Prefix),
        TextTest::Contains(text) => (part_of_host(text)?, TextTest::Contains),
        TextTest::Suffix(text) => {
            let text = text.strip_suffix('.').unwrap_or(text);
            (part_of_host(text)?, TextTest::Suffix)
        }
        TextTest::Regex(_) => return Ok(test.clone()),
    };
    Ok(TextMatcher::new(whole(part), false))
}

fn part_of_host(text: &str) -> Result<String, ConfigError> {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.[]:".contains(&byte);
    let has_port = text.contains(':') && !text.contains(['[', ']']);
    if text.is_empty() || has_port || !text.bytes().all(is_legal) {
        return Err(ConfigError::here(
            "never matches: hosts are compared in lower case, without port and final dot",
        ));
    }
    Ok(text.to_ascii_lowercase())
}

/// A test of a value that could never hold, since values have a normal form.
#[inline(never)]
fn vet_value(name: &str, test: &TextMatcher) -> Result<(), ConfigError> {
    let (text, starts, ends) = match test.test() {
        TextTest::Exact(text) => (text, true, true),
        TextTest::Prefix(text) => (text, true, false),
        TextTest::Suffix(text) => (text, false, true),
        TextTest::Contains(text) => (text, false, false),
        TextTest::Regex(_) => return Ok(()),
    };
    let is_lower = |byte: u8| byte.is_ascii_lowercase();
    if name == ":method" && !test.ignores_case() && text.bytes().any(is_lower) {
        return Err(ConfigError::here("must be in upper case"));
    }
    let trimmed = value::trim(text.as_bytes());
    let (before, after) = (text.as_bytes().first(), text.as_bytes().last());
    if starts && trimmed.first() != before || ends && trimmed.last() != after {
        return Err(ConfigError::here(
            "never matches: white space around a value is no part of it",
        ));
    }
    Ok(())
}

fn header(raw: RawHeaderMatcher) -> Result<Condition, ConfigError> {
    let name = required_text(raw.name).and_then(header_name).at("name")?;
    let texts = [
        raw.exact_match.0.map(|text| Ok(TextTest::Exact(text))),
        part("prefix_match", raw.prefix_match, TextTest::Prefix),
        part("suffix_match", raw.suffix_match, TextTest::Suffix),
        part("contains_match", raw.contains_match, TextTest::Contains),
        regex("safe_regex_match", raw.safe_regex_match),
    ];
    let exactly = |test| HeaderTest::Text(TextMatcher::new(test, false));
    let [exact, prefix, suffix, contains, regex] = texts.map(|test| Some(test?.map(exactly)));
    let given = [
        exact,
        prefix,
        suffix,
        contains,
        regex,
        raw.string_match
            .0
            .map(|raw| text::matcher(raw).map(HeaderTest::Text).at("string_match")),
        raw.range_match.0.map(|raw| range(&raw).at("range_match")),
        raw.present_match
            .0
            .map(|present| Ok(HeaderTest::Present(present))),
    ];
    // As in Envoy: without a test it is about the header's being there.
    let test = if given.iter().all(Option::is_none) {
        HeaderTest::Present(true)
    } else {
        only(given).ok_or_else(|| ConfigError::here("has more than one test"))??
    };
    let name = if name == "host" {
        ":authority".to_owned()
    } else {
        name
    };
    let test = match test {
        HeaderTest::Text(test) if name == ":authority" => HeaderTest::Text(of_host(&test)?),
        HeaderTest::Text(test) => {
            vet_value(&name, &test)?;
            HeaderTest::Text(test)
        }
        test => test,
    };
    Ok(Condition::Header(HeaderMatcher {
        name,
        test,
        invert: raw.invert_match.0.unwrap_or(false),
        missing_is_empty: raw.treat_missing_header_as_empty.0.unwrap_or(false),
    }))
}

fn header_name(name: String) -> Result<String, ConfigError> {
    let name = name.to_ascii_lowercase();
    let bare = name.strip_prefix(':').unwrap_or(&name);
    if bare.is_empty() || !bare.bytes().all(is_token) {
        return Err(ConfigError::here("is not a header name"));
    }
    if name == ":path" {
        return Err(ConfigError::here(
            "the path has many spellings: use prefix, path, path_separated_prefix or safe_regex",
        ));
    }
    Ok(name)
}

fn range(raw: &RawRange) -> Result<HeaderTest, ConfigError> {
    let (start, end) = (
        raw.start.0.map_or(0, |start| start.0),
        raw.end.0.map_or(0, |end| end.0),
    );
    if start >= end {
        return Err(ConfigError::here(
            "never matches: end, which is not part of it, must be above start",
        ));
    }
    Ok(HeaderTest::Range { start, end })
}

fn parameter(raw: RawParameterMatcher) -> Result<Condition, ConfigError> {
    let name = required_text(raw.name).at("name")?;
    let test = match (raw.string_match.0, raw.present_match.0) {
        (Some(raw), None) => ParameterTest::Text(text::matcher(raw).at("string_match")?),
        (None, present) => ParameterTest::Present(present.unwrap_or(true)),
        (Some(_), Some(_)) => return Err(ConfigError::here("has more than one test")),
    };
    Ok(Condition::Parameter(ParameterMatcher { name, test }))
}
