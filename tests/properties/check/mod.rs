//! What holds for every input: asserted for random bytes by the tests beside this file, and for
//! bytes that a fuzzer looks for by the targets in `fuzz/`.
//!
//! Each function takes any bytes and panics where its property does not hold.

mod ended;
mod request;
pub(crate) mod session;
mod sign_in;
mod store;
mod ticket;
mod upstream;

use std::fmt::Debug;

use bearer_gate::config::Config;
use bearer_gate::document::coordination::Coordination;
use bearer_gate::document::fetch;
use bearer_gate::document::snapshot::Snapshot;
use bearer_gate::http::authority::host;
use bearer_gate::http::cache_control;
use bearer_gate::http::credentials::{Change, Extracted, Place, strip};
use bearer_gate::http::path::{normalize, with_escaped_slashes};
use bearer_gate::http::request::{Header, Request};
use bearer_gate::http::retry_after::retry_after;
use bearer_gate::http::uri::{Scheme, Uri};
use bearer_gate::jose::issuer::Issuer;
use bearer_gate::jose::json::Element;
use bearer_gate::jose::jwa::Algorithm;
use bearer_gate::jose::jwk::{Key, Material};
use bearer_gate::jose::jwks::{KeySet, MAX_CANDIDATES, MAX_KEYS, Selection};
use bearer_gate::jose::jws::{self, JoseHeader, MAX_KID_LEN, MAX_TOKEN_LEN};
use bearer_gate::jose::jwt::{self, Expectations};
use bearer_gate::jose::{base64url, claims};
use bearer_gate::jwks::discovery;
use bearer_gate::jwks::metadata::{MAX_URL, Reading};
use bearer_gate::signature::portable::Portable;

pub(crate) use ended::ended;
pub(crate) use request::{is_let_through, request};
pub(crate) use session::{sealed, session};
pub(crate) use sign_in::token_reply;
pub(crate) use store::{list, store_answer};
pub(crate) use ticket::{good_tickets, ticket};

/// The only token that [`JWK`] ever signed. Ed25519 signatures cannot be changed into others.
pub(crate) const TOKEN: &str = include_str!("../../fixtures/eddsa.jwt");
const JWK: &str = include_str!("../../fixtures/ed25519.jwk.json");

/// A token has one spelling, its dates are dates, and only what the key signed is verified.
pub(crate) fn token(bytes: &[u8]) {
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

    // A clock that is no number, and one at the end of time, admit no token.
    let strict = expectations();
    for now in [f64::NAN, f64::INFINITY] {
        assert!(parsed.clone().validate(&strict, now).is_err(), "{now}");
    }
    let lenient = Expectations {
        issuer: Issuer::Any,
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
        issuer: Issuer::One("https://issuer.example/".to_owned()),
        signer: None,
        clients: Vec::new(),
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
pub(crate) fn key_set(bytes: &[u8]) {
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
                    signer: None,
                    client: None,
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
pub(crate) fn discovery(bytes: &[u8]) {
    let whole = cache_control::fresh_for(bytes, b"");
    assert!(whole.is_none_or(|lifetime| lifetime.subsec_nanos() == 0));
    let left = cache_control::fresh_for(b"max-age=600", bytes);
    assert!(left.is_some_and(|left| left.as_secs() <= 600));
    let wait = retry_after(bytes, 1_800_000_000);
    assert!(wait.is_none_or(|wait| wait.subsec_nanos() == 0));
    let body = fetch::describe(bytes, Some(bytes));
    assert!(body.len() < 2048 && body.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
    if let Ok(text) = std::str::from_utf8(bytes) {
        uri(text);
    }
    for issuer in ["https://issuer.example/", "http://issuer.example/realms/a"] {
        let home = Uri::parse(issuer).expect("a URI");
        for other in [None, Some("keys")] {
            let found = match discovery::read(bytes, issuer, &home, "home", other) {
                Ok(found) => found,
                Err(error) => {
                    let text = error.to_string();
                    assert!(text.len() < 4096 && !text.contains(|c: char| c.is_control()));
                    continue;
                }
            };
            let (location, cluster) = found.jwks_location;
            uri(&location.to_string());
            let again = Reading::again(&found.reading.kept, home.scheme);
            assert_eq!(again, found.reading.metadata);
            // Nine members at most.
            assert!(found.reading.kept.len() < 9 * (MAX_URL + 64));
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

/// A configuration is refused in one line that names a field, or its valid form is bounded.
pub(crate) fn config(bytes: &[u8]) {
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
pub(crate) fn path(bytes: &[u8]) {
    if let Ok([kept, decoded]) = with_escaped_slashes(bytes) {
        // Of both readings only the first has escaped slashes.
        assert_same(normalize(decoded.as_bytes()).as_deref(), Ok(&*decoded));
        assert_same(
            with_escaped_slashes(kept.as_bytes())
                .as_ref()
                .map(|[kept, _]| &**kept),
            Ok(&*kept),
        );
        // Nor does who decodes one spelling read a third path.
        let path = String::from_utf8_lossy(bytes.split(|byte| *byte == b'?').next().unwrap_or(b""));
        for spelling in ["%2F", "%2f"] {
            let read = with_escaped_slashes(path.replace(spelling, "/").as_bytes());
            let read = read.map(|[read, _]| read);
            assert!(
                [&kept, &decoded]
                    .map(|reading| Ok(reading.clone()))
                    .contains(&read),
                "{path}: {read:?}"
            );
        }
    }
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
pub(crate) fn credentials(bytes: &[u8]) {
    let mut parts = bytes.split(|byte| *byte == b'\n');
    let names = [
        ":path",
        "authorization",
        "cookie",
        "cookie",
        "sec-websocket-protocol",
    ];
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
        Place::Chunks("t".to_owned()),
        Place::Basic { username: None },
        Place::Subprotocol {
            prefix: "t.".to_owned(),
            base64url: false,
        },
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
                Change::Lines(name, _) => panic!("{name}: nobody signs in here"),
            };
            left.retain(|(known, _)| *known != name);
            left.extend(value.map(|value| (name.into(), value)));
        }
        let left = Request::new(left);
        // What only some upstreams take for a token ends the request, and so do several: nothing is taken out of an item
        // that only some divide.
        let is_kept = match extracted {
            Extracted::Ambiguous(_) => true,
            Extracted::Several => matches!(place, Place::Subprotocol { .. }),
            Extracted::Missing | Extracted::Token(_) => false,
        };
        if !is_kept {
            assert_eq!(place.extract(&left), Extracted::Missing);
        }
        for kept in [
            Place::Parameter("u".to_owned()),
            Place::Cookie("u".to_owned()),
        ] {
            let before = kept.extract(&request);
            // As above: the request does not go on.
            if !matches!(before, Extracted::Ambiguous(_)) {
                assert_eq!(kept.extract(&left), before);
            }
        }
    }
}

/// A host's normal form is its own, whatever port and dot follow it and in whatever case.
pub(crate) fn authority(bytes: &[u8]) {
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

fn assert_same<T: PartialEq + Debug>(left: T, right: T) {
    assert_eq!(left, right);
}
