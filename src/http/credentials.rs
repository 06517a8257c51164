//! Where a request carries tokens, and the token in each such place (RFC 6750 section 2, RFC 9110
//! section 11.6.2).
//!
//! Invariants: one place gives at most one token. Envoy joins a header that was sent twice with a
//! comma, which no token may contain. So a comma means that there were two, and the upstream could
//! pick the other one: the request is malformed.
//!
//! A text that some upstream could take for a token in a place never counts as "no token": it is a
//! token that no parser accepts, or the request is refused. Upstreams split a credential at other
//! octets than SP, and remove others than SP and HTAB from its ends. They find headers, parameters
//! and cookies by similar names, and parameters and cookies between other separators.

use std::borrow::Cow;

use super::ambiguous::Ambiguous;
use super::name::{are_alike, begins_alike};
use super::request::Request;
use super::{basic, chunks, is_token, subprotocol, value};
use crate::bytes;

pub use super::extracted::Extracted;

/// A place in a request where a token may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A header's value after a prefix, which is compared without case, as a scheme is (RFC 9110
    /// section 11.1), and at the start only. An empty prefix takes the whole value.
    Header {
        /// In lower case.
        name: String,
        /// What stands before the token, such as `Bearer `.
        prefix: String,
    },
    /// The password of Basic in Authorization; see [`super::basic`].
    Basic {
        /// The only name that may stand before it.
        username: Option<String>,
    },
    /// An item of `Sec-WebSocket-Protocol`; see [`super::subprotocol`].
    Subprotocol {
        /// What stands before the token.
        prefix: String,
        /// Whether the token is in base64url.
        base64url: bool,
    },
    /// A parameter of the query.
    Parameter(String),
    /// A cookie of this name.
    Cookie(String),
    /// A cookie of this name, or the chunks of one; see [`super::chunks`].
    Chunks(String),
}

/// A change to a request's headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Removes all headers of this name, which is in lower case.
    Remove(String),
    /// Sets the header of this name to this value, in place of all others.
    Set(&'static str, Vec<u8>),
    /// Sends a header of this name for each of these values, in place of all others.
    Lines(&'static str, Vec<Vec<u8>>),
}

impl Place {
    /// The place of RFC 6750 section 2.1: the only one, unless others are configured.
    #[must_use]
    pub fn bearer() -> Self {
        Self::Header {
            name: AUTHORIZATION.to_owned(),
            prefix: "Bearer ".to_owned(),
        }
    }

    /// Whether a token in this place is not one in `other`: both are the same header, and this
    /// place has the longer prefix. Of subprotocols, which are several in one header, the longer
    /// prefix begins with the other.
    #[must_use]
    pub fn shadows(&self, other: &Self) -> bool {
        let begins = |text: &str, start: &str| subprotocol::is_token(text.as_bytes(), start);
        match (self.header(), other.header()) {
            (Some((name, prefix)), Some((of, shorter))) => {
                name == of
                    && prefix.len() > shorter.len()
                    && (name != subprotocol::HEADER || begins(prefix, shorter))
            }
            _ => false,
        }
    }

    /// The header that it is in, and what stands there before the token.
    fn header(&self) -> Option<(&str, &str)> {
        match self {
            Self::Header { name, prefix } => Some((name, prefix)),
            Self::Basic { .. } => Some((AUTHORIZATION, basic::PREFIX)),
            Self::Subprotocol { prefix, .. } => Some((subprotocol::HEADER, prefix)),
            Self::Parameter(_) | Self::Cookie(_) | Self::Chunks(_) => None,
        }
    }

    /// Whether it is the header of this name, or a part of that.
    #[must_use]
    pub fn is_in(&self, name: &str) -> bool {
        self.header().is_some_and(|(known, _)| known == name)
    }

    /// Whether what empties this place empties the other: both are the same header, whatever their
    /// prefixes, or the same parameter, cookie or item, or the other is the cookie of these chunks, or
    /// the other way round. What empties the chunks empties the cookie; a token that is in both is in
    /// one cookie, so there is no more to empty.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Subprotocol { .. }, _) | (_, Self::Subprotocol { .. }) => self == other,
            (Self::Chunks(name), Self::Cookie(cookie))
            | (Self::Cookie(cookie), Self::Chunks(name)) => name == cookie,
            _ => match (self.header(), other.header()) {
                (Some((name, _)), Some((other, _))) => name == other,
                _ => self == other,
            },
        }
    }

    /// The names of this place and of `other`, where a request with a token in `other` is refused
    /// because of this place: some upstream takes the other name for this one, or for a part of it.
    #[must_use]
    pub fn bars<'p>(&'p self, other: &'p Self) -> Option<(&'p str, &'p str)> {
        let (own, name, is_alike) = match (self, other) {
            (Self::Header { name: own, .. }, Self::Header { name, .. })
            | (Self::Parameter(own), Self::Parameter(name))
            | (Self::Cookie(own), Self::Cookie(name) | Self::Chunks(name)) => {
                (own, name, are_alike(name.as_bytes(), own.as_bytes()))
            }
            (Self::Chunks(own), Self::Cookie(name) | Self::Chunks(name)) => {
                (own, name, begins_alike(name.as_bytes(), own.as_bytes()))
            }
            _ => return None,
        };
        (is_alike && own != name).then_some((own, name))
    }

    /// The token that is in this place of a request.
    #[must_use]
    pub fn extract<'r>(&self, request: &'r Request) -> Extracted<'r> {
        match self {
            Self::Header { name, prefix } => in_header(request, name, prefix.as_bytes()),
            Self::Basic { username } => {
                match in_header(request, AUTHORIZATION, basic::PREFIX.as_bytes()) {
                    // What has no such password is a token that no parser accepts.
                    Extracted::Token(credentials) => {
                        let password = basic::password(&credentials, username.as_deref());
                        Extracted::Token(Cow::Owned(password.unwrap_or_default()))
                    }
                    other => other,
                }
            }
            Self::Subprotocol { prefix, base64url } => {
                subprotocol::extract(request, prefix, *base64url)
            }
            Self::Parameter(name) => {
                if !request.other_parameters(name).is_empty() {
                    return Extracted::Ambiguous(Ambiguous::Query);
                }
                let parameters = request.parameters();
                let own = parameters.filter(|(known, _)| **known == *name.as_bytes());
                Extracted::one(own.map(|(_, value)| value))
            }
            Self::Cookie(name) => {
                let is_own = |known: &[u8]| known == name.as_bytes();
                let is_alike = |known: &[u8]| are_alike(known, name.as_bytes());
                if request.has_other_cookie(&is_own, &is_alike) {
                    return Extracted::Ambiguous(Ambiguous::Header);
                }
                let own = request.cookies().filter(|(known, _)| is_own(known));
                Extracted::one(own.map(|(_, value)| Cow::Borrowed(value)))
            }
            Self::Chunks(name) => chunks::extract(request, name),
        }
    }
}

/// The changes that take the tokens of some places out of a request.
#[must_use]
pub fn strip(request: &Request, places: &[&Place]) -> Vec<Change> {
    let mut changes = Vec::with_capacity(places.len());
    let mut parameters = Vec::new();
    let (mut is_in_cookies, mut is_in_items) = (false, false);
    for place in places {
        match place {
            Place::Header { name, .. } => changes.push(Change::Remove(name.clone())),
            Place::Basic { .. } => changes.push(Change::Remove(AUTHORIZATION.to_owned())),
            Place::Parameter(name) => parameters.push(name.as_str()),
            Place::Cookie(_) | Place::Chunks(_) => is_in_cookies = true,
            Place::Subprotocol { .. } => is_in_items = true,
        }
    }
    if let Some(path) = request.path_without(&parameters) {
        changes.push(Change::Set(":path", path));
    }
    let is_theirs = |cookie: &[u8]| {
        places.iter().any(|place| match place {
            Place::Cookie(name) => cookie == name.as_bytes(),
            Place::Chunks(name) => chunks::is_part(cookie, name),
            _ => false,
        })
    };
    let is_token = |item: &[u8]| {
        places.iter().any(|place| match place {
            Place::Subprotocol { prefix, .. } => subprotocol::is_token(item, prefix),
            _ => false,
        })
    };
    let cookies = is_in_cookies.then(|| request.cookie_without(&is_theirs));
    let items = is_in_items.then(|| subprotocol::without(request, &is_token));
    for (name, rest) in [("cookie", cookies), (subprotocol::HEADER, items)] {
        changes.extend(rest.flatten().map(|rest| {
            if rest.is_empty() {
                Change::Remove(name.to_owned())
            } else {
                Change::Set(name, rest)
            }
        }));
    }
    changes
}

/// The name of the header of RFC 9110 section 11.6.2.
pub const AUTHORIZATION: &str = "authorization";

fn in_header<'r>(request: &'r Request, name: &str, prefix: &[u8]) -> Extracted<'r> {
    if !request.other_values(name).is_empty() {
        return Extracted::Ambiguous(Ambiguous::Header);
    }
    let values = request.values(name);
    let is_list = !prefix.ends_with(b" ") && values.clone().nth(1).is_none();
    // Several members of a list are not certainly credentials.
    let several = if is_list {
        Extracted::Ambiguous(Ambiguous::TokenList)
    } else {
        Extracted::Several
    };
    let mut members = values.flat_map(|value| bytes::split(value, b','));
    let Some(first) = members.next() else {
        return Extracted::Missing;
    };
    let Some(credential) = Credential::after(first, prefix) else {
        // `Basic ...` alone is another filter's credential. Joined to one of ours, there are two.
        return if members.any(|member| Credential::after(value::trim(member), prefix).is_some()) {
            several
        } else {
            Extracted::Missing
        };
    };
    if members.next().is_some() {
        return several;
    }
    match credential {
        Credential::Token(token) => Extracted::Token(Cow::Borrowed(token)),
        Credential::None => Extracted::Missing,
    }
}

/// What a value has after a prefix.
enum Credential<'r> {
    None,
    /// A token, which no parser may accept.
    Token(&'r [u8]),
}

impl<'r> Credential<'r> {
    /// The credential in a value that begins with the prefix for any upstream.
    ///
    /// A prefix that ends in a space is a scheme. 1*SP and the token follow it, or nothing. If
    /// another octet follows that cannot continue a scheme (a tab, NBSP, `=`), some upstream splits
    /// there, so the value has a token, and a bad one. The same holds where octets that print
    /// nothing stand before a scheme, since some upstream removes them.
    fn after(value: &'r [u8], prefix: &[u8]) -> Option<Self> {
        let scheme = prefix.strip_suffix(b" ");
        let text = scheme.unwrap_or(prefix);
        let rest_of = |value: &'r [u8]| {
            let (start, rest) = value.split_at_checked(text.len())?;
            let ends = scheme.is_none() || !rest.first().is_some_and(|byte| is_token(*byte));
            (start.eq_ignore_ascii_case(text) && ends).then_some(rest)
        };
        let Some(rest) = rest_of(value) else {
            let printed = value.iter().position(u8::is_ascii_graphic)?;
            let hidden = printed > 0 && rest_of(value.get(printed..)?).is_some();
            return hidden.then_some(Credential::Token(value));
        };
        if prefix.is_empty() {
            return Some(Credential::Token(rest));
        }
        let token = rest.iter().position(|byte| *byte != b' ');
        Some(match token.and_then(|at| rest.get(at..)) {
            Some(token) => Credential::Token(token),
            None => Credential::None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(&'static str, &[u8])]) -> Request {
        Request::new(
            headers
                .iter()
                .map(|(name, value)| ((*name).into(), value.to_vec()))
                .collect(),
        )
    }

    fn token(bytes: &[u8]) -> Extracted<'_> {
        Extracted::Token(Cow::Borrowed(bytes))
    }

    #[test]
    fn extracts_at_most_one_bearer_token() {
        use Extracted::{Missing, Several};
        let table: &[(&[u8], Extracted)] = &[
            (b"Bearer a.b.c", token(b"a.b.c")),
            // the scheme has no case
            (b"bearer a.b.c", token(b"a.b.c")),
            (b"bEaReR a.b.c", token(b"a.b.c")),
            // 1*SP
            (b"Bearer    a.b.c", token(b"a.b.c")),
            // white space around a value does not belong to it
            (b" Bearer a.b.c", token(b"a.b.c")),
            (b"\tBearer a.b.c", token(b"a.b.c")),
            (b" \t Bearer a.b.c \t", token(b"a.b.c")),
            (b"Bearer a.b.c ", token(b"a.b.c")),
            // the parser decides about the rest, whether it is UTF-8 or not
            (b"Bearer \xff\xfe", token(b"\xff\xfe")),
            (b"Bearer a b", token(b"a b")),
            (b"Bearer \ta", token(b"\ta")),
            (b"Bearer \xa0a", token(b"\xa0a")),
            (b"Bearer Bearer a", token(b"Bearer a")),
            // some upstream splits there, so it is a token, and a bad one
            (b"Bearer\ta.b.c", token(b"\ta.b.c")),
            (b"Bearer\t a.b.c", token(b"\t a.b.c")),
            (b"Bearer\x0ba.b.c", token(b"\x0ba.b.c")),
            (b"Bearer\xa0a.b.c", token(b"\xa0a.b.c")),
            (b"Bearer\x85a.b.c", token(b"\x85a.b.c")),
            (b"Bearer\xc2\xa0a.b.c", token(b"\xc2\xa0a.b.c")),
            (b"Bearer\xe2\x80\x83a.b.c", token(b"\xe2\x80\x83a.b.c")),
            (b"Bearer=a.b.c", token(b"=a.b.c")),
            (b"Bearer:a.b.c", token(b":a.b.c")),
            (b"Bearer\"a.b.c\"", token(b"\"a.b.c\"")),
            // some upstream removes octets that print nothing too
            (b"\xa0Bearer a.b.c", token(b"\xa0Bearer a.b.c")),
            (b"\x85 Bearer a.b.c", token(b"\x85 Bearer a.b.c")),
            (b"\x0bBearer a.b.c", token(b"\x0bBearer a.b.c")),
            (b"\xc2\xa0bearer\ta", token(b"\xc2\xa0bearer\ta")),
            (b"\xef\xbb\xbfBearer a", token(b"\xef\xbb\xbfBearer a")),
            (b"", Missing),
            (b" ", Missing),
            (b"\t", Missing),
            (b"\xa0", Missing),
            (b"Bearer", Missing),
            (b"Bearer ", Missing),
            (b"Bearer \t", Missing),
            (b"Bearer      ", Missing),
            (b"Bearera.b.c", Missing),
            (b"Bearer-a.b.c", Missing),
            (b"Beare a.b.c", Missing),
            (b"\xa0Bearera.b.c", Missing),
            (b"Basic dXNlcjpwYXNz", Missing),
            // only at the start
            (b"Token Bearer a.b.c", Missing),
            (b"Basic dTpwBearer a", Missing),
            (b"\"Bearer a.b.c", Missing),
            // a Digest value has commas of its own
            (b"Digest username=\"a\", realm=\"b\"", Missing),
            (b"Digest a=b, bearer_x=c", Missing),
            // two headers, as Envoy joins them
            (b"Bearer a,Bearer b", Several),
            (b"Bearer a, Bearer a", Several),
            (b"Bearer a,Basic dTpw", Several),
            (b"Basic dTpw,Bearer b", Several),
            (b"Basic dTpw, bEARER b", Several),
            (b"Basic dTpw,\tBearer b", Several),
            (b"Basic dTpw,\xa0Bearer b", Several),
            (b"Basic dTpw,Bearer\tb", Several),
            (b"Basic dTpw,Digest a=b, Bearer b", Several),
            (b"Basic dTpw,Bearer", Several),
            (b",Bearer a", Several),
            (b"Bearer a,", Several),
            (b"Bearer,Bearer a", Several),
            (b"Bearer ,a", Several),
            (b"Bearer\ta,b", Several),
        ];
        assert_eq!(Place::bearer().extract(&Request::default()), Missing);
        for (value, expected) in table {
            assert_eq!(
                Place::bearer().extract(&request(&[("authorization", value)])),
                *expected,
                "{:?}",
                String::from_utf8_lossy(value)
            );
        }
        // not joined, but sent twice
        let twice = request(&[
            ("authorization", b"Bearer a"),
            ("authorization", b"Basic b"),
        ]);
        assert_eq!(Place::bearer().extract(&twice), Several);
    }

    const LIST: Extracted<'static> = Extracted::Ambiguous(Ambiguous::TokenList);

    #[test]
    fn other_headers_and_prefixes() {
        use Extracted::{Missing, Several};
        let table: &[(&str, &[u8], Extracted)] = &[
            ("", b"a.b.c", token(b"a.b.c")),
            ("", b"Bearer a", token(b"Bearer a")),
            ("", b"", token(b"")),
            // not: more than one credential
            ("", b"a,b", LIST),
            ("", b"chat, a.b.c", LIST),
            ("jwt=", b"jwt=a, jwt=b", LIST),
            ("jwt=", b"x, jwt=b", LIST),
            ("jwt=", b"x, y", Missing),
            ("", b" a.b.c\t", token(b"a.b.c")),
            ("", b"\xa0a.b.c", token(b"\xa0a.b.c")),
            ("jwt=", b"jwt=a", token(b"a")),
            ("jwt=", b"\xa0jwt=a", token(b"\xa0jwt=a")),
            ("jwt=", b"jwt=\ta", token(b"\ta")),
            ("jwt=", b"JWT= a", token(b"a")),
            ("jwt=", b"jwt=", Missing),
            ("jwt=", b"xjwt=a", Missing),
            ("jwt=", b"jwt", Missing),
            ("Bearer", b"Bearer a", token(b"a")),
            ("Bearer", b"Bearera", token(b"a")),
            ("Token ", b"token a", token(b"a")),
            ("Token ", b"Tokena", Missing),
            ("\u{e9} ", b"\xc3\xa9 a", token(b"a")),
        ];
        for (prefix, value, expected) in table {
            let place = Place::Header {
                name: "x-token".to_owned(),
                prefix: (*prefix).to_owned(),
            };
            let request = request(&[("authorization", b"Bearer z"), ("x-token", value)]);
            assert_eq!(place.extract(&request), *expected, "{prefix} {value:?}");
        }
        let place = Place::Header {
            name: "x-token".to_owned(),
            prefix: String::new(),
        };
        let twice = request(&[("x-token", b"a"), ("x-token", b"b")]);
        assert_eq!(place.extract(&twice), Several);
        // many upstreams read it as X-Token
        for other in [
            &[("x_token", &b"b"[..])][..],
            &[("x-token", b"a"), ("x_token", b"b")],
            &[("x.token", b"")],
        ] {
            assert_eq!(
                place.extract(&request(other)),
                Extracted::Ambiguous(Ambiguous::Header)
            );
        }
    }

    #[test]
    fn parameters_and_cookies() {
        use Extracted::{Missing, Several};
        let query = || Extracted::Ambiguous(Ambiguous::Query);
        let header = || Extracted::Ambiguous(Ambiguous::Header);
        let parameter = Place::Parameter("access_token".to_owned());
        for (path, expected) in [
            (&b"/"[..], Missing),
            (b"/?access_token=a.b.c", token(b"a.b.c")),
            (b"/?x=1&access%5ftoken=a%2eb", token(b"a.b")),
            // an empty token is a token
            (b"/?access_token=", token(b"")),
            (b"/?access_token", token(b"")),
            // some upstream reads them as that
            (b"/?Access_token=a", query()),
            (b"/?access-token=a", query()),
            (b"/?access.token=a", query()),
            (b"/?+access_token=a", query()),
            (b"/?access_token%20=a", query()),
            (b"/?x=1;access_token=a", query()),
            (b"/?access_token=a;x=1", query()),
            (b"/?access_token=a&ACCESS_TOKEN=b", query()),
            (b"/?access_token=a+b", query()),
            (b"/?access_tokens=a&xaccess_token=a", Missing),
            (b"/access_token=a", Missing),
            (b"/?access_token=a&access_token=b", Several),
            (b"/?access_token=a&access_token=", Several),
            (b"/?access_token=a&access%5Ftoken=b", Several),
        ] {
            let request = request(&[(":path", path)]);
            assert_eq!(parameter.extract(&request), expected, "{path:?}");
        }
        let cookie = Place::Cookie("session".to_owned());
        for (value, expected) in [
            (&b"session=a.b.c"[..], token(b"a.b.c")),
            (b"x=1; session=\"a\"; y=2", token(b"a")),
            (b"session=", token(b"")),
            (b"xsession=a", Missing),
            (b" session=a\t", token(b"a")),
            // some upstream reads them as that
            (b"Session=a", header()),
            (b"session=a; SESSION=b", header()),
            (b"session =a", header()),
            (b"\xa0session=a", header()),
            (b"x=1,session=a", header()),
            (b"x=1 session=a", header()),
            (b"session=a, session=b", header()),
            (b"session=a; session=b", Several),
        ] {
            let request = request(&[("cookie", value)]);
            assert_eq!(cookie.extract(&request), expected, "{value:?}");
        }
    }

    #[test]
    fn a_longer_prefix_takes_the_token() {
        let item = |prefix: &str| Place::Subprotocol {
            prefix: prefix.to_owned(),
            base64url: false,
        };
        let header = |name: &str, prefix: &str| Place::Header {
            name: name.to_owned(),
            prefix: prefix.to_owned(),
        };
        let basic = || Place::Basic { username: None };
        for (longer, shorter, expected) in [
            (Place::bearer(), header("authorization", ""), true),
            (basic(), header("authorization", ""), true),
            (basic(), header("x-token", ""), false),
            (item("t.b."), item("T."), true),
            // two items, each with a token of its own
            (item("token."), item("t|"), false),
            (item("t."), item("t."), false),
        ] {
            assert_eq!(longer.shadows(&shorter), expected, "{longer:?} {shorter:?}");
            assert!(!shorter.shadows(&longer));
        }
    }

    #[test]
    fn a_tokens_place_is_emptied() {
        let request = request(&[
            (":path", b"/a?t=1&u=2&v=3"),
            ("cookie", b"s=1; k=2"),
            ("authorization", b"Bearer a"),
        ]);
        let parameter = |name: &str| Place::Parameter(name.to_owned());
        let cookie = |name: &str| Place::Cookie(name.to_owned());
        let set = |name, value: &[u8]| Change::Set(name, value.to_vec());
        for (places, changes) in [
            (vec![], vec![]),
            (
                vec![Place::bearer()],
                vec![Change::Remove("authorization".to_owned())],
            ),
            (
                vec![parameter("t"), cookie("s"), parameter("v")],
                vec![set(":path", b"/a?u=2"), set("cookie", b"k=2")],
            ),
            (
                vec![cookie("s"), cookie("k")],
                vec![Change::Remove("cookie".to_owned())],
            ),
            (vec![cookie("none"), parameter("none")], vec![]),
            (
                vec![Place::Chunks("s".to_owned())],
                vec![set("cookie", b"k=2")],
            ),
            (
                vec![Place::Basic { username: None }],
                vec![Change::Remove("authorization".to_owned())],
            ),
        ] {
            let places: Vec<&Place> = places.iter().collect();
            assert_eq!(strip(&request, &places), changes, "{places:?}");
        }
        let chunks = self::request(&[("cookie", b"s.1=b; k=2; s.0=a;s.x=3; s_1=c; s=d; ss.0=4")]);
        let place = Place::Chunks("s".to_owned());
        let rest = set("cookie", b"k=2; s.x=3; ss.0=4");
        assert_eq!(strip(&chunks, &[&place]), [rest]);
    }
}
