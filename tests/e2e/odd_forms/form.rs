//! Odd forms of a part of a request: by hand, and drawn.

use bearer_gate_testbed::transports::{Field, Message};

use super::subject::{FORGED, PUBLIC_HOST, Part, Subject};
use crate::chance::Chance;

/// Octets that some upstreams take for white space.
const SPACES: &[&[u8]] = &[
    b" ",
    b"\t",
    b"\x0b",
    // NEL and NBSP in ISO-8859-1, as Python and Node decode a header
    b"\x85",
    b"\xa0",
    // NBSP in UTF-8, as Go and Rust decode it
    b"\xc2\xa0",
];

/// More of them. Envoy refuses most, and each refusal costs a connection.
const MORE_SPACES: &[&[u8]] = &[
    b" \t ",
    b"\x0c",
    b"\x1c",
    b"\x1d",
    b"\x1e",
    b"\x1f",
    b"\x7f",
    // NEL, an em space, a zero-width space and a BOM
    b"\xc2\x85",
    b"\xe2\x80\x83",
    b"\xe2\x80\x8b",
    b"\xef\xbb\xbf",
];

/// An odd form, with a name to find it by.
pub(crate) struct Form {
    pub(crate) name: String,
    pub(crate) message: Message,
}

/// Every known form; with `whole` also every kind of white space.
pub(crate) fn by_hand(subject: &Subject, whole: bool) -> Vec<Form> {
    let mut forms = Forms {
        subject,
        forms: Vec::new(),
        spaces: SPACES.to_vec(),
    };
    if whole {
        forms.spaces.extend(MORE_SPACES);
    }
    let plain = subject.plain.as_bytes();
    forms.value(plain);
    for space in forms.spaces.clone() {
        if !matches!(subject.part, Part::Query) {
            forms.value(&[space, plain].concat());
            forms.value(&[plain, space].concat());
        }
    }
    match subject.part {
        Part::Method => methods(&mut forms),
        Part::Authority => authorities(&mut forms),
        Part::Path => paths(&mut forms),
        Part::Query => queries(&mut forms),
        Part::Cookie => cookies(&mut forms),
        Part::Header(name) => headers(&mut forms, name),
    }
    forms.forms
}

struct Forms<'s> {
    subject: &'s Subject,
    forms: Vec<Form>,
    spaces: Vec<&'static [u8]>,
}

impl Forms<'_> {
    fn value(&mut self, value: &[u8]) {
        self.add(shown(value), self.subject.message(value));
    }

    fn values<'v>(&mut self, values: impl IntoIterator<Item = &'v str>) {
        for value in values {
            self.value(value.as_bytes());
        }
    }

    fn add(&mut self, name: String, message: Message) {
        self.forms.push(Form { name, message });
    }

    /// These headers in place of the subject's.
    fn headers(&mut self, headers: &[(&str, &str)]) {
        let mut message = self.subject.message(b"");
        message.headers = headers
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect();
        self.add(shown_fields(&message.headers), message);
    }
}

fn methods(forms: &mut Forms) {
    forms.values([
        "post",
        "Post",
        "pOST",
        "POSt",
        "POST\u{a0}",
        "POST,GET",
        "GET,POST",
        "\u{17f}",
        "PO\tST",
        "",
    ]);
    // Latin letters that become an `S` in upper case.
    forms.value(b"PO\xc5\xbfT");
}

fn authorities(forms: &mut Forms) {
    let plain = forms.subject.plain;
    for (before, after) in [
        ("", "."),
        ("", ".."),
        ("", ":80"),
        ("", ".:80"),
        ("", ":"),
        ("", ".:"),
        ("", ":80:90"),
        ("", ":x"),
        ("", ":080"),
        ("", ":99999"),
        ("", ":80."),
        ("", ",x"),
        ("", ", public.example.com"),
        ("x,", ""),
        ("public.example.com,", ""),
        ("public.example.com, ", ""),
        ("x@", ""),
        ("x:y@", ""),
        ("public.example.com@", ""),
        ("", "@public.example.com"),
        ("", "/"),
        ("", "/x"),
        ("", "?x"),
        ("", "#x"),
        ("", "\\x"),
        ("", ";x"),
        ("", "%00"),
        ("", "%20"),
        ("", "%2e"),
        ("http://", ""),
        ("//", ""),
        ("[", "]"),
        (".", ""),
        ("", " x"),
        ("", "\0"),
        ("\"", "\""),
    ] {
        forms.value(format!("{before}{plain}{after}").as_bytes());
    }
    let full_stops = ["%2e", "%2E", "\u{3002}", "\u{ff0e}", "\u{ff61}", ".."];
    for stop in full_stops {
        forms.value(plain.replacen('.', stop, 1).as_bytes());
    }
    forms.value(plain.to_ascii_uppercase().as_bytes());
    forms.value(plain.replace('a', "%61").as_bytes());
    forms.value(plain.replace('e', "\u{ff45}").as_bytes());
    forms.values([".:80", ":80", ".", "", " ", "[::1]", "[::1", "::1"]);

    // Several, and in other places than `:authority`.
    let subject = forms.subject;
    let with = |authority: Option<&str>, hosts: &[&str]| {
        let mut message = subject.message(b"");
        message.authority = authority.map(|authority| authority.as_bytes().to_vec());
        for host in hosts {
            message.headers.push((b"host".to_vec(), (*host).into()));
        }
        message
    };
    for (name, message) in [
        ("public, then host", with(Some(PUBLIC_HOST), &[plain])),
        ("then host: public", with(Some(plain), &[PUBLIC_HOST])),
        ("host alone", with(None, &[plain])),
        ("host twice", with(None, &[plain, PUBLIC_HOST])),
        (
            "host twice, public first",
            with(None, &[PUBLIC_HOST, plain]),
        ),
        ("none", with(None, &[])),
        (
            "x-forwarded-host",
            with(Some(PUBLIC_HOST), &[]).header("x-forwarded-host", plain),
        ),
        ("absolute", {
            let mut message = with(Some(PUBLIC_HOST), &[]);
            message.path = Some(format!("http://{plain}/{}/x", subject.name).into());
            message
        }),
        ("absolute with a dot", {
            let mut message = with(Some(PUBLIC_HOST), &[]);
            message.path = Some(format!("http://{plain}./{}/x", subject.name).into());
            message
        }),
    ] {
        forms.add(name.to_owned(), message);
    }
}

fn paths(forms: &mut Forms) {
    let plain = forms.subject.plain;
    for (part, spelt) in [
        ("admin", "%61dmin"),
        ("admin", "%2561dmin"),
        ("admin", "ADMIN"),
        ("/", "//"),
        ("/admin", "//admin"),
        ("/admin", "/./admin"),
        ("/admin", "/x/../admin"),
        ("/admin", "/%2e/admin"),
        ("/admin", "/x/%2e%2e/admin"),
        ("/admin", "/x/..;/admin"),
        ("/admin", "/;/admin"),
        ("/admin", ";x/admin"),
        ("/admin", "\\admin"),
        ("/admin", "%2fadmin"),
        ("/admin", "%5cadmin"),
        ("/admin", "%2F%2fadmin"),
        ("/admin", "/%2fadmin"),
        ("/admin", "/x%2f..%2fadmin"),
        ("/admin", "/x/..%2Fadmin"),
        ("/admin", "%2f.%2Fadmin"),
        ("/admin", "%2f;x/admin"),
        ("/admin", ";x%2Fadmin"),
        ("/admin", "%252Fadmin"),
        ("admin/", "admin%2F"),
        ("admin", "x%2Fadmin"),
        ("/admin", "/ admin"),
        ("/admin", "/%20admin"),
        ("/admin", "/\u{a0}admin"),
        ("/admin", "/%a0admin"),
        ("/admin", "?/../admin"),
        ("admin", "admin;x"),
        ("admin", "admin/"),
        ("admin", "admin/."),
        ("admin", "admin//"),
        ("admin", "admin%00"),
        ("admin", "admin%20"),
        ("admin", "admin%09"),
        ("admin", "admin%0a"),
        ("admin", "admin%3f"),
        ("admin", "admin%23"),
        ("admin", "admin#"),
        ("admin", "admin."),
        ("admin", "admin%"),
        ("admin", "admi\u{ff4e}"),
        ("admin", "adm%C4%B1n"),
    ] {
        forms.value(plain.replacen(part, spelt, 1).as_bytes());
    }
    for before in [
        "http://public.example.com",
        "http:",
        "//public.example.com",
        "*",
        "/..",
        "/.",
    ] {
        forms.value(format!("{before}{plain}").as_bytes());
    }
    forms.value(plain.trim_start_matches('/').as_bytes());
}

fn queries(forms: &mut Forms) {
    let plain = forms.subject.plain.trim_start_matches('?');
    let (name, value) = plain.split_once('=').expect("a parameter");
    let harmless = match forms.subject.harmless.trim_start_matches('?') {
        "" => "x=1",
        other => other,
    };
    let encode_first = |text: &str| {
        let first = text.as_bytes()[0];
        format!("%{first:02x}{}", &text[1..])
    };
    for query in [
        format!("{plain}&{harmless}"),
        format!("{harmless}&{plain}"),
        format!("{harmless}&{plain}&{harmless}"),
        format!("{name}=&{plain}"),
        format!("{name}&{plain}"),
        format!("&&{plain}"),
        format!("?{plain}"),
        format!("x=1;{plain}"),
        format!("{plain};x=1"),
        format!("x=1&amp;{plain}"),
        format!("{}={value}", name.to_uppercase()),
        format!("{}={value}", encode_first(name)),
        format!("{name}={}", encode_first(value)),
        format!("{name}={}", encode_first(value).replace('%', "%25")),
        format!("{name}={}", value.replace("%20", "+")),
        format!("{name}%3d{value}"),
        format!("{name}=={value}"),
        format!("{name}[]={value}"),
        format!("{name}=+{value}"),
        format!("{name}=%20{value}"),
        format!("{name}=%09{value}"),
        format!("{name}={value}+"),
        format!("{name}={value}%20"),
        format!("{name}={value}%00"),
        format!("{name}=%c2%a0{value}"),
        format!("{name}=%a0{value}"),
        format!("+{name}={value}"),
        format!("%20{name}={value}"),
        format!("{name}+={value}"),
        format!("{name}%20={value}"),
        format!("%00{name}={value}"),
        format!("{name}%00={value}"),
        format!("{}={value}", name.replace('_', ".")),
        format!("{}={value}", name.replace('_', "-")),
        format!("{}={value}", name.replace('_', "+")),
        format!("{name}={value}#x"),
        format!("x=1#&{plain}"),
        format!("{name}=\"{value}\""),
        format!("x=1&{plain}\u{a0}"),
        format!("x=%&{plain}"),
        format!("x=%zz&{plain}"),
        format!("x=%ff&{plain}"),
    ] {
        forms.value(format!("?{query}").as_bytes());
    }
}

fn cookies(forms: &mut Forms) {
    let plain = forms.subject.plain;
    let (name, value) = plain.split_once('=').expect("a cookie");
    for cookie in [
        format!("a=1;{plain}"),
        format!("a=1; {plain}"),
        format!("a=1;\t{plain}"),
        format!("a=1;\u{a0}{plain}"),
        format!("{plain};a=1"),
        format!("{plain} ; a=1"),
        format!("a=1 {plain}"),
        format!("a=1\t{plain}"),
        format!("a=1,{plain}"),
        format!("a=1, {plain}"),
        format!("a {plain}"),
        format!("a,{plain}"),
        format!("a;{plain}"),
        format!(";;{plain}"),
        format!("=;{plain}"),
        format!("={plain}"),
        format!("{plain},b"),
        format!("{plain} b"),
        format!("{name}={value}; {name}=x"),
        format!("{name}=x; {name}={value}"),
        format!("{name}=; {name}={value}"),
        format!("{name}; {name}={value}"),
        format!("{name} ={value}"),
        format!("{name}\t={value}"),
        format!("{name}= {value}"),
        format!("{name}=\t{value}"),
        format!("{name}=={value}"),
        format!("{name}=\"{value}\""),
        format!("{name}=\"{value}"),
        format!("{name}='{value}'"),
        format!("a=\"1; {plain}\""),
        format!("a=\"1; {plain}; b=2\""),
        format!("a=\"; {plain}"),
        format!("a=\"1\" {plain}"),
        format!("a=\"1\"{plain}"),
        format!("a=\\; {plain}"),
        format!("a=(; {plain}"),
        format!("$Version=1; {plain}; $Path=/"),
        format!("{}={value}", name.to_uppercase()),
        format!("{name}%3d{value}"),
        format!("%73ession={value}"),
        format!("{name}=%65{}", &value[1..]),
        format!("{name}=\"\\145{}\"", &value[1..]),
    ] {
        forms.value(cookie.as_bytes());
    }
    // Envoy joins what HTTP/2 has in several.
    forms.headers(&[("cookie", "a=1"), ("cookie", plain)]);
    forms.headers(&[("cookie", plain), ("cookie", "a=1")]);
    forms.headers(&[("cookie", plain), ("cookie", "session=x")]);
    forms.headers(&[("cookie", "session=x"), ("cookie", plain)]);
    forms.headers(&[("cookie", "a=\""), ("cookie", plain)]);
    forms.headers(&[("cookie", " a=1"), ("cookie", &format!(" {plain}"))]);
    forms.headers(&[("cookie", "session"), ("cookie", &format!("={value}"))]);
    forms.headers(&[("cookie2", plain)]);
    forms.headers(&[("Cookie", plain)]);
}

fn headers(forms: &mut Forms, name: &'static str) {
    let (plain, harmless) = (forms.subject.plain, forms.subject.harmless);
    for value in [
        plain.to_ascii_uppercase(),
        plain.to_ascii_lowercase(),
        format!("{plain},"),
        format!(",{plain}"),
        format!("{plain},{harmless}"),
        format!("{harmless},{plain}"),
        format!("{harmless}, {plain}"),
        format!("{harmless} {plain}"),
        format!("{plain};x"),
        format!("\"{plain}\""),
        format!("+{plain}"),
        format!("0{plain}"),
        format!("{plain}.0"),
        "1_50".to_owned(),
        "15e1".to_owned(),
        "0x96".to_owned(),
        format!("\r\n {plain}"),
        String::new(),
    ] {
        forms.value(value.as_bytes());
    }
    if let Some((scheme, credential)) = plain.split_once(' ') {
        for separator in [
            "", "  ", "\t", " \t", "\t ", "=", ":", ": ", ",", ", ", " ,", "\u{a0}",
        ] {
            forms.value(format!("{scheme}{separator}{credential}").as_bytes());
        }
        for separator in forms.spaces.clone() {
            forms.value(&[scheme.as_bytes(), separator, credential.as_bytes()].concat());
        }
        for value in [
            format!("{} {credential}", scheme.to_uppercase()),
            format!("{scheme} \"{credential}\""),
            format!("{scheme} {credential} {credential}"),
            format!("{scheme} x {credential}"),
            format!("{scheme} {scheme} {credential}"),
            format!("{scheme} token={credential}"),
            format!("x {scheme} {credential}"),
            format!("Basic x, {scheme} {credential}"),
            format!("{scheme} {credential}, Basic x"),
            format!("Digest a=\"b, {scheme} {credential}\""),
            format!("Digest a=\", {scheme} {credential}"),
        ] {
            forms.value(value.as_bytes());
        }
    }
    let (upper, underscored) = (name.to_ascii_uppercase(), name.replace('-', "_"));
    for other in [harmless, "", " ", plain] {
        forms.headers(&[(name, plain), (name, other)]);
        forms.headers(&[(name, other), (name, plain)]);
        forms.headers(&[(&upper, plain), (name, other)]);
        forms.headers(&[(name, other), (&underscored, plain)]);
        forms.headers(&[(&underscored, plain), (name, other)]);
    }
    forms.headers(&[(&underscored, plain)]);
    forms.headers(&[(&upper, plain)]);
    for wrong in [
        format!("{name} "),
        format!("{name}\t"),
        format!(" {name}"),
        format!("{name}\u{a0}"),
        format!("{name}:"),
        format!("{name}:{plain}\r\nx"),
        format!("http-{name}"),
        name.replace('-', "."),
        name.replace('-', "\u{2010}"),
    ] {
        forms.headers(&[(&wrong, plain)]);
    }
    for hop in [name, "close, x-mode", "x-mode, authorization, cookie"] {
        forms.headers(&[("connection", hop), (name, plain)]);
        forms.headers(&[(name, plain), ("connection", hop)]);
        forms.headers(&[(name, harmless), ("connection", hop)]);
    }
}

/// Bytes that some reader gives a meaning.
const MEANINGFUL: &[u8] =
    b" \t \t,;:=&?#%/\\.\"'+_-@[]()<>{}|^`~$!*\x00\x0b\x0c\x1c\x1f\x7f\x85\xa0\xad\xff\xc2";

/// A random form: the plain one with some changes.
pub(crate) fn drawn(subject: &Subject, chance: &mut Chance) -> Form {
    let changes = 1 + chance.below(3);
    let mut message = if chance.below(8) == 0 {
        subject.message(subject.harmless.as_bytes())
    } else {
        subject.message(subject.plain.as_bytes())
    };
    for _ in 0..changes {
        if let Part::Header(_) | Part::Cookie = subject.part
            && chance.below(4) == 0
        {
            change_headers(&mut message.headers, subject, chance);
        } else {
            change(part_of(&mut message, subject.part, chance), chance);
        }
    }
    Form {
        name: format!("drawn {}", shown(&message.http1())),
        message,
    }
}

/// The bytes that a subject looks at. Of a path that is what follows the subject's own segment.
fn part_of<'m>(message: &'m mut Message, part: Part, chance: &mut Chance) -> &'m mut Vec<u8> {
    match part {
        Part::Method => &mut message.method,
        Part::Authority => message.authority.get_or_insert_default(),
        Part::Path | Part::Query => message.path.get_or_insert_default(),
        Part::Cookie | Part::Header(_) => {
            let at = chance.below(message.headers.len());
            let (name, value) = &mut message.headers[at];
            if chance.below(12) == 0 { name } else { value }
        }
    }
}

fn change(bytes: &mut Vec<u8>, chance: &mut Chance) {
    let at = match chance.below(4) {
        0 => 0,
        1 => bytes.len(),
        // Where the interesting things are: after what is not a letter.
        2 => {
            let marks = bytes
                .iter()
                .enumerate()
                .filter(|(_, byte)| !byte.is_ascii_alphanumeric());
            let marks: Vec<usize> = marks.map(|(at, _)| at).collect();
            if marks.is_empty() {
                0
            } else {
                marks[chance.below(marks.len())] + chance.below(2)
            }
        }
        _ => chance.below(bytes.len() + 1),
    };
    let drawn = MEANINGFUL[chance.below(MEANINGFUL.len())];
    match chance.below(8) {
        0 if at < bytes.len() => {
            bytes.remove(at);
        }
        1 if at < bytes.len() => {
            let escape = format!("%{:02x}", bytes[at]);
            bytes.splice(at..=at, escape.into_bytes());
        }
        2 if at < bytes.len() => bytes[at] ^= 0x20,
        3 if at < bytes.len() => bytes[at] = drawn,
        4 => {
            bytes.splice(at..at, format!("%{drawn:02x}").into_bytes());
        }
        _ => bytes.insert(at, drawn),
    }
    // They end a line in HTTP/1.1, and then it is another request.
    bytes.retain(|byte| !matches!(byte, b'\r' | b'\n'));
}

fn change_headers(headers: &mut Vec<Field>, subject: &Subject, chance: &mut Chance) {
    let at = chance.below(headers.len());
    let (name, _) = headers[at].clone();
    let others = [subject.harmless, subject.plain, "", "x", FORGED];
    let other = others[chance.below(others.len())].as_bytes().to_vec();
    match chance.below(4) {
        0 => headers.insert(at, (name, other)),
        1 => headers.push((name, other)),
        2 => headers.push((name.to_ascii_uppercase(), other)),
        _ => {
            for byte in &mut headers[at].0 {
                if *byte == b'-' {
                    *byte = b'_';
                }
            }
        }
    }
}

fn shown_fields(fields: &[Field]) -> String {
    let fields = fields
        .iter()
        .map(|(name, value)| format!("{}: {}", shown(name), shown(value)));
    fields.collect::<Vec<_>>().join(" | ")
}

/// Readable, and short.
fn shown(bytes: &[u8]) -> String {
    let text = bytes.escape_ascii().to_string();
    text.replace(FORGED, "FORGED")
}
