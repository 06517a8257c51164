//! What bearer-gate decides, by the library.

use std::cell::RefCell;
use std::rc::Rc;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bearer_gate::authn::{Context, Decision, authenticate};
use bearer_gate::cache::TokenCache;
use bearer_gate::config::{Config, KeySource, ProviderId};
use bearer_gate::desk::question::{Answered, Question, Unclear};
use bearer_gate::desk::{Basis, Facts, Metadata};
use bearer_gate::document::finding::Finding;
use bearer_gate::ended::{Known, Mark};
use bearer_gate::http;
use bearer_gate::jose::jwa::Algorithm;
use bearer_gate::jose::jwk::Key;
use bearer_gate::jose::jws::HeaderMemo;
use bearer_gate::jose::verifier::Verifier;
use bearer_gate::jwks::keys::{Keys, UnknownKid};
use serde_json::{Value, json};

use crate::request::{Request, Token};

const NOW: f64 = 1_700_000_000.0;
/// The keys of every issuer.
pub(crate) const JWKS: &str = concat!(
    "{\"keys\":[",
    include_str!("../../../tests/fixtures/set-a.jwk.json"),
    "]}"
);

/// A signature that begins with 1 is good.
struct FirstOctet;

impl Verifier for FirstOctet {
    fn verify(&self, _: Algorithm, _: &Key, _: &[u8], signature: &[u8]) -> bool {
        signature.first() == Some(&1)
    }

    fn name(&self) -> &'static str {
        "first octet"
    }
}

/// The keys of the configuration, and nothing else that could be asked for.
struct Local<'c>(&'c Config);

impl Facts for Local<'_> {
    fn answer(&self, _: &Question) -> Finding<Result<Rc<Answered>, Unclear>> {
        Finding::Pending
    }

    fn metadata(&self, _: ProviderId) -> Finding<Rc<Metadata>> {
        Finding::Pending
    }

    fn keys(&self, provider: ProviderId) -> Keys {
        match &self.0.providers[provider].keys {
            KeySource::Local(keys) => Keys::Ready(Rc::clone(keys)),
            KeySource::Remote(_) => panic!("no remote keys here"),
        }
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

fn signed(token: &Token) -> String {
    let jwks: Value = serde_json::from_str(JWKS).unwrap();
    let mut claims = token.claims.clone();
    claims["exp"] = json!(NOW + 600.0);
    let mut signature = [0; 256];
    signature[0] = u8::from(token.is_good);
    let head = json!({"alg": "RS256", "kid": jwks["keys"][0]["kid"]});
    format!(
        "{}.{}.{}",
        BASE64_URL_SAFE_NO_PAD.encode(head.to_string()),
        BASE64_URL_SAFE_NO_PAD.encode(claims.to_string()),
        BASE64_URL_SAFE_NO_PAD.encode(signature)
    )
}

pub(crate) fn config(json: &Value) -> Result<Config, String> {
    Config::parse(json.to_string().as_bytes()).map_err(|error| error.to_string())
}

/// `ok`, or the reason of the rejection.
pub(crate) fn decide(config: &Config, request: &Request) -> String {
    let mut headers: Vec<(std::borrow::Cow<'static, str>, Vec<u8>)> = vec![
        (":method".into(), request.method.clone().into_bytes()),
        (":authority".into(), request.host.clone().into_bytes()),
        (":path".into(), request.path.clone().into_bytes()),
    ];
    for (name, value) in &request.headers {
        headers.push((name.clone().into(), value.clone().into_bytes()));
    }
    if let Some(token) = &request.token {
        let value = format!("Bearer {}", signed(token));
        headers.push(("authorization".into(), value.into_bytes()));
    }
    let memo: RefCell<HeaderMemo> = RefCell::default();
    let cache = RefCell::new(TokenCache::new(&config.providers));
    let facts = Local(config);
    let context = Context {
        basis: Basis {
            facts: &facts,
            verifier: &FirstOctet,
            headers: &memo,
            now: NOW,
        },
        cache: &cache,
        people: None,
    };
    let headers = headers
        .into_iter()
        .map(|(name, value)| (name.into_owned().into(), value));
    match authenticate(
        &http::request::Request::new(headers.collect()),
        config,
        &context,
    ) {
        Decision::Admit(_) => "ok".to_owned(),
        Decision::Reject(refusal) => refusal.rejection.reason().to_owned(),
        Decision::Await(_) | Decision::Answer(_) => panic!("neither waits nor answers"),
    }
}
