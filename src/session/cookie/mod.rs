//! The cookies that carry what is sealed (RFC 6265bis, draft-ietf-httpbis-rfc6265bis).
//!
//! Browsers keep cookies of up to 4096 octets, name and value together. Chromium drops a longer one
//! without a message. So a long value is cut into chunks: `name.0`, `name.1` and so on. The first
//! chunk begins with the number of chunks. A value that fits is in one cookie, `name`.
//!
//! Invariant: a value is joined from all its chunks, each of which was sent once, or it is refused.
//! Nothing is chosen among several. The seal shows whether the chunks belong together.
//!
//! Invariant: two cookies of ours that a browser sends with one request have different names, also
//! where one is of an older configuration. A browser keeps those of two domains beside each other.
//! So the name has the number of names in the domain: of the domains that one host is in, no two
//! have the same number.
//!
//! Invariant: the cookies of applications pass byte for byte. No cookie passes if some upstream
//! takes its name for one of ours.

use std::borrow::Cow;
use std::fmt;

use crate::bytes;
use crate::http::chunks::{chunk_number, small_number};
use crate::http::name::is_like_numbered;
use crate::http::request::Request;
use crate::http::value::trim;
use crate::jose::base64url;

pub use crate::http::chunks::MAX_CHUNKS;

/// The longest name and value of one cookie together, in octets (RFC 6265bis section 5.6).
pub const LONGEST_COOKIE: usize = 4096;

/// The most octets of a session in cookies, unless the configuration says otherwise.
pub const DEFAULT_MAX_BYTES: usize = 12_288;

/// The most that a configuration may allow, in octets. Envoy refuses requests whose headers have
/// more than 60 KiB together.
pub const LARGEST_MAX_BYTES: usize = 40_960;

/// The longest name of a scheme in the name of a cookie, in octets.
pub const LONGEST_SCHEME: usize = 64;

/// When a browser sends a cookie with requests from other sites (RFC 6265bis section 4.1.2.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SameSite {
    /// Only with navigations.
    #[default]
    Lax,
    /// Never.
    Strict,
    /// Always.
    None,
}

impl SameSite {
    fn name(self) -> &'static str {
        match self {
            Self::Lax => "Lax",
            Self::Strict => "Strict",
            Self::None => "None",
        }
    }
}

/// One value of ours in a browser, and the names of the cookies that it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cookie {
    name: String,
    /// `; Path=/; ...`, the same for each of them.
    attributes: String,
    max_bytes: usize,
}

/// Why a cookie cannot be made as the configuration asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CookieError {
    /// The scheme is empty or too long, or has a character other than letters, digits, `-` and `_`.
    Scheme,
    /// The domain is not the name of a host in lower case.
    Domain,
    /// Fewer octets than one cookie has, or more than [`LARGEST_MAX_BYTES`].
    MaxBytes,
}

impl fmt::Display for CookieError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scheme => write!(
                f,
                "must have letters, digits, - and _ only, and {LONGEST_SCHEME} at most"
            ),
            Self::Domain => f.write_str("must be a domain in lower case, without a port"),
            Self::MaxBytes => {
                write!(f, "must be from {LONGEST_COOKIE} to {LARGEST_MAX_BYTES}")
            }
        }
    }
}

/// A value has more octets than the configuration allows for its cookies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge {
    /// Names and values together, in octets.
    pub bytes: usize,
    /// What the configuration allows (`cookie.max_bytes`), in octets.
    pub max_bytes: usize,
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bytes, max_bytes } = self;
        write!(f, "the cookies would have {bytes} octets of {max_bytes}")
    }
}

/// Why the cookies of a request do not make a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Torn {
    /// Two cookies have one name. A browser sends each of ours once.
    Duplicate,
    /// A chunk is missing.
    Missing,
    /// There are more chunks than the first one says, or chunks in addition to a whole value.
    Surplus,
    /// There are more octets than the configuration allows.
    TooLarge,
    /// The first chunk does not say how many there are.
    Malformed,
}

impl Cookie {
    /// The cookie that tells browsers apart, the same for all schemes.
    ///
    /// # Errors
    /// [`CookieError::Domain`].
    pub fn of_browser(domain: Option<&str>) -> Result<Self, CookieError> {
        Self::new("browser", domain, SameSite::Lax, LONGEST_COOKIE)
    }

    /// The cookie of a scheme's sessions. With a domain it is sent to all hosts in that domain, so
    /// its name cannot begin with `__Host-` (RFC 6265bis section 4.1.3).
    ///
    /// # Errors
    /// [`CookieError`].
    pub fn of_session(
        scheme: &str,
        domain: Option<&str>,
        same_site: SameSite,
        max_bytes: usize,
    ) -> Result<Self, CookieError> {
        let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if scheme.is_empty() || scheme.len() > LONGEST_SCHEME || !scheme.bytes().all(is_legal) {
            return Err(CookieError::Scheme);
        }
        let name = format!("session_{scheme}");
        Self::new(&name, domain, same_site, max_bytes)
    }

    fn new(
        name: &str,
        domain: Option<&str>,
        same_site: SameSite,
        max_bytes: usize,
    ) -> Result<Self, CookieError> {
        if !(LONGEST_COOKIE..=LARGEST_MAX_BYTES).contains(&max_bytes) {
            return Err(CookieError::MaxBytes);
        }
        let is_plain = |domain| {
            crate::http::authority::host(str::as_bytes(domain)).is_ok_and(|host| host == domain)
        };
        if !domain.is_none_or(is_plain) {
            return Err(CookieError::Domain);
        }
        let name = match domain {
            None => format!("__Host-Http-bg_{name}"),
            Some(domain) => format!("__Secure-bg{}_{name}", domain.split('.').count()),
        };
        let mut attributes = format!("; Path=/; Secure; HttpOnly; SameSite={}", same_site.name());
        if let Some(domain) = domain {
            attributes.push_str("; Domain=");
            attributes.push_str(domain);
        }
        Ok(Self {
            name,
            attributes,
            max_bytes,
        })
    }

    /// The name without a chunk's number.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which of our cookies has this name, if one has it.
    fn part(&self, name: &[u8]) -> Option<Part> {
        match name.strip_prefix(self.name.as_bytes())? {
            [] => Some(Part::Whole),
            [b'.', number @ ..] => Some(Part::Chunk(chunk_number(number)?)),
            _ => None,
        }
    }

    fn name_of(&self, part: Part) -> String {
        match part {
            Part::Whole => self.name.clone(),
            Part::Chunk(at) => format!("{}.{at}", self.name),
        }
    }

    /// The value that a request's cookies make, or `None` where the request has none of ours.
    ///
    /// # Errors
    /// [`Torn`]: the cookies must be deleted.
    pub fn read<'r>(&self, request: &'r Request) -> Result<Option<Cow<'r, [u8]>>, Torn> {
        let mut whole = None;
        let mut chunks = [None; MAX_CHUNKS];
        let mut bytes = 0_usize;
        for (name, value) in request.values("cookie").flat_map(pairs) {
            let Some(part) = self.part(name) else {
                continue;
            };
            bytes = bytes.saturating_add(name.len()).saturating_add(value.len());
            let place = match part {
                Part::Whole => &mut whole,
                Part::Chunk(at) => chunks.get_mut(at).ok_or(Torn::Surplus)?,
            };
            if place.replace(value).is_some() {
                return Err(Torn::Duplicate);
            }
        }
        if bytes > self.max_bytes {
            return Err(Torn::TooLarge);
        }
        let there = chunks.iter().flatten().count();
        let [first, rest @ ..] = chunks;
        match (whole, first) {
            (None, None) if there == 0 => Ok(None),
            (None, None) => Err(Torn::Missing),
            (Some(_), _) if there > 0 => Err(Torn::Surplus),
            (Some(value), _) => Ok(Some(value.into())),
            (None, Some(first)) => {
                let (count, first) = counted(first).ok_or(Torn::Malformed)?;
                if there > count {
                    return Err(Torn::Surplus);
                }
                let mut joined = first.to_vec();
                for chunk in rest.iter().take(count.saturating_sub(1)) {
                    joined.extend_from_slice(chunk.ok_or(Torn::Missing)?);
                }
                Ok(Some(joined.into()))
            }
        }
    }

    /// The values of `Set-Cookie` that put a value into a browser, and remove what the request has
    /// of an older one. `max_age` is in seconds. Without it the browser keeps the value until it is
    /// closed.
    ///
    /// # Errors
    /// [`TooLarge`]: nothing may be set.
    pub fn set(
        &self,
        sealed: &[u8],
        max_age: Option<u64>,
        request: &Request,
    ) -> Result<Vec<String>, TooLarge> {
        let value = base64url::encode(sealed);
        let chunks = self.chunks(&value);
        let sizes = chunks.iter().map(|(part, value)| {
            let name = self.name_of(*part);
            name.len().saturating_add(value.len())
        });
        let bytes = sizes.fold(0, usize::saturating_add);
        if bytes > self.max_bytes || chunks.len() > MAX_CHUNKS {
            let max_bytes = self.max_bytes;
            return Err(TooLarge { bytes, max_bytes });
        }
        let is_set = |part: &Part| chunks.iter().any(|(set, _)| set == part);
        let stale = self.parts(request).into_iter().filter(|part| !is_set(part));
        let mut lines: Vec<String> = stale.map(|part| self.deletion(part)).collect();
        let max_age = max_age.map(|seconds| format!("; Max-Age={seconds}"));
        let max_age = max_age.as_deref().unwrap_or_default();
        lines.extend(chunks.iter().map(|(part, value)| {
            format!(
                "{}={value}{}{max_age}",
                self.name_of(*part),
                self.attributes
            )
        }));
        Ok(lines)
    }

    /// The values of `Set-Cookie` that delete those of our cookies that the request has.
    #[must_use]
    pub fn delete(&self, request: &Request) -> Vec<String> {
        let parts = self.parts(request).into_iter();
        parts.map(|part| self.deletion(part)).collect()
    }

    fn deletion(&self, part: Part) -> String {
        format!("{}={}; Max-Age=0", self.name_of(part), self.attributes)
    }

    /// Which of our cookies a request has. Each is named once.
    fn parts(&self, request: &Request) -> Vec<Part> {
        let mut parts = Vec::new();
        for (name, _) in request.values("cookie").flat_map(pairs) {
            if let Some(part) = self.part(name).filter(|part| !parts.contains(part)) {
                parts.push(part);
            }
        }
        parts
    }

    /// A value cut into parts that fit in cookies.
    fn chunks<'v>(&self, value: &'v str) -> Vec<(Part, String)> {
        let fits = |name: &str, more: usize| {
            LONGEST_COOKIE.saturating_sub(name.len().saturating_add(more))
        };
        if value.len() <= fits(&self.name, 0) {
            return vec![(Part::Whole, value.to_owned())];
        }
        // `.11` in the name and `12.` before the first one's value
        let width = fits(&self.name, 6).max(1);
        let pieces = value.as_bytes().chunks(width);
        let count = pieces.len();
        let piece = |(at, piece): (usize, &'v [u8])| {
            let mut text = if at == 0 {
                format!("{count}.")
            } else {
                String::new()
            };
            text.extend(piece.iter().map(|byte| char::from(*byte)));
            (Part::Chunk(at), text)
        };
        pieces.enumerate().map(piece).collect()
    }
}

/// One of the cookies that a value can stand in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Whole,
    Chunk(usize),
}

/// How many chunks there are, at least two, and the part of the value in the first one.
fn counted(first: &[u8]) -> Option<(usize, &[u8])> {
    let dot = first.iter().take(3).position(|byte| *byte == b'.')?;
    let (count, value) = first.split_at_checked(dot)?;
    let count = small_number(count)?;
    let is_count = (2..=MAX_CHUNKS).contains(&count);
    Some((count, value.get(1..)?)).filter(|_| is_count)
}

/// Names and values of a line, as RFC 6265bis section 5.6 reads them: nothing is unquoted, and a
/// part without `=` is a value without a name.
fn pairs(line: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    bytes::split(line, b';').map(pair)
}

fn pair(cookie: &[u8]) -> (&[u8], &[u8]) {
    let parts = bytes::find(cookie, b'=').and_then(|at| cookie.split_at_checked(at));
    match parts {
        Some((name, value)) => (trim(name), trim(value.get(1..).unwrap_or_default())),
        None => (b"", trim(cookie)),
    }
}

/// What follows the prefix of our names, for whatever domain.
fn after_prefix(name: &[u8]) -> Option<&[u8]> {
    if let Some(rest) = name.strip_prefix(b"__Host-Http-bg_") {
        return Some(rest);
    }
    let rest = name.strip_prefix(b"__Secure-bg")?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    rest.get(digits..)?.strip_prefix(b"_")
}

/// The lines of the Cookie header without our cookies, or `None` where there is none of ours. A
/// cookie that some upstream would take for one of ours is removed, too: its name has another case,
/// or a chunk number that we never give. All others stay byte for byte, in their lines.
#[must_use]
pub fn without_ours(request: &Request, ours: &[&Cookie]) -> Option<Vec<Vec<u8>>> {
    let is_ours = |cookie: &[u8]| {
        let (name, value) = pair(cookie);
        let name = if name.is_empty() { value } else { name };
        ours.iter().any(|own| {
            // That is a part of what follows, and costs less.
            own.part(name).is_some() || {
                let own = own.name.as_bytes();
                // A browser keeps cookies of a domain that the configuration had before.
                let elsewhere = after_prefix(name).zip(after_prefix(own));
                is_like_numbered(name, own)
                    || elsewhere.is_some_and(|(name, own)| is_like_numbered(name, own))
            }
        })
    };
    let mut has_ours = false;
    let mut rest = Vec::new();
    for line in request.values("cookie") {
        let mut kept = Vec::new();
        let mut all = 0_usize;
        for cookie in bytes::split(line, b';') {
            all = all.saturating_add(1);
            if !is_ours(cookie) {
                kept.push(cookie);
            }
        }
        rest.push(if kept.len() == all {
            line.to_vec()
        } else {
            has_ours = true;
            trim(&kept.join(&b';')).to_vec()
        });
    }
    rest.retain(|line| !line.is_empty());
    has_ours.then_some(rest)
}

#[cfg(test)]
mod tests;
