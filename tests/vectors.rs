//! Published vectors through the portable verifier: RFC 7515 appendix A.2, and Wycheproof's.
//!
//! Wycheproof's files lie beside the repository (`../shared/vectors/wycheproof`, or where
//! `BEARER_GATE_VECTORS` says). Where there is no such folder those tests say what they leave
//! out and pass; where the variable names a folder that is not there, they fail.
//!
//! The payloads are "foo" or "Test", not claims, so the vectors run on the level of JWS.

// Clippy's exemption for tests ends at the helpers of an integration test.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;

use bearer_gate::jose::jwa::Algorithm;
use bearer_gate::jose::jwk::Key;
use bearer_gate::jose::jwks::{KeySet, Selection};
use bearer_gate::jose::{json, jws};
use bearer_gate::signature::Verifier;
use bearer_gate::signature::portable::Portable;
use serde_json::Value;

/// Whether a verifier with this key set accepts the token.
fn accepts(document: &str, token: &str) -> bool {
    let Ok(keys) = KeySet::parse(document.as_bytes()) else {
        return false;
    };
    let Ok(jws) = jws::parse(token.as_bytes()) else {
        return false;
    };
    let header = jws.untrusted_header();
    match keys.candidates(header.kid.as_deref(), header.algorithm) {
        Selection::Keys(candidates) => candidates.iter().any(|key| {
            Portable.verify(header.algorithm, key, jws.signing_input(), jws.signature())
        }),
        Selection::UnknownKid | Selection::NoMatch => false,
    }
}

/// The groups of a file, or `None`, said aloud, where there are no files.
fn groups(file: &str) -> Option<Vec<Value>> {
    let named = std::env::var_os("BEARER_GATE_VECTORS");
    let folder = named.clone().map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors/wycheproof"),
        PathBuf::from,
    );
    if named.is_none() && !folder.is_dir() {
        // Not eprintln, which the test harness keeps to itself when a test passes.
        let line = format!("LEFT OUT: {file}: there is no {}\n", folder.display());
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        return None;
    }
    let path = folder.join(file);
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let document: Value = serde_json::from_str(&text).unwrap();
    Some(document["testGroups"].as_array().unwrap().clone())
}

fn tests(group: &Value) -> impl Iterator<Item = (u64, bool, &Value)> {
    let tests = group["tests"].as_array().unwrap().iter();
    tests.map(|test| {
        let valid = test["result"] == "valid";
        (test["tcId"].as_u64().unwrap(), valid, test)
    })
}

fn hex(text: &Value) -> Vec<u8> {
    let digits = text.as_str().unwrap().as_bytes();
    let octet = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(octet).collect()
}

/// PKCS#1 v1.5: no deviation. "Acceptable" (tcId 8, an AlgorithmIdentifier without its NULL)
/// is refused: RFC 8017 section 9.2 leaves such an encoding to choice, and we choose one.
fn rsassa_pkcs1(file: &str, algorithm: Algorithm, count: usize, count_valid: usize) {
    let Some(groups) = groups(file) else { return };
    let mut mismatches = BTreeSet::new();
    let (mut run, mut accepted) = (0, 0);
    for group in &groups {
        let jwk = json::parse_object(group["keyJwk"].to_string().as_bytes()).unwrap();
        let key = Key::parse(&jwk).unwrap();
        assert_eq!(key.spki_der(), hex(&group["publicKeyDer"]));
        for (id, valid, test) in tests(group) {
            let result = Portable.verify(algorithm, &key, &hex(&test["msg"]), &hex(&test["sig"]));
            run += 1;
            accepted += usize::from(result);
            if result != valid {
                mismatches.insert(id);
            }
        }
    }
    assert_eq!(mismatches, BTreeSet::new(), "of {run} in {file}");
    assert_eq!((run, accepted), (count, count_valid), "{file}");
}

#[test]
fn wycheproof_rs256_2048_or_left_out_without_the_vectors() {
    rsassa_pkcs1(
        "rsa_signature_2048_sha256_test.json",
        Algorithm::Rs256,
        259,
        9,
    );
}

#[test]
fn wycheproof_rs384_3072_or_left_out_without_the_vectors() {
    rsassa_pkcs1(
        "rsa_signature_3072_sha384_test.json",
        Algorithm::Rs384,
        259,
        7,
    );
}

#[test]
fn wycheproof_rs512_4096_or_left_out_without_the_vectors() {
    rsassa_pkcs1(
        "rsa_signature_4096_sha512_test.json",
        Algorithm::Rs512,
        259,
        7,
    );
}

/// Tokens that the file calls valid and that are refused here, each with its reason.
const JWS_DEVIATIONS: &[(&[u64], &str)] = &[
    (
        &[1, 348, 352, 357, 358, 359, 372, 373, 376, 377],
        "HMAC: symmetric keys are never loaded (372 and 373 also hold a `?`)",
    ),
    (&[18, 378], "ES256 is not supported yet"),
    (
        &[
            272, 273, 274, 275, 287, 288, 320, 321, 322, 323, 325, 326, 327, 328,
        ],
        "PS256, PS384, PS512 are not supported yet",
    ),
    (
        &[346, 347, 350, 351],
        "the JWK's alg is another than the header's",
    ),
];

const JWK_DEVIATIONS: &[(&[u64], &str)] =
    &[(&[2, 13, 14, 15], "HMAC: symmetric keys are never loaded")];

/// Runs a file of tokens; what is valid and refused has to be exactly the deviations.
fn tokens(file: &str, deviations: &[(&[u64], &str)], count: usize, accepted: &[u64]) {
    let Some(groups) = groups(file) else { return };
    let mut refused_valid = BTreeSet::new();
    let mut accepted_invalid = BTreeSet::new();
    let mut accepted_ids = Vec::new();
    let mut run = 0;
    for group in &groups {
        let keys = match &group["public"] {
            Value::Null => &group["private"],
            public => public,
        };
        let document = match &keys["keys"] {
            Value::Null => format!(r#"{{"keys":[{keys}]}}"#),
            _ => keys.to_string(),
        };
        for (id, valid, test) in tests(group) {
            run += 1;
            match (accepts(&document, test["jws"].as_str().unwrap()), valid) {
                (true, true) => accepted_ids.push(id),
                (true, false) => drop(accepted_invalid.insert(id)),
                (false, true) => drop(refused_valid.insert(id)),
                (false, false) => {}
            }
        }
    }
    let expected: BTreeSet<u64> = deviations
        .iter()
        .flat_map(|(ids, _)| ids.iter().copied())
        .collect();
    assert_eq!(accepted_invalid, BTreeSet::new(), "{file}");
    assert_eq!(refused_valid, expected, "{file}");
    assert_eq!(run, count, "{file}");
    assert_eq!(accepted_ids, accepted, "{file}");
}

#[test]
fn wycheproof_json_web_signature_or_left_out_without_the_vectors() {
    let accepted: Vec<u64> = [33]
        .into_iter()
        .chain(259..=271)
        .chain([345, 349])
        .collect();
    let file = "json_web_signature_test.json";
    tokens(file, JWS_DEVIATIONS, 401, &accepted);
}

/// The ROCA key (tcId 7) is refused by its fingerprint.
#[test]
fn wycheproof_json_web_key_or_left_out_without_the_vectors() {
    tokens("json_web_key_test.json", JWK_DEVIATIONS, 26, &[5]);
}

#[test]
fn rfc_7515_appendix_a_2() {
    let keys = r#"{"keys":[{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}]}"#;
    let token = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    assert!(accepts(keys, token));
    for (good, bad) in [
        ("cC4hiUPoj9", "cC4hiUPoj8"),
        ("eyJpc3MiOiJqb2Ui", "eyJpc3MiOiJqb2Uj"),
        ("eyJhbGciOiJSUzI1NiJ9", "eyJhbGciOiJSUzM4NCJ9"),
        ("eyJhbGciOiJSUzI1NiJ9", "eyJhbGciOiJub25lIn0"),
    ] {
        assert!(token.contains(good));
        assert!(!accepts(keys, &token.replace(good, bad)), "{bad}");
    }
}
