//! No upstream finds in a request what the rules did not see.

use std::cell::RefCell;
use std::rc::Rc;

use bearer_gate::authn::{Context, Decision, authenticate};
use bearer_gate::cache::TokenCache;
use bearer_gate::config::{Config, ProviderId};
use bearer_gate::desk::question::{Answered, Question, Unclear};
use bearer_gate::desk::{Basis, Facts, Metadata};
use bearer_gate::document::finding::Finding;
use bearer_gate::ended::{Known, Mark};
use bearer_gate::http::request::{Header, Request};
use bearer_gate::jose::jwks::KeySet;
use bearer_gate::jwks::keys::{Keys, UnknownKid};
use bearer_gate::signature::portable::Portable;

use super::JWK;
use super::upstream::{self, cut};

/// A request that some upstream reads as one that a rule guards is not admitted without a token. A
/// request that may be without a token has none that some upstream finds.
///
/// The bytes are a line each for the method, the host and the path, then lines `name: value`.
pub(crate) fn request(bytes: &[u8]) {
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

impl Facts for Ring {
    fn answer(&self, _: &Question) -> Finding<Result<Rc<Answered>, Unclear>> {
        Finding::Pending
    }

    fn metadata(&self, _: ProviderId) -> Finding<Rc<Metadata>> {
        Finding::Pending
    }

    fn keys(&self, _: ProviderId) -> Keys {
        Keys::Ready(Rc::clone(&self.0))
    }

    fn unknown_kid(&self, _: ProviderId, _: Option<&str>) -> UnknownKid {
        UnknownKid::NoSuchKey
    }

    fn is_over(&self, _: &Known) -> bool {
        false
    }

    fn knows_token(&self, _: &Mark) -> bool {
        false
    }
}

/// Whether the request is admitted. No token in it is good, so that it counts as without one.
pub(crate) fn is_let_through(headers: &[Header]) -> bool {
    GUARDED.with(|(config, keys)| {
        let cache = RefCell::new(TokenCache::new(&config.providers));
        let context = Context {
            basis: Basis {
                facts: &Ring(Rc::clone(keys)),
                verifier: &Portable,
                headers: &RefCell::default(),
                now: 1_800_000_000.0,
            },
            cache: &cache,
            people: None,
        };
        let request = Request::new(headers.to_vec());
        match authenticate(&request, config, &context) {
            Decision::Admit(admission) => {
                assert!(admission.changes.strip.is_empty() && admission.changes.outputs.is_empty());
                true
            }
            Decision::Reject(_) => false,
            Decision::Answer(_) => panic!("there is no metadata"),
            Decision::Await(_) => panic!("the keys are there"),
        }
    })
}
