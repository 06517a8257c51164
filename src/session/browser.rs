//! What a browser says about a request: who may be redirected to sign in, and whether another site
//! made the browser send it (Fetch Metadata Request Headers, RFC 6454).
//!
//! Invariant: a header that was sent twice, or has an unknown value, counts as the answer that
//! allows less.

use super::site::Sites;
use crate::http::request::Request;

/// Another site may have made the browser send the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrossSite;

/// What one header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said<'r> {
    Nothing,
    One(&'r [u8]),
    Several,
}

fn said<'r>(request: &'r Request, name: &str) -> Said<'r> {
    let mut values = request.values(name);
    match (values.next(), values.next()) {
        (None, _) => Said::Nothing,
        (Some(value), None) => Said::One(value),
        (Some(_), Some(_)) => Said::Several,
    }
}

/// Whether a person waits for a page, so that a redirect is of use. Scripts, posted forms, frames
/// and pages that are fetched in advance get 401.
#[must_use]
pub fn is_navigation(request: &Request) -> bool {
    let is_read = matches!(request.method(), Ok(b"GET" | b"HEAD"));
    if !is_read || is_upgrade(request) || is_prefetch(request) {
        return false;
    }
    let (mode, dest) = (
        said(request, "sec-fetch-mode"),
        said(request, "sec-fetch-dest"),
    );
    match (mode, dest) {
        (Said::Nothing, Said::Nothing) => {
            let is_script = said(request, "x-requested-with") != Said::Nothing;
            !is_script && request.values("accept").any(takes_html)
        }
        (mode, dest) => mode == Said::One(b"navigate") && dest == Said::One(b"document"),
    }
}

/// Whether a value of Accept has `text/html`, with a weight other than 0 (RFC 9110 section 12.5.1).
fn takes_html(accept: &[u8]) -> bool {
    accept.split(|byte| *byte == b',').any(|range| {
        let mut parts = range.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let is_html = parts
            .next()
            .is_some_and(|range| range.eq_ignore_ascii_case(b"text/html"));
        let is_none = |parameter: &[u8]| {
            let weight = parameter
                .strip_prefix(b"q=")
                .or(parameter.strip_prefix(b"Q="));
            weight.is_some_and(|weight| weight.iter().all(|byte| matches!(byte, b'0' | b'.')))
        };
        is_html && !parts.any(is_none)
    })
}

/// Whether a browser fetches in advance, before anybody has asked for it. Such a request must
/// redeem no code and end no session. Firefox and older browsers have names of their own.
#[must_use]
pub fn is_prefetch(request: &Request) -> bool {
    ["sec-purpose", "purpose", "x-purpose", "x-moz"]
        .into_iter()
        .flat_map(|name| request.values(name))
        .flat_map(|value| value.split(|byte| matches!(byte, b',' | b';')))
        .any(|token| {
            let token = token.trim_ascii();
            [&b"prefetch"[..], b"prerender", b"preview"]
                .iter()
                .any(|known| token.eq_ignore_ascii_case(known))
        })
}

/// Whether the connection is to become another one, such as a WebSocket. The client then gets more
/// than the answer to its first request.
fn is_upgrade(request: &Request) -> bool {
    said(request, "upgrade") != Said::Nothing
}

/// Whether a request that relies on a session was sent by one of our own pages, or cannot change
/// anything.
///
/// # Errors
/// Where an unsafe method (RFC 9110 section 9.2.1) or an upgrade comes from elsewhere, or nothing
/// says where it comes from.
pub fn vet_origin(request: &Request, ours: &Sites) -> Result<(), CrossSite> {
    let is_safe = matches!(
        request.method(),
        Ok(b"GET" | b"HEAD" | b"OPTIONS" | b"TRACE")
    );
    if is_safe && !is_upgrade(request) || is_from_us(request, ours) {
        Ok(())
    } else {
        Err(CrossSite)
    }
}

/// Whether a request may sign out: a POST from one of our pages, or a GET that comes from a link of
/// ours or from the person. A picture of a page is no link: somebody else may have put it there.
///
/// # Errors
/// Where the method is another one, a GET is a prefetch or a part of a page, or the request comes from
/// elsewhere.
pub fn vet_sign_out(request: &Request, ours: &Sites) -> Result<(), CrossSite> {
    let is_meant = match request.method() {
        Ok(b"POST") => true,
        Ok(b"GET") => !is_prefetch(request) && !is_part_of_page(request),
        _ => false,
    };
    if is_meant && is_from_us(request, ours) {
        Ok(())
    } else {
        Err(CrossSite)
    }
}

/// Whether a page has the request in it: a picture, a frame. A page is a document, and what a script
/// fetches has no destination (Fetch Metadata Request Headers section 2.1).
fn is_part_of_page(request: &Request) -> bool {
    !matches!(
        said(request, "sec-fetch-dest"),
        Said::Nothing | Said::One(b"document" | b"empty")
    )
}

fn is_from_us(request: &Request, ours: &Sites) -> bool {
    match said(request, "sec-fetch-site") {
        Said::One(b"same-origin" | b"none") => return true,
        Said::One(_) | Said::Nothing => {}
        Said::Several => return false,
    }
    matches!(said(request, "origin"), Said::One(origin) if ours.have_origin(origin))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Headers = [(&'static str, &'static str)];

    fn request(method: &str, headers: &Headers) -> Request {
        let headers = [(":method", method)]
            .into_iter()
            .chain(headers.iter().copied())
            .map(|(name, value)| (name.to_owned().into(), value.as_bytes().to_vec()));
        Request::new(headers.collect())
    }

    const PAGE: [(&str, &str); 2] = [
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
    ];

    #[test]
    fn s31_only_a_page_that_is_opened_is_redirected() {
        let html = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
        let table: &[(&str, &Headers, bool)] = &[
            ("GET", &PAGE, true),
            ("HEAD", &PAGE, true),
            ("GET", &[html], true),
            (
                "GET",
                &[("accept", "application/json, Text/HTML;q=0.9")],
                true,
            ),
            ("GET", &[PAGE[0], PAGE[1], ("x-requested-with", "a")], true),
            ("POST", &PAGE, false),
            ("PUT", &PAGE, false),
            ("OPTIONS", &PAGE, false),
            ("get", &PAGE, false),
            ("POST", &[html], false),
            // scripts
            (
                "GET",
                &[
                    ("sec-fetch-mode", "cors"),
                    ("sec-fetch-dest", "empty"),
                    html,
                ],
                false,
            ),
            (
                "GET",
                &[
                    ("sec-fetch-mode", "no-cors"),
                    ("sec-fetch-dest", "image"),
                    html,
                ],
                false,
            ),
            ("GET", &[("sec-fetch-mode", "navigate"), html], false),
            ("GET", &[("sec-fetch-dest", "document"), html], false),
            (
                "GET",
                &[("x-requested-with", "XMLHttpRequest"), html],
                false,
            ),
            ("GET", &[("accept", "application/json")], false),
            ("GET", &[("accept", "*/*")], false),
            ("GET", &[("accept", "text/html;q=0")], false),
            ("GET", &[("accept", "text/html;q=0.000")], false),
            ("GET", &[("accept", "text/htmlx")], false),
            ("GET", &[], false),
            // frames
            (
                "GET",
                &[
                    ("sec-fetch-mode", "navigate"),
                    ("sec-fetch-dest", "iframe"),
                    html,
                ],
                false,
            ),
            // said twice
            ("GET", &[PAGE[0], PAGE[0], PAGE[1]], false),
            // no page yet, or none at all
            (
                "GET",
                &[PAGE[0], PAGE[1], ("sec-purpose", "prefetch;prerender")],
                false,
            ),
            ("GET", &[PAGE[0], PAGE[1], ("upgrade", "websocket")], false),
            ("GET", &[html, ("upgrade", "websocket")], false),
        ];
        for (method, headers, expected) in table {
            let is_navigation = is_navigation(&request(method, headers));
            assert_eq!(is_navigation, *expected, "{method} {headers:?}");
        }
    }

    #[test]
    fn s25_a_prefetch_is_found() {
        let table: &[(&Headers, bool)] = &[
            (&PAGE, false),
            (&[("sec-purpose", "prefetch")], true),
            (&[("sec-purpose", "prefetch;prerender")], true),
            (&[("sec-purpose", "prefetch;anonymous-client-ip")], true),
            (&[("sec-purpose", "Prefetch")], true),
            (&[("sec-purpose", "x, prefetch")], true),
            (&[("sec-purpose", "x"), ("sec-purpose", "prefetch")], true),
            (&[("purpose", "prefetch")], true),
            (&[("x-purpose", "preview")], true),
            (&[("x-moz", "prefetch")], true),
            (&[("sec-purpose", "")], false),
            (&[("purpose", "prefetched")], false),
        ];
        for (headers, expected) in table {
            assert_eq!(
                is_prefetch(&request("GET", headers)),
                *expected,
                "{headers:?}"
            );
        }
    }

    fn ours() -> Sites {
        Sites::parse(&["app.example", "other.example"]).unwrap()
    }

    #[test]
    fn s18_what_another_site_sends() {
        let socket = ("upgrade", "websocket");
        let same = ("sec-fetch-site", "same-origin");
        let cross = ("sec-fetch-site", "cross-site");
        let our = ("origin", "https://app.example");
        let table: &[(&str, &Headers, bool)] = &[
            // links and pages
            ("GET", &[], true),
            ("GET", &[cross], true),
            ("HEAD", &[cross], true),
            ("OPTIONS", &[cross], true),
            // our own pages
            ("POST", &[same], true),
            ("POST", &[("sec-fetch-site", "none")], true),
            ("POST", &[our], true),
            ("DELETE", &[("sec-fetch-site", "same-site"), our], true),
            ("POST", &[cross, ("origin", "https://other.example")], true),
            ("GET", &[socket, same], true),
            ("GET", &[socket, our], true),
            // others
            ("POST", &[], false),
            ("POST", &[cross], false),
            ("POST", &[("sec-fetch-site", "same-site")], false),
            ("POST", &[("sec-fetch-site", "Same-Origin")], false),
            (
                "POST",
                &[("sec-fetch-site", "same-origin, cross-site")],
                false,
            ),
            ("POST", &[same, cross], false),
            ("POST", &[same, same, our], false),
            ("POST", &[("sec-fetch-site", "")], false),
            ("POST", &[("origin", "https://evil.example")], false),
            ("POST", &[("origin", "null")], false),
            ("POST", &[our, ("origin", "https://evil.example")], false),
            ("POST", &[("origin", "http://app.example")], false),
            ("POST", &[("referer", "https://app.example/")], false),
            ("PUT", &[cross], false),
            ("PROPFIND", &[cross], false),
            ("CONNECT", &[cross], false),
            ("get", &[cross], false),
            ("GET", &[socket], false),
            ("GET", &[socket, cross], false),
            ("GET", &[("upgrade", "other"), cross], false),
            ("GET", &[socket, ("origin", "https://evil.example")], false),
        ];
        for (method, headers, expected) in table {
            let vetted = vet_origin(&request(method, headers), &ours());
            assert_eq!(vetted.is_ok(), *expected, "{method} {headers:?}");
        }
    }

    #[test]
    fn s19_a_sign_out_that_another_site_sends() {
        let same = ("sec-fetch-site", "same-origin");
        let cross = ("sec-fetch-site", "cross-site");
        let table: &[(&str, &Headers, bool)] = &[
            ("POST", &[same], true),
            ("POST", &[("origin", "https://app.example")], true),
            ("GET", &[same], true),
            ("GET", &[("sec-fetch-site", "none")], true),
            ("POST", &[cross], false),
            ("POST", &[], false),
            ("GET", &[cross], false),
            ("GET", &[("sec-fetch-site", "same-site")], false),
            ("GET", &[], false),
            ("GET", &[same, ("sec-purpose", "prefetch")], false),
            ("GET", &[same, ("sec-fetch-dest", "document")], true),
            ("GET", &[same, ("sec-fetch-dest", "empty")], true),
            ("GET", &[same, ("sec-fetch-dest", "image")], false),
            ("GET", &[same, ("sec-fetch-dest", "iframe")], false),
            ("HEAD", &[same], false),
            ("PUT", &[same], false),
        ];
        for (method, headers, expected) in table {
            let vetted = vet_sign_out(&request(method, headers), &ours());
            assert_eq!(vetted.is_ok(), *expected, "{method} {headers:?}");
        }
    }
}
