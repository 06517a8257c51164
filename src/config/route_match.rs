//! What a rule is for: raw to valid (`route.v3.RouteMatch`).
//!
//! Invariant: a matcher that could never match is refused, for its author believes that it
//! protects something; and no matcher sees the path in another form than the normal one.

use super::error::{ConfigError, join};
use super::header::is_token;
use super::provider::not_empty;
use super::raw_rule::{RawHeaderMatcher, RawMatch, RawParameterMatcher, RawRange};
use super::text::{self, not_empty_if_given, only};
use crate::http::path;
use crate::matcher::{
    Condition, HeaderMatcher, HeaderTest, HostMatcher, ParameterMatcher, ParameterTest,
    PathMatcher, RequestMatcher,
};
use crate::text::{TextMatcher, TextTest};

pub(super) fn convert(path: &str, raw: RawMatch) -> Result<RequestMatcher, ConfigError> {
    let ignore_case = !raw.case_sensitive.0.unwrap_or(true);
    let literal = |field: &str, text: Option<String>, matcher: fn(String) -> PathMatcher| {
        text.map(|text| normal(&join(path, field), text, ignore_case).map(matcher))
    };
    let matcher = only([
        literal("prefix", raw.prefix.0, PathMatcher::Prefix),
        literal("path", raw.path.0, PathMatcher::Exact),
        raw.path_separated_prefix.0.map(|text| {
            let path = join(path, "path_separated_prefix");
            // as Envoy says of it
            if text.ends_with('/') {
                return Err(ConfigError::new(path, "must not end with a slash"));
            }
            normal(&path, text, ignore_case).map(PathMatcher::Segments)
        }),
        raw.safe_regex
            .0
            .map(|raw| text::pattern(&join(path, "safe_regex"), raw).map(PathMatcher::Regex)),
        raw.connect_matcher.0.map(|_| Ok(PathMatcher::Connect)),
    ])
    .ok_or_else(|| {
        ConfigError::new(
            path,
            "exactly one of prefix, path, path_separated_prefix, safe_regex and connect_matcher is required",
        )
    })??;
    let is_text = !matches!(matcher, PathMatcher::Regex(_) | PathMatcher::Connect);

    let mut conditions = Vec::new();
    if let Some(names) = raw.methods.0 {
        conditions.push(methods(&join(path, "methods"), names)?);
    }
    if let Some(names) = raw.hosts.0 {
        conditions.push(hosts(&join(path, "hosts"), names)?);
    }
    for (index, raw) in raw.headers.0.unwrap_or_default().into_iter().enumerate() {
        conditions.push(header(&format!("{path}.headers[{index}]"), raw)?);
    }
    for (index, raw) in raw
        .query_parameters
        .0
        .unwrap_or_default()
        .into_iter()
        .enumerate()
    {
        conditions.push(parameter(
            &format!("{path}.query_parameters[{index}]"),
            raw,
        )?);
    }
    Ok(RequestMatcher {
        path: matcher,
        // as in Envoy, a regex says by itself what its case is
        ignore_case: ignore_case && is_text,
        conditions,
    })
}

/// Only what is its own normal form can match a normalized path.
fn normal(path: &str, text: String, ignore_case: bool) -> Result<String, ConfigError> {
    match path::normalize(text.as_bytes()) {
        Ok(normal) if normal == text => Ok(if ignore_case {
            text.to_ascii_lowercase()
        } else {
            text
        }),
        Ok(normal) => Err(ConfigError::new(
            path,
            format!(
                "never matches: paths are compared without query, parameters and needless escapes, here {normal}"
            ),
        )),
        Err(reason) => Err(ConfigError::new(
            path,
            format!("never matches: it {reason}"),
        )),
    }
}

fn methods(path: &str, methods: Vec<String>) -> Result<Condition, ConfigError> {
    if methods.is_empty() {
        return Err(ConfigError::new(path, "must not be empty"));
    }
    for (index, method) in methods.iter().enumerate() {
        let problem = |text: &str| ConfigError::new(format!("{path}[{index}]"), text);
        if method.is_empty() || !method.bytes().all(is_token) {
            return Err(problem("is not a method"));
        }
        // methods have a case (RFC 9110 section 9.1): `get` would match nothing
        if method.bytes().any(|byte| byte.is_ascii_lowercase()) {
            return Err(problem("must be in upper case"));
        }
    }
    Ok(Condition::Methods(methods))
}

fn hosts(path: &str, names: Vec<String>) -> Result<Condition, ConfigError> {
    if names.is_empty() {
        return Err(ConfigError::new(path, "must not be empty"));
    }
    let hosts = names.iter().enumerate().map(|(index, name)| {
        let (below, host) = match name.strip_prefix('*') {
            Some(rest) if rest.starts_with('.') => (true, rest),
            _ => (false, name.as_str()),
        };
        let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte);
        let has_port = !host.ends_with(']') && host.contains(':');
        if host.trim_start_matches('.').is_empty() || !host.bytes().all(is_host) || has_port {
            return Err(ConfigError::new(
                format!("{path}[{index}]"),
                "must be a host without port, or *. and a domain",
            ));
        }
        let host = host.to_ascii_lowercase();
        Ok(if below {
            HostMatcher::Below(host)
        } else {
            HostMatcher::Exact(host)
        })
    });
    hosts.collect::<Result<_, _>>().map(Condition::Hosts)
}

fn header(path: &str, raw: RawHeaderMatcher) -> Result<Condition, ConfigError> {
    let name_path = join(path, "name");
    let name = not_empty(&name_path, raw.name.0)?.to_ascii_lowercase();
    let bare = name.strip_prefix(':').unwrap_or(&name);
    if bare.is_empty() || !bare.bytes().all(is_token) {
        return Err(ConfigError::new(name_path, "is not a header name"));
    }
    if name == ":path" {
        return Err(ConfigError::new(
            name_path,
            "the path has many spellings: use prefix, path, path_separated_prefix or safe_regex",
        ));
    }
    let exact = |test| HeaderTest::Text(TextMatcher::new(test, false));
    let given = [
        raw.exact_match
            .0
            .map(|text| Ok(exact(TextTest::Exact(text)))),
        not_empty_if_given(path, "prefix_match", raw.prefix_match.0, TextTest::Prefix)
            .map(|test| test.map(exact)),
        not_empty_if_given(path, "suffix_match", raw.suffix_match.0, TextTest::Suffix)
            .map(|test| test.map(exact)),
        not_empty_if_given(
            path,
            "contains_match",
            raw.contains_match.0,
            TextTest::Contains,
        )
        .map(|test| test.map(exact)),
        raw.safe_regex_match.0.map(|raw| {
            let pattern = text::pattern(&join(path, "safe_regex_match"), raw)?;
            Ok(exact(TextTest::Regex(pattern)))
        }),
        raw.string_match
            .0
            .map(|raw| text::matcher(&join(path, "string_match"), raw).map(HeaderTest::Text)),
        raw.range_match
            .0
            .map(|raw| range(&join(path, "range_match"), &raw)),
        raw.present_match
            .0
            .map(|present| Ok(HeaderTest::Present(present))),
    ];
    // As in Envoy: without a test it is about the header's being there.
    let test = if given.iter().all(Option::is_none) {
        HeaderTest::Present(true)
    } else {
        only(given).ok_or_else(|| ConfigError::new(path, "has more than one test"))??
    };
    Ok(Condition::Header(HeaderMatcher {
        name: if name == "host" {
            ":authority".to_owned()
        } else {
            name
        },
        test,
        invert: raw.invert_match.0.unwrap_or(false),
        missing_is_empty: raw.treat_missing_header_as_empty.0.unwrap_or(false),
    }))
}

fn range(path: &str, raw: &RawRange) -> Result<HeaderTest, ConfigError> {
    let (start, end) = (
        raw.start.0.map_or(0, |start| start.0),
        raw.end.0.map_or(0, |end| end.0),
    );
    if start >= end {
        return Err(ConfigError::new(
            path,
            "never matches: end, which is not part of it, must be above start",
        ));
    }
    Ok(HeaderTest::Range { start, end })
}

fn parameter(path: &str, raw: RawParameterMatcher) -> Result<Condition, ConfigError> {
    let name = not_empty(&join(path, "name"), raw.name.0)?;
    let test = match (raw.string_match.0, raw.present_match.0) {
        (Some(raw), None) => ParameterTest::Text(text::matcher(&join(path, "string_match"), raw)?),
        (None, present) => ParameterTest::Present(present.unwrap_or(true)),
        (Some(_), Some(_)) => return Err(ConfigError::new(path, "has more than one test")),
    };
    Ok(Condition::Parameter(ParameterMatcher { name, test }))
}
