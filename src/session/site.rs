//! The hosts that are ours: where a redirect may lead to, and where a request may come from.
//!
//! Invariant: no URL that leaves the filter has a host that the configuration did not list,
//! whatever a request says about its host.

use std::net::IpAddr;

use crate::http::authority;
use crate::http::path;
use crate::http::request::Request;
use crate::http::uri::{Scheme, Uri};

/// The longest list of [`Sites`].
pub const MAX_SITES: usize = 256;

/// A host with its port, in the form in which two of them are compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// See [`authority::host`].
    host: String,
    /// `None` for the port of the scheme in [`Site::origin`].
    port: Option<u16>,
}

impl Site {
    /// Reads a host, maybe with a port.
    fn parse(text: &[u8]) -> Option<Self> {
        let host = authority::host(text).ok()?.into_owned();
        let after_address = text.rsplit(|byte| *byte == b']').next()?;
        let colon = after_address.iter().position(|byte| *byte == b':');
        let digits = colon.and_then(|at| after_address.get(at..)?.get(1..));
        let port = match digits {
            None | Some([]) => None,
            Some(digits) => Some(std::str::from_utf8(digits).ok()?.parse().ok()?),
        };
        let site = Self { host, port: None };
        let default = if site.is_loopback() { 80 } else { 443 };
        let port = port.filter(|port| *port != default);
        Some(Self { port, ..site })
    }

    /// The site of a URL that is as secure as our own pages: https, or http on this machine.
    fn from_secure(uri: &Uri) -> Option<Self> {
        // Its authority has no port where the port is the default of its scheme.
        let site = Self::parse(uri.authority.as_bytes())?;
        (uri.scheme == Scheme::Https || site.is_loopback()).then_some(site)
    }

    /// This machine (RFC 6761 section 6.3), which browsers trust with http.
    fn is_loopback(&self) -> bool {
        let address = self.host.trim_matches(['[', ']']);
        let is_loopback = |address: IpAddr| address.is_loopback();
        self.host == "localhost"
            || self.host.ends_with(".localhost")
            || address.parse().is_ok_and(is_loopback)
    }

    /// The host in its normal form, without the port.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The origin of our own pages there (RFC 6454): https, or http on this machine.
    #[must_use]
    pub fn origin(&self) -> String {
        let scheme = if self.is_loopback() { "http" } else { "https" };
        match self.port {
            Some(port) => format!("{scheme}://{}:{port}", self.host),
            None => format!("{scheme}://{}", self.host),
        }
    }
}

/// Whether browsers trust a URL with what must stay secret: it is https, or http on this machine.
#[must_use]
pub fn is_secure(uri: &Uri) -> bool {
    uri.scheme == Scheme::Https || Site::from_secure(uri).is_some()
}

/// One entry of the list: a site, or all hosts below it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    site: Site,
    /// Written `*.app.example`: the hosts below that one, without that one itself.
    is_below: bool,
}

/// Why a URL to return to after signing in is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadReturn {
    /// Neither a path that begins with one `/` nor an http or https URL.
    NotOurs,
    /// A path that can be read in several ways, other than by its escaped slashes; see [`path`].
    Ambiguous,
    /// One of the filter's own paths: it would sign in again, or out.
    OwnPath,
    /// A URL to a host that is not listed, or to one by http.
    Unlisted,
}

/// The list of sites that are ours (`allowed_redirect_domains`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sites(Vec<Entry>);

impl Sites {
    /// Reads entries: `app.example`, `app.example:8443`, `*.app.example`. Without a port, an entry
    /// has the port of https, or of http on this machine.
    ///
    /// # Errors
    /// The place of the first entry of another form, or of the one after [`MAX_SITES`].
    pub fn parse<S: AsRef<str>>(entries: &[S]) -> Result<Self, usize> {
        let entry = |(at, text): (usize, &S)| {
            let text = text.as_ref();
            let (text, is_below) = match text.strip_prefix("*.") {
                Some(text) => (text, true),
                None => (text, false),
            };
            let site = Site::parse(text.as_bytes()).filter(|_| at < MAX_SITES);
            Ok(Entry {
                site: site.ok_or(at)?,
                is_below,
            })
        };
        let entries: Result<_, usize> = entries.iter().enumerate().map(entry).collect();
        Ok(Self(entries?))
    }

    /// The sites that are listed by themselves, in the order written.
    #[must_use]
    pub fn single(&self) -> Vec<&Site> {
        let single = self.0.iter().filter(|entry| !entry.is_below);
        single.map(|entry| &entry.site).collect()
    }

    fn has(&self, site: &Site) -> bool {
        let is_host = |entry: &Entry| {
            let (listed, host) = (&*entry.site.host, &*site.host);
            if entry.is_below {
                let below = host.strip_suffix(listed);
                below.is_some_and(|below| below.len() > 1 && below.ends_with('.'))
            } else {
                host == listed
            }
        };
        let is_listed = |entry: &Entry| entry.site.port == site.port && is_host(entry);
        self.0.iter().any(is_listed)
    }

    /// The site that a request is for. `:authority` says it, or `X-Forwarded-Host` where the proxy
    /// in front is trusted to set that. `X-Forwarded-Proto` is never looked at, because our pages
    /// have one scheme. `None` where the site is not listed, or there are several.
    #[must_use]
    pub fn of_request(&self, request: &Request, trusts_proxy: bool) -> Option<Site> {
        let mut forwarded = request.values("x-forwarded-host").filter(|_| trusts_proxy);
        let authority = match (forwarded.next(), forwarded.next()) {
            (None, _) => request.value(":authority")?,
            (Some(host), None) => host,
            (Some(_), Some(_)) => return None,
        };
        Site::parse(authority).filter(|site| self.has(site))
    }

    /// Whether the value of an Origin header is one of ours (RFC 6454 section 7).
    #[must_use]
    pub fn have_origin(&self, origin: &[u8]) -> bool {
        let origin = std::str::from_utf8(origin).ok();
        let site = origin
            .filter(|text| !text.ends_with(['/', '?']))
            .and_then(|text| Uri::parse(text).ok())
            .filter(|uri| uri.path == "/")
            .and_then(|uri| Site::from_secure(&uri));
        site.is_some_and(|site| self.has(&site))
    }

    /// Checks where a browser asks to be sent after signing in: a path of our own, or a URL of a
    /// listed site. `own_paths` are the paths of the filter, in their normal form.
    ///
    /// # Errors
    /// [`BadReturn`]: go to `/` instead.
    pub fn return_to<'u>(&self, url: &'u [u8], own_paths: &[&str]) -> Result<&'u str, BadReturn> {
        let is_printed = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'#');
        let text = std::str::from_utf8(url).ok();
        let text = text.filter(|text| text.as_bytes().iter().all(is_printed));
        let text = text.ok_or(BadReturn::NotOurs)?;
        if text.starts_with('/') {
            vet_path(text, own_paths)?;
            return Ok(text);
        }
        let uri = Uri::parse(text).map_err(|_| BadReturn::NotOurs)?;
        let is_ours = Site::from_secure(&uri).is_some_and(|site| self.has(&site));
        if !is_ours {
            return Err(BadReturn::Unlisted);
        }
        vet_path(&uri.path, own_paths)?;
        Ok(text)
    }
}

fn vet_path(path: &str, own_paths: &[&str]) -> Result<(), BadReturn> {
    // A rule may take a path with escaped slashes, by both readings.
    let readings = path::readings(path.as_bytes());
    for normal in readings.map_err(|_| BadReturn::Ambiguous)? {
        // Upstreams and browsers differ on a slash at the end, so our own path is refused with it,
        // too.
        let is_own = |own: &&str| normal.trim_end_matches('/') == own.trim_end_matches('/');
        if normal != "/" && own_paths.iter().any(is_own) {
            return Err(BadReturn::OwnPath);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sites() -> Sites {
        Sites::parse(&[
            "app.example",
            "APP.example:8443",
            "*.int.example",
            "localhost",
            "app.localhost:10000",
            "[::1]:8080",
        ])
        .unwrap()
    }

    fn request(headers: &[(&'static str, &str)]) -> Request {
        let header =
            |(name, value): &(&'static str, &str)| ((*name).into(), value.as_bytes().to_vec());
        Request::new(headers.iter().map(header).collect())
    }

    #[test]
    fn s10_urls_to_return_to() {
        use BadReturn::*;
        let own = ["/oauth2/callback", "/sign-in", "/sign-out"];
        let table: &[(&[u8], Result<(), BadReturn>)] = &[
            (b"/", Ok(())),
            (b"/page?x=//evil.example&y=%0d%0a", Ok(())),
            (b"/sign-in-help", Ok(())),
            (b"/projects/a%2Fb?x", Ok(())),
            (b"https://app.example", Ok(())),
            (b"https://app.example/page?x", Ok(())),
            (b"HTTPS://APP.EXAMPLE.:443/page", Ok(())),
            (b"https://app.example:8443/", Ok(())),
            (b"https://a.int.example/", Ok(())),
            (b"https://a.b.int.example/", Ok(())),
            (b"http://localhost/", Ok(())),
            (b"http://app.localhost:10000/", Ok(())),
            (b"http://[::1]:8080/", Ok(())),
            // another host
            (b"//evil.example", Err(Ambiguous)),
            (b"///evil.example", Err(Ambiguous)),
            (b"/\\evil.example", Err(NotOurs)),
            (b"\\\\evil.example", Err(NotOurs)),
            (b"/\t/evil.example", Err(NotOurs)),
            (b"/\n/evil.example", Err(NotOurs)),
            (b"\t//evil.example", Err(NotOurs)),
            (b" //evil.example", Err(NotOurs)),
            (b"/..//evil.example", Err(Ambiguous)),
            (b"/.//evil.example", Err(Ambiguous)),
            (b"/%2e%2e//evil.example", Err(Ambiguous)),
            (b"/%09/evil.example", Err(Ambiguous)),
            (b"/%5cevil.example", Err(Ambiguous)),
            (b"/%2fevil.example", Err(Ambiguous)),
            (b"/a%2f..%2fb", Err(Ambiguous)),
            (b"/a%252fb", Err(Ambiguous)),
            (b"/;/evil.example", Err(Ambiguous)),
            (b"/a\r\nset-cookie:x=y", Err(NotOurs)),
            (b"/a#b", Err(NotOurs)),
            (b"/\xff", Err(NotOurs)),
            (b"", Err(NotOurs)),
            (b"page", Err(NotOurs)),
            (b"?x", Err(NotOurs)),
            (b"https:evil.example", Err(NotOurs)),
            (b"https:/evil.example", Err(NotOurs)),
            (b"https:///evil.example", Err(NotOurs)),
            (b"javascript:alert(1)", Err(NotOurs)),
            (b"javascript://app.example/%0aalert(1)", Err(NotOurs)),
            (b"ftp://app.example/", Err(NotOurs)),
            (b"https://app.example@evil.example/", Err(NotOurs)),
            (b"https://user:x@app.example/", Err(NotOurs)),
            (b"https://evil.example\\@app.example/", Err(NotOurs)),
            (b"https://evil.example#app.example/", Err(NotOurs)),
            (b"https://evil.example", Err(Unlisted)),
            (b"https://evil.example?app.example", Err(Unlisted)),
            (b"https://app.example.evil.example/", Err(Unlisted)),
            (b"https://evilapp.example/", Err(Unlisted)),
            (b"https://app.example:444/", Err(Unlisted)),
            (b"https://app.example:80/", Err(Unlisted)),
            (b"http://app.example/", Err(Unlisted)),
            (b"http://app.example:443/", Err(Unlisted)),
            (b"https://int.example/", Err(Unlisted)),
            (b"https://.int.example/", Err(Unlisted)),
            (b"https://evilint.example/", Err(Unlisted)),
            (b"http://a.int.example/", Err(Unlisted)),
            (b"http://localhost:1/", Err(Unlisted)),
            (b"https://app.example//evil.example", Err(Ambiguous)),
            // our own paths, however they are spelt
            (b"/sign-in", Err(OwnPath)),
            (b"/sign-in/", Err(OwnPath)),
            (b"/sign-in?return_to=/sign-in", Err(OwnPath)),
            (b"/sign-out;x=y", Err(OwnPath)),
            (b"/%73ign-out", Err(OwnPath)),
            (b"/oauth2//callback?code=x", Err(OwnPath)),
            (b"/oauth2%2Fcallback?code=x", Err(OwnPath)),
            (b"https://app.example/sign-out", Err(OwnPath)),
        ];
        for (url, expected) in table {
            let vetted = sites().return_to(url, &own);
            assert_eq!(vetted.map(|_| ()), *expected, "{}", url.escape_ascii());
            // The URL stays as it was asked for.
            assert!(vetted.is_err() || vetted.map(str::as_bytes) == Ok(url));
        }
        // A site whose root is our page to sign out to.
        assert_eq!(sites().return_to(b"/", &["/"]), Ok("/"));
    }

    #[test]
    fn s11_a_host_that_was_forged() {
        type Headers = [(&'static str, &'static str)];
        let table: &[(&Headers, bool, Option<&str>)] = &[
            (
                &[(":authority", "app.example")],
                false,
                Some("https://app.example"),
            ),
            (
                &[(":authority", "APP.example.:443")],
                false,
                Some("https://app.example"),
            ),
            (
                &[(":authority", "app.example:8443")],
                false,
                Some("https://app.example:8443"),
            ),
            (
                &[(":authority", "a.int.example")],
                false,
                Some("https://a.int.example"),
            ),
            (
                &[(":authority", "app.localhost:10000")],
                false,
                Some("http://app.localhost:10000"),
            ),
            (
                &[(":authority", "localhost:80")],
                false,
                Some("http://localhost"),
            ),
            (
                &[(":authority", "[0:0::1]:8080")],
                false,
                Some("http://[::1]:8080"),
            ),
            (&[(":authority", "evil.example")], false, None),
            (&[(":authority", "app.example:444")], false, None),
            (&[(":authority", "app.example:80")], false, None),
            (&[(":authority", "app.example@evil.example")], false, None),
            (&[(":authority", "app.example,evil.example")], false, None),
            (&[(":authority", "app.example/evil")], false, None),
            (&[(":authority", "")], false, None),
            (&[], false, None),
            // headers that anybody can send
            (
                &[
                    (":authority", "app.example"),
                    ("x-forwarded-host", "a.int.example"),
                    ("x-forwarded-proto", "http"),
                    ("forwarded", "host=a.int.example;proto=http"),
                    ("host", "a.int.example"),
                ],
                false,
                Some("https://app.example"),
            ),
            (
                &[
                    (":authority", "evil.example"),
                    ("x-forwarded-host", "app.example"),
                ],
                false,
                None,
            ),
            // a proxy that is trusted
            (
                &[
                    (":authority", "10.0.0.1"),
                    ("x-forwarded-host", "app.example"),
                    ("x-forwarded-proto", "http"),
                ],
                true,
                Some("https://app.example"),
            ),
            (
                &[(":authority", "app.example")],
                true,
                Some("https://app.example"),
            ),
            (
                &[
                    (":authority", "app.example"),
                    ("x-forwarded-host", "evil.example"),
                ],
                true,
                None,
            ),
            (
                &[
                    (":authority", "app.example"),
                    ("x-forwarded-host", "app.example, evil.example"),
                ],
                true,
                None,
            ),
            (
                &[
                    (":authority", "app.example"),
                    ("x-forwarded-host", "app.example"),
                    ("x-forwarded-host", "app.example"),
                ],
                true,
                None,
            ),
        ];
        for (headers, trusts_proxy, expected) in table {
            let site = sites().of_request(&request(headers), *trusts_proxy);
            assert_eq!(
                site.map(|site| site.origin()).as_deref(),
                *expected,
                "{headers:?}"
            );
        }
    }

    #[test]
    fn origins_that_are_ours() {
        for (origin, expected) in [
            ("https://app.example", true),
            ("https://app.example:443", true),
            ("https://app.example:8443", true),
            ("http://localhost", true),
            ("https://a.int.example", true),
            ("http://app.example", false),
            ("https://app.example/", false),
            ("https://app.example/x", false),
            ("https://app.example?", false),
            ("https://evil.example", false),
            ("https://app.example, https://app.example", false),
            ("null", false),
            ("", false),
            ("app.example", false),
        ] {
            assert_eq!(sites().have_origin(origin.as_bytes()), expected, "{origin}");
        }
    }

    #[test]
    fn entries_that_are_no_sites() {
        for bad in [
            "",
            "*",
            "*.",
            "https://app.example",
            "app.example/",
            "a b",
            "*.*.example",
            "a:b",
        ] {
            assert_eq!(Sites::parse(&["app.example", bad]), Err(1), "{bad}");
        }
        let many = vec!["app.example"; MAX_SITES + 1];
        assert_eq!(Sites::parse(&many), Err(MAX_SITES));
        assert!(
            !Sites::parse::<&str>(&[])
                .unwrap()
                .have_origin(b"https://app.example")
        );
    }
}
