//! Absolute http and https URIs, such as the addresses of key documents (RFC 3986 section 4.3).
//!
//! Invariant: the parts of a [`Uri`] are printable ASCII without spaces, so they can become the
//! `:authority` and `:path` of a request as they are. There is never a userinfo or a fragment. An
//! authority has one form: two that are the same by RFC 3986 section 6.2.3 are equal.

use std::fmt;

/// The scheme of a [`Uri`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `http`, by default on port 80.
    Http,
    /// `https`, by default on port 443.
    Https,
}

impl Scheme {
    /// The scheme's name in lower case, as `:scheme` carries it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// RFC 9110 sections 4.2.1 and 4.2.2.
    fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// An absolute URI in the parts that an HTTP request is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uri {
    /// The scheme, which also decides the port that is left out of `authority`.
    pub scheme: Scheme,
    /// The host in lower case, with the port where it is not the scheme's own.
    pub authority: String,
    /// The path, `/` at least, and the query.
    pub path: String,
}

/// Why a text is not a [`Uri`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UriError {
    /// A space, a control character, a byte beyond ASCII, or a character such as `"<>\^`.
    Character,
    /// It does not begin with `http://` or `https://`.
    Scheme,
    /// `user:password@`: an address must not hold a secret.
    Userinfo,
    /// `#...`: never part of a request.
    Fragment,
    /// No host, or one with characters that a host name or an IP address does not have.
    Host,
    /// A port that is not a number from 1 to 65535.
    Port,
}

impl fmt::Display for UriError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Character => "has a character that a URI cannot have",
            Self::Scheme => "must start with http:// or https://",
            Self::Userinfo => "must not hold a user name or password",
            Self::Fragment => "must not have a fragment",
            Self::Host => "has no valid host",
            Self::Port => "has no valid port",
        })
    }
}

impl Uri {
    /// Parses an absolute http or https URI.
    ///
    /// # Errors
    /// The first reason why it is not one; see [`UriError`].
    pub fn parse(text: &str) -> Result<Self, UriError> {
        if text.bytes().any(|byte| {
            !byte.is_ascii_graphic() || matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`')
        }) {
            return Err(UriError::Character);
        }
        let (scheme, rest) = text.split_once("://").ok_or(UriError::Scheme)?;
        let scheme = [Scheme::Http, Scheme::Https]
            .into_iter()
            .find(|known| known.name().eq_ignore_ascii_case(scheme))
            .ok_or(UriError::Scheme)?;
        if rest.contains('#') {
            return Err(UriError::Fragment);
        }
        let (authority, path) = rest
            .split_at_checked(rest.find(['/', '?']).unwrap_or(rest.len()))
            .unwrap_or((rest, ""));
        if authority.contains('@') {
            return Err(UriError::Userinfo);
        }
        let (host, port) = split_authority(authority)?;
        let mut authority = host.to_ascii_lowercase();
        if let Some(port) = port.filter(|port| *port != scheme.default_port()) {
            authority.push_str(&format!(":{port}"));
        }
        Ok(Self {
            scheme,
            authority,
            path: if path.starts_with('/') {
                path.to_owned()
            } else {
                format!("/{path}")
            },
        })
    }
}

impl Uri {
    /// Whether the host is this machine, by its address or its name (RFC 6761 section 6.3).
    pub fn is_loopback(&self) -> bool {
        let host = match self.authority.strip_prefix('[') {
            Some(literal) => literal.split(']').next(),
            None => self.authority.split(':').next(),
        };
        host.is_some_and(|host| {
            host == "localhost"
                || host
                    .parse::<std::net::IpAddr>()
                    .is_ok_and(|address| address.is_loopback())
        })
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}://{}{}",
            self.scheme.name(),
            self.authority,
            self.path
        )
    }
}

/// The host and the port, if the URI has one.
fn split_authority(authority: &str) -> Result<(&str, Option<u16>), UriError> {
    let after_host = if let Some(literal) = authority.strip_prefix('[') {
        let (address, after) = literal.split_once(']').ok_or(UriError::Host)?;
        if address.parse::<std::net::Ipv6Addr>().is_err() {
            return Err(UriError::Host);
        }
        after
    } else {
        let (host, after) = authority
            .split_at_checked(authority.find(':').unwrap_or(authority.len()))
            .unwrap_or((authority, ""));
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        if host.is_empty() || !host.bytes().all(legal) {
            return Err(UriError::Host);
        }
        after
    };
    if after_host.is_empty() {
        return Ok((authority, None));
    }
    let host = authority.strip_suffix(after_host).unwrap_or(authority);
    let port = after_host.strip_prefix(':').ok_or(UriError::Host)?;
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse::<u16>() {
        Ok(port @ 1..) if digits => Ok((host, Some(port))),
        _ => Err(UriError::Port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_into_request_parts() {
        let table = [
            (
                "https://a.example/jwks",
                Scheme::Https,
                "a.example",
                "/jwks",
            ),
            ("http://a.example", Scheme::Http, "a.example", "/"),
            (
                "HTTPS://A.Example:8443/X?y=Z",
                Scheme::Https,
                "a.example:8443",
                "/X?y=Z",
            ),
            (
                "https://a.example?x=@y",
                Scheme::Https,
                "a.example",
                "/?x=@y",
            ),
            (
                "http://127.0.0.1:9000/a@b",
                Scheme::Http,
                "127.0.0.1:9000",
                "/a@b",
            ),
            ("http://[::1]:80/", Scheme::Http, "[::1]", "/"),
            ("http://[::1]:443/", Scheme::Http, "[::1]:443", "/"),
            ("http://a.example:80", Scheme::Http, "a.example", "/"),
            ("http://a.example:0080", Scheme::Http, "a.example", "/"),
            (
                "http://a.example:08080",
                Scheme::Http,
                "a.example:8080",
                "/",
            ),
            ("https://a.example:443/x", Scheme::Https, "a.example", "/x"),
            (
                "https://a.example:80/x",
                Scheme::Https,
                "a.example:80",
                "/x",
            ),
            ("http://idp_1/", Scheme::Http, "idp_1", "/"),
            (
                "https://a.example/x//y:1",
                Scheme::Https,
                "a.example",
                "/x//y:1",
            ),
        ];
        for (text, scheme, authority, path) in table {
            let uri = Uri::parse(text).unwrap();
            assert_eq!(
                (uri.scheme, uri.authority.as_str(), uri.path.as_str()),
                (scheme, authority, path),
                "{text}"
            );
        }
    }

    #[test]
    fn knows_this_machine() {
        let table = [
            ("http://localhost", true),
            ("http://LOCALHOST:8080/x", true),
            ("http://127.0.0.1/", true),
            ("http://127.1.2.3:80/", true),
            ("http://[::1]:80/", true),
            ("http://[0:0::1]/", true),
            ("http://localhost.example/", false),
            ("http://a.localhost/", false),
            ("http://127.0.0.1.example/", false),
            ("http://128.0.0.1/", false),
            ("http://0.0.0.0/", false),
            ("http://[::2]/", false),
            ("http://a.example/localhost", false),
        ];
        for (text, expected) in table {
            assert_eq!(Uri::parse(text).unwrap().is_loopback(), expected, "{text}");
        }
    }

    #[test]
    fn refuses_what_a_request_cannot_be_made_of() {
        let table = [
            ("", UriError::Scheme),
            ("a.example/jwks", UriError::Scheme),
            ("//a.example/jwks", UriError::Scheme),
            ("ftp://a.example/", UriError::Scheme),
            ("file:///etc/keys", UriError::Scheme),
            ("httpss://a.example/", UriError::Scheme),
            ("https://", UriError::Host),
            ("https:///jwks", UriError::Host),
            ("https://?x", UriError::Host),
            ("https://:443/", UriError::Host),
            ("https://a%2eexample/", UriError::Host),
            ("https://a,b/", UriError::Host),
            ("https://[::1/", UriError::Host),
            ("https://[::1]x/", UriError::Host),
            ("https://[zz]/", UriError::Host),
            ("https://u:p@a.example/", UriError::Userinfo),
            ("https://@a.example/", UriError::Userinfo),
            ("https://a.example/#x", UriError::Fragment),
            ("https://a.example#@b.example/", UriError::Fragment),
            ("https://a.example:/", UriError::Port),
            ("https://a.example:0/", UriError::Port),
            ("https://a.example:65536/", UriError::Port),
            ("https://a.example:+1/", UriError::Port),
            ("https://a.example:1:2/", UriError::Port),
            ("https://a.example/a b", UriError::Character),
            ("https://a.example/\r\nx: y", UriError::Character),
            ("https://a.example/\u{e9}", UriError::Character),
            ("https://a.example\\@b.example/", UriError::Character),
        ];
        for (text, expected) in table {
            assert_eq!(Uri::parse(text), Err(expected), "{text}");
        }
    }
}
