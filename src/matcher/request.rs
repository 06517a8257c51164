//! Whether a rule is for a request (`route.v3.RouteMatch`).

use crate::http::ambiguous::Ambiguous;
use crate::http::request::{Reading, Request};
use crate::text::{Pattern, TextMatcher};

/// Which requests a rule is for: a path, and conditions that must all hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestMatcher {
    /// The test of the normalized path.
    pub path: PathMatcher,
    /// Whether the path is compared without case (ASCII letters). The path in `path` is in lower
    /// case then.
    pub ignore_case: bool,
    /// What must hold besides; an empty list takes every request of the path.
    pub conditions: Vec<Condition>,
}

/// Compared with normalized paths, and itself normalized.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathMatcher {
    /// As in Envoy: `/api` is a prefix of `/api/x` and of `/apix`.
    Prefix(String),
    /// The whole path.
    Exact(String),
    /// `path_separated_prefix`: `/api` is one of `/api` and `/api/x` only.
    Segments(String),
    /// Of the whole path, by case or as the expression says.
    Regex(Pattern),
    /// A CONNECT request, which may have no path.
    Connect,
}

/// A condition beside the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// One of these; upper-case names.
    Methods(Vec<String>),
    /// One of these.
    Hosts(Vec<HostMatcher>),
    /// A header passes its test.
    Header(HeaderMatcher),
    /// A parameter of the query passes its test.
    Parameter(ParameterMatcher),
}

/// A host by its name, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostMatcher {
    /// This name alone.
    Exact(String),
    /// `*.example.com`, here with the dot and without the star: any name below it.
    Below(String),
}

/// `route.v3.HeaderMatcher`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderMatcher {
    /// In lower case; `host` is `:authority`.
    pub name: String,
    /// The test of the header's value.
    pub test: HeaderTest,
    /// Whether the test must fail.
    pub invert: bool,
    /// Whether a header that is not there is tested as an empty one. Otherwise no test of it
    /// holds, inverted or not.
    pub missing_is_empty: bool,
}

/// What is tested of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderTest {
    /// Whether the header must be there or must not.
    Present(bool),
    /// A test of the value.
    Text(TextMatcher),
    /// A whole number from `start` to below `end`.
    Range {
        /// The least number.
        start: i64,
        /// The least number above the range.
        end: i64,
    },
}

/// `route.v3.QueryParameterMatcher`: the parameter of that name, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterMatcher {
    /// The name of the parameter, decoded.
    pub name: String,
    /// The test of the parameter's value.
    pub test: ParameterTest,
}

/// What is tested of a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParameterTest {
    /// Whether the parameter must be there or must not.
    Present(bool),
    /// A test of the decoded value.
    Text(TextMatcher),
}

/// How a request compares with what a rule is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// The path and all conditions match.
    Same,
    /// The path is not one of the rule's.
    OtherPath,
    /// The path is one of the rule's, and a condition does not hold.
    OtherCondition,
}

impl RequestMatcher {
    /// Whether the rule is for a request.
    ///
    /// # Errors
    /// A part of the request on which that depends, where upstreams read it in several ways.
    pub fn matches(&self, path: Option<&str>, request: &Request) -> Result<bool, Ambiguous> {
        Ok(self.compare(path, request)? == Comparison::Same)
    }

    /// Whether the rule is for a request, and if not, why.
    ///
    /// # Errors
    /// As [`RequestMatcher::matches`].
    #[inline]
    pub fn compare(&self, path: Option<&str>, request: &Request) -> Result<Comparison, Ambiguous> {
        Ok(if !self.path_matches(path, request)? {
            Comparison::OtherPath
        } else if !self.conditions_hold(request)? {
            Comparison::OtherCondition
        } else {
            Comparison::Same
        })
    }

    /// Whether `path` is one of those that the rule is for; `None` where there is none.
    ///
    /// # Errors
    /// As [`RequestMatcher::matches`].
    pub fn path_matches(&self, path: Option<&str>, request: &Request) -> Result<bool, Ambiguous> {
        if self.path == PathMatcher::Connect {
            return Ok(request.method()? == b"CONNECT");
        }
        let Some(path) = path else {
            return Ok(false);
        };
        let lower;
        let path = if self.ignore_case {
            lower = path.to_ascii_lowercase();
            lower.as_str()
        } else {
            path
        };
        Ok(match &self.path {
            PathMatcher::Prefix(prefix) => path.starts_with(prefix.as_str()),
            PathMatcher::Exact(exact) => path == exact,
            PathMatcher::Segments(segments) => is_below(path, segments),
            PathMatcher::Regex(pattern) => pattern.matches(path.as_bytes()),
            PathMatcher::Connect => false,
        })
    }

    /// Whether everything but the path matches. A condition that does not hold outweighs one that
    /// is ambiguous.
    ///
    /// # Errors
    /// As [`RequestMatcher::matches`].
    pub fn conditions_hold(&self, request: &Request) -> Result<bool, Ambiguous> {
        let mut outcome = Ok(true);
        for condition in &self.conditions {
            match condition.holds(request) {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(ambiguous) => outcome = outcome.and(Err(ambiguous)),
            }
        }
        outcome
    }
}

/// Whether a path is `segments` or below it.
pub(super) fn is_below(path: &str, segments: &str) -> bool {
    path.strip_prefix(segments)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Condition {
    fn holds(&self, request: &Request) -> Result<bool, Ambiguous> {
        match self {
            Self::Methods(methods) => {
                let method = request.method()?;
                Ok(methods.iter().any(|known| known.as_bytes() == method))
            }
            Self::Hosts(hosts) => {
                let host = request.host()?;
                Ok(hosts.iter().any(|known| known.matches(host)))
            }
            Self::Header(header) => header.matches(request),
            Self::Parameter(parameter) => parameter.matches(request),
        }
    }
}

impl HostMatcher {
    /// Whether a host in normal form ([`crate::http::authority`]) is one of these.
    #[must_use]
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(exact) => host == exact,
            Self::Below(end) => host.len() > end.len() && host.ends_with(end.as_str()),
        }
    }
}

/// What all readings agree on, or `None`.
fn agreed(readings: &[Reading<'_>], holds: impl Fn(Option<&[u8]>) -> bool) -> Option<bool> {
    let mut answers = readings.iter().map(|reading| holds(reading.as_deref()));
    let first = answers.next()?;
    answers.all(|answer| answer == first).then_some(first)
}

impl HeaderMatcher {
    fn matches(&self, request: &Request) -> Result<bool, Ambiguous> {
        match self.name.as_str() {
            ":authority" => Ok(self.holds(Some(request.host()?.as_bytes()))),
            ":method" => Ok(self.holds(Some(request.method()?))),
            name => agreed(&request.header_readings(name), |value| self.holds(value))
                .ok_or(Ambiguous::Header),
        }
    }

    fn holds(&self, value: Option<&[u8]>) -> bool {
        let value = value.or(self.missing_is_empty.then_some(b""));
        let holds = match (&self.test, value) {
            (HeaderTest::Present(present), value) => value.is_some() == *present,
            (_, None) => return false,
            (HeaderTest::Text(matcher), Some(value)) => matcher.matches(value),
            (HeaderTest::Range { start, end }, Some(value)) => {
                whole_number(value).is_some_and(|number| (*start..*end).contains(&number))
            }
        };
        holds != self.invert
    }
}

fn whole_number(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

impl ParameterMatcher {
    fn matches(&self, request: &Request) -> Result<bool, Ambiguous> {
        let holds = |value: Option<&[u8]>| match (value, &self.test) {
            (value, ParameterTest::Present(present)) => value.is_some() == *present,
            (None, ParameterTest::Text(_)) => false,
            (Some(value), ParameterTest::Text(test)) => test.matches(value),
        };
        agreed(&request.parameter_readings(&self.name), holds).ok_or(Ambiguous::Query)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::TextTest;

    fn request(headers: &[(&'static str, &str)]) -> Request {
        Request::new(
            headers
                .iter()
                .map(|(name, value)| ((*name).into(), value.as_bytes().to_vec()))
                .collect(),
        )
    }

    fn matcher(path: PathMatcher, ignore_case: bool) -> RequestMatcher {
        RequestMatcher {
            path,
            ignore_case,
            conditions: Vec::new(),
        }
    }

    #[test]
    fn paths() {
        let prefix = |text: &str| PathMatcher::Prefix(text.to_owned());
        let exact = |text: &str| PathMatcher::Exact(text.to_owned());
        let segments = |text: &str| PathMatcher::Segments(text.to_owned());
        let regex = |text: &str| PathMatcher::Regex(Pattern::parse(text).unwrap());
        let table = [
            (prefix("/api"), false, "/api", true),
            (prefix("/api"), false, "/apix", true),
            (prefix("/api"), false, "/API", false),
            (prefix("/api"), true, "/API/x", true),
            (exact("/api"), false, "/api", true),
            (exact("/api"), false, "/api/", false),
            (exact("/api"), true, "/Api", true),
            (segments("/api"), false, "/api", true),
            (segments("/api"), false, "/api/x", true),
            (segments("/api"), false, "/apix", false),
            (segments("/api"), true, "/API/X", true),
            (regex("/v[12]/.*"), false, "/v1/x", true),
            (regex("/v[12]"), false, "/v1/x", false),
            (regex("/v[12]"), false, "/V1", false),
            (PathMatcher::Connect, false, "/api", false),
        ];
        for (path, ignore_case, of, expected) in table {
            let matcher = matcher(path, ignore_case);
            let get = request(&[(":method", "GET")]);
            assert_eq!(
                matcher.path_matches(Some(of), &get),
                Ok(expected),
                "{matcher:?} {of}"
            );
            assert_eq!(matcher.path_matches(None, &get), Ok(false));
        }
        let connect = request(&[(":method", "CONNECT")]);
        let tunnel = matcher(PathMatcher::Connect, false);
        assert_eq!(tunnel.path_matches(None, &connect), Ok(true));
        assert_eq!(tunnel.path_matches(Some("/"), &connect), Ok(true));
        assert_eq!(
            matcher(prefix(""), false).path_matches(None, &connect),
            Ok(false)
        );
        for bad in [request(&[(":method", "connect")]), Request::default()] {
            assert_eq!(tunnel.path_matches(None, &bad), Err(Ambiguous::Method));
        }
    }

    type Headers = &'static [(&'static str, &'static str)];

    #[test]
    fn conditions() {
        let text = |test: TextTest| HeaderTest::Text(TextMatcher::new(test, false));
        let header = |test: HeaderTest, invert: bool, missing_is_empty: bool| {
            Condition::Header(HeaderMatcher {
                name: "x-a".to_owned(),
                test,
                invert,
                missing_is_empty,
            })
        };
        let exact = |value: &str| text(TextTest::Exact(value.to_owned()));
        let range = |start, end| HeaderTest::Range { start, end };
        let parameter = |test: Option<&str>| {
            Condition::Parameter(ParameterMatcher {
                name: "q".to_owned(),
                test: match test {
                    None => ParameterTest::Present(true),
                    Some(text) => ParameterTest::Text(TextMatcher::new(
                        TextTest::Exact(text.to_owned()),
                        false,
                    )),
                },
            })
        };
        let methods = Condition::Methods(vec!["GET".to_owned(), "PUT".to_owned()]);
        let hosts = Condition::Hosts(vec![
            HostMatcher::Exact("a.example".to_owned()),
            HostMatcher::Below(".b.example".to_owned()),
        ]);
        let one: Headers = &[("x-a", "1")];
        let none: Headers = &[("x-b", "1")];
        let two: Headers = &[("x-a", "1"), ("x-a", "2")];
        let unclear = |of| Err(of);
        let table: &[(Condition, Headers, Result<bool, Ambiguous>)] = &[
            (methods.clone(), &[(":method", "PUT")], Ok(true)),
            (methods.clone(), &[(":method", "POST")], Ok(false)),
            // some upstream runs it as GET
            (
                methods.clone(),
                &[(":method", "get")],
                unclear(Ambiguous::Method),
            ),
            (
                methods.clone(),
                &[(":method", "post")],
                unclear(Ambiguous::Method),
            ),
            (methods, &[], unclear(Ambiguous::Method)),
            (hosts.clone(), &[(":authority", "A.example:80")], Ok(true)),
            (hosts.clone(), &[(":authority", "x.a.example")], Ok(false)),
            (hosts.clone(), &[(":authority", "x.y.B.example")], Ok(true)),
            (hosts.clone(), &[(":authority", "b.example")], Ok(false)),
            (hosts.clone(), &[(":authority", "a.example.:80")], Ok(true)),
            (hosts.clone(), &[(":authority", "x.b.example.")], Ok(true)),
            (
                hosts.clone(),
                &[(":authority", ".b.example")],
                unclear(Ambiguous::Host),
            ),
            (
                hosts.clone(),
                &[(":authority", "a.example,c.example")],
                unclear(Ambiguous::Host),
            ),
            (hosts.clone(), &[(":authority", "xb.example")], Ok(false)),
            (hosts, &[], unclear(Ambiguous::Host)),
            (
                header(HeaderTest::Present(true), false, false),
                one,
                Ok(true),
            ),
            (
                header(HeaderTest::Present(true), false, false),
                none,
                Ok(false),
            ),
            (
                header(HeaderTest::Present(true), true, false),
                none,
                Ok(true),
            ),
            (
                header(HeaderTest::Present(false), false, false),
                none,
                Ok(true),
            ),
            (
                header(HeaderTest::Present(false), false, false),
                one,
                Ok(false),
            ),
            (
                header(HeaderTest::Present(true), false, true),
                none,
                Ok(true),
            ),
            (header(exact("1"), false, false), one, Ok(true)),
            (header(exact("1"), true, false), one, Ok(false)),
            (header(exact("2"), false, false), one, Ok(false)),
            (header(exact("2"), true, false), one, Ok(true)),
            // of several lines one could count, or all of them joined
            (
                header(exact("2"), false, false),
                two,
                unclear(Ambiguous::Header),
            ),
            (
                header(exact("1,2"), false, false),
                two,
                unclear(Ambiguous::Header),
            ),
            (
                header(exact("2"), true, false),
                two,
                unclear(Ambiguous::Header),
            ),
            (header(exact("3"), false, false), two, Ok(false)),
            (header(exact("3"), true, false), two, Ok(true)),
            (
                header(HeaderTest::Present(true), false, false),
                two,
                Ok(true),
            ),
            (
                header(range(0, 3), false, false),
                two,
                unclear(Ambiguous::Header),
            ),
            (header(range(5, 7), false, false), two, Ok(false)),
            // some upstream takes one name for the other
            (
                header(exact("1"), false, false),
                &[("x_a", "1")],
                unclear(Ambiguous::Header),
            ),
            (header(exact("2"), false, false), &[("x_a", "1")], Ok(false)),
            (
                header(exact("1"), false, false),
                &[("x-a", "1"), ("x_a", "1")],
                unclear(Ambiguous::Header),
            ),
            (
                header(HeaderTest::Present(true), false, false),
                &[("x_a", "1")],
                unclear(Ambiguous::Header),
            ),
            // white space around a value does not belong to it
            (
                header(exact("1"), false, false),
                &[("x-a", " 1\t")],
                Ok(true),
            ),
            // a missing one passes no test, inverted or not
            (header(exact("1"), false, false), none, Ok(false)),
            (header(exact("1"), true, false), none, Ok(false)),
            (header(exact("1"), true, true), none, Ok(true)),
            (header(exact(""), false, true), none, Ok(true)),
            (header(range(0, 2), false, false), one, Ok(true)),
            (header(range(0, 1), false, false), one, Ok(false)),
            (header(range(0, 1), true, false), one, Ok(true)),
            (
                header(range(-5, 5), false, false),
                &[("x-a", "-5")],
                Ok(true),
            ),
            (
                header(range(-5, 5), false, false),
                &[("x-a", "x")],
                Ok(false),
            ),
            (header(range(-5, 5), false, false), none, Ok(false)),
            (parameter(None), &[(":path", "/?q")], Ok(true)),
            (parameter(None), &[(":path", "/?p=q")], Ok(false)),
            (parameter(None), &[(":path", "/?q=1&q=2")], Ok(true)),
            (parameter(Some("3")), &[(":path", "/?q=1&q=2")], Ok(false)),
            (
                parameter(Some("2")),
                &[(":path", "/?q=1&q=2")],
                unclear(Ambiguous::Query),
            ),
            (
                parameter(Some("1")),
                &[(":path", "/?x;q=1")],
                unclear(Ambiguous::Query),
            ),
            (
                parameter(Some("1")),
                &[(":path", "/?Q=1")],
                unclear(Ambiguous::Query),
            ),
            (parameter(Some("a b")), &[(":path", "/?q=a%20b")], Ok(true)),
            (
                parameter(Some("a b")),
                &[(":path", "/?q=a+b")],
                unclear(Ambiguous::Query),
            ),
            (parameter(Some("1")), &[(":path", "/?%71=%31")], Ok(true)),
            (parameter(Some("1")), &[], Ok(false)),
            (
                Condition::Parameter(ParameterMatcher {
                    name: "q".to_owned(),
                    test: ParameterTest::Present(false),
                }),
                &[(":path", "/?p=q")],
                Ok(true),
            ),
        ];
        for (condition, headers, expected) in table {
            assert_eq!(
                condition.holds(&request(headers)),
                *expected,
                "{condition:?} {headers:?}"
            );
        }
    }
}
