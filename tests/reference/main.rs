//! The portable verifier against jwt-simple's (feature `jwt-simple`): random and adversarial
//! signatures through both, and no disagreement but those that are listed.
//!
//! The same cases each time; with `BEARER_GATE_SOAK` 100,000, and others each time.
//!
//! Both do ECDSA on the groups of the same crates: the reference by their verification, the portable verifier by its
//! own. Wycheproof's vectors are a test of both.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod ecdsa;
mod eddsa;
mod rsa;

use std::collections::BTreeMap;
use std::io::Write as _;

use bearer_gate::jose::json;
use bearer_gate::jose::jwa::Algorithm;
use bearer_gate::jose::jwk::Key;
use bearer_gate::jose::verifier::Verifier;
use bearer_gate::signature::portable::Portable;
use bearer_gate::signature::reference::Reference;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

const CASES: usize = 1_500;
const CASES_OF_SOAK: usize = 100_000;

/// One signature to verify, and what is known of it beforehand.
struct Case {
    kind: &'static str,
    algorithm: Algorithm,
    text: Vec<u8>,
    signature: Vec<u8>,
    /// What both must answer, where that is certain.
    expected: Option<bool>,
    /// The reference may accept what the portable verifier refuses: why.
    stricter: Option<&'static str>,
}

/// Runs the cases through both, and prints how many of each kind were accepted.
fn compare(name: &str, share: usize, mut next: impl FnMut(&mut StdRng) -> (Case, Key)) {
    let soak = std::env::var_os("BEARER_GATE_SOAK").is_some();
    let cases = if soak { CASES_OF_SOAK } else { CASES } * share / 100;
    let seed = if soak { rand::random() } else { 7 };
    let mut random = StdRng::seed_from_u64(seed);
    let mut counts: BTreeMap<&str, (usize, usize, usize)> = BTreeMap::new();
    for number in 0..cases {
        let (case, key) = next(&mut random);
        let verify = |verifier: &dyn Verifier| {
            verifier.verify(case.algorithm, &key, &case.text, &case.signature)
        };
        let (portable, reference) = (verify(&Portable), verify(&Reference));
        let what = format!(
            "{name}, seed {seed}, case {number}: {}, {}, {:02x?}",
            case.kind,
            case.algorithm.name(),
            case.signature,
        );
        if case.stricter.is_some() {
            assert!(!portable, "{what}");
        } else {
            assert_eq!(portable, reference, "portable and reference: {what}");
        }
        if let Some(expected) = case.expected {
            assert_eq!(portable, expected, "{what}");
        }
        let count = counts.entry(case.kind).or_default();
        count.0 += 1;
        count.1 += usize::from(portable);
        count.2 += usize::from(portable != reference);
    }
    let mut report = format!("{name}: {cases} cases, seed {seed}, no unlisted disagreement\n");
    for (kind, (run, accepted, stricter)) in counts {
        report += &format!("  {kind}: {run}, accepted {accepted}, stricter {stricter}\n");
    }
    // Not println, which the test harness keeps to itself when a test passes.
    std::io::stderr().write_all(report.as_bytes()).unwrap();
}

fn key(jwk: Value) -> Key {
    let jwk = json::Document::parse(jwk.to_string().as_bytes()).unwrap();
    Key::parse(jwk.root()).unwrap()
}

fn bytes(random: &mut StdRng, length: usize) -> Vec<u8> {
    (0..length).map(|_| random.random()).collect()
}

fn flip(random: &mut StdRng, octets: &mut [u8]) {
    let at = random.random_range(0..octets.len());
    octets[at] ^= 1 << random.random_range(0..8);
}
