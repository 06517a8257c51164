//! What bearer-gate decides, by the library.

use std::borrow::Cow;
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
use bearer_gate::sign_in::{People, Sessions, Steady};
use serde_json::{Value, json};

use crate::request::{Request, Token};

pub(crate) const NOW: f64 = 1_700_000_000.0;
/// What is in every variable.
pub(crate) const SECRET: &str = "a secret of thirty-two octets or more";
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

pub(crate) fn signed(token: &Token) -> String {
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
    let environment = |_: &str| Some(SECRET.to_owned());
    let config = Config::parse_in(json.to_string().as_bytes(), &environment);
    config.map_err(|error| error.to_string())
}

/// `ok`, or the reason of the rejection.
pub(crate) fn decide(config: &Config, request: &Request) -> String {
    let bearer = request.token.as_ref().map(|token| {
        let value = format!("Bearer {}", signed(token));
        ("authorization".to_owned(), value)
    });
    decide_with(config, request, bearer)
}

/// The same, with more headers, and without the request's own token.
pub(crate) fn decide_with(
    config: &Config,
    request: &Request,
    more: impl IntoIterator<Item = (String, String)>,
) -> String {
    let fixed = [
        (":method", &request.method),
        (":authority", &request.host),
        (":path", &request.path),
    ];
    let fixed = fixed.map(|(name, value)| (name.to_owned(), value.clone()));
    let headers = fixed.into_iter().chain(request.headers.clone()).chain(more);
    let headers = headers.map(|(name, value)| (Cow::from(name), value.into_bytes()));
    let request = http::request::Request::new(headers.collect());
    let sign_in = config.sign_in.as_ref();
    let sessions = sign_in.map(|sign_in| Sessions::new(sign_in.keyring.clone().unwrap()));
    let steady = Steady::default();
    let people = sessions.as_ref().map(|sessions| People {
        sessions,
        entropy: &|into| {
            into.fill(3);
            Ok(())
        },
        steady: &steady,
    });
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
        people,
    };
    match authenticate(&request, config, &context) {
        Decision::Admit(_) => "ok".to_owned(),
        Decision::Reject(refusal) => refusal.rejection.reason().to_owned(),
        // People are sent to sign in.
        Decision::Answer(answer) => answer.what.to_owned(),
        Decision::Await(_) => panic!("nothing to wait for"),
    }
}
