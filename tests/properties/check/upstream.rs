//! How upstreams read a request: a model that has nothing of the filter's code.
//!
//! Each function gives every reading that some habit of upstreams leads to.

use std::collections::BTreeSet;

use bearer_gate::http::request::Header;

type Texts = BTreeSet<Vec<u8>>;

/// Which of the rules in `request.rs` some upstream needs.
pub(super) fn guarded(headers: &[Header]) -> Option<&'static str> {
    let is = |texts: &Texts, text: &str| texts.contains(text.as_bytes());
    let hosts = hosts(value(headers, ":authority"));
    let is_below = |host: &Vec<u8>| host.len() > 12 && host.ends_with(b".int.example");
    if is(&hosts, "admin.example") || is(&hosts, "127.0.0.1") || hosts.iter().any(is_below) {
        return Some("the host");
    }
    if is(&hosts, "secret.example") {
        return Some("the host by a header");
    }
    let methods = methods(value(headers, ":method"));
    if is(&methods, "POST") || is(&methods, "DELETE") {
        return Some("the method");
    }
    let path = value(headers, ":path");
    let paths = paths(path);
    if paths.iter().any(|path| path.starts_with(b"/admin")) {
        return Some("the path");
    }
    if fields(headers, "x-mode")
        .iter()
        .any(|mode| mode.as_deref() == Some(b"admin"))
    {
        return Some("a header");
    }
    let no = |value: &Option<Vec<u8>>| value.as_deref() != Some(b"yes");
    if paths.iter().any(|path| path.starts_with(b"/open"))
        && fields(headers, "x-open").iter().any(no)
    {
        return Some("a header that opens");
    }
    let query = cut(path, b'?').1;
    if parameters(query, "mode")
        .iter()
        .any(|value| value == b"a b")
    {
        return Some("a parameter");
    }
    // What is public there by its header is so with whatever token.
    if paths.iter().any(|path| path.starts_with(b"/open")) {
        return None;
    }
    let credentials = fields(headers, "authorization");
    if credentials
        .into_iter()
        .flatten()
        .any(|value| has_bearer(&value))
    {
        return Some("a credential");
    }
    if fields(headers, "x-token")
        .into_iter()
        .flatten()
        .any(|token| !token.is_empty())
    {
        return Some("a token in a header");
    }
    if parameters(query, "t").iter().any(|token| !token.is_empty()) {
        return Some("a token in the query");
    }
    let cookies = headers.iter().filter(|(name, _)| name == "cookie");
    if cookies
        .into_iter()
        .any(|(_, value)| has_cookie(value, b"s"))
    {
        return Some("a token in a cookie");
    }
    None
}

fn value<'h>(headers: &'h [Header], of: &str) -> &'h [u8] {
    let mut found = headers.iter().filter(|(name, _)| name == of);
    found.next().map_or(&b""[..], |(_, value)| value)
}

/// As ISO 8859-1, like Python's `str.strip` under WSGI and JavaScript's `trim`.
fn is_latin_space(byte: u8) -> bool {
    matches!(byte, 9..=13 | 28..=32 | 0x85 | 0xa0)
}

fn strip(text: &[u8], is_space: impl Fn(u8) -> bool) -> &[u8] {
    let start = text
        .iter()
        .position(|byte| !is_space(*byte))
        .unwrap_or(text.len());
    let end = text
        .iter()
        .rposition(|byte| !is_space(*byte))
        .map_or(start, |at| at + 1);
    &text[start..end]
}

fn strips(text: &[u8]) -> Vec<Vec<u8>> {
    let utf8 = String::from_utf8_lossy(text)
        .trim()
        .trim_matches('\u{feff}')
        .trim()
        .to_owned();
    vec![
        // RFC 9110 section 5.5 is what the least careful do
        strip(text, |byte| matches!(byte, b' ' | b'\t')).to_vec(),
        strip(text, is_latin_space).to_vec(),
        if std::str::from_utf8(text).is_ok() {
            utf8.into_bytes()
        } else {
            strip(text, is_latin_space).to_vec()
        },
    ]
}

fn methods(method: &[u8]) -> Texts {
    let upper = |text: Vec<u8>| text.to_ascii_uppercase();
    strips(method)
        .into_iter()
        .flat_map(|text| [text.clone(), upper(text)])
        .collect()
}

fn hosts(authority: &[u8]) -> Texts {
    let mut hosts = Texts::new();
    let comma = |list: &[u8]| -> Vec<Vec<u8>> {
        list.split(|byte| *byte == b',').flat_map(strips).collect()
    };
    let mut texts: Vec<Vec<u8>> = comma(authority);
    texts.extend(comma(&decoded(authority, false)));
    for text in texts {
        let after_user = text
            .rsplit(|byte| *byte == b'@')
            .next()
            .unwrap_or_default()
            .to_vec();
        for text in [text, after_user] {
            let first = cut(&text, b':').0.to_vec();
            let last = match text.iter().rposition(|byte| *byte == b':') {
                Some(at) => text[..at].to_vec(),
                None => text.clone(),
            };
            for host in [text.clone(), first, last] {
                let lower = host.to_ascii_lowercase();
                hosts.insert(strip(&lower, |byte| byte == b'.').to_vec());
                hosts.insert(lower.strip_suffix(b".").unwrap_or(&lower).to_vec());
                // 127.1 and the like, read by inet_aton
                if matches!(
                    lower.strip_suffix(b".").unwrap_or(&lower),
                    b"127.1" | b"2130706433" | b"0x7f.1"
                ) {
                    hosts.insert(b"127.0.0.1".to_vec());
                }
            }
        }
    }
    hosts
}

fn paths(path: &[u8]) -> Texts {
    let mut paths = Texts::new();
    for habits in 0..48_u32 {
        let bit = |at: u32| ((habits / 3) >> at) & 1 == 1;
        let mut read = cut(cut(path, b'?').0, b'#').0.to_vec();
        for _ in 0..habits % 3 {
            read = decoded(&read, false);
        }
        if bit(0) {
            read = cut(cut(&read, b'?').0, b'#').0.to_vec();
        }
        let segments = read.split(|byte| *byte == b'/').map(|segment| {
            let segment = if bit(1) {
                cut(segment, b';').0
            } else {
                segment
            };
            if bit(2) {
                strip(segment, is_latin_space)
            } else {
                segment
            }
        });
        let mut kept: Vec<&[u8]> = Vec::new();
        for segment in segments {
            match segment {
                b"" | b"." if bit(3) => {}
                b".." if bit(3) => drop(kept.pop()),
                b"" if kept.is_empty() => {}
                segment => kept.push(segment),
            }
        }
        paths.insert([b"/", kept.join(&b'/').as_slice()].concat());
    }
    paths
}

/// The values of a header: by its name or by what CGI makes of it, the first line, the last
/// one, or all.
fn fields(headers: &[Header], of: &str) -> BTreeSet<Option<Vec<u8>>> {
    let cgi = |name: &str| -> String {
        name.chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
            .collect()
    };
    let exactly: Vec<&[u8]> = headers
        .iter()
        .filter(|(name, _)| name == of)
        .map(|(_, value)| value.as_slice())
        .collect();
    let alike: Vec<&[u8]> = headers
        .iter()
        .filter(|(name, _)| cgi(name) == cgi(of))
        .map(|(_, value)| value.as_slice())
        .collect();
    let mut fields = BTreeSet::new();
    for lines in [exactly, alike] {
        fields.extend(
            strips(&lines.join(&b","[..]))
                .into_iter()
                .map(|text| (!lines.is_empty()).then_some(text)),
        );
        for line in lines.first().into_iter().chain(lines.last()) {
            fields.extend(strips(line).into_iter().map(Some));
        }
    }
    fields
}

/// Python's `value.split()`, of the value or of one of its members.
fn has_bearer(value: &[u8]) -> bool {
    let members = value.split(|byte| *byte == b',').chain([value]);
    members.into_iter().flat_map(strips).any(|member| {
        let words: Vec<&[u8]> = member
            .split(|byte| is_latin_space(*byte))
            .filter(|word| !word.is_empty())
            .collect();
        words.len() > 1 && words[0].eq_ignore_ascii_case(b"bearer")
    })
}

fn decoded(text: &[u8], plus: bool) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut rest = text;
    while let [byte, after @ ..] = rest {
        rest = after;
        let escape = after
            .get(..2)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        match escape.filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit())) {
            Some(digits) if *byte == b'%' => {
                decoded.extend(u8::from_str_radix(digits, 16));
                rest = &after[2..];
            }
            _ if *byte == b'+' && plus => decoded.push(b' '),
            _ => decoded.push(*byte),
        }
    }
    decoded
}

/// By name or by what PHP makes of it, with or without case, between `&` or `;` too.
fn parameters(query: &[u8], of: &str) -> Texts {
    let php = |name: &[u8]| -> Vec<u8> {
        let name = strip(name, |byte| byte == b' ');
        name.iter()
            .map(|byte| {
                if matches!(byte, b'.' | b' ') {
                    b'_'
                } else {
                    *byte
                }
            })
            .collect()
    };
    let mut values = Texts::new();
    for semicolons in [false, true] {
        for part in query.split(|byte| *byte == b'&' || semicolons && *byte == b';') {
            for plus in [false, true] {
                let (name, value) = cut(part, b'=');
                let name = decoded(name, plus);
                if name == of.as_bytes() || php(&name).eq_ignore_ascii_case(of.as_bytes()) {
                    values.insert(decoded(value, plus));
                }
            }
        }
    }
    values
}

/// By name, with or without case, between semicolons, commas or white space.
fn has_cookie(header: &[u8], of: &[u8]) -> bool {
    let found = |part: &[u8]| {
        let (name, value) = cut(part, b'=');
        strips(name)
            .iter()
            .any(|name| name.eq_ignore_ascii_case(of))
            && strips(value).iter().any(|value| !value.is_empty())
    };
    let by_semicolon = header.split(|byte| *byte == b';');
    let by_all = header.split(|byte| matches!(byte, b';' | b',') || is_latin_space(*byte));
    by_semicolon.chain(by_all).any(found)
}

/// What is before the first such octet, and after it.
pub(super) fn cut(text: &[u8], at: u8) -> (&[u8], &[u8]) {
    match text.iter().position(|byte| *byte == at) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, b""),
    }
}
