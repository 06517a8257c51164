//! What holds for every input: asserted for random bytes by the tests beside this file, and for
//! bytes that a fuzzer looks for by the targets in `fuzz/`.
//!
//! Each function takes any bytes and panics where its property does not hold.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::rc::Rc;

use bearer_gate::authn::{Decision, KeyRing, Means, authenticate};
use bearer_gate::cache::TokenCache;
use bearer_gate::config::{Config, ProviderId};
use bearer_gate::http::authority::host;
use bearer_gate::http::cache_control;
use bearer_gate::http::credentials::{Change, Extracted, Place, strip};
use bearer_gate::http::path::normalize;
use bearer_gate::http::request::{Header, Request};
use bearer_gate::http::uri::{Scheme, Uri};
use bearer_gate::jose::json::Element;
use bearer_gate::jose::jwa::Algorithm;
use bearer_gate::jose::jwk::{Key, Material};
use bearer_gate::jose::jwks::{KeySet, MAX_CANDIDATES, MAX_KEYS, Selection};
use bearer_gate::jose::jws::{self, JoseHeader, MAX_KID_LEN, MAX_TOKEN_LEN};
use bearer_gate::jose::jwt::{self, Expectations};
use bearer_gate::jose::{base64url, claims};
use bearer_gate::jwks::coordination::Coordination;
use bearer_gate::jwks::discovery::jwks_location;
use bearer_gate::jwks::fetch;
use bearer_gate::jwks::lifecycle::{Keys, UnknownKid};
use bearer_gate::jwks::snapshot::Snapshot;
use bearer_gate::signature::portable::Portable;

/// The only token that [`JWK`] ever signed. Ed25519 signatures cannot be changed into others.
pub const TOKEN: &str = include_str!("../fixtures/eddsa.jwt");
const JWK: &str = include_str!("../fixtures/ed25519.jwk.json");

/// A token has one spelling, its dates are dates, and only what the key signed is verified.
pub fn token(bytes: &[u8]) {
    let Ok(jws) = jws::parse(bytes) else {
        assert!(jwt::parse(bytes).is_err());
        return;
    };
    assert!(bytes.len() <= MAX_TOKEN_LEN);
    let segments: Vec<&[u8]> = bytes.split(|byte| *byte == b'.').collect();
    assert_eq!(segments.len(), 3);
    let again = segments
        .iter()
        .map(|segment| base64url::encode(&base64url::decode(segment).expect("it was decoded")))
        .collect::<Vec<_>>()
        .join(".");
    assert_eq!(again.as_bytes(), bytes);
    assert_eq!(jws.payload_segment(), segments[1]);
    assert_eq!(
        base64url::encode(jws.untrusted_payload()).as_bytes(),
        segments[1]
    );
    assert_eq!(base64url::encode(jws.signature()).as_bytes(), segments[2]);
    assert_eq!([jws.signing_input(), segments[2]].join(&b'.'), bytes);
    let kid = jws.untrusted_header().kid.as_deref();
    assert!(kid.is_none_or(|kid| kid.len() <= MAX_KID_LEN));

    let Ok(parsed) = jwt::parse(bytes) else {
        return;
    };
    assert_eq!(parsed.untrusted_header(), jws.untrusted_header());
    let claims = claims::Claims::parse(jws.untrusted_payload()).expect("they were parsed");
    for date in [claims.expires_at, claims.not_before, claims.issued_at] {
        assert!(date.is_none_or(|date| (0.0..9_007_199_254_740_992.0).contains(&date.seconds())));
    }
    let path = ["a".to_owned(), "b".to_owned()];
    let nested = claims.get("a").and_then(|value| value.get("b"));
    let value = |claim: Option<Element<'_>>| claim.map(Element::to_value);
    assert_eq!(value(claims.at(&path)), value(nested));

    // A clock that is no number, and one at the end of time, admit nobody by accident.
    let strict = expectations();
    for now in [f64::NAN, f64::INFINITY] {
        assert!(parsed.clone().validate(&strict, now).is_err(), "{now}");
    }
    let lenient = Expectations {
        issuer: None,
        audiences: Vec::new(),
        clock_skew_seconds: 1 << 60,
        require_expiration: false,
        allow_sender_constrained: true,
        ..strict
    };
    let now = 1_800_000_000.0;
    let validated = parsed.validate(&lenient, now).expect("it asks for nothing");
    let keys = KeySet::parse(format!(r#"{{"keys":[{JWK}]}}"#).as_bytes()).expect("a key");
    let candidates: Vec<&Key> = keys.keys().iter().collect();
    if let Ok(verified) = validated.verify(&candidates, &Portable) {
        assert_eq!(bytes, TOKEN.trim_end().as_bytes(), "a forgery");
        assert_eq!(verified.payload_b64(), segments[1]);
    }
}

fn expectations() -> Expectations {
    Expectations {
        issuer: Some("https://issuer.example/".to_owned()),
        audiences: vec!["https://api.example".to_owned()],
        algorithms: Algorithm::ALL.to_vec(),
        clock_skew_seconds: 60,
        require_expiration: true,
        allow_sender_constrained: false,
        subjects: None,
        max_lifetime: None,
        token_type: None,
    }
}

/// A set's keys are usable, few, and found by one name each; what another worker may have
/// written is read by the same rules.
pub fn key_set(bytes: &[u8]) {
    shared_data(bytes);
    let set = match KeySet::parse(bytes) {
        Ok(set) => set,
        Err(error) => {
            let text = error.to_string();
            assert!(text.len() < 4096 && text.is_ascii(), "{text}");
            return;
        }
    };
    let keys = set.keys();
    assert!((1..=MAX_KEYS).contains(&keys.len()));
    assert!(set.skipped().is_sorted_by_key(|skipped| skipped.index));
    for (at, key) in keys.iter().enumerate() {
        assert!(!keys[at + 1..].contains(key), "a key twice");
        if let Material::Rsa(key) = key.material() {
            assert!((256..=512).contains(&key.modulus().len()));
            assert!(key.exponent().last().is_some_and(|last| last & 1 == 1));
        }
        let allowed: Vec<_> = Algorithm::ALL
            .iter()
            .filter(|algorithm| key.allows(**algorithm))
            .collect();
        assert!((1..=3).contains(&allowed.len()), "{allowed:?}");
        assert!(
            allowed
                .iter()
                .all(|one| one.key_type() == allowed[0].key_type())
        );
    }
    let kids = keys.iter().map(Key::kid).chain([Some("nobody's"), None]);
    for kid in kids {
        for algorithm in Algorithm::ALL {
            for x5t in [None, Some("t")] {
                let header = JoseHeader {
                    algorithm: *algorithm,
                    kid: kid.map(str::to_owned),
                    typ: None,
                    thumbprints: [x5t, x5t].map(|text| text.map(str::to_owned)),
                };
                candidates(&set, &header);
            }
        }
    }
}

/// Few, each once, each for the algorithm, and none of another name than the token gives.
fn candidates(set: &KeySet, header: &JoseHeader) {
    let kid = header.kid.as_deref();
    let Selection::Keys(chosen) = set.candidates(header) else {
        return;
    };
    assert!((1..=MAX_CANDIDATES).contains(&chosen.len()));
    assert!(chosen.iter().all(|key| key.allows(header.algorithm)));
    for (at, key) in chosen.iter().enumerate() {
        assert!(
            !chosen[at + 1..]
                .iter()
                .any(|other| std::ptr::eq(*other, *key))
        );
        let is_other = key.kid().is_some() && key.kid() != kid;
        assert!(kid.is_none() || !is_other || key.has_thumbprint_of(header));
    }
    let named = chosen.iter().any(|key| kid.is_some() && key.kid() == kid);
    assert!(!named || set.has_key_named_by(header));
}

fn shared_data(bytes: &[u8]) {
    if let Some(snapshot) = Snapshot::decode(bytes, "source") {
        let again = snapshot.encode();
        assert_eq!(Snapshot::decode(&again, "source"), Some(snapshot));
        assert_eq!(Snapshot::decode(&again, "other"), None);
    }
    let (_, _) = Coordination::read(&Stored(bytes), "key", "source");
}

/// Shared data in which every key has this value.
struct Stored<'b>(&'b [u8]);

impl bearer_gate::host::SharedStore for Stored<'_> {
    fn read(&self, _: &str) -> Option<(Vec<u8>, bearer_gate::host::Version)> {
        Some((self.0.to_vec(), bearer_gate::host::Version(1)))
    }

    fn write(&self, _: &str, _: &[u8], _: bearer_gate::host::Version) -> bool {
        false
    }
}

/// Metadata leads to a cluster that the configuration names and nowhere else, and a URI's parts
/// can stand in a request.
pub fn discovery(bytes: &[u8]) {
    let whole = cache_control::fresh_for(bytes, b"");
    assert!(whole.is_none_or(|lifetime| lifetime.subsec_nanos() == 0));
    let left = cache_control::fresh_for(b"max-age=600", bytes);
    assert!(left.is_some_and(|left| left.as_secs() <= 600));
    let body = fetch::describe(bytes, Some(bytes));
    assert!(body.len() < 2048 && body.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
    if let Ok(text) = std::str::from_utf8(bytes) {
        uri(text);
    }
    for issuer in ["https://issuer.example/", "http://issuer.example/realms/a"] {
        let home = Uri::parse(issuer).expect("a URI");
        for other in [None, Some("keys")] {
            let (location, cluster) = match jwks_location(bytes, issuer, "home", other) {
                Ok(found) => found,
                Err(error) => {
                    let text = error.to_string();
                    assert!(text.len() < 4096 && !text.contains(|c: char| c.is_control()));
                    continue;
                }
            };
            uri(&location.to_string());
            let at_home = location.authority == home.authority && location.scheme == home.scheme;
            assert_eq!(Some(cluster), if at_home { Some("home") } else { other });
            assert!(home.scheme == Scheme::Http || location.scheme == Scheme::Https);
        }
    }
}

fn uri(text: &str) {
    let Ok(uri) = Uri::parse(text) else { return };
    for part in [&uri.authority, &uri.path] {
        assert!(part.bytes().all(|byte| byte.is_ascii_graphic()), "{part}");
        assert!(!part.contains('#'));
    }
    assert!(uri.path.starts_with('/'));
    assert!(!uri.authority.is_empty() && !uri.authority.contains(['/', '@', '?']));
    assert_eq!(Uri::parse(&uri.to_string()), Ok(uri));
}

/// A configuration is refused in one line that names a field, or what it comes to is bounded.
pub fn config(bytes: &[u8]) {
    let config = match Config::parse(bytes) {
        Ok(config) => config,
        Err(error) => {
            assert!(!error.problem().is_empty());
            assert!(!error.to_string().chars().any(char::is_control), "{error}");
            return;
        }
    };
    assert!(
        !config.responses.realm.is_empty()
            && !config.responses.realm.contains(['"', '\\', '\r', '\n'])
    );
    assert!(config.max_waiting <= 65_536);
    for provider in &config.providers {
        assert!(!provider.name.is_empty() && !provider.name.chars().any(char::is_control));
        assert!(!provider.expectations.algorithms.is_empty());
        assert!(provider.expectations.clock_skew_seconds <= 86_400);
        assert!(!provider.scope_claims.is_empty());
        for name in provider.outputs.headers_set() {
            assert!(!name.is_empty() && !name.starts_with(':'), "{name}");
            assert!(
                name.bytes()
                    .all(|b| b.is_ascii_graphic() && !b.is_ascii_uppercase())
            );
            assert!(
                config
                    .reserved_headers
                    .iter()
                    .any(|reserved| reserved == name)
            );
        }
    }
}

/// A normal form is its own normal form, has one reading, and does not depend on the query.
pub fn path(bytes: &[u8]) {
    let Ok(normal) = normalize(bytes) else { return };
    assert_same(normalize(normal.as_bytes()).as_deref(), Ok(&*normal));
    let with_query = [bytes, b"?/../x%zz"].concat();
    assert_same(normalize(&with_query).as_deref(), Ok(&*normal));
    assert!(normal.starts_with('/') && !normal.starts_with("//"));
    for segment in normal.split('/') {
        assert!(!matches!(segment, "." | ".."), "{normal}");
    }
    assert!(!normal.contains("//"), "{normal}");
    assert!(!normal.contains([';', '\\', '?']), "{normal}");
    assert!(!normal.bytes().any(|byte| byte.is_ascii_control()));
}

/// Bytes for a path, an Authorization and a Cookie header, between line feeds: what a place holds is
/// taken out of it whole, and nothing else is.
pub fn credentials(bytes: &[u8]) {
    let mut parts = bytes.split(|byte| *byte == b'\n');
    let names = [":path", "authorization", "cookie", "cookie"];
    let headers: Vec<Header> = names
        .into_iter()
        .zip(&mut parts)
        .map(|(name, value)| (name.into(), value.to_vec()))
        .collect();
    let request = Request::new(headers.clone());
    let places = [
        Place::bearer(),
        Place::Header {
            name: "authorization".to_owned(),
            prefix: String::new(),
        },
        Place::Parameter("t".to_owned()),
        Place::Cookie("t".to_owned()),
    ];
    for place in &places {
        let extracted = place.extract(&request);
        if let Extracted::Token(token) = &extracted {
            // Whatever is a token is found in what was sent, decoded at most.
            assert!(token.len() <= bytes.len());
            if matches!(place, Place::Header { .. }) {
                assert!(!token.contains(&b','));
            }
        }
        let mut left = headers.clone();
        for change in strip(&request, &[place]) {
            let (name, value) = match change {
                Change::Remove(name) => (name, None),
                Change::Set(name, value) => (name.to_owned(), Some(value)),
            };
            left.retain(|(known, _)| *known != name);
            left.extend(value.map(|value| (name.into(), value)));
        }
        let left = Request::new(left);
        // What only some upstreams take for a token ends the request: nothing is taken out.
        if !matches!(extracted, Extracted::Ambiguous(_)) {
            assert_eq!(place.extract(&left), Extracted::Missing);
        }
        for kept in [
            Place::Parameter("u".to_owned()),
            Place::Cookie("u".to_owned()),
        ] {
            assert_eq!(kept.extract(&left), kept.extract(&request));
        }
    }
}

/// A host's normal form is its own, whatever port and dot follow it and in whatever case.
pub fn authority(bytes: &[u8]) {
    let Ok(normal) = host(bytes) else { return };
    assert_same(host(normal.as_bytes()).as_deref(), Ok(&*normal));
    assert!(!normal.is_empty() && !normal.ends_with('.') && !normal.contains(".."));
    assert!(!normal.bytes().any(|byte| byte.is_ascii_uppercase()));
    assert!(normal.bytes().all(|byte| byte.is_ascii_graphic()));
    if !normal.starts_with('[') {
        for end in [".", ":1", ".:65535", ":"] {
            let other = format!("{}{end}", normal.to_ascii_uppercase());
            assert_same(host(other.as_bytes()).as_deref(), Ok(&*normal));
        }
    }
}

/// What `:method`, `:authority`, `:path` and headers are to whom.
///
/// Bytes are a line each for the method, the host and the path, then lines `name: value`. Whatever
/// some upstream reads as what a rule guards is not let through without a token, and where a token
/// may be missing none is that some upstream finds.
pub fn request(bytes: &[u8]) {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let mut headers: Vec<Header> = [":method", ":authority", ":path"]
        .into_iter()
        .zip(&mut lines)
        .map(|(name, value)| (name.into(), value.to_vec()))
        .collect();
    for line in lines.take(16) {
        let (name, value) = cut(line, b':');
        // What Envoy lets through; it has names in lower case.
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        if !name.is_empty() && name.bytes().all(bearer_gate::http::is_token) {
            headers.push((name.into(), value.to_vec()));
        }
    }
    // Envoy joins the lines of headers that it knows.
    for (known, separator) in [("authorization", &b","[..]), ("cookie", b"; ")] {
        let lines: Vec<Vec<u8>> = headers
            .iter()
            .filter(|(name, _)| name == known)
            .map(|(_, value)| value.clone())
            .collect();
        if lines.len() > 1 {
            headers.retain(|(name, _)| name != known);
            headers.push((known.into(), lines.join(separator)));
        }
    }
    if is_let_through(&headers) {
        let guard = upstream::guarded(&headers);
        assert!(
            guard.is_none(),
            "some upstream reads {guard:?}: {headers:?}"
        );
    }
}

/// The rules that [`upstream::guarded`] knows.
const RULES: &str = r#"[
    {"match": {"prefix": "/admin"}, "requires": {"provider_name": "p"}},
    {"match": {"prefix": "/", "hosts": ["admin.example", "*.int.example", "127.0.0.1"]},
     "requires": {"provider_name": "p"}},
    {"match": {"prefix": "/", "headers": [{"name": "host", "exact_match": "secret.example"}]},
     "requires": {"provider_name": "p"}},
    {"match": {"prefix": "/", "methods": ["POST"]}, "requires": {"provider_name": "p"}},
    {"match": {"prefix": "/", "headers": [{"name": ":method", "exact_match": "DELETE"}]},
     "requires": {"provider_name": "p"}},
    {"match": {"prefix": "/", "headers": [{"name": "x-mode", "string_match": {"exact": "admin"}}]},
     "requires": {"provider_name": "p"}},
    {"match": {"prefix": "/", "query_parameters": [{"name": "mode", "string_match": {"exact": "a b"}}]},
     "requires": {"provider_name": "p"}},
    {"match": {"prefix": "/open", "headers": [{"name": "x-open", "exact_match": "yes"}]}},
    {"match": {"prefix": "/open"}, "requires": {"provider_name": "p"}},
    {"match": {"prefix": "/"}, "requires": {"allow_missing": {}}}
]"#;

const PLACES: &str = r#""from_headers": [{"name": "authorization", "value_prefix": "Bearer "}, {"name": "x-token"}],
    "from_params": ["t"], "from_cookies": ["s"]"#;

thread_local! {
    static GUARDED: (Config, Rc<KeySet>) = {
        let keys = format!(r#"{{"keys":[{JWK}]}}"#);
        let config = format!(r#"{{
            "providers": {{"p": {{"issuer": "nobody", "audiences": ["a"], {PLACES},
                "local_jwks": {{"inline_string": {keys:?}}}}}}},
            "unmatched": "allow", "rules": {RULES}}}"#);
        let config = Config::parse(config.as_bytes()).expect("a configuration");
        (config, Rc::new(KeySet::parse(keys.as_bytes()).expect("a key")))
    };
}

struct Ring(Rc<KeySet>);

impl KeyRing for Ring {
    fn keys(&self, _: ProviderId) -> Keys {
        Keys::Ready(Rc::clone(&self.0))
    }

    fn unknown_kid(&self, _: ProviderId) -> UnknownKid {
        UnknownKid::NoSuchKey
    }
}

/// Nobody has a good token, so that this is without one.
pub fn is_let_through(headers: &[Header]) -> bool {
    GUARDED.with(|(config, keys)| {
        let cache = RefCell::new(TokenCache::new(&config.providers));
        let means = Means {
            keys: &Ring(Rc::clone(keys)),
            verifier: &Portable,
            cache: &cache,
            headers: &RefCell::default(),
            now: 1_800_000_000.0,
        };
        let request = Request::new(headers.to_vec());
        match authenticate(&request, config, &means) {
            Decision::Admit(admission) => {
                assert!(admission.strip.is_empty() && admission.outputs.is_empty());
                true
            }
            Decision::Reject(_) => false,
            Decision::Answer(_) => panic!("there is no metadata"),
            Decision::Await(_) => panic!("the keys are there"),
        }
    })
}

fn cut(text: &[u8], at: u8) -> (&[u8], &[u8]) {
    match text.iter().position(|byte| *byte == at) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, b""),
    }
}

/// How upstreams read a request: a model that has nothing of the filter's code.
///
/// Each function gives every reading that some habit of upstreams leads to.
mod upstream {
    use super::{BTreeSet, Header, cut};

    type Texts = BTreeSet<Vec<u8>>;

    /// Which of the rules above some upstream needs.
    pub fn guarded(headers: &[Header]) -> Option<&'static str> {
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
}

fn assert_same<T: PartialEq + Debug>(left: T, right: T) {
    assert_eq!(left, right);
}
