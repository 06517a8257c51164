//! RSASSA-PKCS1-v1_5 and RSASSA-PSS: encoded messages of every kind, right and forged, raised to
//! the private exponent of keys with several public ones.

use ::rsa::pkcs8::DecodePrivateKey;
use ::rsa::traits::{PrivateKeyParts, PublicKeyParts};
use ::rsa::{BoxedUint, PrivateKey, hazmat};
use bearer_gate::jose::base64url;
use bearer_gate::jose::jwa::Algorithm;
use bearer_gate::jose::jwk::Key;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use sha2::{Digest, Sha256, Sha384, Sha512};

use crate::{Case, bytes, compare, flip, key};

const PEMS: [&str; 2] = [
    include_str!("../fixtures/rsa2048-a.pem"),
    include_str!("../fixtures/rsa2048-b.pem"),
];
const ALGORITHMS: [Algorithm; 6] = [
    Algorithm::Rs256,
    Algorithm::Rs384,
    Algorithm::Rs512,
    Algorithm::Ps256,
    Algorithm::Ps384,
    Algorithm::Ps512,
];
/// Odd, up to the 33 bits that a key may have.
const EXPONENTS: [u64; 9] = [3, 5, 7, 17, 257, 65_537, 65_539, 0xffff_fffb, 0x1_ffff_ffff];

/// Each private key, with the JWK's numbers.
struct Pair {
    private: PrivateKey,
    n: Vec<u8>,
    keys: Vec<Key>,
}

fn pair(private: PrivateKey) -> Pair {
    let n = private.n_bytes().into_vec();
    let keys = ALGORITHMS
        .iter()
        .map(|algorithm| {
            key(json!({
                "kty": "RSA",
                "alg": algorithm.name(),
                "n": base64url::encode(&n),
                "e": base64url::encode(&private.e_bytes()),
            }))
        })
        .collect();
    Pair { private, n, keys }
}

/// The fixtures' primes with every exponent that fits them, and keys of other lengths: one bit
/// into another octet, two octets more, and 3072 bits.
fn pairs() -> Vec<Pair> {
    let mut pairs = Vec::new();
    for pem in PEMS {
        let pem = &pem[pem.find("-----").unwrap()..];
        let fixture = PrivateKey::from_pkcs8_pem(pem).unwrap();
        let (p, q) = (&fixture.primes()[0], &fixture.primes()[1]);
        for exponent in EXPONENTS {
            if let Ok(key) =
                PrivateKey::from_p_q(p.as_ref().clone(), q.as_ref().clone(), exponent.into())
            {
                pairs.push(pair(key));
            }
        }
    }
    assert!(pairs.len() > 6, "{}", pairs.len());
    let mut random = StdRng::seed_from_u64(1);
    for bits in [2049, 2064, 3072] {
        pairs.push(pair(PrivateKey::new(&mut random, bits).unwrap()));
    }
    pairs
}

fn hash(algorithm: Algorithm, parts: &[&[u8]]) -> Vec<u8> {
    let text = parts.concat();
    match algorithm.name() {
        "RS256" | "PS256" => Sha256::digest(&text).to_vec(),
        "RS384" | "PS384" => Sha384::digest(&text).to_vec(),
        _ => Sha512::digest(&text).to_vec(),
    }
}

/// DigestInfo of RFC 8017 section 9.2, with or without the NULL.
fn digest_info(digest: &[u8], null: bool) -> Vec<u8> {
    let arc = match digest.len() {
        32 => 1,
        48 => 2,
        _ => 3,
    };
    let mut identifier = vec![6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, arc];
    if null {
        identifier.extend([5, 0]);
    }
    let mut content = vec![0x30, identifier.len() as u8];
    content.extend(identifier);
    content.extend([4, digest.len() as u8]);
    content.extend(digest);
    [vec![0x30, content.len() as u8], content].concat()
}

fn pkcs1(random: &mut StdRng, digest: &[u8], k: usize) -> (&'static str, Vec<u8>, Option<bool>) {
    let info = digest_info(digest, true);
    let padded = |block: u8, filler: u8, info: &[u8], garbage: &[u8]| {
        let filling = k - 3 - info.len() - garbage.len();
        [
            &[0, block],
            vec![filler; filling].as_slice(),
            &[0],
            info,
            garbage,
        ]
        .concat()
    };
    let good = padded(1, 0xff, &info, &[]);
    match random.random_range(0..10) {
        0 | 1 => ("encoding", good, Some(true)),
        2 => {
            // Bleichenbacher 2006: eight octets of padding, garbage after the digest
            let filling = random.random_range(8..40);
            let length = k - 3 - info.len() - filling;
            let garbage = bytes(random, length);
            let forged = padded(1, 0xff, &info, &garbage);
            ("garbage after the digest", forged, Some(false))
        }
        3 => {
            // the same inside the DigestInfo, in the algorithm's parameters
            let length = random.random_range(1..100);
            let mut info = digest_info(digest, false);
            info.splice(
                15..15,
                [vec![4, length as u8], bytes(random, length)].concat(),
            );
            info[1] = info[1].wrapping_add(length as u8 + 2);
            info[3] = info[3].wrapping_add(length as u8 + 2);
            (
                "garbage in the parameters",
                padded(1, 0xff, &info, &[]),
                Some(false),
            )
        }
        4 => {
            // superboring may take it, as RFC 8017 leaves it to choice
            let info = digest_info(digest, false);
            ("no NULL", padded(1, 0xff, &info, &[]), Some(false))
        }
        5 => {
            let block = random.random_range(2..=255);
            ("block type", padded(block, 0xff, &info, &[]), Some(false))
        }
        6 => {
            let filler = random.random_range(0..=254);
            ("filler", padded(1, filler, &info, &[]), Some(false))
        }
        7 => {
            let mut forged = good;
            let at = random.random_range(2..k);
            forged[at] ^= random.random_range(1..=255);
            ("octet of the encoding", forged, Some(false))
        }
        8 => {
            let long = [&[0x30, 0x81], &info[1..]].concat();
            ("length in BER", padded(1, 0xff, &long, &[]), Some(false))
        }
        _ => {
            let mut other = digest.to_vec();
            flip(random, &mut other);
            let info = digest_info(&other, true);
            ("other digest", padded(1, 0xff, &info, &[]), Some(false))
        }
    }
}

fn mask(algorithm: Algorithm, seed: &[u8], length: usize) -> Vec<u8> {
    (0u32..)
        .flat_map(|counter| hash(algorithm, &[seed, &counter.to_be_bytes()]))
        .take(length)
        .collect()
}

fn pss(
    random: &mut StdRng,
    algorithm: Algorithm,
    digest: &[u8],
    bits: usize,
) -> (&'static str, Vec<u8>, Option<bool>) {
    let length = bits.div_ceil(8);
    let choice = random.random_range(0..9);
    let most = length - digest.len() - 2;
    let salt_len = match choice {
        2 => random.random_range(0..=most),
        _ => digest.len(),
    };
    let salt = bytes(random, salt_len);
    let text = if choice == 3 {
        let mut other = digest.to_vec();
        flip(random, &mut other);
        other
    } else {
        digest.to_vec()
    };
    let h = hash(algorithm, &[&[0; 8], &text, &salt]);
    let mut db = vec![0; length - h.len() - 1 - salt_len - 1];
    db.push(1);
    db.extend(&salt);
    let end = db.len() - salt_len;
    match choice {
        4 => db[random.random_range(0..end)] ^= random.random_range(1..=255),
        5 => db[end - 1] = 0,
        _ => {}
    }
    let mut encoded: Vec<u8> = db
        .iter()
        .zip(mask(algorithm, &h, db.len()))
        .map(|(a, b)| a ^ b)
        .collect();
    let unused = 8 * length - bits;
    encoded[0] &= 0xff >> unused;
    encoded.extend(h);
    encoded.push(0xbc);
    match choice {
        0 | 1 => ("encoding", encoded, Some(true)),
        2 => ("salt's length", encoded, Some(salt_len == digest.len())),
        3 => ("other digest", encoded, Some(false)),
        // where the octet lies in the unused bits, it changed nothing
        4 => ("padding", encoded, None),
        5 => ("no one octet", encoded, Some(false)),
        6 => {
            *encoded.last_mut().unwrap() ^= random.random_range(1..=255);
            ("trailer", encoded, Some(false))
        }
        7 if unused > 0 => {
            encoded[0] |= 1 << (8 - unused);
            ("unused bit", encoded, Some(false))
        }
        _ => {
            flip(random, &mut encoded);
            ("bit of the encoding", encoded, Some(false))
        }
    }
}

/// RSASP1, of an encoding that may be out of range.
fn sign(pair: &Pair, encoded: &[u8]) -> Option<Vec<u8>> {
    let bits = u32::try_from(pair.n.len() * 8).unwrap();
    let precision = pair.private.n().as_ref().bits_precision().max(bits);
    let octets = [vec![0; pair.n.len() - encoded.len()].as_slice(), encoded].concat();
    if octets >= pair.n {
        return None;
    }
    let number = BoxedUint::from_be_slice(&octets, precision).unwrap();
    let none: Option<&mut StdRng> = None;
    let signature = hazmat::rsa_decrypt(none, &pair.private, &number).unwrap();
    let signature = signature.to_be_bytes_trimmed_vartime();
    Some(
        [
            vec![0; pair.n.len() - signature.len()].as_slice(),
            &signature,
        ]
        .concat(),
    )
}

/// What can be done to a signature without the key.
fn tamper(random: &mut StdRng, n: &[u8], good: Vec<u8>) -> (&'static str, Vec<u8>) {
    let k = n.len();
    let number = |low: u8| [vec![0; k - 1], vec![low]].concat();
    match random.random_range(0..10) {
        0 | 1 => {
            let mut signature = good;
            flip(random, &mut signature);
            ("bit flipped", signature)
        }
        2 => {
            let length = random.random_range(0..k);
            ("too short", good[..length].to_vec())
        }
        3 => {
            let length = random.random_range(1..9);
            ("too long", [good, bytes(random, length)].concat())
        }
        4 => ("zero before it", [vec![0], good].concat()),
        5 => ("random", bytes(random, k)),
        6 => ("small number", number(random.random_range(0..4))),
        7 => {
            let mut carry = 0;
            let mut sum: Vec<u8> = good
                .iter()
                .zip(n)
                .rev()
                .map(|(a, b)| {
                    let sum = u16::from(*a) + u16::from(*b) + carry;
                    carry = sum >> 8;
                    sum as u8
                })
                .collect();
            if carry > 0 {
                sum.push(1);
            }
            sum.reverse();
            ("s + n", sum)
        }
        8 => ("n", n.to_vec()),
        _ => {
            let mut below = n.to_vec();
            below[k - 1] -= 1;
            ("n - 1", below)
        }
    }
}

#[test]
fn rsa() {
    let pairs = pairs();
    compare("RSA", 70, |random| {
        let pair = &pairs[random.random_range(0..pairs.len())];
        let index = random.random_range(0..ALGORITHMS.len());
        let algorithm = ALGORITHMS[index];
        let text_len = random.random_range(0..300);
        let text = bytes(random, text_len);
        let digest = hash(algorithm, &[&text]);
        let (kind, encoded, expected) = if index < 3 {
            pkcs1(random, &digest, pair.n.len())
        } else {
            let bits = pair.n.len() * 8 - pair.n[0].leading_zeros() as usize - 1;
            pss(random, algorithm, &digest, bits)
        };
        let (kind, signature, expected) = match sign(pair, &encoded) {
            None => ("encoding above n", encoded, Some(false)),
            Some(signature) if expected == Some(true) && random.random_bool(0.5) => {
                let (kind, signature) = tamper(random, &pair.n, signature);
                (kind, signature, Some(false))
            }
            Some(signature) => (kind, signature, expected),
        };
        let case = Case {
            kind,
            algorithm,
            text,
            signature,
            expected,
            stricter: None,
        };
        (case, pair.keys[index].clone())
    });
}
