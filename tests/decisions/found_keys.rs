//! Key documents as providers publish them, each with a token that one of its keys signed
//! (`tests/fixtures/sets`). Odd spellings of a document are accepted, those of a token are not.

use std::cell::RefCell;

use bearer_gate::authn::{Context, authenticate};
use bearer_gate::cache::TokenCache;
use bearer_gate::config::Config;
use bearer_gate::desk::Basis;
use bearer_gate::jose::jws::HeaderMemo;
use bearer_gate::jwks::keys::Keys;
use bearer_gate::signature::portable::Portable;
use serde_json::{Value, json};

use crate::{NOW, Ring, bearer, request, tell};

macro_rules! found {
    ($($name:literal),* $(,)?) => {
        &[$((
            $name,
            include_str!(concat!("../fixtures/sets/", $name, ".jwks.json")),
            include_str!(concat!("../fixtures/sets/", $name, ".jwt")),
        )),*]
    };
}

const FOUND: &[(&str, &str, &str)] = found![
    // RFC 7517 section 4.5: keys of other types with the same kid, and old keys of rotations.
    "same-kid-other-alg",
    "same-kid-other-key",
    "same-kid-other-kty",
    // `use` is jwt-svid, beside a key whose `use` is x509-svid.
    "spiffe-bundle",
    // RFC 7518 section 6.2.1.2 requires 32.
    "coordinate-of-31-octets",
    "coordinate-of-33-octets",
    "padded-modulus",
    "null-members",
    "six-keys-without-kid",
];

/// Decides with real signatures.
fn decide(set: &str, token: &str) -> String {
    let config = json!({
        "providers": {"p": {
            "issuer": "https://issuer.test/", "audiences": ["api"],
            "local_jwks": {"inline_string": set},
        }},
        "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "p"}}],
    });
    let config = Config::parse(config.to_string().as_bytes()).unwrap();
    let ring = Ring {
        config: &config,
        instead: None::<(usize, Keys)>,
    };
    let context = Context {
        basis: Basis {
            facts: &ring,
            verifier: &Portable,
            headers: &RefCell::<HeaderMemo>::default(),
            now: NOW,
        },
        cache: &RefCell::new(TokenCache::new(&config.providers)),
        people: None,
    };
    let request = request(&[("authorization", &bearer(token))]);
    tell(authenticate(&request, &config, &context))
}

#[test]
fn every_document_verifies_its_token() {
    for (name, set, token) in FOUND {
        assert_eq!(decide(set, token), "ok -authorization", "{name}");
    }
}

/// A token is read strictly, whatever its key's document is like.
#[test]
fn every_document_refuses_a_changed_token() {
    for (name, set, token) in FOUND {
        let (input, signature) = token.rsplit_once('.').unwrap();
        let (start, rest) = signature.split_at(signature.len() / 2);
        let other = if rest.starts_with('A') { "B" } else { "A" };
        let forged = format!("{input}.{start}{other}{}", &rest[1..]);
        assert_eq!(decide(set, &forged), "signature", "{name}");
        let padded = format!("{token}=");
        assert_eq!(decide(set, &padded), "signature_encoding", "{name}");
    }
}

/// At most 16 keys are tried, in the order of the document.
#[test]
fn a_token_without_a_kid_is_tried_with_sixteen_keys() {
    let (_, set, token) = FOUND.last().unwrap();
    let set: Value = serde_json::from_str(set).unwrap();
    let keys = set["keys"].as_array().unwrap();
    let is_right =
        |key: &&Value| decide(&json!({"keys": [key]}).to_string(), token) == "ok -authorization";
    let right = keys.iter().find(is_right).unwrap();
    let wrong = keys.iter().find(|key| !is_right(key)).unwrap();
    let after = |count: usize| {
        let many = (0..count).map(|i| {
            let mut key = wrong.clone();
            key["kid"] = json!(i.to_string());
            key
        });
        let keys: Vec<Value> = many.chain([right.clone()]).collect();
        decide(&json!({ "keys": keys }).to_string(), token)
    };
    assert_eq!(after(0), "ok -authorization");
    assert_eq!(after(15), "ok -authorization");
    assert_eq!(after(16), "signature");
}
