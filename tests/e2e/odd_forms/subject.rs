//! What is attacked: each matcher, and each place of a token.
//!
//! A subject has a path of its own, a rule that guards it and a weaker rule after that. Its
//! `danger` says, of what an upstream read, whether the weaker rule must not have let it through.

use std::borrow::Cow;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use bearer_gate_testbed::transports::Message;
use serde_json::{Value, json};

use super::reading::Reading;

/// A forged token. No upstream may read it in a configured place.
pub(crate) const FORGED: &str = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.Zm9yZ2Vk";

pub(crate) const PUBLIC_HOST: &str = "public.example.com";

/// The part of a request that the subject looks at, and which is therefore made odd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Method,
    Authority,
    Path,
    /// The query, with its `?`.
    Query,
    Cookie,
    Header(&'static str),
}

pub(crate) struct Subject {
    /// Also the first segment of its path.
    pub(crate) name: &'static str,
    pub(crate) part: Part,
    /// The part in its plain form, which the guarded rule is for, or with a forged token.
    pub(crate) plain: &'static str,
    /// A value with which the weaker rule is for the request.
    pub(crate) harmless: &'static str,
    /// `match` of the guarded rule, without the path unless it is about the path.
    guard: Value,
    /// Whether the rule with `guard` is the weaker one, and stands before the guarded one.
    weaker_first: bool,
    /// Whether the weaker rule is for a token too, of another provider, and takes escaped slashes.
    pub(crate) escaped_slashes: bool,
    /// `None` where it is a place: then `FORGED` is in the plain form.
    guarded: Option<fn(&Reading) -> bool>,
    /// The tokens that a reading finds in the subject's places.
    tokens: fn(&Reading) -> Vec<Cow<'_, str>>,
}

impl Subject {
    /// A request whose part is `value`.
    pub(crate) fn message(&self, value: &[u8]) -> Message {
        let mut message = Message::get(PUBLIC_HOST, &format!("/{}/x", self.name));
        match self.part {
            Part::Method => message.method = value.to_vec(),
            Part::Authority => message.authority = Some(value.to_vec()),
            Part::Path => message.path = Some(value.to_vec()),
            Part::Query => message.path.get_or_insert_default().extend(value),
            Part::Cookie => message.headers.push((b"cookie".to_vec(), value.to_vec())),
            Part::Header(name) => message.headers.push((name.into(), value.to_vec())),
        }
        message
    }

    /// The part in its plain form, for the guarded rule with this token.
    pub(crate) fn good(&self, token: &str) -> Message {
        let message = |plain: &str| self.message(plain.as_bytes());
        match self.guarded {
            None if self.name == "basic" => {
                let password = BASE64_STANDARD.encode(format!("u:{token}"));
                message(&format!("Basic {password}"))
            }
            None => message(&self.plain.replace(FORGED, token)),
            Some(_) if self.escaped_slashes => {
                message(self.plain).header("x-token", format!("Token {token}"))
            }
            Some(_) => message(self.plain).header("authorization", format!("Bearer {token}")),
        }
    }

    pub(crate) fn is_place(&self) -> bool {
        self.guarded.is_none()
    }

    /// Whether a request that was read so must not have been admitted; `good` is the only token
    /// that was verified, if one was.
    pub(crate) fn danger(&self, reading: &Reading, good: Option<&str>) -> bool {
        match self.guarded {
            Some(guarded) => guarded(reading) && good.is_none(),
            None => (self.tokens)(reading)
                .iter()
                .map(|token| token.trim())
                .any(|token| !token.is_empty() && Some(token) != good),
        }
    }

    /// Whether the reading is what the plain form means: the guarded rule's, or has this token.
    pub(crate) fn understood(&self, reading: &Reading, token: &str) -> bool {
        match self.guarded {
            Some(guarded) => guarded(reading),
            None => (self.tokens)(reading).iter().any(|known| known == token),
        }
    }

    pub(crate) fn rules(&self) -> Vec<Value> {
        // With the slash: one name may begin with another.
        let prefix = format!("/{}/", self.name);
        if self.is_place() {
            let provider = json!({"provider_name": self.name});
            let optional = json!({"requirements": [provider, {"allow_missing": {}}]});
            return vec![
                json!({"match": {"prefix": prefix}, "requires": {"requires_any": optional}}),
            ];
        }
        let mut guard = self.guard.clone();
        if self.part != Part::Path {
            guard["prefix"] = json!(prefix);
        }
        let token = json!({"provider_name": "authorization"});
        if self.escaped_slashes {
            return vec![
                json!({"match": guard, "requires": {"provider_name": "x-token"}}),
                json!({"match": {"prefix": prefix}, "requires": token, "escaped_slashes": true}),
            ];
        }
        if self.weaker_first {
            return vec![
                json!({"match": guard}),
                json!({"match": {"prefix": prefix}, "requires": token}),
            ];
        }
        vec![
            json!({"match": guard, "requires": token}),
            json!({"match": {"prefix": prefix}}),
        ]
    }

    /// The places of the provider of this name.
    pub(crate) fn places(&self) -> Value {
        let header = |name: &str, prefix: &str| json!({"name": name, "value_prefix": prefix});
        match self.name {
            "authorization" => json!({}),
            "x-token" => json!({"from_headers": [header("x-token", "Token ")]}),
            "x-assertion" => json!({"from_headers": [header("x-assertion", "")]}),
            "access-token" => json!({"from_params": ["access_token"]}),
            "session" => json!({"from_cookies": ["session"]}),
            "chunks" => json!({"from_cookies": [{"name": "chunks", "chunked": true}]}),
            "websocket" => json!({"from_subprotocols": [{"prefix": "access_token|"}]}),
            "basic" => json!({"from_basic": {}}),
            _ => json!({
                "from_headers": [
                    header("authorization", "Bearer "),
                    header("x-token", "Token "),
                    header("x-assertion", ""),
                ],
                "from_params": ["access_token"],
                "from_cookies": ["session"],
            }),
        }
    }
}

fn matcher(
    name: &'static str,
    part: Part,
    [plain, harmless]: [&'static str; 2],
    guard: Value,
    guarded: fn(&Reading) -> bool,
) -> Subject {
    Subject {
        name,
        part,
        plain,
        harmless,
        guard,
        weaker_first: false,
        escaped_slashes: false,
        guarded: Some(guarded),
        tokens: |_| Vec::new(),
    }
}

/// The same with `guard` of the weaker rule, which comes first.
fn weaker(
    name: &'static str,
    part: Part,
    values: [&'static str; 2],
    guard: Value,
    guarded: fn(&Reading) -> bool,
) -> Subject {
    Subject {
        weaker_first: true,
        ..matcher(name, part, values, guard, guarded)
    }
}

fn place(
    name: &'static str,
    part: Part,
    [plain, harmless]: [&'static str; 2],
    tokens: fn(&Reading) -> Vec<Cow<'_, str>>,
) -> Subject {
    Subject {
        name,
        part,
        plain,
        harmless,
        guard: Value::Null,
        weaker_first: false,
        escaped_slashes: false,
        guarded: None,
        tokens,
    }
}

const MODE: Part = Part::Header("x-mode");

fn text(test: Value) -> Value {
    json!({"headers": [{"name": "x-mode", "string_match": test}]})
}

pub(crate) fn matchers() -> Vec<Subject> {
    let methods = ["POST", "GET"];
    let hosts = ["admin.example.com", PUBLIC_HOST];
    let below = ["x.int.example.com", PUBLIC_HOST];
    let mode = ["admin", "user"];
    let query = ["?mode=admin", "?mode=user"];
    vec![
        matcher(
            "methods",
            Part::Method,
            methods,
            json!({"methods": ["POST"]}),
            |r| r.method == "POST",
        ),
        matcher(
            "method-header",
            Part::Method,
            methods,
            json!({"headers": [{"name": ":method", "string_match": {"exact": "POST"}}]}),
            |r| r.method == "POST",
        ),
        matcher(
            "host",
            Part::Authority,
            hosts,
            json!({"hosts": ["admin.example.com"]}),
            |r| {
                r.hosts
                    .iter()
                    .any(|host| host.eq_ignore_ascii_case("admin.example.com"))
            },
        ),
        matcher(
            "host-below",
            Part::Authority,
            below,
            json!({"hosts": ["*.int.example.com"]}),
            |r| {
                let mut hosts = r.hosts.iter().map(|host| host.to_ascii_lowercase());
                hosts.any(|host| host.ends_with(".int.example.com"))
            },
        ),
        matcher(
            "authority-header",
            Part::Authority,
            hosts,
            json!({"headers": [{"name": ":authority", "string_match": {"exact": "admin.example.com"}}]}),
            |r| r.header("host").any(|host| host == "admin.example.com"),
        ),
        matcher("exact", MODE, mode, text(json!({"exact": "admin"})), |r| {
            r.header("x-mode").any(|mode| mode == "admin")
        }),
        matcher(
            "no-case",
            MODE,
            mode,
            text(json!({"exact": "admin", "ignore_case": true})),
            |r| {
                r.header("x-mode")
                    .any(|mode| mode.eq_ignore_ascii_case("admin"))
            },
        ),
        matcher(
            "prefix",
            MODE,
            ["admin-1", "user"],
            text(json!({"prefix": "admin"})),
            |r| r.header("x-mode").any(|mode| mode.starts_with("admin")),
        ),
        matcher(
            "suffix",
            MODE,
            ["1-admin", "user"],
            text(json!({"suffix": "admin"})),
            |r| r.header("x-mode").any(|mode| mode.ends_with("admin")),
        ),
        matcher(
            "contains",
            MODE,
            ["1-admin-1", "user"],
            text(json!({"contains": "admin"})),
            |r| r.header("x-mode").any(|mode| mode.contains("admin")),
        ),
        matcher(
            "regex",
            MODE,
            ["admin7", "user"],
            text(json!({"safe_regex": {"regex": "admin[0-9]"}})),
            |r| {
                r.header("x-mode").any(|mode| {
                    let digit = mode.strip_prefix("admin").filter(|rest| rest.len() == 1);
                    digit.is_some_and(|digit| digit.parse::<u8>().is_ok())
                })
            },
        ),
        matcher(
            "present",
            MODE,
            ["1", "1"],
            json!({"headers": [{"name": "x-mode", "present_match": true}]}),
            |r| r.header("x-mode").next().is_some(),
        ),
        matcher(
            "range",
            MODE,
            ["150", "5"],
            json!({"headers": [{"name": "x-mode", "range_match": {"start": 100, "end": 200}}]}),
            |r| {
                let mut numbers = r
                    .header("x-mode")
                    .filter_map(|mode| mode.parse::<i64>().ok());
                numbers.any(|number| (100..200).contains(&number))
            },
        ),
        // Whoever says `public` needs no token.
        matcher(
            "not-exact",
            MODE,
            ["admin", "public"],
            json!({"headers": [
                {"name": "x-mode", "string_match": {"exact": "public"}, "invert_match": true},
            ]}),
            |r| r.header("x-mode").any(|mode| mode != "public"),
        ),
        weaker(
            "weaker-exact",
            MODE,
            ["admin", "public"],
            text(json!({"exact": "public"})),
            |r| r.header("x-mode").any(|mode| mode != "public"),
        ),
        weaker(
            "weaker-method",
            Part::Method,
            methods,
            json!({"methods": ["GET"]}),
            |r| r.method != "GET",
        ),
        weaker(
            "weaker-host",
            Part::Authority,
            hosts,
            json!({"hosts": [PUBLIC_HOST]}),
            |r| {
                // With a dot at its end it is the same host.
                let mut hosts = r
                    .hosts
                    .iter()
                    .map(|host| host.strip_suffix('.').unwrap_or(host));
                !hosts.any(|host| host.eq_ignore_ascii_case(PUBLIC_HOST))
            },
        ),
        weaker(
            "weaker-query",
            Part::Query,
            query,
            json!({"query_parameters": [{"name": "mode", "string_match": {"exact": "user"}}]}),
            |r| r.parameter("mode").any(|mode| mode != "user"),
        ),
        matcher(
            "query-exact",
            Part::Query,
            query,
            json!({"query_parameters": [{"name": "mode", "string_match": {"exact": "admin"}}]}),
            |r| r.parameter("mode").any(|mode| mode == "admin"),
        ),
        matcher(
            "query-prefix",
            Part::Query,
            ["?mode=admin%20x", "?mode=user"],
            json!({"query_parameters": [{"name": "mode", "string_match": {"prefix": "admin "}}]}),
            |r| r.parameter("mode").any(|mode| mode.starts_with("admin ")),
        ),
        matcher(
            "query-present",
            Part::Query,
            ["?mode=1", ""],
            json!({"query_parameters": [{"name": "mode", "present_match": true}]}),
            |r| r.parameter("mode").next().is_some(),
        ),
        matcher(
            "path-prefix",
            Part::Path,
            ["/path-prefix/admin/x", "/path-prefix/user"],
            json!({"prefix": "/path-prefix/admin"}),
            |r| r.path.starts_with("/path-prefix/admin"),
        ),
        matcher(
            "path-exact",
            Part::Path,
            ["/path-exact/admin", "/path-exact/user"],
            json!({"path": "/path-exact/admin"}),
            |r| r.path == "/path-exact/admin",
        ),
        matcher(
            "path-segments",
            Part::Path,
            ["/path-segments/admin/x", "/path-segments/user"],
            json!({"path_separated_prefix": "/path-segments/admin"}),
            |r| r.path == "/path-segments/admin" || r.path.starts_with("/path-segments/admin/"),
        ),
        matcher(
            "path-regex",
            Part::Path,
            ["/path-regex/admin/x", "/path-regex/user"],
            json!({"safe_regex": {"regex": "/path-regex/admin(/.*)?"}}),
            |r| r.path == "/path-regex/admin" || r.path.starts_with("/path-regex/admin/"),
        ),
        Subject {
            escaped_slashes: true,
            ..matcher(
                "path-slashes",
                Part::Path,
                ["/path-slashes/admin/x", "/path-slashes/user"],
                json!({"prefix": "/path-slashes/admin"}),
                |r| r.path.starts_with("/path-slashes/admin"),
            )
        },
        matcher(
            "path-no-case",
            Part::Path,
            ["/path-no-case/Admin", "/path-no-case/user"],
            json!({"prefix": "/path-no-case/admin", "case_sensitive": false}),
            |r| {
                r.path
                    .to_ascii_lowercase()
                    .starts_with("/path-no-case/admin")
            },
        ),
    ]
}

const BEARER: [&str; 2] = [
    "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.Zm9yZ2Vk",
    "Basic dXNlcjpwYXNz",
];
const TOKEN: [&str; 2] = [
    "Token eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.Zm9yZ2Vk",
    "Other x",
];
const WHOLE: [&str; 2] = ["eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.Zm9yZ2Vk", ""];
const PARAMETER: [&str; 2] = [
    "?access_token=eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.Zm9yZ2Vk",
    "?a=1",
];
const COOKIE: [&str; 2] = [
    "session=eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.Zm9yZ2Vk",
    "a=1",
];

const CHUNK: [&str; 2] = [
    "chunks.0=eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.Zm9yZ2Vk",
    "a=1",
];
const ITEM: [&str; 2] = [
    "access_token|eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.Zm9yZ2Vk",
    "chat",
];
/// `u` and the forged token.
const PASSWORD: [&str; 2] = [
    "Basic dTpleUpoYkdjaU9pSnViMjVsSW4wLmV5SnpkV0lpT2lKaFpHMXBiaUo5LlptOXlaMlZr",
    "Digest x",
];

fn bearer(r: &Reading) -> Vec<Cow<'_, str>> {
    let credentials = r.credential("authorization", "bearer");
    credentials.map(Cow::from).collect()
}

/// Every chunk of a cookie, whatever the others are.
fn chunks(r: &Reading) -> Vec<Cow<'_, str>> {
    let is_chunk = |name: &str| {
        let rest = name.strip_prefix("chunks");
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '_']))
    };
    let cookies = r.cookies.iter().filter(|(name, _)| is_chunk(name));
    cookies.map(|(_, value)| value.into()).collect()
}

fn subprotocols(r: &Reading) -> Vec<Cow<'_, str>> {
    let values = r.header("sec-websocket-protocol");
    values
        .flat_map(|value| value.split(|c: char| c == ',' || c.is_whitespace()))
        .filter_map(|item| item.strip_prefix("access_token|"))
        .map(Cow::from)
        .collect()
}

/// The passwords of Basic, read as Python reads them: it skips what is not base64.
fn passwords(r: &Reading) -> Vec<Cow<'_, str>> {
    let decoded = r.credential("authorization", "basic").filter_map(|text| {
        let is_ours = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/');
        let text: String = text.chars().filter(is_ours).collect();
        BASE64_STANDARD_NO_PAD.decode(text).ok()
    });
    decoded
        .filter_map(|text| {
            let text = String::from_utf8_lossy(&text).into_owned();
            text.split_once(':')
                .map(|(_, password)| password.to_owned().into())
        })
        .collect()
}

fn everywhere(r: &Reading) -> Vec<Cow<'_, str>> {
    r.credential("authorization", "bearer")
        .chain(r.credential("x-token", "token"))
        .chain(r.header("x-assertion"))
        .chain(r.parameter("access_token"))
        .chain(r.cookie("session"))
        .map(Cow::from)
        .collect()
}

/// A provider for each place alone, and one with all of them, attacked in each.
pub(crate) fn places() -> Vec<Subject> {
    vec![
        place(
            "authorization",
            Part::Header("authorization"),
            BEARER,
            bearer,
        ),
        place("x-token", Part::Header("x-token"), TOKEN, |r| {
            r.credential("x-token", "token").map(Cow::from).collect()
        }),
        place("x-assertion", Part::Header("x-assertion"), WHOLE, |r| {
            r.header("x-assertion").map(Cow::from).collect()
        }),
        place("access-token", Part::Query, PARAMETER, |r| {
            r.parameter("access_token").map(Cow::from).collect()
        }),
        place("session", Part::Cookie, COOKIE, |r| {
            r.cookie("session").map(Cow::from).collect()
        }),
        place("chunks", Part::Cookie, CHUNK, chunks),
        place(
            "websocket",
            Part::Header("sec-websocket-protocol"),
            ITEM,
            subprotocols,
        ),
        place("basic", Part::Header("authorization"), PASSWORD, passwords),
        place(
            "all-authorization",
            Part::Header("authorization"),
            BEARER,
            everywhere,
        ),
        place("all-x-token", Part::Header("x-token"), TOKEN, everywhere),
        place(
            "all-x-assertion",
            Part::Header("x-assertion"),
            WHOLE,
            everywhere,
        ),
        place("all-access-token", Part::Query, PARAMETER, everywhere),
        place("all-session", Part::Cookie, COOKIE, everywhere),
    ]
}
