//! Published vectors through the portable verifier: RFC 7515 appendices A.2 and A.3 (A.4 is
//! ES512, which only the host has: `e2e/vectors.rs`), RFC 8037 appendix A.4, the keys of RFC 7517 appendix A, and Wycheproof's.
//!
//! The payloads of Wycheproof's tokens are "foo" or "Test", not claims, so they run on the level
//! of JWS. The same vectors run inside a real Envoy, through both verifiers: `e2e/vectors.rs`.

// Clippy's exemption for tests ends at the helpers of an integration test.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod wycheproof;

use bearer_gate::jose::json::Document;
use bearer_gate::jose::jwa::Algorithm;
use bearer_gate::jose::jwk::{Key, KeyError};
use bearer_gate::jose::jwks::KeySet;
use bearer_gate::jose::verifier::Verifier;
use bearer_gate::jose::{base64url, jws};
use bearer_gate::signature::portable::Portable;
use bearer_gate_vectors_module::judge;
use serde_json::{Value, json};

use wycheproof::{Outcome, Question, SIGNATURES, TOKENS, hex};

/// Whether the verifier with this key set accepts the token.
fn accepts(document: &str, token: &str) -> bool {
    let keys: Value = serde_json::from_str(document).unwrap();
    let question = json!({"keys": keys, "tokens": [token]}).to_string();
    judge::answer(&Portable, question.as_bytes()).unwrap() == "v"
}

fn outcome(questions: &[Question]) -> Outcome {
    let mut outcome = Outcome::default();
    for question in questions {
        let answer = judge::answer(&Portable, question.json.to_string().as_bytes());
        outcome.note(question, &answer.unwrap());
    }
    outcome
}

/// Every file whose name begins so.
fn signatures(of: &str) {
    let mut run = 0;
    for file in SIGNATURES.iter().filter(|file| file.name.starts_with(of)) {
        let outcome = outcome(&file.questions());
        if !file.is_for(&Portable) {
            outcome.check_unsupported(file);
            continue;
        }
        outcome.check(file);
        run += outcome.run;
    }
    println!("figure: {of}: {run} vectors, 0 mismatches");
    assert!(run > 100, "{of}: {run}");
}

#[test]
fn wycheproof_rsassa_pkcs1_v1_5() {
    signatures("rsa_signature");
}

#[test]
fn wycheproof_rsassa_pss() {
    signatures("rsa_pss");
}

#[test]
fn wycheproof_ecdsa() {
    signatures("ecdsa");
}

#[test]
fn wycheproof_ed25519() {
    signatures("ed25519");
}

#[test]
fn wycheproof_tokens_or_left_out_without_the_vectors() {
    for file in TOKENS {
        if let Some(questions) = file.questions() {
            outcome(&questions).check_tokens(file);
        }
    }
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

/// Unsecured, and in JSON.
#[test]
fn rfc_7515_appendices_a_5_and_a_6() {
    let keys = r#"{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;
    let payload = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let signature =
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    assert!(accepts(
        keys,
        &format!("eyJhbGciOiJFUzI1NiJ9.{payload}.{signature}")
    ));
    assert!(!accepts(keys, &format!("eyJhbGciOiJub25lIn0.{payload}.")));
    let json = json!({
        "payload": payload, "protected": "eyJhbGciOiJFUzI1NiJ9", "signature": signature,
    });
    assert!(!accepts(keys, &json.to_string()));
}

#[test]
fn rfc_7515_appendix_a_3() {
    example(
        r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}"#,
        "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    );
}

/// With the secret loaded, as for a local provider that names HS256; never without.
#[test]
fn rfc_7515_appendix_a_1() {
    let keys = r#"{"keys":[{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}]}"#;
    let token = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    assert!(!accepts(keys, token));
    let set = KeySet::parse_with_secrets(keys.as_bytes()).unwrap();
    let jws = jws::parse(token.as_bytes()).unwrap();
    let verify = |algorithm, text: &[u8], signature: &[u8]| {
        Portable.verify(algorithm, &set.keys()[0], text, signature)
    };
    let (text, signature) = (jws.signing_input(), jws.signature());
    assert!(verify(Algorithm::Hs256, text, signature));
    for other in Algorithm::ALL {
        assert_eq!(verify(*other, text, signature), *other == Algorithm::Hs256);
    }
    assert!(!verify(Algorithm::Hs256, &text[1..], signature));
    for at in 0..signature.len() {
        assert!(!verify(Algorithm::Hs256, text, &signature[..at]));
        for bit in 0..8 {
            let mut flipped = signature.to_vec();
            flipped[at] ^= 1 << bit;
            assert!(!verify(Algorithm::Hs256, text, &flipped));
        }
    }
}

/// RFC 4231 section 4.7: HMAC of each hash, under a long secret.
#[test]
fn rfc_4231_test_case_6() {
    let k = base64url::encode(&[0xaa; 131]);
    let text = b"Test Using Larger Than Block-Size Key - Hash Key First";
    for (algorithm, mac) in [
        (
            Algorithm::Hs256,
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        ),
        (
            Algorithm::Hs384,
            "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c60c2ef6ab4030fe8296248df163f44952",
        ),
        (
            Algorithm::Hs512,
            "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f3526b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598",
        ),
    ] {
        let jwk = json!({"kty": "oct", "k": k, "alg": algorithm.name()}).to_string();
        let jwk = Document::parse(jwk.as_bytes()).unwrap();
        let key = Key::parse_with_secrets(jwk.root()).unwrap();
        let mac = hex(&json!(mac));
        assert!(Portable.verify(algorithm, &key, text, &mac));
        assert!(!Portable.verify(algorithm, &key, &text[1..], &mac));
    }
}

/// RFC 8037 appendix A.4, with the key of A.2.
#[test]
fn rfc_8037_appendix_a_4() {
    example(
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
    );
}

/// RFC 7517 appendices A.1 and A.2: the public keys are read, and a private key is no more than
/// its public half. Appendix A.3 is symmetric keys: none is loaded, and a set of none is no set.
#[test]
fn rfc_7517_appendix_a() {
    // A.1 and A.2 have the same two keys.
    let ec = r#"{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","use":"enc","kid":"1"}"#;
    let rsa = r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}"#;
    let set = KeySet::parse(format!(r#"{{"keys":[{ec},{rsa}]}}"#).as_bytes()).unwrap();
    // The EC key is for encryption, by its own word.
    let skipped: Vec<_> = set.skipped().iter().map(|s| (s.index, s.error)).collect();
    assert_eq!(skipped, [(0, KeyError::Use)]);
    let [key] = set.keys() else { panic!("one key") };
    assert_eq!(key.kid(), Some("2011-04-29"));
    assert!(key.allows(Algorithm::Rs256) && !key.allows(Algorithm::Rs384));

    let ec = ec.replace(
        r#""use":"enc","#,
        r#""d":"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE","#,
    );
    let set = KeySet::parse(format!(r#"{{"keys":[{ec},{rsa}]}}"#).as_bytes()).unwrap();
    assert_eq!(set.keys().len(), 2);
    assert!(set.keys()[0].allows(Algorithm::Es256));

    let symmetric = r#"{"keys":[{"kty":"oct","alg":"A128KW","k":"GawgguFyGrWKav7AX4VKUg"},{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow","kid":"HMAC key used in JWS spec Appendix A.1 example"}]}"#;
    assert!(KeySet::parse(symmetric.as_bytes()).is_err());
}
