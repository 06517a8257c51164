//! The head of a request, as far as a decision looks at it (RFC 9110 sections 3.9 and 5, RFC 6265
//! section 4.2.1).
//!
//! Invariant: values are bytes as they came. Nothing is decoded before a part is asked for, and a
//! part that cannot be read is absent or itself, never an error that ends the request's way.

use std::borrow::Cow;

/// Name and value of a header, pseudo-headers with their colon included.
pub type Header = (Cow<'static, str>, Vec<u8>);

/// What was read of a request.
#[derive(Clone, Debug, Default)]
pub struct Request {
    headers: Vec<Header>,
    requirement: Option<Vec<u8>>,
}

impl Request {
    /// From headers with lower-case names, in the order in which they came.
    #[must_use]
    pub fn new(headers: Vec<Header>) -> Request {
        Request {
            headers,
            requirement: None,
        }
    }

    /// The same, on a route that names what it asks for.
    #[must_use]
    pub fn on_route_with(self, requirement: Option<Vec<u8>>) -> Request {
        Request {
            requirement,
            ..self
        }
    }

    /// The name of what the route asks for. It is the configuration's, not the client's.
    #[must_use]
    pub fn requirement_of_route(&self) -> Option<&[u8]> {
        self.requirement.as_deref()
    }

    /// How much memory it takes, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        let of_headers = self.headers.iter().map(|(name, value)| {
            // Names of the configuration are not copied.
            let name = match name {
                Cow::Borrowed(_) => 0,
                Cow::Owned(name) => name.capacity(),
            };
            size_of::<Header>() + name + value.capacity()
        });
        let of_route = self.requirement.as_ref().map_or(0, Vec::capacity);
        size_of::<Request>() + of_headers.sum::<usize>() + of_route
    }

    /// The values of a header, one for each time it was sent; `name` is lower-case.
    pub fn values<'r>(&'r self, name: &str) -> impl Iterator<Item = &'r [u8]> {
        self.headers
            .iter()
            .filter(move |(known, _)| known == name)
            .map(|(_, value)| value.as_slice())
    }

    /// The first value of a header.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        self.values(name).next()
    }

    /// `:path`; a CONNECT request may have none.
    #[must_use]
    pub fn path(&self) -> Option<&[u8]> {
        self.value(":path")
    }

    /// `:method`.
    #[must_use]
    pub fn method(&self) -> Option<&[u8]> {
        self.value(":method")
    }

    /// The host of `:authority`, without its port.
    #[must_use]
    pub fn host(&self) -> Option<&[u8]> {
        let authority = self.value(":authority")?;
        let after_address = authority.iter().rposition(|byte| *byte == b']');
        let colon = authority.iter().rposition(|byte| *byte == b':');
        match colon {
            Some(colon) if after_address.is_none_or(|end| end < colon) => authority.get(..colon),
            _ => Some(authority),
        }
    }

    /// The parameters of the query, decoded, in the order in which they stand.
    pub fn parameters(&self) -> impl Iterator<Item = (Cow<'_, [u8]>, Cow<'_, [u8]>)> {
        let query = self.path().and_then(split_query).map(|(_, query)| query);
        query
            .into_iter()
            .flat_map(|query| query.split(|byte| *byte == b'&'))
            .map(|parameter| {
                let (name, value) = split_at(parameter, b'=').unwrap_or((parameter, b""));
                (percent_decoded(name), percent_decoded(value))
            })
    }

    /// The cookies: names and values without the quotes that may be around them.
    pub fn cookies(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.values("cookie").flat_map(cookie_pairs)
    }

    /// Whether a browser asks if it may send the request that it means (the Fetch standard,
    /// CORS-preflight request).
    #[must_use]
    pub fn is_cors_preflight(&self) -> bool {
        let given = |name| self.value(name).is_some_and(|value| !value.is_empty());
        self.method() == Some(b"OPTIONS")
            && given("origin")
            && given("access-control-request-method")
    }

    /// `:path` without the parameters of these names, or `None` if it has none of them.
    #[must_use]
    pub fn path_without(&self, names: &[&str]) -> Option<Vec<u8>> {
        if names.is_empty() {
            return None;
        }
        let (path, query) = split_query(self.path()?)?;
        let named = |parameter: &&[u8]| {
            let name = split_at(parameter, b'=').map_or(*parameter, |(name, _)| name);
            names
                .iter()
                .any(|known| known.as_bytes() == &*percent_decoded(name))
        };
        without(
            query,
            b"&",
            |query| query.split(|byte| *byte == b'&'),
            named,
        )
        .map(|rest| {
            if rest.is_empty() {
                path.to_vec()
            } else {
                [path, b"?", &rest].concat()
            }
        })
    }

    /// The Cookie header without the cookies of these names; empty if no other is left, `None`
    /// if it has none of them.
    #[must_use]
    pub fn cookie_without(&self, names: &[&str]) -> Option<Vec<u8>> {
        if names.is_empty() {
            return None;
        }
        let all = self.values("cookie").collect::<Vec<_>>().join(&b"; "[..]);
        let named = |pair: &&[u8]| {
            let name = split_at(pair, b'=').map_or(*pair, |(name, _)| name.trim_ascii());
            names.iter().any(|known| known.as_bytes() == name)
        };
        let pairs = |all| <[u8]>::split(all, |byte| *byte == b';').map(<[u8]>::trim_ascii);
        without(&all, b"; ", pairs, named)
    }
}

/// The parts of a list that are not taken out, or `None` if nothing is.
fn without<'l, I: Iterator<Item = &'l [u8]>>(
    list: &'l [u8],
    separator: &[u8],
    parts: impl Fn(&'l [u8]) -> I,
    out: impl Fn(&&[u8]) -> bool,
) -> Option<Vec<u8>> {
    parts(list).any(|part| out(&part)).then(|| {
        let kept: Vec<&[u8]> = parts(list).filter(|part| !out(part)).collect();
        kept.join(separator)
    })
}

fn cookie_pairs(header: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    header
        .split(|byte| *byte == b';')
        .filter_map(|pair| split_at(pair.trim_ascii(), b'='))
        .map(|(name, value)| (name.trim_ascii(), unquoted(value.trim_ascii())))
}

fn unquoted(value: &[u8]) -> &[u8] {
    value
        .strip_prefix(b"\"")
        .and_then(|value| value.strip_suffix(b"\""))
        .unwrap_or(value)
}

/// Path and query of a request target, if it has a query.
fn split_query(target: &[u8]) -> Option<(&[u8], &[u8])> {
    split_at(target, b'?')
}

fn split_at(text: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = crate::text::find(text, separator)?;
    let (before, after) = text.split_at_checked(at)?;
    Some((before, after.get(1..)?))
}

/// Percent-decoded once (RFC 3986 section 2.1); what is no escape stays as it is.
fn percent_decoded(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'%') {
        return Cow::Borrowed(text);
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        match super::path::escaped(after).filter(|_| byte == b'%') {
            Some((escaped, after)) => {
                decoded.push(escaped);
                rest = after;
            }
            None => {
                decoded.push(byte);
                rest = after;
            }
        }
    }
    Cow::Owned(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(&'static str, &str)]) -> Request {
        Request::new(
            headers
                .iter()
                .map(|(name, value)| ((*name).into(), value.as_bytes().to_vec()))
                .collect(),
        )
    }

    fn text(bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).into_owned()
    }

    #[test]
    fn hosts() {
        for (authority, host) in [
            ("api.example", "api.example"),
            ("api.example:8443", "api.example"),
            ("[::1]", "[::1]"),
            ("[::1]:80", "[::1]"),
            ("", ""),
        ] {
            let request = request(&[(":authority", authority)]);
            assert_eq!(request.host().map(text).as_deref(), Some(host));
        }
        assert_eq!(Request::default().host(), None);
    }

    #[test]
    fn parameters_are_decoded_once() {
        let table: &[(&str, &[(&str, &str)])] = &[
            ("/", &[]),
            ("/?", &[("", "")]),
            ("/?a=1&b=2&a=3", &[("a", "1"), ("b", "2"), ("a", "3")]),
            ("/?a", &[("a", "")]),
            ("/?a=b=c", &[("a", "b=c")]),
            ("/?access%5Ftoken=x%2Ey", &[("access_token", "x.y")]),
            (
                "/?a=%252e&b=%zz&c=%2",
                &[("a", "%2e"), ("b", "%zz"), ("c", "%2")],
            ),
            ("/?a=1?b=2", &[("a", "1?b=2")]),
        ];
        for (path, expected) in table {
            let request = request(&[(":path", path)]);
            let found: Vec<_> = request
                .parameters()
                .map(|(name, value)| (text(&name), text(&value)))
                .collect();
            let expected: Vec<_> = expected
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect();
            assert_eq!(found, expected, "{path}");
        }
    }

    #[test]
    fn cookies_of_all_headers() {
        let request = request(&[
            ("cookie", "a=1; b=\"2\";c=3=4 ; d; =5"),
            ("x", "a=7"),
            ("cookie", "a=6"),
        ]);
        let found: Vec<_> = request
            .cookies()
            .map(|(name, value)| (text(name), text(value)))
            .collect();
        let expected = [("a", "1"), ("b", "2"), ("c", "3=4"), ("", "5"), ("a", "6")];
        assert_eq!(found, expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
    }

    #[test]
    fn what_is_left_without_some_names() {
        let path = |path: &str| {
            request(&[(":path", path)])
                .path_without(&["token", "t2"])
                .map(|rest| text(&rest))
        };
        for (given, left) in [
            ("/a?token=x", Some("/a")),
            ("/a?b=1&token=x&c=%20", Some("/a?b=1&c=%20")),
            ("/a?t%6Fken=x&token&t2=&b", Some("/a?b")),
            ("/a?b=token", None),
            ("/token=1", None),
            ("/a", None),
        ] {
            assert_eq!(path(given).as_deref(), left, "{given}");
        }
        let cookie = |cookie: &str| {
            request(&[("cookie", cookie), ("cookie", "z=1")])
                .cookie_without(&["s"])
                .map(|rest| text(&rest))
        };
        for (given, left) in [
            ("s=x", Some("z=1")),
            ("a=1; s=x; b=2", Some("a=1; b=2; z=1")),
            ("s=x;s=y", Some("z=1")),
            ("a=s", None),
        ] {
            assert_eq!(cookie(given).as_deref(), left, "{given}");
        }
    }

    #[test]
    fn preflights() {
        let full = [
            (":method", "OPTIONS"),
            ("origin", "https://a.example"),
            ("access-control-request-method", "POST"),
        ];
        assert!(request(&full).is_cors_preflight());
        for missing in 0..full.len() {
            for value in [None, Some("")] {
                let mut headers = full.to_vec();
                match value {
                    None => drop(headers.remove(missing)),
                    Some(value) => headers[missing].1 = value,
                }
                assert!(!request(&headers).is_cors_preflight(), "{headers:?}");
            }
        }
    }
}
