//! No spelling of a protected path is public (SECURITY A29).
//!
//! The judge is a model of lenient upstreams: every combination of how often they decode, of
//! whether they take a backslash for a slash, drop path parameters, cut at NUL, look for the query
//! after decoding, ignore spaces around names, merge slashes and resolve dot segments. Whatever one
//! of them would serve from below `/admin`, the filter, with a public rule for everything else,
//! must not let through as public.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a panic is how a test fails"
)]

use bearer_gate::config::Config;
use bearer_gate::http::path::normalize;
use bearer_gate::http::request::Request;
use bearer_gate::policy::{RuleOutcome, select_rule};
use proptest::prelude::*;

fn configs() -> Vec<Config> {
    let config = r#"{
          "providers": {"p": {"issuer": "i", "audiences": ["a"],
            "remote_jwks": {"http_uri": {
              "uri": "https://i.example/jwks", "cluster": "idp", "timeout": "5s"}}}},
          "rules": [
            {"match": {"prefix": "/public"}},
            {"match": MATCHER, "requires": {"provider_name": "p"}},
            {"match": {"prefix": "/"}}
          ]}"#;
    MATCHERS
        .map(|matcher| Config::parse(config.replace("MATCHER", matcher).as_bytes()).unwrap())
        .into()
}

/// Each configuration protects everything below `/admin`, in its own way.
const MATCHERS: [&str; 4] = [
    r#"{"prefix": "/admin"}"#,
    r#"{"prefix": "/ADMIN", "case_sensitive": false}"#,
    r#"{"path_separated_prefix": "/admin"}"#,
    r#"{"safe_regex": {"regex": "/admin(/.*)?"}}"#,
];

/// By any of the configurations.
fn is_public(configs: &[Config], raw: &[u8]) -> bool {
    let request = Request::default();
    configs.iter().any(|config| {
        normalize(raw).is_ok_and(|path| {
            let outcome = select_rule(config, Some(&path), &request);
            matches!(outcome, Ok(RuleOutcome::Public))
        })
    })
}

fn is_protected(read: &[u8]) -> bool {
    read == b"/admin" || read.starts_with(b"/admin/")
}

/// How an upstream may read a path; each bit is a habit.
#[derive(Clone, Copy, Debug)]
struct Upstream {
    decodings: u32,
    overlong: bool,
    backslash: bool,
    parameters_first: bool,
    parameters: bool,
    nul_ends: bool,
    merges: bool,
    resolves: bool,
    late_query: bool,
    trims: bool,
}

impl Upstream {
    fn all() -> impl Iterator<Item = Self> {
        (0..4 * 512).map(|bits: u32| {
            let bit = |at: u32| bits >> at & 1 == 1;
            Self {
                decodings: bits / 512,
                overlong: bit(0),
                backslash: bit(1),
                parameters_first: bit(2),
                parameters: bit(3),
                nul_ends: bit(4),
                merges: bit(5),
                resolves: bit(6),
                late_query: bit(7),
                trims: bit(8),
            }
        })
    }

    fn reads(self, raw: &[u8]) -> Vec<u8> {
        let mut path: Vec<u8> = raw
            .split(|b| matches!(b, b'?' | b'#'))
            .next()
            .unwrap()
            .to_vec();
        if self.parameters_first {
            path = strip_parameters(&path);
        }
        for _ in 0..self.decodings {
            path = decode(&path, self.overlong);
        }
        if self.backslash {
            path.iter_mut()
                .filter(|b| **b == b'\\')
                .for_each(|b| *b = b'/');
        }
        if self.parameters {
            path = strip_parameters(&path);
        }
        if self.late_query {
            let ends = |b: &u8| matches!(b, b'?' | b'#');
            path = path.split(ends).next().unwrap().to_vec();
        }
        if self.nul_ends {
            path = path.split(|b| *b == 0).next().unwrap().to_vec();
        }
        let mut segments: Vec<&[u8]> = Vec::new();
        for segment in path
            .strip_prefix(b"/")
            .unwrap_or(&path)
            .split(|b| *b == b'/')
        {
            let segment = if self.trims {
                segment.trim_ascii()
            } else {
                segment
            };
            match segment {
                b"" if self.merges => {}
                b"." if self.resolves => {}
                b".." if self.resolves => {
                    segments.pop();
                }
                segment => segments.push(segment),
            }
        }
        [b"/", segments.join(&b'/').as_slice()].concat()
    }
}

fn strip_parameters(path: &[u8]) -> Vec<u8> {
    let names: Vec<&[u8]> = path
        .split(|b| *b == b'/')
        .map(|s| s.split(|b| *b == b';').next().unwrap())
        .collect();
    names.join(&b'/')
}

/// Decodes as carelessly as possible: a `%` that does not begin an escape stays.
fn decode(path: &[u8], overlong: bool) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut rest = path;
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after
            .get(..2)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(value) if byte == b'%' => {
                decoded.push(value);
                rest = &after[2..];
            }
            _ => {
                decoded.push(byte);
                rest = after;
            }
        }
    }
    if overlong {
        let mut at = 0;
        while at + 1 < decoded.len() {
            if decoded[at] == 0xc0 && decoded[at + 1] & 0xc0 == 0x80 {
                let ascii = decoded[at + 1] & 0x3f;
                decoded.splice(at..at + 2, [ascii]);
            }
            at += 1;
        }
    }
    decoded
}

fn check(config: &[Config], raw: &[u8]) -> Result<(), TestCaseError> {
    if is_public(config, raw) {
        for upstream in Upstream::all() {
            let read = upstream.reads(raw);
            prop_assert!(
                !is_protected(&read),
                "{} is public, and {upstream:?} reads {}",
                String::from_utf8_lossy(raw),
                String::from_utf8_lossy(&read)
            );
        }
    }
    Ok(())
}

/// The pieces that such spellings are made of.
const PIECES: [&str; 50] = [
    "/",
    "/",
    "/",
    "/",
    "/public",
    "/public",
    "/admin",
    "/admin",
    "admin",
    "public",
    "a",
    "x",
    "..",
    ".",
    "/..",
    "/../",
    "%2e",
    "%2E%2e",
    ".%2e",
    "%2f",
    "%2F",
    "%5c",
    "\\",
    ";",
    ";x=1",
    "%3b",
    "..;",
    "%3B",
    "%25",
    "%252e",
    "%252f",
    "%2525",
    "%25%32",
    "%c0%ae",
    "%c0%af",
    "%00",
    "\0",
    "%61dmin",
    "adm%69n",
    "%2561",
    "#",
    "?",
    "%",
    "%2",
    " ",
    "%20",
    "%3f",
    "%23",
    "%20admin;",
    "%c2%a0",
];

/// One way of spelling `/admin` differently, at a place of the mutator's choice.
fn mutate(path: &str, trick: usize, at: usize) -> String {
    let slashes: Vec<usize> = path.match_indices('/').map(|(at, _)| at).collect();
    let slash = slashes[at % slashes.len()];
    let (before, after) = path.split_at(slash);
    let escape_at = |times: usize| {
        let at = at % path.len();
        let percent = format!("%{}", "25".repeat(times));
        path.char_indices()
            .map(|(i, c)| {
                if i == at {
                    format!("{percent}{:02x}", c as u32)
                } else {
                    c.to_string()
                }
            })
            .collect::<String>()
    };
    match trick {
        0 => format!("{before}/public/..{after}"),
        1 => format!("{before}/public/x/../..{after}"),
        2 => format!("{before}/public/%2e%2E{after}"),
        3 => format!("{before}/public/..;x{after}"),
        4 => format!("{before}/.{after}"),
        5 => format!("{before}/{after}"),
        6 => format!("{before}\\{}", &after[1..]),
        7 => format!("{before};p=1{after}"),
        8 => format!("{before}%2f{}", &after[1..]),
        9 => format!("{before}/public%5c..{after}"),
        10 => format!("{path}?/public"),
        11 => format!("{path}/..;/..;/public/..{after}"),
        12 => escape_at(0),
        13 => escape_at(1),
        14 => escape_at(2),
        15 => format!("{path}%00/public"),
        16 => format!("{before}/public/%c0%ae%c0%ae{after}"),
        17 => format!("{path}%3f/public"),
        18 => format!("{before}/%20{}", &after[1..]),
        19 => format!("{path}%20;x"),
        _ => format!("{path};/public"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn what_an_upstream_reads_as_protected_is_not_public(
        pieces in prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..9)
    ) {
        check(&configs(), format!("/{}", pieces.concat()).as_bytes())?;
        check(&configs(), pieces.concat().as_bytes())?;
    }

    #[test]
    fn no_mutation_of_a_protected_path_is_public(
        tricks in prop::collection::vec((0_usize..21, any::<usize>()), 0..5)
    ) {
        let config = configs();
        let path = tricks.iter().fold("/admin/users".to_owned(), |path, (trick, at)| {
            // a trick that broke the path's first slash leaves nothing to mutate
            if path.contains('/') && path.is_ascii() { mutate(&path, *trick, *at) } else { path }
        });
        prop_assert!(!is_public(&config, path.as_bytes()), "{path}");
    }

    #[test]
    fn a_normal_form_is_its_own_normal_form(raw in prop::collection::vec(any::<u8>(), 0..24)) {
        let raw = [b"/", raw.as_slice()].concat();
        if let Ok(path) = normalize(&raw) {
            let again = normalize(path.as_bytes());
            prop_assert_eq!(again.as_deref(), Ok(&*path));
        }
    }
}

/// The property would hold for a filter that refuses everything.
#[test]
fn ordinary_paths_are_public() {
    let config = configs();
    for raw in [
        "/",
        "/public",
        "/public/a/b?c=/admin",
        "/other/%7euser",
        "/a;v=1/b",
        "/a//b",
        "/a%20b",
        "/caf%C3%A9",
        "/.well-known/x",
        "/100%25",
    ] {
        assert!(is_public(&config, raw.as_bytes()), "{raw}");
    }
    assert!(!is_public(&config, b"/admin"));
}
