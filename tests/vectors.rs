//! Published vectors through the portable verifier: RFC 7515 appendices A.2 and A.3, RFC 8037
//! appendix A.4, and Wycheproof's.
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
use bearer_gate::jose::{base64url, json as jose_json, jws};
use bearer_gate::signature::Verifier;
use bearer_gate::signature::portable::Portable;
use serde_json::{Value, json};

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

/// How a file of plain signatures was run.
#[derive(Debug, PartialEq, Eq)]
struct Count {
    run: usize,
    accepted: usize,
    /// Run with a key that was refused when it was parsed.
    without_key: usize,
}

/// Plain signatures: no deviation in any file, and every key of a valid signature is usable.
///
/// Of PKCS#1 v1.5, "acceptable" (tcId 8, an AlgorithmIdentifier without its NULL) is refused:
/// RFC 8017 section 9.2 leaves such an encoding to choice, and we choose one.
fn signatures(file: &str, algorithm: Algorithm, jwk: impl Fn(&Value) -> Value, expected: Count) {
    let Some(groups) = groups(file) else { return };
    let mut mismatches = BTreeSet::new();
    let mut count = Count {
        run: 0,
        accepted: 0,
        without_key: 0,
    };
    for group in &groups {
        let jwk = jose_json::parse_object(jwk(group).to_string().as_bytes()).unwrap();
        let key = Key::parse(&jwk).ok();
        if let Some(key) = &key {
            assert_eq!(key.spki_der(), hex(&group["publicKeyDer"]));
        }
        for (id, valid, test) in tests(group) {
            let (text, signature) = (hex(&test["msg"]), hex(&test["sig"]));
            let result = key
                .as_ref()
                .is_some_and(|key| Portable.verify(algorithm, key, &text, &signature));
            count.run += 1;
            count.accepted += usize::from(result);
            count.without_key += usize::from(key.is_none());
            if result != valid {
                mismatches.insert(id);
            }
        }
    }
    assert_eq!(mismatches, BTreeSet::new(), "of {count:?} in {file}");
    assert_eq!(count, expected, "{file}");
}

fn rsassa_pkcs1(file: &str, algorithm: Algorithm, run: usize, accepted: usize) {
    let jwk = |group: &Value| group["keyJwk"].clone();
    let without_key = 0;
    let expected = Count {
        run,
        accepted,
        without_key,
    };
    signatures(file, algorithm, jwk, expected);
}

fn rsassa_pss(file: &str, algorithm: Algorithm, run: usize, accepted: usize) {
    let jwk = |group: &Value| {
        assert_eq!(group["publicKeyJwk"]["alg"], algorithm.name());
        group["publicKeyJwk"].clone()
    };
    let without_key = 0;
    let expected = Count {
        run,
        accepted,
        without_key,
    };
    signatures(file, algorithm, jwk, expected);
}

/// Not every group has a JWK, so each is made from its point.
fn ecdsa(file: &str, algorithm: Algorithm, run: usize, accepted: usize) {
    let crv = algorithm.name().replace("ES", "P-");
    let jwk = |group: &Value| {
        let point = hex(&group["publicKey"]["uncompressed"]);
        let (x, y) = point[1..].split_at(point.len() / 2);
        json!({"kty": "EC", "crv": crv, "x": base64url::encode(x), "y": base64url::encode(y)})
    };
    let without_key = 0;
    let expected = Count {
        run,
        accepted,
        without_key,
    };
    signatures(file, algorithm, jwk, expected);
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

#[test]
fn wycheproof_ps256_2048_or_left_out_without_the_vectors() {
    let file = "rsa_pss_2048_sha256_mgf1_32_test.json";
    rsassa_pss(file, Algorithm::Ps256, 108, 63);
}

#[test]
fn wycheproof_ps384_2048_or_left_out_without_the_vectors() {
    let file = "rsa_pss_2048_sha384_mgf1_48_test.json";
    rsassa_pss(file, Algorithm::Ps384, 141, 95);
}

#[test]
fn wycheproof_ps512_4096_or_left_out_without_the_vectors() {
    let file = "rsa_pss_4096_sha512_mgf1_64_test.json";
    rsassa_pss(file, Algorithm::Ps512, 179, 132);
}

#[test]
fn wycheproof_es256_or_left_out_without_the_vectors() {
    let file = "ecdsa_secp256r1_sha256_p1363_test.json";
    ecdsa(file, Algorithm::Es256, 262, 173);
}

#[test]
fn wycheproof_es384_or_left_out_without_the_vectors() {
    let file = "ecdsa_secp384r1_sha384_p1363_test.json";
    ecdsa(file, Algorithm::Es384, 280, 193);
}

#[test]
fn wycheproof_ed25519_or_left_out_without_the_vectors() {
    let expected = Count {
        run: 151,
        accepted: 88,
        without_key: 0,
    };
    let jwk = |group: &Value| group["publicKeyJwk"].clone();
    signatures("ed25519_test.json", Algorithm::EdDsa, jwk, expected);
}

/// Tokens that the file calls valid and that are refused here, each with its reason.
const JWS_DEVIATIONS: &[(&[u64], &str)] = &[
    (
        &[1, 348, 352, 357, 358, 359, 372, 373, 376, 377],
        "HMAC: symmetric keys are never loaded (372 and 373 also hold a `?`)",
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
    let mut accepted_ids = BTreeSet::new();
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
                (true, true) => drop(accepted_ids.insert(id)),
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
    assert_eq!(accepted_ids, accepted.iter().copied().collect(), "{file}");
}

#[test]
fn wycheproof_json_web_signature_or_left_out_without_the_vectors() {
    let accepted: Vec<u64> = [18, 33]
        .into_iter()
        .chain(259..=275)
        .chain([287, 288])
        .chain(320..=323)
        .chain(325..=328)
        .chain([345, 349, 378])
        .collect();
    assert_eq!(accepted.len(), 32);
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

/// The valid token passes; every other last character, every flipped bit of the signature and
/// another text do not.
fn example(key: &str, token: &str) {
    let keys = format!(r#"{{"keys":[{key}]}}"#);
    assert!(accepts(&keys, token));
    let (input, signature) = token.rsplit_once('.').unwrap();
    let octets = base64url::decode(signature.as_bytes()).unwrap();
    for at in 0..octets.len() {
        for bit in 0..8 {
            let mut flipped = octets.clone();
            flipped[at] ^= 1 << bit;
            let flipped = format!("{input}.{}", base64url::encode(&flipped));
            assert!(!accepts(&keys, &flipped), "octet {at}, bit {bit}");
        }
    }
    let (header, payload) = input.split_once('.').unwrap();
    let other = format!("{header}.{payload}AAAA.{signature}");
    assert!(!accepts(&keys, &other));
    for alg in ["none", "HS256", "RS256", "ES384", "PS256"] {
        let header = base64url::encode(format!(r#"{{"alg":"{alg}"}}"#).as_bytes());
        assert!(!accepts(&keys, &format!("{header}.{payload}.{signature}")));
    }
}

#[test]
fn rfc_7515_appendix_a_3() {
    example(
        r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}"#,
        "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    );
}

/// RFC 8037 appendix A.4, with the key of A.2.
#[test]
fn rfc_8037_appendix_a_4() {
    example(
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
    );
}
