//! A request as an upstream reads it: the oracle of these tests.

use bearer_gate_testbed::raw::RawResponse;
use serde::Deserialize;
use serde_json::Value;

type Pairs = Vec<(String, String)>;

/// A request as one framework reads it; see `tests/transports/readings.py`.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Reading {
    /// Which one.
    pub(crate) by: String,
    pub(crate) method: String,
    /// The host without its port, in every way in which it is taken from `Host`.
    pub(crate) hosts: Vec<String>,
    /// Without the query, decoded.
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: Pairs,
    pub(crate) query: Pairs,
    pub(crate) cookies: Pairs,
    /// Of headers with a scheme: the header, the scheme in lower case, the credential.
    pub(crate) credentials: Vec<(String, String, String)>,
}

impl Reading {
    pub(crate) fn header(&self, name: &str) -> impl Iterator<Item = &str> {
        values_of(&self.headers, name)
    }

    pub(crate) fn parameter(&self, name: &str) -> impl Iterator<Item = &str> {
        values_of(&self.query, name)
    }

    pub(crate) fn cookie(&self, name: &str) -> impl Iterator<Item = &str> {
        values_of(&self.cookies, name)
    }

    pub(crate) fn credential(&self, header: &str, scheme: &str) -> impl Iterator<Item = &str> {
        let credentials = self.credentials.iter();
        credentials
            .filter(move |(name, known, _)| name == header && known == scheme)
            .map(|(_, _, credential)| credential.as_str())
    }
}

fn values_of<'r>(pairs: &'r Pairs, name: &str) -> impl Iterator<Item = &'r str> {
    let pairs = pairs.iter().filter(move |(known, _)| known == name);
    pairs.map(|(_, value)| value.as_str())
}

/// The readings in an upstream's answer; none if the answer is not from an upstream.
pub(crate) fn readings(answer: &RawResponse) -> Vec<Reading> {
    let Ok(body) = serde_json::from_slice::<Value>(&answer.body) else {
        return Vec::new();
    };
    if let Some(readings) = body.get("readings") {
        return serde_json::from_value(readings.clone()).expect("readings");
    }
    match body.get("body_length") {
        Some(_) => vec![read_by_hyper(&body)],
        None => Vec::new(),
    }
}

/// The testbed's own upstream tells what hyper gave it; the rest is read as is usual in Rust.
fn read_by_hyper(echo: &Value) -> Reading {
    let headers: Pairs = serde_json::from_value(echo["headers"].clone()).expect("an echo");
    let text = |name: &str| echo[name].as_str().unwrap_or_default().to_owned();
    let parameter = |parameter: &str| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        [name, value].map(|part| decoded(&part.replace('+', " ")))
    };
    let cookies = |list: &str| -> Pairs {
        list.split(';')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
            .collect()
    };
    let mut reading = Reading {
        by: "hyper".to_owned(),
        method: text("method"),
        path: decoded(&text("path")),
        query: text("query")
            .split('&')
            .map(parameter)
            .map(Into::into)
            .collect(),
        ..Reading::default()
    };
    for (name, value) in &headers {
        match name.as_str() {
            "host" => reading.hosts.extend([
                value.to_ascii_lowercase(),
                value
                    .split(':')
                    .next()
                    .unwrap_or_default()
                    .to_ascii_lowercase(),
            ]),
            "cookie" => reading.cookies.extend(cookies(value)),
            _ => {}
        }
        if let Some((scheme, credential)) = value.trim().split_once(char::is_whitespace) {
            let scheme = scheme.to_ascii_lowercase();
            let credential = credential.trim().to_owned();
            reading.credentials.push((name.clone(), scheme, credential));
        }
    }
    reading.headers = headers;
    reading
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = after.first_chunk::<2>().filter(|_| byte == b'%');
        let digits = escaped.and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(escaped) => {
                bytes.push(escaped);
                rest = &after[2..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
