//! The host of `:authority`, in the one form that rules are compared with (RFC 3986 sections 3.2
//! and 6.2, RFC 9110 section 7.2).
//!
//! Invariant: two spellings that some upstream could take for one host either become one text
//! here or are refused. So a protected host cannot be spelt in a way that only another host's rule
//! matches.
//!
//! - Names are in lower case and end without a dot: `a.example.` is the same name (RFC 3986
//!   section 3.2.2). The port is left out: the listener has one port, whatever the client says.
//! - A name has letters, digits, `-`, `_` and dots between them. Everything else that a URI may
//!   have in its host (escapes, a user's name, `,` and others) is refused, since each upstream
//!   cuts, joins or decodes it in its own way. Bytes beyond ASCII are refused too: a client sends
//!   such a name as `xn--...`.
//! - A name whose last label is a number is an IPv4 address, in four decimal numbers without
//!   leading zeros: `127.1`, `0x7f.0.0.1` and `2130706433` are spellings of one that the URL
//!   Standard knows, and are refused.
//! - IPv6 addresses are in brackets and compressed (RFC 5952). There are no zones.

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use std::borrow::Cow;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::bytes;

/// The longest label and the longest name, in bytes (RFC 1035 section 2.3.4).
const LONGEST_LABEL: usize = 63;
const LONGEST_NAME: usize = 253;

/// Why an authority names no host, or can be read in several ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnsafeHost {
    /// There is no host: no authority, or nothing before the port.
    Missing,
    /// A character that no host name has: `,`, `@`, `%`, a space, a byte beyond ASCII, ...
    Character,
    /// An empty label (two dots, or a dot at the start), or one that is too long.
    Label,
    /// A number as the last label, and not an IPv4 address in its usual form.
    Number,
    /// Brackets without an IPv6 address in them.
    Address,
    /// What follows the host is not one port.
    Port,
}

impl fmt::Display for UnsafeHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "is missing",
            Self::Character => {
                "has a character that a host cannot have (other alphabets are written xn--...)"
            }
            Self::Label => "has an empty label or one that is too long",
            Self::Number => "ends in a number and is no IPv4 address",
            Self::Address => "has brackets without an IPv6 address",
            Self::Port => "has something other than one port after the host",
        })
    }
}

/// The host of an authority, in the form that rules are compared with.
///
/// Borrows where the host has that form already, as nearly all hosts do.
///
/// # Errors
/// Where it is not a host, or can be read as more than one; see [`UnsafeHost`].
pub fn host(authority: &[u8]) -> Result<Cow<'_, str>, UnsafeHost> {
    if authority.is_empty() {
        return Err(UnsafeHost::Missing);
    }
    let text = std::str::from_utf8(authority).map_err(|_| UnsafeHost::Character)?;
    if let Some(literal) = text.strip_prefix('[') {
        let (address, after) = literal.split_once(']').ok_or(UnsafeHost::Address)?;
        let port = after.strip_prefix(':');
        if port.is_none() && !after.is_empty() {
            return Err(UnsafeHost::Port);
        }
        vet_port(port)?;
        let address: Ipv6Addr = address.parse().map_err(|_| UnsafeHost::Address)?;
        return Ok(Cow::Owned(compressed(address.segments())));
    }
    let colon = bytes::find(authority, b':').unwrap_or(text.len());
    let (name, port) = text.split_at_checked(colon).unwrap_or((text, ""));
    let port = port.strip_prefix(':');
    if name.is_empty() {
        return Err(UnsafeHost::Missing);
    }
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if !name.bytes().all(is_legal) {
        return Err(UnsafeHost::Character);
    }
    vet_port(port)?;
    let name = name.strip_suffix('.').unwrap_or(name);
    let mut last = &b""[..];
    for label in name.as_bytes().split(|byte| *byte == b'.') {
        if label.is_empty() || label.len() > LONGEST_LABEL {
            return Err(UnsafeHost::Label);
        }
        last = label;
    }
    if name.len() > LONGEST_NAME {
        return Err(UnsafeHost::Label);
    }
    if is_number(last) && name.parse::<Ipv4Addr>().is_err() {
        return Err(UnsafeHost::Number);
    }
    Ok(if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    })
}

/// An IPv6 address in brackets: groups without leading zeros, the first of the longest runs of
/// zeros left out (RFC 5952 section 4.2; the last groups in hexadecimal always, as browsers do).
fn compressed(groups: [u16; 8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let zeros = |from: usize| {
        groups
            .iter()
            .skip(from)
            .take_while(|group| **group == 0)
            .count()
    };
    let mut run = (0, 1);
    for from in 0..groups.len() {
        if zeros(from) > run.1 {
            run = (from, zeros(from));
        }
    }
    let mut text = String::from("[");
    for (at, group) in groups.iter().enumerate() {
        if run.1 > 1 && at >= run.0 && at < run.0.saturating_add(run.1) {
            if at == run.0 {
                text.push_str("::");
            }
            continue;
        }
        if !text.ends_with([':', '[']) {
            text.push(':');
        }
        let nibbles = [12, 8, 4, 0].map(|shift| usize::from(group >> shift & 0xf));
        let leading = nibbles
            .iter()
            .take(3)
            .take_while(|nibble| **nibble == 0)
            .count();
        let digits = nibbles
            .iter()
            .skip(leading)
            .filter_map(|nibble| DIGITS.get(*nibble));
        text.extend(digits.map(|digit| char::from(*digit)));
    }
    text.push(']');
    text
}

/// A port may be empty (RFC 3986 section 3.2.3).
fn vet_port(port: Option<&str>) -> Result<(), UnsafeHost> {
    let port = port.unwrap_or_default();
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
    if port.is_empty() || is_port && port.parse::<u16>().is_ok() {
        Ok(())
    } else {
        Err(UnsafeHost::Port)
    }
}

/// Whether the URL Standard takes a label for a number (its "ends-in-a-number checker").
fn is_number(label: &[u8]) -> bool {
    match label {
        [b'0', b'x' | b'X', digits @ ..] => digits.iter().all(u8::is_ascii_hexdigit),
        digits => digits.iter().all(u8::is_ascii_digit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalizes() {
        let long = format!("{}.example", "a".repeat(63));
        let table: &[(&str, &str)] = &[
            ("api.example", "api.example"),
            ("localhost", "localhost"),
            ("a", "a"),
            // the port is the listener's
            ("api.example:8443", "api.example"),
            ("api.example:0", "api.example"),
            ("api.example:00080", "api.example"),
            ("api.example:", "api.example"),
            // one case
            ("API.Example", "api.example"),
            ("API.EXAMPLE:80", "api.example"),
            // the root's dot
            ("api.example.", "api.example"),
            ("api.example.:443", "api.example"),
            ("API.example.", "api.example"),
            ("localhost.", "localhost"),
            // names that are not DNS names
            ("my_service.default", "my_service.default"),
            ("-a-.example", "-a-.example"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
            (&long, &long),
            // addresses
            ("127.0.0.1", "127.0.0.1"),
            ("127.0.0.1:8080", "127.0.0.1"),
            ("127.0.0.1.", "127.0.0.1"),
            ("1.2.3.4.example", "1.2.3.4.example"),
            ("10.example", "10.example"),
            ("0xcafe.example", "0xcafe.example"),
            ("[::1]", "[::1]"),
            ("[::1]:80", "[::1]"),
            ("[::1]:", "[::1]"),
            ("[0:0:0:0:0:0:0:1]", "[::1]"),
            ("[2001:DB8::00ff]", "[2001:db8::ff]"),
            ("[::ffff:127.0.0.1]", "[::ffff:7f00:1]"),
            ("[::]", "[::]"),
            ("[1::]", "[1::]"),
            ("[1:0:2:3:4:5:6:7]", "[1:0:2:3:4:5:6:7]"),
            ("[1:0:0:2:0:0:0:3]", "[1:0:0:2::3]"),
            ("[1:0:0:2:3:0:0:4]", "[1::2:3:0:0:4]"),
            ("[fe80:0000::00a0:0bcd]", "[fe80::a0:bcd]"),
        ];
        for (raw, expected) in table {
            assert_eq!(host(raw.as_bytes()).as_deref(), Ok(*expected), "{raw}");
            // the form is its own form
            assert_eq!(host(expected.as_bytes()).as_deref(), Ok(*expected), "{raw}");
        }
    }

    #[test]
    fn borrows_what_needs_no_change() {
        for raw in [
            "api.example",
            "api.example:8443",
            "api.example.",
            "10.0.0.1",
        ] {
            assert!(
                matches!(host(raw.as_bytes()), Ok(Cow::Borrowed(_))),
                "{raw}"
            );
        }
    }

    #[test]
    fn refuses_what_is_no_host_or_several() {
        use UnsafeHost::*;
        let long = format!("{}.example", "a".repeat(64));
        let name = "a.".repeat(127) + "example";
        let table: &[(&[u8], UnsafeHost)] = &[
            (b"", Missing),
            (b":80", Missing),
            (b":", Missing),
            // several Host lines, as Envoy joins them
            (b"a.example,b.example", Character),
            (b"a.example, b.example", Character),
            (b",", Character),
            (b"a.example b.example", Character),
            (b" a.example", Character),
            (b"a.example\t", Character),
            (b"a.example\0", Character),
            (b"a.example\r\n", Character),
            // a user's name
            (b"user@a.example", Character),
            (b"@a.example", Character),
            (b"user:password@a.example", Port),
            // escapes
            (b"%61.example", Character),
            (b"a%2eexample", Character),
            (b"a.example%00", Character),
            // what could begin a path or another authority
            (b"a.example/", Character),
            (b"a.example/b", Character),
            (b"a.example\\b", Character),
            (b"a.example?b", Character),
            (b"a.example#b", Character),
            (b"http://a.example", Port),
            (b"*.example", Character),
            (b"a!b.example", Character),
            (b"a;b.example", Character),
            (b"a~b.example", Character),
            // not ASCII: full stops, letters that lower case makes ASCII of, soft hyphens
            ("b\u{fc}cher.example".as_bytes(), Character),
            ("a\u{3002}example".as_bytes(), Character),
            ("a.e\u{ff58}ample".as_bytes(), Character),
            ("\u{212a}.example".as_bytes(), Character),
            ("a\u{ad}.example".as_bytes(), Character),
            (b"\xfc.example", Character),
            (b"\xa0a.example", Character),
            // dots
            (b".", Label),
            (b".:80", Label),
            (b"..", Label),
            (b".a.example", Label),
            (b"a.example..", Label),
            (b"a..example", Label),
            (long.as_bytes(), Label),
            (name.as_bytes(), Label),
            // ports
            (b"a.example:80:90", Port),
            (b"a.example::80", Port),
            (b"a.example:80.", Port),
            (b"a.example:+80", Port),
            (b"a.example:-1", Port),
            (b"a.example:65536", Port),
            (b"a.example:http", Port),
            (b"a.example: 80", Port),
            (b"a.example:80,b.example:80", Port),
            (b"a.example:80@b.example", Port),
            (b"::1", Missing),
            (b"2001:db8::1", Port),
            // other spellings of an IPv4 address
            (b"127.1", Number),
            (b"127.0.1", Number),
            (b"127.0.0.01", Number),
            (b"0177.0.0.1", Number),
            (b"127.0.0.256", Number),
            (b"127.0.0.0.1", Number),
            (b"0x7f.0.0.1", Number),
            (b"0x7f.1", Number),
            (b"127.0.0.0x1", Number),
            (b"127.0.0.0X1", Number),
            (b"a.0x", Number),
            (b"2130706433", Number),
            (b"0x7f000001", Number),
            (b"a.1", Number),
            // brackets
            (b"[", Address),
            (b"[]", Address),
            (b"[::1", Address),
            (b"[127.0.0.1]", Address),
            (b"[::1%25eth0]", Address),
            (b"[::1%eth0]", Address),
            (b"[v1.a]", Address),
            (b"[a.example]", Address),
            (b"[::1::]", Address),
            (b"[::1].", Port),
            (b"[::1]80", Port),
            (b"[::1]a.example", Port),
            (b"[::1]:80:90", Port),
            (b"[::1],[::2]", Port),
            (b"a[::1]", Character),
            (b"::1]", Missing),
        ];
        for (raw, expected) in table {
            assert_eq!(host(raw), Err(*expected), "{}", raw.escape_ascii());
        }
    }
}
