//! What a rule asks of a request before it is the one that decides (`route.v3.RouteMatch`).

use crate::http::request::Request;
use crate::text::{Pattern, TextMatcher};

/// Which requests a rule is for: a path, and conditions that all have to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestMatcher {
    pub path: PathMatcher,
    /// Whether the path is compared without case (ASCII letters). The path in `path` is in lower
    /// case then.
    pub ignore_case: bool,
    pub conditions: Vec<Condition>,
}

/// Compared with normalized paths, and itself normalized.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathMatcher {
    /// As in Envoy: `/api` is a prefix of `/api/x` and of `/apix`.
    Prefix(String),
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
    Header(HeaderMatcher),
    Parameter(ParameterMatcher),
}

/// A host by its name, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostMatcher {
    Exact(String),
    /// `*.example.com`, here with the dot and without the star: any name below it.
    Below(String),
}

/// `route.v3.HeaderMatcher`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderMatcher {
    /// In lower case; `host` is `:authority`.
    pub name: String,
    pub test: HeaderTest,
    pub invert: bool,
    /// Whether a header that is not there is tested as an empty one. Otherwise no test of it
    /// holds, inverted or not.
    pub missing_is_empty: bool,
}

/// What is tested of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderTest {
    Present(bool),
    /// Of each value, where the header was sent several times: one that passes is enough.
    Text(TextMatcher),
    /// A whole number from `start` to below `end`.
    Range {
        start: i64,
        end: i64,
    },
}

/// `route.v3.QueryParameterMatcher`: the first parameter of that name, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterMatcher {
    pub name: String,
    pub test: ParameterTest,
}

/// What is tested of a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParameterTest {
    Present(bool),
    Text(TextMatcher),
}

impl RequestMatcher {
    /// Whether `path` is one of those that the rule is for; `None` where there is none.
    #[must_use]
    pub fn path_matches(&self, path: Option<&str>, request: &Request) -> bool {
        let Some(path) = path else {
            return self.path == PathMatcher::Connect && is_connect(request);
        };
        let lower;
        let path = if self.ignore_case {
            lower = path.to_ascii_lowercase();
            lower.as_str()
        } else {
            path
        };
        match &self.path {
            PathMatcher::Prefix(prefix) => path.starts_with(prefix.as_str()),
            PathMatcher::Exact(exact) => path == exact,
            PathMatcher::Segments(segments) => is_below(path, segments),
            PathMatcher::Regex(pattern) => pattern.matches(path.as_bytes()),
            PathMatcher::Connect => is_connect(request),
        }
    }

    /// Whether everything but the path matches.
    #[must_use]
    pub fn conditions_hold(&self, request: &Request) -> bool {
        self.conditions
            .iter()
            .all(|condition| condition.holds(request))
    }
}

/// Whether a path is `segments` or below it.
pub(super) fn is_below(path: &str, segments: &str) -> bool {
    path.strip_prefix(segments)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn is_connect(request: &Request) -> bool {
    request.method() == Some(b"CONNECT")
}

impl Condition {
    fn holds(&self, request: &Request) -> bool {
        match self {
            Condition::Methods(methods) => request
                .method()
                .is_some_and(|method| methods.iter().any(|known| known.as_bytes() == method)),
            Condition::Hosts(hosts) => request
                .host()
                .is_some_and(|host| hosts.iter().any(|known| known.matches(host))),
            Condition::Header(header) => header.matches(request),
            Condition::Parameter(parameter) => parameter.matches(request),
        }
    }
}

impl HostMatcher {
    fn matches(&self, host: &[u8]) -> bool {
        match self {
            HostMatcher::Exact(exact) => host.eq_ignore_ascii_case(exact.as_bytes()),
            HostMatcher::Below(end) => host
                .len()
                .checked_sub(end.len())
                .filter(|start| *start > 0)
                .and_then(|start| host.get(start..))
                .is_some_and(|tail| tail.eq_ignore_ascii_case(end.as_bytes())),
        }
    }
}

impl HeaderMatcher {
    fn matches(&self, request: &Request) -> bool {
        let mut values = request.values(&self.name).peekable();
        let there = values.peek().is_some() || self.missing_is_empty;
        let missing = (values.peek().is_none() && there).then_some(&b""[..]);
        let mut values = values.chain(missing);
        let holds = match &self.test {
            HeaderTest::Present(present) => there == *present,
            _ if !there => return false,
            HeaderTest::Text(matcher) => values.any(|value| matcher.matches(value)),
            HeaderTest::Range { start, end } => {
                values.any(|value| whole_number(value).is_some_and(|n| (*start..*end).contains(&n)))
            }
        };
        holds != self.invert
    }
}

fn whole_number(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

impl ParameterMatcher {
    fn matches(&self, request: &Request) -> bool {
        let mut named = request
            .parameters()
            .filter(|(name, _)| **name == *self.name.as_bytes());
        match (named.next(), &self.test) {
            (first, ParameterTest::Present(present)) => first.is_some() == *present,
            (None, ParameterTest::Text(_)) => false,
            (Some((_, value)), ParameterTest::Text(test)) => test.matches(&value),
        }
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
            assert_eq!(
                matcher.path_matches(Some(of), &Request::default()),
                expected,
                "{matcher:?} {of}"
            );
            assert!(!matcher.path_matches(None, &request(&[(":method", "GET")])));
        }
        let connect = request(&[(":method", "CONNECT")]);
        assert!(matcher(PathMatcher::Connect, false).path_matches(None, &connect));
        assert!(matcher(PathMatcher::Connect, false).path_matches(Some("/"), &connect));
        assert!(!matcher(prefix(""), false).path_matches(None, &connect));
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
        let table: &[(Condition, Headers, bool)] = &[
            (methods.clone(), &[(":method", "PUT")], true),
            (methods.clone(), &[(":method", "get")], false),
            (methods, &[], false),
            (hosts.clone(), &[(":authority", "A.example:80")], true),
            (hosts.clone(), &[(":authority", "x.a.example")], false),
            (hosts.clone(), &[(":authority", "x.y.B.example")], true),
            (hosts.clone(), &[(":authority", "b.example")], false),
            (hosts.clone(), &[(":authority", ".b.example")], false),
            (hosts.clone(), &[(":authority", "xb.example")], false),
            (hosts, &[], false),
            (header(HeaderTest::Present(true), false, false), one, true),
            (header(HeaderTest::Present(true), false, false), none, false),
            (header(HeaderTest::Present(true), true, false), none, true),
            (header(HeaderTest::Present(false), false, false), none, true),
            (header(HeaderTest::Present(false), false, false), one, false),
            (header(HeaderTest::Present(true), false, true), none, true),
            (header(exact("1"), false, false), one, true),
            (header(exact("1"), true, false), one, false),
            (header(exact("2"), false, false), one, false),
            (header(exact("2"), true, false), one, true),
            // one of several is enough; none may pass where it is inverted
            (header(exact("2"), false, false), two, true),
            (header(exact("1,2"), false, false), two, false),
            (header(exact("2"), true, false), two, false),
            (header(exact("3"), true, false), two, true),
            // a missing one passes no test, inverted or not
            (header(exact("1"), false, false), none, false),
            (header(exact("1"), true, false), none, false),
            (header(exact("1"), true, true), none, true),
            (header(exact(""), false, true), none, true),
            (header(range(0, 2), false, false), one, true),
            (header(range(0, 1), false, false), one, false),
            (header(range(0, 1), true, false), one, true),
            (header(range(-5, 5), false, false), &[("x-a", "-5")], true),
            (header(range(-5, 5), false, false), &[("x-a", "x")], false),
            (header(range(-5, 5), false, false), none, false),
            (parameter(None), &[(":path", "/?q")], true),
            (parameter(None), &[(":path", "/?p=q")], false),
            (parameter(Some("1")), &[(":path", "/?q=1&q=2")], true),
            (parameter(Some("2")), &[(":path", "/?q=1&q=2")], false),
            (parameter(Some("1")), &[(":path", "/?%71=%31")], true),
            (parameter(Some("1")), &[], false),
            (
                Condition::Parameter(ParameterMatcher {
                    name: "q".to_owned(),
                    test: ParameterTest::Present(false),
                }),
                &[(":path", "/?p=q")],
                true,
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
