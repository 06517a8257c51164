//! The head of a request, as far as a decision looks at it (RFC 9110 sections 3.9 and 5, RFC 6265
//! section 4.2.1).
//!
//! Invariant: values are bytes without the white space around them, as every upstream reads them
//! ([`super::value`]). Nothing is decoded before a part is asked for. A caller gets a part in its
//! normal form, or with all the readings that upstreams have of it. This module never decides which
//! reading counts.

use std::borrow::Cow;
use std::cell::OnceCell;

use super::ambiguous::Ambiguous;
use super::name::{are_alike, are_alike_of_headers};
use super::{authority, method, value};
use crate::bytes;

/// Name and value of a header, pseudo-headers with their colon included.
pub type Header = (Cow<'static, str>, Vec<u8>);

/// What was read of a request.
#[derive(Clone, Debug, Default)]
pub struct Request {
    headers: Vec<Header>,
    requirement: Option<Vec<u8>>,
    body: Option<Body>,
    /// The host, once a rule has asked for it.
    host: OnceCell<Result<Box<str>, Ambiguous>>,
}

/// What follows the headers, where a decision has asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// All of it.
    Whole(Vec<u8>),
    /// It is longer than was asked for.
    TooLarge,
}

/// One way to read a header or a parameter; `None` where it is not there.
pub type Reading<'r> = Option<Cow<'r, [u8]>>;

impl Request {
    /// From headers with lower-case names, in the order in which they came.
    ///
    /// White space around `:path`, `:method` and `:authority` stays: they are not fields, and are
    /// refused for it when they are read.
    #[must_use]
    pub fn new(mut headers: Vec<Header>) -> Self {
        for (name, value) in &mut headers {
            if !matches!(&**name, ":path" | ":method" | ":authority") {
                *value = value::trimmed(std::mem::take(value));
            }
        }
        Self {
            headers,
            requirement: None,
            body: None,
            host: OnceCell::new(),
        }
    }

    /// The same, on a route that names its requirement.
    #[must_use]
    pub fn on_route_with(self, requirement: Option<Vec<u8>>) -> Self {
        Self {
            requirement,
            ..self
        }
    }

    /// The same, after its body was read.
    #[must_use]
    pub fn with_body(self, body: Body) -> Self {
        Self {
            body: Some(body),
            ..self
        }
    }

    /// Its body; `None` where that was not read.
    #[must_use]
    pub fn body(&self) -> Option<&Body> {
        self.body.as_ref()
    }

    /// Whether nothing of it is still to come: it has no body, or its body was read.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        matches!(self.body, Some(Body::Whole(_)))
    }

    /// The same with these lines for its cookies.
    #[must_use]
    pub fn with_cookies(&self, lines: &[Vec<u8>]) -> Self {
        let others = self.headers.iter().filter(|(name, _)| name != "cookie");
        let mut headers: Vec<Header> = others.cloned().collect();
        headers.extend(lines.iter().map(|line| ("cookie".into(), line.clone())));
        Self {
            headers,
            requirement: self.requirement.clone(),
            body: self.body.clone(),
            host: self.host.clone(),
        }
    }

    /// The name of the requirement that the route has. It comes from the configuration, not from
    /// the client.
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
        let of_body = match &self.body {
            Some(Body::Whole(body)) => body.capacity(),
            Some(Body::TooLarge) | None => 0,
        };
        size_of::<Self>() + of_headers.sum::<usize>() + of_route + of_body
    }

    /// The values of a header, one for each time it was sent; `name` is lower-case.
    pub fn values<'r>(&'r self, name: &str) -> impl Iterator<Item = &'r [u8]> + Clone {
        self.headers
            .iter()
            .filter(move |(known, _)| known == name)
            .map(|(_, value)| value.as_slice())
    }

    /// The values of headers that some upstream takes for the header of this name.
    pub fn other_values(&self, name: &str) -> Vec<Cow<'_, [u8]>> {
        let is_other = |known: &str| known != name && are_alike_of_headers(known, name);
        let mut others = Vec::new();
        for (known, value) in &self.headers {
            if is_other(known) {
                others.push(Cow::Borrowed(value.as_slice()));
            }
        }
        others
    }

    /// How upstreams may read a header: the first line, the last one, all lines joined, the same
    /// with the lines of headers whose names are alike, and each without what only some of them
    /// take for white space.
    #[must_use]
    pub fn header_readings(&self, name: &str) -> Vec<Reading<'_>> {
        let own = self.values(name).map(Cow::Borrowed).collect();
        let mut readings = readings(own, self.other_values(name), true);
        for at in 0..readings.len() {
            if let Some(Some(Cow::Borrowed(value))) = readings.get(at) {
                let stripped = value::stripped(value, true);
                if stripped.len() < value.len() {
                    readings.push(Some(Cow::Borrowed(stripped)));
                }
            }
        }
        readings
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

    /// `:method` in its normal form.
    ///
    /// # Errors
    /// Where it has none; see [`method`].
    pub fn method(&self) -> Result<&[u8], Ambiguous> {
        let method = self.value(":method").and_then(method::normalize);
        method.ok_or(Ambiguous::Method)
    }

    /// The host of `:authority` in its normal form.
    ///
    /// # Errors
    /// Where it has none; see [`authority`].
    pub fn host(&self) -> Result<&str, Ambiguous> {
        let host = self.host.get_or_init(|| {
            let authority = self.value(":authority").unwrap_or_default();
            match authority::host(authority) {
                Ok(host) => Ok(host.into()),
                Err(_) => Err(Ambiguous::Host),
            }
        });
        host.as_deref().map_err(|ambiguous| *ambiguous)
    }

    /// Whether `:authority` begins with the host in its normal form, up to case, and goes on with
    /// a port at most.
    #[must_use]
    pub fn host_is_plain(&self) -> bool {
        let authority = self.value(":authority").unwrap_or_default();
        self.host().is_ok_and(|host| {
            authority
                .split_at_checked(host.len())
                .is_some_and(|(start, rest)| {
                    start.eq_ignore_ascii_case(host.as_bytes())
                        && matches!(rest.first(), None | Some(b':'))
                })
        })
    }

    /// The parameters of the query, decoded, in the order in which they stand.
    pub fn parameters(&self) -> impl Iterator<Item = (Cow<'_, [u8]>, Cow<'_, [u8]>)> {
        self.raw_parameters().map(|parameter| {
            let (name, value) = pair(parameter);
            (percent_decoded(name), percent_decoded(value))
        })
    }

    fn raw_parameters(&self) -> impl Iterator<Item = &[u8]> {
        let query = self.path().and_then(split_query).map(|(_, query)| query);
        query
            .into_iter()
            .flat_map(|query| query.split(|byte| *byte == b'&'))
    }

    /// The values that some upstream takes for those of the parameter of this name, although
    /// [`Request::parameters`] does not have them: with a similar name, after a `;` that separates
    /// parameters too (as in HTML 4.01, appendix B.2.2), with `+` for a space, or without raw
    /// octets at its end that are white space in ISO 8859-1, where Python splits a request's first
    /// line.
    pub fn other_parameters(&self, name: &str) -> Vec<Cow<'_, [u8]>> {
        let mut others = Vec::new();
        for parameter in self.raw_parameters() {
            for part in parameter.split(|byte| *byte == b';') {
                let part = value::stripped(part, true);
                let (own, value) = pair(part);
                let is_whole = part.len() == parameter.len();
                let is_own = is_whole && *percent_decoded(own) == *name.as_bytes();
                if is_own && !value.contains(&b'+') {
                    continue;
                }
                if is_own || are_alike(&plus_decoded(own), name.as_bytes()) {
                    others.push(plus_decoded(value));
                }
            }
        }
        others
    }

    /// How upstreams may read a parameter: the first one, the last one, all of them joined, and
    /// those that only some of them see.
    #[must_use]
    pub fn parameter_readings(&self, name: &str) -> Vec<Reading<'_>> {
        let own = self
            .parameters()
            .filter(|(known, _)| **known == *name.as_bytes())
            .map(|(_, value)| value)
            .collect();
        readings(own, self.other_parameters(name), false)
    }

    /// The cookies: names and values without the quotes that may be around them.
    pub fn cookies(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.values("cookie").flat_map(cookie_pairs)
    }

    /// Whether some upstream finds a cookie with a name like ours that [`Request::cookies`] does
    /// not have by our own name: with a similar name, or after a comma, white space or an octet
    /// beyond ASCII, which some upstreams take for separators (RFC 2965 section 3.3.4, Python's
    /// `http.cookies`).
    #[must_use]
    pub fn has_other_cookie(
        &self,
        is_own: &dyn Fn(&[u8]) -> bool,
        is_alike: &dyn Fn(&[u8]) -> bool,
    ) -> bool {
        let separates = |byte: &u8| *byte == b',' || !byte.is_ascii_graphic();
        self.values("cookie")
            .flat_map(|header| header.split(|byte| *byte == b';'))
            .any(|cookie| {
                let cookie = value::trim(cookie);
                if split_at(cookie, b'=').is_some_and(|(own, _)| !is_own(own) && is_alike(own)) {
                    return true;
                }
                cookie
                    .split(separates)
                    .skip(1)
                    .filter_map(|part| split_at(part, b'='))
                    .any(|(own, _)| is_alike(own))
            })
    }

    /// Whether it is a CORS-preflight request (the Fetch standard): a browser asks if it may send
    /// another request.
    #[must_use]
    pub fn is_cors_preflight(&self) -> bool {
        let given = |name| self.value(name).is_some_and(|value| !value.is_empty());
        self.method() == Ok(b"OPTIONS") && given("origin") && given("access-control-request-method")
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

    /// The Cookie header without the cookies whose names are of a kind; empty if no other is left,
    /// `None` if it has none of them.
    #[must_use]
    pub fn cookie_without(&self, is_of_kind: &dyn Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
        let all = self.values("cookie").collect::<Vec<_>>().join(&b"; "[..]);
        let named = |pair: &&[u8]| {
            let name = split_at(pair, b'=').map_or(*pair, |(name, _)| name.trim_ascii());
            is_of_kind(name)
        };
        let pairs = |all| <[u8]>::split(all, |byte| *byte == b';').map(<[u8]>::trim_ascii);
        without(&all, b"; ", pairs, named)
    }
}

/// The parts of a list that stay, or `None` if all of them do.
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

/// All readings of the values that a name has, with the values that only some upstreams take for
/// its own: each value alone, and several joined, as many recipients join them (RFC 9110 section
/// 5.2).
#[inline(never)]
fn readings<'r>(
    mut own: Vec<Cow<'r, [u8]>>,
    mut others: Vec<Cow<'r, [u8]>>,
    joins_others: bool,
) -> Vec<Reading<'r>> {
    let missing = own.is_empty();
    let (alone, all) = (own.len(), own.len() + others.len());
    own.append(&mut others);
    let mut joined = Vec::new();
    for many in [alone, if joins_others { all } else { 0 }] {
        if many > 1 {
            let values: Vec<&[u8]> = own.iter().take(many).map(|value| &**value).collect();
            joined.push(Cow::Owned(values.join(&b","[..])));
            joined.push(Cow::Owned(values.join(&b", "[..])));
        }
    }
    own.append(&mut joined);
    let mut readings: Vec<Reading<'r>> = own.into_iter().map(Some).collect();
    if missing {
        readings.push(None);
    }
    readings
}

fn cookie_pairs(header: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    bytes::split(header, b';')
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

/// Name and value of a parameter. Without a `=`, all of it is the name.
fn pair(parameter: &[u8]) -> (&[u8], &[u8]) {
    split_at(parameter, b'=').unwrap_or((parameter, b""))
}

fn split_at(text: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = bytes::find(text, separator)?;
    let (before, after) = text.split_at_checked(at)?;
    Some((before, after.get(1..)?))
}

/// Percent-decodes once (RFC 3986 section 2.1). A `%` that does not begin an escape stays.
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

/// The same, with `+` for a space (application/x-www-form-urlencoded, the URL Standard).
fn plus_decoded(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'+') {
        return percent_decoded(text);
    }
    let spaced: Vec<u8> = text
        .iter()
        .map(|byte| if *byte == b'+' { b' ' } else { *byte })
        .collect();
    Cow::Owned(percent_decoded(&spaced).into_owned())
}

#[cfg(test)]
mod tests;
