//! Key documents as providers publish them, each with a token that one of its keys signed
//! (`tests/fixtures/sets`). Odd spellings of a document are accepted, those of a token are not.

use std::cell::RefCell;

use bearer_gate::authn::{Context, authenticate};
use bearer_gate::cache::TokenCache;
use bearer_gate::config::Config;
use bearer_gate::desk::Basis;
use bearer_gate::jose::jwks::KeySet;
use bearer_gate::jose::jws::HeaderMemo;
use bearer_gate::jwks::keys::Keys;
use bearer_gate::signature::portable::Portable;
use serde_json::{Map, Value, json};

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
    // As Google and Firebase publish them; the certificates ended long ago.
    "certificates-by-kid",
    "public-keys-by-kid",
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

/// A map of keys in PEM is one by its form alone: nothing but certificates and public keys, and no
/// `keys`. One that is broken takes only its own kid away.
#[test]
fn a20_certificates_by_kid() {
    let named = |name| FOUND.iter().find(|(known, ..)| *known == name).unwrap();
    let (_, set, token) = named("certificates-by-kid");
    let map: Map<String, Value> = serde_json::from_str(set).unwrap();
    let kids: Vec<&String> = map.keys().collect();
    let (signer, other) = (kids[0], kids[1]);
    let decide_by = |change: &dyn Fn(&mut Map<String, Value>)| {
        let mut map = map.clone();
        change(&mut map);
        read(&Value::Object(map).to_string()).map(|set| decide(&set, token))
    };
    let good = Ok("ok -authorization".to_owned());
    let no_key = Ok("no_key".to_owned());
    let missing = Err("Jwks does not have [keys] field".to_owned());
    let unusable = |told: &str| {
        let none = "Jwks doesn't have any valid public key";
        Err(format!("{none}: key 0: {told}"))
    };
    let certificate = |map: &Map<String, Value>, kid: &str| map[kid].as_str().unwrap().to_owned();
    let broken = |pem: String| {
        let line = pem.lines().nth(5).unwrap().to_owned();
        pem.replace(&line, "")
    };
    let (a, b) = (certificate(&map, signer), certificate(&map, other));
    type Change<'c> = &'c dyn Fn(&mut Map<String, Value>);
    let table: &[(&str, Change<'_>, Result<String, String>)] = &[
        ("as it is", &|_| {}, good.clone()),
        (
            "the signer alone",
            &|map| map.retain(|kid, _| kid == signer),
            good.clone(),
        ),
        (
            "without the signer",
            &|map| map.retain(|kid, _| kid == other),
            no_key.clone(),
        ),
        (
            "under the other's kid",
            &|map| map[signer] = json!(b),
            Ok("signature".to_owned()),
        ),
        (
            "the other is broken",
            &|map| map[other] = json!(broken(b.clone())),
            good.clone(),
        ),
        (
            "the signer is broken",
            &|map| map[signer] = json!(broken(a.clone())),
            no_key.clone(),
        ),
        (
            "the signer is cut short",
            &|map| map[signer] = json!(a[..a.len() / 2]),
            no_key.clone(),
        ),
        (
            "a chain",
            &|map| map[signer] = json!(format!("{a}{b}")),
            good.clone(),
        ),
        (
            "the chain begins with another",
            &|map| map[signer] = json!(format!("{b}{a}")),
            Ok("signature".to_owned()),
        ),
        (
            "nothing but a broken one",
            &|map| {
                map.retain(|kid, _| kid == signer);
                map[signer] = json!(broken(a.clone()));
            },
            unusable("no certificate or public key that is usable"),
        ),
        (
            "a kid that no token can have",
            &|map| {
                map.clear();
                map.insert("k".repeat(1025), json!(a));
            },
            unusable("a member is malformed"),
        ),
        // Another kind of document that has a certificate in it is none.
        (
            "a text beside them",
            &|map| drop(map.insert("issuer".into(), json!("https://issuer.test/"))),
            missing.clone(),
        ),
        (
            "a number beside them",
            &|map| drop(map.insert("n".into(), json!(1))),
            missing.clone(),
        ),
        (
            "a public key, and a broken one",
            &|map| map[other] = json!("-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----"),
            good.clone(),
        ),
        (
            "a private key in PEM",
            &|map| {
                map[other] = json!("-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----")
            },
            missing.clone(),
        ),
        (
            "another label for the certificate",
            &|map| map[signer] = json!(a.replace("CERTIFICATE", "PUBLIC KEY")),
            no_key.clone(),
        ),
        ("no members", &|map| map.clear(), missing),
        // It is a JWK Set by its form.
        (
            "a kid that is keys",
            &|map| drop(map.insert("keys".into(), json!(a))),
            Err("Jwks is an invalid JSON".to_owned()),
        ),
        (
            "a set beside certificates",
            &|map| drop(map.insert("keys".into(), json!([]))),
            Err("Jwks doesn't have any valid public key: [keys] is empty".to_owned()),
        ),
    ];
    for (what, change, expected) in table {
        assert_eq!(decide_by(*change), *expected, "{what}");
    }
    // A bound on keys as in a set: the first 256 are read.
    for (before, expected) in [(255, &good), (256, &no_key)] {
        let mut many: Vec<String> = (0..before)
            .map(|at| format!("\"{at}\":{}", json!(b)))
            .collect();
        many.push(format!("\"{signer}\":{}", json!(a)));
        let document = format!("{{{}}}", many.join(","));
        let outcome = read(&document).map(|set| decide(&set, token));
        let too_large = Err("Jwks is too large".to_owned());
        let expected = if document.len() > 256 * 1024 {
            &too_large
        } else {
            expected
        };
        assert_eq!(outcome, *expected, "{before}");
    }
}

/// A public key in PEM is alone, and is of the type that the token's algorithm needs.
#[test]
fn a20_public_keys_by_kid() {
    let named = |name| FOUND.iter().find(|(known, ..)| *known == name).unwrap();
    let (_, set, token) = named("public-keys-by-kid");
    let map: Map<String, Value> = serde_json::from_str(set).unwrap();
    let kids: Vec<&String> = map.keys().collect();
    let (signer, other) = (kids[0], kids[1]);
    let pem = |kid: &str| map[kid].as_str().unwrap();
    let (own, ed25519) = (pem(signer), pem(other));
    let line = own.lines().nth(2).unwrap();
    for (what, text, expected) in [
        ("as it is", own.to_owned(), "ok -authorization"),
        ("in one line", own.replace('\n', ""), "ok -authorization"),
        ("a text after it", format!("{own}x"), "no_key"),
        ("a key after it", format!("{own}{ed25519}"), "no_key"),
        ("a text before it", format!("x{own}"), "missing"),
        ("cut short", own.replace(line, ""), "no_key"),
        ("more octets", own.replace("==\n", "AAAA\n"), "no_key"),
        (
            "as a certificate",
            own.replace("PUBLIC KEY", "CERTIFICATE"),
            "no_key",
        ),
        ("a key of another type", ed25519.to_owned(), "no_key"),
    ] {
        let mut map = map.clone();
        map[signer] = json!(text);
        let outcome = match read(&Value::Object(map).to_string()) {
            Ok(set) => decide(&set, token),
            Err(_) => "missing".to_owned(),
        };
        assert_eq!(outcome, expected, "{what}");
    }
}

/// The document, if it is a key set.
fn read(document: &str) -> Result<String, String> {
    let keys = KeySet::parse(document.as_bytes()).map_err(|error| error.to_string());
    keys.map(|_| document.to_owned())
}
